//! `cutover man`: prints the manual page.

use clap::CommandFactory as _;

use super::args::Cli;
use crate::flight::{exit::Exit, say::data, stop::Stop};

/// Prints it.
///
/// # Errors
/// If it can't be put together.
pub fn main() -> Result<Exit, Stop> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    data(&String::from_utf8_lossy(&page));
    Ok(Exit::Done)
}
