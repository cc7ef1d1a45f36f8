//! The simulated Kubernetes API server as its clients see it: over HTTP, by reqwest and by kube.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its world up has failed")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use cutover::world::{
    clock::WorldClock,
    cluster::{Cluster, Fault, ForeignEdit, Misbehaviour},
    scenario::Scenario,
    stage::{Directing, FurnishedSlot, Furniture, Stage, Strategy},
};
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::{
    apps::v1::Deployment,
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    coordination::v1::Lease,
    core::v1::{Event, Pod, Service},
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

const OLD: &str = "registry.example.com/payment-system-backend:v1.5.0";
const NEW: &str = "registry.example.com/payment-system-backend:v1.6.0";
const SERVICE: &str = "/api/v1/namespaces/production/services/backend-service";
const PODS: &str = "/api/v1/namespaces/production/pods";
/// Longer than any test may take: what waits in vain fails here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cluster whose time stands still until it is moved.
struct World {
    cluster: Arc<Cluster>,
    now: Arc<AtomicI64>,
    http: reqwest::Client,
}

impl World {
    async fn start(scenario: Scenario) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let now = Arc::new(AtomicI64::new(1_795_356_000_000));
        let clock = {
            let now = Arc::clone(&now);
            WorldClock::new(Arc::new(move || now.load(Ordering::SeqCst)), 1000.0)
        };
        let slot = |colour: &str| {
            let selector = BTreeMap::from([("version".to_owned(), colour.to_owned())]);
            (colour.to_owned(), FurnishedSlot::new(format!("backend-{colour}"), selector))
        };
        let furniture = Furniture {
            namespace: "production".into(),
            service: "backend-service".into(),
            slots: [slot("blue"), slot("green")].into(),
            live: "blue".into(),
            container: "backend".into(),
            image: OLD.into(),
            replicas: 3,
            context: "prod-eu-1".into(),
            window_ms: 900_000,
            directing: Directing::Selector,
            strategy: Strategy::default(),
        };
        let cluster = Cluster::start(furniture, scenario, clock).await.unwrap();
        Self { cluster, now, http: reqwest::Client::new() }
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::from_yaml(&self.cluster.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.cluster.url()))
    }

    async fn get(&self, path: &str) -> Value {
        self.request(reqwest::Method::GET, path).send().await.unwrap().json().await.unwrap()
    }

    async fn patch_service(&self, body: Value) -> reqwest::Result<reqwest::Response> {
        self.request(reqwest::Method::PATCH, SERVICE)
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string())
            .send()
            .await
    }

    async fn switch(&self, colour: &str) -> reqwest::Result<reqwest::Response> {
        self.patch_service(json!({"spec": {"selector": {"version": colour}}})).await
    }

    /// Opens a watch and gives back its lines, each parsed.
    async fn watch(&self, path: &str) -> impl futures::Stream<Item = Value> + Unpin + use<> {
        let response = self.request(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let bytes = response.bytes_stream().map_err(std::io::Error::other).into_async_read();
        Box::pin(bytes.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
    }
}

async fn next(stream: &mut (impl futures::Stream<Item = Value> + Unpin)) -> Option<Value> {
    tokio::time::timeout(PATIENCE, stream.next()).await.unwrap()
}

fn kind_and_name(event: &Value) -> (&str, &str) {
    (event["type"].as_str().unwrap(), event["object"]["metadata"]["name"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn kube_deploys_switches_and_scales() {
    let world = World::start(Scenario::Good).await;
    let client = world.client().await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "backend", "image": NEW}]}}}});
    let by_us = PatchParams { field_manager: Some("cutover".into()), ..PatchParams::default() };
    let patched = deployments.patch("backend-green", &by_us, &Patch::Strategic(&image)).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(6));
    assert_eq!(patched.status.unwrap().observed_generation, Some(5), "an old status is not done");
    world.pass(90);
    let done = deployments.get("backend-green").await.unwrap();
    let status = done.status.unwrap();
    assert_eq!(
        (
            status.observed_generation,
            status.updated_replicas,
            status.available_replicas,
            status.unavailable_replicas
        ),
        (Some(6), Some(3), Some(3), None)
    );
    let service = services.get("backend-service").await.unwrap();
    let selector = json!({
        "metadata": {"resourceVersion": service.metadata.resource_version},
        "spec": {"selector": {"version": "green"}},
    });
    services.patch("backend-service", &by_us, &Patch::Merge(&selector)).await.unwrap();
    let stale = services.patch("backend-service", &by_us, &Patch::Merge(&selector)).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.is_conflict()));
    assert_eq!(world.cluster.selector()["version"], "green");
    assert!(world.cluster.picture().slot("green").is_some_and(|slot| slot.is_live() && slot.image == NEW));
    let scaled = deployments
        .patch_scale("backend-blue", &by_us, &Patch::Merge(json!({"spec": {"replicas": 0}})))
        .await
        .unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(0));
    world.pass(20);
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    assert_eq!(pods.list(&ListParams::default().labels("app=backend-blue")).await.unwrap().items.len(), 0);
    let events: Api<Event> = Api::default_namespaced(client);
    let selector = ListParams::default().fields("involvedObject.kind=Pod,reason=Killing");
    assert_eq!(events.list(&selector).await.unwrap().items.len(), 6);
}

