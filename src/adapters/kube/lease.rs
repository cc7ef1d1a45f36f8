//! The lock that keeps two runs from changing the same target: a Lease next to it, named `cutover-<service>`.
//!
//! ```text
//! acquire    absent or free ── write with the version read ──────────────────────────> ours, fence + 1
//!            our own run's on this host, after a crash ── the same ──────────────────> ours, fence + 1, all objects marked
//!            held by another ──────────────────────────────────────────────────────────> refused, with who and where
//! take over  the exact id typed ── watched for a whole term, never renewed ── write ──> ours, fence + 1, all objects marked
//!            another id, or renewed meanwhile ────────────────────────────────────────> refused
//! renew      every 2 s ── 2xx ──────────────────────────────────────────────────────> held
//!              ├─ 409 ── read ── still ours ── once more;  gone, replaced, another's ──> lost, for good
//!              └─ silence, 5xx, 403 … ── again ── no success for 10 s ────────────────> uncertain: no writes, may come back
//! release    free again, if still ours; the fence stays, so that the next holder's is higher
//! ```
//!
//! Expiry never hands over by itself, and two hosts' clocks are never compared: who wants to take over watches the Lease for
//! a whole term by its own clock. The holder stops writing at two thirds of that term, by a clock that counts time asleep.
//!
//! The id of a holding is random, and new for each: it names exactly one holder, whom a person has seen and means. The count
//! of transitions is the fence (see `fence`). Where somebody has deleted the Lease, the count goes on from what the target's
//! objects carry.

mod claim;
mod name;
mod record;
mod renew;

use crate::{
    domain::{id::RunId, lock::LockHolder, time::Timestamp},
    engine::ports::PortError,
};

use record::Pulse;

pub(super) use name::safe_name;
pub use name::{lease_name, mint};
pub use renew::KubeLock;

/// Who wants the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockClaim {
    /// The person, as in `alice@bastion`.
    pub who: String,
    /// This host.
    pub host: String,
    /// The run.
    pub run_id: RunId,
    /// Locks that engines of this host have taken before, each with its run, and that this claim may take over: the run's
    /// own, where a crashed engine's run goes on. The caller holds the local locks, so those engines are dead.
    pub previous: Vec<(String, RunId)>,
    /// The id that this holding shall have; a new one if not set. Whoever notes it before the lock is taken knows it
    /// again after a crash in between.
    pub id: Option<String>,
}

/// Why the lock was not obtained. Nothing of the target has been touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockRefused {
    /// Somebody else has it.
    #[error("{} has control of {of}; watch it there with `cutover watch {}`, or, if that engine is dead, \
        take over with `cutover takeover {}` and a reason", holder.words(), holder.run_id, holder.lock_id)]
    Held {
        /// What is locked: `service/backend-service`.
        of: String,
        /// Who has it.
        holder: Box<LockHolder>,
    },
    /// A takeover named another lock than the one that is held.
    #[error("the lock id does not match: {} has control of {of}, with lock {}; look again, then decide", holder.words(), holder.lock_id)]
    WrongId {
        /// What is locked.
        of: String,
        /// Who has it.
        holder: Box<LockHolder>,
    },
    /// A takeover named the right lock, but its holder is alive.
    #[error("{} has control of {of} and is alive: the lock was renewed while we watched; ask for control \
        there, or watch with `cutover watch {}`", holder.words(), holder.run_id)]
    Alive {
        /// What is locked.
        of: String,
        /// Who has it.
        holder: Box<LockHolder>,
    },
    /// A takeover of a lock that nobody holds.
    #[error("nobody holds the lock of {of}, so there is nothing to take over")]
    Free {
        /// What is not locked.
        of: String,
    },
    /// A takeover without a reason.
    #[error("a takeover needs a reason")]
    NoReason,
    /// We may not use Leases.
    #[error(
        "not allowed to {verb} {resource}: ask for the verbs `get`, `create` and `update` on `{resource}` in namespace {namespace}{}",
        says(message)
    )]
    Forbidden {
        /// The verb that is missing.
        verb: String,
        /// The resource as roles name it.
        resource: String,
        /// The namespace.
        namespace: String,
        /// What the API server said; may be empty.
        message: String,
    },
    /// The cluster did not answer, or not as it should.
    #[error(transparent)]
    Failed(#[from] PortError),
}

fn says(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

/// The target's lock as last seen, and since when it has looked so, by our clock.
#[derive(Debug)]
pub(super) struct Observed {
    pulse: Pulse,
    since: Timestamp,
}
