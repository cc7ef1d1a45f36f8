#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

mod truth;

use super::*;

pub(super) const T0: i64 = 1_800_000_000_000;

pub(super) fn at(s: i64) -> Timestamp {
    Timestamp(T0 + s * 1000)
}

fn key(name: &str) -> SeriesKey {
    SeriesKey::of([("pod", name)])
}

fn answer(s: i64, bad: &[(&str, f64)], all: &[(&str, f64)]) -> Answer {
    let keyed = |series: &[(&str, f64)]| series.iter().map(|(name, value)| (key(name), *value)).collect();
    Answer { at: at(s), counted: keyed(bad), all: keyed(all) }
}

#[test]
fn the_first_answer_counts_nothing_and_the_next_one_its_increase() {
    let mut counters = Counters::new(Counted::Bad);
    assert!(!counters.begun());
    assert_eq!(counters.take(&answer(0, &[("a", 7.0)], &[("a", 1000.0)])), Counts::NONE);
    assert!(counters.begun());
    assert_eq!(counters.take(&answer(5, &[("a", 9.0)], &[("a", 1500.0)])), Counts::new(2.0, 500.0));
}

#[test]
fn one_restart_among_many_is_not_lost_in_the_sum() {
    let mut counters = Counters::new(Counted::Bad);
    counters.take(&answer(0, &[], &[("a", 1000.0), ("b", 5000.0)]));
    let added = counters.take(&answer(5, &[], &[("a", 40.0), ("b", 5300.0)]));
    assert_eq!(added, Counts::new(0.0, 340.0), "the sum fell by 660");
}

#[test]
fn what_appears_counts_from_what_is_seen_first_or_from_zero_if_told() {
    let mut counters = Counters::new(Counted::Bad);
    counters.take(&answer(0, &[], &[("a", 100.0)]));
    let added = counters.take(&answer(5, &[("a", 3.0)], &[("a", 200.0), ("b", 9000.0)]));
    assert_eq!(added, Counts::new(0.0, 100.0));
    counters.appear_from_zero();
    let added =
        counters.take(&answer(10, &[("a", 5.0), ("c", 4.0)], &[("a", 300.0), ("b", 9001.0), ("c", 50.0)]));
    assert_eq!(added, Counts::new(6.0, 151.0));
}

#[test]
fn the_first_answer_counts_nothing_even_on_the_new_slot() {
    let mut counters = Counters::new(Counted::Bad);
    counters.appear_from_zero();
    assert_eq!(counters.take(&answer(0, &[("a", 7.0)], &[("a", 1000.0)])), Counts::NONE);
}

#[test]
fn a_gap_is_covered_and_what_is_gone_for_good_starts_anew() {
    let series = |value: f64| [("a", value)];
    let mut counters = Counters::new(Counted::Bad);
    counters.appear_from_zero();
    counters.take(&answer(0, &[], &series(100.0)));
    assert_eq!(counters.take(&answer(3600, &[], &series(900.0))).all, 800.0, "no answer for an hour");
    assert_eq!(counters.take(&answer(3605, &[], &[])).all, 0.0);
    assert_eq!(counters.take(&answer(3900, &[], &series(1000.0))).all, 100.0, "missing for 4:55");
    assert_eq!(counters.take(&answer(4000, &[], &[])).all, 0.0);
    assert_eq!(counters.take(&answer(4300, &[], &series(1400.0))).all, 0.0, "for 5:00, and counted before");
    assert_eq!(counters.take(&answer(4305, &[], &series(1410.0))).all, 10.0);
}

#[test]
fn what_was_scraped_twice_adds_nothing() {
    let mut counters = Counters::new(Counted::Bad);
    counters.take(&answer(0, &[], &[("a", 100.0)]));
    counters.take(&answer(5, &[], &[("a", 150.0)]));
    assert_eq!(counters.take(&answer(5, &[], &[("a", 170.0)])), Counts::NONE);
    assert_eq!(counters.take(&answer(4, &[], &[("a", 140.0)])), Counts::NONE, "an older answer, come late");
    assert_eq!(
        counters.take(&answer(10, &[], &[("a", 170.0), ("a", 900.0)])).all,
        20.0,
        "the same labels twice"
    );
}

#[test]
fn good_ones_are_taken_from_all_and_never_fall_below_none() {
    let mut counters = Counters::new(Counted::Good);
    counters.take(&answer(0, &[("a", 90.0)], &[("a", 100.0)]));
    assert_eq!(counters.take(&answer(5, &[("a", 180.0)], &[("a", 200.0)])), Counts::new(10.0, 100.0));
    // The bucket was read a moment after the count: five more good ones are in it already.
    assert_eq!(counters.take(&answer(10, &[("a", 285.0)], &[("a", 300.0)])), Counts::new(0.0, 100.0));
    assert_eq!(counters.take(&answer(15, &[("a", 380.0)], &[("a", 400.0)])), Counts::new(0.0, 100.0));
    assert_eq!(counters.take(&answer(20, &[("a", 379.0), ("b", 1.0)], &[("a", 500.0)])).all, 100.0);
}

#[test]
fn numbers_that_no_counter_has_are_left_out() {
    let mut counters = Counters::new(Counted::Bad);
    counters.take(&answer(0, &[], &[("a", 100.0), ("b", f64::NAN), ("c", -4.0)]));
    let added = counters.take(&answer(5, &[], &[("a", f64::INFINITY), ("b", 3.0), ("c", 5.0)]));
    assert_eq!(added, Counts::NONE);
    assert_eq!(counters.take(&answer(10, &[], &[("a", 130.0), ("b", 4.0), ("c", 6.0)])).all, 32.0);
}

#[test]
fn thousands_of_series_cost_little() {
    let keys: Vec<SeriesKey> = (0..5000).map(|pod| SeriesKey::of([("pod", pod.to_string())])).collect();
    let mut counters = Counters::new(Counted::Bad);
    let begun = std::time::Instant::now();
    let mut total = Counts::NONE;
    for s in 0..20 {
        let series = |step: f64| keys.iter().map(|key| (*key, f64::from(s) * step)).collect();
        total += counters.take(&Answer { at: at(i64::from(s)), counted: series(1.0), all: series(10.0) });
    }
    assert_eq!(total, Counts::new(19.0 * 5000.0, 190.0 * 5000.0));
    assert!(begun.elapsed().as_millis() < 20 * 100, "{:?} for 20 answers", begun.elapsed());
}
