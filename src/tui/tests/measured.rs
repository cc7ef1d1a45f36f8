//! What is measured in the story: every five seconds from the opening on, so that curves, clocks and numbers fit each other.

use super::fixture::{START, Told};
use crate::domain::{
    id::SlotName,
    message::Update,
    metric::{Missing, Sample},
    time::{Span, Timestamp},
};

/// Between two samples.
const EVERY: Span = Span::from_secs(5);
/// How long GREEN's errors climb before they are above the limit that a trigger counts against.
const CLIMB: Span = Span::from_secs(60);
/// What is normal: of the slot that has traffic, of each slot, and of both together.
const OF_TRAFFIC: [(&str, f64, f64); 3] =
    [("error_rate", 0.0004, 0.5), ("latency", 0.143, 0.1), ("payments", 0.995, 0.001)];
const OF_PODS: [(&str, f64, f64); 2] = [("cpu", 0.55, 0.1), ("memory", 0.61, 0.02)];
const OF_ALL: [(&str, f64, f64); 2] = [("transactions", 2300.0, 0.05), ("db_conns", 41.0, 0.1)];

/// How far the story was measured.
#[derive(Clone, Default)]
pub(super) struct Measured {
    /// Up to here.
    until: Option<Timestamp>,
    /// From here on GREEN's error rate is above its limit.
    fails: Option<Timestamp>,
}

/// GREEN's error rate this long after it has crossed the limit: it has climbed a minute, and goes on slowly.
fn errors(at: Timestamp, fails: Timestamp) -> f64 {
    if at < fails {
        let part = 1.0 - fails.since(at).to_std().as_secs_f64() / CLIMB.to_std().as_secs_f64();
        return 0.0004 * (0.0108_f64 / 0.0004).powf(part.max(0.0));
    }
    let seconds = at.since(fails).to_std().as_secs_f64();
    let fast = seconds.min(219.0);
    0.0108 + 0.0033 * fast / 219.0 + 0.0001 * (seconds - fast) / 87.0
}

impl Told {
    /// From this time on GREEN fails.
    pub(super) fn green_fails(&mut self, fails: Timestamp) {
        self.measured.fails = Some(fails);
    }

    /// Everything since it was measured last, of the slot that has the traffic; nothing of the other.
    pub(super) fn healthy(&mut self, live: &str) {
        let until = self.model.now - Span::from_secs(1);
        let from = self.measured.until.unwrap_or(START - Span::from_mins(3));
        self.measured.until = Some(until);
        let idle = if live == "blue" { "green" } else { "blue" };
        let mut samples = Vec::new();
        let mut at = until;
        // The newest is always the same: what stands on a screen does not hang on how long the story was.
        let mut back = 0;
        while at > from {
            let swing = f64::from((4 + 5 - back % 5) * 7 % 5 - 2) / 2.0;
            let of = |metric: &str, slot: Option<&str>, value: Option<f64>| Sample {
                metric: metric.into(),
                slot: slot.map(SlotName::from),
                at,
                value: value.ok_or(Missing::NoData),
                counts: None,
            };
            let fails = self.measured.fails.filter(|fails| live == "green" && at + CLIMB > *fails);
            for (metric, base, part) in OF_TRAFFIC {
                let usual = base * (1.0 + part * swing);
                let value = match (metric, fails) {
                    ("error_rate", Some(fails)) => errors(at, fails),
                    // Most of what fails is not a payment.
                    ("payments", Some(fails)) => usual - errors(at, fails) / 4.0,
                    _ => usual,
                };
                samples.push(of(metric, Some(live), Some(value)));
                samples.push(of(metric, Some(idle), None));
            }
            for (metric, base, part) in OF_PODS {
                let value = Some(base * (1.0 + part * swing));
                samples.extend([live, idle].map(|slot| of(metric, Some(slot), value)));
            }
            for (metric, base, part) in OF_ALL {
                samples.push(of(metric, None, Some(base * (1.0 + part * swing))));
            }
            at = at - EVERY;
            back += 1;
        }
        samples.reverse();
        self.tell(Update::Samples { samples, backfill: false });
    }
}
