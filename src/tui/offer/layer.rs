//! What can be done in a dialog, on a page, and while text is typed.

use super::{Does, Offer};
use crate::{
    config::keymap::KeyAction,
    domain::{action::Confirm, prompt::Prompt, run::Run},
    tui::{
        model::{
            Layer, Model,
            form::{Form, Purpose, RESOLUTIONS, RollbackFocus, RollbackForm},
            page::{Page, PageKind},
            still::Times,
        },
        times,
    },
};
use KeyAction as K;

/// Everything that is offered on what lies on top.
pub(super) fn offers(model: &Model, layer: &Layer) -> Vec<Offer> {
    match layer {
        Layer::Form(form) => of_form(model, form),
        Layer::Rollback(form) => of_rollback(form),
        Layer::Command(_) => vec![key(K::Confirm), key(K::NextField).called("complete"), key(K::Back)],
        Layer::Search(_) => vec![key(K::Confirm).called("find"), key(K::Back)],
        Layer::Page(page) => of_page(model, page),
    }
}

fn key(action: KeyAction) -> Offer {
    Offer::key(action, Does::Layer)
}

// --- questions --------------------------------------------------------------------------------------------------------------

/// How many buttons or choices a question has.
pub fn choices(purpose: &Purpose) -> usize {
    match purpose {
        // The resolutions, and a rollback instead.
        Purpose::Resolve { .. } => RESOLUTIONS.len() + 1,
        Purpose::Start { confirm: Confirm::Twice, .. } | Purpose::Proceed { confirm: Confirm::Twice, .. } => {
            1
        }
        _ => 2,
    }
}

fn of_form(model: &Model, form: &Form) -> Vec<Offer> {
    let mut offers = vec![key(K::Confirm).says(form_words(model, form)), key(K::Back).says("back")];
    offers.extend([K::PageUp, K::PageDown].map(|action| key(action).quiet()));
    if matches!(form.purpose, Purpose::Incident(_)) {
        offers.extend([
            key(K::NextField),
            key(K::PreviousField).quiet(),
            key(K::Down).quiet(),
            key(K::Up).quiet(),
        ]);
        if !form.is_typing() {
            offers.extend([key(K::Left).called("choose"), key(K::Right).quiet()]);
        }
        return offers;
    }
    if form.is_typing() {
        return offers;
    }
    let moves = [K::Left, K::Right, K::Up, K::NextField, K::PreviousField];
    match choices(&form.purpose) {
        1 => {}
        2 => {
            offers.extend([key(K::Yes), key(K::No), key(K::Left).called("choose"), key(K::Down).quiet()]);
            offers.extend(moves.map(|action| key(action).quiet()));
        }
        _ => {
            offers.push(key(K::Down).called("choose"));
            offers.extend(moves.map(|action| key(action).quiet()));
        }
    }
    offers
}

/// What ENTER does in a question.
fn form_words(model: &Model, form: &Form) -> String {
    match &form.purpose {
        Purpose::Ask { .. } if form.text().is_empty() => "starts nothing until something is typed".to_owned(),
        Purpose::Ask { name, .. } => format!("use {} for {name}; starts nothing yet", form.text()),
        Purpose::Decide { .. } if form.choice == 0 => "yes".to_owned(),
        Purpose::Decide { .. } => "no".to_owned(),
        Purpose::Override { open } => format!("start the steps with {open} items open; the reason is logged"),
        Purpose::TickItem { .. } => "tick the item, with this note".to_owned(),
        Purpose::Waive { .. } => "mark the item as not needed; the reason is logged".to_owned(),
        Purpose::Start { confirm: Confirm::Twice, .. } | Purpose::Proceed { confirm: Confirm::Twice, .. } => {
            if form.pressed == 0 {
                "ask once more".to_owned()
            } else {
                "start it".to_owned()
            }
        }
        Purpose::Start { word, .. } | Purpose::Proceed { word, .. } => {
            if form.text().eq_ignore_ascii_case(word.trim()) {
                "start it".to_owned()
            } else {
                format!("starts nothing until the word {word} is typed")
            }
        }
        Purpose::TickCheck { holds: true, .. } => "continue: it is all right, for this reason".to_owned(),
        Purpose::TickCheck { .. } => "fail the step, for this reason".to_owned(),
        Purpose::Skip { .. } => "skip the step; the reason is logged".to_owned(),
        Purpose::Undo { word: Some(word), .. } => {
            if form.text().eq_ignore_ascii_case(word.trim()) {
                "undo the step".to_owned()
            } else {
                format!("starts nothing until {word} is typed")
            }
        }
        Purpose::Resolve { at } => match RESOLUTIONS.get(form.choice) {
            Some(_) if model.run.as_ref().is_some_and(|run| run.outlives(at).is_some()) => {
                "starts nothing while its process runs".to_owned()
            }
            Some(_) => "record it; the run continues from there".to_owned(),
            None => "show what a rollback would do".to_owned(),
        },
        Purpose::Hold => "pause the run; the reason is logged".to_owned(),
        Purpose::CancelCountdown { .. } => "cancel it; the reason is logged".to_owned(),
        Purpose::Abandon => "abandon the rollback: the run then counts as failed".to_owned(),
        Purpose::Abort => "end the run here, as failed".to_owned(),
        Purpose::Note => "add it to the log".to_owned(),
        Purpose::Incident(draft) if draft.field < 3 => "next field".to_owned(),
        Purpose::Incident(_) => "keep the text; sending it is a step of its own".to_owned(),
        Purpose::Retry { .. }
        | Purpose::Continue
        | Purpose::SendIncident
        | Purpose::Undo { .. }
        | Purpose::Quit => {
            if form.choice == 0 {
                "yes".to_owned()
            } else {
                "no, back".to_owned()
            }
        }
    }
}

