//! All input that arrives on its own: samples, cluster pictures, permissions, the state of the lock and of the
//! journal's copy, and processes left over from an earlier engine.

mod asking;
mod counting;
mod sampling;

use std::{sync::Arc, time::Duration};

use tokio::task::AbortHandle;

use self::asking::Asking;
use super::{
    kit::{Kit, slot_labels},
    messages::News,
    perform::{forget_unmasked, mark},
    ports::Cluster,
    values::Secrets,
};
use crate::domain::{
    effect::Input,
    message::Update,
    metric::{Metric, Missing, Sample},
    run::Run,
    runbook::{Runbook, Target},
    time::Span,
    workload::Connection,
};

/// How far back metrics are fetched when an engine starts.
const BACKFILL: Span = Span::from_mins(15);
/// Permissions are asked again this often.
const ACCESS_EVERY: Span = Span::from_secs(60);
/// … and at most this often in real time.
const LEAST_ACCESS: Duration = Duration::from_secs(5);
/// How often it is looked whether what a dead engine left still runs.
const LOOK_AT_ORPHANS: Duration = Duration::from_millis(500);

/// The tasks that bring it in.
pub(super) struct Feeds {
    kit: Arc<Kit>,
    tasks: Vec<AbortHandle>,
}

impl Feeds {
    /// Nothing comes in yet.
    pub(super) fn new(kit: Arc<Kit>) -> Self {
        Self { kit, tasks: Vec::new() }
    }

    /// Nothing comes in any more.
    pub(super) fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    /// Samples, pictures of the cluster, permissions.
    pub(super) fn start(&mut self, run: &Run) {
        for metric in run.runbook.metrics.clone() {
            self.measure(metric);
        }
        if let Some(cluster) = self.kit.ports.cluster.clone() {
            self.watch_cluster(&cluster, run.runbook.target.clone());
            self.ask_for_rights(cluster, &run.runbook);
        }
    }

    fn measure(&mut self, metric: Metric) {
        let counted = metric.counted().cloned();
        let labels = self.kit.labels.subscribe();
        let (ports, news) = (self.kit.ports.clone(), self.kit.news.clone());
        let asking = Asking { metric, labels, ports, news };
        let task = match counted {
            Some(counted) => tokio::spawn(counting::count(asking, counted, self.kit.met.subscribe())),
            None => tokio::spawn(sampling::sample(asking)),
        };
        self.tasks.push(task.abort_handle());
    }

    /// Each picture goes to the run; what it says of the slots also to who measures them, whose queries name pods and revisions.
    fn watch_cluster(&mut self, cluster: &Arc<dyn Cluster>, target: Option<Target>) {
        let mut pictures = Arc::clone(cluster).watch();
        let (news, labels) = (self.kit.news.clone(), Arc::clone(&self.kit.labels));
        let task = tokio::spawn(async move {
            while let Some(picture) = pictures.recv().await {
                let told = slot_labels(target.as_ref(), Some(&picture));
                labels.send_if_modified(|known| std::mem::replace(known, told.clone()) != told);
                if news.send(News::Input(Input::Workload(Box::new(picture)))).await.is_err() {
                    return;
                }
            }
        });
        self.tasks.push(task.abort_handle());
    }

    /// Asks again and again: a right that is missing turns up while the run waits, and one can be taken away in its middle.
    fn ask_for_rights(&mut self, cluster: Arc<dyn Cluster>, runbook: &Runbook) {
        let (clock, news) = (Arc::clone(&self.kit.ports.clock), self.kit.news.clone());
        let rights = cluster.rights(runbook);
        let task = tokio::spawn(async move {
            loop {
                match cluster.access(&rights).await {
                    Ok(access) => {
                        if news.send(News::Input(Input::Access(access))).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "permissions can't be asked for"),
                }
                // In a rehearsal that runs fast a minute is short; the server need not feel that.
                tokio::join!(clock.sleep(ACCESS_EVERY), tokio::time::sleep(LEAST_ACCESS));
            }
        });
        self.tasks.push(task.abort_handle());
    }

    /// What an engine before this one had started may still run: it is watched until it ends.
    pub(super) fn watch_orphans(&mut self, run: &Run) {
        for (at, child) in run.orphans() {
            let (shell, news) = (Arc::clone(&self.kit.ports.shell), self.kit.news.clone());
            let mark = mark(run, &at);
            let task = tokio::spawn(async move {
                loop {
                    let alive = shell.is_running(&child, &mark);
                    let input = Input::ChildSeen { at: at.clone(), pid: child.pid, alive };
                    if news.send(News::Input(input)).await.is_err() || !alive {
                        return;
                    }
                    tokio::time::sleep(LOOK_AT_ORPHANS).await;
                }
            });
            self.tasks.push(task.abort_handle());
        }
    }

    /// A command whose engine died between its start and writing down its process is known by its mark.
    pub(super) fn find_unrecorded(&self, run: &Run) -> Vec<Input> {
        forget_unmasked(run, &self.kit.run_dir);
        let found =
            |at| Some(Input::ActionSpawned { child: self.kit.ports.shell.find(&mark(run, &at))?, at });
        run.unrecorded_commands().into_iter().filter_map(found).collect()
    }

    /// What is known of the target's lock and of the journal's copy comes in by itself.
    pub(super) fn watch_guards(&mut self) {
        if let Some(lock) = &self.kit.lock {
            let (mut state, news) = (lock.state(), self.kit.news.clone());
            let task = tokio::spawn(async move {
                loop {
                    let now = state.borrow_and_update().clone();
                    if news.send(News::Input(Input::Lock(now))).await.is_err()
                        || state.changed().await.is_err()
                    {
                        return;
                    }
                }
            });
            self.tasks.push(task.abort_handle());
        }
        if let Some(copy) = &self.kit.copy {
            let (mut state, news) = (copy.state(), self.kit.news.clone());
            let task = tokio::spawn(async move {
                loop {
                    let now = state.borrow_and_update().clone();
                    let update = Update::Copy { state: now };
                    if news.send(News::Show(update)).await.is_err() || state.changed().await.is_err() {
                        return;
                    }
                }
            });
            self.tasks.push(task.abort_handle());
        }
    }
}

/// What comes from outside may quote a secret: a URL in an error, a token in a pod's warning.
pub(super) fn mask_input(secrets: &Secrets, input: &mut Input) {
    match input {
        Input::ActionFinished { detail: text, .. }
        | Input::Verified { evidence: text, .. }
        | Input::CheckSeen { evidence: text, .. }
        | Input::CheckCaught { evidence: text, .. }
        | Input::CheckHopeless { evidence: text, .. }
        | Input::ItemSeen { evidence: text, .. } => *text = secrets.mask(text),
        Input::Settled { fault: Some(text), .. } => *text = secrets.mask(text),
        Input::Observed(result) => {
            if let Err(text) = &mut **result {
                *text = secrets.mask(text);
            }
        }
        Input::NoticeDone { text, detail, .. } => {
            *text = secrets.mask(text);
            *detail = secrets.mask(detail);
        }
        Input::Sample(Sample {
            value:
                Err(
                    Missing::Unreachable(text)
                    | Missing::BadAnswer(text)
                    | Missing::Stale(text)
                    | Missing::Ambiguous(text),
                ),
            ..
        }) => *text = secrets.mask(text),
        Input::Workload(workload) => {
            if let Connection::Lost(why) = &mut workload.connection {
                *why = secrets.mask(why);
            }
            for warning in &mut workload.warnings {
                warning.message = secrets.mask(&warning.message);
            }
        }
        _ => {}
    }
}
