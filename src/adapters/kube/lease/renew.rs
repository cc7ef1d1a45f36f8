//! Keeping the lock: renewed in the background until it is released or lost.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;
use tokio::{sync::watch, task::AbortHandle, time::timeout};

use crate::{
    domain::{
        lock::LockState,
        time::{Span, Timestamp},
    },
    engine::ports::{Clock, PortError, PortResult, TargetLock},
};

use super::{
    super::{
        KubeCluster,
        call::{Call, LEASES},
        gateway::Gateway,
        locked,
        permit::Permit,
        timing::LockTiming,
    },
    name::lease_name,
    record::Record,
};

/// Tries of one renewal, where versions move under it, and of a release.
const RENEWALS: u32 = 3;

/// A lock that is held, and renewed in the background. Dropped without a release it is left to expire.
pub struct KubeLock {
    core: Arc<Core>,
    renewing: AbortHandle,
    pub(super) unmarked: Vec<String>,
}

impl KubeCluster {
    /// Renews the lock from now on, and lets writes ask it.
    pub(super) fn hold(&self, record: Record, begun: Timestamp) -> KubeLock {
        let holding = (record.holder_id().unwrap_or_default().to_owned(), record.transitions());
        let permit = Arc::new(Permit::new(
            Arc::clone(&self.lock_clock),
            self.lock_timing.clone(),
            self.lock_of(),
            holding,
            begun,
        ));
        self.gateway.bind(Arc::clone(&permit));
        let core = Arc::new(Core {
            gateway: Arc::clone(&self.gateway),
            clock: Arc::clone(&self.lock_clock),
            timing: self.lock_timing.clone(),
            namespace: self.target.namespace.clone(),
            name: lease_name(&self.target.service),
            uid: record.uid().to_owned(),
            record: Mutex::new(record),
            permit,
        });
        let renewing = tokio::spawn(renew(Arc::clone(&core))).abort_handle();
        KubeLock { core, renewing, unmarked: Vec::new() }
    }
}

impl KubeLock {
    /// The id of this holding: what somebody types who takes over from us, and what our journal records.
    pub fn lock_id(&self) -> &str {
        self.core.permit.lock_id()
    }

    /// The fence of this holding.
    pub fn fence(&self) -> u64 {
        self.core.permit.fence()
    }

    /// Objects that could not be marked with our fence, with reasons, where the former holder has not given the lock back:
    /// a write of its that is still under way might reach them.
    pub fn unmarked(&self) -> &[String] {
        &self.unmarked
    }
}

#[async_trait]
impl TargetLock for KubeLock {
    fn permit(&self) -> Result<u64, String> {
        self.core.permit.check().map(|allowed| allowed.fence)
    }

    fn state(&self) -> watch::Receiver<LockState> {
        self.core.permit.watch()
    }

    async fn release(&self) -> PortResult<()> {
        self.renewing.abort();
        if self.core.permit.has_ended() {
            return Ok(());
        }
        self.core.permit.end(LockState::Released);
        self.core.release().await
    }
}

impl Drop for KubeLock {
    fn drop(&mut self) {
        self.renewing.abort();
        // Nobody renews it any more, so nobody may write by it.
        self.core.permit.end(LockState::Released);
    }
}

/// What renewing needs.
struct Core {
    gateway: Arc<Gateway>,
    clock: Arc<dyn Clock>,
    timing: LockTiming,
    namespace: String,
    name: String,
    /// The Lease that is ours: another one of the same name is not.
    uid: String,
    record: Mutex<Record>,
    permit: Arc<Permit>,
}

/// What a look at the Lease found.
enum Whose {
    Ours,
    Lost,
    Unclear(String),
}

/// Renews until the lock is lost.
async fn renew(core: Arc<Core>) {
    while !core.permit.has_ended() {
        let turn = async {
            core.clock.sleep(core.timing.every).await;
            core.attempt().await;
        };
        tokio::pin!(turn);
        loop {
            let left = core.permit.until_deadline();
            tokio::select! {
                () = &mut turn => break,
                // Who watches is told on time, though the request may hang for longer.
                () = core.clock.sleep(left), if left > Span::ZERO => core.permit.tell(),
            }
        }
    }
}

