//! The messages between the engine and its screens. All are serialisable, and nothing else passes between the two.
//!
//! A screen first gets [`Update::Backlog`] with every event of the run so far, then lives on [`Update::Event`]s. The rest is
//! telemetry: lossy, coalesced, never needed to know the run's state.

mod update;

use serde::{Deserialize, Serialize};

pub use self::update::{JournalState, Update};
use super::{
    actor::Actor,
    crew::Role,
    event::{ActionRef, Resolution},
    id::{ProcedureId, SlotName, StepId},
};

/// A screen's request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub by: Actor,
    /// What.
    pub command: Command,
}

/// What an operator can ask for. Each names the step and attempt it was meant for, so that a stale key press does nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Give an asked variable its value. Only before the checklist is passed.
    SetVar {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
    },
    /// Say whether an optional part applies. Only before the checklist is passed.
    DecidePart {
        /// The part.
        part: String,
        /// Whether it applies.
        applies: bool,
    },
    /// Tick a manual checklist item.
    TickItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// A note.
        note: Option<String>,
    },
    /// Untick an item.
    UntickItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
    },
    /// Mark an item as not needed.
    WaiveItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// Why.
        reason: String,
    },
    /// Run an item's check again now.
    RecheckItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
    },
    /// Close the checklist and open the steps. Open items need a reason.
    OpenSteps {
        /// Why the steps start without them.
        override_reason: Option<String>,
    },
    /// Start a pending step, or the completion (`step` is none).
    Start {
        /// The step.
        step: Option<StepId>,
        /// The attempt to start.
        attempt: u32,
        /// The typed word, if the step requires one.
        typed: Option<String>,
    },
    /// Start the next action, if automation is manual or the action requires confirmation.
    Proceed {
        /// The action to start.
        at: ActionRef,
        /// The typed word, if the action requires one.
        typed: Option<String>,
    },
    /// A manual check has passed or failed.
    TickCheck {
        /// The step; none for the completion or a rollback.
        step: Option<StepId>,
        /// The attempt.
        attempt: u32,
        /// The check's index.
        check: usize,
        /// Whether it passed.
        holds: bool,
        /// A note.
        note: Option<String>,
    },
    /// Try a failed step again.
    Retry {
        /// The step; none for the completion.
        step: Option<StepId>,
        /// The attempt that failed.
        attempt: u32,
    },
    /// Run a step's `undo`.
    Undo {
        /// The step.
        step: StepId,
        /// The typed word, if an undo action requires one.
        typed: Option<String>,
    },
    /// Skip a step.
    Skip {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// Resolve an unknown action.
    Resolve {
        /// Which.
        at: ActionRef,
        /// Its outcome.
        resolution: Resolution,
    },
    /// Stop processes left over from an earlier engine.
    EndChildren,
    /// Pause: start nothing new.
    Hold {
        /// Why.
        reason: String,
    },
    /// Resume.
    Continue,
    /// Roll back: `quick` after the switch, undo before it.
    Rollback {
        /// Why.
        reason: String,
    },
    /// Run another rollback procedure, such as `database`.
    RollbackProcedure {
        /// Which.
        procedure: ProcedureId,
        /// Why.
        reason: String,
        /// The typed word, as shown.
        typed: String,
    },
    /// Accept the target as it is after somebody else's change: from now on the run expects this state.
    TakeTarget,
    /// Revert somebody else's change to the target if that is safe, and go on.
    PutBack,
    /// Keep a fresh look at the target at hand for the next two seconds: somebody is about to order an act, and it shall not
    /// have to wait for one.
    KeepLooking,
    /// Somebody begins to write why a countdown should be cancelled, or has stopped writing: all of them wait meanwhile, each for
    /// at most [`crate::domain::machine::RECONSIDER`] in all.
    Reconsider {
        /// The trigger.
        trigger: usize,
        /// Whether they begin.
        begins: bool,
    },
    /// Let a rollback's action that waits for a read of the cluster start without it.
    GoBlind {
        /// What was typed: [`crate::domain::machine::BLIND_WORD`].
        typed: String,
    },
    /// Retry a stopped rollback from the failed action.
    RetryRollback,
    /// If the journal is lost: let a rollback run without it, recorded elsewhere.
    GoOnUnrecorded {
        /// What was typed: [`WITHOUT_A_JOURNAL`].
        typed: String,
    },
    /// Give up a stopped rollback: it has failed.
    AbandonRollback {
        /// Why.
        reason: String,
    },
    /// Cancel a countdown.
    CancelCountdown {
        /// The trigger's index.
        trigger: usize,
        /// Why.
        reason: String,
    },
    /// End the run here, as failed; only before traffic was switched.
    Abort {
        /// Why.
        reason: String,
    },
    /// Pause the run and stop the engine; the run can be resumed.
    Suspend {
        /// Why.
        reason: String,
    },
    /// Mark a post-deployment task as done.
    TaskDone {
        /// Its index.
        task: usize,
    },
    /// Stop the engine of a finished run.
    Close,
    /// Declare an incident, or change its text.
    Incident {
        /// `P0` …
        severity: String,
        /// Brief description.
        title: String,
        /// What users see.
        impact: String,
        /// Investigating, Mitigating, Resolved.
        status: String,
        /// Send it to the channel.
        send: bool,
    },
    /// Tick or untick an incident step.
    TickIncidentStep {
        /// Its index.
        step: usize,
        /// Ticked.
        done: bool,
    },
    /// Add a note to the log.
    Note {
        /// The text.
        text: String,
    },
    /// Ask for control.
    AskControl,
    /// Hand control over to the person who asked.
    HandOver,
    /// Keep control: the person who asked is told so.
    KeepControl,
    /// Take control: with a reason once the pilot's screen is gone, or from one's own other screen.
    TakeControl {
        /// Why; may be empty if it is one's own.
        reason: String,
    },
    /// Approve a step.
    Approve {
        /// The step; if not set, the one that waits for approval.
        step: Option<StepId>,
    },
    /// Send me log lines of a slot, or of one of its pods.
    Logs {
        /// Whose.
        slot: SlotName,
        /// One pod only.
        pod: Option<String>,
    },
}

