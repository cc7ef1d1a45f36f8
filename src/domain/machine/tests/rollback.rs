//! Rollback: the quick one and the database's own here; undo before the switch, and everything that can go wrong, each in a
//! file of its own.

mod pods;
mod ready;
mod remains;
mod trouble;
mod undo;

use crate::domain::{
    action::{ActionKind, Replicas, SlotRef},
    cause::{HoldCause, StopCause},
    effect::{Effect, Input},
    event::{ActionOutcome, ActionRef, ChildProcess, Outcome, Place, Resolution, RunEvent},
    fixture::{Flight, action, at_quick, at_step, is, look, measured, runbook, workload},
    message::Command,
    metric::Op,
    observation::Autoscaler,
    plan::Light,
    prompt::Prompt,
    run::{Run, StepStatus},
    runbook::Runbook,
    time::Span,
};

/// What no runbook declares and a rollback does where the pods that it goes back to do not run.
const WAKE: &str = "Start the pods of the slot that gets the traffic back";

fn refused(flight: &Flight, says: &str) {
    let why = flight.refused.clone().unwrap_or_else(|| panic!("not refused, though {says}"));
    assert!(why.contains(says), "{why}");
}

fn begins(effects: &[Effect], wanted: &ActionRef) -> bool {
    effects.iter().any(
        |effect| matches!(effect, Effect::StartAction(at) | Effect::StartGuarded { at, .. } if at == wanted),
    )
}

fn r(reason: &str) -> Command {
    Command::Rollback { reason: reason.to_owned() }
}

fn database(typed: &str) -> Command {
    Command::RollbackProcedure {
        procedure: "database".into(),
        reason: "corrupt rows".to_owned(),
        typed: typed.to_owned(),
    }
}

#[test]
fn the_quick_rollback_moves_the_traffic_back_and_waits_for_no_person() {
    let mut flight = Flight::in_window(runbook());
    flight.command(r(" "));
    refused(&flight, "needs a reason");
    flight.command(r("payments fail"));
    flight.settle();
    assert_eq!(flight.acted()[5..], ["switch back", "scale down"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "a person's check is a reminder");
    assert_eq!(flight.run().live, Some("blue".into()));
    let finished = flight.events.iter().find(|e| e.event.name() == "rollback_finished").unwrap();
    let RunEvent::RollbackFinished { ok: true, within, .. } = &finished.event else { panic!("{finished:?}") };
    assert_eq!(*within, Some(Span::from_mins(5)));
    // The reminder can still be ticked.
    flight.command(Command::TickCheck { step: None, attempt: 1, check: 1, holds: true, note: None });
    assert_eq!(flight.refused, None);
}

#[test]
fn a_slot_that_was_idle_is_normal_again_only_after_three_samples() {
    let mut runbook = runbook();
    runbook.rollbacks[0].check.push(measured("Error rate is normal", "error_rate", is(Op::Lt, 0.01)));
    let mut flight = Flight::in_window(runbook);
    flight.command(r("payments fail"));
    flight.settle();
    let passed = |flight: &Flight| {
        flight
            .events
            .iter()
            .any(|e| matches!(&e.event, RunEvent::CheckPassed { text, .. } if text == "Error rate is normal"))
    };
    for _ in 0..2 {
        flight.fly(Span::from_secs(10));
        assert!(!passed(&flight), "an idle slot reads well in its first moment");
    }
    flight.fly(Span::from_secs(10));
    assert!(passed(&flight), "{:?}", flight.names());
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn the_key_twice_gives_one_rollback_also_after_its_end() {
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("scale down".to_owned());
    flight.command(r("payments fail"));
    flight.command(r("payments fail"));
    refused(&flight, "already running");
    flight.settle();
    flight.command(r("payments fail"));
    refused(&flight, "already running");
    flight.finish(at_quick(1, 1), ActionOutcome::Succeeded);
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    flight.command(r("once more"));
    refused(&flight, "nothing to roll back");
    assert_eq!(
        flight.acted().iter().filter(|name| *name == "restore").count(),
        0,
        "the database is left alone"
    );
    assert_eq!(flight.count("rollback_started"), 1);
    let light = flight.run().readiness(None, None, flight.now);
    assert_eq!((light.light, light.word.as_str()), (Light::Off, "ROLLED BACK"));
}

#[test]
fn the_database_has_its_own_word_and_is_never_chained() {
    let mut flight = Flight::in_window(runbook());
    assert_eq!(flight.run().rollback_word("database"), "b-17");
    assert!(flight.run().backup_age(flight.now).is_some_and(|age| age > Span::from_secs(1)));
    for typed in ["", "database", "b-18"] {
        flight.command(database(typed));
        refused(&flight, "type `b-17`");
    }
    let silent = Command::RollbackProcedure {
        procedure: "database".into(),
        reason: String::new(),
        typed: "b-17".to_owned(),
    };
    flight.command(silent);
    refused(&flight, "needs a reason");
    flight.hanging.insert("scale down".to_owned());
    flight.command(r("errors"));
    flight.settle();
    flight.command(database("b-17"));
    refused(&flight, "already running");
    flight.finish(at_quick(1, 1), ActionOutcome::Succeeded);
    flight.settle();
    assert!(!flight.acted().contains(&"restore database".to_owned()), "never chained");
    flight.command(database("b-17"));
    flight.settle();
    assert_eq!(flight.acted()[7..], ["restore database", "switch to previous"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    let mut flight = Flight::opened(runbook());
    flight.command(database("database"));
    refused(&flight, "nothing has started yet");
}

#[test]
fn nothing_else_drives_the_steps_during_a_rollback() {
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("switch back".to_owned());
    flight.command(r("errors"));
    flight.settle();
    let step = || crate::domain::id::StepId::from("monitor");
    for command in [
        Command::Skip { step: step(), reason: "x".to_owned() },
        Command::Retry { step: Some(step()), attempt: 1 },
        Command::Start { step: Some(step()), attempt: 2, typed: None },
        Command::Undo { step: step(), typed: None },
        Command::Hold { reason: "x".to_owned() },
        Command::TickCheck { step: Some(step()), attempt: 1, check: 3, holds: false, note: None },
        Command::Suspend { reason: "x".to_owned() },
        Command::Abort { reason: "x".to_owned() },
        Command::Close,
    ] {
        flight.command(command.clone());
        assert!(flight.refused.is_some(), "{command:?}");
    }
    assert_eq!(flight.outcome(), None);
}

#[test]
fn after_the_success_the_key_still_works() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_mins(16));
    flight.start();
    assert_eq!(flight.outcome(), Some(Outcome::Succeeded));
    flight.error_rate = Ok(0.5);
    flight.fly(Span::from_mins(10));
    assert_eq!(flight.count("rollback_started"), 0, "nobody rolls a finished run back by itself");
    flight.command(r("it broke at night"));
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert_eq!(flight.count("run_finished"), 2);
    assert_eq!(flight.count("completion_failed"), 0);
}
