//! Describes each event in one line of plain text, for deploy.log, line mode, the timeline and reports. The text cannot
//! control a terminal.

use super::{
    actor::Actor,
    crew::{Person, Role},
    director::in_words,
    event::{ActionOutcome, ActionRef, CheckRef, Opened, Place, RunEvent},
    id::StepId,
    run::Run,
    safe_text::SafeText,
    time::Span,
};

/// What happened, in one line; nothing for events that matter only to machines. `run` is the state after the event.
pub fn line(run: &Run, event: &RunEvent) -> Option<String> {
    text(run, event).map(|text| SafeText::new(&text).to_string())
}

/// One list, longer than a screen because there are that many events: each has its sentence here, and one that is new does
/// not compile without.
fn text(run: &Run, event: &RunEvent) -> Option<String> {
    let title = |id: &StepId| step_title(run, id);
    let trigger =
        |index: usize| run.runbook.triggers.get(index).map_or("?", |trigger| trigger.reason.as_str());
    Some(match event {
        RunEvent::RunOpened(opened) => run_opened(opened),
        RunEvent::RunResumed { by, host } => format!("run resumed by {by} on {host}"),
        // An errand is a command from a shell that comes and goes: what it did has an event of its own.
        RunEvent::ScreenJoined { role: Role::Errand, .. }
        | RunEvent::ScreenLeft { role: Role::Errand, .. } => {
            return None;
        }
        RunEvent::ScreenJoined { who, role: Role::Pilot } => format!("{who} has control"),
        RunEvent::ScreenJoined { who, role } => format!("{who} joined ({})", role.word()),
        RunEvent::ScreenLeft { who, role: Role::Pilot } => {
            format!("{who}, who had control, left: nobody has control")
        }
        RunEvent::ScreenLeft { who, role } => format!("{who} left ({})", role.word()),
        RunEvent::ControlAsked { by } => format!("{by} asks for control"),
        RunEvent::LockTaken { lock_id, from: Some(from), .. } => {
            format!("TAKEN OVER from {from}; the target's lock is {lock_id}")
        }
        RunEvent::LockTaken { lock_id, .. } => format!("got the target's lock: {lock_id}"),
        RunEvent::LockUncertain { why } => {
            format!("NOTHING CAN BE WRITTEN: the target's lock can't be renewed: {why}")
        }
        RunEvent::LockCertain => "the target's lock is renewed again".to_owned(),
        RunEvent::LockLost { why } => format!("FENCED OFF: {why}"),
        RunEvent::ChildSeen { at, pid, alive: true } => {
            format!("{}: its process {pid} survived the engine and still runs", action_name(run, at))
        }
        RunEvent::ChildSeen { at, pid, .. } => {
            format!("{}: its process {pid} no longer runs on this host", action_name(run, at))
        }
        RunEvent::ControlKept { from } => format!("control was not given to {from}"),
        RunEvent::ControlTaken { by, from, reason } => control_taken(by, from.as_ref(), reason.as_deref()),
        RunEvent::ApprovalGiven { step, by, .. } => format!("{} approved by {by}", title(step)),
        RunEvent::VarSet { name, value, source } => {
            format!("{name} = {} ({source})", value.as_deref().unwrap_or("•••"))
        }
        RunEvent::PartDecided { part, applies, by } => {
            format!("`{part}` {} ({by})", if *applies { "applies" } else { "does not apply" })
        }
        RunEvent::OverrideGiven(given) => {
            format!("OVERRIDE by {}: {}: {}", given.by, given.what, given.reason)
        }
        RunEvent::ItemTicked { text, by, note, .. } => format!("[x] {text}: {by}{}", noted(note.as_deref())),
        RunEvent::ItemUnticked { group, item, by, note, .. } => {
            format!("[ ] {}: {by}{}", item_text(run, *group, *item), noted(note.as_deref()))
        }
        RunEvent::ItemWaived { group, item, reason, by } => {
            format!("[-] {}: not needed ({by}): {reason}", item_text(run, *group, *item))
        }
        RunEvent::ChecklistPassed { by } => format!("checklist passed, steps opened by {by}"),
        RunEvent::StepStarted { step, attempt, by } if *attempt > 1 => {
            format!("{} started by {by}, attempt {attempt}", title(step))
        }
        RunEvent::StepStarted { step, by, .. } => format!("{} started by {by}", title(step)),
        // What is done often begins with its name.
        RunEvent::ActionStarted { at, name, does } if does.starts_with(name.as_str()) => {
            format!("{}: {does}", place(run, &at.place))
        }
        RunEvent::ActionStarted { at, name, does } => format!("{}: {name}: {does}", place(run, &at.place)),
        RunEvent::ActionSpawned { .. } | RunEvent::WindowAdvanced { .. } => return None,
        RunEvent::ActionFinished { at, outcome, detail, took, .. } => {
            format!("{} {} after {}: {detail}", action(run, at), ended(*outcome), took.clock())
        }
        RunEvent::ActionWaits { at, why } => format!("{} waits: {why}", action(run, at)),
        RunEvent::ActionRetried { at, tries, why } => {
            format!("{}: try {tries} is next: {why}", action(run, at))
        }
        RunEvent::ActionLooked { at, evidence } => {
            format!("{}: read from the cluster, still unknown: {evidence}", action(run, at))
        }
        RunEvent::ActionResolved { at, resolution, by, evidence } => {
            let by = by.with_evidence(evidence.as_deref());
            format!("{} resolved as {} by {by}", action(run, at), resolution.words())
        }
        // The evidence says that it was skipped, and why.
        RunEvent::CheckPassed { at, text, evidence, by, skipped: true } => {
            check(run, at, text, evidence, by, "NOT MEASURED")
        }
        RunEvent::CheckPassed { at, text, evidence, by, .. } => check(run, at, text, evidence, by, "passed"),
        RunEvent::CheckFailed { at, text, evidence, by, .. } => check(run, at, text, evidence, by, "FAILED"),
        RunEvent::StepPassed { step, .. } => format!("{} passed", title(step)),
        RunEvent::StepFailed { step, reason, .. } => format!("{} FAILED: {reason}", title(step)),
        RunEvent::StepSkipped { step, reason, by } => format!("{} skipped by {by}: {reason}", title(step)),
        RunEvent::UndoStarted { step, by, .. } => format!("{}: undo started by {by}", title(step)),
        RunEvent::UndoFinished { step, ok, detail, .. } => {
            format!("{}: {}{detail}", title(step), if *ok { "" } else { "FAILED: " })
        }
        RunEvent::CompletionStarted { by, .. } => format!("completion started by {by}"),
        RunEvent::CompletionFailed { reason, .. } => format!("completion FAILED: {reason}"),
        RunEvent::BaselineRecorded { values, short } => {
            format!("baseline recorded: {} values{}", values.len(), from_only(short.values().min()))
        }
        // A canary that had a share only: nothing was switched to it.
        RunEvent::TrafficSwitched { from, to } if from == to => format!("TRAFFIC is all on {to} again"),
        RunEvent::TrafficSwitched { from, to } => format!("TRAFFIC SWITCHED from {from} to {to}"),
        RunEvent::TrafficShifted { shares } if shares.is_empty() => {
            "NOBODY ANSWERS: no pod is ready".to_owned()
        }
        RunEvent::TrafficShifted { shares } => format!("TRAFFIC SHIFTED: {}", in_words(shares)),
        RunEvent::EvidenceBegan { remark: None, .. } => return None,
        RunEvent::EvidenceBegan { metric, than, remark: Some(remark), .. } => {
            format!("{metric}, {}: {remark}", than.show())
        }
        RunEvent::EvidenceTold { metric, words, .. } => format!("{metric}: {words}"),
        RunEvent::WindowOpened { lasts, .. } => format!("window opened, {lasts}"),
        RunEvent::TriggerBreaching { reason, metric, value, .. } => {
            let metric = run.runbook.metric(metric.as_str());
            let shown = metric.map(|metric| metric.unit.show(*value)).unwrap_or_default();
            format!("BREACH: {reason}: {shown}")
        }
        RunEvent::TriggerWaits { trigger: index, why, .. } => format!("{} waits: {why}", trigger(*index)),
        RunEvent::TriggerCleared { trigger: index, value } => {
            let why = if value.is_some() { "no longer" } else { "no data any more" };
            format!("breach over: {}: {why}", trigger(*index))
        }
        RunEvent::TriggerBlind { trigger: index, why, .. } => format!("NO DATA: {}: {why}", trigger(*index)),
        RunEvent::TriggerSees { trigger: index } => format!("data again: {}", trigger(*index)),
        RunEvent::TriggerFired { reason, .. } => format!("TRIGGER FIRED: {reason}"),
        RunEvent::CountdownStarted { ends_at, .. } => {
            format!("automatic rollback at {}", ends_at.clock())
        }
        RunEvent::CountdownCancelled { reason, by, .. } => format!("countdown cancelled by {by}: {reason}"),
        RunEvent::RollbackStarted { procedure, reason, by, .. } => {
            format!("ROLLBACK ({procedure}) started by {by}: {reason}")
        }
        RunEvent::RollbackPrepared { actions, .. } => {
            let first: Vec<_> = actions.iter().map(|action| run.action_text(action)).collect();
            format!("rollback: first {}", first.join(", "))
        }
        RunEvent::RollbackRemarked { remark, .. } => format!("rollback: REMARK: {remark}"),
        RunEvent::RollbackLate { within, why, .. } => {
            format!("ROLLBACK NOT DONE within {within}, still trying: {why}")
        }
        RunEvent::RollbackBlind { why, by, .. } => {
            format!("ROLLBACK WITHOUT READING THE CLUSTER ({by}): {why}")
        }
        RunEvent::WayBackChanged { ready: true, .. } => "rollback ready: all its checks pass".to_owned(),
        RunEvent::WayBackChanged { why, .. } => format!("ROLLBACK NOT READY: {why}"),
        RunEvent::RollbackStopped { reason, .. } => format!("ROLLBACK STOPPED: {reason}"),
        RunEvent::RollbackRetried { by, .. } => format!("rollback retried by {by}"),
        RunEvent::RollbackFinished { procedure, ok, took, within, detail } => {
            let promise = within.map(|within| format!(", promised {within}")).unwrap_or_default();
            let end = if *ok { "done" } else { "FAILED" };
            format!("ROLLBACK ({procedure}) {end} in {}{promise}: {detail}", took.clock())
        }
        RunEvent::ForeignChange { object, what, manager, put_back } if put_back.is_empty() => {
            format!("FOREIGN CHANGE of {object} by {manager}: {what}")
        }
        RunEvent::ForeignChange { object, what, manager, put_back } => {
            format!("FOREIGN CHANGE of {object} by {manager}: {what}; put back with: {put_back}")
        }
        RunEvent::PutBackStarted { action, does, by } => format!("{} (ordered by {by}): {does}", action.name),
        RunEvent::PutBackFinished { outcome: ActionOutcome::Succeeded, detail } => {
            format!("put back: {detail}")
        }
        RunEvent::PutBackFinished { outcome: ActionOutcome::Unknown, detail } => {
            format!("UNKNOWN whether it was put back: {detail}")
        }
        RunEvent::PutBackFinished { detail, .. } => format!("NOT PUT BACK: {detail}"),
        RunEvent::TargetTaken { pinned, by, .. } => {
            let live = pinned.live.as_ref().map_or("no slot of this runbook", |live| live.as_str());
            format!("the target was accepted as it is by {by}: traffic is on {live}")
        }
        RunEvent::RunHeld { reason, by, .. } => format!("PAUSED by {by}: {reason}"),
        RunEvent::RunContinued { by } => format!("resumed by {by}"),
        RunEvent::NoticeSent { text, ok, detail, .. } => {
            let end = if *ok { "sent" } else { "NOT SENT" };
            format!("notice {end} ({detail}): {}", text.lines().next().unwrap_or_default())
        }
        RunEvent::TaskCreated { text, due_at, .. } => format!("task due {due_at}: {text}"),
        RunEvent::TaskDone { task, by } => {
            format!("task done by {by}: {}", run.tasks.get(*task).map_or("?", |task| task.text.as_str()))
        }
        RunEvent::IncidentUpdated { severity, title, status, by, .. } => {
            format!("INCIDENT {severity} {status}: {title} ({by})")
        }
        RunEvent::IncidentStepTicked { step, done, by } => {
            let text = run.runbook.incident.as_ref().and_then(|incident| incident.steps.get(*step));
            let (tick, text) = (if *done { "x" } else { " " }, text.map_or("?", String::as_str));
            format!("incident [{tick}] {text} ({by})")
        }
        RunEvent::NoteAdded { text, by } => format!("note by {by}: {text}"),
        RunEvent::RunFinished { outcome, detail } => {
            let word = serde_json::to_value(outcome).ok().and_then(|v| v.as_str().map(str::to_uppercase));
            format!("RUN {}: {detail}", word.unwrap_or_default().replace(['-', '_'], " "))
        }
    })
}

