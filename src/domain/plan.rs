//! What a rollback would do now, and whether it could: always known, always shown.
//!
//! Longer than 500 lines because what a rollback would do, what it leaves and how ready it is are told from the same facts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    action::{Action, ActionKind, Confirm, Replicas, SlotRef},
    belief::labels,
    id::{ProcedureId, SlotName, StepId},
    kubectl::kubectl_line,
    run::{Run, tag_of},
    runbook::Step,
    time::{Span, Timestamp},
    workload::{Access, Connection, RolloutState, Workload},
};

/// The name of the procedure that undoes finished steps before the switch.
pub const UNDO: &str = "undo";
/// The name of the procedure that `R` fires after the switch.
pub const QUICK: &str = "quick";

/// In the checks that prove the way back, the name of the slot that one would go back to.
pub const WAY_BACK_SLOT: &str = "SLOT";

/// What a rollback would do now, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollbackPlan {
    /// `quick`, `database`, or `undo`; nothing where there is nothing to take back.
    pub procedure: Option<ProcedureId>,
    /// The procedure's actions that are needed now.
    pub actions: Vec<Action>,
    /// Before the switch: the steps whose `undo` runs, last first.
    pub undo: Vec<StepId>,
    /// The same in words, one line each.
    pub items: Vec<PlanItem>,
    /// What stays as it is, and why.
    pub not_undone: Vec<String>,
    /// Why it can't begin: what its acts need and is not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
    /// About how long it takes.
    pub estimate: Span,
    /// The promise.
    pub within: Option<Span>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItem {
    /// In words.
    pub text: String,
    /// The kubectl line or command that does the same.
    pub command: Option<String>,
}

/// The readiness light.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Its colour.
    pub light: Light,
    /// Two to five words: `ROLLBACK READY`.
    pub word: String,
    /// The facts behind it: `blue 3/3 ready, v1.5.0, may patch, ~12 s`.
    pub detail: String,
    /// Everything that speaks against it.
    pub against: Vec<String>,
}

/// The readiness light's colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// Nothing to roll back yet, or any more.
    Off,
    /// Ready.
    Ready,
    /// It would work, but takes longer than it should, or something about it is not known.
    Slow,
    /// It would fail.
    NotReady,
}

/// Whether an action is one that no runbook declares and a plan may hold all the same: pods that are started before traffic
/// goes to them.
pub fn is_wake(action: &Action) -> bool {
    let ActionKind::Scale { slot, replicas } = &action.kind else { return false };
    *action == wake(slot.clone(), *replicas)
}

fn wake(slot: SlotRef, replicas: Replicas) -> Action {
    Action {
        name: "Start the pods of the slot that traffic goes back to".to_owned(),
        kind: ActionKind::Scale { slot, replicas },
        timeout: Span::from_mins(1),
        capture: Vec::new(),
        sample: Vec::new(),
        sample_failure: Vec::new(),
        confirm: Confirm::None,
        irreversible: None,
        data_loss: None,
    }
}

impl Run {
    /// What `R` would do now.
    pub fn rollback_plan(&self, workload: Option<&Workload>, now: Timestamp) -> RollbackPlan {
        if self.goes_quick() { self.procedure_plan(QUICK, workload) } else { self.undo_plan(now) }
    }

    /// Whether a rollback, by key or by trigger, makes sense now. After one that went well there is nothing left to take
    /// back: undoing the steps too would restore a database that nobody asked to restore.
    pub fn can_roll_back(&self) -> bool {
        if self.rolling_back().is_some() {
            return false;
        }
        let went_well =
            self.rollbacks.last().is_some_and(|last| last.finished.as_ref().is_some_and(|(ok, ..)| *ok));
        self.goes_quick() || (!went_well && !self.undoable().is_empty())
    }

