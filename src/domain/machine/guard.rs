//! Read before write: asks for fresh reads of the target, compares them with what the run expects, and lets the guard
//! ([`crate::domain::guard`]) judge every action that is due.
//!
//! What is kept here is evidence, not state: an engine that takes the run up looks again.
//!
//! Longer than 500 lines by a little: how a look comes about and how an act begins on it are one thought.

use std::{collections::BTreeSet, sync::Arc};

use super::Machine;
use crate::domain::{
    action::{Action, ActionKind},
    actor::Actor,
    director::NEW_REVISION,
    effect::Effect,
    event::{ActionOutcome, ActionRef, Place, RunEvent},
    guard::{FRESH, Verdict},
    id::SlotName,
    observation::{Approach, Observation},
    patched::Patched,
    run::{ActionStatus, Run},
    time::{Span, Timestamp},
    workload::Connection,
};

/// Nobody asks for looks that only suspicion wants more often than this.
pub(super) const LOOK_AGAIN: Span = Span::from_secs(1);
/// So long a look is kept at hand after a dialog was last known to be open.
const KEEP_LOOKING: Span = Span::from_secs(2);
/// The time between two of these looks: less than a look is fresh for.
const LOOK_APART: Span = Span::from_millis(300);
/// A look that was asked for and has not come for so long is asked for again: it may have been lost with its task.
const LOOK_LOST: Span = Span::from_secs(30);
/// A rollback that could not look for so long says so, and offers to go on blind.
pub(super) const BLIND_AFTER: Span = Span::from_secs(10);
/// What was last seen may be so old for a rollback to go on by itself without looking.
const LAST_PICTURE: Span = Span::from_secs(30);
/// What is typed to let a rollback's act begin without a look.
pub const BLIND_WORD: &str = "blind";

/// What somebody asks for that a fresh look comes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Go on, if the change was put back.
    Continue,
    /// Take the target as it is.
    Take,
    /// Put it back: the first of what differs, or more of it, after something was.
    PutBack {
        /// Whether something was put back already.
        began: bool,
    },
}

/// What the machine knows of its looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    /// The newest look.
    pub(super) seen: Option<Arc<Observation>>,
    /// When it came.
    pub(super) came: Timestamp,
    /// Looks that began before this say nothing: something of ours, or a command's, has changed the target since.
    pub(super) floor: Timestamp,
    /// When the look was asked for that has not come yet.
    pub(super) asked: Option<Timestamp>,
    /// When one was last asked for.
    pub(super) last_asked: Option<Timestamp>,
    /// Since when looks fail, and how the last one did.
    pub(super) failing: Option<(Timestamp, String)>,
    /// The act that is due, and since when.
    pub(super) due: Option<(ActionRef, Timestamp)>,
    /// When the act that is tried again may begin.
    pub(super) pause: Option<(ActionRef, Timestamp)>,
    /// Objects that no older write of ours can reach any more; the Service is `None`.
    pub(super) settled: BTreeSet<Option<SlotName>>,
    /// … that are being settled.
    pub(super) settling: BTreeSet<Option<SlotName>>,
    /// When the last try to settle one has failed, and why.
    pub(super) unsettled: Option<(Timestamp, String)>,
    /// What somebody has asked for, and when: it waits for a look that began after that, for they may have changed the target a
    /// moment before.
    pub(super) wish: Option<(Wish, Actor, Timestamp)>,
    /// Until when a fresh look is kept at hand, because somebody is about to order an act.
    pub(super) keep_until: Timestamp,
    /// Whether the machine has asked to be woken for the next of these looks.
    pub(super) waking: bool,
    /// A person lets the act that is due begin without a look.
    pub(super) blind: Option<Actor>,
    /// The newest picture differs from what the run believes, and no look was asked for since.
    pub(super) suspicious: bool,
}

impl Machine {
    /// Whether there is a target to look at.
    pub(super) fn has_target(&self) -> bool {
        self.run.runbook.target.is_some() && self.run.opened.previous.is_some()
    }

