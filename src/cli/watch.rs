//! `cutover watch`: a read-only screen on your own run, or on one that another user shares with a group.

use std::path::Path;

use super::{
    args::AttachArgs,
    attach,
    front::{
        reach,
        screen::{self, Purpose},
    },
};
use crate::{
    domain::id::RunId,
    flight::{exit::Exit, stop::Stop, store},
    link,
};

/// Shows the run.
///
/// # Errors
/// If there is no such run, or its engine can't be reached.
pub async fn main(args: &AttachArgs) -> Result<Exit, Stop> {
    let state = store::state_dir(args.view.look.state_dir.as_ref())?;
    let own = store::live(&state, args.run.as_deref())?;
    let there = args.run.as_ref().is_some_and(|run| state.join("runs").join(run).is_dir());
    if !own.is_empty() || there {
        return attach::show(args, Purpose::Watch).await;
    }
    let watch = async |path: &Path| link::client::watch(path).await;
    let (run, socket, client) = reach::knock("watch", args.run.as_deref(), watch).await?;
    let drive = args.drive();
    screen::show(client, &RunId(run), socket.parent().unwrap_or(&socket), &drive, true, None).await
}
