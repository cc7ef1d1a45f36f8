//! The screen's logic: a message changes the model and may want something done. No clock, no terminal, no channel.
//!
//! Three rules hold everywhere. What Enter does was on the screen when it was pressed ([`Model::shown`]). What is
//! asked of the engine names the step and attempt it was meant for. A screen that only watches asks for nothing but
//! logs.

mod command_line;
mod engine;
mod form;
mod page;
mod panes;
mod text;

pub use command_line::COMMANDS;
pub(crate) use page::draft;
pub(crate) use panes::{check_due, undo_target};

use super::{
    input::Input,
    model::{Layer, Model},
    msg::{Effect, Msg},
};
use crate::{
    config::keymap::{Context, Key, KeyAction},
    domain::{
        message::Command,
        prompt::Prompt,
        time::{Span, Timestamp},
    },
};

/// How long a second ctrl-c counts as one.
const INTERRUPT: Span = Span::from_secs(5);
/// While a dialog is open that orders an act the engine hears of that so often.
const KEEP_LOOKING: Span = Span::from_secs(1);
/// How long something said once stays.
const TOAST: Span = Span::from_secs(12);

/// Takes a message in. The effects are in the order they must be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let before = model.prompt();
    let mut effects = Vec::new();
    match msg {
        Msg::Update(update) => engine::apply(model, *update, &mut effects),
        Msg::Input(input) => on_input(model, input, &mut effects),
        Msg::Silence(span) => model.silent = Some(span),
        Msg::Copied(Ok(where_to)) => model.say(format!("copied to {where_to}")),
        Msg::Copied(Err(why)) => model.refuse(format!("not copied: {why}")),
    }
    settle(model, before.as_ref(), &mut effects);
    keep_looking(model, &mut effects);
    effects
}

/// While a dialog is open that orders an act the engine keeps a fresh look at the target at hand: the act does not wait for
/// one then.
fn keep_looking(model: &mut Model, effects: &mut Vec<Effect>) {
    let orders = match model.layers.last() {
        Some(Layer::Rollback(_)) => true,
        Some(Layer::Form(form)) => form.purpose.orders_act(),
        Some(Layer::Command(_) | Layer::Search(_) | Layer::Page(_)) | None => false,
    };
    if !orders || model.looks_only() || model.now.since(model.kept_looking) < KEEP_LOOKING {
        return;
    }
    model.kept_looking = model.now;
    effects.push(Effect::Send(Command::KeepLooking));
}

fn on_input(model: &mut Model, input: Input, effects: &mut Vec<Effect>) {
    match input {
        Input::Key(key) => {
            model.toast = None;
            model.last_key = model.now;
            on_key(model, key, effects);
        }
        Input::Paste(text) => text::paste(model, &text),
        Input::Resized => {}
        Input::HungUp => effects.push(Effect::Leave),
    }
}

fn on_key(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    if key == Key::ctrl('c') {
        return interrupt(model, effects);
    }
    model.interrupted = None;
    let context = model.context();
    let action = model.options.keymap.action(context, key);
    match model.layers.last() {
        Some(Layer::Form(_)) => form::on_key(model, key, action, effects),
        Some(Layer::Rollback(_)) => form::on_rollback_key(model, key, action, effects),
        Some(Layer::Command(_)) => command_line::on_key(model, key, action, effects),
        Some(Layer::Search(_)) => page::on_search_key(model, key, action, effects),
        Some(Layer::Page(_)) => {
            if let Some(action) = action {
                page::on_action(model, action, effects);
            }
        }
        None => {
            if let Some(action) = action {
                panes::on_action(model, action, effects);
            }
        }
    }
}

/// Keys that mean the same on panes and pages. `false` where the action is not one of them.
fn on_common_action(model: &mut Model, action: KeyAction, effects: &mut Vec<Effect>) -> bool {
    match action {
        KeyAction::Rollback => form::open_rollback(model),
        KeyAction::DatabaseRollback => form::open_procedure(model, None),
        KeyAction::Help
        | KeyAction::Contacts
        | KeyAction::Links
        | KeyAction::Inbox
        | KeyAction::Metrics
        | KeyAction::Incident
        | KeyAction::Logs
        | KeyAction::Tasks => page::toggle(model, action, effects),
        KeyAction::Command => model.layers.push(Layer::Command(tui_input::Input::default())),
        KeyAction::Search => model.layers.push(Layer::Search(tui_input::Input::default())),
        KeyAction::Quit => form::open_quit(model, effects),
        KeyAction::Redraw => effects.push(Effect::Repaint),
        KeyAction::Hold => form::open_hold(model),
        _ => return false,
    }
    true
}

