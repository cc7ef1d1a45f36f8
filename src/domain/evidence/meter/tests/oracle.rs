//! Random samples against the definition, applied by brute force.

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

/// E by its definition: for every start and every share the whole product again.
#[expect(clippy::cast_precision_loss, reason = "a handful of samples")]
fn ln_e(terms: Terms, samples: &[(Counts, Option<Counts>)]) -> f64 {
    let p = |j: u32| {
        let part = f64::from(j) / 39.0;
        (1.5 * terms.p0).powf(1.0 - part) * 0.9_f64.powf(part)
    };
    let alone = |p: f64, new: Counts| {
        new.bad * (p / terms.p0).ln() + (new.all - new.bad) * ((1.0 - p) / (1.0 - terms.p0)).ln()
    };
    let beside = |p: f64, new: Counts, old: Counts| {
        let r = p / terms.p0;
        let fair = new.all / (new.all + old.all);
        let worse = r * new.all / (r * new.all + old.all);
        new.bad * (worse / fair).ln() + old.bad * ((1.0 - worse) / (1.0 - fair)).ln()
    };
    // How often the old slot has failed before each sample.
    let mut lately = (0.0, 0.0);
    let phis: Vec<f64> = samples
        .iter()
        .map(|(_, old)| {
            let Some(old) = old else { return terms.phi };
            let times = match terms.usual {
                Some(usual) if lately.1 > 0.0 => f64::max(lately.0 / lately.1 / usual, 1.0),
                _ => 1.0,
            };
            lately = (lately.0 * 0.9 + old.bad, lately.1 * 0.9 + old.all);
            1.0 + times * (terms.phi - 1.0)
        })
        .collect();
    // Which sample's old slot each sample is compared with, and how many samples that is known of.
    let neighbour = |sample: usize, shift: isize| {
        let (new, old) = samples[sample];
        let other = sample.checked_add_signed(shift).and_then(|at| samples.get(at)?.1);
        other.filter(|other| other.all >= new.all * LEAST_OLD).or(old)
    };
    let e = |compared: bool, shift: isize| {
        // What comes after the newest sample is not known.
        let waits = shift > 0 && samples.last().is_some_and(|(_, old)| old.is_some());
        let samples: Vec<(Counts, Option<Counts>)> = (0..samples.len() - usize::from(waits))
            .map(|at| (samples[at].0, samples[at].1.and_then(|_| neighbour(at, shift))))
            .collect();
        let samples = samples.as_slice();
        let mut bets = Vec::new();
        for start in 0..samples.len() {
            // Of those beside, all that began before any old slot was there are those of the new slot alone.
            let weighed = compared && samples[..=start].iter().any(|(_, old)| old.is_some());
            let first = match (terms.weighed, weighed) {
                (Weighed::Evenly, _) => 0.0,
                (Weighed::Early, false) => 0.05,
                (Weighed::Early, true) => 0.45,
            };
            // Nine tenths for the first N, the rest of them in equal parts; then a tenth of 1/2, 1/6, 1/12, … for each N.
            let (n, k) = (f64::from(terms.starts), (start / terms.starts as usize) as f64);
            let weight = if k < 1.0 { (0.9 - first) / n } else { 0.1 / n / (k * k + k) };
            let weight = if start == 0 { weight + first } else { weight };
            let weighed = weighed && terms.weighed == Weighed::Early;
            let density = |j: u32| match samples[start] {
                (new, Some(old)) if weighed => {
                    let part = p(j) / terms.p0 * new.all / (p(j) / terms.p0 * new.all + old.all);
                    part * (1.0 - part)
                }
                _ => 1.0,
            };
            let mean = (0..40).map(density).sum::<f64>() / 40.0;
            for j in 0..40 {
                let weight = weight * density(j) / mean;
                let gain = |(&(new, old), phi): (&(Counts, Option<Counts>), &f64)| match old {
                    Some(old) if compared => beside(p(j), new, old) / phi,
                    _ => alone(p(j), new) / terms.phi,
                };
                let gained: f64 = samples.iter().zip(&phis).skip(start).map(gain).sum();
                bets.push(weight.ln() + gained);
            }
        }
        let high = bets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = bets.iter().map(|bet| (bet - high).exp()).sum();
        high + (sum / 40.0).ln()
    };
    let alone = e(false, 0);
    if samples.iter().all(|(_, old)| old.is_none()) {
        return alone;
    }
    let shifts: &[isize] = if terms.compared == Compared::Around { &[-1, 0, 1] } else { &[0] };
    let way = |shift: &isize| if *shift == 0 { 1.0 } else { 2.0 };
    shifts.iter().map(|shift| way(shift) * e(true, *shift)).fold(alone, f64::min)
}

