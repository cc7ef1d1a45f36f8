//! What a run expects of the target: the state it saw when it opened, plus its own changes and nothing else. Any
//! difference from a fresh read is somebody else's change.

mod pinned;

use std::collections::BTreeMap;

pub use pinned::{Pinned, PinnedRoute, PinnedSlot, labels};

use super::{
    action::{ActionKind, SlotRef},
    director::{Director, NEW_REVISION, Share, in_words, pods_for, share_of, shares_by},
    event::ActionRef,
    id::SlotName,
    observation::{Observation, ServiceSeen, SlotSeen},
    patched::Patched,
    run::Run,
    runbook::Target,
    workload::ChangedBy,
};

/// The name under which the API server keeps our own writes.
pub const FIELD_MANAGER: &str = "cutover";

/// What differs from the run's belief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object, `service/backend`.
    pub object: String,
    /// What is different, in words.
    pub what: String,
    /// The field manager that did it, as far as the API server knows.
    pub manager: String,
    /// What kind of difference.
    pub kind: DifferenceKind,
}

/// The kinds of difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The object is gone, or another one has its name.
    Object,
    /// The Service selects something else.
    Traffic,
    /// Another rule of the route sends users to a slot, or a slot's own Service selects something else.
    Backend(SlotName),
    /// A slot has another image.
    Image(SlotName),
    /// A slot has another number of replicas.
    Replicas(SlotName),
}

impl Run {
    /// Takes in what one of our own acts has made of the target, once it is known to be done.
    pub(super) fn believe_done(&mut self, at: &ActionRef) {
        let Some(kind) = self.action(at).map(|action| action.kind.clone()) else { return };
        match kind {
            ActionKind::SetImage { slot, image, .. } => {
                let image = image.expand(|name| self.value(name)).ok();
                self.believe_slot(&slot, |pinned| pinned.image = image);
            }
            ActionKind::Scale { slot, replicas } => {
                let replicas = self.replicas(replicas);
                self.believe_slot(&slot, |pinned| pinned.replicas = replicas);
            }
            ActionKind::SwitchTraffic { to, .. } => {
                if let Some(to) = self.slot(&to) {
                    self.believe_pointed_at(&to);
                }
            }
            ActionKind::ShiftTraffic { to, share } => {
                let share = self.new_share(&to, share);
                self.believe_share(share);
            }
            ActionKind::Revert { slot } => {
                let image = self.opened.previous.as_ref().map(|target| target.image.clone());
                self.believe_slot(&slot, |pinned| pinned.image.clone_from(&image));
                if self.is_one_deployment() {
                    self.believe_slot(&SlotRef::New, |pinned| pinned.image = image);
                } else if self
                    .opened
                    .new_slot
                    .as_ref()
                    .is_some_and(|new| share_of(&self.shares, new) == Share::NONE)
                {
                    // The promotion was taken back, and nobody meets the new version any more.
                    self.meet(None, self.last_at);
                }
            }
            ActionKind::Patch(_) => self.believe_patched(at),
            // These change nothing that is compared.
            ActionKind::Restart { .. }
            | ActionKind::Pause { .. }
            | ActionKind::Resume { .. }
            | ActionKind::Rollout { .. }
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => {}
        }
    }

    fn believe_slot(&mut self, slot: &SlotRef, change: impl FnOnce(&mut PinnedSlot)) {
        let name = self.slot(slot);
        let slots = self.pinned.as_mut().map(|pinned| &mut pinned.slots);
        if let Some(slot) = name.zip(slots).and_then(|(name, slots)| slots.get_mut(&name)) {
            change(slot);
        }
    }

    /// The new slot has a share of the traffic, by our own doing: weights of the route, or pods.
    fn believe_share(&mut self, share: Share) {
        let (Some(new), Some(previous)) = (self.opened.new_slot.clone(), self.opened.previous.clone()) else {
            return;
        };
        let Some(pinned) = self.pinned.as_mut() else { return };
        if let Some(route) = &mut pinned.route {
            let (part, rest) = route.weights_for(share);
            route.weights.insert(new, part);
            route.weights.insert(previous.slot, rest);
            return;
        }
        let others = pinned.slots.get(&previous.slot).map_or(previous.replicas, |slot| slot.replicas);
        if let (Some(slot), Some(pods)) = (pinned.slots.get_mut(&new), pods_for(share, others)) {
            slot.replicas = pods;
        }
    }

    /// The Service points at a slot, by our own doing.
    pub(super) fn believe_pointed_at(&mut self, slot: &SlotName) {
        if self.pinned.as_ref().is_some_and(|pinned| pinned.route.is_some()) {
            let new = self.opened.new_slot.as_ref() == Some(slot);
            return self.believe_share(if new { Share::ALL } else { Share::NONE });
        }
        let pointed = self.selector_towards(slot);
        if let Some((pinned, selector)) = self.pinned.as_mut().zip(pointed) {
            (pinned.selector, pinned.live) = (selector, Some(slot.clone()));
        }
    }

