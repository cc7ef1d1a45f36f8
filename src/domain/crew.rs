//! Who sits at a run's screens, and who of them drives.
//!
//! One seat has the controls: the pilot's. Everybody else looks. The seat is taken when a screen opens and nobody sits
//! there, handed over by the pilot, or taken with a reason once the pilot's screen is gone.

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
    /// The account they logged in with. Told by the kernel, never by the person.
    pub login: String,
    /// What they want to be called; the login where they did not say.
    pub name: String,
}

impl Person {
    /// A person without another name than the login.
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

/// What a connection came for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// To drive, where the seat is free.
    Pilot,
    /// To look, and perhaps to ask for the controls.
    Observe,
    /// One command in a shell: roll back, abort, take over.
    Errand,
    /// To approve, and nothing else.
    Approve,
    /// To look, and nothing else.
    Watch,
}

/// What a screen may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Drives.
    Pilot,
    /// Looks, and may ask for the controls.
    Observer,
    /// One command in a shell.
    Errand,
    /// May approve steps.
    Approver,
    /// Looks.
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
