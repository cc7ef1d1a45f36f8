//! A run's state: the fold of its events, and nothing else.
//!
//! ```text
//! pending --StepStarted--> running --all actions done--> checking --StepPassed--> passed
//!    ^                        |                             |
//!    |                        +--------StepFailed-----------+--> failed --StepStarted (attempt + 1)--> running
//!    +---UndoFinished---------------------------------------------+
//! pending --StepSkipped--> skipped
//! running --ActionFinished(unknown)--> unknown --ActionResolved--> running
//! ```
//!
//! A new attempt keeps the actions that succeeded before: a backup is not taken twice, and not overwritten by one of a
//! half-migrated database. Undoing a step makes it pending again, all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    action::{Action, ActionKind, Replicas, SlotRef},
    check::Check,
    crew::{Person, Role},
    event::{
        ActionOutcome, ActionRef, CheckRef, ChildProcess, Envelope, Opened, Outcome, Override, Place,
        Resolution, RunEvent,
    },
    id::{MetricId, ProcedureId, SlotName, StepId},
    metric::Missing,
    runbook::{Milestone, Runbook, Step, VarSource},
    template::Template,
    time::{Span, Timestamp},
};

/// A run as its events tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What was fixed at the opening.
    pub opened: Opened,
    /// The runbook that is flown.
    pub runbook: Arc<Runbook>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The last event's number.
    pub last_seq: u64,
    /// The last event's time.
    pub last_at: Timestamp,
    /// Variables that have a value; a secret's is not kept here.
    pub vars: BTreeMap<String, Option<String>>,
    /// Optional parts that were decided.
    pub parts: BTreeMap<String, bool>,
    /// What was refused and goes on with a reason.
    pub overrides: Vec<Override>,
    /// The checklist's items, by group.
    pub items: Vec<Vec<ItemState>>,
    /// Whether the steps are open.
    pub steps_open: bool,
    /// When the first step began.
    pub started_at: Option<Timestamp>,
    /// The steps.
    pub steps: Vec<StepState>,
    /// The completion, once it has begun.
    pub completion: Option<Work>,
    /// The slot that has traffic, as far as our own events tell.
    pub live: Option<SlotName>,
    /// When traffic moved to the new slot, while it is there.
    pub switched_at: Option<Timestamp>,
    /// Where an action is known to have moved traffic, until `traffic_switched` tells so. A journal that ends between the
    /// two must not make anybody believe that traffic is where it was.
    pub moved_to: Option<SlotName>,
    /// Means before the switch by `metric` or `metric/slot`.
    pub baseline: BTreeMap<String, f64>,
    /// The triggers.
    pub triggers: Vec<TriggerState>,
    /// Rollbacks in order of starting; only the last can be active.
    pub rollbacks: Vec<RollbackState>,
    /// The target's lock, once it was taken.
    pub lock: Option<LockHeld>,
    /// Who has the controls, or had them last.
    pub pilot: Option<Person>,
    /// Since when nobody has had the controls; none before the first screen, and while somebody has them.
    pub away_since: Option<Timestamp>,
    /// Who asks for the controls.
    pub control_asked: Option<Person>,
    /// Who agreed that a step's attempt begins.
    pub approvals: BTreeMap<(StepId, u32), Vec<Person>>,
    /// Why nothing new starts.
    pub held: Option<Held>,
    /// Tasks left for after the deployment.
    pub tasks: Vec<TaskState>,
    /// The incident, once declared.
    pub incident: Option<IncidentState>,
    /// Ticks of the incident steps.
    pub incident_steps: Vec<bool>,
    /// Changes by others.
    pub foreign: Vec<String>,
    /// Notices sent or failed.
    pub notices: Vec<Notice>,
    /// How the run ended, when and in words.
    pub finished: Option<(Outcome, Timestamp, String)>,
}

/// A checklist item's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemState {
    /// Where it stands.
    pub status: ItemStatus,
    /// Who said so, or `auto`.
    pub by: String,
    /// A note or a check's evidence.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Where a checklist item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ItemStatus {
    /// Nobody has looked.
    #[default]
    Open,
    /// It holds.
    Holds,
    /// Its check does not hold.
    Fails,
    /// Not needed this time.
    Waived,
}

/// A step's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepState {
    /// Where it stands.
    pub status: StepStatus,
    /// Its current or last attempt.
    pub work: Work,
    /// Its undo, once begun.
    pub undo: Option<Work>,
    /// Whether its last attempt was undone.
    pub undone: bool,
    /// Why it failed, was skipped or undone.
    pub reason: Option<String>,
    /// Watched time of its window.
    pub watched: Span,
    /// When its window opened.
    pub window_opened: Option<Timestamp>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Its actions run.
    Running,
    /// Its actions are done, its checks are watched.
    Checking,
    /// Done.
    Passed,
    /// Its attempt has failed.
    Failed,
    /// An action's result is unknown.
    Unknown,
    /// Left out.
    Skipped,
}

