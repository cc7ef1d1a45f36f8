//! A pod's status in one word, by the rules of the STATUS column of `kubectl get pods`.
//!
//! The rules are the API server's own table printer's, so that the word on our screen and the one in another terminal agree.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::core::v1::ContainerState;

use crate::domain::{rollout::PodStage, safe_text::SafeText, workload::Pod};

use super::{
    lean::{LeanContainer, LeanContainerStatus, LeanPod, LeanStatus},
    locked,
    stage::{ended_word, is_sidecar, stage},
    when::at,
};

/// The label with the hash of the template that a pod was made from.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";

/// A pod's labels. Most pods of a Deployment have the same ones.
pub(super) type Labels = Arc<BTreeMap<String, String>>;

/// Labels that many pods have, stored once.
#[derive(Debug, Default)]
pub(super) struct LabelSets(Mutex<Vec<Labels>>);

impl LabelSets {
    /// Different ones kept at most: pods that each have a label of their own would fill it for nothing.
    const KEPT: usize = 64;

    /// These labels, shared with the pods that have the same.
    pub(super) fn shared(&self, labels: Option<&BTreeMap<String, String>>) -> Labels {
        let mut known = locked(&self.0);
        let Some(labels) = labels else { return Labels::default() };
        if let Some(same) = known.iter().find(|known| known.as_ref() == labels) {
            return Arc::clone(same);
        }
        let labels = Arc::new(labels.clone());
        if known.len() >= Self::KEPT {
            known.remove(0);
        }
        known.push(Arc::clone(&labels));
        labels
    }
}

/// A pod with what only this adapter needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodRecord {
    /// Its uid.
    pub(super) uid: String,
    /// The `ReplicaSet` that made it; empty where none did.
    pub(super) set: String,
    /// How far it is on its way to being ready.
    pub(super) stage: PodStage,
    /// As the screen gets it.
    pub(super) pod: Pod,
    /// What the kubelet or the scheduler says about a bad state.
    pub(super) why: String,
    /// Whether it is on its way out, so that its troubles are nobody's.
    pub(super) leaving: bool,
    /// Its labels, where somebody needs them: see [`LabelSets`].
    pub(super) labels: Labels,
}

impl PodRecord {
    /// The hash of the template that it was made from.
    pub(super) fn hash(&self) -> Option<&str> {
        self.labels.get(TEMPLATE_HASH).map(String::as_str)
    }
}

/// Words that waiting alone does not mend. `ErrImagePull` is tried again by the kubelet, yet rarely succeeds by itself.
const BAD: [&str; 17] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreStartHookError",
    "PostStartHookError",
    "Error",
    "OOMKilled",
    "ContainerCannotRun",
    "StartError",
    "DeadlineExceeded",
];

/// Makes the record of a pod; `container` is the one whose image says the version.
pub(super) fn record(pod: &LeanPod, container: &str) -> PodRecord {
    let status = &pod.status;
    let sidecars: Vec<&LeanContainer> =
        pod.spec.init_containers.iter().filter(|container| is_sidecar(container)).collect();
    let column = column(pod, &sidecars);
    let total = pod.spec.containers.len() + sidecars.len();
    let is_ready = condition(status, "Ready") && !column.leaving;
    let unschedulable = status.conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    let word = column.word;
    let plain = word.strip_prefix("Init:").unwrap_or(&word);
    let bad = !column.leaving
        && (BAD.contains(&plain)
            || plain.starts_with("Signal:")
            || plain.starts_with("ExitCode:")
            || matches!(status.phase.as_deref(), Some("Failed" | "Unknown"))
            || unschedulable.is_some());
    let why = column
        .why
        .or_else(|| unschedulable.and_then(|condition| condition.message.clone()))
        .unwrap_or_default();
    let image = pod.container(container).and_then(|container| container.image.as_deref());
    let owners = pod.metadata.owner_references.iter().flatten();
    let set = owners.filter(|owner| owner.kind == "ReplicaSet" && owner.controller == Some(true));
    PodRecord {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        set: set.map(|owner| owner.name.clone()).next().unwrap_or_default(),
        stage: stage(pod),
        pod: Pod {
            name: SafeText::from(pod.name()).into(),
            status: SafeText::from(word).into(),
            ready: is_ready && column.ready == total,
            containers_ready: count(column.ready),
            containers: count(total),
            restarts: column.restarts,
            created: at(pod.metadata.creation_timestamp.as_ref()),
            version: SafeText::new(tag(image.unwrap_or_default())).into(),
            bad,
        },
        why: if bad { SafeText::from(why).into() } else { String::new() },
        leaving: column.leaving,
        labels: Labels::default(),
    }
}

