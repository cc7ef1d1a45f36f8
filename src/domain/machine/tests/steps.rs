//! Steps: actions, checks, attempts, undo, skip, hold, pause, abort, the completion.
//!
//! Longer than 500 lines because each rule of a step is tried from the same few beginnings.

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
fn a_held_run_starts_nothing_but_goes_on_looking() {
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("backup".to_owned());
    flight.start();
    flight.command(Command::Hold { reason: "lunch".to_owned() });
    flight.finish(at_step("migrate", 1, 0), ActionOutcome::Succeeded);
    flight.settle();
    assert_eq!(flight.acted(), ["backup"], "no new action");
    assert_eq!(flight.prompt(), Prompt::Held { cause: HoldCause::Person, reason: "lunch".to_owned() });
    flight.command(Command::Continue);
    flight.settle();
    assert_eq!(flight.acted(), ["backup", "apply"]);
    flight.command(Command::Hold { reason: "lunch".to_owned() });
    flight.tick_checks();
    flight.command(says("migrate", 1, true));
    assert_eq!(flight.status("migrate"), StepStatus::Passed, "checks go on");
    flight.command(Command::Start { step: Some("deploy".into()), attempt: 1, typed: None });
    refused(&flight, "paused (lunch)");
    flight.command(Command::Continue);
    flight.command(Command::Continue);
    refused(&flight, "not paused");
    // Nor does full automation start anything while held.
    let mut full = runbook();
    full.deployment.automation = Automation::Full;
    let mut flight = Flight::open(full);
    flight.settle();
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
    flight.command(Command::DecidePart { part: "migrations".to_owned(), applies: true });
    flight.command(Command::TickItem { group: 0, item: 0, note: None });
    flight.command(Command::Hold { reason: "not yet".to_owned() });
    flight.command(Command::OpenSteps { override_reason: None });
    refused(&flight, "paused");
    flight.command(Command::Continue);
    flight.command(Command::OpenSteps { override_reason: None });
    assert_eq!(flight.acted(), ["backup"]);
}

#[test]
fn an_engine_told_to_end_gives_what_runs_a_minute() {
    let terminated = || {
        let mut flight = Flight::opened(runbook());
        flight.hanging.insert("backup".to_owned());
        flight.start();
        flight.feed(Input::Terminate { reason: "interrupted".to_owned() });
        assert!(flight.refused.as_ref().is_some_and(|why| why.contains("the running action finishes first")));
        flight.fly(Span::from_secs(58));
        assert_eq!(flight.outcome(), None);
        flight
    };
    let cancel = Effect::CancelAction(at_step("migrate", 1, 0));
    let mut flight = terminated();
    flight.finish(at_step("migrate", 1, 0), ActionOutcome::Succeeded);
    assert_eq!(flight.outcome(), Some(Outcome::Held));
    assert_eq!(flight.acted(), ["backup"]);
    assert!(!flight.effects.contains(&cancel));

    let mut flight = terminated();
    flight.fly(Span::from_secs(3));
    assert!(flight.effects.contains(&cancel));
    assert_eq!(flight.outcome(), Some(Outcome::Held));
    assert_eq!(flight.acted(), ["backup"]);
    assert_eq!(flight.effects.last(), Some(&Effect::Close));
    flight.resume();
    flight.command(Command::Continue);
    assert_eq!(flight.status("migrate"), StepStatus::Failed, "it was ended, and that is known");
}

#[test]
fn a_pause_waits_for_the_running_action_and_an_abort_ends_it() {
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("backup".to_owned());
    flight.start();
    flight.command(Command::Suspend { reason: "shift ends".to_owned() });
    assert_eq!(flight.outcome(), None);
    assert!(!flight.effects.contains(&Effect::CancelAction(at_step("migrate", 1, 0))));
    let last = {
        let at = at_step("migrate", 1, 0);
        let took = Span::from_secs(1);
        flight.feed(Input::ActionFinished {
            at,
            outcome: ActionOutcome::Succeeded,
            detail: String::new(),
            took,
            output: None,
        })
    };
    assert_eq!(flight.outcome(), Some(Outcome::Held));
    assert_eq!(last.effects, [Effect::Close]);
    assert_eq!(flight.acted(), ["backup"]);

    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("backup".to_owned());
    flight.start();
    flight.command(Command::Abort { reason: "wrong version".to_owned() });
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::Failed));
    assert_eq!(flight.status("migrate"), StepStatus::Failed, "the attempt has an end");
    let mut flight = Flight::in_window(runbook());
    flight.command(Command::Abort { reason: "no".to_owned() });
    refused(&flight, "traffic is on the new slot");
    assert_eq!(flight.outcome(), None);
}

