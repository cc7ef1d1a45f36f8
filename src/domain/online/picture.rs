//! What was seen, as plain values. Whatever could not be looked at says why.

use std::collections::BTreeMap;

use crate::domain::{
    director::RuleRef,
    id::{MetricId, SlotName},
    metric::Missing as NoNumber,
    rights::Missing,
    time::{Span, Timestamp},
    workload::{ClusterIdentity, Workload},
};

/// How this person logs in to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The context.
    pub context: String,
    /// The API server.
    pub server: String,
    /// The kubeconfig's user.
    pub user: String,
    /// By what: `client certificate`, `token`, `plugin aws`.
    pub by: String,
    /// The last moment it is valid, where it says so itself.
    pub until: Option<Timestamp>,
    /// What to do to renew it.
    pub renew: String,
}

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// Amounts by a resource's name as quotas write it (`pods`, `requests.cpu`), in thousandths of its unit.
pub type Amounts = BTreeMap<String, i128>;

/// Why something was not seen, and what would change that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Why, as a fragment.
    pub why: String,
    /// What to do.
    pub cure: String,
}

impl Unseen {
    /// Both texts.
    pub fn new(why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { why: why.into(), cure: cure.into() }
    }
}

/// What was seen, or why not.
pub type Looked<T> = Result<T, Unseen>;

/// Why the API server could not be asked anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// The kind of trouble.
    pub kind: Trouble,
    /// What happened.
    pub words: String,
    /// What to do.
    pub cure: String,
}

/// Kinds of trouble with an API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No kubeconfig, no such context, or one that cannot be used.
    Kubeconfig,
    /// The credentials could not be had, as from a plugin that fails.
    NoCredentials,
    /// The server does not accept the credentials (401).
    Expired,
    /// The server's name does not resolve.
    Name,
    /// Its certificate is not accepted.
    Certificate,
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    Silent,
    /// Anything else.
    Other,
}

impl Trouble {
    /// What the line is about.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kubeconfig => "kubeconfig",
            Self::NoCredentials | Self::Expired => "credentials",
            Self::Name => "name of the API server",
            Self::Certificate => "certificate of the API server",
            Self::Refused | Self::Silent | Self::Other => "API server",
        }
    }
}

/// An object that is there, or words that say what is there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// It is there.
    There(T),
    /// It is not; the text names what is.
    Absent(String),
}

/// Who owns or tracks an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Kind and name of the objects that own it.
    pub owners: Vec<(String, String)>,
    /// The field managers that have written it.
    pub managers: Vec<String>,
}

/// A container of a pod template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSeen {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its own requests, by `cpu` and `memory`.
    pub requests: Amounts,
    /// Its own limits, by `cpu` and `memory`.
    pub limits: Amounts,
}

/// A Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeploymentSeen {
    /// Labels, annotations, owners.
    pub meta: Meta,
    /// `spec.replicas`.
    pub replicas: u32,
    /// Whether it is paused.
    pub paused: bool,
    /// `spec.progressDeadlineSeconds`; none where it never gives up.
    pub progress_deadline: Option<Span>,
    /// Pods that a rollout may have beyond `replicas`.
    pub surge: u32,
    /// The labels of its pods.
    pub pod_labels: Labels,
    /// Its containers.
    pub containers: Vec<ContainerSeen>,
    /// What one pod counts in a quota.
    pub per_pod: Amounts,
    /// The priority class of its pods, where they have one.
    pub priority: Option<String>,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSeen {
    /// Labels, annotations, owners.
    pub meta: Meta,
    /// Its selector.
    pub selector: Labels,
    /// Pods that it selects now, and how many of them are ready.
    pub pods: Option<(u32, u32)>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteSeen {
    /// Labels, annotations, owners.
    pub meta: Meta,
    /// Names of the Services behind the rule of the runbook; none where it has no such rule.
    pub backends: Option<Vec<String>>,
}

/// An autoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// The Deployment that it scales.
    pub deployment: String,
    /// The fewest pods.
    pub least: u32,
    /// The most pods.
    pub most: u32,
}

/// A `PodDisruptionBudget`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// The labels that it matches; expressions apart.
    pub selector: Labels,
    /// Whether it has expressions too, so that nothing certain can be said of its pods.
    pub has_expressions: bool,
    /// Evictions allowed now.
    pub allowed: u32,
    /// Pods that it needs.
    pub needed: u32,
    /// Pods that are healthy.
    pub healthy: u32,
}

/// A `ResourceQuota`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// Its name.
    pub name: String,
    /// What is allowed.
    pub hard: Amounts,
    /// What is used.
    pub used: Amounts,
    /// Which pods it counts: those that are in all of these; all pods where there are none.
    pub scopes: Vec<Scope>,
}

