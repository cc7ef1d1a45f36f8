//! Whole flights through the real engine: fake cluster and metrics, the real shell, a clock that runs sixty times as fast.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::StreamExt as _;
use nix::errno::Errno;
use tokio::sync::mpsc;

use super::{
    crew::Incoming,
    driver::{End, Engine, Parts, Screen},
    mask::StreamMasker,
    ports::{
        Clock, Cluster, Fault, HttpCall, Journal, Metrics, Network, Notifier, PortError, PortResult, Ports,
        Seen,
    },
    values::Secrets,
};
use crate::{
    adapters::process::LocalShell,
    domain::{
        action::{ActionKind, Capture, PatchType},
        check::CheckKind,
        crew::{Person, ScreenId, Wish},
        event::{Envelope, Outcome, RunEvent},
        fixture::{START, action, at_step, opened, runbook, workload},
        id::SlotName,
        machine::Machine,
        message::{Command, JournalState, Update, WITHOUT_A_JOURNAL},
        metric::{Metric, Missing, Sample},
        prompt::Prompt,
        run::Run,
        runbook::{Runbook, Var, VarSource, Window},
        time::{Span, Timestamp},
        workload::{Access, ClusterIdentity, LogLine, RolloutState, Workload},
    },
};

const SPEED: u32 = 60;
const CANARY: &str = "canary-8f3a-token";

struct Fast(Instant);

#[async_trait]
impl Clock for Fast {
    fn now(&self) -> Timestamp {
        let real = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        START + Span::from_millis(real * u64::from(SPEED))
    }
    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.to_std() / SPEED).await;
    }
    fn speed(&self) -> f64 {
        f64::from(SPEED)
    }
}

/// Everything outside, as bad as a test wants. Its texts all quote the secret.
struct World {
    live: Mutex<SlotName>,
    writes: AtomicUsize,
    errors: f64,
}

impl World {
    fn write(&self, what: &str) -> String {
        self.writes.fetch_add(1, Ordering::SeqCst);
        format!("{what} with {CANARY}")
    }
    fn picture(&self) -> Workload {
        workload(self.live.lock().unwrap().as_str())
    }
}

#[async_trait]
impl Cluster for World {
    async fn identity(&self) -> PortResult<ClusterIdentity> {
        Ok(ClusterIdentity::default())
    }
    async fn access(&self) -> PortResult<Access> {
        Ok(Access { patch_service: Some(true), patch_deployments: Some(true), at: START })
    }
    async fn look(&self) -> PortResult<Workload> {
        Ok(self.picture())
    }
    fn watch(self: Arc<Self>) -> mpsc::Receiver<Workload> {
        let (pictures, out) = mpsc::channel(4);
        let mut first = self.picture();
        first.connection = crate::domain::workload::Connection::Lost(format!("no answer to {CANARY}"));
        pictures.try_send(first).unwrap();
        out
    }
    async fn set_image(&self, _: &SlotName, _: &str, image: &str) -> PortResult<String> {
        Ok(self.write(image))
    }
    async fn rollout(&self, _: &SlotName) -> PortResult<RolloutState> {
        Ok(RolloutState::Complete)
    }
    async fn switch_traffic(&self, to: &SlotName) -> PortResult<String> {
        *self.live.lock().unwrap() = to.clone();
        Ok(self.write("switched"))
    }
    async fn scale(&self, _: &SlotName, _: u32) -> PortResult<String> {
        Ok(self.write("scaled"))
    }
    async fn restart(&self, _: &SlotName) -> PortResult<String> {
        Ok(self.write("restarted"))
    }
    async fn patch(&self, _: &str, _: &str, _: PatchType, _: &serde_json::Value) -> PortResult<String> {
        Ok(self.write("patched"))
    }
    async fn logs(
        &self,
        _: &SlotName,
        _: Option<&str>,
        _: u32,
        _: Option<Timestamp>,
    ) -> PortResult<Vec<LogLine>> {
        Ok(vec![LogLine { pod: "p".to_owned(), text: format!("token {CANARY}") }])
    }
    async fn headroom(&self, _: &SlotName, _: u32) -> PortResult<Seen> {
        Ok(Seen::yes("room"))
    }
}

