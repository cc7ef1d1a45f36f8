//! What the engine sends to its screens.

use serde::{Deserialize, Serialize};

use crate::domain::{
    claim::Standing,
    copy::CopyState,
    crew::{Member, ScreenId},
    event::{ActionRef, Envelope, Outcome},
    id::{SlotName, StepId},
    metric::Sample,
    safe_text::StyledLine,
    time::Timestamp,
    workload::{Access, LogLine, Workload},
};

/// The state of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum JournalState {
    /// It is being written.
    #[default]
    Whole,
    /// No disk space. Some is reserved for a rollback and for final events; nothing else starts until there is space again.
    Full {
        /// The error.
        why: String,
    },
    /// It can't be written any more. Nothing is done until a person consents to a rollback without it.
    Lost {
        /// The error.
        why: String,
    },
    /// A person has consented: a rollback can run, recorded elsewhere.
    Elsewhere {
        /// The error.
        why: String,
        /// The record.
        path: String,
    },
}

/// What the engine sends to a screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "updates are encoded at once and never kept in numbers")]
pub enum Update {
    /// Everything that happened before this screen joined.
    Backlog {
        /// The events in order.
        events: Vec<Envelope>,
        /// The engine's time.
        now: Timestamp,
        /// The run's directory, for paths shown to people.
        run_dir: String,
    },
    /// Something happened.
    Event {
        /// What.
        envelope: Envelope,
    },
    /// The engine's time, once a second.
    Tick {
        /// Now.
        now: Timestamp,
    },
    /// Measurements.
    Samples {
        /// In order of time for each metric and slot.
        samples: Vec<Sample>,
        /// Whether they are the past, fetched when the engine started.
        backfill: bool,
    },
    /// Where the evidence for the runbook's claims stands.
    Evidence {
        /// Every claim for which it is gathered.
        standings: Vec<Standing>,
    },
    /// The cluster now.
    Workload {
        /// All of it.
        workload: Box<Workload>,
    },
    /// Our permissions.
    Access {
        /// All of it.
        access: Access,
    },
    /// Output of an action.
    Output {
        /// Whose.
        at: ActionRef,
        /// Finished lines since the last time.
        lines: Vec<StyledLine>,
        /// The line being written.
        partial: Option<StyledLine>,
        /// Lines that were not sent because there were too many.
        dropped: u64,
    },
    /// The current result of a polled check.
    Watching {
        /// The step; none for completion and rollback.
        step: Option<StepId>,
        /// The check's index.
        check: usize,
        /// Whether it passes now.
        holds: bool,
        /// In words.
        evidence: String,
    },
    /// Log lines that were asked for.
    Logs {
        /// Whose.
        slot: SlotName,
        /// The lines, oldest first, or why there are none.
        lines: Result<Vec<LogLine>, String>,
    },
    /// Who is there, and which of them this screen is.
    Crew {
        /// Everybody, in the order they came.
        members: Vec<Member>,
        /// This screen.
        you: ScreenId,
    },
    /// How the copy of the journal beside the target goes.
    Copy {
        /// That.
        state: CopyState,
    },
    /// How the journal stands. Sent when that changes, and to a screen that comes while it is not whole.
    Journal {
        /// How.
        state: JournalState,
    },
    /// A wish was not granted.
    Refused {
        /// Why, and what to do.
        why: String,
    },
    /// The engine is done with this run.
    Closed {
        /// How the run stands.
        outcome: Option<Outcome>,
    },
}
