//! The route: its schema, its writes, and what the gateway makes of it.

#![expect(clippy::float_cmp, reason = "shares of round numbers come out exactly")]

use super::*;
use crate::world::stage::Picture;

const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/production/httproutes/shop";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

pub(super) fn routed() -> Furniture {
    let slot = |track: &str| {
        let selector = BTreeMap::from([("track".to_owned(), track.to_owned())]);
        let service = Some(format!("shop-{track}-svc"));
        (track.to_owned(), FurnishedSlot { service, ..FurnishedSlot::new(format!("shop-{track}"), selector) })
    };
    let mut slots = BTreeMap::from([slot("stable"), slot("canary")]);
    slots.get_mut("canary").unwrap().replicas = Some(1);
    Furniture {
        service: "shop".into(),
        slots,
        live: "stable".into(),
        directing: Directing::Route { name: "shop".into(), rule: 0 },
        ..furniture(3)
    }
}

fn begun(scenario: Scenario) -> State {
    State::new(routed(), scenario, BEGIN)
}

/// Canary and stable get these weights.
pub(super) fn weigh(state: &mut State, canary: i64, stable: i64) -> (u16, Value) {
    let weight = |at: usize, weight: i64| json!({"op": "replace", "path": format!("/spec/rules/0/backendRefs/{at}/weight"), "value": weight});
    send(state, "PATCH", ROUTE, JSON_PATCH, &json!([weight(0, canary), weight(1, stable)]))
}

fn share(picture: &Picture, slot: &str) -> f64 {
    picture.backends.iter().filter(|backend| backend.slot == slot).map(|backend| backend.share).sum()
}

pub(super) fn pass(state: &mut State, ms: i64) {
    let now = state.now;
    state.advance(now + ms);
}

fn verdict(state: &mut State, kind: &str) -> (String, String, i64) {
    let route = get(state, ROUTE);
    let conditions = list(&route, "/status/parents/0/conditions");
    let found = conditions.iter().find(|it| text(it, "/type") == kind).unwrap();
    let text = |field: &str| text(found, field).to_owned();
    (text("/status"), text("/reason"), int(found, "/observedGeneration"))
}

#[test]
fn the_world_with_a_route_begins_at_rest() {
    let mut state = begun(Scenario::Good);
    let version = state.store.version();
    state.advance(BEGIN + 20_000);
    assert_eq!(state.store.version(), version);
    let picture = state.picture();
    assert_eq!(picture.backends.len(), 2);
    assert_eq!((share(&picture, "stable"), share(&picture, "canary")), (1.0, 0.0));
    assert_eq!(picture.slot("canary").map(|canary| (canary.ready, canary.desired)), Some((1, 1)));
    let route = get(&mut state, ROUTE);
    assert_eq!(int(&route, "/metadata/generation"), 1);
    assert_eq!(route["spec"]["rules"][0]["backendRefs"][1]["weight"], 100);
    let gateway = ROUTE.replace("httproutes/shop", "gateways/public");
    assert_eq!(condition(&get(&mut state, &gateway), "Programmed"), "True");
}

#[test]
fn a_cluster_without_the_gateway_api_knows_nothing_of_it() {
    let mut state = world(Scenario::Good);
    for path in [ROUTE, "/apis/gateway.networking.k8s.io", "/apis/gateway.networking.k8s.io/v1"] {
        assert_eq!(send(&mut state, "GET", path, "", &Value::Null).0, 404, "{path}");
    }
    let groups = |state: &mut State| get(state, "/apis").to_string();
    assert!(!groups(&mut state).contains("gateway"));
    let mut state = begun(Scenario::Good);
    assert!(groups(&mut state).contains("gateway.networking.k8s.io"));
    let resources = get(&mut state, "/apis/gateway.networking.k8s.io/v1");
    let names: Vec<_> = list(&resources, "/resources").iter().map(|it| text(it, "/name")).collect();
    assert_eq!(names, ["gateways", "gateways/status", "httproutes", "httproutes/status"]);
}

