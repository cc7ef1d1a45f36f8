//! What stands on the pages, as lines: for drawing, for searching and for copying.

use super::{
    model::{
        Model,
        form::{Purpose, STATUSES},
        page::{Page, PageKind},
    },
    story, subject,
    update::{COMMANDS, draft},
    widget::row::{Row, wrap},
};
use crate::{
    config::keymap::KeyAction,
    domain::{
        id::SlotName,
        run::{IncidentState, Run, TaskState},
        time::Timestamp,
    },
};

/// Columns and lines that a page has on a screen of this size, without alerts.
pub fn room(size: (u16, u16)) -> (usize, usize) {
    (usize::from(size.0), usize::from(size.1.saturating_sub(9)))
}

/// A page's title.
pub fn title(model: &Model, kind: &PageKind) -> String {
    match kind {
        PageKind::Help => "Keys and signs".to_owned(),
        PageKind::Contacts => "Whom to call".to_owned(),
        PageKind::Links => "Where to look".to_owned(),
        PageKind::Tasks => "Tasks for later".to_owned(),
        PageKind::Inbox => "Notices to the team".to_owned(),
        PageKind::Story => "What has happened".to_owned(),
        PageKind::Missed => match model.missed {
            Some((from, to)) => format!("While nobody was at the controls: {}", to.since(from).clock()),
            None => "While nobody was at the controls".to_owned(),
        },
        PageKind::Crew => "At the screens of this run".to_owned(),
        PageKind::Alerts => "Everything that is wrong now".to_owned(),
        PageKind::Metrics => "Metrics".to_owned(),
        PageKind::Logs { slot, pod: None } => format!("Log of {}", slot.0.to_uppercase()),
        PageKind::Logs { slot, pod: Some(pod) } => format!("Log of {} in {}", pod, slot.0.to_uppercase()),
        PageKind::Output(at) => {
            let name = model.run.as_ref().map(|run| story::action_name(run, at)).unwrap_or_default();
            format!("Output of: {name}")
        }
        PageKind::Incident => "Incident".to_owned(),
    }
}

/// How many lines can be selected on a page.
pub fn selectable(model: &Model, page: &Page) -> usize {
    let Some(run) = &model.run else { return 0 };
    match page.kind {
        PageKind::Tasks => run.tasks.len(),
        PageKind::Incident => run.incident_steps.len(),
        PageKind::Metrics => run.runbook.metrics.len(),
        PageKind::Links => run.runbook.links.len(),
        PageKind::Contacts => run.runbook.contacts.len(),
        _ => 0,
    }
}

/// The line of the selected one.
pub fn line_of(model: &Model, page: &Page, width: usize) -> usize {
    match page.kind {
        // Below the levels and the text.
        PageKind::Incident => incident_head(model, width).len() + page.selected,
        _ => page.selected,
    }
}

