//! A runbook after loading: every name resolved, every value with its unit. `config` makes it from `runbook.toml`.
//!
//! Plain types: nothing here reads a file or judges what was written. Which keys there are, and what they may hold, is said in
//! `config::shape`; a runbook that got this far is consistent, and the engine asks it without checking again.

mod around;
mod course;
mod trigger;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{
    around::{Change, Contact, Incident, Level, Link, Milestone, Notify, Task},
    course::{Completion, Group, Item, Procedure, Step, Window},
    trigger::{OnNoData, Rule, Then, Trigger, TriggerWatch},
};
pub use super::target::{Slot, Target};
use super::{
    action::{Action, ActionKind, Replicas, SlotRef},
    check::Check,
    director::{Director, Share},
    metric::Metric,
    template::Template,
    time::Span,
};

/// The whole runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    /// Front matter.
    pub document: Document,
    /// Metadata of the deployment, executive summary.
    pub deployment: Deployment,
    /// Where to deploy; required if the runbook does anything on Kubernetes.
    pub target: Option<Target>,
    /// Variables by name, in order of writing.
    pub vars: Vec<Var>,
    /// Optional parts; the operator is asked once, when the run opens.
    pub parts: Vec<Part>,
    /// Metrics sources by name.
    pub sources: BTreeMap<String, Source>,
    /// Metrics in order of writing.
    pub metrics: Vec<Metric>,
    /// The checklist.
    pub checklist: Vec<Group>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What happens after the last step has passed.
    pub completion: Completion,
    /// Rollback procedures; `R` runs `quick` after the switch.
    pub rollbacks: Vec<Procedure>,
    /// What triggers a rollback, or is offered as a reason for one.
    pub triggers: Vec<Trigger>,
    /// Post-deployment tasks.
    pub tasks: Vec<Task>,
    /// Incident response.
    pub incident: Option<Incident>,
    /// Contacts.
    pub contacts: Vec<Contact>,
    /// Links by name: dashboards, trackers, tool references.
    pub links: Vec<Link>,
    /// Where notices are sent.
    pub notify: Notify,
    /// The document's change log.
    pub changes: Vec<Change>,
}

/// The runbook's front matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The module to deploy.
    pub module: String,
    /// The document's title.
    pub title: String,
    /// Its review status.
    pub status: DocumentStatus,
    /// The document's own version.
    pub version: String,
    /// The date of the last change, ISO 8601.
    pub last_updated: String,
    /// Who wrote it.
    pub author: String,
    /// Search words.
    pub keywords: Vec<String>,
    /// Related documents by kind.
    pub related: BTreeMap<String, String>,
}

/// A runbook's review status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentStatus {
    /// Being written.
    Draft,
    /// Being reviewed.
    InReview,
    /// Released for use.
    Approved,
    /// No longer to be used.
    Deprecated,
}

/// The deployment's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The environment.
    pub environment: Environment,
    /// How traffic moves.
    pub strategy: Strategy,
    /// When Enter is needed.
    pub automation: Automation,
    /// How often, in words.
    pub frequency: Option<String>,
    /// When it may run.
    pub window: Option<DeployWindow>,
    /// How long it takes from start to completion.
    pub expected: Option<Span>,
    /// The promised time for a rollback.
    pub rollback_within: Option<Span>,
    /// Whether users see an interruption.
    pub zero_downtime: bool,
    /// What counts as success.
    pub success_factors: Vec<String>,
}

/// Where a deployment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// For developers.
    Development,
    /// Like production, without users.
    Staging,
    /// Users.
    Production,
}

impl Environment {
    /// The word in the header.
    pub fn word(self) -> &'static str {
        match self {
            Self::Development => "DEVELOPMENT",
            Self::Staging => "STAGING",
            Self::Production => "PRODUCTION",
        }
    }
}

/// How traffic moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Two slots, one switch.
    BlueGreen,
    /// Pod by pod.
    Rolling,
    /// A part of the traffic first.
    Canary,
    /// Stop, then start.
    Recreate,
}

impl Strategy {
    /// As the runbook writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::BlueGreen => "blue-green",
            Self::Rolling => "rolling",
            Self::Canary => "canary",
            Self::Recreate => "recreate",
        }
    }
}

/// When Enter is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Automation {
    /// Before every action.
    Manual,
    /// Before every step.
    SemiAutomated,
    /// Never, while everything is fine and no confirmation is required.
    Full,
}

