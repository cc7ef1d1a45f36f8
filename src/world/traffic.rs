//! The simulated service's traffic: who answers how many requests, how fast and how well.
//!
//! One stream of users, about forty requests a second in small waves, goes where the cluster's [`Picture`] says, each backend
//! getting its share; everything that the world measures is counted from it, second by second of simulated time. The same seed and the same
//! cluster give the same counters, whether the seconds are walked one by one or caught up with in one go.

mod counter;
mod noise;
mod pods;
mod story;
mod users;

use std::collections::{BTreeMap, BTreeSet};

pub use self::users::{Answered, Users};
use self::{
    noise::noise,
    pods::Pods,
    story::{Health, Story},
};
use super::{
    metrics::exposition::Point,
    scenario::Scenario,
    stage::{Backend, Directing, Furniture, Picture},
};

/// The traffic moves in steps of this many simulated milliseconds.
pub const STEP_MS: i64 = 1_000;

/// Users' requests a second, before waves and noise.
const REQUESTS_PER_SECOND: f64 = 40.0;

/// How much of the traffic can change slots in one step when a selector changes: connections take two seconds to drain.
const MOVE_PER_STEP: f64 = 0.5;

/// The traffic up to one moment.
#[derive(Debug)]
pub struct Traffic {
    story: Story,
    /// The image the world began with: whatever else gets traffic is a new version.
    old_image: String,
    /// Whether a selector directs the traffic: a slot is one backend then, and connections take their time to move.
    selects_slots: bool,
    /// Whether all versions are one Deployment's: slots tell nothing apart then.
    one_deployment: bool,
    seed: u64,
    now_ms: i64,
    has_begun: bool,
    backends: BTreeMap<String, Served>,
    incarnations: u64,
    metrics_outage: bool,
    counts_probes: bool,
    users: Users,
}

/// One backend's part.
#[derive(Debug, Default)]
struct Served {
    slot: String,
    /// Share of the users' requests that arrive here, 0 to 1.
    share: f64,
    /// The pods that answer, where any is ready.
    pods: Option<Pods>,
}

/// A backend that shows its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exporter<'a> {
    /// Its name among all backends: the slot's where a selector directs the traffic, else with the template's hash.
    pub id: &'a str,
    /// Its slot.
    pub slot: &'a str,
    /// The image's tag.
    pub version: &'a str,
    /// The pods' `pod-template-hash`; empty where nobody knows it.
    pub hash: &'a str,
    /// Which start of its pods it is: a number that changes when all counters begin over.
    pub incarnation: u64,
}

impl Traffic {
    /// Traffic that begins at `start_ms` (simulated, since the epoch; rounded down to a whole step).
    #[must_use]
    pub fn new(furniture: &Furniture, scenario: Scenario, seed: u64, start_ms: i64) -> Self {
        Self {
            story: Story::new(scenario, furniture.window_ms, seed),
            old_image: furniture.image.clone(),
            selects_slots: furniture.directing == Directing::Selector,
            one_deployment: furniture.directing == Directing::Rollout,
            seed,
            now_ms: start_ms - start_ms.rem_euclid(STEP_MS),
            has_begun: false,
            backends: BTreeMap::new(),
            incarnations: 0,
            metrics_outage: false,
            counts_probes: true,
            users: Users::default(),
        }
    }

    /// Whether the application counts the kubelet's probes as requests.
    #[must_use]
    pub fn counting_probes(mut self, counts: bool) -> Self {
        self.counts_probes = counts;
        self
    }

    /// Simulated milliseconds up to which requests are counted.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Whether the metrics servers and endpoints have died. They do not come back.
    #[must_use]
    pub fn is_metrics_outage(&self) -> bool {
        self.metrics_outage
    }

    /// What the users met so far.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// Counts what the users meet from nothing.
    pub(super) fn forget_users(&mut self) {
        self.users = Users::default();
    }

    /// Leaves out the seconds before `t`, where it has not come that far: nobody will ask for them.
    pub fn skip_to(&mut self, t: i64) {
        self.now_ms = self.now_ms.max(t - t.rem_euclid(STEP_MS));
    }

