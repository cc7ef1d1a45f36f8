//! Stories of the rehearsal world with the built-in runbook, flown by the real binary without a terminal, to their published exit codes.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use serde_json::Value;

/// What one flight left behind.
struct Flight {
    code: i32,
    events: Vec<Value>,
    stderr: String,
}

impl Flight {
    fn named(&self, name: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == name).collect()
    }

    /// The run's end; a last notice may come after it.
    fn last(&self) -> &Value {
        self.named("run_finished").last().unwrap_or_else(|| panic!("no end; stderr:\n{}", self.stderr))
    }

    /// Traffic's way: the slots it was switched to, in order.
    fn traffic(&self) -> Vec<&str> {
        self.named("traffic_switched").into_iter().filter_map(|event| event["to"].as_str()).collect()
    }

    fn assert_end(&self, code: i32, outcome: &str) {
        assert_eq!(self.last()["outcome"], outcome, "{}", self.last());
        assert_eq!(self.code, code, "stderr:\n{}", self.stderr);
    }
}

fn fly(scenario: &str) -> Flight {
    fly_with(scenario, &[])
}

fn fly_with(scenario: &str, more: &[&str]) -> Flight {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["rehearse", "--plain", "--yes", "--speed", "60", "--json-lines", "--scenario", scenario])
        .args(more)
        .arg("--state-dir")
        .arg(state.path())
        // Away from any runbook.toml: the built-in one is flown.
        .current_dir(state.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let events: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["schema_version"], 1);
        assert_eq!(event["seq"], index + 1, "events have no gaps");
        assert!(event["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{event}");
    }
    Flight {
        code: output.status.code().unwrap_or(-1),
        events,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn good_succeeds_with_all_steps_and_leaves_the_tasks() {
    let flight = fly("good");
    flight.assert_end(0, "succeeded");
    let passed: Vec<_> =
        flight.named("step_passed").into_iter().map(|event| event["step"].as_str().unwrap()).collect();
    assert_eq!(passed, ["prepare", "migrate", "deploy", "health", "switch", "monitor", "retire"]);
    assert_eq!(flight.traffic(), ["green"]);
    assert!(flight.named("task_created").len() >= 12);
    assert!(flight.named("trigger_fired").is_empty());
    assert!(flight.named("sample").is_empty(), "samples are off by default");
    assert!(flight.events[0].get("runbook").is_none(), "the runbook itself is not in the stream");
}

#[test]
fn bad_release_is_rolled_back_by_the_trigger_in_time() {
    let flight = fly("bad-release");
    flight.assert_end(5, "rolled-back");
    assert_eq!(flight.traffic(), ["green", "blue"]);
    // Evidence has it long before the fixed rule's five minutes are over.
    let fired = flight.named("trigger_fired");
    assert!(!fired.is_empty() && fired.iter().all(|fired| fired["trigger"] != 0), "{fired:?}");
    assert!(
        fired.iter().all(|fired| fired["reason"].as_str().unwrap().contains("99.9 % certain")),
        "{fired:?}"
    );
    // By the time of the sample that decided: how busy the host is plays no part.
    let switched = flight.named("traffic_switched")[0]["at"].as_str().unwrap().to_owned();
    let decided = flight.named("evidence_told").into_iter().filter_map(|told| told["card"]["worse"].as_str());
    let took = decided.map(|at| since(&switched, at)).min().unwrap();
    assert!(
        (60..=140).contains(&took),
        "a fault that begins 60 to 90 s after the switch was found after {took} s"
    );
    let card = flight.named("evidence_told").last().map(|told| told["card"].clone()).unwrap();
    assert!(card["samples"].as_array().is_some_and(|samples| !samples.is_empty()), "{card}");
    let started = flight.named("rollback_started");
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["by"], "trigger");
    assert_eq!(started[0]["procedure"], "quick");
    assert!(started[0]["reason"].as_str().unwrap().contains(" worse than "), "{}", started[0]);
    let finished = flight.named("rollback_finished");
    let (took, within) = (finished[0]["took"].as_u64().unwrap(), finished[0]["within"].as_u64().unwrap());
    assert!(took <= within, "{took} ms, promised {within} ms");
}

/// Seconds from one time of the stream to another.
fn since(from: &str, to: &str) -> i64 {
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    at(to) - at(from)
}

#[test]
fn subtle_release_is_found_by_evidence_alone() {
    let flight = fly("subtle-release");
    flight.assert_end(5, "rolled-back");
    assert_eq!(flight.traffic(), ["green", "blue"]);
    assert!(flight.named("trigger_breaching").is_empty(), "the fixed rule sees nothing");
    let fired = flight.named("trigger_fired");
    assert!(fired[0]["reason"].as_str().unwrap().starts_with("error rate worse than 0.1 %: "), "{fired:?}");
}

