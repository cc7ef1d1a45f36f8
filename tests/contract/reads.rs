//! Reads and their errors.

use hyper::Method;
use serde_json::{Value, json};

use super::side::{Caller, JSON, MERGE, Side};

pub(crate) async fn reads(side: &mut Side) {
    side.begin("reads");
    for resource in
        ["services/nope", "deployments/nope", "pods/nope", "nopes/x", "leases/nope", "configmaps/nope"]
    {
        let answer = side.call(Method::GET, resource, JSON, &Value::Null).await;
        side.tell_answer(resource, &answer);
    }
    let elsewhere = side
        .call_raw(Method::GET, "/api/v1/namespaces/nowhere/services/backend-service", JSON, Vec::new())
        .await;
    side.tell_answer("a Service in no namespace", &elsewhere);
    let (_, list) = side.call_raw(Method::GET, "/api/v1/namespaces/nowhere/services", JSON, Vec::new()).await;
    side.tell("the Services of no namespace", format!("{} {}", list["kind"], list["items"]));
    let page = side.get("pods?limit=1").await;
    let left = &page["metadata"]["remainingItemCount"];
    side.tell(
        "a page",
        format!(
            "{} of it, {left} left, goes on: {}",
            page["items"].as_array().unwrap().len(),
            page["metadata"]["continue"].is_string()
        ),
    );
    let answer = side.call(Method::GET, "pods?continue=nonsense&limit=1", JSON, &Value::Null).await;
    side.tell("a page from nowhere", answer.0);
    let answer = side.call(Method::GET, "pods?labelSelector=%21%21", JSON, &Value::Null).await;
    side.tell("a selector that is none", answer.0);
    let answer = side.call(Method::GET, "pods?fieldSelector=spec.nope%3D1", JSON, &Value::Null).await;
    side.tell_answer("a field that cannot be selected by", &answer);
    let service = side.get("services/backend-service").await;
    side.tell(
        "the Service",
        format!("{} {} {}", service["kind"], service["apiVersion"], service["spec"]["type"]),
    );
}

/// What somebody hears who may not do it, or whom nobody knows.
pub(crate) async fn refusals(side: &mut Side) {
    side.begin("refusals");
    side.call_as(Caller::Stranger).await;
    for resource in [
        "services/backend-service",
        "deployments/backend-blue",
        "leases/nope",
        "pods",
        "pods?watch=true",
        "pods/nope/log",
    ] {
        let answer = side.call(Method::GET, resource, JSON, &Value::Null).await;
        side.tell_answer(&format!("may not get {resource}"), &answer);
    }
    let (code, nodes) = side.call_raw(Method::GET, "/api/v1/nodes", JSON, Vec::new()).await;
    side.tell_answer("may not list the nodes", &(code, nodes));
    for resource in ["services/backend-service", "deployments/backend-blue", "deployments/backend-blue/scale"]
    {
        let answer = side.patch(resource, MERGE, json!({"spec": {}})).await;
        side.tell_answer(&format!("may not patch {resource}"), &answer);
    }
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "refused"}});
    let answer = side.call(Method::POST, "configmaps", JSON, &map).await;
    side.tell_answer("may not make a map", &answer);
    side.call_as(Caller::Nobody).await;
    let answer = side.call(Method::GET, "services/backend-service", JSON, &Value::Null).await;
    side.tell_answer("is not known", &answer);
    side.call_as(Caller::Admin).await;
}
