//! The Deployment controller.
//!
//! It follows kube-controller-manager's rules for rolling updates and for the two conditions of a Deployment, since these
//! rules are what decides whether a rollout is done, stuck or still on its way.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    created::{
        CONTROLLER, DESIRED_POINTER, HISTORY_POINTER, Limits, MAXIMUM_POINTER, REVISION_POINTER,
        new_replica_set, wait_as_long,
    },
    object::{
        controller_uid, find_condition, flag, int, list, name, parse_time, put, string_map, template_hash,
        text, uid_of,
    },
    resource::Kind,
    state::State,
    store::Key,
};

/// What events name as their source.
const REPORTER: &str = "deployment-controller";

/// A Deployment and its `ReplicaSets` while they are looked at.
struct Rollout {
    deployment: Value,
    /// Oldest first.
    sets: Vec<Value>,
    /// The one of the current template.
    new: Option<usize>,
}

/// `spec.replicas`.
pub(super) fn replicas(set: &Value) -> i64 {
    int(set, "/spec/replicas")
}

/// The number that `kubectl rollout history` shows; 0 where the controller has not numbered it yet.
fn revision(object: &Value) -> i64 {
    text(object, REVISION_POINTER).parse().unwrap_or(0)
}
impl State {
    /// One round of the controller for one Deployment: one step on its way, then its status.
    pub(super) fn sync_deployment(&mut self, key: &Key, pods: &BTreeMap<String, Vec<Arc<Value>>>) {
        let Some(deployment) = self.store.get(key).map(|object| Value::clone(object)) else { return };
        let mut sets: Vec<Value> = self
            .store
            .list(Kind::ReplicaSet, Some(&key.namespace))
            .filter(|(_, set)| controller_uid(set) == uid_of(&deployment))
            .map(|(_, set)| Value::clone(set))
            .collect();
        sets.sort_by_key(|set| (text(set, "/metadata/creationTimestamp").to_owned(), revision(set)));
        // Two templates that are the same have one hash, so going back to an older template finds its old
        // `ReplicaSet` and starts no pull.
        let hash = template_hash(&deployment["spec"]["template"]);
        let new = sets.iter().position(|set| text(set, "/metadata/labels/pod-template-hash") == hash);
        let mut rollout = Rollout { deployment, sets, new };
        // Numbered first, whatever comes: also a paused Deployment knows which of its sets is the newest.
        self.number_new_set(&mut rollout);
        if flag(&rollout.deployment, "/spec/paused") {
            self.scale_all(&mut rollout);
            self.forget_old_sets(&rollout);
        } else if is_scaling(&rollout) {
            self.scale_all(&mut rollout);
        } else {
            if Limits::of(&rollout.deployment).recreate {
                self.recreate(&mut rollout, &hash, pods);
            } else {
                self.roll(&mut rollout, &hash);
            }
            if is_complete(&rollout.deployment) {
                self.forget_old_sets(&rollout);
            }
        }
        self.write_rollout_status(rollout);
    }

    /// The revision that the current template has or will have: one more than that of all others.
    fn next_revision(rollout: &Rollout) -> i64 {
        let others = rollout.sets.iter().enumerate().filter(|(at, _)| Some(*at) != rollout.new);
        others.map(|(_, set)| revision(set)).max().unwrap_or(0) + 1
    }

    /// Numbers the `ReplicaSet` of the current template, where there is one: one that is used again becomes the newest.
    fn number_new_set(&mut self, rollout: &mut Rollout) {
        let Some(at) = rollout.new else { return };
        let next = Self::next_revision(rollout);
        let set = &mut rollout.sets[at];
        hand_on_annotations(&rollout.deployment, set);
        let before = revision(set);
        if before < next {
            put(set, REVISION_POINTER, next.to_string());
            if before > 0 {
                let history = match text(set, HISTORY_POINTER) {
                    "" => before.to_string(),
                    earlier => format!("{earlier},{before}"),
                };
                put(set, HISTORY_POINTER, history);
            }
        }
        wait_as_long(set, &rollout.deployment);
        self.write(Kind::ReplicaSet, set.clone(), CONTROLLER, None);
        self.take_number(rollout, at);
    }

