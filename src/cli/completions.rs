//! `cutover completions`: prints shell completions.

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use crate::flight::exit::Exit;

/// Prints them.
pub fn main(args: &CompletionsArgs) -> Exit {
    clap_complete::generate(args.shell, &mut Cli::command(), "cutover", &mut std::io::stdout());
    Exit::Done
}
