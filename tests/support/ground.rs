//! A simulated cluster that outlives engines: it runs in the test itself.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    path::PathBuf,
    process::Command,
    sync::{Arc, LazyLock},
};

use cutover::world::{cluster::Cluster, scenario::Scenario, stage::Furniture};
use serde_json::Value;

#[path = "kube.rs"]
mod kube;

pub(crate) use kube::furniture;

use super::pty::Stage;

/// The clusters of all tests in this process.
pub(crate) static WORLD: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// Rollouts take seconds in life, and a fraction of one here.
const SPEED: u32 = 60;

/// A cluster with two pods in each slot, and nobody's product before it.
pub(crate) async fn world_of_two(scenario: Scenario) -> Arc<Cluster> {
    kube::world(furniture(2), scenario, SPEED).await
}

/// A cluster furnished like this.
pub(crate) async fn world_of(furniture: Furniture) -> Arc<Cluster> {
    kube::world(furniture, Scenario::Good, SPEED).await
}

/// One cluster with blue live on two pods and green beside it, a runbook, and the file that its commands write to.
pub(crate) struct Ground {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) stage: Arc<Stage>,
}

impl Ground {
    pub(crate) fn new(runbook: &str) -> Self {
        Self::in_scenario(runbook, Scenario::Good)
    }

    pub(crate) fn in_scenario(runbook: &str, scenario: Scenario) -> Self {
        Self::of_context(runbook, scenario, "prod-eu-1")
    }

    pub(crate) fn of_context(runbook: &str, scenario: Scenario, context: &str) -> Self {
        Self::furnished(runbook, scenario, Furniture { context: context.into(), ..furniture(2) })
    }

    /// With so many pods in each slot.
    pub(crate) fn with_replicas(runbook: &str, replicas: u32) -> Self {
        Self::furnished(runbook, Scenario::Good, furniture(replicas))
    }

    fn furnished(runbook: &str, scenario: Scenario, furniture: Furniture) -> Self {
        let cluster = WORLD.block_on(kube::world(furniture, scenario, SPEED));
        let stage = Stage::new();
        std::fs::write(stage.path().join("kubeconfig"), cluster.kubeconfig()).unwrap();
        std::fs::write(stage.path().join("runbook.toml"), runbook).unwrap();
        Self { cluster, stage }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.stage.path().join("log")
    }

    /// What the commands have written so far.
    pub(crate) fn logged(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECONFIG", self.stage.path().join("kubeconfig")).env("LOG", self.log())
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.stage.command(args);
        self.equip(&mut command);
        command
    }

    /// The changes that were asked of the target's objects, oldest first: each one's object and what it sets. What only
    /// marks an object with a lock's fence changes nothing, and is not among them.
    pub(crate) fn changes(&self) -> Vec<String> {
        let patches = self.cluster.recorded().into_iter().filter(|request| request.method == "PATCH");
        patches
            .filter_map(|request| {
                let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
                let object = request.path.rsplit('/').take(2).collect::<Vec<_>>().join(" ");
                body.get("spec").map(|spec| format!("{object}: {spec}"))
            })
            .collect()
    }
}
