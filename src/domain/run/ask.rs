//! Queries on a run. Nothing here changes it.
//!
//! Everybody who folds a run asks here, engine, screens and reports, so that all get one answer. Who has the traffic is in
//! `traffic`, what people still have to do in `checklist`, what is known of variables and versions in `values`.

mod checklist;
mod traffic;
mod values;

use super::{ActionState, ActionStatus, RollbackState, Run, StepState, StepStatus, Work};
use crate::domain::{
    action::{Action, ActionKind},
    check::Check,
    crew::Person,
    director::in_words,
    event::{ActionRef, CheckRef, ChildProcess, Outcome, Place},
    id::{MetricId, SlotName, StepId},
    runbook::Step,
    time::{Span, Timestamp},
};
pub use values::tag_of;

impl StepState {
    /// Whether the step has begun to change things.
    pub fn touched(&self) -> bool {
        if self.work.actions.iter().any(|action| action.status != ActionStatus::Pending) {
            return true;
        }
        // Started, and held before its first act began. What an earlier attempt has done is not kept.
        let unbegun = self.work.attempt <= 1 && !self.work.actions.is_empty();
        !unbegun && self.status != StepStatus::Pending && self.status != StepStatus::Skipped
    }
}

impl Run {
    /// Unknown actions whose process may have outlived its engine.
    pub fn orphans(&self) -> Vec<(ActionRef, ChildProcess)> {
        self.unknown_actions().filter_map(|(at, state)| Some((at, state.child.clone()?))).collect()
    }

    /// The process that an action's dead engine has left, where it is known to run still.
    pub fn outlives(&self, at: &ActionRef) -> Option<&ChildProcess> {
        let state = self.work(&at.place)?.actions.get(at.action)?;
        state.child.as_ref().filter(|_| state.status == ActionStatus::Unknown && state.lives == Some(true))
    }

    /// Unknown commands of which nobody wrote down whether a process runs them.
    pub fn unrecorded_commands(&self) -> Vec<ActionRef> {
        let is_command = |at: &ActionRef| {
            let kind = self.action(at).map(|action| &action.kind);
            matches!(kind, Some(ActionKind::Sh { .. } | ActionKind::Argv { .. }))
        };
        self.unknown_actions()
            .filter_map(|(at, state)| state.child.is_none().then_some(at))
            .filter(is_command)
            .collect()
    }

    /// Unknown actions that were to capture a secret.
    pub fn unknown_captures(&self) -> Vec<ActionRef> {
        let captures = |at: &ActionRef| self.action(at).is_some_and(|action| self.captures_secret(action));
        self.unknown_actions().map(|(at, _)| at).filter(captures).collect()
    }

    fn unknown_actions(&self) -> impl Iterator<Item = (ActionRef, &ActionState)> {
        self.all_actions().filter(|(_, state)| state.status == ActionStatus::Unknown)
    }

    /// Every action of the run, wherever it stands: steps, undos, the completion, the last rollback.
    pub(in crate::domain) fn all_actions(&self) -> impl Iterator<Item = (ActionRef, &ActionState)> {
        let mut places: Vec<Place> =
            self.runbook.steps.iter().map(|step| Place::Step { step: step.id.clone() }).collect();
        places.extend(self.runbook.steps.iter().map(|step| Place::Undo { step: step.id.clone() }));
        places.push(Place::Completion);
        places.extend(
            self.rollbacks.last().map(|rollback| Place::Rollback { procedure: rollback.procedure.clone() }),
        );
        let works = places.into_iter().filter_map(|place| Some((self.work(&place)?, place)));
        works.flat_map(|(work, place)| {
            let all = work.actions.iter().enumerate();
            all.map(move |(action, state)| {
                (ActionRef { place: place.clone(), attempt: work.attempt, action }, state)
            })
        })
    }