#[tokio::test]
async fn kube_watchers_follow_a_rollout_by_list_and_by_stream() {
    let world = World::start(Scenario::Good).await;
    let deployments: Api<Deployment> = Api::default_namespaced(world.client().await);
    for config in [watcher::Config::default().page_size(1), watcher::Config::default().streaming_lists()] {
        let image = if world.cluster.picture().backends[1].image == NEW { OLD } else { NEW };
        let mut watched = Box::pin(watcher(deployments.clone(), config).applied_objects());
        let mut names = Vec::new();
        for _ in 0..2 {
            names.push(watched.next().await.unwrap().unwrap().name_any());
        }
        names.sort();
        assert_eq!(names, ["backend-blue", "backend-green"]);
        let edit = ForeignEdit::Image { deployment: "backend-green".into(), image: image.into() };
        assert!(world.cluster.foreign_edit("someone", &edit));
        let generation =
            world.cluster.object("deployments", "backend-green").unwrap()["metadata"]["generation"].as_i64();
        world.pass(90);
        let finished = async {
            while let Some(object) = watched.next().await {
                let object = object.unwrap();
                let status = object.status.clone().unwrap_or_default();
                if object.name_any() == "backend-green"
                    && status.observed_generation == generation
                    && status.updated_replicas == Some(3)
                    && status.replicas == Some(3)
                    && status.available_replicas == Some(3)
                {
                    return;
                }
            }
            panic!("the watch ended");
        };
        tokio::time::timeout(PATIENCE, finished).await.unwrap();
    }
}

