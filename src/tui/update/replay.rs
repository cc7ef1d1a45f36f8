//! A past run, played: time goes on, or jumps.

use std::sync::Arc;

use super::engine;
use crate::{
    config::keymap::KeyAction,
    domain::{
        kept::Seen,
        message::JournalState,
        reel::{Reel, Scene},
        time::{Span, Timestamp},
    },
    tui::model::{Model, replay::Replay, telemetry::Telemetry},
};

/// What a log says in a replay.
const NO_LOGS: &str = "logs of pods are not kept with a run";

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

/// Begins a replay at the run's beginning.
pub(super) fn begin(model: &mut Model, reel: Arc<Reel>, speed: u32) {
    let at = reel.from();
    let mut remarks = reel.remarks().to_vec();
    if !reel.has_samples() {
        remarks.push("no samples were kept of this run: only its events are shown".to_owned());
    }
    model.replay = Some(Replay { reel, place: 0, at, playing: true, speed });
    jump_to(model, at);
    if !remarks.is_empty() {
        model.say(remarks.join("; "));
    }
}

/// Real time has passed.
pub(super) fn pass(model: &mut Model, real: Span) {
    let Some(replay) = model.replay.as_mut().filter(|replay| replay.playing) else { return };
    let ms = real.as_millis().saturating_mul(u64::from(replay.speed));
    let end = replay.reel.to();
    replay.at = (replay.at + Span::from_millis(ms)).min(end);
    let (at, to) = (replay.at, replay.reel.place(replay.at));
    play_to(model, to, at);
    if let Some(replay) = model.replay.as_mut().filter(|replay| replay.is_over() && replay.at >= end) {
        replay.playing = false;
    }
}

/// A key of a replay. `false` where it is none.
pub(super) fn on_action(model: &mut Model, action: KeyAction) -> bool {
    let Some(replay) = &mut model.replay else { return false };
    let reel = Arc::clone(&replay.reel);
    match action {
        KeyAction::Play if replay.is_over() => {
            jump_to(model, reel.from());
            if let Some(replay) = &mut model.replay {
                replay.playing = true;
            }
        }
        KeyAction::Play => replay.playing = !replay.playing,
        KeyAction::Faster | KeyAction::Slower => {
            if let Some(speed) = replay.other_speed(action == KeyAction::Faster) {
                replay.speed = speed;
            }
        }
        KeyAction::NextEvent => {
            if let Some((place, _)) = reel.next_event(replay.place) {
                show(model, place);
            }
        }
        KeyAction::PreviousEvent => {
            if let Some((place, _)) = reel.previous_event(replay.place) {
                show(model, place);
            }
        }
        _ => return false,
    }
    true
}

/// `:goto` with what was typed behind it.
pub(super) fn goto(model: &mut Model, to: &str) {
    let Some(replay) = &model.replay else { return model.refuse("only a replay can be moved") };
    let (reel, at) = (Arc::clone(&replay.reel), replay.at);
    if let Some(place) =
        to.strip_prefix('#').map(|number| number.parse().ok().and_then(|seq| reel.event(seq)))
    {
        return match place {
            Some(place) => show(model, place),
            None => model.refuse(format!("the journal has no event {to}")),
        };
    }
    if let Some(time) = time(&reel, at, to) {
        return jump_to(model, time.clamp(reel.from(), reel.to()));
    }
    match reel.find(to, replay.place) {
        Some(place) if !to.is_empty() => show(model, place),
        _ if to.is_empty() => {
            model.refuse("write :goto 14:05, :goto 12m, :goto +30s, :goto end, or a word of an event");
        }
        _ => model.refuse(format!("no event says `{to}`")),
    }
}

