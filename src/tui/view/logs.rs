//! The log of the slot that matters now, as a pane of large screens.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{model::Model, pages, subject, widget::row::Row};

pub(super) fn pane_title(model: &Model) -> (String, Option<Row>) {
    let slot = subject::watched_slot(model).map_or_else(String::new, |slot| slot.0.to_uppercase());
    (format!("Log of {slot}"), None)
}

pub(super) fn draw_pane(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(slot) = subject::watched_slot(model) else { return };
    let rows = pages::log_rows(model, &slot, None, usize::from(area.width));
    let height = usize::from(area.height);
    let last = rows.len().saturating_sub(height);
    let first = last.saturating_sub(model.cursor.logs);
    for (y, row) in (area.y..area.bottom()).zip(rows.into_iter().skip(first)) {
        row.fit(usize::from(area.width)).draw(Rect { y, height: 1, ..area }, buffer);
    }
}