#[tokio::test]
async fn kube_applies_asks_and_leases() {
    let world = World::start(Scenario::Good).await;
    let client = world.client().await;
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let wanted = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "backend-service"},
        "spec": {"selector": {"version": "green"}},
    });
    let refused =
        services.patch("backend-service", &PatchParams::apply("cutover"), &Patch::Apply(&wanted)).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("{refused:?}") };
    assert_eq!(status.code, 409);
    assert!(status.message.contains("kubectl-client-side-apply"), "{}", status.message);
    let forced = PatchParams::apply("cutover").force();
    let applied = services.patch("backend-service", &forced, &Patch::Apply(&wanted)).await.unwrap();
    assert_eq!(applied.spec.unwrap().selector.unwrap()["version"], "green");

    world.cluster.deny("patch", "deployments/scale");
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let ask = |subresource: &str| SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some("patch".into()),
                group: Some("apps".into()),
                resource: Some("deployments".into()),
                subresource: Some(subresource.into()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let post = PostParams::default();
    assert!(!reviews.create(&post, &ask("scale")).await.unwrap().status.unwrap().allowed);
    assert!(reviews.create(&post, &ask("")).await.unwrap().status.unwrap().allowed);

    let leases: Api<Lease> = Api::default_namespaced(client);
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "cutover-backend"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15},
    }))
    .unwrap();
    let made = leases.create(&post, &lease).await.unwrap();
    let mut renewed = made.clone();
    renewed.spec.as_mut().unwrap().lease_transitions = Some(1);
    leases.replace("cutover-backend", &post, &renewed).await.unwrap();
    let late = leases.replace("cutover-backend", &post, &made).await.unwrap_err();
    assert!(matches!(late, kube::Error::Api(status) if status.is_conflict()));
    leases.delete("cutover-backend", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_watch_tells_what_enters_changes_and_leaves() {
    let world = World::start(Scenario::Good).await;
    let list = world.get("/api/v1/namespaces/production/services").await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!(
        "/api/v1/namespaces/production/services?watch=true&labelSelector=app&resourceVersion={version}"
    );
    let mut watch = world.watch(&path).await;
    world.switch("green").await.unwrap();
    let event = next(&mut watch).await.unwrap();
    assert_eq!(kind_and_name(&event), ("MODIFIED", "backend-service"));
    assert_eq!(event["object"]["spec"]["selector"]["version"], "green");
    world.patch_service(json!({"metadata": {"labels": {"app": null}}})).await.unwrap();
    assert_eq!(kind_and_name(&next(&mut watch).await.unwrap()), ("DELETED", "backend-service"));
    world.patch_service(json!({"metadata": {"labels": {"app": "x"}}})).await.unwrap();
    assert_eq!(kind_and_name(&next(&mut watch).await.unwrap()), ("ADDED", "backend-service"));
    // The same from the beginning, for whoever comes late.
    let mut again = world.watch(&path).await;
    for wanted in ["MODIFIED", "DELETED", "ADDED"] {
        assert_eq!(next(&mut again).await.unwrap()["type"], wanted);
    }
    world.cluster.close_watches();
    assert_eq!(next(&mut watch).await, None);
    assert_eq!(next(&mut again).await, None);
}

#[tokio::test]
async fn a_watch_begins_with_what_there_is_and_marks_the_end_of_it() {
    let world = World::start(Scenario::Good).await;
    let mut watch = world.watch(&format!("{PODS}?watch=1&resourceVersion=0")).await;
    for _ in 0..6 {
        assert_eq!(next(&mut watch).await.unwrap()["type"], "ADDED");
    }
    let path = format!(
        "{PODS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    );
    let mut streamed = world.watch(&path).await;
    for _ in 0..6 {
        assert_eq!(next(&mut streamed).await.unwrap()["type"], "ADDED");
    }
    let mark = next(&mut streamed).await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    // Its time is up after a second; a bookmark comes before its end.
    assert_eq!(next(&mut streamed).await.unwrap()["type"], "BOOKMARK");
    assert_eq!(next(&mut streamed).await, None);
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_is_expired() {
    let world = World::start(Scenario::Good).await;
    let version = world.get(PODS).await["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    world.switch("green").await.unwrap();
    world.cluster.expire_history();
    let mut watch = world.watch(&format!("{PODS}?watch=true&resourceVersion={version}")).await;
    let event = next(&mut watch).await.unwrap();
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_i64()), (Some("ERROR"), Some(410)));
    assert_eq!(event["object"]["reason"], "Expired");
    assert_eq!(next(&mut watch).await, None);
    let pods: Api<Pod> = Api::default_namespaced(world.client().await);
    let mut typed = Box::pin(pods.watch(&WatchParams::default(), &version).await.unwrap());
    let event = typed.next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Error(status) if status.code == 410));
}

