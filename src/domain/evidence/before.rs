//! What was counted before the switch, minute by minute, and the terms of a claim by it.

use std::collections::VecDeque;

use super::{
    baseline::{BEFORE, BLOCK, Baseline},
    counts::Counts,
    terms::Terms,
};
use crate::domain::{
    metric::{Metric, Op},
    runbook::Runbook,
    time::{Span, Timestamp},
    worse::{Than, Worse},
};

/// With fewer minutes than this in which anything was counted nobody knows how bad events come …
const ENOUGH_BLOCKS: usize = 20;
/// … and they are taken to come in bursts of this strength at least.
const UNKNOWN_PHI: f64 = 2.0;
/// A pause between two answers longer than this is no minute.
const LONGEST_BLOCK: Span = Span::from_secs(90);
/// A window that the runbook does not have is taken for this long.
const NO_WINDOW: Span = Span::from_mins(15);
/// The tail after the window, as a part of it.
const TAIL: u64 = 3;

/// The counts of one metric and slot before the switch.
#[derive(Debug, Clone, Default)]
pub struct Before {
    newest: Option<Timestamp>,
    /// By the minute they lie in.
    blocks: VecDeque<(i64, Counts)>,
}

impl Before {
    /// Takes what was added up to `at` since the answer before.
    pub fn take(&mut self, at: Timestamp, counts: Counts) {
        let covers = self.newest.map(|newest| at.since(newest));
        if self.newest.is_some_and(|newest| at <= newest) {
            return;
        }
        self.newest = Some(at);
        // What has gathered during a pause did not happen in one minute.
        if covers.is_none_or(|covers| covers > LONGEST_BLOCK) {
            return;
        }
        let length = i64::try_from(BLOCK.as_millis()).unwrap_or(i64::MAX);
        let minute = (at.0 - 1).div_euclid(length);
        match self.blocks.back_mut() {
            Some((newest, sum)) if *newest == minute => *sum += counts,
            _ => self.blocks.push_back((minute, counts)),
        }
        let oldest = (at - BEFORE).0.div_euclid(length);
        while self.blocks.front().is_some_and(|(minute, _)| *minute < oldest) {
            self.blocks.pop_front();
        }
    }

    /// The whole minutes: the first and the last are parts of one.
    fn whole(&self) -> Vec<Counts> {
        let inner = self.blocks.len().saturating_sub(2);
        self.blocks.iter().skip(1).take(inner).map(|(_, counts)| *counts).collect()
    }

    /// The terms of a claim about a metric, and what is to be said of them. `window` is how long a release is watched.
    ///
    /// # Errors
    /// Why no verdict is possible.
    pub fn terms(
        &self,
        worse: Worse,
        metric: &Metric,
        window: Span,
    ) -> Result<(Terms, Option<String>), String> {
        let blocks = self.whole();
        let baseline = Baseline::of(&blocks);
        let counted = blocks.iter().filter(|block| block.all > 0.0).count();
        let known = counted >= ENOUGH_BLOCKS;
        let normal = metric.normal.filter(|bound| matches!(bound.op, Op::Lt | Op::Le));
        let p0 = match worse.than {
            Than::Share(share) => Some(share),
            Than::Before => baseline.worse_than_before(normal.map(|bound| bound.value)),
        };
        let p0 = p0.ok_or(
            "nothing was counted before the switch, and the metric has no `normal`: no verdict is possible",
        )?;
        let phi = if known { baseline.phi } else { baseline.phi.max(UNKNOWN_PHI) };
        let usual = baseline.counts.share().filter(|share| *share > 0.0 && phi > 1.0);
        let tail = Span::from_millis(window.as_millis() / TAIL);
        let starts = Terms::starts(window.saturating_add(tail), metric.interval);
        let terms = Terms {
            phi: written(phi),
            usual: usual.map(written),
            ..Terms::new(written(p0), written(worse.alpha()), starts, f64::from(worse.at_least))
        };
        let minutes = |count: usize| Span::from_secs(60 * count as u64).clock();
        let short = (!known).then(|| {
            format!(
                "only {} of traffic were counted before the switch: bad events are taken to come in bursts, and a verdict \
                 takes longer",
                minutes(counted)
            )
        });
        let incident = (baseline.incident > 0).then(|| {
            format!(
                "an incident in the hour before the switch is not what is usual: {} of it are left out",
                minutes(baseline.incident)
            )
        });
        let remarks: Vec<String> = [short, incident].into_iter().flatten().collect();
        match terms.sound() {
            Ok(terms) => Ok((terms, Some(remarks.join("; ")).filter(|told| !told.is_empty()))),
            Err(why) => Err(format!("no verdict is possible: {why}")),
        }
    }
}

/// How long the runbook watches a release: its windows together, 15 minutes where it has none.
pub fn watched(runbook: &Runbook) -> Span {
    let windows = runbook.steps.iter().filter_map(|step| step.window);
    let window = windows.fold(Span::ZERO, |sum, window| sum.saturating_add(window.lasts));
    if window == Span::ZERO { NO_WINDOW } else { window }
}

/// A number as it comes back from the journal: twelve digits survive JSON exactly, seventeen do not, and a run must be the
/// same to whoever reads it later.
pub fn written(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}
