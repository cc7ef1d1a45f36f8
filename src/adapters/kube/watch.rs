//! Watching: a feed for each kind of object, one place that folds them into pictures, and a heartbeat.
//!
//! ```text
//! feed service ───────┐
//! feed deployment ×n ─┤                               at most four a second,
//! feed pods ×n ───────┼─> fold into Picture ── dirty ──> one waiting at most ──> receiver
//! feed warnings ──────┤
//! heartbeat ──────────┘
//! ```
//!
//! Each feed is kube's watcher: list, watch, bookmarks, resume after an end of stream, list again after 410. What it leaves to
//! us: 410 at the beginning of a watch, fresh credentials, a connection on which nothing comes any more, and saying what is
//! wrong. The heartbeat reads Service and Deployments: it confirms the picture while nothing changes, keeps connections warm
//! for the switch, and notices within its interval that the server is gone.
//!
//! Everything ends when the receiver is dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{Event as ApiEvent, Pod as ApiPod, Service},
    },
};
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    domain::{
        id::SlotName,
        time::Timestamp,
        workload::{Connection, Workload},
    },
    engine::ports::PortResult,
};

use super::{
    KubeCluster,
    call::{Call, DEPLOYMENTS, EVENTS, PODS, Resource, SERVICES},
    fault::Failure,
    gateway::random_below,
    picture::{Picture, Warning, no_warnings, warning},
    pod::{PodRecord, record},
    view::{DeploymentView, ServiceView},
};

/// Who tells something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Feed {
    Service,
    Deployment(SlotName),
    Pods(SlotName),
    Warnings,
    Heartbeat,
}

/// What a feed tells of its objects.
enum Change<T> {
    /// These are all there are.
    All(Vec<T>),
    /// This one is new or different.
    Put(T),
    /// This one is gone.
    Gone(T),
}

/// What is told.
enum News {
    Service(Change<ServiceView>),
    Deployment(SlotName, Change<DeploymentView>),
    /// With the number of the feed that tells it, since a slot's feed is made anew when its selector changes.
    Pods(SlotName, u64, Change<PodRecord>),
    Warnings(Change<Warning>),
    Heartbeat(PortResult<Heartbeat>),
    Fault(Feed, String),
    /// Events may not be read here; all else can go on.
    NoWarnings(String),
}

/// The decisive objects, freshly read.
pub(super) struct Heartbeat {
    pub(super) service: Option<ServiceView>,
    pub(super) deployments: Vec<(SlotName, Option<DeploymentView>)>,
}

pub(super) fn watch(cluster: Arc<KubeCluster>) -> mpsc::Receiver<Workload> {
    // One picture waits at most: a slow receiver gets the newest one, not all of them.
    let (out, receiver) = mpsc::channel(1);
    tokio::spawn(async move { Watch::new(cluster).run(out).await });
    receiver
}

struct PodFeed {
    selector: String,
    number: u64,
    task: AbortHandle,
}

struct Watch {
    cluster: Arc<KubeCluster>,
    picture: Picture,
    feeds: JoinSet<()>,
    pod_feeds: BTreeMap<SlotName, PodFeed>,
    started_pod_feeds: u64,
    told: BTreeSet<Feed>,
    faults: BTreeMap<Feed, (String, Instant)>,
    as_of: Timestamp,
    news: mpsc::Sender<News>,
    arriving: mpsc::Receiver<News>,
}

impl Watch {
    fn new(cluster: Arc<KubeCluster>) -> Self {
        let (news, arriving) = mpsc::channel(256);
        Self {
            as_of: cluster.clock.now(),
            cluster,
            picture: Picture::default(),
            feeds: JoinSet::new(),
            pod_feeds: BTreeMap::new(),
            started_pod_feeds: 0,
            told: BTreeSet::new(),
            faults: BTreeMap::new(),
            news,
            arriving,
        }
    }