impl Core {
    /// As the server last answered it: the next renewal carries its version, and so fails where somebody else has written.
    fn record(&self) -> Record {
        locked(&self.record).clone()
    }

    /// Counted from when the request was sent, not from its answer: the server may have taken it at any moment in between.
    async fn attempt(&self) {
        for _ in 0..RENEWALS {
            let begun = self.clock.now();
            let body = self.record().renewed(begun);
            let call = Call::replace(&LEASES, &self.namespace, &self.name, &body);
            let generation = self.gateway.session().generation;
            let (call, failure) = match self.gateway.send(call, self.timing.attempt.to_std()).await {
                Ok(object) => {
                    match self.judge(Some(Record::new(object))) {
                        Whose::Ours => self.permit.renewed(begun),
                        Whose::Lost => {}
                        Whose::Unclear(why) => self.permit.troubled(why),
                    }
                    return;
                }
                Err(failed) => failed,
            };
            match failure.code() {
                // The version has moved: another's takeover, or only somebody's annotation, or our own write whose answer
                // was lost.
                Some(404 | 409) => match self.look().await {
                    Whose::Ours => continue,
                    Whose::Lost => return,
                    Whose::Unclear(why) => return self.permit.troubled(why),
                },
                Some(401) => {
                    let renewal = self.gateway.renew(generation);
                    let _ = timeout(self.timing.attempt.to_std(), renewal).await;
                }
                _ => {}
            }
            return self.permit.troubled(self.gateway.told(&call, &failure).message);
        }
        self.permit.troubled("others keep writing the lease".to_owned());
    }

    /// Reads the Lease, and takes its version where it is still ours.
    async fn look(&self) -> Whose {
        let call = Call::get(&LEASES, Some(&self.namespace), &self.name);
        let read = timeout(self.timing.attempt.to_std(), self.gateway.find::<Value>(&call));
        match read.await {
            Ok(Ok(found)) => self.judge(found.map(Record::new)),
            Ok(Err(fault)) => Whose::Unclear(fault.message),
            Err(_) => Whose::Unclear(format!("no answer to `{}`", call.words())),
        }
    }

    /// Deleted, made anew, taken over, released: each is an end, and each is told as what it is.
    fn judge(&self, found: Option<Record>) -> Whose {
        let (why, by) = match found {
            None => ("the lease was deleted".to_owned(), None),
            Some(record) if record.uid() != self.uid => {
                ("the lease was deleted and recreated".to_owned(), record.holder(false))
            }
            Some(record) if record.holder_id() != Some(self.permit.lock_id()) => {
                let by = record.holder(false);
                let why = if by.is_some() { "it was taken over" } else { "somebody released it" };
                (why.to_owned(), by)
            }
            Some(record) => {
                *locked(&self.record) = record;
                return Whose::Ours;
            }
        };
        tracing::warn!(why, "the target's lock is lost");
        self.permit.end(LockState::Lost { why, by });
        Whose::Lost
    }

    /// Frees the Lease, if it is still ours.
    async fn release(&self) -> PortResult<()> {
        let mut last = None;
        for _ in 0..RENEWALS {
            let body = self.record().released(self.clock.now());
            let call = Call::replace(&LEASES, &self.namespace, &self.name, &body);
            let sent = self.gateway.send(call, self.timing.attempt.to_std()).await;
            let Err((call, failure)) = sent else { return Ok(()) };
            last = Some(self.gateway.told(&call, &failure));
            // A renewal may have been under way, and an answer may have been lost: look whose it is.
            match self.look().await {
                Whose::Ours => {}
                Whose::Lost => return Ok(()),
                Whose::Unclear(_) => break,
            }
        }
        Err(last.unwrap_or_else(|| PortError::failed("the lock could not be released")))
    }
}
