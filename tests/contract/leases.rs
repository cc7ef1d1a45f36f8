//! Leases and config maps: what the lock and the copy are kept in.

use hyper::Method;
use serde_json::{Value, json};

use super::side::{JSON, Side};

pub(crate) async fn leases_and_maps(side: &mut Side) {
    side.begin("leases and config maps");
    let lease = |holder: &str, version: Option<&Value>| {
        let mut meta = json!({"name": "contract"});
        if let Some(version) = version {
            meta["resourceVersion"] = version.clone();
        }
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta,
               "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}})
    };
    let first = side.call(Method::POST, "leases", JSON, &lease("a", None)).await;
    side.tell_answer("made", &first);
    let second = side.call(Method::POST, "leases", JSON, &lease("b", None)).await;
    side.tell_answer("made twice", &second);
    let version = first.1["metadata"]["resourceVersion"].clone();
    let put = side.call(Method::PUT, "leases/contract", JSON, &lease("c", Some(&version))).await;
    side.tell_answer("replaced", &put);
    let put = side.call(Method::PUT, "leases/contract", JSON, &lease("d", Some(&version))).await;
    side.tell_answer("replaced with an old version", &put);
    let answer = side.call(Method::POST, "leases", JSON, &json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "Not_A_Name"}})).await;
    side.tell("a name that is none", answer.0);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "contract", "labels": {"a": "b"}}, "data": {"k": "v"}});
    let answer = side.call(Method::POST, "configmaps", JSON, &map).await;
    side.tell_answer("a map", &answer);
    let listed = side.get("configmaps?labelSelector=a%3Db").await;
    side.tell("by label", listed["items"].as_array().map_or(0, Vec::len));
    let answer = side
        .call(
            Method::DELETE,
            "configmaps/contract",
            JSON,
            &json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}),
        )
        .await;
    side.tell("deleted with another uid", answer.0);
    let answer = side.call(Method::DELETE, "configmaps/contract", JSON, &Value::Null).await;
    side.tell("deleted", format!("{} {} {}", answer.0, answer.1["kind"], answer.1["status"]));
    let answer = side.call(Method::DELETE, "configmaps/contract", JSON, &Value::Null).await;
    side.tell_answer("deleted twice", &answer);
}
