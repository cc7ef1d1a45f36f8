//! Traffic never goes to nowhere, whatever happens: histories of operators, strangers, autoscalers, crashes, slow looks and
//! lost or late writes, at random, against a target that counts every one of our writes when it arrives.
//!
//! Here is what all strategies have in common: the operator, the engine, the calls and their answers. A write carries the version
//! of the object that was looked at, and takes effect on no other. What pods and strangers do and what must hold stands in the
//! [`Rules`]: [`blue_green`] by a Service's selector, [`shared`] where a slot can have a part of the traffic.

mod blue_green;
mod pods;
mod shared;
mod strategies;
mod tell;
mod writes;

use std::collections::BTreeMap;

use self::{
    tell::tell_histories,
    writes::{Arrival, Write},
};
use super::{
    random::{answer, obey},
    shares::picture,
};
use crate::domain::{
    action::ActionKind,
    cause::HoldCause,
    effect::{Effect, Input},
    event::{ActionOutcome, ActionRef, Outcome},
    fixture::{Flight, ground::Ground},
    id::SlotName,
    message::Command,
    observation::{Approach, Observation},
    prompt::Prompt,
    run::ActionStatus,
    time::{Span, Timestamp},
    workload::Workload,
};

/// Things that happen in one history before strangers rest.
const HAPPENINGS: usize = 120;
/// Seconds in which all must have come to an end, once strangers rest.
const REST: u64 = 900;

/// What is peculiar to a way of directing traffic.
trait Rules: Sync {
    /// Somebody else changes something.
    fn stranger(&self, world: &mut World);
    /// The controllers make one move.
    fn pods_follow(&self, world: &mut World);
    /// What a write does to the pods at once.
    fn touch_pods(&self, before: &Ground, after: &mut Ground);
    /// What must hold when a write of ours takes effect.
    fn judge_write(&self, world: &World, write: &Arrival);
    /// What must hold when a run says that it has ended.
    fn judge_claim(&self, world: &World, outcome: Outcome);
    /// What must hold at the end, when all pods have come up.
    fn judge_end(&self, world: &World, outcome: Outcome);
    /// Whether a rollout is complete; nothing where waits end as they like.
    fn is_complete(&self, ground: &Ground, slot: &SlotName) -> Option<bool>;
    /// Somebody mends what keeps all from going on.
    fn mend(&self, world: &mut World);
}

/// The object that a write is for: a slot, or what directs traffic.
type Object = Option<SlotName>;

struct World {
    rules: &'static dyn Rules,
    flight: Flight,
    rng: fastrand::Rng,
    /// The stamp of each object's last change.
    versions: BTreeMap<Object, u64>,
    /// Counts every change of the target.
    stamp: u64,
    /// The stamp of the last change that was not ours.
    foreign: u64,
    writes: Vec<Write>,
    /// Waits for a rollout, where they are honest.
    waits: Vec<ActionRef>,
    /// When each look began that has not come yet.
    looks: Vec<Timestamp>,
    /// A picture of the watch on its way.
    picture: Option<Workload>,
    /// What the gateway makes of the route.
    carried: BTreeMap<SlotName, u32>,
    /// Whether calls fail and answers get lost.
    fails: bool,
    /// Whether the run has said that it has ended, and on what: the stamp of its last look.
    claimed: Option<u64>,
    /// When the run last said what it waits for.
    said: Timestamp,
    told: Vec<String>,
    /// Whether each look and each move of the pods is told too.
    in_detail: bool,
}

impl World {
    fn new(rules: &'static dyn Rules, beginnings: &[Flight], seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut flight = beginnings[rng.usize(0..beginnings.len())].clone();
        flight.ground.silent = true;
        for slot in flight.ground.slots.values_mut() {
            slot.follows = false;
        }
        flight.queue.clear();
        let now = flight.now;
        let carried = flight.ground.weights.clone();
        let running = flight.run().all_actions().filter(|(_, state)| state.status == ActionStatus::Running);
        let waits = running.map(|(at, _)| at).collect();
        Self {
            rules,
            flight,
            rng,
            versions: BTreeMap::new(),
            // A flight's own looks say 1.
            stamp: 1,
            foreign: 0,
            writes: Vec::new(),
            waits,
            looks: Vec::new(),
            picture: None,
            carried,
            fails: true,
            claimed: None,
            said: now,
            told: Vec::new(),
            in_detail: false,
        }
    }

    fn tell(&mut self, what: impl Into<String>) {
        let at = self.flight.now.clock();
        self.told.push(format!("{at} {}", what.into()));
    }

    fn fail(&self, why: &str) -> ! {
        let ground = &self.flight.ground;
        panic!(
            "{why}\n{}\nprompt {:?}\nselector {:?}, weights {:?}, kept {}, paused {}, rolled {}, unfit {:?}, \
             slots {:#?}",
            self.told.join("\n"),
            self.flight.prompt(),
            ground.selector,
            ground.weights,
            ground.kept,
            ground.paused,
            ground.rolled,
            ground.unfit,
            ground.slots
        )
    }

