//! The HTTP side: connections, requests, and long-lived answers (watches, followed logs).

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{ACCEPT, CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, watch},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    api::{Answer, Call, LogPlan, WatchPlan},
    fault::{Fault, Misbehaviour},
    logs::Wanted,
    object::uid_of,
    state::State,
    status::ApiError,
    watching::bookmark,
};
use crate::world::clock::WorldClock;

/// The largest body that is read, bytes: a real server's limit.
const LARGEST_BODY: usize = 3 * 1024 * 1024;
/// Requests that are remembered for tests.
const REMEMBERED: usize = 8192;
/// So much of each body: a patch's spec fits, a copy of a journal need not.
const REMEMBERED_BODY: usize = 1024;
/// Real time between bookmarks, as by a real server.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// … and so long before a watch's time is up, so that whoever begins the next one asks for little.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// How long a stopped server waits for answers that are under way.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// The longest and shortest real time between two looks at the agenda.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(500);
/// A rehearsal at forty times the speed has something to do all the time: between two looks the requests must have their
/// turn.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(5);

type Body = BoxBody<Bytes, Infallible>;

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The HTTP method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query, empty where there was none.
    pub query: String,
    /// The body's beginning, a kilobyte of it at most; empty where there was none.
    pub body: String,
}

/// What the tasks of one cluster share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<VecDeque<Recorded>>,
    pub(super) address: SocketAddr,
    clock: WorldClock,
    /// Something was written: the agenda may have changed.
    wake: Notify,
    pub(super) stop: watch::Sender<bool>,
    /// Raised to end all watches there are.
    pub(super) watch_generation: watch::Sender<u64>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking task left is whole enough for a simulation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped on purpose")]
struct Dropped;

impl Shared {
    pub(super) fn new(state: State, address: SocketAddr, clock: WorldClock) -> Self {
        Self {
            state: Mutex::new(state),
            faults: Mutex::default(),
            requests: Mutex::default(),
            address,
            clock,
            wake: Notify::new(),
            stop: watch::Sender::new(false),
            watch_generation: watch::Sender::new(0),
        }
    }

    /// The state as it is now: everything that is due has happened.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = held(&self.state);
        state.advance(self.clock.now_ms());
        state
    }

    /// Changes the state by hand.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        state.notice();
        drop(state);
        self.wake.notify_one();
        result
    }

    /// Ends all watches there are, as a server that restarts does.
    pub(super) fn end_watches(&self) {
        self.watch_generation.send_modify(|generation| *generation += 1);
    }

    /// The real time in which so much simulated time passes.
    pub(super) fn real(&self, simulated: Duration) -> Duration {
        self.clock.real(simulated)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        held(&self.faults)
    }

    pub(super) fn requests(&self) -> MutexGuard<'_, VecDeque<Recorded>> {
        held(&self.requests)
    }

    /// Notes a request, so that it can be told afterwards what was asked. The oldest go: a long rehearsal stays
    /// small.
    fn record(&self, method: &str, path: &str, query: &str, body: &[u8]) {
        let mut requests = self.requests();
        if requests.len() == REMEMBERED {
            requests.pop_front();
        }
        requests.push_back(Recorded {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            body: String::from_utf8_lossy(&body[..body.len().min(REMEMBERED_BODY)]).into_owned(),
        });
    }

    /// The misbehaviour that this request meets.
    fn misbehaviour(&self, method: &str, path: &str) -> Option<Misbehaviour> {
        let mut faults = self.faults();
        let fault = faults.iter_mut().find(|fault| fault.fits(method, path))?;
        if fault.times != u32::MAX {
            fault.times -= 1;
        }
        let misbehaviour = fault.misbehaviour.clone();
        faults.retain(|fault| fault.times > 0);
        Some(misbehaviour)
    }

    /// Answers, and wakes the agenda: a write may be what a controller waits for.
    fn answer(&self, call: &Call) -> Result<Answer, ApiError> {
        let answer = self.state().answer(call, &self.address.to_string());
        self.wake.notify_one();
        answer
    }
}

/// Waits until the cluster is stopped.
pub(super) async fn stopped(shared: &Shared) {
    let mut stop = shared.stop.subscribe();
    // The sender lives as long as `shared`.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Plays the agenda as time passes.
pub(super) async fn play(shared: Arc<Shared>) {
    loop {
        let (next, now) = {
            let state = shared.state();
            (state.next_due(), state.now)
        };
        let simulated = next.map_or(u64::MAX, |next| u64::try_from(next - now).unwrap_or(0));
        let real = shared.clock.real(Duration::from_millis(simulated.min(3_600_000)));
        let pause = real.clamp(LOOK_AT_MOST_EVERY, LOOK_AT_LEAST_EVERY);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.wake.notified() => {}
            () = stopped(&shared) => return,
        }
    }
}

