//! What can go wrong with a request, and the message for it.
//!
//! The distinction that matters for writes is whether the API server can have acted: a request that never left and an
//! answer of 4xx prove that nothing was done; silence, a broken connection and any 5xx prove nothing.

use std::time::Duration;

use hyper_util::client::legacy;

use crate::{
    domain::safe_text::SafeText,
    engine::ports::{Fault, PortError},
};

use super::{
    call::{Call, HTTP_ROUTES},
    cause::cause,
    credentials::Session,
};

/// Why one exchange with the API server gave nothing usable.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The request never left this host.
    NotSent(String),
    /// No credentials could be had for it; it never left.
    NoCredentials(String),
    /// It was not sent because the fence forbade it.
    Fenced(PortError),
    /// It left, and no whole answer came.
    Lost(String),
    /// The API server, or something before it, answered with an error.
    Answer {
        /// The HTTP status.
        code: u16,
        /// The machine's word: `Conflict`, `NotFound`; may be empty.
        reason: String,
        /// The words for people, made safe.
        message: String,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The answer is no JSON that fits.
    Unreadable(String),
}

impl Failure {
    /// The failure for an answer that is not 2xx.
    pub(super) fn answer(code: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let status: Option<kube::core::Status> = serde_json::from_slice(body).ok();
        let status = status.filter(|status| !(status.message.is_empty() && status.reason.is_empty()));
        let (reason, message) = match status {
            Some(status) => (status.reason, SafeText::from(status.message).into()),
            None => (String::new(), beginning(body)),
        };
        Self::Answer { code, reason, message, retry_after }
    }

    /// The failure for an error of the client.
    pub(super) fn client(fault: &kube::Error) -> Self {
        match fault {
            kube::Error::Auth(_) => Self::NoCredentials(cause(fault)),
            kube::Error::Service(inner) => {
                if inner.downcast_ref::<kube::client::AuthError>().is_some() {
                    Self::NoCredentials(cause(fault))
                } else if inner.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
                    Self::NotSent(cause(fault))
                } else {
                    Self::Lost(cause(fault))
                }
            }
            kube::Error::HttpError(_) | kube::Error::BuildRequest(_) => Self::NotSent(cause(fault)),
            _ => Self::Lost(cause(fault)),
        }
    }

    /// The HTTP status, where there is one.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Answer { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether a write was refused, and never will be applied, since its object is not the one that it was for: another version,
    /// or recreated. Servers tell the second as a value that cannot be changed (422).
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Self::Answer { code, message, .. } => *code == 409 || (*code == 422 && names_uid(message)),
            _ => false,
        }
    }

    /// Whether the API server may have acted, or may still act, on a write that ended so.
    pub(super) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Unreadable(_) => true,
            Self::Answer { code, .. } => *code >= 500,
            Self::NotSent(_) | Self::NoCredentials(_) | Self::Fenced(_) => false,
        }
    }

    /// Whether a read that ended so is worth another try, and how long the server wants us to wait.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::Lost(_) => true,
            Self::Answer { code, .. } => *code == 429 || *code >= 500,
            Self::NoCredentials(_) | Self::Fenced(_) | Self::Unreadable(_) => false,
        }
    }

    /// Seconds the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The fault as the engine and a person get it.
    pub(super) fn told(&self, call: &Call, session: &Session) -> PortError {
        let words = call.words();
        let server = &session.server;
        match self {
            Self::Fenced(fault) => fault.clone(),
            Self::NotSent(why) => PortError::unavailable(format!(
                "cannot {words}: the API server {server} cannot be reached ({why}); check the network, the VPN and the proxy"
            )),
            Self::NoCredentials(why) => PortError::new(
                Fault::Unavailable,
                format!(
                    "cannot {words}: no credentials for user `{}` ({why}); {}",
                    session.login.user(),
                    session.login.advice()
                ),
            ),
            Self::Lost(why) if call.writes => PortError::new(
                Fault::Unknown,
                format!(
                    "no answer to `{words}` from {server} ({why}); it may have been done: look before trying again"
                ),
            ),
            Self::Lost(why) => PortError::unavailable(format!(
                "cannot {words}: no answer from the API server {server} ({why}); check the network, the VPN and the proxy"
            )),
            Self::Unreadable(why) if call.writes => PortError::new(
                Fault::Unknown,
                format!(
                    "the answer from {server} to `{words}` is not from the API server ({why}); it may have \
                     been done: look before trying again, and check for a proxy in between"
                ),
            ),
            Self::Unreadable(why) => PortError::failed(format!(
                "cannot {words}: the answer from {server} is not from an API server ({why}); check the \
                 server's URL"
            )),
            Self::Answer { code, reason, message, retry_after } => {
                answered(call, session, (*code, reason, message), *retry_after)
            }
        }
    }
}