    async fn run(mut self, out: mpsc::Sender<Workload>) {
        self.start();
        let pause = self.cluster.gateway.timing.picture;
        let mut dirty = false;
        let mut due = Instant::now();
        loop {
            let is_due = Instant::now() >= due;
            tokio::select! {
                news = self.arriving.recv() => {
                    let Some(news) = news else { return };
                    dirty |= self.take(news);
                }
                permit = out.reserve(), if dirty && is_due => {
                    let Ok(permit) = permit else { return };
                    permit.send(self.picture.workload(&self.cluster.target, self.connection(), self.as_of));
                    dirty = false;
                    due = Instant::now() + pause;
                }
                () = sleep_until(due), if dirty && !is_due => {}
                () = out.closed() => return,
            }
        }
    }

    fn start(&mut self) {
        let cluster = &self.cluster;
        let service = cluster.target.service.clone();
        self.feeds.spawn(feed(
            Arc::clone(cluster),
            (Feed::Service, &SERVICES),
            config(cluster).fields(&format!("metadata.name={service}")),
            |service: Service| Some(ServiceView::of(&service)),
            self.news.clone(),
            News::Service,
        ));
        for (slot, described) in cluster.target.slots.clone() {
            let name = slot.clone();
            self.feeds.spawn(feed(
                Arc::clone(&self.cluster),
                (Feed::Deployment(slot), &DEPLOYMENTS),
                config(&self.cluster).fields(&format!("metadata.name={}", described.deployment)),
                |deployment: Deployment| Some(DeploymentView::of(deployment)),
                self.news.clone(),
                move |change| News::Deployment(name.clone(), change),
            ));
        }
        let target = self.cluster.target.clone();
        self.feeds.spawn(feed(
            Arc::clone(&self.cluster),
            (Feed::Warnings, &EVENTS),
            config(&self.cluster).fields("type=Warning"),
            move |event: ApiEvent| warning(&target, &event),
            self.news.clone(),
            News::Warnings,
        ));
        self.feeds.spawn(heartbeat(Arc::clone(&self.cluster), self.news.clone()));
    }

    /// Folds what was told into the picture. Says whether anything may look different now.
    fn take(&mut self, news: News) -> bool {
        let heard = match &news {
            News::Service(_) => Some(Feed::Service),
            News::Deployment(slot, _) => Some(Feed::Deployment(slot.clone())),
            News::Pods(slot, ..) => Some(Feed::Pods(slot.clone())),
            News::Warnings(_) => Some(Feed::Warnings),
            News::Heartbeat(_) | News::Fault(..) | News::NoWarnings(_) => None,
        };
        if let Some(feed) = heard {
            self.as_of = self.cluster.clock.now();
            self.faults.remove(&feed);
            self.told.insert(feed);
        }
        match news {
            News::Service(change) => self.take_service(change),
            News::Deployment(slot, change) => self.take_deployment(&slot, change),
            News::Pods(slot, number, change) => {
                if self.pod_feeds.get(&slot).is_none_or(|feed| feed.number != number) {
                    return false;
                }
                let pods = self.picture.pods.entry(slot).or_default();
                match change {
                    Change::All(all) => {
                        *pods = all.into_iter().map(|record| (record.pod.name.clone(), record)).collect();
                    }
                    Change::Put(record) => drop(pods.insert(record.pod.name.clone(), record)),
                    Change::Gone(record) => drop(pods.remove(&record.pod.name)),
                }
            }
            News::Warnings(Change::All(all)) => self.picture.set_warnings(all),
            News::Warnings(Change::Put(warning)) => self.picture.put_warning(warning),
            // Events are removed an hour after they happened; what was shown stays until newer ones push it out.
            News::Warnings(Change::Gone(_)) => return false,
            News::NoWarnings(why) => {
                self.told.insert(Feed::Warnings);
                self.picture.put_warning(no_warnings(&why, self.cluster.clock.now()));
            }
            News::Fault(feed, why) => drop(self.faults.insert(feed, (why, Instant::now()))),
            News::Heartbeat(Err(fault)) => {
                self.faults.insert(Feed::Heartbeat, (fault.message, Instant::now()));
            }
            News::Heartbeat(Ok(read)) => self.take_heartbeat(read),
        }
        true
    }