/// A page's lines.
pub fn rows(model: &Model, page: &Page, width: usize) -> Vec<Row> {
    let Some(run) = &model.run else { return Vec::new() };
    let look = model.look;
    let mark = |index: usize, row: Row| {
        if index == page.selected { row.fill(width.min(400), look.text()).over(look.selected()) } else { row }
    };
    match &page.kind {
        PageKind::Help => help(model, width),
        PageKind::Contacts => {
            contacts(model, run).into_iter().enumerate().map(|(n, row)| mark(n, row)).collect()
        }
        PageKind::Links => {
            let wide = run.runbook.links.iter().map(|link| link.name.len()).max().unwrap_or(0).min(30);
            let row = |link: &crate::domain::runbook::Link| {
                Row::of(format!(" {:<wide$}  ", link.name), look.strong()).put(&link.url, look.command())
            };
            let mut rows: Vec<Row> =
                run.runbook.links.iter().map(row).enumerate().map(|(n, row)| mark(n, row)).collect();
            for (kind, path) in &run.runbook.document.related {
                rows.push(
                    Row::of(format!(" {:<wide$}  ", kind.replace('_', " ")), look.text())
                        .put(path, look.dim()),
                );
            }
            rows
        }
        PageKind::Tasks if run.tasks.is_empty() => {
            let later = run.runbook.tasks.iter().map(|task| {
                Row::of(" ○ ", look.dim())
                    .put(&task.text, look.text())
                    .put(format!("  within {} of the end", task.due), look.dim())
            });
            later.collect()
        }
        PageKind::Tasks => task_rows(model, run, Some(page.selected), width),
        PageKind::Inbox if run.notices.is_empty() => vec![Row::of(" Nothing was told yet.", look.dim())],
        PageKind::Inbox => {
            let notices = run.notices.iter().flat_map(|notice| {
                let words =
                    if notice.ok { notice.text.clone() } else { format!("NOT SENT: {}", notice.text) };
                let mut rows = stamped(model, &notice.at.clock(), &words, width);
                rows.push(Row::of("           ", look.dim()).put(&notice.detail, look.dim()));
                rows
            });
            notices.collect()
        }
        PageKind::Story => {
            let sentences = model.story.iter();
            sentences.flat_map(|(at, text)| stamped(model, &at.clock(), text, width)).collect()
        }
        PageKind::Missed => missed_rows(model, width),
        PageKind::Crew => crew_rows(model),
        PageKind::Alerts => alerts(model, width),
        PageKind::Metrics => Vec::new(),
        PageKind::Logs { slot, .. } => log_rows(model, slot),
        PageKind::Output(at) => match model.telemetry.output(at) {
            Some(output) => {
                let mut rows = Vec::new();
                if output.dropped > 0 {
                    rows.push(Row::of(
                        format!(" … {} earlier lines are only in the file", output.dropped),
                        look.dim(),
                    ));
                }
                rows.extend(
                    output
                        .lines
                        .iter()
                        .chain(&output.partial)
                        .map(|line| Row::of(" ", look.text()).join(Row::from(line))),
                );
                rows
            }
            None => vec![Row::of(" Nothing was printed.", look.dim())],
        },
        PageKind::Incident => {
            let mut rows = incident_head(model, width);
            rows.extend(incident_steps(model, run).into_iter().enumerate().map(|(n, row)| mark(n, row)));
            rows.extend(incident_foot(model, run, width));
            rows
        }
    }
}

/// What happened since the pilot's screen went, and what there is to do now.
fn missed_rows(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let Some((from, to)) = model.missed else {
        return vec![Row::of(" Somebody was there all the time.", look.dim())];
    };
    let happened: Vec<&(Timestamp, String)> =
        model.story.iter().filter(|(at, _)| *at >= from && *at <= to).collect();
    let mut rows: Vec<Row> =
        happened.iter().flat_map(|(at, text)| stamped(model, &at.clock(), text, width)).collect();
    if happened.len() <= 2 {
        rows.push(Row::of(" Nothing else: the engine watched, and nothing new was started.", look.dim()));
    }
    let now = match model.pilot() {
        _ if !model.looks_only() => " You have the controls now.".to_owned(),
        Some(pilot) => format!(" {pilot} has the controls now."),
        None => " Nobody has the controls yet.".to_owned(),
    };
    rows.push(Row::new());
    rows.push(Row::of(now, look.strong()));
    rows
}

/// Everybody at a screen, in the order they came.
fn crew_rows(model: &Model) -> Vec<Row> {
    let look = model.look;
    let mut rows: Vec<Row> = (model.members.iter())
        .map(|member| {
            let own = if Some(member.id) == model.you { "  this screen" } else { "" };
            Row::of(format!(" {:10}", member.role.word()), look.dim())
                .put(member.person.to_string(), look.strong())
                .put(own, look.dim())
        })
        .collect();
    if model.pilot().is_none() {
        rows.push(Row::of(" Nobody has the controls.", look.warn()));
    }
    rows
}

fn stamped(model: &Model, time: &str, text: &str, width: usize) -> Vec<Row> {
    let look = model.look;
    let style = if text.chars().take_while(|c| *c != ':').filter(|c| c.is_uppercase()).count() > 4 {
        look.strong()
    } else {
        look.text()
    };
    wrap(text, width.saturating_sub(12))
        .into_iter()
        .enumerate()
        .map(|(n, line)| {
            Row::of(if n == 0 { format!(" {time}  ") } else { " ".repeat(11) }, look.dim()).put(line, style)
        })
        .collect()
}

