//! What the command line looks like.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _, Parser};
use serde::{Deserialize, Serialize};

use super::{exit::Exit, plain};

/// Flies a deployment runbook: checklist, steps, live metrics, and a rollback that is always ready.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommand,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 internal error, 2 usage or no usable kubeconfig, 3 runbook invalid, or its target is not there, \
does not answer or may not be used, 4 check or step failed and \
traffic untouched, 5 rolled back, 6 rollback failed, 7 someone else drives, 8 needs a person and there is no terminal, \
9 paused or detached, 128+n ended by signal n";

/// What can be done.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Open a run and its cockpit.
    Run(RunArgs),
    /// The same against a simulated world: nothing real is touched.
    Rehearse(RehearseArgs),
    /// Every fault of a runbook with its place; exit code 3 where there is an error.
    Check(CheckArgs),
    /// All that would run, resolved, with the kubectl line for each Kubernetes action.
    Plan(PlanArgs),
    /// Go on with a paused or interrupted run.
    Resume(ResumeArgs),
    /// A further screen on a run that flies; it drives where nobody does.
    Attach(AttachArgs),
    /// A screen that only looks, on one's own run or another user's.
    Watch(AttachArgs),
    /// Take the controls of a run whose pilot is gone.
    Takeover(TakeoverArgs),
    /// Agree, from an account of one's own, that the step that waits begins.
    Approve(ApproveArgs),
    /// How a run stands, and whether its engine lives; the exit code says it too.
    Status(StatusArgs),
    /// Roll a run back from a plain shell, and follow it to its end; or try a rollback that has stopped again, or give it up.
    Rollback(RollbackArgs),
    /// End a run from a plain shell; traffic must not have moved.
    Abort(OrderArgs),
    /// A systemd user unit that gives a run whose engine died another one, in hold.
    Service(ServiceArgs),
    /// The process that a run lives in; started by run, rehearse and resume.
    #[command(hide = true)]
    Engine,
    /// The runs in the state directory.
    List(ListArgs),
    /// Post-deployment tasks of a run and when they are due.
    Tasks(TasksArgs),
    /// Completions for a shell, on stdout.
    Completions(CompletionsArgs),
    /// The manual page, on stdout.
    Man,
}

/// How a run is shown.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub struct ViewArgs {
    /// No screen: one line an event.
    #[arg(long)]
    pub plain: bool,
    /// Without a screen: confirm everything a person would be asked, and fail closed on doubt.
    #[arg(long, requires = "plain")]
    pub yes: bool,
    /// Without a screen: the event stream, one JSON object a line on stdout.
    #[arg(long, requires = "plain")]
    pub json_lines: bool,
    /// Colours: auto, always or never.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
    /// For a slow connection: at most 4 frames a second.
    #[arg(long)]
    pub slow_link: bool,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// How a run is shown and driven.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub struct DriveArgs {
    /// How it is shown.
    #[command(flatten)]
    pub view: ViewArgs,
    /// With --json-lines: samples too.
    #[arg(long, requires = "plain")]
    pub samples: bool,
    /// A variable's value; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Whether an optional part applies; may be given several times.
    #[arg(long = "part", value_name = "NAME=yes|no")]
    pub parts: Vec<String>,
    /// Go on where the run would be refused (runbook not approved, outside its window, another cluster), and say why.
    #[arg(long = "override", value_name = "REASON")]
    pub override_reason: Option<String>,
    /// Look, never act.
    #[arg(long, conflicts_with = "plain")]
    pub read_only: bool,
    /// Let the users of this group watch, from accounts of their own.
    #[arg(long, value_name = "GROUP", env = "CUTOVER_WATCH_GROUP")]
    pub watch_group: Option<String>,
    /// Let the users of this group approve steps, from accounts of their own.
    #[arg(long, value_name = "GROUP", env = "CUTOVER_APPROVE_GROUP")]
    pub approve_group: Option<String>,
}

