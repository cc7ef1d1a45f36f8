//! What was normal before the switch: the rate, and how bursty it was.

use serde::{Deserialize, Serialize};

use super::{bound, counts::Counts};
use crate::domain::time::Span;

/// Burstiness is told from blocks of this length …
pub const BLOCK: Span = Span::from_secs(60);
/// … in so long a time before the switch.
pub const BEFORE: Span = Span::from_mins(60);
/// How sure the upper bound of the rate before is.
pub const CERTAINTY: f64 = 0.99;

/// The hour before the switch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// All that was counted in it.
    pub counts: Counts,
    /// The Fano factor of its blocks, at least 1.
    pub phi: f64,
}

impl Baseline {
    /// From the counts of its blocks, each [`BLOCK`] long. Blocks in which nothing was counted at all are gaps.
    #[must_use]
    pub fn of(blocks: &[Counts]) -> Self {
        let counts = blocks.iter().fold(Counts::NONE, |sum, block| sum + block.sound());
        Self { counts, phi: fano(blocks) }
    }

    /// The share that "worse than before" asks about: the upper 99 % bound of the rate before, for one look (Chernoff's), not
    /// below `normal`. None where nothing was counted before and `normal` is not given.
    pub fn worse_than_before(&self, normal: Option<f64>) -> Option<f64> {
        let Counts { bad, all } = self.counts;
        let seen = (all > 0.0)
            .then(|| bound::upper(Counts::new(bad / self.phi, all / self.phi), -(1.0 - CERTAINTY).ln()));
        match (seen, normal) {
            (Some(seen), Some(normal)) => Some(seen.max(normal)),
            (seen, normal) => seen.or(normal),
        }
    }
}

/// The variance of the bad counts over their mean, at least 1. Errors that come one by one have 1; errors that come in
/// bursts have more, and the test must take each for less.
pub fn fano(blocks: &[Counts]) -> f64 {
    let bad: Vec<f64> = blocks
        .iter()
        .map(|block| block.sound())
        .filter(|block| block.all > 0.0)
        .map(|block| block.bad)
        .collect();
    let count = bad.iter().fold(0.0, |count, _| count + 1.0);
    let mean = bad.iter().sum::<f64>() / count;
    if count < 2.0 || mean <= 0.0 {
        return 1.0;
    }
    let variance = bad.iter().map(|bad| (bad - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (variance / mean).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(bad: &[f64]) -> Vec<Counts> {
        bad.iter().map(|bad| Counts::new(*bad, 6000.0)).collect()
    }

    #[test]
    fn bursts_have_a_factor_above_one() {
        assert!((fano(&blocks(&[6.0, 6.0, 6.0])) - 1.0).abs() < 1e-12, "less than chance is chance");
        assert!((fano(&blocks(&[0.0, 0.0, 18.0])) - 18.0).abs() < 1e-12);
        assert!((fano(&blocks(&[5.0])) - 1.0).abs() < 1e-12, "one block says nothing");
        assert!((fano(&[]) - 1.0).abs() < 1e-12);
        let gaps = [Counts::new(0.0, 6000.0), Counts::NONE, Counts::new(18.0, 6000.0)];
        assert!((fano(&gaps) - 18.0).abs() < 1e-12, "81 × 2 / 9: a gap is not a quiet minute");
    }

    #[test]
    fn worse_than_before_is_above_what_was_seen_and_never_below_normal() {
        let steady = Baseline::of(&blocks(&[6.0; 60]));
        let p0 = steady.worse_than_before(None).unwrap();
        assert!(p0 > 0.00105 && p0 < 0.00125, "0.1 % seen in 360,000: {p0}");
        assert_eq!(steady.worse_than_before(Some(0.005)), Some(0.005));
        let bursty = Baseline::of(&blocks(&[0.0, 12.0].repeat(30)));
        assert!(bursty.worse_than_before(None).unwrap() > p0, "bursts say less");
        assert_eq!(Baseline::of(&[]).worse_than_before(None), None);
        assert_eq!(Baseline::of(&[]).worse_than_before(Some(0.001)), Some(0.001));
    }
}
