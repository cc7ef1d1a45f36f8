//! `cutover takeover`: takes control of a run whose pilot is gone, or a target's lock whose holder is gone.

use super::{
    args::TakeoverArgs,
    attach,
    front::{launch, screen::Purpose},
};
use crate::flight::{
    exit::Exit,
    job::{Resumption, Takeover, Task},
    stop::Stop,
};

/// Takes control, and shows the run.
///
/// # Errors
/// If there is no such run, or its engine can't be reached or started.
pub async fn main(args: &TakeoverArgs) -> Result<Exit, Stop> {
    if let Some(lock_id) = args.attach.run.clone().filter(|id| is_lock_id(id)) {
        // The lock of a target: its holder ran the deployment on another host.
        let resumption = Resumption {
            run: None,
            from_cluster: Some(args.runbook.clone()),
            takeover: Some(Takeover { lock_id, reason: args.reason.clone() }),
        };
        return launch::fly(Task::Resume(resumption), &args.attach.drive()).await;
    }
    attach::show(&args.attach, Purpose::TakeOver(args.reason.clone())).await
}

/// Whether this is the id of a lock, such as `3f9a-12bc-77de`, and not of a run.
fn is_lock_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 3
        && parts.iter().all(|part| part.len() == 4 && part.chars().all(|c| c.is_ascii_hexdigit()))
}
