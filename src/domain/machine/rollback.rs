//! Rollbacks: by key, by trigger, or a procedure with a typed word. Only one at a time, and never abandoned silently
//! half-way.

use super::{Machine, typed_matches};
use crate::domain::{
    actor::Actor,
    cause::StopCause,
    event::{ActionRef, Outcome, Place, RunEvent},
    id::{ProcedureId, QUICK, UNDO},
    plan::RollbackPlan,
    runbook::Milestone,
};

impl Machine {
    /// `R`, or a trigger.
    pub(super) fn roll_back(&mut self, reason: &str, by: &Actor) {
        if self.refuse_fenced_off() {
            return;
        }
        if let Some(rollback) = self.run.rolling_back() {
            let why = match &rollback.stopped {
                None => "a rollback is already running".to_owned(),
                Some(stopped) => format!(
                    "the rollback has stopped ({}): retry it (r, or: cutover rollback {id} --retry) or give \
                     it up (x, or: cutover rollback {id} --give-up --reason WHY)",
                    stopped.reason,
                    id = self.run.opened.run_id
                ),
            };
            return self.refuse(why);
        }
        if reason.trim().is_empty() {
            return self.refuse("a rollback needs a reason");
        }
        if !self.run.can_roll_back() {
            let left = self.run.rollback_plan(self.workload.as_ref(), self.now).not_undone;
            let over = self.run.rollbacks.last().is_some();
            let why = match left.first().filter(|_| !over) {
                Some(left) => format!("nothing can be rolled back without losing data: {left}"),
                None => "there is nothing to roll back".to_owned(),
            };
            return self.refuse(why);
        }
        let plan = self.run.rollback_plan(self.workload.as_ref(), self.now);
        self.begin_rollback(plan, reason, by);
    }

    /// A procedure of its own, with a typed word: the database.
    pub(super) fn roll_back_by(&mut self, procedure: &ProcedureId, reason: &str, typed: &str, by: &Actor) {
        if self.refuse_fenced_off() {
            return;
        }
        if self.run.rolling_back().is_some() {
            return self.refuse("a rollback is already running; wait for its end");
        }
        let Some(declared) = self.run.runbook.procedure(procedure.as_str()) else {
            return self.refuse(format!("the runbook has no [rollback.{procedure}]"));
        };
        // Before the word is asked, and before anything is scaled. The quick rollback is another matter: its first act brings
        // the users back, and is not refused for what a notice after it lacks.
        let lacks = self.run.procedure_lacks(declared).filter(|_| procedure.as_str() != QUICK);
        if self.run.started_at.is_none() {
            return self.refuse("nothing has started yet, so there is nothing to roll back");
        }
        if let Some(why) = lacks {
            return self.refuse(why);
        }
        if reason.trim().is_empty() {
            return self.refuse("a rollback needs a reason");
        }
        let word = self.run.rollback_word(procedure.as_str());
        if !typed_matches(Some(typed), &word) {
            return self.refuse(format!("type `{word}` to start this rollback"));
        }
        let plan = self.run.procedure_plan(procedure.as_str(), self.workload.as_ref());
        self.begin_rollback(plan, reason, by);
    }

    fn begin_rollback(&mut self, plan: RollbackPlan, reason: &str, by: &Actor) {
        let Some(procedure) = plan.procedure else {
            return self.refuse(
                "the runbook has no [rollback.quick]: switch back by hand with the kubectl command shown",
            );
        };
        self.ending = None;
        if let Some(at) = self.running_action() {
            // An undo under way is a part of undoing everything: it goes on. A write to the target is one request that may be on
            // its way already: nobody can call it back, so its answer is waited for.
            // Every other write to the target likewise: what became of it is a fact for this rollback.
            let undoing = procedure.as_str() == UNDO && matches!(at.place, Place::Undo { .. });
            if !undoing && self.run.writes_to(&at).is_none() {
                self.cancel_action(at);
            }
        }
        // What a dead engine has left running would work against what is rolled back.
        self.end_orphans(|_| true);
        self.granted = None;
        self.stop_watches();
        let over = self.run.finished.is_some();
        self.emit(RunEvent::RollbackStarted {
            procedure,
            reason: reason.to_owned(),
            by: by.clone(),
            actions: plan.actions,
            undo: plan.undo,
            within: plan.within,
        });
        if !over {
            self.cut_short(&format!("rolled back: {reason}"));
        }
    }

