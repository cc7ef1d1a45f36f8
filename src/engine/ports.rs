//! What the engine needs from the world: one small trait each. Adapters implement them; tests put fakes in their place.
//!
//! No port retries a write. Every call comes back within its deadline, with a sentence a person can act on where it failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use crate::domain::{
    action::PatchType,
    copy::{CopyHead, CopyState},
    event::{ChildProcess, Envelope},
    id::SlotName,
    lock::LockState,
    metric::{Metric, Sample},
    observation::{Approach, Observation},
    rights::Right,
    rollout::RolloutFacts,
    runbook::Runbook,
    time::{Span, Timestamp},
    workload::{Access, ClusterIdentity, LogLine, Workload},
};

/// Why something outside did not work, in words that say what happened, where, and what to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortError {
    /// What kind of fault, where the engine acts on it.
    pub kind: Fault,
    /// The sentence.
    pub message: String,
}

/// The kinds of fault the engine tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It was certainly not done, and asking again will not change that.
    Failed,
    /// It was certainly not done, for a reason that may pass: not reached, overloaded, the login or the lock not certain now.
    Unavailable,
    /// It may have been done: the request left, and no answer came.
    Unknown,
    /// Not allowed, or not logged in any more.
    Denied,
    /// Somebody else changed the object since we read it.
    Conflict,
    /// The object does not exist.
    NotFound,
}

impl PortError {
    /// A fault after which nothing has changed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: Fault::Failed, message: message.into() }
    }

    /// A fault after which nothing has changed, and which may pass.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: Fault::Unavailable, message: message.into() }
    }

    /// A fault of a given kind.
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

/// Time as the run has it: the wall clock in a real run, faster in a rehearsal.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now. Never falls, counts time asleep.
    fn now(&self) -> Timestamp;
    /// Waits until `span` has passed on this clock.
    async fn sleep(&self, span: Span);
    /// Seconds that pass on this clock in a real one: 1 but in rehearsals.
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
    /// What a runbook needs to be allowed here, the names of its objects included.
    fn rights(&self, runbook: &Runbook) -> Vec<Right>;
    /// Which of these rights we have, by asking (`SelfSubjectAccessReview`): nothing is tried.
    async fn access(&self, rights: &[Right]) -> PortResult<Access>;
    /// The state of everything now, by fresh reads.
    async fn look(&self) -> PortResult<Workload>;
    /// A fresh look at what decides about an act: Service, Deployments, pods and autoscalers, side by side, in one round trip.
    async fn observe(&self) -> PortResult<Observation>;
    /// Watches until the receiver is dropped; sends a new picture whenever something changed, at most four a second.
    /// Connection faults are told in [`Workload::connection`] and mended by watching again.
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
    /// One look at a slot's rollout: facts, which the domain judges. Reasons are only read where it is not complete.
    async fn rollout(&self, slot: &SlotName) -> PortResult<RolloutFacts>;
    /// Points the Service at a slot: one request, on a warm connection, with the fence in it. The answer is the API server's.
    async fn switch_traffic(&self, to: &SlotName, seen: Option<&Approach>) -> PortResult<String>;
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
    /// Whether the nodes have room for so many more pods of a slot: evidence, or why not.
    async fn headroom(&self, slot: &SlotName, replicas: u32) -> PortResult<Seen>;
}

/// What was read of a slot's logs, and what was not.
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
        let remarks = self.unread.into_iter().map(|(pod, why)| LogLine { pod, text: format!("({why})") });
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
    /// What was read lately, by pod's uid, oldest first. A container may have been started anew between the look at its status and
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
    /// Nothing is read yet, and nothing before `since` counts.
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
    /// Where the lock is lost, given back, or was not renewed within the deadline.
    fn permit(&self) -> Result<u64, String>;
    /// What is known about the lock, told whenever it changes.
    fn state(&self) -> watch::Receiver<LockState>;
    /// Gives the lock back, if it is still ours. No write is allowed from here on.
    async fn release(&self) -> PortResult<()>;
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whether what was wanted is so.
    pub holds: bool,
    /// Whether it can't be found out from here for good, so that a person must look.
    pub asks: bool,
    /// In words, with values.
    pub evidence: String,
}

impl Seen {
    /// It is so.
    pub fn yes(evidence: impl Into<String>) -> Self {
        Self { holds: true, asks: false, evidence: evidence.into() }
    }

    /// It is so, or not.
    pub fn of(holds: bool, evidence: impl Into<String>) -> Self {
        Self { holds, asks: false, evidence: evidence.into() }
    }

    /// It is not so.
    pub fn no(evidence: impl Into<String>) -> Self {
        Self { holds: false, asks: false, evidence: evidence.into() }
    }

    /// Nobody can tell from here: a person must look.
    pub fn asks(evidence: impl Into<String>) -> Self {
        Self { holds: false, asks: true, evidence: evidence.into() }
    }
}

