//! Exit codes: published, stable.

use crate::domain::event::Outcome;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A fault of cutover or of this host.
    Internal,
    /// Wrong command line, invalid settings or keymap, or no usable kubeconfig or state directory.
    Usage,
    /// The runbook is invalid, or its target does not exist, does not answer or may not be used.
    InvalidRunbook,
    /// A check or step failed; traffic was not touched.
    Failed,
    /// Rolled back.
    RolledBack,
    /// The rollback failed: a person must act.
    RollbackFailed,
    /// Another run or another person has control of this target.
    SomebodyElse,
    /// A person is needed, and there is no terminal.
    NeedsPerson,
    /// Paused or detached: the run can be resumed.
    Paused,
    /// What was waited for has not happened in time.
    TimedOut,
    /// The run has ended in a state that was not waited for.
    EndedOtherwise,
    /// Ended by a signal.
    Signal(u8),
}

impl Exit {
    /// The number the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::InvalidRunbook => 3,
            Self::Failed => 4,
            Self::RolledBack => 5,
            Self::RollbackFailed => 6,
            Self::SomebodyElse => 7,
            Self::NeedsPerson => 8,
            Self::Paused => 9,
            Self::TimedOut => 10,
            Self::EndedOtherwise => 11,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }

    /// The meaning of a code that another process of ours ended with.
    pub fn from_code(code: i32) -> Self {
        match u8::try_from(code) {
            Ok(0) => Self::Done,
            Ok(2) => Self::Usage,
            Ok(3) => Self::InvalidRunbook,
            Ok(4) => Self::Failed,
            Ok(5) => Self::RolledBack,
            Ok(6) => Self::RollbackFailed,
            Ok(7) => Self::SomebodyElse,
            Ok(8) => Self::NeedsPerson,
            Ok(9) => Self::Paused,
            Ok(10) => Self::TimedOut,
            Ok(11) => Self::EndedOtherwise,
            Ok(signal @ 129..) => Self::Signal(signal - 128),
            _ => Self::Internal,
        }
    }

    /// The code for a run's outcome.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Done,
            Outcome::Failed => Self::Failed,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::RollbackFailed => Self::RollbackFailed,
            Outcome::Held => Self::Paused,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
