//! Changing a slot's Deployment: image, replicas, restart. What goes back to an older template is in `director::revert`.
//!
//! Every change reads first and writes with the uid and `resourceVersion` it read. While a rollout runs, the controller
//! moves that version several times a second by writing status, so a 409 is looked into: where `metadata.generation`
//! stands still, nobody has touched the spec, the refused write certainly was not and will not be applied, and it is sent
//! again with the version now; three times at most. Where the generation has moved, somebody else has changed the spec,
//! and that is a conflict. With a lock held, the same patch carries its fence, and a Deployment that carries a higher one
//! is left alone (see `fence`).

use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v1::HorizontalPodAutoscaler},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    domain::{action::PatchType, id::SlotName, observation::Observation, safe_text::SafeText},
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{AUTOSCALERS, Call, DEPLOYMENTS, HTTP_ROUTES, SERVICES},
    fence::fence_of,
    rollout::desired,
    view::{by, changed, changed_since, changer, scaled},
};

/// Writes for one intent, all but the last proven to be without effect.
const ROUNDS: u32 = 4;

/// The annotation that kubectl sets to restart pods.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// One change of a Deployment.
pub(super) struct Change<'a> {
    /// The patch without its metadata.
    pub(super) patch: Value,
    /// Whether a Deployment is as wanted.
    pub(super) holds: &'a (dyn Fn(&Deployment) -> bool + Sync),
    /// What was done, for people: `image of backend set to …`.
    pub(super) done: String,
}

impl KubeCluster {
    /// Sets a container's image by a strategic patch, which finds the container by its name and leaves the others
    /// alone. The list may be that of the init containers.
    pub(super) async fn put_image(
        &self,
        slot: &SlotName,
        container: &str,
        image: &str,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        let before = self.read_as_seen(slot, seen).await?;
        let names = container_names(&before);
        let Some((list, _)) = names.iter().find(|(_, name)| name == container) else {
            let known: Vec<String> = names.iter().map(|(_, name)| format!("`{name}`")).collect();
            return Err(PortError::failed(format!(
                "deployment/{} has no container `{}`; it has {}",
                name_of(&before.metadata),
                SafeText::new(container),
                known.join(", ")
            )));
        };
        let list = *list;
        let holds = |deployment: &Deployment| image_of(deployment, container).as_deref() == Some(image);
        if holds(&before) {
            self.remember(slot, &before);
            return Ok(format!(
                "deployment/{} already has image {}",
                name_of(&before.metadata),
                SafeText::new(image)
            ));
        }
        let patch =
            json!({ "spec": { "template": { "spec": { list: [{ "name": container, "image": image }] } } } });
        let done = format!("image of {} set to {}", SafeText::new(container), SafeText::new(image));
        self.change(slot, before, &Change { patch, holds: &holds, done }).await
    }

    /// Sets the replicas, unless an autoscaler owns them: it would set them back at its next look.
    pub(super) async fn put_replicas(
        &self,
        slot: &SlotName,
        replicas: u32,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        let wanted = i32::try_from(replicas)
            .map_err(|_| PortError::failed(format!("{replicas} replicas are more than Kubernetes allows")))?;
        let before = self.read_as_seen(slot, seen).await?;
        let now = desired(&before);
        if now == wanted {
            self.remember(slot, &before);
            return Ok(format!("deployment/{} already has {replicas} replicas", name_of(&before.metadata)));
        }
        if let Some(refusal) = self.autoscaler_of(&before, wanted).await {
            return Err(refusal);
        }
        let patch = json!({ "spec": { "replicas": wanted } });
        let holds = |deployment: &Deployment| desired(deployment) == wanted;
        let done = format!("replicas set from {now} to {wanted}");
        self.change(slot, before, &Change { patch, holds: &holds, done }).await
    }

