//! A canary beside the pods that the users have, behind the same Service: each share is so many pods, and no user ever finds
//! nobody.

use cutover::domain::event::{Outcome, RunEvent};
use serde_json::Value;

use super::{NEW, OLD, Place, Way, ends, flies_to, held, refused, runbook, two_slots};
use crate::{
    helm::Helm,
    rights::{assert_enough, with_printed_roles},
};

const COURSE: &str = include_str!("canary-replicas.toml");
const STABLE: &str = "backend-stable";
const CANARY: &str = "backend-canary";
const SLOW: &str = "registry.example.com/backend:v1.6.0-slow";
/// Pods of the stable slot.
const PODS: usize = 3;

struct Shop {
    place: Place,
    template: Value,
}

impl Shop {
    fn new(image: &str) -> Self {
        let manifest = |name: &str| two_slots(name, ["stable", "canary"], PODS);
        let place = Place::furnished(&runbook(COURSE, image, "$slot"), manifest, Way::Service);
        place.await_users(PODS);
        let template = place.template(STABLE);
        Self { place, template }
    }

    /// The pods of both slots that the Service's endpoints are.
    fn serving(&self) -> [usize; 2] {
        [self.place.serving(STABLE), self.place.serving(CANARY)]
    }

    fn assert_serving(&self, helm: &Helm, wanted: [usize; 2]) {
        assert_eq!(self.serving(), wanted, "{}\n{}", self.place.told(), helm.story());
    }

    fn assert_as_before(&self, helm: &Helm) {
        self.place.eventually("stable serves alone", || {
            self.serving() == [PODS, 0] && self.place.ready(OLD) == PODS && self.place.pods().len() == PODS
        });
        assert_eq!(self.place.template(STABLE), self.template, "{}", helm.story());
        assert_eq!(self.place.replicas(CANARY), 0);
        self.place.assert_all_answered(helm);
    }

    fn assert_rolls_back(&self, mut helm: Helm) {
        ends(&mut helm, Outcome::RolledBack);
        self.assert_as_before(&helm);
        assert_eq!(helm.close(), 5);
    }
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_good_release_is_promoted() {
    let shop = Shop::new(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("a quarter", |helm| helm.passed("quarter"));
    shop.assert_serving(&helm, [PODS, 1]);
    helm.fly_until("half", |helm| helm.passed("half"));
    shop.assert_serving(&helm, [PODS, PODS]);
    flies_to(&mut helm, Outcome::Succeeded);
    shop.place.eventually("the promoted slot serves alone", || {
        shop.serving() == [PODS, 0] && shop.place.ready(NEW) == PODS && shop.place.pods().len() == PODS
    });
    assert_eq!((shop.place.image(STABLE).as_str(), shop.place.replicas(CANARY)), (NEW, 0));
    shop.place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_the_first_share() {
    let shop = Shop::new(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    shop.assert_serving(&helm, [PODS, 1]);
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn errors_of_the_first_pod_are_rolled_back_by_the_trigger() {
    let shop = Shop::new(NEW);
    shop.place.app.errs("v1.6.0", 0.3);
    let mut helm = Helm::open(&shop.place);
    flies_to(&mut helm, Outcome::RolledBack);
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })), "{}", helm.story());
    assert!(!helm.passed("quarter"), "{}", helm.story());
    shop.assert_as_before(&helm);
    assert_eq!(helm.close(), 5);
}

/// Half of the stable slot's pods are new when the rollback is ordered: its template goes back too.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_in_the_middle_of_the_promotion() {
    let shop = Shop::new(SLOW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("half", |helm| helm.passed("half"));
    helm.fly_until("a promoted pod", |_| {
        shop.place.pods().iter().any(|pod| pod.ready && pod.slot == "stable" && pod.image == SLOW)
    });
    assert!(!helm.passed("promote") && shop.place.ready(OLD) > 0, "{}", helm.story());
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_image_that_is_not_there() {
    let shop = Shop::new("registry.example.com/backend:v1.6.0-missing");
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("failure", |helm| helm.failed("quarter"));
    assert!(helm.story().contains("pull"), "{}", helm.story());
    shop.assert_serving(&helm, [PODS, 0]);
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn somebody_scales_the_canary() {
    let shop = Shop::new(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    shop.place.scale(CANARY, 3);
    let reason = held(&mut helm);
    assert!(reason.contains("3 replicas instead of 1"), "{reason}");
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_engine_that_is_killed_at_the_first_share_is_taken_up() {
    let shop = Shop::new(NEW);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    helm.kill();
    shop.place.app.errs("v1.6.0", 0.3);
    let mut helm = Helm::resume(&shop.place);
    flies_to(&mut helm, Outcome::RolledBack);
    shop.assert_as_before(&helm);
    assert_eq!(helm.close(), 5);
}

/// … and nothing more than what `plan --rbac` prints is needed for a canary, its promotion and the way back.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_printed_roles_are_enough() {
    let mut shop = Shop::new(SLOW);
    with_printed_roles(&mut shop.place);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("half", |helm| helm.passed("half"));
    helm.fly_until("promotion", |_| shop.place.image(STABLE) != OLD);
    helm.roll_back();
    ends(&mut helm, Outcome::RolledBack);
    assert_enough(&shop.place, &helm);
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn beside_a_canary_that_has_users_no_run_begins() {
    let shop = Shop::new(NEW);
    shop.place.scale(CANARY, 1);
    shop.place.eventually("the canary serves", || shop.serving() == [PODS, 1]);
    let said = refused(&shop.place);
    assert!(said.contains("canary has traffic already (75 % stable, 25 % canary)"), "{said}");
}
