//! A payment system's deployment from blue to green, told event by event.
//!
//! Longer than 500 lines because each state of the story stands on the one before it.

use std::collections::BTreeMap;

use ratatui::{buffer::Buffer, layout::Rect};

use super::measured::Measured;
use crate::{
    config::keymap::{Key, KeyCode},
    domain::{
        actor::Actor,
        check::CheckKind,
        event::{
            ActionOutcome, ActionRef, CheckRef, Envelope, Opened, Outcome, Place, RollbackTarget, RunEvent,
        },
        fixture::payment,
        id::{MetricId, QUICK, SlotName, StepId, UNDO},
        message::{Command, Update},
        metric::Sample,
        run::Run,
        runbook::Runbook,
        safe_text::{SafeText, Style16, StyledLine},
        time::{Span, Timestamp},
        workload::{
            Access, ClusterIdentity, Connection, LogLine, Pod, RolloutState, SlotWorkload, WarningEvent,
            Workload,
        },
    },
    tui::{
        input::Input,
        model::{Model, ScreenOptions},
        msg::{Effect, Msg},
        offer,
        update::update,
        view::{self, text_of},
    },
};

/// 14:00:00 UTC on a Friday.
pub(super) const START: Timestamp = Timestamp(1_795_183_200_000);

/// Why the trigger has fired, in the words that the engine has for it.
const FIRED: &str = "error rate > 1 % for 5m (measured: 1.42 % for 5:00)";

/// A story told to a model.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) model: Model,
    pub(super) measured: Measured,
    seq: u64,
    /// All it was told, and when.
    pub(super) log: Vec<(Timestamp, Update)>,
}

impl Told {
    /// A run that has just been opened in production.
    pub(super) fn opened() -> Self {
        Self::opened_with(payment(), None)
    }

    pub(super) fn opened_with(runbook: Runbook, rehearsal: Option<&str>) -> Self {
        let options = ScreenOptions::default();
        let mut told =
            Self { model: Model::new(options), measured: Measured::default(), seq: 1, log: Vec::new() };
        let image = "registry.example.com/payment-system-backend:v1.5.0".to_owned();
        let opened = Opened {
            run_id: crate::domain::id::RunId("20261120-140000-abcd".to_owned()),
            cutover_version: "0.1.0".to_owned(),
            runbook_sha256: "0".repeat(64),
            runbook_path: "runbook.toml".to_owned(),
            runbook: Box::new(runbook),
            rehearsal: rehearsal.map(str::to_owned),
            pilot: "alice".to_owned(),
            host: "bastion".to_owned(),
            cluster: Some(ClusterIdentity {
                context: "prod-eu-1".to_owned(),
                namespace: "production".to_owned(),
                ..ClusterIdentity::default()
            }),
            new_slot: Some("green".into()),
            previous: Some(RollbackTarget {
                slot: "blue".into(),
                image: image.clone(),
                replicas: 3,
                hash: None,
                revision: None,
            }),
            new_slot_image: Some(image.clone()),
            pinned: None,
            overrides: Vec::new(),
        };
        let envelope = Envelope { seq: 1, at: START, event: RunEvent::RunOpened(opened) };
        told.tell(Update::Backlog {
            events: vec![envelope],
            now: START,
            run_dir: "/var/lib/cutover/20261120-140000-abcd".to_owned(),
        });
        told.workload(|_| {});
        told.after(
            0,
            RunEvent::VarSet {
                name: "PREVIOUS_VERSION".to_owned(),
                value: Some("v1.5.0".to_owned()),
                source: "cluster".to_owned(),
            },
        );
        told.tell(Update::Access {
            access: Access {
                patch_service: Some(true),
                patch_deployments: Some(true),
                missing: Vec::new(),
                at: START,
            },
        });
        told
    }

    pub(super) fn tell(&mut self, message: Update) -> Vec<Effect> {
        self.log.push((self.model.now, message.clone()));
        let before = self.model.now;
        // Here time passes as the engine's does.
        if let Update::Tick { now } | Update::Event { envelope: Envelope { at: now, .. } } = &message
            && before != Timestamp::default()
        {
            self.model.real = self.model.real.saturating_add(now.since(before));
        }
        update(&mut self.model, Msg::Update(Box::new(message)))
    }

