//! The only file that knows all layers: it puts ports, engine and screens together.

use std::{path::Path, sync::Arc};

use color_eyre::eyre::{WrapErr as _, eyre};

use super::{exit::Exit, told::Told};
use crate::{
    adapters::{
        clock::{FastClock, SystemClock},
        http::{HttpOptions, NetworkAdapter, Proxying},
        kube::{KubeCluster, KubeConnector},
        metrics::MetricsAdapter,
        notify::WebhookNotifier,
        process::{Filter, LocalShell},
        rehearsal::{Inbox, RehearsalShell},
    },
    domain::{
        action::ActionKind,
        message::Update,
        run::tag_of,
        runbook::{Runbook, SourceKind},
        time::{Span, Timestamp},
    },
    engine::{
        mask::StreamMasker,
        messages::UpdateSink,
        ports::{Clock, Cluster, Fault, Network, Notifier, PortResult, Ports, Shell},
        values::{Secrets, Values},
    },
    link,
    world::{
        clock::WorldClock,
        cluster::Cluster as WorldCluster,
        network::{Network as WorldNetwork, NetworkConfig},
        scenario::Scenario,
        stage::{FurnishedSlot, Furniture},
    },
};

impl UpdateSink for link::Server {
    fn send(&self, update: &Update) -> bool {
        Self::send(self, update)
    }
}

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
    _simulated: Option<(Arc<WorldCluster>, Arc<WorldNetwork>)>,
}

