//! What can be done while the panes have the keys.

use unicode_width::UnicodeWidthStr as _;

use super::{
    Does, Offer,
    due::{check_due, undo_target},
    enter::enter,
    layer::freeze,
};
use crate::{
    config::keymap::KeyAction,
    domain::{
        cause::HoldCause,
        crew::{Person, Role},
        event::Place,
        id::{ProcedureId, QUICK, StepId, UNDO},
        message::{Command, JournalState, WITHOUT_A_JOURNAL},
        prompt::Prompt,
        run::{CheckStatus, ItemStatus, Run, StepStatus},
    },
    tui::{
        model::{Layer, Model, Phase, form::Purpose},
        story, subject,
    },
};

/// The key to write where it is offered on the panes now.
pub fn label(model: &Model, action: KeyAction) -> Option<String> {
    let offered = offers(model).iter().any(|offer| offer.is(action) && offer.does != Does::Wait);
    model.bound_key(model.pane_context(), action).filter(|_| offered)
}

/// The keys that lead to what is offered on the panes, from where the operator is now: a dialog is left first. None in the
/// rollback's own dialog, which says which keys decide.
pub fn way(model: &Model, action: KeyAction) -> Option<String> {
    let key = label(model, action).filter(|_| !matches!(model.layers.last(), Some(Layer::Rollback(_))))?;
    Some(if model.live_key(action).is_some() { key } else { format!("ESC then {key}") })
}

/// The key that starts the procedure for what `R` leaves undone, and its name: only where it is offered.
pub fn database_key(model: &Model) -> Option<(String, String)> {
    let run = model.run.as_ref()?;
    let title = run.runbook.procedure(database(run)?.as_str())?.title.clone();
    Some((label(model, KeyAction::DatabaseRollback)?, title))
}

/// Everything that is offered on the panes, ENTER first.
pub(super) fn offers(model: &Model) -> Vec<Offer> {
    let Some(run) = &model.run else {
        let mut offers = vec![Offer::wait("starts nothing: waiting for the engine")];
        offers.extend([KeyAction::Help, KeyAction::Quit].map(|action| Offer::key(action, Does::Look)));
        return offers;
    };
    let mut offers = if let Some(replay) = &model.replay {
        super::replay::offers(replay)
    } else if model.looks_only() {
        watching(model, run)
    } else {
        driving(model, run)
    };
    offers.extend(looking(model, run));
    offers
}

// --- for whoever only watches -----------------------------------------------------------------------------------------------

fn watching(model: &Model, run: &Run) -> Vec<Offer> {
    let own = model.you.and_then(|you| model.members.iter().find(|member| member.id == you));
    let may_ask = own.is_some_and(|own| own.role == Role::Observer);
    let same = |person: &Person| own.is_some_and(|own| own.person.login == person.login);
    let asked = own.is_some_and(|own| run.control_asked.as_ref() == Some(&own.person));
    if run.finished.is_some() {
        return vec![Offer::wait("starts nothing: this run has ended")];
    }
    match (model.pilot(), may_ask) {
        (Some(pilot), true) if same(pilot) => vec![
            Offer::wait("starts nothing: you have control on another screen")
                .says("starts nothing: you have control elsewhere"),
            Offer::command("take", "bring it to this one"),
        ],
        (Some(pilot), true) if asked => {
            vec![Offer::wait(format!("starts nothing: you asked {pilot} for control"))]
        }
        (Some(pilot), true) => vec![
            Offer::wait(format!("starts nothing: you watch, {pilot} has control"))
                .says(format!("starts nothing: {pilot} has control")),
            Offer::command("ask", "ask for control"),
        ],
        (Some(pilot), false) => {
            vec![Offer::wait(format!(
                "starts nothing: you watch, {pilot} has control; no key changes the run"
            ))]
        }
        (None, true) => vec![
            Offer::key(KeyAction::Confirm, Does::Type("take ")).says("take control: nobody has it, say why"),
        ],
        (None, false) => {
            vec![Offer::wait("starts nothing: you watch, NOBODY has control; no key changes the run")]
        }
    }
}

// --- for the pilot ----------------------------------------------------------------------------------------------------------

