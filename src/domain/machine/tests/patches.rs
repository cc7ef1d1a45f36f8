//! A runbook's own `patch` of what we deploy is looked at like every other act, and is our own doing afterwards.

mod shared;

use serde_json::{Value, json};

use crate::domain::{
    action::{ActionKind, PatchAction, PatchType},
    effect::{Effect, Input},
    event::{ActionOutcome, RunEvent},
    fixture::{Flight, action, at_step, runbook},
    message::Command,
    run::{ActionStatus, StepStatus},
    runbook::Runbook,
    time::Span,
};

const STRATEGIC: PatchType = PatchType::Strategic;
const MERGE: PatchType = PatchType::Merge;
const JSON: PatchType = PatchType::Json;

fn patch(kind: &str, name: &str, patch_type: PatchType, patch: Value) -> ActionKind {
    ActionKind::Patch(PatchAction { kind: kind.to_owned(), name: name.into(), patch_type, patch })
}

fn service(patch_type: PatchType, body: Value) -> ActionKind {
    patch("service", "backend", patch_type, body)
}

/// A runbook whose second step does nothing but this.
fn with(kind: ActionKind) -> Runbook {
    let mut book = runbook();
    book.steps[1].run = vec![action("patch", kind)];
    (book.steps[1].check, book.steps[1].undo) = (Vec::new(), Vec::new());
    book
}

/// A flight on which the patch is due, and what has become of it a second later.
fn flown(kind: ActionKind) -> Flight {
    let mut flight = Flight::passed(with(kind), 1);
    flight.start();
    flight.fly(Span::from_secs(1));
    flight
}

fn was_sent(flight: &Flight) -> bool {
    let patch = at_step("deploy", 1, 0);
    flight.effects.iter().any(|effect| match effect {
        Effect::StartAction(at) | Effect::StartGuarded { at, .. } => *at == patch,
        _ => false,
    })
}

/// Why the patch was not sent: what its action says, or waits for.
fn why(flight: &Flight) -> String {
    let state = &flight.run().step("deploy").unwrap().work.actions[0];
    state.waits.clone().unwrap_or_else(|| state.detail.clone())
}

#[test]
fn n1_a_patch_of_the_service_that_would_select_nobody_is_refused() {
    let red = json!({ "spec": { "selector": { "version": "red" } } });
    let add = |path: &str, value: Value| json!([{ "op": "add", "path": path, "value": value }]);
    let patches = [
        (STRATEGIC, red.clone()),
        (MERGE, red.clone()),
        (MERGE, json!({ "spec": { "selector": null } })),
        (MERGE, json!({ "spec": { "selector": { "version": null } } })),
        (MERGE, json!({ "spec": null })),
        (MERGE, json!({ "spec": { "type": "ExternalName", "externalName": "elsewhere.example.com" } })),
        (STRATEGIC, json!({ "spec": { "selector": { "$patch": "replace", "app": "maintenance" } } })),
        (STRATEGIC, json!({ "spec": { "selector": { "$patch": "delete" } } })),
        (STRATEGIC, json!({ "spec": { "$patch": "replace", "ports": [{ "port": 80 }] } })),
        (STRATEGIC, json!({ "spec": { "$retainKeys": ["ports"], "ports": [{ "port": 80 }] } })),
        // What it will be cannot be told.
        (MERGE, json!({ "spec": { "selector": { "version": "$BACKUP_ID" } } })),
        (MERGE, json!({ "spec": { "selector": { "version": 7 } } })),
        (JSON, add("/spec/selector/version", json!("red"))),
        (JSON, add("/spec/selector", json!({ "app": "maintenance" }))),
        (JSON, add("/spec", json!({ "ports": [] }))),
        (JSON, add("", json!({ "spec": {} }))),
        (JSON, add("/spec/type", json!("ExternalName"))),
        (JSON, json!([{ "op": "replace", "path": "/spec/selector/version", "value": "red" }])),
        (JSON, json!([{ "op": "remove", "path": "/spec/selector" }])),
        (JSON, json!([{ "op": "remove", "path": "/spec/selector/version" }])),
        (JSON, json!([{ "op": "move", "from": "/spec/selector/version", "path": "/spec/selector/v" }])),
        (JSON, json!([{ "op": "copy", "from": "/metadata/labels", "path": "/spec/selector" }])),
        (JSON, json!({ "spec": { "selector": { "version": "green" } } })),
    ];
    for (patch_type, body) in patches {
        // Nobody has taken the backup in this run: its id has no value.
        let mut book = with(service(patch_type, body.clone()));
        book.steps[0].run.remove(0);
        book.steps[0].undo.clear();
        let mut flight = Flight::passed(book, 1);
        flight.start();
        flight.fly(Span::from_secs(1));
        assert!(!was_sent(&flight), "{patch_type:?} {body}");
        assert_eq!(flight.status("deploy"), StepStatus::Failed, "{patch_type:?} {body}: {}", why(&flight));
        let told = why(&flight);
        assert!(
            ["would", "must be a list", "unknown what this patch does"]
                .iter()
                .any(|word| told.contains(word)),
            "{told}"
        );
    }
}

