//! What another engine makes of a journal: crashes at any event, torn tails; the published names.

use std::collections::BTreeMap;

use crate::domain::{
    actor::Actor,
    belief::Pinned,
    cause::{HoldCause, StopCause},
    effect::{Effect, Input},
    event::{
        ActionOutcome, CheckRef, ChildProcess, Envelope, Outcome, Override, Place, Resolution, RunEvent,
    },
    fixture::{Flight, START, at_quick, at_step, opened, runbook, sh},
    message::Command,
    metric::Missing,
    prompt::Prompt,
    run::{ActionStatus, Run, StepStatus},
    runbook::Milestone,
    time::Span,
};

#[test]
fn what_was_begun_without_a_result_is_unknown_and_held() {
    let mut flight = Flight::opened(runbook());
    flight.hanging.insert("apply".to_owned());
    flight.start();
    flight.resume();
    let at = at_step("migrate", 1, 1);
    assert_eq!(flight.run().steps[0].work.actions[1].status, ActionStatus::Unknown);
    assert_eq!(flight.prompt(), Prompt::Unknown { at: at.clone() });
    assert!(flight.run().held.is_some());
    flight.fly(Span::from_mins(5));
    assert_eq!(flight.acted(), ["backup", "apply"]);
    flight.hanging.clear();
    flight.command(Command::Resolve { at, resolution: Resolution::Done });
    flight.settle();
    assert_eq!(flight.status("migrate"), StepStatus::Checking);
    flight.tick_checks();
    assert!(matches!(flight.prompt(), Prompt::Held { .. }));
    flight.command(Command::Continue);
    assert!(matches!(flight.prompt(), Prompt::Start { step: 1, .. }));
    // A cluster write is looked up.
    let mut flight = Flight::passed(runbook(), 2);
    flight.hanging.insert("switch".to_owned());
    flight.start();
    flight.resume();
    let at = at_step("switch", 1, 0);
    assert!(flight.queue.contains(&Effect::Verify(at.clone())));
    assert!(flight.run().switch_begun(), "R means the quick rollback");
    flight.feed(Input::Verified { at, resolution: Some(Resolution::Done), evidence: "green".to_owned() });
    assert_eq!(flight.run().live, Some("green".into()));
    // And an unknown one that was there before is looked up again.
    let mut flight = Flight::passed(runbook(), 2);
    flight.outcomes.insert("switch".to_owned(), ActionOutcome::Unknown);
    flight.start();
    flight.resume();
    assert!(flight.queue.contains(&Effect::Verify(at_step("switch", 1, 0))));
}

#[test]
fn j1_a_crash_after_any_event_loses_nothing_and_runs_nothing_twice() {
    let whole = {
        let mut short = runbook();
        short.steps[3].window = Some(crate::domain::runbook::Window { lasts: Span::from_secs(60) });
        let mut flight = Flight::in_window(short);
        flight.tick_checks();
        flight.fly(Span::from_secs(70));
        flight.start();
        assert_eq!(flight.outcome(), Some(Outcome::Succeeded));
        flight
    };
    let total = whole.events.len();
    for cut in 1..total {
        let mut flight = whole.clone();
        flight.events.truncate(cut);
        let before = flight.acted();
        let tasks = flight.count("task_created");
        flight.resume_torn(cut);
        flight.settle();
        assert!(flight.acted().len() == before.len(), "{cut}: begun by a resume");
        // Time for a new baseline.
        flight.fly(Span::from_secs(30));
        // Flown to its end, as a person would.
        for _ in 0..200 {
            match flight.prompt() {
                Prompt::Unknown { at } => flight.was_done(at),
                Prompt::Ask { name, .. } => {
                    flight.command(Command::SetVar { name, value: "v2".to_owned() });
                }
                Prompt::Decide { part, .. } => {
                    flight.command(Command::DecidePart { part, applies: true });
                }
                Prompt::Checklist { .. } => {
                    flight.command(Command::TickItem { group: 0, item: 0, note: None });
                }
                Prompt::OpenSteps => {
                    flight.command(Command::OpenSteps { override_reason: None });
                }
                Prompt::Held { .. } => {
                    flight.command(Command::Continue);
                }
                Prompt::Start { .. } | Prompt::Complete => flight.start(),
                Prompt::Checking { .. } => {
                    flight.tick_checks();
                    flight.fly(Span::from_secs(30));
                }
                Prompt::Finished { .. } => break,
                other => panic!("{cut}: {other:?}"),
            }
            flight.settle();
        }
        assert_eq!(flight.outcome(), Some(Outcome::Succeeded), "{cut}: {:?}", flight.prompt());
        assert_eq!(flight.acted(), whole.acted(), "{cut}");
        assert_eq!(flight.count("traffic_switched"), 1, "{cut}");
        assert_eq!(flight.count("task_created"), 2, "{cut}, {tasks} before");
        assert_eq!(flight.run().tasks.len(), 2, "{cut}");
    }
}

