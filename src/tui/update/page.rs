//! Pages: opening and closing them, scrolling, searching, and the few things that can be done on one.

use crate::{
    config::keymap::KeyAction,
    domain::{event::ActionRef, message::Command},
    tui::{
        incident::draft,
        model::{
            Layer, Model, Pane,
            form::{Form, Purpose},
            page::{Page, PageKind},
            still::Times,
        },
        msg::{Effect, Saved},
        pages, subject, times,
        widget::list::moved,
    },
};

use super::{form, on_common_action, send};

/// Opens the page a key is for, or closes it where it is open.
pub(super) fn toggle(model: &mut Model, action: KeyAction, effects: &mut Vec<Effect>) {
    let kind = match action {
        KeyAction::Help => PageKind::Help,
        KeyAction::Contacts => PageKind::Contacts,
        KeyAction::Links => PageKind::Links,
        KeyAction::Tasks => PageKind::Tasks,
        KeyAction::Inbox => PageKind::Inbox,
        KeyAction::Metrics => PageKind::Metrics,
        KeyAction::Incident => PageKind::Incident,
        KeyAction::Logs => match log_kind(model) {
            Some(kind) => kind,
            None => return model.say("this runbook has no slots, so there are no logs"),
        },
        _ => return,
    };
    let same = |page: &Page| std::mem::discriminant(&page.kind) == std::mem::discriminant(&kind);
    if matches!(model.layers.last(), Some(Layer::Page(page)) if same(page)) {
        model.layers.pop();
        return;
    }
    open(model, kind, effects);
}

/// Opens a page over the others. One of its kind that is open further down goes away.
pub(super) fn open(model: &mut Model, kind: PageKind, effects: &mut Vec<Effect>) {
    model.layers.retain(|layer| {
        !matches!(layer, Layer::Page(page) if std::mem::discriminant(&page.kind) == std::mem::discriminant(&kind))
    });
    if let PageKind::Logs { slot, pod } = &kind {
        ask_logs(model, slot.clone(), pod.clone(), effects);
    }
    let mut page = Page::new(kind);
    if page.kind == PageKind::Metrics {
        page.order = subject::worst_first(model);
        // The selected one where the metrics have the keys, else the one that is worst off.
        let chosen = (model.cursor.focus == Pane::Metrics).then_some(model.cursor.metric);
        page.selected = page.order.iter().position(|index| Some(*index) == chosen).unwrap_or(0);
    }
    model.layers.push(Layer::Page(Box::new(page)));
}

fn ask_logs(
    model: &mut Model,
    slot: crate::domain::id::SlotName,
    pod: Option<String>,
    effects: &mut Vec<Effect>,
) {
    if model.options.read_only {
        let why = "a watching screen can't fetch logs; use `cutover attach`, or kubectl logs";
        model.telemetry.logs.insert(slot, Err(why.to_owned()));
        return;
    }
    model.telemetry.logs.remove(&slot);
    // Lines that were not there when the screen was frozen are shown once they come, and stand still from then on.
    if let Some(still) = &mut model.still {
        still.telemetry.logs.remove(&slot);
    }
    model.telemetry.logs_asked = Some(model.now);
    send(model, Command::Logs { slot, pod }, effects);
}

/// The selected pod's log where the pods have the keys, else the log of the slot that matters now.
fn log_kind(model: &Model) -> Option<PageKind> {
    if model.cursor.focus == Pane::Pods
        && let Some((slot, pod)) = subject::pods(model).get(model.cursor.pod)
    {
        return Some(PageKind::Logs { slot: (*slot).clone(), pod: Some(pod.name.clone()) });
    }
    subject::watched_slot(model).map(|slot| PageKind::Logs { slot, pod: None })
}

