//! Patches of a route, of the Services that it leads to, and of the one Deployment.

use serde_json::{Value, json};

use super::super::shares::{opened, sipping};
use super::{JSON, MERGE, STRATEGIC, patch};
use crate::domain::{
    action::{ActionKind, PatchType},
    director::{Share, in_words},
    effect::{Effect, Input},
    event::{ActionOutcome, Outcome},
    fixture::{Flight, action, at_step, canary_route, rolling},
    message::Command,
    runbook::Runbook,
    time::Span,
};

const ROUTE: &str = "httproute.gateway.networking.k8s.io/v1";

/// A canary whose second step does nothing but this.
fn with(kind: ActionKind) -> Runbook {
    let mut book = canary_route();
    book.steps[1].run = vec![action("patch", kind)];
    book.steps[1].window = None;
    book
}

/// The patch is due, on this ground.
fn due(kind: ActionKind, ground: impl FnOnce(&mut Flight)) -> Flight {
    let mut flight = opened(with(kind));
    flight.start();
    flight.fly(Span::from_secs(2));
    ground(&mut flight);
    flight.start();
    flight.fly(Span::from_secs(1));
    flight
}

fn flown(kind: ActionKind) -> Flight {
    due(kind, |_| {})
}

fn was_sent(flight: &Flight, step: &str) -> bool {
    let patch = at_step(step, 1, 0);
    flight.effects.iter().any(|effect| match effect {
        Effect::StartAction(at) | Effect::StartGuarded { at, .. } => *at == patch,
        _ => false,
    })
}

/// Why a step's patch was not sent: what it waits for, or says.
fn why(flight: &Flight, step: &str) -> String {
    let state = &flight.run().step(step).unwrap().work.actions[0];
    state.waits.clone().unwrap_or_else(|| state.detail.clone())
}

fn selector(selector: Value) -> Value {
    json!({ "spec": { "selector": selector } })
}

#[test]
fn n1_a_patch_of_a_slots_own_service_does_not_take_its_pods_away() {
    let bodies = [
        (MERGE, selector(json!({ "track": "other" }))),
        (STRATEGIC, selector(json!({ "track": "other" }))),
        (MERGE, selector(Value::Null)),
        (MERGE, selector(json!({ "track": null }))),
        (MERGE, json!({ "spec": { "type": "ExternalName", "externalName": "elsewhere.example.com" } })),
        (STRATEGIC, selector(json!({ "$patch": "replace", "app": "app" }))),
        (JSON, json!([{ "op": "remove", "path": "/spec/selector/track" }])),
        (JSON, json!([{ "op": "add", "path": "/spec/selector", "value": { "app": "app" } }])),
        (MERGE, selector(json!({ "tier": "nope" }))),
    ];
    // Weight or none: the one that has none is where one goes, or comes from.
    for service in ["backend-stable", "backend-canary"] {
        for (patch_type, body) in &bodies {
            let flight = flown(patch("service", service, *patch_type, body.clone()));
            let told = why(&flight, "sip");
            assert!(!was_sent(&flight, "sip"), "{service} {patch_type:?} {body}");
            assert!(told.contains("would") || told.contains("unknown what"), "{service} {body}: {told}");
        }
    }
}

#[test]
fn a_patch_of_a_slots_own_service_that_leaves_its_pods_to_it_begins() {
    for (patch_type, body) in [
        (MERGE, json!({ "metadata": { "annotations": { "note": "$DEPLOY_VERSION" } } })),
        (STRATEGIC, json!({ "spec": { "sessionAffinity": "ClientIP" } })),
        (JSON, json!([{ "op": "remove", "path": "/spec/selector/app" }])),
        (MERGE, selector(json!({ "track": "stable" }))),
    ] {
        let flight = flown(patch("services", "backend-stable", patch_type, body.clone()));
        assert!(was_sent(&flight, "sip"), "{body}: {}", why(&flight, "sip"));
        assert_eq!(flight.count("foreign_change"), 0);
    }
    // One that is nobody's way to users is the runbook's own affair.
    let flight = flown(patch("service", "elsewhere", MERGE, selector(Value::Null)));
    assert!(was_sent(&flight, "sip"), "{}", why(&flight, "sip"));
}

