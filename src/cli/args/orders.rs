//! The command lines that say one thing to a run, or ask one thing of it, from a shell and without a screen: `approve`,
//! `rollback`, `abort`, `status`, `service`.

use std::path::PathBuf;

use clap::Args;

use crate::{cli::wait::Awaited, domain::time::Span};

/// `cutover approve`
#[derive(Debug, Clone, Args)]
pub struct ApproveArgs {
    /// Run ID [default: the only run you can approve].
    pub run: Option<String>,
    /// Step ID [default: the step that is waiting].
    #[arg(long)]
    pub step: Option<String>,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// What every order takes that may find no engine and must follow its run to the end.
#[derive(Debug, Clone, Args)]
pub struct ErrandArgs {
    /// Value of a secret that had been typed or captured, needed if a new engine has to start; repeatable.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Print events as JSON, one object per line.
    #[arg(long)]
    pub json_lines: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover rollback`
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// Run ID [default: the only active run, otherwise the newest unfinished one].
    pub run: Option<String>,
    /// Reason; recorded in the journal.
    #[arg(long, value_name = "REASON", required_unless_present = "retry", conflicts_with = "retry")]
    pub reason: Option<String>,
    /// Retry a rollback that has stopped.
    #[arg(long, conflicts_with = "give_up")]
    pub retry: bool,
    /// Abandon a rollback that has stopped: the run ends as failed, and traffic stays where it is.
    #[arg(long, requires = "reason")]
    pub give_up: bool,
    /// How the run is reached and followed.
    #[command(flatten)]
    pub errand: ErrandArgs,
}

/// `cutover abort`
#[derive(Debug, Clone, Args)]
pub struct AbortArgs {
    /// Run ID [default: the only active run].
    pub run: Option<String>,
    /// Reason; recorded in the journal.
    #[arg(long, value_name = "REASON")]
    pub reason: String,
    /// How the run is reached and followed.
    #[command(flatten)]
    pub errand: ErrandArgs,
}

/// `cutover status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Run ID [default: the newest run].
    pub run: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Wait until the run is in one of these states: open, window (a monitored window is open), waits (a person is needed), held
    /// (paused), rolling-back, succeeded, failed, rolled-back, rollback-failed, nobody-watches. Exit code 0 if it is, 10 if not in
    /// time, 11 if it has ended otherwise.
    #[arg(long, value_name = "STATE,...", value_delimiter = ',', value_parser = Awaited::parse)]
    pub wait: Vec<Awaited>,
    /// Wait at most this long, such as 20m [default: no limit].
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = str::parse::<Span>)]
    pub timeout: Option<Span>,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover service`
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// What to do with the service.
    pub command: ServiceCommand,
    /// With run: check once and exit, instead of every 5 s.
    #[arg(long)]
    pub once: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// What to do with the systemd user service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ServiceCommand {
    /// Write the unit file and start the service.
    Install,
    /// Stop the service and remove the unit file.
    Remove,
    /// Restart the engines of interrupted runs; this is what the unit executes.
    Run,
}
