//! The `cutover` binary: parse, run, exit code.

use std::process::ExitCode;

use cutover::cli;

/// Lists of thousands of pods leave their room behind: this one gives it back, docs/performance.md has the figures.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main().into()
}
