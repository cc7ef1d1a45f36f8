//! The process a run lives in, and what commands need to know of runs. Here the layers are put together.
//!
//! ```text
//! front ─ job ─▶ opening ───┐
//!                resuming ──┴▶ setup ─▶ guard ─▶ ready ─▶ landing: engine + doors ─▶ exit
//!                └ fetching: from another host's copy
//! ```
//!
//! `world` puts the ports together, real or simulated. `store` finds runs on this host, `copies` in the cluster. `stop` is how
//! everything here fails.

pub mod backtest;
pub mod copies;
pub mod doctor;
pub mod doors;
pub mod exit;
mod fetching;
pub mod guard;
pub mod job;
pub mod journal;
mod landing;
pub mod logs;
pub mod online;
pub mod opening;
pub mod past;
pub mod preflight;
pub mod pulse;
pub mod resuming;
pub mod roles;
pub mod runbook;
pub mod say;
pub mod setup;
pub mod stop;
pub mod store;
pub mod survey;
pub mod vars;
pub mod who;
pub mod world;

use exit::Exit;
use job::{Job, Task};
use stop::Stop;

/// Does a job, to the end of its run.
///
/// # Errors
/// What keeps the run from being opened or resumed, in words.
pub async fn fly(job: Job) -> Result<Exit, Stop> {
    let Job { task, terms, pilot } = job;
    match task {
        Task::Run(new) => opening::run(new, terms, pilot).await,
        Task::Rehearse(rehearsal) => opening::rehearse(rehearsal, terms, pilot).await,
        Task::Resume(resumption) => resuming::resume(resumption, terms, pilot).await,
    }
}

/// The scenarios of a rehearsal: name, and what happens.
pub fn scenarios() -> impl Iterator<Item = (&'static str, &'static str)> {
    crate::world::scenario::Scenario::ALL.into_iter().map(|scenario| (scenario.name(), scenario.about()))
}
