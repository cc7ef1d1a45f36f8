//! Every action and check of a runbook, those of its rollbacks too, with the place it stands in.

use crate::domain::{
    action::{Action, ActionKind, SlotRef},
    check::Check,
    id::SlotName,
    runbook::{Runbook, Target},
};

/// Something of the runbook and where it stands: `step switch`, `rollback quick`.
#[derive(Debug, Clone)]
pub struct Placed<'a, T> {
    /// Where.
    pub place: String,
    /// What.
    pub it: &'a T,
}

fn placed<'a, T>(place: &str, of: &'a [T]) -> Vec<Placed<'a, T>> {
    of.iter().map(|it| Placed { place: place.to_owned(), it }).collect()
}

/// All actions, in order: steps with their undo, completion, rollbacks.
pub fn actions(runbook: &Runbook) -> Vec<Placed<'_, Action>> {
    let mut all = Vec::new();
    for step in &runbook.steps {
        all.extend(placed(&format!("step {}", step.id), &step.run));
        all.extend(placed(&format!("undo of {}", step.id), &step.undo));
    }
    all.extend(placed("completion", &runbook.completion.run));
    for procedure in &runbook.rollbacks {
        all.extend(placed(&format!("rollback {}", procedure.id), &procedure.run));
    }
    all
}

/// All checks: checklist, steps, completion, rollbacks and the proofs that these would work.
pub fn checks(runbook: &Runbook) -> Vec<Placed<'_, Check>> {
    let mut all = Vec::new();
    for group in &runbook.checklist {
        let place = format!("checklist {}", group.title);
        all.extend(group.items.iter().map(|item| Placed { place: place.clone(), it: &item.check }));
    }
    for step in &runbook.steps {
        all.extend(placed(&format!("step {}", step.id), &step.check));
    }
    all.extend(placed("completion", &runbook.completion.check));
    for procedure in &runbook.rollbacks {
        let place = format!("rollback {}", procedure.id);
        all.extend(placed(&place, &procedure.check));
        all.extend(placed(&place, &procedure.ready));
    }
    all
}

/// The slots that a reference means, given who is live: both where that is not known.
pub fn slots<'a>(target: &'a Target, live: Option<&SlotName>, slot: &SlotRef) -> Vec<&'a SlotName> {
    let names = target.slots.keys();
    match (slot, live) {
        (SlotRef::Named(name), _) => names.filter(|other| *other == name).collect(),
        (SlotRef::New, Some(live)) => names.filter(|other| *other != live).collect(),
        (SlotRef::Previous, Some(live)) => names.filter(|other| *other == live).collect(),
        (SlotRef::New | SlotRef::Previous, None) => names.collect(),
    }
}

/// The slot that an action changes, where it changes one's Deployment.
pub fn changes(action: &Action) -> Option<&SlotRef> {
    match &action.kind {
        ActionKind::SetImage { slot, .. }
        | ActionKind::Revert { slot }
        | ActionKind::Pause { slot }
        | ActionKind::Resume { slot }
        | ActionKind::Scale { slot, .. }
        | ActionKind::Restart { slot } => Some(slot),
        ActionKind::Sh { .. }
        | ActionKind::Argv { .. }
        | ActionKind::Rollout { .. }
        | ActionKind::SwitchTraffic { .. }
        | ActionKind::ShiftTraffic { .. }
        | ActionKind::Patch(_)
        | ActionKind::Http(_)
        | ActionKind::Notify { .. } => None,
    }
}