/// What `kubectl get pods` would print of it, worked out the same way: people compare the two.
struct Column {
    word: String,
    why: Option<String>,
    ready: usize,
    restarts: u32,
    leaving: bool,
}

/// A pod that waits for a gate has no node by intention; "Pending" alone would look like a full cluster.
fn column(pod: &LeanPod, sidecars: &[&LeanContainer]) -> Column {
    let status = &pod.status;
    let gated = |condition: &k8s_openapi::api::core::v1::PodCondition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("SchedulingGated")
    };
    let phase = status.phase.clone().unwrap_or_default();
    let mut column = Column {
        word: status.reason.clone().filter(|reason| !reason.is_empty()).unwrap_or_else(|| phase.clone()),
        why: status.message.clone(),
        ready: 0,
        restarts: 0,
        leaving: false,
    };
    if status.conditions.iter().any(gated) {
        "SchedulingGated".clone_into(&mut column.word);
    }
    let (initializing, sidecar_restarts) = initialization(&mut column, pod, sidecars);
    if !initializing || condition(status, "Initialized") {
        column.restarts = sidecar_restarts;
        main_containers(&mut column, status);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        if status.reason.as_deref() == Some("NodeLost") {
            "Unknown".clone_into(&mut column.word);
        } else if phase != "Failed" && phase != "Succeeded" {
            "Terminating".clone_into(&mut column.word);
        }
        column.leaving = true;
    }
    column
}

/// Goes through the init containers up to the one that is at work or has failed. Says whether there is one, and how often
/// the sidecars among them have restarted: only those count once the pod has started.
fn initialization(column: &mut Column, pod: &LeanPod, sidecars: &[&LeanContainer]) -> (bool, u32) {
    let wanted = pod.spec.init_containers.len();
    let mut sidecar_restarts = 0;
    for (index, container) in pod.status.init_container_statuses.iter().enumerate() {
        let restarts = u32::try_from(container.restart_count).unwrap_or(0);
        column.restarts += restarts;
        let sidecar = sidecars.iter().any(|sidecar| sidecar.name == container.name);
        if sidecar {
            sidecar_restarts += restarts;
        }
        match (&container.state.terminated, &container.state.waiting) {
            (Some(ended), _) if ended.exit_code == 0 => continue,
            _ if sidecar && container.started == Some(true) => {
                column.ready += usize::from(container.ready);
                continue;
            }
            (Some(ended), _) => {
                column.word = format!("Init:{}", ended_word(ended));
                column.why.clone_from(&ended.message);
            }
            (None, Some(waiting))
                if waiting
                    .reason
                    .as_deref()
                    .is_some_and(|why| !why.is_empty() && why != "PodInitializing") =>
            {
                column.word = format!("Init:{}", waiting.reason.as_deref().unwrap_or_default());
                column.why.clone_from(&waiting.message);
            }
            _ => column.word = format!("Init:{index}/{wanted}"),
        }
        return (true, sidecar_restarts);
    }
    (false, sidecar_restarts)
}

