//! Actions and checks, wherever they stand: in a step, its undo, a rollback or the completion.

use crate::domain::{
    event::{ActionOutcome, CheckRef, Place, Resolution, RunEvent},
    run::{ActionState, ActionStatus, CheckState, CheckStatus, Run, StepStatus},
    time::{Span, Timestamp},
};

impl Run {
    /// Takes in an event of one action, wherever it stands, and what it says of the traffic and of its step.
    pub(super) fn apply_action(&mut self, event: &RunEvent, now: Timestamp) {
        let (RunEvent::ActionStarted { at, .. }
        | RunEvent::ActionSpawned { at, .. }
        | RunEvent::ActionFinished { at, .. }
        | RunEvent::ActionWaits { at, .. }
        | RunEvent::ActionRetried { at, .. }
        | RunEvent::ActionLooked { at, .. }
        | RunEvent::ActionResolved { at, .. }) = event
        else {
            return;
        };
        let (switches_to, shifts_to) = (self.switches_to(at), self.shifts_to(at));
        if matches!(event, RunEvent::ActionFinished { outcome: ActionOutcome::Unknown, .. }) {
            self.lose(at);
        }
        let Some(action) = self.work_mut(&at.place).and_then(|work| work.actions.get_mut(at.action)) else {
            return;
        };
        match event {
            RunEvent::ActionStarted { does, .. } => {
                *action = ActionState {
                    status: ActionStatus::Running,
                    does: does.clone(),
                    started_at: Some(now),
                    tries: action.tries,
                    ..ActionState::default()
                };
            }
            RunEvent::ActionSpawned { child, .. } => action.child = Some(child.clone()),
            RunEvent::ActionWaits { why, .. } => action.waits = Some(why.clone()),
            RunEvent::ActionRetried { tries, why, .. } => {
                *action = ActionState { detail: why.clone(), tries: *tries, ..ActionState::default() };
            }
            RunEvent::ActionLooked { evidence, .. } => {
                action.looked = true;
                action.detail = format!("read from the cluster, still unknown: {evidence}");
            }
            RunEvent::ActionFinished { outcome, detail, took, output, .. } => {
                action.finish(*outcome, detail, *took, output.as_ref());
            }
            RunEvent::ActionResolved { resolution, by, evidence, .. } => {
                action.resolve(*resolution, &by.with_evidence(evidence.as_deref()));
            }
            _ => {}
        }
        let (unknown, done) = (action.status == ActionStatus::Unknown, action.status == ActionStatus::Done);
        if done && switches_to.is_some() && (switches_to != self.live || self.shares.len() > 1) {
            self.moved_to = switches_to;
        } else if done && shifts_to.as_ref().is_some_and(|shares| *shares != self.shares) {
            self.shifted_to = shifts_to;
        }
        let ends = matches!(event, RunEvent::ActionFinished { .. } | RunEvent::ActionResolved { .. });
        if done && ends {
            self.believe_done(at);
        }
        if let Place::Step { step } = &at.place
            && let Some(state) = self.step_mut(step.as_str())
            && state.status.is_active()
        {
            state.status = if unknown { StepStatus::Unknown } else { StepStatus::Running };
            state.check_if_acted();
        }
    }

    /// Takes in what one check has found.
    pub(super) fn apply_check(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::CheckPassed { at: which, evidence, by, skipped, .. } => {
                let (evidence, by) = (evidence.clone(), Some(by.clone()));
                let (status, skipped) = (CheckStatus::Holds, *skipped);
                self.set_check(
                    which,
                    CheckState { status, evidence, by, at, skipped, ..CheckState::default() },
                );
            }
            RunEvent::CheckFailed { at: which, evidence, by, caught, .. } => {
                let (evidence, by) = (evidence.clone(), Some(by.clone()));
                let (status, caught) = (CheckStatus::Fails, *caught);
                self.set_check(
                    which,
                    CheckState { status, evidence, by, at, caught, ..CheckState::default() },
                );
            }
            _ => {}
        }
    }

    /// A check that passes after it had caught something was cleared by a person: since then that counts as seen.
    fn set_check(&mut self, which: &CheckRef, new: CheckState) {
        if let Some(state) = self.work_mut(&which.place).and_then(|work| work.checks.get_mut(which.check)) {
            let taken_back = (state.caught && new.status == CheckStatus::Holds).then_some(new.at);
            *state = CheckState { acknowledged: taken_back.or(state.acknowledged), ..new };
        }
    }
}

impl ActionState {
    /// How it ended. Its process is remembered only while nobody knows what became of it.
    fn finish(&mut self, outcome: ActionOutcome, detail: &str, took: Span, output: Option<&String>) {
        self.status = match outcome {
            ActionOutcome::Succeeded => ActionStatus::Done,
            ActionOutcome::Failed | ActionOutcome::TimedOut | ActionOutcome::Unavailable => {
                ActionStatus::Failed
            }
            ActionOutcome::Cancelled => ActionStatus::Cancelled,
            ActionOutcome::Unknown => ActionStatus::Unknown,
        };
        detail.clone_into(&mut self.detail);
        self.took = Some(took);
        self.output = output.cloned();
        if outcome != ActionOutcome::Unknown {
            self.child = None;
        }
    }

    /// What became of an unknown one, and according to whom.
    fn resolve(&mut self, resolution: Resolution, by: &str) {
        self.child = None;
        self.lives = None;
        match resolution {
            Resolution::Done => {
                self.status = ActionStatus::Done;
                self.detail = format!("done, according to {by}");
            }
            Resolution::NotDone => {
                self.status = ActionStatus::Failed;
                self.detail = format!("not done, according to {by}");
            }
            Resolution::RunAgain => *self = Self::default(),
        }
    }
}
