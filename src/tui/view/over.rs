//! The end: tasks that are left, and how it went.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    header::sign_in,
    rollback,
    rows::{rows_around, rows_from},
    steps, traffic,
};
use crate::{
    domain::{
        event::Outcome,
        felt::Failed,
        run::{Run, StepStatus},
        time::Span,
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
            let width = usize::from(area.width);
            let (mut rows, _) = rollback::rows(model, run, last, width);
            rows.extend(below(times(model, run, width), "Steps", width, model));
            return rows_around(rows, 0, area, model, buffer);
        }
        return steps::draw(model, run, area, buffer);
    }
    let width = usize::from(area.width);
    let selected = if model.cursor.focus == Pane::Work { Some(model.cursor.task) } else { None };
    let mut rows = pages::task_rows(model, run, selected, width);
    rows.extend(below(times(model, run, width), "Steps", width, model));
    rows_around(rows, model.cursor.task, area, model, buffer);
}

/// A list below another one, with its name above it.
fn below(rows: Vec<Row>, name: &str, width: usize, model: &Model) -> Vec<Row> {
    if rows.is_empty() {
        return rows;
    }
    let look = model.look;
    let rule = "─".repeat(width.saturating_sub(name.len() + 4));
    let head = Row::of("─ ", look.rule()).put(name, look.edge()).put(format!(" {rule} "), look.rule());
    std::iter::once(head.fit(width)).chain(rows).collect()
}

/// Whether the pane beside has the times of the steps.
fn has_times(run: &Run) -> bool {
    !run.tasks.is_empty() || !run.rollbacks.is_empty()
}

/// The outcome in a sentence, what users felt, how long each step took, what is left, and where it is written down.
pub(super) fn draw_summary(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut rows = outcome(model, run, width);
    rows.extend(felt(model, run, width));
    rows.extend(spent(model, run, width));
    rows.extend(left(model, run, width));
    if !has_times(run) {
        rows.extend(times(model, run, width));
    }
    if !model.run_dir.is_empty() {
        let look = model.look;
        // Long paths are for copying: broken rather than cut.
        let path = said(&format!("{}/deploy.log", model.run_dir), look.command(), width);
        // The path says itself what it is.
        if rows.len() + path.len() < usize::from(area.height) {
            rows.push(Row::of(" Log and output:", look.dim()));
        }
        rows.extend(path);
    }
    rows_from(rows, model.cursor.detail, area, model, buffer);
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
        format!(" {} {} is live.", slot.0.to_uppercase(), traffic::version(model, run, &slot))
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
        // The rollback's own pane has it, where that is beside.
        let beside = run.tasks.is_empty() && !model.cursor.zoomed;
        let why = if beside { String::new() } else { format!(" Why: {}", rollback.reason) };
        let words = format!("{word} {}{promise}.{why}", took.clock());
        rows.extend(said(&words, look.text(), width));
    }
    rows
}

/// What users met on the new version, by the samples that this screen has.
fn felt(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let felt = run.felt(&model.telemetry);
    let Some((felt, errors)) = felt.and_then(|felt| felt.errors.clone().map(|errors| (felt, errors))) else {
        return Vec::new();
    };
    let version = run.new_version().unwrap_or_default();
    let many = match errors.failed {
        Some(Failed::Counted(counts)) => format!(", {:.0} requests failed", counts.bad),
        Some(Failed::About(failed)) => format!(", about {failed:.0} requests failed"),
        None => String::new(),
    };
    let (lasted, worst) = (felt.lasted().clock(), errors.worst_words());
    let users = if run.rollbacks.is_empty() { "Users have been on" } else { "Users were on" };
    let words = format!("{users} {version} for {lasted}: errors up to {worst}{many}.");
    said(&words, model.look.text(), width)
}

/// What the run's time went to, so that the times of the steps add up to it.
fn spent(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let seconds = |span: Span| Span::from_secs(span.as_secs());
    let sum =
        |spans: &mut dyn Iterator<Item = Span>| spans.map(seconds).fold(Span::ZERO, Span::saturating_add);
    let steps = sum(&mut run.steps.iter().map(|state| state.work.took(model.now)));
    let back = sum(&mut run.rollbacks.iter().filter_map(|it| Some(it.finished.as_ref()?.2)));
    let completion = sum(&mut run.completion.iter().map(|work| work.took(model.now)));
    let known = [("rollback", back), ("completion", completion)];
    let all = known.iter().fold(steps, |all, (_, took)| all.saturating_add(*took));
    let rest = seconds(run.elapsed(model.now)).saturating_sub(all);
    let again = run.steps.iter().any(|state| state.work.attempt > 1 || state.undone);
    let rest_is = if again { "waiting and earlier attempts" } else { "waiting for people" };
    let parts: Vec<String> = known
        .into_iter()
        .chain([(rest_is, rest)])
        .filter(|(_, took)| *took > Span::ZERO)
        .map(|(what, took)| format!("{what} {}", took.clock()))
        .collect();
    if steps == Span::ZERO || parts.is_empty() {
        return Vec::new();
    }
    said(&format!("Steps {}, {}.", steps.clock(), parts.join(", ")), model.look.text(), width)
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
    let checks = run.open_rollback_checks();
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
    let not_undone = run.left_by_rollback();
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
