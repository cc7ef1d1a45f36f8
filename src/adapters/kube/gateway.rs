//! The only way to the API server: every read and write of this adapter goes through here.
//!
//! ```text
//! read   try -> (transient? full jitter) -> try -> (…) -> try       all within one deadline
//! write  fence, lock -> once -> done | certainly not done | unknown  never again from here
//! ```
//!
//! A read's first tries get less than half of the deadline each: where a pooled connection has died in silence, giving it up
//! opens a new one while there is time left. An expired login is renewed from the kubeconfig, which people refresh by
//! logging in again elsewhere; a write refused for it is not sent again, for whoever asked decides that.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{body::Bytes, header::RETRY_AFTER};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use crate::{
    domain::belief::FIELD_MANAGER,
    engine::ports::{Fault, PortError, PortResult},
};

use super::{
    call::Call,
    cause::cause,
    credentials::{Session, Source, open},
    fault::Failure,
    permit::{Allowed, Permit},
    timing::Timing,
};

/// Tries of a read, the first included.
const TRIES: u32 = 3;

/// The largest answer taken into memory. An object may have 1.5 MiB in etcd; a page of 100 fat pods has about 2 MiB.
const MAX_ANSWER: usize = 32 << 20;

/// Objects on one page of a list. Both slots' pages are in memory at the same time, kube's own as text three times over, and what
/// that takes is rarely given back whole. A page of 500, as kubectl has them, was 8 MB of fat pods.
pub(super) const PAGE: u32 = 100;

/// Asked right before each write; an error keeps the write from being sent. The target's lock is asked besides.
pub type Fence = Arc<dyn Fn() -> PortResult<()> + Send + Sync>;

/// The door.
pub(super) struct Gateway {
    source: Source,
    session: RwLock<Session>,
    renewal: Mutex<Option<Instant>>,
    fence: Option<Fence>,
    /// The target's lock, once it is held. Set once more where it is acquired again.
    lock: RwLock<Option<Arc<Permit>>>,
    /// How long things may take.
    pub(super) timing: Timing,
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct Page<T> {
    /// Where the list goes on, if it does.
    #[serde(default)]
    pub(super) metadata: ListMeta,
    /// A list of metadata that is empty has `null` here.
    #[serde(default = "Option::default")]
    pub(super) items: Option<Vec<T>>,
}

/// An answer as it came, whatever its code.
struct Answer {
    code: u16,
    retry_after: Option<Duration>,
    body: Result<Bytes, String>,
}

impl Gateway {
    /// Opens the door to the cluster of a context.
    pub(super) async fn open(
        source: Source,
        context: Option<&str>,
        fence: Option<Fence>,
        timing: Timing,
    ) -> PortResult<Self> {
        let session = open(&source, context, &timing).await?;
        let (session, renewal) = (RwLock::new(session), Mutex::new(None));
        Ok(Self { source, session, renewal, fence, lock: RwLock::new(None), timing })
    }

    /// From now on each write asks this lock.
    pub(super) fn bind(&self, lock: Arc<Permit>) {
        *self.lock.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(lock);
    }

    /// What the lock allows now: nothing where there is no lock to ask.
    ///
    /// # Errors
    /// Where the lock is lost, or it is not certain that it is still held.
    pub(super) fn allowed(&self) -> PortResult<Option<Allowed>> {
        let lock = self.lock.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        lock.map(|lock| {
            // A lock that is only late to be renewed may be certain again in a moment; one that is gone stays gone.
            let kind = if lock.has_ended() { Fault::Denied } else { Fault::Unavailable };
            lock.check().map_err(|why| PortError::new(kind, why))
        })
        .transpose()
    }

