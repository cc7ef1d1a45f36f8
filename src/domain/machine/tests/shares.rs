//! Every strategy but blue-green by selector: who meets the new version and when, and how one goes back.

mod back;
mod kept;
mod light;
mod undone;

use crate::domain::{
    director::{NEW_REVISION, OLD_REVISION, Share, in_words},
    effect::Input,
    event::{ActionRef, Outcome, Place, RunEvent},
    fixture::{Flight, canary_replicas, canary_route, recreate, rolling, rolling_in_two, sip},
    message::Command,
    prompt::Prompt,
    run::StepStatus,
    runbook::Runbook,
    time::Span,
    workload::{Connection, SlotWorkload, Workload},
};

/// What the watch shows of a flight's ground.
pub(super) fn picture(flight: &Flight) -> Workload {
    let seen = flight.ground.look(flight.now);
    let slots = seen.slots.iter().map(|(name, slot)| {
        let shown = SlotWorkload {
            deployment: slot.deployment.clone(),
            found: slot.found,
            uid: slot.uid.clone(),
            desired: slot.desired,
            updated: slot.ready(),
            ready: slot.ready.iter().map(|(_, count)| count).sum(),
            image: slot.image.clone(),
            hash: slot.hash.clone(),
            kept: Some(slot.kept),
            ..SlotWorkload::default()
        };
        (name.clone(), shown)
    });
    let route = seen.route.as_ref().map(|route| crate::domain::workload::RouteState {
        uid: route.uid.clone(),
        weights: route.weights.clone(),
        unfit: route.unfit.clone(),
        lags: route.lags,
        elsewhere: route.elsewhere.clone(),
    });
    Workload {
        slots: slots.collect(),
        selector: seen.service.as_ref().map(|service| service.selector.clone()),
        live: seen.live().cloned(),
        connection: Connection::Connected,
        as_of: flight.now,
        shares: seen.shares(),
        route,
        ..Workload::default()
    }
}

pub(super) fn watch(flight: &mut Flight) {
    let picture = picture(flight);
    flight.old_picture(picture);
    flight.settle();
}

/// The pods of the one Deployment are replaced, a pod every ten seconds, until none is left.
pub(super) fn roll(flight: &mut Flight) {
    while flight.ground.roll() {
        watch(flight);
        flight.fly(Span::from_secs(10));
    }
    watch(flight);
}

pub(super) fn opened(runbook: Runbook) -> Flight {
    let mut flight = Flight::open(runbook);
    flight.settle();
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
    flight.command(Command::TickItem { group: 0, item: 0, note: None });
    flight.command(Command::OpenSteps { override_reason: None });
    assert_eq!(flight.refused, None);
    watch(&mut flight);
    flight.fly(Span::from_secs(60));
    flight
}

/// A rolling deployment with the new image set and no pod of it yet.
fn begun(runbook: Runbook) -> Flight {
    let mut flight = opened(runbook);
    flight.hanging.insert("rollout".to_owned());
    flight.start();
    watch(&mut flight);
    assert_eq!(flight.acted(), ["image", "rollout"]);
    flight
}

fn at_deploy(action: usize) -> ActionRef {
    ActionRef { place: Place::Step { step: "deploy".into() }, attempt: 1, action }
}

fn told(flight: &Flight) -> Vec<String> {
    let shares = |event: &RunEvent| match event {
        RunEvent::TrafficShifted { shares } => Some(in_words(shares)),
        _ => None,
    };
    flight.events.iter().filter_map(|envelope| shares(&envelope.event)).collect()
}

fn rolls_back(flight: &mut Flight) {
    flight.command(Command::Rollback { reason: "it looks odd".to_owned() });
    assert_eq!(flight.refused, None);
    flight.settle();
    flight.fly(Span::from_secs(2));
}

#[test]
fn users_meet_a_rolling_deployment_from_its_first_ready_pod_on() {
    let mut flight = begun(rolling());
    assert_eq!(flight.run().switched_at, None);
    assert_eq!(flight.count("baseline_recorded"), 1, "before anybody meets it");
    flight.ground.roll();
    watch(&mut flight);
    assert_eq!(told(&flight), ["66.7 % old, 33.3 % new"]);
    assert_eq!(flight.run().switched_at, Some(flight.now));
    assert_eq!(flight.run().live.as_ref().unwrap().as_str(), OLD_REVISION);
    // A trigger counts from here: half-way users are users.
    flight.error_rate = Ok(0.05);
    flight.fly(Span::from_secs(20));
    assert_eq!(flight.count("trigger_breaching"), 1);
    flight.error_rate = Ok(0.0004);
    roll(&mut flight);
    assert_eq!(told(&flight), ["66.7 % old, 33.3 % new", "66.7 % new, 33.3 % old", "100 % new"]);
    assert_eq!(flight.run().live.as_ref().unwrap().as_str(), NEW_REVISION);
    flight.finish(at_deploy(1), crate::domain::event::ActionOutcome::Succeeded);
    flight.settle();
    assert_eq!(flight.status("deploy"), StepStatus::Passed);
    assert_eq!(flight.count("baseline_recorded"), 1);
    flight.start();
    flight.fly(Span::from_mins(16));
    flight.start();
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.outcome(), Some(Outcome::Succeeded), "{:?} {:?}", flight.prompt(), flight.run().held);
}

