//! What the cluster has when a run opens: which slot is live, what the way back is, and whether we may do what we will do.

use std::sync::Arc;

use crate::{
    domain::{
        belief::{Pinned, labels},
        director::{Director, OLD_REVISION, Share, in_words, share_of},
        event::Opened,
        id::SlotName,
        observation::Observation,
        rights::{self, Missing, Weight},
        runbook::Target,
        workload::ClusterIdentity,
    },
    engine::ports::Cluster,
    flight::{say::talk, setup::Setup, stop::Stop},
};

/// Why a run can't begin where two versions have traffic already: it would not know what to go back to.
fn shared(target: &Target, seen: &Observation, live: &SlotName) -> Option<String> {
    let other = target.slots.keys().find(|name| *name != live)?;
    let slot = seen.slot(other)?;
    if target.is_one_deployment() {
        let found = seen.slot(live)?;
        let deployment = format!("deployment/{}", found.deployment);
        if found.paused {
            return Some(format!(
                "{deployment} is paused; resume it first (kubectl rollout resume {deployment} --namespace={})",
                target.namespace
            ));
        }
        if found.template_hash.is_empty() {
            return Some(format!(
                "it can't be told which revision of {deployment} has the traffic; ask for the verb `list` on \
                 `replicasets.apps` in namespace {}",
                target.namespace
            ));
        }
        // Pods of another revision than the template's have the traffic where its own could not be made.
        let whole = live.as_str() == OLD_REVISION && found.hash == found.template_hash;
        // A rollout is complete while the last pods of the one before still take their leave.
        let rolls = !found.observed || !whole || slot.pods > slot.leaving;
        return rolls.then(|| {
            format!(
                "deployment/{} is in the middle of a rollout; wait for its end, or undo it (kubectl rollout undo \
                 deployment/{} --namespace={})",
                slot.deployment, slot.deployment, target.namespace
            )
        });
    }
    // The slot that has the traffic may well have it from other rules too; its pods stay then, see the guard.
    if seen.route.as_ref().is_some_and(|route| route.elsewhere.contains(other)) {
        return Some(format!(
            "another rule of {} sends traffic to {other}, which would get the new version unchecked; lead that rule to \
             another Service first",
            target.director_object()
        ));
    }
    let shares = seen.shares();
    (target.has_shares() && share_of(&shares, other) > Share::NONE).then(|| {
        format!(
            "{other} has traffic already ({}): finish the earlier deployment or take it back, so that one slot has all \
             of it",
            in_words(&shares)
        )
    })
}

impl Setup {
    /// Looks at the target, and fixes what the run begins from. A runbook without one begins from nothing.
    pub(super) async fn look(&self, opened: &mut Opened) -> Result<(), Stop> {
        let (Some(target), Some(cluster)) = (&self.loaded.runbook.target, &self.world.cluster) else {
            return Ok(());
        };
        let identity = cluster.identity().await?;
        self.review(opened, cluster, &identity).await?;
        opened.cluster = Some(identity);
        let seen = cluster.observe().await?;
        let slots: Vec<SlotName> = target.slots.keys().cloned().collect();
        for (name, slot) in &target.slots {
            if seen.slot(name).is_none() {
                return Err(Stop::unfit(self.no_deployment(target, &slot.deployment).await));
            }
        }
        let live = self.live(target, &seen).await?;
        if let Some(why) = shared(target, &seen, &live) {
            return Err(Stop::unfit(why));
        }
        let found = |name: &SlotName| {
            seen.slot(name).ok_or_else(|| {
                let deployment = target.slots.get(name).map_or("?", |slot| slot.deployment.as_str());
                Stop::unfit(format!("there is no deployment {deployment} in namespace {}", target.namespace))
            })
        };
        let previous = found(&live)?;
        let new = slots
            .into_iter()
            .find(|name| *name != live)
            .ok_or_else(|| Stop::unfit("the runbook has only one slot"))?;
        opened.new_slot_image = Some(found(&new)?.image.clone());
        opened.previous = Some(previous.as_rollback_target(live));
        opened.new_slot = Some(new);
        opened.pinned = Pinned::of(&seen);
        Ok(())
    }

