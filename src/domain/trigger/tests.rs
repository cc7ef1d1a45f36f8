use proptest::prelude::*;

use super::*;
use crate::domain::{
    metric::{Bound, Op},
    runbook::Then,
};

const INTERVAL: Span = Span::from_secs(5);
const T0: i64 = 1_800_000_000_000;

fn at(s: i64) -> Timestamp {
    Timestamp(T0 + s * 1000)
}

fn watch(hold_for: Span, no_data: OnNoData) -> TriggerWatch {
    TriggerWatch {
        metric: "error_rate".into(),
        when: Bound { op: Op::Gt, value: 0.01 },
        hold_for,
        then: Then::Ask,
        no_data,
    }
}

fn clock(seconds: u64) -> TriggerClock {
    TriggerClock::new(&watch(Span::from_secs(seconds), OnNoData::Hold), INTERVAL)
}

fn sample(at: Timestamp, value: Result<f64, Missing>) -> Sample {
    Sample { metric: "error_rate".into(), slot: None, at, value }
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
    assert_eq!(feed(&mut clock, 9, GOOD), [TriggerChange::Cleared { value: Some(0.001) }]);
    assert_eq!(feed(&mut clock, 10, BAD), [TriggerChange::Breaching { since: at(10), value: 0.02 }]);
    assert_eq!(clock.state().breach.unwrap().elapsed, Span::ZERO);
}

#[test]
fn a_missing_sample_ends_the_breach_and_is_no_breach() {
    let mut clock = clock(10);
    feed(&mut clock, 0, BAD);
    feed(&mut clock, 5, BAD);
    assert_eq!(feed(&mut clock, 8, NONE), [TriggerChange::Cleared { value: None }]);
    assert_eq!(feed(&mut clock, 10, BAD), [TriggerChange::Breaching { since: at(10), value: 0.02 }]);
}

#[test]
fn a_gap_starts_the_clock_anew() {
    let mut clock = clock(15);
    feed(&mut clock, 0, BAD);
    assert_eq!(feed(&mut clock, 10, BAD), [], "two intervals are no gap");
    let late = at(20) + Span::from_millis(1);
    let changes = clock.observe(&sample(late, BAD), late);
    assert_eq!(changes, [TriggerChange::Breaching { since: late, value: 0.02 }]);
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
    assert_eq!(changes, [TriggerChange::Cleared { value: None }]);
    feed(&mut clock, 5, BAD);
    assert!(fired(&feed(&mut clock, 10, BAD)));
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
    assert_eq!(
        feed(&mut clock, 30, BAD),
        [TriggerChange::Sees, TriggerChange::Breaching { since: at(30), value: 0.02 }]
    );
    assert_eq!((clock.state().missing, clock.state().blind), (0, None));
}

#[test]
fn one_value_among_the_missing_keeps_the_sight() {
    let mut clock = clock(300);
    for s in 0..40 {
        let value = if s % 5 == 4 { GOOD } else { NONE };
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
            watch.when = Bound { op, value: 0.01 };
            let mut clock = TriggerClock::new(&watch, INTERVAL);
            assert_eq!(feed(&mut clock, 0, missing(n)), [], "{op} {n}");
            assert_eq!((clock.state().missing, clock.state().breach), (1, None), "{op} {n}");
            let breach = if matches!(op, Op::Gt | Op::Ge) { 1.0 } else { 0.0 };
            feed(&mut clock, 5, Ok(breach));
            let changes = feed(&mut clock, 10, missing(n));
            assert_eq!(changes, [TriggerChange::Cleared { value: None }], "{op} {n}");
            counted += 1;
        }
    }
    assert_eq!(counted, 40);
}

/// What a trace is made of.
#[derive(Debug, Clone)]
enum Turn {
    /// A sample whose time differs so many milliseconds from the last one's, asked for at that time.
    Step(i64, Result<f64, Missing>),
    /// A value from far in the future.
    Ahead(f64),
    /// The countdown was cancelled.
    Reset,
}

/// A turn from three random numbers; made by hand because ten thousand traces of nested strategies take their time.
fn turn((pick, kind, many): (u8, u8, u16)) -> Turn {
    let many = i64::from(many);
    // Edges are where errors live: exactly two intervals, one millisecond more, no time at all, back in time.
    let step = match kind % 16 {
        0..8 => 5000,
        8 | 9 => 1 + many % 4999,
        10 => 10_000,
        11 => 10_001,
        12 => 10_002 + many,
        13 => 0,
        14 => -(many % 12_000),
        _ => 4999,
    };
    match pick % 42 {
        0 => Turn::Reset,
        1 => Turn::Ahead(0.02),
        2..27 => Turn::Step(step, BAD),
        27..31 => Turn::Step(step, GOOD),
        31 | 32 => Turn::Step(step, Ok(0.01)),
        33 | 34 => Turn::Step(step, Ok(f64::NAN)),
        _ => Turn::Step(step, NONE),
    }
}