#[test]
fn once_it_is_over_nothing_drives_the_run() {
    let mut flight = Flight::opened(runbook());
    flight.command(Command::Close);
    refused(&flight, "has not ended");
    flight.command(Command::Abort { reason: "no".to_owned() });
    assert_eq!(flight.outcome(), Some(Outcome::Failed));
    let events = flight.events.len();
    for command in [
        skip("migrate", "why not"),
        Command::Hold { reason: "x".to_owned() },
        Command::Continue,
        Command::Start { step: Some("migrate".into()), attempt: 1, typed: None },
        undo("migrate", Some("migrate")),
        retry("migrate", 1),
        says("migrate", 1, true),
        Command::OpenSteps { override_reason: None },
        Command::Rollback { reason: "x".to_owned() },
    ] {
        flight.command(command.clone());
        assert!(flight.refused.is_some(), "{command:?}");
    }
    assert_eq!(flight.events.len(), events);
}

#[test]
fn an_unknown_command_waits_for_a_person_and_a_cluster_write_is_looked_up() {
    // A command: nobody can look.
    let mut flight = Flight::opened(runbook());
    flight.outcomes.insert("apply".to_owned(), ActionOutcome::Unknown);
    flight.start();
    let at = at_step("migrate", 1, 1);
    assert_eq!(flight.status("migrate"), StepStatus::Unknown);
    assert_eq!(flight.prompt(), Prompt::Unknown { at: at.clone() });
    assert!(!flight.effects.contains(&Effect::Verify(at.clone())));
    flight.fly(Span::from_mins(5));
    assert_eq!(flight.acted(), ["backup", "apply"], "never runs again by itself");
    flight.command(Command::Resolve { at: at_step("migrate", 2, 1), resolution: Resolution::Done });
    refused(&flight, "no unknown action");
    flight.command(Command::Resolve { at, resolution: Resolution::RunAgain });
    assert_eq!(flight.acted(), ["backup", "apply", "apply"]);
    // A cluster write.
    for (resolution, status) in [
        (Some(Resolution::Done), StepStatus::Running),
        (Some(Resolution::NotDone), StepStatus::Failed),
        (None, StepStatus::Unknown),
    ] {
        let mut flight = Flight::passed(runbook(), 1);
        flight.hanging.insert("rollout".to_owned());
        flight.outcomes.insert("image".to_owned(), ActionOutcome::Unknown);
        flight.start();
        let at = at_step("deploy", 1, 0);
        assert!(flight.effects.contains(&Effect::Verify(at.clone())));
        assert!(flight.run().is_looked_at(&at));
        let late = at_step("deploy", 2, 0);
        for at in [late, at.clone(), at.clone()] {
            flight.feed(Input::Verified { at, resolution, evidence: "image is app:v2".to_owned() });
        }
        assert_eq!(flight.status("deploy"), status, "{resolution:?}");
        assert!(!flight.run().is_looked_at(&at));
    }
}

#[test]
fn a_late_look_at_one_attempt_says_nothing_about_another() {
    let mut flight = Flight::passed(runbook(), 1);
    flight.outcomes.insert("image".to_owned(), ActionOutcome::Unknown);
    flight.start();
    flight.command(Command::Resolve { at: at_step("deploy", 1, 0), resolution: Resolution::NotDone });
    flight.command(retry("deploy", 1));
    flight.settle();
    assert_eq!(flight.prompt(), Prompt::Unknown { at: at_step("deploy", 2, 0) });
    let evidence = "the old one".to_owned();
    flight.feed(Input::Verified {
        at: at_step("deploy", 1, 0),
        resolution: Some(Resolution::Done),
        evidence,
    });
    assert_eq!(flight.prompt(), Prompt::Unknown { at: at_step("deploy", 2, 0) });
}

#[test]
fn a_switch_found_done_by_looking_is_told_and_arms_the_triggers() {
    let mut flight = Flight::passed(runbook(), 2);
    flight.outcomes.insert("switch".to_owned(), ActionOutcome::Unknown);
    flight.start();
    assert_eq!(flight.count("traffic_switched"), 0);
    assert!(flight.run().switch_begun());
    let at = at_step("switch", 1, 0);
    flight.feed(Input::Verified {
        at,
        resolution: Some(Resolution::Done),
        evidence: "selects green".to_owned(),
    });
    assert_eq!(flight.count("traffic_switched"), 1);
    assert_eq!(flight.run().live, Some("green".into()));
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(20));
    assert_eq!(flight.count("trigger_breaching"), 1);
}

#[test]
fn late_news_of_an_action_that_is_over_change_nothing() {
    let mut flight = Flight::passed(runbook(), 1);
    let events = flight.events.len();
    flight.finish(at_step("migrate", 1, 0), ActionOutcome::Failed);
    flight.finish(at_step("nope", 1, 0), ActionOutcome::Failed);
    flight.finish(at_step("migrate", 1, 99), ActionOutcome::Failed);
    assert_eq!(flight.events.len(), events);
    assert_eq!(flight.run().steps[0].work.actions[0].status, ActionStatus::Done);
}

