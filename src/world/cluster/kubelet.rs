//! The life of a pod: scheduled, image pulled, started, ready; crashing and coming back; going away.
//!
//! ```text
//! created -> scheduled -> accepted -> pulling -> started -> ready
//!                                        |          \-> crashed -> (back off) -> started
//!                                        \-> pull failed -> back off -> pulling
//! terminating -> gone
//! ```

use serde_json::{Value, json};

use super::{
    life::{KUBELET, Life, NODES, PodStep, container_id, container_statuses, set_container_states},
    object::{
        between, condition, digest, find_condition, int, list, name, put, rfc3339, terminating, text, uid_of,
    },
    resource::Kind,
    state::{Due, State},
    store::Key,
};
use crate::world::scenario::Scenario;

/// The longest pause between two tries to start or to pull, milliseconds.
const LONGEST_BACK_OFF_MS: i64 = 300_000;

impl State {
    /// Plans the life of a pod that was just stored.
    pub(super) fn begin_life(&mut self, pod: &Value) {
        let uid = uid_of(pod).to_owned();
        let life = Life {
            namespace: text(pod, "/metadata/namespace").to_owned(),
            name: name(pod).to_owned(),
            ..Life::default()
        };
        self.lives.insert(uid.clone(), life);
        if text(pod, "/status/phase") == "Running" {
            return;
        }
        let delay = between(&format!("schedule{uid}"), (100, 400));
        self.at(self.now + delay, Due::Pod(uid, PodStep::Schedule(0)));
    }

    /// Plays one step in the life of the pod with this uid, if it still is of its time.
    pub(super) fn pod_step(&mut self, uid: &str, step: PodStep) {
        let Some(life) = self.lives.get(uid) else { return };
        if step.epoch().is_some_and(|epoch| epoch != life.epoch) {
            return;
        }
        let key = Key::new(Kind::Pod, &life.namespace, &life.name);
        let epoch = life.epoch;
        let Some(pod) = self.store.get(&key).map(|pod| Value::clone(pod)) else { return };
        match step {
            PodStep::Gone => {
                self.store.remove(&key);
            }
            _ if terminating(&pod) => {}
            PodStep::Schedule(_) => self.schedule(pod, epoch),
            PodStep::Accept(_) => self.accept(pod, epoch),
            PodStep::Pull(_) => self.pull(&pod, epoch),
            PodStep::PullFails(_) => self.pull_fails(pod, epoch),
            PodStep::BackOffPull(_) => self.back_off_pull(pod, epoch),
            PodStep::Start(_) => self.start(pod, epoch, false),
            PodStep::NotYetReady(_) => self.not_yet_ready(&pod),
            PodStep::Ready(_) => self.become_ready(pod),
            PodStep::Restart(_) => self.start(pod, epoch, true),
            PodStep::Crash(_, code) => self.crash(&pod, code),
        }
    }

    /// Each pod takes its own time, drawn from its uid: the same story twice, and no two pods at the same moment.
    pub(super) fn plan(&mut self, pod: &Value, range: (i64, i64), step: PodStep) {
        let uid = uid_of(pod).to_owned();
        let delay = between(&format!("{step:?}{uid}"), range);
        self.at(self.now + delay, Due::Pod(uid, step));
    }

    /// Without a node that has room a pod waits as Pending, which is what people meet in a cluster that is full.
    fn schedule(&mut self, mut pod: Value, epoch: u32) {
        let Some(node) = self.node_with_room() else { return self.no_room(pod, epoch) };
        put(&mut pod, "/spec/nodeName", node);
        self.set_condition(&mut pod, "PodScheduled", true, None);
        self.write(Kind::Pod, pod.clone(), "kube-scheduler", None);
        let message =
            format!("Successfully assigned {}/{} to {node}", text(&pod, "/metadata/namespace"), name(&pod));
        self.event(&pod, false, "Scheduled", &message, "default-scheduler");
        self.plan(&pod, (150, 400), PodStep::Accept(epoch));
    }

