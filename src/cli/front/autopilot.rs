//! What an unattended run does at each prompt. Pure: it takes the run and says what to send.
//!
//! With `--yes` it confirms what a person would confirm. It never turns doubt into success: at missing data, an unknown
//! result, somebody else's change, a failed completion or a rollback that has stopped, it leaves the run to its
//! engine, paused as it is; a failure after the switch rolls back.

use crate::domain::{
    action::Confirm,
    cause::HoldCause,
    event::{Outcome, Place},
    message::Command,
    prompt::Prompt,
    run::{CheckStatus, ItemStatus, Run},
    runbook::{Automation, Then},
    time::{Span, Timestamp},
};

/// How long an automatic checklist item may fail before the run gives up.
const ITEM_PATIENCE: Span = Span::from_secs(120);
/// How long a run may be paused for missing data.
const HOLD_PATIENCE: Span = Span::from_secs(120);
/// How long a trigger that rolls back by itself may take before the rollback is ordered instead.
const TRIGGER_PATIENCE: Span = Span::from_secs(5);
/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Send these.
    Send(Vec<Command>),
    /// Nothing yet.
    Wait,
    /// Nothing is urgent, and nothing more can be done from here, for this reason: leave the run as it is.
    Leave(String),
    /// A person is needed for this: leave the run as it is, and say so.
    NeedsPerson(String),
    /// The run has ended.
    Over(Outcome),
}

/// The next move of an unattended run. `yes` allows it to confirm. `second` is what one real second is in the run's time: no
/// patience is shorter in real time than a deadline (see [`Span::as_deadline`]).
pub fn next(run: &Run, now: Timestamp, second: Span, yes: bool) -> Move {
    let prompt = run.prompt(now);
    if !yes && wants_person(&prompt) {
        return Move::NeedsPerson(format!("{} (--yes confirms without asking)", question(run, &prompt)));
    }
    match prompt {
        Prompt::Ask { name, question, default } => match default {
            Some(value) => Move::Send(vec![Command::SetVar { name, value }]),
            None => Move::NeedsPerson(format!("{question}: set it with --var {name}=VALUE")),
        },
        Prompt::Decide { part, default, .. } => {
            Move::Send(vec![Command::DecidePart { part, applies: default }])
        }
        Prompt::Checklist { open } => checklist(run, now, second, &open),
        Prompt::OpenSteps => Move::Send(vec![Command::OpenSteps { override_reason: None }]),
        Prompt::Start { step, .. } if starts_by_itself(run, Some(step)) => Move::Wait,
        Prompt::Complete if starts_by_itself(run, None) => Move::Wait,
        Prompt::Start { step, attempt, .. } if lacks_approval(run, step, attempt) => {
            // A rehearsal plays the colleagues; real ones come from screens of their own.
            match run.opened.rehearsal {
                Some(_) => Move::Send(vec![Command::Approve { step: None }]),
                None => Move::Wait,
            }
        }
        Prompt::Start { step, attempt, word, .. } => {
            let step = run.runbook.steps.get(step).map(|step| step.id.clone());
            Move::Send(vec![Command::Start { step, attempt, typed: Some(word) }])
        }
        Prompt::Complete => Move::Send(vec![Command::Start { step: None, attempt: 1, typed: None }]),
        Prompt::Proceed { at, word, .. } => Move::Send(vec![Command::Proceed { at, typed: Some(word) }]),
        Prompt::Checking { place, open } => checking(run, &place, &open),
        Prompt::Failed { step: Some(step) } => failed(run, step.as_str()),
        Prompt::Failed { step: None } => {
            Move::Leave("the completion failed; traffic stays on the new slot".to_owned())
        }
        Prompt::Unknown { at } if run.is_looked_at(&at) => Move::Wait,
        Prompt::Unknown { at } => {
            let name = run.action(&at).map_or("an action", |action| action.name.as_str());
            Move::NeedsPerson(format!("unknown whether `{name}` was done"))
        }
        Prompt::Fired { trigger } => fired(run, now, second, trigger),
        Prompt::Held { cause, reason } => held(run, now, second, cause, &reason),
        // The machine itself has tried for as long as trying could help: what stops a rollback is forbidden, impossible, or
        // wants somebody to look first. Giving it up is a person's decision.
        Prompt::RollbackStopped { reason, .. } => {
            Move::NeedsPerson(format!("the rollback has stopped: {reason}"))
        }
        Prompt::Finished { outcome } => Move::Over(outcome),
        Prompt::Acting { .. } | Prompt::Countdown { .. } | Prompt::RollingBack => Move::Wait,
    }
}

