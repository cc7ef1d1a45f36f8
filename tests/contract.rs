//! One contract, two worlds: the same calls go to a real API server and to the simulated one, and both have to answer alike:
//! status codes, error bodies, patches, generations, managed fields, watches, and what the controllers make of it.
//!
//! What the real one answers is written down in tests/contract/, by release, so that plain `cargo test` holds the simulated one
//! to it. `.ci/run` holds the real one to it as well. After a change of the calls, or with another release:
//!
//! ```text
//! tests/real/kube up && WRITE_CONTRACT=1 cargo test --features real-servers --test contract; tests/real/kube down
//! ```

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

#[path = "support/ground.rs"]
mod ground;
#[path = "real/plane.rs"]
mod plane;
#[path = "support/pty.rs"]
mod pty;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::world::{cluster::Cluster, scenario::Scenario};
use ground::WORLD;
use hyper::{Method, Request};
use kube::{Client, config::Kubeconfig};
use regex::Regex;
use serde_json::{Value, json};

/// The release that the simulated one is held to.
const SIMULATED: &str = "1.20";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json";
/// Pods come up within this on a busy host, in either world.
const PATIENCE: Duration = Duration::from_secs(40);

/// One of the two worlds, and what was written down there.
struct Side {
    client: Client,
    /// Nothing on the real side.
    simulated: Option<Arc<Cluster>>,
    namespace: String,
    told: String,
    masks: Vec<(Regex, &'static str)>,
}

async fn client(kubeconfig: &str) -> Client {
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::from_yaml(kubeconfig).unwrap(), &options);
    Client::try_from(config.await.unwrap()).unwrap()
}

