//! Reasons for a rollout to fail, on request of a test: images that cannot be pulled, crashing programs, missing
//! secrets, quotas and webhooks that reject pods. Everything looks as on a real cluster: container states, conditions
//! of the `ReplicaSet` and the Deployment, and Events.

mod known;

use serde_json::{Value, json};

pub(super) use known::Hindrances;

use super::{
    Cluster,
    life::{KUBELET, PodStep, set_container_states},
    object::{condition, find_condition, flag, list, put, rfc3339, text, uid_of},
    resource::Kind,
    state::State,
};

/// The pause after which a `ReplicaSet`'s controller tries again to create pods. A real one's grows from try to try.
const TRY_AGAIN_MS: i64 = 3_000;

impl Cluster {
    /// Lets the registry have no such image, or have it again. Nodes that hold it already go on.
    pub fn fail_pulls(&self, image: &str, fail: bool) {
        self.shared.change(|state| {
            if fail {
                state.hindrances.unpullable.insert(image.to_owned());
            } else {
                state.hindrances.unpullable.remove(image);
            }
        });
    }

    /// Lets the containers of a Deployment's pods end with this code soon after each start from now on, or run again.
    pub fn crash_at_start(&self, deployment: &str, code: Option<i64>) {
        self.shared.change(|state| match code {
            Some(code) => drop(state.hindrances.crashing.insert(deployment.to_owned(), code)),
            None => drop(state.hindrances.crashing.remove(deployment)),
        });
    }

    /// Lets the containers of a Deployment's pods lack something they are configured with, say `secret "db" not found`, or have
    /// it again.
    pub fn misconfigure(&self, deployment: &str, why: Option<&str>) {
        self.shared.change(|state| match why {
            Some(why) => drop(state.hindrances.misconfigured.insert(deployment.to_owned(), why.to_owned())),
            None => drop(state.hindrances.misconfigured.remove(deployment)),
        });
    }

    /// Allows the namespace so many pods, or as many as it likes.
    pub fn limit_quota(&self, pods: Option<usize>) {
        self.shared.change(|state| state.hindrances.quota = pods);
    }

    /// Lets a webhook refuse each new pod with these words, or none.
    pub fn refuse_pods(&self, why: Option<&str>) {
        self.shared.change(|state| state.hindrances.refusal = why.map(str::to_owned));
    }
}

/// How a `ReplicaSet`'s wish for more pods went.
pub(super) enum Creation {
    /// They were created, or none were needed.
    Done,
    /// The API server refused one.
    Refused(String),
    /// It was refused before, and it is not yet time to try again.
    Waits,
}

impl Creation {
    /// The set's conditions after it. One that says the same already is kept with its words, as the controller does.
    pub(super) fn conditions(&self, set: &Value, now: i64) -> Vec<Value> {
        let old = find_condition(set, "ReplicaFailure").cloned();
        match (self, old) {
            (Self::Done, _) | (Self::Waits, None) => Vec::new(),
            (_, Some(old)) => vec![old],
            (Self::Refused(why), None) => vec![json!({
                "type": "ReplicaFailure", "status": "True", "lastTransitionTime": rfc3339(now),
                "reason": "FailedCreate", "message": why,
            })],
        }
    }
}

impl State {
    /// Whether a `ReplicaSet` may try to create pods now.
    pub(super) fn may_create(&self, set: &Value) -> bool {
        self.hindrances.tries.get(uid_of(set)).is_none_or(|due| *due <= self.now)
    }

