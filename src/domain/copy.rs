//! The copy of a run's journal that survives the host: how current it is, and which copies exist.

use serde::{Deserialize, Serialize};

use super::{id::RunId, time::Timestamp};

/// The state of the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CopyState {
    /// Nothing is copied, or no longer.
    Off {
        /// Why, and what to ask for.
        why: String,
    },
    /// Everything up to here is in the copy.
    UpTo {
        /// The newest record's sequence.
        sequence: u64,
        /// Bytes of the journal.
        bytes: u64,
        /// When the copy was written.
        at: Timestamp,
    },
    /// The copy is behind the journal: the last write failed, or there was none yet.
    Behind {
        /// Why.
        why: String,
        /// Since when.
        since: Timestamp,
    },
}

/// A run's progress according to its copy, for lists of runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CopyHead {
    /// The newest record's sequence.
    pub sequence: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The run's state in a word.
    pub state: String,
    /// Whether the run has ended, so that its copy may be deleted later.
    pub ended: bool,
}

/// A run that has a copy in the cluster. All texts come from outside and are safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedRun {
    /// The run.
    pub run_id: RunId,
    /// The Service it changes.
    pub service: String,
    /// Who opened it.
    pub who: String,
    /// The host that wrote the copy last.
    pub host: String,
    /// The runbook's title.
    pub title: String,
    /// Its progress when the copy was last written.
    pub head: CopyHead,
    /// When the copy was started, by the API server's clock.
    pub begun: Option<Timestamp>,
    /// The number of pieces.
    pub segments: usize,
}
