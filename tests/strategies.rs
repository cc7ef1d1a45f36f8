//! Every example of assets/examples, rehearsed by the real binary without a terminal in every scenario that can happen to its
//! strategy: how it ends, and what the simulated cluster is left with.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{Condvar, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

const OLD: &str = "registry.example.com/shop:v1.5.0";
const NEW: &str = "registry.example.com/shop:v1.6.0";
/// Rehearsals at a time: each is a process of its own, which mostly waits.
const AT_ONCE: usize = 3;

/// What one rehearsal left behind.
struct Rehearsal {
    what: String,
    code: i32,
    events: Vec<Value>,
    world: Value,
    stderr: String,
}

/// Lets a few rehearsals run at a time, however many tests do.
struct Turns {
    running: Mutex<usize>,
    changed: Condvar,
}

static TURNS: Turns = Turns { running: Mutex::new(0), changed: Condvar::new() };

impl Turns {
    fn take(&self) {
        let mut running = self.running.lock().unwrap();
        while *running >= AT_ONCE {
            running = self.changed.wait(running).unwrap();
        }
        *running += 1;
    }

    fn give_back(&self) {
        *self.running.lock().unwrap() -= 1;
        self.changed.notify_one();
    }
}

fn rehearse(example: &str, scenario: &str) -> Rehearsal {
    TURNS.take();
    let state = tempfile::tempdir().unwrap();
    let runbook =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/examples").join(format!("{example}.toml"));
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .arg("rehearse")
        .arg(runbook)
        .args(["--plain", "--yes", "--speed", "40", "--json-lines", "--scenario", scenario, "--state-dir"])
        .arg(state.path())
        .current_dir(state.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    TURNS.give_back();
    let events = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let run = std::fs::read_dir(state.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    // The engine writes it as its last word, a moment after line mode has heard of the end.
    let until = Instant::now() + Duration::from_secs(20);
    let world = loop {
        let written = std::fs::read_to_string(run.join("world.json")).unwrap_or_default();
        match serde_json::from_str(&written) {
            Ok(world) => break world,
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
            Err(_) => break Value::Null,
        }
    };
    Rehearsal {
        what: format!("{example}, {scenario}"),
        code: output.status.code().unwrap_or(-1),
        events,
        world,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Rehearsal {
    fn named(&self, name: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == name).collect()
    }

    fn told(&self) -> String {
        let events: Vec<String> = self.events.iter().map(|event| format!("{event:.300}")).collect();
        format!("{}\n{}\n{}\n{}", self.what, events.join("\n"), self.world, self.stderr)
    }

    /// The share that a slot had at the end, as the run tells it; all where the run tells of no other.
    fn last_shares(&self) -> Value {
        let moves =
            |event: &&Value| event["event"] == "traffic_shifted" || event["event"] == "traffic_switched";
        let last = self.events.iter().rfind(moves);
        last.map_or(Value::Null, |event| match &event["shares"] {
            Value::Null => serde_json::json!({ event["to"].as_str().unwrap(): 1000 }),
            shares => shares.clone(),
        })
    }

    fn users(&self, key: &str) -> f64 {
        self.world["users"][key].as_f64().unwrap_or(f64::NAN)
    }

    fn assert_code(&self, code: i32) {
        assert_eq!(self.code, code, "{}", self.told());
    }

    fn image(&self, deployment: &str) -> &str {
        self.world["deployments"][deployment]["image"].as_str().unwrap_or_default()
    }

    /// All users are on the version from before, none of them ever found nobody, and the new one's pods are gone or idle.
    fn assert_back(&self) {
        let deployments = self.world["deployments"].as_object().unwrap();
        if deployments.contains_key("shop") {
            assert_eq!(self.image("shop"), OLD, "{}", self.told());
            assert_eq!(self.world["deployments"]["shop"]["updated"], 3, "{}", self.told());
        } else if deployments.contains_key("shop-stable") {
            assert_eq!(self.image("shop-stable"), OLD, "{}", self.told());
            assert_eq!(self.weight("shop-stable").unwrap_or(100), 100, "{}", self.told());
            assert_eq!(self.weight("shop-canary").unwrap_or(0), 0, "{}", self.told());
        } else {
            assert_eq!(self.image("shop-blue"), OLD, "{}", self.told());
            assert_eq!(self.weight("shop-blue").unwrap_or(100), 100, "{}", self.told());
            let selected = &self.world["selector"]["version"];
            assert!(selected.is_null() || selected == "blue", "{}", self.told());
        }
        self.assert_ready();
    }

    /// All users are on the new version.
    fn assert_forward(&self) {
        let deployments = self.world["deployments"].as_object().unwrap();
        let live = ["shop", "shop-stable", "shop-green"]
            .iter()
            .find(|name| deployments.contains_key(**name))
            .unwrap();
        assert_eq!(self.image(live), NEW, "{}", self.told());
        assert_eq!(self.weight(live).unwrap_or(100), 100, "{}", self.told());
        self.assert_ready();
    }

    fn assert_ready(&self) {
        let deployments = self.world["deployments"].as_object().unwrap();
        let ready: u64 = deployments.values().filter_map(|it| it["ready"].as_u64()).sum();
        assert!(ready >= 3, "{}", self.told());
    }

    /// What a Service's backend weighs in the route, where there is one.
    fn weight(&self, service: &str) -> Option<u64> {
        let backends =
            self.world["rules"].as_array()?.iter().filter_map(|rule| rule["backendRefs"].as_array());
        let found = backends.flatten().find(|backend| backend["name"] == service)?;
        Some(found["weight"].as_u64().unwrap_or(1))
    }
}

/// Every scenario that can happen to an example. Not `flapping`: its flaps are longer than the `for` of these triggers, so that
/// they rightly fire.
fn flies(example: &str, outage: bool) {
    let route = example.contains("route") || example.contains("sip");
    let mut scenarios = vec![
        "good",
        "slow-rollout",
        "bad-line",
        "bad-release",
        "bad-at-5-percent",
        "rollback-needed-late",
        "image-pull-error",
        "stuck-half-way",
        "metrics-outage",
    ];
    if route {
        scenarios.push("route-not-accepted");
    }
    std::thread::scope(|scope| {
        let flights: Vec<_> = scenarios.iter().map(|it| scope.spawn(move || rehearse(example, it))).collect();
        for (scenario, flight) in scenarios.iter().zip(flights) {
            judge(scenario, &flight.join().unwrap(), outage);
        }
    });
}

fn judge(scenario: &str, flight: &Rehearsal, outage: bool) {
    match scenario {
        "good" | "slow-rollout" | "bad-line" => {
            flight.assert_code(0);
            flight.assert_forward();
            assert!(flight.named("rollback_started").is_empty(), "{}", flight.told());
        }
        "bad-release" | "bad-at-5-percent" | "rollback-needed-late" => {
            flight.assert_code(5);
            flight.assert_back();
            // Evidence and the fixed rule beside it may both fire before the countdown is over.
            assert!((1..=2).contains(&flight.named("trigger_fired").len()), "{}", flight.told());
            let late = flight.named("rollback_finished")[0].clone();
            assert!(late["took"].as_u64() <= late["within"].as_u64(), "{late}");
        }
        // Users have met nothing of it, or it was taken back.
        "image-pull-error" | "stuck-half-way" => {
            assert!([4, 5].contains(&flight.code), "{}", flight.told());
            flight.assert_back();
            assert_eq!(flight.named("step_failed").len(), 1, "{}", flight.told());
        }
        "metrics-outage" => {
            flight.assert_code(9);
            assert!(!flight.named("trigger_blind").is_empty(), "{}", flight.told());
        }
        "route-not-accepted" => {
            // The window does not count, its step fails, and an unattended run goes back.
            flight.assert_code(5);
            flight.assert_ready();
            assert_eq!(flight.named("step_failed").len(), 1, "{}", flight.told());
        }
        other => panic!("{other}"),
    }
    if !outage {
        assert!(flight.users("found_nobody") < 0.5, "{}", flight.told());
    }
}

#[test]
fn rolling_ends_right_in_every_scenario() {
    flies("rolling", false);
}

#[test]
fn recreate_ends_right_in_every_scenario() {
    flies("recreate", true);
}

#[test]
fn canary_by_route_ends_right_in_every_scenario() {
    flies("canary-route", false);
}

#[test]
fn canary_by_replicas_ends_right_in_every_scenario() {
    flies("canary-replicas", false);
}

#[test]
fn blue_green_ends_right_in_every_scenario() {
    flies("blue-green-small", false);
}

#[test]
fn blue_green_with_a_sip_ends_right_in_every_scenario() {
    flies("blue-green-sip", false);
}

/// A release that fails for one user in twenty, met by 5 % of the users first, harms at most a tenth of those that a switch at
/// once harms.
#[test]
fn a_sip_keeps_a_bad_release_from_most_users() {
    let (sip, switch) = std::thread::scope(|scope| {
        let sip = scope.spawn(|| rehearse("blue-green-sip", "bad-at-5-percent"));
        let switch = scope.spawn(|| rehearse("blue-green-small", "bad-at-5-percent"));
        (sip.join().unwrap(), switch.join().unwrap())
    });
    sip.assert_code(5);
    switch.assert_code(5);
    let (few, many) = (sip.users("failed"), switch.users("failed"));
    assert!(few * 10.0 <= many, "{few} failed requests with a sip, {many} without");
    assert_eq!(sip.last_shares()["green"], Value::Null, "{}", sip.told());
}
