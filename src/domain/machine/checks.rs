//! Checks: repeated until they pass or time out; in a monitored window, repeated all the time.

use super::Machine;
use crate::domain::{
    action::SlotRef,
    actor::Actor,
    check::{CheckKind, Condition},
    effect::Effect,
    event::{CheckRef, Place, RunEvent},
    id::{MetricId, SlotName},
    run::CheckStatus,
    time::{Span, Timestamp},
    verdict::{Ruling, rule},
};

/// How a check stands by a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// It holds.
    Holds,
    /// Nothing was there to measure, and it is skipped then.
    Skipped,
    /// Nothing was there to measure, and it waits for that.
    Waits,
    /// It fails, or nobody can tell.
    Fails,
    /// It fails, and can no longer pass.
    Hopeless,
    /// Something was seen that stays until a person takes it back.
    Caught,
}

impl Stand {
    fn holds(self) -> bool {
        match self {
            Self::Holds | Self::Skipped => true,
            Self::Waits | Self::Fails | Self::Hopeless | Self::Caught => false,
        }
    }
}

/// What is known of a check that is being looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watched {
    /// Since when.
    since: Timestamp,
    /// How often.
    looks: u32,
    /// The newest look.
    seen: Option<(Stand, String)>,
    /// Since when it has not held without a break.
    failing_since: Option<Timestamp>,
    /// Whether the engine polls it.
    polled: bool,
    /// Samples that were inside the bound, one after the other, and when the last of them was taken.
    good: (u32, Option<Timestamp>),
}

/// A check has failed only after at least this many looks: a slow answer is not a "no".
const LOOKS: u32 = 2;
/// A slot that had no traffic reads well in the first moment: after a return so many samples have to be inside the bound.
const SETTLED: u32 = 3;

impl Machine {
    pub(super) fn forget_watches(&mut self) {
        self.stop_watches();
    }

    pub(super) fn stop_watches(&mut self) {
        let watched = std::mem::take(&mut self.watched);
        for (at, watched) in watched {
            if watched.polled {
                self.effect(Effect::StopWatch(at));
            }
        }
    }

    /// Keeps what the engine looks at, and what needs no looking.
    pub(super) fn keep_watches(&mut self, under_way: impl Fn(&CheckRef) -> bool) {
        self.watched.retain(|at, watched| !watched.polled || under_way(at));
    }

    pub(super) fn stop_watch(&mut self, at: &CheckRef) {
        if self.watched.remove(at).is_some_and(|watched| watched.polled) {
            self.effect(Effect::StopWatch(at.clone()));
        }
    }

    pub(super) fn on_check_seen(&mut self, at: &CheckRef, stand: Stand, evidence: String) {
        let now = self.now;
        if let Some(watched) = self.watched.get_mut(at) {
            watched.looked(now, stand, evidence);
        }
    }

    /// One move of the checks at a place whose actions are done.
    pub(super) fn advance_checks(&mut self, place: &Place) -> bool {
        if self.open_window(place) {
            return true;
        }
        let in_window = self.in_window(place);
        self.begin_watches(place, in_window);
        self.judge_metrics(place);
        if let Some(moved) = self.settle_checks(place, in_window) {
            return moved;
        }
        // A person's part of a rollback is a reminder: it never holds the rollback up.
        let rollback = matches!(place, Place::Rollback { .. });
        let remarked = rollback && self.traffic_is_back();
        let all_hold = self.run.work(place).is_some_and(|work| {
            self.run.checks(place).iter().zip(&work.checks).all(|(check, state)| {
                state.status == CheckStatus::Holds
                    || check.optional
                    || (rollback && check.kind.is_person())
                    || (remarked && state.status == CheckStatus::Fails)
            })
        });
        if in_window { self.settle_window(place, all_hold) } else { all_hold && self.pass(place) }
    }

    fn begin_watches(&mut self, place: &Place, in_window: bool) {
        let Some(work) = self.run.work(place) else { return };
        let attempt = work.attempt;
        let mut begin = Vec::new();
        for (index, (check, state)) in self.run.checks(place).iter().zip(&work.checks).enumerate() {
            let at = CheckRef { place: place.clone(), attempt, check: index };
            let settled = state.status == CheckStatus::Holds && !in_window;
            if check.kind.is_person() || settled || self.watched.contains_key(&at) {
                continue;
            }
            // What another engine's looks have caught stays caught.
            let caught = state.caught.then(|| (Stand::Caught, state.evidence.clone()));
            begin.push((at, !matches!(check.kind, CheckKind::Metric { .. }), caught));
        }
        for (at, polled, seen) in begin {
            let failing_since = seen.as_ref().map(|_| self.now);
            self.watched.insert(
                at.clone(),
                Watched { since: self.now, looks: 0, seen, failing_since, polled, good: (0, None) },
            );
            if polled {
                self.effect(Effect::Watch(at));
            }
        }
    }

