//! The Kubernetes adapter: one target, what directs its traffic (a Service, or a route), and its Deployments.
//!
//! ```text
//! KubeConnector ── connect(target) ──> KubeCluster ──> gateway ──> API server
//!   credentials    (kubeconfig)          director        one door for every read and every write:
//!                                        deployment      deadlines, retries of reads, the fence of writes
//!                                        progress        a look at a rollout; rollout, stage, pod: pure, the rules of kubectl
//!                                        watch, picture  feeds folded into workloads
//!                                        access, logs, headroom, patch
//!                                        lease    the lock that everybody respects; fence: its number in what we change
//!                                        mirror   the run's journal beside the target
//!               ── survey(context) ──> KubeSurvey: lists of a namespace, for who writes a runbook
//! ```
//!
//! Rules that hold for all of it: a write is sent once; a further one is only made where the API server has proven with 409
//! that the one before had no effect. Every call comes back within its deadline. Whatever text comes from the cluster
//! goes through `SafeText`.

mod absent;
mod access;
mod call;
mod cause;
mod credentials;
mod deployment;
mod director;
mod fault;
mod fence;
mod gateway;
mod headroom;
mod inspect;
mod lean;
mod lease;
mod login;
mod logs;
mod mirror;
mod observe;
mod patch;
mod permit;
mod picture;
mod pod;
mod progress;
mod quantity;
mod reach;
mod rollout;
mod seen;
mod stage;
mod survey;
mod timing;
mod view;
mod watch;
mod when;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
};

use async_trait::async_trait;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event as ApiEvent, Service},
};
use tokio::sync::mpsc;

use crate::{
    adapters::clock::SystemClock,
    domain::{
        action::PatchType,
        director::{Director, Shares},
        event::RollbackTarget,
        id::SlotName,
        observation::{Approach, Observation},
        rights::Right,
        rollout::RolloutFacts,
        runbook::{Runbook, Slot, Target},
        safe_text::SafeText,
        time::Timestamp,
        workload::{Access, ClusterIdentity, Connection, Workload},
    },
    engine::ports::{Clock, Cluster, Fault, LogMarks, LogsRead, PortError, PortResult, Seen},
};

use call::{Call, DEPLOYMENTS, EVENTS, PODS, SERVICES, is_name};
use credentials::Source;
use director::{Revisions, RouteView};
use gateway::Gateway;
use lean::LeanPod;
use picture::{Picture, no_warnings, warning};
use pod::{LabelSets, PodRecord, TEMPLATE_HASH, record};
use view::{DeploymentView, ServiceView, is_newer};
use watch::Heartbeat;

pub use gateway::Fence;
pub use lease::{KubeLock, LockClaim, LockRefused, lease_name, mint as mint_lock_id};
pub use mirror::{CopyAbout, CopyFault, FetchedCopy, JournalCopy, KEPT_RUNS, ReadJournal};
pub use reach::Reached;
pub use survey::KubeSurvey;
pub use timing::{LockTiming, Timing};

/// Makes clusters from a kubeconfig.
///
/// A rustls provider must be installed in the process before [`open`](Self::open) is called.
#[derive(Clone)]
pub struct KubeConnector {
    source: Source,
    clock: Arc<dyn Clock>,
    timing: Timing,
    fence: Option<Fence>,
    lock_clock: Option<Arc<dyn Clock>>,
    lock_timing: LockTiming,
}

impl KubeConnector {
    /// Connects as kubectl would: `KUBECONFIG`, `~/.kube/config`, or the service account of the pod we run in; through
    /// `HTTPS_PROXY` unless `NO_PROXY` names the API server. The files are read when connecting, not here.
    pub fn from_environment(clock: Arc<dyn Clock>) -> Self {
        Self::of(Source::Environment, clock)
    }

    /// … by this kubeconfig file instead.
    pub fn from_kubeconfig_file(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self::of(Source::File(path.into()), clock)
    }

    /// Connects by a kubeconfig given as YAML, without proxies: for servers on this host.
    pub fn from_kubeconfig_text(yaml: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self::of(Source::Text(yaml.into()), clock)
    }

    fn of(source: Source, clock: Arc<dyn Clock>) -> Self {
        let (timing, lock_timing) = (Timing::default(), LockTiming::default());
        Self { source, clock, timing, fence: None, lock_clock: None, lock_timing }
    }

