//! What makes real clusters awkward, on request of a test: nodes without room, failing readiness probes, autoscalers.
//! Also what users would notice: who answers them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Cluster,
    created::{CONTROLLER, DESIRED_POINTER},
    fields::{Writer, record},
    hindrance::is_of,
    life::NODES,
    object::{condition, controller_uid, int, list, put, rfc3339, terminating, text, uid_of},
    resource::{Kind, Resource},
    rollout::replicas,
    state::State,
    store::Key,
};
use crate::world::scenario::Scenario;

impl Cluster {
    /// The pods that the Service sends traffic to now, by name: the ready addresses of its `EndpointSlice`s.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        let state = self.shared.state();
        let service = &state.furniture.service;
        let slices = state.store.list(Kind::EndpointSlice, Some(&state.furniture.namespace));
        let ours = slices
            .filter(|(_, slice)| text(slice, "/metadata/labels/kubernetes.io~1service-name") == service);
        let ready = ours.flat_map(|(_, slice)| list(slice, "/endpoints")).filter(|endpoint| {
            endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(false)
        });
        ready.map(|endpoint| text(endpoint, "/targetRef/name").to_owned()).collect()
    }

    /// Pods of a Deployment that are ready and not on their way out.
    #[must_use]
    pub fn ready_pods(&self, deployment: &str) -> usize {
        let state = self.shared.state();
        let pods = state.pods_of(deployment);
        pods.iter().filter(|pod| condition(pod, "Ready") == "True").count()
    }

    /// The replicas that a Deployment's spec wants; nothing where there is no such Deployment.
    #[must_use]
    pub fn replicas(&self, deployment: &str) -> Option<u32> {
        let wanted = int(&self.object("deployments", deployment)?, "/spec/replicas");
        Some(u32::try_from(wanted).unwrap_or(0))
    }

    /// Lets the readiness probes of a Deployment's pods fail, also of those to come, or pass again.
    pub fn fail_probes(&self, deployment: &str, fail: bool) {
        self.shared.change(|state| {
            if fail {
                state.hindrances.unready.insert(deployment.to_owned());
            } else {
                state.hindrances.unready.remove(deployment);
            }
            for pod in state.pods_of(deployment) {
                state.probe(Value::clone(&pod), !fail);
            }
        });
    }

    /// No node takes more pods than this from now on, or as many as it was furnished for. What runs goes on.
    pub fn limit_pods(&self, per_node: Option<usize>) {
        self.shared.change(|state| {
            state.hindrances.room = per_node;
            for node in NODES {
                let key = Key::new(Kind::Node, "", node);
                let Some(mut object) = state.store.get(&key).map(|object| Value::clone(object)) else {
                    continue;
                };
                let pods = per_node.map_or_else(
                    || object["status"]["capacity"]["pods"].clone(),
                    |pods| json!(pods.to_string()),
                );
                put(&mut object, "/status/allocatable/pods", pods);
                state.write(Kind::Node, object, "kubelet", Some("status"));
            }
        });
    }

    /// The autoscaler of a Deployment makes up its mind: so many replicas, within its bounds. Says whether there is one.
    #[must_use = "there may be nothing of this name"]
    pub fn autoscale(&self, deployment: &str, replicas: u32) -> bool {
        self.edit("horizontalpodautoscalers", deployment, |object| {
            put(object, "/status/desiredReplicas", replicas);
        })
    }
}

impl State {
    /// A pod's container ends with an error, once. Says whether there is such a pod.
    pub(super) fn crash_pod(&mut self, pod: &str) -> bool {
        let key = self.key(Kind::Pod, pod);
        let Some(pod) = self.store.get(&key).map(|pod| Value::clone(pod)) else { return false };
        self.crash(&pod, 1);
        true
    }

    /// Whether the Deployment that a pod belongs to has probes that fail.
    pub(super) fn probes_fail(&self, pod: &Value) -> bool {
        self.hindrances.unready.iter().any(|deployment| is_of(pod, deployment))
    }

    /// Whether a new version's pod never becomes ready, because as many as half of those wanted are.
    pub(super) fn is_stuck(&self, pod: &Value) -> bool {
        if self.scenario != Scenario::StuckHalfWay
            || text(pod, "/spec/containers/0/image") == self.furniture.image
        {
            return false;
        }
        let set = text(pod, "/metadata/ownerReferences/0/name");
        let Some(set) = self.store.get(&self.key(Kind::ReplicaSet, set)) else { return false };
        let wanted = text(set, DESIRED_POINTER).parse::<usize>().unwrap_or(0);
        let pods = self.store.list(Kind::Pod, Some(&self.furniture.namespace));
        let ready = pods
            .filter(|(_, other)| controller_uid(other) == uid_of(set) && condition(other, "Ready") == "True");
        ready.count() >= wanted / 2
    }

    /// A node that takes one more pod, by turns; nothing where none does.
    pub(super) fn node_with_room(&mut self) -> Option<&'static str> {
        let from = self.scheduled;
        for turn in 0..NODES.len() {
            let node = NODES[(from + turn) % NODES.len()];
            if self.hindrances.room.is_none_or(|room| self.pods_on(node) < room) {
                self.scheduled = from + turn + 1;
                return Some(node);
            }
        }
        None
    }

    fn pods_on(&self, node: &str) -> usize {
        self.store.list(Kind::Pod, None).filter(|(_, pod)| text(pod, "/spec/nodeName") == node).count()
    }

    /// Every autoscaler sets its Deployment's replicas to what it wants. At zero it rests.
    pub(super) fn sync_autoscalers(&mut self) {
        let autoscalers: Vec<Arc<Value>> = self
            .store
            .list(Kind::HorizontalPodAutoscaler, None)
            .map(|(_, object)| Arc::clone(object))
            .collect();
        for autoscaler in autoscalers {
            let key = self.key(Kind::Deployment, text(&autoscaler, "/spec/scaleTargetRef/name"));
            let Some(old) = self.store.get(&key).cloned() else { continue };
            let now = replicas(&old);
            if now == 0 || terminating(&old) {
                continue;
            }
            let (least, most) =
                (int(&autoscaler, "/spec/minReplicas").max(1), int(&autoscaler, "/spec/maxReplicas"));
            let wanted = match int(&autoscaler, "/status/desiredReplicas") {
                0 => now,
                wanted => wanted,
            };
            let wanted = wanted.clamp(least, most.max(least));
            if wanted == now {
                continue;
            }
            let mut new = Value::clone(&old);
            put(&mut new, "/spec/replicas", wanted);
            put(&mut new, "/metadata/generation", int(&old, "/metadata/generation") + 1);
            let api_version = Resource::of(Kind::Deployment).api_version();
            let time = rfc3339(self.now);
            let writer = Writer {
                manager: CONTROLLER,
                operation: "Update",
                api_version: &api_version,
                subresource: Some("scale"),
                time: &time,
            };
            record(&old, &mut new, &writer, None);
            self.store.put(Kind::Deployment, new);
            let message = format!("New size: {wanted}; reason: All metrics below target");
            self.event(&autoscaler, false, "SuccessfulRescale", &message, "horizontal-pod-autoscaler");
        }
    }
}
