//! Runs to report of, each flown by the machine's own fixture.

use std::collections::BTreeMap;

use crate::domain::{
    event::{ActionOutcome, Envelope, RunEvent},
    fixture::{Flight, runbook},
    kept::{Kept, Moment, Seen},
    message::Command,
    metric::{Bound, Missing, Op, Sample, Unit},
    runbook::{Runbook, Step},
    time::{Span, Timestamp},
};

/// The small runbook with limits and a promise.
fn book() -> Runbook {
    let mut book = runbook();
    book.metrics[0].normal = Some(Bound { op: Op::Lt, value: 0.001 });
    book.metrics[0].alert = Some(Bound { op: Op::Gt, value: 0.01 });
    assert_eq!(book.metrics[0].unit, Unit::Percent);
    book.rollbacks[0].within = Some(Span::from_mins(5));
    let time = |step: &mut Step, from, to| step.time = Some((Span::from_secs(from), Span::from_secs(to)));
    time(&mut book.steps[0], 1, 2);
    time(&mut book.steps[3], 900, 960);
    book
}

/// A run that succeeds.
pub(super) fn good() -> Vec<Envelope> {
    let mut flight = Flight::in_window(book());
    flight.tick_checks();
    flight.fly(Span::from_mins(16));
    flight.tick_checks();
    flight.fly(Span::from_secs(5));
    flight.start();
    flight.fly(Span::from_secs(20));
    flight.events
}

/// A run whose new version fails 5 % of the requests, until a trigger rolls it back.
pub(super) fn rolled_back() -> Vec<Envelope> {
    let mut flight = Flight::in_window(book());
    flight.fly(Span::from_secs(40));
    flight.error_rate = Ok(0.05);
    flight.fly(Span::from_mins(8));
    flight.events
}

/// A run whose second step fails.
pub(super) fn failed() -> Vec<Envelope> {
    let mut flight = Flight::passed(book(), 1);
    flight.outcomes = BTreeMap::from([("rollout".to_owned(), ActionOutcome::Failed)]);
    flight.start();
    flight.fly(Span::from_secs(10));
    flight.command(Command::Abort { reason: "the rollout does not work".to_owned() });
    flight.settle();
    flight.events
}

/// A run whose checklist is overridden, and which is aborted before its first step.
pub(super) fn aborted() -> Vec<Envelope> {
    let mut flight = Flight::open(book());
    flight.settle();
    flight.command(Command::SetVar { name: "DEPLOY_VERSION".to_owned(), value: "v2".to_owned() });
    flight.command(Command::DecidePart { part: "migrations".to_owned(), applies: true });
    let override_reason = Some("CI is down, looked by hand".to_owned());
    flight.command(Command::OpenSteps { override_reason });
    flight.command(Command::Note { text: "the weather is fine".to_owned() });
    flight.fly(Span::from_secs(30));
    flight.command(Command::Abort { reason: "wrong version".to_owned() });
    flight.settle();
    flight.events
}

/// The rolled back run, with an incident, in which everything that somebody can write is this.
pub(super) fn written(text: &str) -> Vec<Envelope> {
    let mut events = rolled_back();
    let RunEvent::RunOpened(opened) = &mut events[0].event else { panic!("a run opens first") };
    let book = &mut opened.runbook;
    opened.rehearsal = Some(text.to_owned());
    opened.pilot = text.to_owned();
    opened.runbook_path = text.to_owned();
    book.document.title = text.to_owned();
    book.steps.iter_mut().for_each(|step| step.title = text.to_owned());
    book.metrics.iter_mut().for_each(|metric| metric.title = text.to_owned());
    book.checklist.iter_mut().for_each(|group| {
        group.title = text.to_owned();
        group.items.iter_mut().for_each(|item| item.text = text.to_owned());
    });
    for envelope in &mut events {
        match &mut envelope.event {
            RunEvent::VarSet { value, .. } => *value = Some(text.to_owned()),
            RunEvent::RollbackStarted { reason, .. } => *reason = text.to_owned(),
            RunEvent::ActionStarted { name, does, .. } => (*name, *does) = (text.to_owned(), text.to_owned()),
            RunEvent::ActionFinished { detail, .. } => *detail = text.to_owned(),
            RunEvent::CheckPassed { text: it, evidence, .. }
            | RunEvent::CheckFailed { text: it, evidence, .. } => {
                (*it, *evidence) = (text.to_owned(), text.to_owned());
            }
            RunEvent::ItemTicked { note, .. } => *note = Some(text.to_owned()),
            RunEvent::NoticeSent { text: it, detail, .. } => {
                (*it, *detail) = (text.to_owned(), text.to_owned());
            }
            _ => {}
        }
    }
    let (seq, at) = events.last().map(|last| (last.seq + 1, last.at)).unwrap();
    let by = crate::domain::actor::Actor::person(text);
    events.push(Envelope {
        seq,
        at,
        event: RunEvent::IncidentUpdated {
            severity: text.to_owned(),
            title: text.to_owned(),
            impact: text.to_owned(),
            status: text.to_owned(),
            sent: true,
            by,
        },
    });
    events
}

/// Samples every ten seconds: the old slot is well; the new one is, until a minute after it has the users. In the middle of
/// that one is missing.
pub(super) fn kept(events: &[Envelope]) -> Kept {
    let met = events.iter().find(|it| matches!(it.event, RunEvent::TrafficSwitched { .. }));
    let bad_from = met.map_or(Timestamp(i64::MAX), |met| met.at + Span::from_secs(60));
    let (from, to) = (events[0].at, events.last().unwrap().at);
    let mut moments = Vec::new();
    let mut at = from;
    while at <= to {
        for (metric, slot, value) in [
            ("error_rate", "blue", 0.0004),
            ("error_rate", "green", if at >= bad_from { 0.05 } else { 0.0003 }),
            ("transactions", "blue", 2300.0),
            ("transactions", "green", 2300.0),
        ] {
            let value = if at == from + Span::from_secs(20) { Err(Missing::NoData) } else { Ok(value) };
            let sample = Sample { metric: metric.into(), slot: Some(slot.into()), at, value, counts: None };
            moments.push(Moment { at, seen: Seen::Sample(sample) });
        }
        at = at + Span::from_secs(10);
    }
    Kept::new(moments, Vec::new(), Vec::new())
}
