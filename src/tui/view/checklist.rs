//! The checklist: groups and items, and the selected item in full.

use ratatui::{buffer::Buffer, layout::Rect};

use super::rows::{rows_around, rows_from};
use crate::{
    config::keymap::KeyAction,
    domain::{
        actor::Actor,
        check::CheckKind,
        run::{ItemState, ItemStatus, Run},
        runbook::{Group, Item},
    },
    tui::{
        model::{Model, Pane},
        offer::panes,
        widget::row::{Row, wrap},
    },
};

pub(super) fn draw(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut rows = Vec::new();
    let mut focus = 0;
    let selected = model.item_shown();
    for (g, (group, states)) in run.runbook.checklist.iter().zip(&run.items).enumerate() {
        rows.push(heading(model, g, group, states, width));
        for (i, (item, state)) in group.items.iter().zip(states).enumerate() {
            let is_selected = selected == Some((g, i));
            if is_selected {
                focus = rows.len();
            }
            let row = item_row(model, (g, i), item, state, is_selected, width);
            let focused = is_selected && model.cursor.focus == Pane::Work && model.layers.is_empty();
            rows.push(if focused { row.over(model.look.selected()) } else { row });
        }
    }
    rows_around(rows, focus, area, model, buffer);
}

fn heading(model: &Model, g: usize, group: &Group, states: &[ItemState], width: usize) -> Row {
    let look = model.look;
    let done = (0..states.len()).filter(|i| settled(model, g, *i)).count();
    let all = states.len();
    let (count, style) = if done == all {
        (format!("{done}/{all} ✔ "), look.ok())
    } else {
        (format!("{done}/{all}   "), look.text())
    };
    Row::of(format!(" {}", group.title), look.strong()).right(Row::of(count, style), width)
}

fn settled(model: &Model, g: usize, i: usize) -> bool {
    let (status, too_old) = model.item_status(g, i);
    matches!(status, ItemStatus::Holds | ItemStatus::Waived) && !too_old
}

fn item_row(
    model: &Model,
    (g, i): (usize, usize),
    item: &Item,
    state: &ItemState,
    selected: bool,
    width: usize,
) -> Row {
    let look = model.look;
    let person = item.check.kind.is_person() || state.asks;
    let (status, too_old) = model.item_status(g, i);
    let by = state.by.as_ref().map_or("", Actor::as_str);
    let (sign, style, word) = match (status, too_old) {
        (_, true) => ("◌", look.warn(), "too old".to_owned()),
        (ItemStatus::Holds, _) => ("✔", look.ok(), by.to_owned()),
        (ItemStatus::Waived, _) => ("–", look.dim(), "not needed".to_owned()),
        (ItemStatus::Fails, _) => ("✖", look.alert(), "FAILS".to_owned()),
        (ItemStatus::Open, _) if person => ("○", look.strong(), "you".to_owned()),
        (ItemStatus::Open, _) if waits_for(model, &item.check.kind).is_some() => {
            ("○", look.dim(), "waits".to_owned())
        }
        (ItemStatus::Open, _) => ("○", look.dim(), "looking…".to_owned()),
    };
    // Many a text says so itself.
    let says = item.text.contains("(if ");
    let optional = if item.optional && !says && status == ItemStatus::Open { " (if needed)" } else { "" };
    let text = if settled(model, g, i) { look.dim() } else { look.text() };
    let left = Row::of(if selected { " ▸ " } else { "   " }, look.edge())
        .put(sign, style)
        .put(" ", look.text())
        .put(&item.text, text)
        .put(optional, look.dim());
    let style = if status == ItemStatus::Fails || too_old { style } else { look.dim() };
    left.right(Row::of(word, style).put(" ", look.text()), width)
}

fn waits_for<'a>(model: &'a Model, check: &CheckKind) -> Option<&'a str> {
    model.run.as_ref()?.waits_for_answer(check)
}

