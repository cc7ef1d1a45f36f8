//! The card of a verdict: all that it rests on, so that anybody can compute it again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    counters::Counted,
    counts::Counts,
    meter::{Finding, Meter, Sampled},
    terms::{BadTerms, Terms},
};
use crate::domain::time::Timestamp;

/// As far as two reckonings of ln E may differ: JSON keeps numbers to the last digit but one.
const ALIKE: f64 = 1e-6;

/// What was read, with the slot's labels filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selectors {
    /// What `counted` counts.
    pub what: Counted,
    /// The selector of the bad events or the good ones.
    pub counted: String,
    /// The selector of all events.
    pub all: String,
}

/// The old slot that was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// Its name.
    pub slot: String,
    /// What was read of it.
    pub selectors: Selectors,
}

/// The record of a verdict, or of where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What was read of the new slot.
    pub selectors: Selectors,
    /// The old slot that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// What was asked.
    pub terms: Terms,
    /// What was counted on the new slot.
    pub new: Counts,
    /// … and on the old one while it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Counts>,
    /// ln E; none before the first event.
    pub ln_e: Option<f64>,
    /// When 25, 50 and 75 % of what it takes were first reached.
    pub reached: [Option<Timestamp>; 3],
    /// When all of it was, with `at_least` events: the verdict "worse".
    pub worse: Option<Timestamp>,
    /// Samples that were counted in and are not kept, as there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// Every sample with events, oldest first.
    pub samples: Vec<Sampled>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Why a card does not prove what it says.
#[derive(Debug, Clone, PartialEq)]
pub enum Disagreement {
    /// Its terms make no sense.
    Terms(BadTerms),
    /// Samples are missing, so it cannot be computed again.
    LeftOut(u32),
    /// Its samples sum to something else.
    Counts {
        /// What it says.
        says: Counts,
        /// What its samples sum to.
        sum: Counts,
    },
    /// Its samples give other evidence.
    Evidence {
        /// ln E as it says.
        says: Option<f64>,
        /// ln E as computed.
        is: Option<f64>,
    },
    /// A line was crossed at another time.
    Crossed {
        /// Which one, in percent of what it takes.
        percent: u8,
        /// When it says.
        says: Option<Timestamp>,
        /// When it was.
        is: Option<Timestamp>,
    },
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: &Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        let number = |ln: &Option<f64>| ln.map_or_else(|| "nothing".to_owned(), |ln| format!("{ln:.6}"));
        match self {
            Self::Terms(why) => write!(f, "its terms make no sense: {why}"),
            Self::LeftOut(count) => {
                write!(f, "{count} samples were not kept, so it cannot be computed again")
            }
            Self::Counts { says, sum } => write!(
                f,
                "it says {} bad of {}, and its samples sum to {} of {}",
                says.bad, says.all, sum.bad, sum.all
            ),
            Self::Evidence { says, is } => {
                write!(f, "it says ln E = {}, and its samples give {}", number(says), number(is))
            }
            Self::Crossed { percent, says, is } => write!(
                f,
                "it says that {percent} % was reached: {}; by its samples: {}",
                time(says),
                time(is)
            ),
        }
    }
}

impl std::error::Error for Disagreement {}

impl Card {
    /// The record of what a meter says now. `against` names the old slot where it is compared with.
    pub fn of(meter: &Meter, selectors: Selectors, against: Option<Against>) -> Self {
        let shown = meter.shown();
        Self {
            selectors,
            against,
            terms: meter.terms(),
            new: shown.new,
            old: shown.old,
            ln_e: shown.ln_e,
            reached: meter.reached(),
            worse: match shown.finding {
                Finding::Worse { at } => Some(at),
                Finding::TooLittle | Finding::Open => None,
            },
            left_out: meter.left_out(),
            samples: meter.samples().to_vec(),
        }
    }

    /// Leaves the oldest samples out where there are more than `most`. Who goes on from here has used up their bets.
    pub fn keep_newest(&mut self, most: usize) {
        let over = self.samples.len().saturating_sub(most);
        let gone: Vec<Sampled> = self.samples.drain(..over).collect();
        self.left_out = self.left_out.saturating_add(u32::try_from(over).unwrap_or(u32::MAX));
        if let Some(first) = self.samples.first_mut() {
            first.lost = first.lost.saturating_add(came(&gone));
        }
    }

    /// How many samples came, those that were lost among them: as many bets are used up.
    pub fn came(&self) -> u32 {
        came(&self.samples)
    }

    /// The meter that its samples give: to go on where an engine left it, or to compute it again.
    ///
    /// # Errors
    /// If its terms make no sense.
    pub fn meter(&self) -> Result<Meter, BadTerms> {
        let mut meter = Meter::new(self.terms)?;
        for sample in &self.samples {
            meter.pass_over(sample.lost);
            match sample.old {
                Some(old) => meter.add_beside(sample.at, sample.new, old),
                None => meter.add(sample.at, sample.new),
            };
        }
        Ok(meter)
    }

    /// Computes it again from its samples.
    ///
    /// # Errors
    /// The first thing that does not agree.
    pub fn check(&self) -> Result<(), Disagreement> {
        if self.left_out > 0 {
            return Err(Disagreement::LeftOut(self.left_out));
        }
        let meter = self.meter().map_err(Disagreement::Terms)?;
        let again = Self::of(&meter, self.selectors.clone(), self.against.clone());
        for (says, sum) in [(Some(self.new), Some(again.new)), (self.old, again.old)] {
            let (says, sum) = (says.unwrap_or_default(), sum.unwrap_or_default());
            if !(alike(says.bad, sum.bad) && alike(says.all, sum.all)) {
                return Err(Disagreement::Counts { says, sum });
            }
        }
        let same = match (self.ln_e, again.ln_e) {
            (Some(says), Some(is)) => alike(says, is),
            (says, is) => says.is_none() && is.is_none(),
        };
        if !same {
            return Err(Disagreement::Evidence { says: self.ln_e, is: again.ln_e });
        }
        let lines = self.reached.iter().zip(&again.reached).chain([(&self.worse, &again.worse)]);
        match lines.zip([25, 50, 75, 100]).find(|((says, is), _)| says != is) {
            Some(((says, is), percent)) => Err(Disagreement::Crossed { percent, says: *says, is: *is }),
            None => Ok(()),
        }
    }

    /// What it says.
    pub fn finding(&self) -> Finding {
        Finding::of(&self.terms, self.new, self.worse)
    }
}

fn came(samples: &[Sampled]) -> u32 {
    samples.iter().fold(0, |count: u32, sample| count.saturating_add(1).saturating_add(sample.lost))
}

fn alike(a: f64, b: f64) -> bool {
    (a - b).abs() <= ALIKE * a.abs().max(1.0)
}

#[cfg(test)]
mod tests;
