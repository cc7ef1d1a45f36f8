//! Somebody else's change is put back on order: only what differs, only where the guard would let it be so, one act after a look
//! of its own, written down with who ordered it.

use crate::domain::{
    actor::Actor,
    cause::HoldCause,
    effect::{Effect, Input},
    event::{ActionOutcome, Outcome, RunEvent},
    fixture::{Flight, ground::selector, runbook},
    message::Command,
    prompt::Prompt,
    runbook::Window,
    time::Span,
};

/// A flight before its switch on which somebody has done this.
fn held(change: impl FnOnce(&mut Flight)) -> Flight {
    let mut flight = Flight::passed(runbook(), 2);
    change(&mut flight);
    flight.command(Command::KeepLooking);
    flight.fly(Span::from_secs(1));
    assert!(
        matches!(flight.prompt(), Prompt::Held { cause: HoldCause::Foreign, .. }),
        "{:?}",
        flight.prompt()
    );
    flight
}

fn put_back(flight: &mut Flight) {
    flight.command(Command::PutBack);
    flight.settle();
    flight.fly(Span::from_secs(1));
}

/// The lines of what was begun, and who ordered it.
fn lines(flight: &Flight) -> Vec<String> {
    let line = |event: &RunEvent| match event {
        RunEvent::PutBackStarted { does, by, .. } => {
            assert_eq!(*by, Actor::person("ada"));
            Some(does.clone())
        }
        _ => None,
    };
    flight.events.iter().filter_map(|envelope| line(&envelope.event)).collect()
}

#[test]
fn a_moved_selector_is_put_back_and_the_run_goes_on() {
    let mut flight = held(|flight| {
        flight.ground.points_at("green", "kubectl-patch");
        flight.ground.selector.insert("tier".to_owned(), "x".to_owned());
    });
    let line = r#"kubectl patch service backend --namespace=production -p '{"spec":{"selector":{"tier":null,"version":"blue"}}}'"#;
    assert_eq!(flight.run().foreign[0].put_back, line);
    put_back(&mut flight);
    assert_eq!(lines(&flight), [line]);
    assert_eq!(flight.ground.selector, selector("blue"));
    assert_eq!((flight.run().held.clone(), flight.run().foreign.len()), (None, 0), "{:?}", flight.refused);
    assert_eq!(flight.count("put_back_finished"), 1);
    assert!(matches!(flight.prompt(), Prompt::Start { step: 2, .. }), "{:?}", flight.prompt());
    assert_eq!(flight.run().live, Some("blue".into()));
}

#[test]
fn traffic_is_not_put_back_onto_a_slot_without_ready_pods() {
    let mut flight = held(|flight| {
        flight.ground.points_at("green", "kubectl-patch");
        let blue = flight.ground.slot("blue");
        (blue.desired, blue.ready, blue.follows) = (0, 0, false);
    });
    // What can be put back safely is: its pods are started.
    put_back(&mut flight);
    assert_eq!(lines(&flight), ["kubectl scale deployment backend-blue --replicas=3 --namespace=production"]);
    assert_eq!(flight.ground.selector, selector("green"));
    assert!(flight.run().held.is_some());
    flight.command(Command::PutBack);
    assert!(flight.refused.as_ref().is_some_and(|why| why.contains("0 ready pods")), "{:?}", flight.refused);
    flight.ground.slot("blue").ready = 3;
    flight.fly(Span::from_secs(1));
    put_back(&mut flight);
    assert_eq!((flight.ground.selector.clone(), flight.run().held.clone()), (selector("blue"), None));
}

#[test]
fn an_image_is_put_back_on_a_slot_that_nobody_uses_and_nowhere_else() {
    let mut flight = held(|flight| "app:v9$x".clone_into(&mut flight.ground.slot("green").image));
    put_back(&mut flight);
    assert_eq!(
        lines(&flight),
        ["kubectl set image deployment/backend-green backend=app:v2 --namespace=production"]
    );
    assert_eq!(flight.ground.slot("green").image, "app:v2");
    assert_eq!(flight.run().held, None, "{:?}", flight.refused);

    let mut flight = held(|flight| "app:v9".clone_into(&mut flight.ground.slot("blue").image));
    put_back(&mut flight);
    assert_eq!(flight.count("put_back_started"), 0);
    flight.command(Command::PutBack);
    assert!(
        flight.refused.as_ref().is_some_and(|why| why.contains("blue has the traffic")),
        "{:?}",
        flight.refused
    );
    // Nor is the traffic, onto what is not what had it.
    let mut flight = held(|flight| {
        "app:v9".clone_into(&mut flight.ground.slot("blue").image);
        flight.ground.points_at("green", "kubectl-patch");
        flight.ground.slot("blue").observed = false;
    });
    put_back(&mut flight);
    assert_eq!(flight.ground.slot("blue").image, "app:v1", "the image first");
    assert_eq!(flight.ground.selector, selector("green"), "{:?}", lines(&flight));
    flight.ground.slot("blue").observed = true;
    flight.fly(Span::from_secs(1));
    put_back(&mut flight);
    assert_eq!((flight.ground.selector.clone(), flight.run().held.clone()), (selector("blue"), None));
}

