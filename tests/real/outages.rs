//! The API server rests, dies and comes back while a run is in the air. Each of these has it alone.

use std::{
    sync::{PoisonError, RwLockWriteGuard},
    time::Duration,
};

use cutover::domain::event::{Outcome, RunEvent};

use super::{
    helm::Helm,
    place::{GREEN, NEW, PODS, Place},
    plane::{IN_THE_AIR, PLANE},
};

fn alone() -> RwLockWriteGuard<'static, ()> {
    IN_THE_AIR.write().unwrap_or_else(PoisonError::into_inner)
}

fn switched(place: &Place) -> Helm {
    let mut helm = Helm::open(place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    helm
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn twenty_seconds_of_silence_in_a_rollback() {
    let _alone = alone();
    let place = Place::alone(NEW);
    let mut helm = switched(&place);
    let frozen = PLANE.freeze();
    helm.roll_back();
    helm.wait(Duration::from_secs(20));
    assert_eq!(helm.outcome(), None, "it goes on trying: {}", helm.story());
    drop(frozen);
    place.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn twenty_seconds_of_silence_in_the_window() {
    let _alone = alone();
    let place = Place::alone(NEW);
    let mut helm = switched(&place);
    let frozen = PLANE.freeze();
    helm.wait(Duration::from_secs(20));
    drop(frozen);
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    place.eventually("green serves", || place.live() == "green" && place.serving(GREEN) == PODS);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn killed_and_started_again_in_the_window() {
    let _alone = alone();
    let place = Place::alone(NEW);
    let mut helm = switched(&place);
    PLANE.kill();
    helm.wait(Duration::from_secs(5));
    PLANE.revive();
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    assert!(!helm.has(|event| matches!(event, RunEvent::RollbackStarted { .. })), "{}", helm.story());
    place.eventually("green serves", || place.live() == "green" && place.serving(GREEN) == PODS);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn killed_and_started_again_in_a_rollback() {
    let _alone = alone();
    let place = Place::alone(NEW);
    let mut helm = switched(&place);
    PLANE.kill();
    helm.roll_back();
    helm.wait(Duration::from_secs(5));
    PLANE.revive();
    // The controllers start again with it, and the Endpoints may name the slot that is emptied a while longer: what cutover does
    // not read, see docs/guarantees.md.
    place.assert_comes_back(helm);
}
