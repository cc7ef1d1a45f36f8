//! The cluster as the run sees it: two slots, their pods, the Service, recent problems.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{director::Shares, id::SlotName, rights::Missing, time::Timestamp};

/// Everything the watches know at one moment. Sent whole; small enough at any size because pods beyond
/// [`Workload::MAX_PODS`] a slot are only counted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Workload {
    /// The slots by name.
    pub slots: BTreeMap<SlotName, SlotWorkload>,
    /// The Service's selector now, where the Service was found.
    pub selector: Option<BTreeMap<String, String>>,
    /// The slot that selector points at, where it is one of ours.
    pub live: Option<SlotName>,
    /// The Service's `resourceVersion` as last seen.
    pub service_version: String,
    /// Who last changed the Service's selector: the field manager and when.
    pub service_changed: Option<ChangedBy>,
    /// Warning events of the namespace that concern our objects, newest first, at most 50.
    pub warnings: Vec<WarningEvent>,
    /// Whether the watches are connected now; otherwise why not.
    pub connection: Connection,
    /// When this picture was last confirmed by the API server.
    pub as_of: Timestamp,
    /// How much of the traffic each slot gets, where a slot can have a part of it.
    #[serde(default)]
    pub shares: Shares,
    /// The route, where one directs traffic: what each slot's backend weighs, and why its gateway does not carry it out.
    #[serde(default)]
    pub route: Option<RouteState>,
}

/// A route as the watch sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RouteState {
    /// Its uid.
    pub uid: String,
    /// What each slot's backend weighs.
    pub weights: BTreeMap<SlotName, u32>,
    /// Why its gateway does not carry it out, or not yet.
    pub unfit: Option<String>,
    /// Whether it only has not seen the latest change yet.
    #[serde(default)]
    pub lags: bool,
    /// Slots that other rules of it send traffic to.
    #[serde(default)]
    pub elsewhere: BTreeSet<SlotName>,
}

impl Workload {
    /// Pods listed in full for each slot; beyond it the worst are kept and all are counted.
    pub const MAX_PODS: usize = 200;

    /// The memory that it takes, in bytes, but for what is always little.
    pub(crate) fn memory(&self) -> usize {
        let pods = self.slots.values().flat_map(|slot| &slot.pods);
        let pods = pods.map(|pod| size_of::<Pod>() + pod.name.len() + pod.status.len() + pod.version.len());
        let warning = |warning: &WarningEvent| {
            size_of::<WarningEvent>() + warning.object.len() + warning.reason.len() + warning.message.len()
        };
        size_of::<Self>() + pods.sum::<usize>() + self.warnings.iter().map(warning).sum::<usize>()
    }
}

/// The state of the watches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// Not yet.
    #[default]
    Connecting,
    /// All watches run.
    Connected,
    /// Something fails; the text says what and what to do.
    Lost(String),
}

/// Who changed an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedBy {
    /// The field manager, say `kubectl-patch`.
    pub manager: String,
    /// When, as the API server recorded it.
    pub at: Option<Timestamp>,
}

/// One slot's Deployment and pods.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SlotWorkload {
    /// The Deployment's name.
    pub deployment: String,
    /// Whether the Deployment exists.
    pub found: bool,
    /// The Deployment's uid: another one means it was replaced.
    pub uid: String,
    /// `spec.replicas`; 1 where the API has null, as Kubernetes defaults it.
    pub desired: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Ready pods.
    pub ready: u32,
    /// Available pods.
    pub available: u32,
    /// The container's image in the template.
    pub image: String,
    /// The rollout's state by kubectl's rules.
    pub rollout: RolloutState,
    /// Its revision, by its `pod-template-hash`; empty where that is not known.
    #[serde(default)]
    pub hash: String,
    /// Ready pods that a rolling update of this Deployment always leaves; nothing where that is not known.
    #[serde(default)]
    pub kept: Option<u32>,
    /// Who last changed the Deployment's spec.
    pub changed: Option<ChangedBy>,
    /// Pods, worst first, at most [`Workload::MAX_PODS`].
    pub pods: Vec<Pod>,
    /// All pods counted by status word.
    pub counts: BTreeMap<String, u32>,
    /// What is known of the pods that are not listed.
    #[serde(default)]
    pub unlisted: Unlisted,
}

/// The pods of a slot beyond [`Workload::MAX_PODS`], in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unlisted {
    /// How many they are.
    pub pods: u32,
    /// How many of them are bad: see [`Pod::bad`].
    pub bad: u32,
    /// Their restarts together.
    pub restarts: u32,
}

impl SlotWorkload {
    /// Pods with something wrong, listed or not.
    pub fn bad(&self) -> u32 {
        let listed = self.pods.iter().filter(|pod| pod.bad).count();
        u32::try_from(listed).unwrap_or(u32::MAX).saturating_add(self.unlisted.bad)
    }

    /// Restarts of all pods, listed or not.
    pub fn restarts(&self) -> u32 {
        self.pods.iter().fold(self.unlisted.restarts, |all, pod| all.saturating_add(pod.restarts))
    }

    /// All pods by status word: what is not simply running first, the most frequent of it before the others.
    pub fn by_status(&self) -> Vec<(&str, u32)> {
        let mut all: Vec<(&str, u32)> =
            self.counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        all.sort_by_key(|(word, count)| (*word == "Running", std::cmp::Reverse(*count)));
        all
    }
}

/// Where a rollout stands, by the rules of `kubectl rollout status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Not known yet.
    #[default]
    Unknown,
    /// The controller has not seen the newest spec.
    Unobserved,
    /// On its way; the text says how far, and what it waits for.
    Progressing(String),
    /// Every pod is of the newest template and available, no old one is left.
    Complete,
    /// The progress deadline has passed.
    DeadlineExceeded(String),
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its full name.
    pub name: String,
    /// The status as `kubectl get pods` words it: `Running`, `CrashLoopBackOff`, `ImagePullBackOff`, `Terminating`, …
    pub status: String,
    /// Whether every container is ready and the pod is.
    pub ready: bool,
    /// Ready containers.
    pub containers_ready: u32,
    /// All containers.
    pub containers: u32,
    /// Restarts of all containers together.
    pub restarts: u32,
    /// When it was created.
    pub created: Timestamp,
    /// The image's tag, or the whole image where it has none.
    pub version: String,
    /// Whether something is wrong with it that waiting will not mend by itself.
    pub bad: bool,
}

/// A warning event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningEvent {
    /// The object, `pod/backend-green-7f9c-2xk`.
    pub object: String,
    /// `BackOff`, `FailedScheduling`, …
    pub reason: String,
    /// The message, made safe.
    pub message: String,
    /// How often.
    pub count: u32,
    /// When last.
    pub at: Timestamp,
}

/// What the API server says we may do; `None` where not asked yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    /// Whether what directs traffic, the Service or the `HTTPRoute`, may be patched.
    pub patch_service: Option<bool>,
    /// Whether the Deployments may be patched and scaled.
    pub patch_deployments: Option<bool>,
    /// All that is missing of what the run needs.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// When this was asked.
    pub at: Timestamp,
}

/// The cluster a run is pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterIdentity {
    /// The kubeconfig context.
    pub context: String,
    /// The API server's URL.
    pub server: String,
    /// The uid of the namespace `kube-system`: stands for the cluster itself.
    pub uid: String,
    /// The namespace.
    pub namespace: String,
    /// The API server's version.
    pub version: String,
}

/// A line of a pod's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The pod's name.
    pub pod: String,
    /// When it was printed, as the cluster says; none for remarks of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The text, made safe.
    pub text: String,
}
