//! Why a key does nothing now, in words.

use crate::{
    config::keymap::{Key, KeyAction, KeyCode},
    domain::run::{ItemStatus, Run},
    tui::model::{Model, Phase},
};

use super::undo_target;

/// Why a key that was pressed is not offered; none where nothing needs to be said.
pub fn why_not(model: &Model, action: KeyAction) -> Option<String> {
    let run = model.run.as_ref()?;
    if let Some(why) = nothing_to_look_at(action) {
        return Some(why.to_owned());
    }
    if !acts(action) {
        return None;
    }
    if model.replays() {
        return Some(super::REPLAY_ONLY.to_owned());
    }
    if model.looks_only() {
        return Some("this screen only watches".to_owned());
    }
    Some(match action {
        KeyAction::Rollback | KeyAction::DatabaseRollback if run.rolling_back().is_some() => match run
            .rolling_back()
        {
            Some(rollback) if rollback.stopped.is_some() => {
                let (retry, give_up) = (model.key(KeyAction::Retry), model.key(KeyAction::CancelCountdown));
                format!("the rollback has stopped: {retry} retries it, {give_up} abandons it")
            }
            _ => "a rollback is already running".to_owned(),
        },
        KeyAction::Rollback => no_rollback(model, run),
        KeyAction::DatabaseRollback => no_procedure(run),
        KeyAction::Tick => no_tick(model, run),
        KeyAction::Fails => "no check waits for you now".to_owned(),
        KeyAction::Recheck => match model.phase() {
            Phase::Checklist => "this is a manual check; space ticks it".to_owned(),
            _ => "only checklist items can be checked again".to_owned(),
        },
        KeyAction::NotNeeded => "no checklist item is selected".to_owned(),
        KeyAction::Retry => "nothing has failed, so there is nothing to retry".to_owned(),
        KeyAction::Skip => "only a step that is next or has failed can be skipped".to_owned(),
        KeyAction::Undo => no_undo(model, run),
        KeyAction::Resolve => "no action's outcome is unknown".to_owned(),
        KeyAction::CancelCountdown => "nothing is counting down".to_owned(),
        KeyAction::Hold if run.finished.is_some() => "the run has ended".to_owned(),
        KeyAction::Hold => "a rollback runs: it can't be paused".to_owned(),
        _ => return None,
    })
}

/// What to say of a key that does nothing here, where the same letter with the shift key is offered and would change the run.
pub fn with_shift(model: &Model, key: Key) -> Option<String> {
    let KeyCode::Char(small) = key.code else { return None };
    let large = Key { code: KeyCode::Char(small.to_ascii_uppercase()), ..key };
    let action =
        model.options.keymap.action(model.context(), large).filter(|_| small.is_ascii_lowercase())?;
    let offered = action.is_weighty() && super::is_offered(model, action);
    offered.then(|| format!("{large}, with the shift key: {}", action.word()))
}

/// Whether it changes the run.
fn acts(action: KeyAction) -> bool {
    action.is_weighty()
        || matches!(action, KeyAction::Hold | KeyAction::Note | KeyAction::Recheck | KeyAction::Edit)
}

fn nothing_to_look_at(action: KeyAction) -> Option<&'static str> {
    match action {
        KeyAction::Logs => Some("this runbook has no slots, so there are no logs"),
        KeyAction::Incident => Some("this runbook has no [incident]"),
        KeyAction::Contacts => Some("this runbook has no contacts"),
        KeyAction::Links => Some("this runbook has no links"),
        KeyAction::Metrics => Some("this runbook has no metrics"),
        KeyAction::Tasks => Some("this runbook has no tasks for later"),
        KeyAction::Inbox => Some("nothing has been sent to the team yet"),
        KeyAction::Copy => Some("there is no command here to copy"),
        KeyAction::NextMatch | KeyAction::PreviousMatch => Some("nothing has been searched for yet"),
        _ => None,
    }
}

fn no_rollback(model: &Model, run: &Run) -> String {
    let back = run.rollbacks.last().and_then(|rollback| rollback.finished.as_ref());
    if back.is_some_and(|(succeeded, ..)| *succeeded) {
        return "already rolled back: nothing is left to roll back".to_owned();
    }
    let left = run.rollback_plan(model.telemetry.workload.as_ref(), model.now).not_undone;
    match left.into_iter().next().filter(|_| run.rollbacks.is_empty()) {
        Some(left) => format!("nothing can be rolled back without losing data: {left}"),
        None => "there is nothing to roll back: no step has changed anything".to_owned(),
    }
}

fn no_procedure(run: &Run) -> String {
    if run.started_at.is_none() {
        return "nothing has started yet, so there is nothing to roll back".to_owned();
    }
    let lacks = run.runbook.procedure("database").and_then(|procedure| run.procedure_lacks(procedure));
    if let Some(lacks) = lacks {
        return lacks;
    }
    if run.runbook.procedure("database").is_some() && !run.switch_begun() {
        return "traffic was not switched yet; :rollback database does it anyway".to_owned();
    }
    "no such rollback in the runbook; start one with :rollback NAME".to_owned()
}

fn no_tick(model: &Model, run: &Run) -> String {
    match (model.phase(), model.item_shown()) {
        (Phase::Checklist, Some((group, item)))
            if !run.is_persons_item(group, item)
                && model.item_status(group, item).0 != ItemStatus::Waived =>
        {
            let again = model.key(KeyAction::Recheck);
            let waive = model.key(KeyAction::NotNeeded);
            format!("this is an automatic check: {again} checks again, {waive} marks it as not needed")
        }
        (Phase::Over, _) if !run.tasks.is_empty() => "this task is already done".to_owned(),
        (Phase::Checklist | Phase::Steps | Phase::Window | Phase::RollingBack | Phase::Over, _) => {
            "no check waits for you now".to_owned()
        }
    }
}

fn no_undo(model: &Model, run: &Run) -> String {
    let step = undo_target(model).and_then(|index| run.runbook.steps.get(index).zip(run.steps.get(index)));
    let Some((step, state)) = step else {
        return "no step has done anything yet".to_owned();
    };
    if step.undo.is_empty() {
        let why = step.no_undo.clone().unwrap_or_else(|| "the runbook gives no reason".to_owned());
        return format!("{} has no undo: {why}", step.title);
    }
    if let Some(why) = run.undo_lacks(step) {
        return why;
    }
    if run.rolling_back().is_some() {
        return "a rollback is running: it undoes what is needed".to_owned();
    }
    if run.held.is_some() {
        return "the run is paused: resume it first, or roll back".to_owned();
    }
    if state.status.is_active() || run.steps.iter().any(|state| state.status.is_active()) {
        return "something is running; wait for it, or roll back".to_owned();
    }
    format!("{} can't be undone now: it has done nothing, or a later step builds on it", step.title)
}
