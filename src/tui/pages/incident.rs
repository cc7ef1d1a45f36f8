//! The incident page: levels, steps of the response, and the message as it would be sent.

use super::super::{
    incident::draft,
    model::{
        Layer, Model,
        form::{Purpose, STATUSES},
    },
    widget::row::{Row, wrap},
};
use crate::{
    config::keymap::KeyAction,
    domain::{
        run::{IncidentState, Run},
        runbook::Incident,
    },
};

/// The incident as declared or as being written.
fn present(model: &Model, run: &Run) -> Option<IncidentState> {
    let writing = model.layers.iter().rev().find_map(|layer| match layer {
        Layer::Form(form) => match &form.purpose {
            Purpose::Incident(draft) => Some((**draft).clone()),
            _ => None,
        },
        _ => None,
    });
    let draft = match (writing, &run.incident) {
        (Some(draft), _) => draft,
        (None, Some(incident)) => return Some(incident.clone()),
        (None, None) => draft(model),
    };
    let level = run.runbook.incident.as_ref()?.levels.get(draft.level).map(|level| level.level.clone());
    Some(IncidentState {
        severity: level.unwrap_or_else(|| "P1".to_owned()),
        title: draft.title,
        impact: draft.impact,
        status: STATUSES.get(draft.status).copied().unwrap_or("Investigating").to_owned(),
        started_at: run
            .incident
            .as_ref()
            .map_or_else(|| run.trouble_since(model.now), |incident| incident.started_at),
        history: Vec::new(),
    })
}

/// The message as it would be sent now.
pub fn message(model: &Model) -> String {
    let Some(run) = &model.run else { return String::new() };
    let mut filled = run.clone();
    filled.incident = present(model, run);
    filled.incident_text().unwrap_or_default()
}

/// The levels with their response times, and who commands.
pub fn head(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let Some(run) = &model.run else { return Vec::new() };
    let Some(incident) = &run.runbook.incident else {
        return vec![Row::of(" The runbook has no [incident].", look.dim())];
    };
    let now = present(model, run);
    let mut rows = Vec::new();
    for level in &incident.levels {
        let chosen = run.incident.is_some() && now.as_ref().is_some_and(|now| now.severity == level.level);
        let style = if chosen { look.alert() } else { look.strong() };
        let row = Row::of(if chosen { " ● " } else { "   " }, style)
            .put(format!("{} {}", level.level, level.title), style)
            .to(16)
            .put(&level.respond, look.text());
        let wide = width > 60;
        let row = if wide {
            row.to(36).put(format!("{}; {}", level.example, level.escalate), look.dim())
        } else {
            row
        };
        rows.push(row.fit(width));
    }
    let lines = wrap(&commander(run, incident), width.saturating_sub(4));
    rows.extend(lines.into_iter().map(|line| Row::of(format!("   {line}"), look.text())));
    rows.push(Row::of(" What to do", look.strong()));
    rows
}

/// Who commands: the runbook's rule, with the one name that this run knows; else who must name somebody.
fn commander(run: &Run, incident: &Incident) -> String {
    let opened = &run.opened.pilot;
    if let Some(rule) = &incident.commander {
        format!("Commander: {rule}; run started by {opened}")
    } else {
        let pilot = run.pilot.as_ref().map_or(opened, |pilot| &pilot.name);
        format!("Commander: none in the runbook; {pilot}, the pilot, names one")
    }
}

/// The steps of incident response, each with its tick, in as many lines as it takes, the selected one marked.
pub fn steps(model: &Model, run: &Run, selected: usize, width: usize) -> Vec<Vec<Row>> {
    let look = model.look;
    let steps = run.runbook.incident.as_ref().map_or(&[][..], |incident| &incident.steps);
    steps
        .iter()
        .zip(&run.incident_steps)
        .enumerate()
        .map(|(at, (step, done))| {
            let (sign, style) = if *done { ("✔", look.ok()) } else { ("○", look.strong()) };
            let text = if *done { look.dim() } else { look.text() };
            let lead = |n| match n {
                0 => Row::of(if at == selected { " ▸ " } else { "   " }, look.edge())
                    .put(sign, style)
                    .put(" ", look.text()),
                _ => Row::of("     ", look.text()),
            };
            let lines = wrap(step, width.saturating_sub(6)).into_iter().enumerate();
            lines.map(|(n, line)| lead(n).put(line, text)).collect()
        })
        .collect()
}

/// The key that edits the message, where it is offered.
fn layer_key(model: &Model) -> Option<String> {
    let on_page = matches!(model.layers.last(), Some(Layer::Page(_))) && !model.looks_only();
    model.live_key(KeyAction::Confirm).filter(|_| on_page)
}

/// The message, line by line, and how the status has gone.
pub fn foot(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let look = model.look;
    let Some(incident) = &run.runbook.incident else { return Vec::new() };
    let channel = incident.channel.as_deref().unwrap_or("the channel");
    let title = match &run.incident {
        Some(declared) => {
            let status = declared.history.iter().map(|(at, status)| format!("{status} {}", at.clock()));
            format!("Message for {channel} ({})", status.collect::<Vec<_>>().join(", "))
        }
        None => format!("Message for {channel}, not declared yet"),
    };
    // The mark is in the list beside: what ENTER is for says so itself.
    let edits = layer_key(model).map(|key| format!("{key} edits: ")).unwrap_or_default();
    let lines = wrap(&format!("{edits}{title}"), width.saturating_sub(2)).into_iter();
    let mut rows: Vec<Row> = lines.map(|line| Row::of(format!(" {line}"), look.strong())).collect();
    for line in message(model).lines() {
        rows.extend(
            wrap(line, width.saturating_sub(4))
                .into_iter()
                .map(|line| Row::of("   ", look.rule()).put(line, look.text())),
        );
    }
    rows
}
