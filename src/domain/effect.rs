//! What the machine wants done. Only data: the engine does it and feeds the result back as an input.

use super::{
    action::Action,
    crew::{Person, Role},
    event::{ActionRef, CheckRef, ChildProcess, Envelope, Override, Resolution},
    id::{SlotName, StepId},
    lock::LockState,
    metric::Sample,
    observation::{Approach, Observation},
    runbook::Milestone,
    time::{Span, Timestamp},
    workload::{Access, Workload},
};
use crate::domain::{event::ActionOutcome, message::Request};

/// Inputs of the machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Somebody asks for something.
    Operator(Request),
    /// Somebody's screen has connected. A screen that joins as pilot has control.
    ScreenJoined {
        /// Who.
        who: Person,
        /// What the screen may do.
        role: Role,
    },
    /// Somebody's screen has left.
    ScreenLeft {
        /// Who.
        who: Person,
        /// What the screen could do.
        role: Role,
    },
    /// Control changes hands.
    Control {
        /// Who has control now.
        by: Person,
        /// Who had it before.
        from: Option<Person>,
        /// Why, if control was taken.
        reason: Option<String>,
    },
    /// An observer asks for control.
    ControlAsked {
        /// Who.
        by: Person,
    },
    /// The target's lock was taken.
    LockTaken {
        /// The id of this holding.
        lock_id: String,
        /// Its fence.
        fence: u64,
        /// Who it was taken over from, and why, if it was.
        from: Option<String>,
    },
    /// The run is resumed despite an objection, with a reason.
    Overridden(Override),
    /// The state of the target's lock has changed.
    Lock(LockState),
    /// News about the process of an unknown action.
    ChildSeen {
        /// The action.
        at: ActionRef,
        /// The process.
        pid: u32,
        /// Whether it is alive.
        alive: bool,
    },
    /// The pilot keeps control.
    ControlKept,
    /// Somebody approves the waiting step.
    Approval {
        /// The step, if they named one.
        step: Option<StepId>,
        /// Who.
        by: Person,
    },
    /// A variable has its value: from the environment, the cluster, a capture.
    VarSet {
        /// Its name.
        name: String,
        /// Its value; none for a secret.
        value: Option<String>,
        /// Where from.
        source: String,
    },
    /// An action runs as a process.
    ActionSpawned {
        /// Which.
        at: ActionRef,
        /// The process.
        child: ChildProcess,
    },
    /// An action has ended.
    ActionFinished {
        /// Which.
        at: ActionRef,
        /// How.
        outcome: ActionOutcome,
        /// In words.
        detail: String,
        /// How long it took.
        took: Span,
        /// Its output's file name.
        output: Option<String>,
    },
    /// The outcome of an unknown action, read from the cluster; none if it is still unknown.
    Verified {
        /// Which.
        at: ActionRef,
        /// What was found.
        resolution: Option<Resolution>,
        /// In words.
        evidence: String,
    },
    /// The result of a check.
    CheckSeen {
        /// Which.
        at: CheckRef,
        /// Whether it passes.
        holds: bool,
        /// What was seen.
        evidence: String,
    },
    /// A check has seen something that later results do not change: the pod that printed it may be gone by then.
    CheckCaught {
        /// Which.
        at: CheckRef,
        /// When it started to look.
        since: Timestamp,
        /// What was seen.
        evidence: String,
    },
    /// A check can no longer pass, so waiting for its timeout is useless.
    CheckHopeless {
        /// Which.
        at: CheckRef,
        /// What was seen.
        evidence: String,
    },
    /// The result of a checklist item's check.
    ItemSeen {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// Whether it passes.
        holds: bool,
        /// Whether it can't be checked from here, so that a person must look.
        asks: bool,
        /// What was seen.
        evidence: String,
    },
    /// The result of one of the quick rollback's `ready` checks.
    ReadySeen {
        /// The check's index in the quick rollback's `ready`.
        check: usize,
        /// Whether it passes.
        holds: bool,
        /// What was seen.
        evidence: String,
    },
    /// A measurement.
    Sample(Sample),
    /// Samples from before the engine started: evidence for the baseline, never for a trigger or the present.
    Past(Vec<Sample>),
    /// The cluster has changed.
    Workload(Box<Workload>),
    /// A requested fresh read of the target, or why it failed.
    Observed(Box<Result<Observation, String>>),
    /// No older write of ours can reach this object any more: a slot's Deployment, or the Service. Or why that is not certain.
    Settled {
        /// The slot; none means the Service.
        slot: Option<SlotName>,
        /// Why not.
        fault: Option<String>,
    },
    /// The result of reverting somebody else's change.
    PutBack {
        /// How.
        outcome: ActionOutcome,
        /// In words.
        detail: String,
    },
    /// A wait is over.
    Woken,
    /// Our permissions.
    Access(Access),
    /// A notice was sent, or could not be.
    NoticeDone {
        /// About what.
        milestone: Option<Milestone>,
        /// The text.
        text: String,
        /// Whether it arrived.
        ok: bool,
        /// The answer.
        detail: String,
    },
    /// No disk space for the journal: nothing new may start.
    JournalFull {
        /// The error.
        why: String,
    },
    /// The engine must stop: finish the running action, start nothing, pause.
    Terminate {
        /// Why.
        reason: String,
    },
}

