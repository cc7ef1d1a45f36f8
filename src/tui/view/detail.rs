//! One step: what it will do and check, what it does, why it failed.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    body::rows_around,
    checks::{self, Checks},
};
use crate::{
    domain::{
        action::Confirm,
        event::{ActionRef, Place},
        run::{ActionStatus, Run, StepState, StepStatus, Work},
        runbook::Step,
    },
    tui::{
        model::{Model, Pane},
        next,
        update::check_due,
        widget::row::{Row, wrap},
    },
};

/// The pane's title: the step that is shown, and how far its attempt is.
pub(super) fn title(model: &Model, run: &Run) -> (String, Option<Row>) {
    let look = model.look;
    if let Some((step, undo)) = run.undoing() {
        let title = run.declared(step.as_str()).map_or(step.as_str(), |step| &step.title);
        return (format!("Undoing: {title}"), Some(Row::of(undo.took(model.now).clock(), look.strong())));
    }
    if run.current().is_none() && model.cursor.step.is_none() {
        return ("Completion".to_owned(), None);
    }
    let Some(index) = model.step_shown() else { return (String::new(), None) };
    let (step, state) = (&run.runbook.steps[index], &run.steps[index]);
    let note = match state.status {
        StepStatus::Pending => step.time.map(|(from, to)| {
            let about = if from == to { format!("about {to}") } else { format!("{from} to {to}") };
            Row::of(about, look.dim())
        }),
        status => {
            let again = if state.work.attempt > 1 {
                format!(", attempt {}", state.work.attempt)
            } else {
                String::new()
            };
            let of = step
                .time
                .filter(|_| status.is_active())
                .map(|(_, to)| format!(" of ~{}", to.clock()))
                .unwrap_or_default();
            let style = match status {
                StepStatus::Failed | StepStatus::Unknown => look.alert(),
                StepStatus::Passed => look.ok(),
                _ => look.strong(),
            };
            Some(Row::of(
                format!("{} {}{of}{again}", status.word(), state.work.took(model.now).clock()),
                style,
            ))
        }
    };
    (format!("{} {}", index + 1, step.title), note)
}

pub(super) fn draw(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    if let Some((step, undo)) = run.undoing() {
        let place = Place::Undo { step };
        return draw_work(model, run, &place, undo, Vec::new(), area, buffer);
    }
    if run.current().is_none() && model.cursor.step.is_none() {
        return draw_completion(model, run, area, buffer);
    }
    let Some(index) = model.step_shown() else { return };
    let (step, state) = (&run.runbook.steps[index], &run.steps[index]);
    let place = Place::Step { step: step.id.clone() };
    match state.status {
        StepStatus::Pending => {
            let rows = planned(model, run, step, state, usize::from(area.width));
            rows_around(rows, scroll(model), area, model, buffer);
        }
        StepStatus::Skipped => {
            let reason = state.reason.clone().unwrap_or_default();
            let rows = paragraph(&format!("Left out: {reason}"), usize::from(area.width), model.look.text());
            rows_around(rows, 0, area, model, buffer);
        }
        StepStatus::Failed => {
            let advice = advice(model, step, usize::from(area.width));
            draw_work(model, run, &place, &state.work, advice, area, buffer);
        }
        _ => draw_work(model, run, &place, &state.work, Vec::new(), area, buffer),
    }
}

/// Rows are drawn around this one; scrolling counts in rows from the top.
fn scroll(model: &Model) -> usize {
    model.cursor.detail
}

fn paragraph(text: &str, width: usize, style: ratatui::style::Style) -> Vec<Row> {
    wrap(text, width.saturating_sub(2)).into_iter().map(|line| Row::of(format!(" {line}"), style)).collect()
}