    /// No node takes the pod: it stays Pending, and is looked at again.
    fn no_room(&mut self, mut pod: Value, epoch: u32) {
        let total = NODES.len();
        let message = format!(
            "0/{total} nodes are available: {total} Too many pods. preemption: 0/{total} nodes are available: {total} No \
             preemption victims found for incoming pod."
        );
        self.set_condition(&mut pod, "PodScheduled", false, None);
        let mut conditions = list(&pod, "/status/conditions").to_vec();
        for condition in conditions.iter_mut().filter(|condition| text(condition, "/type") == "PodScheduled")
        {
            condition["reason"] = json!("Unschedulable");
            condition["message"] = json!(message);
        }
        put(&mut pod, "/status/conditions", conditions);
        self.write(Kind::Pod, pod.clone(), "kube-scheduler", Some("status"));
        self.event(&pod, true, "FailedScheduling", &message, "default-scheduler");
        self.plan(&pod, (2_000, 3_000), PodStep::Schedule(epoch));
    }

    /// The kubelet of the node takes the pod over: from here on the pod has a host, and no container runs yet.
    fn accept(&mut self, mut pod: Value, epoch: u32) {
        let node_address = host_ip(text(&pod, "/spec/nodeName"));
        put(&mut pod, "/status/hostIP", node_address);
        put(&mut pod, "/status/startTime", rfc3339(self.now));
        self.set_condition(&mut pod, "Initialized", true, None);
        let names = container_names(&pod);
        self.set_condition(&mut pod, "Ready", false, Some(&names));
        self.set_condition(&mut pod, "ContainersReady", false, Some(&names));
        set_container_states(&mut pod, &json!({"waiting": {"reason": "ContainerCreating"}}), false);
        self.write(Kind::Pod, pod.clone(), KUBELET, Some("status"));
        self.plan(&pod, (1_500, 2_500), PodStep::Pull(epoch));
    }

    /// Pulls the image, unless the node has it. A second pod of the same image on a node starts without a pull, as on
    /// a real one.
    fn pull(&mut self, pod: &Value, epoch: u32) {
        let image = text(pod, "/spec/containers/0/image").to_owned();
        let node = text(pod, "/spec/nodeName").to_owned();
        let present = image == self.furniture.image || self.pulled.contains(&(node, image.clone()));
        if present {
            let message = format!("Container image \"{image}\" already present on machine");
            self.event(pod, false, "Pulled", &message, KUBELET);
            self.plan(pod, (400, 900), PodStep::Start(epoch));
            return;
        }
        self.event(pod, false, "Pulling", &format!("Pulling image \"{image}\""), KUBELET);
        if self.scenario == Scenario::ImagePullError || self.is_unpullable(&image) {
            self.plan(pod, (1_500, 3_000), PodStep::PullFails(epoch));
        } else {
            self.plan(pod, self.pull_range(), PodStep::Start(epoch));
        }
    }

    /// How long a pull takes, milliseconds: from and to.
    fn pull_range(&self) -> (i64, i64) {
        if self.scenario == Scenario::SlowRollout { (18_000, 24_000) } else { (4_000, 6_000) }
    }

    /// The registry does not have the image. `ErrImagePull` is shown for as long as the try is fresh,
    /// `ImagePullBackOff` while the next one waits.
    fn pull_fails(&mut self, mut pod: Value, epoch: u32) {
        let image = text(&pod, "/spec/containers/0/image").to_owned();
        let why = format!(
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found"
        );
        self.event(&pod, true, "Failed", &format!("Failed to pull image \"{image}\": {why}"), KUBELET);
        self.event(&pod, true, "Failed", "Error: ErrImagePull", KUBELET);
        set_container_states(
            &mut pod,
            &json!({"waiting": {"reason": "ErrImagePull", "message": why}}),
            false,
        );
        self.write(Kind::Pod, pod.clone(), KUBELET, Some("status"));
        self.plan(&pod, (8_000, 12_000), PodStep::BackOffPull(epoch));
    }