    /// With other deadlines.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// With a fence: it is asked right before each write leaves, and its error is the write's.
    #[must_use]
    pub fn with_fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }

    /// With other times for the target's lock, and on another clock than the host's own time since boot.
    #[must_use]
    pub fn with_lock(mut self, timing: LockTiming, clock: Arc<dyn Clock>) -> Self {
        self.lock_timing = timing;
        self.lock_clock = Some(clock);
        self
    }

    /// Connects, and checks that the API server answers. Nothing is written, and no lock is asked for; see
    /// [`KubeCluster::acquire`].
    ///
    /// # Errors
    /// If the kubeconfig can't be used, a name can't be one, or the server does not answer: in words.
    pub async fn open(&self, target: &Target) -> PortResult<Arc<KubeCluster>> {
        let slots = target.slots.values().flat_map(|slot| [Some(&slot.deployment), slot.service.as_ref()]);
        let route = match &target.director {
            Director::Route(route) => Some(&route.name),
            Director::Selector | Director::Replicas | Director::Rollout => None,
        };
        for name in slots.flatten().chain(route).chain([&target.namespace, &target.service]) {
            if !is_name(name) {
                return Err(PortError::failed(format!(
                    "`{}` is not a valid name of a Kubernetes object; correct [target]",
                    SafeText::new(name)
                )));
            }
        }
        let context = target.context.as_deref();
        let gateway =
            Gateway::open(self.source.clone(), context, self.fence.clone(), self.timing.clone()).await?;
        let identity = access::identify(&gateway, &target.namespace).await?;
        Ok(Arc::new(KubeCluster {
            gateway: Arc::new(gateway),
            target: target.clone(),
            identity,
            clock: Arc::clone(&self.clock),
            // A rehearsal's clock runs fast; renewals cannot.
            lock_clock: self.lock_clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new())),
            lock_timing: self.lock_timing.clone(),
            service: Mutex::new(None),
            observed: Mutex::new(None),
            slices: AtomicUsize::new(0),
            observed_route: Mutex::new(None),
            revisions: Mutex::new(Revisions::default()),
            pod_selectors: Mutex::new(BTreeMap::new()),
            uids: Mutex::new(BTreeMap::new()),
            lease_seen: Mutex::new(None),
        }))
    }
}

/// A connected cluster.
pub struct KubeCluster {
    gateway: Arc<Gateway>,
    target: Target,
    identity: ClusterIdentity,
    clock: Arc<dyn Clock>,
    lock_clock: Arc<dyn Clock>,
    lock_timing: LockTiming,
    /// The Service as last seen by anybody: what a switch believes.
    service: Mutex<Option<ServiceView>>,
    /// The Service as the last fresh look saw it: what a switch that follows that look believes.
    observed: Mutex<Option<ServiceView>>,
    /// The route as the last fresh look saw it: what a shift that follows that look believes.
    observed_route: Mutex<Option<RouteView>>,
    /// Where one Deployment is two slots: which of its revisions are which.
    revisions: Mutex<Revisions>,
    /// Which of the versions of endpoint slices this server serves; beyond the last where it serves none.
    slices: AtomicUsize,
    /// By which labels each Deployment's pods are found, as last seen. They never change for one Deployment.
    pod_selectors: Mutex<BTreeMap<String, String>>,
    /// The uid of each Deployment that was written to.
    uids: Mutex<BTreeMap<String, String>>,
    /// The target's lock as last seen, and since when it has looked so.
    lease_seen: Mutex<Option<lease::Observed>>,
}