/// The weights of canary and stable, as a JSON patch.
fn weights(canary: u32, stable: u32) -> Value {
    let set = |place: usize, weight: u32| json!({ "op": "replace", "path": format!("/spec/rules/0/backendRefs/{place}/weight"), "value": weight });
    json!([set(0, canary), set(1, stable)])
}

fn route(patch_type: PatchType, body: Value) -> ActionKind {
    patch(ROUTE, "backend", patch_type, body)
}

#[test]
fn n1_a_patch_of_the_route_that_leads_to_nobody_is_refused() {
    let refs = |of: Value| json!({ "spec": { "rules": [{ "backendRefs": of }] } });
    let add = |path: &str, value: Value| json!([{ "op": "add", "path": path, "value": value }]);
    for (patch_type, body) in [
        (JSON, weights(0, 0)),
        (MERGE, json!({ "spec": null })),
        (MERGE, json!({ "spec": { "rules": [] } })),
        (MERGE, refs(json!([{ "name": "backend-stable", "weight": 1 }]))),
        (
            MERGE,
            refs(
                json!([{ "name": "backend-stable", "weight": "$DEPLOY_VERSION" }, { "name": "backend-canary" }]),
            ),
        ),
        (JSON, add("/spec/rules/0", json!({ "backendRefs": [] }))),
        (JSON, add("/spec/rules/0/backendRefs/0", json!({ "name": "elsewhere", "weight": 1 }))),
        (JSON, add("/spec/rules", json!([]))),
        (JSON, json!([{ "op": "remove", "path": "/spec/rules/0" }])),
        (JSON, json!([{ "op": "remove", "path": "/spec/rules/0/backendRefs/1" }])),
        (JSON, json!([{ "op": "move", "from": "/spec/rules/1", "path": "/spec/rules/0" }])),
        // Users that another rule sends to a slot are on it whatever it weighs.
        (JSON, add("/spec/rules/-", json!({ "backendRefs": [{ "name": "backend-canary" }] }))),
        (JSON, json!([{ "op": "copy", "from": "/spec/rules/0", "path": "/spec/rules/-" }])),
        (
            JSON,
            json!([{ "op": "copy", "from": "/metadata/labels", "path": "/spec/rules/0/backendRefs/0/weight" }]),
        ),
    ] {
        let flight = flown(route(patch_type, body.clone()));
        assert!(!was_sent(&flight, "sip"), "{patch_type:?} {body}");
        let told = why(&flight, "sip");
        assert!(told.contains("would") || told.contains("unknown what"), "{body}: {told}");
        assert_eq!(flight.ground.weights["stable"], 100);
    }
}

#[test]
fn n1_a_patch_of_the_weights_waits_for_pods_like_a_shift_and_is_our_own_doing() {
    let flight = due(route(JSON, weights(50, 50)), |flight| {
        flight.ground.slot("canary").ready = 0;
        flight.ground.slot("canary").follows = false;
    });
    assert!(!was_sent(&flight, "sip"));
    assert!(why(&flight, "sip").contains("needed for 50 % of the traffic"), "{}", why(&flight, "sip"));
    let refs =
        json!([{ "name": "backend-canary", "weight": 50 }, { "name": "backend-stable", "weight": 50 }]);
    let merge = json!({ "spec": { "rules": [{ "backendRefs": refs }] } });
    for (patch_type, body) in [(JSON, weights(50, 50)), (MERGE, merge)] {
        let mut flight = flown(route(patch_type, body));
        assert!(was_sent(&flight, "sip"), "{}", why(&flight, "sip"));
        flight.fly(Span::from_secs(3));
        assert_eq!((flight.count("foreign_change"), flight.run().held.clone()), (0, None));
        assert_eq!(in_words(&flight.run().shares), "50 % canary, 50 % stable");
        assert!(flight.run().switched_at.is_some(), "users meet the new version");
        assert_eq!(flight.run().shares["canary"], Share::of_thousand(500));
        flight.command(Command::Rollback { reason: "slow".to_owned() });
        flight.fly(Span::from_secs(5));
        assert_eq!(flight.ground.weights["canary"], 0);
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
    }
}

