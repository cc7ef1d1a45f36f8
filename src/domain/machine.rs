//! The state machine that decides. Pure: no clock, no I/O; time and facts come in as [`Input`]s, what must be done goes
//! out as a [`Decision`]. So a crash between intent and result, two triggers in one tick or a stale key press are plain tests.
//!
//! ```text
//!   checklist ──OpenSteps──▶ step 1 … step n ──all passed──▶ completion ──▶ tasks, run finished
//!                               │     │
//!                 R: undo ◀─────┘     └─ traffic switched: triggers armed ──▶ R or trigger: quick rollback
//! ```
//!
//! Each input is taken in by one method; then `advance` does whatever follows by itself until nothing more does.
//! Every change of the run's state is an event, applied to the machine's own [`Run`] the moment it is emitted. What the
//! machine keeps besides (samples, pictures of the cluster, clocks of triggers and checks) is evidence, not state: after a
//! restart it is gathered again, and nobody is credited with time that nobody measured.
//!
//! Longer than 500 lines because every input and every command is dispatched here; what is done about them stands in its
//! phase.

mod checklist;
mod checks;
mod crew;
mod evidence;
mod foreign;
mod guard;
mod journal;
mod persevere;
mod rollback;
mod shares;
mod step;
mod tasks;
mod watch;
mod way_back;
mod window;

pub use guard::BLIND_WORD;
pub use watch::RECONSIDER;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::checks::Stand;
use super::{
    actor::Actor,
    cause::{HoldCause, StopCause},
    effect::{Decision, Effect, Input},
    event::{ActionOutcome, ActionRef, CheckRef, Envelope, Opened, Outcome, Place, RunEvent},
    id::{MetricId, SlotName},
    message::{Command, Request, Stage},
    metric::Sample,
    run::{ActionStatus, Run},
    runbook::Milestone,
    time::{Span, Timestamp},
    trigger::TriggerClock,
    workload::{Access, Workload},
};

/// Decides what happens to one run.
#[derive(Debug, Clone)]
pub struct Machine {
    run: Run,
    now: Timestamp,
    out: Decision,
    last_tick: Option<Timestamp>,
    workload: Option<Workload>,
    access: Option<Access>,
    latest: BTreeMap<(MetricId, Option<SlotName>), Sample>,
    recent: BTreeMap<String, VecDeque<(Timestamp, f64)>>,
    clocks: BTreeMap<usize, TriggerClock>,
    /// The evidence for each claim, while it is gathered.
    evidence: evidence::Evidence,
    /// What was counted before the switch.
    before: evidence::Counted,
    /// Countdowns that wait, or have waited, for somebody who writes why they should be cancelled.
    reconsidered: BTreeMap<usize, watch::Reconsidered>,
    watched: BTreeMap<CheckRef, checks::Watched>,
    item_due: BTreeMap<(usize, usize), Timestamp>,
    item_looking: BTreeSet<(usize, usize)>,
    /// The action a person has let go, where it has a gate.
    granted: Option<ActionRef>,
    /// Actions that were told to stop.
    cancelled: BTreeSet<ActionRef>,
    /// Why the run ends once nothing runs any more, and how.
    ending: Option<(Outcome, String)>,
    /// Why a rollback is given up once what runs of it has ended.
    giving_up: Option<String>,
    /// What proves the way back, as it was last seen.
    ready: BTreeMap<usize, way_back::ReadyLook>,
    /// When this machine began to watch.
    began: Timestamp,
    /// A screen asked to close; what was told to stop is still ending.
    closing: bool,
    /// Another engine's run was taken up, and it was not looked yet for what that has left running.
    unlooked: bool,
    /// Why the engine itself was told to end, and until when what runs may go on.
    terminating: Option<(String, Timestamp)>,
    /// Watched time of the window when it was last written down.
    window_written: Span,
    /// Since when a window whose time is full is not measured, and whether somebody was told.
    unmeasured: Option<(Timestamp, bool)>,
    /// Since when the gateway has not carried out the route, as the watch shows it.
    unfit: Option<Timestamp>,
    /// Fresh looks at the target, and what waits for one.
    looks: guard::Looks,
    /// How much later than it was true a fact may arrive without being late: see [`Machine::allow_for`].
    slack: Span,
}

