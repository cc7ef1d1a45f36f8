//! What `cutover status --wait` waits for.

use clap::ValueEnum;

use crate::{
    domain::{event::Outcome, run::Run},
    flight::exit::Exit,
};

/// A state that a run can be waited for in, by the word that `cutover status` has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Awaited {
    /// It has not ended.
    Open,
    /// The monitored window of a step is open.
    Window,
    /// It needs a person.
    Waits,
    /// It is paused.
    Held,
    /// A rollback runs or has stopped.
    RollingBack,
    /// It has succeeded.
    Succeeded,
    /// It has failed, and traffic was not touched.
    Failed,
    /// It was rolled back.
    RolledBack,
    /// Its rollback has failed.
    RollbackFailed,
    /// It should have an engine and has none.
    NobodyWatches,
}

impl Awaited {
    /// The state of a word, in any case, with `-`, `_` or a space between its parts.
    ///
    /// # Errors
    /// A sentence with all words, if there is no such state.
    pub fn parse(word: &str) -> Result<Self, String> {
        let wanted = word.trim().to_lowercase().replace(['_', ' '], "-");
        Self::value_variants().iter().copied().find(|state| state.word() == wanted).ok_or_else(|| {
            let words: Vec<&str> = Self::value_variants().iter().map(|state| state.word()).collect();
            format!("there is no state `{}`; the states are {}", word.trim().escape_debug(), words.join(", "))
        })
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Window => "window",
            Self::Waits => "waits",
            Self::Held => "held",
            Self::RollingBack => "rolling-back",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
            Self::NobodyWatches => "nobody-watches",
        }
    }

    /// Whether a run is in this state. `status` is the word that its status shows, `waits` whether it needs a person.
    pub fn is_met(self, run: &Run, status: &str, waits: bool) -> bool {
        match self {
            Self::Window => run.finished.is_none() && has_open_window(run),
            Self::Waits => waits,
            // Paused by a person or the guard while its engine watches, or closed as paused.
            Self::Held => status == self.word() || run.finished.is_none() && run.held.is_some(),
            state => status.to_lowercase().replace(' ', "-") == state.word(),
        }
    }
}

/// Whether the step that is due has a monitored window that is open.
fn has_open_window(run: &Run) -> bool {
    let step = run.current().filter(|_| run.steps_open && run.rolling_back().is_none());
    step.and_then(|index| run.steps.get(index)).is_some_and(|state| {
        state.window_opened.is_some() && state.work.started_at.is_some() && state.work.finished_at.is_none()
    })
}

/// Whether a run can still come to another state by itself or by its engine: the words for where it is, if it cannot.
pub fn ended(run: &Run) -> Option<&'static str> {
    let outcome =
        run.finished.as_ref().map(|(outcome, ..)| *outcome).filter(|_| run.rolling_back().is_none());
    // A run that was closed as paused can be resumed, but not without a person.
    Some(match outcome? {
        Outcome::Succeeded => Awaited::Succeeded.word(),
        Outcome::Failed => Awaited::Failed.word(),
        Outcome::RolledBack => Awaited::RolledBack.word(),
        Outcome::RollbackFailed => Awaited::RollbackFailed.word(),
        Outcome::Held => Awaited::Held.word(),
    })
}

/// How a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The run is in this state.
    Met(Awaited),
    /// The run has ended in a state that nobody asked for.
    EndedAs(&'static str),
    /// Neither in time.
    TimedOut,
}

impl Waited {
    /// Its exit code.
    pub fn exit(self) -> Exit {
        match self {
            Self::Met(_) => Exit::Done,
            Self::EndedAs(_) => Exit::EndedOtherwise,
            Self::TimedOut => Exit::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_named_as_its_status_is_printed() {
        for written in ["ROLLED-BACK", "rolled_back", " Rolled back "] {
            assert_eq!(Awaited::parse(written), Ok(Awaited::RolledBack));
        }
        assert_eq!(Awaited::parse("NOBODY WATCHES"), Ok(Awaited::NobodyWatches));
        assert_eq!(
            Awaited::parse("done\u{1b}").unwrap_err(),
            "there is no state `done\\u{1b}`; the states are open, window, waits, held, rolling-back, succeeded, failed, \
             rolled-back, rollback-failed, nobody-watches"
        );
    }
}