/// A key on a page, by what it does.
pub(super) fn on_action(model: &mut Model, action: KeyAction, effects: &mut Vec<Effect>) {
    let height = isize::try_from(model.size.1.saturating_sub(10).max(1)).unwrap_or(1);
    match action {
        KeyAction::Back => {
            model.layers.pop();
        }
        KeyAction::Up => scroll(model, -1),
        KeyAction::Down => scroll(model, 1),
        KeyAction::PageUp => scroll(model, -height),
        KeyAction::PageDown => scroll(model, height),
        KeyAction::Top => scroll(model, isize::MIN / 2),
        KeyAction::Bottom => {
            scroll(model, isize::MAX / 2);
            if let Some(page) = top(model) {
                page.follow = Page::new(page.kind.clone()).follow;
            }
        }
        KeyAction::Follow => {
            if let Some(page) = top(model) {
                page.follow = !page.follow;
            }
        }
        KeyAction::NextMatch => search(model, true),
        KeyAction::PreviousMatch => search(model, false),
        KeyAction::NextSource | KeyAction::NextPane | KeyAction::PreviousPane => next_source(model, effects),
        KeyAction::Tick => tick(model, effects),
        KeyAction::Edit | KeyAction::Confirm => edit(model, effects),
        KeyAction::Send => send_incident(model),
        KeyAction::Copy => copy(model, effects),
        KeyAction::Wrap => model.cursor.wrap = !model.cursor.wrap,
        KeyAction::Stamps => model.cursor.stamps = !model.cursor.stamps,
        KeyAction::ZoomIn => move_times(model, |model, times| times::zoomed(model, times, false)),
        KeyAction::ZoomOut => move_times(model, |model, times| times::zoomed(model, times, true)),
        KeyAction::Earlier => move_times(model, times::earlier),
        KeyAction::Later => move_times(model, times::later),
        KeyAction::Live => move_times(model, |_, _| Some(Times::default())),
        KeyAction::Save if top(model).is_some_and(|page| page.is_log()) => save_lines(model, effects),
        _ => {
            on_common_action(model, action, effects);
        }
    }
}

/// Shows another time, if there is one.
fn move_times(model: &mut Model, to: impl Fn(&Model, Times) -> Option<Times>) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    if let Some(times) = to(model, page.times)
        && let Some(page) = top(model)
    {
        page.times = times;
    }
}

/// All lines of a page, as they are shown but for the screen's width, into a file.
fn save_lines(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let lines = pages::lines(model, page);
    if lines.is_empty() {
        return model.say("there is nothing here to save");
    }
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let name = match &page.kind {
        PageKind::Logs { slot, pod: None } => format!("log-{slot}"),
        PageKind::Logs { pod: Some(pod), .. } => format!("log-{pod}"),
        PageKind::Output(_) => "output".to_owned(),
        _ => "story".to_owned(),
    };
    effects.push(Effect::Save { name, what: Saved::Lines(lines) });
}

pub(super) fn top(model: &mut Model) -> Option<&mut Page> {
    match model.layers.last_mut() {
        Some(Layer::Page(page)) => Some(page),
        _ => None,
    }
}

pub(super) fn scroll(model: &mut Model, by: isize) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let (width, height) = pages::room(model);
    let lines = pages::rows(model, page, width).len();
    let selectable = pages::selectable(model, page);
    let Some(page) = top(model) else { return };
    if page.kind == PageKind::Metrics && by == 1 {
        // The line names the next one, after the last the first.
        page.selected = page.next_place().unwrap_or(0);
        return;
    }
    if page.selects() {
        page.selected = moved(page.selected, by, selectable);
        return;
    }
    let last = lines.saturating_sub(height);
    let from = if page.follow { last } else { page.scroll.min(last) };
    page.scroll = from.saturating_add_signed(by).min(last);
    // At the end it follows again, as long as it is a page that grows.
    page.follow = page.scroll == last && by > 0 && Page::new(page.kind.clone()).follow;
}

/// Jumps to the next line that has what was searched for.
pub(super) fn search(model: &mut Model, forward: bool) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let Some(pattern) = page.search.clone() else {
        return model.say("nothing has been searched for yet");
    };
    let hidden = pages::hidden_on(page);
    if !hidden.is_empty() {
        let words = hidden.join("` or `");
        return model.say(format!("lines with `{words}` are hidden; search for nothing to see them again"));
    }
    let (width, height) = pages::room(model);
    let texts: Vec<String> =
        pages::rows(model, page, width).iter().map(super::super::widget::row::Row::text).collect();
    let last = texts.len().saturating_sub(height);
    let from = if page.follow { texts.len().saturating_sub(1) } else { page.scroll };
    match find(&texts, &pattern, from, forward) {
        Some(found) => {
            if let Some(page) = top(model) {
                page.follow = false;
                page.scroll = found.min(last);
            }
        }
        None => model.say(format!("not found: {pattern}")),
    }
}

/// The next text after `from` (or before) that has the pattern, whatever the case; around the end, and `from` itself last.
pub(super) fn find(texts: &[String], pattern: &str, from: usize, forward: bool) -> Option<usize> {
    let len = texts.len();
    let pattern = pattern.to_lowercase();
    (1..=len)
        .map(|step| if forward { (from + step) % len } else { (from + len - step % len) % len })
        .find(|at| texts.get(*at).is_some_and(|text| text.to_lowercase().contains(&pattern)))
}

