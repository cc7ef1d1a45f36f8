//! Line mode: a run without a screen, one line per event; `--json-lines` for programs.
//!
//! When there is nothing more it can do, it exits. A run that has started continues without it: its engine keeps the triggers
//! armed and rolls back. A run that has changed nothing yet ends with it, and so does a rehearsal.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot::Receiver,
};

use super::{
    autopilot::{self, Move},
    words::{gone, json_line, paused},
};
use crate::{
    domain::{
        crew::Role,
        event::{Envelope, Outcome, SCHEMA_VERSION},
        id::RunId,
        message::{Command, JournalState, Update},
        metric::Sample,
        online::preflight::Preflight,
        run::Run,
        safe_text::escaped_json,
        story,
        time::{Span, Timestamp},
    },
    flight::{
        exit::Exit,
        say::{data, talk},
        store,
    },
    link::Client,
    tui::untold::Untold,
};

/// How long to wait before sending the same command again: the reason for a refusal may have gone.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// An engine tells its time once a second. Without a word for so long it may be gone.
const SILENCE: Duration = Duration::from_secs(4);
/// After this many refusals the run cannot continue by itself.
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

/// After ctrl-c this process leaves the run; within this time a second ctrl-c pauses the run first.
const SECOND: Duration = Duration::from_secs(2);
/// How long the engine may take to confirm the pause.
const HOLDING: Duration = Duration::from_secs(3);

/// Follows a run to its end, or until this process is told to exit; the run then continues without it. What `look` brings is
/// said when it comes; nothing waits for it.
pub async fn follow(
    mut client: Client,
    options: PlainOptions,
    mut look: Option<Receiver<Preflight>>,
) -> Exit {
    let mut plain = Plain::new(options);
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return Exit::Internal;
    };
    loop {
        let due = plain.departure.as_ref().map(|departure| departure.due);
        let woken = tokio::select! {
            update = client.next() => Woken::Update(update.map(Box::new)),
            found = looked(&mut look) => {
                look = None;
                Woken::Found(found)
            }
            _ = interrupt.recv() => Woken::Interrupt,
            _ = terminate.recv() => Woken::Terminate,
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => Woken::Due,
            () = tokio::time::sleep(SILENCE) => Woken::Silence,
        };
        if let Some(exit) = plain.wake(woken, &mut client).await {
            return exit;
        }
        plain.tell_news();
        if let Some(exit) = plain.go_on(&client).await {
            return exit;
        }
    }
}

/// What line mode waits for, whichever comes first.
enum Woken {
    /// The engine says something; none when the connection is gone.
    Update(Option<Box<Update>>),
    /// The look before the start has ended.
    Found(Option<Preflight>),
    Interrupt,
    Terminate,
    /// The time after ctrl-c is over.
    Due,
    /// The engine says nothing.
    Silence,
}

/// Set by ctrl-c: this process is about to exit.
struct Departure {
    due: Instant,
    /// Whether the run was asked to pause first.
    pauses: bool,
}

/// What was found, once it is there; never where nobody looks. None where the look ended without a word.
async fn looked(look: &mut Option<Receiver<Preflight>>) -> Option<Preflight> {
    match look {
        Some(look) => look.await.ok(),
        None => std::future::pending().await,
    }
}

struct Plain {
    options: PlainOptions,
    /// The run, and what a screen shows beside its events.
    seen: Untold,
    /// What this connection may do, once the engine has said so.
    role: Option<Role>,
    now: Timestamp,
    /// When the backlog came, in run time and in real time.
    came: Option<(Timestamp, Instant)>,
    /// Commands sent lately, so that none is sent twice for the same reason.
    asked: Vec<(Command, Instant)>,
    /// Set once nothing more can be done from here: why, and the exit code.
    leaving: Option<(String, Exit)>,
    journal: JournalState,
    refusals: u32,
    departure: Option<Departure>,
    /// When the engine last said something.
    heard: Instant,
}

impl Plain {
    fn new(options: PlainOptions) -> Self {
        Self {
            options,
            seen: Untold::default(),
            role: None,
            now: Timestamp::default(),
            came: None,
            asked: Vec::new(),
            leaving: None,
            journal: JournalState::Whole,
            refusals: 0,
            departure: None,
            heard: Instant::now(),
        }
    }

    /// Takes what has come. Gives an exit code when it was the last.
    async fn wake(&mut self, woken: Woken, client: &mut Client) -> Option<Exit> {
        match woken {
            Woken::Update(None) => Some(self.end(None)),
            Woken::Update(Some(first)) => self.take_all(*first, client),
            Woken::Found(found) => {
                found.iter().flat_map(Preflight::lines).for_each(|line| talk(&line));
                None
            }
            Woken::Interrupt => self.interrupted(client).await,
            Woken::Terminate => {
                self.detached("");
                Some(Exit::Signal(15))
            }
            Woken::Due => Some(Exit::Paused),
            Woken::Silence => {
                self.seen.silence(span(self.heard.elapsed()));
                None
            }
        }
    }