    /// What a patch of the runbook's has made of what directs traffic, or of a slot's Deployment.
    fn believe_patched(&mut self, at: &ActionRef) {
        let Some(action) = self.action(at).cloned() else { return };
        match self.patches(&action) {
            Some(Patched::Service) => {
                let Some(selector) = self.believed_after(&action) else { return };
                let live = self.runbook.target.as_ref().and_then(|target| target.pointed_at(&selector));
                if let Some(pinned) = self.pinned.as_mut() {
                    (pinned.selector, pinned.live) = (selector, live);
                }
            }
            Some(Patched::Slot(slot)) => {
                let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(&slot));
                let Some(change) = believed.map(|believed| self.slot_after(&action, believed)) else {
                    return;
                };
                self.believe_slot(&SlotRef::Named(slot), |pinned| {
                    if let Some(Ok(replicas)) = change.replicas {
                        pinned.replicas = replicas;
                    }
                    if let Some(image) = change.image {
                        pinned.image = image;
                    }
                });
            }
            Some(Patched::Route) => {
                let route = self.pinned.as_ref().and_then(|pinned| pinned.route.as_ref());
                let weights = route.and_then(|route| self.weights_after(&action, route).ok());
                let route = self.pinned.as_mut().and_then(|pinned| pinned.route.as_mut());
                if let Some((route, weights)) = route.zip(weights) {
                    route.weights = weights;
                }
            }
            Some(Patched::Backend(slot)) => {
                let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(&slot));
                let before = believed.and_then(|slot| slot.own_selector.as_ref());
                let after = before.and_then(|before| self.selector_after(&action, before).ok());
                self.believe_slot(&SlotRef::Named(slot), |pinned| pinned.own_selector = after);
            }
            None => {}
        }
    }

    /// The selector that the Service should have: as it was pinned, changed by our own acts.
    pub fn believed_selector(&self) -> Option<BTreeMap<String, String>> {
        Some(self.pinned.as_ref()?.selector.clone())
    }

    /// The believed selector, pointed at a slot.
    pub fn selector_towards(&self, slot: &SlotName) -> Option<BTreeMap<String, String>> {
        let (pinned, target) = (self.pinned.as_ref()?, self.runbook.target.as_ref()?);
        Some(target.selector_on(&pinned.selector, target.slots.get(slot)?))
    }

    /// All that a look found different from what the run believes. Nothing where nothing was pinned.
    pub fn differences(&self, seen: &Observation) -> Vec<Difference> {
        let (Some(pinned), Some(target)) = (&self.pinned, &self.runbook.target) else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(believed) = &pinned.route {
            found.extend(route_differs(target, believed, seen));
            found.extend(self.another_rule(believed, target, seen));
            found.extend(backends_differ(target, pinned, seen));
            found.extend(self.slots_differ(pinned, seen));
            return found;
        }
        found.extend(self.service_differs(pinned, target, seen));
        found.extend(self.slots_differ(pinned, seen));
        found
    }

    fn service_differs(&self, pinned: &Pinned, target: &Target, seen: &Observation) -> Option<Difference> {
        let object = format!("service/{}", target.service);
        let Some(service) = &seen.service else { return Some(Difference::gone(object)) };
        if service.uid != pinned.service {
            return Some(Difference::replaced(object, service.changed.as_ref()));
        }
        let believed = self.believed_selector().filter(|it| *it != service.selector)?;
        Some(Difference {
            object,
            what: self.selects_otherwise(service, target, &believed),
            manager: manager(service.changed.as_ref()),
            kind: DifferenceKind::Traffic,
        })
    }

    /// What a Service selects that is not as it was. Where its selector picks one slot, the slot says more than the labels do.
    fn selects_otherwise(
        &self,
        service: &ServiceSeen,
        target: &Target,
        believed: &BTreeMap<String, String>,
    ) -> String {
        let pointed = service.live.as_ref().filter(|_| target.director == Director::Selector);
        let Some(slot) = pointed.filter(|live| Some(*live) != self.live.as_ref()) else {
            return format!("it selects {} instead of {}", labels(&service.selector), labels(believed));
        };
        let pointed = self.selector_towards(slot).unwrap_or_default();
        let added = service.selector.iter().filter(|it| pointed.get(it.0) != Some(it.1));
        let added: BTreeMap<_, _> = added.map(|(k, v)| (k.clone(), v.clone())).collect();
        if added.is_empty() {
            format!("it points at {slot}")
        } else {
            format!("it points at {slot}, and also selects by {}", labels(&added))
        }
    }

    /// That another rule of the route sends users to the new slot, which none did when the run opened: they would meet the new
    /// version whatever it weighs.
    fn another_rule(
        &self,
        believed: &PinnedRoute,
        target: &Target,
        seen: &Observation,
    ) -> Option<Difference> {
        let (new, route) = (self.opened.new_slot.as_ref()?, seen.route.as_ref()?);
        let news = route.elsewhere.contains(new) && !believed.elsewhere.contains(new);
        news.then(|| Difference {
            object: target.director_object(),
            what: format!("another rule of it sends users to {new}"),
            manager: manager(route.changed.as_ref()),
            kind: DifferenceKind::Backend(new.clone()),
        })
    }

    /// Deployments that are not as believed. One that is two slots is compared once.
    fn slots_differ(&self, pinned: &Pinned, seen: &Observation) -> Vec<Difference> {
        let one = self.is_one_deployment();
        let judged = pinned.slots.iter().filter(|(name, _)| !one || name.as_str() == NEW_REVISION);
        let found =
            judged.filter_map(|(name, believed)| Some(differences_of(name, believed, seen.slots.get(name)?)));
        // A canary's pods are ordered by how many the others have just then: where an autoscaler decides that, no number was agreed.
        let previous = self.opened.previous.as_ref().and_then(|target| seen.slot(&target.slot));
        let follows = self.shares_follow_pods() && previous.is_some_and(|slot| slot.autoscaler.is_some());
        let agreed = |it: &Difference| {
            let new = self.opened.new_slot.as_ref();
            !(follows && matches!(&it.kind, DifferenceKind::Replicas(name) if Some(name) == new))
        };
        found.flatten().filter(agreed).collect()
    }
}

