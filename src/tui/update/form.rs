//! Questions: opening and answering them, and closing those that are no longer asked.

use crate::{
    config::keymap::{Key, KeyAction},
    domain::{action::Confirm, message::Command, metric::Metric, prompt::Prompt, run::Run},
    tui::{
        model::{
            Layer, Model,
            form::{
                Form, IncidentDraft, Purpose, RESOLUTIONS, RollbackFocus, RollbackForm, STATUSES, scrolled,
            },
        },
        msg::Effect,
        offer, view,
        widget::list::moved,
    },
};

use super::{send, text};

/// Opens a question, where this screen may ask for anything.
pub(super) fn open(model: &mut Model, form: Form) {
    if model.looks_only() && !matches!(form.purpose, Purpose::Quit) {
        model.refuse("this screen only watches");
        return;
    }
    model.layers.push(Layer::Form(Box::new(form)));
}

/// The questions at the opening come by themselves.
pub(super) fn open_question(model: &mut Model, prompt: &Prompt) {
    match prompt {
        Prompt::Ask { name, question, default } => {
            let purpose = Purpose::Ask { name: name.clone(), question: question.clone() };
            open(model, Form::typing(purpose, default.as_deref().unwrap_or_default()));
        }
        Prompt::Decide { part, question, default } => {
            let purpose = Purpose::Decide { part: part.clone(), question: question.clone() };
            open(model, Form::choosing(purpose, usize::from(!default)));
        }
        _ => {}
    }
}

/// Takes away questions that what has happened has answered.
pub(super) fn drop_stale(model: &mut Model, prompt: &Prompt) {
    let Some(run) = &model.run else { return };
    let mut dropped = false;
    model.layers.retain(|layer| {
        let due = match layer {
            Layer::Form(form) => form.is_due(run, prompt),
            Layer::Rollback(_) => run.rolling_back().is_none(),
            _ => true,
        };
        // An answered question goes without a word.
        let answered = matches!(layer, Layer::Form(form) if matches!(form.purpose, Purpose::Ask { .. } | Purpose::Decide { .. }));
        dropped |= !due && !answered;
        due
    });
    if dropped && model.toast.is_none() {
        model.say("too late: that question is no longer open");
    }
}

/// `R`: what a rollback would do now, and the reasons.
pub(super) fn open_rollback(model: &mut Model) {
    let Some(run) = &model.run else { return };
    if matches!(model.layers.last(), Some(Layer::Rollback(_))) {
        return;
    }
    if !run.can_roll_back() || model.looks_only() {
        if let Some(why) = offer::why_not(model, KeyAction::Rollback) {
            model.refuse(why);
        }
        return;
    }
    let form = RollbackForm::new(run, None, model.now, |metric| latest(model, metric));
    model.layers.push(Layer::Rollback(Box::new(form)));
}

/// What the new slot measures of a metric now.
fn latest(model: &Model, metric: &Metric) -> Option<f64> {
    let slot = model.run.as_ref().and_then(|run| run.opened.new_slot.clone());
    model.telemetry.reading(metric, slot.as_ref(), model.now).value
}

/// `D`, or `:rollback NAME`: a procedure of its own.
pub(super) fn open_procedure(model: &mut Model, name: &str) {
    let Some(run) = &model.run else { return };
    let Some(procedure) = run.runbook.procedure(name) else {
        return model.refuse(format!("the runbook has no [rollback.{name}]"));
    };
    if run.rolling_back().is_some() {
        return model.refuse("a rollback is already running");
    }
    if run.started_at.is_none() {
        return model.refuse("nothing has started yet, so there is nothing to roll back");
    }
    if let Some(why) = run.procedure_lacks(procedure) {
        return model.refuse(why);
    }
    if model.looks_only() {
        return model.refuse("this screen only watches");
    }
    let form = RollbackForm::new(run, Some(procedure.id.clone()), model.now, |metric| latest(model, metric));
    model.layers.push(Layer::Rollback(Box::new(form)));
}

/// `q`: leave at once where that pauses nothing, else ask.
pub(super) fn open_quit(model: &mut Model, effects: &mut Vec<Effect>) {
    if super::is_active(model) {
        model.layers.push(Layer::Form(Box::new(Form::choosing(Purpose::Quit, 1))));
        return;
    }
    if model.run.as_ref().is_some_and(|run| run.finished.is_some()) && !model.looks_only() {
        effects.push(Effect::Send(Command::Close));
    }
    effects.push(Effect::Leave);
}

/// A question for starting a step or an action, by how much it wants.
pub(super) fn confirm(model: &mut Model, purpose: Purpose, confirm: Confirm, effects: &mut Vec<Effect>) {
    match confirm {
        Confirm::None => {
            let command = model.run.as_ref().and_then(|run| Form::choosing(purpose, 0).command(run));
            if let Some(command) = command {
                send(model, command, effects);
            }
        }
        Confirm::Twice => open(model, Form::choosing(purpose, 0)),
        Confirm::Type => open(model, Form::typing(purpose, "")),
    }
}

