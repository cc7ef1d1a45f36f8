//! Keys on the panes.

use crate::{
    config::keymap::{Context, KeyAction},
    domain::{
        action::Confirm,
        event::Place,
        message::Command,
        prompt::Prompt,
        run::{CheckStatus, ItemStatus, Run, StepStatus},
    },
    tui::{
        layout,
        model::{
            Layer, Model, Pane, Phase,
            form::{Form, Purpose},
            page::{Page, PageKind},
        },
        msg::Effect,
        subject,
        widget::list::moved,
    },
};

use super::{form, is_shown, on_common_action, page, send};

/// A page of rows; panes are not much higher.
const PAGE: isize = 8;

/// A key on the panes, by what it does.
pub(super) fn on_action(model: &mut Model, action: KeyAction, effects: &mut Vec<Effect>) {
    if on_common_action(model, action, effects) {
        return;
    }
    match action {
        KeyAction::Up => move_by(model, -1),
        KeyAction::Down => move_by(model, 1),
        KeyAction::PageUp => move_by(model, -PAGE),
        KeyAction::PageDown => move_by(model, PAGE),
        KeyAction::Top => move_by(model, isize::MIN / 2),
        KeyAction::Bottom => move_by(model, isize::MAX / 2),
        KeyAction::NextPane | KeyAction::Right => next_pane(model, 1),
        KeyAction::PreviousPane | KeyAction::Left => next_pane(model, -1),
        KeyAction::Pane(number) => {
            let panes = layout::panes(model);
            if let Some(pane) = panes.get(usize::from(number).saturating_sub(1)) {
                model.cursor.focus = *pane;
            }
        }
        KeyAction::Zoom => zoom(model),
        KeyAction::Back => back(model),
        KeyAction::Confirm => confirm(model, effects),
        KeyAction::Tick => tick(model, effects),
        KeyAction::Fails => fails(model),
        KeyAction::Note => note(model),
        KeyAction::NotNeeded => waive(model),
        KeyAction::Recheck => recheck(model, effects),
        KeyAction::Retry => retry(model, effects),
        KeyAction::Skip => skip(model),
        KeyAction::Undo => undo(model),
        KeyAction::Resolve => resolve(model),
        KeyAction::CancelCountdown => cancel(model),
        KeyAction::Copy => copy(model, effects),
        KeyAction::NextMatch => search(model, true),
        KeyAction::PreviousMatch => search(model, false),
        _ => {}
    }
}

fn move_by(model: &mut Model, by: isize) {
    let phase = model.phase();
    let steps = model.run.as_ref().map_or(0, |run| run.steps.len());
    match model.cursor.focus {
        Pane::Work => match phase {
            Phase::Checklist => model.cursor.item = moved(model.cursor.item, by, model.items().count()),
            Phase::Over if has_tasks(model) => {
                let tasks = model.run.as_ref().map_or(0, |run| run.tasks.len());
                model.cursor.task = moved(model.cursor.task, by, tasks);
            }
            // The steps are not in sight: the pane has the window's checks, or the rollback's actions.
            Phase::Window | Phase::RollingBack => select_check(model, by),
            _ => {
                let from = model.step_shown().unwrap_or(0);
                model.cursor.step = Some(moved(from, by, steps));
                model.cursor.detail = 0;
            }
        },
        Pane::Detail => match checks_of_person(model) {
            Some(checks) if !checks.is_empty() => select_check(model, by),
            _ => model.cursor.detail = moved(model.cursor.detail, by, 1_000),
        },
        Pane::Metrics => {
            let metrics = model.run.as_ref().map_or(0, |run| run.runbook.metrics.len());
            model.cursor.metric = moved(model.cursor.metric, by, metrics);
        }
        Pane::Pods => model.cursor.pod = moved(model.cursor.pod, by, subject::pods(model).len()),
        Pane::Logs => model.cursor.logs = moved(model.cursor.logs, by.saturating_neg(), 5_000),
    }
}

/// Another of the checks that wait for a person.
fn select_check(model: &mut Model, by: isize) {
    let checks = checks_of_person(model).unwrap_or_default();
    let due = check_due(model).map(|(.., check)| check);
    let at = due.and_then(|due| checks.iter().position(|check| *check == due));
    let next = at.map_or(0, |at| moved(at, by, checks.len()));
    model.cursor.check = checks.get(next).copied();
}

fn has_tasks(model: &Model) -> bool {
    model.run.as_ref().is_some_and(|run| !run.tasks.is_empty())
}

/// The checks of the place under way that a person decides, while that place waits for checks: a person's own, and those
/// that have caught something.
fn checks_of_person(model: &Model) -> Option<Vec<usize>> {
    let run = model.run.as_ref()?;
    let place = checking_place(model)?;
    let checks = run.checks(&place).iter().enumerate();
    let decides = |(index, check): &(usize, &crate::domain::check::Check)| {
        check.kind.is_person() || run.has_caught(&place, *index)
    };
    Some(checks.filter(decides).map(|(index, _)| index).collect())
}