    /// The next try waits, and each longer than the one before: `back_off` has the times.
    fn back_off_pull(&mut self, mut pod: Value, epoch: u32) {
        let image = text(&pod, "/spec/containers/0/image").to_owned();
        let message = format!("Back-off pulling image \"{image}\"");
        // A kubelet reports the waiting itself as Normal and the error that it stands for as Warning.
        self.event(&pod, false, "BackOff", &message, KUBELET);
        self.event(&pod, true, "Failed", "Error: ImagePullBackOff", KUBELET);
        set_container_states(
            &mut pod,
            &json!({"waiting": {"reason": "ImagePullBackOff", "message": message}}),
            false,
        );
        self.write(Kind::Pod, pod.clone(), KUBELET, Some("status"));
        let Some(life) = self.lives.get_mut(uid_of(&pod)) else { return };
        life.failed_pulls += 1;
        let wait = back_off(life.failed_pulls);
        self.plan(&pod, (wait, wait + 2_000), PodStep::Pull(epoch));
    }

    /// Starts the containers, the first time or `again` after a crash. A pod that runs is not ready yet: that is the
    /// probe's to say, which is what a rollout waits for.
    fn start(&mut self, mut pod: Value, epoch: u32, again: bool) {
        if let Some(why) = self.lacks(&pod) {
            return self.cannot_configure(pod, epoch, &why);
        }
        let image = text(&pod, "/spec/containers/0/image").to_owned();
        self.tell_pulled(&pod, &image, again);
        for container in container_names(&pod) {
            self.event(&pod, false, "Created", &format!("Created container: {container}"), KUBELET);
            self.event(&pod, false, "Started", &format!("Started container {container}"), KUBELET);
        }
        put(&mut pod, "/status/phase", "Running");
        if text(&pod, "/status/podIP").is_empty() {
            let ip = pod_ip(&pod);
            put(&mut pod, "/status/podIPs", json!([{"ip": ip}]));
            put(&mut pod, "/status/podIP", ip);
        }
        if again {
            for status in container_statuses(&mut pod) {
                let count = int(status, "/restartCount") + 1;
                put(status, "/restartCount", count);
            }
        }
        self.set_condition(&mut pod, "PodReadyToStartContainers", true, None);
        set_container_states(&mut pod, &json!({"running": {"startedAt": rfc3339(self.now)}}), true);
        self.write(Kind::Pod, pod.clone(), KUBELET, Some("status"));
        if let Some(code) = self.crash_code(&pod) {
            return self.plan(&pod, (1_000, 2_000), PodStep::Crash(epoch, code));
        }
        let slow = self.scenario == Scenario::SlowRollout && image != self.furniture.image;
        if slow {
            for range in [(9_000, 10_000), (19_000, 20_000), (29_000, 30_000)] {
                self.plan(&pod, range, PodStep::NotYetReady(epoch));
            }
        }
        self.plan(&pod, if slow { (44_000, 50_000) } else { (9_500, 11_500) }, PodStep::Ready(epoch));
    }

    /// A probe of a process that does not listen yet: it is told, and the pod is as unready as before.
    fn not_yet_ready(&mut self, pod: &Value) {
        let ip = text(pod, "/status/podIP").to_owned();
        let message = format!(
            "Readiness probe failed: Get \"http://{ip}:8080/health\": dial tcp {ip}:8080: connect: connection refused"
        );
        self.event(pod, true, "Unhealthy", &message, KUBELET);
    }

