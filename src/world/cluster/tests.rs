//! Stories told in simulated time, without HTTP.

mod directing;
mod gateway;
mod protocol;
mod revisions;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    api::{Answer, Call},
    object::{condition, find_condition, int, list, name, text},
    resource::Kind,
    state::State,
};
use crate::world::{
    scenario::Scenario,
    stage::{Directing, FurnishedSlot, Furniture, Strategy},
};

const BEGIN: i64 = 1_795_356_000_000;
const OLD: &str = "registry.example.com/payment-system-backend:v1.5.0";
const NEW: &str = "registry.example.com/payment-system-backend:v1.6.0";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/production/deployments";
const SERVICE: &str = "/api/v1/namespaces/production/services/backend-service";

fn furniture(replicas: u32) -> Furniture {
    let slot = |colour: &str| {
        let selector = BTreeMap::from([("version".to_owned(), colour.to_owned())]);
        (colour.to_owned(), FurnishedSlot::new(format!("backend-{colour}"), selector))
    };
    Furniture {
        namespace: "production".into(),
        service: "backend-service".into(),
        slots: [slot("blue"), slot("green")].into(),
        live: "blue".into(),
        container: "backend".into(),
        image: OLD.into(),
        replicas,
        context: "prod-eu-1".into(),
        window_ms: 900_000,
        directing: Directing::Selector,
        strategy: Strategy::default(),
    }
}

fn world(scenario: Scenario) -> State {
    State::new(furniture(3), scenario, BEGIN)
}