/// When a deployment may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployWindow {
    /// `mon` … `sun`; empty means every day.
    pub days: Vec<String>,
    /// `HH:MM`, first minute inside.
    pub from: String,
    /// `HH:MM`, first minute outside. Earlier than `from` means past midnight.
    pub to: String,
    /// IANA name of the time zone.
    pub timezone: String,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Var {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub source: VarSource,
    /// A regular expression the whole value must match.
    pub pattern: Option<String>,
    /// Whether it is masked everywhere.
    pub secret: bool,
    /// The value in a rehearsal, if nothing else gives one.
    pub sample: Option<String>,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VarSource {
    /// A person is asked; the text is the question.
    Ask {
        /// The question.
        question: String,
        /// The suggested answer.
        default: Option<String>,
    },
    /// The engine's environment.
    Env {
        /// The environment variable's name.
        name: String,
        /// Used if it is not set; without a default, that is an error.
        default: Option<String>,
    },
    /// Written in the runbook.
    Fixed {
        /// The value; it may use variables defined above it.
        value: Template,
    },
    /// Known from the cluster when the run opens.
    Cluster(ClusterFact),
    /// Read from an action's output.
    Captured,
}

/// What a variable can take from the cluster or the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterFact {
    /// The tag of the live slot's image.
    LiveImageTag,
    /// The live slot's whole image.
    LiveImage,
    /// The idle slot's whole image.
    IdleImage,
    /// The tag of the idle slot's image.
    IdleImageTag,
    /// The live slot's colour.
    LiveSlot,
    /// The idle slot's colour.
    IdleSlot,
    /// The live slot's replicas.
    LiveReplicas,
    /// When the run opened, RFC 3339.
    OpenedAt,
    /// Who pilots.
    Pilot,
}

/// An optional part of the runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name that steps use in `when`.
    pub name: String,
    /// The question.
    pub question: String,
    /// The answer if nobody gives one.
    pub default: bool,
}

/// A source of metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which protocol, and where.
    pub kind: SourceKind,
    /// Extra headers.
    pub headers: BTreeMap<String, Template>,
    /// A bearer token: usually `$NAME` of a secret variable.
    pub bearer_token: Option<Template>,
    /// User and password for basic authentication.
    pub basic_auth: Option<(Template, Template)>,
    /// Certificates to trust in addition to the host's.
    pub ca_file: Option<String>,
    /// Time limit for an answer.
    pub timeout: Span,
}

/// A source's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Prometheus' query API at this base URL.
    Prometheus {
        /// The base URL.
        url: Template,
    },
    /// Metrics in text format at this URL.
    Scrape {
        /// The URL, such as `/metrics` or `/federate`.
        url: Template,
    },
}

impl Runbook {
    /// The step's index.
    pub fn step_index(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id.as_str() == id)
    }

    /// A metric by its key.
    pub fn metric(&self, id: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.id.as_str() == id)
    }

    /// A rollback procedure by name.
    pub fn procedure(&self, id: &str) -> Option<&Procedure> {
        self.rollbacks.iter().find(|procedure| procedure.id.as_str() == id)
    }

    /// The index of the first step that lets users meet the new version.
    pub fn switch_step(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.run.iter().any(|action| self.lets_meet(action)))
    }

    /// Whether an action lets users meet the new version, as far as that can be told before a run: it gives the new slot
    /// traffic, or starts pods of it that the Service selects already.
    pub fn lets_meet(&self, action: &Action) -> bool {
        let director = self.target.as_ref().map(|target| &target.director);
        let one = director == Some(&Director::Rollout);
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => *to != SlotRef::Previous,
            ActionKind::ShiftTraffic { to: SlotRef::Previous, share } => *share < Share::ALL,
            ActionKind::ShiftTraffic { share, .. } => *share > Share::NONE,
            ActionKind::SetImage { .. } | ActionKind::Restart { .. } => one,
            ActionKind::Scale { slot, replicas } => {
                director == Some(&Director::Replicas)
                    && *slot != SlotRef::Previous
                    && *replicas != Replicas::Count(0)
            }
            ActionKind::Rollout { .. }
            | ActionKind::Revert { .. }
            | ActionKind::Pause { .. }
            | ActionKind::Resume { .. }
            | ActionKind::Patch(_)
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => false,
        }
    }

    /// All checks of steps, completion and rollbacks, with the place they stand in, for cross-checks.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.steps
            .iter()
            .flat_map(|step| &step.check)
            .chain(&self.completion.check)
            .chain(self.rollbacks.iter().flat_map(|procedure| &procedure.check))
            .chain(self.checklist.iter().flat_map(|group| group.items.iter().map(|item| &item.check)))
    }
}
