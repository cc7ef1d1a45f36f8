//! The message about a declared incident, filled in from the run.

use super::Run;

impl Run {
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
