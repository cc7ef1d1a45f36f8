//! The target as a run believes it to be.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::{
    director::{Share, weights_for},
    id::SlotName,
    observation::{Observation, RouteSeen, ServiceSeen},
    safe_text::SafeText,
    workload::ChangedBy,
};

/// The target as it was at one moment: at the opening, or when somebody took a change as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pinned {
    /// The Service's uid.
    pub service: String,
    /// What it selected.
    pub selector: BTreeMap<String, String>,
    /// The slot that it pointed at.
    pub live: Option<SlotName>,
    /// The slots by name.
    pub slots: BTreeMap<SlotName, PinnedSlot>,
    /// The route, where one directs traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<PinnedRoute>,
}

/// A route as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PinnedRoute {
    /// Its uid.
    pub uid: String,
    /// What each slot's backend weighs.
    pub weights: BTreeMap<SlotName, u32>,
    /// What backends of others in the same rule weigh together.
    #[serde(default)]
    pub others: u32,
    /// The place of the rule in the route.
    #[serde(default)]
    pub rule: usize,
    /// The place of each slot's backend in the rule.
    #[serde(default)]
    pub places: BTreeMap<SlotName, usize>,
    /// Slots that other rules of the route send traffic to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub elsewhere: BTreeSet<SlotName>,
}

/// A slot as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PinnedSlot {
    /// The Deployment's uid.
    pub uid: String,
    /// Its image; nothing where our own act gave it one that may not be shown.
    pub image: Option<String>,
    /// Its replicas.
    pub replicas: u32,
    /// Who had set them then. Older API servers keep no name of what went through `scale`: where the name is the same, it is
    /// not the one who has changed them since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled: Option<ChangedBy>,
    /// What its own Service selects, where a route leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_selector: Option<BTreeMap<String, String>>,
}

impl PinnedRoute {
    /// As a look saw it.
    pub fn of(route: &RouteSeen) -> Self {
        Self {
            uid: route.uid.clone(),
            weights: route.weights.clone(),
            others: route.others,
            rule: route.rule,
            places: route.places.clone(),
            elsewhere: route.elsewhere.clone(),
        }
    }

    /// The weights that give the new slot and the other one their shares: what others weigh keeps its part of the whole.
    pub fn weights_for(&self, share: Share) -> (u32, u32) {
        let sum: u32 = self.weights.values().sum();
        if self.others == 0 || sum == 0 {
            return weights_for(share);
        }
        let part = (u64::from(sum) * u64::from(share.thousandths()) + 500) / 1000;
        let part = u32::try_from(part).unwrap_or(sum).min(sum);
        (part, sum - part)
    }
}

impl Pinned {
    /// What a look saw; nothing where what directs traffic is not there.
    pub fn of(seen: &Observation) -> Option<Self> {
        let none = ServiceSeen::default();
        let service = match &seen.route {
            Some(_) => seen.service.as_ref().unwrap_or(&none),
            None => seen.service.as_ref()?,
        };
        let slots = seen.slots.iter().filter(|(_, slot)| slot.found).map(|(name, slot)| {
            let pinned = PinnedSlot {
                uid: slot.uid.clone(),
                image: Some(slot.image.clone()),
                replicas: slot.desired,
                scaled: slot.scaled.clone(),
                own_selector: slot.own_selector.clone(),
            };
            (name.clone(), pinned)
        });
        Some(Self {
            service: service.uid.clone(),
            selector: service.selector.clone(),
            live: seen.live().cloned(),
            slots: slots.collect(),
            route: seen.route.as_ref().map(PinnedRoute::of),
        })
    }
}

/// Labels as people write them: `app=backend,version=blue`.
pub fn labels(selector: &BTreeMap<String, String>) -> String {
    if selector.is_empty() {
        return "nothing".to_owned();
    }
    let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    SafeText::from(pairs.join(",")).into()
}
