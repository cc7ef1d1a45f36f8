//! What readers of a single picture stumbled over: two numbers for one thing, a mark where the key is not, a key for what is
//! not there yet.

use super::{fixture::Told, screens::states};
use crate::{
    config::keymap::KeyAction,
    domain::{
        actor::Actor,
        event::{ActionOutcome, ActionRef, Place, RunEvent},
        id::QUICK,
        time::Span,
    },
    tui::offer,
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 60)];

fn line(screen: &str, with: &str) -> String {
    let found = screen.lines().find(|line| line.contains(with));
    found.unwrap_or_else(|| panic!("no {with:?} on\n{screen}")).to_owned()
}

fn is_offered(told: &Told, action: KeyAction) -> bool {
    offer::offers(&told.model).iter().any(|it| it.is(action))
}

#[test]
fn the_way_back_of_now_and_the_one_after_the_switch_say_which_is_which() {
    let mut told = Told::before_switch();
    told.enter();
    for (width, height) in SIZES {
        let screen = told.screen(width, height);
        assert!(line(&screen, "GREEN  v1.6.0").contains("now: undoes steps 3, 2, ~"), "{screen}");
        assert!(line(&screen, "back  key R").contains(" once traffic is on GREEN"), "{screen}");
        // What it leaves as it is stands there whole.
        assert!(line(&screen, "it does not undo:").contains("Database migration"), "{screen}");
        assert!(!line(&screen, "it does not undo:").contains('…'), "{screen}");
    }
}

#[test]
fn a_rollbacks_check_is_being_verified_while_the_header_shows_traffic_back() {
    let mut told = Told::rolling_back();
    for (width, height) in SIZES {
        let screen = told.screen(width, height);
        assert!(line(&screen, "BLUE   v1.5.0").contains("traffic 100 %"), "{screen}");
        assert!(line(&screen, "○ Traffic is back on BLUE").contains("to be verified"), "{screen}");
    }
    let place = Place::Rollback { procedure: QUICK.into() };
    let at = ActionRef { place, attempt: 1, action: 2 };
    told.acted(at, ActionOutcome::Succeeded, 1, "");
    let screen = told.screen(80, 24);
    assert!(line(&screen, "○ Traffic is back on BLUE").contains("being verified"), "{screen}");
}

#[test]
fn what_a_failed_step_has_not_checked_is_not_promised() {
    let mut told = Told::failed();
    let screen = told.screen(120, 36);
    assert!(line(&screen, "○ Error rate of GREEN").contains("not verified"), "{screen}");
    assert!(line(&screen, "○ Smoke tests cover payments").contains("not asked"), "{screen}");
}

#[test]
fn enter_does_not_say_that_nothing_is_open_beside_checks_that_wait() {
    for (width, height) in [(80, 24), (120, 36)] {
        let screen = Told::in_window(400).screen(width, height);
        let next = line(&screen, " ENTER ");
        assert!(next.contains("starts nothing: 2 checks wait"), "{next}");
        assert!(next.contains("SPACE check ok") || next.contains("SPACE ok: "), "{next}");
    }
}

#[test]
fn a_run_that_goes_back_has_one_clock() {
    for (mut told, left) in [(Told::in_breach(), "1:50"), (Told::counting_down(), "0:23")] {
        for (width, height) in SIZES {
            let screen = told.screen(width, height);
            let lines: Vec<&str> = screen.lines().collect();
            assert!(lines[2].contains(&format!("rolls back in {left}")), "{screen}");
            assert!(!lines[1].contains(" of 15:00"), "the window's clock is not what counts:\n{screen}");
            assert!(lines[5..8].iter().any(|line| line.contains(left)), "{screen}");
        }
    }
    // Once nothing goes back by itself the window's clock is there.
    let screen = Told::in_window(400).screen(80, 24);
    assert!(screen.lines().nth(1).unwrap().contains("6:40 of 15:00"), "{screen}");
}

#[test]
fn what_decides_is_not_cut() {
    let mut told = Told::in_breach();
    for (width, height) in [(60, 15), (80, 24), (120, 36)] {
        let screen = told.screen(width, height);
        let headline = line(&screen, "✖ BREACH: ");
        assert!(headline.contains("for 3:40 of 5:00") && !headline.contains('…'), "{screen}");
    }
}

#[test]
fn a_check_is_offered_once_its_step_has_come_to_it() {
    let mut told = Told::in_breach();
    told.after(80, RunEvent::TriggerFired { trigger: 0, reason: "error rate".to_owned() });
    let ends_at = told.model.now + Span::from_secs(30);
    told.after(0, RunEvent::CountdownStarted { trigger: 0, ends_at });
    assert!(is_offered(&told, KeyAction::Tick), "in its window it is");

    // Traffic has moved, and the step that watches has not begun.
    let mut told = Told::before_switch();
    told.after(1, RunEvent::StepStarted { step: "switch".into(), attempt: 1, by: Actor::person("alice") });
    told.acts(Told::at("switch", 1, 0));
    told.acted(Told::at("switch", 1, 0), ActionOutcome::Succeeded, 1, "");
    told.after(0, RunEvent::TrafficSwitched { from: "blue".into(), to: "green".into() });
    told.traffic_on("green");
    assert!(is_offered(&told, KeyAction::Tick), "the switch's own check is open");
    told.after(1, RunEvent::StepPassed { step: "switch".into(), attempt: 1 });
    told.after(1, RunEvent::TriggerFired { trigger: 0, reason: "error rate".to_owned() });
    told.after(0, RunEvent::CountdownStarted { trigger: 0, ends_at: told.model.now + Span::from_secs(30) });
    for selected in [None, Some(4)] {
        told.model.cursor.check = selected;
        assert!(!is_offered(&told, KeyAction::Tick), "{}", told.screen(80, 24));
        assert!(!is_offered(&told, KeyAction::Fails));
    }
    assert!(told.screen(80, 24).contains("ROLLBACK IN 0:30"));
}

