//! The switch, the monitored window, triggers, blindness.

use proptest::{prelude::*, strategy::ValueTree as _};

use crate::domain::{
    actor::Actor,
    cause::HoldCause,
    crew::{Person, Role},
    effect::Input,
    event::{Outcome, RunEvent},
    fixture::{Flight, at_step, runbook, trigger},
    message::Command,
    metric::{Missing, Sample},
    prompt::Prompt,
    run::StepStatus,
    runbook::{OnNoData, Then},
    time::Span,
};

pub(super) fn refused(flight: &Flight, says: &str) {
    let why = flight.refused.clone().unwrap_or_else(|| panic!("not refused, though {says}"));
    assert!(why.contains(says), "{why}");
}

fn cancel(reason: &str) -> Command {
    Command::CancelCountdown { trigger: 0, reason: reason.to_owned() }
}

fn with_trigger(then: Then, no_data: OnNoData) -> crate::domain::runbook::Runbook {
    let mut runbook = runbook();
    runbook.triggers[0] = trigger(then, Span::from_mins(5), no_data);
    runbook
}

pub(super) fn down() -> Result<f64, Missing> {
    Err(Missing::Unreachable("connection refused".to_owned()))
}

/// When the newest event of this name came, in seconds since the traffic moved.
fn second(flight: &Flight, name: &str) -> u64 {
    let switched = flight.run().switched_at.or(flight.run().rollbacks.first().map(|r| r.started_at)).unwrap();
    let found = flight.events.iter().rev().find(|envelope| envelope.event.name() == name);
    found.unwrap_or_else(|| panic!("no {name}")).at.since(switched).as_secs()
}

#[test]
fn the_baseline_is_recorded_before_the_switch_and_the_switch_told_after() {
    let flight = Flight::passed(runbook(), 3);
    let names = flight.names();
    let place = |name: &str| names.iter().position(|found| found == name).unwrap();
    assert!(place("baseline_recorded") < place("traffic_switched"));
    let begun = |envelope: &crate::domain::event::Envelope| matches!(&envelope.event, RunEvent::ActionStarted { at, .. } if *at == at_step("switch", 1, 0));
    let begun = flight.events.iter().position(begun).unwrap();
    assert!(place("baseline_recorded") < begun && begun < place("traffic_switched"));
    assert!((flight.run().baseline["transactions/blue"] - 2300.0).abs() < 1e-9);
    let told = flight.events.iter().find(|e| e.event.name() == "traffic_switched").unwrap();
    let json = serde_json::to_value(told).unwrap();
    assert_eq!((&json["from"], &json["to"]), (&"blue".into(), &"green".into()));
}

#[test]
fn the_window_passes_when_its_time_is_full_of_data_and_every_check_holds() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_mins(14));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    flight.fly(Span::from_secs(61));
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
    assert_eq!(flight.run().step("monitor").unwrap().watched, Span::from_mins(15));
}

#[test]
fn a_window_that_is_opened_between_two_ticks_lasts_no_less_than_it_should() {
    let mut flight = Flight::passed(runbook(), 3);
    flight.feed(Input::Tick);
    flight.now = flight.now + Span::from_millis(900);
    flight.start();
    flight.now = flight.now + Span::from_millis(100);
    flight.fly(Span::from_mins(16));
    let at = |wanted: fn(&RunEvent) -> bool| flight.events.iter().find(|it| wanted(&it.event)).unwrap().at;
    let opened = at(|event| matches!(event, RunEvent::WindowOpened { .. }));
    let full = at(
        |event| matches!(event, RunEvent::WindowAdvanced { watched, .. } if *watched == Span::from_mins(15)),
    );
    assert!(full.since(opened) >= Span::from_mins(15), "{}", full.since(opened));
}

#[test]
fn a_persons_open_check_keeps_the_window_open() {
    let mut flight = Flight::in_window(runbook());
    flight.fly(Span::from_mins(20));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    flight.tick_checks();
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
}

