//! What the engine needs from outside: one small trait each. Adapters implement them; tests use fakes.
//!
//! No port retries a write. Every call comes back within its deadline, with a sentence a person can act on where it failed.

mod shell;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Instant,
};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use crate::domain::{
    action::PatchType,
    copy::{CopyHead, CopyState},
    director::Shares,
    event::{Envelope, RollbackTarget},
    evidence::counters::Answer,
    id::SlotName,
    kept::Moment,
    lock::LockState,
    metric::{Metric, Missing, Sample},
    observation::{Approach, Observation},
    rights::Right,
    rollout::RolloutFacts,
    runbook::Runbook,
    slot_labels::SlotLabels,
    time::{Span, Timestamp},
    workload::{Access, ClusterIdentity, LogLine, Workload},
};

pub use self::shell::{Output, Shell, ShellCall, ShellExit, ShellNews, ShellProgram};

/// An error from outside, with a message that says what happened, where, and what to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortError {
    /// The kind, for the engine.
    pub kind: Fault,
    /// The message, for people.
    pub message: String,
}

/// The kinds of error that the engine distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Certainly not done, and a retry will not help.
    Failed,
    /// Certainly not done, for a reason that may pass: unreachable, overloaded, login expired, lock uncertain.
    Unavailable,
    /// It may have been done: the request was sent, but no answer came.
    Unknown,
    /// Not allowed, or no longer logged in.
    Denied,
    /// Somebody else changed the object since we read it.
    Conflict,
    /// The object does not exist.
    NotFound,
}

impl PortError {
    /// An error that changed nothing.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: Fault::Failed, message: message.into() }
    }

    /// An error that changed nothing and may pass.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: Fault::Unavailable, message: message.into() }
    }

    /// An error of a given kind.
    pub fn new(kind: Fault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PortError {}

/// The result of a port's call.
pub type PortResult<T> = Result<T, PortError>;

/// The run's time: the wall clock in a real run, faster in a rehearsal.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now. Never goes back, and counts time asleep.
    fn now(&self) -> Timestamp;
    /// Waits until `span` has passed on this clock.
    async fn sleep(&self, span: Span);
    /// Seconds that pass on this clock per real second: 1, except in rehearsals.
    fn speed(&self) -> f64 {
        1.0
    }
}

/// Tells a running call to stop. `true` means: stop now.
pub type CancelFlag = watch::Receiver<bool>;

/// The Kubernetes side: one target with its two slots.
///
/// Writes carry our field manager and, where they follow a read, the `resourceVersion` read. [`Fault::Unknown`] is
/// returned where a write may have arrived; the caller looks with the matching read before it decides.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Which cluster this is.
    async fn identity(&self) -> PortResult<ClusterIdentity>;
    /// The permissions that a runbook needs here, including the names of its objects.
    fn rights(&self, runbook: &Runbook) -> Vec<Right>;
    /// Which of these permissions we have, by asking (`SelfSubjectAccessReview`): nothing is tried.
    async fn access(&self, rights: &[Right]) -> PortResult<Access>;
    /// The state of everything now, freshly read.
    async fn look(&self) -> PortResult<Workload>;
    /// A fresh read of what the guard decides on: Service, Deployments, pods and autoscalers, in one parallel round trip.
    async fn observe(&self) -> PortResult<Observation>;
    /// Watches until the receiver is dropped; sends a new picture whenever something changed, at most four a second.
    /// Connection errors are reported in [`Workload::connection`], and the watch is restarted.
    fn watch(self: Arc<Self>) -> mpsc::Receiver<Workload>;
    /// Sets a container's image. The container must exist: checked before anything is written.
    ///
    /// `seen` is the look that allowed it: where the Deployment's spec has changed since, nothing is written, and it is a
    /// [`Fault::Conflict`]. So for all writes that take one.
    async fn set_image(
        &self,
        slot: &SlotName,
        container: &str,
        image: &str,
        seen: Option<&Observation>,
    ) -> PortResult<String>;
    /// One read of a slot's rollout: facts for the domain to judge. Reasons are only read if it is not complete.
    async fn rollout(&self, slot: &SlotName) -> PortResult<RolloutFacts>;
    /// Points the Service at a slot: one request, on a warm connection, with the fence in it. The answer is the API server's.
    async fn switch_traffic(&self, to: &SlotName, seen: Option<&Approach>) -> PortResult<String>;
    /// Gives the backends of two slots these shares in the route: one request, with the fence and the version in it. Everything
    /// else of the route stays as it is.
    async fn shift_traffic(&self, shares: &Shares, seen: Option<&Approach>) -> PortResult<String>;
    /// Gives a slot's Deployment the template again that it had: that of the `ReplicaSet` with this revision's hash; where that
    /// is gone, the image. A paused rollout goes on.
    async fn revert(
        &self,
        slot: &SlotName,
        to: &RollbackTarget,
        seen: Option<&Observation>,
    ) -> PortResult<String>;
    /// Stops a slot's rollout where it is, or lets it go on.
    async fn pause(&self, slot: &SlotName, paused: bool, seen: Option<&Observation>) -> PortResult<String>;
    /// With one Deployment: the revision that the run began with, by its `pod-template-hash`. Its pods are the old slot's, all
    /// others the new one's. Before it is told, all pods of the template as it is are the old slot's.
    fn began_with(&self, hash: Option<&str>);
    /// Sets a slot's replicas.
    async fn scale(&self, slot: &SlotName, replicas: u32, seen: Option<&Observation>) -> PortResult<String>;
    /// Restarts a slot's pods (the annotation that kubectl sets).
    async fn restart(&self, slot: &SlotName, seen: Option<&Observation>) -> PortResult<String>;
    /// Makes sure that no write of ours to a slot's Deployment (to the Service, where no slot is given), sent before now and
    /// not answered, can still arrive: its metadata is written, so that what carries an older `resourceVersion` is refused.
    async fn settle(&self, slot: Option<&SlotName>) -> PortResult<()>;
    /// Patches an object of the namespace. One of the target's, the Service or a slot's Deployment, carries the version that was
    /// looked at, like every other write to them.
    async fn patch(
        &self,
        kind: &str,
        name: &str,
        patch_type: PatchType,
        patch: &serde_json::Value,
        seen: Option<&Observation>,
    ) -> PortResult<String>;
    /// The newest log lines of a slot's pods, or of one pod, oldest first: what a screen shows.
    async fn logs(
        &self,
        slot: &SlotName,
        pod: Option<&str>,
        tail: u32,
        since: Option<Timestamp>,
    ) -> PortResult<LogsRead>;
    /// Every log line of a slot's pods after the marks, oldest first, and the marks set behind them: what a check reads.
    /// The log of a container before its restart is part of it.
    async fn logs_after(&self, slot: &SlotName, marks: &mut LogMarks) -> PortResult<LogsRead>;
    /// Whether the nodes have room for this many more pods of a slot: evidence, or why not.
    async fn headroom(&self, slot: &SlotName, replicas: u32) -> PortResult<Seen>;
}

