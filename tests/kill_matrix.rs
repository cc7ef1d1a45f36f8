//! The engine is killed (SIGKILL) at every failpoint and at each of its hits, over a whole flight and over a rollback.
//! Another engine takes the run up, a person answers what is unknown by looking at what is really there, and in the end
//! everything was done exactly once.
//!
//! The same with panics instead of kills: an engine that breaks is gone at once, with its locks and sockets, and says why.
//!
//! The journal's two points come before and after the same instant, so they take turns: the odd hits of one, the even ones
//! of the other. All other points are tried at every hit there is.
//!
//! Longer than 500 lines because it is one matrix: a flight, its killers and what has to hold in the end.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![expect(clippy::print_stdout, reason = "the figure is what the test is for")]

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cutover::{
    cli::front::autopilot::{self, Move},
    domain::{
        crew::Wish,
        event::{ActionOutcome, ActionRef, Envelope, Outcome, Resolution, RunEvent},
        message::{Command as Order, Update},
        prompt::Prompt,
        run::Run,
        time::Timestamp,
    },
    flight::job::{Job, NewRun, Resumption, Task, Terms, Word},
    link::{self, Client},
};

#[path = "support/ground.rs"]
mod ground;
#[path = "support/pty.rs"]
mod pty;

use ground::{Ground, WORLD};
use pty::PATIENCE;

/// Flights at once: most of a flight is waiting.
const FLIGHTS: usize = 6;
/// One matrix after another: more flights at once would only wait for each other.
static TURN: Mutex<()> = Mutex::new(());
/// Hits tried of each point.
const HITS: usize = 20;
/// The same order is not repeated sooner.
const AGAIN: Duration = Duration::from_secs(1);

const POINTS: [&str; 9] = [
    "journal.write",
    "journal.sync",
    "action.begin",
    "action.spawn",
    "action.spawned",
    "action.send",
    "action.result",
    "service.patch",
    "service.answer",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// From the opening to success.
    Flight,
    /// From the order to roll back, after the switch, to its end.
    Rollback,
}

impl Phase {
    fn outcome(self) -> Outcome {
        match self {
            Self::Flight => Outcome::Succeeded,
            Self::Rollback => Outcome::RolledBack,
        }
    }

