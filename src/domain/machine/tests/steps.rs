//! Steps: actions, checks, attempts, undo, skip, the completion; what holds them up is in `held`.

mod held;

use crate::domain::{
    action::{ActionKind, Confirm, Replicas, SlotRef},
    cause::HoldCause,
    effect::{Effect, Input},
    event::{ActionOutcome, Outcome, Place, Resolution, RunEvent},
    fixture::{Flight, action, at_step, look, runbook, workload},
    message::Command,
    prompt::Prompt,
    run::{ActionStatus, CheckStatus, StepStatus},
    runbook::Automation,
    time::Span,
    workload::ChangedBy,
};

fn refused(flight: &Flight, says: &str) {
    let why = flight.refused.clone().unwrap_or_else(|| panic!("not refused, though {says}"));
    assert!(why.contains(says), "{why}");
}

fn retry(step: &str, attempt: u32) -> Command {
    Command::Retry { step: Some(step.into()), attempt }
}

fn undo(step: &str, typed: Option<&str>) -> Command {
    Command::Undo { step: step.into(), typed: typed.map(str::to_owned) }
}

fn skip(step: &str, reason: &str) -> Command {
    Command::Skip { step: step.into(), reason: reason.to_owned() }
}

fn says(step: &str, check: usize, holds: bool) -> Command {
    Command::TickCheck { step: Some(step.into()), attempt: 1, check, holds, note: Some("looked".to_owned()) }
}

#[test]
fn a_whole_flight_succeeds_and_leaves_its_tasks_before_it_ends() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_mins(16));
    assert_eq!(flight.prompt(), Prompt::Complete);
    flight.start();
    assert_eq!(flight.outcome(), Some(Outcome::Succeeded));
    assert_eq!(
        flight.acted(),
        ["backup", "apply", "image", "rollout", "switch", "log"],
        "in order, each once"
    );
    assert_eq!(flight.count("step_passed"), 4);
    let end: Vec<_> = flight.names().into_iter().filter(|name| name != "notice_sent").rev().take(3).collect();
    assert_eq!(end, ["run_finished", "task_created", "task_created"]);
    let first = flight.run().tasks[0].clone();
    assert_eq!(first.due_at.since(flight.now), Span::from_mins(60));
    flight.command(Command::TaskDone { task: 0 });
    assert_eq!(flight.refused, None);
    flight.command(Command::TaskDone { task: 0 });
    refused(&flight, "already done");
    flight.command(Command::TaskDone { task: 2 });
    refused(&flight, "no such task");
    let close = flight.command(Command::Close);
    assert_eq!(close.effects, [Effect::Close]);
}

#[test]
fn captured_values_are_kept_and_a_notice_that_fails_changes_nothing() {
    let flight = Flight::passed(runbook(), 1);
    assert_eq!(flight.run().value("BACKUP_ID").as_deref(), Some("b-17"));
    assert!(flight.run().notices.iter().all(|notice| !notice.ok));
    assert!(!flight.run().notices.is_empty());
}

#[test]
fn a_failed_action_fails_its_step_and_a_retry_keeps_what_was_done() {
    for outcome in [ActionOutcome::Failed, ActionOutcome::TimedOut, ActionOutcome::Cancelled] {
        let mut flight = Flight::opened(runbook());
        flight.outcomes.insert("apply".to_owned(), outcome);
        flight.start();
        assert_eq!(flight.status("migrate"), StepStatus::Failed);
        assert!(flight.run().steps[0].reason.clone().unwrap().starts_with("apply: "));
        assert_eq!(flight.prompt(), Prompt::Failed { step: Some("migrate".into()) });
        flight.command(retry("migrate", 2));
        refused(&flight, "that attempt has ended");
        flight.outcomes.clear();
        flight.command(retry("migrate", 1));
        flight.settle();
        assert_eq!(flight.acted(), ["backup", "apply", "apply"], "the backup is not taken twice");
        assert_eq!(flight.run().steps[0].work.attempt, 2);
        let tick = Command::TickCheck {
            step: Some("migrate".into()),
            attempt: 1,
            check: 1,
            holds: true,
            note: None,
        };
        flight.command(tick);
        refused(&flight, "no longer due");
        flight.tick_checks();
        assert_eq!(flight.status("migrate"), StepStatus::Passed);
    }
}

#[test]
fn a_check_fails_after_its_timeout_and_two_looks_not_before() {
    let mut flight = Flight::opened(runbook());
    flight.failing.insert("no pending migrations".to_owned());
    flight.start();
    flight.fly(Span::from_secs(59));
    assert_eq!(flight.status("migrate"), StepStatus::Checking);
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.status("migrate"), StepStatus::Failed);
    assert_eq!(flight.run().steps[0].work.checks[0].status, CheckStatus::Fails);
    assert!(flight.effects.iter().any(|effect| matches!(effect, Effect::StopWatch(_))));
    // A look that takes longer than the timeout is no "no".
    let mut flight = Flight::opened(runbook());
    flight.failing.insert("no pending migrations".to_owned());
    flight.start();
    flight.now = flight.now + Span::from_mins(5);
    flight.feed(Input::Tick);
    assert_eq!(flight.status("migrate"), StepStatus::Checking, "one look only");
    flight.failing.clear();
    flight.look_again();
    flight.tick_checks();
    assert_eq!(flight.status("migrate"), StepStatus::Passed);
}