    /// A Deployment has the number of its newest set.
    fn take_number(&self, rollout: &mut Rollout, at: usize) {
        let number = revision(&rollout.sets[at]).to_string();
        put(&mut rollout.deployment, REVISION_POINTER, number);
        if find_condition(&rollout.deployment, "Progressing").is_none() {
            let message = format!("Found new replica set \"{}\"", name(&rollout.sets[at]));
            let (kind, reason) = ("Progressing", "FoundNewReplicaSet");
            self.set_deployment_condition(&mut rollout.deployment, kind, "True", reason, &message);
        }
    }

    /// Makes the `ReplicaSet` of the current template, where there is none.
    fn ensure_new_set(&mut self, rollout: &mut Rollout, hash: &str) {
        if rollout.new.is_some() {
            return;
        }
        let wanted = replicas(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        let total: i64 = rollout.sets.iter().map(replicas).sum();
        let first = if limits.recreate { wanted } else { (wanted + limits.surge - total).clamp(0, wanted) };
        let template = rollout.deployment["spec"]["template"].clone();
        let mut set = new_replica_set(&rollout.deployment, &template, hash, first, wanted);
        hand_on_annotations(&rollout.deployment, &mut set);
        put(&mut set, REVISION_POINTER, Self::next_revision(rollout).to_string());
        let set = Value::clone(&self.create(Kind::ReplicaSet, set, CONTROLLER, self.now));
        let set_name = name(&set).to_owned();
        if first > 0 {
            let message = format!("Scaled up replica set {set_name} from 0 to {first}");
            self.event(&rollout.deployment, false, "ScalingReplicaSet", &message, REPORTER);
        }
        let message = format!("Created new replica set \"{set_name}\"");
        let (kind, reason) = ("Progressing", "NewReplicaSetCreated");
        self.set_deployment_condition(&mut rollout.deployment, kind, "True", reason, &message);
        rollout.sets.push(set);
        let at = rollout.sets.len() - 1;
        rollout.new = Some(at);
        self.take_number(rollout, at);
    }

    /// A rolling update. `maxSurge` says how many pods more than wanted there may be, `maxUnavailable` how many fewer
    /// may serve; it moves as far as both allow, and waits for the pods.
    fn roll(&mut self, rollout: &mut Rollout, hash: &str) {
        self.ensure_new_set(rollout, hash);
        let Some(new) = rollout.new else { return };
        let wanted = replicas(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        let total: i64 = rollout.sets.iter().map(replicas).sum();
        let mine = replicas(&rollout.sets[new]);
        if mine > wanted {
            return self.scale_set(rollout, new, wanted);
        }
        let room = (wanted + limits.surge - total).min(wanted - mine);
        if room > 0 {
            return self.scale_set(rollout, new, mine + room);
        }
        let least = wanted - limits.unavailable;
        let new_missing = mine - int(&rollout.sets[new], "/status/availableReplicas");
        let mut spare = total - least - new_missing;
        if spare > 0 {
            // Old pods that serve nobody go first: they cost no availability.
            for at in 0..rollout.sets.len() {
                let (has, healthy) =
                    (replicas(&rollout.sets[at]), int(&rollout.sets[at], "/status/availableReplicas"));
                let gone = (has - healthy).min(spare).max(0);
                if at != new && gone > 0 {
                    spare -= gone;
                    self.scale_set(rollout, at, has - gone);
                }
            }
            let available: i64 = rollout.sets.iter().map(|set| int(set, "/status/availableReplicas")).sum();
            let mut surplus = available - least;
            for at in 0..rollout.sets.len() {
                let has = replicas(&rollout.sets[at]);
                let gone = has.min(surplus);
                if at != new && gone > 0 {
                    surplus -= gone;
                    self.scale_set(rollout, at, has - gone);
                }
            }
        }
    }

    /// Everything old ends before anything new begins; a pod that is still terminating counts as there.
    fn recreate(&mut self, rollout: &mut Rollout, hash: &str, pods: &BTreeMap<String, Vec<Arc<Value>>>) {
        for at in 0..rollout.sets.len() {
            if Some(at) != rollout.new && replicas(&rollout.sets[at]) > 0 {
                self.scale_set(rollout, at, 0);
            }
        }
        let left = rollout.sets.iter().enumerate().any(|(at, set)| {
            Some(at) != rollout.new && pods.get(uid_of(set)).is_some_and(|pods| !pods.is_empty())
        });
        if left {
            return;
        }
        self.ensure_new_set(rollout, hash);
        if let Some(new) = rollout.new {
            let wanted = replicas(&rollout.deployment);
            if replicas(&rollout.sets[new]) != wanted {
                self.scale_set(rollout, new, wanted);
            }
        }
    }

    /// A change of `replicas` alone: spread over what is active, in proportion.
    fn scale_all(&mut self, rollout: &mut Rollout) {
        let wanted = replicas(&rollout.deployment);
        let mut active: Vec<usize> =
            (0..rollout.sets.len()).filter(|at| replicas(&rollout.sets[*at]) > 0).collect();
        let single = match active.as_slice() {
            [] => rollout.new.or_else(|| rollout.sets.len().checked_sub(1)),
            [one] => Some(*one),
            _ => None,
        };
        if let Some(at) = single {
            return self.scale_set(rollout, at, wanted);
        }
        // The new set is complete: what is left of older ones is a rollout's remains, and goes.
        let saturated = rollout.new.is_some_and(|at| {
            replicas(&rollout.sets[at]) == wanted
                && text(&rollout.sets[at], DESIRED_POINTER).parse() == Ok(wanted)
                && int(&rollout.sets[at], "/status/availableReplicas") == wanted
        });
        if saturated {
            active.retain(|at| Some(*at) != rollout.new);
            for at in active {
                self.scale_set(rollout, at, 0);
            }
            return;
        }
        let limits = Limits::of(&rollout.deployment);
        if !limits.recreate {
            self.spread(rollout, active, wanted, limits.surge);
        }
    }

    /// Spreads a change of `replicas` over several active sets, each by its size: a rollout under way keeps its balance.
    fn spread(&mut self, rollout: &mut Rollout, mut active: Vec<usize>, wanted: i64, surge: i64) {
        let allowed = if wanted > 0 { wanted + surge } else { 0 };
        let total: i64 = active.iter().map(|at| replicas(&rollout.sets[*at])).sum();
        let change = allowed - total;
        // The largest first; among equals the newest grows, and the oldest shrinks.
        active.sort_by_key(|at| {
            let age = i64::try_from(*at).unwrap_or(0);
            (-replicas(&rollout.sets[*at]), if change > 0 { -age } else { age })
        });
        let mut done = 0;
        let mut sizes = Vec::new();
        for at in &active {
            let share = proportion(&rollout.sets[*at], wanted, surge, change - done);
            done += share;
            sizes.push(replicas(&rollout.sets[*at]) + share);
        }
        // What does not divide goes to the largest.
        if let Some(largest) = sizes.first_mut() {
            *largest = (*largest + change - done).max(0);
        }
        for (at, size) in active.into_iter().zip(sizes) {
            self.scale_set(rollout, at, size);
        }
    }

    /// Gives one `ReplicaSet` its size, with the annotations by which a later round tells a change of `replicas` from
    /// a rollout.
    fn scale_set(&mut self, rollout: &mut Rollout, at: usize, size: i64) {
        let wanted = replicas(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        let set = &mut rollout.sets[at];
        let before = replicas(set);
        put(set, "/spec/replicas", size);
        put(set, DESIRED_POINTER, wanted.to_string());
        put(set, MAXIMUM_POINTER, (wanted + limits.surge).to_string());
        let (set, set_name) = (set.clone(), name(set).to_owned());
        self.write(Kind::ReplicaSet, set, CONTROLLER, None);
        if size != before {
            let way = if size > before { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {set_name} from {before} to {size}");
            self.event(&rollout.deployment, false, "ScalingReplicaSet", &message, REPORTER);
        }
    }

    /// Keeps `revisionHistoryLimit` old `ReplicaSets`, those with the highest numbers, and all that still have pods.
    fn forget_old_sets(&mut self, rollout: &Rollout) {
        let limit = rollout.deployment.pointer("/spec/revisionHistoryLimit").and_then(Value::as_u64);
        let limit = usize::try_from(limit.unwrap_or(10)).unwrap_or(usize::MAX);
        let others = rollout.sets.iter().enumerate().filter(|(at, _)| Some(*at) != rollout.new);
        let mut others: Vec<&Value> = others.map(|(_, set)| set).collect();
        others.sort_by_key(|set| revision(set));
        let surplus = others.len().saturating_sub(limit);
        for set in &others[..surplus] {
            let observed = int(set, "/metadata/generation") <= int(set, "/status/observedGeneration");
            if replicas(set) == 0 && int(set, "/status/replicas") == 0 && observed {
                self.store.remove(&Key::of(Kind::ReplicaSet, set));
            }
        }
    }

    /// Writes what people and our adapter read of a rollout: the counts and the two conditions. `observedGeneration`
    /// goes with them: a status with an older one speaks of an older spec.
    fn write_rollout_status(&mut self, mut rollout: Rollout) {
        let total = |field: &str| rollout.sets.iter().map(|set| int(set, field)).sum::<i64>();
        let wanted = replicas(&rollout.deployment);
        let counts = Counts {
            replicas: total("/status/replicas"),
            updated: rollout.new.map_or(0, |at| int(&rollout.sets[at], "/status/replicas")),
            ready: total("/status/readyReplicas"),
            available: total("/status/availableReplicas"),
        };
        let before = Counts::of(&rollout.deployment);
        let limits = Limits::of(&rollout.deployment);
        let deployment = &mut rollout.deployment;
        let enough = counts.available >= wanted - limits.unavailable;
        let (reason, message) = if enough {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        let status = if enough { "True" } else { "False" };
        self.set_deployment_condition(deployment, "Available", status, reason, message);
        let set_name = rollout.new.map(|at| name(&rollout.sets[at]).to_owned());
        if !self.tell_pause(deployment) {
            self.judge_progress(deployment, &counts, &before, set_name.as_deref());
            self.tell_failure(deployment, &rollout.sets, rollout.new);
        }
        let conditions = list(deployment, "/status/conditions").to_vec();
        let mut status = json!({"observedGeneration": deployment["metadata"]["generation"]});
        for (field, count) in [
            ("replicas", counts.replicas),
            ("updatedReplicas", counts.updated),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            ("unavailableReplicas", (total("/spec/replicas") - counts.available).max(0)),
        ] {
            if count > 0 {
                status[field] = json!(count);
            }
        }
        status["conditions"] = json!(conditions);
        put(deployment, "/status", status);
        self.write(Kind::Deployment, rollout.deployment, CONTROLLER, Some("status"));
    }

    /// The Progressing condition: complete, moving, or out of time.
    fn judge_progress(
        &mut self,
        deployment: &mut Value,
        now: &Counts,
        before: &Counts,
        set_name: Option<&str>,
    ) {
        let Some(deadline) = deployment.pointer("/spec/progressDeadlineSeconds").and_then(Value::as_i64)
        else {
            let conditions: Vec<Value> = list(deployment, "/status/conditions")
                .iter()
                .filter(|condition| text(condition, "/type") != "Progressing")
                .cloned()
                .collect();
            put(deployment, "/status/conditions", conditions);
            return;
        };
        let current = find_condition(deployment, "Progressing").cloned();
        let reason = current.as_ref().map_or("", |current| text(current, "/reason")).to_owned();
        if now.replicas == now.updated && reason == "NewReplicaSetAvailable" {
            return;
        }
        let wanted = replicas(deployment);
        let what = set_name.map_or_else(
            || format!("Deployment \"{}\"", name(deployment)),
            |set_name| format!("ReplicaSet \"{set_name}\""),
        );
        if now.updated == wanted && now.replicas == wanted && now.available == wanted {
            let message = format!("{what} has successfully progressed.");
            self.set_progressing(deployment, "True", "NewReplicaSetAvailable", &message);
        } else if now.is_further_than(before) {
            self.tell_progress(deployment, current.as_ref(), &what);
        } else if !matches!(reason.as_str(), "" | "NewReplicaSetAvailable" | "ProgressDeadlineExceeded") {
            let since = current.as_ref().and_then(|current| parse_time(text(current, "/lastUpdateTime")));
            let due = since.unwrap_or(self.now) + deadline * 1000;
            if due <= self.now {
                let message = format!("{what} has timed out progressing.");
                self.set_progressing(deployment, "False", "ProgressDeadlineExceeded", &message);
            }
        }
        let moving = find_condition(deployment, "Progressing").filter(|current| {
            !matches!(text(current, "/reason"), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded")
        });
        if let Some(since) = moving.and_then(|current| parse_time(text(current, "/lastUpdateTime"))) {
            self.look_again(since + deadline * 1000 + 1000);
        }
    }

    fn set_progressing(&mut self, deployment: &mut Value, status: &str, reason: &str, message: &str) {
        self.set_deployment_condition(deployment, "Progressing", status, reason, message);
    }

    /// Each bit of progress begins the deadline anew, so the condition is written even if it says the same; since when it is true
    /// does not change by that.
    fn tell_progress(&mut self, deployment: &mut Value, current: Option<&Value>, what: &str) {
        if let Some(conditions) = deployment.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
            conditions.retain(|condition| text(condition, "/type") != "Progressing");
        }
        self.set_progressing(deployment, "True", "ReplicaSetUpdated", &format!("{what} is progressing."));
        if let Some(current) = current.filter(|current| text(current, "/status") == "True")
            && let Some(last) = deployment
                .pointer_mut("/status/conditions")
                .and_then(Value::as_array_mut)
                .and_then(|all| all.last_mut())
        {
            put(last, "/lastTransitionTime", current["lastTransitionTime"].clone());
        }
    }
}

/// What the Deployment says of itself goes to its newest set as well, apart from what is of one of them alone.
fn hand_on_annotations(deployment: &Value, set: &mut Value) {
    for (key, value) in string_map(deployment, "/metadata/annotations") {
        let own = key == "kubectl.kubernetes.io/last-applied-configuration"
            || key.starts_with("deployment.kubernetes.io/")
            || key == "deprecated.deployment.rollback.to";
        if !own {
            put(set, &format!("/metadata/annotations/{}", key.replace('/', "~1")), value);
        }
    }
}

/// By how much a set grows or shrinks with its Deployment, `rest` being what is left of the whole change.
fn proportion(set: &Value, wanted: i64, surge: i64, rest: i64) -> i64 {
    let has = replicas(set);
    if rest == 0 {
        return 0;
    }
    let fraction = if wanted == 0 {
        -has
    } else {
        let most = match text(set, MAXIMUM_POINTER).parse::<i64>() {
            Ok(most) if most > 0 => most,
            _ => int(set, "/status/replicas").max(1),
        };
        // Rounded to the nearest whole number.
        (2 * has * (wanted + surge) + most) / (2 * most) - has
    };
    if rest > 0 { fraction.clamp(0, rest) } else { fraction.clamp(rest, 0) }
}

/// Whether the Deployment's last status told of a finished rollout.
fn is_complete(deployment: &Value) -> bool {
    let (counts, wanted) = (Counts::of(deployment), replicas(deployment));
    [counts.updated, counts.replicas, counts.available] == [wanted; 3]
        && int(deployment, "/status/observedGeneration") >= int(deployment, "/metadata/generation")
}

/// A Deployment's numbers.
struct Counts {
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

impl Counts {
    fn of(deployment: &Value) -> Self {
        Self {
            replicas: int(deployment, "/status/replicas"),
            updated: int(deployment, "/status/updatedReplicas"),
            ready: int(deployment, "/status/readyReplicas"),
            available: int(deployment, "/status/availableReplicas"),
        }
    }

    /// What the Deployment controller takes for progress: more new pods, fewer old ones, more that are ready or available.
    fn is_further_than(&self, before: &Self) -> bool {
        self.updated > before.updated
            || self.replicas - self.updated < before.replicas - before.updated
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// Whether `replicas` changed since the active `ReplicaSets` were last told.
fn is_scaling(rollout: &Rollout) -> bool {
    let wanted = replicas(&rollout.deployment);
    rollout.sets.iter().any(|set| {
        let told = text(set, DESIRED_POINTER).parse::<i64>();
        replicas(set) > 0 && told.is_ok_and(|told| told != wanted)
    })
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolling_update_may_go_over_and_under_as_kubernetes_rounds() {
        let limits = |replicas: i64, strategy: Value| {
            let limits = Limits::of(&json!({"spec": {"replicas": replicas, "strategy": strategy}}));
            (limits.surge, limits.unavailable)
        };
        assert_eq!(limits(3, json!({})), (1, 0));
        assert_eq!(limits(10, json!({})), (3, 2));
        assert_eq!(limits(4, json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}})), (0, 2));
        assert_eq!(limits(4, json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}})), (0, 1));
    }
}
