use super::{
    advice::{Advice, Proof},
    judge::{Judged, judge},
    past_run::{By, PastRun, incident},
    trial::Measured,
    *,
};
use crate::domain::{
    evidence::{before::Before, counts::Counts},
    metric::{Bound, Counted, Metric, Missing, Op, Query, Sample, Unit},
    runbook::{OnNoData, Rule, Then, Trigger, TriggerWatch},
    worse::{Than, Worse},
};

mod planted;

const STEP: Span = Span::from_secs(15);
const WINDOW: Span = Span::from_mins(15);

fn at(s: u64) -> Timestamp {
    Timestamp(1_800_000_000_000) + Span::from_secs(s)
}

fn span(from: u64, to: u64) -> Window {
    Window { from: at(from), to: at(to) }
}

fn metric() -> Metric {
    let counted = Counted {
        source: "prometheus".into(),
        scraped: false,
        part: "errors".into(),
        good: false,
        all: "requests".into(),
    };
    Metric {
        id: "error_rate".into(),
        title: "Error rate".into(),
        query: Query::Counted(counted),
        per_slot: false,
        unit: Unit::Percent,
        normal: None,
        alert: None,
        action: None,
        interval: Span::from_secs(5),
    }
}

fn trigger(rule: Rule) -> Trigger {
    let watch = TriggerWatch { metric: "error_rate".into(), rule, then: Then::Ask, no_data: OnNoData::Hold };
    Trigger { reason: "error rate".into(), watch: Some(watch) }
}

fn over(value: f64) -> Rule {
    Rule::Fixed { when: Bound { op: Op::Gt, value }, hold_for: Span::from_mins(5) }
}

fn worse(share: f64, certainty: f64) -> Rule {
    Rule::Worse(Worse { than: Than::Share(share), certainty, at_least: 100 })
}

/// A window from `from` on in which so many of 1,500 are bad in each sample.
fn measured(from: u64, bad: impl Fn(u64) -> f64) -> Measured {
    let mut before = Before::default();
    for minute in 0..62 {
        before.take(at(from) - Span::from_secs(60 * (62 - minute)), Counts::new(3.0, 6000.0));
    }
    let sample = |index: u64| Sample {
        metric: "error_rate".into(),
        slot: None,
        at: at(from + index * 15),
        value: Ok(bad(index) / 1500.0),
        counts: Some(Counts::new(bad(index), 1500.0)),
    };
    let window = Window { from: at(from), to: at(from) + WINDOW };
    Measured { window, step: STEP, samples: (1..=60).map(sample).collect(), old: Vec::new(), before }
}

fn run(rolled_back: Option<u64>) -> PastRun {
    PastRun {
        run_id: "run".into(),
        module: "shop".into(),
        whole: span(90_000, 91_000),
        watched: span(90_000, 90_900),
        new_slot: None,
        previous: None,
        outcome: None,
        fired: Vec::new(),
        rolled_back: rolled_back.map(|s| (at(s), By::Person)),
        live_after: None,
    }
}

fn told(rule: Rule, harmless: &[Measured], runs: &[(&PastRun, Measured)]) -> Judged {
    judge(&trigger(rule), &metric(), WINDOW, harmless, runs).unwrap()
}

#[test]
fn windows_follow_each_other_and_are_clear_of_runs() {
    let all = windows(at(0), at(3600), WINDOW, &[]);
    assert_eq!(all, [span(0, 900), span(900, 1800), span(1800, 2700), span(2700, 3600)]);
    let clear = windows(at(0), at(3600), WINDOW, &[span(1000, 1300), span(1200, 1400)]);
    assert_eq!(clear, [span(0, 900), span(1400, 2300), span(2300, 3200)]);
    assert_eq!(windows(at(0), at(899), WINDOW, &[]), []);
    assert_eq!(windows(at(0), at(3600), Span::ZERO, &[]), []);
}