impl Input {
    /// Whether it tells what has happened, whether or not anybody could write it down: it must not be forgotten. What is no
    /// result comes again by itself, or is asked for again.
    pub fn is_result(&self) -> bool {
        match self {
            Self::VarSet { .. }
            | Self::ActionSpawned { .. }
            | Self::ActionFinished { .. }
            | Self::Verified { .. }
            | Self::NoticeDone { .. }
            | Self::LockTaken { .. }
            | Self::Lock(_)
            | Self::ChildSeen { .. }
            | Self::Control { .. }
            | Self::ScreenJoined { .. }
            | Self::Settled { .. }
            | Self::PutBack { .. }
            | Self::ScreenLeft { .. } => true,
            Self::Tick
            | Self::Operator(_)
            | Self::ControlAsked { .. }
            | Self::Overridden(_)
            | Self::ControlKept
            | Self::Approval { .. }
            | Self::CheckSeen { .. }
            | Self::CheckCaught { .. }
            | Self::CheckHopeless { .. }
            | Self::ItemSeen { .. }
            | Self::ReadySeen { .. }
            | Self::Sample(_)
            | Self::Past(_)
            | Self::Workload(_)
            | Self::Observed(_)
            | Self::Woken
            | Self::Access(_)
            | Self::JournalFull { .. }
            | Self::Terminate { .. } => false,
        }
    }
}

/// Effects: what the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start an action. Its `action_started` is durable by then.
    StartAction(ActionRef),
    /// The same, for an action that a fresh read has allowed.
    StartGuarded {
        /// Which.
        at: ActionRef,
        /// The read, whose versions go into the write.
        approach: Box<Approach>,
    },
    /// Read the target, once. The answer is an [`Input::Observed`].
    Observe,
    /// Make sure that no write of ours that was not answered can still reach an object: a slot's Deployment, or the Service.
    Settle(Option<SlotName>),
    /// Revert somebody else's change, by one action that a fresh read has allowed. Its event is durable by then; the
    /// answer is an [`Input::PutBack`].
    PutBack {
        /// The action.
        action: Box<Action>,
        /// The read, whose versions go into the write.
        approach: Box<Approach>,
    },
    /// Come back after this long.
    Wake(Span),
    /// Cancel a running action.
    CancelAction(ActionRef),
    /// Stop the leftover process of an unknown action.
    EndChild(ActionRef),
    /// Start polling a check.
    Watch(CheckRef),
    /// Stop polling it.
    StopWatch(CheckRef),
    /// Run a checklist item's check once.
    LookItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
    },
    /// Read the outcome of an unknown action from the cluster.
    Verify(ActionRef),
    /// Send a notice. Nothing waits for it.
    Notify {
        /// About what.
        milestone: Milestone,
        /// The text.
        text: String,
    },
    /// Nothing is left to do: close the engine.
    Close,
}

/// A decision: first the events are written to the journal and synced, then the effects are carried out, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// What happened.
    pub events: Vec<Envelope>,
    /// What must be done.
    pub effects: Vec<Effect>,
    /// Why a request was refused.
    pub refused: Option<String>,
}