#[async_trait]
impl Metrics for World {
    async fn sample(&self, metric: &Metric, slot: Option<&SlotName>, now: Timestamp) -> Sample {
        let value = match (metric.id.as_str(), slot.map(SlotName::as_str)) {
            ("transactions", _) => Ok(2300.0),
            (_, Some("blue")) => Err(Missing::Unreachable(format!("http://u:{CANARY}@prometheus refused"))),
            _ => Ok(self.errors),
        };
        Sample { metric: metric.id.clone(), slot: slot.cloned(), at: now, value }
    }
    async fn backfill(
        &self,
        metric: &Metric,
        slot: Option<&SlotName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Sample> {
        // Prometheus remembers what blue was like, though it does not answer for it now.
        if metric.id.as_str() != "error_rate" || slot.map(SlotName::as_str) != Some("blue") {
            return Vec::new();
        }
        let sample = |at| Sample { metric: metric.id.clone(), slot: slot.cloned(), at, value: Ok(0.0007) };
        (0..to.since(from).as_secs() / 10).map(|n| from + Span::from_secs(10 * n)).map(sample).collect()
    }
}

#[async_trait]
impl Network for World {
    async fn http(&self, call: HttpCall) -> PortResult<Seen> {
        Err(PortError::new(Fault::Failed, format!("{} did not answer", call.url)))
    }
    async fn tls(&self, _: &str, _: u16, _: u32, _: Timestamp) -> PortResult<Seen> {
        Ok(Seen::yes("valid"))
    }
    async fn dns(&self, _: &str, _: &str) -> PortResult<Seen> {
        Ok(Seen::yes("found"))
    }
}

#[async_trait]
impl Notifier for World {
    async fn send(&self, webhook: &str, _: &str) -> PortResult<String> {
        Err(PortError::failed(format!("{webhook} answered 500")))
    }
}

/// A journal in memory that fails from its n-th record on.
#[derive(Default)]
struct Pages {
    written: Arc<Mutex<Vec<Envelope>>>,
    /// Fails with the first event of this name.
    fails_at: Option<&'static str>,
    /// Fails at this write, from 1, as a broken disk or as a full one.
    breaks_at: Option<usize>,
    full_at: Option<usize>,
    writes: usize,
    lost: bool,
}

impl Journal for Pages {
    fn append(&mut self, events: &[Envelope]) -> io::Result<()> {
        assert!(!self.lost, "written to after it was lost");
        self.writes += 1;
        if self.full_at.is_some_and(|at| self.writes >= at) {
            return Err(Errno::ENOSPC.into());
        }
        self.take(events)
    }

    fn append_urgent(&mut self, events: &[Envelope]) -> io::Result<()> {
        assert!(!self.lost, "written to after it was lost");
        self.writes += 1;
        self.take(events)
    }

