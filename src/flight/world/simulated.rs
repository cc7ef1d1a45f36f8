//! The world of a rehearsal: simulated servers on loopback ports, furnished as the runbook needs them.

use std::{collections::BTreeMap, sync::Arc};

use color_eyre::eyre::WrapErr as _;

use super::{World, mask};
use crate::{
    adapters::{
        clock::FastClock,
        http::{HttpOptions, NetworkAdapter, Proxying},
        kube::KubeConnector,
        rehearsal::{Inbox, RehearsalShell},
    },
    domain::{
        action::ActionKind,
        director::{Director, RuleRef},
        run::tag_of,
        runbook::{Runbook, Slot, SourceKind, Strategy, Target},
        time::Span,
    },
    engine::{ports::Clock, values::Secrets},
    flight::stop::Stop,
    world::{
        clock::WorldClock,
        cluster::Cluster as WorldCluster,
        network::{Network as WorldNetwork, NetworkConfig},
        scenario::Scenario,
        stage::{Directing, FurnishedSlot, Furniture, Strategy as PodStrategy},
    },
};

/// The rehearsal's world, furnished as the runbook needs it.
///
/// # Errors
/// If a loopback port can't be had.
pub async fn simulated(
    runbook: &Runbook,
    scenario: Scenario,
    speed: f64,
    secrets: &Arc<Secrets>,
) -> Result<World, Stop> {
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
        simulated: Some((world, network)),
    })
}

/// What the world must hold for a runbook.
fn furnish(runbook: &Runbook) -> Furniture {
    let target = runbook.target.as_ref();
    let directing = target.map_or_else(Directing::default, directing);
    let slots = target.map(|target| {
        let furnished = |slot: &Slot| FurnishedSlot {
            deployment: slot.deployment.clone(),
            selector: slot.selector.clone(),
            service: slot.service.clone(),
            replicas: None,
        };
        let slots = target.slots.iter().map(|(name, slot)| (name.0.clone(), furnished(slot)));
        // One Deployment is one slot there, however many revisions it has.
        let one = usize::from(directing == Directing::Rollout);
        slots.take(if one == 1 { 1 } else { usize::MAX }).collect()
    });
    let slots: BTreeMap<String, FurnishedSlot> = slots.unwrap_or_default();
    let live = target.and_then(Target::presumed_live).map(|name| name.0.clone());
    let first = slots.keys().next().cloned();
    let window =
        runbook.steps.iter().find_map(|step| step.window).map_or(Span::from_mins(15), |window| window.lasts);
    Furniture {
        namespace: target.map_or_else(|| "default".to_owned(), |target| target.namespace.clone()),
        service: target.map_or_else(|| "app".to_owned(), |target| target.service.clone()),
        live: live.filter(|name| slots.contains_key(name)).or(first).unwrap_or_default(),
        slots,
        container: target.map_or_else(|| "app".to_owned(), |target| target.container.clone()),
        image: image_before(runbook),
        replicas: 3,
        context: target.and_then(|target| target.context.clone()).unwrap_or_else(|| "rehearsal".to_owned()),
        window_ms: i64::try_from(window.as_millis()).unwrap_or(900_000),
        directing,
        strategy: match runbook.deployment.strategy {
            Strategy::Recreate => PodStrategy::Recreate,
            Strategy::BlueGreen | Strategy::Canary | Strategy::Rolling => PodStrategy::default(),
        },
    }
}

/// A rule by its name is the first one in the simulated route: it has no other.
fn directing(target: &Target) -> Directing {
    match &target.director {
        Director::Selector => Directing::Selector,
        Director::Replicas => Directing::Replicas,
        Director::Rollout => Directing::Rollout,
        Director::Route(route) => Directing::Route {
            name: route.name.clone(),
            rule: match &route.rule {
                RuleRef::Number(number) => *number,
                RuleRef::Name(_) => 0,
            },
        },
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

/// Requests to these are answered by the simulated Prometheus; all other hosts by the simulated service.
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
