//! The `for` clock of one trigger: how long its condition has been true, by evidence alone.
//!
//! ```text
//!            breach                    breach, `for` full
//!   quiet ───────────▶ breaching ───────────────────────▶ fired ──┐
//!     ▲                 │   │ ▲                             │     │ stays so
//!     │   ok or missing │   └─┘ breach after a gap:         │ ◀───┘
//!     ├─────────────────┘       the clock starts anew       │
//!     └─────────────────────────────────────────────────────┘ reset()
//!
//!   seeing ── five missing in a row ──▶ blind ── a value ──▶ seeing        (beside the above)
//! ```
//!
//! What counts as evidence:
//! - Time passes by the samples' own timestamps. A value whose timestamp is not after the last value's says nothing new
//!   and is ignored, so a server that repeats itself moves no clock.
//! - Between two breaches no more than two intervals may lie, and no sample that is not a breach. A missing sample ends
//!   the clock as a good one does: nobody measured that the breach went on.
//! - A value from further ahead than two intervals, ten seconds at least, is no evidence but a wrong clock, and counts as missing. Were it taken,
//!   every honest sample after it would look like a step back.
//! - Missing samples carry the time of asking, by our clock and not the server's, so they are ordered among themselves only.

use super::{
    metric::{Missing, Sample},
    runbook::{OnNoData, TriggerWatch},
    time::{Span, Timestamp},
    verdict::finite,
};

/// So many missing samples in a row make a trigger blind.
pub const BLIND_AFTER: u32 = 5;

/// Between consecutive samples of a breach no more than so many intervals may pass.
const GAP_INTERVALS: u64 = 2;

/// Clocks of two hosts may differ by so much.
const AHEAD: Span = Span::from_secs(10);

/// What a sample changed.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerChange {
    /// The condition is true and the clock runs. Told again, with a later `since`, where a gap started the clock anew.
    Breaching {
        /// The first breaching sample's time.
        since: Timestamp,
        /// The value.
        value: f64,
    },
    /// The condition is no longer known to be true.
    Cleared {
        /// The value that cleared it, or nothing where data went missing.
        value: Option<f64>,
    },
    /// What the trigger is for has happened. Told once, until [`TriggerClock::reset`].
    Fired(Cause),
    /// Five samples in a row were missing. Told once, until data comes again.
    Blind(Missing),
    /// There is data again.
    Sees,
}

/// Why a trigger fired.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// The condition was true for the whole of `for`.
    Held {
        /// The first breaching sample's time.
        since: Timestamp,
        /// The time from that to the newest sample: `for` or a little more.
        elapsed: Span,
        /// The newest value.
        value: f64,
    },
    /// It went blind, and `no_data` says that this counts as a breach that lasted.
    NoData(Missing),
}

/// A breach that goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breach {
    /// The first breaching sample's time.
    pub since: Timestamp,
    /// From there to the newest sample.
    pub elapsed: Span,
    /// The newest value.
    pub value: f64,
    /// How many samples say so.
    pub samples: u32,
}

/// What the meter shows.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerState {
    /// The breach, while it goes on.
    pub breach: Option<Breach>,
    /// How long it must last.
    pub of: Span,
    /// Whether the trigger has fired and was not reset.
    pub fired: bool,
    /// Why there is no data, while the trigger is blind.
    pub blind: Option<Missing>,
    /// Missing samples in a row, up to now.
    pub missing: u32,
}

/// Follows one trigger's samples.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerClock {
    watch: TriggerWatch,
    gap: Span,
    /// The newest value's time.
    valued_at: Option<Timestamp>,
    /// The newest missing sample's time.
    missing_at: Option<Timestamp>,
    breach: Option<Breach>,
    fired: bool,
    /// Missing samples in a row.
    missing: u32,
    /// … of which so many came since the trigger was armed.
    missing_armed: u32,
    blind: Option<Missing>,
}

impl TriggerClock {
    /// A clock for a trigger whose metric is measured every `interval`.
    #[must_use]
    pub fn new(watch: &TriggerWatch, interval: Span) -> Self {
        Self {
            watch: watch.clone(),
            gap: Span::from_millis(interval.as_millis().saturating_mul(GAP_INTERVALS)),
            valued_at: None,
            missing_at: None,
            breach: None,
            fired: false,
            missing: 0,
            missing_armed: 0,
            blind: None,
        }
    }

