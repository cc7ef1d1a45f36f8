//! A canary by the weights of a route. There is no gateway: the test writes the route's status as one would, and its users go
//! where the weights say. What the weights are, kubectl says.

use std::time::Duration;

use cutover::domain::event::{Outcome, RunEvent};

use super::{
    NEW, OLD, TROUBLES, ends, flies_to,
    gateway::{Mood, PODS, Shop},
    held, refused,
};
use crate::{
    helm::Helm,
    line::proxy_before,
    rights::{assert_enough, with_printed_roles},
};

const COURSE: &str = include_str!("canary-route.toml");
const STABLE: &str = "backend-stable";
const CANARY: &str = "backend-canary";

fn shop(image: &str) -> Shop {
    Shop::new(COURSE, image, ["stable", "canary"])
}

fn in_a_window(helm: &Helm) -> bool {
    helm.has(|event| matches!(event, RunEvent::WindowOpened { .. }))
}

fn assert_as_before(shop: &Shop, helm: &Helm) {
    shop.assert_weighs(200, 0, &helm.story());
    assert_eq!(shop.place.template(STABLE), shop.template, "{}", helm.story());
    shop.place.eventually("stable alone has pods", || {
        shop.place.ready(OLD) == PODS && shop.place.pods().len() == PODS && shop.place.replicas(CANARY) == 0
    });
    shop.place.assert_all_answered(helm);
}

