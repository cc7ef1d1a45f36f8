//! Looks at the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};

use super::{AT_ONCE, Deadline, unseen, values::Known};
use crate::{
    adapters::kube::{KubeCluster, KubeConnector},
    domain::{
        action::ActionKind,
        director::Director,
        online::{
            actions::actions,
            owners::trackers,
            picture::{ClusterPicture, Found, Looked, Meta, Sync, Tracker, Trouble, Unreached},
            room::added,
        },
        runbook::{Runbook, Target},
        workload::Workload,
    },
    engine::ports::Cluster as _,
};

/// A cluster that has answered.
pub(super) struct Met {
    kube: Arc<KubeCluster>,
    clock: Looked<i64>,
    /// Slots and who is live.
    pub(super) workload: Looked<Workload>,
}

/// Connects, and sees who is live.
pub(super) async fn connect(
    connector: &KubeConnector,
    target: &Target,
    deadline: Deadline,
) -> Result<Met, Unreached> {
    let reached = connector.reach(target.context.as_deref(), deadline.left()).await?;
    let opened = deadline.ask(connector.open(target)).await;
    let kube = opened.map_err(|why| Unreached { kind: Trouble::Other, words: why.why, cure: why.cure })?;
    let workload = deadline.ask(kube.look()).await;
    Ok(Met { kube, clock: reached.ahead, workload })
}

/// Looks at everything that the runbook touches.
pub(super) async fn look(
    runbook: &Runbook,
    target: &Target,
    met: Met,
    known: &Known,
    deadline: Deadline,
) -> ClusterPicture {
    let Met { kube, clock, workload } = met;
    let kube = &kube;
    let rights = kube.rights(runbook);
    let own = target.slots.values().filter_map(|slot| slot.service.clone());
    // Without a Service of its own a route's target is called as the route is.
    let common = match &target.director {
        Director::Route(route) if route.name == target.service => None,
        _ => Some(target.service.clone()),
    };
    let services: BTreeSet<String> = own.chain(common).collect();
    let deployments: BTreeSet<String> = target.slots.values().map(|slot| slot.deployment.clone()).collect();
    let route = async {
        let Director::Route(route) = &target.director else { return None };
        let seen = deadline.ask(kube.inspect_route(&route.name, &route.rule)).await;
        Some((route.name.clone(), route.rule.clone(), seen))
    };
    let services = each(services, async |name| deadline.ask(kube.inspect_service(&name)).await);
    let deployments = each(deployments, async |name| deadline.ask(kube.inspect_deployment(&name)).await);
    let (identity, access, services, route, deployments, autoscalers, budgets, quotas, limits, patched) = tokio::join!(
        kube.identity(),
        deadline.ask(kube.access(&rights)),
        services,
        route,
        deployments,
        deadline.ask(kube.inspect_autoscalers()),
        deadline.ask(kube.budgets()),
        deadline.ask(kube.quotas()),
        deadline.ask(kube.limit_ranges()),
        patched(runbook, kube, known, deadline),
    );
    let mut picture = ClusterPicture {
        identity: identity.unwrap_or_default(),
        user: kube.user(),
        clock,
        rights: rights.len(),
        missing: access.map(|access| access.missing),
        workload,
        services,
        route,
        deployments,
        autoscalers,
        budgets,
        quotas,
        limits,
        trackers: BTreeMap::new(),
        room: BTreeMap::new(),
        patched,
    };
    // What owns the objects, and whether there is room, can only be asked for once they are known.
    (picture.trackers, picture.room) =
        tokio::join!(owners(&picture, kube, deadline), room(runbook, target, &picture, kube, deadline));
    picture
}

async fn owners(
    picture: &ClusterPicture,
    kube: &KubeCluster,
    deadline: Deadline,
) -> BTreeMap<Tracker, Looked<Sync>> {
    let owners: BTreeSet<Tracker> = metas(picture).into_iter().flat_map(trackers).collect();
    each(owners, async |tracker| sync_of(kube, &tracker, deadline).await).await
}

/// Whether the nodes have room for the pods that the run adds, by Deployment.
async fn room(
    runbook: &Runbook,
    target: &Target,
    picture: &ClusterPicture,
    kube: &KubeCluster,
    deadline: Deadline,
) -> BTreeMap<String, Looked<(bool, String)>> {
    let added: BTreeMap<String, u32> = added(runbook, target, picture);
    each(added.keys().cloned().collect(), async |deployment| {
        let slot = target.slots.iter().find(|(_, slot)| slot.deployment == deployment).map(|(name, _)| name);
        let more = added.get(&deployment).copied().unwrap_or(0);
        let slot = slot.cloned().unwrap_or_else(|| deployment.as_str().into());
        deadline.ask(kube.headroom(&slot, more)).await.map(|seen| (seen.holds, seen.evidence))
    })
    .await
}

/// Looks at many things of a kind, a few at a time.
async fn each<K: Ord + Clone, T>(keys: BTreeSet<K>, look: impl AsyncFn(K) -> T) -> BTreeMap<K, T> {
    let look = &look;
    let looks = stream::iter(keys).map(|key| async move { (key.clone(), look(key).await) });
    looks.buffer_unordered(AT_ONCE).collect().await
}

async fn sync_of(kube: &KubeCluster, tracker: &Tracker, deadline: Deadline) -> Looked<Sync> {
    deadline.look(kube.sync_of(tracker)).await?.map_err(|fault| unseen(&fault))
}

/// Of what is there: the rest has been told as missing.
fn metas(picture: &ClusterPicture) -> Vec<&Meta> {
    let mut all = Vec::new();
    for seen in picture.deployments.values() {
        if let Ok(Found::There(it)) = seen {
            all.push(&it.meta);
        }
    }
    for seen in picture.services.values() {
        if let Ok(Found::There(it)) = seen {
            all.push(&it.meta);
        }
    }
    if let Some((_, _, Ok(Found::There(it)))) = &picture.route {
        all.push(&it.meta);
    }
    all
}

/// Whether the objects of `patch` actions are there.
async fn patched(
    runbook: &Runbook,
    kube: &KubeCluster,
    known: &Known,
    deadline: Deadline,
) -> Vec<(String, String, Looked<bool>)> {
    let mut wanted = BTreeSet::new();
    let mut found = Vec::new();
    for act in actions(runbook) {
        let ActionKind::Patch(patch) = &act.it.kind else { continue };
        match known.text(&patch.name) {
            Ok(name) => drop(wanted.insert((patch.kind.clone(), name))),
            Err(why) => found.push((patch.kind.clone(), patch.name.as_str().to_owned(), Err(why))),
        }
    }
    let seen = each(wanted, async |(kind, name)| deadline.ask(kube.has_object(&kind, &name)).await).await;
    found.extend(seen.into_iter().map(|((kind, name), seen)| (kind, name, seen)));
    found
}
