//! Whether a rollback would work right now: runs the checks of `[rollback.quick] ready` for the whole run.
//!
//! Each check is looked at by itself, so that a slow one keeps none of the others waiting. What was seen goes to the machine,
//! which tells the screens and the journal when it changes; a look that does not come is as bad as one that fails, and the
//! machine notices that by the clock.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use super::{
    kit::Kit,
    look::{Looker, Slots},
    messages::News,
};
use crate::domain::{
    check::Check,
    effect::Input,
    id::{QUICK, SlotName},
    plan::WAY_BACK_SLOT,
    run::Run,
    runbook::Target,
    time::{Span, Timestamp},
};

/// Each check is looked at this often.
const EVERY: Span = Span::from_secs(10);
/// But not more often than this in real time, however fast a rehearsal runs.
const LEAST: Duration = Duration::from_millis(500);
/// A look that takes longer has failed: with the next one it would be older than a look may be.
const LONGEST: Span = Span::from_secs(15);

/// The looks under way.
pub(super) struct WayBack {
    kit: Arc<Kit>,
    looks: Vec<Look>,
}

/// A look at one proof that is under way.
struct Look {
    begun: Timestamp,
    really: tokio::time::Instant,
    task: JoinHandle<()>,
}

impl WayBack {
    /// Nothing is looked at yet.
    pub(super) fn new(kit: Arc<Kit>) -> Self {
        Self { kit, looks: Vec::new() }
    }

    /// Begins every look that is due. Called with every tick: the values that a check is filled in with are those of now.
    pub(super) fn look(&mut self, run: &Run) {
        let Some((slot, checks)) = proved_by(run) else { return };
        let now = self.kit.ports.clock.now();
        for (index, check) in checks.iter().enumerate() {
            let due = self.looks.get(index).is_none_or(|last| {
                let rested = last.really.elapsed() >= LEAST && now.since(last.begun) >= EVERY;
                rested && last.task.is_finished()
            });
            if due {
                let look = Look {
                    begun: now,
                    really: tokio::time::Instant::now(),
                    task: self.begin(index, check, &slot, run),
                };
                match self.looks.get_mut(index) {
                    Some(last) => *last = look,
                    None => self.looks.push(look),
                }
            }
        }
    }

    /// A proof is short or it is none: a rollback that waits for it would be late.
    fn begin(&self, index: usize, check: &Check, slot: &SlotName, run: &Run) -> JoinHandle<()> {
        let mut check = check.clone();
        check.timeout = check.timeout.min(LONGEST);
        let looker = Looker {
            ports: self.kit.ports.clone(),
            values: self.kit.values(run).with(WAY_BACK_SLOT, slot.as_str()),
            slots: Slots::of(run),
            since: run.opened_at,
            shared: run.runbook.target.as_ref().is_some_and(Target::has_shares),
        };
        let news = self.kit.news.clone();
        tokio::spawn(async move {
            let seen = looker.look(&check).await;
            let input = Input::ReadySeen { check: index, holds: seen.holds, evidence: seen.evidence };
            // The driver may be gone; then nobody needs to know.
            let _ = news.send(News::Input(input)).await;
        })
    }

    /// Ends what is under way.
    pub(super) fn stop(&mut self) {
        for look in self.looks.drain(..) {
            look.task.abort();
        }
    }
}

/// The slot that one would go back to and what proves that one can, while there is a way back to prove.
fn proved_by(run: &Run) -> Option<(SlotName, &[Check])> {
    let ready = &run.runbook.procedure(QUICK)?.ready;
    let slot = run.opened.previous.as_ref()?.slot.clone();
    (!ready.is_empty() && run.proves_way_back()).then_some((slot, ready.as_slice()))
}
