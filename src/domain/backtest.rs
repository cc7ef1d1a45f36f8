//! What the triggers of a runbook would have done in the past.
//!
//! Times in which no release was made are cut into windows as long as a release is watched, and every trigger is run in each
//! as if a harmless release had just been made: the same clock and the same meter as live, fed with the same samples. Past
//! runs are judged from their switch on. Nothing here asks anybody: samples come in as values.

pub mod advice;
pub mod judge;
pub mod past_run;
pub mod trial;

use serde::{Deserialize, Serialize};

use super::time::{Span, Timestamp};
use judge::Judged;

/// The version of what is printed as JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// All that was found: what `cutover backtest --json` prints, and what a report draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// The version of this document.
    pub schema_version: u32,
    /// The runbook's module.
    #[serde(default)]
    pub module: String,
    /// The past that was looked at: from here …
    pub from: Timestamp,
    /// … to here.
    pub to: Timestamp,
    /// The time without releases was cut into windows as long as this, in milliseconds.
    pub window: Span,
    /// The triggers, in the runbook's order.
    pub triggers: Vec<Judged>,
    /// How many past runs there are in it.
    #[serde(default)]
    pub runs: usize,
    /// Times that count neither as harmless nor as a run: something else was wrong.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What the past cannot tell.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// A time that is left out, because something is known to have been wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// When.
    #[serde(flatten)]
    pub window: Window,
    /// What was wrong, or who said so.
    pub why: String,
}

/// A time in which a release was watched, or could have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its beginning: the switch.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl std::str::FromStr for Window {
    type Err = String;

    /// `2026-11-20T13:00Z..2026-11-20T15:30Z`
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = |text: &str| {
            let parsed: Result<jiff::Timestamp, _> = text.trim().parse();
            parsed.map(|at| Timestamp(at.as_millisecond()))
        };
        let written = "write FROM..TO with times such as 2026-11-20T13:00Z..2026-11-20T15:30Z";
        let (from, to) = text.split_once("..").ok_or(written)?;
        let (Ok(from), Ok(to)) = (time(from), time(to)) else { return Err(written.to_owned()) };
        if from < to { Ok(Self { from, to }) } else { Err("it ends before it begins".to_owned()) }
    }
}

impl Window {
    fn meets(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// The windows of `lasts` that follow each other from `from` to `to`, clear of `runs`.
pub fn windows(from: Timestamp, to: Timestamp, lasts: Span, runs: &[Window]) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut at = from;
    while lasts > Span::ZERO && at + lasts <= to {
        let window = Window { from: at, to: at + lasts };
        let in_the_way = runs.iter().filter(|run| run.meets(window)).map(|run| run.to).max();
        if let Some(over) = in_the_way {
            at = over.max(at + Span::from_millis(1));
        } else {
            windows.push(window);
            at = window.to;
        }
    }
    windows
}

#[cfg(test)]
mod tests;
