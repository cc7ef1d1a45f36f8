//! Drawing: a pure function of the model. Decides nothing, remembers nothing.
//!
//! ```text
//! band      service, environment in its colour, cluster, LIVE / READ-ONLY / REHEARSAL, pilot
//! strip     checklist and steps, the one that is due in capitals
//! clock     elapsed of expected, from → to, the first metric, the state in words
//! traffic   the slots: version, pods, which one has traffic; the readiness light beside them
//! alert     what is wrong, worst first (only where something is)
//! body      panes, a page, or a dialog over them
//! rule      said once
//! next      what the next key does, in words
//! footer    keys
//! ```

mod body;
mod checklist;
mod checks;
mod detail;
mod footer;
mod foreign;
mod form;
mod header;
mod logs;
mod metrics;
mod over;
mod page;
mod pods;
mod rollback;
mod rollback_form;
mod steps;
mod tiny;
mod traffic;
mod window;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget},
};

use super::{
    layout::{self, Layout},
    model::{Layer, Model},
    next,
    widget::{panes, row::Row},
};

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

fn draw_all(model: &Model, area: Rect, buffer: &mut Buffer) {
    let places = layout::layout(model, area);
    header::draw(model, &places, buffer);
    traffic::draw(model, places.traffic, buffer);
    header::alert(model, places.alert, buffer);
    match model.page() {
        Some(shown) => page::draw(model, shown, places.body, buffer),
        None => body::draw(model, places.body, buffer),
    }
    draw_dialog(model, &places, buffer);
    foot(model, &places, buffer);
}

fn draw_dialog(model: &Model, places: &Layout, buffer: &mut Buffer) {
    // On low screens a dialog may cover the alert: it is what the alert has asked for.
    let low = places.body.height < 10;
    let area = if low {
        let y = places.alert.y;
        Rect { y, height: places.body.bottom() - y, ..places.body }
    } else {
        places.body
    };
    match model.layers.last() {
        Some(Layer::Form(shown)) => form::draw(model, shown, area, buffer),
        Some(Layer::Rollback(shown)) => rollback_form::draw(model, shown, area, buffer),
        _ => {}
    }
}

fn foot(model: &Model, places: &Layout, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(places.rule.width);
    match &model.toast {
        Some(toast) => {
            Clear.render(places.rule, buffer);
            let style = if toast.refused { look.warn() } else { look.strong() };
            let sign = if toast.refused { " ! not done: " } else { " " };
            Row::of(sign, style).put(&toast.text, style).fit(width).draw(places.rule, buffer);
        }
        None => panes::rule(places.rule, places.rule.y, look.rule(), buffer),
    }
    next::line(model).fit(width).draw(places.next, buffer);
    footer::draw(model, places.footer, buffer);
}
