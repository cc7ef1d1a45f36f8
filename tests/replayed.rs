//! What a run leaves behind, played again: after every scenario of the rehearsal's world the replay ends on the screen that the run
//! ended on; runs of earlier versions are still played and reported.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cutover::{
    cli::front::autopilot::{self, Move},
    domain::{
        crew::Wish,
        dora::Past,
        event::{Envelope, Outcome},
        kept::Kept,
        message::{Command as Order, Update},
        reel::Reel,
        run::Run,
        time::{Span, Timestamp},
    },
    flight::{
        job::{Job, Rehearsal, Task, Terms, Word},
        past,
    },
    link,
    report::{self, Format, Integrity, Source},
    tui::{
        model::{Cursor, Model, ScreenOptions},
        msg::Msg,
        update::update,
        view::{draw, text_of},
    },
    world::scenario::Scenario,
};
use ratatui::{buffer::Buffer, layout::Rect};

/// Simulated seconds in a real one.
const SPEED: u32 = 150;
/// No scenario takes longer than this.
const PATIENCE: Duration = Duration::from_mins(2);
/// The same order is not repeated sooner.
const AGAIN: Duration = Duration::from_secs(1);
/// Runs at a time.
const AT_ONCE: usize = 4;

/// A run as a screen saw it from its beginning to its end, and where it is kept.
struct Flown {
    updates: Vec<Update>,
    outcome: Option<Outcome>,
    state: tempfile::TempDir,
    run_id: String,
}

/// The built-in runbook, or one with a route, with a window of four minutes instead of fifteen.
fn short(scenario: Scenario) -> String {
    if scenario == Scenario::RouteNotAccepted {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/examples/canary-route.toml");
        return std::fs::read_to_string(example).unwrap();
    }
    let whole = cutover::config::BUILTIN_RUNBOOK;
    let short = whole.replace("lasts = \"15m\"", "lasts = \"4m\"").replace("for = \"5m\"", "for = \"1m\"");
    assert_ne!(short, whole);
    short
}