fn call(method: &str, path: &str, content_type: &str, body: &Value) -> Call {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Call {
        method: method.into(),
        path: path.into(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        content_type: content_type.into(),
        user_agent: "test/1".into(),
        body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        ..Call::default()
    }
}

/// The code and body of a request.
fn send(state: &mut State, method: &str, path: &str, content_type: &str, body: &Value) -> (u16, Value) {
    match state.answer(&call(method, path, content_type, body), "") {
        Ok(Answer::Json(code, body)) => (code, body),
        Ok(other) => panic!("{method} {path} is answered with {other:?}"),
        Err(error) => (error.code, error.body()),
    }
}

fn patch(state: &mut State, path: &str, body: &Value) -> (u16, Value) {
    send(state, "PATCH", path, "application/strategic-merge-patch+json", body)
}

fn get(state: &mut State, path: &str) -> Value {
    let (code, body) = send(state, "GET", path, "", &Value::Null);
    assert_eq!(code, 200, "{path}: {body}");
    body
}

fn set_image(state: &mut State, deployment: &str, image: &str) {
    let body = json!({"spec": {"template": {"spec": {"containers": [{"name": "backend", "image": image}]}}}});
    assert_eq!(patch(state, &format!("{DEPLOYMENTS}/{deployment}?fieldManager=kubectl-set"), &body).0, 200);
}

fn switch(state: &mut State, colour: &str) {
    let body = json!({"spec": {"selector": {"version": colour}}});
    assert_eq!(patch(state, &format!("{SERVICE}?fieldManager=kubectl-patch"), &body).0, 200);
}

fn deployment(state: &State, name: &str) -> Value {
    Value::clone(state.store.get(&state.key(Kind::Deployment, name)).unwrap())
}

/// kubectl's own rule for a finished rollout.
fn rolled_out(state: &State, name: &str) -> bool {
    let object = deployment(state, name);
    let wanted = int(&object, "/spec/replicas");
    let count = |field: &str| int(&object, &format!("/status/{field}"));
    count("observedGeneration") >= int(&object, "/metadata/generation")
        && count("updatedReplicas") == wanted
        && count("replicas") == wanted
        && count("availableReplicas") == wanted
}

/// Advances second by second until `done`; gives back the seconds that took.
fn until(state: &mut State, limit: i64, mut done: impl FnMut(&State) -> bool) -> i64 {
    let begin = state.now;
    for second in 1..=limit {
        state.advance(begin + second * 1000);
        if done(state) {
            return second;
        }
    }
    panic!("not within {limit} simulated seconds");
}

fn warnings(state: &State, reason: &str) -> Vec<String> {
    state
        .store
        .list(Kind::Event, None)
        .filter(|(_, event)| text(event, "/type") == "Warning" && text(event, "/reason") == reason)
        .map(|(_, event)| text(event, "/message").to_owned())
        .collect()
}

fn waiting(state: &State, reason: &str) -> usize {
    let pods = state.pods_of("backend-green");
    pods.iter().filter(|pod| text(pod, "/status/containerStatuses/0/state/waiting/reason") == reason).count()
}

#[test]
fn the_world_begins_at_rest() {
    let mut state = world(Scenario::Good);
    let version = state.store.version();
    state.advance(BEGIN + 20_000);
    assert_eq!(state.store.version(), version, "nothing is out of place, so nothing changes");
    for slot in state.picture().backends {
        assert_eq!((slot.ready, slot.desired, slot.image.as_str()), (3, 3, OLD));
        assert_eq!((slot.is_live(), slot.since), (slot.slot == "blue", None));
        assert!(rolled_out(&state, &format!("backend-{}", slot.slot)));
    }
    let endpoints = get(&mut state, "/api/v1/namespaces/production/endpoints/backend-service");
    assert_eq!(list(&endpoints, "/subsets/0/addresses").len(), 3);
    let history =
        get(&mut state, "/apis/apps/v1/namespaces/production/replicasets?labelSelector=app%3Dbackend-green");
    assert_eq!(list(&history, "/items").len(), 2);
}

#[test]
fn a_good_rollout_takes_about_fifty_seconds_and_keeps_its_promises() {
    let mut state = world(Scenario::Good);
    set_image(&mut state, "backend-green", NEW);
    assert!(!rolled_out(&state, "backend-green"), "the status lags behind the spec at first");
    assert_eq!(int(&deployment(&state, "backend-green"), "/metadata/generation"), 6);
    let took = until(&mut state, 120, |state| {
        let object = deployment(state, "backend-green");
        assert!(int(&object, "/status/availableReplicas") >= 3, "25 % of 3 rounds down: none may be missing");
        let specs: i64 = state
            .store
            .list(Kind::ReplicaSet, None)
            .map(|(_, set)| set)
            .filter(|set| text(set, "/metadata/ownerReferences/0/name") == "backend-green")
            .map(|set| int(set, "/spec/replicas"))
            .sum();
        assert!(specs <= 4, "25 % of 3 rounds up: one more at most");
        rolled_out(state, "backend-green")
    });
    assert!((38..=62).contains(&took), "{took} s");
    let object = deployment(&state, "backend-green");
    assert_eq!(text(find_condition(&object, "Progressing").unwrap(), "/reason"), "NewReplicaSetAvailable");
    assert_eq!(text(&object, "/metadata/annotations/deployment.kubernetes.io~1revision"), "4");
    assert!(state.pods_of("backend-green").iter().all(|pod| text(pod, "/spec/containers/0/image") == NEW));
    assert!(warnings(&state, "Failed").is_empty());
    let blue = state.picture().backends.into_iter().find(|slot| slot.slot == "blue").unwrap();
    assert_eq!((blue.ready, blue.image.as_str()), (3, OLD), "the other colour is not touched");
}

#[test]
fn rollouts_take_their_time_whatever_the_pods_are_called() {
    for (scenario, range) in [(Scenario::Good, 38..=62), (Scenario::SlowRollout, 150..=215)] {
        for names in 0..4 {
            let mut state = world(scenario);
            for _ in 0..names {
                // Jitter depends on names: each of these worlds has its own.
                state.fresh_name("other-");
            }
            set_image(&mut state, "backend-green", NEW);
            let took = until(&mut state, 300, |state| rolled_out(state, "backend-green"));
            assert!(range.contains(&took), "{scenario}: {took} s");
            assert_eq!(warnings(&state, "Unhealthy").is_empty(), scenario == Scenario::Good);
        }
    }
}

#[test]
fn an_image_that_cannot_be_pulled_never_gets_ready() {
    let mut state = world(Scenario::ImagePullError);
    set_image(&mut state, "backend-green", NEW);
    until(&mut state, 20, |state| waiting(state, "ErrImagePull") == 1);
    until(&mut state, 20, |state| waiting(state, "ImagePullBackOff") == 1);
    assert_eq!(deployment(&state, "backend-green")["status"]["unavailableReplicas"], 1);
    assert_eq!(int(&deployment(&state, "backend-green"), "/status/availableReplicas"), 3, "old pods stay up");
    assert!(warnings(&state, "Failed").iter().any(|message| message.contains("not found")));
    assert!(warnings(&state, "Failed").iter().any(|message| message == "Error: ImagePullBackOff"));
    // After the progress deadline the Deployment says so.
    let took = until(&mut state, 700, |state| {
        let object = deployment(state, "backend-green");
        text(find_condition(&object, "Progressing").unwrap(), "/reason") == "ProgressDeadlineExceeded"
    });
    assert!(took > 550, "{took} s");
    assert_eq!(condition(&deployment(&state, "backend-green"), "Progressing"), "False");
    // Back to the image that is there.
    set_image(&mut state, "backend-green", OLD);
    until(&mut state, 60, |state| rolled_out(state, "backend-green"));
}

#[test]
fn a_bad_release_fails_in_its_log_and_crashes_once_in_a_while() {
    let mut state = world(Scenario::BadRelease);
    set_image(&mut state, "backend-green", NEW);
    until(&mut state, 120, |state| rolled_out(state, "backend-green"));
    let switched = state.now;
    switch(&mut state, "green");
    let green = state.picture().backends.into_iter().find(|slot| slot.slot == "green").unwrap();
    assert_eq!((green.is_live(), green.since), (true, Some(switched)));
    let pod = name(&state.pods_of("backend-green")[0]).to_owned();
    let log = |state: &mut State| {
        let path = format!("/api/v1/namespaces/production/pods/{pod}/log?tailLines=200");
        match state.answer(&call("GET", &path, "", &Value::Null), "").unwrap() {
            Answer::Text(text) => text,
            other => panic!("{other:?}"),
        }
    };
    state.advance(switched + 110_000);
    assert!(log(&mut state).contains("/payments 200"));
    assert!(!log(&mut state).contains("ERROR"));
    state.advance(switched + 170_000);
    assert!(log(&mut state).contains("ERROR payment gateway timeout"));
    until(&mut state, 60, |state| waiting(state, "CrashLoopBackOff") == 1);
    assert!(
        warnings(&state, "BackOff").iter().any(|message| message.contains("restarting failed container"))
    );
    until(&mut state, 60, |state| state.picture().backends.iter().all(|slot| slot.ready == 3));
    let restarts: i64 = state
        .pods_of("backend-green")
        .iter()
        .map(|pod| int(pod, "/status/containerStatuses/0/restartCount"))
        .sum();
    assert_eq!(restarts, 2);
}

#[test]
fn nothing_crashes_once_traffic_is_back() {
    let mut state = world(Scenario::BadRelease);
    set_image(&mut state, "backend-green", NEW);
    until(&mut state, 120, |state| rolled_out(state, "backend-green"));
    switch(&mut state, "green");
    let begin = state.now;
    state.advance(begin + 150_000);
    switch(&mut state, "blue");
    state.advance(begin + 600_000);
    assert!(state.picture().backends.iter().all(|slot| slot.ready == 3));
    assert!(warnings(&state, "BackOff").is_empty());
}

#[test]
fn scaling_down_and_up() {
    let mut state = world(Scenario::Good);
    let path = format!("{DEPLOYMENTS}/backend-blue/scale");
    let (code, scale) =
        send(&mut state, "PATCH", &path, "application/merge-patch+json", &json!({"spec": {"replicas": 0}}));
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(0)));
    until(&mut state, 20, |state| {
        rolled_out(state, "backend-blue")
            && !state.store.list(Kind::Pod, None).any(|(key, _)| key.name.starts_with("backend-blue"))
    });
    let (code, _) =
        send(&mut state, "PATCH", &path, "application/merge-patch+json", &json!({"spec": {"replicas": 3}}));
    assert_eq!(code, 200);
    until(&mut state, 30, |state| rolled_out(state, "backend-blue"));
    assert_eq!(
        state
            .store
            .list(Kind::ReplicaSet, None)
            .filter(|(key, _)| key.name.starts_with("backend-blue"))
            .count(),
        2,
        "scaling makes no new revision"
    );
}