#[test]
fn a_rule_that_was_quiet_and_caught_the_bad_run_is_kept() {
    let harmless: Vec<Measured> = (0..8).map(|index| measured(index * 900, |_| 2.0)).collect();
    let bad = run(Some(90_600));
    let judged = told(over(0.01), &harmless, &[(&bad, measured(90_000, |_| 30.0))]);
    assert_eq!((judged.harmless.windows, judged.harmless.fired.len()), (8, 0));
    assert_eq!(judged.runs[0].would_fire, Some(Span::from_secs(315)), "the first sample, and five minutes");
    assert_eq!(
        (judged.runs[0].rolled_back, judged.runs[0].by),
        (Some(Span::from_secs(600)), Some(By::Person))
    );
    assert_eq!(judged.advice, Advice::Keep);
    let judged = told(worse(0.001, 0.999), &harmless, &[(&bad, measured(90_000, |_| 30.0))]);
    assert_eq!(judged.harmless.fired, [], "0.13 % is more than 0.1 %, and yet no evidence");
    assert_eq!(judged.runs[0].would_fire, Some(Span::from_secs(15)));
    assert_eq!(judged.advice, Advice::Keep);
}

#[test]
fn what_cries_wolf_or_misses_is_told_with_what_would_not() {
    // Every fourth window has six minutes of 1.3 %.
    let bumpy = |index: u64| measured(index * 900, move |at| if index == 3 && at > 30 { 20.0 } else { 1.0 });
    let harmless: Vec<Measured> = (0..8).map(bumpy).collect();
    let bad = run(Some(90_600));
    let runs = [(&bad, measured(90_000, |_| 45.0))];
    let judged = told(over(0.01), &harmless, &runs);
    assert_eq!(judged.harmless.fired, [at(3 * 900 + 31 * 15 + 300)]);
    // Between 20 and 45 of 1,500.
    let better = Advice::Instead("> 2 % for 5m".to_owned());
    assert_eq!(judged.advice, better);
    let proof = Proof {
        quiet: 8,
        caught: 1,
        slowest: Some(Span::from_secs(315)),
        room: Some(["> 1.33 %".to_owned(), "> 3 %".to_owned()]),
        ..Proof::default()
    };
    assert_eq!(judged.proof, Some(proof));
    let judged = told(over(0.05), &harmless, &runs);
    assert_eq!((judged.harmless.fired.len(), judged.runs[0].would_fire), (0, None));
    assert_eq!(judged.advice, better);
    let judged = told(worse(0.001, 0.999), &harmless, &runs);
    assert_eq!(judged.harmless.fired.len(), 1);
    let Advice::Instead(better) = judged.advice else { panic!("{:?}", judged.advice) };
    assert!(better.starts_with("worse than ") && better.ends_with(" % certainty"), "{better}");
    // As bad as that is the bad run: nothing tells them apart.
    let judged =
        told(over(0.01), &harmless, &[(&bad, measured(90_000, |at| if at > 30 { 20.0 } else { 1.0 }))]);
    assert!(matches!(judged.advice, Advice::None(_)), "{:?}", judged.advice);
}

#[test]
fn a_little_more_certainty_can_be_enough() {
    let close = |index: u64| measured(index * 900, move |at| if index == 3 && at == 30 { 12.0 } else { 1.0 });
    let harmless: Vec<Measured> = (0..8).map(close).collect();
    let judged = told(worse(0.001, 0.9), &harmless, &[]);
    assert_eq!(judged.harmless.fired.len(), 1);
    let Advice::Instead(better) = judged.advice else { panic!("{:?}", judged.advice) };
    assert!(better.starts_with("worse than 0.1 % with 99"), "{better}");
}

#[test]
fn what_was_not_measured_is_neither_quiet_nor_an_alarm() {
    let mut gap = measured(0, |_| 2.0);
    for sample in &mut gap.samples[..40] {
        (sample.value, sample.counts) = (Err(Missing::NoData), None);
    }
    let judged = told(over(0.01), std::slice::from_ref(&gap), &[]);
    assert_eq!((judged.harmless.windows, judged.harmless.unmeasured), (0, 1));
    assert!(matches!(judged.advice, Advice::None(_)));
    let lost = run(Some(90_600));
    let judged = told(over(0.01), &[measured(0, |_| 2.0)], &[(&lost, gap)]);
    assert!(!judged.runs[0].measured);
    assert_eq!(judged.advice, Advice::Keep, "nothing is known against it");
    let mut few = measured(0, |_| 0.0);
    for sample in &mut few.samples {
        sample.counts = Some(Counts::new(0.0, 1.0));
    }
    assert_eq!(told(worse(0.001, 0.999), &[few], &[]).harmless.too_little, 1);
}

