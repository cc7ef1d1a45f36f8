//! Users go back to pods that are ready, and to nothing else.

use super::*;

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
