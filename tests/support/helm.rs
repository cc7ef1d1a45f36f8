//! An engine of the product with a test at its controls: every event in the moment it happens, every order at once.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cutover::{
    cli::front::autopilot::{self, Move},
    domain::{
        crew::Wish,
        event::{Envelope, Outcome, RunEvent},
        message::{Command as Order, Update},
        prompt::Prompt,
        run::Run,
        time::{Span, Timestamp},
    },
    flight::job::{Job, NewRun, Rehearsal, Resumption, Task, Terms, Word},
    link::{self, Client},
};

use super::{
    ground::{Ground, WORLD},
    pty::{PATIENCE, Stage},
};

/// The same order is not repeated sooner.
const AGAIN: Duration = Duration::from_secs(1);

/// Where an engine is started: its state directory, and what it finds in its environment.
pub(crate) trait Base {
    fn stage(&self) -> &Stage;
    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command;
}

impl Base for Ground {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        Self::equip(self, command)
    }
}

/// In control of a run.
pub(crate) struct Helm {
    pub(crate) engine: Child,
    client: Client,
    pub(crate) run: Option<Run>,
    pub(crate) now: Timestamp,
    /// Everything that happened.
    pub(crate) events: Vec<Envelope>,
    /// What was refused, oldest first.
    pub(crate) refused: Vec<String>,
    /// The engine has closed the run.
    pub(crate) closed: bool,
    /// Samples that were told, without those of the past.
    pub(crate) samples: usize,
    given: Vec<(Order, Instant)>,
}

impl Helm {
    /// Opens a run of the ground's runbook.
    pub(crate) fn open(base: &impl Base) -> Self {
        Self::start(base, Task::Run(NewRun { runbook: "runbook.toml".into(), takeover: None }))
    }

    /// Opens a run of the base's runbook in a simulated world that tells this story, so many times as fast.
    pub(crate) fn rehearse(base: &impl Base, scenario: &str, speed: f64) -> Self {
        let rehearsal = Rehearsal {
            runbook: Some("runbook.toml".into()),
            scenario: scenario.to_owned(),
            speed,
            kubeconfig: None,
        };
        Self::start(base, Task::Rehearse(rehearsal))
    }

    /// Takes the newest run up.
    pub(crate) fn resume(base: &impl Base) -> Self {
        let run = base.stage().runs().pop().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        Self::start(base, Task::Resume(Resumption { run: Some(run), ..Resumption::default() }))
    }

