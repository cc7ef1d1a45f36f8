//! Input from outside, such as samples and the cluster's state, and what follows from it: triggers, countdowns, foreign
//! changes.

use std::collections::BTreeMap;

use super::Machine;
use crate::domain::{
    actor::Actor,
    cause::HoldCause,
    event::RunEvent,
    evidence::before::written,
    metric::Sample,
    run::Run,
    runbook::{Milestone, OnNoData, Then},
    time::{Span, Timestamp},
    trigger::{Cause, TriggerChange, TriggerClock},
    verdict::finite,
    workload::Workload,
};

/// The baseline is the mean of at most this much time before the switch.
const BASELINE: Span = Span::from_mins(5);

/// A countdown waits so long for a reason that is being written, in all.
pub const RECONSIDER: Span = Span::from_secs(60);

/// A countdown that waits while a reason to cancel one is written, or has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reconsidered {
    /// Until when it waits.
    until: Timestamp,
    /// How long it may still wait after that, where it does not wait that long.
    spare: Span,
}

impl Machine {
    pub(super) fn on_sample(&mut self, sample: Sample) {
        let key = (sample.metric.clone(), sample.slot.clone());
        self.remember_for_baseline(&sample);
        self.remember_counts(&sample);
        if self.armed() {
            self.feed_triggers(&sample);
        }
        self.latest.insert(key, sample);
    }

    /// Keeps a sample from before the switch. In order of time, and each moment once: what a server tells of the past may
    /// come after the first look, and overlap with it.
    pub(super) fn remember_for_baseline(&mut self, sample: &Sample) {
        let Some(value) = finite(&sample.value).filter(|_| self.run.switched_at.is_none()) else { return };
        let recent = self.recent.entry(Run::baseline_key(&sample.metric, sample.slot.as_ref())).or_default();
        let place = recent.partition_point(|(at, _)| *at < sample.at);
        if recent.get(place).is_some_and(|(at, _)| *at == sample.at) {
            return;
        }
        recent.insert(place, (sample.at, value));
        let newest = recent.back().map_or(sample.at, |(at, _)| *at);
        while recent.front().is_some_and(|(at, _)| newest.since(*at) > BASELINE) {
            recent.pop_front();
        }
    }

    /// Triggers are fed while the new slot has the traffic, and as long as there is something left to decide.
    pub(super) fn armed(&self) -> bool {
        self.run.switched_at.is_some() && self.run.rolling_back().is_none() && self.run.finished.is_none()
    }

