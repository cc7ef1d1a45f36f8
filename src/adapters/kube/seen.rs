//! Slots as a look saw them: what a Deployment and all that it has made come to.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::domain::{
    director::{NEW_REVISION, OLD_REVISION},
    id::SlotName,
    observation::{Autoscaler, SlotSeen},
    safe_text::SafeText,
};

use super::{
    director::{Parting, Revisions},
    pod::TEMPLATE_HASH,
    rollout,
    view::{DeploymentView, image_of},
};

/// A pod with what decides whether it serves.
pub(super) struct SeenPod {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) image: String,
    pub(super) ready: bool,
    pub(super) leaving: bool,
}

impl SeenPod {
    /// By the label that the Deployment controller writes: names of pods may be cut.
    fn hash(&self) -> Option<&str> {
        self.labels.get(TEMPLATE_HASH).map(String::as_str)
    }
}

/// Ready pods by their labels.
type Ready = Vec<(BTreeMap<String, String>, u32)>;

/// What a Deployment has made.
pub(super) struct Made {
    /// Nothing where pods may not be listed.
    pub(super) pods: Option<Vec<SeenPod>>,
    /// Nothing where `ReplicaSets` may not be listed.
    pub(super) sets: Option<Vec<ReplicaSet>>,
}

/// A Deployment with what it has made.
pub(super) struct SeenDeployment {
    pub(super) view: DeploymentView,
    pub(super) made: Made,
}

impl SeenDeployment {
    /// The slot that this Deployment is.
    pub(super) fn slot(&self, container: &str, autoscaler: Option<&Autoscaler>) -> SlotSeen {
        let mut seen = self.common(container, autoscaler);
        let status = self.view.object.status.clone().unwrap_or_default();
        let image = self.view.image(container);
        let Some(pods) = &self.made.pods else {
            // The status speaks of the newest template only where the controller has seen it and no pod is old.
            let ready = if self.is_complete() { positive(status.ready_replicas) } else { 0 };
            seen.ready = vec![(self.template_labels(), ready)];
            seen.answering = vec![(self.template_labels(), positive(status.ready_replicas))];
            seen.pods = positive(status.replicas);
            return seen;
        };
        seen.pods = count(pods.len());
        seen.leaving = count(pods.iter().filter(|pod| pod.leaving).count());
        // A restart, or a change of anything but the image, leaves pods of the old template that look like those of the new one.
        // The controller counts them; which ones they are does not matter, so they are taken to be ready.
        let others = pods.iter().filter(|pod| !pod.leaving && pod.image != image).count();
        let outdated = positive(status.replicas).saturating_sub(positive(status.updated_replicas));
        let mut outdated = outdated.saturating_sub(count(others));
        seen.answering = by_labels(pods.iter().filter(|pod| pod.ready && !pod.leaving));
        seen.ready = by_labels(pods.iter().filter(|pod| pod.ready && pod.image == image));
        for (_, count) in &mut seen.ready {
            let old = outdated.min(*count);
            (*count, outdated) = (*count - old, outdated - old);
        }
        seen
    }

    /// The two slots that this one Deployment is: the revision that the run began with, and all others.
    pub(super) fn revisions(
        &self,
        container: &str,
        autoscaler: Option<&Autoscaler>,
        known: &mut Revisions,
    ) -> BTreeMap<SlotName, SlotSeen> {
        for set in self.sets() {
            let image = set.spec.template.as_ref();
            let image = image.and_then(|template| image_of(template, container)).unwrap_or_default();
            known.note(rollout::hash_of(set).unwrap_or_default(), &image);
        }
        for pod in self.made.pods.iter().flatten() {
            known.note(pod.hash().unwrap_or_default(), &pod.image);
        }
        let template = self.template_hash();
        let parting = known.parting(template.as_deref(), &self.view.image(container));
        let common = self.common(container, autoscaler);
        let slot = |name: &str| {
            let mut seen = common.clone();
            (seen.ready, seen.pods) = self.pods_of(name, &parting, template.as_deref());
            seen.leaving = self.leaving(name, &parting);
            seen.answering.clone_from(&seen.ready);
            let hash = match name {
                OLD_REVISION => parting.old().map(str::to_owned),
                _ => template.clone().filter(|hash| Some(hash.as_str()) != parting.old()).or_else(|| {
                    // The template is the old one again: what is left of the other.
                    self.left_of_others(&parting)
                }),
            };
            seen.hash = safe(hash.as_deref().unwrap_or_default());
            seen.revision = hash.as_deref().and_then(|hash| self.revision(hash));
            if name == OLD_REVISION && hash.is_some() && hash != template {
                seen.image = safe(hash.as_deref().and_then(|hash| known.image(hash)).unwrap_or_default());
            }
            (SlotName::from(name), seen)
        };
        [slot(OLD_REVISION), slot(NEW_REVISION)].into()
    }

