//! A copy of the run's journal that survives the host: `ConfigMap`s beside the target.
//!
//! ```text
//! engine ── note(how far) ──> newest wins ──> at most every 2 s ── read, pack ── write the last piece ──> up to …
//!   never waits                                  │                                └─ full? the next one
//!                                                └── fails ──> behind, tried again;   may not, or not ours ──> off
//! ```
//!
//! The journal file's bytes are cut every 512 KiB, wherever that falls; each piece is compressed into an object of its own, and
//! only the last one is ever written again. Put together they are the journal, and its own reader verifies the chain in it.
//! So a copy is always a beginning of the journal: changed bytes, a missing piece and a swapped one are found out, while an
//! end that was cut off can't be told from one that was never written, except where a piece says that another follows.
//!
//! Each write carries the uid and `resourceVersion` of what was there, and the lock's fence where there is a lock. Who finds a
//! higher fence, or the mark of an engine that began later, stops: a host that was taken over from never overwrites what the
//! next one has copied. A copy that has gone another way than our journal is left alone too.
//!
//! The newest ten runs of a Service stay; of older ones, those that are over are deleted, and those that never came to an end
//! after thirty days.

mod read;
mod segment;

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    domain::{
        copy::{CopyHead, CopyState},
        id::RunId,
        rights::Verb,
        time::{Span, Timestamp},
    },
    engine::ports::{Fault, JournalCopier, PortError, PortResult},
};

use super::{
    KubeCluster,
    call::{CONFIG_MAPS, Call},
    fault::Failure,
    lease::mint,
};
use read::Found;
use segment::{Label, Piece, RUN, SEGMENT, SERVICE, label, name, sha, unpack};

pub use read::{CopyFault, FetchedCopy};

/// Pieces of a copy at most: 8 MiB of journal.
const SEGMENTS: usize = 16;

/// How many runs of a Service keep their copies.
pub const KEPT_RUNS: usize = 10;

/// A run that has not come to an end, and was not written for so long, never will.
const FORGOTTEN: Span = Span::from_mins(30 * 24 * 60);

/// Tries to write one piece before a pause: each has found out what was in the way of the one before.
const TRIES: u32 = 4;

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Reads the journal: at most so many bytes from an offset on, fewer only where it ends. It may block, and gives only what is
/// durable, in whole records.
pub type ReadJournal = Arc<dyn Fn(u64, usize) -> io::Result<Vec<u8>> + Send + Sync>;

/// What does not change about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyAbout {
    /// The run.
    pub run_id: RunId,
    /// The person, as in `alice@bastion`.
    pub who: String,
    /// This host.
    pub host: String,
    /// The runbook's title.
    pub title: String,
}

/// A copy that is being written, in a task of its own, until this is dropped or finished.
pub struct JournalCopy {
    head: watch::Sender<Option<CopyHead>>,
    finishing: watch::Sender<bool>,
    state: watch::Receiver<CopyState>,
    task: Option<JoinHandle<()>>,
}

impl JournalCopy {
    /// There is more in the journal. Never waits.
    pub fn note(&self, head: CopyHead) {
        self.head.send_replace(Some(head));
    }

    /// How the copying goes, told whenever it changes.
    pub fn state(&self) -> watch::Receiver<CopyState> {
        self.state.clone()
    }

    /// Writes what is left, for at most so long, and ends. To be called before the lock is given back.
    pub async fn finish(mut self, deadline: Duration) -> CopyState {
        self.finishing.send_replace(true);
        if let Some(task) = self.task.as_mut() {
            let _ = timeout(deadline, task).await;
        }
        self.state.borrow().clone()
    }
}

impl JournalCopier for JournalCopy {
    fn note(&self, head: CopyHead) {
        Self::note(self, head);
    }

    fn state(&self) -> watch::Receiver<CopyState> {
        Self::state(self)
    }
}

