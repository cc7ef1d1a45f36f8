//! Whether the nodes have room for more pods of a slot: allocatable resources minus the requests of scheduled pods.
//!
//! It is the scheduler's own arithmetic for requests, node selectors and hard taints. Affinity, topology spread and
//! priorities are left out, so it is evidence and no promise.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Node, PodSpec, Taint, Toleration},
    apimachinery::pkg::api::resource::Quantity,
};
use serde::Deserialize;

use crate::{
    domain::id::SlotName,
    engine::ports::{PortError, PortResult, Seen},
};

use super::{
    KubeCluster,
    call::{Call, NODES, PODS},
    quantity::milli,
};

/// A pod of which nothing but its spec is read: these are all pods of the cluster.
#[derive(Deserialize)]
struct Scheduled {
    spec: Option<PodSpec>,
}

/// Amounts by resource, in thousandths of each resource's unit.
pub(super) type Amounts = BTreeMap<String, i128>;

impl KubeCluster {
    /// A sum over nodes and not a simulation of the scheduler: it finds what cannot fit, and promises nothing about what
    /// can.
    pub(super) async fn room_for(&self, slot: &SlotName, replicas: u32) -> PortResult<Seen> {
        let deployment = self.read_deployment(slot).await?;
        let template = deployment.spec.template.spec.unwrap_or_default();
        let mut free: BTreeMap<String, Amounts> = BTreeMap::new();
        let mut nodes = 0_u32;
        let call = Call::list(&NODES, None);
        let listed = self.gateway.each(&call, |node: Node| {
            nodes += 1;
            if takes(&node, &template) {
                let allocatable = node.status.and_then(|status| status.allocatable).unwrap_or_default();
                free.insert(node.metadata.name.unwrap_or_default(), amounts(&allocatable));
            }
        });
        listed.await.map_err(|fault| cannot_know(&fault))?;
        let call =
            Call::list(&PODS, None).with("fieldSelector", "status.phase!=Succeeded,status.phase!=Failed");
        let listed = self.gateway.each(&call, |pod: Scheduled| {
            let Some(spec) = pod.spec else { return };
            if let Some(left) = spec.node_name.as_ref().and_then(|node| free.get_mut(node)) {
                for (resource, amount) in requests(&spec) {
                    *left.entry(resource).or_default() -= amount;
                }
            }
        });
        listed.await.map_err(|fault| cannot_know(&fault))?;
        let wanted = requests(&template);
        let room: i128 = free.values().map(|left| fitting(left, &wanted)).sum();
        let words = words(&wanted);
        let evidence = format!(
            "room for {room} more pods ({words} each) on {} of {nodes} nodes, {replicas} needed",
            free.len()
        );
        Ok(if room >= i128::from(replicas) { Seen::yes(evidence) } else { Seen::no(evidence) })
    }
}

/// Denied stays denied: that is what asks for a person's look.
fn cannot_know(fault: &PortError) -> PortError {
    PortError::new(fault.kind, format!("the room on the nodes is unknown: {}", fault.message))
}

/// How many pods with these requests fit into what is left of a node.
fn fitting(left: &Amounts, wanted: &Amounts) -> i128 {
    let each = wanted.iter().filter(|(_, amount)| **amount > 0);
    each.map(|(resource, amount)| left.get(resource).copied().unwrap_or(0).max(0) / amount).min().unwrap_or(0)
}

/// Whether pods of this template may go to a node at all.
fn takes(node: &Node, template: &PodSpec) -> bool {
    let spec = node.spec.clone().unwrap_or_default();
    let ready = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = ready.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let selected = template.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let tolerations = template.tolerations.clone().unwrap_or_default();
    let mut hard = spec
        .taints
        .iter()
        .flatten()
        .filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute");
    ready
        && selected
        && spec.unschedulable != Some(true)
        && hard.all(|taint| tolerations.iter().any(|t| tolerates(t, taint)))
}

/// As the scheduler does it: an empty key with `Exists` tolerates everything, an empty effect all effects.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let any = |wanted: &Option<String>| wanted.as_deref().is_none_or(str::is_empty);
    let exists = toleration.operator.as_deref() == Some("Exists");
    (any(&toleration.effect) || toleration.effect.as_deref() == Some(taint.effect.as_str()))
        && if any(&toleration.key) {
            exists
        } else {
            toleration.key.as_deref() == Some(taint.key.as_str())
                && (exists
                    || toleration.value.as_deref().unwrap_or_default()
                        == taint.value.as_deref().unwrap_or_default())
        }
}

