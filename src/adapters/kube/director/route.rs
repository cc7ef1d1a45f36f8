//! An `HTTPRoute` of the Gateway API, v1, whose rule weighs the slots' Services: what it says, and whether its gateways do it.
//!
//! The types are our own, with nothing but what is read here: see docs/decisions/0019. Nothing is ever written from them, so what
//! they leave out stays as it is.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::Deserialize;

use crate::{
    domain::{
        director::{Director, RouteRef, RuleRef},
        id::SlotName,
        observation::RouteSeen,
        runbook::Target,
        safe_text::SafeText,
        workload::{ChangedBy, RouteState},
    },
    engine::ports::PortResult,
};

use super::super::{
    KubeCluster,
    call::{Call, HTTP_ROUTES},
    fence::fence_of,
    view::newest,
};

/// An `HTTPRoute`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in super::super) struct HttpRoute {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    parent_refs: Vec<ParentRef>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    name: Option<String>,
    backend_refs: Vec<BackendRef>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BackendRef {
    group: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: String,
    weight: Option<u32>,
}

/// What a route hangs on: a Gateway, as a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ParentRef {
    group: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: String,
    section_name: Option<String>,
    port: Option<i32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    parents: Vec<ParentStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ParentStatus {
    parent_ref: ParentRef,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    observed_generation: i64,
    reason: String,
    message: String,
}

impl kube::Resource for HttpRoute {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(&(): &()) -> Cow<'_, str> {
        "HTTPRoute".into()
    }

    fn group(&(): &()) -> Cow<'_, str> {
        HTTP_ROUTES.group.clone()
    }

    fn version(&(): &()) -> Cow<'_, str> {
        HTTP_ROUTES.version.clone()
    }

    fn plural(&(): &()) -> Cow<'_, str> {
        HTTP_ROUTES.plural.clone()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A backend of the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Backend {
    /// The name as it stands in the route.
    pub(in super::super) name: String,
    /// What it weighs; 1 where that is not written.
    pub(in super::super) weight: u32,
    /// The slot whose Service it is.
    pub(in super::super) slot: Option<SlotName>,
}

/// What matters of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct RouteView {
    /// Its uid.
    pub(in super::super) uid: String,
    /// Its `resourceVersion`.
    pub(in super::super) version: String,
    /// The fence that it carries.
    pub(in super::super) fence: Option<u64>,
    /// Whether it has annotations to add one to.
    pub(in super::super) annotated: bool,
    /// The place of the rule in the route.
    pub(in super::super) rule: usize,
    /// The rule's backends, in order.
    pub(in super::super) backends: Vec<Backend>,
    /// Slots that other rules send traffic to.
    pub(in super::super) elsewhere: BTreeSet<SlotName>,
    /// Why its gateways do not carry it out, or not yet.
    pub(in super::super) unfit: Option<String>,
    /// Whether one of its gateways has not seen its latest change.
    pub(in super::super) lags: bool,
    /// Who last changed its rules.
    pub(in super::super) changed: Option<ChangedBy>,
}

impl RouteView {
    /// Takes what matters of a route for a target that it directs traffic to.
    pub(in super::super) fn of(route: &HttpRoute, target: &Target) -> Self {
        let metadata = &route.metadata;
        let (rule, found) = rule_of(route, target);
        let backends: Vec<Backend> = found.map(|rule| backends(rule, target)).unwrap_or_default();
        let no_rule = found.is_none().then(|| no_rule(route, target));
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata.resource_version.clone().unwrap_or_default(),
            fence: fence_of(metadata),
            annotated: metadata.annotations.as_ref().is_some_and(|all| !all.is_empty()),
            unfit: no_rule.or_else(|| named_twice(&backends)).or_else(|| not_carried_out(route)),
            lags: lags(route),
            elsewhere: elsewhere(route, rule, target),
            rule,
            backends,
            changed: newest(metadata.managed_fields.as_deref(), &["f:spec", "f:rules"]),
        }
    }

    /// What each slot's backend weighs.
    pub(in super::super) fn weights(&self) -> BTreeMap<SlotName, u32> {
        let mut weights = BTreeMap::new();
        for backend in &self.backends {
            if let Some(slot) = &backend.slot {
                let weight: &mut u32 = weights.entry(slot.clone()).or_default();
                *weight = weight.saturating_add(backend.weight);
            }
        }
        weights
    }

    /// The place of a slot's backend in the rule.
    pub(in super::super) fn place(&self, slot: &SlotName) -> Option<usize> {
        self.backends.iter().position(|backend| backend.slot.as_ref() == Some(slot))
    }

    /// What the backends of others weigh together.
    pub(in super::super) fn others(&self) -> u32 {
        let others = self.backends.iter().filter(|backend| backend.slot.is_none());
        others.fold(0, |sum, backend| sum.saturating_add(backend.weight))
    }

    /// As the guard gets it.
    pub(in super::super) fn seen(&self) -> RouteSeen {
        let weights = self.weights();
        RouteSeen {
            uid: self.uid.clone(),
            version: self.version.clone(),
            places: weights.keys().filter_map(|slot| Some((slot.clone(), self.place(slot)?))).collect(),
            weights,
            rule: self.rule,
            others: self.others(),
            unfit: self.unfit.clone(),
            lags: self.lags,
            elsewhere: self.elsewhere.clone(),
            changed: self.changed.clone(),
        }
    }

    /// As the screen gets it.
    pub(in super::super) fn state(&self) -> RouteState {
        RouteState {
            uid: self.uid.clone(),
            weights: self.weights(),
            unfit: self.unfit.clone(),
            lags: self.lags,
            elsewhere: self.elsewhere.clone(),
        }
    }
}

