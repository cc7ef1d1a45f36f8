//! Questions to the operator. Each knows what it was asked for, step and attempt included, so that an answer that comes
//! too late is an answer to nothing.

use tui_input::Input;

use crate::domain::{
    action::Confirm,
    event::{ActionRef, Resolution},
    id::{ProcedureId, QUICK, StepId},
    message::Command,
    metric::Metric,
    prompt::Prompt,
    run::Run,
    time::Timestamp,
};

/// Lines that a key scrolls a dialog by.
const SCROLL: usize = 4;

/// Another place in a dialog that can be scrolled down to `end`. A larger screen may have brought the end nearer.
pub fn scrolled(from: usize, down: bool, end: usize) -> usize {
    let from = from.min(end);
    if down { (from + SCROLL).min(end) } else { from.saturating_sub(SCROLL) }
}

/// A question with a text field, a choice, or two buttons.
#[derive(Debug, Clone)]
pub struct Form {
    /// What it is for.
    pub purpose: Purpose,
    /// The text field, if there is one.
    pub input: Option<Input>,
    /// What was wrong with the last answer.
    pub fault: Option<String>,
    /// The focused choice or button, from 0.
    pub choice: usize,
    /// How often Enter was pressed, where it must be pressed twice.
    pub pressed: u8,
    /// How far it is scrolled, where it has no room for all of it.
    pub scroll: usize,
}

/// What a question is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    /// A variable's value.
    Ask {
        /// The variable.
        name: String,
        /// The question.
        question: String,
    },
    /// Whether a part applies.
    Decide {
        /// The part.
        part: String,
        /// The question.
        question: String,
    },
    /// Open the steps although items are open.
    Override {
        /// How many.
        open: usize,
    },
    /// A remark with a tick.
    TickItem {
        /// The group.
        group: usize,
        /// The item.
        item: usize,
    },
    /// Why an item is not needed.
    Waive {
        /// The group.
        group: usize,
        /// The item.
        item: usize,
    },
    /// Start a step.
    Start {
        /// The step; none for the completion.
        step: Option<StepId>,
        /// The attempt that would begin.
        attempt: u32,
        /// What starts it.
        confirm: Confirm,
        /// The word to type.
        word: String,
    },
    /// Start an action.
    Proceed {
        /// Which.
        at: ActionRef,
        /// What starts it.
        confirm: Confirm,
        /// The word to type.
        word: String,
    },
    /// A person's check, with a remark.
    TickCheck {
        /// The step; none for completion and rollback.
        step: Option<StepId>,
        /// The attempt.
        attempt: u32,
        /// The check.
        check: usize,
        /// Whether it holds.
        holds: bool,
    },
    /// Run a failed step, or the completion, once more.
    Retry {
        /// Which; none for the completion.
        step: Option<StepId>,
        /// The attempt that has failed.
        attempt: u32,
    },
    /// Leave a step out.
    Skip {
        /// Which.
        step: StepId,
    },
    /// Run a step's undo.
    Undo {
        /// Which.
        step: StepId,
        /// The word to type, where one is asked.
        word: Option<String>,
    },
    /// Start nothing new.
    Hold,
    /// Go on.
    Continue,
    /// Stop a countdown, or answer a trigger that asks.
    CancelCountdown {
        /// The trigger.
        trigger: usize,
    },
    /// What became of an action.
    Resolve {
        /// Which.
        at: ActionRef,
    },
    /// Give a stopped rollback up.
    Abandon,
    /// End the run.
    Abort,
    /// A remark for the log.
    Note,
    /// Send the incident's message.
    SendIncident,
    /// The incident's title or impact.
    Incident(Box<IncidentDraft>),
    /// Leave the screen.
    Quit,
}

impl Purpose {
    /// Whether answering orders something that may act on the target at once.
    pub fn orders_act(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Proceed { .. } | Self::Retry { .. } | Self::Undo { .. } => true,
            Self::Ask { .. }
            | Self::Decide { .. }
            | Self::Override { .. }
            | Self::TickItem { .. }
            | Self::Waive { .. }
            | Self::TickCheck { .. }
            | Self::Skip { .. }
            | Self::Hold
            | Self::Continue
            | Self::CancelCountdown { .. }
            | Self::Resolve { .. }
            | Self::Abandon
            | Self::Abort
            | Self::Note
            | Self::SendIncident
            | Self::Incident(_)
            | Self::Quit => false,
        }
    }
}

