//! The lock that everybody respects who would change the same target: a Lease beside it, named `cutover-<service>`.
//!
//! ```text
//! acquire    absent or free ── write with the version read ──────────────────────────> ours, fence + 1
//!            our own run's on this host, after a crash ── the same ──────────────────> ours, fence + 1, all objects marked
//!            held by another ──────────────────────────────────────────────────────────> refused, with who and where
//! take over  the exact id typed ── watched for a whole term, never renewed ── write ──> ours, fence + 1, all objects marked
//!            another id, or renewed meanwhile ────────────────────────────────────────> refused
//! renew      every 2 s ── 2xx ──────────────────────────────────────────────────────> held
//!              ├─ 409 ── read ── still ours ── once more;  gone, replaced, another's ──> lost, for good
//!              └─ silence, 5xx, 403 … ── again ── no success for 10 s ────────────────> uncertain: no writes, may come back
//! release    free again, if still ours; the fence stays, so that the next holder's is higher
//! ```
//!
//! Expiry never hands over by itself, and two hosts' clocks are never compared: who wants to take over watches the Lease for
//! a whole term by its own clock. The holder stops writing at two thirds of that term, by a clock that counts time asleep.
//!
//! The id of a holding is random, and new for each: it names exactly one holder, whom a person has seen and means. The count
//! of transitions is the fence (see `fence`). Where somebody has deleted the Lease, the count goes on from what the target's
//! objects carry.

mod permit;
mod record;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{sync::watch, task::AbortHandle, time::timeout};

use crate::{
    domain::{
        id::RunId,
        lock::{LockHolder, LockState},
        time::{Span, Timestamp},
    },
    engine::ports::{Clock, Fault, PortError, PortResult, TargetLock},
};

use super::{
    KubeCluster,
    call::{Call, LEASES},
    fault::Failure,
    gateway::{Gateway, random_below},
    locked,
};
use record::{Pulse, Record, with_reason};

pub(super) use permit::{Allowed, Permit};

/// Tries to acquire: each is either the last or has found that somebody else was faster.
const ROUNDS: u32 = 8;

/// Tries of one renewal, where versions move under it, and of a release.
const RENEWALS: u32 = 3;

/// Fences left out where the Lease was deleted: whoever held it may have had more than the objects tell.
const LEFT_OUT: u64 = 100;

/// The API server keeps the count in 32 bits.
const HIGHEST: u64 = i32::MAX as u64;

/// The times of the lock, on the lock's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockTiming {
    /// How long somebody must have seen no renewal before a takeover; whole seconds.
    pub duration: Span,
    /// Without a renewal for so long, nothing is written any more. Shorter than `duration`.
    pub deadline: Span,
    /// Between two renewals.
    pub every: Span,
    /// How long one request may take.
    pub attempt: Span,
}

impl Default for LockTiming {
    fn default() -> Self {
        Self {
            duration: Span::from_secs(15),
            deadline: Span::from_secs(10),
            every: Span::from_secs(2),
            attempt: Span::from_secs(3),
        }
    }
}

/// Who wants the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockClaim {
    /// The person, as in `alice@bastion`.
    pub who: String,
    /// This host.
    pub host: String,
    /// The run.
    pub run_id: RunId,
    /// Locks that engines of this host have taken before, each with its run, and that this claim may take over: the run's
    /// own, where a crashed engine's run goes on. The caller holds the local locks, so those engines are dead.
    pub previous: Vec<(String, RunId)>,
    /// The id that this holding shall have; a new one where not given. Whoever notes it before the lock is taken knows it
    /// again after a crash in between.
    pub id: Option<String>,
}

/// Why the lock was not obtained. Nothing of the target has been touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockRefused {
    /// Somebody else has it.
    #[error("{} drives {of}; watch with `cutover watch {}` there, or, if that engine is gone, `cutover takeover {}` with a reason", holder.words(), holder.run_id, holder.lock_id)]
    Held {
        /// What is locked: `service/backend-service`.
        of: String,
        /// Who has it.
        holder: Box<LockHolder>,
    },
    /// A takeover named another lock than the one that is held.
    #[error("that is not the id of the lock that is held now: {} drives {of}, with lock {}; look again, then decide", holder.words(), holder.lock_id)]
    WrongId {
        /// What is locked.
        of: String,
        /// Who has it.
        holder: Box<LockHolder>,
    },
    /// A takeover named the right lock, but its holder is alive.
    #[error("{} drives {of} and is alive: the lock was renewed while we watched; ask for control there, or watch with `cutover watch {}`", holder.words(), holder.run_id)]
    Alive {
        /// What is locked.
        of: String,
        /// Who has it.
        holder: Box<LockHolder>,
    },
    /// A takeover of a lock that nobody holds.
    #[error("nobody holds the lock of {of}; there is nothing to take over")]
    Free {
        /// What is not locked.
        of: String,
    },
    /// A takeover without a reason.
    #[error("a takeover needs a reason")]
    NoReason,
    /// We may not use Leases.
    #[error(
        "not allowed to {verb} {resource}: ask for the verbs `get`, `create` and `update` on `{resource}` in namespace {namespace}{}",
        says(message)
    )]
    Forbidden {
        /// The verb that is missing.
        verb: String,
        /// The resource as roles name it.
        resource: String,
        /// The namespace.
        namespace: String,
        /// What the API server said; may be empty.
        message: String,
    },
    /// The cluster did not answer, or not as it should.
    #[error(transparent)]
    Failed(#[from] PortError),
}