    fn changed(&mut self, object: Object, ours: bool) {
        self.stamp += 1;
        let object = self.object(object);
        self.versions.insert(object, self.stamp);
        if !ours {
            self.foreign = self.stamp;
        }
    }

    /// The object that it really is: one Deployment may be two slots.
    fn object(&self, object: Object) -> Object {
        let one = self.flight.run().is_one_deployment();
        object.map(|slot| if one { "new".into() } else { slot })
    }

    fn version(&self, object: &Object) -> u64 {
        self.versions.get(&self.object(object.clone())).copied().unwrap_or_default()
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
        self.hear_claim();
    }

    /// What a run says of its end is judged at once.
    fn hear_claim(&mut self) {
        match self.flight.outcome() {
            Some(outcome) if self.claimed.is_none() => {
                let seen = self.flight.machine.looks.seen.as_ref();
                self.claimed = Some(seen.map_or(0, |seen| stamp_of(seen)));
                self.tell(format!("says {outcome:?}"));
                self.rules.judge_claim(self, outcome);
            }
            None => self.claimed = None,
            Some(_) => {}
        }
    }

    /// Whether nobody else has changed anything since the look on which the run stands.
    fn is_looked_at(&self) -> bool {
        self.claimed.is_some_and(|stamp| stamp >= self.foreign)
    }

    fn send(&mut self, at: ActionRef, approach: Option<Approach>) {
        let Some(action) = self.flight.run().action(&at).cloned() else { return };
        if self.flight.run().writes_to(&at).is_none() {
            self.tell(format!("begun: {}", action.name));
            if self.wait_of(&at).is_some() {
                self.waits.push(at);
            } else {
                // A command, a wait, a notice: it does not concern the target here.
                self.ordinary(Effect::StartAction(at));
            }
            return;
        }
        self.tell(format!("sent: {} {:?}", action.name, at.place));
        let expects = approach.as_ref().map_or(self.stamp, |approach| stamp_of(&approach.seen));
        self.writes.push(Write { at, kind: action.kind, approach, expects, applied: false, answered: false });
    }

    /// Whether a rollout that an act waits for is complete, where waits are honest.
    fn wait_of(&self, at: &ActionRef) -> Option<bool> {
        let run = self.flight.run();
        let ActionKind::Rollout { slot, .. } = &run.action(at)?.kind else { return None };
        self.rules.is_complete(&self.flight.ground, &run.slot(slot)?)
    }

    fn wait_ends(&mut self) {
        if self.waits.is_empty() {
            return;
        }
        let index = self.rng.usize(0..self.waits.len());
        let complete = self.wait_of(&self.waits[index]) == Some(true);
        let began = self.flight.run().work(&self.waits[index].place).and_then(|work| work.started_at);
        let long = began.is_none_or(|began| self.flight.now.since(began) > Span::from_mins(5));
        let outcome = match (complete, self.fails, self.rng.u8(0..12)) {
            (_, true, 0) => ActionOutcome::Unknown,
            (false, true, 1) => ActionOutcome::TimedOut,
            (false, true, 2) => ActionOutcome::Failed,
            (true, ..) => ActionOutcome::Succeeded,
            (false, false, _) if long => ActionOutcome::TimedOut,
            _ => return,
        };
        let at = self.waits.remove(index);
        self.finish(at, outcome);
    }

    fn finish(&mut self, at: ActionRef, outcome: ActionOutcome) {
        self.tell(format!("answered: {at:?}: {outcome:?}"));
        let detail = "answer".to_owned();
        self.flight.feed(Input::ActionFinished { at, outcome, detail, took: Span::ZERO, output: None });
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
        if let Some(route) = &mut seen.route {
            route.version = self.stamp.to_string();
        }
        seen
    }

    fn answer_look(&mut self) {
        if self.looks.is_empty() {
            return;
        }
        let began = self.looks.remove(self.rng.usize(0..self.looks.len()));
        self.tell_pods("looked");
        let result = if self.fails && self.rng.u8(0..6) == 0 {
            Err("no answer".to_owned())
        } else {
            Ok(self.observation(began))
        };
        self.flight.feed(Input::Observed(Box::new(result)));
    }

    /// A picture of the watch is taken now, and comes later.
    fn watch(&mut self) {
        if let Some(picture) = self.picture.replace(picture(&self.flight)) {
            self.flight.old_picture(picture);
        }
    }

