//! Error messages for objects that do not exist: what was looked for and where, and what exists instead.
//!
//! The lists asked for here are only for the sentence: whoever may not list gets it without names.

use serde::Deserialize;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{domain::safe_text::SafeText, engine::ports::PortResult};

use super::{
    KubeCluster,
    call::{Call, DEPLOYMENTS, HTTP_ROUTES, NAMESPACES, Resource, SERVICES},
};

/// Names that are told at most.
const TOLD: usize = 8;

/// An object with only its name.
#[derive(Deserialize)]
struct Named {
    metadata: ObjectMeta,
}

impl KubeCluster {
    /// The words for a Service that does not exist.
    pub async fn no_service(&self) -> String {
        self.no_service_named(&self.target.service).await
    }

    /// The same for one that a slot has of its own.
    pub(super) async fn no_service_named(&self, name: &str) -> String {
        let key = if name == self.target.service { "target.service" } else { "target.slots" };
        self.absent(&SERVICES, name, key).await
    }

    /// The words for a route that does not exist.
    pub async fn no_route(&self) -> String {
        self.absent(&HTTP_ROUTES, self.route_name().unwrap_or_default(), "target.route").await
    }

    /// The words for a Deployment that does not exist.
    pub async fn no_deployment(&self, name: &str) -> String {
        self.absent(&DEPLOYMENTS, name, "target.slots").await
    }

    async fn absent(&self, resource: &Resource, name: &str, key: &str) -> String {
        let namespace = self.target.namespace.as_str();
        let session = self.gateway.session();
        let place = format!("context {}, server {}", session.context, session.server);
        let looked: PortResult<Option<Named>> =
            self.gateway.find(&Call::get(&NAMESPACES, None, namespace)).await;
        if matches!(looked, Ok(None)) {
            let there = self.instead(&NAMESPACES, None, namespace).await;
            return format!(
                "namespace {namespace} not found ({place})\n{there}correct `target.namespace` in the \
                 runbook, or use another context"
            );
        }
        let there = self.instead(resource, Some(namespace), name).await;
        format!(
            "{} {name} not found in namespace {namespace} ({place})\n{there}correct `{key}` in the runbook, \
             or use another context or namespace",
            resource.word
        )
    }

    /// What there is, the most alike first, as a line of its own; nothing where it may not be listed.
    async fn instead(&self, resource: &Resource, namespace: Option<&str>, wanted: &str) -> String {
        let mut names: Vec<String> = Vec::new();
        let call = Call::list(resource, namespace).metadata_only();
        let listed = self.gateway.each(&call, |object: Named| names.extend(object.metadata.name)).await;
        match listed {
            Ok(()) if names.is_empty() => format!("it has no {}; ", resource.plural),
            Ok(()) => format!("it has these {}: {}; ", resource.plural, most_alike(names, wanted)),
            Err(_) => String::new(),
        }
    }
}

/// Names, the most alike first, and how many more there are.
pub(super) fn most_alike(mut names: Vec<String>, wanted: &str) -> String {
    let distance = |name: &String| strsim::damerau_levenshtein(name, wanted);
    names.sort_by_key(|name| (distance(name), name.clone()));
    let more = names.len().saturating_sub(TOLD);
    names.truncate(TOLD);
    let near = names.first().filter(|name| distance(name) <= wanted.len() / 2).cloned();
    let told = names.iter().map(|name| String::from(SafeText::new(name))).collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let near = near.map(|name| format!(" (did you mean {}?)", SafeText::new(&name))).unwrap_or_default();
    format!("{told}{more}{near}")
}

#[cfg(test)]
mod tests {
    use super::most_alike;

    #[test]
    fn the_most_alike_comes_first() {
        let names = ["zoo", "backend", "backend-svc"].map(str::to_owned).to_vec();
        assert_eq!(
            most_alike(names, "backend-service"),
            "backend-svc, backend, zoo (did you mean backend-svc?)"
        );
        let many = (0..10).map(|number| format!("x{number}")).collect();
        assert_eq!(most_alike(many, "backend-service"), "x0, x1, x2, x3, x4, x5, x6, x7 and 2 more");
    }
}
