//! What was normal before the switch: the rate, and how bursty it was.

use super::{bound, bursts::Bursts, counts::Counts};
use crate::domain::time::Span;

/// Burstiness is told from blocks of this length …
pub const BLOCK: Span = Span::from_secs(60);
/// … in so long a time before the switch.
pub const BEFORE: Span = Span::from_mins(60);
/// How sure the upper bound of the rate before is.
pub const CERTAINTY: f64 = 0.99;

/// The hour before the switch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// All that was counted in it, an incident apart.
    pub counts: Counts,
    /// How bursty bad events were: the variance of their counts in blocks over the mean, at least 1.
    pub phi: f64,
    /// How many blocks were an incident, and are left out.
    pub incident: usize,
}

impl Baseline {
    /// From the counts of its blocks, each [`BLOCK`] long. Blocks in which nothing was counted at all are gaps.
    #[must_use]
    pub fn of(blocks: &[Counts]) -> Self {
        let Bursts { phi, counts, incident } = Bursts::of(blocks);
        Self { counts, phi, incident }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(bad: &[f64]) -> Vec<Counts> {
        bad.iter().map(|bad| Counts::new(*bad, 6000.0)).collect()
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
        let mut after = [6.0; 60];
        (after[30], after[31]) = (180.0, 120.0);
        let after = Baseline::of(&blocks(&after));
        assert_eq!(after.incident, 2);
        assert!(after.worse_than_before(None).unwrap() < 0.00125, "an incident is not what is usual");
    }
}
