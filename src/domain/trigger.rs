//! The `for` clock of one trigger: how long its condition has been true, counted only on evidence, and tolerant of lost
//! answers.
//!
//! ```text
//!            breach                       breach, `for` full and enough measured
//!   quiet ───────────▶ breaching ───────────────────────────────────────▶ fired ──┐
//!     ▲                 │   │ ▲                                             │     │ stays so
//!     │   good sample   │   └─┘ breach after too long a gap:                 │ ◀───┘
//!     ├─────────────────┘       the clock starts over                       │
//!     └─────────────────────────────────────────────────────────────────────┘ reset()
//!
//!   seeing ── five missing in a row, or half of the last 20 ──▶ blind ── six measured in a row ──▶ seeing
//! ```
//!
//! A bad release often harms its own metrics, so a lost answer must not disarm the trigger. The clock runs from the first
//! breach to the newest one, and fires at the first breach at which `for` is full, if since its start
//! 1. no sample was measured as good,
//! 2. at least 60 % of the samples due were measured, and
//! 3. no gap between two measured samples was longer than six spacings, or a fifth of `for` where that is more.
//!
//! Samples are due by the spacing achieved: the median of the newest ones, never finer than declared. A source that needs
//! three seconds for an answer is slow, not lost, whatever interval was declared.
//!
//! A trigger that evidence decides has no `for`. Its clock only tells whether its metric is measured.
//!
//! What counts as evidence:
//! - Time passes by the samples' own timestamps. A value whose timestamp is not after the last value's says nothing new
//!   and is ignored, so a server that repeats itself moves no clock.
//! - A missing sample neither advances nor ends the clock. It was due, so too many of them make it wait for more; and too
//!   long a time without a value makes it start over.
//! - Doubt ends by measurement only: a breach with a good sample, blindness with six measured in a row.
//! - A value from further ahead than two intervals, ten seconds at least, is no evidence but a wrong clock, and counts as
//!   missing. Were it taken, every honest sample after it would look like a step back.
//! - Missing samples carry the time of asking, by our clock and not the server's, so they are ordered among themselves only.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    metric::{Missing, Sample},
    runbook::{OnNoData, TriggerWatch},
    time::{Span, Timestamp},
    verdict::finite,
};

/// So many missing samples in a row make a trigger blind …
pub const BLIND_AFTER: u32 = 5;
/// … or so many, in any order, …
const BLIND_AMONG: usize = 10;
/// … of the newest so many.
const RECENT: usize = 20;
/// So many measured samples in a row end blindness.
const SEES_AFTER: u32 = 6;

/// Of the samples due so many percent must have been measured.
const MEASURED_PERCENT: u64 = 60;
/// No gap between two measured samples may be longer than so many spacings …
const GAP_SPACINGS: u64 = 6;
/// … or this part of `for`, whichever is more.
const GAP_PART: u64 = 5;

/// The spacing achieved is the median of so many.
const SPACINGS: usize = 9;
/// No answer takes longer than this; a longer pause was no spacing but a gap, or time asleep.
const LONGEST_SPACING: Span = Span::from_secs(60);
/// What an interval of nothing is taken for.
const LEAST_INTERVAL: Span = Span::from_secs(1);

/// Clocks of two hosts may differ by two intervals, and by this at least.
const AHEAD: Span = Span::from_secs(10);

/// What a sample changed.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerChange {
    /// The condition is true and the clock runs. Told again, with a later `since`, where a gap restarted the clock.
    Breaching {
        /// The first breaching sample's time.
        since: Timestamp,
        /// The value.
        value: f64,
    },
    /// The clock cannot fire when it was last said to. Told again only where it is later still.
    Waits {
        /// The earliest time at which it can.
        until: Timestamp,
        /// Why.
        why: Waits,
    },
    /// A good sample was measured: the breach is over.
    Cleared {
        /// Its value.
        value: f64,
    },
    /// What the trigger is for has happened. Told once, until [`TriggerClock::reset`].
    Fired(Cause),
    /// Too many samples are missing. Told once, until it sees again.
    Blind(Missing),
    /// Enough was measured again.
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