#[test]
fn m5_time_asleep_is_not_evidence() {
    // Stopped for an hour: no tick, no sample.
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_mins(5));
    flight.now = flight.now + Span::from_mins(60);
    flight.fly(Span::from_mins(9));
    assert_eq!(flight.status("monitor"), StepStatus::Checking, "an hour asleep is no minute of the window");
    flight.fly(Span::from_mins(2));
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
    // A breach is not as long as the sleep.
    let mut flight = Flight::in_window(runbook());
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(60));
    flight.now = flight.now + Span::from_mins(60);
    flight.fly(Span::from_secs(240));
    assert_eq!(flight.count("trigger_fired"), 0);
    flight.fly(Span::from_secs(70));
    assert_eq!(flight.count("trigger_fired"), 1);
    // Nobody could have stopped a countdown while everything slept.
    flight.now = flight.now + Span::from_mins(60);
    flight.samples();
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.count("rollback_started"), 0);
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.count("rollback_started"), 1);
}

#[test]
fn m2_an_outage_is_never_health() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.error_rate = down();
    flight.fly(Span::from_mins(60));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    assert!(flight.run().step("monitor").unwrap().watched < Span::from_mins(1));
    assert!(flight.run().triggers[0].blind.is_some());
    assert_eq!(flight.count("rollback_started"), 0, "no_data = hold");
    assert!(matches!(flight.prompt(), Prompt::Held { .. }));
    // It sees again, goes on by itself, and counts from there.
    flight.error_rate = Ok(0.0004);
    flight.fly(Span::from_secs(50));
    assert_eq!(flight.count("trigger_sees"), 0, "five measured are not six");
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.run().held, None);
    assert_eq!(flight.count("trigger_sees"), 1);
    flight.fly(Span::from_mins(13));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    flight.fly(Span::from_mins(3));
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
}

#[test]
fn nan_is_no_data_for_the_window() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.error_rate = Ok(f64::NAN);
    flight.fly(Span::from_mins(30));
    assert!(flight.run().step("monitor").unwrap().watched < Span::from_mins(1));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
}

#[test]
fn a_server_whose_clock_is_ahead_is_not_fresh_for_ever() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    for metric in ["error_rate", "transactions"] {
        let value = if metric == "error_rate" { 0.0004 } else { 2300.0 };
        let sample = Sample {
            metric: metric.into(),
            slot: Some("green".into()),
            at: flight.now + Span::from_mins(60),
            value: Ok(value),
            counts: None,
        };
        flight.feed(Input::Sample(sample));
    }
    let watched = flight.run().step("monitor").unwrap().watched;
    for _ in 0..1200 {
        flight.now = flight.now + Span::from_secs(1);
        flight.feed(Input::Tick);
    }
    assert_eq!(flight.run().step("monitor").unwrap().watched, watched);
}

#[test]
fn a_persons_hold_outlives_the_blindness() {
    let mut flight = Flight::in_window(runbook());
    flight.error_rate = down();
    flight.fly(Span::from_mins(2));
    flight.command(Command::Hold { reason: "I want to look".to_owned() });
    flight.error_rate = Ok(0.0004);
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.run().held.clone().unwrap().reason, "I want to look");
}

#[test]
fn when_data_comes_back_nothing_goes_on_that_waits_for_somebody() {
    let held = |flight: &Flight| flight.run().held.as_ref().map(|held| held.cause);
    let blind = || {
        let mut flight = Flight::in_window(runbook());
        flight.feed(Input::ScreenJoined { who: Person::of_login("ada"), role: Role::Pilot });
        flight.error_rate = down();
        flight.fly(Span::from_mins(2));
        assert_eq!(held(&flight), Some(HoldCause::NoData));
        flight
    };
    // The pilot leaves a run that is held for missing data.
    let mut flight = blind();
    flight.feed(Input::ScreenLeft { who: Person::of_login("ada"), role: Role::Pilot });
    flight.error_rate = Ok(0.0004);
    flight.fly(Span::from_mins(1));
    assert_eq!(held(&flight), Some(HoldCause::Away));
    // The engine dies meanwhile.
    let mut flight = blind();
    flight.resume();
    flight.error_rate = Ok(0.0004);
    flight.fly(Span::from_mins(1));
    assert_eq!(held(&flight), Some(HoldCause::Resumed));
}

