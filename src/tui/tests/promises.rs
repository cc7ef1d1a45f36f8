//! What the screen promises of a trigger is what would happen now, and it says why that is not what it said before. And
//! what a check has caught stays until a person takes it back.

use super::fixture::{Told, sent};
use crate::{
    domain::{
        actor::Actor,
        belief::Pinned,
        event::{CheckRef, Place, RunEvent},
        message::{Command, Update},
        metric::{Missing, Sample},
        time::Span,
        trigger::Waits,
    },
    tui::alerts,
};

fn breach(told: &Told) -> String {
    let found = alerts::all(&told.model).into_iter().find(|alert| alert.headline.starts_with("BREACH"));
    found.expect("a breach").follows
}

fn says(told: &Told, begins: &str, why: &str) {
    let follows = breach(told);
    assert!(follows.starts_with(begins) && follows.contains(why), "{follows}");
}

#[test]
fn a_measured_breach_promises_a_time() {
    says(&Told::in_breach(), "In 1:20 a countdown starts", "");
}

#[test]
fn while_nothing_is_measured_the_time_is_the_earliest() {
    let mut told = Told::in_breach();
    let value = Err(Missing::Unreachable("connection refused".to_owned()));
    let at = told.model.now;
    let sample = Sample { metric: "error_rate".into(), slot: Some("green".into()), at, value };
    told.tell(Update::Samples { samples: vec![sample], backfill: false });
    says(&told, "In 1:20 at the earliest", "(not measured now: unreachable: connection refused)");
    told.wait(100);
    says(&told, "With the next breach that is measured", "not measured now");
}

#[test]
fn too_few_and_a_gap_say_so() {
    let mut told = Told::in_breach();
    let until = told.model.now + Span::from_secs(130);
    let why = Waits::TooFew { measured: 30, due: 61 };
    told.after(0, RunEvent::TriggerWaits { trigger: 0, until, why });
    says(&told, "In 2:10 at the earliest", "(30 of 61 samples measured, 60 % needed)");
    let why = Waits::Gap { unmeasured: Span::from_secs(60) };
    told.after(0, RunEvent::TriggerWaits { trigger: 0, until, why });
    says(
        &told,
        "5:00 after the next breach that is measured",
        "(not measured for 1:00, the clock starts anew)",
    );
    // A breach that nobody can see is both.
    told.after(0, RunEvent::TriggerBlind { trigger: 0, metric: "error_rate".into(), why: Missing::NoData });
    let all: Vec<String> = alerts::all(&told.model).into_iter().map(|alert| alert.headline).collect();
    assert!(all.iter().any(|alert| alert.starts_with("BLIND")), "{all:?}");
    assert!(!breach(&told).is_empty());
}

#[test]
fn what_was_caught_is_taken_back_with_words() {
    let mut told = Told::in_window(60);
    // The third check is not a person's.
    let (place, check) = (Place::Step { step: "watch".into() }, 2);
    let at = CheckRef { place, attempt: 1, check };
    let (text, evidence) = ("No FATAL in the logs".to_owned(), "green-1: FATAL".to_owned());
    let by = Actor::Auto;
    told.after(0, RunEvent::CheckFailed { at, text, evidence, by, caught: true });
    let screen = told.screen(120, 36);
    assert!(screen.contains("takes back, with a reason"), "{screen}");
    assert_eq!(sent(told.keys(" ")), [], "not with one key");
    assert_eq!(sent(told.enter()), [], "nor without words");
    told.keys("a drill");
    let note = Some("a drill".to_owned());
    let ticked = Command::TickCheck { step: Some("watch".into()), attempt: 1, check, holds: true, note };
    assert_eq!(sent(told.enter()), [ticked]);
}

#[test]
fn what_was_skipped_does_not_look_like_what_holds() {
    let mut told = Told::in_window(60);
    let at = CheckRef { place: Place::Step { step: "watch".into() }, attempt: 1, check: 0 };
    let (text, evidence) = ("Error rate < 0.1 %".to_owned(), "skipped: no requests on GREEN yet".to_owned());
    let line = |told: &mut Told| {
        let screen = told.screen(120, 36);
        screen.lines().find(|line| line.contains("Error rate < 0.1 %")).unwrap().to_owned()
    };
    assert!(line(&mut told).contains("✔ Error rate < 0.1 %"));
    told.after(0, RunEvent::CheckPassed { at, text, evidence, by: Actor::Auto, skipped: true });
    let shown = line(&mut told);
    assert!(shown.contains("– Error rate < 0.1 %") && !shown.contains("✔ Error"), "{shown}");
}

#[test]
fn traffic_that_reaches_no_pod_is_not_called_100_percent() {
    let mut told = Told::in_window(30);
    let selector = |extra: bool| {
        let mut labels = std::collections::BTreeMap::from([("version".to_owned(), "green".to_owned())]);
        if extra {
            labels.insert("tier".to_owned(), "nope".to_owned());
        }
        labels
    };
    if let Some(run) = &mut told.model.run {
        run.pinned =
            Some(Pinned { selector: selector(false), live: Some("green".into()), ..Pinned::default() });
    }
    if let Some(workload) = &mut told.model.telemetry.workload {
        workload.selector = Some(selector(false));
    }
    assert!(told.screen(80, 24).contains("traffic 100 %"));
    if let Some(workload) = &mut told.model.telemetry.workload {
        workload.selector = Some(selector(true));
    }
    let screen = told.screen(80, 24);
    assert!(screen.contains("only tier=nope") && !screen.contains("100 %"), "{screen}");
}