/// A longer pause between two ticks was no watching: the engine slept, or was stopped.
const LONGEST_TICK: Span = Span::from_secs(15);
/// An engine that was told to end gives what runs this long, before the 10 s that a command has between SIGTERM and
/// SIGKILL. Together they fit into the 90 s that systemd gives a service to stop.
const TERMINATION_GRACE: Span = Span::from_secs(60);
/// What a fact's way to the machine may take when time is not sped up.
const SLACK: Span = Span::from_secs(1);

impl Machine {
    /// A new run. The decision holds its first event.
    ///
    /// # Errors
    /// Never for an [`Opened`] whose runbook is whole; the type says so because the fold does.
    pub fn open(opened: Opened, now: Timestamp) -> Option<(Self, Decision)> {
        let first = Envelope { seq: 1, at: now, event: RunEvent::RunOpened(opened) };
        let run = Run::open(&first)?;
        let mut machine = Self::around(run, now);
        machine.out.events.push(first);
        machine.ask_look();
        machine.advance();
        let decision = machine.take();
        Some((machine, decision))
    }

    /// A run that another engine left. What it had begun without writing down the result is unknown now; nothing goes on
    /// before somebody says so.
    ///
    /// `copied` where it is taken up from a copy: what happened in its last seconds is not known. A rollback under way waits
    /// for a person then; otherwise it goes on by itself.
    pub fn resume(run: Run, by: &str, host: &str, copied: bool, now: Timestamp) -> (Self, Decision) {
        let mut machine = Self::around(run, now);
        machine.emit(RunEvent::RunResumed { by: by.to_owned(), host: host.to_owned() });
        machine.mark_unknown();
        machine.unlooked = true;
        machine.ask_look();
        if machine.run.rolling_back().is_some() {
            machine.end_orphans(|place| matches!(place, Place::Step { .. } | Place::Completion));
        }
        machine.restart_countdowns();
        let active =
            machine.run.steps_open && machine.run.finished.is_none() && machine.run.rolling_back().is_none();
        if active && !machine.is_held_for_good() {
            machine.hold(HoldCause::Resumed, "resumed: check everything, then continue", Actor::Auto);
        }
        let waits = machine.run.rolling_back().is_none_or(|rollback| rollback.stopped.is_some());
        if copied && !waits {
            let reason =
                "taken over from a copy, which may lack the last seconds: check everything, then retry";
            machine.stop_rollback(StopCause::Copied, reason);
        }
        machine.advance();
        let decision = machine.take();
        (machine, decision)
    }

    /// Whatever was running when the engine ended may have been done or not. What the cluster can show is looked up.
    fn mark_unknown(&mut self) {
        for place in self.open_places() {
            let Some(work) = self.run.work(&place) else { continue };
            let attempt = work.attempt;
            let open: Vec<_> = (work.actions.iter().enumerate())
                .filter(|(_, action)| matches!(action.status, ActionStatus::Running | ActionStatus::Unknown))
                .map(|(action, state)| (ActionRef { place: place.clone(), attempt, action }, state.status))
                .collect();
            for (at, status) in open {
                if status == ActionStatus::Running {
                    self.emit(RunEvent::ActionFinished {
                        at: at.clone(),
                        outcome: ActionOutcome::Unknown,
                        detail: "the engine ended while it ran; it never runs again by itself".to_owned(),
                        took: Span::ZERO,
                        output: None,
                    });
                }
                if self.run.action(&at).is_some_and(|action| action.kind.is_kubernetes()) {
                    self.out.effects.push(Effect::Verify(at));
                }
            }
        }
    }

    /// Where something may have been running: every step, since one that failed may have left an action; an undo and a rollback
    /// only where they are under way.
    fn open_places(&self) -> Vec<Place> {
        let steps = self.run.runbook.steps.iter();
        let mut places: Vec<Place> = steps.map(|step| Place::Step { step: step.id.clone() }).collect();
        places.extend(self.run.undoing().map(|(step, _)| Place::Undo { step }));
        places.push(Place::Completion);
        let rollback = self.run.rolling_back();
        places.extend(rollback.map(|it| Place::Rollback { procedure: it.procedure.clone() }));
        places
    }