    /// Metric checks are decided from the newest samples.
    fn judge_metrics(&mut self, place: &Place) {
        let due: Vec<_> = self
            .watched
            .iter()
            .filter(|(at, w)| at.place == *place && !w.polled)
            .map(|(at, _)| at.clone())
            .collect();
        for at in due {
            let Some((sampled_at, stand, evidence)) = self.judge_metric(&at) else { continue };
            let now = self.now;
            if let Some(watched) = self.watched.get_mut(&at) {
                // Samples from before the check began say nothing about what the step did.
                if sampled_at >= watched.since || !stand.holds() {
                    let (stand, evidence) = match place {
                        Place::Rollback { .. } => watched.settled(sampled_at, stand, evidence),
                        Place::Step { .. } | Place::Undo { .. } | Place::Completion => (stand, evidence),
                    };
                    watched.looked(now, stand, evidence);
                }
            }
        }
    }

    /// What the newest sample says of a metric check, with when it was measured; nothing where there is none yet.
    fn judge_metric(&self, at: &CheckRef) -> Option<(Timestamp, Stand, String)> {
        let check = self.run.checks(&at.place).get(at.check)?;
        let CheckKind::Metric { metric, slot, condition, no_traffic } = &check.kind else { return None };
        let declared = self.run.runbook.metric(metric.as_str())?;
        // After a rollback users are on the slot from before, so that is the one that has to be well.
        let default =
            if matches!(at.place, Place::Rollback { .. }) { SlotRef::Previous } else { SlotRef::New };
        let slot = slot.as_ref().unwrap_or(&default);
        let slot = declared.per_slot.then(|| self.run.metric_slot(slot)).flatten();
        let sample = self.latest.get(&(metric.clone(), slot.clone()))?;
        if !self.is_fresh(sample.at, declared.interval) {
            let evidence = format!("no data for {}", self.now.since(sample.at).short());
            return Some((
                sample.at,
                Stand::Fails,
                self.with_baseline(metric, slot.as_ref(), *condition, evidence),
            ));
        }
        let ruling = match condition {
            Condition::NotWorse(than) => self.rule_by_evidence(metric, *than, *no_traffic),
            Condition::Is(_) | Condition::WithinBaseline(_) => {
                let baseline = self.run.baseline_of(metric, slot.as_ref()).map(|(value, _)| value);
                rule(declared, *condition, *no_traffic, slot.as_ref(), &sample.value, baseline)
            }
        };
        let (stand, evidence) = match ruling {
            Ruling::Holds(evidence) => (Stand::Holds, evidence),
            Ruling::Skipped(evidence) => (Stand::Skipped, evidence),
            Ruling::Waits(evidence) => (Stand::Waits, evidence),
            Ruling::Fails(evidence) => (Stand::Fails, evidence),
        };
        Some((sample.at, stand, self.with_baseline(metric, slot.as_ref(), *condition, evidence)))
    }

    /// Evidence, and where it rests on a baseline of less time than it should have, that it does.
    fn with_baseline(
        &self,
        metric: &MetricId,
        slot: Option<&SlotName>,
        condition: Condition,
        evidence: String,
    ) -> String {
        let short = self.run.baseline_of(metric, slot).and_then(|(_, short)| short);
        match short.filter(|_| matches!(condition, Condition::WithinBaseline(_))) {
            Some(span) => format!("{evidence}, a baseline of only {} of data", span.clock()),
            None => evidence,
        }
    }

    /// Turns looks into events. `Some` where something was decided that ends this round.
    fn settle_checks(&mut self, place: &Place, in_window: bool) -> Option<bool> {
        let looked: Vec<_> = self
            .watched
            .iter()
            .filter(|(at, _)| at.place == *place)
            .map(|(at, watched)| (at.clone(), watched.clone()))
            .collect();
        looked.into_iter().find_map(|(at, watched)| self.settle_check(at, watched, in_window))
    }

