//! The course: steps with their undo and their window, then the completion.

use std::sync::Arc;

use crate::domain::{
    event::RunEvent,
    run::{ActionState, Run, StepStatus, Work},
    time::{Span, Timestamp},
};

impl Run {
    /// Takes in an event of one step. A step that the runbook does not have changes nothing.
    pub(super) fn apply_step(&mut self, event: &RunEvent, at: Timestamp) {
        let (RunEvent::StepStarted { step, .. }
        | RunEvent::StepPassed { step, .. }
        | RunEvent::StepFailed { step, .. }
        | RunEvent::StepSkipped { step, .. }
        | RunEvent::UndoStarted { step, .. }
        | RunEvent::UndoFinished { step, .. }
        | RunEvent::WindowOpened { step, .. }
        | RunEvent::WindowAdvanced { step, .. }) = event
        else {
            return;
        };
        let Some(index) = self.runbook.step_index(step.as_str()) else { return };
        let runbook = Arc::clone(&self.runbook);
        let Some(declared) = runbook.steps.get(index) else { return };
        let Some(state) = self.steps.get_mut(index) else { return };
        match event {
            RunEvent::StepStarted { attempt, .. } => {
                self.started_at.get_or_insert(at);
                state.status = StepStatus::Running;
                state.undone = false;
                state.reason = None;
                state.watched = Span::ZERO;
                state.window_opened = None;
                let kept = std::mem::take(&mut state.work.actions);
                state.work = Work::of(&declared.run, &declared.check);
                state.work.attempt = *attempt;
                state.work.started_at = Some(at);
                state.work.keep_done(kept);
                state.check_if_acted();
                // What was half undone is done anew: an undo of this attempt begins from its first action.
                if let Some(undo) = &mut state.undo {
                    undo.actions.fill(ActionState::default());
                }
            }
            RunEvent::StepPassed { .. } => {
                state.status = StepStatus::Passed;
                state.work.finished_at = Some(at);
            }
            RunEvent::StepFailed { reason, .. } => {
                state.status = StepStatus::Failed;
                state.reason = Some(reason.clone());
                state.work.finished_at = Some(at);
            }
            RunEvent::StepSkipped { reason, .. } => {
                state.status = StepStatus::Skipped;
                state.reason = Some(reason.clone());
                state.work.finished_at = Some(at);
            }
            RunEvent::UndoStarted { attempt, .. } => {
                // An undo that failed goes on with the action that failed: nothing is restored twice.
                let kept = state.undo.take().filter(|_| !state.undone).map(|undo| undo.actions);
                let mut work = Work::of(&declared.undo, &[]);
                work.attempt = *attempt;
                work.started_at = Some(at);
                work.keep_done(kept.unwrap_or_default());
                state.undo = Some(work);
            }
            RunEvent::UndoFinished { ok, detail, .. } => {
                if let Some(undo) = &mut state.undo {
                    undo.finished_at = Some(at);
                }
                state.reason = Some(detail.clone());
                if *ok {
                    state.status = StepStatus::Pending;
                    state.undone = true;
                    let attempt = state.work.attempt;
                    state.work = Work::of(&declared.run, &declared.check);
                    state.work.attempt = attempt;
                }
            }
            RunEvent::WindowOpened { .. } => state.window_opened = Some(at),
            RunEvent::WindowAdvanced { watched, .. } => state.watched = *watched,
            _ => {}
        }
    }

    /// Takes in an event of the completion, which is work like a step's and has no undo.
    pub(super) fn apply_completion(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::CompletionStarted { attempt, .. } => {
                let runbook = Arc::clone(&self.runbook);
                let kept = self.completion.take().map(|work| work.actions).unwrap_or_default();
                let mut work = Work::of(&runbook.completion.run, &runbook.completion.check);
                work.attempt = *attempt;
                work.started_at = Some(at);
                work.keep_done(kept);
                self.completion = Some(work);
            }
            RunEvent::CompletionFailed { .. } => {
                if let Some(work) = &mut self.completion {
                    work.finished_at = Some(at);
                }
            }
            _ => {}
        }
    }
}
