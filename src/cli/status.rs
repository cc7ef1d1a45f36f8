//! `cutover status`: the state of a run, and whether its engine is watching it.

use std::time::{Duration, Instant};

use super::{
    args::StatusArgs,
    front::autopilot,
    wait::{self, Waited},
};
use crate::{
    domain::{
        event::Outcome,
        prompt::Prompt,
        run::Run,
        time::{Span, Timestamp},
    },
    flight::{
        exit::Exit,
        pulse::Pulse,
        say::{data, json_document, talk},
        stop::Stop,
        store::{self, Found},
    },
};

/// The engine, in words.
fn engine_words(engine: &Pulse) -> String {
    let ago = engine
        .ticked()
        .map_or_else(|| "never ticked".to_owned(), |ago| format!("last tick {} ago", ago.short()));
    match engine.pid() {
        Some(pid) if engine.lives() => format!("process {pid}, {ago}"),
        Some(pid) => format!("process {pid} DOES NOT ANSWER, {ago}"),
        None => format!("none, {ago}"),
    }
}

/// Time between two looks at a run that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Prints it, at once or when the run is in a state that is waited for.
///
/// # Errors
/// If there is no such run, or its journal can't be read.
pub async fn main(args: &StatusArgs) -> Result<Exit, Stop> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let id = match &args.run {
        Some(run) => run.clone(),
        None => store::newest(&state)?.ok_or_else(|| {
            Stop::usage(
                "there are no runs on this host yet\nstart one with: cutover run, or cutover rehearse",
            )
        })?,
    };
    let mut found = store::find(&state, &id)?.ok_or_else(|| Stop::no_run(&id))?;
    let waited = if args.wait.is_empty() { None } else { Some(wait_for(&mut found, args).await?) };
    let engine = Pulse::of(&found.dir)?;
    let now = time_of(&found, &engine);
    let exit = waited.map_or_else(|| exit(&found.run, &engine, now), Waited::exit);
    if args.json {
        data(&json_document(&document(&found, &engine, exit, now)));
    } else {
        for line in lines(&found, &engine, now) {
            data(&line);
        }
    }
    let wanted = || args.wait.iter().map(|state| state.word()).collect::<Vec<_>>().join(" or ");
    match waited {
        None | Some(Waited::Met(_)) => {}
        Some(Waited::EndedAs(word)) => talk(&format!("the run has ended as {word}, not {}", wanted())),
        Some(Waited::TimedOut) => {
            let after = args.timeout.unwrap_or_default();
            talk(&format!("the run is not {} after {after}", wanted()));
        }
    }
    Ok(exit)
}

/// The run's time now.
fn time_of(found: &Found, engine: &Pulse) -> Timestamp {
    let own = Timestamp(jiff::Timestamp::now().as_millisecond());
    engine.said().unwrap_or(own).max(found.run.last_at)
}

/// Looks again and again until the run is where it is waited for, has ended, or the time is up. The journal is read only after
/// it has changed. It needs no engine: one that is gone may come back.
async fn wait_for(found: &mut Found, args: &StatusArgs) -> Result<Waited, Stop> {
    let began = Instant::now();
    let limit = args.timeout.map(Span::to_std);
    let mut seen = None;
    loop {
        let engine = Pulse::of(&found.dir)?;
        let now = time_of(found, &engine);
        let run = &found.run;
        let (word, needs) = (state_word(run, &engine), waits(run, now).is_some());
        if let Some(met) = args.wait.iter().find(|state| state.is_met(run, word, needs)) {
            return Ok(Waited::Met(*met));
        }
        if let Some(word) = wait::ended(run) {
            return Ok(Waited::EndedAs(word));
        }
        let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Waited::TimedOut);
        }
        tokio::time::sleep(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))).await;
        let is = store::written_at(&found.dir);
        // Two records can be written within one tick of the file system's clock.
        let just_now = is.and_then(|at| at.elapsed().ok()).is_none_or(|ago| ago < LOOK_EVERY * 2);
        if is != seen || just_now {
            seen = is;
            if let Some(fresh) = store::in_dir(found.dir.clone())? {
                *found = fresh;
            }
        }
    }
}

/// The outcome's code if the run is over; 8 if it needs a person, 9 if it continues by itself or is paused,
/// 1 if it should have an engine and has none.
fn exit(run: &Run, engine: &Pulse, now: Timestamp) -> Exit {
    if is_unwatched(run, engine) {
        return Exit::Internal;
    }
    match &run.finished {
        Some((outcome, ..)) => Exit::of(*outcome),
        None if waits(run, now).is_some() => Exit::NeedsPerson,
        None => Exit::Paused,
    }
}