    fn take_service(&mut self, change: Change<ServiceView>) {
        match change {
            Change::Put(view) => self.put_service(view),
            Change::Gone(view) => {
                self.picture.service.gone(Some(&view.version));
                self.cluster.note_service(None);
            }
            Change::All(all) => self.set_service(all.into_iter().next()),
        }
    }

    fn set_service(&mut self, view: Option<ServiceView>) {
        if let Some(view) = view {
            self.put_service(view);
        } else {
            self.picture.service.gone(None);
            self.cluster.note_service(None);
        }
    }

    fn put_service(&mut self, view: ServiceView) {
        self.cluster.note_service(Some(&view));
        let version = view.version.clone();
        self.picture.service.put(view, &version);
    }

    fn take_deployment(&mut self, slot: &SlotName, change: Change<DeploymentView>) {
        let known = self.picture.deployments.entry(slot.clone()).or_default();
        let put = match change {
            Change::Put(view) => Some(view),
            Change::Gone(view) => {
                known.gone(Some(view.version()));
                None
            }
            Change::All(all) => {
                let first = all.into_iter().next();
                if first.is_none() {
                    known.gone(None);
                }
                first
            }
        };
        if let Some(view) = put {
            let version = view.version().to_owned();
            known.put(view, &version);
        }
        self.follow_pods(slot);
    }

    /// Watches the pods that the slot's Deployment selects now.
    fn follow_pods(&mut self, slot: &SlotName) {
        let wanted =
            self.picture.deployments.get(slot).and_then(|newest| newest.get()).map(DeploymentView::pods);
        let running = self.pod_feeds.get(slot).map(|feed| feed.selector.clone());
        if wanted == running {
            return;
        }
        if let Some(old) = self.pod_feeds.remove(slot) {
            old.task.abort();
        }
        self.picture.pods.remove(slot);
        self.told.remove(&Feed::Pods(slot.clone()));
        self.faults.remove(&Feed::Pods(slot.clone()));
        // An empty selector would select every pod of the namespace.
        let Some(selector) = wanted.filter(|selector| !selector.is_empty()) else { return };
        self.started_pod_feeds += 1;
        let number = self.started_pod_feeds;
        let container = self.cluster.target.container.clone();
        let name = slot.clone();
        let task = self.feeds.spawn(feed(
            Arc::clone(&self.cluster),
            (Feed::Pods(slot.clone()), &PODS),
            config(&self.cluster).labels(&selector),
            move |pod: ApiPod| Some(record(&pod, &container)),
            self.news.clone(),
            move |change| News::Pods(name.clone(), number, change),
        ));
        self.pod_feeds.insert(slot.clone(), PodFeed { selector, number, task });
    }

    fn take_heartbeat(&mut self, read: Heartbeat) {
        self.as_of = self.cluster.clock.now();
        self.faults.remove(&Feed::Heartbeat);
        // A watch that resumed in silence tells nothing until something changes. While it fails it says so at least once
        // within the longest pause, so an older fault is over where the server answers.
        let settled = self.cluster.gateway.timing.backoff + Duration::from_secs(1);
        self.faults.retain(|_, (_, since)| since.elapsed() < settled);
        self.set_service(read.service);
        for (slot, view) in read.deployments {
            self.take_deployment(&slot, Change::All(view.into_iter().collect()));
        }
    }

    fn connection(&self) -> Connection {
        if let Some((why, _)) = self.faults.values().next() {
            return Connection::Lost(why.clone());
        }
        let slots = self.cluster.target.slots.keys();
        let mut all = slots.flat_map(|slot| {
            let pods = self.pod_feeds.contains_key(slot).then(|| Feed::Pods(slot.clone()));
            [Some(Feed::Deployment(slot.clone())), pods].into_iter().flatten()
        });
        let fixed = [Feed::Service, Feed::Warnings];
        if fixed.iter().all(|feed| self.told.contains(feed)) && all.all(|feed| self.told.contains(&feed)) {
            Connection::Connected
        } else {
            Connection::Connecting
        }
    }
}

fn config(cluster: &KubeCluster) -> watcher::Config {
    let seconds = u32::try_from(cluster.gateway.timing.watch.as_secs()).unwrap_or(u32::MAX).max(1);
    watcher::Config::default().timeout(seconds)
}

