//! Actions and checks of one place as lines: a step, an undo, a rollback, the completion.

use crate::{
    domain::{
        action::{Action, SlotRef},
        actor::Actor,
        check::{Check, CheckKind, Condition, NoTraffic},
        event::Place,
        id::StepId,
        metric::Missing,
        run::{ActionState, ActionStatus, CheckState, CheckStatus, Run, Work},
        verdict::condition_holds,
    },
    tui::{
        model::{Model, telemetry::Reading},
        widget::row::Row,
    },
};

/// An action that has begun or may begin.
pub(super) fn action(model: &Model, run: &Run, action: &Action, state: &ActionState, width: usize) -> Row {
    let look = model.look;
    let (sign, style, text) = match state.status {
        ActionStatus::Pending => ("○", look.dim(), look.dim()),
        ActionStatus::Running => ("▶", look.strong(), look.strong()),
        ActionStatus::Done => ("✔", look.ok(), look.text()),
        ActionStatus::Failed => ("✖", look.alert(), look.alert()),
        ActionStatus::Cancelled => ("–", look.warn(), look.text()),
        ActionStatus::Unknown => ("?", look.alert(), look.alert()),
        ActionStatus::PassedOver => ("!", look.warn(), look.text()),
    };
    let words = run.action_text(action);
    let left = Row::of(" ", look.text()).put(sign, style).put(" ", look.text()).put(words, text);
    let right = match (state.status, state.took, state.started_at) {
        (ActionStatus::Running, _, Some(since)) => {
            let gone = model.now.since(since).clock();
            // In a rollback the promise counts, whatever an action may take by itself.
            let brief = width < 60 || run.rolling_back().is_some();
            let most = if brief { String::new() } else { format!(", at most {}", action.timeout) };
            Row::of(format!("{gone}{most} "), look.strong())
        }
        (ActionStatus::Failed, Some(took), _) => Row::of(format!("failed {} ", took.clock()), look.alert()),
        (ActionStatus::Unknown, ..) => Row::of("UNKNOWN ", look.alert()),
        (ActionStatus::Cancelled, ..) => Row::of("cancelled ", look.warn()),
        (ActionStatus::PassedOver, ..) => Row::of("not done ", look.warn()),
        (ActionStatus::Pending, ..) if state.tries > 1 => {
            Row::of(format!("try {} follows ", state.tries), look.warn())
        }
        (ActionStatus::Pending, ..) if state.waits.is_some() => Row::of("waits ", look.warn()),
        (_, Some(took), _) => Row::of(format!("{} ", took.clock()), look.dim()),
        _ => Row::new(),
    };
    left.right(right, width)
}

/// Where checks stand and what they are watched by.
pub(super) struct Checks<'a> {
    /// The screen.
    pub model: &'a Model,
    /// The step; none for completion and rollback.
    pub step: Option<StepId>,
    /// Whether a check that does not pass now has already failed: inside a window.
    pub strict: bool,
    /// The check that has the keys.
    pub selected: Option<usize>,
}

