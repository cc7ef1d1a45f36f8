//! A fresh read of the target: what directs traffic, the Deployments, what they have made, and autoscalers, in one parallel round
//! trip.
//!
//! Nothing here comes from the watch. A Deployment's pod selector cannot be changed once it is made, so that of an earlier
//! look asks for the pods at once; the very first look of a Deployment takes one round trip more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    autoscaling::v1::HorizontalPodAutoscaler,
    core::v1::Service,
};
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    domain::{
        director::{Director, leading},
        id::SlotName,
        observation::{Autoscaler, Observation, ServiceSeen, SlotSeen},
        safe_text::SafeText,
    },
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{AUTOSCALERS, Call, DEPLOYMENTS, ENDPOINT_SLICES, PODS, REPLICA_SETS, SERVICES},
    director::RouteView,
    lean::LeanPod,
    locked,
    pod::record,
    seen::{Made, SeenDeployment, SeenPod},
    view::{DeploymentView, ServiceView},
};

/// What directs traffic, as it was read.
enum Directing {
    Service(Option<ServiceView>),
    /// With what the slots' own Services select.
    Route(Option<RouteView>, BTreeMap<SlotName, BTreeMap<String, String>>),
}

impl KubeCluster {
    /// All at once: one after the other would make a picture of several moments, of which the first may be over.
    pub(super) async fn observe_target(&self) -> PortResult<Observation> {
        let at = self.clock.now();
        let deployments = self.deployments().into_iter().map(|name| async move {
            let seen = self.observe_deployment(&name).await?;
            Ok::<_, PortError>((name, seen))
        });
        let (directing, deployments, autoscalers, named) = tokio::join!(
            self.observe_director(),
            futures::future::try_join_all(deployments),
            self.autoscalers(),
            self.named_in_time(),
        );
        let (directing, deployments, autoscalers) = (directing?, deployments?, autoscalers?);
        let (named, endpoints_unread) = match named {
            Ok(named) => (named, None),
            Err(fault) => (None, Some(fault.message)),
        };
        let deployments: BTreeMap<String, Option<SeenDeployment>> = deployments.into_iter().collect();
        let mut seen = Observation {
            at,
            slots: self.slots_seen(&deployments, &autoscalers, named.as_ref()),
            service: None,
            route: None,
            endpoints_unread,
        };
        match directing {
            Directing::Service(service) => {
                seen.service = service.map(|view| self.service_seen_as(view));
                // No selector points at one of the slots: the one with the most pods leads.
                if self.target.shares_follow_pods() {
                    let live = leading(&seen.shares()).cloned();
                    if let Some(service) = &mut seen.service {
                        service.live = live;
                    }
                }
            }
            Directing::Route(route, mut selectors) => {
                seen.route = route.as_ref().map(RouteView::seen);
                for (name, slot) in &mut seen.slots {
                    slot.own_selector = selectors.remove(name);
                }
            }
        }
        Ok(seen)
    }

    /// What is read is kept as the newest that is known: the write that follows stands on its version.
    async fn observe_director(&self) -> PortResult<Directing> {
        let namespace = Some(self.target.namespace.as_str());
        let Some(name) = self.route_name() else {
            let call = Call::get(&SERVICES, namespace, &self.target.service);
            let service: Option<Service> = self.gateway.find(&call).await?;
            let service = service.as_ref().map(ServiceView::of);
            self.note_service(service.as_ref());
            locked(&self.observed).clone_from(&service);
            return Ok(Directing::Service(service));
        };
        let named = self.target.slots.iter().filter_map(|(slot, it)| Some((slot, it.service.as_ref()?)));
        let services = named.map(|(slot, name)| async move {
            let found: Option<Service> = self.gateway.find(&Call::get(&SERVICES, namespace, name)).await?;
            let selector = found.map(|service| ServiceView::of(&service).selector);
            Ok::<_, PortError>(selector.map(|selector| (slot.clone(), selector)))
        });
        let (route, services) = tokio::join!(self.find_route(name), futures::future::try_join_all(services));
        let route = route?;
        locked(&self.observed_route).clone_from(&route);
        Ok(Directing::Route(route, services?.into_iter().flatten().collect()))
    }

