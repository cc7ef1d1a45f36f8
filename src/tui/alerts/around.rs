//! Problems of what stands around a run: the look before the start, the journal and its copy, the lock, who has control.

use super::{Alert, urgent};
use crate::{
    config::keymap::KeyAction,
    domain::{
        copy::CopyState,
        message::{JournalState, WITHOUT_A_JOURNAL},
        run::Run,
        time::Span,
    },
    tui::{
        model::{Model, Phase},
        offer::panes,
    },
};

/// A copy may be this far behind without a word.
const COPY_BEHIND: Span = Span::from_secs(30);

/// What was found before the start, as long as nothing was begun.
pub(super) fn from_preflight(model: &Model) -> Option<Alert> {
    let found = model.preflight.as_ref().filter(|found| found.is_bad())?;
    if model.phase() != Phase::Checklist {
        return None;
    }
    let word = match found.faults() {
        0 => "not looked at".to_owned(),
        1 => "1 fault found".to_owned(),
        faults => format!("{faults} faults found"),
    };
    Some(Alert {
        urgent: false,
        word,
        headline: format!("BEFORE THE START: {}", found.summary()),
        meter: None,
        follows: ":preflight shows each, and what to do about it.".to_owned(),
    })
}

/// What guards the run against a second driver and against the loss of this host.
pub(super) fn from_guards(model: &Model, run: &Run) -> Vec<Alert> {
    let mut alerts = Vec::new();
    if run.finished.is_some() {
        return alerts;
    }
    if let Some(lock) = &run.lock {
        if let Some(why) = &lock.lost {
            alerts.push(urgent(
                "FENCED OFF",
                format!("FENCED OFF: {why}"),
                "This engine changes nothing any more. Close this screen; watch with: cutover watch"
                    .to_owned(),
            ));
        } else if let Some(why) = &lock.uncertain {
            alerts.push(urgent(
                "LOCK UNCERTAIN",
                format!("LOCK UNCERTAIN, nothing is written: it can't be renewed: {why}"),
                "Renewing is retried all the time. A rollback is retried until it is done.".to_owned(),
            ));
        }
    }
    alerts.extend(from_copy(model, run));
    alerts
}

/// Why no other host could take the run up, where that is so.
pub(super) fn from_copy(model: &Model, run: &Run) -> Option<Alert> {
    let why = match &model.copy {
        Some(CopyState::Off { why }) => why,
        Some(CopyState::Behind { why, since }) if model.now.since(*since) > COPY_BEHIND => why,
        _ => return None,
    };
    run.finished.is_none().then(|| Alert {
        urgent: false,
        word: "watch: no copy".to_owned(),
        headline: format!("No copy of the journal in the cluster: {why}"),
        meter: None,
        follows: "If this host is lost, the run can't be resumed from another one.".to_owned(),
    })
}

/// Who is not there, and who wants to be.
pub(super) fn from_crew(model: &Model, run: &Run) -> Option<Alert> {
    if run.finished.is_some() {
        return None;
    }
    if let Some(since) = run.away_since {
        let gone = run.pilot.as_ref().map_or_else(String::new, |pilot| format!(" ({pilot} is gone)"));
        return Some(urgent(
            "NOBODY HAS CONTROL",
            format!("NOBODY HAS CONTROL for {}{gone}", model.now.since(since).clock()),
            "Actions under way finish and triggers still roll back; nothing new starts.".to_owned(),
        ));
    }
    let asking = run.control_asked.as_ref()?;
    let follows = if model.looks_only() {
        format!("{} decides.", run.pilot.as_ref().map_or("the pilot", |pilot| pilot.name.as_str()))
    } else {
        ":give hands it over, :keep keeps it.".to_owned()
    };
    Some(Alert {
        urgent: false,
        word: "control asked for".to_owned(),
        headline: format!("{asking} asks for control"),
        meter: None,
        follows,
    })
}

pub(super) fn from_journal(model: &Model) -> Option<Alert> {
    let rollback = panes::label(model, KeyAction::Rollback);
    Some(match &model.journal {
        JournalState::Whole => return None,
        JournalState::Full { why } => urgent(
            "DISK FULL",
            format!("JOURNAL DISK FULL, nothing new starts: {why}"),
            match rollback {
                Some(key) => {
                    format!("{key} still rolls back: space is kept for it. Free some disk, then continue.")
                }
                None => "Space for a rollback is kept. Free some disk, then continue.".to_owned(),
            },
        ),
        JournalState::Lost { why } => urgent(
            "JOURNAL LOST",
            format!("JOURNAL LOST, nothing is done any more: {why}"),
            format!("To roll back without it, type  :unrecorded {WITHOUT_A_JOURNAL}"),
        ),
        JournalState::Elsewhere { path, .. } => urgent(
            "NO JOURNAL",
            match rollback {
                Some(key) => format!("NO JOURNAL: {key} rolls back, nothing else is done"),
                None => "NO JOURNAL: only a rollback can run".to_owned(),
            },
            format!("Recorded in {path}"),
        ),
    })
}
