//! The way back where a slot can have a part of the traffic: whole, proved, and never through nowhere.

use super::{at_deploy, begun, light::light, opened, roll, rolls_back, sipping, through_window, watch};
use crate::domain::{
    director::{NEW_REVISION, OLD_REVISION},
    effect::Effect,
    event::{ActionOutcome, Outcome, Resolution},
    fixture::{Flight, canary_replicas, canary_route, recreate, rolling},
    message::Command,
    observation::Autoscaler,
    plan::Light,
    prompt::Prompt,
    runbook::Runbook,
    time::Span,
};

/// A canary whose promotion has passed: it has no traffic any more.
fn promoted(runbook: Runbook) -> Flight {
    let mut flight = sipping(runbook);
    through_window(&mut flight);
    flight.start();
    through_window(&mut flight);
    flight.start();
    watch(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.slots["stable"].image, "app:v2");
    flight
}

fn stopped(flight: &Flight) -> String {
    match flight.prompt() {
        Prompt::RollbackStopped { reason, .. } => reason,
        other => panic!("{other:?}: {:?}, {:?}", flight.run().waiting_act(), flight.run().rollbacks.last()),
    }
}

#[test]
fn a_promotion_is_taken_back_though_the_canary_has_no_pods_any_more() {
    for runbook in [canary_replicas(), canary_route()] {
        let mut flight = promoted(runbook);
        rolls_back(&mut flight);
        flight.fly(Span::from_secs(10));
        assert_eq!(flight.ground.slots["stable"].image, "app:v1", "{:?}", flight.acted());
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
    }
}

#[test]
fn a_promotion_whose_answer_was_lost_is_taken_back_when_it_arrives_late() {
    let mut flight = sipping(canary_route());
    through_window(&mut flight);
    flight.start();
    through_window(&mut flight);
    flight.outcomes.insert("promote".to_owned(), ActionOutcome::Unknown);
    flight.start();
    let Prompt::Unknown { at } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    flight.command(Command::Resolve { at, resolution: Resolution::NotDone });
    flight.ground.slot("stable").image = "app:v2".to_owned();
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.slots["stable"].image, "app:v1", "{:?}", flight.acted());
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
}

#[test]
fn a_rollback_is_not_done_while_the_gateway_does_not_carry_out_the_route() {
    let mut flight = sipping(canary_route());
    flight.ground.unfit = Some("Accepted is False: no such listener".to_owned());
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.ground.weights["canary"], 0, "the weights are set all the same");
    assert_eq!(flight.outcome(), None, "users may still be on the canary");
    flight.ground.unfit = None;
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    let mut flight = sipping(canary_route());
    flight.ground.unfit = Some("Accepted is False: no such listener".to_owned());
    rolls_back(&mut flight);
    flight.fly(Span::from_mins(6));
    let why = stopped(&flight);
    assert!(why.contains("no such listener"), "{why}");
}

#[test]
fn a_run_has_not_succeeded_while_a_part_of_the_users_has_no_pods() {
    let mut flight = promoted(canary_route());
    flight.ground.unfit = Some("Accepted is False: no such listener".to_owned());
    flight.start();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), None);
    assert!(matches!(flight.prompt(), Prompt::Failed { step: None }), "{:?}", flight.prompt());
}

#[test]
fn a_rollback_is_not_done_while_pods_of_the_canary_are_ordered() {
    let mut flight = sipping(canary_replicas());
    flight.hanging.insert("empty".to_owned());
    rolls_back(&mut flight);
    // Somebody wants pods of it that are not ready yet.
    (flight.ground.slot("canary").desired, flight.ground.slot("canary").follows) = (4, false);
    let at = crate::domain::fixture::at_quick(1, 1);
    flight.feed(crate::domain::effect::Input::ActionFinished {
        at,
        outcome: ActionOutcome::Succeeded,
        detail: "scaled".to_owned(),
        took: Span::ZERO,
        output: None,
    });
    flight.fly(Span::from_secs(10));
    let why = stopped(&flight);
    assert!(why.contains("canary has 4 replicas"), "{why}");
    flight.command(Command::RetryRollback);
    flight.settle();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.slots["canary"].desired, 0);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
}

