//! Metric sources as declared in the runbook, behind [`Metrics`].
//!
//! Every fault is a sample without a value and says why; nothing here turns a fault into a number. Two rules hold for
//! all kinds of source:
//! - A number is refused when the newest point it rests on is older than 90 s or two intervals, whichever is more.
//!   Prometheus scrapes once a minute unless told otherwise, and a limit below that would call honest data stale.
//! - A number whose time lies more than ten seconds ahead of ours is refused: one of the two clocks is wrong.

mod endpoint;
mod past;

use std::{collections::BTreeMap, fs};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderMap};

use endpoint::WORDS;
pub(super) use endpoint::{Endpoint, Reading, fresh, with_slot};

use super::{
    http::{HttpOptions, client::Client, header_name, header_value, web_url},
    prometheus::Prometheus,
    scrape::Scraper,
    shown::shown,
    tls::Trust,
};
use crate::{
    domain::{
        evidence::{counters::Answer, lane::Lane},
        metric::{Counted, Metric, Missing, Query, Sample},
        online::picture::Explained,
        runbook::{Source, SourceKind},
        slot_labels::SlotLabels,
        template::{Template, Unexpanded},
        time::{Span, Timestamp},
    },
    engine::ports::Metrics,
};

/// So much of the past is counted for whoever looks only once, in steps of this length.
const ONCE: Span = Span::from_secs(75);
const ONCE_STEP: Span = Span::from_secs(15);

/// A source that cannot be asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("source `{source_name}`: {why}")]
pub struct BadSource {
    /// Its name under `[sources]`.
    pub source_name: String,
    /// What is wrong.
    pub why: String,
}

/// What a source is. One whose secret is gone stands here too: its metrics say why they have no data.
#[derive(Debug)]
enum Kind {
    Prometheus(Prometheus),
    Scrape(Scraper),
    /// A secret that it needs is gone: why it can't be asked.
    Lost(String),
}

/// All sources of a runbook.
#[derive(Debug)]
pub struct MetricsAdapter {
    sources: BTreeMap<String, Kind>,
    speed: f64,
}

impl MetricsAdapter {
    /// An adapter for these sources. `expand` replaces variables in URLs, headers and credentials; it is the place where
    /// secrets come in. `ca_file`s are read now.
    ///
    /// # Errors
    /// The first source that cannot be asked, whatever happens: no value for a variable, no URL, no certificate.
    pub fn new(
        sources: &BTreeMap<String, Source>,
        expand: impl Fn(&Template) -> Result<String, Unexpanded>,
        options: &HttpOptions,
    ) -> Result<Self, BadSource> {
        Self::of(sources, &expand, options, false)
    }

    /// … of a run that another engine has left: a source whose secret is gone has no data, which is told; everything else
    /// about the run goes on.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for values that are missing.
    pub fn taken_up(
        sources: &BTreeMap<String, Source>,
        expand: impl Fn(&Template) -> Result<String, Unexpanded>,
        options: &HttpOptions,
    ) -> Result<Self, BadSource> {
        Self::of(sources, &expand, options, true)
    }

    fn of(
        sources: &BTreeMap<String, Source>,
        expand: &impl Fn(&Template) -> Result<String, Unexpanded>,
        options: &HttpOptions,
        lacks: bool,
    ) -> Result<Self, BadSource> {
        let adapters = sources.iter().map(|(name, source)| {
            let unset = templates(source).find_map(|template| expand(template).err()).filter(|_| lacks);
            let kind = match unset {
                Some(unset) => Ok(Kind::Lost(format!("{unset}: secrets are never stored"))),
                None => connect(source, expand, options),
            };
            kind.map(|kind| (name.clone(), kind)).map_err(|why| BadSource { source_name: name.clone(), why })
        });
        Ok(Self { sources: adapters.collect::<Result<_, _>>()?, speed: 1.0 })
    }

    /// For a run whose time is `speed` times as fast as life: an answer's own time is that much later than the question.
    #[must_use]
    pub fn at_speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// What is behind the answer that a metric's query gave; nothing for sources that are scraped.
    pub async fn explain(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        value: &Result<f64, Missing>,
    ) -> Explained {
        match (&metric.query, self.source(&metric.query)) {
            (Query::Promql { expr, .. }, Ok(Kind::Prometheus(source))) => match with_slot(expr, slot) {
                Ok(expr) => source.explain(&expr, value).await,
                Err(_) => Explained::default(),
            },
            _ => Explained::default(),
        }
    }

