//! The samples that were kept, by metric and slot, in order of time.

use std::collections::BTreeMap;

use crate::domain::{
    evidence::counts::Counts,
    felt::Measurements,
    id::{MetricId, SlotName},
    kept::Kept,
    time::Timestamp,
};

/// A value and when it was true; none where it is known that there was none.
pub type Point = (Timestamp, Option<f64>);

/// A metric, and the slot where it is per slot.
type Lane = (MetricId, Option<SlotName>);

/// Samples by metric and slot.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    points: BTreeMap<Lane, Vec<Point>>,
    counts: BTreeMap<Lane, BTreeMap<Timestamp, Counts>>,
    /// Whether some were left out, so that counts are not all there.
    thinned: bool,
}

impl Measured {
    /// Puts what was kept in order; of two samples of the same time the last one counts.
    pub fn of(kept: &Kept) -> Self {
        let mut points: BTreeMap<Lane, BTreeMap<Timestamp, Option<f64>>> = BTreeMap::new();
        let mut counts: BTreeMap<Lane, BTreeMap<Timestamp, Counts>> = BTreeMap::new();
        for sample in kept.samples() {
            let lane = (sample.metric.clone(), sample.slot.clone());
            if let Some(counted) = sample.counts {
                counts.entry(lane.clone()).or_default().insert(sample.at, counted);
            }
            let value = sample.value.as_ref().ok().copied().filter(|value| value.is_finite());
            points.entry(lane).or_default().insert(sample.at, value);
        }
        let points = points.into_iter().map(|(lane, points)| (lane, points.into_iter().collect())).collect();
        Self { points, counts, thinned: !kept.remarks().is_empty() }
    }

    /// Whether nothing was kept.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The points of a metric and a slot.
    pub fn lane(&self, metric: &MetricId, slot: Option<&SlotName>) -> Option<&[Point]> {
        self.points.get(&(metric.clone(), slot.cloned())).map(Vec::as_slice)
    }

    /// The slots of a metric that have points; one without a name where it is not per slot.
    pub fn slots(&self, metric: &MetricId) -> Vec<Option<&SlotName>> {
        self.points.keys().filter(|(id, _)| id == metric).map(|(_, slot)| slot.as_ref()).collect()
    }
}

impl Measurements for Measured {
    fn points(&self, metric: &MetricId, slot: Option<&SlotName>) -> Option<Vec<Point>> {
        self.lane(metric, slot).map(<[Point]>::to_vec)
    }

    fn counts(
        &self,
        metric: &MetricId,
        slot: Option<&SlotName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<Counts> {
        let lane = self.counts.get(&(metric.clone(), slot.cloned())).filter(|_| !self.thinned)?;
        let within = lane.iter().filter(|(at, _)| **at > from && **at <= to).map(|(_, counts)| *counts);
        Some(within.fold(Counts::NONE, |sum, counts| sum + counts))
    }
}
