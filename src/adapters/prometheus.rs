//! Prometheus' query API: one number at a time, with its age.
//!
//! An instant query answers with the newest point of the last five minutes and the time of asking, so it hides for five
//! minutes that nobody measures any more. Therefore each expression is asked together with the time of the newest point
//! of every selector in it, `max(timestamp(…))`; where one is too old, there is no number. Functions over a range
//! (`rate`) are treated alike: what counts is the newest point their selector finds.
//!
//! A selector that finds nothing has no age, and that is not "fresh": `sum(…) or vector(0)` answers with a zero when all its
//! series are gone. So at least one selector of an expression must have found something, and nothing that it found may be
//! old. (Not every one: in `(sum(errors) or vector(0)) / sum(requests)` there are no errors before the first one.) An
//! expression that reads no series at all has no age ever, and never gives a number.
//!
//! A ratio may have nothing to divide: 0/0, or no series below the line. That is told apart from other gaps, because a
//! check may say what it means there ([`Missing::is_no_traffic`]).

mod counters;
mod explain;
mod past;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::{join, try_join_all};
use promql_parser::{
    parser::{self, Expr, VectorSelector, token},
    util::{ExprVisitor, walk_expr},
};
use reqwest::{Url, header::HeaderMap};
use serde::{Deserialize, de::DeserializeOwned};

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
    /// What is asked besides an expression; parsing takes longer than looking it up.
    asides: Mutex<HashMap<String, Arc<Aside>>>,
}

/// What belongs to an expression.
#[derive(Debug, PartialEq)]
struct Aside {
    /// The questions that find out how old its data is, one for each selector.
    ages: Vec<String>,
    /// Where it is a ratio: what stands below the line.
    ratio: Option<Ratio>,
}

/// An expression that has no value where nothing was counted.
#[derive(Debug, PartialEq)]
enum Ratio {
    /// `… / of`
    Over(String),
    /// A quantile of a histogram.
    Quantile,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<T> {
    status: String,
    data: Option<T>,
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

/// One series of an answer to `query`.
#[derive(Deserialize)]
struct InstantSeries {
    metric: BTreeMap<String, String>,
    /// Missing where the element is a native histogram.
    value: Option<Point>,
}

/// One series of an answer to `query_range`.
#[derive(Deserialize)]
struct RangeSeries {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Point>,
}

impl Point {
    /// A value is text in JSON, since JSON has neither NaN nor infinity, and PromQL gives both.
    fn reading(&self) -> Result<Reading, Missing> {
        let value = self.1.parse().map_err(|_| Missing::NotANumber)?;
        Ok(Reading { at: at_seconds(self.0)?, value })
    }
}

/// Prometheus tells time in seconds with fractions.
fn at_seconds(seconds: f64) -> Result<Timestamp, Missing> {
    let ms = (seconds * 1000.0).round();
    // Within a double's exact integers; a NaN is in no range.
    if !(-9.0e15..=9.0e15).contains(&ms) {
        return Err(Missing::BadAnswer("a timestamp that is not a valid time".to_owned()));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    Ok(Timestamp(ms as i64))
}

impl Prometheus {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, asides: Mutex::default() }
    }

    /// The expression's one number now.
    pub(super) async fn read(&self, expr: &str, interval: Span) -> Result<Reading, Missing> {
        let aside = self.aside(expr);
        let newest = try_join_all(aside.ages.iter().map(|query| self.newest(query)));
        let (reading, newest) = join(self.instant(expr), newest).await;
        let Some(reading) = reading? else { return Err(self.nothing(aside.ratio.as_ref()).await) };
        let newest = newest.map_err(|why| match why {
            Missing::BadAnswer(why) => Missing::BadAnswer(format!("asked for the age of the data: {why}")),
            why => why,
        })?;
        let found: Vec<Timestamp> = newest.into_iter().flatten().collect();
        if found.is_empty() {
            return Err(Missing::Stale(match aside.ages.as_slice() {
                [] => "age unknown: the query reads no series".to_owned(),
                _ => "age unknown: no series in the query has a point".to_owned(),
            }));
        }
        // Ages are told by the server's clock and taken against the server's clock: ours may differ from it a little.
        found.into_iter().try_for_each(|at| fresh(at, interval, reading.at))?;
        if reading.value.is_nan() && aside.ratio.is_some() {
            return Err(Missing::ZeroByZero);
        }
        Ok(reading)
    }

    /// What an empty answer means: of a ratio, that there is nothing below the line; else that nobody measures this.
    async fn nothing(&self, ratio: Option<&Ratio>) -> Missing {
        match ratio {
            None => Missing::NoData,
            Some(Ratio::Quantile) => Missing::EmptyRatio,
            Some(Ratio::Over(below)) => match self.instant(below).await {
                Ok(None) => Missing::EmptyRatio,
                Ok(Some(reading)) if reading.value == 0.0 => Missing::EmptyRatio,
                // Something is counted; only what is above the line has no series.
                Ok(Some(_)) => Missing::NoData,
                Err(why) => why,
            },
        }
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
            _ => Err(Missing::BadAnswer("not a range of values".to_owned())),
        }
    }

