mod loss;
mod oracle;

use super::*;
use crate::domain::{
    metric::{Bound, Op},
    runbook::{Rule, Then},
};

const INTERVAL: Span = Span::from_secs(5);
const T0: i64 = 1_800_000_000_000;

fn at(s: i64) -> Timestamp {
    Timestamp(T0 + s * 1000)
}

fn watch(hold_for: Span, no_data: OnNoData) -> TriggerWatch {
    TriggerWatch {
        metric: "error_rate".into(),
        rule: Rule::Fixed { when: Bound { op: Op::Gt, value: 0.01 }, hold_for },
        then: Then::Ask,
        no_data,
    }
}

fn clock(seconds: u64) -> TriggerClock {
    TriggerClock::new(&watch(Span::from_secs(seconds), OnNoData::Hold), INTERVAL)
}

fn sample(at: Timestamp, value: Result<f64, Missing>) -> Sample {
    Sample { metric: "error_rate".into(), slot: None, at, value, counts: None }
}

/// Feeds a sample measured `s` seconds in, at that time.
fn feed(clock: &mut TriggerClock, s: i64, value: Result<f64, Missing>) -> Vec<TriggerChange> {
    clock.observe(&sample(at(s), value), at(s))
}

const BAD: Result<f64, Missing> = Ok(0.02);
const GOOD: Result<f64, Missing> = Ok(0.001);
const NONE: Result<f64, Missing> = Err(Missing::NoData);

fn fired(changes: &[TriggerChange]) -> bool {
    changes.iter().any(|change| matches!(change, TriggerChange::Fired(_)))
}

#[test]
fn it_fires_at_exactly_for() {
    let mut clock = clock(20);
    assert_eq!(feed(&mut clock, 0, BAD), [TriggerChange::Breaching { since: at(0), value: 0.02 }]);
    for s in [5, 10, 15] {
        assert_eq!(feed(&mut clock, s, BAD), []);
    }
    let cause = Cause::Held { since: at(0), elapsed: Span::from_secs(20), value: 0.02 };
    assert_eq!(feed(&mut clock, 20, BAD), [TriggerChange::Fired(cause)]);
    assert_eq!(feed(&mut clock, 25, BAD), [], "told once");
    assert_eq!(feed(&mut clock, 30, GOOD), []);
    assert!(clock.state().fired, "stays so");
}

#[test]
fn one_millisecond_short_is_short() {
    let mut clock = TriggerClock::new(&watch(Span::from_secs(10), OnNoData::Hold), INTERVAL);
    feed(&mut clock, 0, BAD);
    let late = at(10) - Span::from_millis(1);
    assert!(!fired(&clock.observe(&sample(late, BAD), late)));
    assert!(fired(&feed(&mut clock, 10, BAD)));
}

#[test]
fn one_good_sample_resets() {
    let mut clock = clock(10);
    feed(&mut clock, 0, BAD);
    feed(&mut clock, 5, BAD);
    assert_eq!(feed(&mut clock, 9, GOOD), [TriggerChange::Cleared { value: 0.001 }]);
    assert_eq!(feed(&mut clock, 10, BAD), [TriggerChange::Breaching { since: at(10), value: 0.02 }]);
    assert_eq!(clock.state().breach.unwrap().elapsed, Span::ZERO);
}

#[test]
fn a_missing_sample_neither_advances_nor_ends_the_breach() {
    let mut clock = clock(20);
    feed(&mut clock, 0, BAD);
    feed(&mut clock, 5, BAD);
    assert_eq!(feed(&mut clock, 10, NONE), []);
    assert_eq!(clock.state().breach.unwrap().elapsed, Span::from_secs(5));
    feed(&mut clock, 15, BAD);
    assert_eq!(feed(&mut clock, 20, NONE), [], "`for` is full, and nobody measured a breach");
    let cause = Cause::Held { since: at(0), elapsed: Span::from_secs(25), value: 0.02 };
    assert_eq!(feed(&mut clock, 25, BAD), [TriggerChange::Fired(cause)]);
}