    /// Asks for a fresh look, unless one is on its way.
    pub(super) fn ask_look(&mut self) {
        if !self.has_target() {
            return;
        }
        let lost =
            self.looks.asked.is_some_and(|at| self.now.since(at) > LOOK_LOST.saturating_add(self.slack));
        // A server that refuses is not asked in a tight circle.
        let refused = self.looks.failing.is_some()
            && self.looks.last_asked.is_some_and(|at| self.now.since(at) < LOOK_AGAIN);
        if (self.looks.asked.is_none() && !refused) || lost {
            self.looks.asked = Some(self.now);
            self.looks.last_asked = Some(self.now);
            self.effect(Effect::Observe);
        }
    }

    /// A look that was asked for is not on its way after all.
    pub(super) fn look_is_lost(&mut self) {
        self.looks.asked = None;
    }

    /// What was seen before now is not the present any more.
    pub(super) fn forget_look(&mut self) {
        self.looks.floor = self.now;
        self.looks.seen = None;
    }

    /// The newest look, where it counts: from after our own last act, and fresh.
    ///
    /// Reads may take longer than a look may be old. One that was asked for by what waits for it, and so began after `asked_at`,
    /// counts from when it came: a newer one would be no younger, and nothing could ever begin.
    pub(super) fn fresh_look(&self, asked_at: Timestamp) -> Option<Arc<Observation>> {
        // Where time runs fast, the same half second of life is longer on the run's clock.
        let limit = FRESH.max(Span::from_millis(self.slack.as_millis() / 2));
        self.looks.seen.clone().filter(|seen| {
            let asked_for = seen.at >= asked_at && self.now.since(self.looks.came) <= limit;
            seen.at >= self.looks.floor && (asked_for || self.now.since(seen.at) <= limit)
        })
    }

    /// The newest look from after our own last act, where it is fresh or has just come.
    pub(super) fn look_since_last_act(&self) -> Option<Arc<Observation>> {
        self.fresh_look(self.looks.floor)
    }

    /// Somebody has a dialog open that orders an act.
    pub(super) fn keep_looking_for(&mut self) {
        self.looks.keep_until = self.now + KEEP_LOOKING.saturating_add(self.slack);
    }

    pub(super) fn on_woken(&mut self) {
        self.looks.waking = false;
    }

    /// While a dialog is open or a countdown runs the next act may come at any moment: a look that is fresh then saves it a
    /// round trip.
    pub(super) fn keep_looking(&mut self) {
        let counts = self.run.triggers.iter().any(|trigger| trigger.countdown.is_some());
        if self.looks.wish.is_some() {
            self.ask_look();
        }
        let wanted = counts || self.looks.keep_until > self.now;
        if !wanted || !self.has_target() || self.looks.waking {
            return;
        }
        // Where time runs fast, so many real milliseconds are longer on the run's clock.
        let pause = LOOK_APART.max(Span::from_millis(self.slack.as_millis() * 3 / 10));
        self.looks.waking = true;
        self.effect(Effect::Wake(pause));
        self.ask_look();
    }

    /// A look has come.
    pub(super) fn on_observed(&mut self, result: Result<Observation, String>) {
        self.looks.asked = None;
        match result {
            Ok(seen) => {
                self.looks.failing = None;
                if seen.at < self.looks.floor {
                    return;
                }
                self.looks.seen = Some(Arc::new(seen));
                self.looks.came = self.now;
                if let Some(shares) = self.looks.seen.as_ref().map(|seen| seen.shares()) {
                    self.follow_shares(shares);
                }
                self.compare();
                self.grant_wish();
            }
            Err(why) => {
                if self.looks.wish.take().is_some() {
                    self.refuse(format!("not done: the cluster cannot be read: {why}"));
                }
                let since = self.looks.failing.take().map_or(self.now, |(since, _)| since);
                self.looks.failing = Some((since, why));
                self.effect(Effect::Wake(LOOK_AGAIN));
            }
        }
    }

    /// Whether something of ours, or a command of the runbook, may be changing the target right now.
    pub(super) fn changes_target(&self) -> bool {
        self.runs_command() || self.unanswered().next().is_some() || self.run.putting_back.is_some()
    }

