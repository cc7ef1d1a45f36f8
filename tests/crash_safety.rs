//! What a run stands on is what it was opened with; what it has started is gone when it is told to be; what it tells others
//! delays nothing.

#![expect(clippy::print_stdout, reason = "the figure is what the test is for")]
#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::domain::{
    event::{ActionOutcome, Envelope, RunEvent},
    time::Timestamp,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[path = "support/pty.rs"]
mod pty;

use pty::{PATIENCE, Stage};

const SMALL: &str = include_str!("support/small.toml");

/// A flight of this runbook that confirms by itself.
fn fly(stage: &Stage, runbook: &str) -> Child {
    std::fs::write(stage.path().join("runbook.toml"), runbook).unwrap();
    let mut command = stage.command(&["run", "--plain", "--yes"]);
    command.env("LOG", stage.path().join("log")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn log(stage: &Stage) -> Vec<String> {
    let text = std::fs::read_to_string(stage.path().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The first line of the log that begins so, as a process id.
fn logged_pid(stage: &Stage, word: &str) -> u32 {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = log(stage).iter().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
        if let Some(pid) = found {
            return pid;
        }
        assert!(Instant::now() < until, "no {word} in {:?}", log(stage));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Gone, or dead and not yet waited for.
fn is_gone(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// A paused run of the small runbook: its directory and id.
fn paused(stage: &Stage) -> (PathBuf, String) {
    std::fs::write(stage.path().join("runbook.toml"), SMALL).unwrap();
    let output = stage.command(&["run", "--plain"]).env("LOG", stage.path().join("log")).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    let directory = stage.runs().pop().unwrap();
    let run = directory.file_name().unwrap().to_string_lossy().into_owned();
    // Whoever showed the run is told of its end before the engine has closed its sockets.
    let until = Instant::now() + PATIENCE;
    while !stage.engines().is_empty() {
        assert!(Instant::now() < until, "the engine of a paused run does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    (directory, run)
}

fn resumed(stage: &Stage, run: &str, more: &[&str]) -> (i32, String) {
    std::fs::write(stage.path().join("log.go"), "").unwrap();
    let args = [&["resume", run, "--plain", "--yes"], more].concat();
    let output = stage.command(&args).env("LOG", stage.path().join("log")).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Changes one byte of a file.
fn change(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(from.len() == to.len() && text.matches(from).count() == 1, "{from}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn j7_one_byte_of_the_runbook_changed_is_refused_with_what_changed() {
    for (own, names) in [
        (false, vec!["runbook.toml was changed", "line 26", "echo one", "echo ono"]),
        (true, vec!["runbook.toml was changed"]),
    ] {
        let stage = Stage::new();
        let (directory, run) = paused(&stage);
        let file = if own { directory.join("runbook.toml") } else { stage.path().join("runbook.toml") };
        change(&file, "echo one >>", "echo ono >>");
        let before = std::fs::read(directory.join("journal")).unwrap();
        let (code, said) = resumed(&stage, &run, &[]);
        assert_eq!(code, 8, "{said}");
        for name in names {
            assert!(said.contains(name), "no {name:?} in {said}");
        }
        assert!(said.contains(&file.display().to_string()), "{said}");
        assert_eq!(std::fs::read(directory.join("journal")).unwrap(), before, "the journal is as it was");
        assert!(log(&stage).is_empty() && stage.engines().is_empty(), "nothing was done");

        // With a reason it goes on: with what it was opened with, not with what stands in the file now.
        let (code, said) = resumed(&stage, &run, &["--override", "a slip of the editor"]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(log(&stage), ["one", "slow", "slept", "two", "three"]);
        let told = stage.events().iter().any(|envelope| match &envelope.event {
            RunEvent::OverrideGiven(given) => {
                given.reason == "a slip of the editor" && given.what.contains("was changed")
            }
            _ => false,
        });
        assert!(told, "what was overridden, and why, is in the journal");
    }
}

#[test]
fn an_engine_that_still_closes_does_not_refuse_the_next() {
    let stage = Stage::new();
    let (directory, run) = paused(&stage);
    let lock = std::fs::File::open(directory.join("lock")).unwrap();
    lock.lock().unwrap();
    let closing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_500));
        drop(lock);
    });
    let (code, said) = resumed(&stage, &run, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(closing.is_finished(), "it went on while another had the run");
    assert_eq!(log(&stage), ["one", "slow", "slept", "two", "three"]);
}

#[test]
fn j8_a_newer_journal_is_refused_and_left_alone() {
    let stage = Stage::new();
    let (directory, run) = paused(&stage);
    let path = directory.join("journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let version = cutover::journal::FORMAT_VERSION;
    assert_eq!(bytes[8..12], version.to_le_bytes());
    bytes[8..12].copy_from_slice(&(version + 1).to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let files = |dir: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = files(&directory);
    let format = format!("format {}", version + 1);
    for args in [
        &["resume", &run, "--plain", "--yes"][..],
        &["resume", &run, "--plain", "--yes", "--override", "go on"],
        &["status", &run],
        &["attach", &run, "--plain"],
        &["watch", &run, "--plain"],
        &["rollback", &run, "--reason", "odd"],
        &["abort", &run, "--reason", "odd"],
        &["list"],
        &["tasks", &run],
    ] {
        let (code, told, said) = stage.run(args);
        // A list tells of those that it can read, and which it can't.
        assert!(args[0] == "list" || code != 0, "{args:?}: {told}{said}");
        assert!(said.contains(&format), "{args:?}: {code} {told}{said}");
        assert!(said.contains(&run), "{args:?} does not say which: {said}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), modified);
    assert_eq!(files(&directory), before);
}

/// The moment of the first event like this.
fn moment(events: &[Envelope], is: impl Fn(&RunEvent) -> bool) -> Option<Timestamp> {
    events.iter().find(|envelope| is(&envelope.event)).map(|envelope| envelope.at)
}

#[test]
fn s1_a_command_that_ignores_term_is_gone_a_second_after_its_grace() {
    let stage = Stage::new();
    let stubborn = SMALL.replace(
        "until [ -e \"$LOG.go\" ] || [ ! -e \"$LOG\" ]; do sleep 0.05; done",
        "trap \"\" TERM; echo pid $$ >> \"$LOG\"; while :; do sleep 1; done",
    );
    assert_ne!(stubborn, SMALL);
    let mut driver = fly(&stage, &stubborn);
    let pid = logged_pid(&stage, "pid");
    let began = Instant::now();
    let (code, told, said) = stage.run(&["rollback", "--reason", "it hangs"]);
    let took = began.elapsed();
    assert_eq!(code, 5, "{told}{said}");
    assert!(is_gone(pid), "the process lives");
    driver.wait().unwrap();
    let events = stage.events();
    let begun = moment(&events, |event| matches!(event, RunEvent::RollbackStarted { .. })).unwrap();
    let ended = moment(&events, |event| {
        matches!(event, RunEvent::ActionFinished { at, outcome: ActionOutcome::Cancelled, .. } if at.action == 1)
    })
    .unwrap();
    println!(
        "S1: gone {} ms after the order, with 10 s of grace ({took:.1?} with the rollback)",
        ended.since(begun).as_millis()
    );
    assert!((10_000..=11_500).contains(&ended.since(begun).as_millis()), "{}", ended.since(begun));
    // Undoing waits for what is undone to have ended.
    assert_eq!(log(&stage).last().unwrap(), "back");
}

#[test]
fn s2_a_child_in_a_session_of_its_own_is_told_and_swept() {
    let stage = Stage::new();
    let escaping = SMALL.replace(
        "until [ -e \"$LOG.go\" ] || [ ! -e \"$LOG\" ]; do sleep 0.05; done",
        "setsid sh \"$LOG.sh\" & until grep -q pid \"$LOG\"; do sleep 0.05; done",
    );
    assert_ne!(escaping, SMALL);
    std::fs::write(stage.path().join("log.sh"), "echo pid $$ >> \"$LOG\"; exec sleep 600\n").unwrap();
    let mut driver = fly(&stage, &escaping);
    assert_eq!(driver.wait().unwrap().code(), Some(0));
    let pid = logged_pid(&stage, "pid");
    assert!(is_gone(pid), "the process lives");
    let told = stage.events().into_iter().find_map(|envelope| match envelope.event {
        RunEvent::ActionFinished { at, detail, .. } if at.action == 1 => Some(detail),
        _ => None,
    });
    let told = told.unwrap();
    assert!(told.contains("left processes behind") && told.contains(&pid.to_string()), "{told}");
}

/// A webhook that does not answer as it should: a part of it answers `head`, nothing where there is none.
fn webhook(head: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some(head) = head {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(head.as_bytes());
            } else {
                // The connection stays open and silent.
                held.push(stream);
            }
        }
    });
    port
}

#[test]
fn x3_a_webhook_that_hangs_or_refuses_adds_nothing_to_the_steps() {
    let answers: [(&str, Option<&'static str>); 3] = [
        ("hangs", None),
        (
            "429",
            Some(
                "HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            ),
        ),
        ("500", Some("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")),
    ];
    for (what, head) in answers {
        let stage = Stage::new();
        let port = webhook(head);
        let text = SMALL
            .replace(
                "{ name = \"slow\", sh = 'echo slow >> \"$LOG\"; until [ -e \"$LOG.go\" ] || [ ! -e \"$LOG\" ]; do sleep 0.05; done; echo slept >> \"$LOG\"' },",
                "{ name = \"tell\", notify = \"half way\" },",
            )
            .replace(
                "[[checklist]]",
                &format!("[notify]\nslack = \"http://127.0.0.1:{port}/hook\"\non = [\"started\", \"succeeded\"]\n\n[[checklist]]"),
            );
        let mut driver = fly(&stage, &text);
        assert_eq!(driver.wait().unwrap().code(), Some(0), "{what}");
        let events = stage.events();
        let index = |is: &dyn Fn(&RunEvent) -> bool| events.iter().position(|envelope| is(&envelope.event));
        let of = |step: &'static str, number: usize| {
            move |event: &RunEvent| {
                matches!(event, RunEvent::ActionStarted { at, .. }
                    if at.action == number && matches!(&at.place, cutover::domain::event::Place::Step { step: found } if found.as_str() == step))
            }
        };
        let step = index(&|event| matches!(event, RunEvent::StepStarted { .. })).unwrap();
        let first = index(&of("first", 0)).unwrap();
        let tell = index(&of("first", 1)).unwrap();
        let after = index(&of("first", 2)).unwrap();
        let last = index(&of("second", 0)).unwrap();
        let added =
            [(step, first), (tell, after)].map(|(from, to)| events[to].at.since(events[from].at).as_millis());
        println!(
            "X3 {what}: {} ms from a step's notice to its first action, {} ms from a notice to the next action",
            added[0], added[1]
        );
        // The start of an action is decided in the very moment that its predecessor's end is: the webhook has no part in it.
        assert_eq!(added[0], 0, "{what}");
        assert!(added[1] < 1000, "{what}");
        let notices: Vec<_> = events
            .iter()
            .enumerate()
            .filter_map(|(index, envelope)| match &envelope.event {
                RunEvent::NoticeSent { ok, detail, .. } => Some((index, *ok, detail.clone())),
                _ => None,
            })
            .collect();
        assert!(notices.iter().all(|(_, ok, _)| !ok), "{what}: {notices:?}");
        if head.is_none() {
            assert!(notices.iter().all(|(index, ..)| *index > last), "{what}: {notices:?}");
        } else {
            assert!(
                notices.len() >= 2 && notices.iter().all(|(_, _, told)| told.contains(what)),
                "{notices:?}"
            );
        }
    }
}

#[test]
fn s1_a_command_that_outlived_its_engine_is_ended_by_the_rollback() {
    let stage = Stage::new();
    let mut driver = fly(&stage, &SMALL.replace("echo slow >>", "echo pid $$ >>"));
    let pid = logged_pid(&stage, "pid");
    stage.wait_for_event(
        "slow",
        |event| matches!(event, RunEvent::ActionSpawned { at, .. } if at.action == 1),
    );
    kill(stage.engine(), Signal::SIGKILL).unwrap();
    driver.wait().unwrap();
    assert!(
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok(),
        "the command outlives its engine"
    );
    let run = stage.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    let (code, told, said) = order(&stage, &["rollback", "--reason", "the bastion died"]);
    assert_eq!(code, 5, "{told}{said}");
    assert!(said.contains(&run), "it says which run was meant: {said}");
    // Nothing is left that could be meant, once the engine has gone.
    let engine = stage.engine();
    kill(engine, Signal::SIGKILL).unwrap();
    while kill(engine, None).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, told, said) = order(&stage, &["rollback", "--reason", "once more"]);
    assert_eq!((code, told.as_str()), (2, ""), "{said}");
    assert!(said.contains("no unfinished run on this host"), "{said}");
    let until = Instant::now() + PATIENCE;
    while !is_gone(pid) {
        assert!(Instant::now() < until, "the process lives");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(log(&stage).last().unwrap(), "back");
    assert!(!log(&stage).contains(&"slept".to_owned()), "{:?}", log(&stage));
}

fn order(stage: &Arc<Stage>, args: &[&str]) -> (i32, String, String) {
    let output = stage.command(args).env("LOG", stage.path().join("log")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}