/// A route whose weights are not as believed: those of our own backends only.
fn route_differs(target: &Target, believed: &PinnedRoute, seen: &Observation) -> Option<Difference> {
    let object = target.director_object();
    let Some(route) = &seen.route else { return Some(Difference::gone(object)) };
    if route.uid != believed.uid {
        return Some(Difference::replaced(object, route.changed.as_ref()));
    }
    let weigh = |weights: &BTreeMap<SlotName, u32>| {
        shares_by(weights.iter().map(|(name, weight)| (name.clone(), u64::from(*weight))))
    };
    let (now, wanted) = (weigh(&route.weights), weigh(&believed.weights));
    let same = now == wanted && route.weights.len() == believed.weights.len();
    (!same).then(|| Difference {
        object,
        what: format!("traffic goes to {} instead of {}", in_words(&now), in_words(&wanted)),
        manager: manager(route.changed.as_ref()),
        kind: DifferenceKind::Traffic,
    })
}

/// Services behind the route that do not select what they did, or are gone.
fn backends_differ(target: &Target, pinned: &Pinned, seen: &Observation) -> Vec<Difference> {
    let differs = |(name, believed): (&SlotName, &PinnedSlot)| {
        let service = target.slots.get(name)?.service.as_ref()?;
        let (wanted, slot) = (believed.own_selector.as_ref()?, seen.slot(name)?);
        let what = match &slot.own_selector {
            Some(now) if now == wanted => return None,
            Some(now) => format!("it selects {} instead of {}", labels(now), labels(wanted)),
            None => "it was deleted".to_owned(),
        };
        let kind = if slot.own_selector.is_some() {
            DifferenceKind::Backend(name.clone())
        } else {
            DifferenceKind::Object
        };
        Some(Difference { object: format!("service/{service}"), what, manager: manager(None), kind })
    };
    pinned.slots.iter().filter_map(differs).collect()
}

fn differences_of(name: &SlotName, believed: &PinnedSlot, slot: &SlotSeen) -> Vec<Difference> {
    let object = format!("deployment/{}", slot.deployment);
    if !slot.found {
        return vec![Difference::gone(object)];
    }
    if slot.uid != believed.uid {
        return vec![Difference::replaced(object, slot.changed.as_ref())];
    }
    let mut found = Vec::new();
    if believed.image.as_ref().is_some_and(|image| *image != slot.image) {
        found.push(Difference {
            object: object.clone(),
            what: format!("image {}", slot.image),
            manager: manager(slot.changed.as_ref()),
            kind: DifferenceKind::Image(name.clone()),
        });
    }
    // An autoscaler may have any number: it is part of the target, not a stranger.
    if slot.autoscaler.is_none() && slot.desired != believed.replicas {
        found.push(Difference {
            object,
            what: format!("{} replicas instead of {}", slot.desired, believed.replicas),
            manager: manager(slot.scaled.as_ref().filter(|by| Some(*by) != believed.scaled.as_ref())),
            kind: DifferenceKind::Replicas(name.clone()),
        });
    }
    found
}

impl Difference {
    fn gone(object: String) -> Self {
        let manager = "somebody the API server did not record".to_owned();
        Self { object, what: "it was deleted".to_owned(), manager, kind: DifferenceKind::Object }
    }

    fn replaced(object: String, changed: Option<&ChangedBy>) -> Self {
        let what = "it was deleted and recreated".to_owned();
        Self { object, what, manager: manager(changed), kind: DifferenceKind::Object }
    }

    /// The difference in one clause: `service/backend: it points at green (by kubectl-patch)`.
    pub fn words(&self) -> String {
        format!("{}: {} (by {})", self.object, self.what, self.manager)
    }
}

/// Who it was. Our own name is not an answer: what we did is no difference.
fn manager(changed: Option<&ChangedBy>) -> String {
    changed
        .filter(|by| by.manager != FIELD_MANAGER)
        .map_or_else(|| "somebody the API server did not record".to_owned(), |by| by.manager.clone())
}
