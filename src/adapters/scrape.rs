//! Computes metrics from text format that we scrape ourselves: for services without a Prometheus, and for `/federate`.
//!
//! One scrape serves all metrics of a tick. The scrapes of the last minute are kept, of them only the series that some
//! metric asks for, and rates are taken over what lies between the first and the last of them:
//! - A counter that fell was reset, and what it shows is its increase since.
//! - A series that appears between two scrapes of one process began at zero: the first errors ever count.
//! - A scrape through a load balancer meets another process each time. Where processes tell theirs apart by
//!   `process_start_time_seconds`, each is followed on its own, and their rates are summed.
//! - Series with timestamps of their own (`/federate`) are taken at those times.

mod exposition;

use std::collections::{BTreeMap, HashSet, VecDeque};

use promql_parser::{
    label::{METRIC_NAME, MatchOp, Matcher},
    parser::{self, Expr},
};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use tokio::sync::{Mutex, MutexGuard};

use self::exposition::{Exposition, Labels};
use super::metrics::{Endpoint, Reading, with_slot};
use crate::domain::{
    evidence::counters::{Answer, SeriesKey},
    metric::{Missing, ScrapeCalc},
    slot_labels::SlotLabels,
    time::{Span, Timestamp},
};

/// Rates are taken over the last minute, or a little more than two intervals where those are longer.
const WINDOW: Span = Span::from_secs(60);

/// Tells one process from another behind the same address.
const PROCESS: &str = "process_start_time_seconds";

/// A URL with text exposition and its recent past.
#[derive(Debug)]
pub(super) struct Scraper {
    endpoint: Endpoint,
    state: Mutex<State>,
}

/// What was read so far: rates need at least two scrapes.
#[derive(Debug, Default)]
struct State {
    /// The names that metrics asked for, and so are kept.
    wanted: HashSet<String>,
    /// When the last scrape was begun, and its fault.
    asked: Option<(Timestamp, Option<Missing>)>,
    /// The newest scrape's text, for names that are asked for later in the same tick.
    text: String,
    /// Oldest first.
    scrapes: VecDeque<Scrape>,
    /// How far back some metric looks.
    keep: Span,
}

/// One answer of the endpoint.
#[derive(Debug)]
struct Scrape {
    at: Timestamp,
    /// The process's start time, bit for bit; none where it is not told or told twice.
    process: Option<u64>,
    exposition: Exposition,
}

/// When some series were true, and their values.
type Matching<'a> = (Timestamp, BTreeMap<&'a Labels, f64>);

/// What series are wanted.
#[derive(Debug)]
struct Selector {
    name: String,
    matchers: Vec<Matcher>,
}

impl Selector {
    /// Reads a selector. What only a server with a history could answer is refused by name.
    fn parse(text: &str, slot: Option<&SlotLabels>) -> Result<Self, Missing> {
        let bad = |why: &str| Missing::BadAnswer(format!("`{text}` is not a valid selector: {why}"));
        let parsed = parser::parse(&with_slot(text, slot)?).map_err(|why| bad(&why))?;
        let Expr::VectorSelector(selector) = parsed else {
            return Err(bad("write it as name{label=\"value\"}"));
        };
        if selector.offset.is_some() || selector.at.is_some() || !selector.matchers.or_matchers.is_empty() {
            return Err(bad("`offset`, `@` and `or` need a Prometheus"));
        }
        let mut matchers = selector.matchers.matchers;
        let named =
            matchers.iter().position(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal);
        let name = selector.name.or_else(|| named.map(|at| matchers.remove(at).value));
        Ok(Self { name: name.ok_or_else(|| bad("the selector must name the metric"))?, matchers })
    }

    /// Whether a series is meant. A label that it does not have counts as empty, as in Prometheus.
    fn matches(&self, labels: &Labels) -> bool {
        self.matchers
            .iter()
            .all(|matcher| matcher.is_match(labels.get(&matcher.name).map_or("", String::as_str)))
    }
}

impl Scrape {
    fn new(at: Timestamp, exposition: Exposition) -> Self {
        // When the process started tells one process from the next, and two behind one address from each other.
        let process = match exposition.series(PROCESS) {
            [one] => Some(one.value.to_bits()),
            _ => None,
        };
        Self { at, process, exposition }
    }

