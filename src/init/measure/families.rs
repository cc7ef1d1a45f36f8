//! The usual metrics of requests and of how long they take, and the usual labels.

/// A counter of requests, with the labels that may hold the status.
pub(super) struct Requests {
    pub(super) name: &'static str,
    pub(super) statuses: &'static [&'static str],
    /// What belongs into every selector of it.
    pub(super) only: &'static str,
}

/// A histogram of how long requests took.
pub(super) struct Durations {
    pub(super) name: &'static str,
    /// The unit of its buckets.
    pub(super) unit: &'static str,
    pub(super) only: &'static str,
}

const fn requests(name: &'static str, statuses: &'static [&'static str]) -> Requests {
    Requests { name, statuses, only: "" }
}

const fn durations(name: &'static str, unit: &'static str) -> Durations {
    Durations { name, unit, only: "" }
}

/// Where a proxy measures twice, once at each end: what the server's side saw.
const AT_THE_SERVER: &str = "reporter=\"destination\"";

/// The application's own first: they know more than what stands before it.
pub(super) const REQUESTS: &[Requests] = &[
    requests("http_requests_total", &["code", "status", "status_code", "response_code", "http_status"]),
    // OpenTelemetry's semantic conventions, stable and before.
    requests(
        "http_server_request_duration_seconds_count",
        &["http_response_status_code", "status_code", "code"],
    ),
    requests("http_server_duration_milliseconds_count", &["http_status_code", "http_response_status_code"]),
    requests("http_request_duration_seconds_count", &["code", "status", "status_code", "response_code"]),
    // Micrometer.
    requests("http_server_requests_seconds_count", &["status"]),
    Requests { name: "istio_requests_total", statuses: &["response_code"], only: AT_THE_SERVER },
    requests("nginx_ingress_controller_requests", &["status"]),
    requests("traefik_service_requests_total", &["code"]),
    requests("envoy_cluster_upstream_rq", &["envoy_response_code"]),
];

pub(super) const DURATIONS: &[Durations] = &[
    durations("http_request_duration_seconds_bucket", "s"),
    durations("http_server_request_duration_seconds_bucket", "s"),
    durations("http_server_duration_milliseconds_bucket", "ms"),
    durations("http_server_requests_seconds_bucket", "s"),
    Durations { name: "istio_request_duration_milliseconds_bucket", unit: "ms", only: AT_THE_SERVER },
    durations("nginx_ingress_controller_request_duration_seconds_bucket", "s"),
    durations("traefik_service_request_duration_seconds_bucket", "s"),
    durations("envoy_cluster_upstream_rq_time_bucket", "ms"),
];

/// Labels that hold a pod's name, a namespace, and an application.
pub(super) const PODS: &[&str] = &["pod", "kubernetes_pod_name", "k8s_pod_name", "pod_name"];
pub(super) const NAMESPACES: &[&str] = &[
    "namespace",
    "kubernetes_namespace",
    "k8s_namespace_name",
    "destination_workload_namespace",
    "exported_namespace",
];
pub(super) const APPLICATIONS: &[&str] = &["service", "app", "job"];
/// Labels that may hold a Deployment's name.
pub(super) const DEPLOYMENTS: &[&str] =
    &["deployment", "workload", "destination_workload", "k8s_deployment_name", "kubernetes_deployment_name"];
/// Labels that may hold a revision's hash, and a version.
pub(super) const HASHES: &[&str] =
    &["pod_template_hash", "label_pod_template_hash", "pod_label_pod_template_hash"];
pub(super) const VERSIONS: &[&str] = &["version", "app_version", "service_version", "destination_version"];