/// A slot's log as last asked for.
pub fn log_rows(model: &Model, slot: &SlotName) -> Vec<Row> {
    let look = model.look;
    match model.telemetry.logs.get(slot) {
        None => vec![Row::of(" Asking for it …", look.dim())],
        Some(Err(why)) => vec![Row::of(" ✖ ", look.alert()).put(why, look.alert())],
        Some(Ok(lines)) if lines.is_empty() => vec![Row::of(" The log is empty.", look.dim())],
        Some(Ok(lines)) => {
            let deployment = model.telemetry.workload.as_ref().and_then(|workload| workload.slots.get(slot));
            let deployment = deployment.map_or("", |slot| slot.deployment.as_str());
            lines
                .iter()
                .map(|line| {
                    let pod = subject::short_pod(deployment, &line.pod);
                    let text = line.text.to_lowercase();
                    let bad = ["error", "fatal", "panic", "exception"].iter().any(|word| text.contains(word));
                    Row::of(format!(" {pod} "), look.dim())
                        .put(&line.text, if bad { look.warn() } else { look.text() })
                })
                .collect()
        }
    }
}

fn alerts(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let all = super::alerts::all(model);
    if all.is_empty() {
        return vec![Row::of(" Nothing is wrong.", look.ok())];
    }
    let mut rows = Vec::new();
    for alert in all {
        let (sign, style) = if alert.urgent { (" ✖ ", look.alert()) } else { (" ! ", look.warn()) };
        for (n, line) in wrap(&alert.headline, width.saturating_sub(4)).into_iter().enumerate() {
            rows.push(Row::of(if n == 0 { sign } else { "   " }, style).put(line, style));
        }
        for line in wrap(&alert.follows, width.saturating_sub(4)) {
            rows.push(Row::of("   ", look.text()).put(line, look.text()));
        }
        rows.push(Row::new());
    }
    rows
}

fn contacts(model: &Model, run: &Run) -> Vec<Row> {
    let look = model.look;
    let wide =
        run.runbook.contacts.iter().map(|contact| contact.role.chars().count()).max().unwrap_or(0).min(28);
    let row = |contact: &crate::domain::runbook::Contact| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Row::of(format!(" {:<wide$}  ", contact.role), look.strong())
            .put(format!("{:<16}", text(&contact.name)), look.text())
            .put(format!("{:<16}", text(&contact.slack)), look.key())
            .put(text(&contact.phone), look.text())
    };
    run.runbook.contacts.iter().map(row).collect()
}

/// Every key, from the bindings; then the signs and the commands.
fn help(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let mut rows = Vec::new();
    for (context, hints) in model.options.keymap.help() {
        if hints.is_empty() {
            continue;
        }
        rows.push(Row::of(format!(" {}", context.title()), look.strong()));
        for hint in hints {
            let mut keys: Vec<String> = hint.keys.iter().map(ToString::to_string).collect();
            if hint.actions.iter().any(|action| matches!(action, KeyAction::Pane(_))) {
                keys = vec![hint.label.clone()];
            }
            let keys = keys.join(" ");
            let lines = wrap(&hint.about, width.saturating_sub(20));
            rows.extend(lines.into_iter().enumerate().map(|(n, line)| {
                Row::of("   ", look.text())
                    .put(if n == 0 { keys.as_str() } else { "" }, look.key())
                    .to(19)
                    .put(line, look.text())
            }));
        }
        rows.push(Row::new());
    }
    rows.push(Row::of(" Signs", look.strong()));
    let signs = [
        ("✔", look.ok(), "holds, passed, done"),
        ("✖", look.alert(), "failed, does not hold"),
        ("○", look.text(), "open"),
        ("◌", look.warn(), "not yet, or too old"),
        ("▶", look.strong(), "under way, or next"),
        ("–", look.dim(), "left out, not needed"),
        ("?", look.alert(), "started, and nobody knows how it ended"),
        ("●", look.ok(), "a pod that is ready"),
        ("◀", look.text(), "this slot has the traffic"),
    ];
    rows.extend(signs.map(|(sign, style, what)| {
        Row::of("   ", look.text()).put(sign, style).to(19).put(what, look.text())
    }));
    rows.push(Row::new());
    rows.push(Row::of(" Commands", look.strong()));
    for (name, takes, what) in COMMANDS {
        let row =
            Row::of("   :", look.key()).put(*name, look.key()).put(" ", look.text()).put(*takes, look.dim());
        rows.push(row.to(26).put(*what, look.text()));
    }
    rows
}

