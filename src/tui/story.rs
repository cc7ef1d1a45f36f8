//! The run's events as sentences, for the story page and for what "just happened".

use crate::domain::{
    event::{ActionOutcome, ActionRef, Outcome, Place, RunEvent},
    run::Run,
};

/// The sentence for an event; none for what is only bookkeeping. `run` is the state after it.
pub fn sentence(event: &RunEvent, run: &Run) -> Option<String> {
    let title = |step: &str| {
        let index = run.runbook.step_index(step);
        index.map_or_else(
            || step.to_owned(),
            |index| format!("{} {}", index + 1, run.runbook.steps[index].title),
        )
    };
    Some(match event {
        RunEvent::RunOpened(opened) => format!("run {} opened by {}", opened.run_id, opened.pilot),
        RunEvent::RunResumed { by, host } => format!("taken up again by {by} on {host}"),
        RunEvent::VarSet { name, value: Some(value), source } => format!("{name} = {value} ({source})"),
        RunEvent::VarSet { name, value: None, source } => format!("{name} is set, secret ({source})"),
        RunEvent::PartDecided { part, applies, by } => {
            format!("{part}: {} ({by})", if *applies { "applies" } else { "does not apply" })
        }
        RunEvent::OverrideGiven(given) => {
            format!("overridden by {}: {} because {}", given.by, given.what, given.reason)
        }
        RunEvent::ItemTicked { text, by, note, .. } => {
            format!("holds: {text} ({by}){}", aside(note.as_deref()))
        }
        RunEvent::ItemUnticked { group, item, by, note } => {
            format!("does not hold: {} ({by}){}", item_text(run, *group, *item), aside(note.as_deref()))
        }
        RunEvent::ItemWaived { group, item, reason, by } => {
            format!("not needed: {} ({by}): {reason}", item_text(run, *group, *item))
        }
        RunEvent::ChecklistPassed { by } => format!("checklist passed ({by})"),
        RunEvent::StepStarted { step, attempt, by } => {
            format!("step {} started by {by}{}", title(step.as_str()), again(*attempt))
        }
        RunEvent::ActionStarted { does, .. } => format!("doing: {does}"),
        RunEvent::ActionFinished { at, outcome, detail, took, .. } => {
            finished(run, at, *outcome, detail, took.clock())
        }
        RunEvent::ActionLooked { at, evidence } => format!("UNKNOWN: {}: {evidence}", action_name(run, at)),
        RunEvent::ActionResolved { at, resolution, by } => {
            format!("{}: {resolution:?}, says {by}", action_name(run, at)).to_lowercase()
        }
        RunEvent::CheckPassed { text, evidence, by, .. } => format!("check holds: {text} ({by}) {evidence}"),
        RunEvent::CheckFailed { text, evidence, by, .. } => format!("CHECK FAILS: {text} ({by}) {evidence}"),
        RunEvent::StepPassed { step, .. } => format!("step {} passed", title(step.as_str())),
        RunEvent::StepFailed { step, reason, .. } => {
            format!("STEP {} FAILED: {reason}", title(step.as_str()))
        }
        RunEvent::StepSkipped { step, reason, by } => {
            format!("step {} skipped ({by}): {reason}", title(step.as_str()))
        }
        RunEvent::UndoStarted { step, by, .. } => format!("undoing step {} ({by})", title(step.as_str())),
        RunEvent::UndoFinished { step, ok: true, .. } => format!("step {} undone", title(step.as_str())),
        RunEvent::UndoFinished { step, detail, .. } => {
            format!("UNDO OF STEP {} FAILED: {detail}", title(step.as_str()))
        }
        RunEvent::CompletionStarted { by, .. } => format!("completing ({by})"),
        RunEvent::CompletionFailed { reason, .. } => format!("COMPLETION FAILED: {reason}"),
        RunEvent::TrafficSwitched { from, to } => format!("traffic moved from {from} to {to}"),
        RunEvent::WindowOpened { lasts, .. } => format!("window of {lasts} opened"),
        RunEvent::TriggerBreaching { reason, .. } => format!("BREACH: {reason}"),
        RunEvent::TriggerCleared { trigger, value } => {
            let why = if value.is_some() { "over" } else { "not measured any more" };
            format!("breach {why}: {}", trigger_text(run, *trigger))
        }
        RunEvent::TriggerBlind { metric, why, .. } => format!("BLIND: {metric} is not measured: {why}"),
        RunEvent::TriggerSees { trigger } => format!("there is data again: {}", trigger_text(run, *trigger)),
        RunEvent::TriggerFired { reason, .. } => format!("TRIGGER FIRED: {reason}"),
        RunEvent::CountdownStarted { ends_at, .. } => {
            format!("rollback starts by itself at {}", ends_at.clock())
        }
        RunEvent::CountdownCancelled { reason, by, .. } => format!("countdown cancelled by {by}: {reason}"),
        RunEvent::RollbackStarted { procedure, reason, by, .. } => {
            format!("ROLLBACK ({procedure}) started by {by}: {reason}")
        }
        RunEvent::RollbackStopped { reason, .. } => format!("ROLLBACK STOPPED: {reason}"),
        RunEvent::RollbackRetried { by, .. } => format!("rollback tried again by {by}"),
        RunEvent::RollbackFinished { ok, detail, took, .. } => {
            format!("rollback {} in {}: {detail}", if *ok { "done" } else { "FAILED" }, took.clock())
        }
        RunEvent::ForeignChange { object, what, manager } => {
            format!("CHANGED BY {manager}: {object}: {what}")
        }
        RunEvent::RunHeld { reason, by } => format!("held by {by}: {reason}"),
        RunEvent::RunContinued { by } => format!("continued by {by}"),
        RunEvent::NoticeSent { text, ok, detail, .. } => {
            format!("notice {}: {text} ({detail})", if *ok { "sent" } else { "NOT SENT" })
        }
        RunEvent::TaskDone { task, by } => {
            format!("task done by {by}: {}", run.tasks.get(*task).map_or("", |task| &task.text))
        }
        RunEvent::IncidentUpdated { severity, title, status, sent, by, .. } => {
            format!("INCIDENT {severity} {status}: {title} ({by}){}", if *sent { ", sent" } else { "" })
        }
        RunEvent::NoteAdded { text, by } => format!("note by {by}: {text}"),
        RunEvent::RunFinished { outcome, detail } => format!("run {}: {detail}", outcome_words(*outcome)),
        RunEvent::ActionSpawned { .. }
        | RunEvent::BaselineRecorded { .. }
        | RunEvent::WindowAdvanced { .. }
        | RunEvent::TaskCreated { .. }
        | RunEvent::IncidentStepTicked { .. } => return None,
    })
}