/// Scrolls the dialog, as far as it has lines; whether that is what the key does.
fn scroll(model: &mut Model, action: Option<KeyAction>) -> bool {
    let down = match action {
        Some(KeyAction::PageDown) => true,
        Some(KeyAction::PageUp) => false,
        _ => return false,
    };
    let end = view::dialog_end(model);
    let place = match model.layers.last_mut() {
        Some(Layer::Form(form)) => &mut form.scroll,
        Some(Layer::Rollback(form)) => &mut form.scroll,
        _ => return false,
    };
    *place = scrolled(*place, down, end);
    true
}

/// A key in a question.
pub(super) fn on_key(model: &mut Model, key: Key, action: Option<KeyAction>, effects: &mut Vec<Effect>) {
    if scroll(model, action) {
        return;
    }
    let Some(Layer::Form(form)) = model.layers.last_mut() else { return };
    if matches!(form.purpose, Purpose::Incident(_)) {
        return on_incident_key(model, key, action, effects);
    }
    if form.is_typing() {
        match action {
            Some(KeyAction::Confirm) => accept(model, effects),
            Some(KeyAction::Back) => back(model),
            _ => {
                if let Some(input) = &mut form.input {
                    text::edit(input, key);
                }
                form.fault = None;
            }
        }
        return;
    }
    let choices = offer::choices(&form.purpose);
    match action {
        Some(KeyAction::Back) => back(model),
        Some(KeyAction::No) if choices == 2 => match form.purpose {
            Purpose::Decide { .. } => {
                form.choice = 1;
                accept(model, effects);
            }
            _ => back(model),
        },
        Some(KeyAction::Yes) if choices == 2 => {
            form.choice = 0;
            form.pressed = 1;
            accept(model, effects);
        }
        Some(KeyAction::Up | KeyAction::Left | KeyAction::PreviousField) => {
            form.choice = moved(form.choice, -1, choices);
        }
        Some(KeyAction::Down | KeyAction::Right | KeyAction::NextField) => {
            form.choice = moved(form.choice, 1, choices);
        }
        Some(KeyAction::Confirm) => accept(model, effects),
        _ => {}
    }
}

/// Esc. A question of the opening is put aside, and Enter brings it back.
fn back(model: &mut Model) {
    model.aside =
        model.prompt().filter(|prompt| matches!(prompt, Prompt::Ask { .. } | Prompt::Decide { .. }));
    model.layers.pop();
}

fn accept(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(run) = &model.run else { return };
    let Some(Layer::Form(form)) = model.layers.last_mut() else { return };
    if let Some(fault) = fault(form, run) {
        form.fault = Some(fault);
        return;
    }
    let twice = matches!(
        form.purpose,
        Purpose::Start { confirm: Confirm::Twice, .. } | Purpose::Proceed { confirm: Confirm::Twice, .. }
    );
    if twice && form.pressed == 0 {
        form.pressed = 1;
        return;
    }
    let declined = form.input.is_none()
        && form.choice == 1
        && !matches!(form.purpose, Purpose::Decide { .. } | Purpose::Resolve { .. });
    if declined {
        model.layers.pop();
        return;
    }
    match form.purpose {
        Purpose::Quit => return effects.push(Effect::Leave),
        Purpose::Resolve { .. } if form.choice == RESOLUTIONS.len() => {
            model.layers.pop();
            return open_rollback(model);
        }
        _ => {}
    }
    let command = form.command(run);
    // The opening's questions stay until the engine has taken the answer: it may refuse it.
    if !matches!(form.purpose, Purpose::Ask { .. } | Purpose::Decide { .. }) {
        model.layers.pop();
    }
    if let Some(command) = command {
        send(model, command, effects);
    }
}

/// The fault in an answer, as far as the screen can tell.
fn fault(form: &Form, run: &Run) -> Option<String> {
    if form.needs_text() && form.text().is_empty() {
        return Some("this field can't be empty".to_owned());
    }
    match form.word() {
        Some(word) if !form.text().eq_ignore_ascii_case(word.trim()) => {
            Some(format!("type the word shown: {word}"))
        }
        _ => None,
    }
    .filter(|_| run.finished.is_none())
}

