//! Questions, checklist, opening.

use crate::domain::{
    actor::Actor,
    cause::HoldCause,
    check::CheckKind,
    crew::{Person, Role},
    effect::{Effect, Input},
    fixture::{Flight, runbook},
    message::Command,
    prompt::Prompt,
    run::ItemStatus,
    runbook::{Automation, Var, VarSource},
    time::Span,
};

fn refused(flight: &Flight, says: &str) {
    let why = flight.refused.clone().unwrap_or_else(|| panic!("not refused, though {says}"));
    assert!(why.contains(says), "{why}");
}

fn tick(item: usize) -> Command {
    Command::TickItem { group: 0, item, note: Some("seen by me".to_owned()) }
}

const OPEN: Command = Command::OpenSteps { override_reason: None };

#[test]
fn questions_come_first_and_the_steps_open_when_everything_needed_holds() {
    let mut flight = Flight::open(runbook());
    flight.settle();
    assert!(matches!(flight.prompt(), Prompt::Ask { name, .. } if name == "DEPLOY_VERSION"));
    flight.command(OPEN);
    refused(&flight, "$DEPLOY_VERSION has no value");
    flight.command(Command::SetVar { name: "BACKUP_ID".to_owned(), value: "x".to_owned() });
    refused(&flight, "not a variable that the operator sets");
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
    assert!(matches!(flight.prompt(), Prompt::Decide { part, .. } if part == "migrations"));
    flight.command(OPEN);
    refused(&flight, "not answered yet");
    flight.command(Command::DecidePart { part: "nonsense".to_owned(), applies: true });
    refused(&flight, "no optional part");
    flight.command(Command::DecidePart { part: "migrations".to_owned(), applies: false });
    assert_eq!(flight.prompt(), Prompt::Checklist { open: vec![(0, 0)] });
    flight.command(tick(1));
    refused(&flight, "is checked automatically");
    flight.command(tick(7));
    refused(&flight, "no such");
    flight.command(tick(0));
    assert_eq!(flight.run().items[0][0].by, Some(Actor::person("ada")));
    assert_eq!(flight.run().items[0][0].note.as_deref(), Some("seen by me"));
    assert_eq!(flight.prompt(), Prompt::OpenSteps);
    flight.command(Command::UntickItem { group: 0, item: 0 });
    assert_eq!(flight.prompt(), Prompt::Checklist { open: vec![(0, 0)] });
    flight.command(tick(0));
    flight.command(OPEN);
    assert!(flight.run().steps_open);
    flight.command(tick(2));
    refused(&flight, "checklist is closed");
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v3".to_owned() });
    refused(&flight, "can't change once the steps are open");
    assert_eq!(flight.run().value("DEPLOY_VERSION").as_deref(), Some("v2"));
}

#[test]
fn a_failing_item_keeps_the_steps_closed_unless_waived_or_overridden_with_a_reason() {
    for way in ["waive", "override"] {
        let mut flight = Flight::open(runbook());
        flight.failing.insert("CI has passed".to_owned());
        flight.settle();
        flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
        flight.command(Command::DecidePart { part: "migrations".to_owned(), applies: true });
        flight.command(tick(0));
        flight.settle();
        assert_eq!(flight.run().items[0][1].status, ItemStatus::Fails);
        flight.command(OPEN);
        refused(&flight, "needs a reason");
        flight.command(Command::OpenSteps { override_reason: Some("  ".to_owned()) });
        refused(&flight, "needs a reason");
        if way == "waive" {
            flight.command(Command::WaiveItem { group: 0, item: 1, reason: " ".to_owned() });
            refused(&flight, "say why");
            flight.command(Command::WaiveItem { group: 0, item: 1, reason: "CI is down".to_owned() });
            assert_eq!(flight.prompt(), Prompt::OpenSteps);
            // A look that was on its way does not take the waiver back.
            flight.feed(Input::ItemSeen {
                group: 0,
                item: 1,
                holds: false,
                asks: false,
                evidence: "red".to_owned(),
            });
            flight.command(OPEN);
            assert!(flight.run().overrides.is_empty());
        } else {
            flight.command(Command::OpenSteps { override_reason: Some("hotfix".to_owned()) });
            assert!(flight.run().overrides[0].what.contains("CI has passed"));
        }
        assert!(flight.run().steps_open, "{way}");
    }
}

