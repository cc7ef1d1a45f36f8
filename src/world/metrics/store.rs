//! The time series of the simulated Prometheus, in memory and bounded in time.

use std::collections::{HashMap, VecDeque};

use promql_parser::label::{METRIC_NAME, Matcher, Matchers};

use super::{dialect, labels::Labels};

/// How far back an instant selector looks for a sample, in milliseconds: Prometheus's default of five minutes.
pub const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// The bits of the NaN by which Prometheus marks the end of a series.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// One sample: simulated milliseconds since the epoch, and a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Simulated milliseconds since the epoch.
    pub t: i64,
    /// The value.
    pub v: f64,
}

impl Sample {
    /// Whether the series ended here, rather than had a value.
    #[must_use]
    pub fn is_stale(self) -> bool {
        self.v.to_bits() == STALE_BITS
    }
}

/// Names one series of a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeriesId(usize);

#[derive(Debug)]
struct Series {
    labels: Labels,
    samples: VecDeque<Sample>,
}

/// All series. Samples are appended in order of time and forgotten after the retention.
#[derive(Debug)]
pub struct Store {
    series: Vec<Series>,
    by_labels: HashMap<Labels, SeriesId>,
    retention_ms: i64,
}

impl Store {
    /// An empty store that keeps samples for `retention_ms`.
    #[must_use]
    pub fn new(retention_ms: i64) -> Self {
        Self { series: Vec::new(), by_labels: HashMap::new(), retention_ms }
    }

    /// The series with these labels, made where it is new.
    pub fn series(&mut self, labels: Labels) -> SeriesId {
        if let Some(&id) = self.by_labels.get(&labels) {
            return id;
        }
        let id = SeriesId(self.series.len());
        self.by_labels.insert(labels.clone(), id);
        self.series.push(Series { labels, samples: VecDeque::new() });
        id
    }

    /// Adds a sample. One that is not younger than the last of its series is dropped, as Prometheus drops it.
    pub fn append(&mut self, id: SeriesId, t: i64, v: f64) {
        let samples = &mut self.series[id.0].samples;
        if samples.back().is_some_and(|last| last.t >= t) {
            return;
        }
        samples.push_back(Sample { t, v });
        while samples.front().is_some_and(|first| first.t < t - self.retention_ms) {
            samples.pop_front();
        }
    }

    /// Ends the series at `t`: instant selectors no longer find it, without waiting for the look-back to pass.
    pub fn end(&mut self, id: SeriesId, t: i64) {
        self.append(id, t, f64::from_bits(STALE_BITS));
    }

    /// The labels of a series.
    #[must_use]
    pub fn labels(&self, id: SeriesId) -> &Labels {
        &self.series[id.0].labels
    }

    /// The series that a selector means, sorted by labels. `name` is the metric's name where it stands before the braces.
    pub fn select(&self, name: Option<&str>, matchers: &Matchers) -> Vec<SeriesId> {
        let all = |labels: &Labels, matchers: &[Matcher]| {
            matchers.iter().all(|matcher| matcher.is_match(dialect::value(labels, &matcher.name)))
        };
        let name = name.map(|name| match dialect::metric(name) {
            Some(own) if self.series.iter().all(|series| series.labels.metric() != name) => own,
            _ => name,
        });
        let wanted = |labels: &Labels| {
            name.is_none_or(|name| labels.metric() == name)
                && all(labels, &matchers.matchers)
                && (matchers.or_matchers.is_empty()
                    || matchers.or_matchers.iter().any(|some| all(labels, some)))
        };
        let mut found: Vec<_> =
            (0..self.series.len()).map(SeriesId).filter(|id| wanted(self.labels(*id))).collect();
        found.sort_by(|a, b| self.labels(*a).cmp(self.labels(*b)));
        found
    }