fn assert_rolls_back(shop: &Shop, mut helm: Helm) {
    ends(&mut helm, Outcome::RolledBack);
    assert_as_before(shop, &helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_good_release_is_promoted() {
    let shop = shop(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("5 %", in_a_window);
    shop.assert_weighs(190, 10, &helm.story());
    helm.fly_until("half", |helm| helm.passed("half"));
    shop.assert_weighs(100, 100, &helm.story());
    flies_to(&mut helm, Outcome::Succeeded);
    shop.assert_weighs(200, 0, &helm.story());
    shop.place.eventually("the promoted slot serves alone", || {
        shop.place.ready(NEW) == PODS && shop.place.pods().len() == PODS
    });
    assert_eq!((shop.place.image(STABLE).as_str(), shop.place.replicas(CANARY)), (NEW, 0));
    shop.place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_at_5_percent() {
    let shop = shop(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("5 %", in_a_window);
    helm.roll_back();
    assert_rolls_back(&shop, helm);
}

/// What one user in twenty meets is enough for the trigger.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn errors_at_5_percent_are_rolled_back_by_the_trigger() {
    let shop = shop(NEW);
    shop.place.app.errs("v1.6.0", 0.3);
    let mut helm = Helm::open(&shop.place);
    flies_to(&mut helm, Outcome::RolledBack);
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })), "{}", helm.story());
    assert!(!helm.passed("sip"), "{}", helm.story());
    assert_as_before(&shop, &helm);
    let (stable, canary) = (shop.place.app.counted("stable"), shop.place.app.counted("canary"));
    assert!(
        stable.bad == 0.0 && canary.bad > 0.0 && canary.good * 10.0 < stable.good,
        "{}",
        shop.place.told()
    );
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_in_the_middle_of_the_promotion() {
    let shop = shop("registry.example.com/backend:v1.6.0-slow");
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("half", |helm| helm.passed("half"));
    helm.fly_until("promotion", |_| shop.place.image(STABLE) != OLD);
    helm.fly_until("a promoted pod", |_| {
        shop.place.pods().iter().any(|pod| pod.slot == "stable" && pod.image != OLD)
    });
    assert!(!helm.passed("promote"), "{}", helm.story());
    helm.roll_back();
    assert_rolls_back(&shop, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn somebody_elses_weights_hold_the_run() {
    let shop = shop(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("5 %", in_a_window);
    shop.weigh(60, 140);
    let reason = held(&mut helm);
    assert!(
        reason.contains("httproute/backend") && reason.contains("70 % canary") && reason.contains("kubectl"),
        "{reason}"
    );
    helm.confirm();
    helm.wait(Duration::from_secs(2));
    assert!(shop.weighs(60, 140) && !helm.passed("half"), "{}", helm.story());
    helm.roll_back();
    assert_rolls_back(&shop, helm);
}

/// A gateway writes the status at any time, and somebody adds an annotation: that concerns nobody.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn what_others_change_of_the_route_stays_and_holds_nobody() {
    let shop = shop(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    shop.place.kubectl(&["annotate", "httproute", "backend", "looked-at=yes"]);
    helm.fly_until("5 %", in_a_window);
    shop.place.kubectl(&["annotate", "httproute", "backend", "looked-at=twice", "--overwrite"]);
    helm.fly_until("half", |helm| helm.passed("half"));
    shop.assert_weighs(100, 100, &helm.story());
    let route = shop.place.object("httproute", "backend").unwrap();
    assert_eq!(route["metadata"]["annotations"]["looked-at"], "twice");
    helm.roll_back();
    assert_rolls_back(&shop, helm);
}

/// Weights that no gateway carries out move nobody: the share waits until one says that it does.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_route_that_is_not_accepted_waits() {
    let shop = shop(NEW);
    shop.gateway.is(Mood::Refuses);
    let mut helm = Helm::open(&shop.place);
    let waits = |helm: &Helm| {
        helm.has(|event| matches!(event, RunEvent::ActionWaits { why, .. } if why.contains("NotAllowedByListeners")))
    };
    helm.fly_until("wait", waits);
    helm.wait(Duration::from_secs(3));
    shop.assert_weighs(200, 0, &helm.story());
    shop.gateway.is(Mood::Accepts);
    helm.fly_until("5 %", in_a_window);
    shop.assert_weighs(190, 10, &helm.story());
    // … and a gateway that sleeps is no reason not to go back. What it may still send users to keeps its pods.
    shop.gateway.is(Mood::Sleeps);
    helm.roll_back();
    helm.wait_until("pods that stay", |helm| helm.story().contains("its pods stay"));
    shop.assert_weighs(200, 0, &helm.story());
    // It is done when the gateway has carried it out.
    shop.gateway.is(Mood::Accepts);
    ends(&mut helm, Outcome::RolledBack);
    assert_eq!((shop.place.replicas(CANARY), shop.place.ready(NEW)), (2, 2), "{}", helm.story());
    assert!(helm.story().contains("may still send users to canary"), "{}", helm.story());
    shop.place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_engine_that_is_killed_at_5_percent_is_taken_up() {
    let shop = shop(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("5 %", in_a_window);
    helm.kill();
    shop.place.app.errs("v1.6.0", 0.3);
    let mut helm = Helm::resume(&shop.place);
    flies_to(&mut helm, Outcome::RolledBack);
    assert_as_before(&shop, &helm);
    assert_eq!(helm.close(), 5);
}

/// … and nothing more than what `plan --rbac` prints is needed for a canary, its promotion and the way back.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_printed_roles_are_enough() {
    let mut shop = shop("registry.example.com/backend:v1.6.0-slow");
    with_printed_roles(&mut shop.place);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("half", |helm| helm.passed("half"));
    helm.fly_until("promotion", |_| shop.place.image(STABLE) != OLD);
    helm.roll_back();
    ends(&mut helm, Outcome::RolledBack);
    assert_enough(&shop.place, &helm);
    assert_rolls_back(&shop, helm);
}

/// The write that takes the weights back meets trouble, and is done all the same.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_weights_way_back_meets_trouble() {
    let mut shop = shop(NEW);
    let proxy = proxy_before(&mut shop.place);
    for (trouble, times) in TROUBLES {
        let mut helm = Helm::open(&shop.place);
        helm.fly_until("5 %", in_a_window);
        shop.assert_weighs(190, 10, &helm.story());
        proxy.rule("PATCH", &["httproutes/backend"], times, trouble);
        helm.roll_back();
        ends(&mut helm, Outcome::RolledBack);
        proxy.clear();
        shop.assert_weighs(200, 0, &helm.story());
        assert_eq!(helm.close(), 5, "{trouble:?}");
    }
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_rule_that_gives_nobody_weight_and_one_that_shares_already() {
    let shop = shop(NEW);
    shop.weigh(0, 0);
    let said = refused(&shop.place);
    assert!(said.contains("gives weight to none of the runbook's slots"), "{said}");
    shop.weigh(90, 10);
    let said = refused(&shop.place);
    assert!(said.contains("canary has traffic already (90 % stable, 10 % canary)"), "{said}");
}