    pub(super) fn record_baseline(&mut self) {
        let now = self.now;
        for values in self.recent.values_mut() {
            values.retain(|(at, _)| now.since(*at) <= BASELINE);
        }
        let mean = |values: &std::collections::VecDeque<(_, f64)>| {
            #[expect(clippy::cast_precision_loss, reason = "a handful of samples")]
            let count = values.len() as f64;
            values.iter().map(|(_, value)| value).sum::<f64>() / count
        };
        let values: BTreeMap<_, _> = self
            .recent
            .iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(key, values)| (key.clone(), written(mean(values))))
            .collect();
        let short = self.recent.iter().filter_map(|(key, values)| {
            let (first, last) = values.front().zip(values.back())?;
            let metric = self.run.runbook.metric(key.split('/').next().unwrap_or(key));
            let interval = metric.map_or(Span::ZERO, |metric| metric.interval);
            // Each sample stands for its interval; one that just missed the beginning is no reason to speak of it.
            let span = last.0.since(first.0).saturating_add(interval);
            (span.saturating_add(interval) < BASELINE).then(|| (key.clone(), span))
        });
        let short = short.collect();
        self.emit(RunEvent::BaselineRecorded { values, short });
    }

    pub(super) fn arm_triggers(&mut self) {
        self.clocks.clear();
        for (index, trigger) in self.run.runbook.triggers.iter().enumerate() {
            let Some(watch) = &trigger.watch else { continue };
            let Some(metric) = self.run.runbook.metric(watch.metric.as_str()) else { continue };
            let told = &self.run.triggers[index];
            let breaching = told.breaching.is_some() && told.fired.is_none();
            let clock = TriggerClock::new(watch, metric.interval).taking_up(breaching, told.blind.clone());
            self.clocks.insert(index, clock);
        }
        self.begin_evidence();
    }

    pub(super) fn disarm_triggers(&mut self) {
        self.clocks.clear();
        self.end_evidence();
    }

    fn feed_triggers(&mut self, sample: &Sample) {
        if self.clocks.is_empty() && self.evidence.is_empty() {
            // After a resume: armed anew, without credit.
            self.arm_triggers();
        }
        // A sample from before the switch says nothing about the new slot under load.
        if self.run.switched_at.is_some_and(|since| sample.at < since) {
            return;
        }
        let runbook = std::sync::Arc::clone(&self.run.runbook);
        for (index, trigger) in runbook.triggers.iter().enumerate() {
            let Some(watch) = trigger.watch.as_ref().filter(|watch| watch.metric == sample.metric) else {
                continue;
            };
            let per_slot = runbook.metric(watch.metric.as_str()).is_some_and(|metric| metric.per_slot);
            if per_slot && sample.slot != self.run.judged_slot() {
                continue;
            }
            let now = self.now;
            let changes =
                self.clocks.get_mut(&index).map(|clock| clock.observe(sample, now)).unwrap_or_default();
            for change in changes {
                self.on_trigger(index, change);
            }
            // The first that fires decides: whatever else is true now belongs to a run that is being rolled back.
            if !self.armed() {
                return;
            }
        }
        self.feed_evidence(sample);
    }

    fn on_trigger(&mut self, trigger: usize, change: TriggerChange) {
        let runbook = std::sync::Arc::clone(&self.run.runbook);
        let declared = &runbook.triggers[trigger];
        let Some(watch) = &declared.watch else { return };
        let metric = watch.metric.clone();
        match change {
            TriggerChange::Breaching { since, value } => {
                let (reason, value) = (declared.reason.clone(), written(value));
                self.emit(RunEvent::TriggerBreaching { trigger, reason, metric, value, since });
            }
            TriggerChange::Waits { until, why } => {
                self.emit(RunEvent::TriggerWaits { trigger, until, why });
            }
            TriggerChange::Cleared { value } => {
                self.emit(RunEvent::TriggerCleared { trigger, value: Some(written(value)) });
            }
            TriggerChange::Blind(why) => {
                self.emit(RunEvent::TriggerBlind { trigger, metric, why: why.clone() });
                self.notify(Milestone::Paged, format!("NO DATA for `{}`: {why}", declared.reason));
                if watch.no_data == OnNoData::Hold && self.run.held.is_none() && self.run.finished.is_none() {
                    let reason = "no metrics: health unknown";
                    self.hold(HoldCause::NoData, reason, Actor::Auto);
                }
            }
            TriggerChange::Sees => {
                self.emit(RunEvent::TriggerSees { trigger });
                let all_see = self.run.triggers.iter().all(|state| state.blind.is_none());
                if all_see && self.run.held.as_ref().is_some_and(|held| held.cause.ends_by_itself()) {
                    self.emit(RunEvent::RunContinued { by: Actor::Auto });
                }
            }
            TriggerChange::Fired(cause) => {
                let unit = runbook.metric(watch.metric.as_str()).map(|metric| metric.unit);
                let reason = &declared.reason;
                let reason = match (&cause, unit) {
                    (Cause::Held { value, elapsed, .. }, Some(unit)) => {
                        format!("{reason} (measured: {} for {})", unit.show(*value), elapsed.clock())
                    }
                    (Cause::Held { .. }, None) => reason.clone(),
                    (Cause::NoData(why), _) => format!("{reason}: no data ({why})"),
                };
                self.fire(trigger, reason, watch.then);
            }
        }
    }

    /// A trigger has fired, for this reason: what it is to do begins.
    pub(super) fn fire(&mut self, trigger: usize, reason: String, then: Then) {
        self.emit(RunEvent::TriggerFired { trigger, reason: reason.clone() });
        self.reconsidered.remove(&trigger);
        match then {
            Then::Ask => self.notify(Milestone::Paged, format!("TRIGGER: {reason}. Somebody must decide")),
            Then::Countdown(span) => {
                let waits = self.waits_for_words();
                if waits > Span::ZERO {
                    let until = self.now + waits;
                    let spare = RECONSIDER.saturating_sub(waits);
                    self.reconsidered.insert(trigger, Reconsidered { until, spare });
                }
                self.emit(RunEvent::CountdownStarted { trigger, ends_at: self.now + waits + span });
                self.notify(Milestone::Paged, format!("TRIGGER: {reason}. Rolling back in {span}"));
            }
            Then::Rollback => self.roll_back_by_itself(trigger, &reason),
        }
    }

    /// A trigger's rollback. Where it cannot begin a person must know at once: nothing goes on as if all were well.
    fn roll_back_by_itself(&mut self, trigger: usize, reason: &str) {
        self.roll_back(reason, &Actor::Trigger);
        if self.run.rolling_back().is_some() {
            return;
        }
        let why = self.out.refused.take().unwrap_or_default();
        let reason = format!("{reason}, but the rollback could not start: {why}");
        for index in 0..self.run.triggers.len() {
            if self.run.triggers[index].countdown.is_some() {
                self.emit(RunEvent::CountdownCancelled {
                    trigger: index,
                    reason: why.clone(),
                    by: Actor::Auto,
                });
            }
        }
        if let Some(clock) = self.clocks.get_mut(&trigger) {
            clock.reset();
        }
        self.reset_evidence(trigger);
        self.hold(HoldCause::RollbackNotBegun, &reason, Actor::Auto);
        self.notify(Milestone::Paged, format!("ROLLBACK NOT STARTED, somebody must act: {reason}"));
    }

    /// A countdown is there so that a person can stop it. One that an engine took with it begins again from its start.
    pub(super) fn restart_countdowns(&mut self) {
        if self.run.rolling_back().is_some() || self.run.finished.is_some() {
            return;
        }
        for trigger in 0..self.run.triggers.len() {
            if self.run.triggers[trigger].countdown.is_none() {
                continue;
            }
            let span = match self.run.runbook.triggers[trigger].watch.as_ref().map(|watch| watch.then) {
                Some(Then::Countdown(span)) => span,
                _ => Span::ZERO,
            };
            self.emit(RunEvent::CountdownStarted { trigger, ends_at: self.now + span });
            let reason =
                self.run.triggers[trigger].fired.clone().map(|(_, reason)| reason).unwrap_or_default();
            self.notify(Milestone::Paged, format!("TRIGGER: {reason}. Rolling back in {span}"));
        }
    }

    /// … and the time that the engine slept does not count: nobody could have stopped it.
    pub(super) fn postpone_countdowns(&mut self, last: Timestamp) {
        if self.run.rolling_back().is_some() || self.run.finished.is_some() {
            return;
        }
        for trigger in 0..self.run.triggers.len() {
            if let Some(ends) = self.run.triggers[trigger].countdown {
                self.emit(RunEvent::CountdownStarted { trigger, ends_at: self.now + ends.since(last) });
            }
        }
    }

    /// Starts the rollback when its countdown has ended.
    pub(super) fn fire_due_countdown(&mut self) -> bool {
        // Whoever has the lock now watches too, and is the one to act.
        if self.overslept() || self.run.fenced_off().is_some() {
            return false;
        }
        let now = self.now;
        let due = self.run.next_countdown().filter(|(_, ends_at)| *ends_at <= now);
        let Some((trigger, _)) = due else { return false };
        let Some((_, reason)) = self.run.triggers[trigger].fired.clone() else { return false };
        self.roll_back_by_itself(trigger, &reason);
        true
    }

    /// Countdowns wait while somebody writes why one should be cancelled, each for at most [`RECONSIDER`] in all: whoever can't
    /// find the words in that time has not made up their mind, and the rule decides. All of them wait, since nobody can answer
    /// a second one while writing about the first.
    pub(super) fn reconsider(&mut self, trigger: usize, begins: bool) {
        // The screen says so whenever a dialog closes: where nothing counts down, or no longer, there is nothing to say.
        if self.run.rolling_back().is_some() || self.run.finished.is_some() {
            return;
        }
        let counts = self.run.triggers.get(trigger).is_some_and(|state| state.countdown.is_some());
        if begins && !counts {
            return;
        }
        let now = self.now;
        for index in 0..self.run.triggers.len() {
            let Some(ends) = self.run.triggers[index].countdown else { continue };
            let known = self.reconsidered.get(&index).copied();
            let waits = known.is_some_and(|known| known.until > now);
            if begins && !waits {
                let spare = known.map_or(RECONSIDER, |known| known.spare);
                if spare > Span::ZERO {
                    self.reconsidered.insert(index, Reconsidered { until: now + spare, spare: Span::ZERO });
                    self.emit(RunEvent::CountdownStarted { trigger: index, ends_at: ends + spare });
                }
            } else if let (false, true, Some(known)) = (begins, waits, known) {
                let unused = known.until.since(now);
                let spare = known.spare.saturating_add(unused);
                self.reconsidered.insert(index, Reconsidered { until: now, spare });
                self.emit(RunEvent::CountdownStarted { trigger: index, ends_at: ends - unused });
            }
        }
    }

    /// How long a countdown that begins now waits for a reason that is being written about another one.
    fn waits_for_words(&self) -> Span {
        let waits = self.run.triggers.iter().enumerate().filter(|(_, state)| state.countdown.is_some());
        let until = waits.filter_map(|(index, _)| Some(self.reconsidered.get(&index)?.until)).max();
        until.map_or(Span::ZERO, |until| until.since(self.now))
    }

    pub(super) fn cancel_countdown(&mut self, trigger: usize, reason: String, by: Actor) {
        if reason.trim().is_empty() {
            return self.refuse("say why you cancel the countdown");
        }
        let state = self.run.triggers.get(trigger);
        if !state.is_some_and(|state| state.countdown.is_some() || state.fired.is_some()) {
            return self.refuse("no countdown is running");
        }
        self.emit(RunEvent::CountdownCancelled { trigger, reason, by });
        if let Some(clock) = self.clocks.get_mut(&trigger) {
            clock.reset();
        }
        self.reset_evidence(trigger);
    }

    pub(super) fn on_workload(&mut self, workload: Workload) {
        self.workload = Some(workload);
        self.unfit = self.not_carried_out().map(|_| self.unfit.unwrap_or(self.now));
        self.follow_picture();
        self.suspect();
    }
}
