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
    /// How bursty bad events are when nothing is wrong, at least 1: [`Baseline::phi`](super::baseline::Baseline::phi).
    pub phi: f64,
    /// The share of bad events of the time in which `phi` was seen, 0 to 1. Bursts grow with it: while the old slot fails more often
    /// than this, both are compared by as much larger a phi. None where it is not known, and in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<f64>,
    /// How many samples can come in which a release could go bad: those of the window and of the tail after it.
    pub starts: u32,
    /// With fewer events in all there is no verdict.
    pub at_least: f64,
    /// How bets are weighed.
    #[serde(default, skip_serializing_if = "Weighed::is_evenly")]
    pub weighed: Weighed,
    /// What a sample of the new slot is compared with.
    #[serde(default, skip_serializing_if = "Compared::is_at_once")]
    pub compared: Compared,
}

/// What a sample of the new slot is compared with, where the old slot has users as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// What was counted on the old slot in the same sample. So it is in records of before.
    #[default]
    AtOnce,
    /// That, and what was counted in the sample before, and in the one after, which must have come half of the way. Slots are scraped
    /// at different moments, so what fails for both from now on is seen on one of them first.
    Around,
}

impl Compared {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
    fn is_at_once(&self) -> bool {
        *self == Self::AtOnce
    }
}

/// How bets are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighed {
    /// All alike. So it is in records of before.
    #[default]
    Evenly,
    /// Most bad releases are bad from their first user on: more bets begin with the first sample than with any other. Bets against
    /// an old slot are spread evenly over the new slot's part of all failures.
    Early,
}

impl Weighed {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
    fn is_evenly(&self) -> bool {
        *self == Self::Evenly
    }
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
    /// `usual` is not above 0 and at most 1.
    Usual,
    /// `at_least` is negative or not a number.
    AtLeast,
}

impl fmt::Display for BadTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Share => "the share must be above 0 % and at most 50 %",
            Self::Alpha => "the certainty must be above 50 % and below 100 %",
            Self::Phi => "the burstiness must be a number of at least 1",
            Self::Usual => "the usual share must be above 0 % and at most 100 %",
            Self::AtLeast => "the least number of events must be a number of at least 0",
        })
    }
}

impl std::error::Error for BadTerms {}

impl Terms {
    /// Of events that are independent of each other.
    pub fn new(p0: f64, alpha: f64, starts: u32, at_least: f64) -> Self {
        Self {
            p0,
            alpha,
            phi: 1.0,
            usual: None,
            starts,
            at_least,
            weighed: Weighed::Early,
            compared: Compared::Around,
        }
    }

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
        } else if self.usual.is_some_and(|usual| !(usual > 0.0 && usual <= 1.0)) {
            Err(BadTerms::Usual)
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

    /// The phi by which both slots are compared while the old one fails at this share.
    pub(super) fn phi_at(self, share: f64) -> f64 {
        let grown = self.usual.map_or(1.0, |usual| (share / usual).max(1.0));
        1.0 + (self.phi - 1.0) * grown
    }

    /// ln(1/alpha): what the evidence must reach.
    pub fn target(self) -> f64 {
        -self.alpha.ln()
    }
}
