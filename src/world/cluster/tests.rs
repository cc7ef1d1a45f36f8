//! Stories told in simulated time, without HTTP.

mod directing;
mod gateway;
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
fn writes_that_name_an_old_version_lose() {
    let mut state = world(Scenario::Good);
    let old = get(&mut state, SERVICE);
    switch(&mut state, "green");
    let (code, body) = send(&mut state, "PUT", SERVICE, "application/json", &old);
    assert_eq!((code, text(&body, "/reason")), (409, "Conflict"));
    let version = old["metadata"]["resourceVersion"].clone();
    let body = json!({"metadata": {"resourceVersion": version}, "spec": {"selector": {"version": "blue"}}});
    let (code, status) = patch(&mut state, SERVICE, &body);
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        "Operation cannot be fulfilled on services \"backend-service\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    assert_eq!(get(&mut state, SERVICE)["spec"]["selector"]["version"], "green");
    let wrong = json!({"metadata": {"uid": "another"}});
    assert_eq!(patch(&mut state, SERVICE, &wrong).0, 422);
}

#[test]
fn a_dry_run_changes_nothing_and_answers_as_if() {
    let mut state = world(Scenario::Good);
    let before = get(&mut state, SERVICE);
    let body = json!({"spec": {"selector": {"version": "green"}}});
    let (code, shown) = patch(&mut state, &format!("{SERVICE}?dryRun=All"), &body);
    assert_eq!((code, &shown["spec"]["selector"]["version"]), (200, &json!("green")));
    assert_eq!(get(&mut state, SERVICE), before);
    let (code, shown) = send(
        &mut state,
        "PATCH",
        &format!("{DEPLOYMENTS}/backend-blue/scale?dryRun=All"),
        "application/merge-patch+json",
        &json!({"spec": {"replicas": 9}}),
    );
    assert_eq!((code, &shown["spec"]["replicas"]), (200, &json!(9)));
    assert_eq!(deployment(&state, "backend-blue")["spec"]["replicas"], 3);
}

#[test]
fn what_changes_nothing_makes_no_new_version() {
    let mut state = world(Scenario::Good);
    let before = get(&mut state, SERVICE);
    switch(&mut state, "blue");
    assert_eq!(get(&mut state, SERVICE), before);
}

#[test]
fn errors_are_what_a_real_server_says() {
    let mut state = world(Scenario::Good);
    let path = format!("{DEPLOYMENTS}/backend-blue");
    let containers = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    for (body, code, message) in [
        (
            containers(json!([{"name": "nope", "resources": {}}])),
            422,
            "Deployment.apps \"backend-blue\" is invalid: spec.template.spec.containers[0].image: Required value",
        ),
        (
            json!({"spec": {"replicas": -1}}),
            422,
            "Deployment.apps \"backend-blue\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"metadata": {"name": "other"}}),
            400,
            "the name of the object (other) does not match the name on the URL (backend-blue)",
        ),
    ] {
        let (got, status) = patch(&mut state, &path, &body);
        assert_eq!((got, text(&status, "/message")), (code, message));
        assert_eq!(text(&status, "/kind"), "Status");
    }
    let (code, status) =
        patch(&mut state, &path, &json!({"spec": {"selector": {"matchLabels": {"app": "x"}}}}));
    assert_eq!(code, 422);
    assert!(text(&status, "/message").contains("field is immutable"), "{status}");
    let (code, status) = send(&mut state, "GET", &format!("{DEPLOYMENTS}/x"), "", &Value::Null);
    assert_eq!((code, text(&status, "/message")), (404, "deployments.apps \"x\" not found"));
    assert_eq!(send(&mut state, "PATCH", &path, "text/plain", &json!({})).0, 415);
    assert_eq!(send(&mut state, "POST", &path, "application/json", &json!({})).0, 405);
    assert_eq!(send(&mut state, "GET", "/apis/batch/v1/jobs", "", &Value::Null).0, 404);
    assert_eq!(send(&mut state, "GET", "/api/v1/pods?resourceVersion=999999999", "", &Value::Null).0, 504);
    let null = json!({"spec": {"replicas": null}});
    let (code, body) = patch(&mut state, &path, &null);
    assert_eq!((code, &body["spec"]["replicas"]), (200, &json!(1)), "no number of replicas means one");
}

