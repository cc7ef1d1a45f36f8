//! A slot that nobody asks has no rates. Wherever a number of it would be shown the screen says "no traffic": neither zero, nor a
//! fault. What is a fault is told as one there as well.

use regex::Regex;

use super::fixture::Told;
use crate::domain::{
    message::Update,
    metric::{Missing, Sample},
};

/// What "nobody asks" looks like, by source and query.
fn nobody() -> [Missing; 4] {
    [Missing::NoData, Missing::NotANumber, Missing::ZeroByZero, Missing::EmptyRatio]
}

fn missing(told: &mut Told, slot: &str, why: &Missing) {
    let at = told.model.now;
    let metrics: Vec<_> =
        told.run().runbook.metrics.iter().filter(|metric| metric.per_slot).cloned().collect();
    let samples = metrics.into_iter().map(|metric| Sample {
        metric: metric.id,
        slot: Some(slot.into()),
        at,
        value: Err(why.clone()),
        counts: None,
    });
    let samples = samples.collect();
    told.tell(Update::Samples { samples, backfill: false });
}

/// The rows that show a metric of this slot: its name and its line of bars.
fn rows(told: &mut Told, slot: &str, (width, height): (u16, u16)) -> Vec<String> {
    let row = Regex::new(&format!(r"{}\s+[·▁▂▃▄▅▆▇█]{{2}}", slot.to_uppercase())).unwrap();
    told.screen(width, height).lines().filter(|line| row.is_match(line)).map(str::to_owned).collect()
}

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 60)];

/// A state with the slot that has no traffic in it.
fn states() -> [(&'static str, Told, &'static str); 3] {
    [
        ("before the switch", Told::before_switch(), "green"),
        ("in the window", Told::in_window(400), "blue"),
        ("rolled back", Told::rolled_back(), "green"),
    ]
}

#[test]
fn an_idle_slot_says_no_traffic_wherever_a_number_of_it_is_shown() {
    for why in nobody() {
        for (name, mut told, idle) in states() {
            missing(&mut told, idle, &why);
            let mut found = 0;
            for size in SIZES {
                for row in rows(&mut told, idle, size) {
                    found += 1;
                    assert!(row.contains("no traffic"), "{name}, {why:?}, {size:?}: {row}");
                    assert!(!row.contains("NO DATA") && !row.contains("NO TRAFFIC"), "{name}: {row}");
                }
            }
            // The window's table is about the slot that has the users.
            assert!(found >= 2 || name == "in the window", "{name}: no row of {idle}");
        }
    }
}

#[test]
fn a_slot_that_has_the_users_never_says_it_in_passing() {
    for why in nobody() {
        let mut told = Told::in_window(400);
        missing(&mut told, "green", &why);
        let screen = told.screen(120, 36);
        let rows: Vec<&str> = screen.lines().skip(5).filter(|line| line.contains("Error rate")).collect();
        let loud = |row: &&str| row.contains("NO TRAFFIC") || row.contains("NO DATA");
        assert!(!rows.is_empty() && rows.iter().all(loud), "{why:?}: {rows:#?}");
    }
}

#[test]
fn a_fault_of_an_idle_slots_metric_is_told_as_a_fault() {
    for (name, mut told, idle) in states() {
        missing(&mut told, idle, &Missing::Unreachable("connection refused".to_owned()));
        for row in rows(&mut told, idle, (120, 36)) {
            assert!(row.contains("NO DATA") && !row.contains("no traffic"), "{name}: {row}");
        }
    }
}
