//! Which of the usual metrics a Prometheus has, by which label they tell the slots apart, and the queries that follow.
//!
//! ```text
//! for each family:  is there any series? ─▶ which label is the slot's? ─▶ which one is the status? ─▶ the query
//!                                                                                                      │
//!                              kept only if it gives one number now for the slot that has the users ◀──┘
//! ```
//!
//! A slot without pods gives no number, and one without users has nothing to divide; that is told, and is no reason to drop a
//! query. More than one number always is. Errors are counted: evidence can judge them only by their counters.

mod families;

use async_trait::async_trait;
use promql_parser::util::escape_string;

use self::families::{
    APPLICATIONS, DEPLOYMENTS, DURATIONS, HASHES, NAMESPACES, PODS, REQUESTS, Requests, VERSIONS,
};
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

/// How a metric is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// By a query, with the slot's places.
    Query(String),
    /// By its counters: bad events out of all, as selectors with the slot's places. Evidence can judge it.
    Counted {
        /// The bad ones.
        bad: String,
        /// All.
        all: String,
    },
}

/// A metric that gives one number a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundMetric {
    /// Its key in the runbook.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// How it is measured.
    pub measure: Measure,
    /// The unit, as a runbook writes it.
    pub unit: &'static str,
    /// The bound within which nothing needs to be done.
    pub normal: String,
    /// The bound beyond which somebody must act.
    pub alert: String,
    /// Of a counted metric: the share of bad events that is harmless, as a runbook writes it. None where even twice the usual
    /// share is no share that a release could be worse than.
    pub harmless: Option<String>,
    /// What was seen: one line for each.
    pub found: Vec<String>,
}

/// How far `rate` looks back, the shortest first: it needs two scrapes.
const WINDOWS: &[&str] = &["1m", "5m"];

/// From this share of bad events on, in percent, nothing could be called worse.
const MOST_HARMLESS: f64 = 50.0;

/// How a gap says that the slots can't be told apart.
const NO_REVISION: &str = "no label of them is that of";

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
    // Without it nothing in Prometheus could tell an old pod from a new one.
    if subject.one && measured.gaps.iter().any(|gap| gap.contains(NO_REVISION)) {
        measured.gaps.push(
            "have Prometheus copy the pods' label pod-template-hash to their series (relabel \
             __meta_kubernetes_pod_label_pod_template_hash to pod_template_hash), then run init again"
                .to_owned(),
        );
    }
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
        "{metric} has {count} series, and {NO_REVISION} {}; its labels: {}",
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

/// The same, or nothing where another family must do: what was seen of this one is kept, for whoever finds none.
async fn usable(
    numbers: &dyn Numbers,
    subject: &Subject,
    (metric, only): (&str, &str),
    seen: &mut Vec<String>,
) -> Result<Option<Selected>, String> {
    match select(numbers, subject, metric, only).await {
        Ok(selected) => Ok(Some(selected)),
        Err(Useless::Absent) => Ok(None),
        Err(Useless::Silent(why)) => Err(silent(&why)),
        Err(Useless::Seen(what)) => {
            seen.push(what);
            Ok(None)
        }
    }
}

/// The first family that gives one number for each slot. What the others lacked is told, since one of them may be the one
/// that people mean.
async fn errors(numbers: &dyn Numbers, subject: &Subject) -> Result<FoundMetric, String> {
    let mut seen = Vec::new();
    for family in REQUESTS {
        let Some(selected) = usable(numbers, subject, (family.name, family.only), &mut seen).await? else {
            continue;
        };
        let Selected { matchers, labels } = &selected;
        let Some(status) = status_label(numbers, subject, family, &selected).await else {
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
            Ok(found) => return Ok(error_rate(family, matchers, status, found)),
            Err(why) => seen.push(format!("{}: {why}", family.name)),
        }
    }
    Err(nothing("requests", "http_requests_total", &seen))
}