impl Side {
    async fn new(kubeconfig: &str, namespace: &str, simulated: Option<Arc<Cluster>>) -> Self {
        let mask = |pattern: &str, word| (Regex::new(pattern).unwrap(), word);
        Self {
            client: client(kubeconfig).await,
            simulated,
            namespace: namespace.to_owned(),
            told: String::new(),
            masks: vec![
                mask(&regex::escape(namespace), "NAMESPACE"),
                mask(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
                mask(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
                mask(r#"User \\?"[^"\\]*\\?""#, "User WHO"),
                mask(r"backend-(blue|green)-[0-9a-z]{8,10}(-[0-9a-z]{5})?", "backend-$1-HASH"),
            ],
        }
    }

    fn masked(&self, text: &str) -> String {
        self.masks
            .iter()
            .fold(text.to_owned(), |text, (mask, word)| mask.replace_all(&text, *word).into_owned())
    }

    fn path(&self, resource: &str) -> String {
        let group = match resource.split('/').next().unwrap_or_default() {
            "deployments" | "replicasets" => "/apis/apps/v1",
            "leases" => "/apis/coordination.k8s.io/v1",
            "horizontalpodautoscalers" => "/apis/autoscaling/v1",
            _ => "/api/v1",
        };
        format!("{group}/namespaces/{}/{resource}", self.namespace)
    }

    /// The status code and the body of an answer.
    async fn call(&self, method: Method, resource: &str, kind: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        self.call_raw(method, &self.path(resource), kind, body).await
    }

    async fn call_raw(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(kube::client::Body::from(body)).unwrap();
        let answer = self.client.send(request).await.unwrap();
        let code = answer.status().as_u16();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, resource: &str) -> Value {
        self.call(Method::GET, resource, JSON, &Value::Null).await.1
    }

    async fn patch(&self, resource: &str, kind: &str, body: Value) -> (u16, Value) {
        let (path, by) = resource.split_once('?').map_or((resource, ""), |(path, by)| (path, by));
        let by = if by.is_empty() { "fieldManager=contract".to_owned() } else { by.to_owned() };
        self.call(Method::PATCH, &format!("{path}?{by}"), kind, &body).await
    }

    /// The namespace may have no more pods than it has, or as many as it likes.
    async fn limit_pods(&self, limit: bool) {
        if let Some(cluster) = &self.simulated {
            return cluster.limit_quota(limit.then_some(1));
        }
        if !limit {
            self.call(Method::DELETE, "resourcequotas/pods", JSON, &Value::Null).await;
            return;
        }
        let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"},
                           "spec": {"hard": {"pods": "1"}}});
        self.call(Method::POST, "resourcequotas", JSON, &quota).await;
        let counted = |object: &Value| object["status"]["hard"]["pods"] == "1";
        self.until("resourcequotas/pods", "counted", counted).await;
    }

    /// Pods of green's next template find no room, or some.
    async fn limit_room(&self, limit: bool) {
        if let Some(cluster) = &self.simulated {
            cluster.limit_pods(limit.then_some(0));
        }
        let cpu = if limit { "500" } else { "10m" };
        let container = json!({"name": "backend", "resources": {"requests": {"cpu": cpu}}});
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        self.patch("deployments/backend-green", STRATEGIC, patch).await;
    }

    // --- what is written down -------------------------------------------------------------------------------------------

    fn begin(&mut self, what: &str) {
        let _ = writeln!(self.told, "\n## {what}");
    }

    fn tell(&mut self, what: &str, value: impl std::fmt::Display) {
        let line = self.masked(&format!("{what}: {value}"));
        let _ = writeln!(self.told, "{line}");
    }

    /// An answer in the words that matter: an error's whole, of an object nothing.
    fn tell_answer(&mut self, what: &str, (code, body): &(u16, Value)) {
        if *code < 400 {
            return self.tell(what, code);
        }
        let details = json!({
            "name": body["details"]["name"],
            "kind": body["details"]["kind"],
            "causes": body["details"]["causes"],
        });
        let told = format!("{code} {} {} {details}", body["reason"], body["message"]);
        self.tell(what, told);
    }

    /// Who owns which fields under `spec`, as the server keeps it.
    fn tell_owners(&mut self, what: &str, object: &Value) {
        let mut owners: Vec<String> = object["metadata"]["managedFields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|entry| entry["manager"] == "contract" || entry["manager"] == "scaler")
            .map(|entry| {
                let spec = &entry["fieldsV1"]["f:spec"];
                format!("{} {} sub={} {spec}", entry["manager"], entry["operation"], entry["subresource"])
            })
            .collect();
        owners.sort();
        self.tell(what, owners.join(" | "));
    }

    /// Waits until this is so, and gives the object.
    async fn until(&self, resource: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let object = self.get(resource).await;
            if is(&object) {
                return object;
            }
            assert!(Instant::now() < until, "never: {what}: {object:#}\n{}", self.told);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn tell_conditions(&mut self, what: &str, object: &Value) {
        let mut told: Vec<String> = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|condition| {
                format!(
                    "{}={} {} {}",
                    condition["type"], condition["status"], condition["reason"], condition["message"]
                )
            })
            .collect();
        told.sort();
        self.tell(what, told.join(" | "));
    }
}

fn observed(object: &Value) -> bool {
    object["metadata"]["generation"] == object["status"]["observedGeneration"]
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == kind);
    found.unwrap_or(&Value::Null)
}

fn count(object: &Value, field: &str) -> i64 {
    object["status"][field].as_i64().unwrap_or(0)
}

async fn reads(side: &mut Side) {
    side.begin("reads");
    for resource in
        ["services/nope", "deployments/nope", "pods/nope", "nopes/x", "leases/nope", "configmaps/nope"]
    {
        let answer = side.call(Method::GET, resource, JSON, &Value::Null).await;
        side.tell_answer(resource, &answer);
    }
    let elsewhere = side
        .call_raw(Method::GET, "/api/v1/namespaces/nowhere/services/backend-service", JSON, Vec::new())
        .await;
    side.tell_answer("a Service in no namespace", &elsewhere);
    let (_, list) = side.call_raw(Method::GET, "/api/v1/namespaces/nowhere/services", JSON, Vec::new()).await;
    side.tell("the Services of no namespace", format!("{} {}", list["kind"], list["items"]));
    let page = side.get("pods?limit=1").await;
    let left = &page["metadata"]["remainingItemCount"];
    side.tell(
        "a page",
        format!(
            "{} of it, {left} left, goes on: {}",
            page["items"].as_array().unwrap().len(),
            page["metadata"]["continue"].is_string()
        ),
    );
    let answer = side.call(Method::GET, "pods?continue=nonsense&limit=1", JSON, &Value::Null).await;
    side.tell("a page from nowhere", answer.0);
    let answer = side.call(Method::GET, "pods?labelSelector=%21%21", JSON, &Value::Null).await;
    side.tell("a selector that is none", answer.0);
    let answer = side.call(Method::GET, "pods?fieldSelector=spec.nope%3D1", JSON, &Value::Null).await;
    side.tell_answer("a field that cannot be selected by", &answer);
    let service = side.get("services/backend-service").await;
    side.tell(
        "the Service",
        format!("{} {} {}", service["kind"], service["apiVersion"], service["spec"]["type"]),
    );
}

async fn patches_of_the_service(side: &mut Side) {
    side.begin("patches of the Service");
    let before = side.get("services/backend-service").await;
    let (uid, version) = (before["metadata"]["uid"].clone(), before["metadata"]["resourceVersion"].clone());
    let select = |meta: Value, slot: &str| json!({"metadata": meta, "spec": {"selector": {"version": slot}}});
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            select(json!({"resourceVersion": version, "uid": uid}), "green"),
        )
        .await;
    side.tell_answer("with uid and version", &answer);
    side.tell_owners("owners", &answer.1);
    side.tell("generation", &answer.1["metadata"]["generation"]);
    let answer = side
        .patch("services/backend-service", MERGE, select(json!({"resourceVersion": version}), "blue"))
        .await;
    side.tell_answer("with an old version", &answer);
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            select(json!({"uid": "00000000-0000-0000-0000-000000000000"}), "blue"),
        )
        .await;
    side.tell_answer("with another uid", &answer);
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            json!({"spec": {"selector": {"version": "blue", "tier": "x"}}}),
        )
        .await;
    side.tell("a label more", &answer.1["spec"]["selector"]["tier"]);
    let answer = side
        .patch("services/backend-service", STRATEGIC, json!({"spec": {"selector": {"tier": null}}}))
        .await;
    side.tell("null takes it away", &answer.1["spec"]["selector"]["tier"]);
    let same = side
        .patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "blue"}}}))
        .await;
    let again = same.1["metadata"]["resourceVersion"] == answer.1["metadata"]["resourceVersion"];
    side.tell("a patch that changes nothing keeps the version", again);
    let answer = side
        .patch(
            "services/backend-service",
            "application/json-patch+json",
            json!([{"op": "test", "path": "/spec/selector/version", "value": "green"}]),
        )
        .await;
    side.tell("a test that fails", answer.0);
    let answer = side.patch("services/backend-service", "text/plain", json!({})).await;
    side.tell("no patch type", answer.0);
    let answer = side.patch("services/nope", MERGE, json!({"spec": {}})).await;
    side.tell_answer("of no Service", &answer);
    let answer = side
        .patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "not a label!"}}}))
        .await;
    side.tell_answer("an invalid label", &answer);
}