    /// What is so of every slot that this Deployment is.
    fn common(&self, container: &str, autoscaler: Option<&Autoscaler>) -> SlotSeen {
        let object = &self.view.object;
        let hash = self.template_hash().unwrap_or_default();
        let image = safe(&self.view.image(container));
        SlotSeen {
            deployment: object.metadata.name.clone().unwrap_or_default(),
            found: true,
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or(0),
            observed: self.is_observed(),
            desired: positive(Some(rollout::desired(object))),
            image: image.clone(),
            changed: self.view.changed.clone(),
            scaled: self.view.scaled.clone(),
            ready: Vec::new(),
            answering: Vec::new(),
            pods: 0,
            leaving: 0,
            hash: safe(&hash),
            revision: self.revision(&hash),
            kept: kept(object),
            paused: object.spec.paused == Some(true),
            template_hash: safe(&hash),
            template_image: image,
            own_selector: None,
            named: None,
            autoscaler: autoscaler.cloned(),
        }
    }

    /// Pods that are not on their way out and have one of these names.
    pub(super) fn named(&self, names: &BTreeSet<String>) -> Option<u32> {
        let pods = self.made.pods.as_ref()?.iter().filter(|pod| !pod.leaving && names.contains(&pod.name));
        Some(count(pods.count()))
    }

    /// Those that the Deployment owns: labels alone would find those of another one with the same selector.
    fn sets(&self) -> impl Iterator<Item = &ReplicaSet> {
        rollout::owned(&self.view.object, self.made.sets.as_deref().unwrap_or_default())
    }

    /// Whether the Deployment's controller has acted on the newest spec, and those of its `ReplicaSets` on theirs. One that was told
    /// to go to 0 and up again may be deleting pods that still look ready, while its Deployment says already that all is as it
    /// should be. Where they may not be listed, the Deployment's word counts.
    fn is_observed(&self) -> bool {
        let caught_up = self.sets().all(|set| {
            let observed = set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
            observed >= set.metadata.generation.unwrap_or(0)
        });
        let object = &self.view.object;
        let observed = object.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
        caught_up && observed >= object.metadata.generation.unwrap_or(0)
    }

    /// Whether no pod is of an older template.
    fn is_complete(&self) -> bool {
        let status = self.view.object.status.clone().unwrap_or_default();
        self.is_observed() && positive(status.updated_replicas) >= positive(status.replicas)
    }

    /// The hash of the Deployment's template now. Where `ReplicaSets` may not be listed, by its conditions, or by its pods where all
    /// are of the newest template.
    fn template_hash(&self) -> Option<String> {
        if let Some(sets) = &self.made.sets {
            return rollout::newest(&self.view.object, sets).and_then(rollout::hash_of).map(str::to_owned);
        }
        let told = rollout::told_hash(&self.view.object);
        told.or_else(|| {
            let pods = self.made.pods.as_deref().filter(|_| self.is_complete())?;
            let mut hashes = pods.iter().filter(|pod| !pod.leaving).filter_map(SeenPod::hash);
            let first = hashes.next()?;
            hashes.all(|hash| hash == first).then(|| first.to_owned())
        })
    }

    /// The highest where a template was used again: its set keeps the old numbers as history.
    fn revision(&self, hash: &str) -> Option<u64> {
        let sets = self.sets().filter(|set| rollout::hash_of(set) == Some(hash));
        sets.map(rollout::revision).max().filter(|number| *number > 0)
    }

    /// Ready pods of a slot by their labels, and all of its pods.
    fn pods_of(&self, slot: &str, parting: &Parting, template: Option<&str>) -> (Ready, u32) {
        let Some(pods) = &self.made.pods else {
            // The numbers of the status are of all revisions together. Where there is one alone, they are that one's.
            let old = parting.old().is_none() || template.is_none() || parting.old() == template;
            if old != (slot == OLD_REVISION) || !self.is_complete() {
                return (Vec::new(), 0);
            }
            let status = self.view.object.status.clone().unwrap_or_default();
            return (
                vec![(self.template_labels(), positive(status.ready_replicas))],
                positive(status.replicas),
            );
        };
        let of_slot = || pods.iter().filter(|pod| parting.slot_of(pod.hash(), &pod.image) == Some(slot));
        (by_labels(of_slot().filter(|pod| pod.ready && !pod.leaving)), count(of_slot().count()))
    }