    /// Traffic moved, or a quick rollback was given up half-way: the quick procedure, never the steps' own undo.
    fn goes_quick(&self) -> bool {
        let given_up = self.rollbacks.last().is_some_and(|last| {
            last.procedure.as_str() == QUICK && last.finished.as_ref().is_some_and(|(ok, ..)| !ok)
        });
        self.switch_begun() || given_up
    }

    /// Steps that `R` undoes before the switch, last first: those that did something and have an `undo` that loses nothing
    /// and has what it needs.
    fn undoable(&self) -> Vec<StepId> {
        let mut steps: Vec<_> = self
            .runbook
            .steps
            .iter()
            .zip(&self.steps)
            .filter(|(step, state)| {
                let clean = self.undo_loses(step).is_none() && self.undo_lacks(step).is_none();
                !step.undo.is_empty() && clean && !state.undone && state.touched()
            })
            .map(|(step, _)| step.id.clone())
            .collect();
        steps.reverse();
        steps
    }

    fn undo_plan(&self, now: Timestamp) -> RollbackPlan {
        let undo = self.undoable();
        let actions = undo.iter().filter_map(|id| self.declared(id.as_str())).flat_map(|step| &step.undo);
        let items = actions.map(|action| self.plan_item(action)).collect::<Vec<_>>();
        let not_undone = self
            .runbook
            .steps
            .iter()
            .zip(&self.steps)
            .filter(|(_, state)| !state.undone && state.touched())
            .filter_map(|(step, _)| {
                let changes = step.run.iter().any(|action| action.kind.mutates());
                let why = self.why_not_undone(step, now).or_else(|| {
                    let none = step.no_undo.as_deref().unwrap_or("it has no undo");
                    (step.undo.is_empty() && changes).then(|| none.to_owned())
                });
                why.map(|why| format!("{}: {why}", step.title))
            })
            .collect();
        RollbackPlan {
            procedure: (!undo.is_empty()).then(|| UNDO.into()),
            estimate: self
                .estimate(undo.iter().filter_map(|id| self.declared(id.as_str())).flat_map(|s| &s.undo)),
            actions: Vec::new(),
            undo,
            items,
            not_undone,
            lacks: Vec::new(),
            within: self.runbook.deployment.rollback_within,
        }
    }

    /// Why `R` leaves a step as it is that has an undo.
    pub fn why_not_undone(&self, step: &Step, now: Timestamp) -> Option<String> {
        if step.undo.is_empty() {
            return None;
        }
        if let Some(lacks) = self.undo_lacks(step) {
            return Some(lacks);
        }
        let lost = self.undo_loses(step)?;
        let procedure = self.runbook.rollbacks.iter().any(|procedure| {
            procedure.id.as_str() != QUICK && procedure.run.iter().any(|action| action.loses().is_some())
        });
        let keys = if procedure { "u or D" } else { "u" };
        Some(match self.restores(step) {
            Some((name, value)) => {
                let age = self.captured_age(&name, now);
                let age = age.map(|age| match age.as_secs() {
                    seconds @ 0..60 => format!(", {seconds} s old,"),
                    seconds => format!(", {} min old,", seconds / 60),
                });
                let age = age.unwrap_or_default();
                format!("the backup {value}{age} can be restored with {keys}; lost is {lost}")
            }
            None => format!("it can be undone with {keys}; lost is {lost}"),
        })
    }