/// What the scheduler counts for a pod: its containers and sidecars together, or the largest init container where that is
/// more, plus the overhead of its runtime; and the pod itself.
pub(super) fn requests(spec: &PodSpec) -> Amounts {
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &of(container));
    }
    let mut sidecars = Amounts::new();
    let mut largest = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let mut while_it_runs = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &while_it_runs);
            while_it_runs = sidecars.clone();
        } else {
            add(&mut while_it_runs, &sidecars);
        }
        for (resource, amount) in while_it_runs {
            let entry = largest.entry(resource).or_default();
            *entry = (*entry).max(amount);
        }
    }
    add(&mut total, &sidecars);
    for (resource, amount) in largest {
        let entry = total.entry(resource).or_default();
        *entry = (*entry).max(amount);
    }
    add(&mut total, &amounts(spec.overhead.as_ref().unwrap_or(&BTreeMap::new())));
    total.insert("pods".to_owned(), 1000);
    total
}

/// Without a request a container counts as nothing: the scheduler places it anywhere.
fn of(container: &Container) -> Amounts {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    requests.map(amounts).unwrap_or_default()
}

fn amounts(quantities: &BTreeMap<String, Quantity>) -> Amounts {
    quantities.iter().filter_map(|(resource, quantity)| Some((resource.clone(), milli(quantity)?))).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        *total.entry(resource.clone()).or_default() += amount;
    }
}

/// Requests for people: `250m cpu, 256Mi memory`.
fn words(wanted: &Amounts) -> String {
    let each = wanted.iter().filter(|(resource, _)| *resource != "pods").map(|(resource, amount)| {
        match resource.as_str() {
            "cpu" => format!("{amount}m cpu"),
            "memory" => format!("{}Mi memory", (amount / 1000 + (1 << 20) - 1) >> 20),
            other => format!("{} {other}", amount / 1000),
        }
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { "no requests".to_owned() } else { each.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(value: Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn requests_are_counted_as_the_scheduler_does() {
        let container = |cpu: &str| json!({ "name": "c", "resources": { "requests": { "cpu": cpu } } });
        let sidecar = |cpu: &str| json!({ "name": "s", "restartPolicy": "Always", "resources": { "requests": { "cpu": cpu } } });
        let plain = spec(json!({ "containers": [container("100m"), container("0.2")] }));
        assert_eq!(requests(&plain)["cpu"], 300);
        let init = spec(json!({ "containers": [container("100m")], "initContainers": [container("1")] }));
        assert_eq!(requests(&init)["cpu"], 1000);
        let sidecars = spec(
            json!({ "containers": [container("100m")], "initContainers": [sidecar("50m"), container("120m")], "overhead": { "cpu": "5m" } }),
        );
        assert_eq!(
            requests(&sidecars)["cpu"],
            175,
            "the init container beside its sidecar, and the overhead"
        );
        assert_eq!(words(&requests(&plain)), "300m cpu");
        assert_eq!(words(&requests(&spec(json!({ "containers": [] })))), "no requests");
    }

    #[test]
    fn the_scarcest_resource_decides() {
        let left: Amounts =
            [("cpu".to_owned(), 1000), ("memory".to_owned(), 10_000), ("pods".to_owned(), 110_000)].into();
        let wanted: Amounts =
            [("cpu".to_owned(), 300), ("memory".to_owned(), 1), ("pods".to_owned(), 1000)].into();
        assert_eq!(fitting(&left, &wanted), 3);
        let overcommitted: Amounts = [("cpu".to_owned(), -5), ("pods".to_owned(), 110_000)].into();
        assert_eq!(fitting(&overcommitted, &wanted), 0);
        let gpu: Amounts = [("nvidia.com/gpu".to_owned(), 1000)].into();
        assert_eq!(fitting(&left, &gpu), 0, "a resource the node does not have");
    }

    #[test]
    fn nodes_that_take_nothing_are_left_out() {
        let node = |spec: Value, ready: &str| -> Node {
            let it = json!({ "metadata": { "labels": { "disk": "ssd" } }, "spec": spec,
                "status": { "conditions": [{ "type": "Ready", "status": ready }] } });
            serde_json::from_value(it).unwrap()
        };
        let any = spec(json!({ "containers": [] }));
        assert!(takes(&node(json!({}), "True"), &any));
        assert!(!takes(&node(json!({}), "Unknown"), &any));
        assert!(!takes(&node(json!({ "unschedulable": true }), "True"), &any));
        let tainted =
            node(json!({ "taints": [{ "key": "team", "value": "a", "effect": "NoSchedule" }] }), "True");
        assert!(!takes(&tainted, &any));
        for tolerations in [
            json!([{ "operator": "Exists" }]),
            json!([{ "key": "team", "operator": "Exists", "effect": "NoSchedule" }]),
            json!([{ "key": "team", "value": "a" }]),
        ] {
            assert!(
                takes(&tainted, &spec(json!({ "containers": [], "tolerations": tolerations }))),
                "{tolerations}"
            );
        }
        assert!(!takes(
            &tainted,
            &spec(json!({ "containers": [], "tolerations": [{ "key": "team", "value": "b" }] }))
        ));
        assert!(!takes(
            &node(json!({}), "True"),
            &spec(json!({ "containers": [], "nodeSelector": { "disk": "hdd" } }))
        ));
    }
}