    /// When the matching series were true: their own newest time where they tell one, the scrape's otherwise.
    fn matching(&self, selector: &Selector) -> Matching<'_> {
        let matching = || {
            self.exposition.series(&selector.name).iter().filter(|series| selector.matches(&series.labels))
        };
        let at = matching().filter_map(|series| series.at).max().unwrap_or(self.at);
        (at, matching().map(|series| (&series.labels, series.value)).collect())
    }
}

impl Scraper {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, state: Mutex::default() }
    }

    /// The calculation's number now. Scrapes where the last scrape is older than half an interval.
    pub(super) async fn read(
        &self,
        calc: &ScrapeCalc,
        slot: Option<&SlotLabels>,
        interval: Span,
        now: Timestamp,
    ) -> Result<Reading, Missing> {
        let plan = Plan::new(calc, slot)?;
        let (state, since) = self.scraped(plan.names(), interval, now).await?;
        let scrapes: Vec<&Scrape> = state.scrapes.iter().filter(|scrape| scrape.at >= since).collect();
        plan.compute(&scrapes)
    }

    /// What the counters of both selectors show. Behind a load balancer each process is followed on its own: what it showed last
    /// holds for as long as rates look back.
    pub(super) async fn counters(
        &self,
        part: &str,
        all: &str,
        slot: Option<&SlotLabels>,
        interval: Span,
        now: Timestamp,
    ) -> Result<Answer, Missing> {
        let (part, all) = (Selector::parse(part, slot)?, Selector::parse(all, slot)?);
        let names = [&part, &all].into_iter().map(|selector| selector.name.as_str());
        let (state, since) = self.scraped(names, interval, now).await?;
        let newest = state.scrapes.back().ok_or(Missing::NoData)?;
        if !newest.exposition.knows(&all.name) {
            return Err(Missing::NoData);
        }
        let (at, _) = newest.matching(&all);
        let mut answer = Answer { at, counted: Vec::new(), all: Vec::new() };
        let mut seen: HashSet<Option<u64>> = HashSet::new();
        for scrape in state.scrapes.iter().rev().filter(|scrape| scrape.at >= since) {
            // Without a start time nobody knows whose numbers these are: only the newest count.
            let is_newest = std::ptr::eq(scrape, newest);
            if !seen.insert(scrape.process) || (scrape.process.is_none() && !is_newest) {
                continue;
            }
            let process = scrape.process.map_or_else(String::new, |bits| bits.to_string());
            for (selector, found) in [(&part, &mut answer.counted), (&all, &mut answer.all)] {
                let (_, series) = scrape.matching(selector);
                found.extend(series.into_iter().map(|(labels, value)| {
                    let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    let whose = [(METRIC_NAME, selector.name.as_str()), ("", process.as_str())];
                    (SeriesKey::of(whose.into_iter().chain(labels)), value)
                }));
            }
        }
        Ok(answer)
    }

    /// The scrapes as they are now, with a new one where the last is older than half an interval; and from when on they count.
    async fn scraped(
        &self,
        names: impl Iterator<Item = &str>,
        interval: Span,
        now: Timestamp,
    ) -> Result<(MutexGuard<'_, State>, Timestamp), Missing> {
        let window = WINDOW.max(Span::from_millis(interval.as_millis().saturating_mul(5) / 2));
        // Held while scraping, so that metrics of the same tick wait for one scrape instead of making their own.
        let mut state = self.state.lock().await;
        state.keep = state.keep.max(window);
        state.want(names);
        let half = Span::from_millis(interval.as_millis() / 2);
        let due = state.asked.as_ref().is_none_or(|(at, _)| now < *at || now.since(*at) >= half);
        if due {
            let fault = self.scrape(&mut state, now).await.err();
            state.asked = Some((now, fault));
        }
        if let Some((_, Some(fault))) = &state.asked {
            return Err(fault.clone());
        }
        Ok((state, now - window))
    }

    /// Asks once, and keeps what came.
    async fn scrape(&self, state: &mut State, now: Timestamp) -> Result<(), Missing> {
        let accept = HeaderValue::from_static("text/plain;version=0.0.4;q=1,*/*;q=0.1");
        let answer =
            self.endpoint.read(self.endpoint.url.clone(), HeaderMap::from_iter([(ACCEPT, accept)])).await?;
        if !answer.status.is_success() {
            return Err(Missing::BadAnswer(format!("status {}", answer.status.as_u16())));
        }
        let text = String::from_utf8(answer.body)
            .map_err(|_| Missing::BadAnswer("the answer is not text".to_owned()))?;
        let exposition = Exposition::parse(&text, &state.wanted).map_err(|why| {
            Missing::BadAnswer(format!(
                "not metrics in text format: {}",
                self.endpoint.quote(&why.to_string())
            ))
        })?;
        // After a step back in time the old scrapes would make nonsense of every rate.
        if state.scrapes.back().is_some_and(|last| now <= last.at) {
            state.scrapes.clear();
        }
        state.text = text;
        state.scrapes.push_back(Scrape::new(now, exposition));
        let horizon = now - state.keep;
        while state.scrapes.front().is_some_and(|scrape| scrape.at < horizon) {
            state.scrapes.pop_front();
        }
        Ok(())
    }
}