#[test]
fn an_image_is_put_back_on_the_slot_with_the_traffic_where_only_earlier_pods_answer() {
    let broken = |stale: u32, kept: u32| {
        held(|flight| {
            flight.ground.kept = kept;
            let blue = flight.ground.slot("blue");
            (blue.image, blue.ready, blue.follows) = ("app:v9".to_owned(), 0, false);
            blue.stale = [("app:v1".to_owned(), stale)].into();
        })
    };
    let line = "kubectl set image deployment/backend-blue backend=app:v1 --namespace=production";
    // A rollout leaves some of them; where nobody answers there is none to lose.
    for (stale, kept) in [(3, 2), (0, 0)] {
        let mut flight = broken(stale, kept);
        put_back(&mut flight);
        assert_eq!(lines(&flight), [line], "{:?}", flight.refused);
        assert_eq!(flight.ground.slot("blue").image, "app:v1");
        assert_eq!(flight.run().held, None, "{:?}", flight.refused);
    }
    let mut flight = broken(3, 0);
    flight.command(Command::PutBack);
    let why = flight.refused.clone().unwrap();
    assert!(why.contains("maxUnavailable"), "{why}");
    // Some of the new ones serve: they are users' pods, whoever has put them there.
    let mut flight = broken(2, 2);
    flight.ground.slot("blue").ready = 1;
    flight.fly(Span::from_secs(1));
    flight.command(Command::PutBack);
    flight.settle();
    assert!(lines(&flight).is_empty(), "{:?}", lines(&flight));
    // Which are whose is not known before the controller has looked.
    let mut flight = broken(3, 2);
    flight.ground.slot("blue").observed = false;
    flight.fly(Span::from_secs(1));
    put_back(&mut flight);
    assert!(lines(&flight).is_empty(), "{:?}", lines(&flight));
}

#[test]
fn an_object_that_was_deleted_is_for_a_person_to_make_again() {
    let mut flight = held(|flight| flight.ground.service = None);
    assert!(flight.run().foreign[0].put_back.contains("kubectl apply"), "{:?}", flight.run().foreign);
    flight.command(Command::PutBack);
    assert!(flight.refused.as_ref().is_some_and(|why| why.contains("kubectl apply")), "{:?}", flight.refused);
    assert_eq!(flight.count("put_back_started"), 0);
}

#[test]
fn what_could_not_be_put_back_leaves_the_run_held() {
    for outcome in [ActionOutcome::Failed, ActionOutcome::Unknown, ActionOutcome::Unavailable] {
        let mut flight = held(|flight| flight.ground.slot("green").desired = 1);
        flight.outcomes.insert("Put deployment/backend-green back".to_owned(), outcome);
        flight.command(Command::PutBack);
        // One at a time, and only as often as somebody orders it or the answer was lost.
        let effect = flight.queue.pop_front();
        assert!(matches!(effect, Some(Effect::PutBack { .. })), "{effect:?}");
        flight.command(Command::PutBack);
        assert!(flight.refused.is_some());
        flight.command(Command::Continue);
        flight.feed(Input::PutBack { outcome, detail: "403".to_owned() });
        assert!(flight.run().held.is_some(), "{outcome:?}");
        if outcome != ActionOutcome::Unknown {
            assert_eq!(flight.count("put_back_started"), 1);
        }
    }
}

#[test]
fn an_engine_that_died_while_something_was_put_back_leaves_it_to_be_ruled_out() {
    let mut flight = held(|flight| flight.ground.points_at("green", "kubectl-patch"));
    flight.command(Command::PutBack);
    assert_eq!(flight.count("put_back_started"), 1);
    flight.resume();
    assert_eq!(flight.run().putting_back, None);
    assert!(flight.run().lost.iter().any(|(object, _)| object.is_none()), "{:?}", flight.run().lost);
}

