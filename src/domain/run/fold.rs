//! Builds a run from its events, one by one.
//!
//! `apply` is the list of all events: each belongs to one family, and each family has a file that takes its events in. Only
//! this list is exhaustive: an event that is new has to be put into a family here before the program compiles.

mod aside;
mod course;
mod crew;
mod engine;
mod foreign;
mod measured;
mod preparing;
mod rollback;
mod traffic;
mod work;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ActionState, ActionStatus, CheckState, Held, ItemState, Run, StepState, StepStatus, TriggerState, Work,
};
use crate::domain::{
    action::Action,
    check::Check,
    director::Share,
    event::{Envelope, Place, RunEvent},
    time::Timestamp,
};

impl Run {
    /// The state after the first event, which must be `run_opened`.
    pub fn open(first: &Envelope) -> Option<Self> {
        let RunEvent::RunOpened(opened) = &first.event else { return None };
        let runbook = Arc::new((*opened.runbook).clone());
        let mut run = Self {
            opened: opened.clone(),
            opened_at: first.at,
            last_seq: first.seq,
            last_at: first.at,
            vars: BTreeMap::new(),
            parts: BTreeMap::new(),
            overrides: opened.overrides.clone(),
            items: runbook
                .checklist
                .iter()
                .map(|group| vec![ItemState::default(); group.items.len()])
                .collect(),
            steps_open: false,
            started_at: None,
            steps: vec![StepState::default(); runbook.steps.len()],
            completion: None,
            live: opened.previous.as_ref().map(|target| target.slot.clone()),
            switched_at: None,
            met_at: None,
            left_at: None,
            shares: opened.previous.iter().map(|target| (target.slot.clone(), Share::ALL)).collect(),
            shifted_to: None,
            moves: Vec::new(),
            way_back: None,
            moved_to: None,
            lost: Vec::new(),
            pinned: opened.pinned.clone(),
            baseline: BTreeMap::new(),
            baseline_short: BTreeMap::new(),
            evidence: BTreeMap::new(),
            triggers: vec![TriggerState::default(); runbook.triggers.len()],
            rollbacks: Vec::new(),
            lock: None,
            pilot: None,
            away_since: None,
            control_asked: None,
            approvals: BTreeMap::new(),
            held: None,
            tasks: Vec::new(),
            incident: None,
            incident_steps: vec![false; runbook.incident.as_ref().map_or(0, |incident| incident.steps.len())],
            foreign: Vec::new(),
            putting_back: None,
            notices: Vec::new(),
            finished: None,
            runbook: Arc::clone(&runbook),
        };
        for (state, step) in run.steps.iter_mut().zip(&runbook.steps) {
            state.work = Work::of(&step.run, &step.check);
        }
        Some(run)
    }

    /// The state after all these events.
    pub fn fold(events: &[Envelope]) -> Option<Self> {
        let (first, rest) = events.split_first()?;
        let mut run = Self::open(first)?;
        for envelope in rest {
            run.apply(envelope);
        }
        Some(run)
    }

