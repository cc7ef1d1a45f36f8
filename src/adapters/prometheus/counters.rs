//! Raw counters: every series of two selectors at one instant, or at each step of the past.
//!
//! Nothing is summed up by the server: what each series has grown by can only be told from its own values.

use std::collections::BTreeMap;

use futures::future::{join, join3};

use super::{Data, InstantSeries, Prometheus, RangeSeries, at_seconds, seconds};
use crate::{
    adapters::metrics::fresh,
    domain::{
        evidence::counters::{Answer, SeriesKey},
        metric::Missing,
        time::{Span, Timestamp},
    },
};

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
        let ask = |query| self.vector(query, Some(&time));
        let (part, all, newest) = join3(ask(part), ask(all), ask(&newest)).await;
        let (counted, all) = (read(part?)?, read(all?)?);
        if !all.is_empty() {
            // An instant query goes on for five minutes with what nobody measures any more.
            let newest = newest?.into_iter().find_map(|series| series.value).ok_or(Missing::NoData)?;
            fresh(at_seconds(newest.reading()?.value)?, interval, now)?;
        }
        Ok(Answer { at: now, counted, all })
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
        let (part, all) = join(self.matrix(part, from, to, step), self.matrix(all, from, to, step)).await;
        let mut answers: BTreeMap<Timestamp, Answer> = BTreeMap::new();
        for (series, is_all) in
            part?.into_iter().map(|it| (it, false)).chain(all?.into_iter().map(|it| (it, true)))
        {
            let key = SeriesKey::of(&series.metric);
            for point in &series.values {
                let reading = point.reading()?;
                let answer = answers.entry(reading.at);
                let answer =
                    answer.or_insert_with(|| Answer { at: reading.at, counted: Vec::new(), all: Vec::new() });
                if is_all { &mut answer.all } else { &mut answer.counted }.push((key, reading.value));
            }
        }
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

/// Each series with its value. A histogram in their place is no counter.
fn read(series: Vec<InstantSeries>) -> Result<Vec<(SeriesKey, f64)>, Missing> {
    let one = |series: InstantSeries| {
        let point = series
            .value
            .ok_or_else(|| Missing::BadAnswer("a native histogram instead of a counter".to_owned()))?;
        Ok((SeriesKey::of(&series.metric), point.reading()?.value))
    };
    series.into_iter().map(one).collect()
}
