//! Evidence in the course of a run: it fires, waits for traffic, bears gaps, outlives engines, and compares with the previous
//! slot where that has users.

use super::{
    shares::sipping,
    watch::{down, refused},
};
use crate::domain::{
    cause::HoldCause,
    check::{CheckKind, Condition},
    claim::Stage,
    effect::Input,
    event::{Outcome, RunEvent},
    evidence::{card::Card, counts::Counts},
    fixture::{Flight, canary_route, measured, runbook, workload},
    message::Command,
    metric::{Counted, Query, Sample},
    prompt::Prompt,
    run::{CheckStatus, StepStatus},
    runbook::{OnNoData, Rule, Runbook, Then, Trigger, TriggerWatch},
    slot_labels::SlotLabels,
    time::Span,
    worse::{Than, Worse},
};

/// A runbook whose error rate is counted, with a trigger beside the fixed one that claims this.
fn claiming(mut runbook: Runbook, than: Than, then: Then) -> Runbook {
    let metric = runbook.metrics.iter_mut().find(|metric| metric.id.as_str() == "error_rate").unwrap();
    metric.query = Query::Counted(Counted {
        source: "prometheus".to_owned(),
        scraped: false,
        part: "errors{slot=\"$slot\"}".to_owned(),
        good: false,
        all: "requests{slot=\"$slot\"}".to_owned(),
    });
    runbook.triggers.push(Trigger {
        reason: format!("error rate {}", than.show()),
        watch: Some(TriggerWatch {
            metric: "error_rate".into(),
            rule: Rule::Worse(Worse::usual(than)),
            then,
            no_data: OnNoData::Hold,
        }),
    });
    runbook
}

const COUNTDOWN: Then = Then::Countdown(Span::from_secs(30));
const SHARE: Than = Than::Share(0.001);

/// An hour of what was normal, minute by minute: so many bad of 6,000.
fn hour(flight: &mut Flight, slot: &str, bad: impl Fn(u64) -> f64) {
    let from = flight.now - Span::from_mins(61);
    let past = (0..=60).map(|minute| Sample {
        metric: "error_rate".into(),
        slot: Some(slot.into()),
        at: from + Span::from_mins(minute),
        value: Ok(0.0),
        counts: Some(Counts::new(bad(minute), 6000.0)),
    });
    let past = past.collect();
    flight.feed(Input::Past(past));
}

/// In its window, with an hour of 0.04 % before, and 1,000 requests every ten seconds on green.
fn watched(runbook: Runbook) -> Flight {
    watched_with(runbook, Counts::new(0.4, 1000.0))
}

fn watched_with(runbook: Runbook, counts: Counts) -> Flight {
    let mut flight = Flight::passed(runbook, 2);
    hour(&mut flight, "blue", |_| 2.4);
    flight.start();
    flight.fly(Span::from_secs(1));
    flight.counts.insert("green".into(), counts);
    flight.start();
    flight.fly(Span::from_secs(20));
    assert_eq!(flight.status("monitor"), StepStatus::Checking);
    flight
}

fn cards(flight: &Flight) -> Vec<(String, Card)> {
    let told = |event: &RunEvent| match event {
        RunEvent::EvidenceTold { words, card, .. } => Some((words.clone(), (**card).clone())),
        _ => None,
    };
    flight.events.iter().filter_map(|envelope| told(&envelope.event)).collect()
}

fn standing(flight: &Flight) -> crate::domain::claim::Standing {
    flight.machine.standings().next().unwrap()
}

#[test]
fn a_verdict_fires_in_seconds_counts_down_and_rolls_back_where_the_fixed_rule_still_waits() {
    let mut flight = watched(claiming(runbook(), SHARE, COUNTDOWN));
    flight.fly(Span::from_mins(2));
    assert_eq!(flight.count("trigger_fired"), 0);
    flight.counts.insert("green".into(), Counts::new(50.0, 1000.0));
    flight.error_rate = Ok(0.05);
    let began = flight.now;
    while flight.count("trigger_fired") == 0 {
        flight.fly(Span::from_secs(1));
    }
    assert!(flight.now.since(began) <= Span::from_secs(10), "{}", flight.now.since(began));
    let Prompt::Countdown { trigger, .. } = flight.prompt() else { panic!("{:?}", flight.prompt()) };
    assert_eq!(trigger, 2);
    let (words, card) = cards(&flight).pop().unwrap();
    assert!(
        words.starts_with("GREEN is worse than 0.1 %: ") && words.ends_with("failed (99.9 % certain)"),
        "{words}"
    );
    assert_eq!(card.check(), Ok(()), "a reader computes the same");
    assert_eq!(card.selectors.counted, "errors{slot=\"green\"}");
    assert!((card.terms.phi - 1.0).abs() < 1e-9 && card.worse.is_some());
    flight.fly(Span::from_secs(31));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    assert!(
        flight.run().rollbacks[0].reason.starts_with("error rate worse than 0.1 %: "),
        "{:?}",
        flight.run().rollbacks
    );
    assert_eq!(flight.count("trigger_fired"), 1, "the fixed rule had not fired");
}

