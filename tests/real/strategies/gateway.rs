//! The Gateway API's definitions in the control plane, and a route of them. There is no gateway to serve it: a test writes the
//! route's status as one would, and sends the users where the weights say (see `app.rs`).

use std::{
    path::Path,
    sync::{Arc, Once, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Place, Way, runbook, service, two_slots};
use crate::{ground::WORLD, plane::PLANE};

/// Pods of the slot that has the users.
pub(super) const PODS: usize = 2;
/// What the route gives others, in the same rule.
const LEGACY: &str = "backend-legacy=50";

/// What the gateway makes of the route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Accepts,
    Refuses,
    /// It does not look at the route.
    Sleeps,
}

/// Plays the gateway towards a route's status.
pub(super) struct Gateway(Arc<Mutex<Option<Mood>>>);

impl Gateway {
    pub(super) fn start(place: &Place) -> Self {
        let mood = Arc::new(Mutex::new(Some(Mood::Accepts)));
        let namespace = &place.namespace;
        let path = format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/backend");
        let followed = Arc::clone(&place.app.generation);
        let told = Arc::clone(&mood);
        std::thread::spawn(move || {
            let client = WORLD.block_on(PLANE.client());
            // Until the test is over.
            while let Some(mood) = { *told.lock() } {
                if mood != Mood::Sleeps {
                    WORLD.block_on(tell(&client, &path, (mood, followed.load(Ordering::Relaxed))));
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self(mood)
    }

    pub(super) fn is(&self, mood: Mood) {
        *self.0.lock() = Some(mood);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

/// Writes what the gateway makes of the route as it is now, where that is not written yet and users go by it already.
async fn tell(client: &kube::Client, path: &str, (mood, followed): (Mood, i64)) {
    let Ok(request) = hyper::Request::get(path).body(Vec::new()) else { return };
    let Ok(route) = client.request::<Value>(request).await else { return };
    let generation = &route["metadata"]["generation"];
    if *generation != followed {
        return;
    }
    let (status, reason) = match mood {
        Mood::Refuses => ("False", "NotAllowedByListeners"),
        Mood::Accepts | Mood::Sleeps => ("True", "Accepted"),
    };
    let now = &route["status"]["parents"][0]["conditions"][0];
    if now["observedGeneration"] == *generation && now["status"] == status {
        return;
    }
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "played by a test",
               "observedGeneration": generation, "lastTransitionTime": "2026-11-26T12:00:00Z"})
    };
    let parent = json!({
        "parentRef": {"name": "public"}, "controllerName": "example.com/gateway",
        "conditions": [condition("Accepted", status, reason), condition("ResolvedRefs", "True", "ResolvedRefs")],
    });
    let body = json!({"status": {"parents": [parent]}}).to_string().into_bytes();
    let request = hyper::Request::patch(format!("{path}/status?fieldManager=gateway"))
        .header("Content-Type", "application/merge-patch+json")
        .body(body);
    let Ok(request) = request else { return };
    let _ = client.request::<Value>(request).await;
}

/// The definitions are there from an earlier run, or they are made now.
pub(super) fn define() {
    static DEFINED: Once = Once::new();
    DEFINED.call_once(|| {
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/gateway-api.yaml");
        let _ = PLANE.kubectl(&["create", "--filename", &definitions.display().to_string()]);
        PLANE.await_kind("httproutes.gateway.networking.k8s.io");
    });
}

/// Two slots behind a route whose second rule weighs them, beside a backend of others; its first rule is none of ours.
pub(super) struct Shop {
    pub(super) place: Place,
    pub(super) gateway: Gateway,
    slots: [&'static str; 2],
    /// The route as the flight found it.
    spec: Value,
    pub(super) template: Value,
}

fn manifest(name: &str, [live, asleep]: [&str; 2]) -> String {
    let own =
        |slot: &str| service(name, &format!("backend-{slot}"), &format!("app: backend, version: {slot}"));
    let header = "filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-edge, value: public }] } }]";
    let route = format!(
        "---\n\
         apiVersion: gateway.networking.k8s.io/v1\n\
         kind: HTTPRoute\n\
         metadata: {{ name: backend, namespace: {name}, annotations: {{ team: edge }} }}\n\
         spec:\n\
         \x20 parentRefs: [{{ name: public }}]\n\
         \x20 hostnames: [shop.example.com]\n\
         \x20 rules:\n\
         \x20 - matches: [{{ path: {{ type: Exact, value: /old }} }}]\n\
         \x20   {header}\n\
         \x20   backendRefs: [{{ name: backend-legacy, port: 80, weight: 7 }}, {{ name: backend-tools, port: 80, weight: 3 }}]\n\
         \x20 - {header}\n\
         \x20   backendRefs:\n\
         \x20   - {{ name: backend-legacy, port: 80, weight: 50 }}\n\
         \x20   - {{ name: backend-{live}, port: 80, weight: 200, {header} }}\n\
         \x20   - {{ name: backend-{asleep}, port: 80, weight: 0 }}\n"
    );
    let legacy = service(name, "backend-legacy", &format!("app: backend, version: {live}"));
    [two_slots(name, [live, asleep], PODS), own(live), own(asleep), legacy, route].concat()
}

impl Shop {
    pub(super) fn new(course: &str, image: &str, slots: [&'static str; 2]) -> Self {
        define();
        let runbook = runbook(course, image, "$slot");
        let place = Place::furnished(&runbook, |name| manifest(name, slots), Way::Route(1));
        let gateway = Gateway::start(&place);
        place.await_users(PODS);
        let template = place.template(&format!("backend-{}", slots[0]));
        let mut shop = Self { place, gateway, slots, spec: Value::Null, template };
        shop.place.eventually("the gateway has taken the route up", || shop.is_taken_up());
        shop.spec = shop.route()["spec"].clone();
        shop
    }

    fn route(&self) -> Value {
        self.place.object("httproute", "backend").unwrap_or_default()
    }

    fn is_taken_up(&self) -> bool {
        let route = self.route();
        let accepted = &route["status"]["parents"][0]["conditions"][0];
        accepted["observedGeneration"] == route["metadata"]["generation"] && accepted["status"] == "True"
    }

    /// What the rule weighs, as kubectl says it.
    fn weights(&self) -> String {
        let path = "jsonpath={range .spec.rules[1].backendRefs[*]}{.name}={.weight} {end}";
        self.place.kubectl(&["get", "httproute", "backend", "--output", path]).trim().to_owned()
    }

    pub(super) fn weighs(&self, live: u32, other: u32) -> bool {
        let [stable, canary] = self.slots;
        self.weights() == format!("{LEGACY} backend-{stable}={live} backend-{canary}={other}")
    }

    /// The route gives the slots these weights, and all else of it is as it was.
    pub(super) fn assert_weighs(&self, live: u32, other: u32, story: &str) {
        let mut wanted = self.spec.clone();
        wanted["rules"][1]["backendRefs"][1]["weight"] = live.into();
        wanted["rules"][1]["backendRefs"][2]["weight"] = other.into();
        let route = self.route();
        assert_eq!(route["spec"], wanted, "{}\n{story}", self.weights());
        assert_eq!(route["metadata"]["annotations"]["team"], "edge");
    }

    /// Somebody weighs the backends.
    pub(super) fn weigh(&self, live: u32, other: u32) {
        let patch = json!([
            {"op": "replace", "path": "/spec/rules/1/backendRefs/1/weight", "value": live},
            {"op": "replace", "path": "/spec/rules/1/backendRefs/2/weight", "value": other},
        ]);
        self.place.kubectl(&["patch", "httproute", "backend", "--type=json", "-p", &patch.to_string()]);
    }
}
