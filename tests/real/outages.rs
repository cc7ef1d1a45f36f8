//! The API server rests, dies and comes back while two runs are in the air. Each of these has it alone.

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

/// Does both at once.
fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault)), other)
    })
}

/// Two runs whose users are on the new version: one watches its window, one will roll back.
fn two_switched(places: &[Place; 2]) -> (Helm, Helm) {
    both(|| switched(&places[0]), || switched(&places[1]))
}

/// The window goes on once the API server is back, and the run lands.
fn lands(place: &Place, mut helm: Helm) {
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    assert!(!helm.has(|event| matches!(event, RunEvent::RollbackStarted { .. })), "{}", helm.story());
    place.eventually("green serves", || place.live() == "green" && place.serving(GREEN) == PODS);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn twenty_seconds_of_silence_in_the_window_and_in_a_rollback() {
    let _alone = alone();
    let places = [(); 2].map(|()| Place::alone(NEW));
    let (mut watching, mut rolling_back) = two_switched(&places);
    let frozen = PLANE.freeze();
    rolling_back.roll_back();
    let silence = Duration::from_secs(20);
    both(|| watching.wait(silence), || rolling_back.wait(silence));
    assert_eq!(rolling_back.outcome(), None, "it goes on trying: {}", rolling_back.story());
    drop(frozen);
    both(|| lands(&places[0], watching), || places[1].assert_rolls_back(rolling_back));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn killed_and_started_again_in_the_window_and_in_a_rollback() {
    let _alone = alone();
    let places = [(); 2].map(|()| Place::alone(NEW));
    let (mut watching, mut rolling_back) = two_switched(&places);
    PLANE.kill();
    rolling_back.roll_back();
    let gone = Duration::from_secs(5);
    both(|| watching.wait(gone), || rolling_back.wait(gone));
    PLANE.revive();
    // The controllers start again with it, and the Endpoints may name the slot that is emptied a while longer: what cutover does
    // not read, see docs/guarantees.md.
    both(|| lands(&places[0], watching), || places[1].assert_comes_back(rolling_back));
}
