//! The incident that a run has, or would declare.

use super::model::{
    Model,
    form::{IncidentDraft, STATUSES},
};

/// The incident as declared, or a first draft from what the run knows.
pub fn draft(model: &Model) -> IncidentDraft {
    let Some(run) = &model.run else { return IncidentDraft::default() };
    let levels = run.runbook.incident.as_ref().map_or(&[][..], |incident| &incident.levels);
    if let Some(incident) = &run.incident {
        return IncidentDraft {
            level: levels.iter().position(|level| level.level == incident.severity).unwrap_or(0),
            title: incident.title.clone(),
            impact: incident.impact.clone(),
            status: STATUSES.iter().position(|status| *status == incident.status).unwrap_or(0),
            field: 0,
        };
    }
    let breach = run.runbook.triggers.iter().zip(&run.triggers).find(|(_, state)| state.breaching.is_some());
    let title = breach.map_or_else(String::new, |(trigger, _)| {
        let version = run.new_version().unwrap_or_default();
        format!("{} after deploying {version}", trigger.reason)
    });
    IncidentDraft { title, ..IncidentDraft::default() }
}
