//! Blue-green by a Service's selector: all of the traffic or none.
//!
//! What must hold for each write of ours, at the moment when it takes effect, unless somebody else has changed the target
//! since the look that allowed it:
//! - a switch gives the traffic to a slot that has ready pods;
//! - what takes pods away never concerns the slot that has the traffic, and leaves somebody who serves.
//!
//! And at the end of every history, once strangers rest and all pods have come up: a run that says that it has succeeded or
//! rolled back does not leave a Service without ready pods while any slot has some.

use serde_json::json;

use super::{Arrival, Rules, World, tell_histories};
use crate::domain::{
    action::{ActionKind, PatchAction, PatchType, Replicas, SlotRef},
    event::Outcome,
    fixture::{Flight, action, ground::Ground, runbook, trigger},
    id::SlotName,
    observation::Autoscaler,
    prompt::Prompt,
    runbook::{OnNoData, Runbook, Then, Window},
    time::{Span, Timestamp},
};

struct BlueGreen;

impl Rules for BlueGreen {
    fn stranger(&self, world: &mut World) {
        let name = if world.rng.bool() { "blue" } else { "green" };
        let which = world.rng.u8(0..9);
        let ground = &mut world.flight.ground;
        let object = match which {
            0 | 1 => {
                ground.points_at(name, "kubectl-patch");
                None
            }
            2 => {
                ground.selector.insert("tier".to_owned(), "nope".to_owned());
                "kubectl-edit".clone_into(&mut ground.manager);
                None
            }
            3 => {
                ground.selector.remove("tier");
                None
            }
            4 => {
                let slot = ground.slot(name);
                slot.desired = world.rng.u32(0..5);
                slot.ready = slot.ready.min(slot.desired);
                Some(name.into())
            }
            5 => {
                let slot = ground.slot(name);
                "app:v9".clone_into(&mut slot.image);
                (slot.ready, slot.generation) = (0, slot.generation + 1);
                Some(name.into())
            }
            6 => {
                let slot = ground.slot(name);
                slot.autoscaler = Some(Autoscaler { name: name.to_owned(), min: 1, max: 5 });
                slot.desired = world.rng.u32(1..4);
                slot.ready = slot.ready.min(slot.desired);
                Some(name.into())
            }
            _ => {
                let slot = ground.slot(name);
                slot.ready = slot.ready.saturating_sub(1);
                Some(name.into())
            }
        };
        world.tell(format!("stranger {which} on {name}"));
        world.changed(object, false);
    }

    fn pods_follow(&self, world: &mut World) {
        for slot in world.flight.ground.slots.values_mut() {
            slot.observed = true;
            if slot.ready < slot.desired && slot.image != "app:v9" {
                slot.ready += 1;
            }
            slot.ready = slot.ready.min(slot.desired);
        }
    }

    /// Pods follow later; those that are too many end at once, those of an old template do not count any more.
    fn touch_pods(&self, before: &Ground, after: &mut Ground) {
        for (name, slot) in &mut after.slots {
            let old = &before.slots[name];
            if old.image != slot.image {
                (slot.ready, slot.observed) = (0, false);
            }
            if old.desired != slot.desired {
                slot.observed = false;
            }
        }
    }

    fn judge_write(&self, world: &World, write: &Arrival) {
        if !write.undisturbed {
            return;
        }
        let Arrival { kind, object, before, after, seen, .. } = *write;
        let live = before.look(Timestamp(0)).live().cloned();
        match kind {
            ActionKind::SwitchTraffic { .. } if after.serving() == 0 => {
                world.fail("traffic went to a slot without ready pods")
            }
            ActionKind::Patch(_) if object.is_none() && after.serving() == 0 => {
                world.fail("a patch took the traffic to nowhere")
            }
            ActionKind::Patch(_) if object.is_some() && *object == live => {
                world.fail("a patch replaced the pods of the slot that has the traffic")
            }
            // Where no pod of its template serves, an image is put back.
            ActionKind::SetImage { .. } | ActionKind::Restart { .. }
                if *object == live
                    && live.as_ref().is_some_and(|live| seen.is_none_or(|seen| seen.serving(live) > 0)) =>
            {
                world.fail("the slot that has the traffic got another image")
            }
            ActionKind::Scale { .. } => {
                let slot = object.clone().unwrap();
                let fewer = after.slots[&slot].desired < before.slots[&slot].desired;
                if fewer && live.as_ref() == Some(&slot) {
                    world.fail("the slot that has the traffic was scaled down");
                }
                if fewer && before.serving() == 0 {
                    world.fail("the last pods were taken away");
                }
            }
            _ => {}
        }
    }