    /// An event, a number of seconds after the last.
    pub(super) fn after(&mut self, seconds: u64, event: RunEvent) -> Vec<Effect> {
        self.seq += 1;
        let at = self.model.now + Span::from_secs(seconds);
        self.tell(Update::Event { envelope: Envelope { seq: self.seq, at, event } })
    }

    /// Time passes.
    pub(super) fn wait(&mut self, seconds: u64) {
        let now = self.model.now + Span::from_secs(seconds);
        self.tell(Update::Tick { now });
    }

    /// What a person sees, then presses.
    pub(super) fn press(&mut self, key: Key) -> Vec<Effect> {
        self.look();
        update(&mut self.model, Msg::Input(Input::Key(key)))
    }

    pub(super) fn keys(&mut self, keys: &str) -> Vec<Effect> {
        keys.chars().flat_map(|c| self.press(Key::char(c))).collect()
    }

    pub(super) fn enter(&mut self) -> Vec<Effect> {
        self.press(Key::named(KeyCode::Enter))
    }

    pub(super) fn esc(&mut self) -> Vec<Effect> {
        self.press(Key::named(KeyCode::Esc))
    }

    /// A frame was drawn.
    pub(super) fn look(&mut self) {
        self.model.shown = offer::shown(&self.model);
    }

    pub(super) fn run(&self) -> &Run {
        self.model.run.as_ref().unwrap()
    }

    /// The screen at a size.
    pub(super) fn buffer(&mut self, width: u16, height: u16) -> Buffer {
        self.model.size = (width, height);
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        view::draw(&self.model, &mut buffer);
        self.look();
        buffer
    }

    /// The screen's text at a size.
    pub(super) fn screen(&mut self, width: u16, height: u16) -> String {
        text_of(&self.buffer(width, height))
    }

    // --- the cluster ---

    pub(super) fn workload(&mut self, change: impl FnOnce(&mut Workload)) {
        let now = self.model.now;
        let slot = |name: &str| {
            let pods = ["2xk4p", "8qd9s", "m7wzt"].map(|tail| Pod {
                name: format!("backend-{name}-{}-{tail}", if name == "green" { "7f9c5d" } else { "5b8d4f" }),
                status: "Running".to_owned(),
                ready: true,
                containers_ready: 1,
                containers: 1,
                restarts: 0,
                created: START - Span::from_mins(90),
                version: "v1.5.0".to_owned(),
                bad: false,
            });
            SlotWorkload {
                deployment: format!("backend-{name}"),
                found: true,
                desired: 3,
                updated: 3,
                ready: 3,
                available: 3,
                image: "registry.example.com/payment-system-backend:v1.5.0".to_owned(),
                rollout: RolloutState::Complete,
                pods: pods.to_vec(),
                counts: BTreeMap::from([("Running".to_owned(), 3)]),
                ..SlotWorkload::default()
            }
        };
        let mut workload = self.model.telemetry.workload.clone().unwrap_or_else(|| Workload {
            slots: ["blue", "green"].map(|name| (SlotName::from(name), slot(name))).into(),
            selector: Some(BTreeMap::from([("version".to_owned(), "blue".to_owned())])),
            live: Some("blue".into()),
            connection: Connection::Connected,
            ..Workload::default()
        });
        workload.as_of = now;
        change(&mut workload);
        self.tell(Update::Workload { workload: Box::new(workload) });
    }

    /// GREEN's pods have this version, and are this old.
    fn green_runs(&mut self, version: &str, age: Span) {
        let created = self.model.now - age;
        self.workload(|workload| {
            let green = workload.slots.get_mut("green").unwrap();
            green.image = format!("registry.example.com/payment-system-backend:{version}");
            for pod in &mut green.pods {
                pod.version = version.to_owned();
                pod.created = created;
            }
        });
    }

    pub(super) fn traffic_on(&mut self, slot: &str) {
        self.workload(|workload| workload.live = Some(slot.into()));
    }

    pub(super) fn sample(&mut self, metric: &str, slot: Option<&str>, values: &[f64]) {
        let now = self.model.now;
        let samples = values.iter().enumerate().map(|(n, value)| Sample {
            metric: metric.into(),
            slot: slot.map(SlotName::from),
            at: now - Span::from_secs(5 * (values.len() - 1 - n) as u64) - Span::from_secs(1),
            value: Ok(*value),
            counts: None,
        });
        let samples = samples.collect();
        self.tell(Update::Samples { samples, backfill: false });
    }

