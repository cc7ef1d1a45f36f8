//! Traffic never goes to nowhere, whatever happens: histories of operators, strangers, autoscalers, crashes, slow looks and
//! lost or late writes, at random, against a target that counts every one of our writes when it arrives.
//!
//! What must hold for each write of ours, at the moment when it takes effect, unless somebody else has changed the target
//! since the look that allowed it:
//! - a switch gives the traffic to a slot that has ready pods;
//! - what takes pods away never concerns the slot that has the traffic, and leaves somebody who serves.
//!
//! And at the end of every history, once strangers rest and all pods have come up: a run that says that it has succeeded or
//! rolled back does not leave a Service without ready pods while any slot has some.

use std::collections::BTreeMap;

use serde_json::json;

use super::random::{answer, obey};
use crate::domain::{
    action::{Action, ActionKind, PatchAction, PatchType, Replicas, SlotRef},
    cause::HoldCause,
    effect::{Effect, Input},
    event::{ActionOutcome, ActionRef, Outcome, Place, Resolution},
    fixture::{Flight, action, runbook, trigger},
    id::SlotName,
    message::Command,
    observation::{Approach, Autoscaler, Observation},
    prompt::Prompt,
    runbook::{OnNoData, Runbook, Then, Window},
    time::{Span, Timestamp},
};

/// Histories of one run of the tests; `CUTOVER_HISTORIES` says otherwise. One alone, by its number: `CUTOVER_HISTORY`.
const HISTORIES: u64 = 400;
/// Things that happen in one history before strangers rest.
const HAPPENINGS: usize = 120;

/// A write of ours on its way.
struct Write {
    at: ActionRef,
    kind: ActionKind,
    approach: Option<Approach>,
    /// The object's version that it carries: it takes effect on no other.
    expects: u64,
    applied: bool,
    answered: bool,
}

/// The object that a write is for: a slot, or the Service.
type Object = Option<SlotName>;

struct World {
    flight: Flight,
    rng: fastrand::Rng,
    versions: BTreeMap<Object, u64>,
    /// Counts every change of the target.
    stamp: u64,
    /// The stamp and the time of the last change that was not ours.
    foreign: (u64, Timestamp),
    writes: Vec<Write>,
    /// When each look began that has not come yet.
    looks: Vec<Timestamp>,
    /// Whether calls fail and answers get lost.
    fails: bool,
    told: Vec<String>,
}

impl World {
    fn new(beginnings: &[Flight], seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut flight = beginnings[rng.usize(0..beginnings.len())].clone();
        flight.ground.silent = true;
        for slot in flight.ground.slots.values_mut() {
            slot.follows = false;
        }
        flight.queue.clear();
        let now = flight.now;
        Self {
            flight,
            rng,
            versions: BTreeMap::new(),
            stamp: 0,
            foreign: (0, now),
            writes: Vec::new(),
            looks: Vec::new(),
            fails: true,
            told: Vec::new(),
        }
    }

    fn tell(&mut self, what: impl Into<String>) {
        let at = self.flight.now.clock();
        self.told.push(format!("{at} {}", what.into()));
    }

    fn fail(&self, why: &str) -> ! {
        let ground = &self.flight.ground;
        panic!("{why}\n{}\nselector {:?}, slots {:#?}", self.told.join("\n"), ground.selector, ground.slots)
    }

    fn changed(&mut self, object: Object, ours: bool) {
        self.stamp += 1;
        *self.versions.entry(object).or_default() += 1;
        if !ours {
            self.foreign = (self.stamp, self.flight.now);
        }
    }

    fn version(&self, object: &Object) -> u64 {
        self.versions.get(object).copied().unwrap_or_default()
    }

    fn pass_time(&mut self, span: Span) {
        self.flight.now = self.flight.now + span;
    }

    // --- what the machine wants ------------------------------------------------------------------------------------

    fn take_effects(&mut self) {
        while let Some(index) = self.flight.queue.iter().position(|effect| {
            matches!(effect, Effect::Observe | Effect::StartGuarded { .. } | Effect::StartAction(_))
        }) {
            match self.flight.queue.remove(index) {
                Some(Effect::Observe) => self.looks.push(self.flight.now),
                Some(Effect::StartGuarded { at, approach }) => self.send(at, Some(*approach)),
                Some(Effect::StartAction(at)) => self.send(at, None),
                _ => {}
            }
        }
    }