/// How a run ended, in words.
pub fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "FAILED",
        Outcome::RolledBack => "ROLLED BACK",
        Outcome::RollbackFailed => "ROLLBACK FAILED",
        Outcome::Held => "paused",
    }
}

fn finished(run: &Run, at: &ActionRef, outcome: ActionOutcome, detail: &str, took: String) -> String {
    let name = action_name(run, at);
    match outcome {
        ActionOutcome::Succeeded => format!("done in {took}: {name}"),
        ActionOutcome::Failed => format!("FAILED after {took}: {name}: {detail}"),
        ActionOutcome::TimedOut => format!("TIMED OUT after {took}: {name}: {detail}"),
        ActionOutcome::Cancelled => format!("cancelled after {took}: {name}"),
        ActionOutcome::Unknown => format!("UNKNOWN: {name}: {detail}"),
    }
}

/// An action's name.
pub fn action_name(run: &Run, at: &ActionRef) -> String {
    let action = run.action(at).map(|action| run.action_text(action));
    action.unwrap_or_else(|| match &at.place {
        Place::Step { step } | Place::Undo { step } => format!("action {} of {step}", at.action + 1),
        Place::Rollback { procedure } => format!("action {} of {procedure}", at.action + 1),
        Place::Completion => format!("action {} of the completion", at.action + 1),
    })
}

fn item_text(run: &Run, group: usize, item: usize) -> String {
    run.runbook
        .checklist
        .get(group)
        .and_then(|group| group.items.get(item))
        .map_or_else(|| "item".to_owned(), |item| item.text.clone())
}

fn trigger_text(run: &Run, trigger: usize) -> &str {
    run.runbook.triggers.get(trigger).map_or("trigger", |trigger| &trigger.reason)
}

fn aside(note: Option<&str>) -> String {
    note.filter(|note| !note.is_empty()).map(|note| format!(": {note}")).unwrap_or_default()
}

fn again(attempt: u32) -> String {
    if attempt > 1 { format!(", attempt {attempt}") } else { String::new() }
}
