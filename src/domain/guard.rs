//! The guard: decides on a fresh read of the target whether an action that moves traffic or removes capacity may start.
//!
//! ```text
//!   act is due ──▶ look (at most 0.5 s old) ──▶ judge ──▶ go          the act begins, and carries the versions seen
//!                       ▲                         ├─────▶ prepare     pods are started first, then it is due again
//!                       └──────── wait ◀──────────┤
//!                                                 ├─────▶ hold        somebody else has changed the target
//!                                                 ├─────▶ spare       it is done already, or not ours to do
//!                                                 └─────▶ refuse      waiting will not help
//! ```
//!
//! Pure, and the only place where this is decided: steps, undo, every rollback, by key, by trigger or from a shell.

mod patch;
mod shared;

use std::collections::BTreeMap;

use super::{
    action::{Action, ActionKind},
    belief::labels,
    director::Share,
    event::{ActionRef, Place},
    id::{QUICK, SlotName, UNDO},
    observation::{Observation, SlotSeen},
    patched::Patched,
    run::{Run, tag_of},
    time::Span,
};

/// A look that is older than this decides nothing any more.
pub const FRESH: Span = Span::from_millis(500);
/// A rollback's switch waits this part of the promised time for all of the pods; then it takes what there is.
const PATIENCE_PART: u64 = 3;
/// The promise where the runbook makes none.
pub const DEFAULT_WITHIN: Span = Span::from_mins(5);

/// What the guard says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may begin.
    Go {
        /// For a switch: the whole selector that is wanted, where a label of somebody's has to go.
        selector: Option<BTreeMap<String, String>>,
        /// What is worth knowing afterwards: it went with less than all.
        remark: Option<String>,
        /// For a shift that starts or stops pods: how many of the new slot's.
        replicas: Option<u32>,
    },
    /// Not yet.
    Wait(String),
    /// These first.
    Prepare(Vec<Action>),
    /// Nothing is to be done: why.
    Spare(String),
    /// The run holds: the target is not as the run believes.
    Hold(String),
    /// It will not become possible by waiting.
    Refuse(String),
}

impl Verdict {
    fn go() -> Self {
        Self::Go { selector: None, remark: None, replicas: None }
    }

    /// What speaks against beginning now, in words.
    pub fn against(self) -> Option<String> {
        match self {
            Self::Go { .. } => None,
            Self::Prepare(_) => Some("its pods must be started first".to_owned()),
            Self::Wait(why) | Self::Spare(why) | Self::Hold(why) | Self::Refuse(why) => Some(why),
        }
    }
}

/// How an act concerns the target.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    /// It gives a slot the traffic.
    Traffic { to: SlotName, demand: Option<u32> },
    /// It gives the new slot this share of the traffic, and the previous one the rest.
    Share(Share),
    /// It gives a slot the template again that it had.
    Revert { slot: SlotName },
    /// It stops a rollout where it is.
    Pause { slot: SlotName },
    /// It lets a rollout go on.
    Resume { slot: SlotName },
    /// It sets a slot's replicas.
    Scale { slot: SlotName, replicas: u32 },
    /// It replaces a slot's pods; and sets their number, where it says so.
    Replace { slot: SlotName, replicas: Option<Result<u32, String>> },
    /// It changes the Service in a way of its own.
    PatchService,
    /// It changes the route in a way of its own.
    PatchRoute,
    /// It changes a slot's own Service, which the route leads to.
    PatchBackend { slot: SlotName },
    /// It is a command or a request, which sees what acts before it have left.
    Command,
    /// It does not concern the target.
    Free,
}