/// A selector that says `$hash` to a reader is one that nobody can ask again.
#[test]
fn a_card_names_what_was_really_read() {
    let mut book = claiming(runbook(), SHARE, COUNTDOWN);
    let metric = book.metrics.iter_mut().find(|metric| metric.id.as_str() == "error_rate").unwrap();
    let Query::Counted(counted) = &mut metric.query else { panic!("{metric:?}") };
    counted.all = r#"requests{slot="${slot}",app="$deployment",version="$version"}"#.to_owned();
    let mut flight = watched(book);
    flight.old_picture(workload("green"));
    flight.counts.insert("green".into(), Counts::new(50.0, 1000.0));
    flight.fly(Span::from_secs(30));
    let (_, card) = cards(&flight).pop().unwrap();
    let known = SlotLabels::of(
        &"green".into(),
        flight.run().runbook.target.as_ref().unwrap(),
        flight.machine.workload(),
    );
    let version = known.version.unwrap();
    assert!(!version.is_empty());
    let expected = format!(r#"requests{{slot="green",app="backend-green",version="{version}"}}"#);
    assert_eq!(card.selectors.all, expected);
}

#[test]
fn errors_below_every_bound_are_found_and_a_harmless_release_gets_its_card_at_the_end() {
    let mut flight = watched(claiming(runbook(), SHARE, Then::Rollback));
    flight.counts.insert("green".into(), Counts::new(5.0, 1000.0));
    flight.error_rate = Ok(0.005);
    flight.fly(Span::from_mins(3));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack));
    // A harmless one passes, and what may be said for it is written down.
    let mut flight = watched(claiming(runbook(), SHARE, Then::Rollback));
    flight.tick_checks();
    flight.fly(Span::from_mins(16));
    assert_eq!(flight.status("monitor"), StepStatus::Passed);
    assert_eq!(flight.count("trigger_fired"), 0);
    let told = cards(&flight);
    let (words, card) = told.last().unwrap();
    assert!(
        words.contains("0 % of what it takes") && words.contains("with 99 % certainty below 0.0"),
        "{words}"
    );
    assert_eq!((card.check(), card.worse), (Ok(()), None));
    assert_eq!(told.len(), 1, "once, and not again and again");
}

#[test]
fn too_little_traffic_is_said_and_is_never_fine() {
    let mut book = claiming(runbook(), SHARE, COUNTDOWN);
    let step = book.step_index("monitor").unwrap();
    book.steps[step].check.push(measured("as good as it was", "error_rate", Condition::NotWorse(SHARE)));
    // One request in twenty seconds, and every one fails.
    let mut flight = watched_with(book, Counts::new(0.5, 0.5));
    flight.tick_checks();
    flight.fly(Span::from_mins(20));
    let standing = standing(&flight);
    assert_eq!(standing.stage, Stage::TooLittle);
    let words = flight.run().standing_words(&standing).unwrap();
    assert!(
        words.starts_with("too little traffic (")
            && words.ends_with(" of 100 events) to say whether GREEN is worse than 0.1 %"),
        "{words}"
    );
    assert_eq!(flight.count("trigger_fired"), 0);
    assert_eq!(flight.status("monitor"), StepStatus::Checking, "the check waits, and the window with it");
    let check = flight.run().step("monitor").unwrap().work.checks.last().unwrap();
    assert_eq!(check.status, CheckStatus::Open);
}

#[test]
fn a_check_holds_while_evidence_does_not_speak_against_it() {
    let mut book = claiming(runbook(), SHARE, Then::Ask);
    let step = book.step_index("monitor").unwrap();
    book.steps[step].check.push(measured("as good as it was", "error_rate", Condition::NotWorse(SHARE)));
    assert_eq!(book.claims().len(), 1, "trigger and check share their evidence");
    let mut flight = watched(book);
    let last = |flight: &Flight| {
        let check = flight.run().step("monitor").unwrap().work.checks.last().unwrap().clone();
        (check.status, check.evidence)
    };
    flight.fly(Span::from_secs(30));
    let (status, evidence) = last(&flight);
    assert_eq!(status, CheckStatus::Holds);
    assert!(evidence.starts_with("evidence 0 %") && evidence.contains("(99 % sure)"), "{evidence}");
    flight.counts.insert("green".into(), Counts::new(50.0, 1000.0));
    flight.fly(Span::from_secs(20));
    let (status, evidence) = last(&flight);
    assert_eq!(status, CheckStatus::Fails);
    assert!(evidence.contains("GREEN is worse than 0.1 %"), "{evidence}");
}

