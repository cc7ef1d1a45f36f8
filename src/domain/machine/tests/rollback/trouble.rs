//! Acts that fail, a cluster that cannot be read, and what only a person decides then.

use super::*;

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