#[test]
fn somebody_elses_change_holds_the_run_and_a_stale_picture_does_not() {
    let mut flight = Flight::passed(runbook(), 2);
    let picture = |live: &str| {
        let mut picture = workload(live);
        "app:v2".clone_into(&mut picture.slots.get_mut("green").unwrap().image);
        picture
    };
    flight.picture(picture("blue"));
    let mut stranger = picture("blue");
    stranger.slots.get_mut("green").unwrap().image = "app:v9".to_owned();
    stranger.slots.get_mut("green").unwrap().changed =
        Some(ChangedBy { manager: "kubectl-edit".to_owned(), at: Some(flight.now) });
    flight.picture(stranger);
    assert_eq!(flight.count("foreign_change"), 1);
    let Prompt::Held { cause: HoldCause::Foreign, reason } = flight.prompt() else {
        panic!("{:?}", flight.prompt())
    };
    assert!(reason.contains("kubectl-edit") && reason.contains("app:v9"), "{reason}");
    // Our own switch, told by a picture that is still of before: nobody changed anything.
    let mut flight = Flight::passed(runbook(), 2);
    flight.old_picture(picture("blue"));
    flight.start();
    for (seconds, live) in ["blue", "green", "blue"].iter().enumerate() {
        flight.now = flight.now + Span::from_secs(seconds as u64 + 2);
        flight.old_picture(picture(live));
    }
    assert_eq!(flight.count("foreign_change"), 0);
    assert_eq!(flight.run().held, None);
}

#[test]
fn a_change_that_is_seen_right_after_a_look_is_looked_at_in_the_next_second() {
    let mut flight = Flight::passed(runbook(), 2);
    flight.fly(Span::from_secs(3));
    // A look that somebody else's change comes right after.
    flight.old_picture({
        let mut picture = workload("blue");
        picture.slots.get_mut("green").unwrap().image = "app:v9".to_owned();
        picture
    });
    assert_eq!(flight.count("foreign_change"), 0, "the look shows all as it should be");
    flight.ground.points_at("green", "kubectl-patch");
    let mut picture = workload("green");
    "app:v2".clone_into(&mut picture.slots.get_mut("green").unwrap().image);
    flight.old_picture(picture);
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.count("foreign_change"), 1, "no other picture comes for a long time");
}

#[test]
fn somebody_elses_change_is_taken_as_it_is_or_put_back() {
    // Before anything was changed the roles are chosen again: green has the traffic now, blue gets the new version.
    let mut flight = Flight::passed(runbook(), 1);
    flight.ground.points_at("green", "kubectl-patch");
    let mut picture = workload("green");
    picture.slots.get_mut("green").unwrap().image = "app:v0".to_owned();
    flight.old_picture(picture.clone());
    assert!(
        matches!(flight.prompt(), Prompt::Held { cause: HoldCause::Foreign, .. }),
        "{:?}",
        flight.prompt()
    );
    flight.command(Command::Continue);
    assert!(flight.refused.as_ref().is_some_and(|why| why.contains(":accept")), "{:?}", flight.refused);
    flight.command(Command::TakeTarget);
    assert_eq!((flight.refused.clone(), flight.run().held.clone()), (None, None));
    assert_eq!(flight.run().opened.new_slot, Some("blue".into()));
    assert_eq!(flight.run().opened.previous.as_ref().map(|target| target.image.as_str()), Some("app:v0"));

    // Put back, it goes on as before.
    let mut flight = Flight::passed(runbook(), 1);
    flight.ground.points_at("green", "kubectl-patch");
    flight.old_picture(picture.clone());
    flight.ground.points_at("blue", "kubectl-patch");
    // In the next breath: the look that is at hand is fresh, and from before.
    flight.now = flight.now + Span::from_millis(100);
    flight.command(Command::Continue);
    assert_eq!((flight.refused.clone(), flight.run().held.clone()), (None, None));
    assert_eq!(flight.run().opened.new_slot, Some("green".into()));

    // Where nobody would answer the users there is nothing to go on from.
    let mut flight = Flight::passed(runbook(), 1);
    flight.ground.points_at("green", "kubectl-patch");
    flight.ground.slot("green").ready = 0;
    flight.old_picture(picture);
    flight.command(Command::TakeTarget);
    assert!(flight.refused.as_ref().is_some_and(|why| why.contains("no ready pod")), "{:?}", flight.refused);
}

#[test]
fn nobody_is_named_for_a_change_that_the_server_keeps_no_name_of() {
    let pinned = Flight::passed(runbook(), 1);
    let differs = |manager: &str| {
        let mut flight = pinned.clone();
        let mut seen = flight.ground.look(flight.now);
        let slot = seen.slots.get_mut("green").unwrap();
        slot.desired = 1;
        slot.scaled = Some(ChangedBy { manager: manager.to_owned(), at: None });
        flight.feed(Input::Observed(Box::new(Ok(seen))));
        flight.run().held.as_ref().map(|held| held.reason.clone()).unwrap_or_default()
    };
    assert!(differs("kubectl").contains("changed by kubectl:"), "{}", differs("kubectl"));
    // `kubectl scale` leaves our own name where it is.
    assert!(differs("cutover").contains("somebody the API server did not record"), "{}", differs("cutover"));
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
