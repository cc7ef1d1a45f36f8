//! Slots with more pods than anybody reads.

use super::fixture::Told;
use crate::{
    domain::workload::{Pod, Unlisted, Workload},
    tui::alerts,
};

#[test]
fn ten_thousand_pods_are_counts_by_state_and_the_worst_ones() {
    let mut told = Told::in_window(30);
    told.workload(|workload| {
        let green = workload.slots.get_mut("green").unwrap();
        let like = green.pods[0].clone();
        let pods = (0..Workload::MAX_PODS).map(|n| {
            let bad = n < 40;
            let status = if bad { "CrashLoopBackOff" } else { "Running" }.to_owned();
            let name = format!("backend-green-7f9c5d-{}{n:03}", if bad { "bad" } else { "fine" });
            Pod { name, status, ready: !bad, bad, restarts: u32::from(bad) * 7, ..like.clone() }
        });
        green.pods = pods.collect();
        green.unlisted = Unlisted { pods: 9_800, bad: 0, restarts: 20 };
        green.counts = [("Running".to_owned(), 9_960), ("CrashLoopBackOff".to_owned(), 40)].into();
        (green.desired, green.updated, green.ready, green.available) = (10_000, 10_000, 9_960, 9_960);
    });
    for (columns, rows) in [(80, 24), (120, 36), (200, 60)] {
        let screen = told.screen(columns, rows);
        assert!(screen.contains("9960/10000"), "{screen}");
        assert!(screen.contains("300 res"), "{screen}");
        assert!(screen.contains("traffic 100 %"), "{screen}");
        assert!(screen.contains("40 CrashLoopBackOff") && screen.contains("9960 Running"), "{screen}");
        assert!(screen.contains("bad000") && !screen.contains("fine"), "{screen}");
    }
    let headlines: Vec<String> = alerts::all(&told.model).into_iter().map(|alert| alert.headline).collect();
    assert!(
        headlines.contains(&"GREEN: 40 of 10000 pods not well: CrashLoopBackOff".to_owned()),
        "{headlines:?}"
    );
    // More of them bad than are listed.
    told.workload(|workload| {
        let green = workload.slots.get_mut("green").unwrap();
        green.pods.iter_mut().for_each(|pod| pod.bad = true);
        green.unlisted.bad = 300;
    });
    let headlines: Vec<String> = alerts::all(&told.model).into_iter().map(|alert| alert.headline).collect();
    assert!(headlines.iter().any(|headline| headline.starts_with("GREEN: 500 of 10000")), "{headlines:?}");
}
