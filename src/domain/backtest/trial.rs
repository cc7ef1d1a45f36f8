//! One trigger in one window.

use std::collections::BTreeMap;

use super::Window;
use crate::domain::{
    evidence::{
        before::Before,
        counts::Counts,
        meter::{Finding, LEAST_OLD, Meter, patience},
    },
    metric::{Metric, Sample},
    runbook::TriggerWatch,
    time::{Span, Timestamp},
    trigger::{TriggerChange, TriggerClock},
    worse::Worse,
};

/// Of the samples due in a window so many percent must be there, or nothing is said of it.
const MEASURED_PERCENT: u64 = 60;

/// What was measured in a window.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The window.
    pub window: Window,
    /// The time between samples.
    pub step: Span,
    /// The samples of the slot that is judged, oldest first, missing ones among them.
    pub samples: Vec<Sample>,
    /// Those of the slot that had the users before, where it still had some.
    pub old: Vec<Sample>,
    /// What was counted in the hour before.
    pub before: Before,
}

/// What evidence said in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighed {
    /// When the verdict was "worse".
    pub worse: Option<Timestamp>,
    /// The highest ln E that was reached with enough events.
    pub highest: f64,
    /// Never enough events for a verdict.
    pub too_little: bool,
}

impl Measured {
    /// Whether enough of it was measured to say anything.
    pub fn is_enough(&self) -> bool {
        let due = self.window.to.since(self.window.from).as_millis() / self.step.as_millis().max(1);
        let there = self.samples.iter().filter(|sample| sample.value.is_ok()).count() as u64;
        due > 0 && there * 100 >= due * MEASURED_PERCENT
    }

    /// When a fixed rule would have fired.
    pub fn fires(&self, watch: &TriggerWatch) -> Option<Timestamp> {
        let mut clock = TriggerClock::new(watch, self.step);
        self.samples.iter().find_map(|sample| {
            let changes = clock.observe(sample, sample.at);
            changes.iter().any(|change| matches!(change, TriggerChange::Fired(_))).then_some(sample.at)
        })
    }

    /// What evidence would have said of a claim; `window` is how long a release is watched.
    ///
    /// # Errors
    /// Why no verdict was possible.
    pub fn weigh(&self, claim: Worse, metric: &Metric, window: Span) -> Result<Weighed, String> {
        let (terms, _) = self.before.terms(claim, metric, window)?;
        let mut meter = Meter::new(terms).map_err(|why| why.to_string())?;
        let old: BTreeMap<Timestamp, Counts> = counted(&self.old).collect();
        let sum = |samples: &[Sample]| counted(samples).fold(Counts::NONE, |sum, (_, counts)| sum + counts);
        // Who had users is not in the past; who counted events is.
        let beside = sum(&self.old).all >= sum(&self.samples).all * LEAST_OLD;
        let (mut waiting, mut waiting_old) = (None, Counts::NONE);
        let mut weighed = Weighed { worse: None, highest: f64::NEG_INFINITY, too_little: true };
        for (at, new) in counted(&self.samples) {
            waiting_old += old.get(&at).copied().unwrap_or_default();
            let (since, sum) =
                waiting.filter(|(_, sum): &(_, Counts)| sum.all > 0.0).unwrap_or((at, Counts::NONE));
            let new = sum + new;
            waiting = Some((since, new));
            // Slots are scraped at different moments: the counts of one wait for those of the other, as live.
            if new.all <= 0.0
                || beside && waiting_old.all <= 0.0 && at.since(since) < patience(metric.interval)
            {
                continue;
            }
            waiting = None;
            let old = std::mem::take(&mut waiting_old);
            let shown =
                if beside && old.all > 0.0 { meter.add_beside(at, new, old) } else { meter.add(at, new) };
            let enough = shown.finding != Finding::TooLittle;
            weighed.too_little &= !enough;
            if let Some(ln_e) = shown.ln_e.filter(|_| shown.new.all >= terms.at_least) {
                weighed.highest = weighed.highest.max(ln_e);
            }
            if let Finding::Worse { at } = shown.finding {
                weighed.worse = weighed.worse.or(Some(at));
            }
        }
        Ok(weighed)
    }
}

fn counted(samples: &[Sample]) -> impl Iterator<Item = (Timestamp, Counts)> {
    samples.iter().filter_map(|sample| Some((sample.at, sample.counts?)))
}