    /// Restarts as kubectl does: a stamp in the template makes another template, and the Deployment rolls over to it.
    /// A paused one would not.
    pub(super) async fn restart_pods(
        &self,
        slot: &SlotName,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        let before = self.read_as_seen(slot, seen).await?;
        if before.spec.paused == Some(true) {
            return Err(PortError::failed(format!(
                "deployment/{} is paused, so a restart would not start; resume it with `kubectl rollout \
                 resume`",
                name_of(&before.metadata)
            )));
        }
        let stamp = self.clock.now().to_string();
        let patch =
            json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: stamp } } } } });
        let holds = |deployment: &Deployment| {
            let metadata = deployment.spec.template.metadata.as_ref();
            let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
            annotations.and_then(|annotations| annotations.get(RESTARTED_AT)) == Some(&stamp)
        };
        let done = format!("restart requested at {stamp}");
        self.change(slot, before, &Change { patch, holds: &holds, done }).await
    }

    /// The Deployment now, if its spec is still the one that was looked at.
    pub(super) async fn read_as_seen(
        &self,
        slot: &SlotName,
        seen: Option<&Observation>,
    ) -> PortResult<Deployment> {
        let now = self.read_deployment(slot).await?;
        let Some(seen) = seen.and_then(|seen| seen.slot(slot)) else { return Ok(now) };
        let same = now.metadata.uid.as_deref() == Some(seen.uid.as_str())
            && now.metadata.generation == Some(seen.generation);
        if same {
            return Ok(now);
        }
        let who = if u32::try_from(desired(&now)) == Ok(seen.desired) { changed(&now) } else { scaled(&now) };
        Err(changed_since(&format!("deployment/{}", name_of(&now.metadata)), who.as_ref()))
    }

    /// Marks the Deployment, or what directs traffic, so that a write of ours that is still on its way finds another version and is refused.
    pub(super) async fn settle_writes(&self, slot: Option<&SlotName>) -> PortResult<()> {
        match slot {
            Some(slot) => self.touch(&DEPLOYMENTS, &self.slot(slot)?.deployment).await,
            None => match self.route_name() {
                Some(route) => self.touch(&HTTP_ROUTES, route).await,
                None => self.touch(&SERVICES, &self.target.service).await,
            },
        }
    }

    /// Makes one change of a Deployment that was read before.
    pub(super) async fn change(
        &self,
        slot: &SlotName,
        mut seen: Deployment,
        change: &Change<'_>,
    ) -> PortResult<String> {
        let name = name_of(&seen.metadata);
        let mut round = 0;
        loop {
            round += 1;
            let mut patch = change.patch.clone();
            let identity = (seen.metadata.uid.as_deref(), seen.metadata.resource_version.as_deref());
            let object = format!("deployment/{name}");
            patch["metadata"] = self.fenced_metadata(&object, identity, fence_of(&seen.metadata)).await?;
            let call =
                Call::patch(&DEPLOYMENTS, Some(&self.target.namespace), &name, PatchType::Strategic, &patch);
            let begun = Instant::now();
            let (call, failure) = match self.gateway.write(call).await {
                Ok(written) => {
                    self.remember(slot, &seen);
                    let generation = written.pointer("/metadata/generation").and_then(Value::as_i64);
                    let generation =
                        generation.map(|number| format!(" (generation {number})")).unwrap_or_default();
                    return Ok(format!("deployment/{name}: {}{generation}", change.done));
                }
                Err(failed) => failed,
            };
            let refused = failure.is_conflict();
            if !refused && !failure.is_ambiguous() {
                return Err(self.gateway.told(&call, &failure));
            }
            let told = self.gateway.told(&call, &failure).message;
            let now = match self.gateway.look_after(begun, self.read_deployment(slot)).await {
                Ok(now) => now,
                Err(blind) if refused => return Err(blind),
                Err(blind) => {
                    return Err(PortError::new(
                        Fault::Unknown,
                        format!("{told}; and reading it failed: {}", blind.message),
                    ));
                }
            };
            let same = now.metadata.uid == seen.metadata.uid;
            if same && (change.holds)(&now) {
                self.remember(slot, &now);
                return Ok(format!("deployment/{name}: {} (confirmed by reading it)", change.done));
            }
            let untouched = same && now.metadata.generation == seen.metadata.generation;
            if !(refused && untouched && round < ROUNDS) {
                return Err(not_changed(&told, refused, &seen, &now));
            }
            seen = now;
        }
    }

    /// Why a Deployment's replicas are not ours to set: an autoscaler would set them back.
    ///
    /// From and to zero they are: an autoscaler rests while its target has no replicas. Where autoscalers may not be listed,
    /// nothing is said, for the scaling itself may well be allowed.
    async fn autoscaler_of(&self, deployment: &Deployment, wanted: i32) -> Option<PortError> {
        if wanted == 0 || desired(deployment) == 0 {
            return None;
        }
        let name = name_of(&deployment.metadata);
        let mut owner: Option<HorizontalPodAutoscaler> = None;
        let call = Call::list(&AUTOSCALERS, Some(&self.target.namespace));
        let listed = self.gateway.each(&call, |autoscaler: HorizontalPodAutoscaler| {
            let scaled = &autoscaler.spec.scale_target_ref;
            if scaled.kind == "Deployment" && scaled.name == name {
                owner = Some(autoscaler);
            }
        });
        if let Err(fault) = listed.await {
            tracing::debug!(%fault, "autoscalers could not be listed");
        }
        let owner = owner?;
        let spec = owner.spec;
        let autoscaler = name_of(&owner.metadata);
        Some(PortError::failed(format!(
            "horizontalpodautoscaler/{autoscaler} owns the replicas of deployment/{name} ({} to {}) and \
             would reset them; change its bounds instead, or delete it first",
            spec.min_replicas.unwrap_or(1),
            spec.max_replicas
        )))
    }
}

