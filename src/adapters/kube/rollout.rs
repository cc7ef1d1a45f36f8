//! Where a Deployment's rollout stands: the rules of `kubectl rollout status`, with the reason why it is not further.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

use crate::domain::{safe_text::SafeText, workload::RolloutState};

use super::pod::PodRecord;

/// Where the rollout of a Deployment stands.
///
/// A status is only looked at once it belongs to the newest spec: before that every number in it is about the spec before.
/// `pods` are the slot's pods, for the reasons; their numbers decide nothing.
pub(super) fn state<'a>(
    deployment: &Deployment,
    pods: impl IntoIterator<Item = &'a PodRecord>,
) -> RolloutState {
    let status = deployment.status.clone().unwrap_or_default();
    let generation = deployment.metadata.generation.unwrap_or(0);
    if status.observed_generation.unwrap_or(0) < generation {
        return RolloutState::Unobserved;
    }
    let troubles = troubles(pods);
    let because = |text: String| {
        let text = if troubles.is_empty() { text } else { format!("{text}; {troubles}") };
        match condition(deployment, "ReplicaFailure")
            .filter(|condition| condition.status.as_deref() == Some("True"))
        {
            Some(failure) => format!("{text}; pods cannot be created: {}", words(failure)),
            None => text,
        }
    };
    if let Some(progress) = condition(deployment, "Progressing")
        && progress.reason.as_deref() == Some("ProgressDeadlineExceeded")
    {
        return RolloutState::DeadlineExceeded(because(words(progress)));
    }
    let desired = desired(deployment);
    let updated = status.updated_replicas.unwrap_or(0);
    let replicas = status.replicas.unwrap_or(0);
    let available = status.available_replicas.unwrap_or(0);
    let paused = deployment.spec.paused == Some(true);
    let paused = if paused { "; it is paused: continue it with `kubectl rollout resume`" } else { "" };
    if updated < desired {
        RolloutState::Progressing(because(format!(
            "{updated} of {desired} pods have the new template{paused}"
        )))
    } else if replicas > updated {
        let old = replicas - updated;
        let pods = if old == 1 { "old pod has" } else { "old pods have" };
        RolloutState::Progressing(because(format!("{old} {pods} still to end{paused}")))
    } else if available < updated {
        RolloutState::Progressing(because(format!("{available} of {updated} new pods are available{paused}")))
    } else {
        RolloutState::Complete
    }
}

/// `spec.replicas`, which the API's own default makes 1 where it is null.
pub(super) fn desired(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// What keeps pods from becoming ready, each reason once with the number of its pods, most frequent first; at most three.
fn troubles<'a>(pods: impl IntoIterator<Item = &'a PodRecord>) -> String {
    let mut by_word: BTreeMap<&str, (u32, &str)> = BTreeMap::new();
    for record in pods {
        if record.pod.bad && !record.leaving {
            let word =
                if record.pod.status == "Pending" { "FailedScheduling" } else { record.pod.status.as_str() };
            let entry = by_word.entry(word).or_insert((0, &record.why));
            entry.0 += 1;
            if entry.1.is_empty() {
                entry.1 = &record.why;
            }
        }
    }
    let mut by_word: Vec<_> = by_word.into_iter().collect();
    by_word.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let words = by_word.into_iter().take(3).map(|(word, (count, why))| {
        let pods = if count == 1 { "pod" } else { "pods" };
        let why = if why.is_empty() { String::new() } else { format!(": {}", shortened(why)) };
        format!("{word} ({count} {pods}){why}")
    });
    words.collect::<Vec<_>>().join("; ")
}

/// Messages of kubelets repeat whole command lines; the beginning says what matters.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LONGEST).collect();
    short.push_str(" …");
    short
}

fn condition<'a>(deployment: &'a Deployment, kind: &str) -> Option<&'a DeploymentCondition> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_.as_deref() == Some(kind))
}

fn words(condition: &DeploymentCondition) -> String {
    let text = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or("no reason given");
    shortened(&SafeText::new(text))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(generation: i64, spec: &Value, status: &Value) -> RolloutState {
        let it = json!({ "metadata": { "generation": generation }, "spec": spec, "status": status });
        state(&serde_json::from_value(it).unwrap(), [])
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
            RolloutState::DeadlineExceeded("late".to_owned())
        );
    }

    #[test]
    fn each_stage_of_a_rollout_has_its_words() {
        let status = |replicas: i32, updated: i32, available: i32| json!({ "observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available });
        let spec = json!({ "replicas": 3 });
        for (numbers, words) in [
            (status(4, 1, 3), "1 of 3 pods have the new template"),
            (status(4, 3, 3), "1 old pod has still to end"),
            (status(5, 3, 3), "2 old pods have still to end"),
            (status(3, 3, 2), "2 of 3 new pods are available"),
        ] {
            assert_eq!(of(2, &spec, &numbers), RolloutState::Progressing(words.to_owned()));
        }
        assert_eq!(of(2, &spec, &status(3, 3, 3)), RolloutState::Complete);
        assert_eq!(of(2, &json!({ "replicas": 0 }), &status(0, 0, 0)), RolloutState::Complete);
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

    #[test]
    fn reasons_are_told_at_once() {
        let pod = |name: &str, status: Value| {
            let it = json!({ "metadata": { "name": name }, "status": status });
            super::super::pod::record(&serde_json::from_value(it).unwrap(), "c")
        };
        let waiting = |reason: &str| {
            json!({ "phase": "Pending", "containerStatuses": [{ "name": "c", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                "state": { "waiting": { "reason": reason, "message": "no such tag" } } }] })
        };
        let unscheduled = json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes" }] });
        let pods = [
            pod("a", unscheduled),
            pod("b", waiting("ImagePullBackOff")),
            pod("c", waiting("ImagePullBackOff")),
            pod("d", waiting("ContainerCreating")),
        ];
        let it = json!({ "metadata": { "generation": 1 }, "spec": { "replicas": 4, "paused": true },
            "status": { "observedGeneration": 1, "replicas": 4, "updatedReplicas": 4, "conditions": [
                { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota" }] } });
        let RolloutState::Progressing(words) = state(&serde_json::from_value(it).unwrap(), &pods) else {
            panic!("not progressing")
        };
        assert_eq!(
            words,
            "0 of 4 new pods are available; it is paused: continue it with `kubectl rollout resume`; \
             ImagePullBackOff (2 pods): no such tag; FailedScheduling (1 pod): 0/2 nodes; pods cannot be created: exceeded quota"
        );
    }
}
