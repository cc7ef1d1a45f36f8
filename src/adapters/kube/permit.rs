//! What an engine knows about its own lock, and whether it may write now.
//!
//! Measured from the moment the last successful renewal was *sent*, on a clock that counts time asleep: the API server cannot
//! have begun the new term earlier. So a laptop that slept and a process that was stopped find out before their next write.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    domain::{
        lock::LockState,
        time::{Span, Timestamp},
    },
    engine::ports::Clock,
};

use super::timing::LockTiming;

/// A write may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The fence that it carries.
    pub(super) fence: u64,
    /// How long until somebody else may take the lock over: no write may still be under way then.
    pub(super) left: Duration,
}

/// One holding of the lock.
pub(super) struct Permit {
    clock: Arc<dyn Clock>,
    timing: LockTiming,
    /// For people: `service/backend-service`.
    of: String,
    lock_id: String,
    fence: u64,
    since: Timestamp,
    term: Mutex<Term>,
    state: watch::Sender<LockState>,
}

/// How long writes are allowed, and why not for longer.
struct Term {
    /// When the last successful renewal was sent.
    renewed: Timestamp,
    /// Why the tries since then failed.
    trouble: Option<String>,
    /// How it ended.
    end: Option<LockState>,
    /// What was last told to those who watch.
    told: LockState,
}

impl Permit {
    /// A holding that began with a request sent at `renewed`.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        timing: LockTiming,
        of: String,
        (lock_id, fence): (String, u64),
        renewed: Timestamp,
    ) -> Self {
        let held = LockState::Held { lock_id: lock_id.clone(), fence, since: renewed };
        let term = Term { renewed, trouble: None, end: None, told: held.clone() };
        let state = watch::Sender::new(held);
        Self { clock, timing, of, lock_id, fence, since: renewed, term: Mutex::new(term), state }
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a write may leave now; if not, why, for people.
    pub(super) fn check(&self) -> Result<Allowed, String> {
        let mut term = self.term();
        let now = self.clock.now();
        self.publish(&mut term, now);
        let age = now.since(term.renewed);
        let why = match self.state_of(&term, now) {
            LockState::Held { fence, .. } => {
                return Ok(Allowed { fence, left: self.timing.duration.saturating_sub(age).to_std() });
            }
            LockState::Uncertain { why, .. } => format!(
                "the lock of {} was last renewed {} ago and is valid for {} ({why}), so it may no longer be \
                 ours; nothing is changed until it is renewed",
                self.of,
                seconds(age),
                seconds(self.deadline())
            ),
            LockState::Lost { why, by } => {
                let by = by.map(|by| format!("; {} has control now", by.words())).unwrap_or_default();
                format!("the lock of {} is lost: {why}{by}; this engine changes nothing any more", self.of)
            }
            LockState::Released => {
                format!("the lock of {} was released; this engine changes nothing any more", self.of)
            }
        };
        Err(why)
    }

    /// Whatever was asked for, nothing is written once somebody else may take the lock over.
    fn deadline(&self) -> Span {
        self.timing.deadline.min(self.timing.duration)
    }

    /// Between the deadline and the next renewal nobody knows whose the lock is: nothing is written, and nothing is given
    /// up.
    fn state_of(&self, term: &Term, now: Timestamp) -> LockState {
        if let Some(end) = &term.end {
            return end.clone();
        }
        // At the deadline it is over: a write that leaves then would be past it.
        if now.since(term.renewed) < self.deadline() {
            return LockState::Held { lock_id: self.lock_id.clone(), fence: self.fence, since: self.since };
        }
        let why = term.trouble.clone();
        LockState::Uncertain {
            since: term.renewed + self.deadline(),
            why: why.unwrap_or_else(|| "this process or its host was suspended".to_owned()),
        }
    }

    /// Tells a change to those who watch; otherwise their channel is left alone, since somebody may be reading in it.
    fn publish(&self, term: &mut Term, now: Timestamp) {
        let new = self.state_of(term, now);
        if term.told != new {
            term.told = new.clone();
            self.state.send_replace(new);
        }
    }

    /// Tells watchers if time alone has changed the state.
    pub(super) fn tell(&self) {
        self.publish(&mut self.term(), self.clock.now());
    }

    /// A renewal sent at `begun` has succeeded.
    pub(super) fn renewed(&self, begun: Timestamp) {
        let mut term = self.term();
        term.renewed = term.renewed.max(begun);
        term.trouble = None;
        self.publish(&mut term, self.clock.now());
    }

    /// A renewal has failed in a way that may pass.
    pub(super) fn troubled(&self, why: String) {
        let mut term = self.term();
        term.trouble = Some(why);
        self.publish(&mut term, self.clock.now());
    }

    /// It is over, for good; the first end counts.
    pub(super) fn end(&self, end: LockState) {
        let mut term = self.term();
        term.end.get_or_insert(end);
        self.publish(&mut term, self.clock.now());
    }

    /// Whether it is over.
    pub(super) fn has_ended(&self) -> bool {
        self.term().end.is_some()
    }

    /// Time until writes stop being allowed, if no renewal succeeds.
    pub(super) fn until_deadline(&self) -> Span {
        let age = self.clock.now().since(self.term().renewed);
        self.deadline().saturating_sub(age)
    }

    pub(super) fn watch(&self) -> watch::Receiver<LockState> {
        self.state.subscribe()
    }

    pub(super) fn lock_id(&self) -> &str {
        &self.lock_id
    }

    pub(super) fn fence(&self) -> u64 {
        self.fence
    }
}

