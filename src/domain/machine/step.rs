//! Steps and their actions. The completion is handled as a step without a name.
//!
//! Longer than 500 lines by a little: what an operator may do to a step is one list.

use super::{Machine, typed_matches};
use crate::domain::{
    action::{ActionKind, Confirm},
    actor::Actor,
    cause::StopCause,
    effect::Effect,
    event::{ActionOutcome, ActionRef, CheckRef, Outcome, Place, Resolution, RunEvent},
    id::StepId,
    prompt::Prompt,
    run::{ActionStatus, CheckStatus, StepState, StepStatus, Work},
    runbook::{Automation, Milestone},
    time::Span,
};

impl Machine {
    /// One move of the step that is due.
    pub(super) fn advance_steps(&mut self) -> bool {
        if let Some((step, _)) = self.run.undoing() {
            return self.advance_work(&Place::Undo { step });
        }
        let Some(index) = self.run.current() else {
            return match &self.run.completion {
                None => self.start_by_itself(None),
                Some(work) if work.finished_at.is_some() => false,
                Some(_) => self.advance_work(&Place::Completion),
            };
        };
        let runbook = std::sync::Arc::clone(&self.run.runbook);
        let step = &runbook.steps[index];
        match self.run.steps[index].status {
            StepStatus::Pending if !self.run.applies(step) => {
                let part = step.when.clone().unwrap_or_default();
                self.emit(RunEvent::StepSkipped {
                    step: step.id.clone(),
                    reason: format!("`{part}` does not apply"),
                    by: Actor::Auto,
                });
                true
            }
            StepStatus::Pending if step.confirm == Confirm::None && step.approvals == 0 => {
                self.start_by_itself(Some(&step.id))
            }
            status if status.is_active() => self.advance_work(&Place::Step { step: step.id.clone() }),
            _ => false,
        }
    }

    /// With full automation a step that asks for nothing starts by itself.
    fn start_by_itself(&mut self, step: Option<&StepId>) -> bool {
        let undone = step.and_then(|step| self.run.step(step.as_str())).is_some_and(|state| state.undone);
        let full = self.run.runbook.deployment.automation == Automation::Full;
        if !full || undone || self.run.held.is_some() || !self.run.foreign.is_empty() {
            return false;
        }
        match step {
            Some(step) => self.begin_step(step, &Actor::Auto),
            None => self.begin_completion(&Actor::Auto),
        }
        true
    }

    pub(super) fn start(&mut self, step: Option<StepId>, attempt: u32, typed: Option<&str>, by: &Actor) {
        if self.refuse_while_held() {
            return;
        }
        match self.run.prompt(self.now) {
            Prompt::Start { step: index, attempt: due, confirm, word } => {
                let declared = &self.run.runbook.steps[index];
                if step.as_ref() != Some(&declared.id) || attempt != due {
                    return self.refuse("the screen was out of date: that step is no longer due");
                }
                let given = self.run.approved_by(&declared.id, due).len();
                let missing = (declared.approvals as usize).saturating_sub(given);
                if missing > 0 {
                    let people = if missing == 1 { "person" } else { "people" };
                    let id = &self.run.opened.run_id;
                    return self.refuse(format!(
                        "this step needs {missing} other {people} to approve it: cutover approve {id}"
                    ));
                }
                if confirm == Confirm::Type && !typed_matches(typed, &word) {
                    return self.refuse(format!("type `{word}` to start this step"));
                }
                let id = declared.id.clone();
                self.begin_step(&id, by);
            }
            Prompt::Complete if step.is_none() => self.begin_completion(by),
            _ => self.refuse("nothing is waiting to start"),
        }
    }

    pub(super) fn refuse_while_held(&mut self) -> bool {
        let Some(held) = &self.run.held else { return false };
        let why = format!("the run is paused ({}); resume it first", held.reason);
        self.refuse(why);
        true
    }

