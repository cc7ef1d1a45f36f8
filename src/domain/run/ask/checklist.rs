//! What people still have to look at, and to type.

use crate::domain::{
    action::ActionKind,
    event::Place,
    id::{QUICK, UNDO},
    run::{CheckStatus, ItemStatus, Run},
    runbook::{Part, Step},
    time::Timestamp,
};

impl Run {
    /// Items that hold or are waived, of all that are not optional; then of the optional ones.
    pub fn checklist_progress(&self) -> (usize, usize) {
        let mut done = 0;
        let mut all = 0;
        for (group, states) in self.runbook.checklist.iter().zip(&self.items) {
            for state in states.iter().take(group.items.len()) {
                all += 1;
                done += usize::from(matches!(state.status, ItemStatus::Holds | ItemStatus::Waived));
            }
        }
        (done, all)
    }

    /// Whether a person ticks an item: by the runbook, or because its check could not find it out.
    pub fn is_persons_item(&self, group: usize, item: usize) -> bool {
        let declared = self.runbook.checklist.get(group).and_then(|group| group.items.get(item));
        let asks = self.items.get(group).and_then(|items| items.get(item)).is_some_and(|state| state.asks);
        asks || declared.is_some_and(|item| item.check.kind.is_person())
    }

    /// Whether an item waits for a person only because its check could not find it out: what they say needs a note.
    pub fn item_asks(&self, group: usize, item: usize) -> bool {
        self.items.get(group).and_then(|items| items.get(item)).is_some_and(|state| state.asks)
    }

    /// Items that are not optional and were neither ticked nor waived: what an override of the checklist has left open.
    pub fn left_open(&self) -> usize {
        let items = self
            .runbook
            .checklist
            .iter()
            .zip(&self.items)
            .flat_map(|(group, states)| group.items.iter().zip(states));
        items
            .filter(|(item, state)| {
                !item.optional && matches!(state.status, ItemStatus::Open | ItemStatus::Fails)
            })
            .count()
    }

    /// Checks of the last rollback that have not passed, reminders to people among them.
    pub fn open_rollback_checks(&self) -> usize {
        let Some(rollback) = self.rollbacks.last() else { return 0 };
        let place = Place::Rollback { procedure: rollback.procedure.clone() };
        let Some(work) = self.work(&place) else { return 0 };
        let checks = self.checks(&place).iter().zip(&work.checks);
        checks.filter(|(_, state)| state.status != CheckStatus::Holds).count()
    }

    /// Items that keep the steps closed at this time: not optional, and open, failing or stale.
    pub fn open_items(&self, now: Timestamp) -> Vec<(usize, usize)> {
        let mut open = Vec::new();
        for (g, (group, states)) in self.runbook.checklist.iter().zip(&self.items).enumerate() {
            for (i, (item, state)) in group.items.iter().zip(states).enumerate() {
                let fresh = self.is_persons_item(g, i) || now.since(state.at) <= item.valid_for;
                let holds = match state.status {
                    ItemStatus::Holds => fresh,
                    ItemStatus::Waived => true,
                    ItemStatus::Open | ItemStatus::Fails => false,
                };
                if !holds && !item.optional {
                    open.push((g, i));
                }
            }
        }
        open
    }

    /// Optional parts that nobody has decided.
    pub fn undecided(&self) -> impl Iterator<Item = &Part> {
        self.runbook.parts.iter().filter(|part| !self.parts.contains_key(&part.name))
    }

    /// Whether a step's part applies. A part that the runbook does not declare can't come out of a file; were there one, no
    /// question would stand for it, and its step does not run.
    pub fn applies(&self, step: &Step) -> bool {
        step.when.as_ref().is_none_or(|part| {
            self.parts.get(part).copied().unwrap_or_else(|| {
                self.runbook
                    .parts
                    .iter()
                    .find(|declared| declared.name == *part)
                    .is_some_and(|part| part.default)
            })
        })
    }

    /// What a person types to confirm a step: the colour that gets traffic, else the step's id.
    pub fn word_for(&self, step: &Step) -> String {
        let switches = step.run.iter().find_map(|action| match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => self.slot(to),
            _ => None,
        });
        switches.map_or_else(|| step.id.0.clone(), |slot| slot.0)
    }

    /// What a person types to start a procedure of its own: the backup's id where one was taken, else the procedure's name.
    pub fn rollback_word(&self, procedure: &str) -> String {
        let wants_backup = procedure != QUICK && procedure != UNDO;
        self.value("BACKUP_ID").filter(|_| wants_backup).unwrap_or_else(|| procedure.to_owned())
    }
}
