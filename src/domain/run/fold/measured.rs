//! What is measured: the baseline, the evidence for each claim, and the triggers.

use crate::domain::{
    event::RunEvent,
    run::{Gathered, Run},
    time::Timestamp,
};

impl Run {
    /// Takes in a baseline, or where the evidence for a claim stands.
    pub(super) fn apply_measured(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::BaselineRecorded { values, short } => {
                self.baseline.clone_from(values);
                self.baseline_short.clone_from(short);
            }
            RunEvent::EvidenceBegan { claim, terms, remark, .. } => {
                let (terms, remark) = (*terms, remark.clone());
                self.evidence.insert(*claim, Gathered { since: at, terms, remark, card: None });
            }
            RunEvent::EvidenceTold { claim, card, .. } => {
                if let Some(gathered) = self.evidence.get_mut(claim) {
                    gathered.card = Some((**card).clone());
                }
            }
            _ => {}
        }
    }

    /// Takes in an event of one trigger.
    pub(super) fn apply_trigger(&mut self, event: &RunEvent, at: Timestamp) {
        let (RunEvent::TriggerBreaching { trigger, .. }
        | RunEvent::TriggerWaits { trigger, .. }
        | RunEvent::TriggerCleared { trigger, .. }
        | RunEvent::TriggerBlind { trigger, .. }
        | RunEvent::TriggerSees { trigger }
        | RunEvent::TriggerFired { trigger, .. }
        | RunEvent::CountdownStarted { trigger, .. }
        | RunEvent::CountdownCancelled { trigger, .. }) = event
        else {
            return;
        };
        let claim = self.runbook.claim_of(*trigger);
        let Some(state) = self.triggers.get_mut(*trigger) else { return };
        match event {
            RunEvent::TriggerBreaching { since, value, .. } => {
                state.breaching = Some((*since, *value));
                state.waits = None;
            }
            RunEvent::TriggerWaits { until, why, .. } => state.waits = Some((*until, why.clone())),
            RunEvent::TriggerCleared { .. } => {
                state.breaching = None;
                state.waits = None;
            }
            RunEvent::TriggerBlind { why, .. } => state.blind = Some(why.clone()),
            RunEvent::TriggerSees { .. } => state.blind = None,
            RunEvent::TriggerFired { reason, .. } => state.fired = Some((at, reason.clone())),
            RunEvent::CountdownStarted { ends_at, .. } => state.countdown = Some(*ends_at),
            RunEvent::CountdownCancelled { .. } => {
                state.countdown = None;
                state.fired = None;
                state.breaching = None;
                state.waits = None;
                // A verdict that a person has called wrong is no evidence any more.
                if let Some(gathered) = claim.and_then(|claim| self.evidence.get_mut(&claim)) {
                    gathered.card = None;
                }
            }
            _ => {}
        }
    }
}
