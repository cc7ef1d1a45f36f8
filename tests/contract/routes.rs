//! Routes of the Gateway API: what their schema fills in and refuses, who owns what, which writes make a generation.

use hyper::Method;
use serde_json::{Value, json};

use super::side::{JSON, MERGE, STRATEGIC, Side};

const ROUTE: &str = "httproutes/contract";
const JSON_PATCH: &str = "application/json-patch+json";

fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or(0)
}

/// Without the core group's name, which is empty: a schema for older servers does not fill it in.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| key.as_str() != "group" || *value != "");
            Value::Object(kept.map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}

/// As JSON with its keys in order.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> =
                map.iter().map(|(key, value)| format!("{key}: {}", sorted(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn backend(name: &str, weight: i64) -> Value {
    json!({"name": name, "port": 80, "weight": weight})
}

pub(crate) async fn routes(side: &mut Side) {
    side.begin("routes");
    let spec = json!({
        "parentRefs": [{"name": "nobody"}],
        "hostnames": ["contract.example.com"],
        "rules": [
            {"backendRefs": [{"name": "one", "port": 80}, backend("other", 0)]},
            {"matches": [{"path": {"type": "Exact", "value": "/old"}}, {"method": "GET"}],
             "filters": [{"type": "RequestHeaderModifier",
                          "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}],
             "backendRefs": [backend("third", 7)]},
        ],
    });
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "contract"},
        "spec": spec, "status": {"parents": []},
    });
    let made = side.call(Method::POST, "httproutes?fieldManager=maker", JSON, &route).await;
    side.tell_answer("made", &made);
    side.tell("generation", generation(&made.1));
    side.tell("filled in", sorted(&plain(&made.1["spec"])));
    side.tell("status", &made.1["status"]);
    let twice = side.call(Method::POST, "httproutes", JSON, &route).await;
    side.tell_answer("made twice", &twice);

    side.begin("writes of a route");
    let weigh = |one: i64, other: i64| {
        json!([
            {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": one},
            {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": other},
        ])
    };
    let shifted = side.patch(ROUTE, JSON_PATCH, weigh(95, 5)).await;
    side.tell_answer("weights", &shifted);
    side.tell("generation", generation(&shifted.1));
    side.tell_owners("owners", &shifted.1);
    side.tell("the rest stays", shifted.1["spec"]["rules"][1] == made.1["spec"]["rules"][1]);
    let same = side.patch(ROUTE, JSON_PATCH, weigh(95, 5)).await;
    side.tell("the same again", generation(&same.1));
    let label = json!({"metadata": {"labels": {"x": "y"}}, "status": {"parents": []}});
    let labelled = side.patch(ROUTE, MERGE, label).await;
    side.tell("a label", generation(&labelled.1));
    let merged =
        side.patch(ROUTE, MERGE, json!({"spec": {"rules": [{"backendRefs": [backend("one", 1)]}]}})).await;
    side.tell("a merge replaces the list", merged.1["spec"]["rules"].as_array().map_or(0, Vec::len));
    side.tell("generation", generation(&merged.1));
    let version = &made.1["metadata"]["resourceVersion"];
    let stale = json!({"metadata": {"resourceVersion": version}, "spec": {"hostnames": ["x.example.com"]}});
    let answer = side.patch(ROUTE, MERGE, stale).await;
    side.tell_answer("with an old version", &answer);
    let mut guarded = weigh(50, 50);
    guarded
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}));
    let answer = side.patch(ROUTE, JSON_PATCH, guarded).await;
    side.tell("a test of an old version", answer.0);
    let answer = side.patch(ROUTE, STRATEGIC, json!({"spec": {"hostnames": ["x.example.com"]}})).await;
    side.tell_answer("a strategic merge", &answer);
    let mut whole = merged.1.clone();
    whole["spec"]["hostnames"] = json!(["whole.example.com"]);
    let answer = side.call(Method::PUT, ROUTE, JSON, &whole).await;
    side.tell_answer("replaced", &answer);
    side.tell("generation", generation(&answer.1));
    let answer = side.call(Method::PUT, ROUTE, JSON, &whole).await;
    side.tell_answer("replaced with an old version", &answer);
    if let Some(metadata) = whole["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let answer = side.call(Method::PUT, ROUTE, JSON, &whole).await;
    side.tell_answer("replaced without a version", &answer);
    let accepted = json!({"type": "Accepted", "status": "True", "reason": "Accepted", "message": "accepted",
                          "observedGeneration": 4, "lastTransitionTime": "2026-11-22T14:00:00Z"});
    let parent = json!({"parentRef": {"name": "nobody"}, "controllerName": "example.com/gateway",
                        "conditions": [accepted]});
    let status = json!({"status": {"parents": [parent]}});
    let answer = side.patch(&format!("{ROUTE}/status?fieldManager=controller"), MERGE, status).await;
    side.tell_answer("a status", &answer);
    side.tell("generation", generation(&answer.1));
    side.tell("parents", answer.1["status"]["parents"].as_array().map_or(0, Vec::len));

    side.begin("what a route's schema refuses");
    let of = |backend: Value| json!({"spec": {"rules": [{"backendRefs": [backend]}]}});
    let long = "x".repeat(254);
    for (what, body) in [
        ("a weight over a million", of(backend("one", 1_000_001))),
        ("a weight below nothing", of(backend("one", -1))),
        ("a weight in words", of(json!({"name": "one", "port": 80, "weight": "5%"}))),
        ("half a weight", of(json!({"name": "one", "port": 80, "weight": 0.5}))),
        ("a backend without a name", of(json!({"port": 80}))),
        ("a backend with a long name", of(json!({"name": long, "port": 80}))),
        ("seventeen backends", json!({"spec": {"rules": [{"backendRefs": vec![backend("one", 1); 17]}]}})),
        ("rules that are none", json!({"spec": {"rules": "none"}})),
        ("a parent without a name", json!({"spec": {"parentRefs": [{"sectionName": "http"}]}})),
        ("no spec", json!({"spec": null})),
    ] {
        let answer = side.patch(ROUTE, MERGE, body).await;
        side.tell_answer(what, &answer);
    }
    let answer = side.patch(ROUTE, MERGE, of(backend("one", 1_000_000))).await;
    side.tell_answer("a weight of a million", &answer);
    let answer = side.patch(ROUTE, MERGE, of(backend("one", 0))).await;
    side.tell_answer("no weight at all", &answer);
    let answer = side.call(Method::DELETE, ROUTE, JSON, &Value::Null).await;
    side.tell("deleted", format!("{} {} {}", answer.0, answer.1["kind"], answer.1["status"]));
    let answer = side.call(Method::GET, ROUTE, JSON, &Value::Null).await;
    side.tell_answer("gone", &answer);
}
