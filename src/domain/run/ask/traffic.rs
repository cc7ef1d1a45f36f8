//! Who the slots are, which of them has users, and which acts lead users from one to the other.

use crate::domain::{
    action::{ActionKind, Replicas, SlotRef},
    director::{Share, Shares, share_of},
    event::{ActionRef, Place},
    id::SlotName,
    patched::Patched,
    run::{ActionStatus, Run},
    runbook::{Strategy, Target},
};

impl Run {
    /// The slot that an action gives the traffic to, where it does that: a switch, or a patch of the Service or route that points
    /// it at a slot.
    pub fn switches_to(&self, at: &ActionRef) -> Option<SlotName> {
        let action = self.action(at)?;
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => self.slot(to),
            // With pods that serve as they become ready nothing has moved when it is ordered.
            ActionKind::ShiftTraffic { to, share } if !self.shares_follow_pods() => match *share {
                Share::ALL => self.slot(to),
                Share::NONE => self.other_slot(to),
                _ => None,
            },
            ActionKind::Patch(_) if self.patches(action) == Some(Patched::Route) => {
                match self.patched_share(action)? {
                    Share::ALL => self.slot(&SlotRef::New),
                    Share::NONE => self.slot(&SlotRef::Previous),
                    _ => None,
                }
            }
            ActionKind::Patch(_) if self.patches(action) == Some(Patched::Service) => {
                let target = self.runbook.target.as_ref()?;
                let before = &self.pinned.as_ref()?.selector;
                let after = self.selector_after(action, before).ok()?;
                // One that says nothing of the selector gives nobody the traffic.
                target.pointed_at(&after).filter(|_| after != *before || self.says_selector(action))
            }
            _ => None,
        }
    }

    /// The shares that an action gives the slots, where it gives each a part.
    pub fn shifts_to(&self, at: &ActionRef) -> Option<Shares> {
        let action = self.action(at)?;
        let share = match &action.kind {
            ActionKind::ShiftTraffic { to, share } => self.new_share(to, *share),
            ActionKind::Patch(_) if self.patches(action) == Some(Patched::Route) => {
                self.patched_share(action)?
            }
            _ => return None,
        };
        if self.shares_follow_pods() || self.switches_to(at).is_some() {
            return None;
        }
        let (new, previous) = (self.slot(&SlotRef::New)?, self.slot(&SlotRef::Previous)?);
        Some([(new, share), (previous, share.rest())].into())
    }

    /// Of the two slots of this run, the one that is not this one.
    pub fn other_slot(&self, slot: &SlotRef) -> Option<SlotName> {
        let slot = self.slot(slot)?;
        [SlotRef::New, SlotRef::Previous].iter().filter_map(|it| self.slot(it)).find(|it| *it != slot)
    }

    /// The new slot's share after an act that gives a slot a share.
    pub fn new_share(&self, to: &SlotRef, share: Share) -> Share {
        if self.slot(to) == self.opened.new_slot { share } else { share.rest() }
    }

    /// Whether shares follow from which pods are ready.
    pub fn shares_follow_pods(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::shares_follow_pods)
    }

    /// Whether an `HTTPRoute` directs traffic.
    pub fn has_route(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::has_route)
    }

    /// Whether one Deployment runs both versions.
    pub fn is_one_deployment(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::is_one_deployment)
    }

    /// Whether the slot that had the traffic runs the new version by our own doing: a canary was promoted.
    pub fn is_promoted(&self) -> bool {
        let canary = self.runbook.deployment.strategy == Strategy::Canary;
        let Some(target) = self.opened.previous.as_ref().filter(|_| canary) else { return false };
        let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(&target.slot));
        let other = believed.is_some_and(|slot| slot.image.as_ref() != Some(&target.image));
        // Somebody else's image that was accepted is no promotion of ours.
        other
            && (self.lost.iter().any(|(object, _)| *object == Some(target.slot.clone()))
                || self.has_promoted())
    }

    fn has_promoted(&self) -> bool {
        let previous = self.opened.previous.as_ref().map(|target| &target.slot);
        self.all_actions().any(|(at, state)| {
            let begun = !matches!(state.status, ActionStatus::Pending | ActionStatus::PassedOver);
            let step = matches!(at.place, Place::Step { .. });
            let sets = self.action(&at).is_some_and(|action| match &action.kind {
                ActionKind::SetImage { slot, .. } => self.slot(slot).as_ref() == previous,
                ActionKind::Patch(_) => {
                    matches!(self.patches(action), Some(Patched::Slot(slot)) if Some(&slot) == previous)
                }
                _ => false,
            });
            begun && step && sets
        })
    }

    /// The slot whose metrics tell how the new version does: the new one, or the one that a canary was promoted to.
    pub fn judged_slot(&self) -> Option<SlotName> {
        let new = self.opened.new_slot.clone();
        let idle = new.as_ref().is_some_and(|new| share_of(&self.shares, new) == Share::NONE);
        let promoted = idle && self.is_promoted();
        if promoted { self.slot(&SlotRef::Previous) } else { new }
    }

    /// The slot of a metric that is looked at for the judgement of the new version.
    pub fn metric_slot(&self, slot: &SlotRef) -> Option<SlotName> {
        if *slot == SlotRef::New { self.judged_slot() } else { self.slot(slot) }
    }

    /// Whether our own acts have taken the new version back, where pods serve as they become ready: the Deployment has its old image
    /// again, or the canary is to have no pods.
    pub fn is_taken_back(&self) -> bool {
        let believed = |name: &SlotName| self.pinned.as_ref().and_then(|pinned| pinned.slots.get(name));
        let Some((new, target)) = self.opened.new_slot.as_ref().zip(self.opened.previous.as_ref()) else {
            return true;
        };
        believed(new).is_none_or(|slot| {
            if self.is_one_deployment() {
                slot.image.as_ref() == Some(&target.image)
            } else {
                slot.replicas == 0
            }
        })
    }

    /// Whether an act lets users meet the new version: it directs traffic to it, or starts pods of it that the Service selects
    /// already.
    pub fn exposes(&self, at: &ActionRef) -> bool {
        let Some(action) = self.action(at) else { return false };
        let new = |slot: &SlotRef| self.slot(slot).is_some() && self.slot(slot) == self.opened.new_slot;
        let one = self.is_one_deployment();
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => new(to),
            ActionKind::ShiftTraffic { to, share } => self.new_share(to, *share) > Share::NONE,
            ActionKind::SetImage { .. } | ActionKind::Restart { .. } | ActionKind::Resume { .. } => one,
            ActionKind::Scale { slot, replicas } => {
                !one && self.shares_follow_pods() && new(slot) && self.replicas(*replicas) > 0
            }
            ActionKind::Patch(_) if one => matches!(self.patches(action), Some(Patched::Slot(_))),
            ActionKind::Patch(_) => {
                let whole = self.switches_to(at).is_some_and(|to| Some(to) == self.opened.new_slot);
                whole || self.shifts_to(at).is_some()
            }
            ActionKind::Revert { .. }
            | ActionKind::Pause { .. }
            | ActionKind::Rollout { .. }
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => false,
        }
    }

    /// Whether an act brings all traffic back to the slot that had it when the run opened, by itself or as its pods follow.
    pub fn brings_back(&self, at: &ActionRef) -> bool {
        let Some(action) = self.action(at) else { return false };
        let previous = self.opened.previous.as_ref().map(|target| target.slot.clone());
        match &action.kind {
            ActionKind::Revert { slot } => self.is_one_deployment() && self.slot(slot) == previous,
            ActionKind::ShiftTraffic { to, share } => self.new_share(to, *share) == Share::NONE,
            _ => previous.is_some() && self.switches_to(at) == previous,
        }
    }

    /// A slot's colour.
    pub fn slot(&self, slot: &SlotRef) -> Option<SlotName> {
        match slot {
            SlotRef::New => self.opened.new_slot.clone(),
            SlotRef::Previous => self.opened.previous.as_ref().map(|target| target.slot.clone()),
            SlotRef::Named(name) => Some(name.clone()),
        }
    }

    /// A number of replicas.
    pub fn replicas(&self, replicas: Replicas) -> u32 {
        match replicas {
            Replicas::Count(count) => count,
            Replicas::Before => self.opened.previous.as_ref().map_or(1, |target| target.replicas),
        }
    }

    /// Whether the new slot has traffic, or may have: a switch was begun and not taken back.
    pub fn switch_begun(&self) -> bool {
        let moving = self.moved_to.is_some() && self.moved_to == self.opened.new_slot;
        if self.switched_at.is_some() || moving {
            return true;
        }
        let reverted = self.rollbacks.iter().any(|state| {
            state.procedure.as_str() != "undo" && state.finished.as_ref().is_some_and(|(ok, ..)| *ok)
        });
        let open = |status| matches!(status, ActionStatus::Running | ActionStatus::Unknown);
        let switching = |at: &ActionRef| match &at.place {
            Place::Step { step } => {
                let index = self.runbook.step_index(step.as_str());
                let is_switch = index.is_some() && index == self.runbook.switch_step();
                is_switch || self.exposes(at)
            }
            Place::Undo { .. } | Place::Rollback { .. } | Place::Completion => false,
        };
        // Pods that were ordered serve as soon as they are ready, without a further act of ours.
        let follows = self.shares_follow_pods();
        let begun = |status| open(status) || (follows && status == ActionStatus::Done);
        !reverted && self.all_actions().any(|(at, state)| begun(state.status) && switching(&at))
    }
}