    fn send(&mut self, at: ActionRef, approach: Option<Approach>) {
        let Some(action) = self.flight.run().action(&at).cloned() else { return };
        let Some(object) = self.flight.run().writes_to(&at) else {
            // A command, a wait, a notice: it does not concern the target here.
            self.flight.queue.push_back(Effect::StartAction(at));
            let effect = self.flight.queue.pop_back();
            if let Some(effect) = effect {
                self.ordinary(effect);
            }
            return;
        };
        self.tell(format!("sent: {}", action.name));
        let expects = self.version(&object);
        self.writes.push(Write { at, kind: action.kind, approach, expects, applied: false, answered: false });
    }

    fn ordinary(&mut self, effect: Effect) {
        let how = if self.fails { self.rng.u8(..) } else { 7 };
        answer(&mut self.flight, effect, how);
    }

    fn observation(&self, began: Timestamp) -> Observation {
        let mut seen = self.flight.ground.look(began);
        if let Some(service) = &mut seen.service {
            service.version = self.stamp.to_string();
        }
        seen
    }

    fn answer_look(&mut self) {
        if self.looks.is_empty() {
            return;
        }
        let began = self.looks.remove(self.rng.usize(0..self.looks.len()));
        let result = if self.fails && self.rng.u8(0..6) == 0 {
            Err("no answer".to_owned())
        } else {
            Ok(self.observation(began))
        };
        self.flight.feed(Input::Observed(Box::new(result)));
    }

    // --- writes ----------------------------------------------------------------------------------------------------

    fn write_happens(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let index = self.rng.usize(0..self.writes.len());
        if !self.writes[index].applied && self.rng.u8(0..4) != 0 {
            self.arrive(index);
        }
        if self.writes[index].answered {
            // Its engine has given it up; whatever becomes of it nobody hears.
            if self.writes[index].applied || self.rng.bool() {
                self.writes.remove(index);
            }
            return;
        }
        let how = if self.fails { self.rng.u8(0..8) } else { 7 };
        let (at, applied) = (self.writes[index].at.clone(), self.writes[index].applied);
        let outcome = match (applied, how) {
            (_, 0 | 1) => ActionOutcome::Unknown,
            (true, _) => ActionOutcome::Succeeded,
            (false, 2) => ActionOutcome::Failed,
            // Refused by its version, or never sent.
            (false, _) => ActionOutcome::Unavailable,
        };
        self.tell(format!("answered: {at:?}: {outcome:?}"));
        match outcome {
            // It may still arrive.
            ActionOutcome::Unknown => self.writes[index].answered = true,
            _ => drop(self.writes.remove(index)),
        }
        let detail = "answer".to_owned();
        self.flight.feed(Input::ActionFinished { at, outcome, detail, took: Span::ZERO, output: None });
    }

    /// A write reaches the API server: it takes effect on the version that it carries, and on no other.
    fn arrive(&mut self, index: usize) {
        let write = &self.writes[index];
        let run = self.flight.run();
        let Some(object) = run.writes_to(&write.at) else { return };
        if self.version(&object) != write.expects {
            return;
        }
        let seen = write.approach.as_ref().and_then(|approach| approach.seen.service.as_ref());
        let seen_stamp: u64 = seen.and_then(|service| service.version.parse().ok()).unwrap_or(u64::MAX);
        let undisturbed = write.approach.is_some() && self.foreign.0 <= seen_stamp;
        let quick =
            !matches!(&write.at.place, Place::Rollback { procedure } if procedure.as_str() != "quick");
        let kind = write.kind.clone();
        let mut after = self.flight.ground.clone();
        if let Some(selector) = write.approach.as_ref().and_then(|approach| approach.selector.clone()) {
            after.selector = selector;
        }
        after.apply(&kind, run);
        let before = &self.flight.ground;
        let live = before.look(Timestamp(0)).live().cloned();
        if undisturbed && quick {
            match &kind {
                ActionKind::SwitchTraffic { .. } if after.serving() == 0 => {
                    self.fail("traffic went to a slot without ready pods")
                }
                ActionKind::Patch(_) if object.is_none() && after.serving() == 0 => {
                    self.fail("a patch took the traffic to nowhere")
                }
                ActionKind::Patch(_) if object.is_some() && object == live => {
                    self.fail("a patch replaced the pods of the slot that has the traffic")
                }
                ActionKind::SetImage { .. } | ActionKind::Restart { .. } if object == live => {
                    self.fail("the slot that has the traffic got another image")
                }
                ActionKind::Scale { .. } => {
                    let slot = object.clone().unwrap();
                    let fewer = after.slots[&slot].desired < before.slots[&slot].desired;
                    if fewer && live.as_ref() == Some(&slot) {
                        self.fail("the slot that has the traffic was scaled down");
                    }
                    if fewer && before.serving() == 0 {
                        self.fail("the last pods were taken away");
                    }
                }
                _ => {}
            }
        }
        // Pods follow later; those that are too many end at once, those of an old template do not count any more.
        for (name, slot) in &mut after.slots {
            let old = &before.slots[name];
            if old.image != slot.image {
                (slot.ready, slot.observed) = (0, false);
            }
            if old.desired != slot.desired {
                slot.observed = false;
            }
        }
        self.flight.ground = after;
        self.writes[index].applied = true;
        self.tell(format!("arrived: {kind:?}"));
        self.changed(object, true);
    }

