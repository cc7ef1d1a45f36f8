//! Patches of the Service, and the same name for another object.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use super::side::{JSON, MERGE, PATIENCE, STRATEGIC, Side, condition};

pub(crate) async fn patches_of_the_service(side: &mut Side) {
    side.begin("patches of the Service");
    let before = side.get("services/backend-service").await;
    let (uid, version) = (before["metadata"]["uid"].clone(), before["metadata"]["resourceVersion"].clone());
    let select = |meta: Value, slot: &str| json!({"metadata": meta, "spec": {"selector": {"version": slot}}});
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            select(json!({"resourceVersion": version, "uid": uid}), "green"),
        )
        .await;
    side.tell_answer("with uid and version", &answer);
    side.tell_owners("owners", &answer.1);
    side.tell("generation", &answer.1["metadata"]["generation"]);
    let answer = side
        .patch("services/backend-service", MERGE, select(json!({"resourceVersion": version}), "blue"))
        .await;
    side.tell_answer("with an old version", &answer);
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            select(json!({"uid": "00000000-0000-0000-0000-000000000000"}), "blue"),
        )
        .await;
    side.tell_answer("with another uid", &answer);
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            json!({"spec": {"selector": {"version": "blue", "tier": "x"}}}),
        )
        .await;
    side.tell("a label more", &answer.1["spec"]["selector"]["tier"]);
    let answer = side
        .patch("services/backend-service", STRATEGIC, json!({"spec": {"selector": {"tier": null}}}))
        .await;
    side.tell("null takes it away", &answer.1["spec"]["selector"]["tier"]);
    let same = side
        .patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "blue"}}}))
        .await;
    let again = same.1["metadata"]["resourceVersion"] == answer.1["metadata"]["resourceVersion"];
    side.tell("a patch that changes nothing keeps the version", again);
    let answer = side
        .patch(
            "services/backend-service",
            "application/json-patch+json",
            json!([{"op": "test", "path": "/spec/selector/version", "value": "green"}]),
        )
        .await;
    side.tell("a test that fails", answer.0);
    let answer = side.patch("services/backend-service", "text/plain", json!({})).await;
    side.tell("no patch type", answer.0);
    let answer = side.patch("services/nope", MERGE, json!({"spec": {}})).await;
    side.tell_answer("of no Service", &answer);
    let answer = side
        .patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "not a label!"}}}))
        .await;
    side.tell_answer("an invalid label", &answer);
}

pub(crate) async fn endings(side: &mut Side) {
    side.begin("pods that end");
    side.patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "green"}}})).await;
    let addresses = |object: &Value| -> usize {
        let subsets = object["subsets"].as_array().into_iter().flatten();
        subsets.map(|subset| subset["addresses"].as_array().map_or(0, Vec::len)).sum()
    };
    side.until("endpoints/backend-service", "two endpoints", |object| addresses(object) == 2).await;
    let pods = side.get("pods?labelSelector=version%3Dgreen").await;
    let name = pods["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
    let answer =
        side.call(Method::DELETE, &format!("pods/{name}"), JSON, &json!({"gracePeriodSeconds": 1})).await;
    side.tell(
        "a pod is told to end",
        format!("{} {}", answer.0, answer.1["metadata"]["deletionGracePeriodSeconds"]),
    );
    side.tell("and is ready", &condition(&answer.1, "Ready")["status"]);
    side.until(&format!("pods/{name}"), "it is gone", |object| object["code"] == 404).await;
    side.until("endpoints/backend-service", "two endpoints again", |object| addresses(object) == 2).await;

    side.begin("an object that is deleted and made anew");
    let version = side.get("services/backend-service").await["metadata"]["resourceVersion"].clone();
    let mut service = side.get("services/backend-service").await;
    let uid = service["metadata"]["uid"].clone();
    let answer = side.call(Method::DELETE, "services/backend-service", JSON, &Value::Null).await;
    side.tell("deleted", answer.0);
    let meta = json!({"name": "backend-service"});
    service["metadata"] = meta;
    service["spec"] = json!({"selector": service["spec"]["selector"], "ports": [{"port": 80}]});
    let answer = side.call(Method::POST, "services", JSON, &service).await;
    side.tell_answer("made anew", &answer);
    side.tell("another uid", answer.1["metadata"]["uid"] != uid);
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            json!({"metadata": {"uid": uid}, "spec": {"selector": {"version": "blue"}}}),
        )
        .await;
    side.tell_answer("patched by its old uid", &answer);
    let answer = side.patch("services/backend-service", MERGE, json!({"metadata": {"uid": uid, "resourceVersion": version}, "spec": {"selector": {"version": "blue"}}})).await;
    side.tell_answer("… and version", &answer);
    side.patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "blue"}}})).await;
}

/// The Service's slices: by the newest version that the server has of them.
async fn slices(side: &Side) -> Vec<Value> {
    for version in ["v1", "v1beta1"] {
        let path = format!(
            "/apis/discovery.k8s.io/{version}/namespaces/{}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dbackend-service",
            side.namespace
        );
        let (code, list) = side.call_raw(Method::GET, &path, JSON, Vec::new()).await;
        if code == 200 {
            return list["items"].as_array().cloned().unwrap_or_default();
        }
    }
    Vec::new()
}

fn ready(slices: &[Value]) -> Vec<String> {
    let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
    ready
        .map(|endpoint| {
            let name = endpoint["targetRef"]["name"].as_str().unwrap_or_default();
            name.rsplitn(3, '-').last().unwrap_or_default().to_owned()
        })
        .collect()
}

/// Waits until the ready endpoints are as many pods of this Deployment, and nobody else's.
async fn serving(side: &Side, deployment: &str, pods: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let slices = slices(side).await;
        if ready(&slices) == vec![deployment.to_owned(); pods] {
            return slices;
        }
        assert!(Instant::now() < until, "never {pods} of {deployment}: {slices:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn endpoint_slices(side: &mut Side) {
    side.begin("endpoint slices");
    let select = |slot: &str| json!({"spec": {"selector": {"version": slot}}});
    for slot in ["green", "blue"] {
        side.patch("services/backend-service", MERGE, select(slot)).await;
        let found = serving(side, &format!("backend-{slot}"), 2).await;
        let slice = &found[0];
        side.tell(slot, format!("{} of {}", found.len(), slice["addressType"]));
        let owner = &slice["metadata"]["ownerReferences"][0];
        let by = &slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"];
        side.tell("made by and for", format!("{by} {} {}", owner["kind"], owner["name"]));
        let endpoint = &slice["endpoints"][0];
        side.tell(
            "an endpoint",
            format!(
                "{} address, ready {}, of a {} in {}",
                endpoint["addresses"].as_array().unwrap().len(),
                endpoint["conditions"]["ready"],
                endpoint["targetRef"]["kind"],
                endpoint["targetRef"]["namespace"],
            ),
        );
        side.tell("its port", format!("{} {}", slice["ports"][0]["port"], slice["ports"][0]["protocol"]));
    }
    side.patch("services/backend-service", MERGE, select("nobody")).await;
    let empty = serving(side, "nobody", 0).await;
    side.tell("of nobody", format!("{} with {} endpoints", empty.len(), ready(&empty).len()));
    let endpoints = side.until("endpoints/backend-service", "none", |it| it["subsets"].is_null()).await;
    side.tell("endpoints of nobody", &endpoints["subsets"]);
    side.patch("services/backend-service", MERGE, select("blue")).await;
    serving(side, "backend-blue", 2).await;
}
