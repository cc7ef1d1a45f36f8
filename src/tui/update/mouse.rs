//! The mouse, where its user wants it: it selects a pane and scrolls. It never acts on anything.

use ratatui::layout::{Position, Rect};

use crate::tui::{
    input::{Mouse, MouseDoes},
    layout,
    model::{Layer, Model, Pane},
};

use super::{page, panes};

/// Lines that a notch of the wheel moves.
const NOTCH: isize = 3;

pub(super) fn on_mouse(model: &mut Model, mouse: Mouse) {
    let by = match mouse.does {
        MouseDoes::Click => None,
        MouseDoes::WheelUp => Some(-1),
        MouseDoes::WheelDown => Some(1),
    };
    match (model.layers.last(), by) {
        (None, None) => {
            if let Some(pane) = pane_at(model, mouse) {
                model.cursor.focus = pane;
            }
        }
        (None, Some(by)) => {
            let Some(pane) = pane_at(model, mouse) else { return };
            model.cursor.focus = pane;
            // Where lines are selected, one after the other: three would pass over what one wants.
            let notch = if matches!(pane, Pane::Detail | Pane::Logs) { NOTCH } else { 1 };
            panes::move_by(model, by * notch);
        }
        (Some(Layer::Page(shown)), Some(by)) => {
            let notch = if shown.selects() { 1 } else { NOTCH };
            page::scroll(model, by * notch);
        }
        (Some(_), _) => {}
    }
}

fn pane_at(model: &Model, mouse: Mouse) -> Option<Pane> {
    let (width, height) = model.size;
    if layout::is_tiny(model.size) {
        return None;
    }
    let body = layout::layout(model, Rect::new(0, 0, width, height)).body;
    let at = Position { x: mouse.column, y: mouse.row };
    layout::split(model, body).places.into_iter().find(|(_, place)| place.contains(at)).map(|(pane, _)| pane)
}
