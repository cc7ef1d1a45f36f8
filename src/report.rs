//! What a run leaves for those who were not there: one page, a postmortem's beginning for a wiki, or all of it as JSON.
//!
//! ```text
//!   journal's events ──fold──> Facts ──┬──> html       a page that needs nothing else: no script, no reference
//!   kept samples ────────────────────┘ ├──> markdown   the same for a wiki
//!                                      └──> json       the events and samples themselves, to look at elsewhere
//! ```
//!
//! Nothing here reads a clock or a file: the same journal gives the same page. Whatever stands in a journal was written by
//! others: it reaches a page as text only. Secrets were masked before they reached the journal, and no value of one is kept
//! in it.

pub mod backtest;
pub mod chart;
pub mod course;
pub mod decisions;
pub mod facts;
pub mod figures;
pub mod glance;
pub mod html;
pub mod ink;
pub mod json;
pub mod markdown;
pub mod markup;
pub mod measured;
pub mod moments;
pub mod outcome;
pub mod tone;
pub mod verdicts;

use serde::Serialize;

use crate::domain::{backtest::Backtest, event::Envelope, kept::Kept, run::Run};
use facts::Facts;

/// The version of the report's JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page for a browser.
    Html,
    /// Markdown for a wiki.
    Markdown,
    /// Everything, for programs and for another host.
    Json,
}

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The journal's events, oldest first.
    pub events: &'a [Envelope],
    /// What was kept of samples and pods.
    pub kept: &'a Kept,
    /// How the journal's file was found.
    pub journal: &'a Integrity,
    /// What the triggers would have done in the past, where somebody has looked.
    pub backtest: Option<&'a Backtest>,
}

/// How a journal's file was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Integrity {
    /// Intact records.
    pub records: usize,
    /// Their bytes with the header.
    pub bytes: u64,
    /// The last checksum of the chain: it stands for everything before it.
    pub checksum: u32,
    /// Bytes of a last record that was not written to its end.
    pub torn: usize,
    /// What is damaged, and where; what came after it is in no report.
    pub damage: Option<String>,
}

impl Integrity {
    /// Whether the file says nothing but what was written to it.
    pub fn is_whole(&self) -> bool {
        self.damage.is_none()
    }

    /// What can be said of it, in sentences.
    pub fn words(&self) -> Vec<String> {
        let Self { records, bytes, checksum, torn, damage } = self;
        let many = if *records == 1 { "1 record".to_owned() } else { format!("{records} records") };
        let mut words = match damage {
            None => vec![format!(
                "The journal is whole: {many} in {bytes} bytes, and the chain of checksums holds from the first to the last \
                 ({checksum:08x})."
            )],
            Some(why) => vec![format!(
                "THE JOURNAL IS DAMAGED: {why}. The {many} before that are intact ({checksum:08x}); this report tells only \
                 what is in them."
            )],
        };
        if *torn > 0 {
            words.push(format!(
                "Its last record was cut off after {torn} bytes, as a crash does it; it is not in this report."
            ));
        }
        words.push(
            "Checksums show whether a file has changed since it was written; they do not prove who wrote it."
                .to_owned(),
        );
        words
    }
}

/// The report; none where the events do not begin with a run's opening.
pub fn write(source: &Source<'_>, format: Format) -> Option<String> {
    let run = Run::fold(source.events)?;
    let facts = Facts::of(&run, source);
    Some(match format {
        Format::Html => html::page(&facts),
        Format::Markdown => markdown::page(&facts),
        Format::Json => json::document(&run, &facts, source),
    })
}

#[cfg(test)]
mod tests;
