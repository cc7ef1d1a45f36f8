//! Every strategy in which a slot can have a part of the traffic: by the weights of a route, by ready pods, by revisions of one
//! Deployment.
//!
//! What must hold for each write of ours, at the moment when it takes effect, unless somebody else has changed the target
//! since the look that allowed it:
//! - no slot gains weight without ready pods of the right template that its Service reaches, and never do all weigh nothing;
//! - nothing of ours takes the last ready pods that serve away, nor all pods of a slot that has weight, nor pods of a canary
//!   while the slot beside it has none that are ready;
//! - no write of ours but with strategy recreate replaces the template of the only Deployment that serves while its rollout may
//!   leave none;
//! - blue-green never touches the pods of a slot that has traffic.
//!
//! When a run says that it was rolled back, and nobody else has changed anything since it looked, users are on the version from
//! before alone. At the end of every history, once strangers rest and all pods have come up, that is so still, and users of a
//! run that says that it has succeeded are on ready pods. A run that has not ended says what it waits for.

use super::{
    Arrival, Rules, World,
    pods::{
        BROKEN, deployments, fit, follow, has_traffic, is_complete, is_one, pods, retemplate, serving,
        shrink, stale, take_all_stale,
    },
};
use crate::domain::{
    action::ActionKind,
    director::{Director, NEW_REVISION, OLD_REVISION, share_of},
    event::Outcome,
    fixture::ground::{Ground, both},
    id::SlotName,
    observation::Autoscaler,
    runbook::Strategy,
    time::Timestamp,
};

pub(super) struct Shared;

fn is_route(ground: &Ground) -> bool {
    matches!(ground.director, Director::Route(_))
}

fn strategy(world: &World) -> Strategy {
    world.flight.run().runbook.deployment.strategy
}

fn previous(world: &World) -> (SlotName, String) {
    let target = world.flight.run().opened.previous.as_ref().unwrap();
    (target.slot.clone(), target.image.clone())
}

/// Whether a Deployment's template is another one.
fn is_replaced(before: &Ground, after: &Ground, name: &str) -> bool {
    if is_one(after) {
        let image = |ground: &Ground| ground.slots[NEW_REVISION].image.clone();
        return (before.template(), image(before)) != (after.template(), image(after));
    }
    before.slots[name].image != after.slots[name].image
}

/// The ground as users meet it: the route as its gateway carries it out.
fn as_users_meet_it(world: &World) -> Ground {
    let mut ground = world.flight.ground.clone();
    ground.weights.clone_from(&world.carried);
    ground
}

/// What is wrong with saying that all users are back on the version from before.
fn not_back(world: &World, all_up: bool) -> Option<&'static str> {
    let ground = as_users_meet_it(world);
    let (slot, image) = previous(world);
    let name = slot.as_str();
    if is_one(&ground) {
        if ground.template() != OLD_REVISION {
            return Some("its template is not the old one");
        }
    } else if ground.slots[&slot].image != image {
        return Some("the slot does not run the version from before");
    }
    if ground.slots.keys().any(|other| *other != slot && has_traffic(&ground, other.as_str())) {
        return Some("some of them are not");
    }
    if !has_traffic(&ground, name) || fit(&ground, name) == 0 {
        return Some("nobody answers them");
    }
    (all_up && stale(&ground, name) > 0).then_some("pods of another version are left")
}

impl Shared {
    fn kill_a_pod(ground: &mut Ground, name: &str) {
        let slot = ground.slot(name);
        if let Some(count) = slot.stale.values_mut().find(|count| **count > 0) {
            *count -= 1;
        } else {
            slot.ready = slot.ready.saturating_sub(1);
        }
    }

    fn scale(ground: &mut Ground, name: &str, desired: u32) {
        let one = is_one(ground);
        for (slot, state) in &mut ground.slots {
            if one || slot.as_str() == name {
                state.desired = desired;
            }
        }
        shrink(ground);
    }
}

