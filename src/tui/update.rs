//! The screen's logic: a message changes the model and may want something done. No clock, no terminal, no channel.
//!
//! Three rules hold everywhere. What Enter does was on the screen when it was pressed ([`Model::shown`]). What is
//! asked of the engine names the step and attempt it was meant for. A screen that only watches asks for nothing but
//! logs.

mod command_line;
mod engine;
mod form;
mod mouse;
mod page;
mod panes;
mod replay;
mod search;
mod text;

use super::{
    input::{Answer, Input},
    model::{Layer, Model, Phase, ShownWindow, form::Purpose},
    msg::{Effect, Msg, Saved},
    offer,
    style::Look,
};
use crate::{
    config::{
        keymap::{Context, Key, KeyAction},
        theme::Ground,
    },
    domain::{message::Command, online::preflight::Preflight, prompt::Prompt, run::Run, time::Span},
};

/// How long a second ctrl-c counts as one.
const INTERRUPT: Span = Span::from_secs(5);
/// While a dialog is open that orders an act the engine hears of that so often.
const KEEP_LOOKING: Span = Span::from_secs(1);
/// The journal has the watched time of a window so often; more than that was not counted.
const WRITTEN_EVERY: Span = Span::from_secs(10);
/// How long something said once stays.
const TOAST: Span = Span::from_secs(12);

/// Takes a message in. The effects are in the order they must be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let before = model.prompt();
    let wrote = reconsidered(model);
    let mut effects = Vec::new();
    match msg {
        Msg::Update(update) => engine::apply(model, *update, &mut effects),
        Msg::Input(input) => on_input(model, input, &mut effects),
        Msg::Replay(reel, speed) => replay::begin(model, reel, speed),
        Msg::Passed(real) => replay::pass(model, real),
        Msg::Silence(span) => model.silent = Some(span),
        Msg::Copied(Ok(where_to)) => model.say(format!("copied to {where_to}")),
        Msg::Copied(Err(why)) => model.refuse(format!("not copied: {why}")),
        Msg::Reloaded(Ok(fresh)) => {
            // What the terminal has said of its background still holds.
            model.look = Look(fresh.theme.on(model.look.0.ground()));
            model.options = *fresh;
            model.say("settings and keymap were read again; title and mouse count from the next screen on");
        }
        Msg::Reloaded(Err(faults)) => model.refuse(kept_as_they_were(&faults)),
        Msg::Saved(Ok(path)) => model.say(format!("saved to {path}")),
        Msg::Saved(Err(why)) => model.refuse(format!("not saved: {why}")),
        Msg::Preflight(preflight) => {
            // A fault has a line of its own while it can still be mended.
            if preflight != Preflight::Looking && !preflight.is_bad() {
                model.say(format!("looked before the start: {}; :preflight", preflight.summary()));
            }
            model.preflight = Some(preflight);
        }
    }
    settle(model, before.as_ref(), &mut effects);
    keep_looking(model, &mut effects);
    let writes = reconsidered(model);
    if wrote != writes && !model.looks_only() {
        let tell = |trigger, begins| Effect::Send(Command::Reconsider { trigger, begins });
        effects.extend(wrote.map(|trigger| tell(trigger, false)));
        effects.extend(writes.map(|trigger| tell(trigger, true)));
    }
    effects
}

/// Why settings and keymap stay as they were: the first fault in one line, without its directory and its cure.
fn kept_as_they_were(faults: &[String]) -> String {
    let first = faults.first().map_or("they can't be read", String::as_str);
    let (place, fault) = first.split_once(": ").unwrap_or(("", first));
    let place = place.rsplit('/').next().unwrap_or(place);
    let fault = fault.strip_prefix("error: ").unwrap_or(fault);
    let fault = fault.split_once("; ").map_or(fault, |(fault, _)| fault);
    let more = if faults.len() > 1 { format!(" (and {} more)", faults.len() - 1) } else { String::new() };
    format!("{place}: {fault}{more}; settings stay as they were, see: cutover config")
}

/// The trigger whose countdown somebody is writing a reason to cancel.
fn reconsidered(model: &Model) -> Option<usize> {
    model.layers.iter().find_map(|layer| match layer {
        Layer::Form(form) => match form.purpose {
            Purpose::CancelCountdown { trigger } => Some(trigger),
            _ => None,
        },
        _ => None,
    })
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
            model.last_key = Some(model.real);
            on_key(model, key, effects);
        }
        Input::Paste(text) => text::paste(model, &text),
        Input::Mouse(mouse) => mouse::on_mouse(model, mouse),
        Input::Told(answer) => on_answer(model, answer),
        Input::HungUp => effects.push(Effect::Leave),
    }
}

/// What the terminal says of itself; after its last answer it is not believed any more.
fn on_answer(model: &mut Model, answer: Answer) {
    match answer {
        Answer::Background(colour) if model.asking => {
            model.look = Look(model.look.0.on(Ground::of(colour)));
        }
        Answer::Last => model.asking = false,
        Answer::Background(_) | Answer::HoldsFrames => {}
    }
}

