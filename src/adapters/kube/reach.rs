//! Asks an API server who it is, once, and tells apart why it cannot be asked: its name, its certificate, the login, the way there.

use std::{
    error::Error,
    io,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http_body_util::{BodyExt, Limited};
use hyper::header::DATE;
use jiff::fmt::rfc2822;
use k8s_openapi::apimachinery::pkg::version::Info;
use tokio::time::timeout;

use crate::{
    adapters::tls,
    domain::{
        online::picture::{Looked, Trouble, Unreached, Unseen},
        safe_text::SafeText,
    },
    engine::ports::{Fault, PortError},
};

use super::{
    KubeConnector,
    call::Call,
    cause::cause,
    credentials::{Session, open},
};

/// The version is a few hundred bytes.
const MOST: usize = 64 << 10;

/// An API server that has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The context.
    pub context: String,
    /// Its URL.
    pub server: String,
    /// Its version.
    pub version: String,
    /// Milliseconds that its clock is ahead of ours.
    pub ahead: Looked<i64>,
}

impl KubeConnector {
    /// Asks the API server of a context, or of the current one, for its version.
    ///
    /// # Errors
    /// Why there is no answer, by kind.
    pub async fn reach(&self, context: Option<&str>, limit: Duration) -> Result<Reached, Unreached> {
        let session = open(&self.source, context, &self.timing).await.map_err(|fault| not_opened(&fault))?;
        let host = session.server.clone();
        let asked = timeout(limit, ask(&session)).await;
        asked.unwrap_or_else(|_| {
            Err(Unreached {
                kind: Trouble::Silent,
                words: format!("{host} does not answer within {} s", limit.as_secs()),
                cure: "check the network, the VPN and the proxy".to_owned(),
            })
        })
    }
}

/// By kind, so that the cure fits: new credentials, or another context.
fn not_opened(fault: &PortError) -> Unreached {
    let (words, cure) = parted(&fault.message);
    let kind = match fault.kind {
        Fault::Denied | Fault::Unavailable => Trouble::NoCredentials,
        Fault::Failed | Fault::Unknown | Fault::NotFound | Fault::Conflict => Trouble::Kubeconfig,
    };
    Unreached { kind, words, cure }
}

/// A message's last clause says what to do.
fn parted(message: &str) -> (String, String) {
    let cut = message.rfind("; ").or_else(|| message.rfind('\n'));
    match cut {
        Some(at) => (message[..at].to_owned(), message[at + 1..].trim().to_owned()),
        None => (message.to_owned(), "correct the kubeconfig, or set KUBECONFIG to another one".to_owned()),
    }
}

/// `/version` is open to everybody who is logged in, and its answer has the server's clock.
async fn ask(session: &Session) -> Result<Reached, Unreached> {
    let other = |words: String| Unreached {
        kind: Trouble::Other,
        words,
        cure: "check the server's URL in the kubeconfig, and for a proxy in between".to_owned(),
    };
    let request = Call::path("/version").request().map_err(|fault| other(cause(&fault)))?;
    let (wall, began) = (SystemTime::now(), Instant::now());
    let sent = session.client.send(request.map(kube::client::Body::from)).await;
    let response = sent.map_err(|fault| failed(session, &fault))?;
    let took = began.elapsed();
    let ahead = ahead(response.headers().get(DATE).and_then(|date| date.to_str().ok()), wall, took);
    let code = response.status().as_u16();
    let server = &session.server;
    if code == 401 {
        return Err(Unreached {
            kind: Trouble::Expired,
            words: format!(
                "{server} does not accept the login of user `{}` (401): it has expired or was revoked",
                session.login.user()
            ),
            cure: session.login.advice().to_owned(),
        });
    }
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).map_err(|fault| other(cause(&*fault)))?;
    let version = match (code, serde_json::from_slice::<Info>(&body)) {
        (200..300, Ok(info)) => SafeText::from(info.git_version).into(),
        // Some clusters tell strangers nothing.
        (403, _) => "version not told".to_owned(),
        (200..300, Err(_)) => return Err(other(format!("{server} answers, but is no API server"))),
        _ => return Err(other(format!("{server} answers with {code}"))),
    };
    Ok(Reached { context: session.context.clone(), server: server.clone(), version, ahead })
}

