//! Who gets the users' requests: what the Service, the route and the ready pods come to.
//!
//! With a selector the slot that it names has the traffic, pods or not. Else each template that has ready pods counts by
//! itself, so that two versions of one Deployment are told apart.

mod known;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

pub(super) use known::{Directed, Receiver, Traffic};

use super::{
    hindrance::is_of,
    object::{
        condition, controller_uid, int, list, name, selects, selects_object, string_map, template_hash,
        terminating, text, uid_of,
    },
    resource::Kind,
    state::{Due, State},
};
use crate::world::{
    scenario::Scenario,
    stage::{Backend, Directing, FurnishedSlot, Picture},
};

/// How long, and how many, pictures are kept for those who catch up with the traffic.
const KEPT_MS: i64 = 600_000;
/// More than any story has: without a bound a rehearsal that is left alone over a weekend would grow.
const KEPT_PICTURES: usize = 4096;

/// The label that the Deployment controller gives to each revision's pods.
const HASH_LABEL: &str = "/metadata/labels/pod-template-hash";

/// The ready pods of one template.
#[derive(Debug, Default)]
struct Ready {
    image: String,
    pods: Vec<Arc<Value>>,
    /// When the youngest of them was made.
    youngest: String,
}

impl State {
    /// The slots whose pods the Service selects, whether there are any or not.
    pub(super) fn live_slots(&self) -> BTreeSet<String> {
        let Some(service) = self.store.get(&self.key(Kind::Service, &self.furniture.service)) else {
            return BTreeSet::new();
        };
        let selector = string_map(service, "/spec/selector");
        let live =
            self.furniture.slots.iter().filter(|(_, slot)| selects(&selector, &self.slot_labels(slot)));
        live.map(|(name, _)| name.clone()).collect()
    }

    /// Of the template as it is now: a release may change labels, and a Service that selects by them loses the slot then.
    fn slot_labels(&self, slot: &FurnishedSlot) -> BTreeMap<String, String> {
        let deployment = self.store.get(&self.key(Kind::Deployment, &slot.deployment));
        deployment.map_or_else(
            || slot.selector.clone(),
            |object| string_map(object, "/spec/template/metadata/labels"),
        )
    }

    /// Elsewhere one Service has the pods of both.
    fn selects_slots(&self) -> bool {
        self.furniture.directing == Directing::Selector
    }

    /// Who a pod of this slot and template is among those who get traffic.
    pub(super) fn receiver(&self, slot: &str, hash: &str) -> Receiver {
        let hash = if self.selects_slots() { "" } else { hash };
        Receiver { slot: slot.to_owned(), hash: hash.to_owned() }
    }

    /// The slot and template that a pod belongs to.
    pub(super) fn receiver_of(&self, pod: &Value) -> Option<Receiver> {
        let slot = self.furniture.slots.iter().find(|(_, slot)| is_of(pod, &slot.deployment));
        slot.map(|(slot, _)| self.receiver(slot, text(pod, HASH_LABEL)))
    }

    /// Since when this one has traffic, where that began in this world: with a selector the last time, else the first.
    pub(super) fn live_since(&self, receiver: &Receiver) -> Option<i64> {
        let since = if self.selects_slots() {
            let lately = self.directed.history.iter().rev().take_while(|then| then.live.contains(receiver));
            lately.last().map(|then| then.since)
        } else {
            self.directed.first.get(receiver).copied()
        };
        since.filter(|since| *since != i64::MIN)
    }

    /// Writes down who has the traffic now, and lets the scenarios that wait for it begin.
    pub(super) fn follow_traffic(&mut self) {
        let begins = self.directed.history.is_empty();
        // At its beginning the world has been like this for long.
        let since = if begins { i64::MIN } else { self.now };
        let mut picture = self.shares();
        let live: BTreeSet<Receiver> = picture
            .backends
            .iter()
            .filter(|backend| backend.is_live())
            .map(|backend| self.receiver(&backend.slot, &backend.hash))
            .collect();
        let before = self.directed.history.last().map(|last| last.live.clone());
        if before.as_ref() != Some(&live) {
            for receiver in live.difference(&before.unwrap_or_default()) {
                let is_first = !self.directed.first.contains_key(receiver);
                self.directed.first.entry(receiver.clone()).or_insert(since);
                let again = is_first || self.selects_slots();
                if let Some(after) = self.wobble_after().filter(|_| again && !begins) {
                    self.at(since + after, Due::Wobble { receiver: receiver.clone(), since, count: 1 });
                }
            }
            self.directed.history.push(Traffic { since, live });
        }
        self.date(&mut picture);
        if self.directed.pictures.back().is_none_or(|(_, last)| *last != picture) {
            let pictures = &mut self.directed.pictures;
            // The first one is true until the second begins.
            while pictures.len() == KEPT_PICTURES
                || pictures.get(1).is_some_and(|(from, _)| *from < self.now - KEPT_MS)
            {
                pictures.pop_front();
            }
            pictures.push_back((since, picture));
        }
    }