#[tokio::test]
async fn faults_happen_to_whom_they_fit_and_pass() {
    let world = World::start(Scenario::Good).await;
    let busy = Misbehaviour::Answer { code: 429, retry_after: Some(7), applied: false };
    world.cluster.inject(Fault::next("PATCH", "/services/", busy));
    let answer = world.switch("green").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(answer.json::<Value>().await.unwrap()["reason"], "TooManyRequests");
    assert_eq!(world.cluster.selector()["version"], "blue");

    let late = Misbehaviour::Answer { code: 504, retry_after: None, applied: true };
    world.cluster.inject(Fault::next("PATCH", "/services/", late));
    assert_eq!(world.switch("green").await.unwrap().status(), 504);
    assert_eq!(world.cluster.selector()["version"], "green", "it arrived all the same");

    world.cluster.inject(Fault::next("PATCH", "/services/", Misbehaviour::Reset { applied: false }));
    assert!(world.switch("blue").await.is_err());
    assert_eq!(world.cluster.selector()["version"], "green");
    world.cluster.inject(Fault::next("PATCH", "/services/", Misbehaviour::Reset { applied: true }));
    assert!(world.switch("blue").await.is_err());
    assert_eq!(world.cluster.selector()["version"], "blue");

    world.cluster.inject(Fault::next("GET", PODS, Misbehaviour::Hang { applied: false }).times(u32::MAX));
    let hanging = world.request(reqwest::Method::GET, PODS).timeout(Duration::from_millis(100)).send().await;
    assert!(hanging.unwrap_err().is_timeout());
    world.cluster.clear_faults();
    assert_eq!(world.get(PODS).await["kind"], "PodList");

    world.cluster.inject(Fault::next("GET", "watch=true", Misbehaviour::WatchGoesSilent));
    let mut watch = world.watch("/api/v1/namespaces/production/services?watch=true").await;
    assert_eq!(next(&mut watch).await.unwrap()["type"], "ADDED");
    world.switch("green").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), watch.next()).await.is_err());

    assert_eq!(world.cluster.count("PATCH", "/services/"), 5);
    let patched =
        world.cluster.requests().into_iter().filter(|request| request.0 == "PATCH" && request.1 == SERVICE);
    assert_eq!(patched.count(), 5);
}

