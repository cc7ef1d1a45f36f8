//! The people at a run's screens, and which of them has control.
//!
//! One seat has control: the pilot's. Everybody else watches. The seat is taken when a screen opens and nobody has
//! it, handed over by the pilot, or taken with a reason once the pilot's screen is gone.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One screen, or one command in a shell, for as long as its connection lasts. Never used twice by an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScreenId(pub u64);

impl fmt::Display for ScreenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A person, as the host knows them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The account they logged in with, according to the kernel, never to the person.
    pub login: String,
    /// Their display name; the login if they gave none.
    pub name: String,
}

impl Person {
    /// A person with no name other than the login.
    pub fn of_login(login: impl Into<String>) -> Self {
        let login = login.into();
        Self { name: login.clone(), login }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name == self.login {
            f.write_str(&self.name)
        } else {
            write!(f, "{} ({})", self.name, self.login)
        }
    }
}

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// To have control, if nobody has it.
    Pilot,
    /// To watch, and perhaps to ask for control.
    Observe,
    /// One command in a shell: roll back, abort, take over.
    Errand,
    /// Only to approve.
    Approve,
    /// Only to watch.
    Watch,
}

/// What a screen may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has control.
    Pilot,
    /// Watches, and may ask for control.
    Observer,
    /// One command in a shell.
    Errand,
    /// May approve steps.
    Approver,
    /// Watches.
    Watcher,
}

impl Role {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pilot => "pilot",
            Self::Observer => "observer",
            Self::Errand => "shell",
            Self::Approver => "approver",
            Self::Watcher => "watching",
        }
    }
}

/// Somebody at a screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The screen.
    pub id: ScreenId,
    /// Who.
    pub person: Person,
    /// What the screen may do.
    pub role: Role,
}