    /// What must have been done in the end: by commands, and to the cluster.
    fn effects(self) -> (Vec<&'static str>, Vec<&'static str>) {
        let mut done = vec!["backup", "migrate"];
        let mut changed = vec![
            r#"backend-green deployments: {"template":{"spec":{"containers":[{"name":"backend","image":"registry.example.com/payment-system-backend:v1.6.0"}]}}}"#,
            r#"backend-service services: {"selector":{"version":"green"}}"#,
        ];
        match self {
            Self::Flight => done.push("announce"),
            Self::Rollback => {
                done.push("drain");
                changed.push(r#"backend-service services: {"selector":{"version":"blue"}}"#);
                changed.push(r#"backend-green deployments: {"replicas":0}"#);
            }
        }
        (done, changed)
    }
}

/// How an engine is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Kill,
    Panic,
}

/// One end that is tried.
#[derive(Debug, Clone, Copy)]
struct Shot {
    phase: Phase,
    how: How,
    point: &'static str,
    hit: usize,
}

impl Shot {
    fn armed(self) -> String {
        let how = if self.how == How::Kill { "kill" } else { "panic" };
        format!("{}={how}@{}", self.point, self.hit)
    }
}

/// What the journal says at a moment; nothing where the run was not born.
fn journal(run: &Path) -> Vec<Envelope> {
    let records = cutover::journal::read::<Envelope>(run).map(|contents| contents.records);
    records.unwrap_or_default().into_iter().map(|(_, envelope)| envelope).collect()
}

/// Actions whose intent is written down and whose result is not.
fn uncertain(events: &[Envelope]) -> Vec<ActionRef> {
    let mut open = Vec::new();
    for envelope in events {
        match &envelope.event {
            RunEvent::ActionStarted { at, .. } => open.push(at.clone()),
            RunEvent::ActionFinished { at, .. } => open.retain(|started| started != at),
            _ => {}
        }
    }
    open
}

fn exit_code(child: &mut Child, what: &str) -> i32 {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(Instant::now() < until, "{what} does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A command of the product whose engine dies where `shot` says; its exit code.
fn fly(ground: &Ground, args: &[&str], shot: Option<Shot>) -> i32 {
    let mut command = ground.command(args);
    if let Some(shot) = shot {
        command.env("CUTOVER_FAILPOINTS", shot.armed());
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    exit_code(&mut child, &format!("{args:?}"))
}

/// Whether a command of this flight is still there, whoever started it: what a person sees in a list of processes.
fn command_lives(ground: &Ground) -> bool {
    let log = format!("LOG={}", ground.log().display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.map(|entry| entry.path()).any(|process| {
        let carries = |variable: &[u8]| {
            std::fs::read(process.join("environ")).is_ok_and(|environ| {
                environ.split(|byte| *byte == 0).any(|found| found.starts_with(variable))
            })
        };
        carries(log.as_bytes()) && carries(b"CUTOVER_COMMAND=")
    })
}

/// What somebody who looks finds of an unknown command; nothing while it still runs.
fn truth(ground: &Ground, name: &str) -> Option<Resolution> {
    let log = ground.logged();
    // What changes while it is looked at is looked at again.
    if command_lives(ground) || ground.logged() != log {
        return None;
    }
    let has = |what: &str| log.contains(&format!("{what} {name}"));
    let happened = || ground.stage.events().into_iter().map(|envelope| envelope.event);
    assert!(
        !has("begin") || has("end"),
        "{name} was cut off: {log:?} after {:#?}",
        happened().collect::<Vec<_>>()
    );
    Some(if has("end") { Resolution::Done } else { Resolution::RunAgain })
}

/// What the person in control does next.
fn next(ground: &Ground, run: &Run, now: Timestamp, phase: Phase) -> Vec<Order> {
    let roll_back = || vec![Order::Rollback { reason: "it looks odd".into() }];
    match run.prompt(now) {
        Prompt::Unknown { at } if run.is_looked_at(&at) => Vec::new(),
        Prompt::Unknown { at } => {
            let name = run.action(&at).unwrap().name.clone();
            let found = truth(ground, &name);
            found.map(|resolution| Order::Resolve { at, resolution }).into_iter().collect()
        }
        Prompt::Finished { outcome: Outcome::Held } if phase == Phase::Rollback => roll_back(),
        Prompt::Finished { .. } => vec![Order::Close],
        // The order to roll back has not reached the journal: it is given again.
        _ if phase == Phase::Rollback && run.rollbacks.is_empty() => roll_back(),
        Prompt::Held { .. } => vec![Order::Continue],
        Prompt::Failed { step } => {
            let attempt = match &step {
                Some(step) => run.step(step.as_str()).unwrap().work.attempt,
                None => run.completion.as_ref().unwrap().attempt,
            };
            vec![Order::Retry { step, attempt }]
        }
        _ => match autopilot::next(run, now, cutover::domain::time::Span::from_secs(1), true) {
            Move::Send(orders) => orders,
            Move::Wait | Move::Over(_) => Vec::new(),
            Move::NeedsPerson(what) | Move::Leave(what) => panic!("{what}"),
        },
    }
}

/// Has control until the run is closed.
async fn drive(ground: &Ground, mut client: Client, phase: Phase) {
    let (mut run, mut now) = (None::<Run>, Timestamp(0));
    let mut given: Vec<(Order, Instant)> = Vec::new();
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no end: {:?}", run.map(|run| (run.prompt(now), run.held)));
        match tokio::time::timeout(Duration::from_millis(100), client.next()).await {
            Ok(Some(Update::Backlog { events, now: present, .. })) => {
                (run, now) = (Run::fold(&events), present);
            }
            Ok(Some(Update::Event { envelope })) => {
                now = now.max(envelope.at);
                if let Some(run) = &mut run {
                    run.apply(&envelope);
                }
            }
            Ok(Some(Update::Tick { now: present })) => now = present,
            Ok(Some(Update::Closed { .. }) | None) => return,
            Ok(Some(_)) => continue,
            Err(_) => {}
        }
        let Some(run) = &run else { continue };
        given.retain(|(_, when)| when.elapsed() < AGAIN);
        for order in next(ground, run, now, phase) {
            if given.iter().all(|(before, _)| *before != order) {
                given.push((order.clone(), Instant::now()));
                client.send(&order).await;
            }
        }
    }
}

/// Starts an engine as the product does, without anybody who follows it; what it said where it did not become ready.
fn start(ground: &Ground, task: Task, shot: Option<Shot>) -> Result<(Child, PathBuf), String> {
    let job = Job { task, terms: Terms::unattended(ground.stage.path()), pilot: "tester".into() };
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    ground.equip(&mut command).arg("engine").current_dir(ground.stage.path());
    if let Some(shot) = shot {
        command.env("CUTOVER_FAILPOINTS", shot.armed());
    }
    let mut engine =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    engine.stdin.take().unwrap().write_all(&serde_json::to_vec(&job).unwrap()).unwrap();
    let mut line = String::new();
    BufReader::new(engine.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if let Ok(Word::Ready { run_dir, .. }) = serde_json::from_str(&line) {
        return Ok((engine, run_dir));
    }
    let output = engine.wait_with_output().unwrap();
    Err(format!("{line}{}", String::from_utf8_lossy(&output.stderr)))
}

fn resumed(run: &str) -> Task {
    Task::Resume(Resumption { run: Some(run.to_owned()), ..Resumption::default() })
}

/// Takes the run up with a new engine and brings it to its end; the engine's exit code.
fn resume(ground: &Ground, run: &str, phase: Phase) -> i32 {
    let task = resumed(run);
    let (mut engine, run_dir) = start(ground, task, None).unwrap_or_else(|why| panic!("not resumed: {why}"));
    WORLD.block_on(async {
        let hello = link::client::hello(Wish::Pilot, Some("tester".into()));
        let client = link::client::connect(&run_dir.join(link::CONTROL), &hello).await.unwrap();
        drive(ground, client, phase).await;
    });
    exit_code(&mut engine, "the second engine")
}

/// How a shot came out.
enum Hit {
    /// The flight has no such hit: it went through.
    Missed,
    /// Killed; so many actions were uncertain.
    Killed { unknown: usize, unborn: bool },
}

fn shoot(shot: Shot) -> Hit {
    let Shot { phase, .. } = shot;
    let mut text = include_str!("support/crash.toml").to_owned();
    if shot.how == How::Panic {
        text = text.replace("title = \"After\"\n", "title = \"After\"\nwindow = { lasts = \"2s\" }\n");
    }
    if phase == Phase::Rollback {
        // The step after the switch waits for somebody who never comes: the flight stands still there.
        text = text.replace("title = \"After\"\n", "title = \"After\"\napprovals = 1\n");
    }
    let ground = Ground::new(&text);
    let code = match phase {
        Phase::Flight => fly(&ground, &["run", "--plain", "--yes"], Some(shot)),
        Phase::Rollback => {
            let mut first = ground.command(&["run", "--plain", "--yes"]);
            let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            ground.stage.wait_for_event(
                "switch",
                |event| matches!(event, RunEvent::StepPassed { step, .. } if step.as_str() == "switch"),
            );
            nix::sys::signal::kill(ground.stage.engine(), nix::sys::signal::Signal::SIGTERM).unwrap();
            assert_eq!(exit_code(&mut first, "the paused flight"), 9);
            wait_until_gone(&ground, shot);
            let run = run_id(&ground).unwrap();
            fly(&ground, &["rollback", &run, "--reason", "it looks odd"], Some(shot))
        }
    };
    let runs = ground.stage.runs();
    let directory = runs.last().cloned().unwrap_or_default();
    let before = journal(&directory);
    let ended = before.iter().any(|envelope| match &envelope.event {
        RunEvent::RunFinished { outcome, .. } => *outcome == phase.outcome(),
        _ => false,
    });
    let missed = matches!(code, 0 | 5);
    let last =
        || before.iter().rev().take(4).map(|envelope| format!("{:?}", envelope.event)).collect::<Vec<_>>();
    assert!(missed || matches!(code, 1 | 137), "{shot:?}: exit code {code} after {:#?}", last());
    if !missed {
        // Its connections end a moment before its locks do. One that has done its work stays a while for whoever looks.
        wait_until_gone(&ground, shot);
    }
    assert!(!missed || ended, "{shot:?}: {code}");
    let open = uncertain(&before);
    let unborn = before.is_empty();
    // The points of an action lie between its intent and its result: a kill there that leaves nothing uncertain was none.
    let between = shot.how == How::Kill && !shot.point.starts_with("journal.");
    assert!(
        missed || !between || open.len() == 1,
        "{shot:?}: not killed there, {open:?} after {:#?}",
        last()
    );
    if shot.how == How::Panic && !missed {
        assert_broken(&ground, shot);
    }
    if unborn {
        assert!(!missed && ground.logged().is_empty() && ground.changes().is_empty(), "{shot:?}");
        // Nothing to resume; what was locked for it does not keep the next run from being flown.
        assert_eq!(fly(&ground, &["run", "--plain", "--yes"], None), 0, "{shot:?}");
        // Two runs of one second are in no order.
        let flown = ground.stage.runs().iter().map(|run| journal(run)).find(|events| !events.is_empty());
        verify(shot, &ground, &[], &flown.unwrap(), &[]);
        return Hit::Killed { unknown: 0, unborn };
    }
    if !ended {
        let code = resume(&ground, &run_id(&ground).unwrap(), phase);
        assert_eq!(code, if phase == Phase::Flight { 0 } else { 5 }, "{shot:?}");
    }
    let after = journal(&directory);
    verify(shot, &ground, &before, &after, &open);
    if missed { Hit::Missed } else { Hit::Killed { unknown: open.len(), unborn } }
}

fn wait_until_gone(ground: &Ground, shot: Shot) {
    let until = Instant::now() + PATIENCE;
    while !ground.stage.engines().is_empty() {
        assert!(Instant::now() < until, "{shot:?}: the engine goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nothing of an engine that broke is left, but the reason.
fn assert_broken(ground: &Ground, shot: Shot) {
    wait_until_gone(ground, shot);
    let Some(run) = ground.stage.runs().pop() else { return };
    for socket in [link::CONTROL, link::WATCH] {
        assert!(!run.join(socket).exists(), "{shot:?}: {socket}");
    }
    // Before it is ready, it speaks to whoever started it.
    if run.join("tick").exists() {
        let said = std::fs::read_to_string(run.join("engine.log")).unwrap();
        assert!(said.contains(&format!("failpoint {}", shot.point)), "{shot:?}: {said}");
        assert!(
            said.contains("the engine has crashed") && said.contains("cutover resume "),
            "{shot:?}: {said}"
        );
    }
}

fn run_id(ground: &Ground) -> Option<String> {
    Some(ground.stage.runs().pop()?.file_name()?.to_string_lossy().into_owned())
}

/// 0 lost, 0 doubled, each uncertain one UNKNOWN, no gap.
fn verify(shot: Shot, ground: &Ground, before: &[Envelope], after: &[Envelope], open: &[ActionRef]) {
    let (done, changed) = shot.phase.effects();
    let lines: Vec<_> =
        done.iter().flat_map(|name| [format!("begin {name}"), format!("end {name}")]).collect();
    assert_eq!(ground.logged(), lines, "{shot:?}: what the commands did");
    assert_eq!(ground.changes(), changed, "{shot:?}: what was asked of the cluster");
    let sequence: Vec<_> = after.iter().map(|envelope| envelope.seq).collect();
    assert_eq!(sequence, (1..=after.len() as u64).collect::<Vec<_>>(), "{shot:?}");
    assert_eq!(after[..before.len()], *before, "{shot:?}: what was written stays");
    for at in open {
        let told = after[before.len()..].iter().find_map(|envelope| match &envelope.event {
            RunEvent::ActionFinished { at: found, outcome, .. } if found == at => Some(*outcome),
            _ => None,
        });
        assert_eq!(told, Some(ActionOutcome::Unknown), "{shot:?}: {at:?}");
    }
    let outcome = after.iter().rev().find_map(|envelope| match &envelope.event {
        RunEvent::RunFinished { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert_eq!(outcome, Some(shot.phase.outcome()), "{shot:?}");
}

/// The hits of a point are tried in so many rows beside each other: only a flight that goes through tells that a row is over,
/// and a point that is hit twenty times would keep all others waiting.
fn rows(point: &str) -> usize {
    match point {
        "journal.write" | "engine.tick" => 4,
        "journal.sync" => 2,
        _ => 1,
    }
}

/// The first shot of each row of a point.
fn first(shot: Shot) -> impl Iterator<Item = Shot> {
    (0..rows(shot.point)).map(move |row| Shot { hit: shot.hit + row * stride(shot.point), ..shot })
}

/// The next shot of a row, where there may be one.
fn after(shot: Shot) -> Option<Shot> {
    let hit = shot.hit + rows(shot.point) * stride(shot.point);
    (hit <= HITS * stride(shot.point)).then_some(Shot { hit, ..shot })
}

fn stride(point: &str) -> usize {
    if point.starts_with("journal.") { 2 } else { 1 }
}

/// Tries every hit of the points; how many there were, and how many actions were uncertain.
fn matrix(name: &str, phase: Phase, how: How, points: &[&'static str]) -> (usize, usize) {
    let begin = |point: &&'static str| {
        let hit = if *point == "journal.sync" { 2 } else { 1 };
        first(Shot { phase, how, point, hit })
    };
    let waiting: Mutex<VecDeque<Shot>> = Mutex::new(points.iter().flat_map(begin).collect());
    let flying = AtomicUsize::new(0);
    let tally = Mutex::new((0, 0, 0, Vec::new(), BTreeMap::<&str, (usize, usize)>::new()));
    let work = || loop {
        let shot = {
            let mut waiting = waiting.lock().unwrap();
            let shot = waiting.pop_front();
            if shot.is_some() {
                flying.fetch_add(1, Ordering::SeqCst);
            }
            shot
        };
        let Some(shot) = shot else {
            if flying.load(Ordering::SeqCst) == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let hit = std::panic::catch_unwind(|| shoot(shot));
        match hit {
            Ok(Hit::Missed) => {}
            Ok(Hit::Killed { unknown, unborn }) => {
                let mut tally = tally.lock().unwrap();
                tally.0 += 1;
                tally.1 += unknown;
                tally.2 += usize::from(unborn);
                let entry = tally.4.entry(shot.point).or_insert((0, 0));
                *entry = (entry.0 + 1, entry.1 + unknown);
                waiting.lock().unwrap().extend(after(shot));
            }
            Err(fault) => {
                let why = fault.downcast_ref::<String>().cloned().unwrap_or_else(|| "?".into());
                tally.lock().unwrap().3.push(format!("{shot:?}: {why}"));
                waiting.lock().unwrap().extend(after(shot));
            }
        }
        flying.fetch_sub(1, Ordering::SeqCst);
    };
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..FLIGHTS {
            scope.spawn(work);
        }
    });
    let (kills, unknown, unborn, faults, by_point) = tally.into_inner().unwrap();
    assert!(
        faults.is_empty(),
        "{} of {} came out wrong:\n{}",
        faults.len(),
        kills + faults.len(),
        faults.join("\n")
    );
    println!(
        "{name} {phase:?}: {kills} times {how:?} over {} points, 0 lost, 0 doubled, {unknown} unknown, {unborn} before there was a run ({:.0?})",
        points.len(),
        begun.elapsed()
    );
    for (point, (kills, unknown)) in by_point {
        println!("  {point}: {kills}, {unknown} unknown");
    }
    (kills, unknown)
}

#[test]
fn j1_l5_killed_anywhere_in_a_flight_it_ends_the_same_with_nothing_lost_or_doubled() {
    let (kills, unknown) = matrix("J1", Phase::Flight, How::Kill, &POINTS);
    assert!(kills >= 35 && unknown >= 20, "{kills} kills, {unknown} unknown: hardly anything was tried");
}

#[test]
fn j1_l5_killed_anywhere_in_a_rollback_it_ends_the_same_with_nothing_lost_or_doubled() {
    let (kills, unknown) = matrix("J1", Phase::Rollback, How::Kill, &POINTS);
    assert!(kills >= 16 && unknown >= 12, "{kills} kills, {unknown} unknown: hardly anything was tried");
}

#[test]
fn j6_a_panic_in_any_state_leaves_a_run_that_resumes() {
    let (flown, _) = matrix("J6", Phase::Flight, How::Panic, &["journal.write", "engine.tick"]);
    // A rollback takes less than a tick.
    let (back, _) = matrix("J6", Phase::Rollback, How::Panic, &["journal.write", "journal.sync"]);
    assert!(flown >= 15 && back >= 6, "{flown} and {back} panics: hardly anything was tried");
}

#[test]
fn j6_a_panic_before_the_first_step_or_after_the_last_leaves_a_run_that_resumes() {
    let ground = Ground::new(include_str!("support/crash.toml"));
    let shot = |hit| Shot { phase: Phase::Flight, how: How::Panic, point: "engine.tick", hit };
    let task = Task::Run(NewRun { runbook: "runbook.toml".into(), takeover: None });
    // Nobody has control: the checklist waits.
    let (mut engine, _) = start(&ground, task, Some(shot(2))).unwrap();
    assert_eq!(exit_code(&mut engine, "the engine in its checklist"), 1);
    assert_broken(&ground, shot(2));
    let run = run_id(&ground).unwrap();
    assert_eq!(resume(&ground, &run, Phase::Flight), 0);
    // Until its tasks are done a finished run can be taken up.
    let (mut engine, _) = start(&ground, resumed(&run), Some(shot(2))).unwrap();
    assert_eq!(exit_code(&mut engine, "the engine after the last step"), 1);
    assert_broken(&ground, shot(2));
    assert_eq!(resume(&ground, &run, Phase::Flight), 0);
    let directory = ground.stage.runs().pop().unwrap();
    verify(shot(2), &ground, &[], &journal(&directory), &[]);
}
