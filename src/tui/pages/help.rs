//! The help page: what each key does now, every key there is, the signs and the commands.

use super::super::{
    commands,
    model::Model,
    offer::{self, By},
    widget::row::{Row, wrap},
};
use crate::config::keymap::{Context, KeyAction};

/// What every key does at this moment, where help was asked for: exactly what is offered there, in its words.
fn now(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let (offers, context) = offer::beneath_help(model);
    let mut rows = vec![Row::of(" Now", look.strong())];
    // Keys that only move share a line with their like, as on the keyboard.
    let mut moves: Vec<(&'static str, Vec<String>, Vec<&'static str>)> = Vec::new();
    for offer in offers {
        let Some(label) = offer.label_in(model, context) else { continue };
        let By::Key(action) = offer.by else {
            rows.extend(key_rows(model, &label, offer.words.first().map_or("", String::as_str), width));
            continue;
        };
        match offer.words.first() {
            Some(words) => rows.extend(key_rows(model, &label, words, width)),
            None if offer.word.is_empty() => {
                match moves.iter_mut().find(|(word, ..)| *word == action.word()) {
                    Some((_, keys, abouts)) => {
                        keys.push(label);
                        abouts.push(action.about());
                    }
                    None => moves.push((action.word(), vec![label], vec![action.about()])),
                }
            }
            None => rows.extend(key_rows(model, &label, action.about(), width)),
        }
    }
    for (_, keys, abouts) in moves {
        rows.extend(key_rows(model, &keys.join(" "), &abouts.join(", "), width));
    }
    rows.push(Row::new());
    rows
}

/// Whether a place on the screen can have the keys at all: what acts on a run is not there in a replay.
fn has_keys(model: &Model, context: Context) -> bool {
    match context {
        Context::Checklist | Context::Steps | Context::Tasks | Context::Incident => !model.replays(),
        Context::Replay => model.replays(),
        Context::Global | Context::Logs | Context::Metrics | Context::Dialog | Context::Input => true,
    }
}

/// Where the words stand that say what a key does.
fn key_column(width: usize) -> usize {
    if width < 60 { 10 } else { 19 }
}

/// A key and what it does, in as many lines as that takes.
fn key_rows(model: &Model, keys: &str, about: &str, width: usize) -> Vec<Row> {
    let look = model.look;
    let column = key_column(width);
    let mut rows = Vec::new();
    let mut keys = wrap(keys, column - 4).into_iter();
    let mut lines = wrap(about, width.saturating_sub(column + 1)).into_iter();
    loop {
        let (left, right) = (keys.next(), lines.next());
        if left.is_none() && right.is_none() {
            return rows;
        }
        let row = Row::of("   ", look.text()).put(left.unwrap_or_default(), look.key());
        rows.push(row.fill(column, look.text()).put(right.unwrap_or_default(), look.text()));
    }
}

/// What can be done now; then every key, from the bindings; then the signs and the commands.
pub(super) fn rows(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let mut rows = now(model, width);
    for (context, hints) in model.options.keymap.help() {
        if hints.is_empty() || !has_keys(model, context) {
            continue;
        }
        rows.push(Row::of(format!(" {}", context.title()), look.strong()));
        for hint in hints {
            let mut keys: Vec<String> = hint.keys.iter().map(ToString::to_string).collect();
            if hint.actions.iter().any(|action| matches!(action, KeyAction::Pane(_))) {
                keys = vec![hint.label.clone()];
            }
            rows.extend(key_rows(model, &keys.join(" "), &hint.about, width));
        }
        rows.push(Row::new());
    }
    rows.push(Row::of(" Signs", look.strong()));
    let signs = [
        ("✔", look.ok(), "passed, done"),
        ("✖", look.alert(), "failed"),
        ("○", look.text(), "open"),
        ("◌", look.warn(), "not yet, or too old"),
        ("▶", look.strong(), "running, or next"),
        ("–", look.dim(), "skipped, not needed"),
        ("↶", look.warn(), "rolled back"),
        ("?", look.alert(), "started, outcome unknown"),
        ("●", look.ok(), "a pod that is ready"),
        ("◀", look.text(), "this slot has the traffic"),
    ];
    let column = key_column(width);
    for (sign, style, what) in signs {
        let mut left = Row::of("   ", look.text()).put(sign, style);
        for line in wrap(what, width.saturating_sub(column + 1)) {
            rows.push(std::mem::take(&mut left).fill(column, look.text()).put(line, look.text()));
        }
    }
    rows.push(Row::new());
    rows.push(Row::of(" Commands", look.strong()));
    for (name, takes, what) in commands::all(model.replays()) {
        let left =
            Row::of("   :", look.key()).put(*name, look.key()).put(" ", look.text()).put(*takes, look.dim());
        // On narrow screens below it, since half of a sentence is none.
        let column = if width < 60 { 10 } else { 26 };
        let mut lines = wrap(what, width.saturating_sub(column + 1)).into_iter();
        if left.width() < column {
            let first = lines.next().unwrap_or_default();
            rows.push(left.fill(column, look.text()).put(first, look.text()));
        } else {
            rows.push(left);
        }
        rows.extend(lines.map(|line| Row::new().fill(column, look.text()).put(line, look.text())));
    }
    rows
}
