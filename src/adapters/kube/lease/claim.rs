//! Getting the lock: acquired if it is free or our own, taken over if a person says so.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    domain::{
        lock::LockHolder,
        rights::Verb,
        time::{Span, Timestamp},
    },
    engine::ports::{Fault, PortError},
};

use super::{
    super::{
        KubeCluster,
        call::{Call, LEASES},
        cause::cause,
        fault::Failure,
        fence::FENCE,
        gateway::random_below,
        locked,
    },
    LockClaim, LockRefused, Observed,
    name::{lease_name, mint},
    record::{Pulse, Record, with_reason},
    renew::KubeLock,
};

/// Tries to acquire: each is either the last or has found that somebody else was faster.
const ROUNDS: u32 = 8;

/// Fences left out where the Lease was deleted: whoever held it may have had more than the objects tell.
const LEFT_OUT: u64 = 100;

/// The API server keeps the count in 32 bits.
const HIGHEST: u64 = i32::MAX as u64;

impl KubeCluster {
    /// Takes the target's lock, if it is free or our own; from then on each write through this cluster is subject to it,
    /// and none is allowed once the lock that is given here has been dropped.
    ///
    /// # Errors
    /// See [`LockRefused`].
    pub async fn acquire(&self, claim: &LockClaim) -> Result<Arc<KubeLock>, LockRefused> {
        self.may_renew().await?;
        let id = claim.id.clone().unwrap_or_else(mint);
        let mut begun = self.lock_clock.now();
        // Whether the last holder has given it back, so that no write of its can be under way.
        let mut clean = true;
        for round in 1..=ROUNDS {
            let found = self.read_lease().await?;
            if let Some(record) = &found {
                if record.holder_id() == Some(&id) {
                    return Ok(Arc::new(self.held(record.clone(), begun, clean).await));
                }
                if record.holder_id().is_some() && !record.is_own(claim) {
                    return Err(self.held_by(record));
                }
            }
            let fence = self.next_fence(found.as_ref()).await?;
            clean = match &found {
                Some(record) => record.holder_id().is_none(),
                None => fence <= LEFT_OUT,
            };
            begun = self.lock_clock.now();
            let body = self.taking(found.as_ref(), claim, (&id, fence), begun);
            if let Some(record) = self.put_lease(found.is_some(), &body).await? {
                return Ok(Arc::new(self.held(record, begun, clean).await));
            }
            // Somebody was faster, or the answer was lost: the next look tells.
            tokio::time::sleep(random_below(Duration::from_millis(20) * round)).await;
        }
        Err(LockRefused::Failed(PortError::failed(format!(
            "could not get the lock of {}: others keep writing it",
            self.lock_of()
        ))))
    }

    /// Takes the lock over from the holder with exactly this id, after watching for a whole term that it is not renewed.
    /// Then all of the target's objects are marked with the new fence, so that no write of the former holder that is still
    /// under way can be applied.
    ///
    /// # Errors
    /// See [`LockRefused`].
    pub async fn take_over(
        &self,
        claim: &LockClaim,
        lock_id: &str,
        reason: &str,
    ) -> Result<Arc<KubeLock>, LockRefused> {
        if reason.trim().is_empty() {
            return Err(LockRefused::NoReason);
        }
        let id = claim.id.clone().unwrap_or_else(mint);
        let of = self.lock_of();
        let mut begun = self.lock_clock.now();
        let mut first: Option<Pulse> = None;
        loop {
            let Some(record) = self.read_lease().await? else { return Err(LockRefused::Free { of }) };
            let Some(holder_id) = record.holder_id() else { return Err(LockRefused::Free { of }) };
            let quiet = self.quiet(&record);
            let term = record.term(self.lock_timing.duration);
            let expired = quiet >= term;
            let holder = record.holder(expired).map(Box::new);
            match holder {
                _ if holder_id == id => return Ok(Arc::new(self.held(record, begun, false).await)),
                Some(holder) if holder_id != lock_id => return Err(LockRefused::WrongId { of, holder }),
                Some(holder) if first.as_ref().is_some_and(|first| *first != record.pulse()) => {
                    return Err(LockRefused::Alive { of, holder });
                }
                _ => {}
            }
            first.get_or_insert_with(|| record.pulse());
            if !expired {
                let pause =
                    term.saturating_sub(quiet).as_millis().min(self.lock_timing.every.as_millis() / 2);
                self.lock_clock.sleep(Span::from_millis(pause.max(1))).await;
                continue;
            }
            let fence = self.next_fence(Some(&record)).await?;
            begun = self.lock_clock.now();
            let body = with_reason(self.taking(Some(&record), claim, (&id, fence), begun), lock_id, reason);
            if let Some(record) = self.put_lease(true, &body).await? {
                return Ok(Arc::new(self.held(record, begun, false).await));
            }
        }
    }

    /// Who holds the target's lock now; nothing where it is free. Whether it has expired is what all looks by this cluster
    /// have seen together, so that looking again and again finds it out.
    ///
    /// # Errors
    /// See [`LockRefused`].
    pub async fn lock_holder(&self) -> Result<Option<LockHolder>, LockRefused> {
        let Some(record) = self.read_lease().await? else { return Ok(None) };
        let expired = self.quiet(&record) >= record.term(self.lock_timing.duration);
        Ok(record.holder(expired))
    }

