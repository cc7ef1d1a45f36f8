//! Everything known about the cluster at one moment, and the workload derived from it.

use std::{cmp::Ordering, collections::BTreeMap};

use k8s_openapi::api::core::v1::Event as ApiEvent;

use crate::domain::{
    director::{Director, NEW_REVISION, OLD_REVISION, leading, shares_by},
    id::SlotName,
    runbook::{Slot, Target},
    safe_text::SafeText,
    time::Timestamp,
    workload::{Connection, SlotWorkload, WarningEvent, Workload},
};

use super::{
    director::{Revisions, RouteView, shares_of_pods},
    pod::PodRecord,
    rollout::{self, NewestSet, told_hash},
    seen::kept,
    view::{DeploymentView, ServiceView, is_newer},
    when::said_at,
};

/// Warnings shown.
const SHOWN_WARNINGS: usize = 50;
/// Warnings kept: more than are shown, since old ones are overtaken when they happen again.
const KEPT_WARNINGS: usize = 200;

/// A value that several sources report, of which the newest counts: a read that was slow may not undo what a watch has
/// told meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Newest<T> {
    value: Option<T>,
    version: String,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self { value: None, version: String::new() }
    }
}

impl<T> Newest<T> {
    /// Takes a value of a version, unless a newer one is known. Says whether it was taken.
    pub(super) fn put(&mut self, value: T, version: &str) -> bool {
        let newer = is_newer(version, &self.version);
        if newer {
            self.value = Some(value);
            version.clone_into(&mut self.version);
        }
        newer
    }

    /// The object is gone as of a version; as of now where none is given.
    pub(super) fn gone(&mut self, version: Option<&str>) {
        if version.is_none_or(|version| is_newer(version, &self.version)) {
            self.value = None;
            if let Some(version) = version {
                version.clone_into(&mut self.version);
            }
        }
    }

    /// The newest value.
    pub(super) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

/// A warning event with the name by which it is told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Warning {
    name: String,
    event: WarningEvent,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) service: Newest<ServiceView>,
    pub(super) route: Newest<RouteView>,
    /// By their names. One may be two slots.
    pub(super) deployments: BTreeMap<String, Newest<DeploymentView>>,
    /// By the Deployment that selects them, then by their names.
    pub(super) pods: BTreeMap<String, BTreeMap<String, PodRecord>>,
    warnings: BTreeMap<String, WarningEvent>,
}

impl Picture {
    /// Replaces all warnings.
    pub(super) fn set_warnings(&mut self, all: Vec<Warning>) {
        self.warnings.clear();
        for warning in all {
            self.put_warning(warning);
        }
    }