#[test]
fn weights_direct_requests_once_the_gateway_has_taken_them_up() {
    let mut state = begun(Scenario::Good);
    assert_eq!(weigh(&mut state, 5, 95).0, 200);
    assert_eq!(verdict(&mut state, "Accepted"), ("True".into(), "Accepted".into(), 1), "not yet looked at");
    assert_eq!(share(&state.picture(), "canary"), 0.0);
    pass(&mut state, 2_000);
    assert_eq!(verdict(&mut state, "Accepted"), ("True".into(), "Accepted".into(), 2));
    assert_eq!(verdict(&mut state, "ResolvedRefs"), ("True".into(), "ResolvedRefs".into(), 2));
    let picture = state.picture();
    assert!((share(&picture, "canary") - 0.05).abs() < 1e-9, "one pod or three: weights count");
    assert_eq!(picture.slot("canary").and_then(|canary| canary.since), Some(BEGIN + 1_000));
    // Whoever catches up late sees both.
    let told: Vec<_> =
        state.pictures(BEGIN).into_iter().map(|(at, picture)| (at, share(&picture, "canary"))).collect();
    assert_eq!(told.last().map(|(at, _)| *at), Some(BEGIN + 1_000));
    assert!(told.len() >= 2 && told[0].1 == 0.0, "{told:?}");
}

#[test]
fn what_a_route_leads_nowhere_is_lost() {
    let mut state = begun(Scenario::Good);
    assert_eq!(weigh(&mut state, 0, 0).0, 200, "the schema allows it");
    pass(&mut state, 2_000);
    let picture = state.picture();
    assert_eq!((picture.refused, share(&picture, "stable")), (1.0, 0.0));
    // A backend without pods.
    weigh(&mut state, 20, 80);
    let scale = json!({"spec": {"replicas": 0}});
    assert_eq!(send(&mut state, "PATCH", &format!("{DEPLOYMENTS}/shop-canary/scale"), MERGE, &scale).0, 200);
    pass(&mut state, 10_000);
    let picture = state.picture();
    assert_eq!((picture.refused, share(&picture, "canary")), (0.0, 0.0));
    assert!((share(&picture, "stable") - 0.8).abs() < 1e-9, "nobody else takes its share");
    // A backend that is not there at all.
    let service = "/api/v1/namespaces/production/services/shop-canary-svc";
    assert_eq!(send(&mut state, "DELETE", service, "", &Value::Null).0, 200);
    pass(&mut state, 2_000);
    assert!((state.picture().refused - 0.2).abs() < 1e-9);
    assert_eq!(verdict(&mut state, "ResolvedRefs").1, "BackendNotFound");
    assert_eq!(verdict(&mut state, "Accepted").0, "True");
    // No route, no answer.
    assert_eq!(send(&mut state, "DELETE", ROUTE, "", &Value::Null).0, 200);
    pass(&mut state, 2_000);
    assert_eq!(state.picture().refused, 1.0);
}

#[test]
fn a_route_that_is_not_accepted_leaves_the_traffic_until_it_is_put_back() {
    let mut state = begun(Scenario::RouteNotAccepted);
    pass(&mut state, 5_000);
    assert_eq!(verdict(&mut state, "Accepted").0, "True");
    weigh(&mut state, 5, 95);
    pass(&mut state, 5_000);
    assert_eq!(verdict(&mut state, "Accepted"), ("False".into(), "UnsupportedValue".into(), 2));
    assert_eq!(share(&state.picture(), "canary"), 0.0);
    assert_eq!(share(&state.picture(), "stable"), 1.0);
    weigh(&mut state, 0, 100);
    pass(&mut state, 5_000);
    assert_eq!(verdict(&mut state, "Accepted"), ("True".into(), "Accepted".into(), 3));
}

