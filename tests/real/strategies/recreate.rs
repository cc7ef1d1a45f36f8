//! One Deployment whose pods are all stopped before the new ones start: users find nobody in between, and the way back is the
//! same.

use cutover::domain::event::Outcome;
use serde_json::Value;

use super::{NEW, OLD, Place, Way, deployment, ends, flies_to, namespace, runbook, service};
use crate::helm::Helm;

const COURSE: &str = include_str!("rolling.toml");
const SLOW: &str = "registry.example.com/backend:v1.6.0-slow";
const PODS: usize = 4;

fn place(image: &str) -> (Place, Value) {
    let runbook =
        runbook(COURSE, image, "$hash").replace("strategy = \"rolling\"", "strategy = \"recreate\"");
    let manifest = |name: &str| {
        let spec = "strategy: { type: Recreate }";
        [
            namespace(name),
            service(name, "backend-service", "app: backend"),
            deployment(name, "backend", "app: backend", [OLD, &PODS.to_string(), spec]),
        ]
        .concat()
    };
    let place = Place::furnished(&runbook, manifest, Way::Service);
    place.await_users(PODS);
    let template = place.template("backend");
    (place, template)
}

fn rolls_back((place, template): &(Place, Value), mut helm: Helm) {
    helm.roll_back();
    ends(&mut helm, Outcome::RolledBack);
    place.eventually("the old version serves", || place.ready(OLD) == PODS && place.pods().len() == PODS);
    assert_eq!(place.template("backend"), *template, "{}", helm.story());
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_good_release_lands() {
    let (place, _) = place(NEW);
    let mut helm = Helm::open(&place);
    flies_to(&mut helm, Outcome::Succeeded);
    place.eventually("the new version serves", || place.ready(NEW) == PODS && place.pods().len() == PODS);
    assert!(place.app.unanswered() > 0.0, "nobody served for a while: {}", place.told());
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_in_the_window() {
    let there = place(NEW);
    let mut helm = Helm::open(&there.0);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    rolls_back(&there, helm);
}

/// Nobody serves when the rollback is ordered: that is no reason not to go back.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_while_no_pod_is_ready() {
    let there = place(SLOW);
    let mut helm = Helm::open(&there.0);
    helm.fly_until("no pods", |_| there.0.ready(OLD) == 0);
    rolls_back(&there, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_release_that_crashes() {
    let there = place("registry.example.com/backend:v1.6.0-crash");
    let mut helm = Helm::open(&there.0);
    helm.fly_until("failure", |helm| helm.failed("deploy"));
    assert!(helm.story().contains("restart"), "{}", helm.story());
    rolls_back(&there, helm);
}
