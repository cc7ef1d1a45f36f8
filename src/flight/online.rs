//! Looking for `cutover check --online`: the cluster, the metrics, the network and this machine, as a runbook needs them. Nothing
//! is written and nothing is posted; the API server is asked by GET and by access reviews, which create nothing.
//!
//! ```text
//! values ─▶ cluster: who is live ─▶ the rest of the cluster ┐
//!                                   metrics                 ├─▶ picture ─▶ judge (domain::online)
//!                                   network, tools          ┘
//! ```
//!
//! Each look has five seconds and all have thirty. What is not seen by then is told as that.

mod cluster;
mod measured;
mod network;
mod programs;
mod values;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::stop::Stop;
use crate::{
    adapters::{clock::SystemClock, http::HttpOptions, kube::KubeConnector},
    domain::{
        online::{
            finding::Findings,
            judge,
            picture::{Looked, Picture, Unseen},
        },
        runbook::Runbook,
        time::Timestamp,
    },
    engine::{
        ports::{Clock as _, PortError},
        values::Secrets,
    },
};
pub(super) use programs::on_path;
pub(super) use values::Known;

/// One look takes no longer.
const EACH: Duration = Duration::from_secs(5);
/// All looks together take no longer.
const ALL: Duration = Duration::from_secs(30);
/// Looks of one kind under way at the same time.
const AT_ONCE: usize = 16;

/// When all must be over.
#[derive(Debug, Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    /// What a look that begins now may take.
    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now()).min(EACH)
    }

    /// A look within its time.
    async fn look<T>(self, look: impl Future<Output = T>) -> Looked<T> {
        let left = self.left();
        tokio::time::timeout(left, look).await.map_err(|_| {
            Unseen::new(
                format!("no answer within {:.0} s", left.as_secs_f32()),
                "check the network, the VPN and the proxy, and try again",
            )
        })
    }

    /// The same of one that can fail.
    async fn ask<T>(self, look: impl Future<Output = Result<T, PortError>>) -> Looked<T> {
        self.look(look).await?.map_err(|fault| unseen(&fault))
    }
}

/// Why something was not seen, from a port's message: its last clause says what to do.
pub(super) fn unseen(fault: &PortError) -> Unseen {
    let message = fault.message.as_str();
    // What a server says of itself stands behind the advice.
    let cut = message.find("; ask for ").or_else(|| message.rfind("; "));
    match cut {
        Some(at) => {
            let cure = &message[at + 2..];
            Unseen::new(&message[..at], cure.split(": ").next().unwrap_or(cure))
        }
        None => Unseen::new(message, "see to that, and check again"),
    }
}

/// Looks at everything that a runbook will meet, and judges it. `vars` are the values given as `NAME=VALUE`.
///
/// # Errors
/// If a value fits no variable, or the HTTP client can't be set up.
pub async fn look(runbook: &Runbook, path: &Path, vars: &[String]) -> Result<Findings, Stop> {
    let secrets = Arc::new(Secrets::default());
    let mut known = Known::of(runbook, vars, &secrets)?;
    let options = HttpOptions { mask: Some(mask(&secrets)), ..HttpOptions::default() };
    let deadline = Deadline(Instant::now() + ALL);
    let mut picture = Picture::default();
    let connected = match &runbook.target {
        Some(target) => {
            let connector = connector();
            let now = Timestamp(jiff::Timestamp::now().as_millisecond());
            picture.login = connector.login(target.context.as_deref()).ok().map(|login| (login, now));
            Some(cluster::connect(&connector, target, deadline).await)
        }
        None => None,
    };
    let workload =
        connected.as_ref().and_then(|found| Some(found.as_ref().ok()?.workload.as_ref().ok()?.clone()));
    if let (Some(target), Some(workload)) = (&runbook.target, &workload) {
        known.tell_cluster(runbook, target, workload);
    }
    let known = known;
    let cluster = async {
        match (&runbook.target, connected) {
            (Some(target), Some(Ok(met))) => {
                Some(Ok(cluster::look(runbook, target, met, &known, deadline).await))
            }
            (_, Some(Err(why))) => Some(Err(why)),
            _ => None,
        }
    };
    let measured = measured::look(runbook, &known, workload.as_ref(), &options, deadline);
    let tried = network::look(runbook, &known, &options, deadline);
    let (cluster, (measured, clocks), tried) = tokio::join!(cluster, measured, tried);
    picture.cluster = cluster;
    (picture.measured, picture.clocks, picture.tried) = (measured, clocks, tried?);
    picture.tools = programs::look(runbook, path);
    (picture.values, picture.vars) = (known.plain(runbook), known.states);
    Ok(judge(runbook, &picture).masked(|text| secrets.mask(text)))
}

/// A way to the cluster with time limits that fit a look.
pub(super) fn connector() -> KubeConnector {
    let timing = crate::adapters::kube::Timing { read: EACH, login: EACH * 2, ..Default::default() };
    KubeConnector::from_environment(Arc::new(SystemClock::new())).with_timing(timing)
}

fn mask(secrets: &Arc<Secrets>) -> Arc<dyn Fn(&str) -> String + Send + Sync> {
    let secrets = Arc::clone(secrets);
    Arc::new(move |text| secrets.mask(text))
}

/// Now, on this machine's clock.
pub(super) fn now() -> Timestamp {
    SystemClock::new().now()
}