/// The time that is meant: of the day, since the run was opened, or from here.
fn time(reel: &Reel, at: Timestamp, text: &str) -> Option<Timestamp> {
    match text {
        "start" => return Some(reel.from()),
        "end" => return Some(reel.to()),
        _ => {}
    }
    if let Some(span) = text.strip_prefix('+') {
        return Some(at + span.parse::<Span>().ok()?);
    }
    if let Some(span) = text.strip_prefix('-') {
        return Some(at - span.parse::<Span>().ok()?);
    }
    if let Ok(span) = text.parse::<Span>() {
        return Some(reel.from() + span);
    }
    let parts: Vec<i64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    let wanted = ((hour * 60 + minute) * 60 + second) * 1_000;
    let midnight = reel.from().0 - reel.from().0.rem_euclid(DAY);
    let today = midnight.saturating_add(wanted);
    // Of the second it may be any part.
    let gone = today.saturating_add(999) < reel.from().0;
    Some(Timestamp(if gone { today.saturating_add(DAY) } else { today }))
}

/// Goes to a time.
fn jump_to(model: &mut Model, at: Timestamp) {
    let Some(replay) = &model.replay else { return };
    let place = replay.reel.place(at);
    go(model, place, at);
}

/// Goes to an event and stays there: it is to be looked at.
fn show(model: &mut Model, place: usize) {
    let Some(replay) = &mut model.replay else { return };
    replay.playing = false;
    let at = place.checked_sub(1).and_then(|last| replay.reel.scene(last)).map_or(replay.at, |(at, _)| at);
    go(model, place, at);
}

fn go(model: &mut Model, place: usize, at: Timestamp) {
    if model.replay.as_ref().is_some_and(|replay| place < replay.place) || model.run.is_none() {
        forget(model);
    }
    play_to(model, place, at);
}

/// As before the first scene. What the eye is on stays.
fn forget(model: &mut Model) {
    model.run = None;
    model.story.clear();
    model.telemetry = Telemetry::default();
    model.still = None;
    model.window = None;
    model.copy = None;
    model.closed = None;
    model.journal = JournalState::Whole;
    if let Some(replay) = &mut model.replay {
        replay.place = 0;
    }
}

/// Shows every scene up to a place, and the time.
fn play_to(model: &mut Model, to: usize, at: Timestamp) {
    let Some(replay) = &model.replay else { return };
    let (reel, from) = (Arc::clone(&replay.reel), replay.place);
    for index in from..to {
        if let Some((_, scene)) = reel.scene(index) {
            take(model, scene);
        }
    }
    let slots: Vec<_> = match (&model.run, model.telemetry.logs.is_empty()) {
        (Some(run), true) => {
            run.runbook.target.iter().flat_map(|target| target.slots.keys().cloned()).collect()
        }
        _ => Vec::new(),
    };
    model.telemetry.logs.extend(slots.into_iter().map(|slot| (slot, Err(NO_LOGS.to_owned()))));
    if let Some(replay) = &mut model.replay {
        replay.place = replay.place.max(to);
        replay.at = at;
    }
    model.now = at;
}

fn take(model: &mut Model, scene: Scene<'_>) {
    let moment = match scene {
        Scene::Event(envelope) => return engine::on_event(model, envelope),
        Scene::Moment(moment) => moment,
    };
    let telemetry = &mut model.telemetry;
    match &moment.seen {
        Seen::Sample(sample) => telemetry.sampled(vec![sample.clone()], false),
        Seen::Past(sample) => telemetry.recalled(sample),
        Seen::Picture(workload) => telemetry.workload = Some((**workload).clone()),
        Seen::Confirmed { as_of, .. } => {
            if let Some(workload) = &mut telemetry.workload {
                workload.as_of = *as_of;
            }
        }
        Seen::Evidence(standings) => telemetry.evidence.clone_from(standings),
        Seen::Access(access) => telemetry.access = Some(access.clone()),
        Seen::Copy(state) => model.copy = Some(state.clone()),
        Seen::Look { step, check, holds, evidence } => {
            telemetry.watching.insert((step.clone(), *check), (*holds, evidence.clone()));
        }
        Seen::Lost { .. } => {}
    }
}
