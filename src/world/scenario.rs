//! The scenarios of a rehearsal.

use std::{fmt, str::FromStr};

use super::stage::Directing;

/// One scenario: what the new version, the cluster and the metrics server will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Everything works.
    Good,
    /// The new version fails for about 5 % of requests, from about two minutes after it gets traffic.
    BadRelease,
    /// The rollout takes several minutes and succeeds.
    SlowRollout,
    /// The new image cannot be pulled: `ErrImagePull`, then `ImagePullBackOff`.
    ImagePullError,
    /// The migration command fails.
    MigrationFails,
    /// Prometheus stops answering a minute after the switch and never comes back.
    MetricsOutage,
    /// The error rate goes over its bound for less than a trigger's `for`, again and again, and settles. Evidence finds it.
    Flapping,
    /// The new version breaks badly in the last minute of the window.
    RollbackNeededLate,
    /// The line to the API server is bad: every few minutes reads are refused, lost, late or in vain, watches end, fall silent or
    /// are too old, a pod crashes. The new version is fine.
    BadLine,
    /// Half of the new version's pods (rounded down) become ready, the others never do: a rolling update stops half-way, and
    /// its progress deadline passes.
    StuckHalfWay,
    /// The new version fails for 5 % of its requests, from the first one on.
    BadAtFivePercent,
    /// The gateway does not accept the route once its weights have changed, and goes on with those it had.
    RouteNotAccepted,
    /// The new version fails for 0.5 % of its requests, from about a minute after it gets traffic: below every usual bound.
    SubtleRelease,
    /// Nothing is wrong, but errors come in bursts, before the deployment and after it.
    BurstyButFine,
    /// From about a minute after the new version gets traffic something that all versions need fails for three minutes.
    SharedDependencyFails,
}

impl Scenario {
    /// All of them, in the order they are listed.
    pub const ALL: [Self; 15] = [
        Self::Good,
        Self::BadRelease,
        Self::SlowRollout,
        Self::ImagePullError,
        Self::MigrationFails,
        Self::MetricsOutage,
        Self::Flapping,
        Self::RollbackNeededLate,
        Self::BadLine,
        Self::StuckHalfWay,
        Self::BadAtFivePercent,
        Self::RouteNotAccepted,
        Self::SubtleRelease,
        Self::BurstyButFine,
        Self::SharedDependencyFails,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::BadRelease => "bad-release",
            Self::SlowRollout => "slow-rollout",
            Self::ImagePullError => "image-pull-error",
            Self::MigrationFails => "migration-fails",
            Self::MetricsOutage => "metrics-outage",
            Self::Flapping => "flapping",
            Self::RollbackNeededLate => "rollback-needed-late",
            Self::BadLine => "bad-line",
            Self::StuckHalfWay => "stuck-half-way",
            Self::BadAtFivePercent => "bad-at-5-percent",
            Self::RouteNotAccepted => "route-not-accepted",
            Self::SubtleRelease => "subtle-release",
            Self::BurstyButFine => "bursty-but-fine",
            Self::SharedDependencyFails => "shared-dependency-fails",
        }
    }

    /// One line for `--list-scenarios`.
    pub fn about(self) -> &'static str {
        match self {
            Self::Good => "everything works; the deployment succeeds",
            Self::BadRelease => "errors rise after the switch; a trigger rolls back",
            Self::SlowRollout => "the rollout takes minutes, then succeeds",
            Self::ImagePullError => "the new image cannot be pulled; traffic never moves",
            Self::MigrationFails => "the database migration fails; traffic never moves",
            Self::MetricsOutage => "the metrics server dies in the window; the run pauses",
            Self::Flapping => "the error rate crosses its bound, never long enough for a fixed rule to fire",
            Self::RollbackNeededLate => "the new version breaks in the window's last minute",
            Self::BadLine => {
                "reads and watches of the API server fail now and then, a pod crashes; the deployment succeeds"
            }
            Self::StuckHalfWay => "half of the new pods never become ready; the rollout stops there",
            Self::BadAtFivePercent => "the new version fails 5 % of its requests from the first one on",
            Self::RouteNotAccepted => {
                "the gateway does not accept the route's new weights; traffic never moves (routes only)"
            }
            Self::SubtleRelease => "0.5 % of requests fail, below the alert's bound; only evidence finds it",
            Self::BurstyButFine => "errors come in bursts, as before the deployment; nothing fires",
            Self::SharedDependencyFails => {
                "old and new version fail alike for three minutes; seen as that where both have users"
            }
        }
    }

    /// Whether this can happen where traffic is directed like this.
    pub fn applies(self, directing: &Directing) -> bool {
        self != Self::RouteNotAccepted || matches!(directing, Directing::Route { .. })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == s).ok_or_else(|| {
            format!("no such scenario: `{s}`; use one of {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_only_routes_can_be_refused() {
        let route = Directing::Route { name: "shop".into(), rule: 0 };
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
            assert!(scenario.applies(&route));
            for directing in [Directing::Selector, Directing::Replicas, Directing::Rollout] {
                assert_eq!(scenario.applies(&directing), scenario != Scenario::RouteNotAccepted);
            }
        }
    }
}