impl Rules for Shared {
    fn stranger(&self, world: &mut World) {
        let route = is_route(&world.flight.ground);
        let one = is_one(&world.flight.ground);
        let (which, dice, yes) = (world.rng.u8(0..16), world.rng.usize(0..5), world.rng.bool());
        let ground = &mut world.flight.ground;
        let before = ground.clone();
        let names = if one { [OLD_REVISION, NEW_REVISION] } else { ["stable", "canary"] };
        let name = names[usize::from(yes)];
        // What carries the template of the one Deployment.
        let carries = if one { NEW_REVISION } else { name };
        let slot = Some(SlotName::from(carries));
        let object = match which {
            0 | 1 if route => {
                let (part, rest) = [(0, 100), (50, 50), (100, 0), (5, 95), (0, 0)][dice];
                ground.weights = [(names[1].into(), part), (names[0].into(), rest)].into();
                "kubectl-edit".clone_into(&mut ground.manager);
                None
            }
            2 | 3 if route => {
                let why = "Accepted is False: no such listener".to_owned();
                ground.unfit = ground.unfit.is_none().then_some(why);
                None
            }
            0 | 1 => {
                ground.selector.insert("tier".to_owned(), "nope".to_owned());
                None
            }
            2 | 3 => {
                ground.selector = both();
                None
            }
            4 | 5 => {
                Self::scale(ground, name, u32::try_from(dice).unwrap());
                slot
            }
            6 | 7 => {
                let image = [BROKEN, "app:v3", "app:v2", "app:v1", BROKEN][dice];
                image.clone_into(&mut ground.slot(carries).image);
                ground.slot(carries).generation += 1;
                slot
            }
            8 => {
                let autoscaler = Autoscaler { name: name.to_owned(), min: 1, max: 5 };
                for (slot, state) in &mut ground.slots {
                    if one || slot.as_str() == name {
                        state.autoscaler = Some(autoscaler.clone());
                    }
                }
                Self::scale(ground, name, u32::try_from(dice).unwrap().max(1));
                slot
            }
            9 => {
                ground.kept = [0, 0, 2, 2, 3][dice];
                slot
            }
            10 if one => {
                ground.paused = yes;
                slot
            }
            11 if one => {
                ground.rolled = true;
                slot
            }
            12 => {
                // All that run the newest template crash.
                ground.slot(name).ready = 0;
                slot
            }
            _ => {
                Self::kill_a_pod(ground, name);
                slot
            }
        };
        retemplate(&before, ground);
        world.tell(format!("stranger {which} on {name}, {dice}"));
        world.changed(object, false);
    }

    fn pods_follow(&self, world: &mut World) {
        let recreate = strategy(world) == Strategy::Recreate;
        let ground = &mut world.flight.ground;
        let count = |ground: &Ground| -> Vec<u32> {
            ground.slots.keys().map(|name| pods(ground, name.as_str())).collect()
        };
        let before = count(ground);
        follow(ground, recreate);
        if ground.unfit.is_none() {
            world.carried.clone_from(&ground.weights);
        }
        // Pods that a look has seen are dead: whose rollout it was does not matter, for only somebody else can have let it.
        let gone = before.iter().zip(count(ground)).any(|(before, now)| now < *before);
        if gone && !recreate && ground.kept == 0 {
            world.tell("a rollout that somebody has let take all has taken pods");
            world.stamp += 1;
            world.foreign = world.stamp;
        }
    }

    fn touch_pods(&self, before: &Ground, after: &mut Ground) {
        for (name, slot) in &mut after.slots {
            slot.observed &= before.slots[name].desired == slot.desired;
            // The number that is wanted changes; which pods go is told below.
            slot.ready = before.slots[name].ready;
        }
        retemplate(before, after);
        if after.slots.iter().any(|(name, slot)| slot.desired < before.slots[name].desired) {
            shrink(after);
        }
    }

