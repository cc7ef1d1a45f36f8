//! What a run's screens were shown beside its events, kept for replays and reports: samples, pods, warnings, looks.
//!
//! It is telemetry: lossy, bounded, never needed to know the run's state. What is missing is said ([`Kept::remarks`]).
//!
//! ```text
//! engine ── Moment ──▶ Sieve ──▶ file, thinned out when it is full ──▶ Kept ──▶ replay, report
//!                      only what has changed      (`thin`)
//! ```

mod sieve;
#[cfg(test)]
mod tests;
mod thin;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use sieve::Sieve;
pub use thin::{GRIDS, thin};

use super::{
    claim::Standing,
    copy::CopyState,
    id::{MetricId, SlotName, StepId},
    message::Update,
    metric::Sample,
    time::{Span, Timestamp},
    workload::{Access, Workload},
};

/// A metric, and the slot where it is per slot.
type Lane = (MetricId, Option<SlotName>);

/// Something that was seen, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When, in the run's time.
    pub at: Timestamp,
    /// What.
    pub seen: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// A measurement.
    Sample(Sample),
    /// A measurement from before an engine started, fetched by it afterwards.
    Past(Sample),
    /// The cluster: pods, counts, warning events.
    Picture(Box<Workload>),
    /// The last picture was confirmed: nothing but its time has changed.
    Confirmed {
        /// The time of that picture.
        of: Timestamp,
        /// When it was last confirmed by the API server.
        as_of: Timestamp,
    },
    /// Our permissions.
    Access(Access),
    /// How the journal's copy went.
    Copy(CopyState),
    /// What a polled check saw.
    Look {
        /// The step; none for completion and rollback.
        step: Option<StepId>,
        /// The check's index.
        check: usize,
        /// Whether it passed.
        holds: bool,
        /// In words.
        evidence: String,
    },
    /// Where the evidence for the runbook's claims stood.
    Evidence(Vec<Standing>),
    /// Things that were seen and could not be kept.
    Lost {
        /// How many.
        moments: u64,
        /// Until when; from the moment's own time on.
        until: Timestamp,
        /// Why.
        why: String,
    },
}

impl Moment {
    /// What an update shows, as it is kept; nothing of an update that the journal or a file of output has.
    pub fn of(update: &Update, now: Timestamp) -> Vec<Self> {
        let one = |seen| vec![Self { at: now, seen }];
        match update {
            Update::Samples { samples, backfill } => {
                let seen = if *backfill { Seen::Past } else { Seen::Sample };
                samples.iter().map(|sample| Self { at: sample.at, seen: seen(sample.clone()) }).collect()
            }
            Update::Workload { workload } => one(Seen::Picture(workload.clone())),
            Update::Access { access } => one(Seen::Access(access.clone())),
            Update::Copy { state } => one(Seen::Copy(state.clone())),
            Update::Watching { step, check, holds, evidence } => one(Seen::Look {
                step: step.clone(),
                check: *check,
                holds: *holds,
                evidence: evidence.clone(),
            }),
            Update::Evidence { standings } => one(Seen::Evidence(standings.clone())),
            Update::Backlog { .. }
            | Update::Event { .. }
            | Update::Tick { .. }
            | Update::Output { .. }
            | Update::Logs { .. }
            | Update::Crew { .. }
            | Update::Journal { .. }
            | Update::Refused { .. }
            | Update::Closed { .. } => Vec::new(),
        }
    }

    /// The memory that it takes, in bytes: near enough to keep a queue within bounds.
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + match &self.seen {
                Seen::Picture(workload) => workload.memory(),
                Seen::Sample(sample) | Seen::Past(sample) => sample.metric.as_str().len(),
                Seen::Evidence(standings) => size_of_val(standings.as_slice()),
                Seen::Look { evidence: text, .. } | Seen::Lost { why: text, .. } => text.len(),
                Seen::Access(access) => size_of_val(access.missing.as_slice()),
                Seen::Confirmed { .. } | Seen::Copy(_) => 0,
            }
    }

    /// The sample, if it is one.
    pub fn sample(&self) -> Option<&Sample> {
        match &self.seen {
            Seen::Sample(sample) | Seen::Past(sample) => Some(sample),
            _ => None,
        }
    }

    fn sample_mut(&mut self) -> Option<&mut Sample> {
        match &mut self.seen {
            Seen::Sample(sample) | Seen::Past(sample) => Some(sample),
            _ => None,
        }
    }
}

/// A time of which less is kept than was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thinned {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// In each piece of this length the lowest and the highest value of each line are kept.
    pub grid: Span,
}

/// All that is kept of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// What was seen, by time.
    pub moments: Vec<Moment>,
    /// Where it was thinned out, by time.
    #[serde(default)]
    pub thinned: Vec<Thinned>,
    /// What could not be read: damage, a torn end, a kind that this version does not know. In words.
    #[serde(default)]
    pub faults: Vec<String>,
}

impl Kept {
    /// Puts what was read in order.
    pub fn new(mut moments: Vec<Moment>, thinned: Vec<Thinned>, faults: Vec<String>) -> Self {
        moments.sort_by_key(|moment| moment.at);
        // A confirmation of a picture that is not here says nothing about another one.
        let mut picture = None;
        moments.retain(|moment| match &moment.seen {
            Seen::Picture(workload) => {
                picture = Some(workload.as_of);
                true
            }
            Seen::Confirmed { of, .. } => picture == Some(*of),
            _ => true,
        });
        let mut merged: Vec<Thinned> = Vec::new();
        for next in thinned {
            match merged.last_mut() {
                Some(last) if last.grid == next.grid => {
                    last.from = last.from.min(next.from);
                    last.to = last.to.max(next.to);
                }
                _ => merged.push(next),
            }
        }
        Self { moments, thinned: merged, faults }
    }

    /// Nothing is kept, as of a run of an earlier version.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// All measurements, by time.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.moments.iter().filter_map(Moment::sample)
    }

    /// The measurements of each metric and slot, by time.
    pub fn lanes(&self) -> BTreeMap<Lane, Vec<&Sample>> {
        let mut lanes: BTreeMap<Lane, Vec<&Sample>> = BTreeMap::new();
        for sample in self.samples() {
            lanes.entry((sample.metric.clone(), sample.slot.clone())).or_default().push(sample);
        }
        lanes
    }

    /// What is not here although it was seen, a sentence each; empty where everything is.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self
            .thinned
            .iter()
            .map(|Thinned { from, to, grid }| {
                format!(
                    "samples from {} to {} are thinned out: the lowest and the highest of every {} are kept",
                    from.clock(),
                    to.clock(),
                    grid.short()
                )
            })
            .collect();
        for moment in &self.moments {
            if let Seen::Lost { moments, until, why } = &moment.seen {
                remarks.push(format!(
                    "{moments} samples or pictures from {} to {} are not kept: {why}",
                    moment.at.clock(),
                    until.clock()
                ));
            }
        }
        remarks.extend(self.faults.iter().cloned());
        remarks
    }
}