#[test]
fn bursty_but_fine_fires_nothing() {
    let flight = fly("bursty-but-fine");
    flight.assert_end(0, "succeeded");
    assert!(flight.named("trigger_fired").is_empty());
    let told = flight.named("evidence_told");
    assert!(
        told.iter().any(|told| told["words"].as_str().unwrap().contains("with 99 % certainty below")),
        "{told:?}"
    );
}

#[test]
fn shared_dependency_fails_condemns_nobody_where_both_have_users() {
    let canary = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/examples/canary-replicas.toml");
    let flight = fly_with("shared-dependency-fails", &[canary]);
    flight.assert_end(0, "succeeded");
    assert!(flight.named("trigger_fired").is_empty());
    let told = flight.named("evidence_told");
    assert!(told.iter().any(|told| told["words"].as_str().unwrap().contains("; STABLE ")), "{told:?}");
}

#[test]
fn migration_fails_leaves_traffic_alone() {
    let flight = fly("migration-fails");
    flight.assert_end(4, "failed");
    assert!(flight.traffic().is_empty());
    assert_eq!(flight.named("step_failed")[0]["step"], "migrate");
}

#[test]
fn image_pull_error_leaves_traffic_alone() {
    let flight = fly("image-pull-error");
    flight.assert_end(4, "failed");
    assert!(flight.traffic().is_empty());
    let failed = flight.named("step_failed");
    assert_eq!(failed[0]["step"], "deploy");
    let reason = failed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("the image cannot be pulled") && reason.contains(":v1.6.0"), "{reason}");
    assert!(reason.contains("not found"), "the registry's own words: {reason}");
    // Long before the action's ten minutes are over: it cannot succeed, and that is known.
    let waits = flight.named("action_finished");
    let took =
        waits.iter().filter(|event| event["outcome"] == "failed").find_map(|event| event["took"].as_u64());
    assert!(took.is_some_and(|took| took < 120_000), "{waits:?}");
}

#[test]
fn slow_rollout_gets_there() {
    let flight = fly("slow-rollout");
    flight.assert_end(0, "succeeded");
    assert_eq!(flight.traffic(), ["green"]);
}

#[test]
fn metrics_outage_never_succeeds() {
    let flight = fly("metrics-outage");
    flight.assert_end(9, "held");
    assert!(!flight.named("trigger_blind").is_empty());
    assert!(flight.named("trigger_fired").is_empty());
    let passed = flight.named("step_passed");
    assert!(passed.iter().all(|event| event["step"] != "monitor"), "missing data passed for health");
}

#[test]
fn flapping_never_fires_before_its_time_is_full() {
    let flight = fly("flapping");
    let fired = flight.named("trigger_fired");
    assert!(fired.iter().all(|fired| fired["trigger"] != 0), "{fired:?}");
    // Evidence does not wait for an error rate that goes on.
    assert!(
        fired.iter().any(|fired| fired["reason"].as_str().unwrap().contains(" worse than ")),
        "{fired:?}"
    );
    flight.assert_end(5, "rolled-back");
}

#[test]
fn rollback_needed_late_is_still_rolled_back() {
    let flight = fly("rollback-needed-late");
    flight.assert_end(5, "rolled-back");
    assert_eq!(flight.traffic(), ["green", "blue"]);
    let counts = flight.events.iter().fold(BTreeMap::<&str, u32>::new(), |mut counts, event| {
        *counts.entry(event["event"].as_str().unwrap()).or_default() += 1;
        counts
    });
    assert_eq!(counts.get("rollback_started"), Some(&1), "{counts:?}");
}

#[test]
fn a_bad_line_stops_nobody() {
    let flight = fly("bad-line");
    flight.assert_end(0, "succeeded");
    assert_eq!(flight.traffic(), ["green"]);
    assert!(flight.named("foreign_change").is_empty(), "nobody has changed anything");
}

/// A second process waits for states of a run, as a script would.
#[test]
fn a_script_waits_for_a_state() {
    let state = tempfile::tempdir().unwrap();
    let cutover = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(args).arg("--state-dir").arg(state.path()).current_dir(state.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let waited = |args: &[&str]| {
        let output = cutover(&[&["status", "--wait"], args].concat()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/examples/blue-green-small.toml");
    let mut run = cutover(&["rehearse", example, "--plain", "--yes", "--speed", "60"]);
    let mut run = run.stderr(Stdio::null()).spawn().unwrap();
    while !state.path().join("runs").is_dir() || waited(&["open", "--timeout", "1s"]).0 != 0 {
        assert_eq!(run.try_wait().unwrap(), None, "it has ended before it was seen");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(waited(&["Window", "--timeout", "60s"]), (0, String::new()));
    let (code, told) = waited(&["held", "--timeout", "100ms"]);
    assert_eq!((code, told.trim_end()), (10, "cutover: the run is not held after 100ms"));
    let (code, told) = waited(&["ROLLED_BACK,failed", "--timeout", "60s"]);
    assert_eq!(
        (code, told.trim_end()),
        (11, "cutover: the run has ended as succeeded, not rolled-back or failed")
    );
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(waited(&["succeeded"]), (0, String::new()));
}
