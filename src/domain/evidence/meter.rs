//! The sequential test.
//!
//! Asked is whether the share of bad events is above p0. For every sample after which the release could have gone bad, and
//! every share p between 1.5 p0 and 0.9 that it could have gone to, a bet runs: each bad event multiplies it by p / p0, each
//! other one by (1 - p) / (1 - p0). While the share is at most p0, no bet is expected to gain. The evidence E is the mean of
//! all bets: should it ever reach 1/alpha, then something has happened whose chance was at most alpha (Ville's inequality),
//! however often one looked. With a weight w for each start it is a recursion with one number for each p:
//!
//! ```text
//! S_p <- (S_p + w) × LR_p(sample)        E = mean of S_p
//! ```
//!
//! Bets are raised to the power 1/phi, as bad events come in bursts. That is a heuristic, not a theorem; for independent events no
//! bet gains by it.
//!
//! Weights sum to 1 over all starts that can come. The N samples of the window and its tail have nine tenths, in equal parts but for
//! the first ([`Weighed::Early`]); the rest is for overtime, a half of it for the next N samples, a sixth for those after them,
//! 1/(k (k + 1)) for the k-th time N. So alpha is kept however long a window goes on, and what goes bad in overtime is found a
//! little later.
//!
//! Beside an old slot that has users at the same time, failures are compared with the old slot's: a failure of the two is
//! one of the new slot with the chance n1 / (n1 + n2) if both fail alike, and r n1 / (r n1 + n2) if the new one fails r times as
//! often. That is the safe test for 2x2 tables where failures are rare, with r = p / p0. It asks nothing of the common rate,
//! which may change at any time. Bursts of each slot for itself grow with that rate, and so does phi: it is that of the hour before
//! times how much more often the old slot has failed lately. Only samples before this one count in that, so still no bet gains. Both
//! must be reached, the comparison and p0, so E is the smaller of the two: a release
//! that is worse than the old one but within p0 is fine, and so is one that fails because everything fails.
//!
//! Slots are scraped at different moments. What begins to fail for both is seen on one of them first, and for as long as a scrape takes
//! it looks like a fault of that one. So there are three comparisons ([`Compared::Around`]): with what the old slot had in the same
//! sample, in the one before and in the one after. A verdict needs all of the evidence in the first of them, which alone keeps
//! alpha, and half of the way in the other two: where only the moments differ, they have next to none.

use serde::{Deserialize, Serialize};

use super::{
    bound,
    counts::Counts,
    terms::{BadTerms, Compared, Terms, Weighed},
};
use crate::domain::time::{Span, Timestamp};

/// Shares that are tried.
const POINTS: u32 = 40;
/// The lowest one, in p0.
const LOWEST: f64 = 1.5;
/// The highest one.
const HIGHEST: f64 = 0.9;

/// The part of all weights that is kept for samples after the window and its tail.
const OVERTIME: f64 = 0.1;

/// The part of all bets on the new slot alone that begin with the first sample ([`Weighed::Early`]) …
const FIRST: f64 = 0.05;
/// … and of those against an old slot, half of what overtime leaves: they have less to go by.
const FIRST_BESIDE: f64 = 0.45;

/// So many times the way that the evidence has come by comparison with the samples around counts: half of it is enough.
const AROUND: f64 = 2.0;

/// An old slot with less than this part of the new one's events is not compared with: its last few users tell nothing.
pub const LEAST_OLD: f64 = 0.1;

/// How much of what the old slot had counts after each further sample in how often it fails now.
const LATELY: f64 = 0.9;

/// Counts of one slot wait for those of the other for so many intervals, or as long as a slow scrape takes; then the new slot's
/// stand alone.
const BESIDE: u64 = 3;
const SCRAPE: Span = Span::from_secs(90);

/// How long counts wait at most for those of the other slot, of a metric that is asked for at this interval.
pub fn patience(interval: Span) -> Span {
    Span::from_millis(interval.as_millis().saturating_mul(BESIDE)).max(SCRAPE)
}

/// No more samples than this are kept.
const MOST_KEPT: usize = 20_000;

/// One sample that the evidence rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// When.
    pub at: Timestamp,
    /// What was added on the new slot since the sample before.
    pub new: Counts,
    /// … and on the old one, where it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Counts>,
    /// So many samples were lost before it: no bet began for them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding {
    /// Too few events for any verdict: `at_least` was asked for. Never "fine".
    TooLittle,
    /// Not enough evidence that it is worse.
    Open,
    /// It is worse. Stays so.
    Worse {
        /// Since which sample.
        at: Timestamp,
    },
}