#[test]
fn a_restart_is_a_new_revision_of_the_same_image() {
    let mut state = world(Scenario::Good);
    let annotation = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-22T14:00:00Z"});
    let body = json!({"spec": {"template": {"metadata": {"annotations": annotation}}}});
    let before: Vec<String> = state.pods_of("backend-blue").iter().map(|pod| name(pod).to_owned()).collect();
    assert_eq!(patch(&mut state, &format!("{DEPLOYMENTS}/backend-blue"), &body).0, 200);
    until(&mut state, 60, |state| rolled_out(state, "backend-blue"));
    assert!(state.pods_of("backend-blue").iter().all(|pod| !before.contains(&name(pod).to_owned())));
    assert_eq!(
        text(&deployment(&state, "backend-blue"), "/metadata/annotations/deployment.kubernetes.io~1revision"),
        "5"
    );
}

#[test]
fn going_back_uses_the_old_replica_set_under_a_new_number() {
    let mut state = world(Scenario::Good);
    set_image(&mut state, "backend-green", NEW);
    until(&mut state, 120, |state| rolled_out(state, "backend-green"));
    set_image(&mut state, "backend-green", OLD);
    until(&mut state, 120, |state| rolled_out(state, "backend-green"));
    let revisions: Vec<String> = state
        .store
        .list(Kind::ReplicaSet, None)
        .filter(|(key, _)| key.name.starts_with("backend-green"))
        .map(|(_, set)| text(set, "/metadata/annotations/deployment.kubernetes.io~1revision").to_owned())
        .collect();
    let mut revisions: Vec<&str> = revisions.iter().map(String::as_str).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, ["2", "4", "5"]);
}

