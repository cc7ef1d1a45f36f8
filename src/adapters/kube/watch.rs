//! Watching: one feed for each kind of object, one place that combines them into pictures, and a heartbeat.
//!
//! ```text
//! feed service, route ┐
//! feed deployment ×n ─┤                               at most four a second,
//! feed pods ×n ───────┼─> fold into Picture ── dirty ──> one waiting at most ──> receiver
//! feed warnings ──────┤
//! heartbeat ──────────┘
//! ```
//!
//! What a feed tells says nothing about the objects that it does not tell of, and it may be late. So a picture is as old as
//! the last heartbeat: a read of Service (or route) and Deployments that confirms it while nothing changes, keeps connections warm for
//! the switch, and notices within its interval that the server is gone.
//!
//! Everything ends when the receiver is dropped.

mod feed;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event as ApiEvent, Service},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    domain::{
        time::Timestamp,
        workload::{Connection, Workload},
    },
    engine::ports::PortResult,
};

use super::{
    KubeCluster,
    call::{DEPLOYMENTS, EVENTS, HTTP_ROUTES, PODS, SERVICES},
    director::{HttpRoute, RouteView},
    lean::LeanPod,
    locked,
    picture::{Picture, Warning, no_warnings, warning},
    pod::{LabelSets, PodRecord},
    view::{DeploymentView, ServiceView},
};
use feed::{Selection, feed};

/// Who tells something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Feed {
    Service,
    Route,
    /// Of this name.
    Deployment(String),
    /// Of the Deployment of this name.
    Pods(String),
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
    Route(Change<RouteView>),
    Deployment(String, Change<DeploymentView>),
    /// With the number of the feed that tells it, since a Deployment's feed is recreated when its selector changes.
    Pods(String, u64, Change<PodRecord>),
    Warnings(Change<Warning>),
    /// With the moment at which the read began.
    Heartbeat(Timestamp, PortResult<Heartbeat>),
    Fault(Feed, String),
    /// A watch is open that could not be had before.
    Open(Feed),
    /// Events may not be read here; all else can go on.
    NoWarnings(String),
}

/// The decisive objects, freshly read.
pub(super) struct Heartbeat {
    /// The Service; nothing where a route directs traffic.
    pub(super) service: Option<ServiceView>,
    pub(super) route: Option<RouteView>,
    pub(super) deployments: Vec<(String, Option<DeploymentView>)>,
}

/// Starts all feeds. They end when the receiver is dropped.
pub(super) fn watch(cluster: Arc<KubeCluster>) -> mpsc::Receiver<Workload> {
    // One picture waits at most: a slow receiver gets the newest one, not all of them.
    let (out, receiver) = mpsc::channel(1);
    tokio::spawn(async move { Watch::new(cluster).run(out).await });
    receiver
}

/// The feed of one Deployment's pods. It is begun anew when the selector changes; its number tells news of the old
/// one, which may still be on the way.
struct PodFeed {
    selector: String,
    number: u64,
    task: AbortHandle,
}

