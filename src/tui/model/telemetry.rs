//! Measurements and output: lossy, bounded, never needed to know the state of the run.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::{
    claim::Standing,
    event::ActionRef,
    evidence::counts::Counts,
    felt::Measurements,
    id::{MetricId, SlotName, StepId},
    metric::{Metric, Missing, Sample, Verdict},
    safe_text::StyledLine,
    series::Series,
    time::{Span, Timestamp},
    verdict::judge,
    workload::{Access, LogLine, Workload},
};

/// Lines kept of one action's output; all of it is in its file.
const LINES: usize = 5_000;
/// Actions whose output is kept.
const OUTPUTS: usize = 32;
/// A sample is too old after this many intervals.
pub const FRESH: u64 = 3;

/// A metric, and the slot where it is per slot.
pub type SeriesKey = (MetricId, Option<SlotName>);

/// Measurements and output.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// The cluster, once seen.
    pub workload: Option<Workload>,
    /// What we may do there.
    pub access: Option<Access>,
    /// Numbers over time.
    pub series: BTreeMap<SeriesKey, Series>,
    /// The newest sample of each series.
    pub latest: BTreeMap<SeriesKey, Sample>,
    /// Where the evidence for the runbook's claims stands.
    pub evidence: Vec<Standing>,
    /// Output by action, the newest action last.
    pub outputs: VecDeque<(ActionRef, Output)>,
    /// What polled checks see.
    pub watching: BTreeMap<(Option<StepId>, usize), (bool, String)>,
    /// Log lines by slot, as last asked for.
    pub logs: BTreeMap<SlotName, Result<Vec<LogLine>, String>>,
    /// When logs were last asked for.
    pub logs_asked: Option<Timestamp>,
}

/// What an action printed.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Finished lines.
    pub lines: VecDeque<StyledLine>,
    /// The line being written.
    pub partial: Option<StyledLine>,
    /// Lines that are not here: too many, or too old.
    pub dropped: u64,
}

/// What the newest sample of a series means now.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The number; none where it is missing or too old.
    pub value: Option<f64>,
    /// Its verdict. Without a number never ok.
    pub verdict: Verdict,
    /// How old it is; none where nothing has been measured.
    pub age: Option<Span>,
    /// Why there is no value.
    pub why: Option<Missing>,
}

impl Telemetry {
    /// Takes samples in.
    pub fn sampled(&mut self, samples: Vec<Sample>, backfill: bool) {
        let mut past: BTreeMap<SeriesKey, Vec<(Timestamp, Option<f64>)>> = BTreeMap::new();
        for sample in samples {
            let key = (sample.metric.clone(), sample.slot.clone());
            let value = sample.value.as_ref().ok().copied();
            if backfill {
                past.entry(key).or_default().push((sample.at, value));
                continue;
            }
            self.series(&key).push(sample.at, value);
            if self.latest.get(&key).is_none_or(|known| known.at <= sample.at) {
                self.latest.insert(key, sample);
            }
        }
        for (key, points) in past {
            self.series(&key).backfill(points);
        }
    }

    /// Takes in what was measured before anybody looked: it is drawn, and is not what is measured now.
    pub fn recalled(&mut self, sample: &Sample) {
        let key = (sample.metric.clone(), sample.slot.clone());
        self.series(&key).push(sample.at, sample.value.as_ref().ok().copied());
    }

    fn series(&mut self, key: &SeriesKey) -> &mut Series {
        self.series.entry(key.clone()).or_insert_with(|| Series::new(Span::from_mins(60)))
    }

    /// What the newest sample of a metric means at this time.
    pub fn reading(&self, metric: &Metric, slot: Option<&SlotName>, now: Timestamp) -> Reading {
        let key = (metric.id.clone(), if metric.per_slot { slot.cloned() } else { None });
        let Some(sample) = self.latest.get(&key) else {
            return Reading { value: None, verdict: Verdict::Missing, age: None, why: None };
        };
        let age = now.since(sample.at);
        let limit = Span::from_millis(metric.interval.as_millis().saturating_mul(FRESH));
        let value = match &sample.value {
            Ok(_) if age > limit => Err(Missing::Stale(format!("{} old", age.short()))),
            value => value.clone(),
        };
        Reading {
            verdict: judge(metric, &value),
            age: Some(age),
            why: value.as_ref().err().cloned(),
            value: value.ok().filter(|value| value.is_finite()),
        }
    }

    /// Takes output in.
    pub fn printed(
        &mut self,
        at: ActionRef,
        lines: Vec<StyledLine>,
        partial: Option<StyledLine>,
        dropped: u64,
    ) {
        let known = self.outputs.iter().position(|(other, _)| *other == at);
        let index = known.unwrap_or_else(|| {
            if self.outputs.len() >= OUTPUTS {
                self.outputs.pop_front();
            }
            self.outputs.push_back((at, Output::default()));
            self.outputs.len() - 1
        });
        let Some((_, output)) = self.outputs.get_mut(index) else { return };
        output.lines.extend(lines);
        output.partial = partial;
        output.dropped = output.dropped.saturating_add(dropped);
        while output.lines.len() > LINES {
            output.lines.pop_front();
            output.dropped = output.dropped.saturating_add(1);
        }
    }

    /// An action's output.
    pub fn output(&self, at: &ActionRef) -> Option<&Output> {
        self.outputs.iter().rev().find(|(other, _)| other == at).map(|(_, output)| output)
    }
}

impl Measurements for Telemetry {
    fn points(&self, metric: &MetricId, slot: Option<&SlotName>) -> Option<Vec<(Timestamp, Option<f64>)>> {
        self.series.get(&(metric.clone(), slot.cloned())).map(|series| series.iter().collect())
    }

    /// A screen that came late has not all of the counts; the journal's cards have.
    fn counts(&self, _: &MetricId, _: Option<&SlotName>, _: Timestamp, _: Timestamp) -> Option<Counts> {
        None
    }
}

impl Output {
    /// The last `height` lines, the one being written included.
    pub fn tail(&self, height: usize) -> Vec<&StyledLine> {
        let partial = self.partial.as_ref().filter(|line| !line.is_empty());
        let finished = height.saturating_sub(usize::from(partial.is_some()));
        let skip = self.lines.len().saturating_sub(finished);
        let mut tail: Vec<_> = self.lines.iter().skip(skip).collect();
        tail.extend(partial.filter(|_| height > 0));
        tail
    }
}