fn driving(model: &Model, run: &Run) -> Vec<Offer> {
    if matches!(model.journal, JournalState::Lost { .. }) {
        return vec![
            Offer::wait("starts nothing: the journal is lost").says("starts nothing"),
            Offer::command(format!("unrecorded {WITHOUT_A_JOURNAL}"), "roll back anyway"),
        ];
    }
    let prompt = run.prompt(model.now);
    let mut offers = Vec::new();
    if subject::enter_returns(model) {
        let due = run
            .current()
            .map_or_else(String::new, |index| format!(": {} {}", index + 1, run.runbook.steps[index].title));
        offers.push(
            Offer::key(KeyAction::Confirm, Does::Return)
                .says(format!("back to the step that is due{due}"))
                .says("back to the step that is due"),
        );
    }
    offers.push(enter(model, run, &prompt));
    offers.extend(by_prompt(model, run, &prompt));
    offers.extend(on_items(model, run));
    offers.extend(on_checks(model, run));
    offers.extend(on_tasks(model, run));
    offers.extend(skip(run).map(|does| Offer::key(KeyAction::Skip, does)));
    offers.extend(undo(model, run).map(|does| Offer::key(KeyAction::Undo, does)));
    if run.can_roll_back() {
        offers.push(Offer::key(KeyAction::Rollback, Does::Rollback));
    }
    offers.extend(database(run).map(|id| Offer::key(KeyAction::DatabaseRollback, Does::Procedure(id))));
    offers.extend(hold(run));
    let note = match (model.phase(), model.item_shown()) {
        (Phase::Checklist, Some((group, item))) if run.is_persons_item(group, item) => {
            Purpose::TickItem { group, item }
        }
        _ => Purpose::Note,
    };
    offers.push(Offer::key(KeyAction::Note, Does::Write(note)));
    offers
}

/// What else the moment asks for.
fn by_prompt(model: &Model, run: &Run, prompt: &Prompt) -> Vec<Offer> {
    let roll_back = |offer: Offer| run.can_roll_back().then_some(offer);
    let now = || Offer::key(KeyAction::Rollback, Does::Rollback);
    let mut offers = Vec::new();
    match prompt {
        Prompt::Checking { .. } if model.phase() == Phase::Window => {
            // In a breach the way back comes before everything else.
            let breach = run.triggers.iter().any(|state| state.breaching.is_some());
            let words = if breach { back_words(model, run) } else { vec!["roll back".to_owned()] };
            offers.extend(roll_back(words.into_iter().fold(now(), Offer::says)));
        }
        Prompt::Failed { step } => {
            let attempt = match step {
                Some(step) => run.step(step.as_str()).map_or(0, |state| state.work.attempt),
                None => run.completion.as_ref().map_or(0, |work| work.attempt),
            };
            // Asks first: whoever meant `R` and missed its shift must not run a failed step again.
            let again = Does::Choose(Purpose::Retry { step: step.clone(), attempt }, 0);
            offers.push(Offer::key(KeyAction::Retry, again).says("try again"));
            offers.extend(undo(model, run).map(|does| Offer::key(KeyAction::Undo, does).says("undo it")));
            offers.extend(
                skip(run)
                    .map(|does| Offer::key(KeyAction::Skip, does).says("skip, with a reason").says("skip")),
            );
            offers.extend(roll_back(now().says("roll back")));
        }
        Prompt::Unknown { at } if !run.is_looked_at(at) && run.outlives(at).is_some() => {
            offers.push(Offer::command("kill", "end its process"));
        }
        Prompt::Unknown { at } if !run.is_looked_at(at) => {
            let resolve = Does::Choose(Purpose::Resolve { at: at.clone() }, 0);
            offers.push(Offer::key(KeyAction::Resolve, resolve));
        }
        Prompt::Countdown { trigger, .. } => {
            offers.extend(roll_back(now().says("roll back now")));
            offers.push(cancel(*trigger).says("cancel the rollback, with a reason").says("cancel it"));
        }
        Prompt::Fired { trigger } => {
            offers.extend(roll_back(now().says("roll back")));
            offers.push(cancel(*trigger).says("continue, with a reason").says("continue").called("continue"));
        }
        Prompt::Held { cause: HoldCause::Foreign, .. } => {
            offers.push(Offer::command("putback", "put it back"));
            offers.push(Offer::command("accept", "accept it"));
        }
        Prompt::RollbackStopped { .. } => {
            offers.push(
                Offer::key(KeyAction::Retry, Does::Send(Command::RetryRollback))
                    .says("try the failed action again")
                    .says("try again"),
            );
        }
        _ => {}
    }
    if run.may_be_given_up() {
        offers.push(
            Offer::key(KeyAction::CancelCountdown, Does::Write(Purpose::Abandon))
                .says("abandon the rollback, with a reason")
                .says("abandon it")
                .called("abandon"),
        );
    }
    offers
}

