//! The stories a rehearsal can tell.

use std::{fmt, str::FromStr};

/// One story: what the new version, the cluster and the metrics server will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Everything holds.
    Good,
    /// The new version fails for about 5 % of requests, from about two minutes after it gets traffic.
    BadRelease,
    /// The rollout takes several minutes, and gets there.
    SlowRollout,
    /// The new image cannot be pulled: `ErrImagePull`, then `ImagePullBackOff`.
    ImagePullError,
    /// The migration command fails.
    MigrationFails,
    /// Prometheus stops answering a minute after the switch and never comes back.
    MetricsOutage,
    /// The error rate goes over its bound for less than a trigger's `for`, again and again, and settles.
    Flapping,
    /// The new version breaks badly in the last minute of the window.
    RollbackNeededLate,
}

impl Scenario {
    /// All of them, in the order they are listed.
    pub const ALL: [Self; 8] = [
        Self::Good,
        Self::BadRelease,
        Self::SlowRollout,
        Self::ImagePullError,
        Self::MigrationFails,
        Self::MetricsOutage,
        Self::Flapping,
        Self::RollbackNeededLate,
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
        }
    }

    /// One line for `--list-scenarios`.
    pub fn about(self) -> &'static str {
        match self {
            Self::Good => "everything holds; the deployment succeeds",
            Self::BadRelease => "errors rise after the switch; a trigger rolls back",
            Self::SlowRollout => "the rollout takes minutes, and gets there",
            Self::ImagePullError => "the new image cannot be pulled; traffic never moves",
            Self::MigrationFails => "the database migration fails; traffic never moves",
            Self::MetricsOutage => "the metrics server dies in the window; the run holds",
            Self::Flapping => "the error rate crosses its bound, never long enough to fire",
            Self::RollbackNeededLate => "the new version breaks in the window's last minute",
        }
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
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == s)
            .ok_or_else(|| format!("no scenario `{s}`; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}