    fn is_spent(&self) -> bool {
        self.lost
    }
}

impl Pages {
    fn take(&mut self, events: &[Envelope]) -> io::Result<()> {
        if self.breaks_at == Some(self.writes)
            || events.iter().any(|envelope| self.fails_at == Some(envelope.event.name().as_str()))
        {
            self.lost = true;
            return Err(Errno::EIO.into());
        }
        self.written.lock().unwrap().extend(events.iter().cloned());
        Ok(())
    }
}

struct Watching(mpsc::UnboundedSender<Update>);

impl Screen for Watching {
    fn send(&self, update: &Update) -> bool {
        self.0.send(update.clone()).is_ok()
    }
}

fn joins(id: u64, wish: Wish, screen: Box<dyn Screen>) -> Incoming {
    Incoming::Joined { id: ScreenId(id), who: Person::of_login("ada"), wish, screen }
}

fn secret_vars(runbook: &mut Runbook) {
    runbook.vars.push(Var {
        name: "TOKEN".to_owned(),
        source: VarSource::Env { name: "TOKEN".to_owned(), default: None },
        pattern: None,
        secret: true,
        sample: None,
    });
    runbook.vars.push(Var {
        name: "HEADER".to_owned(),
        source: VarSource::Fixed { value: "Bearer $TOKEN".into() },
        pattern: None,
        secret: false,
        sample: None,
    });
}

/// The runbook with commands that can run here, and a window of a few seconds.
fn small() -> Runbook {
    let mut runbook = runbook();
    secret_vars(&mut runbook);
    runbook.notify.slack = Some("https://hooks/$TOKEN".into());
    let script = |text: &str| ActionKind::Sh { script: text.to_owned() };
    runbook.steps[0].run[0].kind = script(
        r#"echo "backup-id: old"; echo "token=$TOKEN $HEADER"; printf 'backup-id: no backup-id: \033[32mb-17\033[0m\n'"#,
    );
    runbook.steps[0].run[1].kind =
        script(r#"echo "$DEPLOY_VERSION"; test "$BACKUP_ID" = b-17; echo "status $?""#);
    runbook.completion.run[0].kind = script("echo $TOKEN >&2");
    for check in
        runbook.steps.iter_mut().flat_map(|step| &mut step.check).chain(&mut runbook.completion.check)
    {
        if let CheckKind::Sh { script, .. } = &mut check.kind {
            *script = "echo fine $TOKEN".to_owned();
        }
    }
    if let CheckKind::Sh { script, .. } = &mut runbook.checklist[0].items[1].check.kind {
        *script = "echo green $TOKEN".to_owned();
    }
    for action in runbook.steps.iter_mut().flat_map(|step| &mut step.undo) {
        if let ActionKind::Sh { script } = &mut action.kind {
            *script = "true".to_owned();
        }
    }
    runbook.steps[3].window = Some(Window { lasts: Span::from_secs(40) });
    runbook
}

struct Flown {
    end: End,
    run: Run,
    journal: Vec<Envelope>,
    updates: Vec<Update>,
    writes: usize,
    dir: tempfile::TempDir,
    /// What was recorded without the journal.
    beside: Vec<Envelope>,
}

fn everything_in(dir: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            everything_in(&entry.path(), into);
        } else {
            into.extend(std::fs::read(entry.path()).unwrap());
        }
    }
}

/// Flies a runbook, answering each prompt, until the engine ends.
async fn fly(runbook: Runbook, version: &str, errors: f64, fails_at: Option<&'static str>) -> Flown {
    fly_on(Pages { fails_at, ..Pages::default() }, runbook, version, errors, false).await
}