/// One accepted sample of the oracle: when, and a breach or not, or nothing.
#[derive(Debug, Clone, Copy)]
struct Fact {
    at: i64,
    breach: Option<bool>,
    armed: usize,
}

/// The definition, word for word and without any state but the list: which of the facts complete a `for`, which are the
/// fifth missing, which is a breach's first.
#[derive(Debug, PartialEq)]
struct Expected {
    held: bool,
    no_data: bool,
    blind: bool,
    since: Option<i64>,
}

fn oracle(facts: &[Fact], armed: usize, hold_for: i64) -> Expected {
    let newest = facts.len();
    let all = |from: usize, want: fn(&Fact) -> bool| facts[from..].iter().all(want);
    let chains = |from: usize| {
        all(from, |fact| fact.breach == Some(true))
            && facts[from..].iter().all(|fact| fact.armed == armed)
            && facts[from..].windows(2).all(|pair| pair[1].at - pair[0].at <= 10_000)
    };
    // The longest chain that ends here began first; its begin is what the meter shows.
    let since = (0..newest).find(|&from| chains(from)).map(|from| facts[from].at);
    let held = (0..newest)
        .any(|from| chains(from) && newest - from >= 2 && facts[newest - 1].at - facts[from].at >= hold_for);
    let missing = |from: usize| all(from, |fact| fact.breach.is_none());
    let blind = newest >= 5 && missing(newest - 5);
    let no_data = blind && facts[newest - 5..].iter().all(|fact| fact.armed == armed);
    Expected { held, no_data, blind, since }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// M3: ten thousand random traces, against the definition applied by brute force to the whole past.
    #[test]
    fn m3_for_is_exact(turns in prop::collection::vec(any::<(u8, u8, u16)>(), 1..28), hold_for in prop_oneof![Just(0_u64), Just(5000), Just(20_000), 1_u64..40_000], rollback: bool) {
        let no_data = if rollback { OnNoData::Rollback } else { OnNoData::Hold };
        let mut clock = TriggerClock::new(&watch(Span::from_millis(hold_for), no_data), INTERVAL);
        let (mut facts, mut armed, mut fired_here, mut time) = (Vec::<Fact>::new(), 0, false, T0);
        for random in turns {
            let (at, now, value) = match turn(random) {
                Turn::Reset => {
                    clock.reset();
                    (armed, fired_here) = (armed + 1, false);
                    continue;
                }
                Turn::Step(step, value) => {
                    time += step;
                    (time, time, value)
                }
                Turn::Ahead(value) => (time + 10_001, time, Ok(value)),
            };
            let changes = clock.observe(&sample(Timestamp(at), value.clone()), Timestamp(now));

            let number = value.ok().filter(|value| value.is_finite() && at - now <= 10_000);
            let fact = Fact { at: number.map_or(now, |_| at), breach: number.map(|value| value > 0.01), armed };
            let new = facts.iter().filter(|old| old.breach.is_some() == fact.breach.is_some()).all(|old| old.at < fact.at);
            if !new {
                prop_assert_eq!(changes, Vec::new());
                continue;
            }
            let before = oracle(&facts, armed, hold_for.cast_signed());
            facts.push(fact);
            let expected = oracle(&facts, armed, hold_for.cast_signed());

            let fires = !fired_here && (expected.held || (rollback && expected.no_data));
            prop_assert_eq!(fired(&changes), fires);
            let went_blind = changes.iter().any(|change| matches!(change, TriggerChange::Blind(_)));
            prop_assert_eq!(went_blind, expected.blind && !before.blind);
            let sees = changes.contains(&TriggerChange::Sees);
            prop_assert_eq!(sees, before.blind && !expected.blind);
            let begins = changes.iter().any(|change| matches!(change, TriggerChange::Breaching { .. }));
            prop_assert_eq!(begins, !fired_here && expected.since == Some(fact.at) && fact.breach == Some(true));
            let clears = changes.iter().any(|change| matches!(change, TriggerChange::Cleared { .. }));
            prop_assert_eq!(clears, !fired_here && before.since.is_some() && expected.since.is_none());
            fired_here |= fires;
            let state = clock.state();
            prop_assert_eq!(state.breach.map(|breach| breach.since.0), expected.since);
            prop_assert_eq!((state.fired, state.blind.is_some()), (fired_here, expected.blind));
        }
    }
}
