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
    let e = |compared: bool| {
        let mut bets = Vec::new();
        for start in 0..samples.len() {
            // Nine tenths for the first N in equal parts; then a tenth of 1/2, 1/6, 1/12, … for each N.
            let (n, k) = (f64::from(terms.starts), (start / terms.starts as usize) as f64);
            let weight = if k < 1.0 { 0.9 / n } else { 0.1 / n / (k * k + k) };
            for j in 0..40 {
                let gain = |&(new, old): &(Counts, Option<Counts>)| match old {
                    Some(old) if compared => beside(p(j), new, old),
                    _ => alone(p(j), new),
                };
                bets.push(weight.ln() + samples[start..].iter().map(gain).sum::<f64>() / terms.phi);
            }
        }
        let high = bets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = bets.iter().map(|bet| (bet - high).exp()).sum();
        high + (sum / 40.0).ln()
    };
    if samples.iter().any(|(_, old)| old.is_some()) { e(false).min(e(true)) } else { e(false) }
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
        starts in 1_u32..40,
    ) {
        let terms = Terms { p0, alpha: 0.001, phi, starts, at_least: 0.0 };
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
            let (is, expected) = (meter.shown().ln_e.unwrap(), ln_e(terms, &samples[..=sample]));
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

#[test]
fn all_weights_together_are_at_most_one() {
    for starts in [1, 7, 180] {
        let sum: f64 = (0..200_000).map(|sample| weight(sample, starts)).sum();
        assert!(sum <= 1.0 && sum > 0.999, "{starts}: {sum}");
    }
}