    /// The pull's end, as events tell it: how long it took where this pod's node had to pull.
    fn tell_pulled(&mut self, pod: &Value, image: &str, again: bool) {
        let node = text(pod, "/spec/nodeName").to_owned();
        if !again && image != self.furniture.image && self.pulled.insert((node, image.to_owned())) {
            let took = between(&format!("pull{}", uid_of(pod)), self.pull_range());
            let took = format!("{}.{:03}s", took / 1000, took % 1000);
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: 187234123 bytes."
            );
            self.event(pod, false, "Pulled", &message, KUBELET);
        } else if again {
            let message = format!("Container image \"{image}\" already present on machine");
            self.event(pod, false, "Pulled", &message, KUBELET);
        }
    }

    /// The first probe that counts, unless the scenario keeps this pod from ever passing it.
    fn become_ready(&mut self, pod: Value) {
        let passes = !self.probes_fail(&pod) && !self.is_stuck(&pod);
        self.probe(pod, passes);
    }

    /// The readiness probe of a pod whose containers run passes or fails. Others are not probed.
    pub(super) fn probe(&mut self, mut pod: Value, passes: bool) {
        let runs = text(&pod, "/status/phase") == "Running"
            && !text(&pod, "/status/containerStatuses/0/state/running/startedAt").is_empty();
        if !runs {
            return;
        }
        for status in container_statuses(&mut pod) {
            put(status, "/ready", passes);
        }
        if !passes {
            let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
            self.event(&pod, true, "Unhealthy", message, KUBELET);
        }
        let names = container_names(&pod);
        let unready = (!passes).then_some(names.as_slice());
        self.set_condition(&mut pod, "Ready", passes, unready);
        self.set_condition(&mut pod, "ContainersReady", passes, unready);
        self.write(Kind::Pod, pod, KUBELET, Some("status"));
    }

    /// Lets a running pod's containers exit with `code`. The first time in ten minutes they come back at once, after
    /// that with growing pauses.
    pub(super) fn crash(&mut self, pod: &Value, code: i64) {
        let mut pod = pod.clone();
        let Some(life) = self.lives.get_mut(uid_of(&pod)) else { return };
        if self.now - life.last_crash > 600_000 {
            life.crashes = 0;
        }
        life.crashes += 1;
        life.last_crash = self.now;
        life.epoch += 1;
        let (crashes, epoch) = (life.crashes, life.epoch);
        let started = text(&pod, "/status/containerStatuses/0/state/running/startedAt").to_owned();
        let terminated = json!({"terminated": {
            "exitCode": code, "reason": if code == 137 { "OOMKilled" } else { "Error" },
            "startedAt": started, "finishedAt": rfc3339(self.now), "containerID": container_id(&pod),
        }});
        for status in container_statuses(&mut pod) {
            put(status, "/lastState", terminated.clone());
        }
        let names = container_names(&pod);
        self.set_condition(&mut pod, "Ready", false, Some(&names));
        self.set_condition(&mut pod, "ContainersReady", false, Some(&names));
        if crashes < 2 {
            set_container_states(&mut pod, &terminated, false);
            self.write(Kind::Pod, pod.clone(), KUBELET, Some("status"));
            self.plan(&pod, (800, 1_500), PodStep::Restart(epoch));
            return;
        }
        let wait = back_off(crashes - 1);
        let message = format!(
            "back-off {}s restarting failed container={} pod={}_{}({})",
            wait / 1000,
            names.join(","),
            name(&pod),
            text(&pod, "/metadata/namespace"),
            uid_of(&pod),
        );
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
        set_container_states(&mut pod, &waiting, false);
        self.write(Kind::Pod, pod.clone(), KUBELET, Some("status"));
        self.event(&pod, true, "BackOff", &message.replacen("back-off", "Back-off", 1), KUBELET);
        self.plan(&pod, (wait, wait), PodStep::Restart(epoch));
    }

    /// Begins a pod's end, or ends it at once: where it never reached a node, or with a `grace` of zero seconds.
    /// Gives back its last state.
    pub(super) fn terminate(&mut self, key: &Key, grace: Option<i64>) -> Option<std::sync::Arc<Value>> {
        let pod = self.store.get(key).map(|pod| Value::clone(pod))?;
        let grace = grace.unwrap_or_else(|| match int(&pod, "/spec/terminationGracePeriodSeconds") {
            0 => 30,
            seconds => seconds,
        });
        if grace == 0 || text(&pod, "/spec/nodeName").is_empty() {
            return self.store.remove(key);
        }
        if terminating(&pod) {
            return self.store.get(key).cloned();
        }
        let mut last = pod.clone();
        put(&mut last, "/metadata/deletionTimestamp", rfc3339(self.now + grace * 1000));
        put(&mut last, "/metadata/deletionGracePeriodSeconds", grace);
        let stored = self.store.put(Kind::Pod, last);
        for container in container_names(&pod) {
            self.event(&pod, false, "Killing", &format!("Stopping container {container}"), KUBELET);
        }
        if let Some(life) = self.lives.get_mut(uid_of(&pod)) {
            life.epoch += 1;
        }
        self.plan(&pod, (2_000, 5_000.min(grace * 1000).max(2_000)), PodStep::Gone);
        Some(stored)
    }

    /// A pod as it looks when it has been serving since `started`.
    pub(super) fn pod_in_service(mut pod: Value, started: i64) -> Value {
        let at = rfc3339(started);
        // By name: the next pod would go to the other node.
        let node = NODES[usize::try_from(digest(name(&pod)) % 2).unwrap_or(0)];
        put(&mut pod, "/spec/nodeName", node);
        put(&mut pod, "/status/phase", "Running");
        put(&mut pod, "/status/hostIP", host_ip(node));
        put(&mut pod, "/status/startTime", rfc3339(started - 13_000));
        let ip = pod_ip(&pod);
        put(&mut pod, "/status/podIPs", json!([{"ip": ip}]));
        put(&mut pod, "/status/podIP", ip);
        let conditions: Vec<_> = [
            "PodReadyToStartContainers",
            "Initialized",
            "Ready",
            "ContainersReady",
            "PodScheduled",
        ]
        .iter()
        .map(|kind| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": at}))
        .collect();
        put(&mut pod, "/status/conditions", conditions);
        set_container_states(&mut pod, &json!({"running": {"startedAt": at}}), true);
        for status in container_statuses(&mut pod) {
            put(status, "/ready", true);
        }
        pod
    }

    /// Sets one of a pod's conditions. Its time of change moves only where its status does: who waits until a pod has
    /// been ready for a while counts from it.
    fn set_condition(&self, pod: &mut Value, kind: &str, holds: bool, unready: Option<&[String]>) {
        let status = if holds { "True" } else { "False" };
        if condition(pod, kind) == status {
            return;
        }
        let mut fresh = json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": rfc3339(self.now)});
        if let Some(names) = unready {
            fresh["reason"] = json!("ContainersNotReady");
            fresh["message"] = json!(format!("containers with unready status: [{}]", names.join(" ")));
        }
        let mut conditions = list(pod, "/status/conditions").to_vec();
        match conditions.iter_mut().find(|condition| text(condition, "/type") == kind) {
            Some(condition) => *condition = fresh,
            None => conditions.push(fresh),
        }
        put(pod, "/status/conditions", conditions);
    }
}

