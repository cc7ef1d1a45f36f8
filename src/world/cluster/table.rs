//! Objects as the rows that kubectl prints.

use serde_json::{Value, json};

use super::{
    object::{condition, int, list, name, parse_time, string_map, terminating, text},
    resource::{Kind, Resource},
};

/// Objects as the cells of a table; `full` says whether a row carries its whole object or its metadata alone.
pub(super) fn table(
    resource: &Resource,
    objects: &[&Value],
    now: i64,
    include: Include,
    version: u64,
) -> Value {
    let rows: Vec<Value> = objects.iter().map(|object| row(resource, object, now, include)).collect();
    let mut table = json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version.to_string()},
        "columnDefinitions": columns(resource.kind),
    });
    table["rows"] = Value::Array(rows);
    table
}

/// What a row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    pub(super) fn parse(parameter: &str) -> Self {
        match parameter {
            "None" => Self::Nothing,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// An object's metadata alone, as `as=PartialObjectMetadata` asks for.
pub(super) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// One row: its cells, and as much of the object as the client wants with them.
fn row(resource: &Resource, object: &Value, now: i64, include: Include) -> Value {
    // A real server sends the metadata where nobody asks: kubectl sorts and watches by it, also where it shows cells alone.
    let object_shown = match include {
        Include::Nothing => Value::Null,
        Include::Metadata => partial(object),
        Include::Object => object.clone(),
    };
    let mut row = json!({"cells": cells(resource.kind, object, now)});
    row["object"] = object_shown;
    row
}

/// Column names, as an API server sends them; `*` marks those that kubectl shows with `-o wide` only.
fn names(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*",
        Kind::Deployment => "Name|Ready|Up-to-date|Available|Age|Containers*|Images*|Selector*",
        Kind::ReplicaSet => "Name|Desired|Current|Ready|Age|Containers*|Images*|Selector*",
        Kind::Service => "Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*",
        Kind::Endpoints => "Name|Endpoints|Age",
        Kind::EndpointSlice => "Name|AddressType|Ports|Endpoints|Age",
        Kind::Node => {
            "Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*"
        }
        Kind::Namespace => "Name|Status|Age",
        Kind::ConfigMap => "Name|Data|Age",
        Kind::Lease => "Name|Holder|Age",
        Kind::Event => "Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*",
        Kind::HorizontalPodAutoscaler => "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age",
        Kind::Gateway => "Name|Class|Address|Programmed|Age",
        Kind::HttpRoute => "Name|Hostnames|Age",
    }
}

/// The columns of a kind's table. `priority` 0 is always shown, 1 with `-o wide`; `format` tells kubectl which one has the name.
fn columns(kind: Kind) -> Vec<Value> {
    let integer =
        |name: &str| matches!(name, "Up-to-date" | "Available" | "Desired" | "Current" | "Data" | "Count");
    names(kind)
        .split('|')
        .map(|column| {
            let name = column.trim_end_matches('*');
            json!({
                "name": name,
                "type": if integer(name) { "integer" } else { "string" },
                "format": if name == "Name" { "name" } else { "" },
                "description": "",
                "priority": u8::from(name != column),
            })
        })
        .collect()
}

/// The cells of an object, in the order of its columns.
fn cells(kind: Kind, object: &Value, now: i64) -> Value {
    let age = since(text(object, "/metadata/creationTimestamp"), now);
    match kind {
        Kind::Pod => pod(object, &age, now),
        Kind::Deployment => deployment(object, &age),
        Kind::ReplicaSet => replica_set(object, &age),
        Kind::Service => service(object, &age),
        Kind::Endpoints => endpoints(object, &age),
        Kind::EndpointSlice => endpoint_slice(object, &age),
        Kind::Node => node(object, &age),
        Kind::Namespace => json!([name(object), text(object, "/status/phase"), age]),
        Kind::ConfigMap => {
            json!([name(object), object["data"].as_object().map_or(0, serde_json::Map::len), age])
        }
        Kind::Lease => json!([name(object), text(object, "/spec/holderIdentity"), age]),
        Kind::Event => event(object, now),
        Kind::HorizontalPodAutoscaler => autoscaler(object, &age),
        Kind::Gateway => gateway(object, &age),
        Kind::HttpRoute => {
            // A custom resource's column prints a list as it is written.
            let hostnames = object.pointer("/spec/hostnames").map(Value::to_string);
            json!([name(object), hostnames, age])
        }
    }
}

