//! What is behind a query's answer, for `cutover check --online`: the series there are where it finds more than one, and which label
//! keeps it from finding any. Everything is asked by GET, and series are only read.

use std::collections::BTreeMap;

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{self, VectorSelector},
};
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::{Data, Prometheus, Ratio};
use crate::{
    adapters::shown::shown,
    domain::{
        metric::Missing,
        online::{
            measures::NAMESPACE_LABELS,
            picture::{Explained, Gap, Labels},
        },
        time::{Span, Timestamp},
    },
};

/// So many series are looked at, and so many values and names are told.
const SERIES: usize = 50;
const TOLD: usize = 5;
/// How far back points are counted to find their spacing, in seconds.
const BACK: u64 = 300;

#[derive(Deserialize)]
struct Names {
    data: Vec<String>,
}

impl Prometheus {
    /// The server's clock now.
    pub(in crate::adapters) async fn time(&self) -> Result<Timestamp, Missing> {
        let reading = self.instant("time()").await?.ok_or(Missing::NoData)?;
        super::at_seconds(reading.value)
    }

    /// What is behind an expression that gave `value`.
    pub(in crate::adapters) async fn explain(&self, expr: &str, value: &Result<f64, Missing>) -> Explained {
        let selectors = selectors(expr);
        let mut explained =
            Explained { namespaces: selectors.iter().flat_map(namespaces).collect(), ..Explained::default() };
        match value {
            Ok(_) => explained.spacing = self.spacing(&selectors).await,
            Err(Missing::Ambiguous(_)) => explained.series = self.series(expr).await.unwrap_or_default(),
            Err(Missing::NoData | Missing::EmptyRatio) => {
                // Of a ratio what stands below the line decides: there need be no errors.
                let below = match super::ratio(expr) {
                    Some(Ratio::Over(below)) => self::selectors(&below),
                    Some(Ratio::Quantile) | None => selectors,
                };
                for selector in &below {
                    if let Ok(Some(gap)) = self.gap(selector).await {
                        // What has no such label may tell the slots apart by another one.
                        if matches!(&gap, Gap::NoValue { there, .. } if there.is_empty()) {
                            let name = selector.name.as_deref().unwrap_or_default();
                            let query = format!("topk({SERIES}, {name})");
                            explained.series = self.series(&query).await.unwrap_or_default();
                        }
                        explained.gap = Some(gap);
                        break;
                    }
                }
            }
            Err(_) => {}
        }
        explained
    }

    /// The longest time between two points of what the selectors read.
    async fn spacing(&self, selectors: &[VectorSelector]) -> Option<Span> {
        let mut longest = None;
        for selector in selectors {
            // Only of series that were there all the time: a young one has fewer points.
            let query = format!("max(count_over_time({selector}[{BACK}s]) and {selector} offset {BACK}s)");
            let counted = self.instant(&query).await;
            let points = counted.ok().flatten()?.value;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small positive number"
            )]
            let apart = (points >= 1.0).then(|| Span::from_millis((300_000.0 / points) as u64))?;
            longest = longest.max(Some(apart));
        }
        longest
    }

    /// The labels of the series that an expression gives.
    async fn series(&self, expr: &str) -> Result<Vec<Labels>, Missing> {
        let Data::Vector(series) = self.ask("query", &[("query", expr)]).await? else {
            return Ok(Vec::new());
        };
        let safe =
            |(name, value): (String, String)| (self.endpoint.quote(&name), self.endpoint.quote(&value));
        Ok(series.into_iter().take(SERIES).map(|one| one.metric.into_iter().map(safe).collect()).collect())
    }

    async fn finds(&self, selector: &VectorSelector) -> Result<bool, Missing> {
        let found = self.instant(&format!("count({selector})")).await?;
        Ok(found.is_some_and(|reading| reading.value > 0.0))
    }

    /// Why a selector finds nothing; nothing where it finds something.
    async fn gap(&self, selector: &VectorSelector) -> Result<Option<Gap>, Missing> {
        let selector = VectorSelector { offset: None, at: None, ..selector.clone() };
        let Some(name) = selector.name.clone() else { return Ok(None) };
        if self.finds(&selector).await? {
            return Ok(None);
        }
        let shown_name = shown(&name, 80);
        let mut bare = selector.clone();
        bare.matchers.matchers.clear();
        if !self.finds(&bare).await? {
            return Ok(Some(Gap::NoMetric { alike: self.alike(&name).await, name: shown_name }));
        }
        for at in 0..selector.matchers.matchers.len() {
            let mut without = selector.clone();
            let matcher = without.matchers.matchers.remove(at);
            if self.finds(&without).await? {
                let there = self.values(&without, &matcher.name).await.unwrap_or_default();
                let (label, wanted) = (shown(&matcher.name, 60), shown(&matcher.value, 60));
                return Ok(Some(Gap::NoValue { name: shown_name, label, wanted, there }));
            }
        }
        // Two labels are wrong at once: one that no series has by itself is told.
        for matcher in &selector.matchers.matchers {
            let mut only = bare.clone();
            only.matchers.matchers.push(matcher.clone());
            if !self.finds(&only).await? {
                let there = self.values(&bare, &matcher.name).await.unwrap_or_default();
                let (label, wanted) = (shown(&matcher.name, 60), shown(&matcher.value, 60));
                return Ok(Some(Gap::NoValue { name: shown_name, label, wanted, there }));
            }
        }
        Ok(Some(Gap::NoCombination { name: shown_name }))
    }

    /// The values of a label among what a selector finds, the most frequent first.
    async fn values(&self, selector: &VectorSelector, label: &str) -> Result<Vec<String>, Missing> {
        let query = format!("topk({TOLD}, count by ({label}) ({selector}))");
        let Data::Vector(series) = self.ask("query", &[("query", &query)]).await? else {
            return Ok(Vec::new());
        };
        let values = series.iter().filter_map(|one| one.metric.get(label));
        Ok(values.map(|value| shown(value, 60)).collect())
    }

    /// Names of metrics that are like one that is not there.
    async fn alike(&self, name: &str) -> Vec<String> {
        let mut url = self.endpoint.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "label", "__name__", "values"]);
        }
        let Ok(answer) = self.endpoint.read(url, HeaderMap::new()).await else { return Vec::new() };
        let names = serde_json::from_slice::<Names>(&answer.body).map(|names| names.data).unwrap_or_default();
        let mut near: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for other in names {
            let distance = strsim::damerau_levenshtein(&other, name);
            if distance <= name.len() / 3 {
                near.entry(distance).or_default().push(shown(&other, 80));
            }
        }
        near.into_values().flatten().take(TOLD).collect()
    }
}

