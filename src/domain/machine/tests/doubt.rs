//! Doubt ends by measurement only: lost answers, windows in overtime, what the screen promises.

use crate::domain::{
    action::SlotRef,
    check::CheckKind,
    effect::Input,
    event::{Outcome, RunEvent},
    fixture::{Flight, runbook, trigger},
    machine::tests::watch::down,
    message::Command,
    promise::Promise,
    run::StepStatus,
    runbook::{OnNoData, Then},
    time::Span,
    trigger::Waits,
};

/// The step passed in the same millisecond once.
#[test]
fn a_missing_sample_in_overtime_passes_nothing() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_secs(820));
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(200));
    let in_overtime = flight.clone();
    for lost in [10, 20, 40, 300] {
        let mut flight = in_overtime.clone();
        flight.error_rate = down();
        flight.fly(Span::from_secs(lost));
        assert_eq!(flight.status("monitor"), StepStatus::Checking, "{lost} s lost");
        assert!(flight.run().triggers[0].breaching.is_some(), "{lost} s lost");
        flight.error_rate = Ok(0.2);
        flight.fly(Span::from_secs(400));
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{lost} s lost");
    }
    // Nor does it after a crash.
    let mut flight = in_overtime;
    flight.resume();
    flight.command(Command::Continue);
    flight.tick_checks();
    flight.error_rate = down();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
}

/// The metric of a trigger may be one that no check looks at.
fn trigger_alone() -> crate::domain::runbook::Runbook {
    let mut runbook = runbook();
    runbook.steps[3].check.retain(|check| check.kind.is_person());
    runbook
}

#[test]
fn a_window_in_overtime_with_nothing_measured_stays_open_and_pages() {
    let pages = |flight: &Flight| {
        let told = flight.events.iter().filter_map(|envelope| match &envelope.event {
            RunEvent::NoticeSent { text, .. } if text.contains("WINDOW STAYS OPEN") => Some(text.clone()),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    // Missing samples, and none at all: a source that never answers again.
    for silent in [false, true] {
        let mut flight = Flight::in_window(trigger_alone());
        flight.fly(Span::from_secs(960));
        assert_eq!(flight.status("monitor"), StepStatus::Checking, "a person's check is open");
        if silent {
            for _ in 0..31 {
                flight.now = flight.now + Span::from_secs(1);
                flight.feed(Input::Tick);
            }
        } else {
            flight.error_rate = down();
            flight.fly(Span::from_secs(10));
        }
        flight.tick_checks();
        assert_eq!(flight.status("monitor"), StepStatus::Checking, "silent: {silent}");
        for _ in 0..60 {
            flight.now = flight.now + Span::from_secs(1);
            flight.feed(Input::Tick);
            flight.settle();
        }
        assert_eq!(flight.status("monitor"), StepStatus::Checking, "silent: {silent}");
        let told = pages(&flight);
        assert_eq!(told.len(), 1, "silent: {silent}: {told:?}");
        assert!(told[0].contains("error_rate"), "{told:?}");
        flight.error_rate = Ok(0.0004);
        flight.fly(Span::from_secs(10));
        assert_eq!(flight.status("monitor"), StepStatus::Passed, "silent: {silent}");
    }
}

#[test]
fn lost_answers_and_slow_ones_do_not_keep_a_trigger_from_firing() {
    // One in four is lost.
    let mut flight = Flight::in_window(runbook());
    for n in 0..34 {
        flight.error_rate = if n % 4 == 2 { down() } else { Ok(0.2) };
        flight.fly(Span::from_secs(10));
    }
    assert_eq!(flight.count("trigger_fired"), 1);
    assert_eq!((flight.count("trigger_cleared"), flight.count("trigger_breaching")), (0, 1));
    // Every third second, though one a second was declared, and an interval of nothing.
    for interval in [0, 1] {
        let mut runbook = runbook();
        runbook.triggers[0] = trigger(Then::Ask, Span::from_secs(20), OnNoData::Hold);
        runbook.metrics[0].interval = Span::from_secs(interval);
        let mut flight = Flight::in_window(runbook);
        for _ in 0..9 {
            flight.now = flight.now + Span::from_secs(3);
            flight.sample("error_rate", "green", Ok(0.2));
            flight.feed(Input::Tick);
        }
        assert_eq!(flight.count("trigger_fired"), 1, "every {interval} s");
    }
}

#[test]
fn what_is_promised_says_why_it_changes() {
    let mut flight = Flight::in_window(runbook());
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(20));
    let run = flight.run();
    let since = run.triggers[0].breaching.unwrap().0;
    let left = (since + Span::from_mins(5)).since(flight.now);
    assert_eq!(run.promise(0, flight.now), Some((Promise::In(left), None)));
    assert_eq!(run.promise(0, since + Span::from_mins(5)), Some((Promise::NextBreach, None)));
    assert_eq!(run.promise(1, flight.now), None, "a person's reason");
    // Nothing measured for a minute.
    flight.error_rate = down();
    flight.fly(Span::from_secs(70));
    let whole = Promise::Anew(Span::from_mins(5));
    let Some((promise, Some(Waits::Gap { unmeasured }))) = flight.run().promise(0, flight.now) else {
        panic!("{:?}", flight.run().triggers[0])
    };
    assert_eq!((promise, *unmeasured), (whole.clone(), Span::from_secs(60)));
    // Armed anew, without credit.
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(20));
    assert!(matches!(flight.run().promise(0, flight.now), Some((Promise::In(_), None))));
    flight.resume();
    assert_eq!(flight.run().promise(0, flight.now), Some((whole, Some(&Waits::Resumed))));
}

#[test]
fn a_window_waits_for_the_slot_that_its_check_names() {
    let mut runbook = runbook();
    let CheckKind::Metric { slot, .. } = &mut runbook.steps[3].check[0].kind else { unreachable!() };
    *slot = Some(SlotRef::Previous);
    let mut flight = Flight::in_window(runbook);
    flight.tick_checks();
    let watched = |flight: &Flight| flight.run().step("monitor").unwrap().watched;
    let before = watched(&flight);
    let fly = |flight: &mut Flight, slots: &[&str]| {
        for second in 0..1200 {
            flight.now = flight.now + Span::from_secs(1);
            if second % 10 == 0 {
                for slot in slots {
                    flight.sample("error_rate", slot, Ok(0.0004));
                    flight.sample("transactions", slot, Ok(2300.0));
                }
                flight.look_again();
            }
            flight.feed(Input::Tick);
        }
    };
    fly(&mut flight, &["green"]);
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    assert!(
        watched(&flight).saturating_sub(before) < Span::from_mins(1),
        "the previous slot was not measured"
    );
    fly(&mut flight, &["green", "blue"]);
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
}
