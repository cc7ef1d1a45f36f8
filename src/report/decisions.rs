//! What people decided in a run, and what was decided for them: who, when, what, and why.

use crate::domain::{
    actor::Actor,
    event::{Envelope, Outcome, Override, RunEvent},
    id::StepId,
    run::{Run, StepStatus},
    time::Timestamp,
};

/// Somebody's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    pub what: String,
    /// Why, where that was asked for.
    pub reason: Option<String>,
    /// Whether something had been refused.
    pub is_override: bool,
}

/// The decisions that an event tells of; `run` is the state after it. What follows by itself from the runbook is none.
pub fn decisions(run: &Run, envelope: &Envelope) -> Vec<Decision> {
    let (at, event) = (envelope.at, &envelope.event);
    let said = of_control(run, event)
        .or_else(|| of_checklist(run, event))
        .or_else(|| of_steps(run, event))
        .or_else(|| of_rollback(event))
        .or_else(|| of_others(event))
        .or_else(|| of_record(run, event))
        .or_else(|| of_end(run, event));
    let mut all: Vec<Decision> = said.into_iter().map(|said| said.at(at)).collect();
    match event {
        RunEvent::RunOpened(opened) => all.extend(opened.overrides.iter().map(|given| overridden(at, given))),
        RunEvent::OverrideGiven(given) => all.push(overridden(at, given)),
        _ => {}
    }
    all
}

/// Beside everything else that the event tells: an override must be found by whoever looks for overrides alone.
fn overridden(at: Timestamp, given: &Override) -> Decision {
    Decision {
        at,
        by: given.by.clone(),
        what: format!("went on although refused: {}", given.what),
        reason: Some(given.reason.clone()),
        is_override: true,
    }
}

/// Who decided what, and why.
struct Said {
    by: String,
    what: String,
    reason: Option<String>,
}

impl Said {
    fn at(self, at: Timestamp) -> Decision {
        Decision { at, by: self.by, what: self.what, reason: self.reason, is_override: false }
    }
}

/// By whoever it says: a person has signed for it, or it counts even where nobody has.
fn by_name(by: &str, what: String, reason: Option<&str>) -> Said {
    let reason = reason.filter(|reason| !reason.trim().is_empty()).map(str::to_owned);
    Said { by: by.to_owned(), what, reason }
}

/// By a person: what a run does by itself was decided when the runbook was written.
fn by_person(by: &Actor, what: String, reason: Option<&str>) -> Option<Said> {
    by.is_person().then(|| by_name(by.as_str(), what, reason))
}

/// Who has the run, and the target.
fn of_control(run: &Run, event: &RunEvent) -> Option<Said> {
    match event {
        RunEvent::RunOpened(opened) => Some(by_name(&opened.pilot, "opened the run".to_owned(), None)),
        RunEvent::RunResumed { by, host } => Some(by_name(by, format!("resumed the run on {host}"), None)),
        RunEvent::ControlTaken { by, from, reason } => {
            let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            Some(by_name(&by.to_string(), format!("took control{from}"), reason.as_deref()))
        }
        RunEvent::LockTaken { from: Some(from), .. } => {
            Some(by_name(&run.opened.pilot, format!("took the target's lock over from {from}"), None))
        }
        RunEvent::RunHeld { reason, by, .. } => by_person(by, "paused the run".to_owned(), Some(reason)),
        RunEvent::RunContinued { by } => by_person(by, "resumed the paused run".to_owned(), None),
        _ => None,
    }
}

/// What lets the steps begin.
fn of_checklist(run: &Run, event: &RunEvent) -> Option<Said> {
    match event {
        RunEvent::PartDecided { part, applies, by } => {
            let applies = if *applies { "applies" } else { "does not apply" };
            by_person(by, format!("`{part}` {applies}"), None)
        }
        RunEvent::ItemWaived { group, item, reason, by } => {
            let item = run.runbook.checklist.get(*group).and_then(|group| group.items.get(*item));
            let text = item.map_or("?", |item| item.text.as_str());
            by_person(by, format!("checklist item not needed: {text}"), Some(reason))
        }
        RunEvent::ChecklistPassed { by } => by_person(by, "opened the steps".to_owned(), None),
        _ => None,
    }
}

