//! Why a run is paused, and why a rollback waits. All logic goes by these enums; the sentences next to them are for
//! people, and rewording one changes nothing.

use serde::{Deserialize, Serialize};

/// Why nothing new starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// A person wants it so.
    Person,
    /// A trigger that holds without data has none.
    NoData,
    /// Nobody had control.
    Away,
    /// Another engine has taken the run up.
    Resumed,
    /// The disk has no room for the journal.
    JournalFull,
    /// The journal can't be written, and a person has consented to a rollback without it.
    JournalLost,
    /// Somebody else has the target's lock.
    Fenced,
    /// Somebody else has changed what we deploy.
    Foreign,
    /// A trigger's rollback could not begin.
    RollbackNotBegun,
    /// Held by the machine, and nothing more is known: read from a journal whose sentence is none of those we know.
    #[default]
    Other,
}

impl HoldCause {
    /// Whether the hold ends without a person: with the return of data.
    pub fn ends_by_itself(self) -> bool {
        match self {
            Self::NoData => true,
            Self::Person
            | Self::Away
            | Self::Resumed
            | Self::JournalFull
            | Self::JournalLost
            | Self::Fenced
            | Self::Foreign
            | Self::RollbackNotBegun
            | Self::Other => false,
        }
    }

    /// Whether something is wrong. What somebody chose, or what every pause ends with, is not.
    pub fn is_fault(self) -> bool {
        match self {
            Self::NoData
            | Self::JournalFull
            | Self::Fenced
            | Self::Foreign
            | Self::RollbackNotBegun
            | Self::Other => true,
            Self::Person | Self::Away | Self::Resumed | Self::JournalLost => false,
        }
    }
}

/// Why a rollback waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// An action or a check of it has failed.
    #[default]
    Failed,
    /// It was taken up from a copy of the journal, which may lack the last seconds.
    Copied,
    /// A person has stopped it: undoing, before the switch.
    Person,
}
