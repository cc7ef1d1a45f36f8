//! What users met on the new version, by what was measured: how long they had it, the worst error rate, how many requests
//! failed. The last screen of a run and its report both say it from here.

use super::{
    evidence::counts::Counts,
    id::{MetricId, SlotName},
    metric::{Metric, Unit},
    run::Run,
    time::{Span, Timestamp},
};

/// Two samples that are further apart than this many intervals say nothing of the time between them.
const FRESH: u64 = 3;

/// What is known of the metrics of a run.
pub trait Measurements {
    /// The values of a metric, and of a slot where it is per slot, in order of time; none where nothing was measured.
    fn points(&self, metric: &MetricId, slot: Option<&SlotName>) -> Option<Vec<(Timestamp, Option<f64>)>>;

    /// What a counted metric has counted after `from` and up to `to`; none where that is not known for all of the time.
    fn counts(
        &self,
        metric: &MetricId,
        slot: Option<&SlotName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<Counts>;
}

/// What users met.
#[derive(Debug, Clone, PartialEq)]
pub struct Felt {
    /// When they first met the new version.
    pub from: Timestamp,
    /// When it was taken from them; where they keep it, the run's end.
    pub to: Timestamp,
    /// The errors, where their rate was measured.
    pub errors: Option<Errors>,
    /// What the counted metrics of the new version have counted meanwhile.
    pub counted: Vec<(MetricId, Counts)>,
}

/// Errors that users met.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// Whose rate it is.
    pub metric: MetricId,
    /// The highest share of failed requests, 0 to 1.
    pub worst: f64,
    /// When that was.
    pub worst_at: Timestamp,
    /// How many requests failed; none where nobody measured how many there were.
    pub failed: Option<Failed>,
}

/// How many requests failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Failed {
    /// By the counters themselves: so many of so many.
    Counted(Counts),
    /// About so many: each sample of the error rate, times the requests of its time.
    About(f64),
}

impl Failed {
    /// How many.
    pub fn requests(self) -> f64 {
        match self {
            Self::Counted(counts) => counts.bad,
            Self::About(failed) => failed,
        }
    }
}

impl Felt {
    /// How long users had the new version.
    pub fn lasted(&self) -> Span {
        self.to.since(self.from)
    }
}

impl Errors {
    /// `4.95 %`
    pub fn worst_words(&self) -> String {
        Unit::Percent.show(self.worst)
    }
}

impl Run {
    /// What users met on the new version; none where they never met it, or the run is under way.
    pub fn felt(&self, measured: &impl Measurements) -> Option<Felt> {
        let from = self.met_at?;
        let ended = self.finished.as_ref().map(|(_, at, _)| *at);
        let to = self.left_at.or(ended)?;
        let metrics = self.runbook.metrics.iter();
        let counted: Vec<(MetricId, Counts)> = metrics
            .filter(|metric| metric.counted().is_some())
            .filter_map(|metric| Some((metric.id.clone(), self.counted(metric, from, to, measured)?)))
            .collect();
        let errors = self.error_metric().and_then(|metric| {
            let known = counted.iter().find(|(id, _)| *id == metric.id).map(|(_, counts)| *counts);
            self.errors(metric, (from, to), known, measured)
        });
        Some(Felt { from, to, errors, counted })
    }

    /// The metric that tells the share of failed requests: the first that a trigger watches and that is a share.
    fn error_metric(&self) -> Option<&Metric> {
        let watched = self.runbook.triggers.iter().filter_map(|trigger| trigger.watch.as_ref());
        watched
            .filter_map(|watch| self.runbook.metric(watch.metric.as_str()))
            .find(|metric| metric.unit == Unit::Percent)
    }

    /// The new slot, where a metric is per slot.
    fn new_slot_of(&self, metric: &Metric) -> Option<&SlotName> {
        self.opened.new_slot.as_ref().filter(|_| metric.per_slot)
    }

    /// What was counted on the new version: by the samples where all are there, else by the last card in the journal.
    fn counted(
        &self,
        metric: &Metric,
        from: Timestamp,
        to: Timestamp,
        measured: &impl Measurements,
    ) -> Option<Counts> {
        // What is counted last is told by the next samples.
        let late = to + Span::from_millis(metric.interval.as_millis().saturating_mul(2));
        let by_samples = measured.counts(&metric.id, self.new_slot_of(metric), from, late);
        by_samples.or_else(|| {
            let claims = self.runbook.claims();
            let of = |claim: &usize| claims.get(*claim).is_some_and(|claim| claim.metric == metric.id);
            let gathered = self.evidence.iter().filter(|(claim, _)| of(claim));
            let cards = gathered.filter_map(|(_, gathered)| gathered.card.as_ref().map(|card| card.new));
            cards.max_by(|a, b| a.all.total_cmp(&b.all))
        })
    }

    fn errors(
        &self,
        metric: &Metric,
        (from, to): (Timestamp, Timestamp),
        counted: Option<Counts>,
        measured: &impl Measurements,
    ) -> Option<Errors> {
        let rates = self.runbook.metrics.iter().find(|metric| metric.unit == Unit::PerMinute);
        let rates = rates.and_then(|metric| measured.points(&metric.id, self.new_slot_of(metric)));
        let has_rates = rates.is_some();
        let mut rates = rates.into_iter().flatten().peekable();
        let (mut worst, mut failed, mut last) = (None::<(f64, Timestamp)>, 0.0, None::<Timestamp>);
        let mut rate = None;
        let longest = Span::from_millis(metric.interval.as_millis().saturating_mul(FRESH));
        let errors = measured.points(&metric.id, self.new_slot_of(metric))?.into_iter();
        for (at, value) in errors.filter(|(at, _)| *at >= from && *at <= to) {
            let Some(value) = value else { continue };
            if worst.is_none_or(|(worst, _)| value > worst) {
                worst = Some((value, at));
            }
            // The newest rate of that time: both series go forward together.
            while let Some((_, value)) = rates.next_if(|(it, _)| *it <= at) {
                rate = value;
            }
            if let (Some(rate), Some(last)) = (rate, last) {
                let minutes = at.since(last).min(longest).to_std().as_secs_f64() / 60.0;
                failed += value * rate * minutes;
            }
            last = Some(at);
        }
        let (worst, worst_at) = worst?;
        let failed = counted.map(Failed::Counted).or(has_rates.then_some(Failed::About(failed)));
        Some(Errors { metric: metric.id.clone(), worst, worst_at, failed })
    }
}