fn checking_place(model: &Model) -> Option<Place> {
    match model.prompt()? {
        Prompt::Checking { place, .. } => Some(place),
        // A trigger that asks, a hold or a countdown does not keep anybody from looking.
        Prompt::Countdown { .. } | Prompt::Fired { .. } | Prompt::Held { .. } | Prompt::RollingBack => {
            model.place()
        }
        _ => None,
    }
}

fn next_pane(model: &mut Model, by: isize) {
    let panes = layout::panes(model);
    let at = panes.iter().position(|pane| *pane == model.cursor.focus).unwrap_or(0);
    let len = panes.len().max(1);
    let next = (at + if by > 0 { 1 } else { len - 1 }) % len;
    if let Some(pane) = panes.get(next) {
        model.cursor.focus = *pane;
    }
}

fn zoom(model: &mut Model) {
    match model.cursor.focus {
        // Their large form has axes, and all lines.
        Pane::Metrics => model.layers.push(Layer::Page(Box::new(Page::new(PageKind::Metrics)))),
        _ => model.cursor.zoomed = !model.cursor.zoomed,
    }
}

fn back(model: &mut Model) {
    let cursor = &mut model.cursor;
    if cursor.zoomed {
        cursor.zoomed = false;
    } else if cursor.step.is_some() {
        cursor.step = None;
        cursor.detail = 0;
    } else {
        cursor.focus = Pane::Work;
        cursor.search = None;
    }
}

/// Enter: what the line above the footer says, and only that.
fn confirm(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(prompt) = model.prompt() else { return };
    // First back to where that can be seen.
    if layout::enter_returns(model) {
        model.cursor.step = None;
        model.cursor.zoomed = false;
        model.cursor.detail = 0;
        return;
    }
    match &prompt {
        Prompt::Checklist { open } => return next_open_item(model, open),
        Prompt::Ask { .. } | Prompt::Decide { .. } => {
            model.aside = None;
            return form::open_question(model, &prompt);
        }
        Prompt::Checking { .. } => return tick(model, effects),
        Prompt::Finished { .. } if has_tasks(model) => return tick(model, effects),
        _ => {}
    }
    if !is_shown(model, &prompt) {
        return model.say("the screen has just changed: look, then press again");
    }
    match prompt {
        Prompt::OpenSteps => send(model, Command::OpenSteps { override_reason: None }, effects),
        Prompt::Start { step, attempt, confirm, word } => {
            let Some(id) =
                model.run.as_ref().and_then(|run| run.runbook.steps.get(step)).map(|step| step.id.clone())
            else {
                return;
            };
            form::confirm(model, Purpose::Start { step: Some(id), attempt, confirm, word }, confirm, effects);
        }
        Prompt::Complete => {
            let attempt =
                model.run.as_ref().and_then(|run| run.completion.as_ref()).map_or(0, |work| work.attempt) + 1;
            let purpose = Purpose::Start { step: None, attempt, confirm: Confirm::None, word: String::new() };
            form::confirm(model, purpose, Confirm::None, effects);
        }
        Prompt::Proceed { at, confirm, word } => {
            form::confirm(model, Purpose::Proceed { at, confirm, word }, confirm, effects);
        }
        Prompt::Unknown { .. } => resolve(model),
        Prompt::Held { .. } => form::open(model, Form::choosing(Purpose::Continue, 0)),
        _ => {}
    }
}

/// The first item that keeps the steps closed; one a person ticks before one that checks itself.
pub(super) fn select_first(model: &mut Model, open: &[(usize, usize)]) {
    let Some(run) = &model.run else { return };
    let person = |(g, i): &&(usize, usize)| run.is_persons_item(*g, *i);
    let first = open.iter().find(person).or(open.first()).copied();
    if let Some(at) = first.and_then(|first| model.items().position(|item| item == first)) {
        model.cursor.item = at;
    }
}

/// The next item that keeps the steps closed, after the selected one.
fn next_open_item(model: &mut Model, open: &[(usize, usize)]) {
    let items: Vec<_> = model.items().collect();
    let from = model.cursor.item + 1;
    let order = (from..items.len()).chain(0..from.min(items.len()));
    if let Some(next) = order.into_iter().find(|at| items.get(*at).is_some_and(|item| open.contains(item))) {
        model.cursor.item = next;
        model.cursor.focus = Pane::Work;
    }
}

fn tick(model: &mut Model, effects: &mut Vec<Effect>) {
    match model.phase() {
        Phase::Checklist => tick_item(model, effects),
        Phase::Over => tick_task(model, effects),
        _ => tick_check(model, effects),
    }
}

