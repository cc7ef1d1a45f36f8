//! Why a command ends before its end: one type for every way, so that `?` works, and one place where it is said.

use color_eyre::Report;

use super::{
    exit::Exit,
    say::{talk, trace},
};
use crate::{
    adapters::kube::{CopyFault, LockRefused},
    domain::{rights::Missing, workload::ClusterIdentity},
    engine::ports::PortError,
};

/// What ends a command.
#[derive(Debug)]
pub enum Stop {
    /// This code, and nothing more to say: it was said where it happened.
    Exit(Exit),
    /// This code, and lines for the person: what happened and where, then what to do.
    Told(Exit, String),
    /// A fault of ours or of the host, or an error that names its own exit code when it is said.
    Fault(Report),
}

/// Whatever can be an error's report. [`Stop`] itself is none, so it is never wrapped twice.
impl<E: Into<Report>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl Stop {
    /// Something on the command line, or around us, that the person can put right.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Told(Exit::Usage, message.into())
    }

    /// The runbook does not fit what was found.
    pub fn unfit(message: impl Into<String>) -> Self {
        Self::Told(Exit::InvalidRunbook, message.into())
    }

    /// There is no such run on this host.
    pub fn no_run(run: &str) -> Self {
        Self::usage(format!("there is no run {run} on this host\nsee: cutover list"))
    }

    /// A person has to decide or look first.
    pub fn person(message: impl Into<String>) -> Self {
        Self::Told(Exit::NeedsPerson, message.into())
    }

    /// Somebody else has what this command needs.
    pub fn somebody_else(message: impl Into<String>) -> Self {
        Self::Told(Exit::SomebodyElse, message.into())
    }

    /// Rights that a run cannot be opened without.
    pub fn forbidden(missing: &[&Missing], cluster: &ClusterIdentity) -> Self {
        let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Self::unfit(format!(
            "{}\nthe cluster is {} ({}); `cutover plan --rbac` prints all that this runbook needs",
            lines.join("\n"),
            cluster.context,
            cluster.server
        ))
    }

    /// With its exit code and sentence, where what went wrong has one.
    #[must_use]
    pub fn understood(self) -> Self {
        let Self::Fault(report) = self else { return self };
        if let Some(error) = report.downcast_ref::<PortError>() {
            // The cluster does not answer, does not know us, or does not have what the runbook names.
            Self::unfit(clauses(&error.message))
        } else if let Some(refused) = report.downcast_ref::<LockRefused>() {
            Self::unfit(refused.to_string())
        } else if let Some(fault) = report.downcast_ref::<CopyFault>() {
            Self::unfit(fault.to_string())
        } else {
            Self::Fault(report)
        }
    }

    /// Says it, and gives the exit code.
    pub fn say(self) -> Exit {
        match self.understood() {
            Self::Exit(exit) => exit,
            Self::Told(exit, message) => {
                message.lines().for_each(talk);
                exit
            }
            Self::Fault(report) => {
                talk(&chain(&report));
                if std::env::var_os("RUST_BACKTRACE").is_some_and(|asked| asked != "0") {
                    trace(&report);
                } else {
                    talk(
                        "this is a fault of cutover or of this host; RUST_BACKTRACE=1 shows where it comes from",
                    );
                }
                Exit::Internal
            }
        }
    }
}

/// A sentence with each of its clauses on a line of its own: what is wrong, then what to do. A `;` in parentheses or quotes,
/// where others are quoted, is none of ours.
pub(super) fn clauses(message: &str) -> String {
    let mut lines = String::with_capacity(message.len());
    let (mut depth, mut quoted) = (0_usize, false);
    let mut rest = message.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '`' => quoted = !quoted,
            ';' if depth == 0 && !quoted && rest.next_if_eq(&' ').is_some() => {
                lines.push('\n');
                continue;
            }
            _ => {}
        }
        lines.push(c);
    }
    lines
}

/// An error and what caused it, in one line.
fn chain(report: &Report) -> String {
    report.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use color_eyre::eyre::{WrapErr as _, eyre};

    use super::*;

    #[test]
    fn each_clause_of_an_error_has_a_line() {
        assert_eq!(
            clauses("no cluster (a; b): `c; d`; check it; or not"),
            "no cluster (a; b): `c; d`\ncheck it\nor not"
        );
        assert_eq!(clauses("a;b"), "a;b");
    }

    #[test]
    fn every_error_becomes_a_stop_and_a_stop_stays_itself() {
        let fails = || -> Result<(), Stop> {
            std::fs::read("/nonexistent").map(|_| ()).wrap_err("cannot read it")?;
            Ok(())
        };
        let passes_on = |stop: Stop| -> Result<(), Stop> {
            Err::<(), Stop>(stop)?;
            Ok(())
        };
        assert!(
            matches!(fails(), Err(Stop::Fault(report)) if chain(&report).starts_with("cannot read it: No such"))
        );
        assert!(matches!(passes_on(Stop::usage("no such run")), Err(Stop::Told(Exit::Usage, _))));
        assert_eq!(Stop::from(eyre!("broken")).say(), Exit::Internal);
    }
}
