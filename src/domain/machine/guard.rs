//! Looking before acting: asks for fresh looks at the target, compares them with what the run believes, and lets the guard
//! ([`crate::domain::guard`]) decide about every act that is due.
//!
//! What is kept here is evidence, not state: an engine that takes the run up looks anew.

use std::{collections::BTreeSet, sync::Arc};

use super::Machine;
use crate::domain::{
    action::ActionKind,
    actor::Actor,
    belief::{DifferenceKind, Pinned},
    cause::{HoldCause, StopCause},
    effect::Effect,
    event::{ActionOutcome, ActionRef, Place, Resolution, Roles, RollbackTarget, RunEvent},
    guard::{DEFAULT_WITHIN, FRESH, Verdict},
    id::SlotName,
    observation::{Approach, Observation},
    plan::{QUICK, UNDO},
    run::{ActionStatus, Run},
    runbook::Milestone,
    time::{Span, Timestamp},
    workload::Connection,
};

/// Nobody asks for looks that only suspicion wants more often than this.
const LOOK_AGAIN: Span = Span::from_secs(1);
/// So long a look is kept at hand after a dialog was last known to be open.
const KEEP_LOOKING: Span = Span::from_secs(2);
/// The time between two of these looks: less than a look is fresh for.
const LOOK_APART: Span = Span::from_millis(300);
/// A look that was asked for and has not come for so long is asked for again: it may have been lost with its task.
const LOOK_LOST: Span = Span::from_secs(30);
/// A rollback that could not look for so long says so, and offers to go on blind.
const BLIND_AFTER: Span = Span::from_secs(10);
/// What was last seen may be so old for a rollback to go on by itself without looking.
const LAST_PICTURE: Span = Span::from_secs(30);
/// The longest pause between two tries of a rollback's act while the promise can still be kept.
const LONGEST_PAUSE: Span = Span::from_secs(5);
/// … and after that.
const LATE_PAUSE: Span = Span::from_secs(10);
/// What is typed to let a rollback's act begin without a look.
pub const BLIND_WORD: &str = "blind";

/// What somebody asks for that a fresh look comes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Go on, if the change was put back.
    Continue,
    /// Take the target as it is.
    Take,
}

/// What the machine knows of its looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    /// The newest look.
    seen: Option<Arc<Observation>>,
    /// When it came.
    came: Timestamp,
    /// Looks that began before this say nothing: something of ours, or a command's, has changed the target since.
    floor: Timestamp,
    /// When the look was asked for that has not come yet.
    asked: Option<Timestamp>,
    /// When one was last asked for.
    last_asked: Option<Timestamp>,
    /// Since when looks fail, and how the last one did.
    failing: Option<(Timestamp, String)>,
    /// The act that is due, and since when.
    due: Option<(ActionRef, Timestamp)>,
    /// When the act that is tried again may begin.
    pause: Option<(ActionRef, Timestamp)>,
    /// Objects that no older write of ours can reach any more; the Service is `None`.
    settled: BTreeSet<Option<SlotName>>,
    /// … that are being settled.
    settling: BTreeSet<Option<SlotName>>,
    /// What somebody has asked for and waits for the look that is on its way.
    wish: Option<(Wish, Actor)>,
    /// Until when a fresh look is kept at hand, because somebody is about to order an act.
    keep_until: Timestamp,
    /// Whether the machine has asked to be woken for the next of these looks.
    waking: bool,
    /// A person lets the act that is due begin without a look.
    blind: Option<Actor>,
    /// The newest picture differs from what the run believes, and no look was asked for since.
    suspicious: bool,
}