#[test]
fn a_crash_after_any_event_of_a_rollback_still_rolls_back_once() {
    let whole = {
        let mut flight = Flight::in_window(runbook());
        flight.command(Command::Rollback { reason: "errors".to_owned() });
        flight.settle();
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
        flight
    };
    let from = whole.names().iter().position(|name| name == "rollback_started").unwrap() + 1;
    for cut in from..whole.events.len() {
        let mut flight = whole.clone();
        flight.resume_torn(cut);
        flight.settle();
        while let Prompt::Unknown { at } = flight.prompt() {
            flight.was_done(at);
            flight.settle();
        }
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{cut}: {:?}", flight.prompt());
        assert_eq!(flight.acted(), whole.acted(), "{cut}");
        assert_eq!(flight.count("rollback_started"), 1, "{cut}");
        assert_eq!(flight.run().live, Some("blue".into()), "{cut}");
    }
}

#[test]
fn a_crash_between_a_switch_and_its_telling_keeps_the_quick_rollback() {
    let mut flight = Flight::passed(runbook(), 3);
    let told = flight.names().iter().position(|name| name == "traffic_switched").unwrap();
    flight.resume_torn(told);
    assert_eq!(flight.run().live, Some("green".into()), "told by the resume");
    assert_eq!(flight.run().rollback_plan(None, flight.now).procedure, Some("quick".into()));
    assert_eq!(flight.count("traffic_switched"), 1);
}

#[test]
fn a_countdown_that_ran_out_while_nobody_looked_begins_anew() {
    let mut flight = Flight::in_window(runbook());
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(320));
    assert!(matches!(flight.prompt(), Prompt::Countdown { .. }));
    flight.now = flight.now + Span::from_mins(60);
    flight.resume();
    assert_eq!(flight.count("rollback_started"), 0);
    let Prompt::Countdown { ends_at, .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert_eq!(ends_at.since(flight.now), Span::from_secs(30));
    flight.fly(Span::from_secs(31));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_breach_or_blindness_from_before_the_crash_is_taken_back_by_good_data() {
    for bad in [Ok(0.2), Err(Missing::NoData)] {
        let mut flight = Flight::in_window(runbook());
        flight.tick_checks();
        flight.error_rate = bad.clone();
        flight.fly(Span::from_secs(70));
        let state = &flight.run().triggers[0];
        assert!(state.breaching.is_some() || state.blind.is_some());
        flight.resume();
        // A missing sample takes nothing back.
        flight.error_rate = Err(Missing::NoData);
        flight.fly(Span::from_secs(10));
        let state = &flight.run().triggers[0];
        assert!(state.breaching.is_some() || state.blind.is_some(), "{bad:?}");
        flight.error_rate = Ok(0.0004);
        flight.fly(Span::from_secs(60));
        let state = flight.run().triggers[0].clone();
        assert_eq!((state.breaching, state.blind), (None, None), "{bad:?}");
        if flight.run().held.is_some() {
            flight.command(Command::Continue);
        }
        flight.fly(Span::from_mins(16));
        assert_eq!(flight.status("monitor"), StepStatus::Passed, "{bad:?}");
    }
}

#[test]
fn a_resume_is_credited_with_the_windows_written_time_only_and_with_no_breach() {
    let mut flight = Flight::in_window(runbook());
    flight.tick_checks();
    flight.fly(Span::from_mins(5));
    let written = flight.run().step("monitor").unwrap().watched;
    flight.now = flight.now + Span::from_mins(60);
    flight.resume();
    flight.command(Command::Continue);
    flight.tick_checks();
    flight.fly(Span::from_secs(1));
    assert_eq!(flight.run().step("monitor").unwrap().watched, written);
    let mut flight = Flight::in_window(runbook());
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_secs(200));
    flight.resume();
    flight.fly(Span::from_secs(200));
    assert_eq!(flight.count("trigger_fired"), 0, "the clock begins anew");
    flight.fly(Span::from_secs(120));
    assert_eq!(flight.count("trigger_fired"), 1);
}

