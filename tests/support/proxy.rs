//! What stands between a client and its API server on a bad day: an HTTP proxy that delays, loses, refuses and stalls on order.
//!
//! ```text
//! client ── plain HTTP ──▶ Proxy ── by `reqwest` ──▶ API server (plain, or TLS: see Proxy::before)
//!                            │
//!                            └─ rules, first that fits: method, a part of the path with its query, how often
//! ```
//!
//! A request that was taken is carried out even where its client has given it up meanwhile: that is the point of it.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt as _;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, TRANSFER_ENCODING},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

type Body = BoxBody<Bytes, Infallible>;

/// What happens to a request that a rule fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It reaches the server after this long.
    Late(Duration),
    /// It reaches the server at once; its answer takes this long.
    LateAnswer(Duration),
    /// It reaches the server, and the connection ends without an answer.
    AnswerLost,
    /// It never reaches the server, and the connection ends without an answer.
    Cut,
    /// It never reaches the server; this status is the answer.
    Answer(u16),
    /// Its answer begins at once, and every piece of it comes this much later than the server has sent it: a watch that lags.
    Lag(Duration),
    /// Its answer comes so many bytes at a time, with a pause after each: a line that is thin.
    Drip(usize, Duration),
    /// Its answer begins, and then nothing comes any more, not even its end: the peer has gone without a word.
    Silent,
    /// A watch is told in its stream that its version is too old, and ends.
    Gone,
    /// A watch asks for what happened after the first version there ever was, whatever its client has asked for.
    OldVersion,
    /// No bookmark of a watch comes through.
    NoBookmarks,
    /// Its answer says that it is so much later than it is.
    Ahead(Duration),
}

/// Which requests meet it.
#[derive(Debug, Clone)]
struct Rule {
    method: &'static str,
    /// All of these are in the path with its query.
    path: Vec<String>,
    times: u32,
    /// Only every so many-th of them, beginning with the last of these.
    nth: u32,
    /// How many it fitted so far.
    fitted: u32,
    trouble: Trouble,
}

/// A request that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
}

struct Inner {
    /// The server's base URL, without a slash at its end.
    server: String,
    client: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    taken: Mutex<Vec<Taken>>,
    /// Nothing moves before this moment.
    stalled: watch::Sender<Instant>,
    /// Raised to cut all connections.
    cut: watch::Sender<u64>,
    /// No connection is taken before this moment.
    refusing: watch::Sender<Instant>,
    /// Raised to let all answers that are under way go silent, without an end.
    muted: watch::Sender<u64>,
}

/// A running proxy. It ends with the runtime it was started in.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    inner: Arc<Inner>,
}

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("lost on purpose")]
struct Lost;

impl Proxy {
    /// Before a server on plain HTTP.
    pub(crate) async fn before_plain(server: &str) -> Self {
        Self::before(server, reqwest::Client::builder().no_proxy().no_gzip().build().unwrap()).await
    }

    /// Before a server that is reached by this client: with its root certificate and its identity, where it wants TLS.
    pub(crate) async fn before(server: &str, client: reqwest::Client) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let now = Instant::now();
        let inner = Arc::new(Inner {
            server: server.trim_end_matches('/').to_owned(),
            client,
            rules: Mutex::default(),
            taken: Mutex::default(),
            stalled: watch::Sender::new(now),
            cut: watch::Sender::new(0),
            refusing: watch::Sender::new(now),
            muted: watch::Sender::new(0),
        });
        tokio::spawn(listen(Arc::clone(&inner), listener, address));
        Self { address, inner }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, the next `times` requests with this method (any where empty) that have all of these in their path and query
    /// meet this. Rules are tried in the order they were made.
    pub(crate) fn rule(&self, method: &'static str, path: &[&str], times: u32, trouble: Trouble) {
        self.rule_of(method, path, times, 1, trouble);
    }

    /// … for good, but only every `nth` of them.
    pub(crate) fn every(&self, nth: u32, method: &'static str, path: &[&str], trouble: Trouble) {
        self.rule_of(method, path, u32::MAX, nth, trouble);
    }

