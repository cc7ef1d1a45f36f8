//! What ENTER does on the panes; where it starts nothing, what the run waits for.

use super::{Does, Offer};
use crate::{
    config::keymap::KeyAction,
    domain::{
        action::{ActionKind, Confirm},
        cause::HoldCause,
        event::ActionRef,
        message::Command,
        prompt::Prompt,
        run::Run,
        runbook::Step,
        time::Span,
    },
    tui::{
        model::{Model, Phase, form::Purpose},
        story,
    },
};

/// How many other people must still agree before a step begins.
fn lacking(run: &Run, step: usize, attempt: u32) -> usize {
    run.runbook.steps.get(step).map_or(0, |declared| {
        (declared.approvals as usize).saturating_sub(run.approved_by(&declared.id, attempt).len())
    })
}

/// How many items of the checklist are open, those that may stay so among them.
fn items_left(run: &Run) -> usize {
    let (done, all) = run.checklist_progress();
    all.saturating_sub(done)
}

/// What ENTER does, and where that is nothing, why.
pub(super) fn enter(model: &Model, run: &Run, prompt: &Prompt) -> Offer {
    match prompt {
        Prompt::Ask { .. } | Prompt::Decide { .. } | Prompt::Checklist { .. } | Prompt::OpenSteps => {
            before_steps(run, prompt)
        }
        Prompt::Start { .. } | Prompt::Complete | Prompt::Proceed { .. } => begin(run, prompt),
        Prompt::Acting { at } => acting(model, run, at),
        Prompt::Checking { open, .. } => checking(model, run, open.len()),
        Prompt::Unknown { at } => unknown(run, at),
        Prompt::Held { cause: HoldCause::Foreign, .. } => {
            does(Does::Choose(Purpose::Continue, 0), "resume, once it is put back".to_owned())
        }
        Prompt::Held { .. } => {
            does(Does::Choose(Purpose::Continue, 0), "resume the run (asks first)".to_owned())
        }
        Prompt::Failed { .. } | Prompt::Fired { .. } | Prompt::RollbackStopped { .. } => {
            Offer::wait("starts nothing: choose one of these").says("starts nothing: choose")
        }
        Prompt::Countdown { ends_at, .. } => rolls_back_in(ends_at.since(model.now)),
        Prompt::RollingBack => {
            Offer::wait("starts nothing: the rollback finishes by itself").says("starts nothing")
        }
        Prompt::Finished { .. } => Offer::wait("starts nothing: the run has ended"),
    }
}

fn does(does: Does, words: String) -> Offer {
    Offer::key(KeyAction::Confirm, does).says(words)
}

/// Questions and the checklist.
fn before_steps(run: &Run, prompt: &Prompt) -> Offer {
    match prompt {
        Prompt::Ask { question, .. } | Prompt::Decide { question, .. } => {
            does(Does::Question, format!("answer: {question}"))
        }
        Prompt::Checklist { open } => {
            let n = open.len();
            let spare = items_left(run).saturating_sub(n);
            let optional = if spare == 0 { String::new() } else { format!(", {spare} optional") };
            does(Does::NextItem, format!("go to the next open item; {n} needed before step 1{optional}"))
                .says(format!("next open item; {n} needed before step 1{optional}"))
                .says(format!("next open item; {n} needed"))
                .says(format!("next open item, {n} needed"))
        }
        _ => {
            let first = run.runbook.steps.first().map_or("the completion", |step| &step.title);
            does(
                Does::Send(Command::OpenSteps { override_reason: None }),
                format!("close the checklist and show step 1: {first}; starts nothing yet"),
            )
            .says("close the checklist, show step 1; starts nothing yet".to_owned())
        }
    }
}

/// What begins: a step, an action that asks by itself, the completion.
fn begin(run: &Run, prompt: &Prompt) -> Offer {
    match prompt {
        Prompt::Start { step, attempt, .. } if lacking(run, *step, *attempt) > 0 => {
            let n = lacking(run, *step, *attempt);
            let people = if n == 1 { "person" } else { "people" };
            let how = match run.opened.rehearsal {
                Some(_) => ":approve plays one".to_owned(),
                None => format!("cutover approve {}", run.opened.run_id),
            };
            Offer::wait(format!(
                "starts nothing: step {} needs {n} other {people} to approve it: {how}",
                step + 1
            ))
        }
        Prompt::Start { step, attempt, confirm, word } => start(run, *step, *attempt, *confirm, word),
        Prompt::Proceed { at, confirm, word } => {
            let purpose = Purpose::Proceed { at: at.clone(), confirm: *confirm, word: word.clone() };
            let what = story::action_name(run, at);
            does(Does::Confirm(purpose, *confirm), format!("run: {what}{}", confirm_words(*confirm, word)))
                .says(format!("run: {what}"))
        }
        _ => {
            let attempt = run.completion.as_ref().map_or(0, |work| work.attempt) + 1;
            let purpose = Purpose::Start { step: None, attempt, confirm: Confirm::None, word: String::new() };
            does(
                Does::Confirm(purpose, Confirm::None),
                "complete the deployment: log, notices, tasks for later".to_owned(),
            )
        }
    }
}

