//! The end: tasks that are left, and how it went.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{header::sign_in, rollback, rows::rows_around, steps, traffic};
use crate::{
    domain::{
        event::Outcome,
        id::QUICK,
        metric::{Metric, Unit},
        run::{Run, StepStatus},
        series::Series,
        time::{Span, Timestamp},
    },
    tui::{
        model::{Model, Pane},
        offer::panes,
        pages, story, subject,
        widget::row::{Row, wrap},
    },
};

pub(super) fn draw_tasks(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    if run.tasks.is_empty() {
        // Nothing is left to do after a rollback but to know what was done.
        if let Some(last) = run.rollbacks.last() {
            let (rows, _) = rollback::rows(model, run, last, usize::from(area.width));
            return rows_around(rows, 0, area, model, buffer);
        }
        return steps::draw(model, run, area, buffer);
    }
    let width = usize::from(area.width);
    let selected = if model.cursor.focus == Pane::Work { Some(model.cursor.task) } else { None };
    let rows = pages::task_rows(model, run, selected, width);
    rows_around(rows, model.cursor.task, area, model, buffer);
}

/// The outcome in a sentence, what users felt, how long each step took, what is left, and where it is written down.
pub(super) fn draw_summary(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut rows = outcome(model, run, width);
    rows.extend(felt(model, run, width));
    rows.extend(left(model, run, width));
    rows.extend(times(model, run, width));
    if !model.run_dir.is_empty() {
        let look = model.look;
        rows.push(Row::of(" Log and output:", look.dim()));
        // Long paths are for copying: broken rather than cut.
        let path = format!("{}/deploy.log", model.run_dir);
        rows.extend(said(&path, look.command(), width));
    }
    rows_around(rows, model.cursor.detail, area, model, buffer);
}

fn said(text: &str, style: Style, width: usize) -> Vec<Row> {
    let lines = wrap(text, width.saturating_sub(2));
    lines.into_iter().map(|line| Row::of(format!(" {line}"), style)).collect()
}

fn outcome(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let look = model.look;
    let mut rows = Vec::new();
    let Some((outcome, at, detail)) = &run.finished else { return rows };
    let (sign, style) = match outcome {
        Outcome::Succeeded => ("✔", look.ok()),
        Outcome::RolledBack => ("↶", look.warn()),
        Outcome::Held => ("–", look.warn()),
        Outcome::Failed | Outcome::RollbackFailed => ("✖", look.alert()),
    };
    let traffic = subject::live(model).map_or_else(String::new, |slot| {
        format!(" {} with {} has the traffic.", slot.0.to_uppercase(), traffic::version(model, run, &slot))
    });
    let words = story::outcome_words(*outcome).to_uppercase();
    let after = run.elapsed(model.now).clock();
    rows.extend(said(&format!("{sign} {words} at {} UTC after {after}.{traffic}", at.clock()), style, width));
    // After a rollback its own sentence says why.
    if !detail.is_empty() && !matches!(outcome, Outcome::RolledBack | Outcome::Succeeded) {
        rows.extend(said(detail, look.text(), width));
    }
    if let Some(rollback) = run.rollbacks.last()
        && let Some((ok, _, took)) = &rollback.finished
    {
        let promise = rollback.within.map(|within| format!(" of the promised {}", within.clock()));
        let word = if *ok { "The rollback took" } else { "THE ROLLBACK FAILED after" };
        let promise = promise.unwrap_or_default();
        let words = format!("{word} {}{promise}. Why it was rolled back: {}", took.clock(), rollback.reason);
        rows.extend(said(&words, look.text(), width));
    }
    rows
}

/// What users met on the new version, by the samples that this screen has.
fn felt(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let Some((worst, failed, lasted)) = failures(model, run) else { return Vec::new() };
    let look = model.look;
    let version = run.new_version().unwrap_or_default();
    let many = failed.map_or_else(String::new, |failed| format!(", about {failed:.0} failed requests"));
    let went_back = !run.rollbacks.is_empty();
    let users = if went_back { "Users were on" } else { "Users have been on" };
    let words = format!("{users} {version} for {}: error rate up to {worst}{many}", lasted.clock());
    said(&words, look.text(), width)
}

