//! Blue and green behind a route, with a sip: 5 % of the users meet the new version before all of them do. As with the canary,
//! the test writes the route's status as a gateway would.

use cutover::domain::event::{Outcome, RunEvent};

use super::{
    NEW, OLD, ends, flies_to,
    gateway::{PODS, Shop},
};
use crate::helm::Helm;

const COURSE: &str = include_str!("sip.toml");

fn shop() -> Shop {
    Shop::new(COURSE, NEW, ["blue", "green"])
}

fn assert_rolls_back(shop: &Shop, mut helm: Helm) {
    ends(&mut helm, Outcome::RolledBack);
    shop.assert_weighs(200, 0, &helm.story());
    assert_eq!(shop.place.template("backend-blue"), shop.template, "{}", helm.story());
    shop.place.eventually("blue alone has pods", || {
        shop.place.ready(OLD) == PODS && shop.place.pods().len() == PODS
    });
    shop.place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_good_release_lands() {
    let shop = shop();
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("sip", |helm| helm.passed("sip"));
    shop.assert_weighs(190, 10, &helm.story());
    helm.fly_until("switch", |helm| helm.passed("switch"));
    shop.assert_weighs(0, 200, &helm.story());
    flies_to(&mut helm, Outcome::Succeeded);
    shop.place.eventually("green alone has pods", || {
        shop.place.ready(NEW) == PODS && shop.place.pods().len() == PODS
    });
    shop.assert_weighs(0, 200, &helm.story());
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_in_the_sip() {
    let shop = shop();
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("sip", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    helm.roll_back();
    assert_rolls_back(&shop, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_after_the_switch() {
    let shop = shop();
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    shop.assert_weighs(0, 200, &helm.story());
    helm.roll_back();
    assert_rolls_back(&shop, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn errors_of_the_sip_are_rolled_back_by_the_trigger() {
    let shop = shop();
    shop.place.app.errs("v1.6.0", 0.3);
    let mut helm = Helm::open(&shop.place);
    flies_to(&mut helm, Outcome::RolledBack);
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })), "{}", helm.story());
    assert!(!helm.began("switch"), "{}", helm.story());
    assert_rolls_back(&shop, helm);
}