    // --- everybody else ----------------------------------------------------------------------------------------------

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
            Some(Effect::CancelAction(at)) => {
                self.waits.retain(|wait| *wait != at);
                self.finish(at, ActionOutcome::Cancelled);
            }
            Some(effect) => self.ordinary(effect),
            None => {}
        }
    }

    fn operator(&mut self) {
        let held = matches!(self.flight.prompt(), Prompt::Held { cause: HoldCause::Foreign, .. });
        if held && self.rng.bool() {
            self.wish();
        } else if self.rng.u8(0..6) == 0 {
            self.tell("R");
            self.flight.command(Command::Rollback { reason: "a reason".to_owned() });
        } else {
            let prompt = format!("{:?}", self.flight.prompt());
            self.tell(format!("obeys {prompt}"));
            obey(&mut self.flight, self.rng.u8(0..4) != 0);
        }
    }

    fn wish(&mut self) {
        let wish = if self.rng.bool() { Command::TakeTarget } else { Command::PutBack };
        self.tell(format!("{wish:?}"));
        self.flight.command(wish);
    }

    fn measure(&mut self, errors: f64) {
        let slot = self.flight.run().judged_slot().unwrap();
        self.flight.sample("error_rate", slot.as_str(), Ok(errors));
        self.flight.sample("transactions", slot.as_str(), Ok(2300.0));
    }

    fn happen(&mut self) {
        let rules = self.rules;
        match self.rng.u8(0..44) {
            0..=9 => self.write_happens(),
            10..=16 => self.answer_look(),
            17..=22 => self.other_effect(),
            23..=26 => {
                rules.pods_follow(self);
                self.tell_pods("pods moved");
            }
            27..=29 => self.operator(),
            30 | 31 => rules.stranger(self),
            32 if self.rng.u8(0..4) == 0 && self.flight.run().finished.is_none() => {
                self.tell("crash");
                // What was sent may still arrive; nobody waits for the answer.
                self.writes.iter_mut().for_each(|write| write.answered = true);
                self.looks.clear();
                self.waits.clear();
                self.flight.resume();
            }
            33 | 34 => {
                self.pass_time(Span::from_secs(5));
                let errors = if self.rng.bool() { 0.2 } else { 0.0004 };
                self.measure(errors);
            }
            35 | 36 => self.watch(),
            37 | 38 => self.wait_ends(),
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
        let rules = self.rules;
        self.fails = false;
        // What no engine waits for any more has been dropped on its way.
        self.writes.retain(|write| !write.answered);
        self.tell("strangers rest");
        let mut heard = (self.flight.events.len(), self.flight.now);
        for round in 0..REST / 2 {
            if self.flight.run().finished.is_some() && self.writes.is_empty() {
                break;
            }
            // A run that has said nothing for longer than anything may take says nothing more.
            if heard.0 != self.flight.events.len() {
                heard = (self.flight.events.len(), self.flight.now);
            } else if self.flight.now.since(heard.1) > Span::from_secs(330) {
                break;
            }
            self.pass_time(Span::from_secs(2));
            rules.pods_follow(self);
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
            self.wait_ends();
            self.take_effects();
            self.watch();
            self.take_effects();
            self.measure(0.0004);
            self.flight.look_again();
            self.flight.feed(Input::Tick);
            self.take_effects();
            if matches!(self.flight.prompt(), Prompt::Held { cause: HoldCause::Foreign, .. }) {
                self.wish();
                self.take_effects();
            }
            if self.rng.u8(0..3) == 0 {
                obey(&mut self.flight, true);
                self.take_effects();
            }
            if self.says_why() {
                self.said = self.flight.now;
            }
            // What can't go on by itself is mended by hand.
            if round % 150 == 100 {
                rules.mend(self);
            }
        }
        for _ in 0..20 {
            rules.pods_follow(self);
        }
    }

    fn judge(&self) {
        let Some((outcome, ..)) = &self.flight.run().finished else {
            return self.judge_stuck();
        };
        if self.is_looked_at() && !self.says_unsure() {
            self.rules.judge_end(self, *outcome);
        }
    }

    /// Whether a rollback has said that it could not verify its end.
    fn says_unsure(&self) -> bool {
        let unseen = |remark: &String| remark.contains("could not verify");
        self.flight.run().rollbacks.last().is_some_and(|it| it.remarks.iter().any(unseen))
    }

    /// A run that has not ended says what it waits for: on the screen's line, or beside the act that is due.
    fn judge_stuck(&self) {
        if self.flight.now.since(self.said) > Span::from_secs(60) {
            self.fail("the run is stuck, and does not say why");
        }
    }

    fn says_why(&self) -> bool {
        let run = self.flight.run();
        match self.flight.prompt() {
            Prompt::Acting { at } => {
                self.waits.contains(&at) || run.waiting_act().is_some() || !self.writes.is_empty()
            }
            Prompt::RollingBack => run.waiting_act().is_some() || !self.waits.is_empty(),
            _ => true,
        }
    }
}

/// The stamp of the target when a look came.
fn stamp_of(seen: &Observation) -> u64 {
    let service = seen.service.as_ref().map(|service| &service.version);
    let version = seen.route.as_ref().map(|route| &route.version).or(service);
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}
