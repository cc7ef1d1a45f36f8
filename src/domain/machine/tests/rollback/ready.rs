//! The light that says whether a rollback would work, and the checks that prove it.

use super::*;

#[test]
fn a_look_is_at_hand_while_a_dialog_is_open() {
    let mut flight = Flight::in_window(runbook());
    flight.ground.silent = true;
    flight.now = flight.now + Span::from_secs(5);
    let looks = |flight: &Flight| flight.queue.iter().filter(|effect| **effect == Effect::Observe).count();
    let before = looks(&flight);
    flight.command(Command::KeepLooking);
    assert_eq!(looks(&flight), before + 1);
    let seen = flight.ground.look(flight.now);
    flight.feed(Input::Observed(Box::new(Ok(seen))));
    // The order finds the look fresh: its first act begins in the same breath.
    flight.now = flight.now + Span::from_millis(200);
    let decision = flight.command(r("errors"));
    assert!(begins(&decision.effects, &at_quick(1, 0)));
}

#[test]
fn readiness_says_what_speaks_against_it() {
    let flight = Flight::in_window(runbook());
    let access = crate::domain::workload::Access { patch_service: Some(true), ..Default::default() };
    let light = |picture| flight.run().readiness(Some(&picture), Some(&access), flight.now);
    assert_eq!(light(workload("green")).light, Light::Ready);
    let mut changed = workload("green");
    changed.slots.get_mut("blue").unwrap().image = "app:v3".to_owned();
    assert_eq!(light(changed).light, Light::NotReady);
    let mut asleep = workload("green");
    let blue = asleep.slots.get_mut("blue").unwrap();
    (blue.desired, blue.ready) = (0, 0);
    assert_eq!(light(asleep).light, Light::Slow);
    let denied = crate::domain::workload::Access { patch_service: Some(false), ..Default::default() };
    assert_eq!(
        flight.run().readiness(Some(&workload("green")), Some(&denied), flight.now).light,
        Light::NotReady
    );
}

/// A flight whose quick rollback is proved by two checks.
fn proving() -> Runbook {
    let mut book = runbook();
    book.rollbacks[0].ready = vec![look("reaches its database"), look("image is there")];
    book
}

fn seen(check: usize, holds: bool) -> Input {
    Input::ReadySeen { check, holds, evidence: if holds { "200" } else { "503" }.to_owned() }
}

#[test]
fn the_way_back_is_open_while_every_proof_of_it_is_fresh_and_good() {
    let mut flight = Flight::in_window(proving());
    let access = crate::domain::workload::Access { patch_service: Some(true), ..Default::default() };
    let light = |flight: &Flight, picture: &crate::domain::workload::Workload| {
        let readiness = flight.run().readiness(Some(picture), Some(&access), flight.now);
        (readiness.light, readiness.detail)
    };
    let up = workload("green");
    let told = |flight: &Flight| flight.count("way_back_changed");
    // The flight to here took longer than a look may be old, and nobody has looked.
    assert!(
        light(&flight, &up).1.contains("reaches its database: not seen for"),
        "{:?}",
        light(&flight, &up)
    );
    flight.feed(seen(0, true));
    assert_eq!(light(&flight, &up).0, Light::NotReady, "the other one was not seen");
    flight.feed(seen(1, true));
    assert_eq!(light(&flight, &up).0, Light::Ready);
    // Looks that say the same are no news, whatever they saw.
    let before = told(&flight);
    for _ in 0..6 {
        flight.now = flight.now + Span::from_secs(10);
        flight.feed(seen(0, true));
        flight.feed(seen(1, true));
        flight.feed(Input::Tick);
    }
    assert_eq!(told(&flight), before);
    // One fails: red at once, with its words.
    flight.feed(seen(0, false));
    assert_eq!(light(&flight, &up), (Light::NotReady, "reaches its database: 503".to_owned()));
    assert_eq!(told(&flight), before + 1);
    flight.feed(seen(0, false));
    assert_eq!(told(&flight), before + 1);
    flight.feed(seen(0, true));
    assert_eq!(light(&flight, &up).0, Light::Ready);
    // Nobody looks any more: after 30 s nothing is proved.
    flight.now = flight.now + Span::from_secs(31);
    flight.feed(Input::Tick);
    assert!(light(&flight, &up).1.contains("not seen for"), "{:?}", light(&flight, &up));
    // A slot that sleeps can prove nothing; that it is started first takes time, and is no failure.
    let mut asleep = workload("green");
    let blue = asleep.slots.get_mut("blue").unwrap();
    (blue.desired, blue.ready) = (0, 0);
    assert_eq!(light(&flight, &asleep).0, Light::Slow);
}

#[test]
fn another_engine_proves_the_way_back_anew() {
    let mut flight = Flight::in_window(proving());
    flight.feed(seen(0, true));
    flight.feed(seen(1, true));
    assert!(flight.run().way_back.as_ref().is_some_and(|way_back| way_back.ready));
    flight.resume();
    assert_eq!(flight.run().way_back, None);
    let light = flight.run().readiness(Some(&workload("green")), None, flight.now);
    assert_eq!(light.light, Light::NotReady);
    assert!(light.detail.contains("not proved yet"), "{}", light.detail);
}
