//! What the run waits for, and therefore what Enter does. The screen shows it, line mode acts on it, the machine checks
//! it.

use super::{
    action::Confirm,
    cause::{HoldCause, StopCause},
    event::{ActionRef, Outcome, Place},
    id::StepId,
    run::{ActionStatus, CheckStatus, Run, StepStatus, Stopped, Work},
    runbook::Automation,
    time::Timestamp,
};

/// What a run waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A value for an asked variable.
    Ask {
        /// The variable.
        name: String,
        /// The question.
        question: String,
        /// The suggested answer.
        default: Option<String>,
    },
    /// Whether an optional part applies.
    Decide {
        /// The part.
        part: String,
        /// The question.
        question: String,
        /// The suggested answer.
        default: bool,
    },
    /// Checklist items: these are open.
    Checklist {
        /// Group and item of each that keeps the steps closed.
        open: Vec<(usize, usize)>,
    },
    /// Every required item has passed: Enter opens the steps.
    OpenSteps,
    /// Enter starts this step.
    Start {
        /// The step's index.
        step: usize,
        /// The attempt to start.
        attempt: u32,
        /// What starts it.
        confirm: Confirm,
        /// The word to type, if any.
        word: String,
    },
    /// Enter starts the completion.
    Complete,
    /// Enter starts this action.
    Proceed {
        /// The action.
        at: ActionRef,
        /// What starts it.
        confirm: Confirm,
        /// The word to type, if any.
        word: String,
    },
    /// The action runs.
    Acting {
        /// Which.
        at: ActionRef,
    },
    /// Checks are running; manual ones are open.
    Checking {
        /// Where.
        place: Place,
        /// Open manual checks, by index.
        open: Vec<usize>,
    },
    /// A step's attempt has failed.
    Failed {
        /// The step; none for the completion.
        step: Option<StepId>,
    },
    /// An action's result is unknown.
    Unknown {
        /// Which.
        at: ActionRef,
    },
    /// A rollback starts by itself at this time.
    Countdown {
        /// The trigger's index.
        trigger: usize,
        /// When.
        ends_at: Timestamp,
    },
    /// A trigger has fired and asks a person.
    Fired {
        /// The trigger's index.
        trigger: usize,
    },
    /// Paused until somebody resumes.
    Held {
        /// Why.
        cause: HoldCause,
        /// Why, in words.
        reason: String,
    },
    /// A rollback runs.
    RollingBack,
    /// A rollback waits for retry.
    RollbackStopped {
        /// Why.
        cause: StopCause,
        /// Why, in words.
        reason: String,
    },
    /// The run has ended.
    Finished {
        /// How.
        outcome: Outcome,
    },
}

impl Run {
    /// The countdown that ends first, and when: several triggers may have fired, and that one decides.
    pub fn next_countdown(&self) -> Option<(usize, Timestamp)> {
        let running = self.triggers.iter().enumerate();
        running
            .filter_map(|(index, state)| Some((index, state.countdown?)))
            .min_by_key(|(_, ends_at)| *ends_at)
    }

    /// What the run waits for at this time.
    pub fn prompt(&self, now: Timestamp) -> Prompt {
        if let Some(rollback) = self.rolling_back() {
            if let Some(at) = unknown_in(&self.rollback_places(), self) {
                return Prompt::Unknown { at };
            }
            return match &rollback.stopped {
                Some(Stopped { cause, reason }) => {
                    Prompt::RollbackStopped { cause: *cause, reason: reason.clone() }
                }
                None => self.rollback_gate().unwrap_or(Prompt::RollingBack),
            };
        }
        if let Some((outcome, ..)) = &self.finished {
            return Prompt::Finished { outcome: *outcome };
        }
        if let Some((trigger, ends_at)) = self.next_countdown() {
            return Prompt::Countdown { trigger, ends_at };
        }
        if let Some(at) = self.current_place().and_then(|place| unknown_in(&[place], self)) {
            return Prompt::Unknown { at };
        }
        if let Some(trigger) = self.triggers.iter().position(|state| state.fired.is_some())
            && self.switched_at.is_some()
        {
            return Prompt::Fired { trigger };
        }
        if let Some(held) = &self.held {
            return Prompt::Held { cause: held.cause, reason: held.reason.clone() };
        }
        if !self.steps_open {
            return self.checklist_prompt(now);
        }
        self.step_prompt()
    }

