//! Everything that can happen to a run. It is the only vocabulary: the journal stores it, the engine emits it,
//! everybody else folds it.
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
//! - At most one screen has control: `screen_joined` as pilot comes only where nobody has it.
//! - There is at most one `rollback_started` without a `rollback_finished`.
//!
//! Names and fields are published (`--json-lines`): add, never rename.
//!
//! Longer than 500 lines because it is one list: every event with its fields stands here and nowhere else. What the fields
//! are made of is in `parts`, which events last through a full disk in `urgency`, how old journals are read in `old`.

mod old;
mod parts;
mod urgency;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    action::Action,
    actor::Actor,
    belief::Pinned,
    cause::{HoldCause, StopCause},
    crew::{Person, Role},
    director::Shares,
    evidence::{card::Card, terms::Terms},
    id::{MetricId, ProcedureId, SlotName, StepId},
    metric::Missing,
    runbook::Milestone,
    time::{Span, Timestamp},
    trigger::Waits,
    worse::Than,
};

pub use super::rollback_target::RollbackTarget;
pub use parts::{
    ActionOutcome, ActionRef, CheckRef, ChildProcess, Opened, Outcome, Override, Place, Resolution, Roles,
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

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the large one, run_opened, comes once in a run")]
pub enum RunEvent {
    /// The run was opened.
    RunOpened(Opened),
    /// An engine has resumed the run.
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
    /// Somebody's screen has left, or its connection broke.
    ScreenLeft {
        /// Who.
        who: Person,
        /// What the screen could do.
        role: Role,
    },
    /// An observer asks for control.
    ControlAsked {
        /// Who.
        by: Person,
    },
    /// Control has changed hands.
    ControlTaken {
        /// Who has control now.
        by: Person,
        /// Who had it before, if anybody.
        from: Option<Person>,
        /// Why it was taken; none if it was handed over, or if the same person moved to another screen.
        reason: Option<String>,
    },
    /// The pilot keeps control.
    ControlKept {
        /// Who had asked for it.
        from: Person,
    },
    /// Somebody other than the pilot approves a step.
    ApprovalGiven {
        /// The step.
        step: StepId,
        /// The attempt to start.
        attempt: u32,
        /// Who.
        by: Person,
    },
    /// The target's lock is ours: no other run changes this target.
    LockTaken {
        /// The lock's id, which somebody types to take over from us.
        lock_id: String,
        /// The fence: higher than any before, and written into what we change.
        fence: u64,
        /// Who it was taken over from, and why, if it was.
        from: Option<String>,
    },
    /// The lock can't be renewed: nothing is written until it can.
    LockUncertain {
        /// Why.
        why: String,
    },
    /// The lock is renewed again.
    LockCertain,
    /// Somebody else has the lock, or it is gone: this engine writes nothing any more.
    LockLost {
        /// What happened, and who has it now.
        why: String,
    },
    /// A process started by an earlier engine still runs, or no longer does.
    ChildSeen {
        /// The action whose result is unknown.
        #[serde(flatten)]
        at: ActionRef,
        /// The process.
        pid: u32,
        /// Whether it is alive.
        alive: bool,
    },
    /// A variable has a value. Values of secrets are not stored.
    VarSet {
        /// Its name.
        name: String,
        /// Its value; none for a secret.
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
    /// Somebody overrode a refusal with a reason.
    OverrideGiven(Override),
    /// A checklist item has passed, by a person or a check.
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
    /// A checklist item fails, or no longer passes.
    ItemUnticked {
        /// The group's index.
        group: usize,
        /// The item's index.
        item: usize,
        /// Who, or `auto`.
        by: Actor,
        /// Why.
        note: Option<String>,
        /// It can't be checked from here: a person looks, and ticks it with a note.
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
    /// A step has started.
    StepStarted {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// Who.
        by: Actor,
    },
    /// An action is about to start. Durable before its effect.
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
        /// In words: the exit status, the API server's answer, the error and what to do.
        detail: String,
        /// How long it took, milliseconds.
        took: Span,
        /// The output's file name inside the run's directory.
        output: Option<String>,
    },
    /// An action that moves traffic or removes capacity is due, but a fresh read of the target says: not yet. Repeated when
    /// the reason changes.
    ActionWaits {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// What it waits for.
        why: String,
    },
    /// An action of a rollback, which is safe to repeat, was not done or may not have been: it is retried.
    ActionRetried {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// The number of the next try, from 2.
        tries: u32,
        /// Why the previous one was not enough.
        why: String,
    },
    /// The outcome of an unknown action could not be read from the cluster: somebody must find out.
    ActionLooked {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// What was seen, in words.
        evidence: String,
    },
    /// An unknown action was resolved, by a person or by reading the cluster.
    ActionResolved {
        /// Which.
        #[serde(flatten)]
        at: ActionRef,
        /// How.
        resolution: Resolution,
        /// Who, or `auto`.
        by: Actor,
        /// What was read from the cluster, if that decided it.
        #[serde(default)]
        evidence: Option<String>,
    },
    /// A check has passed.
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
        /// It was skipped, because nothing was measured and the check allows that.
        #[serde(default, skip_serializing_if = "is_false")]
        skipped: bool,
    },
    /// A check has failed: its time is up, it stopped passing inside a window, or something was seen that stays.
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
        /// Something was seen that only a person can clear.
        #[serde(default, skip_serializing_if = "is_false")]
        caught: bool,
    },
    /// A step is done and all its checks have passed.
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
    /// A step is skipped.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
        /// Who, or `auto` if its part does not apply.
        by: Actor,
    },
    /// An undo has started.
    UndoStarted {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// Who.
        by: Actor,
    },
    /// An undo has ended.
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
    /// The completion has started.
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
        /// How much time the samples cover, if less than five minutes.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        short: BTreeMap<String, Span>,
    },
    /// From now on evidence is gathered for a claim: users meet the new version.
    EvidenceBegan {
        /// The claim's place among those of the runbook.
        claim: usize,
        /// The metric.
        metric: MetricId,
        /// What the new version must not be worse than.
        than: Than,
        /// What is asked, and how sure the answer must be; none where no verdict is possible.
        terms: Option<Terms>,
        /// What is to be said of the terms, or why there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
    },
    /// Where the evidence for a claim stands: at every quarter of what a verdict takes, with the verdict, and at the end.
    EvidenceTold {
        /// The claim's place among those of the runbook.
        claim: usize,
        /// The metric.
        metric: MetricId,
        /// In words.
        words: String,
        /// All that it rests on, so that anybody can compute it again.
        card: Box<Card>,
    },
    /// The quick rollback's `ready` checks pass now, or no longer do.
    WayBackChanged {
        /// Whether all pass.
        ready: bool,
        /// The failing checks, by their text.
        failing: Vec<String>,
        /// What they saw.
        why: String,
    },
    /// The Service points at another slot.
    TrafficSwitched {
        /// From this slot.
        from: SlotName,
        /// To this one.
        to: SlotName,
    },
    /// Traffic has other shares than before: by our own act, or as pods became ready.
    TrafficShifted {
        /// Each slot's share, in thousandths; empty while nobody answers.
        shares: Shares,
    },
    /// A monitored window has opened.
    WindowOpened {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// How long it lasts.
        lasts: Span,
    },
    /// How much of the window has been watched with data. Written now and then, so that a resume does not count more.
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
    /// A breaching trigger will fire later than its `for` says.
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
        /// The value that cleared it; none in old journals, where missing data did.
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
    /// Enough samples arrive again.
    TriggerSees {
        /// The trigger's index.
        trigger: usize,
    },
    /// A trigger has fired: its `for` is full, or its `no_data = "rollback"` applies.
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
        /// When it starts.
        ends_at: Timestamp,
    },
    /// The countdown was cancelled.
    CountdownCancelled {
        /// The trigger's index.
        trigger: usize,
        /// Why.
        reason: String,
        /// Who.
        by: Actor,
    },
    /// A rollback has started.
    RollbackStarted {
        /// `quick`, `database`, or `undo` before the switch.
        procedure: ProcedureId,
        /// Why.
        reason: String,
        /// Who, or `trigger`.
        by: Actor,
        /// What will be done, in order: the procedure's actions without those already done, and with those needed first
        /// (scaling up the previous slot).
        actions: Vec<Action>,
        /// Before the switch: the steps whose `undo` runs, in order.
        undo: Vec<StepId>,
        /// The promised time.
        within: Option<Span>,
    },
    /// A fresh read says that an action of the rollback needs something first: starting pods.
    RollbackPrepared {
        /// The procedure.
        procedure: ProcedureId,
        /// The index of the action that needs it; these come before it from now on.
        before: usize,
        /// What is done first.
        actions: Vec<Action>,
    },
    /// Traffic is back, but something after that went wrong. The rollback continues.
    RollbackRemarked {
        /// The procedure.
        procedure: ProcedureId,
        /// The index of the action that was not done, if it is one.
        action: Option<usize>,
        /// What is left, in words.
        remark: String,
    },
    /// The promised time has passed and traffic is not back. It keeps trying until somebody gives up.
    RollbackLate {
        /// The procedure.
        procedure: ProcedureId,
        /// The promised time.
        within: Span,
        /// What it waits for.
        why: String,
    },
    /// An action of a rollback starts although the target cannot be read.
    RollbackBlind {
        /// The procedure.
        procedure: ProcedureId,
        /// Why that is acceptable.
        why: String,
        /// Who ordered it.
        by: Actor,
    },
    /// A rollback waits for a retry: one of its actions failed, or somebody must look first.
    RollbackStopped {
        /// The procedure.
        procedure: ProcedureId,
        /// Why, in words.
        reason: String,
        /// Why.
        #[serde(default)]
        cause: StopCause,
    },
    /// A stopped rollback was retried from the failed action.
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
        /// The promised time.
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
        /// The command that reverts it by hand, or what to do; empty in journals of older versions.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        put_back: String,
    },
    /// Reverting somebody else's change starts. Durable before its effect.
    PutBackStarted {
        /// The action.
        action: Box<Action>,
        /// The command that does the same by hand.
        does: String,
        /// Who ordered it.
        by: Actor,
    },
    /// Reverting it has ended.
    PutBackFinished {
        /// How.
        outcome: ActionOutcome,
        /// In words.
        detail: String,
    },
    /// Somebody accepted the target as it is: from now on the run expects this state.
    TargetTaken {
        /// The target now.
        pinned: Pinned,
        /// The slots' roles, if they were chosen again.
        roles: Option<Roles>,
        /// Who.
        by: Actor,
    },
    /// The run is paused: nothing new starts until somebody resumes it.
    RunHeld {
        /// Why, in words.
        reason: String,
        /// Who, or `auto`.
        by: Actor,
        /// Why.
        #[serde(default)]
        cause: HoldCause,
    },
    /// A paused run was resumed.
    RunContinued {
        /// Who.
        by: Actor,
    },
    /// A notice was sent, or could not be.
    NoticeSent {
        /// About what; none for a step's own notice.
        milestone: Option<Milestone>,
        /// The text.
        text: String,
        /// Whether it arrived.
        ok: bool,
        /// The answer in words.
        detail: String,
    },
    /// A post-deployment task was created.
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
    /// A person's note.
    NoteAdded {
        /// The text.
        text: String,
        /// Who.
        by: Actor,
    },
    /// The run has ended, or is paused (`held`).
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
