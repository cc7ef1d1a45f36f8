//! HTTP requests, certificate checks and DNS lookups, behind [`Network`].
//!
//! Whatever a server says is foreign text: made safe, shortened, and masked first where the options say how, since a
//! shortened secret is one that no mask would find any more.

pub(super) mod client;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

pub use self::client::BadHttp;
use self::client::{Answer, Ask, Client, NoAnswer};
pub use super::tls::BadTrust;
use super::{
    shown::shown,
    tls::{self, Trust},
};
use crate::{
    domain::time::Timestamp,
    engine::ports::{Fault, HttpCall, Network, PortError, PortResult, Seen},
};

/// Looking up a name takes no longer.
const DNS_DEADLINE: Duration = Duration::from_secs(5);

/// So many characters of a foreign value are shown.
const VALUE_LENGTH: usize = 60;

/// How requests reach the world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Proxying {
    /// As `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Straight, whatever the environment says.
    Direct,
    /// Everything through this forward proxy: the rehearsal's.
    Through(String),
}

/// Replaces secrets in a text by their mask.
pub type Mask = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Finds the addresses of a name.
pub type Resolver = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

/// How the adapters that speak HTTP are set up. The default is right for a real run without secrets.
#[derive(Clone, Default)]
pub struct HttpOptions {
    /// The way out.
    pub proxy: Proxying,
    /// Certificates in PEM form that are trusted besides the host's.
    pub extra_ca_pem: Option<String>,
    /// Where certificate checks connect to instead of the host itself: the rehearsal's TLS server.
    pub tls_override: Option<SocketAddr>,
    /// Who answers for names in name checks, instead of the system.
    pub resolver: Option<Resolver>,
    /// Masks secrets in what servers say, before it is shortened.
    pub mask: Option<Mask>,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("proxy", &self.proxy)
            .field("tls_override", &self.tls_override)
            .finish_non_exhaustive()
    }
}

impl HttpOptions {
    /// Foreign text as it may be shown: masked, safe, at most `longest` characters.
    pub(super) fn quote(&self, text: &str, longest: usize) -> String {
        match &self.mask {
            Some(mask) => shown(&mask(text), longest),
            None => shown(text, longest),
        }
    }
}

/// Requests, certificates and names.
#[derive(Debug)]
pub struct NetworkAdapter {
    client: Client,
    trust: Trust,
    options: HttpOptions,
}

impl NetworkAdapter {
    /// An adapter with a pool of connections of its own.
    ///
    /// # Errors
    /// Where the added certificates or the proxy's address are no good.
    pub fn new(options: HttpOptions) -> Result<Self, BadHttp> {
        let trust = Trust::load(options.extra_ca_pem.as_deref())?;
        Ok(Self { client: Client::new(&options, &trust)?, trust, options })
    }
}

#[async_trait]
impl Network for NetworkAdapter {
    async fn http(&self, call: HttpCall) -> PortResult<Seen> {
        let method = Method::from_bytes(call.method.as_bytes()).map_err(|_| {
            PortError::failed(format!("`{}` is not a valid HTTP method", shown(&call.method, 20)))
        })?;
        let url = web_url(&call.url).map_err(PortError::failed)?;
        let reads = matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
        let ask = Ask {
            headers: headers(&call).map_err(PortError::failed)?,
            body: call.body.clone().map(String::into_bytes),
            timeout: call.timeout,
            // A write is sent once, and a redirect that is itself wanted is an answer.
            alias: None,
            follow: reads && !call.status.is_some_and(|status| (300..400).contains(&status)),
            method,
            url,
        };
        match self.client.ask(ask).await {
            Ok(answer) => Ok(compare(&call, &answer, &self.options)),
            Err(NoAnswer::Lost(message)) if !reads => Err(PortError::new(
                Fault::Unknown,
                format!("{message}; the request may have been carried out"),
            )),
            // It did reach the server and was answered, but the answer says nothing that could be judged.
            Err(NoAnswer::Unusable(message)) => Ok(Seen::no(message)),
            Err(NoAnswer::NotSent(message) | NoAnswer::Lost(message)) => Err(PortError::failed(message)),
        }
    }

    async fn tls(&self, host: &str, port: u16, days: u32, now: Timestamp) -> PortResult<Seen> {
        tls::days_left(&self.trust, (host, port), self.options.tls_override, days, now).await
    }

