//! What stands around the deployment: tasks for afterwards, the incident, contacts, links, notices, the document's changes.

use serde::{Deserialize, Serialize};

use crate::domain::{template::Template, time::Span};

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
