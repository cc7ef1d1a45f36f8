//! One step: what it will do and check, what it does, why it failed.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    checks::{self, Checks},
    rows::{rows_around, rows_from},
};
use crate::{
    domain::{
        action::Confirm,
        check::Check,
        event::{ActionRef, Place},
        run::{ActionStatus, Run, StepState, StepStatus, Work},
        runbook::Step,
    },
    tui::{
        links,
        model::{Model, Pane},
        offer,
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
            let (width, height) = (usize::from(area.width), usize::from(area.height));
            let whole = planned(model, run, step, state, width, true);
            // A pane with the whole screen has no more room to hope for.
            let fits = whole.len() <= height || model.cursor.zoomed;
            let rows = if fits { whole } else { planned(model, run, step, state, width, false) };
            rows_from(rows, scroll(model), area, model, buffer);
        }
        StepStatus::Skipped => {
            let reason = state.reason.clone().unwrap_or_default();
            let rows = paragraph(&format!("Skipped: {reason}"), usize::from(area.width), model.look.text());
            rows_around(rows, 0, area, model, buffer);
        }
        StepStatus::Failed => {
            let advice = advice(model, step, usize::from(area.width));
            draw_work(model, run, &place, &state.work, advice, area, buffer);
        }
        _ => draw_work(model, run, &place, &state.work, Vec::new(), area, buffer),
    }
}

/// A pane this wide has room for what matters of a command in one line.
const LINE: usize = 70;

/// Rows are drawn around this one; scrolling counts in rows from the top.
fn scroll(model: &Model) -> usize {
    model.cursor.detail
}

fn paragraph(text: &str, width: usize, style: ratatui::style::Style) -> Vec<Row> {
    wrap(text, width.saturating_sub(2)).into_iter().map(|line| Row::of(format!(" {line}"), style)).collect()
}

/// What a step will do: everything Enter would start, resolved. Where there is room for all of it, with the lines that do the
/// same by hand: the first half of a command helps nobody.
fn planned(model: &Model, run: &Run, step: &Step, state: &StepState, width: usize, whole: bool) -> Vec<Row> {
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
        rows.extend(paragraph(&format!("Was undone ({reason}); can be started again."), width, look.warn()));
    }
    if !run.applies(step) {
        rows.extend(paragraph("Does not apply this time; skipped automatically.", width, look.dim()));
    }
    for (n, action) in step.run.iter().enumerate() {
        let lead = if n == 0 { " WILL DO    " } else { "            " };
        let mut row = Row::of(lead, look.strong()).put(run.action_text(action), look.text());
        if action.confirm != Confirm::None {
            row = row.put(offer::confirm_words(action.confirm, step.id.as_str()), look.warn());
        }
        if let Some(slot) = run.endangers_rollback(action) {
            row = row.put(format!("  ! no quick way back to {slot} after this"), look.warn());
        }
        rows.push(row.fit(width));
        if let Some(command) = checks::command(model, run, action).filter(|_| whole || width > LINE) {
            let row = Row::of("       ", look.text()).join(command);
            rows.extend(if whole { row.folded(width, 12) } else { vec![row.fit(width)] });
        }
    }
    for (n, check) in step.check.iter().enumerate() {
        let lead = match (n, step.window.is_some()) {
            (0, true) => " WATCHES    ",
            (0, false) => " THEN CHECK ",
            _ => "            ",
        };
        rows.extend(planned_check(model, lead, check, width));
    }
    if !step.undo.is_empty() {
        for (n, action) in step.undo.iter().enumerate() {
            let lead = if n == 0 { " UNDO       " } else { "            " };
            rows.push(Row::of(lead, look.strong()).put(run.action_text(action), look.dim()).fit(width));
        }
    }
    let targets = links::targets(model);
    for (n, note) in step.notes.iter().enumerate() {
        let lead = if n == 0 { " NOTES      " } else { "            " };
        let lines = links::lines(&targets, note, width.saturating_sub(lead.len()), look.dim());
        rows.extend(lines.into_iter().enumerate().map(|(line, row)| {
            Row::of(if line == 0 { lead } else { "            " }, look.strong()).join(row)
        }));
    }
    rows
}

/// A check that a step will wait for, and whether a person makes it: that is never cut.
fn planned_check(model: &Model, lead: &str, check: &Check, width: usize) -> Vec<Row> {
    let look = model.look;
    let who = if check.kind.is_person() { "(you) " } else { "" };
    let room = width.saturating_sub(lead.len() + 2 + who.len()).max(8);
    let lines = wrap(&check.text, room);
    let last = lines.len().saturating_sub(1);
    let row = |(n, line): (usize, String)| {
        let left = match n {
            0 => Row::of(lead, look.strong()).put("○ ", look.dim()),
            _ => Row::of(" ".repeat(lead.len() + 2), look.text()),
        };
        let left = left.put(line, look.text());
        if n == last && !who.is_empty() {
            left.right(Row::of(who, look.key()), width)
        } else {
            left.fit(width)
        }
    };
    lines.into_iter().enumerate().map(row).collect()
}

/// What the runbook says to do when the step fails. The alert above says why it failed.
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
    let mut rows = paragraph("All steps are done. What is left:", width, look.text());
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
            let command = checks::command(model, run, action);
            rows.extend(command.into_iter().flat_map(|row| row.folded(width, 5)));
        }
        if wrong && !state.detail.is_empty() {
            // The cause is often at the end of it.
            let lines = wrap(&state.detail, width.saturating_sub(6));
            rows.extend(lines.into_iter().map(|line| Row::of(format!("     {line}"), look.alert())));
        }
    }
    rows.extend(advice);
    let step = match place {
        Place::Step { step } => Some(step.clone()),
        _ => None,
    };
    let selected = offer::check_due(model)
        .filter(|(due, ..)| due == place && model.layers.is_empty())
        .map(|(.., check)| check);
    let list = Checks { model, step, strict: false, selected };
    let checks = list.rows(run, place, work, width);
    if let Some(selected) = selected {
        focus = rows.len() + selected;
    }
    rows.extend(checks);
    let at = output_of(model, place, work);
    let (list, output) = match &at {
        Some(at) => beside_or_below(model, at, rows.len(), area),
        None => (area, Rect::ZERO),
    };
    if model.cursor.focus == Pane::Detail && selected.is_none() {
        rows_from(rows, scroll(model), list, model, buffer);
    } else {
        rows_around(rows, focus, list, model, buffer);
    }
    let Some(at) = at else { return };
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
        .measured()
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
    chosen.filter(|at| model.measured().output(at).is_some()).or_else(|| {
        let newest = model.measured().outputs.iter().rev().map(|(at, _)| at);
        newest.into_iter().find(|at| at.place == *place && at.attempt == work.attempt).cloned()
    })
}

/// The end of an action's output.
pub(super) fn draw_output(model: &Model, at: &ActionRef, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let Some(output) = model.measured().output(at) else { return };
    let tail = output.tail(usize::from(area.height));
    for (y, line) in (area.y..area.bottom()).zip(tail) {
        let row = Row::of("   │ ", look.rule()).join(Row::output(look, line));
        row.fit(usize::from(area.width)).draw(Rect { y, height: 1, ..area }, buffer);
    }
}
