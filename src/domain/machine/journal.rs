//! What happens when the journal can't store a decision: the machine returns to the journal's state, and only some
//! things may still happen.

use super::Machine;
use crate::domain::{
    actor::Actor,
    cause::HoldCause,
    effect::Decision,
    event::{CheckRef, Override, RunEvent},
    message::{WITHOUT_A_JOURNAL, is_consent},
    run::Run,
};

impl Machine {
    /// What was decided last could not be made durable and none of it was done: the run is what the journal says. What is
    /// known of the world stays. `watching` says which checks the engine polls.
    pub fn take_back(&mut self, run: Run, watching: impl Fn(&CheckRef) -> bool) {
        self.run = run;
        self.out = Decision::default();
        self.granted = None;
        self.look_is_lost();
        self.cancelled.clear();
        self.item_looking.clear();
        self.keep_watches(watching);
        // A trigger that fired without anybody being told has not fired.
        for (index, clock) in &mut self.clocks {
            if clock.state().fired && self.run.triggers[*index].fired.is_none() {
                clock.reset();
            }
        }
    }

    /// Held, so that results still get written into the space that is kept, and nothing follows from them.
    pub(super) fn on_journal_full(&mut self, why: &str) {
        let active = self.run.steps_open && self.run.finished.is_none() && self.run.rolling_back().is_none();
        if active && self.run.held.is_none() {
            let reason = format!("no disk space for the journal ({why}): free some, then continue");
            self.hold(HoldCause::JournalFull, &reason, Actor::Auto);
        }
    }

    /// A person takes it on: a rollback without a journal. Nothing but a rollback: the run is held.
    pub(super) fn go_on_unrecorded(&mut self, typed: &str, by: Actor) {
        if !is_consent(typed) {
            return self.refuse(format!("type `{WITHOUT_A_JOURNAL}` to roll back without a journal"));
        }
        self.look_is_lost();
        let what = "the journal can't be written: only a rollback can run, recorded elsewhere".to_owned();
        self.emit(RunEvent::OverrideGiven(Override {
            what,
            reason: typed.trim().to_owned(),
            by: by.to_string(),
        }));
        let active = self.run.steps_open && self.run.finished.is_none() && self.run.rolling_back().is_none();
        if active && self.run.held.is_none() {
            self.hold(HoldCause::JournalLost, "the journal is lost: only a rollback can run", by);
        }
    }
}