    /// Takes an update and all that wait behind it: what is next is decided on the newest state, never on one that is over.
    fn take_all(&mut self, first: Update, client: &mut Client) -> Option<Exit> {
        self.heard = Instant::now();
        let mut next = Some(first);
        while let Some(update) = next {
            if let Update::Closed { outcome } = update {
                return Some(self.end(outcome));
            }
            self.take(update);
            next = client.try_next();
        }
        None
    }

    /// The first ctrl-c leaves the run, a second one pauses it before, a third one waits for nothing.
    async fn interrupted(&mut self, client: &Client) -> Option<Exit> {
        match self.departure {
            None => {
                self.detached("press ctrl-c again to pause the run too");
                self.departure = Some(Departure { due: Instant::now() + SECOND, pauses: false });
            }
            Some(Departure { pauses: false, .. }) => {
                self.departure = Some(Departure { due: Instant::now() + HOLDING, pauses: true });
                let reason = "paused with ctrl-c in line mode".to_owned();
                self.send(client, Command::Hold { reason }).await;
            }
            Some(_) => return Some(Exit::Paused),
        }
        None
    }

    /// Does what is next, unless this process is about to exit.
    async fn go_on(&mut self, client: &Client) -> Option<Exit> {
        match &self.departure {
            None => self.act(client).await,
            Some(departure) => {
                let paused = self.seen.run().is_some_and(|run| run.held.is_some());
                (departure.pauses && paused).then_some(Exit::Paused)
            }
        }
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Backlog { events, now, run_dir } => {
                self.came = Some((now, Instant::now()));
                talk(&format!("the run's files are in {run_dir}"));
                self.seen.take(Update::Backlog { events: Vec::new(), now, run_dir });
                self.now = now;
                for envelope in &events {
                    self.event(envelope);
                }
            }
            Update::Event { envelope } => self.event(&envelope),
            Update::Tick { now } => {
                self.now = self.now.max(now);
                self.seen.take(Update::Tick { now: self.now });
            }
            Update::Samples { samples, backfill } => {
                if self.options.samples && !backfill {
                    for sample in &samples {
                        self.sample(sample);
                    }
                }
                self.seen.take(Update::Samples { samples, backfill });
            }
            Update::Output { lines, .. } if !self.options.json_lines => {
                for line in &lines {
                    data(&format!("    | {}", line.plain()));
                }
            }
            Update::Crew { members, you } => {
                let role = members.iter().find(|member| member.id == you).map(|member| member.role);
                if self.role != role && role == Some(Role::Observer) && !self.options.watches {
                    talk("someone else has control of this run; following it read-only");
                }
                self.role = role;
            }
            Update::Journal { state } => {
                self.journal = state.clone();
                self.seen.take(Update::Journal { state });
            }
            Update::Refused { why } => {
                self.refusals += 1;
                talk(&format!("refused: {why}"));
            }
            update => self.seen.take(update),
        }
    }

    /// Prints an event. As JSON every one of them, which scripts may rely on; as text those that mean something to a
    /// person.
    fn event(&mut self, envelope: &Envelope) {
        self.now = self.now.max(envelope.at);
        self.seen.take(Update::Event { envelope: envelope.clone() });
        if self.options.json_lines {
            data(&json_line(envelope));
        } else if let Some(line) = self.seen.run().and_then(|run| story::line(run, &envelope.event)) {
            data(&format!("{} {line}", envelope.at.clock()));
        }
    }

    /// Says what a screen would show now and no event tells. The stream for programs has events only.
    fn tell_news(&mut self) {
        let at = self.now.clock();
        for words in self.seen.news() {
            if self.options.json_lines {
                talk(&format!("{at} {words}"));
            } else {
                data(&format!("{at} {words}"));
            }
        }
    }

    /// Prints a sample. It is no event of the run and carries no sequence number, so it has the name `sample` in the
    /// stream.
    fn sample(&self, sample: &Sample) {
        if self.options.json_lines {
            let mut line = serde_json::json!({ "schema_version": SCHEMA_VERSION, "event": "sample" });
            if let (Some(line), Ok(serde_json::Value::Object(fields))) =
                (line.as_object_mut(), serde_json::to_value(sample))
            {
                line.extend(fields);
            }
            data(&escaped_json(&line.to_string()));
        } else {
            let slot = sample.slot.as_ref().map(|slot| format!(" {slot}")).unwrap_or_default();
            let value = match &sample.value {
                Ok(value) => value.to_string(),
                Err(missing) => missing.to_string(),
            };
            data(&format!("{} {}{slot} = {value}", sample.at.clock(), sample.metric));
        }
    }

    /// One real second in run time: a rehearsal may run faster than real time, and does not say how fast.
    fn second(&self) -> Span {
        let Some((at, real)) = self.came else { return Span::from_secs(1) };
        let real = u64::try_from(real.elapsed().as_millis()).unwrap_or(u64::MAX);
        let passed = self.now.since(at).as_millis().saturating_mul(1000);
        Span::from_millis(passed.checked_div(real).unwrap_or(0)).max(Span::from_secs(1))
    }

    /// Does what is next. Gives an exit code when this process leaves a run that continues without it.
    async fn act(&mut self, client: &Client) -> Option<Exit> {
        let run = self.seen.run()?;
        if self.options.watches || self.role != Some(Role::Pilot) {
            return None;
        }
        if self.leaving.is_none() {
            self.leaving = self.reason_to_leave(run);
            if let Some((why, exit)) = &self.leaving {
                let person = if *exit == Exit::NeedsPerson { "a person is needed: " } else { "" };
                talk(&format!("{person}{why}"));
            }
        }
        let commands = match &self.leaving {
            Some((_, exit)) if run.needs_an_engine() => {
                self.left_to_its_engine(run, "");
                return Some(*exit);
            }
            Some((why, _)) => vec![Command::Suspend { reason: why.clone() }],
            None => match autopilot::next(run, self.now, self.second(), self.options.yes) {
                Move::Over(_) => vec![Command::Close],
                Move::Send(commands) => commands,
                Move::Wait | Move::Leave(_) | Move::NeedsPerson(_) => return None,
            },
        };
        let now = Instant::now();
        self.asked.retain(|(_, when)| now.duration_since(*when) < ASK_AGAIN);
        for command in commands {
            if self.asked.iter().all(|(asked, _)| *asked != command) {
                self.asked.push((command.clone(), now));
                self.send(client, command).await;
            }
        }
        None
    }

    /// Why nothing more can be done from here, if so.
    fn reason_to_leave(&self, run: &Run) -> Option<(String, Exit)> {
        if let JournalState::Lost { why } = &self.journal {
            // Consent to a rollback that nothing records is a person's.
            return Some((format!("the journal can't be written: {why}"), Exit::NeedsPerson));
        }
        match autopilot::next(run, self.now, self.second(), self.options.yes) {
            Move::NeedsPerson(what) => Some((what, Exit::NeedsPerson)),
            Move::Leave(why) => Some((why, Exit::Paused)),
            Move::Send(_) if self.refusals > REFUSALS => {
                Some(("the run cannot continue by itself".to_owned(), Exit::NeedsPerson))
            }
            Move::Send(_) | Move::Wait | Move::Over(_) => None,
        }
    }

    /// The answer is no return value: it comes as an event, or as a refusal that is counted.
    async fn send(&self, client: &Client, command: Command) {
        client.send(&command).await;
    }

    /// Says that the run continues without this process.
    fn detached(&self, more: &str) {
        if self.options.watches {
            return;
        }
        match self.seen.run() {
            Some(run) if run.finished.is_none() => self.left_to_its_engine(run, more),
            _ => talk(&format!("come back with: cutover attach {}", self.options.run_id)),
        }
    }

    /// Says that the run continues without this process, what its engine does, and how to return to it.
    fn left_to_its_engine(&self, run: &Run, more: &str) {
        let id = &self.options.run_id;
        let engine = match store::engine(&self.options.run_dir) {
            Ok(Some(holder)) => format!("its engine (process {})", holder.pid),
            _ => "its engine".to_owned(),
        };
        talk(&format!("run {id} continues, but nobody has control: {engine} {}", stays(run, &self.journal)));
        let more = if more.is_empty() { String::new() } else { format!(" ({more})") };
        let stopped = run.rolling_back().is_some_and(|rollback| rollback.stopped.is_some());
        let back = if stopped || !run.can_roll_back() {
            String::new()
        } else {
            format!("; roll back with: cutover rollback {id} --reason WHY")
        };
        talk(&format!("come back with: cutover attach {id}{more}{back}"));
    }

    /// The exit code at the end of the run, or at the end of the connection, which without an outcome is an engine
    /// that is gone.
    fn end(&self, outcome: Option<Outcome>) -> Exit {
        if let Some(run) = self.seen.run().filter(|_| outcome == Some(Outcome::Held)) {
            talk(&paused(run));
        }
        match (outcome, &self.leaving) {
            (Some(Outcome::Held), Some((_, exit))) => *exit,
            (Some(outcome), _) => Exit::of(outcome),
            (None, _) => {
                talk(&gone(&self.options.run_id, &self.options.run_dir));
                Exit::Internal
            }
        }
    }
}