/// Restarts are summed over all of them, and the word is the first one's that is in trouble.
fn main_containers(column: &mut Column, status: &LeanStatus) {
    let mut running = false;
    // From the last to the first, so that the first container's trouble is the word.
    for container in status.container_statuses.iter().rev() {
        column.restarts += u32::try_from(container.restart_count).unwrap_or(0);
        let ContainerState { running: is_running, terminated, waiting } = container.state.clone();
        match (waiting, terminated) {
            (Some(waiting), _) if waiting.reason.as_deref().is_some_and(|reason| !reason.is_empty()) => {
                column.word = waiting.reason.unwrap_or_default();
                column.why = waiting.message.or_else(|| last_end(container));
            }
            (_, Some(ended)) => {
                column.word = ended_word(&ended);
                column.why = ended.message;
            }
            _ if container.ready && is_running.is_some() => {
                running = true;
                column.ready += 1;
            }
            _ => {}
        }
    }
    if column.word == "Completed" && running {
        let word = if condition(status, "Ready") { "Running" } else { "NotReady" };
        word.clone_into(&mut column.word);
    }
}

/// How a crashing container ended last.
fn last_end(container: &LeanContainerStatus) -> Option<String> {
    let ended = container.last_state.terminated.as_ref()?;
    Some(format!("{}, exit code {}", ended_word(ended), ended.exit_code))
}