/// Why a change was not made, from what was read before the write and after it. `refused`: the API server has answered 409,
/// so the write is certainly without effect; otherwise its answer is lost.
fn not_changed(told: &str, refused: bool, seen: &Deployment, now: &Deployment) -> PortError {
    let name = name_of(&seen.metadata);
    let same = now.metadata.uid == seen.metadata.uid;
    let untouched = same && now.metadata.generation == seen.metadata.generation;
    if untouched && !refused {
        // Another version refuses the lost request when it comes; the same one would still take it.
        return if now.metadata.resource_version == seen.metadata.resource_version {
            PortError::new(
                Fault::Unknown,
                format!("{told}. It is unchanged, but the request may still arrive"),
            )
        } else {
            PortError::unavailable(format!(
                "deployment/{name} was not changed, and the lost request can no longer take effect"
            ))
        };
    }
    let what = if same {
        format!("changed meanwhile by {}", by(changer(seen, now).as_ref()))
    } else {
        "deleted and recreated meanwhile".to_owned()
    };
    PortError::new(Fault::Conflict, format!("deployment/{name} was {what}; look at it, then decide again"))
}

/// An object's name.
pub(super) fn name_of(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}

/// The containers that have an image, with the list they stand in.
pub(super) fn container_names(deployment: &Deployment) -> Vec<(&'static str, String)> {
    let Some(template) = deployment.spec.template.spec.as_ref() else {
        return Vec::new();
    };
    let main = template.containers.iter().map(|container| ("containers", container.name.clone()));
    let init =
        template.init_containers.iter().flatten().map(|container| ("initContainers", container.name.clone()));
    main.chain(init).collect()
}

/// The image of a container of this very name.
pub(super) fn image_of(deployment: &Deployment, name: &str) -> Option<String> {
    let template = deployment.spec.template.spec.as_ref()?;
    let mut all = template.containers.iter().chain(template.init_containers.iter().flatten());
    all.find(|container| container.name == name).and_then(|container| container.image.clone())
}
