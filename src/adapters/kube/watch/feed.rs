//! One feed: a list, then a watch from where the list ended, repeated forever.
//!
//! ```text
//!          all of them              changes, bookmarks
//! list ──────────────────> watch ──────────────────────> its end: watch again from the last version
//!   ^                        │
//!   └────────────────────────┘ 410, as an answer or as an event; twice in a row nothing but a fault
//! ```
//!
//! kube's own watcher would do most of this. What it leaves open decides here: it begins the next watch without a pause where
//! one ends at once (hundreds of requests a second behind a proxy that cuts long answers), forgets the pause that it has come
//! to with each list that it begins, and asks for ever with a version of which the server's answer was 410.

use std::{fmt::Debug, pin::pin, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, WatchParams},
    core::{Status, WatchEvent},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    super::{
        KubeCluster,
        call::{Call, Resource},
        credentials::Session,
        fault::Failure,
        gateway::{PAGE, random_below},
    },
    Change, Feed, News,
};
use crate::domain::safe_text::SafeText;

/// Which objects a feed is about.
#[derive(Debug, Clone)]
pub(super) enum Selection {
    /// By a field selector.
    Fields(String),
    /// By a label selector.
    Labels(String),
}

/// Why a list or a watch came to its end.
enum End {
    /// A watch's time was up, or its line broke; it goes on from the last version. With whether it was of any use: it has told
    /// something, or was silent for as long as it was asked to.
    Stream(bool),
    /// The version is too old, or there is none: everything is listed again.
    Expired,
    /// An error, which is told.
    Failed(Failure),
    /// Nobody listens any more.
    Unheard,
}