fn tick_item(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some((group, item)) = model.item_shown() else { return };
    let Some(run) = &model.run else { return };
    let (person, asks) = (run.is_persons_item(group, item), run.item_asks(group, item));
    let (status, _) = model.item_status(group, item);
    if !person && status != ItemStatus::Waived {
        let again = model.key_in(Context::Checklist, KeyAction::Recheck);
        let waive = model.key_in(Context::Checklist, KeyAction::NotNeeded);
        return model
            .say(format!("this one checks itself: {again} looks again, {waive} says that it is not needed"));
    }
    match status {
        ItemStatus::Holds | ItemStatus::Waived => send(model, Command::UntickItem { group, item }, effects),
        // Whoever says it in a check's place says what they have looked at.
        ItemStatus::Open | ItemStatus::Fails if asks => {
            form::open(model, Form::typing(Purpose::TickItem { group, item }, ""));
        }
        ItemStatus::Open | ItemStatus::Fails => {
            send(model, Command::TickItem { group, item, note: None }, effects);
            // On to the next one that is open, so that a list that was gone through aloud is ticked key by key.
            if let Some(Prompt::Checklist { open }) = model.prompt() {
                let rest: Vec<_> = open.into_iter().filter(|other| *other != (group, item)).collect();
                next_open_item(model, &rest);
            }
        }
    }
}

fn tick_task(model: &mut Model, effects: &mut Vec<Effect>) {
    let task = model.cursor.task;
    let done = model.run.as_ref().and_then(|run| run.tasks.get(task)).map(|state| state.done.is_some());
    match done {
        Some(false) => send(model, Command::TaskDone { task }, effects),
        Some(true) => model.say("this task is done already"),
        None => {}
    }
}

/// The check that space is for: the selected one, else the first that is open.
pub(crate) fn check_due(model: &Model) -> Option<(Place, u32, usize)> {
    let run = model.run.as_ref()?;
    let place = checking_place(model)?;
    let work = run.work(&place)?;
    let checks = checks_of_person(model)?;
    let open =
        |index: &usize| work.checks.get(*index).is_some_and(|state| state.status != CheckStatus::Holds);
    let chosen = model.cursor.check.filter(|check| checks.contains(check));
    let check = chosen.or_else(|| checks.iter().copied().find(|index| open(index)))?;
    Some((place, work.attempt, check))
}

fn tick_check(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some((place, attempt, check)) = check_due(model) else {
        return model.say("no check waits for a person now");
    };
    if model.run.as_ref().is_some_and(|run| run.has_caught(&place, check)) {
        let purpose = Purpose::TickCheck { step: step_of(&place), attempt, check, holds: true };
        return form::open(model, Form::typing(purpose, ""));
    }
    let holds =
        model.run.as_ref().and_then(|run| run.work(&place)).is_some_and(|work| {
            work.checks.get(check).is_some_and(|state| state.status == CheckStatus::Holds)
        });
    if holds {
        let fails = model.key_in(Context::Steps, KeyAction::Fails);
        return model.say(format!("ticked already; {fails} says that it does not hold"));
    }
    model.cursor.check = None;
    send(
        model,
        Command::TickCheck { step: step_of(&place), attempt, check, holds: true, note: None },
        effects,
    );
}

fn step_of(place: &Place) -> Option<crate::domain::id::StepId> {
    match place {
        Place::Step { step } => Some(step.clone()),
        _ => None,
    }
}

fn fails(model: &mut Model) {
    let Some((place, attempt, check)) = check_due(model) else {
        return model.say("no check waits for a person now");
    };
    let purpose = Purpose::TickCheck { step: step_of(&place), attempt, check, holds: false };
    form::open(model, Form::typing(purpose, ""));
}

fn note(model: &mut Model) {
    let purpose = match (model.phase(), model.item_shown()) {
        (Phase::Checklist, Some((group, item))) => {
            let person = model.run.as_ref().is_some_and(|run| run.is_persons_item(group, item));
            if person { Purpose::TickItem { group, item } } else { Purpose::Note }
        }
        _ => Purpose::Note,
    };
    form::open(model, Form::typing(purpose, ""));
}

fn waive(model: &mut Model) {
    if let Some((group, item)) = model.item_shown() {
        form::open(model, Form::typing(Purpose::Waive { group, item }, ""));
    }
}

fn recheck(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some((group, item)) = model.item_shown() else { return };
    let person =
        model.run.as_ref().is_some_and(|run| run.runbook.checklist[group].items[item].check.kind.is_person());
    if person {
        return model.say("a person looks at this one; space ticks it");
    }
    send(model, Command::RecheckItem { group, item }, effects);
    model.say("looking again");
}

