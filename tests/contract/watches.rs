//! Watches: what they begin with, what they tell, bookmarks, and versions that are too old or still to come.

use std::time::Duration;

use hyper::Method;
use regex::Regex;
use serde_json::{Value, json};

use super::side::{JSON, MERGE, Side};

/// Another watch of the Service for so many seconds.
fn service(rest: &str) -> String {
    format!("services?watch=true&fieldSelector=metadata.name%3Dbackend-service&{rest}")
}

/// The events of a watch that has ended.
fn events((code, body): &(u16, Value)) -> Vec<Value> {
    assert_eq!(*code, 200, "{body}");
    // One event alone is a document of JSON already.
    match body {
        Value::String(lines) => lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        one => vec![one.clone()],
    }
}

fn kinds(events: &[Value]) -> String {
    let mut kinds: Vec<&str> =
        events.iter().map(|event| event["type"].as_str().unwrap_or_default()).collect();
    // How many bookmarks there are is the server's own affair.
    kinds.dedup_by(|a, b| a == b && *a == "BOOKMARK");
    if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(" ") }
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// A watch to its end, and a label of the Service that changes meanwhile.
async fn watched(side: &Side, path: &str, label: Value) -> (u16, Value) {
    let change = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let label = json!({"metadata": {"labels": {"watched": label}}});
        side.patch("services/backend-service", MERGE, label).await
    };
    tokio::join!(side.call(Method::GET, path, JSON, &Value::Null), change).0
}

pub(crate) async fn watches(side: &mut Side) {
    side.begin("watches");
    let list = side.get("services?fieldSelector=metadata.name%3Dbackend-service").await;
    let from = version(&list);

    let path = service(&format!("resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=5"));
    let told = events(&watched(side, &path, json!("yes")).await);
    side.tell("with bookmarks, until its time is up", kinds(&told));
    let (last, mark) = (&told[0]["object"], &told[told.len() - 1]["object"]);
    let meta: Vec<&String> = mark["metadata"].as_object().unwrap().keys().collect();
    side.tell("a bookmark", format!("{} {} {meta:?}", mark["kind"], mark["apiVersion"]));
    side.tell("is as new as what was told", version(mark) >= version(last));

    let path = service(&format!("resourceVersion={}&timeoutSeconds=3", version(last)));
    let told = events(&watched(side, &path, json!("no")).await);
    side.tell("without bookmarks", kinds(&told));

    let path = "services?watch=true&labelSelector=watched%3Dyes&timeoutSeconds=3";
    side.tell("enters the selection", kinds(&events(&watched(side, path, json!("yes")).await)));
    side.tell("leaves the selection", kinds(&events(&watched(side, path, Value::Null).await)));
    for begins in ["", "resourceVersion=0&"] {
        let path = service(&format!("{begins}timeoutSeconds=1"));
        let told = events(&side.call(Method::GET, &path, JSON, &Value::Null).await);
        side.tell(&format!("begins with `{begins}`"), kinds(&told));
    }

    let numbers = Regex::new(r"\d{2,}").unwrap();
    let path = service("resourceVersion=1&timeoutSeconds=3");
    let told = events(&side.call(Method::GET, &path, JSON, &Value::Null).await);
    let object = &told[0]["object"];
    let message = numbers.replace_all(object["message"].as_str().unwrap_or_default(), "N").into_owned();
    side.tell("from the first version there was", kinds(&told));
    side.tell("…", format!("{} {} {} {message}", object["kind"], object["code"], object["reason"]));
    let path = "services?watch=true&resourceVersion=1&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    let answer = side.call(Method::GET, path, JSON, &Value::Null).await;
    side.tell("a match, which is for lists", answer.0);
}
