//! A rollback under way: its actions and checks, its clock against the promise, the output of what runs.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    checks::{self, Checks},
    detail,
    rows::rows_around,
};
use crate::{
    domain::{
        event::Place,
        run::{ActionStatus, RollbackState, Run},
    },
    tui::{
        model::Model,
        offer::check_due,
        widget::{
            meter,
            row::{Row, wrap},
        },
    },
};

pub(super) fn title(model: &Model, run: &Run) -> (String, Option<Row>) {
    let Some(rollback) = run.rollbacks.last() else { return (String::new(), None) };
    let name = run
        .runbook
        .procedure(rollback.procedure.as_str())
        .map_or("Undoing the finished steps", |found| &found.title);
    let word = match (&rollback.finished, &rollback.stopped) {
        // "done" never stands over an open check.
        (Some((true, ..)), _) if run.open_rollback_checks() > 0 => {
            Row::of(format!("traffic is back, {} open", run.open_rollback_checks()), model.look.warn())
        }
        (Some((true, ..)), _) => Row::of("done", model.look.ok()),
        (Some((false, ..)), _) => Row::of("FAILED", model.look.alert()),
        (None, Some(_)) => Row::of("STOPPED", model.look.alert()),
        (None, None) => Row::of("running", model.look.strong()),
    };
    (name.to_owned(), Some(word))
}

/// How long it takes, of what was promised.
pub(super) fn clock(model: &Model, rollback: &RollbackState, width: usize) -> Row {
    let look = model.look;
    let took =
        rollback.finished.as_ref().map_or_else(|| model.now.since(rollback.started_at), |(.., took)| *took);
    let Some(within) = rollback.within else { return Row::of(format!(" {}", took.clock()), look.strong()) };
    let late = took > within;
    let style = if late { look.alert() } else { look.strong() };
    if rollback.finished.is_some() {
        // A bar would look like one that stands still.
        return Row::of(format!(" took {}, promised within {}", took.clock(), within.clock()), style);
    }
    let row = Row::of(format!(" {}, promised within {} ", took.clock(), within.clock()), style);
    let room = width.saturating_sub(row.width() + 1).min(40);
    row.put(meter::bar(took.as_millis(), within.as_millis(), room), style)
}

pub(super) fn draw(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let Some(rollback) = run.rollbacks.last() else { return };
    let width = usize::from(area.width);
    let (rows, focus) = rows(model, run, rollback, width);
    rows_around(rows, focus, area, model, buffer);
}

/// The whole of it as lines, and the one that matters.
pub(super) fn rows(model: &Model, run: &Run, rollback: &RollbackState, width: usize) -> (Vec<Row>, usize) {
    let look = model.look;
    let mut rows = vec![clock(model, rollback, width)];
    let why = format!("{} (by {})", rollback.reason, rollback.by);
    let lines = wrap(&why, width.saturating_sub(7)).into_iter().enumerate();
    rows.extend(lines.map(|(n, line)| {
        Row::of(if n == 0 { " why  " } else { "      " }, look.dim()).put(line, look.text())
    }));
    let mut focus = 0;
    let mut add = |rows: &mut Vec<Row>, place: &Place| {
        let Some(work) = run.work(place) else { return };
        for (action, state) in run.actions(place).iter().zip(&work.actions) {
            let next = focus == 0 && rollback.finished.is_none() && state.status == ActionStatus::Pending;
            if next
                || matches!(
                    state.status,
                    ActionStatus::Running | ActionStatus::Failed | ActionStatus::Unknown
                )
            {
                focus = rows.len();
            }
            rows.push(checks::action(model, run, action, state, width));
            if matches!(state.status, ActionStatus::Failed | ActionStatus::Unknown) {
                rows.extend(checks::command(model, run, action).map(|row| row.fit(width)));
                let detail = wrap(&state.detail, width.saturating_sub(6));
                rows.extend(detail.into_iter().map(|line| Row::of(format!("     {line}"), look.alert())));
            }
        }
    };
    for step in &rollback.undo {
        let place = Place::Undo { step: step.clone() };
        let title = run.declared(step.as_str()).map_or(step.as_str(), |step| &step.title);
        rows.push(Row::of(format!(" undo of {title}"), look.strong()).fit(width));
        match run.work(&place) {
            Some(_) => add(&mut rows, &place),
            None => {
                for action in run.actions(&place) {
                    rows.push(checks::action(
                        model,
                        run,
                        action,
                        &crate::domain::run::ActionState::default(),
                        width,
                    ));
                }
            }
        }
    }
    let place = Place::Rollback { procedure: rollback.procedure.clone() };
    add(&mut rows, &place);
    let selected = check_due(model)
        .filter(|(due, ..)| *due == place && model.layers.is_empty())
        .map(|(.., check)| check);
    let list = Checks { model, step: None, strict: false, selected };
    // What runs comes before what waits for a person: the pane's first lines have the clock.
    if let Some(selected) = selected.filter(|_| focus == 0) {
        focus = rows.len() + selected;
    }
    rows.extend(list.rows(run, &place, &rollback.work, width));
    (rows, focus)
}

/// The running action's output, or its state in words.
pub(super) fn draw_output(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let Some(place) = model.place() else { return };
    let output = run.work(&place).and_then(|work| detail::output_of(model, &place, work));
    if let Some(at) = output {
        return detail::draw_output(model, &at, area, buffer);
    }
    let width = usize::from(area.width).saturating_sub(2);
    let words = match run.rollbacks.last().and_then(|rollback| rollback.stopped.as_ref()) {
        Some(stopped) => format!(
            "It stopped: {}. The failed action's command is shown next to it, to run it by hand.",
            stopped.reason
        ),
        None => "Nothing is printed now. The checks come after the last action.".to_owned(),
    };
    let rows = wrap(&words, width).into_iter().map(|line| Row::of(format!(" {line}"), look.dim())).collect();
    rows_around(rows, 0, area, model, buffer);
}
