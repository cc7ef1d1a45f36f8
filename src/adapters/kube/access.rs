//! The cluster's identity, and our permissions in it.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::version::Info};
use serde_json::{Value, json};

use crate::{
    domain::{
        director::Director,
        rights::{self, Missing, Right, Scope, Verb, Weight},
        runbook::Runbook,
        safe_text::SafeText,
        workload::{Access, ClusterIdentity},
    },
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{ACCESS_REVIEWS, Call, DEPLOYMENTS, HTTP_ROUTES, NAMESPACES, Resource, SERVICES},
    gateway::Gateway,
    lease::lease_name,
};

/// Questions "may I?" under way at the same time.
const AT_ONCE: usize = 8;

/// Asks the cluster who it is. The uid stays empty where `kube-system` may not be read, as for users of one namespace:
/// then the server's URL alone stands for the cluster.
pub(super) async fn identify(gateway: &Gateway, namespace: &str) -> PortResult<ClusterIdentity> {
    let version: Info = gateway.read(&Call::path("/version")).await?;
    let system: PortResult<Namespace> = gateway.read(&Call::get(&NAMESPACES, None, "kube-system")).await;
    let uid = match system {
        Ok(system) => system.metadata.uid.unwrap_or_default(),
        Err(PortError { kind: Fault::Denied | Fault::NotFound, message }) => {
            tracing::info!("the cluster's uid is unknown: {message}");
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
    /// What a runbook needs here. Names with variables in them are not known yet: those rights are asked for without one.
    pub(super) fn rights_of(&self, runbook: &Runbook) -> Vec<Right> {
        rights::needed(runbook, &lease_name(&self.target.service), &rights::literal)
    }

    /// Asks for each object by its name, since roles can allow single ones.
    pub(super) async fn review_access(&self, rights: &[Right]) -> PortResult<Access> {
        let user = self.gateway.session().login.user().to_owned();
        let asked = stream::iter(rights.to_vec()).map(|right| async {
            let names = if right.names.is_empty() { vec![String::new()] } else { right.names.clone() };
            let mut denied = Vec::new();
            for name in names {
                if !self.review(&right, &name).await? {
                    denied.extend(Some(name).filter(|name| !name.is_empty()));
                    continue;
                }
                if right.names.is_empty() {
                    return Ok(None);
                }
            }
            if denied.is_empty() && !right.names.is_empty() {
                return Ok(None);
            }
            let namespace = match right.scope {
                Scope::Namespace => Some(self.target.namespace.clone()),
                Scope::Cluster => None,
            };
            Ok::<_, PortError>(Some(Missing {
                right: Right { names: denied, ..right },
                namespace,
                user: user.clone(),
            }))
        });
        // In order, a few at a time: as many questions as rights on one connection would be rude.
        let missing: Vec<Option<Missing>> = asked.buffered(AT_ONCE).try_collect().await?;
        let missing: Vec<Missing> = missing.into_iter().flatten().collect();
        let may_patch = |resource: &Resource| {
            let asked = |right: &Right| right.verb == Verb::Patch && right.in_roles() == resource.in_roles();
            let lacks = missing.iter().any(|missing| asked(&missing.right));
            rights.iter().any(asked).then_some(!lacks)
        };
        let directs = match &self.target.director {
            Director::Route(_) => &HTTP_ROUTES,
            Director::Selector | Director::Replicas | Director::Rollout => &SERVICES,
        };
        let (patch_service, patch_deployments) = (may_patch(directs), may_patch(&DEPLOYMENTS));
        Ok(Access { patch_service, patch_deployments, missing, at: self.clock.now() })
    }

    /// Whether a verb on an object of the namespace is allowed to us.
    pub(super) async fn may(&self, verb: Verb, resource: &Resource, name: &str) -> PortResult<bool> {
        let right = Right {
            verb,
            group: resource.group.to_string(),
            resource: resource.plural.to_string(),
            names: Vec::new(),
            scope: Scope::Namespace,
            weight: Weight::Run,
            what_for: String::new(),
            without: String::new(),
        };
        self.review(&right, name).await
    }

    /// Asked of the server and not worked out from roles: webhooks and other authorizers have a say as well.
    async fn review(&self, right: &Right, name: &str) -> PortResult<bool> {
        let (resource, subresource) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
        let namespace = match right.scope {
            Scope::Namespace => self.target.namespace.as_str(),
            Scope::Cluster => "",
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": namespace,
                "verb": right.verb.as_str(),
                "group": right.group,
                "resource": resource,
                "subresource": subresource,
                "name": name,
            } },
        });
        let answer: Value = self.gateway.read(&Call::ask(&ACCESS_REVIEWS, &review)).await?;
        Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
    }
}
