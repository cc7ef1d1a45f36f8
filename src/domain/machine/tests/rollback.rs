//! Rollback: quick, undo before the switch, the database's own, and everything that goes wrong on the way.
//!
//! Longer than 500 lines because it is one story with many ways to go wrong, and they share their first half.

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

#[test]
fn traffic_goes_back_at_once_beside_a_command_that_is_still_ending() {
    let mut slow = runbook();
    slow.steps[2].run.push(crate::domain::fixture::sh("warm up"));
    let mut flight = Flight::passed(slow, 2);
    flight.hanging.insert("warm up".to_owned());
    flight.start();
    flight.command(r("errors"));
    let cancelled = at_step("switch", 1, 1);
    let effects: Vec<_> = flight.queue.drain(..).collect();
    assert!(effects.contains(&Effect::CancelAction(cancelled.clone())));
    assert!(begins(&effects, &at_quick(1, 0)), "not waited for");
    flight.finish(at_quick(1, 0), ActionOutcome::Succeeded);
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    // The engine does not leave before the command's end is written down.
    assert_eq!(flight.command(Command::Close).effects, []);
    let at = cancelled;
    let end = Input::ActionFinished {
        at,
        outcome: ActionOutcome::Cancelled,
        detail: "ended".to_owned(),
        took: Span::from_secs(9),
        output: None,
    };
    assert_eq!(flight.feed(end).effects, [Effect::Close]);
}

#[test]
fn a_switch_on_its_way_is_waited_for_or_it_would_undo_the_rollback() {
    for outcome in [ActionOutcome::Succeeded, ActionOutcome::Failed, ActionOutcome::Unknown] {
        let mut flight = Flight::passed(runbook(), 2);
        flight.hanging.insert("switch".to_owned());
        flight.start();
        flight.command(r("stop"));
        flight.settle();
        assert_eq!(flight.run().rollbacks[0].procedure.as_str(), "quick");
        assert_eq!(flight.acted().last().unwrap(), "switch", "{outcome:?}");
        flight.finish(at_step("switch", 1, 0), outcome);
        flight.settle();
        if outcome == ActionOutcome::Unknown {
            assert_eq!(flight.acted().last().unwrap(), "switch", "what became of it is looked up first");
            let at = at_step("switch", 1, 0);
            let evidence = "no answer".to_owned();
            flight.feed(Input::Verified { at, resolution: None, evidence });
            flight.settle();
            assert!(flight.effects.contains(&Effect::Settle(None)), "it must not arrive after ours");
        }
        assert_eq!(flight.acted()[5..], ["switch back", "scale down"], "{outcome:?}");
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
        assert_eq!(flight.run().live, Some("blue".into()));
    }
}

/// A retire step whose answer was lost, and that a look has found not done: its scale-down may still be on its way.
fn retire_lost() -> Flight {
    let mut book = runbook();
    let down = ActionKind::Scale { slot: SlotRef::Previous, replicas: Replicas::Count(0) };
    let mut retire = book.steps[1].clone();
    retire.id = "retire".into();
    (retire.run, retire.check, retire.undo) = (vec![action("retire", down)], Vec::new(), Vec::new());
    book.steps.insert(3, retire);
    let mut flight = Flight::passed(book, 3);
    flight.hanging.insert("retire".to_owned());
    flight.start();
    let at = at_step("retire", 1, 0);
    flight.command(Command::Proceed { at: at.clone(), typed: Some("blue".to_owned()) });
    flight.settle();
    flight.finish(at.clone(), ActionOutcome::Unknown);
    let (resolution, evidence) = (Some(Resolution::NotDone), "3 replicas".to_owned());
    flight.feed(Input::Verified { at, resolution, evidence });
    flight
}

#[test]
fn a_lost_write_that_was_found_not_done_is_ruled_out_before_traffic_moves() {
    let mut flight = retire_lost();
    flight.ground.silent = true;
    flight.command(r("errors"));
    let settles = |flight: &Flight| flight.queue.contains(&Effect::Settle(Some("blue".into())));
    for _ in 0..5 {
        flight.now = flight.now + Span::from_millis(100);
        flight.look_again();
        flight.feed(Input::Tick);
    }
    assert!(settles(&flight), "{:?}", flight.queue);
    assert!(!flight.acted().contains(&"switch back".to_owned()));
    flight.ground.silent = false;
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    // An engine that takes the run up knows it as well.
    assert_eq!(Run::fold(&flight.events).unwrap().lost.len(), 1);
}

