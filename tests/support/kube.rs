//! The target of the adapters' tests, as the runbook has it and as the simulated cluster has it.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use cutover::{
    domain::{
        director::Director,
        runbook::{Slot, Target},
        time::{Span, Timestamp},
    },
    engine::ports::Clock,
    world::{
        clock::WorldClock,
        cluster::Cluster,
        scenario::Scenario,
        stage::{Directing, FurnishedSlot, Furniture, Strategy},
    },
};

/// The host's clock.
pub(crate) struct WallClock;

impl WallClock {
    pub(crate) fn read() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    }
}

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Self::read()
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.to_std()).await;
    }
}

pub(crate) fn labels(version: &str) -> BTreeMap<String, String> {
    [("version".to_owned(), version.to_owned())].into()
}

pub(crate) fn target() -> Target {
    let slot = |name: &str| {
        (name.into(), Slot { deployment: format!("backend-{name}"), selector: labels(name), service: None })
    };
    Target {
        context: Some("prod-eu-1".to_owned()),
        cluster_uid: None,
        namespace: "production".to_owned(),
        service: "backend-service".to_owned(),
        slots: [slot("blue"), slot("green")].into(),
        container: "backend".to_owned(),
        director: Director::default(),
    }
}

/// Blue live and green beside it, with so many pods each.
pub(crate) fn furniture(replicas: u32) -> Furniture {
    let furnished = |name: &str| {
        let deployment = format!("backend-{name}");
        (name.to_owned(), FurnishedSlot::new(deployment, labels(name)))
    };
    Furniture {
        namespace: "production".into(),
        service: "backend-service".into(),
        slots: [furnished("blue"), furnished("green")].into(),
        live: "blue".into(),
        container: "backend".into(),
        image: "registry.example.com/payment-system-backend:v1.5.0".into(),
        replicas,
        context: "prod-eu-1".into(),
        window_ms: 900_000,
        directing: Directing::Selector,
        strategy: Strategy::default(),
    }
}

/// A simulated cluster whose time runs so many times as fast.
pub(crate) async fn world(furniture: Furniture, scenario: Scenario, speed: u32) -> Arc<Cluster> {
    let began = Instant::now();
    let now =
        move || 1_795_356_000_000 + i64::try_from(began.elapsed().as_millis() * u128::from(speed)).unwrap();
    Cluster::start(furniture, scenario, WorldClock::new(Arc::new(now), f64::from(speed))).await.unwrap()
}
