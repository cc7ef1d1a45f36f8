//! Before the switch: the steps are undone, last first; and what must be true before that.

use super::*;

#[test]
fn before_the_switch_the_steps_are_undone_last_first_and_the_database_only_typed() {
    let mut flight = Flight::passed(runbook(), 2);
    flight.command(r("not today"));
    flight.settle();
    assert_eq!(flight.acted()[4..], ["image back", "tidy up"]);
    let Prompt::Proceed { at, word, .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert_eq!((&at.place, word.as_str()), (&Place::Undo { step: "migrate".into() }, "migrate"));
    flight.command(Command::Proceed { at: at.clone(), typed: None });
    refused(&flight, "type `migrate`");
    flight.command(Command::Proceed { at, typed: Some("migrate".to_owned()) });
    flight.settle();
    assert_eq!(flight.acted()[6..], ["restore"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert_eq!(flight.run().rollbacks[0].procedure.as_str(), "undo");
    // Or it is given up there, with the reason written down.
    let mut flight = Flight::passed(runbook(), 1);
    flight.command(r("not today"));
    flight.command(Command::AbandonRollback { reason: String::new() });
    refused(&flight, "say why");
    flight.command(Command::AbandonRollback { reason: "the schema is additive".to_owned() });
    assert_eq!(flight.outcome(), Some(Outcome::RollbackFailed));
    assert!(!flight.acted().contains(&"restore".to_owned()));
}

/// The fixture's runbook, whose migration is taken back by restoring a backup.
fn restoring() -> Runbook {
    let mut book = runbook();
    let restore = &mut book.steps[0].undo[0];
    restore.data_loss = Some("what was written since".to_owned());
    restore.kind = ActionKind::Sh { script: "restore $BACKUP_ID".to_owned() };
    book.rollbacks[1].run[0].data_loss = Some("what was written since".to_owned());
    book
}

#[test]
fn what_loses_data_is_never_a_part_of_the_key() {
    let mut flight = Flight::passed(restoring(), 1);
    flight.outcomes.insert("image".to_owned(), ActionOutcome::Failed);
    flight.start();
    flight.settle();
    let plan = flight.run().rollback_plan(None, flight.now + Span::from_mins(13));
    assert_eq!(plan.undo, ["deploy".into()]);
    let words = "MIGRATE: its undo restores the backup b-17, 12 min old, and loses what was written since";
    assert_eq!(plan.not_undone, [words]);
    flight.command(r("ImagePullBackOff"));
    flight.settle();
    assert_eq!(flight.acted()[3..], ["image back", "tidy up"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "nobody is asked for a word");
    // Without a step that can be taken back there is nothing for the key; the words say what there is.
    let mut flight = Flight::passed(restoring(), 1);
    flight.command(r("cold feet"));
    refused(&flight, "its undo restores the backup b-17");
    // `irreversible` on an undo says the same.
    let mut book = restoring();
    let undo = &mut book.steps[0].undo[0];
    undo.irreversible = undo.data_loss.take();
    assert_eq!(Flight::passed(book, 2).run().rollback_plan(None, flight.now).undo, ["deploy".into()]);
}

#[test]
fn what_loses_data_is_undone_with_the_backups_id_only() {
    let mut flight = Flight::opened(restoring());
    flight.failing.insert("no pending migrations".to_owned());
    flight.start();
    flight.fly(Span::from_secs(90));
    assert_eq!(flight.status("migrate"), StepStatus::Failed);
    let undo =
        |typed: Option<&str>| Command::Undo { step: "migrate".into(), typed: typed.map(str::to_owned) };
    for typed in [None, Some("migrate"), Some("b-18")] {
        flight.command(undo(typed));
        refused(&flight, "type `b-17`");
    }
    flight.command(undo(Some("b-17")));
    flight.settle();
    assert_eq!(flight.acted()[2..], ["restore"]);
    // Where the backup itself has failed there is nothing to restore, and nothing to type.
    let mut flight = Flight::opened(restoring());
    flight.outcomes.insert("backup".to_owned(), ActionOutcome::Failed);
    flight.start();
    flight.command(undo(Some("migrate")));
    refused(&flight, "needs $BACKUP_ID, but step `migrate` never captured it");
}

#[test]
fn no_procedure_begins_without_what_its_acts_need() {
    let mut book = runbook();
    let scale = ActionKind::Scale { slot: SlotRef::New, replicas: Replicas::Count(0) };
    book.rollbacks[1].run.insert(0, action("new away", scale));
    book.rollbacks[1].run[1].kind = ActionKind::Sh { script: "restore \"$BACKUP_ID\"".to_owned() };
    let mut flight = Flight::opened(book.clone());
    flight.outcomes.insert("backup".to_owned(), ActionOutcome::Failed);
    flight.start();
    flight.settle();
    let words = "[rollback.database] needs $BACKUP_ID, but step `migrate` never captured it";
    assert_eq!(flight.run().procedure_plan("database", None).lacks, [words]);
    flight.command(database("database"));
    refused(&flight, words);
    assert_eq!(flight.acted(), ["backup"], "nothing was scaled");
    // With a backup the word is its id, and it begins.
    let mut flight = Flight::in_window(book);
    assert_eq!(flight.run().procedure_plan("database", None).lacks, [""; 0]);
    flight.command(database("b-17"));
    assert_eq!(flight.refused, None);
}

#[test]
fn undoing_can_be_stopped_and_given_up_between_two_actions() {
    let begun = || {
        let mut flight = Flight::passed(runbook(), 2);
        flight.hanging.insert("image back".to_owned());
        flight.command(r("not today"));
        flight.settle();
        let at = ActionRef { place: Place::Undo { step: "deploy".into() }, attempt: 1, action: 0 };
        (flight, at)
    };
    // Held: what runs ends, nothing further begins; then on, or given up.
    let (mut flight, at) = begun();
    flight.command(Command::Hold { reason: "look first".to_owned() });
    assert_eq!(flight.refused, None);
    assert!(matches!(flight.prompt(), Prompt::RollbackStopped { cause: StopCause::Person, .. }));
    flight.finish(at, ActionOutcome::Succeeded);
    flight.settle();
    assert_eq!(flight.acted()[4..], ["image back"]);
    let paged = |effect: &Effect| matches!(effect, Effect::Notify { text, .. } if text.contains("STOPPED"));
    assert!(!flight.effects.iter().any(paged), "whoever stopped it knows");
    flight.command(Command::RetryRollback);
    flight.settle();
    assert_eq!(flight.acted()[4..], ["image back", "tidy up"]);
    // Given up while an action runs: it ends, then the rollback does.
    let (mut flight, at) = begun();
    flight.command(Command::AbandonRollback { reason: " ".to_owned() });
    refused(&flight, "say why");
    flight.command(Command::AbandonRollback { reason: "the release is mended".to_owned() });
    assert_eq!(flight.refused, None);
    assert_eq!(flight.outcome(), None, "not while it runs");
    flight.finish(at, ActionOutcome::Succeeded);
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::RollbackFailed));
    assert_eq!(flight.acted()[4..], ["image back"]);
    // Paused while it waits for a word: nothing is held or given up before it is taken up again.
    let mut flight = Flight::passed(runbook(), 1);
    flight.command(r("not today"));
    flight.settle();
    flight.command(Command::Suspend { reason: "later".to_owned() });
    assert_eq!(flight.outcome(), Some(Outcome::Held));
    flight.command(Command::Hold { reason: "x".to_owned() });
    refused(&flight, "a rollback is running");
    flight.command(Command::AbandonRollback { reason: "x".to_owned() });
    refused(&flight, "the run has ended or is paused");
    // The quick rollback is not: traffic is on its way.
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("switch back".to_owned());
    flight.command(r("errors"));
    flight.command(Command::Hold { reason: "x".to_owned() });
    refused(&flight, "a rollback is running");
    flight.command(Command::AbandonRollback { reason: "x".to_owned() });
    refused(&flight, "no rollback is waiting");
}

#[test]
fn with_nothing_done_there_is_nothing_to_roll_back() {
    let mut flight = Flight::opened(runbook());
    flight.command(r("cold feet"));
    refused(&flight, "nothing to roll back");
    assert_eq!(flight.run().readiness(None, None, flight.now).light, Light::Off);
}

#[test]
fn a_step_that_was_held_before_its_first_act_is_not_undone() {
    let mut flight = Flight::passed(runbook(), 1);
    flight.ground.points_at("green", "kubectl-patch");
    flight.start();
    flight.settle();
    assert_eq!(flight.run().steps[1].status, StepStatus::Running);
    assert!(
        matches!(flight.prompt(), Prompt::Held { cause: HoldCause::Foreign, .. }),
        "{:?}",
        flight.prompt()
    );
    flight.command(r("somebody has switched"));
    assert_eq!(flight.run().rollbacks[0].undo, ["migrate".into()], "nothing of `deploy` was done");
}

#[test]
fn a_running_action_is_cancelled_and_waited_for_before_its_step_is_undone() {
    let mut flight = Flight::passed(runbook(), 1);
    flight.hanging.insert("rollout".to_owned());
    flight.start();
    flight.command(r("too slow"));
    let running = at_step("deploy", 1, 1);
    assert!(flight.queue.contains(&Effect::CancelAction(running.clone())));
    flight.queue.clear();
    flight.feed(Input::Tick);
    assert!(!flight.acted().contains(&"image back".to_owned()), "not while it is still ending");
    flight.finish(running, ActionOutcome::Cancelled);
    flight.settle();
    assert_eq!(flight.acted()[4..], ["image back", "tidy up"]);
    assert_eq!(flight.status("deploy"), StepStatus::Pending);
}

#[test]
fn an_undo_under_way_becomes_a_part_of_the_rollback_and_is_not_killed() {
    let mut flight = Flight::passed(runbook(), 2);
    flight.hanging.insert("tidy up".to_owned());
    flight.command(Command::Undo { step: "deploy".into(), typed: None });
    flight.settle();
    flight.command(r("all of it"));
    assert!(!flight.queue.iter().any(|effect| matches!(effect, Effect::CancelAction(_))));
    let Some(Effect::StartAction(at) | Effect::StartGuarded { at, .. }) = (flight.effects.iter().rev())
        .find(|e| matches!(e, Effect::StartAction(_) | Effect::StartGuarded { .. }))
        .cloned()
    else {
        panic!()
    };
    flight.finish(at, ActionOutcome::Succeeded);
    flight.settle();
    assert!(flight.run().steps[1].undone);
    assert!(matches!(flight.prompt(), Prompt::Proceed { .. }), "the database is next");
}