    fn checklist_prompt(&self, now: Timestamp) -> Prompt {
        if let Some(var) = self.unasked().next() {
            let (question, default) = match &var.source {
                super::runbook::VarSource::Ask { question, default } => (question.clone(), default.clone()),
                _ => (var.name.clone(), None),
            };
            let default = default.or_else(|| self.opened.rehearsal.as_ref().and(var.sample.clone()));
            return Prompt::Ask { name: var.name.clone(), question, default };
        }
        if let Some(part) = self.undecided().next() {
            return Prompt::Decide {
                part: part.name.clone(),
                question: part.question.clone(),
                default: part.default,
            };
        }
        let open = self.open_items(now);
        if open.is_empty() { Prompt::OpenSteps } else { Prompt::Checklist { open } }
    }

    /// The place that is due: an undo under way, the current step, or the completion.
    pub fn current_place(&self) -> Option<Place> {
        if let Some((step, _)) = self.undoing() {
            return Some(Place::Undo { step });
        }
        match self.current() {
            Some(index) => Some(Place::Step { step: self.runbook.steps.get(index)?.id.clone() }),
            None => Some(Place::Completion),
        }
    }

    /// The undo under way outside a rollback, or within one before the switch.
    pub fn undoing(&self) -> Option<(StepId, &Work)> {
        self.steps.iter().zip(&self.runbook.steps).find_map(|(state, step)| {
            state.undo.as_ref().filter(|undo| undo.finished_at.is_none()).map(|undo| (step.id.clone(), undo))
        })
    }

    /// The typed word that a rollback before the switch waits for: restoring a backup is never a part of one key press.
    pub fn rollback_gate(&self) -> Option<Prompt> {
        self.rolling_back().filter(|rollback| rollback.stopped.is_none())?;
        let (step, undo) = self.undoing()?;
        let prompt = self.work_prompt(&Place::Undo { step }, undo);
        matches!(prompt, Prompt::Proceed { .. }).then_some(prompt)
    }

    /// Whether a rollback before the switch undoes steps: it can be stopped between two actions, and given up.
    pub fn is_undoing_steps(&self) -> bool {
        let undoing =
            self.rolling_back().is_some_and(|rollback| rollback.procedure.as_str() == super::id::UNDO);
        undoing && self.finished.is_none()
    }

    /// Whether a rollback can be given up now: one that has stopped, and undoing at any time, which ends with the action that
    /// runs.
    pub fn may_be_given_up(&self) -> bool {
        let stopped = self.rolling_back().is_some_and(|rollback| rollback.stopped.is_some());
        let open = self.rolling_back().is_some() && self.finished.is_none();
        self.is_undoing_steps() || (open && (stopped || self.waiting_act().is_some()))
    }

    /// Whether a rollback under way waits for a person, so that the engine may end without leaving anything half done.
    pub fn rollback_waits(&self) -> bool {
        let Some(rollback) = self.rolling_back() else { return false };
        let unknown = unknown_in(&self.rollback_places(), self).is_some_and(|at| !self.is_looked_at(&at));
        rollback.stopped.is_some() || self.rollback_gate().is_some() || unknown
    }

    /// Whether the engine still reads the outcome of an unknown action.
    pub fn is_looked_at(&self, at: &ActionRef) -> bool {
        let state = self.work(&at.place).and_then(|work| work.actions.get(at.action));
        self.action(at).is_some_and(|action| action.kind.is_kubernetes())
            && state.is_some_and(|state| state.status == ActionStatus::Unknown && !state.looked)
    }

    fn rollback_places(&self) -> Vec<Place> {
        let mut places: Vec<_> = self.undoing().map(|(step, _)| Place::Undo { step }).into_iter().collect();
        if let Some(rollback) = self.rolling_back() {
            places.push(Place::Rollback { procedure: rollback.procedure.clone() });
        }
        places
    }

