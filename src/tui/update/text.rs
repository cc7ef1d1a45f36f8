//! Typing into fields.

use tui_input::{Input, InputRequest};

use crate::{
    config::keymap::{Key, KeyCode},
    tui::model::{
        Layer, Model,
        form::{Purpose, RollbackFocus},
    },
};

/// The longest text that a field takes, in characters. A reason a page long helps nobody.
const LONGEST: usize = 500;

/// An editing key.
pub(super) fn edit(input: &mut Input, key: Key) {
    let request = match key {
        Key { code: KeyCode::Char(c), ctrl: false } if input.value().chars().count() < LONGEST => {
            InputRequest::InsertChar(c)
        }
        Key { code: KeyCode::Backspace, ctrl: false } => InputRequest::DeletePrevChar,
        Key { code: KeyCode::Delete, ctrl: false } => InputRequest::DeleteNextChar,
        Key { code: KeyCode::Left, ctrl: false } => InputRequest::GoToPrevChar,
        Key { code: KeyCode::Right, ctrl: false } => InputRequest::GoToNextChar,
        Key { code: KeyCode::Left, ctrl: true } => InputRequest::GoToPrevWord,
        Key { code: KeyCode::Right, ctrl: true } => InputRequest::GoToNextWord,
        Key { code: KeyCode::Home, .. } | Key { code: KeyCode::Char('a'), ctrl: true } => {
            InputRequest::GoToStart
        }
        Key { code: KeyCode::End, .. } | Key { code: KeyCode::Char('e'), ctrl: true } => {
            InputRequest::GoToEnd
        }
        Key { code: KeyCode::Char('w'), ctrl: true } => InputRequest::DeletePrevWord,
        Key { code: KeyCode::Char('u'), ctrl: true } => InputRequest::DeleteLine,
        Key { code: KeyCode::Char('k'), ctrl: true } => InputRequest::DeleteTillEnd,
        _ => return,
    };
    input.handle(request);
}

/// A paste goes into the field that is typed into, as one line, and does nothing else: no line end in it confirms.
pub(super) fn paste(model: &mut Model, text: &str) {
    let typed_word = match model.layers.last() {
        Some(Layer::Form(form)) => form.word().is_some(),
        Some(Layer::Rollback(form)) => form.focus == RollbackFocus::Word,
        _ => false,
    };
    if typed_word {
        model.refuse("type this word by hand: pasting it is off");
        return;
    }
    let Some(input) = field(model) else {
        model.refuse("you can only paste into a text field");
        return;
    };
    let mut insert = |c: char| {
        if input.value().chars().count() < LONGEST {
            input.handle(InputRequest::InsertChar(c));
        }
    };
    for c in text.trim_end_matches(['\r', '\n']).chars() {
        insert(if matches!(c, '\r' | '\n' | '\t') { ' ' } else { c });
    }
    if let Some(Layer::Form(form)) = model.layers.last_mut() {
        form.fault = None;
        form.keep_draft();
    }
}

fn field(model: &mut Model) -> Option<&mut Input> {
    match model.layers.last_mut()? {
        Layer::Form(form) if matches!(form.purpose, Purpose::Incident(_)) && !form.is_typing() => None,
        Layer::Form(form) => form.input.as_mut(),
        Layer::Rollback(form) => match form.focus {
            RollbackFocus::Other => Some(&mut form.other),
            RollbackFocus::Word => Some(&mut form.typed),
            _ => None,
        },
        Layer::Command(input) | Layer::Search(input) => Some(input),
        Layer::Page(_) => None,
    }
}
