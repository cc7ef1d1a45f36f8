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

#[path = "real/app.rs"]
mod app;
#[path = "support/ground.rs"]
mod ground;
#[path = "real/plane.rs"]
mod plane;
#[path = "support/pty.rs"]
mod pty;

#[path = "contract/deployments.rs"]
mod deployments;
#[path = "contract/leases.rs"]
mod leases;
#[path = "contract/prometheus.rs"]
mod prometheus;
#[path = "contract/reads.rs"]
mod reads;
#[path = "contract/revisions.rs"]
mod revisions;
#[path = "contract/routes.rs"]
mod routes;
#[path = "contract/services.rs"]
mod services;
#[path = "contract/side.rs"]
mod side;
#[path = "contract/watches.rs"]
mod watches;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use cutover::world::{
    scenario::Scenario,
    stage::{Directing, Furniture},
};
use ground::WORLD;
use prometheus::Metrics;
use serde_json::Value;
use side::{Side, count, observed};

/// The release that the simulated one is held to.
const SIMULATED: &str = "kubernetes-1.20";
/// … with the Gateway API's custom resources in it, v1.6.1.
const WITH_ROUTES: &str = "gateway-api-1.6-on-kubernetes-1.20";
/// … and the simulated Prometheus.
const PROMETHEUS: &str = "prometheus-2.42";

async fn play(side: &mut Side) {
    for slot in ["blue", "green"] {
        let up = |object: &Value| observed(object) && count(object, "availableReplicas") == 2;
        side.until(&format!("deployments/backend-{slot}"), "pods", up).await;
    }
    reads::reads(side).await;
    reads::refusals(side).await;
    services::patches_of_the_service(side).await;
    deployments::patches_of_a_deployment(side).await;
    leases::leases_and_maps(side).await;
    services::endings(side).await;
    deployments::rollouts_that_cannot_succeed(side).await;
    deployments::deadline(side).await;
    deployments::min_ready_seconds(side).await;
    deployments::events(side).await;
    deployments::similar_events(side).await;
    services::endpoint_slices(side).await;
    watches::watches(side).await;
    revisions::revisions(side).await;
    revisions::pauses(side).await;
    revisions::strategies(side).await;
}

fn transcript(server: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/contract/{server}.txt"))
}

fn written(server: &str) -> String {
    let path = transcript(server);
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
    // What was before its start a server does not know: a watch from there is too old.
    {
        let _alone = plane::IN_THE_AIR.write().unwrap_or_else(PoisonError::into_inner);
        plane::PLANE.kill();
        plane::PLANE.revive();
    }
    let namespace = format!("contract-{}", std::process::id());
    plane::PLANE.apply(&plane::furniture(&namespace, [2, 2]));
    let kubeconfig = std::fs::read_to_string(&plane::PLANE.kubeconfig).unwrap();
    let told = WORLD.block_on(async {
        let mut side = Side::new(&kubeconfig, &namespace, None).await;
        play(&mut side).await;
        side.told
    });
    let _ = plane::PLANE.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    hold(&format!("kubernetes-{}", plane::PLANE.release()), &told);
}

/// Holds a real server to what it has said before; writes it down anew where that is asked for.
fn hold(server: &str, told: &str) {
    if std::env::var_os("WRITE_CONTRACT").is_some() {
        std::fs::write(transcript(server), told).unwrap();
    }
    assert_same(told, &written(server));
}

#[test]
fn the_simulated_api_server_keeps_routes_as_the_real_one_did() {
    let told = WORLD.block_on(async {
        let directing = Directing::Route { name: "backend".into(), rule: 0 };
        let furniture = Furniture { directing, ..ground::furniture(1) };
        let cluster = ground::world_of(furniture).await;
        let mut side = Side::new(&cluster.kubeconfig(), "production", Some(Arc::clone(&cluster))).await;
        routes::routes(&mut side).await;
        side.told
    });
    assert_same(&told, &written(WITH_ROUTES));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_real_api_server_keeps_routes_as_it_did() {
    let _shared = plane::IN_THE_AIR.read().unwrap_or_else(PoisonError::into_inner);
    let namespace = format!("routes-{}", std::process::id());
    // The definitions are there from an earlier run, or they are made now.
    let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/gateway-api.yaml");
    let _ = plane::PLANE.kubectl(&["create", "--filename", &definitions.display().to_string()]);
    let established = ["httproutes.gateway.networking.k8s.io", "--for=condition=Established"];
    let waited = plane::PLANE.kubectl(&["wait", "crd", established[0], established[1], "--timeout=20s"]);
    assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
    let made = plane::PLANE.kubectl(&["create", "namespace", &namespace]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let kubeconfig = std::fs::read_to_string(&plane::PLANE.kubeconfig).unwrap();
    let told = WORLD.block_on(async {
        let mut side = Side::new(&kubeconfig, &namespace, None).await;
        // A new resource is served a moment after it is established.
        side.until("httproutes", "served", |list| list["kind"] == "HTTPRouteList").await;
        routes::routes(&mut side).await;
        side.told
    });
    let _ = plane::PLANE.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    hold(&format!("gateway-api-1.6-on-kubernetes-{}", plane::PLANE.release()), &told);
}

#[test]
fn the_simulated_prometheus_answers_as_the_real_one_did() {
    let mut metrics = Metrics::simulated();
    prometheus::play(&mut metrics);
    assert_same(&metrics.told, &written(PROMETHEUS));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_real_prometheus_answers_as_it_did() {
    let mut metrics = Metrics::real();
    prometheus::play(&mut metrics);
    hold(&metrics.server(), &metrics.told);
}