    /// Takes a warning, forgetting the oldest beyond [`KEPT_WARNINGS`].
    pub(super) fn put_warning(&mut self, warning: Warning) {
        self.warnings.insert(warning.name, warning.event);
        if self.warnings.len() > KEPT_WARNINGS {
            let oldest = self.warnings.iter().min_by_key(|(_, event)| event.at).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                self.warnings.remove(&oldest);
            }
        }
    }

    /// The workload as of a moment. `revisions` is what is known of them where one Deployment is two slots.
    pub(super) fn workload(
        &self,
        target: &Target,
        revisions: &Revisions,
        connection: Connection,
        now: Timestamp,
    ) -> Workload {
        let (service, route) = (self.service.get(), self.route.get());
        let mut warnings: Vec<WarningEvent> = self.warnings.values().cloned().collect();
        warnings.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.object.cmp(&b.object)));
        warnings.truncate(SHOWN_WARNINGS);
        // A slot of which nothing was told yet is not one whose Deployment is gone.
        let told = target.slots.iter().filter(|(_, slot)| self.deployments.contains_key(&slot.deployment));
        let parts: BTreeMap<&SlotName, Part<'_>> =
            told.map(|(name, slot)| (name, self.part(name, slot, target, revisions))).collect();
        let shares = match &target.director {
            Director::Selector => BTreeMap::new(),
            Director::Route(_) => route.map(|route| shares_by(wide(route.weights()))).unwrap_or_default(),
            Director::Replicas | Director::Rollout => service.map_or_else(BTreeMap::new, |service| {
                let pods = parts.iter().map(|(name, part)| (*name, part.pods.clone()));
                shares_of_pods(&service.selector, pods)
            }),
        };
        let live = match &target.director {
            Director::Selector => service.and_then(|service| target.pointed_at(&service.selector)),
            Director::Route(_) | Director::Replicas | Director::Rollout => leading(&shares).cloned(),
        };
        let changed = match &target.director {
            Director::Route(_) => route.and_then(|route| route.changed.clone()),
            _ => service.and_then(|service| service.changed.clone()),
        };
        Workload {
            slots: (parts.into_iter())
                .map(|(name, part)| (name.clone(), slot(part, &target.container)))
                .collect(),
            selector: service.map(|service| safe_labels(&service.selector)),
            live,
            service_version: service.map(|service| service.version.clone()).unwrap_or_default(),
            service_changed: changed,
            warnings,
            connection,
            as_of: now,
            shares,
            route: route.map(RouteView::state),
        }
    }

    /// What a slot has of its Deployment.
    fn part<'a>(
        &'a self,
        name: &SlotName,
        slot: &'a Slot,
        target: &Target,
        revisions: &Revisions,
    ) -> Part<'a> {
        let view = self.deployments.get(&slot.deployment).and_then(Newest::get);
        let all: Vec<&PodRecord> =
            self.pods.get(&slot.deployment).into_iter().flat_map(BTreeMap::values).collect();
        let whole =
            Part { deployment: &slot.deployment, view, pods: all, hash: String::new(), revision: None };
        let Some(view) = view else { return whole };
        let template = told_hash(&view.object);
        if !target.is_one_deployment() {
            return Part { hash: template.unwrap_or_default(), ..whole };
        }
        let image = view.image(&target.container);
        let parting = revisions.parting(template.as_deref(), &image);
        let slot_of = |record: &PodRecord| {
            let image = record.hash().and_then(|hash| revisions.image(hash)).unwrap_or_default();
            parting.slot_of(record.hash(), image)
        };
        let pods: Vec<&PodRecord> =
            whole.pods.iter().copied().filter(|record| slot_of(record) == Some(name.as_str())).collect();
        let old = parting.old().map(str::to_owned);
        let is_old = name.as_str() == OLD_REVISION;
        // While it is paused, nobody says which revision the template is.
        let old_runs_template = match &template {
            Some(_) => old == template,
            None => !whole.pods.iter().any(|record| slot_of(record) == Some(NEW_REVISION)),
        };
        let hash = if is_old { old } else { template.filter(|_| !old_runs_template) };
        let of_pods = || pods.iter().find_map(|pod| pod.hash().map(str::to_owned));
        let hash = hash.or_else(of_pods).unwrap_or_default();
        let known = revisions.image(&hash).filter(|_| is_old).map(str::to_owned);
        let image = known.unwrap_or(image);
        let runs_template = old_runs_template == is_old;
        Part { pods, hash, revision: Some(Revision { runs_template, image }), ..whole }
    }
}

/// What a slot has of its Deployment: all of it, or one revision's share.
struct Part<'a> {
    deployment: &'a str,
    view: Option<&'a DeploymentView>,
    pods: Vec<&'a PodRecord>,
    hash: String,
    /// Where the Deployment is two slots.
    revision: Option<Revision>,
}

/// One of the two revisions of a Deployment that is both slots.
struct Revision {
    /// Whether it is that of the Deployment's template, which the status counts as updated.
    runs_template: bool,
    image: String,
}