#[test]
fn a_paused_run_goes_on_and_a_checklist_is_not_held() {
    let mut flight = Flight::opened(runbook());
    flight.command(Command::Suspend { reason: "later".to_owned() });
    assert_eq!(flight.outcome(), Some(Outcome::Held));
    flight.resume();
    assert_eq!(flight.outcome(), None);
    assert!(flight.run().held.is_some());
    flight.command(Command::Continue);
    flight.start();
    assert_eq!(flight.acted(), ["backup", "apply"]);
    let mut flight = Flight::open(runbook());
    flight.settle();
    flight.resume();
    assert_eq!(flight.run().held, None);
}

/// One of every event.
fn every_event() -> Vec<RunEvent> {
    let text = || "text".to_owned();
    let step = || crate::domain::id::StepId::from("migrate");
    let by = || Actor::person("text");
    let check = || CheckRef { place: Place::Step { step: step() }, attempt: 1, check: 0 };
    let given = || Override { what: text(), reason: text(), by: text() };
    let quick = || crate::domain::id::ProcedureId::from("quick");
    let mut run_opened = opened(runbook());
    run_opened.overrides.push(given());
    let switch = runbook().rollbacks[0].run[0].clone();
    vec![
        RunEvent::RunOpened(run_opened),
        RunEvent::RunResumed { by: text(), host: text() },
        RunEvent::VarSet { name: text(), value: None, source: text() },
        RunEvent::PartDecided { part: text(), applies: true, by: by() },
        RunEvent::OverrideGiven(given()),
        RunEvent::ItemTicked { group: 0, item: 1, text: text(), by: by(), note: Some(text()) },
        RunEvent::ItemUnticked { group: 0, item: 1, by: by(), note: None, asks: true },
        RunEvent::ItemWaived { group: 0, item: 1, reason: text(), by: by() },
        RunEvent::ChecklistPassed { by: by() },
        RunEvent::StepStarted { step: step(), attempt: 1, by: by() },
        RunEvent::ActionStarted { at: at_step("migrate", 1, 0), name: text(), does: text() },
        RunEvent::ActionSpawned {
            at: at_quick(1, 0),
            child: ChildProcess { pid: 7, start_time: 8, boot_id: text() },
        },
        RunEvent::ActionFinished {
            at: at_step("migrate", 1, 0),
            outcome: ActionOutcome::TimedOut,
            detail: text(),
            took: Span::from_secs(1),
            output: None,
        },
        RunEvent::ActionWaits { at: at_step("migrate", 1, 0), why: text() },
        RunEvent::ActionRetried { at: at_quick(1, 0), tries: 2, why: text() },
        RunEvent::ActionLooked { at: at_step("migrate", 1, 0), evidence: text() },
        RunEvent::ActionResolved {
            at: at_step("migrate", 1, 0),
            resolution: Resolution::NotDone,
            by: by(),
            evidence: None,
        },
        RunEvent::CheckPassed { at: check(), text: text(), evidence: text(), by: by(), skipped: true },
        RunEvent::CheckFailed { at: check(), text: text(), evidence: text(), by: by(), caught: true },
        RunEvent::StepPassed { step: step(), attempt: 1 },
        RunEvent::StepFailed { step: step(), attempt: 1, reason: text() },
        RunEvent::StepSkipped { step: step(), reason: text(), by: by() },
        RunEvent::UndoStarted { step: step(), attempt: 1, by: by() },
        RunEvent::UndoFinished { step: step(), attempt: 1, ok: true, detail: text() },
        RunEvent::CompletionStarted { attempt: 1, by: by() },
        RunEvent::CompletionFailed { attempt: 1, reason: text() },
        RunEvent::BaselineRecorded {
            values: BTreeMap::from([(text(), 0.1)]),
            short: BTreeMap::from([(text(), Span::from_secs(100))]),
        },
        RunEvent::WayBackChanged { ready: false, failing: vec![text()], why: text() },
        RunEvent::TrafficSwitched { from: "blue".into(), to: "green".into() },
        RunEvent::WindowOpened { step: step(), attempt: 1, lasts: Span::from_mins(15) },
        RunEvent::WindowAdvanced { step: step(), watched: Span::from_mins(1) },
        RunEvent::TriggerBreaching {
            trigger: 0,
            reason: text(),
            metric: "m".into(),
            value: 0.014,
            since: START,
        },
        RunEvent::TriggerWaits {
            trigger: 0,
            until: START,
            why: crate::domain::trigger::Waits::TooFew { measured: 3, due: 9 },
        },
        RunEvent::TriggerCleared { trigger: 0, value: None },
        RunEvent::TriggerBlind { trigger: 0, metric: "m".into(), why: Missing::Stale(text()) },
        RunEvent::TriggerSees { trigger: 0 },
        RunEvent::TriggerFired { trigger: 0, reason: text() },
        RunEvent::CountdownStarted { trigger: 0, ends_at: START },
        RunEvent::CountdownCancelled { trigger: 0, reason: text(), by: by() },
        RunEvent::RollbackStarted {
            procedure: quick(),
            reason: text(),
            by: by(),
            actions: vec![switch],
            undo: vec![step()],
            within: Some(Span::from_mins(5)),
        },
        RunEvent::RollbackPrepared { procedure: quick(), before: 0, actions: vec![sh("wake")] },
        RunEvent::RollbackRemarked { procedure: quick(), action: Some(1), remark: text() },
        RunEvent::RollbackLate { procedure: quick(), within: Span::from_mins(5), why: text() },
        RunEvent::RollbackBlind { procedure: quick(), why: text(), by: by() },
        RunEvent::RollbackStopped { procedure: quick(), reason: text(), cause: StopCause::Copied },
        RunEvent::RollbackRetried { procedure: quick(), attempt: 2, by: by() },
        RunEvent::RollbackFinished {
            procedure: quick(),
            ok: true,
            detail: text(),
            took: Span::from_secs(12),
            within: None,
        },
        RunEvent::ForeignChange { object: text(), what: text(), manager: text(), put_back: text() },
        RunEvent::PutBackStarted { action: Box::new(sh("x")), does: text(), by: by() },
        RunEvent::PutBackFinished { outcome: ActionOutcome::Succeeded, detail: text() },
        RunEvent::TargetTaken { pinned: Pinned::default(), roles: None, by: by() },
        RunEvent::RunHeld { reason: text(), by: by(), cause: HoldCause::Away },
        RunEvent::RunContinued { by: by() },
        RunEvent::NoticeSent {
            milestone: Some(Milestone::RolledBack),
            text: text(),
            ok: false,
            detail: text(),
        },
        RunEvent::TaskCreated { task: 0, text: text(), due_at: START },
        RunEvent::TaskDone { task: 0, by: by() },
        RunEvent::IncidentUpdated {
            severity: text(),
            title: text(),
            impact: text(),
            status: text(),
            sent: false,
            by: by(),
        },
        RunEvent::IncidentStepTicked { step: 0, done: true, by: by() },
        RunEvent::NoteAdded { text: text(), by: by() },
        RunEvent::RunFinished { outcome: Outcome::RolledBack, detail: text() },
    ]
}

