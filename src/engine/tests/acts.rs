//! What the engine does by itself, and what it does where something does not answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::{
    fakes::{Fast, Pages, World, plain_shell, ports},
    flown::{fly, reason, small},
};
use crate::{
    domain::{
        action::{ActionKind, SlotRef},
        actor::Actor,
        check::{CheckKind, Condition},
        effect::{Decision, Input},
        event::{Outcome, RunEvent},
        fixture::{Flight, action, at_step, check, trigger},
        lock::LockState,
        message::Command,
        metric::{Bound, Op},
        run::ItemStatus,
        runbook::{Item, OnNoData, Then},
        time::Span,
    },
    engine::{
        driver::{Engine, Parts},
        messages::End,
        ports::{PortResult, TargetLock},
        values::Secrets,
    },
};

/// An engine that takes a flight over where it is; no screen can come to it.
fn unseen(
    dir: &tempfile::TempDir,
    flight: &Flight,
    decision: Decision,
    errors: f64,
    lock: Option<Arc<dyn TargetLock>>,
) -> Engine {
    std::fs::create_dir(dir.path().join("output")).unwrap();
    let world = World::with_errors(errors);
    *world.live.lock().unwrap() = flight.run().live.clone().unwrap();
    *world.ground.lock().unwrap() = flight.ground.clone();
    Engine::new(Parts {
        machine: flight.machine.clone(),
        events: flight.events.clone(),
        decision: Decision { events: Vec::new(), ..decision },
        ports: ports(&world, Arc::new(Fast(Instant::now())), plain_shell()),
        journal: Box::new(Pages::default()),
        secrets: Arc::new(Secrets::default()),
        run_dir: dir.path().to_owned(),
        container: String::new(),
        lock,
        copy: None,
        keeper: None,
        incoming: mpsc::channel(1).1,
    })
}

/// A lock that this test says what is known of.
struct Lock(watch::Sender<LockState>);

#[async_trait]
impl TargetLock for Lock {
    fn permit(&self) -> Result<u64, String> {
        match &*self.0.borrow() {
            LockState::Held { fence, .. } => Ok(*fence),
            other => Err(format!("{other:?}")),
        }
    }

    fn state(&self) -> watch::Receiver<LockState> {
        self.0.subscribe()
    }

    async fn release(&self) -> PortResult<()> {
        Ok(())
    }
}

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
    let mut flight = Flight::opened(slow);
    let started = flight.command(Command::Start { step: Some("migrate".into()), attempt: 1, typed: None });
    let engine = unseen(&dir, &flight, started, 0.0, None);
    let end = tokio::time::timeout(Duration::from_secs(20), engine.run()).await.unwrap();
    assert_eq!(end, End::Closed(Some(Outcome::Held)));
    let output = std::fs::read_to_string(dir.path().join("output/migrate-1-00.log")).unwrap();
    assert_eq!(output, "backup-id: b-17\n", "it was let finish");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n3_an_engine_without_screens_watches_the_window_and_rolls_back() {
    let mut bad = small();
    bad.triggers[0] = trigger(Then::Rollback, Span::from_secs(30), OnNoData::Hold);
    let flight = Flight::in_window(bad);
    let dir = tempfile::tempdir().unwrap();
    let engine = unseen(&dir, &flight, Decision::default(), 0.2, None);
    let end = tokio::time::timeout(Duration::from_secs(30), engine.run()).await.unwrap();
    assert_eq!(end, End::Closed(Some(Outcome::RolledBack)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollbacks_command_waits_for_the_lock_and_runs_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut drains = small();
    let script = format!("echo drained >> {}", dir.path().join("log").display());
    drains.rollbacks[0].run.insert(0, action("drain", ActionKind::Sh { script }));
    let mut flight = Flight::in_window(drains);
    flight.feed(Input::LockTaken { lock_id: "3f9a-12bc-77de".to_owned(), fence: 7, from: None });
    let ordered = flight.command(Command::Rollback { reason: "errors".to_owned() });
    let since = flight.now;
    let lock = Arc::new(Lock(watch::Sender::new(LockState::Uncertain { since, why: "silence".to_owned() })));
    let engine = tokio::spawn(unseen(&dir, &flight, ordered, 0.0, Some(lock.clone())).run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!dir.path().join("log").exists(), "begun while the lock was not certain");
    lock.0.send_replace(LockState::Held { lock_id: "3f9a-12bc-77de".to_owned(), fence: 7, since });
    let end = tokio::time::timeout(Duration::from_secs(30), engine).await.unwrap().unwrap();
    assert_eq!(end, End::Closed(Some(Outcome::RolledBack)));
    assert_eq!(std::fs::read_to_string(dir.path().join("log")).unwrap(), "drained\n");
}

/// The fake Prometheus measures green and not blue.
#[tokio::test(flavor = "multi_thread")]
async fn a_checklists_metric_is_measured_on_the_slot_that_it_names() {
    let mut runbook = small();
    let item = |name: &str, slot: Option<SlotRef>| {
        let condition = Condition::Is(Bound { op: Op::Lt, value: 0.1 });
        let kind = CheckKind::Metric { metric: "error_rate".into(), slot, condition, no_traffic: None };
        let check = check(name, kind);
        Item { text: name.to_owned(), check, optional: true, valid_for: Span::from_mins(30) }
    };
    let items = [
        ("of green", None),
        ("of blue", Some(SlotRef::Previous)),
        ("of BLUE", Some(SlotRef::Named("blue".into()))),
    ];
    runbook.checklist[0].items.extend(items.map(|(name, slot)| item(name, slot)));
    let flown = fly(runbook, "v2", 0.0004, None).await;
    let of = |name: &str| {
        let group = &flown.run.runbook.checklist[0];
        let index = group.items.iter().position(|item| item.text == name).unwrap();
        flown.run.items[0][index].clone()
    };
    assert_eq!(of("of green").status, ItemStatus::Holds);
    for blue in ["of blue", "of BLUE"] {
        assert_eq!(of(blue).status, ItemStatus::Fails, "{:?}", of(blue));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_is_looked_at_against_the_slot_one_would_go_back_to() {
    let mut proving = small();
    let proof = |script: &str| {
        let kind = CheckKind::Sh { script: script.to_owned(), expect: None };
        check("the old version runs", kind)
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
