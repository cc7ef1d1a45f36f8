//! Patching any object of the namespace, as the runbook writes it.
//!
//! No read precedes the patch, so it carries neither a `resourceVersion` nor the lock's fence: all that stands between it and
//! an engine that was taken over from is that engine's own look at its lock, right before the patch leaves. A runbook that
//! needs more writes `metadata.resourceVersion` into its patch.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use serde_json::Value;

use crate::{
    domain::{action::PatchType, rights::KNOWN_KINDS, safe_text::SafeText},
    engine::ports::{PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{Call, Resource, is_name},
};

impl KubeCluster {
    pub(super) async fn patch_object(
        &self,
        kind: &str,
        name: &str,
        patch_type: PatchType,
        patch: &Value,
    ) -> PortResult<String> {
        if !is_name(name) {
            return Err(PortError::failed(format!(
                "`{}` is no name of a Kubernetes object",
                SafeText::new(name)
            )));
        }
        if patch_type == PatchType::Json && !patch.is_array() {
            return Err(PortError::failed(
                "a patch of type `json` is a list of operations; use `merge` or `strategic` for an object",
            ));
        }
        let resource = self.resource_of(kind).await?;
        let call = Call::patch(&resource, Some(&self.target.namespace), name, patch_type, patch);
        match self.gateway.write(call).await {
            Ok(written) => {
                let version = written.pointer("/metadata/resourceVersion").and_then(Value::as_str);
                let version = version.map(|version| format!(" (resourceVersion {})", SafeText::new(version)));
                let version = version.unwrap_or_default();
                Ok(format!("{}/{name} patched{version}", resource.word))
            }
            Err((call, failure)) => Err(self.gateway.told(&call, &failure)),
        }
    }

    /// The resource that a kind names. Kinds with a group are looked up in the API server's own list for that group, which
    /// is a read before the write; kinds without one are known here.
    async fn resource_of(&self, kind: &str) -> PortResult<Resource> {
        let (kind, group_version) =
            kind.split_once('.').map_or((kind, None), |(kind, rest)| (kind, Some(rest)));
        let lower = kind.to_ascii_lowercase();
        let Some(group_version) = group_version else {
            let known =
                KNOWN_KINDS.iter().find(|(.., plural, word)| [*plural, *word].contains(&lower.as_str()));
            let known =
                known.map(|(group, version, plural, word)| Resource::known(group, version, plural, word));
            return known.ok_or_else(|| {
                let names: Vec<String> = KNOWN_KINDS.iter().map(|(.., word)| format!("`{word}`")).collect();
                PortError::failed(format!(
                    "kind `{}` is not known by itself; write `kind.group/version`, or one of {}",
                    SafeText::new(kind),
                    names.join(", ")
                ))
            });
        };
        let bad = || {
            PortError::failed(format!(
                "`{}` is no `group/version`, such as `argoproj.io/v1alpha1`",
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
                "kind `{}` does not live in namespaces; only objects of the target's namespace are patched",
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
