//! A rollback does not give up: its actions are safe to repeat, so they are repeated until they succeed. Its end, like
//! the end of a run, is verified by a read.

use std::collections::BTreeSet;

use super::{
    Machine,
    guard::{BLIND_AFTER, BLIND_WORD, LOOK_AGAIN},
};
use crate::domain::{
    action::ActionKind,
    cause::StopCause,
    director::{Share, in_words, leading, share_of},
    effect::Effect,
    event::{ActionRef, Place, Resolution, RunEvent},
    guard::DEFAULT_WITHIN,
    id::{ProcedureId, QUICK, SlotName, UNDO},
    observation::Observation,
    run::ActionStatus,
    runbook::{Milestone, Target},
    time::Span,
};

/// The longest pause between two tries of a rollback's act while the promise can still be kept.
const LONGEST_PAUSE: Span = Span::from_secs(5);
/// … and after that.
const LATE_PAUSE: Span = Span::from_secs(10);
/// How long the end of a run waits for controllers that have yet to act on what they were told.
const SETTLES: Span = Span::from_secs(30);

impl Machine {
    /// Whether an act is the own of a rollback that is under way. One that was certainly not done is tried again, whatever it is:
    /// nothing of it is repeated.
    pub(super) fn tries_on(&self, at: &ActionRef) -> bool {
        let place = matches!(at.place, Place::Rollback { .. } | Place::Undo { .. });
        place && self.run.rolling_back().is_some_and(|rollback| rollback.stopped.is_none())
    }

    /// Whether an act is one that a rollback tries until it is done: safe to repeat, and its own.
    pub(super) fn perseveres(&self, at: &ActionRef) -> bool {
        self.tries_on(at)
            && self.run.action(at).is_some_and(|action| match action.kind {
                ActionKind::SetImage { .. }
                | ActionKind::SwitchTraffic { .. }
                | ActionKind::ShiftTraffic { .. }
                | ActionKind::Revert { .. }
                | ActionKind::Pause { .. }
                | ActionKind::Resume { .. }
                | ActionKind::Scale { .. } => true,
                // A restart asked for twice restarts twice; a patch is the runbook's own; a wait has its own patience.
                ActionKind::Restart { .. }
                | ActionKind::Patch(_)
                | ActionKind::Rollout { .. }
                | ActionKind::Sh { .. }
                | ActionKind::Argv { .. }
                | ActionKind::Http(_)
                | ActionKind::Notify { .. } => false,
            })
    }

    /// Another try of an act, after a pause that grows and is spread out.
    pub(super) fn try_again(&mut self, at: ActionRef, why: &str) {
        let tries =
            self.run.work(&at.place).and_then(|work| work.actions.get(at.action)).map_or(0, |it| it.tries);
        let tries = tries.max(1).saturating_add(1);
        self.emit(RunEvent::ActionRetried { at: at.clone(), tries, why: why.to_owned() });
        let late = self.run.rolling_back().is_some_and(|rollback| {
            self.now.since(rollback.started_at) >= rollback.within.unwrap_or(DEFAULT_WITHIN)
        });
        let pause = if late {
            LATE_PAUSE
        } else {
            let longest = Span::from_millis(200_u64.saturating_mul(1 << tries.min(6))).min(LONGEST_PAUSE);
            spread(longest, self.run.last_seq ^ self.now.0.unsigned_abs())
        };
        self.looks.pause = Some((at, self.now + pause));
        self.effect(Effect::Wake(pause));
        self.forget_look();
        self.tell_late(why);
    }

    /// What kept an act from being done has passed: it is tried at once.
    pub(super) fn try_at_once(&mut self) {
        self.looks.pause = None;
    }

    pub(super) fn is_paused(&mut self, at: &ActionRef) -> bool {
        let Some((paused, until)) = &self.looks.pause else { return false };
        if paused == at && self.now < *until {
            return true;
        }
        self.looks.pause = None;
        false
    }

