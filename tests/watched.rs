//! N3: as long as traffic is on the new slot somebody watches it, or it is said that nobody does.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cutover::{
    domain::{
        cause::HoldCause,
        event::{Outcome, RunEvent},
    },
    world::cluster::{self, ForeignEdit, Misbehaviour},
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
use pty::PATIENCE;

/// The application: it says its error rate, and takes notices as the team's channel would.
#[derive(Clone)]
struct App {
    port: u16,
    error_rate: Arc<Mutex<&'static str>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl App {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Self { port, error_rate: Arc::new(Mutex::new("0")), told: Arc::default() };
        let own = app.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let own = own.clone();
                std::thread::spawn(move || own.answer(stream.unwrap()));
            }
        });
        app
    }

    fn answer(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        let whole = |request: &[u8]| {
            let text = String::from_utf8_lossy(request).into_owned();
            text.starts_with("GET ") && text.contains("\r\n\r\n")
        };
        while let Ok(read) = stream.read(&mut piece) {
            request.extend(&piece[..read]);
            if read == 0 || whole(&request) {
                break;
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let body = if request.starts_with("GET ") {
            format!("error_rate {}\n", self.error_rate.lock().unwrap())
        } else {
            self.told.lock().unwrap().push(request);
            "ok".to_owned()
        };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }

    fn break_the_release(&self) {
        *self.error_rate.lock().unwrap() = "0.05";
    }

    fn was_told(&self, text: &str) -> bool {
        self.told.lock().unwrap().iter().any(|told| told.contains(text))
    }
}

/// A run that has just opened its window.
struct Watched {
    ground: Ground,
    app: App,
    follower: Child,
    run: String,
}

impl Watched {
    /// `quick` comes before the switch back in the rollback.
    fn open(quick: &str, stdout: Stdio) -> Self {
        let app = App::start();
        let text = include_str!("support/blue_green.toml")
            .replace("title = \"After\"\n", "title = \"After\"\nwindow = { lasts = \"10m\" }\n")
            .replace(
                "run = [{ switch_traffic = { to = \"previous\" } }",
                &format!("run = [{quick}{{ switch_traffic = {{ to = \"previous\" }} }}"),
            );
        let more = format!(
            r#"
[sources.app]
scrape = "http://127.0.0.1:{port}/metrics"

[metrics.error_rate]
title = "Error rate"
scrape = {{ source = "app", gauge = "error_rate" }}
unit = "percent"
interval = "1s"

[[trigger]]
metric = "error_rate"
when = "> 1%"
for = "3s"
then = "rollback"
no_data = "hold"

[notify]
slack = "http://127.0.0.1:{port}/hook"
on = ["paged"]
"#,
            port = app.port
        );
        let ground = Ground::new(&(text + &more));
        std::fs::write(ground.stage.path().join("log.go"), "").unwrap();
        let follower = ground
            .command(&["run", "--plain", "--yes"])
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        ground.stage.wait_for_event("window", |event| matches!(event, RunEvent::WindowOpened { .. }));
        assert_eq!(ground.cluster.selector()["version"], "green");
        let run = ground.stage.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
        Self { ground, app, follower, run }
    }

    fn said(output: &Output) -> (i32, String) {
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The follower's exit code and what it said, once it has left.
    fn left(&mut self) -> (i32, String) {
        let until = Instant::now() + PATIENCE;
        while self.follower.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "the follower does not leave");
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = self.follower.wait().unwrap();
        let mut said = String::new();
        self.follower.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code().unwrap_or(-1), said)
    }

    fn command(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.ground.command(args).output().unwrap();
        let (code, said) = Self::said(&output);
        (code, String::from_utf8_lossy(&output.stdout).into_owned(), said)
    }

    fn has(&self, is: impl Fn(&RunEvent) -> bool) -> bool {
        self.ground.stage.events().iter().any(|envelope| is(&envelope.event))
    }

    /// Whoever leaves says that the run goes on, who watches it, and how to come back to it.
    fn assert_left_watched(&self, engine: Pid, said: &str) {
        let rollback = format!("cutover rollback {}", self.run);
        let stopped = self.has(|event| matches!(event, RunEvent::RollbackStopped { .. }));
        assert_eq!(
            said.contains(&rollback),
            !stopped,
            "one that has begun is tried again in the cockpit: {said}"
        );
        for words in [format!("process {engine}"), format!("cutover attach {}", self.run)] {
            assert!(said.contains(&words), "no {words:?} in {said}");
        }
        assert_eq!(self.ground.stage.engine(), engine, "the same engine all the time");
        assert!(!self.has(|event| matches!(event, RunEvent::RunFinished { .. })), "the run has ended");
    }

    /// The release turns bad, and is rolled back.
    fn breaks_and_is_rolled_back(&self) {
        self.app.break_the_release();
        self.ground.stage.wait_for_event("rollback", |event| {
            matches!(event, RunEvent::RunFinished { outcome: Outcome::RolledBack, .. })
        });
        assert!(self.has(|event| matches!(event, RunEvent::TriggerFired { .. })));
        assert_eq!(self.ground.cluster.selector()["version"], "blue");
    }
}