/// What a step will do: everything Enter would start, resolved, with the line that does the same by hand.
fn planned(model: &Model, run: &Run, step: &Step, state: &StepState, width: usize) -> Vec<Row> {
    let look = model.look;
    let mut rows = Vec::new();
    if let Some(critical) = &step.critical {
        let lines = wrap(critical, width.saturating_sub(4));
        rows.extend(lines.into_iter().enumerate().map(|(n, line)| {
            Row::of(if n == 0 { " ! " } else { "   " }, look.critical()).put(line, look.critical())
        }));
    }
    if state.undone {
        let reason = state.reason.clone().unwrap_or_else(|| "undone".to_owned());
        rows.extend(paragraph(
            &format!("Was taken back ({reason}); can be started again."),
            width,
            look.warn(),
        ));
    }
    if !run.applies(step) {
        rows.extend(paragraph("Does not apply this time; it is left out by itself.", width, look.dim()));
    }
    for (n, action) in step.run.iter().enumerate() {
        let lead = if n == 0 { " WILL DO    " } else { "            " };
        let mut row = Row::of(lead, look.strong()).put(run.action_text(action), look.text());
        if action.confirm != Confirm::None {
            row = row.put(next::confirm_words(action.confirm, step.id.as_str()), look.warn());
        }
        if let Some(slot) = run.endangers_rollback(action) {
            row = row.put(format!("  ! no quick way back to {slot} after this"), look.warn());
        }
        rows.push(row.fit(width));
        if let Some(command) = checks::command(model, run, action) {
            rows.push(Row::of("       ", look.text()).join(command).fit(width));
        }
    }
    for (n, check) in step.check.iter().enumerate() {
        let lead = match (n, step.window.is_some()) {
            (0, true) => " WATCHES    ",
            (0, false) => " THEN CHECK ",
            _ => "            ",
        };
        let who = if check.kind.is_person() { " (you)" } else { "" };
        let row = Row::of(lead, look.strong())
            .put("○ ", look.dim())
            .put(&check.text, look.text())
            .put(who, look.key());
        rows.push(row.fit(width));
    }
    if !step.undo.is_empty() {
        for (n, action) in step.undo.iter().enumerate() {
            let lead = if n == 0 { " UNDO       " } else { "            " };
            rows.push(Row::of(lead, look.strong()).put(run.action_text(action), look.dim()).fit(width));
        }
    }
    for (n, note) in step.notes.iter().enumerate() {
        let lead = if n == 0 { " NOTES      " } else { "            " };
        rows.push(Row::of(lead, look.strong()).put(note, look.dim()).fit(width));
    }
    rows
}

/// What the runbook says to do when it fails. Why it failed stands in the alert above.
fn advice(model: &Model, step: &Step, width: usize) -> Vec<Row> {
    let look = model.look;
    let lines = step
        .on_failure
        .iter()
        .flat_map(|advice| wrap(advice, width.saturating_sub(4)).into_iter().enumerate());
    lines
        .map(|(n, line)| Row::of(if n == 0 { " → " } else { "   " }, look.strong()).put(line, look.text()))
        .collect()
}

fn draw_completion(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(area.width);
    if let Some(work) = &run.completion {
        return draw_work(model, run, &Place::Completion, work, Vec::new(), area, buffer);
    }
    let mut rows = paragraph("Every step is done. What is left:", width, look.text());
    for action in &run.runbook.completion.run {
        let row = Row::of(" WILL DO    ", look.strong()).put(run.action_text(action), look.text());
        rows.push(row.fit(width));
    }
    for check in &run.runbook.completion.check {
        let who = if check.kind.is_person() { " (you)" } else { "" };
        let row = Row::of("            ○ ", look.dim()).put(&check.text, look.text()).put(who, look.key());
        rows.push(row.fit(width));
    }
    let tasks = run.runbook.tasks.len();
    rows.push(Row::of(format!("            leave {tasks} tasks for later"), look.text()));
    rows_around(rows, 0, area, model, buffer);
}