#[test]
fn a_missing_answer_adds_nothing_and_takes_nothing_away() {
    let mut flight = watched(claiming(runbook(), SHARE, COUNTDOWN));
    flight.counts.insert("green".into(), Counts::new(2.0, 1000.0));
    flight.fly(Span::from_secs(20));
    let before = standing(&flight);
    flight.error_rate = down();
    flight.fly(Span::from_secs(40));
    assert_eq!(standing(&flight), before);
    flight.error_rate = Ok(0.002);
    flight.fly(Span::from_secs(10));
    assert!(standing(&flight).new.all > before.new.all);
    // A trigger that evidence decides goes blind as every other.
    flight.error_rate = down();
    flight.fly(Span::from_mins(2));
    assert!(flight.run().triggers[2].blind.is_some());
    assert_eq!(flight.run().held.as_ref().map(|held| held.cause), Some(HoldCause::NoData));
}

#[test]
fn an_engine_that_takes_over_goes_on_from_the_last_record_and_never_bets_twice() {
    let mut flight = watched(claiming(runbook(), SHARE, COUNTDOWN));
    flight.counts.insert("green".into(), Counts::new(4.0, 1000.0));
    while cards(&flight).is_empty() {
        flight.fly(Span::from_secs(1));
    }
    let (_, card) = cards(&flight).pop().unwrap();
    assert!(card.reached[0].is_some() && card.worse.is_none());
    flight.counts.clear();
    flight.fly(Span::from_mins(1));
    flight.resume();
    flight.counts.insert("green".into(), Counts::new(0.0, 1.0));
    flight.fly(Span::from_secs(10));
    let after = standing(&flight);
    assert!((after.new.all - card.new.all - 1.0).abs() < 1e-9, "{after:?} after {card:?}");
    let gathering = flight.machine.evidence.values().next().unwrap();
    let due = flight.now.since(flight.run().evidence[&0].since).as_secs() / 10;
    assert!(u64::from(gathering.came()) + 1 >= due, "{} of {due} samples are used up", gathering.came());
    assert_eq!(flight.count("evidence_began"), 1, "no new budget of false alarms");
    flight.counts.insert("green".into(), Counts::new(50.0, 1000.0));
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.count("trigger_fired"), 1);
}

#[test]
fn a_verdict_that_a_person_calls_wrong_takes_new_evidence_even_after_a_restart() {
    let mut flight = watched(claiming(runbook(), SHARE, COUNTDOWN));
    flight.counts.insert("green".into(), Counts::new(50.0, 1000.0));
    flight.fly(Span::from_secs(15));
    assert_eq!(flight.count("trigger_fired"), 1);
    flight.counts.insert("green".into(), Counts::new(0.0, 1000.0));
    flight.command(Command::CancelCountdown { trigger: 2, reason: "a client's bug".to_owned() });
    assert_eq!(flight.refused, None);
    flight.fly(Span::from_secs(60));
    assert!(standing(&flight).new.bad < 1.0);
    flight.resume();
    flight.fly(Span::from_secs(60));
    assert_eq!(flight.count("trigger_fired"), 1);
    flight.counts.insert("green".into(), Counts::new(50.0, 1000.0));
    flight.fly(Span::from_secs(20));
    assert_eq!(flight.count("trigger_fired"), 2);
    flight.command(Command::CancelCountdown { trigger: 2, reason: String::new() });
    refused(&flight, "say why");
}

