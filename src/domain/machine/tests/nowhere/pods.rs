//! Pods as Kubernetes has them where a slot can have a part of the traffic: a rolling update replaces one at a time and keeps
//! `kept` ready; the pods of an earlier template serve until they are replaced.

use crate::domain::{
    director::{Director, NEW_REVISION, OLD_REVISION},
    fixture::ground::{Ground, both},
    id::SlotName,
};

/// The image that never becomes ready.
pub(super) const BROKEN: &str = "app:v9";

pub(super) fn is_one(ground: &Ground) -> bool {
    ground.director == Director::Rollout
}

/// The slots whose Deployments there are; of one that is two slots, the one that its template is.
pub(super) fn deployments(ground: &Ground) -> Vec<SlotName> {
    if is_one(ground) { vec![ground.template().into()] } else { ground.slots.keys().cloned().collect() }
}

/// Ready pods of a slot, of whatever template.
pub(super) fn pods(ground: &Ground, name: &str) -> u32 {
    let slot = &ground.slots[name];
    slot.ready + slot.stale.values().sum::<u32>()
}

fn all_pods(ground: &Ground) -> u32 {
    ground.slots.keys().map(|name| pods(ground, name.as_str())).sum()
}

/// Ready pods of a Deployment that are not of its template.
pub(super) fn stale(ground: &Ground, name: &str) -> u32 {
    let all = if is_one(ground) { all_pods(ground) } else { pods(ground, name) };
    all - ground.slots[name].ready
}

/// Whether users can reach a slot's pods, apart from a route's weights.
fn is_selected(ground: &Ground) -> bool {
    matches!(ground.director, Director::Route(_)) || ground.selector == both()
}

/// Whether users are sent to a slot.
pub(super) fn has_traffic(ground: &Ground, name: &str) -> bool {
    let route = matches!(ground.director, Director::Route(_));
    let weighs = ground.weights.get(name).is_some_and(|weight| *weight > 0);
    if route { weighs } else { is_selected(ground) && pods(ground, name) > 0 }
}

/// Ready pods that users are sent to, whatever runs in them.
pub(super) fn serving(ground: &Ground) -> u32 {
    let names = ground.slots.keys().filter(|name| has_traffic(ground, name.as_str()));
    names.map(|name| pods(ground, name.as_str())).sum()
}

/// Ready pods of the template that a slot's own traffic would reach.
pub(super) fn fit(ground: &Ground, name: &str) -> u32 {
    if is_selected(ground) { ground.slots[name].ready } else { 0 }
}

/// Takes one pod away that is not of the template; which one is as it comes.
fn take_stale(ground: &mut Ground, name: &str) {
    let slot = ground.slot(name);
    let image = slot.stale.iter().find(|(_, count)| **count > 0).map(|(image, _)| image.clone());
    if let Some(count) = image.and_then(|image| slot.stale.get_mut(&image)) {
        *count -= 1;
        return;
    }
    if is_one(ground) {
        let other = if name == OLD_REVISION { NEW_REVISION } else { OLD_REVISION };
        let slot = ground.slot(other);
        if slot.ready > 0 {
            slot.ready -= 1;
        } else if other == NEW_REVISION {
            take_stale_of(slot);
        }
    }
}

fn take_stale_of(slot: &mut crate::domain::fixture::ground::GroundSlot) {
    if let Some(count) = slot.stale.values_mut().find(|count| **count > 0) {
        *count -= 1;
    }
}

/// All that a rollout without any promise may take at once.
pub(super) fn take_all_stale(ground: &mut Ground, name: &str) {
    while stale(ground, name) > 0 {
        take_stale(ground, name);
    }
}

/// Pods that are too many go at once.
pub(super) fn shrink(ground: &mut Ground) {
    for name in deployments(ground) {
        let desired = ground.slots[&name].desired;
        // One more than wanted may run while a rollout is under way.
        let most = if desired == 0 { 0 } else { desired + 1 };
        while stale(ground, name.as_str()) > 0
            && stale(ground, name.as_str()) + ground.slots[&name].ready > most
        {
            take_stale(ground, name.as_str());
        }
        let slot = ground.slot(name.as_str());
        slot.ready = slot.ready.min(desired);
    }
}

/// A Deployment has got another template: pods of the one before become stale, and what is left of this one counts again.
pub(super) fn retemplate(before: &Ground, after: &mut Ground) {
    let names: Vec<SlotName> =
        if is_one(after) { vec![NEW_REVISION.into()] } else { after.slots.keys().cloned().collect() };
    let (was_old, is_old) = (before.template() == OLD_REVISION, after.template() == OLD_REVISION);
    let one = is_one(after);
    for name in names {
        let was = before.slots[&name].image.clone();
        let slot = after.slot(name.as_str());
        if was == slot.image && (!one || was_old == is_old) {
            continue;
        }
        if !one || !was_old {
            let ready = std::mem::take(&mut slot.ready);
            *slot.stale.entry(was).or_default() += ready;
        }
        if !one || !is_old {
            slot.ready = slot.stale.remove(&slot.image).unwrap_or(0);
        }
        after.slots.values_mut().for_each(|slot| slot.observed &= !one);
        after.slot(name.as_str()).observed = false;
    }
}

/// The controllers make one move.
pub(super) fn follow(ground: &mut Ground, recreate: bool) {
    ground.slots.values_mut().for_each(|slot| slot.observed = true);
    if ground.paused {
        return;
    }
    let kept = ground.kept;
    for name in deployments(ground) {
        let name = name.as_str();
        if recreate && stale(ground, name) > 0 {
            take_all_stale(ground, name);
            continue;
        }
        let (old, slot) = (stale(ground, name), ground.slot(name));
        let desired = slot.desired;
        if slot.image != BROKEN && slot.ready < desired && slot.ready + old < desired + 1 {
            slot.ready += 1;
        }
        slot.ready = slot.ready.min(desired);
        let (ready, kept) = (slot.ready, kept.min(desired));
        if kept == 0 {
            take_all_stale(ground, name);
        } else if old > 0 && ready + old > kept {
            take_stale(ground, name);
        }
    }
}

/// Whether a Deployment has all pods that it wants, and no others.
pub(super) fn is_complete(ground: &Ground, name: &str) -> bool {
    let name = if is_one(ground) { ground.template() } else { name };
    let slot = &ground.slots[name];
    !ground.paused && slot.observed && slot.ready == slot.desired && stale(ground, name) == 0
}
