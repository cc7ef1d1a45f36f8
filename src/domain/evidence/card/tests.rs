use super::{
    super::terms::{Compared, Weighed},
    *,
};

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
    let terms = Terms::new(0.001, 0.001, 180, 100.0);
    let terms = Terms { phi: 1.3, weighed: Weighed::Evenly, compared: Compared::AtOnce, ..terms };
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

/// E of a card by the page in docs/, from its JSON alone: nothing of what has computed it is used.
fn by_hand(card: &serde_json::Value) -> f64 {
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let terms = &card["terms"];
    let (p0, phi, starts) = (number(&terms["p0"]), number(&terms["phi"]), number(&terms["starts"]));
    let samples = card["samples"].as_array().unwrap();
    // ln of what each bet gains in each sample, alone and beside.
    let bets: Vec<f64> = (0..40).map(|j| (1.5 * p0) * (0.9 / (1.5 * p0)).powf(f64::from(j) / 39.0)).collect();
    let old_of = |at: usize, shift: isize| {
        let n = number(&samples[at]["new"][1]);
        let own = samples[at].get("old")?;
        let other = at.checked_add_signed(shift).and_then(|at| samples.get(at)?.get("old"));
        Some(other.filter(|other| number(&other[1]) >= 0.1 * n).unwrap_or(own))
    };
    let table = |shift: isize| {
        let (mut lately, mut place, mut begun) = ([0.0_f64, 0.0], 0.0_f64, Vec::new());
        for sample in samples {
            let compared_with = old_of(begun.len(), shift);
            place += sample["lost"].as_f64().unwrap_or(0.0);
            let early = terms["weighed"] == "early";
            let compared = samples[..=begun.len()].iter().any(|sample| sample.get("old").is_some());
            let times = (place / starts).floor();
            let weight = |first: f64| {
                let equal = if times < 1.0 { 0.9 - first } else { 0.1 / times / (times + 1.0) } / starts;
                if place > 0.0 { equal } else { equal + first }
            };
            let (alone_weight, beside_weight) = match (early, compared) {
                (false, _) => (weight(0.0), weight(0.0)),
                (true, false) => (weight(0.05), weight(0.05)),
                (true, true) => (weight(0.05), weight(0.45)),
            };
            place += 1.0;
            let (k, n) = (number(&sample["new"][0]), number(&sample["new"][1]));
            let parts: Vec<f64> = match compared_with {
                Some(old) if early => {
                    let part = |p: &f64| p / p0 * n / (p / p0 * n + number(&old[1]));
                    bets.iter().map(part).map(|part| part * (1.0 - part)).collect()
                }
                _ => vec![1.0; 40],
            };
            let mean = parts.iter().sum::<f64>() / 40.0;
            let beside_weights: Vec<f64> = parts.iter().map(|part| beside_weight * part / mean).collect();
            let alone =
                bets.iter().map(|p| (k * (p / p0).ln() + (n - k) * ((1.0 - p) / (1.0 - p0)).ln()) / phi);
            let alone: Vec<f64> = alone.collect();
            let beside: Vec<f64> = if let Some(old) = compared_with {
                let (l, m) = (number(&old[0]), number(&old[1]));
                let usual = terms["usual"].as_f64().unwrap_or(f64::INFINITY);
                let times = if lately[1] > 0.0 { lately[0] / lately[1] / usual } else { 1.0 };
                lately = [
                    lately[0] * 0.9 + number(&sample["old"][0]),
                    lately[1] * 0.9 + number(&sample["old"][1]),
                ];
                let phi = 1.0 + (phi - 1.0) * times.max(1.0);
                let gain = |p: &f64| {
                    let of_new = p / p0 * n / (p / p0 * n + m);
                    (k * (of_new / (n / (n + m))).ln() + l * ((1.0 - of_new) / (m / (n + m))).ln()) / phi
                };
                bets.iter().map(gain).collect()
            } else {
                alone.clone()
            };
            begun.push((vec![alone_weight; 40], alone, beside_weights, beside));
        }
        // What comes after the newest sample is not known.
        if shift > 0 && samples.last().is_some_and(|sample| sample.get("old").is_some()) {
            begun.pop();
        }
        begun
    };
    let e = |beside: bool, shift: isize| {
        let begun = table(shift);
        let mut sum = 0.0;
        for start in 0..begun.len() {
            for bet in 0..bets.len() {
                let gained = begun[start..].iter().map(|it| if beside { it.3[bet] } else { it.1[bet] });
                let weights = if beside { &begun[start].2 } else { &begun[start].0 };
                sum += weights[bet] * gained.sum::<f64>().exp() / 40.0;
            }
        }
        sum
    };
    let around = terms["compared"] == "around" && samples.iter().any(|sample| sample.get("old").is_some());
    let shifts: &[isize] = if around { &[-1, 0, 1] } else { &[0] };
    let squared = |shift: &isize| if *shift == 0 { 1 } else { 2 };
    shifts.iter().map(|shift| e(true, *shift).powi(squared(shift))).fold(e(false, 0), f64::min)
}