/// A search from a pane whose long form is a page: opens that, searched.
pub(super) fn open_for_search(model: &mut Model, pattern: String) {
    let kind = match model.cursor.focus {
        Pane::Logs => log_kind(model),
        Pane::Detail => output_shown(model).map(PageKind::Output),
        _ => None,
    };
    let mut page = Page::new(kind.unwrap_or(PageKind::Story));
    page.search = Some(pattern);
    model.layers.push(Layer::Page(Box::new(page)));
    search(model, false);
}

/// The action whose output is on the screen: the newest that has printed something.
fn output_shown(model: &Model) -> Option<ActionRef> {
    model.measured().outputs.back().map(|(at, _)| at.clone())
}

/// The next slot, or on a slot's log its pods one by one.
fn next_source(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    match &page.kind {
        PageKind::Logs { slot, pod } => {
            // Every slot, each followed by its pods.
            let mut all = Vec::new();
            for name in subject::slots(model) {
                all.push((name.clone(), None));
                let pods = subject::pods(model).into_iter().filter(|(of, _)| **of == name);
                all.extend(pods.map(|(_, pod)| (name.clone(), Some(pod.name.clone()))));
            }
            let at = all.iter().position(|(of, one)| of == slot && one == pod).unwrap_or(0);
            if let Some((slot, pod)) = all.get((at + 1) % all.len().max(1)).cloned() {
                ask_logs(model, slot.clone(), pod.clone(), effects);
                if let Some(page) = top(model) {
                    page.kind = PageKind::Logs { slot, pod };
                    page.follow = true;
                }
            }
        }
        PageKind::Output(shown) => {
            let all: Vec<_> = model.measured().outputs.iter().map(|(at, _)| at.clone()).collect();
            let at = all.iter().position(|other| other == shown).unwrap_or(0);
            if let Some(next) = all.get((at + 1) % all.len().max(1)).cloned()
                && let Some(page) = top(model)
            {
                page.kind = PageKind::Output(next);
                page.follow = true;
            }
        }
        _ => {}
    }
}

fn tick(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let selected = page.selected;
    let Some(run) = &model.run else { return };
    match page.kind {
        PageKind::Tasks => match run.tasks.get(selected).map(|task| task.done.is_some()) {
            Some(false) => send(model, Command::TaskDone { task: selected }, effects),
            Some(true) => model.say("this task is already done"),
            None => model.say("tasks appear once the deployment is complete"),
        },
        PageKind::Incident => match run.incident_steps.get(selected).copied() {
            Some(done) => send(model, Command::TickIncidentStep { step: selected, done: !done }, effects),
            None => model.say("the runbook has no incident steps"),
        },
        _ => next_source(model, effects),
    }
}

/// Enter and `e`: on the incident page its text, on the tasks a tick, elsewhere nothing.
fn edit(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    match page.kind {
        PageKind::Incident => {
            if model.run.as_ref().is_some_and(|run| run.runbook.incident.is_none()) {
                return model.say("the runbook has no [incident]");
            }
            let draft = draft(model);
            form::open(model, Form::incident(draft));
        }
        PageKind::Tasks => tick(model, effects),
        _ => {}
    }
}

fn send_incident(model: &mut Model) {
    let Some(run) = &model.run else { return };
    if run.incident.is_none() {
        return model.say("no incident declared yet: enter declares one");
    }
    form::open(model, Form::choosing(Purpose::SendIncident, 1));
}

fn copy(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let Some(run) = &model.run else { return };
    let (name, text) = match &page.kind {
        PageKind::Incident => ("incident", pages::incident::message(model)),
        PageKind::Links => {
            ("link", run.runbook.links.get(page.selected).map(|link| link.url.clone()).unwrap_or_default())
        }
        PageKind::Contacts => {
            let contact = run.runbook.contacts.get(page.selected);
            let text =
                contact.map(|contact| contact.slack.clone().or(contact.phone.clone()).unwrap_or_default());
            ("contact", text.unwrap_or_default())
        }
        _ => {
            let rows = pages::rows(model, page, usize::from(u16::MAX));
            let lines: Vec<String> = rows.iter().map(|row| row.text().trim_end().to_owned()).collect();
            ("page", lines.join("\n"))
        }
    };
    if text.is_empty() {
        return model.say("there is nothing here to copy");
    }
    effects.push(Effect::Copy { name, text });
}