    /// The session in use.
    pub(super) fn session(&self) -> Session {
        self.session.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Takes fresh credentials from the kubeconfig, where those of `stale` are still in use; at most every three seconds.
    ///
    /// The context is the one the first session had, whatever the current one is now, and another server under its name
    /// is refused: a run stays with its cluster.
    pub(super) async fn renew(&self, stale: u64) {
        let mut last = self.renewal.lock().await;
        if self.session().generation != stale || last.is_some_and(|at| at.elapsed() < Duration::from_secs(3))
        {
            return;
        }
        *last = Some(Instant::now());
        let old = self.session();
        match open(&self.source, Some(&old.context), &self.timing).await {
            Ok(fresh) if fresh.server == old.server => {
                let fresh = Session { generation: stale + 1, ..fresh };
                *self.session.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
            }
            Ok(fresh) => {
                tracing::warn!(
                    was = old.server,
                    is = fresh.server,
                    "the kubeconfig's context now has another server; keeping the old session"
                );
            }
            Err(fault) => tracing::warn!(%fault, "credentials could not be renewed"),
        }
    }

    /// Whether there was a lock, and it is lost or given back for good.
    pub(super) fn lock_has_ended(&self) -> bool {
        let lock = self.lock.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        lock.as_ref().is_some_and(|lock| lock.has_ended())
    }

    /// Reads an object.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: &Call) -> PortResult<T> {
        let body = self.read_bytes(call).await?;
        serde_json::from_slice(&body)
            .map_err(|fault| Failure::Unreadable(cause(&fault)).told(call, &self.session()))
    }