    /// The labels of a metric's series. A server before 2.24 tells those of all series.
    pub(super) async fn labels(&self, metric: &str) -> Result<Vec<String>, Missing> {
        self.ask("labels", &[("match[]", metric)]).await
    }

    /// The body first, whatever the status: Prometheus explains itself there, with 400 and 422 as well.
    async fn ask<T: DeserializeOwned>(&self, what: &str, parameters: &[(&str, &str)]) -> Result<T, Missing> {
        let answer = self.endpoint.read(self.url(what, parameters), HeaderMap::new()).await?;
        let status = answer.status.as_u16();
        let body: Body<T> = match serde_json::from_slice(&answer.body) {
            Ok(body) => body,
            // A proxy on the way, or no Prometheus at all: its status says more than its text.
            Err(_) if !answer.status.is_success() => {
                return Err(Missing::BadAnswer(format!("status {status}")));
            }
            Err(why) => {
                return Err(Missing::BadAnswer(format!(
                    "status {status}, not an answer from Prometheus: {why}"
                )));
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

    /// Behind a path of the source's own: one behind a gateway lives at `/prometheus` or the like.
    fn url(&self, what: &str, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.endpoint.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", what]);
        }
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }

    /// Made once a query: it is parsed for that, and asked every few seconds.
    fn aside(&self, expr: &str) -> Arc<Aside> {
        let mut asides = self.asides.lock().unwrap_or_else(PoisonError::into_inner);
        let aside = asides.entry(expr.to_owned());
        Arc::clone(aside.or_insert_with(|| Arc::new(Aside { ages: age_queries(expr), ratio: ratio(expr) })))
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
    let Ok(parsed) = parser::parse(expr) else {
        return vec![format!("max(timestamp({expr}))")];
    };
    let mut queries = Vec::new();
    for now in selectors(&parsed) {
        let query = format!("max(timestamp({now}))");
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    queries
}

/// The selectors of an expression, each once, as they are now: an offset looks into the past on purpose, and `@` at a fixed
/// time, so neither says anything of what is measured at present.
fn selectors(parsed: &Expr) -> Vec<VectorSelector> {
    struct Found(Vec<VectorSelector>);
    impl ExprVisitor for Found {
        type Error = std::convert::Infallible;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
            let selector = match expr {
                Expr::VectorSelector(selector) => selector,
                Expr::MatrixSelector(matrix) => &matrix.vs,
                _ => return Ok(true),
            };
            let selector = VectorSelector { offset: None, at: None, ..selector.clone() };
            if !self.0.contains(&selector) {
                self.0.push(selector);
            }
            Ok(true)
        }
    }
    let mut found = Found(Vec::new());
    let Ok(_) = walk_expr(&mut found, parsed);
    found.0
}

/// Whether an expression is a ratio, and of what: looked for below what only scales, rounds or sums it up.
fn ratio(expr: &str) -> Option<Ratio> {
    let parsed = parser::parse(expr).ok()?;
    let mut at = &parsed;
    loop {
        at = match at {
            Expr::Paren(inner) => &inner.expr,
            Expr::Unary(unary) => &unary.expr,
            Expr::Aggregate(aggregate) => &aggregate.expr,
            Expr::Binary(binary) => match (&*binary.lhs, binary.op.id(), &*binary.rhs) {
                (lhs, token::T_MUL | token::T_DIV | token::T_ADD | token::T_SUB, Expr::NumberLiteral(_))
                | (lhs, token::T_LOR, _) => lhs,
                (Expr::NumberLiteral(_), token::T_MUL | token::T_ADD | token::T_SUB, rhs) => rhs,
                (_, token::T_DIV, below) => return Some(Ratio::Over(below.to_string())),
                _ => return None,
            },
            Expr::Call(call) => match (call.func.name, call.args.args.as_slice()) {
                ("histogram_quantile", _) => return Some(Ratio::Quantile),
                ("round" | "clamp" | "clamp_min" | "clamp_max" | "abs" | "ceil" | "floor", [first, ..]) => {
                    first
                }
                _ => return None,
            },
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests;
