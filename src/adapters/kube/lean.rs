//! A pod with only the fields that are shown or judged.
//!
//! The API server sends a pod whole. Half of what it sends says who owns which field, most of the rest is volumes, probes and
//! environment, and a list of ten thousand pods has 60 MB of it. What is not named here is skipped while the answer is
//! parsed, so it never becomes a value: not for a moment, and not for each of the five hundred pods of a page.
//!
//! The names are those of the API. A list that is `null` there is an empty one here.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ContainerState, PodCondition},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use serde::{Deserialize, Deserializer};

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct LeanPod {
    /// Who it is: name, uid, version, labels, owners, when it was made, and whether it is on its way out.
    #[serde(default, deserialize_with = "lean_metadata")]
    pub(super) metadata: ObjectMeta,
    /// What it should be.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: LeanSpec,
    /// What it is.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: LeanStatus,
}

/// What a pod should be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LeanSpec {
    /// The node it was put on.
    pub(super) node_name: Option<String>,
    /// Its containers.
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<LeanContainer>,
    /// Its init containers, sidecars among them.
    #[serde(deserialize_with = "or_default")]
    pub(super) init_containers: Vec<LeanContainer>,
}

/// A container as it should be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LeanContainer {
    /// Its name.
    pub(super) name: String,
    /// Its image.
    pub(super) image: Option<String>,
    /// `Always` makes a sidecar of an init container.
    pub(super) restart_policy: Option<String>,
}

/// What a pod is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LeanStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub(super) phase: Option<String>,
    /// Why, in a word.
    pub(super) reason: Option<String>,
    /// Why, in a sentence.
    pub(super) message: Option<String>,
    /// `Ready`, `PodScheduled` and the like.
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<PodCondition>,
    /// How its init containers are.
    #[serde(deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<LeanContainerStatus>,
    /// How its containers are.
    #[serde(deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<LeanContainerStatus>,
}

/// A container as it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LeanContainerStatus {
    /// Its name.
    pub(super) name: String,
    /// The image it runs.
    #[serde(deserialize_with = "or_default")]
    pub(super) image: String,
    /// Whether its probe passes.
    #[serde(deserialize_with = "or_default")]
    pub(super) ready: bool,
    /// Whether its startup probe has passed.
    pub(super) started: Option<bool>,
    /// How often it was started again.
    #[serde(deserialize_with = "or_default")]
    pub(super) restart_count: i32,
    /// How it is now.
    #[serde(deserialize_with = "or_default")]
    pub(super) state: ContainerState,
    /// How its start before this one ended.
    #[serde(deserialize_with = "or_default")]
    pub(super) last_state: ContainerState,
}

impl LeanPod {
    /// Its name.
    pub(super) fn name(&self) -> String {
        self.metadata.name.clone().unwrap_or_default()
    }

    /// The container of a name; the first one where none has it.
    pub(super) fn container(&self, name: &str) -> Option<&LeanContainer> {
        let containers = &self.spec.containers;
        containers.iter().find(|container| container.name == name).or(containers.first())
    }
}