/// An incident's text while it is edited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentDraft {
    /// The level's index.
    pub level: usize,
    /// Brief description.
    pub title: String,
    /// What users see.
    pub impact: String,
    /// The status' index in [`STATUSES`].
    pub status: usize,
    /// The field that has the keys: level, title, impact, status.
    pub field: usize,
}

/// An incident's stages.
pub const STATUSES: [&str; 3] = ["Investigating", "Mitigating", "Resolved"];
/// The answers to "what became of it?", in the order shown. The last one is a rollback instead.
pub const RESOLUTIONS: [Resolution; 3] = [Resolution::Done, Resolution::NotDone, Resolution::RunAgain];

impl Form {
    /// A question with a text field.
    pub fn typing(purpose: Purpose, prefilled: &str) -> Self {
        Self {
            purpose,
            input: Some(Input::new(prefilled.to_owned())),
            fault: None,
            choice: 0,
            pressed: 0,
            scroll: 0,
        }
    }

    /// A question with choices, one of them focused.
    pub fn choosing(purpose: Purpose, choice: usize) -> Self {
        Self { purpose, input: None, fault: None, choice, pressed: 0, scroll: 0 }
    }

    /// Whether letters go into a text field.
    pub fn is_typing(&self) -> bool {
        match &self.purpose {
            Purpose::Incident(draft) => matches!(draft.field, 1 | 2),
            _ => self.input.is_some(),
        }
    }

    /// The text as typed, without blanks around it.
    pub fn text(&self) -> &str {
        self.input.as_ref().map_or("", |input| input.value().trim())
    }

    /// Whether it must not be answered with nothing.
    pub fn needs_text(&self) -> bool {
        match &self.purpose {
            Purpose::Ask { .. }
            | Purpose::Override { .. }
            | Purpose::Waive { .. }
            | Purpose::Skip { .. }
            | Purpose::Hold
            | Purpose::CancelCountdown { .. }
            | Purpose::Abandon
            | Purpose::Abort
            | Purpose::Note => true,
            // What holds is ticked without a form, but for what was caught.
            Purpose::TickCheck { .. } => true,
            _ => false,
        }
    }

    /// The word that must be typed.
    pub fn word(&self) -> Option<&str> {
        match &self.purpose {
            Purpose::Start { confirm: Confirm::Type, word, .. }
            | Purpose::Proceed { confirm: Confirm::Type, word, .. } => Some(word),
            Purpose::Undo { word, .. } => word.as_deref(),
            _ => None,
        }
    }

    /// Whether the question still makes sense for what the run waits for.
    pub fn is_due(&self, run: &Run, prompt: &Prompt) -> bool {
        match &self.purpose {
            Purpose::Ask { name, .. } => matches!(prompt, Prompt::Ask { name: due, .. } if due == name),
            Purpose::Decide { part, .. } => matches!(prompt, Prompt::Decide { part: due, .. } if due == part),
            Purpose::Override { .. } => matches!(prompt, Prompt::Checklist { .. }),
            Purpose::TickItem { .. } | Purpose::Waive { .. } => !run.steps_open,
            Purpose::Start { step: Some(step), attempt, .. } => {
                matches!(prompt, Prompt::Start { step: due, attempt: next, .. }
                    if next == attempt && run.runbook.steps.get(*due).is_some_and(|due| due.id == *step))
            }
            Purpose::Start { step: None, .. } => matches!(prompt, Prompt::Complete),
            Purpose::Proceed { at, .. } => matches!(prompt, Prompt::Proceed { at: due, .. } if due == at),
            Purpose::TickCheck { step, attempt, .. } => {
                let work = step.as_ref().and_then(|step| run.step(step.as_str())).map(|state| &state.work);
                work.is_none_or(|work| work.attempt == *attempt)
            }
            Purpose::Skip { step } | Purpose::Undo { step, .. } => {
                run.rolling_back().is_none()
                    && run.step(step.as_str()).is_some_and(|state| !state.status.is_active())
            }
            Purpose::Retry { step, .. } => {
                matches!(prompt, Prompt::Failed { step: failed } if failed == step)
            }
            Purpose::Hold => run.is_undoing_steps() || (run.held.is_none() && run.finished.is_none()),
            Purpose::Continue => run.held.is_some(),
            Purpose::CancelCountdown { trigger } => {
                run.triggers
                    .get(*trigger)
                    .is_some_and(|state| state.countdown.is_some() || state.fired.is_some())
                    && run.rolling_back().is_none()
            }
            Purpose::Resolve { at } => matches!(prompt, Prompt::Unknown { at: due } if due == at),
            Purpose::Abandon => run.may_be_given_up(),
            Purpose::Abort => run.finished.is_none(),
            Purpose::Note | Purpose::SendIncident | Purpose::Incident(_) | Purpose::Quit => true,
        }
    }

