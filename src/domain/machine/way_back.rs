//! Whether a rollback would work is proved by checks: `[rollback.quick] ready`, tracked as it changes.

use super::Machine;
use crate::domain::{
    event::{Outcome, RunEvent},
    id::QUICK,
    run::Run,
    time::{Span, Timestamp},
};

/// A look at the way back is good for this long.
const GOOD_FOR: Span = Span::from_secs(30);

/// The newest look at one of the checks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReadyLook {
    at: Timestamp,
    holds: bool,
    evidence: String,
}

impl Machine {
    pub(super) fn on_ready_seen(&mut self, check: usize, holds: bool, evidence: String) {
        self.ready.insert(check, ReadyLook { at: self.now, holds, evidence });
        self.judge_way_back();
    }

    /// Tells when the way back opens or closes, and when something else closes it than before. What was seen is evidence and
    /// changes with every look; it goes along, and is no change by itself.
    pub(super) fn judge_way_back(&mut self) {
        let runbook = std::sync::Arc::clone(&self.run.runbook);
        let Some(quick) = runbook.procedure(QUICK).filter(|quick| !quick.ready.is_empty()) else { return };
        if !self.run.proves_way_back() || self.previous_sleeps() {
            return;
        }
        let limit = GOOD_FOR.as_deadline(self.slack);
        let (mut failing, mut why, mut waiting) = (Vec::new(), Vec::new(), false);
        for (index, check) in quick.ready.iter().enumerate() {
            let look = self.ready.get(&index);
            let since = look.map_or(self.began, |look| look.at);
            let evidence = match look {
                _ if self.now.since(since) > limit => {
                    format!("not seen for {}", self.now.since(since).short())
                }
                Some(look) if look.holds => continue,
                Some(look) => look.evidence.clone(),
                None => {
                    waiting = true;
                    continue;
                }
            };
            failing.push(check.text.clone());
            why.push(format!("{}: {evidence}", check.text));
        }
        let ready = failing.is_empty();
        let same = self.run.way_back.as_ref().is_some_and(|was| was.ready == ready && was.failing == failing);
        let untold = ready && waiting;
        if !(same || untold) {
            self.emit(RunEvent::WayBackChanged { ready, failing, why: why.join("; ") });
        }
    }

    /// Whether the slot that one would go back to was scaled down: it can prove nothing, and that is no news.
    fn previous_sleeps(&self) -> bool {
        let slots = self.workload.as_ref().map(|workload| &workload.slots);
        let previous = self.run.opened.previous.as_ref().map(|target| &target.slot);
        slots
            .zip(previous)
            .and_then(|(slots, previous)| slots.get(previous))
            .is_some_and(|slot| slot.desired == 0)
    }
}

impl Run {
    /// Whether it matters just now if one could go back: not during a rollback, nor after one that went well, nor where a run
    /// has ended otherwise than well.
    pub fn proves_way_back(&self) -> bool {
        let over = self.finished.as_ref().is_some_and(|(outcome, ..)| *outcome != Outcome::Succeeded);
        self.opened.previous.is_some() && self.rolling_back().is_none() && !over
    }
}
