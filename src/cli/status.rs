//! `cutover status`: how a run stands, and whether anybody watches it.

use std::{path::Path, time::Duration};

use super::{
    args::StatusArgs,
    autopilot,
    exit::Exit,
    plain::{data, talk},
    store::{self, Found},
};
use crate::{
    domain::{
        event::Outcome,
        prompt::Prompt,
        run::Run,
        time::{Span, Timestamp},
    },
    engine::driver::TICK_FILE,
    journal::{self, Holder, Lock},
};

/// An engine that has not ticked for so long does not live, whatever holds its lock.
const SILENT: Duration = Duration::from_secs(15);

/// Whether an engine has a run in its hands.
struct Engine {
    holder: Option<Holder>,
    /// How long ago it last ticked, where it ever did.
    ticked: Option<Duration>,
    /// The run's time then: a rehearsal's runs faster than the host's.
    said: Option<Timestamp>,
}

impl Engine {
    fn of(dir: &Path) -> color_eyre::Result<Self> {
        let holder = Lock::holder(dir, journal::lock::RUN_LOCK)?;
        let tick = std::fs::metadata(dir.join(TICK_FILE)).and_then(|meta| meta.modified()).ok();
        let said = std::fs::read_to_string(dir.join(TICK_FILE)).ok();
        let said = said.and_then(|text| text.trim().parse::<jiff::Timestamp>().ok());
        Ok(Self {
            holder,
            ticked: tick.map(|tick| tick.elapsed().unwrap_or_default()),
            said: said.map(|said| Timestamp(said.as_millisecond())),
        })
    }

    fn lives(&self) -> bool {
        self.holder.is_some() && self.ticked.is_some_and(|ago| ago < SILENT)
    }

    fn words(&self) -> String {
        let ago = self
            .ticked
            .map_or_else(|| "never ticked".to_owned(), |ago| format!("last tick {} ago", span(ago).short()));
        match &self.holder {
            Some(holder) if self.lives() => format!("process {}, {ago}", holder.pid),
            Some(holder) => format!("process {} DOES NOT ANSWER, {ago}", holder.pid),
            None => format!("none, {ago}"),
        }
    }
}

fn span(duration: Duration) -> Span {
    Span::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Prints it.
///
/// # Errors
/// If there is no such run, or its journal can't be read.
pub fn main(args: &StatusArgs) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let id = match &args.run {
        Some(run) => run.clone(),
        None => {
            if let Some(run) = store::newest(&state)? {
                run
            } else {
                talk("no runs yet");
                return Ok(Exit::Usage);
            }
        }
    };
    let Some(found) = store::find(&state, &id)? else {
        talk(&format!("there is no run {id}; see: cutover list"));
        return Ok(Exit::Usage);
    };
    let engine = Engine::of(&found.dir)?;
    let own = Timestamp(jiff::Timestamp::now().as_millisecond());
    let now = engine.said.filter(|_| engine.lives()).unwrap_or(own).max(found.run.last_at);
    let exit = exit(&found.run, &engine, now);
    if args.json {
        data(&serde_json::to_string_pretty(&document(&found, &engine, exit, now))?);
    } else {
        for line in lines(&found, &engine, now) {
            data(&line);
        }
    }
    Ok(exit)
}

/// The outcome's code where the run is over; 8 where it waits for a person, 9 where it goes on by itself or is paused,
/// 1 where it should have an engine and has none.
fn exit(run: &Run, engine: &Engine, now: Timestamp) -> Exit {
    match &run.finished {
        Some((outcome, ..)) => Exit::of(*outcome),
        None if !engine.lives() => Exit::Internal,
        None if waits(run, now).is_some() => Exit::NeedsPerson,
        None => Exit::Paused,
    }
}

/// What a run waits for from a person, where it does.
fn waits(run: &Run, now: Timestamp) -> Option<String> {
    let prompt = run.prompt(now);
    match &prompt {
        Prompt::Acting { .. } | Prompt::Countdown { .. } | Prompt::RollingBack | Prompt::Finished { .. } => {
            None
        }
        Prompt::Checking { open, .. } if open.is_empty() => None,
        Prompt::Held { reason, .. } => Some(format!("held: {reason}")),
        Prompt::Failed { .. } => Some("a step has failed".to_owned()),
        Prompt::Unknown { .. } => Some("an action's result is unknown".to_owned()),
        Prompt::Fired { .. } => Some("a trigger has fired".to_owned()),
        Prompt::RollbackStopped { reason, .. } => Some(format!("the rollback has stopped: {reason}")),
        _ => Some(autopilot::question(run, &prompt)),
    }
}

fn state_word(run: &Run, engine: &Engine) -> &'static str {
    if run.finished.is_none() && !engine.lives() {
        return "NOBODY WATCHES";
    }
    match (store::state_word(run), run.rolling_back().is_some()) {
        (_, true) => "rolling-back",
        (word, false) => word,
    }
}

fn step_words(run: &Run) -> Option<String> {
    let index = run.current().filter(|_| run.steps_open)?;
    let step = run.runbook.steps.get(index)?;
    let status = run.steps.get(index)?.status;
    Some(format!("{} of {}, {} ({})", index + 1, run.steps.len(), step.title, status.word()))
}

fn lines(found: &Found, engine: &Engine, now: Timestamp) -> Vec<String> {
    let run = &found.run;
    let mut lines = vec![
        format!("{}  {}", run.opened.run_id, run.opened.runbook.document.title),
        format!("state     {}", state_word(run, engine)),
        format!("engine    {}", engine.words()),
    ];
    let mut say = |name: &str, what: Option<String>| {
        lines.extend(what.map(|what| format!("{name:8}  {what}")));
    };
    let pilot = run.pilot.as_ref().filter(|_| run.finished.is_none()).map(|pilot| match run.away_since {
        Some(since) => format!("nobody; {pilot} is gone for {}", now.since(since).short()),
        None => pilot.to_string(),
    });
    say("pilot", pilot);
    say("step", step_words(run).filter(|_| run.finished.is_none()));
    say("traffic", run.live.as_ref().map(|slot| slot.0.clone()));
    say("waits", waits(run, now));
    say("end", run.finished.as_ref().map(|(_, at, detail)| format!("{at}: {detail}")));
    let alive = engine.lives();
    let next = match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        None if alive => format!("cutover attach {}", run.opened.run_id),
        None | Some(Outcome::Held) => format!("cutover resume {}", run.opened.run_id),
        Some(Outcome::Succeeded) => format!("cutover tasks {}", run.opened.run_id),
        Some(_) => format!("cutover attach {}", run.opened.run_id),
    };
    say("next", Some(next));
    say("files", Some(found.dir.display().to_string()));
    lines
}

fn document(found: &Found, engine: &Engine, exit: Exit, now: Timestamp) -> serde_json::Value {
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
            "pid": engine.holder.as_ref().map(|holder| holder.pid),
            "last_tick_age_ms": engine.ticked.map(|ago| span(ago).as_millis()),
        },
        "pilot": run.pilot,
        "pilot_here": run.present_pilot().is_some(),
        "away_since": run.away_since,
        "step": step,
        "live_slot": run.live,
        "new_version": run.new_version(),
        "held": run.held.as_ref().map(|held| &held.reason),
        "waits_for": waits(run, now),
        "outcome": run.finished.as_ref().map(|(outcome, ..)| outcome),
        "last_event_at": run.last_at,
        "directory": found.dir,
    })
}