    /// Ends the attempt that is under way: nothing of it goes on.
    pub(super) fn cut_short(&mut self, reason: &str) {
        match self.run.current() {
            Some(index) if self.run.steps[index].status.is_active() => {
                let step = self.run.runbook.steps[index].id.clone();
                let attempt = self.run.steps[index].work.attempt;
                self.emit(RunEvent::StepFailed { step, attempt, reason: reason.to_owned() });
            }
            None => {
                let open = self.run.completion.as_ref().filter(|work| work.finished_at.is_none());
                if let Some(attempt) = open.map(|work| work.attempt) {
                    self.emit(RunEvent::CompletionFailed { attempt, reason: reason.to_owned() });
                }
            }
            Some(_) => {}
        }
    }

    /// One move of the rollback under way.
    pub(super) fn advance_rollback(&mut self) -> bool {
        let Some(rollback) = self.run.rolling_back() else { return false };
        if rollback.stopped.is_some() {
            return self.give_up_when_done();
        }
        let procedure = rollback.procedure.clone();
        if procedure.as_str() == UNDO {
            return self.advance_undo();
        }
        // Traffic goes back at once: a step's command that is still ending is not waited for, and a write of ours to a slot is
        // ruled out before the switch, not waited for. But one that moves traffic is: were its answer to come after ours,
        // nobody would know where traffic is.
        let switching = self.is_switching();
        // Any other procedure may well work on what a step's command works on.
        let waits = switching || (procedure.as_str() != QUICK && self.is_something_left());
        !waits && self.advance_work(&Place::Rollback { procedure })
    }

    /// Whether something of the steps still runs, or may: an action that is ending, or what a dead engine has left. That was
    /// told to end.
    fn is_something_left(&self) -> bool {
        let step = |at: &ActionRef| !matches!(at.place, Place::Rollback { .. });
        let lives = |at: &ActionRef| {
            let state = self.run.work(&at.place).and_then(|work| work.actions.get(at.action));
            state.is_some_and(|state| state.lives != Some(false))
        };
        self.unlooked
            || self.running_action().is_some_and(|at| step(&at))
            || self.run.orphans().iter().any(|(at, _)| step(at) && lives(at))
    }

    /// Before the switch the steps are undone, last first. An action that is still ending is waited for: undoing what is
    /// still being done would race with it.
    fn advance_undo(&mut self) -> bool {
        if let Some((step, _)) = self.run.undoing() {
            return self.advance_work(&Place::Undo { step });
        }
        if self.is_something_left() {
            return false;
        }
        let Some(rollback) = self.run.rolling_back() else { return false };
        let (by, steps) = (rollback.by.clone(), rollback.undo.clone());
        let next = steps.into_iter().find(|id| self.run.step(id.as_str()).is_some_and(|state| !state.undone));
        if let Some(step) = next {
            self.begin_undo(&step, &by);
            return true;
        }
        if !self.end_is_proved(&Place::Rollback { procedure: UNDO.into() }) {
            return false;
        }
        self.rollback_done();
        true
    }

    pub(super) fn stop_rollback(&mut self, cause: StopCause, reason: &str) {
        let Some(rollback) = self.run.rolling_back() else { return };
        let procedure = rollback.procedure.clone();
        self.emit(RunEvent::RollbackStopped { procedure, reason: reason.to_owned(), cause });
        self.notify(Milestone::Paged, format!("ROLLBACK STOPPED, somebody must act: {reason}"));
    }

    pub(super) fn retry_rollback(&mut self, by: Actor) {
        if self.refuse_fenced_off() {
            return;
        }
        let Some(rollback) = self.run.rolling_back().filter(|rollback| rollback.stopped.is_some()) else {
            return self.refuse("no rollback is waiting for a retry");
        };
        let (procedure, attempt) = (rollback.procedure.clone(), rollback.work.attempt + 1);
        self.giving_up = None;
        self.emit(RunEvent::RollbackRetried { procedure, attempt, by });
    }