#[test]
fn no_data_counts_as_a_breach_where_the_runbook_says_so() {
    let mut flight = Flight::in_window(with_trigger(Then::Rollback, OnNoData::Rollback));
    flight.error_rate = down();
    flight.fly(Span::from_secs(60));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert!(flight.run().rollbacks[0].reason.contains("no data"));
}

#[test]
fn a_breach_fires_at_exactly_its_time_counts_down_and_rolls_back() {
    let mut flight = Flight::in_window(runbook());
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_mins(5));
    let since = flight.run().triggers[0].breaching.unwrap().0;
    assert_eq!(flight.count("trigger_fired"), 0);
    flight.fly(Span::from_secs(10));
    let fired = flight.events.iter().find(|e| e.event.name() == "trigger_fired").unwrap();
    assert_eq!(fired.at.since(since), Span::from_mins(5));
    let Prompt::Countdown { ends_at, trigger: 0 } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert_eq!(ends_at.since(fired.at), Span::from_secs(30));
    flight.fly(Span::from_secs(31));
    let started = flight.events.iter().find(|e| e.event.name() == "rollback_started").unwrap();
    assert_eq!(started.at, ends_at);
    let RunEvent::RollbackStarted { procedure, reason, by, .. } = &started.event else { unreachable!() };
    assert_eq!((procedure.as_str(), by), ("quick", &Actor::Trigger));
    assert!(
        reason.contains("error rate > 1 %") && reason.contains("20 %") && reason.contains("5:00"),
        "{reason}"
    );
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert_eq!(flight.status("monitor"), StepStatus::Failed, "the attempt has an end");
    // Nothing fires after the end.
    let events = flight.events.len();
    flight.fly(Span::from_mins(10));
    assert_eq!(flight.events.len(), events);
}

#[test]
fn a_good_sample_clears_the_breach() {
    let mut flight = Flight::in_window(runbook());
    for _ in 0..5 {
        flight.error_rate = Ok(0.2);
        flight.fly(Span::from_secs(290));
        flight.error_rate = Ok(0.0004);
        flight.fly(Span::from_secs(10));
    }
    assert_eq!(flight.count("trigger_fired"), 0);
    assert_eq!(flight.count("trigger_breaching"), 5);
    assert_eq!(flight.count("trigger_cleared"), 5);
}

#[test]
fn a_countdown_is_cancelled_with_a_reason_and_armed_again() {
    let mut flight = Flight::in_window(runbook());
    flight.command(cancel("why not"));
    refused(&flight, "no countdown");
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(320));
    flight.command(cancel(" "));
    refused(&flight, "say why");
    flight.command(cancel("a known client bug"));
    assert_eq!(flight.refused, None);
    flight.fly(Span::from_secs(60));
    assert_eq!(flight.count("rollback_started"), 0);
    flight.fly(Span::from_secs(260));
    assert_eq!(flight.count("trigger_fired"), 2, "armed again, for a new full time");
    flight.fly(Span::from_secs(31));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn of_two_countdowns_the_one_that_ends_first_is_shown_and_decides() {
    let mut runbook = runbook();
    let countdown = Then::Countdown(Span::from_secs(30));
    let sooner = trigger(countdown, Span::from_secs(290), OnNoData::Hold);
    runbook.triggers[0] = trigger(countdown, Span::from_mins(5), OnNoData::Hold);
    runbook.triggers.insert(1, crate::domain::runbook::Trigger { reason: "sooner".to_owned(), ..sooner });
    let mut flight = Flight::in_window(runbook);
    flight.error_rate = Ok(0.2);
    while flight.count("countdown_started") < 2 {
        flight.fly(Span::from_secs(1));
    }
    let Prompt::Countdown { trigger, ends_at } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert_eq!(trigger, 1);
    assert!(ends_at.since(flight.now) < Span::from_secs(25), "{ends_at} at {}", flight.now);
    assert_eq!(flight.machine.run().goes_back_in(flight.now), Some(ends_at.since(flight.now)));
    flight.fly(ends_at.since(flight.now).saturating_add(Span::from_secs(1)));
    let why = flight.machine.run().rollbacks.last().map(|rollback| rollback.reason.clone());
    assert!(why.as_deref().is_some_and(|why| why.starts_with("sooner")), "{why:?}");
}

