//! A small runbook for tests, with one of everything, and a flight that answers the machine as a world would.

pub(crate) mod ground;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ground::Ground;

use super::{
    action::{Action, ActionKind, Capture, Confirm, Replicas, SlotRef},
    actor::Actor,
    belief::Pinned,
    check::{Check, CheckKind, Condition},
    effect::{Decision, Effect, Input},
    event::{
        ActionOutcome, ActionRef, CheckRef, Envelope, Opened, Outcome, Place, Resolution, RollbackTarget,
        RunEvent,
    },
    id::{RunId, SlotName},
    machine::Machine,
    message::{Command, Request},
    metric::{Bound, Metric, Missing, Op, Query, Sample, Unit},
    prompt::Prompt,
    run::{CheckStatus, Run, StepStatus},
    runbook::{
        Automation, Completion, Deployment, Document, Environment, Group, Incident, Item, Milestone, Notify,
        OnNoData, Part, Procedure, Runbook, Slot, Status, Step, Strategy, Target, Task, Then, Trigger,
        TriggerWatch, Var, VarSource, Window,
    },
    time::{Span, Timestamp},
    workload::{ChangedBy, Connection, SlotWorkload, Workload},
};

/// When every flight opens.
pub(crate) const START: Timestamp = Timestamp(1_795_000_000_000);

pub(crate) fn action(name: &str, kind: ActionKind) -> Action {
    Action {
        name: name.to_owned(),
        kind,
        timeout: Span::from_mins(5),
        capture: Vec::new(),
        sample: Vec::new(),
        sample_failure: Vec::new(),
        confirm: Confirm::None,
        irreversible: None,
        data_loss: None,
    }
}

pub(crate) fn sh(name: &str) -> Action {
    action(name, ActionKind::Sh { script: format!("run {name}") })
}

pub(crate) fn check(text: &str, kind: CheckKind) -> Check {
    Check {
        text: text.to_owned(),
        kind,
        timeout: Span::from_secs(60),
        interval: Span::from_secs(5),
        optional: false,
        sample: Vec::new(),
    }
}

pub(crate) fn look(text: &str) -> Check {
    check(text, CheckKind::Sh { script: "look".to_owned(), expect: None })
}

pub(crate) fn person(text: &str) -> Check {
    check(text, CheckKind::Person)
}

pub(crate) fn step(id: &str, run: Vec<Action>, check: Vec<Check>) -> Step {
    Step {
        id: id.into(),
        title: id.to_uppercase(),
        time: None,
        critical: None,
        when: None,
        confirm: Confirm::None,
        approvals: 0,
        run,
        check,
        undo: Vec::new(),
        no_undo: None,
        window: None,
        on_failure: Vec::new(),
        notes: Vec::new(),
    }
}

fn metric(id: &str, unit: Unit) -> Metric {
    Metric {
        id: id.into(),
        title: id.to_owned(),
        query: Query::Promql { source: "prometheus".to_owned(), expr: "up".to_owned() },
        per_slot: true,
        unit,
        normal: None,
        alert: None,
        action: None,
        interval: Span::from_secs(10),
    }
}

pub(crate) fn trigger(then: Then, hold_for: Span, no_data: OnNoData) -> Trigger {
    Trigger {
        reason: "error rate > 1 %".to_owned(),
        watch: Some(TriggerWatch {
            metric: "error_rate".into(),
            when: Bound { op: Op::Gt, value: 0.01 },
            hold_for,
            then,
            no_data,
        }),
    }
}

fn var(name: &str, source: VarSource) -> Var {
    Var { name: name.to_owned(), source, pattern: None, secret: false, sample: None }
}

