//! The driver: one loop that owns the machine and the parts of the engine around it.
//!
//! ```text
//!   hall      who is here, and what was shown to them        requests  what a screen asks for
//!   books     the journal, and what waits for it             feeds     what comes in by itself
//!   hands     what runs because the machine wanted it
//! ```

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    books::{Books, lost},
    feeds::{Feeds, mask_input},
    hall::Hall,
    hands::Hands,
    kit::{Kit, slot_labels},
    messages::{End, Incoming, News, UpdateSink},
    ports::{Journal, JournalCopier, Ports, SampleKeeper, TargetLock},
    requests::Requests,
    values::Secrets,
    way_back::WayBack,
};
use crate::{
    domain::{
        crew::{Person, ScreenId, Wish},
        effect::{Decision, Input},
        event::Envelope,
        machine::Machine,
        message::{Command, JournalState, Update},
        time::Span,
    },
    failpoint,
};

mod decide;

/// The machine's clock ticks this often in the run's time …
const TICK: Span = Span::from_secs(1);
/// … but not more often than this in real time, however fast a rehearsal runs.
const LEAST_TICK: Duration = Duration::from_millis(40);
/// The run's directory shows that the engine is alive: its file `tick` is never older than this.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Screens see the time at most this often.
const SHOW_TICK: Duration = Duration::from_millis(250);

/// The file in a run's directory that a living engine rewrites every second.
pub const TICK_FILE: &str = "tick";

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
    /// What keeps samples for replays and reports; none where nobody does.
    pub keeper: Option<Box<dyn SampleKeeper>>,
    /// Screens that come, ask and go. Once all senders are gone the run is paused.
    pub incoming: mpsc::Receiver<Incoming>,
}

/// The running engine.
pub struct Engine {
    machine: Machine,
    kit: Arc<Kit>,
    hall: Hall,
    books: Books,
    hands: Hands,
    feeds: Feeds,
    requests: Requests,
    way_back: WayBack,
    incoming: mpsc::Receiver<Incoming>,
    news: mpsc::Receiver<News>,
    /// Somebody wants to leave a run whose journal is lost.
    leaving: bool,
    end: Option<End>,
    first: Option<Decision>,
}

impl Engine {
    /// Tells the cluster's adapter which revision the run goes back to: its pods are the previous slot's.
    pub(super) fn tell_revision(&self) {
        let hash = self.machine.run().opened.previous.as_ref().and_then(|target| target.hash.as_deref());
        if let Ok(cluster) = self.kit.ports.cluster() {
            cluster.began_with(hash);
        }
    }

