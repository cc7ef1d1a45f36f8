//! Keys on the panes.

use crate::{
    config::keymap::KeyAction,
    domain::{message::Command, prompt::Prompt},
    tui::{
        layout,
        model::{Layer, Model, Pane, Phase, form::Form, page::PageKind},
        msg::Effect,
        offer::{self, Does, Taken, check_due, checks_of_person},
        subject,
        widget::list::moved,
    },
};

use super::{form, on_common_action, page, send};

/// A page of rows; panes are not much higher.
const PAGE: isize = 8;

/// A key on the panes, by its meaning in the keymap: does what is offered for it, and nothing else.
pub(super) fn on_action(model: &mut Model, action: KeyAction, effects: &mut Vec<Effect>) {
    match offer::take(model, action) {
        Taken::Do(Does::Look) => look(model, action, effects),
        Taken::Do(does) => act(model, does, effects),
        Taken::Changed => model.say("the screen has just changed: look, then press again"),
        Taken::Nothing => {
            if let Some(why) = offer::why_not(model, action) {
                model.say(why);
            }
        }
    }
}

/// What changes only this screen.
fn look(model: &mut Model, action: KeyAction, effects: &mut Vec<Effect>) {
    if super::replay::on_action(model, action) || on_common_action(model, action, effects) {
        return;
    }
    match action {
        KeyAction::Up => move_by(model, -1),
        KeyAction::Down => move_by(model, 1),
        KeyAction::PageUp => move_by(model, -PAGE),
        KeyAction::PageDown => move_by(model, PAGE),
        KeyAction::Top => move_by(model, isize::MIN / 2),
        KeyAction::Bottom => move_by(model, isize::MAX / 2),
        KeyAction::NextPane | KeyAction::Right => next_pane(model, 1),
        KeyAction::PreviousPane | KeyAction::Left => next_pane(model, -1),
        KeyAction::Pane(number) => {
            let panes = layout::panes(model);
            if let Some(pane) = panes.get(usize::from(number).saturating_sub(1)) {
                model.cursor.focus = *pane;
            }
        }
        KeyAction::Zoom => zoom(model, effects),
        KeyAction::Back => back(model),
        KeyAction::Copy => copy(model, effects),
        KeyAction::NextMatch => search(model, true),
        KeyAction::PreviousMatch => search(model, false),
        _ => {}
    }
}

/// What was offered, done.
fn act(model: &mut Model, does: Does, effects: &mut Vec<Effect>) {
    match does {
        Does::Wait | Does::Look | Does::Layer => {}
        Does::Return => {
            model.cursor.step = None;
            model.cursor.zoomed = false;
            model.cursor.detail = 0;
        }
        Does::Question => {
            model.aside = None;
            if let Some(prompt) = model.prompt() {
                form::open_question(model, &prompt);
            }
        }
        Does::NextItem => {
            if let Some(Prompt::Checklist { open }) = model.prompt() {
                next_open_item(model, &open);
            }
        }
        Does::TickItem { group, item } => {
            send(model, Command::TickItem { group, item, note: None }, effects);
            // On to the next one that is open, so that a list that was gone through aloud is ticked key by key.
            if let Some(Prompt::Checklist { open }) = model.prompt() {
                let rest: Vec<_> = open.into_iter().filter(|other| *other != (group, item)).collect();
                next_open_item(model, &rest);
            }
        }
        Does::Send(command) => {
            match &command {
                Command::RecheckItem { .. } => model.say("checking again"),
                Command::TickCheck { .. } => model.cursor.check = None,
                _ => {}
            }
            send(model, command, effects);
        }
        Does::Confirm(purpose, confirm) => form::confirm(model, purpose, confirm, effects),
        Does::Write(purpose) => form::open(model, Form::typing(purpose, "")),
        Does::Choose(purpose, choice) => form::open(model, Form::choosing(purpose, choice)),
        Does::Rollback => form::open_rollback(model),
        Does::Procedure(id) => form::open_procedure(model, id.as_str()),
        Does::Type(text) => model.layers.push(Layer::Command(tui_input::Input::new(text.to_owned()))),
    }
}