/// … on this journal. Where it fails the pilot rolls back, with `consents` even without it.
async fn fly_on(journal: Pages, runbook: Runbook, version: &str, errors: f64, consents: bool) -> Flown {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("output")).unwrap();
    let world = Arc::new(World { live: Mutex::new("blue".into()), writes: AtomicUsize::new(0), errors });
    let secrets = Arc::new(Secrets::default());
    secrets.add("TOKEN", CANARY.to_owned()).unwrap();
    let masking = Arc::clone(&secrets);
    let filters: Arc<dyn Fn() -> crate::adapters::process::Filter + Send + Sync> = Arc::new(move || {
        let mut stream = StreamMasker::new(masking.masker());
        Box::new(move |piece, pass| match piece {
            Some(piece) => pass(&stream.push(piece)),
            None => pass(&stream.finish()),
        })
    });
    let clock = Arc::new(Fast(Instant::now()));
    let ports = Ports {
        clock: clock.clone(),
        cluster: Some(world.clone()),
        metrics: world.clone(),
        network: world.clone(),
        shell: Arc::new(LocalShell::new(Some(dir.path().to_owned()), filters)),
        notifier: world.clone(),
    };
    let written = Arc::clone(&journal.written);
    let mut opened = opened(runbook);
    // Flights that run side by side leave records side by side.
    let name = dir.path().file_name().unwrap().to_string_lossy();
    opened.run_id = crate::domain::id::RunId(name.trim_start_matches('.').to_owned());
    let (machine, decision) = Machine::open(opened, clock.now()).unwrap();
    let (asks, incoming) = mpsc::channel(64);
    let engine = Engine::new(Parts {
        machine,
        events: Vec::new(),
        decision,
        ports,
        journal: Box::new(journal),
        secrets,
        run_dir: dir.path().to_owned(),
        container: "backend".to_owned(),
        lock: None,
        copy: None,
        incoming,
    });
    let (screen, mut updates) = mpsc::unbounded_channel();
    asks.send(joins(1, Wish::Pilot, Box::new(Watching(screen)))).await.ok();
    // A screen that is never read: it costs nothing but its own lines.
    let (_unread, server) = crate::link::pair();
    asks.send(joins(2, Wish::Watch, Box::new(server))).await.ok();
    let engine = tokio::spawn(engine.run());
    let mut run: Option<Run> = None;
    let mut seen = Vec::new();
    let mut asked = 0;
    let (mut state, mut record) = (JournalState::Whole, None);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
    while let Ok(Some(update)) = tokio::time::timeout_at(deadline, updates.recv()).await {
        if let Update::Backlog { events, .. } = &update {
            run = Run::fold(events);
        }
        if let Update::Event { envelope } = &update {
            match &mut run {
                Some(run) => run.apply(envelope),
                none => *none = Run::open(envelope),
            }
        }
        if let Update::Journal { state: told } = &update {
            state = told.clone();
            asked = 0;
            if let JournalState::Elsewhere { path, .. } = &state {
                record = Some(path.clone());
            }
            if matches!(state, JournalState::Lost { .. }) {
                let wish = |typed: &str| Command::GoOnUnrecorded { typed: typed.to_owned() };
                let rollback = Command::Rollback { reason: "the disk broke".to_owned() };
                let wishes = if consents {
                    // Neither the key nor another word is a consent.
                    vec![rollback, Command::Continue, wish("yes"), wish(WITHOUT_A_JOURNAL)]
                } else {
                    vec![Command::Suspend { reason: "the disk broke".to_owned() }]
                };
                for command in wishes {
                    asks.send(Incoming::Asked { id: ScreenId(1), command }).await.ok();
                }
            }
        }
        seen.push(update);
        let Some(run) = run.as_ref().filter(|run| run.last_seq > asked) else { continue };
        let commands = match (&state, run.can_roll_back() && run.rolling_back().is_none()) {
            (JournalState::Whole, _) => answers(run, clock.now(), version),
            (JournalState::Lost { .. }, _) => continue,
            _ if run.finished.is_some() => vec![Command::Close],
            (_, true) => vec![Command::Rollback { reason: "the disk broke".to_owned() }],
            _ if run.rolling_back().is_some() => answers(run, clock.now(), version),
            _ => vec![Command::Suspend { reason: "the disk broke".to_owned() }],
        };
        for command in commands {
            asked = run.last_seq;
            asks.send(Incoming::Asked { id: ScreenId(1), command }).await.ok();
        }
    }
    let stuck = || run.as_ref().map(|run| run.prompt(clock.now()));
    let end = tokio::time::timeout(Duration::from_secs(5), engine).await;
    let end = end.unwrap_or_else(|_| panic!("the flight does not end: {state:?}, {:?}", stuck())).unwrap();
    let journal = written.lock().unwrap().clone();
    let beside = record.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    });
    let writes = world.writes.load(Ordering::SeqCst);
    let beside = beside.unwrap_or_default();
    Flown { end, run: run.unwrap(), journal, updates: seen, writes, dir, beside }
}

fn answers(run: &Run, now: Timestamp, version: &str) -> Vec<Command> {
    match run.prompt(now) {
        Prompt::Ask { name, .. } => vec![Command::SetVar { name, value: version.to_owned() }],
        Prompt::Decide { part, .. } => vec![Command::DecidePart { part, applies: true }],
        Prompt::Checklist { open } if open[0] == (0, 0) => {
            vec![Command::TickItem { group: 0, item: 0, note: Some(format!("pasted {CANARY} by mistake")) }]
        }
        Prompt::OpenSteps => vec![Command::OpenSteps { override_reason: None }],
        Prompt::Start { step, attempt, word, .. } => {
            let step = Some(run.runbook.steps[step].id.clone());
            vec![Command::Start { step, attempt, typed: Some(word) }]
        }
        Prompt::Complete => vec![Command::Start { step: None, attempt: 1, typed: None }],
        Prompt::Checking { place, open } => {
            let crate::domain::event::Place::Step { step } = place else { return Vec::new() };
            let tick = |check| Command::TickCheck {
                step: Some(step.clone()),
                attempt: 1,
                check,
                holds: true,
                note: None,
            };
            open.into_iter().map(tick).collect()
        }
        Prompt::Proceed { at, word, .. } => vec![Command::Proceed { at, typed: Some(word) }],
        Prompt::Failed { .. } => vec![Command::Abort { reason: format!("failed, says {CANARY}") }],
        Prompt::Finished { .. } => vec![Command::Close],
        _ => Vec::new(),
    }
}

