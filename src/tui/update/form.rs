//! Questions: opening them, answering them, dropping those that nobody asks any more.

use crate::{
    config::keymap::{Key, KeyAction},
    domain::{
        action::Confirm,
        id::ProcedureId,
        message::Command,
        plan::{QUICK, UNDO},
        prompt::Prompt,
        run::Run,
    },
    tui::{
        model::{
            Layer, Model,
            form::{Form, IncidentDraft, Purpose, RESOLUTIONS, RollbackFocus, RollbackForm, STATUSES},
        },
        msg::Effect,
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
        model.say("things have moved on: that question is not open any more");
    }
}

/// `R`: what a rollback would do now, and the reasons.
pub(super) fn open_rollback(model: &mut Model) {
    let Some(run) = &model.run else { return };
    if matches!(model.layers.last(), Some(Layer::Rollback(_))) {
        return;
    }
    if let Some(rollback) = run.rolling_back() {
        let (retry, give_up) = (model.key(KeyAction::Retry), model.key(KeyAction::CancelCountdown));
        let words = match rollback.stopped {
            Some(_) => format!("the rollback has stopped: {retry} tries it again, {give_up} gives it up"),
            None => "a rollback is running already".to_owned(),
        };
        return model.say(words);
    }
    if !run.can_roll_back() {
        let left = run.rollback_plan(model.telemetry.workload.as_ref(), model.now).not_undone;
        return match left.into_iter().next().filter(|_| run.rollbacks.is_empty()) {
            Some(left) => model.say(format!("there is nothing to roll back that loses nothing: {left}")),
            None => model.say("there is nothing to roll back: no step has changed anything"),
        };
    }
    if model.looks_only() {
        return model.refuse("this screen only watches");
    }
    let form = RollbackForm::new(run, None);
    model.layers.push(Layer::Rollback(Box::new(form)));
}

/// `D`, or `:rollback NAME`: a procedure of its own.
pub(super) fn open_procedure(model: &mut Model, name: Option<&str>) {
    let Some(run) = &model.run else { return };
    let own = |id: &ProcedureId| id.as_str() != QUICK && id.as_str() != UNDO;
    let found = match name {
        Some(name) => run.runbook.procedure(name),
        None => run.runbook.rollbacks.iter().find(|procedure| own(&procedure.id)),
    };
    let Some(id) = found.map(|procedure| procedure.id.clone()) else {
        return model.say("the runbook has no such rollback");
    };
    if run.rolling_back().is_some() {
        return model.say("a rollback is running already");
    }
    if run.started_at.is_none() {
        return model.say("nothing has been started that could be rolled back");
    }
    if let Some(why) = run.runbook.procedure(id.as_str()).and_then(|procedure| run.procedure_lacks(procedure))
    {
        return model.say(why);
    }
    if model.looks_only() {
        return model.refuse("this screen only watches");
    }
    let form = RollbackForm::new(run, Some(id));
    model.layers.push(Layer::Rollback(Box::new(form)));
}

/// `p`: hold, or go on.
pub(super) fn open_hold(model: &mut Model) {
    let Some(run) = &model.run else { return };
    if run.finished.is_some() {
        return model.say("the run has ended");
    }
    let form = if run.held.is_some() && !run.is_undoing_steps() {
        Form::choosing(Purpose::Continue, 0)
    } else {
        Form::typing(Purpose::Hold, "")
    };
    open(model, form);
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

/// A key in a question.
pub(super) fn on_key(model: &mut Model, key: Key, action: Option<KeyAction>, effects: &mut Vec<Effect>) {
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
    let choices = choices(&form.purpose);
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

/// How many buttons or choices a question has.
pub(crate) fn choices(purpose: &Purpose) -> usize {
    match purpose {
        // The resolutions, and a rollback instead.
        Purpose::Resolve { .. } => RESOLUTIONS.len() + 1,
        Purpose::Start { confirm: Confirm::Twice, .. } | Purpose::Proceed { confirm: Confirm::Twice, .. } => {
            1
        }
        _ => 2,
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

/// What is wrong with an answer, as far as the screen can tell.
fn fault(form: &Form, run: &Run) -> Option<String> {
    if form.needs_text() && form.text().is_empty() {
        return Some("something must be written here".to_owned());
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