/// Four steps to green, in the shape of the seed: migrate, deploy, switch, monitor.
pub(crate) fn runbook() -> Runbook {
    let (new, previous) = (SlotRef::New, SlotRef::Previous);
    let mut backup = sh("backup");
    backup.capture = vec![Capture { var: "BACKUP_ID".to_owned(), pattern: r"backup-id: (\S+)".to_owned() }];
    let mut restore = sh("restore");
    restore.confirm = Confirm::Type;
    let image = |name: &str, image: &str| {
        action(name, ActionKind::SetImage { slot: new.clone(), container: None, image: image.into() })
    };
    let mut migrate = step(
        "migrate",
        vec![backup, sh("apply")],
        vec![look("no pending migrations"), person("no errors in the logs")],
    );
    migrate.when = Some("migrations".to_owned());
    migrate.undo = vec![restore];
    let mut deploy = step(
        "deploy",
        vec![
            image("image", "app:$DEPLOY_VERSION"),
            action("rollout", ActionKind::Rollout { slot: new.clone() }),
        ],
        vec![check("pods ready", CheckKind::PodsReady { slot: new.clone(), at_least: 1 })],
    );
    deploy.undo = vec![image("image back", "app:v1"), sh("tidy up")];
    let mut switch = step(
        "switch",
        vec![action("switch", ActionKind::SwitchTraffic { to: new.clone(), ready: None })],
        vec![check("traffic on new", CheckKind::TrafficOn { slot: new.clone() })],
    );
    switch.confirm = Confirm::Type;
    let measured = |text: &str, id: &str, condition| {
        check(text, CheckKind::Metric { metric: id.into(), slot: None, condition })
    };
    let mut monitor = step(
        "monitor",
        Vec::new(),
        vec![
            measured("errors", "error_rate", Condition::Is(Bound { op: Op::Lt, value: 0.001 })),
            measured("rate", "transactions", Condition::WithinBaseline(0.2)),
            look("health"),
            person("no complaints"),
        ],
    );
    monitor.window = Some(Window { lasts: Span::from_mins(15) });
    Runbook {
        document: Document {
            module: "backend".to_owned(),
            title: "Backend".to_owned(),
            status: Status::Approved,
            version: "1".to_owned(),
            last_updated: "2026-11-20".to_owned(),
            author: "@ops".to_owned(),
            keywords: Vec::new(),
            related: BTreeMap::new(),
        },
        deployment: Deployment {
            environment: Environment::Production,
            strategy: Strategy::BlueGreen,
            automation: Automation::SemiAutomated,
            frequency: None,
            window: None,
            expected: None,
            rollback_within: Some(Span::from_mins(5)),
            zero_downtime: true,
            success_factors: Vec::new(),
        },
        target: Some(Target {
            context: None,
            cluster_uid: None,
            namespace: "production".to_owned(),
            service: "backend".to_owned(),
            slots: ["blue", "green"]
                .map(|name| {
                    let selector = BTreeMap::from([("version".to_owned(), name.to_owned())]);
                    (name.into(), Slot { deployment: format!("backend-{name}"), selector })
                })
                .into(),
            container: "backend".to_owned(),
        }),
        vars: vec![
            var("DEPLOY_VERSION", VarSource::Ask { question: "Which?".to_owned(), default: None }),
            var("BACKUP_ID", VarSource::Captured),
        ],
        parts: vec![Part {
            name: "migrations".to_owned(),
            question: "Migrations?".to_owned(),
            default: true,
        }],
        sources: BTreeMap::new(),
        metrics: vec![metric("error_rate", Unit::Percent), metric("transactions", Unit::PerMinute)],
        checklist: vec![Group {
            title: "Before".to_owned(),
            items: [
                (person("approved"), false),
                (look("CI has passed"), false),
                (person("cache plan"), true),
            ]
            .map(|(check, optional)| Item {
                text: check.text.clone(),
                check,
                optional,
                valid_for: Span::from_mins(30),
            })
            .into(),
        }],
        steps: vec![migrate, deploy, switch, monitor],
        completion: Completion { run: vec![sh("log")], check: vec![look("logged")] },
        rollbacks: vec![
            Procedure {
                ready: Vec::new(),
                id: "quick".into(),
                title: "Quick".to_owned(),
                within: None,
                only: None,
                run: vec![
                    action("switch back", ActionKind::SwitchTraffic { to: previous.clone(), ready: None }),
                    action(
                        "scale down",
                        ActionKind::Scale { slot: new.clone(), replicas: Replicas::Count(0) },
                    ),
                ],
                check: vec![
                    check("traffic is back", CheckKind::TrafficOn { slot: previous.clone() }),
                    person("users are fine"),
                ],
            },
            Procedure {
                ready: Vec::new(),
                id: "database".into(),
                title: "Database".to_owned(),
                within: None,
                only: Some("critical problems".to_owned()),
                run: vec![
                    sh("restore database"),
                    action("switch to previous", ActionKind::SwitchTraffic { to: previous, ready: None }),
                ],
                check: Vec::new(),
            },
        ],
        triggers: vec![
            trigger(Then::Countdown(Span::from_secs(30)), Span::from_mins(5), OnNoData::Hold),
            Trigger { reason: "payments fail".to_owned(), watch: None },
        ],
        tasks: [("1h", "look at the dashboards"), ("1d", "scale the old slot down")]
            .map(|(due, text)| Task { due: due.parse().unwrap(), text: text.to_owned() })
            .into(),
        incident: Some(Incident {
            channel: None,
            commander: None,
            levels: Vec::new(),
            steps: vec!["Assess".to_owned(), "Communicate".to_owned()],
            template: "INCIDENT {title} / {severity} / {started} / {impact} / {actions} / {status} / {nope}"
                .to_owned(),
        }),
        contacts: Vec::new(),
        links: Vec::new(),
        notify: Notify {
            slack: None,
            channel: None,
            on: vec![
                Milestone::Started,
                Milestone::Switched,
                Milestone::Succeeded,
                Milestone::Failed,
                Milestone::RolledBack,
            ],
        },
        changes: Vec::new(),
    }
}

