//! The evidence on the screen: in words, with what follows from it, and never "fine" for want of traffic.

use std::sync::Arc;

use super::fixture::Told;
use crate::{
    domain::{
        claim::{Stage, Standing},
        event::RunEvent,
        evidence::{counts::Counts, terms::Terms},
        message::Update,
        run::TriggerState,
        runbook::{Rule, Trigger, TriggerWatch},
        worse::{Than, Worse},
    },
    tui::alerts,
};

/// The window of a runbook that claims `worse than 0.1%` of its error rate.
fn claiming() -> Told {
    let mut told = Told::in_window(180);
    let run = told.model.run.as_mut().unwrap();
    let mut runbook = (*run.runbook).clone();
    let fixed = runbook.triggers[0].watch.clone().unwrap();
    let rule = Rule::Worse(Worse::usual(Than::Share(0.001)));
    let watch = Some(TriggerWatch { rule, ..fixed });
    runbook.triggers.push(Trigger { reason: "error rate worse than 0.1 %".to_owned(), watch });
    run.triggers.push(TriggerState::default());
    run.runbook = Arc::new(runbook);
    let terms = Terms::new(0.001, 0.001, 240, 100.0);
    told.after(
        0,
        RunEvent::EvidenceBegan {
            claim: 0,
            metric: "error_rate".into(),
            than: Than::Share(0.001),
            terms: Some(terms),
            remark: None,
        },
    );
    told
}

fn standing(stage: Stage, percent: f64, bad: f64, all: f64) -> Update {
    let below = (stage == Stage::Open).then_some(0.0014);
    let new = Counts::new(bad, all);
    Update::Evidence { standings: vec![Standing { claim: 0, stage, percent, new, old: None, below }] }
}

/// A screen's words without what its width does to them; where panes stand side by side, those of the last.
fn words(told: &mut Told, size: (u16, u16)) -> String {
    let screen = told.screen(size.0, size.1);
    let last = screen.lines().filter_map(|line| line.rsplit('│').next());
    last.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_meter_is_shown_in_words_and_grows_into_an_alert() {
    let mut told = claiming();
    told.tell(standing(Stage::Open, 12.4, 4.0, 3120.0));
    let calm = words(&mut told, (200, 60));
    assert!(
        calm.contains("evidence that GREEN is worse than 0.1 %: 12 % of what it takes (4 of 3,120 failed)"),
        "{calm}"
    );
    assert!(calm.contains("; with 99 % certainty below 0.14 %"), "{calm}");
    let evident =
        |told: &Told| alerts::all(&told.model).into_iter().find(|alert| alert.word == "watch: evidence");
    assert_eq!(evident(&told), None, "chance gives as much");
    told.tell(standing(Stage::Open, 73.9, 41.0, 3120.0));
    let alert = evident(&told).unwrap();
    assert!(
        alert
            .headline
            .starts_with("evidence that GREEN is worse than 0.1 %: 73 % of what it takes (41 of 3,120")
    );
    assert_eq!(alert.meter, Some((73, 100)));
    assert_eq!(alert.follows, "With enough of it: 30s countdown, then rollback.");
    for size in [(80, 24), (120, 36)] {
        assert!(words(&mut told, size).contains("73 % of what it takes"), "{}", told.screen(size.0, size.1));
    }
    told.tell(standing(Stage::Worse, 100.0, 60.0, 3300.0));
    assert!(
        words(&mut told, (120, 36))
            .contains("GREEN is worse than 0.1 %: 60 of 3,300 failed (99.9 % certain)")
    );
}

#[test]
fn too_little_traffic_is_said_and_is_not_well() {
    let mut told = claiming();
    told.tell(standing(Stage::TooLittle, 0.0, 0.0, 40.0));
    let screen = words(&mut told, (200, 60));
    assert!(
        screen.contains("? too little traffic (40 of 100 events) to say whether GREEN is worse than 0.1 %"),
        "{screen}"
    );
}
