//! What a node knows of a pod, and what happens to it next.

use serde_json::{Value, json};

use super::object::{digest, int, list, put, text, uid_of};

/// The names of the nodes.
/// Two of them, so that pods of one Deployment can be on different ones.
pub(super) const NODES: [&str; 2] = ["node-1", "node-2"];

pub(super) const KUBELET: &str = "kubelet";

/// What the kubelet remembers of a pod.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Crashes in a row, and when the last one was.
    pub(super) crashes: u32,
    pub(super) last_crash: i64,
    /// The pause before the next try grows with them: `ErrImagePull`, then `ImagePullBackOff`.
    pub(super) failed_pulls: u32,
    /// Raised by a crash or a deletion, so that steps planned before no longer happen.
    pub(super) epoch: u32,
}

/// What happens to a pod next; the number is the [`Life::epoch`] in which it was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PodStep {
    Schedule(u32),
    Accept(u32),
    Pull(u32),
    PullFails(u32),
    BackOffPull(u32),
    Start(u32),
    NotYetReady(u32),
    Ready(u32),
    Restart(u32),
    /// Its containers end with this code.
    Crash(u32, i64),
    Gone,
}

impl PodStep {
    pub(super) fn epoch(self) -> Option<u32> {
        match self {
            Self::Schedule(epoch)
            | Self::Accept(epoch)
            | Self::Pull(epoch)
            | Self::PullFails(epoch)
            | Self::BackOffPull(epoch)
            | Self::Start(epoch)
            | Self::NotYetReady(epoch)
            | Self::Ready(epoch)
            | Self::Restart(epoch)
            | Self::Crash(epoch, _) => Some(epoch),
            Self::Gone => None,
        }
    }
}

/// None where the kubelet has not yet accepted the pod.
pub(super) fn container_statuses(pod: &mut Value) -> impl Iterator<Item = &mut Value> {
    pod.pointer_mut("/status/containerStatuses").and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets every container's state and clears `ready`.
pub(super) fn set_container_states(pod: &mut Value, state: &Value, started: bool) {
    let id = container_id(pod);
    let statuses: Vec<Value> = list(pod, "/spec/containers")
        .iter()
        .map(|container| {
            let before = list(pod, "/status/containerStatuses")
                .iter()
                .find(|status| text(status, "/name") == text(container, "/name"));
            let image = text(container, "/image");
            let mut status = json!({
                "name": text(container, "/name"),
                "state": state,
                "lastState": before.map_or_else(|| json!({}), |before| before["lastState"].clone()),
                "ready": false,
                "restartCount": before.map_or(0, |before| int(before, "/restartCount")),
                "image": image,
                "imageID": "",
                "started": started,
            });
            // An image that was not pulled has no id, and a container that never ran has none either.
            if started {
                let repository = super::image_parts(image).0;
                status["imageID"] =
                    json!(format!("{repository}@sha256:{:016x}{:016x}", digest(image), digest(repository)));
                status["containerID"] = json!(id);
            }
            status
        })
        .collect();
    put(pod, "/status/containerStatuses", statuses);
}

/// The containers' runtime id: a new one for every start.
pub(super) fn container_id(pod: &Value) -> String {
    let starts = int(pod, "/status/containerStatuses/0/restartCount");
    let seed = format!("{}{starts}", uid_of(pod));
    format!("containerd://{:016x}{:016x}", digest(&seed), digest(&format!("{seed}-")))
}
