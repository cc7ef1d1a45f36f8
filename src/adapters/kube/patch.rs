//! Patches any object in the namespace, as the runbook says.
//!
//! A patch of the target's own objects, the Service or the route or what a slot has of its own, carries the `resourceVersion` of the look that
//! allowed it, and the lock's fence where the kind of patch has room for it. A 409 proves that it was not applied; where what
//! matters of the object (its selector, its spec) is as it was looked at, it is sent again with the version now.
//!
//! No read precedes the patch of any other object, so it carries neither: all that stands between it and an engine that was
//! taken over from is that engine's own look at its lock, right before the patch leaves. A runbook that needs more writes
//! `metadata.resourceVersion` into its patch; that one is left as it is written.

use std::borrow::Cow;

use k8s_openapi::{api::core::v1::Service, apimachinery::pkg::apis::meta::v1::APIResourceList};
use serde_json::{Value, json};

use crate::{
    domain::{
        action::PatchType, id::SlotName, observation::Observation, rights::KNOWN_KINDS, safe_text::SafeText,
    },
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{Call, DEPLOYMENTS, HTTP_ROUTES, Resource, SERVICES, is_name},
    fence::fence_of,
    view::{ServiceView, changed_since},
};

/// Writes for one intent, all but the last proven to be without effect.
const ROUNDS: u32 = 4;
/// Where the version stands in an object.
const VERSION: &str = "/metadata/resourceVersion";

/// An object of the target.
enum Ours {
    Service,
    Route(String),
    Slot(SlotName),
    /// A slot's own Service, which the route leads to.
    Backend(SlotName, String),
}

/// An object as it was read.
struct Read {
    uid: String,
    version: String,
    fence: Option<u64>,
}

/// Whether a patch says itself which version it is for.
fn names_a_version(patch_type: PatchType, patch: &Value) -> bool {
    match patch_type {
        PatchType::Json => patch.as_array().into_iter().flatten().any(|operation| {
            let path = operation.get("path").and_then(Value::as_str);
            path.is_some_and(|path| path == VERSION || path == "/metadata" || path.is_empty())
        }),
        PatchType::Merge | PatchType::Strategic => patch.pointer(VERSION).is_some(),
    }
}

impl KubeCluster {
    pub(super) async fn patch_object(
        &self,
        kind: &str,
        name: &str,
        (patch_type, patch): (PatchType, &Value),
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        can_be_sent(name, patch_type, patch)?;
        let resource = self.resource_of(kind).await?;
        let own = names_a_version(patch_type, patch);
        let ours = self.of_target(&resource, name).filter(|_| !own);
        let mut read = match &ours {
            Some(ours) => Some(self.as_seen(ours, seen, false).await?),
            None => None,
        };
        let mut round = 0;
        loop {
            round += 1;
            let body = match &read {
                Some(read) => {
                    self.with_version(patch_type, patch, &format!("{}/{name}", resource.word), read).await?
                }
                None => patch.clone(),
            };
            let call = Call::patch(&resource, Some(&self.target.namespace), name, patch_type, &body);
            match (self.gateway.write(call).await, &ours) {
                (Ok(written), _) => {
                    let version = written.pointer("/metadata/resourceVersion").and_then(Value::as_str);
                    let version =
                        version.map(|version| format!(" (resourceVersion {})", SafeText::new(version)));
                    let version = version.unwrap_or_default();
                    return Ok(format!("{}/{name} patched{version}", resource.word));
                }
                (Err((_, failure)), Some(ours)) if failure.code() == Some(409) && round < ROUNDS => {
                    read = Some(self.as_seen(ours, seen, true).await?);
                }
                (Err((call, failure)), _) => return Err(self.gateway.told(&call, &failure)),
            }
        }
    }

