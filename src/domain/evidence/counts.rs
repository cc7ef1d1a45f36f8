//! How many events there were, and how many of them were bad.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Events that were added since the answer before, or in all. Kept in JSON as `[bad, all]`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "(f64, f64)", into = "(f64, f64)")]
pub struct Counts {
    /// The bad ones: failed, or slower than the bound.
    pub bad: f64,
    /// All of them.
    pub all: f64,
}

impl Counts {
    /// Nothing happened.
    pub const NONE: Self = Self { bad: 0.0, all: 0.0 };

    /// `bad` of `all`.
    pub const fn new(bad: f64, all: f64) -> Self {
        Self { bad, all }
    }

    /// The bad share, 0 to 1; none where nothing was counted.
    pub fn share(self) -> Option<f64> {
        (self.all > 0.0).then(|| self.bad / self.all)
    }

    /// So much of both.
    pub(super) fn scaled(self, part: f64) -> Self {
        Self { bad: self.bad * part, all: self.all * part }
    }

    /// As numbers to reckon with: nothing below zero, no more bad ones than all, and nothing at all where one is no number.
    pub(super) fn sound(self) -> Self {
        if self.bad.is_finite() && self.all.is_finite() && self.all > 0.0 {
            Self { bad: self.bad.clamp(0.0, self.all), all: self.all }
        } else {
            Self::NONE
        }
    }
}

impl Add for Counts {
    type Output = Self;
    fn add(self, more: Self) -> Self {
        Self { bad: self.bad + more.bad, all: self.all + more.all }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        *self = *self + more;
    }
}

impl From<(f64, f64)> for Counts {
    fn from((bad, all): (f64, f64)) -> Self {
        Self { bad, all }
    }
}

impl From<Counts> for (f64, f64) {
    fn from(counts: Counts) -> Self {
        (counts.bad, counts.all)
    }
}
