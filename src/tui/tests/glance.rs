//! What readers of a single picture stumbled over: two numbers for one thing, a mark where the key is not, a key for what is
//! not there yet.

use std::sync::Arc;

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
    for (loses, now, then) in [
        (true, "now: undoes step 3, ~", "it does not undo:"),
        (false, "now: undoes steps 3, 2, ~", "from then on it no longer undoes:"),
    ] {
        let mut told = Told::before_switch();
        if !loses {
            let run = told.model.run.as_mut().unwrap();
            Arc::make_mut(&mut run.runbook).steps[1].undo[0].data_loss = None;
        }
        told.enter();
        for (width, height) in SIZES {
            let screen = told.screen(width, height);
            assert!(line(&screen, "GREEN  v1.6.0").contains(now), "{screen}");
            assert!(line(&screen, "back  key R").contains(" once traffic is on GREEN"), "{screen}");
            // What it leaves as it is stands there whole.
            assert!(line(&screen, then).contains("Database migration"), "{screen}");
            assert!(!line(&screen, then).contains('…'), "{screen}");
        }
    }
}

#[test]
fn a_rollbacks_check_is_being_verified_while_the_header_shows_traffic_back() {
    let mut told = Told::rolling_back();
    for (width, height) in SIZES {
        let screen = told.screen(width, height);
        assert!(line(&screen, "BLUE   v1.5.0").contains("traffic 100 %"), "{screen}");
        assert!(line(&screen, "○ Traffic is back on BLUE").contains("checked last"), "{screen}");
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
            // How far the watch is stands at its step, without a bar that would look like the one that counts.
            assert!(lines[1].contains(" of 15:00") && !lines[1].contains('▓'), "{screen}");
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
    assert!(screen.contains("ENTER use v1.6.0 for DEPLOY_VERSION; starts nothing yet"), "{screen}");
    for _ in 0..6 {
        told.press(crate::config::keymap::Key::named(crate::config::keymap::KeyCode::Backspace));
    }
    assert!(told.screen(80, 24).contains("ENTER starts nothing until something is typed"));
}

#[test]
fn what_is_not_measured_stands_in_the_columns_and_says_for_how_long() {
    let (_, mut told) = states().into_iter().find(|(name, _)| *name == "blind").unwrap();
    let ends = |line: &str, words: &str| line[..line.find(words).unwrap() + words.len()].chars().count();
    for (width, height) in SIZES {
        let screen = told.screen(width, height);
        let heads = line(&screen, "▸6 Watch");
        for name in ["Error rate", "DB connections"] {
            let row = line(&screen, &format!("? {name}"));
            assert_eq!(ends(&row, "NO DATA"), ends(&heads, " now"), "{screen}");
            assert!(row.trim_end().ends_with("1:31"), "{screen}");
            assert!(row.chars().count().abs_diff(usize::from(width)) < 3, "{screen}");
        }
    }
    // On a small screen what keys are for stays in sight.
    let screen = told.screen(60, 15);
    assert!(screen.contains("more: NO DATA") && screen.contains("No customer complaints"), "{screen}");
}

#[test]
fn what_nobody_measures_is_not_well() {
    let mut told = Told::in_checklist();
    assert!(told.screen(80, 24).contains("no alerts"));
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
    assert!(Told::rolling_back().screen(80, 24).contains("3 stopping"));
}

/// The pages that one would photograph: nothing of them is below the edge.
#[test]
fn the_end_of_a_run_is_whole_at_80x24() {
    for (mut told, words) in [
        (
            Told::rolled_back(),
            ["↶ ROLLED BACK at ", "The rollback took 0:05 of the promised 5:00", "Not undone: "],
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

#[test]
fn the_version_is_in_sight_whatever_the_run_goes_through() {
    for (mut told, version) in
        [(Told::counting_down(), "→ v1.6.0 "), (Told::rolling_back(), "back to v1.5.0 ")]
    {
        let screen = told.screen(80, 24);
        assert!(screen.lines().nth(2).unwrap().contains(version), "{screen}");
    }
}

#[test]
fn a_rollback_calls_nothing_well_before_its_own_checks_do() {
    for (width, height) in SIZES {
        let screen = Told::rolling_back().screen(width, height);
        for well in [" % ok", " ms ok", "/min ok", "all ok"] {
            assert!(!screen.contains(well), "{screen}");
        }
        assert!(line(&screen, "Traffic is back on BLUE").contains("checked last"), "{screen}");
        // Its one clock is the promise.
        assert!(!screen.contains("at most"), "{screen}");
    }
}

/// The seconds of a clock time such as `16:41`.
fn seconds(clock: &str) -> u64 {
    let clock = clock.trim_matches(|c: char| !c.is_ascii_digit());
    clock.split(':').fold(0, |all, part| all * 60 + part.parse::<u64>().unwrap())
}

#[test]
fn the_times_of_the_steps_and_of_what_was_between_them_are_the_runs() {
    for mut told in [Told::rolled_back(), Told::finished()] {
        let screen = told.screen(120, 36);
        let all = line(&screen, "ended after ");
        let all = seconds(all.split("ended after ").nth(1).unwrap().split(' ').next().unwrap());
        let clocks = |text: &str| -> Vec<u64> {
            let is_clock = |word: &&str| word.contains(':') && word.starts_with(|c: char| c.is_ascii_digit());
            text.split_whitespace().filter(is_clock).map(seconds).collect()
        };
        let right: Vec<&str> =
            screen.lines().filter_map(|line| Some(line.split_once('│')?.1.trim())).collect();
        let right = right.join(" ");
        let spent = right.split_once("Steps ").unwrap_or_else(|| panic!("{screen}")).1;
        let spent = spent.split('.').next().unwrap();
        assert!(spent.contains("waiting for people "), "{screen}");
        assert_eq!(clocks(spent).iter().sum::<u64>(), all, "{spent}\n{screen}");
        let steps = told.run().steps.iter().map(|state| state.work.took(told.model.now).as_secs());
        assert_eq!(clocks(spent)[0], steps.sum::<u64>(), "{screen}");
    }
}

#[test]
fn where_enter_starts_nothing_it_says_so_in_the_same_words() {
    let mut nothing = 0;
    for (name, mut told) in states() {
        let screen = told.screen(120, 36);
        let line = screen.lines().rev().take(2).find(|line| line.trim_start().starts_with("ENTER"));
        let Some(line) = line.filter(|line| line.contains("nothing")) else { continue };
        nothing += 1;
        assert!(line.contains("starts nothing"), "{name}: {line}");
    }
    assert!(nothing > 12, "{nothing}");
}

#[test]
fn what_else_is_wrong_says_what_is_wrong_with_it() {
    for (width, height) in SIZES {
        let screen = Told::in_breach().screen(width, height);
        assert!(screen.contains("also: 1 pod down"), "{screen}");
    }
}

#[test]
fn an_incident_says_who_commands_or_who_names_one() {
    let mut told = states().into_iter().find(|(name, _)| *name == "incident").unwrap().1;
    let text = |screen: String| -> String {
        let left: Vec<String> =
            screen.lines().map(|line| line.split('│').next().unwrap_or_default().trim().to_owned()).collect();
        left.join(" ")
    };
    let screen = text(told.screen(80, 24));
    assert!(screen.contains("the person who started the deployment; run started by alice"), "{screen}");
    let run = told.model.run.as_mut().unwrap();
    Arc::make_mut(&mut run.runbook).incident.as_mut().unwrap().commander = None;
    let screen = text(told.screen(80, 24));
    assert!(screen.contains("none in the runbook; alice, the pilot, names one"), "{screen}");
}

#[test]
fn what_a_rollback_has_left_has_its_key_also_after_the_end() {
    let mut told = Told::rolled_back();
    let screen = told.screen(80, 24);
    assert!(screen.contains("Not undone: Database migration"), "{screen}");
    assert!(screen.contains("Key D: Database rollback"), "{screen}");
    assert!(is_offered(&told, KeyAction::DatabaseRollback));
    told.keys("D");
    let screen = told.screen(80, 24);
    assert!(screen.contains("Type  2026-11-20-1400  to continue:"), "{screen}");
    // Where there was no migration there is nothing to restore.
    let mut told = Told::rolled_back();
    let run = told.model.run.as_mut().unwrap();
    Arc::make_mut(&mut run.runbook).steps[1].undo.clear();
    assert!(!is_offered(&told, KeyAction::DatabaseRollback), "{}", told.screen(80, 24));
}

#[test]
fn who_cannot_see_says_what_does_not_answer_and_since_when() {
    let (_, mut told) = states().into_iter().find(|(name, _)| *name == "blind").unwrap();
    for (width, height) in SIZES {
        let screen = told.screen(width, height);
        assert!(screen.contains("BLIND for 1:31: no data for Error rate and 6 more"), "{screen}");
        assert!(screen.contains("prometheus.payment-system.com:9090 refused"), "{screen}");
    }
}

#[test]
fn the_light_and_the_dialog_have_one_estimate() {
    let (_, mut told) = states().into_iter().find(|(name, _)| *name == "rollback_dialog").unwrap();
    let screen = told.screen(80, 24);
    let about = line(&screen, "back to BLUE in ~");
    let about = about.split(" in ").nth(1).unwrap().trim().to_owned();
    assert!(line(&screen, "promised within").contains(&format!("takes {about}")), "{screen}");
}

#[test]
fn a_missed_shift_key_says_so_and_does_nothing() {
    let said = |told: &Told| told.model.toast.as_ref().map(|toast| toast.text.clone()).unwrap_or_default();
    let (_, mut told) = states().into_iter().find(|(name, _)| *name == "breach").unwrap();
    assert_eq!(super::fixture::sent(told.keys("r")), []);
    assert!(told.model.layers.is_empty());
    assert_eq!(said(&told), "R, with the shift key: roll back");
    told.keys("c");
    told.keys("r");
    assert_eq!(said(&told), "R, with the shift key: roll back", "on a page");
    // Nothing to roll back: there it is a key like any other.
    let mut told = Told::opened();
    told.esc();
    told.keys("r");
    assert!(!said(&told).contains("shift"), "{}", said(&told));
}