/// The selected item: what must be true, who said so or what was seen, and what can be done about it.
pub(super) fn draw_item(model: &Model, run: &Run, area: Rect, buffer: &mut Buffer) {
    let look = model.look;
    let width = usize::from(area.width);
    let Some((g, i)) = model.item_shown() else {
        return Row::of(" This runbook has no checklist.", look.dim()).draw(area, buffer);
    };
    let (item, state) = (&run.runbook.checklist[g].items[i], &run.items[g][i]);
    let mut rows: Vec<Row> = Vec::new();
    let mut say = |text: &str, style| {
        rows.extend(
            wrap(text, width.saturating_sub(2)).into_iter().map(|line| Row::of(format!(" {line}"), style)),
        );
    };
    say(&item.text, look.strong());
    say("", look.text());
    let (status, too_old) = model.item_status(g, i);
    let by = state.by.as_ref().map_or("", Actor::as_str);
    let ago = format!("{} ago", model.now.since(state.at).short());
    match status {
        ItemStatus::Open if state.asks => {
            say("○ open: can't be checked from here; look yourself and write what you saw", look.warn());
        }
        ItemStatus::Open if item.check.kind.is_person() => {
            say("○ open: look yourself, then tick it", look.text());
        }
        ItemStatus::Open => match waits_for(model, &item.check.kind) {
            Some(name) => say(&format!("○ waits for your answer: {name}"), look.text()),
            None => say("○ not checked yet", look.text()),
        },
        ItemStatus::Holds if too_old => {
            say(&format!("◌ passed {ago}: too old, check it again"), look.warn());
        }
        ItemStatus::Holds if state.by == Some(Actor::Auto) => {
            say(&format!("✔ passed, automatic, {ago}"), look.ok());
        }
        ItemStatus::Holds => say(&format!("✔ ticked by {by}, {ago}"), look.ok()),
        ItemStatus::Fails => say(&format!("✖ failed, checked {ago}"), look.alert()),
        ItemStatus::Waived => say(&format!("– not needed: {by}, {ago}"), look.text()),
    }
    if let Some(note) = state.note.as_deref().filter(|note| !note.is_empty()) {
        say(note, if status == ItemStatus::Fails { look.alert() } else { look.text() });
    }
    say("", look.text());
    if !item.check.kind.is_person() {
        say(&how(run, &item.check.kind), look.dim());
        if !state.asks {
            say(&format!("Valid for {}, then it is checked again.", item.valid_for), look.dim());
        }
    }
    if item.optional {
        say("Optional: the steps can start without it.", look.dim());
    }
    let keys: &[(KeyAction, &str)] = if status == ItemStatus::Waived {
        &[(KeyAction::Tick, "needed after all")]
    } else if item.check.kind.is_person() && status == ItemStatus::Holds {
        &[(KeyAction::Tick, "unticks it"), (KeyAction::NotNeeded, "marks it as not needed")]
    } else if state.asks {
        &[
            (KeyAction::Tick, "ticks it, with a note"),
            (KeyAction::Recheck, "checks again now"),
            (KeyAction::NotNeeded, "marks it as not needed"),
        ]
    } else if item.check.kind.is_person() {
        &[
            (KeyAction::Tick, "ticks it"),
            (KeyAction::Note, "ticks it with a note"),
            (KeyAction::NotNeeded, "marks it as not needed"),
        ]
    } else {
        &[(KeyAction::Recheck, "checks again now"), (KeyAction::NotNeeded, "marks it as not needed")]
    };
    // Only keys that do this now: in a dialog they are letters, and before an answer some are not offered.
    let live = keys.iter().filter(|(action, _)| model.live_key(*action).is_some());
    let live = live.filter_map(|(action, words)| Some(format!("{} {words}", panes::label(model, *action)?)));
    let keys = live.collect::<Vec<_>>().join(", ");
    say("", look.text());
    say(&keys, look.dim());
    rows_from(rows, model.cursor.detail, area, model, buffer);
}

/// How a check finds out, in a few words.
fn how(run: &Run, kind: &CheckKind) -> String {
    match kind {
        CheckKind::Person => "Manual check.".to_owned(),
        CheckKind::Http(request) => format!("Requests {} {}.", request.method, run.show(&request.url)),
        CheckKind::Tls { host, port, days } => {
            format!("Checks that the certificate of {}:{port} is valid for {days} more days.", run.show(host))
        }
        CheckKind::Dns { name, expect } => {
            format!("Checks that {} resolves to {}.", run.show(name), run.show(expect))
        }
        CheckKind::Metric { metric, .. } => format!("Checks the metric {metric}."),
        CheckKind::Sh { script, .. } => format!("Runs: {script}"),
        CheckKind::Headroom { replicas, .. } => {
            format!("Checks that the nodes have room for {replicas} more pods.")
        }
        CheckKind::Allowed { right } => {
            format!("Asks the API server. Purpose: {}. Without it: {}.", right.what_for, right.without)
        }
        CheckKind::Rollout { .. }
        | CheckKind::PodsReady { .. }
        | CheckKind::TrafficOn { .. }
        | CheckKind::ScaledTo { .. }
        | CheckKind::Logs { .. } => "Reads from the cluster.".to_owned(),
    }
}
