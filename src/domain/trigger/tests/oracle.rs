//! Random traces against the definition, applied by brute force to the whole past.

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

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
    // Edges are where errors live: exactly six intervals, one millisecond more, no time at all, back in time.
    let step = match kind % 16 {
        0..8 => 5000,
        8 | 9 => 1 + many % 4999,
        10 => 30_000,
        11 => 30_001,
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

/// One accepted sample of the oracle: when, a breach or not, or nothing.
#[derive(Debug, Clone, Copy)]
struct Fact {
    at: i64,
    breach: Option<bool>,
    armed: usize,
}

/// The definition, word for word and without any state but the list: what the newest of the facts completes.
#[derive(Debug, PartialEq)]
struct Expected {
    held: bool,
    no_data: bool,
    blind: bool,
    since: Option<i64>,
    doubted: bool,
}

/// The median of the nine newest spacings; between two values each missing sample took its part.
fn spacing(facts: &[Fact]) -> i64 {
    let values: Vec<usize> = (0..facts.len()).filter(|n| facts[*n].breach.is_some()).collect();
    let mut all = vec![5_000; 9];
    for pair in values.windows(2) {
        let each = (facts[pair[1]].at - facts[pair[0]].at) / i64::try_from(pair[1] - pair[0]).unwrap();
        all.extend((each <= 60_000).then_some(each));
    }
    let newest = &mut all[..].iter().rev().take(9).copied().collect::<Vec<_>>();
    newest.sort_unstable();
    newest[4].max(5_000)
}

/// Whether a `for` clock that began with this fact still runs.
fn runs(facts: &[Fact], from: usize, armed: usize, hold_for: i64) -> bool {
    let good = |fact: &Fact| fact.breach == Some(false);
    let no_gap = |n: usize| {
        let longest = (6 * spacing(&facts[..n])).max(hold_for / 5);
        let before = facts[..n].iter().rev().find(|fact| fact.breach.is_some()).unwrap();
        facts[n].breach.is_none() || facts[n].at - before.at <= longest
    };
    facts[from].breach == Some(true)
        && !facts[from..].iter().any(good)
        && facts[from..].iter().all(|fact| fact.armed == armed)
        && (from + 1..facts.len()).all(no_gap)
}

/// From which fact on samples count for blindness, and whether it is blind.
fn sight(facts: &[Fact]) -> (usize, bool) {
    let (mut from, mut blind) = (0, false);
    for n in 1..=facts.len() {
        let six = n >= 6 && facts[n - 6..n].iter().all(|fact| fact.breach.is_some());
        if blind && six {
            (from, blind) = (n, false);
        }
        blind |= cannot_see(&facts[from..n]);
    }
    (from, blind)
}

fn cannot_see(facts: &[Fact]) -> bool {
    let missing = |facts: &[Fact]| facts.iter().filter(|fact| fact.breach.is_none()).count();
    let newest = |count: usize| &facts[facts.len().saturating_sub(count)..];
    facts.last().is_some_and(|fact| fact.breach.is_none())
        && (missing(newest(5)) == 5 || missing(newest(20)) >= 10)
}

fn oracle(facts: &[Fact], armed: usize, hold_for: i64) -> Expected {
    let start = (0..facts.len()).find(|&from| runs(facts, from, armed, hold_for));
    let held = start.is_some_and(|from| {
        let newest = facts[facts.len() - 1];
        let elapsed = newest.at - facts[from].at;
        let came = i64::try_from(facts.len() - from).unwrap();
        let measured = facts[from..].iter().filter(|fact| fact.breach.is_some()).count();
        let due = came.max(elapsed / spacing(facts) + 1);
        newest.breach.is_some()
            && measured >= 2
            && elapsed >= hold_for
            && i64::try_from(measured).unwrap() * 100 >= due * 60
    });
    let (from, blind) = sight(facts);
    let of_armed: Vec<Fact> = facts[from..].iter().filter(|fact| fact.armed == armed).copied().collect();
    let doubt = facts.iter().rev().find(|fact| fact.breach.is_some());
    Expected {
        held,
        no_data: cannot_see(&of_armed),
        blind,
        since: start.map(|from| facts[from].at),
        doubted: doubt.is_some_and(|fact| fact.breach == Some(true) && fact.armed == armed),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, rng_seed: RngSeed::Fixed(20_261_126), ..ProptestConfig::default() })]

    /// M3: ten thousand random traces, against the definition applied by brute force to the whole past.
    #[test]
    fn m3_for_is_exact(turns in prop::collection::vec(any::<(u8, u8, u16)>(), 1..48), hold_for in prop_oneof![Just(0_u64), Just(5000), Just(20_000), 1_u64..240_000], rollback: bool, takes in 0_i64..3000) {
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
                    (time, time + takes, value)
                }
                Turn::Ahead(value) => (time + 10_001, time, Ok(value)),
            };
            let changes = clock.observe(&sample(Timestamp(at), value.clone()), Timestamp(now));

            let ahead = at - now > 10_000;
            let number = value.ok().filter(|value| value.is_finite() && !ahead);
            let at = if ahead { now } else { at };
            let fact = Fact { at, breach: number.map(|value| value > 0.01), armed };
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
            let anew = |change: &TriggerChange| matches!(change, TriggerChange::Breaching { since, .. } if since.0 == fact.at);
            let begins = changes.iter().any(anew);
            prop_assert_eq!(begins, !fired_here && expected.since == Some(fact.at) && fact.breach == Some(true));
            let clears = changes.iter().any(|change| matches!(change, TriggerChange::Cleared { .. }));
            prop_assert_eq!(clears, !fired_here && before.doubted && fact.breach == Some(false));
            fired_here |= fires;
            let state = clock.state();
            prop_assert_eq!(state.breach.map(|breach| breach.since.0), expected.since);
            prop_assert_eq!((state.fired, state.blind.is_some()), (fired_here, expected.blind));
        }
    }
}