#[test]
fn every_event_survives_json_and_its_names_are_published() {
    let events = every_event();
    let mut published = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        let envelope = Envelope { seq: index as u64 + 1, at: START, event };
        let json = serde_json::to_string(&envelope).unwrap();
        let back: Envelope = serde_json::from_str(&json).unwrap();
        assert_eq!(back, envelope);
        assert_eq!(serde_json::to_string(&back).unwrap(), json, "the same again");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let fields = value.as_object().unwrap();
        assert_eq!(fields["event"], envelope.event.name());
        let names = fields.keys().filter(|key| !["seq", "at", "event"].contains(&key.as_str())).cloned();
        let mut names: Vec<String> = names.collect();
        names.sort();
        published.push(format!("{}: {}", envelope.event.name(), names.join(" ")));
    }
    // Whoever reads `--json-lines` relies on these: add, never rename.
    let expected = "\
run_opened: cluster cutover_version host new_slot new_slot_image overrides pilot pinned previous rehearsal run_id runbook runbook_path runbook_sha256
run_resumed: by host
var_set: name source value
part_decided: applies by part
override_given: by reason what
item_ticked: by group item note text
item_unticked: asks by group item note
item_waived: by group item reason
checklist_passed: by
step_started: attempt by step
action_started: action attempt does name phase step
action_spawned: action attempt boot_id phase pid procedure start_time
action_finished: action attempt detail outcome output phase step took
action_waits: action attempt phase step why
action_retried: action attempt phase procedure tries why
action_looked: action attempt evidence phase step
action_resolved: action attempt by evidence phase resolution step
check_passed: attempt by check evidence phase skipped step text
check_failed: attempt by caught check evidence phase step text
step_passed: attempt step
step_failed: attempt reason step
step_skipped: by reason step
undo_started: attempt by step
undo_finished: attempt detail ok step
completion_started: attempt by
completion_failed: attempt reason
baseline_recorded: short values
way_back_changed: failing ready why
traffic_switched: from to
window_opened: attempt lasts step
window_advanced: step watched
trigger_breaching: metric reason since trigger value
trigger_waits: trigger until why
trigger_cleared: trigger value
trigger_blind: metric trigger why
trigger_sees: trigger
trigger_fired: reason trigger
countdown_started: ends_at trigger
countdown_cancelled: by reason trigger
rollback_started: actions by procedure reason undo within
rollback_prepared: actions before procedure
rollback_remarked: action procedure remark
rollback_late: procedure why within
rollback_blind: by procedure why
rollback_stopped: cause procedure reason
rollback_retried: attempt by procedure
rollback_finished: detail ok procedure took within
foreign_change: manager object put_back what
put_back_started: action by does
put_back_finished: detail outcome
target_taken: by pinned roles
run_held: by cause reason
run_continued: by
notice_sent: detail milestone ok text
task_created: due_at task text
task_done: by task
incident_updated: by impact sent severity status title
incident_step_ticked: by done step
note_added: by text
run_finished: detail outcome";
    assert_eq!(published.join("\n"), expected);
    let outcomes =
        [Outcome::Succeeded, Outcome::Failed, Outcome::RolledBack, Outcome::RollbackFailed, Outcome::Held];
    let words: Vec<_> = outcomes.iter().map(|outcome| serde_json::to_value(outcome).unwrap()).collect();
    assert_eq!(words, ["succeeded", "failed", "rolled-back", "rollback-failed", "held"]);
}

#[test]
fn every_event_has_its_line_and_none_commands_the_terminal() {
    let first = Envelope { seq: 1, at: START, event: RunEvent::RunOpened(opened(runbook())) };
    let mut run = Run::open(&first).unwrap();
    for (index, event) in every_event().into_iter().enumerate().skip(1) {
        let envelope = Envelope { seq: index as u64 + 1, at: START, event };
        run.apply(&envelope);
        let line = crate::domain::story::line(&run, &envelope.event);
        let silent =
            matches!(envelope.event, RunEvent::ActionSpawned { .. } | RunEvent::WindowAdvanced { .. });
        assert_eq!(line.is_none(), silent, "{:?}", envelope.event);
        assert!(!line.unwrap_or_default().contains(char::is_control));
    }
    let note = RunEvent::NoteAdded { text: "\u{1b}]0;x\u{7}\u{202e}".to_owned(), by: Actor::person("eve") };
    let line = crate::domain::story::line(&run, &note).unwrap();
    assert!(!line.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{line:?}");
}
