//! A box over the panes. It never covers the lines above it (who has control, where traffic is). What it
//! does cover is dimmed.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    widgets::{Clear, Widget},
};

use super::{list, row::Row};
use crate::tui::style::Look;

/// What a dialog shows.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Its title.
    pub title: String,
    /// Lines that scroll if there is no room for all.
    pub rows: Vec<Row>,
    /// The line that must be seen.
    pub focus: usize,
    /// How far somebody has scrolled down from there.
    pub scroll: usize,
    /// The keys that scroll, shown if there is no room for all.
    pub keys: String,
    /// Lines at the bottom that are always shown: buttons, warnings.
    pub foot: Vec<Row>,
    /// Preferred columns inside.
    pub width: usize,
}

impl Content {
    /// How far it can be scrolled down in such an area.
    pub fn end(&self, area: Rect) -> usize {
        let inside = usize::from(self.height(area).saturating_sub(2));
        let height = inside - self.foot.len().min(inside);
        let last = self.rows.len().saturating_sub(height);
        last.saturating_sub(list::around(self.rows.len(), height, self.focus))
    }

    /// The lines of its box, edges included.
    fn height(&self, area: Rect) -> u16 {
        to16(self.rows.len() + self.foot.len() + 2).min(area.height)
    }
}

fn to16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// With this many columns to spare the panes stay visible around it.
const ROOM: u16 = 40;

/// Draws it in the middle of `area`.
pub fn draw(
    content: Content,
    area: Rect,
    look: Look,
    (frame_style, title_style): (Style, Style),
    buffer: &mut Buffer,
) {
    let area = area.intersection(buffer.area);
    let width = to16(content.width.saturating_add(4)).min(area.width);
    let height = content.height(area);
    let outer =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    look.recede(area, buffer);
    // Shreds of panes beside it are noise.
    let covered =
        if area.width < outer.width + ROOM { Rect { x: area.x, width: area.width, ..outer } } else { outer };
    Clear.render(covered, buffer);
    edges(outer, &content.title, frame_style, title_style, buffer);
    let inner = Rect {
        x: outer.x.saturating_add(2),
        y: outer.y.saturating_add(1),
        width: outer.width.saturating_sub(4),
        height: outer.height.saturating_sub(2),
    };
    let foot = to16(content.foot.len()).min(inner.height);
    let body = Rect { height: inner.height - foot, ..inner };
    let height = usize::from(body.height);
    let last = content.rows.len().saturating_sub(height);
    let first =
        list::around(content.rows.len(), height, content.focus).saturating_add(content.scroll).min(last);
    let below = last - first;
    for (y, row) in (body.y..body.bottom()).zip(content.rows.into_iter().skip(first)) {
        row.draw(Rect { y, height: 1, ..body }, buffer);
    }
    // Nobody must think that this was all. In the edges, where it hides nothing.
    let mut mark = |y: u16, text: String| {
        let mark = Row::of(text, title_style);
        let width = to16(mark.width()).min(outer.width.saturating_sub(4));
        mark.draw(Rect { x: outer.right().saturating_sub(width + 2), y, width, height: 1 }, buffer);
    };
    if first > 0 {
        mark(outer.y, format!(" ↑ {first} above, {} ", content.keys));
    }
    if below > 0 {
        mark(outer.bottom().saturating_sub(1), format!(" ↓ {below} more, {} ", content.keys));
    }
    for (y, row) in (body.bottom()..inner.bottom()).zip(content.foot) {
        row.draw(Rect { y, height: 1, ..inner }, buffer);
    }
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
