//! What a rollback would do now, and whether it would work: always known, always shown.
//!
//! Longer than 500 lines because what a rollback would do, what it leaves and how long it takes are told from the same facts.

mod readiness;

use serde::{Deserialize, Serialize};

use super::{
    action::{Action, ActionKind, Replicas, SlotRef},
    director::{Director, RuleRef, Share, pods_for, weights_for},
    id::{ProcedureId, QUICK, SlotName, StepId, UNDO},
    kubectl::{kubectl_line, revert_line, scale_line, weights_line},
    patched::Patched,
    run::{ActionStatus, Run, tag_of},
    runbook::{Step, Strategy},
    time::{Span, Timestamp},
    workload::Workload,
};

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
    /// The facts behind it: `blue 3/3 ready, v1.5.0, patch allowed, ~12 s`.
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

/// Whether an action is one that no runbook declares and a plan may hold anyway: pods that are started before traffic
/// goes to them.
pub fn is_wake(action: &Action) -> bool {
    let ActionKind::Scale { slot, replicas } = &action.kind else { return false };
    *action == wake(slot.clone(), *replicas)
}

fn wake(slot: SlotRef, replicas: Replicas) -> Action {
    let kind = ActionKind::Scale { slot, replicas };
    Action::plain("Start the pods of the slot that gets the traffic back", kind, Span::from_mins(1))
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

    /// Which steps a rollback before the switch undoes, by their numbers: `undoes steps 3, 1`.
    pub fn undo_words(&self, undo: &[StepId]) -> String {
        let number = |id: &StepId| Some((self.runbook.step_index(id.as_str())? + 1).to_string());
        let numbers: Vec<String> = undo.iter().filter_map(number).collect();
        match numbers.len() {
            1 => format!("undoes step {}", numbers.concat()),
            2..=4 => format!("undoes steps {}", numbers.join(", ")),
            count => format!("undoes {count} steps"),
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
        Some(match self.restores(step) {
            Some((name, value)) => {
                let age = self.captured_age(&name, now);
                let age = age.map(|age| match age.as_secs() {
                    seconds @ 0..60 => format!(", {seconds} s old,"),
                    seconds => format!(", {} min old,", seconds / 60),
                });
                let age = age.unwrap_or_default();
                format!("its undo restores the backup {value}{age} and loses {lost}")
            }
            None => format!("its undo loses {lost}"),
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
            self.promotion_first(&mut actions);
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
        let Some(switch) = actions.iter().position(|action| self.leads_back(action)) else { return };
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

    /// Where a canary was promoted, that is taken back before traffic is: the guard would demand it, and an operator wants to know
    /// how long it takes.
    fn promotion_first(&self, actions: &mut Vec<Action>) {
        let Some(back) = actions.iter().position(|action| self.leads_back(action)) else { return };
        if self.is_promoted() {
            actions.splice(back..back, self.unpromote());
        }
    }

    /// What a rollback does before all else once a step of this runbook has promoted the canary; nothing where none does.
    pub fn promotion_taken_back(&self) -> Option<Vec<Action>> {
        let previous = self.slot(&SlotRef::Previous)?;
        let sets = |action: &Action| match &action.kind {
            ActionKind::SetImage { slot, .. } => self.slot(slot).as_ref() == Some(&previous),
            ActionKind::Patch(_) => self.patches(action) == Some(Patched::Slot(previous.clone())),
            _ => false,
        };
        let canary = self.runbook.deployment.strategy == Strategy::Canary;
        let promotes = canary && self.runbook.steps.iter().flat_map(|step| &step.run).any(sets);
        promotes.then(|| self.unpromote())
    }

    /// Whether a plan changes a Deployment before it brings the traffic back.
    fn writes_pods_first(&self, plan: &RollbackPlan) -> bool {
        let first = plan.actions.iter().take_while(|action| !self.leads_back(action));
        let mut writes = first.filter_map(|action| self.object_of(action));
        writes.any(|object| object.is_some())
    }

    /// Whether an action brings the traffic back by what it says.
    fn leads_back(&self, action: &Action) -> bool {
        let previous = self.slot(&SlotRef::Previous);
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => self.slot(to) == previous,
            ActionKind::ShiftTraffic { to, share } => self.new_share(to, *share) == Share::NONE,
            ActionKind::Revert { slot } => self.is_one_deployment() && self.slot(slot) == previous,
            _ => false,
        }
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

    /// What the last rollback has left as it is, where that was the quick one and it has ended.
    pub fn left_by_rollback(&self) -> Vec<String> {
        let over = self.rollbacks.last().filter(|last| last.procedure.as_str() == QUICK);
        if over.is_some_and(|last| last.finished.is_some()) { self.irreversible() } else { Vec::new() }
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
                let backup =
                    self.value("BACKUP_ID").map(|id| format!("; its backup is {id}")).unwrap_or_default();
                left.push(format!("{}{backup}", step.title));
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
            ActionKind::SwitchTraffic { to, .. } if self.has_route() => {
                format!("give {} all traffic", colour(to))
            }
            ActionKind::SwitchTraffic { to, .. } => format!("point {service} at {}", colour(to)),
            ActionKind::ShiftTraffic { to, share } => match self.pods_for_share(to, *share) {
                Some((pods, gets)) => {
                    let new = colour(&SlotRef::New);
                    format!("run {pods} pods of {new}, {gets} of the traffic")
                }
                None => format!("give {} {share} of the traffic", colour(to)),
            },
            ActionKind::Revert { slot } => {
                let version = self.previous_version().unwrap_or_default();
                format!("give {} the template it had, {version}", colour(slot))
            }
            ActionKind::Pause { slot } => format!("stop the rollout of {} where it is", colour(slot)),
            ActionKind::Resume { slot } => format!("let the rollout of {} go on", colour(slot)),
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
            ActionKind::ShiftTraffic { to, share } => self.shift_command(self.new_share(to, *share)),
            ActionKind::SwitchTraffic { to, .. } if self.has_route() => {
                let new = self.slot(to) == self.opened.new_slot;
                self.shift_command(if new { Share::ALL } else { Share::NONE })
            }
            ActionKind::Revert { slot } => {
                let target = self.runbook.target.as_ref()?;
                let deployment = &target.slots.get(&self.slot(slot)?)?.deployment;
                let hash = self.opened.previous.as_ref().and_then(|previous| previous.hash.as_deref());
                let line = revert_line(target, deployment, hash);
                // kubectl does not undo what is paused.
                let resume = ActionKind::Resume { slot: slot.clone() };
                let resume = self.has_paused_rollout().then(|| {
                    kubectl_line(&resume, target, &|slot| self.slot(slot), &|template| self.show(template), 1)
                });
                Some(match resume.flatten() {
                    Some(resume) => format!("{resume} && {line}"),
                    None => line,
                })
            }
            kind => {
                let target = self.runbook.target.as_ref()?;
                let before = self.replicas(Replicas::Before);
                kubectl_line(kind, target, &|slot| self.slot(slot), &|template| self.show(template), before)
            }
        }
    }

    /// How many pods the new slot gets for a share that follows pods, and the share that they come to.
    fn pods_for_share(&self, to: &SlotRef, share: Share) -> Option<(u32, Share)> {
        if !self.shares_follow_pods() {
            return None;
        }
        let previous = self.opened.previous.as_ref()?;
        let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(&previous.slot));
        let others = believed.map_or(previous.replicas, |slot| slot.replicas);
        let pods = pods_for(self.new_share(to, share), others)?;
        Some((pods, Share::of(u64::from(pods), u64::from(pods) + u64::from(others))))
    }

    /// The line that gives the new slot a share.
    fn shift_command(&self, share: Share) -> Option<String> {
        let target = self.runbook.target.as_ref()?;
        let (new, previous) = (self.opened.new_slot.as_ref()?, self.opened.previous.as_ref()?);
        let Director::Route(route) = &target.director else {
            let (pods, _) = self.pods_for_share(&SlotRef::New, share)?;
            return Some(scale_line(target, &target.slots.get(new)?.deployment, pods));
        };
        let pinned = self.pinned.as_ref().and_then(|pinned| pinned.route.as_ref());
        let place = |name: &SlotName| {
            let seen = pinned.and_then(|route| route.places.get(name)).copied();
            seen.or_else(|| target.slots.keys().position(|slot| slot == name)).unwrap_or(0)
        };
        let rule = match (&route.rule, pinned) {
            (_, Some(seen)) => seen.rule,
            (RuleRef::Number(number), None) => *number,
            (RuleRef::Name(_), None) => 0,
        };
        let (part, rest) = pinned.map_or_else(|| weights_for(share), |route| route.weights_for(share));
        let service = |name: &SlotName| target.slots.get(name).and_then(|slot| slot.service.clone());
        let mut weights = [
            (place(new), service(new).unwrap_or_default(), part),
            (place(&previous.slot), service(&previous.slot).unwrap_or_default(), rest),
        ];
        weights.sort_unstable();
        Some(weights_line(target, route, rule, &weights))
    }

    /// About how long actions take: what the same kind took in this run, else a guess that is on the long side.
    fn estimate<'a>(&self, actions: impl IntoIterator<Item = &'a Action>) -> Span {
        let actions: Vec<&Action> = actions.into_iter().collect();
        let works = self.steps.iter().zip(&self.runbook.steps).map(|(state, step)| (&step.run, &state.work));
        let seen: Vec<_> = works
            .flat_map(|(actions, work)| actions.iter().zip(&work.actions))
            // What failed took as long as its timeout: that says nothing of the next.
            .filter(|(_, state)| state.status == ActionStatus::Done)
            .filter_map(|(action, state)| state.took.map(|took| (&action.kind, took)))
            .collect();
        let longest = |is: &dyn Fn(&ActionKind) -> bool| {
            seen.iter().filter(|(kind, _)| is(kind)).map(|(_, took)| *took).max()
        };
        let waits_for = |slot: &SlotRef, after: usize| {
            actions[after..].iter().any(|action| {
                matches!(&action.kind, ActionKind::Rollout { slot: of, .. } if self.slot(of) == self.slot(slot))
            })
        };
        actions.iter().enumerate().fold(Span::ZERO, |sum, (at, action)| {
            let this = std::mem::discriminant(&action.kind);
            let took = longest(&|kind| std::mem::discriminant(kind) == this);
            // Pods that are ordered have to start before anything else goes on, about as long as in a rollout, where none
            // follows that waits for them.
            let starts = match &action.kind {
                ActionKind::Scale { slot, replicas }
                    if self.replicas(*replicas) > 0 && !waits_for(slot, at) =>
                {
                    longest(&|kind| matches!(kind, ActionKind::Rollout { .. })).unwrap_or(ROLLOUT)
                }
                _ => Span::ZERO,
            };
            sum.saturating_add(took.unwrap_or_else(|| guess(&action.kind))).saturating_add(starts)
        })
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

/// About how long pods take to start, where none was seen to.
const ROLLOUT: Span = Span::from_secs(60);

/// About how long an action takes that was not seen yet.
fn guess(kind: &ActionKind) -> Span {
    match kind {
        ActionKind::Rollout { .. } => ROLLOUT,
        ActionKind::Sh { .. } | ActionKind::Argv { .. } => Span::from_secs(30),
        ActionKind::Notify { .. } => Span::ZERO,
        ActionKind::Http(_) => Span::from_secs(2),
        _ => Span::from_secs(1),
    }
}