    /// What is locked, for people.
    pub(super) fn lock_of(&self) -> String {
        format!("service/{}", self.target.service)
    }

    /// Whether its holder still lives is told by silence on our own clock: the two hosts' clocks may differ.
    fn held_by(&self, record: &Record) -> LockRefused {
        let expired = self.quiet(record) >= record.term(self.lock_timing.duration);
        match record.holder(expired) {
            Some(holder) => LockRefused::Held { of: self.lock_of(), holder: Box::new(holder) },
            None => LockRefused::Free { of: self.lock_of() },
        }
    }

    /// How long the lock has stood still before our eyes.
    fn quiet(&self, record: &Record) -> Span {
        let now = self.lock_clock.now();
        let pulse = record.pulse();
        let mut seen = locked(&self.lease_seen);
        match seen.as_ref() {
            Some(known) if known.pulse == pulse => now.since(known.since),
            _ => {
                *seen = Some(Observed { pulse, since: now });
                Span::ZERO
            }
        }
    }

    /// A proxy may answer 200 with something of its own: what is no Lease is an unreadable answer and no free lock.
    async fn read_lease(&self) -> Result<Option<Record>, LockRefused> {
        let call = Call::get(&LEASES, Some(&self.target.namespace), &lease_name(&self.target.service));
        let (session, failure) = match self.gateway.try_read(&call).await {
            Ok(body) => match serde_json::from_slice::<Value>(&body) {
                Ok(object) if object["kind"] == "Lease" => return Ok(Some(Record::new(object))),
                Ok(_) => (self.gateway.session(), Failure::Unreadable("it is not a Lease".to_owned())),
                Err(fault) => (self.gateway.session(), Failure::Unreadable(cause(&fault))),
            },
            Err(failed) => failed,
        };
        match failure.code() {
            Some(404) => Ok(None),
            Some(403) => Err(self.forbidden(&call, &failure)),
            _ => Err(LockRefused::Failed(failure.told(&call, &session))),
        }
    }

    fn taking(
        &self,
        found: Option<&Record>,
        claim: &LockClaim,
        holding: (&str, u64),
        now: Timestamp,
    ) -> Value {
        let name = lease_name(&self.target.service);
        Record::taken(found, &name, claim, holding, now, self.lock_timing.duration)
    }

    /// Writes the Lease. Nothing is given where somebody else was faster, or where a look must tell what became of it.
    async fn put_lease(&self, exists: bool, body: &Value) -> Result<Option<Record>, LockRefused> {
        let (namespace, name) = (self.target.namespace.as_str(), lease_name(&self.target.service));
        let call = if exists {
            Call::replace(&LEASES, namespace, &name, body)
        } else {
            Call::create(&LEASES, namespace, &name, body)
        };
        match self.gateway.send(call, self.lock_timing.attempt.to_std()).await {
            Ok(object) => Ok(Some(Record::new(object))),
            Err((_, failure)) if failure.code() == Some(409) || failure.is_ambiguous() => Ok(None),
            Err((call, failure)) if failure.code() == Some(403) => Err(self.forbidden(&call, &failure)),
            Err((call, failure)) => Err(LockRefused::Failed(self.gateway.told(&call, &failure))),
        }
    }

    /// A holder that may take but not renew would lose the lock ten seconds later: better told before.
    async fn may_renew(&self) -> Result<(), LockRefused> {
        let name = lease_name(&self.target.service);
        match self.may(Verb::Update, &LEASES, &name).await {
            Ok(false) => Err(self.no_verb("update", String::new())),
            Ok(true) => Ok(()),
            // Reviews may themselves be forbidden; the writes will tell.
            Err(PortError { kind: Fault::Denied, .. }) => Ok(()),
            Err(fault) => Err(LockRefused::Failed(fault)),
        }
    }

    /// The server's own words are kept: they name the role that is missing.
    fn forbidden(&self, call: &Call, failure: &Failure) -> LockRefused {
        let message = match failure {
            Failure::Answer { message, .. } => message.clone(),
            _ => String::new(),
        };
        self.no_verb(call.verb, message)
    }

    fn no_verb(&self, verb: &str, message: String) -> LockRefused {
        LockRefused::Forbidden {
            verb: verb.to_owned(),
            resource: LEASES.in_roles(),
            namespace: self.target.namespace.clone(),
            message,
        }
    }

    /// A fence above all there were.
    async fn next_fence(&self, found: Option<&Record>) -> Result<u64, LockRefused> {
        let on_objects = self.highest_fence().await?;
        let last = match found {
            Some(record) => on_objects.max(record.transitions()),
            None if on_objects == 0 => 0,
            None => on_objects.saturating_add(LEFT_OUT),
        };
        if last >= HIGHEST {
            return Err(LockRefused::Failed(PortError::failed(format!(
                "the fence of {} has reached its maximum, {last}; if no engine is left, remove the \
                 annotation `{}` from the target's objects and the lease `{}`",
                self.lock_of(),
                FENCE,
                lease_name(&self.target.service)
            ))));
        }
        Ok(last + 1)
    }

    /// The lock is ours. Where the last holder has not given it back, writes of its may be under way, and all objects are
    /// marked so that none of them can be applied.
    async fn held(&self, record: Record, begun: Timestamp, clean: bool) -> KubeLock {
        let mut lock = self.hold(record, begun);
        if !clean {
            lock.unmarked = self.mark_all().await;
        }
        lock
    }
}