    /// The promise is broken: told once, and paged.
    pub(super) fn tell_late(&mut self, why: &str) {
        let Some(rollback) =
            self.run.rolling_back().filter(|rollback| !rollback.late && rollback.stopped.is_none())
        else {
            return;
        };
        let within = rollback.within.unwrap_or(DEFAULT_WITHIN);
        if self.now.since(rollback.started_at) < within || self.traffic_is_back() {
            return;
        }
        let procedure = rollback.procedure.clone();
        self.emit(RunEvent::RollbackLate { procedure, within, why: why.to_owned() });
        self.notify(
            Milestone::Paged,
            format!("ROLLBACK NOT DONE within {within}, still trying: {why}. Somebody must look at it"),
        );
    }

    /// Whether the quick rollback under way has moved traffic back: what comes after that does not make it fail.
    pub(super) fn traffic_is_back(&self) -> bool {
        let Some(rollback) = self.run.rolling_back().filter(|it| it.procedure.as_str() == QUICK) else {
            return false;
        };
        let place = Place::Rollback { procedure: rollback.procedure.clone() };
        let attempt = rollback.work.attempt;
        let ordered = rollback.work.actions.iter().enumerate().any(|(action, state)| {
            let at = ActionRef { place: place.clone(), attempt, action };
            state.status == ActionStatus::Done && self.run.brings_back(&at)
        });
        // Where shares follow pods, traffic is back when the last pod of the new version has gone.
        let previous = self.run.opened.previous.as_ref().map(|target| &target.slot);
        let all = previous.is_some_and(|slot| share_of(&self.run.shares, slot) == Share::ALL);
        ordered && (!self.run.shares_follow_pods() || all)
    }

    /// Something after the switch back was not as it should be: a remark, and the rollback goes on. Gives whether it was one.
    pub(super) fn remark(&mut self, place: &Place, action: Option<usize>, remark: &str) -> bool {
        let Place::Rollback { procedure } = place else { return false };
        if !self.traffic_is_back() {
            return false;
        }
        let (procedure, remark) = (procedure.clone(), remark.to_owned());
        self.emit(RunEvent::RollbackRemarked { procedure, action, remark });
        true
    }

    /// Whether a rollback's end is proved: traffic is where it should be, and somebody answers it. Asks for a look where
    /// there is none.
    pub(super) fn end_is_proved(&mut self, place: &Place) -> bool {
        let Place::Rollback { procedure } = place else { return true };
        let target = self.run.opened.previous.clone();
        let attempt = self.run.work(place).map_or(1, |work| work.attempt);
        let moves = self.run.actions(place).iter().enumerate().any(|(action, _)| {
            let at = ActionRef { place: place.clone(), attempt, action };
            self.run.brings_back(&at)
        });
        // Where steps are undone traffic has not moved: it must still be where it was.
        let proves = moves || procedure.as_str() == UNDO;
        let Some(target) = target.filter(|_| proves && self.has_target()) else { return true };
        let began = self.run.rolling_back().map_or(self.now, |rollback| rollback.started_at);
        let within = self.run.rolling_back().and_then(|rollback| rollback.within).unwrap_or(DEFAULT_WITHIN);
        let late = self.now.since(began) >= within;
        let Some(seen) = self.look_since_last_act() else {
            return self.end_without_proof(procedure, &target.slot, late);
        };
        let serving = seen.serving(&target.slot);
        let shares = self.run.runbook.target.as_ref().is_some_and(Target::has_shares);
        let alone = !shares || seen.is_alone(&target.slot);
        let back = seen.live() == Some(&target.slot) && serving > 0 && alone;
        let other = self.run.leaves_the_version_before(&seen).filter(|_| back);
        let unfit = seen.not_carried_out().filter(|_| back);
        // What controllers have yet to act on is not seen in pods or revisions: what looks whole may be about to be replaced.
        let behind = seen.slot(&target.slot).is_some_and(|slot| !slot.observed) && back;
        if back && other.is_none() && unfit.is_none() && !behind {
            return true;
        }
        let words = if let Some(other) = &other {
            other.clone()
        } else if let Some(unfit) = unfit {
            unfit
        } else if behind {
            format!("the controller has not caught up with {}'s latest change yet", target.slot)
        } else {
            self.not_back(&target.slot, &seen, alone)
        };
        let follows = self.run.shares_follow_pods();
        // A pod that has just become unready may come back, and pods are replaced one by one; another selector or other weights
        // will not change by themselves.
        let stays = other.is_some() || (!follows && (seen.live() != Some(&target.slot) || !alone));
        if stays || late {
            self.stop_rollback(StopCause::Failed, &words);
        }
        false
    }

