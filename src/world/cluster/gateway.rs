//! A gateway and its controller: it takes up what `HTTPRoute`s say, a moment later, and tells each of them how that went.
//!
//! What it serves is what it last accepted. A route that it does not accept leaves the traffic as it was.

mod known;

use serde_json::{Value, json};

pub(super) use known::Gateway;

use super::{
    object::{int, list, put, rfc3339, text},
    resource::{GATEWAY_API, Kind},
    state::{Due, State},
    store::Key,
};
use crate::world::{scenario::Scenario, stage::Directing};

/// The gateway that the world's route belongs to.
const GATEWAY: &str = "public";
/// A controller of nobody: each real one has words of its own in its conditions, and none is imitated.
const CONTROLLER: &str = "gateway.example.com/controller";
const MANAGER: &str = "gateway-controller";
/// The time from a write to the moment at which requests go the new way.
const LAG_MS: i64 = 1_000;

/// One condition as the controller sees it.
struct Verdict {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds, reason, message: message.into() }
    }
}

impl State {
    /// Whether this cluster has the Gateway API's resources at all.
    pub(super) fn has_gateway_api(&self) -> bool {
        matches!(self.furniture.directing, Directing::Route { .. })
    }

    /// Something changed that routes lead to or through.
    pub(super) fn wake_gateway(&mut self) {
        if self.has_gateway_api() && !self.gateway.planned {
            self.gateway.planned = true;
            self.at(self.now + LAG_MS, Due::Gateway);
        }
    }

    /// The controller looks at every gateway and every route.
    pub(super) fn sync_gateway(&mut self) {
        self.gateway.planned = false;
        let objects = |state: &Self, kind| -> Vec<Value> {
            state.store.list(kind, None).map(|(_, object)| Value::clone(object)).collect()
        };
        for mut gateway in objects(self, Kind::Gateway) {
            let verdicts = [
                Verdict::new("Accepted", true, "Accepted", "the gateway is accepted"),
                Verdict::new("Programmed", true, "Programmed", "the gateway takes requests"),
            ];
            let conditions =
                self.judged(list(&gateway, "/status/conditions"), &verdicts, generation(&gateway));
            put(&mut gateway, "/status/conditions", conditions);
            self.write(Kind::Gateway, gateway, MANAGER, Some("status"));
        }
        let routes = objects(self, Kind::HttpRoute);
        let keys: Vec<Key> = routes.iter().map(|route| Key::of(Kind::HttpRoute, route)).collect();
        self.gateway.serves.retain(|key, _| keys.contains(key));
        for route in routes {
            self.sync_route(route);
        }
        self.follow_traffic();
    }