fn condition(status: &LeanStatus, kind: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

/// The image's tag, or the whole image where it has none. A registry's port is no tag; a digest after a tag is left out.
pub(super) fn tag(image: &str) -> &str {
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    let last = named.rsplit('/').next().unwrap_or(named);
    last.split_once(':').map_or(image, |(_, tag)| tag)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "JSON literals read better without a reference")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(pod: Value) -> PodRecord {
        record(&serde_json::from_value(pod).unwrap(), "backend")
    }

    fn pod(status: Value) -> Value {
        json!({
            "metadata": { "name": "p", "creationTimestamp": "2026-11-20T10:00:00Z" },
            "spec": { "containers": [{ "name": "backend", "image": "r.example:5000/pay/backend:v1.6.0" }] },
            "status": status
        })
    }

    fn with_state(state: Value, ready: bool) -> Value {
        pod(json!({ "phase": "Running", "containerStatuses": [
            { "name": "backend", "ready": ready, "restartCount": 2, "image": "", "imageID": "", "state": state }
        ]}))
    }

    #[test]
    fn a_running_pod_is_running_and_ready() {
        let mut it = with_state(json!({ "running": {} }), true);
        it["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
        let it = seen(it).pod;
        assert_eq!((it.status.as_str(), it.ready, it.bad, it.restarts), ("Running", true, false, 2));
        assert_eq!((it.containers_ready, it.containers, it.version.as_str()), (1, 1, "v1.6.0"));
        assert_eq!(it.created.to_string(), "2026-11-20T10:00:00.000Z");
    }

    #[test]
    fn waiting_and_ended_containers_give_their_reason() {
        for (state, word, bad) in [
            (
                json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such tag" } }),
                "ImagePullBackOff",
                true,
            ),
            (json!({ "waiting": { "reason": "ContainerCreating" } }), "ContainerCreating", false),
            (json!({ "terminated": { "exitCode": 0, "reason": "Completed" } }), "Completed", false),
            (json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }), "OOMKilled", true),
            (json!({ "terminated": { "exitCode": 3 } }), "ExitCode:3", true),
            (json!({ "terminated": { "exitCode": 0, "signal": 9 } }), "Signal:9", true),
            (json!({ "waiting": {} }), "Running", false),
        ] {
            let it = seen(with_state(state.clone(), false));
            assert_eq!((it.pod.status.as_str(), it.pod.bad, it.pod.ready), (word, bad, false), "{state}");
        }
    }

    #[test]
    fn a_crash_loop_tells_how_it_ended_last() {
        let mut it = with_state(json!({ "waiting": { "reason": "CrashLoopBackOff" } }), false);
        it["status"]["containerStatuses"][0]["lastState"] =
            json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
        assert_eq!(seen(it).why, "Error, exit code 1");
    }

    #[test]
    fn a_completed_container_beside_a_running_one_is_no_word() {
        let status = |ready: &str| {
            pod(
                json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }], "containerStatuses": [
                    { "name": "once", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                      "state": { "terminated": { "exitCode": 0, "reason": "Completed" } } },
                    { "name": "backend", "ready": true, "restartCount": 0, "image": "", "imageID": "", "state": { "running": {} } }
                ]}),
            )
        };
        assert_eq!(seen(status("True")).pod.status, "Running");
        assert_eq!(seen(status("False")).pod.status, "NotReady");
    }

    fn with_init(init: &[Value], conditions: &Value) -> Value {
        let mut it =
            pod(json!({ "phase": "Pending", "initContainerStatuses": init, "conditions": conditions }));
        it["spec"]["initContainers"] = json!([{ "name": "a" }, { "name": "b" }]);
        it
    }

    #[test]
    fn init_containers_tell_how_far_they_are() {
        let init = |name: &str, state: Value| json!({ "name": name, "ready": false, "restartCount": 1, "image": "", "imageID": "", "state": state });
        let done = || init("a", json!({ "terminated": { "exitCode": 0 } }));
        for (second, word, bad) in [
            (json!({ "running": {} }), "Init:1/2", false),
            (json!({ "waiting": { "reason": "PodInitializing" } }), "Init:1/2", false),
            (json!({ "waiting": { "reason": "CrashLoopBackOff" } }), "Init:CrashLoopBackOff", true),
            (json!({ "terminated": { "exitCode": 2, "reason": "Error" } }), "Init:Error", true),
            (json!({ "terminated": { "exitCode": 2 } }), "Init:ExitCode:2", true),
            (json!({ "terminated": { "exitCode": 2, "signal": 15 } }), "Init:Signal:15", true),
        ] {
            let it = seen(with_init(&[done(), init("b", second)], &json!([]))).pod;
            assert_eq!((it.status.as_str(), it.bad, it.restarts), (word, bad, 2));
        }
    }

    #[test]
    fn a_started_sidecar_counts_as_a_container() {
        let mut it = pod(json!({ "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Initialized", "status": "True" }],
            "initContainerStatuses": [{ "name": "mesh", "ready": true, "started": true, "restartCount": 3, "image": "", "imageID": "", "state": { "running": {} } }],
            "containerStatuses": [{ "name": "backend", "ready": true, "restartCount": 1, "image": "", "imageID": "", "state": { "running": {} } }] }));
        it["spec"]["initContainers"] = json!([{ "name": "mesh", "restartPolicy": "Always" }]);
        let it = seen(it).pod;
        assert_eq!((it.containers_ready, it.containers, it.restarts, it.ready), (2, 2, 4, true));
    }

    #[test]
    fn leaving_lost_gated_and_unschedulable_pods_have_their_words() {
        let mut leaving = with_state(json!({ "waiting": { "reason": "CrashLoopBackOff" } }), false);
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
        let it = seen(leaving);
        assert_eq!((it.pod.status.as_str(), it.pod.bad, it.leaving), ("Terminating", false, true));

        let mut lost = pod(json!({ "phase": "Running", "reason": "NodeLost" }));
        lost["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
        assert_eq!(seen(lost).pod.status, "Unknown");

        let gated = pod(
            json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated" }] }),
        );
        assert_eq!(seen(gated).pod.status, "SchedulingGated");

        let stuck = pod(json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available" }] }));
        let it = seen(stuck);
        assert_eq!(
            (it.pod.status.as_str(), it.pod.bad, it.why.as_str()),
            ("Pending", true, "0/2 nodes are available")
        );

        let evicted = pod(json!({ "phase": "Failed", "reason": "Evicted" }));
        assert_eq!((seen(evicted.clone()).pod.status.as_str(), seen(evicted).pod.bad), ("Evicted", true));
    }

    #[test]
    fn the_tag_is_found_behind_ports_and_before_digests() {
        assert_eq!(tag("backend:v1"), "v1");
        assert_eq!(tag("r:5000/backend"), "r:5000/backend");
        assert_eq!(tag("r:5000/backend:v2@sha256:00"), "v2");
        assert_eq!(tag("backend@sha256:00"), "backend@sha256:00");
        assert_eq!(tag(""), "");
    }

    #[test]
    fn foreign_text_is_made_safe() {
        let it =
            seen(with_state(json!({ "waiting": { "reason": "Error", "message": "\u{1b}[2Jgone" } }), false));
        assert_eq!(it.why, "<U+001B>[2Jgone");
    }
}