    fn begin_step(&mut self, step: &StepId, by: &Actor) {
        let Some(state) = self.run.step(step.as_str()) else { return };
        let attempt = state.work.attempt + 1;
        let first = self.run.started_at.is_none();
        self.granted = None;
        self.window_written = Span::ZERO;
        self.unmeasured = None;
        self.forget_watches();
        self.emit(RunEvent::StepStarted { step: step.clone(), attempt, by: by.clone() });
        if first {
            let module = &self.run.runbook.document.module;
            let version = self.run.new_version().unwrap_or_default();
            let text = format!("DEPLOYMENT: starting {module} {version} (by {by})");
            self.notify(Milestone::Started, text);
        }
    }

    fn begin_completion(&mut self, by: &Actor) {
        let attempt = self.run.completion.as_ref().map_or(0, |work| work.attempt) + 1;
        self.granted = None;
        self.forget_watches();
        self.emit(RunEvent::CompletionStarted { attempt, by: by.clone() });
    }

    pub(super) fn proceed(&mut self, at: ActionRef, typed: Option<&str>) {
        if self.refuse_while_held() {
            return;
        }
        match self.run.prompt(self.now) {
            Prompt::Proceed { at: due, confirm, word } if due == at => {
                if confirm == Confirm::Type && !typed_matches(typed, &word) {
                    return self.refuse(format!("type `{word}` to start this action"));
                }
                self.granted = Some(at);
            }
            _ => self.refuse("the screen was out of date: that action is no longer due"),
        }
    }

    /// One move of the work at a place: start the next action, or look at the checks once all are done.
    pub(super) fn advance_work(&mut self, place: &Place) -> bool {
        let Some(work) = self.run.work(place) else { return false };
        let attempt = work.attempt;
        if work
            .actions
            .iter()
            .any(|action| matches!(action.status, ActionStatus::Unknown | ActionStatus::Running))
        {
            return false;
        }
        let at = |action| ActionRef { place: place.clone(), attempt, action };
        let failed = work
            .actions
            .iter()
            .enumerate()
            .find(|(_, action)| matches!(action.status, ActionStatus::Failed | ActionStatus::Cancelled));
        if let Some((index, state)) = failed {
            let name = self.run.actions(place).get(index).map_or("", |action| action.name.as_str());
            let reason = format!("{name}: {}", state.detail);
            return self.remark(place, Some(index), &reason) || self.fail(place, &reason);
        }
        if let Some(action) = work.next() {
            let at = at(action);
            let rolling_back = self.run.rolling_back().is_some();
            let held = self.run.held.is_some() && !rolling_back;
            let gated = self.run.gate(&at).is_some() && self.granted.as_ref() != Some(&at);
            if held || gated {
                return false;
            }
            return self.begin_action(at);
        }
        self.advance_checks(place)
    }

    pub(super) fn on_action_finished(
        &mut self,
        at: ActionRef,
        outcome: ActionOutcome,
        detail: String,
        took: Span,
        output: Option<String>,
    ) {
        let running = self.run.work(&at.place).is_some_and(|work| {
            work.attempt == at.attempt
                && work.actions.get(at.action).is_some_and(|action| action.status == ActionStatus::Running)
        });
        if !running {
            return;
        }
        self.cancelled.remove(&at);
        let why = detail.clone();
        self.emit(RunEvent::ActionFinished { at: at.clone(), outcome, detail, took, output });
        // What was seen before it is not the present any more.
        if self.run.action(&at).is_some_and(|action| action.kind.touches_target()) {
            self.forget_look();
            self.ask_look();
        }
        match outcome {
            ActionOutcome::Unavailable if self.tries_on(&at) => self.try_again(at, &why),
            ActionOutcome::Unknown
                if self.run.action(&at).is_some_and(|action| action.kind.is_kubernetes()) =>
            {
                self.effect(Effect::Verify(at));
            }
            ActionOutcome::Unknown => {
                let name = self.run.action(&at).map(|action| action.name.clone()).unwrap_or_default();
                self.notify(
                    Milestone::Paged,
                    format!("UNKNOWN: nobody knows whether `{name}` was done; somebody must find out"),
                );
            }
            _ => {}
        }
    }