    fn around(run: Run, now: Timestamp) -> Self {
        Self {
            now: now.max(run.last_at),
            began: now.max(run.last_at),
            window_written: Span::ZERO,
            unmeasured: None,
            unfit: None,
            run,
            out: Decision::default(),
            last_tick: None,
            workload: None,
            access: None,
            latest: BTreeMap::new(),
            recent: BTreeMap::new(),
            clocks: BTreeMap::new(),
            evidence: evidence::Evidence::new(),
            before: evidence::Counted::new(),
            reconsidered: BTreeMap::new(),
            watched: BTreeMap::new(),
            item_due: BTreeMap::new(),
            item_looking: BTreeSet::new(),
            granted: None,
            cancelled: BTreeSet::new(),
            ending: None,
            giving_up: None,
            ready: BTreeMap::new(),
            closing: false,
            terminating: None,
            unlooked: false,
            looks: guard::Looks::default(),
            slack: SLACK,
        }
    }

    /// Where time runs faster than life, the same real delay is a longer one in the run's time: `slack` is what one real
    /// second is worth. It widens what counts as fresh and the deadlines of checks, never what a trigger takes as evidence.
    pub fn allow_for(&mut self, slack: Span) {
        self.slack = slack.max(SLACK);
    }

    /// A sample is the present as long as it is not older than three intervals.
    fn is_fresh(&self, at: Timestamp, interval: Span) -> bool {
        let limit = Span::from_millis(interval.as_millis().saturating_mul(3)).saturating_add(self.slack);
        // A server whose clock is ahead would otherwise look fresh long after it fell silent.
        self.now.since(at) <= limit && at.since(self.now) <= limit
    }

    /// The run as it is.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The cluster as last seen.
    pub fn workload(&self) -> Option<&Workload> {
        self.workload.as_ref()
    }