    /// Writes of ours to the target whose answer is still out.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = ActionRef> {
        self.run.open_writes().into_iter().filter(|at| {
            let work = self.run.work(&at.place);
            let status = work.and_then(|work| work.actions.get(at.action)).map(|it| it.status);
            status == Some(ActionStatus::Running) || self.run.is_looked_at(at)
        })
    }

    /// Whether an act of the steps may be moving traffic right now.
    pub(super) fn is_switching(&self) -> bool {
        self.unanswered()
            .filter(|at| !matches!(at.place, Place::Rollback { .. }))
            .any(|at| self.run.switches_to(&at).is_some() || self.run.shifts_to(&at).is_some())
    }

    /// Begins an act that is due, where the guard lets it. `false` where it has to wait.
    pub(super) fn begin_action(&mut self, at: ActionRef) -> bool {
        if self.is_paused(&at) {
            return false;
        }
        if !self.has_target() {
            self.start_action(at, None);
            return true;
        }
        let rolls_back = self.run.rolling_back().is_some();
        let guarded = self.run.is_guarded(&at);
        if !guarded && rolls_back {
            self.start_action(at, None);
            return true;
        }
        let since = match &self.looks.due {
            Some((due, since)) if *due == at => *since,
            _ => {
                self.looks.due = Some((at.clone(), self.now));
                self.now
            }
        };
        if !guarded {
            // Nothing begins before the target was compared with what the run believes since it was last changed.
            let compared = self.looks.seen.as_ref().is_some_and(|seen| seen.at >= self.looks.floor);
            if !compared {
                self.ask_look();
                self.say_unseen(&at);
                return false;
            }
            if self.run.held.is_some() {
                return true;
            }
            self.start_action(at, None);
            return true;
        }
        if !self.settle_before(&at) {
            return self.gave_up_waiting(
                &at,
                self.now.since(since),
                "an earlier write got no answer and may still arrive",
            );
        }
        // The switch stands on the version of what was looked at: a change in between is noticed by the API server. What takes
        // pods away does not, for who has the traffic stands in another object: it is looked at again.
        let anew = self.run.takes_capacity(&at);
        let seen = self.fresh_look(since).filter(|seen| !anew || seen.at >= since);
        let Some(seen) = seen else {
            self.ask_look();
            return self.begin_blind(&at);
        };
        let began = self.run.rolling_back().map(|rollback| rollback.started_at);
        let waited = self.now.since(began.unwrap_or(since));
        let verdict = self.run.judge(&at, &seen, waited);
        self.obey(at, verdict, &seen, self.now.since(since))
    }

    pub(super) fn obey(
        &mut self,
        at: ActionRef,
        verdict: Verdict,
        seen: &Arc<Observation>,
        due_for: Span,
    ) -> bool {
        match verdict {
            Verdict::Go { selector, remark, replicas } => {
                if let (Some(remark), Place::Rollback { procedure }) = (remark, at.place.clone()) {
                    self.emit(RunEvent::RollbackRemarked { procedure, action: None, remark });
                }
                let approach = Approach { seen: Observation::clone(seen), selector, replicas };
                self.start_action(at, Some(approach));
                true
            }
            Verdict::Spare(why) => {
                self.end_unbegun(at, ActionOutcome::Succeeded, why);
                true
            }
            Verdict::Refuse(why) => {
                self.end_unbegun(at, ActionOutcome::Failed, why);
                true
            }
            Verdict::Prepare(actions) => {
                if let Place::Rollback { procedure } = at.place.clone() {
                    let before = at.action;
                    self.emit(RunEvent::RollbackPrepared { procedure, before, actions });
                    return true;
                }
                self.wait(&at, "its pods must be started first".to_owned());
                false
            }
            Verdict::Hold(why) => {
                self.compare();
                if self.run.held.is_none() {
                    self.hold_foreign(&why);
                }
                self.wait(&at, why);
                false
            }
            Verdict::Wait(why) => {
                if self.gave_up_waiting(&at, due_for, &why) {
                    return true;
                }
                self.wait(&at, why);
                false
            }
        }
    }

    /// Ends an act of a step that has been due for as long as it may take. A rollback goes on waiting.
    fn gave_up_waiting(&mut self, at: &ActionRef, due_for: Span, why: &str) -> bool {
        let patience = self.run.action(at).map_or(Span::ZERO, |action| action.timeout);
        // Where time runs fast, looks take their time in real time all the same.
        if self.run.rolling_back().is_some() || due_for < patience.as_deadline(self.slack) {
            return false;
        }
        self.end_unbegun(at.clone(), ActionOutcome::Failed, format!("not started after {patience}: {why}"));
        true
    }

    /// Shows what an act waits for; once for each reason.
    pub(super) fn wait(&mut self, at: &ActionRef, why: String) {
        let state = self.run.work(&at.place).and_then(|work| work.actions.get(at.action));
        let told = state.is_some_and(|state| state.waits.as_ref() == Some(&why));
        if !told {
            self.emit(RunEvent::ActionWaits { at: at.clone(), why: why.clone() });
        }
        self.tell_late(&why);
    }

    /// Says that the target cannot be read, once that has lasted.
    pub(super) fn say_unseen(&mut self, at: &ActionRef) {
        if let Some((since, why)) = self.looks.failing.clone()
            && self.now.since(since) >= LOOK_AGAIN
        {
            self.wait(at, format!("the cluster cannot be read: {why}"));
        }
    }

    /// A rollback that cannot look: with a person's word, or where what was known a moment ago says that it is right.
    pub(super) fn begin_blind(&mut self, at: &ActionRef) -> bool {
        let Some((since, why)) = self.looks.failing.clone() else { return false };
        let Place::Rollback { procedure } = at.place.clone() else {
            self.say_unseen(at);
            return false;
        };
        if self.now.since(since) < BLIND_AFTER.saturating_add(self.slack) && self.looks.blind.is_none() {
            self.say_unseen(at);
            return false;
        }
        let ready = self.run.switches_to(at).and_then(|to| self.was_ready(&to));
        let (by, words) = match (self.looks.blind.take(), ready) {
            (Some(person), _) => {
                (person, format!("the cluster cannot be read ({why}); continued without it by order"))
            }
            (None, Some(ready)) => (Actor::Auto, format!("the cluster cannot be read ({why}); {ready}")),
            (None, None) => {
                let offer =
                    format!("the cluster cannot be read: {why}. To go on without it: :blind {BLIND_WORD}");
                self.wait(at, offer);
                return false;
            }
        };
        self.emit(RunEvent::RollbackBlind { procedure, why: words, by });
        self.start_action(at.clone(), None);
        true
    }

    /// What is known of a slot without looking: ready in a picture that is less than [`LAST_PICTURE`] old, as it should be, and
    /// none of our own acts has touched it since.
    pub(super) fn was_ready(&self, slot: &SlotName) -> Option<String> {
        let (picture, target) = (self.workload.as_ref()?, self.run.opened.previous.as_ref()?);
        let age = self.now.since(picture.as_of);
        let seen = picture.slots.get(slot)?;
        let right = *slot == target.slot
            && age <= LAST_PICTURE
            && self.run.last_touched(slot).is_none_or(|at| picture.as_of >= at)
            && matches!(picture.connection, Connection::Connected | Connection::Lost(_))
            && seen.found
            && seen.image == target.image
            && seen.ready > 0
            && seen.desired >= target.replicas
            && self.run.open_writes().is_empty()
            && self.run.lost.is_empty()
            && self
                .run
                .pinned
                .as_ref()
                .and_then(|pinned| pinned.slots.get(slot))
                .is_none_or(|it| it.replicas > 0);
        right.then(|| format!("{slot} had {} ready pods {} ago", seen.ready, age.short()))
    }

    /// `:blind`: the act of the rollback that waits for a look begins without one.
    pub(super) fn go_blind(&mut self, typed: &str, by: Actor) {
        if self.refuse_fenced_off() {
            return;
        }
        let waits = self.run.rolling_back().is_some_and(|rollback| rollback.stopped.is_none());
        if !waits || (self.looks.failing.is_none() && self.looks.unsettled.is_none()) {
            return self.refuse("no rollback is waiting for the cluster");
        }
        if !super::typed_matches(Some(typed), BLIND_WORD) {
            return self
                .refuse(format!("type `:blind {BLIND_WORD}` to let it go on without reading the cluster"));
        }
        self.looks.blind = Some(by);
    }

    /// Begins an action: its intent first.
    pub(super) fn start_action(&mut self, at: ActionRef, approach: Option<Approach>) {
        let Some(action) = self.run.action(&at).cloned() else { return };
        // What metrics were like before users meet the new version; once, before the first of several acts.
        let met =
            self.run.switched_at.is_some() || (self.run.shares_follow_pods() && self.run.switch_begun());
        if self.run.exposes(&at) && !met && self.run.rolling_back().is_none() {
            self.record_baseline();
        }
        let does = self.run.action_command(&action).unwrap_or_else(|| self.run.action_text(&action));
        self.granted = None;
        self.looks.due = None;
        if let Some(object) = self.run.writes_to(&at) {
            self.looks.settled.remove(&object);
        }
        let name = self.run.show(&action.name.as_str().into());
        self.emit(RunEvent::ActionStarted { at: at.clone(), name, does });
        match approach {
            Some(approach) => self.effect(Effect::StartGuarded { at, approach: Box::new(approach) }),
            None => self.effect(Effect::StartAction(at)),
        }
    }

    /// An action that the guard does not let begin, or that has nothing to do: its begin and its end in one decision, so that
    /// no crash can come between.
    pub(super) fn end_unbegun(&mut self, at: ActionRef, outcome: ActionOutcome, detail: String) {
        let Some(action) = self.run.action(&at).cloned() else { return };
        let does = self.run.action_command(&action).unwrap_or_else(|| self.run.action_text(&action));
        let name = self.run.show(&action.name.as_str().into());
        (self.granted, self.looks.due) = (None, None);
        self.emit(RunEvent::ActionStarted { at: at.clone(), name, does });
        self.emit(RunEvent::ActionFinished { at, outcome, detail, took: Span::ZERO, output: None });
    }
}

