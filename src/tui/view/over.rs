//! The end: tasks that are left, and how it went.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{body::rows_around, rollback, steps};
use crate::{
    domain::{event::Outcome, run::Run},
    tui::{
        model::{Model, Pane},
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

pub(super) fn draw_summary(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(area.width);
    let mut rows: Vec<Row> = Vec::new();
    let mut say = |text: &str, style| {
        rows.extend(
            wrap(text, width.saturating_sub(2)).into_iter().map(|line| Row::of(format!(" {line}"), style)),
        );
    };
    if let Some((outcome, at, detail)) = &run.finished {
        let style = match outcome {
            Outcome::Succeeded => look.ok(),
            Outcome::Held | Outcome::RolledBack => look.warn(),
            _ => look.alert(),
        };
        let sign = match outcome {
            Outcome::Succeeded => "✔",
            Outcome::RolledBack => "↶",
            Outcome::Held => "–",
            _ => "✖",
        };
        say(
            &format!(
                "{sign} {} at {} UTC, after {}",
                story::outcome_words(*outcome),
                at.clock(),
                run.elapsed(model.now).clock()
            ),
            style,
        );
        // After a rollback its own sentence says why.
        if !detail.is_empty() && *outcome != Outcome::RolledBack {
            say(detail, look.text());
        }
        let traffic = match (subject::live(model), run.new_version(), run.previous_version()) {
            (Some(slot), Some(new), _) if run.opened.new_slot.as_ref() == Some(&slot) => {
                format!("Traffic: {} with {new}.", slot.0.to_uppercase())
            }
            (Some(slot), _, Some(old)) => format!("Traffic: {} with {old}.", slot.0.to_uppercase()),
            _ => String::new(),
        };
        if !traffic.is_empty() {
            say(&traffic, look.strong());
        }
    }
    if let Some(rollback) = run.rollbacks.last()
        && let Some((ok, _, took)) = &rollback.finished
    {
        let promise =
            rollback.within.map(|within| format!(", promised within {}", within.clock())).unwrap_or_default();
        let word = if *ok { "Rolled back" } else { "Rollback failed" };
        say(&format!("{word} in {}{promise}: {}", took.clock(), rollback.reason), look.text());
    }
    let lost = run.notices.iter().filter(|notice| !notice.ok).count();
    if lost > 0 {
        say(&format!("{lost} notices could not be sent: tell the team yourself."), look.warn());
    }
    if !model.run_dir.is_empty() {
        say("", look.text());
        say("The log, and all output beside it:", look.dim());
        // Long paths are for copying: broken rather than cut.
        say(&format!("{}/deploy.log", model.run_dir), look.command());
    }
    rows_around(rows, 0, area, model, buffer);
}
