//! The listeners: plain HTTP, TLS, and the forward proxy with its tunnels.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HOST},
    server::conn::http1,
    service::service_fn,
    upgrade,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task,
};
use tokio_rustls::TlsAcceptor;

use super::{
    resolve,
    site::{Answer, Asked, Outage, Site, host},
};
use crate::world::reply::Reply;

/// The largest body that is read.
const LARGEST_BODY: usize = 1 << 20;

/// A listener or connection pauses this long after an error of the system (such as too many open files).
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// What stands behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// The forward proxy.
    Proxy,
    /// Prometheus, whatever the host is called.
    Prometheus,
    /// TLS from the first byte.
    Tls,
}

/// Where the requests of one connection go.
#[derive(Debug, Clone)]
enum Origin {
    /// To what their own target or `Host` says.
    Named,
    /// To Prometheus.
    Prometheus,
    /// Through TLS to this authority.
    Tunnel(String),
}

type Stop = watch::Receiver<()>;

/// Runs `work` until it ends or the network is dropped.
pub(super) fn spawn(stop: &Stop, work: impl Future<Output = ()> + Send + 'static) {
    let mut stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            // Nothing is ever sent: a change is the sender's end.
            _ = stop.changed() => {}
            () = work => {}
        }
    });
}

/// Accepts connections for ever.
pub(super) async fn listen(listener: TcpListener, entrance: Entrance, site: Arc<Site>, stop: Stop) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(AFTER_ERROR).await;
            continue;
        };
        // Small answers, asked for one by one: waiting to fill a packet would only delay them.
        drop(stream.set_nodelay(true));
        let (site, stop_here) = (Arc::clone(&site), stop.clone());
        match entrance {
            Entrance::Proxy => spawn(&stop, converse(stream, Origin::Named, site, stop_here)),
            Entrance::Prometheus => spawn(&stop, converse(stream, Origin::Prometheus, site, stop_here)),
            Entrance::Tls => spawn(&stop, secure(stream, None, site, stop_here)),
        }
    }
}

/// Shakes hands and goes on in HTTP. `authority` is the one that a tunnel was asked for; without one the client's own
/// choice of name (SNI) says it.
async fn secure<S>(stream: S, authority: Option<String>, site: Arc<Site>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let fallback = authority.as_deref().map_or("localhost", host).trim_matches(['[', ']']);
    let Ok(config) = site.authority().server_config(fallback) else { return };
    // A client that does not trust us leaves here; it knows why.
    let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return };
    let authority = authority
        .unwrap_or_else(|| format!("{}:443", stream.get_ref().1.server_name().unwrap_or("localhost")));
    converse(stream, Origin::Tunnel(authority), site, stop).await;
}

/// Serves one connection.
async fn converse<S>(stream: S, origin: Origin, site: Arc<Site>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let (origin, site, stop) = (origin.clone(), Arc::clone(&site), stop.clone());
        async move {
            if request.method() == Method::CONNECT && matches!(origin, Origin::Named) {
                return Ok(tunnel(request, site, &stop));
            }
            respond(request, &origin, site).await
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // An error is the client's leaving, or ours in an outage: nobody is left to tell.
    drop(connection.await);
}

/// Opens a tunnel through the proxy: agrees, then speaks TLS on the same connection as the host asked for.
fn tunnel(request: Request<Incoming>, site: Arc<Site>, stop: &Stop) -> Response<Full<Bytes>> {
    let Some(authority) = request.uri().authority().map(ToString::to_string) else {
        return response(Reply::new(400, "text/plain", "CONNECT needs host:port\n".to_owned()));
    };
    if resolve(host(&authority)).is_empty() {
        return response(no_such_host(host(&authority)));
    }
    let stop_here = stop.clone();
    spawn(stop, async move {
        if let Ok(upgraded) = upgrade::on(request).await {
            secure(TokioIo::new(upgraded), Some(authority), site, stop_here).await;
        }
    });
    Response::new(Full::default())
}

/// Answers one request. An error closes the connection without an answer.
async fn respond(
    request: Request<Incoming>,
    origin: &Origin,
    site: Arc<Site>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let asked = match read(request, origin).await {
        Ok(asked) => asked,
        Err(reply) => return Ok(response(reply)),
    };
    if matches!(origin, Origin::Named) && resolve(asked.host()).is_empty() {
        return Ok(response(no_such_host(asked.host())));
    }
    let direct = matches!(origin, Origin::Prometheus);
    // A range query over the whole past computes for a while; nothing else should wait for it.
    let answering =
        task::spawn_blocking(move || if direct { site.prometheus(&asked) } else { site.answer(&asked) });
    match answering.await.map_err(io::Error::other)? {
        Answer::Reply(reply) => Ok(response(reply)),
        Answer::Outage(Outage::Unavailable) => {
            Ok(response(Reply::new(503, "text/plain; charset=utf-8", "Service Unavailable\n".to_owned())))
        }
        Answer::Outage(Outage::Refused) => Err(io::ErrorKind::ConnectionReset.into()),
        Answer::Outage(Outage::Silent) => {
            // Ends with the connection, when the client gives up, or with the network.
            std::future::pending::<Infallible>().await;
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

/// Reads a request to its end and finds out whom it is for.
async fn read(request: Request<Incoming>, origin: &Origin) -> Result<Asked, Reply> {
    let bad = |why: &str| Reply::new(400, "text/plain; charset=utf-8", format!("{why}\n"));
    let (parts, body) = request.into_parts();
    let header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let (scheme, authority) = match origin {
        Origin::Tunnel(authority) => ("https", Some(authority.clone())),
        Origin::Named | Origin::Prometheus => {
            ("http", parts.uri.authority().map(ToString::to_string).or_else(header))
        }
    };
    let mut authority = authority.ok_or_else(|| bad("the request names no host"))?.to_ascii_lowercase();
    if host(&authority).len() == authority.len() {
        authority.push_str(if scheme == "https" { ":443" } else { ":80" });
    }
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    let body =
        body.map_err(|_| Reply::new(413, "text/plain", "body not readable or too large\n".to_owned()))?;
    Ok(Asked {
        scheme,
        authority,
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.to_bytes().into(),
    })
}

fn no_such_host(host: &str) -> Reply {
    Reply::new(502, "text/plain; charset=utf-8", format!("no such host: {host}\n"))
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(reply.content_type));
    response
}
