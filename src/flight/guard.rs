//! What guards a run: locks against a second engine on the same target, and a copy of the journal against the loss of this host.
//!
//! ```text
//! flock on this host      one engine per run; one run per target
//! Lease in the cluster    one run per target, on any host; its fence is in every change
//! ConfigMaps beside it    the journal, to resume from another host
//! ```

mod notes;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use notes::Notes;

use super::{job::Takeover, journal::RunJournal, say::talk, stop::Stop, store, who, world::World};
use crate::{
    adapters::kube::{CopyAbout, JournalCopy, KubeCluster, KubeLock, LockClaim, LockRefused, mint_lock_id},
    domain::{
        crew::Wish,
        effect::Input,
        event::{Envelope, Outcome},
        id::RunId,
        message::Command,
        runbook::{Runbook, Target},
        time::Timestamp,
    },
    engine::ports::TargetLock as _,
    journal::{self, Holder, Lock, LockError},
    link,
};

/// The interval between two writes of the copy.
const COPY_EVERY: Duration = Duration::from_secs(2);
/// How long the last records may take to reach the copy, at the end.
const COPY_LAST: Duration = Duration::from_secs(5);
/// An engine that makes way releases its locks within this time.
pub(super) const BETWEEN_ENGINES: Duration = Duration::from_secs(15);

/// Locks that are held.
pub struct Guard {
    /// Held as long as this is.
    _host: Option<Lock>,
    lease: Option<Arc<KubeLock>>,
    from: Option<String>,
}

/// How an attempt to take the locks ended, if nobody else has them.
pub enum Taken {
    /// They are held.
    Guard(Guard),
    /// No permission for the cluster's lock: a person may decide to continue without it.
    Forbidden(String),
}

impl Guard {
    /// Takes the locks of a run's target.
    ///
    /// # Errors
    /// If somebody else has them, the state directory can't be used, or the cluster does not answer.
    pub async fn take(
        world: &World,
        runbook: &Runbook,
        state: &Path,
        run_id: &RunId,
        previous: Option<String>,
        takeover: Option<&Takeover>,
    ) -> Result<Taken, Stop> {
        let host = Self::on_this_host(world, runbook, state, run_id).await?;
        let Some(kube) = &world.kube else {
            return Ok(Taken::Guard(Self { _host: host, lease: None, from: None }));
        };
        // An engine may die between taking the cluster's lock and writing that down: what it would take is noted before.
        let notes = host.as_ref().map(|host| Notes::beside(host.path()));
        let mut noted = notes.as_ref().map(Notes::read).unwrap_or_default();
        let id = mint_lock_id();
        if let Some(notes) = &notes {
            notes.add(&noted, &id, run_id)?;
        }
        // A run that is over has nothing to do any more, and its engine is dead: this host's lock is ours.
        noted.retain(|(_, run)| run == run_id || is_unborn(state, run) || outcome_of(state, run).is_some());
        let left = left_by_a_run_that_is_over(kube, state, &noted).await;
        noted.extend(previous.map(|id| (id, run_id.clone())));
        let claim = LockClaim {
            who: who::address(),
            host: who::host(),
            run_id: run_id.clone(),
            previous: noted,
            id: Some(id),
        };
        let (taken, from) = ask_for_lock(kube, &claim, takeover).await;
        match taken {
            Ok(lease) => {
                if let Some(left) = left {
                    talk(&left);
                }
                for object in lease.unmarked() {
                    talk(&format!("a late write of the former holder might still reach {object}: check it"));
                }
                Ok(Taken::Guard(Self { _host: host, lease: Some(lease), from }))
            }
            Err(why @ LockRefused::Forbidden { .. }) => Ok(Taken::Forbidden(format!(
                "no lock in the cluster, so nothing stops others from deploying to the same target: {why}"
            ))),
            Err(LockRefused::Failed(error)) => Err(error.into()),
            Err(why) => Err(Stop::somebody_else(why.to_string())),
        }
    }