/// A panic of another task while it held the lock leaves nothing half done: each of these is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KubeCluster {
    /// Names come from the runbook, which was checked; one from a journal of another version may still be unknown.
    fn slot(&self, name: &SlotName) -> PortResult<&Slot> {
        self.target.slots.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.target.slots.keys().map(SlotName::as_str).collect();
            PortError::failed(format!("the target has no slot `{name}`; it has {}", known.join(", ")))
        })
    }

    /// What is read is noted for the watch: two looks that know different things would contradict each other on one screen.
    async fn read_service(&self) -> PortResult<ServiceView> {
        let call = Call::get(&SERVICES, Some(&self.target.namespace), &self.target.service);
        let service: Service = self.gateway.read(&call).await?;
        let view = ServiceView::of(&service);
        self.note_service(Some(&view));
        Ok(view)
    }

    /// The Service as last seen, where its version is known.
    fn service_seen(&self) -> Option<ServiceView> {
        locked(&self.service).clone().filter(|view| !view.version.is_empty())
    }

    /// Takes what was seen of the Service, unless something newer is known.
    fn note_service(&self, view: Option<&ServiceView>) {
        let mut known = locked(&self.service);
        let newer = match (view, known.as_ref()) {
            (Some(view), Some(known)) => known.uid != view.uid || is_newer(&view.version, &known.version),
            _ => true,
        };
        if newer {
            *known = view.cloned();
        }
    }

    /// The whole object: a revert and a strategic patch stand on fields that no summary has.
    async fn read_deployment(&self, slot: &SlotName) -> PortResult<Deployment> {
        let call = Call::get(&DEPLOYMENTS, Some(&self.target.namespace), &self.slot(slot)?.deployment);
        self.gateway.read(&call).await
    }

    /// The target's Deployments by name, each once: one may be two slots.
    fn deployments(&self) -> BTreeSet<String> {
        self.target.slots.values().map(|slot| slot.deployment.clone()).collect()
    }

    /// Remembers which Deployment was written to.
    fn remember(&self, slot: &SlotName, deployment: &Deployment) {
        if let (Some(uid), Some(slot)) = (&deployment.metadata.uid, self.target.slots.get(slot)) {
            locked(&self.uids).insert(slot.deployment.clone(), uid.clone());
        }
    }

    /// The uid that the Deployment had when this run first met it: another one of the same name is another object.
    fn remembered(&self, slot: &SlotName) -> Option<String> {
        locked(&self.uids).get(&self.target.slots.get(slot)?.deployment).cloned()
    }

    /// What directs traffic, and the Deployments, read at the same time.
    async fn read_decisive(&self) -> PortResult<Heartbeat> {
        let namespace = Some(self.target.namespace.as_str());
        let deployments = self.deployments().into_iter().map(|name| async move {
            let call = Call::get(&DEPLOYMENTS, namespace, &name);
            let found: Option<Deployment> = self.gateway.find(&call).await?;
            Ok((name, found.map(DeploymentView::of)))
        });
        let director = async {
            if let Some(name) = self.route_name() {
                return Ok((None, self.find_route(name).await?));
            }
            let call = Call::get(&SERVICES, namespace, &self.target.service);
            let service: Option<Service> = self.gateway.find(&call).await?;
            let service = service.as_ref().map(ServiceView::of);
            self.note_service(service.as_ref());
            Ok((service, None))
        };
        let (director, deployments) = tokio::join!(director, futures::future::try_join_all(deployments));
        let (service, route) = director?;
        Ok(Heartbeat { service, route, deployments: deployments? })
    }

    /// Hands each pod that a Deployment selects to `each`.
    async fn each_pod(&self, deployment: &DeploymentView, mut each: impl FnMut(PodRecord)) -> PortResult<()> {
        let selector = deployment.pods();
        if selector.is_empty() {
            return Ok(());
        }
        let call = Call::list(&PODS, Some(&self.target.namespace)).with("labelSelector", selector);
        let labels = LabelSets::default();
        self.gateway.each(&call, |pod: LeanPod| each(self.labelled(&pod, &labels))).await
    }

    /// Which pods of a Deployment are a slot's: all of them, but where it is two slots.
    fn pods_of(&self, slot: &SlotName, deployment: &DeploymentView) -> impl Fn(&LeanPod) -> bool {
        let container = self.target.container.clone();
        let parting = self.target.is_one_deployment().then(|| {
            let template = rollout::told_hash(&deployment.object);
            locked(&self.revisions).parting(template.as_deref(), &deployment.image(&container))
        });
        let slot = slot.clone();
        move |pod| {
            let Some(parting) = &parting else { return true };
            let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
            let image = pod.container(&container).and_then(|it| it.image.as_deref()).unwrap_or_default();
            parting.slot_of(hash.map(String::as_str), image) == Some(slot.as_str())
        }
    }

    /// A pod's record with its labels. What image its revision has is remembered on the way.
    fn labelled(&self, pod: &LeanPod, labels: &LabelSets) -> PodRecord {
        let container = self.target.container.as_str();
        let mut record = record(pod, container);
        record.labels = labels.shared(pod.metadata.labels.as_ref());
        if self.target.is_one_deployment()
            && let Some(image) = pod.container(container).and_then(|it| it.image.as_ref())
        {
            locked(&self.revisions).note(record.hash().unwrap_or_default(), image);
        }
        record
    }
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn identity(&self) -> PortResult<ClusterIdentity> {
        Ok(self.identity.clone())
    }

    fn rights(&self, runbook: &Runbook) -> Vec<Right> {
        self.rights_of(runbook)
    }

    async fn access(&self, rights: &[Right]) -> PortResult<Access> {
        self.review_access(rights).await
    }

    async fn look(&self) -> PortResult<Workload> {
        let mut picture = Picture::default();
        let read = self.read_decisive().await?;
        if let Some(view) = read.service {
            let version = view.version.clone();
            picture.service.put(view, &version);
        }
        if let Some(view) = read.route {
            let version = view.version.clone();
            picture.route.put(view, &version);
        }
        for (name, view) in read.deployments {
            // Also where there is none: that it is not there was seen.
            let known = picture.deployments.entry(name.clone()).or_default();
            let Some(view) = view else { continue };
            let pods = picture.pods.entry(name).or_default();
            self.each_pod(&view, |record| drop(pods.insert(record.pod.name.clone(), record))).await?;
            let version = view.version().to_owned();
            known.put(view, &version);
        }
        let call = Call::list(&EVENTS, Some(&self.target.namespace)).with("fieldSelector", "type=Warning");
        let mut warnings = Vec::new();
        match self.gateway.each(&call, |event: ApiEvent| warnings.extend(warning(&self.target, &event))).await
        {
            Ok(()) => {}
            Err(PortError { kind: Fault::Denied, message }) => {
                warnings.push(no_warnings(&message, self.clock.now()));
            }
            Err(fault) => return Err(fault),
        }
        picture.set_warnings(warnings);
        let revisions = locked(&self.revisions).clone();
        Ok(picture.workload(&self.target, &revisions, Connection::Connected, self.clock.now()))
    }

    async fn observe(&self) -> PortResult<Observation> {
        self.observe_target().await
    }

    fn watch(self: Arc<Self>) -> mpsc::Receiver<Workload> {
        watch::watch(self)
    }

    async fn set_image(
        &self,
        slot: &SlotName,
        container: &str,
        image: &str,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        self.put_image(slot, container, image, seen).await
    }

    async fn rollout(&self, slot: &SlotName) -> PortResult<RolloutFacts> {
        self.rollout_of(slot).await
    }

    async fn switch_traffic(&self, to: &SlotName, seen: Option<&Approach>) -> PortResult<String> {
        self.point_service_at(to, seen).await
    }

    async fn shift_traffic(&self, shares: &Shares, seen: Option<&Approach>) -> PortResult<String> {
        self.put_shares(shares, seen).await
    }

    async fn revert(
        &self,
        slot: &SlotName,
        to: &RollbackTarget,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        self.put_template(slot, to, seen).await
    }

    async fn pause(&self, slot: &SlotName, paused: bool, seen: Option<&Observation>) -> PortResult<String> {
        self.put_paused(slot, paused, seen).await
    }

    fn began_with(&self, hash: Option<&str>) {
        locked(&self.revisions).begin(hash);
    }

    async fn scale(&self, slot: &SlotName, replicas: u32, seen: Option<&Observation>) -> PortResult<String> {
        self.put_replicas(slot, replicas, seen).await
    }

    async fn restart(&self, slot: &SlotName, seen: Option<&Observation>) -> PortResult<String> {
        self.restart_pods(slot, seen).await
    }

    async fn settle(&self, slot: Option<&SlotName>) -> PortResult<()> {
        self.settle_writes(slot).await
    }

    async fn patch(
        &self,
        kind: &str,
        name: &str,
        patch_type: PatchType,
        patch: &serde_json::Value,
        seen: Option<&Observation>,
    ) -> PortResult<String> {
        self.patch_object(kind, name, (patch_type, patch), seen).await
    }

    async fn logs(
        &self,
        slot: &SlotName,
        pod: Option<&str>,
        tail: u32,
        since: Option<Timestamp>,
    ) -> PortResult<LogsRead> {
        self.read_logs(slot, pod, tail, since).await
    }

    async fn logs_after(&self, slot: &SlotName, marks: &mut LogMarks) -> PortResult<LogsRead> {
        self.read_logs_after(slot, marks).await
    }

    async fn headroom(&self, slot: &SlotName, replicas: u32) -> PortResult<Seen> {
        self.room_for(slot, replicas).await
    }
}
