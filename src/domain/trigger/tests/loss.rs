//! Sources that lose answers, stall, or are slow.

use super::*;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    /// Whether something happens that does so in so many of a hundred cases.
    fn falls(&mut self, percent: u64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 100 < percent
    }
}

/// A source, and what happens to its answers.
#[derive(Clone, Copy)]
struct World {
    interval: i64,
    hold_for: u64,
    /// Answers lost, in percent.
    lost: u64,
    /// Milliseconds that an answer takes.
    takes: i64,
    /// For 6 s in 20 nothing is answered; who asks then waits, for 5 s at most.
    stalls: bool,
}

/// What became of it: milliseconds from the first breach that was measured, and from the beginning.
#[derive(Debug, Default)]
struct Became {
    fired: Option<(i64, i64)>,
    blind: Option<i64>,
}

impl World {
    /// Every value is a breach, for so many seconds.
    fn fly(self, seed: u64, seconds: i64) -> Became {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let interval = Span::from_millis(self.interval.cast_unsigned());
        let mut clock = TriggerClock::new(&watch(Span::from_secs(self.hold_for), OnNoData::Hold), interval);
        let (mut became, mut asked, mut first) = (Became::default(), 0, None);
        // No two runs begin at the same place in a stall.
        let shift = (seed.cast_signed() * 1_370) % 20_000;
        while asked < seconds * 1000 {
            let in_stall = self.stalls.then(|| 6_000 - (asked + shift) % 20_000).filter(|left| *left > 0);
            let mut answered = asked + self.takes + in_stall.unwrap_or(0);
            let mut value = if dice.falls(self.lost) { NONE } else { BAD };
            if answered > asked + 5_000 {
                (answered, value) = (asked + 5_000, Err(Missing::Unreachable("timed out".into())));
            }
            let (at, now) = (Timestamp(T0 + asked), Timestamp(T0 + answered));
            if value.is_ok() {
                first.get_or_insert(answered);
            }
            for change in clock.observe(&sample(at, value), now) {
                match change {
                    TriggerChange::Fired(_) => {
                        became.fired = first.map(|first| (answered - first, answered));
                    }
                    TriggerChange::Blind(_) => {
                        became.blind.get_or_insert(answered);
                    }
                    TriggerChange::Cleared { .. } => panic!("nothing was good"),
                    TriggerChange::Breaching { .. } | TriggerChange::Waits { .. } | TriggerChange::Sees => {}
                }
            }
            if became.fired.is_some() {
                break;
            }
            asked = (asked + self.interval).max(answered);
        }
        became
    }

    /// How many of a hundred runs have fired this many seconds after the first breach.
    fn fired_within(self, seconds: i64) -> usize {
        let fired = |seed| self.fly(seed, 1_800).fired.is_some_and(|(passed, _)| passed <= seconds * 1000);
        (1..=100).filter(|seed| fired(*seed)).count()
    }
}

/// M7: lost answers do not disarm.
#[test]
fn m7_it_fires_through_loss() {
    let minute = World { interval: 5_000, hold_for: 60, lost: 0, takes: 20, stalls: false };
    let five = World { hold_for: 300, ..minute };
    for lost in [0, 4, 10, 15, 20, 25] {
        let (of_minute, of_five) =
            (World { lost, ..minute }.fired_within(75), World { lost, ..five }.fired_within(310));
        assert!(of_minute >= 95 && of_five >= 95, "{lost} % lost: {of_minute} and {of_five} of 100");
    }
    // Whatever is lost of a quarter, it fires: every run, in the end.
    assert_eq!(World { lost: 25, ..minute }.fired_within(600), 100);
    assert_eq!(World { lost: 25, ..five }.fired_within(600), 100);
}

#[test]
fn m7_it_fires_through_stalls() {
    for interval in [1_000, 2_000, 5_000] {
        let minute = World { interval, hold_for: 60, lost: 0, takes: 20, stalls: true };
        assert_eq!(minute.fired_within(75), 100, "every {interval} ms");
        assert_eq!(World { hold_for: 300, ..minute }.fired_within(310), 100, "every {interval} ms");
    }
}

#[test]
fn m7_with_half_lost_it_is_blind() {
    let half = World { interval: 5_000, hold_for: 300, lost: 50, takes: 20, stalls: false };
    let blind = |seed: &u64| half.fly(*seed, 300).blind.is_some();
    let count = (1..=100).filter(blind).count();
    assert!(count >= 95, "{count} of 100");
    // The few that are not have measured enough to fire.
    let told = |became: &Became| became.blind.is_some() || became.fired.is_some();
    assert!((1..=100).all(|seed| told(&half.fly(seed, 600))));
}

#[test]
fn a_slow_source_is_slow_and_not_lost() {
    // Three seconds an answer, though one a second was declared; and an interval of nothing.
    for interval in [1_000, 0] {
        let slow = World { interval, hold_for: 20, lost: 0, takes: 3_000, stalls: false };
        let became = slow.fly(1, 95);
        let (passed, _) = became.fired.unwrap_or_else(|| panic!("every {interval} ms: never fired"));
        assert!(passed <= 27_000, "{passed} ms");
        assert_eq!(became.blind, None);
    }
    let instant = World { interval: 0, hold_for: 20, lost: 0, takes: 50, stalls: false };
    assert_eq!(instant.fired_within(21), 100);
}

/// What is promised is what happens: from any moment on, with every further sample a breach, it fires with the first
/// that is not earlier than promised.
#[test]
fn a_promise_is_kept() {
    let mut held = 0;
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut clock = clock(60);
        let mut promised = None;
        for n in 0..30 {
            let value = if dice.falls(30 + seed % 30) { NONE } else { BAD };
            for change in feed(&mut clock, n * 5, value) {
                match change {
                    TriggerChange::Breaching { since, .. } => promised = Some(since + Span::from_secs(60)),
                    TriggerChange::Waits { why: Waits::Gap { .. }, .. } => promised = None,
                    TriggerChange::Waits { until, .. } => promised = Some(until),
                    _ => {}
                }
            }
            let Some(promised) = promised.filter(|_| !clock.state().fired) else { continue };
            let mut from_here = clock.clone();
            let fires = (n + 1..n + 200).find(|m| fired(&feed(&mut from_here, m * 5, BAD))).unwrap();
            let first = (n + 1..n + 200).find(|m| at(m * 5) >= promised).unwrap();
            assert_eq!(fires, first, "seed {seed}, after {n} samples");
            held += 1;
        }
    }
    assert!(held > 1000, "{held}");
}
