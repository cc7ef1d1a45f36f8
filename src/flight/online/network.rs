//! Tries the URLs, certificates and names of checks, and the way to whatever will be written to.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};

use super::{AT_ONCE, Deadline, now, values::Known};
use crate::{
    adapters::{
        connect,
        http::{HttpOptions, NetworkAdapter},
    },
    domain::{
        action::{ActionKind, HttpRequest},
        check::CheckKind,
        online::{
            actions::{actions, checks},
            picture::{Looked, Tried, TriedKind, Unseen},
        },
        runbook::Runbook,
        template::Template,
        time::Span,
    },
    engine::ports::{HttpCall, Network as _, PortResult, Seen},
    flight::stop::Stop,
};

/// What is tried.
#[derive(Clone, PartialEq)]
enum Wanted {
    Http(HttpCall),
    Tls { host: String, port: u16, days: u32 },
    Dns { name: String, expect: String },
    Connect(String),
    Webhook(String),
}

/// All of them, each once.
pub(super) async fn look(
    runbook: &Runbook,
    known: &Known,
    options: &HttpOptions,
    deadline: Deadline,
) -> Result<Vec<Tried>, Stop> {
    let network = NetworkAdapter::new(options.clone())?;
    let network = &network;
    let mut wanted = Attempts::default();
    wanted.add_checks(runbook, known);
    wanted.add_actions(runbook, known);
    let tried = stream::iter(wanted.0).map(async |(about, kind, what)| {
        let seen = match what {
            Ok(what) => attempt(network, what, deadline).await,
            Err(why) => Err(why),
        };
        Tried { about, kind, seen }
    });
    Ok(tried.buffered(AT_ONCE).collect().await)
}

/// What is to be tried, with what it is about.
#[derive(Default)]
struct Attempts(Vec<(String, TriedKind, Looked<Wanted>)>);

impl Attempts {
    /// The same request in two checks is tried once, and told once.
    fn add(&mut self, about: String, kind: TriedKind, what: Looked<Wanted>) {
        let known = self.0.iter().any(|(other, _, it)| match (it, &what) {
            (Ok(it), Ok(what)) => it == what,
            _ => *other == about,
        });
        if !known {
            self.0.push((about, kind, what));
        }
    }

    fn add_checks(&mut self, runbook: &Runbook, known: &Known) {
        for check in checks(runbook) {
            match &check.it.kind {
                // Methods that read are all that a check has; were it another, it would not be sent.
                CheckKind::Http(request) if matches!(request.method.as_str(), "GET" | "HEAD") => {
                    self.add(about(request), TriedKind::Http, call(request, known).map(Wanted::Http));
                }
                CheckKind::Http(request) => self.add_way(request, known),
                CheckKind::Tls { host, port, days } => {
                    let what = known.text(host).map(|host| Wanted::Tls { host, port: *port, days: *days });
                    self.add(format!("certificate of {}", host.as_str()), TriedKind::Tls, what);
                }
                CheckKind::Dns { name, expect } => {
                    let what = known
                        .text(name)
                        .and_then(|name| Ok(Wanted::Dns { name, expect: known.text(expect)? }));
                    self.add(format!("name {}", name.as_str()), TriedKind::Dns, what);
                }
                _ => {}
            }
        }
    }

    /// What is written to is not written to now: only whether somebody is there.
    fn add_actions(&mut self, runbook: &Runbook, known: &Known) {
        let mut tells = !runbook.notify.on.is_empty();
        for act in actions(runbook) {
            match &act.it.kind {
                ActionKind::Http(request) => self.add_way(request, known),
                ActionKind::Notify { .. } => tells = true,
                _ => {}
            }
        }
        if let Some(webhook) = runbook.notify.slack.as_ref().filter(|_| tells) {
            let what = known.text(webhook).map(Wanted::Webhook);
            self.add("webhook of [notify]".to_owned(), TriedKind::Webhook, what);
        }
    }

    fn add_way(&mut self, request: &HttpRequest, known: &Known) {
        self.add(about(request), TriedKind::Connect, known.text(&request.url).map(Wanted::Connect));
    }
}

/// The request as it is written: with names of variables, and not their values.
fn about(request: &HttpRequest) -> String {
    format!("{} {}", request.method, request.url.as_str())
}

/// A header whose variable is not known keeps the whole from being tried: half a request would be refused for the wrong
/// reason.
fn call(request: &HttpRequest, known: &Known) -> Looked<HttpCall> {
    let all = |of: &BTreeMap<String, Template>| -> Looked<BTreeMap<String, String>> {
        of.iter().map(|(name, value)| Ok((name.clone(), known.text(value)?))).collect()
    };
    let maybe = |of: &Option<Template>| of.as_ref().map(|template| known.text(template)).transpose();
    Ok(HttpCall {
        method: request.method.clone(),
        url: known.text(&request.url)?,
        headers: all(&request.headers)?,
        body: maybe(&request.body)?,
        status: request.status,
        json: all(&request.json)?,
        contains: maybe(&request.contains)?,
        timeout: Span::from_secs(5),
    })
}

/// For a webhook only the way is tried: there is no request that a channel would not show to everybody.
async fn attempt(
    network: &NetworkAdapter,
    what: Wanted,
    deadline: Deadline,
) -> Looked<Result<(bool, String), String>> {
    let told = |seen: PortResult<Seen>| match seen {
        Ok(seen) => Ok((seen.holds, seen.evidence)),
        Err(fault) => Err(fault.message),
    };
    let connected = |said: Result<String, String>| said.map(|way| (true, way));
    let left = deadline.left();
    if left.is_zero() {
        return Err(Unseen::new("there was no time left for it", "check again"));
    }
    match what {
        Wanted::Http(call) => deadline.look(network.http(call)).await.map(told),
        Wanted::Tls { host, port, days } => {
            deadline.look(network.tls(&host, port, days, now())).await.map(told)
        }
        Wanted::Dns { name, expect } => deadline.look(network.dns(&name, &expect)).await.map(told),
        Wanted::Connect(url) | Wanted::Webhook(url) => Ok(connected(connect::accepts(&url, left).await)),
    }
}
