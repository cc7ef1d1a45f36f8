//! What makes a run roll back, by itself or as a reason that a person can choose.

use serde::{Deserialize, Serialize};

use crate::domain::{id::MetricId, metric::Bound, time::Span, worse::Worse};

/// What triggers a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its words for people: `error rate > 1 % for 5m`, or the reason as written.
    pub reason: String,
    /// What is watched; without it, a reason that a person can choose.
    pub watch: Option<TriggerWatch>,
}

/// The measured side of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerWatch {
    /// The metric; if it is per slot, the new slot's.
    pub metric: MetricId,
    /// What must be seen of it.
    #[serde(flatten)]
    pub rule: Rule,
    /// What happens then.
    pub then: Then,
    /// What happens if the metric is missing: `hold` pauses the run.
    pub no_data: OnNoData,
}

/// When a measured trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rule {
    /// A bound is broken for long enough.
    Fixed {
        /// The breach.
        when: Bound,
        /// How long the breach must last.
        hold_for: Span,
    },
    /// There is evidence enough, by the events counted, that the new version is worse than this.
    Worse(Worse),
}

impl Rule {
    /// The bound and how long it must be broken, where it is a fixed rule.
    pub fn fixed(&self) -> Option<(Bound, Span)> {
        match self {
            Self::Fixed { when, hold_for } => Some((*when, *hold_for)),
            Self::Worse(_) => None,
        }
    }

    /// What is judged by evidence.
    pub fn worse(&self) -> Option<Worse> {
        match self {
            Self::Fixed { .. } => None,
            Self::Worse(worse) => Some(*worse),
        }
    }
}

/// What a trigger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// A person is asked.
    Ask,
    /// A countdown that can be cancelled with a reason, then the rollback.
    Countdown(Span),
    /// The rollback at once.
    Rollback,
}

/// What happens without metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNoData {
    /// The window waits.
    Hold,
    /// Treated as a breach that lasted.
    Rollback,
}
