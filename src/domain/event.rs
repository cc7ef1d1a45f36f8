//! What can happen to a run. The one vocabulary: the journal stores it, the engine emits it, everybody folds it.
//!
//! Guarantees, for every list of events that one engine wrote:
//! - `seq` rises by one from 1; `at` never falls.
//! - The first is `run_opened`. After `run_finished` only tasks, notes, notices, people who come and go, incidents, ticks of a rollback's own
//!   checks, the end of an action that was told to stop (with what a look at it found, and where traffic is then),
//!   a rollback (then another `run_finished`) and, where the run was paused, `run_resumed` follow.
//! - `action_started` is durable before its effect begins. Each is followed by one `action_finished` with the same place,
//!   attempt and action, or by none where the engine died: then the action's result is unknown.
//! - `step_started` of an attempt comes before its actions, and exactly one of `step_passed` or `step_failed` ends the
//!   attempt; a rollback or an abort that cuts it short fails it. `step_skipped` leaves a step out that is not under way.
//! - At most one screen has the controls: `screen_joined` as pilot comes only where nobody has them.
//! - There is at most one `rollback_started` without a `rollback_finished`.
//!
//! Names and fields are published (`--json-lines`): add, never rename.
//!
//! Longer than 500 lines because it is one list: every event with its fields stands here and nowhere else.

mod old;
mod urgency;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    action::Action,
    actor::Actor,
    belief::Pinned,
    cause::{HoldCause, StopCause},
    crew::{Person, Role},
    id::{MetricId, ProcedureId, RunId, SlotName, StepId},
    metric::Missing,
    runbook::{Milestone, Runbook},
    time::{Span, Timestamp},
    trigger::Waits,
    workload::ClusterIdentity,
};

pub use urgency::{Urgency, are_urgent};

/// The version of the event stream's schema, in every line of `--json-lines`.
pub const SCHEMA_VERSION: u32 = 1;

/// An event with its place in the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "old::Written")]
pub struct Envelope {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// Where an action stands in the runbook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Place {
    /// A step's `run`.
    Step {
        /// The step.
        step: StepId,
    },
    /// A step's `undo`.
    Undo {
        /// The step.
        step: StepId,
    },
    /// A rollback procedure, its actions as listed in its `rollback_started`.
    Rollback {
        /// The procedure.
        procedure: ProcedureId,
    },
    /// The completion.
    Completion,
}

/// A process on one host. All three together name it for ever: a number alone is used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildProcess {
    /// Its number. It leads its group.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_time: u64,
    /// The boot that both count in (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

/// One action in one attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionRef {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which attempt at the place, from 1.
    pub attempt: u32,
    /// The action's index, from 0.
    pub action: usize,
}

/// One check in one attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckRef {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which attempt at the place, from 1.
    pub attempt: u32,
    /// The check's index, from 0.
    pub check: usize,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionOutcome {
    /// As wanted.
    Succeeded,
    /// Not as wanted.
    Failed,
    /// It took longer than its `timeout` and was ended.
    TimedOut,
    /// A person or a rollback ended it.
    Cancelled,
    /// Certainly not done, for a reason that may pass: the API server was not reached, or refused for now.
    Unavailable,
    /// It was started, and what became of it could not be found out.
    Unknown,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step passed.
    Succeeded,
    /// A step failed, and traffic is where it was.
    Failed,
    /// Rolled back.
    RolledBack,
    /// The rollback failed: a person must act.
    RollbackFailed,
    /// Paused: it can be resumed.
    Held,
}

/// How an answered UNKNOWN is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It was done.
    Done,
    /// It was not done; the step has failed.
    NotDone,
    /// It shall run again.
    RunAgain,
}

/// The target of a rollback, fixed when the run opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackTarget {
    /// The slot that had traffic.
    pub slot: SlotName,
    /// Its image then.
    pub image: String,
    /// Its replicas then.
    pub replicas: u32,
}