    fn rule_of(&self, method: &'static str, path: &[&str], times: u32, nth: u32, trouble: Trouble) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.inner.rules.lock().unwrap().push(Rule { method, path, times, nth, fitted: 0, trouble });
    }

    /// Takes all rules back. What met one already still does.
    pub(crate) fn clear(&self) {
        self.inner.rules.lock().unwrap().clear();
    }

    /// Nothing moves for so long, neither requests nor answers nor watches.
    pub(crate) fn stall(&self, span: Duration) {
        self.inner.stalled.send_replace(Instant::now() + span);
    }

    /// All connections end, and none is taken for so long.
    pub(crate) fn refuse(&self, span: Duration) {
        self.inner.refusing.send_replace(Instant::now() + span);
        self.inner.cut.send_modify(|cut| *cut += 1);
    }

    /// Answers that are under way say nothing more and do not end, as where a host on the way has lost power: watches that are
    /// open now stay open and silent.
    pub(crate) fn mute(&self) {
        self.inner.muted.send_modify(|muted| *muted += 1);
    }

    /// The requests so far with this method that have this in their path and query.
    pub(crate) fn taken(&self, method: &str, path: &str) -> Vec<Taken> {
        let taken = self.inner.taken.lock().unwrap();
        taken.iter().filter(|one| one.method == method && one.path.contains(path)).cloned().collect()
    }
}

async fn listen(inner: Arc<Inner>, listener: TcpListener, address: SocketAddr) {
    let mut listener = Some(listener);
    let mut refusing = inner.refusing.subscribe();
    loop {
        let until = *refusing.borrow_and_update();
        if Instant::now() < until {
            // A closed port refuses; an open one whose connections are dropped does not.
            drop(listener.take());
            sleep_until(until).await;
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => {
                if let Ok(open) = TcpListener::bind(address).await {
                    open
                } else {
                    sleep(Duration::from_millis(20)).await;
                    continue;
                }
            }
        };
        let open = listener.insert(open);
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(converse(Arc::clone(&inner), stream));
                }
            }
            _ = refusing.changed() => {}
        }
    }
}

