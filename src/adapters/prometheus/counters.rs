//! Raw counters: every series of two selectors at one instant, or at each step of the past.
//!
//! Nothing is summed up by the server: what each series has grown by can only be told from its own values.
//!
//! Both selectors are one query. Asked one after the other, a scrape between them would be in the second answer only, and the good
//! events of a whole scrape would be missing from all: as many bad ones, out of nothing. One query sees a scrape in both selectors
//! or in neither.

use std::collections::{BTreeMap, HashSet};

use futures::future::join;

use super::{Data, InstantSeries, Prometheus, RangeSeries, at_seconds, seconds};
use crate::{
    adapters::metrics::fresh,
    domain::{
        evidence::counters::{Answer, SeriesKey},
        metric::Missing,
        time::{Span, Timestamp},
    },
};

/// Says of each series in an answer which selector has found it.
const MARK: &str = "cutover_counts";
const PART: &str = "part";
const ALL: &str = "all";

impl Prometheus {
    /// What both selectors find at one instant, `now`.
    pub(in crate::adapters) async fn counters(
        &self,
        part: &str,
        all: &str,
        interval: Span,
        now: Timestamp,
    ) -> Result<Answer, Missing> {
        let (time, newest) = (seconds(now.0), format!("max(timestamp({all}))"));
        let both = both(part, all);
        let (found, newest) = join(self.vector(&both, Some(&time)), self.vector(&newest, Some(&time))).await;
        let mut answer = Answer { at: now, counted: Vec::new(), all: Vec::new() };
        let mut buckets = Buckets::default();
        for mut series in found? {
            // A histogram in its place is no counter.
            let point = series
                .value
                .ok_or_else(|| Missing::BadAnswer("a native histogram instead of a counter".to_owned()))?;
            let is_all = is_all(&mut series.metric)?;
            buckets.take(is_all, &series.metric);
            let place = if is_all { &mut answer.all } else { &mut answer.counted };
            place.push((SeriesKey::of(&series.metric), point.reading()?.value));
        }
        buckets.complete()?;
        if !answer.all.is_empty() {
            // An instant query goes on for five minutes with what nobody measures any more.
            let newest = newest?.into_iter().find_map(|series| series.value).ok_or(Missing::NoData)?;
            fresh(at_seconds(newest.reading()?.value)?, interval, now)?;
        }
        Ok(answer)
    }

    /// What both selectors found at each step of the past, oldest first.
    pub(in crate::adapters) async fn counters_past(
        &self,
        part: &str,
        all: &str,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Result<Vec<Answer>, Missing> {
        if from > to {
            return Ok(Vec::new());
        }
        let mut answers: BTreeMap<Timestamp, Answer> = BTreeMap::new();
        let mut buckets = Buckets::default();
        for mut series in self.matrix(&both(part, all), from, to, step).await? {
            let is_all = is_all(&mut series.metric)?;
            buckets.take(is_all, &series.metric);
            let key = SeriesKey::of(&series.metric);
            for point in &series.values {
                let reading = point.reading()?;
                let answer = answers.entry(reading.at);
                let answer =
                    answer.or_insert_with(|| Answer { at: reading.at, counted: Vec::new(), all: Vec::new() });
                if is_all { &mut answer.all } else { &mut answer.counted }.push((key, reading.value));
            }
        }
        buckets.complete()?;
        Ok(answers.into_values().collect())
    }

    async fn vector(&self, query: &str, time: Option<&str>) -> Result<Vec<InstantSeries>, Missing> {
        let parameters: Vec<(&str, &str)> =
            [("query", query)].into_iter().chain(time.map(|time| ("time", time))).collect();
        match self.ask("query", &parameters).await? {
            Data::Vector(series) => Ok(series),
            Data::Scalar(_) | Data::Matrix(_) | Data::String(_) => {
                Err(Missing::BadAnswer("not the series of a selector".to_owned()))
            }
        }
    }

    async fn matrix(
        &self,
        query: &str,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Result<Vec<RangeSeries>, Missing> {
        let step = seconds(i64::try_from(step.max(Span::from_secs(1)).as_millis()).unwrap_or(i64::MAX));
        let (start, end) = (seconds(from.0), seconds(to.0));
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        match self.ask("query_range", &parameters).await? {
            Data::Matrix(series) => Ok(series),
            Data::Scalar(_) | Data::Vector(_) | Data::String(_) => {
                Err(Missing::BadAnswer("not a range of values".to_owned()))
            }
        }
    }
}

/// Whether each histogram that is counted has the bucket that is asked for. A release that changes its buckets beside pods that have
/// the old ones would read as if all that its pods answer was bad.
#[derive(Debug, Default)]
struct Buckets {
    with: HashSet<SeriesKey>,
    all: HashSet<SeriesKey>,
    /// A selector that names no bucket finds fewer series than all for reasons of its own.
    other: bool,
}

impl Buckets {
    fn take(&mut self, is_all: bool, labels: &BTreeMap<String, String>) {
        // `x_bucket{le="0.2", …}` belongs to `x_count{…}`.
        let key =
            SeriesKey::of(labels.iter().filter(|(name, _)| !matches!(name.as_str(), "__name__" | "le")));
        if is_all {
            self.all.insert(key);
        } else {
            self.other |= !labels.contains_key("le");
            self.with.insert(key);
        }
    }

    /// # Errors
    /// Where some histograms have the bucket and others have not. Where none is like any of all, they are counted differently.
    fn complete(&self) -> Result<(), Missing> {
        let without = self.all.difference(&self.with).count();
        if self.other || without == 0 || without == self.all.len() {
            return Ok(());
        }
        Err(Missing::BadAnswer(format!(
            "{without} of {} series of `all` have no bucket of this bound: has the release changed its buckets?",
            self.all.len()
        )))
    }
}

/// One query for both selectors: a scrape is seen in both or in neither.
fn both(part: &str, all: &str) -> String {
    let marked =
        |selector: &str, mark: &str| format!(r#"label_replace({selector}, "{MARK}", "{mark}", "", "")"#);
    format!("{} or {}", marked(part, PART), marked(all, ALL))
}

/// Whether a series is one of all events; its mark is taken off.
fn is_all(labels: &mut BTreeMap<String, String>) -> Result<bool, Missing> {
    match labels.remove(MARK).as_deref() {
        Some(PART) => Ok(false),
        Some(ALL) => Ok(true),
        _ => Err(Missing::BadAnswer("a series that no selector has found".to_owned())),
    }
}