impl Run {
    /// Writes of ours to the target whose answer is not known: running, or unknown.
    pub fn open_writes(&self) -> Vec<ActionRef> {
        let open = |status| matches!(status, ActionStatus::Running | ActionStatus::Unknown);
        self.all_actions()
            .filter(|(at, state)| open(state.status) && self.writes_to(at).is_some())
            .map(|(at, _)| at)
            .collect()
    }

    /// The object that an act writes to, where it is one of the target's: a slot's Deployment, or the Service (`None`).
    pub fn writes_to(&self, at: &ActionRef) -> Option<Option<SlotName>> {
        self.object_of(self.action(at)?)
    }

    /// The same of an action that stands nowhere.
    pub fn object_of(&self, action: &Action) -> Option<Option<SlotName>> {
        let object = self.written_by(action)?;
        // One Deployment is one object, whichever of its revisions is named.
        Some(if self.is_one_deployment() { object.map(|_| NEW_REVISION.into()) } else { object })
    }

    #[expect(clippy::option_option, reason = "no write, one to what directs traffic, or one to a slot")]
    fn written_by(&self, action: &Action) -> Option<Option<SlotName>> {
        match &action.kind {
            ActionKind::SwitchTraffic { .. } => Some(None),
            ActionKind::Patch(_) => match self.patches(action)? {
                Patched::Service | Patched::Route => Some(None),
                Patched::Slot(slot) => Some(Some(slot)),
                // Judged by what it leaves, so that it does no harm whenever it arrives.
                Patched::Backend(_) => None,
            },
            // Where shares follow pods it is the new slot that is scaled.
            ActionKind::ShiftTraffic { .. } if self.shares_follow_pods() => {
                Some(self.opened.new_slot.clone())
            }
            ActionKind::ShiftTraffic { .. } => Some(None),
            ActionKind::Scale { slot, .. }
            | ActionKind::SetImage { slot, .. }
            | ActionKind::Revert { slot }
            | ActionKind::Pause { slot }
            | ActionKind::Resume { slot }
            | ActionKind::Restart { slot } => Some(Some(self.slot(slot)?)),
            ActionKind::Rollout { .. }
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => None,
        }
    }

    /// When an act of ours, or a command that may do anything, last ended that may have changed a slot's pods. Moving the traffic
    /// does not.
    pub(super) fn last_touched(&self, slot: &SlotName) -> Option<Timestamp> {
        let touched = self.all_actions().filter(|(at, _)| {
            let touches = self.action(at).is_some_and(|action| action.kind.touches_target());
            touches && self.writes_to(at).is_none_or(|object| object.as_ref() == Some(slot))
        });
        touched.filter_map(|(_, state)| Some(state.started_at? + state.took?)).max()
    }

    /// Whether an act of this run has changed a slot or moved traffic.
    pub fn has_changed_target(&self) -> bool {
        self.all_actions()
            .any(|(at, state)| state.status == ActionStatus::Done && self.writes_to(&at).is_some())
    }
}