    /// Takes in a sample that was just measured; `now` is the engine's time. Feed it live samples only, never the past
    /// from a backfill: that would credit time nobody watched.
    ///
    /// Mostly nothing changes. Up to two things do: data comes back as a breach, or blindness fires.
    pub fn observe(&mut self, sample: &Sample, now: Timestamp) -> Vec<TriggerChange> {
        match (&sample.value, finite(&sample.value)) {
            (_, Some(_)) if sample.at > now + self.gap.max(AHEAD) => {
                let ahead = sample.at.since(now);
                self.miss(now, Missing::Stale(format!("{ahead} in the future")))
            }
            (_, Some(value)) => self.value(sample.at, value),
            (Ok(_), None) => self.miss(sample.at, Missing::NotANumber),
            (Err(why), None) => self.miss(sample.at, why.clone()),
        }
    }

    /// Arms the trigger again, after its countdown was cancelled or its question answered: it takes a new full `for`
    /// (or five more missing samples) to fire. That it is blind stays known.
    pub fn reset(&mut self) {
        self.fired = false;
        self.breach = None;
        self.missing_armed = 0;
    }

    /// What the meter shows.
    #[must_use]
    pub fn state(&self) -> TriggerState {
        TriggerState {
            breach: self.breach,
            of: self.watch.hold_for,
            fired: self.fired,
            blind: self.blind.clone(),
            missing: self.missing,
        }
    }

    fn value(&mut self, at: Timestamp, value: f64) -> Vec<TriggerChange> {
        if self.valued_at.is_some_and(|last| at <= last) {
            return Vec::new();
        }
        let since_last = self.valued_at.map(|last| at.since(last));
        self.valued_at = Some(at);
        (self.missing, self.missing_armed) = (0, 0);
        let mut changes: Vec<_> = self.blind.take().map(|_| TriggerChange::Sees).into_iter().collect();
        if self.watch.when.holds(value) {
            changes.extend(self.breached(at, value, since_last));
        } else {
            changes.extend(self.clear(Some(value)));
        }
        changes
    }

    fn breached(&mut self, at: Timestamp, value: f64, since_last: Option<Span>) -> Option<TriggerChange> {
        let running = self.breach.filter(|_| since_last.is_some_and(|passed| passed <= self.gap));
        let Some(breach) = running else {
            self.breach = Some(Breach { since: at, elapsed: Span::ZERO, value, samples: 1 });
            return (!self.fired).then_some(TriggerChange::Breaching { since: at, value });
        };
        let (since, elapsed) = (breach.since, at.since(breach.since));
        self.breach = Some(Breach { since, elapsed, value, samples: breach.samples.saturating_add(1) });
        // The second sample at the earliest: one alone is never enough, even for a `for` of nothing.
        if self.fired || elapsed < self.watch.hold_for {
            return None;
        }
        self.fired = true;
        Some(TriggerChange::Fired(Cause::Held { since, elapsed, value }))
    }

    fn miss(&mut self, at: Timestamp, why: Missing) -> Vec<TriggerChange> {
        if self.missing_at.is_some_and(|last| at <= last) {
            return Vec::new();
        }
        self.missing_at = Some(at);
        self.missing = self.missing.saturating_add(1);
        self.missing_armed = self.missing_armed.saturating_add(1);
        let mut changes: Vec<_> = self.clear(None).into_iter().collect();
        if self.missing >= BLIND_AFTER && self.blind.replace(why.clone()).is_none() {
            changes.push(TriggerChange::Blind(why.clone()));
        }
        if self.missing_armed >= BLIND_AFTER && self.watch.no_data == OnNoData::Rollback && !self.fired {
            self.fired = true;
            changes.push(TriggerChange::Fired(Cause::NoData(why)));
        }
        changes
    }

    fn clear(&mut self, value: Option<f64>) -> Option<TriggerChange> {
        self.breach.take().filter(|_| !self.fired).map(|_| TriggerChange::Cleared { value })
    }
}

#[cfg(test)]
mod tests;
