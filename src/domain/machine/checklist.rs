//! Before the deployment: variables, optional parts and the checklist.

use super::Machine;
use crate::domain::{
    actor::Actor,
    effect::Effect,
    event::{Override, RunEvent},
    run::ItemStatus,
    time::Span,
};

/// A failing item is looked at again after this long.
const LOOK_AGAIN: Span = Span::from_secs(30);

impl Machine {
    pub(super) fn set_var(&mut self, name: String, value: String) {
        if self.run.steps_open {
            return self.refuse("variables can't change once the steps are open");
        }
        let asked = self.run.runbook.vars.iter().any(|var| {
            var.name == name && matches!(var.source, crate::domain::runbook::VarSource::Ask { .. })
        });
        if !asked {
            return self.refuse(format!("${name} is not a variable that the operator sets"));
        }
        let secret = self.run.runbook.vars.iter().any(|var| var.name == name && var.secret);
        self.emit(RunEvent::VarSet { name, value: (!secret).then_some(value), source: "asked".to_owned() });
        self.recheck_failing_items();
    }

    pub(super) fn decide_part(&mut self, part: String, applies: bool, by: Actor) {
        if self.run.steps_open {
            return self.refuse("optional parts can't change once the steps are open");
        }
        if !self.run.runbook.parts.iter().any(|declared| declared.name == part) {
            return self.refuse(format!("the runbook has no optional part `{part}`"));
        }
        self.emit(RunEvent::PartDecided { part, applies, by });
    }

    fn is_person_item(&self, group: usize, item: usize) -> Option<bool> {
        self.run.runbook.checklist.get(group)?.items.get(item)?;
        Some(self.run.is_persons_item(group, item))
    }

    fn checklist_open(&mut self) -> bool {
        if self.run.steps_open {
            self.refuse("the checklist is closed: the steps are open");
        }
        !self.run.steps_open
    }

    pub(super) fn tick_item(&mut self, group: usize, item: usize, note: Option<String>, by: Actor) {
        if !self.checklist_open() {
            return;
        }
        match self.is_person_item(group, item) {
            None => self.refuse("no such checklist item"),
            Some(false) => {
                self.refuse("this item is checked automatically; if it is not needed, say why (x)");
            }
            Some(true) if self.run.item_asks(group, item) && blank(note.as_deref()) => {
                self.refuse("this could not be checked from here: write what you looked at (n)");
            }
            Some(true) => {
                let text = self.run.runbook.checklist[group].items[item].text.clone();
                self.emit(RunEvent::ItemTicked { group, item, text, by, note });
            }
        }
    }

    pub(super) fn untick_item(&mut self, group: usize, item: usize, by: Actor) {
        if self.checklist_open() && self.is_person_item(group, item).is_some() {
            self.emit(RunEvent::ItemUnticked { group, item, by, note: None, asks: false });
            self.item_due.remove(&(group, item));
        }
    }

    pub(super) fn waive_item(&mut self, group: usize, item: usize, reason: String, by: Actor) {
        if !self.checklist_open() {
            return;
        }
        if reason.trim().is_empty() {
            return self.refuse("say why this item is not needed");
        }
        if self.is_person_item(group, item).is_some() {
            self.emit(RunEvent::ItemWaived { group, item, reason, by });
        }
    }

    pub(super) fn recheck_item(&mut self, group: usize, item: usize) {
        let looks = self.run.runbook.checklist.get(group).and_then(|group| group.items.get(item));
        let looks = looks.is_some_and(|item| !item.check.kind.is_person());
        if self.checklist_open() && looks {
            self.item_due.insert((group, item), self.now);
        }
    }

    /// A variable that was missing may be why an item failed.
    pub(super) fn recheck_failing_items(&mut self) {
        for (group, items) in self.run.items.iter().enumerate() {
            for (item, state) in items.iter().enumerate() {
                if state.status == ItemStatus::Fails {
                    self.item_due.insert((group, item), self.now);
                }
            }
        }
    }

    /// Starts every look at an item that is due.
    pub(super) fn look_at_items(&mut self) {
        let mut due = Vec::new();
        for (g, group) in self.run.runbook.checklist.iter().enumerate() {
            for (i, item) in group.items.iter().enumerate() {
                let waived = self.run.items[g][i].status == ItemStatus::Waived;
                let key = (g, i);
                let time = self.item_due.get(&key).is_none_or(|at| *at <= self.now);
                let waits = self.run.waits_for_answer(&item.check.kind).is_some();
                let looks = !item.check.kind.is_person() && !waived && !waits;
                if looks && time && !self.item_looking.contains(&key) {
                    due.push(key);
                }
            }
        }
        for (group, item) in due {
            self.item_looking.insert((group, item));
            self.effect(Effect::LookItem { group, item });
        }
    }

    pub(super) fn on_item_seen(
        &mut self,
        (group, item): (usize, usize),
        holds: bool,
        asks: bool,
        evidence: String,
    ) {
        self.item_looking.remove(&(group, item));
        let Some(declared) = self.run.runbook.checklist.get(group).and_then(|found| found.items.get(item))
        else {
            return;
        };
        let (text, valid_for) = (declared.text.clone(), declared.valid_for);
        // Looked at again a little before it goes stale, so that a long checklist does not blink.
        let again = if holds { Span::from_millis(valid_for.as_millis() / 10 * 9) } else { LOOK_AGAIN };
        self.item_due.insert((group, item), self.now + again);
        let state = &self.run.items[group][item];
        if self.run.steps_open || self.run.finished.is_some() || state.status == ItemStatus::Waived {
            return;
        }
        let by = Actor::Auto;
        if asks {
            // What a person has said meanwhile counts until a look finds it out.
            let told =
                state.asks && (state.status == ItemStatus::Holds || state.note.as_deref() == Some(&evidence));
            if !told {
                self.emit(RunEvent::ItemUnticked { group, item, by, note: Some(evidence), asks });
            }
        } else if holds {
            self.emit(RunEvent::ItemTicked { group, item, text, by, note: Some(evidence) });
        } else if state.status != ItemStatus::Fails || state.note.as_deref() != Some(evidence.as_str()) {
            self.emit(RunEvent::ItemUnticked { group, item, by, note: Some(evidence), asks });
        }
    }

    pub(super) fn open_steps(&mut self, override_reason: Option<String>, by: Actor) {
        if !self.checklist_open() || self.refuse_while_held() {
            return;
        }
        let unasked = self.run.unasked().next().map(|var| var.name.clone());
        if let Some(name) = unasked {
            return self.refuse(format!("${name} has no value yet"));
        }
        let undecided = self.run.undecided().next().map(|part| part.question.clone());
        if let Some(question) = undecided {
            return self.refuse(format!("not answered yet: {question}"));
        }
        let open = self.run.open_items(self.now);
        if !open.is_empty() {
            let Some(reason) = override_reason.filter(|reason| !reason.trim().is_empty()) else {
                return self.refuse(format!(
                    "{} checklist items are open; starting without them needs a reason",
                    open.len()
                ));
            };
            let texts: Vec<_> =
                open.iter().map(|(g, i)| self.run.runbook.checklist[*g].items[*i].text.clone()).collect();
            let what = format!("open checklist items: {}", texts.join("; "));
            self.emit(RunEvent::OverrideGiven(Override { what, reason, by: by.to_string() }));
        }
        self.emit(RunEvent::ChecklistPassed { by });
    }
}

fn blank(note: Option<&str>) -> bool {
    note.is_none_or(|note| note.trim().is_empty())
}
