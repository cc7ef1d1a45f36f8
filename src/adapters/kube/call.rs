//! One request to the API server, as data: the verb and the object. Paths are built only here.

use std::borrow::Cow;

use hyper::Method;
use serde_json::Value;

use crate::domain::action::PatchType;

/// A kind of object and where the API server keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// The API group; empty for the core group.
    pub(super) group: Cow<'static, str>,
    /// The group's version.
    pub(super) version: Cow<'static, str>,
    /// The name in paths and in roles, `deployments`.
    pub(super) plural: Cow<'static, str>,
    /// The word for people, `deployment`.
    pub(super) word: Cow<'static, str>,
}

impl Resource {
    /// A resource known when the program was written.
    pub(super) const fn known(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        word: &'static str,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            word: Cow::Borrowed(word),
        }
    }

    /// As a role names it: `deployments.apps`.
    pub(super) fn in_roles(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

/// Services.
pub(super) static SERVICES: Resource = Resource::known("", "v1", "services", "service");
/// Pods.
pub(super) static PODS: Resource = Resource::known("", "v1", "pods", "pod");
/// Events of the core group, which every release serves.
pub(super) static EVENTS: Resource = Resource::known("", "v1", "events", "event");
/// Nodes.
pub(super) static NODES: Resource = Resource::known("", "v1", "nodes", "node");
/// Namespaces.
pub(super) static NAMESPACES: Resource = Resource::known("", "v1", "namespaces", "namespace");
/// Deployments.
pub(super) static DEPLOYMENTS: Resource = Resource::known("apps", "v1", "deployments", "deployment");
/// What Deployments make of each of their templates.
pub(super) static REPLICA_SETS: Resource = Resource::known("apps", "v1", "replicasets", "replicaset");
/// Autoscalers, in the version that every release since 1.2 serves.
pub(super) static AUTOSCALERS: Resource =
    Resource::known("autoscaling", "v1", "horizontalpodautoscalers", "horizontalpodautoscaler");
/// What a Service leads to, as its proxies are told it: since Kubernetes 1.21, and before. What is read of them is the same.
pub(super) static ENDPOINT_SLICES: [Resource; 2] = [
    Resource::known("discovery.k8s.io", "v1", "endpointslices", "endpointslice"),
    Resource::known("discovery.k8s.io", "v1beta1", "endpointslices", "endpointslice"),
];
/// Routes of the Gateway API.
pub(super) static HTTP_ROUTES: Resource =
    Resource::known("gateway.networking.k8s.io", "v1", "httproutes", "httproute");
/// Pod disruption budgets, since Kubernetes 1.21.
pub(super) static BUDGETS: Resource =
    Resource::known("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget");
/// The same for releases before 1.21, which answer 404 to the other.
pub(super) static OLD_BUDGETS: Resource =
    Resource::known("policy", "v1beta1", "poddisruptionbudgets", "poddisruptionbudget");
/// Leases: locks that everybody respects who would change the same target.
pub(super) static LEASES: Resource = Resource::known("coordination.k8s.io", "v1", "leases", "lease");
/// Configuration objects: where a run's copy is kept.
pub(super) static CONFIG_MAPS: Resource = Resource::known("", "v1", "configmaps", "configmap");
/// The question "may I?".
pub(super) static ACCESS_REVIEWS: Resource =
    Resource::known("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "access review");

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
    accept: &'static str,
    /// Whether it changes something, so that silence after it means "maybe done".
    pub(super) writes: bool,
    /// The verb as roles have it.
    pub(super) verb: &'static str,
    /// What kind of object; nothing for paths that are no resources.
    pub(super) resource: Option<Resource>,
    /// The namespace, where the object has one.
    pub(super) namespace: Option<String>,
    /// The object's name, where one is meant.
    pub(super) name: Option<String>,
}

impl Call {
    /// A path that is not a resource, such as `/version`.
    pub(super) fn path(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: Vec::new(),
            body: None,
            // Logs are plain text; everything else is asked for as JSON.
            accept: "application/json, */*",
            writes: false,
            verb: "get",
            resource: None,
            namespace: None,
            name: None,
        }
    }

    /// Reads one object.
    pub(super) fn get(resource: &Resource, namespace: Option<&str>, name: &str) -> Self {
        let mut call = Self::path(&path_of(resource, namespace, Some(name)));
        call.resource = Some(resource.clone());
        call.namespace = namespace.map(str::to_owned);
        call.name = Some(name.to_owned());
        call
    }

    /// Reads all objects of a kind, in a namespace or everywhere.
    pub(super) fn list(resource: &Resource, namespace: Option<&str>) -> Self {
        let mut call = Self::path(&path_of(resource, namespace, None));
        call.resource = Some(resource.clone());
        call.namespace = namespace.map(str::to_owned);
        call.verb = "list";
        call
    }

    /// Asks with a body. Only for kinds that store nothing, such as access reviews: it counts as a read.
    pub(super) fn ask(resource: &Resource, body: &Value) -> Self {
        let mut call = Self::list(resource, None);
        call.method = Method::POST;
        call.verb = "create";
        call.body = Some(("application/json", body.to_string().into_bytes()));
        call
    }

    /// Changes one object.
    pub(super) fn patch(
        resource: &Resource,
        namespace: Option<&str>,
        name: &str,
        kind: PatchType,
        body: &Value,
    ) -> Self {
        let content = match kind {
            PatchType::Json => "application/json-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Strategic => "application/strategic-merge-patch+json",
        };
        let mut call = Self::get(resource, namespace, name);
        call.method = Method::PATCH;
        call.verb = "patch";
        call.writes = true;
        call.body = Some((content, body.to_string().into_bytes()));
        call
    }

    /// Makes an object, which must not exist yet.
    pub(super) fn create(resource: &Resource, namespace: &str, name: &str, body: &Value) -> Self {
        let mut call = Self::list(resource, Some(namespace));
        call.method = Method::POST;
        call.verb = "create";
        call.writes = true;
        call.name = Some(name.to_owned());
        call.body = Some(("application/json", body.to_string().into_bytes()));
        call
    }

    /// Puts an object in the place of the one whose uid and `resourceVersion` stand in the body.
    pub(super) fn replace(resource: &Resource, namespace: &str, name: &str, body: &Value) -> Self {
        let mut call = Self::get(resource, Some(namespace), name);
        call.method = Method::PUT;
        call.verb = "update";
        call.writes = true;
        call.body = Some(("application/json", body.to_string().into_bytes()));
        call
    }

    /// Deletes one object, in the very version that was read.
    pub(super) fn delete(resource: &Resource, namespace: &str, name: &str, uid: &str, version: &str) -> Self {
        let mut call = Self::get(resource, Some(namespace), name);
        let options = serde_json::json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": { "uid": uid, "resourceVersion": version },
        });
        call.method = Method::DELETE;
        call.verb = "delete";
        call.writes = true;
        call.body = Some(("application/json", options.to_string().into_bytes()));
        call
    }

    /// Asks a list for the objects' metadata alone. A server that knows no such thing sends whole objects, which read the
    /// same.
    pub(super) fn metadata_only(mut self) -> Self {
        self.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
        self
    }

    /// Reads a part of an object, such as a pod's `log`.
    pub(super) fn subresource(mut self, name: &str) -> Self {
        self.path.push('/');
        self.path.push_str(name);
        if let Some(resource) = &mut self.resource {
            resource.plural = Cow::Owned(format!("{}/{name}", resource.plural));
        }
        self
    }

    /// The same as a watch, for what is said of it.
    pub(super) fn watching(mut self) -> Self {
        self.verb = "watch";
        self
    }

    /// Adds a query parameter.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// The call as it goes out.
    pub(super) fn request(&self) -> Result<hyper::Request<Vec<u8>>, hyper::http::Error> {
        let mut uri = self.path.clone();
        if !self.query.is_empty() {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&self.query);
            uri.push('?');
            uri.push_str(&query.finish());
        }
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(uri)
            .header(hyper::header::ACCEPT, self.accept);
        let body = match &self.body {
            Some((content, body)) => {
                request = request.header(hyper::header::CONTENT_TYPE, *content);
                body.clone()
            }
            None => Vec::new(),
        };
        request.body(body)
    }

    /// The object for people: `service/backend-service`, or `pods`, or the path.
    pub(super) fn object(&self) -> String {
        match (&self.resource, &self.name) {
            (Some(resource), Some(name)) => format!("{}/{name}", resource.word),
            (Some(resource), None) => resource.plural.to_string(),
            (None, _) => self.path.clone(),
        }
    }

    /// What is asked, for people: `patch service/backend-service in namespace prod`.
    pub(super) fn words(&self) -> String {
        let place = self.namespace.as_ref().map(|name| format!(" in namespace {name}")).unwrap_or_default();
        format!("{} {}{place}", self.verb, self.object())
    }
}