fn retry(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(run) = &model.run else { return };
    let command = match model.prompt() {
        Some(Prompt::RollbackStopped { .. }) => Command::RetryRollback,
        Some(Prompt::Failed { step }) => {
            let attempt = match &step {
                Some(step) => run.step(step.as_str()).map_or(0, |state| state.work.attempt),
                None => run.completion.as_ref().map_or(0, |work| work.attempt),
            };
            Command::Retry { step, attempt }
        }
        _ => return model.say("nothing has failed that could be tried again"),
    };
    send(model, command, effects);
}

fn skip(model: &mut Model) {
    let Some(run) = &model.run else { return };
    let due = run.current().filter(|index| {
        matches!(run.steps[*index].status, StepStatus::Pending | StepStatus::Failed) && run.steps_open
    });
    match due {
        Some(index) if run.rolling_back().is_none() => {
            let step = run.runbook.steps[index].id.clone();
            form::open(model, Form::typing(Purpose::Skip { step }, ""));
        }
        _ => model.say("only a step that is due or has failed can be left out"),
    }
}

/// The step that `u` takes back: the selected one, else the failed one, else the last that passed.
pub(crate) fn undo_target(model: &Model) -> Option<usize> {
    let run = model.run.as_ref()?;
    let failed = || run.current().filter(|index| run.steps[*index].status == StepStatus::Failed);
    let passed = || run.steps.iter().rposition(|state| state.status == StepStatus::Passed);
    model.cursor.step.or_else(failed).or_else(passed)
}

fn undo(model: &mut Model) {
    let step = undo_target(model).and_then(|index| model.run.as_ref()?.runbook.steps.get(index).cloned());
    let Some(step) = step else {
        return model.say("no step has done anything yet");
    };
    if step.undo.is_empty() {
        let why = step.no_undo.clone().unwrap_or_else(|| "the runbook gives none".to_owned());
        return model.say(format!("{} has no undo: {why}", step.title));
    }
    if let Some(why) = model.run.as_ref().and_then(|run| run.undo_lacks(&step)) {
        return model.say(why);
    }
    let word = model.run.as_ref().and_then(|run| run.undo_word(&step));
    let typed = word.is_some();
    let purpose = Purpose::Undo { step: step.id.clone(), word };
    form::open(model, if typed { Form::typing(purpose, "") } else { Form::choosing(purpose, 1) });
}

fn resolve(model: &mut Model) {
    match model.prompt() {
        Some(Prompt::Unknown { at }) if model.run.as_ref().is_some_and(|run| run.is_looked_at(&at)) => {
            model.say("the cluster is being looked at; wait for what is found");
        }
        Some(Prompt::Unknown { at }) => form::open(model, Form::choosing(Purpose::Resolve { at }, 0)),
        _ => model.say("no action's result is unknown"),
    }
}

/// `x`: stop what would happen by itself, or give up what has stopped.
fn cancel(model: &mut Model) {
    match model.prompt() {
        Some(Prompt::Countdown { trigger, .. } | Prompt::Fired { trigger }) => {
            form::open(model, Form::typing(Purpose::CancelCountdown { trigger }, ""));
        }
        _ if model.run.as_ref().is_some_and(Run::may_be_given_up) => {
            form::open(model, Form::typing(Purpose::Abandon, ""));
        }
        _ => model.say("nothing is counting down"),
    }
}

fn copy(model: &mut Model, effects: &mut Vec<Effect>) {
    match subject::commands_shown(model) {
        text if text.is_empty() => model.say("there is no command here to copy"),
        text => effects.push(Effect::Copy { name: "commands", text }),
    }
}

/// The next place in the focused pane that was searched for.
pub(super) fn search(model: &mut Model, forward: bool) {
    let Some(pattern) = model.cursor.search.clone() else { return };
    match model.cursor.focus {
        Pane::Work => {
            let texts = subject::work_texts(model);
            let at = match model.phase() {
                Phase::Checklist => model.cursor.item,
                Phase::Over if has_tasks(model) => model.cursor.task,
                _ => model.step_shown().unwrap_or(0),
            };
            let Some(found) = page::find(&texts, &pattern, at, forward) else {
                return model.say(format!("not found: {pattern}"));
            };
            match model.phase() {
                Phase::Checklist => model.cursor.item = found,
                Phase::Over if has_tasks(model) => model.cursor.task = found,
                _ => model.cursor.step = Some(found),
            }
        }
        Pane::Pods => {
            let texts = subject::pod_texts(model);
            match page::find(&texts, &pattern, model.cursor.pod, forward) {
                Some(found) => model.cursor.pod = found,
                None => model.say(format!("not found: {pattern}")),
            }
        }
        // Long texts have pages of their own, with matches marked.
        Pane::Detail | Pane::Metrics | Pane::Logs => page::open_for_search(model, pattern),
    }
}
