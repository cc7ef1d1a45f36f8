use super::*;

const INTERVAL: Span = Span::from_secs(5);

fn terms() -> Terms {
    Terms::new(0.001, 0.001, 180, 100.0)
}

fn seconds(rate: f64, per_second: f64) -> Option<u64> {
    time_to_verdict(terms(), rate, per_second, INTERVAL).map(Span::as_secs)
}

#[test]
fn it_is_about_the_median_of_the_monte_carlo() {
    for (rate, median) in [(0.003, 90), (0.005, 30), (0.01, 10), (0.02, 5), (0.05, 5)] {
        let told = seconds(rate, 100.0).unwrap();
        assert!(told >= median && told <= 3 * median, "{rate}: {told} s, {median} s measured");
    }
}

#[test]
fn little_traffic_takes_long_and_none_takes_for_ever() {
    let times: Vec<u64> = [100.0, 10.0, 1.0, 0.1, 0.01].map(|rps| seconds(0.01, rps).unwrap()).to_vec();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times[3] > 900, "not within the window of fifteen minutes: {times:?}");
    assert_eq!(seconds(0.01, 0.0), None);
    assert_eq!(seconds(0.01, f64::NAN), None);
    assert_eq!(seconds(0.01, 0.000_01), None, "not within 30 days");
}

#[test]
fn what_is_not_worse_is_never_found() {
    assert_eq!(seconds(0.0, 100.0), None);
    assert_eq!(seconds(0.001, 1000.0), None);
    assert_eq!(seconds(2.0, 100.0), None, "no share");
}

#[test]
fn so_many_events_must_have_been_seen() {
    let told =
        |rps| time_to_verdict(Terms { at_least: 10_000.0, ..terms() }, 0.5, rps, INTERVAL).map(Span::as_secs);
    assert_eq!(told(100.0), Some(100));
    assert_eq!(told(1.0), Some(10_000), "beyond the last start");
}

#[test]
fn many_short_samples_are_not_played_through() {
    let terms = Terms { starts: u32::MAX, ..terms() };
    let told = time_to_verdict(terms, 0.002, 1.0, Span::from_millis(1)).unwrap();
    assert!(told > Span::from_mins(30), "{told}");
}