impl Drop for JournalCopy {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl KubeCluster {
    /// Begins to copy a run's journal beside the target, at most once in `every`. Nothing is written before the first
    /// [`JournalCopy::note`].
    pub fn copy_journal(
        self: &Arc<Self>,
        about: CopyAbout,
        read: ReadJournal,
        every: Duration,
    ) -> JournalCopy {
        let begun =
            CopyState::Behind { why: "nothing has been copied yet".to_owned(), since: self.clock.now() };
        let (head, heads) = watch::channel(None);
        let (finishing, finish) = watch::channel(false);
        let (states, state) = watch::channel(begun);
        let mirror = Mirror {
            cluster: Arc::clone(self),
            about,
            read,
            copier: mint(),
            before: BTreeSet::new(),
            begun: false,
            index: 0,
            there: None,
            written: None,
        };
        let task = tokio::spawn(mirror.run(every, heads, finish, states));
        JournalCopy { head, finishing, state, task: Some(task) }
    }
}

/// What became of one try to copy.
enum Carried {
    Done,
    /// It is tried again.
    Behind,
    /// It can't be done at all: nothing is tried any more.
    Never,
}

/// Why a round came to nothing.
enum Halt {
    /// It makes no sense to go on.
    Off(String),
    /// It may work later.
    Again(String),
}

/// The task that copies.
struct Mirror {
    cluster: Arc<KubeCluster>,
    about: CopyAbout,
    read: ReadJournal,
    /// Marks what this one has written.
    copier: String,
    /// The marks of those who copied this run before us.
    before: BTreeSet<String>,
    begun: bool,
    /// The piece that is written now, and its uid and version in the cluster, where it is there.
    index: usize,
    there: Option<(String, String)>,
    /// What was last written into it.
    written: Option<(String, bool, CopyHead)>,
}

impl Mirror {
    async fn run(
        mut self,
        every: Duration,
        mut heads: watch::Receiver<Option<CopyHead>>,
        mut finish: watch::Receiver<bool>,
        states: watch::Sender<CopyState>,
    ) {
        let mut failures = 0;
        let mut pruned = false;
        loop {
            // What is written is what was told before the reading began, so that the copy never claims too much.
            let head = heads.borrow_and_update().clone();
            let mut open = false;
            if let Some(head) = head {
                match self.carry(&head, &states).await {
                    Carried::Done => failures = 0,
                    Carried::Behind => {
                        failures += 1;
                        open = true;
                    }
                    Carried::Never => return,
                }
                if !open && !pruned {
                    pruned = true;
                    if let Err(fault) = self.prune().await {
                        tracing::info!(%fault, "old copies are kept");
                    }
                }
            }
            let finishing = *finish.borrow();
            if finishing {
                if !open && !heads.has_changed().unwrap_or(false) {
                    return;
                }
                sleep(every.min(Duration::from_millis(200))).await;
                continue;
            }
            // Twice as long after each failure, so that a server in trouble is not asked more often than one that is well.
            let pause = every.saturating_mul(1 << u32::min(failures, 4)).min(LONGEST_PAUSE.max(every));
            tokio::select! {
                () = sleep(pause) => {}
                _ = finish.wait_for(|finish| *finish) => continue,
            }
            if !open {
                tokio::select! {
                    changed = heads.changed() => if changed.is_err() { return },
                    _ = finish.wait_for(|finish| *finish) => {}
                }
            }
        }
    }

    /// Copies up to `head`, and tells how that went. A copy that fell behind says since when: the first failure, not the last.
    async fn carry(&mut self, head: &CopyHead, states: &watch::Sender<CopyState>) -> Carried {
        let (state, carried) = match self.round(head).await {
            Ok(bytes) => {
                let at = self.cluster.clock.now();
                (CopyState::UpTo { sequence: head.sequence, bytes, at }, Carried::Done)
            }
            Err(Halt::Again(why)) => {
                let since = match &*states.borrow() {
                    CopyState::Behind { since, .. } => *since,
                    _ => self.cluster.clock.now(),
                };
                (CopyState::Behind { why, since }, Carried::Behind)
            }
            Err(Halt::Off(why)) => {
                tracing::warn!(why, "the journal is no longer copied");
                (CopyState::Off { why }, Carried::Never)
            }
        };
        states.send_replace(state);
        carried
    }

    /// Brings the copy up to the journal's end; gives the bytes in it.
    async fn round(&mut self, head: &CopyHead) -> Result<u64, Halt> {
        if !self.begun {
            self.begin().await?;
            self.begun = true;
        }
        loop {
            let piece = self.piece(self.index).await?;
            let now = (piece.sha.clone(), piece.continues, head.clone());
            if piece.length > 0 && self.written.as_ref() != Some(&now) {
                self.put(&piece, head).await?;
                self.written = Some(now);
            }
            if !piece.continues {
                return Ok((self.index * SEGMENT + piece.length) as u64);
            }
            if self.index + 1 == SEGMENTS {
                return Err(Halt::Off(format!(
                    "the journal is longer than {} MiB; the copy ends there",
                    (SEGMENTS * SEGMENT) >> 20
                )));
            }
            self.index += 1;
            self.there = None;
            self.written = None;
        }
    }