    /// Whether the API server takes a new pod; else its answer. A refusal is told in an Event, and tried again later.
    pub(super) fn admit(&mut self, set: &Value, pod: &str) -> Result<(), String> {
        let why = if let Some(why) = &self.hindrances.refusal {
            format!("admission webhook \"policy.example.com\" denied the request: {why}")
        } else {
            let ours = self.store.list(Kind::Pod, Some(&self.furniture.namespace));
            let used =
                ours.filter(|(_, pod)| !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")).count();
            let Some(limit) = self.hindrances.quota.filter(|limit| used >= *limit) else {
                self.hindrances.tries.remove(uid_of(set));
                return Ok(());
            };
            format!(
                "pods \"{pod}\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={limit}"
            )
        };
        let due = self.now + TRY_AGAIN_MS;
        self.hindrances.tries.insert(uid_of(set).to_owned(), due);
        self.look_again(due);
        self.event(set, true, "FailedCreate", &format!("Error creating: {why}"), "replicaset-controller");
        Err(why)
    }

    pub(super) fn is_unpullable(&self, image: &str) -> bool {
        self.hindrances.unpullable.contains(image)
    }

    /// The code with which a pod's containers end soon after their start.
    pub(super) fn crash_code(&self, pod: &Value) -> Option<i64> {
        self.hindrances.crashing.iter().find(|(deployment, _)| is_of(pod, deployment)).map(|(_, code)| *code)
    }

    /// What a pod's containers lack of their configuration.
    pub(super) fn lacks(&self, pod: &Value) -> Option<String> {
        let found = self.hindrances.misconfigured.iter().find(|(deployment, _)| is_of(pod, deployment));
        found.map(|(_, why)| why.clone())
    }

    /// A container cannot be made as it is configured: that is tried again, for what it lacks may come.
    pub(super) fn cannot_configure(&mut self, mut pod: Value, epoch: u32, why: &str) {
        self.event(&pod, true, "Failed", &format!("Error: {why}"), KUBELET);
        let waiting = json!({"waiting": {"reason": "CreateContainerConfigError", "message": why}});
        set_container_states(&mut pod, &waiting, false);
        self.write(Kind::Pod, pod.clone(), KUBELET, Some("status"));
        self.plan(&pod, (10_000, 14_000), PodStep::Start(epoch));
    }

    /// A Deployment tells of the newest of its sets that cannot create pods, of the newest template's first.
    pub(super) fn tell_failure(&self, deployment: &mut Value, sets: &[Value], new: Option<usize>) {
        let first = new.and_then(|at| sets.get(at));
        let failure = first.into_iter().chain(sets).find_map(|set| find_condition(set, "ReplicaFailure"));
        if let Some(failure) = failure {
            let (reason, message) = (text(failure, "/reason"), text(failure, "/message"));
            return self.set_deployment_condition(deployment, "ReplicaFailure", "True", reason, message);
        }
        let mut conditions = list(deployment, "/status/conditions").to_vec();
        conditions.retain(|condition| text(condition, "/type") != "ReplicaFailure");
        put(deployment, "/status/conditions", conditions);
    }

    /// A paused Deployment's progress is unknown, and nobody counts its deadline. Says whether it is paused.
    pub(super) fn tell_pause(&self, deployment: &mut Value) -> bool {
        let paused = flag(deployment, "/spec/paused");
        let reason =
            find_condition(deployment, "Progressing").map_or("", |it| text(it, "/reason")).to_owned();
        let has_deadline =
            deployment.pointer("/spec/progressDeadlineSeconds").is_some_and(|it| !it.is_null());
        if has_deadline && reason != "ProgressDeadlineExceeded" {
            let (was, kind) = (reason == "DeploymentPaused", "Progressing");
            if paused && !was {
                self.set_deployment_condition(
                    deployment,
                    kind,
                    "Unknown",
                    "DeploymentPaused",
                    "Deployment is paused",
                );
            } else if was && !paused {
                let message = "Deployment is resumed";
                self.set_deployment_condition(deployment, kind, "Unknown", "DeploymentResumed", message);
            }
        }
        paused
    }

    pub(super) fn set_deployment_condition(
        &self,
        deployment: &mut Value,
        kind: &str,
        status: &str,
        reason: &str,
        message: &str,
    ) {
        let now = rfc3339(self.now);
        let old = find_condition(deployment, kind).cloned();
        if old.as_ref().is_some_and(|old| text(old, "/status") == status && text(old, "/reason") == reason) {
            return;
        }
        let since = if condition(deployment, kind) == status {
            old.map_or_else(|| json!(now), |old| old["lastTransitionTime"].clone())
        } else {
            json!(now)
        };
        let mut conditions = list(deployment, "/status/conditions").to_vec();
        conditions.retain(|condition| text(condition, "/type") != kind);
        conditions.push(json!({
            "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": since, "reason": reason,
            "message": message,
        }));
        put(deployment, "/status/conditions", conditions);
    }
}

/// Whether a pod is one of a Deployment's, by the name of the `ReplicaSet` that made it.
pub(super) fn is_of(pod: &Value, deployment: &str) -> bool {
    let owner = text(pod, "/metadata/ownerReferences/0/name");
    let rest = owner.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|hash| !hash.contains('-'))
}