    // --- the run ---

    pub(super) fn answered(&mut self) {
        self.after(
            3,
            RunEvent::VarSet {
                name: "DEPLOY_VERSION".to_owned(),
                value: Some("v1.6.0".to_owned()),
                source: "asked".to_owned(),
            },
        );
        self.after(
            2,
            RunEvent::PartDecided {
                part: "migrations".to_owned(),
                applies: true,
                by: Actor::person("alice"),
            },
        );
    }

    /// All items ticked but the last ones of a person.
    pub(super) fn ticked(&mut self, but: usize) {
        let items: Vec<_> = self.model.items().collect();
        let count = items.len();
        for (n, (group, item)) in items.into_iter().enumerate() {
            if n + but >= count {
                break;
            }
            let declared = &self.run().runbook.checklist[group].items[item];
            let (by, note) = match &declared.check.kind {
                CheckKind::Person => (Actor::person("alice"), None),
                CheckKind::Tls { .. } => (Actor::Auto, Some("expires 2027-02-11, 81 days left".to_owned())),
                _ => (Actor::Auto, Some("as expected".to_owned())),
            };
            let text = declared.text.clone();
            self.after(1, RunEvent::ItemTicked { group, item, text, by, note });
        }
    }

    pub(super) fn started(&mut self, step: &str, attempt: u32) {
        self.after(2, RunEvent::StepStarted { step: step.into(), attempt, by: Actor::person("alice") });
    }

    pub(super) fn at(step: &str, attempt: u32, action: usize) -> ActionRef {
        ActionRef { place: Place::Step { step: step.into() }, attempt, action }
    }

    pub(super) fn acts(&mut self, at: ActionRef) {
        let action = self.run().action(&at).unwrap().clone();
        let does = self.run().action_text(&action);
        self.after(0, RunEvent::ActionStarted { at, name: action.name, does });
    }

    pub(super) fn acted(&mut self, at: ActionRef, outcome: ActionOutcome, seconds: u64, detail: &str) {
        let started = self.run().work(&at.place).and_then(|work| work.actions[at.action].started_at);
        let took = (self.model.now + Span::from_secs(seconds)).since(started.unwrap_or(self.model.now));
        self.after(
            seconds,
            RunEvent::ActionFinished { at, outcome, detail: detail.to_owned(), took, output: None },
        );
    }

    pub(super) fn passes(&mut self, step: &str, seconds: u64) {
        self.begins(step, seconds);
        self.checked(step);
    }

    /// All actions of a step are done. Each takes what its kind takes on a real cluster; people take the rest.
    fn begins(&mut self, step: &str, seconds: u64) {
        self.started(step, 1);
        let took: &[u64] = match step {
            "prepare" | "switch" | "retire" => &[1],
            "migrate" => &[84, 84],
            "deploy" => &[70, 1, 141],
            _ => &[seconds],
        };
        let actions = self.run().declared(step).unwrap().run.len();
        for (index, took) in took.iter().enumerate().take(actions) {
            let at = Self::at(step, 1, index);
            self.acts(at.clone());
            self.acted(at, ActionOutcome::Succeeded, *took, "");
        }
        let acted = took.iter().take(actions).sum();
        self.wait(seconds.saturating_sub(acted));
    }

    /// All checks of a step pass, and with them the step.
    fn checked(&mut self, step: &str) {
        self.all_hold(Place::Step { step: step.into() });
        self.after(1, RunEvent::StepPassed { step: step.into(), attempt: 1 });
    }

    /// All checks of a place that are open pass.
    fn all_hold(&mut self, place: Place) {
        let checks = self.run().checks(&place).to_vec();
        for (check, declared) in checks.iter().enumerate() {
            let by = if declared.kind.is_person() { Actor::person("alice") } else { Actor::Auto };
            let (text, evidence) = (declared.text.clone(), "as expected".to_owned());
            let at = CheckRef { place: place.clone(), attempt: 1, check };
            self.after(0, RunEvent::CheckPassed { at, text, evidence, by, skipped: false });
        }
    }

    /// The migration's backup is known by its name.
    fn backed_up(&mut self) {
        self.after(
            0,
            RunEvent::VarSet {
                name: "BACKUP_ID".to_owned(),
                value: Some("2026-11-20-1400".to_owned()),
                source: "captured".to_owned(),
            },
        );
    }