/// The part of a slot's logs that was read, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsRead {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// The pods that were read.
    pub pods: Vec<String>,
    /// What should have been read and was not: a pod, or something more, and why. Whoever looks for a line that must not be
    /// there cannot tell while there is any.
    pub unread: Vec<(String, String)>,
}

impl LogsRead {
    /// The lines as a screen shows them: what was not read is said before them.
    #[must_use]
    pub fn shown(self) -> Vec<LogLine> {
        let remarks =
            self.unread.into_iter().map(|(pod, why)| LogLine { pod, at: None, text: format!("({why})") });
        remarks.chain(self.lines).collect()
    }
}

/// How far the logs of a slot's containers have been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMarks {
    /// Nothing before this counts.
    pub since: Timestamp,
    /// The stamp of the newest line read, by a container's start: its pod's uid, and how often it had restarted.
    pub newest: BTreeMap<(String, u32), jiff::Timestamp>,
    /// Starts that have ended and were read to their end.
    pub finished: BTreeSet<(String, u32)>,
    /// What was read lately, by pod's uid, oldest first. A container may have been restarted between the look at its status and
    /// the reading of its log: then the lines were the next start's, and the mark that they left says nothing of this one's.
    pub lately: BTreeMap<String, Vec<LateRead>>,
}

/// What one look has read of one container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRead {
    /// When.
    pub at: Instant,
    /// Which start its status told of.
    pub start: u32,
    /// The mark before it.
    pub before: Option<jiff::Timestamp>,
    /// A hash of each line with its stamp.
    pub lines: BTreeSet<u64>,
}

impl LogMarks {
    /// Nothing has been read yet, and nothing before `since` counts.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self { since, newest: BTreeMap::new(), finished: BTreeSet::new(), lately: BTreeMap::new() }
    }
}

/// The lock that everyone respects who would change the same target. It is held already; it is renewed in the
/// background for as long as this lives, and dropping it without [`release`](Self::release) leaves it to expire.
#[async_trait]
pub trait TargetLock: Send + Sync {
    /// The fence, if a write may leave now; else why not, for people. Cheap, never waits: the time since the last renewal
    /// is measured at this very moment, time asleep included.
    ///
    /// # Errors
    /// If the lock is lost, released, or was not renewed within the deadline.
    fn permit(&self) -> Result<u64, String>;
    /// The state of the lock; notifies on every change.
    fn state(&self) -> watch::Receiver<LockState>;
    /// Releases the lock, if it is still ours. After this no write is allowed.
    async fn release(&self) -> PortResult<()>;
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whether it passed.
    pub holds: bool,
    /// Whether it can never be checked from here, so that a person must look.
    pub asks: bool,
    /// In words, with values.
    pub evidence: String,
}

