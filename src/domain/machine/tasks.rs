//! After the flight: completion's end, tasks; and incidents, which can come at any time.

use super::Machine;
use crate::domain::{
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

    pub(super) fn task_done(&mut self, task: usize, by: String) {
        match self.run.tasks.get(task) {
            None => self.refuse("no such task"),
            Some(state) if state.done.is_some() => self.refuse("this task is done already"),
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
        by: String,
    ) {
        let sent = send && self.run.runbook.incident.is_some();
        self.emit(RunEvent::IncidentUpdated { severity, title, impact, status, sent, by });
        if sent && let Some(text) = self.run.incident_text() {
            self.effect(Effect::Notify { milestone: Milestone::Paged, text });
        }
    }
}

impl crate::domain::run::Run {
    /// The runbook's message for the declared incident, filled in from the run.
    pub fn incident_text(&self) -> Option<String> {
        let (incident, declared) = self.incident.as_ref().zip(self.runbook.incident.as_ref())?;
        let mut text = String::new();
        let mut rest = declared.template.as_str();
        // In one pass: what a person typed is never taken for a field.
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (name, tail) = after.split_once('}').unwrap_or((after, ""));
            match name {
                "title" => text.push_str(&incident.title),
                "severity" => text.push_str(&incident.severity),
                "started" => text.push_str(&incident.started_at.to_string()),
                "impact" => text.push_str(&incident.impact),
                "actions" => text.push_str(&self.actions_taken()),
                "status" => text.push_str(&incident.status),
                _ => {
                    text.push('{');
                    rest = after;
                    continue;
                }
            }
            rest = tail;
        }
        text.push_str(rest);
        Some(text)
    }

    /// What was done in this run, for an incident's message.
    pub fn actions_taken(&self) -> String {
        let mut taken: Vec<String> = self
            .runbook
            .steps
            .iter()
            .zip(&self.steps)
            .filter(|(_, state)| state.status.is_over() || state.status.is_active())
            .map(|(step, state)| format!("{} {}", step.title, state.status.word()))
            .collect();
        for rollback in &self.rollbacks {
            let end = match &rollback.finished {
                Some((true, ..)) => "done",
                Some((false, ..)) => "FAILED",
                None => "running",
            };
            taken.push(format!("rollback ({}) {end}", rollback.procedure));
        }
        if taken.is_empty() { "none yet".to_owned() } else { taken.join("; ") }
    }
}
