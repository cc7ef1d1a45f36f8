//! The simulated Prometheus: it scrapes the simulated [`Traffic`] into a bounded store and answers Prometheus's HTTP API.
//!
//! It behaves as the real one where a runbook can tell: the look-back of five minutes, the mark at the end of a vanished
//! series, the shapes and codes of answers and errors. Time is the world's; what it saw before the world began is filled
//! in, so that range queries have a past to show.

pub mod api;
mod dialect;
pub mod exposition;
pub mod labels;
pub mod store;

use std::collections::{BTreeMap, HashSet};

use self::{
    labels::Labels,
    store::{SeriesId, Store, named},
};
use super::{
    promql::Engine,
    reply::Reply,
    scenario::Scenario,
    stage::{Directing, FurnishedSlot, Furniture, Picture},
    traffic::{STEP_MS, Traffic},
};

/// How the simulated Prometheus is set up. All in simulated milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Time between two scrapes; whole seconds.
    pub scrape_ms: i64,
    /// How much past there is when the world begins.
    pub history_ms: i64,
    /// How long samples are kept.
    pub retention_ms: i64,
    /// Whether the application counts the kubelet's probes as requests. Where not, a slot without users has none at all.
    pub counts_probes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { scrape_ms: 5_000, history_ms: 45 * 60_000, retention_ms: 2 * 3_600_000, counts_probes: true }
    }
}

/// The traffic and what the simulated Prometheus has seen of it.
#[derive(Debug)]
pub struct Telemetry {
    traffic: Traffic,
    store: Store,
    engine: Engine,
    targets: BTreeMap<String, Target>,
    own_up: SeriesId,
    /// The `job` label.
    job: String,
    /// The `namespace` label.
    namespace: String,
    /// The slots' objects.
    slots: BTreeMap<String, FurnishedSlot>,
    directing: Directing,
    settings: Settings,
}

/// A backend that is scraped.
#[derive(Debug)]
struct Target {
    incarnation: u64,
    up: SeriesId,
    /// In the order in which [`Traffic::visit`] shows them.
    series: Vec<SeriesId>,
}

impl Telemetry {
    /// A world that has run for [`Settings::history_ms`] when it is `now_ms`, with the cluster as `picture` has it.
    #[must_use]
    pub fn start(
        furniture: &Furniture,
        scenario: Scenario,
        seed: u64,
        now_ms: i64,
        picture: &Picture,
        settings: Settings,
    ) -> Self {
        let mut store = Store::new(settings.retention_ms);
        let own_up = store.series(named("up", [("job", "prometheus"), ("instance", "localhost:9090")]));
        let mut telemetry = Self {
            traffic: Traffic::new(furniture, scenario, seed, now_ms - settings.history_ms)
                .counting_probes(settings.counts_probes),
            store,
            engine: Engine::default(),
            targets: BTreeMap::new(),
            own_up,
            job: furniture.service.clone(),
            namespace: furniture.namespace.clone(),
            slots: furniture.slots.clone(),
            directing: furniture.directing.clone(),
            settings,
        };
        // Before the world began the cluster was as it is at its beginning, and nothing had just been switched.
        let mut before = picture.clone();
        before.backends.iter_mut().for_each(|backend| backend.since = None);
        telemetry.advance(now_ms, &before);
        telemetry.traffic.forget_users();
        telemetry
    }

    /// Catches up with `now_ms`, the cluster having been as `picture` says. Seconds that lie beyond the retention are left out.
    pub fn advance(&mut self, now_ms: i64, picture: &Picture) {
        self.follow(now_ms, std::slice::from_ref(&(i64::MIN, picture.clone())));
    }

    /// Catches up with `now_ms`, each second as the picture says that was true at its end.
    pub fn follow(&mut self, now_ms: i64, pictures: &[(i64, Picture)]) {
        self.traffic.skip_to(now_ms - self.settings.retention_ms);
        let mut at = 0;
        while self.traffic.now_ms() + STEP_MS <= now_ms {
            let end = self.traffic.now_ms() + STEP_MS;
            while pictures.get(at + 1).is_some_and(|(from, _)| *from <= end) {
                at += 1;
            }
            let Some((_, picture)) = pictures.get(at) else { return };
            self.traffic.step(picture);
            if self.traffic.now_ms() % self.settings.scrape_ms == 0 {
                self.scrape();
            }
        }
    }

