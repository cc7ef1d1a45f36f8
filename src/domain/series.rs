//! The recent history of one metric, as the charts draw it.
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
    points: VecDeque<(Timestamp, Option<f64>)>,
}

impl Series {
    /// An empty series that keeps `keep` of the past.
    #[must_use]
    pub fn new(keep: Span) -> Self {
        Self { keep, points: VecDeque::new() }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp(1_800_000_000_000 + s * 1000)
    }

    fn series(points: &[(i64, Option<f64>)]) -> Series {
        let mut series = Series::new(Span::from_mins(15));
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
        assert_eq!(series.iter().next_back(), Some((at(10), None)));
    }

    #[test]
    fn old_points_and_floods_are_forgotten() {
        let mut series = Series::new(Span::from_mins(15));
        for s in 0..2000 {
            series.push(at(s * 5), Some(1.0));
        }
        assert_eq!(series.iter().count(), 181, "fifteen minutes at five seconds, both ends in");
        for ms in 1..100_000 {
            series.push(at(10_000) + Span::from_millis(ms), Some(1.0));
        }
        assert_eq!(series.iter().count(), MOST_POINTS);
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
        assert_eq!(series.iter().count(), 3, "beyond what is kept");
    }
}