    async fn dns(&self, name: &str, expect: &str) -> PortResult<Seen> {
        let found = self.addresses(name).await?;
        let name = shown(name, 80);
        if found.is_empty() {
            return Ok(Seen::no(format!("{name} does not resolve to any address")));
        }
        let wanted = match expect.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.addresses(expect).await?,
        };
        let expect = shown(expect, 80);
        let seen = format!("{name} resolves to {}", list(&found));
        if found.iter().any(|address| wanted.contains(address)) {
            Ok(Seen::yes(seen))
        } else if wanted.is_empty() {
            Ok(Seen::no(format!("{seen}; {expect} does not resolve to any address")))
        } else if wanted.len() == 1 && expect == list(&wanted) {
            Ok(Seen::no(format!("{seen}, expected {expect}")))
        } else {
            Ok(Seen::no(format!("{seen}, expected an address of {expect}: {}", list(&wanted))))
        }
    }
}

impl NetworkAdapter {
    async fn addresses(&self, name: &str) -> PortResult<Vec<IpAddr>> {
        let mut found: Vec<IpAddr> = if let Some(resolver) = &self.options.resolver {
            resolver(name)
        } else {
            let looked_up = tokio::time::timeout(DNS_DEADLINE, tokio::net::lookup_host((name, 0))).await;
            let place = shown(name, 80);
            match looked_up {
                Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
                Ok(Err(why)) => {
                    return Err(PortError::failed(format!(
                        "{place} does not resolve: {}",
                        shown(&why.to_string(), 120)
                    )));
                }
                Err(_) => {
                    let seconds = DNS_DEADLINE.as_secs();
                    return Err(PortError::failed(format!("no DNS answer for {place} within {seconds} s")));
                }
            }
        };
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

fn list(addresses: &[IpAddr]) -> String {
    const MOST: usize = 8;
    let mut texts: Vec<String> = addresses.iter().take(MOST).map(ToString::to_string).collect();
    if addresses.len() > MOST {
        texts.push(format!("{} more", addresses.len() - MOST));
    }
    texts.join(", ")
}

/// A URL that we can fetch. The fault never repeats the URL: it may hold a secret.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|why| format!("not a valid URL: {why}"))?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) => Ok(url),
        (scheme, _) => {
            Err(format!("the URL must start with http:// or https://, not {}:", shown(scheme, 20)))
        }
    }
}

fn headers(call: &HttpCall) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        headers.append(header_name(name)?, header_value(name, value)?);
    }
    let is_json = || {
        call.body.as_deref().is_some_and(|body| serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok())
    };
    if !headers.contains_key(CONTENT_TYPE) && is_json() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(headers)
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{}` is not a valid header name", shown(name, 40)))
}

/// A header's value, never shown in logs of the layers below, since it may be a secret.
pub(super) fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        format!(
            "the value of header `{}` contains characters that are not allowed in headers",
            shown(name, 40)
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Compares an answer with what was wanted: status first, then the body.
fn compare(call: &HttpCall, answer: &Answer, options: &HttpOptions) -> Seen {
    let status = answer.status.as_u16();
    let began = format!("{status} in {} ms", answer.took.as_millis());
    if call.status.map_or(!answer.status.is_success(), |wanted| wanted != status) {
        return Seen::no(match (&answer.sent_to, call.status) {
            (Some(target), _) => {
                format!("{began}: redirected to {}, which was not followed", options.quote(target, 120))
            }
            (None, Some(wanted)) => format!("{began}, expected {wanted}"),
            (None, None) => format!("{began}, expected 2xx"),
        });
    }
    let mut seen = vec![began.clone()];
    if !call.json.is_empty() {
        let body: serde_json::Value = match serde_json::from_slice(&answer.body) {
            Ok(body) => body,
            Err(_) if answer.body.trim_ascii().is_empty() => {
                return Seen::no(format!("{began}, but the body is empty"));
            }
            Err(_) if answer.is_html() => {
                return Seen::no(format!("{began}, but the body is HTML, not JSON"));
            }
            Err(why) => return Seen::no(format!("{began}, but the body is not JSON: {why}")),
        };
        for (pointer, wanted) in &call.json {
            let Some(value) = body.pointer(pointer) else {
                return Seen::no(format!("{began}, but {pointer} is not in the answer"));
            };
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let quoted = options.quote(&text, VALUE_LENGTH);
            if text != *wanted {
                let wanted = options.quote(wanted, VALUE_LENGTH);
                return Seen::no(format!("{began}, but {pointer} is \"{quoted}\", expected \"{wanted}\""));
            }
            seen.push(format!("{pointer} = \"{quoted}\""));
        }
    }
    if let Some(wanted) = &call.contains {
        let quoted = options.quote(wanted, VALUE_LENGTH);
        if !answer.text().contains(wanted.as_str()) {
            let what = if answer.is_html() { "HTML body" } else { "body" };
            return Seen::no(format!("{began}, but the {what} does not contain \"{quoted}\""));
        }
        seen.push(format!("contains \"{quoted}\""));
    }
    Seen::yes(seen.join(", "))
}

#[cfg(test)]
mod tests;