#[test]
fn evidence_goes_stale_and_is_looked_at_again_before_it_does() {
    let mut flight = Flight::open(runbook());
    flight.settle();
    assert_eq!(flight.run().items[0][1].status, ItemStatus::Holds);
    assert_eq!(flight.run().items[0][1].by, Some(Actor::Auto));
    flight.now = flight.now + Span::from_mins(31);
    assert!(flight.run().open_items(flight.now).contains(&(0, 1)), "31 minutes old");
    flight.feed(Input::Tick);
    assert_eq!(flight.queue.iter().filter(|e| matches!(e, Effect::LookItem { .. })).count(), 1);
    flight.feed(Input::Tick);
    assert_eq!(
        flight.queue.iter().filter(|e| matches!(e, Effect::LookItem { .. })).count(),
        1,
        "one look at a time"
    );
    flight.settle();
    assert!(!flight.run().open_items(flight.now).contains(&(0, 1)));
    let looks = flight.effects.len();
    flight.now = flight.now + Span::from_mins(26);
    flight.feed(Input::Tick);
    assert_eq!(flight.effects.len(), looks, "nothing to look at before 27 minutes");
    flight.now = flight.now + Span::from_mins(1);
    flight.feed(Input::Tick);
    assert_eq!(flight.effects.len(), looks + 1);
}

#[test]
fn what_an_answer_is_needed_for_is_not_looked_at_before_it() {
    let mut book = runbook();
    book.checklist[0].items[1].check.kind =
        CheckKind::Sh { script: "ci \"${DEPLOY_VERSION}\"".to_owned(), expect: None };
    let mut flight = Flight::open(book);
    flight.settle();
    let kind = flight.run().runbook.checklist[0].items[1].check.kind.clone();
    assert_eq!(flight.run().waits_for_answer(&kind), Some("DEPLOY_VERSION"));
    assert_eq!(flight.run().items[0][1].status, ItemStatus::Open, "not failed: nothing was looked at");
    assert_eq!(flight.effects.iter().filter(|it| matches!(it, Effect::LookItem { item: 1, .. })).count(), 0);
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
    flight.settle();
    assert_eq!(flight.run().waits_for_answer(&kind), None);
    assert_eq!(flight.run().items[0][1].status, ItemStatus::Holds);
}

#[test]
fn a_variable_that_was_missing_is_a_reason_to_look_again() {
    let mut flight = Flight::open(runbook());
    flight.failing.insert("CI has passed".to_owned());
    flight.settle();
    let looks = flight.effects.len();
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
    assert_eq!(flight.effects.len(), looks + 1);
    flight.failing.clear();
    flight.settle();
    assert_eq!(flight.run().items[0][1].status, ItemStatus::Holds);
}

#[test]
fn a_secrets_value_is_in_no_event() {
    let mut secret = runbook();
    secret.vars[0].secret = true;
    let mut flight = Flight::open(secret);
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "hunter2".to_owned() });
    assert_eq!(flight.refused, None);
    assert!(!serde_json::to_string(&flight.events).unwrap().contains("hunter2"));
}

#[test]
fn an_optional_part_that_does_not_apply_is_skipped_with_its_reason() {
    let mut flight = Flight::open(runbook());
    flight.settle();
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
    flight.command(Command::DecidePart { part: "migrations".to_owned(), applies: false });
    flight.command(tick(0));
    flight.command(OPEN);
    assert_eq!(flight.status("migrate"), crate::domain::run::StepStatus::Skipped);
    assert!(flight.run().steps[0].reason.clone().unwrap().contains("`migrations` does not apply"));
    assert!(flight.acted().is_empty());
    assert!(matches!(flight.prompt(), Prompt::Start { step: 1, attempt: 1, .. }));
}

