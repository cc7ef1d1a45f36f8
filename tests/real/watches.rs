//! Watches that do not tell what happens: their version is too old, bookmarks are lost, the line is thin or dead. What they have
//! told is a picture from before; nothing is done on its word.

use std::{sync::PoisonError, time::Duration};

use cutover::domain::{
    cause::HoldCause,
    event::{Outcome, RunEvent},
    message::Command as Order,
};

use super::{
    helm::Helm,
    line::proxy_before,
    place::{BLUE, GREEN, NEW, PODS, Place},
    plane::{IN_THE_AIR, PLANE},
    proxy::{Proxy, Trouble},
};

const ALWAYS: u32 = u32::MAX;
/// All watches, and nothing else.
const WATCHES: [&str; 1] = ["watch=true"];

/// Watches begin anew, and meet this.
fn begin_anew(proxy: &Proxy, times: u32, trouble: Trouble) {
    proxy.clear();
    proxy.rule("GET", &WATCHES, times, trouble);
    proxy.refuse(Duration::from_millis(100));
}

fn opened(place: &Place) -> Helm {
    let mut helm = Helm::open(place);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    helm
}

fn switched(place: &Place) -> Helm {
    let mut helm = Helm::open(place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    helm
}

/// Somebody else's change is found and named.
fn wait_for_hold(helm: &mut Helm, change: &str) {
    let foreign = |helm: &Helm| {
        let held = helm.run.as_ref().and_then(|run| run.held.as_ref());
        held.is_some_and(|held| held.cause == HoldCause::Foreign)
    };
    helm.wait_until("hold", foreign);
    assert!(helm.held_because().contains(change), "{}\n{}", helm.held_because(), helm.story());
}

/// For the whole of a run every watch is refused for its version, the way that this is.
fn flies_without_a_watch(mut place: Place, trouble: Trouble) {
    let proxy = proxy_before(&mut place);
    proxy.rule("GET", &WATCHES, ALWAYS, trouble);
    let mut helm = opened(&place);
    place.point_at("green");
    wait_for_hold(&mut helm, "service/backend-service");
    assert!(!helm.began("switch"), "{}", helm.story());
    place.point_at("blue");
    helm.order(&Order::Continue);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    let lists = proxy.taken("GET", "fieldSelector=").len() + proxy.taken("GET", "labelSelector=").len();
    assert!(proxy.taken("GET", WATCHES[0]).len() >= 12, "{trouble:?} was not met");
    // Six feeds, each of which begins anew a few times a minute; a storm has hundreds.
    assert!(lists < 300, "{trouble:?}: {lists} requests\n{}", helm.story());
    helm.roll_back();
    place.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn every_watch_is_answered_with_410() {
    flies_without_a_watch(Place::new(NEW), Trouble::Answer(410));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn every_watch_is_told_410_in_its_stream() {
    flies_without_a_watch(Place::new(NEW), Trouble::Gone);
}

/// … and here it is the real server that says so: in the stream, as its release does.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn every_watch_asks_for_a_version_that_is_too_old() {
    // It knows nothing of what was before its start.
    {
        let _alone = IN_THE_AIR.write().unwrap_or_else(PoisonError::into_inner);
        PLANE.kill();
        PLANE.revive();
    }
    flies_without_a_watch(Place::new(NEW), Trouble::OldVersion);
}

/// Watches end and begin anew at the version of the last object that they told of, however long ago.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn bookmarks_are_lost() {
    let mut place = Place::new(NEW);
    let proxy = proxy_before(&mut place);
    proxy.rule("GET", &WATCHES, ALWAYS, Trouble::NoBookmarks);
    let mut helm = switched(&place);
    begin_anew(&proxy, ALWAYS, Trouble::NoBookmarks);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    // … or at a version from long before: all that has happened since is told once more.
    begin_anew(&proxy, 6, Trouble::OldVersion);
    helm.wait(Duration::from_secs(2));
    begin_anew(&proxy, ALWAYS, Trouble::NoBookmarks);
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    assert!(!helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })), "{}", helm.story());
    place.eventually("green serves alone", || place.serving(GREEN) == PODS && place.serving(BLUE) == 0);
    place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 0);
}

/// Everything comes a few bytes at a time: lists, answers to writes, and what watches tell.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_thin_line() {
    let mut place = Place::new(NEW);
    let proxy = proxy_before(&mut place);
    proxy.rule("", &[], ALWAYS, Trouble::Drip(24, Duration::from_millis(2)));
    let mut helm = switched(&place);
    // The watches alone are thinner still: they are seconds behind, in the middle of an object.
    begin_anew(&proxy, ALWAYS, Trouble::Drip(3, Duration::from_millis(5)));
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    helm.roll_back();
    place.assert_rolls_back(helm);
}

/// The line is dead and nobody has said so: watches are open and say nothing while the slot that one would go back to loses its pods.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_rollback_on_a_dead_line_to_a_slot_that_was_emptied() {
    let mut place = Place::new(NEW);
    let proxy = proxy_before(&mut place);
    let mut helm = switched(&place);
    helm.wait(Duration::from_secs(1));
    proxy.mute();
    proxy.rule("GET", &WATCHES, ALWAYS, Trouble::Silent);
    place.scale(BLUE, 0);
    place.eventually("blue is empty", || {
        place.object("deployment", BLUE).is_some_and(|blue| blue["status"]["replicas"].is_null())
    });
    helm.roll_back();
    place.assert_rolls_back(helm);
}

/// … and while somebody takes a pod from the slot that has the users.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_change_on_a_dead_line() {
    let mut place = Place::new(NEW);
    let proxy = proxy_before(&mut place);
    let mut helm = opened(&place);
    proxy.mute();
    proxy.rule("GET", &WATCHES, ALWAYS, Trouble::Silent);
    place.scale(BLUE, 1);
    wait_for_hold(&mut helm, "1 replicas instead of 2");
    helm.confirm();
    helm.wait(Duration::from_secs(2));
    assert!(!helm.began("switch"), "{}", helm.story());
    place.scale(BLUE, PODS);
    place.eventually("blue has its pods again", || place.serving(BLUE) == PODS);
    helm.order(&Order::Continue);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    helm.roll_back();
    place.assert_rolls_back(helm);
}