pub(super) fn move_by(model: &mut Model, by: isize) {
    let phase = model.phase();
    let steps = model.run.as_ref().map_or(0, |run| run.steps.len());
    match model.cursor.focus {
        Pane::Work => match phase {
            Phase::Checklist => model.cursor.item = moved(model.cursor.item, by, model.items().count()),
            Phase::Over if has_tasks(model) => {
                let tasks = model.run.as_ref().map_or(0, |run| run.tasks.len());
                model.cursor.task = moved(model.cursor.task, by, tasks);
            }
            // The steps are not in sight: the pane has the window's checks, or the rollback's actions.
            Phase::Window | Phase::RollingBack => select_check(model, by),
            _ => {
                let from = model.step_shown().unwrap_or(0);
                model.cursor.step = Some(moved(from, by, steps));
                model.cursor.detail = 0;
            }
        },
        Pane::Detail => match checks_of_person(model) {
            Some(checks) if !checks.is_empty() => select_check(model, by),
            _ => model.cursor.detail = moved(model.cursor.detail, by, 1_000),
        },
        Pane::Metrics => {
            let metrics = model.run.as_ref().map_or(0, |run| run.runbook.metrics.len());
            model.cursor.metric = moved(model.cursor.metric, by, metrics);
        }
        Pane::Pods => model.cursor.pod = moved(model.cursor.pod, by, subject::pods(model).len()),
        Pane::Logs => model.cursor.logs = moved(model.cursor.logs, by.saturating_neg(), 5_000),
    }
}

/// Another of the checks that wait for a person.
fn select_check(model: &mut Model, by: isize) {
    let checks = checks_of_person(model).unwrap_or_default();
    let due = check_due(model).map(|(.., check)| check);
    let at = due.and_then(|due| checks.iter().position(|check| *check == due));
    let next = at.map_or(0, |at| moved(at, by, checks.len()));
    model.cursor.check = checks.get(next).copied();
}

fn has_tasks(model: &Model) -> bool {
    model.run.as_ref().is_some_and(|run| !run.tasks.is_empty())
}

fn next_pane(model: &mut Model, by: isize) {
    let panes = layout::panes(model);
    let at = panes.iter().position(|pane| *pane == model.cursor.focus).unwrap_or(0);
    let len = panes.len().max(1);
    let next = (at + if by > 0 { 1 } else { len - 1 }) % len;
    if let Some(pane) = panes.get(next) {
        model.cursor.focus = *pane;
    }
}

fn zoom(model: &mut Model, effects: &mut Vec<Effect>) {
    match model.cursor.focus {
        // Their large form has axes, and all lines.
        Pane::Metrics => page::open(model, PageKind::Metrics, effects),
        _ => model.cursor.zoomed = !model.cursor.zoomed,
    }
}

fn back(model: &mut Model) {
    let cursor = &mut model.cursor;
    if cursor.zoomed {
        cursor.zoomed = false;
    } else if cursor.step.is_some() {
        cursor.step = None;
        cursor.detail = 0;
    } else {
        cursor.focus = Pane::Work;
        cursor.search = None;
    }
}

/// The first item that keeps the steps closed; one a person ticks before one that checks itself.
pub(super) fn select_first(model: &mut Model, open: &[(usize, usize)]) {
    let Some(run) = &model.run else { return };
    let person = |(g, i): &&(usize, usize)| run.is_persons_item(*g, *i);
    let first = open.iter().find(person).or(open.first()).copied();
    if let Some(at) = first.and_then(|first| model.items().position(|item| item == first)) {
        model.cursor.item = at;
    }
}

/// The next item that keeps the steps closed, after the selected one.
fn next_open_item(model: &mut Model, open: &[(usize, usize)]) {
    let items: Vec<_> = model.items().collect();
    let from = model.cursor.item + 1;
    let order = (from..items.len()).chain(0..from.min(items.len()));
    if let Some(next) = order.into_iter().find(|at| items.get(*at).is_some_and(|item| open.contains(item))) {
        model.cursor.item = next;
        model.cursor.focus = Pane::Work;
    }
}

fn copy(model: &mut Model, effects: &mut Vec<Effect>) {
    match subject::commands_shown(model) {
        text if text.is_empty() => model.say("there is no command here to copy"),
        text => effects.push(Effect::Copy { name: "commands", text }),
    }
}

/// The next place in the focused pane that was searched for.
pub(super) fn search(model: &mut Model, forward: bool) {
    let Some(pattern) = model.cursor.search.clone() else { return };
    match model.cursor.focus {
        Pane::Work => {
            let texts = subject::work_texts(model);
            let at = match model.phase() {
                Phase::Checklist => model.cursor.item,
                Phase::Over if has_tasks(model) => model.cursor.task,
                _ => model.step_shown().unwrap_or(0),
            };
            let Some(found) = page::find(&texts, &pattern, at, forward) else {
                return model.say(format!("not found: {pattern}"));
            };
            match model.phase() {
                Phase::Checklist => model.cursor.item = found,
                Phase::Over if has_tasks(model) => model.cursor.task = found,
                _ => model.cursor.step = Some(found),
            }
        }
        Pane::Pods => {
            let texts = subject::pod_texts(model);
            match page::find(&texts, &pattern, model.cursor.pod, forward) {
                Some(found) => model.cursor.pod = found,
                None => model.say(format!("not found: {pattern}")),
            }
        }
        // Long texts have pages of their own, with matches marked.
        Pane::Detail | Pane::Metrics | Pane::Logs => page::open_for_search(model, pattern),
    }
}
