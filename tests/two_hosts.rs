//! Two hosts and one target: the second takes over by the lock's name and goes on from the copy in the cluster; the first,
//! coming back, is fenced off and writes nothing.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    domain::event::RunEvent,
    world::{
        clock::WorldClock,
        cluster::Cluster,
        scenario::Scenario,
        stage::{FurnishedSlot, Furniture},
    },
};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

#[path = "support/pty.rs"]
mod pty;

use pty::{PATIENCE, Stage};

/// A cluster that outlives engines: it runs in the test itself.
struct Ground {
    _runtime: tokio::runtime::Runtime,
    cluster: Arc<Cluster>,
    dir: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let furnished = |name: &str| {
            let selector = [("version".to_owned(), name.to_owned())].into();
            (name.to_owned(), FurnishedSlot { deployment: format!("backend-{name}"), selector })
        };
        let furniture = Furniture {
            namespace: "production".into(),
            service: "backend-service".into(),
            slots: [furnished("blue"), furnished("green")].into(),
            live: "blue".into(),
            container: "backend".into(),
            image: "registry.example.com/payment-system-backend:v1.5.0".into(),
            replicas: 2,
            context: "prod-eu-1".into(),
            window_ms: 900_000,
        };
        let began = Instant::now();
        // Rollouts take seconds in life, and a fraction of one here.
        let now = move || 1_795_356_000_000 + i64::try_from(began.elapsed().as_millis()).unwrap() * 20;
        let clock = WorldClock::new(Arc::new(now), 20.0);
        let cluster = runtime.block_on(Cluster::start(furniture, Scenario::Good, clock)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), cluster.kubeconfig()).unwrap();
        std::fs::write(dir.path().join("runbook.toml"), include_str!("support/blue_green.toml")).unwrap();
        Self { _runtime: runtime, cluster, dir }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn logged(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A command on one of the hosts.
    fn on(&self, host: &Stage, name: &str, args: &[&str]) -> Command {
        let mut command = host.command(args);
        command
            .current_dir(self.dir.path())
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("CUTOVER_HOST", name)
            .env("LOG", self.log());
        command
    }
}

fn said(command: &mut Command) -> (i32, String) {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// The id that a refusal tells people to type.
fn lock_id(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    let is_id = |word: &&str| word.len() == 14 && word.split('-').all(|part| part.len() == 4);
    words.into_iter().find(is_id).unwrap_or_else(|| panic!("no lock id in {text}")).to_owned()
}

#[test]
fn l2_l3_a_second_host_takes_over_and_the_first_is_fenced_off() {
    let ground = Ground::new();
    let (a, b) = (Stage::new(), Stage::new());
    let mut first = ground
        .on(&a, "bastion-a", &["run", "--plain", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    a.wait_for_event("slow", |event| matches!(event, RunEvent::ActionSpawned { at, .. } if at.action == 3));
    let known = a.events().len() as u64;
    let run = a.runs()[0].file_name().unwrap().to_string_lossy().into_owned();

    // The copy catches up, and everybody may see it.
    let until = Instant::now() + PATIENCE;
    loop {
        let output = ground.on(&b, "bastion-b", &["list", "--cluster", "--json"]).output().unwrap();
        let listed: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        if listed["runs"][0]["head"]["sequence"].as_u64() >= Some(known) {
            assert_eq!(listed["runs"][0]["run_id"], run);
            assert_eq!(listed["lock"]["host"], "bastion-a");
            break;
        }
        assert!(Instant::now() < until, "{listed}");
        std::thread::sleep(Duration::from_millis(200));
    }

    // While the first is alive nobody else drives: not a new run, not from the copy, not by the lock's own name.
    let (code, text) = said(&mut ground.on(&b, "bastion-b", &["run", "--plain", "--yes"]));
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("bastion-a") && text.contains("cutover watch"), "{text}");
    let (code, text) =
        said(&mut ground.on(&b, "bastion-b", &["resume", "--from-cluster", "--plain", "--yes"]));
    assert_eq!(code, 7, "{text}");
    let id = lock_id(&text);
    std::fs::remove_dir_all(b.runs().pop().unwrap()).unwrap();
    let (code, text) =
        said(&mut ground.on(&b, "bastion-b", &["takeover", &id, "--reason", "mine now", "--plain", "--yes"]));
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("is alive"), "{text}");
    std::fs::remove_dir_all(b.runs().pop().unwrap()).unwrap();

    // Its host freezes.
    let engine = a.engine();
    kill(engine, Signal::SIGSTOP).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    let (code, text) = said(&mut ground.on(
        &b,
        "bastion-b",
        &["takeover", "0000-0000-0000", "--reason", "a guess", "--plain", "--yes"],
    ));
    assert_eq!(code, 7, "{text}");
    std::fs::remove_dir_all(b.runs().pop().unwrap()).unwrap();
    let (code, text) = said(&mut ground.on(
        &b,
        "bastion-b",
        &["takeover", &id, "--reason", "bastion-a is gone", "--plain", "--yes"],
    ));
    assert_eq!(code, 8, "what was running there is unknown here: {text}");
    assert!(text.contains("nobody knows whether `slow` was done"), "{text}");
    let events = b.events();
    let taken = events.iter().rev().find_map(|envelope| match &envelope.event {
        RunEvent::LockTaken { from: Some(from), fence, .. } => Some((from.clone(), *fence)),
        _ => None,
    });
    let (from, fence) = taken.unwrap();
    assert!(from.contains("bastion-a") && from.contains("bastion-a is gone"), "{from}");
    assert!(
        events.iter().any(|e| matches!(&e.event, RunEvent::RunResumed { host, .. } if host == "bastion-b"))
    );

    // It thaws. It may not write, and says so; what it had started ends, and nothing follows.
    let version = |ground: &Ground| ground.cluster.object("services", "backend-service");
    let before = version(&ground);
    kill(engine, Signal::SIGCONT).unwrap();
    a.wait_for_event("fenced off", |event| matches!(event, RunEvent::LockLost { .. }));
    std::fs::write(ground.dir.path().join("log.go"), "").unwrap();
    a.wait_for_event(
        "slow's end",
        |event| matches!(event, RunEvent::ActionFinished { at, .. } if at.action == 3),
    );
    let (code, text) = said(&mut ground.on(&a, "bastion-a", &["rollback", "--reason", "too late"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("fenced off"), "{text}");
    assert_eq!(version(&ground), before, "nothing was written");
    assert_eq!(ground.logged(), ["one", "slow", "slept"], "nothing runs twice, nothing new starts");
    println!("takeover from {from}, fence {fence}");
}
