use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    adapters::{
        metrics::{
            MetricsAdapter,
            tests::{NOW, prometheus, promql},
        },
        testing::{Reply, Requests, serve},
    },
    domain::slot_labels::SlotLabels,
    engine::ports::Metrics as _,
};

const AT: f64 = 1_795_000_000.0;

fn success(kind: &str, result: &Value) -> String {
    json!({ "status": "success", "data": { "resultType": kind, "result": result } }).to_string()
}

fn vector(value: &str) -> String {
    success("vector", &json!([{ "metric": {}, "value": [AT, value] }]))
}

/// A server that answers questions about age with `age` and all others with `reply`.
async fn server(reply: Reply, age: Reply) -> (MetricsAdapter, Requests) {
    let (reply, age) = (Arc::new(reply), Arc::new(age));
    let (address, requests) =
        serve(
            move |request| if request.contains("timestamp%28") { (*age).clone() } else { (*reply).clone() },
        )
        .await;
    (prometheus(address), requests)
}

fn fresh_data() -> Reply {
    Reply::json(vector("1794999990"))
}

async fn value(reply: Reply) -> Result<f64, Missing> {
    server(reply, fresh_data()).await.0.sample(&promql("up"), None, NOW).await.value
}

#[tokio::test]
async fn one_number_is_taken_with_the_servers_time() {
    let later = json!([{ "metric": { "a": "b" }, "value": [AT + 1.25, "0.0004"] }]);
    let (adapter, _) = server(Reply::json(success("vector", &later)), fresh_data()).await;
    let sample = adapter.sample(&promql("up"), None, NOW).await;
    assert_eq!((sample.value, sample.at), (Ok(0.0004), Timestamp(NOW.0 + 1250)));
    assert_eq!(value(Reply::json(success("scalar", &json!([AT, "1.5e3"])))).await, Ok(1500.0));
    assert_eq!(value(Reply::json(vector("-0"))).await, Ok(0.0));
    let info = r#"{"status":"success","infos":["metric might not be a counter"],"data":{"resultType":"scalar","result":[1795000000,"2"]}}"#;
    assert_eq!(value(Reply::json(info)).await, Ok(2.0), "an info is no warning");
}