fn span(real: Duration) -> Span {
    Span::from_millis(u64::try_from(real.as_millis()).unwrap_or(u64::MAX))
}

/// What an engine does for a run after line mode has exited.
fn stays(run: &Run, journal: &JournalState) -> &'static str {
    let armed =
        run.switched_at.is_some() && run.runbook.triggers.iter().any(|trigger| trigger.watch.is_some());
    if matches!(journal, JournalState::Lost { .. }) {
        return "keeps running, but does nothing until a person agrees to continue without a journal";
    }
    match run.rolling_back() {
        Some(rollback) if rollback.stopped.is_some() => {
            "keeps running; the rollback has stopped, and a person must retry it (r) or abandon it (x)"
        }
        Some(_) => "keeps running and finishes the rollback",
        None if armed => "keeps watching: a trigger that fires rolls back, nothing new starts",
        None => "keeps watching: nothing new starts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            crew::{Member, Person, ScreenId},
            event::RunEvent,
            fixture::{Flight, runbook},
        },
        link,
    };

    /// Line mode at the controls of such a run; gives what it asks of the engine, and how it ends. A suspended run is closed.
    async fn followed(events: Vec<Envelope>, now: Timestamp, yes: bool) -> (Vec<Command>, Exit) {
        followed_with(JournalState::Whole, events, now, yes).await
    }

    /// Line mode at the controls of such a run; gives what it asks of the engine, and how it ends. A suspended run is closed.
    async fn followed_with(
        state: JournalState,
        events: Vec<Envelope>,
        now: Timestamp,
        yes: bool,
    ) -> (Vec<Command>, Exit) {
        let dir = tempfile::tempdir().unwrap();
        let (client, mut server) = link::pair();
        let mut requests = server.requests().unwrap();
        server.send(&Update::Backlog { events, now, run_dir: String::new() });
        server.send(&Update::Journal { state });
        let pilot = Member { id: ScreenId(1), person: Person::of_login("ada"), role: Role::Pilot };
        server.send(&Update::Crew { members: vec![pilot], you: ScreenId(1) });
        let engine = async move {
            let mut asked = Vec::new();
            while let Some(command) = requests.next().await {
                let suspends = matches!(command, Command::Suspend { .. });
                asked.push(command);
                if suspends {
                    server.send(&Update::Closed { outcome: Some(Outcome::Held) });
                }
            }
            asked
        };
        let options = PlainOptions {
            yes,
            json_lines: false,
            samples: false,
            watches: false,
            run_id: RunId("run".to_owned()),
            run_dir: dir.path().to_owned(),
        };
        let followed = async { tokio::join!(engine, follow(client, options, None)) };
        tokio::time::timeout(Duration::from_secs(20), followed).await.unwrap()
    }

    fn rehearsed(flight: &Flight) -> Vec<Envelope> {
        let mut events = flight.events.clone();
        if let RunEvent::RunOpened(opened) = &mut events[0].event {
            opened.rehearsal = Some("good".to_owned());
        }
        events
    }

    #[tokio::test]
    async fn n3_a_run_that_has_begun_keeps_its_engine_and_any_other_ends() {
        let suspended = |asked: &[Command]| matches!(asked, [Command::Suspend { .. }]);
        // Nothing was changed yet: it ends, as it does in a rehearsal, where nothing is real.
        let flight = Flight::open(runbook());
        let (asked, exit) = followed(flight.events.clone(), flight.now, false).await;
        assert!(suspended(&asked) && exit == Exit::NeedsPerson, "{asked:?} {exit:?}");

        let mut held = Flight::passed(runbook(), 1);
        held.command(Command::Hold { reason: "lunch".to_owned() });
        let (asked, exit) = followed(rehearsed(&held), held.now, true).await;
        assert!(suspended(&asked) && exit == Exit::Paused, "{asked:?} {exit:?}");
        assert_eq!(followed(held.events.clone(), held.now, true).await, (Vec::new(), Exit::Paused));

        let mut window = Flight::in_window(runbook());
        assert_eq!(followed(window.events.clone(), window.now, false).await, (Vec::new(), Exit::NeedsPerson));
        // A person may still consent to a rollback that nothing records: there must be an engine to consent to.
        let lost = JournalState::Lost { why: "input/output error".to_owned() };
        let left = followed_with(lost, window.events.clone(), window.now, true).await;
        assert_eq!(left, (Vec::new(), Exit::NeedsPerson));
        window.command(Command::Hold { reason: "lunch".to_owned() });
        assert_eq!(followed(window.events.clone(), window.now, true).await, (Vec::new(), Exit::Paused));
    }
}
