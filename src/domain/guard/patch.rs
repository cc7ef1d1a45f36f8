//! The guard for a runbook's own `patch` of what directs traffic, or of the Deployment that has it: judged by what it leads to.

use std::collections::BTreeMap;

use super::{Verdict, none_of};
use crate::domain::{
    action::{Action, ActionKind},
    belief::{PinnedRoute, labels},
    id::SlotName,
    observation::{Observation, SlotSeen},
    run::Run,
    runbook::{Slot, Strategy},
    time::Span,
};

impl Run {
    /// A patch of the Service: whoever it would select has ready pods, in the course of the deployment as many as serve now. One
    /// that leaves the selector as it is changes nothing that matters here.
    pub(super) fn judge_service_patch(&self, action: &Action, seen: &Observation, waited: Span) -> Verdict {
        let Some((service, target)) = seen.service.as_ref().zip(self.runbook.target.as_ref()) else {
            return Verdict::Refuse("the Service does not exist".to_owned());
        };
        let rolls_back = self.rolling_back().is_some();
        // One that is to bring the users back does not help by changing nothing, where nobody answers them.
        let moves = rolls_back && self.says_selector(action);
        let after = match self.selector_after(action, &service.selector) {
            Ok(after) if after == service.selector && !moves => return Verdict::go(),
            Ok(after) => after,
            Err(why) => return Verdict::Refuse(why),
        };
        let previous = self.opened.previous.as_ref().map(|target| &target.slot);
        if let Some(to) = target.pointed_at(&after).filter(|to| rolls_back && Some(to) == previous) {
            return self.judge_return(&to, None, seen, waited, Some(&after));
        }
        self.judge_selector(&after, seen)
    }

    /// A whole selector for the Service: whoever it selects has ready pods, in the course of the deployment as many as serve now.
    pub(super) fn judge_selector(&self, after: &BTreeMap<String, String>, seen: &Observation) -> Verdict {
        let Some(target) = &self.runbook.target else { return Verdict::go() };
        let rolls_back = self.rolling_back().is_some();
        let words = labels(after);
        let fits = |slot: &Slot| {
            slot.selector.iter().all(|(key, value)| after.get(key).is_none_or(|other| other == value))
        };
        // Pods that are there and are not meant will not be either.
        let meant = |seen: &SlotSeen| !seen.observed || seen.ready() == 0 || seen.selected_by(after) > 0;
        let reached = target.slots.iter().filter(|(_, slot)| fits(slot)).filter_map(|(name, _)| {
            let slot = seen.slot(name)?;
            meant(slot).then_some((name, slot))
        });
        let reached: Vec<_> = reached.collect();
        if after.is_empty() || reached.is_empty() {
            return Verdict::Refuse(format!(
                "the Service would select {words}, which matches no pods of a slot"
            ));
        }
        let (unseen, ready): (Vec<_>, Vec<_>) = reached.into_iter().partition(|(_, slot)| !slot.observed);
        let would: u32 = ready.iter().map(|(_, slot)| slot.selected_by(after)).sum();
        let serving: u32 = seen.slots.keys().map(|name| seen.serving(name)).sum();
        let needed = if rolls_back { 1 } else { serving.max(1) };
        if would >= needed {
            return Verdict::go();
        }
        if let Some((name, _)) = unseen.first() {
            return Verdict::Wait(format!(
                "the controller has not caught up with {name}'s latest change yet"
            ));
        }
        Verdict::Wait(format!("the Service would select {words}, with {would} ready pods; {needed} needed"))
    }

    /// A patch of the route: the weights that it leads to are judged like a share that is given. One that leaves them as they are
    /// changes nothing that matters here.
    pub(super) fn judge_route_patch(&self, action: &Action, seen: &Observation, waited: Span) -> Verdict {
        let Some(route) = &seen.route else {
            return self.undirected(seen).unwrap_or_else(Verdict::go);
        };
        match self.weights_after(action, &PinnedRoute::of(route)) {
            Ok(after) if after == route.weights => Verdict::go(),
            Ok(after) => match self.share_by_weights(&after) {
                Some(share) => self.judge_share(share, seen, waited),
                None => Verdict::Refuse("the HTTPRoute would give nobody any weight".to_owned()),
            },
            Err(why) => Verdict::Refuse(why),
        }
    }

