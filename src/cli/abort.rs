//! `cutover abort`: aborts a run from the shell, before traffic has been switched.

use super::{args::OrderArgs, front::errand};
use crate::{
    domain::{message::Command, run::Run},
    flight::{exit::Exit, stop::Stop},
};

/// Aborts the run and follows it to its end.
///
/// # Errors
/// If no engine can be reached.
pub async fn main(args: OrderArgs) -> Result<Exit, Stop> {
    let over = |run: &Run, _: &Run| run.finished.as_ref().map(|(outcome, ..)| Exit::of(*outcome));
    let reason = args.reason.clone();
    errand::order(args, Command::Abort { reason }, false, over).await
}