/// `Programmed` is what people wait for: before it no traffic passes, however well the routes are.
fn gateway(object: &Value, age: &str) -> Value {
    json!([
        name(object),
        text(object, "/spec/gatewayClassName"),
        text(object, "/status/addresses/0/value"),
        condition(object, "Programmed"),
        age
    ])
}

/// `READY` is of all pods that are wanted, old ones too; only `UP-TO-DATE` tells how far a rollout has come.
fn deployment(object: &Value, age: &str) -> Value {
    let (containers, images) = containers(object);
    let ready = format!("{}/{}", int(object, "/status/readyReplicas"), int(object, "/spec/replicas"));
    json!([
        name(object),
        ready,
        int(object, "/status/updatedReplicas"),
        int(object, "/status/availableReplicas"),
        age,
        containers,
        images,
        selector(object, "/spec/selector/matchLabels")
    ])
}

/// Where a rollout has replaced a set it stays with three zeros: it is the history that `rollout undo` goes back in.
fn replica_set(object: &Value, age: &str) -> Value {
    let (containers, images) = containers(object);
    json!([
        name(object),
        int(object, "/spec/replicas"),
        int(object, "/status/replicas"),
        int(object, "/status/readyReplicas"),
        age,
        containers,
        images,
        selector(object, "/spec/selector/matchLabels")
    ])
}

fn service(object: &Value, age: &str) -> Value {
    let ports: Vec<_> = list(object, "/spec/ports")
        .iter()
        .map(|port| format!("{}/{}", int(port, "/port"), or(text(port, "/protocol"), "TCP")))
        .collect();
    json!([
        name(object),
        or(text(object, "/spec/type"), "ClusterIP"),
        or(text(object, "/spec/clusterIP"), "<none>"),
        "<none>",
        or(&ports.join(","), "<none>"),
        age,
        selector(object, "/spec/selector")
    ])
}

/// Ready addresses alone, as kubectl prints them: what is not ready gets no traffic.
fn endpoints(object: &Value, age: &str) -> Value {
    let mut addresses = Vec::new();
    for subset in list(object, "/subsets") {
        let port = int(subset, "/ports/0/port");
        addresses.extend(
            list(subset, "/addresses").iter().map(|address| format!("{}:{port}", text(address, "/ip"))),
        );
    }
    json!([name(object), shortened(&addresses), age])
}

/// Unlike `Endpoints` also those that are not ready: the column does not tell them apart, their conditions do.
fn endpoint_slice(object: &Value, age: &str) -> Value {
    let ports: Vec<_> = list(object, "/ports").iter().map(|port| int(port, "/port").to_string()).collect();
    let addresses: Vec<_> =
        list(object, "/endpoints").iter().map(|endpoint| text(endpoint, "/addresses/0").to_owned()).collect();
    json!([
        name(object),
        text(object, "/addressType"),
        or(&ports.join(","), "<unset>"),
        shortened(&addresses),
        age
    ])
}

/// The parts that the simulated kubelet has nothing to say about are empty, as for a node that has just joined.
fn node(object: &Value, age: &str) -> Value {
    let status = if condition(object, "Ready") == "True" { "Ready" } else { "NotReady" };
    json!([
        name(object),
        status,
        "<none>",
        age,
        text(object, "/status/nodeInfo/kubeletVersion"),
        text(object, "/status/addresses/0/address"),
        "<none>",
        text(object, "/status/nodeInfo/osImage"),
        text(object, "/status/nodeInfo/kernelVersion"),
        text(object, "/status/nodeInfo/containerRuntimeVersion")
    ])
}

