//! Every state at the sizes that people have, as text. What the terminal would get is checked in `safety`.

use super::{
    charts::{blind, watched},
    fixture::Told,
};
use crate::{
    config::keymap::{Key, KeyCode},
    domain::{actor::Actor, cause::HoldCause, event::RunEvent},
};

/// Every state that a person meets, by name.
pub(super) fn states() -> Vec<(&'static str, Told)> {
    let mut question = Told::opened();
    question.healthy("blue");
    let mut confirm = Told::before_switch();
    confirm.enter();
    confirm.keys("gre");
    let mut dialog = Told::in_breach();
    dialog.keys("R");
    let mut database = Told::in_breach();
    database.keys("D");
    let mut undo = Told::failed();
    undo.keys("R");
    let mut held = Told::in_window(200);
    held.after(
        1,
        RunEvent::RunHeld {
            reason: "support reports slow logins".to_owned(),
            by: Actor::person("bob"),
            cause: HoldCause::Person,
        },
    );
    held.wait(12);
    let mut incident = Told::in_breach();
    incident.after(
        1,
        RunEvent::IncidentUpdated {
            severity: "P1".to_owned(),
            title: "payments fail now and then".to_owned(),
            impact: "one payment in seventy is refused".to_owned(),
            status: "Investigating".to_owned(),
            sent: false,
            by: Actor::person("alice"),
        },
    );
    incident.keys("i");
    let mut declaring = Told::in_breach();
    declaring.keys("i");
    declaring.enter();
    let page = |keys: &str| {
        let mut told = Told::in_breach();
        told.keys(keys);
        told.logs();
        told
    };
    let mut quit = Told::in_window(200);
    quit.keys("q");
    let mut past = watched(880);
    past.keys("m+");
    past.press(Key::named(KeyCode::Left));
    let mut frozen = watched(400);
    frozen.keys("z");
    frozen.wait(42);
    frozen.healthy("green");
    vec![
        ("question", question),
        ("checklist", Told::in_checklist()),
        ("first_step", Told::at_first_step()),
        ("running", Told::deploying()),
        ("failed", Told::failed()),
        ("before_switch", Told::before_switch()),
        ("switch_confirmation", confirm),
        ("window", Told::in_window(400)),
        ("breach", Told::in_breach()),
        ("countdown", Told::counting_down()),
        ("rollback_dialog", dialog),
        ("undo_dialog", undo),
        ("database_dialog", database),
        ("rolling_back", Told::rolling_back()),
        ("undoing", Told::undoing()),
        ("rolled_back", Told::rolled_back()),
        ("finished", Told::finished()),
        ("held", held),
        ("incident", incident),
        ("declaring", declaring),
        ("help", page("?")),
        ("logs", page("l")),
        ("metrics", page("m")),
        ("contacts", page("c")),
        ("quit", quit),
        ("well", watched(400)),
        ("blind", blind()),
        ("past", past),
        ("frozen", frozen),
    ]
}

#[test]
fn every_state_at_80x24() {
    for (name, mut told) in states() {
        insta::assert_snapshot!(format!("{name}_80x24"), told.screen(80, 24));
    }
}

#[test]
fn every_state_at_120x36() {
    for (name, mut told) in states() {
        insta::assert_snapshot!(format!("{name}_120x36"), told.screen(120, 36));
    }
}

/// Large screens have more charts; what else they have is as on smaller ones.
#[test]
fn charts_at_200x60() {
    for (name, mut told) in states() {
        if ["metrics", "well", "breach", "blind", "past", "rolled_back"].contains(&name) {
            insta::assert_snapshot!(format!("{name}_200x60"), told.screen(200, 60));
        }
    }
}

#[test]
fn every_state_at_60x15() {
    for (name, mut told) in states() {
        insta::assert_snapshot!(format!("{name}_60x15"), told.screen(60, 15));
    }
}