async fn patches_of_a_deployment(side: &mut Side) {
    side.begin("patches of a Deployment");
    let template = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "backend", "image": image}]}}}});
    let before = side.get("deployments/backend-green").await;
    let grown = |before: &Value, after: &Value| {
        after["metadata"]["generation"].as_i64().unwrap() - before["metadata"]["generation"].as_i64().unwrap()
    };
    let answer = side
        .patch("deployments/backend-green", STRATEGIC, template("registry.example.com/backend:v1.6.0"))
        .await;
    side.tell_answer("an image", &answer);
    side.tell("generations", grown(&before, &answer.1));
    side.tell("observed at once", observed(&answer.1));
    side.tell_owners("owners", &answer.1);
    let same = side
        .patch("deployments/backend-green", STRATEGIC, template("registry.example.com/backend:v1.6.0"))
        .await;
    side.tell("the same again", grown(&answer.1, &same.1));
    let done = |object: &Value| {
        observed(object)
            && count(object, "updatedReplicas") == 2
            && count(object, "replicas") == 2
            && count(object, "availableReplicas") == 2
    };
    let settled = side.until("deployments/backend-green", "the rollout ends", done).await;
    side.tell_conditions("conditions after it", &settled);
    let answer = side.patch("deployments/backend-green", MERGE, json!({"spec": {"replicas": -1}})).await;
    side.tell_answer("replicas below nothing", &answer);
    let answer = side.patch("deployments/backend-green", STRATEGIC, json!({"spec": {"template": {"spec": {"containers": [{"name": "nope", "imagePullPolicy": "Always"}]}}}})).await;
    side.tell_answer("a container without an image", &answer);
    let answer = side
        .patch(
            "deployments/backend-green",
            MERGE,
            json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
        )
        .await;
    side.tell("another pod selector", answer.0);

    // `kubectl scale`.
    let before = side.get("deployments/backend-green").await;
    let answer = side
        .patch("deployments/backend-green/scale?fieldManager=scaler", MERGE, json!({"spec": {"replicas": 1}}))
        .await;
    side.tell("scale", format!("{} {} {}", answer.0, answer.1["kind"], answer.1["apiVersion"]));
    let after = side.get("deployments/backend-green").await;
    side.tell("generations", grown(&before, &after));
    let one = |object: &Value| observed(object) && count(object, "replicas") == 1;
    side.until("deployments/backend-green", "one pod", one).await;
    let answer = side
        .patch(
            "deployments/backend-green/scale?fieldManager=scaler",
            MERGE,
            json!({"spec": {"replicas": -1}}),
        )
        .await;
    side.tell("scale below nothing", answer.0);
    let none = side.patch("deployments/backend-green", MERGE, json!({"spec": {"replicas": 0}})).await;
    side.tell("to nothing", none.0);
    let empty = side
        .until("deployments/backend-green", "no pod", |object| {
            observed(object) && count(object, "replicas") == 0
        })
        .await;
    side.tell_conditions("conditions of nothing", &empty);
    side.tell(
        "counts of nothing",
        format!("{} {}", empty["status"]["readyReplicas"], empty["status"]["replicas"]),
    );
    side.patch("deployments/backend-green", MERGE, json!({"spec": {"replicas": 2}})).await;
    side.until("deployments/backend-green", "two pods", done).await;
}

