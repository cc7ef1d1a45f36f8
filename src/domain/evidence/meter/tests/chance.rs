//! Monte Carlo with fixed seeds, few runs and wide margins; `benches/evidence.rs` has the full tables.

use super::{
    super::super::{
        baseline::Baseline,
        simulated::{Bursts, Dice},
    },
    *,
};

const EVENTS: u32 = 500;

/// The hour before, then samples with this rate each: when it was found worse, in samples.
fn run(seed: u64, cv: f64, terms: Terms, samples: u32, rate: impl Fn(u32) -> f64) -> Option<u32> {
    let mut dice = Dice::new(seed);
    let mut bursts = Bursts::new(cv, &mut dice);
    let mut draw = |rate: f64| {
        let factor = bursts.next(5.0, &mut dice);
        Counts::new(dice.bad(EVENTS, rate * factor), f64::from(EVENTS))
    };
    let phi = if cv > 0.0 {
        let blocks: Vec<Counts> =
            (0..60).map(|_| (0..12).fold(Counts::NONE, |sum, _| sum + draw(P0))).collect();
        Baseline::of(&blocks).phi
    } else {
        1.0
    };
    let mut meter = Meter::new(Terms { phi, ..terms }).unwrap();
    (1..=samples).find(|&sample| {
        let shown = meter.add(at(sample), draw(rate(sample)));
        matches!(shown.finding, Finding::Worse { .. })
    })
}

