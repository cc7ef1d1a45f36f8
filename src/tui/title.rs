//! The terminal's title: the state of the run, for people who see only tabs and a task bar.

use super::{model::Model, view};

/// What the title says: the state first, since titles are cut at their end. No clock: it changes with the state only.
pub fn of(model: &Model) -> String {
    let Some(run) = &model.run else { return "cutover".to_owned() };
    let step = run.current().filter(|_| run.steps_open && run.finished.is_none());
    let step = step.and_then(|index| Some(format!("{} {}", index + 1, run.runbook.steps.get(index)?.id)));
    let whose = if model.replays() {
        "replay"
    } else if run.opened.rehearsal.is_some() {
        "rehearsal"
    } else {
        "cutover"
    };
    let parts =
        [Some(view::state(model)), step, Some(run.runbook.document.module.clone()), Some(whose.to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}