#[test]
fn a_step_of_a_part_that_nobody_declared_does_not_run() {
    let mut book = runbook();
    book.steps[0].when = Some("migration".to_owned());
    let flight = Flight::opened(book);
    assert_eq!(flight.status("migrate"), crate::domain::run::StepStatus::Skipped);
    assert!(flight.acted().is_empty());
}

#[test]
fn a_stale_press_starts_nothing() {
    let mut flight = Flight::opened(runbook());
    let start = |step: &str, attempt| Command::Start { step: Some(step.into()), attempt, typed: None };
    for command in [
        start("deploy", 1),
        start("migrate", 2),
        start("migrate", 0),
        start("nope", 1),
        Command::Start { step: None, attempt: 1, typed: None },
        Command::Retry { step: Some("migrate".into()), attempt: 1 },
        Command::Proceed { at: crate::domain::fixture::at_step("migrate", 1, 1), typed: None },
    ] {
        flight.command(command.clone());
        assert!(flight.refused.is_some(), "{command:?}");
    }
    flight.command(start("migrate", 1));
    assert_eq!(flight.refused, None);
    flight.command(start("migrate", 1));
    refused(&flight, "nothing is waiting");
    assert_eq!(flight.acted(), ["backup"]);
}

#[test]
fn the_switch_wants_its_colour_typed() {
    let mut flight = Flight::passed(runbook(), 2);
    let start = |typed: Option<&str>| Command::Start {
        step: Some("switch".into()),
        attempt: 1,
        typed: typed.map(str::to_owned),
    };
    for typed in [None, Some(""), Some("blue"), Some("gree"), Some("switch")] {
        flight.command(start(typed));
        refused(&flight, "type `green`");
    }
    flight.command(start(Some(" GREEN ")));
    assert_eq!(flight.refused, None);
}

#[test]
fn approvals_that_cannot_be_taken_fail_closed() {
    let mut careful = runbook();
    careful.steps[0].approvals = 1;
    careful.deployment.automation = Automation::Full;
    let mut flight = Flight::opened(careful);
    flight.command(Command::Start { step: Some("migrate".into()), attempt: 1, typed: None });
    refused(&flight, "needs 1 other person");
    assert!(flight.acted().is_empty());

    let person = |login: &str| Person::of_login(login);
    let joined = |login: &str, role| Input::ScreenJoined { who: person(login), role };
    flight.feed(joined("alice", Role::Pilot));
    let approve = |login: &str| Input::Approval { step: None, by: person(login) };
    flight.feed(approve("alice"));
    refused(&flight, "somebody else must approve");
    flight.feed(Input::Approval { step: Some("deploy".into()), by: person("bob") });
    refused(&flight, "the waiting step is migrate");
    flight.feed(approve("bob"));
    assert_eq!(flight.refused, None);
    flight.feed(approve("bob"));
    refused(&flight, "approved this step already");
    // Whoever takes control after approving has approved nothing: two people are needed, whoever drives.
    flight.feed(Input::Control { by: person("bob"), from: Some(person("alice")), reason: None });
    flight.command(Command::Start { step: Some("migrate".into()), attempt: 1, typed: None });
    refused(&flight, "needs 1 other person");
    flight.feed(approve("carol"));
    flight.command(Command::Start { step: Some("migrate".into()), attempt: 1, typed: None });
    assert_eq!(flight.refused, None);
    assert!(!flight.acted().is_empty());
}

