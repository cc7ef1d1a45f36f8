//! The keys of the moment, most useful first; generated from the bindings.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    config::keymap::KeyAction,
    domain::{prompt::Prompt, run::Run},
    tui::{
        model::{Layer, Model, Phase, form::Purpose, page::PageKind},
        update::undo_target,
        widget::row::Row,
    },
};

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(area.width);
    let context = model.context();
    let wanted = wanted(model);
    let always: &[KeyAction] = if context.falls_through() || context == crate::config::keymap::Context::Global
    {
        &[KeyAction::Help, KeyAction::Quit]
    } else {
        &[]
    };
    let looks_only = model.looks_only();
    // The only question it is asked is its own: whether to leave, what to search for, which command.
    let in_dialog = !matches!(model.layers.last(), None | Some(Layer::Page(_)));
    let hint = |action: KeyAction| -> Option<Row> {
        if looks_only && acts(action) && !in_dialog {
            return None;
        }
        let key = model.options.keymap.label(context, action)?;
        Some(
            Row::of(" ", look.text())
                .put(key, look.key())
                .put(" ", look.text())
                .put(word(model, action), look.dim())
                .put(" ", look.text()),
        )
    };
    let end = always.iter().filter_map(|action| hint(*action)).fold(Row::new(), Row::join);
    let mut row = Row::new();
    for next in wanted.into_iter().filter(|action| !always.contains(action)).filter_map(hint) {
        if row.width() + next.width() + end.width() > width {
            break;
        }
        row = row.join(next);
    }
    row.join(end).draw(area, buffer);
}

/// The actions to show, in order: what the moment asks for, then what is always useful here.
fn wanted(model: &Model) -> Vec<KeyAction> {
    use KeyAction as K;
    match model.layers.last() {
        Some(Layer::Form(form)) if matches!(form.purpose, Purpose::Incident(_)) => {
            return vec![K::NextField, K::PreviousField, K::Left, K::Confirm, K::Back];
        }
        Some(Layer::Form(form)) if form.is_typing() => return vec![K::Confirm, K::Back],
        Some(Layer::Form(form)) if matches!(form.purpose, Purpose::Resolve { .. }) => {
            return vec![K::Down, K::Confirm, K::Back];
        }
        Some(Layer::Form(_)) => return vec![K::Yes, K::No, K::Confirm, K::Left, K::Back],
        Some(Layer::Rollback(_)) => return vec![K::Yes, K::Down, K::NextField, K::Confirm, K::Back],
        Some(Layer::Command(_)) => return vec![K::Confirm, K::NextField, K::Back],
        Some(Layer::Search(_)) => return vec![K::Confirm, K::Back],
        Some(Layer::Page(page)) => {
            let back = model.run.as_ref().is_some_and(Run::can_roll_back);
            let of_page = of_page(&page.kind).into_iter();
            return of_page.filter(|action| back || *action != K::Rollback).collect();
        }
        None => {}
    }
    let mut actions: Vec<KeyAction> = Vec::new();
    actions.extend(of_the_moment(model));
    let hints = model.options.keymap.hints(model.context());
    // What only matters at another moment stays out: help has it.
    let elsewhere = |action: &KeyAction| {
        matches!(
            action,
            KeyAction::Confirm
                | KeyAction::Fails
                | KeyAction::Retry
                | KeyAction::Skip
                | KeyAction::Undo
                | KeyAction::Resolve
                | KeyAction::CancelCountdown
                | KeyAction::Rollback
                | KeyAction::DatabaseRollback
                | KeyAction::Recheck
        )
    };
    for action in hints.iter().filter_map(|hint| hint.actions.first().copied()) {
        let hidden = match action {
            KeyAction::Tick => !ticks(model),
            KeyAction::Hold => !holds(model),
            action => elsewhere(&action),
        };
        if !hidden && !actions.contains(&action) {
            actions.push(action);
        }
    }
    actions
}

/// Whether an action changes the run: whoever only looks is not offered it.
fn acts(action: KeyAction) -> bool {
    matches!(
        action,
        KeyAction::Confirm
            | KeyAction::Tick
            | KeyAction::Note
            | KeyAction::NotNeeded
            | KeyAction::Recheck
            | KeyAction::Fails
            | KeyAction::Retry
            | KeyAction::Undo
            | KeyAction::Skip
            | KeyAction::Resolve
            | KeyAction::Hold
            | KeyAction::CancelCountdown
            | KeyAction::Rollback
            | KeyAction::DatabaseRollback
            | KeyAction::Edit
            | KeyAction::Send
    )
}

