//! `cutover report`: what a run leaves for those who were not there.

use std::{io::IsTerminal as _, path::PathBuf};

use clap::{Args, ValueEnum};

use super::export::write;
use crate::{
    domain::id::RunId,
    flight::{
        exit::Exit,
        past,
        say::{data, talk},
        stop::Stop,
        store::{self, Told},
    },
    report::{self, Integrity, Source},
};

/// `cutover report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run ID [default: the newest run].
    pub run: Option<String>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Html)]
    pub format: Format,
    /// Write it to this file [default: print it].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show what the triggers would have done in the past, from the output of cutover backtest --json.
    #[arg(long, value_name = "FILE")]
    pub backtest: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, requires = "output")]
    pub overwrite: bool,
    /// State directory, where runs are stored.
    #[arg(long, value_name = "DIR", env = "CUTOVER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One page for a browser.
    Html,
    /// Markdown, for a wiki.
    Md,
    /// Everything, with events and samples.
    Json,
}

impl From<Format> for report::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Html => Self::Html,
            Format::Md => Self::Markdown,
            Format::Json => Self::Json,
        }
    }
}

/// Writes it, or prints it where no file is named.
///
/// # Errors
/// If there is no such run, its journal can't be read, or the file exists or can't be written.
pub fn main(args: &ReportArgs) -> Result<Exit, Stop> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let mut dirs = store::dirs(&state)?.into_iter();
    let found = match &args.run {
        Some(run) => dirs.find(|(id, _)| id == run).ok_or_else(|| Stop::no_run(run))?,
        None => dirs.next().ok_or_else(|| {
            Stop::usage(
                "there are no runs on this host yet\nstart one with: cutover run, or cutover rehearse",
            )
        })?,
    };
    let (id, dir) = found;
    if args.output.is_none() && args.format == Format::Html && std::io::stdout().is_terminal() {
        return Err(Stop::usage(format!(
            "the report of run {id} is a page for a browser\nname a file for it: cutover report --output report.html"
        )));
    }
    let Told { events, bytes, checksum, torn, damage } = store::told(&dir)?;
    let journal = Integrity { records: events.len(), bytes, checksum, torn, damage };
    let nothing = || Stop::usage(format!("run {id} has no events yet, so there is nothing to report"));
    // A report without charts is better than none: what can't be read of the samples is among their remarks.
    let kept = past::kept(&dir, &RunId(id.clone()));
    let backtest = args.backtest.as_deref().map(past::backtest).transpose()?;
    let source = Source { events: &events, kept: &kept, journal: &journal, backtest: backtest.as_ref() };
    let text = report::write(&source, args.format.into()).ok_or_else(nothing)?;
    if !journal.is_whole() {
        talk("the journal is damaged: the report tells only what is intact");
    }
    match &args.output {
        Some(output) => {
            write(output, &text, args.overwrite)?;
            talk(&format!("wrote {}: run {id}", output.display()));
        }
        None => data(text.trim_end()),
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
