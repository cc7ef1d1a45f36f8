//! Metrics that are one number: a value now, and what it was before.

use futures::future::join_all;
use tokio::time::Instant;

use super::{
    BACKFILL,
    asking::{Asking, Round},
};
use crate::domain::{
    metric::Sample,
    slot_labels::SlotLabels,
    time::{Span, Timestamp},
};

/// Samples one metric for ever, all its slots at once; first the past.
pub(super) async fn sample(mut asking: Asking) {
    asking.wait_for_revision().await;
    let now = asking.ports.clock.now();
    for slot in asking.lanes() {
        let past = asking.ports.metrics.backfill(&asking.metric, slot.as_ref(), now - BACKFILL, now).await;
        if !asking.tell_past(past).await {
            return;
        }
    }
    let mut last: Vec<Option<Timestamp>> = vec![None; asking.lanes().len()];
    let mut before = Instant::now();
    loop {
        let round = Round::begin(&asking, before);
        let lanes = asking.lanes();
        let looks = lanes.iter().zip(&last).map(|(slot, last)| {
            let since = last.filter(|_| round.makes_up);
            look(&asking, slot.as_ref(), since)
        });
        let found = join_all(looks.collect::<Vec<_>>()).await;
        for (samples, last) in found.into_iter().zip(&mut last) {
            *last = samples.last().map(|sample| sample.at);
            if !asking.tell(samples).await {
                return;
            }
        }
        before = round.real;
        round.end(&asking).await;
    }
}

/// What is measured now, after what was measured since, where an interval was skipped.
async fn look(asking: &Asking, slot: Option<&SlotLabels>, since: Option<Timestamp>) -> Vec<Sample> {
    let Asking { metric, ports, .. } = asking;
    let sample = ports.metrics.sample(metric, slot, ports.clock.now()).await;
    // A sample is a little late or early; only more than half an interval is one that is missing.
    let half = Span::from_millis(metric.interval.as_millis() / 2);
    let next = since.map(|since| since + metric.interval);
    let mut samples = match next.filter(|next| sample.at.since(*next) > half) {
        Some(next) => ports.metrics.backfill(metric, slot, next, sample.at - half).await,
        None => Vec::new(),
    };
    samples.push(sample);
    samples
}