/// Flies a scenario as line mode does. What would be left to a person is rolled back, or else ended.
async fn fly(scenario: Scenario) -> Flown {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("short.toml");
    std::fs::write(&file, short(scenario)).unwrap();
    let rehearsal = Rehearsal {
        runbook: Some(file),
        scenario: scenario.name().to_owned(),
        speed: SPEED.into(),
        kubeconfig: None,
    };
    let terms = Terms::unattended(state.path());
    let job = Job { task: Task::Rehearse(rehearsal), terms, pilot: "tester".into() };
    let mut engine = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .arg("engine")
        .current_dir(state.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    engine.stdin.take().unwrap().write_all(&serde_json::to_vec(&job).unwrap()).unwrap();
    let mut line = String::new();
    BufReader::new(engine.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let Ok(Word::Ready { run_dir, run_id }) = serde_json::from_str(&line) else { panic!("{line}") };
    let hello = link::client::hello(Wish::Pilot, Some("tester".into()));
    let mut client = link::client::connect(&run_dir.join(link::CONTROL), &hello).await.unwrap();
    let (mut updates, mut run, mut now) = (Vec::new(), None::<Run>, Timestamp(0));
    let mut given: Vec<(Order, Instant)> = Vec::new();
    let until = Instant::now() + PATIENCE;
    let outcome = loop {
        assert!(Instant::now() < until, "{scenario}: {:?}", run.as_ref().map(|run| run.prompt(now)));
        match tokio::time::timeout(Duration::from_millis(100), client.next()).await {
            Ok(Some(Update::Closed { outcome })) => break outcome,
            Ok(Some(told)) => {
                match &told {
                    Update::Backlog { events, now: at, .. } => (run, now) = (Run::fold(events), *at),
                    Update::Event { envelope } => {
                        now = now.max(envelope.at);
                        match &mut run {
                            Some(run) => run.apply(envelope),
                            none => *none = Run::open(envelope),
                        }
                    }
                    Update::Tick { now: at } => now = now.max(*at),
                    _ => {}
                }
                updates.push(told);
            }
            Ok(None) => break None,
            Err(_) => {}
        }
        let Some(run) = &run else { continue };
        let second = Span::from_secs(SPEED.into());
        let mut orders = match autopilot::next(run, now, second, true) {
            Move::Send(orders) => orders,
            Move::Over(_) => vec![Order::Close],
            Move::Leave(why) | Move::NeedsPerson(why) => match run.rolling_back() {
                None if run.can_roll_back() => vec![Order::Rollback { reason: why }],
                _ => vec![Order::Suspend { reason: why }],
            },
            Move::Wait => Vec::new(),
        };
        // A busy host is slow with its checklist; that ends no run here.
        orders.retain(|order| run.steps_open || !matches!(order, Order::Abort { .. }));
        given.retain(|(_, when)| when.elapsed() < AGAIN);
        for order in orders {
            if given.iter().all(|(before, _)| *before != order) {
                client.send(&order).await;
                given.push((order, Instant::now()));
            }
        }
    };
    engine.wait().unwrap();
    Flown { updates, outcome, state, run_id: run_id.0 }
}

/// The screen that was there all along.
fn there(flown: &Flown) -> Model {
    let mut model = Model::new(ScreenOptions { read_only: true, ..ScreenOptions::default() });
    for told in &flown.updates {
        update(&mut model, Msg::Update(Box::new(told.clone())));
    }
    model
}

/// A replay at its end.
fn replayed(events: Vec<Envelope>, kept: Kept) -> Model {
    let mut model = Model::new(ScreenOptions::default());
    update(&mut model, Msg::Replay(Arc::new(Reel::new(events, kept).unwrap()), 600));
    while model.replay.as_ref().is_some_and(|replay| replay.playing) {
        update(&mut model, Msg::Passed(Span::from_millis(1_000)));
    }
    model
}

/// A screen as it is drawn, without what no file has: who else is there, dialogs, output, logs. It is drawn for the time that the
/// run's last screen had.
fn drawn(model: &Model, live: &Model, size: (u16, u16)) -> String {
    let mut model = Model {
        replay: None,
        layers: Vec::new(),
        toast: None,
        closed: None,
        window: None,
        members: Vec::new(),
        you: None,
        missed: None,
        silent: None,
        still: None,
        cursor: Cursor::default(),
        run_dir: live.run_dir.clone(),
        now: live.now,
        size,
        ..model.clone()
    };
    model.options.read_only = true;
    model.telemetry.outputs.clear();
    model.telemetry.logs.clear();
    let mut buffer = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    draw(&model, &mut buffer);
    text_of(&buffer)
}

/// What differs between the run's last screen and a replay's.
fn differs(live: &Model, replay: &Model) -> Result<(), String> {
    if replay.run != live.run || replay.story != live.story {
        return Err("the run differs".to_owned());
    }
    let (old, new) = (&live.telemetry, &replay.telemetry);
    for (lane, series) in &old.series {
        if new.series.get(lane) != Some(series) {
            return Err(format!("{lane:?} differs:\n{series:?}\n{:?}", new.series.get(lane)));
        }
    }
    if new.latest != old.latest {
        return Err(format!("the newest samples differ:\n{:?}\n{:?}", old.latest, new.latest));
    }
    if new.watching != old.watching || new.evidence != old.evidence {
        return Err(format!(
            "what checks or evidence say differs:\n{:?}\n{:?}\n{:?}\n{:?}",
            old.watching, new.watching, old.evidence, new.evidence
        ));
    }
    for size in [(80, 24), (200, 60)] {
        let (told, played) = (drawn(live, live, size), drawn(replay, live, size));
        if told != played {
            return Err(format!("{size:?}:\n{told}\n{played}"));
        }
    }
    Ok(())
}

fn check(flown: &Flown) -> Result<(), String> {
    let state = flown.state.path();
    let (events, kept, dir) = past::recorded(state, Some(&flown.run_id)).map_err(|_| "it can't be read")?;
    if !kept.remarks().is_empty() {
        return Err(format!("not everything is kept: {:?}", kept.remarks()));
    }
    let live = there(flown);
    differs(&live, &replayed(events.clone(), kept.clone()))?;
    // The same from the report of another host.
    let journal = Integrity { records: events.len(), ..Integrity::default() };
    let source = Source { events: &events, kept: &kept, journal: &journal, backtest: None };
    let file = dir.join("report.json");
    std::fs::write(&file, report::write(&source, Format::Json).unwrap()).unwrap();
    let (events, kept) = past::reported(&file).map_err(|_| "its report can't be read")?;
    differs(&live, &replayed(events, kept)).map_err(|why| format!("from the report: {why}"))
}

#[test]
fn a_replay_of_every_scenario_ends_on_its_last_screen() {
    let next = AtomicUsize::new(0);
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut told = Vec::new();
        while let Some(scenario) = Scenario::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let flown = runtime.block_on(fly(*scenario));
            let found = if flown.outcome.is_none() { Err("it has no end".to_owned()) } else { check(&flown) };
            told.push((*scenario, flown.outcome, found));
        }
        told
    };
    let told: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(told.len(), Scenario::ALL.len());
    let faults: Vec<String> = told
        .iter()
        .filter_map(|(scenario, _, found)| Some(format!("{scenario}: {}", found.as_ref().err()?)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    // They did not all end alike.
    let ended = |wanted| told.iter().filter(|(_, outcome, _)| *outcome == Some(wanted)).count();
    assert!(ended(Outcome::Succeeded) >= 1 && ended(Outcome::RolledBack) >= 2, "{told:?}");
}

/// A run's directory as an earlier version has left it, among the runs of a state directory.
fn earlier(name: &str, run_id: &str) -> (tempfile::TempDir, PathBuf) {
    let state = tempfile::tempdir().unwrap();
    let run = state.path().join("runs").join(run_id);
    std::fs::create_dir_all(&run).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/earlier").join(name);
    for file in std::fs::read_dir(from).unwrap().flatten() {
        let to = run.join(file.file_name());
        std::fs::copy(file.path(), &to).unwrap();
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).unwrap();
    }
    for dir in [state.path().join("runs"), run.clone()] {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    }
    (state, run)
}

/// What is known of a run that an earlier version wrote.
struct Known {
    directory: &'static str,
    run_id: &'static str,
    events: usize,
    samples: usize,
    /// Milliseconds that users had the new version, and from the order to go back until they had the old one.
    lasted: u64,
    back: u64,
    /// Words of the replay's last screen.
    says: &'static [&'static str],
}

