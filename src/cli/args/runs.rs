//! The command lines that open a run, take it up, or show it: `run`, `rehearse`, `resume`, `attach`, `watch`, `replay`, `takeover`.

use std::path::PathBuf;

use clap::Args;

use super::view::{DriveArgs, LookArgs, ViewArgs};
use crate::flight::job::{NewRun, Rehearsal, Resumption, Takeover};

/// `cutover run`
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The runbook file.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Print the plan and exit, like `cutover plan`.
    #[arg(long)]
    pub dry_run: bool,
    /// Take over the target's lock from this holder, which must be gone and have left no run to resume.
    #[arg(long, value_name = "LOCK-ID", requires = "reason")]
    pub takeover: Option<String>,
    /// Reason for the takeover; recorded in the journal.
    #[arg(long, value_name = "REASON", requires = "takeover")]
    pub reason: Option<String>,
    /// How to show and control the run.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// `cutover rehearse`
#[derive(Debug, Clone, Args)]
pub struct RehearseArgs {
    /// The runbook file [default: ./runbook.toml if it exists, otherwise the built-in one].
    pub runbook: Option<PathBuf>,
    /// Scenario to simulate; --list-scenarios shows them all.
    #[arg(long, default_value = "good", value_name = "NAME")]
    pub scenario: String,
    /// List the scenarios and exit.
    #[arg(long)]
    pub list_scenarios: bool,
    /// Simulation speed, as a multiple of real time.
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub speed: f64,
    /// Write the simulated cluster's kubeconfig to this file, for use with kubectl.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// How to show and control the run.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// `cutover resume`
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// Run ID [default: the newest paused run].
    pub run: Option<String>,
    /// Resume from the copy in the cluster, when the run's host is gone.
    #[arg(long)]
    pub from_cluster: bool,
    /// With --from-cluster: the runbook that names the cluster and the Service.
    #[arg(long, value_name = "FILE", default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Take over the target's lock from this holder, which must be gone.
    #[arg(long, value_name = "LOCK-ID", requires = "reason")]
    pub takeover: Option<String>,
    /// Reason for the takeover; recorded in the journal.
    #[arg(long, value_name = "REASON", requires = "takeover")]
    pub reason: Option<String>,
    /// How to show and control the run.
    #[command(flatten)]
    pub drive: DriveArgs,
}

impl From<RunArgs> for NewRun {
    fn from(args: RunArgs) -> Self {
        Self { runbook: args.runbook, takeover: Takeover::of(args.takeover, args.reason) }
    }
}

impl From<RehearseArgs> for Rehearsal {
    fn from(args: RehearseArgs) -> Self {
        let RehearseArgs { runbook, scenario, speed, kubeconfig, .. } = args;
        Self { runbook, scenario, speed, kubeconfig }
    }
}

impl From<ResumeArgs> for Resumption {
    fn from(args: ResumeArgs) -> Self {
        Self {
            run: args.run,
            from_cluster: args.from_cluster.then_some(args.runbook),
            takeover: Takeover::of(args.takeover, args.reason),
        }
    }
}

/// `cutover attach`, `cutover watch`
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// Run ID [default: the only active run].
    pub run: Option<String>,
    /// How to show the run.
    #[command(flatten)]
    pub view: ViewArgs,
}

impl AttachArgs {
    /// With the defaults of a screen for everything else.
    pub fn drive(&self) -> DriveArgs {
        DriveArgs { view: self.view.clone(), ..DriveArgs::default() }
    }
}

/// `cutover replay`
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Run ID [default: the newest run].
    pub run: Option<String>,
    /// Replay a run of another host, from what `cutover report --format json` wrote there.
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub from: Option<PathBuf>,
    /// How many times faster than the run was.
    #[arg(long, value_name = "TIMES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub speed: u32,
    /// How the cockpit looks, and where the run is stored.
    #[command(flatten)]
    pub look: LookArgs,
}

/// `cutover takeover`
#[derive(Debug, Clone, Args)]
pub struct TakeoverArgs {
    /// Reason; recorded in the journal. Not needed for your own run.
    #[arg(long, value_name = "REASON", default_value = "")]
    pub reason: String,
    /// If RUN is the ID of a target's lock: the runbook that names the cluster and the Service.
    #[arg(long, value_name = "FILE", default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Which run, and how to show it.
    #[command(flatten)]
    pub attach: AttachArgs,
}