    /// Tells that traffic has moved, once the action that moves it is known to be done, however that became known.
    pub(super) fn tell_switch(&mut self) -> bool {
        if let Some(shares) = self.run.shifted_to.clone() {
            self.tell_shares(shares);
            return true;
        }
        let Some(to) = self.run.moved_to.clone() else { return false };
        let from = self.run.live.clone().unwrap_or_else(|| to.clone());
        self.emit(RunEvent::TrafficSwitched { from, to: to.clone() });
        if self.run.switched_at.is_some() {
            // A canary that gets the rest is judged on: what was seen of it before counts.
            if self.clocks.is_empty() {
                self.arm_triggers();
            }
            let version = self.run.new_version().unwrap_or_default();
            let module = &self.run.runbook.document.module;
            self.notify(
                Milestone::Switched,
                format!("SWITCHED: {module} {version} takes all traffic on {to}"),
            );
        } else {
            self.disarm_triggers();
        }
        true
    }

    pub(super) fn on_verified(&mut self, at: ActionRef, resolution: Option<Resolution>, evidence: String) {
        let unknown = self.run.work(&at.place).is_some_and(|work| {
            work.attempt == at.attempt
                && work.actions.get(at.action).is_some_and(|action| action.status == ActionStatus::Unknown)
        });
        if !unknown || self.verified_in_rollback(at.clone(), resolution, &evidence) {
            return;
        }
        if let Some(resolution) = resolution {
            let (by, evidence) = (Actor::Auto, Some(evidence));
            self.forget_look();
            self.emit(RunEvent::ActionResolved { at, resolution, by, evidence });
        } else {
            self.emit(RunEvent::ActionLooked { at: at.clone(), evidence: evidence.clone() });
            let name = self.run.action(&at).map(|action| action.name.clone()).unwrap_or_default();
            self.notify(
                Milestone::Paged,
                format!(
                    "UNKNOWN: nobody knows whether `{name}` was done ({evidence}); somebody must find out"
                ),
            );
        }
    }

    pub(super) fn resolve(&mut self, at: ActionRef, resolution: Resolution, by: Actor) {
        match self.run.prompt(self.now) {
            Prompt::Unknown { at: due } if due == at => {
                if let Some(child) = self.run.outlives(&at) {
                    return self.refuse(format!(
                        "its process {} still runs: wait for its end, or end it with :kill; then say whether \
                         it was done",
                        child.pid
                    ));
                }
                self.forget_look();
                self.emit(RunEvent::ActionResolved { at: at.clone(), resolution, by, evidence: None });
                // Run again is a person's decision about this very action: it needs no second one.
                if resolution == Resolution::RunAgain {
                    self.granted = Some(at);
                }
            }
            _ => self.refuse(format!("no unknown action is waiting to be marked as {}", resolution.words())),
        }
    }

    /// The work at a place has failed.
    pub(super) fn fail(&mut self, place: &Place, reason: &str) -> bool {
        self.stop_watches();
        let attempt = self.run.work(place).map_or(1, |work| work.attempt);
        match place {
            Place::Step { step } => {
                self.emit(RunEvent::StepFailed { step: step.clone(), attempt, reason: reason.to_owned() });
                let title =
                    self.run.declared(step.as_str()).map(|step| step.title.clone()).unwrap_or_default();
                self.notify(Milestone::Failed, format!("FAILED: step `{title}`: {reason}"));
            }
            Place::Undo { step } => {
                let detail = format!("undo failed: {reason}");
                self.emit(RunEvent::UndoFinished { step: step.clone(), attempt, ok: false, detail });
                if self.run.rolling_back().is_some() {
                    self.stop_rollback(StopCause::Failed, reason);
                }
            }
            Place::Rollback { .. } => self.stop_rollback(StopCause::Failed, reason),
            Place::Completion => {
                self.emit(RunEvent::CompletionFailed { attempt, reason: reason.to_owned() });
                self.notify(
                    Milestone::Failed,
                    format!("FAILED: the completion: {reason}; traffic stays where it is"),
                );
            }
        }
        true
    }