fn run_opened(opened: &Opened) -> String {
    let what = opened.rehearsal.as_ref().map(|story| format!("REHEARSAL ({story}) of ")).unwrap_or_default();
    format!(
        "run {} opened: {what}{} by {} on {}",
        opened.run_id, opened.runbook.document.title, opened.pilot, opened.host
    )
}

fn control_taken(by: &Person, from: Option<&Person>, reason: Option<&str>) -> String {
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    match reason {
        Some(reason) => format!("{by} took control{from}: {reason}"),
        None => format!("{by} has control now{from}"),
    }
}

/// A step by its number, as people say it, with its title.
fn step_title(run: &Run, id: &StepId) -> String {
    let number = run.runbook.step_index(id.as_str()).map_or(0, |index| index + 1);
    let title = run.declared(id.as_str()).map_or(id.as_str(), |step| step.title.as_str());
    format!("step {number} ({title})")
}

fn item_text(run: &Run, group: usize, item: usize) -> &str {
    let items = run.runbook.checklist.get(group).map(|group| &group.items);
    items.and_then(|items| items.get(item)).map_or("?", |item| item.text.as_str())
}

fn noted(note: Option<&str>) -> String {
    note.map(|note| format!(" ({note})")).unwrap_or_default()
}

/// How much time a baseline is of, where that is less than it should be.
fn from_only(least: Option<&Span>) -> String {
    least.map(|span| format!(", from only {} of data", span.clock())).unwrap_or_default()
}

