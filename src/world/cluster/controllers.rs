//! The control plane's controllers: Deployments make ReplicaSets, ReplicaSets make pods, Services get endpoints, and what
//! lost its owner goes.
//!
//! They follow kube-controller-manager's rules for rolling updates and for the two conditions of a Deployment, since
//! these rules are what decides whether a rollout is done, stuck or still on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    kubelet::ready_since,
    object::{
        condition, controller_uid, cut, find_condition, flag, int, labels, list, name, parse_time, put,
        rfc3339, selects, string_map, template_hash, terminating, text, uid_of,
    },
    resource::Kind,
    state::State,
    store::Key,
};

/// The annotation that numbers a Deployment's templates.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_POINTER: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
const DESIRED_POINTER: &str = "/metadata/annotations/deployment.kubernetes.io~1desired-replicas";
const MAXIMUM_POINTER: &str = "/metadata/annotations/deployment.kubernetes.io~1max-replicas";
const CONTROLLER: &str = "kube-controller-manager";
const REPORTER: &str = "deployment-controller";

/// A Deployment and its ReplicaSets while they are looked at.
struct Rollout {
    deployment: Value,
    /// Oldest first.
    sets: Vec<Value>,
    /// The one of the current template.
    new: Option<usize>,
}

/// A new ReplicaSet of `deployment`, with its revision not yet set.
pub(super) fn new_replica_set(
    deployment: &Value,
    template: &Value,
    hash: &str,
    replicas: i64,
    desired: i64,
) -> Value {
    let mut template = template.clone();
    put(&mut template, "/metadata/labels/pod-template-hash", hash);
    let mut selector = deployment["spec"]["selector"].clone();
    put(&mut selector, "/matchLabels/pod-template-hash", hash);
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)),
            "namespace": text(deployment, "/metadata/namespace"),
            "labels": template["metadata"]["labels"],
            "annotations": {},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": name(deployment), "uid": uid_of(deployment),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    let seconds = int(deployment, "/spec/minReadySeconds");
    if seconds > 0 {
        put(&mut set, "/spec/minReadySeconds", seconds);
    }
    let limits = Limits::of(deployment);
    put(&mut set, DESIRED_POINTER, desired.to_string());
    put(&mut set, MAXIMUM_POINTER, (desired + limits.surge).to_string());
    set
}

/// A new pod of the ReplicaSet `set`.
pub(super) fn new_pod(set: &Value, pod_name: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut pod = json!({
        "metadata": {
            "name": pod_name,
            "generateName": format!("{}-", name(set)),
            "namespace": text(set, "/metadata/namespace"),
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name(set), "uid": uid_of(set),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": template["spec"],
    });
    if template["metadata"]["annotations"].is_object() {
        put(&mut pod, "/metadata/annotations", template["metadata"]["annotations"].clone());
    }
    complete_pod(&mut pod);
    pod
}

/// What every pod has, said or not.
pub(super) fn complete_pod(pod: &mut Value) {
    for (pointer, value) in [
        ("/spec/restartPolicy", json!("Always")),
        ("/spec/terminationGracePeriodSeconds", json!(30)),
        ("/spec/dnsPolicy", json!("ClusterFirst")),
        ("/spec/serviceAccountName", json!("default")),
        ("/spec/schedulerName", json!("default-scheduler")),
        ("/spec/enableServiceLinks", json!(true)),
    ] {
        if pod.pointer(pointer).is_none() {
            put(pod, pointer, value);
        }
    }
    put(pod, "/status", json!({"phase": "Pending", "qosClass": "Burstable"}));
}

/// How far a rolling update may go over and under the wanted number.
struct Limits {
    surge: i64,
    unavailable: i64,
    recreate: bool,
}

impl Limits {
    fn of(deployment: &Value) -> Self {
        let replicas = int(deployment, "/spec/replicas");
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            return Self { surge: 0, unavailable: replicas, recreate: true };
        }
        let at = |field: &str| deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
        let surge = amount(at("maxSurge"), replicas, true);
        let unavailable = amount(at("maxUnavailable"), replicas, false);
        // Both zero could never move.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Self { surge, unavailable: unavailable.min(replicas), recreate: false }
    }
}

