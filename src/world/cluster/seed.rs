//! The cluster at the start: two Deployments at the version in production, days old and healthy.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    created::{REVISION, new_pod, new_replica_set},
    life::NODES,
    object::{put, rfc3339, template_hash, text},
    resource::Kind,
    state::State,
};
use crate::world::stage::{Directing, Strategy};

const DAY_MS: i64 = 86_400_000;
/// Who has made what people make: kubectl, before server-side apply was usual.
const APPLIER: &str = "kubectl-client-side-apply";
const CONTROLLER: &str = "kube-controller-manager";

impl State {
    /// Makes all objects of the beginning.
    pub(super) fn furnish(&mut self) {
        let born = self.now - 90 * DAY_MS;
        for namespace in ["default", "kube-system", &self.namespace()] {
            let object = json!({
                "metadata": {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            });
            if self.store.get(&super::store::Key::new(Kind::Namespace, "", namespace)).is_none() {
                self.create(Kind::Namespace, object, "kube-apiserver", born);
            }
        }
        for (at, node) in NODES.into_iter().enumerate() {
            let object = self.node(node, at);
            self.create(Kind::Node, object, "kubelet", born);
        }
        let config = json!({"metadata": {"name": "kube-root-ca.crt", "namespace": self.namespace()}, "data": {"ca.crt": ""}});
        self.create(Kind::ConfigMap, config, CONTROLLER, born);
        let slots: Vec<_> =
            self.furniture.slots.iter().map(|(name, slot)| (name.clone(), slot.deployment.clone())).collect();
        for (slot, deployment) in &slots {
            self.furnish_slot(slot, deployment);
        }
        self.furnish_services();
        self.furnish_route(self.now - 60 * DAY_MS);
        self.follow_traffic();
    }

    /// A node that is well, and has been since the cluster began.
    fn node(&self, node: &str, at: usize) -> Value {
        let since = rfc3339(self.now - 90 * DAY_MS);
        // Room for both colours twice over, however many replicas the story has.
        let pods = (i64::from(self.furniture.replicas) * 2).max(110);
        let cpu = (i64::from(self.furniture.replicas)).max(8);
        let resources = json!({
            "cpu": cpu.to_string(), "memory": format!("{}Mi", cpu * 2048), "ephemeral-storage": "102350Mi",
            "pods": pods.to_string(),
        });
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": status, "lastHeartbeatTime": rfc3339(self.now), "lastTransitionTime": since,
                   "reason": reason, "message": message})
        };
        json!({
            "metadata": {"name": node, "labels": {
                "kubernetes.io/hostname": node, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            }},
            "spec": {},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": format!("10.0.0.{}", 11 + at)},
                    {"type": "Hostname", "address": node},
                ],
                "capacity": resources,
                "allocatable": resources,
                "conditions": [
                    condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                    condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                    condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                    condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
                ],
                "nodeInfo": {
                    "kubeletVersion": super::VERSION, "osImage": "Debian GNU/Linux 13 (trixie)", "kernelVersion": "6.12.0-amd64",
                    "containerRuntimeVersion": "containerd://2.0.2", "operatingSystem": "linux", "architecture": "amd64",
                    "machineID": "", "systemUUID": "", "bootID": "", "kubeProxyVersion": "",
                },
            },
        })
    }

    /// A slot as a week of use leaves it: its Deployment with two revisions, so that there is a history to go back
    /// in, and its pods in service.
    fn furnish_slot(&mut self, slot: &str, deployment: &str) {
        let live = self.furniture.live == slot;
        let replicas = i64::from(self.furniture.replicas_of(slot));
        // The live colour was deployed last week; the idle one is what went before it and was brought level since.
        let (created, rolled, revision) =
            (self.now - 60 * DAY_MS, self.now - if live { 7 } else { 6 } * DAY_MS, if live { 4 } else { 3 });
        let image = self.furniture.image.clone();
        let template = self.template(slot, deployment, &image);
        let object = json!({
            "metadata": {
                "name": deployment,
                "namespace": self.namespace(),
                "labels": template["metadata"]["labels"],
                "annotations": {REVISION: revision.to_string()},
                "generation": revision + 2,
            },
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": template["metadata"]["labels"]},
                "template": template,
                "strategy": strategy(&self.furniture.strategy),
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
            },
        });
        let owner = self.create(Kind::Deployment, object, APPLIER, created);
        let earlier = self.template(slot, deployment, &previous_image(&image));
        self.furnish_set(&owner, &earlier, (revision - 1, rolled - 7 * DAY_MS), 0);
        self.furnish_set(&owner, &template, (revision, rolled), replicas);
        let set = format!("{deployment}-{}", template_hash(&template));
        let mut object = Value::clone(&owner);
        let generation = revision + 2;
        put(&mut object, "/status", settled(generation, replicas, &set, (created, rolled + 60_000)));
        self.write(Kind::Deployment, object, CONTROLLER, Some("status"));
    }

    /// A revision as its rollout has left it, with its pods, which came 20 s after each other.
    fn furnish_set(&mut self, owner: &Value, template: &Value, (revision, at): (i64, i64), wanted: i64) {
        let replicas = super::object::int(owner, "/spec/replicas");
        let mut set = new_replica_set(owner, template, &template_hash(template), wanted, replicas);
        put(&mut set, "/metadata/annotations/deployment.kubernetes.io~1revision", revision.to_string());
        let status = if wanted == 0 {
            json!({"replicas": 0, "observedGeneration": 1})
        } else {
            json!({
                "replicas": wanted, "fullyLabeledReplicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted,
                "observedGeneration": 1,
            })
        };
        put(&mut set, "/status", status);
        let set = self.create(Kind::ReplicaSet, set, CONTROLLER, at);
        for number in 0..wanted {
            let name = self.fresh_name(&format!("{}-", text(&set, "/metadata/name")));
            let pod = new_pod(&set, &name);
            let started = at + 20_000 * (number + 1);
            let pod = Self::pod_in_service(pod, started);
            self.create(Kind::Pod, pod, CONTROLLER, started - 14_000);
        }
    }

    /// The pod template of a slot, without the hash.
    fn template(&self, slot: &str, deployment: &str, image: &str) -> Value {
        let mut labels = json!({});
        labels[self.app_label()] = json!(self.app(deployment));
        for (key, value) in self.furniture.slots.get(slot).into_iter().flat_map(|slot| &slot.selector) {
            labels[key] = json!(value);
        }
        json!({
            "metadata": {"creationTimestamp": null, "labels": labels},
            "spec": {
                "containers": [{
                    "name": self.furniture.container,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                    "env": [{"name": "DEPLOY_COLOUR", "value": slot}],
                    "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
                    "readinessProbe": {
                        "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
                        "initialDelaySeconds": 8, "timeoutSeconds": 1, "periodSeconds": 2, "successThreshold": 1,
                        "failureThreshold": 3,
                    },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }],
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst",
                "securityContext": {},
                "schedulerName": "default-scheduler",
            },
        })
    }

    /// The label that tells one application's pods from others': all slots share it where one Service selects them all.
    fn app<'a>(&'a self, deployment: &'a str) -> &'a str {
        match self.furniture.directing {
            Directing::Selector | Directing::Rollout => deployment,
            Directing::Route { .. } | Directing::Replicas => &self.furniture.service,
        }
    }

    /// The label's name: another one where the slots' own labels have that.
    fn app_label(&self) -> &'static str {
        let taken = self.furniture.slots.values().any(|slot| slot.selector.contains_key("app"));
        if taken && self.furniture.directing != Directing::Selector {
            "app.kubernetes.io/name"
        } else {
            "app"
        }
    }

    /// The Services, pointing at the live slot by what directs the traffic; each slot has one of its own where a
    /// route names them as backends.
    fn furnish_services(&mut self) {
        let born = self.now - 60 * DAY_MS;
        let service = self.furniture.service.clone();
        let Some(live) = self.furniture.slots.get(&self.furniture.live).cloned() else {
            return self.furnish_one_service(&service, &json!({}), born);
        };
        let (label, app) = (self.app_label(), self.app(&live.deployment).to_owned());
        let of = |selector: &BTreeMap<String, String>| {
            let mut selector = selector.clone();
            selector.insert(label.to_owned(), app.clone());
            json!(selector)
        };
        let selector = match self.furniture.directing {
            Directing::Selector => json!(live.selector),
            Directing::Route { .. } | Directing::Replicas => of(&BTreeMap::new()),
            Directing::Rollout => of(&live.selector),
        };
        self.furnish_one_service(&service, &selector, born);
        if matches!(self.furniture.directing, Directing::Route { .. }) {
            for slot in self.furniture.slots.clone().values() {
                self.furnish_one_service(slot.own_service(), &of(&slot.selector), born);
            }
        }
        self.sync_endpoints();
    }

    /// A Service with an address of its own.
    pub(super) fn furnish_one_service(&mut self, service: &str, selector: &Value, born: i64) {
        let number = 7 + self.store.list(Kind::Service, None).count();
        let address = format!("10.96.41.{number}");
        let object = json!({
            "metadata": {"name": service, "namespace": self.namespace(), "labels": {"app": service}},
            "spec": {
                "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http"}],
                "selector": selector,
                "clusterIP": address,
                "clusterIPs": [address],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        });
        self.create(Kind::Service, object, APPLIER, born);
    }
}

