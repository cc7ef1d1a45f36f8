//! What every part of the engine uses. It is shared, and does not change while the engine runs.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{mpsc, watch};

use super::{
    messages::News,
    ports::{JournalCopier, Ports, TargetLock},
    values::{Secrets, Values},
};
use crate::domain::{id::SlotName, run::Run, runbook::Target, slot_labels::SlotLabels, workload::Workload};

/// What every part of the engine works with.
pub(super) struct Kit {
    /// The world.
    pub(super) ports: Ports,
    /// Secrets known so far.
    pub(super) secrets: Arc<Secrets>,
    /// Where the run keeps its files.
    pub(super) run_dir: PathBuf,
    /// The target's lock, where there is one.
    pub(super) lock: Option<Arc<dyn TargetLock>>,
    /// The journal's copy, where there is one.
    pub(super) copy: Option<Arc<dyn JournalCopier>>,
    /// What the cluster has told of the slots, for the queries of metrics.
    pub(super) labels: Arc<watch::Sender<Vec<SlotLabels>>>,
    /// The slot on which users meet the new version, while they do.
    pub(super) met: watch::Sender<Option<SlotName>>,
    /// Where news for the driver go. A task that runs has its own clone; the engine itself has this one only, so their
    /// count tells whether any task is left.
    pub(super) news: mpsc::Sender<News>,
}

impl Kit {
    /// The variables' values as they are now.
    pub(super) fn values(&self, run: &Run) -> Values {
        Values::of(run, &self.secrets)
    }
}

/// What is known of a runbook's slots, by the newest picture of the cluster.
pub(super) fn slot_labels(target: Option<&Target>, seen: Option<&Workload>) -> Vec<SlotLabels> {
    let target = target.into_iter();
    target.flat_map(|target| target.slots.keys().map(|name| SlotLabels::of(name, target, seen))).collect()
}