fn cancel(trigger: usize) -> Offer {
    Offer::key(KeyAction::CancelCountdown, Does::Write(Purpose::CancelCountdown { trigger }))
}

/// What a rollback would do, longest form first.
fn back_words(model: &Model, run: &Run) -> Vec<String> {
    let plan = run.rollback_plan(model.telemetry.workload.as_ref(), model.now);
    let items: Vec<&str> = plan.items.iter().map(|item| item.text.as_str()).collect();
    let mut words: Vec<String> =
        in_short(&items).into_iter().map(|items| format!("roll back now: {items}")).collect();
    words.push("roll back now".to_owned());
    words
}

/// What is done: with details, without, and at last only the first parts and how many follow.
fn in_short(items: &[&str]) -> Vec<String> {
    let bare: Vec<&str> =
        items.iter().map(|item| item.split_once(": ").map_or(*item, |(what, _)| what)).collect();
    let first = |count: usize| match bare.len() - count {
        0 => bare.join(", "),
        more => format!("{}, and {more} more", bare[..count].join(", ")),
    };
    let mut forms = vec![items.join(", ")];
    forms.extend((1..=bare.len()).rev().map(first));
    forms.sort_by_key(|form| std::cmp::Reverse(form.width()));
    forms.dedup();
    forms.retain(|form| !form.is_empty());
    forms
}

/// What can be done with the selected checklist item.
fn on_items(model: &Model, run: &Run) -> Vec<Offer> {
    let Some((group, item)) = model.item_shown().filter(|_| model.phase() == Phase::Checklist) else {
        return Vec::new();
    };
    if matches!(run.prompt(model.now), Prompt::Ask { .. } | Prompt::Decide { .. }) {
        return Vec::new();
    }
    let (person, asks) = (run.is_persons_item(group, item), run.item_asks(group, item));
    let (status, too_old) = model.item_status(group, item);
    let tick = |does| Offer::key(KeyAction::Tick, does);
    let mut offers = Vec::new();
    match status {
        ItemStatus::Waived => offers.push(
            tick(Does::Send(Command::UntickItem { group, item })).says("needed after all").called("untick"),
        ),
        ItemStatus::Holds if person => {
            offers.push(
                tick(Does::Send(Command::UntickItem { group, item })).says("untick it").called("untick"),
            );
        }
        // Whoever says it in a check's place says what they have looked at.
        ItemStatus::Open | ItemStatus::Fails if person && asks => {
            offers.push(
                tick(Does::Write(Purpose::TickItem { group, item })).says("tick it, and say what you saw"),
            );
        }
        ItemStatus::Open | ItemStatus::Fails if person => {
            offers.push(tick(Does::TickItem { group, item }).says("tick it"));
        }
        ItemStatus::Open | ItemStatus::Fails | ItemStatus::Holds => {}
    }
    let checks_itself = run
        .runbook
        .checklist
        .get(group)
        .and_then(|group| group.items.get(item))
        .is_some_and(|item| !item.check.kind.is_person());
    if checks_itself {
        let again = Offer::key(KeyAction::Recheck, Does::Send(Command::RecheckItem { group, item }));
        let wanted = too_old || !matches!(status, ItemStatus::Holds | ItemStatus::Waived);
        offers.push(if wanted && !person { again.says("check it again") } else { again });
    }
    if status != ItemStatus::Waived {
        let waive = Does::Write(Purpose::Waive { group, item });
        offers.push(Offer::key(KeyAction::NotNeeded, waive).called("not needed"));
    }
    offers
}

