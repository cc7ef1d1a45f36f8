//! Rows that are more than fit.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    model::Model,
    widget::{list::around, row::Row},
};

/// Draws rows around the one that must be seen, with a mark where some are hidden.
pub(super) fn rows_around(rows: Vec<Row>, focus: usize, area: Rect, model: &Model, buffer: &mut Buffer) {
    let first = around(rows.len(), usize::from(area.height), focus);
    rows_from(rows, first, area, model, buffer);
}

/// Draws rows from one on, or the last ones that fill the area: where a key scrolls line by line.
pub(super) fn rows_from(rows: Vec<Row>, first: usize, area: Rect, model: &Model, buffer: &mut Buffer) {
    let height = usize::from(area.height);
    let width = usize::from(area.width);
    let first = first.min(rows.len().saturating_sub(height));
    let below = rows.len().saturating_sub(first + height);
    let last = height.saturating_sub(1);
    for (n, row) in rows.into_iter().skip(first).take(height).enumerate() {
        let (mark, others) = match n {
            0 if first > 0 => ("↑", first),
            _ if n == last && below > 0 => ("↓", below),
            _ => ("", 0),
        };
        let row = if others == 0 { row } else { marked(row, mark, others, width, model) };
        row.draw(Rect { y: area.y + u16::try_from(n).unwrap_or(0), height: 1, ..area }, buffer);
    }
}

/// A line with the number of those beyond it at its end.
fn marked(row: Row, mark: &str, others: usize, width: usize, model: &Model) -> Row {
    // On a narrow pane the words would leave nothing of the line itself.
    let words = if width < 30 { "" } else { " more" };
    row.right(Row::of(format!(" {mark} {others}{words} "), model.look.dim()), width)
}