#[tokio::test]
async fn a_foreign_edit_leaves_its_name() {
    let world = World::start(Scenario::Good).await;
    let before = world.get(SERVICE).await;
    let selector = BTreeMap::from([("version".to_owned(), "green".to_owned())]);
    assert!(world.cluster.foreign_edit("argocd-controller", &ForeignEdit::Selector(selector)));
    let after = world.get(SERVICE).await;
    assert_ne!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    let entry = after["metadata"]["managedFields"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(entry["manager"], "argocd-controller");
    assert_eq!(entry["fieldsV1"], json!({"f:spec": {"f:selector": {"f:version": {}}}}));
    assert_eq!(entry["time"], "2026-11-22T14:00:00Z");
    let edit = ForeignEdit::Replicas { deployment: "backend-blue".into(), replicas: 5 };
    assert!(world.cluster.foreign_edit("hpa", &edit));
    world.pass(30);
    assert_eq!(world.cluster.picture().backends[0].ready, 5);
    let nowhere = ForeignEdit::Replicas { deployment: "nope".into(), replicas: 1 };
    assert!(!world.cluster.foreign_edit("x", &nowhere));
}

#[tokio::test]
async fn logs_are_followed_until_the_pod_ends() {
    let world = World::start(Scenario::Good).await;
    let pods: Api<Pod> = Api::default_namespaced(world.client().await);
    let pod = world.cluster.pods("backend-blue").remove(0);
    let params = LogParams { tail_lines: Some(5), timestamps: true, ..LogParams::default() };
    let tail = pods.logs(&pod, &params).await.unwrap();
    assert_eq!(tail.lines().count(), 5);
    assert!(tail.lines().all(|line| line.starts_with("2026-11-22T13:59:")), "{tail}");
    let params = LogParams { follow: true, tail_lines: Some(1), ..LogParams::default() };
    let mut lines = pods.log_stream(&pod, &params).await.unwrap().lines();
    assert!(lines.next().await.unwrap().unwrap().contains("version=v1.5.0"));
    world.pass(5);
    let line = tokio::time::timeout(PATIENCE, lines.next()).await.unwrap().unwrap().unwrap();
    assert!(line.starts_with("2026-11-22T14:00:0"), "{line}");
    assert!(world.cluster.delete_pod(&pod));
    world.pass(10);
    let rest = tokio::time::timeout(PATIENCE, lines.count()).await.unwrap();
    assert!(rest < 20, "the stream ends with the pod");
    let params = LogParams { container: Some("sidecar".into()), ..LogParams::default() };
    let wrong = pods.logs(&world.cluster.pods("backend-blue")[0], &params).await;
    let Err(kube::Error::Api(status)) = wrong else { panic!("there is no such container") };
    assert_eq!(status.code, 400);
}

#[tokio::test]
async fn a_crash_shows_in_status_and_the_previous_log() {
    let world = World::start(Scenario::Good).await;
    let pods: Api<Pod> = Api::default_namespaced(world.client().await);
    let pod = world.cluster.pods("backend-blue").remove(0);
    assert!(world.cluster.crash_pod(&pod));
    world.pass(15);
    assert!(world.cluster.crash_pod(&pod));
    world.pass(2);
    let status = pods.get(&pod).await.unwrap().status.unwrap().container_statuses.unwrap().remove(0);
    assert_eq!(status.restart_count, 1);
    assert_eq!(status.state.unwrap().waiting.unwrap().reason.unwrap(), "CrashLoopBackOff");
    assert_eq!(status.last_state.unwrap().terminated.unwrap().exit_code, 1);
    assert_eq!(world.cluster.picture().backends[0].ready, 2);
    let previous = LogParams { previous: true, ..LogParams::default() };
    assert!(pods.logs(&pod, &previous).await.unwrap().trim_end().ends_with("exiting with code 1"));
    world.pass(60);
    assert_eq!(world.cluster.picture().backends[0].ready, 3);
}

#[tokio::test]
async fn frozen_controllers_leave_the_status_behind() {
    let world = World::start(Scenario::Good).await;
    world.cluster.freeze(true);
    let edit = ForeignEdit::Image { deployment: "backend-green".into(), image: NEW.into() };
    assert!(world.cluster.foreign_edit("someone", &edit));
    world.pass(300);
    let generations = || {
        let object = world.cluster.object("deployments", "backend-green").unwrap();
        (object["metadata"]["generation"].as_i64(), object["status"]["observedGeneration"].as_i64())
    };
    assert_eq!(generations(), (Some(6), Some(5)));
    world.cluster.freeze(false);
    world.pass(1);
    assert_eq!(generations(), (Some(6), Some(6)));
}

#[tokio::test]
async fn an_autoscaler_is_found_where_one_was_added() {
    let world = World::start(Scenario::Good).await;
    let path = "/apis/autoscaling/v2/namespaces/production/horizontalpodautoscalers";
    assert_eq!(world.get(path).await["items"], json!([]));
    world.cluster.add_autoscaler("backend-green", 3, 9);
    let found = world.get(path).await;
    assert_eq!(found["items"][0]["spec"]["scaleTargetRef"]["name"], "backend-green");
}

#[tokio::test]
async fn dropping_the_cluster_ends_watches_and_closes_the_port() {
    let world = World::start(Scenario::Good).await;
    let mut watch = world.watch(&format!("{PODS}?watch=true&resourceVersion=0")).await;
    for _ in 0..6 {
        next(&mut watch).await.unwrap();
    }
    let (url, http) = (world.cluster.url(), world.http.clone());
    drop(world);
    assert_eq!(next(&mut watch).await, None);
    let refused = async {
        while http.get(format!("{url}/version")).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
}