    /// Pods of a slot that are on their way out.
    fn leaving(&self, slot: &str, parting: &Parting) -> u32 {
        let leaving = self.made.pods.iter().flatten().filter(|pod| pod.leaving);
        count(leaving.filter(|pod| parting.slot_of(pod.hash(), &pod.image) == Some(slot)).count())
    }

    /// The revision with the most pods beside the old slot's.
    fn left_of_others(&self, parting: &Parting) -> Option<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in self.made.pods.iter().flatten() {
            if parting.slot_of(pod.hash(), &pod.image) == Some(NEW_REVISION) {
                *counts.entry(pod.hash().unwrap_or_default()).or_default() += 1;
            }
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(hash, _)| hash.to_owned())
    }

    /// The best guess at the labels of pods that may not be listed.
    fn template_labels(&self) -> BTreeMap<String, String> {
        let metadata = self.view.object.spec.template.metadata.as_ref();
        metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default()
    }
}

/// Counted by all their labels, so that what a changed selector would reach can be told without another read.
fn by_labels<'a>(pods: impl Iterator<Item = &'a SeenPod>) -> Ready {
    let mut found: BTreeMap<&BTreeMap<String, String>, u32> = BTreeMap::new();
    for pod in pods {
        *found.entry(&pod.labels).or_default() += 1;
    }
    found.into_iter().map(|(labels, count)| (labels.clone(), count)).collect()
}

/// Ready pods that a rolling update of a Deployment always leaves, by the arithmetic of its controller: percentages of
/// `maxUnavailable` are rounded down, those of `maxSurge` up, and where both come to nothing one pod may be unavailable.
pub(super) fn kept(deployment: &Deployment) -> u32 {
    let desired = positive(Some(rollout::desired(deployment)));
    let strategy = deployment.spec.strategy.clone().unwrap_or_default();
    if strategy.type_.as_deref() == Some("Recreate") {
        return 0;
    }
    let limits = strategy.rolling_update.unwrap_or_default();
    let of = |limit: Option<&IntOrString>, up: bool| match limit {
        Some(IntOrString::Int(number)) => positive(Some(*number)),
        Some(IntOrString::String(text)) => part_of(desired, text, up),
        None => part_of(desired, "25%", up),
    };
    let surge = of(limits.max_surge.as_ref(), true);
    let unavailable = of(limits.max_unavailable.as_ref(), false);
    let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
    desired.saturating_sub(unavailable)
}

/// `25%` of a number. What is no percentage is nothing: the API server takes none such.
fn part_of(whole: u32, text: &str, up: bool) -> u32 {
    let percent: u64 = text.trim().strip_suffix('%').and_then(|number| number.parse().ok()).unwrap_or(0);
    let part = u64::from(whole) * percent;
    u32::try_from(if up { part.div_ceil(100) } else { part / 100 }).unwrap_or(u32::MAX)
}

fn positive(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or(0)).unwrap_or(0)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn safe(text: &str) -> String {
    SafeText::new(text).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_rolling_update_keeps_follows_the_controllers_arithmetic() {
        let of = |replicas: i32, strategy: serde_json::Value| {
            let spec = json!({ "replicas": replicas, "strategy": strategy, "selector": {}, "template": {} });
            kept(&serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap())
        };
        let rolling = |unavailable: serde_json::Value, surge: serde_json::Value| {
            json!({ "type": "RollingUpdate",
            "rollingUpdate": { "maxUnavailable": unavailable, "maxSurge": surge } })
        };
        assert_eq!(of(3, json!({})), 3, "25 % of 3 rounds down to none");
        assert_eq!(of(1, json!(null)), 1);
        assert_eq!(of(10, rolling(json!("25%"), json!("25%"))), 8);
        assert_eq!(of(3, rolling(json!("25%"), json!(0))), 2, "one at least, or it could never go on");
        assert_eq!(of(1, rolling(json!(0), json!("0%"))), 0);
        assert_eq!(of(3, rolling(json!("100%"), json!(1))), 0);
        assert_eq!(of(3, rolling(json!(7), json!(1))), 0, "more than there are");
        assert_eq!(of(0, json!({})), 0);
        assert_eq!(of(3, json!({ "type": "Recreate" })), 0);
    }
}
