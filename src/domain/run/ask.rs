//! Queries on a run. Nothing here changes it.
//!
//! Longer than 500 lines because it is one list of questions, most of a few lines, that everybody asks who folds a run: engine,
//! screens and reports must get one answer.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ActionState, ActionStatus, CheckStatus, ItemStatus, RollbackState, Run, StepState, StepStatus, Work,
};
use crate::domain::{
    action::{Action, ActionKind, Replicas, SlotRef},
    check::Check,
    crew::Person,
    director::{Share, Shares, in_words, share_of},
    event::{ActionRef, CheckRef, ChildProcess, Outcome, Place},
    id::{MetricId, QUICK, SlotName, StepId, UNDO},
    patched::Patched,
    runbook::{Part, Step, Strategy, Target, Var, VarSource},
    template::Template,
    time::{Span, Timestamp},
};

impl StepState {
    /// Whether the step has begun to change things.
    pub fn touched(&self) -> bool {
        if self.work.actions.iter().any(|action| action.status != ActionStatus::Pending) {
            return true;
        }
        // Started, and held before its first act began. What an earlier attempt has done is not kept.
        let unbegun = self.work.attempt <= 1 && !self.work.actions.is_empty();
        !unbegun && self.status != StepStatus::Pending && self.status != StepStatus::Skipped
    }
}

impl Run {
    /// Unknown actions whose process may have outlived its engine.
    pub fn orphans(&self) -> Vec<(ActionRef, ChildProcess)> {
        self.unknown_actions().filter_map(|(at, state)| Some((at, state.child.clone()?))).collect()
    }

    /// The process that an action's dead engine has left, where it is known to run still.
    pub fn outlives(&self, at: &ActionRef) -> Option<&ChildProcess> {
        let state = self.work(&at.place)?.actions.get(at.action)?;
        state.child.as_ref().filter(|_| state.status == ActionStatus::Unknown && state.lives == Some(true))
    }

    /// Unknown commands of which nobody wrote down whether a process runs them.
    pub fn unrecorded_commands(&self) -> Vec<ActionRef> {
        let is_command = |at: &ActionRef| {
            let kind = self.action(at).map(|action| &action.kind);
            matches!(kind, Some(ActionKind::Sh { .. } | ActionKind::Argv { .. }))
        };
        self.unknown_actions()
            .filter_map(|(at, state)| state.child.is_none().then_some(at))
            .filter(is_command)
            .collect()
    }

    /// Unknown actions that were to capture a secret.
    pub fn unknown_captures(&self) -> Vec<ActionRef> {
        let captures = |at: &ActionRef| self.action(at).is_some_and(|action| self.captures_secret(action));
        self.unknown_actions().map(|(at, _)| at).filter(captures).collect()
    }

    /// Whether what an action prints has a secret in it that nobody knows before.
    pub fn captures_secret(&self, action: &Action) -> bool {
        let secret = |name: &String| self.runbook.vars.iter().any(|var| var.secret && var.name == *name);
        action.capture.iter().any(|capture| secret(&capture.var))
    }

    fn unknown_actions(&self) -> impl Iterator<Item = (ActionRef, &ActionState)> {
        self.all_actions().filter(|(_, state)| state.status == ActionStatus::Unknown)
    }

    /// Every action of the run, wherever it stands: steps, undos, the completion, the last rollback.
    pub(in crate::domain) fn all_actions(&self) -> impl Iterator<Item = (ActionRef, &ActionState)> {
        let mut places: Vec<Place> =
            self.runbook.steps.iter().map(|step| Place::Step { step: step.id.clone() }).collect();
        places.extend(self.runbook.steps.iter().map(|step| Place::Undo { step: step.id.clone() }));
        places.push(Place::Completion);
        places.extend(
            self.rollbacks.last().map(|rollback| Place::Rollback { procedure: rollback.procedure.clone() }),
        );
        let works = places.into_iter().filter_map(|place| Some((self.work(&place)?, place)));
        works.flat_map(|(work, place)| {
            let all = work.actions.iter().enumerate();
            all.map(move |(action, state)| {
                (ActionRef { place: place.clone(), attempt: work.attempt, action }, state)
            })
        })
    }

