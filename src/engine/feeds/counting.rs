//! Counted metrics: raw counters in, samples with counts and the share of the last minute out.

use std::collections::BTreeMap;

use futures::future::{join, join_all};
use tokio::{sync::watch, time::Instant};

use super::{
    BACKFILL,
    asking::{Asking, Round},
};
use crate::{
    domain::{
        evidence::{
            baseline::{BEFORE, BLOCK},
            counters::Answer,
            lane::Lane,
        },
        id::SlotName,
        metric::{Counted, Metric, Missing, Sample},
        slot_labels::SlotLabels,
        time::{Span, Timestamp},
    },
    engine::ports::Ports,
};

/// After a pause of more intervals than this the times in between are asked for; counts of a shorter one come in one piece.
const BEARABLE: u64 = 5;

/// What is known of one slot of a metric.
struct Counting {
    lane: Lane,
    /// When it was last asked, by the answer's own time.
    last: Option<Timestamp>,
}

impl Counting {
    fn new(counted: &Counted) -> Self {
        Self { lane: Lane::new(counted), last: None }
    }
}

/// Counts one metric for ever, all its slots at once; first the past, of which the hour before the switch tells what is normal.
/// `met` is the slot on which users meet the new version, once they do.
pub(super) async fn count(mut asking: Asking, counted: Counted, met: watch::Receiver<Option<SlotName>>) {
    asking.wait_for_revision().await;
    let mut counting: BTreeMap<Option<SlotName>, Counting> = BTreeMap::new();
    for slot in asking.lanes() {
        let mut known = Counting::new(&counted);
        let past = past(&asking.metric, slot.as_ref(), &asking.ports, &mut known.lane).await;
        known.last = past.last().map(|sample| sample.at);
        counting.insert(slot.map(|slot| slot.name), known);
        if !asking.tell_past(past).await {
            return;
        }
    }
    let mut before = Instant::now();
    loop {
        let round = Round::begin(&asking, before);
        let new = met.borrow().clone();
        let looks = asking.lanes().into_iter().map(|slot| {
            let name = slot.as_ref().map(|slot| slot.name.clone());
            let mut known = counting.remove(&name).unwrap_or_else(|| Counting::new(&counted));
            // A series that is new on the slot where users meet the new version is a new pod, or the first error of its kind.
            if new.is_some() && name == new {
                known.lane.appear_from_zero();
            }
            let asking = &asking;
            async move {
                let samples =
                    look(&asking.metric, slot.as_ref(), &asking.ports, &mut known, round.makes_up).await;
                (name, known, samples)
            }
        });
        for (name, known, samples) in join_all(looks.collect::<Vec<_>>()).await {
            counting.insert(name, known);
            if !asking.tell(samples).await {
                return;
            }
        }
        before = round.real;
        round.end(&asking).await;
    }
}

/// The past: the hour before in minutes, the last quarter of it as densely as it will be counted.
async fn past(metric: &Metric, slot: Option<&SlotLabels>, ports: &Ports, lane: &mut Lane) -> Vec<Sample> {
    let now = ports.clock.now();
    let minute = |at: Timestamp| Timestamp(at.0 - at.0.rem_euclid(60_000));
    let (from, dense) = (minute(now - BEFORE), minute(now - BACKFILL));
    let mut answers = ports.metrics.count_past(metric, slot, from, dense, BLOCK).await;
    answers
        .extend(ports.metrics.count_past(metric, slot, dense + metric.interval, now, metric.interval).await);
    let samples = answers.iter().map(|answer| taken(metric, slot, lane, answer));
    // The first answer of all says nothing.
    samples.collect::<Vec<_>>().into_iter().skip(1).collect()
}

/// What was counted since the last look, and where time runs fast, at the times in between.
async fn look(
    metric: &Metric,
    slot: Option<&SlotLabels>,
    ports: &Ports,
    known: &mut Counting,
    make_up: bool,
) -> Vec<Sample> {
    let now = ports.clock.now();
    let half = Span::from_millis(metric.interval.as_millis() / 2);
    let between = async {
        let longest = Span::from_millis(metric.interval.as_millis().saturating_mul(BEARABLE));
        match known.last.filter(|last| make_up && now.since(*last) > longest) {
            Some(last) => {
                let from = last + metric.interval;
                ports.metrics.count_past(metric, slot, from, now - half, metric.interval).await
            }
            None => Vec::new(),
        }
    };
    let (answer, between) = join(ports.metrics.count(metric, slot, now), between).await;
    let lane = &mut known.lane;
    let mut samples: Vec<Sample> = between.iter().map(|answer| taken(metric, slot, lane, answer)).collect();
    let until = answer.as_ref().map_or(now, |answer| answer.at);
    match answer {
        Ok(answer) => samples.push(taken(metric, slot, &mut known.lane, &answer)),
        Err(why) => samples.push(sample(metric, slot, now, Err(why))),
    }
    known.last = Some(until);
    samples
}

fn taken(metric: &Metric, slot: Option<&SlotLabels>, lane: &mut Lane, answer: &Answer) -> Sample {
    let counts = lane.take(answer);
    Sample { counts: Some(counts), ..sample(metric, slot, answer.at, lane.rate()) }
}

fn sample(metric: &Metric, slot: Option<&SlotLabels>, at: Timestamp, value: Result<f64, Missing>) -> Sample {
    Sample { metric: metric.id.clone(), slot: slot.map(|slot| slot.name.clone()), at, value, counts: None }
}
