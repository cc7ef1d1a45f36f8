//! Advice on pasts whose truth is known, because it was planted.

use proptest::prelude::*;

use super::{
    super::{advice::Advice, judge::judge, past_run::PastRun, trial::Measured},
    WINDOW, measured, metric, over, run, told, trigger, worse,
};
use crate::domain::{
    metric::{Bound, Op, Unit},
    runbook::{OnNoData, Rule, TriggerWatch},
    time::Span,
};

/// A rule as the advice words it.
fn rule_of(text: &str) -> Rule {
    let (bound, hold_for) = text.split_once(" for ").unwrap();
    let (op, value) = bound.split_once(' ').unwrap();
    let op = match op {
        ">" => Op::Gt,
        "<" => Op::Lt,
        op => panic!("{op}"),
    };
    let value: f64 = value.strip_suffix(" %").unwrap().parse().unwrap();
    Rule::Fixed { when: Bound { op, value: value / 100.0 }, hold_for: hold_for.parse().unwrap() }
}

/// Whether a fixed rule of this bound fires where so many of 1,500 are bad from the first sample of 60 on, by arithmetic alone.
fn fires(when: Bound, bad: u32) -> bool {
    when.holds(f64::from(bad) / 1500.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    /// Levels are planted. There is a bound that separates them where the worst harmless one is below the mildest bad one, and only
    /// there; what is advised then does separate them, as it is written.
    #[test]
    fn a_bound_is_advised_where_one_exists_and_it_does_what_is_said(
        harmless in proptest::collection::vec(0u32..60, 1..6),
        bad in proptest::collection::vec(0u32..90, 0..4),
        declared in 1u32..90,
    ) {
        let quiet: Vec<Measured> =
            (0..).zip(&harmless).map(|(index, level)| measured(index * 900, |_| f64::from(*level))).collect();
        let back = run(Some(90_600));
        let runs: Vec<(&PastRun, Measured)> =
            bad.iter().map(|level| (&back, measured(90_000, |_| f64::from(*level)))).collect();
        let value = f64::from(declared) / 1500.0;
        let judged = told(over(value), &quiet, &runs);
        let separates = |when: Bound| {
            harmless.iter().all(|level| !fires(when, *level)) && bad.iter().all(|level| fires(when, *level))
        };
        let worst = harmless.iter().max().unwrap();
        let exists = bad.iter().min().is_none_or(|least| worst < least);
        let as_it_is = separates(Bound { op: Op::Gt, value });
        match &judged.advice {
            Advice::Keep => prop_assert!(as_it_is),
            Advice::Instead(text) => {
                let Rule::Fixed { when, .. } = rule_of(text) else { panic!() };
                prop_assert!(!as_it_is, "{text}");
                prop_assert!(separates(when), "{text}: {harmless:?} {bad:?}");
            }
            Advice::None(why) => prop_assert!(!exists, "{why}: {harmless:?} {bad:?}"),
        }
        prop_assert_eq!(exists, judged.proof.is_some());
        if let Some(proof) = judged.proof {
            prop_assert_eq!((proof.quiet, proof.caught), (harmless.len(), bad.len()));
        }
    }

    /// The same for evidence: what is advised is asked once more, of every window and run.
    #[test]
    fn a_certainty_that_is_advised_is_quiet_and_catches(
        harmless in proptest::collection::vec(0u32..14, 1..5),
        bad in 6u32..60,
        share in 1u32..8,
    ) {
        let quiet: Vec<Measured> =
            (0..).zip(&harmless).map(|(index, level)| measured(index * 900, |_| f64::from(*level))).collect();
        let back = run(Some(90_600));
        let found = measured(90_000, |_| f64::from(bad));
        let declared = worse(f64::from(share) / 1000.0, 0.999);
        let judged = told(declared, &quiet, &[(&back, found.clone())]);
        let advised = match &judged.advice {
            Advice::None(_) => return Ok(()),
            Advice::Keep => declared,
            Advice::Instead(text) => {
                let words = text.strip_prefix("worse than ").unwrap().strip_suffix(" certainty").unwrap();
                let (share, certainty) = words.split_once(" with ").unwrap();
                let number = |text: &str| text.strip_suffix(" %").unwrap().parse::<f64>().unwrap() / 100.0;
                worse(number(share), number(certainty))
            }
        };
        let Rule::Worse(claim) = advised else { panic!() };
        for measured in &quiet {
            prop_assert_eq!(measured.weigh(claim, &metric(), WINDOW).unwrap().worse, None, "{:?}", judged.advice);
        }
        prop_assert!(found.weigh(claim, &metric(), WINDOW).unwrap().worse.is_some(), "{:?}", judged.advice);
    }
}

#[test]
fn a_share_of_successes_has_a_bound_below() {
    let successes = |from: u64, bad: f64| {
        let mut measured = measured(from, move |_| bad);
        for sample in &mut measured.samples {
            sample.value = sample.value.clone().map(|value| 1.0 - value);
        }
        measured
    };
    let below = |value| Rule::Fixed { when: Bound { op: Op::Lt, value }, hold_for: Span::from_mins(5) };
    // 99.8 % and 98 %: the runbook has 99.9 %, which is never quiet, or 90 %, which catches nothing.
    let harmless = [successes(0, 3.0), successes(900, 2.0)];
    let back = run(Some(90_600));
    for declared in [0.999, 0.9] {
        let judged = told(below(declared), &harmless, &[(&back, successes(90_000, 30.0))]);
        assert_eq!(judged.advice, Advice::Instead("< 99 % for 5m".to_owned()), "{declared}");
        assert_eq!(judged.proof.unwrap().room, Some(["< 99.8 %".to_owned(), "< 98 %".to_owned()]));
    }
    assert_eq!(told(below(0.99), &harmless, &[]).advice, Advice::Keep);
}

#[test]
fn what_was_as_bad_without_a_release_is_named_with_its_time() {
    let harmless = [measured(0, |_| 2.0), measured(900, |_| 60.0)];
    let back = run(Some(90_600));
    let judged = told(over(0.01), &harmless, &[(&back, measured(90_000, |_| 45.0))]);
    let Advice::None(why) = judged.advice else { panic!("{:?}", judged.advice) };
    assert!(why.contains("08:15:00.000Z without a release was as bad (4 %) as run run (3 %)"), "{why}");
    assert!(why.ends_with("leave it out with --except"), "{why}");
    // Without a run to compare it with, and by evidence.
    let judged = told(worse(0.001, 0.999), &harmless, &[]);
    let Advice::None(why) = judged.advice else { panic!("{:?}", judged.advice) };
    assert!(why.contains("08:15:00.000Z without a release is the worst (E = "), "{why}");
}

#[test]
fn a_run_that_ended_before_anything_could_fire_is_not_held_against_a_bound() {
    let harmless = [measured(0, |_| 2.0)];
    let soon = PastRun { run_id: "soon".into(), ..run(Some(90_120)) };
    let mut short = measured(90_000, |_| 300.0);
    short.samples.truncate(8);
    short.window.to = short.window.from + Span::from_mins(2);
    let late = run(Some(90_600));
    let judged = told(over(0.1), &harmless, &[(&soon, short.clone()), (&late, measured(90_000, |_| 45.0))]);
    let proof = judged.proof.unwrap();
    assert_eq!((proof.caught, proof.out_of_reach), (1, vec!["soon".to_owned()]));
    assert!(matches!(judged.advice, Advice::Instead(_)), "{:?}", judged.advice);
    // Evidence needs no five minutes.
    let judged = told(worse(0.001, 0.999), &harmless, &[(&soon, short)]);
    assert_eq!((judged.advice, judged.proof.unwrap().caught), (Advice::Keep, 1));
}

#[test]
fn a_rule_that_cannot_fire_or_fires_on_nothing_is_told_as_that() {
    let harmless = [measured(0, |_| 60.0)];
    let never = Rule::Fixed { when: Bound { op: Op::Gt, value: 0.01 }, hold_for: Span::from_mins(20) };
    let Advice::None(why) = told(never, &harmless, &[]).advice else { panic!() };
    assert!(why.contains("nothing fires in any window"), "{why}");
    // A gap of two minutes, and a trigger that takes that for a breach.
    let mut gap = measured(0, |_| 2.0);
    for sample in &mut gap.samples[20..32] {
        (sample.value, sample.counts) = (Err(crate::domain::metric::Missing::NoData), None);
    }
    let mut trigger = trigger(over(0.01));
    let watch = TriggerWatch { no_data: OnNoData::Rollback, ..trigger.watch.unwrap() };
    trigger.watch = Some(watch);
    let judged = judge(&trigger, &metric(), WINDOW, &[gap], &[]).unwrap();
    let Advice::None(why) = judged.advice else { panic!("{:?}", judged.advice) };
    assert!(why.starts_with("it fires where nothing is measured"), "{why}");
    assert_eq!(Unit::Percent, metric().unit);
}