/// Which of a family's labels has the status code; the first of which there are series, as it were to be asked.
async fn status_label(
    numbers: &dyn Numbers,
    subject: &Subject,
    family: &Requests,
    Selected { matchers, labels }: &Selected,
) -> Option<&'static str> {
    for label in family.statuses.iter().filter(|it| labels.is_empty() || labels.iter().any(|own| own == *it))
    {
        let classes = joined(&[&format!("{label}=~\"[1-5][0-9][0-9]\""), matchers]);
        if finds(numbers, subject, family.name, &classes).await {
            return Some(*label);
        }
    }
    None
}

/// The metric, with bounds that stand above what is measured now: a page that alerts from the first minute on teaches people to
/// pass over it.
fn error_rate(family: &Requests, matchers: &str, status: &str, found: Seen) -> FoundMetric {
    let Seen { query, window, values, now } = found;
    // In tenths of a percent, twice what is usual.
    let normal = (now * 2_000.0).round().max(5.0) / 10.0;
    let harmless = (now * 2_000.0).ceil().max(1.0) / 10.0;
    // The counters themselves, where they are scraped often enough for the share of a minute.
    let counted = window == WINDOWS[0];
    let failed = joined(&[&format!("{status}=~\"5..\""), matchers]);
    let measure = if counted {
        Measure::Counted {
            bad: format!("{}{{{failed}}}", family.name),
            all: format!("{}{{{matchers}}}", family.name),
        }
    } else {
        Measure::Query(query)
    };
    FoundMetric {
        id: "error_rate",
        title: "Error rate",
        measure,
        unit: "percent",
        normal: format!("< {normal}%"),
        alert: format!("> {}%", normal * 2.0),
        harmless: (counted && harmless < MOST_HARMLESS).then(|| format!("{harmless}%")),
        found: vec![format!("{} tells the slots apart; now {values}", family.name)],
    }
}

/// The 95th percentile: the mean hides what the slowest users meet, and the 99th needs more requests than most services
/// have in a minute.
async fn latency(numbers: &dyn Numbers, subject: &Subject) -> Result<FoundMetric, String> {
    let mut seen = Vec::new();
    for family in DURATIONS {
        let Some(selected) = usable(numbers, subject, (family.name, family.only), &mut seen).await? else {
            continue;
        };
        let query = |window: &str| {
            format!(
                "histogram_quantile(0.95, sum by (le) (rate({}{{{}}}[{window}])))",
                family.name, selected.matchers
            )
        };
        let unit = if family.unit == "s" { Unit::S } else { Unit::Ms };
        match one_number(numbers, subject, unit, query).await {
            Ok(Seen { query, values, now, .. }) => {
                let millis = if family.unit == "s" { now * 1_000.0 } else { now };
                // Twice what is usual, in steps of 50 ms; what is fast already may well be slower.
                let normal = ((millis * 2.0 / 50.0).ceil() * 50.0).max(300.0);
                return Ok(FoundMetric {
                    id: "latency",
                    title: "P95 latency",
                    measure: Measure::Query(query),
                    unit: family.unit,
                    normal: format!("< {normal}ms"),
                    alert: format!("> {}ms", normal * 2.0),
                    harmless: None,
                    found: vec![format!("{} tells the slots apart; now {values}", family.name)],
                });
            }
            Err(why) => seen.push(format!("{}: {why}", family.name)),
        }
    }
    Err(nothing("durations", "http_request_duration_seconds", &seen))
}

/// A query that gave one number.
struct Seen {
    query: String,
    /// How far it looks back.
    window: &'static str,
    /// The slots' values in words.
    values: String,
    /// The number of the slot that has the users.
    now: f64,
}

/// Tries a query for each slot.
async fn one_number(
    numbers: &dyn Numbers,
    subject: &Subject,
    unit: Unit,
    query: impl Fn(&str) -> String,
) -> Result<Seen, String> {
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
            return Ok(Seen { query, window, values: values.join(", "), now });
        }
    }
    Err(why)
}

/// Empty parts leave no comma behind, which PromQL would refuse.
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
