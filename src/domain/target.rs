//! Where a deployment goes: the slots, and what directs traffic to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    director::{Director, OLD_REVISION},
    id::SlotName,
};

/// Where to deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The kubeconfig context; if not set, the current one.
    pub context: Option<String>,
    /// The uid of `kube-system`, where the runbook pins the cluster itself.
    pub cluster_uid: Option<String>,
    /// The namespace.
    pub namespace: String,
    /// The Service that users reach: the one whose selector decides which slot is live, or that selects the pods of both.
    pub service: String,
    /// The slots by name. With one Deployment: its revision at the opening, and every other one.
    pub slots: BTreeMap<SlotName, Slot>,
    /// The container whose image is set.
    pub container: String,
    /// What moves traffic between the slots.
    #[serde(default)]
    pub director: Director,
}

impl Target {
    /// A Service's selector after a switch to a slot: the slot's labels set, labels that only other slots use removed, all
    /// others as they are.
    pub fn selector_on(&self, selector: &BTreeMap<String, String>, slot: &Slot) -> BTreeMap<String, String> {
        let mut pointed = selector.clone();
        pointed.retain(|key, _| {
            slot.selector.contains_key(key)
                || !self.slots.values().any(|other| other.selector.contains_key(key))
        });
        pointed.extend(slot.selector.clone());
        pointed
    }

    /// The slot that a Service's selector points at: the one for which a switch would change nothing.
    ///
    /// None if no slot matches, or if two slots have the same labels.
    pub fn pointed_at(&self, selector: &BTreeMap<String, String>) -> Option<SlotName> {
        let mut pointed = self.slots.iter().filter(|(_, slot)| self.selector_on(selector, slot) == *selector);
        let first = pointed.next()?;
        pointed.next().is_none().then(|| first.0.clone())
    }
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its Deployment.
    pub deployment: String,
    /// The labels the Service selects for it.
    pub selector: BTreeMap<String, String>,
    /// Its own Service, where a route directs traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl Target {
    /// Whether one Deployment runs both versions, as two revisions.
    pub fn is_one_deployment(&self) -> bool {
        self.director == Director::Rollout
    }

    /// Whether an `HTTPRoute` directs traffic.
    pub fn has_route(&self) -> bool {
        matches!(self.director, Director::Route(_))
    }

    /// Whether a slot can have a part of the traffic.
    pub fn has_shares(&self) -> bool {
        self.director != Director::Selector
    }

    /// Whether shares follow from which pods are ready, and not from what somebody has written.
    pub fn shares_follow_pods(&self) -> bool {
        matches!(self.director, Director::Replicas | Director::Rollout)
    }

    /// The slot that is taken for the one with the traffic where no cluster can be asked: the revision at the opening; of
    /// slots that share it, one that is not called a canary; otherwise the first by name.
    pub fn presumed_live(&self) -> Option<&SlotName> {
        let steady = |name: &&SlotName| match self.director {
            Director::Selector => true,
            Director::Rollout => name.as_str() == OLD_REVISION,
            Director::Route(_) | Director::Replicas => !name.as_str().contains("canary"),
        };
        self.slots.keys().find(steady).or_else(|| self.slots.keys().next())
    }

    /// The object that directs traffic, as kubectl names it.
    pub fn director_object(&self) -> String {
        match &self.director {
            Director::Route(route) => format!("httproute/{}", route.name),
            Director::Selector | Director::Replicas | Director::Rollout => {
                format!("service/{}", self.service)
            }
        }
    }

    /// The same at the beginning of a sentence.
    pub fn director_word(&self) -> &'static str {
        match &self.director {
            Director::Route(_) => "the HTTPRoute",
            Director::Selector | Director::Replicas | Director::Rollout => "the Service",
        }
    }
}