    /// Without the cluster's lock, as somebody has said with a reason.
    ///
    /// # Errors
    /// If a run of this host is on the target, or the state directory can't be used.
    pub async fn without_lease(
        world: &World,
        runbook: &Runbook,
        state: &Path,
        run_id: &RunId,
    ) -> Result<Self, Stop> {
        let host = Self::on_this_host(world, runbook, state, run_id).await?;
        Ok(Self { _host: host, lease: None, from: None })
    }

    /// One run per target on this host, if the target is a real one.
    async fn on_this_host(
        world: &World,
        runbook: &Runbook,
        state: &Path,
        run_id: &RunId,
    ) -> Result<Option<Lock>, Stop> {
        let (Some(target), Some(cluster)) = (&runbook.target, &world.cluster) else { return Ok(None) };
        if world.kubeconfig.is_some() {
            // A simulated cluster is this engine's own.
            return Ok(None);
        }
        let identity = cluster.identity().await?;
        // Whoever may not read the uid knows the cluster by its server.
        let cluster = if identity.uid.is_empty() { &identity.server } else { &identity.uid };
        let name = journal::lock::target_lock_name(cluster, &target.namespace, &target.service);
        store::runs_dir(state)?;
        let locks = state.join("locks");
        let mut taken = Lock::acquire(&locks, &name, &who::holder());
        let begun = Instant::now();
        let mut asked = Vec::new();
        while matches!(taken, Err(LockError::Held { .. }))
            && !flies(state, target, run_id, &mut asked).await?
        {
            // Whoever is no run that is known here goes at once or not at all.
            let patience = if asked.is_empty() { OF_A_STRANGER } else { BETWEEN_ENGINES };
            if begun.elapsed() > patience {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            taken = Lock::acquire(&locks, &name, &who::holder());
        }
        match taken {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held { holder, .. }) => Err(Stop::somebody_else(format!(
                "a run on service {} is already active{}\nwatch it with: cutover watch",
                target.service,
                driven_by(holder.as_ref())
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// The lock as the engine has it.
    pub fn lease(&self) -> Option<Arc<KubeLock>> {
        self.lease.clone()
    }

    /// What the machine is told of the lock.
    pub fn input(&self) -> Option<Input> {
        let lease = self.lease.as_ref()?;
        Some(Input::LockTaken {
            lock_id: lease.lock_id().to_owned(),
            fence: lease.fence(),
            from: self.from.clone(),
        })
    }

    /// Releases the locks.
    pub async fn release(self) {
        if let Some(lease) = &self.lease
            && let Err(error) = lease.release().await
        {
            tracing::warn!(%error, "the target's lock could not be given back; it expires");
        }
    }
}

/// Takes the cluster's lock, or takes it over from a holder that somebody has named; says who that was, and why.
async fn ask_for_lock(
    kube: &Arc<KubeCluster>,
    claim: &LockClaim,
    takeover: Option<&Takeover>,
) -> (Result<Arc<KubeLock>, LockRefused>, Option<String>) {
    let Some(Takeover { lock_id, reason }) = takeover else { return (kube.acquire(claim).await, None) };
    let holder = kube.lock_holder().await.ok().flatten();
    let from = holder.map(|holder| format!("{}: {reason}", holder.words()));
    talk("checking for 15 s that the lock's holder is gone");
    (kube.take_over(claim, lock_id, reason).await, from)
}

/// Who has an engine in their hands, and since when.
pub(super) fn driven_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| {
        let since = Timestamp(holder.since_ms);
        format!(
            ": {} has had it since {} UTC (process {})",
            holder.who,
            since.to_jiff().strftime("%F %H:%M:%S"),
            holder.pid
        )
    })
}

/// How long the target's lock is waited for where nothing tells whose it is.
const OF_A_STRANGER: Duration = Duration::from_secs(2);

/// How often it is tried.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long an engine that was asked to make way has before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// An engine that was asked to make way. The connection stays open until it has gone: an order is not lost with it.
struct Asked {
    run: RunId,
    when: Instant,
    _client: Option<link::Client>,
}

/// Whether another run of this host on this target is under way. An engine stays for a while when its run is over, for whoever may
/// want to look: it is asked to make way. One that is about to end takes no more orders, and gives its locks back by itself:
/// whether the order arrived says nothing.
async fn flies(state: &Path, target: &Target, own: &RunId, asked: &mut Vec<Asked>) -> Result<bool, Stop> {
    for (id, dir) in store::live(state, None)? {
        let Ok(Some(found)) = store::in_dir(dir.clone()) else { continue };
        let same = found.run.runbook.target.as_ref().is_some_and(|other| {
            (&other.context, &other.namespace, &other.service)
                == (&target.context, &target.namespace, &target.service)
        });
        // A rehearsal holds no lock of this host; and whoever is resumed does not meet itself.
        if !same || id == *own || found.run.opened.rehearsal.is_some() {
            continue;
        }
        let Some((outcome, ..)) = found.run.finished.as_ref().filter(|_| found.run.rolling_back().is_none())
        else {
            return Ok(true);
        };
        let before = asked.iter().position(|asked| asked.run == id);
        match before {
            Some(at) if asked[at].when.elapsed() < ASK_AGAIN => continue,
            Some(at) => drop(asked.remove(at)),
            None => {
                talk(&format!(
                    "run {id} is over ({}); its engine stops so that this run can start",
                    word(*outcome)
                ));
            }
        }
        let hello = link::client::hello(Wish::Errand, None);
        let client = link::client::connect(&dir.join(link::CONTROL), &hello).await.ok();
        if let Some(client) = &client {
            client.send(&Command::Close).await;
        }
        asked.push(Asked { run: id, when: Instant::now(), _client: client });
    }
    Ok(false)
}

/// What to say where the cluster's lock is still held for a run of this host that is over, whose engine died before it gave
/// the lock back.
async fn left_by_a_run_that_is_over(
    kube: &KubeCluster,
    state: &Path,
    noted: &[(String, RunId)],
) -> Option<String> {
    if noted.is_empty() {
        return None;
    }
    let holder = kube.lock_holder().await.ok().flatten()?;
    let (_, run) = noted.iter().find(|(id, _)| *id == holder.lock_id)?;
    let outcome = outcome_of(state, run)?;
    Some(format!(
        "taking over the lock of run {run}: that run is over ({}), and its engine is gone",
        word(outcome)
    ))
}

/// How a run of this host ended according to its journal; none if it has not ended, or is not known here.
fn outcome_of(state: &Path, run: &RunId) -> Option<Outcome> {
    let found = store::in_dir(state.join("runs").join(run.as_str())).ok().flatten()?;
    let outcome = found.run.finished.as_ref().map(|(outcome, ..)| *outcome)?;
    found.run.rolling_back().is_none().then_some(outcome)
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::RolledBack => "rolled back",
        Outcome::RollbackFailed => "rollback failed",
        Outcome::Held => "paused",
    }
}

/// Whether a run's engine died before anything of it was written down: then nothing of it was done either.
fn is_unborn(state: &Path, run: &RunId) -> bool {
    let dir = state.join("runs").join(run.as_str());
    match journal::read::<Envelope>(&dir) {
        Ok(contents) => contents.records.is_empty(),
        Err(journal::ReadError::Unstarted) => true,
        // A run whose directory was removed is another thing: somebody may have tidied up.
        Err(_) => false,
    }
}

/// Begins to copy a run's journal beside its target.
pub fn copy(
    world: &World,
    journal: &RunJournal,
    run_dir: &Path,
    run_id: &RunId,
    title: &str,
) -> Option<JournalCopy> {
    let about =
        CopyAbout { run_id: run_id.clone(), who: who::address(), host: who::host(), title: title.to_owned() };
    let kube = world.kube.as_ref()?;
    Some(kube.copy_journal(about, journal.reader(run_dir), COPY_EVERY))
}

/// Writes what is left of the journal into the copy.
pub async fn finish_copy(copy: Option<Arc<JournalCopy>>) {
    // The engine is gone, so this is the only one that has it.
    if let Some(copy) = copy.and_then(Arc::into_inner) {
        let state = copy.finish(COPY_LAST).await;
        tracing::info!(?state, "the journal's copy at the end");
    }
}
