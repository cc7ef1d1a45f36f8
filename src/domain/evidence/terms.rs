//! The terms of a test, set before the first sample.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::time::Span;

/// The highest share that "worse than" can be asked of.
pub const MOST_P0: f64 = 0.5;

/// What is asked, and how sure the answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Worse than this share of bad events, 0 to 1.
    pub p0: f64,
    /// The false alarm rate of the whole run: 0.001 for a certainty of 99.9 %.
    pub alpha: f64,
    /// How bursty bad events are when nothing is wrong, at least 1: [`baseline::fano`](super::baseline::fano).
    pub phi: f64,
    /// How many samples can come in which a release could go bad: those of the window and of the tail after it.
    pub starts: u32,
    /// With fewer events in all there is no verdict.
    pub at_least: f64,
}

/// Terms on which nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTerms {
    /// `p0` is not above 0 and at most [`MOST_P0`].
    Share,
    /// `alpha` is not between 0 and 0.5.
    Alpha,
    /// `phi` is below 1 or not a number.
    Phi,
    /// `at_least` is negative or not a number.
    AtLeast,
}

impl fmt::Display for BadTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Share => "the share must be above 0 % and at most 50 %",
            Self::Alpha => "the certainty must be above 50 % and below 100 %",
            Self::Phi => "the burstiness must be a number of at least 1",
            Self::AtLeast => "the least number of events must be a number of at least 0",
        })
    }
}

impl std::error::Error for BadTerms {}

impl Terms {
    /// Whether a verdict is possible on these.
    ///
    /// # Errors
    /// The first term that makes no sense.
    pub fn sound(self) -> Result<Self, BadTerms> {
        if !(self.p0 > 0.0 && self.p0 <= MOST_P0) {
            Err(BadTerms::Share)
        } else if !(self.alpha > 0.0 && self.alpha < 0.5) {
            Err(BadTerms::Alpha)
        } else if !(self.phi >= 1.0 && self.phi.is_finite()) {
            Err(BadTerms::Phi)
        } else if !(self.at_least >= 0.0 && self.at_least.is_finite()) {
            Err(BadTerms::AtLeast)
        } else {
            Ok(self)
        }
    }

    /// How many samples come in `window`, the tail after it included, one every `interval`.
    pub fn starts(window: Span, interval: Span) -> u32 {
        let interval = interval.as_millis().max(1);
        u32::try_from(window.as_millis().div_ceil(interval)).unwrap_or(u32::MAX).max(1)
    }

    /// ln(1/alpha): what the evidence must reach.
    pub fn target(self) -> f64 {
        -self.alpha.ln()
    }
}