impl Machine {
    /// Whether there is a target to look at.
    fn has_target(&self) -> bool {
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
    fn fresh_look(&self, asked_at: Timestamp) -> Option<Arc<Observation>> {
        // Where time runs fast, the same half second of life is longer on the run's clock.
        let limit = FRESH.max(Span::from_millis(self.slack.as_millis() / 2));
        self.looks.seen.clone().filter(|seen| {
            let asked_for = seen.at >= asked_at && self.now.since(self.looks.came) <= limit;
            seen.at >= self.looks.floor && (asked_for || self.now.since(seen.at) <= limit)
        })
    }

    /// The newest look from after our own last act, where it is fresh or has just come.
    fn look_since_last_act(&self) -> Option<Arc<Observation>> {
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
                self.compare();
                self.grant_wish();
            }
            Err(why) => {
                if self.looks.wish.take().is_some() {
                    self.refuse(format!("not done, the cluster cannot be read: {why}"));
                }
                let since = self.looks.failing.take().map_or(self.now, |(since, _)| since);
                self.looks.failing = Some((since, why));
                self.effect(Effect::Wake(LOOK_AGAIN));
            }
        }
    }

    /// Whether something of ours, or a command of the runbook, may be changing the target right now.
    fn changes_target(&self) -> bool {
        self.runs_command() || self.unanswered().next().is_some()
    }

    /// Writes of ours to the target whose answer is still out.
    fn unanswered(&self) -> impl Iterator<Item = ActionRef> {
        self.run.open_writes().into_iter().filter(|at| {
            let work = self.run.work(&at.place);
            let status = work.and_then(|work| work.actions.get(at.action)).map(|it| it.status);
            status == Some(ActionStatus::Running) || self.run.is_looked_at(at)
        })
    }

    /// Whether an act of the steps may be moving traffic right now.
    pub(super) fn is_switching(&self) -> bool {
        self.unanswered()
            .any(|at| !matches!(at.place, Place::Rollback { .. }) && self.run.switches_to(&at).is_some())
    }

    /// Compares what was seen with what the run believes. Every difference is somebody else's, and holds the run.
    fn compare(&mut self) {
        let idle = self.run.finished.is_some() || self.run.rolling_back().is_some();
        if idle || self.changes_target() {
            return;
        }
        let Some(seen) = self.looks.seen.clone() else { return };
        let found = self.run.differences(&seen);
        let known: BTreeSet<&String> = self.run.foreign.iter().collect();
        let news: Vec<_> = found.iter().filter(|it| !known.contains(&it.words())).cloned().collect();
        for difference in &news {
            self.emit(RunEvent::ForeignChange {
                object: difference.object.clone(),
                what: difference.what.clone(),
                manager: difference.manager.clone(),
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

    fn hold_foreign(&mut self, reason: &str) {
        self.hold(HoldCause::Foreign, reason, Actor::Auto);
    }

    /// A watched picture has come. Where it differs from what the run believes, a fresh look decides.
    pub(super) fn suspect(&mut self) {
        self.looks.suspicious = self.is_suspicious();
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

    fn is_suspicious(&self) -> bool {
        if !self.has_target() || self.run.finished.is_some() || self.run.rolling_back().is_some() {
            return false;
        }
        let (Some(pinned), Some(picture)) = (&self.run.pinned, &self.workload) else { return false };
        let moved = picture.selector.as_ref() != self.run.believed_selector().as_ref();
        let changed = pinned.slots.iter().any(|(name, believed)| {
            picture.slots.get(name).is_some_and(|slot| {
                !slot.found
                    || slot.uid != believed.uid
                    || slot.desired != believed.replicas
                    || believed.image.as_ref().is_some_and(|image| *image != slot.image)
            })
        });
        moved || changed
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
        if rolls_back && !self.settle_before(&at) {
            return false;
        }
        // The switch stands on the version of what was looked at: a change in between is noticed by the API server. What takes
        // pods away does not, for who has the traffic stands in another object: it is looked at anew.
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

    fn obey(&mut self, at: ActionRef, verdict: Verdict, seen: &Arc<Observation>, due_for: Span) -> bool {
        match verdict {
            Verdict::Go { selector, remark } => {
                if let (Some(remark), Place::Rollback { procedure }) = (remark, at.place.clone()) {
                    self.emit(RunEvent::RollbackRemarked { procedure, action: None, remark });
                }
                let approach = Approach { seen: Observation::clone(seen), selector };
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
                self.wait(&at, "its pods have to be started first".to_owned());
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
                let patience = self.run.action(&at).map_or(Span::ZERO, |action| action.timeout);
                if self.run.rolling_back().is_none() && due_for >= patience {
                    self.end_unbegun(at, ActionOutcome::Failed, format!("not begun after {patience}: {why}"));
                    return true;
                }
                self.wait(&at, why);
                false
            }
        }
    }

    /// Shows what an act waits for; once for each reason.
    fn wait(&mut self, at: &ActionRef, why: String) {
        let state = self.run.work(&at.place).and_then(|work| work.actions.get(at.action));
        let told = state.is_some_and(|state| state.waits.as_ref() == Some(&why));
        if !told {
            self.emit(RunEvent::ActionWaits { at: at.clone(), why: why.clone() });
        }
        self.tell_late(&why);
    }

    /// Says that the target cannot be read, once that has lasted.
    fn say_unseen(&mut self, at: &ActionRef) {
        if let Some((since, why)) = self.looks.failing.clone()
            && self.now.since(since) >= LOOK_AGAIN
        {
            self.wait(at, format!("the cluster cannot be read: {why}"));
        }
    }

    /// A rollback that cannot look: with a person's word, or where what was known a moment ago says that it is right.
    fn begin_blind(&mut self, at: &ActionRef) -> bool {
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
                (person, format!("the cluster cannot be read ({why}); ordered to go on without"))
            }
            (None, Some(ready)) => (Actor::Auto, format!("the cluster cannot be read ({why}); {ready}")),
            (None, None) => {
                let offer = format!(
                    "the cluster cannot be read: {why}. To go on without looking: :blind {BLIND_WORD}"
                );
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
    fn was_ready(&self, slot: &SlotName) -> Option<String> {
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
        if !waits || self.looks.failing.is_none() {
            return self.refuse("no rollback waits for a look at the cluster");
        }
        if !super::typed_matches(Some(typed), BLIND_WORD) {
            return self.refuse(format!("type `:blind {BLIND_WORD}` to let it go on without looking"));
        }
        self.looks.blind = Some(by);
    }

    /// Begins an action: its intent first.
    fn start_action(&mut self, at: ActionRef, approach: Option<Approach>) {
        let Some(action) = self.run.action(&at).cloned() else { return };
        let to = self.run.switches_to(&at);
        if to.is_some() && to == self.run.opened.new_slot && to != self.run.live {
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
    fn end_unbegun(&mut self, at: ActionRef, outcome: ActionOutcome, detail: String) {
        let Some(action) = self.run.action(&at).cloned() else { return };
        let does = self.run.action_command(&action).unwrap_or_else(|| self.run.action_text(&action));
        let name = self.run.show(&action.name.as_str().into());
        (self.granted, self.looks.due) = (None, None);
        self.emit(RunEvent::ActionStarted { at: at.clone(), name, does });
        self.emit(RunEvent::ActionFinished { at, outcome, detail, took: Span::ZERO, output: None });
    }

    // --- a rollback does not give up -----------------------------------------------------------------------------------

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
                ActionKind::SetImage { .. } | ActionKind::SwitchTraffic { .. } | ActionKind::Scale { .. } => {
                    true
                }
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

    fn is_paused(&mut self, at: &ActionRef) -> bool {
        let Some((paused, until)) = &self.looks.pause else { return false };
        if paused == at && self.now < *until {
            return true;
        }
        self.looks.pause = None;
        false
    }

    /// The promise is broken: told once, and paged.
    fn tell_late(&mut self, why: &str) {
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
            format!("ROLLBACK NOT DONE within {within}, still trying: {why}. A person must look"),
        );
    }

    /// Whether the quick rollback under way has moved traffic back: what comes after that does not make it fail.
    pub(super) fn traffic_is_back(&self) -> bool {
        let Some(rollback) = self.run.rolling_back().filter(|it| it.procedure.as_str() == QUICK) else {
            return false;
        };
        let place = Place::Rollback { procedure: rollback.procedure.clone() };
        let previous = self.run.opened.previous.as_ref().map(|target| target.slot.clone());
        let attempt = rollback.work.attempt;
        rollback.work.actions.iter().enumerate().any(|(action, state)| {
            let at = ActionRef { place: place.clone(), attempt, action };
            state.status == ActionStatus::Done && self.run.switches_to(&at) == previous
        })
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
            self.run.switches_to(&at) == target.as_ref().map(|target| target.slot.clone())
        });
        // Where steps are undone traffic has not moved: it must still be where it was.
        let proves = moves || procedure.as_str() == UNDO;
        let Some(target) = target.filter(|_| proves && self.has_target()) else { return true };
        let began = self.run.rolling_back().map_or(self.now, |rollback| rollback.started_at);
        let within = self.run.rolling_back().and_then(|rollback| rollback.within).unwrap_or(DEFAULT_WITHIN);
        let late = self.now.since(began) >= within;
        let Some(seen) = self.look_since_last_act() else {
            self.ask_look();
            // Nothing is left to be done: it can wait for the proof as long as was promised.
            let blind = self.looks.failing.clone().filter(|(since, _)| self.now.since(*since) >= BLIND_AFTER);
            let Some((_, why)) = blind.filter(|_| late) else { return false };
            let remark = format!("nobody could look whether {} serves the traffic: {why}", target.slot);
            self.emit(RunEvent::RollbackRemarked { procedure: procedure.clone(), action: None, remark });
            return true;
        };
        let serving = seen.serving(&target.slot);
        if seen.live() == Some(&target.slot) && serving > 0 {
            return true;
        }
        let words = match seen.live() {
            Some(live) if *live == target.slot => format!("{live} has the traffic and no ready pod"),
            Some(live) => format!("the Service points at {live}, and not at {}", target.slot),
            None => "the Service points at no slot of ours".to_owned(),
        };
        // A pod that has just become unready may come back; another selector will not by itself.
        if seen.live() != Some(&target.slot) || late {
            self.stop_rollback(StopCause::Failed, &words);
        }
        false
    }

    /// A run has not succeeded while nobody answers the users. Nothing where somebody does; else whether something was
    /// decided: the completion waits for a look, or has failed.
    pub(super) fn refute_success(&mut self) -> Option<bool> {
        let live = self.run.live.clone().filter(|_| self.has_target())?;
        let place = Place::Completion;
        let Some(seen) = self.look_since_last_act() else {
            self.ask_look();
            let failing =
                self.looks.failing.clone().filter(|(since, _)| self.now.since(*since) >= BLIND_AFTER);
            let Some((_, why)) = failing else { return Some(false) };
            return Some(self.fail(&place, &format!("nobody could look whether {live} serves: {why}")));
        };
        if !self.run.differences(&seen).is_empty() {
            // Comparing has held the run: somebody decides about that first.
            return Some(false);
        }
        (seen.serving(&live) == 0)
            .then(|| self.fail(&place, &format!("{live} has the traffic and no ready pod")))
    }

    /// Makes sure, before traffic goes back, that no write of ours of which nobody knows can still arrive and undo it.
    fn settle_before(&mut self, at: &ActionRef) -> bool {
        let Some(to) = self.run.switches_to(at) else { return true };
        let open: Vec<Option<SlotName>> = self
            .run
            .open_writes()
            .into_iter()
            .filter(|open| open != at)
            .filter_map(|open| self.run.writes_to(&open))
            .filter(|object| object.as_ref().is_none_or(|slot| *slot == to))
            .filter(|object| !self.looks.settled.contains(object))
            .collect();
        for object in &open {
            if self.looks.settling.insert(object.clone()) {
                self.effect(Effect::Settle(object.clone()));
            }
        }
        if let Some(object) = open.first() {
            let what = object.as_ref().map_or_else(|| "the Service".to_owned(), ToString::to_string);
            self.wait(at, format!("a write to {what} that was not answered is being ruled out"));
        }
        open.is_empty()
    }

    pub(super) fn on_settled(&mut self, slot: Option<SlotName>, fault: Option<String>) {
        self.looks.settling.remove(&slot);
        match fault {
            None => {
                self.looks.settled.insert(slot);
                self.forget_look();
            }
            Some(why) => {
                if let Some((at, _)) = self.looks.due.clone() {
                    self.wait(&at, format!("a write that was not answered cannot be ruled out yet: {why}"));
                }
                self.effect(Effect::Wake(LOOK_AGAIN));
            }
        }
    }

    // --- somebody else's change ----------------------------------------------------------------------------------------

    /// The target is taken as it is now.
    pub(super) fn take_target(&mut self, by: Actor) {
        if self.refuse_fenced_off() {
            return;
        }
        let Some(seen) = self.look_since_last_act() else {
            self.looks.wish = Some((Wish::Take, by));
            return self.ask_look();
        };
        if self.run.differences(&seen).is_empty() {
            return self.refuse("nothing differs from what this run believes");
        }
        let Some(pinned) = Pinned::of(&seen) else {
            return self.refuse("the Service does not exist: make it again, or end the run");
        };
        if pinned.live.is_none() {
            return self.refuse("the Service points at no slot of this runbook: point it at one first");
        }
        if let Some(live) = pinned.live.as_ref().filter(|live| seen.serving(live) == 0) {
            return self.refuse(format!(
                "the Service points at {live}, which has no ready pod for it: that is no state to go on from; put it back"
            ));
        }
        let roles = match self.roles_anew(&seen) {
            Ok(roles) => roles,
            Err(why) => return self.refuse(why),
        };
        self.emit(RunEvent::TargetTaken { pinned, roles, by: by.clone() });
        if self.run.switched_at.is_some() && self.clocks.is_empty() {
            self.arm_triggers();
        }
        if self.is_held_for_good() {
            self.emit(RunEvent::RunContinued { by });
        }
    }

    /// Which slot is which, where nothing of this run stands in the way of choosing anew: before anything was changed.
    fn roles_anew(&self, seen: &Observation) -> Result<Option<Roles>, String> {
        let live = seen.live().cloned().ok_or("the Service points at no slot of this runbook")?;
        let slot = seen.slot(&live).ok_or_else(|| format!("{live} has no Deployment"))?;
        if self.run.has_changed_target() {
            return Ok(None);
        }
        let others: Vec<_> = seen.slots.iter().filter(|(name, _)| **name != live).collect();
        let [(other, other_slot)] = others.as_slice() else { return Ok(None) };
        Ok(Some(Roles {
            new_slot: (*other).clone(),
            new_slot_image: other_slot.found.then(|| other_slot.image.clone()),
            previous: RollbackTarget { slot: live, image: slot.image.clone(), replicas: slot.desired.max(1) },
        }))
    }

    /// A run that somebody else's change has held goes on where a fresh look says that it is put back.
    pub(super) fn continue_unchanged(&mut self, by: Actor) {
        let Some(seen) = self.look_since_last_act() else {
            self.looks.wish = Some((Wish::Continue, by));
            return self.ask_look();
        };
        match self.differs_still(&seen) {
            Some(why) => self.refuse(why),
            None => self.emit(RunEvent::RunContinued { by }),
        }
    }

    /// What somebody has asked for, and a look had to come first for.
    fn grant_wish(&mut self) {
        let held = self.run.held.is_some();
        match self.looks.wish.take().filter(|_| held) {
            Some((Wish::Take, by)) => self.take_target(by),
            Some((Wish::Continue, by)) => self.continue_unchanged(by),
            None => {}
        }
    }

    /// Why a run that is held for somebody else's change may not simply go on.
    fn differs_still(&self, seen: &Observation) -> Option<String> {
        let found = self.run.differences(seen);
        let first = found.first()?;
        let put_back = match first.kind {
            DifferenceKind::Object => "make it again as it was",
            DifferenceKind::Traffic | DifferenceKind::Image(_) | DifferenceKind::Replicas(_) => "put it back",
        };
        Some(format!("{}: {put_back} and continue, or take it as it is with :accept", first.words()))
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
        match &self.action(at)?.kind {
            ActionKind::SwitchTraffic { .. } => Some(None),
            ActionKind::Scale { slot, .. }
            | ActionKind::SetImage { slot, .. }
            | ActionKind::Restart { slot } => Some(Some(self.slot(slot)?)),
            ActionKind::Patch(_)
            | ActionKind::Rollout { .. }
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => None,
        }
    }

    /// When an act of ours, or a command that may do anything, last ended that may have changed a slot's pods. Moving the traffic
    /// does not.
    fn last_touched(&self, slot: &SlotName) -> Option<Timestamp> {
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