    /// What the answer asks the engine for; none where it asks for nothing.
    pub fn command(&self, run: &Run) -> Option<Command> {
        let text = self.text().to_owned();
        let note = (!text.is_empty()).then(|| text.clone());
        Some(match self.purpose.clone() {
            Purpose::Ask { name, .. } => Command::SetVar { name, value: text },
            Purpose::Decide { part, .. } => Command::DecidePart { part, applies: self.choice == 0 },
            Purpose::Override { .. } => Command::OpenSteps { override_reason: Some(text) },
            Purpose::TickItem { group, item } => Command::TickItem { group, item, note },
            Purpose::Waive { group, item } => Command::WaiveItem { group, item, reason: text },
            Purpose::Start { step, attempt, .. } => Command::Start { step, attempt, typed: note },
            Purpose::Proceed { at, .. } => Command::Proceed { at, typed: note },
            Purpose::TickCheck { step, attempt, check, holds } => {
                Command::TickCheck { step, attempt, check, holds, note }
            }
            Purpose::Retry { step, attempt } => Command::Retry { step, attempt },
            Purpose::Skip { step } => Command::Skip { step, reason: text },
            Purpose::Undo { step, .. } => Command::Undo { step, typed: note },
            Purpose::Hold => Command::Hold { reason: text },
            Purpose::Continue => Command::Continue,
            Purpose::CancelCountdown { trigger } => Command::CancelCountdown { trigger, reason: text },
            Purpose::Resolve { at } => Command::Resolve { at, resolution: *RESOLUTIONS.get(self.choice)? },
            Purpose::Abandon => Command::AbandonRollback { reason: text },
            Purpose::Abort => Command::Abort { reason: text },
            Purpose::Note => Command::Note { text },
            Purpose::SendIncident => {
                let incident = run.incident.clone()?;
                Command::Incident {
                    severity: incident.severity,
                    title: incident.title,
                    impact: incident.impact,
                    status: incident.status,
                    send: true,
                }
            }
            Purpose::Incident(draft) => Command::Incident {
                severity: run
                    .runbook
                    .incident
                    .as_ref()
                    .and_then(|incident| incident.levels.get(draft.level))
                    .map_or_else(|| "P1".to_owned(), |level| level.level.clone()),
                title: draft.title.trim().to_owned(),
                impact: draft.impact.trim().to_owned(),
                status: STATUSES.get(draft.status).copied().unwrap_or("Investigating").to_owned(),
                send: false,
            },
            Purpose::Quit => return None,
        })
    }
}

/// The rollback dialog: what it would do is read from the run at every frame; here is only what the operator decides.
#[derive(Debug, Clone)]
pub struct RollbackForm {
    /// A procedure of its own; none for what `R` does now.
    pub procedure: Option<ProcedureId>,
    /// Reasons to choose from, and whether each is measured now. The last place is for words of one's own.
    pub reasons: Vec<(String, bool)>,
    /// The chosen reason; beyond the last one it is the text field.
    pub reason: usize,
    /// Words of one's own.
    pub other: Input,
    /// The word to type, where one is asked.
    pub word: Option<String>,
    /// What was typed of it.
    pub typed: Input,
    /// Where the keys go.
    pub focus: RollbackFocus,
    /// What was wrong with the last answer.
    pub fault: Option<String>,
    /// How far it is scrolled, where it has no room for all of it.
    pub scroll: usize,
}