/// What all feeds have told, put together as one picture.
struct Watch {
    cluster: Arc<KubeCluster>,
    picture: Picture,
    feeds: JoinSet<()>,
    pod_feeds: BTreeMap<String, PodFeed>,
    started_pod_feeds: u64,
    told: BTreeSet<Feed>,
    faults: BTreeMap<Feed, String>,
    /// The labels of all pods.
    labels: Arc<LabelSets>,
    /// When all that decides was last read: the beginning of that read.
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
            labels: Arc::default(),
            news,
            arriving,
        }
    }

    /// Folds news in as they come, and hands pictures out as often as the receiver takes them, but no more than every
    /// `timing.picture`.
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
                    permit.send(self.workload());
                    dirty = false;
                    due = Instant::now() + pause;
                }
                () = sleep_until(due), if dirty && !is_due => {}
                () = out.closed() => return,
            }
        }
    }

    /// Starts the feeds that are known from the beginning. Those of pods follow once a Deployment has told its
    /// selector.
    fn start(&mut self) {
        self.follow_director();
        for name in self.cluster.deployments() {
            self.feeds.spawn(feed(
                Arc::clone(&self.cluster),
                (Feed::Deployment(name.clone()), &DEPLOYMENTS),
                Selection::Fields(format!("metadata.name={name}")),
                |deployment: Deployment| Some(DeploymentView::of(deployment)),
                self.news.clone(),
                move |change| News::Deployment(name.clone(), change),
            ));
        }
        let target = self.cluster.target.clone();
        self.feeds.spawn(feed(
            Arc::clone(&self.cluster),
            (Feed::Warnings, &EVENTS),
            Selection::Fields("type=Warning".to_owned()),
            move |event: ApiEvent| warning(&target, &event),
            self.news.clone(),
            News::Warnings,
        ));
        self.feeds.spawn(heartbeat(Arc::clone(&self.cluster), self.news.clone()));
    }

    /// Watches what directs traffic.
    fn follow_director(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        let Some(route) = cluster.route_name().map(str::to_owned) else {
            let selection = Selection::Fields(format!("metadata.name={}", cluster.target.service));
            self.feeds.spawn(feed(
                cluster,
                (Feed::Service, &SERVICES),
                selection,
                |service: Service| Some(ServiceView::of(&service)),
                self.news.clone(),
                News::Service,
            ));
            return;
        };
        let target = cluster.target.clone();
        self.feeds.spawn(feed(
            cluster,
            (Feed::Route, &HTTP_ROUTES),
            Selection::Fields(format!("metadata.name={route}")),
            move |route: HttpRoute| Some(RouteView::of(&route, &target)),
            self.news.clone(),
            News::Route,
        ));
    }

    /// The picture as it is now.
    fn workload(&self) -> Workload {
        let revisions = locked(&self.cluster.revisions).clone();
        self.picture.workload(&self.cluster.target, &revisions, self.connection(), self.as_of)
    }

    /// Folds what was told into the picture. Says whether anything may look different now.
    fn take(&mut self, news: News) -> bool {
        let heard = match &news {
            News::Service(_) => Some(Feed::Service),
            News::Route(_) => Some(Feed::Route),
            News::Deployment(name, _) => Some(Feed::Deployment(name.clone())),
            News::Pods(name, ..) => Some(Feed::Pods(name.clone())),
            News::Warnings(_) => Some(Feed::Warnings),
            News::Heartbeat(..) | News::Fault(..) | News::Open(_) | News::NoWarnings(_) => None,
        };
        if let Some(feed) = heard {
            self.faults.remove(&feed);
            self.told.insert(feed);
        }
        match news {
            News::Service(change) => self.take_service(change),
            News::Route(change) => self.take_route(change),
            News::Deployment(name, change) => self.take_deployment(&name, change),
            News::Pods(name, number, change) => {
                if self.pod_feeds.get(&name).is_none_or(|feed| feed.number != number) {
                    return false;
                }
                let pods = self.picture.pods.entry(name).or_default();
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
            News::Fault(feed, why) => drop(self.faults.insert(feed, why)),
            News::Open(feed) => return self.faults.remove(&feed).is_some(),
            News::Heartbeat(_, Err(fault)) => {
                self.faults.insert(Feed::Heartbeat, fault.message);
            }
            News::Heartbeat(at, Ok(read)) => self.take_heartbeat(at, read),
        }
        true
    }

    /// The Service, or its absence. The adapter notes it too: the switch starts from the newest one it knows.
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

    /// After a fresh list, in which a Service that is missing is gone.
    fn set_service(&mut self, view: Option<ServiceView>) {
        if let Some(view) = view {
            self.put_service(view);
        } else {
            self.picture.service.gone(None);
            self.cluster.note_service(None);
        }
    }

    /// A version that is older than what is known changes nothing.
    fn put_service(&mut self, view: ServiceView) {
        self.cluster.note_service(Some(&view));
        let version = view.version.clone();
        self.picture.service.put(view, &version);
    }

    /// The same for a route.
    fn take_route(&mut self, change: Change<RouteView>) {
        match change {
            Change::Put(view) => self.set_route(Some(view)),
            Change::Gone(view) => self.picture.route.gone(Some(&view.version)),
            Change::All(all) => self.set_route(all.into_iter().next()),
        }
    }

    /// A route that is gone has no version: whatever comes later is newer.
    fn set_route(&mut self, view: Option<RouteView>) {
        match view {
            Some(view) => {
                let version = view.version.clone();
                self.picture.route.put(view, &version);
            }
            None => self.picture.route.gone(None),
        }
    }

    /// Feeds and heartbeat may tell of the same object in any order: the newer version wins, and not the later message.
    fn take_deployment(&mut self, name: &str, change: Change<DeploymentView>) {
        let known = self.picture.deployments.entry(name.to_owned()).or_default();
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
        self.follow_pods(name);
    }

    /// Watches the pods that a Deployment selects now.
    fn follow_pods(&mut self, deployment: &str) {
        let wanted = self
            .picture
            .deployments
            .get(deployment)
            .and_then(|newest| newest.get())
            .map(DeploymentView::pods);
        let running = self.pod_feeds.get(deployment).map(|feed| feed.selector.clone());
        if wanted == running {
            return;
        }
        if let Some(old) = self.pod_feeds.remove(deployment) {
            old.task.abort();
        }
        let this = Feed::Pods(deployment.to_owned());
        self.picture.pods.remove(deployment);
        self.told.remove(&this);
        self.faults.remove(&this);
        // An empty selector would select every pod of the namespace.
        let Some(selector) = wanted.filter(|selector| !selector.is_empty()) else { return };
        self.started_pod_feeds += 1;
        let number = self.started_pod_feeds;
        let (cluster, labels) = (Arc::clone(&self.cluster), Arc::clone(&self.labels));
        let name = deployment.to_owned();
        let task = self.feeds.spawn(feed(
            Arc::clone(&self.cluster),
            (this, &PODS),
            Selection::Labels(selector.clone()),
            move |pod: LeanPod| Some(cluster.labelled(&pod, &labels)),
            self.news.clone(),
            move |change| News::Pods(name.clone(), number, change),
        ));
        self.pod_feeds.insert(deployment.to_owned(), PodFeed { selector, number, task });
    }

    /// What is read all few seconds stands for the feeds where they are silent: a watch that died without an end would show
    /// the past for ever.
    fn take_heartbeat(&mut self, at: Timestamp, read: Heartbeat) {
        self.as_of = at;
        self.faults.remove(&Feed::Heartbeat);
        if self.cluster.route_name().is_some() {
            self.set_route(read.route);
        } else {
            self.set_service(read.service);
        }
        for (name, view) in read.deployments {
            self.take_deployment(&name, Change::All(view.into_iter().collect()));
        }
    }

    /// "Connected" only once every feed has told something: a screen that is half filled must not look whole.
    fn connection(&self) -> Connection {
        if let Some(why) = self.faults.values().next() {
            return Connection::Lost(why.clone());
        }
        let mut all = self.cluster.deployments().into_iter().flat_map(|name| {
            let pods = self.pod_feeds.contains_key(&name).then(|| Feed::Pods(name.clone()));
            [Some(Feed::Deployment(name)), pods].into_iter().flatten()
        });
        let director = if self.cluster.route_name().is_some() { Feed::Route } else { Feed::Service };
        let fixed = [director, Feed::Warnings];
        if fixed.iter().all(|feed| self.told.contains(feed)) && all.all(|feed| self.told.contains(&feed)) {
            Connection::Connected
        } else {
            Connection::Connecting
        }
    }
}

async fn heartbeat(cluster: Arc<KubeCluster>, news: mpsc::Sender<News>) {
    loop {
        // In a rehearsal that runs fast the clock's seconds are short; the server need not feel that.
        tokio::join!(
            cluster.clock.sleep(cluster.gateway.timing.heartbeat),
            sleep(Duration::from_millis(250))
        );
        let at = cluster.clock.now();
        if news.send(News::Heartbeat(at, cluster.read_decisive().await)).await.is_err() {
            return;
        }
    }
}