#[test]
fn a_deleted_pod_comes_back_under_another_name() {
    let mut state = world(Scenario::Good);
    let pod = name(&state.pods_of("backend-blue")[0]).to_owned();
    let path = format!("/api/v1/namespaces/production/pods/{pod}");
    let (code, body) = send(&mut state, "DELETE", &path, "", &Value::Null);
    assert_eq!(code, 200);
    assert!(body["metadata"]["deletionTimestamp"].is_string());
    until(&mut state, 5, |state| {
        state.picture().backends.iter().any(|slot| slot.slot == "blue" && slot.ready == 2)
    });
    until(&mut state, 30, |state| state.picture().backends.iter().all(|slot| slot.ready == 3));
    assert_eq!(send(&mut state, "GET", &path, "", &Value::Null).0, 404);
}

#[test]
fn endpoints_follow_the_selector() {
    let mut state = world(Scenario::Good);
    switch(&mut state, "green");
    let now = state.now;
    state.advance(now + 1000);
    let slices = get(
        &mut state,
        "/apis/discovery.k8s.io/v1/namespaces/production/endpointslices?labelSelector=kubernetes.io/service-name%3Dbackend-service",
    );
    let pods: Vec<&str> = list(&slices, "/items/0/endpoints")
        .iter()
        .map(|endpoint| text(endpoint, "/targetRef/name"))
        .collect();
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|pod| pod.starts_with("backend-green")));
    switch(&mut state, "purple");
    let now = state.now;
    state.advance(now + 1000);
    let endpoints = get(&mut state, "/api/v1/namespaces/production/endpoints/backend-service");
    assert!(list(&endpoints, "/subsets").is_empty());
    assert!(state.picture().backends.iter().all(|slot| !slot.is_live()));
}

#[test]
fn a_deleted_deployment_takes_its_pods_along() {
    let mut state = world(Scenario::Good);
    assert_eq!(send(&mut state, "DELETE", &format!("{DEPLOYMENTS}/backend-green"), "", &Value::Null).0, 200);
    until(&mut state, 20, |state| {
        !state.store.list(Kind::Pod, None).any(|(key, _)| key.name.starts_with("backend-green"))
            && !state.store.list(Kind::ReplicaSet, None).any(|(key, _)| key.name.starts_with("backend-green"))
    });
    let green = state.picture().backends.into_iter().find(|slot| slot.slot == "green").unwrap();
    assert_eq!((green.ready, green.desired, green.is_live()), (0, 0, false));
}

#[test]
fn the_same_story_is_told_however_often_one_looks() {
    let story = |step: i64| {
        let mut state = world(Scenario::SlowRollout);
        set_image(&mut state, "backend-green", NEW);
        let mut now = BEGIN;
        while now < BEGIN + 240_000 {
            now += step;
            state.advance(now);
        }
        state.advance(BEGIN + 250_000);
        let events: Vec<_> = state
            .store
            .list(Kind::Event, None)
            .map(|(_, event)| (text(event, "/firstTimestamp").to_owned(), text(event, "/message").to_owned()))
            .collect();
        events
    };
    assert_eq!(story(100), story(240_000));
}

#[test]
fn a_recreate_strategy_empties_the_slot_first() {
    let mut state = world(Scenario::Good);
    let body = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
    let (code, status) = patch(&mut state, &format!("{DEPLOYMENTS}/backend-green"), &body);
    assert_eq!(code, 200, "{status}");
    set_image(&mut state, "backend-green", NEW);
    let mut empty = false;
    until(&mut state, 60, |state| {
        let pods = state.pods_of("backend-green");
        let images: std::collections::BTreeSet<_> =
            pods.iter().map(|pod| text(pod, "/spec/containers/0/image")).collect();
        assert!(images.len() < 2, "both versions at once");
        empty |= pods.is_empty();
        rolled_out(state, "backend-green")
    });
    assert!(empty);
}
