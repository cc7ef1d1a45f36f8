//! Metrics that no trigger speaks about: outside their limits, or not measured.

use super::Alert;
use crate::{
    domain::{
        metric::{Metric, Missing, Verdict},
        run::Run,
        series::Series,
        time::Span,
    },
    tui::{model::Model, subject},
};

/// So many samples in a row without a value, and it is not measured: one that is lost says nothing.
const LOST: usize = 5;

/// Metrics in their alert range that no trigger is breaching about.
pub(super) fn from_metrics(model: &Model, run: &Run) -> Vec<Alert> {
    let told = |metric: &Metric| {
        run.runbook.triggers.iter().zip(&run.triggers).any(|(trigger, state)| {
            trigger.watch.as_ref().is_some_and(|watch| watch.metric == metric.id)
                && (state.breaching.is_some() || state.fired.is_some())
        })
    };
    let slot = subject::live(model);
    let metrics = run.runbook.metrics.iter().filter(|metric| !told(metric));
    metrics
        .filter_map(|metric| {
            let reading = model.telemetry.reading(metric, slot.as_ref(), model.now);
            let value = reading.value.filter(|_| reading.verdict == Verdict::Alert)?;
            let bound =
                metric.alert.map(|bound| format!(", alert {}", bound.show(metric.unit))).unwrap_or_default();
            Some(Alert {
                urgent: false,
                word: format!("watch: {}", metric.title.to_lowercase()),
                headline: format!("{} {}{bound}", metric.title, metric.show(value)),
                meter: None,
                follows: metric.action.clone().unwrap_or_else(|| "Look into it.".to_owned()),
            })
        })
        .collect()
}

/// What is not measured of the slot with traffic: nothing can be well that nobody sees. Where a trigger is blind it has
/// said so already.
pub(super) fn unmeasured(model: &Model, run: &Run) -> Option<Alert> {
    if run.triggers.iter().any(|state| state.blind.is_some()) {
        return None;
    }
    let slot = subject::live(model);
    let mut missing = run.runbook.metrics.iter().filter_map(|metric| {
        let why = model.telemetry.reading(metric, slot.as_ref(), model.now).why?;
        let lost = matches!(why, Missing::Stale(_)) || has_lost(model, metric);
        (lost && !why.is_no_traffic()).then_some((metric, why))
    });
    let (first, why) = missing.next()?;
    let more = match missing.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(Alert {
        urgent: false,
        word: "watch: no data".to_owned(),
        headline: format!("NO DATA for {}{more}: {why}", first.title),
        meter: None,
        follows: "Nobody can say whether that is well.".to_owned(),
    })
}

/// For how long a metric of the new version has had no value; none where it never had one.
pub(super) fn missing_for(model: &Model, metric: &Metric) -> Option<Span> {
    let slot = model.run.as_ref().and_then(|run| run.opened.new_slot.clone()).filter(|_| metric.per_slot);
    let series = model.telemetry.series.get(&(metric.id.clone(), slot))?;
    let last = series.iter().rev().find(|(_, value)| value.is_some());
    last.map(|(at, _)| model.now.since(at))
}

/// Whether the last samples had no value.
fn has_lost(model: &Model, metric: &Metric) -> bool {
    let slot = subject::live(model).filter(|_| metric.per_slot);
    let series = model.telemetry.series.get(&(metric.id.clone(), slot));
    let last: Vec<bool> = series
        .into_iter()
        .flat_map(Series::iter)
        .rev()
        .take(LOST)
        .map(|(_, value)| value.is_none())
        .collect();
    last.len() == LOST && last.into_iter().all(|lost| lost)
}