/// The median of the times until it was found, in seconds from the fault's beginning; a run that finds nothing is last.
fn median(runs: u64, found: impl Fn(u64) -> Option<u32>) -> u32 {
    let mut times: Vec<u32> =
        (0..runs).map(|seed| found(seed).map_or(u32::MAX, |samples| samples * 5)).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn faults_are_found_in_the_time_that_is_promised() {
    for (rate, cv, runs, between) in [
        (0.003, 0.0, 60, 60..=150),
        (0.005, 0.0, 100, 25..=50),
        (0.02, 0.0, 100, 5..=10),
        (0.05, 0.0, 100, 5..=5),
        (0.005, 1.0, 60, 40..=150),
        (0.02, 1.0, 60, 5..=30),
        (0.05, 1.0, 60, 5..=10),
    ] {
        let median = median(runs, |seed| run(seed, cv, terms(), 180, |_| rate));
        assert!(between.contains(&median), "{rate} {cv}: {median} s");
    }
}

#[test]
fn a_fault_that_begins_late_is_found_as_fast() {
    let late = median(100, |seed| {
        run(seed, 0.0, terms(), 180, |sample| if sample > 120 { 0.01 } else { P0 }).map(|found| found - 120)
    });
    assert!((10..=25).contains(&late), "{late} s");
}

#[test]
fn in_overtime_faults_are_found_a_little_later() {
    let terms = Terms { starts: 60, ..terms() };
    let rate = |sample: u32| if sample > 240 { 0.005 } else { P0 / 2.0 };
    let late = median(60, |seed| run(seed, 0.0, terms, 400, rate).map(|found| found.saturating_sub(240)));
    assert!((25..=70).contains(&late), "15 minutes into overtime: {late} s");
}

#[test]
fn false_alarms_are_rarer_than_alpha_however_long_it_goes_on() {
    let terms = Terms { alpha: 0.05, starts: 60, ..terms() };
    let fired = |rate: f64| (0..400).filter(|&seed| run(seed, 0.0, terms, 180, |_| rate).is_some()).count();
    let at_p0 = fired(P0);
    assert!(at_p0 <= 28, "{at_p0} of 400, 20 may");
    assert!(fired(P0 * 0.7) <= at_p0);
}

#[test]
fn the_bound_is_kept_whenever_one_looks() {
    let broken = (0..300).filter(|&seed| {
        let mut dice = Dice::new(seed);
        let mut meter = Meter::new(terms()).unwrap();
        (1..60).any(|sample| {
            meter.add(at(sample), Counts::new(dice.bad(EVENTS, 0.004), f64::from(EVENTS)));
            meter.below(0.95).is_some_and(|bound| bound < 0.004)
        })
    });
    let broken = broken.count();
    assert!(broken <= 15, "{broken} of 300 at 95 %");
    let mut meter = Meter::new(terms()).unwrap();
    meter.add(at(1), Counts::new(30.0, 30_000.0));
    let bound = meter.below(0.99).unwrap();
    assert!(bound > 0.0013 && bound < 0.002, "0.1 % seen: {bound}");
}

#[test]
fn what_fails_for_both_alike_condemns_nobody_and_three_times_as_much_does() {
    let beside = |seed: u64, rates: fn(u32) -> (f64, f64)| {
        let mut dice = Dice::new(seed);
        let mut meter = Meter::new(terms()).unwrap();
        (1..=180).find(|&sample| {
            let (new, old) = rates(sample);
            let new = Counts::new(dice.bad(100, new), 100.0);
            let old = Counts::new(dice.bad(900, old), 900.0);
            matches!(meter.add_beside(at(sample), new, old).finding, Finding::Worse { .. })
        })
    };
    let alike = (0..200).filter(|&seed| {
        beside(seed, |sample| if sample > 60 { (0.1, 0.1) } else { (0.001, 0.001) }).is_some()
    });
    let alike = alike.count();
    assert!(alike <= 2, "{alike} of 200");
    let worse = median(60, |seed| beside(seed, |_| (0.03, 0.01)));
    let alone = median(60, |seed| {
        let mut dice = Dice::new(seed);
        let mut meter = Meter::new(Terms { p0: 0.01, ..terms() }).unwrap();
        (1..=180).find(|&sample| {
            let new = Counts::new(dice.bad(100, 0.03), 100.0);
            matches!(meter.add(at(sample), new).finding, Finding::Worse { .. })
        })
    });
    assert!(worse <= 2 * alone, "{worse} s beside the old slot, {alone} s alone");
}

/// The counts of a slot by looks of 5 s: its one pod is scraped every so many seconds, `offset` after the first look. Of what happens at
/// a moment this share fails.
fn scraped(dice: &mut Dice, every: f64, offset: f64, rate: impl Fn(f64) -> f64) -> Vec<Counts> {
    const LASTS: f64 = 600.0;
    let mut looks = vec![Counts::NONE; 121];
    let mut seen = offset;
    while seen <= LASTS {
        // 50 requests a second, one moment after the other.
        let moments = (0..10).map(|moment| seen - every + (f64::from(moment) + 0.5) * every / 10.0);
        let bad = moments.map(|at| dice.bad(75, rate(at))).sum();
        let look = looks
            .iter()
            .enumerate()
            .position(|(look, _)| f64::from(u32::try_from(look).unwrap()) * 5.0 >= seen);
        looks[look.unwrap()] += Counts::new(bad, 750.0);
        seen += every;
    }
    looks
}

/// Slots that are scraped every 15 s, each at its own moment, and something that both need fails.
#[test]
fn what_fails_for_both_condemns_nobody_though_one_slot_is_seen_to_fail_first() {
    let condemned = |compared: Compared| {
        let found = (0..60).filter(|&seed| {
            let mut dice = Dice::new(seed);
            let (new, old) = (dice.unit() * 15.0, dice.unit() * 15.0);
            let begins = 300.0 + dice.unit() * 15.0;
            let rate = |at: f64| if at > begins { 0.3 } else { P0 };
            let new = scraped(&mut dice, 15.0, new, rate);
            let old = scraped(&mut dice, 15.0, old, rate);
            let mut meter = Meter::new(Terms { compared, ..terms() }).unwrap();
            let (mut sum, mut sum_old) = (Counts::NONE, Counts::NONE);
            new.iter().zip(&old).enumerate().any(|(look, (new, old))| {
                (sum, sum_old) = (sum + *new, sum_old + *old);
                // The counts of one slot wait for those of the other.
                if sum.all <= 0.0 || sum_old.all <= 0.0 {
                    return false;
                }
                let (new, old) = (std::mem::take(&mut sum), std::mem::take(&mut sum_old));
                let shown = meter.add_beside(at(u32::try_from(look).unwrap()), new, old);
                matches!(shown.finding, Finding::Worse { .. })
            })
        });
        found.count()
    };
    let (at_once, around) = (condemned(Compared::AtOnce), condemned(Compared::Around));
    assert!(at_once >= 6, "{at_once} of 60: this is what it is about");
    assert_eq!(around, 0, "of 60");
}