/// Why a trigger in breach fires later than `for` after the breach began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// Too few of the samples due were measured.
    TooFew {
        /// Samples that were measured.
        measured: u32,
        /// Samples that were due.
        due: u32,
    },
    /// Nothing was measured for so long that the clock starts over with the next breach.
    Gap {
        /// For how long.
        unmeasured: Span,
    },
    /// Another engine has taken the run up: the clock starts over with the next breach.
    Resumed,
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooFew { measured, due } => {
                write!(f, "{measured} of {due} samples measured, {MEASURED_PERCENT} % needed")
            }
            Self::Gap { unmeasured } => {
                write!(f, "not measured for {}: the clock starts over", unmeasured.clock())
            }
            Self::Resumed => f.write_str("the run was resumed: the clock starts over"),
        }
    }
}

/// A breach that goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breach {
    /// The first breaching sample's time.
    pub since: Timestamp,
    /// From there to the newest breaching sample.
    pub elapsed: Span,
    /// The newest value.
    pub value: f64,
    /// How many samples say so.
    pub samples: u32,
    /// How many samples have come since then, missing ones among them.
    came: u32,
    /// When the newest of them came, by our clock.
    seen: Timestamp,
    /// The latest time that it was said to wait for.
    told: Timestamp,
    /// It was said that the clock starts over.
    lapsed: bool,
}

/// What the meter shows.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerState {
    /// The breach, while it goes on.
    pub breach: Option<Breach>,
    /// Samples that were due since it began, by the spacing achieved.
    pub due: u32,
    /// How long the breach must last.
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
    interval: Span,
    /// Times between samples, the newest last; as declared, until measured.
    spacings: VecDeque<Span>,
    /// Missing samples since the newest value.
    between: u32,
    /// The newest value's time.
    valued_at: Option<Timestamp>,
    /// The newest missing sample's time.
    missing_at: Option<Timestamp>,
    breach: Option<Breach>,
    /// A breach was told, and no good sample has come since.
    doubted: bool,
    fired: bool,
    /// Missing samples in a row.
    missing: u32,
    /// Measured samples in a row.
    measured: u32,
    /// Whether each of the newest samples was measured, the newest last.
    recent: VecDeque<bool>,
    /// How many samples came since the trigger was armed.
    armed: usize,
    blind: Option<Missing>,
}

impl TriggerClock {
    /// A clock for a trigger whose metric is measured every `interval`.
    #[must_use]
    pub fn new(watch: &TriggerWatch, interval: Span) -> Self {
        let interval = if interval == Span::ZERO { LEAST_INTERVAL } else { interval };
        Self {
            watch: watch.clone(),
            interval,
            spacings: std::iter::repeat_n(interval, SPACINGS).collect(),
            between: 0,
            valued_at: None,
            missing_at: None,
            breach: None,
            doubted: false,
            fired: false,
            missing: 0,
            measured: 0,
            recent: VecDeque::with_capacity(RECENT),
            armed: 0,
            blind: None,
        }
    }

    /// … that takes up what an earlier clock has told: a breach or blindness is doubt until measurement ends it. Its time
    /// is not credited.
    #[must_use]
    pub fn taking_up(mut self, breaching: bool, blind: Option<Missing>) -> Self {
        self.doubted = breaching;
        self.blind = blind;
        self
    }

    /// Takes in a sample that was just measured; `now` is the engine's time. Feed it live samples only, never the past
    /// from a backfill: that would credit time nobody watched.
    ///
    /// Mostly nothing changes. Up to two things do: it sees again, and that is a breach; or blindness fires.
    pub fn observe(&mut self, sample: &Sample, now: Timestamp) -> Vec<TriggerChange> {
        let ahead = times(self.interval, 2).max(AHEAD);
        match (&sample.value, finite(&sample.value)) {
            (_, Some(_)) if sample.at > now + ahead => {
                let ahead = sample.at.since(now);
                self.miss(now, Missing::Stale(format!("{ahead} in the future")))
            }
            (_, Some(value)) => self.value(sample.at, value, now),
            (Ok(_), None) => self.miss(sample.at, Missing::NotANumber),
            (Err(why), None) => self.miss(sample.at, why.clone()),
        }
    }

