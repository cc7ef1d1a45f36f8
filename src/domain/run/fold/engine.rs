//! The engine that drives the run: its lock on the target, the processes that an earlier engine left, and what one engine
//! cannot know of what another has begun.

use crate::domain::{
    action::Action,
    event::{ActionRef, Outcome, RunEvent},
    run::{LockHeld, PuttingBack, Run},
    time::Timestamp,
    trigger::Waits,
};

impl Run {
    /// Takes in an event about the target's lock or a process.
    pub(super) fn apply_engine(&mut self, event: &RunEvent) {
        match event {
            RunEvent::LockTaken { lock_id, fence, .. } => {
                let (lock_id, fence) = (lock_id.clone(), *fence);
                self.lock = Some(LockHeld { lock_id, fence, uncertain: None, lost: None });
            }
            RunEvent::LockUncertain { why } => self.with_lock(|lock| lock.uncertain = Some(why.clone())),
            RunEvent::LockCertain => self.with_lock(|lock| lock.uncertain = None),
            RunEvent::LockLost { why } => self.with_lock(|lock| lock.lost = Some(why.clone())),
            RunEvent::ChildSeen { at, alive, .. } => {
                let work = self.work_mut(&at.place);
                if let Some(action) = work.and_then(|work| work.actions.get_mut(at.action)) {
                    action.lives = Some(*alive);
                }
            }
            _ => {}
        }
    }

    /// Another engine has taken the run up: what only the one before it knew is unknown from here on.
    pub(super) fn resume(&mut self, at: Timestamp) {
        // Screens are connections to an engine, and that one is gone: whoever resumes comes first.
        self.pilot = None;
        self.away_since = Some(at);
        self.control_asked = None;
        // Answers that were out have died with their engine.
        self.open_writes().iter().for_each(|at| self.lose(at));
        if let Some(PuttingBack { action, .. }) = self.putting_back.take() {
            self.lose_write(&action);
        }
        // Clocks are armed anew, without credit.
        for trigger in &mut self.triggers {
            trigger.waits = trigger.breaching.map(|(since, _)| (since, Waits::Resumed));
        }
        // Nobody has looked since.
        self.way_back = None;
        if self.finished.as_ref().is_some_and(|(outcome, ..)| *outcome == Outcome::Held) {
            self.finished = None;
        }
    }

    /// Nobody will ever hear whether a write has arrived.
    pub(super) fn lose(&mut self, at: &ActionRef) {
        if let Some(action) = self.action(at).cloned() {
            self.lose_write(&action);
        }
    }

    /// Remembers a write that may still arrive, each object and kind once.
    pub(super) fn lose_write(&mut self, action: &Action) {
        let Some(object) = self.object_of(action) else { return };
        let write = (object, action.kind.clone());
        if !self.lost.contains(&write) {
            self.lost.push(write);
        }
    }

    fn with_lock(&mut self, change: impl FnOnce(&mut LockHeld)) {
        if let Some(lock) = &mut self.lock {
            change(lock);
        }
    }
}