#[test]
fn a_trigger_reverts_in_the_middle_of_a_rollout_and_the_end_is_when_all_pods_are_back() {
    let mut flight = begun(rolling());
    flight.ground.roll();
    watch(&mut flight);
    flight.error_rate = Ok(0.05);
    flight.fly(Span::from_secs(5 * 60 + 30));
    assert!(
        matches!(flight.prompt(), Prompt::Countdown { .. } | Prompt::RollingBack),
        "{:?}",
        flight.prompt()
    );
    flight.hanging.insert("rollout back".to_owned());
    flight.fly(Span::from_secs(40));
    let acted = flight.acted();
    assert_eq!(&acted[2..], ["revert", "rollout back"], "{acted:?}");
    assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v1");
    flight.hanging.clear();
    let at = ActionRef { place: Place::Rollback { procedure: "quick".into() }, attempt: 1, action: 1 };
    flight.finish(at, crate::domain::event::ActionOutcome::Succeeded);
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.outcome(), None, "a pod of the new version still serves");
    roll(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
    assert_eq!(flight.run().switched_at, None);
    assert_eq!(told(&flight).last().unwrap(), "100 % old");
}

#[test]
fn before_the_first_pod_is_ready_the_rollback_is_the_revert_too() {
    let mut flight = begun(rolling());
    assert!(flight.run().can_roll_back());
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(10));
    assert!(flight.acted().contains(&"revert".to_owned()), "{:?}", flight.acted());
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_rollout_that_may_take_all_pods_at_once_does_not_begin() {
    let mut flight = opened(rolling());
    flight.ground.kept = 0;
    flight.start();
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.status("deploy"), StepStatus::Failed);
    let why = flight.run().step("deploy").unwrap().reason.clone().unwrap();
    assert!(why.contains("maxUnavailable"), "{why}");
    assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v1", "nothing was written");
    // With strategy recreate that is what one wants.
    let mut flight = opened(recreate());
    flight.ground.kept = 0;
    flight.start();
    assert_eq!(flight.ground.slots[NEW_REVISION].image, "app:v2");
}

#[test]
fn a_rollout_is_not_stopped_before_it_has_begun() {
    let mut flight = opened(rolling_in_two());
    flight.start();
    watch(&mut flight);
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.acted(), ["image"], "a controller that is stopped now would make no pod at all");
    let (_, why) = flight.run().waiting_act().unwrap();
    assert!(why.contains("no pod of new yet"), "{why}");
    flight.ground.slot(NEW_REVISION).others = 1;
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.acted(), ["image", "pause"]);
    assert!(flight.ground.paused && flight.run().has_paused_rollout());
    rolls_back(&mut flight);
    assert!(flight.acted().contains(&"revert".to_owned()), "{:?}", flight.acted());
    assert!(!flight.ground.paused && !flight.run().has_paused_rollout());
}

#[test]
fn nobody_answers_while_a_deployment_is_recreated_and_that_is_told() {
    let mut flight = begun(recreate());
    for slot in flight.ground.slots.values_mut() {
        slot.ready = 0;
    }
    watch(&mut flight);
    flight.fly(Span::from_secs(20));
    flight.ground.slot(NEW_REVISION).ready = 3;
    watch(&mut flight);
    assert_eq!(told(&flight), ["nobody", "100 % new"]);
    assert!(flight.run().switched_at.is_some());
}

#[test]
fn an_engine_that_died_in_mid_rollout_knows_who_meets_what() {
    let mut flight = begun(rolling());
    flight.ground.roll();
    watch(&mut flight);
    flight.resume();
    watch(&mut flight);
    assert!(flight.run().switched_at.is_some());
    assert!(flight.run().can_roll_back());
    rolls_back(&mut flight);
    assert!(flight.acted().contains(&"revert".to_owned()), "{:?}", flight.acted());
}