    /// Every check of the place holds.
    pub(super) fn pass(&mut self, place: &Place) -> bool {
        if *place == Place::Completion
            && let Some(moved) = self.refute_success()
        {
            return moved;
        }
        if !self.end_is_proved(place) {
            return false;
        }
        self.stop_watches();
        let attempt = self.run.work(place).map_or(1, |work| work.attempt);
        match place {
            Place::Step { step } => self.emit(RunEvent::StepPassed { step: step.clone(), attempt }),
            Place::Undo { step } => {
                let detail = "undone".to_owned();
                self.emit(RunEvent::UndoFinished { step: step.clone(), attempt, ok: true, detail });
            }
            Place::Rollback { .. } => self.rollback_done(),
            Place::Completion => self.complete(),
        }
        true
    }

    pub(super) fn tick_check(
        &mut self,
        step: Option<StepId>,
        attempt: u32,
        check: usize,
        holds: bool,
        note: Option<String>,
        by: Actor,
    ) {
        let place = match (step, self.run.rollbacks.last()) {
            (Some(step), _) => Place::Step { step },
            (None, Some(rollback)) => Place::Rollback { procedure: rollback.procedure.clone() },
            (None, None) => Place::Completion,
        };
        let due =
            self.run.work(&place).is_some_and(|work| work.attempt == attempt && check < work.checks.len());
        let person = self.run.checks(&place).get(check).is_some_and(|check| check.kind.is_person());
        let caught = self.run.has_caught(&place, check);
        if !due || !(person || caught) {
            return self.refuse("the screen was out of date: that check is automatic or no longer due");
        }
        if !self.takes_answers(&place) {
            return self
                .refuse("these checks are not due: earlier actions are not done, or the step has ended");
        }
        let text = self.run.checks(&place)[check].text.clone();
        let at = CheckRef { place: place.clone(), attempt, check };
        let evidence = note.unwrap_or_default();
        if holds && caught && evidence.trim().is_empty() {
            return self.refuse("say in a note why it is safe to go on");
        }
        if holds {
            let again =
                self.run.work(&place).is_some_and(|work| work.checks[check].status == CheckStatus::Holds);
            if !again {
                // Looked at anew, from here on.
                self.stop_watch(&at);
                self.emit(RunEvent::CheckPassed { at, text, evidence, by, skipped: false });
            }
        } else {
            let by_person =
                RunEvent::CheckFailed { at, text: text.clone(), evidence, by: by.clone(), caught };
            self.emit(by_person);
            if !matches!(place, Place::Rollback { .. }) {
                self.fail(&place, &format!("{by} says it failed: {text}"));
            }
        }
    }

    /// Whether a person may answer the checks of a place now. A "no" fails the step, and a failed step can be tried again: never
    /// while one of its actions still runs.
    fn takes_answers(&self, place: &Place) -> bool {
        match place {
            Place::Step { step } => {
                let checking = |state: &StepState| state.status == StepStatus::Checking;
                self.run.rolling_back().is_none()
                    && self.run.finished.is_none()
                    && self.run.step(step.as_str()).is_some_and(checking)
            }
            Place::Completion => {
                let acted = self.run.work(place).is_some_and(Work::acted);
                let open = self.run.completion.as_ref().is_some_and(|work| work.finished_at.is_none());
                open && acted && self.run.finished.is_none()
            }
            // A reminder: it can be ticked at any time, and holds nothing up.
            Place::Rollback { .. } | Place::Undo { .. } => true,
        }
    }

