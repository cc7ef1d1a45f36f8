//! Bad days between the product and a real API server: calls are refused, cut, answered late or not at all, and watches lag.

use std::time::Duration;

use cutover::domain::event::{Outcome, RunEvent};

use super::{
    helm::Helm,
    line::proxy_before,
    place::{BLUE, GREEN, NEW, PODS, Place},
    proxy::Trouble,
};

/// Each trouble on the write that brings the users back.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_rollbacks_switch_meets_every_trouble() {
    let mut place = Place::new(NEW);
    let proxy = proxy_before(&mut place);
    let troubles = [
        (Trouble::Answer(503), 3),
        (Trouble::Answer(429), 3),
        (Trouble::Answer(504), 2),
        (Trouble::Answer(500), 1),
        (Trouble::Cut, 3),
        (Trouble::AnswerLost, 1),
        (Trouble::LateAnswer(Duration::from_secs(3)), 1),
        (Trouble::Late(Duration::from_secs(3)), 1),
    ];
    for (trouble, times) in troubles {
        let mut helm = Helm::open(&place);
        helm.fly_until("switch", |helm| helm.passed("switch"));
        proxy.rule("PATCH", &["services/backend-service"], times, trouble);
        helm.roll_back();
        place.assert_rolls_back_after(helm, &trouble);
        proxy.clear();
    }
}

/// The lock and the copy meet trouble for the whole of a run: it lands all the same.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_lock_and_the_copy_meet_trouble() {
    let mut place = Place::new(NEW);
    let proxy = proxy_before(&mut place);
    let mut helm = Helm::open(&place);
    proxy.rule("PUT", &["leases/"], 1, Trouble::AnswerLost);
    proxy.rule("PUT", &["leases/"], 1, Trouble::Answer(503));
    proxy.rule("PUT", &["configmaps/"], 2, Trouble::AnswerLost);
    proxy.rule("POST", &["configmaps"], 1, Trouble::Cut);
    proxy.rule("PUT", &["configmaps/"], 2, Trouble::Answer(429));
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    assert!(!helm.has(|event| matches!(event, RunEvent::LockLost { .. })), "{}", helm.story());
    place.eventually("green serves alone", || place.serving(GREEN) == PODS && place.serving(BLUE) == 0);
    assert_eq!(helm.close(), 0);
}

/// The previous slot has just been scaled down, and the picture of it is eight seconds behind.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_rollback_after_the_retirement_with_a_watch_that_lags() {
    let mut place = Place::new(NEW);
    let proxy = proxy_before(&mut place);
    let mut helm = Helm::open(&place);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    let lag = Duration::from_secs(8);
    // Those that are open already keep their speed; the API server ends none of them by itself so soon.
    proxy.rule("GET", &["watch=true"], u32::MAX, Trouble::Lag(lag));
    proxy.rule("GET", &["fieldSelector="], u32::MAX, Trouble::LateAnswer(lag));
    proxy.refuse(Duration::from_millis(100));
    helm.fly_until("retirement", |helm| {
        helm.has(|event| matches!(event, RunEvent::ActionFinished { at, .. } if format!("{:?}", at.place).contains("retire")))
    });
    helm.roll_back();
    place.assert_rolls_back(helm);
}

/// The scale-down is on its way when somebody rolls back: late to arrive, or late to be answered.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_rollback_while_the_retirement_is_on_its_way() {
    for trouble in [
        Trouble::Late(Duration::from_secs(2)),
        Trouble::LateAnswer(Duration::from_secs(2)),
        Trouble::AnswerLost,
    ] {
        let mut place = Place::new(NEW);
        let proxy = proxy_before(&mut place);
        let mut helm = Helm::open(&place);
        helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
        proxy.rule("PATCH", &["deployments/backend-blue"], 1, trouble);
        helm.fly_until("retirement", |helm| helm.began("retire"));
        helm.roll_back();
        place.assert_rolls_back_after(helm, &trouble);
    }
}

/// Right after the image is set the status still tells of the old pods; traffic waits for the new ones.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn traffic_waits_for_pods_of_the_new_template() {
    let place = Place::new("registry.example.com/backend:v1.6.0-slow");
    // The new slot has its old pods, all of them ready, and nothing waits for a rollout.
    place.scale(GREEN, 2);
    place.eventually("green is up", || {
        let green = place.object("deployment", GREEN).unwrap_or_default();
        green["status"]["readyReplicas"] == 2
    });
    place.edit("  { name = \"rollout\", rollout = \"new\", timeout = \"45s\" },\n", "");
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    let pods = place.kubectl(&["get", "pods", "-l", "version=green", "--output=jsonpath={range .items[*]}{.spec.containers[0].image} {.status.containerStatuses[0].ready}{\"\\n\"}{end}"]);
    let ready = pods.lines().filter(|pod| pod.ends_with("v1.6.0-slow true")).count();
    assert_eq!(ready, PODS, "{pods}\n{}", helm.story());
    helm.roll_back();
    place.assert_rolls_back(helm);
}

/// Somebody moves the traffic while no engine lives: whoever takes the run up sees it before anything is done.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_change_while_no_engine_lived() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    helm.kill();
    place.point_at("green");
    let mut helm = Helm::resume(&place);
    helm.wait_until("word of it", |helm| helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })));
    assert!(helm.is_held(), "{}", helm.story());
    assert_eq!(
        (place.live().as_str(), place.replicas(GREEN), place.image(GREEN)),
        ("green", 2, NEW.to_owned())
    );
    helm.kill();
}

/// … during the checklist, before the first step.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_change_during_the_checklist() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    helm.wait(Duration::from_secs(1));
    place.scale(GREEN, 2);
    place.point_at("green");
    helm.fly_until("word of it", |helm| helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })));
    helm.wait(Duration::from_secs(3));
    helm.confirm();
    helm.wait(Duration::from_secs(2));
    assert!(!helm.began("image"), "the slot that has the users keeps its image: {}", helm.story());
    assert_eq!(place.image(GREEN), "registry.example.com/backend:v1.4.0");
    helm.kill();
}

/// … while a command of the runbook runs: it is found at the command's end.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_change_while_a_command_runs() {
    let place = Place::new(NEW);
    place.edit("'echo backup >> \"$LOG\";", "'echo backup >> \"$LOG\"; sleep 5;");
    let mut helm = Helm::open(&place);
    helm.fly_until("command", |helm| helm.has(|event| matches!(event, RunEvent::ActionSpawned { .. })));
    place.scale(GREEN, 2);
    place.point_at("green");
    helm.fly_until("word of it", |helm| helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })));
    helm.confirm();
    helm.wait(Duration::from_secs(2));
    assert!(helm.is_held() && !helm.began("image"), "{}", helm.story());
    assert_eq!(place.image(GREEN), "registry.example.com/backend:v1.4.0");
    helm.kill();
}

/// Somebody takes the pods of the slot that one goes back to away and gives them back; the old ones are still ending.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_rollback_to_pods_that_were_taken_away_and_given_back() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    place.scale(BLUE, 0);
    place.scale(BLUE, 2);
    // A look counts as fresh for half a second: what happened since may be missed, see docs/guarantees.md, what a read cannot show.
    std::thread::sleep(Duration::from_millis(600));
    helm.roll_back();
    place.assert_rolls_back(helm);
}