/// `cutover run`
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct RunArgs {
    /// The runbook.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Show what would run and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Take the target's lock from exactly this holder, who must be gone and has left nothing to go on from.
    #[arg(long, value_name = "LOCK-ID", requires = "reason")]
    pub takeover: Option<String>,
    /// Why it is taken over; it is journaled.
    #[arg(long, value_name = "REASON", requires = "takeover")]
    pub reason: Option<String>,
    /// How it is shown and driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// `cutover rehearse`
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct RehearseArgs {
    /// The runbook; ./runbook.toml where there is one, else the built-in one.
    pub runbook: Option<PathBuf>,
    /// The story the world tells.
    #[arg(long, default_value = "good", value_name = "NAME")]
    pub scenario: String,
    /// The stories there are.
    #[arg(long)]
    pub list_scenarios: bool,
    /// How many times faster than life.
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub speed: f64,
    /// Write the simulated cluster's kubeconfig here, for kubectl.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// How it is shown and driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

/// `cutover check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The runbook.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Warnings are errors too.
    #[arg(long)]
    pub strict: bool,
    /// Colours: auto, always or never.
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"], env = "CUTOVER_COLOR")]
    pub color: String,
}

/// `cutover plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The runbook.
    #[arg(default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// A variable's value; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Which slot to take as live.
    #[arg(long, value_name = "SLOT")]
    pub live: Option<String>,
    /// Instead, the Kubernetes roles that a run needs, as YAML: cutover plan --rbac | kubectl apply -f -
    #[arg(long)]
    pub rbac: bool,
}

/// `cutover resume`
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct ResumeArgs {
    /// The run; the newest paused one where not given.
    pub run: Option<String>,
    /// Go on from the copy in the cluster, where the host that flew the run is gone.
    #[arg(long)]
    pub from_cluster: bool,
    /// With --from-cluster: the runbook, which says where the cluster and the Service are.
    #[arg(long, value_name = "FILE", default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Take the target's lock from exactly this holder, who must be gone.
    #[arg(long, value_name = "LOCK-ID", requires = "reason")]
    pub takeover: Option<String>,
    /// Why it is taken over; it is journaled.
    #[arg(long, value_name = "REASON", requires = "takeover")]
    pub reason: Option<String>,
    /// How it is shown and driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

impl ResumeArgs {
    /// A run of this host.
    pub fn of(run: Option<String>, drive: DriveArgs) -> Self {
        Self {
            run,
            from_cluster: false,
            runbook: PathBuf::from("runbook.toml"),
            takeover: None,
            reason: None,
            drive,
        }
    }
}

/// `cutover attach`, `cutover watch`
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// The run; the only one that flies where not given.
    pub run: Option<String>,
    /// How it is shown.
    #[command(flatten)]
    pub view: ViewArgs,
}

impl DriveArgs {
    /// For an engine that is started without anybody to show it to.
    pub fn unattended(state: &Path) -> Self {
        let view = ViewArgs {
            plain: true,
            color: "never".to_owned(),
            state_dir: Some(state.to_owned()),
            ..ViewArgs::default()
        };
        Self { view, ..Self::default() }
    }
}

impl AttachArgs {
    /// How the screen is shown.
    pub fn drive(&self) -> DriveArgs {
        DriveArgs { view: self.view.clone(), ..DriveArgs::default() }
    }
}

/// `cutover takeover`
#[derive(Debug, Clone, Args)]
pub struct TakeoverArgs {
    /// Why; it is journaled. Not needed for one's own run.
    #[arg(long, value_name = "REASON", default_value = "")]
    pub reason: String,
    /// With the id of a target's lock instead of a run: the runbook, which says where the cluster and the Service are.
    #[arg(long, value_name = "FILE", default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// Which run, and how it is shown.
    #[command(flatten)]
    pub attach: AttachArgs,
}

