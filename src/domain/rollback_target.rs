//! What a run goes back to.

use serde::{Deserialize, Serialize};

use super::id::SlotName;

/// The target of a rollback, fixed when the run opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackTarget {
    /// The slot that had traffic.
    pub slot: SlotName,
    /// Its image then.
    pub image: String,
    /// Its replicas then.
    pub replicas: u32,
    /// Its revision then, by its `pod-template-hash`, where that could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The number of that revision, as `kubectl rollout history` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}
