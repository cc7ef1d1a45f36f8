#![expect(clippy::float_cmp, reason = "counts and literals come out exactly")]

use super::*;
use crate::world::metrics::store::named;

/// The instant at which most queries are asked, in seconds.
const NOW: i64 = 1_000;

/// A metric, its labels, and samples as (seconds, value).
type Line<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A store from lines.
fn store(series: &[Line<'_>]) -> Store {
    let mut store = Store::new(86_400_000);
    for (metric, labels, samples) in series {
        let id = store.series(named(metric, labels.iter().copied()));
        for &(second, value) in *samples {
            store.append(id, second * 1_000, value);
        }
    }
    store
}

fn ask(store: &Store, query: &str) -> Result<Value, QueryError> {
    Engine::default().instant(store, query, NOW * 1_000)
}

/// The vector that a query gives, as text: labels and value of each element, sorted.
fn vector(store: &Store, query: &str) -> Vec<String> {
    match ask(store, query) {
        Ok(Value::Vector(elements)) => {
            let mut all: Vec<_> = elements.iter().map(|e| format!("{} {}", e.labels, e.value)).collect();
            all.sort();
            all
        }
        other => panic!("{query}: {other:?}"),
    }
}

/// The one number that a query gives.
fn one(store: &Store, query: &str) -> f64 {
    match ask(store, query) {
        Ok(Value::Vector(elements)) if elements.len() == 1 => elements[0].value,
        Ok(Value::Scalar(value)) => value,
        other => panic!("{query}: {other:?}"),
    }
}

fn near(is: f64, wanted: f64) {
    assert!((is - wanted).abs() < 1e-9 * wanted.abs().max(1.0), "{is}, not {wanted}");
}

/// Requests by slot and code as they are at [`NOW`].
fn requests() -> Store {
    store(&[
        ("requests", &[("slot", "blue"), ("code", "200")], &[(NOW, 90.0)]),
        ("requests", &[("slot", "blue"), ("code", "500")], &[(NOW, 10.0)]),
        ("requests", &[("slot", "green"), ("code", "200")], &[(NOW, 40.0)]),
        ("pods", &[("slot", "blue")], &[(NOW, 3.0)]),
        ("pods", &[("slot", "red")], &[(NOW, 5.0)]),
        ("idle", &[], &[(NOW, 0.0)]),
    ])
}

#[test]
fn selectors_match_whole_values() {
    let store = requests();
    assert_eq!(
        vector(&store, r#"requests{code=~"2..",slot!="green"}"#),
        [r#"requests{code="200",slot="blue"} 90"#]
    );
    assert_eq!(vector(&store, r#"requests{slot=~"blu"}"#), [""; 0]);
    assert_eq!(
        vector(&store, r#"requests{slot!~"g.*",code="500"}"#),
        [r#"requests{code="500",slot="blue"} 10"#]
    );
    assert_eq!(vector(&store, r#"{__name__="pods",slot="blue"}"#), [r#"pods{slot="blue"} 3"#]);
    assert_eq!(vector(&store, r#"pods{version=""}"#).len(), 2, "an absent label is an empty one");
}

#[test]
fn offset_and_at_move_the_instant() {
    let store = store(&[("m", &[], &[(700, 7.0), (NOW - 60, 1.0), (NOW, 2.0), (NOW + 60, 3.0)])]);
    near(one(&store, "m"), 2.0);
    near(one(&store, "m offset 1m"), 1.0);
    near(one(&store, "m offset -1m"), 3.0);
    near(one(&store, "m @ 700"), 7.0);
    near(one(&store, "sum_over_time(m[2m] offset -1m)"), 5.0);
    let steps = Engine::default().range(&store, "m @ end()", 940_000, 1_060_000, 60_000).unwrap();
    assert!(steps[0].samples.iter().all(|sample| sample.v == 3.0));
}

#[test]
fn rate_is_extrapolated_to_the_windows_ends() {
    // Samples at 945, 955 … 995 with one request a second; the window is (940, 1000]. First and last lie 5 s from its ends,
    // within 1.1 intervals of 10 s, so 50 requests in 50 s become 60 in 60 s.
    let samples: Vec<_> = (0..6).map(|i| (945 + i64::from(i) * 10, 1_000.0 + 10.0 * f64::from(i))).collect();
    let store = store(&[("c", &[], &samples)]);
    near(one(&store, "rate(c[1m])"), 1.0);
    near(one(&store, "increase(c[1m])"), 60.0);
    near(one(&store, "delta(c[1m])"), 60.0);
    near(one(&store, "irate(c[1m])"), 1.0);
    near(one(&store, "idelta(c[1m])"), 10.0);
    near(one(&store, "deriv(c[1m])"), 1.0);
    near(one(&store, "predict_linear(c[1m], 60)"), 1_115.0);
}

#[test]
fn rate_stops_half_an_interval_before_a_gap_and_at_a_counters_zero() {
    // The first sample is 35 s into the window of 60: further than 1.1 intervals, so only 5 s are added before it.
    let late = store(&[("c", &[], &[(975, 100.0), (985, 110.0), (995, 120.0)])]);
    near(one(&late, "increase(c[1m])"), 20.0 * (20.0 + 5.0 + 5.0) / 20.0);
    // At 2 requests in 20 s this counter was zero 10 s before its first sample, but it says 0.5: zero was 5 s before.
    let young =
        store(&[("c", &[], &[(949, 0.5), (959, 1.5), (969, 2.5), (979, 3.5), (989, 4.5), (999, 5.5)])]);
    near(one(&young, "increase(c[1m])"), 5.0 * (50.0 + 5.0 + 1.0) / 50.0);
}

#[test]
fn rate_survives_resets_and_needs_two_samples() {
    // 100 -> 120, a restart, 5 -> 25: 20 + 5 + 20 in 30 s; 15 s before, 15 s after are half intervals each (10 s apart).
    let store = store(&[
        ("c", &[], &[(955, 100.0), (965, 120.0), (975, 5.0), (985, 25.0)]),
        ("single", &[], &[(990, 1.0)]),
    ]);
    near(one(&store, "increase(c[1m])"), 45.0 * (30.0 + 5.0 + 5.0) / 30.0);
    near(one(&store, "resets(c[1m])"), 1.0);
    near(one(&store, "changes(c[1m])"), 3.0);
    near(one(&store, "irate(c[1m])"), 2.0);
    assert_eq!(vector(&store, "rate(single[1m])"), [""; 0]);
    assert_eq!(vector(&store, "rate(nothing[1m])"), [""; 0]);
}

#[test]
fn windows_are_folded_over_time() {
    let store = store(&[("g", &[("a", "b")], &[(950, 4.0), (960, 1.0), (970, 3.0), (980, 2.0)])]);
    for (function, wanted) in [
        ("avg", 2.5),
        ("min", 1.0),
        ("max", 4.0),
        ("sum", 10.0),
        ("count", 4.0),
        ("stdvar", 1.25),
        ("present", 1.0),
    ] {
        assert_eq!(
            vector(&store, &format!("{function}_over_time(g[1m])")),
            [format!("{{a=\"b\"}} {wanted}")]
        );
    }
    assert_eq!(vector(&store, "last_over_time(g[1m])"), ["g{a=\"b\"} 2"]);
    near(one(&store, "quantile_over_time(0.5, g[1m])"), 2.5);
    assert_eq!(vector(&store, "absent_over_time(g[1m])"), [""; 0]);
    assert_eq!(vector(&store, "absent_over_time(h{a=\"c\"}[1m])"), ["{a=\"c\"} 1"]);
}

#[test]
fn subqueries_step_at_whole_multiples() {
    let store = store(&[("g", &[], &[(900, 1.0), (930, 5.0), (960, 2.0)])]);
    // Steps at 910, 920 … 1000 see 1, 1, 5, 5, 5, 2, 2, 2, 2, 2.
    near(one(&store, "count_over_time(g[100s:10s])"), 10.0);
    near(one(&store, "sum_over_time(g[100s:10s])"), 27.0);
    near(one(&store, "max_over_time((g * 2)[5m:30s])"), 10.0);
}

#[test]
fn aggregation_groups_by_or_without() {
    let store = requests();
    near(one(&store, "sum(requests)"), 140.0);
    assert_eq!(vector(&store, "sum by (slot) (requests)"), [r#"{slot="blue"} 100"#, r#"{slot="green"} 40"#]);
    assert_eq!(
        vector(&store, "sum without (slot) (requests)"),
        [r#"{code="200"} 130"#, r#"{code="500"} 10"#]
    );
    near(one(&store, "avg(pods)"), 4.0);
    near(one(&store, "min(requests)"), 10.0);
    near(one(&store, "max(requests)"), 90.0);
    near(one(&store, "count(requests)"), 3.0);
    near(one(&store, "stddev(pods)"), 1.0);
    near(one(&store, "quantile(0.5, requests)"), 40.0);
    near(one(&store, "group(requests)"), 1.0);
    assert_eq!(vector(&store, "topk(1, requests)"), [r#"requests{code="200",slot="blue"} 90"#]);
    assert_eq!(
        vector(&store, "bottomk by (slot) (1, requests)"),
        [r#"requests{code="200",slot="green"} 40"#, r#"requests{code="500",slot="blue"} 10"#]
    );
    assert_eq!(vector(&store, "sum(nothing)"), [""; 0]);
}

#[test]
fn quantiles_are_interpolated_within_their_bucket() {
    let slot = ("slot", "blue");
    let store = store(&[
        ("h_bucket", &[("le", "0.1"), slot], &[(NOW, 20.0)]),
        ("h_bucket", &[("le", "0.2"), slot], &[(NOW, 80.0)]),
        ("h_bucket", &[("le", "0.5"), slot], &[(NOW, 100.0)]),
        ("h_bucket", &[("le", "+Inf"), slot], &[(NOW, 100.0)]),
    ]);
    let q = |q: &str| one(&store, &format!("histogram_quantile({q}, h_bucket)"));
    // Half of 100 is 30 of the 60 in the second bucket: half way from 0.1 to 0.2.
    near(q("0.5"), 0.15);
    near(q("0.95"), 0.2 + 0.3 * 15.0 / 20.0);
    near(q("0.1"), 0.05);
    near(q("1"), 0.5);
    assert!(q("2") == f64::INFINITY && q("-1") == f64::NEG_INFINITY && q("NaN").is_nan());
    assert_eq!(
        vector(&store, "histogram_quantile(0.5, h_bucket)")[0].split(' ').next(),
        Some("{slot=\"blue\"}")
    );
    assert!(one(&store, "histogram_quantile(0.5, h_bucket * 0)").is_nan(), "nothing was counted");
    assert!(one(&store, "histogram_quantile(0.5, h_bucket{le!=\"+Inf\"})").is_nan(), "no last bucket");
}

#[test]
fn arithmetic_drops_the_name_and_comparisons_keep_it() {
    let store = requests();
    near(one(&store, "2 + 3 * 2 ^ 3 % 5 - -1"), 7.0);
    assert_eq!(vector(&store, "pods * 2"), [r#"{slot="blue"} 6"#, r#"{slot="red"} 10"#]);
    assert_eq!(vector(&store, "10 - pods"), [r#"{slot="blue"} 7"#, r#"{slot="red"} 5"#]);
    assert_eq!(vector(&store, "-pods"), [r#"{slot="blue"} -3"#, r#"{slot="red"} -5"#]);
    assert_eq!(vector(&store, "pods > 4"), [r#"pods{slot="red"} 5"#]);
    assert_eq!(vector(&store, "4 < pods"), [r#"pods{slot="red"} 5"#]);
    assert_eq!(vector(&store, "pods > bool 4"), [r#"{slot="blue"} 0"#, r#"{slot="red"} 1"#]);
    near(one(&store, "1 >= bool 1"), 1.0);
    assert!(one(&store, "idle / idle").is_nan());
    assert_eq!(one(&store, "1 / idle"), f64::INFINITY);
}

#[test]
fn vectors_match_by_their_labels() {
    let store = requests();
    assert_eq!(vector(&store, "pods + pods"), [r#"{slot="blue"} 6"#, r#"{slot="red"} 10"#]);
    assert_eq!(
        vector(&store, "sum by (slot) (requests) / on(slot) pods"),
        [format!("{{slot=\"blue\"}} {}", 100.0 / 3.0)]
    );
    assert_eq!(
        vector(&store, r#"requests{code="500"} / ignoring(code) sum without (code) (requests)"#),
        [r#"{slot="blue"} 0.1"#]
    );
    assert_eq!(
        vector(&store, "requests / on(slot) group_left pods"),
        [
            r#"{code="200",slot="blue"} 30"#.to_owned(),
            format!("{{code=\"500\",slot=\"blue\"}} {}", 10.0 / 3.0),
        ]
    );
    assert_eq!(vector(&store, "pods * on(slot) group_right requests").len(), 2);
    assert_eq!(vector(&store, "pods > on(slot) sum by (slot) (requests)"), [""; 0]);
    assert_eq!(vector(&store, "pods < on(slot) sum by (slot) (requests)"), [r#"{slot="blue"} 3"#]);
    assert_eq!(vector(&store, "pods < ignoring(x) sum by (slot) (requests)"), [r#"pods{slot="blue"} 3"#]);
    for ambiguous in ["pods / on(slot) requests", "requests / on(slot) pods"] {
        assert!(matches!(ask(&store, ambiguous), Err(QueryError::Execution(_))), "{ambiguous}");
    }
}

#[test]
fn sets_keep_elements_as_they_are() {
    let store = requests();
    assert_eq!(vector(&store, "pods and on(slot) requests"), [r#"pods{slot="blue"} 3"#]);
    assert_eq!(vector(&store, "pods unless on(slot) requests"), [r#"pods{slot="red"} 5"#]);
    assert_eq!(
        vector(&store, "sum by (slot) (requests) or pods"),
        [r#"pods{slot="red"} 5"#, r#"{slot="blue"} 100"#, r#"{slot="green"} 40"#]
    );
    assert_eq!(vector(&store, "sum(nothing) or vector(0)"), ["{} 0"]);
}

#[test]
fn functions_of_single_values() {
    let store = requests();
    near(one(&store, "time()"), 1_000.0);
    near(one(&store, "scalar(sum(pods)) + 1"), 9.0);
    assert!(one(&store, "scalar(pods)").is_nan());
    near(one(&store, "abs(idle - 3)"), 3.0);
    near(one(&store, "round(idle + 2.5)"), 3.0);
    near(one(&store, "round(idle + 2.44, 0.1)"), 2.4);
    near(one(&store, "ceil(idle + 0.2) + floor(idle + 1.8)"), 2.0);
    near(one(&store, "clamp_min(idle, 1)"), 1.0);
    near(one(&store, "clamp_max(sum(requests), 100)"), 100.0);
    near(one(&store, "clamp(sum(requests), 0, 1)"), 1.0);
    near(one(&store, "sqrt(vector(16))"), 4.0);
    assert_eq!(vector(&store, r#"absent(pods{slot="green",app=~"x"})"#), [r#"{slot="green"} 1"#]);
    assert_eq!(vector(&store, "absent(pods)"), [""; 0]);
    assert_eq!(
        vector(&store, r#"label_replace(pods{slot="red"}, "colour", "$1!", "slot", "(r.).*")"#),
        [r#"pods{colour="re!",slot="red"} 5"#]
    );
}

#[test]
fn timestamps_tell_how_old_a_sample_is() {
    let store = store(&[("old", &[], &[(NOW - 200, 1.0)])]);
    near(one(&store, "time() - timestamp(old)"), 200.0);
    near(one(&store, "time() - timestamp((old))"), 200.0);
    near(one(&store, "time() - timestamp(old + 0)"), 0.0);
}

#[test]
fn ranges_have_a_point_only_where_there_is_a_value() {
    let store = store(&[("m", &[], &[(600, 1.0), (990, 2.0)])]);
    let range = Engine::default().range(&store, "m > 0", 600_000, 1_000_000, 100_000).unwrap();
    // 600 to 899 by the look-back; then nothing until 990.
    assert_eq!(range[0].samples.iter().map(|s| s.t / 1_000).collect::<Vec<_>>(), [600, 700, 800, 1_000]);
    let scalar = Engine::default().range(&store, "2", 0, 2_000, 1_000).unwrap();
    assert_eq!(scalar[0].samples.len(), 3);
    let wrong = Engine::default().range(&store, "m[1m]", 0, 1, 1);
    assert!(matches!(wrong, Err(QueryError::BadData(_))));
}

#[test]
fn what_is_left_out_is_refused_by_name() {
    let store = requests();
    for (query, name) in [
        ("count_values(\"v\", pods)", "count_values"),
        ("hour()", "hour"),
        ("histogram_count(pods)", "histogram_count"),
        ("sort_by_label(pods, \"slot\")", "sort_by_label"),
        ("mad_over_time(pods[1m])", "mad_over_time"),
    ] {
        match ask(&store, query) {
            Err(QueryError::Execution(message)) => assert!(message.contains(name), "{message}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    assert!(matches!(ask(&store, "rate({__name__=~\"pods|requests\"}[1m])"), Ok(Value::Vector(_))));
    assert!(matches!(
        ask(&store, "{__name__=~\"pods|idle\",slot=~\"|blue\"} * 0 + on() idle"),
        Err(QueryError::Execution(_))
    ));
}

#[test]
fn a_query_is_parsed_once_and_memory_is_bounded() {
    let (engine, store) = (Engine::default(), requests());
    for n in 0..2_000 {
        engine.instant(&store, &format!("pods + {}", n % 1_000), NOW * 1_000).unwrap();
    }
    assert!(engine.parsed.lock().unwrap().len() <= REMEMBERED);
}

/// As many operators as a runbook's query may have: each is a level of the tree, and takes stack.
#[test]
fn the_longest_chain_of_operators_is_answered() {
    let store = store(&[("up", &[], &[(999, 1.0)])]);
    near(one(&store, &format!("up{}", "+up".repeat(256))), 257.0);
    near(one(&store, &format!("up{}", "^1".repeat(256))), 1.0);
    near(one(&store, &format!("{}{}up{}", "-".repeat(256), "(".repeat(64), ")".repeat(64))), 1.0);
}