    /// The same for one of them.
    fn settle_check(&mut self, at: CheckRef, watched: Watched, in_window: bool) -> Option<bool> {
        let check = self.run.checks(&at.place).get(at.check)?;
        let state = self.run.work(&at.place)?.checks.get(at.check)?;
        let timeout = check.timeout.as_deadline(self.slack);
        let (text, optional) = (check.text.clone(), check.optional);
        let (status, was_caught, was_skipped) = (state.status, state.caught, state.skipped);
        let by = Actor::Auto;
        match watched.seen.clone() {
            // Only a person takes back what was caught.
            Some((stand @ (Stand::Holds | Stand::Skipped), evidence)) if !was_caught => {
                let skipped = stand == Stand::Skipped;
                if status != CheckStatus::Holds || was_skipped != skipped {
                    self.emit(RunEvent::CheckPassed { at: at.clone(), text, evidence, by, skipped });
                    if !in_window {
                        self.stop_watch(&at);
                    }
                }
            }
            Some((Stand::Caught, evidence)) if !was_caught => {
                let reason = format!("{text}: {evidence}");
                self.emit(RunEvent::CheckFailed { at: at.clone(), text, evidence, by, caught: true });
                if !optional && self.remark(&at.place, None, &reason) {
                    return Some(true);
                }
            }
            Some((Stand::Fails | Stand::Hopeless, evidence)) if in_window && status == CheckStatus::Holds => {
                self.emit(RunEvent::CheckFailed { at, text, evidence, by, caught: false });
            }
            seen @ (Some((Stand::Fails | Stand::Hopeless | Stand::Caught, _)) | None)
                if !in_window
                    && (status == CheckStatus::Open || was_caught && !self.only_remarks(&at.place))
                    && self.is_over(&watched, timeout) =>
            {
                let evidence = seen.map_or_else(|| "no data".to_owned(), |(_, evidence)| evidence);
                let reason = format!("{text}: {evidence}");
                self.emit(RunEvent::CheckFailed { at: at.clone(), text, evidence, by, caught: was_caught });
                self.stop_watch(&at);
                if !optional {
                    return Some(self.remark(&at.place, None, &reason) || self.fail(&at.place, &reason));
                }
            }
            _ => {}
        }
        None
    }

    /// Whether a check that fails here is a remark only: traffic is back, so what was caught is not failed a second time.
    fn only_remarks(&self, place: &Place) -> bool {
        matches!(place, Place::Rollback { .. }) && self.traffic_is_back()
    }

    /// Whether a check that has not passed has had its time, or can't pass any more.
    fn is_over(&self, watched: &Watched, timeout: Span) -> bool {
        let hopeless = matches!(watched.seen, Some((Stand::Hopeless, _)));
        // A metric nobody measures is not looked at; it fails by time alone.
        let looked = watched.looks >= LOOKS || !watched.polled;
        hopeless || looked && self.now.since(watched.since) >= timeout
    }

    /// The newest look at every check under way: which, whether it holds, what was seen.
    pub fn looks(&self) -> impl Iterator<Item = (&CheckRef, bool, &str)> {
        self.watched.iter().filter_map(|(at, watched)| {
            watched.seen.as_ref().map(|(stand, evidence)| (at, stand.holds(), evidence.as_str()))
        })
    }

    /// What keeps a window from passing: the first check of its own that has failed for longer than its timeout.
    pub(super) fn overdue_check(&self, place: &Place) -> Option<String> {
        self.watched.iter().filter(|(at, _)| at.place == *place).find_map(|(at, watched)| {
            let check = self.run.checks(place).get(at.check).filter(|check| !check.optional)?;
            let failing = watched.failing_since?;
            let evidence = watched.seen.as_ref().map_or("", |(_, evidence)| evidence.as_str());
            (self.now.since(failing) >= check.timeout.as_deadline(self.slack))
                .then(|| format!("{}: {evidence}", check.text))
        })
    }
}

impl Watched {
    /// After traffic has come back one good sample proves nothing: the slot was idle until then.
    fn settled(&mut self, sampled_at: Timestamp, stand: Stand, evidence: String) -> (Stand, String) {
        let (count, last) = &mut self.good;
        match stand {
            Stand::Holds if *last != Some(sampled_at) => {
                *count = count.saturating_add(1);
                *last = Some(sampled_at);
            }
            Stand::Holds => {}
            Stand::Skipped | Stand::Waits | Stand::Fails | Stand::Hopeless | Stand::Caught => *count = 0,
        }
        if stand == Stand::Holds && *count < SETTLED {
            let evidence = format!("{evidence}, sample {count} of {SETTLED} since traffic came back");
            return (Stand::Waits, evidence);
        }
        (stand, evidence)
    }

    fn looked(&mut self, now: Timestamp, stand: Stand, evidence: String) {
        self.looks = self.looks.saturating_add(1);
        if matches!(self.seen, Some((Stand::Caught, _))) {
            return;
        }
        match stand {
            Stand::Holds | Stand::Skipped => self.failing_since = None,
            Stand::Fails | Stand::Hopeless | Stand::Caught => {
                self.failing_since.get_or_insert(now);
            }
            // The time in which there is nothing to measure does not count.
            Stand::Waits => {
                self.failing_since = None;
                self.since = now;
            }
        }
        self.seen = Some((stand, evidence));
    }
}