impl Seen {
    /// Passed.
    pub fn yes(evidence: impl Into<String>) -> Self {
        Self { holds: true, asks: false, evidence: evidence.into() }
    }

    /// Passed or not.
    pub fn of(holds: bool, evidence: impl Into<String>) -> Self {
        Self { holds, asks: false, evidence: evidence.into() }
    }

    /// Not passed.
    pub fn no(evidence: impl Into<String>) -> Self {
        Self { holds: false, asks: false, evidence: evidence.into() }
    }

    /// It can't be checked from here: a person must look.
    pub fn asks(evidence: impl Into<String>) -> Self {
        Self { holds: false, asks: true, evidence: evidence.into() }
    }
}

/// Metrics.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// Measures one metric once, for one slot if it is per slot. Errors are samples, too: see
    /// [`crate::domain::metric::Missing`].
    async fn sample(&self, metric: &Metric, slot: Option<&SlotLabels>, now: Timestamp) -> Sample;
    /// The history from `from` to `to`, oldest first; empty if the source keeps none.
    async fn backfill(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Sample>;
    /// The counters of a counted metric, all series of both selectors at one instant.
    ///
    /// # Errors
    /// Why there is no answer. What was counted meanwhile is in the next one.
    async fn count(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        now: Timestamp,
    ) -> Result<Answer, Missing>;
    /// The same at each step of the past, oldest first; empty if the source keeps none.
    async fn count_past(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        from: Timestamp,
        to: Timestamp,
        step: Span,
    ) -> Vec<Answer>;
}

/// A request ready to send, with all variables expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<String>,
    /// The expected status; if not set, any 2xx.
    pub status: Option<u16>,
    /// JSON pointers and the texts expected there.
    pub json: BTreeMap<String, String>,
    /// Text the body must contain.
    pub contains: Option<String>,
    /// The deadline.
    pub timeout: Span,
}

/// HTTP requests and other network checks.
#[async_trait]
pub trait Network: Send + Sync {
    /// Sends one request, once, and compares the answer. `Ok` is an answer, expected or not; `Err` means that none came.
    async fn http(&self, call: HttpCall) -> PortResult<Seen>;
    /// How long a host's certificate is valid.
    async fn tls(&self, host: &str, port: u16, days: u32, now: Timestamp) -> PortResult<Seen>;
    /// Whether a name resolves as expected.
    async fn dns(&self, name: &str, expect: &str) -> PortResult<Seen>;
}

/// Notices to people.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Sends a text to a webhook. Never retried; returns the answer in words.
    async fn send(&self, webhook: &str, text: &str) -> PortResult<String>;
}

/// The journal of a run.
pub trait Journal: Send {
    /// Writes events and makes them durable before it returns.
    ///
    /// # Errors
    /// If anything could not be written and synced; then nothing may be done.
    fn append(&mut self, events: &[Envelope]) -> std::io::Result<()>;

    /// Like [`Self::append`], for events that must be written even if space is short: a rollback, and ends. Space is reserved for them.
    ///
    /// # Errors
    /// As [`Self::append`].
    fn append_urgent(&mut self, events: &[Envelope]) -> std::io::Result<()> {
        self.append(events)
    }

    /// Whether the file is still where readers look for it. Checked every second.
    ///
    /// # Errors
    /// If it is not; nothing can be written from then on.
    fn verify(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    /// After an error: whether nothing can be written any more. Where not, nothing of what failed was written, and
    /// [`Self::append_urgent`] still has room.
    fn is_spent(&self) -> bool {
        true
    }
}

/// Keeps what screens are shown, for replays and reports. Lossy: it never waits, and never fails the run.
pub trait SampleKeeper: Send {
    /// Keeps something that was seen, or counts it as lost.
    fn keep(&mut self, moment: Moment);

    /// What keeps it from being kept, in words; said once.
    fn fault(&mut self) -> Option<String> {
        None
    }
}

/// The copy of the run's journal that survives this host.
pub trait JournalCopier: Send + Sync {
    /// The journal has grown. Never waits.
    fn note(&self, head: CopyHead);
    /// The state of the copy; notifies on every change.
    fn state(&self) -> watch::Receiver<CopyState>;
}

/// All ports of an engine.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Kubernetes, if the runbook has a target.
    pub cluster: Option<Arc<dyn Cluster>>,
    /// Numbers.
    pub metrics: Arc<dyn Metrics>,
    /// Requests.
    pub network: Arc<dyn Network>,
    /// Commands.
    pub shell: Arc<dyn Shell>,
    /// Notices.
    pub notifier: Arc<dyn Notifier>,
}