#[test]
fn a_countdown_waits_a_minute_in_all_for_whoever_writes_why() {
    let writes = |begins| Command::Reconsider { trigger: 0, begins };
    let counting = || {
        let mut flight = Flight::in_window(runbook());
        flight.command(writes(true));
        flight.error_rate = Ok(0.2);
        while flight.count("countdown_started") == 0 {
            flight.fly(Span::from_secs(1));
        }
        flight.fly(Span::from_secs(20));
        flight
    };
    let left = |flight: &Flight| match flight.prompt() {
        Prompt::Countdown { ends_at, .. } => ends_at.since(flight.now).as_secs(),
        other => panic!("{other:?}"),
    };
    // Written and not sent: the countdown goes on where it was.
    let mut flight = counting();
    assert_eq!(left(&flight), 10);
    flight.command(writes(true));
    flight.fly(Span::from_secs(45));
    assert_eq!(flight.count("rollback_started"), 0);
    flight.command(writes(false));
    assert_eq!(left(&flight), 10);
    // A second time it waits for what is left of the minute.
    flight.command(writes(true));
    flight.fly(Span::from_secs(24));
    assert_eq!(flight.count("rollback_started"), 0);
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    // Whoever still writes when the rollback has begun is told nothing of it.
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    flight.command(writes(false));
    assert_eq!(flight.refused, None);
    // Nobody comes back to it: after the minute the rule decides.
    let mut flight = counting();
    flight.command(writes(true));
    flight.fly(Span::from_secs(69));
    assert_eq!(flight.count("rollback_started"), 0);
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

/// Two triggers count the same metric, the second one 15 seconds later.
fn two_countdowns() -> Flight {
    let mut runbook = runbook();
    let countdown = Then::Countdown(Span::from_secs(30));
    let second = trigger(countdown, Span::from_secs(315), OnNoData::Hold);
    runbook.triggers[0] = trigger(countdown, Span::from_mins(5), OnNoData::Hold);
    runbook.triggers.insert(1, crate::domain::runbook::Trigger { reason: "second".to_owned(), ..second });
    let mut flight = Flight::in_window(runbook);
    flight.error_rate = Ok(0.2);
    while flight.count("countdown_started") == 0 {
        flight.fly(Span::from_secs(1));
    }
    flight
}

#[test]
fn no_countdown_runs_on_while_somebody_writes_about_another() {
    let ends = |flight: &Flight, trigger: usize| {
        let ends = flight.run().triggers[trigger].countdown.expect("it counts down");
        ends.since(flight.now).as_secs()
    };
    let writes = |begins| Command::Reconsider { trigger: 0, begins };
    // Both count already.
    let mut flight = two_countdowns();
    while flight.run().triggers[1].countdown.is_none() {
        flight.fly(Span::from_secs(1));
    }
    let before = [ends(&flight, 0), ends(&flight, 1)];
    flight.command(writes(true));
    flight.fly(Span::from_secs(40));
    assert_eq!(flight.count("rollback_started"), 0);
    // The words were found: the first is cancelled, the second goes on where it was.
    flight.command(cancel("a known client bug"));
    flight.command(writes(false));
    assert_eq!(flight.run().triggers[0].countdown, None);
    assert_eq!(ends(&flight, 1), before[1]);
    // Not for longer than a minute in all.
    flight.command(Command::Reconsider { trigger: 1, begins: true });
    flight.fly(Span::from_secs(19 + before[1]));
    assert_eq!(flight.count("rollback_started"), 0);
    flight.fly(Span::from_secs(3));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));

    // The second begins while somebody writes about the first.
    let mut flight = two_countdowns();
    flight.command(writes(true));
    flight.fly(Span::from_secs(50));
    assert_eq!(flight.count("rollback_started"), 0);
    let left = ends(&flight, 1);
    assert!((31..=40).contains(&left), "it waits as long as the first: {left}");
    flight.command(writes(false));
    assert_eq!(ends(&flight, 1), 30, "and has all of its time");
}