/// The place of the rule that is meant, and the rule, where there is one.
fn rule_of<'a>(route: &'a HttpRoute, target: &Target) -> (usize, Option<&'a Rule>) {
    let Director::Route(RouteRef { rule, .. }) = &target.director else { return (0, None) };
    let rules = &route.spec.rules;
    let place = match rule {
        RuleRef::Number(number) => Some(*number),
        RuleRef::Name(name) => rules.iter().position(|rule| rule.name.as_ref() == Some(name)),
    };
    (place.unwrap_or(0), place.and_then(|place| rules.get(place)))
}

/// Which rules there are: a number that was right before somebody put a rule in front is the usual cause.
fn no_rule(route: &HttpRoute, target: &Target) -> String {
    let rules = &route.spec.rules;
    let Director::Route(RouteRef { rule, .. }) = &target.director else {
        return "the runbook names none of its rules".to_owned();
    };
    let names: Vec<String> = (rules.iter().filter_map(|rule| rule.name.as_ref()))
        .map(|name| format!("`{}`", SafeText::new(name)))
        .collect();
    let named = if names.is_empty() { String::new() } else { format!(", named {}", names.join(", ")) };
    let rules = match rules.len() {
        1 => "1 rule".to_owned(),
        many => format!("{many} rules"),
    };
    format!("it has no {rule}: it has {rules}{named}, counted from 0")
}

/// A backend of another kind or namespace is none of ours, even if its name is that of a slot's Service.
fn backends(rule: &Rule, target: &Target) -> Vec<Backend> {
    let all = rule.backend_refs.iter().map(|backend| {
        let service = backend.kind.as_deref().is_none_or(|kind| kind == "Service")
            && backend.group.as_deref().is_none_or(str::is_empty)
            && backend.namespace.as_ref().is_none_or(|namespace| *namespace == target.namespace);
        let slot =
            target.slots.iter().find(|(_, slot)| service && slot.service.as_ref() == Some(&backend.name));
        Backend {
            name: backend.name.clone(),
            weight: backend.weight.unwrap_or(1),
            slot: slot.map(|(name, _)| name.clone()),
        }
    });
    all.collect()
}

/// A slot's Service that is named more than once cannot be given one weight.
fn named_twice(backends: &[Backend]) -> Option<String> {
    let twice = backends.iter().enumerate().find(|(at, backend)| {
        backend.slot.is_some() && backends[..*at].iter().any(|earlier| earlier.slot == backend.slot)
    });
    twice.map(|(_, backend)| {
        format!("its rule names service {} more than once: leave one", SafeText::new(&backend.name))
    })
}

/// Why the gateways do not carry a route out, or not yet, by what they say in its status.
fn not_carried_out(route: &HttpRoute) -> Option<String> {
    if route.status.parents.is_empty() || route.spec.parent_refs.is_empty() {
        return Some("no gateway has taken it up yet".to_owned());
    }
    let namespace = route.metadata.namespace.as_deref().unwrap_or_default();
    let generation = route.metadata.generation.unwrap_or(0);
    route.spec.parent_refs.iter().find_map(|parent| {
        let name = parent.words(namespace);
        let mut told =
            route.status.parents.iter().filter(|told| told.parent_ref.is(parent, namespace)).peekable();
        if told.peek().is_none() {
            return Some(format!("{name} has not taken it up yet"));
        }
        told.find_map(|told| {
            ["Accepted", "ResolvedRefs"].iter().find_map(|kind| told.lacks(kind, generation))
        })
        .map(|why| format!("{name} {why}"))
    })
}

/// Whether a gateway that has taken a route up has not seen its latest change, so that it may still do what the one before said.
/// Slots that rules beside the target's own send traffic to.
fn elsewhere(route: &HttpRoute, own: usize, target: &Target) -> BTreeSet<SlotName> {
    let others = route.spec.rules.iter().enumerate().filter(|(place, _)| *place != own);
    let backends = others.flat_map(|(_, rule)| backends(rule, target));
    backends.filter(|backend| backend.weight > 0).filter_map(|backend| backend.slot).collect()
}