    pub(super) fn prints(&mut self, at: ActionRef, lines: &[(Option<u8>, &str)]) {
        let lines = lines
            .iter()
            .map(|(fg, text)| StyledLine {
                spans: vec![(Style16 { fg: *fg, ..Style16::default() }, SafeText::new(text))],
            })
            .collect();
        self.tell(Update::Output { at, lines, partial: None, dropped: 0 });
    }

    pub(super) fn watching(&mut self, step: Option<&str>, check: usize, holds: bool, evidence: &str) {
        self.tell(Update::Watching {
            step: step.map(StepId::from),
            check,
            holds,
            evidence: evidence.to_owned(),
        });
    }

    /// The checklist with some items to go.
    pub(super) fn in_checklist() -> Self {
        let mut told = Self::opened();
        told.healthy("blue");
        told.answered();
        told.ticked(3);
        told.wait(12);
        told.healthy("blue");
        told
    }

    /// The first step waits.
    pub(super) fn at_first_step() -> Self {
        let mut told = Self::in_checklist();
        told.ticked(0);
        told.after(4, RunEvent::ChecklistPassed { by: Actor::person("alice") });
        told.healthy("blue");
        told
    }

    /// GREEN is being rolled out.
    pub(super) fn deploying() -> Self {
        let mut told = Self::at_first_step();
        told.passes("prepare", 21);
        told.passes("migrate", 168);
        told.backed_up();
        told.started("deploy", 1);
        let at = |index| Self::at("deploy", 1, index);
        told.acts(at(0));
        told.prints(
            at(0),
            &[
                (None, "#1 [internal] load build definition"),
                (Some(6), "#5 RUN npm ci"),
                (Some(2), "#9 DONE 48.1s"),
                (None, "v1.6.0: digest: sha256:4be1f0 size: 1786"),
            ],
        );
        told.acted(at(0), ActionOutcome::Succeeded, 70, "");
        told.acts(at(1));
        told.acted(at(1), ActionOutcome::Succeeded, 1, "");
        told.acts(at(2));
        told.prints(at(2), &[(None, "3 of 3 pods updated"), (None, "waiting for 1 pod to become ready")]);
        told.green_runs("v1.6.0", Span::ZERO);
        told.workload(|workload| {
            let green = workload.slots.get_mut("green").unwrap();
            (green.updated, green.ready) = (3, 2);
            green.rollout = RolloutState::Progressing("2 of 3 ready".to_owned());
            green.pods[0].ready = false;
            green.pods[0].status = "ContainerCreating".to_owned();
        });
        told.wait(40);
        told.healthy("blue");
        told
    }

    /// The smoke tests have failed.
    pub(super) fn failed() -> Self {
        let mut told = Self::at_first_step();
        told.passes("prepare", 21);
        told.passes("migrate", 168);
        told.backed_up();
        told.passes("deploy", 212);
        told.green_runs("v1.6.0", Span::from_mins(1));
        told.started("health", 1);
        let at = Self::at("health", 1, 0);
        told.acts(at.clone());
        told.prints(
            at.clone(),
            &[
                (None, "payments: POST /charge"),
                (Some(1), "  FAIL expected 201, got 500"),
                (None, "1 of 24 failed"),
            ],
        );
        told.acted(at, ActionOutcome::Failed, 74, "exit status 1");
        let reason = "Smoke tests: exit status 1".to_owned();
        told.after(0, RunEvent::StepFailed { step: "health".into(), attempt: 1, reason });
        told.wait(9);
        told.healthy("blue");
        told
    }

    /// Before the switch.
    pub(super) fn before_switch() -> Self {
        let mut told = Self::at_first_step();
        told.passes("prepare", 21);
        told.passes("migrate", 168);
        told.backed_up();
        told.passes("deploy", 212);
        told.passes("health", 74);
        told.green_runs("v1.6.0", Span::from_secs(135));
        told.wait(9);
        told.healthy("blue");
        told
    }

    /// The window, all well, after a while.
    pub(super) fn in_window(seconds: u64) -> Self {
        Self::window(seconds, None)
    }