    /// The object of the target that is meant, where it is one.
    fn of_target(&self, resource: &Resource, name: &str) -> Option<Ours> {
        let is = |known: &Resource| resource.plural == known.plural && resource.group == known.group;
        match self.route_name() {
            Some(route) if is(&HTTP_ROUTES) && name == route => return Some(Ours::Route(route.to_owned())),
            None if is(&SERVICES) && name == self.target.service => return Some(Ours::Service),
            _ => {}
        }
        let routed = self.route_name().is_some();
        self.target.slots.iter().find_map(|(slot, it)| {
            let backend = routed && is(&SERVICES) && it.service.as_deref() == Some(name);
            if backend {
                return Some(Ours::Backend(slot.clone(), name.to_owned()));
            }
            (is(&DEPLOYMENTS) && it.deployment == name).then(|| Ours::Slot(slot.clone()))
        })
    }

    /// The version that a patch may stand on: of the object as it was looked at, or as it is now where nothing has changed that
    /// matters. What nobody looks at before (annotations, a status) changes the version all the time, and must not stop a run.
    async fn as_seen(&self, ours: &Ours, seen: Option<&Observation>, anew: bool) -> PortResult<Read> {
        match ours {
            Ours::Slot(slot) => {
                let metadata = self.read_as_seen(slot, seen).await?.metadata;
                let fence = fence_of(&metadata);
                let (uid, version) = (metadata.uid, metadata.resource_version);
                Ok(Read { uid: uid.unwrap_or_default(), version: version.unwrap_or_default(), fence })
            }
            Ours::Route(name) => self.route_as_seen(name, seen).await,
            Ours::Backend(slot, name) => self.backend_as_seen(slot, name, seen).await,
            Ours::Service => self.service_as_seen(seen, anew).await,
        }
    }

    async fn route_as_seen(&self, name: &str, seen: Option<&Observation>) -> PortResult<Read> {
        let Some(now) = self.find_route(name).await? else {
            let why = format!("httproute/{name} does not exist in namespace {}", self.target.namespace);
            return Err(PortError::new(Fault::NotFound, why));
        };
        let looked = seen.and_then(|seen| seen.route.as_ref());
        if looked.is_some_and(|looked| looked.uid != now.uid || looked.weights != now.weights()) {
            return Err(changed_since(&format!("httproute/{name}"), now.changed.as_ref()));
        }
        Ok(Read { uid: now.uid, version: now.version, fence: now.fence })
    }

    async fn backend_as_seen(
        &self,
        slot: &SlotName,
        name: &str,
        seen: Option<&Observation>,
    ) -> PortResult<Read> {
        let call = Call::get(&SERVICES, Some(&self.target.namespace), name);
        let now = ServiceView::of(&self.gateway.read::<Service>(&call).await?);
        let looked = seen.and_then(|seen| seen.slot(slot)?.own_selector.as_ref());
        if seen.is_some() && looked != Some(&now.selector) {
            return Err(changed_since(&format!("service/{name}"), now.changed.as_ref()));
        }
        Ok(Read { uid: now.uid, version: now.version, fence: now.fence })
    }

    /// The watch may have the Service as it was looked at: then no further read is needed before the write.
    async fn service_as_seen(&self, seen: Option<&Observation>, anew: bool) -> PortResult<Read> {
        let looked = seen.and_then(|seen| seen.service.as_ref());
        let known = looked.filter(|_| !anew).and_then(|looked| {
            self.service_seen().filter(|view| view.uid == looked.uid && view.version == looked.version)
        });
        let now = match known {
            Some(view) => view,
            None => self.read_service().await?,
        };
        if looked.is_some_and(|looked| looked.uid != now.uid || looked.selector != now.selector) {
            return Err(changed_since(&format!("service/{}", self.target.service), now.changed.as_ref()));
        }
        Ok(Read { uid: now.uid, version: now.version, fence: now.fence })
    }

