//! How long a verdict takes at a given traffic.

use super::{
    counts::Counts,
    meter::{Finding, Meter},
    terms::Terms,
};
use crate::domain::time::{Span, Timestamp};

/// Beyond this nobody waits, and it is said as "never".
const LONGEST: Span = Span::from_mins(60 * 24 * 30);

/// No more samples than this are played through; after them no further bet is taken into account.
const MOST_PLAYED: u32 = 20_000;

/// About how long it takes until a release whose events are bad at `rate` is found worse, with `per_second` events and a
/// sample every `interval`: the time at which it is as likely found as not. None where it never is, or not within 30 days.
pub fn time_to_verdict(terms: Terms, rate: f64, per_second: f64, interval: Span) -> Option<Span> {
    let all = per_second * interval.to_std().as_secs_f64();
    if !(all > 0.0 && all.is_finite() && (0.0..=1.0).contains(&rate)) {
        return None;
    }
    // Every sample as it is expected.
    let sample = Counts::new(all * rate, all);
    let mut meter = Meter::new(terms).ok()?;
    let mut took = Span::ZERO;
    for _ in 0..terms.starts.min(MOST_PLAYED) {
        took = took.saturating_add(interval);
        if took > LONGEST {
            return None;
        }
        if let Finding::Worse { .. } = meter.add(Timestamp(0) + took, sample).finding {
            return Some(took);
        }
    }
    let left = LONGEST.saturating_sub(took).to_std().as_secs_f64();
    let more = meter.samples_to_go(sample).ceil() * interval.to_std().as_secs_f64();
    let more = std::time::Duration::try_from_secs_f64(more).ok().filter(|more| more.as_secs_f64() <= left)?;
    Some(took.saturating_add(Span::from_millis(u64::try_from(more.as_millis()).ok()?)))
}

#[cfg(test)]
mod tests;