    /// The window after a while; GREEN fails so long after its beginning.
    fn window(seconds: u64, fails: Option<Span>) -> Self {
        let mut told = Self::before_switch();
        told.begins("switch", 5);
        told.healthy("blue");
        told.after(0, RunEvent::TrafficSwitched { from: "blue".into(), to: "green".into() });
        told.after(
            0,
            RunEvent::BaselineRecorded {
                values: BTreeMap::from([("transactions".to_owned(), 2300.0)]),
                short: BTreeMap::new(),
            },
        );
        told.traffic_on("green");
        told.checked("switch");
        told.started("watch", 1);
        if let Some(fails) = fails {
            told.green_fails(told.model.now + fails);
        }
        told.after(
            0,
            RunEvent::WindowOpened { step: "watch".into(), attempt: 1, lasts: Span::from_mins(15) },
        );
        told.after(
            seconds,
            RunEvent::WindowAdvanced { step: "watch".into(), watched: Span::from_secs(seconds) },
        );
        told.healthy("green");
        let seen = ["0.04 %", "143 ms", "98 % of before", "99.5 %"];
        for (check, evidence) in seen.iter().enumerate() {
            told.watching(Some("watch"), check, true, evidence);
        }
        told
    }

    /// The window, the error rate above its bound for a while.
    pub(super) fn in_breach() -> Self {
        let mut told = Self::window(180, Some(Span::from_mins(3)));
        let since = told.model.now;
        let reason = "error rate 1.08 %".to_owned();
        told.after(
            0,
            RunEvent::TriggerBreaching {
                trigger: 0,
                reason,
                metric: MetricId::from("error_rate"),
                value: 0.0108,
                since,
            },
        );
        told.after(219, RunEvent::WindowAdvanced { step: "watch".into(), watched: Span::from_secs(399) });
        told.wait(1);
        told.healthy("green");
        told.watching(Some("watch"), 0, false, "1.4 %");
        let now = told.model.now;
        told.workload(|workload| {
            let green = workload.slots.get_mut("green").unwrap();
            green.ready = 2;
            let pod = &mut green.pods[0];
            (pod.ready, pod.bad, pod.restarts) = (false, true, 3);
            pod.status = "CrashLoopBackOff".to_owned();
            let object = format!("pod/{}", pod.name);
            workload.warnings = vec![WarningEvent {
                object,
                reason: "BackOff".to_owned(),
                message: "Back-off restarting failed container backend".to_owned(),
                count: 4,
                at: now - Span::from_secs(12),
            }];
        });
        told
    }

    /// The countdown runs.
    pub(super) fn counting_down() -> Self {
        let mut told = Self::in_breach();
        told.after(80, RunEvent::TriggerFired { trigger: 0, reason: FIRED.to_owned() });
        let ends_at = told.model.now + Span::from_secs(30);
        told.after(0, RunEvent::CountdownStarted { trigger: 0, ends_at });
        told.after(0, RunEvent::WindowAdvanced { step: "watch".into(), watched: Span::from_secs(480) });
        told.wait(7);
        told.healthy("green");
        told
    }

    /// The rollback runs: traffic is back, GREEN is being scaled down.
    pub(super) fn rolling_back() -> Self {
        let mut told = Self::counting_down();
        let workload = told.model.telemetry.workload.clone();
        let plan = told.run().rollback_plan(workload.as_ref(), told.model.now);
        told.after(
            23,
            RunEvent::RollbackStarted {
                procedure: plan.procedure.unwrap(),
                reason: FIRED.to_owned(),
                by: Actor::Trigger,
                actions: plan.actions,
                undo: plan.undo,
                within: plan.within,
            },
        );
        let at =
            |action| ActionRef { place: Place::Rollback { procedure: QUICK.into() }, attempt: 1, action };
        told.acts(at(0));
        told.acted(at(0), ActionOutcome::Succeeded, 1, "");
        told.healthy("green");
        told.after(0, RunEvent::TrafficSwitched { from: "green".into(), to: "blue".into() });
        told.traffic_on("blue");
        told.acts(at(1));
        told.acted(at(1), ActionOutcome::Succeeded, 0, "");
        told.acts(at(2));
        told.wait(1);
        told.workload(|workload| {
            let green = workload.slots.get_mut("green").unwrap();
            green.desired = 0;
            for pod in &mut green.pods {
                (pod.status, pod.bad) = ("Terminating".to_owned(), false);
            }
        });
        told.healthy("blue");
        told
    }

