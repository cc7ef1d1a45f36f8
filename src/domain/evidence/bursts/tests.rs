use super::{
    super::simulated::{Bursts as Factors, Dice},
    *,
};

fn blocks(bad: &[f64]) -> Vec<Counts> {
    bad.iter().map(|bad| Counts::new(*bad, 6000.0)).collect()
}

fn phi(bad: &[f64]) -> f64 {
    Bursts::of(&blocks(bad)).phi
}

/// An hour of 100 requests a second.
fn hour(seed: u64, cv: f64, rate: f64) -> Vec<f64> {
    let mut dice = Dice::new(seed);
    let mut factors = Factors::new(cv, &mut dice);
    let mut sample = || {
        let factor = factors.next(5.0, &mut dice);
        dice.bad(500, rate * factor)
    };
    (0..60).map(|_| (0..12).map(|_| sample()).sum()).collect()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

#[test]
fn what_chance_makes_of_steady_errors_is_no_burst() {
    let exactly_one = |phi: f64| (phi - 1.0).abs() < 1e-12;
    for bad in [&[6.0; 60] as &[f64], &[0.0; 60], &[5.0], &[], &[0.0, 1.0, 0.0, 0.0]] {
        assert!(exactly_one(phi(bad)), "{bad:?}");
    }
    let steady = (0..200).filter(|seed| exactly_one(phi(&hour(*seed, 0.0, 0.000_5)))).count();
    assert!(steady >= 180, "{steady} of 200 hours");
}

/// 3 bad ones a block and factors of 30 s: over long times the variance of what they make is half of theirs.
#[test]
fn bursts_are_as_strong_as_they_are() {
    for (cv, true_phi) in [(1.0, 2.5), (2.0, 7.0)] {
        let found = sorted((0..200).map(|seed| phi(&hour(seed, cv, 0.000_5))));
        assert!((found[100] / true_phi - 1.0).abs() < 0.2, "CV {cv}: {} for {true_phi}", found[100]);
        assert!(found[10] > 0.5 * true_phi && found[190] < 2.0 * true_phi, "CV {cv}: {found:?}");
    }
    assert!(phi(&[0.0, 12.0].repeat(30)) > 5.0);
}

#[test]
fn more_traffic_is_no_burst() {
    let bad: Vec<f64> = (0..60).map(|minute| f64::from(minute).mul_add(0.5, 3.0).floor()).collect();
    let grows: Vec<Counts> = bad.iter().map(|bad| Counts::new(*bad, bad * 1000.0)).collect();
    assert!((Bursts::of(&grows).phi - 1.0).abs() < 1e-12);
    assert!(phi(&bad) > 2.0, "the same errors of steady traffic are one");
}

#[test]
fn an_incident_that_is_over_is_left_out_and_one_that_may_go_on_is_not() {
    let with = |at: usize, bad: &[f64]| {
        let mut hour = hour(3, 0.0, 0.000_5);
        hour[at..at + bad.len()].copy_from_slice(bad);
        Bursts::of(&blocks(&hour))
    };
    // Two minutes of 3 %.
    let told = with(45, &[90.0, 180.0, 120.0]);
    assert_eq!(told.incident, 3);
    assert!((told.phi - 1.0).abs() < 1e-12 && told.counts.share().unwrap() < 0.000_7, "{told:?}");
    let told = with(58, &[90.0, 180.0]);
    assert_eq!(told.incident, 0);
    assert!(told.phi > 10.0, "{told:?}");
    // Longer than any incident: it is how this service is.
    assert_eq!(with(20, &[180.0; 15]).incident, 0);
    // Errors of a job that runs twice an hour.
    let mut twice = vec![0.0; 60];
    (twice[10], twice[40]) = (30.0, 30.0);
    let told = Bursts::of(&blocks(&twice));
    assert!(told.incident == 0 && told.phi > 8.0, "{told:?}");
    // In bursts of its own an incident stands out as well; the bursts themselves are none.
    let bursty =
        (0..100).map(|seed| Bursts::of(&blocks(&hour(seed, 2.0, 0.000_5))).incident).filter(|it| *it > 0);
    assert!(bursty.count() <= 3);
    let mut bursty = hour(5, 1.0, 0.000_5);
    bursty[30] = 300.0;
    assert_eq!(Bursts::of(&blocks(&bursty)).incident, 1);
}

#[test]
fn counts_of_any_size_are_fitted_in_no_time() {
    let begun = std::time::Instant::now();
    for bad in [&[1e12, 2e12, 3e12].repeat(20), &[1e-9, 0.0].repeat(30), &[f64::MAX, 1.0].repeat(30)] {
        let blocks: Vec<Counts> = bad.iter().map(|bad| Counts::new(*bad, bad + 1.0)).collect();
        let told = Bursts::of(&blocks);
        assert!(told.phi >= 1.0, "{told:?}");
    }
    assert!(begun.elapsed().as_secs() < 2);
}

#[test]
fn the_logarithm_of_the_gamma_function_is_right() {
    let mut factorial = 0.0;
    for n in 1..60_u32 {
        assert!((ln_gamma(f64::from(n)) - factorial).abs() < 1e-9 * f64::max(factorial, 1.0), "{n}");
        factorial += f64::from(n).ln();
    }
    assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
}
