//! Two hosts and one target: the second takes over by the lock's name and goes on from the copy in the cluster; the first,
//! coming back, is fenced off and writes nothing.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![expect(clippy::print_stdout, reason = "the figure is what the test is for")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cutover::domain::event::RunEvent;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

#[path = "support/ground.rs"]
mod ground;
#[path = "support/pty.rs"]
mod pty;

use ground::Ground;
use pty::{PATIENCE, Stage};

const CANARY: &str = "canary-51c7-token";

/// Files below a directory in which the secret stands.
fn with_canary(dir: &Path) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    let has = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    let found = entries.into_iter().flat_map(|path| {
        if path.is_dir() {
            with_canary(&path)
        } else {
            Vec::from_iter(std::fs::read(&path).is_ok_and(|bytes| has(&bytes)).then_some(path))
        }
    });
    found.collect()
}

/// A command on one of the hosts.
fn on(ground: &Ground, host: &Stage, name: &str, args: &[&str]) -> Command {
    let mut command = host.command(args);
    ground.equip(&mut command).current_dir(ground.stage.path());
    command.env("CUTOVER_HOST", name).env("TOKEN", CANARY);
    command
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
    // X1: a command prints a secret before everything is copied.
    let runbook = include_str!("support/blue_green.toml")
        .replace("[vars]\n", "[vars]\nTOKEN = { env = \"TOKEN\", secret = true }\n")
        .replace("'echo one", "'echo \"token $TOKEN\"; echo one");
    let ground = Ground::new(&runbook);
    let (a, b) = (Stage::new(), Stage::new());
    let mut first = on(&ground, &a, "bastion-a", &["run", "--plain", "--yes"])
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
        let output = on(&ground, &b, "bastion-b", &["list", "--cluster", "--json"]).output().unwrap();
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
    let (code, text) = said(&mut on(&ground, &b, "bastion-b", &["run", "--plain", "--yes"]));
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("bastion-a") && text.contains("cutover watch"), "{text}");
    let (code, text) =
        said(&mut on(&ground, &b, "bastion-b", &["resume", "--from-cluster", "--plain", "--yes"]));
    assert_eq!(code, 7, "{text}");
    let id = lock_id(&text);
    // What was fetched is no run of this host: nothing here takes it up later.
    let (code, text) = said(&mut on(&ground, &b, "bastion-b", &["resume", "--plain", "--yes"]));
    assert!(code == 2 && text.contains("there is no paused run"), "{code} {text}");
    // Another runbook than the run's own is not what its copy is checked against.
    let other = ground.stage.path().join("other.toml");
    std::fs::write(&other, runbook.replace("echo one", "echo uno")).unwrap();
    let other = other.display().to_string();
    let with_other = ["resume", "--from-cluster", "--runbook", &other, "--plain", "--yes"];
    let (code, text) = said(&mut on(&ground, &b, "bastion-b", &with_other));
    assert!(code == 1 && text.contains("text differs"), "{code} {text}");
    let (code, text) = said(&mut on(
        &ground,
        &b,
        "bastion-b",
        &["takeover", &id, "--reason", "mine now", "--plain", "--yes"],
    ));
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("is alive"), "{text}");

    // Its host freezes.
    let engine = a.engine();
    kill(engine, Signal::SIGSTOP).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    let (code, text) = said(&mut on(
        &ground,
        &b,
        "bastion-b",
        &["takeover", "0000-0000-0000", "--reason", "a guess", "--plain", "--yes"],
    ));
    assert_eq!(code, 7, "{text}");
    let (code, text) = said(&mut on(
        &ground,
        &b,
        "bastion-b",
        &["takeover", &id, "--reason", "bastion-a is gone", "--plain", "--yes"],
    ));
    assert_eq!(code, 8, "what was running there is unknown here: {text}");
    assert!(text.contains("unknown whether `slow` was done"), "{text}");
    let events = b.events();
    // X1: what is on the first host, in the copy and in what the second has made of it has no secret in it.
    let output = std::fs::read_dir(a.runs()[0].join("output")).unwrap().flatten();
    let printed = output.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect::<String>();
    assert!(printed.contains("token "), "{printed}");
    for host in [&a, &b] {
        assert_eq!(with_canary(host.path()), Vec::<PathBuf>::new());
    }
    assert!(ground.cluster.recorded().iter().all(|request| !request.body.contains(CANARY)));
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
    std::fs::write(ground.stage.path().join("log.go"), "").unwrap();
    a.wait_for_event(
        "slow's end",
        |event| matches!(event, RunEvent::ActionFinished { at, .. } if at.action == 3),
    );
    let (code, text) = said(&mut on(&ground, &a, "bastion-a", &["rollback", "--reason", "too late"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("fenced off"), "{text}");
    assert_eq!(version(&ground), before, "nothing was written");
    assert_eq!(ground.logged(), ["one", "slow", "slept"], "nothing runs twice, nothing new starts");
    println!("takeover from {from}, fence {fence}");
}

/// Where the copies cannot be looked for: what was looked for, where, and why not. The runbook or its target is at fault.
#[test]
fn copies_that_cannot_be_looked_for_are_told_with_their_place() {
    let runbook = include_str!("support/blue_green.toml");
    let ground = Ground::new(runbook);
    let host = Stage::new();
    let asked: [&[&str]; 3] = [
        &["list", "--cluster"],
        &["list", "--cluster", "--json"],
        &["resume", "--from-cluster", "--plain", "--yes"],
    ];
    let tell = |why: &str, words: &[&str]| {
        for args in asked {
            let (code, text) = said(&mut on(&ground, &host, "bastion-b", args));
            assert_eq!(code, 3, "{why}: {args:?}: {text}");
            for word in ["copies of runs", "namespace"].iter().chain(words) {
                assert!(text.contains(word), "{why}: {args:?}: no `{word}` in: {text}");
            }
            assert!(!text.contains("Location:") && !text.contains("Backtrace"), "{text}");
        }
    };
    ground.cluster.deny("list", "configmaps");
    tell("forbidden", &["production", "prod-eu-1", "ask for the verb `list` on `configmaps`"]);
    ground.cluster.allow("list", "configmaps");

    let path = ground.stage.path().join("runbook.toml");
    std::fs::write(&path, runbook.replace("namespace = \"production\"", "namespace = \"nowhere\"")).unwrap();
    tell("no namespace", &["namespace `nowhere` not found", "prod-eu-1", "target.namespace"]);
    std::fs::write(&path, runbook).unwrap();

    let kubeconfig = ground.cluster.kubeconfig().replace(&ground.cluster.url(), "http://127.0.0.1:1");
    std::fs::write(ground.stage.path().join("kubeconfig"), kubeconfig).unwrap();
    tell("not reachable", &["production", "http://127.0.0.1:1 cannot be reached"]);
}

/// … and where they can, and there are none.
#[test]
fn no_copies_are_no_fault() {
    let ground = Ground::new(include_str!("support/blue_green.toml"));
    let host = Stage::new();
    let (code, text) = said(&mut on(&ground, &host, "bastion-b", &["list", "--cluster"]));
    assert!(code == 0 && text.contains("no copies of runs"), "{code} {text}");
    // Whoever may not read namespaces is not kept from it.
    ground.cluster.deny("get", "namespaces");
    let (code, text) = said(&mut on(&ground, &host, "bastion-b", &["list", "--cluster"]));
    assert!(code == 0 && text.contains("no copies of runs"), "{code} {text}");
}