/// Where numbers come from.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// Measures one metric once, for one slot where it is per slot. Faults are samples too: see
    /// [`crate::domain::metric::Missing`].
    async fn sample(&self, metric: &Metric, slot: Option<&SlotName>, now: Timestamp) -> Sample;
    /// The past from `from` to `to`, oldest first; empty where the source keeps none.
    async fn backfill(
        &self,
        metric: &Metric,
        slot: Option<&SlotName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Sample>;
}

/// A request as it goes out, everything expanded.
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
    /// The status wanted; any 2xx where not given.
    pub status: Option<u16>,
    /// JSON pointers and the texts wanted there.
    pub json: BTreeMap<String, String>,
    /// Text the body must contain.
    pub contains: Option<String>,
    /// The deadline.
    pub timeout: Span,
}

/// Requests and other looks at the network.
#[async_trait]
pub trait Network: Send + Sync {
    /// Sends one request, once, and compares the answer. `Ok` is an answer, as wanted or not; `Err` means none came.
    async fn http(&self, call: HttpCall) -> PortResult<Seen>;
    /// How long a host's certificate is valid.
    async fn tls(&self, host: &str, port: u16, days: u32, now: Timestamp) -> PortResult<Seen>;
    /// Whether a name resolves as expected.
    async fn dns(&self, name: &str, expect: &str) -> PortResult<Seen>;
}

/// Where the output of a command is kept.
#[derive(Debug, Clone)]
pub enum Output {
    /// In a file of this name. Of more output than a disk should hold, the beginning and the end.
    Disk(PathBuf),
    /// In this file, which is memory: nobody knows yet what in it is secret. Less is kept than on a disk.
    Memory(Arc<std::fs::File>),
}

/// A command to run.
#[derive(Debug, Clone)]
pub struct ShellCall {
    /// What to run.
    pub program: ShellProgram,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// What its processes are known by wherever they went, this run's and this action's alone; nothing for checks, which
    /// an engine after this one need not find.
    pub mark: Option<String>,
    /// It is ended after this long.
    pub timeout: Span,
    /// Where the output is kept, secrets masked; nowhere for checks.
    pub output: Option<Output>,
    /// What a rehearsal prints instead.
    pub sample: Vec<String>,
    /// What a rehearsal prints when the scenario lets it fail.
    pub sample_failure: Vec<String>,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellProgram {
    /// `/bin/sh -c script`
    Sh(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellExit {
    /// Whether it exited 0.
    pub ok: bool,
    /// It was ended because its time was over.
    pub timed_out: bool,
    /// It was ended because somebody wished so.
    pub cancelled: bool,
    /// `exit status 3`, `killed by signal 9 (KILL)`, with children that had to be swept.
    pub detail: String,
}

/// What a running command tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellNews {
    /// It runs.
    Spawned(ChildProcess),
    /// It printed. Raw bytes, secrets masked.
    Output(Vec<u8>),
}

/// Commands.
#[async_trait]
pub trait Shell: Send + Sync {
    /// Runs a command to its end. News go to `news`, which may be slow: output that is kept may be dropped here. `Err` means that it could not be started.
    async fn run(
        &self,
        call: ShellCall,
        news: mpsc::Sender<ShellNews>,
        cancel: CancelFlag,
    ) -> PortResult<ShellExit>;
    /// Whether an earlier engine's command with this mark still runs on this host: the process itself, or what it left.
    fn is_running(&self, child: &ChildProcess, mark: &str) -> bool;
    /// The process of an earlier engine's command with this mark, where it still runs on this host: for a command whose
    /// engine died before it could write down which process that is.
    fn find(&self, mark: &str) -> Option<ChildProcess>;
    /// Ends such a command, all of it: asks, waits 10 s, kills.
    async fn end(&self, child: &ChildProcess, mark: &str);
}

/// Notices to people.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Sends a text to a webhook. Never retried; the answer is told in words.
    async fn send(&self, webhook: &str, text: &str) -> PortResult<String>;
}

/// The journal of a run.
pub trait Journal: Send {
    /// Writes events and makes them durable before it returns.
    ///
    /// # Errors
    /// If anything could not be written and synced; nothing may be done then.
    fn append(&mut self, events: &[Envelope]) -> std::io::Result<()>;

    /// As [`Self::append`], for what must be written even where room is short: a rollback, and ends. Space is kept for it.
    ///
    /// # Errors
    /// As [`Self::append`].
    fn append_urgent(&mut self, events: &[Envelope]) -> std::io::Result<()> {
        self.append(events)
    }

    /// Whether what was written is still where it is looked for. Asked every second.
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

/// The copy of the run's journal that survives this host.
pub trait JournalCopier: Send + Sync {
    /// There is more in the journal. Never waits.
    fn note(&self, head: CopyHead);
    /// How the copying goes, told whenever it changes.
    fn state(&self) -> watch::Receiver<CopyState>;
}

/// Everything the engine reaches the world through.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Kubernetes, where the runbook has a target.
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