#[test]
fn revisions_of_one_deployment_do_not_change_their_roles() {
    let mut flight = opened(rolling());
    // Somebody has rolled it before anything was done, and scaled it too.
    flight.ground.rolled = true;
    for (name, ready) in [(OLD_REVISION, 0), (NEW_REVISION, 2)] {
        let slot = flight.ground.slot(name);
        (slot.desired, slot.ready) = (2, ready);
    }
    watch(&mut flight);
    flight.fly(Span::from_secs(2));
    flight.command(Command::TakeTarget);
    let why = flight.refused.clone().unwrap();
    assert!(why.contains("another revision"), "{why}");
    assert_eq!(flight.run().opened.new_slot.as_ref().unwrap().as_str(), NEW_REVISION);
}

#[test]
fn a_rollback_is_not_done_on_another_template() {
    let mut flight = begun(rolling());
    flight.ground.roll();
    flight.hanging.insert("rollout back".to_owned());
    rolls_back(&mut flight);
    roll(&mut flight);
    // A template of somebody else's, no pod of which is ready yet.
    flight.ground.slot(NEW_REVISION).image = "app:v9".to_owned();
    for slot in flight.ground.slots.values_mut() {
        slot.manager = "kubectl-set".to_owned();
    }
    let at = crate::domain::fixture::at_quick(1, 1);
    flight.finish(at, ActionOutcome::Succeeded);
    flight.fly(Span::from_secs(10));
    let why = stopped(&flight);
    assert!(why.contains("v9") && why.contains("kubectl-set"), "{why}");
    // What brings traffic back is done again where somebody has taken it away since.
    flight.hanging.clear();
    flight.command(Command::RetryRollback);
    flight.settle();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v1");
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
}

#[test]
fn a_write_that_may_still_arrive_is_ruled_out_before_a_revert() {
    let mut flight = opened(rolling());
    flight.outcomes.insert("image".to_owned(), ActionOutcome::Unknown);
    flight.start();
    flight.feed(crate::domain::effect::Input::Verified {
        at: at_deploy(0),
        resolution: None,
        evidence: "no answer".to_owned(),
    });
    assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v1", "it has not arrived");
    rolls_back(&mut flight);
    let settled = flight.effects.iter().position(|effect| matches!(effect, Effect::Settle(Some(_))));
    let reverted = flight.effects.iter().rposition(|effect| matches!(effect, Effect::StartGuarded { .. }));
    assert!(settled.is_some() && settled < reverted, "{:?}", flight.effects);
}

#[test]
fn pods_that_may_still_be_ordered_are_ruled_out_before_a_canary_goes() {
    let mut flight = opened(canary_replicas());
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.outcomes.insert("5 %".to_owned(), ActionOutcome::Unknown);
    flight.start();
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(5));
    let canary = Effect::Settle(Some("canary".into()));
    assert!(flight.effects.contains(&canary), "{:?}", flight.effects);
}

#[test]
fn a_revert_does_not_take_all_pods_that_answer_at_once() {
    let ready = |flight: &mut Flight, old, new| {
        flight.now = flight.now + Span::from_secs(1);
        flight.ground.kept = 0;
        flight.ground.slot(OLD_REVISION).ready = old;
        flight.ground.slot(NEW_REVISION).ready = new;
        rolls_back(flight);
        flight.fly(Span::from_secs(10));
    };
    let mut flight = begun(rolling());
    ready(&mut flight, 0, 3);
    let why = stopped(&flight);
    assert!(why.contains("maxUnavailable"), "{why}");
    assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v2", "nothing was written");
    // With some of the old pods, or with none at all to lose, it goes.
    for (old, new) in [(1, 2), (0, 0)] {
        let mut flight = begun(rolling());
        ready(&mut flight, old, new);
        assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v1");
    }
    let mut flight = begun(recreate());
    ready(&mut flight, 0, 3);
    assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v1");
}

