//! What events are made of: where something happens, how it ends, and what is fixed when a run opens.
//!
//! These are published with the events (`--json-lines`): fields may be added, never renamed.

use serde::{Deserialize, Serialize};

use crate::domain::{
    belief::Pinned,
    id::{ProcedureId, RunId, SlotName, StepId},
    rollback_target::RollbackTarget,
    runbook::Runbook,
    workload::ClusterIdentity,
};

/// Where an action is in the runbook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Place {
    /// A step's `run`.
    Step {
        /// The step.
        step: StepId,
    },
    /// A step's `undo`.
    Undo {
        /// The step.
        step: StepId,
    },
    /// A rollback procedure, its actions as listed in its `rollback_started`.
    Rollback {
        /// The procedure.
        procedure: ProcedureId,
    },
    /// The completion.
    Completion,
}

/// A process on one host. All three together identify it for good: a pid alone gets reused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildProcess {
    /// Its number. It leads its group.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_time: u64,
    /// The boot that both count in (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

/// One action in one attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionRef {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which attempt at the place, from 1.
    pub attempt: u32,
    /// The action's index, from 0.
    pub action: usize,
}

/// One check in one attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckRef {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which attempt at the place, from 1.
    pub attempt: u32,
    /// The check's index, from 0.
    pub check: usize,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionOutcome {
    /// Succeeded.
    Succeeded,
    /// Failed.
    Failed,
    /// It took longer than its `timeout` and was stopped.
    TimedOut,
    /// A person or a rollback stopped it.
    Cancelled,
    /// Certainly not done, for a reason that may pass: the API server was unreachable, or rejected it for now.
    Unavailable,
    /// It was started, but its outcome is unknown.
    Unknown,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step passed.
    Succeeded,
    /// A step failed, and traffic is where it was.
    Failed,
    /// Rolled back.
    RolledBack,
    /// The rollback failed: somebody must act.
    RollbackFailed,
    /// Paused: it can be resumed.
    Held,
}

/// The outcome of an unknown action, once it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It was done.
    Done,
    /// It was not done; the step has failed.
    NotDone,
    /// Run it again.
    RunAgain,
}

impl Resolution {
    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotDone => "not done",
            Self::RunAgain => "run again",
        }
    }
}

/// What is fixed when a run opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The run.
    pub run_id: RunId,
    /// The program's version.
    pub cutover_version: String,
    /// The runbook's SHA-256, hexadecimal.
    pub runbook_sha256: String,
    /// The runbook's path or name.
    pub runbook_path: String,
    /// The loaded runbook. Omitted from `--json-lines`.
    pub runbook: Box<Runbook>,
    /// The scenario, if this is a rehearsal.
    pub rehearsal: Option<String>,
    /// The pilot, `user`.
    pub pilot: String,
    /// Where the engine runs.
    pub host: String,
    /// The cluster, if the runbook has a target.
    pub cluster: Option<ClusterIdentity>,
    /// The slot that gets the new version.
    pub new_slot: Option<SlotName>,
    /// The slot that has traffic, and what it runs.
    pub previous: Option<RollbackTarget>,
    /// The image of the new slot when the run opened.
    pub new_slot_image: Option<String>,
    /// The target as it was when the run opened; none in journals of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// Refusals that were overridden with a reason.
    pub overrides: Vec<Override>,
}

/// Which slot is which for the rest of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// The slot that gets the new version.
    pub new_slot: SlotName,
    /// Its image now.
    pub new_slot_image: Option<String>,
    /// The slot that a rollback returns to.
    pub previous: RollbackTarget,
}

/// A refusal that somebody overrode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What was refused: `runbook is a draft`, `outside the deployment window`, …
    pub what: String,
    /// Why it was done anyway.
    pub reason: String,
    /// Who.
    pub by: String,
}