    /// Every slot by what its Deployment has made; both of them where one Deployment is two.
    fn slots_seen(
        &self,
        deployments: &BTreeMap<String, Option<SeenDeployment>>,
        autoscalers: &BTreeMap<String, Autoscaler>,
        named: Option<&BTreeSet<String>>,
    ) -> BTreeMap<SlotName, SlotSeen> {
        let container = self.target.container.as_str();
        let mut slots = BTreeMap::new();
        for (name, slot) in &self.target.slots {
            let autoscaler = autoscalers.get(&slot.deployment);
            match deployments.get(&slot.deployment).and_then(Option::as_ref) {
                None => {
                    let absent = SlotSeen { deployment: slot.deployment.clone(), ..SlotSeen::default() };
                    slots.insert(name.clone(), absent);
                }
                Some(seen) if self.target.is_one_deployment() => {
                    if !slots.contains_key(name) {
                        let mut revisions = locked(&self.revisions);
                        slots.extend(seen.revisions(container, autoscaler, &mut revisions));
                    }
                }
                Some(seen) => {
                    let named = named.and_then(|names| seen.named(names));
                    slots.insert(name.clone(), SlotSeen { named, ..seen.slot(container, autoscaler) });
                }
            }
        }
        slots
    }

    /// A Deployment and its pods, at the same time where the pods' labels are known.
    async fn observe_deployment(&self, name: &str) -> PortResult<Option<SeenDeployment>> {
        let call = Call::get(&DEPLOYMENTS, Some(&self.target.namespace), name);
        let known = locked(&self.pod_selectors).get(name).cloned();
        let early = async {
            match &known {
                Some(selector) => Some(self.made_by(selector).await),
                None => None,
            }
        };
        let (deployment, early) = tokio::join!(self.gateway.find::<Deployment>(&call), early);
        let Some(view) = deployment?.map(DeploymentView::of) else { return Ok(None) };
        let selector = view.pods();
        let made = match early.filter(|_| known.as_deref() == Some(selector.as_str())) {
            Some(made) => made?,
            None => self.made_by(&selector).await?,
        };
        locked(&self.pod_selectors).insert(name.to_owned(), selector);
        Ok(Some(SeenDeployment { view, made }))
    }

    /// What a Deployment has made, by the labels that it selects.
    async fn made_by(&self, selector: &str) -> PortResult<Made> {
        let (pods, sets) = tokio::join!(self.seen_pods(selector), self.seen_sets(selector));
        Ok(Made { pods: pods?, sets: sets? })
    }

