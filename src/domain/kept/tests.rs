//! What is kept of what was seen, and what stays of it.

use proptest::prelude::*;

use super::*;
use crate::domain::{evidence::counts::Counts, metric::Missing, workload::Pod};

fn sample(metric: &str, slot: Option<&str>, at: i64, value: f64) -> Moment {
    let value = if value.is_nan() { Err(Missing::NoData) } else { Ok(value) };
    let (metric, slot) = (metric.into(), slot.map(Into::into));
    let counts = value.as_ref().ok().map(|value| Counts::new(*value, value * 3.0));
    Moment {
        at: Timestamp(at),
        seen: Seen::Sample(Sample { metric, slot, at: Timestamp(at), value, counts }),
    }
}

/// The cluster with so many pods in one slot.
fn picture(at: i64, pods: u32) -> Moment {
    let mut workload = Workload { as_of: Timestamp(at), ..Workload::default() };
    let slot = workload.slots.entry("green".into()).or_default();
    slot.pods = (0..pods)
        .map(|number| Pod {
            name: format!("backend-green-{number}"),
            status: "Running".to_owned(),
            ready: true,
            containers_ready: 1,
            containers: 1,
            restarts: 0,
            created: Timestamp(0),
            version: "v2".to_owned(),
            bad: false,
        })
        .collect();
    Moment { at: Timestamp(at), seen: Seen::Picture(Box::new(workload)) }
}

fn pods(moment: &Moment) -> Option<usize> {
    match &moment.seen {
        Seen::Picture(workload) => Some(workload.slots.values().map(|slot| slot.pods.len()).sum()),
        _ => None,
    }
}

#[test]
fn only_what_has_changed_is_kept() {
    let mut sieve = Sieve::default();
    assert_eq!(sieve.pass(picture(0, 3)).len(), 1);
    assert_eq!(sieve.pass(picture(1_000, 3)), [], "the same, and too soon to say so again");
    let told = sieve.pass(picture(6_000, 3));
    let confirmed = Seen::Confirmed { of: Timestamp(0), as_of: Timestamp(6_000) };
    assert_eq!(told, [Moment { at: Timestamp(6_000), seen: confirmed }]);
    let access = |at| Moment {
        at: Timestamp(at),
        seen: Seen::Access(Access { at: Timestamp(at), patch_service: Some(true), ..Access::default() }),
    };
    assert_eq!(sieve.pass(access(0)).len(), 1);
    assert_eq!(sieve.pass(access(60_000)), []);
}

#[test]
fn a_picture_that_comes_too_soon_waits_and_the_last_one_counts() {
    let mut sieve = Sieve::default();
    sieve.pass(picture(0, 3));
    assert_eq!(sieve.pass(picture(100, 4)), []);
    assert_eq!(sieve.pass(picture(200, 5)), []);
    assert_eq!(sieve.finish().as_ref().and_then(pods), Some(5));
    assert_eq!(sieve.finish(), None);
    assert_eq!(sieve.pass(picture(300, 5)), [], "it is kept");
    assert_eq!(sieve.pass(picture(1_300, 6)).iter().filter_map(pods).collect::<Vec<_>>(), [6]);
    // Back to what was kept, while another one waits: both are told.
    sieve.pass(picture(1_400, 7));
    assert_eq!(sieve.pass(picture(1_500, 6)).iter().filter_map(pods).collect::<Vec<_>>(), [7, 6]);
}

#[test]
fn an_engine_that_comes_later_keeps_nothing_twice() {
    let kept = [sample("errors", Some("green"), 5_000, 0.1), sample("errors", Some("blue"), 9_000, 0.1)];
    let mut sieve = Sieve::default();
    sieve.know(&kept);
    assert_eq!(sieve.pass(sample("errors", Some("green"), 5_000, 0.1)), []);
    assert_eq!(sieve.pass(sample("errors", Some("green"), 6_000, 0.1)).len(), 1);
    assert_eq!(sieve.pass(sample("errors", Some("blue"), 6_000, 0.1)), []);
    assert_eq!(sieve.pass(sample("errors", None, 1_000, 0.1)).len(), 1, "another line");
}

#[test]
fn a_peak_stays_a_peak_and_a_gap_a_gap() {
    let values = [0.1, 0.2, 0.9, f64::NAN, 0.1, 0.05, 0.1, 0.1, 0.1, f64::NAN, f64::NAN];
    let moments: Vec<Moment> =
        (0..).zip(values).map(|(at, value)| sample("errors", None, at * 1_000, value)).collect();
    let stays = thin(moments, Span::from_secs(10));
    let times: Vec<i64> = stays.iter().map(|moment| moment.at.0 / 1_000).collect();
    assert_eq!(times, [2, 3, 5, 10]);
}