    /// What a procedure would do now: without what is already true, and with what is needed first.
    pub fn procedure_plan(&self, id: &str, workload: Option<&Workload>) -> RollbackPlan {
        let procedure = self.runbook.procedure(id);
        let mut actions: Vec<Action> = procedure.map(|found| found.run.clone()).unwrap_or_default();
        if let Some(workload) = workload {
            // What an action before it changes is not as it was seen.
            let mut scaled = Vec::new();
            actions.retain(|action| {
                let slot = self.scales(action).map(|(slot, _)| slot);
                let stays = slot.as_ref().is_some_and(|slot| scaled.contains(slot))
                    || !self.already_true(action, workload);
                scaled.extend(slot.filter(|_| stays));
                stays
            });
        }
        if id == QUICK {
            self.traffic_first(&mut actions);
        }
        self.wake_previous(&mut actions, workload);
        let not_undone = if id == QUICK { self.irreversible() } else { Vec::new() };
        let lacks = procedure.and_then(|procedure| self.procedure_lacks(procedure)).into_iter().collect();
        RollbackPlan {
            procedure: procedure.map(|found| found.id.clone()),
            items: actions.iter().map(|action| self.plan_item(action)).collect(),
            estimate: self.estimate(&actions),
            actions,
            undo: Vec::new(),
            not_undone,
            lacks,
            within: procedure.and_then(|found| found.within).or(self.runbook.deployment.rollback_within),
        }
    }

    /// Nothing that can fail stands before the switch back but what starts the pods that it leads to.
    fn traffic_first(&self, actions: &mut Vec<Action>) {
        let previous = self.slot(&SlotRef::Previous);
        let leads_back = |action: &Action| matches!(&action.kind, ActionKind::SwitchTraffic { to, .. } if self.slot(to) == previous);
        let Some(switch) = actions.iter().position(leads_back) else { return };
        let starts = |action: &Action| match &action.kind {
            ActionKind::Scale { slot, replicas } => {
                self.slot(slot) == previous && self.replicas(*replicas) > 0
            }
            ActionKind::Rollout { slot, .. } => self.slot(slot) == previous,
            _ => false,
        };
        let after = actions.split_off(switch + 1);
        let switch = actions.pop();
        let (needed, rest): (Vec<_>, Vec<_>) = std::mem::take(actions).into_iter().partition(starts);
        actions.extend(needed.into_iter().chain(switch).chain(rest).chain(after));
    }

    /// A switch is never left out: one of ours may still be on its way. A slot at its replicas needs no scaling.
    fn already_true(&self, action: &Action, workload: &Workload) -> bool {
        self.scales(action).is_some_and(|(slot, replicas)| {
            workload
                .slots
                .get(&slot)
                .is_some_and(|slot| slot.found && slot.desired == replicas && slot.ready == slot.desired)
        })
    }

    /// The slot that an action scales, and to how many.
    fn scales(&self, action: &Action) -> Option<(SlotName, u32)> {
        match &action.kind {
            ActionKind::Scale { slot, replicas } => Some((self.slot(slot)?, self.replicas(*replicas))),
            _ => None,
        }
    }

    /// What is put before a switch to a slot that was scaled down.
    pub(super) fn wake(&self, slot: &SlotName) -> Action {
        if self.slot(&SlotRef::Previous).as_ref() == Some(slot) {
            return wake(SlotRef::Previous, Replicas::Before);
        }
        wake(SlotRef::Named(slot.clone()), Replicas::Count(1))
    }

    /// Where the previous slot was scaled down, traffic must not go to it before it is up again.
    fn wake_previous(&self, actions: &mut Vec<Action>, workload: Option<&Workload>) {
        let Some(target) = &self.opened.previous else { return };
        let switch = actions.iter().position(|action| {
            matches!(&action.kind, ActionKind::SwitchTraffic { to, .. } if self.slot(to).as_ref() == Some(&target.slot))
        });
        let Some(switch) = switch else { return };
        let scaled = actions[..switch].iter().rev().filter_map(|action| self.scales(action));
        let scaled = scaled.into_iter().find_map(|(slot, to)| (slot == target.slot).then_some(to));
        // Where nothing at all was seen it is taken to be as it was: it may well be that nothing can be seen. A picture that
        // lacks just this slot says nothing good of it.
        let seen = workload.map(|workload| workload.slots.get(&target.slot).map_or(0, |slot| slot.desired));
        if scaled.or(seen).is_none_or(|replicas| replicas >= target.replicas) {
            return;
        }
        actions.insert(switch, self.wake(&target.slot));
    }