/// The incident's fields: level and status are chosen, title and impact typed.
fn on_incident_key(model: &mut Model, key: Key, action: Option<KeyAction>, effects: &mut Vec<Effect>) {
    let levels = model
        .run
        .as_ref()
        .and_then(|run| run.runbook.incident.as_ref())
        .map_or(0, |incident| incident.levels.len());
    let Some(Layer::Form(form)) = model.layers.last_mut() else { return };
    form.keep_draft();
    let Purpose::Incident(draft) = &form.purpose else { return };
    let mut draft: IncidentDraft = (**draft).clone();
    let step = match action {
        Some(KeyAction::Back) => {
            model.layers.pop();
            return;
        }
        Some(KeyAction::NextField | KeyAction::Down) => 1,
        Some(KeyAction::PreviousField | KeyAction::Up) => -1,
        Some(KeyAction::Confirm) if draft.field < 3 => 1,
        Some(KeyAction::Confirm) if draft.title.trim().is_empty() => {
            form.fault = Some("say in a few words what is broken".to_owned());
            draft.field = 1;
            return form.edit_incident(draft);
        }
        Some(KeyAction::Confirm) => {
            let command = model.run.as_ref().and_then(|run| form.command(run));
            model.layers.pop();
            if let Some(command) = command {
                send(model, command, effects);
            }
            return;
        }
        Some(action @ (KeyAction::Left | KeyAction::Right)) if !form.is_typing() => {
            let by = if action == KeyAction::Left { -1 } else { 1 };
            match draft.field {
                0 => draft.level = moved(draft.level, by, levels),
                _ => draft.status = moved(draft.status, by, STATUSES.len()),
            }
            return form.edit_incident(draft);
        }
        _ => {
            if let Some(input) = &mut form.input {
                text::edit(input, key);
            }
            form.fault = None;
            return form.keep_draft();
        }
    };
    draft.field = moved(draft.field, step, 4);
    form.edit_incident(draft);
}

/// A key in the rollback dialog.
pub(super) fn on_rollback_key(
    model: &mut Model,
    key: Key,
    action: Option<KeyAction>,
    effects: &mut Vec<Effect>,
) {
    if scroll(model, action) {
        return;
    }
    let Some(Layer::Rollback(form)) = model.layers.last_mut() else { return };
    let last = form.reasons.len();
    let closes = match action {
        Some(KeyAction::Back) => true,
        Some(KeyAction::No) => !form.is_typing(),
        Some(KeyAction::Confirm) => form.focus == RollbackFocus::Cancel,
        _ => false,
    };
    if closes {
        model.layers.pop();
        return;
    }
    match (form.focus, action) {
        (_, Some(KeyAction::NextField)) | (RollbackFocus::Word, Some(KeyAction::Down)) => {
            next_field(form, true);
        }
        (_, Some(KeyAction::PreviousField))
        | (RollbackFocus::Word | RollbackFocus::Cancel | RollbackFocus::Go, Some(KeyAction::Up)) => {
            next_field(form, false);
        }
        // The text fields: arrows still choose, Enter goes on to the next part.
        (RollbackFocus::Reasons | RollbackFocus::Other, Some(action @ (KeyAction::Up | KeyAction::Down))) => {
            form.reason = moved(form.reason, if action == KeyAction::Up { -1 } else { 1 }, last + 1);
            form.focus = if form.reason == last { RollbackFocus::Other } else { RollbackFocus::Reasons };
            form.fault = None;
        }
        (RollbackFocus::Other, Some(KeyAction::Confirm)) => {
            form.focus = if form.word.is_some() { RollbackFocus::Word } else { RollbackFocus::Go };
        }
        (RollbackFocus::Word, Some(KeyAction::Confirm)) => match form.command() {
            Ok(_) => form.focus = RollbackFocus::Go,
            Err(why) => form.fault = Some(why),
        },
        (RollbackFocus::Other, _) => text::edit(&mut form.other, key),
        (RollbackFocus::Word, _) => {
            text::edit(&mut form.typed, key);
            form.fault = None;
        }
        // `y` is the quick way; where a word is asked for, only the button does.
        (RollbackFocus::Reasons | RollbackFocus::Cancel | RollbackFocus::Go, Some(KeyAction::Yes))
            if form.word.is_none() =>
        {
            roll_back(model, effects);
        }
        (RollbackFocus::Go, Some(KeyAction::Confirm)) => roll_back(model, effects),
        // Enter on a reason goes to the buttons, and there to the one that does nothing.
        (RollbackFocus::Reasons, Some(KeyAction::Confirm)) => form.focus = RollbackFocus::Cancel,
        (RollbackFocus::Cancel | RollbackFocus::Go, Some(KeyAction::Left | KeyAction::Right)) => {
            form.focus =
                if form.focus == RollbackFocus::Go { RollbackFocus::Cancel } else { RollbackFocus::Go };
        }
        _ => {}
    }
}

fn next_field(form: &mut RollbackForm, forward: bool) {
    let reasons =
        if form.reason == form.reasons.len() { RollbackFocus::Other } else { RollbackFocus::Reasons };
    let mut order = vec![reasons];
    if form.word.is_some() {
        order.push(RollbackFocus::Word);
    }
    order.extend([RollbackFocus::Cancel, RollbackFocus::Go]);
    let at = order.iter().position(|focus| *focus == form.focus).unwrap_or(0);
    let len = order.len();
    form.focus = order[(at + if forward { 1 } else { len - 1 }) % len];
}

fn roll_back(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Layer::Rollback(form)) = model.layers.last_mut() else { return };
    match form.command() {
        Ok(command) => {
            model.layers.pop();
            send(model, command, effects);
        }
        Err(why) => {
            form.fault = Some(why);
            form.focus = if form.word.is_some() { RollbackFocus::Word } else { RollbackFocus::Other };
        }
    }
}