fn on_key(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    if key == Key::ctrl('c') {
        return interrupt(model, effects);
    }
    model.interrupted = None;
    let context = model.context();
    let action = model.options.keymap.action(context, key);
    // On panes a key that is not offered says why; elsewhere it is a letter, or nothing.
    let offered = action.filter(|action| offer::is_offered(model, *action));
    match model.layers.last() {
        Some(Layer::Form(_)) => form::on_key(model, key, offered, effects),
        Some(Layer::Rollback(_)) => form::on_rollback_key(model, key, offered, effects),
        Some(Layer::Command(_)) => command_line::on_key(model, key, offered, effects),
        Some(Layer::Search(_)) => search::on_key(model, key, offered),
        Some(Layer::Page(_)) => {
            if let Some(action) = offered {
                page::on_action(model, action, effects);
            } else {
                slipped(model, key);
            }
        }
        None => {
            if !(offered.is_none() && slipped(model, key))
                && let Some(action) = action
            {
                panes::on_action(model, action, effects);
            }
        }
    }
}

/// A key that does nothing here: a small letter may be a large one that was missed. Whether it was.
fn slipped(model: &mut Model, key: Key) -> bool {
    let words = offer::with_shift(model, key);
    let missed = words.is_some();
    if let Some(words) = words {
        model.say(words);
    }
    missed
}

/// Keys that mean the same on panes and pages. `false` where the action is not one of them.
fn on_common_action(model: &mut Model, action: KeyAction, effects: &mut Vec<Effect>) -> bool {
    match action {
        KeyAction::Rollback => form::open_rollback(model),
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
        KeyAction::Freeze => model.freeze(),
        KeyAction::Save => save_screen(effects),
        _ => return false,
    }
    true
}

/// Keeps the screen as it is seen now.
fn save_screen(effects: &mut Vec<Effect>) {
    effects.push(Effect::Save { name: "screen".to_owned(), what: Saved::Screen });
}

/// The first ctrl-c says what it would do, the second does it: it leaves the screen, like `q`.
fn interrupt(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.interrupted.is_some_and(|at| model.replays() || model.real.saturating_sub(at) <= INTERRUPT) {
        effects.push(Effect::Leave);
        return;
    }
    model.interrupted = Some(model.real);
    if model.replays() {
        return model.say("ctrl-c again leaves");
    }
    let what = if is_active(model) { "leaves; the run continues" } else { "leaves" };
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
    if model.replays() {
        return model.refuse(offer::REPLAY_ONLY);
    }
    if model.looks_only() && !matches!(command, Command::Logs { .. }) {
        model.refuse("this screen only watches");
        return;
    }
    effects.push(Effect::Send(command));
}

/// Brings layers and cursor in line with what the run waits for now.
fn settle(model: &mut Model, before: Option<&Prompt>, effects: &mut Vec<Effect>) {
    if !model.replays()
        && model.toast.as_ref().is_some_and(|toast| model.real.saturating_sub(toast.at) > TOAST)
    {
        model.toast = None;
    }
    let Some(prompt) = model.prompt() else { return };
    advance_window(model);
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
        Prompt::Unknown { .. } => Some("an action's outcome is unknown"),
        Prompt::Countdown { .. } => Some("an automatic rollback is about to start"),
        Prompt::Fired { .. } => Some("a trigger has fired"),
        Prompt::Held { .. } => Some("the run is paused"),
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
    let own = model.last_key.is_some_and(|at| model.real.saturating_sub(at) < Span::from_secs(3));
    if before.is_some()
        && !model.looks_only()
        && let Some(text) = urgent.or(over).or(waiting.filter(|_| !own))
    {
        effects.push(Effect::Call(text.to_owned()));
    }
}

/// The watched time to show. Between two entries in the journal it goes on by the clock, as long as there is data; what was
/// shown is never taken back.
fn advance_window(model: &mut Model) {
    let Some(index) = model.run.as_ref().and_then(Run::current).filter(|_| model.phase() == Phase::Window)
    else {
        return;
    };
    let Some(run) = &model.run else { return };
    let Some(state) = run.steps.get(index) else { return };
    let blind = run.triggers.iter().any(|trigger| trigger.blind.is_some());
    let attempt = state.work.attempt;
    let shown = model.window.filter(|shown| shown.step == index && shown.attempt == attempt);
    let watched = match shown {
        Some(shown) if !blind && run.held.is_none() => {
            let by_clock = shown.watched.saturating_add(model.now.since(shown.at));
            by_clock.min(state.watched.saturating_add(WRITTEN_EVERY)).max(shown.watched)
        }
        Some(shown) => shown.watched,
        None => Span::ZERO,
    };
    let watched = watched.max(state.watched);
    model.window = Some(ShownWindow { step: index, attempt, watched, at: model.now });
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