/// What is fixed when a run opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The run.
    pub run_id: RunId,
    /// The program's version.
    pub cutover_version: String,
    /// The runbook's SHA-256, hexadecimal.
    pub runbook_sha256: String,
    /// The runbook's path or name.
    pub runbook_path: String,
    /// The runbook as meant. Left out of `--json-lines`.
    pub runbook: Box<Runbook>,
    /// Whether this is a rehearsal, and of what story.
    pub rehearsal: Option<String>,
    /// Who pilots, `user`.
    pub pilot: String,
    /// Where the engine runs.
    pub host: String,
    /// The cluster, where the runbook has a target.
    pub cluster: Option<ClusterIdentity>,
    /// The slot that gets the new version.
    pub new_slot: Option<SlotName>,
    /// The slot that has traffic, and what it runs.
    pub previous: Option<RollbackTarget>,
    /// The image of the new slot when the run opened.
    pub new_slot_image: Option<String>,
    /// The target as it was seen at the opening; nothing in journals of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// What was refused and overridden with a reason.
    pub overrides: Vec<Override>,
}

/// Which slot is which for the rest of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// The slot that gets the new version.
    pub new_slot: SlotName,
    /// Its image now.
    pub new_slot_image: Option<String>,
    /// The slot that a rollback goes back to.
    pub previous: RollbackTarget,
}

/// A refusal that somebody overrode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What was refused: `runbook is a draft`, `outside the deployment window`, …
    pub what: String,
    /// Why it was done all the same.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the large one, run_opened, comes once in a run")]
