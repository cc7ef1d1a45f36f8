//! A namespace with as many pods as wanted, half of them blue's and half green's, and a run in its window over them.
//!
//! Controllers and nodes would take half an hour for ten thousand pods. Here each is created on its node, and its status is
//! written once. They have no address, so that no endpoints are made of them; the API server has them as any others.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cutover::domain::event::Outcome;
use kube::Client;
use serde_json::{Value, json};

use super::{
    app::App,
    ground::WORLD,
    helm::{Base, Helm},
    place::OLD,
    plane::{PLANE, furniture},
    pty::Stage,
};

const RUNBOOK: &str = include_str!("large.toml");
/// Calls at the same time.
const AT_ONCE: usize = 24;
/// Pods that the Deployments have made themselves.
const MADE: usize = 4;
/// One in so many pods is not well.
const UNWELL: usize = 100;

pub(crate) struct Crowd {
    namespace: String,
    stage: Arc<Stage>,
    /// Of the pods, the Deployments' own ones included.
    pub(crate) size: usize,
    /// Answers, and is scraped.
    #[expect(dead_code, reason = "it lives as long as this")]
    app: App,
}

impl Base for Crowd {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECONFIG", &PLANE.kubeconfig)
    }
}

impl Crowd {
    /// The pods that the Deployments make, and no more.
    pub(crate) fn new() -> Self {
        let namespace = format!("crowd-{}", std::process::id());
        // Both slots run the same number of pods of the same version: a switch to either is allowed.
        let made = furniture(&namespace, [MADE / 2, MADE / 2]).replace(":v1.4.0", ":v1.5.0");
        PLANE.apply(&made);
        let stage = Stage::new();
        let app = App::steady("green", "v1.5.0").with_prometheus(stage.path());
        let runbook = RUNBOOK
            .replace("@namespace@", &namespace)
            .replace("@app@", &app.url)
            .replace("@prometheus@", &app.prometheus());
        std::fs::write(stage.path().join("runbook.toml"), runbook).unwrap();
        for slot in ["blue", "green"] {
            let name = format!("deployment/backend-{slot}");
            let done = PLANE.kubectl(&["--namespace", &namespace, "rollout", "status", &name]);
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        Self { namespace, stage, size: MADE, app }
    }

    pub(crate) fn stage(&self) -> Arc<Stage> {
        Arc::clone(&self.stage)
    }

    /// More pods, until there are so many.
    pub(crate) fn grow(&mut self, size: usize) {
        let next = AtomicUsize::new(self.size);
        WORLD.block_on(async {
            let client = PLANE.client().await;
            let worker = async || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= size {
                        return;
                    }
                    self.add(&client, number).await;
                }
            };
            futures::future::join_all((0..AT_ONCE).map(|_| worker())).await;
        });
        self.size = self.size.max(size);
    }

    async fn add(&self, client: &Client, number: usize) {
        let slot = if number.is_multiple_of(2) { "blue" } else { "green" };
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let name = format!("backend-{slot}-6f7d9c5b8f-{number:05}");
        let created = send(client, hyper::Method::POST, &path, "application/json", &pod(&name, slot)).await;
        assert_eq!(created["metadata"]["name"], name.as_str());
        let status = json!({ "status": status(number / 2 % UNWELL != 7) });
        let path = format!("{path}/{name}/status");
        send(client, hyper::Method::PATCH, &path, "application/merge-patch+json", &status).await;
    }

    /// A run that has switched to green and watches it.
    pub(crate) fn watched(&self) -> Helm {
        let _ = std::fs::remove_dir_all(self.stage.path().join("runs"));
        let mut helm = Helm::open(self);
        helm.fly_until("switch", |helm| helm.passed("switch"));
        helm
    }

    /// The run is over, and the users are where they were before it.
    pub(crate) fn end(mut helm: Helm) {
        helm.roll_back();
        helm.wait_until("end", Helm::is_over);
        assert_eq!(helm.outcome(), Some(Outcome::RolledBack), "{}", helm.story());
        helm.close();
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = PLANE.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

async fn send(client: &Client, method: hyper::Method, path: &str, kind: &str, body: &Value) -> Value {
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", kind)
        .body(serde_json::to_vec(body).unwrap())
        .unwrap();
    client.request(request).await.unwrap()
}

/// A pod as large as those of a payment system are: two containers with probes, environment and volumes.
fn pod(name: &str, slot: &str) -> Value {
    let variables = |part: &str| -> Vec<Value> {
        (0..12)
            .map(
                |n| json!({ "name": format!("{part}_SETTING_{n}"), "value": format!("value-{n}-of-{part}") }),
            )
            .collect()
    };
    let probe =
        json!({ "httpGet": { "path": "/health", "port": 8080 }, "periodSeconds": 10, "failureThreshold": 3 });
    let container = |name: &str, image: &str| {
        json!({
            "name": name, "image": image, "env": variables(&name.to_uppercase()), "livenessProbe": probe,
            "readinessProbe": probe, "ports": [{ "containerPort": 8080, "name": format!("{name}-http") }],
            "resources": { "requests": { "cpu": "1m", "memory": "1Mi" }, "limits": { "cpu": "1", "memory": "512Mi" } },
            "volumeMounts": [{ "name": "config", "mountPath": "/etc/config" }, { "name": "cache", "mountPath": "/var/cache" }]
        })
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": { "app": "backend", "version": slot, "team": "payments", "app.kubernetes.io/part-of": "payment-system" },
            "annotations": { "real/still": "yes", "prometheus.io/scrape": "true", "checksum/config": "0f1e2d3c4b5a69788796a5b4c3d2e1f0" }
        },
        "spec": {
            "nodeName": "node-1", "terminationGracePeriodSeconds": 0,
            "containers": [container("backend", OLD), container("mesh", "registry.example.com/mesh:v9.1.0")],
            "volumes": [{ "name": "config", "configMap": { "name": "settings", "optional": true } }, { "name": "cache", "emptyDir": {} }]
        }
    })
}

fn status(well: bool) -> Value {
    let at = "2026-11-20T10:00:00Z";
    let container = |name: &str, image: &str, well: bool| {
        let waits = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container" } });
        json!({
            "name": name, "image": image, "ready": well, "started": well, "restartCount": if well { 0 } else { 7 },
            "imageID": "registry.example.com/backend@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "containerID": "containerd://2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "state": if well { json!({ "running": { "startedAt": at } }) } else { waits },
            "lastState": if well { json!({}) } else { json!({ "terminated": { "exitCode": 1, "reason": "Error", "startedAt": at, "finishedAt": at } }) }
        })
    };
    let condition = |kind: &str, holds: bool| json!({ "type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": at });
    json!({
        "phase": "Running", "startTime": at, "qosClass": "Burstable",
        "conditions": [condition("Initialized", true), condition("Ready", well), condition("ContainersReady", well), condition("PodScheduled", true)],
        "containerStatuses": [container("backend", OLD, well), container("mesh", "registry.example.com/mesh:v9.1.0", true)]
    })
}
