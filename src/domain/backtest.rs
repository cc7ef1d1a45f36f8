//! What the triggers of a runbook would have done in the past.
//!
//! Times in which no release was made are cut into windows as long as a release is watched, and every trigger is run in each
//! as if a harmless release had just been made: the same clock and the same meter as live, fed with the same samples. Past
//! runs are judged from their switch on. Nothing here asks anybody: samples come in as values.

pub mod judge;
pub mod past_run;
pub mod trial;

use serde::Serialize;

use super::time::{Span, Timestamp};

/// A time in which a release was watched, or could have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Its beginning: the switch.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
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
