//! Prometheus' query API: one number at a time, with its age.
//!
//! An instant query answers with the newest point of the last five minutes and the time of asking, so it hides for five
//! minutes that nobody measures any more. Therefore each expression is asked together with the time of the newest point
//! of every selector in it, `max(timestamp(…))`; where one is too old, there is no number. Functions over a range
//! (`rate`) are treated alike: what counts is the newest point their selector finds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::{join, try_join_all};
use promql_parser::{
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use reqwest::{Url, header::HeaderMap};
use serde::Deserialize;

use super::metrics::{Endpoint, Reading, fresh};
use crate::domain::{
    metric::Missing,
    time::{Span, Timestamp},
};

/// Prometheus refuses to answer with more points than this.
const MOST_POINTS: u64 = 11_000;

/// So many series are named where there is one too many.
const NAMED: usize = 3;

/// A server with the query API.
#[derive(Debug)]
pub(super) struct Prometheus {
    endpoint: Endpoint,
    /// The questions about age that belong to an expression; parsing takes longer than looking them up.
    ages: Mutex<HashMap<String, Arc<[String]>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Point),
    Vector(Vec<InstantSeries>),
    Matrix(Vec<RangeSeries>),
    String(serde::de::IgnoredAny),
}

/// Seconds since the epoch and the number as text, since JSON has no NaN.
#[derive(Deserialize)]
struct Point(f64, String);

#[derive(Deserialize)]
struct InstantSeries {
    metric: BTreeMap<String, String>,
    /// Missing where the element is a native histogram.
    value: Option<Point>,
}

#[derive(Deserialize)]
struct RangeSeries {
    #[serde(default)]
    values: Vec<Point>,
}

impl Point {
    fn reading(&self) -> Result<Reading, Missing> {
        let value = self.1.parse().map_err(|_| Missing::NotANumber)?;
        Ok(Reading { at: at_seconds(self.0)?, value })
    }
}

