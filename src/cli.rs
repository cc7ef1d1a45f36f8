//! The command line: one file a subcommand, and in `front` what they share.

pub mod abort;
pub mod approve;
pub mod args;
pub mod attach;
pub mod backtest;
mod candidates;
pub mod check;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod export;
mod findings;
pub mod front;
pub mod grammar;
pub mod import;
pub mod init;
pub mod list;
pub mod man;
pub mod manual;
pub mod plan;
pub mod rehearse;
pub mod replay;
pub mod report;
pub mod resume;
pub mod rollback;
pub mod run;
pub mod schema;
pub mod service;
pub mod status;
pub mod takeover;
pub mod tasks;
mod usage;
pub mod wait;
pub mod watch;

use std::{
    io::IsTerminal as _,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use args::Subcommand;
use front::own;

use crate::flight::{self, exit::Exit, job::Job, logs, runbook, stop::Stop};

/// Threads that the engine's tasks share. They mostly wait; by the runtime's own default a host with 64 processors would have 64 of
/// them, each with a part of the heap of its own. Two: what one reads, a list of ten thousand pods, keeps no key press waiting.
const ENGINE_THREADS: usize = 2;
/// … and those of a screen, beside the one that draws.
const SCREEN_THREADS: usize = 1;

/// What is still being done on other threads may take so long once the command is over.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Parses the command line, does what it says, and says what went wrong. A shell that asks for completions gets them at once.
pub fn main() -> Exit {
    if let Some(exit) = completions::answered() {
        return exit;
    }
    started().unwrap_or_else(Stop::say)
}

fn started() -> Result<Exit, Stop> {
    // What a panic prints is as plain as everything else where colours are not wanted.
    let plain = !runbook::use_color("auto", std::io::stderr().is_terminal());
    let theme = if plain { color_eyre::config::Theme::new() } else { color_eyre::config::Theme::dark() };
    color_eyre::config::HookBuilder::default().theme(theme).display_env_section(false).install()?;
    // kube and reqwest must not choose providers of their own: two of them panic at the first connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = grammar::parsed().map_err(|error| usage::told(&error))?;
    if cli.goes_on_with_faulty_settings() {
        own::warn();
    }
    let job = match &cli.command {
        Subcommand::Engine => Some(Job::take()?),
        _ => None,
    };
    let state_dir = job.as_ref().map_or(cli.state_dir(), |job| job.terms.state_dir.as_ref());
    let _logs = if cli.keeps_no_log() { None } else { logs::open(state_dir) };
    let threads = if job.is_some() { ENGINE_THREADS } else { SCREEN_THREADS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    // The hook has said what broke, after it gave the terminal back. What is left is an exit code that is ours.
    let done = catch_unwind(AssertUnwindSafe(|| runtime.block_on(command(cli.command, job))))
        .unwrap_or(Ok(Exit::Internal));
    // A name that is still being resolved, or a disk that hangs, keeps nobody who is done.
    runtime.shutdown_timeout(LAST_WORK);
    done
}

async fn command(subcommand: Subcommand, job: Option<Job>) -> Result<Exit, Stop> {
    match subcommand {
        Subcommand::Run(args) => run::main(args).await,
        Subcommand::Rehearse(args) => rehearse::main(args).await,
        Subcommand::Init(args) => init::main(args).await,
        Subcommand::Import(args) => import::main(&args),
        Subcommand::Export(args) => export::main(&args),
        Subcommand::Check(args) => check::main(&args).await,
        Subcommand::Backtest(args) => backtest::main(&args).await,
        Subcommand::Doctor(args) => doctor::main(&args).await,
        Subcommand::Plan(args) => plan::main(&args),
        Subcommand::Resume(args) => resume::main(args).await,
        Subcommand::Engine => match job {
            Some(job) => flight::fly(job).await,
            None => Ok(Exit::Usage),
        },
        Subcommand::Attach(args) => attach::main(&args).await,
        Subcommand::Replay(args) => replay::main(&args).await,
        Subcommand::Watch(args) => watch::main(&args).await,
        Subcommand::Takeover(args) => takeover::main(&args).await,
        Subcommand::Approve(args) => approve::main(args).await,
        Subcommand::Status(args) => status::main(&args).await,
        Subcommand::Rollback(args) => rollback::main(args).await,
        Subcommand::Abort(args) => abort::main(args).await,
        Subcommand::Service(args) => service::main(&args).await,
        Subcommand::List(args) => list::main(&args).await,
        Subcommand::Report(args) => report::main(&args),
        Subcommand::Tasks(args) => tasks::main(&args),
        Subcommand::Config(args) => config::main(&args),
        Subcommand::Schema => Ok(schema::main()),
        Subcommand::Completions(args) => completions::main(&args),
        Subcommand::Man(args) => man::main(&args),
    }
}
