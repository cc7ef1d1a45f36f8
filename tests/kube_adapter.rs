//! The Kubernetes adapter against the simulated API server, over real HTTP, with its misbehaviours.
//!
//! K1 to K5 are properties of the cluster port; each test reaches its figure.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{sync::Arc, time::Duration};

use cutover::{
    adapters::kube::{Fence, KubeConnector, Timing},
    domain::{
        id::SlotName,
        time::Span,
        workload::{RolloutState, Workload},
    },
    engine::ports::{Cluster, PortResult},
    world::{
        cluster::{self, Misbehaviour},
        scenario::Scenario,
    },
};
use tokio::sync::mpsc;

#[path = "support/kube.rs"]
mod kube;

#[path = "kube_adapter/calls.rs"]
mod calls;
#[path = "kube_adapter/faults.rs"]
mod faults;
#[path = "kube_adapter/rollouts.rs"]
mod rollouts;
#[path = "kube_adapter/routes.rs"]
mod routes;
#[path = "kube_adapter/watches.rs"]
mod watches;
#[path = "kube_adapter/writes.rs"]
mod writes;

use kube::{WallClock, target};

const SERVICE: &str = "/services/backend-service";
const NEW: &str = "registry.example.com/payment-system-backend:v1.6.0";
const ALWAYS: u32 = u32::MAX;

type Kube = Arc<dyn Cluster>;
type Json = serde_json::Value;

fn slot(name: &str) -> SlotName {
    name.into()
}

/// A simulated cluster at 60 times the speed, and a connection to it.
struct Stand {
    world: Arc<cluster::Cluster>,
    kube: Arc<dyn Cluster>,
}

/// Deadlines that no busy host reaches, and watches that begin anew often. The heartbeat is off, so that what is seen
/// came by the watches.
fn timing() -> Timing {
    Timing {
        look: Duration::from_secs(10),
        watch: Duration::from_secs(1),
        silence: Duration::from_millis(1300),
        heartbeat: Span::from_mins(60),
        picture: Duration::from_millis(10),
        backoff: Duration::from_millis(200),
        ..Timing::default()
    }
}

impl Stand {
    async fn new(scenario: Scenario) -> Self {
        Self::with(scenario, timing(), None).await
    }

    async fn with(scenario: Scenario, timing: Timing, fence: Option<Fence>) -> Self {
        let world = kube::world(kube::furniture(3), scenario, 60).await;
        let kube = connect(&world.kubeconfig(), timing, fence).await.unwrap();
        Self { world, kube }
    }

    fn fault(&self, method: &str, path: &str, times: u32, misbehaviour: Misbehaviour) {
        self.world.inject(cluster::Fault::next(method, path, misbehaviour).times(times));
    }

    /// The version label that the Service selects.
    fn selected(&self) -> String {
        self.world.selector().get("version").cloned().unwrap_or_default()
    }

    fn patches(&self) -> usize {
        self.world.count("PATCH", "/")
    }
}

async fn connect(kubeconfig: &str, timing: Timing, fence: Option<Fence>) -> PortResult<Arc<dyn Cluster>> {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut connector =
        KubeConnector::from_kubeconfig_text(kubeconfig, Arc::new(WallClock)).with_timing(timing);
    if let Some(fence) = fence {
        connector = connector.with_fence(fence);
    }
    Ok(connector.open(&target()).await?)
}

/// A connection for another target.
async fn connect_to(
    kubeconfig: &str,
    timing: Timing,
    target: cutover::domain::runbook::Target,
) -> PortResult<Arc<dyn Cluster>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connector = KubeConnector::from_kubeconfig_text(kubeconfig, Arc::new(WallClock)).with_timing(timing);
    Ok(connector.open(&target).await?)
}

fn answer(code: u16, applied: bool) -> Misbehaviour {
    Misbehaviour::Answer { code, retry_after: None, applied }
}

/// The newest pictures until one is as wanted; panics after ten seconds with what was seen last.
async fn until(
    pictures: &mut mpsc::Receiver<Workload>,
    what: &str,
    wanted: impl Fn(&Workload) -> bool,
) -> Workload {
    let mut last = None;
    let found = async {
        while let Some(picture) = pictures.recv().await {
            if wanted(&picture) {
                return picture;
            }
            last = Some(picture);
        }
        panic!("the watch has ended");
    };
    let Ok(picture) = tokio::time::timeout(Duration::from_secs(10), found).await else {
        panic!("never {what}: {last:#?}");
    };
    picture
}

async fn until_complete(kube: &Arc<dyn Cluster>, name: &str) -> Vec<RolloutState> {
    let mut seen: Vec<RolloutState> = Vec::new();
    for _ in 0..500 {
        let state = kube.rollout(&slot(name)).await.unwrap().state();
        if seen.last() != Some(&state) {
            seen.push(state.clone());
        }
        if state == RolloutState::Complete {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the rollout never completes: {seen:?}");
}