#[test]
fn a_lost_write_that_cannot_be_ruled_out_is_passed_by_a_persons_word_alone() {
    let mut flight = retire_lost();
    flight.settle_fault = Some("forbidden".to_owned());
    flight.command(r("errors"));
    flight.fly(Span::from_secs(60));
    assert!(!flight.acted().contains(&"switch back".to_owned()));
    let (_, why) = flight.run().waiting_act().unwrap();
    assert!(why.contains("forbidden") && why.contains(":blind blind"), "{why}");
    let asked = flight.effects.iter().filter(|effect| matches!(effect, Effect::Settle(_))).count();
    assert!(asked < 70, "it is not asked for in a tight circle: {asked}");
    flight.command(Command::GoBlind { typed: "blind".to_owned() });
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.refused);
    assert_eq!(flight.count("rollback_blind"), 1);
}

#[test]
fn what_is_true_already_is_left_out_and_a_sleeping_slot_is_woken_first() {
    let mut flight = Flight::in_window(runbook());
    let mut picture = workload("green");
    let green = picture.slots.get_mut("green").unwrap();
    (green.desired, green.ready) = (0, 0);
    flight.picture(picture.clone());
    let plan = flight.run().rollback_plan(Some(&picture), flight.now);
    assert_eq!(plan.actions.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["switch back"]);
    let blue = picture.slots.get_mut("blue").unwrap();
    (blue.desired, blue.ready) = (0, 0);
    flight.picture(picture);
    flight.command(r("errors"));
    flight.settle();
    assert_eq!(flight.acted()[5..], [WAKE, "switch back"]);
}

#[test]
fn what_a_procedure_takes_down_itself_it_starts_again_before_traffic_goes_there() {
    let mut book = runbook();
    let scale = |name: &str, slot: SlotRef, replicas| action(name, ActionKind::Scale { slot, replicas });
    let run = &mut book.rollbacks[1].run;
    run.insert(0, scale("new away", SlotRef::New, Replicas::Count(0)));
    run.insert(1, scale("previous away", SlotRef::Previous, Replicas::Count(0)));
    let whole = ["new away", "previous away", "restore database", "previous back", "switch to previous"];
    let mut with_start = book.clone();
    with_start.rollbacks[1].run.insert(3, scale("previous back", SlotRef::Previous, Replicas::Before));
    // Both slots are up when it is planned: that says nothing of what they are when it comes to them.
    let mut flight = Flight::in_window(with_start);
    flight.picture(workload("green"));
    flight.command(database("b-17"));
    flight.settle();
    assert_eq!(flight.acted()[5..], whole);
    // A runbook that forgets to start it does not send traffic to nothing either.
    let mut flight = Flight::in_window(book);
    flight.picture(workload("green"));
    flight.command(database("b-17"));
    flight.settle();
    assert_eq!(flight.acted()[7..], ["restore database", WAKE, "switch to previous"]);
}

