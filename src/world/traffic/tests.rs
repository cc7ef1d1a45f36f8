#![expect(clippy::float_cmp, reason = "counts and literals come out exactly")]

use std::collections::BTreeMap;

use super::*;
use crate::world::stage::{FurnishedSlot, Strategy};

pub(in crate::world) const OLD: &str = "registry.example.com:5000/payment-system-backend:v1.5.0";
pub(in crate::world) const NEW: &str = "registry.example.com:5000/payment-system-backend:v1.6.0";

/// When the tests' worlds begin: a whole second, so that times are easy to read.
pub(in crate::world) const START_MS: i64 = 1_764_000_000_000;

pub(in crate::world) fn furniture() -> Furniture {
    let slot = |name: &str| {
        let selector = BTreeMap::from([("version".to_owned(), name.to_owned())]);
        (name.to_owned(), FurnishedSlot::new(format!("backend-{name}"), selector))
    };
    Furniture {
        namespace: "production".into(),
        service: "backend-service".into(),
        slots: BTreeMap::from([slot("blue"), slot("green")]),
        live: "blue".into(),
        container: "backend".into(),
        image: OLD.into(),
        replicas: 3,
        context: "rehearsal".into(),
        window_ms: 15 * 60_000,
        directing: Directing::Selector,
        strategy: Strategy::default(),
    }
}

/// Blue with the old image and green with `green`, traffic on `live` since `since`.
pub(in crate::world) fn slots(green: &str, live: &str, since: Option<i64>) -> Picture {
    [("blue", OLD), ("green", green)]
        .map(|(name, image)| Backend {
            slot: name.into(),
            image: image.into(),
            ready: 3,
            desired: 3,
            share: if name == live { 1.0 } else { 0.0 },
            since: since.filter(|_| name == live),
            ..Backend::default()
        })
        .to_vec()
        .into()
}

