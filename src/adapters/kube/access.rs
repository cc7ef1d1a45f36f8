//! Who the cluster is, and what we may do in it.

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::version::Info};
use serde_json::{Value, json};

use crate::{
    domain::{
        safe_text::SafeText,
        workload::{Access, ClusterIdentity},
    },
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{ACCESS_REVIEWS, Call, DEPLOYMENTS, NAMESPACES, Resource, SERVICES},
    gateway::Gateway,
};

/// Asks the cluster who it is. The uid stays empty where `kube-system` may not be read, as for users of one namespace:
/// then the server's URL alone stands for the cluster.
pub(super) async fn identify(gateway: &Gateway, namespace: &str) -> PortResult<ClusterIdentity> {
    let version: Info = gateway.read(&Call::path("/version")).await?;
    let system: PortResult<Namespace> = gateway.read(&Call::get(&NAMESPACES, None, "kube-system")).await;
    let uid = match system {
        Ok(system) => system.metadata.uid.unwrap_or_default(),
        Err(PortError { kind: Fault::Denied | Fault::NotFound, message }) => {
            tracing::info!(message, "the cluster's uid is not known");
            String::new()
        }
        Err(fault) => return Err(fault),
    };
    let session = gateway.session();
    Ok(ClusterIdentity {
        context: session.context,
        server: session.server,
        uid: SafeText::from(uid).into(),
        namespace: namespace.to_owned(),
        version: SafeText::from(version.git_version).into(),
    })
}

impl KubeCluster {
    /// Asks for each object by its name, since roles can allow single ones.
    pub(super) async fn review_access(&self) -> PortResult<Access> {
        let deployments =
            self.target.slots.values().map(|slot| self.may("patch", &DEPLOYMENTS, &slot.deployment));
        let (service, deployments) = tokio::join!(
            self.may("patch", &SERVICES, &self.target.service),
            futures::future::try_join_all(deployments)
        );
        Ok(Access {
            patch_service: Some(service?),
            patch_deployments: Some(deployments?.into_iter().all(|allowed| allowed)),
            at: self.clock.now(),
        })
    }

    /// Whether a verb on an object of the namespace is allowed to us.
    pub(super) async fn may(&self, verb: &str, resource: &Resource, name: &str) -> PortResult<bool> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": self.target.namespace,
                "verb": verb,
                "group": resource.group,
                "resource": resource.plural,
                "name": name,
            } },
        });
        let answer: Value = self.gateway.read(&Call::ask(&ACCESS_REVIEWS, &review)).await?;
        Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
    }
}
