//! How each scenario affects the new version's health, over the time since it got its first traffic.

use super::noise::pick;
use crate::world::scenario::Scenario;

/// How a version serves the traffic it gets at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Health {
    /// Share of requests answered with 500 or 502.
    pub(super) errors: f64,
    /// 95th percentile of the latency, in seconds.
    pub(super) p95: f64,
    /// Share of payments that fail.
    pub(super) failed_payments: f64,
    /// Added to the share of the CPU that the full traffic costs.
    pub(super) extra_cpu: f64,
}

impl Health {
    /// A version without a fault.
    pub(super) const GOOD: Self =
        Self { errors: 0.000_4, p95: 0.141, failed_payments: 0.004, extra_cpu: 0.0 };
    /// Every twentieth request fails; slower than the alert's neighbourhood, not over it.
    const BAD: Self = Self { errors: 0.05, p95: 0.445, failed_payments: 0.05, extra_cpu: 0.09 };
    /// Over the error rate's bound of 1 %, everything else inside its own.
    const SHAKY: Self = Self { errors: 0.018, p95: 0.175, failed_payments: 0.007, extra_cpu: 0.03 };
    /// One request in two hundred fails, nothing else: below every usual bound, and five times what is harmless.
    const SUBTLE: Self = Self { errors: 0.005, ..Self::GOOD };
    /// What all versions need fails for some of their requests.
    const STARVED: Self = Self { errors: 0.008, ..Self::GOOD };
    /// In a burst, and between two bursts: together no more than ever.
    const BURST: Self = Self { errors: 0.001_4, ..Self::GOOD };
    const CALM: Self = Self { errors: 0.000_03, ..Self::GOOD };
    /// As broken as it takes to notice within a minute.
    const BROKEN: Self = Self { errors: 0.12, p95: 0.480, failed_payments: 0.20, extra_cpu: 0.12 };

    /// The health `share` of the way from `self` to `to`.
    fn towards(self, to: Self, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let blend = |from: f64, to: f64| from * (1.0 - share) + to * share;
        Self {
            errors: blend(self.errors, to.errors),
            p95: blend(self.p95, to.p95),
            failed_payments: blend(self.failed_payments, to.failed_payments),
            extra_cpu: blend(self.extra_cpu, to.extra_cpu),
        }
    }
}

/// How long a breakage takes from the first error to its full extent.
const RAMP_MS: i64 = 10_000;

/// Flaps begin this long after the switch; each lasts three minutes, with a minute of health between two.
const FLAP_FIRST_MS: i64 = 20_000;
const FLAP_MS: i64 = 180_000;
const FLAP_GAP_MS: i64 = 60_000;

/// One block in so many is a burst, and blocks are so long. No minute has two.
const BURST_EVERY: i64 = 4;
const BURST_MS: i64 = 30_000;

/// A shared dependency fails for so long.
const STARVED_MS: i64 = 180_000;

/// A scenario with its chances drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Story {
    scenario: Scenario,
    window_ms: i64,
    onset_ms: i64,
}

impl Story {
    pub(super) fn new(scenario: Scenario, window_ms: i64, seed: u64) -> Self {
        Self { scenario, window_ms, onset_ms: 60_000 + pick(seed, 1, 31) * 1_000 }
    }

    /// How the version with the traffic does `live_ms` after it got it. Only a new version has a story to tell.
    pub(super) fn health(&self, live_ms: i64) -> Health {
        let after = |onset: i64, broken: Health| {
            #[expect(clippy::cast_precision_loss, reason = "hours in milliseconds fit a double")]
            let share = (live_ms - onset) as f64 / RAMP_MS as f64;
            Health::GOOD.towards(broken, share)
        };
        match self.scenario {
            Scenario::BadRelease => after(self.onset_ms, Health::BAD),
            Scenario::BadAtFivePercent => Health::BAD,
            Scenario::RollbackNeededLate => after(self.last_minute(), Health::BROKEN),
            Scenario::Flapping if self.flaps(live_ms) => Health::SHAKY,
            Scenario::SubtleRelease => after(self.onset_ms, Health::SUBTLE),
            _ => Health::GOOD,
        }
    }

    /// How every version does at a time, whatever it is, where that is not the version's own doing: `new_ms` is for how long the
    /// new one has had traffic.
    pub(super) fn ambient(&self, now_ms: i64, new_ms: Option<i64>) -> Option<Health> {
        match self.scenario {
            Scenario::BurstyButFine => {
                let bursts = now_ms.div_euclid(BURST_MS).rem_euclid(BURST_EVERY) == 0;
                Some(if bursts { Health::BURST } else { Health::CALM })
            }
            Scenario::SharedDependencyFails => {
                let since = new_ms? - self.onset_ms;
                (0..STARVED_MS).contains(&since).then_some(Health::STARVED)
            }
            _ => None,
        }
    }

    /// Where the window's last minute begins, or its second half where it is shorter than two.
    fn last_minute(&self) -> i64 {
        (self.window_ms - 60_000).max(self.window_ms / 2)
    }

