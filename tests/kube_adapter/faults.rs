//! K4: an old status is not done. K5: every call has a deadline. And what faults say.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    adapters::kube::{KubeConnector, Timing},
    domain::action::PatchType,
    domain::id::SlotName,
    domain::workload::RolloutState,
    engine::ports::{Fault, PortError},
    world::cluster::Misbehaviour,
    world::scenario::Scenario,
};
use serde_json::json;

use super::{
    ALWAYS, Json, Kube, NEW, Stand, WallClock, answer, calls::asked, connect, slot, target, timing,
    until_complete,
};

#[tokio::test]
async fn k4_a_status_of_the_spec_before_is_not_done() {
    let stand = Stand::new(Scenario::Good).await;
    assert_eq!(stand.kube.rollout(&slot("green")).await.unwrap().state(), RolloutState::Complete);
    stand.world.freeze(true);
    stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    for _ in 0..20 {
        assert_eq!(stand.kube.rollout(&slot("green")).await.unwrap().state(), RolloutState::Unobserved);
    }
    assert_eq!(stand.kube.look().await.unwrap().slots["green"].rollout, RolloutState::Unobserved);
    stand.world.freeze(false);
    until_complete(&stand.kube, "green").await;
}

// --- K5: every call has a deadline -------------------------------------------------------------------------------

#[tokio::test]
async fn k5_a_hanging_server_never_holds_a_call() {
    let deadline = Duration::from_millis(500);
    let timing = Timing { read: deadline, write: deadline, look: Timing::default().look, ..timing() };
    let stand = Stand::with(Scenario::Good, timing.clone(), None).await;
    stand.kube.look().await.unwrap();
    stand.fault("GET", "/", ALWAYS, Misbehaviour::Hang { applied: false });
    stand.fault("POST", "/", ALWAYS, Misbehaviour::Hang { applied: false });
    stand.fault("PATCH", "/", ALWAYS, Misbehaviour::Hang { applied: false });
    let (kube, green) = (&stand.kube, slot("green"));
    let nothing = json!({});
    let timed = |what: &'static str, call: futures::future::BoxFuture<'static, Result<(), PortError>>| async move {
        let began = Instant::now();
        let fault = call.await.unwrap_err();
        let took = began.elapsed();
        assert!(took <= deadline + Duration::from_secs(1), "{what} took {took:?}");
        (what, fault)
    };
    macro_rules! calls {
        ($($what:literal => $call:expr;)*) => {{
            let mut all: Vec<futures::future::BoxFuture<'static, (&'static str, PortError)>> = Vec::new();
            $({
                let (kube, green, nothing) = (Arc::clone(kube), green.clone(), nothing.clone());
                let call: fn(_, _, _) -> futures::future::BoxFuture<'static, Result<(), PortError>> = $call;
                all.push(Box::pin(timed($what, call(kube, green, nothing))));
            })*
            futures::future::join_all(all).await
        }};
    }
    let faults = calls! {
        "look" => |kube: Kube, _: SlotName, _: Json| Box::pin(async move { kube.look().await.map(drop) });
        "access" => |kube: Kube, _: SlotName, _: Json| Box::pin(async move { kube.access(&asked(&kube)).await.map(drop) });
        "rollout" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.rollout(&green).await.map(drop) });
        "set_image" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.set_image(&green, "backend", NEW, None).await.map(drop) });
        "switch" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.switch_traffic(&green, None).await.map(drop) });
        "scale" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.scale(&green, 1, None).await.map(drop) });
        "restart" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.restart(&green, None).await.map(drop) });
        "patch" => |kube: Kube, _: SlotName, patch: Json| Box::pin(async move { kube.patch("service", "x", PatchType::Merge, &patch, None).await.map(drop) });
        "logs" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.logs(&green, None, 5, None).await.map(drop) });
        "headroom" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.headroom(&green, 1).await.map(drop) });
    };
    assert_eq!(faults.len(), 10);
    for (what, fault) in faults {
        let kind = if matches!(what, "switch" | "patch") { Fault::Unknown } else { Fault::Unavailable };
        assert_eq!(fault.kind, kind, "{what}: {fault}");
    }
    let began = Instant::now();
    connect(&stand.world.kubeconfig(), timing, None).await.map(drop).unwrap_err();
    assert!(began.elapsed() <= deadline + Duration::from_secs(1));
}

