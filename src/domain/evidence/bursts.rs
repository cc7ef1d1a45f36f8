//! How bursty bad events are while nothing is wrong: phi, the variance of their counts in blocks over the mean.
//!
//! Computed by its definition from sixty numbers of which few are large, phi is too small in most hours and far too large in
//! some. So it is fitted: the rate of each block has a factor of its own (gamma, mean 1), and phi is the one under which the blocks
//! are most likely (negative binomial). Where that is hardly more likely than chance alone, phi is 1.
//!
//! An incident is not a burst. One stretch of blocks that the others make all but impossible, and that was over before the end, is
//! left out. A service whose errors always come like this has more than one such stretch, and then none is left out.

use super::counts::Counts;

/// Twice the gain in ln likelihood that it takes to speak of bursts: chance alone reaches it once in twenty hours.
const NOT_BY_CHANCE: f64 = 2.7;
/// An incident is no longer than this many blocks …
const LONGEST_INCIDENT: usize = 10;
/// … and was over so many blocks before the end, or it may go on.
const OVER: usize = 2;
/// ln of how unlikely the worst block of an incident is by all others …
const INCIDENT: f64 = 18.0;
/// … and of how unlikely each of its other blocks is by chance alone.
const PART_OF_IT: f64 = 4.0;
/// Blocks cut bursts into parts and see less of them than there is, of those half as long as a block a sixth less.
const CUT: f64 = 1.2;
/// Halvings of the range in which the likeliest phi is looked for.
const STEPS: usize = 28;
/// phi is not looked for below this, where it is as good as 1 …
const LEAST: f64 = 0.01;
/// … nor above what factors of this variance make of it.
const MOST_VARIANCE: f64 = 100.0;

/// The blocks of the hour before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bursts {
    /// The variance of bad counts over their mean, at least 1.
    pub(super) phi: f64,
    /// What was counted in all blocks but those of an incident.
    pub(super) counts: Counts,
    /// How many blocks were an incident.
    pub(super) incident: usize,
}

impl Bursts {
    /// From blocks of equal length, oldest first. Those in which nothing was counted are gaps.
    pub(super) fn of(blocks: &[Counts]) -> Self {
        let blocks: Vec<Counts> =
            blocks.iter().map(|block| block.sound()).filter(|block| block.all > 0.0).collect();
        let all = Fit::of(&blocks);
        let incident = incident(&blocks, &all);
        let fit = if incident.is_empty() { all } else { Fit::of(&without(&blocks, &incident)) };
        Self { phi: 1.0 + CUT * fit.excess, counts: fit.counts, incident: incident.len() }
    }
}

/// What makes some blocks most likely.
#[derive(Debug, Clone, Copy)]
struct Fit {
    counts: Counts,
    /// phi - 1.
    excess: f64,
    /// The variance of the blocks' factors: the excess for each bad event that is expected.
    variance: f64,
}

impl Fit {
    fn of(blocks: &[Counts]) -> Self {
        let counts = blocks.iter().fold(Counts::NONE, |sum, block| sum + *block);
        let none = Self { counts, excess: 0.0, variance: 0.0 };
        let Some(share) = counts.share().filter(|share| *share > 0.0) else { return none };
        if blocks.len() < 2 {
            return none;
        }
        let mean = counts.bad / blocks.iter().fold(0.0, |count, _| count + 1.0);
        let likelihood = |ln_excess: f64| {
            let variance = ln_excess.exp() / mean;
            blocks.iter().map(|block| ln_likelihood(block.bad, block.all * share, variance)).sum::<f64>()
        };
        let most = (MOST_VARIANCE * mean).max(2.0 * LEAST);
        let best = highest(LEAST.ln(), most.ln(), likelihood);
        let by_chance: f64 =
            blocks.iter().map(|block| ln_likelihood(block.bad, block.all * share, 0.0)).sum();
        if 2.0 * (likelihood(best) - by_chance) < NOT_BY_CHANCE {
            return none;
        }
        Self { counts, excess: best.exp(), variance: best.exp() / mean }
    }