#[test]
fn a_revert_does_not_take_pods_that_answer_with_an_earlier_template() {
    for runbook in [canary_route(), canary_replicas()] {
        let mut flight = promoted(runbook);
        flight.fly(Span::from_secs(1));
        // Somebody's image that never gets ready: users are on the pods of the template before.
        flight.ground.kept = 0;
        let slot = flight.ground.slot("stable");
        (slot.image, slot.ready, slot.stale) = ("app:v9".to_owned(), 0, [("app:v2".to_owned(), 3)].into());
        rolls_back(&mut flight);
        flight.fly(Span::from_secs(10));
        let why = stopped(&flight);
        assert!(why.contains("kubectl patch deployment backend-stable"), "{why}");
        assert_eq!(flight.ground.slots["stable"].image, "app:v9", "nothing was written");
        flight.ground.kept = 2;
        flight.command(Command::RetryRollback);
        flight.settle();
        let slot = flight.ground.slot("stable");
        (slot.ready, slot.stale) = (3, [].into());
        flight.fly(Span::from_secs(10));
        assert_eq!(flight.ground.slots["stable"].image, "app:v1");
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
    }
}

#[test]
fn a_revert_does_not_take_all_pods_of_a_slot_that_a_route_gives_users() {
    for (kept, image) in [(0, "app:v2"), (1, "app:v1")] {
        let mut flight = sipping(canary_route());
        through_window(&mut flight);
        flight.start();
        through_window(&mut flight);
        flight.hanging.insert("promoted".to_owned());
        flight.start();
        watch(&mut flight);
        flight.fly(Span::from_secs(2));
        assert_eq!((flight.ground.weights["stable"], &*flight.ground.slots["stable"].image), (50, "app:v2"));
        flight.ground.kept = kept;
        rolls_back(&mut flight);
        flight.fly(Span::from_secs(10));
        assert_eq!(flight.ground.slots["stable"].image, image, "the canary has pods, and half of the users");
        assert!(kept > 0 || stopped(&flight).contains("maxUnavailable"));
    }
}

#[test]
fn an_image_is_not_put_back_where_that_may_take_the_last_pods_that_answer() {
    for (kept, image) in [(0, "app:v9"), (1, "app:v2")] {
        let mut flight = sipping(canary_replicas());
        flight.ground.kept = kept;
        let slot = flight.ground.slot("canary");
        (slot.image, slot.ready, slot.stale) = ("app:v9".to_owned(), 0, [("app:v2".to_owned(), 1)].into());
        let slot = flight.ground.slot("stable");
        (slot.desired, slot.ready, slot.follows) = (1, 0, false);
        slot.autoscaler = Some(Autoscaler { name: "stable".to_owned(), min: 1, max: 5 });
        flight.command(Command::KeepLooking);
        flight.fly(Span::from_secs(1));
        flight.command(Command::PutBack);
        let refused = flight.refused.clone().unwrap_or_default();
        flight.settle();
        flight.fly(Span::from_secs(2));
        assert_eq!(flight.ground.slots["canary"].image, image, "{refused}");
        assert_eq!(refused.contains("maxUnavailable"), kept == 0, "{refused}");
    }
}

#[test]
fn the_light_says_whether_a_promotion_could_be_taken_back() {
    for runbook in [canary_route(), canary_replicas()] {
        let mut flight = promoted(runbook);
        let (seen, words) = light(&flight, true);
        assert_eq!(seen, Light::Slow, "{words}");
        assert!(words.contains("the promotion is taken back first"), "{words}");
        let (seen, words) = light(&flight, false);
        assert_eq!(seen, Light::NotReady, "{words}");
        assert!(words.contains("not allowed to patch the Deployments"), "{words}");
        flight.ground.kept = 0;
        let (seen, words) = light(&flight, true);
        assert_eq!(seen, Light::NotReady, "{words}");
        assert!(words.contains("all pods of deployment/backend-stable at once"), "{words}");
    }
}
