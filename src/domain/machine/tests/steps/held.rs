//! Steps that are kept from going on: pauses, an engine told to end, unknown outcomes, somebody else's changes.

use super::*;

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