/// A slot as screens show it. The Deployment counts the pods of all its revisions together; where it is two slots,
/// what is ready is counted from the pods of this one.
fn slot(part: Part<'_>, container: &str) -> SlotWorkload {
    let mut slot = SlotWorkload { deployment: part.deployment.to_owned(), ..SlotWorkload::default() };
    let records = part.pods;
    if let Some(view) = part.view {
        let status = view.object.status.clone().unwrap_or_default();
        slot.found = true;
        slot.uid = view.object.metadata.uid.clone().unwrap_or_default();
        slot.desired = positive(Some(rollout::desired(&view.object)));
        slot.updated = positive(status.updated_replicas);
        slot.ready = positive(status.ready_replicas);
        slot.available = positive(status.available_replicas);
        slot.image = SafeText::from(view.image(container)).into();
        slot.hash = SafeText::from(part.hash).into();
        slot.kept = Some(kept(&view.object));
        let newest = NewestSet::told_by(&view.object);
        // Where the Deployment is two slots, a rollout is the way from one to the other.
        slot.rollout = rollout::facts(&view.object, newest.as_ref(), records.iter().copied()).state();
        slot.changed.clone_from(&view.changed);
    }
    if let Some(revision) = part.revision {
        let ready = records.iter().filter(|record| record.pod.ready && !record.leaving).count();
        slot.ready = u32::try_from(ready).unwrap_or(u32::MAX);
        slot.available = slot.available.min(slot.ready);
        slot.updated = if revision.runs_template { slot.updated } else { 0 };
        slot.image = SafeText::from(revision.image).into();
    }
    for record in &records {
        *slot.counts.entry(record.pod.status.clone()).or_default() += 1;
    }
    let mut worst = records;
    if worst.len() > Workload::MAX_PODS {
        worst.select_nth_unstable_by(Workload::MAX_PODS, |a, b| worst_first(a, b));
        for record in worst.drain(Workload::MAX_PODS..) {
            slot.unlisted.pods += 1;
            slot.unlisted.bad += u32::from(record.pod.bad);
            slot.unlisted.restarts = slot.unlisted.restarts.saturating_add(record.pod.restarts);
        }
    }
    worst.sort_by(|a, b| worst_first(a, b));
    slot.pods = worst.into_iter().map(|record| record.pod.clone()).collect();
    slot
}

/// A weight goes up to a million, and shares are thousandths of their sum: too much for 32 bits.
fn wide(weights: BTreeMap<SlotName, u32>) -> impl Iterator<Item = (SlotName, u64)> {
    weights.into_iter().map(|(name, weight)| (name, u64::from(weight)))
}

/// The order of the pods pane: what is wrong, what is not ready yet, what is leaving, what is well; within each, more
/// restarts first, then by name.
pub(super) fn worst_first(a: &PodRecord, b: &PodRecord) -> Ordering {
    let rank = |record: &PodRecord| match (record.pod.bad, record.leaving, record.pod.ready) {
        (true, ..) => 0,
        (false, false, false) => 1,
        (false, true, _) => 2,
        (false, false, true) => 3,
    };
    rank(a)
        .cmp(&rank(b))
        .then_with(|| b.pod.restarts.cmp(&a.pod.restarts))
        .then_with(|| a.pod.name.cmp(&b.pod.name))
}

/// The warning of an event, where the event is about one of our objects.
pub(super) fn warning(target: &Target, event: &ApiEvent) -> Option<Warning> {
    let object = &event.involved_object;
    let (kind, name) = (object.kind.as_deref()?, object.name.as_deref()?);
    let is_ours = match kind {
        "Service" => {
            name == target.service || target.slots.values().any(|slot| slot.service.as_deref() == Some(name))
        }
        "HTTPRoute" => matches!(&target.director, Director::Route(route) if route.name == name),
        "Deployment" => target.slots.values().any(|slot| slot.deployment == name),
        // Names of what a Deployment makes: a hash for the ReplicaSet, and five characters more for the pod.
        "ReplicaSet" => target.slots.values().any(|slot| made_by(name, &slot.deployment, 1)),
        "Pod" => target.slots.values().any(|slot| made_by(name, &slot.deployment, 2)),
        _ => false,
    };
    if !is_ours || event.type_.as_deref() == Some("Normal") {
        return None;
    }
    let series = event.series.as_ref();
    let count = series.and_then(|series| series.count).or(event.count).unwrap_or(1);
    Some(Warning {
        name: event.metadata.name.clone().unwrap_or_default(),
        event: WarningEvent {
            object: SafeText::from(format!("{}/{name}", kind.to_ascii_lowercase())).into(),
            reason: SafeText::new(event.reason.as_deref().unwrap_or_default()).into(),
            message: SafeText::new(event.message.as_deref().unwrap_or_default().trim()).into(),
            count: positive(Some(count)).max(1),
            at: said_at(event),
        },
    })
}

