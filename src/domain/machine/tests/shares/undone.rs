//! The end of a rollback that undoes the steps: traffic has not moved, and still users must be on the version from before, alone.

use super::{opened, rolls_back, watch};
use crate::domain::{
    action::{ActionKind, SlotRef},
    effect::Input,
    event::{ActionOutcome, ActionRef, Outcome, Place},
    fixture::{Flight, action, canary_replicas, recreate, rolling, sip},
    message::Command,
    observation::Autoscaler,
    plan::Light,
    prompt::Prompt,
    runbook::Runbook,
    time::Span,
};

/// A run that has just opened; its first step can be undone.
fn undoable(mut runbook: Runbook, undo: ActionKind) -> Flight {
    runbook.steps[0].undo = vec![action("undo", undo)];
    opened(runbook)
}

fn old_image() -> ActionKind {
    ActionKind::SetImage { slot: SlotRef::New, container: None, image: "app:v0".into() }
}

fn stopped(flight: &Flight) -> String {
    match flight.prompt() {
        Prompt::RollbackStopped { reason, .. } => reason,
        other => panic!("{other:?}: {:?}", flight.run().rollbacks.last()),
    }
}

fn goes_on(flight: &mut Flight) {
    flight.command(Command::RetryRollback);
    flight.settle();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
}

#[test]
fn it_is_not_done_on_another_template_of_the_same_image() {
    for runbook in [rolling(), recreate()] {
        let mut flight = undoable(runbook, ActionKind::Revert { slot: SlotRef::Previous });
        flight.outcomes.insert("image".to_owned(), ActionOutcome::Failed);
        flight.start();
        flight.hanging.insert("undo".to_owned());
        rolls_back(&mut flight);
        // Undone; and then somebody restarts the pods, none of which is ready yet.
        flight.ground.rolled = true;
        let place = Place::Undo { step: "deploy".into() };
        flight.feed(Input::ActionFinished {
            at: ActionRef { place, attempt: 1, action: 0 },
            outcome: ActionOutcome::Succeeded,
            detail: "undone".to_owned(),
            took: Span::ZERO,
            output: None,
        });
        flight.fly(Span::from_secs(10));
        let why = stopped(&flight);
        assert!(why.contains("another one, with v1 too"), "{why}");
        flight.ground.rolled = false;
        goes_on(&mut flight);
    }
}

#[test]
fn it_is_not_done_on_an_image_of_somebody_elses_that_was_accepted() {
    let mut flight = undoable(sip(), old_image());
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.ground.slot("stable").image = "app:v3".to_owned();
    flight.ground.slot("stable").manager = "kubectl-set".to_owned();
    watch(&mut flight);
    flight.fly(Span::from_secs(5));
    flight.command(Command::TakeTarget);
    assert_eq!((flight.refused.clone(), flight.run().held.clone()), (None, None));
    let shown = super::picture(&flight);
    let light = flight.run().readiness(Some(&shown), None, flight.now);
    assert!(
        light.light == Light::NotReady && light.detail.contains("stable runs v3 now, not v1"),
        "{light:?}"
    );
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(10));
    let why = stopped(&flight);
    assert!(why.contains("v3, not v1 (changed by kubectl-set, accepted since)"), "{why}");
    assert_eq!(flight.ground.slots["canary"].image, "app:v0", "what is this run's is undone");
    flight.ground.slot("stable").image = "app:v1".to_owned();
    goes_on(&mut flight);
}

#[test]
fn it_is_not_done_while_pods_of_the_canary_are_ordered() {
    let mut flight = undoable(canary_replicas(), old_image());
    flight.start();
    flight.fly(Span::from_secs(2));
    let slot = flight.ground.slot("canary");
    (slot.desired, slot.ready, slot.follows) = (4, 0, false);
    slot.autoscaler = Some(Autoscaler { name: "canary".to_owned(), min: 1, max: 5 });
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(10));
    let why = stopped(&flight);
    assert!(why.contains("canary has 4 replicas"), "{why}");
    (flight.ground.slot("canary").desired, flight.ground.slot("canary").autoscaler) = (0, None);
    goes_on(&mut flight);
}

#[test]
fn it_is_done_where_nobody_else_has_changed_anything() {
    for runbook in [sip(), canary_replicas()] {
        let mut flight = undoable(runbook, old_image());
        flight.start();
        flight.fly(Span::from_secs(2));
        rolls_back(&mut flight);
        flight.fly(Span::from_secs(10));
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
    }
}

#[test]
fn it_waits_until_the_controller_has_acted_on_what_was_last_ordered() {
    let mut flight = undoable(sip(), old_image());
    flight.start();
    flight.fly(Span::from_secs(2));
    // A restart, say: the image is the same, and its pods are about to be replaced.
    flight.ground.slot("stable").observed = false;
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.outcome(), None, "what is seen of its pods was before that");
    let mut late = flight.clone();
    late.fly(Span::from_mins(5));
    let why = stopped(&late);
    assert!(why.contains("has not caught up with stable"), "{why}");
    flight.ground.slot("stable").observed = true;
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
}