// --- sentences ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_unknown_container_is_told_before_anything_is_written() {
    let stand = Stand::new(Scenario::Good).await;
    let fault = stand.kube.set_image(&slot("green"), "frontend", NEW, None).await.unwrap_err();
    assert_eq!(fault.message, "deployment/backend-green has no container `frontend`; it has `backend`");
    assert_eq!(stand.patches(), 0);
}

#[tokio::test]
async fn an_autoscaler_keeps_its_replicas() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.add_autoscaler("backend-green", 2, 8);
    let fault = stand.kube.scale(&slot("green"), 5, None).await.unwrap_err();
    assert!(fault.message.starts_with("horizontalpodautoscaler/backend-green owns the replicas"), "{fault}");
    assert_eq!(stand.patches(), 0);
    // It rests while there are none, so scaling to nothing and back is ours.
    stand.kube.scale(&slot("green"), 0, None).await.unwrap();
    stand.kube.scale(&slot("green"), 3, None).await.unwrap();
    stand.world.deny("list", "horizontalpodautoscalers");
    stand.kube.scale(&slot("green"), 4, None).await.unwrap();
}

#[tokio::test]
async fn faults_say_what_happened_and_what_to_do() {
    let stand = Stand::new(Scenario::Good).await;
    stand.kube.look().await.unwrap();
    stand.world.deny("patch", "services");
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Denied);
    assert!(
        fault.message.contains("ask for the verb `patch` on `services` in namespace production"),
        "{fault}"
    );

    stand.fault("GET", "/deployments/", ALWAYS, answer(401, false));
    let fault = stand.kube.rollout(&slot("green")).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Unavailable, "it may pass: somebody logs in again");
    assert!(fault.message.contains("user `operator`") && fault.message.contains("log in again"), "{fault}");
    stand.world.clear_faults();

    let fault =
        stand.kube.patch("configmap", "missing", PatchType::Merge, &json!({}), None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::NotFound);
    let fault = stand.kube.patch("gizmo", "x", PatchType::Merge, &json!({}), None).await.unwrap_err();
    assert!(fault.message.contains("write `kind.group/version`"), "{fault}");
    let fault = stand.kube.patch("service", "../x", PatchType::Merge, &json!({}), None).await.unwrap_err();
    assert!(fault.message.contains("not a valid name of a Kubernetes object"), "{fault}");
    let fault = stand.kube.patch("service", "x", PatchType::Json, &json!({}), None).await.unwrap_err();
    assert!(fault.message.contains("list of operations"), "{fault}");
    let fault = stand.kube.rollout(&slot("red")).await.unwrap_err();
    assert_eq!(fault.message, "the target has no slot `red`; it has blue, green");

    stand.fault("GET", "/deployments/", ALWAYS, Misbehaviour::LoginPage);
    let fault = stand.kube.rollout(&slot("green")).await.unwrap_err();
    assert!(fault.message.contains("is not from an API server"), "{fault}");
}

#[tokio::test]
async fn a_refused_connection_names_the_server() {
    let config = "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], \
                  users: [], contexts: [{name: prod-eu-1, context: {cluster: c}}]}";
    let fault = connect(config, timing(), None).await.map(drop).unwrap_err();
    assert!(fault.message.contains("http://127.0.0.1:1 cannot be reached"), "{fault}");
    let mut elsewhere = target();
    elsewhere.context = Some("other".to_owned());
    let connector = KubeConnector::from_kubeconfig_text(config, Arc::new(WallClock));
    let fault = connector.open(&elsewhere).await.map(drop).unwrap_err();
    assert!(
        fault.message.contains("has no context `other`; it has `prod-eu-1`; correct `target.context`"),
        "{}",
        fault.message
    );
}

#[tokio::test]
async fn credentials_are_renewed_where_reads_are_refused() {
    let stand = Stand::new(Scenario::Good).await;
    let calls = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "echo x >> {}; echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"rehearsal\"}}}}'",
        calls.path().display()
    );
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{ "name": "c", "cluster": { "server": stand.world.url() } }],
        "users": [{ "name": "u", "user": { "exec": { "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script] } } }],
        "contexts": [{ "name": "prod-eu-1", "context": { "cluster": "c", "user": "u" } }],
    });
    let kube = connect(&config.to_string(), timing(), None).await.unwrap();
    let runs = || std::fs::read_to_string(calls.path()).unwrap().lines().count();
    let before = runs();
    stand.fault("GET", "/deployments/", 1, answer(401, false));
    kube.rollout(&slot("green")).await.unwrap();
    assert!(runs() > before, "the plugin was not asked again");
}
