//! Bad days between the product and a real Prometheus: answers are lost, late, cut, refused, or come a few bytes at a time.

use std::time::Duration;

use cutover::domain::event::{Outcome, RunEvent};
use nix::sys::signal::{Signal, kill};

use super::{
    ground::WORLD,
    helm::{Base as _, Helm},
    place::{BLUE, GREEN, NEW, PODS, Place},
    proxy::{Proxy, Trouble},
};

const ALWAYS: u32 = u32::MAX;
/// Questions about a moment, and nothing else.
const QUESTIONS: [&str; 1] = ["/api/v1/query"];

/// The product asks Prometheus through a proxy.
fn place_with_proxy() -> (Place, Proxy) {
    let place = Place::new(NEW);
    let server = place.app.prometheus();
    let proxy = WORLD.block_on(Proxy::before_plain(&server));
    place.edit(&server, &proxy.url());
    (place, proxy)
}

fn in_window(place: &Place) -> Helm {
    let mut helm = Helm::open(place);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    helm
}

fn lands(place: &Place, mut helm: Helm) {
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    assert!(!helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })), "{}", helm.story());
    place.eventually("green serves alone", || place.serving(GREEN) == PODS && place.serving(BLUE) == 0);
    assert_eq!(helm.close(), 0);
}

/// M3, M6, M7: a bad release is found by what comes through, and rolled back once.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_trigger_fires_once_though_answers_get_lost() {
    let (place, proxy) = place_with_proxy();
    // A number takes a few questions: about a quarter of the numbers is lost.
    proxy.every(13, "", &QUESTIONS, Trouble::AnswerLost);
    place.app.errs("v1.6.0", 0.2);
    let mut helm = in_window(&place);
    helm.fly_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::RolledBack), "{}", helm.story());
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })), "{}", helm.story());
    let begun = helm.events.iter().filter(|it| matches!(it.event, RunEvent::RollbackStarted { .. }));
    assert_eq!(begun.count(), 1, "{}", helm.story());
    place.assert_on_blue(&helm);
    place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}

/// M1, M2, M4: for twice the window nothing is measured, each time for another reason. None of it counts as health.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_outage_is_no_health_whatever_it_looks_like() {
    let (place, proxy) = place_with_proxy();
    let mut helm = in_window(&place);
    for trouble in [
        Trouble::Answer(503),
        Trouble::Answer(429),
        Trouble::Cut,
        Trouble::AnswerLost,
        Trouble::Silent,
        Trouble::LateAnswer(Duration::from_secs(20)),
    ] {
        proxy.clear();
        proxy.rule("", &QUESTIONS, ALWAYS, trouble);
        helm.wait(Duration::from_secs(7));
        assert!(!helm.passed("monitor") && helm.outcome().is_none(), "{trouble:?}: {}", helm.story());
    }
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerBlind { .. })), "{}", helm.story());
    proxy.clear();
    lands(&place, helm);
}

/// Everything comes a few bytes at a time: a good release is still seen to be one.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_thin_line_is_no_outage() {
    let (place, proxy) = place_with_proxy();
    proxy.rule("", &[], ALWAYS, Trouble::Drip(16, Duration::from_millis(4)));
    let helm = in_window(&place);
    lands(&place, helm);
}

/// M5: the engine stands still for longer than the window lasts. That is no window that was watched.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn time_asleep_is_no_evidence() {
    let (place, _proxy) = place_with_proxy();
    let mut helm = in_window(&place);
    let engine = place.stage().engine();
    kill(engine, Signal::SIGSTOP).unwrap();
    std::thread::sleep(Duration::from_secs(22));
    kill(engine, Signal::SIGCONT).unwrap();
    helm.wait(Duration::from_secs(4));
    assert!(!helm.passed("monitor") && helm.outcome().is_none(), "{}", helm.story());
    lands(&place, helm);
}
