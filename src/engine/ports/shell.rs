//! Commands on the host: what is run, what it says meanwhile, and how it ended.
//!
//! A command is one process group with a mark in its environment, so that an engine after this one can still find all of it.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{CancelFlag, PortResult};
use crate::domain::{event::ChildProcess, time::Span};

/// Where a command's output is stored.
#[derive(Debug, Clone)]
pub enum Output {
    /// In a file of this name. If there is too much output, only its beginning and end.
    Disk(PathBuf),
    /// In this file in memory, because it is not known yet what in it is secret. Stores less than a disk.
    Memory(Arc<std::fs::File>),
}

/// A command to run.
#[derive(Debug, Clone)]
pub struct ShellCall {
    /// What to run.
    pub program: ShellProgram,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// What its processes are known by wherever they went, this run's and this action's alone; nothing for checks, which
    /// an engine after this one need not find.
    pub mark: Option<String>,
    /// It is stopped after this time.
    pub timeout: Span,
    /// Where the output is stored, secrets masked; none for checks.
    pub output: Option<Output>,
    /// What a rehearsal prints instead.
    pub sample: Vec<String>,
    /// What a rehearsal prints if its scenario makes this fail.
    pub sample_failure: Vec<String>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellProgram {
    /// `/bin/sh -c script`
    Sh(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellExit {
    /// Whether it exited with 0.
    pub ok: bool,
    /// It was stopped because it timed out.
    pub timed_out: bool,
    /// It was stopped on request.
    pub cancelled: bool,
    /// `exit status 3`, `killed by signal 9 (KILL)`, with children that had to be swept.
    pub detail: String,
}

/// News from a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellNews {
    /// It has started.
    Spawned(ChildProcess),
    /// It printed. Raw bytes, secrets masked.
    Output(Vec<u8>),
}

/// Commands.
#[async_trait]
pub trait Shell: Send + Sync {
    /// Runs a command to its end. News goes to `news`, which may be slow: stored output may be dropped there. `Err` means that it
    /// could not be started.
    async fn run(
        &self,
        call: ShellCall,
        news: mpsc::Sender<ShellNews>,
        cancel: CancelFlag,
    ) -> PortResult<ShellExit>;
    /// Whether an earlier engine's command with this mark still runs on this host: the process itself, or its children.
    fn is_running(&self, child: &ChildProcess, mark: &str) -> bool;
    /// The process of an earlier engine's command with this mark, where it still runs on this host: for a command whose
    /// engine died before it could write down which process that is.
    fn find(&self, mark: &str) -> Option<ChildProcess>;
    /// Stops such a command with all its processes: TERM, 10 s, KILL.
    async fn end(&self, child: &ChildProcess, mark: &str);
}
