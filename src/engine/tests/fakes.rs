//! A world, a clock, a journal and a screen for the engine's tests.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use nix::errno::Errno;
use tokio::sync::mpsc;

use crate::{
    adapters::process::{Filter, LocalShell},
    domain::{
        action::PatchType,
        director::{Shares, in_words},
        event::Envelope,
        evidence::counters::Answer,
        fixture::{START, ground::Ground, workload},
        id::SlotName,
        message::Update,
        metric::{Metric, Missing, Sample},
        observation::{Approach, Observation},
        rights::Right,
        rollback_target::RollbackTarget,
        rollout::RolloutFacts,
        runbook::Runbook,
        slot_labels::SlotLabels,
        time::{Span, Timestamp},
        workload::{Access, ClusterIdentity, LogLine, Workload},
    },
    engine::{
        messages::UpdateSink,
        ports::{
            Clock, Cluster, Fault, HttpCall, Journal, LogMarks, LogsRead, Metrics, Network, Notifier,
            PortError, PortResult, Ports, Seen,
        },
    },
};

pub(super) const SPEED: u32 = 60;
pub(super) const CANARY: &str = "canary-8f3a-token";

pub(super) struct Fast(pub(super) Instant);

#[async_trait]
impl Clock for Fast {
    fn now(&self) -> Timestamp {
        let real = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        START + Span::from_millis(real * u64::from(SPEED))
    }
    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.to_std() / SPEED).await;
    }
    fn speed(&self) -> f64 {
        f64::from(SPEED)
    }
}

/// Everything outside, as bad as a test wants. Its texts all quote the secret.
pub(super) struct World {
    pub(super) live: Mutex<SlotName>,
    pub(super) ground: Mutex<Ground>,
    pub(super) writes: AtomicUsize,
    /// What a look at a rollout finds.
    pub(super) rollout: Mutex<RolloutFacts>,
    pub(super) errors: f64,
}

impl World {
    /// Traffic is on blue.
    pub(super) fn with_errors(errors: f64) -> Arc<Self> {
        Arc::new(Self {
            live: Mutex::new("blue".into()),
            ground: Mutex::new(Ground::new()),
            writes: AtomicUsize::new(0),
            rollout: Mutex::new(RolloutFacts { observed: true, ..RolloutFacts::default() }),
            errors,
        })
    }
    /// How often the cluster was written to.
    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
    fn write(&self, what: &str) -> String {
        self.writes.fetch_add(1, Ordering::SeqCst);
        format!("{what} with {CANARY}")
    }
    fn picture(&self) -> Workload {
        workload(self.live.lock().unwrap().as_str())
    }
}

#[async_trait]
impl Cluster for World {
    async fn identity(&self) -> PortResult<ClusterIdentity> {
        Ok(ClusterIdentity::default())
    }
    fn rights(&self, _: &Runbook) -> Vec<Right> {
        Vec::new()
    }
    async fn access(&self, _: &[Right]) -> PortResult<Access> {
        let (patch_service, patch_deployments) = (Some(true), Some(true));
        Ok(Access { patch_service, patch_deployments, missing: Vec::new(), at: START })
    }
    async fn look(&self) -> PortResult<Workload> {
        Ok(self.picture())
    }
    fn watch(self: Arc<Self>) -> mpsc::Receiver<Workload> {
        let (pictures, out) = mpsc::channel(4);
        let mut first = self.picture();
        first.connection = crate::domain::workload::Connection::Lost(format!("no answer to {CANARY}"));
        pictures.try_send(first).unwrap();
        out
    }
    async fn observe(&self) -> PortResult<Observation> {
        // As new as the run's clock may be: these tests are not about time.
        let mut ground = self.ground.lock().unwrap();
        ground.points_at(self.live.lock().unwrap().as_str(), "cutover");
        Ok(ground.look(Timestamp(i64::MAX)))
    }
    async fn set_image(
        &self,
        slot: &SlotName,
        _: &str,
        image: &str,
        _: Option<&Observation>,
    ) -> PortResult<String> {
        image.clone_into(&mut self.ground.lock().unwrap().slot(slot.as_str()).image);
        Ok(self.write(image))
    }
    async fn rollout(&self, _: &SlotName) -> PortResult<RolloutFacts> {
        Ok(self.rollout.lock().unwrap().clone())
    }
    async fn switch_traffic(&self, to: &SlotName, _: Option<&Approach>) -> PortResult<String> {
        *self.live.lock().unwrap() = to.clone();
        Ok(self.write("switched"))
    }
    async fn scale(&self, slot: &SlotName, count: u32, _: Option<&Observation>) -> PortResult<String> {
        let mut ground = self.ground.lock().unwrap();
        let slot = ground.slot(slot.as_str());
        (slot.desired, slot.ready) = (count, count);
        Ok(self.write("scaled"))
    }
    async fn restart(&self, _: &SlotName, _: Option<&Observation>) -> PortResult<String> {
        Ok(self.write("restarted"))
    }
    async fn shift_traffic(&self, shares: &Shares, _: Option<&Approach>) -> PortResult<String> {
        Ok(self.write(&in_words(shares)))
    }
    async fn revert(
        &self,
        slot: &SlotName,
        to: &RollbackTarget,
        _: Option<&Observation>,
    ) -> PortResult<String> {
        to.image.clone_into(&mut self.ground.lock().unwrap().slot(slot.as_str()).image);
        Ok(self.write("reverted"))
    }
    async fn pause(&self, _: &SlotName, paused: bool, _: Option<&Observation>) -> PortResult<String> {
        self.ground.lock().unwrap().paused = paused;
        Ok(self.write("paused"))
    }
    fn began_with(&self, _: Option<&str>) {}
    async fn settle(&self, _: Option<&SlotName>) -> PortResult<()> {
        Ok(())
    }
    async fn patch(
        &self,
        _: &str,
        _: &str,
        _: PatchType,
        _: &serde_json::Value,
        _: Option<&Observation>,
    ) -> PortResult<String> {
        Ok(self.write("patched"))
    }
    async fn logs(
        &self,
        _: &SlotName,
        _: Option<&str>,
        _: u32,
        _: Option<Timestamp>,
    ) -> PortResult<LogsRead> {
        let lines = vec![LogLine { pod: "p".to_owned(), at: None, text: format!("token {CANARY}") }];
        Ok(LogsRead { lines, ..LogsRead::default() })
    }
    async fn logs_after(&self, _: &SlotName, _: &mut LogMarks) -> PortResult<LogsRead> {
        Ok(LogsRead::default())
    }
    async fn headroom(&self, _: &SlotName, _: u32) -> PortResult<Seen> {
        Ok(Seen::yes("room"))
    }
}

