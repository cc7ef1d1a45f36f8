//! After the deployment: the end of the completion and the tasks. Also incidents, which can happen at any time.

use super::Machine;
use crate::domain::{
    actor::Actor,
    effect::Effect,
    event::{Outcome, RunEvent},
    runbook::Milestone,
};

impl Machine {
    /// The completion's checks hold: leave the tasks, and say so.
    pub(super) fn complete(&mut self) {
        let now = self.now;
        // Where a crash came in between, some are there already.
        let left = self.run.tasks.len();
        for (task, declared) in self.run.runbook.tasks.clone().into_iter().enumerate().skip(left) {
            self.emit(RunEvent::TaskCreated { task, text: declared.text, due_at: now + declared.due });
        }
        let version = self.run.new_version().unwrap_or_default();
        let took = self.run.elapsed(now).clock();
        self.finish(Outcome::Succeeded, &format!("{version} deployed in {took}"));
    }

    pub(super) fn task_done(&mut self, task: usize, by: Actor) {
        match self.run.tasks.get(task) {
            None => self.refuse("no such task"),
            Some(state) if state.done.is_some() => self.refuse("this task is already done"),
            Some(_) => self.emit(RunEvent::TaskDone { task, by }),
        }
    }

    pub(super) fn incident(
        &mut self,
        severity: String,
        title: String,
        impact: String,
        status: String,
        send: bool,
        by: Actor,
    ) {
        let sent = send && self.run.runbook.incident.is_some();
        self.emit(RunEvent::IncidentUpdated { severity, title, impact, status, sent, by });
        if sent && let Some(text) = self.run.incident_text() {
            self.effect(Effect::Notify { milestone: Milestone::Paged, text });
        }
    }
}