#[test]
fn the_incidents_mark_is_where_its_key_is() {
    let incident = states().into_iter().find(|(name, _)| *name == "incident");
    let (_, mut told) = incident.unwrap();
    for (width, height) in SIZES {
        let screen = told.screen(width, height);
        assert_eq!(screen.matches('▸').count(), 1, "{screen}");
        assert!(line(&screen, "▸").contains("▸ ○ Assess"), "{screen}");
        assert!(screen.contains("ENTER edits: Message for #incidents"), "{screen}");
        assert!(line(&screen, " ENTER edit the message").contains("SPACE tick: Assess"), "{screen}");
    }
    told.keys("j");
    let screen = told.screen(80, 24);
    assert!(line(&screen, "▸").contains("▸ ○ Communicate"), "{screen}");
    assert!(screen.contains("SPACE tick: Communicate"), "{screen}");
}

#[test]
fn the_question_names_the_version_that_enter_takes() {
    let mut told = Told::opened();
    told.healthy("blue");
    let screen = told.screen(80, 24);
    assert!(line(&screen, "not started").contains("→ not chosen "), "{screen}");
    assert!(screen.contains("ENTER use v1.6.0 for DEPLOY_VERSION; nothing starts yet"), "{screen}");
    for _ in 0..6 {
        told.press(crate::config::keymap::Key::named(crate::config::keymap::KeyCode::Backspace));
    }
    assert!(told.screen(80, 24).contains("ENTER nothing until something is typed"));
}

#[test]
fn what_is_not_measured_stands_in_the_columns_and_says_for_how_long() {
    let (_, mut told) = states().into_iter().find(|(name, _)| *name == "blind").unwrap();
    let screen = told.screen(80, 24);
    let heads = line(&screen, "▸6 Watch");
    let ends = |line: &str, words: &str| line[..line.find(words).unwrap() + words.len()].chars().count();
    for name in ["Error rate", "DB connections"] {
        let row = line(&screen, &format!("? {name}"));
        assert_eq!(ends(&row, "NO DATA"), ends(&heads, " now"), "{screen}");
        assert!(row.trim_end().ends_with("1:31"), "{screen}");
    }
    // On a small screen what keys are for stays in sight.
    let screen = told.screen(60, 15);
    assert!(screen.contains("more: NO DATA") && screen.contains("No customer complaints"), "{screen}");
}

#[test]
fn what_nobody_measures_is_not_well() {
    let mut told = Told::in_checklist();
    assert!(told.screen(80, 24).contains("all well"));
    let why = crate::domain::metric::Missing::Unreachable("connection refused".to_owned());
    for lost in 1..=5 {
        told.wait(5);
        let at = told.model.now;
        let metric = "db_conns".into();
        let sample =
            crate::domain::metric::Sample { metric, slot: None, at, value: Err(why.clone()), counts: None };
        told.tell(crate::domain::message::Update::Samples { samples: vec![sample], backfill: false });
        told.healthy("blue");
        let screen = told.screen(80, 24);
        assert_eq!(screen.contains("watch: no data"), lost == 5, "{lost}\n{screen}");
    }
    let screen = told.screen(80, 24);
    assert!(screen.contains("NO DATA for DB connections: unreachable: connection refused"), "{screen}");
}

#[test]
fn a_slot_without_pods_is_not_ready_with_0_of_0() {
    for mut told in [Told::rolled_back(), Told::finished()] {
        for (width, height) in [(60, 15), (80, 24), (120, 36)] {
            let screen = told.screen(width, height);
            assert!(!screen.contains("0/0") && screen.contains("scaled to 0"), "{screen}");
        }
    }
    assert!(Told::rolling_back().screen(80, 24).contains("2 stopping"));
}

/// The pages that one would photograph: nothing of them is below the edge.
#[test]
fn the_end_of_a_run_is_whole_at_80x24() {
    for (mut told, words) in [
        (
            Told::rolled_back(),
            ["↶ ROLLED BACK at ", "The rollback took 0:08 of the promised 5:00", "Not undone: "],
        ),
        (Told::finished(), ["✔ SUCCEEDED at ", "Users have been on v1.6.0", "Left open: 5 tasks."]),
    ] {
        let screen = told.screen(80, 24);
        let right: Vec<&str> =
            screen.lines().filter_map(|line| Some(line.split_once('│')?.1.trim())).collect();
        let right = right.join(" ");
        for words in words {
            assert!(right.contains(words), "{words}\n{screen}");
        }
        assert!(screen.contains("failed") && screen.contains("deploy.log"), "{screen}");
        assert!(screen.contains(" 1 Prepare ") && screen.contains(" 6 Watch for 15 minutes "), "{screen}");
        assert!(!screen.contains(" more "), "something is below the edge:\n{screen}");
    }
}
