//! Somebody else's changes: found by comparing a fresh read with what the run expects. They pause the run until they
//! are reverted or accepted.

use super::{
    Machine,
    guard::{LOOK_AGAIN, Wish},
};
use crate::domain::{
    action::{Action, ActionKind},
    actor::Actor,
    belief::{DifferenceKind, Pinned},
    cause::HoldCause,
    director::NEW_REVISION,
    effect::Effect,
    event::{ActionOutcome, Roles, RollbackTarget, RunEvent},
    guard::Verdict,
    observation::{Approach, Observation},
    runbook::{Milestone, Target},
};
use std::collections::BTreeSet;

impl Machine {
    /// Compares what was seen with what the run believes. Every difference is somebody else's, and holds the run.
    pub(super) fn compare(&mut self) {
        let idle = self.run.finished.is_some() || self.run.rolling_back().is_some();
        if idle || self.changes_target() {
            return;
        }
        let Some(seen) = self.looks.seen.clone() else { return };
        let found = self.run.differences(&seen);
        let known: BTreeSet<&String> = self.run.foreign.iter().map(|it| &it.words).collect();
        let news: Vec<_> = found.iter().filter(|it| !known.contains(&it.words())).cloned().collect();
        for difference in &news {
            self.emit(RunEvent::ForeignChange {
                object: difference.object.clone(),
                what: difference.what.clone(),
                manager: difference.manager.clone(),
                put_back: self.run.put_back_line(difference, &seen),
            });
        }
        let Some(first) = news.first() else { return };
        // A hold for missing data ends by itself; this one must not.
        if !self.is_held_for_good() {
            let (object, what, manager) = (&first.object, &first.what, &first.manager);
            let reason = format!("{object} was changed by {manager}: {what}");
            self.notify(Milestone::Paged, format!("FOREIGN CHANGE: {object} by {manager}: {what}"));
            self.hold_foreign(&reason);
        }
    }

    pub(super) fn hold_foreign(&mut self, reason: &str) {
        self.hold(HoldCause::Foreign, reason, Actor::Auto);
    }

    /// A watched picture has come. Where it differs from what the run believes, or from the shares that it has told, a fresh look
    /// decides.
    pub(super) fn suspect(&mut self) {
        self.looks.suspicious = self.is_suspicious() || self.may_have_shifted();
        self.follow_suspicion();
    }

    /// Looks where a picture was suspicious. One that came right after a look waits for its turn; it is not forgotten.
    pub(super) fn follow_suspicion(&mut self) {
        let lately = self.looks.last_asked.is_some_and(|at| self.now.since(at) < LOOK_AGAIN);
        if self.looks.suspicious && !lately {
            self.looks.suspicious = false;
            self.ask_look();
        }
    }

    pub(super) fn is_suspicious(&self) -> bool {
        if !self.has_target() || self.run.finished.is_some() || self.run.rolling_back().is_some() {
            return false;
        }
        let (Some(pinned), Some(picture)) = (&self.run.pinned, &self.workload) else { return false };
        let moved = match (&pinned.route, &picture.route) {
            (Some(route), Some(now)) => {
                let new = self.run.opened.new_slot.iter();
                let another =
                    new.filter(|new| now.elsewhere.contains(*new)).any(|new| !route.elsewhere.contains(new));
                now.uid != route.uid || now.weights != route.weights || another
            }
            (Some(_), None) => true,
            (None, _) => picture.selector.as_ref() != self.run.believed_selector().as_ref(),
        };
        let one = self.run.is_one_deployment();
        let judged = pinned.slots.iter().filter(|(name, _)| !one || name.as_str() == NEW_REVISION);
        let changed = judged.into_iter().any(|(name, believed)| {
            picture.slots.get(name).is_some_and(|slot| {
                !slot.found
                    || slot.uid != believed.uid
                    || slot.desired != believed.replicas
                    || believed.image.as_ref().is_some_and(|image| *image != slot.image)
            })
        });
        moved || changed
    }

    /// The target is taken as it is now.
    pub(super) fn take_target(&mut self, by: Actor) {
        if self.refuse_fenced_off() {
            return;
        }
        self.looks.wish = Some((Wish::Take, by, self.now));
        self.ask_look();
    }

    fn take_seen(&mut self, seen: &Observation, by: Actor) {
        if self.run.differences(seen).is_empty() {
            return self.refuse("nothing differs from what this run expects");
        }
        let word = self.run.runbook.target.as_ref().map_or("the Service", Target::director_word);
        let Some(pinned) = Pinned::of(seen) else {
            return self.refuse(format!("{word} does not exist: recreate it, or end the run"));
        };
        if pinned.live.is_none() {
            return self.refuse(format!("{word} points at no slot of this runbook: point it at one first"));
        }
        if let Some(live) = pinned.live.as_ref().filter(|live| seen.serving(live) == 0) {
            return self.refuse(format!(
                "{word} points at {live}, which has no ready pod: put it back before you continue"
            ));
        }
        let roles = match self.roles_anew(seen) {
            Ok(roles) => roles,
            Err(why) => return self.refuse(why),
        };
        self.emit(RunEvent::TargetTaken { pinned, roles, by: by.clone() });
        match self.run.switched_at {
            Some(_) if self.clocks.is_empty() => self.arm_triggers(),
            Some(_) => {}
            None => self.disarm_triggers(),
        }
        if self.is_held_for_good() {
            self.emit(RunEvent::RunContinued { by });
        }
    }

