//! `cutover approve`: approves the step that is waiting, from the approver's own account.

use std::path::Path;

use super::{
    args::ApproveArgs,
    front::{errand, name, reach},
};
use crate::{
    domain::{crew::Wish, id::StepId, message::Command, run::Run},
    flight::{exit::Exit, stop::Stop, store},
    link,
};

/// Approves the step.
///
/// # Errors
/// If no engine can be reached.
pub async fn main(args: ApproveArgs) -> Result<Exit, Stop> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let step = args.step.map(StepId);
    let mut own = store::live(&state, args.run.as_deref())?;
    let client = if let Some((_, dir)) = own.pop().filter(|_| own.is_empty()) {
        let hello = link::client::hello(Wish::Errand, name::alias());
        let client = link::client::connect(&dir.join(link::CONTROL), &hello).await.map_err(|error| {
            Stop::Told(Exit::Internal, format!("the engine does not answer ({error})\nsee: cutover status"))
        })?;
        client.send(&Command::Approve { step }).await;
        client
    } else {
        let approve = async |path: &Path| link::client::approve(path, step.clone()).await;
        let (_, _, client) = reach::knock("approve", args.run.as_deref(), approve).await?;
        client
    };
    let given = |run: &Run, before: &Run| {
        let count = |run: &Run| run.approvals.values().map(Vec::len).sum::<usize>();
        (count(run) > count(before)).then_some(Exit::Done)
    };
    errand::follow(client, false, given).await
}