    /// Arms the trigger again, after its countdown was cancelled or its question answered: it takes a new full `for`
    /// (or new blindness) to fire. That it is blind stays known.
    pub fn reset(&mut self) {
        self.fired = false;
        self.breach = None;
        self.doubted = false;
        self.armed = 0;
    }

    /// What the meter shows.
    #[must_use]
    pub fn state(&self) -> TriggerState {
        TriggerState {
            breach: self.breach,
            due: self.breach.map_or(0, |breach| self.due(&breach, breach.elapsed)),
            of: self.hold_for(),
            fired: self.fired,
            blind: self.blind.clone(),
            missing: self.missing,
        }
    }

    fn value(&mut self, at: Timestamp, value: f64, now: Timestamp) -> Vec<TriggerChange> {
        if self.valued_at.is_some_and(|last| at <= last) {
            return Vec::new();
        }
        // Judged by what was known before: a gap is no measure of itself.
        let longest = self.longest_gap();
        let passed = self.valued_at.map(|last| at.since(last));
        if let Some(passed) = passed {
            self.note_spacing(passed);
        }
        self.valued_at = Some(at);
        self.between = 0;
        self.missing = 0;
        self.measured = self.measured.saturating_add(1);
        self.note_sample(true);
        let mut changes = Vec::new();
        if self.measured >= SEES_AFTER && self.blind.take().is_some() {
            // What was lost before is over; it takes new losses to be blind again.
            self.recent.clear();
            changes.push(TriggerChange::Sees);
        }
        if self.watch.rule.fixed().is_some_and(|(when, _)| when.holds(value)) {
            let goes_on = passed.is_some_and(|passed| passed <= longest);
            changes.extend(self.breached(at, value, now, goes_on));
        } else {
            changes.extend(self.clear(value));
        }
        changes
    }

    fn breached(
        &mut self,
        at: Timestamp,
        value: f64,
        now: Timestamp,
        goes_on: bool,
    ) -> Option<TriggerChange> {
        let Some(mut breach) = self.breach.filter(|_| goes_on) else {
            let told = at + self.hold_for();
            self.breach = Some(Breach {
                since: at,
                elapsed: Span::ZERO,
                value,
                samples: 1,
                came: 1,
                seen: now,
                told,
                lapsed: false,
            });
            self.doubted = true;
            return (!self.fired).then_some(TriggerChange::Breaching { since: at, value });
        };
        breach.elapsed = at.since(breach.since);
        breach.value = value;
        breach.samples = breach.samples.saturating_add(1);
        breach.came = breach.came.saturating_add(1);
        breach.seen = now;
        // It came earlier than was due, and so it goes on.
        let lapsed = std::mem::take(&mut breach.lapsed);
        self.breach = Some(breach);
        let due = self.due(&breach, breach.elapsed);
        // The second sample at the earliest: one alone is never enough, even for a `for` of nothing.
        if self.fired || breach.elapsed < self.hold_for() || lacking(breach.samples, due) > 0 {
            let again = TriggerChange::Breaching { since: breach.since, value };
            return self.waits(at, due).or((lapsed && !self.fired).then_some(again));
        }
        self.fired = true;
        Some(TriggerChange::Fired(Cause::Held { since: breach.since, elapsed: breach.elapsed, value }))
    }

    fn miss(&mut self, at: Timestamp, why: Missing) -> Vec<TriggerChange> {
        if self.missing_at.is_some_and(|last| at <= last) {
            return Vec::new();
        }
        self.missing_at = Some(at);
        self.between = self.between.saturating_add(1);
        self.missing = self.missing.saturating_add(1);
        self.measured = 0;
        self.note_sample(false);
        let mut changes: Vec<_> = self.missed_in_breach(at).into_iter().collect();
        let was_blind = self.blind.is_some();
        if was_blind || self.cannot_see(self.recent.len()) {
            self.blind = Some(why.clone());
            if !was_blind {
                changes.push(TriggerChange::Blind(why.clone()));
            }
        }
        if self.watch.no_data == OnNoData::Rollback && !self.fired && self.cannot_see(self.armed) {
            self.fired = true;
            changes.push(TriggerChange::Fired(Cause::NoData(why)));
        }
        changes
    }