/// Work under way or over: actions, the output of the one that matters, checks.
pub(super) fn draw_work(
    model: &Model,
    run: &Run,
    place: &Place,
    work: &Work,
    advice: Vec<Row>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let look = model.look;
    let width = usize::from(area.width);
    let mut rows = Vec::new();
    let mut focus = 0;
    for (action, state) in run.actions(place).iter().zip(&work.actions) {
        if state.status == ActionStatus::Running {
            focus = rows.len();
        }
        rows.push(checks::action(model, run, action, state, width));
        let wrong = matches!(state.status, ActionStatus::Failed | ActionStatus::Unknown);
        if wrong {
            focus = rows.len() - 1;
        }
        if area.height > if wrong { 9 } else { 14 } && (wrong || state.status == ActionStatus::Running) {
            rows.extend(checks::command(model, run, action).map(|row| row.fit(width)));
        }
        if wrong && !state.detail.is_empty() {
            let detail = Row::of("     ", look.text()).put(&state.detail, look.alert());
            rows.push(detail.fit(width));
        }
    }
    rows.extend(advice);
    let step = match place {
        Place::Step { step } => Some(step.clone()),
        _ => None,
    };
    let selected =
        check_due(model).filter(|(due, ..)| due == place && model.layers.is_empty()).map(|(.., check)| check);
    let list = Checks { model, step, strict: false, selected };
    let checks = list.rows(run, place, work, width);
    if let Some(selected) = selected {
        focus = rows.len() + selected;
    }
    rows.extend(checks);
    if model.cursor.focus == Pane::Detail && selected.is_none() {
        focus = scroll(model);
    }
    let Some(at) = output_of(model, place, work) else {
        return rows_around(rows, focus, area, model, buffer);
    };
    let (list, output) = beside_or_below(model, &at, rows.len(), area);
    rows_around(rows, focus, list, model, buffer);
    draw_output(model, &at, output, buffer);
}

/// Where the list goes and where the output: side by side where that is wide enough, else the output below, with what
/// the list leaves and at least three lines where it has that many.
fn beside_or_below(model: &Model, at: &ActionRef, rows: usize, area: Rect) -> (Rect, Rect) {
    const BESIDE: u16 = 110;
    if area.width >= BESIDE {
        let width = area.width * 9 / 20;
        return (
            Rect { width, ..area },
            Rect { x: area.x + width + 1, width: area.width - width - 1, ..area },
        );
    }
    let lines = model
        .telemetry
        .output(at)
        .map_or(0, |output| output.lines.len() + usize::from(output.partial.is_some()));
    let height = usize::from(area.height);
    let least = lines.min(3).min(height / 2);
    // A blank line between, where there is one to spare.
    let gap = usize::from(rows + least < height);
    let top = u16::try_from((rows + gap).min(height - least)).unwrap_or(area.height);
    (Rect { height: top, ..area }, Rect { y: area.y + top, height: area.height - top, ..area })
}

/// The action whose output matters: the one that runs, else the one that failed, else the last that printed.
pub(super) fn output_of(model: &Model, place: &Place, work: &Work) -> Option<ActionRef> {
    let at = |action: usize| ActionRef { place: place.clone(), attempt: work.attempt, action };
    let wrong = || {
        work.actions
            .iter()
            .position(|action| matches!(action.status, ActionStatus::Failed | ActionStatus::Unknown))
    };
    let chosen = work.running().or_else(wrong).map(at);
    chosen.filter(|at| model.telemetry.output(at).is_some()).or_else(|| {
        let newest = model.telemetry.outputs.iter().rev().map(|(at, _)| at);
        newest.into_iter().find(|at| at.place == *place && at.attempt == work.attempt).cloned()
    })
}

/// The end of an action's output.
pub(super) fn draw_output(model: &Model, at: &ActionRef, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let Some(output) = model.telemetry.output(at) else { return };
    let tail = output.tail(usize::from(area.height));
    for (y, line) in (area.y..area.bottom()).zip(tail) {
        let row = Row::of("   │ ", look.rule()).join(Row::from(line));
        row.fit(usize::from(area.width)).draw(Rect { y, height: 1, ..area }, buffer);
    }
}