    // --- everybody else ----------------------------------------------------------------------------------------------

    fn pods_follow(&mut self) {
        for slot in self.flight.ground.slots.values_mut() {
            slot.observed = true;
            if slot.ready < slot.desired && slot.image != "app:v9" {
                slot.ready += 1;
            }
            slot.ready = slot.ready.min(slot.desired);
        }
    }

    fn stranger(&mut self) {
        let name = if self.rng.bool() { "blue" } else { "green" };
        let which = self.rng.u8(0..9);
        let ground = &mut self.flight.ground;
        let object = match which {
            0 | 1 => {
                ground.points_at(name, "kubectl-patch");
                None
            }
            2 => {
                ground.selector.insert("tier".to_owned(), "nope".to_owned());
                "kubectl-edit".clone_into(&mut ground.manager);
                None
            }
            3 => {
                ground.selector.remove("tier");
                None
            }
            4 => {
                let slot = ground.slot(name);
                slot.desired = self.rng.u32(0..5);
                slot.ready = slot.ready.min(slot.desired);
                Some(name.into())
            }
            5 => {
                let slot = ground.slot(name);
                "app:v9".clone_into(&mut slot.image);
                (slot.ready, slot.generation) = (0, slot.generation + 1);
                Some(name.into())
            }
            6 => {
                let slot = ground.slot(name);
                slot.autoscaler = Some(Autoscaler { name: name.to_owned(), min: 1, max: 5 });
                slot.desired = self.rng.u32(1..4);
                slot.ready = slot.ready.min(slot.desired);
                Some(name.into())
            }
            _ => {
                let slot = ground.slot(name);
                slot.ready = slot.ready.saturating_sub(1);
                Some(name.into())
            }
        };
        self.tell(format!("stranger {which} on {name}"));
        self.changed(object, false);
    }

    fn other_effect(&mut self) {
        if self.flight.queue.is_empty() {
            return;
        }
        let index = self.rng.usize(0..self.flight.queue.len());
        match self.flight.queue.remove(index) {
            Some(Effect::Settle(object)) => {
                let fault = (self.fails && self.rng.u8(0..4) == 0).then(|| "no answer".to_owned());
                self.tell(format!("settled {object:?}: {fault:?}"));
                if fault.is_none() {
                    self.changed(object.clone(), true);
                }
                self.flight.feed(Input::Settled { slot: object, fault });
            }
            Some(Effect::PutBack { action, approach }) => self.put_back(&action, *approach),
            Some(Effect::Verify(at)) => self.verify(at),
            Some(effect) => self.ordinary(effect),
            None => {}
        }
    }

    /// The operator has somebody else's change put back: at once, or not at all, and the answer may be lost.
    fn put_back(&mut self, action: &Action, approach: Approach) {
        let seen = approach.seen.service.as_ref().map(|service| service.version.clone());
        let current = seen == Some(self.stamp.to_string());
        let lost = self.fails && self.rng.u8(0..4) == 0;
        self.tell(format!("put back {:?}: current {current}, lost {lost}", action.kind));
        if current {
            let (run, before) = (self.flight.run().clone(), self.flight.ground.clone());
            let live = before.look(Timestamp(0)).live().cloned();
            let object = run.object_of(action).unwrap();
            self.flight.ground.put_back(&action.kind, approach, &run);
            let after = &mut self.flight.ground;
            for (name, slot) in &mut after.slots {
                if before.slots[name].image != slot.image {
                    (slot.ready, slot.observed) = (0, false);
                }
            }
            let fewer = object.as_ref().is_some_and(|slot| {
                let (was, is) = (&before.slots[slot], &after.slots[slot]);
                is.desired < was.desired || is.image != was.image
            });
            match (&object, after.serving()) {
                (None, 0) => self.fail("the traffic was put back to nowhere"),
                (Some(_), _) if fewer && object == live => self.fail("the live slot's pods were put back"),
                _ => {}
            }
            self.changed(object, true);
        }
        let outcome = match (current, lost) {
            (_, true) => ActionOutcome::Unknown,
            (true, false) => ActionOutcome::Succeeded,
            (false, false) => ActionOutcome::Failed,
        };
        self.flight.feed(Input::PutBack { outcome, detail: "answer".to_owned() });
    }