/// Takes connections until the cluster is stopped.
pub(super) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(converse(Arc::clone(&shared), stream))),
                // Out of descriptors, most likely: give them time to come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            () = stopped(&shared) => return,
        }
    }
}

/// One connection, until the client leaves or the cluster stops; answers under way then get a moment to go out.
async fn converse(shared: Arc<Shared>, stream: TcpStream) {
    // Small answers should not wait for more.
    let _ = stream.set_nodelay(true);
    let service = {
        let shared = Arc::clone(&shared);
        service_fn(move |request| respond(Arc::clone(&shared), request))
    };
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(&shared) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWERS, connection).await;
}

/// One request. Its body is read before anything else, so that a fault which drops the connection comes when the
/// server knows the request, as in life.
async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let query = parts.uri.query().unwrap_or_default();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        shared.record(method, path, query, &[]);
        return Ok(failure(&ApiError::too_large()));
    };
    let body = body.to_bytes();
    shared.record(method, path, query, &body);
    let header = |name: HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let call = Call {
        method: method.to_owned(),
        path: path.to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        accept: header(ACCEPT),
        content_type: header(CONTENT_TYPE),
        user_agent: header(USER_AGENT),
        body: body.to_vec(),
    };
    let spelled = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let Some(misbehaviour) = shared.misbehaviour(method, &spelled) else {
        return Ok(reply(&shared, shared.answer(&call)));
    };
    misbehave(&shared, &call, misbehaviour).await
}

/// Does to a request what a fault says. `applied` is the difference that matters: a write that took effect although
/// nobody was told, or one that did not.
async fn misbehave(
    shared: &Arc<Shared>,
    call: &Call,
    misbehaviour: Misbehaviour,
) -> Result<Response<Body>, Dropped> {
    let apply = |applied: bool| {
        if applied {
            drop(shared.answer(call));
        }
    };
    match misbehaviour {
        Misbehaviour::Answer { code, retry_after, applied } => {
            apply(applied);
            Ok(failure(&ApiError::injected(code, retry_after)))
        }
        Misbehaviour::Hang { applied } => {
            apply(applied);
            stopped(shared).await;
            Err(Dropped)
        }
        Misbehaviour::Reset { applied } => {
            apply(applied);
            Err(Dropped)
        }
        Misbehaviour::Late(delay) => {
            let answer = shared.answer(call);
            tokio::time::sleep(delay).await;
            Ok(reply(shared, answer))
        }
        Misbehaviour::LoginPage => {
            let page = "<!DOCTYPE html><html><body><form>Please log in</form></body></html>";
            Ok(respond_with(200, "text/html", full(page)))
        }
        Misbehaviour::WatchExpires => {
            let error = json!({"type": "ERROR", "object": ApiError::injected(410, None).body()});
            Ok(respond_with(200, "application/json", full(format!("{error}\n"))))
        }
        Misbehaviour::WatchEnds | Misbehaviour::WatchGoesSilent => match shared.answer(call) {
            Ok(Answer::Watch(plan)) => {
                Ok(open_watch(shared, plan, misbehaviour == Misbehaviour::WatchEnds, true))
            }
            answer => Ok(reply(shared, answer)),
        },
    }
}

/// A body that is known as a whole.
fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