/// By how much the time in an answer is ahead of ours in the middle between question and answer. It names whole seconds.
fn ahead(date: Option<&str>, asked: SystemTime, took: Duration) -> Looked<i64> {
    let cure = "compare `date` with a clock you trust";
    let Some(date) = date else { return Err(Unseen::new("the answer has no Date header", cure)) };
    let told = rfc2822::DateTimeParser::new().parse_timestamp(date);
    let told =
        told.map_err(|_| Unseen::new("the Date header of the answer is no date", cure))?.as_millisecond();
    let middle = (asked + took / 2).duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let middle = i64::try_from(middle).unwrap_or(i64::MAX);
    // The second may have been at its beginning or at its end.
    Ok(match middle - told {
        0..1000 => 0,
        behind if behind >= 1000 => -(behind - 999),
        ahead => -ahead,
    })
}

/// A certificate that is refused comes as the cause of a cause: it has a cure of its own, which "connection failed" would
/// hide.
fn failed(session: &Session, fault: &kube::Error) -> Unreached {
    let server = &session.server;
    let causes: Vec<&(dyn Error + 'static)> = chain(fault);
    if let Some(tls_fault) = tls::fault(fault) {
        return Unreached {
            kind: Trouble::Certificate,
            words: tls::describe(tls_fault, server).split("; ").next().unwrap_or_default().to_owned(),
            cure: "set the cluster's certificate-authority in the kubeconfig, or get a fresh kubeconfig from its owners"
                .to_owned(),
        };
    }
    if causes.iter().any(|cause| cause.is::<kube::client::AuthError>())
        || matches!(fault, kube::Error::Auth(_))
    {
        return Unreached {
            kind: Trouble::NoCredentials,
            words: format!("no credentials for user `{}`: {}", session.login.user(), cause(fault)),
            cure: session.login.advice().to_owned(),
        };
    }
    if causes.iter().any(|cause| cause.to_string() == "dns error") {
        return Unreached {
            kind: Trouble::Name,
            words: format!("the name in {server} does not resolve: {}", cause(fault)),
            cure: "check the VPN and the DNS, or correct the server's URL in the kubeconfig".to_owned(),
        };
    }
    let kind = causes.iter().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let (kind, words) = match kind {
        Some(io::ErrorKind::ConnectionRefused) => (Trouble::Refused, format!("{server} refuses connections")),
        Some(io::ErrorKind::TimedOut) => (Trouble::Silent, format!("{server} does not answer")),
        _ => (Trouble::Other, format!("{server} cannot be reached: {}", cause(fault))),
    };
    Unreached {
        kind,
        words,
        cure: "check the network, the VPN and the proxy, and the server's URL".to_owned(),
    }
}

/// An error and its causes.
fn chain<'a>(fault: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let next = |fault: &&'a (dyn Error + 'static)| (*fault).source();
    std::iter::successors(Some(fault), next).take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_whole_seconds_is_not_taken_for_a_difference() {
        let at = |ms: u64| UNIX_EPOCH + Duration::from_millis(ms);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let told = 784_111_777_000;
        let took = Duration::from_millis(20);
        assert_eq!(ahead(Some(date), at(told), took), Ok(0));
        assert_eq!(ahead(Some(date), at(told + 900), took), Ok(0));
        assert_eq!(ahead(Some(date), at(told + 40_990), took), Ok(-40_001));
        assert_eq!(ahead(Some(date), at(told - 40_010), took), Ok(40_000));
        assert!(ahead(None, at(told), took).is_err() && ahead(Some("now"), at(told), took).is_err());
    }

    #[test]
    fn the_last_clause_of_a_message_is_what_to_do() {
        assert_eq!(parted("no; it; do this"), ("no; it".to_owned(), "do this".to_owned()));
    }
}