    /// A person stops the undoing before the switch: what runs ends, nothing further begins. It can go on, or be given up.
    /// What moves traffic is not stopped half-way.
    pub(super) fn hold_undoing(&mut self, reason: &str, by: &Actor) {
        let Some(rollback) = self.run.rolling_back().filter(|rollback| rollback.stopped.is_none()) else {
            return self.refuse("the rollback has already stopped");
        };
        let procedure = rollback.procedure.clone();
        let reason = if reason.trim().is_empty() { "paused" } else { reason.trim() };
        let reason = format!("{reason} (by {by})");
        self.emit(RunEvent::RollbackStopped { procedure, reason, cause: StopCause::Person });
    }

    /// A rollback that was given up while one of its actions ran ends with that.
    fn give_up_when_done(&mut self) -> bool {
        if self.is_acting() {
            return false;
        }
        let Some(reason) = self.giving_up.take() else { return false };
        self.abandon_rollback(&reason);
        true
    }

    pub(super) fn abandon_rollback(&mut self, reason: &str) {
        // While it waits for pods, for the cluster or for its next try it may be given up too; not while something runs.
        let waits =
            self.run.rolling_back().is_some_and(|rollback| rollback.stopped.is_some() || !self.is_acting());
        let undoing = self.run.is_undoing_steps();
        if !waits && !undoing {
            return self.refuse("no rollback is waiting, so there is nothing to give up");
        }
        if reason.trim().is_empty() {
            return self.refuse("say why you give the rollback up");
        }
        if undoing && self.is_acting() {
            if let Some(rollback) = self.run.rolling_back().filter(|rollback| rollback.stopped.is_none()) {
                let procedure = rollback.procedure.clone();
                let reason = format!("given up as soon as the running action has ended: {reason}");
                self.emit(RunEvent::RollbackStopped { procedure, reason, cause: StopCause::Person });
            }
            self.giving_up = Some(reason.to_owned());
            return;
        }
        if let Some((step, undo)) = self.run.undoing() {
            let (attempt, detail) = (undo.attempt, format!("undo given up: {reason}"));
            self.emit(RunEvent::UndoFinished { step, attempt, ok: false, detail });
        }
        self.end_rollback(false, reason);
    }

    fn is_acting(&self) -> bool {
        self.running_action().is_some()
    }

    pub(super) fn rollback_done(&mut self) {
        let reason = self.run.rolling_back().map(|rollback| rollback.reason.clone()).unwrap_or_default();
        self.end_rollback(true, &reason);
    }

    fn end_rollback(&mut self, ok: bool, detail: &str) {
        let Some(rollback) = self.run.rolling_back() else { return };
        let took = self.now.since(rollback.started_at);
        let (procedure, within) = (rollback.procedure.clone(), rollback.within);
        self.stop_watches();
        self.disarm_triggers();
        let detail = detail.to_owned();
        self.granted = None;
        self.emit(RunEvent::RollbackFinished { procedure, ok, detail, took, within });
    }

    /// With its rollback the run has ended, also where a crash came between the two.
    pub(super) fn end_after_rollback(&mut self) -> bool {
        let Some(rollback) = self.run.rollbacks.last() else { return false };
        let Some((ok, detail, took)) = rollback.finished.clone() else { return false };
        let late = rollback.within.filter(|within| took > *within);
        let detail = match rollback.remarks.as_slice() {
            [] => detail,
            remarks => format!("{detail}; remarks: {}", remarks.join("; ")),
        };
        let summary = match (ok, late) {
            (true, None) => format!("{detail} (took {})", took.clock()),
            (true, Some(within)) => format!("{detail} (took {}, promised {within})", took.clock()),
            (false, _) => format!("{}: {detail}", rollback.procedure),
        };
        self.finish(if ok { Outcome::RolledBack } else { Outcome::RollbackFailed }, &summary);
        true
    }
}
