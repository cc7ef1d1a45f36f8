//! The monitored window: its checks, and what to do about those that fail.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{rows::rows_around, table};
use crate::{
    domain::{
        claim::{Stage, Standing},
        metric::Verdict,
        run::Run,
        runbook::Step,
    },
    tui::{
        evidence,
        model::Model,
        subject,
        widget::row::{Row, wrap},
    },
};

fn step(run: &Run) -> Option<(usize, &Step)> {
    let index = run.current()?;
    Some((index, run.runbook.steps.get(index)?))
}

pub(super) fn title(model: &Model, run: &Run) -> (String, Option<Row>) {
    let title = step(run).map_or_else(String::new, |(index, step)| format!("{} {}", index + 1, step.title));
    // The heads stand over their columns, whose width is the screen's.
    (title, table::heads(model, usize::from(model.size.0)))
}

/// Checks and metrics as one table.
pub(super) fn draw_checks(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    if let Some((_, declared)) = step(run) {
        table::draw(model, run, declared, area, buffer);
    }
}

/// What the runbook says to do now: about metrics that are not normal first, then its guidance, then its triggers and notes.
pub(super) fn draw_advice(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(area.width);
    let Some((_, declared)) = step(run) else { return };
    let mut rows: Vec<Row> = Vec::new();
    let mut say = |sign: &str, text: &str, style| {
        rows.extend(wrap(text, width.saturating_sub(4)).into_iter().enumerate().map(|(n, line)| {
            Row::of(if n == 0 { format!(" {sign} ") } else { "   ".to_owned() }, style).put(line, look.text())
        }));
    };
    let slot = subject::live(model);
    for metric in &run.runbook.metrics {
        let reading = model.measured().reading(metric, slot.as_ref(), model.measured_at());
        if reading.verdict == Verdict::Alert
            && let Some(action) = &metric.action
        {
            say("!", &format!("{}: {action}", metric.title), look.alert());
        }
    }
    let (earnest, calm): (Vec<Standing>, Vec<Standing>) =
        evidence::standings(model, run).into_iter().partition(evidence::is_earnest);
    for standing in &earnest {
        let (sign, style) =
            if standing.stage == Stage::Worse { ("✖", look.alert()) } else { ("!", look.warn()) };
        say(sign, &evidence::words(run, standing).unwrap_or_default(), style);
    }
    let troubled = run.triggers.iter().any(|state| state.breaching.is_some());
    for advice in &declared.on_failure {
        let style = if troubled { look.strong() } else { look.dim() };
        say("→", &format!("if a check fails: {advice}"), style);
    }
    for standing in &calm {
        let (sign, style) =
            if standing.stage == Stage::TooLittle { ("?", look.warn()) } else { ("·", look.dim()) };
        say(sign, &evidence::words(run, standing).unwrap_or_default(), style);
    }
    for (trigger, watch) in
        run.runbook.triggers.iter().filter_map(|trigger| Some((trigger, trigger.watch.as_ref()?)))
    {
        say("·", &format!("{}: {}", trigger.reason, evidence::then_words(watch.then)), look.dim());
    }
    for note in &declared.notes {
        say("·", note, look.dim());
    }
    rows_around(rows, 0, area, model, buffer);
}
