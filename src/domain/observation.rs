//! A fresh read of the target: what the API server says right now, read directly and not from the watch.
//!
//! A watched picture ([`super::workload::Workload`]) may be seconds old and proposes what to do. An observation decides whether it is done:
//! see [`super::guard`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    director::{Share, Shares, share_of, shares_by},
    id::SlotName,
    rollback_target::RollbackTarget,
    time::Timestamp,
    workload::ChangedBy,
};

/// What one look found. All reads began at the same moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// When the reads began, on the run's clock: nothing in here is older.
    pub at: Timestamp,
    /// The Service; nothing where there is none of this name.
    pub service: Option<ServiceSeen>,
    /// The slots by name.
    pub slots: BTreeMap<SlotName, SlotSeen>,
    /// The route, where one directs traffic and exists.
    pub route: Option<RouteSeen>,
    /// Why what the Service's proxies are told could not be read now, where that is so. No traffic waits for it; pods do.
    pub endpoints_unread: Option<String>,
}

/// A route as it was seen: the rule that leads to the slots' Services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteSeen {
    /// Its uid: another one means that it was deleted and recreated.
    pub uid: String,
    /// Its `resourceVersion`: it goes into the write that follows.
    pub version: String,
    /// What each slot's backend weighs. A slot that is no backend of the rule is missing.
    pub weights: BTreeMap<SlotName, u32>,
    /// The place of the rule in the route.
    pub rule: usize,
    /// The place of each slot's backend in the rule.
    pub places: BTreeMap<SlotName, usize>,
    /// What backends of others in the same rule weigh together.
    pub others: u32,
    /// Slots that other rules of the route send traffic to.
    pub elsewhere: BTreeSet<SlotName>,
    /// Why its gateway does not carry it out, or not yet: `status.parents` says so.
    pub unfit: Option<String>,
    /// Whether a gateway has not seen its latest change: requests may still go where they went before.
    pub lags: bool,
    /// Who last changed its rules.
    pub changed: Option<ChangedBy>,
}

/// What a write stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approach {
    /// The look that allowed it. Where the object has changed since, nothing is written.
    pub seen: Observation,
    /// For a switch: the whole selector that the Service shall have; the slot's labels over what it has now if not set.
    pub selector: Option<BTreeMap<String, String>>,
    /// For a shift that starts or stops pods: how many of the new slot's.
    pub replicas: Option<u32>,
}