/// The selectors of an expression, each once; none where it can't be parsed.
fn selectors(expr: &str) -> Vec<VectorSelector> {
    parser::parse(expr).map(|parsed| super::selectors(&parsed)).unwrap_or_default()
}

/// The labels with which a selector names one namespace.
fn namespaces(selector: &VectorSelector) -> Vec<(String, String)> {
    let exact = |matcher: &&Matcher| {
        matcher.op == MatchOp::Equal && NAMESPACE_LABELS.contains(&matcher.name.as_str())
    };
    let found = selector.matchers.matchers.iter().filter(exact);
    found.map(|matcher| (shown(&matcher.name, 60), shown(&matcher.value, 60))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::{
        adapters::{
            metrics::tests::{prometheus, promql},
            testing::{Reply, serve},
        },
        domain::{
            metric::Missing,
            online::picture::{Explained, Gap},
            time::Span,
        },
    };

    /// A server whose only metric is `http_requests_total` in namespace `production`.
    async fn explained(expr: &'static str, value: Result<f64, Missing>) -> Explained {
        let answer = |series: serde_json::Value| {
            Reply::json(
                json!({ "status": "success", "data": { "resultType": "vector", "result": series } })
                    .to_string(),
            )
        };
        let answer = Arc::new(answer);
        let (address, requests) = serve(move |request| {
            let one = json!([{ "metric": { "namespace": "production", "pod": "a" }, "value": [1_795_000_000, "3"] }]);
            let two = json!([{ "metric": { "pod": "a" }, "value": [1_795_000_000, "3"] }, { "metric": { "pod": "b" }, "value": [1_795_000_000, "3"] }]);
            let line = request.lines().next().unwrap_or_default();
            if line.contains("__name__") {
                return Reply::json(json!({ "status": "success", "data": ["http_requests_total", "up"] }).to_string());
            }
            let finds = line.contains("http_requests_total") && !line.contains("staging");
            answer(if line.contains("two") { two } else if finds { one } else { json!([]) })
        })
        .await;
        let explained = prometheus(address).explain(&promql(expr), None, &value).await;
        assert!(requests.lock().unwrap().iter().all(|request| request.starts_with("GET ")));
        explained
    }

    #[tokio::test]
    async fn a_label_that_finds_nothing_is_named_with_what_there_is() {
        let it = explained(
            r#"sum(rate(http_requests_total{namespace="staging",code="200"}[5m]))"#,
            Err(Missing::NoData),
        )
        .await;
        assert_eq!(it.namespaces, [("namespace".to_owned(), "staging".to_owned())]);
        assert_eq!(
            it.gap,
            Some(Gap::NoValue {
                name: "http_requests_total".into(),
                label: "namespace".into(),
                wanted: "staging".into(),
                there: vec!["production".into()],
            })
        );
    }

    #[tokio::test]
    async fn a_misspelt_metric_is_told_with_those_that_are_like_it() {
        let it = explained("rate(http_request_total[5m])", Err(Missing::NoData)).await;
        let alike = vec!["http_requests_total".to_owned()];
        assert_eq!(it.gap, Some(Gap::NoMetric { name: "http_request_total".into(), alike }));
    }

    #[tokio::test]
    async fn series_that_are_too_many_are_told_by_their_labels() {
        let it = explained("two", Err(Missing::Ambiguous(String::new()))).await;
        assert_eq!(it.series.len(), 2);
        assert_eq!(it.series[1]["pod"], "b");
    }

    #[tokio::test]
    async fn the_spacing_of_points_is_counted() {
        let it = explained("http_requests_total", Ok(1.0)).await;
        assert_eq!(it.spacing.map(Span::as_secs), Some(100), "three points in five minutes");
    }
}