/// What can be said of the check that waits for a person.
fn on_checks(model: &Model, run: &Run) -> Vec<Offer> {
    let Some((place, attempt, check)) = check_due(model) else { return Vec::new() };
    let text = run.checks(&place).get(check).map_or("", |check| &check.text);
    let status = run.work(&place).and_then(|work| work.checks.get(check)).map(|state| state.status);
    let step = step_of(&place);
    let says = |holds| Purpose::TickCheck { step: step.clone(), attempt, check, holds };
    let fails = Offer::key(KeyAction::Fails, Does::Write(says(false)));
    if run.has_caught(&place, check) {
        return vec![
            Offer::key(KeyAction::Tick, Does::Write(says(true)))
                .says(format!("it is all right, with a reason: {text}"))
                .says("it is all right, with a reason"),
            fails.says("fail the step"),
        ];
    }
    if status == Some(CheckStatus::Holds) {
        return vec![fails.called("check not ok")];
    }
    let ok = Command::TickCheck { step: step.clone(), attempt, check, holds: true, note: None };
    vec![
        Offer::key(KeyAction::Tick, Does::Send(ok))
            .says(format!("ok: {text}"))
            .says("check ok")
            .called("check ok"),
        fails.says("check not ok").says("not ok").called("check not ok"),
    ]
}

fn step_of(place: &Place) -> Option<StepId> {
    match place {
        Place::Step { step } => Some(step.clone()),
        Place::Undo { .. } | Place::Rollback { .. } | Place::Completion => None,
    }
}

fn on_tasks(model: &Model, run: &Run) -> Vec<Offer> {
    let task = model.cursor.task;
    let open = model.phase() == Phase::Over && run.tasks.get(task).is_some_and(|state| state.done.is_none());
    if !open {
        return Vec::new();
    }
    let left = run.tasks.iter().filter(|task| task.done.is_none()).count();
    vec![
        Offer::key(KeyAction::Tick, Does::Send(Command::TaskDone { task }))
            .says(format!("mark the selected task done; {left} left, also in `cutover tasks`"))
            .says(format!("mark the selected task done; {left} left"))
            .says(format!("mark it done; {left} tasks left"))
            .called("done"),
    ]
}

/// Leaving the step that is due out, where that can be.
fn skip(run: &Run) -> Option<Does> {
    let free =
        run.steps_open && run.rolling_back().is_none() && run.finished.is_none() && run.undoing().is_none();
    let index = run.current().filter(|index| {
        free && matches!(run.steps[*index].status, StepStatus::Pending | StepStatus::Failed)
    })?;
    Some(Does::Write(Purpose::Skip { step: run.runbook.steps[index].id.clone() }))
}

fn undo(model: &Model, run: &Run) -> Option<Does> {
    if run.rolling_back().is_some() || run.finished.is_some() || run.held.is_some() {
        return None;
    }
    let busy = run.undoing().is_some() || run.steps.iter().any(|state| state.status.is_active());
    let index = undo_target(model).filter(|_| !busy)?;
    let (step, state) = (run.runbook.steps.get(index)?, run.steps.get(index)?);
    let done = matches!(state.status, StepStatus::Failed | StepStatus::Passed);
    let later = run.steps.iter().skip(index + 1);
    let stands_on_it = later
        .into_iter()
        .any(|state| matches!(state.status, StepStatus::Passed | StepStatus::Failed) && !state.undone);
    if step.undo.is_empty() || !done || stands_on_it || run.undo_lacks(step).is_some() {
        return None;
    }
    let word = run.undo_word(step);
    let typed = word.is_some();
    let purpose = Purpose::Undo { step: step.id.clone(), word };
    Some(if typed { Does::Write(purpose) } else { Does::Choose(purpose, 1) })
}