fn says(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

/// The target's lock as last seen, and since when it has looked so, by our clock.
#[derive(Debug)]
pub(super) struct Observed {
    pulse: Pulse,
    since: Timestamp,
}

/// A lock that is held, and renewed in the background. Dropped without a release it is left to expire.
pub struct KubeLock {
    core: Arc<Core>,
    renewing: AbortHandle,
    unmarked: Vec<String>,
}

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
            "the lock of {} could not be had: others write it all the time",
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
    fn lock_of(&self) -> String {
        format!("service/{}", self.target.service)
    }

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

    async fn read_lease(&self) -> Result<Option<Record>, LockRefused> {
        let call = Call::get(&LEASES, Some(&self.target.namespace), &lease_name(&self.target.service));
        let (session, failure) = match self.gateway.try_read(&call).await {
            Ok(body) => match serde_json::from_slice::<Value>(&body) {
                Ok(object) if object["kind"] == "Lease" => return Ok(Some(Record::new(object))),
                Ok(_) => (self.gateway.session(), Failure::Unreadable("it is no Lease".to_owned())),
                Err(fault) => (self.gateway.session(), Failure::Unreadable(super::fault::cause(&fault))),
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
        match self.may("update", &LEASES, &name).await {
            Ok(false) => Err(self.no_verb("update", String::new())),
            Ok(true) => Ok(()),
            // Reviews may themselves be forbidden; the writes will tell.
            Err(PortError { kind: Fault::Denied, .. }) => Ok(()),
            Err(fault) => Err(LockRefused::Failed(fault)),
        }
    }

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
                "the fence of {} has reached {last}, beyond which there is no other; if no engine is left, remove the \
                 annotation `{}` from the target's objects and the lease `{}`",
                self.lock_of(),
                super::fence::FENCE,
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

    /// Renews the lock from now on, and lets writes ask it.
    fn hold(&self, record: Record, begun: Timestamp) -> KubeLock {
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
    fn record(&self) -> Record {
        locked(&self.record).clone()
    }

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
        self.permit.troubled("others write the lease all the time".to_owned());
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

    fn judge(&self, found: Option<Record>) -> Whose {
        let (why, by) = match found {
            None => ("the lease was deleted".to_owned(), None),
            Some(record) if record.uid() != self.uid => {
                ("the lease was deleted and made anew".to_owned(), record.holder(false))
            }
            Some(record) if record.holder_id() != Some(self.permit.lock_id()) => {
                let by = record.holder(false);
                let why = if by.is_some() { "it was taken over" } else { "somebody has freed it" };
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
        Err(last.unwrap_or_else(|| PortError::failed("the lock could not be given back")))
    }
}

/// The Lease's name for a Service.
fn lease_name(service: &str) -> String {
    safe_name("cutover-", service, 253)
}

/// A name that any object may have, at most `longest` bytes: the text itself where it is one already, else what is left of it
/// with a hash, so that different texts stay different.
pub(super) fn safe_name(prefix: &str, text: &str, longest: usize) -> String {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |text: &str| !text.starts_with('-') && !text.ends_with('-') && !text.is_empty();
    if text.chars().all(fine) && ends(text) && prefix.len() + text.len() <= longest {
        return format!("{prefix}{text}");
    }
    let mut tag = format!("{:x}", Sha256::digest(text));
    tag.truncate(10);
    let plain: String = text
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if fine(c) { c } else { '-' })
        .take(longest.saturating_sub(prefix.len() + tag.len() + 1).min(200))
        .collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { format!("{prefix}{tag}") } else { format!("{prefix}{plain}-{tag}") }
}

/// A new id, of a lock or of who copies: 48 random bits, in groups that can be read out and typed.
#[must_use]
pub fn mint() -> String {
    let mut bytes = [0_u8; 8];
    let random = rustls::crypto::ring::default_provider().secure_random;
    if random.fill(&mut bytes).is_err() {
        // Without it the id is still one of a kind, by the hasher's random keys; it only is easier to guess.
        bytes = RandomState::new().hash_one(std::process::id()).to_be_bytes();
    }
    let number = u64::from_be_bytes(bytes);
    format!("{:04x}-{:04x}-{:04x}", number >> 32 & 0xffff, number >> 16 & 0xffff, number & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_stay_different() {
        assert_eq!(lease_name("backend-service"), "cutover-backend-service");
        let odd = lease_name("Backend_Service");
        assert!(odd.starts_with("cutover-backend-service-") && odd != lease_name("backend.service"), "{odd}");
        let long = lease_name(&"x".repeat(400));
        assert!(long.len() <= 253, "{}", long.len());
        assert!(safe_name("", &"y".repeat(100), 63).len() <= 63);
    }

    #[test]
    fn l2_lock_ids_can_be_typed_and_are_never_the_same() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| mint()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 14 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')));
    }
}