/// The first ctrl-c says what it would do, the second does it: it leaves the screen, like `q`.
fn interrupt(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.interrupted.is_some_and(|at| model.now.since(at) <= INTERRUPT) {
        effects.push(Effect::Leave);
        return;
    }
    model.interrupted = Some(model.now);
    let what = if is_active(model) { "leaves, and the run goes on" } else { "leaves" };
    let quit = model.key_in(Context::Global, KeyAction::Quit);
    let rollback = model.key_in(Context::Global, KeyAction::Rollback);
    model.say(format!("ctrl-c again {what}; {quit} says more; {rollback} rolls back"));
}

/// Whether leaving leaves a run alone that is under way.
fn is_active(model: &Model) -> bool {
    !model.looks_only()
        && model.run.as_ref().is_some_and(|run| run.finished.is_none())
        && model.closed.is_none()
}

/// Asks the engine for something, where this screen may.
fn send(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    if model.looks_only() && !matches!(command, Command::Logs { .. }) {
        model.refuse("this screen only watches");
        return;
    }
    effects.push(Effect::Send(command));
}

/// Brings layers and cursor in line with what the run waits for now.
fn settle(model: &mut Model, before: Option<&Prompt>, effects: &mut Vec<Effect>) {
    if model.toast.as_ref().is_some_and(|toast| model.now.since(toast.at) > TOAST) {
        model.toast = None;
    }
    let Some(prompt) = model.prompt() else { return };
    form::drop_stale(model, &prompt);
    if model.aside.as_ref().is_some_and(|aside| *aside != prompt) {
        model.aside = None;
    }
    if model.layers.is_empty() && !model.looks_only() && model.aside.is_none() {
        form::open_question(model, &prompt);
    }
    let changed =
        before.is_none_or(|before| std::mem::discriminant(before) != std::mem::discriminant(&prompt));
    if changed {
        on_new_prompt(model, before, &prompt, effects);
    }
    clamp(model);
}

/// The run waits for something else than before: the eye should find it.
fn on_new_prompt(model: &mut Model, before: Option<&Prompt>, prompt: &Prompt, effects: &mut Vec<Effect>) {
    model.cursor.check = None;
    let urgent = match prompt {
        Prompt::Failed { .. } => Some("a step has failed"),
        Prompt::Unknown { .. } => Some("an action's result is unknown"),
        Prompt::Countdown { .. } => Some("a rollback starts by itself soon"),
        Prompt::Fired { .. } => Some("a trigger has fired"),
        Prompt::Held { .. } => Some("the run is held"),
        Prompt::RollbackStopped { .. } => Some("the rollback has stopped"),
        Prompt::RollingBack => Some("a rollback runs"),
        _ => None,
    };
    if urgent.is_some() {
        // What needs a person is in the panes: whatever was looked at elsewhere gives way, but never what is typed.
        model.cursor.step = None;
        model.cursor.zoomed = false;
        model.cursor.detail = 0;
    }
    if let Prompt::Checklist { open } = prompt {
        panes::select_first(model, open);
    }
    let over = matches!(prompt, Prompt::Finished { .. }).then_some("the run has ended");
    let waiting = match prompt {
        Prompt::Start { .. } | Prompt::Complete | Prompt::Proceed { .. } => {
            Some("the next step waits for you")
        }
        Prompt::Checking { open, .. } if !open.is_empty() => Some("a check waits for you"),
        _ => None,
    };
    // Not for what the operator's own key has just brought about, nor for what was so before this screen came.
    let own = model.last_key != Timestamp::default() && model.now.since(model.last_key) < Span::from_secs(3);
    if before.is_some()
        && !model.looks_only()
        && let Some(text) = urgent.or(over).or(waiting.filter(|_| !own))
    {
        effects.push(Effect::Call(text.to_owned()));
    }
}

/// Keeps every selection inside what there is.
fn clamp(model: &mut Model) {
    let items = model.items().count();
    let Some(run) = &model.run else { return };
    let last = |len: usize| len.saturating_sub(1);
    let cursor = &mut model.cursor;
    cursor.item = cursor.item.min(last(items));
    cursor.step = cursor.step.map(|step| step.min(last(run.steps.len())));
    cursor.task = cursor.task.min(last(run.tasks.len()));
    cursor.metric = cursor.metric.min(last(run.runbook.metrics.len()));
}

/// Whether Enter may do what the run waits for now: only what the last frame has shown.
fn is_shown(model: &Model, prompt: &Prompt) -> bool {
    model.shown.as_ref() == Some(prompt)
}

/// The commands that begin like what is typed, in words.
pub fn command_help(typed: &str) -> String {
    let mut all = command_line::matching(typed);
    match (all.next(), all.next()) {
        (None, _) => "no such command; :help lists them".to_owned(),
        (Some((name, takes, what)), None) => format!("{name} {takes}: {what}"),
        (Some(first), Some(second)) => {
            let names: Vec<&str> = [first, second].into_iter().chain(all).map(|(name, ..)| *name).collect();
            names.join(" ")
        }
    }
}