    fn start(base: &impl Base, task: Task) -> Self {
        let job = Job { task, terms: Terms::unattended(base.stage().path()), pilot: "tester".into() };
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        base.equip(&mut command).arg("engine").current_dir(base.stage().path());
        let mut engine =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        engine.stdin.take().unwrap().write_all(&serde_json::to_vec(&job).unwrap()).unwrap();
        let mut line = String::new();
        BufReader::new(engine.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(Word::Ready { run_dir, .. }) = serde_json::from_str(&line) else {
            let output = engine.wait_with_output().unwrap();
            panic!("not started: {line}{}", String::from_utf8_lossy(&output.stderr));
        };
        let client = WORLD.block_on(Self::connect(run_dir));
        Self {
            engine,
            client,
            run: None,
            now: Timestamp(0),
            events: Vec::new(),
            refused: Vec::new(),
            closed: false,
            samples: 0,
            given: Vec::new(),
        }
    }

    async fn connect(run_dir: PathBuf) -> Client {
        let hello = link::client::hello(Wish::Pilot, Some("tester".into()));
        link::client::connect(&run_dir.join(link::CONTROL), &hello).await.unwrap()
    }

    /// Takes what the engine tells, for so long at most. Says whether something came.
    fn listen(&mut self, at_most: Duration) -> bool {
        let next = async { tokio::time::timeout(at_most, self.client.next()).await };
        match WORLD.block_on(next) {
            Ok(Some(Update::Backlog { events, now, .. })) => {
                self.run = Run::fold(&events);
                self.events = events;
                self.now = now;
            }
            Ok(Some(Update::Event { envelope })) => {
                self.now = self.now.max(envelope.at);
                if let Some(run) = &mut self.run {
                    run.apply(&envelope);
                }
                self.events.push(envelope);
            }
            Ok(Some(Update::Tick { now })) => self.now = now,
            Ok(Some(Update::Refused { why })) => self.refused.push(why),
            Ok(Some(Update::Samples { samples, backfill: false })) => {
                self.samples += samples.len();
            }
            Ok(Some(Update::Closed { .. }) | None) => self.closed = true,
            Ok(Some(_)) => {}
            Err(_) => return false,
        }
        true
    }

    pub(crate) fn order(&self, order: &Order) {
        WORLD.block_on(self.client.send(order));
    }

    pub(crate) fn roll_back(&self) {
        self.order(&Order::Rollback { reason: "it looks odd".into() });
    }

    /// Takes what comes until this is so; nothing is ordered.
    pub(crate) fn wait_until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < until && !self.closed, "no {what}\n{}", self.story());
            self.listen(Duration::from_millis(100));
        }
    }

    /// Takes what comes for so long.
    pub(crate) fn wait(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|_| !self.closed) {
            self.listen(left.min(Duration::from_millis(100)));
        }
    }

    /// Goes on as line mode does, until this is so: confirms what is asked, and nothing else.
    pub(crate) fn fly_until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < until && !self.closed, "no {what}\n{}", self.story());
            self.confirm();
            self.listen(Duration::from_millis(100));
        }
    }

    /// Confirms what is asked now.
    pub(crate) fn confirm(&mut self) {
        let Some(run) = &self.run else { return };
        let Move::Send(orders) = autopilot::next(run, self.now, Span::from_secs(1), true) else { return };
        self.given.retain(|(_, when)| when.elapsed() < AGAIN);
        for order in orders {
            let confirms = matches!(
                order,
                Order::SetVar { .. }
                    | Order::DecidePart { .. }
                    | Order::TickItem { .. }
                    | Order::OpenSteps { .. }
                    | Order::Start { .. }
                    | Order::Proceed { .. }
                    | Order::TickCheck { .. }
            );
            if confirms && self.given.iter().all(|(before, _)| *before != order) {
                self.given.push((order.clone(), Instant::now()));
                WORLD.block_on(self.client.send(&order));
            }
        }
    }

    /// Whether an event like this has happened.
    pub(crate) fn has(&self, is: impl Fn(&RunEvent) -> bool) -> bool {
        self.events.iter().any(|envelope| is(&envelope.event))
    }

    pub(crate) fn passed(&self, step: &str) -> bool {
        self.has(
            |event| matches!(event, RunEvent::StepPassed { step: passed, .. } if passed.as_str() == step),
        )
    }

    pub(crate) fn failed(&self, step: &str) -> bool {
        self.has(
            |event| matches!(event, RunEvent::StepFailed { step: failed, .. } if failed.as_str() == step),
        )
    }

    /// Whether the action of this name has begun.
    pub(crate) fn began(&self, action: &str) -> bool {
        self.has(|event| matches!(event, RunEvent::ActionStarted { name, .. } if name == action))
    }

    pub(crate) fn is_held(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.held.is_some())
    }

    pub(crate) fn held_because(&self) -> String {
        self.run
            .as_ref()
            .and_then(|run| run.held.as_ref())
            .map(|held| held.reason.clone())
            .unwrap_or_default()
    }

    /// The run is over, or its rollback waits for a person.
    pub(crate) fn is_over(&self) -> bool {
        let Some(run) = &self.run else { return false };
        run.finished.is_some() || matches!(run.prompt(self.now), Prompt::RollbackStopped { .. })
    }

    /// How the run ended, once it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.run.as_ref().and_then(|run| run.finished.as_ref().map(|(outcome, ..)| *outcome))
    }

    /// Leaves the run, and gives the engine's exit code.
    pub(crate) fn close(mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        while !self.closed {
            assert!(Instant::now() < until, "not closed\n{}", self.story());
            self.order(&Order::Close);
            self.listen(Duration::from_millis(300));
        }
        loop {
            if let Some(status) = self.engine.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "the engine does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the engine, as a host that loses power does.
    pub(crate) fn kill(mut self) {
        self.engine.kill().unwrap();
        self.engine.wait().unwrap();
    }

    /// What happened, for whoever reads why a test has failed.
    pub(crate) fn story(&self) -> String {
        let begun = self.events.first().map_or(0, |first| first.at.0);
        let lines = self.events.iter().skip(1).map(|envelope| {
            let event = serde_json::to_string(&envelope.event).unwrap();
            format!("{:>7} {event}", envelope.at.0 - begun)
        });
        let prompt = self.run.as_ref().map(|run| run.prompt(self.now));
        format!("{}\nprompt {prompt:?}\nrefused {:?}", lines.collect::<Vec<_>>().join("\n"), self.refused)
    }
}
