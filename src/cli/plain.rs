//! Line mode: a run without a screen, one line an event, `--json-lines` for programs.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    autopilot::{self, Move},
    exit::Exit,
};
use crate::{
    domain::{
        crew::Role,
        event::{Envelope, Outcome, RunEvent, SCHEMA_VERSION},
        id::RunId,
        message::{Command, JournalState, Update},
        metric::Sample,
        run::Run,
        story,
        time::{Span, Timestamp},
    },
    journal::{Lock, lock::RUN_LOCK},
    link::Client,
};

/// The same thing is asked for again after this long: it may have been refused for a reason that has gone.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// A run that refuses so much cannot go on by itself.
const REFUSALS: u32 = 20;

/// How line mode behaves.
#[derive(Debug, Clone)]
pub struct PlainOptions {
    /// Confirm without asking.
    pub yes: bool,
    /// The event stream as JSON lines instead of text.
    pub json_lines: bool,
    /// Samples too.
    pub samples: bool,
    /// Only look.
    pub watches: bool,
    /// Which run.
    pub run_id: RunId,
    /// Where its files are.
    pub run_dir: PathBuf,
}

/// After ctrl-c the run is left alone; so long a second one may ask it to hold.
const SECOND: Duration = Duration::from_secs(2);
/// A killed engine lets go of its sockets a moment before its lock.
const LAST_BREATH: Duration = Duration::from_millis(500);
/// How long the engine may take to say that it holds.
const HOLDING: Duration = Duration::from_secs(3);

/// Follows a run to its end, or until somebody or something ends this process; the run goes on then.
pub async fn follow(mut client: Client, options: PlainOptions) -> Exit {
    let mut plain = Plain {
        options,
        run: None,
        role: None,
        now: Timestamp::default(),
        came: None,
        asked: Vec::new(),
        needs_person: false,
        journal: JournalState::Whole,
        refusals: 0,
    };
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return Exit::Internal;
    };
    // Set by ctrl-c: when this process ends.
    let mut leaves: Option<Instant> = None;
    let mut holds = false;
    loop {
        tokio::select! {
            update = client.next() => match update {
                Some(Update::Closed { outcome }) => return plain.end(outcome),
                Some(update) => {
                    plain.take(update);
                    while let Some(update) = client.try_next() {
                        if let Update::Closed { outcome } = update {
                            return plain.end(outcome);
                        }
                        plain.take(update);
                    }
                }
                None => return plain.end(None),
            },
            _ = interrupt.recv() => {
                if leaves.is_none() {
                    plain.detached("ctrl-c again: the run holds, too");
                    leaves = Some(Instant::now() + SECOND);
                } else if !holds {
                    holds = true;
                    leaves = Some(Instant::now() + HOLDING);
                    plain.send(&client, Command::Hold { reason: "held from line mode (ctrl-c)".to_owned() }).await;
                } else {
                    return Exit::Paused;
                }
            }
            _ = terminate.recv() => {
                plain.detached("");
                return Exit::Signal(15);
            }
            () = tokio::time::sleep_until(leaves.unwrap_or_else(Instant::now).into()), if leaves.is_some() => {
                return Exit::Paused;
            }
        }
        match leaves {
            None => plain.act(&client).await,
            Some(_) if holds && plain.run.as_ref().is_some_and(|run| run.held.is_some()) => {
                return Exit::Paused;
            }
            Some(_) => {}
        }
    }
}

struct Plain {
    options: PlainOptions,
    run: Option<Run>,
    /// What this connection may do, once the engine has said so.
    role: Option<Role>,
    now: Timestamp,
    /// When it came, in the run's time and really.
    came: Option<(Timestamp, Instant)>,
    /// What was asked for lately: other events may come in between, and nothing is asked twice for the same reason.
    asked: Vec<(Command, Instant)>,
    needs_person: bool,
    journal: JournalState,
    refusals: u32,
}

impl Plain {
    fn take(&mut self, update: Update) {
        match update {
            Update::Backlog { events, now, run_dir } => {
                self.now = now;
                self.came = Some((now, Instant::now()));
                talk(&format!("the run's files are in {run_dir}"));
                for envelope in &events {
                    self.event(envelope);
                }
            }
            Update::Event { envelope } => self.event(&envelope),
            Update::Tick { now } => self.now = self.now.max(now),
            Update::Samples { samples, backfill: false } if self.options.samples => {
                for sample in &samples {
                    self.sample(sample);
                }
            }
            Update::Output { lines, .. } if !self.options.json_lines => {
                for line in &lines {
                    data(&format!("    | {}", line.plain()));
                }
            }
            Update::Crew { members, you } => {
                let role = members.iter().find(|member| member.id == you).map(|member| member.role);
                if self.role != role && role == Some(Role::Observer) && !self.options.watches {
                    talk("somebody else drives this run: it is only followed here");
                }
                self.role = role;
            }
            Update::Journal { state } => self.journal = state,
            Update::Refused { why } => {
                self.refusals += 1;
                talk(&format!("refused: {why}"));
            }
            _ => {}
        }
    }

