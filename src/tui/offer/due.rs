//! What waits for a person, and what `u` would take back.

use crate::{
    domain::{
        check::Check,
        event::Place,
        prompt::Prompt,
        run::{CheckStatus, Run, StepStatus},
    },
    tui::model::Model,
};

/// The checks of the place under way that a person decides, while that place waits for checks: a person's own, and those
/// that have caught something.
pub fn checks_of_person(model: &Model) -> Option<Vec<usize>> {
    let run = model.run.as_ref()?;
    let place = checking_place(model)?;
    let checks = run.checks(&place).iter().enumerate();
    let decides = |(index, check): &(usize, &Check)| check.kind.is_person() || run.has_caught(&place, *index);
    Some(checks.filter(decides).map(|(index, _)| index).collect())
}

/// Whether checks of a place can be answered: its actions are done, and it has not ended.
fn is_open(run: &Run, place: &Place) -> bool {
    match place {
        Place::Step { step } => run.step(step.as_str()).is_some_and(|it| it.status == StepStatus::Checking),
        Place::Completion => {
            run.completion.as_ref().is_some_and(|work| work.acted() && work.finished_at.is_none())
        }
        // A reminder: it holds nothing up.
        Place::Rollback { .. } | Place::Undo { .. } => true,
    }
}

fn checking_place(model: &Model) -> Option<Place> {
    let run = model.run.as_ref()?;
    let place = match model.prompt()? {
        Prompt::Checking { place, .. } => Some(place),
        // What the end of a rollback asks people for can still be said.
        Prompt::Finished { .. } => {
            let last = run.rollbacks.last()?;
            Some(Place::Rollback { procedure: last.procedure.clone() })
        }
        // A trigger that asks, a hold or a countdown does not keep anybody from looking.
        Prompt::Countdown { .. } | Prompt::Fired { .. } | Prompt::Held { .. } | Prompt::RollingBack => {
            model.place()
        }
        _ => None,
    };
    place.filter(|place| is_open(run, place))
}

/// The check that space is for: the selected one, else the first that is open.
pub fn check_due(model: &Model) -> Option<(Place, u32, usize)> {
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

/// The step that `u` takes back: the selected one, else the failed one, else the last that passed.
pub fn undo_target(model: &Model) -> Option<usize> {
    let run = model.run.as_ref()?;
    let failed = || run.current().filter(|index| run.steps[*index].status == StepStatus::Failed);
    let passed = || run.steps.iter().rposition(|state| state.status == StepStatus::Passed && !state.undone);
    model.cursor.step.or_else(failed).or_else(passed)
}
