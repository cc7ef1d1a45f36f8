//! The driver: one loop that owns the machine, the journal and everything that runs.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write as _,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinHandle},
};

use super::{
    crew::{Crew, Incoming, permit},
    ledger::{self, Ledger},
    look::{Looker, Slots},
    mask::Masker,
    perform::{News, Performance, forget_unmasked, mark, send_notice, verify},
    ports::{Journal, JournalCopier, Ports, Seen, TargetLock},
    values::{Secrets, Values},
};
use crate::domain::{
    action::ActionKind,
    actor::Actor,
    check::{Check, CheckKind},
    copy::{CopyHead, CopyState},
    crew::{Member, Person, ScreenId, Wish},
    effect::{Decision, Effect, Input},
    event::{ActionOutcome, ActionRef, CheckRef, Envelope, Outcome, Place},
    id::{MetricId, SlotName},
    machine::Machine,
    message::{Command, JournalState, Request, Update, WITHOUT_A_JOURNAL, is_consent},
    metric::{Metric, Missing, Sample},
    run::Run,
    runbook::{Milestone, Runbook, VarSource},
    story,
    time::{Span, Timestamp},
    workload::{Access, Connection, Workload},
};

use crate::failpoint;

/// How far back metrics are fetched when an engine starts.
const BACKFILL: Span = Span::from_mins(15);
/// Samples kept for screens that come later, for each metric and slot.
const HISTORY: usize = 360;
/// Permissions are asked again this often.
const ACCESS_EVERY: Span = Span::from_secs(60);
/// The machine's clock ticks this often in the run's time …
const TICK: Span = Span::from_secs(1);
/// … but not more often than this in real time, however fast a rehearsal runs.
const LEAST_TICK: Duration = Duration::from_millis(40);
/// A metric is asked for at most this often in real time.
const LEAST_SAMPLE: Duration = Duration::from_millis(200);
/// After a real pause longer than this the time in between is not made up for.
const LONGEST_STALL: Duration = Duration::from_secs(2);
/// Whoever looks at the run's directory sees that the engine lives: its file `tick` is never older than this.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A finished run's engine stays this long for whoever may want to look, or to roll back.
const LINGER: Duration = Duration::from_mins(1);
/// A rehearsal that nobody attends ends after this long: nothing real is in its hands.
const REHEARSE_ALONE: Duration = Duration::from_mins(30);
/// A rollback ordered right after the engine's start waits so long for the first look at the cluster: without one nobody
/// knows whether the slot that traffic goes back to has pods.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// How often it is looked whether what a dead engine left still runs.
const LOOK_AT_ORPHANS: Duration = Duration::from_millis(500);
/// How long an engine waits at its end for processes that it has told to end: a little more than they have.
const ENDING: Duration = Duration::from_secs(12);
/// Screens see the time at most this often.
const SHOW_TICK: Duration = Duration::from_millis(250);

/// The file in a run's directory that a living engine rewrites every second.
pub const TICK_FILE: &str = "tick";

/// One screen as the engine sees it. `link` makes it of a connection.
pub trait Screen: Send {
    /// Sends an update; `false` where the screen is gone.
    fn send(&self, update: &Update) -> bool;
}

/// What an engine is made of.
pub struct Parts {
    /// The machine, new or resumed.
    pub machine: Machine,
    /// Everything that happened before.
    pub events: Vec<Envelope>,
    /// What the machine decided when it was made.
    pub decision: Decision,
    /// The world.
    pub ports: Ports,
    /// The journal.
    pub journal: Box<dyn Journal>,
    /// Secrets known so far.
    pub secrets: Arc<Secrets>,
    /// Where the run keeps its files.
    pub run_dir: PathBuf,
    /// The container whose image is set by default.
    pub container: String,
    /// The target's lock, where there is one.
    pub lock: Option<Arc<dyn TargetLock>>,
    /// The journal's copy, where there is one.
    pub copy: Option<Arc<dyn JournalCopier>>,
    /// Screens that come, ask and go. Once all senders are gone the run is paused.
    pub incoming: mpsc::Receiver<Incoming>,
}

/// How an engine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The run is over or paused.
    Closed(Option<Outcome>),
    /// The journal can't be written: nothing more was begun.
    JournalLost(String),
}