/// What the run needs from a person, if anything.
fn waits(run: &Run, now: Timestamp) -> Option<String> {
    let prompt = run.prompt(now);
    match &prompt {
        Prompt::Acting { .. } | Prompt::Countdown { .. } | Prompt::RollingBack | Prompt::Finished { .. } => {
            None
        }
        Prompt::Checking { open, .. } if open.is_empty() => None,
        Prompt::Held { reason, .. } => Some(format!("paused: {reason}")),
        Prompt::Failed { .. } => Some("a step has failed".to_owned()),
        Prompt::Unknown { .. } => Some("an action's result is unknown".to_owned()),
        Prompt::Fired { .. } => Some("a trigger has fired".to_owned()),
        Prompt::RollbackStopped { reason, .. } => Some(format!("the rollback has stopped: {reason}")),
        _ => Some(autopilot::question(run, &prompt)),
    }
}

/// Whether a run should have an engine and has none: it has started and is not over, or was interrupted.
fn is_unwatched(run: &Run, engine: &Pulse) -> bool {
    !engine.lives() && (run.needs_an_engine() || run.finished.is_none())
}

/// The state in a word.
pub(super) fn state_word(run: &Run, engine: &Pulse) -> &'static str {
    if is_unwatched(run, engine) {
        return "NOBODY WATCHES";
    }
    match (store::state_word(run), run.rolling_back().is_some()) {
        (_, true) => "rolling-back",
        (word, false) => word,
    }
}

/// The state, and what it means if no engine is watching.
fn state_words(run: &Run, engine: &Pulse) -> String {
    if is_unwatched(run, engine) && run.needs_an_engine() {
        return run.unwatched();
    }
    state_word(run, engine).to_owned()
}

/// The commands to use next.
fn next(run: &Run, engine: &Pulse) -> Vec<String> {
    let id = &run.opened.run_id;
    match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        None if engine.lives() => vec![format!("cutover attach {id}")],
        None | Some(Outcome::Held) if run.opened.rehearsal.is_some() => {
            vec!["cutover rehearse (a rehearsal cannot be resumed)".to_owned()]
        }
        None | Some(Outcome::Held) if run.needs_an_engine() => run.ways_on().into(),
        None | Some(Outcome::Held) => vec![format!("cutover resume {id}")],
        Some(Outcome::Succeeded) => vec![format!("cutover tasks {id}")],
        Some(Outcome::Failed | Outcome::RolledBack | Outcome::RollbackFailed) => {
            vec![format!("cutover attach {id}")]
        }
    }
}

fn step_words(run: &Run) -> Option<String> {
    let index = run.current().filter(|_| run.steps_open)?;
    let step = run.runbook.steps.get(index)?;
    let status = run.steps.get(index)?.status;
    Some(format!("{} of {}, {} ({})", index + 1, run.steps.len(), step.title, status.word()))
}

fn lines(found: &Found, engine: &Pulse, now: Timestamp) -> Vec<String> {
    let run = &found.run;
    let mut lines = vec![
        format!("{}  {}", run.opened.run_id, run.opened.runbook.document.title),
        format!("state     {}", state_words(run, engine)),
        format!("engine    {}", engine_words(engine)),
    ];
    let mut say = |name: &str, what: Option<String>| {
        lines.extend(what.map(|what| format!("{name:8}  {what}")));
    };
    let pilot = run.pilot.as_ref().filter(|_| run.finished.is_none()).map(|pilot| match run.away_since {
        Some(since) => format!("nobody; {pilot} has been gone for {}", now.since(since).short()),
        None => pilot.to_string(),
    });
    say("pilot", pilot);
    say("step", step_words(run).filter(|_| run.finished.is_none() || run.needs_an_engine()));
    say("traffic", run.live.as_ref().map(|slot| slot.0.clone()));
    say("waits", waits(run, now));
    say("end", run.finished.as_ref().map(|(_, at, detail)| format!("{at}: {detail}")));
    for next in next(run, engine) {
        say("next", Some(next));
    }
    say("files", Some(found.dir.display().to_string()));
    lines
}

fn document(found: &Found, engine: &Pulse, exit: Exit, now: Timestamp) -> serde_json::Value {
    let run = &found.run;
    let step = run.current().filter(|_| run.steps_open).and_then(|index| {
        let step = run.runbook.steps.get(index)?;
        let state = run.steps.get(index)?;
        Some(serde_json::json!({
            "number": index + 1, "id": step.id, "title": step.title,
            "status": state.status.word().to_lowercase(), "attempt": state.work.attempt,
        }))
    });
    serde_json::json!({
        "schema_version": 1,
        "run_id": run.opened.run_id,
        "title": run.opened.runbook.document.title,
        "state": state_word(run, engine).to_lowercase().replace(' ', "-"),
        "exit_code": exit.code(),
        "engine": {
            "lives": engine.lives(),
            "pid": engine.pid(),
            "last_tick_age_ms": engine.ticked().map(Span::as_millis),
        },
        "pilot": run.pilot,
        "pilot_here": run.present_pilot().is_some(),
        "away_since": run.away_since,
        "step": step,
        "live_slot": run.live,
        "new_version": run.new_version(),
        "held": run.held.as_ref().map(|held| &held.reason),
        "waits_for": waits(run, now),
        "next": next(run, engine),
        "outcome": run.finished.as_ref().map(|(outcome, ..)| outcome),
        "last_event_at": run.last_at,
        "directory": found.dir,
    })
}