impl Checks<'_> {
    /// What a check is seen to be at this moment, where the program looks itself.
    fn watched(&self, index: usize, check: &Check) -> Option<&(bool, String)> {
        let watching = &self.model.measured().watching;
        watching.get(&(self.step.clone(), index)).filter(|_| !check.kind.is_person())
    }

    /// Whether a check passes; none while it is open.
    pub(super) fn holds(&self, index: usize, check: &Check, state: &CheckState) -> Option<bool> {
        match (state.status, self.watched(index, check)) {
            // What is watched now says more than what was so when it last changed.
            (CheckStatus::Open, Some((holds, _))) => Some(*holds),
            (CheckStatus::Holds, Some((false, _))) if self.strict => Some(false),
            (CheckStatus::Open, None) => None,
            (status, _) => Some(status == CheckStatus::Holds),
        }
    }

    /// One check: its sign, its words, what was seen; `open` where nothing was.
    pub(super) fn row(
        &self,
        index: usize,
        check: &Check,
        state: &CheckState,
        open: &'static str,
        width: usize,
    ) -> Row {
        let look = self.model.look;
        let person = check.kind.is_person();
        let watched = self.watched(index, check);
        let holds = self.holds(index, check, state);
        let (sign, style, word) = match holds {
            // Nothing was measured: that is not the sign of what holds.
            Some(true) if state.skipped => ("–", look.dim(), "skipped"),
            Some(true) => ("✔", look.ok(), "passed"),
            // Not known is not failed.
            Some(false) if self.strict && self.is_blind(check) => ("?", look.alert(), "NO DATA"),
            Some(false) if self.strict || state.status == CheckStatus::Fails => ("✖", look.alert(), "FAILED"),
            Some(false) => ("◌", look.warn(), "not yet"),
            None if person => ("○", look.strong(), "you"),
            None => ("○", look.dim(), open),
        };
        let cursor = if self.selected == Some(index) { "▸" } else { " " };
        let left =
            Row::of(cursor, look.edge()).put(sign, style).put(" ", look.text()).put(&check.text, look.text());
        // The words beside a sign are those that the sign stands on.
        let evidence = watched
            .filter(|(seen, _)| holds == Some(*seen))
            .map_or(state.evidence.as_str(), |(_, evidence)| evidence.as_str());
        let right = match (person, state.status) {
            _ if self.strict && self.measured(check).is_some() => self.measured(check).unwrap_or_default(),
            // Nobody is asked any more; what a rollback asks people for can be answered after its end.
            (true, CheckStatus::Open) if open == NOT_VERIFIED && self.step.is_some() => {
                Row::of("not asked", look.dim())
            }
            (true, CheckStatus::Open) => Row::of("(you)", look.key()),
            (true, _) => Row::of(state.by.as_ref().map_or("", Actor::as_str), look.dim())
                .put(if evidence.is_empty() { "" } else { ": " }, look.dim())
                .put(evidence, look.dim()),
            (false, _) if evidence.is_empty() => Row::of(word, style),
            (false, _) => Row::of(evidence, if holds == Some(true) { look.dim() } else { style }),
        };
        // Neither side may push the other out: what was seen gets at most half.
        let right = right.fit((width / 2).max(width.saturating_sub(left.width() + 2)));
        left.right(right.put(" ", look.text()), width)
    }

    /// The metric of a check as it is measured now.
    fn reading(&self, check: &Check) -> Option<Reading> {
        let CheckKind::Metric { metric, slot, .. } = &check.kind else { return None };
        let run = self.model.run.as_ref()?;
        let metric = run.runbook.metric(metric.as_str())?;
        let slot = run.metric_slot(slot.as_ref().unwrap_or(&SlotRef::New));
        Some(self.model.measured().reading(metric, slot.as_ref(), self.model.measured_at()))
    }

    /// Whether nothing is known of a check's metric, and not for want of requests.
    fn is_blind(&self, check: &Check) -> bool {
        self.reading(check).is_some_and(|reading| {
            reading.value.is_none() && !reading.why.as_ref().is_some_and(Missing::is_no_traffic)
        })
    }

    /// What a metric's check sees at this moment: in a window the number of when it last changed is old.
    fn measured(&self, check: &Check) -> Option<Row> {
        let CheckKind::Metric { metric, slot, condition, no_traffic } = &check.kind else { return None };
        // What evidence decides is no matter of the newest value: its words are what was seen.
        if matches!(condition, Condition::NotWorse(_)) {
            return None;
        }
        let (model, look) = (self.model, self.model.look);
        let run = model.run.as_ref()?;
        let metric = run.runbook.metric(metric.as_str())?;
        let slot = run.metric_slot(slot.as_ref().unwrap_or(&SlotRef::New));
        let reading = self.reading(check)?;
        let Some(value) = reading.value else {
            let idle = reading.why.as_ref().is_some_and(Missing::is_no_traffic);
            return Some(match no_traffic.filter(|_| idle) {
                Some(NoTraffic::Skip) => Row::of("skipped: no requests", look.dim()),
                Some(NoTraffic::Wait) => Row::of("waits: no requests", look.warn()),
                Some(NoTraffic::Fail) => Row::of("NO REQUESTS", look.alert()),
                None if idle => Row::of("NO TRAFFIC", look.alert()),
                None => Row::of("NO DATA", look.alert()),
            });
        };
        let (baseline, short) =
            run.baseline_of(&metric.id, slot.as_ref().filter(|_| metric.per_slot)).unzip();
        let style = match condition_holds(*condition, value, baseline) {
            Ok(true) => look.dim(),
            Ok(false) | Err(_) => look.alert(),
        };
        let bound = match condition {
            Condition::WithinBaseline(_) => {
                let short = short
                    .flatten()
                    .map(|span| format!(", from {} of data", span.clock()))
                    .unwrap_or_default();
                baseline.map(|baseline| format!(" (was {}{short})", metric.unit.show(baseline)))
            }
            Condition::Is(_) | Condition::NotWorse(_) => None,
        };
        Some(Row::of(metric.show(value), style).put(bound.unwrap_or_default(), look.dim()))
    }

    /// All checks of a place.
    pub(super) fn rows(&self, run: &Run, place: &Place, work: &Work, width: usize) -> Vec<Row> {
        let states = run.checks(place).iter().zip(&work.checks).enumerate();
        let open = open_words(run, place, work);
        states.map(|(index, (check, state))| self.row(index, check, state, open, width)).collect()
    }
}

/// Of a place that has ended before it came to that.
const NOT_VERIFIED: &str = "not verified";

/// What becomes of a place's checks that the program makes, while nothing is known of them. Another pane may show already
/// what they look for: that is not verified yet.
pub(super) fn open_words(run: &Run, place: &Place, work: &Work) -> &'static str {
    let ended = match place {
        Place::Step { step } => run.step(step.as_str()).is_none_or(|state| !state.status.is_active()),
        Place::Rollback { .. } => run.rolling_back().is_none(),
        Place::Completion | Place::Undo { .. } => work.finished_at.is_some(),
    };
    if ended || run.finished.is_some() {
        NOT_VERIFIED
    } else if work.acted() {
        "being verified"
    } else if matches!(place, Place::Rollback { .. }) {
        // Above it stands already where the traffic is: what is open is only the check of it.
        "checked last"
    } else {
        "to be verified"
    }
}

/// The commands of what has gone wrong, so that a person can take over.
pub(super) fn command(model: &Model, run: &Run, action: &Action) -> Option<Row> {
    let command = run.action_command(action)?;
    let one_line =
        command.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    Some(Row::of("     ", model.look.text()).join(by_hand(model, run, &one_line)))
}

/// A command as a person would type it. In a rehearsal it names the real namespace and is not run against it, and says so.
pub(super) fn by_hand(model: &Model, run: &Run, line: &str) -> Row {
    let look = model.look;
    let simulated = if run.opened.rehearsal.is_some() { "simulated: " } else { "" };
    Row::of(simulated, look.warn()).put(line, look.command())
}