/// A scope of a quota.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Its name: `BestEffort`, `PriorityClass`.
    pub name: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`; nothing in the short notation.
    pub operator: String,
    /// The values for `In` and `NotIn`.
    pub values: Vec<String>,
}

/// What a `LimitRange` says of containers, by `cpu` and `memory`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitRange {
    /// Its name.
    pub name: String,
    /// Limits of containers that have none.
    pub default: Amounts,
    /// Requests of containers that have none.
    pub default_request: Amounts,
    /// The most that a container may have.
    pub max: Amounts,
    /// The least that a container must have.
    pub min: Amounts,
}

/// Which application of which `GitOps` controller an object belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tracker {
    /// An Application of Argo CD; its namespace where the object names it.
    ArgoCd {
        /// The namespace, where it is named.
        namespace: Option<String>,
        /// The name.
        name: String,
    },
    /// A Kustomization of Flux.
    Kustomization {
        /// Its namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// A `HelmRelease` of Flux.
    HelmRelease {
        /// Its namespace.
        namespace: String,
        /// The name.
        name: String,
    },
}

/// What a `GitOps` controller does with an application of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// It puts back what others change.
    Heals,
    /// It puts back, with exceptions for some fields.
    HealsSome,
    /// It changes our objects only when the repository changes.
    OnCommit,
    /// It changes them when a person asks.
    ByHand,
    /// It is suspended.
    Suspended,
}

/// All that was seen of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterPicture {
    /// Which cluster.
    pub identity: ClusterIdentity,
    /// As whom.
    pub user: String,
    /// Milliseconds that the API server's clock is ahead of ours.
    pub clock: Looked<i64>,
    /// How many rights were asked for.
    pub rights: usize,
    /// The rights that are missing.
    pub missing: Looked<Vec<Missing>>,
    /// Slots, and who is live.
    pub workload: Looked<Workload>,
    /// Services by name: the target's and the slots' own.
    pub services: BTreeMap<String, Looked<Found<ServiceSeen>>>,
    /// The route, where one directs traffic.
    pub route: Option<(String, RuleRef, Looked<Found<RouteSeen>>)>,
    /// Deployments by name.
    pub deployments: BTreeMap<String, Looked<Found<DeploymentSeen>>>,
    /// Autoscalers of the namespace.
    pub autoscalers: Looked<Vec<Autoscaler>>,
    /// Disruption budgets of the namespace.
    pub budgets: Looked<Vec<Budget>>,
    /// Quotas of the namespace.
    pub quotas: Looked<Vec<Quota>>,
    /// Limit ranges of the namespace.
    pub limits: Looked<Vec<LimitRange>>,
    /// Applications of `GitOps` controllers that track our objects.
    pub trackers: BTreeMap<Tracker, Looked<Sync>>,
    /// By Deployment: whether the nodes have room for the pods that the runbook adds, and the evidence.
    pub room: BTreeMap<String, Looked<(bool, String)>>,
    /// Objects of `patch` actions: kind and name, and whether each is there.
    pub patched: Vec<(String, String, Looked<bool>)>,
}

/// One metric of one slot, measured once.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The metric.
    pub metric: MetricId,
    /// The slot, where the metric is per slot.
    pub slot: Option<SlotName>,
    /// The number, or why there is none.
    pub value: Looked<Result<f64, NoNumber>>,
    /// How long the answer took.
    pub took: Span,
    /// What its query says and finds.
    pub explained: Explained,
    /// Of a counted metric: events a second lately, where the source tells of the past.
    pub per_second: Option<f64>,
}

/// What is behind a query's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explained {
    /// Labels with which its selectors name a namespace: label and value.
    pub namespaces: Vec<(String, String)>,
    /// Time between two points of what it reads.
    pub spacing: Option<Span>,
    /// The series there are where it finds more than one.
    pub series: Vec<Labels>,
    /// What it would find with another label, where it finds nothing.
    pub gap: Option<Gap>,
}

/// Why a selector finds nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Nobody measures anything under this name; the names that are most alike.
    NoMetric {
        /// The name.
        name: String,
        /// Names that there are.
        alike: Vec<String>,
    },
    /// Without this label it would find something.
    NoValue {
        /// The metric's name.
        name: String,
        /// The label.
        label: String,
        /// What is asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// Each label finds something, but not all together.
    NoCombination {
        /// The metric's name.
        name: String,
    },
}

/// A URL, a certificate, a name or a host, tried once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What, for people: never a secret.
    pub about: String,
    /// What it is.
    pub kind: TriedKind,
    /// Whether it was as wanted, and the evidence; or no answer at all.
    pub seen: Looked<Result<(bool, String), String>>,
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriedKind {
    /// A request that reads.
    Http,
    /// A certificate.
    Tls,
    /// A name.
    Dns,
    /// A connection without a request, to a host that will be written to.
    Connect,
    /// The same to the webhook of notices.
    Webhook,
}

/// A program that a script calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name or path.
    pub name: String,
    /// Where it is called: `step build`.
    pub places: Vec<String>,
    /// Where it is, if anywhere.
    pub found: Option<String>,
}

/// How a variable gets its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VarSeen {
    /// Its name.
    pub name: String,
    /// How.
    pub state: VarState,
}

/// How a variable gets its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VarState {
    /// It has one, from here.
    Known(String),
    /// A person is asked when the run opens.
    Asked,
    /// An action's output gives it.
    Captured,
    /// The environment variable is not set.
    Unset(String),
    /// Its value is not allowed; never shows the value of a secret.
    Unfit(String),
}

/// All that was seen for a runbook.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// The cluster, where the runbook has a target.
    pub cluster: Option<Result<ClusterPicture, Unreached>>,
    /// How we log in there, where the kubeconfig tells, and the time now.
    pub login: Option<(Login, Timestamp)>,
    /// Values of variables that are known now and no secret.
    pub values: BTreeMap<String, String>,
    /// Metrics.
    pub measured: Vec<Measured>,
    /// Milliseconds that the clock of each source of metrics is ahead of ours.
    pub clocks: BTreeMap<String, Looked<i64>>,
    /// URLs, certificates, names.
    pub tried: Vec<Tried>,
    /// Programs.
    pub tools: Vec<Tool>,
    /// Variables.
    pub vars: Vec<VarSeen>,
}
