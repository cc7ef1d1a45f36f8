//! The parts of the Service and the Deployments that matter for decisions, and who wrote them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{PodTemplateSpec, Service},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ManagedFieldsEntry},
};
use serde_json::Value;

use crate::{
    domain::{safe_text::SafeText, workload::ChangedBy},
    engine::ports::{Fault, PortError},
};

use super::{fence::fence_of, when::at};

/// The Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceView {
    /// Its uid: another one means that it was replaced.
    pub(super) uid: String,
    /// Its `resourceVersion`.
    pub(super) version: String,
    /// The fence that it carries.
    pub(super) fence: Option<u64>,
    /// What it selects.
    pub(super) selector: BTreeMap<String, String>,
    /// Who last changed the selector.
    pub(super) changed: Option<ChangedBy>,
}

impl ServiceView {
    /// Takes what matters of a Service.
    pub(super) fn of(service: &Service) -> Self {
        Self {
            uid: service.metadata.uid.clone().unwrap_or_default(),
            version: service.metadata.resource_version.clone().unwrap_or_default(),
            fence: fence_of(&service.metadata),
            selector: service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default(),
            changed: newest(service.metadata.managed_fields.as_deref(), &["f:spec", "f:selector"]),
        }
    }
}

/// One Deployment.
#[derive(Debug, Clone)]
pub(super) struct DeploymentView {
    /// The object without its managed fields.
    pub(super) object: Box<Deployment>,
    /// Who last changed its template or its replicas.
    pub(super) changed: Option<ChangedBy>,
    /// Who set the replicas that it has.
    pub(super) scaled: Option<ChangedBy>,
}

impl DeploymentView {
    /// Takes what matters of a Deployment.
    pub(super) fn of(mut object: Deployment) -> Self {
        let (changed, scaled) = (changed(&object), scaled(&object));
        object.metadata.managed_fields = None;
        Self { object: Box::new(object), changed, scaled }
    }

    /// The Deployment's `resourceVersion`.
    pub(super) fn version(&self) -> &str {
        self.object.metadata.resource_version.as_deref().unwrap_or_default()
    }

    /// The label selector of its pods, as a query writes it.
    pub(super) fn pods(&self) -> String {
        selector(&self.object.spec.selector)
    }

    /// The image of a container in the template; of the first one where none has that name.
    pub(super) fn image(&self, container: &str) -> String {
        image(&self.object, container).unwrap_or_default()
    }
}

/// The image of a container in a Deployment's template.
pub(super) fn image(deployment: &Deployment, container: &str) -> Option<String> {
    image_of(&deployment.spec.template, container)
}

/// The same of any template.
pub(super) fn image_of(template: &PodTemplateSpec, container: &str) -> Option<String> {
    let spec = template.spec.as_ref()?;
    let found = spec.containers.iter().find(|c| c.name == container).or(spec.containers.first());
    found.and_then(|container| container.image.clone())
}

/// Who last changed a Deployment's template or its replicas.
///
/// What is written through the `scale` subresource (`kubectl scale`, an autoscaler) carries no time, so it loses against any
/// change of the template: whoever knows that the replicas differ asks [`scaled`].
pub(super) fn changed(deployment: &Deployment) -> Option<ChangedBy> {
    let template = newest(deployment.metadata.managed_fields.as_deref(), &["f:spec", "f:template"]);
    [template, scaled(deployment)].into_iter().flatten().max_by_key(|change| change.at)
}

/// Who set the replicas that a Deployment has. A write that changes the number takes it from all other managers, so this
/// does not hang on times.
pub(super) fn scaled(deployment: &Deployment) -> Option<ChangedBy> {
    newest(deployment.metadata.managed_fields.as_deref(), &["f:spec", "f:replicas"])
}

/// Who made a Deployment differ from how it was read `before`.
pub(super) fn changer(before: &Deployment, now: &Deployment) -> Option<ChangedBy> {
    if before.spec.replicas == now.spec.replicas { changed(now) } else { scaled(now) }
}

