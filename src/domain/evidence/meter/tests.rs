mod chance;
mod oracle;

use super::*;

pub(super) const P0: f64 = 0.001;

pub(super) fn at(sample: u32) -> Timestamp {
    Timestamp(1_800_000_000_000 + i64::from(sample) * 5000)
}

pub(super) fn terms() -> Terms {
    Terms::new(P0, 0.001, 180, 100.0)
}

#[test]
fn evidence_grows_with_failures_and_falls_without() {
    let mut meter = Meter::new(terms()).unwrap();
    assert_eq!(meter.shown().ln_e, None);
    assert_eq!(meter.shown().finding, Finding::TooLittle);
    let few = meter.add(at(1), Counts::new(6.0, 500.0));
    assert_eq!(few.finding, Finding::Open);
    assert!(few.percent > 0.0 && few.percent < 100.0, "{few:?}");
    let none = meter.add(at(2), Counts::new(0.0, 500.0));
    assert!(none.percent < few.percent);
    let many = meter.add(at(3), Counts::new(25.0, 500.0));
    assert_eq!(many.finding, Finding::Worse { at: at(3) });
    assert_eq!((many.percent, many.new), (100.0, Counts::new(31.0, 1500.0)));
    for sample in 4..100 {
        meter.add(at(sample), Counts::new(0.0, 500.0));
    }
    assert_eq!(meter.shown().finding, Finding::Worse { at: at(3) }, "stays so");
    assert!(meter.shown().percent < 100.0, "but the needle tells how it stands");
}

#[test]
fn too_little_traffic_is_said_and_is_no_verdict() {
    let mut meter = Meter::new(terms()).unwrap();
    let shown = meter.add(at(1), Counts::new(50.0, 99.0));
    assert_eq!((shown.finding, shown.percent), (Finding::TooLittle, 100.0));
    assert_eq!(meter.below(0.99), None, "nothing is said for the release either");
    assert_eq!(meter.add(at(2), Counts::new(0.0, 1.0)).finding, Finding::Worse { at: at(2) });
    assert!(meter.below(0.99).is_some());
}

#[test]
fn a_sample_without_events_changes_nothing() {
    let mut meter = Meter::new(terms()).unwrap();
    let before = meter.add(at(1), Counts::new(3.0, 500.0));
    for sample in 2..1000 {
        assert_eq!(meter.add(at(sample), Counts::NONE), before);
    }
    assert_eq!(meter.samples().len(), 1);
}

#[test]
fn numbers_that_are_none_are_no_evidence() {
    let mut meter = Meter::new(terms()).unwrap();
    let nothing = meter.shown();
    for (bad, all) in
        [(f64::NAN, 500.0), (5.0, f64::NAN), (f64::INFINITY, 9.0), (1.0, f64::INFINITY), (1.0, -1.0)]
    {
        assert_eq!(meter.add(at(1), Counts::new(bad, all)), nothing, "{bad} of {all}");
        assert_eq!(meter.add_beside(at(1), Counts::new(bad, all), Counts::new(1.0, 2.0)), nothing);
    }
    let capped = meter.add(at(1), Counts::new(900.0, 500.0));
    assert_eq!(capped.new, Counts::new(500.0, 500.0));
    let beside = meter.add_beside(at(2), Counts::new(1.0, 10.0), Counts::new(f64::NAN, 10.0));
    assert_eq!(beside.old, None, "an old slot that cannot be read is not compared with");
}

#[test]
fn the_lines_are_crossed_in_their_order() {
    let mut meter = Meter::new(terms()).unwrap();
    for sample in 1..60 {
        meter.add(at(sample), Counts::new(3.0, 500.0));
    }
    let Finding::Worse { at: worse } = meter.shown().finding else { panic!("{:?}", meter.shown()) };
    let reached: Vec<Timestamp> = meter.reached().into_iter().flatten().chain([worse]).collect();
    assert_eq!(reached.len(), 4);
    assert!(reached.is_sorted(), "{reached:?}");
}