async fn converse(inner: Arc<Inner>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut cut = inner.cut.subscribe();
    cut.borrow_and_update();
    let service = service_fn(move |request| respond(Arc::clone(&inner), request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        _ = cut.changed() => {}
    }
}

impl Inner {
    fn trouble(&self, method: &str, path: &str) -> Option<Trouble> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find_map(|rule| {
            let fits = rule.times > 0
                && (rule.method.is_empty() || rule.method == method)
                && rule.path.iter().all(|part| path.contains(part.as_str()));
            rule.fitted += u32::from(fits);
            (fits && rule.fitted.is_multiple_of(rule.nth)).then_some(rule)
        })?;
        if rule.times != u32::MAX {
            rule.times -= 1;
        }
        Some(rule.trouble)
    }

    /// Waits until nothing is stalled.
    async fn moving(&self) {
        loop {
            let until = *self.stalled.borrow();
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

async fn respond(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let method = parts.method.clone();
    let Ok(body) = body.collect().await else { return Err(Lost) };
    let body = body.to_bytes();
    inner.taken.lock().unwrap().push(Taken {
        method: method.to_string(),
        path: path.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    let trouble = inner.trouble(method.as_str(), &path);
    match trouble {
        Some(Trouble::Cut) => return Err(Lost),
        Some(Trouble::Answer(code)) => return Ok(refusal(code)),
        Some(Trouble::Gone) => return Ok(gone()),
        _ => {}
    }
    let path = if trouble == Some(Trouble::OldVersion) { since_the_first(&path) } else { path };
    let mut headers = parts.headers.clone();
    for hop in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(hop);
    }
    let onward = inner.client.request(method, format!("{}{path}", inner.server)).headers(headers).body(body);
    // A task of its own: a client that hangs up takes nothing back.
    let carrier = Arc::clone(&inner);
    let answer = tokio::spawn(async move {
        carrier.moving().await;
        if let Some(Trouble::Late(span)) = trouble {
            sleep(span).await;
        }
        let answer = onward.send().await;
        if let Some(Trouble::LateAnswer(span)) = trouble {
            sleep(span).await;
        }
        carrier.moving().await;
        answer
    });
    let answer = match answer.await {
        Ok(Ok(answer)) if trouble != Some(Trouble::AnswerLost) => answer,
        _ => return Err(Lost),
    };
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        for (name, value) in answer.headers() {
            if ![CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                headers.insert(name, value.clone());
            }
        }
        if let Some(Trouble::Ahead(by)) = trouble {
            let date = (jiff::Timestamp::now() + by).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            headers.insert(DATE, date.parse().unwrap());
        }
    }
    let muted = inner.muted.subscribe();
    let pieces = pieces(answer, trouble);
    let body = futures::stream::unfold((inner, pieces), move |(inner, mut pieces)| {
        let mut muted = muted.clone();
        async move {
            let next = async {
                let (due, piece): (Instant, Bytes) = pieces.recv().await?;
                sleep_until(due).await;
                inner.moving().await;
                Some((Ok::<_, Infallible>(Frame::data(piece)), (inner, pieces)))
            };
            tokio::select! {
                next = next => next,
                _ = muted.changed() => std::future::pending().await,
            }
        }
    });
    Ok(response.body(BodyExt::boxed(StreamBody::new(body))).unwrap())
}

/// The pieces of an answer, each with the moment when it may leave. They wait behind each other, not the server for them.
fn pieces(answer: reqwest::Response, trouble: Option<Trouble>) -> mpsc::UnboundedReceiver<(Instant, Bytes)> {
    let (send, pieces) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut stream = answer.bytes_stream();
        let mut lines = Vec::new();
        // When the newest piece may leave.
        let mut last = Instant::now();
        loop {
            let piece = tokio::select! {
                piece = stream.next() => piece,
                () = send.closed() => return,
            };
            let Some(Ok(piece)) = piece else { break };
            let now = Instant::now();
            let sent = match trouble {
                Some(Trouble::Lag(lag)) => send.send((now + lag, piece)),
                Some(Trouble::Silent) => Ok(()),
                Some(Trouble::Drip(bytes, pause)) => piece.chunks(bytes).try_for_each(|part| {
                    last = last.max(now) + pause;
                    send.send((last, Bytes::copy_from_slice(part)))
                }),
                Some(Trouble::NoBookmarks) => {
                    lines.extend_from_slice(&piece);
                    let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                    let told: Vec<u8> = lines.drain(..whole).collect();
                    let kept = told.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_bookmark(line));
                    send.send((now, kept.flatten().copied().collect()))
                }
                _ => send.send((now, piece)),
            };
            if sent.is_err() {
                return;
            }
        }
        if trouble == Some(Trouble::Silent) {
            send.closed().await;
        }
    });
    pieces
}

fn is_bookmark(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(line).is_ok_and(|event| event["type"] == "BOOKMARK")
}

/// The path of a watch that asks for everything since version 1.
fn since_the_first(path: &str) -> String {
    let parts = path.split('&').map(|part| {
        let (before, name) = part.rsplit_once('?').map_or(("", part), |(path, name)| (path, name));
        let mark = if before.is_empty() { "" } else { "?" };
        if name.starts_with("resourceVersion=") {
            format!("{before}{mark}resourceVersion=1")
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join("&")
}

/// The body of an error as an API server gives it.
fn status(code: u16) -> serde_json::Value {
    let reason = match code {
        403 => "Forbidden",
        410 => "Expired",
        _ => "",
    };
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": "the proxy says so",
    })
}

/// A watch whose one event says that its version is too old.
fn gone() -> Response<Body> {
    let event = serde_json::json!({"type": "ERROR", "object": status(410)});
    let mut response = Response::new(Full::new(Bytes::from(format!("{event}\n"))).boxed());
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

/// An error as an API server gives it.
fn refusal(code: u16) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(status(code).to_string())).boxed());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    response
}
