//! A runbook as meant: every name resolved, every value with its unit. `config` makes it from `runbook.toml`.
//!
//! Longer than 500 lines because it is one list of plain types, each with its own words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    action::{Action, ActionKind, Confirm, SlotRef},
    check::Check,
    id::{MetricId, ProcedureId, SlotName, StepId},
    metric::{Bound, Metric},
    template::Template,
    time::Span,
};

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    /// Front matter.
    pub document: Document,
    /// The deployment's metadata and executive summary.
    pub deployment: Deployment,
    /// What is deployed to, where the runbook does Kubernetes work.
    pub target: Option<Target>,
    /// Variables by name, in order of writing.
    pub vars: Vec<Var>,
    /// Optional parts that are asked about once, when the run opens.
    pub parts: Vec<Part>,
    /// Where metrics come from, by name.
    pub sources: BTreeMap<String, Source>,
    /// Metrics in order of writing.
    pub metrics: Vec<Metric>,
    /// The checklist.
    pub checklist: Vec<Group>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What is done when the last step has passed.
    pub completion: Completion,
    /// Rollback procedures; `quick` is the one that `R` fires after the switch.
    pub rollbacks: Vec<Procedure>,
    /// What fires a rollback, or is offered as a reason for one.
    pub triggers: Vec<Trigger>,
    /// Post-deployment tasks.
    pub tasks: Vec<Task>,
    /// Incident response.
    pub incident: Option<Incident>,
    /// Whom to call.
    pub contacts: Vec<Contact>,
    /// Links by name: dashboards, trackers, tool references.
    pub links: Vec<Link>,
    /// Where notices go.
    pub notify: Notify,
    /// The document's change log.
    pub changes: Vec<Change>,
}

/// The runbook's front matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The module that is deployed.
    pub module: String,
    /// The document's title.
    pub title: String,
    /// Where it is in its review.
    pub status: Status,
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

/// Where a runbook is in its review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Being written.
    Draft,
    /// Being reviewed.
    InReview,
    /// Released for use.
    Approved,
    /// Not to be used any more.
    Deprecated,
}

/// The deployment's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Where it goes.
    pub environment: Environment,
    /// How traffic moves.
    pub strategy: Strategy,
    /// Where Enter is needed.
    pub automation: Automation,
    /// How often, in words.
    pub frequency: Option<String>,
    /// When it may run.
    pub window: Option<DeployWindow>,
    /// How long it takes from start to completion.
    pub expected: Option<Span>,
    /// The promise: a rollback is done within this.
    pub rollback_within: Option<Span>,
    /// Whether users see an interruption.
    pub zero_downtime: bool,
    /// What must be true for it to count as a success.
    pub success_factors: Vec<String>,
}

/// Where a deployment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// For developers.
    Development,
    /// The dress rehearsal.
    Staging,
    /// Users.
    Production,
}

impl Environment {
    /// The word on the band.
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

/// Where Enter is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Automation {
    /// Before every action.
    Manual,
    /// Before every step.
    SemiAutomated,
    /// Nowhere, while all is well and no confirmation is asked for.
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

/// What is deployed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The kubeconfig context; the current one where not given.
    pub context: Option<String>,
    /// The uid of `kube-system`, where the runbook pins the cluster itself.
    pub cluster_uid: Option<String>,
    /// The namespace.
    pub namespace: String,
    /// The Service whose selector says which slot is live.
    pub service: String,
    /// The slots by colour.
    pub slots: BTreeMap<SlotName, Slot>,
    /// The container whose image is set.
    pub container: String,
}

impl Target {
    /// A Service's selector after a switch to a slot: the slot's labels set, labels that only other slots use removed, all
    /// others as they are.
    pub fn selector_on(&self, selector: &BTreeMap<String, String>, slot: &Slot) -> BTreeMap<String, String> {
        let mut pointed = selector.clone();
        pointed.retain(|key, _| {
            slot.selector.contains_key(key)
                || !self.slots.values().any(|other| other.selector.contains_key(key))
        });
        pointed.extend(slot.selector.clone());
        pointed
    }