/// What `D` shows: the procedure named for it, else the only one of its own. Before the switch a step's own undo does it;
/// after a quick rollback it is there for what that has left as it is.
fn database(run: &Run) -> Option<ProcedureId> {
    let moved = run.switch_begun() || !run.left_by_rollback().is_empty();
    if run.rolling_back().is_some() || run.started_at.is_none() || !moved {
        return None;
    }
    let own = || run.runbook.rollbacks.iter().filter(|it| it.id.as_str() != QUICK && it.id.as_str() != UNDO);
    let named = own().find(|procedure| procedure.id.as_str() == "database");
    let only = || own().next().filter(|_| own().count() == 1);
    let found = named.or_else(only)?;
    run.procedure_lacks(found).is_none().then(|| found.id.clone())
}

/// Starting nothing new, or going on.
fn hold(run: &Run) -> Option<Offer> {
    let key = |does| Offer::key(KeyAction::Hold, does);
    if run.finished.is_some() {
        return None;
    }
    if run.is_undoing_steps() {
        return Some(
            key(Does::Write(Purpose::Hold))
                .says("stop after the action that runs")
                .says("stop")
                .called("stop"),
        );
    }
    if run.rolling_back().is_some() {
        return None;
    }
    Some(if run.held.is_some() {
        key(Does::Choose(Purpose::Continue, 0)).called("resume")
    } else {
        key(Does::Write(Purpose::Hold))
    })
}

// --- for everybody: what changes the screen only ----------------------------------------------------------------------------

fn looking(model: &Model, run: &Run) -> Vec<Offer> {
    use KeyAction as K;
    let look = |action| Offer::key(action, Does::Look);
    let mut offers = Vec::new();
    let over = run.finished.is_some() && run.tasks.iter().all(|task| task.done.is_some());
    if over {
        offers.push(look(K::Quit).says(format!("leave: the run has {}", end_words(run))));
    }
    let book = &run.runbook;
    if model.still.is_some() {
        offers.push(freeze(model));
    }
    let there = [
        (K::Logs, subject::watched_slot(model).is_some() && !model.replays()),
        (K::Incident, book.incident.is_some()),
        (K::Contacts, !book.contacts.is_empty()),
        (K::Links, !book.links.is_empty() || !book.document.related.is_empty()),
        (K::Metrics, !book.metrics.is_empty()),
        (K::NextPane, true),
        (K::Tasks, !book.tasks.is_empty()),
        (K::Inbox, run.opened.rehearsal.is_some() || !run.notices.is_empty()),
        (K::Zoom, true),
        (K::Search, true),
        (K::NextMatch, model.cursor.search.is_some()),
        (K::Command, true),
        (K::Copy, !subject::commands_shown(model).is_empty()),
        (K::Save, true),
        (K::Help, true),
        (K::Quit, true),
    ];
    offers.extend(there.into_iter().filter(|(_, there)| *there).map(|(action, _)| look(action)));
    // A replay is paused instead.
    if !model.looks_back() && !model.replays() {
        offers.push(freeze(model));
    }
    let quiet = [
        K::PreviousPane,
        K::PreviousMatch,
        K::Back,
        K::Up,
        K::Down,
        K::Left,
        K::Right,
        K::Top,
        K::Bottom,
        K::PageUp,
        K::PageDown,
        K::Redraw,
    ];
    offers.extend(quiet.map(|action| look(action).quiet()));
    offers.extend((1..=9).map(|pane| look(K::Pane(pane)).quiet()));
    offers
}

fn end_words(run: &Run) -> String {
    run.finished
        .as_ref()
        .map_or_else(String::new, |(outcome, ..)| story::outcome_words(*outcome).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::in_short;

    #[test]
    fn what_a_rollback_does_is_shortened_by_parts() {
        let items = ["point web at BLUE", "tell #ops: ROLLBACK: back on v1", "scale GREEN to 0"];
        assert_eq!(
            in_short(&items),
            [
                "point web at BLUE, tell #ops: ROLLBACK: back on v1, scale GREEN to 0",
                "point web at BLUE, tell #ops, scale GREEN to 0",
                "point web at BLUE, tell #ops, and 1 more",
                "point web at BLUE, and 2 more",
            ]
        );
        assert_eq!(in_short(&items[..1]), ["point web at BLUE"]);
        assert_eq!(in_short(&[]), Vec::<String>::new());
    }
}
