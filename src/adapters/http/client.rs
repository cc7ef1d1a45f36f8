//! One request, one answer, one deadline: the base of every adapter that uses HTTP.
//!
//! The deadline spans everything from the first byte of the connection to the last byte of the body, so a server that
//! drips cannot hold us. Bodies end at a cap that counts what comes out of decompression. Nothing is sent twice: no
//! retries, and redirects are followed for reads only, on the same origin only, three times at most.

use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};

use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
};

use super::{HttpOptions, Proxying};
use crate::adapters::shown::shown;
use crate::{
    adapters::tls::{self, BadTrust, Trust},
    domain::time::Span,
};

/// No body may be longer, after decompression: a selector's series of the last hour, several thousand of them, fit.
pub(in crate::adapters) const BODY_CAP: usize = 8 << 20;

/// So many redirects on one origin are followed.
const REDIRECTS: usize = 3;

/// A client that cannot be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadHttp {
    /// The added authorities are no good.
    #[error(transparent)]
    Trust(#[from] BadTrust),
    /// The proxy's address is no URL.
    #[error("the proxy's address is not a valid URL")]
    Proxy,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The client cannot be built.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// A pool of connections with our rules built in. Clones share the pool.
#[derive(Debug, Clone)]
pub(in crate::adapters) struct Client {
    inner: reqwest::Client,
}

/// What is asked.
pub(in crate::adapters) struct Ask {
    pub(in crate::adapters) method: Method,
    pub(in crate::adapters) url: Url,
    pub(in crate::adapters) headers: HeaderMap,
    pub(in crate::adapters) body: Option<Vec<u8>>,
    pub(in crate::adapters) timeout: Span,
    /// Whether redirects may be followed at all.
    pub(in crate::adapters) follow: bool,
    /// What the server is called in messages, where its name is a secret.
    pub(in crate::adapters) alias: Option<&'static str>,
}

/// What came back.
#[derive(Debug)]
pub(in crate::adapters) struct Answer {
    pub(in crate::adapters) status: StatusCode,
    /// `text/html`, without parameters; empty where not said.
    pub(in crate::adapters) content_type: String,
    pub(in crate::adapters) body: Vec<u8>,
    pub(in crate::adapters) took: Duration,
    /// Where a redirect led that was not followed, without its query: that may hold what is nobody's business.
    pub(in crate::adapters) sent_to: Option<String>,
}

impl Answer {
    /// The body as text; what is no UTF-8 is replaced.
    pub(in crate::adapters) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Whether this is a page for people: the usual sign of a login form or a proxy's error page.
    pub(in crate::adapters) fn is_html(&self) -> bool {
        self.content_type.eq_ignore_ascii_case("text/html") || self.body.trim_ascii_start().starts_with(b"<")
    }
}

/// Why there is no answer to use.
#[derive(Debug)]
pub(in crate::adapters) enum NoAnswer {
    /// Nothing reached the server.
    NotSent(String),
    /// The request may have reached it.
    Lost(String),
    /// It answered, but not in a way that can be used.
    Unusable(String),
}

impl Client {
    /// Neither redirects nor repeats by the library: a login page is no answer, and a write is sent once.
    pub(in crate::adapters) fn new(options: &HttpOptions, trust: &Trust) -> Result<Self, BadHttp> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.client_config(&["h2", "http/1.1"])?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")));
        builder = match &options.proxy {
            Proxying::Environment => builder,
            Proxying::Direct => builder.no_proxy(),
            Proxying::Through(url) => {
                builder.proxy(reqwest::Proxy::all(url.as_str()).map_err(|_| BadHttp::Proxy)?)
            }
        };
        let inner = builder.build().map_err(|why| BadHttp::Client(why.to_string()))?;
        Ok(Self { inner })
    }

    /// Asks once. Whatever happens, it is over when the deadline is.
    pub(in crate::adapters) async fn ask(&self, ask: Ask) -> Result<Answer, NoAnswer> {
        let (timeout, place) = (ask.timeout, ask.alias.map_or_else(|| place(&ask.url), ToOwned::to_owned));
        match tokio::time::timeout(timeout.to_std(), self.ask_unbounded(ask, &place)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NoAnswer::Lost(format!("no complete answer from {place} within {timeout}"))),
        }
    }

    async fn ask_unbounded(&self, ask: Ask, place: &str) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        let mut url = ask.url;
        for followed in 0.. {
            let mut request =
                self.inner.request(ask.method.clone(), url.clone()).headers(ask.headers.clone());
            if let Some(body) = &ask.body {
                request = request.body(body.clone());
            }
            let mut response = request.send().await.map_err(|why| describe(why, place))?;
            let status = response.status();
            let target = status.is_redirection().then(|| target(&url, response.headers())).flatten();
            if let Some(target) = &target
                && ask.follow
                && followed < REDIRECTS
                && target.origin() == url.origin()
            {
                url = target.clone();
                continue;
            }
            let body = read(&mut response, place).await?;
            let content_type =
                response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
            let content_type = content_type.split(';').next().unwrap_or("").trim().to_owned();
            return Ok(Answer {
                status,
                content_type,
                body,
                took: began.elapsed(),
                sent_to: target.map(|url| bare(&url)),
            });
        }
        Err(NoAnswer::Unusable(format!("{place} redirects in circles")))
    }
}

/// Counted after decompression: a small answer can be large inside.
async fn read(response: &mut reqwest::Response, place: &str) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| describe(why, place))? {
        if body.len() + chunk.len() > BODY_CAP {
            return Err(NoAnswer::Unusable(format!("the answer from {place} is longer than 8 MiB")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Relative ones too: servers behind a proxy do not know their own name.
fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// The host, with its port where that is not the scheme's own: enough to know where, and never a secret.
pub(in crate::adapters) fn place(url: &Url) -> String {
    let host = shown(url.host_str().unwrap_or("nowhere"), 80);
    url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// The URL without user, password, query and fragment.
fn bare(url: &Url) -> String {
    shown(&format!("{}://{}{}", url.scheme(), place(url), url.path()), 120)
}

/// The causes of an error, itself first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// Whether it was sent at all decides whether it may be tried again: so that is told apart first.
fn describe(error: reqwest::Error, place: &str) -> NoAnswer {
    // Its words would repeat the URL, and with it what may be a secret.
    let error = &error.without_url();
    if let Some(fault) = tls::fault(error) {
        return NoAnswer::NotSent(tls::describe(fault, place));
    }
    let last = causes(error).last().map(|cause| shown(&cause.to_string(), 160)).unwrap_or_default();
    if error.is_connect() {
        // hyper-util tells name lookup from connecting in words only.
        if causes(error).any(|cause| cause.to_string() == "dns error") {
            return NoAnswer::NotSent(format!("the name {place} does not resolve: {last}"));
        }
        let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
        return NoAnswer::NotSent(match kind {
            Some(io::ErrorKind::ConnectionRefused) => format!("{place} refused the connection"),
            Some(io::ErrorKind::TimedOut) => format!("{place} did not accept the connection in time"),
            _ => format!("cannot connect to {place}: {last}"),
        });
    }
    if error.is_builder() {
        return NoAnswer::NotSent(format!("cannot send the request to {place}: {last}"));
    }
    if error.is_decode() || error.is_body() {
        return NoAnswer::Unusable(format!("cannot read the body from {place}: {last}"));
    }
    NoAnswer::Lost(format!("{place} closed the connection before it answered: {last}"))
}
