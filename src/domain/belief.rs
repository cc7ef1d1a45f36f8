//! What a run believes of the target: what it saw when it opened, changed by its own acts and by nothing else. Compared with
//! a fresh look, every difference is somebody else's doing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    action::{ActionKind, SlotRef},
    event::ActionRef,
    id::SlotName,
    observation::{Observation, SlotSeen},
    patched::Patched,
    run::Run,
    workload::ChangedBy,
};

/// The name under which the API server keeps our own writes.
pub const FIELD_MANAGER: &str = "cutover";

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
}

impl Pinned {
    /// What a look saw; nothing where there is no such Service.
    pub fn of(seen: &Observation) -> Option<Self> {
        let service = seen.service.as_ref()?;
        let slots = seen.slots.iter().filter(|(_, slot)| slot.found).map(|(name, slot)| {
            let pinned = PinnedSlot {
                uid: slot.uid.clone(),
                image: Some(slot.image.clone()),
                replicas: slot.desired,
                scaled: slot.scaled.clone(),
            };
            (name.clone(), pinned)
        });
        Some(Self {
            service: service.uid.clone(),
            selector: service.selector.clone(),
            live: service.live.clone(),
            slots: slots.collect(),
        })
    }
}

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
            ActionKind::Patch(_) => self.believe_patched(at),
            // These change nothing that is compared.
            ActionKind::Restart { .. }
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

    /// The Service points at a slot, by our own doing.
    pub(super) fn believe_pointed_at(&mut self, slot: &SlotName) {
        let pointed = self.selector_towards(slot);
        if let Some((pinned, selector)) = self.pinned.as_mut().zip(pointed) {
            (pinned.selector, pinned.live) = (selector, Some(slot.clone()));
        }
    }

    /// What a patch of the runbook's has made of the Service or of a slot's Deployment.
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
        let object = format!("service/{}", target.service);
        match &seen.service {
            None => found.push(Difference::gone(object)),
            Some(service) if service.uid != pinned.service => {
                found.push(Difference::replaced(object, service.changed.as_ref()));
            }
            Some(service) => {
                if let Some(believed) = self.believed_selector().filter(|it| *it != service.selector) {
                    let to = service.live.as_ref().filter(|live| Some(*live) != self.live.as_ref());
                    let what = to.map_or_else(
                        || {
                            format!(
                                "it selects {} instead of {}",
                                labels(&service.selector),
                                labels(&believed)
                            )
                        },
                        |slot| {
                            let pointed = self.selector_towards(slot).unwrap_or_default();
                            let added = service.selector.iter().filter(|it| pointed.get(it.0) != Some(it.1));
                            let added: BTreeMap<_, _> = added.map(|(k, v)| (k.clone(), v.clone())).collect();
                            if added.is_empty() {
                                format!("it points at {slot}")
                            } else {
                                format!("it points at {slot}, and selects by {} too", labels(&added))
                            }
                        },
                    );
                    found.push(Difference {
                        object,
                        what,
                        manager: manager(service.changed.as_ref()),
                        kind: DifferenceKind::Traffic,
                    });
                }
            }
        }
        for (name, believed) in &pinned.slots {
            let Some(slot) = seen.slots.get(name) else { continue };
            found.extend(differences_of(name, believed, slot));
        }
        found
    }
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
        let manager = "somebody whose name the API server does not keep".to_owned();
        Self { object, what: "it was deleted".to_owned(), manager, kind: DifferenceKind::Object }
    }

    fn replaced(object: String, changed: Option<&ChangedBy>) -> Self {
        let what = "it was deleted and made anew".to_owned();
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
        .map_or_else(|| "somebody the API server does not name".to_owned(), |by| by.manager.clone())
}

/// Labels as people write them: `app=backend,version=blue`.
pub fn labels(selector: &BTreeMap<String, String>) -> String {
    if selector.is_empty() {
        return "nothing".to_owned();
    }
    let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    super::safe_text::SafeText::from(pairs.join(",")).into()
}