/// What the meter shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// ln E; none before the first event.
    pub ln_e: Option<f64>,
    /// The part of what it takes, 0 to 100.
    pub percent: f64,
    /// What can be said.
    pub finding: Finding,
    /// What was counted on the new slot.
    pub new: Counts,
    /// What was counted on the old slot while it was compared with; none where it never was.
    pub old: Option<Counts>,
}

/// Follows one metric of one slot.
#[derive(Debug, Clone)]
pub struct Meter {
    terms: Terms,
    shares: Vec<Share>,
    /// Samples with events so far.
    samples: u32,
    alone: Vec<f64>,
    /// The same, with the comparison where there was one. None before the first.
    beside: Option<Beside>,
    new: Counts,
    old: Counts,
    /// What the old slot had lately.
    lately: Counts,
    ln_e: f64,
    /// When 25, 50 and 75 % of what it takes were reached.
    reached: [Option<Timestamp>; 3],
    worse: Option<Timestamp>,
    kept: Vec<Sampled>,
    /// Samples that were not kept.
    left_out: u32,
    /// Samples that were lost since the last one.
    lost: u32,
}

/// The bets with the comparison.
#[derive(Debug, Clone)]
struct Beside {
    /// With what the old slot had in the same sample, …
    at_once: Vec<f64>,
    /// … in the one before, …
    before: Vec<f64>,
    /// … and in the one after; the newest sample is not among them yet.
    after: Vec<f64>,
    /// What the old slot had in the newest sample, where that was compared.
    last: Option<Counts>,
    /// The newest sample, which waits for the one after it.
    waits: Option<Comparison>,
}

/// A sample of both slots.
#[derive(Debug, Clone, Copy)]
struct Comparison {
    new: Counts,
    old: Counts,
    /// What a bet that begins with it is worth.
    weight: f64,
    phi: f64,
}

/// One share that is tried: what an event multiplies its bet by.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// p / p0
    ratio: f64,
    ln_bad: f64,
    ln_good: f64,
}

impl Meter {
    /// A meter without evidence.
    ///
    /// # Errors
    /// If the terms make no sense.
    pub fn new(terms: Terms) -> Result<Self, BadTerms> {
        let terms = terms.sound()?;
        let shares: Vec<Share> = shares(terms.p0).collect();
        Ok(Self {
            alone: vec![f64::NEG_INFINITY; shares.len()],
            beside: None,
            terms,
            shares,
            samples: 0,
            new: Counts::NONE,
            old: Counts::NONE,
            lately: Counts::NONE,
            ln_e: f64::NEG_INFINITY,
            reached: [None; 3],
            worse: None,
            kept: Vec::new(),
            left_out: 0,
            lost: 0,
        })
    }

    /// Its terms.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Takes in what was added on the new slot. A sample without events changes nothing.
    pub fn add(&mut self, at: Timestamp, new: Counts) -> Shown {
        self.take(at, new, None)
    }

    /// Takes in what was added on both slots since the sample before. Where the old slot has less than a tenth of the new
    /// one's events in it, the sample is one of the new slot alone.
    pub fn add_beside(&mut self, at: Timestamp, new: Counts, old: Counts) -> Shown {
        self.take(at, new, Some(old.sound()).filter(|old| is_enough(*old, new)))
    }

    /// So many samples came and were lost, as while nobody watched: no bet begins for them any more, so that all bets together
    /// are still those of one run, and alpha is kept.
    pub fn pass_over(&mut self, samples: u32) {
        self.samples = self.samples.saturating_add(samples);
        self.lost = self.lost.saturating_add(samples);
    }

    /// How many samples came so far, those that were passed over among them.
    pub fn came(&self) -> u32 {
        self.samples
    }