pub enum RunEvent {
    /// A run exists.
    RunOpened(Opened),
    /// An engine has taken up a run again.
    RunResumed {
        /// Who.
        by: String,
        /// Where.
        host: String,
    },
    /// Somebody's screen has connected.
    ScreenJoined {
        /// Who.
        who: Person,
        /// What the screen may do.
        role: Role,
    },
    /// Somebody's screen is gone: left, or its connection broke.
    ScreenLeft {
        /// Who.
        who: Person,
        /// What it might do.
        role: Role,
    },
    /// An observer asks for the controls.
    ControlAsked {
        /// Who.
        by: Person,
    },
    /// The controls have changed hands.
    ControlTaken {
        /// Who drives now.
        by: Person,
        /// Who did before, where somebody did.
        from: Option<Person>,
        /// Why they were taken; nothing where they were handed over, or the same person moved to another screen.
        reason: Option<String>,
    },
    /// The pilot keeps the controls.
    ControlKept {
        /// Who had asked for them.
        from: Person,
    },
    /// Somebody else agrees that a step begins.
    ApprovalGiven {
        /// The step.
        step: StepId,
        /// The attempt that would begin.
        attempt: u32,
        /// Who.
        by: Person,
    },
    /// The target's lock is ours: nobody else drives this target.
    LockTaken {
        /// The id of this holding: what somebody types who takes over from us.
        lock_id: String,
        /// The fence: higher than any before, and written into what we change.
        fence: u64,
        /// Whom it was taken over from, and why, where it was.
        from: Option<String>,
    },
    /// The lock can't be renewed: nothing is written until it can.
    LockUncertain {
        /// Why.
        why: String,
    },
    /// The lock is renewed again.
    LockCertain,
    /// The lock is somebody else's, or gone: this engine writes nothing any more.
    LockLost {
        /// What happened, and who has it now.
        why: String,
    },
    /// What an engine that is gone had started still runs, or runs no longer.
    ChildSeen {
        /// The action whose result is unknown.
        #[serde(flatten)]
        at: ActionRef,
        /// The process.
        pid: u32,
        /// Whether it lives.
        alive: bool,
    },
    /// A variable has a value. Secrets keep theirs out.
    VarSet {
        /// Its name.
        name: String,
        /// Its value; nothing for a secret.
        value: Option<String>,
        /// Where it came from: `asked`, `env`, `cluster`, `captured`, `command line`, …
        source: String,
    },
    /// An optional part applies or not.
    PartDecided {
        /// The part.
        part: String,
        /// Whether it applies.
        applies: bool,
        /// Who said so.
        by: Actor,
    },
    /// Something that was refused goes on with a reason.
    OverrideGiven(Override),
    /// A checklist item holds, by a person or a check.
    ItemTicked {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// The item's text.
        text: String,
        /// Who, or `auto`.
        by: Actor,
        /// A person's note, or a check's evidence.
        note: Option<String>,
    },
    /// A checklist item does not hold (any more).
    ItemUnticked {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// Who, or `auto`.
        by: Actor,
        /// Why.
        note: Option<String>,
        /// It can't be found out from here: a person looks, and ticks it with a note.
        #[serde(default, skip_serializing_if = "is_false")]
        asks: bool,
    },
    /// A checklist item is not needed this time.
    ItemWaived {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// Why.
        reason: String,
        /// Who.
        by: Actor,
    },
    /// The steps are open.
    ChecklistPassed {
        /// Who opened them.
        by: Actor,
    },
    /// A step has begun.
    StepStarted {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// Who.
        by: Actor,
    },
    /// An action is about to begin. Durable before its effect.
    ActionStarted {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// Its name.
        name: String,
        /// What it will do, resolved, secrets masked.
        does: String,
    },
    /// An action runs as a process.
    ActionSpawned {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// The process.
        #[serde(flatten)]
        child: ChildProcess,
    },
    /// An action has ended.
    ActionFinished {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// How.
        outcome: ActionOutcome,
        /// In words: the exit status, the API server's answer, the fault and what to do.
        detail: String,
        /// How long it took, milliseconds.
        took: Span,
        /// The output's file name inside the run's directory.
        output: Option<String>,
    },
    /// An act that moves traffic or takes capacity away is due, and a fresh look at the target says: not yet. Told again where
    /// the reason changes.
    ActionWaits {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// What it waits for.
        why: String,
    },
    /// An act of a rollback, safe to repeat, was not done or is not known to be: it is tried again.
    ActionRetried {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// Which try this will be, from 2.
        tries: u32,
        /// Why the one before was not enough.
        why: String,
    },
    /// A look at an unknown action could not tell what became of it: a person must say.
    ActionLooked {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// What was seen, in words.
        evidence: String,
    },
    /// It is said what became of an unknown action: by a person, or after looking.
    ActionResolved {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// How.
        resolution: Resolution,
        /// Who, or `auto` after looking.
        by: Actor,
        /// What a look found, where one told.
        #[serde(default)]
        evidence: Option<String>,
    },
    /// A check holds.
    CheckPassed {
        /// Which.
        #[serde(flatten)]
        at: CheckRef,
        /// Its text.
        text: String,
        /// What was seen.
        evidence: String,
        /// Who, or `auto`.
        by: Actor,
        /// Nothing was measured, and the check says that it is skipped then.
        #[serde(default, skip_serializing_if = "is_false")]
        skipped: bool,
    },
    /// A check does not hold: its time is over, it stopped holding inside a window, or something was seen that stays.
    CheckFailed {
        /// Which.
        #[serde(flatten)]
        at: CheckRef,
        /// Its text.
        text: String,
        /// What was seen.
        evidence: String,
        /// Who, or `auto`.
        by: Actor,
        /// Something was seen that no later look takes back, only a person.
        #[serde(default, skip_serializing_if = "is_false")]
        caught: bool,
    },
    /// A step is done and all its checks hold.
    StepPassed {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
    },
    /// A step's attempt has failed.
    StepFailed {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// A step is left out.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
        /// Who, or `auto` where its part does not apply.
        by: Actor,
    },
    /// A step is being taken back.
    UndoStarted {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// Who.
        by: Actor,
    },
    /// A step is taken back, or that failed.
    UndoFinished {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// Whether every action succeeded.
        ok: bool,
        /// In words.
        detail: String,
    },
    /// The completion has begun.
    CompletionStarted {
        /// From 1.
        attempt: u32,
        /// Who.
        by: Actor,
    },
    /// The completion's attempt has failed; traffic stays where it is.
    CompletionFailed {
        /// The attempt.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// What metrics were like before the switch, by `metric` or `metric/slot`.
    BaselineRecorded {
        /// Mean of the samples since the run opened, at most the last five minutes.
        values: BTreeMap<String, f64>,
        /// Of how much time the samples were, where that was less than five minutes.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        short: BTreeMap<String, Span>,
    },
    /// What proves the way back passes now, or does not any more.
    WayBackChanged {
        /// Whether all of it passes.
        ready: bool,
        /// The checks that do not, by their text.
        failing: Vec<String>,
        /// What was seen of them.
        why: String,
    },
    /// The Service points at another slot.
    TrafficSwitched {
        /// From this slot.
        from: SlotName,
        /// To this one.
        to: SlotName,
    },
    /// A monitored window has begun.
    WindowOpened {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// How long it lasts.
        lasts: Span,
    },
    /// So much of the window has been watched with data. Written now and then, so that a resume is not credited with more.
    WindowAdvanced {
        /// The step.
        step: StepId,
        /// Watched time.
        watched: Span,
    },
    /// A trigger's condition is true, its `for` clock runs.
    TriggerBreaching {
        /// The trigger's index.
        trigger: usize,
        /// In words.
        reason: String,
        /// The metric.
        metric: MetricId,
        /// The value.
        value: f64,
        /// The first breaching sample's time.
        since: Timestamp,
    },
    /// A trigger in breach fires later than its `for` says, as things are now.
    TriggerWaits {
        /// The trigger's index.
        trigger: usize,
        /// The earliest time at which it can fire.
        until: Timestamp,
        /// Why.
        why: Waits,
    },
    /// A trigger's condition is no longer true.
    TriggerCleared {
        /// The trigger's index.
        trigger: usize,
        /// The value that cleared it; nothing in old journals, where data that went missing did.
        value: Option<f64>,
    },
    /// Too many samples of a trigger's metric are missing.
    TriggerBlind {
        /// The trigger's index.
        trigger: usize,
        /// The metric.
        metric: MetricId,
        /// Why.
        why: Missing,
    },
    /// Enough is measured again.
    TriggerSees {
        /// The trigger's index.
        trigger: usize,
    },
    /// A trigger's `for` is full, or its `no_data = "rollback"` holds.
    TriggerFired {
        /// The trigger's index.
        trigger: usize,
        /// In words, with the value.
        reason: String,
    },
    /// A rollback will start by itself.
    CountdownStarted {
        /// The trigger's index.
        trigger: usize,
        /// When it ends.
        ends_at: Timestamp,
    },
    /// Somebody stopped it.
    CountdownCancelled {
        /// The trigger's index.
        trigger: usize,
        /// Why.
        reason: String,
        /// Who.
        by: Actor,
    },
    /// A rollback has begun.
    RollbackStarted {
        /// `quick`, `database`, or `undo` before the switch.
        procedure: ProcedureId,
        /// Why.
        reason: String,
        /// Who, or `trigger`.
        by: Actor,
        /// What will be done, in order: the procedure's actions without those that are already true, and with those
        /// that are needed first (the previous slot scaled up again).
        actions: Vec<Action>,
        /// Before the switch: the steps whose `undo` runs, in order.
        undo: Vec<StepId>,
        /// The promise.
        within: Option<Span>,
    },
    /// A fresh look says that something is needed before an act of the rollback: pods are started first.
    RollbackPrepared {
        /// The procedure.
        procedure: ProcedureId,
        /// The index of the act that needs it; these stand before it from now on.
        before: usize,
        /// What is done first.
        actions: Vec<Action>,
    },
    /// Traffic is back, and something after that was not as it should be. The rollback goes on.
    RollbackRemarked {
        /// The procedure.
        procedure: ProcedureId,
        /// The action that was not done, by its index, where it is one.
        action: Option<usize>,
        /// What is left, in words.
        remark: String,
    },
    /// The promised time is over and traffic is not back. It is tried on until somebody gives up.
    RollbackLate {
        /// The procedure.
        procedure: ProcedureId,
        /// The promise.
        within: Span,
        /// What it waits for.
        why: String,
    },
    /// An act of a rollback begins although the target cannot be read.
    RollbackBlind {
        /// The procedure.
        procedure: ProcedureId,
        /// Why that is taken to be right.
        why: String,
        /// Who says so.
        by: Actor,
    },
    /// A rollback waits for `retry`: an action of it failed, or somebody must look first.
    RollbackStopped {
        /// The procedure.
        procedure: ProcedureId,
        /// Why, in words.
        reason: String,
        /// Why.
        #[serde(default)]
        cause: StopCause,
    },
    /// A stopped rollback goes on with the failed action.
    RollbackRetried {
        /// The procedure.
        procedure: ProcedureId,
        /// From 2.
        attempt: u32,
        /// Who.
        by: Actor,
    },
    /// A rollback has ended.
    RollbackFinished {
        /// The procedure.
        procedure: ProcedureId,
        /// Whether everything was done and checked.
        ok: bool,
        /// In words.
        detail: String,
        /// How long it took.
        took: Span,
        /// The promise.
        within: Option<Span>,
    },
    /// Somebody else changed what we deploy.
    ForeignChange {
        /// The object, `service/backend-service`.
        object: String,
        /// What changed.
        what: String,
        /// The field manager.
        manager: String,
        /// The line that puts it back by hand, or what to do; nothing in journals of older versions.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        put_back: String,
    },
    /// Something that somebody else has changed is put back. Durable before its effect begins.
    PutBackStarted {
        /// The act.
        action: Box<Action>,
        /// The line that does the same by hand.
        does: String,
        /// Who ordered it.
        by: Actor,
    },
    /// That has ended.
    PutBackFinished {
        /// How.
        outcome: ActionOutcome,
        /// In words.
        detail: String,
    },
    /// Somebody takes the target as it is now: what was different is what the run believes from here on.
    TargetTaken {
        /// The target now.
        pinned: Pinned,
        /// Which slot gets the new version and which one is gone back to, where that was fixed anew.
        roles: Option<Roles>,
        /// Who.
        by: Actor,
    },
    /// Nothing new starts until somebody continues.
    RunHeld {
        /// Why, in words.
        reason: String,
        /// Who, or `auto`.
        by: Actor,
        /// Why.
        #[serde(default)]
        cause: HoldCause,
    },
    /// A held run goes on.
    RunContinued {
        /// Who.
        by: Actor,
    },
    /// A notice was sent, or could not be.
    NoticeSent {
        /// About what; nothing for a step's own notice.
        milestone: Option<Milestone>,
        /// The text.
        text: String,
        /// Whether it arrived.
        ok: bool,
        /// The answer in words.
        detail: String,
    },
    /// A task was left for after the deployment.
    TaskCreated {
        /// Its index.
        task: usize,
        /// What to do.
        text: String,
        /// When it is due.
        due_at: Timestamp,
    },
    /// A task is done.
    TaskDone {
        /// Its index.
        task: usize,
        /// Who.
        by: Actor,
    },
    /// An incident was declared, or its text changed.
    IncidentUpdated {
        /// `P0` …
        severity: String,
        /// Brief description.
        title: String,
        /// What users see.
        impact: String,
        /// `Investigating`, `Mitigating`, `Resolved`.
        status: String,
        /// Whether this was sent to the channel.
        sent: bool,
        /// Who.
        by: Actor,
    },
    /// An incident step was ticked or unticked.
    IncidentStepTicked {
        /// Its index.
        step: usize,
        /// Ticked.
        done: bool,
        /// Who.
        by: Actor,
    },
    /// A person's remark.
    NoteAdded {
        /// The text.
        text: String,
        /// Who.
        by: Actor,
    },
    /// The run has ended, or pauses (`held`).
    RunFinished {
        /// How.
        outcome: Outcome,
        /// In words.
        detail: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl RunEvent {
    /// The name in `--json-lines`: the same as in the journal.
    pub fn name(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.get("event").and_then(|name| name.as_str().map(str::to_owned)))
            .unwrap_or_default()
    }
}