/// The running engine.
pub struct Engine {
    machine: Machine,
    events: Vec<Envelope>,
    ports: Ports,
    ledger: Ledger,
    /// Results that the journal could not take yet, oldest first.
    late: VecDeque<Input>,
    /// Rollbacks ordered before the slot that traffic goes back to was seen, and who ordered each.
    early: Vec<(Option<ScreenId>, Request)>,
    started: tokio::time::Instant,
    /// Somebody wants to leave a run whose journal is lost.
    leaving: bool,
    secrets: Arc<Secrets>,
    run_dir: PathBuf,
    container: String,
    lock: Option<Arc<dyn TargetLock>>,
    copy: Option<Arc<dyn JournalCopier>>,
    copied: Option<CopyState>,
    incoming: mpsc::Receiver<Incoming>,
    news_in: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    crew: Crew,
    /// Screens that were found gone while something was shown.
    gone: Vec<ScreenId>,
    /// Whose request is being answered.
    asker: Option<ScreenId>,
    /// Since when nobody has been there who may act.
    alone_since: Option<tokio::time::Instant>,
    running: BTreeMap<ActionRef, watch::Sender<bool>>,
    watching: BTreeMap<CheckRef, AbortHandle>,
    tasks: Vec<AbortHandle>,
    /// Processes that a dead engine has left, while they are ended.
    enders: Vec<JoinHandle<()>>,
    history: BTreeMap<(MetricId, Option<SlotName>), VecDeque<Sample>>,
    workload: Option<Box<Workload>>,
    access: Option<Access>,
    deploy_log: Option<std::fs::File>,
    /// What screens were told of the checks under way.
    looks: BTreeMap<CheckRef, (bool, String)>,
    end: Option<End>,
    first: Option<Decision>,
}