    /// How many bad ones it expects in a block; where it has seen none, half an event in all of its time.
    fn expects(&self, block: Counts) -> f64 {
        block.all * self.counts.bad.max(0.5) / self.counts.all
    }
}

/// The blocks of the one incident, where there was one.
fn incident(blocks: &[Counts], all: &Fit) -> std::ops::Range<usize> {
    let surprise = |at: usize, fit: &Fit, variance: f64| {
        blocks.get(at).map_or(0.0, |block| ln_unlikely(block.bad, fit.expects(*block), variance))
    };
    let by_surprise = |a: &usize, b: &usize| surprise(*a, all, 0.0).total_cmp(&surprise(*b, all, 0.0));
    let Some(worst) = (0..blocks.len()).max_by(by_surprise) else { return 0..0 };
    // What chance makes of it is no incident, and costs no further fit.
    if surprise(worst, all, 0.0) < PART_OF_IT {
        return 0..0;
    }
    let mut stretch = worst..worst + 1;
    while stretch.len() < LONGEST_INCIDENT {
        let rest = without(blocks, &stretch);
        let counts = rest.iter().fold(Counts::NONE, |sum, block| sum + *block);
        let chance = Fit { counts, excess: 0.0, variance: 0.0 };
        let before = stretch.start.checked_sub(1).map_or(0.0, |at| surprise(at, &chance, 0.0));
        let after = surprise(stretch.end, &chance, 0.0);
        if before.max(after) < PART_OF_IT {
            break;
        } else if before > after {
            stretch.start -= 1;
        } else {
            stretch.end += 1;
        }
    }
    let rest = Fit::of(&without(blocks, &stretch));
    let over = stretch.end + OVER <= blocks.len();
    if over && rest.counts.all > 0.0 && surprise(worst, &rest, rest.variance) > INCIDENT {
        stretch
    } else {
        0..0
    }
}

fn without(blocks: &[Counts], stretch: &std::ops::Range<usize>) -> Vec<Counts> {
    let kept = blocks.iter().enumerate().filter(|(at, _)| !stretch.contains(at));
    kept.map(|(_, block)| *block).collect()
}

/// ln of the chance of `bad` where `mean` are expected, times a factor of this variance; what depends on `bad` alone is left out.
fn ln_likelihood(bad: f64, mean: f64, variance: f64) -> f64 {
    if variance <= 0.0 {
        return bad * mean.ln() - mean;
    }
    let shape = 1.0 / variance;
    let product = variance * mean;
    ln_gamma(bad + shape) - ln_gamma(shape) + bad * product.ln() - (bad + shape) * product.ln_1p()
}

/// -ln of a bound of the chance that there are `bad` or more (Chernoff's).
fn ln_unlikely(bad: f64, mean: f64, variance: f64) -> f64 {
    if bad <= mean || mean <= 0.0 {
        return 0.0;
    }
    if variance <= 0.0 {
        return bad * (bad / mean).ln() - bad + mean;
    }
    let grown = (1.0 + variance * bad) / (1.0 + variance * mean);
    bad * (bad / mean / grown).ln() - grown.ln() / variance
}

/// Stirling's series; below 8 by the recursion that leads there.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 1.0);
    while x < 8.0 {
        below *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - below.ln()
}

/// Where a function with one summit is highest (golden section).
fn highest(mut low: f64, mut high: f64, of: impl Fn(f64) -> f64) -> f64 {
    let part = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut left, mut right) = (high - part * (high - low), low + part * (high - low));
    let (mut at_left, mut at_right) = (of(left), of(right));
    for _ in 0..STEPS {
        if at_left < at_right {
            (low, left, at_left) = (left, right, at_right);
            right = low + part * (high - low);
            at_right = of(right);
        } else {
            (high, right, at_right) = (right, left, at_left);
            left = high - part * (high - low);
            at_left = of(left);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests;