#[test]
fn n3_a_run_that_is_held_in_line_mode_is_watched_and_rolled_back() {
    let mut watched = Watched::open("", Stdio::null());
    let engine = watched.ground.stage.engine();
    let more = ForeignEdit::Replicas { deployment: "backend-blue".to_owned(), replicas: 3 };
    assert!(watched.ground.cluster.foreign_edit("kubectl-scale", &more));
    let (code, said) = watched.left();
    assert_eq!(code, 9, "{said}");
    assert!(said.contains("kubectl-scale"), "{said}");
    watched.assert_left_watched(engine, &said);
    let (code, text, _) = watched.command(&["status", &watched.run]);
    assert!(code == 8 && text.contains("paused: ") && !text.contains("NOBODY WATCHES"), "{code} {text}");

    // Whoever comes in line mode finds it held still, and leaves it as it was.
    let run = watched.run.clone();
    for args in [
        &["takeover", &run, "--reason", "my shift", "--plain", "--yes"][..],
        &["attach", &run, "--plain", "--yes"],
        &["attach", &run, "--plain"],
    ] {
        let (code, _, said) = watched.command(args);
        assert_eq!(code, 9, "{args:?}: {said}");
        watched.assert_left_watched(engine, &said);
    }
    watched.breaks_and_is_rolled_back();
}

#[test]
fn n3_a_follower_without_a_reader_that_is_told_to_end_leaves_a_watch() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut watched = Watched::open("", Stdio::from(writer));
    let engine = watched.ground.stage.engine();
    assert!(watched.follower.try_wait().unwrap().is_none(), "it follows on, though nobody reads");
    kill(Pid::from_raw(i32::try_from(watched.follower.id()).unwrap()), Signal::SIGTERM).unwrap();
    let (code, said) = watched.left();
    assert_eq!(code, 128 + 15, "{said}");
    watched.assert_left_watched(engine, &said);
    watched
        .ground
        .stage
        .wait_for_event("hold", |event| matches!(event, RunEvent::RunHeld { cause: HoldCause::Away, .. }));
    watched.breaks_and_is_rolled_back();
}