/// The highest error rate on the new slot while it had the traffic, about how many requests that were, and for how long.
fn failures(model: &Model, run: &Run) -> Option<(String, Option<f64>, Span)> {
    let from = run.met_at?;
    let to = match (run.rollbacks.last(), &run.finished) {
        (Some(rollback), _) => rollback.started_at,
        (None, Some((_, at, _))) => *at,
        (None, None) => return None,
    };
    let watched = run.runbook.triggers.iter().filter_map(|trigger| trigger.watch.as_ref());
    let errors = watched
        .filter_map(|watch| run.runbook.metric(watch.metric.as_str()))
        .find(|metric| metric.unit == Unit::Percent)?;
    let key = |metric: &Metric| (metric.id.clone(), run.opened.new_slot.clone().filter(|_| metric.per_slot));
    let rates = run.runbook.metrics.iter().find(|metric| metric.unit == Unit::PerMinute);
    let rates = rates.and_then(|metric| model.telemetry.series.get(&key(metric)));
    let within = |at: &Timestamp| *at >= from && *at <= to;
    let (mut worst, mut failed, mut last) = (None::<f64>, 0.0, None::<Timestamp>);
    let mut requests = rates.into_iter().flat_map(Series::iter).peekable();
    let mut rate = None;
    for (at, value) in model.telemetry.series.get(&key(errors))?.iter().filter(|(at, _)| within(at)) {
        let Some(value) = value else { continue };
        worst = Some(worst.map_or(value, |worst| worst.max(value)));
        // The newest rate of that time: both series go forward together.
        while let Some((_, value)) = requests.next_if(|(it, _)| *it <= at) {
            rate = value;
        }
        if let (Some(rate), Some(last)) = (rate, last) {
            let minutes = at.since(last).to_std().as_secs_f64() / 60.0;
            failed += value * rate * minutes;
        }
        last = Some(at);
    }
    Some((errors.unit.show(worst?), rates.map(|_| failed), to.since(from)))
}

fn counted(many: usize, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}

/// What is still to do, and what was left open.
fn left(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let look = model.look;
    let mut words = Vec::new();
    let tasks = run.tasks.iter().filter(|task| task.done.is_none()).count();
    if tasks > 0 {
        words.push(counted(tasks, "task"));
    }
    if run.left_open() > 0 {
        words.push(format!("{} never ticked", counted(run.left_open(), "checklist item")));
    }
    let checks = rollback::open_checks(run);
    if checks > 0 {
        words.push(format!("{checks} of the rollback's checks"));
    }
    let skipped = run.steps.iter().filter(|state| state.status == StepStatus::Skipped).count();
    if skipped > 0 {
        words.push(counted(skipped, "skipped step"));
    }
    let lost = run.notices.iter().filter(|notice| !notice.ok).count();
    if lost > 0 {
        words.push(format!("{} not sent: tell the team yourself", counted(lost, "message")));
    }
    // What the dialog said of it stays true.
    let quick = run.rollbacks.last().is_some_and(|rollback| rollback.procedure.as_str() == QUICK);
    let plan = quick.then(|| run.procedure_plan(QUICK, model.telemetry.workload.as_ref()));
    let not_undone = plan.map(|plan| plan.not_undone).unwrap_or_default();
    let mut rows = match (words.is_empty(), not_undone.is_empty()) {
        (true, true) => said("Nothing is left open.", look.dim(), width),
        (true, false) => Vec::new(),
        (false, _) => said(&format!("Left open: {}.", words.join(", ")), look.warn(), width),
    };
    for left in &not_undone {
        rows.extend(said(&format!("Not undone: {left}"), look.warn(), width));
    }
    if let (false, Some((key, title))) = (not_undone.is_empty(), panes::database_key(model)) {
        rows.extend(said(&format!("Key {key}: {title}"), look.text(), width));
    }
    rows
}

/// The steps with their times.
fn times(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let look = model.look;
    let steps = run.runbook.steps.iter().zip(&run.steps).enumerate();
    let begun = steps.filter(|(_, (_, state))| state.status != StepStatus::Pending);
    begun
        .map(|(index, (step, state))| {
            let (sign, style) = sign_in(look, run, state.status);
            let left =
                Row::of(format!(" {sign} "), style).put(format!("{} {}", index + 1, step.title), look.text());
            let took = state.work.took(model.now).clock();
            left.right(Row::of(format!("{took} "), look.dim()), width)
        })
        .collect()
}
