//! `cutover engine`: the process that a run lives in. Started by `run`, `rehearse` and `resume`, never by hand.
//!
//! ```text
//! front   ── spawn ──▶ engine: own session, no terminal
//!         ── job on stdin ──▶
//!         ◀── one word on stdout: ready, or what was refused ──
//!                      from here on stdout and stderr are files of the run's directory
//!         ── control.sock ──▶ like any other screen
//! ```

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use color_eyre::eyre::{WrapErr as _, eyre};
use serde::{Deserialize, Serialize};

use super::{
    args::{DriveArgs, RehearseArgs, ResumeArgs, RunArgs},
    exit::Exit,
    rehearse, resume, run,
};
use crate::domain::id::RunId;

/// The longest job that is read, bytes.
const LONGEST_JOB: u64 = 4 * 1024 * 1024;
/// The file in a run's directory for what an engine prints: nothing, unless something is very wrong.
const PRINTED: &str = "engine.log";

/// What an engine is to do. On stdin, since a command line is seen by everybody on the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What.
    pub task: Task,
    /// What whoever started it wants to be called.
    pub pilot: String,
}

/// What kind of flight.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A real one.
    Run(RunArgs),
    /// A simulated one.
    Rehearse(RehearseArgs),
    /// One that was left.
    Resume(ResumeArgs),
}

/// What an engine says once, on stdout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It flies; screens may come.
    Ready {
        /// The run.
        run_id: RunId,
        /// Its directory.
        run_dir: PathBuf,
    },
    /// Not without a reason.
    Refused {
        /// What is against it, in words.
        why: Vec<String>,
    },
}

impl Word {
    /// Says it to whoever started this engine. Somebody who is gone already changes nothing.
    pub fn say(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(&line).and_then(|()| out.flush());
        }
    }
}

impl Job {
    /// Leaves the terminal and reads what to do.
    ///
    /// # Errors
    /// If this process was not started by [`super::launch`].
    pub fn take() -> color_eyre::Result<Self> {
        // No terminal's hang-up, no ctrl-c, no job control reaches a session of its own.
        nix::unistd::setsid().wrap_err("`cutover engine` is started by `cutover run`, never by hand")?;
        let mut text = Vec::new();
        std::io::stdin().take(LONGEST_JOB).read_to_end(&mut text).wrap_err("cannot read the job")?;
        serde_json::from_slice(&text)
            .map_err(|error| eyre!("no job ({error}): `cutover engine` is started by `cutover run`"))
    }

    /// How the flight is driven.
    pub fn drive(&self) -> &DriveArgs {
        self.task.drive()
    }

    /// Flies it.
    ///
    /// # Errors
    /// What keeps the run from being flown, in words.
    pub async fn fly(self) -> color_eyre::Result<Exit> {
        match self.task {
            Task::Run(args) => run::fly(args, self.pilot).await,
            Task::Rehearse(args) => rehearse::fly(args, self.pilot).await,
            Task::Resume(args) => resume::fly(args, self.pilot).await,
        }
    }
}

impl Task {
    /// How the flight is driven.
    pub fn drive(&self) -> &DriveArgs {
        match self {
            Self::Run(args) => &args.drive,
            Self::Rehearse(args) => &args.drive,
            Self::Resume(args) => &args.drive,
        }
    }

    /// Gives the reason for what was refused.
    pub fn override_with(&mut self, reason: String) {
        let drive = match self {
            Self::Run(args) => &mut args.drive,
            Self::Rehearse(args) => &mut args.drive,
            Self::Resume(args) => &mut args.drive,
        };
        drive.override_reason = Some(reason);
    }
}

/// Lets go of the terminal that the engine was started from.
///
/// # Errors
/// If the run's directory can't be written.
pub fn let_go(run_dir: &Path) -> color_eyre::Result<()> {
    let dir = crate::journal::RunDir::open(run_dir)?;
    let printed = dir.open_file(PRINTED).wrap_err("cannot open the engine's own log")?;
    let nothing = std::fs::File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(&printed)?;
    nix::unistd::dup2_stderr(&printed)?;
    Ok(())
}
