//! Counters as they are read -> what was added since.
//!
//! Every series' increase is taken by itself and then summed, as a sum of counters falls whenever one of them restarts:
//! - A fall is a restart: the new value counts.
//! - A series that appears counts from its first value seen. What it had counted before happened before anybody watched.
//!   After [`Counters::appear_from_zero`] it counts from zero: on the new slot, after the switch, a series that was not
//!   there before is a new pod, or the first error of its kind.
//! - The first answer counts nothing: every series appears in it.
//! - An answer that does not come is no call. Nothing is added, and the next answer's increase covers the gap.
//! - A series that is missing from answers for less than [`GONE_AFTER`] goes on where it was. One that is missing for longer is
//!   gone: should it come back, it starts anew from the value it has then, from zero never, for it was counted before.
//! - An answer that is not newer than the last one adds nothing.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use crate::domain::time::{Span, Timestamp};

/// A series that was missing from answers for so long is gone for good. Prometheus' own lookback.
pub const GONE_AFTER: Span = Span::from_mins(5);

/// What the selector beside `all` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The bad events.
    Bad,
    /// The good ones; all others are bad.
    Good,
}

/// A series by its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey(u64);

impl SeriesKey {
    /// The key of these labels, the name `__name__` among them. Their order must always be the same: sorted by name.
    pub fn of<N: AsRef<str>, V: AsRef<str>>(labels: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut hasher = DefaultHasher::new();
        for (name, value) in labels {
            name.as_ref().hash(&mut hasher);
            value.as_ref().hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// The raw series of both selectors, read at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// That instant, by the server's clock.
    pub at: Timestamp,
    /// The bad ones or the good ones. Empty where there are none yet, such as no errors so far.
    pub counted: Vec<(SeriesKey, f64)>,
    /// All events.
    pub all: Vec<(SeriesKey, f64)>,
}

/// Follows the counters of one slot.
#[derive(Debug, Clone)]
pub struct Counters {
    what: Counted,
    from_zero: bool,
    /// The last answer's time.
    at: Option<Timestamp>,
    counted: Increases,
    all: Increases,
    /// Bad events that could not be told yet, for want of events in all; or, below zero, that were none: the parts of a
    /// histogram are not always read at quite the same moment.
    carry: f64,
}

impl Counters {
    /// Counters that nothing was read of yet.
    #[must_use]
    pub fn new(what: Counted) -> Self {
        Self {
            what,
            from_zero: false,
            at: None,
            counted: Increases::default(),
            all: Increases::default(),
            carry: 0.0,
        }
    }

    /// From now on a series that appears counts from zero. To be told of the new slot at the switch.
    pub fn appear_from_zero(&mut self) {
        self.from_zero = true;
    }

    /// Whether a series that appears counts from zero.
    pub fn appears_from_zero(&self) -> bool {
        self.from_zero
    }

    /// Whether an answer was taken: the next one counts.
    pub fn begun(&self) -> bool {
        self.at.is_some()
    }

    /// Takes an answer and says what was added since the one before.
    pub fn take(&mut self, answer: &Answer) -> Counts {
        if self.at.is_some_and(|last| answer.at <= last) {
            return Counts::NONE;
        }
        let from_zero = self.from_zero && self.at.is_some();
        self.at = Some(answer.at);
        let all = self.all.take(answer.at, &answer.all, from_zero);
        let counted = self.counted.take(answer.at, &answer.counted, from_zero);
        let bad = self.carry
            + match self.what {
                Counted::Bad => counted,
                Counted::Good => all - counted,
            };
        let told = bad.clamp(0.0, all);
        self.carry = bad - told;
        Counts { bad: told, all }
    }
}

/// The series of one selector.
#[derive(Debug, Clone, Default)]
struct Increases {
    series: HashMap<SeriesKey, Followed>,
}

#[derive(Debug, Clone, Copy)]
struct Followed {
    value: f64,
    seen: Timestamp,
    /// Since which answer it is missing.
    missing: Option<Timestamp>,
}

impl Increases {
    fn take(&mut self, at: Timestamp, series: &[(SeriesKey, f64)], from_zero: bool) -> f64 {
        let mut increase = 0.0;
        for &(key, value) in series.iter().filter(|(_, value)| value.is_finite() && *value >= 0.0) {
            let now = Followed { value, seen: at, missing: None };
            let Some(before) = self.series.get_mut(&key) else {
                self.series.insert(key, now);
                increase += if from_zero { value } else { 0.0 };
                continue;
            };
            // The same labels twice in one answer are a fault of who answers; the first counts.
            if before.seen == at {
                continue;
            }
            let gone = before.missing.is_some_and(|since| at.since(since) >= GONE_AFTER);
            increase += match value - before.value {
                _ if gone => 0.0,
                more if more >= 0.0 => more,
                _ => value,
            };
            *before = now;
        }
        for followed in self.series.values_mut().filter(|followed| followed.seen != at) {
            followed.missing.get_or_insert(at);
        }
        increase
    }
}

#[cfg(test)]
mod tests;
