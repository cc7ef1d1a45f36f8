//! A search while it is typed: it begins in the page that is open, else in the pane that has the keys.

use crate::{
    config::keymap::{Key, KeyAction},
    tui::model::{Layer, Model},
};

use super::{page, panes, text};

/// A key while a search is typed.
pub(super) fn on_key(model: &mut Model, key: Key, action: Option<KeyAction>) {
    let Some(Layer::Search(input)) = model.layers.last_mut() else { return };
    match action {
        Some(KeyAction::Back) => {
            model.layers.pop();
        }
        Some(KeyAction::Confirm) => {
            let pattern = input.value().trim().to_owned();
            model.layers.pop();
            let pattern = (!pattern.is_empty()).then_some(pattern);
            if let Some(open) = page::top(model) {
                let found = pattern.is_some();
                open.search = pattern;
                if found {
                    page::search(model, true);
                }
            } else {
                model.cursor.search = pattern;
                panes::search(model, true);
            }
        }
        _ => text::edit(input, key),
    }
}