    /// What the quick rollback leaves as it is: steps with an own undo that is not part of it, and what is flagged.
    fn irreversible(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (step, state) in self.runbook.steps.iter().zip(&self.steps) {
            if !state.touched() {
                continue;
            }
            for action in &step.run {
                if let Some(why) = &action.irreversible {
                    left.push(format!("{}: {why}", action.name));
                }
            }
            let outside = step.undo.iter().any(|action| {
                matches!(action.kind, ActionKind::Sh { .. } | ActionKind::Argv { .. } | ActionKind::Http(_))
            });
            if outside {
                let by_hand = self.runbook.procedure("database").is_some();
                let key = if by_hand { " (its own key: D)" } else { "" };
                let backup = self.value("BACKUP_ID").map(|id| format!(", backup {id}")).unwrap_or_default();
                left.push(format!("{}{backup}{key}", step.title));
            }
        }
        left
    }

    /// An action in words, with the line that does the same by hand.
    pub fn plan_item(&self, action: &Action) -> PlanItem {
        PlanItem { text: self.action_text(action), command: self.action_command(action) }
    }

    /// What an action does, in words, resolved.
    pub fn action_text(&self, action: &Action) -> String {
        let colour =
            |slot: &SlotRef| self.slot(slot).map_or_else(|| "?".to_owned(), |name| name.0.to_uppercase());
        let service = self.runbook.target.as_ref().map_or("the service", |target| target.service.as_str());
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => format!("point {service} at {}", colour(to)),
            ActionKind::SetImage { slot, image, .. } => {
                format!("set {} to {}", colour(slot), tag_of(&self.show(image)))
            }
            ActionKind::Rollout { slot, .. } => format!("wait for the rollout of {}", colour(slot)),
            ActionKind::Scale { slot, replicas } => {
                format!("scale {} to {}", colour(slot), self.replicas(*replicas))
            }
            ActionKind::Restart { slot } => format!("restart the pods of {}", colour(slot)),
            ActionKind::Patch(patch) => format!("patch {}/{}", patch.kind, self.show(&patch.name)),
            ActionKind::Http(request) => {
                format!("{}: {} {}", action.name, request.method, self.show(&request.url))
            }
            ActionKind::Notify { text } => {
                let channel = self.runbook.notify.channel.as_deref().unwrap_or("the team");
                format!("tell {channel}: {}", self.show(text))
            }
            ActionKind::Sh { .. } | ActionKind::Argv { .. } => action.name.clone(),
        }
    }

    /// The line that does the same by hand, where there is one.
    pub fn action_command(&self, action: &Action) -> Option<String> {
        match &action.kind {
            ActionKind::Sh { script } => Some(script.clone()),
            ActionKind::Argv { argv } => {
                Some(argv.iter().map(|word| self.show(word)).collect::<Vec<_>>().join(" "))
            }
            kind => {
                let target = self.runbook.target.as_ref()?;
                let before = self.replicas(Replicas::Before);
                kubectl_line(kind, target, &|slot| self.slot(slot), &|template| self.show(template), before)
            }
        }
    }

    /// About how long actions take: what the same kind took in this run, else a guess that is on the long side.
    fn estimate<'a>(&self, actions: impl IntoIterator<Item = &'a Action>) -> Span {
        let works = self.steps.iter().zip(&self.runbook.steps).map(|(state, step)| (&step.run, &state.work));
        let seen: Vec<_> = works
            .flat_map(|(actions, work)| actions.iter().zip(&work.actions))
            .filter_map(|(action, state)| state.took.map(|took| (std::mem::discriminant(&action.kind), took)))
            .collect();
        actions.into_iter().fold(Span::ZERO, |sum, action| {
            let kind = std::mem::discriminant(&action.kind);
            let longest = seen.iter().filter(|(other, _)| *other == kind).map(|(_, took)| *took).max();
            sum.saturating_add(longest.unwrap_or_else(|| guess(&action.kind)))
        })
    }

    /// Whether a rollback could be done now, and how fast.
    pub fn readiness(
        &self,
        workload: Option<&Workload>,
        access: Option<&Access>,
        now: Timestamp,
    ) -> Readiness {
        let off = |word: &str, detail: String| Readiness {
            light: Light::Off,
            word: word.to_owned(),
            detail,
            against: Vec::new(),
        };
        if let Some(rollback) = self.rolling_back() {
            return off("ROLLING BACK", rollback.started_at.clock());
        }
        if !self.can_roll_back() {
            return match self.rollbacks.last() {
                Some(rollback) if rollback.finished.as_ref().is_some_and(|(ok, ..)| *ok) => off(
                    "ROLLED BACK",
                    format!("took {}", rollback.finished.as_ref().map_or(Span::ZERO, |f| f.2).clock()),
                ),
                _ => off("nothing to roll back yet", String::new()),
            };
        }
        let plan = self.rollback_plan(workload, now);
        let mut against = Vec::new();
        let mut slow = Vec::new();
        let mut facts = Vec::new();
        self.judge_proof(workload, &mut facts, &mut slow, &mut against);
        against.extend(plan.lacks.iter().cloned());
        if let Some(lock) = &self.lock {
            against.extend(lock.lost.iter().map(|why| format!("the target's lock is lost: {why}")));
            slow.extend(lock.uncertain.iter().map(|why| format!("nothing can be written now: {why}")));
        }
        if self.goes_quick() {
            self.judge_previous(workload, now, &mut facts, &mut slow, &mut against);
            if plan.procedure.is_none() {
                against.push("the runbook has no [rollback.quick]".to_owned());
            }
            match access.and_then(|access| access.patch_service) {
                Some(true) => facts.push("may patch".to_owned()),
                Some(false) => against.push("may not patch the Service".to_owned()),
                None => slow.push("permission to patch not known".to_owned()),
            }
        } else {
            let live = workload.and_then(|workload| workload.live.as_ref().zip(Some(workload)));
            if let Some((live, workload)) = live.filter(|(live, _)| Some(*live) != self.live.as_ref()) {
                let who = workload.service_changed.as_ref().map_or("somebody", |by| by.manager.as_str());
                against.push(format!("{live} has the traffic, set by {who}"));
            }
            let count = plan.undo.len();
            facts.push(format!("undoes {count} step{}", if count == 1 { "" } else { "s" }));
        }
        facts.push(format!("~{} s", plan.estimate.as_secs().max(1)));
        if plan.within.is_some_and(|within| plan.estimate > within) {
            slow.push("longer than promised".to_owned());
        }
        let (light, word) = if !against.is_empty() {
            (Light::NotReady, "ROLLBACK NOT READY")
        } else if !slow.is_empty() {
            (Light::Slow, "ROLLBACK SLOW")
        } else {
            (Light::Ready, "ROLLBACK READY")
        };
        against.extend(slow);
        let detail = if against.is_empty() { facts.join(", ") } else { against.join(", ") };
        Readiness { light, word: word.to_owned(), detail, against }
    }

    /// What the checks of the quick rollback's `ready` say. A slot without pods can prove nothing: that it is started first is
    /// told anyway.
    fn judge_proof(
        &self,
        workload: Option<&Workload>,
        facts: &mut Vec<String>,
        slow: &mut Vec<String>,
        against: &mut Vec<String>,
    ) {
        let proofs = self.runbook.procedure(QUICK).map_or(&[][..], |quick| &quick.ready);
        let Some(target) = self.opened.previous.as_ref().filter(|_| !proofs.is_empty()) else { return };
        let asleep = workload
            .and_then(|workload| workload.slots.get(&target.slot))
            .is_some_and(|slot| slot.found && slot.desired == 0 && target.replicas > 0);
        match &self.way_back {
            _ if asleep => slow.push(format!("cannot be proved while {} has no pods", target.slot)),
            Some(seen) if seen.ready => facts.push("proved".to_owned()),
            Some(seen) => against.push(seen.why.clone()),
            None => against.push("not proved yet".to_owned()),
        }
    }

    fn judge_previous(
        &self,
        workload: Option<&Workload>,
        now: Timestamp,
        facts: &mut Vec<String>,
        slow: &mut Vec<String>,
        against: &mut Vec<String>,
    ) {
        let Some(target) = &self.opened.previous else { return };
        let Some(workload) = workload else {
            slow.push("cluster not seen yet".to_owned());
            return;
        };
        if let Connection::Lost(why) = &workload.connection {
            slow.push(format!("cluster not seen for {}: {why}", now.since(workload.as_of).short()));
        }
        let Some(slot) = workload.slots.get(&target.slot) else {
            slow.push(format!("{} not seen yet", target.slot));
            return;
        };
        if !slot.found {
            against.push(format!("{} has no Deployment", target.slot));
            return;
        }
        if slot.image != target.image {
            against.push(format!(
                "{} runs {} now, not {}",
                target.slot,
                tag_of(&slot.image),
                tag_of(&target.image)
            ));
        }
        // What is to go does not count, nor what still runs another template.
        let ready = slot.ready.min(slot.desired).min(slot.updated);
        let pods = format!("{} {ready}/{} ready", target.slot, target.replicas);
        if slot.rollout == RolloutState::Unobserved {
            slow.push(format!("the controller has not seen {}'s newest template yet", target.slot));
        }
        self.judge_service(workload, slow, against);
        if ready >= target.replicas {
            facts.push(pods);
            facts.push(tag_of(&target.image).to_owned());
        } else if slot.ready.min(slot.desired) >= target.replicas {
            slow.push(format!("{pods}: its pods are being replaced"));
        } else if slot.desired < target.replicas {
            slow.push(format!("{pods}: it is scaled up first"));
        } else {
            against.push(pods);
        }
    }

    /// Whether the Service is there to be switched, and selects by nothing that somebody else has put there.
    fn judge_service(&self, workload: &Workload, slow: &mut Vec<String>, against: &mut Vec<String>) {
        let Some(now) = &workload.selector else {
            if workload.connection == Connection::Connected {
                against.push("the Service does not exist".to_owned());
            }
            return;
        };
        let Some(believed) = self.pinned.as_ref().map(|pinned| &pinned.selector) else { return };
        let slots = self.runbook.target.iter().flat_map(|target| target.slots.values());
        let own: BTreeSet<&String> = slots.flat_map(|slot| slot.selector.keys()).collect();
        let foreign =
            now.iter().filter(|(key, value)| !own.contains(key) && believed.get(*key) != Some(*value));
        let foreign: BTreeMap<_, _> = foreign.map(|(key, value)| (key.clone(), value.clone())).collect();
        if !foreign.is_empty() {
            let who = workload.service_changed.as_ref().map_or("somebody", |by| by.manager.as_str());
            slow.push(format!("the Service selects by {} too, set by {who}", labels(&foreign)));
        }
    }

    /// Slots an action leaves without pods although the rollback needs them: typed confirmation inside the window.
    pub fn endangers_rollback(&self, action: &Action) -> Option<SlotName> {
        let target = self.opened.previous.as_ref()?;
        match &action.kind {
            ActionKind::Scale { slot, replicas } => {
                let name = self.slot(slot)?;
                (name == target.slot && self.replicas(*replicas) < target.replicas).then_some(name)
            }
            _ => None,
        }
    }
}

/// About how long an action takes that was not seen yet.
fn guess(kind: &ActionKind) -> Span {
    match kind {
        ActionKind::Rollout { .. } => Span::from_secs(60),
        ActionKind::Sh { .. } | ActionKind::Argv { .. } => Span::from_secs(30),
        ActionKind::Notify { .. } => Span::ZERO,
        ActionKind::Http(_) => Span::from_secs(2),
        _ => Span::from_secs(1),
    }
}