/// An action whose outcome nobody recorded.
fn unknown(run: &Run, at: &ActionRef) -> Offer {
    if run.is_looked_at(at) {
        return Offer::wait("starts nothing: reading its outcome from the cluster");
    }
    if run.outlives(at).is_some() {
        return Offer::wait("starts nothing: its process still runs")
            .says("starts nothing: its process runs");
    }
    does(
        Does::Choose(Purpose::Resolve { at: at.clone() }, 0),
        "say how it ended: done, not done, run again, or roll back".to_owned(),
    )
    .says("say how it ended")
}

fn rolls_back_in(left: Span) -> Offer {
    Offer::wait(format!("starts nothing: the rollback starts by itself in {}", left.clock()))
        .says("starts nothing")
}

/// A step begins.
fn start(run: &Run, step: usize, attempt: u32, confirm: Confirm, word: &str) -> Offer {
    let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
    let declared = &run.runbook.steps[step];
    let purpose = Purpose::Start { step: Some(declared.id.clone()), attempt, confirm, word: word.to_owned() };
    let (start, asks) = (start_words(run, declared), confirm_words(confirm, word));
    Offer::key(KeyAction::Confirm, Does::Confirm(purpose, confirm))
        .says(format!("{start}{again}{asks}"))
        .says(format!("{start}{again}"))
}

/// Checks are looked at; so many of them wait for a person.
fn checking(model: &Model, run: &Run, open: usize) -> Offer {
    if let Some(left) = run.goes_back_in(model.now) {
        return rolls_back_in(left);
    }
    if open > 0 {
        let (s, waits) = if open == 1 { ("", "waits") } else { ("s", "wait") };
        return Offer::wait(format!("starts nothing: {open} check{s} {waits} for you"))
            .says(format!("starts nothing: {open} check{s} {waits}"))
            .says("starts nothing");
    }
    if model.phase() == Phase::Window {
        return Offer::wait("starts nothing: it goes on by itself after the watch").says("starts nothing");
    }
    Offer::wait("starts nothing: checks are repeated until they pass or time out")
        .says("starts nothing: checks run")
}

/// An action runs, or waits for its turn.
fn acting(model: &Model, run: &Run, at: &ActionRef) -> Offer {
    let what = story::action_name(run, at);
    if run.waiting_act().is_some_and(|(waiting, _)| waiting == *at) {
        // Why stands in the alert, where there is room for it.
        return Offer::wait(format!("starts nothing: `{what}` starts by itself")).says("starts nothing");
    }
    let state = run.work(&at.place).and_then(|work| work.actions.get(at.action));
    let left = state.and_then(|state| state.started_at).zip(run.action(at)).map(|(since, action)| {
        format!(", {} at most", action.timeout.saturating_sub(model.now.since(since)).clock())
    });
    let left = left.unwrap_or_default();
    Offer::wait(format!("starts nothing: `{what}` runs by itself{left}"))
        .says(format!("starts nothing: runs by itself{left}"))
        .says("starts nothing")
}

/// What starting a step means, in words.
fn start_words(run: &Run, step: &Step) -> String {
    let switch = step.run.iter().find_map(|action| match &action.kind {
        ActionKind::SwitchTraffic { to, .. } => run.slot(to),
        _ => None,
    });
    if let Some(slot) = switch {
        return format!("switch all traffic to {}", slot.0.to_uppercase());
    }
    if let Some(window) = step.window {
        return format!("start: {} (watched for {})", step.title, window.lasts);
    }
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    match (step.run.len(), step.check.len()) {
        (0, checks) => format!("start: {} ({})", step.title, count(checks, "check")),
        (actions, 0) => format!("start: {} ({})", step.title, count(actions, "action")),
        (actions, checks) => {
            format!("start: {} ({}, then {})", step.title, count(actions, "action"), count(checks, "check"))
        }
    }
}

/// What ENTER asks for first.
pub fn confirm_words(confirm: Confirm, word: &str) -> String {
    match confirm {
        Confirm::None => String::new(),
        Confirm::Twice => " (asks once more)".to_owned(),
        Confirm::Type => format!(" (asks for the word {word})"),
    }
}
