//! The traffic of the simulated service: who answers how many requests, how fast and how well.
//!
//! One stream of users, about forty requests a second in small waves, goes to the slot that the Service selects;
//! everything that the world measures is counted from it, second by second of simulated time. The same seed and the same
//! cluster give the same counters, whether the seconds are walked one by one or caught up with in one go.

mod noise;
mod slot;
mod story;

use std::collections::BTreeMap;

use self::{noise::noise, slot::Pods, story::Health};
use super::{
    metrics::exposition::Point,
    scenario::Scenario,
    stage::{Furniture, SlotState},
};
use story::Story;

/// The traffic moves in steps of this many simulated milliseconds.
pub const STEP_MS: i64 = 1_000;

/// Users' requests a second, before waves and noise.
const REQUESTS_PER_SECOND: f64 = 40.0;

/// How much of the traffic can change slots in one step: connections take two seconds to drain.
const MOVE_PER_STEP: f64 = 0.5;

/// The traffic up to one moment.
#[derive(Debug)]
pub struct Traffic {
    story: Story,
    /// The image the world began with: whatever else gets traffic is a new version.
    old_image: String,
    seed: u64,
    now_ms: i64,
    slots: BTreeMap<String, Slot>,
    incarnations: u64,
    metrics_outage: bool,
    counts_probes: bool,
}

/// One slot's part.
#[derive(Debug, Default)]
struct Slot {
    /// Share of the users' requests that arrive here, 0 to 1.
    share: f64,
    /// The pods that answer, where any is ready.
    pods: Option<Pods>,
}

impl Traffic {
    /// Traffic that begins at `start_ms` (simulated, since the epoch; rounded down to a whole step).
    #[must_use]
    pub fn new(furniture: &Furniture, scenario: Scenario, seed: u64, start_ms: i64) -> Self {
        Self {
            story: Story::new(scenario, furniture.window_ms, seed),
            old_image: furniture.image.clone(),
            seed,
            now_ms: start_ms - start_ms.rem_euclid(STEP_MS),
            slots: BTreeMap::new(),
            incarnations: 0,
            metrics_outage: false,
            counts_probes: true,
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

    /// Leaves out the seconds before `t`, where it has not come that far: nobody will ask for them.
    pub fn skip_to(&mut self, t: i64) {
        self.now_ms = self.now_ms.max(t - t.rem_euclid(STEP_MS));
    }

    /// Counts one more second, in which the cluster is as `stage` says.
    pub fn step(&mut self, stage: &[SlotState]) {
        let beginning = self.slots.is_empty();
        self.now_ms += STEP_MS;
        let live = live_at(stage, self.now_ms);
        self.slots.retain(|name, _| stage.iter().any(|state| state.name == *name));
        for state in stage {
            let is_live = live == Some(state.name.as_str());
            let slot = self.slots.entry(state.name.clone()).or_default();
            slot.follow(state, self.now_ms, &mut self.incarnations);
            let target = if is_live { 1.0 } else { 0.0 };
            slot.share = if beginning {
                target
            } else {
                slot.share + (target - slot.share).clamp(-MOVE_PER_STEP, MOVE_PER_STEP)
            };
            let Some(pods) = &mut slot.pods else { continue };
            let health = match new_for(state, is_live, pods, &self.old_image, self.now_ms) {
                Some(live_ms) => {
                    self.metrics_outage |= self.story.is_metrics_outage(live_ms);
                    self.story.health(live_ms)
                }
                None => Health::GOOD,
            };
            let requests = users(self.seed, self.now_ms / STEP_MS) * slot.share;
            if self.counts_probes {
                pods.probe();
            }
            pods.serve(requests, slot.share, health, self.seed, self.now_ms / STEP_MS);
        }
    }

    /// The slots that answer, and which start of their pods it is: a number that changes when all counters begin anew.
    pub fn exporting(&self) -> impl Iterator<Item = (&str, u64)> {
        self.slots
            .iter()
            .filter_map(|(name, slot)| slot.pods.as_ref().map(|pods| (name.as_str(), pods.incarnation)))
    }

    /// Whether `slot` has a pod that answers.
    #[must_use]
    pub fn answers(&self, slot: &str) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.pods.is_some())
    }

    /// Shows every measurement of `slot`, always in the same order for the same incarnation.
    pub fn visit(&self, slot: &str, visitor: &mut dyn FnMut(&Point<'_>)) {
        if let Some(pods) = self.slots.get(slot).and_then(|slot| slot.pods.as_ref()) {
            pods.visit(slot, visitor);
        }
    }
}

impl Slot {
    /// Takes over what the cluster says of the pods; other pods than before start counting from nothing.
    fn follow(&mut self, state: &SlotState, now_ms: i64, incarnations: &mut u64) {
        if state.ready == 0 {
            self.pods = None;
            return;
        }
        if self.pods.as_ref().is_none_or(|pods| pods.image != state.image) {
            *incarnations += 1;
            self.pods = Some(Pods::new(&state.image, now_ms, *incarnations));
        }
        if let Some(pods) = &mut self.pods {
            pods.ready = state.ready;
        }
    }
}

/// The slot that was live at `t`. A switch that came after `t` is not seen yet: the other slot had the traffic.
fn live_at(stage: &[SlotState], t: i64) -> Option<&str> {
    let live = stage.iter().find(|state| state.live)?;
    if live.live_since.is_some_and(|since| since > t) {
        let other = stage.iter().find(|state| state.name != live.name);
        return other.map(|state| state.name.as_str());
    }
    Some(&live.name)
}

/// For how many milliseconds a new version has had the traffic, where it is one and has it.
fn new_for(state: &SlotState, is_live: bool, pods: &Pods, old_image: &str, now_ms: i64) -> Option<i64> {
    if !is_live || state.image == old_image {
        return None;
    }
    let since = state.live_since.map_or(pods.started_ms, |since| since.max(pods.started_ms));
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
