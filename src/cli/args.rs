//! What the command line looks like: every subcommand, and the options of those that neither show a run nor order something.
//!
//! The first sentence of each doc comment is what `--help` and the manual page print; examples and exit codes stand in
//! `manual`. `grammar` builds the parser from this, and each subcommand's own file takes its arguments from here.

mod init;
mod orders;
mod runs;
mod view;

use std::path::PathBuf;

use clap::{Args, Parser};

pub use init::InitArgs;
pub use orders::{AbortArgs, ApproveArgs, ErrandArgs, RollbackArgs, ServiceArgs, ServiceCommand, StatusArgs};
pub use runs::{AttachArgs, RehearseArgs, ReplayArgs, ResumeArgs, RunArgs, TakeoverArgs};
pub use view::{DriveArgs, LookArgs, ViewArgs};

use super::{backtest::BacktestArgs, export::ExportArgs, report::ReportArgs};

/// Run a deployment from a runbook: checklist, steps, live metrics, and a rollback that is always ready.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, max_term_width = 100)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Subcommand,
}

/// Every subcommand.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Start a deployment and open its cockpit.
    Run(RunArgs),
    /// Rehearse a deployment against a simulated cluster; nothing real is touched.
    Rehearse(RehearseArgs),
    /// Write a runbook for what runs in a cluster: reads a namespace and a Prometheus, changes nothing.
    Init(InitArgs),
    /// Turn a Markdown runbook into a runbook.toml, and say what became of each line.
    Import(ImportArgs),
    /// Write a runbook as a Markdown page, for the wiki and for whoever has to do it by hand.
    Export(ExportArgs),
    /// Validate a runbook; exit code 3 if it has errors. With --online also against the real cluster, metrics and URLs.
    Check(CheckArgs),
    /// Show what a runbook's triggers would have done in the past: false alarms, and past runs.
    Backtest(BacktestArgs),
    /// Check this machine and your login: kubeconfig, credentials, clock, terminal, state directory.
    Doctor(DoctorArgs),
    /// Show everything a run would do, with variables filled in and the kubectl command of each Kubernetes action.
    Plan(PlanArgs),
    /// Resume a paused or interrupted run.
    Resume(ResumeArgs),
    /// Open another screen on an active run, or look back at a finished one; takes control if nobody has it.
    Attach(AttachArgs),
    /// Replay a past run on the cockpit, from its journal and its samples.
    Replay(ReplayArgs),
    /// Open a read-only screen on your own run, or on one that another user shares with your group.
    Watch(AttachArgs),
    /// Take control of a run whose pilot is gone.
    Takeover(TakeoverArgs),
    /// Approve the step that is waiting for approval.
    Approve(ApproveArgs),
    /// Run state and engine health, also as the exit code.
    Status(StatusArgs),
    /// Roll a run back from the shell and follow it to the end; also retries or abandons a rollback that has stopped.
    Rollback(RollbackArgs),
    /// Abort a run from the shell; only before traffic has been switched.
    Abort(AbortArgs),
    /// Manage the systemd user service that restarts the engine of an interrupted run; the run comes back paused.
    Service(ServiceArgs),
    /// The process that executes a run; started by run, rehearse and resume.
    #[command(hide = true)]
    Engine,
    /// List runs, and the four DORA figures over them.
    List(ListArgs),
    /// Write the report of a run: a page for a browser, Markdown for a postmortem, or JSON.
    Report(ReportArgs),
    /// Show the post-deployment tasks of a run and when they are due.
    Tasks(TasksArgs),
    /// Show paths, and every setting with its value and where it comes from.
    Config(ConfigArgs),
    /// Print the JSON Schema of runbook.toml, for editors.
    Schema,
    /// Print shell completions, for the shell to source.
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them.
    Man(ManArgs),
}

/// `cutover check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The runbook file.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Look at the real cluster, metrics and URLs too: what would fail in the run, and what to do. Changes and posts nothing.
    #[arg(long)]
    pub online: bool,
    /// Print one JSON document. Needs --online.
    #[arg(long, requires = "online")]
    pub json: bool,
    /// Set a variable; repeatable. Needs --online.
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "online")]
    pub vars: Vec<String>,
    /// Treat warnings as errors; with --online also what could not be looked at.
    #[arg(long)]
    pub strict: bool,
    /// When to use colours.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
}

