//! `cutover run`: a real flight.

use std::sync::Arc;

use super::{
    args::{PlanArgs, RunArgs},
    compose,
    engine::Task,
    exit::Exit,
    flight::{self, Flight},
    launch, plan, store,
};
use crate::engine::values::Secrets;

/// Starts an engine for a run and shows it.
///
/// # Errors
/// What keeps the run from being opened, in words.
pub async fn main(args: RunArgs) -> color_eyre::Result<Exit> {
    if args.dry_run {
        return plan::main(&PlanArgs { runbook: args.runbook, vars: args.drive.vars, live: None });
    }
    launch::fly(Task::Run(args)).await
}

/// Opens a run against the real world, in the engine's process.
///
/// # Errors
/// What keeps the run from being opened, in words.
pub async fn fly(args: RunArgs, pilot: String) -> color_eyre::Result<Exit> {
    let text = compose::read_runbook(&args.runbook)?;
    let loaded = match flight::load(&args.runbook, text, &args.drive.color) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let secrets = Arc::new(Secrets::default());
    let world = compose::real(&loaded.runbook, &loaded.path, &secrets, None).await?;
    // One driver on this host for one target; the cluster-wide lock comes with the detached engine.
    let _target = match (&loaded.runbook.target, &world.cluster) {
        (Some(target), Some(cluster)) => {
            let cluster = cluster.identity().await?.uid;
            let name = crate::journal::lock::target_lock_name(&cluster, &target.namespace, &target.service);
            let dir = store::state_dir(args.drive.state_dir.as_ref())?.join("locks");
            store::runs_dir(&store::state_dir(args.drive.state_dir.as_ref())?)?;
            match crate::journal::Lock::acquire(&dir, &name, &store::holder()) {
                Ok(lock) => Some(lock),
                Err(crate::journal::LockError::Held { holder, .. }) => {
                    let by = flight::driven_by(holder.as_ref());
                    super::plain::talk(&format!("a run on service {} flies already{by}", target.service));
                    super::plain::talk("look at it with: cutover watch");
                    return Ok(Exit::SomebodyElse);
                }
                Err(error) => return Err(error.into()),
            }
        }
        _ => None,
    };
    Flight { loaded, world, secrets, rehearsal: None, drive: args.drive, pilot }.open().await
}
