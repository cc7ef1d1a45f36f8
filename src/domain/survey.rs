//! What a cluster's namespace has, as `cutover init` sees it: plain values, read once, from which a runbook is written.
//!
//! Names and labels are those that Kubernetes itself would take: whatever else a server says is left out by whoever fills
//! this in. Images, probe paths and host names are foreign text, written only where they are escaped.

use std::collections::BTreeMap;

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// A namespace at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The kubeconfig context.
    pub context: String,
    /// The API server's URL.
    pub server: String,
    /// The uid of `kube-system`, which stands for the cluster; empty where it may not be read.
    pub cluster_uid: String,
    /// The namespace.
    pub namespace: String,
    /// Services that select pods.
    pub services: Vec<FoundService>,
    /// Deployments.
    pub deployments: Vec<FoundDeployment>,
    /// `HTTPRoute`s of the Gateway API.
    pub routes: Vec<FoundRoute>,
    /// Autoscalers of Deployments.
    pub autoscalers: Vec<FoundAutoscaler>,
    /// Pod disruption budgets.
    pub budgets: Vec<FoundBudget>,
    /// Objects of other controllers that move traffic by themselves.
    pub controllers: Vec<FoundController>,
    /// Reads that were not allowed, each a sentence that says what to ask for.
    pub forbidden: Vec<String>,
}

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundService {
    /// Its name.
    pub name: String,
    /// Which pods it selects; never empty.
    pub selector: Labels,
    /// Whether it has no address of its own (`clusterIP: None`).
    pub headless: bool,
}

/// A Deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundDeployment {
    /// Its name.
    pub name: String,
    /// The labels of its pods.
    pub labels: Labels,
    /// Its containers, in order.
    pub containers: Vec<FoundContainer>,
    /// Pods that are wanted.
    pub replicas: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Whether its strategy is `Recreate`.
    pub recreate: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// The `pod-template-hash` of its newest revision, where `ReplicaSets` may be listed.
    pub hash: Option<String>,
    /// Who applies it and may take back what others change, in words: `Argo CD (shop)`.
    pub applied_by: Option<String>,
    /// What it belongs to, where that is another object: `rollout/shop`.
    pub owner: Option<String>,
}

/// A container of a Deployment's pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundContainer {
    /// Its name.
    pub name: String,
    /// Its image: foreign text.
    pub image: String,
    /// How it is asked whether it is ready: foreign text.
    pub readiness: Option<String>,
    /// The path of that question, where it is asked by HTTP: foreign text.
    pub health_path: Option<String>,
}

/// An `HTTPRoute`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundRoute {
    /// Its name.
    pub name: String,
    /// Its host names: foreign text.
    pub hosts: Vec<String>,
    /// The Services of each rule, in order, with their weights; those of other namespaces and kinds are not here.
    pub rules: Vec<Vec<(String, u32)>>,
}

/// A `HorizontalPodAutoscaler`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundAutoscaler {
    /// Its name.
    pub name: String,
    /// The Deployment that it scales.
    pub deployment: String,
    /// The fewest pods.
    pub min: u32,
    /// The most pods.
    pub max: u32,
}

/// A `PodDisruptionBudget`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundBudget {
    /// Its name.
    pub name: String,
    /// Which pods it protects.
    pub selector: Labels,
    /// What it wants, say `minAvailable 2`: foreign text.
    pub wants: String,
}

/// An Argo Rollout, or a Flagger Canary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundController {
    /// Whose it is: `Argo Rollouts`, `Flagger`.
    pub product: &'static str,
    /// The object: `rollout/shop`.
    pub object: String,
    /// The labels of the pods that it makes, where it makes them.
    pub labels: Labels,
    /// The Deployment that it controls, where it controls one.
    pub deployment: Option<String>,
}

impl Survey {
    /// A Deployment by name.
    pub fn deployment(&self, name: &str) -> Option<&FoundDeployment> {
        self.deployments.iter().find(|deployment| deployment.name == name)
    }

    /// A Service by name.
    pub fn service(&self, name: &str) -> Option<&FoundService> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The Deployments whose pods a selector meets.
    pub fn met_by<'a>(&'a self, selector: &'a Labels) -> impl Iterator<Item = &'a FoundDeployment> {
        self.deployments.iter().filter(move |deployment| meets(selector, &deployment.labels))
    }
}

impl FoundDeployment {
    /// A container by name.
    pub fn container(&self, name: &str) -> Option<&FoundContainer> {
        self.containers.iter().find(|container| container.name == name)
    }
}

/// Whether pods with these labels are selected.
pub fn meets(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether Kubernetes takes this as an object's name: lower-case letters, digits, `-` and dots, at most 253 characters.
pub fn is_object_name(text: &str) -> bool {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| outer(c) || c == '-' || c == '.';
    text.len() <= 253 && text.starts_with(outer) && text.ends_with(outer) && text.chars().all(inner)
}

/// Whether Kubernetes takes this as a label's key or value: letters, digits, `-`, `_`, dots and, in keys, `/`.
pub fn is_label(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    text.len() <= 317 && text.chars().all(plain)
}