    /// Who gets the traffic now.
    pub(super) fn picture(&self) -> Picture {
        let mut picture = self.shares();
        self.date(&mut picture);
        picture
    }

    /// What happened since `since`, the last entry being as it is now.
    pub(super) fn pictures(&self, since: i64) -> Vec<(i64, Picture)> {
        let kept = &self.directed.pictures;
        let from = kept.iter().rposition(|(at, _)| *at <= since).unwrap_or(0);
        let mut pictures: Vec<_> = kept.range(from..).cloned().collect();
        // What the controllers have not yet looked at is already so.
        let now = self.picture();
        if pictures.last().is_none_or(|(_, last)| *last != now) {
            pictures.push((self.now, now));
        }
        pictures
    }

    fn date(&self, picture: &mut Picture) {
        for backend in &mut picture.backends {
            let receiver = self.receiver(&backend.slot, &backend.hash);
            backend.since = self.live_since(&receiver).filter(|_| backend.is_live());
        }
    }

    // --- shares ------------------------------------------------------------------------------------------------

    /// Who gets which part at this moment, by the objects alone: nothing here knows what a run wants.
    fn shares(&self) -> Picture {
        match &self.furniture.directing {
            Directing::Selector => self.by_selector(),
            Directing::Replicas | Directing::Rollout => {
                let service = self.furniture.service.clone();
                self.by_services(&[(service, 1.0)], 0.0)
            }
            Directing::Route { name, rule } => {
                let (services, refused) = self.routed(name, *rule);
                self.by_services(&services, refused)
            }
        }
    }

    /// One backend a slot, of the template that most ready pods run: all requests to the one that the Service selects.
    fn by_selector(&self) -> Picture {
        let live = self.live_slots();
        let mut backends = Vec::new();
        for (slot, furnished) in &self.furniture.slots {
            let ready = self.ready_pods_of(&furnished.deployment);
            let total = ready.values().map(|ready| ready.pods.len()).sum();
            // Among equals the newer template.
            let most = ready.into_iter().max_by(|(_, one), (_, other)| {
                (one.pods.len(), &one.youngest).cmp(&(other.pods.len(), &other.youngest))
            });
            let mut backend = self.without_pods(slot, furnished);
            if let Some((hash, ready)) = most {
                (backend.hash, backend.image) = (hash, ready.image);
            }
            backend.ready = count(total);
            backends.push(backend);
        }
        // A selector that names several slots spreads the requests over their pods.
        let selected = |backend: &Backend| live.contains(&backend.slot);
        let ready: u32 =
            backends.iter().filter(|backend| selected(backend)).map(|backend| backend.ready).sum();
        let slots = u32::try_from(live.len()).unwrap_or(u32::MAX);
        for backend in backends.iter_mut().filter(|backend| selected(backend)) {
            backend.share = if ready == 0 {
                1.0 / f64::from(slots)
            } else if slots == 1 {
                1.0
            } else {
                f64::from(backend.ready) / f64::from(ready)
            };
        }
        backends.into()
    }

    /// One backend a template with ready pods. Each Service hands its share on to the ready pods that it selects; what goes to
    /// a Service without any is lost.
    fn by_services(&self, services: &[(String, f64)], refused: f64) -> Picture {
        let mut picture = Picture { refused, ..Picture::default() };
        let selectors: Vec<_> = services
            .iter()
            .filter_map(|(service, share)| {
                let service = self.store.get(&self.key(Kind::Service, service))?;
                Some((string_map(service, "/spec/selector"), *share, self.is_ours(service)))
            })
            .collect();
        picture.elsewhere = selectors.iter().filter(|(_, _, ours)| !ours).map(|(_, share, _)| share).sum();
        let mut pods = vec![0_u32; selectors.len()];
        let mut selected: Vec<Vec<u32>> = Vec::new();
        for (slot, furnished) in &self.furniture.slots {
            let ready = self.ready_pods_of(&furnished.deployment);
            if ready.is_empty() {
                picture.backends.push(self.without_pods(slot, furnished));
                selected.push(vec![0; selectors.len()]);
            }
            for (hash, ready) in ready {
                let mine: Vec<u32> = selectors
                    .iter()
                    .map(|(selector, ..)| {
                        count(ready.pods.iter().filter(|pod| selects_object(selector, pod)).count())
                    })
                    .collect();
                pods.iter_mut().zip(&mine).for_each(|(all, mine)| *all += mine);
                selected.push(mine);
                picture.backends.push(Backend {
                    hash,
                    image: ready.image,
                    ready: count(ready.pods.len()),
                    ..self.without_pods(slot, furnished)
                });
            }
        }
        for (backend, mine) in picture.backends.iter_mut().zip(selected) {
            let shares = mine.iter().zip(&pods).zip(&selectors).filter(|((_, all), _)| **all > 0);
            backend.share =
                shares.map(|((mine, all), (_, share, _))| share * f64::from(*mine) / f64::from(*all)).sum();
        }
        picture
    }