    fn take(&mut self, at: Timestamp, new: Counts, old: Option<Counts>) -> Shown {
        let new = new.sound();
        if new.all <= 0.0 {
            return self.shown();
        }
        if self.kept.len() < MOST_KEPT {
            self.kept.push(Sampled { at, new, old, lost: std::mem::take(&mut self.lost) });
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
        let (first, first_beside) = match self.terms.weighed {
            Weighed::Evenly => (0.0, 0.0),
            Weighed::Early => (FIRST, FIRST_BESIDE),
        };
        let weight_of = |first: f64| weight(self.samples, self.terms.starts, first);
        let (weight, weight_beside) = (weight_of(first).ln(), weight_of(first_beside));
        self.samples = self.samples.saturating_add(1);
        self.new += new;
        if let Some(old) = old {
            self.old += old;
            self.beside.get_or_insert_with(|| Beside::after(&self.alone));
        }
        let phi = self.terms.phi;
        if let Some(beside) = &mut self.beside {
            match old {
                Some(old) => {
                    let phi = self.lately.share().map_or(phi, |share| self.terms.phi_at(share));
                    beside.compare(
                        &self.terms,
                        &self.shares,
                        Comparison { new, old, weight: weight_beside, phi },
                    );
                }
                None => beside.stand_alone(&self.terms, &self.shares, new, weight_beside),
            }
        }
        if let Some(old) = old {
            self.lately = self.lately.scaled(LATELY) + old;
        }
        for (bet, share) in self.alone.iter_mut().zip(&self.shares) {
            *bet = ln_add(*bet, weight) + share.gain(new) / phi;
        }
        let alone = ln_mean(&self.alone);
        self.ln_e = self.beside.as_ref().map_or(alone, |beside| beside.ln_e(&self.terms).min(alone));
        let percent = self.percent();
        for (line, of) in self.reached.iter_mut().zip([25.0, 50.0, 75.0]) {
            if percent >= of {
                line.get_or_insert(at);
            }
        }
        if self.new.all >= self.terms.at_least && self.ln_e >= self.terms.target() {
            self.worse.get_or_insert(at);
        }
        self.shown()
    }

    /// What it shows now.
    pub fn shown(&self) -> Shown {
        Shown {
            ln_e: Some(self.ln_e).filter(|ln_e| ln_e.is_finite()),
            percent: self.percent(),
            finding: Finding::of(&self.terms, self.new, self.worse),
            new: self.new,
            old: self.beside.is_some().then_some(self.old),
        }
    }

    fn percent(&self) -> f64 {
        (100.0 * self.ln_e / self.terms.target()).clamp(0.0, 100.0)
    }

    /// With this certainty (0.99 for 99 %) the share of bad events is below what this says, from 0 to 1; whenever one
    /// looks, if events are independent. It is the mean share over the time watched, and of bursty events it takes phi for one.
    /// None with fewer events than `at_least`, or without any.
    pub fn below(&self, certainty: f64) -> Option<f64> {
        if self.new.all <= 0.0 || self.new.all < self.terms.at_least || !(0.0..1.0).contains(&certainty) {
            return None;
        }
        let Counts { bad, all } = self.new;
        let counts = Counts::new(bad / self.terms.phi, all / self.terms.phi);
        Some(bound::upper_at_any_time(counts, -(1.0 - certainty).ln()))
    }

    /// When 25, 50 and 75 % of what it takes were first reached.
    pub fn reached(&self) -> [Option<Timestamp>; 3] {
        self.reached
    }

    /// The samples with events, oldest first: the first 20,000 of them.
    pub fn samples(&self) -> &[Sampled] {
        &self.kept
    }

    /// How many samples came after those.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// After how many more samples like this one it will be worse, if no further bet begins.
    pub(super) fn samples_to_go(&self, sample: Counts) -> f64 {
        let target = self.terms.target() + f64::from(POINTS).ln();
        let bets = self.alone.iter().zip(&self.shares);
        let needed = bets.map(|(bet, share)| (target - bet, share.gain(sample.sound()) / self.terms.phi));
        let evidence = needed.filter(|(_, gain)| *gain > 0.0).map(|(lacks, gain)| (lacks / gain).max(0.0));
        let events = (self.terms.at_least - self.new.all) / sample.all;
        evidence.fold(f64::INFINITY, f64::min).max(events)
    }
}

impl Finding {
    /// What these counts allow to be said, if the evidence was reached at `worse`.
    pub(super) fn of(terms: &Terms, new: Counts, worse: Option<Timestamp>) -> Self {
        match worse {
            Some(at) => Self::Worse { at },
            None if new.all < terms.at_least || new.all <= 0.0 => Self::TooLittle,
            None => Self::Open,
        }
    }
}

impl Beside {
    /// Nothing was compared so far: all bets are those of the new slot alone.
    fn after(alone: &[f64]) -> Self {
        let bets = alone.to_vec();
        Self { at_once: bets.clone(), before: bets.clone(), after: bets, last: None, waits: None }
    }

    /// Takes in a sample of both slots.
    fn compare(&mut self, terms: &Terms, shares: &[Share], now: Comparison) {
        let Comparison { new, old, .. } = now;
        bet(&mut self.at_once, terms, shares, &now);
        if terms.compared == Compared::Around {
            let before = self.last.filter(|last| is_enough(*last, new)).unwrap_or(old);
            bet(&mut self.before, terms, shares, &Comparison { old: before, ..now });
            self.settle(terms, shares, Some(old));
            self.waits = Some(now);
        }
        self.last = Some(old);
    }