    /// What a missing sample means for a breach: one more was due. Where the next one would come after too long a gap the
    /// clock is going to start over.
    fn missed_in_breach(&mut self, at: Timestamp) -> Option<TriggerChange> {
        let (spacing, longest, hold_for) = (self.spacing(), self.longest_gap(), self.hold_for());
        let breach = self.breach.as_mut()?;
        breach.came = breach.came.saturating_add(1);
        let unmeasured = at.since(breach.seen);
        if unmeasured.saturating_add(spacing) <= longest {
            let breach = *breach;
            return self.waits(at, self.due(&breach, at.since(breach.since)));
        }
        let told = std::mem::replace(&mut breach.lapsed, true);
        let (until, why) = (at + hold_for, Waits::Gap { unmeasured });
        (!told && !self.fired).then_some(TriggerChange::Waits { until, why })
    }

    /// Whether the clock must wait for longer than it has said.
    fn waits(&mut self, at: Timestamp, due: u32) -> Option<TriggerChange> {
        let spacing = self.spacing();
        let breach = self.breach.as_mut().filter(|_| !self.fired)?;
        let until = at + times(spacing, lacking(breach.samples, due));
        // With nothing lacking the next breach after `for` fires: that was promised. Half a spacing is no news.
        if lacking(breach.samples, due) == 0
            || until <= breach.told + Span::from_millis(spacing.as_millis() / 2)
        {
            return None;
        }
        breach.told = until;
        Some(TriggerChange::Waits { until, why: Waits::TooFew { measured: breach.samples, due } })
    }

    fn clear(&mut self, value: f64) -> Option<TriggerChange> {
        self.breach = None;
        let doubted = std::mem::take(&mut self.doubted);
        (doubted && !self.fired).then_some(TriggerChange::Cleared { value })
    }

    /// Whether too many are missing of the newest so many samples.
    fn cannot_see(&self, newest: usize) -> bool {
        let newest = || self.recent.iter().rev().take(newest);
        let in_a_row = newest().take_while(|measured| !**measured).count();
        let among = newest().filter(|measured| !**measured).count();
        in_a_row >= BLIND_AFTER as usize || among >= BLIND_AMONG
    }

    fn note_sample(&mut self, measured: bool) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(measured);
        self.armed = self.armed.saturating_add(1);
    }

    /// Between two values lie the missing samples: each took its part of the time.
    fn note_spacing(&mut self, passed: Span) {
        let each = Span::from_millis(passed.as_millis() / (u64::from(self.between) + 1));
        if each <= LONGEST_SPACING.max(self.interval) {
            self.spacings.pop_front();
            self.spacings.push_back(each);
        }
    }

    /// The spacing achieved.
    fn spacing(&self) -> Span {
        let mut sorted: Vec<Span> = self.spacings.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(self.interval).max(self.interval)
    }

    /// How long a breach must last. What evidence decides has no breach; of it the clock only knows whether it is measured.
    fn hold_for(&self) -> Span {
        self.watch.rule.fixed().map_or(Span::ZERO, |(_, hold_for)| hold_for)
    }

    fn longest_gap(&self) -> Span {
        longest_gap(self.hold_for(), self.spacing())
    }

    /// How many samples were due in so much time since a breach began: by the spacing achieved, and never fewer than came.
    fn due(&self, breach: &Breach, elapsed: Span) -> u32 {
        let by_time = elapsed.as_millis() / self.spacing().as_millis().max(1) + 1;
        u32::try_from(by_time).unwrap_or(u32::MAX).max(breach.came)
    }
}

/// The longest time between two measured samples through which a `for` clock goes on.
#[must_use]
pub fn longest_gap(hold_for: Span, spacing: Span) -> Span {
    times(spacing, GAP_SPACINGS).max(Span::from_millis(hold_for.as_millis() / GAP_PART))
}

/// How many more samples must be measured, and nothing be lost, until enough of those due are.
fn lacking(measured: u32, due: u32) -> u64 {
    let short = (MEASURED_PERCENT * u64::from(due)).saturating_sub(100 * u64::from(measured));
    short.div_ceil(100 - MEASURED_PERCENT)
}

fn times(span: Span, count: u64) -> Span {
    Span::from_millis(span.as_millis().saturating_mul(count))
}

#[cfg(test)]
mod tests;
