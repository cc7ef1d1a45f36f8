//! The monitored window: its checks, and what to do about those that do not hold.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{body::rows_around, checks::Checks, header::watched};
use crate::{
    config::keymap::KeyAction,
    domain::{
        event::Place,
        metric::Verdict,
        run::Run,
        runbook::{Step, Then},
    },
    tui::{
        model::Model,
        subject,
        update::check_due,
        widget::{
            meter,
            row::{Row, wrap},
        },
    },
};

fn step(run: &Run) -> Option<(usize, &Step)> {
    let index = run.current()?;
    Some((index, run.runbook.steps.get(index)?))
}

pub(super) fn title(run: &Run) -> (String, Option<Row>) {
    (step(run).map_or_else(String::new, |(index, step)| format!("{} {}", index + 1, step.title)), None)
}

/// Each check with what is seen now; below them how much of the window is over, where there is room.
pub(super) fn draw_checks(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let Some((index, declared)) = step(run) else { return };
    let width = usize::from(area.width);
    let place = Place::Step { step: declared.id.clone() };
    let selected = check_due(model).filter(|_| model.layers.is_empty()).map(|(.., check)| check);
    let list = Checks { model, step: Some(declared.id.clone()), strict: true, selected };
    let mut rows = list.rows(run, &place, &run.steps[index].work, width);
    if let Some(window) = declared.window
        && rows.len() + 3 <= usize::from(area.height)
    {
        let look = model.look;
        let watched = watched(model, index).min(window.lasts);
        let left = window.lasts.saturating_sub(watched);
        rows.push(Row::new());
        let bar = meter::bar(watched.as_millis(), window.lasts.as_millis(), width.saturating_sub(4));
        rows.push(Row::of("  ", look.text()).put(bar, look.text()));
        let words = format!("  {} to go, counting only time with data", left.clock());
        rows.push(Row::of(words, look.dim()).fit(width));
    }
    rows_around(rows, selected.unwrap_or(0), area, model, buffer);
}

/// What the runbook says to do now: about metrics that are not normal first, then its guidance, then where to look.
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
        let reading = model.telemetry.reading(metric, slot.as_ref(), model.now);
        if reading.verdict == Verdict::Alert
            && let Some(action) = &metric.action
        {
            say("!", &format!("{}: {action}", metric.title), look.alert());
        }
    }
    let troubled = run.triggers.iter().any(|state| state.breaching.is_some());
    if troubled {
        for advice in &declared.on_failure {
            say("→", advice, look.strong());
        }
    }
    let key = |action| model.key(action);
    for (trigger, watch) in
        run.runbook.triggers.iter().filter_map(|trigger| Some((trigger, trigger.watch.as_ref()?)))
    {
        let then = match watch.then {
            Then::Ask => "you are asked".to_owned(),
            Then::Countdown(whole) => format!("{whole} countdown, then rollback"),
            Then::Rollback => "rollback at once".to_owned(),
        };
        say("·", &format!("{}: {then}", trigger.reason), look.dim());
    }
    if !troubled {
        for advice in &declared.on_failure {
            say("→", &format!("if a check fails: {advice}"), look.dim());
        }
    }
    for note in &declared.notes {
        say("·", note, look.dim());
    }
    say(
        "·",
        &format!(
            "logs {}   links {}   contacts {}   incident {}",
            key(KeyAction::Logs),
            key(KeyAction::Links),
            key(KeyAction::Contacts),
            key(KeyAction::Incident)
        ),
        look.dim(),
    );
    rows_around(rows, 0, area, model, buffer);
}