    /// Whether a Service is for the slots' pods; if not, others stand behind it.
    fn is_ours(&self, service: &Value) -> bool {
        let selector = string_map(service, "/spec/selector");
        name(service) == self.furniture.service
            || self.furniture.slots.values().any(|slot| {
                slot.own_service() == name(service) || selects(&selector, &self.slot_labels(slot))
            })
    }

    /// A slot as its Deployment's template has it.
    fn without_pods(&self, slot: &str, furnished: &FurnishedSlot) -> Backend {
        let deployment = self.store.get(&self.key(Kind::Deployment, &furnished.deployment));
        Backend {
            slot: slot.to_owned(),
            hash: deployment.map(|object| template_hash(&object["spec"]["template"])).unwrap_or_default(),
            image: deployment
                .map(|object| text(object, "/spec/template/spec/containers/0/image").to_owned())
                .unwrap_or_default(),
            desired: deployment.map_or(0, |object| u32::try_from(int(object, "/spec/replicas")).unwrap_or(0)),
            ..Backend::default()
        }
    }

    /// A Deployment's ready pods by the hash of their template.
    fn ready_pods_of(&self, deployment: &str) -> BTreeMap<String, Ready> {
        let mut ready: BTreeMap<String, Ready> = BTreeMap::new();
        for pod in self.pods_of(deployment) {
            if condition(&pod, "Ready") == "True" {
                let entry = ready.entry(text(&pod, HASH_LABEL).to_owned()).or_default();
                text(&pod, "/spec/containers/0/image").clone_into(&mut entry.image);
                let made = text(&pod, "/metadata/creationTimestamp");
                if made > entry.youngest.as_str() {
                    made.clone_into(&mut entry.youngest);
                }
                entry.pods.push(pod);
            }
        }
        ready
    }

    /// Pods of a Deployment that are not on their way out, by name.
    pub(super) fn pods_of(&self, deployment: &str) -> Vec<Arc<Value>> {
        let owners: BTreeSet<String> = self
            .store
            .list(Kind::ReplicaSet, Some(&self.furniture.namespace))
            .filter(|(_, set)| {
                list(set, "/metadata/ownerReferences").iter().any(|owner| text(owner, "/name") == deployment)
            })
            .map(|(_, set)| uid_of(set).to_owned())
            .collect();
        self.store
            .list(Kind::Pod, Some(&self.furniture.namespace))
            .filter(|(_, pod)| owners.contains(controller_uid(pod)) && !terminating(pod))
            .map(|(_, pod)| Arc::clone(pod))
            .collect()
    }

    // --- what a bad version does to its pods -------------------------------------------------------------------

    /// How long after its first traffic a pod of a bad version crashes.
    fn wobble_after(&self) -> Option<i64> {
        match self.scenario {
            Scenario::BadRelease | Scenario::BadAtFivePercent => Some(180_000),
            Scenario::RollbackNeededLate => Some((self.furniture.window_ms - 30_000).max(30_000)),
            _ => None,
        }
    }

    /// How long after its first traffic a bad version begins to fail.
    pub(super) fn failing_after(&self) -> Option<i64> {
        match self.scenario {
            Scenario::BadRelease => Some(120_000),
            Scenario::BadAtFivePercent => Some(0),
            Scenario::RollbackNeededLate => Some((self.furniture.window_ms - 60_000).max(0)),
            _ => None,
        }
    }

    /// Planned when the pods got their users; by now they may have lost them, or be others.
    pub(super) fn wobble(&mut self, receiver: &Receiver, since: i64, count: u32) {
        let serves = self.directed.history.last().is_some_and(|now| now.live.contains(receiver));
        if self.live_since(receiver) != Some(since) || !serves {
            return;
        }
        let Some(slot) = self.furniture.slots.get(&receiver.slot) else { return };
        let pods = self.pods_of(&slot.deployment);
        let Some(pod) = pods.iter().find(|pod| {
            condition(pod, "Ready") == "True"
                && text(pod, "/spec/containers/0/image") != self.furniture.image
                && (receiver.hash.is_empty() || text(pod, HASH_LABEL) == receiver.hash)
        }) else {
            return;
        };
        self.crash(&Value::clone(pod), 1);
        if count < 2 {
            // Crashing once restarts at once; the second time soon after is a crash loop.
            self.at(self.now + 20_000, Due::Wobble { receiver: receiver.clone(), since, count: count + 1 });
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