/// A remark in the place of warnings that cannot be had.
pub(super) fn no_warnings(why: &str, now: Timestamp) -> Warning {
    let event = WarningEvent {
        object: "events".to_owned(),
        reason: "NotShown".to_owned(),
        message: SafeText::new(why).into(),
        count: 1,
        at: now,
    };
    Warning { name: String::new(), event }
}

/// Whether a name is that of something a Deployment makes, by the `parts` behind its own. By names alone, since an
/// event has no labels; `web-api-…` must not count for `web`.
fn made_by(name: &str, deployment: &str, parts: usize) -> bool {
    let rest = name.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.split('-').count() == parts && !rest.split('-').any(str::is_empty))
}

/// Labels come from the cluster, and go to terminals.
fn safe_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (SafeText::new(key).into(), SafeText::new(value).into())).collect()
}

/// A count of the API, which has none as absent; below zero would be a broken server, and counts as nothing.
fn positive(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        adapters::kube::pod::Labels,
        domain::{rollout::PodStage, workload::Pod},
    };

    fn target() -> Target {
        let slot = |name: &str| Slot {
            deployment: format!("backend-{name}"),
            selector: [("version".to_owned(), name.to_owned())].into(),
            service: None,
        };
        Target {
            context: None,
            cluster_uid: None,
            namespace: "prod".to_owned(),
            service: "svc".to_owned(),
            slots: [("blue".into(), slot("blue")), ("green".into(), slot("green"))].into(),
            container: "backend".to_owned(),
            director: Director::default(),
        }
    }

    fn record(name: &str, status: &str, ready: bool, restarts: u32) -> PodRecord {
        PodRecord {
            uid: name.to_owned(),
            set: String::new(),
            stage: PodStage::Ready,
            pod: Pod {
                name: name.to_owned(),
                status: status.to_owned(),
                ready,
                containers_ready: u32::from(ready),
                containers: 1,
                restarts,
                created: Timestamp(0),
                version: "v1".to_owned(),
                bad: status == "CrashLoopBackOff",
            },
            why: String::new(),
            leaving: status == "Terminating",
            labels: Labels::default(),
        }
    }

    #[test]
    fn a_slow_read_does_not_undo_a_newer_watch() {
        let mut it = Newest::default();
        assert!(it.put("a", "10") && it.put("b", "12") && !it.put("old", "11"));
        assert_eq!(it.get(), Some(&"b"));
        it.gone(Some("13"));
        assert!(!it.put("risen", "12") && it.get().is_none());
        assert!(it.put("new", "14") && it.put("no number", "abc"));
    }

    #[test]
    fn beyond_two_hundred_pods_the_worst_are_kept_and_all_are_counted() {
        let mut picture = Picture::default();
        let pods = (0..10_000).map(|n| {
            let name = format!("p{n:05}");
            let status = if n % 1000 == 7 { "CrashLoopBackOff" } else { "Running" };
            (name.clone(), record(&name, status, status == "Running", n % 3))
        });
        picture.pods.insert("backend-green".into(), pods.collect());
        assert!(
            picture
                .workload(&target(), &Revisions::default(), Connection::Connecting, Timestamp(1))
                .slots
                .is_empty()
        );
        for name in ["backend-blue", "backend-green"] {
            picture.deployments.insert(name.into(), Newest::default());
        }
        let it = picture.workload(&target(), &Revisions::default(), Connection::Connected, Timestamp(1));
        let green = &it.slots["green"];
        assert_eq!(green.pods.len(), Workload::MAX_PODS);
        assert!(green.pods[..10].iter().all(|pod| pod.bad) && !green.pods[10].bad);
        assert_eq!((green.counts["Running"], green.counts["CrashLoopBackOff"]), (9990, 10));
        assert!(!green.found && it.slots["blue"].pods.is_empty());
        // The third of them has restarted once, the next twice: what is not listed is told in numbers.
        assert_eq!((green.unlisted.pods, green.bad(), green.restarts()), (9_800, 10, 9_999));
        let bytes = serde_json::to_vec(&it).unwrap().len();
        assert!(bytes < 64 << 10, "{bytes} bytes for a screen");
    }

    #[test]
    fn more_bad_pods_than_are_listed_are_counted_all() {
        let mut picture = Picture::default();
        let pods = (0..1_000).map(|n| {
            let status = if n < 600 { "CrashLoopBackOff" } else { "Running" };
            let record = record(&format!("p{n:05}"), status, status == "Running", u32::from(n < 600));
            (record.pod.name.clone(), record)
        });
        picture.pods.insert("backend-green".into(), pods.collect());
        picture.deployments.insert("backend-green".into(), Newest::default());
        let it = picture.workload(&target(), &Revisions::default(), Connection::Connected, Timestamp(1));
        let green = &it.slots["green"];
        assert!(green.pods.iter().all(|pod| pod.bad));
        assert_eq!((green.bad(), green.restarts(), green.unlisted.bad), (600, 600, 400));
        assert_eq!(green.by_status(), [("CrashLoopBackOff", 600), ("Running", 400)]);
    }

    #[test]
    fn the_order_is_bad_unready_leaving_well() {
        let mut all = [
            record("well", "Running", true, 9),
            record("leaving", "Terminating", false, 0),
            record("starting", "ContainerCreating", false, 0),
            record("bad", "CrashLoopBackOff", false, 1),
            record("worse", "CrashLoopBackOff", false, 5),
        ];
        all.sort_by(worst_first);
        let names: Vec<&str> = all.iter().map(|record| record.pod.name.as_str()).collect();
        assert_eq!(names, ["worse", "bad", "starting", "leaving", "well"]);
    }

    #[test]
    fn only_warnings_of_our_objects_are_kept() {
        let event = |kind: &str, name: &str, word: &str| -> ApiEvent {
            serde_json::from_value(json!({ "metadata": { "name": "e", "creationTimestamp": "2026-11-20T10:00:00Z" }, "type": word,
                "involvedObject": { "kind": kind, "name": name }, "reason": "BackOff", "message": "x\u{7}", "count": 3,
                "lastTimestamp": "2026-11-20T11:00:00Z" }))
            .unwrap()
        };
        let target = target();
        for (kind, name, ours) in [
            ("Service", "svc", true),
            ("Deployment", "backend-green", true),
            ("ReplicaSet", "backend-green-7f9c", true),
            ("Pod", "backend-green-7f9c-2xk4z", true),
            ("Pod", "backend-green-7f9c", false),
            ("Pod", "backend-greener-7f9c-2xk4z", false),
            ("Pod", "other-7f9c-2xk4z", false),
            ("Service", "other", false),
            ("Node", "svc", false),
        ] {
            assert_eq!(warning(&target, &event(kind, name, "Warning")).is_some(), ours, "{kind} {name}");
        }
        assert!(warning(&target, &event("Service", "svc", "Normal")).is_none());
        let it = warning(&target, &event("Service", "svc", "Warning")).unwrap().event;
        assert_eq!((it.object.as_str(), it.message.as_str(), it.count), ("service/svc", "x<U+0007>", 3));
        assert_eq!(it.at.clock(), "11:00:00");
    }

    #[test]
    fn warnings_are_bounded_and_newest_first() {
        let mut picture = Picture::default();
        for n in 0..500 {
            let event = WarningEvent {
                object: format!("pod/{n}"),
                reason: String::new(),
                message: String::new(),
                count: 1,
                at: Timestamp(n),
            };
            picture.put_warning(Warning { name: n.to_string(), event });
        }
        let it =
            picture.workload(&target(), &Revisions::default(), Connection::Connected, Timestamp(1)).warnings;
        assert_eq!(it.len(), 50);
        assert_eq!((it[0].at, it[49].at), (Timestamp(499), Timestamp(450)));
        assert_eq!(picture.warnings.len(), KEPT_WARNINGS);
    }
}