/// An answer with the headers that an API server sets.
fn respond_with(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    headers
        .insert(hyper::header::CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-cache, private"));
    response
}

/// An error as a `Status` object, with `Retry-After` where the server says when to come back.
fn failure(error: &ApiError) -> Response<Body> {
    let mut response = respond_with(error.code, "application/json", full(error.body().to_string()));
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// What a request comes to, on the wire.
fn reply(shared: &Arc<Shared>, answer: Result<Answer, ApiError>) -> Response<Body> {
    match answer {
        Ok(Answer::Json(code, body)) => respond_with(code, "application/json", full(format!("{body}\n"))),
        Ok(Answer::Text(text)) => respond_with(200, "text/plain", full(text)),
        Ok(Answer::Watch(plan)) => open_watch(shared, plan, false, false),
        Ok(Answer::Follow(plan)) => {
            let (send, body) = channel();
            tokio::spawn(follow(Arc::clone(shared), plan, send));
            respond_with(200, "text/plain", body)
        }
        Err(error) => failure(&error),
    }
}

/// A body that is written while it is read. The small buffer makes a slow reader hold up its own watch only.
fn channel() -> (mpsc::Sender<String>, Body) {
    let (send, receive) = mpsc::channel::<String>(16);
    let frames = ReceiverStream::new(receive).map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    (send, BodyExt::boxed(StreamBody::new(frames)))
}

/// Begins a watch: it goes on in a task of its own while the answer is read.
fn open_watch(shared: &Arc<Shared>, plan: WatchPlan, ends: bool, silent: bool) -> Response<Body> {
    let (send, body) = channel();
    tokio::spawn(watch_objects(Arc::clone(shared), plan, send, ends, silent));
    respond_with(200, "application/json", body)
}

/// Sends events, one JSON object a line, as watches do.
async fn say(send: &mpsc::Sender<String>, events: &[Value]) -> Result<(), mpsc::error::SendError<String>> {
    for event in events {
        send.send(format!("{event}\n")).await?;
    }
    Ok(())
}

/// Tells a watcher what happens until it leaves, its time is up, or the server stops.
async fn watch_objects(
    shared: Arc<Shared>,
    mut plan: WatchPlan,
    send: mpsc::Sender<String>,
    ends: bool,
    silent: bool,
) {
    let mut versions = shared.state().store.subscribe();
    let mut generation = shared.watch_generation.subscribe();
    let lasts = plan.timeout.map_or(Duration::from_mins(30), Duration::from_secs);
    let timeout = tokio::time::sleep(lasts);
    tokio::pin!(timeout);
    let mut bookmarks = tokio::time::interval(BOOKMARK_EVERY);
    bookmarks.reset();
    let last_bookmark = tokio::time::sleep(lasts.saturating_sub(BOOKMARK_BEFORE_END));
    tokio::pin!(last_bookmark);
    let mut is_marked = false;
    let initial = shared.state().initial_events(&mut plan);
    if say(&send, &initial).await.is_err() || ends {
        return;
    }
    loop {
        if !silent {
            versions.borrow_and_update();
            let events = shared.state().watch_events(&mut plan);
            let events = match events {
                Ok(events) => events,
                Err(error) => {
                    let error = json!({"type": "ERROR", "object": error.body()});
                    let _ = say(&send, &[error]).await;
                    return;
                }
            };
            if say(&send, &events).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = versions.changed(), if !silent => if changed.is_err() { return },
            _ = bookmarks.tick(), if plan.bookmarks && !silent => {
                if say(&send, &[bookmark(plan.resource, plan.from)]).await.is_err() { return }
            }
            () = &mut last_bookmark, if plan.bookmarks && !silent && !is_marked => {
                is_marked = true;
                if say(&send, &[bookmark(plan.resource, plan.from)]).await.is_err() { return }
            }
            () = &mut timeout => return,
            _ = generation.changed() => return,
            () = send.closed() => return,
            () = stopped(&shared) => return,
        }
    }
}

/// What a followed log has since `from`, and whether that was its end: the container's, or its pod's.
fn lines_since(shared: &Shared, plan: &LogPlan, from: &mut i64) -> (String, bool) {
    let state = shared.state();
    let now = state.now;
    let pod = state.store.get(&plan.key).filter(|pod| uid_of(pod) == plan.uid);
    match pod.map(|pod| state.log_of(pod, &plan.container, false)) {
        Some(Ok(log)) => {
            let wanted = Wanted { since: Some(*from), ..Wanted::default() };
            let lines = log.lines(wanted, now);
            *from = now + 1;
            let text: String = lines.iter().map(|line| line.spell(plan.timestamps)).collect();
            (text, log.ended.is_some())
        }
        _ => (String::new(), true),
    }
}

/// Sends a container's output as it comes, until the container ends.
async fn follow(shared: Arc<Shared>, plan: LogPlan, send: mpsc::Sender<String>) {
    if !plan.first.is_empty() && send.send(plan.first.clone()).await.is_err() {
        return;
    }
    let mut from = plan.from;
    loop {
        tokio::select! {
            () = shared.clock.sleep(Duration::from_secs(1)) => {}
            () = send.closed() => return,
            () = stopped(&shared) => return,
        }
        let (text, over) = lines_since(&shared, &plan, &mut from);
        if (!text.is_empty() && send.send(text).await.is_err()) || over {
            return;
        }
    }
}

/// Opens the port.
pub(super) async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}
