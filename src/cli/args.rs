//! What the command line looks like.

mod init;

use std::path::PathBuf;

use clap::{Args, Parser};

pub use init::InitArgs;

use super::{backtest::BacktestArgs, export::ExportArgs, report::ReportArgs, wait::Awaited};
use crate::config::theme::ThemeChoice;
use crate::domain::time::Span;
use crate::flight::job::{NewRun, Rehearsal, Resumption, Takeover, Terms};

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
    Abort(OrderArgs),
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

/// How to show a run.
#[derive(Debug, Clone, Default, Args)]
pub struct ViewArgs {
    /// No screen: print one line per event.
    #[arg(long)]
    pub plain: bool,
    /// Answer every confirmation with yes; stops when the outcome is uncertain. Needs --plain.
    #[arg(long, requires = "plain")]
    pub yes: bool,
    /// Print events as JSON, one object per line. Needs --plain.
    #[arg(long, requires = "plain")]
    pub json_lines: bool,
    /// When to use colours.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
    /// Colour theme; can also be set with `CUTOVER_THEME`.
    #[arg(long, value_name = "THEME", value_parser = clap::builder::PossibleValuesParser::new(ThemeChoice::WORDS))]
    pub theme: Option<String>,
    /// Draw at most 4 frames per second, for slow connections.
    #[arg(long)]
    pub slow_link: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// How to show and control a run.
#[derive(Debug, Clone, Default, Args)]
pub struct DriveArgs {
    /// How to show the run.
    #[command(flatten)]
    pub view: ViewArgs,
    /// Print metric samples too. Needs --plain.
    #[arg(long, requires = "plain")]
    pub samples: bool,
    /// Set a variable; repeatable.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Include or leave out an optional part; repeatable.
    #[arg(long = "part", value_name = "NAME=yes|no")]
    pub parts: Vec<String>,
    /// Start even if the run would be refused (runbook not approved, outside its window, different cluster); the reason is recorded.
    #[arg(long = "override", value_name = "REASON")]
    pub override_reason: Option<String>,
    /// Open the screen read-only.
    #[arg(long, conflicts_with = "plain")]
    pub read_only: bool,
    /// Let members of this Unix group watch the run from their own accounts.
    #[arg(long, value_name = "GROUP", env = "CUTOVER_WATCH_GROUP")]
    pub watch_group: Option<String>,
    /// Let members of this Unix group approve steps from their own accounts.
    #[arg(long, value_name = "GROUP", env = "CUTOVER_APPROVE_GROUP")]
    pub approve_group: Option<String>,
}

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
    /// When to use colours.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
    /// Colour theme; can also be set with `CUTOVER_THEME`.
    #[arg(long, value_name = "THEME", value_parser = clap::builder::PossibleValuesParser::new(ThemeChoice::WORDS))]
    pub theme: Option<String>,
    /// Draw at most 4 frames per second, for slow connections.
    #[arg(long)]
    pub slow_link: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

impl DriveArgs {
    /// The part that the engine needs.
    pub fn terms(&self) -> Terms {
        Terms {
            vars: self.vars.clone(),
            parts: self.parts.clone(),
            override_reason: self.override_reason.clone(),
            watch_group: self.watch_group.clone(),
            approve_group: self.approve_group.clone(),
            color: self.view.color.clone(),
            state_dir: self.view.state_dir.clone(),
        }
    }
}

impl AttachArgs {
    /// With the defaults of a screen for everything else.
    pub fn drive(&self) -> DriveArgs {
        DriveArgs { view: self.view.clone(), ..DriveArgs::default() }
    }
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

/// `cutover abort`
#[derive(Debug, Clone, Args)]
pub struct OrderArgs {
    /// Run ID [default: the only active run].
    pub run: Option<String>,
    /// Reason; recorded in the journal.
    #[arg(long, value_name = "REASON")]
    pub reason: String,
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
            Subcommand::Run(args) => args.drive.view.state_dir.as_ref(),
            Subcommand::Rehearse(args) => args.drive.view.state_dir.as_ref(),
            Subcommand::Resume(args) => args.drive.view.state_dir.as_ref(),
            Subcommand::Attach(args) | Subcommand::Watch(args) => args.view.state_dir.as_ref(),
            Subcommand::Replay(args) => args.state_dir.as_ref(),
            Subcommand::Takeover(args) => args.attach.view.state_dir.as_ref(),
            Subcommand::Approve(args) => args.state_dir.as_ref(),
            Subcommand::Status(args) => args.state_dir.as_ref(),
            Subcommand::Service(args) => args.state_dir.as_ref(),
            Subcommand::Rollback(args) => args.state_dir.as_ref(),
            Subcommand::Abort(args) => args.state_dir.as_ref(),
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
