//! What goes on beside the deployment: notices, tasks for afterwards, the incident.

use crate::domain::{
    event::RunEvent,
    run::{IncidentState, Notice, Run, TaskState},
    time::Timestamp,
};

impl Run {
    /// Takes in a notice, a task, or something of the incident.
    pub(super) fn apply_aside(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::NoticeSent { milestone, text, ok, detail } => self.notices.push(Notice {
                milestone: *milestone,
                text: text.clone(),
                ok: *ok,
                detail: detail.clone(),
                at,
            }),
            RunEvent::TaskCreated { text, due_at, .. } => {
                self.tasks.push(TaskState { text: text.clone(), due_at: *due_at, done: None });
            }
            RunEvent::TaskDone { task, by } => {
                if let Some(state) = self.tasks.get_mut(*task) {
                    state.done = Some((by.clone(), at));
                }
            }
            RunEvent::IncidentUpdated { severity, title, impact, status, .. } => {
                let incident = self.incident_now(at);
                if incident.status != *status {
                    incident.history.push((at, status.clone()));
                }
                incident.severity.clone_from(severity);
                incident.title.clone_from(title);
                incident.impact.clone_from(impact);
                incident.status.clone_from(status);
            }
            RunEvent::IncidentStepTicked { step, done, .. } => {
                if let Some(tick) = self.incident_steps.get_mut(*step) {
                    *tick = *done;
                }
            }
            _ => {}
        }
    }

    /// The incident, declared now if it was not before. It began with the trouble, not with the hand that declared it.
    fn incident_now(&mut self, at: Timestamp) -> &mut IncidentState {
        let since = self.trouble_since(at);
        self.incident.get_or_insert_with(|| IncidentState {
            severity: String::new(),
            title: String::new(),
            impact: String::new(),
            status: String::new(),
            started_at: since,
            history: Vec::new(),
        })
    }
}
