//! The recent past of one metric, as the sparkline draws it and the baseline is taken from it.
//!
//! Bounded in time and in number, ordered by time, with room for "nobody knows": a missing sample is kept as one, so a
//! gap looks like a gap and not like the value before it.

use std::collections::VecDeque;

use super::time::{Span, Timestamp};

/// No series keeps more points than this, however long and dense it is wanted.
const MOST_POINTS: usize = 4096;

/// The last samples of one metric, for one slot where it is per slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    keep: Span,
    every: Span,
    points: VecDeque<(Timestamp, Option<f64>)>,
}

impl Default for Series {
    /// Fifteen minutes at five seconds.
    fn default() -> Self {
        Self::new(Span::from_mins(15), Span::from_secs(5))
    }
}

impl Series {
    /// An empty series that keeps `keep` of the past, measured every `every`.
    #[must_use]
    pub fn new(keep: Span, every: Span) -> Self {
        Self { keep, every, points: VecDeque::new() }
    }

    /// Adds the newest point. A value that is not finite counts as none. `false` where the time is not after the newest
    /// point's: then nothing has changed.
    pub fn push(&mut self, at: Timestamp, value: Option<f64>) -> bool {
        if self.points.back().is_some_and(|&(newest, _)| at <= newest) {
            return false;
        }
        self.points.push_back((at, value.filter(|value| value.is_finite())));
        self.forget();
        true
    }

    /// Puts points from before the oldest one in front, such as a query over the past gives. Points that are not older
    /// than what is known already are left out; the order they come in does not matter.
    pub fn backfill(&mut self, past: impl IntoIterator<Item = (Timestamp, Option<f64>)>) {
        let oldest = self.points.front().map(|&(at, _)| at);
        let mut past: Vec<_> =
            past.into_iter().filter(|&(at, _)| oldest.is_none_or(|oldest| at < oldest)).collect();
        past.sort_by_key(|&(at, _)| at);
        past.dedup_by_key(|&mut (at, _)| at);
        for (at, value) in past.into_iter().rev() {
            self.points.push_front((at, value.filter(|value| value.is_finite())));
        }
        self.forget();
    }

    fn forget(&mut self) {
        let Some(&(newest, _)) = self.points.back() else { return };
        let horizon = newest - self.keep;
        while self.points.len() > MOST_POINTS || self.points.front().is_some_and(|&(at, _)| at < horizon) {
            self.points.pop_front();
        }
    }