    fn judge_write(&self, world: &World, write: &Arrival) {
        let Arrival { kind, before, after, seen, undisturbed, .. } = *write;
        let (old, new) = (before.look(Timestamp(0)).shares(), after.look(Timestamp(0)).shares());
        let strategy = strategy(world);
        if is_route(after) && old != new && new.is_empty() {
            world.fail("the weights of all are 0");
        }
        if !undisturbed {
            return;
        }
        for name in after.slots.keys() {
            let name = name.as_str();
            let gains = share_of(&new, &name.into()) > share_of(&old, &name.into());
            if is_route(after) && gains && fit(after, name) == 0 {
                world.fail(&format!("{name} gained weight without ready pods"));
            }
            let fewer = pods(after, name) < pods(before, name);
            let idle = pods(after, name) == 0 && !is_one(after);
            if fewer && idle && is_route(after) && has_traffic(after, name) {
                world.fail(&format!("{name} has weight, and its last pods were taken away"));
            }
            let touched = fewer || is_replaced(before, after, name);
            // Where no pod of its template serves, an image is put back.
            let replaced = matches!(kind, ActionKind::SetImage { .. });
            let served = seen.is_none_or(|seen| seen.serving(&name.into()) > 0);
            let kept = served || !replaced || fewer;
            if strategy == Strategy::BlueGreen && touched && kept && has_traffic(before, name) {
                world.fail(&format!("the pods of {name}, which has traffic, were touched"));
            }
        }
        if serving(before) > 0 && serving(after) == 0 {
            world.fail("the last pods that serve were taken away");
        }
        let (previous, _) = previous(world);
        let new_slot = after.slots.keys().find(|name| **name != previous).unwrap().as_str();
        let by_pods = after.director == Director::Replicas;
        let fewer = pods(after, new_slot) < pods(before, new_slot);
        if by_pods && fewer && pods(before, previous.as_str()) == 0 {
            world.fail("pods of the canary went while the slot beside it has none");
        }
        for name in deployments(after) {
            let name = name.as_str();
            let kept = after.kept.min(after.slots[name].desired);
            if strategy == Strategy::Recreate || kept > 0 || !is_replaced(before, after, name) {
                continue;
            }
            let mut worst = after.clone();
            take_all_stale(&mut worst, name);
            // Where nobody answered there was nothing to lose: pods that have become ready on the way were not seen.
            let answered = |name: &SlotName| seen.is_some_and(|seen| seen.answering_to_stay(name) > 0);
            if after.slots.keys().any(answered) && serving(before) > 0 && serving(&worst) == 0 {
                world.fail(&format!("{kind:?} may take all pods that serve at once"));
            }
            let served = answered(&name.into()) && has_traffic(before, name) && pods(before, name) > 0;
            if is_route(after) && served && pods(&worst, name) == 0 {
                world.fail(&format!("{kind:?} may take all pods of {name}, which has weight"));
            }
        }
    }

    fn judge_claim(&self, world: &World, outcome: Outcome) {
        let looked = world.is_looked_at() && !world.says_unsure();
        if outcome == Outcome::RolledBack && looked && world.flight.ground.unfit.is_none() {
            let wrong = not_back(world, false);
            // The gateway takes up new weights in its own time.
            let late = is_route(&world.flight.ground) && world.carried != world.flight.ground.weights;
            if let Some(why) = wrong.filter(|_| !late) {
                world.fail(&format!("it says that it was rolled back: {why}"));
            }
        } else if outcome == Outcome::RolledBack && looked {
            world.fail("it says that it was rolled back, and the gateway does not carry out the route");
        }
        if outcome == Outcome::Succeeded && looked && serving(&world.flight.ground) == 0 {
            world.fail("it says that it has succeeded, and nobody answers");
        }
    }

    fn judge_end(&self, world: &World, outcome: Outcome) {
        let ground = as_users_meet_it(world);
        let all: u32 = ground.slots.keys().map(|name| pods(&ground, name.as_str())).sum();
        if all == 0 || ground.unfit.is_some() {
            return;
        }
        match outcome {
            Outcome::RolledBack => {
                if let Some(why) = not_back(world, !ground.paused) {
                    world.fail(&format!("rolled back, in the end: {why}"));
                }
            }
            Outcome::Succeeded => {
                let route = is_route(&ground);
                let names = ground.slots.keys().filter(|name| has_traffic(&ground, name.as_str()));
                let mut lost = names.filter(|name| route && pods(&ground, name.as_str()) == 0);
                if serving(&ground) == 0 || lost.next().is_some() {
                    world.fail("succeeded, and users have nobody who answers");
                }
            }
            _ => {}
        }
    }

    fn is_complete(&self, ground: &Ground, slot: &SlotName) -> Option<bool> {
        Some(is_complete(ground, slot.as_str()))
    }

    fn mend(&self, world: &mut World) {
        let run = world.flight.run();
        let (pinned, one) = (run.pinned.clone().unwrap(), run.is_one_deployment());
        let ground = &mut world.flight.ground;
        let before = ground.clone();
        (ground.unfit, ground.kept, ground.paused) = (None, 2, false);
        if is_route(ground) {
            ground.weights = pinned.route.unwrap().weights;
        } else {
            ground.selector = pinned.selector;
        }
        for (name, slot) in &mut ground.slots {
            let believed = &pinned.slots[if one { NEW_REVISION } else { name.as_str() }];
            slot.desired = believed.replicas;
            if !one || name.as_str() == NEW_REVISION {
                slot.image = believed.image.clone().unwrap();
            }
        }
        retemplate(&before, ground);
        shrink(ground);
        world.tell("mended by hand");
        world.changed(None, false);
        for slot in world.flight.ground.slots.keys().cloned().collect::<Vec<_>>() {
            world.changed(Some(slot), false);
        }
    }
}
