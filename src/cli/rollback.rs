//! `cutover rollback`: rolls back from the shell; works without a screen, and when the engine is gone.

use super::{args::RollbackArgs, front::errand};
use crate::{
    domain::{message::Command, run::Run},
    flight::{exit::Exit, say::talk, stop::Stop},
};

/// Rolls the run back and follows it to its end.
///
/// # Errors
/// If no engine can be reached or started.
pub async fn main(args: RollbackArgs) -> Result<Exit, Stop> {
    let RollbackArgs { run, reason, retry, give_up, errand } = args;
    let reason = reason.unwrap_or_default();
    let command = match (retry, give_up) {
        (true, _) => Command::RetryRollback,
        (false, true) => Command::AbandonRollback { reason },
        (false, false) => Command::Rollback { reason },
    };
    let over = |run: &Run, before: &Run| over(run, before, retry);
    errand::order(errand, run.as_deref(), command, true, over).await
}

/// The exit code, once the outcome is known.
fn over(run: &Run, before: &Run, retry: bool) -> Option<Exit> {
    let retried = |run: &Run| (run.rollbacks.len(), run.rollbacks.last().map(|last| last.work.attempt));
    let last = run.rollbacks.last()?;
    // A rollback that had already stopped says nothing new until it has been retried.
    let new = !retry || retried(run) != retried(before);
    if let Some(stopped) = last.stopped.as_ref().filter(|_| new && last.finished.is_none()) {
        let id = &run.opened.run_id;
        talk(&format!("the rollback has stopped: {}", stopped.reason));
        talk(&format!(
            "retry it with: cutover rollback {id} --retry; abandon it with: cutover rollback {id} --give-up --reason WHY; look at it with: cutover attach {id}"
        ));
        return Some(Exit::RollbackFailed);
    }
    last.finished.as_ref()?;
    run.finished.as_ref().map(|(outcome, ..)| Exit::of(*outcome))
}