/// With tenths: 14.9 s of 15 s are a near miss that whole seconds hide.
fn seconds(span: Span) -> String {
    let ms = span.as_millis();
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use async_trait::async_trait;

    use super::*;

    #[derive(Default)]
    struct HandClock(AtomicI64);

    #[async_trait]
    impl Clock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }

        async fn sleep(&self, _: Span) {}
    }

    fn permit() -> (Arc<HandClock>, Permit) {
        let clock = Arc::new(HandClock::default());
        let shared: Arc<dyn Clock> = clock.clone();
        let held = ("3f9a-12bc-77de".to_owned(), 7);
        let permit = Permit::new(shared, LockTiming::default(), "service/x".to_owned(), held, Timestamp(0));
        (clock, permit)
    }

    #[test]
    fn l3_writes_end_with_the_deadline_and_never_outlive_the_term() {
        let (clock, permit) = permit();
        for (ms, left) in [(0, 15_000), (4_000, 11_000), (9_999, 5_001)] {
            clock.0.store(ms, Ordering::SeqCst);
            assert_eq!(permit.check(), Ok(Allowed { fence: 7, left: Duration::from_millis(left) }));
        }
        permit.troubled("no answer".to_owned());
        for ms in [10_000, 10_001, 60_000] {
            clock.0.store(ms, Ordering::SeqCst);
            let why = permit.check().unwrap_err();
            assert!(why.contains("is valid for 10.0 s (no answer)"), "{why}");
        }
        assert_eq!(
            *permit.watch().borrow(),
            LockState::Uncertain { since: Timestamp(10_000), why: "no answer".to_owned() }
        );
    }

    #[test]
    fn l3_an_answer_that_comes_after_a_standstill_counts_from_its_request() {
        let (clock, permit) = permit();
        // Sent at 2 s, stopped for a minute, and only then the answer is read.
        clock.0.store(62_000, Ordering::SeqCst);
        permit.renewed(Timestamp(2_000));
        let why = permit.check().unwrap_err();
        assert!(why.contains("last renewed 60.0 s ago") && why.contains("was suspended"), "{why}");
        permit.renewed(Timestamp(61_500));
        assert!(permit.check().is_ok(), "it is ours again once it could be renewed");
    }

    #[test]
    fn what_is_lost_stays_lost() {
        let (_, permit) = permit();
        permit.end(LockState::Lost { why: "it was deleted".to_owned(), by: None });
        permit.renewed(Timestamp(1));
        permit.end(LockState::Released);
        assert!(permit.check().unwrap_err().contains("is lost: it was deleted"));
        assert!(permit.has_ended());
    }
}