    /// The slot that a Service's selector points at: the one for which a switch would change nothing.
    ///
    /// Nothing where no slot is, or where two have the same labels and nobody could tell which is meant.
    pub fn pointed_at(&self, selector: &BTreeMap<String, String>) -> Option<SlotName> {
        let mut pointed = self.slots.iter().filter(|(_, slot)| self.selector_on(selector, slot) == *selector);
        let first = pointed.next()?;
        pointed.next().is_none().then(|| first.0.clone())
    }
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its Deployment.
    pub deployment: String,
    /// The labels the Service selects for it.
    pub selector: BTreeMap<String, String>,
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
    /// What a rehearsal takes where nothing else gives a value.
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
        /// What is offered.
        default: Option<String>,
    },
    /// The engine's environment.
    Env {
        /// The environment variable's name.
        name: String,
        /// What is taken where it is not set; without it, that is an error.
        default: Option<String>,
    },
    /// Written in the runbook.
    Fixed {
        /// The value; may use variables written before it.
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
    /// The name that steps give in `when`.
    pub name: String,
    /// The question.
    pub question: String,
    /// What is assumed where nobody answers.
    pub default: bool,
}

/// Where metrics come from.
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
    /// A file of certificates to trust besides the host's.
    pub ca_file: Option<String>,
    /// How long an answer may take.
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
    /// Text exposition at this URL.
    Scrape {
        /// The URL, a `/metrics` or a `/federate`.
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
    /// How it is found out; [`CheckKind::Person`](super::check::CheckKind::Person) where a person ticks.
    pub check: Check,
    /// Whether the steps open without it.
    pub optional: bool,
    /// After this long it must be looked at again.
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
    /// What stands out before it starts.
    pub critical: Option<String>,
    /// The optional part it belongs to.
    pub when: Option<String>,
    /// What starts it.
    pub confirm: Confirm,
    /// How many other people must confirm.
    pub approvals: u32,
    /// What it does, in order.
    pub run: Vec<Action>,
    /// What must hold then.
    pub check: Vec<Check>,
    /// What takes it back, in order.
    pub undo: Vec<Action>,
    /// Why nothing needs taking back, where the step changes something and has neither `undo` nor a rollback.
    pub no_undo: Option<String>,
    /// Where the checks are watched for a time.
    pub window: Option<Window>,
    /// What a person should do when it fails.
    pub on_failure: Vec<String>,
    /// Hints for a person: what to look at, where.
    pub notes: Vec<String>,
}

/// The monitored window of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// How long, counting only time with data.
    pub lasts: Span,
}

/// What ends a deployment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Completion {
    /// What is done, in order.
    pub run: Vec<Action>,
    /// What must hold then.
    pub check: Vec<Check>,
}

/// A rollback procedure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Procedure {
    /// Its name: `quick`, `database`.
    pub id: ProcedureId,
    /// Its title.
    pub title: String,
    /// The promise.
    pub within: Option<Span>,
    /// When it may be used at all, in words.
    pub only: Option<String>,
    /// What it does, in order.
    pub run: Vec<Action>,
    /// What must hold then.
    pub check: Vec<Check>,
    /// What proves that one can go back by it; `$SLOT` is the slot that one would go back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<Check>,
}

/// What fires a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its words for people: `error rate > 1 % for 5m`, or the reason as written.
    pub reason: String,
    /// What is watched; without it this is a reason for a person to choose.
    pub watch: Option<TriggerWatch>,
}

/// The measured side of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerWatch {
    /// The metric; where it is per slot, the new slot's.
    pub metric: MetricId,
    /// The breach.
    pub when: Bound,
    /// How long it must last.
    pub hold_for: Span,
    /// What then happens.
    pub then: Then,
    /// What happens where there is no data.
    pub no_data: OnNoData,
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

/// What blindness does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNoData {
    /// The window waits.
    Hold,
    /// As a breach that lasted.
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
    /// Who commands, in words.
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
    /// What it looks like.
    pub example: String,
    /// How soon somebody must respond.
    pub respond: String,
    /// Who is told.
    pub escalate: String,
}

/// Whom to call.
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

/// Where notices go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notify {
    /// A Slack-compatible incoming webhook: usually `$NAME` of a secret variable.
    pub slack: Option<Template>,
    /// The channel's name for people, `#deployments`.
    pub channel: Option<String>,
    /// Which milestones are told.
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
    /// Something needs a person: a trigger, blindness, a failed rollback.
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

    /// The index of the first step that moves traffic to the new slot.
    pub fn switch_step(&self) -> Option<usize> {
        self.steps.iter().position(|step| {
            step.run.iter().any(
                |action| matches!(&action.kind, ActionKind::SwitchTraffic { to, .. } if *to != SlotRef::Previous),
            )
        })
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