    /// The traffic as counted so far.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The series scraped so far.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Answers a request to the simulated Prometheus as it is `now_ms`.
    pub fn answer(&self, request: &api::Request, now_ms: i64) -> Reply {
        api::answer(api::Source { store: &self.store, engine: &self.engine, now: now_ms }, request)
    }

    fn scrape(&mut self) {
        let t = self.traffic.now_ms();
        self.store.append(self.own_up, t, 1.0);
        let exporting: BTreeMap<String, u64> =
            self.traffic.exporting().map(|one| (one.id.to_owned(), one.incarnation)).collect();
        let gone: Vec<_> = self.targets.keys().filter(|id| !exporting.contains_key(*id)).cloned().collect();
        for id in gone {
            if let Some(target) = self.targets.remove(&id) {
                self.end(target.series.into_iter().chain([target.up]), t);
            }
        }
        for (id, incarnation) in exporting {
            if self.targets.get(&id).is_none_or(|target| target.incarnation != incarnation) {
                self.discover(&id, t);
            }
            let Some(target) = self.targets.get(&id) else { continue };
            self.store.append(target.up, t, 1.0);
            let mut ids = target.series.iter();
            let store = &mut self.store;
            self.traffic.visit(&id, &mut |point| {
                if let Some(&id) = ids.next() {
                    store.append(id, t, point.value);
                }
            });
        }
    }

    /// Makes the series of a backend whose pods are new, and ends those that only the old ones had.
    fn discover(&mut self, id: &str, t: i64) {
        let Some(exporter) = self.traffic.exporting().find(|exporter| exporter.id == id) else { return };
        let incarnation = exporter.incarnation;
        let slot = self.slots.get(exporter.slot);
        let deployment = slot.map_or(exporter.slot, |slot| slot.deployment.as_str());
        let selects_slots = self.directing == Directing::Selector;
        let instance = if selects_slots {
            format!("{deployment}:8080")
        } else {
            format!("{deployment}-{}:8080", exporter.hash)
        };
        // As service discovery has them: the labels of the pods that tell slots apart, and where it runs.
        let selector = slot.into_iter().flat_map(|slot| &slot.selector);
        let copied: Vec<(String, &str)> = selector
            .map(|(key, value)| (labels::from_kubernetes(key), value.as_str()))
            // What the application says of itself goes before.
            .filter(|(key, _)| !["slot", "version", "pod_template_hash"].contains(&key.as_str()))
            .collect();
        let pod = format!("{deployment}-{}-7xk2p", exporter.hash);
        let mut own: Vec<(&str, &str)> = copied.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let address = [("job", self.job.as_str()), ("instance", instance.as_str())];
        own.extend(
            address.into_iter().chain([("namespace", self.namespace.as_str()), ("deployment", deployment)]),
        );
        own.extend((!exporter.hash.is_empty()).then_some(("pod", pod.as_str())));
        // What tells targets apart besides: the slot, or what the pods run.
        let mut target = Vec::new();
        if self.directing != Directing::Rollout {
            target.push(("slot", exporter.slot));
        }
        if !selects_slots {
            target.extend([("version", exporter.version), ("pod_template_hash", exporter.hash)]);
        }
        let up = self.store.series(named("up", address.into_iter().chain(target)));
        let store = &mut self.store;
        let mut series = Vec::new();
        self.traffic.visit(id, &mut |point| {
            let name = format!("{}{}", point.family.name, point.suffix);
            let labels: Labels = named(&name, own.iter().copied().chain(point.labels.iter().copied()));
            series.push(store.series(labels));
        });
        let stay: HashSet<_> = series.iter().copied().collect();
        if let Some(old) = self.targets.insert(id.to_owned(), Target { incarnation, up, series }) {
            self.end(old.series.into_iter().filter(|id| !stay.contains(id)), t);
        }
    }

    fn end(&mut self, series: impl IntoIterator<Item = SeriesId>, t: i64) {
        for id in series {
            self.store.end(id, t);
        }
    }
}

#[cfg(test)]
mod tests;
