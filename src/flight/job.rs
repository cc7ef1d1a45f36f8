//! What an engine is told to do, and its one answer.
//!
//! ```text
//! front   ── spawn ──▶ engine: own session, no terminal
//!         ── job on stdin ──▶
//!         ◀── one answer on stdout: ready, or what was refused ──
//!                      from here on stdout and stderr are files of the run's directory
//!         ── control.sock ──▶ like any other screen
//! ```

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use color_eyre::eyre::WrapErr as _;
use serde::{Deserialize, Serialize};

use super::stop::Stop;
use crate::domain::id::RunId;

/// The longest job that is read, bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What an engine is to do. On stdin, since a command line is seen by everybody on the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What.
    pub task: Task,
    /// On which terms.
    pub terms: Terms,
    /// The name of the person who started it.
    pub pilot: String,
}

/// What kind of run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A real one.
    Run(NewRun),
    /// A simulated one.
    Rehearse(Rehearsal),
    /// One that was paused or interrupted.
    Resume(Resumption),
}

/// A new run against the real world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewRun {
    /// The runbook.
    pub runbook: PathBuf,
    /// The lock that is taken from somebody who is gone.
    pub takeover: Option<Takeover>,
}

/// A new run against a simulated world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The runbook; by default ./runbook.toml if it exists, else the built-in one.
    pub runbook: Option<PathBuf>,
    /// The scenario to simulate.
    pub scenario: String,
    /// Simulation speed, as a multiple of real time.
    pub speed: f64,
    /// Where the simulated cluster's kubeconfig is written.
    pub kubeconfig: Option<PathBuf>,
}

/// A run to resume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Resumption {
    /// Its id; by default the newest paused one.
    pub run: Option<String>,
    /// To resume from the cluster's copy: the runbook that names the cluster.
    pub from_cluster: Option<PathBuf>,
    /// The lock that is taken from somebody who is gone.
    pub takeover: Option<Takeover>,
}

/// Taking a lock from a holder who is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Takeover {
    /// Exactly whose.
    pub lock_id: String,
    /// Why.
    pub reason: String,
}

impl Takeover {
    /// From the flags: with both a lock id and a reason, or none.
    pub fn of(lock_id: Option<String>, reason: Option<String>) -> Option<Self> {
        Some(Self { lock_id: lock_id?, reason: reason? })
    }
}

/// What a run is opened or resumed with, beside its runbook.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Terms {
    /// `NAME=VALUE`
    pub vars: Vec<String>,
    /// `NAME=yes|no`
    pub parts: Vec<String>,
    /// Why to start although it would be refused.
    pub override_reason: Option<String>,
    /// A group whose users may watch.
    pub watch_group: Option<String>,
    /// A group whose users may approve.
    pub approve_group: Option<String>,
    /// Whether faults of the runbook are printed in colour: `auto`, `always` or `never`.
    pub color: String,
    /// The state directory.
    pub state_dir: Option<PathBuf>,
}

impl Terms {
    /// For an engine that is started without anybody to show it to.
    pub fn unattended(state: &Path) -> Self {
        Self { color: "never".to_owned(), state_dir: Some(state.to_owned()), ..Self::default() }
    }
}

/// What an engine says once, on stdout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It runs; screens may come.
    Ready {
        /// The run.
        run_id: RunId,
        /// Its directory.
        run_dir: PathBuf,
    },
    /// It needs a reason.
    Refused {
        /// What is against it, in words.
        why: Vec<String>,
    },
}

impl Word {
    /// Sends it to the process that started this engine. If that has gone already, nothing changes.
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
    /// If this process was not started as an engine.
    pub fn take() -> Result<Self, Stop> {
        let by_hand = "`cutover engine` is started by `cutover run`, `rehearse` and `resume`, never by hand";
        // No terminal's hang-up, no ctrl-c, no job control reaches a session of its own.
        nix::unistd::setsid().map_err(|_| Stop::usage(by_hand))?;
        let mut text = Vec::new();
        std::io::stdin().take(LONGEST).read_to_end(&mut text).wrap_err("cannot read the job")?;
        serde_json::from_slice(&text).map_err(|error| Stop::usage(format!("no job ({error}): {by_hand}")))
    }
}