    /// The points, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Timestamp, Option<f64>)> + '_ {
        self.points.iter().copied()
    }

    /// The newest point.
    #[must_use]
    pub fn last(&self) -> Option<(Timestamp, Option<f64>)> {
        self.points.back().copied()
    }

    /// How many points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// `width` columns for the time from `now - span` to `now`, oldest first: the largest value in each, so that no peak
    /// is lost, and `None` where there was no data.
    ///
    /// A column narrower than the time between samples takes the value before it for as long as the next sample is
    /// not overdue.
    #[must_use]
    pub fn resample(&self, width: usize, now: Timestamp, span: Span) -> Vec<Option<f64>> {
        let mut columns = Vec::with_capacity(width);
        let start = now - span;
        let edge = |column: usize| {
            let part = u128::from(span.as_millis()) * column as u128 / (width.max(1)) as u128;
            start + Span::from_millis(u64::try_from(part).unwrap_or(u64::MAX))
        };
        let mut points = self.points.iter().peekable();
        let mut before: Option<(Timestamp, Option<f64>)> = None;
        // The very first edge belongs to no column: columns are open on their left.
        while let Some(&point) = points.next_if(|&&(at, _)| at <= start) {
            before = Some(point);
        }
        for column in 0..width {
            let (left, right) = (edge(column), edge(column + 1));
            let mut inside = false;
            let mut most: Option<f64> = None;
            while let Some(&point) = points.next_if(|&&(at, _)| at <= right) {
                inside = true;
                most = point.1.map_or(most, |value| Some(most.map_or(value, |most| most.max(value))));
                before = Some(point);
            }
            columns.push(if inside {
                most
            } else {
                before.and_then(|(at, value)| value.filter(|_| left.since(at) < self.every))
            });
        }
        columns
    }

    /// The mean of the values from `since` on; none where there is no value.
    #[must_use]
    pub fn mean_since(&self, since: Timestamp) -> Option<f64> {
        let values = || self.points.iter().filter(|&&(at, _)| at >= since).filter_map(|&(_, value)| value);
        let count = values().count();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a series never holds more than a few thousand points"
        )]
        let mean = (count > 0).then(|| values().sum::<f64>() / count as f64);
        mean.filter(|mean| mean.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp(1_800_000_000_000 + s * 1000)
    }

    fn series(points: &[(i64, Option<f64>)]) -> Series {
        let mut series = Series::default();
        for &(s, value) in points {
            series.push(at(s), value);
        }
        series
    }

    #[test]
    fn order_is_kept_and_repeats_are_dropped() {
        let mut series = series(&[(0, Some(1.0)), (5, Some(2.0))]);
        assert!(!series.push(at(5), Some(9.0)));
        assert!(!series.push(at(3), Some(9.0)));
        assert!(series.push(at(10), Some(f64::NAN)));
        let points: Vec<_> = series.iter().map(|(_, value)| value).collect();
        assert_eq!(points, [Some(1.0), Some(2.0), None]);
        assert_eq!(series.last(), Some((at(10), None)));
    }

    #[test]
    fn old_points_and_floods_are_forgotten() {
        let mut series = Series::default();
        for s in 0..2000 {
            series.push(at(s * 5), Some(1.0));
        }
        assert_eq!(series.len(), 181, "fifteen minutes at five seconds, both ends in");
        for ms in 1..100_000 {
            series.push(at(10_000) + Span::from_millis(ms), Some(1.0));
        }
        assert_eq!(series.len(), MOST_POINTS);
    }

    #[test]
    fn columns_keep_peaks_and_gaps() {
        let series = series(&[
            (5, Some(1.0)),
            (10, Some(7.0)),
            (15, Some(2.0)),
            (20, None),
            (25, None),
            (40, Some(3.0)),
        ]);
        assert_eq!(series.resample(4, at(40), Span::from_secs(40)), [Some(7.0), Some(2.0), None, Some(3.0)]);
        // Nothing yet and nothing any more.
        assert_eq!(series.resample(2, at(80), Span::from_secs(20)), [None, None]);
        assert_eq!(Series::default().resample(3, at(0), Span::from_mins(15)), [None, None, None]);
        assert!(series.resample(0, at(40), Span::from_secs(40)).is_empty());
    }

    #[test]
    fn narrow_columns_hold_a_value_until_the_next_is_due() {
        let series = series(&[(0, Some(1.0)), (5, Some(2.0)), (10, None)]);
        let columns = series.resample(16, at(16), Span::from_secs(16));
        // Each column is one second, open on its left; the missing sample at 10 ends what was known.
        let expected = [&[Some(1.0); 4][..], &[Some(2.0); 5], &[None; 7]].concat();
        assert_eq!(columns, expected);
        // A value whose successor is overdue is not drawn on for ever.
        let lone = Series { points: [(at(0), Some(1.0))].into(), ..Series::default() };
        let drawn = lone.resample(20, at(20), Span::from_secs(20)).into_iter().flatten().count();
        assert_eq!(drawn, 5);
    }

    #[test]
    fn the_past_goes_in_front() {
        let mut series = series(&[(20, Some(4.0))]);
        series.backfill([
            (at(15), Some(3.0)),
            (at(5), None),
            (at(15), Some(8.0)),
            (at(20), Some(9.0)),
            (at(25), Some(9.0)),
        ]);
        assert_eq!(
            series.iter().collect::<Vec<_>>(),
            [(at(5), None), (at(15), Some(3.0)), (at(20), Some(4.0))]
        );
        series.backfill([(at(-2000), Some(1.0))]);
        assert_eq!(series.len(), 3, "beyond what is kept");
    }

    #[test]
    fn the_mean_counts_values_only() {
        let series = series(&[(0, Some(100.0)), (5, Some(1.0)), (10, None), (15, Some(2.0))]);
        assert_eq!(series.mean_since(at(5)), Some(1.5));
        assert_eq!(series.mean_since(at(16)), None);
        assert_eq!(Series::default().mean_since(at(0)), None);
    }
}