    /// The act that is due and does not begin yet: what it waits for, or why it is tried again.
    pub fn waiting_act(&self) -> Option<(ActionRef, &str)> {
        let place = match self.rolling_back() {
            Some(_) if self.undoing().is_some() => self.current_place()?,
            Some(rollback) => Place::Rollback { procedure: rollback.procedure.clone() },
            None => self.current_place()?,
        };
        let work = self.work(&place).filter(|work| work.running().is_none())?;
        let action = work.next()?;
        let state = work.actions.get(action)?;
        let tried = (state.tries > 1).then_some(state.detail.as_str());
        let why = state.waits.as_deref().or(tried)?;
        Some((ActionRef { place, attempt: work.attempt, action }, why))
    }

    /// Why nothing may be written to the target any more, where somebody else has its lock.
    pub fn fenced_off(&self) -> Option<&str> {
        self.lock.as_ref().and_then(|lock| lock.lost.as_deref())
    }

    /// Who has control, while their screen is there.
    pub fn present_pilot(&self) -> Option<&Person> {
        self.pilot.as_ref().filter(|_| self.away_since.is_none())
    }

    /// The people who approved this step, without the person who would start it.
    pub fn approved_by(&self, step: &StepId, attempt: u32) -> Vec<&Person> {
        let pilot = self.pilot.as_ref().map(|pilot| pilot.login.as_str());
        let given = self.approvals.get(&(step.clone(), attempt));
        given.into_iter().flatten().filter(|person| Some(person.login.as_str()) != pilot).collect()
    }

    /// The work at a place, where it has begun or stands in the runbook.
    pub fn work(&self, place: &Place) -> Option<&Work> {
        match place {
            Place::Step { step } => self.step(step.as_str()).map(|state| &state.work),
            Place::Undo { step } => self.step(step.as_str()).and_then(|state| state.undo.as_ref()),
            Place::Rollback { .. } => self.rollbacks.last().map(|state| &state.work),
            Place::Completion => self.completion.as_ref(),
        }
    }

    /// Since when a check looks: since its place began, or since a person took back what it had caught.
    pub fn looks_since(&self, at: &CheckRef) -> Option<Timestamp> {
        let work = self.work(&at.place)?;
        let acknowledged = work.checks.get(at.check).and_then(|check| check.acknowledged);
        acknowledged.max(work.started_at)
    }

    /// Whether a check has caught something that only a person can take back.
    pub fn has_caught(&self, place: &Place, check: usize) -> bool {
        self.work(place).and_then(|work| work.checks.get(check)).is_some_and(|check| check.caught)
    }

    /// The actions declared at a place.
    pub fn actions(&self, place: &Place) -> &[Action] {
        match place {
            Place::Step { step } => self.declared(step.as_str()).map_or(&[], |step| &step.run),
            Place::Undo { step } => self.declared(step.as_str()).map_or(&[], |step| &step.undo),
            Place::Rollback { .. } => self.rollbacks.last().map_or(&[], |state| &state.actions),
            Place::Completion => &self.runbook.completion.run,
        }
    }

    /// The checks declared at a place.
    pub fn checks(&self, place: &Place) -> &[Check] {
        match place {
            Place::Step { step } => self.declared(step.as_str()).map_or(&[], |step| &step.check),
            Place::Undo { .. } => &[],
            Place::Rollback { procedure } => {
                self.runbook.procedure(procedure.as_str()).map_or(&[], |found| &found.check)
            }
            Place::Completion => &self.runbook.completion.check,
        }
    }

    /// The declared action that a reference names.
    pub fn action(&self, at: &ActionRef) -> Option<&Action> {
        self.actions(&at.place).get(at.action)
    }

    /// A step's state.
    pub fn step(&self, id: &str) -> Option<&StepState> {
        self.runbook.step_index(id).and_then(|index| self.steps.get(index))
    }

    /// A step as declared.
    pub fn declared(&self, id: &str) -> Option<&Step> {
        self.runbook.step_index(id).and_then(|index| self.runbook.steps.get(index))
    }

    /// The index of the step that is due: the first that is neither passed nor skipped.
    pub fn current(&self) -> Option<usize> {
        self.steps.iter().position(|state| !state.status.is_over())
    }

