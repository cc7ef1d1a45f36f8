//! The light beside the traffic: green only while a switch back would be let begin now, as far as the watched picture tells.

use crate::domain::{
    event::RunEvent,
    fixture::{Flight, runbook, workload},
    plan::Light,
    time::Span,
    workload::{Access, Connection, RolloutState, SlotWorkload, Workload},
};

/// The light in the window, on this picture, with its words.
fn light(change: impl FnOnce(&mut Workload)) -> (Light, String) {
    let flight = Flight::in_window(runbook());
    let access = Access { patch_service: Some(true), ..Access::default() };
    let mut picture = workload("green");
    picture.slots.get_mut("green").unwrap().image = "app:v2".to_owned();
    change(&mut picture);
    let seen = flight.run().readiness(Some(&picture), Some(&access), flight.now);
    (seen.light, seen.detail)
}

fn blue(change: impl FnOnce(&mut SlotWorkload)) -> (Light, String) {
    light(|picture| change(picture.slots.get_mut("blue").unwrap()))
}

#[test]
fn p1_each_row_of_the_guards_table_puts_the_light_out() {
    assert_eq!(light(|_| {}).0, Light::Ready);
    let rows = [
        (
            "the slot is not there",
            blue(|slot| *slot = SlotWorkload::default()),
            Light::NotReady,
            "no Deployment",
        ),
        (
            "another image",
            blue(|slot| slot.image = "app:v9".to_owned()),
            Light::NotReady,
            "blue runs v9 now, not v1",
        ),
        (
            "a new spec",
            blue(|slot| slot.rollout = RolloutState::Unobserved),
            Light::Slow,
            "has not caught up with blue's latest change",
        ),
        ("fewer ready", blue(|slot| slot.ready = 2), Light::NotReady, "blue 2/3 ready"),
        ("none ready", blue(|slot| slot.ready = 0), Light::NotReady, "blue 0/3 ready"),
        // Scaled down: its pods still look ready until they are told to end.
        ("about to end", blue(|slot| slot.desired = 0), Light::Slow, "blue 0/3 ready: scaled up first"),
        (
            "pods of before",
            blue(|slot| slot.updated = 1),
            Light::Slow,
            "blue 1/3 ready: its pods are being replaced",
        ),
        (
            "a label of somebody's",
            light(|picture| {
                let selector = picture.selector.as_mut().unwrap();
                selector.insert("tier".to_owned(), "nope".to_owned());
                picture.service_changed.as_mut().unwrap().manager = "kubectl-edit".to_owned();
            }),
            Light::Slow,
            "also selects by tier=nope, set by kubectl-edit",
        ),
        (
            "no Service",
            light(|picture| picture.selector = None),
            Light::NotReady,
            "the Service does not exist",
        ),
        (
            "not seen",
            light(|picture| picture.connection = Connection::Lost("no answer".to_owned())),
            Light::Slow,
            "cluster not seen",
        ),
    ];
    for (what, (light, words), wanted, says) in rows {
        assert_eq!(light, wanted, "{what}: {words}");
        assert!(words.contains(says), "{what}: {words}");
    }
}

#[test]
fn p1_whoever_may_not_write_has_no_green_light() {
    let mut flight = Flight::in_window(runbook());
    let access = Access { patch_service: Some(true), ..Access::default() };
    let seen = |flight: &Flight| flight.run().readiness(Some(&workload("green")), Some(&access), flight.now);
    assert_eq!(seen(&flight).light, Light::Ready);
    let lock = crate::domain::effect::Input::LockTaken { lock_id: "a".to_owned(), fence: 1, from: None };
    flight.feed(lock);
    assert_eq!(seen(&flight).light, Light::Ready);
    let uncertain =
        crate::domain::lock::LockState::Uncertain { since: flight.now, why: "no answer".to_owned() };
    flight.feed(crate::domain::effect::Input::Lock(uncertain));
    assert_eq!(seen(&flight).light, Light::Slow, "{:?}", seen(&flight));
    let lost = crate::domain::lock::LockState::Lost { why: "bob has it".to_owned(), by: None };
    flight.feed(crate::domain::effect::Input::Lock(lost));
    flight.fly(Span::from_secs(1));
    assert!(flight.events.iter().any(|envelope| matches!(envelope.event, RunEvent::LockLost { .. })));
    assert_eq!(seen(&flight).light, Light::NotReady);
    assert!(seen(&flight).detail.contains("bob has it"), "{:?}", seen(&flight));
}

#[test]
fn p1_undoing_is_not_ready_while_somebody_has_given_the_new_slot_the_traffic() {
    let flight = Flight::passed(runbook(), 2);
    let seen = |live: &str| flight.run().readiness(Some(&workload(live)), None, flight.now);
    assert_eq!(seen("blue").light, Light::Ready);
    let moved = seen("green");
    assert_eq!(
        (moved.light, moved.detail.as_str()),
        (Light::NotReady, "green has the traffic, set by cutover")
    );
}