async fn rollouts_that_cannot_succeed(side: &mut Side) {
    side.begin("rollouts that cannot succeed");
    let patch = |spec: Value| json!({ "spec": spec });
    let image = |tag: &str| json!({"template": {"spec": {"containers": [{"name": "backend", "image": format!("registry.example.com/backend:{tag}")}]}}});
    side.patch("deployments/backend-green", STRATEGIC, patch(json!({"paused": true}))).await;
    let paused = side
        .until("deployments/backend-green", "paused", |object| {
            condition(object, "Progressing")["reason"] == "DeploymentPaused"
        })
        .await;
    side.tell_conditions("paused", &paused);
    side.patch("deployments/backend-green", STRATEGIC, patch(image("v1.6.1"))).await;
    let waits = side.until("deployments/backend-green", "seen", observed).await;
    side.tell("updated while it is paused", waits["status"]["updatedReplicas"].as_i64().unwrap_or(0));
    side.patch("deployments/backend-green", STRATEGIC, patch(json!({"paused": null}))).await;
    let done = |object: &Value| {
        observed(object)
            && count(object, "updatedReplicas") == 2
            && count(object, "replicas") == 2
            && count(object, "availableReplicas") == 2
    };
    side.until("deployments/backend-green", "resumed", done).await;

    side.limit_pods(true).await;
    side.patch("deployments/backend-green", STRATEGIC, patch(image("v1.6.2"))).await;
    let failed = side
        .until("deployments/backend-green", "refused by quota", |object| {
            condition(object, "ReplicaFailure")["status"] == "True"
        })
        .await;
    side.tell("reason", &condition(&failed, "ReplicaFailure")["reason"]);
    let message = condition(&failed, "ReplicaFailure")["message"].as_str().unwrap_or_default();
    side.tell(
        "names the quota",
        message.contains("is forbidden: exceeded quota: ") && message.contains(", requested: pods=1, "),
    );
    side.limit_pods(false).await;
    // The controller tries again, later and later; another template makes it try at once.
    side.patch("deployments/backend-green", STRATEGIC, patch(image("v1.6.3"))).await;
    side.until("deployments/backend-green", "up again", done).await;

    side.limit_room(true).await;
    let unschedulable = |pod: &Value| condition(pod, "PodScheduled")["reason"] == "Unschedulable";
    let pods = side
        .until("pods", "a pod without room", |list| {
            list["items"].as_array().into_iter().flatten().any(unschedulable)
        })
        .await;
    let pod = pods["items"].as_array().unwrap().iter().find(|pod| unschedulable(pod)).unwrap();
    side.tell(
        "without room",
        format!("{} {}", pod["status"]["phase"], condition(pod, "PodScheduled")["status"]),
    );
    let message = condition(pod, "PodScheduled")["message"].as_str().unwrap_or_default();
    side.tell("says", message.contains(" nodes are available: "));
    side.tell("containers", &pod["status"]["containerStatuses"]);
    side.limit_room(false).await;
    side.until("deployments/backend-green", "room again", done).await;
}