/// The stages of a run in which a command makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Checklist and steps: not after the run has ended, and not during a rollback.
    Steps,
    /// Lets something continue that waits for a person, in the steps or in a rollback: not after the run has ended.
    Waiting,
    /// At any time; it is refused individually if it makes no sense.
    Any,
}

impl Command {
    /// The roles that may ask for it.
    pub fn needs(&self) -> &'static [Role] {
        match self {
            Self::SetVar { .. }
            | Self::DecidePart { .. }
            | Self::TickItem { .. }
            | Self::UntickItem { .. }
            | Self::WaiveItem { .. }
            | Self::RecheckItem { .. }
            | Self::OpenSteps { .. }
            | Self::Start { .. }
            | Self::Proceed { .. }
            | Self::TickCheck { .. }
            | Self::Retry { .. }
            | Self::Undo { .. }
            | Self::Skip { .. }
            | Self::Resolve { .. }
            | Self::EndChildren
            | Self::Continue
            | Self::RollbackProcedure { .. }
            | Self::GoOnUnrecorded { .. }
            | Self::GoBlind { .. }
            | Self::TakeTarget
            | Self::PutBack
            | Self::CancelCountdown { .. }
            | Self::Reconsider { .. }
            | Self::Incident { .. }
            | Self::TickIncidentStep { .. }
            | Self::HandOver
            | Self::KeepControl => &[Role::Pilot],
            // A shell of the run's own user: what must be possible when the screen itself is the trouble.
            Self::Hold { .. }
            | Self::Rollback { .. }
            | Self::RetryRollback
            | Self::AbandonRollback { .. }
            | Self::Abort { .. }
            | Self::Suspend { .. }
            | Self::TaskDone { .. }
            | Self::Close => &[Role::Pilot, Role::Errand],
            Self::Note { .. } => &[Role::Pilot, Role::Observer, Role::Errand],
            Self::Approve { .. } => &[Role::Pilot, Role::Observer, Role::Errand, Role::Approver],
            Self::TakeControl { .. } | Self::Logs { .. } | Self::KeepLooking => {
                &[Role::Pilot, Role::Observer]
            }
            Self::AskControl => &[Role::Observer],
        }
    }

    /// When it makes sense.
    pub fn stage(&self) -> Stage {
        match self {
            Self::SetVar { .. }
            | Self::DecidePart { .. }
            | Self::TickItem { .. }
            | Self::UntickItem { .. }
            | Self::WaiveItem { .. }
            | Self::RecheckItem { .. }
            | Self::OpenSteps { .. }
            | Self::Start { .. }
            | Self::Retry { .. }
            | Self::Undo { .. }
            | Self::Skip { .. }
            | Self::Hold { .. }
            | Self::Continue
            | Self::TakeTarget
            | Self::PutBack
            | Self::CancelCountdown { .. } => Stage::Steps,
            Self::Proceed { .. }
            | Self::Resolve { .. }
            | Self::RetryRollback
            | Self::GoBlind { .. }
            | Self::AbandonRollback { .. } => Stage::Waiting,
            Self::TickCheck { .. }
            | Self::EndChildren
            | Self::Rollback { .. }
            | Self::RollbackProcedure { .. }
            | Self::GoOnUnrecorded { .. }
            | Self::Abort { .. }
            | Self::Suspend { .. }
            | Self::TaskDone { .. }
            | Self::Close
            | Self::Incident { .. }
            | Self::TickIncidentStep { .. }
            | Self::Note { .. }
            | Self::AskControl
            | Self::HandOver
            | Self::KeepControl
            | Self::TakeControl { .. }
            | Self::Approve { .. }
            | Self::KeepLooking
            | Self::Reconsider { .. }
            | Self::Logs { .. } => Stage::Any,
        }
    }
}

/// The word that consents to a rollback which the journal cannot record.
pub const WITHOUT_A_JOURNAL: &str = "without a journal";

/// Whether what was typed is that word; case and blanks around it do not matter.
pub fn is_consent(typed: &str) -> bool {
    typed.trim().eq_ignore_ascii_case(WITHOUT_A_JOURNAL)
}