#[test]
fn what_is_denied_is_forbidden_and_reviews_know() {
    let mut state = world(Scenario::Good);
    state.denied.insert(("patch".into(), "services".into()));
    let (code, status) = patch(&mut state, SERVICE, &json!({"spec": {"selector": {"version": "green"}}}));
    assert_eq!(code, 403);
    assert_eq!(
        text(&status, "/message"),
        "services \"backend-service\" is forbidden: User \"operator\" cannot patch resource \"services\" in API group \"\" in the \
         namespace \"production\""
    );
    let mut review = |verb: &str| {
        let attributes = json!({"namespace": "production", "verb": verb, "resource": "services"});
        let body = json!({"spec": {"resourceAttributes": attributes}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        send(&mut state, "POST", path, "application/json", &body)
    };
    assert_eq!(review("patch").1["status"]["allowed"], false);
    assert_eq!(review("get").1["status"]["allowed"], true);
    assert_eq!(review("get").0, 201);
}

#[test]
fn what_cannot_be_decoded_or_is_too_large_is_refused() {
    let mut state = world(Scenario::Good);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/production/leases";
    let lease = |time: &str| json!({"metadata": {"name": "l"}, "spec": {"renewTime": time}});
    for time in ["2026-11-22T14:00:00Z", "2026-11-22T14:00:00.123Z", "yesterday"] {
        let (code, body) = send(&mut state, "POST", leases, "application/json", &lease(time));
        assert_eq!(code, 400, "{time}: {body}");
    }
    let good = lease("2026-11-22T14:00:00.123456Z");
    assert_eq!(send(&mut state, "POST", leases, "application/json", &good).0, 201);

    let maps = "/api/v1/namespaces/production/configmaps";
    let map = |text: String| json!({"metadata": {"name": "m"}, "binaryData": {"x": text}});
    assert_eq!(send(&mut state, "POST", maps, "application/json", &map("?".to_owned())).0, 400);
    // 1 MiB is 1398101 and a third letters of base64.
    let (code, body) = send(&mut state, "POST", maps, "application/json", &map("AAAA".repeat(349_526)));
    assert_eq!(code, 422, "{body}");
    assert_eq!(send(&mut state, "POST", maps, "application/json", &map("AAAA".repeat(349_525))).0, 201);
}

#[test]
fn a_lease_that_is_gone_is_not_made_anew_by_its_holders_renewal() {
    let mut state = world(Scenario::Good);
    let path = "/apis/coordination.k8s.io/v1/namespaces/production/leases";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}});
    let (_, made) = send(&mut state, "POST", path, "application/json", &lease);
    let one = format!("{path}/l");
    assert_eq!(send(&mut state, "DELETE", &one, "", &Value::Null).0, 200);
    assert_eq!(send(&mut state, "PUT", &one, "application/json", &made).0, 409);
    assert_eq!(send(&mut state, "GET", &one, "", &Value::Null).0, 404);
}

#[test]
fn an_empty_list_of_metadata_is_null() {
    let mut state = world(Scenario::Good);
    let path = "/api/v1/namespaces/production/configmaps?labelSelector=no%3Dsuch";
    let mut asked = call("GET", path, "", &Value::Null);
    asked.accept =
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json".into();
    let Ok(Answer::Json(200, body)) = state.answer(&asked, "") else { panic!("no answer") };
    assert_eq!((&body["kind"], &body["items"]), (&json!("PartialObjectMetadataList"), &Value::Null));
}

