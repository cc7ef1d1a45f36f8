//! Evidence that a release is worse than it may be: from counted events, a verdict as soon as there is enough.
//!
//! A fixed rule ("error rate > 1 % for 5 minutes") waits for five minutes however clear the case is, and is blind below its
//! bound. A sequential test looks at every sample, and its false alarm rate is set beforehand and is kept however often one
//! looks. `docs/evidence.md` says it in plain words, with figures.
//!
//! - [`counters`]: raw counters of a slot -> how many events there were, and how many were bad.
//! - [`meter`]: the test itself. [`meter::Meter::add`] takes one sample of the new slot,
//!   [`meter::Meter::add_beside`] one of both slots where the old one has users as well.
//! - [`baseline`]: what was normal in the hour before, and how bursty it was.
//! - [`before`]: the terms of a claim by what was counted before the switch.
//! - [`card`]: the record of a verdict, enough to compute it again.
//! - [`outlook`]: how long a verdict takes at a given traffic.

pub mod baseline;
pub mod before;
mod bound;
mod bursts;
pub mod card;
pub mod counters;
pub mod counts;
pub mod lane;
pub mod meter;
pub mod outlook;
#[cfg(test)]
mod simulated;
pub mod terms;
