//! Rules with titles, and the lines between panes. One column between neighbours, none around: at 80 columns frames
//! would cost what the text needs.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::row::Row;

/// A horizontal rule over the whole width.
pub fn rule(area: Rect, y: u16, style: Style, buffer: &mut Buffer) {
    let line = Rect { y, height: 1, ..area };
    Row::of("─".repeat(usize::from(area.width)), style).draw(line, buffer);
}

/// A pane's title in the rule above it: `─ Title ───`. The focused one is marked by a sign, not by colour alone.
pub fn title(
    area: Rect,
    name: &str,
    note: Option<&Row>,
    focused: bool,
    styles: (Style, Style),
    buffer: &mut Buffer,
) {
    let (rule, title) = styles;
    let width = usize::from(area.width);
    if width < 4 {
        return;
    }
    let sign = if focused { "▸" } else { " " };
    let mut row = Row::of("─", rule).put(sign, title).put(name, title).put(" ", title);
    if let Some(note) = note {
        row = row.fit(width.saturating_sub(note.width() + 3));
        let dashes = width.saturating_sub(row.width() + note.width() + 3);
        row = row.put("─".repeat(dashes), rule).put(" ", rule).join(note.clone()).put(" ─", rule);
    }
    row.fit(width).draw(Rect { height: 1, ..area }, buffer);
}

/// A vertical line at `x` from `top` to `bottom` (exclusive), joined to the rules it meets.
pub fn divider(x: u16, top: u16, bottom: u16, style: Style, buffer: &mut Buffer) {
    for y in top..bottom {
        join(x, y, "│", style, buffer);
    }
    if let Some(above) = top.checked_sub(1) {
        join(x, above, "┬", style, buffer);
    }
    join(x, bottom, "┴", style, buffer);
}

/// Puts a line's character, joined with what is there.
fn join(x: u16, y: u16, new: &str, style: Style, buffer: &mut Buffer) {
    let Some(cell) = buffer.cell_mut((x, y)) else { return };
    let joined = match (cell.symbol(), new) {
        ("┬", "┴") | ("┴", "┬") => "┼",
        ("─", "┬" | "┴") | (_, "│") => new,
        // Where a title stands in the way, the title wins.
        _ => return,
    };
    cell.set_symbol(joined).set_style(style);
}