/// The incident as declared or as being written.
fn incident_now(model: &Model, run: &Run) -> Option<IncidentState> {
    let writing = model.layers.iter().rev().find_map(|layer| match layer {
        super::model::Layer::Form(form) => match &form.purpose {
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
        started_at: run.incident.as_ref().map_or(model.now, |incident| incident.started_at),
        history: Vec::new(),
    })
}

/// The message as it would be sent now.
pub fn incident_message(model: &Model) -> String {
    let Some(run) = &model.run else { return String::new() };
    let mut filled = run.clone();
    filled.incident = incident_now(model, run);
    filled.incident_text().unwrap_or_default()
}

/// The levels with their response times, and who commands.
pub fn incident_head(model: &Model, width: usize) -> Vec<Row> {
    let look = model.look;
    let Some(run) = &model.run else { return Vec::new() };
    let Some(incident) = &run.runbook.incident else {
        return vec![Row::of(" The runbook says nothing about incidents.", look.dim())];
    };
    let now = incident_now(model, run);
    let mut rows = Vec::new();
    for level in &incident.levels {
        let chosen = run.incident.is_some() && now.as_ref().is_some_and(|now| now.severity == level.level);
        let style = if chosen { look.alert() } else { look.strong() };
        let row = Row::of(if chosen { " ▸ " } else { "   " }, look.edge())
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
    if let Some(commander) = &incident.commander {
        rows.push(Row::of(format!("   Incident commander: {commander}"), look.dim()).fit(width));
    }
    rows.push(Row::of(" What to do", look.strong()));
    rows
}

/// The steps of incident response, each with its tick.
pub fn incident_steps(model: &Model, run: &Run) -> Vec<Row> {
    let look = model.look;
    let steps = run.runbook.incident.as_ref().map_or(&[][..], |incident| &incident.steps);
    steps
        .iter()
        .zip(&run.incident_steps)
        .map(|(step, done)| {
            let (sign, style) = if *done { ("✔", look.ok()) } else { ("○", look.strong()) };
            Row::of("   ", look.text())
                .put(sign, style)
                .put(" ", look.text())
                .put(step, if *done { look.dim() } else { look.text() })
        })
        .collect()
}

/// The message, line by line, and how the status has gone.
pub fn incident_foot(model: &Model, run: &Run, width: usize) -> Vec<Row> {
    let look = model.look;
    let Some(incident) = &run.runbook.incident else { return Vec::new() };
    let channel = incident.channel.as_deref().unwrap_or("the channel");
    let head = match &run.incident {
        Some(declared) => {
            let status = declared.history.iter().map(|(at, status)| format!("{status} {}", at.clock()));
            format!(" Message for {channel}  ({})", status.collect::<Vec<_>>().join(", "))
        }
        None => format!(" Message for {channel}, not declared yet"),
    };
    let mut rows = vec![Row::of(head, look.strong()).fit(width)];
    for line in incident_message(model).lines() {
        rows.extend(
            wrap(line, width.saturating_sub(4))
                .into_iter()
                .map(|line| Row::of("   ", look.rule()).put(line, look.text())),
        );
    }
    rows
}

/// The tasks as lines.
pub fn task_rows(model: &Model, run: &Run, selected: Option<usize>, width: usize) -> Vec<Row> {
    let look = model.look;
    let rows = run.tasks.iter().enumerate().map(|(index, task)| {
        let (sign, style) = if task.done.is_some() { ("✔", look.ok()) } else { ("○", look.strong()) };
        let text = if task.done.is_some() { look.dim() } else { look.text() };
        let left = Row::of(" ", look.text()).put(sign, style).put(" ", look.text()).put(&task.text, text);
        let right = match &task.done {
            Some((by, _)) => Row::of(by, look.dim()),
            None => Row::of(due(task, model.now), look.dim()),
        };
        let row = left.right(right.put(" ", look.text()), width);
        if selected == Some(index) { row.over(look.selected()) } else { row }
    });
    rows.collect()
}

fn due(task: &TaskState, now: Timestamp) -> String {
    if task.due_at <= now { "DUE".to_owned() } else { format!("in {}", task.due_at.since(now).short()) }
}
