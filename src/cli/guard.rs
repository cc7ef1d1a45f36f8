//! What guards a run: locks against a second driver, and the journal's copy against the loss of this host.
//!
//! ```text
//! flock on this host      one engine a run; one run a target
//! Lease in the cluster    one run a target, whoever and wherever; its fence is in every change
//! ConfigMaps beside it    the journal, for whoever must go on from another host
//! ```

use std::{
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    compose::World,
    exit::Exit,
    flight::driven_by,
    plain::talk,
    store::{self, RunJournal},
};
use crate::{
    adapters::kube::{CopyAbout, JournalCopy, KubeCluster, KubeLock, LockClaim, LockRefused, mint_lock_id},
    domain::{
        crew::Wish,
        effect::Input,
        event::{Envelope, Outcome},
        id::RunId,
        message::Command,
        runbook::{Runbook, Target},
    },
    engine::ports::TargetLock as _,
    journal::{self, Lock, LockError, RunDir},
    link,
};

/// Between two writes of the copy.
const COPY_EVERY: Duration = Duration::from_secs(2);
/// How long the last of the journal may take into the copy, at the end.
const COPY_LAST: Duration = Duration::from_secs(5);
/// An engine that makes way gives its locks back within this time: what it still does is bounded.
const BETWEEN_ENGINES: Duration = Duration::from_secs(15);
/// Notes of locks that are kept: only those of engines that died are ever looked for.
const NOTES: usize = 64;

/// Taking a lock from a holder who is gone.
#[derive(Debug, Clone)]
pub struct Takeover {
    /// Exactly whose.
    pub lock_id: String,
    /// Why.
    pub reason: String,
}

impl Takeover {
    /// As it was asked for: with both, or not at all.
    pub fn of(lock_id: Option<String>, reason: Option<String>) -> Option<Self> {
        Some(Self { lock_id: lock_id?, reason: reason? })
    }
}

/// Locks that are held.
pub struct Guard {
    /// Held as long as this is.
    _host: Option<Lock>,
    lease: Option<Arc<KubeLock>>,
    from: Option<String>,
}

/// Why there is no guard.
pub enum Unguarded {
    /// Somebody else drives, and was named.
    End(Exit),
    /// The cluster's lock can't be had for lack of permission: somebody may say that it goes on without.
    Without(String),
}

impl Guard {
    /// Takes the locks of a run's target.
    ///
    /// # Errors
    /// If the state directory can't be used, or the cluster does not answer.
    pub async fn take(
        world: &World,
        runbook: &Runbook,
        state: &Path,
        run_id: &RunId,
        previous: Option<String>,
        takeover: Option<&Takeover>,
    ) -> color_eyre::Result<Result<Self, Unguarded>> {
        let host = match Self::on_this_host(world, runbook, state).await? {
            Ok(host) => host,
            Err(exit) => return Ok(Err(Unguarded::End(exit))),
        };
        let Some(kube) = &world.kube else {
            return Ok(Ok(Self { _host: host, lease: None, from: None }));
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
            who: format!("{}@{}", store::user(), store::host()),
            host: store::host(),
            run_id: run_id.clone(),
            previous: noted,
            id: Some(id),
        };
        let mut from = None;
        let taken = match takeover {
            Some(Takeover { lock_id, reason }) => {
                let holder = kube.lock_holder().await.ok().flatten();
                from = holder.map(|holder| format!("{}: {reason}", holder.words()));
                talk("watching for 15 s that the lock's holder is gone");
                kube.take_over(&claim, lock_id, reason).await
            }
            None => kube.acquire(&claim).await,
        };
        Ok(match taken {
            Ok(lease) => {
                if let Some(left) = left {
                    talk(&left);
                }
                for object in lease.unmarked() {
                    talk(&format!(
                        "a late write of the former holder might still reach {object}: look at it"
                    ));
                }
                Ok(Self { _host: host, lease: Some(lease), from })
            }
            Err(why @ LockRefused::Forbidden { .. }) => Err(Unguarded::Without(format!(
                "no lock in the cluster, so nothing keeps others from driving the same target: {why}"
            ))),
            Err(LockRefused::Failed(error)) => return Err(error.into()),
            Err(why) => {
                talk(&why.to_string());
                Err(Unguarded::End(Exit::SomebodyElse))
            }
        })
    }

    /// Without the cluster's lock, as somebody has said with a reason.
    ///
    /// # Errors
    /// If the state directory can't be used.
    pub async fn without_lease(
        world: &World,
        runbook: &Runbook,
        state: &Path,
    ) -> color_eyre::Result<Result<Self, Exit>> {
        let host = Self::on_this_host(world, runbook, state).await?;
        Ok(host.map(|host| Self { _host: host, lease: None, from: None }))
    }