    /// Counts one more second, in which the cluster is as `picture` says.
    pub fn step(&mut self, picture: &Picture) {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        self.now_ms += STEP_MS;
        let second = self.now_ms / STEP_MS;
        let requests = users(self.seed, second);
        let ids: BTreeSet<String> = picture.backends.iter().map(|backend| self.id(backend)).collect();
        self.backends.retain(|id, _| ids.contains(id));
        // What is not sent to a backend of ours nor to one of others finds nobody.
        let mut lost = 1.0 - picture.elsewhere;
        self.users.count_elsewhere(requests * picture.elsewhere);
        let newest = picture.backends.iter().filter_map(|backend| {
            let pods = self.backends.get(&self.id(backend))?.pods.as_ref()?;
            new_for(backend, pods, &self.old_image, self.now_ms, self.selects_slots)
        });
        let ambient = self.story.ambient(self.now_ms, newest.max());
        for backend in &picture.backends {
            let moves = if is_first || !self.selects_slots { 1.0 } else { MOVE_PER_STEP };
            let served = self.backends.entry(self.id(backend)).or_default();
            served.follow(backend, self.now_ms, &mut self.incarnations);
            served.share += (backend.share - served.share).clamp(-moves, moves);
            let Some(pods) = &mut served.pods else { continue };
            lost -= served.share;
            let new_for = new_for(backend, pods, &self.old_image, self.now_ms, self.selects_slots);
            let health = match new_for {
                _ if ambient.is_some() => ambient.unwrap_or(Health::GOOD),
                Some(live_ms) => {
                    self.metrics_outage |= self.story.is_metrics_outage(live_ms);
                    self.story.health(live_ms)
                }
                None => Health::GOOD,
            };
            if self.counts_probes {
                pods.probe();
            }
            let (answered, failed) =
                pods.serve(requests * served.share, served.share, health, self.seed, second);
            self.users.count(pods.version(), answered, failed);
        }
        self.users.count_lost(requests * lost);
    }

    fn id(&self, backend: &Backend) -> String {
        if self.selects_slots { backend.slot.clone() } else { format!("{}/{}", backend.slot, backend.hash) }
    }

    /// The backends that answer.
    pub fn exporting(&self) -> impl Iterator<Item = Exporter<'_>> {
        self.backends.iter().filter_map(|(id, served)| {
            let pods = served.pods.as_ref()?;
            Some(Exporter {
                id,
                slot: &served.slot,
                version: pods.version(),
                hash: &pods.hash,
                incarnation: pods.incarnation,
            })
        })
    }

    /// Whether the backend `id` has a pod that answers.
    #[must_use]
    pub fn answers(&self, id: &str) -> bool {
        self.backends.get(id).is_some_and(|served| served.pods.is_some())
    }

    /// Shows every measurement of the backend `id`, always in the same order for the same incarnation. All have the labels
    /// `slot`, `version` and `pod_template_hash`; where one Deployment has both versions, there is no slot.
    pub fn visit(&self, id: &str, visitor: &mut dyn FnMut(&Point<'_>)) {
        let Some(served) = self.backends.get(id) else { return };
        if let Some(pods) = &served.pods {
            pods.visit((!self.one_deployment).then_some(served.slot.as_str()), visitor);
        }
    }
}

impl Served {
    /// Takes over what the cluster says of the pods; other pods than before start counting from nothing.
    fn follow(&mut self, backend: &Backend, now_ms: i64, incarnations: &mut u64) {
        self.slot.clone_from(&backend.slot);
        if backend.ready == 0 {
            self.pods = None;
            return;
        }
        if self.pods.as_ref().is_none_or(|pods| (&pods.image, &pods.hash) != (&backend.image, &backend.hash))
        {
            *incarnations += 1;
            self.pods = Some(Pods::new(&backend.image, &backend.hash, now_ms, *incarnations));
        }
        if let Some(pods) = &mut self.pods {
            pods.ready = backend.ready;
        }
    }
}

/// For how many milliseconds a new version has had traffic, where it is one and has any. In a slot that had the traffic already
/// it is new from its pods' start on.
fn new_for(backend: &Backend, pods: &Pods, old_image: &str, now_ms: i64, in_slot: bool) -> Option<i64> {
    if !backend.is_live() || backend.image == old_image {
        return None;
    }
    let since = match backend.since {
        Some(since) if in_slot => since.max(pods.started_ms),
        Some(since) => since,
        None => pods.started_ms,
    };
    Some(now_ms - since)
}

/// The users' requests in one second: two waves and some noise around the mean.
fn users(seed: u64, second: i64) -> f64 {
    let wave = |period: i64| {
        #[expect(clippy::cast_precision_loss, reason = "a remainder below the period fits a double")]
        let phase = second.rem_euclid(period) as f64 / period as f64;
        (phase * std::f64::consts::TAU).sin()
    };
    REQUESTS_PER_SECOND * (1.0 + 0.05 * wave(600) + 0.02 * wave(97) + 0.03 * noise(seed, second, 2))
}

/// The part of an image's name behind the last colon, say `v1.5.0`; the whole name where it has no tag.
#[must_use]
pub fn tag(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        // A colon before the last slash belongs to the registry's port.
        Some((_, tag)) if !tag.contains('/') => tag,
        _ => image,
    }
}

#[cfg(test)]
pub(super) mod tests;
