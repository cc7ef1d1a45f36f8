//! Checks without traffic, and checks that have caught something.

use crate::domain::{
    action::SlotRef,
    actor::Actor,
    check::{CheckKind, NoTraffic},
    effect::Input,
    event::{CheckRef, Outcome, Place, RunEvent},
    fixture::{Flight, runbook},
    id::QUICK,
    machine::tests::watch::{down, refused},
    message::Command,
    metric::Missing,
    run::{CheckStatus, StepStatus},
    time::Span,
};

/// A runbook whose third step checks the error rate of the idle slot, and says what no traffic means.
fn with_no_traffic(step: usize, meaning: Option<NoTraffic>) -> crate::domain::runbook::Runbook {
    let mut runbook = runbook();
    let mut check = runbook.steps[3].check[0].clone();
    let CheckKind::Metric { no_traffic, .. } = &mut check.kind else { unreachable!() };
    *no_traffic = meaning;
    runbook.steps[step].check.retain(|check| check.kind.is_person());
    runbook.steps[step].check.insert(0, check);
    runbook
}

/// Looks of the first check, a minute and a half of them, with this value on the new slot.
fn idle(flight: &mut Flight, value: &Result<f64, Missing>, seconds: u64) {
    for second in 0..seconds {
        flight.now = flight.now + Span::from_secs(1);
        if second % 5 == 0 {
            flight.sample("error_rate", "green", value.clone());
            flight.sample("transactions", "green", Ok(2300.0));
        }
        flight.feed(Input::Tick);
        flight.settle();
    }
}