    /// One run a target on this host, where the target is a real one.
    async fn on_this_host(
        world: &World,
        runbook: &Runbook,
        state: &Path,
    ) -> color_eyre::Result<Result<Option<Lock>, Exit>> {
        let (Some(target), Some(cluster)) = (&runbook.target, &world.cluster) else { return Ok(Ok(None)) };
        if world.kubeconfig.is_some() {
            // A simulated cluster is this engine's own.
            return Ok(Ok(None));
        }
        let identity = cluster.identity().await?;
        // Whoever may not read the uid knows the cluster by its server.
        let cluster = if identity.uid.is_empty() { &identity.server } else { &identity.uid };
        let name = journal::lock::target_lock_name(cluster, &target.namespace, &target.service);
        store::runs_dir(state)?;
        let locks = state.join("locks");
        let mut taken = Lock::acquire(&locks, &name, &store::holder());
        if matches!(taken, Err(LockError::Held { .. })) && send_home(state, target).await? {
            let until = Instant::now() + BETWEEN_ENGINES;
            while matches!(taken, Err(LockError::Held { .. })) && Instant::now() < until {
                taken = Lock::acquire(&locks, &name, &store::holder());
            }
        }
        match taken {
            Ok(lock) => Ok(Ok(Some(lock))),
            Err(LockError::Held { holder, .. }) => {
                let by = driven_by(holder.as_ref());
                talk(&format!("a run on service {} flies already{by}", target.service));
                talk("look at it with: cutover watch");
                Ok(Err(Exit::SomebodyElse))
            }
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

    /// Gives the locks back.
    pub async fn release(self) {
        if let Some(lease) = &self.lease
            && let Err(error) = lease.release().await
        {
            tracing::warn!(%error, "the target's lock could not be given back; it expires");
        }
    }
}

/// An engine stays for a while when its run is over, for whoever may want to look: it makes way for the next run on its
/// target. Whether one was asked to.
async fn send_home(state: &Path, target: &Target) -> color_eyre::Result<bool> {
    let mut asked = false;
    for (id, dir) in store::live(state, None)? {
        let Ok(Some(found)) = store::in_dir(dir.clone()) else { continue };
        let same = found.run.runbook.target.as_ref().is_some_and(|other| {
            (&other.context, &other.namespace, &other.service)
                == (&target.context, &target.namespace, &target.service)
        });
        let Some((outcome, ..)) =
            found.run.finished.as_ref().filter(|_| same && found.run.rolling_back().is_none())
        else {
            continue;
        };
        let hello = link::client::hello(Wish::Errand, None);
        let Ok(client) = link::client::connect(&dir.join(link::CONTROL), &hello).await else { continue };
        client.send(&Command::Close).await;
        talk(&format!("run {id} is over ({}); its engine makes way for this run", word(*outcome)));
        asked = true;
    }
    Ok(asked)
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
        "the lock that run {run} left is taken over: that run is over ({}), and its engine is gone",
        word(outcome)
    ))
}

/// How a run of this host ended by its journal; nothing where it did not, or is not known here.
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

/// The ids of the cluster's locks on one target that engines of this host were about to take, each with its run. Read and
/// written by whoever holds this host's lock on the target, so everybody who is named in it is dead.
struct Notes {
    dir: std::path::PathBuf,
    name: String,
}

impl Notes {
    fn beside(lock: &Path) -> Self {
        let name = lock.file_name().unwrap_or_default().to_string_lossy();
        Self { dir: lock.parent().unwrap_or(lock).to_owned(), name: format!("{name}.leases") }
    }

    /// Oldest first. Notes that can't be read are none: a takeover by the lock's name is left then.
    fn read(&self) -> Vec<(String, RunId)> {
        let mut text = String::new();
        let read = RunDir::open(&self.dir)
            .and_then(|dir| dir.read_file(&self.name))
            .and_then(|mut file| file.read_to_string(&mut text));
        if let Err(error) = read
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the notes of locks can't be read");
        }
        let note = |line: &str| line.split_once(' ').map(|(id, run)| (id.to_owned(), RunId(run.to_owned())));
        text.lines().filter_map(note).collect()
    }

    fn add(&self, known: &[(String, RunId)], id: &str, run: &RunId) -> io::Result<()> {
        let kept = &known[known.len().saturating_sub(NOTES - 1)..];
        let kept = kept.iter().map(|(id, run)| (id.as_str(), run)).chain([(id, run)]);
        let text = kept.map(|(id, run)| format!("{id} {run}\n")).collect::<Vec<_>>().concat();
        let mut file = RunDir::create(&self.dir)?.open_file(&self.name)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
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
    let about = CopyAbout {
        run_id: run_id.clone(),
        who: format!("{}@{}", store::user(), store::host()),
        host: store::host(),
        title: title.to_owned(),
    };
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
