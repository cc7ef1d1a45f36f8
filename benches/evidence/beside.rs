//! The new slot beside the old one.

use cutover::domain::evidence::{
    counts::Counts,
    meter::{Finding, Meter},
    terms::{Compared, Terms},
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

/// Pods of the two slots.
const PODS: [(u32, u32); 3] = [(1, 3), (3, 3), (10, 10)];
/// Requests of each slot in a second.
const EACH: u32 = 50;
/// Looks in ten minutes.
const LOOKS: u32 = 600 / EVERY;

/// The counts of a slot by looks. Each pod is scraped every so many seconds, at moments of its own; of what happens at a moment the
/// rate fails.
fn scraped_counts(dice: &mut Dice, pods: u32, every: u32, rate: impl Fn(f64) -> f64) -> Vec<Counts> {
    /// Each scrape is cut into so many moments.
    const MOMENTS: u32 = 30;
    let mut looks = vec![Counts::NONE; usize::try_from(LOOKS + 1).unwrap_or_default()];
    for _ in 0..pods {
        let mut seen = dice.unit() * f64::from(every);
        let events = EACH * every / pods;
        while seen <= f64::from(LOOKS * EVERY) {
            let mut bad = 0.0;
            for moment in 0..MOMENTS {
                let part = f64::from(every) / f64::from(MOMENTS);
                let at = seen - f64::from(every) + (f64::from(moment) + 0.5) * part;
                // What is left over by whole numbers belongs to the first ones.
                let of = events / MOMENTS + u32::from(moment < events % MOMENTS);
                bad += dice.bad(of, rate(at));
            }
            let look = (0..=LOOKS).find(|look| f64::from(look * EVERY) >= seen).unwrap_or(LOOKS);
            if let Some(counts) = looks.get_mut(usize::try_from(look).unwrap_or_default()) {
                *counts += Counts::new(bad, f64::from(events));
            }
            seen += f64::from(every);
        }
    }
    looks
}

/// When the new slot is found worse, of slots that are scraped.
fn found_scraped(compared: Compared, p0: f64, new: &[Counts], old: &[Counts]) -> Option<u32> {
    let mut meter = Meter::new(Terms { p0, compared, ..terms() }).expect("sound terms");
    let (mut waits, mut waits_old) = (Counts::NONE, Counts::NONE);
    (0..).zip(new.iter().zip(old)).find_map(|(look, (new, old))| {
        waits += *new;
        waits_old += *old;
        // The counts of one slot wait for those of the other.
        if waits.all <= 0.0 || waits_old.all <= 0.0 {
            return None;
        }
        let (new, old) = (std::mem::take(&mut waits), std::mem::take(&mut waits_old));
        let shown = meter.add_beside(at(look), new, old);
        matches!(shown.finding, Finding::Worse { .. }).then_some(look)
    })
}

/// Slots whose pods are scraped at different moments: something fails for both, or the new slot fails three times as often.
pub(crate) fn scraped() -> Vec<String> {
    let both = [Compared::AtOnce, Compared::Around];
    let mut lines = vec![
        format!(
            "\nPods that are scraped at moments of their own, {EACH} requests/s a slot, asked every {EVERY} s; {RUNS} runs a cell. From the \
             sixth minute on both slots fail alike: verdicts against the new one, compared in one sample and around it. And the median \
             until 3 % against 1 % are found.\n"
        ),
        "| scraped every | pods, new and old | both fail 5 % | both fail 30 % | 3 % against 1 % |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for every in [5, 15, 60] {
        for pods in PODS {
            let alike = |rate: f64| {
                let cells = both.map(|compared| {
                    let fired = (0..RUNS).filter(|&seed| {
                        let mut dice = Dice::new(7_000_000 + seed);
                        let begins = 300.0 + 60.0 * dice.unit();
                        let rate = |at: f64| if at > begins { rate } else { P0 };
                        let new = scraped_counts(&mut dice, pods.0, every, rate);
                        let old = scraped_counts(&mut dice, pods.1, every, rate);
                        found_scraped(compared, P0, &new, &old).is_some()
                    });
                    percent(fired.count(), usize::try_from(RUNS).unwrap_or(usize::MAX))
                });
                cells.join(" / ")
            };
            let found = both.map(|compared| {
                let mut times: Vec<u32> = (0..RUNS)
                    .map(|seed| {
                        let mut dice = Dice::new(8_000_000 + seed);
                        let new = scraped_counts(&mut dice, pods.0, every, |_| 0.03);
                        let old = scraped_counts(&mut dice, pods.1, every, |_| 0.01);
                        found_scraped(compared, 0.01, &new, &old).unwrap_or(u32::MAX)
                    })
                    .collect();
                times.sort_unstable();
                let median = times.get(times.len() / 2).copied().filter(|look| *look < u32::MAX);
                median.map_or_else(|| "–".to_owned(), |look| format!("{} s", look * EVERY))
            });
            lines.push(format!(
                "| {every} s | {} and {} | {} | {} | {} |",
                pods.0,
                pods.1,
                alike(0.05),
                alike(0.3),
                found.join(" / ")
            ));
        }
    }
    lines
}
