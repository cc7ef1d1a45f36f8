//! A box over the panes. The lines above it (who drives, where traffic is) stay visible: it never covers them.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    widgets::{Clear, Widget},
};

use super::{list, row::Row};

/// What a dialog shows.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Its question or name.
    pub title: String,
    /// Lines that scroll where there is no room for all.
    pub rows: Vec<Row>,
    /// The line that must be seen.
    pub focus: usize,
    /// Lines at the bottom that always are: buttons, warnings.
    pub foot: Vec<Row>,
    /// Columns it would like to have inside.
    pub width: usize,
}

/// With so many columns to spare the panes stay visible around it.
const ROOM: u16 = 40;

/// Draws it in the middle of `area` and gives back where the rows are: the area and the first visible row.
pub fn draw(
    content: Content,
    area: Rect,
    frame_style: Style,
    title_style: Style,
    buffer: &mut Buffer,
) -> (Rect, usize) {
    let area = area.intersection(buffer.area);
    let to16 = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    let width = to16(content.width.saturating_add(4)).min(area.width);
    let height = to16(content.rows.len() + content.foot.len() + 2).min(area.height);
    let outer =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    if area.width < outer.width + ROOM {
        // Shreds of panes on both sides are noise.
        Clear.render(area, buffer);
    } else {
        buffer.set_style(area, Style::new().add_modifier(Modifier::DIM));
        Clear.render(outer, buffer);
    }
    edges(outer, &content.title, frame_style, title_style, buffer);
    let inner = Rect {
        x: outer.x.saturating_add(2),
        y: outer.y.saturating_add(1),
        width: outer.width.saturating_sub(4),
        height: outer.height.saturating_sub(2),
    };
    let foot = to16(content.foot.len()).min(inner.height);
    let body = Rect { height: inner.height - foot, ..inner };
    let first = list::around(content.rows.len(), usize::from(body.height), content.focus);
    let below = content.rows.len().saturating_sub(first + usize::from(body.height));
    for (y, row) in (body.y..body.bottom()).zip(content.rows.into_iter().skip(first)) {
        row.draw(Rect { y, height: 1, ..body }, buffer);
    }
    if below > 0 && body.height > 0 {
        // Nobody must think that this was all.
        let mark = Row::of(format!(" ↓ {below} more"), title_style);
        let width = to16(mark.width()).min(body.width);
        mark.draw(Rect { x: body.right() - width, y: body.bottom() - 1, width, height: 1 }, buffer);
    }
    for (y, row) in (body.bottom()..inner.bottom()).zip(content.foot) {
        row.draw(Rect { y, height: 1, ..inner }, buffer);
    }
    (body, first)
}

fn edges(outer: Rect, title: &str, style: Style, title_style: Style, buffer: &mut Buffer) {
    if outer.width < 2 || outer.height < 2 {
        return;
    }
    let across = usize::from(outer.width - 2);
    let line = |y| Rect { y, height: 1, ..outer };
    Row::of("┏", style).put("━".repeat(across), style).put("┓", style).draw(line(outer.y), buffer);
    Row::of("┗", style).put("━".repeat(across), style).put("┛", style).draw(line(outer.bottom() - 1), buffer);
    for y in outer.y + 1..outer.bottom() - 1 {
        Row::of("┃", style).draw(line(y), buffer);
        Row::of("┃", style).draw(Rect { x: outer.right() - 1, y, width: 1, height: 1 }, buffer);
    }
    let room = Rect { x: outer.x + 2, y: outer.y, width: outer.width.saturating_sub(4), height: 1 };
    Row::of(format!(" {title} "), title_style).draw(room, buffer);
}