/// One watch, begun again for ever. `keep` takes from an object what matters, or nothing where it is not ours.
pub(super) async fn feed<K, T>(
    cluster: Arc<KubeCluster>,
    (name, resource): (Feed, &'static Resource),
    selection: Selection,
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
    let mut pace = Pace::new(cluster.gateway.timing.backoff);
    // From where a watch goes on; nothing where all has to be listed first.
    let mut version: Option<String> = None;
    let mut whole = false;
    let mut useless = 0;
    let mut lost = false;
    loop {
        pace.begin();
        let session = cluster.gateway.session();
        let api: Api<K> = Api::namespaced(session.client.clone(), &cluster.target.namespace);
        let (keep, tell) = (&keep, &tell);
        let tried =
            Try { cluster: &cluster, selection: &selection, name: &name, lost, keep, news: &news, tell };
        let end = match &mut version {
            Some(version) => tried.watch(&api, version).await,
            None => match tried.list(&api, whole).await {
                Ok(listed) => {
                    (version, whole, useless) = (Some(listed), false, 0);
                    continue;
                }
                Err(end) => {
                    // A list may take so long that its own pages are too old for each other.
                    whole |= matches!(end, End::Expired);
                    end
                }
            },
        };
        lost = matches!(end, End::Failed(_));
        match end {
            End::Unheard => return,
            End::Stream(true) => useless = 0,
            End::Stream(false) => {
                useless += 1;
                if useless > 1 {
                    version = None;
                }
            }
            End::Expired => version = None,
            End::Failed(failure) => {
                if told(&cluster, &session, (&name, resource), &failure, &news).await.is_err() {
                    return;
                }
            }
        }
        pace.pause().await;
    }
}

/// Says what is wrong, and asks for other credentials where these are refused.
async fn told(
    cluster: &KubeCluster,
    session: &Session,
    (name, resource): (&Feed, &'static Resource),
    failure: &Failure,
    news: &mpsc::Sender<News>,
) -> Result<(), mpsc::error::SendError<News>> {
    let call = Call::list(resource, Some(&cluster.target.namespace)).watching();
    let words = failure.told(&call, session).message;
    match failure.code() {
        Some(401) => {
            news.send(News::Fault(name.clone(), words)).await?;
            cluster.gateway.renew(session.generation).await;
            Ok(())
        }
        Some(403) if *name == Feed::Warnings => news.send(News::NoWarnings(words)).await,
        _ => news.send(News::Fault(name.clone(), words)).await,
    }
}

/// One try at a list or a watch.
struct Try<'a, F, G> {
    cluster: &'a KubeCluster,
    selection: &'a Selection,
    name: &'a Feed,
    /// The try before has failed, and that was told.
    lost: bool,
    keep: &'a F,
    news: &'a mpsc::Sender<News>,
    tell: &'a G,
}

impl<F, G> Try<'_, F, G> {
    /// Lists everything and tells it. Gives the version as of which that is so.
    async fn list<K, T>(&self, api: &Api<K>, whole: bool) -> Result<String, End>
    where
        K: kube::Resource + Clone + DeserializeOwned + Debug,
        F: Fn(K) -> Option<T>,
        G: Fn(Change<T>) -> News,
    {
        let mut asked = match self.selection {
            Selection::Fields(fields) => ListParams::default().fields(fields),
            Selection::Labels(labels) => ListParams::default().labels(labels),
        };
        asked.limit = (!whole).then_some(PAGE);
        let mut all = Vec::new();
        loop {
            let page = api.list(&asked).await.map_err(|fault| end_of(&fault))?;
            all.extend(page.items.into_iter().filter_map(self.keep));
            asked.continue_token = page.metadata.continue_.filter(|more| !more.is_empty());
            if asked.continue_token.is_some() {
                continue;
            }
            let version = page.metadata.resource_version.filter(|version| !version.is_empty());
            let Some(version) = version else {
                return Err(End::Failed(Failure::Unreadable("the list has no resourceVersion".to_owned())));
            };
            self.say(Change::All(all)).await?;
            return Ok(version);
        }
    }

    /// Watches from a version, which goes on with what is told.
    async fn watch<K, T>(&self, api: &Api<K>, version: &mut String) -> End
    where
        K: kube::Resource + Clone + DeserializeOwned + Debug,
        F: Fn(K) -> Option<T>,
        G: Fn(Change<T>) -> News,
    {
        let timing = &self.cluster.gateway.timing;
        let seconds = u32::try_from(timing.watch.as_secs()).unwrap_or(u32::MAX).max(1);
        let asked = WatchParams::default().timeout(seconds);
        let asked = match self.selection {
            Selection::Fields(fields) => asked.fields(fields),
            Selection::Labels(labels) => asked.labels(labels),
        };
        let stream = match api.watch(&asked, version).await {
            Ok(stream) => stream,
            Err(fault) => return end_of(&fault),
        };
        // It may be silent from now on: nothing changes.
        if self.lost && self.news.send(News::Open(self.name.clone())).await.is_err() {
            return End::Unheard;
        }
        let mut stream = pin!(stream);
        let begun = Instant::now();
        let mut useful = false;
        loop {
            // A line that is dead does not end: the server ends each watch sooner than this.
            let Ok(Ok(Some(event))) = timeout(timing.silence, stream.try_next()).await else {
                return End::Stream(useful || begun.elapsed() >= timing.watch.min(timing.silence));
            };
            let (told, at) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let at = object.resource_version();
                    ((self.keep)(object).map(Change::Put), at)
                }
                WatchEvent::Deleted(object) => {
                    let at = object.resource_version();
                    ((self.keep)(object).map(Change::Gone), at)
                }
                WatchEvent::Bookmark(mark) => (None, Some(mark.metadata.resource_version)),
                WatchEvent::Error(status) => return end_by(&status),
            };
            useful = true;
            if let Some(told) = told
                && let Err(end) = self.say(told).await
            {
                return end;
            }
            match at.filter(|at| !at.is_empty()) {
                Some(at) => *version = at,
                None => return End::Expired,
            }
        }
    }

    async fn say<T>(&self, change: Change<T>) -> Result<(), End>
    where
        G: Fn(Change<T>) -> News,
    {
        self.news.send((self.tell)(change)).await.map_err(|_| End::Unheard)
    }
}

fn end_of(fault: &kube::Error) -> End {
    match fault {
        kube::Error::Api(status) => end_by(status),
        other => End::Failed(Failure::client(other)),
    }
}

fn end_by(status: &Status) -> End {
    if status.code == 410 {
        return End::Expired;
    }
    End::Failed(Failure::Answer {
        code: status.code,
        reason: status.reason.clone(),
        message: SafeText::new(&status.message).into(),
        retry_after: None,
    })
}

/// The pause before the next try: random, and longer each time up to the longest, until one has lasted for longer than that.
#[derive(Debug)]
struct Pace {
    longest: Duration,
    failures: u32,
    began: Instant,
}

impl Pace {
    fn new(longest: Duration) -> Self {
        Self { longest, failures: 0, began: Instant::now() }
    }

    /// A list or a watch begins.
    fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// It came to its end.
    async fn pause(&mut self) {
        if self.began.elapsed() > self.longest {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        sleep(self.length()).await;
    }

    fn length(&self) -> Duration {
        let bound = Duration::from_millis(100) * 2_u32.saturating_pow(self.failures).min(1024);
        random_below(bound.min(self.longest)) + self.longest.min(Duration::from_millis(50))
    }
}
