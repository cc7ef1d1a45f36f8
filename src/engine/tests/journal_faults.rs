//! A journal that can't be written: nothing is done without its record, and a rollback is possible anyway.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::{
    fakes::{Fast, Pages, World, plain_shell, ports},
    flown::{Flown, actions_of, fly, fly_on, small},
};
use crate::{
    domain::{
        action::ActionKind,
        event::{Envelope, Outcome, Place, RunEvent},
        fixture::{START, opened},
        machine::Machine,
        message::{JournalState, Update},
        run::Run,
    },
    engine::{
        driver::{Engine, Parts},
        messages::End,
        values::Secrets,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_without_a_durable_intent_nothing_is_done() {
    for event in ["run_opened", "step_started", "action_started"] {
        let flown = tokio::time::timeout(Duration::from_secs(30), async {
            if event == "run_opened" {
                let mut flown = fly_lost_at_once().await;
                flown.journal.clear();
                flown
            } else {
                fly(small(), "v2", 0.0004, Some(event)).await
            }
        })
        .await
        .unwrap();
        assert!(matches!(flown.end, End::JournalLost(_)), "{event}: {:?}", flown.end);
        assert_eq!(flown.writes, 0, "{event}");
        assert_eq!(std::fs::read_dir(flown.dir.path().join("output")).unwrap().count(), 0, "{event}");
        assert!(actions_of(&flown).is_empty());
    }
    // Later: what was done before stays done, and nothing follows.
    let flown = fly(small(), "v2", 0.0004, Some("baseline_recorded")).await;
    assert!(matches!(flown.end, End::JournalLost(_)));
    assert_eq!(actions_of(&flown), ["backup", "apply", "image", "rollout"]);
    assert_eq!(flown.writes, 1, "the image; not the switch");
}

/// What has been done is what a durable record announced: no write to the cluster and no command without one.
fn assert_announced(flown: &Flown, which: &str) {
    let durable: Vec<Envelope> = flown.journal.iter().chain(&flown.beside).cloned().collect();
    let run = Run::fold(&durable).unwrap();
    assert_eq!(Some(&run), Some(&flown.run), "{which}: screens know what the records say");
    let (mut writes, mut commands) = (0, 0);
    for envelope in &durable {
        if let RunEvent::ActionStarted { at, .. } = &envelope.event {
            match run.action(at).unwrap().kind {
                ActionKind::Sh { .. } | ActionKind::Argv { .. } => commands += 1,
                ActionKind::Rollout { .. } | ActionKind::Notify { .. } => {}
                _ => writes += 1,
            }
        }
    }
    assert!(flown.writes <= writes, "{which}: {} writes, {writes} announced", flown.writes);
    let outputs = std::fs::read_dir(flown.dir.path().join("output")).unwrap().count();
    assert!(outputs <= commands, "{which}: {outputs} commands, {commands} announced");
}

/// Flights at once: most of a flight is waiting.
const FLIGHTS: usize = 24;

/// Flies once for each write that a whole flight makes, and lets that one fail.
async fn fail_each(journal: impl Fn(usize) -> Pages) -> Vec<(usize, Flown)> {
    let whole = fly(small(), "v2", 0.0004, None).await;
    let flights =
        (2..=whole.journal.len()).map(|n| {
            let journal = journal(n);
            async move {
                tokio::spawn(async move { (n, fly_on(journal, small(), "v2", 0.0004, true).await) }).await
            }
        });
    // All at once they would be too late for their own checks.
    futures::stream::iter(flights).buffer_unordered(FLIGHTS).map(Result::unwrap).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_whichever_write_fails_a_rollback_is_possible_after_typed_consent() {
    let (mut rolled, mut met) = (0, 0);
    for (n, flown) in fail_each(|n| Pages { breaks_at: Some(n), ..Pages::default() }).await {
        let which = format!("write {n}");
        assert_announced(&flown, &which);
        if flown.beside.is_empty() {
            // The fault was not met, or only by what is told after the end: nobody is left to consent to anything.
            let after = matches!(flown.end, End::JournalLost(_)) && flown.run.finished.is_some();
            let landed = flown.end == End::Closed(Some(Outcome::Succeeded));
            assert!(landed || after, "{which}: {:?}", flown.end);
            continue;
        }
        met += 1;
        assert!(matches!(flown.beside[0].event, RunEvent::OverrideGiven(_)), "{which}");
        let wanted = if flown.run.rollbacks.is_empty() { Outcome::Held } else { Outcome::RolledBack };
        assert!(
            matches!(flown.end, End::Closed(Some(outcome)) if outcome == wanted || outcome == Outcome::Succeeded),
            "{which}: {:?}",
            flown.end
        );
        // The run's own actions end where the journal does.
        for envelope in &flown.beside {
            if let RunEvent::ActionStarted { at, .. } = &envelope.event {
                let step = matches!(at.place, Place::Step { .. });
                assert!(!step, "{which}: {at:?} was begun without a journal");
            }
        }
        if !flown.run.rollbacks.is_empty() {
            assert_eq!(flown.run.live, Some("blue".into()), "{which}");
            rolled += 1;
        }
    }
    assert!(met > 20 && rolled > 5, "{met} faults met, {rolled} rolled back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_on_a_full_disk_nothing_begins_and_a_rollback_is_journaled() {
    let (mut rolled, mut met) = (0, 0);
    for (n, flown) in fail_each(|n| Pages { full_at: Some(n), ..Pages::default() }).await {
        let which = format!("full at write {n}");
        assert_announced(&flown, &which);
        assert!(flown.beside.is_empty(), "{which}: the journal has it all");
        let full = |update: &Update| matches!(update, Update::Journal { state: JournalState::Full { .. } });
        if !flown.updates.iter().any(full) {
            continue;
        }
        met += 1;
        assert!(matches!(flown.end, End::Closed(Some(_))), "{which}: {:?}", flown.end);
        if !flown.run.rollbacks.is_empty() {
            assert_eq!(flown.end, End::Closed(Some(Outcome::RolledBack)), "{which}");
            assert_eq!(flown.run.live, Some("blue".into()), "{which}");
            rolled += 1;
        }
    }
    assert!(met > 20 && rolled > 5, "{met} faults met, {rolled} rolled back");
}

/// A flight whose first record is refused: no event ever reaches a screen.
async fn fly_lost_at_once() -> Flown {
    let (machine, _) = Machine::open(opened(small()), START).unwrap();
    let run = machine.run().clone();
    let fallback = run.clone();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("output")).unwrap();
    let world = World::with_errors(0.0);
    let (machine, decision) = Machine::open(opened(small()), START).unwrap();
    let (_asks, incoming) = mpsc::channel(1);
    let engine = Engine::new(Parts {
        machine,
        events: Vec::new(),
        decision,
        ports: ports(&world, Arc::new(Fast(Instant::now())), plain_shell()),
        journal: Box::new(Pages { fails_at: Some("run_opened"), ..Pages::default() }),
        secrets: Arc::new(Secrets::default()),
        run_dir: dir.path().to_owned(),
        container: String::new(),
        lock: None,
        copy: None,
        keeper: None,
        incoming,
    });
    let end = engine.run().await;
    let writes = world.writes();
    Flown { end, run: fallback, journal: Vec::new(), updates: Vec::new(), writes, dir, beside: Vec::new() }
}
