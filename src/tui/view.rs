//! Drawing: a pure function of the model. Decides nothing, remembers nothing.
//!
//! ```text
//! band      service, environment in its colour or REHEARSAL, cluster, who has control
//! strip     checklist and steps, the one that is due in capitals
//! clock     how long it runs and when it ends, the first metric, from → to, the worst state in words
//! traffic   the slots: version, pods, which one has traffic; the readiness light beside them
//! alert     the worst problem, if there is one
//! body      panes, a page, or a dialog over them
//! rule      said once
//! next      what the next keys do, in words, ENTER first
//! footer    the other keys
//! ```

mod body;
mod charts;
mod checklist;
mod checks;
mod detail;
mod elapsed;
mod foreign;
mod form;
mod header;
mod keys;
mod logs;
mod metrics;
mod missing;
mod over;
mod page;
mod pods;
mod rollback;
mod rollback_form;
mod rows;
mod steps;
mod table;
mod tiny;
mod traffic;
mod window;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget},
};
use unicode_width::UnicodeWidthStr as _;

use super::{
    layout::{self, Layout},
    model::{Layer, Model, Toast},
    widget::{
        panes,
        row::{Row, wrap},
    },
};

/// The screen as it is seen, as text, headed by the run and the time.
pub fn text(model: &Model) -> String {
    let (width, height) = model.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    draw(model, &mut buffer);
    let run = model.run.as_ref().map_or("", |run| run.opened.run_id.0.as_str());
    format!("cutover run {run} at {}\n\n{}\n", model.now, text_of(&buffer))
}

/// A buffer as lines without their blank ends.
pub fn text_of(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let lines = buffer.content.chunks(width).map(|line| {
        let mut text = String::new();
        let mut skip = 0;
        for cell in line {
            // A wide character takes the cells behind its own.
            if skip > 0 {
                skip -= 1;
                continue;
            }
            text.push_str(cell.symbol());
            skip = cell.symbol().width().saturating_sub(1);
        }
        text.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Draws a whole frame.
pub fn draw(model: &Model, buffer: &mut Buffer) {
    let area = buffer.area;
    if area.is_empty() {
        return;
    }
    if layout::is_tiny((area.width, area.height)) {
        tiny::draw(model, area, buffer);
    } else {
        draw_all(model, area, buffer);
    }
    model.look.finish(buffer);
}

/// The worst of everything measured or missing, in a word or two: shown at the right of the clock.
pub fn state(model: &Model) -> String {
    header::state_words(model).text()
}

fn draw_all(model: &Model, area: Rect, buffer: &mut Buffer) {
    let places = layout::layout(model, area);
    header::draw(model, &places, buffer);
    traffic::draw(model, places.traffic, buffer);
    header::alert(model, area, places.alert, buffer);
    match model.page() {
        Some(shown) => page::draw(model, shown, places.body, buffer),
        None => body::draw(model, places.body, buffer),
    }
    draw_dialog(model, dialog_area(&places), buffer);
    foot(model, &places, buffer);
}

/// Where dialogs go.
fn dialog_area(places: &Layout) -> Rect {
    // On low screens a dialog may cover the alert: it is what the alert has asked for.
    if places.body.height < 10 {
        let y = places.alert.y;
        Rect { y, height: places.body.bottom() - y, ..places.body }
    } else {
        places.body
    }
}

fn draw_dialog(model: &Model, area: Rect, buffer: &mut Buffer) {
    match model.layers.last() {
        Some(Layer::Form(shown)) => form::draw(model, shown, area, buffer),
        Some(Layer::Rollback(shown)) => rollback_form::draw(model, shown, area, buffer),
        _ => {}
    }
}

/// How far the dialog on top can be scrolled on this screen.
pub fn dialog_end(model: &Model) -> usize {
    let (width, height) = model.size;
    let screen = Rect::new(0, 0, width, height);
    let area = if layout::is_tiny(model.size) {
        tiny::dialog_area(screen)
    } else {
        dialog_area(&layout::layout(model, screen))
    };
    let content = match model.layers.last() {
        Some(Layer::Form(shown)) => form::content(model, shown, area),
        Some(Layer::Rollback(shown)) => rollback_form::content(model, shown, area),
        _ => None,
    };
    content.map_or(0, |content| content.end(area))
}

/// A one-time message is shown whole, paths above all: what does not fit into the rule continues above it.
fn draw_toast(model: &Model, toast: &Toast, places: &Layout, buffer: &mut Buffer) {
    const MOST: usize = 4;
    let look = model.look;
    let width = usize::from(places.rule.width);
    let style = if toast.refused { look.warn() } else { look.strong() };
    let sign = if toast.refused { "! not done: " } else { "" };
    let mut lines = wrap(&format!("{sign}{}", toast.text), width.saturating_sub(2));
    lines.truncate(MOST.min(usize::from(places.body.height)));
    let above = u16::try_from(lines.len().saturating_sub(1)).unwrap_or(0);
    for (y, line) in (places.rule.y.saturating_sub(above)..).zip(lines) {
        let place = Rect { y, ..places.rule };
        Clear.render(place, buffer);
        Row::of(" ", style).put(line, style).fit(width).draw(place, buffer);
    }
}

fn foot(model: &Model, places: &Layout, buffer: &mut Buffer) {
    let look = model.look;
    match &model.toast {
        Some(toast) => draw_toast(model, toast, places, buffer),
        None => panes::rule(places.rule, places.rule.y, look.rule(), buffer),
    }
    keys::draw(model, places.next, places.footer, buffer);
}
