//! A run and its screens are different things: screens come and go, the run goes on.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    domain::{
        actor::Actor,
        cause::HoldCause,
        crew::Role,
        event::{Outcome, RunEvent},
    },
    world::scenario::Scenario,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[path = "support/ground.rs"]
mod ground;
#[path = "support/pty.rs"]
mod pty;

use ground::Ground;
use pty::{Cockpit, PATIENCE, Stage};

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// A rehearsal that drives itself in line mode, followed until an event of this name.
fn driven(stage: &Arc<Stage>, scenario: &str, until: &str) -> Child {
    let mut child = stage
        .command(&["rehearse", "--plain", "--yes", "--speed", "60", "--json-lines", "--scenario", scenario])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let wanted = format!("\"event\":\"{until}\"");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(&wanted)), "no {until}");
    // What else it prints is read on: nobody waits for a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn alive(engine: Pid) -> bool {
    kill(engine, None).is_ok()
}

/// Line mode on the small runbook, once its slow action runs.
fn in_slow_action(stage: &Stage) -> Child {
    std::fs::write(stage.path().join("runbook.toml"), include_str!("support/small.toml")).unwrap();
    let child = stage
        .command(&["run", "--plain", "--yes"])
        .env("LOG", stage.path().join("log"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let slow = |event: &RunEvent| matches!(event, RunEvent::ActionSpawned { at, .. } if at.action == 1);
    stage.wait_for_event("slow", slow);
    child
}

fn log(stage: &Stage) -> Vec<String> {
    let text = std::fs::read_to_string(stage.path().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Lets the slow action end.
fn go(stage: &Stage) {
    std::fs::write(stage.path().join("log.go"), "").unwrap();
}

#[test]
fn u1_with_nobody_there_the_trigger_fires_and_the_rollback_is_done() {
    let stage = Stage::new();
    let mut driver = driven(&stage, "bad-release", "window_opened");
    let engine = stage.engine();
    driver.kill().unwrap();
    driver.wait().unwrap();
    let run = stage.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    stage.wait_for_event("hold", |event| matches!(event, RunEvent::RunHeld { cause: HoldCause::Away, .. }));
    assert!(alive(engine));
    stage.wait_for_event("end", |event| {
        matches!(event, RunEvent::RunFinished { outcome: Outcome::RolledBack, .. })
    });
    let events = stage.events();
    let at = |is: &dyn Fn(&RunEvent) -> bool| events.iter().position(|envelope| is(&envelope.event)).unwrap();
    let left = at(&|event| matches!(event, RunEvent::ScreenLeft { role: Role::Pilot, .. }));
    let fired = at(&|event| matches!(event, RunEvent::TriggerFired { .. }));
    let begun = at(&|event| matches!(event, RunEvent::RollbackStarted { by, .. } if *by == Actor::Trigger));
    assert!(left < fired && fired < begun, "{left} {fired} {begun}");

    // Whoever comes next is told the story, from the engine or from the journal alone.
    let (code, told, _) = stage.run(&["attach", &run, "--plain"]);
    assert_eq!(code, 5);
    assert!(told.contains("nobody has control") && told.contains("TRIGGER FIRED"), "{told}");
    kill(engine, Signal::SIGKILL).unwrap();
    while alive(engine)
        && std::fs::read_to_string(format!("/proc/{engine}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, told, said) = stage.run(&["attach", &run, "--plain"]);
    assert_eq!(code, 5, "{said}");
    assert!(told.contains("TRIGGER FIRED"), "{told}");
    assert_eq!(stage.run(&["status", &run]).0, 5);
}

#[test]
fn u1_a_terminal_that_closes_leaves_a_run_that_is_found_again() {
    let stage = Stage::new();
    let mut first = Cockpit::start_in(&stage, (80, 24), &["rehearse".as_ref()], &[]);
    first.wait_until("Before the deployment");
    let engine = stage.engine();
    first.line = None;
    assert_eq!(first.ended().code(), Some(9));
    stage.wait_for_event("leaving", |event| matches!(event, RunEvent::ScreenLeft { role: Role::Pilot, .. }));
    assert!(alive(engine));
    let (code, text, said) = stage.run(&["status"]);
    assert_eq!(code, 8, "it waits for somebody: {text}{said}");
    assert!(text.contains("nobody; ") && text.contains("last tick"), "{text}");

    let mut again = Cockpit::start_in(&stage, (80, 24), &["attach".as_ref()], &[]);
    again.wait_until("While nobody had control");
    again.press(b"\x1b");
    again.wait_until("Before the deployment");
    // The same person drives again; a second screen of theirs looks on, and may take control.
    let mut second = Cockpit::start_in(&stage, (80, 24), &["attach".as_ref()], &[]);
    second.wait_until("starts nothing: you have control");
    second.press(b":take\r");
    second.wait_until("for DEPLOY_VERSION; starts nothing yet");
    again.wait_until("starts nothing: you have control");
    // A watching screen sees all and may nothing.
    let mut watch = Cockpit::start_in(&stage, (80, 24), &["watch".as_ref()], &[]);
    watch.wait_until("you watch, ");
    watch.press(b":ask\r");
    watch.wait_until("this screen only watches");
    assert_eq!(stage.events().iter().filter(|e| matches!(e.event, RunEvent::ControlAsked { .. })).count(), 0);
    assert_eq!(stage.engine(), engine, "the same engine all the time");
}

#[test]
fn a_dead_engine_is_seen_and_its_run_goes_on_where_it_was() {
    let stage = Stage::new();
    let mut driver = in_slow_action(&stage);
    kill(stage.engine(), Signal::SIGKILL).unwrap();
    assert_eq!(driver.wait().unwrap().code(), Some(1), "its follower says that it is gone");
    let run = stage.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    let (code, text, _) = stage.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &status["engine"]["lives"]), (1, &serde_json::Value::Bool(false)), "{status}");
    assert_eq!(status["state"], "nobody-watches");
    let (code, _, said) = stage.run(&["attach", &run, "--plain"]);
    assert!(code == 2 && said.contains(&format!("cutover resume {run}")), "{code} {said}");

    // L5: the command outlived its engine. It is named, and nothing is run over it or again.
    let mut resumed = stage.command(&["resume", &run, "--plain", "--yes"]);
    let output = resumed.env("LOG", stage.path().join("log")).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("unknown whether `slow` was done"), "{said}");
    let done = log(&stage);
    assert_eq!(done.iter().filter(|line| *line == "slow").count(), 1, "{done:?}");
    assert!(!done.contains(&"two".to_owned()), "{done:?}");
    go(&stage);
}

#[test]
fn a_service_gives_a_dead_engines_run_another_one_in_hold() {
    let stage = Stage::new();
    let mut driver = in_slow_action(&stage);
    let dead = stage.engine();
    kill(dead, Signal::SIGKILL).unwrap();
    driver.wait().unwrap();
    let mut service = stage.command(&["service", "run", "--once"]);
    let output = service.env("LOG", stage.path().join("log")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_ne!(stage.engine(), dead);
    stage.wait_for_event("hold", |event| matches!(event, RunEvent::RunHeld { .. }));
    // L5: the command that outlived the first engine is watched, and its end is seen.
    stage.wait_for_event("child", |event| matches!(event, RunEvent::ChildSeen { alive: true, .. }));
    go(&stage);
    stage.wait_for_event("its end", |event| matches!(event, RunEvent::ChildSeen { alive: false, .. }));
    assert_eq!(log(&stage), ["one", "slow", "slept"]);
    // A second look finds nothing to do.
    let again = stage.run(&["service", "run", "--once"]);
    assert_eq!((again.0, again.2.as_str()), (0, ""));
}

#[test]
fn orders_from_a_plain_shell_work_while_a_screen_is_there_and_while_none_is() {
    let stage = Stage::new();
    let mut driver = in_slow_action(&stage);
    // SIGTERM ends the follower, not the run; the engine finishes what runs.
    kill(pid(&driver), Signal::SIGTERM).unwrap();
    assert_eq!(driver.wait().unwrap().code(), Some(128 + 15));
    stage.wait_for_event("leaving", |event| matches!(event, RunEvent::ScreenLeft { .. }));
    go(&stage);
    stage.wait_for_event(
        "slow's end",
        |event| matches!(event, RunEvent::ActionFinished { at, .. } if at.action == 1),
    );
    stage.wait_for_event("hold", |event| matches!(event, RunEvent::RunHeld { cause: HoldCause::Away, .. }));
    assert_eq!(log(&stage), ["one", "slow", "slept"], "nothing new starts");
    let (code, told, said) = stage.run(&["rollback", "--reason", "it looks odd"]);
    assert_eq!(code, 5, "{told}{said}");
    assert_eq!(log(&stage), ["one", "slow", "slept", "back"]);
    assert!(stage.events().iter().any(|envelope| {
        matches!(&envelope.event, RunEvent::RollbackStarted { reason, .. } if reason == "it looks odd")
    }));
}

#[test]
fn sigterm_closes_an_engine_in_order() {
    let stage = Stage::new();
    let mut driver = in_slow_action(&stage);
    let engine = stage.engine();
    kill(engine, Signal::SIGHUP).unwrap();
    kill(engine, Signal::SIGTERM).unwrap();
    go(&stage);
    assert_eq!(driver.wait().unwrap().code(), Some(9));
    assert_eq!(log(&stage), ["one", "slow", "slept"], "what ran was finished, nothing followed");
    let events = stage.events();
    let last = &events.iter().rev().find(|envelope| matches!(envelope.event, RunEvent::RunFinished { .. }));
    assert!(
        matches!(&last.unwrap().event, RunEvent::RunFinished { outcome: Outcome::Held, detail } if detail.contains("interrupted")),
        "{last:?}"
    );
    let until = Instant::now() + PATIENCE;
    while !stage.engines().is_empty() {
        assert!(Instant::now() < until, "the engine does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const BLUE_GREEN: &str = include_str!("support/blue_green.toml");

/// A cockpit on a cluster that outlives its engine.
fn cockpit(ground: &Ground, args: &[&str]) -> Cockpit {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(args).arg("--state-dir").arg(ground.stage.path()).current_dir(ground.stage.path());
    ground.equip(&mut command);
    Cockpit::spawn(&ground.stage, (100, 30), command)
}

#[test]
fn u1_a_terminal_closed_in_the_window_leaves_a_watch_that_rolls_back() {
    let stage = Stage::new();
    let args = ["rehearse", "--scenario", "bad-release", "--speed", "30"].map(OsStr::new);
    let mut first = Cockpit::start_in(&stage, (100, 30), &args, &[]);
    let opened = || stage.events().iter().any(|e| matches!(e.event, RunEvent::WindowOpened { .. }));
    first.fly_while(|_| !opened());
    let engine = stage.engine();
    first.line = None;
    assert_eq!(first.ended().code(), Some(9));
    stage.wait_for_event("end", |event| {
        matches!(event, RunEvent::RunFinished { outcome: Outcome::RolledBack, .. })
    });
    assert_eq!(stage.engine(), engine, "it lives on for whoever looks");
    let mut next = Cockpit::start_in(&stage, (120, 60), &["attach".as_ref()], &[]);
    next.wait_until("While nobody had control");
    for words in ["nobody has control", "TRIGGER FIRED", "ROLLBACK (quick) started by trigger"] {
        next.wait_until(words);
    }
    next.press(b"G");
    next.wait_until("ROLLBACK (quick) done in");
    next.wait_until("You have control now.");
}

#[test]
fn killed_in_a_rollout_and_in_a_rollback_a_run_is_taken_up_in_the_cockpit() {
    let drain = r#"{ name = "drain", sh = 'echo drain >> "$LOG"; until [ -e "$LOG.back" ] || [ ! -e "$LOG" ]; do sleep 0.05; done; echo drained >> "$LOG"' }, { scale = { slot = "new""#;
    let runbook = BLUE_GREEN.replace(r#"{ scale = { slot = "new""#, drain);
    assert_ne!(runbook, BLUE_GREEN);
    let ground = Ground::in_scenario(&runbook, Scenario::SlowRollout);
    let stage = &ground.stage;
    let killed = |cockpit: &mut Cockpit| {
        kill(stage.engine(), Signal::SIGKILL).unwrap();
        cockpit.wait_for("its engine is gone");
        cockpit.wait_for("cutover resume");
        assert_eq!(cockpit.ended().code(), Some(1));
        cockpit.assert_given_back("a killed engine");
    };
    let begun = |name: &'static str| move |event: &RunEvent| matches!(event, RunEvent::ActionStarted { name: begun, .. } if begun == name);

    let mut first = cockpit(&ground, &["run"]);
    let rolls = |event: &RunEvent| matches!(event, RunEvent::ActionStarted { at, .. } if at.action == 2);
    first.fly_while(|_| !stage.events().iter().any(|e| rolls(&e.event)));
    killed(&mut first);

    let mut second = cockpit(&ground, &["resume"]);
    // The rollout goes on by itself; it is looked at, and waited for again at most.
    second.fly_while(|_| !ground.logged().contains(&"slow".to_owned()));
    std::fs::write(stage.path().join("log.go"), "").unwrap();
    let switched = || stage.events().iter().any(|e| matches!(e.event, RunEvent::TrafficSwitched { .. }));
    second.fly_while(|_| !switched());
    second.press(b"R");
    second.wait_until("roll back now");
    second.press(b"y");
    stage.wait_for_event("drain", begun("drain"));
    let drains = || ground.logged().contains(&"drain".to_owned());
    let until = Instant::now() + PATIENCE;
    while !drains() {
        assert!(Instant::now() < until, "{:?}", ground.logged());
        second.listen();
    }
    killed(&mut second);

    // What runs is named, and nothing is run over it; once it has ended a person says that it is done.
    let mut third = cockpit(&ground, &["resume"]);
    third.wait_until("STILL RUNS");
    std::fs::write(stage.path().join("log.back"), "").unwrap();
    stage.wait_for_event("its end", |event| matches!(event, RunEvent::ChildSeen { alive: false, .. }));
    third.fly_until("ROLLED BACK");
    stage.wait_for_event("end", |event| {
        matches!(event, RunEvent::RunFinished { outcome: Outcome::RolledBack, .. })
    });
    let done = ground.logged();
    for once in ["one", "slow", "drain", "drained"] {
        assert_eq!(done.iter().filter(|line| *line == once).count(), 1, "{done:?}");
    }
    let switches: Vec<_> =
        ground.changes().into_iter().filter(|change| change.contains("selector")).collect();
    assert_eq!(switches.len(), 2, "{switches:?}");
}

#[test]
fn ctrl_c_in_line_mode_leaves_and_a_second_one_holds() {
    let held = |stage: &Stage| {
        let mut held = stage.events().into_iter().filter_map(|envelope| match envelope.event {
            RunEvent::RunHeld { cause, reason, .. } => Some((cause, reason)),
            _ => None,
        });
        held.next()
    };
    let stage = Stage::new();
    let mut once = in_slow_action(&stage);
    kill(pid(&once), Signal::SIGINT).unwrap();
    assert_eq!(once.wait().unwrap().code(), Some(9));
    stage.wait_for_event("hold", |event| matches!(event, RunEvent::RunHeld { .. }));
    assert_eq!(held(&stage).map(|(cause, _)| cause), Some(HoldCause::Away));
    go(&stage);

    let stage = Stage::new();
    let mut twice = in_slow_action(&stage);
    kill(pid(&twice), Signal::SIGINT).unwrap();
    // Two signals that come together are one: the second comes when it has answered the first.
    let mut said = BufReader::new(twice.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("ctrl-c again")));
    kill(pid(&twice), Signal::SIGINT).unwrap();
    assert_eq!(twice.wait().unwrap().code(), Some(9));
    assert_eq!(held(&stage), Some((HoldCause::Person, "paused with ctrl-c in line mode".to_owned())));
    go(&stage);
}

#[test]
fn a_state_directory_that_is_deleted_is_noticed_and_a_rollback_is_possible_after_consent() {
    let (stage, work) = (Stage::new(), tempfile::tempdir().unwrap());
    let (runbook, log) = (work.path().join("runbook.toml"), work.path().join("log"));
    std::fs::write(&runbook, include_str!("support/small.toml")).unwrap();
    let logged = || std::fs::read_to_string(&log).unwrap_or_default();
    let env = [("LOG", log.to_str().unwrap()), ("XDG_RUNTIME_DIR", work.path().to_str().unwrap())];
    let args: [&OsStr; 2] = ["run".as_ref(), runbook.as_ref()];
    let mut cockpit = Cockpit::start_in(&stage, (120, 36), &args, &env);
    cockpit.fly_while(|_| !logged().contains("slow"));
    let engine = stage.engine();
    std::fs::remove_dir_all(stage.path()).unwrap();
    let deleted = Instant::now();
    cockpit.wait_until("JOURNAL LOST");
    assert!(deleted.elapsed() < Duration::from_secs(5), "{:?}", deleted.elapsed());
    assert!(cockpit.screen().contains("deleted"), "{}", cockpit.screen());
    // What runs is let finish, and nothing follows it.
    std::fs::write(work.path().join("log.go"), "").unwrap();
    let until = Instant::now() + PATIENCE;
    while !logged().contains("slept") {
        assert!(Instant::now() < until, "{}", logged());
        std::thread::sleep(Duration::from_millis(20));
    }
    cockpit.press(b":unrecorded without a journal\r");
    cockpit.wait_until("NO JOURNAL");
    assert_eq!(logged(), "one\nslow\nslept\n");
    cockpit.press(b"R");
    cockpit.wait_until("y ");
    cockpit.press(b"y");
    let until = Instant::now() + PATIENCE;
    while !logged().ends_with("back\n") {
        assert!(Instant::now() < until, "{}\n{}", logged(), cockpit.screen());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(logged(), "one\nslow\nslept\nback\n");
    let recorded = std::fs::read_dir(work.path())
        .unwrap()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("without-a-journal"));
    assert!(recorded, "the rollback is recorded elsewhere");
    kill(engine, Signal::SIGKILL).unwrap();
}

#[test]
fn a_run_is_not_taken_up_on_another_cluster_than_its_own() {
    let runbook = BLUE_GREEN.replace("context = \"prod-eu-1\"\n", "");
    assert_ne!(runbook, BLUE_GREEN);
    let (own, other) = (Ground::new(&runbook), Ground::of_context(&runbook, Scenario::Good, "prod-us-2"));
    let stage = &own.stage;
    let mut driver = own.command(&["run", "--plain", "--yes"]);
    let mut driver = driver.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    stage.wait_for_event(
        "slow",
        |event| matches!(event, RunEvent::ActionSpawned { at, .. } if at.action == 3),
    );
    kill(stage.engine(), Signal::SIGKILL).unwrap();
    driver.wait().unwrap();
    std::fs::write(stage.path().join("log.go"), "").unwrap();
    let run = stage.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    for order in [&["resume", &run, "--plain", "--yes"][..], &["rollback", &run, "--reason", "odd"]] {
        let before = stage.events().len();
        let mut command = own.command(order);
        // The same name, another place: what a changed kubeconfig does.
        let output = command.env("KUBECONFIG", other.stage.path().join("kubeconfig")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(8), "{order:?}: {said}");
        assert!(said.contains("this is another cluster") && said.contains("prod-us-2"), "{said}");
        assert_eq!(stage.events().len(), before);
    }
    assert!(other.changes().is_empty());
    let (code, said) = {
        let output = own.command(&["rollback", &run, "--reason", "odd"]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(code, Some(5), "{said}");
}