    /// Nothing is left to be done: it can wait for the proof as long as was promised, and ends without it then.
    fn end_without_proof(&mut self, procedure: &ProcedureId, slot: &SlotName, late: bool) -> bool {
        self.ask_look();
        let blind = self.looks.failing.clone().filter(|(since, _)| self.now.since(*since) >= BLIND_AFTER);
        let Some((_, why)) = blind.filter(|_| late) else { return false };
        let remark = format!("could not verify that {slot} serves the traffic: {why}");
        self.emit(RunEvent::RollbackRemarked { procedure: procedure.clone(), action: None, remark });
        true
    }

    /// Where traffic is instead of where it should be, in words.
    fn not_back(&self, slot: &SlotName, seen: &Observation, alone: bool) -> String {
        let word = self.run.runbook.target.as_ref().map_or("the Service", Target::director_word);
        match seen.live() {
            _ if self.run.shares_follow_pods() && seen.serving(slot) > 0 => {
                format!("traffic is still shared: {}", in_words(&seen.shares()))
            }
            Some(live) if live == slot && alone => format!("{live} has the traffic but no ready pod"),
            Some(live) if live == slot => {
                format!("{word} gives {live} only a part: {}", in_words(&seen.shares()))
            }
            Some(live) => format!("{word} points at {live}, not at {slot}"),
            None => format!("{word} points at no slot of this runbook"),
        }
    }

    /// A run has not succeeded while nobody answers the users. Nothing where somebody does; else whether something was
    /// decided: the completion waits for a look, or has failed.
    pub(super) fn refute_success(&mut self) -> Option<bool> {
        let live = self.run.live.clone().filter(|_| self.has_target())?;
        let place = Place::Completion;
        if self.run.putting_back.is_some() {
            // The run's last word waits for the answer that is still out.
            return Some(false);
        }
        let Some(seen) = self.look_since_last_act() else {
            self.ask_look();
            let failing =
                self.looks.failing.clone().filter(|(since, _)| self.now.since(*since) >= BLIND_AFTER);
            let Some((_, why)) = failing else { return Some(false) };
            return Some(
                self.fail(&place, &format!("could not verify that {live} serves the traffic: {why}")),
            );
        };
        if !self.run.differences(&seen).is_empty() {
            // Comparing has held the run: somebody decides about that first.
            return Some(false);
        }
        // Where the controllers have yet to act, on our own last order for one, what is counted is about to change.
        let follows = self.run.shares_follow_pods();
        let mut slots = seen.slots.iter().filter(|(name, slot)| slot.found && (follows || **name == live));
        let began = self.run.completion.as_ref().and_then(|work| work.started_at).unwrap_or(self.now);
        if slots.any(|(_, slot)| !slot.observed) && self.now.since(began) < SETTLES {
            return Some(false);
        }
        // What follows the pods is where they are now, not where they were last told to be.
        let live = if follows { leading(&seen.shares()).cloned().unwrap_or(live) } else { live };
        if seen.serving(&live) == 0 {
            return Some(self.fail(&place, &format!("{live} has the traffic but no ready pod")));
        }
        if let Some(why) = seen.not_carried_out() {
            return Some(self.fail(&place, &why));
        }
        let shares = seen.shares();
        let (lost, share) =
            shares.iter().find(|(name, share)| **share > Share::NONE && seen.serving(name) == 0)?;
        Some(self.fail(&place, &format!("{lost} has {share} of the traffic but no ready pod")))
    }

