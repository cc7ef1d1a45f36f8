//! What the screen promises of a trigger is what would happen now, and it says why that is not what it said before. And
//! what a check has caught stays until a person takes it back.

use super::{
    fixture::{Told, sent},
    screens::states,
};
use crate::{
    domain::{
        actor::Actor,
        belief::Pinned,
        check::CheckKind,
        event::{CheckRef, Place, RunEvent},
        message::{Command, Update},
        metric::{Missing, Sample},
        time::Span,
        trigger::Waits,
        workload::Connection,
    },
    tui::{alerts, offer::panes},
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
    says(&Told::in_breach(), "Rolls back by itself in 1:50, the last 0:30 as a countdown.", "");
}

#[test]
fn while_nothing_is_measured_the_time_is_the_earliest() {
    let mut told = Told::in_breach();
    let value = Err(Missing::Unreachable("connection refused".to_owned()));
    let at = told.model.now;
    let sample = Sample { metric: "error_rate".into(), slot: Some("green".into()), at, value, counts: None };
    told.tell(Update::Samples { samples: vec![sample], backfill: false });
    says(
        &told,
        "Rolls back by itself in 1:50 at the earliest",
        "(not measured now: unreachable: connection refused)",
    );
    told.wait(100);
    says(&told, "Rolls back by itself 0:30 after the next measured breach", "not measured now");
}

#[test]
fn too_few_and_a_gap_say_so() {
    let mut told = Told::in_breach();
    let until = told.model.now + Span::from_secs(130);
    let why = Waits::TooFew { measured: 30, due: 61 };
    told.after(0, RunEvent::TriggerWaits { trigger: 0, until, why });
    says(&told, "Rolls back by itself in 2:40 at the earliest", "(30 of 61 samples measured, 60 % needed)");
    let why = Waits::Gap { unmeasured: Span::from_secs(60) };
    told.after(0, RunEvent::TriggerWaits { trigger: 0, until, why });
    says(
        &told,
        "Rolls back by itself 5:30 after the next measured breach",
        "(not measured for 1:00: the clock starts over)",
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
    assert!(screen.contains("it is all right, with a reason"), "{screen}");
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
        screen.lines().skip(5).find(|line| line.contains("Error rate")).unwrap().to_owned()
    };
    assert!(line(&mut told).contains("✔ Error rate"));
    told.after(0, RunEvent::CheckPassed { at, text, evidence, by: Actor::Auto, skipped: true });
    let shown = line(&mut told);
    assert!(shown.contains("– Error rate") && !shown.contains("✔ Error"), "{shown}");
}

#[test]
fn a_check_that_has_passed_shows_what_it_has_passed_on() {
    let mut told = Told::rolled_back();
    let place = Place::Rollback { procedure: "quick".into() };
    let run = told.run();
    let check = run.checks(&place).iter().position(|check| !check.kind.is_person()).unwrap();
    let evidence = run.work(&place).unwrap().checks[check].evidence.clone();
    assert!(!evidence.is_empty());
    told.watching(None, check, false, "sample 2 of 3");
    let screen = told.screen(200, 60);
    assert!(screen.contains(&evidence) && !screen.contains("sample 2 of 3"), "{screen}");
}

