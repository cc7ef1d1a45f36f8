//! `cutover abort`: aborts a run from the shell, before traffic has been switched.

use super::{args::AbortArgs, front::errand};
use crate::{
    domain::{message::Command, run::Run},
    flight::{exit::Exit, stop::Stop},
};

/// Aborts the run and follows it to its end.
///
/// # Errors
/// If no engine can be reached.
pub async fn main(args: AbortArgs) -> Result<Exit, Stop> {
    let over = |run: &Run, _: &Run| run.finished.as_ref().map(|(outcome, ..)| Exit::of(*outcome));
    let AbortArgs { run, reason, errand } = args;
    errand::order(errand, run.as_deref(), Command::Abort { reason }, false, over).await
}