/// A number or a percentage of `replicas`; surges round up, what may be missing rounds down. 25 % where nothing is said.
fn amount(value: Option<&Value>, replicas: i64, up: bool) -> i64 {
    let percent = match value {
        Some(Value::Number(number)) => return number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => text.trim_end_matches('%').parse().unwrap_or(25),
        _ => 25,
    };
    let hundredths: i64 = replicas * percent;
    if up { (hundredths + 99) / 100 } else { hundredths / 100 }
}

fn replicas(set: &Value) -> i64 {
    int(set, "/spec/replicas")
}

fn revision(object: &Value) -> i64 {
    text(object, REVISION_POINTER).parse().unwrap_or(0)
}

impl State {
    /// Every controller looks once.
    pub(super) fn reconcile(&mut self) {
        self.collect_garbage();
        let pods = self.pods_by_owner();
        let sets: Vec<Key> = self.store.list(Kind::ReplicaSet, None).map(|(key, _)| key.clone()).collect();
        for key in &sets {
            self.sync_set(key, pods.get(&self.uid_at(key)).map_or(&[], Vec::as_slice));
        }
        let deployments: Vec<Key> =
            self.store.list(Kind::Deployment, None).map(|(key, _)| key.clone()).collect();
        for key in &deployments {
            self.sync_deployment(key, &pods);
        }
        self.sync_endpoints();
    }

    fn uid_at(&self, key: &Key) -> String {
        self.store.get(key).map(|object| uid_of(object).to_owned()).unwrap_or_default()
    }

    fn pods_by_owner(&self) -> BTreeMap<String, Vec<Arc<Value>>> {
        let mut owned: BTreeMap<String, Vec<Arc<Value>>> = BTreeMap::new();
        for (_, pod) in self.store.list(Kind::Pod, None) {
            let owner = controller_uid(pod);
            if !owner.is_empty() {
                owned.entry(owner.to_owned()).or_default().push(Arc::clone(pod));
            }
        }
        owned
    }

