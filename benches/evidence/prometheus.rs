//! The product over a real process and a real Prometheus, in real time.

use std::{thread, time::Duration};

use crate::{
    evidence::{Found, Told, Trial, play},
    server::installed,
};

const SHARES: [f64; 4] = [0.01, 0.02, 0.05, 0.0];
/// Seconds between scrapes.
const SCRAPES: [u64; 2] = [1, 15];
/// The fixed rule takes 5 minutes, and the rate of the last minute to get there.
const WATCHED: Duration = Duration::from_mins(7);

/// All trials at once: they mostly wait.
pub(crate) fn trials() -> Vec<String> {
    if installed().is_none() {
        return vec!["No Prometheus is installed.".to_owned()];
    }
    let trials: Vec<_> = SHARES
        .into_iter()
        .flat_map(|share| SCRAPES.map(|scrape| (share, scrape)))
        .map(|(share, scrape)| {
            let trial = Trial { share, scrape, interval: 5, watch: WATCHED, evidence_is_enough: false };
            (trial, thread::spawn(move || play(trial)))
        })
        .collect();
    let mut lines = vec![
        format!(
            "\n100 requests/s, 0.05 % errors in the hour before, p0 = 0.1 %, alpha = 0.1 %; asked every 5 s, watched for {} s.\n",
            WATCHED.as_secs()
        ),
        "| true errors | scraped every | evidence | fixed rule | counted at the end |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for (trial, thread) in trials {
        let line = thread.join().map_or_else(|_| "failed".to_owned(), |told| row(&told));
        lines.push(format!("| {:.0} % | {} s | {line} |", trial.share * 100.0, trial.scrape));
    }
    lines
}

fn row(told: &Told) -> String {
    let when = |found: Option<Found>| {
        found.map_or_else(
            || "never".to_owned(),
            |Found { after, happened }| format!("{:.0} s, {:.0} failed", after.as_secs_f64(), happened.bad),
        )
    };
    let exact = if told.is_exact() { "exact" } else { "NOT EXACT" };
    let again = if told.card.check().is_ok() { "" } else { ", card DOES NOT AGREE" };
    let counted = format!("{:.0} of {:.0}, {exact}{again}", told.card.new.bad, told.card.new.all);
    format!("{} | {} | {counted}", when(told.evidence), when(told.rule))
}