    /// Reads and packs a piece of the journal, beside the runtime's own threads.
    async fn piece(&self, index: usize) -> Result<Piece, Halt> {
        let read = Arc::clone(&self.read);
        let packed = tokio::task::spawn_blocking(move || {
            let offset = (index * SEGMENT) as u64;
            let mut raw = read(offset, SEGMENT)?;
            raw.truncate(SEGMENT);
            let continues = raw.len() == SEGMENT && !read(offset + SEGMENT as u64, 1)?.is_empty();
            Piece::pack(&raw, continues)
        });
        match packed.await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(fault)) => Err(Halt::Again(format!("the journal could not be read: {fault}"))),
            Err(fault) => Err(Halt::Again(format!("the journal could not be read: {fault}"))),
        }
    }

    /// Finds the copy that is there already, and where to go on in it.
    async fn begin(&mut self) -> Result<(), Halt> {
        let run = &self.about.run_id;
        let found = match self.cluster.copies(&format!("{RUN}={}", label(run.as_str()))).await {
            Ok(found) => found,
            Err(fault) => return Err(self.unread(Verb::List, fault).await),
        };
        let Some(found) = found.into_iter().find(|found| found.about.run_id == *run) else { return Ok(()) };
        for label in found.pieces.values() {
            self.not_later(label)?;
        }
        let last = found.pieces.len() - 1;
        let mut index = 0;
        // A gap is filled from where it begins.
        while let Some(label) = found.pieces.get(&index) {
            let same = if index < last {
                self.piece(index).await?.sha == label.sha
            } else {
                self.goes_on_from(label, index).await?
            };
            if !same {
                return Err(Halt::Off(format!(
                    "the cluster has a copy of run {run} that differs from this journal (configmap/{}, \
                     written on {}); it was not changed",
                    label.name, label.run.host
                )));
            }
            index += 1;
        }
        self.index = index.saturating_sub(1);
        self.there = found.pieces.get(&self.index).map(|label| (label.uid.clone(), label.version.clone()));
        self.before = found.pieces.into_values().map(|label| label.copier).collect();
        Ok(())
    }

    /// Whether our journal goes on where a piece ends. A piece that can't be read says nothing against it.
    async fn goes_on_from(&self, label: &Label, index: usize) -> Result<bool, Halt> {
        let object = self.find(&label.name).await?;
        let Some(Ok(theirs)) = object.as_ref().map(unpack) else { return Ok(true) };
        let read = Arc::clone(&self.read);
        let length = theirs.len();
        let ours = tokio::task::spawn_blocking(move || read((index * SEGMENT) as u64, length)).await;
        match ours {
            Ok(Ok(ours)) => Ok(sha(&ours) == sha(&theirs)),
            Ok(Err(fault)) => Err(Halt::Again(format!("the journal could not be read: {fault}"))),
            Err(fault) => Err(Halt::Again(format!("the journal could not be read: {fault}"))),
        }
    }

    /// By name and not by label: a list would bring the bytes of all pieces along.
    async fn find(&self, name: &str) -> Result<Option<ConfigMap>, Halt> {
        let call = Call::get(&CONFIG_MAPS, Some(&self.cluster.target.namespace), name);
        match self.cluster.gateway.find(&call).await {
            Ok(found) => Ok(found),
            Err(fault) => Err(self.unread(Verb::Get, fault).await),
        }
    }

    /// What follows from a read that failed. "Not allowed" is final, while a login that has expired will be renewed: the review
    /// of the verb tells them apart.
    async fn unread(&self, verb: Verb, fault: PortError) -> Halt {
        if fault.kind == Fault::Denied && self.cluster.may(verb, &CONFIG_MAPS, "").await == Ok(false) {
            Halt::Off(fault.message)
        } else {
            Halt::Again(fault.message)
        }
    }

    /// Stops before a piece that somebody wrote who came after us.
    fn not_later(&self, label: &Label) -> Result<(), Halt> {
        let ours = self.fence()?;
        let by = format!("configmap/{} was written by {} on {}", label.name, label.run.who, label.run.host);
        if let (Some(theirs), Some(ours)) = (label.fence, ours)
            && theirs > ours
        {
            return Err(Halt::Off(format!("fenced off: {by} with fence {theirs}, ours is {ours}")));
        }
        let older = label.fence < ours;
        let known = !self.begun || label.copier == self.copier || self.before.contains(&label.copier);
        if older || known {
            return Ok(());
        }
        Err(Halt::Off(format!("{by}, by another engine that copies the same run; it was not changed")))
    }

    /// The fence to write with; nothing where there is no lock.
    fn fence(&self) -> Result<Option<u64>, Halt> {
        match self.cluster.gateway.allowed() {
            Ok(allowed) => Ok(allowed.map(|allowed| allowed.fence)),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    /// Without the lock nothing may be written at all; anything else may pass.
    fn refused(&self, refusal: PortError) -> Halt {
        if self.cluster.gateway.lock_has_ended() {
            Halt::Off(refusal.message)
        } else {
            Halt::Again(refusal.message)
        }
    }

    async fn put(&mut self, piece: &Piece, head: &CopyHead) -> Result<(), Halt> {
        let cluster = Arc::clone(&self.cluster);
        let (namespace, name) =
            (cluster.target.namespace.as_str(), name(self.about.run_id.as_str(), self.index));
        let mut told = String::new();
        for _ in 0..TRIES {
            let fence = self.fence()?;
            let what = (cluster.target.service.as_str(), &self.about, self.index);
            let mut object = piece.object(what, head, (&self.copier, fence));
            let call = match &self.there {
                None => Call::create(&CONFIG_MAPS, namespace, &name, &object),
                Some((uid, version)) => {
                    object["metadata"]["uid"] = uid.as_str().into();
                    object["metadata"]["resourceVersion"] = version.as_str().into();
                    Call::replace(&CONFIG_MAPS, namespace, &name, &object)
                }
            };
            let generation = cluster.gateway.session().generation;
            let (call, failure) = match cluster.gateway.write(call).await {
                Ok(written) => {
                    let text =
                        |pointer| written.pointer(pointer).and_then(|text| text.as_str()).unwrap_or_default();
                    self.there = Some((
                        text("/metadata/uid").to_owned(),
                        text("/metadata/resourceVersion").to_owned(),
                    ));
                    return Ok(());
                }
                Err(failed) => failed,
            };
            told = cluster.gateway.told(&call, &failure).message;
            match &failure {
                Failure::Fenced(refusal) => return Err(self.refused(refusal.clone())),
                Failure::Answer { code: 403 | 413 | 422, .. } => return Err(Halt::Off(told)),
                Failure::Answer { code: 404 | 409, .. } => {}
                Failure::Answer { code: 401, .. } => {
                    cluster.gateway.renew(generation).await;
                    return Err(Halt::Again(told));
                }
                failure if failure.is_ambiguous() => {}
                _ => return Err(Halt::Again(told)),
            }
            if self.look(&name, piece, head).await? {
                return Ok(());
            }
        }
        Err(Halt::Again(told))
    }

    /// Looks what is there under a piece's name. Whether it is what we meant to write.
    async fn look(&mut self, name: &str, piece: &Piece, head: &CopyHead) -> Result<bool, Halt> {
        let Some(object) = self.find(name).await? else {
            self.there = None;
            return Ok(false);
        };
        let label = Label::of(&object.metadata);
        if label.run.run_id != self.about.run_id {
            return Err(Halt::Off(format!("configmap/{name} belongs to somebody else; it was not changed")));
        }
        self.not_later(&label)?;
        let (theirs, ours) = (&label.run.head, head);
        let done = label.copier == self.copier
            && (&label.sha, label.continues) == (&piece.sha, piece.continues)
            && (theirs.sequence, theirs.at, theirs.ended) == (ours.sequence, ours.at, ours.ended);
        self.there = Some((label.uid, label.version));
        Ok(done)
    }

    /// Deletes old copies of the Service's runs.
    async fn prune(&self) -> PortResult<()> {
        let service = label(&self.cluster.target.service);
        let found = self.cluster.copies(&format!("{SERVICE}={service}")).await?;
        let now = self.cluster.clock.now();
        let old = |found: &&Found| {
            found.about.run_id != self.about.run_id && (found.about.head.ended || is_forgotten(found, now))
        };
        for run in found.iter().skip(KEPT_RUNS).filter(old) {
            // The first piece goes first: what is left, should this be interrupted, can't pass for a whole journal.
            for label in run.pieces.values() {
                let namespace = self.cluster.target.namespace.as_str();
                let call = Call::delete(&CONFIG_MAPS, namespace, &label.name, &label.uid, &label.version);
                if let Err((call, failure)) = self.cluster.gateway.write(call).await
                    && failure.code() != Some(404)
                {
                    return Err(self.cluster.gateway.told(&call, &failure));
                }
            }
        }
        Ok(())
    }
}

fn is_forgotten(found: &Found, now: Timestamp) -> bool {
    now.since(found.about.head.at.max(found.about.begun.unwrap_or_default())) > FORGOTTEN
}