    /// One route: what the controller thinks of it is written to its status, and what it serves changes only if it
    /// accepts it.
    fn sync_route(&mut self, mut route: Value) {
        let key = Key::of(Kind::HttpRoute, &route);
        // What other controllers say stays, and about a route that is none of ours nothing is said.
        let told = list(&route, "/status/parents").to_vec();
        let foreign = |status: &&Value| text(status, "/controllerName") != CONTROLLER;
        let mut parents: Vec<Value> = told.iter().filter(foreign).cloned().collect();
        let (mut accepted, mut attached) = (false, false);
        for parent in list(&route, "/spec/parentRefs") {
            let namespace = match text(parent, "/namespace") {
                "" => key.namespace.as_str(),
                said => said,
            };
            if self.store.get(&Key::new(Kind::Gateway, namespace, name_of(parent))).is_none() {
                continue;
            }
            attached = true;
            let verdict = self.accepts(&key, &route);
            accepted |= verdict.holds;
            let ours = |status: &&Value| !foreign(status) && status["parentRef"] == *parent;
            let before = told.iter().find(ours);
            let before = before.map_or(&[][..], |status| list(status, "/conditions"));
            let conditions = self.judged(before, &[verdict, self.resolves(&route)], generation(&route));
            // A controller writes about its own gateways alone: a parent that is not there has no entry.
            parents
                .push(json!({"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}));
        }
        if accepted {
            self.gateway.serves.insert(key, route["spec"].clone());
        } else if !attached {
            self.gateway.serves.remove(&key);
        }
        if parents != told {
            put(&mut route, "/status/parents", parents);
            self.write(Kind::HttpRoute, route, MANAGER, Some("status"));
        }
    }

    /// Only a change is refused: the route as it was found has traffic, so its controller had taken it.
    fn accepts(&self, key: &Key, route: &Value) -> Verdict {
        let first = self.gateway.first.get(key);
        if self.scenario == Scenario::RouteNotAccepted
            && first.is_some_and(|first| *first != weights(&route["spec"]))
        {
            return Verdict::new(
                "Accepted",
                false,
                "UnsupportedValue",
                "the proxies rejected this configuration: too many weighted clusters (at most 64); the last one that they \
                 accepted stays in use",
            );
        }
        Verdict::new("Accepted", true, "Accepted", "the route is accepted")
    }

    /// The first backend that cannot be found is named, and the rest of the rule still has its traffic.
    fn resolves(&self, route: &Value) -> Verdict {
        let backends = list(route, "/spec/rules").iter().flat_map(|rule| list(rule, "/backendRefs"));
        for backend in backends {
            if !is_service(backend) {
                let message = format!("backends of kind {} are not supported", text(backend, "/kind"));
                return Verdict::new("ResolvedRefs", false, "InvalidKind", message);
            }
            let namespace = text(route, "/metadata/namespace");
            if self.store.get(&Key::new(Kind::Service, namespace, name_of(backend))).is_none() {
                let message = format!("Service \"{}\" not found", name_of(backend));
                return Verdict::new("ResolvedRefs", false, "BackendNotFound", message);
            }
        }
        Verdict::new("ResolvedRefs", true, "ResolvedRefs", "all references are resolved")
    }

    /// The conditions that these verdicts make of those before. What holds as before has held since then.
    fn judged(&self, before: &[Value], verdicts: &[Verdict], generation: i64) -> Vec<Value> {
        let now = rfc3339(self.now);
        let judge = |verdict: &Verdict| {
            let status = if verdict.holds { "True" } else { "False" };
            let old = before.iter().find(|old| text(old, "/type") == verdict.kind);
            let since = old.filter(|old| text(old, "/status") == status);
            json!({
                "type": verdict.kind, "status": status, "reason": verdict.reason, "message": verdict.message,
                "observedGeneration": generation,
                "lastTransitionTime": since.map_or(now.as_str(), |old| text(old, "/lastTransitionTime")),
            })
        };
        verdicts.iter().map(judge).collect()
    }

    /// Where requests go that match this rule: Services with their shares, and the share that the gateway answers with an
    /// error of its own.
    pub(super) fn routed(&self, route: &str, rule: usize) -> (Vec<(String, f64)>, f64) {
        let served = self.gateway.serves.get(&self.key(Kind::HttpRoute, route));
        let Some(rule) = served.and_then(|spec| list(spec, "/rules").get(rule)) else {
            return (Vec::new(), 1.0);
        };
        let backends = list(rule, "/backendRefs");
        let total: f64 = backends.iter().map(|backend| to_float(weight(backend))).sum();
        if total <= 0.0 {
            return (Vec::new(), 1.0);
        }
        let mut refused = 0.0;
        let mut services = Vec::new();
        for backend in backends {
            let share = to_float(weight(backend)) / total;
            let key = self.key(Kind::Service, name_of(backend));
            if is_service(backend) && self.store.get(&key).is_some() {
                services.push((key.name, share));
            } else {
                refused += share;
            }
        }
        (services, refused)
    }

    // --- the beginning -----------------------------------------------------------------------------------------

    /// The route with its gateway and what else it leads to, where the world has one.
    pub(super) fn furnish_route(&mut self, born: i64) {
        let Directing::Route { name: route, rule } = self.furniture.directing.clone() else { return };
        let (namespace, service) = (self.namespace(), self.furniture.service.clone());
        let gateway = json!({
            "metadata": {"name": GATEWAY, "namespace": namespace},
            "spec": {
                "gatewayClassName": "example",
                "listeners": [{
                    "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "Same"}},
                }],
            },
            "status": {"addresses": [{"type": "IPAddress", "value": "203.0.113.10"}]},
        });
        self.create(Kind::Gateway, gateway, "kubectl-client-side-apply", born);
        let mut rules: Vec<Value> = (0..rule)
            .map(|number| {
                let name = format!("{service}-legacy");
                let prefix = json!({"path": {"type": "PathPrefix", "value": format!("/legacy/{number}")}});
                json!({"matches": [prefix], "backendRefs": [backend_ref(&name, 1)]})
            })
            .collect();
        if rule > 0 {
            let selector = json!({"app": format!("{service}-legacy")});
            self.furnish_one_service(&format!("{service}-legacy"), &selector, born);
        }
        let slots = self.furniture.slots.iter();
        let backends: Vec<Value> = slots
            .map(|(slot, furnished)| {
                let weight = if *slot == self.furniture.live { 100 } else { 0 };
                backend_ref(furnished.own_service(), weight)
            })
            .collect();
        rules.push(
            json!({"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}),
        );
        let spec = json!({
            "parentRefs": [{"group": GATEWAY_API, "kind": "Gateway", "name": GATEWAY}],
            "hostnames": [format!("{service}.example.com")],
            "rules": rules,
        });
        let object = json!({"metadata": {"name": route, "namespace": namespace}, "spec": spec});
        self.create(Kind::HttpRoute, object, "kubectl-client-side-apply", born);
        self.gateway.first.insert(self.key(Kind::HttpRoute, &route), weights(&spec));
        // It has been accepted for long.
        let now = std::mem::replace(&mut self.now, born);
        self.sync_gateway();
        self.now = now;
    }
}

/// A backend as people write it.
fn backend_ref(service: &str, weight: i64) -> Value {
    json!({"group": "", "kind": "Service", "name": service, "port": 80, "weight": weight})
}

/// The version of the spec that a status is about.
fn generation(object: &Value) -> i64 {
    int(object, "/metadata/generation")
}

fn name_of(reference: &Value) -> &str {
    text(reference, "/name")
}

/// A backend without group and kind is a Service.
fn is_service(backend: &Value) -> bool {
    text(backend, "/group").is_empty() && matches!(text(backend, "/kind"), "" | "Service")
}

/// A backend without a weight has 1.
fn weight(backend: &Value) -> i64 {
    backend["weight"].as_i64().unwrap_or(1)
}

/// The weights of every rule.
fn weights(spec: &Value) -> Vec<Vec<i64>> {
    list(spec, "/rules").iter().map(|rule| list(rule, "/backendRefs").iter().map(weight).collect()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a weight is at most a million")]
fn to_float(weight: i64) -> f64 {
    weight as f64
}