    /// Takes the next event in. Events that do not fit (an index beyond the runbook) change nothing: the journal's
    /// checksums have already vouched for what was written.
    pub fn apply(&mut self, envelope: &Envelope) {
        let (event, at) = (&envelope.event, envelope.at);
        self.last_seq = envelope.seq;
        self.last_at = at;
        match event {
            // Told to people only: nothing is decided by them.
            RunEvent::RunOpened(_) | RunEvent::NoteAdded { .. } | RunEvent::RollbackBlind { .. } => {}
            RunEvent::RunResumed { .. } => self.resume(at),
            RunEvent::ScreenJoined { .. }
            | RunEvent::ScreenLeft { .. }
            | RunEvent::ControlAsked { .. }
            | RunEvent::ControlTaken { .. }
            | RunEvent::ControlKept { .. }
            | RunEvent::ApprovalGiven { .. } => self.apply_crew(event, at),
            RunEvent::LockTaken { .. }
            | RunEvent::LockUncertain { .. }
            | RunEvent::LockCertain
            | RunEvent::LockLost { .. }
            | RunEvent::ChildSeen { .. } => self.apply_engine(event),
            RunEvent::VarSet { .. }
            | RunEvent::PartDecided { .. }
            | RunEvent::OverrideGiven(_)
            | RunEvent::ItemTicked { .. }
            | RunEvent::ItemUnticked { .. }
            | RunEvent::ItemWaived { .. }
            | RunEvent::ChecklistPassed { .. } => self.apply_preparing(event, at),
            RunEvent::StepStarted { .. }
            | RunEvent::StepPassed { .. }
            | RunEvent::StepFailed { .. }
            | RunEvent::StepSkipped { .. }
            | RunEvent::UndoStarted { .. }
            | RunEvent::UndoFinished { .. }
            | RunEvent::WindowOpened { .. }
            | RunEvent::WindowAdvanced { .. } => self.apply_step(event, at),
            RunEvent::CompletionStarted { .. } | RunEvent::CompletionFailed { .. } => {
                self.apply_completion(event, at);
            }
            RunEvent::ActionStarted { .. }
            | RunEvent::ActionSpawned { .. }
            | RunEvent::ActionFinished { .. }
            | RunEvent::ActionWaits { .. }
            | RunEvent::ActionRetried { .. }
            | RunEvent::ActionLooked { .. }
            | RunEvent::ActionResolved { .. } => self.apply_action(event, at),
            RunEvent::CheckPassed { .. } | RunEvent::CheckFailed { .. } => self.apply_check(event, at),
            RunEvent::BaselineRecorded { .. }
            | RunEvent::EvidenceBegan { .. }
            | RunEvent::EvidenceTold { .. } => self.apply_measured(event, at),
            RunEvent::TriggerBreaching { .. }
            | RunEvent::TriggerWaits { .. }
            | RunEvent::TriggerCleared { .. }
            | RunEvent::TriggerBlind { .. }
            | RunEvent::TriggerSees { .. }
            | RunEvent::TriggerFired { .. }
            | RunEvent::CountdownStarted { .. }
            | RunEvent::CountdownCancelled { .. } => self.apply_trigger(event, at),
            RunEvent::TrafficShifted { .. }
            | RunEvent::TrafficSwitched { .. }
            | RunEvent::WayBackChanged { .. } => self.apply_traffic(event, at),
            RunEvent::RollbackStarted { .. }
            | RunEvent::RollbackPrepared { .. }
            | RunEvent::RollbackRemarked { .. }
            | RunEvent::RollbackLate { .. }
            | RunEvent::RollbackStopped { .. }
            | RunEvent::RollbackRetried { .. }
            | RunEvent::RollbackFinished { .. } => self.apply_rollback(event, at),
            RunEvent::ForeignChange { .. }
            | RunEvent::PutBackStarted { .. }
            | RunEvent::PutBackFinished { .. } => self.apply_foreign(event),
            RunEvent::TargetTaken { pinned, roles, .. } => self.take_target(pinned, roles.as_ref(), at),
            RunEvent::RunHeld { .. } | RunEvent::RunContinued { .. } | RunEvent::RunFinished { .. } => {
                self.apply_pause_or_end(event, at);
            }
            RunEvent::NoticeSent { .. }
            | RunEvent::TaskCreated { .. }
            | RunEvent::TaskDone { .. }
            | RunEvent::IncidentUpdated { .. }
            | RunEvent::IncidentStepTicked { .. } => self.apply_aside(event, at),
        }
    }

    /// Takes in a pause, its end, or the run's end.
    fn apply_pause_or_end(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::RunHeld { reason, by, cause } => {
                self.held = Some(Held { cause: *cause, reason: reason.clone(), by: by.clone(), at });
            }
            RunEvent::RunContinued { .. } => {
                self.held = None;
                // A run goes on only where nothing differs any more: the same change, made again, is a new one.
                self.foreign.clear();
            }
            RunEvent::RunFinished { outcome, detail } => self.finished = Some((*outcome, at, detail.clone())),
            _ => {}
        }
    }

    fn step_mut(&mut self, id: &str) -> Option<&mut StepState> {
        let index = self.runbook.step_index(id)?;
        self.steps.get_mut(index)
    }

    fn work_mut(&mut self, place: &Place) -> Option<&mut Work> {
        match place {
            Place::Step { step } => self.step_mut(step.as_str()).map(|state| &mut state.work),
            Place::Undo { step } => self.step_mut(step.as_str()).and_then(|state| state.undo.as_mut()),
            Place::Rollback { .. } => self.rollbacks.last_mut().map(|state| &mut state.work),
            Place::Completion => self.completion.as_mut(),
        }
    }
}

impl StepState {
    /// Running becomes checking once every action is done.
    fn check_if_acted(&mut self) {
        if self.status == StepStatus::Running && self.work.acted() {
            self.status = StepStatus::Checking;
        }
    }
}

impl Work {
    /// Work not yet begun.
    pub fn of(actions: &[Action], checks: &[Check]) -> Self {
        Self {
            actions: vec![ActionState::default(); actions.len()],
            checks: vec![CheckState::default(); checks.len()],
            ..Self::default()
        }
    }

    /// Carries over the actions that an earlier attempt has done.
    fn keep_done(&mut self, earlier: Vec<ActionState>) {
        for (new, old) in self.actions.iter_mut().zip(earlier) {
            if old.status == ActionStatus::Done {
                *new = old;
            }
        }
    }
}