#[test]
fn runs_of_earlier_versions_are_played_reported_and_counted() {
    let all = [
        Known {
            directory: "before-strategies",
            run_id: "20261128-031456-g3ht",
            events: 152,
            samples: 0,
            lasted: 410_999,
            back: 117,
            says: &["ROLLED BACK"],
        },
        Known {
            directory: "before-samples",
            run_id: "20261127-194211-vcbo",
            events: 47,
            samples: 0,
            lasted: 201_745,
            back: 94_621,
            says: &["ROLLED BACK"],
        },
        Known {
            directory: "first-samples",
            run_id: "20261127-231806-ootr",
            events: 58,
            samples: 989,
            lasted: 188_095,
            back: 738,
            says: &["ROLLED BACK"],
        },
    ];
    for known in all {
        let name = known.directory;
        let (state, dir) = earlier(name, known.run_id);
        let (events, kept, found) = past::recorded(state.path(), None).ok().unwrap();
        assert_eq!((found, events.len()), (dir, known.events), "{name}");
        assert_eq!(kept.samples().count(), known.samples, "{name}");
        assert_eq!(kept.remarks(), [] as [&str; 0], "{name}");
        let run = Run::fold(&events).unwrap();
        assert_eq!(run.finished.as_ref().map(|(outcome, ..)| *outcome), Some(Outcome::RolledBack), "{name}");
        assert!(Past::of(&run).over, "{name}");
        let journal = Integrity { records: events.len(), ..Integrity::default() };
        let source = Source { events: &events, kept: &kept, journal: &journal, backtest: None };
        let json: serde_json::Value =
            serde_json::from_str(&report::write(&source, Format::Json).unwrap()).unwrap();
        let figures = &json["figures"];
        assert_eq!(figures["outcome"], "rolled-back", "{name}");
        assert_eq!(figures["users"]["lasted_ms"], known.lasted, "{name}");
        assert_eq!(figures["rollback"]["traffic_back_ms"], known.back, "{name}");
        for format in [Format::Html, Format::Markdown] {
            let page = report::write(&source, format).unwrap();
            assert!(page.contains("error rate &gt; 1 % for "), "{name}: {page}");
        }
        let model = replayed(events, kept);
        let screen = drawn(&model, &model, (120, 36));
        for words in known.says {
            assert!(screen.contains(words), "{name}: no `{words}` in\n{screen}");
        }
    }
}