/// What can be done on a page.
fn of_page(kind: &PageKind) -> Vec<KeyAction> {
    use KeyAction as K;
    let mut actions = match kind {
        PageKind::Incident => vec![K::Tick, K::Edit, K::Send, K::Copy],
        PageKind::Tasks => vec![K::Tick],
        PageKind::Logs { .. } | PageKind::Output(_) => {
            vec![K::NextSource, K::Follow, K::Search, K::NextMatch, K::Copy]
        }
        PageKind::Story | PageKind::Missed => vec![K::Follow, K::Search, K::NextMatch, K::Copy],
        PageKind::Contacts | PageKind::Links => vec![K::Copy],
        PageKind::Metrics => vec![],
        PageKind::Help | PageKind::Crew | PageKind::Inbox | PageKind::Alerts => vec![K::Search, K::NextMatch],
    };
    actions.extend([K::Down, K::PageDown, K::Back, K::Rollback]);
    actions
}

/// Whether there is anything that could be held.
fn holds(model: &Model) -> bool {
    let goes_on = |run: &Run| run.finished.is_none() && run.rolling_back().is_none() && run.held.is_none();
    model.run.as_ref().is_some_and(goes_on)
}

fn ticks(model: &Model) -> bool {
    match model.prompt() {
        Some(Prompt::Checklist { .. } | Prompt::OpenSteps) => true,
        Some(Prompt::Checking { open, .. }) => !open.is_empty(),
        Some(Prompt::Finished { .. }) => model.run.as_ref().is_some_and(|run| !run.tasks.is_empty()),
        _ => false,
    }
}

fn of_the_moment(model: &Model) -> Vec<KeyAction> {
    use KeyAction as K;
    let Some(run) = &model.run else { return Vec::new() };
    let mut actions = match model.prompt() {
        Some(Prompt::Checklist { .. }) => vec![K::Tick, K::Note, K::NotNeeded, K::Recheck],
        Some(Prompt::Start { .. }) => vec![K::Skip, K::Undo],
        Some(Prompt::Checking { open, .. }) if !open.is_empty() => vec![K::Tick, K::Fails],
        Some(Prompt::Failed { .. }) => vec![K::Retry, K::Undo, K::Skip],
        Some(Prompt::Unknown { .. }) => vec![K::Resolve],
        Some(Prompt::Countdown { .. } | Prompt::Fired { .. }) => vec![K::CancelCountdown],
        Some(Prompt::RollbackStopped { .. }) => vec![K::Retry, K::CancelCountdown],
        _ if run.is_undoing_steps() => vec![K::Hold, K::CancelCountdown],
        Some(Prompt::RollingBack) if model.run.as_ref().is_some_and(|run| run.waiting_act().is_some()) => {
            vec![K::CancelCountdown]
        }
        _ => Vec::new(),
    };
    let undo = undo_target(model)
        .and_then(|index| run.runbook.steps.get(index))
        .is_some_and(|step| !step.undo.is_empty());
    if !undo {
        actions.retain(|action| *action != K::Undo);
    }
    if run.can_roll_back() {
        actions.push(K::Rollback);
    }
    let database = run.runbook.rollbacks.iter().any(|procedure| procedure.id.as_str() == "database");
    if database && run.switch_begun() && run.rolling_back().is_none() {
        actions.push(K::DatabaseRollback);
    }
    actions
}

/// The word beside a key: the keymap's, or a better one for the moment.
fn word(model: &Model, action: KeyAction) -> &'static str {
    match (action, model.phase(), model.prompt()) {
        (KeyAction::CancelCountdown, ..) if model.run.as_ref().is_some_and(Run::may_be_given_up) => "give up",
        (KeyAction::CancelCountdown, _, Some(Prompt::Fired { .. }))
        | (KeyAction::Hold, _, Some(Prompt::Held { .. })) => "go on",
        (KeyAction::NotNeeded, ..) => "not needed",
        (KeyAction::Tick, Phase::Over, _) if model.layers.is_empty() => "done",
        (KeyAction::Down, ..) if matches!(model.layers.last(), Some(Layer::Rollback(_))) => "reason",
        (KeyAction::Yes, ..) if matches!(model.layers.last(), Some(Layer::Rollback(_))) => "roll back",
        (KeyAction::Left, ..) if matches!(model.layers.last(), Some(Layer::Form(_))) => "choose",
        (KeyAction::NextField, ..) if matches!(model.layers.last(), Some(Layer::Command(_))) => "complete",
        _ => action.word(),
    }
}