#[test]
fn what_is_not_measured_is_never_counted_among_what_is_well() {
    let mut told = Told::in_breach();
    let check =
        told.run().runbook.steps.iter().find(|step| step.id.as_str() == "watch").unwrap().check[1].clone();
    let CheckKind::Metric { metric, .. } = check.kind else { panic!("{check:?}") };
    let title = told.run().runbook.metric(metric.as_str()).unwrap().title.clone();
    // On so low a screen not all lines have room: what is well is only counted.
    let screen = told.screen(80, 20);
    assert!(screen.contains("more, all within their limits") && !screen.contains(&title), "{screen}");
    let value = Err(Missing::Unreachable("connection refused".to_owned()));
    let at = told.model.now;
    let sample = Sample { metric, slot: Some("green".into()), at, value, counts: None };
    told.tell(Update::Samples { samples: vec![sample], backfill: false });
    let screen = told.screen(80, 20);
    let row = screen.lines().find(|line| line.contains(&title)).unwrap_or_else(|| panic!("{screen}"));
    assert!(row.contains("NO DATA"), "{screen}");
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

#[test]
fn pods_that_nobody_sees_are_not_ready_but_were() {
    let mut told = Told::in_window(60);
    let before = told.screen(80, 24);
    assert!(before.contains("3/3 ready"), "{before}");
    told.workload(|workload| workload.connection = Connection::Lost("connection refused".to_owned()));
    told.wait(40);
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let screen = told.screen(width, height);
        assert!(screen.contains("3/3 40s ago") && !screen.contains("3/3 ready ●"), "{screen}");
        assert!(screen.contains("! not seen for 40s"), "{screen}");
    }
}

#[test]
fn the_databases_key_is_named_only_where_it_is_offered() {
    let mut named = 0;
    for (name, mut told) in states() {
        for (width, height) in [(80, 24), (120, 36), (200, 60)] {
            let screen = told.screen(width, height);
            let says = ["key D", "Key D", "key: D", " or D", "ESC then D"]
                .iter()
                .any(|words| screen.contains(words));
            named += usize::from(says);
            assert!(
                !says || panes::database_key(&told.model).is_some(),
                "{name} at {width}x{height}:\n{screen}"
            );
        }
    }
    assert!(named > 2, "it is named somewhere");
}

#[test]
fn no_step_is_current_once_the_run_has_gone_back_or_ended() {
    for mut told in [Told::rolling_back(), Told::rolled_back(), Told::finished()] {
        for (width, height) in [(80, 24), (120, 36), (200, 60)] {
            let screen = told.screen(width, height);
            let strip = screen.lines().nth(1).unwrap();
            assert!(!strip.contains('▶') && !strip.contains("WATCH"), "{strip}");
        }
    }
    let screen = Told::rolled_back().screen(200, 60);
    assert!(screen.contains("↶ 6 Watch") && !screen.contains("▶ 6 Watch"), "{screen}");
}

#[test]
fn a_rehearsals_commands_say_that_they_are_simulated() {
    let mut told = Told::opened_with(crate::domain::fixture::payment(), Some("good"));
    told.healthy("blue");
    told.answered();
    told.ticked(0);
    let by = Actor::person("alice");
    told.after(1, RunEvent::ChecklistPassed { by });
    for step in ["prepare", "migrate"] {
        told.passes(step, 10);
    }
    let screen = told.screen(120, 36);
    let commands: Vec<&str> = screen.lines().filter(|line| line.contains("kubectl ")).collect();
    assert!(!commands.is_empty(), "{screen}");
    assert!(commands.iter().all(|line| line.contains("simulated: kubectl")), "{screen}");
    let copied = crate::tui::subject::commands_shown(&told.model);
    assert!(copied.starts_with("# REHEARSAL: "), "{copied}");
}

#[test]
fn a_new_slots_metric_is_compared_with_what_the_previous_slot_had() {
    let mut told = Told::in_window(400);
    let runbook = std::sync::Arc::make_mut(&mut told.model.run.as_mut().unwrap().runbook);
    runbook.metrics.iter_mut().find(|metric| metric.id.0 == "transactions").unwrap().per_slot = true;
    let of_blue = "transactions/blue".to_owned();
    let short = [(of_blue.clone(), Span::from_secs(90))].into();
    told.after(0, RunEvent::BaselineRecorded { values: [(of_blue, 2300.0)].into(), short });
    told.sample("transactions", Some("green"), &[2290.0]);
    let screen = told.screen(200, 60);
    assert!(screen.contains("1840 to 2760") && !screen.contains("no baseline"), "{screen}");
}
