//! The histories of each strategy: where they begin, and their tests.

use serde_json::json;

use super::{super::shares, shared::Shared, tell_histories};
use crate::domain::{
    action::{Action, ActionKind, PatchAction, PatchType, Replicas, SlotRef},
    event::ActionOutcome,
    fixture::{Flight, action, canary_replicas, canary_route, recreate, rolling, sip, trigger},
    id::QUICK,
    prompt::Prompt,
    run::ActionStatus,
    runbook::{OnNoData, Runbook, Step, Then, Window},
    time::Span,
};

fn shorter(mut book: Runbook) -> Runbook {
    book.triggers[0] = trigger(Then::Countdown(Span::from_secs(30)), Span::from_secs(15), OnNoData::Hold);
    for step in &mut book.steps {
        if step.window.is_some() {
            step.window = Some(Window { lasts: Span::from_secs(40) });
        }
    }
    book
}

fn scale(name: &str, slot: SlotRef, count: u32) -> Action {
    action(name, ActionKind::Scale { slot, replicas: Replicas::Count(count) })
}

/// A step more, in which what is not needed any more is stopped.
fn retire(book: &mut Runbook, slot: SlotRef) {
    let mut step: Step = book.steps[0].clone();
    step.id = "retire".into();
    (step.run, step.undo) = (vec![scale("retire", slot, 0)], Vec::new());
    book.steps.push(step);
}

fn undo_deploy(book: &mut Runbook, kind: ActionKind) {
    book.steps[0].undo = vec![action("undo", kind)];
}

fn old_image() -> ActionKind {
    ActionKind::SetImage { slot: SlotRef::New, container: None, image: "app:v0".into() }
}

/// One more step begins; waits for pods end as pods say.
fn next(flight: &mut Flight) {
    flight.start();
    shares::watch(flight);
    let waits = |flight: &Flight| {
        let running = |(at, state): (_, &crate::domain::run::ActionState)| {
            (state.status == ActionStatus::Running).then_some(at)
        };
        flight.run().all_actions().find_map(running)
    };
    // A rollout is paused after its first pod.
    if flight.run().is_one_deployment() && waits(flight).is_none() && flight.run().waiting_act().is_some() {
        flight.ground.roll();
        shares::watch(flight);
        flight.fly(Span::from_secs(2));
    }
    if flight.run().is_one_deployment() && waits(flight).is_some() {
        shares::roll(flight);
    }
    if let Some(at) = waits(flight) {
        flight.finish(at, ActionOutcome::Succeeded);
        flight.settle();
    }
    shares::watch(flight);
    flight.fly(Span::from_secs(2));
}

fn through(flight: &mut Flight) {
    for _ in 0..30 {
        if !matches!(flight.prompt(), Prompt::Checking { .. }) {
            return;
        }
        shares::watch(flight);
        flight.fly(Span::from_secs(5));
    }
    panic!("{:?}", flight.prompt());
}

/// A beginning before every step, in every window, and at the end.
fn beginnings(book: &Runbook, hangs: &[&str]) -> Vec<Flight> {
    let mut flight = shares::opened(book.clone());
    flight.hanging.extend(hangs.iter().map(|name| (*name).to_owned()));
    let mut found = vec![flight.clone()];
    for step in 0..book.steps.len() {
        if hangs.iter().any(|name| book.steps[step].run.iter().any(|action| action.name == *name)) {
            let mut begun = flight.clone();
            begun.start();
            shares::watch(&mut begun);
            found.push(begun);
        }
        next(&mut flight);
        if matches!(flight.prompt(), Prompt::Checking { .. }) {
            found.push(flight.clone());
        }
        through(&mut flight);
        found.push(flight.clone());
        assert_eq!(flight.run().current().unwrap_or(book.steps.len()), step + 1, "{:?}", flight.prompt());
    }
    found
}

#[test]
fn n1_n2_rolling_leaves_somebody_who_answers_and_goes_back_whole() {
    let mut book = shorter(rolling());
    undo_deploy(&mut book, ActionKind::Revert { slot: SlotRef::Previous });
    let mut halting = book.clone();
    let mut rest = halting.steps[0].clone();
    rest.id = "rest".into();
    rest.run[0] = action("resume", ActionKind::Resume { slot: SlotRef::New });
    halting.steps[0].run[1] = action("pause", ActionKind::Pause { slot: SlotRef::New });
    halting.steps.insert(1, rest);
    let mut all = beginnings(&book, &["rollout"]);
    all.extend(beginnings(&halting, &["rollout"]));
    tell_histories(&Shared, &all);
}

#[test]
fn n1_n2_recreate_ends_with_somebody_who_answers() {
    let mut book = shorter(recreate());
    undo_deploy(&mut book, ActionKind::Revert { slot: SlotRef::Previous });
    tell_histories(&Shared, &beginnings(&book, &["rollout"]));
}

#[test]
fn n1_n2_a_canary_by_route_has_pods_for_its_weight_and_goes_back_whole() {
    let mut book = shorter(canary_route());
    undo_deploy(&mut book, old_image());
    retire(&mut book, SlotRef::New);
    let quick = book.rollbacks.iter_mut().find(|procedure| procedure.id.as_str() == QUICK).unwrap();
    quick.run.push(scale("empty", SlotRef::New, 0));
    let mut all = beginnings(&book, &["promoted"]);
    all.extend(beginnings(&patching(&book), &["promoted"]));
    tell_histories(&Shared, &all);
}

/// The same with weights that the runbook patches itself, forth and back, and pods that it takes in the same way.
fn patching(book: &Runbook) -> Runbook {
    let patch = |kind: &str, name: &str, patch_type, patch| {
        ActionKind::Patch(PatchAction { kind: kind.to_owned(), name: name.into(), patch_type, patch })
    };
    let weigh = |canary: u32, stable: u32| {
        let set = |place: usize, weight: u32| json!({ "op": "add", "path": format!("/spec/rules/0/backendRefs/{place}/weight"), "value": weight });
        let kind = "httproute.gateway.networking.k8s.io/v1";
        patch(kind, "backend", PatchType::Json, json!([set(0, canary), set(1, stable)]))
    };
    let mut book = book.clone();
    book.steps[1].run[0].kind = weigh(5, 95);
    book.steps[2].run[0].kind = weigh(50, 50);
    book.steps[3].run[2].kind = weigh(0, 100);
    let none = json!({ "spec": { "replicas": 0 } });
    book.steps[4].run[0].kind = patch("deployment", "backend-canary", PatchType::Merge, none);
    let quick = book.rollbacks.iter_mut().find(|procedure| procedure.id.as_str() == QUICK).unwrap();
    quick.run[0].kind = weigh(0, 100);
    book
}

#[test]
fn n1_n2_a_canary_by_pods_leaves_somebody_who_answers_and_goes_back_whole() {
    let mut book = shorter(canary_replicas());
    undo_deploy(&mut book, old_image());
    retire(&mut book, SlotRef::New);
    tell_histories(&Shared, &beginnings(&book, &["promoted"]));
}

#[test]
fn n1_n2_a_sip_has_pods_for_its_weight_and_the_live_slot_keeps_its_own() {
    let mut book = shorter(sip());
    undo_deploy(&mut book, old_image());
    retire(&mut book, SlotRef::Previous);
    tell_histories(&Shared, &beginnings(&book, &[]));
}
