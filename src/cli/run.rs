//! `cutover run`: a real flight.

use std::sync::Arc;

use super::{
    args::{PlanArgs, RunArgs},
    compose,
    engine::Task,
    exit::Exit,
    flight::{self, Flight},
    guard::Takeover,
    launch, plan,
};
use crate::engine::values::Secrets;

/// Starts an engine for a run and shows it.
///
/// # Errors
/// What keeps the run from being opened, in words.
pub async fn main(args: RunArgs) -> color_eyre::Result<Exit> {
    if args.dry_run {
        return plan::main(&PlanArgs {
            runbook: args.runbook,
            vars: args.drive.vars,
            live: None,
            rbac: false,
        });
    }
    launch::fly(Task::Run(args)).await
}

/// Opens a run against the real world, in the engine's process.
///
/// # Errors
/// What keeps the run from being opened, in words.
pub async fn fly(args: RunArgs, pilot: String) -> color_eyre::Result<Exit> {
    let text = compose::read_runbook(&args.runbook)?;
    let loaded = match flight::load(&args.runbook, text, &args.drive.view.color) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let secrets = Arc::new(Secrets::default());
    let world = compose::real(&loaded.runbook, &loaded.path, &secrets, None).await?;
    Flight { loaded, world, secrets, rehearsal: None, drive: args.drive, pilot }
        .open(Takeover::of(args.takeover, args.reason))
        .await
}
