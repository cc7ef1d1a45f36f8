//! A fresh look at the target: Service, Deployments, their pods and autoscalers, read side by side in one round trip.
//!
//! Nothing here comes from the watch. A Deployment's pod selector cannot be changed once it is made, so that of an earlier
//! look asks for the pods at once; the very first look of a slot takes one round trip more.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v1::HorizontalPodAutoscaler,
    core::v1::{Pod as ApiPod, Service},
};

use crate::{
    domain::{
        id::SlotName,
        observation::{Autoscaler, Observation, ServiceSeen, SlotSeen},
        runbook::Slot,
        safe_text::SafeText,
    },
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{AUTOSCALERS, Call, DEPLOYMENTS, PODS, SERVICES},
    locked,
    pod::record,
    rollout,
    view::{DeploymentView, ServiceView},
};

/// A pod with what decides whether it serves.
struct SeenPod {
    labels: BTreeMap<String, String>,
    image: String,
    ready: bool,
    leaving: bool,
}

/// A Deployment with its pods. Nothing where pods may not be listed.
type SeenSlot = (Option<DeploymentView>, Option<Vec<SeenPod>>);

impl KubeCluster {
    pub(super) async fn observe_target(&self) -> PortResult<Observation> {
        let at = self.clock.now();
        let call = Call::get(&SERVICES, Some(&self.target.namespace), &self.target.service);
        let slots = self.target.slots.iter().map(|(name, slot)| async move {
            Ok::<_, PortError>((name.clone(), self.observe_slot(name, slot).await?))
        });
        let (service, slots, autoscalers) = tokio::join!(
            self.gateway.find::<Service>(&call),
            futures::future::try_join_all(slots),
            self.autoscalers(),
        );
        let service = service?.as_ref().map(ServiceView::of);
        self.note_service(service.as_ref());
        locked(&self.observed).clone_from(&service);
        let (slots, autoscalers) = (slots?, autoscalers?);
        let slots = slots.into_iter().map(|(name, seen)| {
            let seen = self.slot_seen(&name, seen, &autoscalers);
            (name, seen)
        });
        Ok(Observation {
            at,
            slots: slots.collect(),
            service: service.map(|view| self.service_seen_as(view)),
        })
    }

    /// A Deployment and its pods, at the same time where the pods' labels are known.
    async fn observe_slot(&self, name: &SlotName, slot: &Slot) -> PortResult<SeenSlot> {
        let call = Call::get(&DEPLOYMENTS, Some(&self.target.namespace), &slot.deployment);
        let known = locked(&self.pod_selectors).get(name).cloned();
        let early = async {
            match &known {
                Some(selector) => Some(self.seen_pods(selector).await),
                None => None,
            }
        };
        let (deployment, early) = tokio::join!(self.gateway.find::<Deployment>(&call), early);
        let Some(view) = deployment?.map(DeploymentView::of) else { return Ok((None, None)) };
        let selector = view.pods();
        let pods = match early.filter(|_| known.as_deref() == Some(selector.as_str())) {
            Some(pods) => pods?,
            None => self.seen_pods(&selector).await?,
        };
        locked(&self.pod_selectors).insert(name.clone(), selector);
        Ok((Some(view), pods))
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
        let listed = self.gateway.each(&call, |mut pod: ApiPod| {
            let seen = record(&pod, container);
            let containers = pod.spec.as_ref().map_or(&[][..], |spec| spec.containers.as_slice());
            let image = containers.iter().find(|c| c.name == *container).or(containers.first());
            pods.push(SeenPod {
                image: image.and_then(|container| container.image.clone()).unwrap_or_default(),
                ready: seen.pod.ready,
                leaving: seen.leaving,
                labels: pod.metadata.labels.take().unwrap_or_default(),
            });
        });
        match listed.await {
            Ok(()) => Ok(Some(pods)),
            Err(PortError { kind: Fault::Denied, message }) => {
                tracing::warn!(message, "pods can't be listed; the Deployment's own count has to do");
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

    fn service_seen_as(&self, view: ServiceView) -> ServiceSeen {
        ServiceSeen {
            live: self.target.pointed_at(&view.selector),
            uid: view.uid,
            version: view.version,
            selector: view.selector,
            changed: view.changed,
        }
    }

    fn slot_seen(
        &self,
        name: &SlotName,
        (view, pods): SeenSlot,
        autoscalers: &BTreeMap<String, Autoscaler>,
    ) -> SlotSeen {
        let Some(slot) = self.target.slots.get(name) else { return SlotSeen::default() };
        let mut seen = SlotSeen { deployment: slot.deployment.clone(), ..SlotSeen::default() };
        let Some(view) = view else { return seen };
        let status = view.object.status.clone().unwrap_or_default();
        let positive = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
        seen.found = true;
        seen.uid = view.object.metadata.uid.clone().unwrap_or_default();
        seen.generation = view.object.metadata.generation.unwrap_or(0);
        seen.observed = status.observed_generation.unwrap_or(0) >= seen.generation;
        seen.desired = positive(Some(rollout::desired(&view.object)));
        let image = view.image(&self.target.container);
        seen.image = SafeText::new(&image).into();
        (seen.changed, seen.scaled) = (view.changed.clone(), view.scaled.clone());
        seen.autoscaler = autoscalers.get(&slot.deployment).cloned();
        let Some(pods) = pods else {
            // The status speaks of the newest template only where the controller has seen it and no pod is old. Which labels
            // the pods carry is not known then; the template's own are the best guess.
            let of_template = seen.observed && positive(status.updated_replicas) >= positive(status.replicas);
            let labels = view.object.spec.template.metadata.as_ref().and_then(|it| it.labels.clone());
            let ready = if of_template { positive(status.ready_replicas) } else { 0 };
            seen.ready = vec![(labels.unwrap_or_default(), ready)];
            seen.pods = positive(status.replicas);
            return seen;
        };
        seen.pods = u32::try_from(pods.len()).unwrap_or(u32::MAX);
        // A restart, or a change of anything but the image, leaves pods of the old template that look like those of the new one.
        // The controller counts them; which ones they are does not matter, so they are taken to be ready.
        let others = pods.iter().filter(|pod| !pod.leaving && pod.image != image).count();
        let outdated = positive(status.replicas).saturating_sub(positive(status.updated_replicas));
        let mut outdated = outdated.saturating_sub(u32::try_from(others).unwrap_or(u32::MAX));
        let mut ready: BTreeMap<BTreeMap<String, String>, u32> = BTreeMap::new();
        for pod in pods.into_iter().filter(|pod| pod.ready && pod.image == image) {
            *ready.entry(pod.labels).or_default() += 1;
        }
        seen.ready = ready.into_iter().collect();
        for (_, count) in &mut seen.ready {
            let old = outdated.min(*count);
            (*count, outdated) = (*count - old, outdated - old);
        }
        seen
    }
}
