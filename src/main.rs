//! The `cutover` binary: parse, run, exit code.

use std::process::ExitCode;

use cutover::cli;

fn main() -> color_eyre::Result<ExitCode> {
    cli::main().map(ExitCode::from)
}