impl Run {
    fn act(&self, action: &Action) -> Act {
        if self.runbook.target.is_none() {
            return Act::Free;
        }
        match &action.kind {
            ActionKind::SwitchTraffic { to, ready } => {
                self.slot(to).map_or(Act::Free, |to| Act::Traffic { to, demand: *ready })
            }
            ActionKind::ShiftTraffic { to, share } => Act::Share(self.new_share(to, *share)),
            ActionKind::Revert { slot } => self.slot(slot).map_or(Act::Free, |slot| Act::Revert { slot }),
            ActionKind::Pause { slot } => self.slot(slot).map_or(Act::Free, |slot| Act::Pause { slot }),
            ActionKind::Resume { slot } => self.slot(slot).map_or(Act::Free, |slot| Act::Resume { slot }),
            ActionKind::Scale { slot, replicas } => {
                let replicas = self.replicas(*replicas);
                self.slot(slot).map_or(Act::Free, |slot| Act::Scale { slot, replicas })
            }
            ActionKind::SetImage { slot, .. } | ActionKind::Restart { slot } => {
                self.slot(slot).map_or(Act::Free, |slot| Act::Replace { slot, replicas: None })
            }
            ActionKind::Patch(_) => match self.patches(action) {
                Some(Patched::Service) => Act::PatchService,
                Some(Patched::Route) => Act::PatchRoute,
                Some(Patched::Backend(slot)) => Act::PatchBackend { slot },
                Some(Patched::Slot(slot)) => {
                    let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(&slot)).cloned();
                    let replicas = self.slot_after(action, &believed.unwrap_or_default()).replicas;
                    Act::Replace { slot, replicas }
                }
                None => Act::Free,
            },
            ActionKind::Sh { .. } | ActionKind::Argv { .. } | ActionKind::Http(_) => Act::Command,
            ActionKind::Rollout { .. } | ActionKind::Notify { .. } => Act::Free,
        }
    }

    /// Whether an act is looked at before it begins.
    pub fn is_guarded(&self, at: &ActionRef) -> bool {
        let Some(action) = self.action(at) else { return false };
        match self.act(action) {
            Act::Traffic { .. }
            | Act::Share(_)
            | Act::Revert { .. }
            | Act::Pause { .. }
            | Act::Resume { .. }
            | Act::Scale { .. }
            | Act::Replace { .. }
            | Act::PatchService
            | Act::PatchRoute
            | Act::PatchBackend { .. } => true,
            Act::Command => !self.emptied_before(at).is_empty(),
            Act::Free => false,
        }
    }

    /// Whether an act takes pods away or replaces them.
    pub fn takes_capacity(&self, at: &ActionRef) -> bool {
        match self.action(at).map(|action| self.act(action)) {
            Some(Act::Scale { .. } | Act::Replace { .. } | Act::Revert { .. } | Act::Resume { .. }) => true,
            // It takes a slot's pods away from its users.
            Some(Act::PatchBackend { .. }) => true,
            // With pods that serve as they are ready, a smaller share takes pods away.
            Some(Act::Share(_)) => self.shares_follow_pods(),
            Some(
                Act::Traffic { .. }
                | Act::Pause { .. }
                | Act::PatchService
                | Act::PatchRoute
                | Act::Command
                | Act::Free,
            )
            | None => false,
        }
    }

    /// Slots that acts before this one in the same procedure have scaled down, with the number of pods that were to stay: a
    /// restore does not begin while the pods that it is to be safe from still end.
    fn emptied_before(&self, at: &ActionRef) -> BTreeMap<SlotName, u32> {
        let mut emptied = BTreeMap::new();
        if !matches!(&at.place, Place::Rollback { procedure } if procedure.as_str() != QUICK) {
            return emptied;
        }
        for action in self.actions(&at.place).iter().take(at.action) {
            if let Act::Scale { slot, replicas } = self.act(action) {
                emptied.insert(slot, replicas);
            }
        }
        emptied.retain(|_, replicas| *replicas == 0);
        emptied
    }

    /// What a fresh look says of an act that is due. `waited` is how long it has been due; in a rollback, how long that has
    /// been going on.
    pub fn judge(&self, at: &ActionRef, seen: &Observation, waited: Span) -> Verdict {
        let Some(action) = self.action(at) else { return Verdict::go() };
        let act = self.act(action);
        let rolls_back = self.rolling_back().is_some();
        if !rolls_back && act != Act::Command {
            let strange = self.differences(seen);
            if let Some(first) = strange.first() {
                return Verdict::Hold(first.words());
            }
        }
        let takes_all =
            matches!(&at.place, Place::Rollback { procedure } if !matches!(procedure.as_str(), QUICK | UNDO));
        match act {
            Act::Traffic { to, demand } if rolls_back => self.judge_return(&to, demand, seen, waited, None),
            Act::Traffic { to, demand } => self.judge_switch(&to, demand, seen),
            Act::Share(share) => self.judge_share(share, seen, waited),
            Act::Revert { slot } => self.judge_revert(&slot, seen),
            Act::Pause { slot } => self.judge_pause(&slot, seen),
            Act::Resume { slot } => {
                seen.slot(&slot).map_or_else(|| none_of(&slot), |found| self.judge_rollout(&slot, found))
            }
            Act::Scale { slot, replicas } => self
                .judge_lag(&slot, replicas, seen, waited)
                .filter(|_| !takes_all)
                .unwrap_or_else(|| self.judge_scale(&slot, replicas, seen, takes_all)),
            Act::Replace { slot, replicas } => {
                if let Some(why) = self.hides_its_rollout(action, seen).filter(|_| !takes_all) {
                    return Verdict::Refuse(why);
                }
                let fewer = replicas.as_ref().and_then(|replicas| replicas.as_ref().ok().copied());
                let lag = fewer.and_then(|fewer| self.judge_lag(&slot, fewer, seen, waited));
                let image = self.image_of(action);
                lag.filter(|_| !takes_all)
                    .or_else(|| self.judge_replace(&slot, replicas, image.as_deref(), seen, takes_all))
                    .unwrap_or_else(Verdict::go)
            }
            Act::PatchService => self.judge_service_patch(action, seen, waited),
            Act::PatchRoute => self.judge_route_patch(action, seen, waited),
            Act::PatchBackend { slot } => self.judge_backend_patch(action, &slot, seen),
            Act::Command => self.judge_command(at, seen),
            Act::Free => Verdict::go(),
        }
    }

    /// Traffic to a slot in the course of the deployment: it has as many ready pods as are asked for, else as many as serve
    /// now.
    fn judge_switch(&self, to: &SlotName, demand: Option<u32>, seen: &Observation) -> Verdict {
        let Some(slot) = seen.slot(to) else { return none_of(to) };
        if let Some(refusal) = self.undirected(seen) {
            return refusal;
        }
        if !slot.observed {
            return Verdict::Wait(format!("the controller has not caught up with {to}'s latest change yet"));
        }
        if let Some(why) = seen.not_carried_out() {
            return Verdict::Wait(why);
        }
        let others = seen.slots.keys().filter(|name| *name != to);
        let serving = match &seen.route {
            // It may lead already, and still take over what the other carries.
            Some(_) => others.map(|name| seen.serving(name)).max().unwrap_or(0),
            None => seen.live().filter(|live| *live != to).map_or(0, |live| seen.serving(live)),
        };
        let needed = demand.unwrap_or(serving).max(1);
        let would = self.would_serve(to, slot, seen);
        if would >= needed {
            return Verdict::go();
        }
        Verdict::Wait(format!("{}; {needed} needed", self.short_of_pods(to, slot, would)))
    }

    /// An act that puts somebody else's change back: the same rules, though the target is not as the run believes.
    pub fn judge_put_back(&self, action: &Action, seen: &Observation) -> Verdict {
        match self.act(action) {
            Act::Traffic { to, .. } => {
                let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(&to)?.image.as_ref());
                let other = seen.slot(&to).filter(|slot| believed.is_some_and(|image| *image != slot.image));
                if let Some(slot) = other {
                    return Verdict::Refuse(format!("{to} has another image, {}", tag_of(&slot.image)));
                }
                match (&seen.service, self.believed_selector()) {
                    (Some(_), Some(selector)) => self.judge_selector(&selector, seen),
                    _ => Verdict::Refuse("the Service does not exist".to_owned()),
                }
            }
            Act::Scale { slot, replicas } => self.judge_scale(&slot, replicas, seen, false),
            Act::Replace { slot, replicas } => self.judge_image_back(&slot, seen).unwrap_or_else(|| {
                let image = self.image_of(action);
                self.judge_replace(&slot, replicas, image.as_deref(), seen, false).unwrap_or_else(Verdict::go)
            }),
            Act::Share(share) => self.judge_share(share, seen, Span::ZERO),
            Act::Revert { .. }
            | Act::Pause { .. }
            | Act::Resume { .. }
            | Act::PatchService
            | Act::PatchRoute
            | Act::PatchBackend { .. }
            | Act::Command
            | Act::Free => Verdict::Refuse("a person has to put that back".to_owned()),
        }
    }

    /// Traffic back to a slot in a rollback: as many as had it before, waited for; then with what there is; never with none.
    /// `fixed` is the whole selector, where the act sets one of its own.
    fn judge_return(
        &self,
        to: &SlotName,
        demand: Option<u32>,
        seen: &Observation,
        waited: Span,
        fixed: Option<&BTreeMap<String, String>>,
    ) -> Verdict {
        let Some(slot) = seen.slot(to) else { return none_of(to) };
        if let Some(refusal) = self.undirected(seen) {
            return refusal;
        }
        let target = self.opened.previous.as_ref().filter(|target| target.slot == *to);
        if let Some(verdict) = self.judge_version(to, slot) {
            return verdict;
        }
        if !slot.observed {
            return Verdict::Wait(format!("the controller has not caught up with {to}'s latest change yet"));
        }
        let before = target.map_or(1, |target| target.replicas).max(1);
        let needed = match &slot.autoscaler {
            // It gives what it gives; what is there is waited for.
            Some(_) => demand.unwrap_or(before).min(slot.desired.max(1)),
            None => demand.unwrap_or(before),
        };
        let (as_is, as_was) = match fixed {
            Some(selector) => (slot.selected_by(selector), 0),
            None => (self.would_serve(to, slot, seen), self.would_serve_as_pinned(to, slot)),
        };
        // A label that somebody has put into the selector must not keep users from the pods that are ready.
        let selector = if as_is < as_was { self.selector_towards(to) } else { None };
        let would = as_is.max(as_was);
        if would >= needed {
            return Verdict::Go { selector, remark: None, replicas: None };
        }
        // More than it had cannot be had by starting what it had.
        let asleep = slot.desired < needed.min(before) && (slot.autoscaler.is_none() || slot.desired == 0);
        if asleep {
            return Verdict::Prepare(vec![self.wake(to)]);
        }
        let within = self.rolling_back().and_then(|rollback| rollback.within).unwrap_or(DEFAULT_WITHIN);
        let patience = Span::from_millis(within.as_millis() / PATIENCE_PART);
        if would > 0 && waited >= patience {
            let remark =
                format!("traffic is back on {would} of {needed} pods of {to}: the others were not ready");
            return Verdict::Go { selector, remark: Some(remark), replicas: None };
        }
        Verdict::Wait(format!("{}; {needed} needed", self.short_of_pods(to, slot, would)))
    }

    /// Fewer pods for a slot: never for the one that has the traffic, and not while nothing serves the traffic.
    fn judge_scale(&self, slot: &SlotName, replicas: u32, seen: &Observation, takes_all: bool) -> Verdict {
        let Some(found) = seen.slot(slot) else { return none_of(slot) };
        if self.is_one_deployment() && replicas == 0 && !takes_all {
            return Verdict::Refuse(format!(
                "deployment/{} has all of the traffic; its pods must stay",
                found.deployment
            ));
        }
        if self.shares_follow_pods() && self.opened.new_slot.as_ref() == Some(slot) && !takes_all {
            if self.is_one_deployment() {
                return Verdict::go();
            }
            return self.judge_pods(replicas, seen, Span::ZERO);
        }
        if replicas >= found.desired {
            let owner =
                found.autoscaler.as_ref().filter(|_| self.rolling_back().is_some() && found.desired > 0);
            return owner.map_or_else(Verdict::go, |owner| {
                Verdict::Spare(format!(
                    "horizontalpodautoscaler/{} has {slot} at {} replicas",
                    owner.name, found.desired
                ))
            });
        }
        if takes_all {
            return Verdict::go();
        }
        if let Some(refusal) = self.keeps_its_pods(slot, seen) {
            return refusal;
        }
        let Some(live) = seen.live() else {
            return Verdict::Wait(format!("{} points at no slot of this runbook", self.director_word()));
        };
        if seen.serving(live) == 0 {
            // Traffic is back, and somebody has taken its pods away since: they are started again before ours go.
            let returned = self.rolling_back().is_some()
                && self.opened.previous.as_ref().is_some_and(|target| target.slot == *live);
            if returned && seen.slot(live).is_some_and(|slot| slot.desired == 0) {
                return Verdict::Prepare(vec![self.wake(live)]);
            }
            return Verdict::Wait(format!(
                "{live} has the traffic but no ready pod: {slot}'s pods are the last ones"
            ));
        }
        Verdict::go()
    }

    /// Other pods for a slot: never for the one that has the traffic; where there are fewer, nor the last ones. Nothing speaks
    /// against it where nothing is given back.
    fn judge_replace(
        &self,
        slot: &SlotName,
        replicas: Option<Result<u32, String>>,
        image: Option<&str>,
        seen: &Observation,
        takes_all: bool,
    ) -> Option<Verdict> {
        let Some(found) = seen.slot(slot) else { return Some(none_of(slot)) };
        if takes_all {
            return None;
        }
        if self.is_one_deployment() {
            let zero = matches!(replicas, Some(Ok(0)));
            return Some(if zero {
                self.judge_scale(slot, 0, seen, false)
            } else {
                self.judge_rollout(slot, found)
            });
        }
        if self.promotes(slot, image, seen) {
            return Some(self.judge_rollout(slot, found));
        }
        if let Some(refusal) = self.keeps_its_pods(slot, seen) {
            return Some(refusal);
        }
        // What answers there is of an earlier template, and on its way out; where nobody else answers, a rollout must leave some.
        let answers = |name: &SlotName| seen.answering_to_stay(name) > 0;
        let last = answers(slot) && seen.slots.keys().all(|name| name == slot || !answers(name));
        let rollout = if last { self.judge_rollout(slot, found) } else { Verdict::go() };
        if let Verdict::Refuse(why) = rollout {
            return Some(Verdict::Refuse(why));
        }
        match replicas? {
            Ok(fewer) if fewer < found.desired => Some(self.judge_scale(slot, fewer, seen, false)),
            Ok(_) => None,
            Err(why) => Some(Verdict::Refuse(why)),
        }
    }

    /// A command of a procedure that has taken pods away before: they are gone first.
    fn judge_command(&self, at: &ActionRef, seen: &Observation) -> Verdict {
        for (name, _) in self.emptied_before(at) {
            let pods = seen.slots.get(&name).map_or(0, |slot| slot.pods);
            if pods > 0 {
                let verb = if pods == 1 { "pod of" } else { "pods of" };
                return Verdict::Wait(format!("{pods} {verb} {name} still terminating"));
            }
        }
        Verdict::go()
    }

    fn would_serve(&self, to: &SlotName, slot: &SlotSeen, seen: &Observation) -> u32 {
        if seen.route.is_some() {
            return seen.reachable(to);
        }
        if self.shares_follow_pods() {
            return seen.serving(to);
        }
        let described = self.runbook.target.as_ref().and_then(|t| Some((t, t.slots.get(to)?)));
        let Some(((target, described), service)) = described.zip(seen.service.as_ref()) else { return 0 };
        slot.selected_by(&target.selector_on(&service.selector, described))
    }

    fn would_serve_as_pinned(&self, to: &SlotName, slot: &SlotSeen) -> u32 {
        if self.has_shares() {
            return 0;
        }
        self.selector_towards(to).map_or(0, |selector| slot.selected_by(&selector))
    }

    fn short_of_pods(&self, to: &SlotName, slot: &SlotSeen, would: u32) -> String {
        let ready = slot.ready();
        if would < ready {
            let selector = self.runbook.target.as_ref().and_then(|target| target.slots.get(to));
            let own = selector.map(|slot| labels(&slot.selector)).unwrap_or_default();
            return format!(
                "{to} has {ready} ready pods, but the Service would reach only {would}: it selects by more \
                 than {own}"
            );
        }
        format!("{to} has {would} of {} pods ready", slot.desired)
    }
}

/// What is said of a slot that is not there.
fn none_of(slot: &SlotName) -> Verdict {
    Verdict::Refuse(format!("{slot} has no Deployment"))
}