    /// The act that is due and does not begin yet: what it waits for, or why it is tried again.
    pub fn waiting_act(&self) -> Option<(ActionRef, &str)> {
        let place = match self.rolling_back() {
            Some(_) if self.undoing().is_some() => self.current_place()?,
            Some(rollback) => Place::Rollback { procedure: rollback.procedure.clone() },
            None => self.current_place()?,
        };
        let work = self.work(&place).filter(|work| work.running().is_none())?;
        let action = work.next()?;
        let state = work.actions.get(action)?;
        let tried = (state.tries > 1).then_some(state.detail.as_str());
        let why = state.waits.as_deref().or(tried)?;
        Some((ActionRef { place, attempt: work.attempt, action }, why))
    }

    /// Why nothing may be written to the target any more, where somebody else has its lock.
    pub fn fenced_off(&self) -> Option<&str> {
        self.lock.as_ref().and_then(|lock| lock.lost.as_deref())
    }

    /// Who has control, while their screen is there.
    pub fn present_pilot(&self) -> Option<&Person> {
        self.pilot.as_ref().filter(|_| self.away_since.is_none())
    }

    /// The people who approved this step, without the person who would start it.
    pub fn approved_by(&self, step: &StepId, attempt: u32) -> Vec<&Person> {
        let pilot = self.pilot.as_ref().map(|pilot| pilot.login.as_str());
        let given = self.approvals.get(&(step.clone(), attempt));
        given.into_iter().flatten().filter(|person| Some(person.login.as_str()) != pilot).collect()
    }

    /// The work at a place, where it has begun or stands in the runbook.
    pub fn work(&self, place: &Place) -> Option<&Work> {
        match place {
            Place::Step { step } => self.step(step.as_str()).map(|state| &state.work),
            Place::Undo { step } => self.step(step.as_str()).and_then(|state| state.undo.as_ref()),
            Place::Rollback { .. } => self.rollbacks.last().map(|state| &state.work),
            Place::Completion => self.completion.as_ref(),
        }
    }

    /// Since when a check looks: since its place began, or since a person took back what it had caught.
    pub fn looks_since(&self, at: &CheckRef) -> Option<Timestamp> {
        let work = self.work(&at.place)?;
        let acknowledged = work.checks.get(at.check).and_then(|check| check.acknowledged);
        acknowledged.max(work.started_at)
    }

    /// Whether a check has caught something that only a person can take back.
    pub fn has_caught(&self, place: &Place, check: usize) -> bool {
        self.work(place).and_then(|work| work.checks.get(check)).is_some_and(|check| check.caught)
    }

    /// The actions declared at a place.
    pub fn actions(&self, place: &Place) -> &[Action] {
        match place {
            Place::Step { step } => self.declared(step.as_str()).map_or(&[], |step| &step.run),
            Place::Undo { step } => self.declared(step.as_str()).map_or(&[], |step| &step.undo),
            Place::Rollback { .. } => self.rollbacks.last().map_or(&[], |state| &state.actions),
            Place::Completion => &self.runbook.completion.run,
        }
    }

    /// The checks declared at a place.
    pub fn checks(&self, place: &Place) -> &[Check] {
        match place {
            Place::Step { step } => self.declared(step.as_str()).map_or(&[], |step| &step.check),
            Place::Undo { .. } => &[],
            Place::Rollback { procedure } => {
                self.runbook.procedure(procedure.as_str()).map_or(&[], |found| &found.check)
            }
            Place::Completion => &self.runbook.completion.check,
        }
    }

    /// The declared action that a reference names.
    pub fn action(&self, at: &ActionRef) -> Option<&Action> {
        self.actions(&at.place).get(at.action)
    }