/// The status of a Deployment whose rollout is over. Counts of 0 are left out: Go's `omitempty`.
fn settled(generation: i64, replicas: i64, set: &str, (created, updated): (i64, i64)) -> Value {
    let mut status = if replicas == 0 {
        json!({"observedGeneration": generation})
    } else {
        json!({
            "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        })
    };
    let (created, updated) = (rfc3339(created), rfc3339(updated));
    status["conditions"] = json!([
        {"type": "Available", "status": "True", "lastUpdateTime": updated, "lastTransitionTime": created,
         "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."},
        {"type": "Progressing", "status": "True", "lastUpdateTime": updated, "lastTransitionTime": created,
         "reason": "NewReplicaSetAvailable",
         "message": format!("ReplicaSet \"{set}\" has successfully progressed.")},
    ]);
    status
}

/// The rollout strategy as the API has it.
fn strategy(strategy: &Strategy) -> Value {
    // A number where it is one, else a percentage.
    let amount = |text: &String| text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number));
    match strategy {
        Strategy::Recreate => json!({"type": "Recreate"}),
        Strategy::RollingUpdate { max_surge, max_unavailable } => json!({
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": amount(max_unavailable), "maxSurge": amount(max_surge)},
        }),
    }
}

/// An image before this one, for the history:
/// the minor version one lower where the tag has one.
fn previous_image(image: &str) -> String {
    let (repository, tag) = super::image_parts(image);
    let mut numbers: Vec<&str> = tag.split('.').collect();
    let minor = numbers.get(1).and_then(|minor| minor.parse::<u32>().ok());
    match minor {
        Some(minor) if minor > 0 => {
            let lower = (minor - 1).to_string();
            numbers[1] = &lower;
            format!("{repository}:{}", numbers.join("."))
        }
        _ => format!("{repository}:previous"),
    }
}

#[cfg(test)]
mod tests {
    use super::previous_image;

    #[test]
    fn the_history_has_an_earlier_image() {
        assert_eq!(
            previous_image("registry.example.com:5000/a:v1.5.0"),
            "registry.example.com:5000/a:v1.4.0"
        );
        assert_eq!(previous_image("a"), "a:previous");
        assert_eq!(previous_image("a:v2"), "a:previous");
    }
}