    /// A patch of a slot's own Service: it still selects that slot's pods and no others, and as many that are ready as it does
    /// now; in a rollback one at least.
    pub(super) fn judge_backend_patch(
        &self,
        action: &Action,
        slot: &SlotName,
        seen: &Observation,
    ) -> Verdict {
        let described = self.runbook.target.as_ref().and_then(|target| target.slots.get(slot));
        let (Some(found), Some(described)) = (seen.slot(slot), described) else { return none_of(slot) };
        let service = described.service.as_deref().unwrap_or_default();
        let Some(before) = &found.own_selector else {
            return Verdict::Refuse(format!("service {service} does not exist"));
        };
        let after = match self.selector_after(action, before) {
            Ok(after) if after == *before => return Verdict::go(),
            Ok(after) => after,
            Err(why) => return Verdict::Refuse(why),
        };
        let words = labels(&after);
        let lost = described.selector.iter().any(|(key, value)| after.get(key) != Some(value));
        let strays = seen
            .slots
            .iter()
            .any(|(name, other)| name != slot && other.selected_by(&after) > other.selected_by(before));
        if after.is_empty() || lost || strays {
            return Verdict::Refuse(format!(
                "service {service} would select {words}, which is not {slot}'s pods alone ({})",
                labels(&described.selector)
            ));
        }
        if !found.observed {
            return Verdict::Wait(format!(
                "the controller has not caught up with {slot}'s latest change yet"
            ));
        }
        let (now, would) = (seen.reachable(slot), found.selected_by(&after));
        let weighs = seen.route.as_ref().is_some_and(|route| {
            route.weights.get(slot).is_some_and(|weight| *weight > 0) || route.elsewhere.contains(slot)
        });
        let enough = if self.rolling_back().is_some() { now.min(1) } else { now };
        let needed = enough.max(u32::from(weighs));
        if would >= needed {
            return Verdict::go();
        }
        Verdict::Wait(format!(
            "service {service} would select {words}, with {would} ready pods of {slot}; {needed} needed"
        ))
    }

    /// Why nobody can tell what a patch of the one Deployment leaves to its users: how its pods are replaced and what they are
    /// change at once, or new pods would not be among those that the Service selects.
    pub(super) fn hides_its_rollout(&self, action: &Action, seen: &Observation) -> Option<String> {
        if !matches!(action.kind, ActionKind::Patch(_)) || !self.is_one_deployment() {
            return None;
        }
        let [strategy, template] = ["/spec/strategy", "/spec/template"].map(|at| Self::writes_at(action, at));
        if strategy && template && self.runbook.deployment.strategy != Strategy::Recreate {
            return Some(
                "it changes how a rollout replaces pods and what they run at once: patch `spec.strategy` in an action of \
                 its own, before the other"
                    .to_owned(),
            );
        }
        let selector = seen.service.as_ref().map(|service| &service.selector)?;
        let selects = |pod: &BTreeMap<String, String>| {
            !selector.is_empty() && selector.iter().all(|(key, value)| pod.get(key) == Some(value))
        };
        let answering = seen.slots.values().flat_map(|slot| &slot.answering);
        let (before, _) = answering.into_iter().find(|(pod, count)| *count > 0 && selects(pod))?;
        match self.pod_labels_after(action, before) {
            Ok(after) if selects(&after) => None,
            Ok(after) => Some(format!(
                "new pods would carry {}, and the Service selects {}: nobody would be sent to them",
                labels(&after),
                labels(selector)
            )),
            Err(why) => Some(why),
        }
    }
}