#[test]
fn too_few_measured_waits_for_more_and_says_so() {
    let mut clock = clock(20);
    let told = |changes: Vec<TriggerChange>| match changes.as_slice() {
        [] => None,
        [TriggerChange::Waits { until, why }] => Some((until.since(at(0)).as_secs(), why.to_string())),
        other => panic!("{other:?}"),
    };
    feed(&mut clock, 0, BAD);
    assert_eq!(told(feed(&mut clock, 5, NONE)), None, "all that is due can still be measured in time");
    assert_eq!(told(feed(&mut clock, 10, NONE)), None);
    let (until, why) = told(feed(&mut clock, 15, NONE)).unwrap();
    assert_eq!((until, why.as_str()), (35, "1 of 4 samples measured, 60 % needed"));
    for s in [20, 25, 30] {
        assert_eq!(feed(&mut clock, s, BAD), [], "{s}");
    }
    assert!(fired(&feed(&mut clock, 35, BAD)), "five of eight");
}

#[test]
fn a_gap_starts_the_clock_anew() {
    // Six intervals, which is more than a fifth of `for`.
    let mut clock = clock(40);
    feed(&mut clock, 0, BAD);
    feed(&mut clock, 30, BAD);
    assert_eq!(clock.state().breach.unwrap().since, at(0), "six intervals are no gap");
    let late = at(60) + Span::from_millis(1);
    let changes = clock.observe(&sample(late, BAD), late);
    assert_eq!(changes, [TriggerChange::Breaching { since: late, value: 0.02 }]);
}

#[test]
fn a_fifth_of_for_is_no_gap() {
    let mut clock = clock(300);
    feed(&mut clock, 0, BAD);
    feed(&mut clock, 60, BAD);
    assert_eq!(clock.state().breach.unwrap().since, at(0));
    let late = at(120) + Span::from_millis(1);
    let changes = clock.observe(&sample(late, BAD), late);
    assert_eq!(changes, [TriggerChange::Breaching { since: late, value: 0.02 }]);
}

#[test]
fn a_gap_is_told_while_it_lasts_and_is_no_all_clear() {
    let mut clock = clock(40);
    feed(&mut clock, 0, BAD);
    let mut told = Vec::new();
    for s in (5..60).step_by(5) {
        told.extend(feed(&mut clock, s, NONE).into_iter().map(|change| (s, change)));
    }
    told.retain(|(_, change)| !matches!(change, TriggerChange::Waits { why: Waits::TooFew { .. }, .. }));
    let why = Waits::Gap { unmeasured: Span::from_secs(30) };
    let gap = TriggerChange::Waits { until: at(70), why };
    assert_eq!(told, [(25, TriggerChange::Blind(Missing::NoData)), (30, gap)]);
    assert_eq!(feed(&mut clock, 60, GOOD), [TriggerChange::Cleared { value: 0.001 }]);
}

/// M5: an hour asleep between two breaches is not an hour of breach.
#[test]
fn m5_time_asleep_is_not_evidence() {
    for hold_for in [0, 5, 300, 3600] {
        let mut clock = clock(hold_for);
        feed(&mut clock, 0, BAD);
        assert!(!fired(&feed(&mut clock, 3600, BAD)), "{hold_for}");
        assert_eq!(clock.state().breach.unwrap().since, at(3600));
    }
}

#[test]
fn a_for_of_nothing_still_takes_two_samples() {
    let mut clock = clock(0);
    assert!(!fired(&feed(&mut clock, 0, BAD)));
    assert_eq!(feed(&mut clock, 0, BAD), [], "the same sample again is not a second one");
    assert!(fired(&feed(&mut clock, 5, BAD)));
}

