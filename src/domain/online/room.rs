//! Whether there is room for the second slot: quotas and nodes; and whether budgets let nodes be drained meanwhile.

use std::collections::BTreeMap;

use super::{
    actions::{actions, slots},
    finding::{Area, Finding},
    limits,
    picture::{Amounts, Budget, ClusterPicture, DeploymentSeen, LimitRange, Quota},
};
use crate::domain::{
    action::{ActionKind, Replicas},
    belief::labels,
    runbook::{Runbook, Target},
};

/// Pods that a run has at most beyond those of now, by Deployment: what it scales up to, and what a rollout adds meanwhile.
pub fn added(runbook: &Runbook, target: &Target, cluster: &ClusterPicture) -> BTreeMap<String, u32> {
    let live = cluster.live();
    let before = live
        .and_then(|live| cluster.deployment(&target.slots.get(live)?.deployment))
        .map_or(0, |deployment| deployment.replicas);
    let mut peaks: BTreeMap<String, u32> = BTreeMap::new();
    for act in actions(runbook) {
        let (slot, wants): (_, &dyn Fn(u32, u32) -> u32) = match &act.it.kind {
            ActionKind::Scale { slot, replicas: Replicas::Count(count) } => (slot, &|_, _| *count),
            ActionKind::Scale { slot, replicas: Replicas::Before } => (slot, &|_, _| before),
            ActionKind::SetImage { slot, .. } | ActionKind::Restart { slot } => {
                (slot, &|replicas, surge| replicas + surge)
            }
            _ => continue,
        };
        for slot in slots(target, live, slot) {
            let Some(slot) = target.slots.get(slot) else { continue };
            let Some(deployment) = cluster.deployment(&slot.deployment) else { continue };
            let peak =
                wants(deployment.replicas, if deployment.replicas == 0 { 0 } else { deployment.surge });
            let known = peaks.entry(slot.deployment.clone()).or_default();
            *known = (*known).max(peak.saturating_sub(deployment.replicas));
        }
    }
    peaks.retain(|_, more| *more > 0);
    peaks
}

pub(super) fn judge(runbook: &Runbook, target: &Target, cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    let added = added(runbook, target, cluster);
    let none = Vec::new();
    let ranges = match &cluster.limits {
        Ok(ranges) => ranges,
        Err(why) => {
            found.push(Finding::not_looked_at(Area::Room, "limitranges", why));
            &none
        }
    };
    let grown = added.keys().filter_map(|name| Some((name, cluster.deployment(name)?)));
    found.extend(grown.filter_map(|(name, deployment)| limits::refused(name, deployment, ranges)));
    match &cluster.quotas {
        Ok(quotas) => {
            for quota in quotas {
                quota_of(quota, &added, cluster, ranges, found);
            }
        }
        Err(why) => found.push(Finding::not_looked_at(Area::Room, "resourcequotas", why)),
    }
    for (deployment, more) in &added {
        let about = format!("deployment/{deployment}");
        match cluster.room.get(deployment) {
            Some(Ok((true, evidence))) => found.push(Finding::fine(Area::Room, about, evidence.clone())),
            Some(Ok((false, evidence))) => found.push(Finding::fault(
                Area::Room,
                about,
                evidence.clone(),
                format!("add nodes, or make room for {more} more pods"),
            )),
            Some(Err(why)) => found.push(Finding::not_looked_at(Area::Room, about, why)),
            None => {}
        }
    }
    match &cluster.budgets {
        Ok(budgets) => {
            for budget in budgets {
                found.extend(disrupted(target, cluster, budget, budgets));
            }
        }
        Err(why) => found.push(Finding::not_looked_at(Area::Room, "poddisruptionbudgets", why)),
    }
}

fn quota_of(
    quota: &Quota,
    added: &BTreeMap<String, u32>,
    cluster: &ClusterPicture,
    ranges: &[LimitRange],
    found: &mut Vec<Finding>,
) {
    let about = format!("quota {}", quota.name);
    let mut needs = Amounts::new();
    for (name, more) in added {
        let Some(deployment) = cluster.deployment(name) else { continue };
        match limits::counts(quota, deployment, ranges) {
            Some(true) => {}
            Some(false) => continue,
            None => {
                let scopes: Vec<&str> = quota.scopes.iter().map(|scope| scope.name.as_str()).collect();
                found.push(Finding::unseen(
                    Area::Room,
                    &about,
                    format!("whether its scopes ({}) have the pods of deployment/{name}", scopes.join(", ")),
                    format!("kubectl describe quota {} shows what is left", quota.name),
                ));
                return;
            }
        }
        for (resource, each) in limits::per_pod(deployment, ranges) {
            *needs.entry(resource).or_default() += each * i128::from(*more);
        }
        found.extend(unset(quota, name, deployment, ranges));
    }
    let before = found.len();
    found.extend(quota.hard.iter().filter_map(|(resource, hard)| short(quota, resource, *hard, &needs)));
    if found.len() == before {
        found.push(Finding::fine(Area::Room, about, "it leaves enough for what the run adds"));
    }
}