/// A trigger that asks nobody rolls back by itself after its countdown; that event is on its way.
fn fired(run: &Run, now: Timestamp, second: Span, trigger: usize) -> Move {
    let watch = run.runbook.triggers.get(trigger).and_then(|declared| declared.watch.as_ref());
    let asks = watch.is_none_or(|watch| watch.then == Then::Ask);
    match run.triggers.get(trigger).and_then(|state| state.fired.clone()) {
        Some((at, _)) if !asks && now.since(at) < TRIGGER_PATIENCE.as_deadline(second) => Move::Wait,
        Some((_, reason)) => Move::Send(vec![Command::Rollback { reason }]),
        None => Move::Wait,
    }
}

/// With full automation the machine starts a step that needs no confirmation, unless something is out of the ordinary.
fn starts_by_itself(run: &Run, step: Option<usize>) -> bool {
    let plain = step.is_none_or(|index| {
        let declared = run.runbook.steps.get(index);
        declared.is_some_and(|step| step.confirm == Confirm::None && step.approvals == 0)
            && run.steps.get(index).is_some_and(|state| !state.undone)
    });
    plain && run.runbook.deployment.automation == Automation::Full && run.foreign.is_empty()
}

fn lacks_approval(run: &Run, step: usize, attempt: u32) -> bool {
    run.runbook
        .steps
        .get(step)
        .is_some_and(|step| run.approved_by(&step.id, attempt).len() < step.approvals as usize)
}

fn wants_person(prompt: &Prompt) -> bool {
    match prompt {
        Prompt::Ask { default, .. } => default.is_none(),
        Prompt::Checklist { open } => !open.is_empty(),
        Prompt::Checking { open, .. } => !open.is_empty(),
        Prompt::Decide { .. }
        | Prompt::OpenSteps
        | Prompt::Start { .. }
        | Prompt::Complete
        | Prompt::Proceed { .. } => true,
        _ => false,
    }
}

pub(in crate::cli) fn question(run: &Run, prompt: &Prompt) -> String {
    match prompt {
        Prompt::Ask { question, .. } | Prompt::Decide { question, .. } => question.clone(),
        Prompt::Checklist { open } => format!("{} checklist items are open", open.len()),
        Prompt::OpenSteps => "the checklist is complete; a person must open the steps".to_owned(),
        Prompt::Start { step, .. } => {
            let title = run.runbook.steps.get(*step).map_or("?", |step| step.title.as_str());
            format!("step {} ({title}) is waiting to be started", step + 1)
        }
        Prompt::Complete => "the completion is waiting to be started".to_owned(),
        Prompt::Proceed { at, .. } => {
            format!(
                "`{}` is waiting to be started",
                run.action(at).map_or("?", |action| action.name.as_str())
            )
        }
        Prompt::Checking { .. } => "a person must confirm a check".to_owned(),
        _ => "a person must decide".to_owned(),
    }
}

fn checklist(run: &Run, now: Timestamp, second: Span, open: &[(usize, usize)]) -> Move {
    let (mut ticks, mut asks) = (Vec::new(), None);
    let patience = ITEM_PATIENCE.as_deadline(second);
    for &(group, item) in open {
        let Some(declared) = run.runbook.checklist.get(group).and_then(|found| found.items.get(item)) else {
            continue;
        };
        let state = &run.items[group][item];
        if state.asks {
            // Confirming it without looking would turn doubt into success.
            let why = state.note.clone().unwrap_or_default();
            asks.get_or_insert_with(|| format!("checklist: {}: {why}", declared.text));
        } else if declared.check.kind.is_person() {
            ticks.push(Command::TickItem { group, item, note: Some("confirmed by --yes".to_owned()) });
        } else if state.status == ItemStatus::Fails && now.since(run.opened_at) > patience {
            let why = state.note.clone().unwrap_or_default();
            return Move::Send(vec![Command::Abort {
                reason: format!("checklist: {}: {why}", declared.text),
            }]);
        }
    }
    match asks {
        _ if !ticks.is_empty() => Move::Send(ticks),
        Some(asks) => Move::NeedsPerson(asks),
        None => Move::Wait,
    }
}

/// Manual checks are confirmed last, once everything that can be measured has passed.
fn checking(run: &Run, place: &Place, open: &[usize]) -> Move {
    let (step, work) = match place {
        Place::Step { step } => (Some(step.clone()), run.work(place)),
        Place::Completion => (None, run.work(place)),
        Place::Undo { .. } | Place::Rollback { .. } => return Move::Wait,
    };
    let Some(work) = work else { return Move::Wait };
    let measured =
        run.checks(place).iter().zip(&work.checks).all(|(check, state)| {
            check.kind.is_person() || check.optional || state.status == CheckStatus::Holds
        });
    let watched = step.as_ref().is_none_or(|step| {
        let lasts = run
            .declared(step.as_str())
            .and_then(|step| step.window)
            .map_or(Span::ZERO, |window| window.lasts);
        run.step(step.as_str()).is_some_and(|state| state.watched >= lasts)
    });
    if !measured || !watched || open.is_empty() {
        return Move::Wait;
    }
    let note = Some("confirmed by --yes".to_owned());
    let tick = |check: &usize| Command::TickCheck {
        step: step.clone(),
        attempt: work.attempt,
        check: *check,
        holds: true,
        note: note.clone(),
    };
    Move::Send(open.iter().map(tick).collect())
}

