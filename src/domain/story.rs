//! Describes each event in one line of plain text, for deploy.log, line mode, the timeline and reports. The text cannot
//! control a terminal.

use super::{
    actor::Actor,
    crew::Role,
    director::in_words,
    event::{ActionOutcome, ActionRef, CheckRef, Place, RunEvent},
    run::Run,
    safe_text::SafeText,
};

/// What happened, in one line; nothing for events that matter only to machines. `run` is the state after the event.
pub fn line(run: &Run, event: &RunEvent) -> Option<String> {
    text(run, event).map(|text| SafeText::new(&text).to_string())
}

fn text(run: &Run, event: &RunEvent) -> Option<String> {
    let note = |note: &Option<String>| note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let item = |group: usize, item: usize| {
        run.runbook
            .checklist
            .get(group)
            .and_then(|g| g.items.get(item))
            .map_or("?", |item| item.text.as_str())
    };
    let title = |id: &super::id::StepId| {
        let number = run.runbook.step_index(id.as_str()).map_or(0, |index| index + 1);
        format!(
            "step {number} ({})",
            run.declared(id.as_str()).map_or(id.as_str(), |step| step.title.as_str())
        )
    };
    let trigger =
        |index: usize| run.runbook.triggers.get(index).map_or("?", |trigger| trigger.reason.as_str());
    Some(match event {
        RunEvent::RunOpened(opened) => {
            let what =
                opened.rehearsal.as_ref().map(|story| format!("REHEARSAL ({story}) of ")).unwrap_or_default();
            format!(
                "run {} opened: {what}{} by {} on {}",
                opened.run_id, opened.runbook.document.title, opened.pilot, opened.host
            )
        }
        RunEvent::RunResumed { by, host } => format!("run resumed by {by} on {host}"),
        RunEvent::ScreenJoined { who, role } => match role {
            Role::Pilot => format!("{who} has control"),
            Role::Errand => return None,
            role => format!("{who} joined ({})", role.word()),
        },
        RunEvent::ScreenLeft { who, role } => match role {
            Role::Pilot => format!("{who}, who had control, left: nobody has control"),
            Role::Errand => return None,
            role => format!("{who} left ({})", role.word()),
        },
        RunEvent::ControlAsked { by } => format!("{by} asks for control"),
        RunEvent::LockTaken { lock_id, from, .. } => match from {
            Some(from) => format!("TAKEN OVER from {from}; the target's lock is {lock_id}"),
            None => format!("got the target's lock: {lock_id}"),
        },
        RunEvent::LockUncertain { why } => {
            format!("NOTHING CAN BE WRITTEN: the target's lock can't be renewed: {why}")
        }
        RunEvent::LockCertain => "the target's lock is renewed again".to_owned(),
        RunEvent::LockLost { why } => format!("FENCED OFF: {why}"),
        RunEvent::ChildSeen { at, pid, alive } => {
            let name = action_name(run, at);
            if *alive {
                format!("{name}: its process {pid} survived the engine and still runs")
            } else {
                format!("{name}: its process {pid} no longer runs on this host")
            }
        }
        RunEvent::ControlKept { from } => format!("control was not given to {from}"),
        RunEvent::ControlTaken { by, from, reason } => {
            let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            match reason {
                Some(reason) => format!("{by} took control{from}: {reason}"),
                None => format!("{by} has control now{from}"),
            }
        }
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
        RunEvent::ItemTicked { text, by, note: remark, .. } => format!("[x] {text}: {by}{}", note(remark)),
        RunEvent::ItemUnticked { group, item: index, by, note: remark, .. } => {
            format!("[ ] {}: {by}{}", item(*group, *index), note(remark))
        }
        RunEvent::ItemWaived { group, item: index, reason, by } => {
            format!("[-] {}: not needed ({by}): {reason}", item(*group, *index))
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
            let word = match outcome {
                ActionOutcome::Succeeded => "done",
                ActionOutcome::Failed => "FAILED",
                ActionOutcome::TimedOut => "TIMED OUT",
                ActionOutcome::Cancelled => "cancelled",
                ActionOutcome::Unknown => "UNKNOWN",
                ActionOutcome::Unavailable => "NOT DONE",
            };
            format!(
                "{}: {} {word} after {}: {detail}",
                place(run, &at.place),
                action_name(run, at),
                took.clock()
            )
        }
        RunEvent::ActionWaits { at, why } => {
            format!("{}: {} waits: {why}", place(run, &at.place), action_name(run, at))
        }
        RunEvent::ActionRetried { at, tries, why } => {
            format!("{}: {}: try {tries} is next: {why}", place(run, &at.place), action_name(run, at))
        }
        RunEvent::ActionLooked { at, evidence } => {
            let place = place(run, &at.place);
            format!("{place}: {}: read from the cluster, still unknown: {evidence}", action_name(run, at))
        }
        RunEvent::ActionResolved { at, resolution, by, evidence } => {
            let by = by.with_evidence(evidence.as_deref());
            let (place, name) = (place(run, &at.place), action_name(run, at));
            format!("{place}: {name} resolved as {} by {by}", resolution.words())
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
            let least = short.values().min().map(|span| format!(", from only {} of data", span.clock()));
            format!("baseline recorded: {} values{}", values.len(), least.unwrap_or_default())
        }
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
            let unit = run
                .runbook
                .metric(metric.as_str())
                .map(|metric| metric.unit.show(*value))
                .unwrap_or_default();
            format!("BREACH: {reason}: {unit}")
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
        RunEvent::ForeignChange { object, what, manager, put_back } => {
            let back =
                if put_back.is_empty() { String::new() } else { format!("; put back with: {put_back}") };
            format!("FOREIGN CHANGE of {object} by {manager}: {what}{back}")
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
            format!(
                "incident [{}] {} ({by})",
                if *done { "x" } else { " " },
                text.map_or("?", String::as_str)
            )
        }
        RunEvent::NoteAdded { text, by } => format!("note by {by}: {text}"),
        RunEvent::RunFinished { outcome, detail } => {
            let word = serde_json::to_value(outcome).ok().and_then(|v| v.as_str().map(str::to_uppercase));
            format!("RUN {}: {detail}", word.unwrap_or_default().replace(['-', '_'], " "))
        }
    })
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
