use super::*;

fn at(sample: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + sample * 5000)
}

fn selectors(slot: &str) -> Selectors {
    Selectors {
        what: Counted::Bad,
        counted: format!("http_requests_total{{code=~\"5..\",slot=\"{slot}\"}}"),
        all: format!("http_requests_total{{slot=\"{slot}\"}}"),
    }
}

fn card() -> Card {
    let terms = Terms { p0: 0.001, alpha: 0.001, phi: 1.3, starts: 180, at_least: 100.0 };
    let mut meter = Meter::new(terms).unwrap();
    for sample in 1..40 {
        meter.add_beside(at(sample), Counts::new(1.0, 100.0), Counts::new(0.1 * 3.0, 300.0));
        meter.add(at(sample), Counts::new(2.0, 333.3));
    }
    let against = Against { slot: "blue".into(), selectors: selectors("blue") };
    Card::of(&meter, selectors("green"), Some(against))
}

#[test]
fn a_card_survives_the_journal_and_can_be_computed_again() {
    let card = card();
    assert!(card.worse.is_some(), "a verdict was reached");
    let json = serde_json::to_string(&card).unwrap();
    assert!(json.contains(r#""new":[1.0,100.0]"#), "{json}");
    let read: Card = serde_json::from_str(&json).unwrap();
    assert_eq!(read.check(), Ok(()));
    assert_eq!(read.finding(), card.finding());
    assert_eq!(read.meter().unwrap().shown().new, card.new);
}

#[test]
fn what_was_changed_does_not_agree() {
    let changed = |change: fn(&mut Card)| {
        let mut card = card();
        change(&mut card);
        card.check().unwrap_err()
    };
    assert!(matches!(changed(|card| card.samples[3].new.bad += 1.0), Disagreement::Counts { .. }));
    assert!(matches!(changed(|card| card.old = None), Disagreement::Counts { .. }));
    assert!(matches!(changed(|card| card.samples.swap(0, 1)), Disagreement::Evidence { .. }));
    assert!(matches!(changed(|card| card.terms.phi = 1.0), Disagreement::Evidence { .. }));
    assert!(matches!(changed(|card| card.ln_e = None), Disagreement::Evidence { .. }));
    assert_eq!(changed(|card| card.terms.p0 = 0.0), Disagreement::Terms(BadTerms::Share));
    assert_eq!(changed(|card| card.left_out = 7), Disagreement::LeftOut(7));
    let why = changed(|card| card.worse = Some(at(1)));
    assert!(matches!(why, Disagreement::Crossed { percent: 100, .. }), "{why}");
    let why = changed(|card| card.reached[1] = None);
    assert!(why.to_string().starts_with("it says that 50 % was reached: never"), "{why}");
}

#[test]
fn samples_that_were_lost_are_part_of_the_record() {
    let terms = Terms { p0: 0.001, alpha: 0.001, phi: 1.0, starts: 10, at_least: 0.0 };
    let mut meter = Meter::new(terms).unwrap();
    meter.add(at(1), Counts::new(1.0, 500.0));
    meter.pass_over(30);
    for sample in 40..45 {
        meter.add(at(sample), Counts::new(2.0, 500.0));
    }
    let card = Card::of(&meter, selectors("green"), None);
    let read: Card = serde_json::from_str(&serde_json::to_string(&card).unwrap()).unwrap();
    assert_eq!(read.check(), Ok(()));
    let mut other = read.clone();
    other.samples[1].lost = 0;
    assert!(matches!(other.check(), Err(Disagreement::Evidence { .. })), "bets began later than it says");
    assert_eq!(read.meter().unwrap().came(), 36);
}

#[test]
fn a_card_without_events_is_no_verdict() {
    let terms = Terms { p0: 0.001, alpha: 0.001, phi: 1.0, starts: 10, at_least: 0.0 };
    let card = Card::of(&Meter::new(terms).unwrap(), selectors("green"), None);
    let read: Card = serde_json::from_str(&serde_json::to_string(&card).unwrap()).unwrap();
    assert_eq!((read.check(), read.finding(), read.ln_e), (Ok(()), Finding::TooLittle, None));
}
