//! Waiting for a rollout: what cannot succeed ends the wait with its cause, in a step; a rollback waits as long as it may.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

use super::fakes::{CANARY, Fast, World, plain_shell, ports};
use crate::{
    domain::{
        action::{ActionKind, SlotRef},
        check::CheckKind,
        director::NEW_REVISION,
        effect::Input,
        event::{ActionOutcome, CheckRef, Place},
        fixture::{Flight, action, at_step, check, rolling_in_two, runbook},
        message::{Command, Update},
        rollout::{NewPod, PodStage, RolloutFacts},
        run::Run,
        time::Span,
    },
    engine::{
        look::{Looker, Slots},
        messages::News,
        perform::Performance,
        ports::Ports,
        values::{Secrets, Values},
    },
};

/// One of three pods is new, and at this stage.
fn facts(stage: PodStage, restarts: u32) -> RolloutFacts {
    let pod = NewPod { uid: "u".to_owned(), name: "green-1".to_owned(), restarts, stage };
    RolloutFacts {
        observed: true,
        desired: 3,
        replicas: 3,
        updated: 1,
        available: 2,
        pods: vec![pod],
        ..RolloutFacts::default()
    }
}

fn no_such_image() -> RolloutFacts {
    let stage = PodStage::PullFailed {
        image: "app:v2".to_owned(),
        reason: "ErrImagePull".to_owned(),
        why: "not found".to_owned(),
    };
    facts(stage, 0)
}

fn crash_loop() -> RolloutFacts {
    facts(PodStage::Crashed { end: format!("exit code 1, message: no {CANARY}") }, 3)
}

fn world(facts: RolloutFacts) -> Ports {
    let world = World::with_errors(0.0);
    *world.rollout.lock().unwrap() = facts;
    ports(&world, Arc::new(Fast(Instant::now())), plain_shell())
}

fn values(run: &Run) -> Values {
    let secrets = Arc::new(Secrets::default());
    secrets.add("TOKEN", CANARY.to_owned()).unwrap();
    Values::of(run, &secrets)
}