#[test]
fn repeats_and_steps_back_say_nothing() {
    let mut clock = clock(10);
    feed(&mut clock, 10, BAD);
    for value in [BAD, GOOD] {
        assert_eq!(feed(&mut clock, 10, value.clone()), []);
        assert_eq!(feed(&mut clock, 4, value), []);
    }
    assert_eq!(clock.state().breach.unwrap().samples, 1);
}

#[test]
fn a_value_from_the_future_cannot_silence_those_after_it() {
    let mut clock = clock(5);
    feed(&mut clock, 0, BAD);
    let changes = clock.observe(&sample(at(3600), BAD), at(1));
    assert_eq!((changes, clock.state().missing), (vec![], 1));
    assert!(fired(&feed(&mut clock, 5, BAD)));
}

#[test]
fn five_missing_in_a_row_are_blindness() {
    let mut clock = clock(300);
    for s in [0, 5, 10, 15] {
        assert_eq!(feed(&mut clock, s, NONE), []);
    }
    assert_eq!(feed(&mut clock, 20, NONE), [TriggerChange::Blind(Missing::NoData)]);
    let newer = Err(Missing::Unreachable("refused".into()));
    assert_eq!(feed(&mut clock, 25, newer), [], "told once");
    assert_eq!(
        clock.state().blind,
        Some(Missing::Unreachable("refused".into())),
        "the newest reason is shown"
    );
    assert_eq!(feed(&mut clock, 30, BAD), [TriggerChange::Breaching { since: at(30), value: 0.02 }]);
    assert!(clock.state().blind.is_some(), "one value is no sight");
    for s in [35, 40, 45, 50] {
        assert_eq!(feed(&mut clock, s, BAD), []);
    }
    assert_eq!(feed(&mut clock, 55, BAD), [TriggerChange::Sees]);
    assert_eq!((clock.state().missing, clock.state().blind), (0, None));
}

#[test]
fn a_missing_sample_among_the_six_keeps_it_blind() {
    let mut clock = clock(300);
    for s in 0..5 {
        feed(&mut clock, s * 5, NONE);
    }
    for s in 5..40 {
        let value = if s % 6 == 4 { NONE } else { GOOD };
        assert_eq!(feed(&mut clock, s * 5, value), [], "{s}");
    }
    assert!(clock.state().blind.is_some());
}

#[test]
fn half_of_the_last_twenty_missing_is_blindness() {
    // Two replicas behind one address, one of which measures nothing.
    let mut clock = clock(300);
    let mut blind = Vec::new();
    for s in 0..30 {
        let value = if s % 2 == 0 { BAD } else { NONE };
        if feed(&mut clock, s * 5, value).contains(&TriggerChange::Blind(Missing::NoData)) {
            blind.push(s);
        }
    }
    assert_eq!(blind, [19]);
    // What was lost before it saw again is not counted twice.
    for s in 30..36 {
        feed(&mut clock, s * 5, BAD);
    }
    assert_eq!(clock.state().blind, None);
    feed(&mut clock, 180, NONE);
    assert_eq!(clock.state().blind, None);
}

#[test]
fn two_of_five_missing_is_no_blindness() {
    let mut clock = clock(300);
    for s in 0..40 {
        let value = if s % 5 < 2 { NONE } else { GOOD };
        assert_eq!(feed(&mut clock, s * 5, value), [], "{s}");
    }
}

#[test]
fn a_server_ahead_of_us_cannot_hide_an_outage() {
    let mut clock = clock(300);
    clock.observe(&sample(at(9), GOOD), at(0));
    for s in 1..5 {
        assert_eq!(feed(&mut clock, s, NONE), []);
    }
    assert_eq!(feed(&mut clock, 5, NONE), [TriggerChange::Blind(Missing::NoData)]);
}

