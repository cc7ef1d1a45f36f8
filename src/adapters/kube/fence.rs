//! The fence: a number in what directs traffic (the Service, or the route) and in the Deployments that tells which lock holder wrote last.
//!
//! Each holding of the target's lock has a higher number than the one before. It is written in the same patch as each change,
//! together with the uid and `resourceVersion` of what was read, and by a takeover into all objects at once (also by a run that
//! comes back after a crash). So an engine
//! that was taken over from, and does not know it yet, meets one of two walls: it sees the higher number and stops, or it has
//! not seen it, and then its `resourceVersion` is old and the API server answers 409.
//!
//! What this cannot stop: patches of other objects, which no read precedes (see `patch`), shell and HTTP actions, and whoever removes or
//! lowers the annotation by hand. `kubectl rollout undo` does so too: it brings back the annotations of the older revision.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    domain::action::PatchType,
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{Call, DEPLOYMENTS, HTTP_ROUTES, Resource, SERVICES},
};

/// The annotation with the fence.
pub(super) const FENCE: &str = "cutover.dev/fence";

/// The annotation whose only use is to change: see [`KubeCluster::touch`].
const SETTLED: &str = "cutover.dev/settled";

/// Tries to mark one object: a Deployment's version moves several times a second while it rolls out.
const MARKS: u32 = 6;

/// The fence that an object carries; none where the annotation is missing or no number.
pub(super) fn fence_of(metadata: &ObjectMeta) -> Option<u64> {
    metadata.annotations.as_ref()?.get(FENCE)?.parse().ok()
}

/// An object with only its metadata.
#[derive(serde::Deserialize)]
struct Marked {
    metadata: ObjectMeta,
}

impl KubeCluster {
    /// The metadata of a patch: the uid and version that were read and, where a lock is held, its fence.
    ///
    /// # Errors
    /// Where the lock allows no write now, or the object carries a higher fence.
    pub(super) async fn fenced_metadata(
        &self,
        object: &str,
        (uid, version): (Option<&str>, Option<&str>),
        seen: Option<u64>,
    ) -> PortResult<Value> {
        let mut metadata = json!({ "uid": uid, "resourceVersion": version });
        if let Some(fence) = self.not_fenced_off(object, seen).await? {
            metadata["annotations"] = json!({ FENCE: fence.to_string() });
        }
        Ok(metadata)
    }

    /// Our fence, unless the object carries a higher one; nothing where we have no lock.
    pub(super) async fn not_fenced_off(&self, object: &str, seen: Option<u64>) -> PortResult<Option<u64>> {
        let Some(allowed) = self.gateway.allowed()? else { return Ok(None) };
        let Some(higher) = seen.filter(|seen| *seen > allowed.fence) else { return Ok(Some(allowed.fence)) };
        // Only a name for the sentence: it must not hold anything up.
        let holder = timeout(self.gateway.timing.look, self.lock_holder()).await;
        let who = match holder {
            Ok(Ok(Some(holder))) => format!("{} has taken over", holder.words()),
            _ => "somebody has taken over".to_owned(),
        };
        Err(PortError::new(
            Fault::Denied,
            format!(
                "fenced off: {who}; {object} has fence {higher}, ours is {}, so nothing was written",
                allowed.fence
            ),
        ))
    }

    /// The highest fence on the target's objects, zero where there is none. Objects that do not exist or may not be read do
    /// not count.
    pub(super) async fn highest_fence(&self) -> PortResult<u64> {
        let fences = self.guarded().map(|(resource, name)| async move {
            let call = Call::get(resource, Some(&self.target.namespace), &name);
            match self.gateway.read::<Marked>(&call).await {
                Ok(object) => Ok(fence_of(&object.metadata)),
                Err(PortError { kind: Fault::NotFound | Fault::Denied, .. }) => Ok(None),
                // The cluster has no routes at all: whoever looks at the target says so.
                Err(PortError { kind: Fault::Failed, .. }) if *resource == HTTP_ROUTES => Ok(None),
                Err(fault) => Err(fault),
            }
        });
        let fences = futures::future::try_join_all(fences).await?;
        Ok(fences.into_iter().flatten().max().unwrap_or(0))
    }

    /// Writes our fence into all of the target's objects, so that a write which somebody else has under way finds another
    /// version. Gives what could not be marked, with reasons.
    pub(super) async fn mark_all(&self) -> Vec<String> {
        let marks = self.guarded().map(|(resource, name)| async move {
            let marked = self.mark(resource, &name).await;
            marked.err().map(|fault| format!("{}/{name} could not be fenced: {fault}", resource.word))
        });
        futures::future::join_all(marks).await.into_iter().flatten().collect()
    }

    /// Writes a mark of its own into one object: its version moves, so a write that carries an older one is refused from now on.
    pub(super) async fn touch(&self, resource: &Resource, name: &str) -> PortResult<()> {
        let stamp = format!("{:016x}", fastrand::u64(..));
        self.write_mark(resource, name, Some(&stamp)).await
    }

    async fn mark(&self, resource: &Resource, name: &str) -> PortResult<()> {
        self.write_mark(resource, name, None).await
    }

    async fn write_mark(&self, resource: &Resource, name: &str, stamp: Option<&str>) -> PortResult<()> {
        let namespace = self.target.namespace.as_str();
        let object = format!("{}/{name}", resource.word);
        let mut tries = 0;
        loop {
            tries += 1;
            let found: Option<Marked> =
                self.gateway.find(&Call::get(resource, Some(namespace), name)).await?;
            let Some(Marked { metadata }) = found else { return Ok(()) };
            let identity = (metadata.uid.as_deref(), metadata.resource_version.as_deref());
            let mut patch = self.fenced_metadata(&object, identity, fence_of(&metadata)).await?;
            if let Some(stamp) = stamp {
                patch["annotations"][SETTLED] = json!(stamp);
            }
            let patch = json!({ "metadata": patch });
            let call = Call::patch(resource, Some(namespace), name, PatchType::Merge, &patch);
            match self.gateway.write(call).await {
                Ok(_) => return Ok(()),
                // The mark is the same each time, so it may be written again where it is not known to have arrived.
                Err((_, failure)) if tries < MARKS && (failure.is_conflict() || failure.is_ambiguous()) => {}
                Err((call, failure)) => return Err(self.gateway.told(&call, &failure)),
            }
        }
    }

    /// The objects that carry the fence: what directs traffic, and the Deployments, each once.
    fn guarded(&self) -> impl Iterator<Item = (&'static Resource, String)> {
        let director: (&'static Resource, String) = match self.route_name() {
            Some(route) => (&HTTP_ROUTES, route.to_owned()),
            None => (&SERVICES, self.target.service.clone()),
        };
        let deployments =
            self.deployments().into_iter().map(|name| (&DEPLOYMENTS as &'static Resource, name));
        std::iter::once(director).chain(deployments)
    }
}
