//! What [`Prometheus::read`] would have answered at each step of the past, its age judged as it is live.

use std::collections::BTreeMap;

use futures::future::{join, try_join_all};

use super::{Prometheus, at_seconds};
use crate::{
    adapters::metrics::fresh,
    domain::{
        metric::Missing,
        time::{Span, Timestamp},
    },
};

impl Prometheus {
    /// An expression's number at each step from `from` to `to`, or why there would have been none. What was asked each time
    /// for an `interval` shorter than the step is not asked: then the past tells less than live.
    pub(in crate::adapters) async fn read_past(
        &self,
        expr: &str,
        from: Timestamp,
        to: Timestamp,
        step: Span,
        interval: Span,
    ) -> Result<Vec<(Timestamp, Result<f64, Missing>)>, Missing> {
        let aside = self.aside(expr);
        let ages = try_join_all(aside.ages.iter().map(|query| self.read_range(query, from, to, step)));
        let (values, ages) = join(self.read_range(expr, from, to, step), ages).await;
        let values: BTreeMap<Timestamp, f64> =
            values?.into_iter().map(|reading| (reading.at, reading.value)).collect();
        let mut newest: BTreeMap<Timestamp, Vec<Timestamp>> = BTreeMap::new();
        for reading in ages?.into_iter().flatten() {
            newest.entry(reading.at).or_default().push(at_seconds(reading.value)?);
        }
        let mut past = Vec::new();
        let mut at = from;
        while at <= to {
            let value = match (values.get(&at), newest.get(&at)) {
                (None, _) if aside.ratio.is_some() => Err(Missing::EmptyRatio),
                (None, _) => Err(Missing::NoData),
                (Some(_), None) => Err(Missing::Stale("no series in the query has a point".to_owned())),
                (Some(value), Some(found)) => {
                    found.iter().try_for_each(|newest| fresh(*newest, interval, at)).and_then(|()| {
                        if value.is_nan() && aside.ratio.is_some() {
                            Err(Missing::ZeroByZero)
                        } else if value.is_finite() {
                            Ok(*value)
                        } else {
                            Err(Missing::NotANumber)
                        }
                    })
                }
            };
            past.push((at, value));
            at = at + step;
        }
        Ok(past)
    }
}

#[cfg(test)]
mod tests;
