//! The command line: one file a subcommand, `compose` puts the layers together.

pub mod args;
pub mod attach;
pub mod autopilot;
pub mod check;
pub mod compose;
pub mod engine;
pub mod exit;
pub mod flight;
pub mod guard;
pub mod launch;
pub mod plain;
pub mod plan;
pub mod rehearse;
pub mod resume;
pub mod run;
pub mod screen;
pub mod serve;
pub mod service;
pub mod status;
pub mod store;
pub mod told;
pub mod vars;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use clap::Parser as _;

use args::{Cli, Subcommand};
use exit::Exit;

/// What is still being done on other threads may take so long once the command is over.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Parses the command line and does what it says.
///
/// # Errors
/// What no subcommand could turn into an exit code of its own.
pub fn main() -> color_eyre::Result<Exit> {
    color_eyre::config::HookBuilder::default().display_env_section(false).install()?;
    // kube and reqwest must not choose providers of their own: two of them panic at the first connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return Ok(exit);
        }
    };
    let job = match &cli.command {
        Subcommand::Engine => Some(engine::Job::take()?),
        _ => None,
    };
    let state_dir = job.as_ref().map_or(cli.state_dir(), |job| job.drive().view.state_dir.as_ref());
    let _logs = store::open_logs(state_dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let command = async {
        match cli.command {
            Subcommand::Run(args) => run::main(args).await,
            Subcommand::Rehearse(args) => rehearse::main(args).await,
            Subcommand::Check(args) => check::main(&args),
            Subcommand::Plan(args) => plan::main(&args),
            Subcommand::Resume(args) => resume::main(args).await,
            Subcommand::Engine => match job {
                Some(job) => job.fly().await,
                None => Ok(Exit::Usage),
            },
            Subcommand::Attach(args) => attach::main(&args).await,
            Subcommand::Watch(args) => attach::watch(&args).await,
            Subcommand::Takeover(args) => attach::take_over(&args).await,
            Subcommand::Approve(args) => attach::approve(args).await,
            Subcommand::Status(args) => status::main(&args),
            Subcommand::Rollback(args) => attach::roll_back(args).await,
            Subcommand::Abort(args) => attach::abort(args).await,
            Subcommand::Service(args) => service::main(&args).await,
            Subcommand::List(args) => store::list(&args).await,
            Subcommand::Tasks(args) => store::tasks(&args),
            Subcommand::Completions(args) => args::completions(&args),
            Subcommand::Man => args::man(),
        }
    };
    // The hook has said what broke, after it gave the terminal back. What is left is an exit code that is ours.
    let exit = catch_unwind(AssertUnwindSafe(|| runtime.block_on(command))).unwrap_or(Ok(Exit::Internal));
    // A name that is still being resolved, or a disk that hangs, keeps nobody who is done.
    runtime.shutdown_timeout(LAST_WORK);
    exit.or_else(told::heard)
}
