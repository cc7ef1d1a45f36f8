//! What the simulated traffic needs to know about the simulated cluster, and how both are set up.

use std::collections::BTreeMap;

/// Pods that run one template: one `Deployment`'s revision, and its share of the traffic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backend {
    /// The slot's name in the runbook, say `blue`.
    pub slot: String,
    /// The pods' `pod-template-hash`; empty where nobody knows it.
    pub hash: String,
    /// The image that these pods run.
    pub image: String,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are wanted.
    pub desired: u32,
    /// The share of the users' requests that is sent here, 0 to 1, whether or not a pod is ready.
    pub share: f64,
    /// Simulated milliseconds since the epoch from which on the traffic has come here, where it began in this world: with
    /// [`Directing::Selector`] the last time, else the first.
    pub since: Option<i64>,
}

impl Backend {
    /// Whether users' requests are sent here.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.share > 0.0
    }
}

/// Who gets the users' requests at one moment. What goes to none of these finds nobody.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picture {
    /// The slots' pods: with [`Directing::Selector`] one entry a slot, for the template that most ready pods run; else one
    /// for each template that has ready pods, and one for a slot that has none.
    pub backends: Vec<Backend>,
    /// The share that a route sends to backends of others, which answer it.
    pub elsewhere: f64,
    /// The share that a gateway itself answers with 500: there is no such backend, or no weight at all.
    pub refused: f64,
}

impl Picture {
    /// The pods of a slot: of those that run different templates the ones that most are ready of, the first at a tie.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<&Backend> {
        let own = self.backends.iter().filter(|backend| backend.slot == name);
        own.reduce(|most, other| if other.ready > most.ready { other } else { most })
    }

    /// The share of the users' requests that somebody is ready to answer.
    #[must_use]
    pub fn answered(&self) -> f64 {
        let ready = self.backends.iter().filter(|backend| backend.ready > 0);
        self.elsewhere + ready.map(|backend| backend.share).sum::<f64>()
    }
}

impl From<Vec<Backend>> for Picture {
    fn from(backends: Vec<Backend>) -> Self {
        Self { backends, elsewhere: 0.0, refused: 0.0 }
    }
}

/// A view of the cluster for the traffic simulation and the application.
pub trait Stage: Send + Sync {
    /// Who gets the users' requests now.
    fn picture(&self) -> Picture;

    /// What happened since `since` (simulated milliseconds): each picture with the time from which on it was true. The first
    /// one was true at `since`, the last one is true now.
    fn pictures(&self, since: i64) -> Vec<(i64, Picture)> {
        vec![(since, self.picture())]
    }
}

/// What decides which pods get the users' requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Directing {
    /// The Service's selector: all or nothing. Connections take two seconds to move.
    #[default]
    Selector,
    /// The weights of a Gateway API `HTTPRoute` over the slots' own Services. In the beginning the live slot has weight 100
    /// and the others 0.
    Route {
        /// The route's name.
        name: String,
        /// The index of the rule that the users' requests match.
        rule: usize,
    },
    /// One Service selects the pods of all slots' Deployments: each slot's share is that of its ready pods. In the beginning
    /// only the live slot has pods.
    Replicas,
    /// One Deployment and one Service, and a single slot: each revision's share is that of its ready pods.
    Rollout,
}

/// How the Deployments replace their pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Some at a time.
    RollingUpdate {
        /// Pods over the wanted number: a number, or a percentage such as `25%`.
        max_surge: String,
        /// Pods under the wanted number: a number, or a percentage such as `25%`.
        max_unavailable: String,
    },
    /// All old ones end before a new one starts.
    Recreate,
}

impl Default for Strategy {
    fn default() -> Self {
        Self::RollingUpdate { max_surge: "25%".to_owned(), max_unavailable: "25%".to_owned() }
    }
}

/// How the world is set up: names come from the runbook that runs in it.
#[derive(Debug, Clone)]
pub struct Furniture {
    /// The namespace of everything below.
    pub namespace: String,
    /// The Service that routes production traffic.
    pub service: String,
    /// Slots by name; one with [`Directing::Rollout`].
    pub slots: BTreeMap<String, FurnishedSlot>,
    /// The slot that is live when the world begins.
    pub live: String,
    /// The container's name in the pods of all Deployments.
    pub container: String,
    /// The image all slots run when the world begins, say `registry.example.com/payment-system-backend:v1.5.0`.
    pub image: String,
    /// The replicas that a Deployment has when the world begins, where its slot does not say.
    pub replicas: u32,
    /// The kubeconfig context's name.
    pub context: String,
    /// How long the run's monitoring window lasts, simulated: the late scenarios need to know.
    pub window_ms: i64,
    /// What decides which pods get the traffic.
    pub directing: Directing,
    /// How the Deployments replace their pods.
    pub strategy: Strategy,
}

/// One slot's objects.
#[derive(Debug, Clone)]
pub struct FurnishedSlot {
    /// The Deployment's name.
    pub deployment: String,
    /// The labels that the Service selects when it points at this slot; the pods carry them.
    pub selector: BTreeMap<String, String>,
    /// The slot's own Service, which a route leads to; by default it is called like the Deployment.
    pub service: Option<String>,
    /// The replicas when the world begins: by default as many as the furniture says, and none for a slot that is not live
    /// with [`Directing::Replicas`].
    pub replicas: Option<u32>,
}

impl FurnishedSlot {
    /// A slot with all that goes without saying.
    #[must_use]
    pub fn new(deployment: impl Into<String>, selector: BTreeMap<String, String>) -> Self {
        Self { deployment: deployment.into(), selector, service: None, replicas: None }
    }

    /// The name of the Service that a route leads to for this slot.
    #[must_use]
    pub fn own_service(&self) -> &str {
        self.service.as_deref().unwrap_or(&self.deployment)
    }
}

impl Furniture {
    /// The replicas that a slot's Deployment has when the world begins.
    #[must_use]
    pub fn replicas_of(&self, slot: &str) -> u32 {
        let idle = self.directing == Directing::Replicas && slot != self.live;
        let said = self.slots.get(slot).and_then(|slot| slot.replicas);
        said.unwrap_or(if idle { 0 } else { self.replicas })
    }
}