    /// The clock of a source that is a Prometheus; nothing for one that is scraped, or unknown.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn time(&self, source: &str) -> Result<Option<Timestamp>, Missing> {
        match self.sources.get(source) {
            Some(Kind::Prometheus(source)) => source.time().await.map(Some),
            Some(Kind::Lost(why)) => Err(Missing::Unreachable(why.clone())),
            Some(Kind::Scrape(_)) | None => Ok(None),
        }
    }

    /// The labels of a metric's series at a Prometheus.
    ///
    /// # Errors
    /// Where there is no such source, or it does not say.
    pub async fn labels(&self, source: &str, metric: &str) -> Result<Vec<String>, Missing> {
        match self.sources.get(source) {
            Some(Kind::Prometheus(source)) => source.labels(metric).await,
            _ => Err(Missing::BadAnswer(format!("`{source}` is no Prometheus"))),
        }
    }

    async fn read(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        now: Timestamp,
    ) -> Result<Reading, Missing> {
        let interval = metric.interval;
        let asked = std::time::Instant::now();
        let reading = match (&metric.query, self.source(&metric.query)?) {
            (Query::Promql { expr, .. }, Kind::Prometheus(source)) => {
                source.read(&with_slot(expr, slot)?, interval).await
            }
            (Query::Scrape { calc, .. }, Kind::Scrape(source)) => {
                source.read(calc, slot, interval, now).await
            }
            (Query::Counted(counted), _) => self.rate(metric, counted, slot, now).await,
            (query, kind) => return Err(unfit(query, kind)),
        };
        reading?.checked(interval, self.answered(asked, now))
    }

    /// Our time when an answer came to what was asked at `now`.
    fn answered(&self, asked: std::time::Instant, now: Timestamp) -> Timestamp {
        let took = asked.elapsed().mul_f64(self.speed).as_millis();
        now + Span::from_millis(u64::try_from(took).unwrap_or(u64::MAX))
    }

    /// The bad share of the last minute, for whoever looks once and has counted nothing so far.
    async fn rate(
        &self,
        metric: &Metric,
        counted: &Counted,
        slot: Option<&SlotLabels>,
        now: Timestamp,
    ) -> Result<Reading, Missing> {
        let mut lane = Lane::new(counted);
        for answer in self.count_past(metric, slot, now - ONCE, now, ONCE_STEP).await {
            lane.take(&answer);
        }
        let answer = self.count(metric, slot, now).await?;
        lane.take(&answer);
        lane.rate().map(|value| Reading { at: answer.at, value })
    }

    /// A runbook that loaded has it; a journal of an edited runbook may not.
    fn source(&self, query: &Query) -> Result<&Kind, Missing> {
        let source = query.source();
        self.sources.get(source).ok_or_else(|| Missing::BadAnswer(format!("no such source: `{source}`")))
    }
}

#[async_trait]
impl Metrics for MetricsAdapter {
    async fn sample(&self, metric: &Metric, slot: Option<&SlotLabels>, now: Timestamp) -> Sample {
        let reading = self.read(metric, slot, now).await;
        let at = reading.as_ref().map_or(now, |reading| reading.at);
        Sample {
            metric: metric.id.clone(),
            slot: slot.map(|slot| slot.name.clone()),
            at,
            value: reading.map(|reading| reading.value),
            counts: None,
        }
    }

    async fn count(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        now: Timestamp,
    ) -> Result<Answer, Missing> {
        let Some(counted) = metric.counted() else {
            return Err(Missing::BadAnswer("the metric is not counted".to_owned()));
        };
        let asked = std::time::Instant::now();
        let Counted { part, all, .. } = counted;
        let answer = match self.source(&metric.query)? {
            Kind::Prometheus(source) if !counted.scraped => {
                let (part, all) = (with_slot(part, slot)?, with_slot(all, slot)?);
                source.counters(&part, &all, metric.interval, now).await?
            }
            Kind::Scrape(source) if counted.scraped => {
                source.counters(part, all, slot, metric.interval, now).await?
            }
            kind => return Err(unfit(&metric.query, kind)),
        };
        if is_headless(counted, &answer) {
            return Err(Missing::BadAnswer(
                "`all` has series, and `good` has none: is a label misspelt?".to_owned(),
            ));
        }
        // Its time must be believable; its values are numbers or left out.
        Reading { at: answer.at, value: 0.0 }.checked(metric.interval, self.answered(asked, now))?;
        Ok(answer)
    }

