//! What the light says of a revert, and who is named where nobody watches.

use super::{begun, picture, roll, watch};
use crate::domain::{
    director::{NEW_REVISION, OLD_REVISION},
    fixture::{Flight, recreate, rolling},
    plan::Light,
};

#[test]
fn who_is_left_unwatched_is_told_by_all_who_have_users() {
    let mut flight = begun(rolling());
    let left = flight.run().unwatched();
    assert!(left.contains("traffic is on old, or may be on new by now, and no trigger"), "{left}");
    flight.ground.roll();
    watch(&mut flight);
    let left = flight.run().unwatched();
    assert!(left.contains("traffic is on 66.7 % old, 33.3 % new, and no trigger"), "{left}");
    let mut flight = begun(recreate());
    flight.ground.slots.values_mut().for_each(|slot| slot.ready = 0);
    watch(&mut flight);
    let left = flight.run().unwatched();
    assert!(left.contains("NOBODY WATCHES: no pod was ready, and no trigger"), "{left}");
}

/// The light on what the watch shows of a flight's ground, for somebody who may do this.
pub(super) fn light(flight: &Flight, deployments: bool) -> (Light, String) {
    let access = crate::domain::workload::Access {
        patch_service: Some(true),
        patch_deployments: Some(deployments),
        missing: Vec::new(),
        at: flight.now,
    };
    let light = flight.run().readiness(Some(&picture(flight)), Some(&access), flight.now);
    (light.light, light.detail)
}

#[test]
fn the_light_is_out_where_a_revert_may_take_all_pods_at_once() {
    let mut flight = begun(rolling());
    roll(&mut flight);
    assert_eq!(light(&flight, true).0, Light::Ready);
    flight.ground.kept = 0;
    let (seen, words) = light(&flight, true);
    assert_eq!(seen, Light::NotReady, "{words}");
    assert!(words.contains("lower its maxUnavailable"), "{words}");
    // With a pod of the old version to answer, or with none to lose, it would go.
    flight.ground.slot(OLD_REVISION).ready = 1;
    assert_eq!(light(&flight, true).0, Light::Ready, "{:?}", light(&flight, true));
    (flight.ground.slot(OLD_REVISION).ready, flight.ground.slot(NEW_REVISION).ready) = (0, 0);
    assert_eq!(light(&flight, true).0, Light::Ready, "{:?}", light(&flight, true));
    let mut flight = begun(recreate());
    roll(&mut flight);
    flight.ground.kept = 0;
    assert_eq!(light(&flight, true).0, Light::Ready, "{:?}", light(&flight, true));
}

#[test]
fn the_light_says_what_a_revert_would_do() {
    let mut flight = begun(rolling());
    flight.ground.roll();
    watch(&mut flight);
    let access = crate::domain::workload::Access {
        patch_service: Some(true),
        patch_deployments: Some(true),
        missing: Vec::new(),
        at: flight.now,
    };
    let shown = picture(&flight);
    let light = flight.run().readiness(Some(&shown), Some(&access), flight.now);
    assert_eq!(light.light, Light::Ready, "{light:?}");
    assert!(light.detail.contains("reverts to v1, 2 of 3 pods still run it"), "{}", light.detail);
    let mut gone = shown;
    gone.slots.get_mut(OLD_REVISION).unwrap().hash.clear();
    let light = flight.run().readiness(Some(&gone), Some(&access), flight.now);
    assert_eq!(light.light, Light::Slow);
}