/// The newest manager that owns a path of an object's fields. The controller's own writes to `status` have no such path.
pub(super) fn newest(fields: Option<&[ManagedFieldsEntry]>, path: &[&str]) -> Option<ChangedBy> {
    let owners = fields?.iter().filter(|entry| {
        let mut node = entry.fields_v1.as_ref().map(|fields| &fields.0);
        for step in path {
            node = node.and_then(|value: &Value| value.get(step));
        }
        node.is_some()
    });
    let newest = owners.max_by_key(|entry| entry.time.clone())?;
    Some(ChangedBy {
        manager: SafeText::new(newest.manager.as_deref().unwrap_or("an unnamed manager")).into(),
        at: newest.time.as_ref().map(|time| at(Some(time))),
    })
}

/// A label selector as a query writes it.
pub(super) fn selector(labels: &LabelSelector) -> String {
    let equal = labels.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = labels.match_expressions.iter().flatten().map(|expression| {
        let values = expression.values.clone().unwrap_or_default().join(",");
        match expression.operator.as_str() {
            "In" => format!("{} in ({values})", expression.key),
            "NotIn" => format!("{} notin ({values})", expression.key),
            "DoesNotExist" => format!("!{}", expression.key),
            _ => expression.key.clone(),
        }
    });
    equal.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Whether `newcomer` is at least as new as `known`. Versions of one object are compared as numbers, which every API server
/// uses and recent ones promise; where one is no number, what comes later is taken to be newer.
pub(super) fn is_newer(newcomer: &str, known: &str) -> bool {
    match (newcomer.parse::<u64>(), known.parse::<u64>()) {
        (Ok(newcomer), Ok(known)) => newcomer >= known,
        _ => true,
    }
}

/// Why a write was not sent: what the decision stood on is no longer so.
pub(super) fn changed_since(object: &str, changed: Option<&ChangedBy>) -> PortError {
    let who = by(changed);
    let why = format!("{object} was changed by {who} right after it was read, so nothing was written");
    PortError::new(Fault::Conflict, why)
}

/// Who changed an object, as a clause: ` (changed by kubectl-patch at 12:00:00 UTC)`.
pub(super) fn by(changed: Option<&ChangedBy>) -> String {
    match changed {
        Some(ChangedBy { manager, at: Some(at) }) => format!("{manager} at {} UTC", at.clock()),
        Some(ChangedBy { manager, at: None }) => manager.clone(),
        None => "somebody the API server did not record".to_owned(),
    }
}

/// Labels as people write them: `app=backend,version=blue`.
pub(super) fn labels(selector: &BTreeMap<String, String>) -> String {
    if selector.is_empty() {
        return "nothing".to_owned();
    }
    let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    SafeText::from(pairs.join(",")).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{
        director::Director,
        id::SlotName,
        runbook::{Slot, Target},
    };

    fn labels_of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn target(slots: &[(&str, &[(&str, &str)])]) -> Target {
        Target {
            context: None,
            cluster_uid: None,
            namespace: "prod".to_owned(),
            service: "svc".to_owned(),
            slots: slots
                .iter()
                .map(|(name, labels)| {
                    (
                        SlotName::from(*name),
                        Slot {
                            deployment: format!("backend-{name}"),
                            selector: labels_of(labels),
                            service: None,
                        },
                    )
                })
                .collect(),
            container: "backend".to_owned(),
            director: Director::default(),
        }
    }

    #[test]
    fn a_switch_keeps_labels_that_belong_to_no_slot() {
        let target =
            target(&[("blue", &[("version", "blue"), ("track", "old")]), ("green", &[("version", "green")])]);
        let blue = labels_of(&[("app", "backend"), ("version", "blue"), ("track", "old")]);
        let green = labels_of(&[("app", "backend"), ("version", "green")]);
        assert_eq!(target.selector_on(&blue, &target.slots["green"]), green);
        assert_eq!(target.selector_on(&green, &target.slots["blue"]), blue);
        assert_eq!(target.pointed_at(&blue), Some("blue".into()));
        assert_eq!(target.pointed_at(&green), Some("green".into()));
        assert_eq!(target.pointed_at(&labels_of(&[("app", "backend"), ("version", "red")])), None);
        assert_eq!(
            target.pointed_at(&labels_of(&[("version", "green"), ("track", "old")])),
            None,
            "matches no pods of green's"
        );
    }

    #[test]
    fn slots_with_the_same_labels_are_never_guessed() {
        let target = target(&[("blue", &[("app", "x")]), ("green", &[("app", "x")])]);
        assert_eq!(target.pointed_at(&labels_of(&[("app", "x")])), None);
    }

    #[test]
    fn the_newest_owner_of_a_field_changed_it() {
        let service = json!({ "metadata": { "uid": "u", "resourceVersion": "7", "managedFields": [
            { "manager": "helm", "time": "2026-11-20T10:00:00Z", "fieldsV1": { "f:spec": { "f:selector": { "f:app": {} }, "f:ports": {} } } },
            { "manager": "kubectl-patch", "time": "2026-11-20T11:00:00Z", "fieldsV1": { "f:spec": { "f:selector": { "f:version": {} } } } },
            { "manager": "kubectl-annotate", "time": "2026-11-20T12:00:00Z", "fieldsV1": { "f:metadata": { "f:annotations": {} } } }
        ] }, "spec": { "selector": { "app": "x" } } });
        let view = ServiceView::of(&serde_json::from_value(service).unwrap());
        let changed = view.changed.unwrap();
        assert_eq!(by(Some(&changed)), "kubectl-patch at 11:00:00 UTC");
    }

    #[test]
    fn a_deployments_status_is_no_change_of_its() {
        let deployment = json!({ "metadata": { "managedFields": [
            { "manager": "kubectl-scale", "time": "2026-11-20T11:30:00Z", "subresource": "scale", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
            { "manager": "cutover", "time": "2026-11-20T11:00:00Z", "fieldsV1": { "f:spec": { "f:template": { "f:spec": {} } } } },
            { "manager": "kube-controller-manager", "time": "2026-11-20T12:00:00Z", "fieldsV1": { "f:status": { "f:replicas": {} } } }
        ] } });
        let view = DeploymentView::of(serde_json::from_value(deployment).unwrap());
        assert_eq!(view.changed.unwrap().manager, "kubectl-scale");
        assert!(view.object.metadata.managed_fields.is_none());
    }

    #[test]
    fn who_scaled_by_hand_is_named_although_the_api_server_keeps_no_time_of_it() {
        let deployment: Deployment = serde_json::from_value(json!({ "spec": { "replicas": 2 }, "metadata": { "managedFields": [
            { "manager": "cutover", "operation": "Update", "time": "2026-11-20T11:00:00Z", "fieldsV1": { "f:spec": { "f:template": { "f:spec": {} } } } },
            { "manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": { "f:spec": { "f:replicas": {} } } }
        ] } }))
        .unwrap();
        let mut before = deployment.clone();
        before.spec.replicas = Some(3);
        let manager = |by: Option<ChangedBy>| by.unwrap().manager;
        assert_eq!(manager(changer(&before, &deployment)), "kubectl");
        assert_eq!(manager(changer(&deployment, &deployment)), "cutover");
        assert_eq!(manager(DeploymentView::of(deployment).scaled), "kubectl");
    }

    #[test]
    fn selectors_are_written_with_their_operators() {
        let labels: LabelSelector = serde_json::from_value(json!({
            "matchLabels": { "app": "x" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["a", "b"] },
                { "key": "old", "operator": "DoesNotExist" },
                { "key": "zone", "operator": "NotIn", "values": ["z"] },
                { "key": "team", "operator": "Exists" }
            ]
        }))
        .unwrap();
        assert_eq!(selector(&labels), "app=x,tier in (a,b),!old,zone notin (z),team");
    }
}