fn at_seconds(seconds: f64) -> Result<Timestamp, Missing> {
    let ms = (seconds * 1000.0).round();
    // Within a double's exact integers; a NaN is in no range.
    if !(-9.0e15..=9.0e15).contains(&ms) {
        return Err(Missing::BadAnswer("a timestamp that is no time".to_owned()));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    Ok(Timestamp(ms as i64))
}

impl Prometheus {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, ages: Mutex::default() }
    }

    /// The expression's one number now.
    pub(super) async fn read(&self, expr: &str, interval: Span) -> Result<Reading, Missing> {
        let ages = self.ages(expr);
        let newest = try_join_all(ages.iter().map(|query| self.newest(query)));
        let (reading, newest) = join(self.instant(expr), newest).await;
        let reading = reading?.ok_or(Missing::NoData)?;
        let newest = newest.map_err(|why| match why {
            Missing::BadAnswer(why) => Missing::BadAnswer(format!("asked for the age of the data: {why}")),
            why => why,
        })?;
        // Ages are told by the server's clock and taken against the server's clock: ours may differ from it a little.
        newest.into_iter().flatten().try_for_each(|at| fresh(at, interval, reading.at))?;
        Ok(reading)
    }

    /// The time of the newest point a query finds; none where it finds nothing.
    async fn newest(&self, query: &str) -> Result<Option<Timestamp>, Missing> {
        self.instant(query).await?.map(|reading| at_seconds(reading.value)).transpose()
    }

    /// One number, or none where the result is empty.
    async fn instant(&self, query: &str) -> Result<Option<Reading>, Missing> {
        match self.ask("query", &[("query", query)]).await? {
            Data::Scalar(point) => point.reading().map(Some),
            Data::Vector(series) => match series.as_slice() {
                [] => Ok(None),
                [one] => match &one.value {
                    Some(point) => point.reading().map(Some),
                    None => Err(Missing::BadAnswer("a native histogram instead of a number".to_owned())),
                },
                more => Err(Missing::Ambiguous(self.endpoint.quote(&named(more)))),
            },
            Data::Matrix(_) => {
                Err(Missing::BadAnswer("a range of values instead of one; leave out the [range]".to_owned()))
            }
            Data::String(_) => Err(Missing::BadAnswer("a text instead of a number".to_owned())),
        }
    }

    /// The past, oldest first; of a past too long for one answer the newest part.
    pub(super) async fn read_range(
        &self,
        expr: &str,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Result<Vec<Reading>, Missing> {
        let step = step.max(Span::from_secs(1));
        let longest = Span::from_millis(step.as_millis().saturating_mul(MOST_POINTS - 1));
        let from = from.max(to - longest);
        if from > to {
            return Ok(Vec::new());
        }
        let (start, end, step) =
            (seconds(from.0), seconds(to.0), seconds(i64::try_from(step.as_millis()).unwrap_or(i64::MAX)));
        match self
            .ask("query_range", &[("query", expr), ("start", &start), ("end", &end), ("step", &step)])
            .await?
        {
            Data::Matrix(series) => match series.as_slice() {
                [] => Ok(Vec::new()),
                [one] => one.values.iter().map(Point::reading).collect(),
                more => Err(Missing::Ambiguous(format!("{} series", more.len()))),
            },
            _ => Err(Missing::BadAnswer("no range of values".to_owned())),
        }
    }

    async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Data, Missing> {
        let answer = self.endpoint.read(self.url(what, parameters), HeaderMap::new()).await?;
        let status = answer.status.as_u16();
        let body: Body = match serde_json::from_slice(&answer.body) {
            Ok(body) => body,
            // A proxy on the way, or no Prometheus at all: its status says more than its text.
            Err(_) if !answer.status.is_success() => {
                return Err(Missing::BadAnswer(format!("status {status}")));
            }
            Err(why) => {
                return Err(Missing::BadAnswer(format!("status {status} with no Prometheus answer: {why}")));
            }
        };
        if body.status != "success" || !answer.status.is_success() {
            let kind = body.error_type.unwrap_or_else(|| "error".to_owned());
            let why = self.endpoint.quote(&format!("{kind}: {}", body.error.unwrap_or_default()));
            return Err(Missing::BadAnswer(format!("status {status}, {why}")));
        }
        if let Some(warning) = body.warnings.first() {
            return Err(Missing::BadAnswer(format!(
                "answered with a warning: {}",
                self.endpoint.quote(warning)
            )));
        }
        body.data.ok_or_else(|| Missing::BadAnswer("an answer without data".to_owned()))
    }

    fn url(&self, what: &str, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.endpoint.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", what]);
        }
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    fn ages(&self, expr: &str) -> Arc<[String]> {
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(ages.entry(expr.to_owned()).or_insert_with(|| age_queries(expr).into()))
    }
}

/// Seconds with a fraction, as the API takes times and steps.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// The first of too many series, by the labels in which they differ.
fn named(series: &[InstantSeries]) -> String {
    let differs = |name: &str, value: &str| {
        series.iter().any(|other| other.metric.get(name).is_none_or(|v| v != value))
    };
    let labels = |one: &InstantSeries| {
        let labels = one.metric.iter().filter(|(name, value)| differs(name, value));
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        format!("{{{}}}", labels.join(","))
    };
    let mut names: Vec<String> = series.iter().take(NAMED).map(labels).collect();
    if series.len() > NAMED {
        names.push(format!("{} more", series.len() - NAMED));
    }
    format!("{} series, sum them or pick one: {}", series.len(), names.join(" "))
}

/// The questions that find out how old an expression's data is: one for each selector in it. An expression that our
/// parser does not know is asked for its own time, which tells less but is never wrong.
fn age_queries(expr: &str) -> Vec<String> {
    struct Selectors(Vec<String>);
    impl ExprVisitor for Selectors {
        type Error = std::convert::Infallible;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
            let selector = match expr {
                Expr::VectorSelector(selector) => selector,
                Expr::MatrixSelector(matrix) => &matrix.vs,
                _ => return Ok(true),
            };
            // An offset looks into the past on purpose, and `@` at a fixed time: neither says that nobody measures now.
            let now = VectorSelector { offset: None, at: None, ..selector.clone() };
            let query = format!("max(timestamp({now}))");
            if !self.0.contains(&query) {
                self.0.push(query);
            }
            Ok(true)
        }
    }

    let Ok(parsed) = parser::parse(expr) else {
        return vec![format!("max(timestamp({expr}))")];
    };
    let mut selectors = Selectors(Vec::new());
    let Ok(_) = walk_expr(&mut selectors, &parsed);
    selectors.0
}

#[cfg(test)]
mod tests;
