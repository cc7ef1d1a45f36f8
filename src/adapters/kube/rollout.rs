//! What a Deployment, its `ReplicaSets` and its pods say about its rollout: facts, which the domain judges.
//!
//! The fields are those that every release since 1.14 has.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentCondition, ReplicaSet},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use serde::Deserialize as _;

use crate::domain::{
    rollout::{NewPod, RolloutFacts},
    safe_text::SafeText,
};

use super::pod::{PodRecord, TEMPLATE_HASH};

/// The sets that a Deployment owns.
pub(super) fn owned<'a>(
    deployment: &Deployment,
    sets: &'a [ReplicaSet],
) -> impl Iterator<Item = &'a ReplicaSet> {
    let uid = deployment.metadata.uid.clone();
    sets.iter().filter(move |set| is_owned(&set.metadata, uid.as_deref()))
}

/// Whether the controller of an object is the one with this uid.
pub(super) fn is_owned(metadata: &ObjectMeta, uid: Option<&str>) -> bool {
    let owners = metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    uid.is_some_and(|uid| controllers.any(|owner| owner.uid == uid))
}

/// The set of the newest template among those that the Deployment owns, by the rule of the Deployment's own controller: its
/// template is the Deployment's but for the hash. Where two are, as after an upgrade, the later revision.
pub(super) fn newest<'a>(deployment: &Deployment, sets: &'a [ReplicaSet]) -> Option<&'a ReplicaSet> {
    owned(deployment, sets).filter(|set| has_template(set, deployment)).max_by_key(|set| revision(set))
}

/// A set's `pod-template-hash`.
pub(super) fn hash_of(set: &ReplicaSet) -> Option<&str> {
    set.metadata.labels.as_ref()?.get(TEMPLATE_HASH).map(String::as_str)
}

/// The hash of a Deployment's template by its own conditions, which name the set that the controller rolls out. Nothing while
/// the controller has not seen the newest spec, or where it says nothing of a set.
pub(super) fn told_hash(deployment: &Deployment) -> Option<String> {
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
    let current = observed >= deployment.metadata.generation.unwrap_or(0);
    let told = NewestSet::told_by(deployment).filter(|_| current)?;
    let name = deployment.metadata.name.as_deref()?;
    told.name.strip_prefix(name)?.strip_prefix('-').map(str::to_owned)
}

/// The `ReplicaSet` of a Deployment's newest template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewestSet {
    /// Its name.
    name: String,
    /// What its controller was told when it could not create pods.
    refused: Option<String>,
}

impl NewestSet {
    /// The set of the newest template: see [`newest`].
    pub(super) fn among(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<Self> {
        let newest = newest(deployment, sets)?;
        let conditions = newest.status.as_ref().and_then(|status| status.conditions.as_ref());
        let failure = conditions.into_iter().flatten().find(|condition| {
            condition.type_.as_deref() == Some("ReplicaFailure")
                && condition.status.as_deref() == Some("True")
        });
        Some(Self {
            name: newest.metadata.name.clone().unwrap_or_default(),
            refused: failure.filter(|failure| failure.reason.as_deref() != Some("FailedDelete")).map(
                |failure| {
                    SafeText::new(
                        failure.message.as_deref().or(failure.reason.as_deref()).unwrap_or_default(),
                    )
                    .into()
                },
            ),
        })
    }

    /// The same for who may not list `ReplicaSets`, or does not: the controller names the set that it rolls out in the Deployment's
    /// conditions, and copies its failure there.
    pub(super) fn told_by(deployment: &Deployment) -> Option<Self> {
        let told = condition(deployment, "Progressing")?.message.as_deref()?;
        let name =
            told.split('"').nth(1).filter(|_| told.to_ascii_lowercase().contains("replica"))?.to_owned();
        let failure = condition(deployment, "ReplicaFailure")
            .filter(|condition| condition.status.as_deref() == Some("True"))
            .filter(|condition| condition.reason.as_deref() != Some("FailedDelete"))
            .map(words);
        // The failure may be that of an older set, which then is named in it.
        let refused = failure.filter(|words| !words.contains("pods \"") || words.contains(&name));
        Some(Self { name, refused })
    }
}

/// Whether a template as it is written is this one, by all that is known here of templates.
pub(super) fn template_matches(written: &serde_json::Value, template: &PodTemplateSpec) -> bool {
    PodTemplateSpec::deserialize(written).is_ok_and(|written| written == *template)
}

/// As the controller compares: without the label that it adds itself.
fn has_template(set: &ReplicaSet, deployment: &Deployment) -> bool {
    let Some(mut template) = set.spec.template.clone() else { return false };
    if let Some(labels) = template.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut()) {
        labels.remove(TEMPLATE_HASH);
    }
    template == deployment.spec.template
}

