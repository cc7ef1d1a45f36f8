//! One flight from its opening to its end, with a pilot who answers each prompt.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::fakes::{CANARY, Fast, Pages, Watching, World, ports};
use crate::{
    adapters::process::{Filter, LocalShell},
    domain::{
        action::ActionKind,
        check::CheckKind,
        crew::{Person, ScreenId, Wish},
        event::{Envelope, Place, RunEvent},
        fixture::{opened, runbook},
        id::RunId,
        machine::Machine,
        message::{Command, JournalState, Update, WITHOUT_A_JOURNAL},
        prompt::Prompt,
        run::Run,
        runbook::{Runbook, Var, VarSource, Window},
        time::{Span, Timestamp},
    },
    engine::{
        driver::{Engine, Parts},
        mask::StreamMasker,
        messages::{End, Incoming, UpdateSink},
        ports::Clock as _,
        values::Secrets,
    },
    journal::{Samples, samples::Bounds},
};

fn joins(id: u64, wish: Wish, screen: Box<dyn UpdateSink>) -> Incoming {
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
pub(super) fn small() -> Runbook {
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

pub(super) struct Flown {
    pub(super) end: End,
    pub(super) run: Run,
    pub(super) journal: Vec<Envelope>,
    pub(super) updates: Vec<Update>,
    pub(super) writes: usize,
    pub(super) dir: tempfile::TempDir,
    /// What was recorded without the journal.
    pub(super) beside: Vec<Envelope>,
}

pub(super) fn everything_in(dir: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            everything_in(&entry.path(), into);
        } else {
            into.extend(std::fs::read(entry.path()).unwrap());
        }
    }
}

/// Flies a runbook, answering each prompt, until the engine ends.
pub(super) async fn fly(
    runbook: Runbook,
    version: &str,
    errors: f64,
    fails_at: Option<&'static str>,
) -> Flown {
    fly_on(Pages { fails_at, ..Pages::default() }, runbook, version, errors, false).await
}

/// … on this journal. Where it fails the pilot rolls back, with `consents` even without it.
pub(super) async fn fly_on(
    journal: Pages,
    runbook: Runbook,
    version: &str,
    errors: f64,
    consents: bool,
) -> Flown {
    let dir = tempfile::tempdir().unwrap();
    // As a run's directory is.
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::create_dir(dir.path().join("output")).unwrap();
    let world = World::with_errors(errors);
    let secrets = Arc::new(Secrets::default());
    secrets.add("TOKEN", CANARY.to_owned()).unwrap();
    let masking = Arc::clone(&secrets);
    let filters: Arc<dyn Fn() -> Filter + Send + Sync> = Arc::new(move || {
        let mut stream = StreamMasker::new(masking.masker());
        Box::new(move |piece, pass| match piece {
            Some(piece) => pass(&stream.push(piece)),
            None => pass(&stream.finish()),
        })
    });
    let clock = Arc::new(Fast(Instant::now()));
    let shell = LocalShell::new(Some(dir.path().to_owned()), filters);
    let ports = ports(&world, clock.clone(), shell);
    let written = Arc::clone(&journal.written);
    let mut opened = opened(runbook);
    // Flights that run side by side leave records side by side.
    let name = dir.path().file_name().unwrap().to_string_lossy();
    opened.run_id = RunId(name.trim_start_matches('.').to_owned());
    let (masks, run_id) = (Arc::clone(&secrets), opened.run_id.clone());
    let mask = Arc::new(move |text: &str| masks.mask(text));
    let samples = Samples::start(dir.path(), run_id.as_str(), Bounds::default(), mask).unwrap();
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
        keeper: Some(Box::new(samples)),
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
    let writes = world.writes();
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
            let Place::Step { step } = place else { return Vec::new() };
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

pub(super) fn actions_of(flown: &Flown) -> Vec<String> {
    let name = |envelope: &Envelope| match &envelope.event {
        RunEvent::ActionStarted { name, .. } => Some(name.clone()),
        _ => None,
    };
    flown.journal.iter().filter_map(name).collect()
}

pub(super) fn reason(run: &Run) -> String {
    run.steps.iter().find_map(|step| step.reason.clone()).unwrap_or_default()
}
