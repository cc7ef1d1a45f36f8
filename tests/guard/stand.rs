//! The stand: a cluster, a proxy before it, and what must hold at the end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cutover::world::cluster::ForeignEdit;

use super::{
    ground::{Ground, WORLD},
    helm::Helm,
    proxy::{Proxy, Trouble},
    pty::PATIENCE,
};

pub(crate) const RUNBOOK: &str = include_str!("../support/guard.toml");
pub(crate) const BLUE: &str = "backend-blue";
pub(crate) const GREEN: &str = "backend-green";
pub(crate) const OLD_IMAGE: &str = "registry.example.com/payment-system-backend:v1.5.0";

/// A ground whose product reaches its cluster through a proxy.
pub(crate) struct Stand {
    pub(crate) ground: Ground,
    pub(crate) proxy: Proxy,
}

impl Stand {
    pub(crate) fn new() -> Self {
        Self::with(RUNBOOK)
    }

    pub(crate) fn with(runbook: &str) -> Self {
        Self::of(Ground::new(runbook))
    }

    pub(crate) fn of(ground: Ground) -> Self {
        let proxy = WORLD.block_on(Proxy::before_plain(&ground.cluster.url()));
        let kubeconfig = ground.cluster.kubeconfig().replace(&ground.cluster.url(), &proxy.url());
        std::fs::write(ground.stage.path().join("kubeconfig"), kubeconfig).unwrap();
        Self { ground, proxy }
    }

    /// A run in which the previous slot has just been scaled down.
    pub(crate) fn retired(&self) -> Helm {
        let mut helm = Helm::open(&self.ground);
        helm.fly_until("retire", |helm| helm.passed("retire"));
        helm
    }

    /// A run in which the new slot has the traffic.
    pub(crate) fn switched(&self) -> Helm {
        let mut helm = Helm::open(&self.ground);
        helm.fly_until("switch", |helm| helm.passed("switch"));
        helm
    }

    /// Watches, and the lists that they begin with, are so much behind; reads of single objects are not.
    pub(crate) fn lag(&self, span: Duration) {
        self.proxy.rule("GET", &["watch=true"], u32::MAX, Trouble::Lag(span));
        self.proxy.rule("GET", &["fieldSelector="], u32::MAX, Trouble::LateAnswer(span));
    }

    /// Which slot the Service points at.
    pub(crate) fn live(&self) -> String {
        self.ground.cluster.selector().get("version").cloned().unwrap_or_default()
    }

    /// Pods of a Deployment that users reach.
    pub(crate) fn serving(&self, deployment: &str) -> usize {
        let endpoints = self.ground.cluster.endpoints();
        endpoints.iter().filter(|pod| pod.starts_with(&format!("{deployment}-"))).count()
    }

    pub(crate) fn replicas(&self, deployment: &str) -> Option<u32> {
        self.ground.cluster.replicas(deployment)
    }

    pub(crate) fn image(&self, deployment: &str) -> String {
        let object = self.ground.cluster.object("deployments", deployment).unwrap();
        object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }

    /// Somebody else changes something.
    pub(crate) fn stranger(&self, edit: &ForeignEdit) {
        assert!(self.ground.cluster.foreign_edit("kubectl-patch", edit));
    }

    pub(crate) fn stranger_points_at(&self, slot: &str) {
        self.stranger(&selector(&[("version", slot)]));
    }

    /// The promise of every rollback: the users are on blue, on so many of its pods, and stay there.
    pub(crate) fn assert_back(&self, helm: &Helm, pods: usize) {
        let until = Instant::now() + Duration::from_secs(5);
        let is = || self.live() == "blue" && self.serving(BLUE) >= pods;
        while !is() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(is(), "{}\n{}", self.told(), helm.story());
    }

    pub(crate) fn told(&self) -> String {
        let cluster = &self.ground.cluster;
        let slot =
            |name| format!("{name}: wants {:?}, {} ready", cluster.replicas(name), cluster.ready_pods(name));
        format!(
            "selector {:?}, endpoints {:?}, {}, {}",
            cluster.selector(),
            cluster.endpoints(),
            slot(BLUE),
            slot(GREEN)
        )
    }
}

pub(crate) fn selector(labels: &[(&str, &str)]) -> ForeignEdit {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ForeignEdit::Selector(labels.collect::<BTreeMap<_, _>>())
}

/// Waits until this is so.
pub(crate) fn eventually(what: &str, is: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a story's rollback has kept its promise.
pub(crate) fn within(story: &str) -> bool {
    !story.contains("promised") && !story.contains("rollback_late")
}
