//! What the screen promises of a trigger is what would happen now, and it says why that is not what it said before.

use super::fixture::Told;
use crate::{
    domain::{
        event::RunEvent,
        message::Update,
        metric::{Missing, Sample},
        time::Span,
        trigger::Waits,
    },
    tui::alerts,
};

fn breach(told: &Told) -> String {
    let found = alerts::all(&told.model).into_iter().find(|alert| alert.headline.starts_with("BREACH"));
    found.expect("a breach").follows
}

fn says(told: &Told, begins: &str, why: &str) {
    let follows = breach(told);
    assert!(follows.starts_with(begins) && follows.contains(why), "{follows}");
}

#[test]
fn a_measured_breach_promises_a_time() {
    says(&Told::in_breach(), "In 1:20 a countdown starts", "");
}

#[test]
fn while_nothing_is_measured_the_time_is_the_earliest() {
    let mut told = Told::in_breach();
    let value = Err(Missing::Unreachable("connection refused".to_owned()));
    let at = told.model.now;
    let sample = Sample { metric: "error_rate".into(), slot: Some("green".into()), at, value };
    told.tell(Update::Samples { samples: vec![sample], backfill: false });
    says(&told, "In 1:20 at the earliest", "(not measured now: unreachable: connection refused)");
    told.wait(100);
    says(&told, "With the next breach that is measured", "not measured now");
}

#[test]
fn too_few_and_a_gap_say_so() {
    let mut told = Told::in_breach();
    let until = told.model.now + Span::from_secs(130);
    let why = Waits::TooFew { measured: 30, due: 61 };
    told.after(0, RunEvent::TriggerWaits { trigger: 0, until, why });
    says(&told, "In 2:10 at the earliest", "(30 of 61 samples measured, 60 % needed)");
    let why = Waits::Gap { unmeasured: Span::from_secs(60) };
    told.after(0, RunEvent::TriggerWaits { trigger: 0, until, why });
    says(
        &told,
        "5:00 after the next breach that is measured",
        "(not measured for 1:00, the clock starts anew)",
    );
    // A breach that nobody can see is both.
    told.after(0, RunEvent::TriggerBlind { trigger: 0, metric: "error_rate".into(), why: Missing::NoData });
    let all: Vec<String> = alerts::all(&told.model).into_iter().map(|alert| alert.headline).collect();
    assert!(all.iter().any(|alert| alert.starts_with("BLIND")), "{all:?}");
    assert!(!breach(&told).is_empty());
}
