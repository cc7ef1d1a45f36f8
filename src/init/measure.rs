//! Which of the usual metrics a Prometheus has, by which label they tell the slots apart, and the queries that follow.
//!
//! ```text
//! for each family:  is there any series? ─▶ which label is the slot's? ─▶ which one is the status? ─▶ the query
//!                                                                                                      │
//!                              kept only if it gives one number now for the slot that has the users ◀──┘
//! ```
//!
//! A slot without pods gives no number, and one without users has nothing to divide; that is told, and is no reason to drop a
//! query. More than one number always is.

use async_trait::async_trait;
use promql_parser::util::escape_string;

use super::shape::{Candidate, Shape};
use crate::domain::{
    metric::{Missing, Unit},
    run::tag_of,
    safe_text::SafeText,
    slot_labels::SlotLabels,
    survey::{FoundDeployment, Survey},
};

/// A Prometheus that answers questions about now.
#[async_trait]
pub trait Numbers: Send + Sync {
    /// The one number that a query gives now, with the slot's names filled in.
    ///
    /// # Errors
    /// Where there is none, several, or an old one.
    async fn number(&self, query: &str, slot: Option<&SlotLabels>) -> Result<f64, Missing>;

    /// The labels of a metric's series, the name apart.
    ///
    /// # Errors
    /// Where the server does not say.
    async fn labels(&self, metric: &str) -> Result<Vec<String>, Missing>;
}

/// What a Prometheus gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Queries that were tried and gave one number.
    pub metrics: Vec<FoundMetric>,
    /// What was seen where there is no query: one line for each.
    pub gaps: Vec<String>,
}

/// A query that gives one number a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundMetric {
    /// Its key in the runbook.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The query, with the slot's places.
    pub query: String,
    /// The unit, as a runbook writes it.
    pub unit: &'static str,
    /// The bound within which nothing needs to be done.
    pub normal: String,
    /// The bound beyond which somebody must act.
    pub alert: String,
    /// What was seen: one line for each.
    pub found: Vec<String>,
}

/// A counter of requests, with the labels that may hold the status.
struct Requests {
    name: &'static str,
    statuses: &'static [&'static str],
    /// What belongs into every selector of it.
    only: &'static str,
}

