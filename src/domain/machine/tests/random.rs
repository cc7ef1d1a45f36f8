//! Random flights: whatever comes in, in whatever order, the rules of [`Flight`] hold.

use proptest::prelude::*;

use crate::domain::{
    effect::{Effect, Input},
    event::{ActionOutcome, ActionRef, CheckRef, Place, Resolution},
    fixture::{Flight, runbook, trigger, workload},
    message::Command,
    metric::Missing,
    prompt::Prompt,
    runbook::{Automation, OnNoData, Then},
    time::Span,
};

/// One thing that happens. Numbers choose among what is possible then.
#[derive(Debug, Clone)]
enum Happening {
    /// What the prompt asks for.
    Obey(bool),
    /// Any command, sensible or not.
    Press(u8, u8, bool),
    /// One of the effects is done, with one of the outcomes.
    Effect(u8, u8),
    /// An old effect is answered again.
    Echo(u8, u8),
    /// Time.
    Tick(u32),
    /// A measurement.
    Sample(u8),
    /// A picture of the cluster.
    Picture(u8),
    /// The engine dies, and another goes on.
    Crash,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => any::<bool>().prop_map(Happening::Obey),
        5 => (any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(a, b, c)| Happening::Press(a, b, c)),
        14 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Happening::Effect(a, b)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Happening::Echo(a, b)),
        5 => prop_oneof![Just(1), Just(10), Just(40), Just(4000)].prop_map(Happening::Tick),
        5 => any::<u8>().prop_map(Happening::Sample),
        1 => any::<u8>().prop_map(Happening::Picture),
        1 => Just(Happening::Crash),
    ]
}

pub(super) fn answer(flight: &mut Flight, effect: Effect, how: u8) {
    match effect {
        Effect::StartAction(at) | Effect::StartGuarded { at, .. } | Effect::CancelAction(at) => {
            let outcome = match how % 8 {
                0 => ActionOutcome::Failed,
                1 => ActionOutcome::Unknown,
                2 => ActionOutcome::Cancelled,
                3 => ActionOutcome::TimedOut,
                _ => ActionOutcome::Succeeded,
            };
            flight.finish(at, outcome);
        }
        Effect::Verify(at) => {
            let resolution = match how % 4 {
                0 => None,
                1 => Some(Resolution::NotDone),
                2 => Some(Resolution::RunAgain),
                _ => Some(Resolution::Done),
            };
            flight.feed(Input::Verified { at, resolution, evidence: "looked".to_owned() });
        }
        Effect::Watch(at) => {
            let holds = !how.is_multiple_of(4);
            flight.feed(Input::CheckSeen { at, holds, evidence: "seen".to_owned() });
        }
        Effect::LookItem { group, item } => {
            let holds = !how.is_multiple_of(4);
            flight.feed(Input::ItemSeen { group, item, holds, asks: false, evidence: "seen".to_owned() });
        }
        Effect::Notify { milestone, text } => {
            let (milestone, ok, detail) = (Some(milestone), how.is_multiple_of(2), String::new());
            flight.feed(Input::NoticeDone { milestone, text, ok, detail });
        }
        Effect::Settle(slot) => {
            let fault = how.is_multiple_of(4).then(|| "no answer".to_owned());
            flight.feed(Input::Settled { slot, fault });
        }
        Effect::PutBack { action, approach } => {
            let outcome = match how % 4 {
                0 => ActionOutcome::Failed,
                1 => ActionOutcome::Unknown,
                _ => ActionOutcome::Succeeded,
            };
            if how.is_multiple_of(2) {
                let run = flight.run().clone();
                flight.ground.put_back(&action.kind, *approach, &run);
            }
            flight.feed(Input::PutBack { outcome, detail: String::new() });
        }
        // Looks are answered by the flight itself.
        Effect::Observe | Effect::Wake(_) => {}
        Effect::EndChild(_) | Effect::StopWatch(_) | Effect::Close => {}
    }
}

