//! Builds a run from its events, one by one. It is long because every event is handled here, and readers want to see
//! them together.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ActionState, ActionStatus, CheckState, CheckStatus, Foreign, Gathered, Held, IncidentState, ItemState,
    ItemStatus, LockHeld, Notice, PuttingBack, RollbackState, Run, StepState, StepStatus, Stopped, TaskState,
    TriggerState, WayBackSeen, Work,
};
use crate::domain::{
    action::Action,
    actor::Actor,
    belief::Pinned,
    check::Check,
    crew::{Person, Role},
    director::{Share, Shares, leading, share_of, shares_by},
    event::{ActionOutcome, ActionRef, CheckRef, Envelope, Outcome, Place, Resolution, Roles, RunEvent},
    id::SlotName,
    time::{Span, Timestamp},
    trigger::Waits,
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
        let at = envelope.at;
        self.last_seq = envelope.seq;
        self.last_at = at;
        match &envelope.event {
            RunEvent::RunOpened(_) | RunEvent::NoteAdded { .. } | RunEvent::RollbackBlind { .. } => {}
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
                // Answers that were out have died with their engine.
                self.open_writes().iter().for_each(|at| self.lose(at));
                if let Some(PuttingBack { action, .. }) = self.putting_back.take() {
                    self.lose_write(&action);
                }
                // Clocks are armed anew, without credit.
                for trigger in &mut self.triggers {
                    trigger.waits = trigger.breaching.map(|(since, _)| (since, Waits::Resumed));
                }
                // Nobody has looked since.
                self.way_back = None;
                if self.finished.as_ref().is_some_and(|(outcome, ..)| *outcome == Outcome::Held) {
                    self.finished = None;
                }
            }
            RunEvent::WayBackChanged { ready, failing, why } => {
                self.way_back =
                    Some(WayBackSeen { ready: *ready, failing: failing.clone(), why: why.clone() });
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
            RunEvent::ItemUnticked { group, item, by, note, asks } => {
                let open = by.is_person() || *asks;
                let status = if open { ItemStatus::Open } else { ItemStatus::Fails };
                self.set_item(*group, *item, status, by, note.as_deref(), at);
                if let Some(state) = self.items.get_mut(*group).and_then(|items| items.get_mut(*item)) {
                    state.asks |= *asks;
                }
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
            | RunEvent::ActionWaits { .. }
            | RunEvent::ActionRetried { .. }
            | RunEvent::ActionLooked { .. }
            | RunEvent::ActionResolved { .. } => self.apply_action(&envelope.event, at),
            RunEvent::CheckPassed { at: which, evidence, by, skipped, .. } => {
                let (evidence, by) = (evidence.clone(), Some(by.clone()));
                let state = CheckState {
                    status: CheckStatus::Holds,
                    evidence,
                    by,
                    at,
                    skipped: *skipped,
                    ..CheckState::default()
                };
                self.set_check(which, state);
            }
            RunEvent::CheckFailed { at: which, evidence, by, caught, .. } => {
                let (evidence, by) = (evidence.clone(), Some(by.clone()));
                let state = CheckState {
                    status: CheckStatus::Fails,
                    evidence,
                    by,
                    at,
                    caught: *caught,
                    ..CheckState::default()
                };
                self.set_check(which, state);
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
            RunEvent::BaselineRecorded { values, short } => {
                self.baseline.clone_from(values);
                self.baseline_short.clone_from(short);
            }
            RunEvent::EvidenceBegan { claim, terms, remark, .. } => {
                let (terms, remark) = (*terms, remark.clone());
                self.evidence.insert(*claim, Gathered { since: at, terms, remark, card: None });
            }
            RunEvent::EvidenceTold { claim, card, .. } => {
                if let Some(gathered) = self.evidence.get_mut(claim) {
                    gathered.card = Some((**card).clone());
                }
            }
            RunEvent::TrafficShifted { shares } => {
                self.shifted_to = None;
                self.shift_traffic(shares, at);
            }
            RunEvent::TrafficSwitched { to, .. } => {
                self.move_traffic(to, at);
                self.moved_to = None;
                if self.pinned.as_ref().is_some_and(|pinned| pinned.live.as_ref() != Some(to)) {
                    self.believe_pointed_at(to);
                }
            }
            RunEvent::TriggerBreaching { .. }
            | RunEvent::TriggerWaits { .. }
            | RunEvent::TriggerCleared { .. }
            | RunEvent::TriggerBlind { .. }
            | RunEvent::TriggerSees { .. }
            | RunEvent::TriggerFired { .. }
            | RunEvent::CountdownStarted { .. }
            | RunEvent::CountdownCancelled { .. } => self.apply_trigger(&envelope.event, at),
            RunEvent::RollbackStarted { .. }
            | RunEvent::RollbackPrepared { .. }
            | RunEvent::RollbackRemarked { .. }
            | RunEvent::RollbackLate { .. }
            | RunEvent::RollbackStopped { .. }
            | RunEvent::RollbackRetried { .. }
            | RunEvent::RollbackFinished { .. } => self.apply_rollback(&envelope.event, at),
            RunEvent::ForeignChange { object, what, manager, put_back } => {
                let words = format!("{object}: {what} (by {manager})");
                self.foreign.push(Foreign { words, put_back: put_back.clone() });
            }
            RunEvent::PutBackStarted { action, does, by } => {
                let (action, does, by) = (action.as_ref().clone(), does.clone(), by.clone());
                self.putting_back = Some(PuttingBack { action, does, by });
            }
            RunEvent::PutBackFinished { outcome, .. } => {
                let Some(PuttingBack { action, does, .. }) = self.putting_back.take() else { return };
                match outcome {
                    ActionOutcome::Succeeded => self.foreign.retain(|change| change.put_back != does),
                    ActionOutcome::Unknown => self.lose_write(&action),
                    ActionOutcome::Failed
                    | ActionOutcome::TimedOut
                    | ActionOutcome::Cancelled
                    | ActionOutcome::Unavailable => {}
                }
            }
            RunEvent::TargetTaken { pinned, roles, .. } => self.take_target(pinned, roles.as_ref(), at),
            RunEvent::RunHeld { reason, by, cause } => {
                self.held = Some(Held { cause: *cause, reason: reason.clone(), by: by.clone(), at });
            }
            RunEvent::RunContinued { .. } => {
                self.held = None;
                // A run goes on only where nothing differs any more: the same change, made again, is a new one.
                self.foreign.clear();
            }
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
                let since = self.trouble_since(at);
                let incident = self.incident.get_or_insert_with(|| IncidentState {
                    severity: String::new(),
                    title: String::new(),
                    impact: String::new(),
                    status: String::new(),
                    started_at: since,
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

    fn move_traffic(&mut self, to: &SlotName, at: Timestamp) {
        // A selector gives all at once: then users meet the new slot from now on. One that had a share before has met them.
        let new = self.opened.new_slot.as_ref() == Some(to);
        let meets = new || self.is_promoted();
        let before = self.switched_at.filter(|_| self.shares.len() > 1 || !new);
        self.meet(meets.then(|| before.unwrap_or(at)), at);
        self.shares = [(to.clone(), Share::ALL)].into();
        self.lead(to, at);
    }

    fn shift_traffic(&mut self, shares: &Shares, at: Timestamp) {
        let met = self.opened.new_slot.as_ref().is_some_and(|new| share_of(shares, new) > Share::NONE);
        let meets = met || self.is_promoted();
        // Pods that are not ready for a moment are not gone: only an act of ours takes the new version from its users.
        let stays = self.shares_follow_pods() && (shares.is_empty() || !self.is_taken_back());
        let since = match self.switched_at {
            None => meets.then_some(at),
            since => since.filter(|_| meets || stays),
        };
        self.meet(since, at);
        self.shares.clone_from(shares);
        if let Some(to) = leading(shares).cloned() {
            self.lead(&to, at);
        }
    }

    /// Users meet the new version since then, or do not.
    pub(in crate::domain) fn meet(&mut self, since: Option<Timestamp>, at: Timestamp) {
        let left = self.switched_at.is_some() && since.is_none();
        self.left_at = if left { Some(at) } else { self.left_at.filter(|_| since.is_none()) };
        self.switched_at = since;
        self.met_at = self.met_at.or(since);
    }

    /// The slot with most of the traffic.
    fn lead(&mut self, to: &SlotName, at: Timestamp) {
        if self.live.as_ref() != Some(to) {
            self.moves.push((at, self.live.clone(), to.clone()));
        }
        self.live = Some(to.clone());
    }

    /// The target is taken as it is: what the run believes is what was seen.
    fn take_target(&mut self, pinned: &Pinned, roles: Option<&Roles>, at: Timestamp) {
        if let Some(roles) = roles {
            self.opened.new_slot = Some(roles.new_slot.clone());
            self.opened.new_slot_image.clone_from(&roles.new_slot_image);
            self.opened.previous = Some(roles.previous.clone());
        }
        self.pinned = Some(pinned.clone());
        if let Some(route) = &pinned.route {
            let weights = route.weights.iter().map(|(name, weight)| (name.clone(), u64::from(*weight)));
            self.shift_traffic(&shares_by(weights), at);
        } else if let Some(live) = pinned.live.as_ref().filter(|live| Some(*live) != self.live.as_ref()) {
            self.move_traffic(live, at);
        }
        self.foreign.clear();
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
        | RunEvent::ActionWaits { at, .. }
        | RunEvent::ActionRetried { at, .. }
        | RunEvent::ActionLooked { at, .. }
        | RunEvent::ActionResolved { at, .. }) = event
        else {
            return;
        };
        let (switches_to, shifts_to) = (self.switches_to(at), self.shifts_to(at));
        if matches!(event, RunEvent::ActionFinished { outcome: ActionOutcome::Unknown, .. }) {
            self.lose(at);
        }
        let Some(action) = self.work_mut(&at.place).and_then(|work| work.actions.get_mut(at.action)) else {
            return;
        };
        match event {
            RunEvent::ActionStarted { does, .. } => {
                *action = ActionState {
                    status: ActionStatus::Running,
                    does: does.clone(),
                    started_at: Some(now),
                    tries: action.tries,
                    ..ActionState::default()
                };
            }
            RunEvent::ActionSpawned { child, .. } => action.child = Some(child.clone()),
            RunEvent::ActionWaits { why, .. } => action.waits = Some(why.clone()),
            RunEvent::ActionRetried { tries, why, .. } => {
                *action = ActionState { detail: why.clone(), tries: *tries, ..ActionState::default() };
            }
            RunEvent::ActionLooked { evidence, .. } => {
                action.looked = true;
                action.detail = format!("read from the cluster, still unknown: {evidence}");
            }
            RunEvent::ActionFinished { outcome, detail, took, output, .. } => {
                action.status = match outcome {
                    ActionOutcome::Succeeded => ActionStatus::Done,
                    ActionOutcome::Failed | ActionOutcome::TimedOut | ActionOutcome::Unavailable => {
                        ActionStatus::Failed
                    }
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
            RunEvent::ActionResolved { resolution, by, evidence, .. } => {
                action.child = None;
                action.lives = None;
                match resolution {
                    Resolution::Done => {
                        action.status = ActionStatus::Done;
                        action.detail =
                            format!("done, according to {}", by.with_evidence(evidence.as_deref()));
                    }
                    Resolution::NotDone => {
                        action.status = ActionStatus::Failed;
                        action.detail =
                            format!("not done, according to {}", by.with_evidence(evidence.as_deref()));
                    }
                    Resolution::RunAgain => *action = ActionState::default(),
                }
            }
            _ => {}
        }
        let (unknown, done) = (action.status == ActionStatus::Unknown, action.status == ActionStatus::Done);
        if done && switches_to.is_some() && (switches_to != self.live || self.shares.len() > 1) {
            self.moved_to = switches_to;
        } else if done && shifts_to.as_ref().is_some_and(|shares| *shares != self.shares) {
            self.shifted_to = shifts_to;
        }
        let ends = matches!(event, RunEvent::ActionFinished { .. } | RunEvent::ActionResolved { .. });
        if done && ends {
            self.believe_done(at);
        }
        if let Place::Step { step } = &at.place
            && let Some(state) = self.step_mut(step.as_str())
            && state.status.is_active()
        {
            state.status = if unknown { StepStatus::Unknown } else { StepStatus::Running };
            state.check_if_acted();
        }
    }

    /// Nobody will ever hear whether a write has arrived.
    fn lose(&mut self, at: &ActionRef) {
        if let Some(action) = self.action(at).cloned() {
            self.lose_write(&action);
        }
    }

    fn lose_write(&mut self, action: &Action) {
        let Some(object) = self.object_of(action) else { return };
        let write = (object, action.kind.clone());
        if !self.lost.contains(&write) {
            self.lost.push(write);
        }
    }

    fn apply_trigger(&mut self, event: &RunEvent, at: Timestamp) {
        let (RunEvent::TriggerBreaching { trigger, .. }
        | RunEvent::TriggerWaits { trigger, .. }
        | RunEvent::TriggerCleared { trigger, .. }
        | RunEvent::TriggerBlind { trigger, .. }
        | RunEvent::TriggerSees { trigger }
        | RunEvent::TriggerFired { trigger, .. }
        | RunEvent::CountdownStarted { trigger, .. }
        | RunEvent::CountdownCancelled { trigger, .. }) = event
        else {
            return;
        };
        let claim = self.runbook.claim_of(*trigger);
        let Some(state) = self.triggers.get_mut(*trigger) else { return };
        match event {
            RunEvent::TriggerBreaching { since, value, .. } => {
                state.breaching = Some((*since, *value));
                state.waits = None;
            }
            RunEvent::TriggerWaits { until, why, .. } => state.waits = Some((*until, why.clone())),
            RunEvent::TriggerCleared { .. } => {
                state.breaching = None;
                state.waits = None;
            }
            RunEvent::TriggerBlind { why, .. } => state.blind = Some(why.clone()),
            RunEvent::TriggerSees { .. } => state.blind = None,
            RunEvent::TriggerFired { reason, .. } => state.fired = Some((at, reason.clone())),
            RunEvent::CountdownStarted { ends_at, .. } => state.countdown = Some(*ends_at),
            RunEvent::CountdownCancelled { .. } => {
                state.countdown = None;
                state.fired = None;
                state.breaching = None;
                state.waits = None;
                // A verdict that a person has called wrong is no evidence any more.
                if let Some(gathered) = claim.and_then(|claim| self.evidence.get_mut(&claim)) {
                    gathered.card = None;
                }
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
                let trouble_since = self.trouble_since(at);
                self.rollbacks.push(RollbackState {
                    procedure: procedure.clone(),
                    reason: reason.clone(),
                    by: by.clone(),
                    started_at: at,
                    trouble_since,
                    actions: actions.clone(),
                    undo: undo.clone(),
                    work,
                    remarks: Vec::new(),
                    late: false,
                    stopped: None,
                    within: *within,
                    finished: None,
                });
            }
            RunEvent::RollbackPrepared { before, actions, .. } => {
                if let Some(state) = self.rollbacks.last_mut().filter(|state| *before <= state.actions.len())
                {
                    let idle = vec![ActionState::default(); actions.len()];
                    state.actions.splice(before..before, actions.iter().cloned());
                    state.work.actions.splice(before..before, idle);
                }
            }
            RunEvent::RollbackRemarked { action, remark, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.remarks.push(remark.clone());
                    let action = action.and_then(|index| state.work.actions.get_mut(index));
                    if let Some(action) = action.filter(|action| action.status != ActionStatus::Done) {
                        action.status = ActionStatus::PassedOver;
                    }
                }
            }
            RunEvent::RollbackLate { .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.late = true;
                }
            }
            RunEvent::RollbackStopped { reason, cause, .. } => {
                if let Some(state) = self.rollbacks.last_mut() {
                    state.stopped = Some(Stopped { cause: *cause, reason: reason.clone() });
                }
            }
            RunEvent::RollbackRetried { procedure, attempt, .. } => {
                // Where all was done and traffic is not back all the same, what brings it back is due again.
                let again = self.rollbacks.last().map(|state| {
                    let at = |action| ActionRef {
                        place: Place::Rollback { procedure: procedure.clone() },
                        attempt: state.work.attempt,
                        action,
                    };
                    let acts = 0..state.work.actions.len();
                    acts.map(|action| state.work.acted() && self.brings_back(&at(action))).collect::<Vec<_>>()
                });
                if let Some(state) = self.rollbacks.last_mut() {
                    state.stopped = None;
                    self.finished = None;
                    state.work.attempt = *attempt;
                    for (action, again) in state.work.actions.iter_mut().zip(again.unwrap_or_default()) {
                        if again || action.status != ActionStatus::Done {
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

    fn with_lock(&mut self, change: impl FnOnce(&mut LockHeld)) {
        if let Some(lock) = &mut self.lock {
            change(lock);
        }
    }

    fn seat(&mut self, who: &Person) {
        self.pilot = Some(who.clone());
        self.away_since = None;
        self.control_asked = None;
    }

    fn set_item(
        &mut self,
        group: usize,
        item: usize,
        status: ItemStatus,
        by: &Actor,
        note: Option<&str>,
        at: Timestamp,
    ) {
        if let Some(state) = self.items.get_mut(group).and_then(|items| items.get_mut(item)) {
            // What a person says in a check's place stays theirs; the next look that finds it out ends that.
            let asks = state.asks && by.is_person();
            *state = ItemState { status, by: Some(by.clone()), note: note.map(str::to_owned), asks, at };
        }
    }

    fn set_check(&mut self, which: &CheckRef, new: CheckState) {
        if let Some(state) = self.work_mut(&which.place).and_then(|work| work.checks.get_mut(which.check)) {
            let taken_back = (state.caught && new.status == CheckStatus::Holds).then_some(new.at);
            *state = CheckState { acknowledged: taken_back.or(state.acknowledged), ..new };
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
