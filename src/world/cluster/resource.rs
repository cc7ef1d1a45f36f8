//! The resources that exist, and their paths.

/// The kinds of objects that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Namespace,
    Node,
    Service,
    Endpoints,
    EndpointSlice,
    ConfigMap,
    Event,
    Deployment,
    ReplicaSet,
    Pod,
    Lease,
    HorizontalPodAutoscaler,
    Gateway,
    HttpRoute,
}

impl Kind {
    /// Whether `metadata.generation` counts the changes of the spec.
    pub(super) fn has_generation(self) -> bool {
        matches!(self, Self::Deployment | Self::ReplicaSet | Self::Gateway | Self::HttpRoute)
    }
}

/// The group of the Gateway API, which only clusters with its custom resources have.
pub(super) const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// One resource as discovery announces it. Core Events are announced twice: `events.k8s.io` shows the same objects
/// in its own shape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) kind: Kind,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) name: &'static str,
    pub(super) short: &'static [&'static str],
    pub(super) namespaced: bool,
    /// Part of `kubectl get all`.
    pub(super) in_all: bool,
    pub(super) subresources: &'static [&'static str],
}

const fn resource(
    kind: Kind,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    singular: &'static str,
    name: &'static str,
) -> Resource {
    Resource {
        kind,
        group,
        version,
        plural,
        singular,
        name,
        short: &[],
        namespaced: true,
        in_all: false,
        subresources: &[],
    }
}

/// Every resource, in the order discovery lists them.
pub(super) static RESOURCES: &[Resource] = &[
    Resource {
        short: &["cm"],
        ..resource(Kind::ConfigMap, "", "v1", "configmaps", "configmap", "ConfigMap")
    },
    Resource { short: &["ep"], ..resource(Kind::Endpoints, "", "v1", "endpoints", "endpoints", "Endpoints") },
    Resource { short: &["ev"], ..resource(Kind::Event, "", "v1", "events", "event", "Event") },
    Resource {
        short: &["ns"],
        namespaced: false,
        subresources: &["status"],
        ..resource(Kind::Namespace, "", "v1", "namespaces", "namespace", "Namespace")
    },
    Resource {
        short: &["no"],
        namespaced: false,
        subresources: &["status"],
        ..resource(Kind::Node, "", "v1", "nodes", "node", "Node")
    },
    Resource {
        short: &["po"],
        in_all: true,
        subresources: &["log", "status", "eviction"],
        ..resource(Kind::Pod, "", "v1", "pods", "pod", "Pod")
    },
    Resource {
        short: &["svc"],
        in_all: true,
        subresources: &["status"],
        ..resource(Kind::Service, "", "v1", "services", "service", "Service")
    },
    Resource {
        short: &["deploy"],
        in_all: true,
        subresources: &["scale", "status"],
        ..resource(Kind::Deployment, "apps", "v1", "deployments", "deployment", "Deployment")
    },
    Resource {
        short: &["rs"],
        in_all: true,
        subresources: &["scale", "status"],
        ..resource(Kind::ReplicaSet, "apps", "v1", "replicasets", "replicaset", "ReplicaSet")
    },
    Resource { short: &["ev"], ..resource(Kind::Event, "events.k8s.io", "v1", "events", "event", "Event") },
    Resource {
        short: &["hpa"],
        in_all: true,
        subresources: &["status"],
        ..resource(
            Kind::HorizontalPodAutoscaler,
            "autoscaling",
            "v2",
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
            "HorizontalPodAutoscaler",
        )
    },
    Resource {
        short: &["hpa"],
        in_all: true,
        subresources: &["status"],
        ..resource(
            Kind::HorizontalPodAutoscaler,
            "autoscaling",
            "v1",
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
            "HorizontalPodAutoscaler",
        )
    },
    resource(Kind::Lease, "coordination.k8s.io", "v1", "leases", "lease", "Lease"),
    resource(
        Kind::EndpointSlice,
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "endpointslice",
        "EndpointSlice",
    ),
    Resource {
        short: &["gtw"],
        subresources: &["status"],
        ..resource(Kind::Gateway, GATEWAY_API, "v1", "gateways", "gateway", "Gateway")
    },
    Resource {
        subresources: &["status"],
        ..resource(Kind::HttpRoute, GATEWAY_API, "v1", "httproutes", "httproute", "HTTPRoute")
    },
];

/// Resources that answer one POST and store nothing.
pub(super) static REVIEWS: &[(&str, &str, &str, &str)] = &[
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview"),
];