/// `cutover approve`
#[derive(Debug, Clone, Args)]
pub struct ApproveArgs {
    /// The run; the only one that can be approved where not given.
    pub run: Option<String>,
    /// The step; the one that waits where not given.
    #[arg(long)]
    pub step: Option<String>,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover rollback`
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// The run; where not given the only active one, or the newest unfinished one.
    pub run: Option<String>,
    /// Why; it is journaled.
    #[arg(long, value_name = "REASON", required_unless_present = "retry", conflicts_with = "retry")]
    pub reason: Option<String>,
    /// Try a rollback that has stopped again.
    #[arg(long, conflicts_with = "give_up")]
    pub retry: bool,
    /// Give up a rollback that has stopped: the run ends as failed, and traffic stays where it is.
    #[arg(long, requires = "reason")]
    pub give_up: bool,
    /// Where the engine is gone and another is started: a secret's value that was typed or captured; several times.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// The event stream, one JSON object a line on stdout.
    #[arg(long)]
    pub json_lines: bool,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover abort`
#[derive(Debug, Clone, Args)]
pub struct OrderArgs {
    /// The run; where not given the only active one.
    pub run: Option<String>,
    /// Why; it is journaled.
    #[arg(long, value_name = "REASON")]
    pub reason: String,
    /// Where the engine is gone and another is started: a secret's value that was typed or captured; several times.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// The event stream, one JSON object a line on stdout.
    #[arg(long)]
    pub json_lines: bool,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The run; the newest where not given.
    pub run: Option<String>,
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover service`
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// What to do.
    pub command: ServiceCommand,
    /// With run: look once instead of every 5 s.
    #[arg(long)]
    pub once: bool,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// What to do with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ServiceCommand {
    /// Write the unit and start it.
    Install,
    /// Stop it and take the unit away.
    Remove,
    /// What the unit runs: an engine for each run that has lost its own.
    Run,
}

/// `cutover list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The copies in the cluster instead, whichever host flew them.
    #[arg(long)]
    pub cluster: bool,
    /// With --cluster: the runbook, which says where the cluster and the Service are.
    #[arg(long, value_name = "FILE", default_value = "runbook.toml")]
    pub runbook: PathBuf,
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover tasks`
#[derive(Debug, Args)]
pub struct TasksArgs {
    /// The run; the newest that succeeded where not given.
    pub run: Option<String>,
    /// Mark this task, by its number in the list, as done.
    #[arg(long, value_name = "NUMBER")]
    pub done: Option<usize>,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `cutover completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

impl Cli {
    /// The state directory given, for commands that have one.
    pub fn state_dir(&self) -> Option<&PathBuf> {
        match &self.command {
            Subcommand::Run(args) => args.drive.view.state_dir.as_ref(),
            Subcommand::Rehearse(args) => args.drive.view.state_dir.as_ref(),
            Subcommand::Resume(args) => args.drive.view.state_dir.as_ref(),
            Subcommand::Attach(args) | Subcommand::Watch(args) => args.view.state_dir.as_ref(),
            Subcommand::Takeover(args) => args.attach.view.state_dir.as_ref(),
            Subcommand::Approve(args) => args.state_dir.as_ref(),
            Subcommand::Status(args) => args.state_dir.as_ref(),
            Subcommand::Service(args) => args.state_dir.as_ref(),
            Subcommand::Rollback(args) => args.state_dir.as_ref(),
            Subcommand::Abort(args) => args.state_dir.as_ref(),
            Subcommand::List(args) => args.state_dir.as_ref(),
            Subcommand::Tasks(args) => args.state_dir.as_ref(),
            _ => None,
        }
    }
}

/// `cutover completions SHELL`
///
/// # Errors
/// If stdout can't be written.
pub fn completions(args: &CompletionsArgs) -> color_eyre::Result<Exit> {
    clap_complete::generate(args.shell, &mut Cli::command(), "cutover", &mut std::io::stdout());
    Ok(Exit::Done)
}

/// `cutover man`
///
/// # Errors
/// If stdout can't be written.
pub fn man() -> color_eyre::Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    plain::data(&String::from_utf8_lossy(&page));
    Ok(Exit::Done)
}