/// A controller writes the generation that it has acted on. Until it is that of the spec, traffic flows by the weights of
/// before.
fn lags(route: &HttpRoute) -> bool {
    let generation = route.metadata.generation.unwrap_or(0);
    let told = route.status.parents.iter().flat_map(|parent| &parent.conditions);
    told.filter(|condition| condition.kind == "Accepted").any(|it| it.observed_generation < generation)
}

impl ParentStatus {
    /// Why a condition is not met, as it follows the gateway's name.
    fn lacks(&self, kind: &str, generation: i64) -> Option<String> {
        let Some(condition) = self.conditions.iter().find(|condition| condition.kind == kind) else {
            return Some(format!("has not said {kind} of it yet"));
        };
        if condition.observed_generation < generation {
            return Some("has not seen its latest change yet".to_owned());
        }
        if condition.status == "True" {
            return None;
        }
        let words: Vec<&str> = [condition.reason.as_str(), condition.message.as_str()]
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect();
        let words = SafeText::from(words.join(": "));
        let state = SafeText::new(&condition.status);
        Some(format!("says {kind} is {state}: {words}"))
    }
}

impl ParentRef {
    /// The defaults of the API: a reference that names neither means a Gateway.
    fn is_a(&self) -> (&str, &str) {
        let group = self.group.as_deref().unwrap_or("gateway.networking.k8s.io");
        (group, self.kind.as_deref().unwrap_or("Gateway"))
    }

    /// Whether two name the same parent, for a route in this namespace.
    fn is(&self, other: &Self, namespace: &str) -> bool {
        let place = |it: &Self| it.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        self.is_a() == other.is_a()
            && self.name == other.name
            && place(self) == place(other)
            && self.section_name == other.section_name
            && self.port == other.port
    }

    /// `gateway/public in namespace edge, listener https`.
    fn words(&self, namespace: &str) -> String {
        let kind = self.is_a().1.to_ascii_lowercase();
        let elsewhere = self.namespace.as_deref().filter(|other| *other != namespace);
        let elsewhere = elsewhere.map(|name| format!(" in namespace {name}")).unwrap_or_default();
        let section =
            self.section_name.as_ref().map(|name| format!(", listener {name},")).unwrap_or_default();
        SafeText::from(format!("{kind}/{}{elsewhere}{section}", self.name)).into()
    }
}

impl KubeCluster {
    /// The route that directs traffic, by name, where one does.
    pub(in super::super) fn route_name(&self) -> Option<&str> {
        match &self.target.director {
            Director::Route(route) => Some(&route.name),
            Director::Selector | Director::Replicas | Director::Rollout => None,
        }
    }

    /// The route now; nothing where there is none of this name.
    pub(in super::super) async fn find_route(&self, name: &str) -> PortResult<Option<RouteView>> {
        let route: Option<HttpRoute> = self.gateway.find(&self.get_route(name)).await?;
        Ok(route.map(|route| RouteView::of(&route, &self.target)))
    }

    pub(super) fn get_route(&self, name: &str) -> Call {
        Call::get(&HTTP_ROUTES, Some(&self.target.namespace), name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::fixture::canary_route;

    #[test]
    fn a_gateway_that_has_not_seen_the_latest_change_lags_and_one_that_refuses_it_does_not() {
        let target = canary_route().target.unwrap();
        let view = |generation: i64, seen: i64, status: &str| {
            let conditions: Vec<_> = ["Accepted", "ResolvedRefs"]
                .map(|kind| json!({ "type": kind, "status": status, "observedGeneration": seen, "reason": "Why" }))
                .into();
            let backends = json!([
                { "name": "backend-stable", "weight": 100 },
                { "name": "backend-canary", "weight": 0 },
            ]);
            let route = json!({
                "metadata": { "name": "backend", "namespace": target.namespace, "generation": generation },
                "spec": { "parentRefs": [{ "name": "public" }], "rules": [{ "backendRefs": backends }] },
                "status": { "parents": [{ "parentRef": { "name": "public" }, "conditions": conditions }] },
            });
            RouteView::of(&serde_json::from_value(route).unwrap(), &target).seen()
        };
        let current = view(3, 3, "True");
        assert!(!current.lags && current.unfit.is_none(), "{current:?}");
        let late = view(3, 2, "True");
        assert!(late.lags && late.unfit.unwrap().contains("has not seen its latest change yet"));
        // It has said what it makes of the route as it is: nothing.
        let refused = view(3, 3, "False");
        assert!(!refused.lags && refused.unfit.unwrap().contains("Accepted is False"));
    }
}