/// The parts of the rollback dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackFocus {
    /// The list of reasons.
    Reasons,
    /// The field for words of one's own.
    Other,
    /// The field for the word.
    Word,
    /// The button that closes it.
    Cancel,
    /// The button that rolls back.
    Go,
}

impl RollbackForm {
    /// A dialog for what `R` does now, or for a procedure. A reason that is measured now is chosen from the start.
    pub fn new(
        run: &Run,
        procedure: Option<ProcedureId>,
        now: Timestamp,
        latest: impl Fn(&Metric) -> Option<f64>,
    ) -> Self {
        let mut reasons: Vec<(String, bool)> = run
            .runbook
            .triggers
            .iter()
            .enumerate()
            .map(|(index, trigger)| {
                let metric =
                    trigger.watch.as_ref().and_then(|watch| run.runbook.metric(watch.metric.as_str()));
                (trigger, run.measured_reason(index, now, metric.and_then(&latest)))
            })
            .map(|(trigger, measured)| match measured {
                Some(measured) => (measured, true),
                None => (trigger.reason.clone(), false),
            })
            .collect();
        reasons.sort_by_key(|(_, measured)| !measured);
        if reasons.first().is_none_or(|(_, measured)| !measured) {
            // Speed counts: with nothing measured, R and y must still do, and the log must not blame what nobody saw.
            reasons.insert(0, ("operator's decision".to_owned(), false));
        }
        let word =
            procedure.as_ref().filter(|id| id.as_str() != QUICK).map(|id| run.rollback_word(id.as_str()));
        Self {
            procedure,
            reasons,
            reason: 0,
            other: Input::default(),
            focus: if word.is_some() { RollbackFocus::Word } else { RollbackFocus::Reasons },
            word,
            typed: Input::default(),
            fault: None,
            scroll: 0,
        }
    }

    /// Whether letters go into a text field.
    pub fn is_typing(&self) -> bool {
        matches!(self.focus, RollbackFocus::Other | RollbackFocus::Word)
    }

    /// The reason as it would be logged.
    pub fn reason_text(&self) -> String {
        self.reasons
            .get(self.reason)
            .map_or_else(|| self.other.value().trim().to_owned(), |(text, _)| text.clone())
    }

    /// The command for the engine, or what is still missing.
    ///
    /// # Errors
    /// In words for the dialog: no reason, or another word than the one shown.
    pub fn command(&self) -> Result<Command, String> {
        let reason = self.reason_text();
        if reason.is_empty() {
            return Err("say why, or choose a reason".to_owned());
        }
        match (&self.procedure, &self.word) {
            (Some(procedure), Some(word)) => {
                let typed = self.typed.value().trim().to_owned();
                if !typed.eq_ignore_ascii_case(word.trim()) {
                    return Err(format!("type {word} first"));
                }
                Ok(Command::RollbackProcedure { procedure: procedure.clone(), reason, typed })
            }
            _ => Ok(Command::Rollback { reason }),
        }
    }
}

impl Form {
    /// The incident form with one field in the keys.
    pub fn incident(draft: IncidentDraft) -> Self {
        let mut form = Self {
            purpose: Purpose::Incident(Box::default()),
            input: None,
            fault: None,
            choice: 0,
            pressed: 0,
            scroll: 0,
        };
        form.edit_incident(draft);
        form
    }

    /// Goes to another field of the incident form.
    pub fn edit_incident(&mut self, draft: IncidentDraft) {
        self.input = match draft.field {
            1 => Some(Input::new(draft.title.clone())),
            2 => Some(Input::new(draft.impact.clone())),
            _ => None,
        };
        self.purpose = Purpose::Incident(Box::new(draft));
    }

    /// Stores what has been typed in the incident's draft.
    pub fn keep_draft(&mut self) {
        if let (Purpose::Incident(draft), Some(input)) = (&mut self.purpose, &self.input) {
            match draft.field {
                1 => input.value().clone_into(&mut draft.title),
                2 => input.value().clone_into(&mut draft.impact),
                _ => {}
            }
        }
    }
}