/// How an action ended. What somebody must look at is in capitals, here as in every sentence of this file.
fn ended(outcome: ActionOutcome) -> &'static str {
    match outcome {
        ActionOutcome::Succeeded => "done",
        ActionOutcome::Failed => "FAILED",
        ActionOutcome::TimedOut => "TIMED OUT",
        ActionOutcome::Cancelled => "cancelled",
        ActionOutcome::Unknown => "UNKNOWN",
        ActionOutcome::Unavailable => "NOT DONE",
    }
}

/// An action with where it stands.
fn action(run: &Run, at: &ActionRef) -> String {
    format!("{}: {}", place(run, &at.place), action_name(run, at))
}

fn place(run: &Run, place: &Place) -> String {
    match place {
        Place::Step { step } => {
            format!("step {}", run.runbook.step_index(step.as_str()).map_or(0, |index| index + 1))
        }
        Place::Undo { step } => format!("undo of {step}"),
        Place::Rollback { procedure } => format!("rollback ({procedure})"),
        Place::Completion => "completion".to_owned(),
    }
}

fn action_name<'a>(run: &'a Run, at: &ActionRef) -> &'a str {
    run.action(at).map_or("?", |action| action.name.as_str())
}

fn check(run: &Run, at: &CheckRef, text: &str, evidence: &str, by: &Actor, word: &str) -> String {
    let seen = if evidence.is_empty() { String::new() } else { format!(": {evidence}") };
    format!("{}: {text} {word}{seen} ({by})", place(run, &at.place))
}