impl Resource {
    /// `v1`, `apps/v1`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `services`, `deployments.apps`: how error messages name it.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The resource that `kind` is stored as.
    pub(super) fn of(kind: Kind) -> &'static Self {
        // Every kind is in the table; the first row is the stored shape.
        RESOURCES.iter().find(|resource| resource.kind == kind).unwrap_or(&RESOURCES[0])
    }

    /// Whether objects are shown in another shape than they are stored in.
    pub(super) fn is_event_view(&self) -> bool {
        self.group == "events.k8s.io"
    }

    /// Whether this is a custom resource: checked by a schema, and patched without knowledge of its lists.
    pub(super) fn is_custom(&self) -> bool {
        self.group == GATEWAY_API
    }

    /// Whether `status` is written through its own subresource only.
    pub(super) fn has_status(&self) -> bool {
        self.subresources.contains(&"status")
    }
}

/// A path below a group's version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/version`
    Version,
    /// `/healthz`, `/livez`, `/readyz`
    Health,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    Resources(String, String),
    /// `/openapi/v3`, or the part of it for one group and version.
    OpenApi(Option<(String, String)>),
    /// A review that stores nothing: its kind.
    Review(&'static str),
    /// Objects.
    Objects(Target),
    /// Nothing we know.
    Unknown,
}

/// Reads a path (without its query).
pub(super) fn route(path: &str) -> Route {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["version"] => Route::Version,
        ["healthz" | "livez" | "readyz", ..] => Route::Health,
        ["openapi", "v3"] => Route::OpenApi(None),
        ["openapi", "v3", "api", "v1"] => Route::OpenApi(Some((String::new(), "v1".to_owned()))),
        ["openapi", "v3", "apis", group, version] => {
            Route::OpenApi(Some(((*group).to_owned(), (*version).to_owned())))
        }
        ["api"] => Route::CoreVersions,
        ["apis"] => Route::Groups,
        ["api", "v1"] => Route::Resources(String::new(), "v1".to_owned()),
        ["apis", group] => Route::Group((*group).to_owned()),
        ["apis", group, version] => Route::Resources((*group).to_owned(), (*version).to_owned()),
        ["api", "v1", rest @ ..] => objects("", "v1", rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        _ => Route::Unknown,
    }
}

/// The namespace that a path goes into, and what follows in it. `namespaces/x` and `namespaces/x/status` are the Namespace
/// itself; anything longer is inside it.
fn inside<'p>(rest: &'p [&'p str]) -> (Option<String>, &'p [&'p str]) {
    match rest {
        ["namespaces", namespace, inner @ ..] if !matches!(inner, [] | ["status" | "finalize", ..]) => {
            (Some((*namespace).to_owned()), inner)
        }
        rest => (None, rest),
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Route {
    if let [plural] = rest
        && let Some(review) =
            REVIEWS.iter().find(|review| (review.0, review.1, review.2) == (group, version, *plural))
    {
        return Route::Review(review.3);
    }
    let (namespace, rest) = inside(rest);
    let (plural, name, subresource) = match rest {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some((*name).to_owned()), None),
        [plural, name, subresource] => (*plural, Some((*name).to_owned()), Some((*subresource).to_owned())),
        _ => return Route::Unknown,
    };
    let found = RESOURCES.iter().find(|resource| {
        (resource.group, resource.version, resource.plural) == (group, version, plural)
            && (resource.namespaced || namespace.is_none())
    });
    match found {
        Some(resource) if resource.namespaced && namespace.is_none() && name.is_some() => Route::Unknown,
        Some(resource) => Route::Objects(Target { resource, namespace, name, subresource }),
        None => Route::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        match route(path) {
            Route::Objects(target) => target,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn paths_are_read() {
        let scale = target("/apis/apps/v1/namespaces/production/deployments/backend-blue/scale");
        assert_eq!(scale.resource.kind, Kind::Deployment);
        assert_eq!(scale.namespace.as_deref(), Some("production"));
        assert_eq!(scale.name.as_deref(), Some("backend-blue"));
        assert_eq!(scale.subresource.as_deref(), Some("scale"));
        assert_eq!(target("/api/v1/namespaces/kube-system").resource.kind, Kind::Namespace);
        assert_eq!(target("/api/v1/pods").namespace, None);
        assert!(target("/apis/events.k8s.io/v1/namespaces/x/events").resource.is_event_view());
        assert_eq!(
            route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
            Route::Review("SelfSubjectAccessReview")
        );
        assert_eq!(route("/api/v1/pods/x"), Route::Unknown, "a pod lives in a namespace");
        assert_eq!(route("/openapi/v2"), Route::Unknown);
    }
}