#[test]
fn ask_waits_for_a_person_and_keeps_the_window_open() {
    let mut flight = Flight::in_window(with_trigger(Then::Ask, OnNoData::Hold));
    flight.tick_checks();
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(330));
    assert_eq!(flight.prompt(), Prompt::Fired { trigger: 0 });
    flight.error_rate = Ok(0.0004);
    flight.fly(Span::from_mins(20));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    flight.command(cancel("it was a test"));
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
}

#[test]
fn a_breach_over_the_end_keeps_the_window_open() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_secs(820));
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(200));
    assert_eq!(flight.status("monitor"), StepStatus::Checking, "full, but in breach");
    flight.fly(Span::from_secs(200));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_check_that_fails_at_the_end_for_longer_than_its_timeout_fails_the_step() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_secs(840));
    flight.failing.insert("health".to_owned());
    flight.fly(Span::from_secs(55));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.status("monitor"), StepStatus::Failed);
    assert!(flight.run().step("monitor").unwrap().reason.clone().unwrap().contains("health"));
    // Tried again, the window is watched anew, all of it.
    flight.failing.clear();
    flight.command(Command::Retry { step: Some("monitor".into()), attempt: 1 });
    flight.settle();
    flight.tick_checks();
    flight.fly(Span::from_mins(14));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    flight.fly(Span::from_mins(2));
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
}

#[test]
fn a_switch_right_after_the_opening_has_the_past_for_its_baseline() {
    let mut flight = Flight::passed(runbook(), 2);
    let past = |minutes: u64, value: f64| Sample {
        metric: "transactions".into(),
        slot: Some("blue".into()),
        at: flight.now - Span::from_mins(minutes),
        value: Ok(value),
        counts: None,
    };
    // Not in order, one of them twice, one too old, one from a moment without data.
    let mut samples = vec![past(2, 1900.0), past(4, 2100.0), past(2, 1900.0), past(30, 9.0)];
    samples.push(Sample { value: Err(Missing::NoData), ..past(1, 0.0) });
    flight.machine.recent.clear();
    let before = flight.events.len();
    flight.feed(Input::Past(samples));
    assert_eq!(flight.events.len(), before, "the past is no news");
    flight.start();
    let baseline = &flight.run().baseline;
    assert!((baseline["transactions/blue"] - 2000.0).abs() < 1e-9, "{baseline:?}");
}

#[test]
fn a_baseline_of_less_than_five_minutes_says_of_how_much_it_is() {
    let line = |samples: &[u64]| {
        let mut flight = Flight::passed(runbook(), 2);
        let past = |seconds: &u64| Sample {
            metric: "transactions".into(),
            slot: Some("blue".into()),
            at: flight.now - Span::from_secs(*seconds),
            value: Ok(2000.0),
            counts: None,
        };
        let samples = samples.iter().map(past).collect();
        flight.machine.recent.clear();
        flight.feed(Input::Past(samples));
        flight.start();
        let short = flight.run().baseline_short.get("transactions/blue").copied();
        let told =
            flight.events.iter().find(|envelope| matches!(envelope.event, RunEvent::BaselineRecorded { .. }));
        (short, crate::domain::story::line(flight.run(), &told.unwrap().event).unwrap())
    };
    let interval = runbook().metric("transactions").unwrap().interval;
    let (short, told) = line(&[100, 50, 10]);
    assert_eq!(short, Some(Span::from_secs(90).saturating_add(interval)));
    assert!(told.contains(&format!("from only {} of data", short.unwrap().clock())), "{told}");
    let (short, told) = line(&[299, 150, 1]);
    assert_eq!(short, None);
    assert!(!told.contains("from only"), "{told}");
}

#[test]
fn what_is_judged_by_a_short_baseline_says_so() {
    let mut flight = Flight::in_window(runbook());
    flight.fly(Span::from_mins(1));
    let evidence = flight.events.iter().find_map(|envelope| match &envelope.event {
        RunEvent::CheckPassed { text, evidence, .. } if text == "rate" => Some(evidence.clone()),
        _ => None,
    });
    let short = flight.run().baseline_short["transactions/blue"].clock();
    assert!(
        evidence.as_ref().is_some_and(|it| it.ends_with(&format!(", a baseline of only {short} of data"))),
        "{evidence:?}"
    );
}