    /// Tells the feeds on which slot users meet the new version: what appears there from now on counts from zero.
    fn tell_switched(&self) {
        let run = self.machine.run();
        let met = run.switched_at.and_then(|_| run.judged_slot());
        self.kit.met.send_if_modified(|known| std::mem::replace(known, met.clone()) != met);
    }

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
        let labels = slot_labels(parts.machine.run().runbook.target.as_ref(), None);
        let kit = Arc::new(Kit {
            ports: parts.ports,
            secrets: parts.secrets,
            run_dir: parts.run_dir,
            lock: parts.lock,
            copy: parts.copy,
            labels: Arc::new(watch::Sender::new(labels)),
            met: watch::Sender::new(None),
            news: news_in,
        });
        Self {
            machine: parts.machine,
            hall: Hall::open(parts.keeper),
            books: Books::open(parts.events, parts.journal, &kit.run_dir, kit.copy.clone()),
            hands: Hands::new(Arc::clone(&kit), parts.container),
            feeds: Feeds::new(Arc::clone(&kit)),
            requests: Requests::new(Arc::clone(&kit)),
            way_back: WayBack::new(Arc::clone(&kit)),
            kit,
            incoming: parts.incoming,
            news,
            leaving: false,
            end: None,
            first: Some(parts.decision),
        }
    }

    /// Runs until the run is closed.
    pub async fn run(mut self) -> End {
        self.begin();
        let mut shown_at = Instant::now();
        self.beat();
        let mut beaten_at = Instant::now();
        let mut unseen = false;
        while self.end.is_none() {
            unseen = self.listen(unseen).await;
            failpoint::pass("engine.tick");
            self.feed_late();
            self.feed(Input::Tick);
            self.way_back.look(self.machine.run());
            self.tell_switched();
            self.forget_the_gone();
            if beaten_at.elapsed() >= HEARTBEAT {
                beaten_at = Instant::now();
                self.every_second();
            }
            if unseen {
                self.pause_unseen();
            }
            if shown_at.elapsed() >= SHOW_TICK {
                shown_at = Instant::now();
                self.show_time();
            }
        }
        self.close().await
    }

    /// What comes before the first tick: the first decision is recorded, and everything that comes in by itself is started.
    fn begin(&mut self) {
        if let Some(first) = self.first.take()
            && let Err(why) = self.commit(first)
        {
            // Without its first record of this engine the run has no state that anybody could rely on.
            self.end = Some(End::JournalLost(lost(&why)));
        }
        self.tell_revision();
        self.feeds.start(self.machine.run());
        for found in self.feeds.find_unrecorded(self.machine.run()) {
            self.feed(found);
        }
        self.feeds.watch_orphans(self.machine.run());
        self.feeds.watch_guards();
    }

    /// Takes in what comes until the next tick is due, or the run has ended. Whether no screen can come any more.
    async fn listen(&mut self, mut unseen: bool) -> bool {
        let clock = Arc::clone(&self.kit.ports.clock);
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
        unseen
    }

    /// What is looked after once a second in real time, however fast a rehearsal runs.
    fn every_second(&mut self) {
        self.hall.tell_unkept();
        if self.books.verify() {
            self.books.show_journal(&mut self.hall);
            self.page_lost_journal();
        }
        self.beat();
        if let Some(input) = self.hall.end_if_alone(self.machine.run()) {
            self.feed(input);
        }
    }

    /// No screen can ever come: pause rather than fly unseen. A rollback is finished first, and as long as traffic is on the
    /// new slot its triggers are watched.
    fn pause_unseen(&mut self) {
        let watching = self.machine.run().needs_an_engine() && self.machine.run().switch_begun();
        if !watching && self.end.is_none() {
            self.feed(Input::Terminate { reason: "no screen is left".to_owned() });
        }
    }

    /// Shows the time, and what moves with it and is in no event.
    fn show_time(&mut self) {
        let now = self.kit.ports.clock.now();
        self.hall.show(&Update::Tick { now });
        self.hall.show_looks(self.machine.looks(), now);
        self.hall.show_evidence(self.machine.standings(), now);
    }

    /// What comes after the last tick: nothing of ours runs on, and who is left is told.
    async fn close(mut self) -> End {
        self.feeds.stop();
        self.way_back.stop();
        self.hands.let_go().await;
        // Where the journal is lost nothing may follow what it could not take.
        if !matches!(self.end, Some(End::JournalLost(_))) {
            self.drain_notices().await;
        }
        let end = self.end.take().unwrap_or(End::Closed(None));
        if let End::Closed(outcome) = &end {
            self.hall.show(&Update::Closed { outcome: *outcome });
        }
        end
    }

    /// Notices under way get a moment to be sent and journaled; a webhook that hangs does not keep the engine.
    async fn drain_notices(&mut self) {
        let due = Instant::now() + Duration::from_millis(500);
        while let Ok(Some(news)) = tokio::time::timeout_at(due, self.news.recv()).await {
            if let News::Input(input @ Input::NoticeDone { .. }) = news {
                let end = self.end.take();
                self.feed(input);
                self.end = end;
            }
            if self.news.is_empty() && self.kit.news.strong_count() <= 1 {
                break;
            }
        }
    }

    /// What is refused goes to the screen that asked, so it is noted who that is while the request is worked on.
    fn on_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Joined { id, who, wish, screen } => self.attach(id, who, wish, screen),
            Incoming::Asked { id, command } => {
                self.hall.answer_to(Some(id));
                self.on_request(id, command);
                self.hall.answer_to(None);
            }
            Incoming::Left { id } => self.hall.left(id),
            Incoming::Terminate { reason } => self.feed(Input::Terminate { reason }),
        }
        self.forget_the_gone();
    }

    /// A screen whose connection broke has sent no farewell; it is noticed when something can't be sent to it.
    fn forget_the_gone(&mut self) {
        let mut changed = false;
        while let Some(id) = self.hall.next_gone() {
            changed |= self.hall.member(id).is_some();
            if let Some(input) = self.hall.leave(id) {
                self.feed(input);
            }
        }
        if changed {
            self.hall.tell_crew();
        }
    }

    /// Lets a screen in: it gets everything that happened before, then what happens.
    fn attach(&mut self, id: ScreenId, who: Person, wish: Wish, screen: Box<dyn UpdateSink>) {
        let now = self.kit.ports.clock.now();
        screen.send(&self.books.backlog(now, &self.kit.run_dir));
        self.hall.catch_up(&*screen);
        if *self.books.state() != JournalState::Whole {
            screen.send(&Update::Journal { state: self.books.state().clone() });
        }
        let told = self.hall.join(self.machine.run(), id, who, wish, screen);
        if let Some(input) = told {
            self.feed(input);
        }
        self.hall.tell_crew();
    }

    /// Where control changes hands everybody is told at once: two people who both believe they have it are the worst that
    /// can be on two screens.
    fn on_request(&mut self, id: ScreenId, command: Command) {
        match self.requests.read(id, command, self.machine.run(), &mut self.hall) {
            Ok(Some(input)) => {
                let seats = matches!(input, Input::Control { .. });
                self.feed(input);
                if seats {
                    self.hall.tell_crew();
                }
            }
            Ok(None) => {}
            Err(why) => self.hall.answer(why),
        }
    }

    /// Masked before anything else sees it: machine, journal, screens and log get the same harmless text.
    fn on_news(&mut self, news: News) {
        match news {
            News::Show(update) => self.hall.pass_on(&update, self.kit.ports.clock.now()),
            News::Input(mut input) => {
                mask_input(&self.kit.secrets, &mut input);
                if let Input::ActionFinished { at, .. } = &input {
                    self.hands.finished(at);
                }
                self.hall.take_in(&input, self.kit.ports.clock.now());
                self.feed(input);
            }
        }
    }

    /// Shows that the engine lives. Not synced: only the present matters.
    fn beat(&self) {
        let now = self.kit.ports.clock.now();
        if let Err(error) = std::fs::write(self.kit.run_dir.join(TICK_FILE), format!("{now}\n")) {
            tracing::warn!(%error, "the tick can't be written");
        }
    }
}