#[test]
fn n1_a_patch_that_moves_the_traffic_waits_for_as_many_pods_as_serve_now() {
    let green = || service(MERGE, json!({ "spec": { "selector": { "version": "green" } } }));
    let mut flight = Flight::passed(with(green()), 1);
    flight.ground.slot("green").ready = 2;
    flight.start();
    flight.fly(Span::from_secs(1));
    assert!(!was_sent(&flight), "two of three");
    assert!(why(&flight).contains("2 ready") && why(&flight).contains('3'), "{}", why(&flight));
    flight.ground.slot("green").ready = 3;
    flight.fly(Span::from_secs(2));
    assert!(was_sent(&flight), "{}", why(&flight));
    // Never, where they do not come.
    let mut flight = Flight::passed(with(green()), 1);
    flight.ground.slot("green").ready = 0;
    flight.start();
    flight.fly(Span::from_secs(400));
    assert!(!was_sent(&flight));
    assert_eq!(flight.status("deploy"), StepStatus::Failed);
    // And not by the old template's pods.
    let mut flight = Flight::passed(with(green()), 1);
    flight.ground.slot("green").observed = false;
    flight.start();
    flight.fly(Span::from_secs(2));
    assert!(!was_sent(&flight));
}

#[test]
fn where_time_runs_fast_an_act_waits_for_its_pods_in_real_time() {
    let body = json!({ "spec": { "selector": { "version": "green" } } });
    let mut flight = Flight::passed(with(service(MERGE, body)), 1);
    // One real second is 400 of the run: what takes a real one is not too late after 30 of them.
    flight.machine.allow_for(Span::from_secs(400));
    flight.ground.slot("green").ready = 0;
    // What was seen before is not fresh any more.
    flight.fly(Span::from_secs(300));
    flight.start();
    flight.fly(Span::from_secs(800));
    assert_eq!(flight.status("deploy"), StepStatus::Running, "{}", why(&flight));
    flight.ground.slot("green").ready = 3;
    flight.fly(Span::from_secs(200));
    assert!(was_sent(&flight), "{}", why(&flight));
}

#[test]
fn a_patch_that_moves_the_traffic_is_our_own_doing() {
    let add = json!([{ "op": "replace", "path": "/spec/selector/version", "value": "green" }]);
    let merge =
        json!({ "spec": { "selector": { "version": "green" } }, "metadata": { "labels": { "a": "b" } } });
    for (patch_type, body) in [(STRATEGIC, merge.clone()), (MERGE, merge), (JSON, add)] {
        let mut flight = flown(service(patch_type, body));
        assert!(was_sent(&flight), "{}", why(&flight));
        assert_eq!(flight.count("foreign_change"), 0, "{patch_type:?}");
        assert_eq!(flight.run().held, None);
        assert_eq!(flight.run().live, Some("green".into()), "{patch_type:?}");
        assert_eq!(flight.count("traffic_switched"), 1);
        assert!(flight.run().switched_at.is_some());
        flight.fly(Span::from_secs(3));
        // The traffic is on green: R brings it back.
        flight.command(Command::Rollback { reason: "slow".to_owned() });
        flight.settle();
        flight.fly(Span::from_secs(3));
        assert_eq!(flight.run().live, Some("blue".into()));
        assert_eq!(flight.ground.selector, crate::domain::fixture::ground::selector("blue"));
    }
}

#[test]
fn a_patch_that_leaves_the_selector_alone_begins_at_once_and_changes_no_belief() {
    for (patch_type, body) in [
        (MERGE, json!({ "metadata": { "annotations": { "note": "$DEPLOY_VERSION" } } })),
        (JSON, json!([{ "op": "add", "path": "/metadata/labels/release", "value": "v2" }])),
        (STRATEGIC, json!({ "spec": { "sessionAffinity": "ClientIP" } })),
        (MERGE, json!({ "metadata": { "annotations": { "backup": "$BACKUP_ID" } } })),
        (MERGE, json!({ "spec": { "selector": { "version": "blue" } } })),
    ] {
        let mut flight = flown(service(patch_type, body));
        flight.fly(Span::from_secs(2));
        assert!(was_sent(&flight), "{}", why(&flight));
        assert_eq!((flight.count("foreign_change"), flight.run().live.clone()), (0, Some("blue".into())));
    }
}

#[test]
fn a_patch_carries_the_look_that_allowed_it() {
    let flight = flown(service(MERGE, json!({ "metadata": { "annotations": { "a": "b" } } })));
    let patch = at_step("deploy", 1, 0);
    let guarded = |effect: &Effect| matches!(effect, Effect::StartGuarded { at, .. } if *at == patch);
    assert!(flight.effects.iter().any(guarded));
}