async fn heartbeat(cluster: Arc<KubeCluster>, news: mpsc::Sender<News>) {
    loop {
        // In a rehearsal that runs fast the clock's seconds are short; the server need not feel that.
        tokio::join!(
            cluster.clock.sleep(cluster.gateway.timing.heartbeat),
            sleep(Duration::from_millis(250))
        );
        if news.send(News::Heartbeat(cluster.read_decisive().await)).await.is_err() {
            return;
        }
    }
}

/// One watch, begun again for ever. `keep` takes from an object what matters, or nothing where it is not ours.
async fn feed<K, T>(
    cluster: Arc<KubeCluster>,
    (name, resource): (Feed, &'static Resource),
    config: watcher::Config,
    keep: impl Fn(K) -> Option<T> + Send,
    news: mpsc::Sender<News>,
    tell: impl Fn(Change<T>) -> News + Send,
) where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
    T: Send,
{
    let mut pause = Pause { longest: cluster.gateway.timing.backoff, failures: 0 };
    loop {
        let session = cluster.gateway.session();
        let api: Api<K> = Api::namespaced(session.client.clone(), &cluster.target.namespace);
        let mut stream = pin!(watcher(api, config.clone()).backoff(pause.clone()));
        let mut listed = None;
        while let Some(event) = stream.next().await {
            pause.failures = 0;
            let change = match event {
                Ok(Event::Init) => {
                    listed = Some(Vec::new());
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    listed.get_or_insert_default().extend(keep(object));
                    continue;
                }
                Ok(Event::InitDone) => Some(Change::All(listed.take().unwrap_or_default())),
                Ok(Event::Apply(object)) => keep(object).map(Change::Put),
                Ok(Event::Delete(object)) => keep(object).map(Change::Gone),
                Err(fault) => {
                    listed = None;
                    let Some(failure) = failure_of(&fault) else { continue };
                    let call = Call::list(resource, Some(&cluster.target.namespace)).watching();
                    let told = failure.told(&call, &session).message;
                    match failure.code() {
                        // The watcher lists again by itself only where 410 comes as an event.
                        Some(410) => break,
                        Some(401) => {
                            let _ = news.send(News::Fault(name.clone(), told)).await;
                            cluster.gateway.renew(session.generation).await;
                            break;
                        }
                        Some(403) if name == Feed::Warnings => drop(news.send(News::NoWarnings(told)).await),
                        _ => drop(news.send(News::Fault(name.clone(), told)).await),
                    }
                    continue;
                }
            };
            if let Some(change) = change
                && news.send(tell(change)).await.is_err()
            {
                return;
            }
        }
        pause.failures = pause.failures.saturating_add(1);
        sleep(pause.length()).await;
    }
}

/// What is worth telling of a watcher's fault. A broken stream is not: it is resumed, and where that fails, that is told.
fn failure_of(fault: &watcher::Error) -> Option<Failure> {
    match fault {
        watcher::Error::InitialListFailed(inner) | watcher::Error::WatchStartFailed(inner) => {
            Some(match inner {
                kube::Error::Api(status) => Failure::Answer {
                    code: status.code,
                    reason: status.reason.clone(),
                    message: crate::domain::safe_text::SafeText::new(&status.message).into(),
                    retry_after: None,
                },
                other => Failure::client(other),
            })
        }
        watcher::Error::WatchFailed(_) | watcher::Error::WatchError(_) => None,
        watcher::Error::NoResourceVersion => {
            Some(Failure::Unreadable("the list has no resourceVersion".to_owned()))
        }
    }
}

/// The pause before a failed watch begins again: random, longer each time up to the longest.
#[derive(Debug, Clone)]
struct Pause {
    longest: Duration,
    failures: u32,
}

impl Pause {
    fn length(&self) -> Duration {
        let bound = Duration::from_millis(100) * 2_u32.saturating_pow(self.failures).min(1024);
        random_below(bound.min(self.longest)) + self.longest.min(Duration::from_millis(50))
    }
}

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        Some(self.length())
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {
        self.failures = 0;
    }
}