async fn leases_and_maps(side: &mut Side) {
    side.begin("leases and config maps");
    let lease = |holder: &str, version: Option<&Value>| {
        let mut meta = json!({"name": "contract"});
        if let Some(version) = version {
            meta["resourceVersion"] = version.clone();
        }
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta,
               "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}})
    };
    let first = side.call(Method::POST, "leases", JSON, &lease("a", None)).await;
    side.tell_answer("made", &first);
    let second = side.call(Method::POST, "leases", JSON, &lease("b", None)).await;
    side.tell_answer("made twice", &second);
    let version = first.1["metadata"]["resourceVersion"].clone();
    let put = side.call(Method::PUT, "leases/contract", JSON, &lease("c", Some(&version))).await;
    side.tell_answer("replaced", &put);
    let put = side.call(Method::PUT, "leases/contract", JSON, &lease("d", Some(&version))).await;
    side.tell_answer("replaced with an old version", &put);
    let answer = side.call(Method::POST, "leases", JSON, &json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "Not_A_Name"}})).await;
    side.tell("a name that is none", answer.0);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "contract", "labels": {"a": "b"}}, "data": {"k": "v"}});
    let answer = side.call(Method::POST, "configmaps", JSON, &map).await;
    side.tell_answer("a map", &answer);
    let listed = side.get("configmaps?labelSelector=a%3Db").await;
    side.tell("by label", listed["items"].as_array().map_or(0, Vec::len));
    let answer = side
        .call(
            Method::DELETE,
            "configmaps/contract",
            JSON,
            &json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}),
        )
        .await;
    side.tell("deleted with another uid", answer.0);
    let answer = side.call(Method::DELETE, "configmaps/contract", JSON, &Value::Null).await;
    side.tell("deleted", format!("{} {} {}", answer.0, answer.1["kind"], answer.1["status"]));
    let answer = side.call(Method::DELETE, "configmaps/contract", JSON, &Value::Null).await;
    side.tell_answer("deleted twice", &answer);
}

