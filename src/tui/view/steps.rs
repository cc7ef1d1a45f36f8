//! The steps with their progress.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    header::{is_left, sign_in},
    rows::rows_around,
};
use crate::{
    domain::{
        run::{Run, StepState, StepStatus},
        runbook::Step,
    },
    tui::{
        model::{Model, Pane},
        widget::row::Row,
    },
};

pub(super) fn draw(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let shown = model.step_shown();
    let due = run.current().filter(|_| !is_left(run));
    let mut rows: Vec<Row> = Vec::new();
    for (index, (step, state)) in run.runbook.steps.iter().zip(&run.steps).enumerate() {
        let row = row(model, run, index, (step, state), due == Some(index), width);
        let selected = shown == Some(index);
        rows.push(match (selected, model.cursor.focus) {
            (true, Pane::Work) if model.cursor.step.is_some() => row.over(model.look.selected()),
            _ => row,
        });
    }
    if let Some(work) = &run.completion {
        let done = run.finished.is_some();
        let sign = if done { "✔" } else { "▶" };
        let took = Row::of(format!("{} ", work.took(model.now).clock()), model.look.dim());
        rows.push(Row::of(format!(" {sign}   Completion"), model.look.text()).right(took, width));
    } else if due.is_none() && run.finished.is_none() {
        rows.push(Row::of(" ▶   Completion", model.look.strong()));
    }
    rows_around(rows, shown.unwrap_or(0), area, model, buffer);
}

fn row(
    model: &Model,
    run: &Run,
    index: usize,
    (step, state): (&Step, &StepState),
    due: bool,
    width: usize,
) -> Row {
    let look = model.look;
    let (mark, style) = match state.status {
        // Due, and not begun: the sign of one that runs would say more.
        StepStatus::Pending if due => ("→", look.strong()),
        status => sign_in(look, run, status),
    };
    let text = match state.status {
        StepStatus::Skipped => look.dim(),
        _ if due => look.strong(),
        StepStatus::Failed | StepStatus::Unknown => look.alert(),
        _ => look.text(),
    };
    let left = Row::of(" ", look.text())
        .put(mark, style)
        .put(format!(" {} ", index + 1), look.dim())
        .put(&step.title, text);
    left.right(progress(model, run, step, state).put(" ", look.text()), width)
}

/// How far a step is: a word for what needs a person, its time where it has one, else what it should take.
fn progress(model: &Model, run: &Run, step: &Step, state: &StepState) -> Row {
    let look = model.look;
    let took = || state.work.took(model.now).clock();
    match state.status {
        StepStatus::Passed => Row::of(took(), look.dim()),
        StepStatus::Failed | StepStatus::Unknown => Row::of(state.status.word(), look.alert()),
        StepStatus::Skipped => Row::of("skipped", look.dim()),
        StepStatus::Running | StepStatus::Checking => Row::of(took(), look.strong()),
        StepStatus::Pending if state.undone => Row::of("undone", look.warn()),
        StepStatus::Pending if !run.applies(step) => Row::of("skipped", look.dim()),
        StepStatus::Pending => match (step.time, step.window) {
            (_, Some(window)) => Row::of(format!("~{}", window.lasts), look.dim()),
            (Some((_, to)), None) => Row::of(format!("~{to}"), look.dim()),
            _ => Row::new(),
        },
    }
}