#[test]
fn a_rollback_taken_up_from_a_copy_waits_for_a_person() {
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("scale down".to_owned());
    flight.command(r("errors"));
    flight.settle();
    let acted = flight.acted();
    // The copy ends before the last action began.
    let begun =
        |event: &RunEvent| matches!(event, RunEvent::ActionStarted { name, .. } if name == "scale down");
    let last = flight.events.iter().position(|envelope| begun(&envelope.event)).unwrap();
    flight.hanging.clear();
    flight.resume_copied(last);
    flight.settle();
    assert_eq!(flight.acted(), acted[..acted.len() - 1], "it may have been done there");
    assert!(matches!(flight.prompt(), Prompt::RollbackStopped { .. }), "{:?}", flight.prompt());
    flight.command(Command::RetryRollback);
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

/// A flight whose engine died in the migration, which runs on.
fn taken_up_in_the_migration() -> (Flight, ActionRef) {
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("apply".to_owned());
    flight.start();
    let at = at_step("migrate", 1, 1);
    let child = ChildProcess { pid: 7, start_time: 8, boot_id: "boot".to_owned() };
    flight.feed(Input::ActionSpawned { at: at.clone(), child });
    flight.resume();
    flight.feed(Input::Tick);
    (flight, at)
}

#[test]
fn nothing_is_undone_while_what_a_dead_engine_left_still_runs() {
    let (mut flight, at) = taken_up_in_the_migration();
    let before = flight.acted();
    let decision = flight.command(r("stop it"));
    assert!(decision.effects.contains(&Effect::EndChild(at.clone())));
    assert_eq!(flight.acted(), before, "it may take its time to end");
    assert_eq!(flight.prompt(), Prompt::RollingBack);
    flight.settle();
    let Prompt::Proceed { at, word, .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert_eq!(at.place, Place::Undo { step: "migrate".into() });
    flight.command(Command::Proceed { at, typed: Some(word) });
    flight.settle();
    assert_eq!(flight.acted()[before.len()..], ["restore"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn the_database_is_not_restored_while_a_migration_still_runs() {
    let (mut flight, at) = taken_up_in_the_migration();
    flight.feed(Input::ChildSeen { at: at.clone(), pid: 7, alive: true });
    let before = flight.acted();
    let decision = flight.command(database("b-17"));
    assert!(decision.effects.contains(&Effect::EndChild(at)));
    assert_eq!(flight.acted(), before, "it may take its time to end");
    flight.settle();
    assert_eq!(flight.acted()[before.len()], "restore database");
}

#[test]
fn an_undo_that_another_engine_takes_up_ends_what_the_first_had_left() {
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("apply".to_owned());
    flight.start();
    let at = at_step("migrate", 1, 1);
    // The engine dies between the rollback's first record and the end of the command.
    let child = ChildProcess { pid: 7, start_time: 8, boot_id: "boot".to_owned() };
    flight.feed(Input::ActionSpawned { at: at.clone(), child: child.clone() });
    flight.command(r("stop it"));
    let begun = |event: &RunEvent| matches!(event, RunEvent::RollbackStarted { .. });
    let last = flight.events.iter().position(|envelope| begun(&envelope.event)).unwrap() + 1;
    let acted = flight.acted();
    flight.effects.clear();
    flight.resume_torn(last);
    assert!(flight.effects.contains(&Effect::EndChild(at.clone())), "{:?}", flight.effects);
    flight.feed(Input::Tick);
    assert_eq!(flight.acted(), acted, "it still runs");
    flight.settle();
    let Prompt::Proceed { at: undo, .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert_eq!(undo.place, Place::Undo { step: "migrate".into() });

    // Or before it could write down which process that is: the next engine finds it.
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("apply".to_owned());
    flight.start();
    flight.command(r("stop it"));
    flight.effects.clear();
    let last = flight.events.iter().position(|envelope| begun(&envelope.event)).unwrap() + 1;
    flight.resume_torn(last);
    let acted = flight.acted();
    flight.feed(Input::ActionSpawned { at: at.clone(), child });
    assert!(flight.effects.contains(&Effect::EndChild(at)));
    flight.feed(Input::Tick);
    assert_eq!(flight.acted(), acted, "it still runs");
}

#[test]
fn a_failed_rollback_action_stops_pages_and_is_tried_again() {
    let mut flight = Flight::in_window(runbook());
    flight.outcomes.insert("switch back".to_owned(), ActionOutcome::Failed);
    flight.command(r("errors"));
    flight.settle();
    assert!(matches!(flight.prompt(), Prompt::RollbackStopped { .. }));
    let paged = flight
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::Notify { text, .. } if text.starts_with("ROLLBACK STOPPED")));
    assert!(paged);
    flight.fly(Span::from_mins(5));
    assert_eq!(flight.acted()[5..], ["switch back"], "what is forbidden is not asked for again");
    flight.outcomes.clear();
    flight.command(Command::RetryRollback);
    flight.settle();
    assert_eq!(flight.acted()[5..], ["switch back", "switch back", "scale down"], "on with what failed");
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    flight.command(Command::RetryRollback);
    refused(&flight, "the run has ended");
}

#[test]
fn what_goes_wrong_after_traffic_is_back_is_a_remark() {
    let mut flight = Flight::in_window(runbook());
    flight.outcomes.insert("scale down".to_owned(), ActionOutcome::Failed);
    flight.failing.insert("traffic is back".to_owned());
    flight.command(r("errors"));
    flight.fly(Span::from_secs(70));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert_eq!(flight.acted()[5..], ["switch back", "scale down"]);
    let remarks = &flight.run().rollbacks[0].remarks;
    assert!(remarks[0].contains("scale down") && remarks[1].contains("traffic is back"), "{remarks:?}");
    let (.., detail) = flight.run().finished.clone().unwrap();
    assert!(detail.contains("remarks: "), "{detail}");
}

#[test]
fn an_act_that_could_not_be_done_is_tried_until_it_is_done() {
    let mut flight = Flight::in_window(runbook());
    flight.outcomes.insert("switch back".to_owned(), ActionOutcome::Unavailable);
    flight.command(r("errors"));
    flight.fly(Span::from_mins(7));
    let tries = flight.count("action_retried");
    assert!(tries > 10, "{tries}");
    assert_eq!(flight.count("rollback_late"), 1, "told once");
    let late = |effect: &Effect| matches!(effect, Effect::Notify { text, .. } if text.starts_with("ROLLBACK NOT DONE"));
    assert!(flight.effects.iter().any(late), "paged");
    assert_eq!(flight.outcome(), None);
    flight.outcomes.clear();
    flight.fly(Span::from_secs(11));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert_eq!(flight.run().live, Some("blue".into()));
}

#[test]
fn a_rollback_that_is_still_trying_can_be_given_up() {
    let mut flight = Flight::in_window(runbook());
    flight.outcomes.insert("switch back".to_owned(), ActionOutcome::Unavailable);
    flight.command(r("errors"));
    flight.fly(Span::from_secs(20));
    flight.command(Command::AbandonRollback { reason: "by hand".to_owned() });
    assert_eq!(flight.outcome(), Some(Outcome::RollbackFailed), "{:?}", flight.refused);
}

#[test]
fn traffic_never_goes_to_a_slot_without_ready_pods() {
    let mut flight = Flight::in_window(runbook());
    flight.ground.slot("blue").ready = 0;
    flight.command(r("errors"));
    flight.fly(Span::from_mins(4));
    assert_eq!(flight.acted()[5..], [] as [&str; 0], "none is ready, and they are not asleep");
    assert_eq!(flight.ground.selector["version"], "green");
    // With one of three it waits for a third of the promised time; that is long over.
    flight.ground.slot("blue").ready = 1;
    flight.fly(Span::from_secs(3));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert!(flight.run().rollbacks[0].remarks[0].contains("1 of 3"));
}

#[test]
fn the_pods_of_a_retired_slot_are_started_first_whatever_the_last_picture_says() {
    let mut flight = Flight::in_window(runbook());
    flight.picture(workload("green"));
    // Somebody has scaled it down a moment ago, and no picture has come since.
    let blue = flight.ground.slot("blue");
    (blue.desired, blue.ready, blue.follows) = (0, 0, false);
    flight.now = flight.now + Span::from_secs(1);
    flight.command(r("errors"));
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.acted()[5..], [WAKE]);
    assert_eq!(flight.count("rollback_prepared"), 1);
    flight.ground.slot("blue").ready = 3;
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.acted()[5..], [WAKE, "switch back", "scale down"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn pods_that_are_about_to_end_do_not_count() {
    // The retire step has just scaled blue down: the controller has seen it, and no pod has been told to end yet.
    let mut flight = Flight::in_window(runbook());
    let blue = flight.ground.slot("blue");
    (blue.desired, blue.ready, blue.follows) = (0, 3, false);
    flight.command(r("errors"));
    flight.settle();
    assert_eq!(flight.acted()[5..6], [WAKE], "traffic does not go to pods that end in a moment");
    let flown = |wanted: u32| {
        let mut flight = Flight::in_window(runbook());
        let blue = flight.ground.slot("blue");
        (blue.desired, blue.ready, blue.follows) = (wanted, 3, false);
        flight.ground.look(flight.now)
    };
    let blue = crate::domain::id::SlotName::from("blue");
    assert_eq!((flown(0).slots[&blue].ready(), flown(2).slots[&blue].ready()), (0, 2));
}

#[test]
fn a_slot_that_somebody_empties_after_traffic_went_back_is_started_again() {
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("switch back".to_owned());
    flight.command(r("errors"));
    flight.settle();
    flight.ground.points_at("blue", "cutover");
    let blue = flight.ground.slot("blue");
    (blue.desired, blue.ready) = (0, 0);
    let at = flight.run().open_writes()[0].clone();
    flight.finish(at, ActionOutcome::Succeeded);
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.acted()[6..], [WAKE, "scale down"], "green's pods are the last ones until then");
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert_eq!((flight.ground.slot("blue").ready, flight.ground.slot("green").ready), (3, 0));
}

#[test]
fn an_autoscalers_number_is_taken_as_it_is() {
    let mut flight = Flight::in_window(runbook());
    let blue = flight.ground.slot("blue");
    (blue.desired, blue.ready) = (2, 2);
    blue.autoscaler = Some(Autoscaler { name: "blue".to_owned(), min: 1, max: 5 });
    flight.command(r("errors"));
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.acted()[5..], ["switch back", "scale down"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn nothing_that_can_fail_stands_before_the_switch_back() {
    let mut book = runbook();
    book.rollbacks[0].run.insert(0, crate::domain::fixture::sh("drain"));
    let mut flight = Flight::in_window(book);
    flight.outcomes.insert("drain".to_owned(), ActionOutcome::Failed);
    flight.command(r("errors"));
    flight.fly(Span::from_secs(3));
    assert_eq!(flight.acted()[5..], ["switch back", "drain", "scale down"]);
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_look_is_at_hand_while_a_dialog_is_open() {
    let mut flight = Flight::in_window(runbook());
    flight.ground.silent = true;
    flight.now = flight.now + Span::from_secs(5);
    let looks = |flight: &Flight| flight.queue.iter().filter(|effect| **effect == Effect::Observe).count();
    let before = looks(&flight);
    flight.command(Command::KeepLooking);
    assert_eq!(looks(&flight), before + 1);
    let seen = flight.ground.look(flight.now);
    flight.feed(Input::Observed(Box::new(Ok(seen))));
    // The order finds the look fresh: its first act begins in the same breath.
    flight.now = flight.now + Span::from_millis(200);
    let decision = flight.command(r("errors"));
    assert!(begins(&decision.effects, &at_quick(1, 0)));
}

#[test]
fn a_slot_that_runs_something_else_is_no_way_back() {
    let mut flight = Flight::in_window(runbook());
    "app:v9".clone_into(&mut flight.ground.slot("blue").image);
    flight.command(r("errors"));
    flight.fly(Span::from_secs(5));
    let Prompt::RollbackStopped { reason, .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert!(reason.contains("v9 now, v1 then"), "{reason}");
    assert_eq!(flight.ground.selector["version"], "green");
}

#[test]
fn a_label_of_somebodys_does_not_keep_a_rollback_from_ready_pods() {
    let mut flight = Flight::in_window(runbook());
    flight.ground.silent = false;
    flight.ground.selector.insert("tier".to_owned(), "nope".to_owned());
    flight.command(r("errors"));
    let goes = |effect: &Effect| match effect {
        Effect::StartGuarded { at, approach } if *at == at_quick(1, 0) => approach.selector.clone(),
        _ => None,
    };
    let wanted = flight.effects.iter().find_map(goes).expect("the switch goes with a selector of its own");
    assert_eq!(wanted, crate::domain::fixture::ground::selector("blue"));
}

#[test]
fn a_rollback_that_cannot_look_says_so_and_goes_on_blind_only_with_good_reason() {
    // Somebody has seen blue ready a moment ago, and nothing of ours has touched it since.
    let mut flight = Flight::in_window(runbook());
    let mut picture = workload("green");
    "app:v2".clone_into(&mut picture.slots.get_mut("green").unwrap().image);
    picture.as_of = flight.now;
    flight.picture(picture.clone());
    flight.ground.unreadable = Some("no route to host".to_owned());
    flight.command(r("errors"));
    flight.fly(Span::from_secs(8));
    assert_eq!(flight.acted()[5..], [] as [&str; 0], "first it waits for a look");
    flight.fly(Span::from_secs(5));
    assert_eq!(flight.acted()[5], "switch back");
    assert_eq!(flight.count("rollback_blind"), 1);

    // What was seen is old: a person decides, with a word.
    let mut flight = Flight::in_window(runbook());
    flight.picture(picture);
    flight.fly(Span::from_secs(40));
    flight.ground.unreadable = Some("no route to host".to_owned());
    flight.command(r("errors"));
    flight.fly(Span::from_secs(60));
    assert_eq!(flight.acted()[5..], [] as [&str; 0]);
    flight.command(Command::GoBlind { typed: "yes".to_owned() });
    refused(&flight, "type `:blind blind`");
    flight.command(Command::GoBlind { typed: "blind".to_owned() });
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.acted()[5], "switch back");
}

#[test]
fn a_restore_does_not_begin_while_pods_that_were_taken_away_still_end() {
    let mut book = runbook();
    let scale = |name: &str, slot: SlotRef, replicas| action(name, ActionKind::Scale { slot, replicas });
    book.rollbacks[1].run.insert(0, scale("new away", SlotRef::New, Replicas::Count(0)));
    let mut flight = Flight::in_window(book);
    flight.ground.slot("green").others = 2;
    flight.command(database("b-17"));
    flight.fly(Span::from_secs(30));
    assert_eq!(flight.acted()[5..], ["new away"]);
    flight.ground.slot("green").others = 0;
    flight.fly(Span::from_secs(3));
    assert_eq!(flight.acted()[6], "restore database");
}

#[test]
fn a_rollback_given_up_has_failed_and_can_be_begun_again_as_what_it_was() {
    let mut flight = Flight::in_window(runbook());
    flight.outcomes.insert("switch back".to_owned(), ActionOutcome::Failed);
    flight.command(Command::AbandonRollback { reason: "x".to_owned() });
    refused(&flight, "no rollback is waiting");
    flight.command(r("errors"));
    flight.settle();
    flight.command(Command::Abort { reason: "enough".to_owned() });
    refused(&flight, "retry it, or give it up");
    flight.command(Command::AbandonRollback { reason: "by hand".to_owned() });
    assert_eq!(flight.outcome(), Some(Outcome::RollbackFailed));
    flight.outcomes.clear();
    flight.command(r("errors, again"));
    flight.settle();
    assert_eq!(
        flight.run().rollbacks[1].procedure.as_str(),
        "quick",
        "traffic had moved: never the steps' own undo"
    );
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
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
fn an_unknown_act_of_a_rollback_is_looked_up_and_tried_again() {
    let mut flight = Flight::in_window(runbook());
    flight.outcomes.insert("switch back".to_owned(), ActionOutcome::Unknown);
    flight.command(r("errors"));
    flight.settle();
    let at = at_quick(1, 0);
    assert_eq!(flight.prompt(), Prompt::Unknown { at: at.clone() });
    assert!(flight.effects.contains(&Effect::Verify(at.clone())));
    flight.command(Command::Suspend { reason: "x".to_owned() });
    refused(&flight, "a rollback is running");
    flight.outcomes.clear();
    flight.feed(Input::Verified { at, resolution: None, evidence: "no answer".to_owned() });
    assert_eq!(flight.count("action_retried"), 1);
    flight.fly(Span::from_secs(6));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert_eq!(flight.run().live, Some("blue".into()));
}

#[test]
fn a_rollback_that_waits_for_a_person_can_be_paused_and_taken_up() {
    let mut flight = Flight::in_window(runbook());
    flight.outcomes.insert("switch back".to_owned(), ActionOutcome::Failed);
    flight.command(r("errors"));
    flight.settle();
    let pause = flight.feed(Input::Terminate { reason: "host goes down".to_owned() });
    assert!(pause.effects.contains(&Effect::Close));
    assert_eq!(flight.outcome(), Some(Outcome::Held));
    flight.outcomes.clear();
    flight.resume();
    assert!(matches!(flight.prompt(), Prompt::RollbackStopped { .. }));
    flight.command(Command::RetryRollback);
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn an_engine_told_to_end_brings_its_rollback_to_an_end_first() {
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("switch back".to_owned());
    flight.command(r("errors"));
    flight.settle();
    flight.feed(Input::Terminate { reason: "host goes down".to_owned() });
    refused(&flight, "the rollback finishes first");
    flight.fly(Span::from_mins(2));
    assert_eq!(flight.outcome(), None);
    flight.finish(at_quick(1, 0), ActionOutcome::Succeeded);
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert!(flight.effects.contains(&Effect::Close));

    // One that stops and waits for somebody is paused: nobody will come.
    let mut flight = Flight::in_window(runbook());
    flight.hanging.insert("switch back".to_owned());
    flight.command(r("errors"));
    flight.feed(Input::Terminate { reason: "host goes down".to_owned() });
    flight.finish(at_quick(1, 0), ActionOutcome::Failed);
    flight.settle();
    assert_eq!(flight.outcome(), Some(Outcome::Held));
    assert!(flight.effects.contains(&Effect::Close));
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

#[test]
fn readiness_says_what_speaks_against_it() {
    let flight = Flight::in_window(runbook());
    let access = crate::domain::workload::Access { patch_service: Some(true), ..Default::default() };
    let light = |picture| flight.run().readiness(Some(&picture), Some(&access), flight.now);
    assert_eq!(light(workload("green")).light, Light::Ready);
    let mut changed = workload("green");
    changed.slots.get_mut("blue").unwrap().image = "app:v3".to_owned();
    assert_eq!(light(changed).light, Light::NotReady);
    let mut asleep = workload("green");
    let blue = asleep.slots.get_mut("blue").unwrap();
    (blue.desired, blue.ready) = (0, 0);
    assert_eq!(light(asleep).light, Light::Slow);
    let denied = crate::domain::workload::Access { patch_service: Some(false), ..Default::default() };
    assert_eq!(
        flight.run().readiness(Some(&workload("green")), Some(&denied), flight.now).light,
        Light::NotReady
    );
}

/// A flight whose quick rollback is proved by two checks.
fn proving() -> Runbook {
    let mut book = runbook();
    book.rollbacks[0].ready = vec![look("reaches its database"), look("image is there")];
    book
}

fn seen(check: usize, holds: bool) -> Input {
    Input::ReadySeen { check, holds, evidence: if holds { "200" } else { "503" }.to_owned() }
}

#[test]
fn the_way_back_is_open_while_every_proof_of_it_is_fresh_and_good() {
    let mut flight = Flight::in_window(proving());
    let access = crate::domain::workload::Access { patch_service: Some(true), ..Default::default() };
    let light = |flight: &Flight, picture: &crate::domain::workload::Workload| {
        let readiness = flight.run().readiness(Some(picture), Some(&access), flight.now);
        (readiness.light, readiness.detail)
    };
    let up = workload("green");
    let told = |flight: &Flight| flight.count("way_back_changed");
    // The flight to here took longer than a look may be old, and nobody has looked.
    assert!(
        light(&flight, &up).1.contains("reaches its database: not seen for"),
        "{:?}",
        light(&flight, &up)
    );
    flight.feed(seen(0, true));
    assert_eq!(light(&flight, &up).0, Light::NotReady, "the other one was not seen");
    flight.feed(seen(1, true));
    assert_eq!(light(&flight, &up).0, Light::Ready);
    // Looks that say the same are no news, whatever they saw.
    let before = told(&flight);
    for _ in 0..6 {
        flight.now = flight.now + Span::from_secs(10);
        flight.feed(seen(0, true));
        flight.feed(seen(1, true));
        flight.feed(Input::Tick);
    }
    assert_eq!(told(&flight), before);
    // One fails: red at once, with its words.
    flight.feed(seen(0, false));
    assert_eq!(light(&flight, &up), (Light::NotReady, "reaches its database: 503".to_owned()));
    assert_eq!(told(&flight), before + 1);
    flight.feed(seen(0, false));
    assert_eq!(told(&flight), before + 1);
    flight.feed(seen(0, true));
    assert_eq!(light(&flight, &up).0, Light::Ready);
    // Nobody looks any more: after 30 s nothing is proved.
    flight.now = flight.now + Span::from_secs(31);
    flight.feed(Input::Tick);
    assert!(light(&flight, &up).1.contains("not seen for"), "{:?}", light(&flight, &up));
    // A slot that sleeps can prove nothing; that it is started first takes time, and is no failure.
    let mut asleep = workload("green");
    let blue = asleep.slots.get_mut("blue").unwrap();
    (blue.desired, blue.ready) = (0, 0);
    assert_eq!(light(&flight, &asleep).0, Light::Slow);
}

#[test]
fn another_engine_proves_the_way_back_anew() {
    let mut flight = Flight::in_window(proving());
    flight.feed(seen(0, true));
    flight.feed(seen(1, true));
    assert!(flight.run().way_back.as_ref().is_some_and(|way_back| way_back.ready));
    flight.resume();
    assert_eq!(flight.run().way_back, None);
    let light = flight.run().readiness(Some(&workload("green")), None, flight.now);
    assert_eq!(light.light, Light::NotReady);
    assert!(light.detail.contains("not proved yet"), "{}", light.detail);
}