    /// What an instant selector sees at `t`: the last sample within the look-back, unless the series ended there.
    #[must_use]
    pub fn at(&self, id: SeriesId, t: i64) -> Option<Sample> {
        let samples = &self.series[id.0].samples;
        let after = samples.partition_point(|sample| sample.t <= t);
        let last = *samples.get(after.checked_sub(1)?)?;
        (last.t > t - LOOKBACK_MS && !last.is_stale()).then_some(last)
    }

    /// The samples in `(from, to]`, without the marks of ended series. Open on the left, as since Prometheus 3.
    #[must_use]
    pub fn window(&self, id: SeriesId, from: i64, to: i64) -> Vec<Sample> {
        let samples = &self.series[id.0].samples;
        let begin = samples.partition_point(|sample| sample.t <= from);
        let end = samples.partition_point(|sample| sample.t <= to);
        samples.range(begin..end.max(begin)).copied().filter(|sample| !sample.is_stale()).collect()
    }

    /// Every series with a sample in `[from, to]`, sorted by labels.
    #[must_use]
    pub fn alive(&self, from: i64, to: i64) -> Vec<&Labels> {
        let has = |series: &&Series| {
            let begin = series.samples.partition_point(|sample| sample.t < from);
            series.samples.get(begin).is_some_and(|sample| sample.t <= to)
        };
        let mut labels: Vec<_> = self.series.iter().filter(has).map(|series| &series.labels).collect();
        labels.sort();
        labels
    }

    /// How many series there are, ended ones too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// The labels of a metric without any but its name and `pairs`.
pub fn named<'a>(metric: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    let mut labels = Labels::new(pairs);
    labels.set(METRIC_NAME, metric);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(samples: &[(i64, f64)]) -> (Store, SeriesId) {
        let mut store = Store::new(60_000_000);
        let id = store.series(named("up", []));
        for &(t, v) in samples {
            store.append(id, t, v);
        }
        (store, id)
    }

    #[test]
    fn an_instant_looks_back_five_minutes_and_no_further() {
        let (store, id) = one(&[(1_000, 7.0)]);
        assert_eq!(store.at(id, 999), None);
        assert_eq!(store.at(id, 1_000).map(|s| s.v), Some(7.0));
        assert_eq!(store.at(id, 1_000 + LOOKBACK_MS - 1).map(|s| s.v), Some(7.0));
        assert_eq!(store.at(id, 1_000 + LOOKBACK_MS), None);
    }

    #[test]
    fn an_ended_series_is_gone_at_once_and_can_come_back() {
        let (mut store, id) = one(&[(1_000, 7.0)]);
        store.end(id, 2_000);
        store.append(id, 9_000, 8.0);
        assert_eq!(store.at(id, 1_999).map(|s| s.v), Some(7.0));
        assert_eq!(store.at(id, 2_000), None);
        assert_eq!(store.at(id, 9_000).map(|s| s.v), Some(8.0));
        let seen: Vec<_> = store.window(id, 0, 9_000).iter().map(|s| s.t).collect();
        assert_eq!(seen, [1_000, 9_000]);
    }

    #[test]
    fn a_window_is_open_on_the_left() {
        let (store, id) = one(&[(1_000, 1.0), (2_000, 2.0), (3_000, 3.0), (4_000, 4.0)]);
        let seen: Vec<_> = store.window(id, 1_000, 3_000).iter().map(|s| s.t).collect();
        assert_eq!(seen, [2_000, 3_000]);
        assert!(store.window(id, 9_000, 3_000).is_empty());
    }

    #[test]
    fn old_samples_are_forgotten_and_late_ones_dropped() {
        let mut store = Store::new(10_000);
        let id = store.series(named("up", []));
        for t in 0..100 {
            store.append(id, t * 1_000, 1.0);
        }
        store.append(id, 50_000, 2.0);
        let seen = store.window(id, -1, 200_000);
        assert_eq!(seen.len(), 11);
        assert_eq!(seen[0].t, 89_000);
        assert!(store.alive(0, 88_999).is_empty());
        assert_eq!(store.alive(99_000, 100_000).len(), 1);
    }
}