#[test]
fn no_data_rollback_fires_when_it_goes_blind() {
    let mut clock = TriggerClock::new(&watch(Span::from_mins(5), OnNoData::Rollback), INTERVAL);
    feed(&mut clock, 0, GOOD);
    for s in [5, 10, 15, 20] {
        assert_eq!(feed(&mut clock, s, NONE), []);
    }
    let both = [TriggerChange::Blind(Missing::NoData), TriggerChange::Fired(Cause::NoData(Missing::NoData))];
    assert_eq!(feed(&mut clock, 25, NONE), both);
    clock.reset();
    for s in [30, 35, 40, 45] {
        assert_eq!(feed(&mut clock, s, NONE), [], "armed again, and five more are needed");
    }
    assert_eq!(feed(&mut clock, 50, NONE), both[1..]);
}

#[test]
fn a_reset_takes_a_new_full_for() {
    let mut clock = clock(10);
    for s in [0, 5, 10] {
        feed(&mut clock, s, BAD);
    }
    assert!(clock.state().fired);
    clock.reset();
    assert!(!clock.state().fired);
    assert_eq!(feed(&mut clock, 10, BAD), [], "already counted");
    assert_eq!(feed(&mut clock, 15, BAD), [TriggerChange::Breaching { since: at(15), value: 0.02 }]);
    assert!(!fired(&feed(&mut clock, 20, BAD)));
    assert!(fired(&feed(&mut clock, 25, BAD)));
}

/// M1: 40 samples that are no number, none of which may start, go on with, complete or be a breach, or count as good.
#[test]
fn m1_what_is_no_number_neither_passes_nor_fires() {
    let missing = |n: usize| match n % 10 {
        0 => Ok(f64::NAN),
        1 => Ok(-f64::NAN),
        2 => Ok(f64::INFINITY),
        3 => Ok(f64::NEG_INFINITY),
        4 => Err(Missing::NoData),
        5 => Err(Missing::NotANumber),
        6 => Err(Missing::Unreachable("timed out".into())),
        7 => Err(Missing::BadAnswer("status 500".into())),
        8 => Err(Missing::Stale("4m old".into())),
        _ => Err(Missing::Ambiguous("2 series".into())),
    };
    let mut counted = 0;
    for op in [Op::Gt, Op::Ge, Op::Lt, Op::Le] {
        for n in 0..10 {
            let mut watch = watch(Span::from_secs(5), OnNoData::Hold);
            watch.rule = Rule::Fixed { when: Bound { op, value: 0.01 }, hold_for: Span::from_secs(5) };
            let mut clock = TriggerClock::new(&watch, INTERVAL);
            assert_eq!(feed(&mut clock, 0, missing(n)), [], "{op} {n}");
            assert_eq!((clock.state().missing, clock.state().breach), (1, None), "{op} {n}");
            let breach = if matches!(op, Op::Gt | Op::Ge) { 1.0 } else { 0.0 };
            feed(&mut clock, 5, Ok(breach));
            let changes = feed(&mut clock, 10, missing(n));
            assert!(changes.iter().all(|change| matches!(change, TriggerChange::Waits { .. })), "{op} {n}");
            assert!(!clock.state().fired, "{op} {n}");
            counted += 1;
        }
    }
    assert_eq!(counted, 40);
}

#[test]
fn what_an_earlier_clock_told_ends_by_measurement_only() {
    let taken = || clock(20).taking_up(true, Some(Missing::NoData));
    let mut clock = taken();
    for s in [0, 5, 10, 15] {
        assert_eq!(feed(&mut clock, s, NONE), []);
    }
    assert_eq!(feed(&mut clock, 20, GOOD), [TriggerChange::Cleared { value: 0.001 }]);
    for s in [25, 30, 35, 40] {
        assert_eq!(feed(&mut clock, s, GOOD), []);
    }
    assert_eq!(feed(&mut clock, 45, GOOD), [TriggerChange::Sees]);
    let mut clock = taken();
    let changes = feed(&mut clock, 0, BAD);
    assert_eq!(changes, [TriggerChange::Breaching { since: at(0), value: 0.02 }], "without credit");
}
