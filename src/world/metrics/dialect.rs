//! The names under which others know the same traffic: meshes, ingress controllers, OpenTelemetry, and what service discovery
//! makes of a pod's labels.
//!
//! A runbook that was written for a real cluster asks its Prometheus by the names of that cluster. In a rehearsal there is one
//! application, measured once; what it counts answers under all of these names. A name that the simulated application has
//! itself always means that. Buckets are in seconds, under names that say milliseconds too.

use super::labels::Labels;

const REQUESTS: &str = "http_requests_total";
const BUCKETS: &str = "http_request_duration_seconds_bucket";

/// Metrics of others, and what they are here.
const METRICS: &[(&str, &str)] = &[
    ("http_server_request_duration_seconds_count", REQUESTS),
    ("http_server_duration_milliseconds_count", REQUESTS),
    ("http_server_requests_seconds_count", REQUESTS),
    ("istio_requests_total", REQUESTS),
    ("nginx_ingress_controller_requests", REQUESTS),
    ("traefik_service_requests_total", REQUESTS),
    ("envoy_cluster_upstream_rq", REQUESTS),
    ("http_server_request_duration_seconds_bucket", BUCKETS),
    ("http_server_duration_milliseconds_bucket", BUCKETS),
    ("http_server_requests_seconds_bucket", BUCKETS),
    ("istio_request_duration_milliseconds_bucket", BUCKETS),
    ("nginx_ingress_controller_request_duration_seconds_bucket", BUCKETS),
    ("traefik_service_request_duration_seconds_bucket", BUCKETS),
    ("envoy_cluster_upstream_rq_time_bucket", BUCKETS),
];

/// Labels of others, and which of ours has the value.
const LABELS: &[(&str, &str)] = &[
    ("status", "code"),
    ("status_code", "code"),
    ("response_code", "code"),
    ("http_status", "code"),
    ("http_status_code", "code"),
    ("http_response_status_code", "code"),
    ("envoy_response_code", "code"),
    ("workload", "deployment"),
    ("destination_workload", "deployment"),
    ("k8s_deployment_name", "deployment"),
    ("kubernetes_deployment_name", "deployment"),
    ("kubernetes_namespace", "namespace"),
    ("k8s_namespace_name", "namespace"),
    ("destination_workload_namespace", "namespace"),
    ("exported_namespace", "namespace"),
    ("kubernetes_pod_name", "pod"),
    ("k8s_pod_name", "pod"),
    ("pod_name", "pod"),
    ("app_version", "version"),
    ("service_version", "version"),
    ("destination_version", "version"),
    ("service", "job"),
    ("app", "job"),
];

/// The metric that another's name means.
pub(super) fn metric(name: &str) -> Option<&'static str> {
    METRICS.iter().find(|(other, _)| *other == name).map(|(_, own)| *own)
}

/// The value of a label by any of its names; empty where there is none.
pub(super) fn value<'a>(labels: &'a Labels, name: &str) -> &'a str {
    let own = labels.get(name);
    if !own.is_empty() {
        return own;
    }
    // The application's side of a connection is the only one here.
    if name == "reporter" {
        return "destination";
    }
    let bare = name.strip_prefix("pod_").unwrap_or(name);
    if let Some(bare) = bare.strip_prefix("label_") {
        return labels.get(bare);
    }
    LABELS.iter().find(|(other, _)| *other == name).map_or("", |(_, own)| labels.get(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_mean_what_is_measured_and_own_ones_themselves() {
        assert_eq!((metric("istio_requests_total"), metric("up")), (Some(REQUESTS), None));
        let labels =
            Labels::new([("code", "500"), ("track", "stable"), ("deployment", "shop"), ("status", "own")]);
        assert_eq!(value(&labels, "response_code"), "500");
        assert_eq!(value(&labels, "status"), "own");
        assert_eq!(value(&labels, "label_track"), "stable");
        assert_eq!(value(&labels, "pod_label_track"), "stable");
        assert_eq!(value(&labels, "destination_workload"), "shop");
        assert_eq!(value(&labels, "nothing"), "");
    }
}