fn counts() -> impl Strategy<Value = Counts> {
    (1_u32..2000, 0.0..1.0_f64)
        .prop_map(|(all, share)| Counts::new((f64::from(all) * share.powi(8)).floor(), f64::from(all)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(13), ..ProptestConfig::default() })]

    #[test]
    fn the_recursion_is_the_definition(
        samples in prop::collection::vec((counts(), prop::option::weighted(0.3, counts())), 1..25),
        p0 in 0.0001..0.5_f64,
        phi in 1.0..30.0_f64,
        usual in prop::option::of(0.0001..0.5_f64),
        starts in 1_u32..40,
        early in any::<bool>(),
        around in any::<bool>(),
    ) {
        let weighed = if early { Weighed::Early } else { Weighed::Evenly };
        let compared = if around { Compared::Around } else { Compared::AtOnce };
        let terms = Terms { phi, usual, weighed, compared, ..Terms::new(p0, 0.001, starts, 0.0) };
        let samples: Vec<_> = samples
            .into_iter()
            .map(|(new, old)| (new, old.filter(|old: &Counts| old.all >= new.all * LEAST_OLD)))
            .collect();
        let mut meter = Meter::new(terms).unwrap();
        for (sample, (new, old)) in samples.iter().enumerate() {
            let at = at(u32::try_from(sample).unwrap());
            match old {
                Some(old) => meter.add_beside(at, *new, *old),
                None => meter.add(at, *new),
            };
            let (is, expected) = (meter.shown().ln_e, ln_e(terms, &samples[..=sample]));
            // Nothing is compared with the sample after the first one yet.
            let Some(is) = is else {
                prop_assert!(sample == 0 && around && expected == f64::NEG_INFINITY, "{expected}");
                continue;
            };
            prop_assert!((is - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{is} {expected}");
        }
    }
}

/// The chance of `k` of `n`.
fn chance(k: u32, n: u32, share: f64) -> f64 {
    let ways = (0..k).fold(1.0, |ways, i| ways * f64::from(n - i) / f64::from(i + 1));
    ways * share.powf(f64::from(k)) * (1.0 - share).powf(f64::from(n - k))
}

/// The theorem behind the false alarm rate, reckoned out: no bet is expected to gain while nothing is wrong.
#[test]
fn no_bet_gains_while_nothing_is_wrong() {
    for p0 in [0.001, 0.05, 0.3] {
        for share in shares(p0) {
            for true_share in [0.0, p0 / 3.0, p0] {
                for n in [1, 2, 7, 40] {
                    let expected: f64 = (0..=n)
                        .map(|k| {
                            let gain = share.gain(Counts::new(f64::from(k), f64::from(n)));
                            chance(k, n, true_share) * gain.exp()
                        })
                        .sum();
                    assert!(expected <= 1.0 + 1e-9, "{p0} {true_share} {n}: {expected}");
                }
            }
        }
    }
}

/// … nor while the new slot fails no more often than the old one, whatever the rate of both is.
#[test]
fn no_comparison_gains_while_the_new_slot_is_not_worse() {
    for ratio in [1.5, 3.0, 20.0, 900.0] {
        let share = Share { ratio, ln_bad: f64::ln(ratio), ln_good: 0.0 };
        for (old, new) in
            [(0.0, 0.0), (0.02, 0.02), (0.3, 0.3), (0.3, 0.1), (0.9, 0.9), (1.0, 1.0), (1.0, 0.4)]
        {
            for (n_new, n_old) in [(1, 1), (1, 9), (12, 12), (12, 3), (3, 20)] {
                let mut expected = 0.0;
                for k in 0..=n_new {
                    for l in 0..=n_old {
                        let gain = share.gain_beside(
                            Counts::new(f64::from(k), f64::from(n_new)),
                            Counts::new(f64::from(l), f64::from(n_old)),
                        );
                        expected += chance(k, n_new, new) * chance(l, n_old, old) * gain.exp();
                    }
                }
                assert!(expected <= 1.0 + 1e-9, "{ratio} {old} {new} {n_new} {n_old}: {expected}");
            }
        }
    }
}

/// Bets against the old slot are spread by what is known before anybody asks whose the failures are.
#[test]
fn bets_are_spread_evenly_over_the_part_of_the_new_slot() {
    let shares: Vec<Share> = shares(0.001).collect();
    for (new, old) in [(10.0, 90.0), (50.0, 50.0), (1.0, 1e6)] {
        let spread = by_part(&shares, Counts::new(1.0, new), Counts::new(0.0, old));
        assert!((spread.iter().sum::<f64>() - 40.0).abs() < 1e-9);
        let below_half: f64 = spread
            .iter()
            .zip(&shares)
            .filter(|(_, share)| share.ratio * new < old)
            .map(|(bets, _)| bets)
            .sum();
        let part = 1.5 * new / (1.5 * new + old);
        let expected = if part > 0.5 { 0.0 } else { (0.5 - part) / (1.0 - part) };
        let reached = shares.last().map(|share| share.ratio * new > old).unwrap();
        assert!(!reached || (below_half / 40.0 - expected).abs() < 0.08, "{new} {old}: {below_half}");
    }
    assert_eq!(by_part(&shares, Counts::new(1.0, 5.0), Counts::NONE), vec![1.0; 40]);
}

#[test]
fn all_weights_together_are_at_most_one() {
    for starts in [1, 7, 180] {
        for first in [0.0, FIRST, FIRST_BESIDE] {
            let sum: f64 = (0..200_000).map(|sample| weight(sample, starts, first)).sum();
            assert!(sum <= 1.0 + 1e-12 && sum > 0.999, "{starts} {first}: {sum}");
        }
    }
}
