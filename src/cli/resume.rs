//! `cutover resume`: a run that was paused or interrupted goes on.

use std::sync::Arc;

use color_eyre::eyre::eyre;

use super::{
    args::ResumeArgs,
    compose,
    engine::Task,
    exit::Exit,
    flight::{self, Flight, Loaded},
    launch,
    plain::talk,
    store,
};
use crate::engine::values::Secrets;

/// Starts an engine for a run that was left, and shows it. Where its engine lives, attaching is what is meant.
///
/// # Errors
/// If the engine can't be started.
pub async fn main(args: ResumeArgs) -> color_eyre::Result<Exit> {
    launch::fly(Task::Resume(args)).await
}

/// Finds the run, recovers its journal and flies on.
///
/// # Errors
/// If there is no such run or its journal is damaged.
pub async fn fly(args: ResumeArgs, pilot: String) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.drive.state_dir.as_ref())?;
    let found = store::runs(&state)?;
    let found = match &args.run {
        Some(id) => found.into_iter().find(|found| found.run.opened.run_id.as_str() == id),
        None => found.into_iter().find(|found| flight::resumable(&found.run).is_ok()),
    };
    let found = found.ok_or_else(|| {
        if let Some(id) = &args.run {
            eyre!("there is no run {id}; see `cutover list`")
        } else {
            eyre!("there is no paused run; see `cutover list`")
        }
    })?;
    if let Err(why) = flight::resumable(&found.run) {
        talk(&format!("{}: {why}", found.run.opened.run_id));
        return Ok(Exit::Usage);
    }
    // What was done without the journal is not in it: nobody may go on as if it had not happened.
    let beside = crate::engine::ledger::left_behind(&found.run.opened.run_id);
    if let Some(record) = beside.first() {
        talk(&format!(
            "{}: its journal was lost and a rollback was let go on without it, recorded in {}; look at the cluster, then move that file away to resume",
            found.run.opened.run_id,
            record.display()
        ));
        return Ok(Exit::NeedsPerson);
    }
    let runbook = (*found.run.runbook).clone();
    let path = std::path::PathBuf::from(&found.run.opened.runbook_path);
    let text = std::fs::read_to_string(found.dir.join("runbook.toml")).unwrap_or_default();
    let secrets = Arc::new(Secrets::default());
    let world = compose::real(&runbook, &path, &secrets, Some(found.run.last_at)).await?;
    let loaded = Loaded { runbook, text, path };
    Flight { loaded, world, secrets, rehearsal: None, drive: args.drive, pilot }.resume(found.dir).await
}