    /// The rollback under way.
    pub fn rolling_back(&self) -> Option<&RollbackState> {
        self.rollbacks.last().filter(|state| state.finished.is_none())
    }

    /// Whether the run must not be left without an engine: it has begun, and is not over. Nothing real depends on a rehearsal,
    /// whose world ends with its engine.
    pub fn needs_an_engine(&self) -> bool {
        let over = match self.finished.as_ref().map(|(outcome, ..)| *outcome) {
            None | Some(Outcome::Held) => false,
            Some(Outcome::Succeeded | Outcome::Failed | Outcome::RolledBack | Outcome::RollbackFailed) => {
                true
            }
        };
        self.started_at.is_some() && !over && self.opened.rehearsal.is_none()
    }

    /// What it means that a run which needs an engine has none.
    pub fn unwatched(&self) -> String {
        let nobody = self.shares.is_empty() && self.shares_follow_pods() && self.switch_begun();
        // Where users are on both, both are named.
        let whom = self.live.as_ref().map(|live| match self.shares.len() {
            0 | 1 => live.to_string(),
            _ => in_words(&self.shares),
        });
        let traffic = match (whom, &self.opened.new_slot) {
            _ if nobody => ": no pod was ready, and no trigger will roll it back".to_owned(),
            (Some(whom), _) if self.switched_at.is_some() => {
                format!(": traffic is on {whom}, and no trigger will roll it back")
            }
            (Some(whom), Some(new)) if self.switch_begun() => {
                format!(": traffic is on {whom}, or may be on {new} by now, and no trigger will roll it back")
            }
            (Some(whom), _) => format!(": traffic is on {whom}"),
            (None, _) => String::new(),
        };
        format!("NOBODY WATCHES{traffic}")
    }

    /// What to type, where a run which needs an engine has none: to go on, or to go back.
    pub fn ways_on(&self) -> [String; 2] {
        let id = &self.opened.run_id;
        [format!("cutover resume {id}"), format!("cutover rollback {id} --reason WHY")]
    }

    /// How long the run has been going: from the first step to the end, or to now.
    pub fn elapsed(&self, now: Timestamp) -> Span {
        let Some(started) = self.started_at else { return Span::ZERO };
        self.finished.as_ref().map_or(now, |(_, at, _)| *at).since(started)
    }

    /// The key under which a metric's baseline is kept.
    pub fn baseline_key(metric: &MetricId, slot: Option<&SlotName>) -> String {
        slot.map_or_else(|| metric.0.clone(), |slot| format!("{metric}/{slot}"))
    }

    /// What a metric was like before the switch, and of how much time that tells where it is less than five minutes. The new
    /// slot had no traffic then and read zero, if anything: for it counts what the previous one had.
    pub fn baseline_of(&self, metric: &MetricId, slot: Option<&SlotName>) -> Option<(f64, Option<Span>)> {
        let previous = self.opened.previous.as_ref().map(|target| &target.slot);
        let is_new = slot.is_some() && slot == self.opened.new_slot.as_ref();
        let key = Self::baseline_key(metric, if is_new { previous } else { slot });
        Some((*self.baseline.get(&key)?, self.baseline_short.get(&key).copied()))
    }
}

impl Work {
    /// Whether every action is done.
    pub fn acted(&self) -> bool {
        (self.actions.iter())
            .all(|action| matches!(action.status, ActionStatus::Done | ActionStatus::PassedOver))
    }

    /// The index of the action that runs.
    pub fn running(&self) -> Option<usize> {
        self.actions.iter().position(|action| action.status == ActionStatus::Running)
    }

    /// The index of the next action that has not begun.
    pub fn next(&self) -> Option<usize> {
        self.actions.iter().position(|action| action.status == ActionStatus::Pending)
    }

    /// How long it took, or has taken.
    pub fn took(&self, now: Timestamp) -> Span {
        self.started_at.map_or(Span::ZERO, |from| self.finished_at.unwrap_or(now).since(from))
    }
}