/// How a wait of at most five minutes ends, and the lines it has shown.
async fn wait(
    flight: &Flight,
    facts: RolloutFacts,
    patience: Option<Span>,
) -> (ActionOutcome, String, Vec<String>) {
    let (news, mut told) = mpsc::channel(256);
    let (_keep, cancel) = watch::channel(false);
    let dir = tempfile::tempdir().unwrap();
    let performance = Performance {
        at: at_step("deploy", 1, 1),
        action: action("rollout", ActionKind::Rollout { slot: SlotRef::New, patience }),
        container: "app".to_owned(),
        approach: None,
        run: flight.run().clone(),
        ports: world(facts),
        values: values(flight.run()),
        cancel,
        run_dir: dir.path().to_owned(),
        news,
    };
    tokio::time::timeout(Duration::from_secs(30), performance.run()).await.unwrap();
    let mut lines = Vec::new();
    while let Some(news) = told.recv().await {
        match news {
            News::Show(Update::Output { lines: shown, .. }) => {
                lines.extend(shown.iter().map(|line| line.plain().to_string()));
            }
            News::Input(Input::ActionFinished { outcome, detail, .. }) => return (outcome, detail, lines),
            _ => {}
        }
    }
    panic!("it never ends: {lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_cannot_succeed_fails_with_its_cause() {
    let flight = Flight::passed(runbook(), 1);
    let (outcome, detail, lines) = wait(&flight, no_such_image(), None).await;
    assert_eq!(outcome, ActionOutcome::Failed, "{detail}");
    assert!(detail.contains("the image cannot be pulled: app:v2: ErrImagePull: not found"), "{detail}");
    assert!(lines[0].contains("1 of 3 pods have the new template; 1 waits for its image"), "{lines:?}");
    let patient = wait(&flight, no_such_image(), Some(Span::from_mins(20))).await;
    assert_eq!(patient.0, ActionOutcome::TimedOut, "{patient:?}");
    assert!(patient.1.contains("not complete after 5m: 1 of 3"), "{}", patient.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loop_is_told_with_the_end_of_its_log_and_no_secret() {
    let (outcome, detail, lines) = wait(&Flight::passed(runbook(), 1), crash_loop(), None).await;
    assert_eq!(outcome, ActionOutcome::Failed);
    assert!(detail.contains("pod green-1 keeps crashing: 3 restarts"), "{detail}");
    assert!(
        detail.contains("last log line: `token ") && detail.contains("kubectl logs --previous green-1"),
        "{detail}"
    );
    assert!(lines.iter().any(|line| line.contains("p: token ")), "{lines:?}");
    assert!(
        !detail.contains(CANARY) && !lines.iter().any(|line| line.contains(CANARY)),
        "{detail} {lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_waits_as_long_as_it_may_unless_the_runbook_says_otherwise() {
    let mut flight = Flight::in_window(runbook());
    flight.command(Command::Rollback { reason: "bad".to_owned() });
    assert!(flight.run().rolling_back().is_some(), "{:?}", flight.refused);
    let (outcome, detail, _) = wait(&flight, no_such_image(), None).await;
    assert_eq!(outcome, ActionOutcome::TimedOut, "{detail}");
    assert!(detail.contains("ErrImagePull"), "the cause is told all the same: {detail}");
    let (outcome, ..) = wait(&flight, no_such_image(), Some(Span::from_secs(20))).await;
    assert_eq!(outcome, ActionOutcome::Failed);
}

/// The inputs of a check's looks, up to and with the first that ends it, or so many.
async fn looks(place: Place, facts: RolloutFacts, most: usize) -> Vec<Input> {
    let flight = Flight::passed(runbook(), 1);
    let kind = CheckKind::PodsReady { slot: SlotRef::New, at_least: 9, patience: None };
    let (news, mut told) = mpsc::channel(1);
    let looker = Looker {
        ports: world(facts),
        values: values(flight.run()),
        slots: Slots::of(flight.run()),
        since: flight.now,
        shared: false,
    };
    let at = CheckRef { place, attempt: 1, check: 0 };
    let task = tokio::spawn(looker.watch(at, check("pods", kind), news, |input| input));
    let mut seen = Vec::new();
    while let Some(input) = told.recv().await {
        let ends = matches!(input, Input::CheckHopeless { .. });
        seen.push(input);
        if ends || seen.len() == most {
            break;
        }
    }
    task.abort();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_can_never_be_ready_fail_their_check_with_the_cause() {
    let place = Place::Step { step: "deploy".into() };
    let seen = looks(place.clone(), no_such_image(), 100).await;
    let (last, before) = seen.split_last().unwrap();
    let Input::CheckHopeless { evidence, .. } = last else { panic!("{last:?}") };
    assert!(evidence.contains("/9 ready: the image cannot be pulled: app:v2"), "{evidence}");
    assert!(before.len() >= 2, "not at the first flicker: {before:?}");
    for input in before {
        let Input::CheckSeen { holds: false, evidence, .. } = input else { panic!("{input:?}") };
        assert!(evidence.contains("1 waits for its image"), "{evidence}");
    }
    // Pods that only take their time are no such case; nor is anything in a rollback.
    let quick = Place::Rollback { procedure: "quick".into() };
    for (place, facts) in
        [(place, facts(PodStage::Unready { why: String::new() }, 0)), (quick, no_such_image())]
    {
        let seen = looks(place, facts, 40).await;
        assert!(seen.iter().all(|input| matches!(input, Input::CheckSeen { holds: false, .. })), "{seen:?}");
    }
}

/// A rollout that the run itself has stopped makes no more pods: those that there are have to be ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_of_a_rollout_that_was_told_to_stop_are_those_that_there_are() {
    let mut flight = Flight::passed(rolling_in_two(), 0);
    let kind = CheckKind::PodsReady { slot: SlotRef::New, at_least: 1, patience: None };
    let paused = RolloutFacts { paused: true, ..facts(PodStage::Unready { why: String::new() }, 0) };
    let look = async |flight: &Flight| {
        let outside = World::with_errors(0.0);
        outside.rollout.lock().unwrap().clone_from(&paused);
        outside.ground.lock().unwrap().clone_from(&flight.ground);
        let looker = Looker {
            ports: ports(&outside, Arc::new(Fast(Instant::now())), plain_shell()),
            values: values(flight.run()),
            slots: Slots::of(flight.run()),
            since: flight.now,
            shared: true,
        };
        looker.look(&check("pods", kind.clone())).await
    };
    flight.start();
    flight.fly(Span::from_secs(2));
    (flight.ground.slot(NEW_REVISION).ready, flight.ground.slot(NEW_REVISION).others) = (1, 1);
    let seen = look(&flight).await;
    assert!(!seen.holds && seen.evidence.starts_with("new 1/3 ready"), "not stopped yet: {}", seen.evidence);
    flight.fly(Span::from_secs(2));
    assert!(flight.run().has_paused_rollout(), "{:?}", flight.acted());
    let seen = look(&flight).await;
    assert!(!seen.holds && seen.evidence.starts_with("new 1/2 ready"), "{}", seen.evidence);
    assert!(!seen.evidence.contains("paused"), "that is no fault of it: {}", seen.evidence);
    (flight.ground.slot(NEW_REVISION).ready, flight.ground.slot(NEW_REVISION).others) = (2, 0);
    let seen = look(&flight).await;
    assert!(seen.holds, "{}", seen.evidence);
    // Somebody has let it go on: all of them are wanted.
    flight.ground.paused = false;
    assert!(!look(&flight).await.holds);
}