/// `<unknown>` as where no metrics server answers: this world scales by nothing but what somebody writes.
fn autoscaler(object: &Value, age: &str) -> Value {
    let target = format!(
        "{}/{}",
        text(object, "/spec/scaleTargetRef/kind"),
        text(object, "/spec/scaleTargetRef/name")
    );
    json!([
        name(object),
        target,
        "<unknown>",
        int(object, "/spec/minReplicas").max(1).to_string(),
        int(object, "/spec/maxReplicas"),
        int(object, "/status/currentReplicas"),
        age
    ])
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// Three at most: a Service with a hundred pods has one line.
fn shortened(all: &[String]) -> String {
    match all {
        [] => "<none>".to_owned(),
        few if few.len() <= 3 => few.join(","),
        many => format!("{} + {} more...", many[..3].join(","), many.len() - 3),
    }
}

/// Sorted by key: two prints of the same selector can be compared by eye.
fn selector(object: &Value, pointer: &str) -> String {
    let pairs: Vec<_> =
        string_map(object, pointer).iter().map(|(key, value)| format!("{key}={value}")).collect();
    or(&pairs.join(","), "<none>").to_owned()
}

/// Of the template, not of pods: what the next pod will run.
fn containers(object: &Value) -> (String, String) {
    let containers = list(object, "/spec/template/spec/containers");
    let joined =
        |field: &str| containers.iter().map(|container| text(container, field)).collect::<Vec<_>>().join(",");
    (joined("/name"), joined("/image"))
}

/// What the STATUS column says of a pod: the most telling of its containers' states.
fn pod_state(pod: &Value) -> String {
    let mut reason = or(text(pod, "/status/reason"), text(pod, "/status/phase")).to_owned();
    // Backwards, so that the first container with something to say has the last word, as in kubectl.
    for status in list(pod, "/status/containerStatuses").iter().rev() {
        let waiting = text(status, "/state/waiting/reason");
        let terminated = text(status, "/state/terminated/reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut reason);
        } else if !terminated.is_empty() {
            terminated.clone_into(&mut reason);
        } else if status.pointer("/state/terminated").is_some() {
            reason = format!("ExitCode:{}", int(status, "/state/terminated/exitCode"));
        }
    }
    if terminating(pod) { "Terminating".to_owned() } else { reason }
}

/// `RESTARTS` tells when the last one was: three restarts of last week and three of this minute are not the same.
fn pod(pod: &Value, age: &str, now: i64) -> Value {
    let statuses = list(pod, "/status/containerStatuses");
    let ready = statuses.iter().filter(|status| super::object::flag(status, "/ready")).count();
    let restarts: i64 = statuses.iter().map(|status| int(status, "/restartCount")).sum();
    let last = statuses
        .iter()
        .map(|status| text(status, "/lastState/terminated/finishedAt"))
        .max()
        .unwrap_or_default();
    let restarts = if restarts > 0 && !last.is_empty() {
        format!("{restarts} ({} ago)", since(last, now))
    } else {
        restarts.to_string()
    };
    json!([
        name(pod),
        format!("{ready}/{}", list(pod, "/spec/containers").len()),
        pod_state(pod),
        restarts,
        age,
        or(text(pod, "/status/podIP"), "<none>"),
        or(text(pod, "/spec/nodeName"), "<none>"),
        "<none>",
        "<none>",
    ])
}

/// By when it happened last: a warning that comes again and again is one object with a count.
fn event(event: &Value, now: i64) -> Value {
    let about = format!(
        "{}/{}",
        text(event, "/involvedObject/kind").to_lowercase(),
        text(event, "/involvedObject/name")
    );
    let host = text(event, "/source/host");
    let component = text(event, "/source/component");
    let source = if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") };
    let first = or(text(event, "/firstTimestamp"), text(event, "/eventTime"));
    let last = or(text(event, "/lastTimestamp"), first);
    json!([
        since(last, now),
        text(event, "/type"),
        text(event, "/reason"),
        about,
        text(event, "/involvedObject/fieldPath"),
        source,
        text(event, "/message").trim(),
        since(first, now),
        int(event, "/count").max(1),
        name(event),
    ])
}

/// The age of something, from an API time; what was never set is `<unknown>`.
fn since(time: &str, now: i64) -> String {
    parse_time(time).map_or_else(|| "<unknown>".to_owned(), |at| duration(now - at))
}

/// A time span as kubectl writes ages: two units at most, fewer as it grows.
fn duration(ms: i64) -> String {
    let seconds = (ms / 1000).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (305, "5m5s"),
            (3_600, "60m"),
            (11_000, "3h3m"),
            (90_000, "25h"),
            (3 * 86_400 + 7_200, "3d2h"),
            (60 * 86_400, "60d"),
        ] {
            assert_eq!(duration(seconds * 1000), text);
        }
    }

    #[test]
    fn a_pods_status_is_what_troubles_it() {
        let mut pod = json!({"status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
        assert_eq!(pod_state(&pod), "ImagePullBackOff");
        pod["metadata"]["deletionTimestamp"] = json!("2026-11-20T14:00:00Z");
        assert_eq!(pod_state(&pod), "Terminating");
    }
}
