//! One metric of one slot as it is counted: what each answer adds, and the bad share of the last minute by the same counts.

use std::collections::VecDeque;

use super::{
    counters::{Answer, Counted as What, Counters},
    counts::Counts,
};
use crate::domain::{
    metric::{Counted, Missing},
    time::{Span, Timestamp},
};

/// The share that is shown is that of the last minute …
const SHOWN: Span = Span::from_mins(1);
/// … or of two, where nothing was counted in one: a Prometheus that scrapes once a minute is not always on time.
const LONGEST: Span = Span::from_mins(2);

/// Counters and what they have added lately.
#[derive(Debug, Clone)]
pub struct Lane {
    counters: Counters,
    /// What was added in the last minutes, the newest last.
    recent: VecDeque<(Timestamp, Counts)>,
    /// The newest answer had no series at all.
    empty: bool,
    /// An answer was there before the newest one.
    measured: bool,
}

impl Lane {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(counted: &Counted) -> Self {
        let what = if counted.good { What::Good } else { What::Bad };
        Self { counters: Counters::new(what), recent: VecDeque::new(), empty: true, measured: false }
    }

    /// From now on a series that appears counts from zero: users have met the new version, and this is its slot. What was counted
    /// before, tests and the users of the last release that this slot had, is not in the share that is shown.
    pub fn appear_from_zero(&mut self) {
        if !self.counters.appears_from_zero() {
            self.recent.clear();
        }
        self.counters.appear_from_zero();
    }

    /// Whether an answer was taken: the next one counts.
    pub fn has_begun(&self) -> bool {
        self.counters.begun()
    }

    /// Takes an answer and says what was added since the one before.
    pub fn take(&mut self, answer: &Answer) -> Counts {
        self.measured = self.counters.begun();
        self.empty = answer.all.is_empty();
        let added = self.counters.take(answer);
        if self.recent.back().is_none_or(|(at, _)| *at < answer.at) {
            self.recent.push_back((answer.at, added));
        }
        while self.recent.front().is_some_and(|(at, _)| answer.at.since(*at) >= LONGEST) {
            self.recent.pop_front();
        }
        added
    }

    /// The bad share of the last minute, 0 to 1.
    ///
    /// # Errors
    /// Why there is none: nothing was counted, or nothing can be told from a single answer.
    pub fn rate(&self) -> Result<f64, Missing> {
        let Some((newest, _)) = self.recent.back().filter(|_| self.measured) else {
            return Err(if self.empty { Missing::EmptyRatio } else { Missing::NoData });
        };
        let within = |span: Span| {
            let lately = self.recent.iter().filter(move |(at, _)| newest.since(*at) < span);
            lately.fold(Counts::NONE, |sum, (_, added)| sum + *added).share()
        };
        let nothing = if self.empty { Missing::EmptyRatio } else { Missing::ZeroByZero };
        within(SHOWN).or_else(|| within(LONGEST)).ok_or(nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::counters::SeriesKey;

    fn lane(good: bool) -> Lane {
        Lane::new(&Counted { source: "s".into(), scraped: false, part: "p".into(), good, all: "a".into() })
    }

    fn answer(seconds: i64, part: f64, all: f64) -> Answer {
        let key = SeriesKey::of([("a", "b")]);
        Answer { at: Timestamp(seconds * 1000), counted: vec![(key, part)], all: vec![(key, all)] }
    }

    #[test]
    fn the_share_shown_is_that_of_the_last_minute_by_the_same_counts() {
        let mut bad = lane(false);
        assert_eq!(bad.rate(), Err(Missing::EmptyRatio));
        bad.take(&answer(0, 7.0, 1000.0));
        assert_eq!(bad.rate(), Err(Missing::NoData), "one answer says nothing");
        assert_eq!(bad.take(&answer(30, 8.0, 1100.0)), Counts::new(1.0, 100.0));
        assert_eq!(bad.rate(), Ok(0.01));
        bad.take(&answer(60, 11.0, 1200.0));
        assert_eq!(bad.rate(), Ok(0.02));
        bad.take(&answer(90, 11.0, 1300.0));
        assert_eq!(bad.rate(), Ok(0.015), "a minute ago is no part of the last minute");
        let mut good = lane(true);
        good.take(&answer(0, 0.0, 0.0));
        good.take(&answer(30, 90.0, 100.0));
        assert!((good.rate().unwrap() - 0.1).abs() < 1e-12);
    }

    /// A slot that was just rolled back gets the next release at once.
    #[test]
    fn what_was_counted_before_users_met_the_new_version_is_not_in_its_share() {
        let mut lane = lane(false);
        for look in 0..10_u32 {
            lane.take(&answer(i64::from(look) * 5, f64::from(look) * 25.0, f64::from(look) * 500.0));
        }
        assert_eq!(lane.rate(), Ok(0.05));
        lane.appear_from_zero();
        lane.take(&answer(50, 225.0, 4500.0));
        assert_eq!(lane.rate(), Err(Missing::ZeroByZero), "nobody has met it yet");
        for look in 11..14_u32 {
            lane.appear_from_zero();
            lane.take(&answer(
                i64::from(look) * 5,
                225.0 + f64::from(look - 10),
                4500.0 + f64::from(look - 10) * 500.0,
            ));
            assert_eq!(lane.rate(), Ok(0.002), "{look}");
        }
    }

    #[test]
    fn nothing_counted_is_no_traffic_and_a_slow_scrape_is_none_of_that() {
        let mut lane = lane(false);
        lane.take(&answer(0, 0.0, 10.0));
        lane.take(&answer(5, 0.0, 20.0));
        for seconds in 2..24 {
            lane.take(&answer(seconds * 5, 0.0, 20.0));
            assert_eq!(lane.rate(), Ok(0.0), "{seconds}");
        }
        lane.take(&answer(125, 0.0, 20.0));
        assert_eq!(lane.rate(), Err(Missing::ZeroByZero));
        lane.take(&Answer { at: Timestamp(130_000), counted: vec![], all: vec![] });
        assert_eq!(lane.rate(), Err(Missing::EmptyRatio));
    }
}