/// The number of a set's revision, as `kubectl rollout history` shows it; 0 where it has none.
pub(super) fn revision(set: &ReplicaSet) -> u64 {
    let annotations = set.metadata.annotations.as_ref();
    let written = annotations.and_then(|all| all.get("deployment.kubernetes.io/revision"));
    written.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The facts about a rollout. `pods` are all pods that the Deployment selects; only those of the newest set are facts about it.
///
/// A status is only looked at once it belongs to the newest spec: before that every number in it is about the spec before.
pub(super) fn facts<'a>(
    deployment: &Deployment,
    newest: Option<&NewestSet>,
    pods: impl IntoIterator<Item = &'a PodRecord>,
) -> RolloutFacts {
    let status = deployment.status.clone().unwrap_or_default();
    let generation = deployment.metadata.generation.unwrap_or(0);
    if status.observed_generation.unwrap_or(0) < generation {
        return RolloutFacts::default();
    }
    let positive = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
    let deadline = condition(deployment, "Progressing")
        .filter(|progress| progress.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    let mut facts = RolloutFacts {
        observed: true,
        desired: positive(Some(desired(deployment))),
        replicas: positive(status.replicas),
        updated: positive(status.updated_replicas),
        available: positive(status.available_replicas),
        paused: deployment.spec.paused == Some(true),
        deadline: deadline.map(words),
        refused: newest.and_then(|set| set.refused.clone()),
        pods: Vec::new(),
        leaving: 0,
    };
    for record in pods {
        if record.leaving {
            facts.leaving += 1;
        } else if newest.is_some_and(|set| set.name == record.set) {
            facts.pods.push(NewPod {
                uid: record.uid.clone(),
                name: record.pod.name.clone(),
                restarts: record.pod.restarts,
                stage: record.stage.clone(),
            });
        }
    }
    facts
}

/// `spec.replicas`, which the API's own default makes 1 where it is null.
pub(super) fn desired(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

fn condition<'a>(deployment: &'a Deployment, kind: &str) -> Option<&'a DeploymentCondition> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_.as_deref() == Some(kind))
}

