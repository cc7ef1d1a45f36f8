//! A past run as its journal tells it.

use serde::{Deserialize, Serialize};

use super::{LeftOut, Window};
use crate::domain::{
    actor::Actor,
    event::{Envelope, Outcome, RunEvent},
    id::{MetricId, SlotName},
    run::Run,
    time::Timestamp,
};

/// A run whose new version users have met.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    /// Its id.
    pub run_id: String,
    /// The module that was deployed.
    pub module: String,
    /// From its opening to its end.
    pub whole: Window,
    /// From the moment that users met the new version until the rollback, or the end.
    pub watched: Window,
    /// The slot that got the new version.
    pub new_slot: Option<SlotName>,
    /// The slot that had the users before.
    pub previous: Option<SlotName>,
    /// How it ended; none where it was interrupted.
    pub outcome: Option<Outcome>,
    /// When measured triggers fired, by metric and by the reason that the runbook gives.
    pub fired: Vec<Firing>,
    /// When a rollback began after the switch, and what started it.
    pub rolled_back: Option<(Timestamp, By)>,
    /// The slot that had the users at the end.
    pub live_after: Option<SlotName>,
}

/// A trigger that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Its metric.
    pub metric: MetricId,
    /// Its words in the runbook.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What started a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A person.
    Person,
    /// A trigger, or the run itself.
    Trigger,
}

/// The incident that was declared in a run, from its beginning until it was resolved, or else until the journal ends; none of a
/// rehearsal.
pub fn incident(events: &[Envelope]) -> Option<LeftOut> {
    let run = Run::fold(events)?;
    let declared = run.incident.as_ref().filter(|_| run.opened.rehearsal.is_none())?;
    let resolved = declared.resolved_at();
    let to = resolved.unwrap_or(run.last_at).max(declared.started_at);
    let open = if resolved.is_some() { "" } else { ", not resolved when the run ended" };
    let why = format!("incident of run {}: {}{open}", run.opened.run_id, declared.title);
    Some(LeftOut { window: Window { from: declared.started_at, to }, why })
}

impl PastRun {
    /// What a journal tells; none of a rehearsal, and of a run whose new version no user has met.
    pub fn of(events: &[Envelope]) -> Option<Self> {
        let run = Run::fold(events)?;
        if run.opened.rehearsal.is_some() {
            return None;
        }
        let met = run.met_at?;
        let ended = events.last()?.at.max(met);
        let ended = run.finished.as_ref().map_or(ended, |(_, at, _)| *at);
        let mut fired = Vec::new();
        let mut rolled_back = None;
        for Envelope { at, event, .. } in events {
            match event {
                RunEvent::TriggerFired { trigger, .. } => {
                    let declared = run.runbook.triggers.get(*trigger);
                    fired.extend(declared.and_then(|trigger| {
                        let metric = trigger.watch.as_ref()?.metric.clone();
                        Some(Firing { metric, reason: trigger.reason.clone(), at: *at })
                    }));
                }
                RunEvent::RollbackStarted { by, .. } if *at >= met && rolled_back.is_none() => {
                    let by = match by {
                        Actor::Person(_) => By::Person,
                        _ => By::Trigger,
                    };
                    rolled_back = Some((*at, by));
                }
                _ => {}
            }
        }
        let until = rolled_back.map_or(ended, |(at, _)| at);
        Some(Self {
            run_id: run.opened.run_id.0.clone(),
            module: run.runbook.document.module.clone(),
            whole: Window { from: run.opened_at, to: ended },
            watched: Window { from: met, to: until.max(met) },
            new_slot: run.opened.new_slot.clone(),
            previous: run.opened.previous.as_ref().map(|target| target.slot.clone()),
            outcome: run.finished.as_ref().map(|(outcome, ..)| *outcome),
            fired,
            rolled_back,
            live_after: run.live.clone(),
        })
    }

    /// Whether the release was taken back after users had met it.
    pub fn was_bad(&self) -> bool {
        self.rolled_back.is_some()
    }
}