/// M1: forty answers that are no number, and what each is told as.
#[tokio::test]
async fn m1_forty_answers_are_missing() {
    let ok = |body: &str| Reply::json(body);
    let point = |at: f64, value: &str| {
        Reply::json(success("vector", &json!([{ "metric": {}, "value": [at, value] }])))
    };
    let error = |status: &str, kind: &str| {
        Reply::http(
            status,
            "application/json",
            json!({ "status": "error", "errorType": kind, "error": "because" }).to_string(),
        )
    };
    let warned = r#"{"status":"success","warnings":["one store was not asked"],"data":{"resultType":"scalar","result":[1795000000,"1"]}}"#;
    let two = json!([
        { "metric": { "job": "x", "pod": "a" }, "value": [AT, "1"] },
        { "metric": { "job": "x", "pod": "b" }, "value": [AT, "2"] },
    ]);
    let (nan, none, bad, stale) = ("not a number", "no data", "bad answer: ", "stale: ");
    let fixtures: Vec<(Reply, String)> = vec![
        (point(AT, "NaN"), nan.into()),
        (point(AT, "nan"), nan.into()),
        (point(AT, "+Inf"), nan.into()),
        (point(AT, "-Inf"), nan.into()),
        (point(AT, "Inf"), nan.into()),
        (point(AT, "1e999"), nan.into()),
        (point(AT, ""), nan.into()),
        (point(AT, "1,5"), nan.into()),
        (point(AT, "0x10"), nan.into()),
        (ok(&success("scalar", &json!([AT, "NaN"]))), nan.into()),
        (ok(&success("vector", &json!([]))), none.into()),
        (
            ok(&success("vector", &two)),
            "more than one series: 2 series, sum them or pick one: {pod=\"a\"} {pod=\"b\"}".into(),
        ),
        (ok(&success("matrix", &json!([]))), format!("{bad}a range of values instead of one")),
        (
            ok(&success("matrix", &json!([{ "metric": {}, "values": [[AT, "1"]] }]))),
            format!("{bad}a range of values"),
        ),
        (ok(&success("string", &json!([AT, "1"]))), format!("{bad}a text instead of a number")),
        (
            ok(&success("vector", &json!([{ "metric": {}, "histogram": [AT, {}] }]))),
            format!("{bad}a native histogram"),
        ),
        (ok(&success("table", &json!([]))), format!("{bad}status 200, not an answer from Prometheus")),
        (ok(&success("vector", &json!([{ "metric": {}, "value": [AT] }]))), format!("{bad}status 200, not")),
        (
            ok(&success("vector", &json!([{ "metric": {}, "value": [AT, 1] }]))),
            format!("{bad}status 200, not"),
        ),
        (ok(&success("vector", &Value::Null)), format!("{bad}status 200, not an answer")),
        (ok(warned), format!("{bad}answered with a warning: one store was not asked")),
        (ok(r#"{"status":"success"}"#), format!("{bad}an answer without data")),
        (ok(r#"{"status":"success","data":null}"#), format!("{bad}an answer without data")),
        (
            ok(r#"{"status":"error","errorType":"timeout","error":"too slow"}"#),
            format!("{bad}status 200, timeout: too slow"),
        ),
        (ok("{}"), format!("{bad}status 200, not an answer from Prometheus")),
        (ok("[]"), format!("{bad}status 200, not an answer from Prometheus")),
        (ok("null"), format!("{bad}status 200, not an answer from Prometheus")),
        (ok(""), format!("{bad}status 200, not an answer from Prometheus: EOF")),
        (
            ok(r#"{"status":"success","data":{"resultType":"vec"#),
            format!("{bad}status 200, not an answer from Prometheus: EOF"),
        ),
        (
            Reply::http("200 OK", "text/html; charset=utf-8", "<html>Sign in"),
            format!("{bad}status 200 with an HTML page"),
        ),
        (Reply::http("502 Bad Gateway", "text/html", "<html>"), format!("{bad}status 502 with an HTML page")),
        (error("400 Bad Request", "bad_data"), format!("{bad}status 400, bad_data: because")),
        (error("422 Unprocessable Entity", "execution"), format!("{bad}status 422, execution: because")),
        (error("503 Service Unavailable", "timeout"), format!("{bad}status 503, timeout: because")),
        (Reply::http("500 Oops", "text/plain", "internal"), format!("{bad}status 500")),
        (Reply::http("401 Unauthorized", "text/plain", "who are you"), format!("{bad}status 401")),
        (
            Reply::with("302 Found", &[("Location", "https://login.example.com/?x")], ""),
            format!("{bad}redirected to https://login.example.com/,"),
        ),
        (point(AT - 91.0, "1"), format!("{stale}the newest point is 91s old")),
        (point(AT + 11.0, "1"), format!("{stale}its clock is 11s ahead of ours")),
        (point(1e300, "1"), format!("{bad}a timestamp that is not a valid time")),
    ];
    assert_eq!(fixtures.len(), 40);
    for (reply, says) in fixtures {
        let told = value(reply.clone()).await.map_err(|missing| missing.to_string());
        assert!(matches!(&told, Err(why) if why.starts_with(&says)), "{reply:?}: {told:?}, wanted {says}");
    }
}

#[tokio::test]
async fn data_that_nobody_renews_is_stale() {
    let at = |seconds: f64| Reply::json(vector(&(AT - seconds).to_string()));
    let look = async |age: Reply| {
        server(Reply::json(vector("0.5")), age).await.0.sample(&promql("up"), None, NOW).await.value
    };
    assert_eq!(look(at(0.0)).await, Ok(0.5));
    assert_eq!(look(at(90.0)).await, Ok(0.5), "a scrape a minute is no staleness");
    assert_eq!(look(at(91.0)).await, Err(Missing::Stale("the newest point is 91s old".into())));
    assert_eq!(look(at(290.0)).await, Err(Missing::Stale("the newest point is 4m old".into())));
    // An empty answer is no age, and no age is not fresh: all series are gone, and `or vector(0)` answers for them.
    let unknown = "age unknown: no series in the query has a point";
    assert_eq!(look(Reply::json(success("vector", &json!([])))).await, Err(Missing::Stale(unknown.into())));
    // Not being able to tell is not the same as being fresh.
    let told = look(Reply::http("503 Oops", "text/plain", "")).await;
    assert_eq!(told, Err(Missing::BadAnswer("asked for the age of the data: status 503".into())));
    assert_eq!(
        look(Reply::json(vector("NaN"))).await,
        Err(Missing::BadAnswer("asked for the age of the data: a timestamp that is not a valid time".into()))
    );
    // A slow metric may be older.
    let (adapter, _) = server(Reply::json(vector("0.5")), at(110.0)).await;
    let mut slow = promql("up");
    slow.interval = Span::from_mins(1);
    assert_eq!(adapter.sample(&slow, None, NOW).await.value, Ok(0.5));
}

#[tokio::test]
async fn a_query_that_reads_no_series_is_never_fresh() {
    let (adapter, requests) = server(Reply::json(vector("0")), fresh_data()).await;
    for expr in ["vector(0)", "1", "time() - 5"] {
        let told = adapter.sample(&promql(expr), None, NOW).await.value;
        assert_eq!(told, Err(Missing::Stale("age unknown: the query reads no series".into())), "{expr}");
    }
    assert!(requests.lock().unwrap().iter().all(|request| !request.contains("timestamp")));
}

/// Of several selectors some may have found nothing; none may have found something old, and one must have found something.
#[tokio::test]
async fn errors_that_never_happened_are_no_gap() {
    const RATE: &str = "(sum(rate(errors[1m])) or vector(0)) / sum(rate(requests[1m]))";
    let look = async |errors: Option<f64>, requests: Option<f64>| {
        let age = |seconds: Option<f64>| {
            let point =
                seconds.map(|seconds| json!({ "metric": {}, "value": [AT, (AT - seconds).to_string()] }));
            success("vector", &point.into_iter().collect())
        };
        let (errors, requests) = (age(errors), age(requests));
        let (address, _) = serve(move |request| {
            Reply::json(match request {
                _ if !request.contains("timestamp%28") => vector("0"),
                _ if request.contains("errors") => errors.clone(),
                _ => requests.clone(),
            })
        })
        .await;
        prometheus(address).sample(&promql(RATE), None, NOW).await.value.map_err(|why| why.to_string())
    };
    assert_eq!(look(None, Some(5.0)).await, Ok(0.0));
    assert_eq!(look(Some(5.0), Some(5.0)).await, Ok(0.0));
    assert_eq!(look(Some(100.0), Some(5.0)).await, Err("stale: the newest point is 100s old".into()));
    assert_eq!(look(None, Some(100.0)).await, Err("stale: the newest point is 100s old".into()));
    assert!(look(None, None).await.is_err());
}

#[test]
fn a_ratio_is_found_below_what_scales_it() {
    let over = |below: &str| Some(Ratio::Over(below.to_owned()));
    for (expr, wanted) in [
        ("a / b", over("b")),
        ("(sum(rate(e[1m])) or vector(0)) / sum(rate(r[1m]))", over("sum(rate(r[1m]))")),
        ("100 * (a / b)", over("b")),
        ("a / b * 100", over("b")),
        ("a / b or vector(0)", over("b")),
        ("round(1 - a / b, 0.1)", over("b")),
        ("avg(a / b)", over("b")),
        ("histogram_quantile(0.95, sum by (le) (rate(d_bucket[1m])))", Some(Ratio::Quantile)),
        ("a / 60", None),
        ("sum(rate(a[1m])) * 60", None),
        ("a", None),
        ("a - b", None),
        ("not promql at all (", None),
    ] {
        assert_eq!(ratio(expr), wanted, "{expr}");
    }
}

#[tokio::test]
async fn a_ratio_of_nothing_is_told_apart() {
    let empty = || success("vector", &json!([]));
    let look = async |expr: &str, value: String, below: String| {
        let (address, _) = serve(move |request| {
            Reply::json(match request {
                _ if request.contains("timestamp%28") => vector("1794999990"),
                _ if request.contains("query=b+") || request.contains("query=b ") => below.clone(),
                _ => value.clone(),
            })
        })
        .await;
        prometheus(address).sample(&promql(expr), None, NOW).await.value
    };
    let (p95, plain) = ("histogram_quantile(0.9, d_bucket)", "a");
    assert_eq!(look("a / b", vector("NaN"), empty()).await, Err(Missing::ZeroByZero));
    assert_eq!(look(p95, vector("NaN"), empty()).await, Err(Missing::ZeroByZero));
    assert_eq!(
        look("a / b", vector("+Inf"), empty()).await,
        Err(Missing::NotANumber),
        "something by nothing"
    );
    assert_eq!(look(plain, vector("NaN"), empty()).await, Err(Missing::NotANumber));
    // Without a series: it depends on what is below the line.
    assert_eq!(look("a / b", empty(), empty()).await, Err(Missing::EmptyRatio));
    assert_eq!(look("a / b", empty(), vector("0")).await, Err(Missing::EmptyRatio));
    assert_eq!(look("a / b", empty(), vector("7")).await, Err(Missing::NoData), "there is traffic");
    assert_eq!(look(p95, empty(), empty()).await, Err(Missing::EmptyRatio));
    assert_eq!(look(plain, empty(), empty()).await, Err(Missing::NoData));
    assert!(Missing::ZeroByZero.is_no_traffic() && Missing::EmptyRatio.is_no_traffic());
    assert!(!Missing::NoData.is_no_traffic() && !Missing::NotANumber.is_no_traffic());
}

#[test]
fn every_selector_is_asked_for_its_age() {
    for (expr, wanted) in [
        ("up", &["max(timestamp(up))"][..]),
        ("vector(1)", &[]),
        ("time() - 5", &[]),
        (
            "sum(rate(http_requests_total{code=~\"5..\",slot=\"blue\"}[1m])) / sum(rate(http_requests_total{slot=\"blue\"}[1m]))",
            &[
                "max(timestamp(http_requests_total{code=~\"5..\",slot=\"blue\"}))",
                "max(timestamp(http_requests_total{slot=\"blue\"}))",
            ],
        ),
        ("a - a offset 1h", &["max(timestamp(a))"]),
        ("a @ 1609746000", &["max(timestamp(a))"]),
        ("max_over_time(rate(a{b=\"x\\\"y\\\\\"}[1m])[5m:10s])", &["max(timestamp(a{b=\"x\\\"y\\\\\"}))"]),
        ("histogram_quantile(0.95, sum by (le) (rate(d_bucket[1m])))", &["max(timestamp(d_bucket))"]),
        ("{__name__=~\"a|b\"}", &["max(timestamp({__name__=~\"a|b\"}))"]),
        ("not promql at all (", &["max(timestamp(not promql at all ())"]),
    ] {
        assert_eq!(age_queries(expr), wanted, "{expr}");
        for query in age_queries(expr).iter().filter(|_| !expr.starts_with("not")) {
            assert!(parser::parse(query).is_ok(), "{query}");
        }
    }
}

#[tokio::test]
async fn questions_are_asked_below_the_base_url_with_the_slot_in_them() {
    let (address, requests) = serve(|_| fresh_data()).await;
    for (base, path) in [
        ("", "/api/v1/query"),
        ("/", "/api/v1/query"),
        ("/prom/", "/prom/api/v1/query"),
        ("/prom", "/prom/api/v1/query"),
    ] {
        let url = Url::parse(&format!("http://{address}{base}")).unwrap();
        let adapter = crate::adapters::metrics::tests::adapter(crate::adapters::metrics::tests::source(
            crate::domain::runbook::SourceKind::Prometheus { url: url.as_str().into() },
            crate::adapters::metrics::tests::PATIENCE,
        ));
        let slot: SlotLabels = "blue".into();
        adapter.sample(&promql("up{slot=\"$slot\"} + 1"), Some(&slot), NOW).await.value.unwrap();
        let mut asked: Vec<String> = requests.lock().unwrap().drain(..).collect();
        asked.sort();
        let lines: Vec<&str> = asked.iter().map(|request| request.lines().next().unwrap()).collect();
        let query = |text: &str| format!("GET {path}?query={text} HTTP/1.1");
        let (age, value) =
            ("max%28timestamp%28up%7Bslot%3D%22blue%22%7D%29%29", "up%7Bslot%3D%22blue%22%7D+%2B+1");
        assert_eq!(lines, [query(age), query(value)]);
    }
}

#[tokio::test]
async fn the_past_comes_as_a_range() {
    let values = json!([[AT - 10.0, "1"], [AT - 5.0, "NaN"], [AT, "2"]]);
    let reply = Reply::json(success("matrix", &json!([{ "metric": {}, "values": values }])));
    let (adapter, requests) = server(reply, fresh_data()).await;
    let past = adapter.backfill(&promql("up"), None, NOW - Span::from_mins(15), NOW).await;
    let times: Vec<i64> = past.iter().map(|sample| sample.at.0 - NOW.0).collect();
    assert_eq!(times, [-10_000, -5000, 0]);
    let values: Vec<_> = past.into_iter().map(|sample| sample.value).collect();
    assert_eq!(values, [Ok(1.0), Err(Missing::NotANumber), Ok(2.0)]);
    let request = requests.lock().unwrap().pop().unwrap();
    let line = request.lines().next().unwrap();
    assert_eq!(
        line,
        "GET /api/v1/query_range?query=up&start=1794999100.000&end=1795000000.000&step=5.000 HTTP/1.1"
    );

    // No more points than a server gives; the newest part counts.
    adapter.backfill(&promql("up"), None, Timestamp(0), NOW).await;
    let request = requests.lock().unwrap().pop().unwrap();
    assert!(request.contains("start=1794945005.000&end=1795000000.000"), "{request}");
    assert!(adapter.backfill(&promql("up"), None, NOW + Span::from_secs(1), NOW).await.is_empty());

    for reply in [
        Reply::json(success("matrix", &json!([]))),
        Reply::json(success(
            "matrix",
            &json!([{ "metric": { "a": "1" }, "values": [] }, { "metric": {}, "values": [] }]),
        )),
        Reply::json(vector("1")),
        Reply::http("500 Oops", "text/plain", ""),
        Reply::Close,
    ] {
        let (adapter, _) = server(reply, fresh_data()).await;
        assert!(adapter.backfill(&promql("up"), None, NOW - Span::from_mins(15), NOW).await.is_empty());
    }
}

#[tokio::test]
async fn what_a_server_says_is_foreign_text() {
    let error = json!({ "status": "error", "errorType": "execution", "error": format!("\u{1b}]0;x\u{7}\u{202e}{}", "y".repeat(900)) });
    let told =
        value(Reply::http("422 Oops", "application/json", error.to_string())).await.unwrap_err().to_string();
    assert!(
        told.contains("<U+202E>") && !told.chars().any(char::is_control) && told.chars().count() < 220,
        "{told}"
    );
}

fn counted() -> crate::domain::metric::Metric {
    crate::adapters::metrics::tests::metric(crate::domain::metric::Query::Counted(
        crate::domain::metric::Counted {
            source: "s".into(),
            scraped: false,
            part: "errors".into(),
            good: false,
            all: "requests".into(),
        },
    ))
}

/// A series that one of the two selectors has found, with its mark.
fn found(mark: &str, pod: &str, kind: &str, told: &Value) -> Value {
    json!({ "metric": { "__name__": "x", "cutover_counts": mark, "pod": pod }, kind: told })
}

/// A server with the counters of two pods, whose data is so old.
async fn counters(age: u64) -> (MetricsAdapter, Requests) {
    let series = |mark: &'static str, values: [&'static str; 2]| {
        ["a", "b"]
            .into_iter()
            .zip(values)
            .map(move |(pod, value)| found(mark, pod, "value", &json!([AT, value])))
    };
    let both: Vec<Value> = series("part", ["1", "2"]).chain(series("all", ["100", "200"])).collect();
    let both = Reply::json(success("vector", &json!(both)));
    let newest = Reply::json(vector(&format!("{}", 1_795_000_000 - age)));
    let (address, requests) =
        serve(move |request| if request.contains("timestamp%28") { newest.clone() } else { both.clone() })
            .await;
    (prometheus(address), requests)
}

#[tokio::test]
async fn both_selectors_are_read_as_raw_series_at_one_instant() {
    let (adapter, requests) = counters(5).await;
    let answer = adapter.count(&counted(), None, NOW).await.unwrap();
    let values = |series: &[(crate::domain::evidence::counters::SeriesKey, f64)]| {
        series.iter().map(|(_, value)| *value).collect::<Vec<_>>()
    };
    assert_eq!(answer.at, NOW);
    assert_eq!((values(&answer.counted), values(&answer.all)), (vec![1.0, 2.0], vec![100.0, 200.0]));
    assert_ne!(answer.all[0].0, answer.all[1].0, "each series is told apart");
    assert_eq!(answer.counted[0].0, answer.all[0].0, "the mark is none of its labels");
    let asked = requests.lock().unwrap().clone();
    let at = asked.iter().filter(|request| request.contains("time=1795000000.000")).count();
    assert_eq!((asked.len(), at), (2, 2), "all are asked for the same time: {asked:?}");
    // Between two queries there may be a scrape, and its good events would be in one of them only.
    let one = asked.iter().filter(|request| request.contains("errors") && request.contains("requests"));
    assert_eq!(one.count(), 1, "both selectors are one query: {asked:?}");
}

#[tokio::test]
async fn good_events_that_are_nowhere_are_a_misspelt_label_and_not_all_bad() {
    let all = Reply::json(success("vector", &json!([found("all", "a", "value", &json!([AT, "100"]))])));
    let newest = Reply::json(vector("1794999995"));
    let (address, _) =
        serve(move |request| if request.contains("timestamp%28") { newest.clone() } else { all.clone() })
            .await;
    let adapter = prometheus(address);
    assert!(adapter.count(&counted(), None, NOW).await.is_ok(), "no errors yet is the best of news");
    let mut good = counted();
    if let crate::domain::metric::Query::Counted(counted) = &mut good.query {
        counted.good = true;
    }
    let told = adapter.count(&good, None, NOW).await.unwrap_err();
    assert!(matches!(&told, Missing::BadAnswer(why) if why.contains("misspelt")), "{told}");
}

/// The new version has 0.25 where the old one has 0.2.
#[tokio::test]
async fn a_histogram_without_the_bucket_is_no_pod_that_answers_badly() {
    let bucket = |pod: &str, value: &str| json!({ "metric": { "__name__": "x_bucket", "cutover_counts": "part", "pod": pod, "le": "0.2" }, "value": [AT, value] });
    let count = |pod: &str| found("all", pod, "value", &json!([AT, "100"]));
    let told = async |series: Vec<Value>| {
        let newest = Reply::json(vector("1794999995"));
        let both = Reply::json(success("vector", &json!(series)));
        let (address, _) =
            serve(
                move |request| if request.contains("timestamp%28") { newest.clone() } else { both.clone() },
            )
            .await;
        prometheus(address).count(&counted(), None, NOW).await
    };
    assert!(told(vec![bucket("a", "90"), bucket("b", "95"), count("a"), count("b")]).await.is_ok());
    let changed = told(vec![bucket("a", "90"), count("a"), count("b"), count("c")]).await.unwrap_err();
    assert!(
        matches!(&changed, Missing::BadAnswer(why) if why.starts_with("2 of 3 series of `all`")),
        "{changed}"
    );
    // What is counted by other labels altogether, and errors that some pods don't have yet.
    assert!(told(vec![bucket("ingress", "90"), count("a"), count("b")]).await.is_ok());
    let error = found("part", "a", "value", &json!([AT, "1"]));
    assert!(told(vec![error, count("a"), count("b")]).await.is_ok());
}

#[tokio::test]
async fn counters_that_nobody_measures_any_more_are_no_answer_and_none_at_all_is_one() {
    let (adapter, _) = counters(120).await;
    let stale = adapter.count(&counted(), None, NOW).await.unwrap_err();
    assert!(matches!(&stale, Missing::Stale(why) if why.contains("2m")), "{stale}");
    let (adapter, _) = server(Reply::json(success("vector", &json!([]))), fresh_data()).await;
    let empty = adapter.count(&counted(), None, NOW).await.unwrap();
    assert_eq!((empty.counted.len(), empty.all.len()), (0, 0));
    let (adapter, _) = server(Reply::http("503 Service Unavailable", "text/plain", "no"), fresh_data()).await;
    assert!(adapter.count(&counted(), None, NOW).await.is_err());
    // NaN of a counter is no number, and so no answer's part; what is no selector's answer is none.
    let (adapter, _) = server(Reply::json(success("scalar", &json!([AT, "1"]))), fresh_data()).await;
    assert!(matches!(adapter.count(&counted(), None, NOW).await, Err(Missing::BadAnswer(_))));
}

#[tokio::test]
async fn the_past_of_counters_is_put_together_by_time() {
    let both = Reply::json(success(
        "matrix",
        &json!([
            found("part", "a", "values", &json!([[AT - 30.0, "1"], [AT, "3"]])),
            found("all", "a", "values", &json!([[AT - 60.0, "10"], [AT - 30.0, "60"], [AT, "110"]])),
        ]),
    ));
    let (address, _) = serve(move |_| both.clone()).await;
    let adapter = prometheus(address);
    let past =
        adapter.count_past(&counted(), None, NOW - Span::from_secs(60), NOW, Span::from_secs(30)).await;
    let seen: Vec<_> =
        past.iter().map(|it| (NOW.since(it.at).as_secs(), it.counted.len(), it.all.len())).collect();
    assert_eq!(seen, [(60, 0, 1), (30, 1, 1), (0, 1, 1)]);
}