    /// Makes sure, before traffic moves or pods are taken away, that no write of ours of which nobody knows can still arrive and
    /// undo it. That somebody has looked since and found it not done says nothing: it may be on its way.
    pub(super) fn settle_before(&mut self, at: &ActionRef) -> bool {
        let Some(due) = self.run.action(at).map(|action| action.kind.clone()) else { return true };
        let to = self.run.switches_to(at);
        if to.is_none() && !self.run.takes_capacity(at) {
            return true;
        }
        let unanswered = self.run.open_writes().into_iter().filter(|open| open != at);
        let mut open: BTreeSet<Option<SlotName>> =
            unanswered.filter_map(|open| self.run.writes_to(&open)).collect();
        let putting_back = self.run.putting_back.as_ref().map(|it| &it.action);
        open.extend(putting_back.and_then(|action| self.run.object_of(action)));
        // What does the same may arrive twice.
        open.extend(self.run.lost.iter().filter(|(_, kind)| *kind != due).map(|(object, _)| object.clone()));
        // Late, one to the Service takes the traffic elsewhere; one to the slot that gets the traffic takes its pods. Where pods
        // have traffic as they are ready, one to the same Deployment gives it to others: a write that finds all as it should
        // be leaves the version that the late one stands on.
        let (one, own) = (self.run.is_one_deployment(), self.run.writes_to(at));
        let follows = self.run.shares_follow_pods();
        let same = |object: &Option<SlotName>| follows && (one || own.as_ref() == Some(object));
        open.retain(|object| object.is_none() || (to.is_some() && *object == to) || same(object));
        open.retain(|object| !self.looks.settled.contains(object));
        if let Some(object) = open.first().cloned() {
            return self.settle_or_go_blind(at, object.as_ref(), open);
        }
        self.looks.unsettled = None;
        true
    }

    fn settle_or_go_blind(
        &mut self,
        at: &ActionRef,
        first: Option<&SlotName>,
        open: BTreeSet<Option<SlotName>>,
    ) -> bool {
        let what = first.map_or_else(|| "the Service".to_owned(), ToString::to_string);
        let refused = self.looks.unsettled.clone();
        if let (Some((_, why)), Place::Rollback { procedure }) = (refused.clone(), at.place.clone()) {
            if let Some(by) = self.looks.blind.take() {
                let why = format!(
                    "a write to {what} got no answer and may still arrive ({why}); continued by order"
                );
                self.looks.settled.extend(open);
                self.looks.unsettled = None;
                self.emit(RunEvent::RollbackBlind { procedure, why, by });
                return true;
            }
            self.wait(
                at,
                format!(
                    "a write to {what} got no answer and may still arrive: {why}. To go on anyway: :blind \
                     {BLIND_WORD}"
                ),
            );
        } else {
            self.wait(at, format!("a write to {what} got no answer: making sure that it can't arrive late"));
        }
        if refused.is_some_and(|(at, _)| self.now.since(at) < LOOK_AGAIN) {
            return false;
        }
        for object in open {
            if self.looks.settling.insert(object.clone()) {
                self.effect(Effect::Settle(object));
            }
        }
        false
    }

    pub(super) fn on_settled(&mut self, slot: Option<SlotName>, fault: Option<String>) {
        self.looks.settling.remove(&slot);
        match fault {
            None => {
                self.looks.settled.insert(slot);
                self.looks.unsettled = None;
                self.forget_look();
            }
            Some(why) => {
                self.looks.unsettled = Some((self.now, why));
                self.effect(Effect::Wake(LOOK_AGAIN));
            }
        }
    }

    /// What becomes of a look at an unknown act of a rollback: done, or tried again.
    pub(super) fn verified_in_rollback(
        &mut self,
        at: ActionRef,
        resolution: Option<Resolution>,
        evidence: &str,
    ) -> bool {
        if resolution == Some(Resolution::Done) || !self.perseveres(&at) {
            return false;
        }
        self.try_again(at, evidence);
        true
    }
}

/// Between nothing and `longest`, by a number that differs from try to try: many engines do not come back together.
fn spread(longest: Span, seed: u64) -> Span {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    Span::from_millis(mixed % longest.as_millis().max(1))
}