/// `cutover doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Kubeconfig context to check [default: the current one].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Exit with code 3 on warnings too.
    #[arg(long)]
    pub strict: bool,
    /// When to use colours.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The Markdown page; - reads it from standard input.
    #[arg(value_name = "FILE.md")]
    pub page: PathBuf,
    /// Where to write the runbook; an existing file is never overwritten. - prints it.
    #[arg(long, short, value_name = "FILE", default_value = "runbook.toml")]
    pub output: PathBuf,
    /// List what was taken, too, not only notes and what you must decide.
    #[arg(long)]
    pub all: bool,
}

/// `cutover plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The runbook file.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Set a variable; repeatable.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Slot to assume is live [default: the runbook's first slot].
    #[arg(long, value_name = "SLOT")]
    pub live: Option<String>,
    /// Print the Kubernetes roles that a run needs, as YAML, instead of the plan: cutover plan --rbac | kubectl apply -f -
    #[arg(long)]
    pub rbac: bool,
}

/// `cutover list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// List the copies in the cluster instead, from every host.
    #[arg(long)]
    pub cluster: bool,
    /// With --cluster: the runbook that names the cluster and the Service.
    #[arg(long, value_name = "FILE", default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover tasks`
#[derive(Debug, Args)]
pub struct TasksArgs {
    /// Run ID [default: the newest run with tasks].
    pub run: Option<String>,
    /// Mark the task with this number as done.
    #[arg(long, value_name = "NUMBER")]
    pub done: Option<usize>,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    /// When to use colours.
    #[arg(long, value_parser = ["auto", "always", "never"])]
    pub color: Option<String>,
    /// Draw at most 4 frames per second, for slow connections.
    #[arg(long)]
    pub slow_link: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell to print completions for.
    pub shell: clap_complete::Shell,
}

/// `cutover man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Subcommand [default: cutover itself].
    #[arg(value_name = "SUBCOMMAND", conflicts_with = "dir")]
    pub page: Option<String>,
    /// Write all pages into this directory: cutover.1, cutover-run.1 and so on.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl Cli {
    /// The given state directory, for commands that take one.
    pub fn state_dir(&self) -> Option<&PathBuf> {
        match &self.command {
            Subcommand::Run(args) => args.drive.view.look.state_dir.as_ref(),
            Subcommand::Rehearse(args) => args.drive.view.look.state_dir.as_ref(),
            Subcommand::Resume(args) => args.drive.view.look.state_dir.as_ref(),
            Subcommand::Attach(args) | Subcommand::Watch(args) => args.view.look.state_dir.as_ref(),
            Subcommand::Replay(args) => args.look.state_dir.as_ref(),
            Subcommand::Takeover(args) => args.attach.view.look.state_dir.as_ref(),
            Subcommand::Approve(args) => args.state_dir.as_ref(),
            Subcommand::Status(args) => args.state_dir.as_ref(),
            Subcommand::Service(args) => args.state_dir.as_ref(),
            Subcommand::Rollback(args) => args.errand.state_dir.as_ref(),
            Subcommand::Abort(args) => args.errand.state_dir.as_ref(),
            Subcommand::Backtest(args) => args.state_dir.as_ref(),
            Subcommand::List(args) => args.state_dir.as_ref(),
            Subcommand::Report(args) => args.state_dir.as_ref(),
            Subcommand::Tasks(args) => args.state_dir.as_ref(),
            Subcommand::Config(args) => args.state_dir.as_ref(),
            Subcommand::Doctor(args) => args.state_dir.as_ref(),
            _ => None,
        }
    }

    /// Whether this command only prints what is known anyway: it makes no state directory and no log in it.
    pub fn keeps_no_log(&self) -> bool {
        matches!(
            self.command,
            Subcommand::Config(_) | Subcommand::Schema | Subcommand::Completions(_) | Subcommand::Man(_)
        )
    }

    /// Whether this command continues with the valid part of faulty settings, and prints what it ignores. Commands that open
    /// a run or a screen don't; whoever started the engine has been told already.
    pub fn goes_on_with_faulty_settings(&self) -> bool {
        matches!(
            self.command,
            Subcommand::Approve(_)
                | Subcommand::Status(_)
                | Subcommand::Rollback(_)
                | Subcommand::Abort(_)
                | Subcommand::Service(_)
                | Subcommand::Backtest(_)
                | Subcommand::Doctor(_)
                | Subcommand::List(_)
                | Subcommand::Report(_)
                | Subcommand::Tasks(_)
        )
    }
}