    fn step_prompt(&self) -> Prompt {
        if let Some((step, undo)) = self.undoing() {
            return self.work_prompt(&Place::Undo { step }, undo);
        }
        let Some(index) = self.current() else {
            return match &self.completion {
                None => Prompt::Complete,
                Some(work) if work.finished_at.is_some() => Prompt::Failed { step: None },
                Some(work) => self.work_prompt(&Place::Completion, work),
            };
        };
        let (state, step) = (&self.steps[index], &self.runbook.steps[index]);
        match state.status {
            StepStatus::Failed => Prompt::Failed { step: Some(step.id.clone()) },
            StepStatus::Pending | StepStatus::Passed | StepStatus::Skipped => Prompt::Start {
                step: index,
                attempt: state.work.attempt + 1,
                confirm: step.confirm,
                word: self.word_for(step),
            },
            StepStatus::Running | StepStatus::Checking | StepStatus::Unknown => {
                self.work_prompt(&Place::Step { step: step.id.clone() }, &state.work)
            }
        }
    }

    fn work_prompt(&self, place: &Place, work: &Work) -> Prompt {
        let at = |action| ActionRef { place: place.clone(), attempt: work.attempt, action };
        if let Some(action) = work.running() {
            return Prompt::Acting { at: at(action) };
        }
        if let Some(action) = work.next() {
            return match self.gate(&at(action)) {
                Some((confirm, word)) => Prompt::Proceed { at: at(action), confirm, word },
                None => Prompt::Acting { at: at(action) },
            };
        }
        let open = self
            .checks(place)
            .iter()
            .zip(&work.checks)
            .enumerate()
            .filter(|(_, (check, state))| check.kind.is_person() && state.status != CheckStatus::Holds)
            .map(|(index, _)| index)
            .collect();
        Prompt::Checking { place: place.clone(), open }
    }

    /// What a person must do before an action starts, if anything: its own confirmation, or Enter before every action.
    /// A single undo was confirmed as a whole, with its typed word. A rollback before the switch was confirmed with one
    /// key, so a typed word still stops its undo actions; nothing stops a rollback procedure's. What would leave the
    /// rollback without pods requires the slot's name to be typed.
    pub fn gate(&self, at: &ActionRef) -> Option<(Confirm, String)> {
        let action = self.action(at)?;
        let word = match &at.place {
            Place::Step { step } | Place::Undo { step } => step.0.clone(),
            Place::Rollback { procedure } => procedure.0.clone(),
            Place::Completion => "complete".to_owned(),
        };
        match (&at.place, action.confirm) {
            (Place::Undo { .. }, Confirm::Type) if self.rolling_back().is_some() => {
                Some((Confirm::Type, word))
            }
            (Place::Rollback { .. } | Place::Undo { .. }, _) => None,
            _ if self.may_need_rollback() && self.endangers_rollback(action).is_some() => {
                let slot = self.endangers_rollback(action)?;
                Some((Confirm::Type, slot.0))
            }
            (_, Confirm::None) => {
                // The step's own Enter starts its first action.
                let manual = self.runbook.deployment.automation == Automation::Manual && at.action > 0;
                manual.then_some((Confirm::None, word))
            }
            (_, confirm) => Some((confirm, word)),
        }
    }
}

impl Run {
    /// Until every monitored window has ended, the previous slot may be needed again.
    fn may_need_rollback(&self) -> bool {
        let mut windows =
            self.runbook.steps.iter().zip(&self.steps).filter(|(step, _)| step.window.is_some());
        windows.clone().next().is_none() || windows.any(|(_, state)| !state.status.is_over())
    }
}

fn unknown_in(places: &[Place], run: &Run) -> Option<ActionRef> {
    places.iter().find_map(|place| {
        let work = run.work(place)?;
        let action = work.actions.iter().position(|action| action.status == ActionStatus::Unknown)?;
        Some(ActionRef { place: place.clone(), attempt: work.attempt, action })
    })
}