#[test]
fn what_was_before_sets_the_terms_and_too_little_of_it_is_said() {
    let terms = |flight: &Flight| flight.run().evidence[&0].clone();
    // Steady: the share before and a little more; not below what is normal.
    let steady = terms(&watched(claiming(runbook(), Than::Before, COUNTDOWN)));
    let p0 = steady.terms.unwrap().p0;
    assert!(p0 > 0.0004 && p0 < 0.0015, "{p0}");
    assert_eq!(steady.remark, None);
    // In bursts.
    let mut flight = Flight::passed(claiming(runbook(), SHARE, COUNTDOWN), 2);
    hour(&mut flight, "blue", |minute| if minute % 4 == 0 { 24.0 } else { 0.0 });
    flight.start();
    assert!(terms(&flight).terms.unwrap().phi > 5.0);
    // Two minutes of an incident are not how it is.
    let mut flight = Flight::passed(claiming(runbook(), SHARE, COUNTDOWN), 2);
    hour(&mut flight, "blue", |minute| if minute == 45 || minute == 46 { 180.0 } else { 2.4 });
    flight.start();
    let after = terms(&flight);
    assert!((after.terms.unwrap().phi - 1.0).abs() < 1e-9);
    assert!(after.remark.clone().unwrap().contains("2:00 of it are left out"), "{after:?}");
    // Three minutes.
    let mut flight = Flight::passed(claiming(runbook(), SHARE, COUNTDOWN), 2);
    flight.start();
    let short = terms(&flight);
    assert!((short.terms.unwrap().phi - 2.0).abs() < 1e-9);
    assert!(short.remark.clone().unwrap().contains("were counted before the switch"), "{short:?}");
    // Nothing at all, and nothing is called normal.
    let mut book = claiming(runbook(), Than::Before, COUNTDOWN);
    book.metrics.iter_mut().for_each(|metric| metric.normal = None);
    let mut flight = Flight::passed(book, 2);
    flight.start();
    let nothing = terms(&flight);
    assert!(nothing.terms.is_none() && nothing.remark.unwrap().contains("no verdict is possible"));
}

#[test]
fn where_both_versions_have_users_what_fails_for_both_condemns_neither() {
    for (old, fires) in [(Counts::new(50.0, 5000.0), false), (Counts::new(2.0, 5000.0), true)] {
        let mut flight = sipping(claiming(canary_route(), SHARE, COUNTDOWN));
        flight.counts.insert("canary".into(), Counts::new(10.0, 1000.0));
        flight.counts.insert("stable".into(), old);
        flight.both_have_users();
        assert_eq!(flight.count("trigger_fired") > 0, fires, "{:?}", flight.run().triggers);
        let card = cards(&flight).pop();
        assert_eq!(card.is_some(), fires);
        if let Some((words, card)) = card {
            assert!(words.contains("; STABLE "), "{words}");
            assert_eq!(card.against.as_ref().unwrap().slot, "stable");
            assert_eq!(card.check(), Ok(()));
        }
    }
}

#[test]
fn slots_that_are_scraped_at_different_moments_are_compared_all_the_same() {
    let mut flight = sipping(claiming(canary_route(), SHARE, COUNTDOWN));
    flight.counts.insert("canary".into(), Counts::new(10.0, 1000.0));
    // As a scrape every half minute looks to one who asks every ten seconds.
    for round in 0..30 {
        let old = if round % 3 == 2 { Counts::new(150.0, 15_000.0) } else { Counts::NONE };
        flight.counts.insert("stable".into(), old);
        flight.both_sampled();
    }
    assert_eq!(flight.count("trigger_fired"), 0, "both fail alike");
    let standing = standing(&flight);
    assert!((standing.old.unwrap().all - 150_000.0).abs() < 1e-9, "{standing:?}");
    assert!((standing.new.all - 30_000.0).abs() < 1e-9, "nothing is lost: {standing:?}");
    // A previous slot that is not measured any more is not waited for for ever.
    flight.counts.insert("stable".into(), Counts::NONE);
    for _ in 0..12 {
        flight.both_sampled();
    }
    assert!(flight.machine.standings().next().unwrap().new.all > 38_000.0);
}

#[test]
fn a_claim_is_the_same_whoever_makes_it() {
    let mut book = claiming(runbook(), SHARE, COUNTDOWN);
    let worse = Worse { certainty: 0.99, ..Worse::usual(SHARE) };
    let mut other = book.triggers[2].clone();
    other.watch.as_mut().unwrap().rule = Rule::Worse(worse);
    book.triggers.push(other);
    let check = measured("x", "error_rate", Condition::NotWorse(SHARE));
    assert!(matches!(&check.kind, CheckKind::Metric { slot: None, .. }));
    book.completion.check.push(check);
    assert_eq!(book.claims().len(), 2);
    assert_eq!((book.claim_of(0), book.claim_of(2), book.claim_of(3)), (None, Some(0), Some(1)));
    let json = serde_json::to_string(&book).unwrap();
    assert_eq!(serde_json::from_str::<Runbook>(&json).unwrap(), book, "as journals keep it");
}

impl Flight {
    /// Samples of both slots for two minutes.
    fn both_have_users(&mut self) {
        for _ in 0..12 {
            self.both_sampled();
        }
    }

    /// One sample of each slot, ten seconds later.
    fn both_sampled(&mut self) {
        self.now = self.now + Span::from_secs(10);
        for slot in ["canary", "stable"] {
            self.sample("error_rate", slot, Ok(0.01));
        }
        self.feed(Input::Tick);
    }
}
