//! What engine and screens say to each other. Serialisable, all of it: nothing else passes between them.
//!
//! A screen first gets [`Update::Backlog`] with every event of the run so far, then lives on [`Update::Event`]s. The rest is
//! telemetry: lossy, coalesced, never needed to know the run's state.

use serde::{Deserialize, Serialize};

use super::{
    actor::Actor,
    copy::CopyState,
    crew::{Member, Role, ScreenId},
    event::{ActionRef, Envelope, Outcome, Resolution},
    id::{ProcedureId, SlotName, StepId},
    metric::Sample,
    safe_text::StyledLine,
    time::Timestamp,
    workload::{Access, LogLine, Workload},
};

/// A screen's wish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Who wishes it.
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
    /// Tick a checklist item of a person's.
    TickItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// A remark.
        note: Option<String>,
    },
    /// Take a tick back.
    UntickItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
    },
    /// Say that an item is not needed.
    WaiveItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// Why.
        reason: String,
    },
    /// Look at an item's check again now.
    RecheckItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
    },
    /// Open the steps. Items that do not hold need a reason.
    OpenSteps {
        /// Why it goes on without them.
        override_reason: Option<String>,
    },
    /// Start a pending step, or the completion (`step` is none).
    Start {
        /// The step.
        step: Option<StepId>,
        /// The attempt that would begin.
        attempt: u32,
        /// What was typed, where the step wants that.
        typed: Option<String>,
    },
    /// Start the next action, where automation is manual or the action wants a confirmation.
    Proceed {
        /// The action that would begin.
        at: ActionRef,
        /// What was typed, where the action wants that.
        typed: Option<String>,
    },
    /// A person's check holds or not.
    TickCheck {
        /// The step; none for the completion or a rollback.
        step: Option<StepId>,
        /// The attempt.
        attempt: u32,
        /// The check's index.
        check: usize,
        /// Whether it holds.
        holds: bool,
        /// A remark.
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
        /// What was typed, where an undo action wants that.
        typed: Option<String>,
    },
    /// Leave a step out.
    Skip {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// Say what became of an unknown action.
    Resolve {
        /// Which.
        at: ActionRef,
        /// What became of it.
        resolution: Resolution,
    },
    /// End the processes that outlived their engine.
    EndChildren,
    /// Start nothing new.
    Hold {
        /// Why.
        reason: String,
    },
    /// Go on.
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
        /// What was typed: the word shown.
        typed: String,
    },
    /// Take the target as it is now, after somebody else has changed it: the run believes what is seen from here on.
    TakeTarget,
    /// Put back what somebody else has changed of the target, as far as that is safe, and go on.
    PutBack,
    /// Keep a fresh look at the target at hand for the next two seconds: somebody is about to order an act, and it shall not
    /// have to wait for one.
    KeepLooking,
    /// Let the act of a rollback that waits for a look at the cluster begin without one.
    GoBlind {
        /// What was typed: [`crate::domain::machine::BLIND_WORD`].
        typed: String,
    },
    /// Go on with a stopped rollback at the failed action.
    RetryRollback,
    /// Where the journal is lost: let a rollback go on without it, recorded elsewhere.
    GoOnUnrecorded {
        /// What was typed: [`WITHOUT_A_JOURNAL`].
        typed: String,
    },
    /// Give a stopped rollback up: it has failed.
    AbandonRollback {
        /// Why.
        reason: String,
    },
    /// Stop a countdown.
    CancelCountdown {
        /// The trigger's index.
        trigger: usize,
        /// Why.
        reason: String,
    },
    /// End the run here: failed where nothing was switched.
    Abort {
        /// Why.
        reason: String,
    },
    /// Pause the run and let the engine end; it can be resumed.
    Suspend {
        /// Why.
        reason: String,
    },
    /// A post-deployment task is done.
    TaskDone {
        /// Its index.
        task: usize,
    },
    /// Close a finished run's engine.
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
    /// Add a remark to the log.
    Note {
        /// The text.
        text: String,
    },
    /// Ask whoever drives for the controls.
    AskControl,
    /// Give the controls to whoever asks for them.
    HandOver,
    /// Keep the controls: whoever asked is told no.
    KeepControl,
    /// Take the controls: once the pilot's screen is gone, with a reason; or from one's own other screen.
    TakeControl {
        /// Why; may be empty where it is one's own seat.
        reason: String,
    },
    /// Agree that a step begins.
    Approve {
        /// The step; the one that waits for approvals where not given.
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

/// When in a run's life a command has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It drives the checklist or the steps: not once the run is over, and not while a rollback runs.
    Steps,
    /// It lets something go on that waits for a person, in the steps or in a rollback: not once the run is over.
    Waiting,
    /// At any time; where it makes no sense it is refused by what it asks for.
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

    /// When it has its place.
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

/// How a run's journal stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum JournalState {
    /// It is written.
    #[default]
    Whole,
    /// There is no room. Space is kept for a rollback and for ends; nothing else is begun until there is room again.
    Full {
        /// The disk's words.
        why: String,
    },
    /// It can't be written any more. Nothing is done until a person consents to a rollback without it.
    Lost {
        /// The disk's words.
        why: String,
    },
    /// A person has consented: a rollback can be done, and is recorded elsewhere.
    Elsewhere {
        /// The disk's words.
        why: String,
        /// The record.
        path: String,
    },
}

/// What the engine tells a screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "updates are encoded at once and never kept in numbers")]
pub enum Update {
    /// Everything that happened before this screen came.
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
    /// The cluster now.
    Workload {
        /// All of it.
        workload: Box<Workload>,
    },
    /// What we may do.
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
    /// What a polled check of the running place sees at the moment.
    Watching {
        /// The step; none for completion and rollback.
        step: Option<StepId>,
        /// The check's index.
        check: usize,
        /// Whether it holds now.
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