#[test]
fn a_step_on_a_slot_without_traffic_does_what_its_check_says() {
    let checking = |meaning| {
        let mut flight = Flight::passed(with_no_traffic(1, meaning), 1);
        flight.start();
        assert_eq!(flight.status("deploy"), StepStatus::Checking);
        flight
    };
    let nothing = Err(Missing::ZeroByZero);
    // Skipped, and not measured as good.
    let mut flight = checking(Some(NoTraffic::Skip));
    idle(&mut flight, &nothing, 6);
    assert_eq!(flight.status("deploy"), StepStatus::Passed);
    let state = flight.run().step("deploy").unwrap().work.checks[0].clone();
    assert!(state.skipped);
    assert_eq!(state.evidence, "skipped: no requests on GREEN yet");
    // An outage is no idleness.
    let mut flight = checking(Some(NoTraffic::Skip));
    idle(&mut flight, &down(), 70);
    assert_eq!(flight.status("deploy"), StepStatus::Failed);
    // Waits for longer than its timeout, then takes what is measured.
    let mut flight = checking(Some(NoTraffic::Wait));
    idle(&mut flight, &nothing, 300);
    assert_eq!(flight.status("deploy"), StepStatus::Checking);
    idle(&mut flight, &Ok(0.0004), 6);
    assert_eq!(flight.status("deploy"), StepStatus::Passed);
    assert!(!flight.run().step("deploy").unwrap().work.checks[0].skipped);
    // Fails, by its words or as any missing number does.
    for (meaning, says) in [(Some(NoTraffic::Fail), "some are expected"), (None, "0/0")] {
        let mut flight = checking(meaning);
        idle(&mut flight, &nothing, 70);
        assert_eq!(flight.status("deploy"), StepStatus::Failed);
        let reason = flight.run().step("deploy").unwrap().reason.clone().unwrap();
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn a_window_without_traffic_does_what_its_check_says() {
    let nothing = Err(Missing::ZeroByZero);
    let flown = |meaning, value: &Result<f64, Missing>| {
        let mut runbook = with_no_traffic(3, meaning);
        runbook.triggers.clear();
        let mut flight = Flight::in_window(runbook);
        flight.tick_checks();
        idle(&mut flight, value, 1000);
        flight
    };
    let skipped = flown(Some(NoTraffic::Skip), &nothing);
    assert_eq!(skipped.status("monitor"), StepStatus::Passed);
    let last = skipped.run().step("monitor").unwrap().work.checks[0].clone();
    assert!(last.skipped, "{last:?}");
    assert_eq!(flown(Some(NoTraffic::Wait), &nothing).status("monitor"), StepStatus::Checking);
    assert_eq!(flown(Some(NoTraffic::Fail), &nothing).status("monitor"), StepStatus::Failed);
    assert_eq!(flown(None, &nothing).status("monitor"), StepStatus::Checking, "not measured");
    assert_eq!(flown(Some(NoTraffic::Skip), &down()).status("monitor"), StepStatus::Checking);
    // Once there is traffic, it is measured.
    let mut flight = flown(Some(NoTraffic::Wait), &nothing);
    idle(&mut flight, &Ok(0.0004), 1000);
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
}

fn with_log_check() -> crate::domain::runbook::Runbook {
    let mut runbook = runbook();
    let without = Some("FATAL".to_owned());
    runbook.steps[3].check[2].kind = CheckKind::Logs { slot: SlotRef::New, without, with: None };
    runbook
}

fn fatal(flight: &mut Flight) -> CheckRef {
    let at = CheckRef { place: Place::Step { step: "monitor".into() }, attempt: 1, check: 2 };
    let since = flight.run().looks_since(&at).unwrap();
    let evidence = "green-1: FATAL out of memory".to_owned();
    flight.feed(Input::CheckCaught { at: at.clone(), since, evidence });
    at
}

fn take_back(flight: &mut Flight, holds: bool, note: Option<&str>) {
    let (step, note) = (Some("monitor".into()), note.map(str::to_owned));
    flight.command(Command::TickCheck { step, attempt: 1, check: 2, holds, note });
}

#[test]
fn what_was_caught_stays_until_a_person_takes_it_back() {
    let mut flight = Flight::in_window(with_log_check());
    flight.tick_checks();
    flight.fly(Span::from_secs(30));
    take_back(&mut flight, true, Some("nothing there"));
    refused(&flight, "that check is automatic");
    fatal(&mut flight);
    let caught = flight.events.iter().rev().find(|e| e.event.name() == "check_failed").unwrap().clone();
    assert!(
        matches!(&caught.event, RunEvent::CheckFailed { caught: true, evidence, .. } if evidence.contains("FATAL"))
    );
    // Later looks see nothing: the pod has gone.
    let red = |flight: &Flight| {
        let state = &flight.run().step("monitor").unwrap().work.checks[2];
        state.status == CheckStatus::Fails && state.evidence.contains("FATAL")
    };
    flight.fly(Span::from_mins(5));
    assert!(red(&flight));
    // Nor does another engine forget.
    let mut resumed = flight.clone();
    resumed.resume();
    resumed.command(Command::Continue);
    resumed.fly(Span::from_mins(5));
    assert!(red(&resumed));
    resumed.fly(Span::from_mins(10));
    assert_eq!(resumed.status("monitor"), StepStatus::Failed);
    // Unless a person takes it back, the step fails at the window's end.
    let mut left = flight.clone();
    left.fly(Span::from_mins(15));
    assert_eq!(left.status("monitor"), StepStatus::Failed);
    assert!(left.run().step("monitor").unwrap().reason.clone().unwrap().contains("FATAL"));
    // It takes words.
    take_back(&mut flight, true, None);
    refused(&flight, "say in a note");
    let acknowledged = flight.now;
    take_back(&mut flight, true, Some("a test that kills a worker"));
    flight.settle();
    assert_eq!(flight.refused, None);
    let state = flight.run().step("monitor").unwrap().work.checks[2].clone();
    assert_eq!(
        (state.status, state.by, state.caught),
        (CheckStatus::Holds, Some(Actor::person("ada")), false)
    );
    assert_eq!(state.evidence, "a test that kills a worker");
    // What was there before counts no more; what comes after does.
    let at = CheckRef { place: Place::Step { step: "monitor".into() }, attempt: 1, check: 2 };
    assert_eq!(flight.run().looks_since(&at), Some(acknowledged));
    let mut again = flight.clone();
    let evidence = "green-1: FATAL out of memory".to_owned();
    again.feed(Input::CheckCaught { at, since: acknowledged - Span::from_secs(60), evidence });
    assert!(!red(&again), "that look was on its way");
    fatal(&mut again);
    assert!(red(&again));
    flight.fly(Span::from_mins(15));
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
}

#[test]
fn a_person_may_say_that_what_was_caught_is_a_reason_to_stop() {
    let mut flight = Flight::in_window(with_log_check());
    fatal(&mut flight);
    take_back(&mut flight, false, None);
    assert_eq!(flight.status("monitor"), StepStatus::Failed);
}

#[test]
fn what_was_caught_at_the_first_look_of_a_step_is_not_forgotten_at_the_second() {
    let mut runbook = runbook();
    runbook.steps[1].check[0].kind =
        CheckKind::Logs { slot: SlotRef::New, without: Some("FATAL".to_owned()), with: None };
    let mut flight = Flight::passed(runbook, 1);
    flight.failing.insert("pods ready".to_owned());
    flight.start();
    let at = CheckRef { place: Place::Step { step: "deploy".into() }, attempt: 1, check: 0 };
    let since = flight.run().looks_since(&at).unwrap();
    flight.feed(Input::CheckCaught { at: at.clone(), since, evidence: "green-1: FATAL".to_owned() });
    flight.failing.clear();
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.status("deploy"), StepStatus::Checking);
    let mut left = flight.clone();
    left.fly(Span::from_secs(40));
    assert_eq!(left.status("deploy"), StepStatus::Failed);
    let note = Some("an old worker".to_owned());
    flight.command(Command::TickCheck {
        step: Some("deploy".into()),
        attempt: 1,
        check: 0,
        holds: true,
        note,
    });
    flight.settle();
    assert_eq!(flight.status("deploy"), StepStatus::Passed);
}

#[test]
fn what_is_caught_after_traffic_is_back_is_a_remark_once() {
    let mut runbook = runbook();
    let mut open = runbook.rollbacks[0].check[0].clone();
    "still open".clone_into(&mut open.text);
    runbook.rollbacks[0].check.push(open);
    let mut flight = Flight::in_window(runbook);
    flight.failing.extend(["traffic is back".to_owned(), "still open".to_owned()]);
    flight.command(Command::Rollback { reason: "errors".to_owned() });
    flight.settle();
    let at = CheckRef { place: Place::Rollback { procedure: QUICK.into() }, attempt: 1, check: 0 };
    let since = flight.run().looks_since(&at).unwrap();
    let caught = Input::CheckCaught { at, since, evidence: "blue-1: FATAL".to_owned() };
    flight.feed(caught.clone());
    let remarks = |flight: &Flight| flight.run().rollbacks[0].remarks.clone();
    assert_eq!(remarks(&flight), ["traffic is back: blue-1: FATAL"]);
    assert_eq!(flight.outcome(), None, "another check is still open");
    for _ in 0..70 {
        flight.fly(Span::from_secs(1));
        flight.feed(caught.clone());
    }
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    let remarks = remarks(&flight);
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[1].starts_with("still open"), "{remarks:?}");
}

#[test]
fn a_check_that_cannot_pass_any_more_fails_its_step_at_once() {
    let mut flight = Flight::passed(runbook(), 1);
    flight.failing.insert("pods ready".to_owned());
    flight.start();
    assert_eq!(flight.status("deploy"), StepStatus::Checking);
    let at = CheckRef { place: Place::Step { step: "deploy".into() }, attempt: 1, check: 0 };
    let evidence = "no node accepts pod green-1".to_owned();
    flight.feed(Input::CheckSeen { at: at.clone(), holds: false, evidence: evidence.clone() });
    assert_eq!(flight.status("deploy"), StepStatus::Checking, "one look that fails is none");
    flight.feed(Input::CheckHopeless { at, evidence });
    assert_eq!(flight.status("deploy"), StepStatus::Failed);
    let reason = flight.run().step("deploy").unwrap().reason.clone().unwrap();
    assert!(reason.contains("no node accepts pod green-1"), "{reason}");
}