/// What was done, and what people found out where the run could not.
fn of_steps(run: &Run, event: &RunEvent) -> Option<Said> {
    match event {
        RunEvent::ApprovalGiven { step, by, .. } => {
            Some(by_name(&by.to_string(), format!("approved {}", title(run, step)), None))
        }
        RunEvent::StepStarted { step, by, attempt } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            by_person(by, format!("started {}{again}", title(run, step)), None)
        }
        RunEvent::StepSkipped { step, reason, by } => {
            by_person(by, format!("skipped {}", title(run, step)), Some(reason))
        }
        RunEvent::UndoStarted { step, by, .. } => by_person(by, format!("undid {}", title(run, step)), None),
        RunEvent::CompletionStarted { by, .. } => by_person(by, "started the completion".to_owned(), None),
        RunEvent::ActionResolved { at, resolution, by, .. } => {
            let name = run.action(at).map_or("?", |action| action.name.as_str());
            let words = resolution.words();
            by_person(by, format!("said of an action whose result was unknown: {words}: {name}"), None)
        }
        RunEvent::CheckPassed { text, evidence, by, .. } => {
            by_person(by, format!("passed: {text}"), Some(evidence))
        }
        RunEvent::CheckFailed { text, evidence, by, .. } => {
            by_person(by, format!("FAILED: {text}"), Some(evidence))
        }
        _ => None,
    }
}

fn of_rollback(event: &RunEvent) -> Option<Said> {
    match event {
        RunEvent::CountdownCancelled { reason, by, .. } => {
            by_person(by, "cancelled the automatic rollback".to_owned(), Some(reason))
        }
        // Also one that a trigger began: it is what every reader asks for first.
        RunEvent::RollbackStarted { procedure, reason, by, .. } => {
            Some(by_name(by.as_str(), format!("rolled back ({procedure})"), Some(reason)))
        }
        RunEvent::RollbackBlind { why, by, .. } => {
            by_person(by, "let the rollback go on without reading the cluster".to_owned(), Some(why))
        }
        RunEvent::RollbackRetried { by, .. } => by_person(by, "retried the rollback".to_owned(), None),
        _ => None,
    }
}

/// What to make of somebody else's changes.
fn of_others(event: &RunEvent) -> Option<Said> {
    match event {
        RunEvent::PutBackStarted { does, by, .. } => {
            by_person(by, format!("reverted somebody else's change: {does}"), None)
        }
        RunEvent::TargetTaken { by, .. } => {
            by_person(by, "accepted the target as somebody else left it".to_owned(), None)
        }
        _ => None,
    }
}

/// What people wrote down, and told others.
fn of_record(run: &Run, event: &RunEvent) -> Option<Said> {
    match event {
        RunEvent::TaskDone { task, by } => {
            let text = run.tasks.get(*task).map_or("?", |task| task.text.as_str());
            by_person(by, format!("task done: {text}"), None)
        }
        RunEvent::IncidentUpdated { severity, title, status, by, sent, .. } => {
            let sent = if *sent { ", sent to the channel" } else { "" };
            by_person(by, format!("incident {severity}, {status}: {title}{sent}"), None)
        }
        RunEvent::NoteAdded { text, by } => by_person(by, "noted".to_owned(), Some(text)),
        _ => None,
    }
}

fn of_end(run: &Run, event: &RunEvent) -> Option<Said> {
    match event {
        // An abort has no event of its own, nor its person: its reason is the end's.
        RunEvent::RunFinished { outcome: Outcome::Failed, detail } if is_abort(run) => {
            Some(by_name("not recorded", "aborted the run".to_owned(), Some(detail)))
        }
        RunEvent::RunFinished { outcome: Outcome::Held, detail } => {
            Some(by_name(&pilot(run), "paused the run and stopped its engine".to_owned(), Some(detail)))
        }
        _ => None,
    }
}

fn title(run: &Run, step: &StepId) -> String {
    let number = run.runbook.step_index(step.as_str()).map_or(0, |index| index + 1);
    format!(
        "step {number}, {}",
        run.declared(step.as_str()).map_or(step.as_str(), |step| step.title.as_str())
    )
}

/// Whether a run that failed was ended by a person: nothing in it had failed.
fn is_abort(run: &Run) -> bool {
    run.rollbacks.is_empty() && run.steps.iter().all(|state| state.status != StepStatus::Failed)
}

fn pilot(run: &Run) -> String {
    run.pilot.as_ref().map_or_else(|| run.opened.pilot.clone(), ToString::to_string)
}