#[test]
fn of_pictures_the_last_of_a_piece_stays_with_what_confirms_it() {
    let confirmed = |at, of| Moment {
        at: Timestamp(at),
        seen: Seen::Confirmed { of: Timestamp(of), as_of: Timestamp(at) },
    };
    let moments = vec![
        picture(0, 1),
        confirmed(500, 0),
        picture(1_000, 2),
        confirmed(6_000, 1_000),
        confirmed(12_000, 1_000),
    ];
    let stays = thin(moments, Span::from_secs(10));
    assert_eq!(stays.iter().map(|moment| moment.at.0).collect::<Vec<_>>(), [1_000, 6_000, 12_000]);
    let kept = Kept::new(stays, Vec::new(), Vec::new());
    assert_eq!(kept.moments.len(), 3);
    // What confirms a picture that is not here says nothing of another one.
    let kept = Kept::new(vec![picture(0, 1), confirmed(12_000, 1_000)], Vec::new(), Vec::new());
    assert_eq!(kept.moments.len(), 1);
}

#[test]
fn what_is_not_here_is_said() {
    let lost = Seen::Lost { moments: 7, until: Timestamp(60_000), why: "no space left on device".to_owned() };
    let thinned = |from, to| Thinned { from: Timestamp(from), to: Timestamp(to), grid: Span::from_secs(30) };
    let kept = Kept::new(
        vec![Moment { at: Timestamp(0), seen: lost }],
        vec![thinned(0, 60_000), thinned(60_000, 3_600_000)],
        vec!["torn".to_owned()],
    );
    assert_eq!(
        kept.remarks(),
        [
            "samples from 00:00:00 to 01:00:00 are thinned out: the lowest and the highest of every 30s are kept",
            "7 samples or pictures from 00:00:00 to 00:01:00 are not kept: no space left on device",
            "torn",
        ]
    );
}

proptest! {
    #[test]
    fn thinning_keeps_every_extreme_and_gets_on(
        values in proptest::collection::vec((0u8..3, 0i64..600, proptest::option::of(-1e6..1e6)), 1..200),
        grid in 0usize..GRIDS.len(),
    ) {
        let mut moments: Vec<Moment> = values
            .into_iter()
            .map(|(line, at, value)| sample(["a", "b", "c"][usize::from(line)], None, at * 1_000, value.unwrap_or(f64::NAN)))
            .collect();
        moments.sort_by_key(|moment| moment.at);
        let stays = thin(moments.clone(), GRIDS[grid]);
        let lanes = |moments: &[Moment]| {
            let kept = Kept::new(moments.to_vec(), Vec::new(), Vec::new());
            let reach = |samples: &Vec<&Sample>| {
                let values: Vec<f64> = samples.iter().filter_map(|sample| sample.value.clone().ok()).collect();
                let lowest = values.iter().copied().reduce(f64::min);
                (lowest, values.into_iter().reduce(f64::max), samples.iter().any(|sample| sample.value.is_err()))
            };
            kept.lanes().iter().map(|(lane, samples)| (lane.clone(), reach(samples))).collect::<Vec<_>>()
        };
        prop_assert_eq!(lanes(&moments), lanes(&stays));
        let pieces = 600 / usize::try_from(GRIDS[grid].as_millis() / 1_000).unwrap() + 1;
        prop_assert!(stays.len() <= pieces * 3 * 3);
        // What was counted in each line is counted still.
        let counted = |moments: &[Moment]| {
            let kept = Kept::new(moments.to_vec(), Vec::new(), Vec::new());
            let sum = |samples: &Vec<&Sample>| {
                samples.iter().filter_map(|sample| sample.counts).fold(Counts::NONE, std::ops::Add::add)
            };
            kept.lanes().values().map(sum).collect::<Vec<_>>()
        };
        for (before, after) in counted(&moments).into_iter().zip(counted(&stays)) {
            prop_assert!((before.bad - after.bad).abs() < 1e-3 && (before.all - after.all).abs() < 1e-3);
        }
        // Once more on the same grid changes nothing.
        prop_assert_eq!(thin(stays.clone(), GRIDS[grid]), stays);
    }
}