impl State {
    /// Keeps these names from now on, and finds them in the newest scrape, too.
    fn want<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let mut new = false;
        for name in names.chain([PROCESS]) {
            new |= self.wanted.insert(name.to_owned());
        }
        if let Some(newest) = self.scrapes.back_mut()
            && new
            && let Ok(exposition) = Exposition::parse(&self.text, &self.wanted)
        {
            *newest = Scrape::new(newest.at, exposition);
        }
    }
}

/// A calculation with its selectors read.
#[derive(Debug)]
enum Plan {
    Rate { of: Selector, over: Option<Selector> },
    Quantile { quantile: f64, of: Selector },
    Gauge(Selector),
}

impl Plan {
    fn new(calc: &ScrapeCalc, slot: Option<&SlotLabels>) -> Result<Self, Missing> {
        Ok(match calc {
            ScrapeCalc::Rate { rate, over } => Self::Rate {
                of: Selector::parse(rate, slot)?,
                over: over.as_ref().map(|over| Selector::parse(over, slot)).transpose()?,
            },
            ScrapeCalc::Quantile { quantile, histogram } => {
                let mut of = Selector::parse(histogram, slot)?;
                of.name.push_str("_bucket");
                Self::Quantile { quantile: *quantile, of }
            }
            ScrapeCalc::Gauge { gauge } => Self::Gauge(Selector::parse(gauge, slot)?),
        })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Rate { of, over } => (of, over.as_ref()),
            Self::Quantile { of, .. } | Self::Gauge(of) => (of, None),
        };
        [Some(first), second].into_iter().flatten().map(|selector| selector.name.as_str())
    }

    /// A gauge is its newest value; everything else is what changed between scrapes.
    fn compute(&self, scrapes: &[&Scrape]) -> Result<Reading, Missing> {
        let newest = scrapes.last().ok_or(Missing::NoData)?;
        match self {
            Self::Gauge(of) => {
                let (at, series) = newest.matching(of);
                if series.is_empty() {
                    return Err(Missing::NoData);
                }
                Ok(Reading { at, value: series.values().sum() })
            }
            Self::Rate { of, over: None } => rate(scrapes, of),
            Self::Rate { of, over: Some(over) } => {
                let (part, whole) = (rate(scrapes, of)?, rate(scrapes, over)?);
                // Nothing at all happened: no part of it is a number, as 0/0 is none in PromQL.
                if part.value == 0.0 && whole.value == 0.0 {
                    return Err(Missing::ZeroByZero);
                }
                Ok(Reading { at: whole.at, value: part.value / whole.value })
            }
            Self::Quantile { quantile, of } => {
                let rates = rates(scrapes, of)?;
                let (at, _) = newest.matching(of);
                Ok(Reading { at, value: histogram_quantile(*quantile, &rates)? })
            }
        }
    }
}

