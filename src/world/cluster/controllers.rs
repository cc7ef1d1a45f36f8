//! The control plane's controllers: what every one of them looks at, `ReplicaSets` making pods, and what lost its owner going.
//! Deployments are in [`super::rollout`], Services in [`super::endpoints`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    created::{CONTROLLER, new_pod},
    hindrance::Creation,
    kubelet::ready_since,
    object::{controller_uid, int, name, put, terminating, text, uid_of},
    resource::Kind,
    rollout::replicas,
    state::State,
    store::Key,
};

impl State {
    /// Every controller looks once.
    pub(super) fn reconcile(&mut self) {
        // Owners first, then what they own: a set that is gone makes no pods in the same round.
        self.collect_garbage();
        self.sync_autoscalers();
        let pods = self.pods_by_owner();
        // Sets before Deployments: a Deployment counts what its sets have told, and would always be a round late otherwise.
        let sets: Vec<Key> = self.store.list(Kind::ReplicaSet, None).map(|(key, _)| key.clone()).collect();
        for key in &sets {
            self.sync_set(key, pods.get(&self.uid_at(key)).map_or(&[], Vec::as_slice));
        }
        let deployments: Vec<Key> =
            self.store.list(Kind::Deployment, None).map(|(key, _)| key.clone()).collect();
        for key in &deployments {
            self.sync_deployment(key, &pods);
        }
        if std::mem::take(&mut self.endpoints_changed) {
            self.sync_endpoints();
            self.follow_traffic();
        }
    }

    /// By uid and not by name: an object that was deleted and made anew under its name owns nothing of the old one.
    fn uid_at(&self, key: &Key) -> String {
        self.store.get(key).map(|object| uid_of(object).to_owned()).unwrap_or_default()
    }

    /// Gathered once a round: each set would look through all pods otherwise.
    fn pods_by_owner(&self) -> BTreeMap<String, Vec<Arc<Value>>> {
        let mut by_owner: BTreeMap<String, Vec<Arc<Value>>> = BTreeMap::new();
        for (_, pod) in self.store.list(Kind::Pod, None) {
            let owner = controller_uid(pod);
            if !owner.is_empty() {
                by_owner.entry(owner.to_owned()).or_default().push(Arc::clone(pod));
            }
        }
        by_owner
    }

    /// `ReplicaSets` and pods whose owner is gone go too.
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
            // A pod is not just gone: it gets its signal and its time to end, like one that somebody has deleted.
            if key.kind == Kind::Pod {
                self.terminate(&key, None);
            } else {
                self.store.remove(&key);
            }
        }
    }

    /// Brings a set to its number of pods. Those that are about to end do not count: their successors are made at once.
    fn sync_set(&mut self, key: &Key, pods: &[Arc<Value>]) {
        let Some(set) = self.store.get(key).map(|set| Value::clone(set)) else { return };
        let active: Vec<&Arc<Value>> = pods.iter().filter(|pod| !terminating(pod)).collect();
        let wanted = usize::try_from(replicas(&set)).unwrap_or(0);
        let mut creation = Creation::Done;
        if active.len() < wanted && !self.may_create(&set) {
            creation = Creation::Waits;
        } else if active.len() < wanted {
            for _ in active.len()..wanted {
                let pod_name = self.fresh_name(&format!("{}-", name(&set)));
                if let Err(why) = self.admit(&set, &pod_name) {
                    creation = Creation::Refused(why);
                    break;
                }
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
        self.write_set_status(set, &active, &creation);
    }

    /// Ready is what the probe says; available only after `minReadySeconds` of it without a break, and nobody tells when
    /// that is over: so a look is planned.
    fn write_set_status(&mut self, mut set: Value, active: &[&Arc<Value>], creation: &Creation) {
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
        let conditions = creation.conditions(&set, self.now);
        if !conditions.is_empty() {
            status["conditions"] = json!(conditions);
        }
        put(&mut set, "/status", status);
        self.write(Kind::ReplicaSet, set, CONTROLLER, Some("status"));
    }
}
