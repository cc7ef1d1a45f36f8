//! What a trigger in breach would do as things are now. Whatever a screen promises comes from here.

use super::{
    run::Run,
    time::{Span, Timestamp},
    trigger::Waits,
};

/// When a trigger in breach fires, as things are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// After this time, if every sample until then is a breach.
    In(Span),
    /// `for` is full: it fires with the next breach that is measured.
    NextBreach,
    /// The clock starts anew: so long after the next breach.
    Anew(Span),
}

impl Run {
    /// When a trigger in breach fires, and why later than its `for` says; nothing where it is not in breach, or has fired.
    pub fn promise(&self, trigger: usize, now: Timestamp) -> Option<(Promise, Option<&Waits>)> {
        let watch = self.runbook.triggers.get(trigger)?.watch.as_ref()?;
        let state = self.triggers.get(trigger).filter(|state| state.fired.is_none())?;
        let (since, _) = state.breaching?;
        let after = |at: Timestamp| match at.since(now) {
            Span::ZERO => Promise::NextBreach,
            left => Promise::In(left),
        };
        Some(match &state.waits {
            Some((_, why @ (Waits::Gap { .. } | Waits::Resumed))) => {
                (Promise::Anew(watch.hold_for), Some(why))
            }
            Some((until, why @ Waits::TooFew { .. })) => (after(*until), Some(why)),
            None => (after(since + watch.hold_for), None),
        })
    }
}