/// The summed rate of all series that match.
///
/// Where none matches but others of the same name do, that is zero and no gap: a label value that never occurred, such
/// as a status 500, has no series.
fn rate(scrapes: &[&Scrape], selector: &Selector) -> Result<Reading, Missing> {
    let newest = scrapes.last().ok_or(Missing::NoData)?;
    if !newest.exposition.knows(&selector.name) {
        return Err(Missing::NoData);
    }
    let (at, _) = newest.matching(selector);
    Ok(Reading { at, value: rates(scrapes, selector)?.values().sum() })
}

/// The increase of each matching series in a second, over all scrapes given.
fn rates<'a>(scrapes: &[&'a Scrape], selector: &Selector) -> Result<BTreeMap<&'a Labels, f64>, Missing> {
    let mut rates: BTreeMap<&Labels, f64> = BTreeMap::new();
    let mut processes: BTreeMap<Option<u64>, Vec<Matching<'_>>> = BTreeMap::new();
    // A scrape from before the name was asked for says nothing about it; least of all that it had no series.
    for scrape in scrapes.iter().filter(|scrape| scrape.exposition.covers(&selector.name)) {
        let (at, series) = scrape.matching(selector);
        let past = processes.entry(scrape.process).or_default();
        // A federation that was not scraped anew since says nothing new.
        if past.last().is_none_or(|(last, _)| *last < at) {
            past.push((at, series));
        }
    }
    let mut measured = false;
    for (process, past) in &processes {
        let ([(first, _), ..], [.., (last, _)]) = (past.as_slice(), past.as_slice()) else { continue };
        let ms = last.since(*first).as_millis();
        if ms == 0 {
            continue;
        }
        measured = true;
        #[expect(clippy::cast_precision_loss, reason = "a few minutes in milliseconds")]
        let seconds = ms as f64 / 1000.0;
        for pair in past.windows(2) {
            for (labels, now) in &pair[1].1 {
                let increase = increase(pair[0].1.get(labels).copied(), *now, process.is_some());
                *rates.entry(labels).or_default() += increase / seconds;
            }
        }
    }
    if measured { Ok(rates) } else { Err(Missing::NoData) }
}

/// By how much a counter rose between two scrapes. One that is new counts from zero where both are of one process; otherwise
/// another process may have answered, whose past is not known.
fn increase(before: Option<f64>, now: f64, is_same_process: bool) -> f64 {
    match before {
        Some(before) if now >= before => now - before,
        // Reset: it counts from zero again.
        Some(_) => now,
        None if is_same_process => now,
        None => 0.0,
    }
}

/// The quantile of a histogram whose buckets have these rates, by Prometheus' rules: linear inside a bucket, and the
/// last finite bound where it lies beyond that.
fn histogram_quantile(quantile: f64, rates: &BTreeMap<&Labels, f64>) -> Result<f64, Missing> {
    let mut sums: Vec<(f64, f64)> = Vec::new();
    for (labels, rate) in rates {
        let bound = labels.get("le").and_then(|le| exposition::number(le));
        let bound =
            bound.ok_or_else(|| Missing::BadAnswer("a histogram bucket without a bound `le`".to_owned()))?;
        match sums.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, sum)) => *sum += rate,
            None => sums.push((bound, *rate)),
        }
    }
    sums.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let total = match sums.as_slice() {
        [] => return Err(Missing::NoData),
        [.., (bound, total)] if *bound == f64::INFINITY && sums.len() > 1 => *total,
        _ => return Err(Missing::BadAnswer("a histogram without its bucket `+Inf`".to_owned())),
    };
    if !(0.0..=1.0).contains(&quantile) {
        return Err(Missing::NotANumber);
    }
    if total <= 0.0 {
        return Err(Missing::ZeroByZero);
    }
    let rank = quantile * total;
    let found = sums.iter().position(|(_, count)| *count >= rank).unwrap_or(sums.len() - 1);
    if found == sums.len() - 1 {
        return Ok(sums[sums.len() - 2].0);
    }
    let (end, count) = sums[found];
    let (start, below) = match found.checked_sub(1) {
        Some(before) => sums[before],
        None if end <= 0.0 => return Ok(end),
        None => (0.0, 0.0),
    };
    let inside = count - below;
    if inside <= 0.0 { Ok(end) } else { Ok(start + (end - start) * ((rank - below) / inside)) }
}

#[cfg(test)]
mod tests;