/// A histogram of how long requests took.
struct Durations {
    name: &'static str,
    /// The unit of its buckets.
    unit: &'static str,
    only: &'static str,
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
const REQUESTS: &[Requests] = &[
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

const DURATIONS: &[Durations] = &[
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
const PODS: &[&str] = &["pod", "kubernetes_pod_name", "k8s_pod_name", "pod_name"];
const NAMESPACES: &[&str] = &[
    "namespace",
    "kubernetes_namespace",
    "k8s_namespace_name",
    "destination_workload_namespace",
    "exported_namespace",
];
const APPLICATIONS: &[&str] = &["service", "app", "job"];
/// Labels that may hold a Deployment's name.
const DEPLOYMENTS: &[&str] =
    &["deployment", "workload", "destination_workload", "k8s_deployment_name", "kubernetes_deployment_name"];
/// Labels that may hold a revision's hash, and a version.
const HASHES: &[&str] = &["pod_template_hash", "label_pod_template_hash", "pod_label_pod_template_hash"];
const VERSIONS: &[&str] = &["version", "app_version", "service_version", "destination_version"];

/// How far `rate` looks back, the shortest first: it needs two scrapes.
const WINDOWS: &[&str] = &["1m", "5m"];

/// A slot as it is measured.
struct Side {
    labels: SlotLabels,
    /// It has pods, so its series must be there.
    has_pods: bool,
}

/// What the queries are about.
struct Subject {
    /// The one with the users first.
    sides: Vec<Side>,
    namespace: String,
    service: String,
    one: bool,
    /// Labels that may hold the slot's name.
    names: Vec<String>,
}

/// Asks a Prometheus for the usual metrics of what is to be deployed.
pub async fn measure(numbers: &dyn Numbers, survey: &Survey, candidate: &Candidate) -> Measured {
    let subject = Subject::of(survey, candidate);
    let mut measured = Measured::default();
    match errors(numbers, &subject).await {
        Ok(metric) => measured.metrics.push(metric),
        Err(gap) => measured.gaps.push(gap),
    }
    match latency(numbers, &subject).await {
        Ok(metric) => measured.metrics.push(metric),
        Err(gap) => measured.gaps.push(gap),
    }
    measured.gaps.dedup();
    measured
}

impl Subject {
    fn of(survey: &Survey, candidate: &Candidate) -> Self {
        let deployment = |name: &str| survey.deployment(name);
        let tag = |it: &FoundDeployment| {
            let image = it.containers.first().map(|container| container.image.as_str()).unwrap_or_default();
            tag_of(image).to_owned()
        };
        let side = |name: &str, deployment_name: &str| {
            let found = deployment(deployment_name);
            Side {
                labels: SlotLabels {
                    name: name.into(),
                    deployment: Some(deployment_name.to_owned()),
                    hash: found.and_then(|it| it.hash.clone()),
                    version: found.map(tag).filter(|tag| !tag.is_empty()),
                },
                has_pods: found.is_some_and(|it| it.ready > 0),
            }
        };
        let (sides, names) = match candidate.shape.slots() {
            Some(slots) => {
                let keys = slots[0].selector.keys();
                let names = keys.flat_map(|key| {
                    let key = sanitised(key);
                    [key.clone(), format!("label_{key}"), format!("pod_label_{key}")]
                });
                let sides = slots.iter().map(|slot| side(&slot.name, &slot.deployment)).collect();
                (sides, names.chain(["slot".to_owned()]).collect())
            }
            None => (candidate.shape.one().map(|name| side("old", name)).into_iter().collect(), Vec::new()),
        };
        Self {
            sides,
            namespace: survey.namespace.clone(),
            service: candidate.name.clone(),
            one: matches!(candidate.shape, Shape::One { .. }),
            names,
        }
    }

    /// Labels and what they may hold, in the order in which they are tried.
    fn ways(&self) -> Vec<(String, &'static str)> {
        let exact = |labels: &[&str], place: &'static str| -> Vec<(String, &'static str)> {
            labels.iter().map(|label| ((*label).to_owned(), place)).collect()
        };
        let mut ways: Vec<(String, &'static str)> = Vec::new();
        if self.one {
            ways.extend(exact(HASHES, "=\"$hash\""));
            ways.extend(exact(PODS, "=~\"$deployment-$hash-[a-z0-9]+\""));
            ways.extend(exact(VERSIONS, "=\"$version\""));
        } else {
            ways.extend(self.names.iter().map(|label| (label.clone(), "=\"$slot\"")));
            ways.extend(exact(DEPLOYMENTS, "=\"$deployment\""));
            ways.extend(exact(PODS, "=~\"$deployment-[a-z0-9]+-[a-z0-9]+\""));
            ways.extend(exact(HASHES, "=\"$hash\""));
        }
        ways
    }
}

/// A label of Kubernetes as Prometheus writes it.
fn sanitised(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// A metric with the selector that is a slot's.
struct Selected {
    /// What stands between the braces.
    matchers: String,
    labels: Vec<String>,
}

/// Why a metric is of no use.
enum Useless {
    /// It has no series.
    Absent,
    /// There is no Prometheus to ask.
    Silent(String),
    /// What was seen of it.
    Seen(String),
}

/// By which labels a metric's series are a slot's.
async fn select(
    numbers: &dyn Numbers,
    subject: &Subject,
    metric: &str,
    only: &str,
) -> Result<Selected, Useless> {
    let count = match numbers.number(&format!("count({metric}{{{only}}})"), None).await {
        Ok(count) => count,
        Err(Missing::Unreachable(why)) => return Err(Useless::Silent(why)),
        Err(Missing::NoData | Missing::Stale(_)) => return Err(Useless::Absent),
        Err(why) => return Err(Useless::Silent(why.to_string())),
    };
    let mut labels = numbers.labels(metric).await.unwrap_or_default();
    labels.retain(|label| label != "__name__");
    let known = |label: &String| labels.is_empty() || labels.contains(label);
    for (label, place) in subject.ways() {
        let matcher = format!("{label}{place}");
        if !known(&label) || !finds(numbers, subject, metric, &joined(&[only, &matcher])).await {
            continue;
        }
        let mut matchers = joined(&[only, &matcher]);
        let narrower = [(NAMESPACES, &subject.namespace), (APPLICATIONS, &subject.service)];
        for (names, value) in narrower {
            for name in names {
                let more = joined(&[&format!("{name}=\"{}\"", escape_string(value)), &matchers]);
                let fresh = *name != label && known(&(*name).to_owned());
                if fresh && finds(numbers, subject, metric, &more).await {
                    matchers = more;
                    break;
                }
            }
        }
        return Ok(Selected { matchers, labels });
    }
    let names = subject.sides.iter().map(|side| match (&side.labels.hash, subject.one) {
        (Some(hash), true) => format!("the revision {hash}"),
        _ => side.labels.name.to_string(),
    });
    Err(Useless::Seen(format!(
        "{metric} has {count} series, and no label of them is that of {}; its labels: {}",
        names.collect::<Vec<_>>().join(" or "),
        shown(&labels)
    )))
}

/// Whether each slot that has pods has series by these matchers.
async fn finds(numbers: &dyn Numbers, subject: &Subject, metric: &str, matchers: &str) -> bool {
    let query = format!("count({metric}{{{matchers}}})");
    let mut any = false;
    for side in subject.sides.iter().filter(|side| side.has_pods) {
        if numbers.number(&query, Some(&side.labels)).await.is_err() {
            return false;
        }
        any = true;
    }
    any
}

async fn errors(numbers: &dyn Numbers, subject: &Subject) -> Result<FoundMetric, String> {
    let mut seen = Vec::new();
    for family in REQUESTS {
        let selected = match select(numbers, subject, family.name, family.only).await {
            Ok(selected) => selected,
            Err(Useless::Absent) => continue,
            Err(Useless::Silent(why)) => return Err(silent(&why)),
            Err(Useless::Seen(what)) => {
                seen.push(what);
                continue;
            }
        };
        let Selected { matchers, labels } = &selected;
        let mut status = None;
        for label in
            family.statuses.iter().filter(|it| labels.is_empty() || labels.iter().any(|own| own == *it))
        {
            let classes = joined(&[&format!("{label}=~\"[1-5][0-9][0-9]\""), matchers]);
            if finds(numbers, subject, family.name, &classes).await {
                status = Some(label);
                break;
            }
        }
        let Some(status) = status else {
            seen.push(format!("{} has no label with the status; its labels: {}", family.name, shown(labels)));
            continue;
        };
        let query = |window: &str| {
            let (name, failed) = (family.name, joined(&[&format!("{status}=~\"5..\""), matchers]));
            format!(
                "(sum(rate({name}{{{failed}}}[{window}])) or vector(0)) / sum(rate({name}{{{matchers}}}[{window}]))"
            )
        };
        match one_number(numbers, subject, Unit::Percent, query).await {
            Ok((query, values, now)) => {
                // In tenths of a percent, twice what is usual.
                let normal = (now * 2_000.0).round().max(5.0) / 10.0;
                return Ok(FoundMetric {
                    id: "error_rate",
                    title: "Error rate",
                    query,
                    unit: "percent",
                    normal: format!("< {normal}%"),
                    alert: format!("> {}%", normal * 2.0),
                    found: vec![format!("{} tells the slots apart; now {values}", family.name)],
                });
            }
            Err(why) => seen.push(format!("{}: {why}", family.name)),
        }
    }
    Err(nothing("requests", "http_requests_total", &seen))
}

async fn latency(numbers: &dyn Numbers, subject: &Subject) -> Result<FoundMetric, String> {
    let mut seen = Vec::new();
    for family in DURATIONS {
        let selected = match select(numbers, subject, family.name, family.only).await {
            Ok(selected) => selected,
            Err(Useless::Absent) => continue,
            Err(Useless::Silent(why)) => return Err(silent(&why)),
            Err(Useless::Seen(what)) => {
                seen.push(what);
                continue;
            }
        };
        let query = |window: &str| {
            format!(
                "histogram_quantile(0.95, sum by (le) (rate({}{{{}}}[{window}])))",
                family.name, selected.matchers
            )
        };
        let unit = if family.unit == "s" { Unit::S } else { Unit::Ms };
        match one_number(numbers, subject, unit, query).await {
            Ok((query, values, now)) => {
                let millis = if family.unit == "s" { now * 1_000.0 } else { now };
                // Twice what is usual, in steps of 50 ms; what is fast already may well be slower.
                let normal = ((millis * 2.0 / 50.0).ceil() * 50.0).max(300.0);
                return Ok(FoundMetric {
                    id: "latency",
                    title: "P95 latency",
                    query,
                    unit: family.unit,
                    normal: format!("< {normal}ms"),
                    alert: format!("> {}ms", normal * 2.0),
                    found: vec![format!("{} tells the slots apart; now {values}", family.name)],
                });
            }
            Err(why) => seen.push(format!("{}: {why}", family.name)),
        }
    }
    Err(nothing("durations", "http_request_duration_seconds", &seen))
}

/// Tries a query for each slot. With the slots' values in words, and the number of the slot that has the users.
async fn one_number(
    numbers: &dyn Numbers,
    subject: &Subject,
    unit: Unit,
    query: impl Fn(&str) -> String,
) -> Result<(String, String, f64), String> {
    let mut why = String::new();
    'windows: for window in WINDOWS {
        let query = query(window);
        let mut values = Vec::new();
        let mut now = None;
        for side in &subject.sides {
            let name = &side.labels.name;
            match numbers.number(&query, Some(&side.labels)).await {
                Ok(value) => {
                    now = now.or(Some(value));
                    values.push(format!("{name}: {}", unit.show(value)));
                }
                Err(missing) if now.is_some() && (!side.has_pods || missing.is_no_traffic()) => {
                    let reason = if side.has_pods { "no requests" } else { "no pods" };
                    values.push(format!("{name}: {reason}"));
                }
                Err(missing) => {
                    why = format!("{name}: {missing}");
                    continue 'windows;
                }
            }
        }
        if let Some(now) = now {
            return Ok((query, values.join(", "), now));
        }
    }
    Err(why)
}

fn joined(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(",")
}

fn silent(why: &str) -> String {
    format!("Prometheus did not answer: {}", SafeText::new(why))
}

fn nothing(what: &str, example: &str, seen: &[String]) -> String {
    if seen.is_empty() {
        return format!("none of the usual metrics of {what} is there, such as {example}");
    }
    seen.join("; ")
}

/// Names of labels; of many the first ones.
fn shown(labels: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<String> = labels.iter().take(SHOWN).map(|label| SafeText::new(label).into()).collect();
    if labels.len() > SHOWN {
        names.push(format!("{} more", labels.len() - SHOWN));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