/// A route with all that belongs to others.
fn crowded() -> Value {
    json!({"spec": {
        "hostnames": ["shop.example.com", "www.example.com"],
        "rules": [
            {
                "name": "shop",
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}, "headers": [{"name": "x-beta", "value": "no"}]}],
                "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-via", "value": "gw"}]}}],
                "backendRefs": [
                    {"name": "shop-canary-svc", "port": 80, "weight": 0},
                    {"name": "shop-stable-svc", "port": 80, "weight": 90},
                    {"name": "partner", "port": 8080, "weight": 10,
                     "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 80}}}]},
                ],
                "timeouts": {"request": "10s"},
            },
            {"matches": [{"path": {"type": "Exact", "value": "/old"}}],
             "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "old.example.com", "statusCode": 301}}]},
        ],
    }})
}

#[test]
fn what_belongs_to_others_stays_as_it_is() {
    let mut state = begun(Scenario::Good);
    let partner = json!({"metadata": {"name": "partner", "namespace": "production"},
                         "spec": {"selector": {"app": "partner"}, "ports": [{"port": 8080}]}});
    let services = "/api/v1/namespaces/production/services";
    assert_eq!(send(&mut state, "POST", services, "application/json", &partner).0, 201);
    let (code, before) = send(&mut state, "PATCH", ROUTE, MERGE, &crowded());
    assert_eq!((code, int(&before, "/metadata/generation")), (200, 2));
    let rule = &before["spec"]["rules"][0];
    assert_eq!(rule["backendRefs"][2]["filters"], crowded()["spec"]["rules"][0]["backendRefs"][2]["filters"]);
    assert_eq!(
        (&rule["backendRefs"][0]["kind"], &rule["backendRefs"][0]["group"]),
        (&json!("Service"), &json!(""))
    );
    let canary = |canary: i64, stable: i64| {
        json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": before["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": canary},
            {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": stable},
        ])
    };
    pass(&mut state, 2_000);
    let (code, _) = send(&mut state, "PATCH", ROUTE, JSON_PATCH, &canary(45, 45));
    assert_eq!(code, 422, "the gateway has written its verdict: it is another version");
    let shift = json!([
        {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 45},
        {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 45},
    ]);
    let path = format!("{ROUTE}?fieldManager=cutover");
    let (code, after) = send(&mut state, "PATCH", &path, JSON_PATCH, &shift);
    assert_eq!((code, int(&after, "/metadata/generation")), (200, 3));
    let mut expected = before["spec"].clone();
    expected["rules"][0]["backendRefs"][0]["weight"] = json!(45);
    expected["rules"][0]["backendRefs"][1]["weight"] = json!(45);
    assert_eq!(after["spec"], expected);
    // The rules are one field to the server, so one writer owns them all.
    let owners = list(&after, "/metadata/managedFields");
    let ours = owners.iter().find(|entry| text(entry, "/manager") == "cutover").unwrap();
    assert_eq!(ours["fieldsV1"], json!({"f:spec": {"f:rules": {}}}));
    pass(&mut state, 2_000);
    let picture = state.picture();
    assert!((picture.elsewhere - 0.1).abs() < 1e-9);
    assert!(
        (share(&picture, "canary") - 0.45).abs() < 1e-9 && (share(&picture, "stable") - 0.45).abs() < 1e-9
    );
    assert!(picture.refused.abs() < 1e-9);
}

#[test]
fn writes_of_a_route_are_checked_as_others_are() {
    let mut state = begun(Scenario::Good);
    let before = get(&mut state, ROUTE);
    // Labels and status are no spec.
    let labelled = json!({"metadata": {"labels": {"a": "b"}}, "status": {"parents": []}});
    let (code, after) = send(&mut state, "PATCH", ROUTE, MERGE, &labelled);
    assert_eq!((code, int(&after, "/metadata/generation")), (200, 1));
    assert_eq!(after["status"], before["status"], "status has its own way in");
    let (code, body) = send(&mut state, "PUT", ROUTE, "application/json", &before);
    assert_eq!((code, text(&body, "/reason")), (409, "Conflict"));
    assert!(text(&body, "/message").contains("httproutes.gateway.networking.k8s.io \"shop\""), "{body}");
    let (code, body) = patch(&mut state, ROUTE, &json!({"spec": {}}));
    assert_eq!(code, 415, "custom resources know no strategic merge");
    assert!(!text(&body, "/message").contains("strategic"), "{body}");
}