    /// Takes in a sample of the new slot alone.
    fn stand_alone(&mut self, terms: &Terms, shares: &[Share], new: Counts, weight: f64) {
        self.settle(terms, shares, None);
        self.last = None;
        for bets in [&mut self.at_once, &mut self.before, &mut self.after] {
            for (bet, share) in bets.iter_mut().zip(shares) {
                *bet = ln_add(*bet, weight.ln()) + share.gain(new) / terms.phi;
            }
        }
    }

    /// The sample that waits is compared with what the old slot has had after it; with its own where that is nothing.
    fn settle(&mut self, terms: &Terms, shares: &[Share], after: Option<Counts>) {
        if let Some(waits) = self.waits.take() {
            let old = after.filter(|after| is_enough(*after, waits.new)).unwrap_or(waits.old);
            bet(&mut self.after, terms, shares, &Comparison { old, ..waits });
        }
    }

    fn ln_e(&self, terms: &Terms) -> f64 {
        let at_once = ln_mean(&self.at_once);
        match terms.compared {
            Compared::AtOnce => at_once,
            Compared::Around => {
                at_once.min(AROUND * ln_mean(&self.before)).min(AROUND * ln_mean(&self.after))
            }
        }
    }
}

/// Whether what the old slot had is enough to compare with.
fn is_enough(old: Counts, new: Counts) -> bool {
    old.all >= new.all * LEAST_OLD
}

/// Bets on a comparison.
fn bet(bets: &mut [f64], terms: &Terms, shares: &[Share], of: &Comparison) {
    let Comparison { new, old, weight, phi } = *of;
    let parts = match terms.weighed {
        Weighed::Evenly => vec![1.0; shares.len()],
        Weighed::Early => by_part(shares, new, old),
    };
    for ((bet, share), part) in bets.iter_mut().zip(shares).zip(parts) {
        *bet = ln_add(*bet, (weight * part).ln()) + share.gain_beside(new, old) / phi;
    }
}

impl Share {
    fn gain(&self, new: Counts) -> f64 {
        new.bad * self.ln_bad + (new.all - new.bad) * self.ln_good
    }

    fn gain_beside(&self, new: Counts, old: Counts) -> f64 {
        let among = ((self.ratio * new.all + old.all) / (new.all + old.all)).ln();
        new.bad * self.ln_bad - (new.bad + old.bad) * among
    }
}

/// From 1.5 p0 to 0.9, evenly in the logarithm.
fn shares(p0: f64) -> impl Iterator<Item = Share> {
    let (low, high) = ((p0 * LOWEST).ln(), HIGHEST.ln());
    (0..POINTS).map(move |j| {
        let p = (low + (high - low) * f64::from(j) / f64::from(POINTS - 1)).exp();
        Share { ratio: p / p0, ln_bad: (p / p0).ln(), ln_good: ((1.0 - p) / (1.0 - p0)).ln() }
    })
}

/// How bets against the old slot are spread, 1 on the mean: evenly over the part of all failures that would be the new slot's.
/// Which part that is depends on nothing but the events of both, so it is known before anybody asks whose the failures are.
fn by_part(shares: &[Share], new: Counts, old: Counts) -> Vec<f64> {
    if old.all <= 0.0 {
        return vec![1.0; shares.len()];
    }
    let density = |share: &Share| {
        let odds = share.ratio * new.all / old.all;
        // Shares are spread evenly in the logarithm, so this much of the part lies around each.
        odds / (1.0 + odds).powi(2)
    };
    let sum: f64 = shares.iter().map(density).sum();
    shares.iter().map(|share| f64::from(POINTS) * density(share) / sum).collect()
}

/// What a bet that begins with the sample after so many is worth, if `first` of all belongs to the very first.
fn weight(samples: u32, starts: u32, first: f64) -> f64 {
    let starts = starts.max(1);
    let part = match samples / starts {
        0 => 1.0 - OVERTIME - first,
        times => OVERTIME / (f64::from(times) * (f64::from(times) + 1.0)),
    };
    part / f64::from(starts) + if samples == 0 { first } else { 0.0 }
}

/// ln(e^a + e^b)
fn ln_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low.is_finite() { high + (low - high).exp().ln_1p() } else { high }
}

/// ln of the mean of e^x
fn ln_mean(values: &[f64]) -> f64 {
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !high.is_finite() {
        return high;
    }
    let sum: f64 = values.iter().map(|value| (value - high).exp()).sum();
    high + (sum / f64::from(POINTS)).ln()
}

#[cfg(test)]
mod tests;