pub(super) fn obey(flight: &mut Flight, well: bool) {
    let reason = || "a reason".to_owned();
    let command = match flight.prompt() {
        Prompt::Ask { name, .. } => Command::SetVar { name, value: "v2".to_owned() },
        Prompt::Decide { part, .. } => Command::DecidePart { part, applies: well },
        Prompt::Checklist { open } => {
            let (group, item) = open[0];
            if item == 0 {
                Command::TickItem { group, item, note: None }
            } else {
                Command::WaiveItem { group, item, reason: reason() }
            }
        }
        Prompt::OpenSteps => Command::OpenSteps { override_reason: None },
        Prompt::Start { step, attempt, word, .. } => {
            let step = Some(flight.run().runbook.steps[step].id.clone());
            Command::Start { step, attempt, typed: Some(word) }
        }
        Prompt::Complete => Command::Start { step: None, attempt: 1, typed: None },
        Prompt::Proceed { at, word, .. } => Command::Proceed { at, typed: Some(word) },
        Prompt::Checking { place, open } => {
            let Some(&check) = open.first() else { return };
            let attempt = flight.run().work(&place).map_or(1, |work| work.attempt);
            let step = match place {
                Place::Step { step } => Some(step),
                _ => None,
            };
            Command::TickCheck { step, attempt, check, holds: well, note: None }
        }
        Prompt::Failed { step } => {
            let attempt = match &step {
                Some(step) => flight.run().step(step.as_str()).map_or(0, |state| state.work.attempt),
                None => flight.run().completion.as_ref().map_or(0, |work| work.attempt),
            };
            match (well, step) {
                (true, step) => Command::Retry { step, attempt },
                (false, Some(step)) => Command::Undo { typed: Some(step.0.clone()), step },
                (false, None) => Command::Note { text: reason() },
            }
        }
        Prompt::Unknown { at } => {
            let resolution = if well { Resolution::Done } else { Resolution::RunAgain };
            Command::Resolve { at, resolution }
        }
        Prompt::Countdown { trigger, .. } | Prompt::Fired { trigger } => {
            Command::CancelCountdown { trigger, reason: reason() }
        }
        Prompt::Held { .. } => Command::Continue,
        Prompt::RollbackStopped { .. } if well => Command::RetryRollback,
        Prompt::RollbackStopped { .. } => Command::AbandonRollback { reason: reason() },
        Prompt::Finished { .. } => Command::TaskDone { task: 0 },
        Prompt::Acting { .. } | Prompt::RollingBack => return,
    };
    flight.command(command);
}

fn press(which: u8, number: u8, yes: bool) -> Command {
    let steps = ["migrate", "deploy", "switch", "monitor"];
    let step = || crate::domain::id::StepId::from(steps[usize::from(number) % 4]);
    let attempt = u32::from(number % 3) + 1;
    let reason = || if number.is_multiple_of(7) { String::new() } else { "a reason".to_owned() };
    let index = usize::from(number % 3);
    let places = [
        Place::Step { step: step() },
        Place::Undo { step: step() },
        Place::Rollback { procedure: "quick".into() },
        Place::Completion,
    ];
    let place = places[usize::from(number / 4) % 4].clone();
    match which % 24 {
        0 => Command::TickItem { group: 0, item: index, note: None },
        1 => Command::UntickItem { group: 0, item: index },
        2 => Command::WaiveItem { group: 0, item: index, reason: reason() },
        3 => Command::RecheckItem { group: 0, item: index },
        4 => Command::OpenSteps { override_reason: yes.then(reason) },
        5 => Command::Start { step: yes.then(step), attempt, typed: Some("green".to_owned()) },
        6 => Command::Proceed { at: ActionRef { place, attempt, action: index }, typed: None },
        7 | 8 => Command::TickCheck {
            step: yes.then(step),
            attempt,
            check: index,
            holds: number < 128,
            note: None,
        },
        9 => Command::Retry { step: yes.then(step), attempt },
        10 => Command::Undo { step: step(), typed: Some(step().0) },
        11 => Command::Skip { step: step(), reason: reason() },
        12 => {
            Command::Resolve { at: ActionRef { place, attempt, action: index }, resolution: Resolution::Done }
        }
        13 => Command::Hold { reason: reason() },
        14 => Command::Continue,
        15 | 16 => Command::Rollback { reason: reason() },
        17 => Command::RollbackProcedure {
            procedure: if yes { "database".into() } else { "quick".into() },
            reason: reason(),
            typed: if number < 128 { "b-17".to_owned() } else { "quick".to_owned() },
        },
        18 => Command::RetryRollback,
        19 => Command::AbandonRollback { reason: reason() },
        20 => Command::CancelCountdown { trigger: index, reason: reason() },
        21 if number.is_multiple_of(4) => Command::Abort { reason: reason() },
        22 if number.is_multiple_of(4) => Command::Suspend { reason: reason() },
        23 => Command::Close,
        _ => Command::DecidePart { part: "migrations".to_owned(), applies: yes },
    }
}