/// The sentence for an error that the API server answered with.
fn answered(
    call: &Call,
    session: &Session,
    (code, reason, message): (u16, &str, &str),
    retry_after: Option<Duration>,
) -> PortError {
    let words = call.words();
    let says = if message.is_empty() { String::new() } else { format!(": {message}") };
    match code {
        401 => PortError::new(
            Fault::Unavailable,
            format!(
                "cannot {words}: the API server no longer accepts the credentials of user `{}`; {}",
                session.login.user(),
                session.login.advice()
            ),
        ),
        403 => denied(call, &words, &says),
        // A path that nothing serves is answered as an object that is not there is, but for the object's name.
        404 if is_of_missing_kind(call, message) => PortError::failed(format!(
            "the Gateway API v1 is not installed in this cluster: {} has no {}; install its CRDs, or direct traffic by a \
             Service",
            session.server,
            HTTP_ROUTES.in_roles()
        )),
        404 if call.name.is_some() => PortError::new(
            Fault::NotFound,
            format!("{} does not exist{} on {}{says}", call.object(), namespace_clause(call), session.server),
        ),
        404 => PortError::new(
            Fault::NotFound,
            format!("the API server {} does not know {}{says}", session.server, call.object()),
        ),
        409 => PortError::new(
            Fault::Conflict,
            format!("cannot {words}: somebody else changed it meanwhile{says}"),
        ),
        422 if names_uid(message) => PortError::new(
            Fault::Conflict,
            format!("cannot {words}: it was deleted and recreated meanwhile{says}"),
        ),
        415 => PortError::failed(format!(
            "cannot {words}: this kind does not support that patch type; use `merge` or `json`{says}"
        )),
        422 => PortError::failed(format!("cannot {words}: the API server rejected the value{says}")),
        429 => {
            let wait = retry_after.map(|wait| format!(" in {} s", wait.as_secs())).unwrap_or_default();
            PortError::unavailable(format!(
                "cannot {words}: the API server is overloaded; try again{wait}{says}"
            ))
        }
        500.. if call.writes => PortError::new(
            Fault::Unknown,
            format!(
                "the API server answered {code} to `{words}`{says}; it may have been done: look before trying again"
            ),
        ),
        _ => {
            let reason =
                if reason.is_empty() { String::new() } else { format!(" {}", SafeText::new(reason)) };
            let kind = if code >= 500 { Fault::Unavailable } else { Fault::Failed };
            PortError::new(kind, format!("cannot {words}: the API server answered {code}{reason}{says}"))
        }
    }
}

/// A refusal by RBAC, with the right to ask for as a role names it.
fn denied(call: &Call, words: &str, says: &str) -> PortError {
    let resource = call.resource.as_ref().map_or_else(|| call.object(), super::call::Resource::in_roles);
    let place = call
        .namespace
        .as_ref()
        .map_or_else(|| " in the cluster".to_owned(), |ns| format!(" in namespace {ns}"));
    PortError::new(
        Fault::Denied,
        format!("not allowed to {words}; ask for the verb `{}` on `{resource}`{place}{says}", call.verb),
    )
}

/// Whether a "not found" is about the kind of a route, and not about the one route that was asked for.
fn is_of_missing_kind(call: &Call, message: &str) -> bool {
    let routes = call.resource.as_ref().is_some_and(|resource| resource.group == HTTP_ROUTES.group);
    routes && call.name.as_ref().is_none_or(|name| !message.contains(&format!("\"{name}\"")))
}

/// Whether a refusal is about the object's uid, which every write of ours carries.
fn names_uid(message: &str) -> bool {
    message.contains("metadata.uid: ")
}

fn namespace_clause(call: &Call) -> String {
    call.namespace.as_ref().map(|name| format!(" in namespace {name}")).unwrap_or_default()
}

/// The beginning of a body that is no Status, as one safe line: usually a proxy's page.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..4096).unwrap_or(body));
    let line: Vec<&str> = text.split_whitespace().collect();
    let line: String = line.join(" ").chars().take(160).collect();
    SafeText::from(line).into()
}
