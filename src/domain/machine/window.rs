//! The monitored window: all checks are watched the whole time, and its clock is paused while metrics are missing.

use super::Machine;
use crate::domain::{
    action::SlotRef,
    check::{CheckKind, NoTraffic},
    event::{Place, RunEvent},
    id::SlotName,
    metric::{Metric, Missing},
    observation::not_carried_out,
    run::StepStatus,
    runbook::Milestone,
    time::Span,
    verdict::finite,
};

/// The clock's progress is written down this often, so that a resume loses little and gains nothing.
const WRITE_EVERY: Span = Span::from_secs(10);
/// A route that its gateway has not carried out for so long fails the step: users do not meet what its window is to watch.
const UNFIT: Span = Span::from_mins(1);
/// A full window that is not measured pages after this many intervals of the metric.
const PAGE_AFTER: u64 = 5;

impl Machine {
    fn window_of(&self, place: &Place) -> Option<Span> {
        let Place::Step { step } = place else { return None };
        self.run.declared(step.as_str()).and_then(|step| step.window).map(|window| window.lasts)
    }

    pub(super) fn in_window(&self, place: &Place) -> bool {
        self.window_of(place).is_some()
    }

    /// Opens the window of a step whose actions are done.
    pub(super) fn open_window(&mut self, place: &Place) -> bool {
        let (Some(lasts), Place::Step { step }) = (self.window_of(place), place) else { return false };
        let Some(state) = self.run.step(step.as_str()) else { return false };
        if state.window_opened.is_some() {
            return false;
        }
        let attempt = state.work.attempt;
        self.emit(RunEvent::WindowOpened { step: step.clone(), attempt, lasts });
        true
    }

    /// Counts the time since the last tick, where everything that must be measured was.
    pub(super) fn advance_window_clock(&mut self) {
        let Some(index) = self.run.current() else { return };
        let runbook = std::sync::Arc::clone(&self.run.runbook);
        let step = &runbook.steps[index];
        let state = &self.run.steps[index];
        let Some(window) = step.window else { return };
        let Some(opened) = state.window_opened else { return };
        if state.status != StepStatus::Checking
            || self.run.rolling_back().is_some()
            || self.run.finished.is_some()
        {
            return;
        }
        let Some(last) = self.last_tick else { return };
        // It may have been opened in the middle of a tick.
        let passed = self.now.since(last.max(opened));
        if self.overslept() || self.unfit.is_some() || !self.sees_everything(index) {
            return;
        }
        let watched = self.window_seen(state.watched).saturating_add(passed);
        self.window_written = watched;
        let due = watched.saturating_sub(state.watched) >= WRITE_EVERY || watched >= window.lasts;
        if due && state.watched < window.lasts {
            self.emit(RunEvent::WindowAdvanced { step: step.id.clone(), watched: watched.min(window.lasts) });
        }
    }

    /// Why users do not go where the route says, as the watch shows it.
    pub(super) fn not_carried_out(&self) -> Option<String> {
        not_carried_out(self.workload.as_ref()?.route.as_ref()?.unfit.as_deref())
    }

    /// Watched time, with what was not written down yet.
    fn window_seen(&self, written: Span) -> Span {
        self.window_written.max(written)
    }

    /// Whether every metric that the window or a trigger needs was measured lately.
    fn sees_everything(&self, step: usize) -> bool {
        self.unseen(step).is_none()
    }

    /// The first metric that the window or a trigger needs and that was not measured lately, on the slot it is needed of.
    fn unseen(&self, step: usize) -> Option<(&Metric, Option<SlotName>)> {
        let runbook = &self.run.runbook;
        let checked = runbook.steps[step].check.iter().filter_map(|check| match &check.kind {
            CheckKind::Metric { metric, slot, no_traffic, .. } => {
                // Whether there is traffic was measured, where that decides the check.
                let decides = matches!(no_traffic, Some(NoTraffic::Skip | NoTraffic::Fail));
                Some((metric, slot.as_ref().unwrap_or(&SlotRef::New), decides))
            }
            _ => None,
        });
        let armed = (runbook.triggers.iter())
            .filter_map(|trigger| trigger.watch.as_ref().map(|watch| (&watch.metric, &SlotRef::New, false)));
        checked.chain(armed).find_map(|(metric, slot, without_traffic)| {
            let declared = runbook.metric(metric.as_str())?;
            let slot = if declared.per_slot { self.run.metric_slot(slot) } else { None };
            (!self.sees(declared, slot.as_ref(), without_traffic)).then_some((declared, slot))
        })
    }

    fn sees(&self, metric: &Metric, slot: Option<&SlotName>, without_traffic: bool) -> bool {
        self.latest.get(&(metric.id.clone(), slot.cloned())).is_some_and(|sample| {
            let idle = sample.value.as_ref().is_err_and(Missing::is_no_traffic);
            let measured = finite(&sample.value).is_some() || (without_traffic && idle);
            measured && self.is_fresh(sample.at, metric.interval)
        })
    }

    /// Whether a window whose time is full must stay open because something is not measured now: that is no evidence that
    /// all is well. Pages once, when it lasts.
    fn stays_unmeasured(&mut self, step: usize) -> bool {
        let Some((metric, slot)) = self.unseen(step) else {
            self.unmeasured = None;
            return false;
        };
        let of = slot.map_or_else(String::new, |slot| format!(" on {slot}"));
        let text = format!("WINDOW STAYS OPEN: its time is up, but `{}`{of} is not measured", metric.id);
        let patience = Span::from_millis(metric.interval.as_millis().saturating_mul(PAGE_AFTER));
        let now = self.now;
        // Blindness has been told already.
        let told = self.run.triggers.iter().any(|trigger| trigger.blind.is_some());
        let (since, paged) = self.unmeasured.get_or_insert((now, false));
        *paged |= told;
        if !*paged && now.since(*since) >= patience {
            *paged = true;
            self.notify(Milestone::Paged, text);
        }
        true
    }

    /// Decides about a window: passed when its time is full, every check holds, everything is measured and no trigger is
    /// doubtful.
    pub(super) fn settle_window(&mut self, place: &Place, all_hold: bool) -> bool {
        let (Some(lasts), Place::Step { step }) = (self.window_of(place), place) else { return false };
        let Some(written) = self.run.step(step.as_str()).map(|state| state.watched) else { return false };
        let lasting =
            self.unfit.is_some_and(|since| self.now.since(since) >= UNFIT.saturating_add(self.slack));
        if let Some(why) = self.not_carried_out().filter(|_| lasting && self.run.held.is_none()) {
            return self.fail(place, &why);
        }
        if self.window_seen(written) < lasts {
            return false;
        }
        // A breach that runs over the end is decided by its trigger, not by the clock.
        let doubtful = self.run.triggers.iter().any(|trigger| {
            trigger.breaching.is_some()
                || trigger.blind.is_some()
                || trigger.fired.is_some()
                || trigger.countdown.is_some()
        });
        let Some(index) = self.run.runbook.steps.iter().position(|declared| declared.id == *step) else {
            return false;
        };
        if self.stays_unmeasured(index) || doubtful || self.run.held.is_some() {
            return false;
        }
        if all_hold {
            if written < lasts {
                self.emit(RunEvent::WindowAdvanced { step: step.clone(), watched: lasts });
            }
            let passed = self.pass(place);
            if passed {
                self.record_evidence();
            }
            return passed;
        }
        match self.overdue_check(place) {
            Some(reason) => self.fail(place, &format!("at the end of the window: {reason}")),
            None => false,
        }
    }
}
