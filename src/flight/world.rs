//! Everything outside that a run touches, real or simulated: the ports with what is behind them.

mod remains;
mod simulated;

use std::{path::Path, sync::Arc};

pub use simulated::simulated;

use super::stop::{Stop, clauses};
use crate::{
    adapters::{
        clock::SystemClock,
        http::{HttpOptions, NetworkAdapter},
        kube::{KubeCluster, KubeConnector},
        metrics::MetricsAdapter,
        notify::WebhookNotifier,
        process::{Filter, LocalShell},
    },
    domain::{runbook::Runbook, template::Template, time::Timestamp},
    engine::{
        mask::StreamMasker,
        ports::{Clock, Cluster, Fault, Network, Notifier, PortResult, Ports, Shell},
        values::{Secrets, Values},
    },
    world::{cluster::Cluster as WorldCluster, network::Network as WorldNetwork},
};

/// Everything outside, real or simulated, but the metrics: their sources may need variables that are known only when the
/// run opens.
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Kubernetes, where the runbook has a target.
    pub cluster: Option<Arc<dyn Cluster>>,
    /// The same, with what goes beyond the port: the target's lock, copies of journals.
    pub kube: Option<Arc<KubeCluster>>,
    network: Arc<dyn Network>,
    shell: Arc<dyn Shell>,
    notifier: Arc<dyn Notifier>,
    options: HttpOptions,
    /// The simulated cluster's kubeconfig, in a rehearsal.
    pub kubeconfig: Option<String>,
    /// The simulated servers live as long as this.
    simulated: Option<(Arc<WorldCluster>, Arc<WorldNetwork>)>,
}

impl World {
    /// All ports, once variables have their values; `taken_up` where another engine has left the run.
    ///
    /// # Errors
    /// If a source's URL or credentials are no good.
    pub fn ports(&self, runbook: &Runbook, values: &Values, taken_up: bool) -> Result<Ports, Stop> {
        let expand = |template: &Template| values.expand(template);
        let metrics = if taken_up {
            MetricsAdapter::taken_up(&runbook.sources, expand, &self.options)?
        } else {
            MetricsAdapter::new(&runbook.sources, expand, &self.options)?
        };
        let metrics = metrics.at_speed(self.clock.speed());
        Ok(Ports {
            clock: Arc::clone(&self.clock),
            cluster: self.cluster.clone(),
            metrics: Arc::new(metrics),
            network: Arc::clone(&self.network),
            shell: Arc::clone(&self.shell),
            notifier: Arc::clone(&self.notifier),
        })
    }
}

/// A kubeconfig that can't be used, or has no such context, is the person's to mend, not the runbook's.
pub(super) fn connected<T>(opened: PortResult<T>) -> Result<T, Stop> {
    opened.map_err(|error| match error.kind {
        Fault::Failed | Fault::NotFound => Stop::usage(clauses(&error.message)),
        Fault::Unavailable | Fault::Unknown | Fault::Denied | Fault::Conflict => error.into(),
    })
}

/// The real world.
///
/// # Errors
/// If the cluster does not answer or an adapter can't be set up; the sentence says what to do.
pub async fn real(
    runbook: &Runbook,
    runbook_path: &Path,
    secrets: &Arc<Secrets>,
    not_before: Option<Timestamp>,
) -> Result<World, Stop> {
    let clock: Arc<dyn Clock> = Arc::new(not_before.map_or_else(SystemClock::new, SystemClock::not_before));
    let options = HttpOptions { mask: Some(mask(secrets)), ..HttpOptions::default() };
    let kube = match &runbook.target {
        Some(target) => {
            Some(connected(KubeConnector::from_environment(Arc::clone(&clock)).open(target).await)?)
        }
        None => None,
    };
    let cwd = runbook_path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    Ok(World {
        cluster: kube.clone().map(|kube| kube as _),
        kube,
        network: Arc::new(NetworkAdapter::new(options.clone())?),
        shell: Arc::new(LocalShell::new(cwd, filters(secrets))),
        notifier: Arc::new(WebhookNotifier::new(&options)?),
        clock,
        options,
        kubeconfig: None,
        simulated: None,
    })
}

fn mask(secrets: &Arc<Secrets>) -> Arc<dyn Fn(&str) -> String + Send + Sync> {
    let secrets = Arc::clone(secrets);
    Arc::new(move |text| secrets.mask(text))
}

/// Each command's output goes through a masker of its own that knows the secrets of the moment it starts.
fn filters(secrets: &Arc<Secrets>) -> Arc<dyn Fn() -> Filter + Send + Sync> {
    let secrets = Arc::clone(secrets);
    Arc::new(move || {
        let mut stream = StreamMasker::new(secrets.masker());
        Box::new(move |piece, pass| match piece {
            Some(piece) => pass(&stream.push(piece)),
            None => pass(&stream.finish()),
        })
    })
}
