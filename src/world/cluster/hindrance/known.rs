//! All that is in the way.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that is in the way.
#[derive(Debug, Default)]
pub(in crate::world::cluster) struct Hindrances {
    /// Deployments whose pods' readiness probes fail.
    pub(in crate::world::cluster) unready: BTreeSet<String>,
    /// How many pods a node takes, where that is fewer than any story needs.
    pub(in crate::world::cluster) room: Option<usize>,
    /// Images that no registry has.
    pub(in crate::world::cluster) unpullable: BTreeSet<String>,
    /// Deployments whose containers end soon after their start, and with which code.
    pub(in crate::world::cluster) crashing: BTreeMap<String, i64>,
    /// Deployments whose containers cannot be configured, and why.
    pub(in crate::world::cluster) misconfigured: BTreeMap<String, String>,
    /// How many pods the namespace may have.
    pub(in crate::world::cluster) quota: Option<usize>,
    /// What a webhook says to each pod that is to be created.
    pub(in crate::world::cluster) refusal: Option<String>,
    /// When a `ReplicaSet`, by uid, tries again to create pods.
    pub(in crate::world::cluster) tries: BTreeMap<String, i64>,
}
