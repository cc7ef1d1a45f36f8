#![expect(clippy::float_cmp, reason = "counts and literals come out exactly")]

use serde_json::{Value as Json, json};

use super::*;
use crate::world::{
    promql::Value,
    service::{self, Door},
    traffic::tests::{NEW, OLD, START_MS, furniture, slots},
};

const ERRORS: &str = r#"sum(rate(http_requests_total{code=~"5..",slot="SLOT"}[1m])) / sum(rate(http_requests_total{slot="SLOT"}[1m]))"#;
const P95: &str =
    r#"histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{slot="SLOT"}[1m])))"#;
const PAYMENTS: &str = r#"sum(rate(payments_total{result="success",slot="SLOT"}[1m])) / sum(rate(payments_total{slot="SLOT"}[1m]))"#;

fn start(scenario: Scenario) -> Telemetry {
    Telemetry::start(&furniture(), scenario, 7, START_MS, &slots(OLD, "blue", None), Settings::default())
}

/// The one value of `query` at `t`, NaN where there is none.
fn value(telemetry: &Telemetry, query: &str, slot: &str, t: i64) -> f64 {
    match telemetry.engine.instant(&telemetry.store, &query.replace("SLOT", slot), t).unwrap() {
        Value::Vector(elements) if elements.len() == 1 => elements[0].value,
        Value::Vector(elements) if elements.is_empty() => f64::NAN,
        other => panic!("{query}: {other:?}"),
    }
}

/// Flies: new image on green, traffic there a minute later, and the window. Returns the world and when the traffic moved.
fn deployed(scenario: Scenario) -> (Telemetry, i64) {
    let mut telemetry = start(scenario);
    telemetry.advance(START_MS + 60_000, &slots(NEW, "blue", None));
    let since = START_MS + 60_500;
    (telemetry, since)
}

/// Seconds after the switch, in steps of five, at which the error rate on green is over 1 %.
fn breaching(scenario: Scenario) -> Vec<i64> {
    let (mut telemetry, since) = deployed(scenario);
    let mut over = Vec::new();
    for second in (0..=15 * 60).step_by(5) {
        let now = since + second * 1_000;
        telemetry.advance(now, &slots(NEW, "green", Some(since)));
        if value(&telemetry, ERRORS, "green", now) > 0.01 {
            over.push(second);
        }
    }
    over
}

