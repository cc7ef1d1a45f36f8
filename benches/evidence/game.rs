//! One run: an hour before, then samples, judged by evidence and by the fixed rule alike.

use cutover::domain::{
    evidence::{
        baseline::Baseline,
        counts::Counts,
        meter::{Finding, Meter},
        terms::Terms,
    },
    metric::{Bound, Missing, Op, Sample},
    runbook::{OnNoData, Rule, Then, TriggerWatch},
    time::{Span, Timestamp},
    trigger::{TriggerChange, TriggerClock},
};

use crate::simulated::{Bursts, Dice};

/// The bound that a release must not be worse than.
pub(crate) const P0: f64 = 0.001;
/// The rate of errors while nothing is wrong.
pub(crate) const USUAL: f64 = 0.000_5;
/// The false alarm rate that is promised.
pub(crate) const ALPHA: f64 = 0.001;
/// Seconds between samples.
pub(crate) const EVERY: u32 = 5;
/// Samples in a window of 15 minutes.
pub(crate) const STARTS: u32 = 180;

/// The terms of all tables.
pub(crate) fn terms() -> Terms {
    Terms::new(P0, ALPHA, STARTS, 100.0)
}

/// The time of a sample.
pub(crate) fn at(sample: u32) -> Timestamp {
    Timestamp(1_800_000_000_000) + Span::from_secs(u64::from(sample * EVERY))
}

/// Requests of one slot, with bursts.
pub(crate) struct Traffic {
    dice: Dice,
    bursts: Bursts,
    events: u32,
}

impl Traffic {
    /// So many requests per second, whose errors come in bursts of this coefficient of variation.
    pub(crate) fn new(seed: u64, per_second: u32, cv: f64) -> Self {
        let mut dice = Dice::new(seed);
        let bursts = Bursts::new(cv, &mut dice);
        Self { dice, bursts, events: per_second * EVERY }
    }

    /// One sample at this rate.
    pub(crate) fn sample(&mut self, rate: f64) -> Counts {
        let factor = self.bursts.next(f64::from(EVERY), &mut self.dice);
        Counts::new(self.dice.bad(self.events, rate * factor), f64::from(self.events))
    }

    /// An hour at this rate.
    pub(crate) fn hour(&mut self, rate: f64) -> Baseline {
        let blocks = (0..60).map(|_| (0..12).fold(Counts::NONE, |sum, _| sum + self.sample(rate)));
        Baseline::of(&blocks.collect::<Vec<_>>())
    }
}

/// When something was found, and how many requests had failed by then.
pub(crate) type Found = Option<(u32, f64)>;

/// What is asked of a release.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Than {
    /// Worse than [`P0`].
    P0,
    /// Worse than before.
    Before,
}

/// When evidence found a release worse, of whatever is asked.
pub(crate) fn found(
    traffic: &mut Traffic,
    than: Than,
    usual: f64,
    samples: u32,
    rate: impl Fn(u32) -> f64,
) -> Found {
    let hour = traffic.hour(usual);
    let p0 = if than == Than::P0 { Some(P0) } else { hour.worse_than_before(None) };
    let p0 = p0.expect("something was counted");
    let mut meter = Meter::new(Terms { p0, phi: hour.phi, ..terms() }).expect("sound terms");
    let mut failed = 0.0;
    (1..=samples).find_map(|sample| {
        let counts = traffic.sample(rate(sample));
        failed += counts.bad;
        let finding = meter.add(at(sample), counts).finding;
        matches!(finding, Finding::Worse { .. }).then_some((sample, failed))
    })
}

/// What one run with a usual rate before it found: by evidence that it is worse than [`P0`], and by the fixed rule
/// on the rate of the last minute.
pub(crate) fn run(
    traffic: &mut Traffic,
    usual: f64,
    samples: u32,
    rate: impl Fn(u32) -> f64,
) -> (Found, Found) {
    let phi = traffic.hour(usual).phi;
    let mut meter = Meter::new(Terms { phi, ..terms() }).expect("sound terms");
    let watch = TriggerWatch {
        metric: "error_rate".into(),
        rule: Rule::Fixed { when: Bound { op: Op::Gt, value: 0.01 }, hold_for: Span::from_mins(5) },
        then: Then::Ask,
        no_data: OnNoData::Hold,
    };
    let mut clock = TriggerClock::new(&watch, Span::from_secs(u64::from(EVERY)));
    let mut minute: Vec<Counts> = (0..12).map(|_| traffic.sample(usual)).collect();
    let (mut by_evidence, mut by_rule, mut failed) = (None, None, 0.0);
    for sample in 1..=samples {
        let counts = traffic.sample(rate(sample));
        failed += counts.bad;
        let now = at(sample);
        if let (None, Finding::Worse { .. }) = (by_evidence, meter.add(now, counts).finding) {
            by_evidence = Some((sample, failed));
        }
        minute.remove(0);
        minute.push(counts);
        let last = minute.iter().fold(Counts::NONE, |sum, counts| sum + *counts);
        let value = last.share().ok_or(Missing::ZeroByZero);
        let of_minute = Sample { metric: "error_rate".into(), slot: None, at: now, value, counts: None };
        let told = clock.observe(&of_minute, now);
        if told.iter().any(|change| matches!(change, TriggerChange::Fired(_))) {
            by_rule = by_rule.or(Some((sample, failed)));
        }
        if by_evidence.is_some() && by_rule.is_some() {
            break;
        }
    }
    (by_evidence, by_rule)
}

/// `35 / 70 s, 18 failed`: the median and the 95th of a hundred, in seconds after sample `from`; and the median of what had
/// failed by then.
pub(crate) fn told(found: &[Found], from: u32) -> String {
    let mut times: Vec<u32> =
        found.iter().map(|found| found.map_or(u32::MAX, |(sample, _)| sample.saturating_sub(from))).collect();
    times.sort_unstable();
    let of = |part: usize| times.get(times.len() * part / 100).copied().filter(|time| *time < u32::MAX);
    let mut failed: Vec<f64> = found.iter().flatten().map(|(_, failed)| *failed).collect();
    failed.sort_unstable_by(f64::total_cmp);
    match (of(50), of(95)) {
        (None, _) if failed.is_empty() => "never".to_owned(),
        (None, _) => format!("in {} of runs", percent(failed.len(), found.len())),
        (Some(half), most) => {
            let most = most.map_or_else(|| "–".to_owned(), |most| (most * EVERY).to_string());
            let failed = failed.get(failed.len() / 2).copied().unwrap_or_default();
            format!("{} / {most} s, {failed:.0} failed", half * EVERY)
        }
    }
}

/// A part in percent.
pub(crate) fn percent(part: usize, of: usize) -> String {
    let as_number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    format!("{:.2} %", 100.0 * as_number(part) / as_number(of).max(1.0))
}