#[test]
fn a_route_is_refused_in_the_schemas_words() {
    let mut state = begun(Scenario::Good);
    let at = "spec.rules.backendRefs";
    let backend = |backend: Value| json!({"spec": {"rules": [{"backendRefs": [backend]}]}});
    let one = json!({"name": "a", "port": 80});
    for (body, message) in [
        (
            backend(json!({"name": "a", "port": 80, "weight": 1_000_001})),
            format!(
                "{at}.weight: Invalid value: 1000001: {at}.weight in body should be less than or equal to 1000000"
            ),
        ),
        (
            backend(json!({"name": "a", "port": 80, "weight": -1})),
            format!(
                "{at}.weight: Invalid value: -1: {at}.weight in body should be greater than or equal to 0"
            ),
        ),
        (
            backend(json!({"name": "a", "port": 80, "weight": "5%"})),
            format!(
                "{at}.weight: Invalid value: \"string\": {at}.weight in body must be of type integer: \"string\""
            ),
        ),
        (backend(json!({"port": 80})), format!("{at}.name: Required value")),
        (
            backend(json!({"name": "a"})),
            format!("{at}: Invalid value: \"object\": Must have port for Service reference"),
        ),
        (
            json!({"spec": {"rules": [{"backendRefs": vec![one; 17]}]}}),
            format!("{at}: Invalid value: 17: {at} in body should have at most 16 items"),
        ),
    ] {
        let (code, answer) = send(&mut state, "PATCH", ROUTE, MERGE, &body);
        let expected = format!("HTTPRoute.gateway.networking.k8s.io \"shop\" is invalid: {message}");
        assert_eq!((code, text(&answer, "/message")), (422, expected.as_str()));
    }
    let most = backend(json!({"name": "shop-stable-svc", "port": 80, "weight": 1_000_000}));
    assert_eq!(send(&mut state, "PATCH", ROUTE, MERGE, &most).0, 200);
}

#[test]
fn kubectl_prints_a_route_by_its_hostnames() {
    let mut state = begun(Scenario::Good);
    let (path, _) = ROUTE.rsplit_once('/').unwrap();
    let mut asked = call("GET", path, "", &Value::Null);
    asked.accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json".into();
    let Ok(Answer::Json(200, table)) = state.answer(&asked, "") else { panic!("no table") };
    let columns: Vec<_> = list(&table, "/columnDefinitions").iter().map(|it| text(it, "/name")).collect();
    assert_eq!(columns, ["Name", "Hostnames", "Age"]);
    assert_eq!(list(&table, "/rows/0/cells")[..2], [json!("shop"), json!("[\"shop.example.com\"]")]);
}

#[test]
fn a_rule_further_down_is_ours_and_those_before_it_are_not() {
    let furniture = Furniture { directing: Directing::Route { name: "shop".into(), rule: 2 }, ..routed() };
    let mut state = State::new(furniture, Scenario::Good, BEGIN);
    let route = get(&mut state, ROUTE);
    assert_eq!(list(&route, "/spec/rules").len(), 3);
    assert_eq!(share(&state.picture(), "stable"), 1.0);
    let body = json!([
        {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 0},
        {"op": "replace", "path": "/spec/rules/2/backendRefs/0/weight", "value": 100},
    ]);
    assert_eq!(send(&mut state, "PATCH", ROUTE, JSON_PATCH, &body).0, 200);
    pass(&mut state, 2_000);
    assert_eq!(share(&state.picture(), "canary"), 0.5);
    assert_eq!(state.picture().refused, 0.0, "what others' rules do is no loss of ours");
}