impl StepStatus {
    /// Whether the run may go on to the next step.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Passed | Self::Skipped)
    }

    /// Whether it is under way.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Checking | Self::Unknown)
    }

    /// The word beside the glyph.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Checking => "checking",
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Unknown => "UNKNOWN",
            Self::Skipped => "skipped",
        }
    }
}

/// Actions and checks in one place: a step, its undo, a rollback, the completion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Work {
    /// From 1; 0 before the first.
    pub attempt: u32,
    /// When the attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The actions.
    pub actions: Vec<ActionState>,
    /// The checks.
    pub checks: Vec<CheckState>,
}

/// An action's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ActionState {
    /// Where it stands.
    pub status: ActionStatus,
    /// What it does, resolved.
    pub does: String,
    /// How it ended, in words.
    pub detail: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// How long it took.
    pub took: Option<Span>,
    /// Its output's file name in the run's directory.
    pub output: Option<String>,
    /// Its process, while it may live.
    pub child: Option<ChildProcess>,
    /// Whether a look at what became of it could not tell: a person must say.
    pub looked: bool,
    /// Whether that process outlived its engine and still runs, once somebody has looked.
    pub lives: Option<bool>,
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActionStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Begun.
    Running,
    /// Succeeded, or resolved as done.
    Done,
    /// Failed, timed out or resolved as not done.
    Failed,
    /// Ended by somebody.
    Cancelled,
    /// Begun, result not recorded.
    Unknown,
}

/// A check's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckState {
    /// Where it stands.
    pub status: CheckStatus,
    /// What was seen.
    pub evidence: String,
    /// Who, or `auto`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckStatus {
    /// Not decided.
    #[default]
    Open,
    /// Holds.
    Holds,
    /// Does not.
    Fails,
}

/// A trigger's state, as events tell it; the meter's fill follows from `since` and the time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TriggerState {
    /// The running breach: since when, and the value then.
    pub breaching: Option<(Timestamp, f64)>,
    /// Why it cannot see.
    pub blind: Option<Missing>,
    /// When it fired, and its words.
    pub fired: Option<(Timestamp, String)>,
    /// When the rollback begins by itself.
    pub countdown: Option<Timestamp>,
}

/// A rollback's state.
#[derive(Debug, Clone, PartialEq)]
pub struct RollbackState {
    /// Which procedure: `quick`, `database`, or `undo`.
    pub procedure: ProcedureId,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When it began.
    pub started_at: Timestamp,
    /// What it does, in order.
    pub actions: Vec<Action>,
    /// The steps that are undone, in order.
    pub undo: Vec<StepId>,
    /// The procedure's actions and checks.
    pub work: Work,
    /// Why it waits for `retry`.
    pub stopped: Option<String>,
    /// The promise.
    pub within: Option<Span>,
    /// Whether it went well, in words, how long it took.
    pub finished: Option<(bool, String, Span)>,
}

/// The target's lock as the run has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHeld {
    /// The id of the holding.
    pub lock_id: String,
    /// Its fence.
    pub fence: u64,
    /// Why nothing can be written now, where that is so.
    pub uncertain: Option<String>,
    /// Why it is not ours any more.
    pub lost: Option<String>,
}

/// Why a run is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub reason: String,
    /// Who, or `auto`.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

/// A task's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskState {
    /// What to do.
    pub text: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// Who did it and when.
    pub done: Option<(String, Timestamp)>,
}

