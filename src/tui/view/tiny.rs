//! Screens below 60x15: what must be known, as many lines of it as there are. Dialogs take the whole screen, so a
//! rollback works at any size that shows its last line.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{form, header, keys, rollback_form, traffic};
use crate::tui::{
    alerts,
    model::{Layer, Model},
    subject,
    widget::row::Row,
};

/// All but the band and the line of keys.
pub(super) fn dialog_area(area: Rect) -> Rect {
    let from = area.y + u16::from(area.height > 1);
    Rect { y: from, height: area.bottom().saturating_sub(1).saturating_sub(from), ..area }
}

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let Some(run) = &model.run else { return header::band(model, area, buffer) };
    // The last line is what the next key does; above it, in the order of importance, whatever has room.
    let mut rows: Vec<Row> = Vec::new();
    if let Some(alert) = alerts::all(model).first() {
        let style = if alert.urgent { model.look.alert_band() } else { model.look.warn() };
        rows.push(Row::of(" ", style).put(&alert.headline, style).fit(width));
    }
    rows.push(header::strip(model, width));
    let light = run.readiness(model.telemetry.workload.as_ref(), model.telemetry.access.as_ref(), model.now);
    rows.push(
        Row::of(format!(" {}", light.word), model.look.strong())
            .put(" ", model.look.text())
            .put(light.detail, model.look.text())
            .fit(width),
    );
    for slot in subject::slots(model) {
        rows.push(traffic::slot_row(model, run, &slot).fit(width));
    }
    rows.push(header::clock(model, width));
    if let Some(toast) = &model.toast {
        rows.insert(
            1.min(rows.len()),
            Row::of(" ", model.look.text()).put(&toast.text, model.look.warn()).fit(width),
        );
    }
    let line = |y: u16| Rect { y, height: 1, ..area };
    if area.height > 1 {
        header::band(model, line(area.y), buffer);
    }
    let from = area.y + u16::from(area.height > 1);
    let until = area.bottom() - 1;
    for (y, row) in (from..until).zip(rows) {
        row.draw(line(y), buffer);
    }
    let dialog = dialog_area(area);
    match model.layers.last() {
        Some(Layer::Form(shown)) => form::draw(model, shown, dialog, buffer),
        Some(Layer::Rollback(shown)) => rollback_form::draw(model, shown, dialog, buffer),
        Some(Layer::Page(shown)) => super::page::draw(model, shown, dialog, buffer),
        _ => {}
    }
    keys::line(model, width).draw(line(until), buffer);
}