    /// The patch with the version that it stands on, and the fence.
    async fn with_version(
        &self,
        patch_type: PatchType,
        patch: &Value,
        object: &str,
        read: &Read,
    ) -> PortResult<Value> {
        let identity = (Some(read.uid.as_str()), Some(read.version.as_str()));
        let metadata = self.fenced_metadata(object, identity, read.fence).await?;
        let mut patch = patch.clone();
        match &mut patch {
            Value::Array(operations) if patch_type == PatchType::Json => {
                // Its annotations may not be there to add to, so the fence is left out; the version does the same.
                let version = json!({ "op": "replace", "path": VERSION, "value": read.version });
                operations.insert(0, version);
            }
            Value::Object(fields) => {
                let written = fields.entry("metadata").or_insert_with(|| json!({}));
                if let (Some(written), Value::Object(metadata)) = (written.as_object_mut(), metadata) {
                    for (key, value) in metadata {
                        match (written.get_mut(&key).and_then(Value::as_object_mut), value) {
                            (Some(written), Value::Object(annotations)) => written.extend(annotations),
                            (_, value) => drop(written.insert(key, value)),
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(patch)
    }

    /// The resource that a kind names. Kinds with a group are looked up in the API server's own list for that group, which
    /// is a read before the write; kinds without one are known here.
    pub(super) async fn resource_of(&self, kind: &str) -> PortResult<Resource> {
        let (kind, group_version) =
            kind.split_once('.').map_or((kind, None), |(kind, rest)| (kind, Some(rest)));
        let Some(group_version) = group_version else { return known_resource(kind) };
        let lower = kind.to_ascii_lowercase();
        let bad = || {
            PortError::failed(format!(
                "`{}` is not a valid `group/version`, such as `argoproj.io/v1alpha1`",
                SafeText::new(group_version)
            ))
        };
        let (group, version) =
            group_version.split_once('/').filter(|(g, v)| is_name(g) && is_name(v)).ok_or_else(bad)?;
        let list: APIResourceList =
            self.gateway.read(&Call::path(&format!("/apis/{group}/{version}"))).await?;
        let found = list.resources.into_iter().find(|resource| {
            let names = [&resource.kind, &resource.singular_name, &resource.name];
            !resource.name.contains('/') && names.iter().any(|name| name.eq_ignore_ascii_case(&lower))
        });
        let found = found.ok_or_else(|| {
            PortError::failed(format!(
                "the API server has no kind `{}` in {group}/{version}",
                SafeText::new(kind)
            ))
        })?;
        if !found.namespaced {
            return Err(PortError::failed(format!(
                "kind `{}` is not namespaced; only objects in the target's namespace can be patched",
                found.kind
            )));
        }
        Ok(Resource {
            group: Cow::Owned(group.to_owned()),
            version: Cow::Owned(version.to_owned()),
            plural: Cow::Owned(found.name),
            word: Cow::Owned(SafeText::from(found.kind.to_ascii_lowercase()).into()),
        })
    }
}

/// What the API server would refuse in words that do not say what to write instead.
fn can_be_sent(name: &str, patch_type: PatchType, patch: &Value) -> PortResult<()> {
    if !is_name(name) {
        return Err(PortError::failed(format!(
            "`{}` is not a valid name of a Kubernetes object",
            SafeText::new(name)
        )));
    }
    if patch_type == PatchType::Json && !patch.is_array() {
        return Err(PortError::failed(
            "a patch of type `json` must be a list of operations; use `merge` or `strategic` for an \
             object",
        ));
    }
    Ok(())
}

/// A kind that is written without its group.
fn known_resource(kind: &str) -> PortResult<Resource> {
    let lower = kind.to_ascii_lowercase();
    let known = KNOWN_KINDS.iter().find(|(.., plural, word)| [*plural, *word].contains(&lower.as_str()));
    let known = known.map(|(group, version, plural, word)| Resource::known(group, version, plural, word));
    known.ok_or_else(|| {
        let names: Vec<String> = KNOWN_KINDS.iter().map(|(.., word)| format!("`{word}`")).collect();
        PortError::failed(format!(
            "unknown kind `{}`; write `kind.group/version`, or one of {}",
            SafeText::new(kind),
            names.join(", ")
        ))
    })
}