#[test]
fn a_good_release_stays_inside_every_normal_range() {
    let (mut telemetry, since) = deployed(Scenario::Good);
    for second in (30..=15 * 60).step_by(5) {
        let now = since + second * 1_000;
        telemetry.advance(now, &slots(NEW, "green", Some(since)));
        let at = |query| value(&telemetry, query, "green", now);
        let inside = |what: &str, is: f64, from: f64, to: f64| {
            assert!(is >= from && is < to, "{what} is {is} at {second} s");
        };
        inside("error rate", at(ERRORS), 0.0, 0.001);
        inside("p95", at(P95), 0.130, 0.160);
        inside("payment success", at(PAYMENTS), 0.992, 1.0);
        inside("cpu", at(r#"process_cpu_utilization{slot="SLOT"}"#), 0.4, 0.7);
        inside("memory", at(r#"container_memory_usage_ratio{slot="SLOT"}"#), 0.4, 0.8);
        inside("connections", at("sum(db_connections)"), 25.0, 50.0);
        if second > 75 {
            let rate = r#"sum(rate(http_requests_total{slot="SLOT",handler!="/health"}[1m]))"#;
            inside("requests", at(rate), 34.0, 46.0);
        }
    }
}

#[test]
fn the_idle_slot_is_measurable_before_it_has_traffic() {
    let (telemetry, since) = deployed(Scenario::Good);
    assert_eq!(value(&telemetry, ERRORS, "green", since), 0.0);
    assert!(value(&telemetry, P95, "green", since) < 0.01);
}

#[test]
fn a_slot_that_nobody_asks_anything_has_no_rate_of_errors() {
    let settings = Settings { counts_probes: false, ..Settings::default() };
    let before = slots(OLD, "blue", None);
    let mut telemetry = Telemetry::start(&furniture(), Scenario::Good, 7, START_MS, &before, settings);
    let since = START_MS + 60_000;
    telemetry.advance(since, &slots(NEW, "blue", None));
    let answer = |query: &str, slot: &str, t: i64| {
        telemetry.engine.instant(&telemetry.store, &query.replace("SLOT", slot), t).unwrap()
    };
    for query in [ERRORS, P95, PAYMENTS] {
        let Value::Vector(elements) = answer(query, "green", since) else { panic!("{query}") };
        assert!(matches!(elements.as_slice(), [one] if one.value.is_nan()), "{query}: {elements:?}");
        assert!(value(&telemetry, query, "blue", since).is_finite());
    }
}

#[test]
fn a_bad_release_crosses_its_bound_and_heals_with_the_rollback() {
    let (mut telemetry, since) = deployed(Scenario::BadRelease);
    let over = breaching(Scenario::BadRelease);
    assert!((60..=150).contains(&over[0]), "first over 1 % after {} s", over[0]);
    assert_eq!(over.last(), Some(&900));
    assert_eq!(i64::try_from(over.len()), Ok((900 - over[0]) / 5 + 1), "no gap");

    let now = since + 300_000;
    telemetry.advance(now, &slots(NEW, "green", Some(since)));
    let (errors, p95) = (value(&telemetry, ERRORS, "green", now), value(&telemetry, P95, "green", now));
    assert!((errors - 0.05).abs() < 0.005 && (p95 - 0.45).abs() < 0.02, "{errors}, {p95}");
    assert!((value(&telemetry, PAYMENTS, "green", now) - 0.95).abs() < 0.01);

    let back = now + 75_000;
    telemetry.advance(back, &slots(NEW, "blue", Some(now)));
    assert!(value(&telemetry, ERRORS, "blue", back) < 0.001);
    assert!(value(&telemetry, ERRORS, "green", back) < 0.001, "probes alone, no errors");
}

#[test]
fn flaps_cross_the_bound_without_lasting() {
    let over = breaching(Scenario::Flapping);
    let mut flaps: Vec<(i64, i64)> = Vec::new();
    for second in over {
        match flaps.last_mut() {
            Some((_, end)) if *end + 5 == second => *end = second,
            _ => flaps.push((second, second)),
        }
    }
    assert_eq!(flaps.len(), 2, "{flaps:?}");
    assert!(flaps.iter().all(|(begin, end)| (120..240).contains(&(end - begin))), "{flaps:?}");
    assert!(flaps[1].1 < 540, "{flaps:?}");
}

#[test]
fn a_late_break_shows_within_the_windows_last_minute() {
    let over = breaching(Scenario::RollbackNeededLate);
    assert!((840..=870).contains(&over[0]), "{over:?}");
}

#[test]
fn the_past_is_there_when_the_world_begins() {
    let telemetry = start(Scenario::Good);
    let (from, to) = (START_MS - 40 * 60_000, START_MS);
    let ranges =
        telemetry.engine.range(&telemetry.store, &ERRORS.replace("SLOT", "blue"), from, to, 15_000).unwrap();
    assert_eq!(ranges.len(), 1);
    assert_eq!(ranges[0].samples.len(), 161);
    assert!(ranges[0].samples.iter().all(|sample| sample.v < 0.001));
}

#[test]
fn a_slot_without_pods_vanishes_at_once() {
    let mut telemetry = start(Scenario::Good);
    let mut down = slots(OLD, "blue", None);
    down.backends[1].ready = 0;
    let up = |telemetry: &Telemetry, t| value(telemetry, r#"up{slot="green"}"#, "", t);
    assert_eq!(up(&telemetry, START_MS), 1.0);
    telemetry.advance(START_MS + 5_000, &down);
    assert!(up(&telemetry, START_MS + 5_000).is_nan());
    assert!(value(&telemetry, r#"app_info{slot="green"}"#, "", START_MS + 5_000).is_nan());
    assert_eq!(value(&telemetry, r#"app_info{slot="blue"}"#, "", START_MS + 5_000), 1.0);
    telemetry.advance(START_MS + 10_000, &slots(OLD, "blue", None));
    assert_eq!(up(&telemetry, START_MS + 10_000), 1.0);
}

#[test]
fn a_new_version_ends_the_old_ones_series() {
    let (telemetry, since) = deployed(Scenario::Good);
    let versions =
        |t| match telemetry.engine.instant(&telemetry.store, r#"app_info{slot="green"}"#, t).unwrap() {
            Value::Vector(elements) => {
                elements.iter().map(|e| e.labels.get("version").to_owned()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
    assert_eq!(versions(START_MS), ["v1.5.0"]);
    assert_eq!(versions(since), ["v1.6.0"]);
}

#[test]
fn a_long_sleep_is_caught_up_with_without_its_whole_length() {
    let mut telemetry = start(Scenario::Good);
    let year = START_MS + 365 * 24 * 3_600_000;
    telemetry.advance(year, &slots(OLD, "blue", None));
    assert!(value(&telemetry, ERRORS, "blue", year) < 0.001);
    let kept =
        telemetry.engine.instant(&telemetry.store, r#"count_over_time(up{slot="blue"}[1d])"#, year).unwrap();
    assert!(matches!(kept, Value::Vector(elements) if (1_430.0..1_450.0).contains(&elements[0].value)));
}

fn ask(telemetry: &Telemetry, path: &str, query: &str) -> (u16, Json) {
    let reply = telemetry.answer(&api::Request::new(path, query, b""), START_MS);
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

/// The query string of one parameter after another.
fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[test]
fn answers_have_prometheus_shapes() {
    let telemetry = start(Scenario::Good);
    let ask = |q: &str| ask(&telemetry, "/api/v1/query", &query(&[("query", q), ("time", "1764000000.5")]));
    let success = |data: Json| (200, json!({ "status": "success", "data": data }));
    assert_eq!(ask("1 / 0"), success(json!({ "resultType": "scalar", "result": [1_764_000_000.5, "+Inf"] })));
    assert_eq!(ask("\"a\""), success(json!({ "resultType": "string", "result": [1_764_000_000.5, "a"] })));
    assert_eq!(ask("absent(up)"), success(json!({ "resultType": "vector", "result": [] })));
    assert_eq!(
        ask(r#"up{slot="blue"}"#),
        success(json!({ "resultType": "vector", "result": [{
            "metric": { "__name__": "up", "instance": "backend-blue:8080", "job": "backend-service", "slot": "blue" },
            "value": [1_764_000_000.5, "1"],
        }] }))
    );
    let (_, matrix) = ask(r#"up{slot="blue"}[10s]"#);
    assert_eq!(matrix["data"]["resultType"], "matrix");
    assert_eq!(matrix["data"]["result"][0]["values"], json!([[1_763_999_995, "1"], [1_764_000_000, "1"]]));
}

#[test]
fn errors_say_whose_fault_they_are() {
    let telemetry = start(Scenario::Good);
    let fails = |path: &str, pairs: &[(&str, &str)]| {
        let (status, body) = ask(&telemetry, path, &query(pairs));
        assert_eq!(body["status"], "error");
        (status, body["errorType"].as_str().unwrap().to_owned(), body["error"].as_str().unwrap().to_owned())
    };
    let is = |(status, kind, message): (u16, String, String), wanted: (u16, &str, &str)| {
        assert!(
            status == wanted.0 && kind == wanted.1 && message.contains(wanted.2),
            "{status} {kind}: {message}"
        );
    };
    let q = "/api/v1/query";
    is(fails(q, &[]), (400, "bad_data", "no expression found"));
    is(fails(q, &[("query", "sum(")]), (400, "bad_data", "parse error"));
    is(fails(q, &[("query", "rate(up)")]), (400, "bad_data", "parse error"));
    is(fails(q, &[("query", "up"), ("time", "noon")]), (400, "bad_data", "\"time\""));
    is(fails(q, &[("query", "up + on(job) up")]), (422, "execution", "duplicate series"));
    is(fails(q, &[("query", "holt_winters(up[1m], 0.1, 0.1)")]), (400, "bad_data", "parse error"));
    is(fails(q, &[("query", "day_of_week()")]), (422, "execution", "day_of_week"));
    is(fails(q, &[("query", "count_values(\"v\", up)")]), (422, "execution", "count_values"));
    let r = "/api/v1/query_range";
    let range = |start, end, step| [("query", "up"), ("start", start), ("end", end), ("step", step)];
    is(fails(r, &range("10", "5", "1")), (400, "bad_data", "\"end\""));
    is(fails(r, &range("1", "5", "0")), (400, "bad_data", "zero or negative"));
    is(fails(r, &range("0", "100000", "1s")), (400, "bad_data", "11,000 points"));
    is(fails(r, &range("", "100000", "1s")), (400, "bad_data", "\"start\""));
    is(
        fails(r, &[("query", "up[1m]"), ("start", "1"), ("end", "2"), ("step", "1")]),
        (400, "bad_data", "range vector"),
    );
    is(fails("/api/v1/series", &[]), (400, "bad_data", "match[]"));
    is(fails("/api/v1/label/a-b/values", &[]), (400, "bad_data", "invalid label name"));
}

#[test]
fn metadata_lists_what_is_there() {
    let telemetry = start(Scenario::Good);
    let (_, slots) = ask(&telemetry, "/api/v1/label/slot/values", "");
    assert_eq!(slots["data"], json!(["blue", "green"]));
    let (_, names) = ask(&telemetry, "/api/v1/label/__name__/values", "");
    for name in
        ["http_requests_total", "http_request_duration_seconds_bucket", "payments_total", "up", "app_info"]
    {
        assert!(names["data"].as_array().unwrap().contains(&json!(name)), "{name}");
    }
    let (_, labels) = ask(&telemetry, "/api/v1/labels", &query(&[("match[]", "payments_total")]));
    assert_eq!(
        labels["data"],
        json!(["__name__", "deployment", "instance", "job", "namespace", "result", "slot", "version"])
    );
    let (_, series) = ask(
        &telemetry,
        "/api/v1/series",
        &query(&[("match[]", "up"), ("match[]", "app_info{slot=\"blue\"}")]),
    );
    assert_eq!(series["data"].as_array().unwrap().len(), 4);
    assert_eq!(ask(&telemetry, "/api/v1/status/buildinfo", "").1["data"]["version"], "3.0.0");
}

#[test]
fn range_queries_take_forms_and_every_spelling_of_time() {
    let telemetry = start(Scenario::Good);
    let form = query(&[
        ("query", "count(up)"),
        ("start", "2025-11-24T15:59:00Z"),
        ("end", "1764000000"),
        ("step", "30s"),
    ]);
    let request = api::Request::new("/api/v1/query_range", "", form.as_bytes());
    let reply = telemetry.answer(&request, START_MS);
    let body: Json = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        body["data"]["result"],
        json!([{ "metric": {}, "values": [[1_763_999_940, "3"], [1_763_999_970, "3"], [1_764_000_000, "3"]] }])
    );
}

#[test]
fn federation_and_expositions_are_read_by_prometheus_parse() {
    let telemetry = start(Scenario::Good);
    let lines = |text: &str| text.lines().map(|line| Ok(line.to_owned())).collect::<Vec<_>>();
    let request = api::Request::new("/federate", &query(&[("match[]", "{slot=\"blue\"}")]), b"");
    let reply = telemetry.answer(&request, START_MS);
    let scrape = prometheus_parse::Scrape::parse(lines(&reply.body).into_iter()).unwrap();
    assert!(scrape.samples.len() > 50);
    assert!(scrape.samples.iter().all(|sample| sample.timestamp.timestamp_millis() == START_MS));

    let stage = slots(OLD, "blue", None);
    let slot = |door| service::answer(door, "/metrics", &stage, &telemetry).body;
    let both = slot(Door::Front(0));
    let mut heads: Vec<_> = both.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let count = heads.len();
    heads.sort_unstable();
    heads.dedup();
    assert_eq!(heads.len(), count, "one head a family, as the format wants it");
    let front = prometheus_parse::Scrape::parse(lines(&both).into_iter()).unwrap();
    let blue = prometheus_parse::Scrape::parse(lines(&slot(Door::Slot("blue"))).into_iter()).unwrap();
    assert_eq!(front.samples.len(), 2 * blue.samples.len());
    assert!(blue.samples.iter().all(|sample| sample.labels.get("slot") == Some("blue")));
    let histograms = blue
        .samples
        .iter()
        .filter(|sample| matches!(&sample.value, prometheus_parse::Value::Histogram(buckets) if buckets.len() == 17))
        .count();
    assert_eq!(histograms, 4);
}

#[test]
fn a_door_to_no_pods_answers_503() {
    let telemetry = start(Scenario::Good);
    let mut stage = slots(NEW, "green", None);
    let get = |stage: &Picture, door, path| {
        let reply = service::answer(door, path, stage, &telemetry);
        (reply.status, reply.body)
    };
    assert_eq!(
        get(&stage, Door::Front(0), "/version"),
        (200, r#"{"version":"v1.6.0","environment":"green"}"#.to_owned())
    );
    stage.backends[1].ready = 0;
    for path in ["/health", "/health/db", "/version", "/metrics", "/api/orders"] {
        assert_eq!(get(&stage, Door::Front(0), path).0, 503);
        assert_eq!(get(&stage, Door::Slot("green"), path).0, 503);
        assert_eq!(get(&stage, Door::Slot("blue"), path).0, 200);
    }
}

#[test]
fn the_front_door_keeps_the_shares_and_says_what_it_cannot_do() {
    let telemetry = start(Scenario::Good);
    let mut picture = slots(NEW, "blue", None);
    (picture.backends[0].share, picture.backends[1].share) = (0.65, 0.05);
    (picture.elsewhere, picture.refused) = (0.1, 0.1);
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    for turn in 0..1_000 {
        let reply = service::answer(Door::Front(turn), "/version", &picture, &telemetry);
        let body: Json = serde_json::from_str(&reply.body).unwrap();
        let version = body["version"].as_str().unwrap_or("-");
        *told.entry(format!("{} {version}", reply.status)).or_default() += 1;
    }
    for (answer, wanted) in
        [("200 v1.5.0", 650), ("200 v1.6.0", 50), ("200 -", 100), ("500 -", 100), ("503 -", 100)]
    {
        let is = told.get(answer).copied().unwrap_or(0);
        assert!(is.abs_diff(wanted) <= 3, "{answer}: {told:?}");
    }
    picture.backends[1].hash = "6d5f".into();
    let reply = service::answer(Door::Revision("6d5f"), "/version", &picture, &telemetry);
    assert!(reply.body.contains("v1.6.0"), "{}", reply.body);
    assert_eq!(service::answer(Door::Revision("gone"), "/version", &picture, &telemetry).status, 503);
}
