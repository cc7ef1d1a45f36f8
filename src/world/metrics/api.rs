//! Prometheus's HTTP API over a [`Store`]: queries, metadata, federation and its own health.

use std::{collections::BTreeSet, fmt::Write as _};

use promql_parser::{label::METRIC_NAME, parser::VectorSelector, util::parse_duration};
use serde_json::{Number, Value as Json, json};

use super::{
    exposition::{Exposition, Family, Kind, Point, number},
    labels::Labels,
    store::{Sample, Store},
};
use crate::world::{
    promql::{Element, Engine, MAX_POINTS, QueryError, Range, Value},
    reply::Reply,
};

/// The version that the simulated server says it is: the rules it follows are those of Prometheus 3.
const VERSION: &str = "3.0.0";

/// A request's path and its parameters, of the query string and of a form alike.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path, without the query string.
    pub path: String,
    /// Decoded names and values in their order.
    pub params: Vec<(String, String)>,
}

impl Request {
    /// A request from a path, the raw query string and the body of a form (empty where there is none).
    #[must_use]
    pub fn new(path: &str, query: &str, form: &[u8]) -> Self {
        let decoded = |text| url::form_urlencoded::parse(text).into_owned();
        Self { path: path.to_owned(), params: decoded(query.as_bytes()).chain(decoded(form)).collect() }
    }

    /// A parameter; one that is empty counts as not given, as in Prometheus.
    fn param(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// Every value of a parameter that may be repeated.
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.params.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An instant in milliseconds: Unix seconds with a fraction, or RFC 3339.
    fn time(&self, name: &str) -> Result<Option<i64>, QueryError> {
        let Some(text) = self.param(name) else { return Ok(None) };
        let parsed = match text.parse::<f64>() {
            Ok(seconds) => to_millis(seconds),
            Err(_) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        };
        let wrong = || {
            let why =
                format!("Invalid time value for '{name}': cannot parse \"{text}\" to a valid timestamp");
            bad_parameter(name, why)
        };
        parsed.map(Some).ok_or_else(wrong)
    }

    /// A time that a range cannot do without.
    fn required_time(&self, name: &str) -> Result<i64, QueryError> {
        let text = self.param(name).unwrap_or_default();
        let wrong = || bad_parameter(name, format!("cannot parse \"{text}\" to a valid timestamp"));
        self.time(name).ok().flatten().ok_or_else(wrong)
    }

    /// A duration in milliseconds: seconds with a fraction, or Prometheus's own spelling such as `15s`.
    fn duration(&self, name: &str) -> Result<i64, QueryError> {
        let text = self.param(name).unwrap_or_default();
        let parsed = match text.parse::<f64>() {
            Ok(seconds) => to_millis(seconds),
            Err(_) => parse_duration(text).ok().and_then(|duration| i64::try_from(duration.as_millis()).ok()),
        };
        parsed.ok_or_else(|| bad_parameter(name, format!("cannot parse \"{text}\" to a valid duration")))
    }

    /// The expression. None at all is answered as Prometheus' parser answers an empty text.
    fn query(&self) -> Result<&str, QueryError> {
        self.param("query").ok_or_else(|| {
            bad_parameter("query", "unknown position: parse error: no expression found in input")
        })
    }

    /// The selectors of `match[]`.
    fn selectors(&self, engine: &Engine) -> Result<Vec<VectorSelector>, QueryError> {
        self.all("match[]").map(|text| engine.selector(text)).collect()
    }
}

fn bad_parameter(name: &str, why: impl std::fmt::Display) -> QueryError {
    QueryError::BadData(format!("invalid parameter \"{name}\": {why}"))
}

fn to_millis(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1_000.0).round();
    // Within a double's exact integers; a NaN is in no range.
    #[expect(clippy::cast_possible_truncation, reason = "checked")]
    (-9.0e15..=9.0e15).contains(&ms).then_some(ms as i64)
}

/// What answers are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) store: &'a Store,
    pub(super) engine: &'a Engine,
    /// Simulated milliseconds since the epoch: the time of a query that names none.
    pub(super) now: i64,
}

