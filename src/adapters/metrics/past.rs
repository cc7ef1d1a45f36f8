//! The past of a metric as it would have been measured live, for backtests.

use super::{Kind, MetricsAdapter, with_slot};
use crate::domain::{
    evidence::counters::Answer,
    metric::{Metric, Missing, Query, Sample},
    slot_labels::SlotLabels,
    time::{Span, Timestamp},
};

impl MetricsAdapter {
    /// A sample at each step from `from` to `to`, missing ones among them. No more steps than Prometheus answers at once.
    ///
    /// # Errors
    /// If the source has no past or does not tell it.
    pub async fn past(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Result<Vec<Sample>, Missing> {
        let (Query::Promql { expr, .. }, Kind::Prometheus(source)) =
            (&metric.query, self.source(&metric.query)?)
        else {
            return Err(no_past(&metric.query));
        };
        let expr = with_slot(expr, slot)?;
        let past = source.read_past(&expr, from, to, step, metric.interval).await?;
        let sample = |(at, value)| Sample {
            metric: metric.id.clone(),
            slot: slot.map(|slot| slot.name.clone()),
            at,
            value,
            counts: None,
        };
        Ok(past.into_iter().map(sample).collect())
    }

    /// The counters of a counted metric at each step.
    ///
    /// # Errors
    /// If the source has no past or does not tell it.
    pub async fn past_counters(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Result<Vec<Answer>, Missing> {
        let (Some(counted), Kind::Prometheus(source)) = (metric.counted(), self.source(&metric.query)?)
        else {
            return Err(no_past(&metric.query));
        };
        let (part, all) = (with_slot(&counted.part, slot)?, with_slot(&counted.all, slot)?);
        source.counters_past(&part, &all, from, to, step).await
    }
}

fn no_past(query: &Query) -> Missing {
    if query.is_scraped() {
        Missing::BadAnswer(format!("source `{}` is scraped and keeps no past", query.source()))
    } else {
        Missing::BadAnswer(format!("source `{}` is not a Prometheus", query.source()))
    }
}
