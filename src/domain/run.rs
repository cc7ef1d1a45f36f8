//! A run's state: the fold of its events, and nothing else.
//!
//! ```text
//! pending --StepStarted--> running --all actions done--> checking --StepPassed--> passed
//!    ^                        |                             |
//!    |                        +--------StepFailed-----------+--> failed --StepStarted (attempt + 1)--> running
//!    +---UndoFinished---------------------------------------------+
//! pending --StepSkipped--> skipped
//! running --ActionFinished(unknown)--> unknown --ActionResolved--> running
//! ```
//!
//! A new attempt keeps the actions that succeeded before: a backup is not taken twice, and not overwritten by one of a
//! half-migrated database. Undoing a step makes it pending again, all of it.
//!
//! `state` has the types, `fold` takes the events in, `ask` and `incident` answer questions and change nothing.

mod ask;
mod fold;
mod incident;
mod state;

pub use ask::tag_of;
pub use state::{
    ActionState, ActionStatus, CheckState, CheckStatus, Foreign, Gathered, Held, IncidentState, ItemState,
    ItemStatus, LockHeld, Notice, PuttingBack, RollbackState, Run, StepState, StepStatus, Stopped, TaskState,
    TriggerState, WayBackSeen, Work,
};
