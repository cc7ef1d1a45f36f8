//! The content of each page, as lines: for drawing, searching and copying.

mod contacts;
mod help;
pub mod incident;
mod preflight;

use ratatui::layout::Rect;

use super::{
    layout,
    model::{
        Model,
        page::{Page, PageKind},
    },
    story, subject,
    widget::row::{Row, wrap},
};
use crate::domain::{
    id::SlotName,
    run::{Run, TaskState},
    time::Timestamp,
};

/// Columns and lines that a page has on this screen.
pub fn room(model: &Model) -> (usize, usize) {
    let (width, height) = model.size;
    let body = if layout::is_tiny(model.size) {
        // The band above, and below it the line of what keys do.
        height.saturating_sub(2)
    } else {
        layout::layout(model, Rect::new(0, 0, width, height)).body.height
    };
    (usize::from(width), usize::from(body.saturating_sub(1)))
}

/// A page's title.
pub fn title(model: &Model, kind: &PageKind) -> String {
    match kind {
        PageKind::Help => "Keys and signs".to_owned(),
        PageKind::Contacts => "Contacts".to_owned(),
        PageKind::Links => "Links".to_owned(),
        PageKind::Tasks => "Tasks for later".to_owned(),
        PageKind::Inbox => "Notices to the team".to_owned(),
        PageKind::Story => "What happened".to_owned(),
        PageKind::Missed => match model.missed {
            Some((from, to)) => format!("While nobody had control: {}", to.since(from).clock()),
            None => "While nobody had control".to_owned(),
        },
        PageKind::Crew => "Screens of this run".to_owned(),
        PageKind::Alerts => "Current problems".to_owned(),
        PageKind::Preflight => "Before the start".to_owned(),
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
        PageKind::Incident => {
            let steps = model
                .run
                .as_ref()
                .map(|run| incident::steps(model, run, page.selected, width))
                .unwrap_or_default();
            incident::head(model, width).len() + steps.iter().take(page.selected).map(Vec::len).sum::<usize>()
        }
        PageKind::Contacts | PageKind::Links => {
            let Some(run) = &model.run else { return 0 };
            let entries = match page.kind {
                PageKind::Links => contacts::links(model, run, width),
                _ => contacts::contacts(model, run, width),
            };
            entries.iter().take(page.selected).map(Vec::len).sum()
        }
        _ => page.selected,
    }
}

/// A page's lines.
pub fn rows(model: &Model, page: &Page, width: usize) -> Vec<Row> {
    let Some(run) = &model.run else { return Vec::new() };
    let look = model.look;
    match &page.kind {
        PageKind::Help => help::rows(model, width),
        PageKind::Contacts => marked(model, page, contacts::contacts(model, run, width), width),
        PageKind::Links => {
            let mut rows = marked(model, page, contacts::links(model, run, width), width);
            rows.extend(contacts::related(model, run, width));
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
        PageKind::Inbox if run.notices.is_empty() => vec![Row::of(" Nothing was sent yet.", look.dim())],
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
            let hide = hidden_words(page.search.as_deref());
            let sentences = model.told().iter().filter(|(_, text)| is_kept(&hide, text));
            sentences.flat_map(|(at, text)| stamped(model, &at.clock(), text, width)).collect()
        }
        PageKind::Missed => missed_rows(model, &hidden_on(page), width),
        PageKind::Crew => crew_rows(model),
        PageKind::Alerts => alerts(model, width),
        PageKind::Preflight => preflight::rows(model, width),
        PageKind::Metrics => Vec::new(),
        PageKind::Logs { slot, .. } => log_rows(model, slot, page.search.as_deref(), width),
        PageKind::Output(at) => match model.measured().output(at) {
            Some(output) => {
                let mut rows = Vec::new();
                if output.dropped > 0 {
                    rows.push(Row::of(
                        format!(" … {} earlier lines are only in the file", output.dropped),
                        look.dim(),
                    ));
                }
                let hide = hidden_words(page.search.as_deref());
                let lines = output.lines.iter().chain(&output.partial);
                let lines = lines.map(|line| Row::of(" ", look.text()).join(Row::output(look, line)));
                let kept = lines.filter(|row| is_kept(&hide, &row.text()));
                rows.extend(kept.flat_map(|row| in_width(model, row, 1, width)));
                rows
            }
            None => vec![Row::of(" Nothing was printed.", look.dim())],
        },
        PageKind::Incident => {
            let mut rows = incident::head(model, width);
            rows.extend(marked(model, page, incident::steps(model, run, page.selected, width), width));
            rows.extend(incident::foot(model, run, width));
            rows
        }
    }
}