    fn judge_claim(&self, _: &World, _: Outcome) {}

    fn judge_end(&self, world: &World, outcome: Outcome) {
        let claims = matches!(outcome, Outcome::Succeeded | Outcome::RolledBack);
        let ground = &world.flight.ground;
        let pods: u32 = ground.slots.values().map(|slot| slot.ready).sum();
        if claims && ground.serving() == 0 && pods > 0 {
            world.fail(&format!("{outcome:?}, and the Service has no ready pods"));
        }
    }

    fn is_complete(&self, _: &Ground, _: &SlotName) -> Option<bool> {
        None
    }

    fn mend(&self, _: &mut World) {}
}

/// Where histories begin: before the image is set, before the switch, in the window, after it.
fn beginnings() -> Vec<Flight> {
    let mut book = runbook();
    book.triggers[0] = trigger(Then::Countdown(Span::from_secs(30)), Span::from_secs(15), OnNoData::Hold);
    book.steps[3].window = Some(Window { lasts: Span::from_secs(40) });
    let mut retire = book.steps[1].clone();
    retire.id = "retire".into();
    let down = ActionKind::Scale { slot: SlotRef::Previous, replicas: Replicas::Count(0) };
    (retire.run, retire.check, retire.undo) = (vec![action("retire", down)], Vec::new(), Vec::new());
    book.steps.push(retire);
    let mut retired = Flight::in_window(book.clone());
    retired.tick_checks();
    retired.fly(Span::from_secs(60));
    assert!(matches!(retired.prompt(), Prompt::Start { step: 4, .. }), "{:?}", retired.prompt());
    let window = || Flight::in_window(book.clone());
    let patching = patching(&book);
    vec![
        Flight::passed(book.clone(), 1),
        Flight::passed(book.clone(), 2),
        window(),
        window(),
        retired,
        Flight::passed(patching.clone(), 1),
        Flight::passed(patching.clone(), 2),
        Flight::in_window(patching),
    ]
}

/// The same with patches of the runbook's own, forth and back.
fn patching(book: &Runbook) -> Runbook {
    let patch = |kind: &str, name: &str, patch_type, patch| {
        ActionKind::Patch(PatchAction { kind: kind.to_owned(), name: name.into(), patch_type, patch })
    };
    let mut book = book.clone();
    let containers = json!([{ "name": "backend", "image": "app:v2" }]);
    let image = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    book.steps[1].run[0].kind = patch("deployment.apps/v1", "backend-green", PatchType::Merge, image);
    let forth = json!({ "spec": { "selector": { "version": "green" } } });
    book.steps[2].run[0].kind = patch("service", "backend", PatchType::Strategic, forth);
    let back = json!([{ "op": "add", "path": "/spec/selector/version", "value": "blue" }]);
    book.rollbacks[0].run[0].kind = patch("service", "backend", PatchType::Json, back);
    let down = json!({ "spec": { "replicas": 0 } });
    book.steps[4].run[0].kind = patch("deployment", "backend-blue", PatchType::Merge, down);
    book
}

#[test]
fn n1_n2_traffic_never_goes_to_nowhere_and_the_live_slot_keeps_its_pods() {
    tell_histories(&BlueGreen, &beginnings());
}