    /// Takes an input in and decides everything that follows from it.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Decision {
        self.now = now.max(self.run.last_at);
        match input {
            Input::Tick => self.on_tick(),
            Input::Operator(request) => self.on_operator(request),
            Input::ScreenJoined { who, role } => self.emit(RunEvent::ScreenJoined { who, role }),
            Input::ScreenLeft { who, role } => self.screen_left(who, role),
            Input::Control { by, from, reason } => self.emit(RunEvent::ControlTaken { by, from, reason }),
            Input::ControlAsked { by } => self.emit(RunEvent::ControlAsked { by }),
            Input::LockTaken { lock_id, fence, from } => {
                self.emit(RunEvent::LockTaken { lock_id, fence, from });
            }
            Input::Overridden(given) => self.emit(RunEvent::OverrideGiven(given)),
            Input::Lock(state) => self.on_lock(state),
            Input::ChildSeen { at, pid, alive } => self.child_seen(at, pid, alive),
            Input::ControlKept => self.keep_control(),
            Input::Approval { step, by } => self.approve(step, by),
            Input::VarSet { name, value, source } => {
                self.emit(RunEvent::VarSet { name, value, source });
                self.recheck_failing_items();
            }
            Input::ActionSpawned { at, child } => {
                self.emit(RunEvent::ActionSpawned { at: at.clone(), child });
                // Found only now: what a rollback has told to end was not told that.
                let step = matches!(at.place, Place::Step { .. } | Place::Completion);
                if self.unlooked && step && self.run.rolling_back().is_some() {
                    self.effect(Effect::EndChild(at));
                }
            }
            Input::ActionFinished { at, outcome, detail, took, output } => {
                self.on_action_finished(at, outcome, detail, took, output);
            }
            Input::Verified { at, resolution, evidence } => self.on_verified(at, resolution, evidence),
            Input::CheckSeen { at, holds, evidence } => {
                self.on_check_seen(&at, if holds { Stand::Holds } else { Stand::Fails }, evidence);
            }
            Input::CheckHopeless { at, evidence } => self.on_check_seen(&at, Stand::Hopeless, evidence),
            Input::CheckCaught { at, since, evidence } => {
                // One that was on its way while a person took it back says nothing new.
                if self.run.looks_since(&at).is_none_or(|counts| counts <= since) {
                    self.on_check_seen(&at, Stand::Caught, evidence);
                }
            }
            Input::ItemSeen { group, item, holds, asks, evidence } => {
                self.on_item_seen((group, item), holds, asks, evidence);
            }
            Input::ReadySeen { check, holds, evidence } => self.on_ready_seen(check, holds, evidence),
            Input::Sample(sample) => self.on_sample(sample),
            Input::Past(samples) => samples.iter().for_each(|sample| {
                self.remember_for_baseline(sample);
                self.remember_counts(sample);
            }),
            Input::Workload(workload) => self.on_workload(*workload),
            Input::Observed(result) => self.on_observed(*result),
            Input::Settled { slot, fault } => self.on_settled(slot, fault),
            Input::PutBack { outcome, detail } => self.on_put_back(outcome, detail),
            Input::Woken => self.on_woken(),
            Input::Access(access) => self.access = Some(access),
            Input::NoticeDone { milestone, text, ok, detail } => {
                self.emit(RunEvent::NoticeSent { milestone, text, ok, detail });
            }
            Input::JournalFull { why } => self.on_journal_full(&why),
            Input::Terminate { reason } => self.terminate(reason),
        }
        self.advance();
        self.keep_looking();
        self.take()
    }

    fn take(&mut self) -> Decision {
        std::mem::take(&mut self.out)
    }

    fn emit(&mut self, event: RunEvent) {
        let envelope = Envelope { seq: self.run.last_seq + 1, at: self.now, event };
        self.run.apply(&envelope);
        self.out.events.push(envelope);
    }

    fn effect(&mut self, effect: Effect) {
        self.out.effects.push(effect);
    }

    fn refuse(&mut self, why: impl Into<String>) {
        self.out.refused = Some(why.into());
    }

    fn notify(&mut self, milestone: Milestone, text: String) {
        // A page is always told; the others where the runbook wants them.
        if milestone == Milestone::Paged || self.run.runbook.notify.on.contains(&milestone) {
            self.effect(Effect::Notify { milestone, text });
        }
    }

    /// Held, and not only until there is data again: that ends by itself.
    fn is_held_for_good(&self) -> bool {
        self.run.held.as_ref().is_some_and(|held| !held.cause.ends_by_itself())
    }

    fn hold(&mut self, cause: HoldCause, reason: &str, by: Actor) {
        self.emit(RunEvent::RunHeld { reason: reason.to_owned(), by, cause });
    }

    /// Does whatever follows by itself, step by step, until nothing more does.
    fn advance(&mut self) {
        // Each round emits at least one event, and every lane of the machine is finite; the bound is a safety net.
        for _ in 0..10_000 {
            if !self.advance_once() {
                return;
            }
        }
    }

    fn advance_once(&mut self) -> bool {
        self.heed_termination();
        if self.tell_switch() {
            return true;
        }
        if self.run.finished.is_some() {
            return self.advance_closing();
        }
        if self.run.rolling_back().is_some() {
            let pausing = self.ending.is_some() && self.run.rollback_waits();
            return if pausing { self.advance_ending() } else { self.advance_rollback() };
        }
        let went_back = self.run.rollbacks.last().is_some_and(|rollback| rollback.finished.is_some());
        if went_back && self.run.putting_back.is_some() {
            // The run's last word waits for the answer that is still out.
            return false;
        }
        if self.end_after_rollback() || self.fire_due_countdown() {
            return true;
        }
        if self.ending.is_some() {
            return self.advance_ending();
        }
        if !self.run.steps_open {
            self.look_at_items();
            return false;
        }
        self.advance_steps()
    }

    fn on_tick(&mut self) {
        self.unlooked = false;
        self.follow_suspicion();
        self.advance_window_clock();
        if let Some(last) = self.last_tick.filter(|_| self.overslept()) {
            self.postpone_countdowns(last);
        }
        self.judge_way_back();
        self.last_tick = Some(self.now);
        if self.ending.is_some()
            && self.terminating.as_ref().is_some_and(|(_, until)| self.now >= *until)
            && let Some(at) = self.running_action()
        {
            self.cancel_action(at);
        }
    }

    /// Whether so much time has passed since the last tick that nobody was watching in between: the engine was stopped, or
    /// the whole host slept.
    fn overslept(&self) -> bool {
        self.last_tick.is_some_and(|last| self.now.since(last) > LONGEST_TICK.saturating_add(self.slack))
    }

    fn on_operator(&mut self, request: Request) {
        let by = request.by;
        if let Some(why) = self.out_of_place(&request.command) {
            return self.refuse(why);
        }
        match request.command {
            Command::SetVar { name, value } => self.set_var(name, value),
            Command::DecidePart { part, applies } => self.decide_part(part, applies, by),
            Command::TickItem { group, item, note } => self.tick_item(group, item, note, by),
            Command::UntickItem { group, item } => self.untick_item(group, item, by),
            Command::WaiveItem { group, item, reason } => self.waive_item(group, item, reason, by),
            Command::RecheckItem { group, item } => self.recheck_item(group, item),
            Command::OpenSteps { override_reason } => self.open_steps(override_reason, by),
            Command::Start { step, attempt, typed } => self.start(step, attempt, typed.as_deref(), &by),
            Command::Proceed { at, typed } => self.proceed(at, typed.as_deref()),
            Command::TickCheck { step, attempt, check, holds, note } => {
                self.tick_check(step, attempt, check, holds, note, by);
            }
            Command::Retry { step, attempt } => self.retry(step, attempt, &by),
            Command::Undo { step, typed } => self.undo(step, typed.as_deref(), &by),
            Command::Skip { step, reason } => self.skip(step, reason, by),
            Command::Resolve { at, resolution } => self.resolve(at, resolution, by),
            Command::EndChildren => {
                if !self.end_orphans(|_| true) {
                    self.refuse("no process of this run is left over");
                }
            }
            Command::Hold { reason } if self.run.is_undoing_steps() => self.hold_undoing(&reason, &by),
            Command::Hold { reason } => self.hold(HoldCause::Person, &reason, by),
            Command::Continue => self.continue_run(by),
            Command::Rollback { reason } => self.roll_back(&reason, &by),
            Command::RollbackProcedure { procedure, reason, typed } => {
                self.roll_back_by(&procedure, &reason, &typed, &by);
            }
            Command::GoOnUnrecorded { typed } => self.go_on_unrecorded(&typed, by),
            Command::TakeTarget => self.take_target(by),
            Command::PutBack => self.put_back(by),
            Command::KeepLooking => self.keep_looking_for(),
            Command::GoBlind { typed } => self.go_blind(&typed, by),
            Command::RetryRollback => self.retry_rollback(by),
            Command::AbandonRollback { reason } => self.abandon_rollback(&reason),
            Command::CancelCountdown { trigger, reason } => self.cancel_countdown(trigger, reason, by),
            Command::Reconsider { trigger, begins } => self.reconsider(trigger, begins),
            Command::Abort { reason } => self.abort(&reason),
            Command::Suspend { reason } => self.end(Outcome::Held, &reason),
            Command::TaskDone { task } => self.task_done(task, by),
            Command::Close => self.close(),
            Command::Incident { severity, title, impact, status, send } => {
                self.incident(severity, title, impact, status, send, by);
            }
            Command::TickIncidentStep { step, done } => {
                self.emit(RunEvent::IncidentStepTicked { step, done, by });
            }
            Command::Note { text } => self.emit(RunEvent::NoteAdded { text, by }),
            // The engine's own: it knows the screens. Nothing is decided here.
            Command::Logs { .. }
            | Command::AskControl
            | Command::HandOver
            | Command::KeepControl
            | Command::TakeControl { .. }
            | Command::Approve { .. } => {}
        }
    }

    /// What drives the steps has no place once the run is over, or while a rollback runs.
    fn out_of_place(&self, command: &Command) -> Option<&'static str> {
        let over = self.run.finished.is_some();
        match command.stage() {
            Stage::Waiting if over => {
                Some("the run has ended or is paused; continue a paused run with `cutover resume`")
            }
            Stage::Steps if self.run.is_undoing_steps() && matches!(command, Command::Hold { .. }) => None,
            Stage::Steps if self.run.rolling_back().is_some() => {
                Some("a rollback is running; no more steps start")
            }
            Stage::Steps if over => Some("the run has ended"),
            Stage::Steps | Stage::Waiting | Stage::Any => None,
        }
    }

    fn continue_run(&mut self, by: Actor) {
        if self.run.held.is_none() {
            return self.refuse("the run is not paused");
        }
        if self.refuse_fenced_off() {
            return;
        }
        if !self.run.foreign.is_empty() {
            return self.continue_unchanged(by);
        }
        self.emit(RunEvent::RunContinued { by });
    }

    /// Ends the run as soon as nothing runs.
    fn end(&mut self, outcome: Outcome, reason: &str) {
        if self.run.rolling_back().is_some() && !self.run.rollback_waits() {
            return self.refuse("a rollback is running and must finish first: wait for its end");
        }
        if self.run.finished.is_some() {
            self.closing = true;
            return;
        }
        self.ending = Some((outcome, reason.to_owned()));
    }

    /// The engine has to end: nothing new is begun, what runs has [`TERMINATION_GRACE`] before it is ended too, and the run
    /// is closed as paused. A rollback under way is brought to its end first.
    fn terminate(&mut self, reason: String) {
        if self.running_action().is_some() && self.terminating.is_none() {
            let what = if self.run.rolling_back().is_some() { "the rollback" } else { "the running action" };
            self.refuse(format!("{reason}: {what} finishes first, then the run is paused"));
        }
        let until = self.now + TERMINATION_GRACE;
        self.terminating.get_or_insert((reason, until));
    }

    fn heed_termination(&mut self) {
        let Some((reason, _)) = &self.terminating else { return };
        if self.run.finished.is_some() {
            self.closing = true;
        } else if self.ending.is_none() && (self.run.rolling_back().is_none() || self.run.rollback_waits()) {
            self.ending = Some((Outcome::Held, reason.clone()));
        }
    }

    /// Closes once nothing runs: what was told to stop gets its end written down.
    fn advance_closing(&mut self) -> bool {
        if self.closing && self.running_action().is_none() {
            self.closing = false;
            self.effect(Effect::Close);
        }
        false
    }

    fn advance_ending(&mut self) -> bool {
        let Some((outcome, reason)) = self.ending.clone() else { return false };
        // A write that is still out would take effect after the last word.
        if self.running_action().is_some() || self.run.putting_back.is_some() {
            return false;
        }
        self.ending = None;
        if outcome == Outcome::Failed {
            self.cut_short(&reason);
        }
        if outcome == Outcome::Held && self.run.needs_an_engine() {
            self.leave_unwatched(&reason);
        } else {
            self.finish(outcome, &reason);
        }
        self.effect(Effect::Close);
        false
    }

    /// The last words of an engine that has to end in the middle of a run. From the switch on somebody is paged: what would
    /// have rolled back is gone with it.
    fn leave_unwatched(&mut self, reason: &str) {
        let [resume, rollback] = self.run.ways_on();
        let words = format!("{}. Continue: {resume}; roll back: {rollback}", self.run.unwatched());
        if self.run.switch_begun() || self.run.rolling_back().is_some() {
            self.notify(Milestone::Paged, format!("{words} ({reason})"));
        }
        self.finish(Outcome::Held, &format!("{reason}. {words}"));
    }

    fn close(&mut self) {
        if self.run.finished.is_some() && self.run.rolling_back().is_none() {
            self.closing = true;
        } else {
            self.refuse("the run has not ended; pause it, or end it with a reason");
        }
    }

    fn finish(&mut self, outcome: Outcome, detail: &str) {
        self.stop_watches();
        self.looks.wish = None;
        self.emit(RunEvent::RunFinished { outcome, detail: detail.to_owned() });
        let version = self.run.new_version().unwrap_or_default();
        let module = self.run.runbook.document.module.clone();
        match outcome {
            Outcome::Succeeded => {
                self.notify(Milestone::Succeeded, format!("SUCCESS: {module} {version} is deployed"));
            }
            Outcome::Failed => {
                self.notify(Milestone::Failed, format!("FAILED: {module} {version}: {detail}"));
            }
            Outcome::RolledBack => {
                let back = self.run.previous_version().unwrap_or_default();
                self.notify(
                    Milestone::RolledBack,
                    format!("ROLLED BACK: {module} is back on {back}: {detail}"),
                );
            }
            Outcome::RollbackFailed => {
                self.notify(Milestone::Paged, format!("ROLLBACK FAILED: {module}: {detail}"));
            }
            Outcome::Held => {}
        }
    }

    /// The action that runs, wherever.
    fn running_action(&self) -> Option<ActionRef> {
        let mut places: Vec<Place> =
            self.run.undoing().map(|(step, _)| Place::Undo { step }).into_iter().collect();
        if let Some(rollback) = self.run.rollbacks.last() {
            places.push(Place::Rollback { procedure: rollback.procedure.clone() });
        }
        places.extend(self.run.runbook.steps.iter().map(|step| Place::Step { step: step.id.clone() }));
        places.push(Place::Completion);
        places.into_iter().find_map(|place| {
            let work = self.run.work(&place)?;
            let action = work.running()?;
            Some(ActionRef { attempt: work.attempt, place, action })
        })
    }
}

/// Whether what was typed is the word that was asked for; case and blanks around it do not matter.
fn typed_matches(typed: Option<&str>, word: &str) -> bool {
    typed.is_some_and(|typed| typed.trim().eq_ignore_ascii_case(word.trim()))
}

#[cfg(test)]
mod tests;