fn happen(flight: &mut Flight, happening: &Happening) {
    match *happening {
        Happening::Obey(well) => obey(flight, well),
        Happening::Press(which, number, yes) => {
            flight.command(press(which, number, yes));
        }
        Happening::Effect(which, how) => {
            if flight.queue.is_empty() {
                return;
            }
            let index = usize::from(which) % flight.queue.len();
            if let Some(effect) = flight.queue.remove(index) {
                answer(flight, effect, how);
            }
        }
        Happening::Echo(which, how) => {
            let effect = flight.effects.iter().rev().nth(usize::from(which % 16)).cloned();
            // An action's end is told once; whatever else may come late and twice.
            if let Some(effect) = effect.filter(|effect| {
                !matches!(
                    effect,
                    Effect::StartAction(_) | Effect::StartGuarded { .. } | Effect::CancelAction(_)
                )
            }) {
                answer(flight, effect, how);
            }
        }
        Happening::Tick(seconds) => {
            flight.now = flight.now + Span::from_secs(u64::from(seconds));
            flight.feed(Input::Tick);
        }
        Happening::Sample(which) => {
            let value = match which % 4 {
                0 => Err(Missing::NoData),
                1 => Ok(0.0004),
                _ => Ok(0.2),
            };
            flight.now = flight.now + Span::from_secs(5);
            let slot = if which.is_multiple_of(5) { "blue" } else { "green" };
            flight.sample("error_rate", slot, value);
            flight.sample("transactions", slot, Ok(2300.0));
        }
        Happening::Picture(which) => {
            let mut picture = workload(if which.is_multiple_of(2) { "blue" } else { "green" });
            if which.is_multiple_of(3) {
                let blue = picture.slots.get_mut("blue").unwrap();
                (blue.desired, blue.ready) = (0, 0);
            }
            if which.is_multiple_of(5) {
                let by = crate::domain::workload::ChangedBy { manager: "eve".to_owned(), at: None };
                picture.slots.get_mut("green").unwrap().changed = Some(by);
                picture.slots.get_mut("green").unwrap().image = format!("app:v{which}");
            }
            flight.picture(picture);
        }
        Happening::Crash => {
            if flight.run().finished.is_none() {
                flight.resume();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(
        happenings in proptest::collection::vec(happening(), 1..120),
        automation in prop_oneof![Just(Automation::Manual), Just(Automation::SemiAutomated), Just(Automation::Full)],
        then in prop_oneof![Just(Then::Ask), Just(Then::Rollback), Just(Then::Countdown(Span::from_secs(30)))],
        no_data in prop_oneof![Just(OnNoData::Hold), Just(OnNoData::Rollback)],
        from in 0_usize..5,
    ) {
        let mut runbook = runbook();
        runbook.deployment.automation = automation;
        runbook.triggers[0] = trigger(then, Span::from_secs(15), no_data);
        runbook.triggers.push(trigger(Then::Rollback, Span::from_secs(10), OnNoData::Hold));
        let mut flight = match from {
            0 => Flight::open(runbook),
            4 => {
                runbook.deployment.automation = Automation::SemiAutomated;
                Flight::in_window(runbook)
            }
            steps => {
                runbook.deployment.automation = Automation::SemiAutomated;
                Flight::passed(runbook, steps - 1)
            }
        };
        for happening in &happenings {
            happen(&mut flight, happening);
        }
        // A check that nobody watches any more is not looked at for ever.
        let at = CheckRef { place: Place::Completion, attempt: 99, check: 0 };
        flight.feed(Input::CheckSeen { at, holds: true, evidence: String::new() });
    }
}