#[test]
fn somebody_elses_image_holds_a_rolling_run_once() {
    let mut flight = begun(rolling());
    flight.hanging.clear();
    flight.finish(at_deploy(1), crate::domain::event::ActionOutcome::Succeeded);
    roll(&mut flight);
    let image = "app:v9".to_owned();
    flight.ground.slot(NEW_REVISION).image = image;
    flight.ground.slot(NEW_REVISION).manager = "kubectl-set".to_owned();
    flight.fly(Span::from_secs(15));
    watch(&mut flight);
    flight.fly(Span::from_secs(15));
    assert_eq!(flight.count("foreign_change"), 1);
    assert!(matches!(flight.prompt(), Prompt::Held { .. }), "{:?}", flight.prompt());
}

/// Deployed, and in the window of the first share.
pub(super) fn sipping(runbook: Runbook) -> Flight {
    let mut flight = opened(runbook);
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.start();
    watch(&mut flight);
    flight.fly(Span::from_secs(20));
    assert_eq!(flight.status("sip"), StepStatus::Checking, "{:?} {:?}", flight.prompt(), flight.run().steps);
    flight
}

fn through_window(flight: &mut Flight) {
    for _ in 0..16 {
        watch(flight);
        flight.fly(Span::from_mins(1));
    }
}

#[test]
fn a_trigger_at_five_percent_takes_five_percent_back() {
    for runbook in [canary_route(), sip()] {
        let mut flight = sipping(runbook);
        assert_eq!(told(&flight), ["95 % stable, 5 % canary"]);
        let share = |name: &str| flight.run().shares[name];
        assert_eq!((share("canary"), share("stable")), (Share::of_thousand(50), Share::of_thousand(950)));
        assert_eq!(flight.run().live.as_ref().unwrap().as_str(), "stable");
        let left = flight.run().unwatched();
        assert!(left.contains("traffic is on 95 % stable, 5 % canary"), "{left}");
        let undo = flight.run().promotion_taken_back();
        let undo: Vec<_> = undo.iter().flatten().map(|action| flight.run().action_text(action)).collect();
        let promotes = flight.run().runbook.deployment.strategy == crate::domain::runbook::Strategy::Canary;
        let told = ["give STABLE the template it had, v1", "wait for the rollout of STABLE"];
        assert_eq!(undo, if promotes { told.to_vec() } else { Vec::new() });
        flight.error_rate = Ok(0.05);
        flight.fly(Span::from_secs(6 * 60));
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
        assert_eq!(flight.ground.weights, [("canary".into(), 0), ("stable".into(), 100)].into());
        assert_eq!(flight.run().switched_at, None);
    }
}

#[test]
fn a_canary_by_pods_rounds_up_and_goes_back_to_none() {
    let mut flight = sipping(canary_replicas());
    assert_eq!(flight.ground.slots["canary"].desired, 1);
    assert_eq!(told(&flight), ["75 % stable, 25 % canary"]);
    assert!(flight.run().switched_at.is_some());
    rolls_back(&mut flight);
    watch(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.slots["canary"].desired, 0);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
}

#[test]
fn pods_of_a_canary_do_not_go_while_the_others_cannot_carry_its_users() {
    let mut flight = sipping(canary_replicas());
    flight.ground.slot("stable").ready = 0;
    flight.ground.slot("stable").follows = false;
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.ground.slots["canary"].desired, 1, "the last pods that answer");
    flight.ground.slot("stable").ready = 3;
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.slots["canary"].desired, 0);
}

#[test]
fn each_stage_has_its_window_and_the_promotion_ends_a_canary() {
    for runbook in [canary_route(), canary_replicas()] {
        let mut flight = sipping(runbook);
        through_window(&mut flight);
        assert_eq!(flight.status("sip"), StepStatus::Passed);
        flight.start();
        through_window(&mut flight);
        assert_eq!(flight.status("half"), StepStatus::Passed, "{:?}", flight.prompt());
        flight.start();
        watch(&mut flight);
        flight.fly(Span::from_secs(10));
        watch(&mut flight);
        assert_eq!(
            flight.status("promote"),
            StepStatus::Passed,
            "{:?} {:?}",
            flight.prompt(),
            flight.run().steps
        );
        assert_eq!(flight.ground.slots["stable"].image, "app:v2");
        assert!(flight.run().switched_at.is_some(), "all users are on the new version");
        assert_eq!(flight.run().shares, [("stable".into(), Share::ALL)].into());
        flight.start();
        flight.fly(Span::from_secs(10));
        assert_eq!(flight.outcome(), Some(Outcome::Succeeded), "{:?}", flight.prompt());
    }
}