/// For kube's watcher, which wants to know what it watches.
impl kube::Resource for LeanPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(&(): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group(&(): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version(&(): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(&(): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The metadata without annotations, finalizers and, above all, the managed fields.
fn lean_metadata<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Lean {
        name: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        labels: Option<BTreeMap<String, String>>,
        owner_references: Option<Vec<OwnerReference>>,
    }
    let lean: Lean = or_default(from)?;
    Ok(ObjectMeta {
        name: lean.name,
        uid: lean.uid,
        resource_version: lean.resource_version,
        creation_timestamp: lean.creation_timestamp,
        deletion_timestamp: lean.deletion_timestamp,
        labels: lean.labels,
        owner_references: lean.owner_references,
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::*;

    fn whole() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web-7f9c-2xk4z", "uid": "u-1", "resourceVersion": "7", "namespace": "prod",
                "creationTimestamp": "2026-11-20T10:00:00Z", "deletionTimestamp": "2026-11-20T11:00:00Z",
                "labels": { "app": "web" }, "annotations": { "note": "anno-1" }, "finalizers": ["x/y"],
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7f9c", "uid": "u-0", "controller": true }],
                "managedFields": [{ "manager": "kubelet", "operation": "Update", "fieldsV1": { "f:status": { "f:phase": {} } } }]
            },
            "spec": {
                "nodeName": "node-1",
                "volumes": [{ "name": "v", "secret": { "secretName": "tls" } }],
                "initContainers": [{ "name": "mesh", "image": "mesh:1", "restartPolicy": "Always" }],
                "containers": [{ "name": "web", "image": "r/web:v2", "env": [{ "name": "A", "value": "B" }], "ports": [{ "containerPort": 80 }] }]
            },
            "status": {
                "phase": "Running", "reason": "R", "message": "M", "podIP": "10.0.0.1", "qosClass": "Burstable",
                "conditions": [{ "type": "Ready", "status": "True" }],
                "initContainerStatuses": [{ "name": "mesh", "started": true, "ready": true, "restartCount": 0, "image": "", "imageID": "" }],
                "containerStatuses": [{ "name": "web", "image": "r/web:v2", "imageID": "sha256:1", "containerID": "c://1", "ready": true,
                    "restartCount": 2, "state": { "running": { "startedAt": "2026-11-20T10:00:05Z" } },
                    "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } } }]
            }
        })
    }

    #[test]
    fn what_is_shown_or_judged_is_kept_and_all_else_is_skipped() {
        let text = whole().to_string();
        let lean: LeanPod = serde_json::from_str(&text).unwrap();
        let api: Pod = serde_json::from_str(&text).unwrap();
        let (spec, status) = (api.spec.unwrap(), api.status.unwrap());
        assert_eq!(lean.name(), "web-7f9c-2xk4z");
        assert_eq!(
            lean.metadata,
            ObjectMeta {
                managed_fields: None,
                annotations: None,
                finalizers: None,
                namespace: None,
                ..api.metadata
            }
        );
        assert_eq!(lean.spec.node_name, spec.node_name);
        let container = lean.container("no such name").unwrap();
        assert_eq!(
            (&container.name, &container.image),
            (&spec.containers[0].name, &spec.containers[0].image)
        );
        let sidecar = &lean.spec.init_containers[0];
        assert_eq!(sidecar.restart_policy.as_deref(), Some("Always"));
        assert_eq!((&lean.status.phase, &lean.status.reason), (&status.phase, &status.reason));
        assert_eq!(
            (&lean.status.message, Some(&lean.status.conditions)),
            (&status.message, status.conditions.as_ref())
        );
        let (ours, theirs) = (&lean.status.container_statuses[0], &status.container_statuses.unwrap()[0]);
        assert_eq!((&ours.name, &ours.image, ours.ready), (&theirs.name, &theirs.image, theirs.ready));
        assert_eq!((ours.restart_count, ours.started), (theirs.restart_count, theirs.started));
        assert_eq!(
            (Some(&ours.state), Some(&ours.last_state)),
            (theirs.state.as_ref(), theirs.last_state.as_ref())
        );
        assert_eq!(lean.status.init_container_statuses[0].started, Some(true));
        let kept = format!("{lean:?}");
        for skipped in ["anno-1", "kubelet", "f:status", "tls", "10.0.0.1", "sha256", "Burstable", "x/y"] {
            assert!(!kept.contains(skipped), "{skipped} in {kept}");
        }
    }

    #[test]
    fn what_is_null_or_missing_is_empty() {
        let nothing: LeanPod = serde_json::from_value(json!({})).unwrap();
        assert_eq!(nothing, LeanPod::default());
        let nulls = json!({ "metadata": null, "spec": null, "status": null });
        assert_eq!(serde_json::from_value::<LeanPod>(nulls).unwrap(), nothing);
        let nulls = json!({
            "metadata": { "labels": null, "creationTimestamp": null },
            "spec": { "nodeName": null, "containers": null, "initContainers": null },
            "status": { "phase": null, "conditions": null, "containerStatuses": null, "initContainerStatuses": null }
        });
        assert_eq!(serde_json::from_value::<LeanPod>(nulls).unwrap(), nothing);
        let container = json!({ "status": { "containerStatuses": [{ "name": "web", "image": null, "ready": null, "restartCount": null, "state": null, "lastState": null }] } });
        let seen: LeanPod = serde_json::from_value(container).unwrap();
        let bare = LeanContainerStatus { name: "web".to_owned(), ..LeanContainerStatus::default() };
        assert_eq!(seen.status.container_statuses, [bare]);
    }
}