/// When a ready pod became ready.
pub(super) fn ready_since(pod: &Value) -> Option<i64> {
    let ready = find_condition(pod, "Ready").filter(|ready| text(ready, "/status") == "True")?;
    super::object::parse_time(text(ready, "/lastTransitionTime"))
}

/// Milliseconds before try number `tries` + 1: 10 s, then twice as long each time, at most five minutes, as the
/// kubelet has it.
fn back_off(tries: u32) -> i64 {
    (10_000_i64 << tries.saturating_sub(1).min(10)).min(LONGEST_BACK_OFF_MS)
}

/// Addresses are made from names, so that every run of a scenario has the same ones.
fn host_ip(node: &str) -> String {
    format!("10.0.0.{}", 11 + NODES.iter().position(|name| *name == node).unwrap_or(0))
}

/// By node and name: stable over restarts of its containers, as it is in reality.
fn pod_ip(pod: &Value) -> String {
    let node = NODES.iter().position(|node| *node == text(pod, "/spec/nodeName")).unwrap_or(0);
    let number = digest(name(pod));
    format!("10.244.{}.{}", 2 * (number >> 8) % 100 + node as u64, 2 + number % 250)
}

fn container_names(pod: &Value) -> Vec<String> {
    list(pod, "/spec/containers").iter().map(|container| text(container, "/name").to_owned()).collect()
}
