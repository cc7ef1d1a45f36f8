//! All input that arrives on its own: samples, cluster pictures, permissions, the state of the lock and of the
//! journal's copy, and processes left over from an earlier engine.

mod counting;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    kit::{Kit, slot_labels},
    messages::News,
    perform::{forget_unmasked, mark},
    ports::Ports,
    values::Secrets,
};
use crate::domain::{
    effect::Input,
    message::Update,
    metric::{Metric, Missing, Sample},
    run::Run,
    slot_labels::SlotLabels,
    time::{Span, Timestamp},
    workload::Connection,
};

/// How far back metrics are fetched when an engine starts.
const BACKFILL: Span = Span::from_mins(15);
/// Permissions are asked again this often.
const ACCESS_EVERY: Span = Span::from_secs(60);
/// … and at most this often in real time.
const LEAST_ACCESS: Duration = Duration::from_secs(5);
/// A metric is asked for at most this often in real time.
const LEAST_SAMPLE: Duration = Duration::from_millis(200);
/// After a real pause longer than this the time in between is not made up for.
const LONGEST_STALL: Duration = Duration::from_secs(2);
/// How long the first picture is waited for, where a metric's past can't be asked for without it.
const FIRST_PICTURE: Duration = Duration::from_secs(5);
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
        let runbook = Arc::clone(&run.runbook);
        for metric in runbook.metrics.clone() {
            let labels = self.kit.labels.subscribe();
            let (ports, news) = (self.kit.ports.clone(), self.kit.news.clone());
            let task = match metric.counted().cloned() {
                Some(counted) => {
                    let met = self.kit.met.subscribe();
                    tokio::spawn(counting::count(metric, counted, labels, met, ports, news))
                }
                None => tokio::spawn(sample(metric, labels, ports, news)),
            };
            self.tasks.push(task.abort_handle());
        }
        let Some(cluster) = self.kit.ports.cluster.clone() else { return };
        let mut pictures = Arc::clone(&cluster).watch();
        let (news, labels) = (self.kit.news.clone(), Arc::clone(&self.kit.labels));
        let target = runbook.target.clone();
        let watch = tokio::spawn(async move {
            while let Some(picture) = pictures.recv().await {
                let told = slot_labels(target.as_ref(), Some(&picture));
                labels.send_if_modified(|known| std::mem::replace(known, told.clone()) != told);
                if news.send(News::Input(Input::Workload(Box::new(picture)))).await.is_err() {
                    return;
                }
            }
        });
        let (clock, news) = (Arc::clone(&self.kit.ports.clock), self.kit.news.clone());
        let rights = cluster.rights(&runbook);
        let access = tokio::spawn(async move {
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
        self.tasks.extend([watch.abort_handle(), access.abort_handle()]);
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

/// The slots that a metric is measured of, as they are known now; one that is none where it is not per slot.
fn lanes(metric: &Metric, labels: &watch::Receiver<Vec<SlotLabels>>) -> Vec<Option<SlotLabels>> {
    let known = labels.borrow();
    if metric.per_slot && !known.is_empty() { known.iter().cloned().map(Some).collect() } else { vec![None] }
}

/// Measures one metric for ever, all its slots at once; first the past.
async fn sample(
    metric: Metric,
    mut labels: watch::Receiver<Vec<SlotLabels>>,
    ports: Ports,
    news: mpsc::Sender<News>,
) {
    if metric.names_revision() {
        // The past of a revision can only be asked for once the cluster has told which it is.
        let told = labels.wait_for(|known| known.iter().any(|slot| slot.version.is_some()));
        drop(tokio::time::timeout(FIRST_PICTURE, told).await);
    }
    let now = ports.clock.now();
    for slot in lanes(&metric, &labels) {
        let past = ports.metrics.backfill(&metric, slot.as_ref(), now - BACKFILL, now).await;
        if !past.is_empty() {
            let update = Update::Samples { samples: past.clone(), backfill: true };
            let told = news.send(News::Show(update)).await.is_ok();
            if !told || news.send(News::Input(Input::Past(past))).await.is_err() {
                return;
            }
        }
    }
    let mut last: Vec<Option<Timestamp>> = vec![None; lanes(&metric, &labels).len()];
    let mut was = tokio::time::Instant::now();
    loop {
        let (asked, real) = (ports.clock.now(), tokio::time::Instant::now());
        // Where time runs fast, one real moment skips several intervals: what was measured in between is fetched. After
        // a real pause (a suspended laptop, a stopped process) it is not: nobody was watching then.
        let make_up = real.duration_since(was) < LONGEST_STALL;
        let lanes = lanes(&metric, &labels);
        let lane = async |slot: Option<&SlotLabels>, before: Option<Timestamp>| {
            let sample = ports.metrics.sample(&metric, slot, ports.clock.now()).await;
            let half = Span::from_millis(metric.interval.as_millis() / 2);
            let mut samples = match before
                .filter(|before| make_up && sample.at.since(*before + metric.interval) > half)
            {
                Some(before) => {
                    ports.metrics.backfill(&metric, slot, before + metric.interval, sample.at - half).await
                }
                None => Vec::new(),
            };
            samples.push(sample);
            samples
        };
        let rounds =
            join_all(lanes.iter().zip(&last).map(|(slot, before)| lane(slot.as_ref(), *before))).await;
        for (samples, last) in rounds.into_iter().zip(&mut last) {
            *last = samples.last().map(|sample| sample.at);
            for sample in samples {
                if news.send(News::Input(Input::Sample(sample))).await.is_err() {
                    return;
                }
            }
        }
        was = real;
        let pause = metric.interval.saturating_sub(ports.clock.now().since(asked));
        tokio::join!(
            ports.clock.sleep(pause),
            tokio::time::sleep(LEAST_SAMPLE.saturating_sub(real.elapsed()))
        );
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