#[async_trait]
impl Metrics for World {
    async fn sample(&self, metric: &Metric, slot: Option<&SlotLabels>, now: Timestamp) -> Sample {
        let slot = slot.map(|slot| slot.name.clone());
        let value = match (metric.id.as_str(), slot.as_ref().map(SlotName::as_str)) {
            ("transactions", _) => Ok(2300.0),
            (_, Some("blue")) => Err(Missing::Unreachable(format!("http://u:{CANARY}@prometheus refused"))),
            _ => Ok(self.errors),
        };
        Sample { metric: metric.id.clone(), slot, at: now, value, counts: None }
    }
    async fn backfill(
        &self,
        metric: &Metric,
        slot: Option<&SlotLabels>,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Sample> {
        // Prometheus remembers what blue was like, though it does not answer for it now.
        let slot = slot.map(|slot| slot.name.clone());
        if metric.id.as_str() != "error_rate" || slot.as_ref().map(SlotName::as_str) != Some("blue") {
            return Vec::new();
        }
        let sample = |at| Sample {
            metric: metric.id.clone(),
            slot: slot.clone(),
            at,
            value: Ok(0.0007),
            counts: None,
        };
        (0..to.since(from).as_secs() / 10).map(|n| from + Span::from_secs(10 * n)).map(sample).collect()
    }
    async fn count(&self, _: &Metric, _: Option<&SlotLabels>, _: Timestamp) -> Result<Answer, Missing> {
        Err(Missing::NoData)
    }
    async fn count_past(
        &self,
        _: &Metric,
        _: Option<&SlotLabels>,
        _: Timestamp,
        _: Timestamp,
        _: Span,
    ) -> Vec<Answer> {
        Vec::new()
    }
}

#[async_trait]
impl Network for World {
    async fn http(&self, call: HttpCall) -> PortResult<Seen> {
        Err(PortError::new(Fault::Failed, format!("{} did not answer", call.url)))
    }
    async fn tls(&self, _: &str, _: u16, _: u32, _: Timestamp) -> PortResult<Seen> {
        Ok(Seen::yes("valid"))
    }
    async fn dns(&self, _: &str, _: &str) -> PortResult<Seen> {
        Ok(Seen::yes("found"))
    }
}

#[async_trait]
impl Notifier for World {
    async fn send(&self, webhook: &str, _: &str) -> PortResult<String> {
        Err(PortError::failed(format!("{webhook} answered 500")))
    }
}

/// A journal in memory that fails from its n-th record on.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) written: Arc<Mutex<Vec<Envelope>>>,
    /// Fails with the first event of this name.
    pub(super) fails_at: Option<&'static str>,
    /// Fails at this write, from 1, as a broken disk or as a full one.
    pub(super) breaks_at: Option<usize>,
    pub(super) full_at: Option<usize>,
    pub(super) writes: usize,
    pub(super) lost: bool,
}

impl Journal for Pages {
    fn append(&mut self, events: &[Envelope]) -> io::Result<()> {
        assert!(!self.lost, "written to after it was lost");
        self.writes += 1;
        if self.full_at.is_some_and(|at| self.writes >= at) {
            return Err(Errno::ENOSPC.into());
        }
        self.take(events)
    }

    fn append_urgent(&mut self, events: &[Envelope]) -> io::Result<()> {
        assert!(!self.lost, "written to after it was lost");
        self.writes += 1;
        self.take(events)
    }

    fn is_spent(&self) -> bool {
        self.lost
    }
}

impl Pages {
    fn take(&mut self, events: &[Envelope]) -> io::Result<()> {
        if self.breaks_at == Some(self.writes)
            || events.iter().any(|envelope| self.fails_at == Some(envelope.event.name().as_str()))
        {
            self.lost = true;
            return Err(Errno::EIO.into());
        }
        self.written.lock().unwrap().extend(events.iter().cloned());
        Ok(())
    }
}

pub(super) struct Watching(pub(super) mpsc::UnboundedSender<Update>);

impl UpdateSink for Watching {
    fn send(&self, update: &Update) -> bool {
        self.0.send(update.clone()).is_ok()
    }
}

/// This world, with the real shell.
pub(super) fn ports(world: &Arc<World>, clock: Arc<Fast>, shell: LocalShell) -> Ports {
    Ports {
        clock,
        cluster: Some(world.clone()),
        metrics: world.clone(),
        network: world.clone(),
        shell: Arc::new(shell),
        notifier: world.clone(),
    }
}

/// The shell as it is, masking nothing.
pub(super) fn plain_shell() -> LocalShell {
    let filters: Arc<dyn Fn() -> Filter + Send + Sync> = Arc::new(|| {
        Box::new(|piece, pass| {
            if let Some(piece) = piece {
                pass(piece);
            }
        })
    });
    LocalShell::new(None, filters)
}