// --- the rollback dialog ----------------------------------------------------------------------------------------------------

fn of_rollback(form: &RollbackForm) -> Vec<Offer> {
    let back = || key(K::Back).says("cancel");
    let tab = || key(K::NextField);
    let mut offers = match (form.focus, &form.word) {
        (RollbackFocus::Reasons, None) => vec![
            key(K::Confirm).says("starts nothing yet: goes to the buttons").says("starts nothing yet"),
            key(K::Yes).says("roll back now").called("roll back"),
            key(K::Down).says("another reason").called("reason"),
            back(),
        ],
        (RollbackFocus::Reasons, Some(_)) => vec![
            key(K::Confirm).says("starts nothing yet: goes to the buttons").says("starts nothing yet"),
            tab().says("the word"),
            key(K::Down).says("another reason").called("reason"),
            back(),
        ],
        (RollbackFocus::Other, _) => vec![key(K::Confirm).says("starts nothing yet: done writing"), back()],
        (RollbackFocus::Word, Some(word)) => vec![
            key(K::Confirm).says(if form.typed.value().trim() == word.trim() {
                "starts nothing yet: goes to the buttons".to_owned()
            } else {
                format!("starts nothing until {word} is typed")
            }),
            back(),
            key(K::Down).quiet(),
            key(K::Up).quiet(),
        ],
        (RollbackFocus::Word, None) => vec![back()],
        (RollbackFocus::Cancel, _) => {
            vec![key(K::Confirm).says("starts nothing: closes this"), tab().says("to Roll back"), back()]
        }
        (RollbackFocus::Go, _) => vec![key(K::Confirm).says("ROLL BACK NOW"), back()],
    };
    offers.push(tab());
    offers.push(key(K::PreviousField).quiet());
    if !form.is_typing() {
        if form.word.is_none() {
            offers.push(key(K::Yes).called("roll back"));
        }
        offers.push(key(K::No).called("cancel"));
    }
    let moves = [K::Up, K::Down, K::Left, K::Right, K::PageUp, K::PageDown];
    offers.extend(moves.map(|action| key(action).quiet()));
    offers
}

// --- pages ------------------------------------------------------------------------------------------------------------------