/// Whether a text can stand in a path as an object's name. Wider than any kind's own rule, yet without `/` and `%`.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    !text.is_empty() && text.len() <= 253 && text != "." && text != ".." && text.chars().all(plain)
}

fn path_of(resource: &Resource, namespace: Option<&str>, name: Option<&str>) -> String {
    let mut path = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    if let Some(namespace) = namespace {
        path.push_str("/namespaces/");
        path.push_str(namespace);
    }
    path.push('/');
    path.push_str(&resource.plural);
    if let Some(name) = name {
        path.push('/');
        path.push_str(name);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_group_namespace_and_object() {
        let call = Call::get(&DEPLOYMENTS, Some("prod"), "green");
        assert_eq!(call.request().unwrap().uri(), "/apis/apps/v1/namespaces/prod/deployments/green");
        let call = Call::list(&PODS, None).with("labelSelector", "app=a,version in (b)").with("limit", "5");
        assert_eq!(
            call.request().unwrap().uri(),
            "/api/v1/pods?labelSelector=app%3Da%2Cversion+in+%28b%29&limit=5"
        );
        let call = Call::get(&PODS, Some("prod"), "p").subresource("log");
        assert_eq!(call.request().unwrap().uri(), "/api/v1/namespaces/prod/pods/p/log");
        assert_eq!(call.words(), "get pod/p in namespace prod");
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        for bad in ["", ".", "..", "a/b", "a%2fb", "a?b", "a b", "ä", "a#b", &"x".repeat(254)] {
            assert!(!is_name(bad), "{bad}");
        }
        for good in ["backend-green", "a.b.c", "system:node:a", "x"] {
            assert!(is_name(good), "{good}");
        }
    }
}