fn actions_of(flown: &Flown) -> Vec<String> {
    let name = |envelope: &Envelope| match &envelope.event {
        RunEvent::ActionStarted { name, .. } => Some(name.clone()),
        _ => None,
    };
    flown.journal.iter().filter_map(name).collect()
}

fn reason(run: &Run) -> String {
    run.steps.iter().find_map(|step| step.reason.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x1_a_whole_flight_lands_and_no_sink_has_the_secret() {
    let flown = fly(small(), "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Succeeded)), "{}", reason(&flown.run));
    assert_eq!(actions_of(&flown), ["backup", "apply", "image", "rollout", "switch", "log"]);
    assert_eq!(flown.run.value("BACKUP_ID").as_deref(), Some("b-17"), "the last match, without its colour");
    assert_eq!(Run::fold(&flown.journal).as_ref(), Some(&flown.run));
    let before = flown.run.baseline["error_rate/blue"];
    assert!((before - 0.0007).abs() < 1e-9, "what was measured before the engine looked: {before}");
    let mut bytes = Vec::new();
    everything_in(flown.dir.path(), &mut bytes);
    let disk = String::from_utf8_lossy(&bytes).into_owned();
    assert!(disk.contains("SUCCEEDED") && disk.contains("status 0"), "{disk}");
    let journal = serde_json::to_string(&flown.journal).unwrap();
    let screens = serde_json::to_string(&flown.updates).unwrap();
    // The world did quote it, in every way.
    for quoted in
        ["pasted ", "answered 500", "switched with ", "fine ", "prometheus refused", "no answer to "]
    {
        assert!(screens.contains(quoted), "{quoted}");
    }
    assert!(disk.contains("token="));
    for (name, sink) in [("disk", disk), ("journal", journal), ("screens", screens)] {
        assert!(
            !sink.contains(CANARY),
            "{name}: {}",
            &sink[sink.find(CANARY).unwrap().saturating_sub(200)..]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x1_a_captured_secret_is_taken_out_of_what_it_was_captured_from() {
    const CAPTURED: &str = "captured-77ab-canary";
    let mut book = small();
    book.vars.iter_mut().find(|var| var.name == "BACKUP_ID").unwrap().secret = true;
    let script = |text: String| ActionKind::Sh { script: text };
    book.steps[0].run[0].kind = script(format!("echo before; echo 'backup-id: {CAPTURED}'; sleep 0.3"));
    book.steps[0].run[1].kind =
        script(format!("test \"$BACKUP_ID\" = {CAPTURED}; echo \"status $? $BACKUP_ID\""));
    let flown = fly(book.clone(), "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Succeeded)), "{}", reason(&flown.run));
    let told = |update: &&Update| matches!(update, Update::Output { .. } | Update::Event { .. });
    // The script itself is ours and quotes it: what it prints must not.
    let printed = |updates: &[Update]| {
        let updates: Vec<_> = updates.iter().filter(told).collect();
        serde_json::to_string(&updates)
            .unwrap()
            .replace(&format!("backup-id: {CAPTURED}"), "")
            .replace(&format!("= {CAPTURED}"), "")
    };
    let screens = printed(&flown.updates);
    assert!(screens.contains("not shown while it runs") && screens.contains("status 0"), "{screens}");
    assert!(!screens.contains(CAPTURED), "{screens}");
    let output = |flown: &Flown| {
        let mut bytes = Vec::new();
        everything_in(&flown.dir.path().join("output"), &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let kept = output(&flown);
    assert!(kept.contains("before") && kept.contains("backup-id: ") && !kept.contains(CAPTURED), "{kept}");

    // Where it is not found nobody knows what is one: nothing is kept.
    book.steps[0].run[0].kind = script(format!("echo 'id of the backup: {CAPTURED}'"));
    let flown = fly(book, "v2", 0.0004, None).await;
    let kept = output(&flown);
    assert!(kept.contains("not kept") && !kept.contains(CAPTURED), "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_without_a_durable_intent_nothing_is_done() {
    for event in ["run_opened", "step_started", "action_started"] {
        let flown = tokio::time::timeout(Duration::from_secs(30), async {
            if event == "run_opened" {
                let mut flown = fly_lost_at_once().await;
                flown.journal.clear();
                flown
            } else {
                fly(small(), "v2", 0.0004, Some(event)).await
            }
        })
        .await
        .unwrap();
        assert!(matches!(flown.end, End::JournalLost(_)), "{event}: {:?}", flown.end);
        assert_eq!(flown.writes, 0, "{event}");
        assert_eq!(std::fs::read_dir(flown.dir.path().join("output")).unwrap().count(), 0, "{event}");
        assert!(actions_of(&flown).is_empty());
    }
    // Later: what was done before stays done, and nothing follows.
    let flown = fly(small(), "v2", 0.0004, Some("baseline_recorded")).await;
    assert!(matches!(flown.end, End::JournalLost(_)));
    assert_eq!(actions_of(&flown), ["backup", "apply", "image", "rollout"]);
    assert_eq!(flown.writes, 1, "the image; not the switch");
}

/// What has been done is what a durable record announced: no write to the cluster and no command without one.
fn assert_announced(flown: &Flown, which: &str) {
    let durable: Vec<Envelope> = flown.journal.iter().chain(&flown.beside).cloned().collect();
    let run = Run::fold(&durable).unwrap();
    assert_eq!(Some(&run), Some(&flown.run), "{which}: screens know what the records say");
    let (mut writes, mut commands) = (0, 0);
    for envelope in &durable {
        if let RunEvent::ActionStarted { at, .. } = &envelope.event {
            match run.action(at).unwrap().kind {
                ActionKind::Sh { .. } | ActionKind::Argv { .. } => commands += 1,
                ActionKind::Rollout { .. } | ActionKind::Notify { .. } => {}
                _ => writes += 1,
            }
        }
    }
    assert!(flown.writes <= writes, "{which}: {} writes, {writes} announced", flown.writes);
    let outputs = std::fs::read_dir(flown.dir.path().join("output")).unwrap().count();
    assert!(outputs <= commands, "{which}: {outputs} commands, {commands} announced");
}

/// Flights at once: most of a flight is waiting.
const FLIGHTS: usize = 24;

/// Flies once for each write that a whole flight makes, and lets that one fail.
async fn fail_each(journal: impl Fn(usize) -> Pages) -> Vec<(usize, Flown)> {
    let whole = fly(small(), "v2", 0.0004, None).await;
    let flights =
        (2..=whole.journal.len()).map(|n| {
            let journal = journal(n);
            async move {
                tokio::spawn(async move { (n, fly_on(journal, small(), "v2", 0.0004, true).await) }).await
            }
        });
    // All at once they would be too late for their own checks.
    futures::stream::iter(flights).buffer_unordered(FLIGHTS).map(Result::unwrap).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_whichever_write_fails_a_rollback_is_possible_after_typed_consent() {
    let (mut rolled, mut met) = (0, 0);
    for (n, flown) in fail_each(|n| Pages { breaks_at: Some(n), ..Pages::default() }).await {
        let which = format!("write {n}");
        assert_announced(&flown, &which);
        if flown.beside.is_empty() {
            // The fault was not met, or only by what is told after the end: nobody is left to consent to anything.
            let after = matches!(flown.end, End::JournalLost(_)) && flown.run.finished.is_some();
            let landed = flown.end == End::Closed(Some(Outcome::Succeeded));
            assert!(landed || after, "{which}: {:?}", flown.end);
            continue;
        }
        met += 1;
        assert!(matches!(flown.beside[0].event, RunEvent::OverrideGiven(_)), "{which}");
        let wanted = if flown.run.rollbacks.is_empty() { Outcome::Held } else { Outcome::RolledBack };
        assert!(
            matches!(flown.end, End::Closed(Some(outcome)) if outcome == wanted || outcome == Outcome::Succeeded),
            "{which}: {:?}",
            flown.end
        );
        // The run's own actions end where the journal does.
        for envelope in &flown.beside {
            if let RunEvent::ActionStarted { at, .. } = &envelope.event {
                let step = matches!(at.place, crate::domain::event::Place::Step { .. });
                assert!(!step, "{which}: {at:?} was begun without a journal");
            }
        }
        if !flown.run.rollbacks.is_empty() {
            assert_eq!(flown.run.live, Some("blue".into()), "{which}");
            rolled += 1;
        }
    }
    assert!(met > 20 && rolled > 5, "{met} faults met, {rolled} rolled back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_on_a_full_disk_nothing_begins_and_a_rollback_is_journaled() {
    let (mut rolled, mut met) = (0, 0);
    for (n, flown) in fail_each(|n| Pages { full_at: Some(n), ..Pages::default() }).await {
        let which = format!("full at write {n}");
        assert_announced(&flown, &which);
        assert!(flown.beside.is_empty(), "{which}: the journal has it all");
        let full = |update: &Update| matches!(update, Update::Journal { state: JournalState::Full { .. } });
        if !flown.updates.iter().any(full) {
            continue;
        }
        met += 1;
        assert!(matches!(flown.end, End::Closed(Some(_))), "{which}: {:?}", flown.end);
        if !flown.run.rollbacks.is_empty() {
            assert_eq!(flown.end, End::Closed(Some(Outcome::RolledBack)), "{which}");
            assert_eq!(flown.run.live, Some("blue".into()), "{which}");
            rolled += 1;
        }
    }
    assert!(met > 20 && rolled > 5, "{met} faults met, {rolled} rolled back");
}

/// A flight whose first record is refused: no event ever reaches a screen.
async fn fly_lost_at_once() -> Flown {
    let (machine, _) = Machine::open(opened(small()), START).unwrap();
    let run = machine.run().clone();
    let fallback = run.clone();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("output")).unwrap();
    let world = Arc::new(World { live: Mutex::new("blue".into()), writes: AtomicUsize::new(0), errors: 0.0 });
    let (machine, decision) = Machine::open(opened(small()), START).unwrap();
    let (_asks, incoming) = mpsc::channel(1);
    let filters: Arc<dyn Fn() -> crate::adapters::process::Filter + Send + Sync> = Arc::new(|| {
        Box::new(|piece, pass| {
            if let Some(piece) = piece {
                pass(piece);
            }
        })
    });
    let engine = Engine::new(Parts {
        machine,
        events: Vec::new(),
        decision,
        ports: Ports {
            clock: Arc::new(Fast(Instant::now())),
            cluster: Some(world.clone()),
            metrics: world.clone(),
            network: world.clone(),
            shell: Arc::new(LocalShell::new(None, filters)),
            notifier: world.clone(),
        },
        journal: Box::new(Pages { fails_at: Some("run_opened"), ..Pages::default() }),
        secrets: Arc::new(Secrets::default()),
        run_dir: dir.path().to_owned(),
        container: String::new(),
        lock: None,
        copy: None,
        incoming,
    });
    let end = engine.run().await;
    let writes = world.writes.load(Ordering::SeqCst);
    Flown { end, run: fallback, journal: Vec::new(), updates: Vec::new(), writes, dir, beside: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_a_variable_never_becomes_code() {
    let payload = "$(touch pwned)`touch pwned`;touch pwned #\"'$TOKEN";
    let flown = fly(small(), payload, 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Succeeded)), "{}", reason(&flown.run));
    assert!(!flown.dir.path().join("pwned").exists());
    let output = std::fs::read_to_string(flown.dir.path().join("output/migrate-1-01.log")).unwrap();
    assert_eq!(output.lines().next(), Some(payload), "as it is, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captures_that_do_not_fit_fail_the_action_without_telling_a_secret() {
    let mut strict = small();
    strict.vars[1].pattern = Some("[0-9]+".to_owned());
    let flown = fly(strict, "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Failed)));
    assert!(reason(&flown.run).contains("$BACKUP_ID must match"), "{}", reason(&flown.run));
    let mut hidden = small();
    hidden.vars[1].secret = true;
    hidden.vars[1].pattern = Some("[0-9]+".to_owned());
    let flown = fly(hidden, "v2", 0.0004, None).await;
    assert!(
        reason(&flown.run).contains("$BACKUP_ID: what the output has does not fit"),
        "{}",
        reason(&flown.run)
    );
    let mut nothing = small();
    nothing.steps[0].run[0].capture =
        vec![Capture { var: "BACKUP_ID".to_owned(), pattern: "id=(.*)".to_owned() }];
    let flown = fly(nothing, "v2", 0.0004, None).await;
    assert!(reason(&flown.run).contains("no line matches"), "{}", reason(&flown.run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_release_is_rolled_back_by_its_trigger() {
    let mut bad = small();
    bad.triggers[0] = crate::domain::fixture::trigger(
        crate::domain::runbook::Then::Countdown(Span::from_secs(5)),
        Span::from_secs(30),
        crate::domain::runbook::OnNoData::Hold,
    );
    bad.rollbacks[0].check.remove(1);
    let flown = fly(bad, "v2", 0.2, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::RolledBack)));
    assert_eq!(flown.run.rollbacks[0].by, crate::domain::actor::Actor::Trigger);
    assert_eq!(flown.run.live, Some("blue".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_and_a_missing_variable_is_found_before() {
    let mut unset = small();
    unset.steps[0].run.push(action("argv", ActionKind::Argv { argv: vec!["echo".into(), "$NOPE".into()] }));
    let flown = fly(unset, "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Failed)));
    assert!(reason(&flown.run).contains("$NOPE has no value"), "{}", reason(&flown.run));
    let failed = flown.journal.iter().any(|envelope| {
        matches!(&envelope.event, RunEvent::ActionFinished { at, .. } if *at == at_step("migrate", 1, 2))
    });
    assert!(failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_without_screens_pauses_after_the_running_action() {
    let mut slow = small();
    slow.steps[0].run[0].kind = ActionKind::Sh { script: "echo backup-id: b-17; sleep 0.3".to_owned() };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("output")).unwrap();
    let world = Arc::new(World { live: Mutex::new("blue".into()), writes: AtomicUsize::new(0), errors: 0.0 });
    let clock = Arc::new(Fast(Instant::now()));
    let mut flight = crate::domain::fixture::Flight::opened(slow);
    let started = flight.command(Command::Start { step: Some("migrate".into()), attempt: 1, typed: None });
    let (asks, incoming) = mpsc::channel(1);
    drop(asks);
    let filters: Arc<dyn Fn() -> crate::adapters::process::Filter + Send + Sync> = Arc::new(|| {
        Box::new(|piece, pass| {
            if let Some(piece) = piece {
                pass(piece);
            }
        })
    });
    let engine = Engine::new(Parts {
        machine: flight.machine.clone(),
        events: flight.events.clone(),
        decision: crate::domain::effect::Decision { events: Vec::new(), ..started },
        ports: Ports {
            clock,
            cluster: Some(world.clone()),
            metrics: world.clone(),
            network: world.clone(),
            shell: Arc::new(LocalShell::new(None, filters)),
            notifier: world.clone(),
        },
        journal: Box::new(Pages::default()),
        secrets: Arc::new(Secrets::default()),
        run_dir: dir.path().to_owned(),
        container: String::new(),
        lock: None,
        copy: None,
        incoming,
    });
    let end = tokio::time::timeout(Duration::from_secs(20), engine.run()).await.unwrap();
    assert_eq!(end, End::Closed(Some(Outcome::Held)));
    let output = std::fs::read_to_string(dir.path().join("output/migrate-1-00.log")).unwrap();
    assert_eq!(output, "backup-id: b-17\n", "it was let finish");
}