impl World {
    /// All ports, once variables have their values; `taken_up` where another engine has left the run.
    ///
    /// # Errors
    /// If a source's URL or credentials are no good.
    pub fn ports(&self, runbook: &Runbook, values: &Values, taken_up: bool) -> color_eyre::Result<Ports> {
        let expand = |template: &crate::domain::template::Template| values.expand(template);
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

/// The cluster alone, for what is asked of it without a flight.
///
/// # Errors
/// If the runbook has no target, or the cluster does not answer.
pub async fn cluster(runbook: &Runbook) -> color_eyre::Result<Arc<KubeCluster>> {
    let target =
        runbook.target.as_ref().ok_or_else(|| Told::unfit("the runbook has no [target], so no cluster"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    connected(KubeConnector::from_environment(clock).open(target).await)
}

/// A kubeconfig that can't be used, or has no such context, is the person's to mend, not the runbook's.
fn connected<T>(opened: PortResult<T>) -> color_eyre::Result<T> {
    opened.map_err(|error| match error.kind {
        Fault::Failed | Fault::NotFound => Told { exit: Exit::Usage, message: error.message }.into(),
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
) -> color_eyre::Result<World> {
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
        _simulated: None,
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

/// The rehearsal's world, furnished as the runbook needs it.
///
/// # Errors
/// If a loopback port can't be had.
pub async fn rehearsal(
    runbook: &Runbook,
    scenario: Scenario,
    speed: f64,
    secrets: &Arc<Secrets>,
) -> color_eyre::Result<World> {
    let clock = FastClock::new(speed);
    let now = clock.now_fn();
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let world_clock = WorldClock::new(now, clock.speed());
    let furniture = furnish(runbook);
    let world = WorldCluster::start(furniture.clone(), scenario, world_clock.clone())
        .await
        .wrap_err("the simulated cluster can't be started")?;
    let config = NetworkConfig {
        furniture,
        scenario,
        clock: world_clock,
        stage: Arc::clone(&world) as _,
        prometheus_hosts: prometheus_hosts(runbook),
        seed: 1,
    };
    let network = WorldNetwork::start(config).await.wrap_err("the simulated network can't be started")?;
    let resolver = Arc::clone(&network);
    let options = HttpOptions {
        proxy: Proxying::Through(network.proxy_url()),
        extra_ca_pem: Some(network.ca_pem().to_owned()),
        tls_override: Some(network.tls_addr()),
        resolver: Some(Arc::new(move |name| resolver.resolve(name))),
        mask: Some(mask(secrets)),
    };
    let kube = match &runbook.target {
        Some(target) => {
            let connector = KubeConnector::from_kubeconfig_text(world.kubeconfig(), Arc::clone(&clock));
            Some(connector.open(target).await?)
        }
        None => None,
    };
    Ok(World {
        cluster: kube.clone().map(|kube| kube as _),
        kube,
        network: Arc::new(NetworkAdapter::new(options.clone())?),
        shell: Arc::new(RehearsalShell::new(Arc::clone(&clock), scenario == Scenario::MigrationFails)),
        notifier: Arc::new(Inbox::default()),
        clock,
        options,
        kubeconfig: Some(world.kubeconfig()),
        _simulated: Some((world, network)),
    })
}

/// What the world must hold for a runbook.
fn furnish(runbook: &Runbook) -> Furniture {
    let target = runbook.target.as_ref();
    let slots = target.map(|target| {
        let furnished = |slot: &crate::domain::runbook::Slot| FurnishedSlot {
            deployment: slot.deployment.clone(),
            selector: slot.selector.clone(),
        };
        target.slots.iter().map(|(name, slot)| (name.0.clone(), furnished(slot))).collect()
    });
    let slots: std::collections::BTreeMap<String, FurnishedSlot> = slots.unwrap_or_default();
    let window =
        runbook.steps.iter().find_map(|step| step.window).map_or(Span::from_mins(15), |window| window.lasts);
    Furniture {
        namespace: target.map_or_else(|| "default".to_owned(), |target| target.namespace.clone()),
        service: target.map_or_else(|| "app".to_owned(), |target| target.service.clone()),
        live: slots.keys().next().cloned().unwrap_or_default(),
        slots,
        container: target.map_or_else(|| "app".to_owned(), |target| target.container.clone()),
        image: image_before(runbook),
        replicas: 3,
        context: target.and_then(|target| target.context.clone()).unwrap_or_else(|| "rehearsal".to_owned()),
        window_ms: i64::try_from(window.as_millis()).unwrap_or(900_000),
    }
}

/// The image that runs before the deployment: the new one's name with an earlier tag.
fn image_before(runbook: &Runbook) -> String {
    let sample =
        |name: &str| runbook.vars.iter().find(|var| var.name == name).and_then(|var| var.sample.clone());
    let image = runbook.steps.iter().flat_map(|step| &step.run).find_map(|action| match &action.kind {
        ActionKind::SetImage { image, .. } => Some(image.show(sample)),
        _ => None,
    });
    let image = image.unwrap_or_else(|| "registry.example.com/app:v1.6.0".to_owned());
    let tag = tag_of(&image);
    image
        .strip_suffix(tag)
        .map_or_else(|| format!("{image}:before"), |name| format!("{name}{}", tag_before(tag)))
}

/// `v1.6.0` → `v1.5.0`; anything that is no version gets `-before`.
fn tag_before(tag: &str) -> String {
    let mut parts: Vec<String> = tag.split('.').map(str::to_owned).collect();
    let minor =
        parts.get(1).and_then(|minor| minor.parse::<u32>().ok()).and_then(|minor| minor.checked_sub(1));
    match (minor, parts.get_mut(1)) {
        (Some(minor), Some(part)) => {
            *part = minor.to_string();
            parts.join(".")
        }
        _ => format!("{}-before", tag.trim_start_matches('$')),
    }
}

fn prometheus_hosts(runbook: &Runbook) -> Vec<String> {
    runbook
        .sources
        .values()
        .filter_map(|source| match &source.kind {
            SourceKind::Prometheus { url } => url::Url::parse(url.as_str()).ok(),
            SourceKind::Scrape { .. } => None,
        })
        .filter_map(|url| url.host_str().map(str::to_owned))
        .collect()
}

/// The text of a file that must be a runbook, with its name for messages.
///
/// # Errors
/// If it can't be read.
pub fn read_runbook(path: &Path) -> color_eyre::Result<String> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => color_eyre::Report::new(Told {
            exit: Exit::Usage,
            message: format!("there is no {}; `cutover rehearse` flies the built-in runbook", path.display()),
        }),
        _ => eyre!("cannot read {}: {error}", path.display()),
    })?;
    String::from_utf8(bytes).map_err(|_| eyre!("{} is not UTF-8 text", path.display()))
}