/// A run of a runbook: blue has the traffic, green is next.
pub(crate) fn opened(runbook: Runbook) -> Opened {
    Opened {
        run_id: RunId("20261120-1400-abcd".to_owned()),
        cutover_version: "0.1.0".to_owned(),
        runbook_sha256: "00".to_owned(),
        runbook_path: "runbook.toml".to_owned(),
        runbook: Box::new(runbook),
        rehearsal: None,
        pilot: "ada".to_owned(),
        host: "bastion".to_owned(),
        cluster: None,
        new_slot: Some("green".into()),
        previous: Some(RollbackTarget { slot: "blue".into(), image: "app:v1".to_owned(), replicas: 3 }),
        new_slot_image: Some("app:v0".to_owned()),
        pinned: Pinned::of(&Ground::new().look(START)),
        overrides: Vec::new(),
    }
}

pub(crate) fn at_step(id: &str, attempt: u32, action: usize) -> ActionRef {
    ActionRef { place: Place::Step { step: id.into() }, attempt, action }
}

pub(crate) fn at_quick(attempt: u32, action: usize) -> ActionRef {
    ActionRef { place: Place::Rollback { procedure: "quick".into() }, attempt, action }
}

/// A cluster in which both slots have three ready pods.
pub(crate) fn workload(live: &str) -> Workload {
    let by = ChangedBy { manager: "cutover".to_owned(), at: Some(START) };
    let slot = |name: &str, image: &str| {
        let slot = SlotWorkload {
            deployment: format!("backend-{name}"),
            found: true,
            uid: name.to_owned(),
            desired: 3,
            updated: 3,
            ready: 3,
            available: 3,
            image: image.to_owned(),
            changed: Some(by.clone()),
            ..SlotWorkload::default()
        };
        (SlotName::from(name), slot)
    };
    Workload {
        slots: BTreeMap::from([slot("blue", "app:v1"), slot("green", "app:v0")]),
        selector: Some(BTreeMap::from([("version".to_owned(), live.to_owned())])),
        live: Some(live.into()),
        service_changed: Some(by.clone()),
        connection: Connection::Connected,
        as_of: START,
        ..Workload::default()
    }
}

