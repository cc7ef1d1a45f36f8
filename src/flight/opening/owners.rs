//! Who else writes to what a run will change, when it opens: told by the rule of `cutover check --online`. Whoever would undo the
//! run is a reason not to open it; a person may overrule that with a reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    adapters::kube::KubeCluster,
    domain::{
        director::Director,
        online::{
            finding::Mark,
            owners::{others, trackers},
            picture::{Found, Meta, Tracker},
        },
        runbook::Target,
    },
    engine::ports::PortResult,
    flight::{online::unseen, say::talk, setup::Setup},
};

impl Setup {
    /// What speaks against opening the run; what is only worth knowing is said.
    pub(super) async fn owned_by_others(&self) -> Vec<String> {
        let (Some(target), Some(kube)) = (&self.loaded.runbook.target, &self.world.kube) else {
            return Vec::new();
        };
        let mut metas = Vec::new();
        for (about, meta) in changed(kube, target).await {
            match meta {
                Ok(Found::There(meta)) => metas.push((about, meta)),
                // That it is not there has been said.
                Ok(Found::Absent(_)) => {}
                Err(fault) => talk(&format!("{about}: unknown who else writes it: {fault}")),
            }
        }
        let apps: BTreeSet<Tracker> = metas.iter().flat_map(|(_, meta)| trackers(meta)).collect();
        let mut syncs = BTreeMap::new();
        for app in apps {
            let sync = kube.sync_of(&app).await.map_err(|fault| unseen(&fault));
            syncs.insert(app, sync);
        }
        let mut against = Vec::new();
        for finding in metas.iter().flat_map(|(about, meta)| others(about, meta, &syncs)) {
            match finding.mark {
                Mark::Fault => against.push(finding.sentence()),
                Mark::Warning | Mark::NotLookedAt => talk(&finding.sentence()),
                Mark::Ok => {}
            }
        }
        against
    }
}

/// The objects that the run will change.
async fn changed(kube: &KubeCluster, target: &Target) -> Vec<(String, PortResult<Found<Meta>>)> {
    let names: BTreeSet<&String> = target.slots.values().map(|slot| &slot.deployment).collect();
    let mut all = Vec::new();
    for name in names {
        let seen = kube.inspect_deployment(name).await;
        all.push((format!("deployment/{name}"), seen.map(|found| meta(found, |it| it.meta))));
    }
    match &target.director {
        Director::Selector => {
            let name = &target.service;
            let seen = kube.inspect_service(name).await;
            all.push((format!("service/{name}"), seen.map(|found| meta(found, |it| it.meta))));
        }
        Director::Route(route) => {
            let seen = kube.inspect_route(&route.name, &route.rule).await;
            all.push((format!("httproute/{}", route.name), seen.map(|found| meta(found, |it| it.meta))));
        }
        Director::Replicas | Director::Rollout => {}
    }
    all
}

fn meta<T>(found: Found<T>, of: impl FnOnce(T) -> Meta) -> Found<Meta> {
    match found {
        Found::There(it) => Found::There(of(it)),
        Found::Absent(why) => Found::Absent(why),
    }
}
