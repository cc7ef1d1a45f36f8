//! The simulated network: every host name in the runbook's URLs leads into the rehearsal.
//!
//! ```text
//! HTTP client --- proxy ---+-- http://host/path                        --+
//!                          +-- CONNECT host:443, TLS with our own CA   --+--> who is `host`?
//! certificate check ----------- TLS listener, the same certificates    --+      a Prometheus   -> its API
//! Prometheus client ----------- plain listener                        ---+      a slot's door  -> that slot's pods
//!                                                                               /health, …     -> the live slot's pods
//!                                                                               a POST         -> the inbox
//!                                                                               anything else  -> a small, healthy JSON
//! ```
//!
//! Nothing leaves the machine: all listeners are on the loopback address, and no name is looked up.

mod authority;
mod serve;
mod site;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{net::TcpListener, sync::watch};

use self::{authority::Authority, serve::Entrance, site::Site};
use super::{
    clock::WorldClock,
    metrics,
    scenario::Scenario,
    stage::{Furniture, Stage},
    traffic::Users,
};

/// The address of the load balancer, for every name: from the block reserved for documentation, so nobody's.
const LOAD_BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));

/// What the network is made of.
pub struct NetworkConfig {
    /// The names of things.
    pub furniture: Furniture,
    /// The story told.
    pub scenario: Scenario,
    /// Simulated time.
    pub clock: WorldClock,
    /// The cluster that the traffic goes to.
    pub stage: Arc<dyn Stage>,
    /// Hosts that are a Prometheus: `host` for any port or `host:port`.
    pub prometheus_hosts: Vec<String>,
    /// Decides the noise; the same seed tells the same story.
    pub seed: u64,
}

impl std::fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkConfig")
            .field("scenario", &self.scenario)
            .field("prometheus_hosts", &self.prometheus_hosts)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// The running network. Dropping it closes all listeners and connections.
pub struct Network {
    site: Arc<Site>,
    proxy: SocketAddr,
    prometheus: SocketAddr,
    tls: SocketAddr,
    /// Its closing is what stops all tasks.
    _running: watch::Sender<()>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("proxy", &self.proxy)
            .field("prometheus", &self.prometheus)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// Opens the listeners and begins to simulate. Needs a tokio runtime.
    ///
    /// # Errors
    /// Where no loopback port can be had or no certificate authority can be made.
    pub async fn start(config: NetworkConfig) -> io::Result<Arc<Self>> {
        Self::start_with(config, metrics::Settings::default()).await
    }

    /// As [`Network::start`], with a Prometheus that scrapes and remembers as `settings` say.
    ///
    /// # Errors
    /// As [`Network::start`].
    pub async fn start_with(config: NetworkConfig, settings: metrics::Settings) -> io::Result<Arc<Self>> {
        let authority = Authority::new(config.clock.now_ms()).map_err(io::Error::other)?;
        let site = Arc::new(Site::new(config, settings, authority));
        let (running, stop) = watch::channel(());
        let mut open = Vec::with_capacity(3);
        for entrance in [Entrance::Proxy, Entrance::Prometheus, Entrance::Tls] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            open.push(listener.local_addr()?);
            serve::spawn(&stop, serve::listen(listener, entrance, Arc::clone(&site), stop.clone()));
        }
        serve::spawn(&stop, Arc::clone(&site).keep_up());
        let &[proxy, prometheus, tls] = &open[..] else {
            return Err(io::Error::other("a listener is missing"));
        };
        Ok(Arc::new(Self { site, proxy, prometheus, tls, _running: running }))
    }

    /// The forward proxy for an HTTP client, say `http://127.0.0.1:40001`.
    #[must_use]
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// The simulated Prometheus without a proxy between, say `http://127.0.0.1:40002`.
    #[must_use]
    pub fn prometheus_url(&self) -> String {
        format!("http://{}", self.prometheus)
    }

    /// The listener that speaks TLS at once, with a certificate for whatever name the client asks for.
    #[must_use]
    pub fn tls_addr(&self) -> SocketAddr {
        self.tls
    }

    /// The certificate of the authority that signs all others, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.site.authority().ca_pem()
    }

    /// What a DNS server would answer for `name`: the load balancer's address, nothing (NXDOMAIN) under `.invalid`, and an
    /// address for itself.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Vec<IpAddr> {
        resolve(name)
    }

    /// Writes that went to hosts outside the application, oldest first, as URL and body. The last thousand are kept.
    #[must_use]
    pub fn inbox(&self) -> Vec<(String, String)> {
        self.site.inbox()
    }

    /// What the users met since the world began: how many requests there were, and how many failed.
    #[must_use]
    pub fn users(&self) -> Users {
        self.site.users()
    }

    /// Whether the scenario has taken the metrics servers down.
    #[must_use]
    pub fn is_metrics_outage(&self) -> bool {
        self.site.observe(|view| view.telemetry.traffic().is_metrics_outage())
    }
}

fn resolve(name: &str) -> Vec<IpAddr> {
    if let Ok(address) = name.trim_matches(['[', ']']).parse() {
        return vec![address];
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() || name == "invalid" || name.ends_with(".invalid") {
        return Vec::new();
    }
    vec![LOAD_BALANCER]
}

#[cfg(test)]
mod tests;