    /// Which slot is which, where nothing of this run stands in the way of choosing again: before anything was changed.
    pub(super) fn roles_anew(&self, seen: &Observation) -> Result<Option<Roles>, String> {
        let word = self.run.runbook.target.as_ref().map_or("the Service", Target::director_word);
        let live = seen.live().cloned().ok_or_else(|| format!("{word} points at no slot of this runbook"))?;
        let slot = seen.slot(&live).ok_or_else(|| format!("{live} has no Deployment"))?;
        if self.run.has_changed_target() {
            return Ok(None);
        }
        // Revisions of one Deployment can't change their roles: the old one is what the run opened with.
        if self.run.is_one_deployment() && live.as_str() == NEW_REVISION {
            return Err(format!(
                "deployment/{} runs another revision than when this run opened: undo that (kubectl rollout undo), or end \
                 this run and start a new one",
                slot.deployment
            ));
        }
        let others: Vec<_> = seen.slots.iter().filter(|(name, _)| **name != live).collect();
        let [(other, other_slot)] = others.as_slice() else { return Ok(None) };
        Ok(Some(Roles {
            new_slot: (*other).clone(),
            new_slot_image: other_slot.found.then(|| other_slot.image.clone()),
            previous: RollbackTarget { replicas: slot.desired.max(1), ..slot.as_rollback_target(live) },
        }))
    }

    /// A run that somebody else's change has held goes on where a fresh look says that it is put back.
    pub(super) fn continue_unchanged(&mut self, by: Actor) {
        self.looks.wish = Some((Wish::Continue, by, self.now));
        self.ask_look();
    }

    /// What somebody has asked for, and a look had to come first for.
    pub(super) fn grant_wish(&mut self) {
        let Some(seen) = self.looks.seen.clone() else { return };
        let Some((wish, by, asked_at)) = self.looks.wish.take() else { return };
        if seen.at < asked_at {
            self.looks.wish = Some((wish, by, asked_at));
            return self.ask_look();
        }
        if self.run.held.is_none() {
            return;
        }
        match wish {
            Wish::Take => self.take_seen(&seen, by),
            Wish::Continue => match self.differs_still(&seen) {
                Some(why) => self.refuse(why),
                None => self.emit(RunEvent::RunContinued { by }),
            },
            Wish::PutBack { began } => self.put_back_next(&seen, by, began),
        }
    }

    /// Why a run that is held for somebody else's change may not simply go on.
    pub(super) fn differs_still(&self, seen: &Observation) -> Option<String> {
        let found = self.run.differences(seen);
        let first = found.first()?;
        let put_back = match first.kind {
            DifferenceKind::Object => "recreate it as it was",
            DifferenceKind::Backend(_) => "change it back by hand",
            DifferenceKind::Traffic | DifferenceKind::Image(_) | DifferenceKind::Replicas(_) => "put it back",
        };
        Some(format!(
            "{}: {put_back} and continue, or use :putback, or accept it with :accept",
            first.words()
        ))
    }

    /// `:putback`: what somebody else has changed is put back, as far as the guard would let it be so.
    pub(super) fn put_back(&mut self, by: Actor) {
        if self.refuse_fenced_off() {
            return;
        }
        if self.changes_target() {
            return self.refuse("an action of this run is still running: wait for its end");
        }
        self.looks.wish = Some((Wish::PutBack { began: false }, by, self.now));
        self.ask_look();
    }

    /// One act at a time, each after a look of its own.
    fn put_back_next(&mut self, seen: &Observation, by: Actor, began: bool) {
        if self.changes_target() {
            return self.refuse("an action of this run is still running: wait for its end");
        }
        let mut found = self.run.differences(seen);
        if found.is_empty() {
            let held = self.run.held.as_ref().is_some_and(|held| held.cause == HoldCause::Foreign);
            return match (held, began) {
                (true, _) => self.emit(RunEvent::RunContinued { by }),
                (false, true) => {}
                (false, false) => self.refuse("nothing differs from what this run expects"),
            };
        }
        found.sort_by_key(|difference| self.run.put_back_rank(difference, seen));
        let mut against = Vec::new();
        for difference in &found {
            let verdict = match self.run.put_back_action(difference) {
                Ok(action) => match self.run.judge_put_back(&action, seen) {
                    Verdict::Go { .. } => {
                        let does = self.run.put_back_line(difference, seen);
                        return self.begin_put_back(action, does, seen, by);
                    }
                    verdict => verdict,
                },
                Err(why) => Verdict::Refuse(why),
            };
            against.extend(verdict.against());
        }
        let what = if began { "the rest is not put back yet" } else { "not put back yet" };
        self.refuse(format!("{}; {what}", against.join("; ")));
    }

    fn begin_put_back(&mut self, action: Action, does: String, seen: &Observation, by: Actor) {
        let switches = matches!(action.kind, ActionKind::SwitchTraffic { .. });
        let selector = self.run.believed_selector().filter(|_| switches);
        if let Some(object) = self.run.object_of(&action) {
            self.looks.settled.remove(&object);
        }
        self.emit(RunEvent::PutBackStarted { action: Box::new(action.clone()), does, by });
        let approach = Approach { seen: seen.clone(), selector, replicas: None };
        self.effect(Effect::PutBack { action: Box::new(action), approach: Box::new(approach) });
    }

    /// How it went. A fresh look says whether more is to be done.
    pub(super) fn on_put_back(&mut self, outcome: ActionOutcome, detail: String) {
        let Some(by) = self.run.putting_back.as_ref().map(|it| it.by.clone()) else { return };
        self.emit(RunEvent::PutBackFinished { outcome, detail: detail.clone() });
        self.forget_look();
        match outcome {
            ActionOutcome::Succeeded | ActionOutcome::Unknown => {
                self.looks.wish = Some((Wish::PutBack { began: true }, by, self.now));
            }
            ActionOutcome::Failed
            | ActionOutcome::TimedOut
            | ActionOutcome::Cancelled
            | ActionOutcome::Unavailable => self.refuse(format!("not put back: {detail}")),
        }
        self.ask_look();
    }
}
