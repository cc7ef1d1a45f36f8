//! Changes that somebody else made to what we deploy, and putting them back.

use crate::domain::{
    event::{ActionOutcome, RunEvent},
    run::{Foreign, PuttingBack, Run},
};

impl Run {
    /// Takes in a change by somebody else, or what became of putting it back.
    pub(super) fn apply_foreign(&mut self, event: &RunEvent) {
        match event {
            RunEvent::ForeignChange { object, what, manager, put_back } => {
                let words = format!("{object}: {what} (by {manager})");
                self.foreign.push(Foreign { words, put_back: put_back.clone() });
            }
            RunEvent::PutBackStarted { action, does, by } => {
                let (action, does, by) = (action.as_ref().clone(), does.clone(), by.clone());
                self.putting_back = Some(PuttingBack { action, does, by });
            }
            RunEvent::PutBackFinished { outcome, .. } => {
                let Some(PuttingBack { action, does, .. }) = self.putting_back.take() else { return };
                match outcome {
                    ActionOutcome::Succeeded => self.foreign.retain(|change| change.put_back != does),
                    ActionOutcome::Unknown => self.lose_write(&action),
                    ActionOutcome::Failed
                    | ActionOutcome::TimedOut
                    | ActionOutcome::Cancelled
                    | ActionOutcome::Unavailable => {}
                }
            }
            _ => {}
        }
    }
}