#[test]
fn n2_a_patch_does_not_take_pods_from_the_slot_that_has_the_traffic() {
    let none = json!({ "spec": { "replicas": 0 } });
    let remove = json!([{ "op": "replace", "path": "/spec/replicas", "value": 0 }]);
    let image = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "backend", "image": "app:v9" }] } } } });
    for kind in ["deployment", "Deployments", "deployment.apps/v1", "deployments.apps/v1"] {
        for (patch_type, body) in [(MERGE, &none), (STRATEGIC, &image), (JSON, &remove)] {
            let flight = flown(patch(kind, "backend-blue", patch_type, body.clone()));
            assert!(!was_sent(&flight), "{kind} {body}");
            assert_eq!(flight.status("deploy"), StepStatus::Failed);
            assert!(why(&flight).contains("blue has the traffic"), "{}", why(&flight));
        }
    }
    // Nor the last pods of all.
    let mut flight = Flight::passed(with(patch("deployment", "backend-green", MERGE, none)), 1);
    flight.ground.slot("blue").ready = 0;
    flight.start();
    flight.fly(Span::from_secs(2));
    assert!(!was_sent(&flight), "{}", why(&flight));
    assert!(why(&flight).contains("last"), "{}", why(&flight));
}

#[test]
fn what_a_patch_made_of_an_idle_slot_is_our_own_doing() {
    let containers = json!([{ "name": "backend", "image": "app:$DEPLOY_VERSION" }]);
    let both = json!({ "spec": { "replicas": 5, "template": { "spec": { "containers": containers } } } });
    let json_patch = json!([
        { "op": "replace", "path": "/spec/replicas", "value": 5 },
        { "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "app:v2" },
    ]);
    for (patch_type, body) in [(STRATEGIC, both.clone()), (MERGE, both), (JSON, json_patch)] {
        let mut flight = flown(patch("deployment.apps/v1", "backend-green", patch_type, body.clone()));
        flight.fly(Span::from_secs(2));
        assert!(was_sent(&flight), "{}", why(&flight));
        assert_eq!(flight.ground.slot("green").desired, 5);
        assert_eq!(flight.ground.slot("green").image, "app:v2");
        assert_eq!(flight.count("foreign_change"), 0, "{patch_type:?} {body}: {:?}", flight.run().foreign);
        assert_eq!(flight.run().held, None);
        // What somebody else does afterwards is not.
        flight.ground.slot("green").desired = 1;
        flight.command(Command::KeepLooking);
        flight.fly(Span::from_secs(2));
        assert_eq!(flight.count("foreign_change"), 1, "{patch_type:?}");
    }
    // How many there will be must be known.
    let unclear = json!([{ "op": "copy", "from": "/metadata/generation", "path": "/spec/replicas" }]);
    let flight = flown(patch("deployment", "backend-green", JSON, unclear));
    assert!(!was_sent(&flight), "{}", why(&flight));
}

#[test]
fn a_patch_whose_answer_was_lost_is_ruled_out_before_traffic_moves() {
    let moves = json!({ "spec": { "selector": { "version": "green" } } });
    let mut flight = Flight::passed(with(service(MERGE, moves)), 1);
    flight.outcomes.insert("patch".to_owned(), ActionOutcome::Unknown);
    flight.start();
    flight.fly(Span::from_secs(1));
    let status = flight.run().step("deploy").unwrap().work.actions[0].status;
    assert_eq!(status, ActionStatus::Unknown);
    flight.command(Command::Rollback { reason: "slow".to_owned() });
    let (resolution, evidence) = (None, "no answer".to_owned());
    flight.feed(Input::Verified { at: at_step("deploy", 1, 0), resolution, evidence });
    flight.settle();
    flight.fly(Span::from_secs(5));
    assert!(flight.effects.contains(&Effect::Settle(None)), "{:?}", flight.effects);
    let ended = |envelope: &crate::domain::event::Envelope| {
        matches!(envelope.event, RunEvent::RollbackFinished { ok: true, .. })
    };
    assert!(flight.events.iter().any(ended), "{:?}", flight.names());
}

#[test]
fn a_rollback_that_patches_goes_only_where_pods_are() {
    let mut book = runbook();
    let back = json!({ "spec": { "selector": { "version": "blue" } } });
    book.rollbacks[0].run[0].kind = service(MERGE, back);
    let mut flight = Flight::in_window(book);
    {
        let blue = flight.ground.slot("blue");
        (blue.ready, blue.follows) = (0, false);
    }
    flight.command(Command::Rollback { reason: "slow".to_owned() });
    flight.settle();
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.run().live, Some("green".into()), "{:?}", flight.names());
    assert!(flight.run().waiting_act().is_some());
    flight.ground.slot("blue").ready = 3;
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.run().live, Some("blue".into()));
    assert_eq!(flight.count("foreign_change"), 0);
}
