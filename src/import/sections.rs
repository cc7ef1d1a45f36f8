//! Headings that are open, and what a place is about by its own heading and those above.

use super::roles::{self, Role};
use crate::domain::time::Span;

/// A heading that is open.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) level: usize,
    pub(super) role: Role,
    pub(super) title: String,
    pub(super) line: usize,
    /// Its step, procedure or group, once it has one.
    pub(super) step: Option<usize>,
    pub(super) procedure: Option<usize>,
    pub(super) group: Option<usize>,
    /// When its tasks are due.
    pub(super) due: Option<Span>,
}

impl Section {
    /// The place above all headings. What stands there belongs to a step: some pages have no heading at all.
    pub(super) fn top() -> Self {
        Self {
            level: 0,
            role: Role::Step,
            title: String::new(),
            line: 1,
            step: None,
            procedure: None,
            group: None,
            due: None,
        }
    }
}

/// Where a heading stands, by its own words and the heading above.
pub(super) fn placed(parent: &Section, own: Option<Role>, words: &str, begun: bool) -> (Role, Option<Role>) {
    let numbered = roles::is_numbered_step(words);
    let in_step =
        parent.step.is_some() || roles::is_numbered_step(&parent.title) && parent.role == Role::Step;
    match (parent.role, own) {
        (Role::Step | Role::Checklist | Role::Summary, _) if numbered => (Role::Step, None),
        (Role::Checklist, Some(role @ (Role::Rollback | Role::DatabaseRollback)))
            if words.to_lowercase().contains("procedure") =>
        {
            (role, None)
        }
        // What is ticked off afterwards.
        (Role::Checklist, Some(Role::Tasks | Role::Completion)) => (Role::Tasks, None),
        (
            Role::Checklist
            | Role::Changes
            | Role::Contacts
            | Role::Links
            | Role::Template
            | Role::Severity
            | Role::Tasks
            | Role::Notes,
            _,
        ) => (parent.role, None),
        (Role::Summary, Some(role)) => (role, None),
        (Role::Rollback | Role::DatabaseRollback, Some(Role::Validation)) if parent.procedure.is_some() => {
            (parent.role, Some(Role::Validation))
        }
        (
            Role::Rollback | Role::DatabaseRollback,
            Some(
                role @ (Role::Rollback
                | Role::DatabaseRollback
                | Role::Triggers
                | Role::Contacts
                | Role::Links),
            ),
        ) => (role, None),
        (Role::Rollback | Role::DatabaseRollback, _) => (parent.role, None),
        (
            Role::Incident,
            Some(
                role @ (Role::Severity
                | Role::Template
                | Role::Contacts
                | Role::Links
                | Role::Metrics
                | Role::Changes),
            ),
        ) => (role, None),
        (Role::Incident, _) => (Role::Incident, None),
        (Role::Metrics, Some(role @ (Role::Links | Role::Contacts | Role::Severity))) => (role, None),
        (Role::Metrics, _) => (Role::Metrics, None),
        (Role::Triggers, Some(role @ (Role::Rollback | Role::DatabaseRollback))) => (role, None),
        (Role::Completion, Some(role @ (Role::Tasks | Role::Contacts | Role::Links))) => (role, None),
        (Role::Completion, _) => (Role::Completion, None),
        (Role::Failure, Some(role @ (Role::Rollback | Role::DatabaseRollback | Role::Contacts))) => {
            (role, None)
        }
        (Role::Failure, _) => (Role::Failure, None),
        (_, Some(Role::Validation | Role::Success | Role::Failure | Role::Rollback | Role::Notes))
            if in_step && parent.level > 0 =>
        {
            (Role::Step, own)
        }
        (_, Some(Role::Validation | Role::Output)) => (Role::Step, None),
        (_, Some(role)) => (role, None),
        (Role::Summary, None) if !begun => (Role::Summary, None),
        (_, None) => (Role::Step, None),
    }
}

pub(super) fn is_alternative(words: &str) -> bool {
    let lower = words.to_lowercase();
    ["option", "method", "alternative", "scenario", "variant", "méthode", "variante", "plan b"]
        .iter()
        .any(|word| lower.contains(word))
}

/// What a place is called in the findings.
pub(super) fn what(role: Role) -> &'static str {
    match role {
        Role::Step => "a step, or a heading above steps",
        Role::Summary => "summary",
        Role::Checklist => "checklist",
        Role::Completion => "the end of the deployment",
        Role::Rollback => "a rollback",
        Role::DatabaseRollback => "a rollback of the database",
        Role::Triggers => "triggers",
        Role::Tasks => "tasks for afterwards",
        Role::Incident => "incidents",
        Role::Severity => "severity levels",
        Role::Template => "a message's template",
        Role::Metrics => "metrics",
        Role::Contacts => "contacts",
        Role::Links => "links",
        Role::Changes => "the change log",
        Role::Validation => "checks of the step",
        Role::Failure => "what to do if it fails",
        Role::Notes => "notes",
        Role::Success => "success factors",
        Role::Output => "what a command prints",
    }
}

/// The words of a warning.
pub(super) fn warning(text: &str) -> Option<String> {
    let bare = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '[').trim();
    let lower = bare.to_lowercase();
    let starts = [
        "warning",
        "caution",
        "danger",
        "critical",
        "important",
        "attention",
        "achtung",
        "[!warning]",
        "[!caution]",
        "[!important]",
        "do not ",
        "never ",
    ];
    (starts.iter().any(|start| lower.starts_with(start)) || text.starts_with('⚠')).then(|| {
        let text = bare
            .trim_start_matches("[!WARNING]")
            .trim_start_matches("[!CAUTION]")
            .trim_start_matches("[!IMPORTANT]")
            .trim();
        text.to_owned()
    })
}
