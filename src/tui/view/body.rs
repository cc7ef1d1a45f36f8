//! The panes: rules with titles, content, and the lines between.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    checklist, detail, foreign, logs, metrics, over, pods, rollback, rows::rows_from, steps, window,
};
use crate::{
    domain::run::Run,
    tui::{
        layout,
        model::{Model, Pane, Phase},
        widget::{panes, row::Row},
    },
};

pub(super) fn draw(model: &Model, body: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let split = layout::split(model, body);
    let Some(run) = &model.run else {
        panes::rule(body, body.y, look.rule(), buffer);
        return;
    };
    let mut rules: Vec<u16> = split.places.iter().map(|(_, place)| place.y).collect();
    rules.dedup();
    for y in rules {
        panes::rule(body, y, look.rule(), buffer);
    }
    for (pane, place) in &split.places {
        let focused = model.cursor.focus == *pane && model.layers.is_empty();
        let (title, note) = title(model, run, *pane);
        let style = if focused { look.edge() } else { look.strong() };
        panes::title(*place, &title, note.as_ref(), focused, (look.rule(), style), buffer);
    }
    for (pane, place) in &split.places {
        let inner = Rect { y: place.y + 1, height: place.height.saturating_sub(1), ..*place };
        pane_body(model, run, *pane, inner, buffer);
    }
    // The rule below the lowest panes is drawn later: lines end one row above it.
    for (x, top, bottom) in split.dividers {
        panes::divider(x, top, bottom, look.rule(), buffer);
    }
}

fn pane_body(model: &Model, run: &Run, pane: Pane, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    match (pane, model.phase()) {
        (Pane::Work, Phase::Checklist) => checklist::draw(model, run, area, buffer),
        (Pane::Detail, Phase::Checklist | Phase::Steps | Phase::Window) if foreign::is_due(model, run) => {
            let rows = foreign::rows(model, run, usize::from(area.width));
            rows_from(rows, model.cursor.detail, area, model, buffer);
        }
        (Pane::Detail, Phase::Checklist) => checklist::draw_item(model, run, area, buffer),
        (Pane::Work, Phase::Steps) => steps::draw(model, run, area, buffer),
        (Pane::Detail, Phase::Steps) => detail::draw(model, run, area, buffer),
        (Pane::Work, Phase::Window) => window::draw_checks(model, run, area, buffer),
        (Pane::Detail, Phase::Window) => window::draw_advice(model, run, area, buffer),
        (Pane::Work, Phase::RollingBack) => rollback::draw(model, run, area, buffer),
        (Pane::Detail, Phase::RollingBack) => rollback::draw_output(model, run, area, buffer),
        (Pane::Work, Phase::Over) => over::draw_tasks(model, run, area, buffer),
        (Pane::Detail, Phase::Over) => over::draw_summary(model, run, area, buffer),
        (Pane::Metrics, _) => metrics::draw(model, run, area, buffer),
        (Pane::Pods, _) => pods::draw(model, area, buffer),
        (Pane::Logs, _) => logs::draw_pane(model, area, buffer),
    }
}

fn title(model: &Model, run: &Run, pane: Pane) -> (String, Option<Row>) {
    let look = model.look;
    let phase = model.phase();
    match (pane, phase) {
        (Pane::Work, Phase::Checklist) => ("Before the deployment".to_owned(), None),
        (Pane::Detail, Phase::Checklist | Phase::Steps | Phase::Window) if foreign::is_due(model, run) => {
            (foreign::TITLE.to_owned(), None)
        }
        (Pane::Detail, Phase::Checklist) => ("Selected item".to_owned(), None),
        (Pane::Detail, Phase::Steps) => detail::title(model, run),
        (Pane::Work, Phase::Window) => window::title(model, run),
        (Pane::Detail, Phase::Window) => ("What to do".to_owned(), None),
        (Pane::Detail, Phase::RollingBack) => ("Output".to_owned(), None),
        (Pane::Work, Phase::Over) if !run.tasks.is_empty() => {
            let done = run.tasks.iter().filter(|task| task.done.is_some()).count();
            (
                "Tasks for later".to_owned(),
                Some(Row::of(format!("{done} of {} done", run.tasks.len()), look.text())),
            )
        }
        (Pane::Work, Phase::RollingBack | Phase::Over) if !run.rollbacks.is_empty() => {
            rollback::title(model, run)
        }
        (Pane::Work, Phase::Steps | Phase::RollingBack | Phase::Over) => ("Steps".to_owned(), None),
        (Pane::Detail, Phase::Over) => ("How it went".to_owned(), None),
        (Pane::Metrics, _) => ("Metrics".to_owned(), None),
        (Pane::Pods, _) => ("Pods and events".to_owned(), None),
        (Pane::Logs, _) => logs::pane_title(model),
    }
}
