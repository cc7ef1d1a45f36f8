//! What the machine wants done. Data only: the engine does it, and feeds the result back as an input.

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

/// What the machine takes in.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Somebody wishes something.
    Operator(Request),
    /// Somebody's screen has connected. Whoever joins as pilot has the controls.
    ScreenJoined {
        /// Who.
        who: Person,
        /// What the screen may do.
        role: Role,
    },
    /// Somebody's screen is gone.
    ScreenLeft {
        /// Who.
        who: Person,
        /// What it might do.
        role: Role,
    },
    /// The controls change hands.
    Control {
        /// Who drives now.
        by: Person,
        /// Who did before.
        from: Option<Person>,
        /// Why, where they were taken.
        reason: Option<String>,
    },
    /// An observer asks for the controls.
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
        /// Whom it was taken over from, and why, where it was.
        from: Option<String>,
    },
    /// The run is taken up in spite of something that speaks against it.
    Overridden(Override),
    /// What is known about the target's lock has changed.
    Lock(LockState),
    /// A look at the process of an unknown action.
    ChildSeen {
        /// The action.
        at: ActionRef,
        /// The process.
        pid: u32,
        /// Whether it lives.
        alive: bool,
    },
    /// The pilot keeps the controls.
    ControlKept,
    /// Somebody agrees that the step that waits begins.
    Approval {
        /// The step they mean, where they named one.
        step: Option<StepId>,
        /// Who.
        by: Person,
    },
    /// A variable has its value: from the environment, the cluster, a capture.
    VarSet {
        /// Its name.
        name: String,
        /// Its value; nothing for a secret.
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
    /// A look at what became of an unknown action; nothing where looking did not tell.
    Verified {
        /// Which.
        at: ActionRef,
        /// What was found.
        resolution: Option<Resolution>,
        /// In words.
        evidence: String,
    },
    /// A look at a check.
    CheckSeen {
        /// Which.
        at: CheckRef,
        /// Whether it holds.
        holds: bool,
        /// What was seen.
        evidence: String,
    },
    /// A look at a check has seen something that no later look takes back: the pod that printed it may be gone by then.
    CheckCaught {
        /// Which.
        at: CheckRef,
        /// From when on it looked.
        since: Timestamp,
        /// What was seen.
        evidence: String,
    },
    /// A look at a check has shown that it cannot pass any more: to wait for its timeout would be in vain.
    CheckHopeless {
        /// Which.
        at: CheckRef,
        /// What was seen.
        evidence: String,
    },
    /// A look at a checklist item.
    ItemSeen {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// Whether it holds.
        holds: bool,
        /// Whether it can't be found out from here, so that a person must look.
        asks: bool,
        /// What was seen.
        evidence: String,
    },
    /// A look at one of the checks that prove the way back.
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
    /// What was measured before the engine looked: evidence for the baseline, never for a trigger or of the present.
    Past(Vec<Sample>),
    /// The cluster has changed.
    Workload(Box<Workload>),
    /// A fresh look at the target that was asked for, or why it could not be had.
    Observed(Box<Result<Observation, String>>),
    /// No older write of ours can reach this object any more: a slot's Deployment, or the Service. Or why that is not certain.
    Settled {
        /// The slot; the Service where none is given.
        slot: Option<SlotName>,
        /// Why not.
        fault: Option<String>,
    },
    /// How it went to put back what somebody else has changed.
    PutBack {
        /// How.
        outcome: ActionOutcome,
        /// In words.
        detail: String,
    },
    /// It is time to go on with something that waited.
    Woken,
    /// What we may do.
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
    /// There is no room for the journal: nothing new may begin.
    JournalFull {
        /// The disk's words.
        why: String,
    },
    /// The engine is told to end: finish what runs, start nothing, pause.
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

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Begin an action. Its `action_started` is durable by then.
    StartAction(ActionRef),
    /// The same for an act that a fresh look has allowed.
    StartGuarded {
        /// Which.
        at: ActionRef,
        /// The look, which goes into the write.
        approach: Box<Approach>,
    },
    /// Look at the target afresh, once. The answer is an [`Input::Observed`].
    Observe,
    /// Make sure that no write of ours that was not answered can still reach an object: a slot's Deployment, or the Service.
    Settle(Option<SlotName>),
    /// Put back what somebody else has changed, by one act that a fresh look has allowed. Its event is durable by then; the
    /// answer is an [`Input::PutBack`].
    PutBack {
        /// The act.
        action: Box<Action>,
        /// The look, which goes into the write.
        approach: Box<Approach>,
    },
    /// Come back after this long.
    Wake(Span),
    /// End a running action early.
    CancelAction(ActionRef),
    /// End the process of an unknown action that outlived its engine.
    EndChild(ActionRef),
    /// Look at a check again and again.
    Watch(CheckRef),
    /// Stop looking.
    StopWatch(CheckRef),
    /// Look at a checklist item once.
    LookItem {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
    },
    /// Find out by looking what became of an unknown action.
    Verify(ActionRef),
    /// Tell people. Nothing waits for it.
    Notify {
        /// About what.
        milestone: Milestone,
        /// The text.
        text: String,
    },
    /// The run needs nothing more: close.
    Close,
}

/// What the machine decided: first the events are journaled and synced, then the effects are done, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// What has happened.
    pub events: Vec<Envelope>,
    /// What must be done.
    pub effects: Vec<Effect>,
    /// Why a wish was not granted.
    pub refused: Option<String>,
}
