//! `cutover run`: a real run.

use super::{
    args::{PlanArgs, RunArgs},
    front::launch,
    plan,
};
use crate::flight::{exit::Exit, job::Task, stop::Stop};

/// Starts an engine for a run and shows it.
///
/// # Errors
/// What keeps the run from being opened, in words.
pub async fn main(args: RunArgs) -> Result<Exit, Stop> {
    if args.dry_run {
        return plan::main(&PlanArgs {
            runbook: args.runbook,
            vars: args.drive.vars,
            live: None,
            rbac: false,
        });
    }
    let drive = args.drive.clone();
    launch::fly(Task::Run(args.into()), &drive).await
}
