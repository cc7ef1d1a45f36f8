//! What is still under way when a rollback begins: commands that end, writes without an answer, what a dead engine left.

use super::*;

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