#[test]
fn an_optional_check_delays_nothing_and_fails_nothing() {
    let mut lenient = runbook();
    lenient.steps[0].check[0].optional = true;
    let mut flight = Flight::opened(lenient);
    flight.failing.insert("no pending migrations".to_owned());
    flight.start();
    flight.tick_checks();
    assert_eq!(flight.status("migrate"), StepStatus::Passed);
}

#[test]
fn a_person_says_yes_or_no_but_only_once_the_actions_are_done() {
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("apply".to_owned());
    flight.start();
    for holds in [true, false] {
        flight.command(says("migrate", 1, holds));
        refused(&flight, "not due");
    }
    assert_eq!(flight.status("migrate"), StepStatus::Running, "a step with a running action does not fail");
    flight.finish(at_step("migrate", 1, 1), ActionOutcome::Succeeded);
    flight.settle();
    flight.command(says("migrate", 0, true));
    refused(&flight, "that check is automatic");
    flight.command(says("migrate", 1, false));
    assert_eq!(flight.status("migrate"), StepStatus::Failed);
    assert!(flight.run().steps[0].reason.clone().unwrap().contains("ada says it failed"));
    flight.command(says("migrate", 1, false));
    refused(&flight, "not due");
    assert_eq!(flight.count("step_failed"), 1);
}

#[test]
fn a_failed_completion_can_be_tried_again_and_is_not_failed_twice() {
    let mut with_person = runbook();
    with_person.completion.check.push(crate::domain::fixture::person("told the team"));
    let mut flight = Flight::in_window(with_person);
    flight.tick_checks();
    flight.fly(Span::from_mins(16));
    flight.start();
    let no = |attempt| Command::TickCheck { step: None, attempt, check: 1, holds: false, note: None };
    flight.command(no(1));
    assert_eq!(flight.prompt(), Prompt::Failed { step: None });
    flight.command(no(1));
    refused(&flight, "not due");
    assert_eq!(flight.count("completion_failed"), 1);
    flight.command(Command::Retry { step: None, attempt: 1 });
    flight.settle();
    flight.tick_checks();
    assert_eq!(flight.outcome(), Some(Outcome::Succeeded));
    assert_eq!(flight.acted().iter().filter(|name| *name == "log").count(), 1);
}

#[test]
fn an_action_with_a_typed_word_waits_for_it() {
    let mut typed = runbook();
    typed.steps[0].run[1].confirm = Confirm::Type;
    let mut flight = Flight::opened(typed);
    flight.start();
    assert_eq!(flight.acted(), ["backup"]);
    let at = at_step("migrate", 1, 1);
    flight.command(Command::Proceed { at: at.clone(), typed: Some("apply".to_owned()) });
    refused(&flight, "type `migrate`");
    flight.command(Command::Proceed { at, typed: Some("migrate".to_owned()) });
    assert_eq!(flight.acted(), ["backup", "apply"]);
}

#[test]
fn taking_the_rollbacks_pods_away_wants_the_slot_typed_until_the_window_is_over() {
    let down = || {
        let kind = ActionKind::Scale { slot: SlotRef::Previous, replicas: Replicas::Count(0) };
        action("scale blue down", kind)
    };
    let mut early = runbook();
    early.steps[2].run.push(down());
    let mut flight = Flight::passed(early, 2);
    flight.start();
    assert_eq!(flight.acted().last().unwrap(), "switch");
    let at = at_step("switch", 1, 1);
    assert_eq!(
        flight.prompt(),
        Prompt::Proceed { at: at.clone(), confirm: Confirm::Type, word: "blue".to_owned() }
    );
    flight.command(Command::Proceed { at, typed: Some("blue".to_owned()) });
    assert_eq!(flight.acted().last().unwrap(), "scale blue down");
    let mut late = runbook();
    late.completion.run.push(down());
    let mut flight = Flight::in_window(late);
    flight.tick_checks();
    flight.fly(Span::from_mins(16));
    flight.start();
    assert_eq!(flight.outcome(), Some(Outcome::Succeeded), "after the window nothing is asked");
}

