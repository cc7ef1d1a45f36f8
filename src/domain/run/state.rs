//! The types that make up a run's state.

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{
    action::{Action, ActionKind},
    actor::Actor,
    belief::Pinned,
    cause::{HoldCause, StopCause},
    crew::Person,
    director::Shares,
    event::{ChildProcess, Opened, Outcome, Override},
    evidence::{card::Card, terms::Terms},
    id::{ProcedureId, SlotName, StepId},
    metric::Missing,
    runbook::{Milestone, Runbook},
    time::{Span, Timestamp},
    trigger::Waits,
};

/// A run as its events tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What was fixed at the opening.
    pub opened: Opened,
    /// The runbook of this run.
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
    /// Since when users have met the new version, while they do: the new slot has traffic, or its version was promoted.
    pub switched_at: Option<Timestamp>,
    /// When users first met the new version, also once that was taken back.
    pub met_at: Option<Timestamp>,
    /// When the new version was taken from its users for good; none while they have it, or before they met it.
    pub left_at: Option<Timestamp>,
    /// How much of the traffic each slot has, as far as our own events tell.
    pub shares: Shares,
    /// Shares that an action is known to have set, until `traffic_shifted` tells so.
    pub shifted_to: Option<Shares>,
    /// Every move of the traffic, oldest first: when, from where and to where.
    pub moves: Vec<(Timestamp, Option<SlotName>, SlotName)>,
    /// Whether what proves the way back passed when it was last told; none where this engine has not looked yet.
    pub way_back: Option<WayBackSeen>,
    /// Where an action is known to have moved traffic, until `traffic_switched` tells so. A journal that ends between the
    /// two must not make anybody believe that traffic is where it was.
    pub moved_to: Option<SlotName>,
    /// Writes of ours to objects of the target (the Service is `None`) whose answer never came. Each may still arrive, whatever
    /// was found or said of it since: see [`crate::domain::effect::Effect::Settle`].
    pub lost: Vec<(Option<SlotName>, ActionKind)>,
    /// The target as the run believes it to be: as pinned, changed by our own acts.
    pub pinned: Option<Pinned>,
    /// Means before the switch by `metric` or `metric/slot`.
    pub baseline: BTreeMap<String, f64>,
    /// Of how much time the baseline is, by the same names, where that is less than five minutes.
    pub baseline_short: BTreeMap<String, Span>,
    /// The evidence for each claim that the runbook makes, since users met the new version.
    pub evidence: BTreeMap<usize, Gathered>,
    /// The triggers.
    pub triggers: Vec<TriggerState>,
    /// Rollbacks in order of starting; only the last can be active.
    pub rollbacks: Vec<RollbackState>,
    /// The target's lock, once it was taken.
    pub lock: Option<LockHeld>,
    /// Who has control, or had it last.
    pub pilot: Option<Person>,
    /// Since when nobody has had control; none before the first screen, and while somebody has it.
    pub away_since: Option<Timestamp>,
    /// Who asks for control.
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
    /// Changes by others that were not taken or put back yet.
    pub foreign: Vec<Foreign>,
    /// What is being put back of them just now, and who ordered it.
    pub putting_back: Option<PuttingBack>,
    /// Notices sent or failed.
    pub notices: Vec<Notice>,
    /// How the run ended, when and in words.
    pub finished: Option<(Outcome, Timestamp, String)>,
}

/// What is known of the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBackSeen {
    /// Whether everything that proves it passes.
    pub ready: bool,
    /// What does not, by its text.
    pub failing: Vec<String>,
    /// What was seen of that.
    pub why: String,
}

/// A checklist item's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemState {
    /// Where it stands.
    pub status: ItemStatus,
    /// Who said so; nobody yet where it is open.
    pub by: Option<Actor>,
    /// A note or a check's evidence.
    pub note: Option<String>,
    /// Whether its check could not find it out, so that a person looks in its place.
    pub asks: bool,
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
    /// Its check fails.
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
    /// What it waits for before it begins, by the last fresh look.
    pub waits: Option<String>,
    /// How often it was tried before, in a rollback.
    pub tries: u32,
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
    /// Not done; the rollback went on anyway, since traffic is back.
    PassedOver,
}

/// A check's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckState {
    /// Where it stands.
    pub status: CheckStatus,
    /// What was seen.
    pub evidence: String,
    /// Who; nobody yet where it is open.
    pub by: Option<Actor>,
    /// When.
    pub at: Timestamp,
    /// It holds only in so far as there was nothing to measure.
    pub skipped: bool,
    /// Something was seen that no later look takes back, only a person.
    pub caught: bool,
    /// When a person has taken such a thing back: what was seen before counts no more.
    pub acknowledged: Option<Timestamp>,
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
    /// Why it fires later than `for` after that, and when at the earliest.
    pub waits: Option<(Timestamp, Waits)>,
    /// Why it cannot see.
    pub blind: Option<Missing>,
    /// When it fired, and its words.
    pub fired: Option<(Timestamp, String)>,
    /// When the rollback begins by itself.
    pub countdown: Option<Timestamp>,
}

/// What is known of a claim as the run's events tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// Since when evidence is gathered.
    pub since: Timestamp,
    /// Its terms; none where no verdict is possible, and the remark says why.
    pub terms: Option<Terms>,
    /// What is to be said of the terms.
    pub remark: Option<String>,
    /// The newest record; none before the first, and after a person has called the verdict wrong.
    pub card: Option<Card>,
}

/// A rollback's state.
#[derive(Debug, Clone, PartialEq)]
pub struct RollbackState {
    /// Which procedure: `quick`, `database`, or `undo`.
    pub procedure: ProcedureId,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Actor,
    /// When it began.
    pub started_at: Timestamp,
    /// Since when something was wrong by then, as far as it was measured; else when it began.
    pub trouble_since: Timestamp,
    /// Its actions, in order.
    pub actions: Vec<Action>,
    /// The steps that are undone, in order.
    pub undo: Vec<StepId>,
    /// The procedure's actions and checks.
    pub work: Work,
    /// What was not as it should be after traffic was back.
    pub remarks: Vec<String>,
    /// Whether the promised time was over before traffic was back.
    pub late: bool,
    /// Why it waits for `retry`.
    pub stopped: Option<Stopped>,
    /// The promise.
    pub within: Option<Span>,
    /// Whether it went well, in words, how long it took.
    pub finished: Option<(bool, String, Span)>,
}

/// Why a rollback waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub cause: StopCause,
    /// Why, in words.
    pub reason: String,
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

/// Somebody else's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// What, and by whom.
    pub words: String,
    /// The line that puts it back by hand, or what to do. Empty in journals of older versions.
    pub put_back: String,
}

/// Something of it that is being put back.
#[derive(Debug, Clone, PartialEq)]
pub struct PuttingBack {
    /// The act.
    pub action: Action,
    /// The line that does the same by hand.
    pub does: String,
    /// Who ordered it.
    pub by: Actor,
}

/// Why a run is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub cause: HoldCause,
    /// Why, in words.
    pub reason: String,
    /// Who, or `auto`.
    pub by: Actor,
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
    pub done: Option<(Actor, Timestamp)>,
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

impl IncidentState {
    /// When it was resolved; none where nobody has said so.
    pub fn resolved_at(&self) -> Option<Timestamp> {
        let mut resolved = self.history.iter().filter(|(_, status)| status.eq_ignore_ascii_case("resolved"));
        resolved.next().map(|(at, _)| *at)
    }
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