    /// ReplicaSets and pods whose owner is gone go too.
    fn collect_garbage(&mut self) {
        let owners: BTreeSet<String> = [Kind::Deployment, Kind::ReplicaSet]
            .into_iter()
            .flat_map(|kind| self.store.list(kind, None))
            .map(|(_, object)| uid_of(object).to_owned())
            .collect();
        let orphaned: Vec<Key> = [Kind::ReplicaSet, Kind::Pod]
            .into_iter()
            .flat_map(|kind| self.store.list(kind, None))
            .filter(|(_, object)| {
                !controller_uid(object).is_empty() && !owners.contains(controller_uid(object))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in orphaned {
            if key.kind == Kind::Pod {
                self.terminate(&key, None);
            } else {
                self.store.remove(&key);
            }
        }
    }

    // --- ReplicaSets -------------------------------------------------------------------------------------------

    fn sync_set(&mut self, key: &Key, pods: &[Arc<Value>]) {
        let Some(set) = self.store.get(key).map(|set| Value::clone(set)) else { return };
        let active: Vec<&Arc<Value>> = pods.iter().filter(|pod| !terminating(pod)).collect();
        let wanted = usize::try_from(replicas(&set)).unwrap_or(0);
        if active.len() < wanted {
            for _ in active.len()..wanted {
                let pod_name = self.fresh_name(&format!("{}-", name(&set)));
                let pod = new_pod(&set, &pod_name);
                self.create(Kind::Pod, pod, CONTROLLER, self.now);
                self.event(
                    &set,
                    false,
                    "SuccessfulCreate",
                    &format!("Created pod: {pod_name}"),
                    "replicaset-controller",
                );
            }
        } else if active.len() > wanted {
            let mut ranked = active.clone();
            // What is not ready goes first, then what is young.
            ranked.sort_by_key(|pod| {
                let assigned = !text(pod, "/spec/nodeName").is_empty();
                let running = text(pod, "/status/phase") == "Running";
                let ready = ready_since(pod);
                (assigned, running, ready.is_some(), std::cmp::Reverse(ready), name(pod).to_owned())
            });
            for pod in &ranked[..active.len() - wanted] {
                self.terminate(&Key::of(Kind::Pod, pod), None);
                let message = format!("Deleted pod: {}", name(pod));
                self.event(&set, false, "SuccessfulDelete", &message, "replicaset-controller");
            }
        }
        self.write_set_status(set, &active);
    }

    fn write_set_status(&mut self, mut set: Value, active: &[&Arc<Value>]) {
        let patience = int(&set, "/spec/minReadySeconds") * 1000;
        let (mut ready, mut available) = (0, 0);
        for pod in active {
            let Some(since) = ready_since(pod) else { continue };
            ready += 1;
            if since + patience <= self.now {
                available += 1;
            } else {
                self.look_again(since + patience);
            }
        }
        let total = active.len();
        let mut status = json!({"replicas": total});
        for (field, count) in
            [("fullyLabeledReplicas", total), ("readyReplicas", ready), ("availableReplicas", available)]
        {
            if count > 0 {
                status[field] = json!(count);
            }
        }
        status["observedGeneration"] = set["metadata"]["generation"].clone();
        put(&mut set, "/status", status);
        self.write(Kind::ReplicaSet, set, CONTROLLER, Some("status"));
    }

    // --- Deployments -------------------------------------------------------------------------------------------

    fn sync_deployment(&mut self, key: &Key, pods: &BTreeMap<String, Vec<Arc<Value>>>) {
        let Some(deployment) = self.store.get(key).map(|object| Value::clone(object)) else { return };
        let mut sets: Vec<Value> = self
            .store
            .list(Kind::ReplicaSet, Some(&key.namespace))
            .filter(|(_, set)| controller_uid(set) == uid_of(&deployment))
            .map(|(_, set)| Value::clone(set))
            .collect();
        sets.sort_by_key(|set| (text(set, "/metadata/creationTimestamp").to_owned(), revision(set)));
        let hash = template_hash(&deployment["spec"]["template"]);
        let new = sets.iter().position(|set| template_hash(&set["spec"]["template"]) == hash);
        let mut rollout = Rollout { deployment, sets, new };
        if flag(&rollout.deployment, "/spec/paused") || is_scaling(&rollout) {
            self.scale_all(&mut rollout);
        } else if Limits::of(&rollout.deployment).recreate {
            self.recreate(&mut rollout, &hash, pods);
        } else {
            self.roll(&mut rollout, &hash);
        }
        self.write_rollout_status(rollout);
    }

    /// Finds or makes the ReplicaSet of the current template and numbers it.
    fn ensure_new_set(&mut self, rollout: &mut Rollout, hash: &str) {
        let highest_old = rollout
            .sets
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != rollout.new)
            .map(|(_, set)| revision(set))
            .max()
            .unwrap_or(0);
        let wanted = replicas(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        if let Some(at) = rollout.new {
            let set = &mut rollout.sets[at];
            let number = revision(set).max(highest_old + 1);
            put(set, REVISION_POINTER, number.to_string());
            put(set, DESIRED_POINTER, wanted.to_string());
            put(set, MAXIMUM_POINTER, (wanted + limits.surge).to_string());
            self.write(Kind::ReplicaSet, set.clone(), CONTROLLER, None);
        } else {
            let total: i64 = rollout.sets.iter().map(replicas).sum();
            let first =
                if limits.recreate { wanted } else { (wanted + limits.surge - total).clamp(0, wanted) };
            let template = rollout.deployment["spec"]["template"].clone();
            let mut set = new_replica_set(&rollout.deployment, &template, hash, first, wanted);
            put(&mut set, REVISION_POINTER, (highest_old + 1).to_string());
            let set = Value::clone(&self.create(Kind::ReplicaSet, set, CONTROLLER, self.now));
            let set_name = name(&set).to_owned();
            if first > 0 {
                let message = format!("Scaled up replica set {set_name} from 0 to {first}");
                self.event(&rollout.deployment, false, "ScalingReplicaSet", &message, REPORTER);
            }
            let message = format!("Created new replica set \"{set_name}\"");
            self.set_deployment_condition(
                &mut rollout.deployment,
                "Progressing",
                true,
                "NewReplicaSetCreated",
                &message,
            );
            rollout.sets.push(set);
            rollout.new = Some(rollout.sets.len() - 1);
        }
        if let Some(at) = rollout.new {
            let number = revision(&rollout.sets[at]).to_string();
            put(&mut rollout.deployment, REVISION_POINTER, number);
            if find_condition(&rollout.deployment, "Progressing").is_none() {
                let message = format!("Found new replica set \"{}\"", name(&rollout.sets[at]));
                self.set_deployment_condition(
                    &mut rollout.deployment,
                    "Progressing",
                    true,
                    "FoundNewReplicaSet",
                    &message,
                );
            }
        }
    }

    fn roll(&mut self, rollout: &mut Rollout, hash: &str) {
        self.ensure_new_set(rollout, hash);
        let Some(new) = rollout.new else { return };
        let wanted = replicas(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        let total: i64 = rollout.sets.iter().map(replicas).sum();
        let mine = replicas(&rollout.sets[new]);
        if mine > wanted {
            return self.scale_set(rollout, new, wanted);
        }
        let room = (wanted + limits.surge - total).min(wanted - mine);
        if room > 0 {
            return self.scale_set(rollout, new, mine + room);
        }
        let least = wanted - limits.unavailable;
        let new_missing = mine - int(&rollout.sets[new], "/status/availableReplicas");
        let mut spare = total - least - new_missing;
        if spare > 0 {
            // Old pods that serve nobody go first: they cost no availability.
            for at in 0..rollout.sets.len() {
                let (has, healthy) =
                    (replicas(&rollout.sets[at]), int(&rollout.sets[at], "/status/availableReplicas"));
                let gone = (has - healthy).min(spare).max(0);
                if at != new && gone > 0 {
                    spare -= gone;
                    self.scale_set(rollout, at, has - gone);
                }
            }
            let available: i64 = rollout.sets.iter().map(|set| int(set, "/status/availableReplicas")).sum();
            let mut surplus = available - least;
            for at in 0..rollout.sets.len() {
                let has = replicas(&rollout.sets[at]);
                let gone = has.min(surplus);
                if at != new && gone > 0 {
                    surplus -= gone;
                    self.scale_set(rollout, at, has - gone);
                }
            }
        }
        self.forget_old_sets(rollout);
    }

    fn recreate(&mut self, rollout: &mut Rollout, hash: &str, pods: &BTreeMap<String, Vec<Arc<Value>>>) {
        for at in 0..rollout.sets.len() {
            if Some(at) != rollout.new && replicas(&rollout.sets[at]) > 0 {
                self.scale_set(rollout, at, 0);
            }
        }
        let left = rollout.sets.iter().enumerate().any(|(at, set)| {
            Some(at) != rollout.new && pods.get(uid_of(set)).is_some_and(|pods| !pods.is_empty())
        });
        if left {
            return;
        }
        self.ensure_new_set(rollout, hash);
        if let Some(new) = rollout.new {
            self.scale_set(rollout, new, replicas(&rollout.deployment));
        }
        self.forget_old_sets(rollout);
    }

    /// A change of `replicas` alone: spread over what is active.
    fn scale_all(&mut self, rollout: &mut Rollout) {
        let wanted = replicas(&rollout.deployment);
        let active: Vec<usize> =
            (0..rollout.sets.len()).filter(|at| replicas(&rollout.sets[*at]) > 0).collect();
        let single = match active.as_slice() {
            [] => rollout.new.or_else(|| rollout.sets.len().checked_sub(1)),
            [one] => Some(*one),
            _ => None,
        };
        if let Some(at) = single {
            return self.scale_set(rollout, at, wanted);
        }
        let saturated = rollout.new.is_some_and(|at| {
            replicas(&rollout.sets[at]) == wanted
                && int(&rollout.sets[at], "/status/availableReplicas") == wanted
        });
        let limits = Limits::of(&rollout.deployment);
        let allowed = if wanted > 0 { wanted + limits.surge } else { 0 };
        let total: i64 = active.iter().map(|at| replicas(&rollout.sets[*at])).sum();
        let mut rest = if saturated { 0 } else { allowed - total };
        let mut sizes = Vec::new();
        for at in &active {
            let has = replicas(&rollout.sets[*at]);
            let size = if saturated {
                if Some(*at) == rollout.new { wanted } else { 0 }
            } else {
                let share = ((allowed - total) * has / total.max(1)).clamp(rest.min(0), rest.max(0));
                rest -= share;
                has + share
            };
            sizes.push(size.max(0));
        }
        // What does not divide goes to the newest.
        if let Some(last) = sizes.last_mut() {
            *last = (*last + rest).max(0);
        }
        for (at, size) in active.into_iter().zip(sizes) {
            self.scale_set(rollout, at, size);
        }
    }

    fn scale_set(&mut self, rollout: &mut Rollout, at: usize, size: i64) {
        let wanted = replicas(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        let set = &mut rollout.sets[at];
        let before = replicas(set);
        put(set, "/spec/replicas", size);
        put(set, DESIRED_POINTER, wanted.to_string());
        put(set, MAXIMUM_POINTER, (wanted + limits.surge).to_string());
        let (set, set_name) = (set.clone(), name(set).to_owned());
        self.write(Kind::ReplicaSet, set, CONTROLLER, None);
        if size != before {
            let way = if size > before { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {set_name} from {before} to {size}");
            self.event(&rollout.deployment, false, "ScalingReplicaSet", &message, REPORTER);
        }
    }

    /// Keeps `revisionHistoryLimit` old ReplicaSets once the rollout is over.
    fn forget_old_sets(&mut self, rollout: &Rollout) {
        let limit =
            rollout.deployment.pointer("/spec/revisionHistoryLimit").and_then(Value::as_u64).unwrap_or(10);
        let idle: Vec<Key> = rollout
            .sets
            .iter()
            .enumerate()
            .filter(|(at, set)| {
                Some(*at) != rollout.new && replicas(set) == 0 && int(set, "/status/replicas") == 0
            })
            .map(|(_, set)| Key::of(Kind::ReplicaSet, set))
            .collect();
        let surplus = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for key in &idle[..surplus] {
            self.store.remove(key);
        }
    }

    fn write_rollout_status(&mut self, mut rollout: Rollout) {
        let total = |field: &str| rollout.sets.iter().map(|set| int(set, field)).sum::<i64>();
        let wanted = replicas(&rollout.deployment);
        let counts = Counts {
            replicas: total("/status/replicas"),
            updated: rollout.new.map_or(0, |at| int(&rollout.sets[at], "/status/replicas")),
            ready: total("/status/readyReplicas"),
            available: total("/status/availableReplicas"),
        };
        let before = Counts::of(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        let deployment = &mut rollout.deployment;
        let enough = counts.available >= wanted - limits.unavailable;
        let (reason, message) = if enough {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        self.set_deployment_condition(deployment, "Available", enough, reason, message);
        let set_name = rollout.new.map(|at| name(&rollout.sets[at]).to_owned());
        self.judge_progress(deployment, &counts, &before, set_name.as_deref());
        let conditions = list(deployment, "/status/conditions").to_vec();
        let mut status = json!({"observedGeneration": deployment["metadata"]["generation"]});
        for (field, count) in [
            ("replicas", counts.replicas),
            ("updatedReplicas", counts.updated),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            ("unavailableReplicas", (counts.replicas.max(wanted) - counts.available).max(0)),
        ] {
            if count > 0 {
                status[field] = json!(count);
            }
        }
        status["conditions"] = json!(conditions);
        put(deployment, "/status", status);
        self.write(Kind::Deployment, rollout.deployment, CONTROLLER, Some("status"));
    }

    /// The Progressing condition: complete, moving, or out of time.
    fn judge_progress(
        &mut self,
        deployment: &mut Value,
        now: &Counts,
        before: &Counts,
        set_name: Option<&str>,
    ) {
        let Some(deadline) = deployment.pointer("/spec/progressDeadlineSeconds").and_then(Value::as_i64)
        else {
            let conditions: Vec<Value> = list(deployment, "/status/conditions")
                .iter()
                .filter(|condition| text(condition, "/type") != "Progressing")
                .cloned()
                .collect();
            put(deployment, "/status/conditions", conditions);
            return;
        };
        let current = find_condition(deployment, "Progressing").cloned();
        let reason = current.as_ref().map_or("", |current| text(current, "/reason")).to_owned();
        if now.replicas == now.updated && reason == "NewReplicaSetAvailable" {
            return;
        }
        let wanted = replicas(deployment);
        let what = set_name.map_or_else(
            || format!("Deployment \"{}\"", name(deployment)),
            |set_name| format!("ReplicaSet \"{set_name}\""),
        );
        if now.updated == wanted && now.replicas == wanted && now.available == wanted {
            let message = format!("{what} has successfully progressed.");
            self.set_deployment_condition(
                deployment,
                "Progressing",
                true,
                "NewReplicaSetAvailable",
                &message,
            );
        } else if now.updated > before.updated
            || now.replicas - now.updated < before.replicas - before.updated
            || now.ready > before.ready
            || now.available > before.available
        {
            // Each bit of progress begins the deadline anew, so the condition is written even if it says the same.
            if let Some(conditions) =
                deployment.pointer_mut("/status/conditions").and_then(Value::as_array_mut)
            {
                conditions.retain(|condition| text(condition, "/type") != "Progressing");
            }
            let message = format!("{what} is progressing.");
            self.set_deployment_condition(deployment, "Progressing", true, "ReplicaSetUpdated", &message);
            if let Some(current) = current.filter(|current| text(current, "/status") == "True")
                && let Some(last) = deployment
                    .pointer_mut("/status/conditions")
                    .and_then(Value::as_array_mut)
                    .and_then(|all| all.last_mut())
            {
                put(last, "/lastTransitionTime", current["lastTransitionTime"].clone());
            }
        } else if !matches!(reason.as_str(), "" | "NewReplicaSetAvailable" | "ProgressDeadlineExceeded") {
            let since = current.as_ref().and_then(|current| parse_time(text(current, "/lastUpdateTime")));
            let due = since.unwrap_or(self.now) + deadline * 1000;
            if due <= self.now {
                let message = format!("{what} has timed out progressing.");
                self.set_deployment_condition(
                    deployment,
                    "Progressing",
                    false,
                    "ProgressDeadlineExceeded",
                    &message,
                );
            }
        }
        let moving = find_condition(deployment, "Progressing").filter(|current| {
            !matches!(text(current, "/reason"), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded")
        });
        if let Some(since) = moving.and_then(|current| parse_time(text(current, "/lastUpdateTime"))) {
            self.look_again(since + deadline * 1000 + 1000);
        }
    }

    fn set_deployment_condition(
        &self,
        deployment: &mut Value,
        kind: &str,
        holds: bool,
        reason: &str,
        message: &str,
    ) {
        let status = if holds { "True" } else { "False" };
        let now = rfc3339(self.now);
        let old = find_condition(deployment, kind).cloned();
        if old.as_ref().is_some_and(|old| text(old, "/status") == status && text(old, "/reason") == reason) {
            return;
        }
        let since = if condition(deployment, kind) == status {
            old.map_or_else(|| json!(now), |old| old["lastTransitionTime"].clone())
        } else {
            json!(now)
        };
        let mut conditions = list(deployment, "/status/conditions").to_vec();
        conditions.retain(|condition| text(condition, "/type") != kind);
        conditions.push(json!({
            "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": since, "reason": reason,
            "message": message,
        }));
        put(deployment, "/status/conditions", conditions);
    }

    // --- endpoints ---------------------------------------------------------------------------------------------

    /// Every Service's Endpoints and EndpointSlice name the pods it selects.
    pub(super) fn sync_endpoints(&mut self) {
        let services: Vec<Arc<Value>> =
            self.store.list(Kind::Service, None).map(|(_, service)| Arc::clone(service)).collect();
        for service in &services {
            self.sync_service(service);
        }
        let orphaned: Vec<Key> = [Kind::Endpoints, Kind::EndpointSlice]
            .into_iter()
            .flat_map(|kind| self.store.list(kind, None))
            .filter(|(key, object)| {
                let owner = text(object, "/metadata/labels/kubernetes.io~1service-name");
                let owner = if owner.is_empty() { key.name.as_str() } else { owner };
                !services.iter().any(|service| {
                    name(service) == owner && text(service, "/metadata/namespace") == key.namespace
                })
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in orphaned {
            self.store.remove(&key);
        }
    }

    fn sync_service(&mut self, service: &Value) {
        let namespace = text(service, "/metadata/namespace").to_owned();
        let selector = string_map(service, "/spec/selector");
        let (mut ready, mut unready, mut slices) = (Vec::new(), Vec::new(), Vec::new());
        for (_, pod) in self.store.list(Kind::Pod, Some(&namespace)) {
            let ip = text(pod, "/status/podIP");
            if ip.is_empty() || terminating(pod) || !selects(&selector, &labels(pod)) {
                continue;
            }
            let is_ready = condition(pod, "Ready") == "True";
            let target =
                json!({"kind": "Pod", "namespace": namespace, "name": name(pod), "uid": uid_of(pod)});
            let node = text(pod, "/spec/nodeName");
            let address = json!({"ip": ip, "nodeName": node, "targetRef": target});
            if is_ready {
                ready.push(address)
            } else {
                unready.push(address)
            }
            slices.push(json!({
                "addresses": [ip],
                "conditions": {"ready": is_ready, "serving": is_ready, "terminating": false},
                "targetRef": target,
                "nodeName": node,
            }));
        }
        let ports: Vec<Value> = list(service, "/spec/ports")
            .iter()
            .map(|port| json!({"name": text(port, "/name"), "port": 8080, "protocol": "TCP"}))
            .collect();
        let mut subset = json!({});
        if !ready.is_empty() {
            subset["addresses"] = json!(ready);
        }
        if !unready.is_empty() {
            subset["notReadyAddresses"] = json!(unready);
        }
        subset["ports"] = json!(ports);
        let subsets = if slices.is_empty() { json!([]) } else { json!([subset]) };
        let service_name = name(service).to_owned();
        let key = Key::new(Kind::Endpoints, &namespace, &service_name);
        match self.store.get(&key).map(|object| Value::clone(object)) {
            Some(mut object) => {
                put(&mut object, "/subsets", subsets);
                self.write(Kind::Endpoints, object, CONTROLLER, None);
            }
            None => {
                let mut object =
                    json!({"metadata": {"name": service_name, "namespace": namespace}, "subsets": subsets});
                put(&mut object, "/metadata/labels", service["metadata"]["labels"].clone());
                cut(&mut object, "/metadata/labels/kubernetes.io~1service-name");
                let since = parse_time(text(service, "/metadata/creationTimestamp")).unwrap_or(self.now);
                self.create(Kind::Endpoints, object, CONTROLLER, since);
            }
        }
        let slice = self
            .store
            .list(Kind::EndpointSlice, Some(&namespace))
            .find(|(_, slice)| text(slice, "/metadata/labels/kubernetes.io~1service-name") == service_name)
            .map(|(_, slice)| Value::clone(slice));
        match slice {
            Some(mut slice) => {
                put(&mut slice, "/endpoints", slices);
                self.write(Kind::EndpointSlice, slice, CONTROLLER, None);
            }
            None => {
                let slice = json!({
                    "metadata": {
                        "name": self.fresh_name(&format!("{service_name}-")),
                        "namespace": namespace,
                        "labels": {
                            "kubernetes.io/service-name": service_name,
                            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                        },
                        "ownerReferences": [{
                            "apiVersion": "v1", "kind": "Service", "name": service_name, "uid": uid_of(service),
                            "controller": true, "blockOwnerDeletion": true,
                        }],
                    },
                    "addressType": "IPv4",
                    "endpoints": slices,
                    "ports": ports,
                });
                let since = parse_time(text(service, "/metadata/creationTimestamp")).unwrap_or(self.now);
                self.create(Kind::EndpointSlice, slice, CONTROLLER, since);
            }
        }
    }
}

/// A Deployment's numbers.
struct Counts {
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

impl Counts {
    fn of(deployment: &Value) -> Self {
        Self {
            replicas: int(deployment, "/status/replicas"),
            updated: int(deployment, "/status/updatedReplicas"),
            ready: int(deployment, "/status/readyReplicas"),
            available: int(deployment, "/status/availableReplicas"),
        }
    }
}

/// Whether `replicas` changed since the active ReplicaSets were last told.
fn is_scaling(rollout: &Rollout) -> bool {
    let wanted = replicas(&rollout.deployment);
    rollout.sets.iter().any(|set| {
        let told = text(set, DESIRED_POINTER).parse::<i64>();
        replicas(set) > 0 && told.is_ok_and(|told| told != wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolling_update_may_go_over_and_under_as_kubernetes_rounds() {
        let limits = |replicas: i64, strategy: Value| {
            let limits = Limits::of(&json!({"spec": {"replicas": replicas, "strategy": strategy}}));
            (limits.surge, limits.unavailable)
        };
        assert_eq!(limits(3, json!({})), (1, 0));
        assert_eq!(limits(10, json!({})), (3, 2));
        assert_eq!(limits(4, json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}})), (0, 2));
        assert_eq!(limits(4, json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}})), (0, 1));
    }
}