/// A quota on requests or limits refuses pods that have none.
fn unset(quota: &Quota, name: &str, deployment: &DeploymentSeen, ranges: &[LimitRange]) -> Option<Finding> {
    let resource = quota.hard.keys().find(|resource| {
        resource.contains('.')
            && !resource.contains('/')
            && is_counted(resource)
            && limits::lacks(deployment, resource, ranges)
    })?;
    Some(Finding::fault(
        Area::Room,
        format!("quota {}", quota.name),
        format!("it counts {resource}, which the pods of deployment/{name} do not set: they are refused"),
        format!("set {resource} for every container of the pod template"),
    ))
}

/// A resource of which a quota does not leave enough.
fn short(quota: &Quota, resource: &str, hard: i128, needs: &Amounts) -> Option<Finding> {
    let used = quota.used.get(resource).copied().unwrap_or(0);
    let needed = needs.get(resource).copied().unwrap_or(0);
    let left = (hard - used).max(0);
    let amount = |number| limits::amount(resource, number);
    (needed > left).then(|| {
        Finding::fault(
            Area::Room,
            format!("quota {}", quota.name),
            format!(
                "the run needs {} more of {resource}, and {} of {} are left",
                amount(needed),
                amount(left),
                amount(hard)
            ),
            format!("raise {resource} to {}, or scale something down first", amount(used + needed)),
        )
    })
}

fn is_counted(resource: &str) -> bool {
    ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"].contains(&resource)
}

fn disrupted(target: &Target, cluster: &ClusterPicture, budget: &Budget, all: &[Budget]) -> Option<Finding> {
    let (about, name) = (format!("pdb/{}", budget.name), &budget.name);
    let ours = covered(target, cluster, budget);
    if ours.is_empty() {
        return None;
    }
    if budget.has_expressions {
        return Some(Finding::unseen(
            Area::Room,
            about,
            format!("its selector has expressions beside {}", labels(&budget.selector)),
            format!(
                "kubectl describe pdb {name} --namespace={} shows which pods it covers",
                target.namespace
            ),
        ));
    }
    let twice = all.iter().find(|other| {
        other.name != budget.name
            && !other.has_expressions
            && ours.iter().any(|deployment| covers(other, deployment, cluster))
    });
    if let Some(other) = twice.filter(|other| other.name > budget.name) {
        return Some(Finding::warn(
            Area::Room,
            about,
            format!("pdb/{} covers the same pods: with two budgets no eviction is ever allowed", other.name),
            "give each pod one budget only, or draining a node hangs during the run",
        ));
    }
    let pods = ours.join(" and ");
    if budget.allowed == 0 && budget.needed > 0 {
        let Budget { healthy, needed, .. } = budget;
        return Some(Finding::warn(
            Area::Room,
            about,
            format!(
                "it allows no eviction of {pods} ({healthy} healthy, {needed} needed): a drained node hangs"
            ),
            "lower its minAvailable or run one more pod; let nobody drain nodes during the run",
        ));
    }
    Some(Finding::fine(Area::Room, about, format!("it allows {} evictions of {pods}", budget.allowed)))
}

/// The target's Deployments whose pods a budget counts.
fn covered<'t>(target: &'t Target, cluster: &ClusterPicture, budget: &Budget) -> Vec<&'t str> {
    let mut ours: Vec<&str> = target.slots.values().map(|slot| slot.deployment.as_str()).collect();
    ours.sort_unstable();
    ours.dedup();
    ours.retain(|deployment| covers(budget, deployment, cluster));
    ours
}

/// By the labels of the pods, as the eviction API does it: a budget knows nothing of Deployments.
fn covers(budget: &Budget, deployment: &str, cluster: &ClusterPicture) -> bool {
    cluster.deployment(deployment).is_some_and(|deployment| {
        budget.selector.iter().all(|(key, value)| deployment.pod_labels.get(key) == Some(value))
    })
}
