//! The new slot by itself.

use crate::game::{ALPHA, EVERY, Found, P0, STARTS, Than, Traffic, USUAL, found, percent, run, told};

const RUNS: u64 = 2_000;
const HARMLESS: u64 = 20_000;

fn runs(cv: f64, samples: u32, rate: impl Fn(u32) -> f64 + Copy) -> (Vec<Found>, Vec<Found>) {
    (0..RUNS).map(|seed| run(&mut Traffic::new(seed, 100, cv), USUAL, samples, rate)).unzip()
}

/// Faults that are there from the start.
pub(crate) fn faults() -> Vec<String> {
    let mut lines = vec![
        format!("\n100 requests/s, a sample every {EVERY} s, {STARTS} starts, p0 = 0.1 %, alpha = 0.1 %; {RUNS} runs a cell,"),
        "up to 15 minutes each; 0.05 % errors in the hour before. Median / 95 % of the time from the fault's beginning, and the median of failed requests.\n".to_owned(),
        "| true errors | evidence, steady | fixed rule, steady | evidence, bursts CV 1 | fixed rule, bursts CV 1 |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for rate in [0.003, 0.005, 0.01, 0.02, 0.05] {
        let (steady, steady_rule) = runs(0.0, STARTS, |_| rate);
        let (bursts, bursts_rule) = runs(1.0, STARTS, |_| rate);
        lines.push(format!(
            "| {:.1} % | {} | {} | {} | {} |",
            rate * 100.0,
            told(&steady, 0),
            told(&steady_rule, 0),
            told(&bursts, 0),
            told(&bursts_rule, 0)
        ));
    }
    lines
}

/// Faults that begin late, or slowly.
pub(crate) fn late_and_slow() -> Vec<String> {
    let mut lines = vec![
        "\n| fault | evidence, steady | fixed rule, steady | evidence, bursts CV 1 |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    let begins = 600 / EVERY;
    for rate in [0.005, 0.01, 0.02, 0.05] {
        let late = move |sample: u32| if sample > begins { rate } else { USUAL };
        let (steady, rule) = runs(0.0, begins + STARTS, late);
        let (bursts, _) = runs(1.0, begins + STARTS, late);
        lines.push(format!(
            "| {:.1} % after 10 minutes | {} | {} | {} |",
            rate * 100.0,
            told(&steady, begins),
            told(&rule, begins),
            told(&bursts, begins)
        ));
    }
    let slow = |sample: u32| P0 + (0.02 - P0) * f64::from(sample * EVERY).min(300.0) / 300.0;
    let (steady, rule) = runs(0.0, STARTS, slow);
    let (bursts, _) = runs(1.0, STARTS, slow);
    lines.push(format!(
        "| 0.1 % to 2 % over 5 minutes | {} | {} | {} |",
        told(&steady, 0),
        told(&rule, 0),
        told(&bursts, 0)
    ));
    lines
}

/// Nothing is wrong, for 15 minutes.
pub(crate) fn false_alarms() -> Vec<String> {
    let mut lines = vec![
        format!(
            "\nFalse alarms in 15 minutes, {HARMLESS} runs a cell; {:.1} % is promised.\n",
            ALPHA * 100.0
        ),
        "| errors before and after | requests/s | steady | bursts CV 1 | bursts CV 2 |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for (rate, name) in [(P0, "0.1 %, exactly p0"), (USUAL, "0.05 %")] {
        for per_second in [10, 100, 1000] {
            let cells = [0.0, 1.0, 2.0].map(|cv| {
                let fired = (0..HARMLESS).filter(|&seed| {
                    let mut traffic = Traffic::new(1_000_000 + seed, per_second, cv);
                    found(&mut traffic, Than::P0, rate, STARTS, |_| rate).is_some()
                });
                percent(fired.count(), usize::try_from(HARMLESS).unwrap_or(usize::MAX))
            });
            lines.push(format!("| {name} | {per_second} | {} |", cells.join(" | ")));
        }
    }
    lines
}

/// A window that goes on four times as long as it was to.
pub(crate) fn overtime() -> Vec<String> {
    let fired = (0..HARMLESS / 4).filter(|&seed| {
        found(&mut Traffic::new(2_000_000 + seed, 100, 0.0), Than::P0, P0, 4 * STARTS, |_| P0).is_some()
    });
    let fired = percent(fired.count(), usize::try_from(HARMLESS / 4).unwrap_or(usize::MAX));
    let mut lines = vec![
        format!(
            "\nOvertime: an hour instead of 15 minutes, steady, at exactly p0: {fired} of runs with a false alarm. A fault that begins"
        ),
        "15 or 45 minutes into overtime, with 0.05 % errors until then:\n".to_owned(),
        "| true errors | 15 minutes later | 45 minutes later |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for rate in [0.003, 0.005, 0.01, 0.05] {
        let cells = [STARTS * 2, STARTS * 4].map(|begins| {
            let found: Vec<Found> = (0..RUNS / 4)
                .map(|seed| {
                    let late = |sample: u32| if sample > begins { rate } else { USUAL };
                    found(&mut Traffic::new(seed, 100, 0.0), Than::P0, USUAL, begins + STARTS, late)
                })
                .collect();
            told(&found, begins)
        });
        lines.push(format!("| {:.1} % | {} |", rate * 100.0, cells.join(" | ")));
    }
    lines
}

/// "Worse than before" instead of worse than a number.
pub(crate) fn than_before() -> Vec<String> {
    let mut lines = vec![
        format!(
            "\n\"Worse than before\" with 0.05 % before, 100 requests/s: false alarms in {HARMLESS} runs of 15 minutes, and faults found.\n"
        ),
        "| errors after | steady | bursts CV 1 | bursts CV 2 |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    let cells = [0.0, 1.0, 2.0].map(|cv| {
        let fired = (0..HARMLESS).filter(|&seed| {
            let mut traffic = Traffic::new(5_000_000 + seed, 100, cv);
            found(&mut traffic, Than::Before, USUAL, STARTS, |_| USUAL).is_some()
        });
        percent(fired.count(), usize::try_from(HARMLESS).unwrap_or(usize::MAX))
    });
    lines.push(format!("| 0.05 %, as before | {} |", cells.join(" | ")));
    for rate in [0.003, 0.005, 0.01, 0.02, 0.05] {
        let cells = [0.0, 1.0, 2.0].map(|cv| {
            let times: Vec<Found> = (0..RUNS / 2)
                .map(|seed| found(&mut Traffic::new(seed, 100, cv), Than::Before, USUAL, STARTS, |_| rate))
                .collect();
            told(&times, 0)
        });
        lines.push(format!("| {:.1} % | {} |", rate * 100.0, cells.join(" | ")));
    }
    lines
}