    fn event(&mut self, envelope: &Envelope) {
        self.now = self.now.max(envelope.at);
        match &mut self.run {
            Some(run) => run.apply(envelope),
            none => *none = Run::open(envelope),
        }
        if self.options.json_lines {
            data(&json_line(envelope));
        } else if let Some(line) = self.run.as_ref().and_then(|run| story::line(run, &envelope.event)) {
            data(&format!("{} {line}", envelope.at.clock()));
        }
    }

    fn sample(&self, sample: &Sample) {
        if self.options.json_lines {
            let mut line = serde_json::json!({ "schema_version": SCHEMA_VERSION, "event": "sample" });
            if let (Some(line), Ok(serde_json::Value::Object(fields))) =
                (line.as_object_mut(), serde_json::to_value(sample))
            {
                line.extend(fields);
            }
            data(&line.to_string());
        } else {
            let slot = sample.slot.as_ref().map(|slot| format!(" {slot}")).unwrap_or_default();
            let value = match &sample.value {
                Ok(value) => value.to_string(),
                Err(missing) => missing.to_string(),
            };
            data(&format!("{} {}{slot} = {value}", sample.at.clock(), sample.metric));
        }
    }

    /// What one real second is in the run's time: a rehearsal runs faster than life, and does not say how fast.
    fn second(&self) -> Span {
        let Some((at, real)) = self.came else { return Span::from_secs(1) };
        let real = u64::try_from(real.elapsed().as_millis()).unwrap_or(u64::MAX);
        let passed = self.now.since(at).as_millis().saturating_mul(1000);
        Span::from_millis(passed.checked_div(real).unwrap_or(0)).max(Span::from_secs(1))
    }

    async fn act(&mut self, client: &Client) {
        let Some(run) = &self.run else { return };
        if self.needs_person || self.options.watches || self.role != Some(Role::Pilot) {
            return;
        }
        if let JournalState::Lost { why } = &self.journal {
            // Consent to a rollback that nothing records is a person's.
            talk(&format!("the journal can't be written: {why}"));
            self.needs_person = true;
            let reason = "the journal is lost".to_owned();
            return self.send(client, Command::Suspend { reason }).await;
        }
        let commands = match autopilot::next(run, self.now, self.second(), self.options.yes) {
            Move::Wait => return,
            Move::Over(_) => vec![Command::Close],
            Move::NeedsPerson(what) => {
                self.needs_person = true;
                talk(&format!("a person is needed: {what}"));
                vec![Command::Suspend { reason: format!("a person is needed: {what}") }]
            }
            Move::Send(_) if self.refusals > REFUSALS => {
                self.needs_person = true;
                vec![Command::Suspend { reason: "the run cannot go on by itself".to_owned() }]
            }
            Move::Send(commands) => commands,
        };
        let now = Instant::now();
        self.asked.retain(|(_, when)| now.duration_since(*when) < ASK_AGAIN);
        for command in commands {
            if self.asked.iter().all(|(asked, _)| *asked != command) {
                self.asked.push((command.clone(), now));
                self.send(client, command).await;
            }
        }
    }

    async fn send(&self, client: &Client, command: Command) {
        client.send(&command).await;
    }

    /// Says that the run goes on.
    fn detached(&self, more: &str) {
        if self.options.watches {
            return;
        }
        let more = if more.is_empty() { String::new() } else { format!(" ({more})") };
        talk(&format!(
            "the run goes on without anybody at the controls; come back with: cutover attach {}{more}",
            self.options.run_id
        ));
    }

    fn end(&self, outcome: Option<Outcome>) -> Exit {
        if let Some(run) = self.run.as_ref().filter(|_| outcome == Some(Outcome::Held)) {
            talk(&format!("the run is paused; go on with: cutover resume {}", run.opened.run_id));
        }
        match outcome {
            Some(Outcome::Held) if self.needs_person => Exit::NeedsPerson,
            Some(outcome) => Exit::of(outcome),
            None => {
                talk(&gone(&self.options.run_id, &self.options.run_dir));
                Exit::Internal
            }
        }
    }
}

/// What to do after an engine has hung up without a word: is it dead, or only out of reach?
pub fn gone(run_id: &RunId, run_dir: &Path) -> String {
    let until = Instant::now() + LAST_BREATH;
    loop {
        match Lock::holder(run_dir, RUN_LOCK) {
            Ok(None) => {
                return format!(
                    "run {run_id}: its engine is gone, nobody watches; go on with: cutover resume {run_id}"
                );
            }
            Ok(Some(_)) if Instant::now() < until => std::thread::sleep(LAST_BREATH / 20),
            Ok(Some(_)) => {
                return format!(
                    "the connection to the engine of run {run_id} is gone; come back with: cutover attach {run_id}"
                );
            }
            Err(_) => {
                return format!("the connection to the engine is gone; see: cutover status {run_id}");
            }
        }
    }
}

/// One event as one line of the published stream.
pub fn json_line(envelope: &Envelope) -> String {
    let mut line = serde_json::Map::new();
    line.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(envelope) {
        line.extend(fields);
    }
    // The whole runbook is in the journal; a reader of the stream has its hash.
    if matches!(envelope.event, RunEvent::RunOpened(_)) {
        line.shift_remove("runbook");
    }
    serde_json::Value::Object(line).to_string()
}

/// Data goes to stdout. A reader that has gone away ends nothing: the run matters more.
pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Talk goes to stderr.
pub fn talk(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "cutover: {line}");
}