#[test]
fn beside_the_old_slot_what_fails_for_both_is_no_alarm() {
    let mut both = measured(0, |_| 60.0);
    both.old = both.samples.clone();
    let judged = told(worse(0.001, 0.999), std::slice::from_ref(&both), &[]);
    assert_eq!(judged.harmless.fired, []);
    // The same, but never scraped at the same moment.
    let mut apart = both.clone();
    for (index, (new, old)) in apart.samples.iter_mut().zip(&mut apart.old).enumerate() {
        if index % 2 == 0 { new.counts = Some(Counts::NONE) } else { old.counts = Some(Counts::NONE) }
    }
    let judged = told(worse(0.001, 0.999), std::slice::from_ref(&apart), &[]);
    assert_eq!(judged.harmless.fired, []);
    // Only the last few requests of the old slot.
    for old in &mut apart.old {
        old.counts = Some(Counts::new(1.0, 20.0));
    }
    assert_eq!(told(worse(0.001, 0.999), &[apart], &[]).harmless.fired, [at(30)]);
    both.old.clear();
    assert_eq!(told(worse(0.001, 0.999), &[both], &[]).harmless.fired.len(), 1);
}

#[test]
fn a_journal_tells_when_users_met_the_version_and_what_ended_it() {
    use crate::domain::{
        event::Outcome,
        fixture::{Flight, runbook},
        message::Command,
    };
    let mut flight = Flight::in_window(runbook());
    flight.error_rate = Ok(0.2);
    flight.fly(Span::from_mins(6));
    let fired = PastRun::of(&flight.events).unwrap();
    assert_eq!(fired.outcome, Some(Outcome::RolledBack));
    assert!(matches!(fired.rolled_back, Some((_, By::Trigger))), "{:?}", fired.rolled_back);
    assert_eq!((fired.fired.len(), fired.fired[0].metric.as_str()), (1, "error_rate"));
    let mut flight = Flight::in_window(runbook());
    flight.fly(Span::from_secs(60));
    flight.command(Command::Rollback { reason: "users call".to_owned() });
    flight.fly(Span::from_mins(10));
    let run = PastRun::of(&flight.events).unwrap();
    let (back, by) = run.rolled_back.unwrap();
    assert_eq!((by, run.was_bad(), run.watched.to), (By::Person, true, back));
    assert!(back.since(run.watched.from) >= Span::from_secs(60));
    assert_eq!(run.outcome, Some(Outcome::RolledBack));
    assert_eq!(run.live_after, run.previous);
    assert_ne!(run.new_slot, run.previous);
    assert_eq!(PastRun::of(&Flight::opened(runbook()).events), None, "nobody has met it");
}

#[test]
fn an_incident_is_left_out_until_it_was_resolved() {
    use crate::domain::{
        actor::Actor,
        event::{Envelope, RunEvent},
        fixture::{Flight, runbook},
    };
    let mut flight = Flight::in_window(runbook());
    flight.fly(Span::from_secs(60));
    let mut events = flight.events.clone();
    assert_eq!(incident(&events), None);
    let (seq, declared) = (events.len() as u64, flight.now);
    let update = |seq, at, status: &str| Envelope {
        seq,
        at,
        event: RunEvent::IncidentUpdated {
            severity: "P1".to_owned(),
            title: "the pool is full".to_owned(),
            impact: String::new(),
            status: status.to_owned(),
            sent: false,
            by: Actor::person("ada"),
        },
    };
    events.push(update(seq + 1, declared, "Investigating"));
    let open = incident(&events).unwrap();
    assert_eq!(open.window, Window { from: declared, to: declared });
    assert!(open.why.ends_with("the pool is full, not resolved when the run ended"), "{}", open.why);
    let resolved = declared + Span::from_mins(20);
    events.push(update(seq + 2, resolved, "Resolved"));
    events.push(update(seq + 3, resolved + Span::from_mins(5), "Resolved"));
    let over = incident(&events).unwrap();
    assert_eq!(over.window, Window { from: declared, to: resolved });
    assert!(over.why.ends_with(": the pool is full"), "{}", over.why);
    // A window that meets it is no harmless one.
    let clear = windows(declared, declared + Span::from_mins(60), WINDOW, &[over.window]);
    assert_eq!(clear.first().map(|window| window.from), Some(resolved));
    if let RunEvent::RunOpened(opened) = &mut events[0].event {
        opened.rehearsal = Some("good".to_owned());
    }
    assert_eq!(incident(&events), None, "a rehearsal's is not the users'");
}
