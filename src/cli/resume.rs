//! `cutover resume`: resumes a paused or interrupted run.

use super::{args::ResumeArgs, front::launch};
use crate::flight::{exit::Exit, job::Task, stop::Stop};

/// Starts an engine for a run that has none, and shows the run. If its engine is alive, `attach` is the right command.
///
/// # Errors
/// If the engine can't be started.
pub async fn main(args: ResumeArgs) -> Result<Exit, Stop> {
    let drive = args.drive.clone();
    launch::fly(Task::Resume(args.into()), &drive).await
}