impl Engine {
    /// Puts the parts together. Nothing runs yet.
    pub fn new(mut parts: Parts) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a speed is a small positive number"
        )]
        let slack = (parts.ports.clock.speed() * 1000.0) as u64;
        parts.machine.allow_for(Span::from_millis(slack));
        let (news_in, news) = mpsc::channel(1024);
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(parts.run_dir.join("deploy.log"));
        Self {
            machine: parts.machine,
            events: parts.events,
            ports: parts.ports,
            ledger: Ledger::new(parts.journal),
            late: VecDeque::new(),
            early: Vec::new(),
            started: tokio::time::Instant::now(),
            leaving: false,
            secrets: parts.secrets,
            run_dir: parts.run_dir,
            container: parts.container,
            lock: parts.lock,
            copy: parts.copy,
            copied: None,
            incoming: parts.incoming,
            news_in,
            news,
            crew: Crew::default(),
            gone: Vec::new(),
            asker: None,
            alone_since: None,
            running: BTreeMap::new(),
            watching: BTreeMap::new(),
            tasks: Vec::new(),
            enders: Vec::new(),
            history: BTreeMap::new(),
            workload: None,
            access: None,
            deploy_log: log.inspect_err(|error| tracing::error!(%error, "deploy.log can't be opened")).ok(),
            looks: BTreeMap::new(),
            end: None,
            first: Some(parts.decision),
        }
    }

    /// Lets a screen in: it gets everything that happened before, then what happens.
    fn attach(&mut self, id: ScreenId, who: Person, wish: Wish, screen: Box<dyn Screen>) {
        let now = self.ports.clock.now();
        let backlog =
            Update::Backlog { events: self.events.clone(), now, run_dir: self.run_dir.display().to_string() };
        screen.send(&backlog);
        for samples in self.history.values() {
            screen.send(&Update::Samples { samples: samples.iter().cloned().collect(), backfill: true });
        }
        if let Some(workload) = &self.workload {
            screen.send(&Update::Workload { workload: workload.clone() });
        }
        if let Some(state) = &self.copied {
            screen.send(&Update::Copy { state: state.clone() });
        }
        if let Some(access) = &self.access {
            screen.send(&Update::Access { access: access.clone() });
        }
        if *self.ledger.state() != JournalState::Whole {
            screen.send(&Update::Journal { state: self.ledger.state().clone() });
        }
        let told = self.crew.join(self.machine.run(), id, who, wish, screen);
        if let Some(input) = told {
            self.feed(input);
        }
        self.gone.extend(self.crew.tell());
    }

    fn on_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Joined { id, who, wish, screen } => self.attach(id, who, wish, screen),
            Incoming::Asked { id, command } => {
                self.asker = Some(id);
                self.on_request(id, command);
                self.asker = None;
            }
            Incoming::Left { id } => self.gone.push(id),
            Incoming::Terminate { reason } => self.feed(Input::Terminate { reason }),
        }
        self.forget_the_gone();
    }

    fn forget_the_gone(&mut self) {
        let mut changed = false;
        while let Some(id) = self.gone.pop() {
            changed |= self.crew.member(id).is_some();
            if let Some(input) = self.crew.leave(id) {
                self.feed(input);
            }
        }
        if changed {
            self.gone = self.crew.tell();
        }
    }

    /// An engine that has nothing left to do, and nobody to do it for, ends.
    fn end_if_alone(&mut self) {
        if self.crew.anybody_acts() {
            self.alone_since = None;
            return;
        }
        let alone = self.alone_since.get_or_insert_with(tokio::time::Instant::now).elapsed();
        let run = self.machine.run();
        let by = Actor::Auto;
        if run.finished.is_some() && alone >= LINGER {
            self.feed(Input::Operator(Request { by, command: Command::Close }));
        } else if run.opened.rehearsal.is_some() && self.crew.is_empty() && alone >= REHEARSE_ALONE {
            self.feed(Input::Terminate { reason: "a rehearsal that nobody attends".to_owned() });
        }
    }

    /// Runs until the run is closed.
    pub async fn run(mut self) -> End {
        if let Some(first) = self.first.take()
            && let Err(why) = self.commit(first)
        {
            // Without its first record of this engine the run has no state that anybody could rely on.
            self.end = Some(End::JournalLost(lost(&why)));
        }
        self.start_feeds();
        self.watch_orphans();
        self.watch_guards();
        let clock = Arc::clone(&self.ports.clock);
        let mut shown_at = tokio::time::Instant::now();
        self.beat();
        let mut beaten_at = tokio::time::Instant::now();
        let mut unseen = false;
        while self.end.is_none() {
            let tick = async {
                tokio::join!(clock.sleep(TICK), tokio::time::sleep(LEAST_TICK));
            };
            tokio::pin!(tick);
            loop {
                // In no order: whoever asks without end keeps neither the clock nor the news waiting.
                tokio::select! {
                    incoming = self.incoming.recv(), if !unseen => match incoming {
                        Some(incoming) => self.on_incoming(incoming),
                        None => unseen = true,
                    },
                    Some(news) = self.news.recv() => self.on_news(news),
                    () = &mut tick => break,
                }
                if self.end.is_some() {
                    break;
                }
            }
            failpoint::pass("engine.tick");
            self.feed_early();
            self.feed_late();
            self.feed(Input::Tick);
            self.forget_the_gone();
            if beaten_at.elapsed() >= HEARTBEAT {
                beaten_at = tokio::time::Instant::now();
                self.beat();
                self.end_if_alone();
            }
            // No screen can ever come: pause rather than fly unseen. A rollback is finished first.
            if unseen && self.end.is_none() {
                self.feed(Input::Terminate { reason: "no screen is left".to_owned() });
            }
            if shown_at.elapsed() >= SHOW_TICK {
                shown_at = tokio::time::Instant::now();
                let now = clock.now();
                self.show(&Update::Tick { now });
                self.show_looks();
            }
        }
        for task in self.tasks.drain(..).chain(std::mem::take(&mut self.watching).into_values()) {
            task.abort();
        }
        // Nothing that was told to end outlives this engine too.
        let _ = tokio::time::timeout(ENDING, join_all(self.enders.drain(..))).await;
        // Where the journal is lost nothing may follow what it could not take.
        if !matches!(self.end, Some(End::JournalLost(_))) {
            self.drain_notices().await;
        }
        let end = self.end.take().unwrap_or(End::Closed(None));
        if let End::Closed(outcome) = &end {
            self.show(&Update::Closed { outcome: *outcome });
        }
        end
    }

    /// Notices under way get a moment to be sent and journaled; a webhook that hangs does not keep the engine.
    async fn drain_notices(&mut self) {
        let due = tokio::time::Instant::now() + Duration::from_millis(500);
        while let Ok(Some(news)) = tokio::time::timeout_at(due, self.news.recv()).await {
            if let News::Input(input @ Input::NoticeDone { .. }) = news {
                let end = self.end.take();
                self.feed(input);
                self.end = end;
            }
            if self.news.is_empty() && self.news_in.strong_count() <= 1 {
                break;
            }
        }
    }

    /// What the checks under way see now, where that has changed.
    fn show_looks(&mut self) {
        let looks: BTreeMap<CheckRef, (bool, String)> = self
            .machine
            .looks()
            .map(|(at, holds, evidence)| (at.clone(), (holds, evidence.to_owned())))
            .collect();
        for (at, (holds, evidence)) in &looks {
            if self.looks.get(at) == Some(&(*holds, evidence.clone())) {
                continue;
            }
            let step = match &at.place {
                Place::Step { step } => Some(step.clone()),
                _ => None,
            };
            self.show(&Update::Watching { step, check: at.check, holds: *holds, evidence: evidence.clone() });
        }
        self.looks = looks;
    }

    /// Shows that the engine lives. Not synced: only the present matters.
    fn beat(&self) {
        let now = self.ports.clock.now();
        if let Err(error) = std::fs::write(self.run_dir.join(TICK_FILE), format!("{now}\n")) {
            tracing::warn!(%error, "the tick can't be written");
        }
    }

    fn on_request(&mut self, id: ScreenId, command: Command) {
        let Some(Member { person, role, .. }) = self.crew.member(id).cloned() else { return };
        if let Err(why) = permit(role, &command) {
            return self.answer(why);
        }
        let run = self.machine.run();
        let told = match command {
            Command::AskControl => Ok(Input::ControlAsked { by: person.clone() }),
            Command::HandOver => self.crew.hand_over(run),
            Command::KeepControl => Ok(Input::ControlKept),
            Command::TakeControl { ref reason } => {
                let reason = self.secrets.mask(reason);
                self.crew.take(run, id, &reason)
            }
            Command::Approve { ref step } => Ok(Input::Approval { step: step.clone(), by: person.clone() }),
            command => return self.operate(Actor::person(person.to_string()), command),
        };
        match told {
            Ok(input) => {
                let seats = matches!(input, Input::Control { .. });
                self.feed(input);
                if seats {
                    self.gone.extend(self.crew.tell());
                }
            }
            Err(why) => self.answer(why),
        }
    }

    /// Tells whoever asked why it was not done; everybody, where nobody in particular asked.
    fn answer(&mut self, why: impl Into<String>) {
        let update = Update::Refused { why: why.into() };
        match self.asker {
            Some(id) => {
                if !self.crew.send(id, &update) {
                    self.gone.push(id);
                }
            }
            None => self.show(&update),
        }
    }

    fn operate(&mut self, by: Actor, command: Command) {
        let command = match command {
            Command::Logs { slot, pod } => return self.fetch_logs(slot, pod),
            Command::SetVar { name, value } => match self.accept_var(&name, value) {
                Ok(value) => Command::SetVar { name, value },
                Err(why) => return self.answer(why),
            },
            other => self.without_secrets(other),
        };
        let request = Request { by, command };
        let rollback =
            matches!(request.command, Command::Rollback { .. } | Command::RollbackProcedure { .. });
        if rollback && !self.sees_way_back() {
            return self.early.push((self.asker, request));
        }
        self.feed(Input::Operator(request));
    }

    /// Whether enough is known of the cluster to plan a rollback: the slot that traffic goes back to was looked at, or the
    /// engine has waited for that long enough.
    fn sees_way_back(&self) -> bool {
        let Some(previous) = &self.machine.run().opened.previous else { return true };
        let seen = self.workload.as_ref().is_some_and(|workload| workload.slots.contains_key(&previous.slot));
        seen || self.ports.cluster.is_none() || self.started.elapsed() >= FIRST_LOOK
    }

    fn feed_early(&mut self) {
        if self.early.is_empty() || !self.sees_way_back() {
            return;
        }
        for (asker, request) in std::mem::take(&mut self.early) {
            self.asker = asker;
            self.feed(Input::Operator(request));
            self.asker = None;
        }
    }

    /// Notes and reasons go to the journal, the log and the channel: a secret pasted into one does not.
    fn without_secrets(&self, command: Command) -> Command {
        let masker = self.secrets.masker();
        let Ok(text) = serde_json::to_value(&command) else { return command };
        let mut masked = text.clone();
        mask_strings(&mut masked, &masker);
        if masked == text { command } else { serde_json::from_value(masked).unwrap_or(command) }
    }

    /// A typed value must fit the variable's pattern. A secret is kept here; the machine never sees it.
    fn accept_var(&self, name: &str, value: String) -> Result<String, String> {
        let run = self.machine.run();
        let Some(var) = run.runbook.vars.iter().find(|var| var.name == name) else {
            return Err(format!("the runbook has no variable {name}"));
        };
        let open = !self.machine.run().steps_open && self.machine.run().finished.is_none();
        if !matches!(var.source, VarSource::Ask { .. }) || !open {
            // The machine says why not; a secret that is in use stays as it is.
            return Ok(if var.secret { String::new() } else { value });
        }
        check_value(name, &value, var.pattern.as_deref())
            .map_err(|why| if var.secret { format!("${name}: the value does not fit") } else { why })?;
        if var.secret {
            self.secrets.add(name, value).map_err(|error| error.to_string())?;
            return Ok(String::new());
        }
        Ok(value)
    }

    fn fetch_logs(&self, slot: SlotName, pod: Option<String>) {
        let (ports, news, secrets) = (self.ports.clone(), self.news_in.clone(), Arc::clone(&self.secrets));
        tokio::spawn(async move {
            let lines = match ports.cluster() {
                Ok(cluster) => {
                    cluster.logs(&slot, pod.as_deref(), 500, None).await.map_err(|error| error.message)
                }
                Err(why) => Err(why),
            };
            let lines = lines.map(|lines| {
                lines
                    .into_iter()
                    .map(|line| crate::domain::workload::LogLine { text: secrets.mask(&line.text), ..line })
                    .collect()
            });
            let _ = news.send(News::Show(Update::Logs { slot, lines })).await;
        });
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Show(update) => {
                if let Update::Copy { state } = &update {
                    self.copied = Some(state.clone());
                }
                self.show(&update);
            }
            News::Input(mut input) => {
                self.mask_input(&mut input);
                match &input {
                    Input::ActionFinished { at, .. } => {
                        self.running.remove(at);
                    }
                    Input::Sample(sample) => self.remember(sample.clone()),
                    Input::Workload(workload) => {
                        self.show(&Update::Workload { workload: workload.clone() });
                        self.workload = Some(workload.clone());
                    }
                    Input::Access(access) => {
                        self.show(&Update::Access { access: access.clone() });
                        self.access = Some(access.clone());
                    }
                    _ => {}
                }
                let looked = matches!(input, Input::Workload(_));
                self.feed(input);
                if looked {
                    self.feed_early();
                }
            }
        }
    }

    /// What comes from outside may quote a secret: a URL in an error, a token in a pod's warning.
    fn mask_input(&self, input: &mut Input) {
        let secrets = &self.secrets;
        match input {
            Input::ActionFinished { detail: text, .. }
            | Input::Verified { evidence: text, .. }
            | Input::CheckSeen { evidence: text, .. }
            | Input::ItemSeen { evidence: text, .. } => *text = secrets.mask(text),
            Input::NoticeDone { text, detail, .. } => {
                *text = secrets.mask(text);
                *detail = secrets.mask(detail);
            }
            Input::Sample(Sample {
                value:
                    Err(
                        Missing::Unreachable(text)
                        | Missing::BadAnswer(text)
                        | Missing::Stale(text)
                        | Missing::Ambiguous(text),
                    ),
                ..
            }) => *text = secrets.mask(text),
            Input::Workload(workload) => {
                if let Connection::Lost(why) = &mut workload.connection {
                    *why = secrets.mask(why);
                }
                for warning in &mut workload.warnings {
                    warning.message = secrets.mask(&warning.message);
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, sample: Sample) {
        let past = self.history.entry((sample.metric.clone(), sample.slot.clone())).or_default();
        past.push_back(sample.clone());
        if past.len() > HISTORY {
            past.pop_front();
        }
        self.show(&Update::Samples { samples: vec![sample], backfill: false });
    }

    fn feed(&mut self, input: Input) {
        if self.ledger.is_lost() && !matches!(input, Input::Workload(_) | Input::Access(_)) {
            return self.feed_lost(input);
        }
        // Results stay in their order.
        if is_result(&input) && !self.late.is_empty() {
            return self.late.push_back(input);
        }
        let asked = matches!(input, Input::Operator(_));
        let kept = is_result(&input).then(|| input.clone());
        match self.decide(input) {
            Ok(()) => {}
            Err(why) => {
                self.late.extend(kept);
                if asked {
                    self.answer(format!("not done, the journal can't be written: {why}"));
                }
                self.on_journal_fault();
            }
        }
    }

    fn decide(&mut self, input: Input) -> Result<(), String> {
        let now = self.ports.clock.now();
        let decision = self.machine.handle(now, input);
        self.commit(decision)
    }

    /// Results that waited for room.
    fn feed_late(&mut self) {
        while !self.ledger.is_lost()
            && let Some(input) = self.late.pop_front()
        {
            if self.decide(input.clone()).is_err() {
                self.late.push_front(input);
                return;
            }
        }
    }

    /// With a lost journal nothing is decided but whether to go on without it.
    fn feed_lost(&mut self, input: Input) {
        match input {
            Input::Operator(Request { by, command: Command::GoOnUnrecorded { typed } }) => {
                let run_id = self.machine.run().opened.run_id.clone();
                // The word first: nothing is left on a disk for a slip of the finger.
                if !is_consent(&typed) {
                    let why = format!("type `:unrecorded {WITHOUT_A_JOURNAL}`, word for word");
                    return self.answer(why);
                }
                if let Err(why) = self.ledger.go_elsewhere(&run_id, &ledger::places()) {
                    return self.answer(why);
                }
                let consent = Request { by, command: Command::GoOnUnrecorded { typed } };
                if let Err(why) = self.decide(Input::Operator(consent)) {
                    self.answer(why);
                }
                self.show_journal();
                self.feed_late();
            }
            Input::Operator(Request {
                command: Command::Suspend { .. } | Command::Abort { .. } | Command::Close,
                ..
            })
            | Input::Terminate { .. } => self.leaving = true,
            Input::Operator(_) => self.answer(format!(
                "nothing is done: the journal is lost. To roll back all the same, `:unrecorded {WITHOUT_A_JOURNAL}`"
            )),
            input if is_result(&input) => self.late.push_back(input),
            _ => {}
        }
        if self.leaving
            && self.running.is_empty()
            && let JournalState::Lost { why } = self.ledger.state()
        {
            self.end = Some(End::JournalLost(lost(why)));
        }
    }

    /// A fault was met. Where there is no room the run is held, with the space that is kept for such an end.
    fn on_journal_fault(&mut self) {
        if let JournalState::Full { why } = self.ledger.state().clone()
            && self.decide(Input::JournalFull { why }).is_ok()
        {
            self.feed_late();
        }
    }

    fn show_journal(&mut self) {
        self.show(&Update::Journal { state: self.ledger.state().clone() });
    }

    /// First the journal, synced; then the screens; then the effects. Where the journal does not take it nothing is done,
    /// and the machine is back where the journal is.
    fn commit(&mut self, decision: Decision) -> Result<(), String> {
        if let Some(why) = decision.refused {
            self.answer(why);
        }
        if !decision.events.is_empty() {
            let rolling_back = self.machine.run().rolling_back().is_some();
            let before = self.ledger.state().clone();
            let written = tokio::task::block_in_place(|| self.ledger.write(&decision.events, rolling_back));
            if *self.ledger.state() != before {
                self.show_journal();
            }
            if let Err(why) = written {
                if let Some(run) = Run::fold(&self.events) {
                    self.machine.take_back(run, |at| self.watching.contains_key(at));
                }
                return Err(why);
            }
            for envelope in decision.events {
                self.log(&envelope);
                self.show(&Update::Event { envelope: envelope.clone() });
                self.events.push(envelope);
            }
            self.note_copy();
        }
        for effect in decision.effects {
            self.perform(effect);
        }
        Ok(())
    }

    /// One plain line for every event that matters.
    fn log(&mut self, envelope: &Envelope) {
        let Some(text) = story::line(self.machine.run(), &envelope.event) else { return };
        if let Some(file) = &mut self.deploy_log
            && let Err(error) = writeln!(file, "{} {text}", envelope.at)
        {
            tracing::error!(%error, "deploy.log can't be written");
            self.deploy_log = None;
        }
    }

    fn show(&mut self, update: &Update) {
        let gone = self.crew.show(update);
        self.gone.extend(gone);
    }

    fn values(&self) -> Values {
        Values::of(self.machine.run(), &self.secrets)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::StartAction(at) => self.start_action(at),
            Effect::CancelAction(at) => {
                if let Some(stop) = self.running.get(&at) {
                    let _ = stop.send(true);
                }
            }
            Effect::EndChild(at) => self.end_child(&at),
            Effect::Watch(at) => self.start_watch(at),
            Effect::StopWatch(at) => {
                if let Some(task) = self.watching.remove(&at) {
                    task.abort();
                }
            }
            Effect::LookItem { group, item } => self.look_item(group, item),
            Effect::Verify(at) => {
                let run = self.machine.run().clone();
                tokio::spawn(verify(run, at, self.ports.clone(), self.values(), self.news_in.clone()));
            }
            Effect::Notify { milestone, text } => self.notify(milestone, text),
            Effect::Close => {
                let outcome = self.machine.run().finished.as_ref().map(|(outcome, ..)| *outcome);
                self.end = Some(End::Closed(outcome));
            }
        }
    }

    fn end_child(&mut self, at: &ActionRef) {
        let orphan = self.machine.run().orphans().into_iter().find(|(orphan, _)| orphan == at);
        let Some((_, child)) = orphan else { return };
        let (shell, mark) = (Arc::clone(&self.ports.shell), mark(self.machine.run(), at));
        self.enders.push(tokio::spawn(async move { shell.end(&child, &mark).await }));
    }

    /// What an engine before this one had started may still run: it is watched until it ends.
    fn watch_orphans(&mut self) {
        self.find_unrecorded();
        for (at, child) in self.machine.run().orphans() {
            let (shell, news) = (Arc::clone(&self.ports.shell), self.news_in.clone());
            let mark = mark(self.machine.run(), &at);
            let task = tokio::spawn(async move {
                loop {
                    let alive = shell.is_running(&child, &mark);
                    let input = Input::ChildSeen { at: at.clone(), pid: child.pid, alive };
                    if news.send(News::Input(input)).await.is_err() || !alive {
                        return;
                    }
                    tokio::time::sleep(LOOK_AT_ORPHANS).await;
                }
            });
            self.tasks.push(task.abort_handle());
        }
    }

    /// A command whose engine died between its start and writing down its process is known by its mark.
    fn find_unrecorded(&mut self) {
        let run = self.machine.run();
        forget_unmasked(run, &self.run_dir);
        let unknown = run.unrecorded_commands();
        let found: Vec<_> = unknown
            .into_iter()
            .filter_map(|at| Some((self.ports.shell.find(&mark(run, &at))?, at)))
            .collect();
        for (child, at) in found {
            self.feed(Input::ActionSpawned { at, child });
        }
    }

    /// What is known of the target's lock and of the journal's copy comes in by itself.
    fn watch_guards(&mut self) {
        if let Some(lock) = &self.lock {
            let (mut state, news) = (lock.state(), self.news_in.clone());
            let task = tokio::spawn(async move {
                loop {
                    let now = state.borrow_and_update().clone();
                    if news.send(News::Input(Input::Lock(now))).await.is_err()
                        || state.changed().await.is_err()
                    {
                        return;
                    }
                }
            });
            self.tasks.push(task.abort_handle());
        }
        if let Some(copy) = &self.copy {
            let (mut state, news) = (copy.state(), self.news_in.clone());
            let task = tokio::spawn(async move {
                loop {
                    let now = state.borrow_and_update().clone();
                    let update = Update::Copy { state: now };
                    if news.send(News::Show(update)).await.is_err() || state.changed().await.is_err() {
                        return;
                    }
                }
            });
            self.tasks.push(task.abort_handle());
        }
    }

    /// Tells the copier how far the journal is.
    fn note_copy(&self) {
        let (Some(copy), run) = (&self.copy, self.machine.run()) else { return };
        let outcome = run.finished.as_ref().map(|(outcome, ..)| *outcome);
        let word = serde_json::to_value(outcome).ok().and_then(|word| word.as_str().map(str::to_owned));
        copy.note(CopyHead {
            sequence: run.last_seq,
            at: run.last_at,
            state: word.unwrap_or_else(|| "open".to_owned()),
            ended: outcome.is_some_and(|outcome| outcome != Outcome::Held),
        });
    }

    fn start_action(&mut self, at: ActionRef) {
        let Some(action) = self.machine.run().action(&at).cloned() else { return };
        // A change of the cluster asks for itself, as late as can be. A command or a request cannot be fenced once it is on
        // its way, so whether the lock is ours is asked before.
        let unfenced =
            matches!(action.kind, ActionKind::Sh { .. } | ActionKind::Argv { .. } | ActionKind::Http(_));
        if let Some(Err(why)) = self.lock.as_ref().filter(|_| unfenced).map(|lock| lock.permit()) {
            let (news, outcome) = (self.news_in.clone(), ActionOutcome::Failed);
            let detail = format!("not begun: {why}");
            tokio::spawn(async move {
                let input = Input::ActionFinished { at, outcome, detail, took: Span::ZERO, output: None };
                let _ = news.send(News::Input(input)).await;
            });
            return;
        }
        let (stop, cancel) = watch::channel(false);
        self.running.insert(at.clone(), stop);
        let performance = Performance {
            at,
            action,
            container: self.container.clone(),
            run: self.machine.run().clone(),
            ports: self.ports.clone(),
            values: self.values(),
            cancel,
            run_dir: self.run_dir.clone(),
            news: self.news_in.clone(),
        };
        tokio::spawn(performance.run());
    }

    fn looker(&self, place: Option<&Place>) -> Looker {
        let run = self.machine.run();
        let since = place.and_then(|place| run.work(place)).and_then(|work| work.started_at);
        Looker {
            ports: self.ports.clone(),
            values: self.values(),
            slots: Slots::of(run),
            since: since.unwrap_or_else(|| self.ports.clock.now()),
        }
    }

    fn start_watch(&mut self, at: CheckRef) {
        let Some(check) = self.machine.run().checks(&at.place).get(at.check).cloned() else { return };
        let (looker, news) = (self.looker(Some(&at.place)), self.news_in.clone());
        let key = at.clone();
        let task = tokio::spawn(async move {
            loop {
                let seen = looker.look(&check).await;
                let input = Input::CheckSeen { at: at.clone(), holds: seen.holds, evidence: seen.evidence };
                if news.send(News::Input(input)).await.is_err() {
                    return;
                }
                looker.ports.clock.sleep(check.interval).await;
            }
        });
        if let Some(old) = self.watching.insert(key, task.abort_handle()) {
            old.abort();
        }
    }

    fn look_item(&mut self, group: usize, item: usize) {
        let run = self.machine.run();
        let Some(check) =
            run.runbook.checklist.get(group).and_then(|g| g.items.get(item)).map(|i| i.check.clone())
        else {
            return;
        };
        let (looker, news) = (self.looker(None), self.news_in.clone());
        let (runbook, new_slot) = (Arc::clone(&run.runbook), run.opened.new_slot.clone());
        let task = tokio::spawn(async move {
            let seen = match look_metric(&check, &runbook, new_slot.as_ref(), &looker).await {
                Some(seen) => seen,
                None => looker.look(&check).await,
            };
            let input = Input::ItemSeen { group, item, holds: seen.holds, evidence: seen.evidence };
            let _ = news.send(News::Input(input)).await;
        });
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(task.abort_handle());
    }

    fn notify(&mut self, milestone: Milestone, text: String) {
        let Some(template) = self.machine.run().runbook.notify.slack.clone() else { return };
        let values = self.values();
        let webhook = values.expand(&template);
        send_notice(&self.ports, &values, self.news_in.clone(), webhook, Some(milestone), &text);
    }

    /// Everything that comes in without being asked for: samples, pictures of the cluster, permissions.
    fn start_feeds(&mut self) {
        let runbook = Arc::clone(&self.machine.run().runbook);
        let slots: Vec<SlotName> =
            runbook.target.iter().flat_map(|target| target.slots.keys().cloned()).collect();
        for metric in runbook.metrics.clone() {
            let lanes = if metric.per_slot && !slots.is_empty() {
                slots.iter().cloned().map(Some).collect()
            } else {
                vec![None]
            };
            let task = tokio::spawn(sample(metric, lanes, self.ports.clone(), self.news_in.clone()));
            self.tasks.push(task.abort_handle());
        }
        let Some(cluster) = self.ports.cluster.clone() else { return };
        let mut pictures = Arc::clone(&cluster).watch();
        let news = self.news_in.clone();
        let watch = tokio::spawn(async move {
            while let Some(picture) = pictures.recv().await {
                if news.send(News::Input(Input::Workload(Box::new(picture)))).await.is_err() {
                    return;
                }
            }
        });
        let (clock, news) = (Arc::clone(&self.ports.clock), self.news_in.clone());
        let access = tokio::spawn(async move {
            loop {
                match cluster.access().await {
                    Ok(access) => {
                        if news.send(News::Input(Input::Access(access))).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "permissions can't be asked for"),
                }
                clock.sleep(ACCESS_EVERY).await;
            }
        });
        self.tasks.extend([watch.abort_handle(), access.abort_handle()]);
    }
}

/// What has happened, whether or not anybody could write it down: it must not be forgotten.
fn is_result(input: &Input) -> bool {
    input.is_result()
}

fn lost(why: &str) -> String {
    format!(
        "the journal can't be written ({why}); nothing more is begun. Mend the disk, then `cutover resume`"
    )
}

/// A checklist item on a metric is decided from one measurement.
async fn look_metric(
    check: &Check,
    runbook: &Runbook,
    new_slot: Option<&SlotName>,
    looker: &Looker,
) -> Option<Seen> {
    let CheckKind::Metric { metric, slot: _, condition } = &check.kind else { return None };
    let declared = runbook.metric(metric.as_str())?;
    let slot = new_slot.filter(|_| declared.per_slot);
    let sample = looker.ports.metrics.sample(declared, slot, looker.ports.clock.now()).await;
    Some(match sample.value {
        Ok(value) => match crate::domain::verdict::condition_holds(*condition, value, None) {
            Ok(holds) => Seen { holds, evidence: declared.unit.show(value) },
            Err(why) => Seen::no(format!("cannot tell: {why}")),
        },
        Err(missing) => Seen::no(format!("no data: {missing}")),
    })
}

/// Measures one metric for ever, all its slots at once; first the past.
async fn sample(metric: Metric, lanes: Vec<Option<SlotName>>, ports: Ports, news: mpsc::Sender<News>) {
    let now = ports.clock.now();
    for slot in &lanes {
        let past = ports.metrics.backfill(&metric, slot.as_ref(), now - BACKFILL, now).await;
        if !past.is_empty() {
            let update = Update::Samples { samples: past.clone(), backfill: true };
            let told = news.send(News::Show(update)).await.is_ok();
            if !told || news.send(News::Input(Input::Past(past))).await.is_err() {
                return;
            }
        }
    }
    let mut last: Vec<Option<Timestamp>> = vec![None; lanes.len()];
    let mut was = tokio::time::Instant::now();
    loop {
        let (asked, real) = (ports.clock.now(), tokio::time::Instant::now());
        // Where time runs fast, one real moment skips several intervals: what was measured in between is fetched. After
        // a real pause (a suspended laptop, a stopped process) it is not: nobody was watching then.
        let make_up = real.duration_since(was) < LONGEST_STALL;
        let lane = async |slot: Option<&SlotName>, before: Option<Timestamp>| {
            let sample = ports.metrics.sample(&metric, slot, ports.clock.now()).await;
            let half = Span::from_millis(metric.interval.as_millis() / 2);
            let mut samples = match before
                .filter(|before| make_up && sample.at.since(*before + metric.interval) > half)
            {
                Some(before) => {
                    ports.metrics.backfill(&metric, slot, before + metric.interval, sample.at - half).await
                }
                None => Vec::new(),
            };
            samples.push(sample);
            samples
        };
        let rounds =
            join_all(lanes.iter().zip(&last).map(|(slot, before)| lane(slot.as_ref(), *before))).await;
        for (samples, last) in rounds.into_iter().zip(&mut last) {
            *last = samples.last().map(|sample| sample.at);
            for sample in samples {
                if news.send(News::Input(Input::Sample(sample))).await.is_err() {
                    return;
                }
            }
        }
        was = real;
        let pause = metric.interval.saturating_sub(ports.clock.now().since(asked));
        tokio::join!(
            ports.clock.sleep(pause),
            tokio::time::sleep(LEAST_SAMPLE.saturating_sub(real.elapsed()))
        );
    }
}

/// Masks every text in a JSON value.
fn mask_strings(value: &mut serde_json::Value, masker: &Masker) {
    match value {
        serde_json::Value::String(text) => *text = masker.mask(text).into_owned(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask_strings(item, masker)),
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(|field| mask_strings(field, masker));
        }
        _ => {}
    }
}

/// Whether a value may be a variable's.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_value(name: &str, value: &str, pattern: Option<&str>) -> Result<(), String> {
    if value.contains(char::is_control) {
        return Err(format!("${name} must be one line without control characters"));
    }
    let Some(pattern) = pattern else { return Ok(()) };
    let whole = regex::Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| format!("bad pattern of ${name}: {error}"))?;
    if whole.is_match(value) {
        Ok(())
    } else {
        Err(format!("${name} must match `{pattern}`; `{value}` does not"))
    }
}
