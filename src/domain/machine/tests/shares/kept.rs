//! What must not be lost on the way: a breach while pods flap, what a late answer says, what somebody else's weights mean.

use super::{begun, opened, rolls_back, sipping, told, watch};
use crate::domain::{
    action::ActionKind,
    director::NEW_REVISION,
    event::{ActionOutcome, ActionRef, Outcome, Place},
    fixture::{Flight, canary_replicas, canary_route, rolling},
    message::Command,
    run::StepStatus,
    time::{Span, Timestamp},
    workload::Workload,
};

#[test]
fn a_breach_goes_on_while_pods_are_not_ready_for_a_moment() {
    let mut flight = begun(rolling());
    flight.ground.roll();
    watch(&mut flight);
    let since = flight.run().switched_at;
    flight.error_rate = Ok(0.05);
    flight.fly(Span::from_secs(60));
    assert_eq!(flight.count("trigger_breaching"), 1);
    // The only new pod fails its probe, and comes back.
    flight.ground.slot(NEW_REVISION).ready = 0;
    watch(&mut flight);
    assert_eq!(told(&flight).last().unwrap(), "100 % old");
    assert_eq!(flight.run().switched_at, since, "users met it, and will again");
    flight.ground.slot(NEW_REVISION).ready = 1;
    watch(&mut flight);
    flight.fly(Span::from_secs(5 * 60 + 40));
    assert_eq!(flight.count("trigger_breaching"), 1, "one breach, counted through");
    assert!(flight.run().rolling_back().is_some() || flight.outcome() == Some(Outcome::RolledBack));
}

#[test]
fn a_picture_that_is_older_than_the_last_look_tells_no_shares() {
    let mut flight = begun(rolling());
    let before = super::picture(&flight);
    flight.ground.roll();
    flight.fly(Span::from_secs(1));
    watch(&mut flight);
    assert_eq!(told(&flight), ["66.7 % old, 33.3 % new"]);
    flight.fly(Span::from_secs(30));
    flight.command(Command::KeepLooking);
    flight.old_picture(before);
    assert_eq!(told(&flight), ["66.7 % old, 33.3 % new"]);
}

#[test]
fn pods_that_the_watch_shows_are_told_at_once_though_no_read_has_confirmed_them_yet() {
    let mut flight = begun(rolling());
    let began = flight.now;
    flight.fly(Span::from_secs(3));
    flight.ground.roll();
    // It is as old as the last read that has confirmed it, which was before our own act.
    let old = |flight: &Flight| Workload { as_of: Timestamp(began.0 - 1), ..super::picture(flight) };
    flight.old_picture(old(&flight));
    flight.settle();
    assert_eq!(told(&flight), ["66.7 % old, 33.3 % new"]);
    // Looks are asked for once a second at most, and none is left out.
    flight.ground.roll();
    flight.old_picture(old(&flight));
    flight.settle();
    assert_eq!(told(&flight).len(), 1);
    flight.fly(Span::from_secs(2));
    assert_eq!(told(&flight).last().unwrap(), "66.7 % new, 33.3 % old");
}

#[test]
fn weights_of_somebody_else_that_are_accepted_arm_the_triggers_and_are_taken_back() {
    let mut flight = opened(canary_route());
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.ground.weights = [("canary".into(), 20), ("stable".into(), 80)].into();
    flight.ground.manager = "kubectl-edit".to_owned();
    watch(&mut flight);
    flight.fly(Span::from_secs(15));
    flight.command(Command::TakeTarget);
    assert_eq!(flight.refused, None);
    assert!(flight.run().switched_at.is_some(), "one user in five meets the new version");
    assert_eq!(flight.run().shares["canary"].to_string(), "20 %");
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 0);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_share_waits_for_pods_that_can_carry_it() {
    let mut flight = sipping(canary_route());
    for _ in 0..16 {
        watch(&mut flight);
        flight.fly(Span::from_mins(1));
    }
    (flight.ground.slot("canary").desired, flight.ground.slot("canary").ready) = (3, 1);
    flight.start();
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 5, "one pod cannot carry what three do");
    let (_, why) = flight.run().waiting_act().unwrap();
    assert!(why.contains("2 needed for 50 %"), "{why}");
    flight.ground.slot("canary").ready = 2;
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 50);
}

#[test]
fn a_rollback_waits_for_the_answer_of_a_share_that_is_under_way() {
    let mut flight = opened(canary_route());
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.hanging.insert("5 %".to_owned());
    flight.start();
    flight.ground.weights = [("canary".into(), 5), ("stable".into(), 95)].into();
    rolls_back(&mut flight);
    assert!(!flight.acted().contains(&"none".to_owned()), "{:?}", flight.acted());
    let at = ActionRef { place: Place::Step { step: "sip".into() }, attempt: 1, action: 0 };
    flight.finish(at, ActionOutcome::Succeeded);
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 0);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
    assert_eq!(flight.run().switched_at, None);
}

#[test]
fn traffic_goes_back_before_a_command_that_may_fail() {
    let mut book = canary_route();
    let quick = book.rollbacks.iter_mut().find(|procedure| procedure.id.as_str() == "quick").unwrap();
    let fails = crate::domain::fixture::action("stop jobs", ActionKind::Sh { script: "false".to_owned() });
    quick.run.insert(0, fails);
    let mut flight = sipping(book);
    flight.outcomes.insert("stop jobs".to_owned(), ActionOutcome::Failed);
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.weights["canary"], 0);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "with a remark");
}