/// The incident's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentState {
    /// `P0` …
    pub severity: String,
    /// Brief description.
    pub title: String,
    /// What users see.
    pub impact: String,
    /// Investigating, Mitigating, Resolved.
    pub status: String,
    /// When it was declared.
    pub started_at: Timestamp,
    /// Each status with its time.
    pub history: Vec<(Timestamp, String)>,
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// About what.
    pub milestone: Option<Milestone>,
    /// The text.
    pub text: String,
    /// Whether it arrived.
    pub ok: bool,
    /// The answer.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

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
            moved_to: None,
            baseline: BTreeMap::new(),
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

    fn with_lock(&mut self, change: impl FnOnce(&mut LockHeld)) {
        if let Some(lock) = &mut self.lock {
            change(lock);
        }
    }

    /// Unknown actions whose process may have outlived its engine.
    pub fn orphans(&self) -> Vec<(ActionRef, ChildProcess)> {
        self.unknown_actions().filter_map(|(at, state)| Some((at, state.child.clone()?))).collect()
    }

    /// The process that an action's dead engine has left, where it is known to run still.
    pub fn outlives(&self, at: &ActionRef) -> Option<&ChildProcess> {
        let state = self.work(&at.place)?.actions.get(at.action)?;
        state.child.as_ref().filter(|_| state.status == ActionStatus::Unknown && state.lives == Some(true))
    }

    /// Unknown commands of which nobody wrote down whether a process runs them.
    pub fn unrecorded_commands(&self) -> Vec<ActionRef> {
        let is_command = |at: &ActionRef| {
            let kind = self.action(at).map(|action| &action.kind);
            matches!(kind, Some(ActionKind::Sh { .. } | ActionKind::Argv { .. }))
        };
        self.unknown_actions()
            .filter_map(|(at, state)| state.child.is_none().then_some(at))
            .filter(is_command)
            .collect()
    }

    /// Unknown actions that were to capture a secret.
    pub fn unknown_captures(&self) -> Vec<ActionRef> {
        let captures = |at: &ActionRef| self.action(at).is_some_and(|action| self.captures_secret(action));
        self.unknown_actions().map(|(at, _)| at).filter(captures).collect()
    }

    /// Whether what an action prints has a secret in it that nobody knows before.
    pub fn captures_secret(&self, action: &Action) -> bool {
        let secret = |name: &String| self.runbook.vars.iter().any(|var| var.secret && var.name == *name);
        action.capture.iter().any(|capture| secret(&capture.var))
    }

    fn unknown_actions(&self) -> impl Iterator<Item = (ActionRef, &ActionState)> {
        let mut places: Vec<Place> =
            self.runbook.steps.iter().map(|step| Place::Step { step: step.id.clone() }).collect();
        places.extend(self.runbook.steps.iter().map(|step| Place::Undo { step: step.id.clone() }));
        places.push(Place::Completion);
        places.extend(
            self.rollbacks.last().map(|rollback| Place::Rollback { procedure: rollback.procedure.clone() }),
        );
        let works = places.into_iter().filter_map(|place| Some((self.work(&place)?, place)));
        works.flat_map(|(work, place)| {
            let unknown = work.actions.iter().enumerate();
            unknown.filter(|(_, state)| state.status == ActionStatus::Unknown).map(move |(action, state)| {
                (ActionRef { place: place.clone(), attempt: work.attempt, action }, state)
            })
        })
    }

    /// Why nothing may be written to the target any more, where somebody else has its lock.
    pub fn fenced_off(&self) -> Option<&str> {
        self.lock.as_ref().and_then(|lock| lock.lost.as_deref())
    }

    /// Whoever has the controls, while their screen is there.
    pub fn present_pilot(&self) -> Option<&Person> {
        self.pilot.as_ref().filter(|_| self.away_since.is_none())
    }

    fn seat(&mut self, who: &Person) {
        self.pilot = Some(who.clone());
        self.away_since = None;
        self.control_asked = None;
    }

    /// The people who agreed that this step begins now, without whoever would start it.
    pub fn approved_by(&self, step: &StepId, attempt: u32) -> Vec<&Person> {
        let pilot = self.pilot.as_ref().map(|pilot| pilot.login.as_str());
        let given = self.approvals.get(&(step.clone(), attempt));
        given.into_iter().flatten().filter(|person| Some(person.login.as_str()) != pilot).collect()
    }

    /// Takes the next event in. Events that do not fit (an index beyond the runbook) change nothing: the journal's
    /// checksums have already vouched for what was written.
    pub fn apply(&mut self, envelope: &Envelope) {
        let at = envelope.at;
        self.last_seq = envelope.seq;
        self.last_at = at;
        match &envelope.event {
            RunEvent::RunOpened(_) | RunEvent::NoteAdded { .. } => {}
            RunEvent::ScreenJoined { who, role: Role::Pilot } => self.seat(who),
            RunEvent::ControlTaken { by, .. } => self.seat(by),
            RunEvent::ScreenLeft { role: Role::Pilot, .. } => self.away_since = Some(at),
            RunEvent::ScreenLeft { who, .. } => {
                self.control_asked.take_if(|asking| asking == who);
            }
            RunEvent::ScreenJoined { .. } => {}
            RunEvent::LockTaken { lock_id, fence, .. } => {
                let (lock_id, fence) = (lock_id.clone(), *fence);
                self.lock = Some(LockHeld { lock_id, fence, uncertain: None, lost: None });
            }
            RunEvent::LockUncertain { why } => self.with_lock(|lock| lock.uncertain = Some(why.clone())),
            RunEvent::LockCertain => self.with_lock(|lock| lock.uncertain = None),
            RunEvent::LockLost { why } => self.with_lock(|lock| lock.lost = Some(why.clone())),
            RunEvent::ChildSeen { at, alive, .. } => {
                if let Some(action) =
                    self.work_mut(&at.place).and_then(|work| work.actions.get_mut(at.action))
                {
                    action.lives = Some(*alive);
                }
            }
            RunEvent::ControlKept { .. } => self.control_asked = None,
            RunEvent::ControlAsked { by } => self.control_asked = Some(by.clone()),
            RunEvent::ApprovalGiven { step, attempt, by } => {
                let given = self.approvals.entry((step.clone(), *attempt)).or_default();
                if given.iter().all(|person| person.login != by.login) {
                    given.push(by.clone());
                }
            }
            RunEvent::RunResumed { .. } => {
                // Screens are connections to an engine, and that one is gone: whoever resumes comes first.
                self.pilot = None;
                self.away_since = Some(at);
                self.control_asked = None;
                if self.finished.as_ref().is_some_and(|(outcome, ..)| *outcome == Outcome::Held) {
                    self.finished = None;
                }
            }
            RunEvent::VarSet { name, value, .. } => {
                self.vars.insert(name.clone(), value.clone());
            }
            RunEvent::PartDecided { part, applies, .. } => {
                self.parts.insert(part.clone(), *applies);
            }
            RunEvent::OverrideGiven(given) => self.overrides.push(given.clone()),
            RunEvent::ItemTicked { group, item, by, note, .. } => {
                self.set_item(*group, *item, ItemStatus::Holds, by, note.as_deref(), at);
            }
            RunEvent::ItemUnticked { group, item, by, note } => {
                let status = if by == "auto" { ItemStatus::Fails } else { ItemStatus::Open };
                self.set_item(*group, *item, status, by, note.as_deref(), at);
            }
            RunEvent::ItemWaived { group, item, reason, by } => {
                self.set_item(*group, *item, ItemStatus::Waived, by, Some(reason), at);
            }
            RunEvent::ChecklistPassed { .. } => self.steps_open = true,
            RunEvent::StepStarted { .. }
            | RunEvent::StepPassed { .. }
            | RunEvent::StepFailed { .. }
            | RunEvent::StepSkipped { .. }
            | RunEvent::UndoStarted { .. }
            | RunEvent::UndoFinished { .. }
            | RunEvent::WindowOpened { .. }
            | RunEvent::WindowAdvanced { .. } => self.apply_step(&envelope.event, at),
            RunEvent::ActionStarted { .. }
            | RunEvent::ActionSpawned { .. }
            | RunEvent::ActionFinished { .. }
            | RunEvent::ActionLooked { .. }
            | RunEvent::ActionResolved { .. } => self.apply_action(&envelope.event, at),
            RunEvent::CheckPassed { at: which, evidence, by, .. } => {
                self.set_check(which, CheckStatus::Holds, evidence, by, at);
            }
            RunEvent::CheckFailed { at: which, evidence, by, .. } => {
                self.set_check(which, CheckStatus::Fails, evidence, by, at);
            }
            RunEvent::CompletionStarted { attempt, .. } => {
                let runbook = Arc::clone(&self.runbook);
                let kept = self.completion.take().map(|work| work.actions).unwrap_or_default();
                let mut work = Work::of(&runbook.completion.run, &runbook.completion.check);
                work.attempt = *attempt;
                work.started_at = Some(at);
                work.keep_done(kept);
                self.completion = Some(work);
            }
            RunEvent::CompletionFailed { .. } => {
                if let Some(work) = &mut self.completion {
                    work.finished_at = Some(at);
                }
            }
            RunEvent::BaselineRecorded { values } => self.baseline.clone_from(values),
            RunEvent::TrafficSwitched { to, .. } => {
                self.switched_at = (self.opened.new_slot.as_ref() == Some(to)).then_some(at);
                self.live = Some(to.clone());
                self.moved_to = None;
            }
            RunEvent::TriggerBreaching { .. }
            | RunEvent::TriggerCleared { .. }
            | RunEvent::TriggerBlind { .. }
            | RunEvent::TriggerSees { .. }
            | RunEvent::TriggerFired { .. }
            | RunEvent::CountdownStarted { .. }
            | RunEvent::CountdownCancelled { .. } => self.apply_trigger(&envelope.event, at),
            RunEvent::RollbackStarted { .. }
            | RunEvent::RollbackStopped { .. }
            | RunEvent::RollbackRetried { .. }
            | RunEvent::RollbackFinished { .. } => self.apply_rollback(&envelope.event, at),
            RunEvent::ForeignChange { object, what, manager } => {
                self.foreign.push(format!("{object}: {what} (by {manager})"));
            }
            RunEvent::RunHeld { reason, by } => {
                self.held = Some(Held { reason: reason.clone(), by: by.clone(), at });
            }
            RunEvent::RunContinued { .. } => self.held = None,
            RunEvent::NoticeSent { milestone, text, ok, detail } => self.notices.push(Notice {
                milestone: *milestone,
                text: text.clone(),
                ok: *ok,
                detail: detail.clone(),
                at,
            }),
            RunEvent::TaskCreated { text, due_at, .. } => {
                self.tasks.push(TaskState { text: text.clone(), due_at: *due_at, done: None });
            }
            RunEvent::TaskDone { task, by } => {
                if let Some(state) = self.tasks.get_mut(*task) {
                    state.done = Some((by.clone(), at));
                }
            }
            RunEvent::IncidentUpdated { severity, title, impact, status, .. } => {
                let incident = self.incident.get_or_insert_with(|| IncidentState {
                    severity: String::new(),
                    title: String::new(),
                    impact: String::new(),
                    status: String::new(),
                    started_at: at,
                    history: Vec::new(),
                });
                if incident.status != *status {
                    incident.history.push((at, status.clone()));
                }
                incident.severity.clone_from(severity);
                incident.title.clone_from(title);
                incident.impact.clone_from(impact);
                incident.status.clone_from(status);
            }
            RunEvent::IncidentStepTicked { step, done, .. } => {
                if let Some(tick) = self.incident_steps.get_mut(*step) {
                    *tick = *done;
                }
            }
            RunEvent::RunFinished { outcome, detail } => self.finished = Some((*outcome, at, detail.clone())),
        }
    }

    fn apply_step(&mut self, event: &RunEvent, at: Timestamp) {
        let (RunEvent::StepStarted { step, .. }
        | RunEvent::StepPassed { step, .. }
        | RunEvent::StepFailed { step, .. }
        | RunEvent::StepSkipped { step, .. }
        | RunEvent::UndoStarted { step, .. }
        | RunEvent::UndoFinished { step, .. }
        | RunEvent::WindowOpened { step, .. }
        | RunEvent::WindowAdvanced { step, .. }) = event
        else {
            return;
        };
        let Some(index) = self.runbook.step_index(step.as_str()) else { return };
        let runbook = Arc::clone(&self.runbook);
        let Some(declared) = runbook.steps.get(index) else { return };
        let Some(state) = self.steps.get_mut(index) else { return };
        match event {
            RunEvent::StepStarted { attempt, .. } => {
                self.started_at.get_or_insert(at);
                state.status = StepStatus::Running;
                state.undone = false;
                state.reason = None;
                state.watched = Span::ZERO;
                state.window_opened = None;
                let kept = std::mem::take(&mut state.work.actions);
                state.work = Work::of(&declared.run, &declared.check);
                state.work.attempt = *attempt;
                state.work.started_at = Some(at);
                state.work.keep_done(kept);
                state.check_if_acted();
                // What was half undone is done anew: an undo of this attempt begins from its first action.
                if let Some(undo) = &mut state.undo {
                    undo.actions.fill(ActionState::default());
                }
            }
            RunEvent::StepPassed { .. } => {
                state.status = StepStatus::Passed;
                state.work.finished_at = Some(at);
            }
            RunEvent::StepFailed { reason, .. } => {
                state.status = StepStatus::Failed;
                state.reason = Some(reason.clone());
                state.work.finished_at = Some(at);
            }
            RunEvent::StepSkipped { reason, .. } => {
                state.status = StepStatus::Skipped;
                state.reason = Some(reason.clone());
                state.work.finished_at = Some(at);
            }
            RunEvent::UndoStarted { attempt, .. } => {
                // An undo that failed goes on with the action that failed: nothing is restored twice.
                let kept = state.undo.take().filter(|_| !state.undone).map(|undo| undo.actions);
                let mut work = Work::of(&declared.undo, &[]);
                work.attempt = *attempt;
                work.started_at = Some(at);
                work.keep_done(kept.unwrap_or_default());
                state.undo = Some(work);
            }
            RunEvent::UndoFinished { ok, detail, .. } => {
                if let Some(undo) = &mut state.undo {
                    undo.finished_at = Some(at);
                }
                state.reason = Some(detail.clone());
                if *ok {
                    state.status = StepStatus::Pending;
                    state.undone = true;
                    let attempt = state.work.attempt;
                    state.work = Work::of(&declared.run, &declared.check);
                    state.work.attempt = attempt;
                }
            }
            RunEvent::WindowOpened { .. } => state.window_opened = Some(at),
            RunEvent::WindowAdvanced { watched, .. } => state.watched = *watched,
            _ => {}
        }
    }

    fn apply_action(&mut self, event: &RunEvent, now: Timestamp) {
        let (RunEvent::ActionStarted { at, .. }
        | RunEvent::ActionSpawned { at, .. }
        | RunEvent::ActionFinished { at, .. }
        | RunEvent::ActionLooked { at, .. }
        | RunEvent::ActionResolved { at, .. }) = event
        else {
            return;
        };
        let switches_to = self.switches_to(at);
        let Some(action) = self.work_mut(&at.place).and_then(|work| work.actions.get_mut(at.action)) else {
            return;
        };
        match event {
            RunEvent::ActionStarted { does, .. } => {
                *action = ActionState {
                    status: ActionStatus::Running,
                    does: does.clone(),
                    started_at: Some(now),
                    ..ActionState::default()
                };
            }
            RunEvent::ActionSpawned { child, .. } => action.child = Some(child.clone()),
            RunEvent::ActionLooked { evidence, .. } => {
                action.looked = true;
                action.detail = format!("looked, and could not tell: {evidence}");
            }
            RunEvent::ActionFinished { outcome, detail, took, output, .. } => {
                action.status = match outcome {
                    ActionOutcome::Succeeded => ActionStatus::Done,
                    ActionOutcome::Failed | ActionOutcome::TimedOut => ActionStatus::Failed,
                    ActionOutcome::Cancelled => ActionStatus::Cancelled,
                    ActionOutcome::Unknown => ActionStatus::Unknown,
                };
                action.detail.clone_from(detail);
                action.took = Some(*took);
                action.output.clone_from(output);
                if *outcome != ActionOutcome::Unknown {
                    action.child = None;
                }
            }
            RunEvent::ActionResolved { resolution, by, .. } => {
                action.child = None;
                action.lives = None;
                match resolution {
                    Resolution::Done => {
                        action.status = ActionStatus::Done;
                        action.detail = format!("done, says {by}");
                    }
                    Resolution::NotDone => {
                        action.status = ActionStatus::Failed;
                        action.detail = format!("not done, says {by}");
                    }
                    Resolution::RunAgain => *action = ActionState::default(),
                }
            }
            _ => {}
        }
        let (unknown, done) = (action.status == ActionStatus::Unknown, action.status == ActionStatus::Done);
        if done && switches_to.is_some() && switches_to != self.live {
            self.moved_to = switches_to;
        }
        if let Place::Step { step } = &at.place
            && let Some(state) = self.step_mut(step.as_str())
            && state.status.is_active()
        {
            state.status = if unknown { StepStatus::Unknown } else { StepStatus::Running };
            state.check_if_acted();
        }
    }

    fn apply_trigger(&mut self, event: &RunEvent, at: Timestamp) {
        let (RunEvent::TriggerBreaching { trigger, .. }
        | RunEvent::TriggerCleared { trigger, .. }
        | RunEvent::TriggerBlind { trigger, .. }
        | RunEvent::TriggerSees { trigger }
        | RunEvent::TriggerFired { trigger, .. }
        | RunEvent::CountdownStarted { trigger, .. }
        | RunEvent::CountdownCancelled { trigger, .. }) = event
        else {
            return;
        };
        let Some(state) = self.triggers.get_mut(*trigger) else { return };
        match event {
            RunEvent::TriggerBreaching { since, value, .. } => state.breaching = Some((*since, *value)),
            RunEvent::TriggerCleared { .. } => state.breaching = None,
            RunEvent::TriggerBlind { why, .. } => state.blind = Some(why.clone()),
            RunEvent::TriggerSees { .. } => state.blind = None,
            RunEvent::TriggerFired { reason, .. } => state.fired = Some((at, reason.clone())),
            RunEvent::CountdownStarted { ends_at, .. } => state.countdown = Some(*ends_at),
            RunEvent::CountdownCancelled { .. } => {
                state.countdown = None;
                state.fired = None;
                state.breaching = None;
            }
            _ => {}
        }
    }

    fn apply_rollback(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::RollbackStarted { procedure, reason, by, actions, undo, within } => {
                let runbook = Arc::clone(&self.runbook);
                let checks = runbook.procedure(procedure.as_str()).map_or(&[][..], |found| &found.check);
                let mut work = Work::of(actions, checks);
                work.attempt = 1;
                work.started_at = Some(at);
                for trigger in &mut self.triggers {
                    trigger.countdown = None;
                }
                self.held = None;
                // A rollback after the end opens the run again, until its own end.
                self.finished = None;
                self.rollbacks.push(RollbackState {
                    procedure: procedure.clone(),
                    reason: reason.clone(),
                    by: by.clone(),
                    started_at: at,
                    actions: actions.clone(),
                    undo: undo.clone(),
                    work,
                    stopped: None,
                    within: *within,
                    finished: None,
                });
            }
            RunEvent::RollbackStopped { reason, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.stopped = Some(reason.clone());
                }
            }
            RunEvent::RollbackRetried { attempt, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.stopped = None;
                    self.finished = None;
                    state.work.attempt = *attempt;
                    for action in &mut state.work.actions {
                        if action.status != ActionStatus::Done {
                            *action = ActionState::default();
                        }
                    }
                    state.work.checks.iter_mut().for_each(|check| *check = CheckState::default());
                }
            }
            RunEvent::RollbackFinished { ok, detail, took, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.finished = Some((*ok, detail.clone(), *took));
                    state.work.finished_at = Some(at);
                }
            }
            _ => {}
        }
    }

    fn set_item(
        &mut self,
        group: usize,
        item: usize,
        status: ItemStatus,
        by: &str,
        note: Option<&str>,
        at: Timestamp,
    ) {
        if let Some(state) = self.items.get_mut(group).and_then(|items| items.get_mut(item)) {
            *state = ItemState { status, by: by.to_owned(), note: note.map(str::to_owned), at };
        }
    }

    fn set_check(&mut self, which: &CheckRef, status: CheckStatus, evidence: &str, by: &str, at: Timestamp) {
        if let Some(state) = self.work_mut(&which.place).and_then(|work| work.checks.get_mut(which.check)) {
            *state = CheckState { status, evidence: evidence.to_owned(), by: by.to_owned(), at };
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

    /// The work at a place, where it has begun or stands in the runbook.
    pub fn work(&self, place: &Place) -> Option<&Work> {
        match place {
            Place::Step { step } => self.step(step.as_str()).map(|state| &state.work),
            Place::Undo { step } => self.step(step.as_str()).and_then(|state| state.undo.as_ref()),
            Place::Rollback { .. } => self.rollbacks.last().map(|state| &state.work),
            Place::Completion => self.completion.as_ref(),
        }
    }

    /// The actions declared at a place.
    pub fn actions(&self, place: &Place) -> &[Action] {
        match place {
            Place::Step { step } => self.declared(step.as_str()).map_or(&[], |step| &step.run),
            Place::Undo { step } => self.declared(step.as_str()).map_or(&[], |step| &step.undo),
            Place::Rollback { .. } => self.rollbacks.last().map_or(&[], |state| &state.actions),
            Place::Completion => &self.runbook.completion.run,
        }
    }

    /// The checks declared at a place.
    pub fn checks(&self, place: &Place) -> &[Check] {
        match place {
            Place::Step { step } => self.declared(step.as_str()).map_or(&[], |step| &step.check),
            Place::Undo { .. } => &[],
            Place::Rollback { procedure } => {
                self.runbook.procedure(procedure.as_str()).map_or(&[], |found| &found.check)
            }
            Place::Completion => &self.runbook.completion.check,
        }
    }

    /// The declared action that a reference names.
    pub fn action(&self, at: &ActionRef) -> Option<&Action> {
        self.actions(&at.place).get(at.action)
    }

    /// The slot that an action gives the traffic to, where it does that.
    pub fn switches_to(&self, at: &ActionRef) -> Option<SlotName> {
        match &self.action(at)?.kind {
            ActionKind::SwitchTraffic { to, .. } => self.slot(to),
            _ => None,
        }
    }

    /// A step's state.
    pub fn step(&self, id: &str) -> Option<&StepState> {
        self.runbook.step_index(id).and_then(|index| self.steps.get(index))
    }

    /// A step as declared.
    pub fn declared(&self, id: &str) -> Option<&Step> {
        self.runbook.step_index(id).and_then(|index| self.runbook.steps.get(index))
    }

    /// The index of the step that is due: the first that is neither passed nor skipped.
    pub fn current(&self) -> Option<usize> {
        self.steps.iter().position(|state| !state.status.is_over())
    }

    /// A slot's colour.
    pub fn slot(&self, slot: &SlotRef) -> Option<SlotName> {
        match slot {
            SlotRef::New => self.opened.new_slot.clone(),
            SlotRef::Previous => self.opened.previous.as_ref().map(|target| target.slot.clone()),
            SlotRef::Named(name) => Some(name.clone()),
        }
    }

    /// A number of replicas.
    pub fn replicas(&self, replicas: Replicas) -> u32 {
        match replicas {
            Replicas::Count(count) => count,
            Replicas::Before => self.opened.previous.as_ref().map_or(1, |target| target.replicas),
        }
    }

    /// A variable's value, where it has one that may be shown. Fixed values may use variables written before them.
    pub fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.vars.get(name) {
            return value.clone();
        }
        let vars = &self.runbook.vars;
        let upto = &vars[..=vars.iter().position(|var| var.name == name)?];
        let mut needed = BTreeSet::from([name]);
        for var in upto.iter().rev().filter(|var| !self.vars.contains_key(&var.name)) {
            if let VarSource::Fixed { value } = &var.source
                && needed.contains(var.name.as_str())
            {
                needed.extend(value.names());
            }
        }
        self.values_of(upto.iter().filter(|var| needed.contains(var.name.as_str()))).remove(name)
    }

    /// Every variable's value that may be shown.
    pub fn values(&self) -> BTreeMap<String, String> {
        let known = self.vars.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        let mut values = self.values_of(self.runbook.vars.iter());
        values.extend(known);
        values
    }

    /// The values of some variables in their order of writing: each is made of those before it, once.
    fn values_of<'a>(&self, vars: impl Iterator<Item = &'a super::runbook::Var>) -> BTreeMap<String, String> {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for var in vars {
            let value = match (self.vars.get(&var.name), &var.source) {
                (Some(value), _) => value.clone(),
                (None, VarSource::Fixed { value }) => value.expand(|name| values.get(name).cloned()).ok(),
                (None, _) => None,
            };
            values.extend(value.map(|value| (var.name.clone(), value)));
        }
        values
    }

    /// A template as it can be shown: known values in, secrets and unknown ones as `$NAME`.
    pub fn show(&self, template: &Template) -> String {
        template.show(|name| self.value(name))
    }

    /// The version that goes out: the variable that the first `set_image` uses, else the image itself.
    pub fn new_version(&self) -> Option<String> {
        if let Some(value) = self.value("DEPLOY_VERSION") {
            return Some(value);
        }
        self.runbook.steps.iter().flat_map(|step| &step.run).find_map(|action| match &action.kind {
            ActionKind::SetImage { image, .. } => {
                Some(tag_of(&image.expand(|name| self.value(name)).ok()?).to_owned())
            }
            _ => None,
        })
    }

    /// The version that had traffic when the run opened.
    pub fn previous_version(&self) -> Option<String> {
        self.opened.previous.as_ref().map(|target| tag_of(&target.image).to_owned())
    }

    /// The rollback under way.
    pub fn rolling_back(&self) -> Option<&RollbackState> {
        self.rollbacks.last().filter(|state| state.finished.is_none())
    }

    /// Whether the new slot has traffic, or may have: a switch was begun and not taken back.
    pub fn switch_begun(&self) -> bool {
        let moving = self.moved_to.is_some() && self.moved_to == self.opened.new_slot;
        if self.switched_at.is_some() || moving {
            return true;
        }
        let reverted = self.rollbacks.iter().any(|state| {
            state.procedure.as_str() != "undo" && state.finished.as_ref().is_some_and(|(ok, ..)| *ok)
        });
        !reverted
            && self.runbook.switch_step().and_then(|index| self.steps.get(index)).is_some_and(|state| {
                state
                    .work
                    .actions
                    .iter()
                    .any(|action| matches!(action.status, ActionStatus::Running | ActionStatus::Unknown))
            })
    }

    /// How long the run has been going: from the first step to the end, or to now.
    pub fn elapsed(&self, now: Timestamp) -> Span {
        let Some(started) = self.started_at else { return Span::ZERO };
        self.finished.as_ref().map_or(now, |(_, at, _)| *at).since(started)
    }

    /// Items that hold or are waived, of all that are not optional; then of the optional ones.
    pub fn checklist_progress(&self) -> (usize, usize) {
        let mut done = 0;
        let mut all = 0;
        for (group, states) in self.runbook.checklist.iter().zip(&self.items) {
            for state in states.iter().take(group.items.len()) {
                all += 1;
                done += usize::from(matches!(state.status, ItemStatus::Holds | ItemStatus::Waived));
            }
        }
        (done, all)
    }

    /// Items that keep the steps closed at this time: not optional, and open, failing or stale.
    pub fn open_items(&self, now: Timestamp) -> Vec<(usize, usize)> {
        let mut open = Vec::new();
        for (g, (group, states)) in self.runbook.checklist.iter().zip(&self.items).enumerate() {
            for (i, (item, state)) in group.items.iter().zip(states).enumerate() {
                let fresh = item.check.kind.is_person() || now.since(state.at) <= item.valid_for;
                let holds = match state.status {
                    ItemStatus::Holds => fresh,
                    ItemStatus::Waived => true,
                    ItemStatus::Open | ItemStatus::Fails => false,
                };
                if !holds && !item.optional {
                    open.push((g, i));
                }
            }
        }
        open
    }

    /// Asked variables without a value.
    pub fn unasked(&self) -> impl Iterator<Item = &super::runbook::Var> {
        self.runbook
            .vars
            .iter()
            .filter(|var| matches!(var.source, VarSource::Ask { .. }) && !self.vars.contains_key(&var.name))
    }

    /// Optional parts that nobody has decided.
    pub fn undecided(&self) -> impl Iterator<Item = &super::runbook::Part> {
        self.runbook.parts.iter().filter(|part| !self.parts.contains_key(&part.name))
    }

    /// Whether a step's part applies. A part that the runbook does not declare can't come out of a file; were there one, no
    /// question would stand for it, and its step does not run.
    pub fn applies(&self, step: &Step) -> bool {
        step.when.as_ref().is_none_or(|part| {
            self.parts.get(part).copied().unwrap_or_else(|| {
                self.runbook
                    .parts
                    .iter()
                    .find(|declared| declared.name == *part)
                    .is_some_and(|part| part.default)
            })
        })
    }

    /// The key under which a metric's baseline is kept.
    pub fn baseline_key(metric: &MetricId, slot: Option<&SlotName>) -> String {
        slot.map_or_else(|| metric.0.clone(), |slot| format!("{metric}/{slot}"))
    }

    /// What a person types to confirm a step: the colour that gets traffic, else the step's id.
    pub fn word_for(&self, step: &Step) -> String {
        let switches = step.run.iter().find_map(|action| match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => self.slot(to),
            _ => None,
        });
        switches.map_or_else(|| step.id.0.clone(), |slot| slot.0)
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

    /// Whether every action is done.
    pub fn acted(&self) -> bool {
        self.actions.iter().all(|action| action.status == ActionStatus::Done)
    }

    /// The index of the action that runs.
    pub fn running(&self) -> Option<usize> {
        self.actions.iter().position(|action| action.status == ActionStatus::Running)
    }

    /// The index of the next action that has not begun.
    pub fn next(&self) -> Option<usize> {
        self.actions.iter().position(|action| action.status == ActionStatus::Pending)
    }

    /// How long it took, or has taken.
    pub fn took(&self, now: Timestamp) -> Span {
        self.started_at.map_or(Span::ZERO, |from| self.finished_at.unwrap_or(now).since(from))
    }
}

/// The tag of an image, or the whole where it has none: `registry:5000/app:v1` is `v1`.
pub fn tag_of(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once('@')
        .map_or_else(|| name.split_once(':').map_or(image, |(_, tag)| tag), |(_, digest)| digest)
}