/// The Service as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSeen {
    /// Its uid: another one means that it was deleted and recreated.
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
    /// Whether the controllers have caught up with it: the Deployment's, and those of its `ReplicaSets`. Where not, what is said
    /// of its pods speaks of the spec before, and some that look ready may be about to end.
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
    /// Pods that are ready and not on their way out, of whatever template: how many carry which labels. They answer users.
    pub answering: Vec<(BTreeMap<String, String>, u32)>,
    /// All pods, also those on their way out.
    pub pods: u32,
    /// Those of them that are on their way out.
    pub leaving: u32,
    /// Its revision, by its `pod-template-hash`; empty where that could not be told.
    pub hash: String,
    /// The number of that revision, as `kubectl rollout history` shows it.
    pub revision: Option<u64>,
    /// Ready pods that a rolling update of this Deployment always leaves: none with strategy `Recreate`, or where
    /// `maxUnavailable` lets it take all at once.
    pub kept: u32,
    /// Whether the Deployment is paused.
    pub paused: bool,
    /// The revision of the Deployment's template as it is now: that of the slot, except where one Deployment is two slots.
    pub template_hash: String,
    /// The image of that template.
    pub template_image: String,
    /// What the slot's own Service selects, where a route directs traffic; none where that does not exist.
    pub own_selector: Option<BTreeMap<String, String>>,
    /// Pods of it that the Service's `EndpointSlices` name as ready, where its selector picks one slot: its proxies are told by
    /// them. Nothing where that is not known.
    pub named: Option<u32>,
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
    /// What one goes back to, where this slot is what has the traffic.
    pub fn as_rollback_target(&self, slot: SlotName) -> RollbackTarget {
        RollbackTarget {
            slot,
            image: self.image.clone(),
            replicas: self.desired,
            hash: (!self.hash.is_empty()).then(|| self.hash.clone()),
            revision: self.revision,
        }
    }

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
    /// The slot that traffic is directed to, or most of it. Being pointed at is not serving.
    pub fn live(&self) -> Option<&SlotName> {
        match &self.route {
            Some(route) => heaviest(&route.weights),
            None => self.service.as_ref()?.live.as_ref(),
        }
    }

    /// How much of the traffic each slot gets, by what directs it: by weight, or by the ready pods that the Service selects.
    pub fn shares(&self) -> Shares {
        match &self.route {
            Some(route) => {
                shares_by(route.weights.iter().map(|(name, weight)| (name.clone(), u64::from(*weight))))
            }
            None => shares_by(self.slots.keys().map(|name| (name.clone(), u64::from(self.answering(name))))),
        }
    }

    /// Whether a slot gets all of the traffic, and nobody else of ours any.
    pub fn is_alone(&self, slot: &SlotName) -> bool {
        let shares = self.shares();
        share_of(&shares, slot) == Share::ALL
    }

    /// A slot whose Deployment exists.
    pub fn slot(&self, name: &SlotName) -> Option<&SlotSeen> {
        self.slots.get(name).filter(|slot| slot.found)
    }

    /// Why users do not go where the route says, in words.
    pub fn not_carried_out(&self) -> Option<String> {
        not_carried_out(self.route.as_ref()?.unfit.as_deref())
    }

    /// Ready pods of a slot that the Service sends traffic to now.
    pub fn serving(&self, name: &SlotName) -> u32 {
        let Some(slot) = self.slot(name) else { return 0 };
        match (&self.route, &self.service) {
            (Some(route), _) if route.weights.get(name).is_none_or(|weight| *weight == 0) => 0,
            (Some(_), _) => self.reachable(name),
            (None, Some(service)) => slot.selected_by(&service.selector),
            (None, None) => 0,
        }
    }

    /// Pods of a slot that answer users now, of whatever template: what is being replaced serves until it goes.
    fn answering(&self, name: &SlotName) -> u32 {
        let Some(slot) = self.slot(name) else { return 0 };
        let selector = match (&self.route, &self.service) {
            (Some(route), _) if route.weights.get(name).is_none_or(|weight| *weight == 0) => None,
            (Some(_), _) => slot.own_selector.as_ref(),
            (None, service) => service.as_ref().map(|service| &service.selector),
        };
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return 0 };
        let selects = |labels: &BTreeMap<String, String>| {
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        slot.answering.iter().filter(|(labels, _)| selects(labels)).map(|(_, count)| count).sum()
    }

    /// Those of them that stay, if nothing is done: more than are wanted are about to end.
    pub fn answering_to_stay(&self, name: &SlotName) -> u32 {
        self.slot(name).map_or(0, |slot| self.answering(name).min(slot.desired))
    }

    /// Ready pods of a slot that would get traffic if the route gave it a weight: those that its own Service selects.
    pub fn reachable(&self, name: &SlotName) -> u32 {
        let Some(slot) = self.slot(name) else { return 0 };
        slot.own_selector.as_ref().map_or(0, |selector| slot.selected_by(selector))
    }
}

/// What is said of a route that its gateway does not carry out: the words for why, whoever has seen it.
pub fn not_carried_out(unfit: Option<&str>) -> Option<String> {
    unfit.map(|why| format!("the gateway does not carry out the HTTPRoute: {why}"))
}

/// The slot that weighs most; of equals the first by name. None where nothing weighs anything.
fn heaviest(weights: &BTreeMap<SlotName, u32>) -> Option<&SlotName> {
    let mut best: Option<(&SlotName, u32)> = None;
    for (name, weight) in weights {
        if *weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((name, *weight));
        }
    }
    best.map(|(name, _)| name)
}
