//! What was found before the start is told while it can be mended, and is in nobody's way.

use super::fixture::Told;
use crate::{
    domain::online::{
        finding::{Area, Finding, Findings},
        preflight::Preflight,
    },
    tui::{alerts, msg::Msg, update::update},
};

fn found(told: &mut Told, findings: Vec<Finding>) {
    update(&mut told.model, Msg::Preflight(Preflight::of([Ok(Findings(findings))])));
}

fn fault() -> Finding {
    Finding::fault(
        Area::Permissions,
        "patch services",
        "not allowed",
        "ask for the Role of: cutover plan --rbac",
    )
}

#[test]
fn a_fault_is_told_before_the_steps_start_and_leaves_every_key_as_it_is() {
    let mut told = Told::in_checklist();
    let before = told.screen(80, 24);
    let offers = told.model.shown.clone();
    found(&mut told, vec![Finding::fine(Area::Clock, "clock", "right"), fault()]);
    let screen = told.screen(80, 24);
    assert!(!before.contains("BEFORE THE START") && screen.contains("BEFORE THE START: 1 fault"), "{screen}");
    assert_eq!(told.model.shown, offers, "no key is another one for it");

    told.keys(":preflight");
    told.enter();
    let page = told.screen(80, 24);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in {page}"));
    assert!(at("patch services: not allowed") < at("clock: right"), "the worst comes first");
    assert!(page.contains("→ ask for the Role of: cutover plan --rbac"), "{page}");
}

#[test]
fn a_look_without_faults_says_so_once_and_a_fault_is_history_once_the_steps_run() {
    let mut told = Told::in_checklist();
    found(&mut told, vec![Finding::fine(Area::Clock, "clock", "right")]);
    assert!(told.screen(80, 24).contains("looked before the start: 0 faults"));
    assert!(alerts::all(&told.model).is_empty());

    let mut told = Told::in_window(200);
    found(&mut told, vec![fault()]);
    assert!(alerts::all(&told.model).is_empty(), "{:?}", alerts::all(&told.model));
}

#[test]
fn a_look_that_failed_is_never_healthy() {
    let mut told = Told::in_checklist();
    let broken = Preflight::of([Ok(Findings::default()), Err("doctor: no answer within 60 s".to_owned())]);
    update(&mut told.model, Msg::Preflight(broken));
    assert!(told.screen(80, 24).contains("not all could be looked at"));
}