/// Its message names the set and what keeps it; the reason is one word for programs.
fn words(condition: &DeploymentCondition) -> String {
    let text = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or("no reason given");
    SafeText::new(text).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{rollout::PodStage, workload::RolloutState};

    fn deployment(it: Value) -> Deployment {
        serde_json::from_value(it).unwrap()
    }

    fn of(generation: i64, spec: &Value, status: &Value) -> RolloutState {
        let it = json!({ "metadata": { "generation": generation }, "spec": spec, "status": status });
        facts(&deployment(it), None, []).state()
    }

    #[test]
    fn k4_an_old_status_is_not_done() {
        let done =
            json!({ "observedGeneration": 6, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3 });
        assert_eq!(of(7, &json!({ "replicas": 3 }), &done), RolloutState::Unobserved);
        assert_eq!(of(6, &json!({ "replicas": 3 }), &done), RolloutState::Complete);
        assert_eq!(
            of(1, &json!({ "replicas": 0 }), &json!({})),
            RolloutState::Unobserved,
            "no status at all"
        );
        // Even a passed deadline belongs to the spec before.
        let late = json!({ "observedGeneration": 6, "conditions": [
            { "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late" }] });
        assert_eq!(of(7, &json!({ "replicas": 3 }), &late), RolloutState::Unobserved);
        assert_eq!(
            of(6, &json!({ "replicas": 3 }), &late),
            RolloutState::DeadlineExceeded("late; 0 of 3 pods have the new template".to_owned())
        );
    }

    #[test]
    fn null_replicas_are_one() {
        let none = json!({ "observedGeneration": 1 });
        assert_eq!(
            of(1, &json!({}), &none),
            RolloutState::Progressing("0 of 1 pods have the new template".to_owned())
        );
        let one =
            json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
        assert_eq!(of(1, &json!({ "replicas": null }), &one), RolloutState::Complete);
    }

    fn template(image: &str, hash: Option<&str>) -> Value {
        let mut template = json!({ "metadata": { "labels": { "app": "backend" } },
            "spec": { "containers": [{ "name": "c", "image": image }] } });
        if let Some(hash) = hash {
            template["metadata"]["labels"]["pod-template-hash"] = json!(hash);
        }
        template
    }

    fn set(
        name: &str,
        image: &str,
        owner: &str,
        revision: &str,
        failure: Option<(&str, &str)>,
    ) -> ReplicaSet {
        let conditions: Vec<Value> = failure
            .into_iter()
            .map(|(reason, message)| json!({ "type": "ReplicaFailure", "status": "True", "reason": reason, "message": message }))
            .collect();
        serde_json::from_value(json!({
            "metadata": { "name": name, "annotations": { "deployment.kubernetes.io/revision": revision },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "backend", "uid": owner, "controller": true }] },
            "spec": { "selector": {}, "template": template(image, Some(name)) },
            "status": { "replicas": 0, "conditions": conditions }
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_set_is_the_one_with_the_deployments_template() {
        let it = deployment(
            json!({ "metadata": { "uid": "u" }, "spec": { "selector": {}, "template": template("v2", None) } }),
        );
        let sets = [
            set("old", "v1", "u", "9", Some(("FailedCreate", "old trouble"))),
            set("foreign", "v2", "another", "9", None),
            set("before-the-upgrade", "v2", "u", "3", None),
            set("newest", "v2", "u", "10", Some(("FailedCreate", "exceeded quota"))),
        ];
        let found = NewestSet::among(&it, &sets).unwrap();
        assert_eq!(found, NewestSet { name: "newest".into(), refused: Some("exceeded quota".into()) });
        assert_eq!(NewestSet::among(&it, &sets[..2]), None, "the controller has not made it yet");
        let deleting = set("newest", "v2", "u", "1", Some(("FailedDelete", "cannot delete")));
        assert_eq!(NewestSet::among(&it, &[deleting]).unwrap().refused, None);
    }

    #[test]
    fn a_deployments_own_conditions_name_the_newest_set() {
        let told = |message: &str, failure: &str| {
            NewestSet::told_by(&deployment(json!({ "status": { "conditions": [
                { "type": "Progressing", "status": "True", "reason": "x", "message": message },
                { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": failure }] } })))
        };
        let set = |name: &str, refused: Option<&str>| {
            Some(NewestSet { name: name.into(), refused: refused.map(str::to_owned) })
        };
        for message in [
            "Created new replica set \"backend-1\"",
            "Found new replica set \"backend-1\"",
            "ReplicaSet \"backend-1\" is progressing.",
        ] {
            assert_eq!(
                told(message, "denied the request"),
                set("backend-1", Some("denied the request")),
                "{message}"
            );
        }
        let of_older = told("ReplicaSet \"backend-2\" is progressing.", "pods \"backend-1-x\" is forbidden");
        assert_eq!(of_older, set("backend-2", None));
        assert_eq!(told("Deployment \"backend\" has timed out progressing.", ""), None);
        assert_eq!(told("Deployment is paused", ""), None);
    }

    #[test]
    fn only_pods_of_the_newest_set_count_and_those_that_leave_are_counted_apart() {
        let pod = |name: &str, set: &str, leaving: bool| {
            let mut it = json!({ "metadata": { "name": name, "uid": name,
                    "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": "s", "controller": true }] },
                "spec": { "nodeName": "n", "containers": [{ "name": "c", "image": "v2" }] },
                "status": { "phase": "Pending", "containerStatuses": [{ "name": "c", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": { "waiting": { "reason": "ImagePullBackOff", "message": "no such tag" } } }] } });
            if leaving {
                it["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
            }
            super::super::pod::record(&serde_json::from_value(it).unwrap(), "c")
        };
        let pods =
            [pod("a", "new", false), pod("b", "old", false), pod("c", "old", true), pod("d", "new", true)];
        let it =
            deployment(json!({ "metadata": { "generation": 1 }, "spec": { "replicas": 4, "paused": true },
            "status": { "observedGeneration": 1, "replicas": 2, "updatedReplicas": 1 } }));
        let newest = NewestSet { name: "new".into(), refused: Some("exceeded quota".into()) };
        let found = facts(&it, Some(&newest), &pods);
        assert_eq!((found.leaving, found.pods.len(), found.pods[0].name.as_str()), (2, 1, "a"));
        let PodStage::PullFailed { image, why, .. } = &found.pods[0].stage else { panic!("{found:?}") };
        assert_eq!((image.as_str(), why.as_str()), ("v2", "no such tag"));
        assert_eq!(
            found.state(),
            RolloutState::Progressing(
                "1 of 4 pods have the new template; 1 waits for its image: ImagePullBackOff: no such tag; \
                 2 old pods are terminating; pods cannot be created: exceeded quota; \
                 it is paused: resume it with `kubectl rollout resume`"
                    .to_owned()
            )
        );
        assert!(facts(&it, None, &pods).pods.is_empty(), "nobody knows which are new");
    }
}
