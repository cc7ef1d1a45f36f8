//! The lock of a target: who holds it, and what an engine knows about its own.
//!
//! ```text
//! (acquired) ──> Held ──renewals fail for longer than the deadline──> Uncertain ──a renewal succeeds──> Held
//!                  │                                                     │
//!                  ├──the lock is gone, or somebody else's───────────────┴──> Lost       for good
//!                  └──given back at the end────────────────────────────────> Released    for good
//! ```
//!
//! Writes are allowed in `Held` alone.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// The holder of a target's lock, according to the lock. All texts come from outside and are safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// What a person types to take over from exactly this holder.
    pub lock_id: String,
    /// The person, as in `alice@bastion`; empty if unknown.
    pub who: String,
    /// The host of the engine; empty if unknown.
    pub host: String,
    /// The run; empty if unknown.
    pub run_id: String,
    /// Since when, by the holder's clock.
    pub since: Option<Timestamp>,
    /// The last renewal, by the holder's clock: for people only, since two hosts' clocks cannot be compared.
    pub renewed_at: Option<Timestamp>,
    /// Whether we have watched it for a whole lease duration without a renewal.
    pub expired: bool,
}

impl LockHolder {
    /// Who, from where, since when, with which run: `alice@bastion on bastion-2 since 14:02:10 UTC (run 20261122-140210-x1)`.
    #[must_use]
    pub fn words(&self) -> String {
        let who = if self.who.is_empty() { "somebody unnamed" } else { &self.who };
        let host = if self.host.is_empty() { String::new() } else { format!(" on {}", self.host) };
        let since = self.since.map(|since| format!(" since {} UTC", since.clock())).unwrap_or_default();
        let run = if self.run_id.is_empty() { String::new() } else { format!(" (run {})", self.run_id) };
        format!("{who}{host}{since}{run}")
    }
}

/// What an engine knows about the lock of its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LockState {
    /// It is ours, renewed within the deadline.
    Held {
        /// The lock's id.
        lock_id: String,
        /// The fence: grows with each holding, and is written into what we change.
        fence: u64,
        /// Since when.
        since: Timestamp,
    },
    /// It could not be renewed for longer than the deadline. It may still be ours, and may come back.
    Uncertain {
        /// When the deadline passed.
        since: Timestamp,
        /// Why it can't be renewed.
        why: String,
    },
    /// It is no longer ours, and never will be again.
    Lost {
        /// What happened, for people.
        why: String,
        /// Who has it now, if anybody.
        by: Option<LockHolder>,
    },
    /// It was released.
    Released,
}

impl LockState {
    /// Whether writes are allowed.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_holders_survive_json_and_read_as_sentences() {
        let holder = LockHolder {
            lock_id: "3f9a-12bc-77de".to_owned(),
            who: "alice@bastion".to_owned(),
            host: "bastion-2".to_owned(),
            run_id: "20261122-140210-x1".to_owned(),
            since: Some(Timestamp(1_795_356_130_000)),
            renewed_at: None,
            expired: false,
        };
        assert_eq!(holder.words(), "alice@bastion on bastion-2 since 14:02:10 UTC (run 20261122-140210-x1)");
        let lost = LockState::Lost { why: "taken over".to_owned(), by: Some(holder) };
        let held = LockState::Held { lock_id: "a".to_owned(), fence: 7, since: Timestamp(0) };
        for state in [lost, held, LockState::Released] {
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<LockState>(&text).unwrap(), state);
        }
    }
}