#[test]
fn a_reader_who_knows_nothing_but_the_page_computes_the_same() {
    let bursty = Terms { phi: 1.7, usual: Some(0.001), ..Terms::new(0.002, 0.001, 30, 100.0) };
    let mut meter = Meter::new(bursty).unwrap();
    for sample in 1..25 {
        meter.add(at(sample), Counts::new(f64::from(u8::from(sample % 3 == 0)), 400.0));
    }
    meter.pass_over(20);
    for sample in 45..60_i32 {
        let old = Counts::new(f64::from(sample % 4), 300.0 + f64::from(sample % 5 * 400));
        let new = Counts::new(4.0, 300.0 + f64::from(sample % 7 * 900));
        meter.add_beside(at(sample.into()), new, old);
    }
    for card in [card(), Card::of(&meter, selectors("green"), None)] {
        let json = serde_json::to_value(&card).unwrap();
        let (says, is) = (json["ln_e"].as_f64().unwrap(), by_hand(&json).ln());
        assert!((says - is).abs() < 1e-9 * says.abs().max(1.0), "{says} {is}");
    }
}

#[test]
fn a_record_of_before_is_computed_as_it_was() {
    let mut json = serde_json::to_value(card()).unwrap();
    let terms = json["terms"].as_object().unwrap();
    assert!(["usual", "weighed", "compared"].iter().all(|later| !terms.contains_key(*later)), "{json}");
    let read: Card = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(read.check(), Ok(()));
    json["terms"]["usual"] = serde_json::json!(0.000_5);
    let other: Card = serde_json::from_value(json).unwrap();
    assert!(matches!(other.check(), Err(Disagreement::Evidence { .. })));
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
    let terms = Terms::new(0.001, 0.001, 10, 0.0);
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
fn samples_that_are_left_out_have_used_up_their_bets() {
    let mut card = card();
    card.samples[3].lost = 5;
    let came = card.came();
    assert_eq!(came, 78 + 5);
    card.keep_newest(10);
    assert_eq!((card.samples.len(), card.left_out, card.samples[0].lost), (10, 68, came - 10));
    assert_eq!((card.came(), card.meter().unwrap().came()), (came, came));
    assert_eq!(card.check(), Err(Disagreement::LeftOut(68)));
    card.keep_newest(10);
    assert_eq!(card.came(), came);
}

#[test]
fn a_card_without_events_is_no_verdict() {
    let terms = Terms::new(0.001, 0.001, 10, 0.0);
    let card = Card::of(&Meter::new(terms).unwrap(), selectors("green"), None);
    let read: Card = serde_json::from_str(&serde_json::to_string(&card).unwrap()).unwrap();
    assert_eq!((read.check(), read.finding(), read.ln_e), (Ok(()), Finding::TooLittle, None));
}