async fn endings(side: &mut Side) {
    side.begin("pods that end");
    side.patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "green"}}})).await;
    let addresses = |object: &Value| -> usize {
        let subsets = object["subsets"].as_array().into_iter().flatten();
        subsets.map(|subset| subset["addresses"].as_array().map_or(0, Vec::len)).sum()
    };
    side.until("endpoints/backend-service", "two endpoints", |object| addresses(object) == 2).await;
    let pods = side.get("pods?labelSelector=version%3Dgreen").await;
    let name = pods["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
    let answer =
        side.call(Method::DELETE, &format!("pods/{name}"), JSON, &json!({"gracePeriodSeconds": 1})).await;
    side.tell(
        "a pod is told to end",
        format!("{} {}", answer.0, answer.1["metadata"]["deletionGracePeriodSeconds"]),
    );
    side.until(&format!("pods/{name}"), "it is gone", |object| object["code"] == 404).await;
    side.until("endpoints/backend-service", "two endpoints again", |object| addresses(object) == 2).await;

    side.begin("an object that is deleted and made anew");
    let version = side.get("services/backend-service").await["metadata"]["resourceVersion"].clone();
    let mut service = side.get("services/backend-service").await;
    let uid = service["metadata"]["uid"].clone();
    let answer = side.call(Method::DELETE, "services/backend-service", JSON, &Value::Null).await;
    side.tell("deleted", answer.0);
    let meta = json!({"name": "backend-service"});
    service["metadata"] = meta;
    service["spec"] = json!({"selector": service["spec"]["selector"], "ports": [{"port": 80}]});
    let answer = side.call(Method::POST, "services", JSON, &service).await;
    side.tell_answer("made anew", &answer);
    side.tell("another uid", answer.1["metadata"]["uid"] != uid);
    let answer = side
        .patch(
            "services/backend-service",
            MERGE,
            json!({"metadata": {"uid": uid}, "spec": {"selector": {"version": "blue"}}}),
        )
        .await;
    side.tell_answer("patched by its old uid", &answer);
    let answer = side.patch("services/backend-service", MERGE, json!({"metadata": {"uid": uid, "resourceVersion": version}, "spec": {"selector": {"version": "blue"}}})).await;
    side.tell_answer("… and version", &answer);
    side.patch("services/backend-service", MERGE, json!({"spec": {"selector": {"version": "blue"}}})).await;
}

async fn play(side: &mut Side) {
    for slot in ["blue", "green"] {
        let up = |object: &Value| observed(object) && count(object, "availableReplicas") == 2;
        side.until(&format!("deployments/backend-{slot}"), "pods", up).await;
    }
    reads(side).await;
    patches_of_the_service(side).await;
    patches_of_a_deployment(side).await;
    leases_and_maps(side).await;
    endings(side).await;
    rollouts_that_cannot_succeed(side).await;
}

fn transcript(release: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/contract/kubernetes-{release}.txt"))
}

fn written(release: &str) -> String {
    let path = transcript(release);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|fault| panic!("{}: {fault}; to write it: WRITE_CONTRACT=1", path.display()))
}

/// Line by line, so that what differs is seen.
fn assert_same(told: &str, written: &str) {
    let differing = |a: &str, b: &str, mark: &str| -> String {
        let lines = a.lines().filter(|line| !b.lines().any(|other| other == *line));
        lines.map(|line| [mark, line, "\n"].concat()).collect()
    };
    assert!(told == written, "{}{}", differing(written, told, "- "), differing(told, written, "+ "));
}

#[test]
fn the_simulated_api_server_answers_as_the_real_one_did() {
    let told = WORLD.block_on(async {
        let cluster = ground::world_of_two(Scenario::Good).await;
        let mut side = Side::new(&cluster.kubeconfig(), "production", Some(Arc::clone(&cluster))).await;
        play(&mut side).await;
        side.told
    });
    assert_same(&told, &written(SIMULATED));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_real_api_server_answers_as_it_did() {
    let namespace = format!("contract-{}", std::process::id());
    plane::PLANE.apply(&plane::furniture(&namespace, [2, 2]));
    let kubeconfig = std::fs::read_to_string(&plane::PLANE.kubeconfig).unwrap();
    let told = WORLD.block_on(async {
        let mut side = Side::new(&kubeconfig, &namespace, None).await;
        play(&mut side).await;
        side.told
    });
    let _ = plane::PLANE.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    let release = plane::PLANE.release();
    if std::env::var_os("WRITE_CONTRACT").is_some() {
        std::fs::write(transcript(&release), &told).unwrap();
    }
    assert_same(&told, &written(&release));
}
