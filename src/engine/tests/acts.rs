//! What the engine does by itself, and what it does where something does not answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    fakes::{Fast, Pages, World, plain_shell, ports},
    flown::{fly, reason, small},
};
use crate::{
    domain::{
        action::ActionKind,
        actor::Actor,
        effect::Decision,
        event::{Outcome, RunEvent},
        fixture::{Flight, action, at_step, trigger},
        message::Command,
        runbook::{OnNoData, Then},
        time::Span,
    },
    engine::{
        driver::{Engine, Parts},
        messages::End,
        values::Secrets,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_release_is_rolled_back_by_its_trigger() {
    let mut bad = small();
    bad.triggers[0] = trigger(Then::Countdown(Span::from_secs(5)), Span::from_secs(30), OnNoData::Hold);
    bad.rollbacks[0].check.remove(1);
    let flown = fly(bad, "v2", 0.2, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::RolledBack)));
    assert_eq!(flown.run.rollbacks[0].by, Actor::Trigger);
    assert_eq!(flown.run.live, Some("blue".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_and_a_missing_variable_is_found_before() {
    let mut unset = small();
    unset.steps[0].run.push(action("argv", ActionKind::Argv { argv: vec!["echo".into(), "$NOPE".into()] }));
    let flown = fly(unset, "v2", 0.0004, None).await;
    assert_eq!(flown.end, End::Closed(Some(Outcome::Failed)));
    assert!(reason(&flown.run).contains("$NOPE has no value"), "{}", reason(&flown.run));
    let failed = flown.journal.iter().any(|envelope| {
        matches!(&envelope.event, RunEvent::ActionFinished { at, .. } if *at == at_step("migrate", 1, 2))
    });
    assert!(failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_without_screens_pauses_after_the_running_action() {
    let mut slow = small();
    slow.steps[0].run[0].kind = ActionKind::Sh { script: "echo backup-id: b-17; sleep 0.3".to_owned() };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("output")).unwrap();
    let world = World::with_errors(0.0);
    let clock = Arc::new(Fast(Instant::now()));
    let mut flight = Flight::opened(slow);
    let started = flight.command(Command::Start { step: Some("migrate".into()), attempt: 1, typed: None });
    let (asks, incoming) = mpsc::channel(1);
    drop(asks);
    let engine = Engine::new(Parts {
        machine: flight.machine.clone(),
        events: flight.events.clone(),
        decision: Decision { events: Vec::new(), ..started },
        ports: ports(&world, clock, plain_shell()),
        journal: Box::new(Pages::default()),
        secrets: Arc::new(Secrets::default()),
        run_dir: dir.path().to_owned(),
        container: String::new(),
        lock: None,
        copy: None,
        incoming,
    });
    let end = tokio::time::timeout(Duration::from_secs(20), engine.run()).await.unwrap();
    assert_eq!(end, End::Closed(Some(Outcome::Held)));
    let output = std::fs::read_to_string(dir.path().join("output/migrate-1-00.log")).unwrap();
    assert_eq!(output, "backup-id: b-17\n", "it was let finish");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_is_looked_at_against_the_slot_one_would_go_back_to() {
    let mut proving = small();
    let proof = |script: &str| {
        let kind = crate::domain::check::CheckKind::Sh { script: script.to_owned(), expect: None };
        crate::domain::fixture::check("the old version runs", kind)
    };
    proving.rollbacks[0].ready = vec![proof(r#"test "$SLOT" = blue && test ! -e closed"#)];
    // A migration that the old version can't live with.
    proving.steps[0].run[1].kind = ActionKind::Sh { script: "sleep 1; touch closed; sleep 1".to_owned() };
    let flown = fly(proving, "v2", 0.0004, None).await;
    let changes: Vec<_> = flown
        .journal
        .iter()
        .filter_map(|envelope| match &envelope.event {
            RunEvent::WayBackChanged { ready, failing, .. } => Some((*ready, failing.len())),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(true, 0), (false, 1)], "told when it changes, and only then");
}