#[test]
fn pods_that_an_autoscaler_of_the_others_has_led_to_are_no_foreign_change() {
    let mut flight = opened(canary_replicas());
    flight.start();
    flight.fly(Span::from_secs(2));
    let stable = flight.ground.slot("stable");
    stable.autoscaler =
        Some(crate::domain::observation::Autoscaler { name: "stable".to_owned(), min: 1, max: 20 });
    (stable.desired, stable.ready) = (40, 40);
    flight.start();
    watch(&mut flight);
    flight.fly(Span::from_secs(20));
    assert_eq!(flight.ground.slots["canary"].desired, 3, "5 % of 40, rounded up");
    assert_eq!(flight.count("foreign_change"), 0, "{:?}", flight.run().foreign);
}

#[test]
fn a_line_to_paste_tests_each_backend_and_keeps_what_others_weigh() {
    let mut flight = sipping(canary_route());
    let route = flight.machine.run().pinned.clone().unwrap().route.unwrap();
    assert_eq!(route.weights["canary"], 5);
    let mut shared = route;
    shared.weights = [("canary".into(), 0), ("stable".into(), 10)].into();
    shared.others = 90;
    assert_eq!(shared.weights_for(crate::domain::director::Share::of_thousand(500)), (5, 5));
    flight.fly(Span::from_secs(1));
    let action = flight.run().runbook.steps[2].run[0].clone();
    let line = flight.run().action_command(&action).unwrap();
    assert!(
        line.contains(r#"{"op":"test","path":"/spec/rules/0/backendRefs/0/name","value":"backend-canary"}"#),
        "{line}"
    );
}

#[test]
fn a_window_in_which_the_gateway_sends_nobody_does_not_count_and_fails() {
    let mut flight = opened(canary_route());
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.start();
    // The weights are written; the gateway goes on with those before.
    flight.ground.unfit = Some("Accepted is False: too many clusters".to_owned());
    watch(&mut flight);
    flight.fly(Span::from_secs(30));
    let sip = flight.run().step("sip").unwrap();
    assert_eq!((sip.status, sip.watched), (StepStatus::Checking, Span::ZERO), "{:?}", flight.prompt());
    // It comes to it after all, and goes back on it.
    flight.ground.unfit = None;
    watch(&mut flight);
    flight.fly(Span::from_secs(60));
    let watched = flight.run().step("sip").unwrap().watched;
    assert!(watched >= Span::from_secs(40), "{watched}");
    flight.ground.unfit = Some("Accepted is False: too many clusters".to_owned());
    watch(&mut flight);
    flight.fly(Span::from_secs(63));
    let sip = flight.run().step("sip").unwrap();
    assert_eq!(sip.status, StepStatus::Failed);
    assert!(sip.reason.as_ref().unwrap().contains("too many clusters"), "{:?}", sip.reason);
    rolls_back(&mut flight);
    assert_eq!(flight.ground.weights["canary"], 0);
}

#[test]
fn another_rule_that_sends_users_to_the_new_slot_holds_the_run_and_is_no_end_of_a_rollback() {
    let mut flight = sipping(canary_route());
    flight.ground.elsewhere = ["canary".into()].into();
    "kubectl-edit".clone_into(&mut flight.ground.manager);
    watch(&mut flight);
    flight.fly(Span::from_secs(15));
    assert_eq!(flight.count("foreign_change"), 1, "{:?}", flight.run().foreign);
    let change = flight.run().foreign[0].clone();
    assert!(
        change.words.contains("another rule of it sends users to canary (by kubectl-edit)"),
        "{change:?}"
    );
    assert!(change.put_back.contains("remove what sends users to canary"), "{change:?}");
    assert!(flight.run().held.is_some());
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.weights["canary"], 0, "traffic goes back as far as it is ours");
    let stopped = flight.run().rolling_back().and_then(|rollback| rollback.stopped.clone()).unwrap();
    assert!(stopped.reason.contains("another rule of the HTTPRoute sends users to canary"), "{stopped:?}");
    flight.ground.elsewhere.clear();
    flight.command(Command::RetryRollback);
    flight.settle();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.prompt());
}

#[test]
fn a_service_behind_the_route_that_selects_something_else_holds_the_run() {
    let mut flight = sipping(canary_route());
    let own = flight.ground.slot("stable").own.clone();
    flight.ground.slot("stable").own.insert("tier".to_owned(), "nope".to_owned());
    flight.command(Command::KeepLooking);
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.count("foreign_change"), 1, "{:?}", flight.run().foreign);
    let change = flight.run().foreign[0].clone();
    assert!(
        change.words.contains("service/backend-stable: it selects app=app,tier=nope,track=stable instead of"),
        "{change:?}"
    );
    assert!(
        change.put_back.contains("make service/backend-stable select app=app,track=stable again"),
        "{change:?}"
    );
    assert!(flight.run().held.is_some());
    flight.ground.slot("stable").own = own;
    flight.fly(Span::from_secs(2));
    flight.command(Command::Continue);
    flight.settle();
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.run().held, None, "{:?}", flight.refused);
}
