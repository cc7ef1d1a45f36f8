//! `cutover replay`: the cockpit on a past run.

use std::path::PathBuf;

use super::{
    args::{ReplayArgs, ViewArgs},
    front::screen,
};
use crate::{
    domain::reel::Reel,
    flight::{exit::Exit, past, say::talk, stop::Stop, store},
};

/// Replays the run that is meant.
///
/// # Errors
/// If there is no such run, it can't be read, or there is no terminal.
pub async fn main(args: &ReplayArgs) -> Result<Exit, Stop> {
    let view = ViewArgs { look: args.look.clone(), ..ViewArgs::default() };
    let (events, kept, dir) = if let Some(file) = &args.from {
        let (events, kept) = past::reported(file)?;
        // It has no directory here: what is saved from the screen goes to the current one.
        (events, kept, PathBuf::new())
    } else {
        past::recorded(&store::state_dir(args.look.state_dir.as_ref())?, args.run.as_deref())?
    };
    let Some(reel) = Reel::new(events, kept) else {
        return Err(Stop::usage(
            "there is nothing to replay: the events do not begin with the opening of a run",
        ));
    };
    let Some(run_id) = reel.run_id() else { return Ok(Exit::Internal) };
    let exit = screen::replay(reel, &run_id, &dir, args.speed, view).await?;
    if args.from.is_none() {
        talk(&format!("journal, deploy.log and output: {}", dir.display()));
    }
    Ok(exit)
}