fn failed(run: &Run, step: &str) -> Move {
    let reason = run.step(step).and_then(|state| state.reason.clone()).unwrap_or_default();
    let reason = format!("step `{step}` failed: {reason}");
    if !run.switch_begun() {
        return Move::Send(vec![Command::Abort { reason }]);
    }
    // After the window the new version has proved itself; a failure there is no reason to roll it back.
    let window = run.runbook.steps.iter().rposition(|step| step.window.is_some());
    let beyond = run.runbook.step_index(step).zip(window).is_some_and(|(step, window)| step > window);
    if beyond { Move::Leave(reason) } else { Move::Send(vec![Command::Rollback { reason }]) }
}

fn held(run: &Run, now: Timestamp, second: Span, cause: HoldCause, reason: &str) -> Move {
    let blind = run.triggers.iter().any(|trigger| trigger.blind.is_some());
    let since = run.held.as_ref().map_or(now, |held| held.at);
    if cause == HoldCause::Away {
        // Nobody had control; line mode has it now.
        return Move::Send(vec![Command::Continue]);
    }
    if blind && now.since(since) < HOLD_PATIENCE.as_deadline(second) {
        Move::Wait
    } else {
        Move::Leave(format!("paused: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        cause::StopCause,
        event::{ActionOutcome, RunEvent},
        fixture::{Flight, runbook},
        metric::Missing,
    };

    const SECOND: Span = Span::from_secs(1);

    #[test]
    fn a_rollback_that_has_stopped_is_tried_again_and_given_up_by_a_person_only() {
        let mut flight = Flight::in_window(runbook());
        flight.hanging.insert("scale down".to_owned());
        flight.command(Command::Rollback { reason: "errors".to_owned() });
        flight.settle();
        let begun =
            |event: &RunEvent| matches!(event, RunEvent::ActionStarted { name, .. } if name == "scale down");
        let last = flight.events.iter().position(|envelope| begun(&envelope.event)).unwrap();
        flight.resume_copied(last);
        let stopped = |flight: &Flight, cause: StopCause| {
            let Prompt::RollbackStopped { cause: found, reason } = flight.prompt() else {
                panic!("{:?}", flight.prompt())
            };
            assert_eq!(found, cause);
            let told = Move::NeedsPerson(format!("the rollback has stopped: {reason}"));
            assert_eq!(next(flight.run(), flight.now, SECOND, true), told);
        };
        stopped(&flight, StopCause::Copied);
        let mut flight = Flight::in_window(runbook());
        flight.outcomes.insert("switch back".to_owned(), ActionOutcome::Failed);
        flight.command(Command::Rollback { reason: "errors".to_owned() });
        flight.settle();
        stopped(&flight, StopCause::Failed);
    }

    #[test]
    fn a_hold_that_a_person_must_end_is_left_and_one_for_missing_data_is_waited_for_first() {
        let mut flight = Flight::in_window(runbook());
        flight.error_rate = Err(Missing::NoData);
        flight.fly(Span::from_secs(60));
        let held = flight.run().held.clone().unwrap();
        assert_eq!(held.cause, HoldCause::NoData);
        assert_eq!(next(flight.run(), held.at + Span::from_secs(119), SECOND, true), Move::Wait);
        let left = Move::Leave(format!("paused: {}", held.reason));
        assert_eq!(next(flight.run(), held.at + HOLD_PATIENCE, SECOND, true), left);

        let mut flight = Flight::in_window(runbook());
        flight.command(Command::Hold { reason: "lunch".to_owned() });
        assert_eq!(next(flight.run(), flight.now, SECOND, true), Move::Leave("paused: lunch".to_owned()));
    }

    #[test]
    fn an_item_has_its_real_seconds_however_fast_the_rehearsal() {
        let mut flight = Flight::open(runbook());
        flight.failing.insert("CI has passed".to_owned());
        flight.settle();
        flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
        flight.command(Command::DecidePart { part: "migrations".to_owned(), applies: true });
        flight.command(Command::TickItem { group: 0, item: 0, note: None });
        flight.settle();
        let after = |seconds, second| {
            next(
                flight.run(),
                flight.run().opened_at + Span::from_secs(seconds),
                Span::from_secs(second),
                true,
            )
        };
        assert_eq!(after(100, 1), Move::Wait);
        assert!(
            matches!(after(121, 1), Move::Send(commands) if matches!(commands[..], [Command::Abort { .. }]))
        );
        assert_eq!(after(1_900, 400), Move::Wait, "less than five real seconds");
        assert!(matches!(after(2_001, 400), Move::Send(_)));
    }
}