#[test]
fn a_patch_of_the_route_that_leaves_the_weights_alone_begins() {
    for (patch_type, body) in [
        (MERGE, json!({ "metadata": { "labels": { "a": "b" } } })),
        (MERGE, json!({ "spec": { "hostnames": ["shop.example.com"] } })),
        (
            JSON,
            json!([{ "op": "add", "path": "/spec/rules/-", "value": { "backendRefs": [{ "name": "other" }] } }]),
        ),
        (JSON, json!([{ "op": "add", "path": "/spec/rules/0/timeouts", "value": { "request": "10s" } }])),
    ] {
        let flight = flown(route(patch_type, body.clone()));
        assert!(was_sent(&flight, "sip"), "{body}: {}", why(&flight, "sip"));
        assert_eq!(flight.run().switched_at, None, "{body}");
    }
}

#[test]
fn a_rollback_that_patches_the_weights_goes_only_where_pods_are() {
    let mut book = canary_route();
    book.rollbacks[0].run[0].kind = route(JSON, weights(0, 100));
    let mut flight = sipping(book);
    let stable = flight.ground.slot("stable");
    (stable.ready, stable.follows) = (0, false);
    flight.command(Command::Rollback { reason: "slow".to_owned() });
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 5, "{:?}", flight.names());
    flight.ground.slot("stable").ready = 3;
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 0);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
}

#[test]
fn a_patch_of_the_weights_whose_answer_was_lost_counts_as_a_switch_that_may_come() {
    let mut flight = due(route(JSON, weights(50, 50)), |flight| {
        flight.outcomes.insert("patch".to_owned(), ActionOutcome::Unknown);
    });
    assert!(flight.run().switch_begun(), "users may meet it");
    flight.command(Command::Rollback { reason: "slow".to_owned() });
    let (resolution, evidence) = (None, "no answer".to_owned());
    flight.feed(Input::Verified { at: at_step("sip", 1, 0), resolution, evidence });
    flight.settle();
    flight.fly(Span::from_secs(5));
    assert!(flight.effects.contains(&Effect::Settle(None)), "{:?}", flight.effects);
}

#[test]
fn n2_a_patch_of_the_one_deployment_says_what_its_rollout_leaves() {
    let image = json!({ "spec": { "containers": [{ "name": "backend", "image": "app:v2" }] } });
    let strategy = json!({ "rollingUpdate": { "maxUnavailable": "100%" } });
    let labels = |labels: Value| json!({ "spec": { "template": { "metadata": { "labels": labels } } } });
    let op = |path: &str, value: Value| json!({ "op": "add", "path": path, "value": value });
    let image_at = "/spec/template/spec/containers/0/image";
    let rows = [
        (STRATEGIC, json!({ "spec": { "strategy": strategy, "template": image } }), Some("at once")),
        (MERGE, json!({ "spec": { "strategy": null, "template": image } }), Some("at once")),
        (
            JSON,
            json!([op("/spec/strategy", strategy.clone()), op(image_at, json!("app:v2"))]),
            Some("at once"),
        ),
        (MERGE, labels(json!({ "app": "other" })), Some("nobody would be sent to them")),
        (
            STRATEGIC,
            labels(json!({ "$patch": "replace", "tier": "web" })),
            Some("nobody would be sent to them"),
        ),
        (
            JSON,
            json!([{ "op": "remove", "path": "/spec/template/metadata/labels/app" }]),
            Some("nobody would be sent"),
        ),
        (MERGE, labels(json!({ "app": "$BACKUP_ID" })), Some("not known")),
        (STRATEGIC, json!({ "spec": { "template": image } }), None),
        (MERGE, labels(json!({ "release": "v2" })), None),
        (MERGE, json!({ "spec": { "strategy": strategy } }), None),
    ];
    for (patch_type, body, against) in rows {
        let mut book = rolling();
        book.steps[0].run = vec![action("patch", patch("deployment", "backend", patch_type, body.clone()))];
        let mut flight = opened(book);
        flight.start();
        assert_eq!(was_sent(&flight, "deploy"), against.is_none(), "{body}: {}", why(&flight, "deploy"));
        let told = why(&flight, "deploy");
        assert!(against.is_none_or(|words| told.contains(words)), "{body}: {told}");
    }
}