    /// A second look at an act whose answer was lost.
    fn verify(&mut self, at: ActionRef) {
        let Some(action) = self.flight.run().action(&at).cloned() else { return };
        let ground = &self.flight.ground;
        let mut wanted = ground.clone();
        wanted.apply(&action.kind, self.flight.run());
        let done = wanted.selector == ground.selector
            && wanted.slots.iter().all(|(name, slot)| {
                ground.slots[name].image == slot.image && ground.slots[name].desired == slot.desired
            });
        let resolution = match (self.fails && self.rng.u8(0..3) == 0, done) {
            (true, _) => None,
            (false, true) => Some(Resolution::Done),
            (false, false) => Some(Resolution::NotDone),
        };
        let evidence = "looked".to_owned();
        self.tell(format!("looked at {at:?}: {resolution:?}"));
        self.flight.feed(Input::Verified { at, resolution, evidence });
    }

    fn operator(&mut self) {
        let held = matches!(self.flight.prompt(), Prompt::Held { cause: HoldCause::Foreign, .. });
        if held && self.rng.bool() {
            let wish = if self.rng.bool() { Command::TakeTarget } else { Command::PutBack };
            self.tell(format!("{wish:?}"));
            self.flight.command(wish);
        } else if self.rng.u8(0..6) == 0 {
            self.tell("R");
            self.flight.command(Command::Rollback { reason: "a reason".to_owned() });
        } else {
            obey(&mut self.flight, self.rng.u8(0..4) != 0);
        }
    }

    fn happen(&mut self) {
        match self.rng.u8(0..40) {
            0..=9 => self.write_happens(),
            10..=16 => self.answer_look(),
            17..=22 => self.other_effect(),
            23..=26 => self.pods_follow(),
            27..=29 => self.operator(),
            30 | 31 => self.stranger(),
            32 if self.rng.u8(0..4) == 0 && self.flight.run().finished.is_none() => {
                self.tell("crash");
                // What was sent may still arrive; nobody waits for the answer.
                self.writes.iter_mut().for_each(|write| write.answered = true);
                self.looks.clear();
                self.flight.resume();
            }
            33 | 34 => {
                let value = if self.rng.bool() { 0.2 } else { 0.0004 };
                self.pass_time(Span::from_secs(5));
                self.flight.sample("error_rate", "green", Ok(value));
            }
            _ => {
                let millis = [50, 300, 1000, 5000][self.rng.usize(0..4)];
                self.pass_time(Span::from_millis(millis));
                self.flight.feed(Input::Tick);
            }
        }
        self.take_effects();
    }

    /// Strangers rest, nothing fails any more, pods come up, and the operator does what the screen says.
    fn come_to_rest(&mut self) {
        self.fails = false;
        // What no engine waits for any more has been dropped on its way.
        self.writes.retain(|write| !write.answered);
        for _ in 0..600 {
            if self.flight.run().finished.is_some() && self.writes.is_empty() {
                return;
            }
            self.pass_time(Span::from_secs(1));
            self.pods_follow();
            while !self.looks.is_empty() {
                self.answer_look();
                self.take_effects();
            }
            for _ in 0..self.flight.queue.len() {
                self.other_effect();
                self.take_effects();
            }
            if !self.writes.is_empty() {
                self.write_happens();
                self.take_effects();
            }
            self.flight.sample("error_rate", "green", Ok(0.0004));
            self.flight.sample("transactions", "green", Ok(2300.0));
            self.flight.look_again();
            self.flight.feed(Input::Tick);
            self.take_effects();
            if matches!(self.flight.prompt(), Prompt::Held { cause: HoldCause::Foreign, .. }) {
                self.flight.command(Command::TakeTarget);
                self.take_effects();
            }
            if self.rng.u8(0..3) == 0 {
                obey(&mut self.flight, true);
                self.take_effects();
            }
        }
    }

