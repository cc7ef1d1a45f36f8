//! What controllers create: the `ReplicaSet`s of a Deployment, and their pods.

use serde_json::{Value, json};

use super::object::{int, name, put, text, uid_of};

/// The annotation that numbers a Deployment's templates.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// `~1` is a `/` in a JSON pointer.
pub(super) const REVISION_POINTER: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
/// The numbers that a `ReplicaSet` had before it was used again.
pub(super) const HISTORY_POINTER: &str = "/metadata/annotations/deployment.kubernetes.io~1revision-history";
/// What the Deployment wanted, and how many it allowed, when the set was last sized: by them a change of `replicas` is told
/// from a rollout, and shared out in proportion.
pub(super) const DESIRED_POINTER: &str = "/metadata/annotations/deployment.kubernetes.io~1desired-replicas";
pub(super) const MAXIMUM_POINTER: &str = "/metadata/annotations/deployment.kubernetes.io~1max-replicas";
/// The field manager of what controllers write, which tells it from what people do.
pub(super) const CONTROLLER: &str = "kube-controller-manager";

/// A new `ReplicaSet` of `deployment`, with its revision not yet set.
pub(super) fn new_replica_set(
    deployment: &Value,
    template: &Value,
    hash: &str,
    replicas: i64,
    desired: i64,
) -> Value {
    let mut template = template.clone();
    // In labels and selector alike: otherwise two sets of one Deployment would fight over its pods.
    put(&mut template, "/metadata/labels/pod-template-hash", hash);
    let mut selector = deployment["spec"]["selector"].clone();
    put(&mut selector, "/matchLabels/pod-template-hash", hash);
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)),
            "namespace": text(deployment, "/metadata/namespace"),
            "labels": template["metadata"]["labels"],
            "annotations": {},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": name(deployment), "uid": uid_of(deployment),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    wait_as_long(&mut set, deployment);
    let limits = Limits::of(deployment);
    put(&mut set, DESIRED_POINTER, desired.to_string());
    put(&mut set, MAXIMUM_POINTER, (desired + limits.surge).to_string());
    set
}

/// How long a pod has to have been ready is the Deployment's word, also after its `ReplicaSet` was made.
pub(super) fn wait_as_long(set: &mut Value, deployment: &Value) {
    let seconds = int(deployment, "/spec/minReadySeconds");
    if seconds > 0 {
        put(set, "/spec/minReadySeconds", seconds);
    } else if let Some(spec) = set["spec"].as_object_mut() {
        spec.remove("minReadySeconds");
    }
}

/// A new pod of the `ReplicaSet` `set`.
pub(super) fn new_pod(set: &Value, pod_name: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut pod = json!({
        "metadata": {
            "name": pod_name,
            "generateName": format!("{}-", name(set)),
            "namespace": text(set, "/metadata/namespace"),
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name(set), "uid": uid_of(set),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": template["spec"],
    });
    // Annotations come from the template as well: `kubectl rollout restart` works by nothing else.
    if template["metadata"]["annotations"].is_object() {
        put(&mut pod, "/metadata/annotations", template["metadata"]["annotations"].clone());
    }
    complete_pod(&mut pod);
    pod
}

/// What every pod has, said or not.
pub(super) fn complete_pod(pod: &mut Value) {
    for (pointer, value) in [
        ("/spec/restartPolicy", json!("Always")),
        ("/spec/terminationGracePeriodSeconds", json!(30)),
        ("/spec/dnsPolicy", json!("ClusterFirst")),
        ("/spec/serviceAccountName", json!("default")),
        ("/spec/schedulerName", json!("default-scheduler")),
        ("/spec/enableServiceLinks", json!(true)),
    ] {
        if pod.pointer(pointer).is_none() {
            put(pod, pointer, value);
        }
    }
    put(pod, "/status", json!({"phase": "Pending", "qosClass": "Burstable"}));
}

/// How far a rolling update may go over and under the wanted number.
pub(super) struct Limits {
    pub(super) surge: i64,
    pub(super) unavailable: i64,
    pub(super) recreate: bool,
}

impl Limits {
    pub(super) fn of(deployment: &Value) -> Self {
        let replicas = int(deployment, "/spec/replicas");
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            // None may be missing: while they are replaced the Deployment is not available, and says so.
            return Self { surge: 0, unavailable: 0, recreate: true };
        }
        let at = |field: &str| deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
        let surge = amount(at("maxSurge"), replicas, true);
        let unavailable = amount(at("maxUnavailable"), replicas, false);
        // Both zero could never move.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Self { surge, unavailable: unavailable.min(replicas), recreate: false }
    }
}

/// A number or a percentage of `replicas`; surges round up, what may be missing rounds down. 25 % where nothing is said.
fn amount(value: Option<&Value>, replicas: i64, up: bool) -> i64 {
    let percent = match value {
        Some(Value::Number(number)) => return number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => text.trim_end_matches('%').parse().unwrap_or(25),
        _ => 25,
    };
    let hundredths: i64 = replicas * percent;
    if up { (hundredths + 99) / 100 } else { hundredths / 100 }
}