    pub(super) fn retry(&mut self, step: Option<StepId>, attempt: u32, by: &Actor) {
        if self.refuse_while_held() {
            return;
        }
        match self.run.prompt(self.now) {
            Prompt::Failed { step: due } if due == step => {
                let last = match &step {
                    Some(step) => self.run.step(step.as_str()).map_or(0, |state| state.work.attempt),
                    None => self.run.completion.as_ref().map_or(0, |work| work.attempt),
                };
                if last != attempt {
                    return self.refuse("the screen was out of date: that attempt has ended");
                }
                match step {
                    Some(step) => self.begin_step(&step, by),
                    None => self.begin_completion(by),
                }
            }
            _ => self.refuse("nothing has failed, so there is nothing to retry"),
        }
    }

    pub(super) fn undo(&mut self, step: StepId, typed: Option<&str>, by: &Actor) {
        if self.refuse_while_held() {
            return;
        }
        let Some((declared, state)) = self.run.declared(step.as_str()).zip(self.run.step(step.as_str()))
        else {
            return self.refuse("no such step");
        };
        if declared.undo.is_empty() {
            let why = declared.no_undo.clone().unwrap_or_else(|| "the runbook gives no reason".to_owned());
            return self.refuse(format!("this step has no undo: {why}"));
        }
        if state.status.is_active() || self.running_action().is_some() {
            return self.refuse("something is running; wait for it, or roll back (R)");
        }
        if !matches!(state.status, StepStatus::Failed | StepStatus::Passed) {
            return self.refuse("this step has done nothing to undo");
        }
        let index = self.run.runbook.step_index(step.as_str());
        let later = self.run.steps.iter().skip(index.map_or(0, |i| i + 1));
        if later
            .into_iter()
            .any(|state| matches!(state.status, StepStatus::Passed | StepStatus::Failed) && !state.undone)
        {
            return self.refuse("a later step builds on this one; undo that first, or roll back (R)");
        }
        if let Some(why) = self.run.undo_lacks(declared) {
            return self.refuse(why);
        }
        if let Some(word) = self.run.undo_word(declared).filter(|word| !typed_matches(typed, word)) {
            return self.refuse(format!("type `{word}` to undo this step"));
        }
        self.begin_undo(&step, by);
    }

    pub(super) fn begin_undo(&mut self, step: &StepId, by: &Actor) {
        let attempt =
            self.run.step(step.as_str()).and_then(|state| state.undo.as_ref()).map_or(0, |undo| undo.attempt)
                + 1;
        self.emit(RunEvent::UndoStarted { step: step.clone(), attempt, by: by.clone() });
    }

    pub(super) fn skip(&mut self, step: StepId, reason: String, by: Actor) {
        if reason.trim().is_empty() {
            return self.refuse("say why this step is skipped");
        }
        let due = self.run.current().and_then(|index| Some((self.run.runbook.steps.get(index)?, index)));
        match due {
            Some((declared, index)) if declared.id == step && self.run.steps_open => {
                if self.run.steps[index].status.is_active() || self.run.undoing().is_some() {
                    return self.refuse("something is running; wait for it first");
                }
                self.emit(RunEvent::StepSkipped { step, reason, by });
            }
            _ => self.refuse("only the next step can be skipped"),
        }
    }

    pub(super) fn abort(&mut self, reason: &str) {
        if self.run.rolling_back().is_some() {
            return self.refuse("a rollback has started: retry it, or give it up");
        }
        if self.run.switch_begun() {
            return self.refuse("traffic is on the new slot: roll back (R), or go on");
        }
        if let Some(at) = self.running_action() {
            self.cancel_action(at);
        }
        self.end(Outcome::Failed, reason);
    }

    pub(super) fn cancel_action(&mut self, at: ActionRef) {
        if self.cancelled.insert(at.clone()) {
            self.effect(Effect::CancelAction(at));
        }
    }

    /// Whether a command of the runbook runs: it may change the cluster in its own name.
    pub(super) fn runs_command(&self) -> bool {
        self.running_action().is_some_and(|at| {
            let action = self.run.action(&at);
            action
                .is_some_and(|action| matches!(action.kind, ActionKind::Sh { .. } | ActionKind::Argv { .. }))
        })
    }
}
