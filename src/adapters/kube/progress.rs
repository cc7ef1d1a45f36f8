//! One read of a rollout: the Deployment, and if it is not complete, its `ReplicaSets`, pods and events.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Event as ApiEvent,
};

use crate::{
    domain::{id::SlotName, rollout::RolloutFacts},
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{Call, EVENTS, REPLICA_SETS},
    pod::PodRecord,
    rollout::{self, NewestSet},
    stage::{explained, wants_events},
    view::DeploymentView,
};

/// Pods whose events are read in one look: one that waits for its image, one that starts, one that is not ready, one without
/// a node tell what all of their kind wait for.
const ASKED: usize = 4;

impl KubeCluster {
    /// One look at a slot's rollout. A Deployment that was replaced since we last wrote to it is not the one that was
    /// rolled out, whatever its status says.
    pub(super) async fn rollout_of(&self, slot: &SlotName) -> PortResult<RolloutFacts> {
        let deployment = self.read_deployment(slot).await?;
        let uid = deployment.metadata.uid.as_deref().unwrap_or_default();
        if let Some(known) = self.remembered(slot)
            && known != uid
        {
            return Err(PortError::new(
                Fault::Conflict,
                format!(
                    "deployment/{} was deleted and recreated since this run changed it (uid {uid}, was \
                     {known}); look at it, then retry the step",
                    deployment.metadata.name.as_deref().unwrap_or_default()
                ),
            ));
        }
        let bare = rollout::facts(&deployment, None, []);
        // Reasons are only asked for where there is something to explain.
        if !bare.observed || bare.is_complete() {
            return Ok(bare);
        }
        let view = DeploymentView::of(deployment.clone());
        let mut pods: Vec<PodRecord> = Vec::new();
        let (newest, listed) =
            tokio::join!(self.newest_set(&deployment, &view), self.each_pod(&view, |pod| pods.push(pod)));
        let newest = newest?;
        match listed {
            Ok(()) => {}
            // The numbers and the conditions of the Deployment are facts enough.
            Err(PortError { kind: Fault::Denied, message }) => {
                tracing::debug!(message, "pods can't be listed");
                pods.clear();
            }
            Err(fault) => return Err(fault),
        }
        let mut facts = rollout::facts(&deployment, newest.as_ref(), &pods);
        self.explain(&mut facts).await;
        Ok(facts)
    }

    /// The `ReplicaSet` of the newest template. Where they may not be listed, the Deployment's conditions name it.
    async fn newest_set(
        &self,
        deployment: &Deployment,
        view: &DeploymentView,
    ) -> PortResult<Option<NewestSet>> {
        let call = Call::list(&REPLICA_SETS, Some(&self.target.namespace)).with("labelSelector", view.pods());
        let mut sets: Vec<ReplicaSet> = Vec::new();
        match self.gateway.each(&call, |set| sets.push(set)).await {
            Ok(()) => Ok(NewestSet::among(deployment, &sets)),
            Err(PortError { kind: Fault::Denied, message }) => {
                tracing::debug!(message, "replicasets can't be listed; using the Deployment's conditions");
                Ok(NewestSet::told_by(deployment))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Adds what events tell of pods whose status leaves open what they wait for: of a few, different ones first. Without them
    /// the look is as good, only less is said.
    async fn explain(&self, facts: &mut RolloutFacts) {
        let mut asked: Vec<usize> =
            (0..facts.pods.len()).filter(|at| wants_events(&facts.pods[*at].stage)).collect();
        let mut kinds = Vec::new();
        asked.sort_by_key(|at| {
            let kind = std::mem::discriminant(&facts.pods[*at].stage);
            let again = kinds.contains(&kind);
            kinds.push(kind);
            again
        });
        asked.truncate(ASKED);
        let told = asked.iter().map(|at| self.events_of(&facts.pods[*at].uid));
        let told = futures::future::join_all(told).await;
        for (at, told) in asked.into_iter().zip(told) {
            match told {
                Ok(events) => {
                    let pod = &mut facts.pods[at];
                    pod.stage = explained(pod.stage.clone(), &events);
                }
                Err(fault) => tracing::debug!(%fault, "a pod's events can't be read"),
            }
        }
    }

    /// By uid: those of an earlier object of the same name are over.
    async fn events_of(&self, uid: &str) -> PortResult<Vec<ApiEvent>> {
        let call = Call::list(&EVENTS, Some(&self.target.namespace))
            .with("fieldSelector", format!("involvedObject.uid={uid}"));
        let mut events = Vec::new();
        self.gateway.each(&call, |event| events.push(event)).await?;
        Ok(events)
    }
}