    /// The slot that an action gives the traffic to, where it does that: a switch, or a patch of the Service or route that points
    /// it at a slot.
    pub fn switches_to(&self, at: &ActionRef) -> Option<SlotName> {
        let action = self.action(at)?;
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => self.slot(to),
            // With pods that serve as they become ready nothing has moved when it is ordered.
            ActionKind::ShiftTraffic { to, share } if !self.shares_follow_pods() => match *share {
                Share::ALL => self.slot(to),
                Share::NONE => self.other_slot(to),
                _ => None,
            },
            ActionKind::Patch(_) if self.patches(action) == Some(Patched::Route) => {
                match self.patched_share(action)? {
                    Share::ALL => self.slot(&SlotRef::New),
                    Share::NONE => self.slot(&SlotRef::Previous),
                    _ => None,
                }
            }
            ActionKind::Patch(_) if self.patches(action) == Some(Patched::Service) => {
                let target = self.runbook.target.as_ref()?;
                let before = &self.pinned.as_ref()?.selector;
                let after = self.selector_after(action, before).ok()?;
                // One that says nothing of the selector gives nobody the traffic.
                target.pointed_at(&after).filter(|_| after != *before || self.says_selector(action))
            }
            _ => None,
        }
    }

    /// The shares that an action gives the slots, where it gives each a part.
    pub fn shifts_to(&self, at: &ActionRef) -> Option<Shares> {
        let action = self.action(at)?;
        let share = match &action.kind {
            ActionKind::ShiftTraffic { to, share } => self.new_share(to, *share),
            ActionKind::Patch(_) if self.patches(action) == Some(Patched::Route) => {
                self.patched_share(action)?
            }
            _ => return None,
        };
        if self.shares_follow_pods() || self.switches_to(at).is_some() {
            return None;
        }
        let (new, previous) = (self.slot(&SlotRef::New)?, self.slot(&SlotRef::Previous)?);
        Some([(new, share), (previous, share.rest())].into())
    }

    /// Of the two slots of this run, the one that is not this one.
    pub fn other_slot(&self, slot: &SlotRef) -> Option<SlotName> {
        let slot = self.slot(slot)?;
        [SlotRef::New, SlotRef::Previous].iter().filter_map(|it| self.slot(it)).find(|it| *it != slot)
    }

    /// The new slot's share after an act that gives a slot a share.
    pub fn new_share(&self, to: &SlotRef, share: Share) -> Share {
        if self.slot(to) == self.opened.new_slot { share } else { share.rest() }
    }

    /// Whether shares follow from which pods are ready.
    pub fn shares_follow_pods(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::shares_follow_pods)
    }

    /// Whether an `HTTPRoute` directs traffic.
    pub fn has_route(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::has_route)
    }

    /// Whether one Deployment runs both versions.
    pub fn is_one_deployment(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::is_one_deployment)
    }

    /// Whether the slot that had the traffic runs the new version by our own doing: a canary was promoted.
    pub fn is_promoted(&self) -> bool {
        let canary = self.runbook.deployment.strategy == Strategy::Canary;
        let Some(target) = self.opened.previous.as_ref().filter(|_| canary) else { return false };
        let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(&target.slot));
        let other = believed.is_some_and(|slot| slot.image.as_ref() != Some(&target.image));
        // Somebody else's image that was accepted is no promotion of ours.
        other
            && (self.lost.iter().any(|(object, _)| *object == Some(target.slot.clone()))
                || self.has_promoted())
    }

    fn has_promoted(&self) -> bool {
        let previous = self.opened.previous.as_ref().map(|target| &target.slot);
        self.all_actions().any(|(at, state)| {
            let begun = !matches!(state.status, ActionStatus::Pending | ActionStatus::PassedOver);
            let step = matches!(at.place, Place::Step { .. });
            let sets = self.action(&at).is_some_and(|action| match &action.kind {
                ActionKind::SetImage { slot, .. } => self.slot(slot).as_ref() == previous,
                ActionKind::Patch(_) => {
                    matches!(self.patches(action), Some(Patched::Slot(slot)) if Some(&slot) == previous)
                }
                _ => false,
            });
            begun && step && sets
        })
    }

    /// The slot whose metrics tell how the new version does: the new one, or the one that a canary was promoted to.
    pub fn judged_slot(&self) -> Option<SlotName> {
        let new = self.opened.new_slot.clone();
        let idle = new.as_ref().is_some_and(|new| share_of(&self.shares, new) == Share::NONE);
        let promoted = idle && self.is_promoted();
        if promoted { self.slot(&SlotRef::Previous) } else { new }
    }

    /// The slot of a metric that is looked at for the judgement of the new version.
    pub fn metric_slot(&self, slot: &SlotRef) -> Option<SlotName> {
        if *slot == SlotRef::New { self.judged_slot() } else { self.slot(slot) }
    }

    /// Whether our own acts have taken the new version back, where pods serve as they become ready: the Deployment has its old image
    /// again, or the canary is to have no pods.
    pub fn is_taken_back(&self) -> bool {
        let believed = |name: &SlotName| self.pinned.as_ref().and_then(|pinned| pinned.slots.get(name));
        let Some((new, target)) = self.opened.new_slot.as_ref().zip(self.opened.previous.as_ref()) else {
            return true;
        };
        believed(new).is_none_or(|slot| {
            if self.is_one_deployment() {
                slot.image.as_ref() == Some(&target.image)
            } else {
                slot.replicas == 0
            }
        })
    }

    /// Whether an act lets users meet the new version: it directs traffic to it, or starts pods of it that the Service selects
    /// already.
    pub fn exposes(&self, at: &ActionRef) -> bool {
        let Some(action) = self.action(at) else { return false };
        let new = |slot: &SlotRef| self.slot(slot).is_some() && self.slot(slot) == self.opened.new_slot;
        let one = self.is_one_deployment();
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => new(to),
            ActionKind::ShiftTraffic { to, share } => self.new_share(to, *share) > Share::NONE,
            ActionKind::SetImage { .. } | ActionKind::Restart { .. } | ActionKind::Resume { .. } => one,
            ActionKind::Scale { slot, replicas } => {
                !one && self.shares_follow_pods() && new(slot) && self.replicas(*replicas) > 0
            }
            ActionKind::Patch(_) if one => matches!(self.patches(action), Some(Patched::Slot(_))),
            ActionKind::Patch(_) => {
                let whole = self.switches_to(at).is_some_and(|to| Some(to) == self.opened.new_slot);
                whole || self.shifts_to(at).is_some()
            }
            ActionKind::Revert { .. }
            | ActionKind::Pause { .. }
            | ActionKind::Rollout { .. }
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => false,
        }
    }

    /// Whether an act brings all traffic back to the slot that had it when the run opened, by itself or as its pods follow.
    pub fn brings_back(&self, at: &ActionRef) -> bool {
        let Some(action) = self.action(at) else { return false };
        let previous = self.opened.previous.as_ref().map(|target| target.slot.clone());
        match &action.kind {
            ActionKind::Revert { slot } => self.is_one_deployment() && self.slot(slot) == previous,
            ActionKind::ShiftTraffic { to, share } => self.new_share(to, *share) == Share::NONE,
            _ => previous.is_some() && self.switches_to(at) == previous,
        }
    }

    /// A step's state.
    pub fn step(&self, id: &str) -> Option<&StepState> {
        self.runbook.step_index(id).and_then(|index| self.steps.get(index))
    }

    /// A step as declared.
    pub fn declared(&self, id: &str) -> Option<&Step> {
        self.runbook.step_index(id).and_then(|index| self.runbook.steps.get(index))
    }

    /// The index of the step that is due: the first that is neither passed nor skipped.
    pub fn current(&self) -> Option<usize> {
        self.steps.iter().position(|state| !state.status.is_over())
    }

    /// A slot's colour.
    pub fn slot(&self, slot: &SlotRef) -> Option<SlotName> {
        match slot {
            SlotRef::New => self.opened.new_slot.clone(),
            SlotRef::Previous => self.opened.previous.as_ref().map(|target| target.slot.clone()),
            SlotRef::Named(name) => Some(name.clone()),
        }
    }

    /// A number of replicas.
    pub fn replicas(&self, replicas: Replicas) -> u32 {
        match replicas {
            Replicas::Count(count) => count,
            Replicas::Before => self.opened.previous.as_ref().map_or(1, |target| target.replicas),
        }
    }

    /// A variable's value, where it has one that may be shown. Fixed values may use variables written before them.
    pub fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.vars.get(name) {
            return value.clone();
        }
        let vars = &self.runbook.vars;
        let upto = &vars[..=vars.iter().position(|var| var.name == name)?];
        let mut needed = BTreeSet::from([name]);
        for var in upto.iter().rev().filter(|var| !self.vars.contains_key(&var.name)) {
            if let VarSource::Fixed { value } = &var.source
                && needed.contains(var.name.as_str())
            {
                needed.extend(value.names());
            }
        }
        self.values_of(upto.iter().filter(|var| needed.contains(var.name.as_str()))).remove(name)
    }

    /// Every variable's value that may be shown.
    pub fn values(&self) -> BTreeMap<String, String> {
        let known = self.vars.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        let mut values = self.values_of(self.runbook.vars.iter());
        values.extend(known);
        values
    }

    /// The values of some variables in their order of writing: each is made of those before it, once.
    fn values_of<'a>(&self, vars: impl Iterator<Item = &'a Var>) -> BTreeMap<String, String> {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for var in vars {
            let value = match (self.vars.get(&var.name), &var.source) {
                (Some(value), _) => value.clone(),
                (None, VarSource::Fixed { value }) => value.expand(|name| values.get(name).cloned()).ok(),
                (None, _) => None,
            };
            values.extend(value.map(|value| (var.name.clone(), value)));
        }
        values
    }

    /// A template as it can be shown: known values in, secrets and unknown ones as `$NAME`.
    pub fn show(&self, template: &Template) -> String {
        template.show(|name| self.value(name))
    }

    /// The version that goes out: the variable that the first `set_image` uses, else the image itself.
    pub fn new_version(&self) -> Option<String> {
        if let Some(value) = self.value("DEPLOY_VERSION") {
            return Some(value);
        }
        self.runbook.steps.iter().flat_map(|step| &step.run).find_map(|action| match &action.kind {
            ActionKind::SetImage { image, .. } => {
                Some(tag_of(&image.expand(|name| self.value(name)).ok()?).to_owned())
            }
            _ => None,
        })
    }

    /// The version that had traffic when the run opened.
    pub fn previous_version(&self) -> Option<String> {
        self.opened.previous.as_ref().map(|target| tag_of(&target.image).to_owned())
    }

    /// The rollback under way.
    pub fn rolling_back(&self) -> Option<&RollbackState> {
        self.rollbacks.last().filter(|state| state.finished.is_none())
    }

    /// Whether the new slot has traffic, or may have: a switch was begun and not taken back.
    pub fn switch_begun(&self) -> bool {
        let moving = self.moved_to.is_some() && self.moved_to == self.opened.new_slot;
        if self.switched_at.is_some() || moving {
            return true;
        }
        let reverted = self.rollbacks.iter().any(|state| {
            state.procedure.as_str() != "undo" && state.finished.as_ref().is_some_and(|(ok, ..)| *ok)
        });
        let open = |status| matches!(status, ActionStatus::Running | ActionStatus::Unknown);
        let switching = |at: &ActionRef| match &at.place {
            Place::Step { step } => {
                let index = self.runbook.step_index(step.as_str());
                let is_switch = index.is_some() && index == self.runbook.switch_step();
                is_switch || self.exposes(at)
            }
            Place::Undo { .. } | Place::Rollback { .. } | Place::Completion => false,
        };
        // Pods that were ordered serve as soon as they are ready, without a further act of ours.
        let follows = self.shares_follow_pods();
        let begun = |status| open(status) || (follows && status == ActionStatus::Done);
        !reverted && self.all_actions().any(|(at, state)| begun(state.status) && switching(&at))
    }

    /// Whether the run must not be left without an engine: it has begun, and is not over. Nothing real depends on a rehearsal,
    /// whose world ends with its engine.
    pub fn needs_an_engine(&self) -> bool {
        let over = match self.finished.as_ref().map(|(outcome, ..)| *outcome) {
            None | Some(Outcome::Held) => false,
            Some(Outcome::Succeeded | Outcome::Failed | Outcome::RolledBack | Outcome::RollbackFailed) => {
                true
            }
        };
        self.started_at.is_some() && !over && self.opened.rehearsal.is_none()
    }

    /// What it means that a run which needs an engine has none.
    pub fn unwatched(&self) -> String {
        let nobody = self.shares.is_empty() && self.shares_follow_pods() && self.switch_begun();
        // Where users are on both, both are named.
        let whom = self.live.as_ref().map(|live| match self.shares.len() {
            0 | 1 => live.to_string(),
            _ => in_words(&self.shares),
        });
        let traffic = match (whom, &self.opened.new_slot) {
            _ if nobody => ": no pod was ready, and no trigger will roll it back".to_owned(),
            (Some(whom), _) if self.switched_at.is_some() => {
                format!(": traffic is on {whom}, and no trigger will roll it back")
            }
            (Some(whom), Some(new)) if self.switch_begun() => {
                format!(": traffic is on {whom}, or may be on {new} by now, and no trigger will roll it back")
            }
            (Some(whom), _) => format!(": traffic is on {whom}"),
            (None, _) => String::new(),
        };
        format!("NOBODY WATCHES{traffic}")
    }

    /// What to type, where a run which needs an engine has none: to go on, or to go back.
    pub fn ways_on(&self) -> [String; 2] {
        let id = &self.opened.run_id;
        [format!("cutover resume {id}"), format!("cutover rollback {id} --reason WHY")]
    }

    /// How long the run has been going: from the first step to the end, or to now.
    pub fn elapsed(&self, now: Timestamp) -> Span {
        let Some(started) = self.started_at else { return Span::ZERO };
        self.finished.as_ref().map_or(now, |(_, at, _)| *at).since(started)
    }

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

    /// Asked variables without a value.
    pub fn unasked(&self) -> impl Iterator<Item = &Var> {
        self.runbook
            .vars
            .iter()
            .filter(|var| matches!(var.source, VarSource::Ask { .. }) && !self.vars.contains_key(&var.name))
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

    /// The key under which a metric's baseline is kept.
    pub fn baseline_key(metric: &MetricId, slot: Option<&SlotName>) -> String {
        slot.map_or_else(|| metric.0.clone(), |slot| format!("{metric}/{slot}"))
    }

    /// What a metric was like before the switch, and of how much time that tells where it is less than five minutes. The new
    /// slot had no traffic then and read zero, if anything: for it counts what the previous one had.
    pub fn baseline_of(&self, metric: &MetricId, slot: Option<&SlotName>) -> Option<(f64, Option<Span>)> {
        let previous = self.opened.previous.as_ref().map(|target| &target.slot);
        let is_new = slot.is_some() && slot == self.opened.new_slot.as_ref();
        let key = Self::baseline_key(metric, if is_new { previous } else { slot });
        Some((*self.baseline.get(&key)?, self.baseline_short.get(&key).copied()))
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

    /// How long ago the backup's id was captured: when the action that gave it ended.
    pub fn backup_age(&self, now: Timestamp) -> Option<Span> {
        self.captured_age("BACKUP_ID", now)
    }

    /// How long ago a variable was captured in a step.
    pub fn captured_age(&self, name: &str, now: Timestamp) -> Option<Span> {
        self.value(name)?;
        self.runbook.steps.iter().zip(&self.steps).find_map(|(step, state)| {
            let index = step.run.iter().position(|action| action.capture.iter().any(|c| c.var == name))?;
            let action =
                state.work.actions.get(index).filter(|action| action.status == ActionStatus::Done)?;
            Some(now.since(action.started_at? + action.took?))
        })
    }
}

impl Work {
    /// Whether every action is done.
    pub fn acted(&self) -> bool {
        (self.actions.iter())
            .all(|action| matches!(action.status, ActionStatus::Done | ActionStatus::PassedOver))
    }

    /// The index of the action that runs.
    pub fn running(&self) -> Option<usize> {
        self.actions.iter().position(|action| action.status == ActionStatus::Running)
    }

    /// The index of the next action that has not begun.
    pub fn next(&self) -> Option<usize> {
        self.actions.iter().position(|action| action.status == ActionStatus::Pending)
    }

    /// How long it took, or has taken.
    pub fn took(&self, now: Timestamp) -> Span {
        self.started_at.map_or(Span::ZERO, |from| self.finished_at.unwrap_or(now).since(from))
    }
}

/// The tag of an image, or the whole where it has none: `registry:5000/app:v1` is `v1`.
pub fn tag_of(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once('@')
        .map_or_else(|| name.split_once(':').map_or(image, |(_, tag)| tag), |(_, digest)| digest)
}