/// Every measurement of a slot by what it is called in an exposition.
fn measured(traffic: &Traffic, slot: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    traffic.visit(slot, &mut |point| {
        let labels: Vec<_> = point
            .labels
            .iter()
            .filter(|(name, _)| !["slot", "version"].contains(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.insert(format!("{}{} {}", point.family.name, point.suffix, labels.join(" ")), point.value);
    });
    all
}

/// The sum of all measurements whose name contains each of `parts`.
fn sum(all: &BTreeMap<String, f64>, parts: &[&str]) -> f64 {
    all.iter().filter(|(name, _)| parts.iter().all(|part| name.contains(part))).map(|(_, value)| value).sum()
}

fn traffic() -> Traffic {
    Traffic::new(&furniture(), Scenario::Good, 1, START_MS)
}

fn run(traffic: &mut Traffic, seconds: usize, stage: &Picture) {
    for _ in 0..seconds {
        traffic.step(stage);
    }
}

#[test]
fn a_healthy_slot_serves_as_the_figures_say() {
    let mut traffic = traffic();
    run(&mut traffic, 1_200, &slots(OLD, "blue", None));
    let blue = measured(&traffic, "blue");
    let users = sum(&blue, &["http_requests_total", "/api/"]);
    assert!((users / 1_200.0 - 40.0).abs() < 0.5, "{users} requests");
    let errors = sum(&blue, &["http_requests_total", "code=5"]);
    assert!((errors / users - 0.000_4).abs() < 0.000_05, "{errors} errors");
    let payments = sum(&blue, &["payments_total"]);
    let failed = sum(&blue, &["payments_total", "failure"]);
    assert!((failed / payments - 0.004).abs() < 0.000_3, "{failed} of {payments}");
    let near = |name: &str, value: f64, within: f64| {
        let is = sum(&blue, &[name]);
        assert!((is - value).abs() < within, "{name} is {is}");
    };
    near("process_cpu_utilization", 0.55, 0.05);
    near("container_memory_usage_ratio", 0.60, 0.03);
    near("db_connections", 36.0, 3.0);
    near("http_error_rate", 0.000_4, 0.000_4);
    assert!(sum(&blue, &["code=404"]) > 10.0);
}

#[test]
fn the_idle_slot_has_only_probes() {
    let mut traffic = traffic();
    run(&mut traffic, 100, &slots(OLD, "blue", None));
    let green = measured(&traffic, "green");
    assert_eq!(sum(&green, &["http_requests_total", "/api/"]), 0.0);
    assert_eq!(sum(&green, &["http_requests_total", "/health", "code=200"]), 60.0);
    assert_eq!(sum(&green, &["db_connections"]), 5.0);
}

#[test]
fn histograms_are_cumulative_and_complete() {
    let mut traffic = traffic();
    run(&mut traffic, 600, &slots(OLD, "blue", None));
    let mut last = (String::new(), 0.0);
    let mut buckets = 0;
    traffic.visit("blue", &mut |point| {
        if point.suffix == "_bucket" {
            let handler = point.labels[2].1.to_owned();
            if handler == last.0 {
                assert!(point.value >= last.1, "{:?} falls", point.labels);
            }
            last = (handler, point.value);
            buckets += 1;
        } else if point.suffix == "_count" {
            assert_eq!(point.value, last.1, "the last bucket holds all");
        }
    });
    assert_eq!(buckets, 4 * 17);
    let blue = measured(&traffic, "blue");
    let requests = sum(&blue, &["http_requests_total"]);
    assert_eq!(
        requests,
        sum(&blue, &["http_request_duration_seconds_count"]),
        "every request has a duration"
    );
}

#[test]
fn a_seed_tells_one_story_however_it_is_walked() {
    let stage = slots(OLD, "blue", None);
    let mut one = traffic();
    run(&mut one, 300, &stage);
    let mut other = traffic();
    run(&mut other, 100, &stage);
    run(&mut other, 200, &stage);
    assert_eq!(measured(&one, "blue"), measured(&other, "blue"));
    let mut another = Traffic::new(&furniture(), Scenario::Good, 2, START_MS);
    run(&mut another, 300, &stage);
    assert_ne!(measured(&one, "blue"), measured(&another, "blue"));
}

#[test]
fn traffic_moves_in_two_seconds_from_when_the_service_switched() {
    let mut traffic = traffic();
    run(&mut traffic, 60, &slots(OLD, "blue", None));
    let switched = slots(OLD, "green", Some(START_MS + 60_000));
    let green = |traffic: &Traffic| sum(&measured(traffic, "green"), &["http_requests_total", "/api/"]);
    assert_eq!(green(&traffic), 0.0);
    run(&mut traffic, 1, &switched);
    let first = green(&traffic);
    assert!((15.0..25.0).contains(&first), "{first} in the first second");
    let before = sum(&measured(&traffic, "blue"), &["http_requests_total", "/api/"]);
    run(&mut traffic, 10, &switched);
    assert!(green(&traffic) > 380.0);
    assert_eq!(
        sum(&measured(&traffic, "blue"), &["http_requests_total", "/api/"]),
        before,
        "blue is drained"
    );
}

#[test]
fn other_pods_count_from_nothing_and_none_show_nothing() {
    let mut traffic = traffic();
    run(&mut traffic, 60, &slots(OLD, "blue", None));
    let before: BTreeMap<_, _> =
        traffic.exporting().map(|one| (one.id.to_owned(), one.incarnation)).collect();
    run(&mut traffic, 1, &slots(NEW, "blue", None));
    let after: BTreeMap<_, _> = traffic.exporting().map(|one| (one.id.to_owned(), one.incarnation)).collect();
    assert_eq!(before["blue"], after["blue"]);
    assert_ne!(before["green"], after["green"]);
    assert!(sum(&measured(&traffic, "green"), &["http_requests_total"]) < 2.0);

    let mut down = slots(NEW, "blue", None);
    down.backends[1].ready = 0;
    run(&mut traffic, 1, &down);
    assert!(!traffic.answers("green") && traffic.answers("blue"));
    assert!(measured(&traffic, "green").is_empty());
}

#[test]
fn the_outage_follows_the_new_version_and_stays() {
    let mut traffic = Traffic::new(&furniture(), Scenario::MetricsOutage, 1, START_MS);
    // The old image on the other colour is no new version.
    run(&mut traffic, 200, &slots(OLD, "green", Some(START_MS)));
    assert!(!traffic.is_metrics_outage());
    let since = traffic.now_ms();
    run(&mut traffic, 59, &slots(NEW, "green", Some(since)));
    assert!(!traffic.is_metrics_outage());
    run(&mut traffic, 2, &slots(NEW, "green", Some(since)));
    assert!(traffic.is_metrics_outage());
    let back = traffic.now_ms();
    run(&mut traffic, 600, &slots(NEW, "blue", Some(back)));
    assert!(traffic.is_metrics_outage());
}

#[test]
fn a_tag_is_what_follows_the_last_colon_of_the_name() {
    assert_eq!(tag("registry.example.com:5000/app:v1.6.0"), "v1.6.0");
    assert_eq!(tag("app:v1.6.0@sha256:abcd"), "v1.6.0");
    assert_eq!(tag("registry.example.com:5000/app"), "registry.example.com:5000/app");
    assert_eq!(tag("app"), "app");
}
