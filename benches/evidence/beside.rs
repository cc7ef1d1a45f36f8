//! The new slot beside the old one.

use cutover::domain::evidence::{
    meter::{Finding, Meter},
    terms::Terms,
};

use crate::{
    game::{EVERY, Found, P0, STARTS, Traffic, at, percent, terms, told},
    simulated::{Bursts, Dice},
};

const ALIKE: u64 = 10_000;
const RUNS: u64 = 1_000;

/// Requests per second of the new slot and the old one.
const SPLITS: [(u32, u32); 3] = [(10, 90), (20, 80), (50, 50)];

/// How errors come in bursts, if they do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Errors {
    Steady,
    /// Bursts of what both depend on.
    SharedBursts,
    /// Bursts of each slot for itself.
    OwnBursts,
}

/// One run with both slots: the rates of each sample, the new slot's first.
fn both(seed: u64, split: (u32, u32), errors: Errors, p0: f64, rates: impl Fn(u32) -> (f64, f64)) -> Found {
    let cv = |is: Errors| if errors == is { 1.0 } else { 0.0 };
    let mut new = Traffic::new(3_000_000 + 2 * seed, split.0, cv(Errors::OwnBursts));
    let mut old = Traffic::new(3_000_001 + 2 * seed, split.1, cv(Errors::OwnBursts));
    // In the hour before the old slot has all users.
    let cv_before = if errors == Errors::Steady { 0.0 } else { 1.0 };
    let hour = Traffic::new(6_000_000 + seed, split.0 + split.1, cv_before).hour(p0);
    let mut dice = Dice::new(4_000_000 + seed);
    let mut shared = Bursts::new(cv(Errors::SharedBursts), &mut dice);
    let before = Terms { p0, phi: hour.phi, usual: hour.counts.share(), ..terms() };
    let mut meter = Meter::new(before).expect("sound terms");
    let mut failed = 0.0;
    (1..=STARTS).find_map(|sample| {
        let (rates, factor) = (rates(sample), shared.next(f64::from(EVERY), &mut dice));
        let counts = new.sample(rates.0 * factor);
        failed += counts.bad;
        let shown = meter.add_beside(at(sample), counts, old.sample(rates.1 * factor));
        matches!(shown.finding, Finding::Worse { .. }).then_some((sample, failed))
    })
}

/// What both share fails after five minutes.
pub(crate) fn alike() -> Vec<String> {
    let mut lines = vec![
        format!("\nBoth slots fail alike from the fifth minute on, {ALIKE} runs a cell: verdicts against the new one.\n"),
        "| requests/s, new and old | 1 % | 5 % | 30 % | 5 %, shared bursts CV 1 | 1 %, each with bursts of its own | 5 %, likewise |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    let columns = [
        (0.01, Errors::Steady),
        (0.05, Errors::Steady),
        (0.3, Errors::Steady),
        (0.05, Errors::SharedBursts),
        (0.01, Errors::OwnBursts),
        (0.05, Errors::OwnBursts),
    ];
    for split in SPLITS {
        let cells = columns.map(|(rate, errors)| {
            let alike = |sample: u32| if sample > STARTS / 3 { (rate, rate) } else { (P0, P0) };
            let fired = (0..ALIKE).filter(|&seed| both(seed, split, errors, P0, alike).is_some());
            percent(fired.count(), usize::try_from(ALIKE).unwrap_or(usize::MAX))
        });
        lines.push(format!("| {} and {} | {} |", split.0, split.1, cells.join(" | ")));
    }
    lines
}

/// The new slot fails three times as often as the old one.
pub(crate) fn worse() -> Vec<String> {
    let mut lines = vec![
        "\nThe new slot fails three times as often as the old one, beside it and by itself (p0 = the old one's rate); steady.\n".to_owned(),
        "| requests/s, new and old | errors, new and old | beside the old slot | by itself | ratio |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for split in SPLITS {
        for old in [0.001, 0.01] {
            let beside: Vec<Found> =
                (0..RUNS).map(|seed| both(seed, split, Errors::Steady, old, |_| (old * 3.0, old))).collect();
            let alone: Vec<Found> = (0..RUNS)
                .map(|seed| both(seed, (split.0, 0), Errors::Steady, old, |_| (old * 3.0, 0.0)))
                .collect();
            let median = |found: &[Found]| {
                let mut times: Vec<u32> =
                    found.iter().map(|found| found.map_or(u32::MAX, |(at, _)| at)).collect();
                times.sort_unstable();
                times.get(times.len() / 2).copied().filter(|time| *time < u32::MAX)
            };
            let ratio = median(&beside).zip(median(&alone)).map_or_else(
                || "–".to_owned(),
                |(beside, alone)| format!("{:.2}", f64::from(beside) / f64::from(alone)),
            );
            lines.push(format!(
                "| {} and {} | {:.1} % and {:.1} % | {} | {} | {ratio} |",
                split.0,
                split.1,
                old * 300.0,
                old * 100.0,
                told(&beside, 0),
                told(&alone, 0)
            ));
        }
    }
    lines
}
