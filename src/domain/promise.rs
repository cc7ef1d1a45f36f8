//! What a breaching trigger will do if nothing changes. Everything that a screen predicts comes from here.

use super::{
    prompt::Prompt,
    run::Run,
    runbook::Then,
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
    /// The clock starts over: so long after the next breach.
    Anew(Span),
}

impl Run {
    /// In what time the run goes back by itself, if all stays as it is; none where a person decides, or where that is not certain.
    pub fn goes_back_in(&self, now: Timestamp) -> Option<Span> {
        if self.rolling_back().is_some() || self.finished.is_some() {
            return None;
        }
        if let Prompt::Countdown { ends_at, .. } = self.prompt(now) {
            return Some(ends_at.since(now));
        }
        let watches = self.runbook.triggers.iter().enumerate();
        let times = watches.filter_map(|(index, trigger)| {
            let countdown = match trigger.watch.as_ref()?.then {
                Then::Ask => return None,
                Then::Countdown(whole) => whole,
                Then::Rollback => Span::ZERO,
            };
            match self.promise(index, now)? {
                (Promise::In(left), None) => Some(left.saturating_add(countdown)),
                _ => None,
            }
        });
        times.min()
    }

    /// When a trigger in breach fires, and why later than its `for` says; nothing where it is not in breach, or has fired.
    pub fn promise(&self, trigger: usize, now: Timestamp) -> Option<(Promise, Option<&Waits>)> {
        let (_, hold_for) = self.runbook.triggers.get(trigger)?.watch.as_ref()?.rule.fixed()?;
        let state = self.triggers.get(trigger).filter(|state| state.fired.is_none())?;
        let (since, _) = state.breaching?;
        let after = |at: Timestamp| match at.since(now) {
            Span::ZERO => Promise::NextBreach,
            left => Promise::In(left),
        };
        Some(match &state.waits {
            Some((_, why @ (Waits::Gap { .. } | Waits::Resumed))) => (Promise::Anew(hold_for), Some(why)),
            Some((until, why @ Waits::TooFew { .. })) => (after(*until), Some(why)),
            None => (after(since + hold_for), None),
        })
    }

    /// A trigger's reason with what was measured of it up to now; nothing where nothing is measured. A reason says
    /// what was seen, not what the rule would have wanted to see: `latest` where the screen has it, else the first value outside.
    pub fn measured_reason(&self, trigger: usize, now: Timestamp, latest: Option<f64>) -> Option<String> {
        let (declared, state) = self.runbook.triggers.get(trigger).zip(self.triggers.get(trigger))?;
        if let Some((_, reason)) = &state.fired {
            return Some(reason.clone());
        }
        let (since, value) = state.breaching?;
        let watch = declared.watch.as_ref()?;
        let metric = self.runbook.metric(watch.metric.as_str())?;
        let (title, lasted) = (metric.title.to_lowercase(), now.since(since).clock());
        let (when, _) = watch.rule.fixed()?;
        let (shown, bound) = (metric.unit.show(latest.unwrap_or(value)), when.show(metric.unit));
        Some(format!("{title} {shown} for {lasted} (alert {bound})"))
    }

    /// Since when something has been wrong, as far as it was measured: the oldest breach that lasts, or the first quarter of the
    /// evidence that the release is worse; else the last rollback's beginning, else now.
    pub fn trouble_since(&self, now: Timestamp) -> Timestamp {
        let breaches = self.triggers.iter().filter_map(|state| Some(state.breaching?.0));
        let cards = self.evidence.values().filter_map(|gathered| gathered.card.as_ref());
        let evidence =
            cards.filter(|card| card.worse.is_some()).filter_map(|card| card.reached[0].or(card.worse));
        let breach = breaches.chain(evidence).min();
        let rollback = self.rollbacks.last().map(|rollback| rollback.started_at);
        breach.or(rollback).unwrap_or(now)
    }
}