#[test]
fn nothing_to_put_back_is_refused_and_so_is_a_rollback_under_way() {
    let mut flight = Flight::passed(runbook(), 2);
    flight.command(Command::PutBack);
    flight.fly(Span::from_secs(1));
    assert_eq!(flight.count("put_back_started"), 0);
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("switch back".to_owned());
    flight.command(Command::Rollback { reason: "slow".to_owned() });
    flight.settle();
    flight.command(Command::PutBack);
    assert!(flight.refused.as_ref().is_some_and(|why| why.contains("rollback")), "{:?}", flight.refused);
}

#[test]
fn the_same_change_made_again_holds_again() {
    let mut flight = held(|flight| flight.ground.points_at("green", "kubectl-patch"));
    put_back(&mut flight);
    assert_eq!(flight.run().held, None);
    flight.ground.points_at("green", "kubectl-patch");
    flight.feed(Input::Woken);
    flight.command(Command::KeepLooking);
    flight.fly(Span::from_secs(1));
    assert_eq!(flight.count("foreign_change"), 2);
    assert!(flight.run().held.is_some());
    // Also where a person has put it back.
    flight.ground.points_at("blue", "kubectl-patch");
    flight.fly(Span::from_secs(1));
    flight.command(Command::Continue);
    assert_eq!(flight.run().held, None, "{:?}", flight.refused);
    flight.ground.points_at("green", "kubectl-patch");
    flight.feed(Input::Woken);
    flight.command(Command::KeepLooking);
    flight.fly(Span::from_secs(1));
    assert_eq!((flight.count("foreign_change"), flight.run().held.is_some()), (3, true));
}

#[test]
fn a_journal_from_before_still_opens() {
    let json = r#"{"seq":2,"at":"2026-11-22T20:46:00Z","event":"foreign_change","object":"service/web","what":"it points at green","manager":"kubectl"}"#;
    let envelope: crate::domain::event::Envelope = serde_json::from_str(json).unwrap();
    assert!(matches!(envelope.event, RunEvent::ForeignChange { put_back, .. } if put_back.is_empty()));
}

#[test]
fn a_run_that_is_ended_meanwhile_waits_for_the_answer_and_puts_nothing_more_back() {
    let mut flight = held(|flight| {
        flight.ground.points_at("green", "kubectl-patch");
        flight.ground.slot("blue").desired = 1;
    });
    flight.ground.silent = true;
    flight.command(Command::PutBack);
    let seen = flight.ground.look(flight.now);
    flight.feed(Input::Observed(Box::new(Ok(seen))));
    assert_eq!(flight.count("put_back_started"), 1, "{:?}", flight.refused);
    flight.command(Command::Abort { reason: "not today".to_owned() });
    assert_eq!(flight.count("run_finished"), 0, "a write is still out");
    flight.feed(Input::PutBack { outcome: ActionOutcome::Succeeded, detail: "patched".to_owned() });
    flight.fly(Span::from_mins(1));
    assert_eq!(flight.outcome(), Some(Outcome::Failed));
    assert_eq!(flight.count("put_back_started"), 1);
    assert_eq!(flight.count("put_back_finished"), 1);
}

#[test]
fn a_run_does_not_succeed_while_what_puts_something_back_is_on_its_way() {
    let mut book = runbook();
    book.steps[3].window = Some(Window { lasts: Span::from_secs(40) });
    let mut flight = Flight::in_window(book);
    flight.tick_checks();
    flight.fly(Span::from_secs(60));
    flight.failing.insert("logged".to_owned());
    flight.start();
    flight.ground.slot("blue").desired = 1;
    flight.command(Command::KeepLooking);
    flight.fly(Span::from_secs(1));
    flight.command(Command::PutBack);
    let effect = flight.queue.pop_front();
    assert!(matches!(effect, Some(Effect::PutBack { .. })), "{effect:?}");
    // It has arrived, but nobody has heard so yet; and all else is done.
    flight.ground.slot("blue").desired = 3;
    flight.failing.clear();
    flight.command(Command::KeepLooking);
    flight.fly(Span::from_secs(10));
    assert_eq!((flight.outcome(), flight.run().held.is_some()), (None, true));
    flight.feed(Input::PutBack { outcome: ActionOutcome::Succeeded, detail: "scaled".to_owned() });
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::Succeeded), "{:?}", flight.prompt());
}
