//! Writes of ours on their way: late, lost, refused by the version that they carry, or done.

use std::collections::BTreeMap;

use super::{Object, World, stamp_of};
use crate::domain::{
    action::{Action, ActionKind},
    effect::Input,
    event::{ActionOutcome, ActionRef, Place, Resolution},
    fixture::ground::Ground,
    observation::{Approach, Observation},
    time::Timestamp,
};

/// A write of ours on its way.
pub(super) struct Write {
    pub(super) at: ActionRef,
    pub(super) kind: ActionKind,
    pub(super) approach: Option<Approach>,
    /// The target as it was looked at: the object has not changed since, or the write has no effect.
    pub(super) expects: u64,
    pub(super) applied: bool,
    pub(super) answered: bool,
}

/// A write of ours that takes effect.
pub(super) struct Arrival<'a> {
    pub(super) kind: &'a ActionKind,
    pub(super) object: &'a Object,
    pub(super) before: &'a Ground,
    pub(super) after: &'a Ground,
    /// What allowed it, where it was looked at.
    pub(super) seen: Option<&'a Observation>,
    /// Nobody else has changed anything since the look that allowed it.
    pub(super) undisturbed: bool,
}

impl World {
    pub(super) fn write_happens(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let index = self.rng.usize(0..self.writes.len());
        if !self.writes[index].applied && self.rng.u8(0..4) != 0 {
            self.arrive(index);
        }
        if self.writes[index].answered {
            // Its engine has given it up; whatever becomes of it nobody hears.
            if self.writes[index].applied || self.rng.bool() {
                self.writes.remove(index);
            }
            return;
        }
        let how = if self.fails { self.rng.u8(0..8) } else { 7 };
        let (at, applied) = (self.writes[index].at.clone(), self.writes[index].applied);
        let outcome = match (applied, how) {
            (_, 0 | 1) => ActionOutcome::Unknown,
            (true, _) => ActionOutcome::Succeeded,
            (false, 2) => ActionOutcome::Failed,
            // Refused by its version, or never sent.
            (false, _) => ActionOutcome::Unavailable,
        };
        match outcome {
            // It may still arrive.
            ActionOutcome::Unknown => self.writes[index].answered = true,
            _ => drop(self.writes.remove(index)),
        }
        self.finish(at, outcome);
    }

    /// A write reaches the API server: it takes effect on the version that it carries, and on no other.
    fn arrive(&mut self, index: usize) {
        let write = &self.writes[index];
        let Some(object) = self.flight.run().writes_to(&write.at) else { return };
        if self.version(&object) > write.expects {
            return;
        }
        let ours = !matches!(&write.at.place, Place::Rollback { procedure } if procedure.as_str() != "quick");
        let undisturbed = ours && write.approach.is_some() && self.foreign <= write.expects;
        let (kind, approach) = (write.kind.clone(), write.approach.clone());
        self.take_effect(&kind, &object, approach, undisturbed);
        self.writes[index].applied = true;
    }

    fn take_effect(
        &mut self,
        kind: &ActionKind,
        object: &Object,
        approach: Option<Approach>,
        undisturbed: bool,
    ) {
        let before = self.flight.ground.clone();
        let mut after = before.clone();
        after.apply(kind, self.flight.run());
        let (selector, replicas) =
            approach.as_ref().map_or((None, None), |it| (it.selector.clone(), it.replicas));
        let seen = approach.as_ref().map(|it| &it.seen);
        if let Some(selector) = selector {
            after.selector = selector;
        }
        if let (Some(pods), Some(slot)) =
            (replicas, object.as_ref().and_then(|slot| after.slots.get_mut(slot)))
        {
            slot.desired = pods;
            slot.ready = slot.ready.min(pods);
        }
        self.rules.touch_pods(&before, &mut after);
        // The API server keeps the version of an object that a write leaves as it is.
        let same = is_same(&before, &after);
        self.tell(format!("arrived{}: {kind:?}", if same { ", as it was" } else { "" }));
        self.rules
            .judge_write(self, &Arrival { kind, object, before: &before, after: &after, seen, undisturbed });
        self.flight.ground = after;
        if !same {
            self.changed(object.clone(), true);
        }
    }

    /// The operator has somebody else's change put back: at once, or not at all, and the answer may be lost.
    pub(super) fn put_back(&mut self, action: &Action, approach: Approach) {
        let seen = stamp_of(&approach.seen);
        let object = self.flight.run().object_of(action).unwrap();
        let current = self.version(&object) <= seen;
        let lost = self.fails && self.rng.u8(0..4) == 0;
        self.tell(format!("put back {:?}: current {current}, lost {lost}", action.kind));
        if current {
            self.take_effect(&action.kind, &object, Some(approach), self.foreign <= seen);
        }
        let outcome = match (current, lost) {
            (_, true) => ActionOutcome::Unknown,
            (true, false) => ActionOutcome::Succeeded,
            (false, false) => ActionOutcome::Failed,
        };
        self.flight.feed(Input::PutBack { outcome, detail: "answer".to_owned() });
    }

    /// A second look at an act whose answer was lost.
    pub(super) fn verify(&mut self, at: ActionRef) {
        let Some(action) = self.flight.run().action(&at).cloned() else { return };
        let ground = &self.flight.ground;
        let mut wanted = ground.clone();
        wanted.apply(&action.kind, self.flight.run());
        let done = self.wait_of(&at).unwrap_or_else(|| is_same(ground, &wanted));
        let resolution = match (self.fails && self.rng.u8(0..3) == 0, done) {
            (true, _) => None,
            (false, true) => Some(Resolution::Done),
            (false, false) => Some(Resolution::NotDone),
        };
        let evidence = "looked".to_owned();
        self.tell(format!("looked at {at:?}: {resolution:?}"));
        self.flight.feed(Input::Verified { at, resolution, evidence });
    }
}

/// Whether what people write of a target is the same; pods are not written.
fn is_same(one: &Ground, other: &Ground) -> bool {
    let shares = |ground: &Ground| {
        if ground.weights.is_empty() { BTreeMap::new() } else { ground.look(Timestamp(0)).shares() }
    };
    one.selector == other.selector
        && shares(one) == shares(other)
        && (one.paused, one.rolled) == (other.paused, other.rolled)
        && one.slots.iter().all(|(name, slot)| {
            let other = &other.slots[name];
            (&slot.image, slot.desired) == (&other.image, other.desired)
        })
}