    fn judge(&self) {
        let Some((outcome, ended, _)) = &self.flight.run().finished else { return };
        let unseen = |remark: &String| remark.contains("nobody could look");
        let says_so = self.flight.run().rollbacks.last().is_some_and(|it| it.remarks.iter().any(unseen));
        let claims = matches!(outcome, Outcome::Succeeded | Outcome::RolledBack) && !says_so;
        let ground = &self.flight.ground;
        let pods: u32 = ground.slots.values().map(|slot| slot.ready).sum();
        if claims && *ended > self.foreign.1 && ground.serving() == 0 && pods > 0 {
            self.fail(&format!("{outcome:?}, and the Service has no ready pods"));
        }
    }
}

/// Where histories begin: before the image is set, before the switch, in the window, after it.
fn beginnings() -> Vec<Flight> {
    let mut book = runbook();
    book.triggers[0] = trigger(Then::Countdown(Span::from_secs(30)), Span::from_secs(15), OnNoData::Hold);
    book.steps[3].window = Some(Window { lasts: Span::from_secs(40) });
    let mut retire = book.steps[1].clone();
    retire.id = "retire".into();
    let down = ActionKind::Scale { slot: SlotRef::Previous, replicas: Replicas::Count(0) };
    (retire.run, retire.check, retire.undo) = (vec![action("retire", down)], Vec::new(), Vec::new());
    book.steps.push(retire);
    let mut retired = Flight::in_window(book.clone());
    retired.tick_checks();
    retired.fly(Span::from_secs(60));
    assert!(matches!(retired.prompt(), Prompt::Start { step: 4, .. }), "{:?}", retired.prompt());
    let window = || Flight::in_window(book.clone());
    let patching = patching(&book);
    vec![
        Flight::passed(book.clone(), 1),
        Flight::passed(book.clone(), 2),
        window(),
        window(),
        retired,
        Flight::passed(patching.clone(), 1),
        Flight::passed(patching.clone(), 2),
        Flight::in_window(patching),
    ]
}

/// The same with patches of the runbook's own, forth and back.
fn patching(book: &Runbook) -> Runbook {
    let patch = |kind: &str, name: &str, patch_type, patch| {
        ActionKind::Patch(PatchAction { kind: kind.to_owned(), name: name.into(), patch_type, patch })
    };
    let mut book = book.clone();
    let containers = json!([{ "name": "backend", "image": "app:v2" }]);
    let image = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    book.steps[1].run[0].kind = patch("deployment.apps/v1", "backend-green", PatchType::Merge, image);
    let forth = json!({ "spec": { "selector": { "version": "green" } } });
    book.steps[2].run[0].kind = patch("service", "backend", PatchType::Strategic, forth);
    let back = json!([{ "op": "add", "path": "/spec/selector/version", "value": "blue" }]);
    book.rollbacks[0].run[0].kind = patch("service", "backend", PatchType::Json, back);
    let down = json!({ "spec": { "replicas": 0 } });
    book.steps[4].run[0].kind = patch("deployment", "backend-blue", PatchType::Merge, down);
    book
}

fn tell_history(beginnings: &[Flight], seed: u64) -> String {
    let mut world = World::new(beginnings, seed);
    world.tell(format!("history {seed}"));
    for _ in 0..HAPPENINGS {
        world.happen();
    }
    world.come_to_rest();
    world.judge();
    world.flight.outcome().map_or_else(|| "open".to_owned(), |outcome| format!("{outcome:?}"))
}

#[test]
fn n1_n2_traffic_never_goes_to_nowhere_and_the_live_slot_keeps_its_pods() {
    let number = |name: &str| std::env::var(name).ok().and_then(|count| count.parse::<u64>().ok());
    let beginnings = beginnings();
    if let Some(seed) = number("CUTOVER_HISTORY") {
        tell_history(&beginnings, seed);
        return;
    }
    let histories = number("CUTOVER_HISTORIES").unwrap_or(HISTORIES);
    let half = |odd: u64| {
        let beginnings = &beginnings;
        move || -> Vec<String> {
            (0..histories).filter(|seed| seed % 2 == odd).map(|seed| tell_history(beginnings, seed)).collect()
        }
    };
    let told = std::thread::scope(|scope| {
        let halves = [scope.spawn(half(0)), scope.spawn(half(1))];
        halves.map(|half| half.join().unwrap()).concat()
    });
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for end in told {
        *ends.entry(end).or_default() += 1;
    }
    // Histories that never get anywhere would prove nothing.
    for end in ["RolledBack", "Succeeded"] {
        assert!(ends.get(end).is_some_and(|count| *count > 0), "{ends:?}");
    }
}