#[test]
fn without_a_pilot_nothing_new_starts_and_the_rollback_still_does() {
    let mut flight = Flight::opened(runbook());
    let alice = || Person::of_login("alice");
    flight.feed(Input::ScreenJoined { who: alice(), role: Role::Pilot });
    // A watching screen that goes changes nothing.
    flight.feed(Input::ScreenLeft { who: Person::of_login("bob"), role: Role::Watcher });
    assert_eq!(flight.run().held, None);
    flight.feed(Input::ScreenLeft { who: alice(), role: Role::Pilot });
    assert_eq!(flight.run().held.as_ref().map(|held| held.cause), Some(HoldCause::Away));
    assert!(flight.run().away_since.is_some());
    flight.command(Command::Start { step: Some("migrate".into()), attempt: 1, typed: None });
    refused(&flight, "paused");
    flight.feed(Input::ScreenJoined { who: alice(), role: Role::Pilot });
    assert_eq!(flight.run().away_since, None);
    assert!(matches!(flight.prompt(), Prompt::Held { .. }), "whoever comes back looks first");
    flight.command(Command::Continue);
    assert!(matches!(flight.prompt(), Prompt::Start { step: 0, .. }));
}

#[test]
fn automation_says_where_enter_is_needed() {
    // Manual: before every action but a step's first.
    let mut manual = runbook();
    manual.deployment.automation = Automation::Manual;
    let mut flight = Flight::opened(manual);
    flight.start();
    assert_eq!(flight.acted(), ["backup"]);
    let Prompt::Proceed { at, .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    flight.command(Command::Proceed { at: crate::domain::fixture::at_step("migrate", 1, 0), typed: None });
    refused(&flight, "no longer due");
    flight.command(Command::Proceed { at, typed: None });
    flight.settle();
    assert_eq!(flight.acted(), ["backup", "apply"]);
    // Semi-automated: before every step.
    let mut flight = Flight::opened(runbook());
    flight.start();
    assert_eq!(flight.acted(), ["backup", "apply"]);
    flight.tick_checks();
    assert!(matches!(flight.prompt(), Prompt::Start { step: 1, .. }));
    // Full: nowhere, but where a confirmation is asked for.
    let mut full = runbook();
    full.deployment.automation = Automation::Full;
    let mut flight = Flight::opened(full);
    flight.settle();
    flight.tick_checks();
    assert!(matches!(flight.prompt(), Prompt::Start { step: 2, .. }), "{:?}", flight.prompt());
    assert_eq!(flight.acted(), ["backup", "apply", "image", "rollout"]);
    flight.fly(Span::from_secs(60));
    flight.start();
    flight.fly(Span::from_secs(10));
    assert!(matches!(flight.prompt(), Prompt::Checking { .. }), "the window opens by itself");
    flight.tick_checks();
    flight.fly(Span::from_mins(16));
    assert_eq!(flight.outcome(), Some(crate::domain::event::Outcome::Succeeded));
}

#[test]
fn values_that_are_made_of_values_are_found_in_one_go() {
    let fixed = |name: String, value: &str| Var {
        name,
        source: VarSource::Fixed { value: value.into() },
        pattern: None,
        secret: false,
        sample: None,
    };
    let mut book = runbook();
    book.vars.push(fixed("V0".to_owned(), "$DEPLOY_VERSION"));
    book.vars.extend((1..5_000).map(|n| fixed(format!("V{n}"), &format!("$V{}", n - 1))));
    book.vars.push(fixed("EARLY".to_owned(), "$LATE"));
    book.vars.push(fixed("LATE".to_owned(), "late"));
    // Tenfold each: the last would be longer than all memory.
    book.vars.push(fixed("T0".to_owned(), "0123456789"));
    book.vars.extend((1..12).map(|n| fixed(format!("T{n}"), &format!("$T{}", n - 1).repeat(10))));
    let flight = Flight::opened(book);
    let run = flight.run();
    assert_eq!(run.value("V4999").as_deref(), Some("v2"));
    assert_eq!(run.value("EARLY"), None, "a value uses those before it");
    assert_eq!(run.value("T3").map(|value| value.len()), Some(10_000));
    assert_eq!(run.value("T11"), None);
    let all = run.values();
    assert_eq!(all.get("V4999").map(String::as_str), Some("v2"));
    assert_eq!(all.get("LATE").map(String::as_str), Some("late"));
    assert!(!all.contains_key("T11") && !all.contains_key("EARLY") && !all.contains_key("BACKUP_ID"));
}