/// Answers one request.
pub(super) fn answer(source: Source<'_>, request: &Request) -> Reply {
    let data = match request.path.as_str() {
        "/-/healthy" => return Reply::text("Prometheus Server is Healthy.\n"),
        "/-/ready" => return Reply::text("Prometheus Server is Ready.\n"),
        "/metrics" => return own_metrics(source.store),
        "/federate" => federate(source, request).map(Err),
        "/api/v1/query" => query(source, request).map(Ok),
        "/api/v1/query_range" => query_range(source, request).map(Ok),
        "/api/v1/series" => series(source, request).map(Ok),
        "/api/v1/labels" => labels(source, request).map(Ok),
        "/api/v1/status/buildinfo" => Ok(Ok(build())),
        path => match path.strip_prefix("/api/v1/label/").and_then(|rest| rest.strip_suffix("/values")) {
            Some(label) => label_values(source, request, label).map(Ok),
            None => return Reply::new(404, "text/plain; charset=utf-8", "404 page not found\n".to_owned()),
        },
    };
    match data {
        Ok(Ok(data)) => Reply::json(200, &json!({ "status": "success", "data": data })),
        Ok(Err(reply)) => reply,
        Err(error) => failure(&error),
    }
}

/// 400 for what cannot be read, 422 for what cannot be computed.
fn failure(error: &QueryError) -> Reply {
    let (status, kind) = match error {
        QueryError::BadData(_) => (400, "bad_data"),
        QueryError::Execution(_) => (422, "execution"),
    };
    Reply::json(status, &json!({ "status": "error", "errorType": kind, "error": error.to_string() }))
}

/// An instant query. The time that it names counts, else the server's.
fn query(source: Source<'_>, request: &Request) -> Result<Json, QueryError> {
    let t = request.time("time")?.unwrap_or(source.now);
    let point = |v: f64| json!([timestamp(t), number(v)]);
    let (kind, result) = match source.engine.instant(source.store, request.query()?, t)? {
        Value::Scalar(value) => ("scalar", point(value)),
        Value::Text(text) => ("string", json!([timestamp(t), text])),
        Value::Vector(elements) => {
            let element = |e: &Element| json!({ "metric": metric(&e.labels), "value": point(e.value) });
            ("vector", elements.iter().map(element).collect())
        }
        Value::Matrix(ranges) => ("matrix", matrix(&ranges)),
    };
    Ok(json!({ "resultType": kind, "result": result }))
}

