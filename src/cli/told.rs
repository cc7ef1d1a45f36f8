//! Ends that are nobody's fault in the program: a sentence for the person, and an exit code. They go up as errors, and
//! whoever turns errors into exit codes says the sentence instead of a report with a backtrace.

use std::fmt;

use super::{exit::Exit, plain::talk};
use crate::{
    adapters::kube::{CopyFault, LockRefused},
    domain::{rights::Missing, workload::ClusterIdentity},
    engine::ports::PortError,
};

/// What ends a command, in words.
#[derive(Debug)]
pub struct Told {
    /// The exit code.
    pub exit: Exit,
    /// What to say, one to three lines.
    pub message: String,
}

impl Told {
    /// The runbook does not fit what was found.
    pub fn unfit(message: impl Into<String>) -> Self {
        Self { exit: Exit::InvalidRunbook, message: message.into() }
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
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Told {}

/// The exit code for what went wrong, said; anything that has no sentence of its own is left to be reported in full.
///
/// # Errors
/// What is a fault of the program.
pub fn heard(report: color_eyre::Report) -> color_eyre::Result<Exit> {
    let (exit, message) = if let Some(told) = report.downcast_ref::<Told>() {
        (told.exit, told.message.clone())
    } else if let Some(error) = report.downcast_ref::<PortError>() {
        // The cluster does not answer, does not know us, or does not have what the runbook names.
        (Exit::InvalidRunbook, error.message.clone())
    } else if let Some(refused) = report.downcast_ref::<LockRefused>() {
        (Exit::InvalidRunbook, refused.to_string())
    } else if let Some(fault) = report.downcast_ref::<CopyFault>() {
        (Exit::InvalidRunbook, fault.to_string())
    } else {
        return Err(report);
    };
    for line in message.lines() {
        talk(line);
    }
    Ok(exit)
}
