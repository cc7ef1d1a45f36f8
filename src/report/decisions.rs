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
    let at = envelope.at;
    let one = |by: &str, what: String, reason: Option<&str>| {
        let reason = reason.filter(|reason| !reason.trim().is_empty()).map(str::to_owned);
        vec![Decision { at, by: by.to_owned(), what, reason, is_override: false }]
    };
    let person = |by: &Actor, what: String, reason: Option<&str>| {
        if by.is_person() { one(by.as_str(), what, reason) } else { Vec::new() }
    };
    let given = |it: &Override| Decision {
        at,
        by: it.by.clone(),
        what: format!("went on although refused: {}", it.what),
        reason: Some(it.reason.clone()),
        is_override: true,
    };
    match &envelope.event {
        RunEvent::RunOpened(opened) => {
            let mut all = one(&opened.pilot, "opened the run".to_owned(), None);
            all.extend(opened.overrides.iter().map(given));
            all
        }
        RunEvent::OverrideGiven(it) => vec![given(it)],
        RunEvent::RunResumed { by, host } => one(by, format!("resumed the run on {host}"), None),
        RunEvent::ControlTaken { by, from, reason } => {
            let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            one(&by.to_string(), format!("took control{from}"), reason.as_deref())
        }
        RunEvent::LockTaken { from: Some(from), .. } => {
            one(&run.opened.pilot, format!("took the target's lock over from {from}"), None)
        }
        RunEvent::ApprovalGiven { step, by, .. } => {
            one(&by.to_string(), format!("approved {}", title(run, step)), None)
        }
        RunEvent::PartDecided { part, applies, by } => {
            let part =
                if *applies { format!("`{part}` applies") } else { format!("`{part}` does not apply") };
            person(by, part, None)
        }
        RunEvent::ItemWaived { group, item, reason, by } => {
            let item = run.runbook.checklist.get(*group).and_then(|group| group.items.get(*item));
            let text = item.map_or("?", |item| item.text.as_str());
            person(by, format!("checklist item not needed: {text}"), Some(reason))
        }
        RunEvent::ChecklistPassed { by } => person(by, "opened the steps".to_owned(), None),
        RunEvent::StepStarted { step, by, attempt } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            person(by, format!("started {}{again}", title(run, step)), None)
        }
        RunEvent::StepSkipped { step, reason, by } => {
            person(by, format!("skipped {}", title(run, step)), Some(reason))
        }
        RunEvent::UndoStarted { step, by, .. } => person(by, format!("undid {}", title(run, step)), None),
        RunEvent::CompletionStarted { by, .. } => person(by, "started the completion".to_owned(), None),
        RunEvent::ActionResolved { at, resolution, by, .. } => {
            let name = run.action(at).map_or("?", |action| action.name.as_str());
            person(
                by,
                format!("said of an action whose result was unknown: {}: {name}", resolution.words()),
                None,
            )
        }
        RunEvent::CheckPassed { text, evidence, by, .. } => {
            person(by, format!("passed: {text}"), Some(evidence))
        }
        RunEvent::CheckFailed { text, evidence, by, .. } => {
            person(by, format!("FAILED: {text}"), Some(evidence))
        }
        RunEvent::CountdownCancelled { reason, by, .. } => {
            person(by, "cancelled the automatic rollback".to_owned(), Some(reason))
        }
        RunEvent::RollbackStarted { procedure, reason, by, .. } => {
            one(by.as_str(), format!("rolled back ({procedure})"), Some(reason))
        }
        RunEvent::RollbackBlind { why, by, .. } => {
            person(by, "let the rollback go on without reading the cluster".to_owned(), Some(why))
        }
        RunEvent::RollbackRetried { by, .. } => person(by, "retried the rollback".to_owned(), None),
        RunEvent::PutBackStarted { does, by, .. } => {
            person(by, format!("reverted somebody else's change: {does}"), None)
        }
        RunEvent::TargetTaken { by, .. } => {
            person(by, "accepted the target as somebody else left it".to_owned(), None)
        }
        RunEvent::RunHeld { reason, by, .. } => person(by, "paused the run".to_owned(), Some(reason)),
        RunEvent::RunContinued { by } => person(by, "resumed the paused run".to_owned(), None),
        RunEvent::TaskDone { task, by } => {
            let text = run.tasks.get(*task).map_or("?", |task| task.text.as_str());
            person(by, format!("task done: {text}"), None)
        }
        RunEvent::IncidentUpdated { severity, title, status, by, sent, .. } => {
            let sent = if *sent { ", sent to the channel" } else { "" };
            person(by, format!("incident {severity}, {status}: {title}{sent}"), None)
        }
        RunEvent::NoteAdded { text, by } => person(by, "noted".to_owned(), Some(text)),
        // An abort has no event of its own, nor its person: its reason is the end's.
        RunEvent::RunFinished { outcome: Outcome::Failed, detail } if is_abort(run) => {
            one("not recorded", "aborted the run".to_owned(), Some(detail))
        }
        RunEvent::RunFinished { outcome: Outcome::Held, detail } => {
            one(&pilot(run), "paused the run and stopped its engine".to_owned(), Some(detail))
        }
        _ => Vec::new(),
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