#[test]
fn leases_are_made_renewed_and_fought_for() {
    let mut state = world(Scenario::Good);
    let path = "/apis/coordination.k8s.io/v1/namespaces/production/leases";
    let lease = json!({"metadata": {"name": "cutover"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0}});
    let (code, made) = send(&mut state, "POST", path, "application/json", &lease);
    assert_eq!(code, 201);
    assert_eq!(send(&mut state, "POST", path, "application/json", &lease).0, 409);
    let one = format!("{path}/cutover");
    let mut renewed = made.clone();
    renewed["spec"]["renewTime"] = json!("2026-11-22T14:00:10.000000Z");
    assert_eq!(send(&mut state, "PUT", &one, "application/json", &renewed).0, 200);
    let mut late = made.clone();
    late["spec"]["holderIdentity"] = json!("b");
    assert_eq!(send(&mut state, "PUT", &one, "application/json", &late).0, 409);
    late["metadata"].as_object_mut().unwrap().shift_remove("resourceVersion");
    assert_eq!(
        send(&mut state, "PUT", &one, "application/json", &late).0,
        422,
        "a Lease is never replaced blindly"
    );
    let guard = json!([{"op": "test", "path": "/spec/leaseTransitions", "value": 1}]);
    assert_eq!(send(&mut state, "PATCH", &one, "application/json-patch+json", &guard).0, 422);
    let wrong = json!({"preconditions": {"uid": "another"}});
    assert_eq!(send(&mut state, "DELETE", &one, "application/json", &wrong).0, 409);
    assert_eq!(send(&mut state, "DELETE", &one, "", &Value::Null).0, 200);
    assert_eq!(send(&mut state, "GET", &one, "", &Value::Null).0, 404);
}

#[test]
fn pages_are_one_list() {
    let mut state = world(Scenario::Good);
    let whole = get(&mut state, "/api/v1/namespaces/production/pods");
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let page = get(&mut state, &format!("/api/v1/namespaces/production/pods?limit=4&continue={next}"));
        assert_eq!(page["metadata"]["resourceVersion"], whole["metadata"]["resourceVersion"]);
        names.extend(list(&page, "/items").iter().map(|pod| name(pod).to_owned()));
        next = text(&page, "/metadata/continue").to_owned();
        if next.is_empty() {
            break;
        }
    }
    let all: Vec<_> = list(&whole, "/items").iter().map(|pod| name(pod).to_owned()).collect();
    assert_eq!(names, all);
    assert_eq!(names.len(), 6);
}

#[test]
fn events_are_shown_in_both_shapes() {
    let mut state = world(Scenario::Good);
    set_image(&mut state, "backend-green", NEW);
    let now = state.now;
    state.advance(now + 5_000);
    let core = get(
        &mut state,
        "/api/v1/namespaces/production/events?fieldSelector=involvedObject.name%3Dbackend-green",
    );
    let new = get(
        &mut state,
        "/apis/events.k8s.io/v1/namespaces/production/events?fieldSelector=regarding.name%3Dbackend-green",
    );
    assert_eq!(text(&core, "/items/0/reason"), "ScalingReplicaSet");
    assert_eq!(core["items"][0]["message"], new["items"][0]["note"]);
    assert_eq!(new["items"][0]["regarding"]["kind"], "Deployment");
    // Events are kept for an hour.
    state.advance(now + 2 * 3_600_000);
    assert_eq!(list(&get(&mut state, "/api/v1/events"), "/items").len(), 0);
}

#[test]
fn a_table_has_the_columns_that_kubectl_prints() {
    let mut state = world(Scenario::Good);
    let mut call = call("GET", "/api/v1/namespaces/production/pods", "", &Value::Null);
    call.accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json".into();
    let Ok(Answer::Json(200, table)) = state.answer(&call, "") else { panic!("no table") };
    let columns: Vec<_> =
        list(&table, "/columnDefinitions").iter().map(|column| text(column, "/name")).collect();
    assert_eq!(columns[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
    assert_eq!(list(&table, "/rows").len(), 6);
    assert_eq!(list(&table, "/rows/0/cells")[1..3], [json!("1/1"), json!("Running")]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
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
