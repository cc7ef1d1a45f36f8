//! Measures every metric once for each slot, and asks what is behind the answers.

use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt as _, stream};

use super::{AT_ONCE, Deadline, now, values::Known};
use crate::{
    adapters::{http::HttpOptions, metrics::MetricsAdapter},
    domain::{
        evidence::{counts::Counts, lane::Lane},
        metric::Metric,
        online::picture::{Explained, Looked, Measured, Unseen},
        runbook::{Runbook, Source},
        slot_labels::SlotLabels,
        time::Span,
        workload::Workload,
    },
    engine::ports::Metrics as _,
};

/// The traffic is that of so much time, in steps of this length.
const LATELY: Span = Span::from_mins(5);
const LATELY_STEP: Span = Span::from_secs(30);

type Sources = BTreeMap<String, Looked<MetricsAdapter>>;
type Clocks = BTreeMap<String, Looked<i64>>;

/// All metrics, and the sources' clocks.
pub(super) async fn look(
    runbook: &Runbook,
    known: &Known,
    workload: Option<&Workload>,
    options: &HttpOptions,
    deadline: Deadline,
) -> (Vec<Measured>, Clocks) {
    let sources: Sources = (runbook.sources.iter())
        .map(|(name, source)| (name.clone(), opened(name, source, known, options)))
        .collect();
    let sources = &sources;
    let mut wanted: Vec<(&Metric, Option<SlotLabels>)> = Vec::new();
    for metric in &runbook.metrics {
        match &runbook.target {
            Some(target) if metric.per_slot => {
                let slots = target.slots.keys();
                wanted.extend(slots.map(|slot| (metric, Some(SlotLabels::of(slot, target, workload)))));
            }
            _ => wanted.push((metric, None)),
        }
    }
    let measured = stream::iter(wanted)
        .map(|(metric, slot)| one(sources, metric, slot, deadline))
        .buffered(AT_ONCE)
        .collect::<Vec<Measured>>();
    let clocks = stream::iter(sources)
        .map(async |(name, source)| clock(name, source, deadline).await)
        .buffer_unordered(AT_ONCE)
        .filter_map(async |found| found)
        .collect::<Clocks>();
    tokio::join!(measured, clocks)
}

/// One source with all that it needs.
fn opened(name: &str, source: &Source, known: &Known, options: &HttpOptions) -> Looked<MetricsAdapter> {
    let only = BTreeMap::from([(name.to_owned(), source.clone())]);
    MetricsAdapter::new(&only, |template| known.expand(template), options).map_err(|why| {
        Unseen::new(
            why.to_string(),
            format!("correct [sources.{name}], or give what it needs with --var NAME=VALUE"),
        )
    })
}

async fn one(sources: &Sources, metric: &Metric, slot: Option<SlotLabels>, deadline: Deadline) -> Measured {
    let source = metric.query.source();
    let name = slot.as_ref().map(|slot| slot.name.clone());
    let unseen = |why: Unseen| Measured {
        metric: metric.id.clone(),
        slot: name.clone(),
        value: Err(why),
        took: Span::ZERO,
        explained: Explained::default(),
        per_second: None,
    };
    let source = match sources.get(source) {
        Some(Ok(source)) => source,
        Some(Err(why)) => return unseen(why.clone()),
        None => return unseen(Unseen::new("it has no such source", "correct `source` of the metric")),
    };
    let asked = Instant::now();
    let sample = match deadline.look(source.sample(metric, slot.as_ref(), now())).await {
        Ok(sample) => sample,
        Err(why) => return unseen(why),
    };
    let took = Span::from_millis(u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX));
    let explained = deadline.look(source.explain(metric, slot.as_ref(), &sample.value)).await;
    Measured {
        metric: metric.id.clone(),
        slot: name,
        value: Ok(sample.value),
        took,
        explained: explained.unwrap_or_default(),
        per_second: deadline.look(events(source, metric, slot.as_ref())).await.ok().flatten(),
    }
}

/// Events a second in the last minutes.
async fn events(source: &MetricsAdapter, metric: &Metric, slot: Option<&SlotLabels>) -> Option<f64> {
    let mut lane = Lane::new(metric.counted()?);
    let to = now();
    let answers = source.count_past(metric, slot, to - LATELY, to, LATELY_STEP).await;
    let sum = answers.iter().fold(Counts::NONE, |sum, answer| sum + lane.take(answer));
    let covered = answers.last()?.at.since(answers.first()?.at).to_std().as_secs_f64();
    (covered > 0.0).then(|| sum.all / covered)
}

/// How far a source's clock is ahead of ours; nothing for one that does not tell it, or that answers nothing at all, which its
/// metrics say.
async fn clock(
    name: &str,
    source: &Looked<MetricsAdapter>,
    deadline: Deadline,
) -> Option<(String, Looked<i64>)> {
    let source = source.as_ref().ok()?;
    let (began, wall) = (Instant::now(), SystemTime::now());
    let told = deadline.look(source.time(name)).await.ok()?.ok()??;
    let middle = (wall + began.elapsed() / 2).duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let ahead = told.0.saturating_sub(i64::try_from(middle).unwrap_or(i64::MAX));
    Some((name.to_owned(), Ok(ahead)))
}