    /// Rolled back and over.
    pub(super) fn rolled_back() -> Self {
        let mut told = Self::rolling_back();
        let at =
            |action| ActionRef { place: Place::Rollback { procedure: QUICK.into() }, attempt: 1, action };
        told.acted(at(2), ActionOutcome::Succeeded, 1, "");
        for (check, evidence) in [(0, "backend-service selects blue"), (1, "0.05 %")] {
            let text = told.run().checks(&at(0).place)[check].text.clone();
            let at = CheckRef { place: at(0).place, attempt: 1, check };
            let evidence = evidence.to_owned();
            told.after(1, RunEvent::CheckPassed { at, text, evidence, by: Actor::Auto, skipped: false });
        }
        let took = told.model.now.since(told.run().rolling_back().unwrap().started_at);
        told.after(
            0,
            RunEvent::RollbackFinished {
                procedure: QUICK.into(),
                ok: true,
                detail: "traffic is on blue".to_owned(),
                took,
                within: Some(Span::from_mins(5)),
            },
        );
        told.after(0, RunEvent::RunFinished { outcome: Outcome::RolledBack, detail: FIRED.to_owned() });
        told.workload(|workload| {
            workload.warnings.clear();
            let green = workload.slots.get_mut("green").unwrap();
            (green.desired, green.ready, green.updated) = (0, 0, 0);
            green.pods.clear();
        });
        told.healthy("blue");
        told
    }

    /// Undoing before the switch.
    pub(super) fn undoing() -> Self {
        let mut told = Self::failed();
        let plan = told.run().rollback_plan(None, told.model.now);
        told.after(
            5,
            RunEvent::RollbackStarted {
                procedure: UNDO.into(),
                reason: "operator's decision".to_owned(),
                by: Actor::person("alice"),
                actions: Vec::new(),
                undo: plan.undo,
                within: plan.within,
            },
        );
        told.after(
            0,
            RunEvent::UndoStarted { step: "deploy".into(), attempt: 1, by: Actor::person("alice") },
        );
        let at = ActionRef { place: Place::Undo { step: "deploy".into() }, attempt: 1, action: 0 };
        told.acts(at);
        told.wait(2);
        told
    }

    /// All done, tasks left.
    pub(super) fn finished() -> Self {
        let mut told = Self::in_window(890);
        told.after(10, RunEvent::WindowAdvanced { step: "watch".into(), watched: Span::from_mins(15) });
        told.checked("watch");
        told.passes("retire", 4);
        told.after(1, RunEvent::CompletionStarted { attempt: 1, by: Actor::person("alice") });
        let at = ActionRef { place: Place::Completion, attempt: 1, action: 0 };
        told.acts(at.clone());
        told.acted(at, ActionOutcome::Succeeded, 3, "");
        told.all_hold(Place::Completion);
        for (task, declared) in payment().tasks.into_iter().enumerate() {
            let due_at = told.model.now + declared.due;
            told.after(0, RunEvent::TaskCreated { task, text: declared.text, due_at });
        }
        told.after(
            0,
            RunEvent::RunFinished {
                outcome: Outcome::Succeeded,
                detail: "v1.6.0 has all the traffic".to_owned(),
            },
        );
        told.workload(|workload| {
            let blue = workload.slots.get_mut("blue").unwrap();
            (blue.desired, blue.ready, blue.updated) = (0, 0, 0);
            blue.pods.clear();
        });
        told.healthy("green");
        told
    }

    pub(super) fn logs(&mut self) {
        let pods: Vec<String> = self.model.telemetry.workload.as_ref().unwrap().slots["green"]
            .pods
            .iter()
            .map(|pod| pod.name.clone())
            .collect();
        let lines = (0..60)
            .map(|n| LogLine {
                pod: pods[n % pods.len()].clone(),
                at: Some(self.model.now - Span::from_secs(60 - n as u64)),
                text: if n % 11 == 3 {
                    format!("ERROR charge {n} failed: gateway timeout")
                } else {
                    format!("INFO POST /charge 201 in {} ms", 40 + n)
                },
            })
            .collect();
        self.tell(Update::Logs { slot: "green".into(), lines: Ok(lines) });
    }
}

/// The commands among effects.
pub(super) fn sent(effects: Vec<Effect>) -> Vec<Command> {
    effects
        .into_iter()
        .filter_map(|effect| match effect {
            // An open dialog keeps a look at hand: no wish of anybody's.
            Effect::Send(Command::KeepLooking | Command::Reconsider { .. }) => None,
            Effect::Send(command) => Some(command),
            _ => None,
        })
        .collect()
}