#[test]
fn m5_the_past_feeds_no_trigger_and_is_not_the_present() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_mins(8));
    let bad: Vec<Sample> = (0..120)
        .map(|n| Sample {
            metric: "error_rate".into(),
            slot: Some("green".into()),
            at: flight.now - Span::from_secs(600 - n * 5),
            value: Ok(0.9),
            counts: None,
        })
        .collect();
    let before = flight.events.len();
    let baseline = flight.run().baseline.clone();
    flight.feed(Input::Past(bad));
    assert_eq!(flight.events.len(), before);
    assert_eq!(flight.run().baseline, baseline);
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.count("trigger_breaching"), 0);
}

#[test]
fn within_the_baseline_is_judged_against_what_the_old_slot_had() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    let state = &flight.run().step("monitor").unwrap().work.checks[1];
    assert!(state.evidence.contains("2300/min"), "{}", state.evidence);
    for _ in 0..200 {
        flight.now = flight.now + Span::from_secs(5);
        flight.sample("error_rate", "green", Ok(0.0004));
        flight.sample("transactions", "green", Ok(1000.0));
        flight.feed(Input::Tick);
        flight.look_again();
    }
    assert_eq!(flight.status("monitor"), StepStatus::Failed);
    assert!(
        flight.run().step("monitor").unwrap().reason.clone().unwrap().contains("within 20 % of 2300/min")
    );
}

#[test]
fn a_trigger_that_cannot_roll_back_holds_the_run() {
    let mut without = with_trigger(Then::Rollback, OnNoData::Hold);
    without.rollbacks.clear();
    let mut flight = Flight::in_window(without);
    flight.tick_checks();
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(330));
    let Prompt::Fired { .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert!(flight.run().held.clone().unwrap().reason.contains("could not start"));
    assert_eq!(flight.count("rollback_started"), 0);
}

#[test]
fn an_error_on_the_old_slot_is_not_the_new_ones() {
    let mut flight = Flight::in_window(runbook());
    for _ in 0..60 {
        flight.fly(Span::from_secs(10));
        flight.now = flight.now + Span::from_millis(10);
        flight.sample("error_rate", "blue", Ok(0.9));
    }
    assert_eq!(flight.count("trigger_breaching"), 0);
}

#[test]
fn m6_one_rollback() {
    let mut several = with_trigger(Then::Rollback, OnNoData::Rollback);
    let then = [Then::Rollback, Then::Countdown(Span::from_secs(0)), Then::Rollback];
    several.triggers =
        then.map(|then| trigger(then, Span::from_secs(10), OnNoData::Rollback)).into_iter().collect();
    let ready = {
        let mut flight = Flight::in_window(several);
        flight.error_rate = Ok(0.2);
        flight.fly(Span::from_secs(10));
        flight
    };
    assert_eq!(ready.count("trigger_breaching"), 3);
    let base = ready.machine.clone();
    let now = ready.now + Span::from_secs(10);
    let sample = |at| {
        Input::Sample(Sample {
            metric: "error_rate".into(),
            slot: Some("green".into()),
            at,
            value: Ok(0.2),
            counts: None,
        })
    };
    let press = || {
        let command = Command::Rollback { reason: "I see it too".to_owned() };
        Input::Operator(crate::domain::message::Request { by: Actor::person("ada"), command })
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let order = Just(vec![0, 1, 2, 3, 4]).prop_shuffle();
    for _ in 0..1000 {
        let order = order.new_tree(&mut runner).unwrap();
        let mut machine = base.clone();
        let mut started = 0;
        for which in order.current() {
            let input = match which {
                0 | 1 => press(),
                2 => sample(now),
                3 => sample(now + Span::from_millis(1)),
                _ => Input::Tick,
            };
            let decision = machine.handle(now, input);
            started += decision.events.iter().filter(|e| e.event.name() == "rollback_started").count();
        }
        // And a good while after, whatever else was on its way.
        for second in 1..40 {
            let later = now + Span::from_secs(second);
            let decision = machine.handle(later, Input::Tick);
            started += decision.events.iter().filter(|e| e.event.name() == "rollback_started").count();
        }
        assert_eq!(started, 1);
    }
    assert_eq!(second(&ready, "traffic_switched"), 0);
}