    /// Whether nothing answers for metrics any more.
    pub(super) fn is_metrics_outage(&self, live_ms: i64) -> bool {
        self.scenario == Scenario::MetricsOutage && live_ms >= 60_000
    }

    /// Whether `live_ms` lies in a flap. There are three, or as many as fit in the first 60 % of the window; where two
    /// do not fit, two shorter ones, so that the rest of the window shows that it settled.
    fn flaps(&self, live_ms: i64) -> bool {
        let room = self.window_ms * 6 / 10;
        let end_of = |count: i64| FLAP_FIRST_MS + count * FLAP_MS + (count - 1) * FLAP_GAP_MS;
        let count = if end_of(3) <= room { 3 } else { 2 };
        // A narrow window is the same story told faster.
        let told = if end_of(2) <= room { live_ms } else { live_ms.saturating_mul(end_of(2)) / room.max(1) };
        let since_first = told - FLAP_FIRST_MS;
        let period = FLAP_MS + FLAP_GAP_MS;
        since_first >= 0 && since_first / period < count && since_first % period < FLAP_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: i64 = 15 * 60_000;

    /// Seconds after the switch at which the error rate is over 1 %.
    fn breaching(scenario: Scenario, window_ms: i64) -> Vec<i64> {
        let story = Story::new(scenario, window_ms, 42);
        (0..3_600).filter(|second| story.health(second * 1_000).errors > 0.01).collect()
    }

    #[test]
    fn a_bad_release_breaks_within_ninety_seconds_and_stays_broken() {
        for seed in 0..100 {
            let story = Story::new(Scenario::BadRelease, WINDOW, seed);
            assert_eq!(story.health(59_000), Health::GOOD);
            assert_eq!(story.health(100_000), Health::BAD);
            assert_eq!(story.health(3_600_000), Health::BAD);
        }
    }

    #[test]
    fn flaps_are_short_and_settle_before_sixty_percent_of_the_window() {
        for window_ms in [60_000, 5 * 60_000, WINDOW, 30 * 60_000, 3_600_000] {
            let over = breaching(Scenario::Flapping, window_ms);
            let mut longest = 0;
            let mut flaps = 0;
            let mut begin = 0;
            for (at, second) in over.iter().enumerate() {
                if at == 0 || over[at - 1] + 1 != *second {
                    flaps += 1;
                    begin = *second;
                }
                longest = longest.max(second - begin + 1);
            }
            assert!((2..=3).contains(&flaps), "{flaps} flaps in {window_ms}");
            assert!(longest <= 180, "{longest} s");
            assert!(
                over.last().is_some_and(|last| last * 1_000 < window_ms * 6 / 10),
                "in {window_ms}: {over:?}"
            );
        }
        assert_eq!(breaching(Scenario::Flapping, WINDOW).len(), 360);
    }

    #[test]
    fn what_fails_for_all_versions_fails_for_three_minutes_and_bursts_are_no_more_than_ever() {
        let shared = Story::new(Scenario::SharedDependencyFails, WINDOW, 3);
        let failing = (0..900).filter(|second| shared.ambient(0, Some(second * 1_000)).is_some()).count();
        assert_eq!(failing, 180);
        assert_eq!(shared.ambient(500_000, None), None, "before the new version has traffic nothing fails");
        let bursty = Story::new(Scenario::BurstyButFine, WINDOW, 3);
        let errors = |second: i64| bursty.ambient(second * 1_000, None).map_or(0.0, |health| health.errors);
        let mean = (0..3_600).map(errors).sum::<f64>() / 3_600.0;
        assert!(mean <= Health::GOOD.errors, "{mean}");
        assert!((0..3_600).any(|second| errors(second) > 0.001), "there are bursts");
        let subtle = Story::new(Scenario::SubtleRelease, WINDOW, 3);
        assert!(subtle.health(600_000).errors > 0.004 && subtle.health(600_000).errors < 0.01);
    }

    #[test]
    fn the_late_break_comes_in_the_last_minute() {
        let over = breaching(Scenario::RollbackNeededLate, WINDOW);
        assert_eq!(over.first(), Some(&841));
        assert_eq!(over.last(), Some(&3_599));
    }

    #[test]
    fn the_others_stay_healthy() {
        for scenario in [
            Scenario::Good,
            Scenario::SlowRollout,
            Scenario::ImagePullError,
            Scenario::MigrationFails,
            Scenario::MetricsOutage,
            Scenario::StuckHalfWay,
            Scenario::RouteNotAccepted,
            Scenario::SubtleRelease,
            Scenario::BurstyButFine,
            Scenario::SharedDependencyFails,
        ] {
            assert!(breaching(scenario, WINDOW).is_empty(), "{scenario}");
            let story = Story::new(scenario, WINDOW, 1);
            assert!(!story.is_metrics_outage(59_999));
            assert_eq!(story.is_metrics_outage(60_000), scenario == Scenario::MetricsOutage);
        }
    }
}