#[test]
fn what_fails_for_both_condemns_nobody_and_what_fails_here_does() {
    let both = Counts::new(50.0, 500.0);
    let mut meter = Meter::new(terms()).unwrap();
    for sample in 1..50 {
        meter.add_beside(at(sample), both, both);
    }
    assert_eq!(meter.shown().finding, Finding::Open);
    assert_eq!(meter.shown().old, Some(Counts::new(49.0 * 50.0, 49.0 * 500.0)));
    assert!(meter.shown().percent < 1.0);
    // Better than the old one, as the old one fails.
    let mut meter = Meter::new(terms()).unwrap();
    for sample in 1..50 {
        meter.add_beside(at(sample), Counts::new(10.0, 500.0), both);
    }
    assert_eq!(meter.shown().finding, Finding::Open);
    // Worse than the old one, but within p0.
    let mut meter = Meter::new(Terms { p0: 0.05, ..terms() }).unwrap();
    for sample in 1..50 {
        meter.add_beside(at(sample), Counts::new(20.0, 500.0), Counts::new(0.0, 500.0));
    }
    assert_eq!(meter.shown().finding, Finding::Open);
    let mut meter = Meter::new(terms()).unwrap();
    for sample in 1..5 {
        meter.add_beside(at(sample), both, Counts::new(0.0, 500.0));
    }
    assert_eq!(meter.shown().finding, Finding::Worse { at: at(2) }, "the one after it must be seen, too");
}

/// What fails for both is seen on one slot a sample before the other.
#[test]
fn a_fault_that_the_other_slot_shows_a_sample_earlier_or_later_condemns_nobody() {
    let (fine, bad) = (Counts::new(0.0, 500.0), Counts::new(50.0, 500.0));
    for (new, old) in [
        (vec![fine, bad, fine, fine], vec![fine, fine, bad, fine]),
        (vec![fine, fine, bad, fine], vec![fine, bad, fine, fine]),
        (vec![bad, bad, bad, bad], vec![fine, bad, bad, bad]),
        (vec![bad, bad, bad, fine], vec![bad, bad, fine, fine]),
    ] {
        let found = |compared: Compared| {
            let mut meter = Meter::new(Terms { compared, ..terms() }).unwrap();
            for (sample, (new, old)) in (1..).zip(new.iter().zip(&old)) {
                meter.add_beside(at(sample), *new, *old);
            }
            matches!(meter.shown().finding, Finding::Worse { .. })
        };
        assert!(found(Compared::AtOnce), "this is what it is about: {new:?} {old:?}");
        assert!(!found(Compared::Around), "{new:?} {old:?}");
    }
    // Where the old slot is gone, the sample that waited is compared with its own.
    let mut meter = Meter::new(terms()).unwrap();
    meter.add_beside(at(1), bad, fine);
    meter.add(at(2), fine);
    assert_eq!(meter.shown().finding, Finding::Worse { at: at(2) });
}

#[test]
fn the_last_few_users_of_the_old_slot_are_not_compared_with() {
    let bad = Counts::new(25.0, 500.0);
    let mut meter = Meter::new(terms()).unwrap();
    let shown = meter.add_beside(at(1), bad, Counts::new(1.0, 49.0));
    assert_eq!((shown.finding, shown.old), (Finding::Worse { at: at(1) }, None));
    let mut meter = Meter::new(terms()).unwrap();
    let shown = meter.add_beside(at(1), bad, Counts::new(2.0, 50.0));
    assert_eq!((shown.finding, shown.old), (Finding::Open, Some(Counts::new(2.0, 50.0))));
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let good = terms();
    for (terms, why) in [
        (Terms { p0: 0.0, ..good }, BadTerms::Share),
        (Terms { p0: 0.51, ..good }, BadTerms::Share),
        (Terms { p0: f64::NAN, ..good }, BadTerms::Share),
        (Terms { alpha: 0.0, ..good }, BadTerms::Alpha),
        (Terms { alpha: 0.5, ..good }, BadTerms::Alpha),
        (Terms { phi: 0.9, ..good }, BadTerms::Phi),
        (Terms { phi: f64::INFINITY, ..good }, BadTerms::Phi),
        (Terms { usual: Some(0.0), ..good }, BadTerms::Usual),
        (Terms { usual: Some(f64::NAN), ..good }, BadTerms::Usual),
        (Terms { at_least: -1.0, ..good }, BadTerms::AtLeast),
    ] {
        assert_eq!(Meter::new(terms).err(), Some(why), "{terms:?}");
    }
    assert!(Meter::new(Terms { p0: 0.5, starts: 0, ..good }).is_ok());
}