/// What happened since the pilot's screen went, and what there is to do now.
fn missed_rows(model: &Model, hide: &[String], width: usize) -> Vec<Row> {
    let look = model.look;
    let Some((from, to)) = model.missed else {
        return vec![Row::of(" Somebody had control all the time.", look.dim())];
    };
    let happened: Vec<&(Timestamp, String)> =
        model.told().iter().filter(|(at, _)| *at >= from && *at <= to).collect();
    let kept = happened.iter().filter(|(_, text)| is_kept(hide, text));
    let mut rows: Vec<Row> = kept.flat_map(|(at, text)| stamped(model, &at.clock(), text, width)).collect();
    if happened.len() <= 2 {
        rows.push(Row::of(" Nothing else: the engine kept watching and started nothing new.", look.dim()));
    }
    let now = match model.pilot() {
        _ if !model.looks_only() => " You have control now.".to_owned(),
        Some(pilot) => format!(" {pilot} has control now."),
        None => " Nobody has control yet.".to_owned(),
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
        rows.push(Row::of(" Nobody has control.", look.warn()));
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

/// What a page's search hides: only the lines of a log.
pub fn hidden_on(page: &Page) -> Vec<String> {
    if page.is_log() { hidden_words(page.search.as_deref()) } else { Vec::new() }
}

/// The words that a search hides: `!health !ready` hides each line with one of them. None where it only looks for something.
pub fn hidden_words(search: Option<&str>) -> Vec<String> {
    let Some(words) = search.and_then(|search| search.strip_prefix('!')) else { return Vec::new() };
    words.split(" !").map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect()
}

/// Whether a line has none of the words that hide it.
pub fn is_kept(hide: &[String], text: &str) -> bool {
    hide.is_empty() || {
        let text = text.to_lowercase();
        !hide.iter().any(|word| text.contains(word))
    }
}

/// A line of a log: broken, where that is wanted.
fn in_width(model: &Model, row: Row, indent: usize, width: usize) -> Vec<Row> {
    if model.cursor.wrap { row.folded(width.max(2), indent.min(width / 2)) } else { vec![row] }
}

/// How many of a slot's lines a search hides, and how many there are.
pub fn hidden_lines(model: &Model, slot: &SlotName, search: Option<&str>) -> (usize, usize) {
    let hide = hidden_words(search);
    let Some(Ok(lines)) = model.measured().logs.get(slot) else { return (0, 0) };
    (lines.iter().filter(|line| !is_kept(&hide, &line.text)).count(), lines.len())
}

/// A page's lines for a file: whole, those of a pod's log with their full times, without those that a search hides.
pub fn lines(model: &Model, page: &Page) -> Vec<String> {
    if let PageKind::Logs { slot, .. } = &page.kind
        && let Some(Ok(lines)) = model.measured().logs.get(slot)
    {
        let hide = hidden_words(page.search.as_deref());
        let kept = lines.iter().filter(|line| is_kept(&hide, &line.text));
        let at = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{at} "));
        return kept.map(|line| format!("{}{} {}", at(line.at), line.pod, line.text)).collect();
    }
    let rows = rows(model, page, usize::from(u16::MAX));
    // Without the blank that is ours at the beginning; what a command has indented stays so.
    let own = |text: &str| text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned();
    rows.iter().map(|row| own(&row.text())).collect()
}

/// A slot's log as last asked for.
pub fn log_rows(model: &Model, slot: &SlotName, search: Option<&str>, width: usize) -> Vec<Row> {
    let look = model.look;
    match model.measured().logs.get(slot) {
        None => vec![Row::of(" Asking for it …", look.dim())],
        Some(Err(why)) => vec![Row::of(" ✖ ", look.alert()).put(why, look.alert())],
        Some(Ok(lines)) if lines.is_empty() => vec![Row::of(" The log is empty.", look.dim())],
        Some(Ok(lines)) => {
            let deployment = model.measured().workload.as_ref().and_then(|workload| workload.slots.get(slot));
            let deployment = deployment.map_or("", |slot| slot.deployment.as_str());
            let hide = hidden_words(search);
            let rows = lines.iter().filter(|line| is_kept(&hide, &line.text)).flat_map(|line| {
                let pod = subject::short_pod(deployment, &line.pod);
                let text = line.text.to_lowercase();
                let bad = ["error", "fatal", "panic", "exception"].iter().any(|word| text.contains(word));
                let clock = match line.at {
                    _ if !model.cursor.stamps => String::new(),
                    Some(at) => format!(" {}", at.clock()),
                    None => " ".repeat("-14:00:00".len()),
                };
                let head = Row::of(format!("{clock} {pod} "), look.dim());
                let indent = head.width();
                let row = head.put(&line.text, if bad { look.warn() } else { look.text() });
                in_width(model, row, indent, width)
            });
            rows.collect()
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

/// Entries of a list, each in as many lines as it takes, the selected one marked.
pub fn marked(model: &Model, page: &Page, entries: Vec<Vec<Row>>, width: usize) -> Vec<Row> {
    let look = model.look;
    let mark = |selected: bool, row: Row| {
        if selected { row.fill(width.min(400), look.text()).over(look.selected()) } else { row }
    };
    let entries = entries.into_iter().enumerate();
    entries.flat_map(|(n, rows)| rows.into_iter().map(move |row| mark(n == page.selected, row))).collect()
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
