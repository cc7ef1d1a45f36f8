//! A runbook after loading: every name resolved, every value with its unit. `config` makes it from `runbook.toml`.
//!
//! Longer than 500 lines because it is one list of plain types, each with its own words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::target::{Slot, Target};
use super::{
    action::{Action, ActionKind, Confirm, Replicas, SlotRef},
    check::Check,
    director::{Director, Share},
    id::{MetricId, ProcedureId, StepId},
    metric::{Bound, Metric},
    template::Template,
    time::Span,
    worse::Worse,
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

/// A group of checklist items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub title: String,
    /// Its items.
    pub items: Vec<Item>,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What must be true.
    pub text: String,
    /// How it is checked; [`CheckKind::Person`](super::check::CheckKind::Person) if a person ticks it.
    pub check: Check,
    /// Whether the steps can start without it.
    pub optional: bool,
    /// After this time it must be checked again.
    pub valid_for: Span,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its id, unique.
    pub id: StepId,
    /// Its title.
    pub title: String,
    /// How long it takes, from and to.
    pub time: Option<(Span, Span)>,
    /// A warning, shown before it starts.
    pub critical: Option<String>,
    /// The optional part it belongs to.
    pub when: Option<String>,
    /// What starts it.
    pub confirm: Confirm,
    /// How many other people must approve it.
    pub approvals: u32,
    /// Its actions, in order.
    pub run: Vec<Action>,
    /// Checks that must pass afterwards.
    pub check: Vec<Check>,
    /// Actions that undo it, in order.
    pub undo: Vec<Action>,
    /// Why there is nothing to undo, if the step changes something and has neither `undo` nor a rollback.
    pub no_undo: Option<String>,
    /// The monitored window, if it has one.
    pub window: Option<Window>,
    /// What the operator should do if it fails.
    pub on_failure: Vec<String>,
    /// Hints for the operator: what to look at, and where.
    pub notes: Vec<String>,
}

/// The monitored window of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// How long; paused while metrics are missing.
    pub lasts: Span,
}

/// The end of a deployment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Completion {
    /// Actions, in order.
    pub run: Vec<Action>,
    /// Checks that must pass afterwards.
    pub check: Vec<Check>,
}

/// A rollback procedure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Procedure {
    /// Its name: `quick`, `database`.
    pub id: ProcedureId,
    /// Its title.
    pub title: String,
    /// The promised time.
    pub within: Option<Span>,
    /// When it may be used, in words.
    pub only: Option<String>,
    /// Its actions, in order.
    pub run: Vec<Action>,
    /// Checks that must pass afterwards.
    pub check: Vec<Check>,
    /// Checks that prove it would work; `$SLOT` is the slot to go back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<Check>,
}

/// What triggers a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its words for people: `error rate > 1 % for 5m`, or the reason as written.
    pub reason: String,
    /// What is watched; without it, a reason that a person can choose.
    pub watch: Option<TriggerWatch>,
}

/// The measured side of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerWatch {
    /// The metric; if it is per slot, the new slot's.
    pub metric: MetricId,
    /// What must be seen of it.
    #[serde(flatten)]
    pub rule: Rule,
    /// What happens then.
    pub then: Then,
    /// What happens if the metric is missing: `hold` pauses the run.
    pub no_data: OnNoData,
}

/// When a measured trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rule {
    /// A bound is broken for long enough.
    Fixed {
        /// The breach.
        when: Bound,
        /// How long the breach must last.
        hold_for: Span,
    },
    /// There is evidence enough, by the events counted, that the new version is worse than this.
    Worse(Worse),
}

impl Rule {
    /// The bound and how long it must be broken, where it is a fixed rule.
    pub fn fixed(&self) -> Option<(Bound, Span)> {
        match self {
            Self::Fixed { when, hold_for } => Some((*when, *hold_for)),
            Self::Worse(_) => None,
        }
    }

    /// What is judged by evidence.
    pub fn worse(&self) -> Option<Worse> {
        match self {
            Self::Fixed { .. } => None,
            Self::Worse(worse) => Some(*worse),
        }
    }
}

/// What a trigger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// A person is asked.
    Ask,
    /// A countdown that can be cancelled with a reason, then the rollback.
    Countdown(Span),
    /// The rollback at once.
    Rollback,
}

/// What happens without metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNoData {
    /// The window waits.
    Hold,
    /// Treated as a breach that lasted.
    Rollback,
}

/// A post-deployment task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Due this long after completion.
    pub due: Span,
    /// What to do.
    pub text: String,
}

/// Incident response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The channel, `#incidents`.
    pub channel: Option<String>,
    /// The incident commander, in words.
    pub commander: Option<String>,
    /// Severity levels, worst first.
    pub levels: Vec<Level>,
    /// What to do, in order.
    pub steps: Vec<String>,
    /// The message's template; `{severity}`, `{title}`, `{started}`, `{impact}`, `{actions}`, `{status}` are filled in.
    pub template: String,
}

/// A severity level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// `P0`.
    pub level: String,
    /// `Critical`.
    pub title: String,
    /// An example.
    pub example: String,
    /// How soon somebody must respond.
    pub respond: String,
    /// Who is told.
    pub escalate: String,
}

/// A person or role to contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The role.
    pub role: String,
    /// The person.
    pub name: Option<String>,
    /// The handle.
    pub slack: Option<String>,
    /// The number.
    pub phone: Option<String>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is.
    pub name: String,
    /// Where it leads, or the command that shows it.
    pub url: String,
}

/// Where notices are sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notify {
    /// A Slack-compatible incoming webhook: usually `$NAME` of a secret variable.
    pub slack: Option<Template>,
    /// The channel's name for people, `#deployments`.
    pub channel: Option<String>,
    /// Which milestones are sent.
    pub on: Vec<Milestone>,
}

/// What a notice can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
    /// The first step has started.
    Started,
    /// Traffic has moved to the new slot.
    Switched,
    /// All done.
    Succeeded,
    /// A step has failed.
    Failed,
    /// Traffic is back, or the steps are undone.
    RolledBack,
    /// Somebody must act: a trigger, missing metrics, a failed rollback.
    Paged,
}

/// A line of the document's change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// ISO date.
    pub date: String,
    /// The document's version.
    pub version: String,
    /// Who.
    pub author: String,
    /// What.
    pub changes: String,
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
