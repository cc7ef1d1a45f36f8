//! Rollbacks: one after the other, of which only the last can be under way.

use std::sync::Arc;

use crate::domain::{
    event::{ActionRef, Place, RunEvent},
    id::ProcedureId,
    run::{ActionState, ActionStatus, CheckState, RollbackState, Run, Stopped, Work},
    time::Timestamp,
};

impl Run {
    /// Takes in an event of the rollback under way, which is the last one.
    pub(super) fn apply_rollback(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::RollbackStarted { .. } => self.start_rollback(event, at),
            RunEvent::RollbackPrepared { before, actions, .. } => {
                if let Some(state) = self.rollbacks.last_mut().filter(|state| *before <= state.actions.len())
                {
                    let idle = vec![ActionState::default(); actions.len()];
                    state.actions.splice(before..before, actions.iter().cloned());
                    state.work.actions.splice(before..before, idle);
                }
            }
            RunEvent::RollbackRemarked { action, remark, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.remarks.push(remark.clone());
                    let action = action.and_then(|index| state.work.actions.get_mut(index));
                    if let Some(action) = action.filter(|action| action.status != ActionStatus::Done) {
                        action.status = ActionStatus::PassedOver;
                    }
                }
            }
            RunEvent::RollbackLate { .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.late = true;
                }
            }
            RunEvent::RollbackStopped { reason, cause, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.stopped = Some(Stopped { cause: *cause, reason: reason.clone() });
                }
            }
            RunEvent::RollbackRetried { procedure, attempt, .. } => {
                self.retry_rollback(procedure, *attempt);
            }
            RunEvent::RollbackFinished { ok, detail, took, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.finished = Some((*ok, detail.clone(), *took));
                    state.work.finished_at = Some(at);
                }
            }
            _ => {}
        }
    }

    /// A rollback begins: it ends every countdown and every pause, and a run that was over goes on.
    fn start_rollback(&mut self, event: &RunEvent, at: Timestamp) {
        let RunEvent::RollbackStarted { procedure, reason, by, actions, undo, within } = event else {
            return;
        };
        let runbook = Arc::clone(&self.runbook);
        let checks = runbook.procedure(procedure.as_str()).map_or(&[][..], |found| &found.check);
        let mut work = Work::of(actions, checks);
        work.attempt = 1;
        work.started_at = Some(at);
        for trigger in &mut self.triggers {
            trigger.countdown = None;
        }
        self.held = None;
        // A rollback after the end opens the run again, until its own end.
        self.finished = None;
        let trouble_since = self.trouble_since(at);
        self.rollbacks.push(RollbackState {
            procedure: procedure.clone(),
            reason: reason.clone(),
            by: by.clone(),
            started_at: at,
            trouble_since,
            actions: actions.clone(),
            undo: undo.clone(),
            work,
            remarks: Vec::new(),
            late: false,
            stopped: None,
            within: *within,
            finished: None,
        });
    }

    /// A stopped rollback goes on: what is not done yet is due again, and every check is looked at anew.
    fn retry_rollback(&mut self, procedure: &ProcedureId, attempt: u32) {
        // Where all was done and traffic is not back all the same, what brings it back is due again.
        let again = self.rollbacks.last().map(|state| {
            let at = |action| ActionRef {
                place: Place::Rollback { procedure: procedure.clone() },
                attempt: state.work.attempt,
                action,
            };
            let acts = 0..state.work.actions.len();
            acts.map(|action| state.work.acted() && self.brings_back(&at(action))).collect::<Vec<_>>()
        });
        if let Some(state) = self.rollbacks.last_mut() {
            state.stopped = None;
            self.finished = None;
            state.work.attempt = attempt;
            for (action, again) in state.work.actions.iter_mut().zip(again.unwrap_or_default()) {
                if again || action.status != ActionStatus::Done {
                    *action = ActionState::default();
                }
            }
            state.work.checks.iter_mut().for_each(|check| *check = CheckState::default());
        }
    }
}
