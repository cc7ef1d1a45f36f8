//! Before the steps: variables, optional parts, overridden refusals and the checklist.

use crate::domain::{
    actor::Actor,
    event::RunEvent,
    run::{ItemState, ItemStatus, Run},
    time::Timestamp,
};

impl Run {
    /// Takes in an event of the preparation.
    pub(super) fn apply_preparing(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::VarSet { name, value, .. } => {
                self.vars.insert(name.clone(), value.clone());
            }
            RunEvent::PartDecided { part, applies, .. } => {
                self.parts.insert(part.clone(), *applies);
            }
            RunEvent::OverrideGiven(given) => self.overrides.push(given.clone()),
            RunEvent::ItemTicked { group, item, by, note, .. } => {
                self.set_item(*group, *item, ItemStatus::Holds, by, note.as_deref(), at);
            }
            RunEvent::ItemUnticked { group, item, by, note, asks } => {
                // A check says that it fails; a person who takes a tick back, or who must look, leaves it open.
                let open = by.is_person() || *asks;
                let status = if open { ItemStatus::Open } else { ItemStatus::Fails };
                self.set_item(*group, *item, status, by, note.as_deref(), at);
                if let Some(state) = self.items.get_mut(*group).and_then(|items| items.get_mut(*item)) {
                    state.asks |= *asks;
                }
            }
            RunEvent::ItemWaived { group, item, reason, by } => {
                self.set_item(*group, *item, ItemStatus::Waived, by, Some(reason), at);
            }
            RunEvent::ChecklistPassed { .. } => self.steps_open = true,
            _ => {}
        }
    }

    fn set_item(
        &mut self,
        group: usize,
        item: usize,
        status: ItemStatus,
        by: &Actor,
        note: Option<&str>,
        at: Timestamp,
    ) {
        if let Some(state) = self.items.get_mut(group).and_then(|items| items.get_mut(item)) {
            // What a person says in a check's place stays theirs; the next look that finds it out ends that.
            let asks = state.asks && by.is_person();
            *state = ItemState { status, by: Some(by.clone()), note: note.map(str::to_owned), asks, at };
        }
    }
}