#[test]
fn undo_has_its_conditions() {
    let mut flight = Flight::opened(runbook());
    flight.command(undo("nope", None));
    refused(&flight, "no such step");
    flight.command(undo("migrate", Some("migrate")));
    refused(&flight, "nothing to undo");
    let mut flight = Flight::passed(runbook(), 2);
    flight.command(undo("migrate", Some("migrate")));
    refused(&flight, "a later step builds on this one");
    flight.command(Command::Hold { reason: "wait".to_owned() });
    flight.command(undo("deploy", None));
    refused(&flight, "paused");
    flight.command(Command::Continue);
    flight.command(undo("deploy", None));
    flight.settle();
    assert_eq!(flight.status("deploy"), StepStatus::Pending);
    assert!(flight.run().steps[1].undone);
    flight.command(undo("migrate", None));
    refused(&flight, "type `migrate`");
    flight.command(undo("migrate", Some("migrate")));
    flight.settle();
    assert_eq!(flight.acted()[4..], ["image back", "tidy up", "restore"]);
    flight.start();
    assert_eq!(flight.run().steps[0].work.attempt, 2);
    assert_eq!(flight.acted()[7..], ["backup", "apply"], "an undone step is done anew, all of it");
    flight.hanging.insert("apply".to_owned());
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("apply".to_owned());
    flight.start();
    flight.command(undo("migrate", Some("migrate")));
    refused(&flight, "something is running");
    let mut flight = Flight::passed(runbook(), 3);
    flight.command(undo("switch", None));
    refused(&flight, "no undo");
}

#[test]
fn a_failed_undo_goes_on_where_it_failed_but_not_across_a_new_attempt() {
    let mut flight = Flight::passed(runbook(), 2);
    flight.outcomes.insert("tidy up".to_owned(), ActionOutcome::Failed);
    flight.command(undo("deploy", None));
    flight.settle();
    assert!(!flight.run().steps[1].undone);
    flight.outcomes.clear();
    flight.command(undo("deploy", None));
    flight.settle();
    assert!(flight.run().steps[1].undone);
    assert_eq!(flight.acted()[4..], ["image back", "tidy up", "tidy up"]);
    // Tried again in between, everything has to be undone anew.
    let mut flight = Flight::passed(runbook(), 1);
    flight.outcomes.insert("rollout".to_owned(), ActionOutcome::Failed);
    flight.outcomes.insert("tidy up".to_owned(), ActionOutcome::Failed);
    flight.start();
    flight.command(undo("deploy", None));
    flight.settle();
    flight.command(retry("deploy", 1));
    flight.settle();
    flight.command(undo("deploy", None));
    flight.settle();
    assert_eq!(
        flight.acted()[2..],
        ["image", "rollout", "image back", "tidy up", "rollout", "image back", "tidy up"]
    );
}

#[test]
fn only_the_due_step_is_left_out_and_only_with_a_reason() {
    let mut flight = Flight::opened(runbook());
    flight.command(skip("migrate", " "));
    refused(&flight, "say why");
    flight.command(skip("deploy", "not today"));
    refused(&flight, "only the next step");
    flight.outcomes.insert("apply".to_owned(), ActionOutcome::Failed);
    flight.start();
    flight.command(skip("migrate", "applied by hand"));
    assert_eq!(flight.status("migrate"), StepStatus::Skipped);
    flight.hanging.insert("rollout".to_owned());
    flight.start();
    flight.command(skip("deploy", "too slow"));
    refused(&flight, "something is running");
    let mut flight = Flight::open(runbook());
    flight.command(skip("migrate", "no"));
    refused(&flight, "only the next step");
}

#[test]
fn an_incident_is_filled_in_from_the_run() {
    let mut flight = Flight::passed(runbook(), 1);
    flight.command(Command::Incident {
        severity: "P1".to_owned(),
        title: "Payments {status}".to_owned(),
        impact: "slow".to_owned(),
        status: "Investigating".to_owned(),
        send: true,
    });
    let text = flight.run().incident_text().unwrap();
    assert!(text.starts_with("INCIDENT Payments {status} / P1 / 2026-"), "{text}");
    assert!(text.contains("/ slow / MIGRATE passed / Investigating / {nope}"), "{text}");
    let sent = flight
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::Notify { text: sent, .. } if *sent == text));
    assert!(sent);
    flight.command(Command::TickIncidentStep { step: 1, done: true });
    assert_eq!(flight.run().incident_steps, [false, true]);
    let without = {
        let mut runbook = runbook();
        runbook.incident = None;
        let mut flight = Flight::opened(runbook);
        let (severity, title, impact) = ("P0".to_owned(), "x".to_owned(), "y".to_owned());
        flight.command(Command::Incident {
            severity,
            title,
            impact,
            status: "Investigating".to_owned(),
            send: true,
        })
    };
    assert!(
        matches!(&without.events[0].event, RunEvent::IncidentUpdated { sent: false, .. }),
        "nothing was sent"
    );
}

#[test]
fn a_step_without_actions_or_checks_passes() {
    let mut small = runbook();
    small.steps[0].run.clear();
    small.steps[0].check.clear();
    let mut flight = Flight::opened(small);
    flight.start();
    assert_eq!(flight.status("migrate"), StepStatus::Passed);
    let mut small = runbook();
    small.steps[0].check = vec![look("again")];
    let mut flight = Flight::opened(small);
    flight.start();
    assert_eq!(flight.status("migrate"), StepStatus::Passed);
    assert_eq!(flight.run().work(&Place::Completion), None);
}
