//! A fresh look at the target: what the API server says right now, by reads and not from the watch.
//!
//! A watched picture ([`super::workload::Workload`]) may be seconds old and proposes what to do. An observation decides whether it is done:
//! see [`super::guard`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{id::SlotName, time::Timestamp, workload::ChangedBy};

/// What one look found. All reads began at the same moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// When the reads began, on the run's clock: nothing in here is older.
    pub at: Timestamp,
    /// The Service; nothing where there is none of this name.
    pub service: Option<ServiceSeen>,
    /// The slots by name.
    pub slots: BTreeMap<SlotName, SlotSeen>,
}

/// What a write stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approach {
    /// The look that allowed it. Where the object has changed since, nothing is written.
    pub seen: Observation,
    /// For a switch: the whole selector that the Service shall have; the slot's labels over what it has now where not given.
    pub selector: Option<BTreeMap<String, String>>,
}

/// The Service as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSeen {
    /// Its uid: another one means that it was deleted and made anew.
    pub uid: String,
    /// Its `resourceVersion`: it goes into the write that follows.
    pub version: String,
    /// What it selects.
    pub selector: BTreeMap<String, String>,
    /// The slot that the selector points at, where it is one of ours. Pointing is not serving: see [`Observation::serving`].
    pub live: Option<SlotName>,
    /// Who last changed the selector.
    pub changed: Option<ChangedBy>,
}

/// A slot as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotSeen {
    /// The Deployment's name.
    pub deployment: String,
    /// Whether the Deployment exists. Where it does not, all else is empty.
    pub found: bool,
    /// Its uid.
    pub uid: String,
    /// `metadata.generation`: rises with each change of the spec.
    pub generation: i64,
    /// Whether the controller has seen that generation. Where not, its status speaks of the spec before.
    pub observed: bool,
    /// `spec.replicas`.
    pub desired: u32,
    /// The container's image in the template.
    pub image: String,
    /// Who last changed its template or replicas.
    pub changed: Option<ChangedBy>,
    /// Who set the replicas that it has; the API server keeps no time of what went through `scale`.
    pub scaled: Option<ChangedBy>,
    /// Pods that are ready, run the template and are not on their way out: how many carry which labels.
    pub ready: Vec<(BTreeMap<String, String>, u32)>,
    /// All pods, also those on their way out.
    pub pods: u32,
    /// The autoscaler that owns the replicas.
    pub autoscaler: Option<Autoscaler>,
}

/// A `HorizontalPodAutoscaler` that scales a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// Its least number of replicas.
    pub min: u32,
    /// Its greatest.
    pub max: u32,
}

impl SlotSeen {
    /// Ready pods of the template that stay. More than are wanted are about to end: the controller learns of a scale-down
    /// before any pod is told, and until then all of them look ready.
    pub fn ready(&self) -> u32 {
        let ready: u32 = self.ready.iter().map(|(_, count)| count).sum();
        ready.min(self.desired)
    }

    /// Those of them that a Service with this selector sends traffic to. An empty selector selects none.
    pub fn selected_by(&self, selector: &BTreeMap<String, String>) -> u32 {
        let selects = |labels: &BTreeMap<String, String>| {
            !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        let selected: u32 =
            self.ready.iter().filter(|(labels, _)| selects(labels)).map(|(_, count)| count).sum();
        selected.min(self.desired)
    }
}

impl Observation {
    /// The slot that the Service points at. Pointing is not serving.
    pub fn live(&self) -> Option<&SlotName> {
        self.service.as_ref()?.live.as_ref()
    }

    /// A slot whose Deployment exists.
    pub fn slot(&self, name: &SlotName) -> Option<&SlotSeen> {
        self.slots.get(name).filter(|slot| slot.found)
    }

    /// Ready pods of a slot that the Service sends traffic to now.
    pub fn serving(&self, name: &SlotName) -> u32 {
        let Some((service, slot)) = self.service.as_ref().zip(self.slot(name)) else { return 0 };
        slot.selected_by(&service.selector)
    }
}
