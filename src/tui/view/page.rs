//! Pages over the whole body.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{charts, rows::rows_around};
use crate::{
    config::keymap::KeyAction,
    domain::{metric::Metric, time::Timestamp},
    tui::{
        model::{
            Model,
            page::{Page, PageKind},
        },
        pages, times,
        widget::{panes, row::Row},
    },
};

pub(super) fn draw(model: &Model, page: &Page, body: Rect, buffer: &mut Buffer) {
    let look = model.look;
    panes::rule(body, body.y, look.rule(), buffer);
    let area = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    let listed = page.kind != PageKind::Metrics && !(page.kind == PageKind::Incident && area.width >= 70);
    let rows = if listed { pages::rows(model, page, usize::from(area.width)) } else { Vec::new() };
    let note = note(model, page, rows.len().saturating_sub(usize::from(area.height)));
    let title = pages::title(model, &page.kind);
    // Of the incident's two halves neither has all of the keys: the selected line is marked, and the message names its key.
    let focused = page.kind != PageKind::Incident;
    panes::title(body, &title, note.as_ref(), focused, (look.rule(), look.edge()), buffer);
    if area.is_empty() {
        return;
    }
    if page.kind == PageKind::Metrics {
        return draw_charts(model, page, area, buffer);
    }
    if !listed {
        return draw_incident(model, page, area, buffer);
    }
    let rows: Vec<Row> = match &page.search {
        // What hides lines is not in any.
        Some(pattern) if pages::hidden_on(page).is_empty() => {
            rows.into_iter().map(|row| row.highlight(pattern, look.matched())).collect()
        }
        Some(_) | None => rows,
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
    let mut rows = pages::incident::head(model, width);
    let focus = pages::line_of(model, page, width);
    rows.extend(pages::marked(model, page, pages::incident::steps(model, run, page.selected, width), width));
    rows_around(rows, focus, left, model, buffer);
    rows_around(pages::incident::foot(model, run, usize::from(right.width)), 0, right, model, buffer);
    panes::divider(left.right(), area.y, area.bottom(), model.look.rule(), buffer);
}

/// Where one is on a long page.
fn note(model: &Model, page: &Page, last: usize) -> Option<Row> {
    let look = model.look;
    if page.kind == PageKind::Metrics {
        return Some(times_note(model, page));
    }
    let mut words = String::new();
    if let Some(pattern) = &page.search {
        words = format!("/{pattern}  ");
        if let PageKind::Logs { slot, .. } = &page.kind
            && let (hidden @ 1.., all) = pages::hidden_lines(model, slot, Some(pattern))
        {
            words = format!("/{pattern} hides {hidden} of {all} lines  ");
        }
    }
    if model.still.is_some() {
        words.push_str("frozen");
    } else if page.is_log() {
        words.push_str(if page.follow { "follows" } else { "stands still; G follows" });
    } else if !page.selects() && last > 0 {
        let (above, keys) = (page.scroll.min(last), model.key(KeyAction::PageDown));
        let place = match last - above {
            0 => format!("↑ {above} lines above"),
            more => format!("↓ {more} more, {keys}"),
        };
        words.push_str(&place);
    }
    (!words.is_empty()).then(|| Row::of(words, look.dim()))
}

/// Which time charts show. Where that is not now it is as loud as a warning: the past is never taken for the present.
fn times_note(model: &Model, page: &Page) -> Row {
    let look = model.look;
    let axis = times::shown(model, page.times);
    let hours = |at: Timestamp| at.clock().get(..5).unwrap_or_default().to_owned();
    let place = if page.order.len() > 1 {
        format!("{} of {}  ", page.selected + 1, page.order.len())
    } else {
        String::new()
    };
    let frozen = if model.still.is_some() { "frozen  " } else { "" };
    let row = Row::of(place, look.dim()).put(frozen, look.warn());
    match page.times.end {
        Some(end) => {
            let ago = model.now.since(end).clock();
            let words = format!("PAST: {} to {} UTC, ends {ago} ago", hours(axis.from), hours(axis.to));
            row.put(words, look.warn())
        }
        None => row.put(format!("last {} min", axis.span().as_secs() / 60), look.dim()),
    }
}

/// As many charts as fit, from the selected one on, all on one clock axis. On small screens it is one.
fn draw_charts(model: &Model, page: &Page, area: Rect, buffer: &mut Buffer) {
    const LEAST: u16 = 8;
    let Some(run) = &model.run else { return };
    let metrics = &run.runbook.metrics;
    let columns = if area.width >= 110 { 2 } else { 1 };
    let most = match area.height.saturating_sub(charts::TIMES) {
        // Without room for a curve the numbers of as many as have a line.
        room if room < charts::LEAST => usize::from(area.height.max(1)),
        room => usize::from((room / LEAST).max(1)),
    };
    let lines = page.order.len().div_ceil(columns).clamp(1, most);
    let shown = columns * lines;
    let first = page.selected.min(page.order.len().saturating_sub(shown));
    let chosen: Vec<(&Metric, bool)> = (page.order.iter().enumerate().skip(first).take(shown))
        .filter_map(|(place, index)| Some((metrics.get(*index)?, shown > 1 && place == page.selected)))
        .collect();
    let axis = times::shown(model, page.times);
    let width = area.width / u16::try_from(columns).unwrap_or(1);
    let high = (area.height.saturating_sub(charts::TIMES)) / u16::try_from(lines).unwrap_or(1);
    for column in 0..columns {
        let own: Vec<(&Metric, bool)> = chosen.iter().skip(column).step_by(columns).copied().collect();
        let count = u16::try_from(own.len()).unwrap_or(0);
        let x = area.x + u16::try_from(column).unwrap_or(0) * width;
        // Charts beside each other are of one height, also where a column has one less.
        let height = (high * count + charts::TIMES).clamp(count, area.height.max(count));
        let place = Rect { x, width: width.saturating_sub(1), height, ..area };
        charts::draw_column(model, run, axis, &own, place, buffer);
    }
}
