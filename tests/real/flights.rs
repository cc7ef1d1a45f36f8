//! Whole deployments: good ones, bad ones, and the ways back.

use std::time::Duration;

use cutover::domain::{
    event::{Outcome, RunEvent},
    message::Command as Order,
    time::Span,
};

use super::{
    helm::Helm,
    place::{BLUE, GREEN, NEW, OLD, PODS, Place},
};

/// Flies until the run is over.
fn fly(helm: &mut Helm) {
    helm.fly_until("end", Helm::is_over);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_good_release_lands() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    fly(&mut helm);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    place.eventually("green serves alone", || place.serving(GREEN) == PODS && place.serving(BLUE) == 0);
    assert_eq!(
        (place.live().as_str(), place.replicas(BLUE), place.image(GREEN)),
        ("green", 0, NEW.to_owned())
    );
    place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 0);
}

/// A release that does not come up: the step fails within this, the users notice nothing, and R puts the new slot back.
fn never_comes_up(image: &str, says: &str, within: Span) {
    let place = Place::new(image);
    let mut helm = Helm::open(&place);
    helm.fly_until("failure", |helm| helm.failed("deploy"));
    let story = helm.story();
    let at = |is: fn(&RunEvent) -> bool| helm.events.iter().rfind(|it| is(&it.event)).unwrap().at;
    let begun = at(|event| matches!(event, RunEvent::StepStarted { .. }));
    let took = at(|event| matches!(event, RunEvent::StepFailed { .. })).since(begun);
    assert!(took <= within, "after {took}: {story}");
    assert!(story.contains(says), "no `{says}` in {story}");
    assert_eq!(place.live(), "blue");
    helm.roll_back();
    place.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_image_that_is_not_there() {
    never_comes_up("registry.example.com/backend:v1.6.0-missing", "pull", Span::from_secs(25));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_release_that_crashes() {
    never_comes_up("registry.example.com/backend:v1.6.0-crash", "restart", Span::from_secs(25));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_release_that_is_never_ready() {
    // Nothing says that it will not be: only its time is over.
    never_comes_up("registry.example.com/backend:v1.6.0-unready", "ready", Span::from_secs(55));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn errors_under_load_are_rolled_back_by_the_trigger() {
    let place = Place::new(NEW);
    place.app.errs("v1.6.0", 0.2);
    let mut helm = Helm::open(&place);
    fly(&mut helm);
    assert_eq!(helm.outcome(), Some(Outcome::RolledBack), "{}", helm.story());
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })), "{}", helm.story());
    place.assert_on_blue(&helm);
    place.assert_all_answered(&helm);
    assert!(place.app.counted("green").bad > 0.0);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn errors_under_load_that_no_trigger_takes_for_too_many_are_rolled_back_by_a_person() {
    let place = Place::new(NEW);
    place.app.errs("v1.6.0", 0.03);
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    place.eventually("errors", || place.app.counted("green").bad > 0.0);
    helm.roll_back();
    place.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_after_the_old_pods_are_gone() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    helm.fly_until("retire's scale-down", |helm| helm.began("retire"));
    helm.roll_back();
    place.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_database_goes_back_too_and_a_step_of_it_that_fails_is_tried_again() {
    let place = Place::new(NEW);
    let broken = place.stage.path().join("log.broken");
    std::fs::write(&broken, "").unwrap();
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    helm.order(&Order::RollbackProcedure {
        procedure: "database".into(),
        reason: "rows are damaged".into(),
        typed: "b-17".into(),
    });
    helm.wait_until("stop", Helm::is_over);
    assert_eq!(helm.outcome(), None, "the restore has failed and a person decides: {}", helm.story());
    assert!(!place.logged().contains(&"restore b-17".to_owned()));
    std::fs::remove_file(&broken).unwrap();
    helm.order(&Order::RetryRollback);
    helm.wait_until("end", |helm| helm.outcome().is_some());
    assert_eq!(helm.outcome(), Some(Outcome::RolledBack), "{}", helm.story());
    assert_eq!(place.logged(), ["backup", "restore b-17"]);
    place.assert_on_blue(&helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_engine_that_is_killed_in_the_window_is_taken_up() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    helm.kill();
    place.app.errs("v1.6.0", 0.2);
    let mut helm = Helm::resume(&place);
    fly(&mut helm);
    assert_eq!(helm.outcome(), Some(Outcome::RolledBack), "{}", helm.story());
    place.assert_on_blue(&helm);
    place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn prometheus_that_is_gone_is_no_health() {
    let mut place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    place.app.stop_prometheus();
    helm.wait(Duration::from_secs(30));
    assert!(!helm.passed("monitor") && helm.outcome().is_none(), "{}", helm.story());
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerBlind { .. })), "{}", helm.story());
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    assert_eq!(helm.outcome(), Some(Outcome::RolledBack), "{}", helm.story());
    place.assert_on_blue(&helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn two_deployments_in_a_row() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    fly(&mut helm);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    assert_eq!(helm.close(), 0);
    // The idle slot has no pods now: the second deployment starts them.
    place.edit(NEW, "registry.example.com/backend:v1.7.0");
    let mut helm = Helm::open(&place);
    fly(&mut helm);
    assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
    place.eventually("blue serves alone", || place.serving(BLUE) == PODS && place.serving(GREEN) == 0);
    assert_eq!(place.image(BLUE), OLD.replace("v1.5.0", "v1.7.0"));
    place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_runbook_that_comes_with_the_program_twice_in_a_row() {
    let place = Place::shipped(NEW);
    for (version, to, from) in [("v1.6.0", GREEN, BLUE), ("v1.7.0", BLUE, GREEN)] {
        if version != "v1.6.0" {
            place.edit("value = \"v1.6.0\"", "value = \"v1.7.0\"");
        }
        let mut helm = Helm::open(&place);
        // The baseline wants to be measured before the switch.
        helm.wait(Duration::from_secs(20));
        fly(&mut helm);
        assert_eq!(helm.outcome(), Some(Outcome::Succeeded), "{}", helm.story());
        place.eventually("the new version serves alone", || {
            place.serving(to) == 3 && place.serving(from) == 0
        });
        assert_eq!(place.image(to), NEW.replace("v1.6.0", version));
        place.assert_all_answered(&helm);
        assert_eq!(helm.close(), 0);
    }
}
