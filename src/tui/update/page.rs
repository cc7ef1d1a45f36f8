//! Pages: opening and closing them, scrolling, searching, and the few things that can be done on one.

use crate::{
    config::keymap::{Key, KeyAction},
    domain::{event::ActionRef, message::Command},
    tui::{
        model::{
            Layer, Model, Pane,
            form::{Form, IncidentDraft, Purpose, STATUSES},
            page::{Page, PageKind},
        },
        msg::Effect,
        pages, subject,
        widget::list::moved,
    },
};

use super::{form, on_common_action, send, text};

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
            None => return model.say("this runbook has no slots whose logs could be read"),
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
        page.selected = model.cursor.metric;
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
        let why = "a watching connection asks for nothing; logs are for `cutover attach`, or kubectl logs";
        model.telemetry.logs.insert(slot, Err(why.to_owned()));
        return;
    }
    model.telemetry.logs.remove(&slot);
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
        KeyAction::Zoom if top(model).is_some_and(|page| page.kind == PageKind::Metrics) => {
            model.layers.pop();
        }
        _ => {
            on_common_action(model, action, effects);
        }
    }
}

fn top(model: &mut Model) -> Option<&mut Page> {
    match model.layers.last_mut() {
        Some(Layer::Page(page)) => Some(page),
        _ => None,
    }
}

fn scroll(model: &mut Model, by: isize) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let (width, height) = pages::room(model.size);
    let lines = pages::rows(model, page, width).len();
    let selectable = pages::selectable(model, page);
    let Some(page) = top(model) else { return };
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

/// A key while a search is typed.
pub(super) fn on_search_key(model: &mut Model, key: Key, action: Option<KeyAction>, _: &mut Vec<Effect>) {
    let Some(Layer::Search(input)) = model.layers.last_mut() else { return };
    match action {
        Some(KeyAction::Back) => {
            model.layers.pop();
        }
        Some(KeyAction::Confirm) => {
            let pattern = input.value().trim().to_owned();
            model.layers.pop();
            let pattern = (!pattern.is_empty()).then_some(pattern);
            if let Some(page) = top(model) {
                page.search = pattern;
                search(model, true);
            } else {
                model.cursor.search = pattern;
                super::panes::search(model, true);
            }
        }
        _ => text::edit(input, key),
    }
}

/// Jumps to the next line that has what was searched for.
fn search(model: &mut Model, forward: bool) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let Some(pattern) = page.search.clone() else {
        return model.say("nothing was searched for yet");
    };
    let (width, height) = pages::room(model.size);
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
    model.telemetry.outputs.back().map(|(at, _)| at.clone())
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
            let all: Vec<_> = model.telemetry.outputs.iter().map(|(at, _)| at.clone()).collect();
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
            Some(true) => model.say("this task is done already"),
            None => model.say("tasks are there once the deployment is complete"),
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
                return model.say("the runbook says nothing about incidents");
            }
            let draft = draft(model);
            form::open(model, Form::incident(draft));
        }
        PageKind::Tasks => tick(model, effects),
        _ => {}
    }
}

/// The incident as declared, or a first draft from what the run knows.
pub(crate) fn draft(model: &Model) -> IncidentDraft {
    let Some(run) = &model.run else { return IncidentDraft::default() };
    let levels = run.runbook.incident.as_ref().map_or(&[][..], |incident| &incident.levels);
    if let Some(incident) = &run.incident {
        return IncidentDraft {
            level: levels.iter().position(|level| level.level == incident.severity).unwrap_or(0),
            title: incident.title.clone(),
            impact: incident.impact.clone(),
            status: STATUSES.iter().position(|status| *status == incident.status).unwrap_or(0),
            field: 0,
        };
    }
    let breach = run.runbook.triggers.iter().zip(&run.triggers).find(|(_, state)| state.breaching.is_some());
    let title = breach.map_or_else(String::new, |(trigger, _)| {
        let version = run.new_version().unwrap_or_default();
        format!("{} after deploying {version}", trigger.reason)
    });
    IncidentDraft { title, ..IncidentDraft::default() }
}

fn send_incident(model: &mut Model) {
    let Some(run) = &model.run else { return };
    if run.incident.is_none() {
        return model.say("no incident is declared yet: enter declares one");
    }
    form::open(model, Form::choosing(Purpose::SendIncident, 1));
}

fn copy(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(Layer::Page(page)) = model.layers.last() else { return };
    let Some(run) = &model.run else { return };
    let (name, text) = match &page.kind {
        PageKind::Incident => ("incident", pages::incident_message(model)),
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