    async fn count_past(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Vec<Answer> {
        let (Some(counted), Ok(Kind::Prometheus(source))) = (metric.counted(), self.source(&metric.query))
        else {
            return Vec::new();
        };
        let (Ok(part), Ok(all)) = (with_slot(&counted.part, slot), with_slot(&counted.all, slot)) else {
            return Vec::new();
        };
        let mut past = source.counters_past(&part, &all, from, to, step).await.unwrap_or_default();
        past.retain(|answer| !is_headless(counted, answer));
        past
    }

    async fn backfill(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Sample> {
        let (Query::Promql { expr, .. }, Ok(Kind::Prometheus(source))) =
            (&metric.query, self.source(&metric.query))
        else {
            return Vec::new();
        };
        // A revision that is not known has no past.
        let Ok(expr) = with_slot(expr, slot) else { return Vec::new() };
        let past = source.read_range(&expr, from, to, metric.interval).await.unwrap_or_default();
        let sample = |reading: Reading| Sample {
            metric: metric.id.clone(),
            slot: slot.map(|slot| slot.name.clone()),
            at: reading.at,
            counts: None,
            value: Some(reading.value).filter(|value| value.is_finite()).ok_or(Missing::NotANumber),
        };
        past.into_iter().map(sample).collect()
    }
}

/// Whether events were counted and the good ones nowhere. That would read as "all of them bad", and is a misspelt label far more
/// often: nobody is rolled back for that.
fn is_headless(counted: &Counted, answer: &Answer) -> bool {
    counted.good && answer.counted.is_empty() && !answer.all.is_empty()
}

/// Why a source cannot give what a metric asks for.
fn unfit(query: &Query, kind: &Kind) -> Missing {
    let source = query.source();
    match kind {
        Kind::Lost(why) => Missing::Unreachable(why.clone()),
        Kind::Scrape(_) => {
            Missing::BadAnswer(format!("source `{source}` is scraped, so it cannot answer PromQL"))
        }
        Kind::Prometheus(_) => {
            Missing::BadAnswer(format!("source `{source}` is a query API and is not scraped"))
        }
    }
}

/// All in a source that may need a variable.
fn templates(source: &Source) -> impl Iterator<Item = &Template> {
    let (SourceKind::Prometheus { url } | SourceKind::Scrape { url }) = &source.kind;
    let pair = source.basic_auth.iter().flat_map(|(user, password)| [user, password]);
    source.headers.values().chain(&source.bearer_token).chain(pair).chain([url])
}

/// Everything that can be wrong with a source is told before the first sample, by the name that the runbook has for it.
fn connect(
    source: &Source,
    expand: &impl Fn(&Template) -> Result<String, Unexpanded>,
    options: &HttpOptions,
) -> Result<Kind, String> {
    let expanded = |template: &Template| expand(template).map_err(|unset| unset.to_string());
    let mut headers = HeaderMap::new();
    for (name, value) in &source.headers {
        headers.insert(header_name(name)?, header_value(name, &expanded(value)?)?);
    }
    if let Some(token) = &source.bearer_token {
        headers
            .insert(AUTHORIZATION, header_value("Authorization", &format!("Bearer {}", expanded(token)?))?);
    } else if let Some((user, password)) = &source.basic_auth {
        let pair = BASE64_STANDARD.encode(format!("{}:{}", expanded(user)?, expanded(password)?));
        headers.insert(AUTHORIZATION, header_value("Authorization", &format!("Basic {pair}"))?);
    }
    let mut authorities = options.extra_ca_pem.clone();
    if let Some(path) = &source.ca_file {
        let pem = fs::read_to_string(path)
            .map_err(|why| format!("cannot read `ca_file` {}: {why}", shown(path, WORDS)))?;
        authorities = Some(authorities.unwrap_or_default() + "\n" + &pem);
    }
    let trust = Trust::load(authorities.as_deref()).map_err(|why| why.to_string())?;
    let client = Client::new(options, &trust).map_err(|why| why.to_string())?;
    let (SourceKind::Prometheus { url } | SourceKind::Scrape { url }) = &source.kind;
    let url = web_url(&expanded(url)?)?;
    let endpoint = Endpoint { client, url, headers, timeout: source.timeout, options: options.clone() };
    Ok(match source.kind {
        SourceKind::Prometheus { .. } => Kind::Prometheus(Prometheus::new(endpoint)),
        SourceKind::Scrape { .. } => Kind::Scrape(Scraper::new(endpoint)),
    })
}

#[cfg(test)]
pub(in crate::adapters) mod tests;