    /// Reads an object, and knows "there is none" from a fault.
    pub(super) async fn find<T: DeserializeOwned>(&self, call: &Call) -> PortResult<Option<T>> {
        match self.read(call).await {
            Ok(object) => Ok(Some(object)),
            Err(PortError { kind: Fault::NotFound, .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Reads a list page by page and hands every object to `each`, so that no more than a page is in memory.
    pub(super) async fn each<T: DeserializeOwned>(
        &self,
        call: &Call,
        mut each: impl FnMut(T),
    ) -> PortResult<()> {
        let limit = PAGE.to_string();
        let mut call_page = call.clone().with("limit", limit.clone());
        loop {
            let page: Page<T> = self.read(&call_page).await?;
            page.items.into_iter().flatten().for_each(&mut each);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => call_page = call.clone().with("limit", limit.clone()).with("continue", token),
                None => return Ok(()),
            }
        }
    }

    /// Reads the body of an answer, three tries within the deadline.
    pub(super) async fn read_bytes(&self, call: &Call) -> PortResult<Bytes> {
        self.try_read(call).await.map_err(|(session, failure)| failure.told(call, &session))
    }

    /// The same for who tells failures apart, with the session that met it.
    pub(super) async fn try_read(&self, call: &Call) -> Result<Bytes, (Session, Failure)> {
        let end = Instant::now() + self.timing.read;
        let mut tries = 0;
        loop {
            tries += 1;
            let left = end.saturating_duration_since(Instant::now());
            let slice = if tries < TRIES { left.min(self.timing.read * 2 / 5) } else { left };
            let session = self.session();
            let failure = match timeout(slice, exchange(&session, call)).await {
                Ok(Ok(Answer { code: 200..300, body: Ok(body), .. })) => return Ok(body),
                Ok(Ok(Answer { code: 200..300, body: Err(why), .. })) => Failure::Lost(why),
                Ok(Ok(answer)) => Failure::answer(
                    answer.code,
                    answer.body.as_deref().unwrap_or_default(),
                    answer.retry_after,
                ),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Lost(format!("silent for {:.1} s", slice.as_secs_f32())),
            };
            let left = end.saturating_duration_since(Instant::now());
            if failure.code() == Some(401) && tries < TRIES {
                let _ = timeout(left, self.renew(session.generation)).await;
                if self.session().generation != session.generation {
                    continue;
                }
                return Err((session, failure));
            }
            let pause = failure.retry_after().unwrap_or_else(|| full_jitter(tries));
            if tries >= TRIES || !failure.is_transient() || pause >= left {
                return Err((session, failure));
            }
            sleep(pause).await;
        }
    }

    /// Sends a write once, within its deadline, if the fence and the lock allow it. The API server is told the deadline too,
    /// so that a write it has not begun by then is dropped there rather than done late; and the deadline never lies beyond
    /// the moment when somebody else may take the lock over.
    pub(super) async fn write(&self, call: Call) -> Result<Value, (Call, Failure)> {
        if let Some(Err(refusal)) = self.fence.as_ref().map(|fence| fence()) {
            return Err((call, Failure::Fenced(refusal)));
        }
        let limit = match self.allowed() {
            Ok(Some(allowed)) => self.timing.write.min(allowed.left),
            Ok(None) => self.timing.write,
            Err(refusal) => return Err((call, Failure::Fenced(refusal))),
        };
        self.send(call, limit).await
    }

    /// Sends a write once, whatever fence and lock say: for the lock itself.
    pub(super) async fn send(&self, call: Call, limit: Duration) -> Result<Value, (Call, Failure)> {
        let call =
            call.with("fieldManager", FIELD_MANAGER).with("timeout", format!("{}s", limit.as_secs().max(1)));
        let session = self.session();
        let failure = match timeout(limit, exchange(&session, &call)).await {
            Ok(Ok(Answer { code: 200..300, body: Ok(body), .. })) => match object_of(&body) {
                Ok(object) => return Ok(object),
                Err(failure) => failure,
            },
            Ok(Ok(Answer { code: 200..300, body: Err(why), .. })) => Failure::Lost(why),
            Ok(Ok(answer)) => {
                Failure::answer(answer.code, answer.body.as_deref().unwrap_or_default(), answer.retry_after)
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Lost(format!("silent for {:.1} s", limit.as_secs_f32())),
        };
        tracing::warn!(call = call.words(), ?failure, "write failed");
        Err((call, failure))
    }

    /// Looks what became of an unclear write begun at `since`: within what is left of its deadline, or a little beyond
    /// it, so that the whole still comes back within a second of the deadline.
    pub(super) async fn look_after<T>(
        &self,
        since: Instant,
        read: impl Future<Output = PortResult<T>>,
    ) -> PortResult<T> {
        let left = (since + self.timing.write).saturating_duration_since(Instant::now());
        let limit = left.max(self.timing.look);
        let silent = || PortError::failed(format!("no answer within {:.1} s", limit.as_secs_f32()));
        timeout(limit, read).await.unwrap_or_else(|_| Err(silent()))
    }

    /// The sentence for a write's failure.
    pub(super) fn told(&self, call: &Call, failure: &Failure) -> PortError {
        failure.told(call, &self.session())
    }
}

/// The object in the answer to a write; for a deletion, its success. A login page with status 200 is neither, and proves
/// nothing.
fn object_of(body: &[u8]) -> Result<Value, Failure> {
    match serde_json::from_slice::<Value>(body) {
        Ok(object) if object.pointer("/metadata/name").is_some() => Ok(object),
        Ok(status) if status["kind"] == "Status" && status["status"] == "Success" => Ok(status),
        Ok(_) => Err(Failure::Unreadable("it contains no object".to_owned())),
        Err(fault) => Err(Failure::Unreadable(cause(&fault))),
    }
}

/// Once: whether it may be sent again is known by who asked, and not here.
async fn exchange(session: &Session, call: &Call) -> Result<Answer, Failure> {
    let request = call.request().map_err(|fault| Failure::NotSent(cause(&fault)))?;
    let response = session
        .client
        .send(request.map(kube::client::Body::from))
        .await
        .map_err(|fault| Failure::client(&fault))?;
    let code = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .map(Duration::from_secs);
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).map_err(|fault| cause(&*fault));
    Ok(Answer { code, retry_after, body })
}

/// A pause between nothing and 100, 200, … milliseconds: spread out, so that many clients do not come back together.
fn full_jitter(tries: u32) -> Duration {
    random_below(Duration::from_millis(100) * 2_u32.saturating_pow(tries - 1).min(16))
}

/// A random span below a bound, for spreading out.
pub(super) fn random_below(bound: Duration) -> Duration {
    let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(fastrand::u64(..millis))
}
