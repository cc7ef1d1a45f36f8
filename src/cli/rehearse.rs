//! `cutover rehearse`: the same run in a simulated cluster.

use super::{args::RehearseArgs, front::launch};
use crate::flight::{self, exit::Exit, job::Task, say::data, stop::Stop};

/// Starts an engine with a simulated world that plays a scenario, and shows the run.
///
/// # Errors
/// If the engine can't be started.
pub async fn main(args: RehearseArgs) -> Result<Exit, Stop> {
    if args.list_scenarios {
        for (name, about) in flight::scenarios() {
            data(&format!("{name:22}  {about}"));
        }
        return Ok(Exit::Done);
    }
    let drive = args.drive.clone();
    launch::fly(Task::Rehearse(args.into()), &drive).await
}
