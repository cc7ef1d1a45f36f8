//! Pages over the whole body.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{body::rows_around, metrics};
use crate::tui::{
    model::{
        Model,
        page::{Page, PageKind},
    },
    pages,
    widget::{panes, row::Row},
};

pub(super) fn draw(model: &Model, page: &Page, body: Rect, buffer: &mut Buffer) {
    let look = model.look;
    panes::rule(body, body.y, look.rule(), buffer);
    let note = note(model, page);
    panes::title(
        body,
        &pages::title(model, &page.kind),
        note.as_ref(),
        true,
        (look.rule(), look.edge()),
        buffer,
    );
    let area = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    if area.is_empty() {
        return;
    }
    if page.kind == PageKind::Metrics {
        return draw_charts(model, page, area, buffer);
    }
    if page.kind == PageKind::Incident && area.width >= 70 {
        return draw_incident(model, page, area, buffer);
    }
    let rows = pages::rows(model, page, usize::from(area.width));
    let rows: Vec<Row> = match &page.search {
        Some(pattern) => rows.into_iter().map(|row| row.highlight(pattern, look.matched())).collect(),
        None => rows,
    };
    if page.selects() {
        let focus = pages::line_of(model, page, usize::from(area.width));
        return rows_around(rows, focus, area, model, buffer);
    }
    let height = usize::from(area.height);
    let last = rows.len().saturating_sub(height);
    let first = if page.follow { last } else { page.scroll.min(last) };
    for (y, row) in (area.y..area.bottom()).zip(rows.into_iter().skip(first)) {
        row.fit(usize::from(area.width)).draw(Rect { y, height: 1, ..area }, buffer);
    }
}

/// Levels and steps beside the message.
fn draw_incident(model: &Model, page: &Page, area: Rect, buffer: &mut Buffer) {
    let Some(run) = &model.run else { return };
    let left = Rect { width: area.width / 2, ..area };
    let right = Rect { x: left.right() + 1, width: area.width - left.width - 1, ..area };
    let width = usize::from(left.width);
    let mut rows = pages::incident_head(model, width);
    let focus = rows.len() + page.selected;
    for (n, row) in pages::incident_steps(model, run).into_iter().enumerate() {
        let row = row.fit(width);
        rows.push(if n == page.selected {
            row.fill(width, model.look.text()).over(model.look.selected())
        } else {
            row
        });
    }
    rows_around(rows, focus, left, model, buffer);
    rows_around(pages::incident_foot(model, run, usize::from(right.width)), 0, right, model, buffer);
    panes::divider(left.right(), area.y, area.bottom(), model.look.rule(), buffer);
}

/// Where one is on a long page.
fn note(model: &Model, page: &Page) -> Option<Row> {
    let look = model.look;
    let mut words = String::new();
    if let Some(pattern) = &page.search {
        words = format!("/{pattern}  ");
    }
    if matches!(page.kind, PageKind::Logs { .. } | PageKind::Story | PageKind::Missed | PageKind::Output(_)) {
        words.push_str(if page.follow { "follows" } else { "stands still; G follows" });
    }
    (!words.is_empty()).then(|| Row::of(words, look.dim()))
}

/// As many charts as fit, from the selected one on.
fn draw_charts(model: &Model, page: &Page, area: Rect, buffer: &mut Buffer) {
    const LEAST: u16 = 8;
    let Some(run) = &model.run else { return };
    let metrics = &run.runbook.metrics;
    let columns: u16 = if area.width >= 110 { 2 } else { 1 };
    let lines = (area.height / LEAST).clamp(1, 4);
    let shown = usize::from(columns * lines);
    let first = page.selected.min(metrics.len().saturating_sub(shown));
    let (width, height) = (area.width / columns, area.height / lines);
    for (n, metric) in metrics.iter().skip(first).take(shown).enumerate() {
        let n = u16::try_from(n).unwrap_or(0);
        let place = Rect {
            x: area.x + (n % columns) * width,
            y: area.y + (n / columns) * height,
            width: width.saturating_sub(1),
            height,
        };
        metrics::chart(model, run, metric, place, buffer);
    }
}
