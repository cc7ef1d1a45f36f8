use serde_json::{Value, json};

use super::*;
use crate::adapters::{
    metrics::tests::{NOW, prometheus, promql},
    testing::{Reply, serve},
};

const AT: i64 = 1_795_000_000;

fn matrix(values: &Value) -> Reply {
    let result = json!([{ "metric": {}, "values": values }]);
    Reply::json(
        json!({ "status": "success", "data": { "resultType": "matrix", "result": result } }).to_string(),
    )
}

/// The past of an expression with these values and ages of its data.
async fn past(expr: &str, values: Value, newest: Value) -> Vec<Result<f64, Missing>> {
    let (address, _) =
        serve(move |request| matrix(if request.contains("timestamp%28") { &newest } else { &values })).await;
    let from = NOW;
    let to = NOW + Span::from_secs(45);
    let past = prometheus(address).past(&promql(expr), None, from, to, Span::from_secs(15)).await.unwrap();
    assert!(past.iter().map(|sample| sample.at).eq((0..4).map(|step| NOW + Span::from_secs(15 * step))));
    past.into_iter().map(|sample| sample.value).collect()
}

#[tokio::test]
async fn each_step_is_what_would_have_been_seen_live() {
    let values = json!([[AT, "1"], [AT + 15, "2"], [AT + 45, "NaN"]]);
    let fresh = |at: i64| json!([at, (at - 5).to_string()]);
    let ages = json!([fresh(AT), [AT + 15, (AT - 200).to_string()], fresh(AT + 30), fresh(AT + 45)]);
    let told = past("up", values.clone(), ages.clone()).await;
    assert_eq!(told[0], Ok(1.0));
    assert!(matches!(told[1], Err(Missing::Stale(_))), "old data is no number, though it has one: {told:?}");
    assert_eq!(told[2..], [Err(Missing::NoData), Err(Missing::NotANumber)]);
    let told = past("a / b", values, ages).await;
    assert_eq!(told[2..], [Err(Missing::EmptyRatio), Err(Missing::ZeroByZero)]);
}

#[tokio::test]
async fn without_an_age_there_is_no_number() {
    let told = past("up", json!([[AT, "1"]]), json!([])).await;
    assert!(matches!(told[0], Err(Missing::Stale(_))), "{told:?}");
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_a_fault_and_no_gap() {
    let (address, _) = serve(|_| Reply::http("500 Internal Server Error", "text/plain", "no")).await;
    let past = prometheus(address).past(&promql("up"), None, NOW, NOW, Span::from_secs(15)).await;
    assert!(past.is_err(), "{past:?}");
}