#[test]
fn n3_an_engine_that_is_told_to_end_in_the_window_says_that_nobody_watches() {
    let mut watched = Watched::open("", Stdio::null());
    kill(watched.ground.stage.engine(), Signal::SIGTERM).unwrap();
    let (code, said) = watched.left();
    assert_eq!(code, 9, "{said}");
    let ways = [format!("cutover resume {}", watched.run), format!("cutover rollback {}", watched.run)];
    let tells = |text: &str| text.contains("NOBODY WATCHES") && ways.iter().all(|way| text.contains(way));
    assert!(tells(&said), "{said}");
    let last = watched.ground.stage.events().into_iter().find_map(|envelope| match envelope.event {
        RunEvent::RunFinished { outcome: Outcome::Held, detail } => Some(detail),
        _ => None,
    });
    let last = last.unwrap();
    assert!(last.contains("SIGTERM") && last.contains("NOBODY WATCHES"), "{last}");
    assert!(watched.app.was_told("NOBODY WATCHES"), "{:?}", watched.app.told.lock().unwrap());

    let until = Instant::now() + PATIENCE;
    while !watched.ground.stage.engines().is_empty() {
        assert!(Instant::now() < until, "the engine does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, text, _) = watched.command(&["status", &watched.run]);
    assert!(code == 1 && tells(&text), "{code} {text}");
    assert!(text.contains("traffic   green"), "{text}");
    let (code, text, _) = watched.command(&["status", &watched.run, "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &status["state"]), (1, &"nobody-watches".into()), "{status}");
    assert!(tells(&format!("NOBODY WATCHES {}", status["next"])), "{status}");
    let (code, _, said) = watched.command(&["attach", &watched.run, "--plain"]);
    assert!(code == 2 && tells(&said), "{code} {said}");

    // Another engine watches again, whoever started it stays or not.
    let (code, _, said) = watched.command(&["resume", &watched.run, "--plain", "--yes"]);
    assert_eq!(code, 9, "{said}");
    watched.breaks_and_is_rolled_back();
}

#[test]
fn a_rollback_that_is_forbidden_waits_for_a_person_and_its_engine_stays() {
    let mut watched = Watched::open("", Stdio::null());
    let engine = watched.ground.stage.engine();
    watched.ground.cluster.deny("patch", "services");
    watched.app.break_the_release();
    let (code, said) = watched.left();
    assert_eq!(code, 8, "{said}");
    assert!(said.contains("not allowed to patch service/backend-service"), "{said}");
    watched.assert_left_watched(engine, &said);
    let given_up = |event: &RunEvent| {
        matches!(event, RunEvent::RollbackFinished { .. } | RunEvent::RollbackRetried { .. })
    };
    assert!(!watched.has(given_up), "nobody gave it up");
    let (code, text, _) = watched.command(&["status", &watched.run]);
    assert!(code == 8 && text.contains("the rollback has stopped"), "{code} {text}");
}

#[test]
fn a_rollback_ordered_while_the_lock_is_uncertain_ends_well() {
    let drain = r#"{ name = "drain", sh = 'echo drain >> "$LOG"' }, "#;
    let watched = Watched::open(drain, Stdio::null());
    let lease = "/leases/cutover-backend-service";
    let silent = cluster::Fault::next("PUT", lease, Misbehaviour::Hang { applied: false });
    watched.ground.cluster.inject(silent.times(u32::MAX));
    let since = Instant::now();
    watched.ground.stage.wait_for_event("uncertain", |event| matches!(event, RunEvent::LockUncertain { .. }));
    let mut order = watched.ground.command(&["rollback", &watched.run, "--reason", "it looks odd"]);
    let mut order = order.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    watched.ground.stage.wait_for_event("order", |event| matches!(event, RunEvent::RollbackStarted { .. }));
    std::thread::sleep(Duration::from_secs(20).saturating_sub(since.elapsed()));
    assert_eq!(watched.ground.cluster.selector()["version"], "green", "nothing is written meanwhile");
    assert!(!watched.ground.logged().contains(&"drain".to_owned()), "and nothing is begun");
    assert!(order.try_wait().unwrap().is_none(), "it is tried on");
    watched.ground.cluster.clear_faults();
    let output = order.wait_with_output().unwrap();
    assert_eq!(Watched::said(&output).0, 5, "{}", Watched::said(&output).1);
    assert_eq!(watched.ground.cluster.selector()["version"], "blue");
    assert!(!watched.has(|event| matches!(event, RunEvent::RollbackStopped { .. })));
    let drains = watched.ground.logged().iter().filter(|line| *line == "drain").count();
    assert_eq!(drains, 1, "{:?}", watched.ground.logged());
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Only matters where a test has failed.
        let _ = self.follower.kill();
        let _ = self.follower.wait();
    }
}