    /// The slot that has the traffic.
    async fn live(&self, target: &Target, seen: &Observation) -> Result<SlotName, Stop> {
        let slots: Vec<_> = target.slots.keys().map(SlotName::as_str).collect();
        if let Director::Route(route) = &target.director {
            let Some(found) = &seen.route else {
                return Err(Stop::unfit(format!(
                    "there is no HTTPRoute {} in namespace {}; create it, or correct `route` in [target]",
                    route.name, target.namespace
                )));
            };
            if let Some(name) = target.slots.keys().find(|name| !found.weights.contains_key(*name)) {
                let service = target.slots.get(name).and_then(|slot| slot.service.as_deref()).unwrap_or("?");
                return Err(Stop::unfit(format!(
                    "{} of HTTPRoute {} has no backend for service {service} of slot {name}; add it, with weight 0 if \
                     it gets no traffic yet",
                    route.rule, route.name
                )));
            }
            return seen.live().cloned().ok_or_else(|| {
                Stop::unfit(format!(
                    "HTTPRoute {} gives weight to none of the runbook's slots ({}); give it to one of them first",
                    route.name,
                    slots.join(", ")
                ))
            });
        }
        let Some(service) = seen.service.as_ref() else {
            return Err(Stop::unfit(self.no_service(target).await));
        };
        service.live.clone().ok_or_else(|| {
            let selector = labels(&service.selector);
            Stop::unfit(if target.shares_follow_pods() {
                format!(
                    "service {} selects {selector}, and no ready pod of {} is among what it selects; see to that first",
                    target.service,
                    slots.join(" or ")
                )
            } else {
                format!(
                    "service {} selects {selector}, which is none of the runbook's slots ({}); point it at one of them first",
                    target.service,
                    slots.join(", ")
                )
            })
        })
    }

    /// Asks what we may do, before anything is begun: what a run cannot be opened without ends here, what a write needs
    /// becomes an item of the checklist that fails, the rest is said.
    async fn review(
        &self,
        opened: &mut Opened,
        cluster: &Arc<dyn Cluster>,
        identity: &ClusterIdentity,
    ) -> Result<(), Stop> {
        // A simulated cluster allows everything.
        if self.rehearsal.is_some() {
            return Ok(());
        }
        let missing = match cluster.access(&cluster.rights(&self.loaded.runbook)).await {
            Ok(access) => access.missing,
            Err(error) => {
                talk(&format!("it can't be asked what is allowed here: {error}"));
                return Ok(());
            }
        };
        let decisive: Vec<&Missing> =
            missing.iter().filter(|missing| missing.right.weight == Weight::Opening).collect();
        if !decisive.is_empty() {
            return Err(Stop::forbidden(&decisive, identity));
        }
        for remark in rights::remarks(&missing) {
            talk(&remark);
        }
        opened.runbook.checklist.extend(rights::items(&missing));
        Ok(())
    }

    async fn no_service(&self, target: &Target) -> String {
        match &self.world.kube {
            Some(kube) => kube.no_service().await,
            None => format!("there is no service {} in namespace {}", target.service, target.namespace),
        }
    }

    async fn no_deployment(&self, target: &Target, name: &str) -> String {
        match &self.world.kube {
            Some(kube) => kube.no_deployment(name).await,
            None => format!("there is no deployment {name} in namespace {}", target.namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::observation::SlotSeen;

    /// What one Deployment is seen as, whose pods of the revision before are so many, and so many of them on their way out.
    fn why_not(pods: u32, leaving: u32) -> Option<String> {
        let runbook =
            crate::config::load_str("runbook.toml", include_str!("../../../assets/examples/rolling.toml"));
        let target = runbook.runbook.and_then(|runbook| runbook.target).unwrap();
        let [old, new] = ["old", "new"].map(SlotName::from);
        let whole = SlotSeen {
            deployment: "shop".to_owned(),
            found: true,
            observed: true,
            hash: "a".to_owned(),
            template_hash: "a".to_owned(),
            pods: 3,
            ..SlotSeen::default()
        };
        let others = SlotSeen { hash: "b".to_owned(), pods, leaving, ..whole.clone() };
        let seen =
            Observation { slots: [(old.clone(), whole), (new, others)].into(), ..Observation::default() };
        shared(&target, &seen, &old)
    }

    #[test]
    fn pods_that_take_their_leave_are_no_rollout() {
        assert_eq!(why_not(0, 0), None);
        assert_eq!(why_not(2, 2), None);
        let why = why_not(2, 1).unwrap();
        assert!(why.contains("in the middle of a rollout"), "{why}");
    }
}
