//! Upper bounds of a share, from how many of how many were bad.

use super::counts::Counts;

/// The largest share q at which the divergence n KL(k/n, q) is at most `budget`: above it, what was seen is too unlikely.
pub(super) fn upper(counts: Counts, budget: f64) -> f64 {
    let Counts { bad, all } = counts.sound();
    if all <= 0.0 {
        return 1.0;
    }
    let share = bad / all;
    let (mut low, mut high) = (share, 1.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if all * divergence(share, middle) <= budget {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The largest share q that bets against "at least q" have not refuted at `ln_target`, from (3/4) q, (3/4)² q, … on; whenever one
/// looks. Each good event is what they win by, so the higher q is, the more they have won.
pub(super) fn upper_at_any_time(counts: Counts, ln_target: f64) -> f64 {
    let Counts { bad, all } = counts.sound();
    let (mut low, mut high) = (if all > 0.0 { bad / all } else { 1.0 }, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if ln_bets_against(middle, bad, all - bad) < ln_target {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Bets against one share.
const BETS: i32 = 16;

fn ln_bets_against(q: f64, bad: f64, good: f64) -> f64 {
    let bet = |j: i32| {
        let part = 0.75_f64.powi(j);
        bad * part.ln() + good * ((1.0 - part * q) / (1.0 - q)).ln()
    };
    let high = (1..=BETS).map(bet).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = (1..=BETS).map(|j| (bet(j) - high).exp()).sum();
    high + (sum / f64::from(BETS)).ln()
}

/// KL(p, q) of two coins, in nats.
fn divergence(p: f64, q: f64) -> f64 {
    let part = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    part(p, q) + part(1.0 - p, 1.0 - q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_bad_bounds_by_the_rule_of_three() {
        let bound = upper(Counts::new(0.0, 10_000.0), -(0.05_f64.ln()));
        assert!((bound - 3.0e-4).abs() < 1e-6, "{bound}");
        assert!((upper(Counts::NONE, 3.0) - 1.0).abs() < 1e-12, "nothing seen, nothing said");
        assert!((upper(Counts::new(10.0, 10.0), 3.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn looking_at_any_time_costs_something_and_not_much() {
        for counts in [(0.0, 1e4), (3.0, 3e4), (30.0, 3e4), (500.0, 1e5), (40.0, 100.0), (1.0, 50.0)] {
            let counts = Counts::from(counts);
            let target = -(0.01_f64.ln());
            let (once, always) = (upper(counts, target), upper_at_any_time(counts, target));
            assert!(always > once && always < 1.7 * once, "{counts:?}: {once} {always}");
        }
        assert!((upper_at_any_time(Counts::NONE, 3.0) - 1.0).abs() < 1e-12, "nothing seen, nothing said");
        assert!((upper_at_any_time(Counts::new(10.0, 10.0), 3.0) - 1.0).abs() < 1e-9);
    }
}