/// A range query, with the limit on points that a real server has: a step too fine is an error there, not a long
/// answer.
fn query_range(source: Source<'_>, request: &Request) -> Result<Json, QueryError> {
    let (start, end) = (request.required_time("start")?, request.required_time("end")?);
    if end < start {
        return Err(bad_parameter("end", "end timestamp must not be before start time"));
    }
    let step = request.duration("step")?;
    if step <= 0 {
        return Err(bad_parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start) / step > MAX_POINTS {
        return Err(QueryError::BadData(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
                .to_owned(),
        ));
    }
    let ranges = source.engine.range(source.store, request.query()?, start, end, step)?;
    Ok(json!({ "resultType": "matrix", "result": matrix(&ranges) }))
}

/// Samples over time, one list a series.
fn matrix(ranges: &[Range]) -> Json {
    let value = |sample: &Sample| json!([timestamp(sample.t), number(sample.v)]);
    let values = |range: &Range| range.samples.iter().map(value).collect::<Vec<_>>();
    ranges.iter().map(|range| json!({ "metric": metric(&range.labels), "values": values(range) })).collect()
}

/// Seconds since the epoch, with a fraction only where there is one.
fn timestamp(ms: i64) -> Json {
    if ms % 1_000 == 0 {
        return Json::Number((ms / 1_000).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch fit a double")]
    Number::from_f64(ms as f64 / 1_000.0).map_or(Json::Null, Json::Number)
}

/// A series' labels, its name among them as `__name__`.
fn metric(labels: &Labels) -> Json {
    Json::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

/// The series of the request's time range that any selector means; all where there is no selector.
fn matching<'a>(source: Source<'a>, request: &Request) -> Result<Vec<&'a Labels>, QueryError> {
    let start = request.time("start")?.unwrap_or(i64::MIN);
    let end = request.time("end")?.unwrap_or(source.now);
    let (store, selectors) = (source.store, request.selectors(source.engine)?);
    let mut alive = store.alive(start, end);
    if !selectors.is_empty() {
        let selected: BTreeSet<&Labels> = selectors
            .iter()
            .flat_map(|selector| store.select(selector.name.as_deref(), &selector.matchers))
            .map(|id| store.labels(id))
            .collect();
        alive.retain(|labels| selected.contains(labels));
    }
    Ok(alive)
}

/// The series that selectors find. Without a selector a real server refuses, since all of them could be millions.
fn series(source: Source<'_>, request: &Request) -> Result<Json, QueryError> {
    if request.all("match[]").next().is_none() {
        return Err(QueryError::BadData("no match[] parameter provided".to_owned()));
    }
    Ok(matching(source, request)?.into_iter().map(metric).collect())
}

/// The names of labels.
fn labels(source: Source<'_>, request: &Request) -> Result<Json, QueryError> {
    let matching = matching(source, request)?;
    let names: BTreeSet<&str> =
        matching.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
    Ok(json!(names))
}

/// The values of one label, as `check --online` asks for them.
fn label_values(source: Source<'_>, request: &Request, label: &str) -> Result<Json, QueryError> {
    let known = |c: char| c == '_' || c.is_ascii_alphanumeric();
    if label.is_empty() || !label.chars().all(known) || label.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(QueryError::BadData(format!("invalid label name: \"{label}\"")));
    }
    let matching = matching(source, request)?;
    let values: BTreeSet<&str> =
        matching.iter().map(|labels| labels.get(label)).filter(|value| !value.is_empty()).collect();
    Ok(json!(values))
}

/// What the server says that it is.
fn build() -> Json {
    json!({
        "version": VERSION,
        "revision": "simulated",
        "branch": "rehearsal",
        "buildUser": "cutover",
        "buildDate": "",
        "goVersion": "",
    })
}

/// The last sample of each series asked for, with its time, as text for another server to scrape.
fn federate(source: Source<'_>, request: &Request) -> Result<Reply, QueryError> {
    let mut found = Vec::new();
    let Source { store, engine, now } = source;
    for selector in request.selectors(engine)? {
        for id in store.select(selector.name.as_deref(), &selector.matchers) {
            if let Some(sample) = store.at(id, now) {
                found.push((store.labels(id), sample));
            }
        }
    }
    found.sort_by_key(|(labels, _)| *labels);
    found.dedup_by_key(|(labels, _)| *labels);
    let mut text = String::new();
    let mut family = "";
    for (labels, sample) in found {
        if labels.metric() != family {
            family = labels.metric();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# TYPE {family} untyped");
        }
        let mut labels = labels.clone();
        labels.set(METRIC_NAME, family);
        let _ = writeln!(text, "{labels} {} {}", number(sample.v), sample.t);
    }
    Ok(Reply::new(200, Exposition::CONTENT_TYPE, text))
}

const SERIES: Family = Family {
    name: "prometheus_tsdb_head_series",
    help: "Series in the store, ended ones too.",
    kind: Kind::Gauge,
};
const BUILD: Family = Family { name: "prometheus_build_info", help: "What this is.", kind: Kind::Gauge };

fn own_metrics(store: &Store) -> Reply {
    let mut out = Exposition::default();
    out.point(&Point { family: &BUILD, suffix: "", labels: &[("version", VERSION)], value: 1.0 });
    #[expect(clippy::cast_precision_loss, reason = "a few hundred series")]
    let series = store.len() as f64;
    out.point(&Point { family: &SERIES, suffix: "", labels: &[], value: series });
    Reply::new(200, Exposition::CONTENT_TYPE, out.into_text())
}