#[test]
fn pods_that_the_controllers_are_about_to_end_fail_no_completion() {
    let mut flight = sipping(canary_replicas());
    through_window(&mut flight);
    flight.start();
    through_window(&mut flight);
    // It leads, and nobody acts yet on its being told to go.
    let canary = flight.ground.slot("canary");
    (canary.ready, canary.follows) = (30, false);
    flight.start();
    watch(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.status("promote"), StepStatus::Passed, "{:?}", flight.prompt());
    let canary = flight.ground.slot("canary");
    (canary.ready, canary.observed) = (30, false);
    watch(&mut flight);
    assert!(
        flight.run().live.as_ref().is_some_and(|live| live.as_str() == "canary"),
        "{:?}",
        flight.run().live
    );
    flight.start();
    flight.fly(Span::from_secs(3));
    assert_eq!((flight.count("completion_failed"), flight.outcome()), (0, None), "{:?}", flight.prompt());
    let canary = flight.ground.slot("canary");
    (canary.ready, canary.observed) = (0, true);
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.outcome(), Some(Outcome::Succeeded), "{:?}", flight.prompt());
}

#[test]
fn a_promotion_is_taken_back_before_traffic_is() {
    let mut flight = sipping(canary_route());
    through_window(&mut flight);
    flight.start();
    through_window(&mut flight);
    flight.hanging.insert("promoted".to_owned());
    flight.start();
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.slots["stable"].image, "app:v2");
    // What R would do says so beforehand, and how long that takes.
    let plan = flight.run().rollback_plan(None, flight.now);
    let texts: Vec<_> = plan.items.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(
        &texts[..2],
        ["give STABLE the template it had, v1", "wait for the rollout of STABLE"],
        "{texts:?}"
    );
    rolls_back(&mut flight);
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.slots["stable"].image, "app:v1");
    assert_eq!(flight.ground.weights["stable"], 100);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
}

#[test]
fn a_route_that_its_gateway_does_not_carry_out_gets_no_new_weights() {
    let mut flight = opened(canary_route());
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.ground.unfit = Some("Accepted is False: no such listener".to_owned());
    flight.start();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.ground.weights["canary"], 0);
    let (_, why) = flight.run().waiting_act().unwrap();
    assert!(why.contains("no such listener"), "{why}");
    flight.ground.unfit = None;
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 5);
}

#[test]
fn pods_stay_while_a_gateway_may_still_send_them_users() {
    for ends in [true, false] {
        let mut flight = sipping(sip());
        flight.ground.lags = true;
        rolls_back(&mut flight);
        assert_eq!(flight.ground.weights["canary"], 0, "traffic waits for nobody");
        let pods = flight.ground.slots["canary"].desired;
        assert!(pods > 0);
        let (_, why) = flight.run().waiting_act().unwrap();
        assert!(why.contains("may still send users to canary"), "{why}");
        flight.ground.lags = !ends;
        flight.fly(Span::from_mins(3));
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
        assert_eq!(flight.ground.slots["canary"].desired, if ends { 0 } else { pods });
        let remarked = flight.count("rollback_remarked");
        assert_eq!(remarked > 0, !ends, "{:?}", flight.run().rolling_back());
    }
}

#[test]
fn weights_that_somebody_else_has_set_hold_the_run() {
    let mut flight = sipping(canary_route());
    flight.ground.weights = [("canary".into(), 50), ("stable".into(), 50)].into();
    flight.ground.manager = "kubectl-edit".to_owned();
    watch(&mut flight);
    flight.fly(Span::from_secs(15));
    assert_eq!(flight.count("foreign_change"), 1);
    let put_back = flight.run().foreign[0].put_back.clone();
    assert!(
        put_back.contains("kubectl patch httproute backend") && put_back.contains("\"value\":5"),
        "{put_back}"
    );
    flight.command(Command::PutBack);
    flight.settle();
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.ground.weights["canary"], 5, "{:?}", flight.refused);
    assert_eq!(flight.run().held, None);
}

#[test]
fn a_shift_whose_answer_was_lost_is_told_by_what_is_seen() {
    let mut flight = opened(canary_route());
    flight.start();
    flight.fly(Span::from_secs(2));
    flight.outcomes.insert("5 %".to_owned(), crate::domain::event::ActionOutcome::Unknown);
    flight.start();
    assert!(matches!(flight.prompt(), Prompt::Unknown { .. }), "{:?}", flight.prompt());
    assert!(flight.run().switch_begun(), "users may meet it");
    let at = ActionRef { place: Place::Step { step: "sip".into() }, attempt: 1, action: 0 };
    flight.ground.weights = [("canary".into(), 5), ("stable".into(), 95)].into();
    let resolution = Some(crate::domain::event::Resolution::Done);
    flight.feed(Input::Verified { at, resolution, evidence: "95 % stable, 5 % canary".to_owned() });
    flight.settle();
    assert_eq!(told(&flight), ["95 % stable, 5 % canary"]);
}
