//! What the listeners serve: traffic, the simulated Prometheus, the application and the inbox, chosen by host name.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::{NetworkConfig, authority::Authority};
use crate::world::{
    clock::WorldClock,
    metrics::{Settings, Telemetry, api},
    reply::Reply,
    service::{self, Door},
    stage::{Picture, Stage},
    traffic::Users,
};

/// Writes that the inbox keeps.
const INBOX: usize = 1_000;

/// The world catches up at least this often in real time, whatever its speed.
const LONGEST_REST: Duration = Duration::from_secs(1);
const SHORTEST_REST: Duration = Duration::from_millis(25);

/// A request as the routes need it: all of it, read to its end.
#[derive(Debug)]
pub(super) struct Asked {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Name and port, say `api.example.com:443`.
    pub(super) authority: String,
    pub(super) method: hyper::Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Vec<u8>,
}

impl Asked {
    /// The name without the port.
    pub(super) fn host(&self) -> &str {
        host(&self.authority)
    }

    fn url(&self) -> String {
        let port = if self.scheme == "https" { ":443" } else { ":80" };
        let authority = self.authority.strip_suffix(port).unwrap_or(&self.authority);
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{}://{authority}{}{query}", self.scheme, self.path)
    }

    fn reads(&self) -> bool {
        self.method == hyper::Method::GET || self.method == hyper::Method::HEAD
    }
}

/// The host of an authority: without the port, lower case.
pub(super) fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// How a dead server shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    /// The connection is closed without a word.
    Refused,
    /// Nothing ever comes.
    Silent,
    /// 503.
    Unavailable,
}

/// What a request gets.
#[derive(Debug)]
pub(super) enum Answer {
    Reply(Reply),
    Outage(Outage),
}

/// The world at one moment.
pub(super) struct View<'a> {
    pub(super) telemetry: &'a Telemetry,
    pub(super) picture: &'a Picture,
    pub(super) now_ms: i64,
}

/// Everything that the listeners share.
pub(super) struct Site {
    clock: WorldClock,
    stage: Arc<dyn Stage>,
    slots: Vec<String>,
    prometheus_hosts: Vec<String>,
    telemetry: Mutex<Telemetry>,
    inbox: Mutex<VecDeque<(String, String)>>,
    authority: Arc<Authority>,
    outages: AtomicU8,
    /// Requests at the front door so far.
    turns: AtomicU64,
}

impl Site {
    pub(super) fn new(config: NetworkConfig, settings: Settings, authority: Authority) -> Self {
        let NetworkConfig { furniture, scenario, clock, stage, prometheus_hosts, seed } = config;
        let telemetry =
            Telemetry::start(&furniture, scenario, seed, clock.now_ms(), &stage.picture(), settings);
        Self {
            clock,
            stage,
            slots: furniture.slots.into_keys().collect(),
            prometheus_hosts: prometheus_hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            telemetry: Mutex::new(telemetry),
            inbox: Mutex::default(),
            authority: Arc::new(authority),
            outages: AtomicU8::new(0),
            turns: AtomicU64::new(0),
        }
    }

    pub(super) fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    pub(super) fn users(&self) -> Users {
        self.observe(|view| view.telemetry.traffic().users().clone())
    }

    pub(super) fn inbox(&self) -> Vec<(String, String)> {
        lock(&self.inbox).iter().cloned().collect()
    }

    /// Catches up with the clock and lets `look` see the world as it is now.
    pub(super) fn observe<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        // The cluster is asked before our lock is taken: it has locks of its own.
        let since = lock(&self.telemetry).traffic().now_ms();
        let pictures = self.stage.pictures(since);
        let mut telemetry = lock(&self.telemetry);
        let now_ms = self.clock.now_ms();
        telemetry.follow(now_ms, &pictures);
        let nobody = Picture::default();
        let picture = pictures.last().map_or(&nobody, |(_, picture)| picture);
        look(&View { telemetry: &telemetry, picture, now_ms })
    }

    /// Follows the cluster while nobody asks, so that what happens between two requests is seen near its time.
    pub(super) async fn keep_up(self: Arc<Self>) {
        loop {
            let site = Arc::clone(&self);
            // Waiting for a long query to end must not keep other tasks from running.
            if tokio::task::spawn_blocking(move || site.observe(|_| ())).await.is_err() {
                return;
            }
            tokio::time::sleep(self.clock.real(Duration::from_secs(1)).clamp(SHORTEST_REST, LONGEST_REST))
                .await;
        }
    }

    /// Whether `authority` (name and port) is one of the Prometheus hosts.
    pub(super) fn is_prometheus(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        self.prometheus_hosts.iter().any(|known| *known == authority || *known == host(&authority))
    }

    /// Answers as Prometheus.
    pub(super) fn prometheus(&self, asked: &Asked) -> Answer {
        let form = if asked.method == hyper::Method::POST { &asked.body[..] } else { &[] };
        let request = api::Request::new(&asked.path, &asked.query, form);
        self.observe(|view| match self.outage(view) {
            Some(outage) => Answer::Outage(outage),
            None => Answer::Reply(view.telemetry.answer(&request, view.now_ms)),
        })
    }

    /// Answers as whatever the request's host is.
    pub(super) fn answer(&self, asked: &Asked) -> Answer {
        if self.is_prometheus(&asked.authority) {
            return self.prometheus(asked);
        }
        if !asked.reads() {
            self.deliver(asked);
            return Answer::Reply(Reply::text("ok"));
        }
        let label = asked.host().split('.').next().unwrap_or_default();
        let slot = self.slots.iter().find(|slot| slot.eq_ignore_ascii_case(label));
        let is_revision = || self.stage.picture().backends.iter().any(|backend| backend.hash == label);
        let door = match slot {
            Some(slot) => Door::Slot(slot),
            None if service::is_path(&asked.path) && is_revision() => Door::Revision(label),
            None if service::is_path(&asked.path) => Door::Front(self.turns.fetch_add(1, Ordering::Relaxed)),
            // Dashboards, CI, log search: somebody else's service, and well.
            None => {
                return Answer::Reply(Reply::json(
                    200,
                    &json!({ "status": "ok", "state": "success", "conclusion": "success", "database": "ok" }),
                ));
            }
        };
        self.observe(|view| {
            if asked.path == "/metrics"
                && let Some(outage) = self.outage(view)
            {
                return Answer::Outage(outage);
            }
            Answer::Reply(service::answer(door, &asked.path, view.picture, view.telemetry))
        })
    }

    /// How the metrics servers are dead, where they are: each way in turn, since clients fail at different ones.
    fn outage(&self, view: &View<'_>) -> Option<Outage> {
        view.telemetry.traffic().is_metrics_outage().then(|| {
            match self.outages.fetch_add(1, Ordering::Relaxed) % 3 {
                0 => Outage::Refused,
                1 => Outage::Silent,
                _ => Outage::Unavailable,
            }
        })
    }

    fn deliver(&self, asked: &Asked) {
        let mut inbox = lock(&self.inbox);
        if inbox.len() == INBOX {
            inbox.pop_front();
        }
        inbox.push_back((asked.url(), String::from_utf8_lossy(&asked.body).into_owned()));
    }
}

/// A lock whose holder panicked is still a lock: nothing here leaves its data half changed for long.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