fn of_page(model: &Model, page: &Page) -> Vec<Offer> {
    let kind = &page.kind;
    let acts = !model.looks_only();
    let held = matches!(model.prompt(), Some(Prompt::Held { .. })) && acts;
    // A banner above may speak of ENTER: that is the run's, not this page's.
    let back = if held { "back to the run; there ENTER resumes it" } else { "back to the run" };
    let nothing = || Offer::wait("starts nothing on this page");
    let next = |words: &'static str| key(K::NextSource).says(words);
    let mut offers = match kind {
        PageKind::Tasks if acts => {
            vec![nothing(), key(K::Tick).says("mark the selected task done").called("done")]
        }
        PageKind::Incident
            if acts && model.run.as_ref().is_some_and(|run| run.runbook.incident.is_some()) =>
        {
            of_incident(model, page)
        }
        PageKind::Logs { .. } => vec![
            nothing(),
            next("next slot or pod"),
            key(K::Follow),
            key(K::NextPane).quiet(),
            key(K::PreviousPane).quiet(),
        ],
        PageKind::Output(_) => vec![
            nothing(),
            next("next action"),
            key(K::Follow),
            key(K::NextPane).quiet(),
            key(K::PreviousPane).quiet(),
        ],
        PageKind::Story | PageKind::Missed => vec![nothing(), key(K::Follow)],
        PageKind::Metrics => next_chart(model, page),
        PageKind::Contacts | PageKind::Links => vec![nothing(), key(K::Copy).says("copy the selected line")],
        PageKind::Help | PageKind::Preflight => {
            vec![nothing(), key(K::PageDown).says("further down").says("more").called("more")]
        }
        PageKind::Tasks | PageKind::Incident | PageKind::Crew | PageKind::Inbox | PageKind::Alerts => {
            vec![nothing()]
        }
    };
    // Where a page follows new lines, or shows what was, this comes first.
    offers.extend(model.still.as_ref().map(|_| freeze(model)));
    offers.push(key(K::Back).says(back).says("back"));
    let run = model.run.as_ref();
    if acts && run.is_some_and(Run::can_roll_back) {
        offers.push(Offer::key(K::Rollback, Does::Rollback));
    }
    if *kind == PageKind::Metrics {
        offers.extend(other_times(model, page));
    } else {
        let moves = [key(K::Down), key(K::PageDown)];
        // A log has better uses for the room than to say that it can be scrolled.
        offers.extend(moves.map(|offer| if page.is_log() { offer.quiet() } else { offer }));
    }
    if !matches!(kind, PageKind::Metrics | PageKind::Tasks) {
        let next = key(K::NextMatch);
        offers.push(key(K::Search));
        offers.push(if page.search.is_some() { next } else { next.quiet() });
        offers.push(key(K::PreviousMatch).quiet());
    }
    if matches!(kind, PageKind::Logs { .. } | PageKind::Output(_)) {
        offers.push(key(K::Wrap).called(if model.cursor.wrap { "no wrap" } else { "wrap" }));
    }
    if matches!(kind, PageKind::Logs { .. }) {
        offers.push(key(K::Stamps).called(if model.cursor.stamps { "no times" } else { "times" }));
    }
    offers.push(freeze(model));
    offers.push(save(page));
    // Charts are looked at, not copied: they are saved with the screen.
    offers.extend((*kind != PageKind::Metrics).then(|| key(K::Copy)));
    offers.extend([K::Help, K::Quit].map(key));
    // From page to page, without the way back between.
    let pages = [K::Logs, K::Incident, K::Contacts, K::Links, K::Metrics, K::Tasks, K::Inbox, K::Command];
    let moves = [K::Up, K::Down, K::PageUp, K::PageDown, K::Top, K::Bottom, K::Redraw];
    offers.extend(pages.into_iter().chain(moves).map(|action| key(action).quiet()));
    offers
}

/// Holding still what is measured and printed, or going on.
pub(super) fn freeze(model: &Model) -> Offer {
    let offer = Offer::key(K::Freeze, Does::Look);
    match model.still {
        Some(_) => offer.says("go live: what you see is frozen").says("go live").called("go live"),
        None => offer,
    }
}

/// A page of lines is saved whole; everything else as it is seen.
fn save(page: &Page) -> Offer {
    key(K::Save).called(if page.is_log() { "save it all" } else { "save" })
}

/// On a page of charts: back to now first, where it shows the past.
fn next_chart(model: &Model, page: &Page) -> Vec<Offer> {
    let mut offers = vec![Offer::wait("starts nothing on this page")];
    if page.times.end.is_some() {
        offers.push(key(K::Live).says("back to now"));
    }
    if let Some(next) = next_metric(model, page) {
        offers.push(key(K::Down).says(format!("next metric: {next}")).says("next metric").called("next"));
    }
    offers
}

/// More or less time, earlier or later, where there is any.
fn other_times(model: &Model, page: &Page) -> Vec<Offer> {
    let times = page.times;
    let there = [
        (key(K::ZoomIn).called("less time"), times::zoomed(model, times, false).is_some()),
        (key(K::ZoomOut).called("more time"), times::zoomed(model, times, true).is_some()),
        (key(K::Earlier).called("earlier"), times::earlier(model, times).is_some()),
        (key(K::Later).called("later"), times::later(model, times).is_some()),
        (key(K::Live), times != Times::default()),
    ];
    there.into_iter().filter(|(_, there)| *there).map(|(offer, _)| offer).collect()
}

/// The title of the metric that comes after the selected one.
fn next_metric(model: &Model, page: &Page) -> Option<String> {
    let run = model.run.as_ref()?;
    let next = page.order.get(page.next_place()?)?;
    run.runbook.metrics.get(*next).map(|metric| metric.title.clone())
}

fn of_incident(model: &Model, page: &Page) -> Vec<Offer> {
    let declared = model.run.as_ref().is_some_and(|run| run.incident.is_some());
    let what = if declared { "edit the message" } else { "declare an incident" };
    let mut offers = vec![key(K::Confirm).says(what)];
    if declared {
        offers.push(key(K::Send).says("preview and send").called("send"));
    }
    // ENTER edits too: one name for it is enough.
    let run = model.run.as_ref();
    let line = run.and_then(|run| run.runbook.incident.as_ref()?.steps.get(page.selected));
    offers.extend(line.map(|line| {
        let name = line.split(':').next().unwrap_or_default().trim();
        let done = run.is_some_and(|run| run.incident_steps.get(page.selected) == Some(&true));
        let does = if done { "untick" } else { "tick" };
        key(K::Tick).says(format!("{does}: {name}")).says(format!("{does} it")).called(does)
    }));
    offers.push(key(K::Edit).quiet());
    offers
}
