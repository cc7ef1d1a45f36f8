//! What the engine tells.

use crate::{
    domain::{
        event::{Envelope, RunEvent},
        message::{Command, Update},
        run::Run,
        time::{Span, Timestamp},
    },
    tui::{
        model::{
            Layer, Model,
            form::Purpose,
            page::{Page, PageKind},
        },
        msg::Effect,
    },
};

/// A shorter absence is not worth a page of its own.
const MISSED: Span = Span::from_secs(5);
/// Sentences kept.
const STORY: usize = 5_000;
/// Logs on the screen are asked for again this often.
const LOGS: Span = Span::from_secs(2);

/// Takes an update in.
pub(super) fn apply(model: &mut Model, update: Update, effects: &mut Vec<Effect>) {
    model.silent = None;
    match update {
        Update::Backlog { events, now, run_dir } => {
            model.now = now;
            model.run_dir = run_dir;
            model.story.clear();
            model.run = None;
            for envelope in events {
                on_event(model, &envelope);
            }
            show_missed(model);
        }
        Update::Event { envelope } => {
            model.now = model.now.max(envelope.at);
            on_event(model, &envelope);
        }
        Update::Tick { now } => {
            model.now = now;
            refresh_logs(model, effects);
        }
        Update::Samples { samples, backfill } => {
            if model.run.is_some() {
                model.telemetry.sampled(samples, backfill);
            }
        }
        Update::Evidence { standings } => model.telemetry.evidence = standings,
        Update::Workload { workload } => model.telemetry.workload = Some(*workload),
        Update::Access { access } => model.telemetry.access = Some(access),
        Update::Output { at, lines, partial, dropped } => {
            model.telemetry.printed(at, lines, partial, dropped);
        }
        Update::Watching { step, check, holds, evidence } => {
            model.telemetry.watching.insert((step, check), (holds, evidence));
        }
        Update::Logs { slot, lines } => {
            if let Some(still) = &mut model.still
                && !still.telemetry.logs.contains_key(&slot)
            {
                still.telemetry.logs.insert(slot.clone(), lines.clone());
            }
            model.telemetry.logs.insert(slot, lines);
        }
        Update::Copy { state } => model.copy = Some(state),
        Update::Crew { members, you } => {
            let drove = !model.looks_only();
            model.members = members;
            model.you = Some(you);
            on_crew(model, drove);
        }
        Update::Journal { state } => model.journal = state,
        Update::Refused { why } => refused(model, why),
        Update::Closed { outcome } => model.closed = Some(outcome),
    }
}

/// Questions are for the pilot: they close when someone else takes control.
fn on_crew(model: &mut Model, drove: bool) {
    if !drove || !model.looks_only() {
        return;
    }
    model.layers.retain(|layer| !matches!(layer, Layer::Form(_) | Layer::Rollback(_)));
    if let Some(pilot) = model.pilot().map(ToString::to_string) {
        model.say(format!("{pilot} has control; this screen watches"));
    }
}

/// A screen that joins while nobody has control first shows what happened meanwhile.
fn show_missed(model: &mut Model) {
    let Some(run) = &model.run else { return };
    // Whoever resumes a run comes a moment after its engine, and has missed nothing since.
    let worth = |since: &Timestamp| run.pilot.is_some() || model.now.since(*since) >= MISSED;
    let to = run.finished.as_ref().map_or(model.now, |(_, at, _)| *at);
    // Nor has whoever left when all was over.
    if let Some(since) = run.away_since.filter(worth).filter(|since| to > *since) {
        model.missed = Some((since, to));
        model.layers.push(Layer::Page(Box::new(Page::new(PageKind::Missed))));
    }
}

pub(super) fn on_event(model: &mut Model, envelope: &Envelope) {
    match &mut model.run {
        None => model.run = Run::open(envelope),
        Some(run) => run.apply(envelope),
    }
    match &envelope.event {
        // What was seen in an earlier attempt says nothing about the next.
        RunEvent::StepStarted { step, .. } => {
            let step = Some(step.clone());
            model.telemetry.watching.retain(|(of, _), _| *of != step);
        }
        RunEvent::RollbackStarted { .. } | RunEvent::CompletionStarted { .. } => {
            model.telemetry.watching.retain(|(of, _), _| of.is_some());
        }
        _ => {}
    }
    if let Some(run) = &model.run
        && let Some(text) = crate::domain::story::line(run, &envelope.event)
    {
        if model.story.len() >= STORY {
            model.story.drain(..STORY / 10);
        }
        model.story.push((envelope.at, text));
    }
}

/// A refusal belongs to the question it answers, where that is still open.
fn refused(model: &mut Model, why: String) {
    if let Some(Layer::Form(form)) = model.layers.last_mut()
        && matches!(form.purpose, Purpose::Ask { .. } | Purpose::Decide { .. })
    {
        form.fault = Some(why);
        return;
    }
    model.refuse(why);
}

/// Asks again for the logs that are on the screen.
fn refresh_logs(model: &mut Model, effects: &mut Vec<Effect>) {
    let wanted = match model.page().map(|page| &page.kind) {
        Some(PageKind::Logs { slot, pod }) => Some((slot.clone(), pod.clone())),
        // The pane of large screens.
        None if crate::tui::layout::has_log_pane(model.size) => {
            crate::tui::subject::watched_slot(model).map(|slot| (slot, None))
        }
        _ => None,
    };
    // What stands still needs no newer lines.
    let Some((slot, pod)) = wanted.filter(|_| model.still.is_none()) else { return };
    if model.telemetry.logs_asked.is_some_and(|at| model.now.since(at) < LOGS) {
        return;
    }
    model.telemetry.logs_asked = Some(model.now);
    effects.push(Effect::Send(Command::Logs { slot, pod }));
}