/// A machine with everything it has said, and the rules that must hold for every word of it.
#[derive(Clone)]
pub(crate) struct Flight {
    pub(crate) machine: Machine,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<Envelope>,
    /// Everything that was wanted done, in order.
    pub(crate) effects: Vec<Effect>,
    /// Not yet done.
    pub(crate) queue: VecDeque<Effect>,
    /// The last refusal.
    pub(crate) refused: Option<String>,
    /// The target, as it is.
    pub(crate) ground: Ground,
    /// Actions by name that end so; the others succeed.
    pub(crate) outcomes: BTreeMap<String, ActionOutcome>,
    /// Actions by name that never end by themselves.
    pub(crate) hanging: BTreeSet<String>,
    /// Checks by text that do not hold.
    pub(crate) failing: BTreeSet<String>,
    /// What every metric of the new slot reads, where it is measured.
    pub(crate) error_rate: Result<f64, Missing>,
    /// The fold of the events as they come out of JSON.
    mirror: Run,
    begun: BTreeSet<ActionRef>,
    rollbacks_open: i32,
    over: bool,
}

impl Flight {
    pub(crate) fn open(runbook: Runbook) -> Self {
        let (machine, mut decision) = Machine::open(opened(runbook), START).unwrap();
        let mirror = Run::open(&decision.events[0]).unwrap();
        let mut flight = Self {
            machine,
            now: START,
            events: Vec::new(),
            effects: Vec::new(),
            queue: VecDeque::new(),
            refused: None,
            ground: Ground::new(),
            outcomes: BTreeMap::new(),
            hanging: BTreeSet::new(),
            failing: BTreeSet::new(),
            error_rate: Ok(0.0004),
            mirror,
            begun: BTreeSet::new(),
            rollbacks_open: 0,
            over: false,
        };
        flight.take(decision.clone());
        flight.answer_looks(&mut decision);
        flight
    }

    /// A flight whose steps are open.
    pub(crate) fn opened(runbook: Runbook) -> Self {
        let mut flight = Self::open(runbook);
        flight.settle();
        flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
        flight.command(Command::DecidePart { part: "migrations".to_owned(), applies: true });
        flight.command(Command::TickItem { group: 0, item: 0, note: None });
        flight.command(Command::OpenSteps { override_reason: None });
        assert_eq!(flight.refused, None);
        flight
    }

    /// A flight on which these steps have passed, or the monitored window has just opened.
    pub(crate) fn passed(runbook: Runbook, steps: usize) -> Self {
        let mut flight = Self::opened(runbook);
        flight.fly(Span::from_secs(60));
        for _ in 0..steps {
            flight.start();
            flight.tick_checks();
            flight.fly(Span::from_secs(1));
        }
        assert_eq!(flight.run().current(), Some(steps), "{:?}", flight.run().prompt(flight.now));
        flight
    }

    /// A flight inside its monitored window.
    pub(crate) fn in_window(runbook: Runbook) -> Self {
        let mut flight = Self::passed(runbook, 3);
        flight.start();
        flight.fly(Span::from_secs(20));
        assert_eq!(flight.status("monitor"), StepStatus::Checking);
        flight
    }

    pub(crate) fn run(&self) -> &Run {
        self.machine.run()
    }

    pub(crate) fn status(&self, step: &str) -> StepStatus {
        self.run().step(step).unwrap().status
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.run().finished.as_ref().map(|(outcome, ..)| *outcome)
    }

    pub(crate) fn prompt(&self) -> Prompt {
        self.run().prompt(self.now)
    }