    /// The `ReplicaSets` with these labels; nothing where they may not be listed.
    async fn seen_sets(&self, selector: &str) -> PortResult<Option<Vec<ReplicaSet>>> {
        if selector.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let call = Call::list(&REPLICA_SETS, Some(&self.target.namespace)).with("labelSelector", selector);
        let mut sets = Vec::new();
        match self.gateway.each(&call, |set: ReplicaSet| sets.push(set)).await {
            Ok(()) => Ok(Some(sets)),
            Err(PortError { kind: Fault::Denied, message }) => {
                tracing::debug!(message, "replicasets can't be listed; using the Deployment's own status");
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The pods with these labels; nothing where they may not be listed.
    async fn seen_pods(&self, selector: &str) -> PortResult<Option<Vec<SeenPod>>> {
        // An empty selector would select every pod of the namespace.
        if selector.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let call = Call::list(&PODS, Some(&self.target.namespace)).with("labelSelector", selector);
        let container = &self.target.container;
        let mut pods = Vec::new();
        let listed = self.gateway.each(&call, |mut pod: LeanPod| {
            // One that has ended for good, say evicted, stays in the list and is none of the slot's pods any more.
            if matches!(pod.status.phase.as_deref(), Some("Failed" | "Succeeded")) {
                return;
            }
            let seen = record(&pod, container);
            pods.push(SeenPod {
                name: pod.name(),
                image: pod.container(container).and_then(|it| it.image.clone()).unwrap_or_default(),
                ready: seen.pod.ready,
                leaving: seen.leaving,
                labels: pod.metadata.labels.take().unwrap_or_default(),
            });
        });
        match listed.await {
            Ok(()) => Ok(Some(pods)),
            Err(PortError { kind: Fault::Denied, message }) => {
                tracing::warn!(message, "pods can't be listed; using the Deployment's own count");
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The autoscalers of the namespace by the Deployment they scale; none where they may not be listed.
    async fn autoscalers(&self) -> PortResult<BTreeMap<String, Autoscaler>> {
        let call = Call::list(&AUTOSCALERS, Some(&self.target.namespace));
        let mut found = BTreeMap::new();
        let listed = self.gateway.each(&call, |object: HorizontalPodAutoscaler| {
            let scaled = &object.spec.scale_target_ref;
            if scaled.kind == "Deployment" {
                let number = |count: i32| u32::try_from(count).unwrap_or(0);
                let autoscaler = Autoscaler {
                    name: SafeText::from(object.metadata.name.clone().unwrap_or_default()).into(),
                    min: number(object.spec.min_replicas.unwrap_or(1)),
                    max: number(object.spec.max_replicas),
                };
                found.insert(scaled.name.clone(), autoscaler);
            }
        });
        match listed.await {
            Ok(()) | Err(PortError { kind: Fault::Denied | Fault::NotFound, .. }) => Ok(found),
            Err(fault) => Err(fault),
        }
    }

    /// The same, but nothing else waits long for it: traffic may have to move now.
    async fn named_in_time(&self) -> PortResult<Option<BTreeSet<String>>> {
        let silent = |_| PortError::unavailable("no answer in time".to_owned());
        timeout(self.gateway.timing.look, self.named_pods()).await.map_err(silent)?
    }

    /// The pods that the Service's proxies are told to send users to, where its selector picks one slot; nothing where that may
    /// not be listed, or the server does not know it. They are told a moment after the selector has changed.
    async fn named_pods(&self) -> PortResult<Option<BTreeSet<String>>> {
        if self.target.director != Director::Selector {
            return Ok(None);
        }
        let of = format!("kubernetes.io/service-name={}", self.target.service);
        loop {
            let at = self.slices.load(Ordering::Relaxed);
            let Some(slices) = ENDPOINT_SLICES.get(at) else { return Ok(None) };
            let call = Call::list(slices, Some(&self.target.namespace)).with("labelSelector", of.clone());
            let mut named = BTreeSet::new();
            match self.gateway.each(&call, |slice: Slice| named.extend(slice.ready())).await {
                Ok(()) => return Ok(Some(named)),
                Err(PortError { kind: Fault::NotFound, message }) => {
                    tracing::debug!(message, "endpointslices are not served in this version");
                    // Two looks at a time may find it out.
                    let _ = self.slices.compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed);
                }
                Err(PortError { kind: Fault::Denied, message }) => {
                    tracing::debug!(
                        message,
                        "endpointslices can't be listed; pods are counted by the selector alone"
                    );
                    return Ok(None);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Who is live follows from the selector, and is worked out in one place for looks and watch alike.
    fn service_seen_as(&self, view: ServiceView) -> ServiceSeen {
        ServiceSeen {
            live: self.target.pointed_at(&view.selector),
            uid: view.uid,
            version: view.version,
            selector: view.selector,
            changed: view.changed,
        }
    }
}

/// The part of a slice that matters; the parser skips the rest, as of pods.
#[derive(Deserialize)]
struct Slice {
    #[serde(default = "Option::default")]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    conditions: Option<Conditions>,
    target_ref: Option<TargetRef>,
}

#[derive(Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Deserialize)]
struct TargetRef {
    kind: Option<String>,
    name: Option<String>,
}

impl Slice {
    /// The pods that it tells of as ready. What it does not say of one is ready.
    fn ready(self) -> impl Iterator<Item = String> {
        let endpoints = self.endpoints.into_iter().flatten();
        let ready = endpoints.filter(|it| it.conditions.as_ref().and_then(|it| it.ready) != Some(false));
        let pods = ready.filter_map(|it| it.target_ref).filter(|of| of.kind.as_deref() == Some("Pod"));
        pods.filter_map(|of| of.name)
    }
}
