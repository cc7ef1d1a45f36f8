//! What is done: the checklist, the steps, the completion and the rollback procedures.

use serde::{Deserialize, Serialize};

use crate::domain::{
    action::{Action, Confirm},
    check::Check,
    id::{ProcedureId, StepId},
    time::Span,
};

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
    /// How it is checked; [`CheckKind::Person`](crate::domain::check::CheckKind::Person) if a person ticks it.
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