    /// The names of all events, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.events.iter().map(|envelope| envelope.event.name()).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|found| *found == name).count()
    }

    /// The names of the actions that were begun, in order.
    pub(crate) fn acted(&self) -> Vec<String> {
        let name = |envelope: &Envelope| match &envelope.event {
            RunEvent::ActionStarted { name, .. } => Some(name.clone()),
            _ => None,
        };
        self.events.iter().filter_map(name).collect()
    }

    /// Feeds one input and checks what comes of it.
    pub(crate) fn feed(&mut self, input: Input) -> Decision {
        let mut decision = self.machine.handle(self.now, input);
        self.take(decision.clone());
        self.answer_looks(&mut decision);
        decision
    }

    /// A look takes no time here, so that what follows from it is seen in the same breath.
    fn answer_looks(&mut self, decision: &mut Decision) {
        while !self.ground.silent
            && let Some(index) = self.queue.iter().position(|effect| *effect == Effect::Observe)
        {
            self.queue.remove(index);
            let seen = match &self.ground.unreadable {
                Some(why) => Err(why.clone()),
                None => Ok(self.ground.look(self.now)),
            };
            let refused = self.refused.take();
            let more = self.machine.handle(self.now, Input::Observed(Box::new(seen)));
            self.take(more.clone());
            decision.events.extend(more.events);
            decision.effects.extend(more.effects);
            self.refused = refused.or(more.refused);
        }
    }

    pub(crate) fn command(&mut self, command: Command) -> Decision {
        self.feed(Input::Operator(Request { by: Actor::person("ada"), command }))
    }

    /// Another engine takes the run up, from its journal.
    pub(crate) fn resume(&mut self) {
        self.take_up(false);
    }

    /// … from a copy that goes so far.
    pub(crate) fn resume_copied(&mut self, events: usize) {
        self.cut(events);
        self.take_up(true);
    }

    fn take_up(&mut self, copied: bool) {
        let run = Run::fold(&self.events).unwrap();
        let (machine, mut decision) = Machine::resume(run, "bob", "bastion", copied, self.now);
        self.machine = machine;
        self.queue.clear();
        self.take(decision.clone());
        self.answer_looks(&mut decision);
    }

    /// … that was cut off after so many events.
    pub(crate) fn resume_torn(&mut self, events: usize) {
        self.cut(events);
        self.take_up(false);
    }

    fn cut(&mut self, events: usize) {
        self.events.truncate(events);
        self.mirror = Run::fold(&self.events).unwrap();
        self.rollbacks_open = i32::from(self.mirror.rolling_back().is_some());
        self.over = self.mirror.finished.is_some();
        let begun = |envelope: &Envelope| match &envelope.event {
            RunEvent::ActionStarted { at, .. } => Some(at.clone()),
            _ => None,
        };
        self.begun = self.events.iter().filter_map(begun).collect();
    }

    fn take(&mut self, decision: Decision) {
        for envelope in &decision.events {
            self.obey(envelope);
        }
        for effect in &decision.effects {
            if let Effect::StartAction(at) | Effect::StartGuarded { at, .. } = effect {
                let told = |envelope: &Envelope| matches!(&envelope.event, RunEvent::ActionStarted { at: begun, .. } if begun == at);
                assert!(decision.events.iter().any(told), "{at:?} was begun without its intent");
            }
        }
        self.refused.clone_from(&decision.refused);
        self.events.extend(decision.events);
        self.queue.extend(decision.effects.iter().cloned());
        // Looks come and go; what is wanted done is what tests are about.
        self.effects.extend(decision.effects.into_iter().filter(|effect| *effect != Effect::Observe));
        assert_eq!(&self.mirror, self.machine.run(), "the events do not fold to the machine's run");
    }

    /// What must hold for every event.
    fn obey(&mut self, envelope: &Envelope) {
        let json = serde_json::to_string(envelope).unwrap();
        let back: Envelope = serde_json::from_str(&json).unwrap();
        assert_eq!(&back, envelope, "{json}");
        let first = self.events.is_empty() && envelope.seq == 1;
        if !first {
            assert_eq!(envelope.seq, self.mirror.last_seq + 1, "{json}");
            assert!(envelope.at >= self.mirror.last_at, "{json}");
        }
        let after_end = matches!(
            envelope.event,
            RunEvent::TaskDone { .. }
                | RunEvent::ScreenJoined { .. }
                | RunEvent::ScreenLeft { .. }
                | RunEvent::ControlAsked { .. }
                | RunEvent::ControlTaken { .. }
                | RunEvent::ControlKept { .. }
                | RunEvent::NoteAdded { .. }
                | RunEvent::NoticeSent { .. }
                | RunEvent::IncidentUpdated { .. }
                | RunEvent::IncidentStepTicked { .. }
                | RunEvent::ActionFinished { .. }
                | RunEvent::ActionSpawned { .. }
                | RunEvent::ActionLooked { .. }
                | RunEvent::ActionResolved { .. }
                | RunEvent::TrafficSwitched { .. }
                | RunEvent::RollbackStarted { .. }
                | RunEvent::RollbackRetried { .. }
                | RunEvent::RunResumed { .. }
                | RunEvent::VarSet { .. }
                | RunEvent::CheckPassed { at: CheckRef { place: Place::Rollback { .. }, .. }, .. }
                | RunEvent::CheckFailed { at: CheckRef { place: Place::Rollback { .. }, .. }, .. }
        );
        assert!(!self.over || after_end, "after the end: {json}");
        match &envelope.event {
            RunEvent::ActionStarted { at, .. } => {
                let work = self.mirror.work(&at.place).unwrap();
                assert_eq!(work.running(), None, "two actions of one place at a time: {json}");
                assert_eq!(work.attempt, at.attempt, "{json}");
                assert!(self.begun.insert(at.clone()), "run twice: {json}");
            }
            RunEvent::ActionRetried { at, .. }
            | RunEvent::ActionResolved { at, resolution: Resolution::RunAgain, .. } => {
                self.begun.remove(at);
            }
            RunEvent::RollbackStarted { .. } => {
                self.rollbacks_open += 1;
                assert_eq!(self.rollbacks_open, 1, "two rollbacks at once");
                // A new rollback counts its attempts anew.
                self.begun.retain(|at| !matches!(at.place, Place::Rollback { .. }));
                self.over = false;
            }
            RunEvent::RollbackFinished { .. } => self.rollbacks_open -= 1,
            RunEvent::RollbackRetried { .. } | RunEvent::RunResumed { .. } => self.over = false,
            RunEvent::RunFinished { .. } => self.over = true,
            _ => {}
        }
        if !first {
            self.mirror.apply(&back);
        }
    }

    /// Does what the machine wants, as a world in which all goes as the flight's settings say.
    pub(crate) fn settle(&mut self) {
        while let Some(effect) = self.queue.pop_front() {
            match effect {
                Effect::StartAction(at) | Effect::StartGuarded { at, .. } => self.perform(at),
                Effect::Settle(slot) => drop(self.feed(Input::Settled { slot, fault: None })),
                Effect::Observe | Effect::Wake(_) => {}
                Effect::EndChild(at) => {
                    let pid = self.run().orphans().first().map_or(0, |(_, child)| child.pid);
                    self.feed(Input::ChildSeen { at, pid, alive: false });
                }
                Effect::CancelAction(at) => self.finish(at, ActionOutcome::Cancelled),
                Effect::LookItem { group, item } => {
                    let text = &self.run().runbook.checklist[group].items[item].text;
                    let holds = !self.failing.contains(text);
                    self.feed(Input::ItemSeen { group, item, holds, evidence: "seen".to_owned() });
                }
                Effect::Notify { milestone, text } => {
                    let milestone = Some(milestone);
                    let detail = "503".to_owned();
                    // No notice ever arrives, and nothing comes of that.
                    self.feed(Input::NoticeDone { milestone, text, ok: false, detail });
                }
                Effect::Watch(at) => self.look(&at),
                Effect::StopWatch(_) | Effect::Verify(_) | Effect::Close => {}
            }
        }
    }

    fn perform(&mut self, at: ActionRef) {
        let action = self.run().action(&at).unwrap().clone();
        if self.hanging.contains(&action.name) {
            return;
        }
        let outcome = self.outcomes.get(&action.name).copied().unwrap_or(ActionOutcome::Succeeded);
        if outcome == ActionOutcome::Succeeded {
            for capture in &action.capture {
                let (name, value) = (capture.var.clone(), Some("b-17".to_owned()));
                self.feed(Input::VarSet { name, value, source: "captured".to_owned() });
            }
        }
        self.finish(at, outcome);
    }

    pub(crate) fn finish(&mut self, at: ActionRef, outcome: ActionOutcome) {
        if outcome == ActionOutcome::Succeeded
            && let Some(action) = self.run().action(&at).cloned()
        {
            self.ground.apply(&action.kind, self.machine.run());
        }
        let detail = format!("{outcome:?}");
        self.feed(Input::ActionFinished { at, outcome, detail, took: Span::from_secs(2), output: None });
    }

    pub(crate) fn look(&mut self, at: &CheckRef) {
        let Some(check) = self.run().checks(&at.place).get(at.check) else { return };
        let holds = !self.failing.contains(&check.text);
        self.feed(Input::CheckSeen { at: at.clone(), holds, evidence: "looked".to_owned() });
    }

    /// Looks once more at every check that is being watched.
    pub(crate) fn look_again(&mut self) {
        let mut watched = BTreeSet::new();
        for effect in &self.effects {
            match effect {
                Effect::Watch(at) => {
                    watched.insert(at.clone());
                }
                Effect::StopWatch(at) => {
                    watched.remove(at);
                }
                _ => {}
            }
        }
        for at in watched {
            self.look(&at);
        }
    }

    /// Lets time pass: a tick a second, samples every ten, looks every five.
    pub(crate) fn fly(&mut self, span: Span) {
        for _ in 0..span.as_secs() {
            self.now = self.now + Span::from_secs(1);
            let second = self.now.since(START).as_secs();
            if second.is_multiple_of(10) {
                self.samples();
            }
            if second.is_multiple_of(5) {
                self.look_again();
            }
            self.feed(Input::Tick);
            self.settle();
        }
    }

    /// One round of samples, now.
    pub(crate) fn samples(&mut self) {
        let live = self.run().switched_at.map_or("blue", |_| "green");
        for slot in ["blue", "green"] {
            let (errors, rate) = match (slot == live, &self.error_rate) {
                (true, Ok(value)) => (Ok(*value), Ok(2300.0)),
                (true, Err(why)) => (Err(why.clone()), Err(why.clone())),
                (false, _) => (Ok(0.0), Ok(0.0)),
            };
            self.sample("error_rate", slot, errors);
            self.sample("transactions", slot, rate);
        }
    }

    pub(crate) fn sample(&mut self, metric: &str, slot: &str, value: Result<f64, Missing>) {
        let (metric, slot, at) = (metric.into(), Some(slot.into()), self.now);
        self.feed(Input::Sample(Sample { metric, slot, at, value }));
    }

    /// Presses Enter on the step that is due, typing what it asks for.
    pub(crate) fn start(&mut self) {
        let (step, attempt, typed) = match self.prompt() {
            Prompt::Start { step, attempt, word, .. } => {
                (Some(self.run().runbook.steps[step].id.clone()), attempt, Some(word))
            }
            Prompt::Complete => (None, 1, None),
            other => panic!("nothing to start: {other:?}"),
        };
        self.command(Command::Start { step, attempt, typed });
        assert_eq!(self.refused, None);
        self.settle();
    }

    /// Says yes to every open check of a person's.
    pub(crate) fn tick_checks(&mut self) {
        let Some(place) = self.run().current_place() else { return };
        let Some(work) = self.run().work(&place).filter(|work| work.attempt > 0 && work.acted()) else {
            return;
        };
        let open: Vec<usize> = (self.run().checks(&place).iter().zip(&work.checks).enumerate())
            .filter(|(_, (check, state))| check.kind.is_person() && state.status != CheckStatus::Holds)
            .map(|(index, _)| index)
            .collect();
        let step = match &place {
            Place::Step { step } => Some(step.clone()),
            _ => None,
        };
        let attempt = self.run().work(&place).unwrap().attempt;
        for check in open {
            self.command(Command::TickCheck { step: step.clone(), attempt, check, holds: true, note: None });
            assert_eq!(self.refused, None);
        }
        self.settle();
    }

    /// A cluster's picture comes in.
    pub(crate) fn picture(&mut self, workload: Workload) {
        self.ground.take(&workload);
        self.feed(Input::Workload(Box::new(workload)));
    }
}
