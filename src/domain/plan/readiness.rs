//! The readiness light: whether a rollback would work now, and how fast.

use std::collections::{BTreeMap, BTreeSet};

use super::{Light, Readiness, RollbackPlan};
use crate::domain::{
    belief::labels,
    director::{Share, share_of},
    id::{QUICK, SlotName},
    observation::not_carried_out,
    rollback_target::RollbackTarget,
    run::{Run, tag_of},
    runbook::Target,
    time::Timestamp,
    workload::{Access, Connection, RolloutState, SlotWorkload, Workload},
};

/// What speaks for a rollback and against it.
#[derive(Debug, Default)]
struct Weighed {
    /// What is as it should be.
    facts: Vec<String>,
    /// What it takes longer for.
    slow: Vec<String>,
    /// What is not known, or not as it was.
    unsure: Vec<String>,
    /// What it would fail for.
    against: Vec<String>,
}

impl Weighed {
    fn readiness(self) -> Readiness {
        let (light, word) = if !self.against.is_empty() {
            (Light::NotReady, "ROLLBACK NOT READY")
        } else if !self.unsure.is_empty() {
            (Light::Slow, "ROLLBACK UNCERTAIN")
        } else if !self.slow.is_empty() {
            // Not the other way round: that would read as a rollback that is under way.
            (Light::Slow, "SLOW ROLLBACK")
        } else {
            (Light::Ready, "ROLLBACK READY")
        };
        let against = [self.against, self.unsure, self.slow].concat();
        let detail = if against.is_empty() { self.facts.join(", ") } else { against.join(", ") };
        Readiness { light, word: word.to_owned(), detail, against }
    }
}

impl Run {
    /// Whether a rollback could be done now, and how fast.
    pub fn readiness(
        &self,
        workload: Option<&Workload>,
        access: Option<&Access>,
        now: Timestamp,
    ) -> Readiness {
        if let Some(word) = self.no_rollback_to_judge() {
            return word;
        }
        let plan = self.rollback_plan(workload, now);
        let mut weighed = Weighed::default();
        self.judge_proof(workload, &mut weighed);
        weighed.against.extend(plan.lacks.iter().cloned());
        if let Some(lock) = &self.lock {
            weighed.against.extend(lock.lost.iter().map(|why| format!("the target's lock is lost: {why}")));
            weighed
                .unsure
                .extend(lock.uncertain.iter().map(|why| format!("nothing can be written now: {why}")));
        }
        if self.goes_quick() {
            self.judge_quick(&plan, workload, now, &mut weighed);
            self.judge_rights(&plan, access, &mut weighed);
        } else {
            self.judge_undo(&plan, workload, &mut weighed);
        }
        weighed.facts.push(plan.estimate.about());
        if plan.within.is_some_and(|within| plan.estimate > within) {
            weighed.slow.push("longer than promised".to_owned());
        }
        weighed.readiness()
    }

    /// What is said in place of a judgement: a rollback is under way, was done, or would have nothing to take back.
    fn no_rollback_to_judge(&self) -> Option<Readiness> {
        let off = |word: &str, detail: String| {
            Some(Readiness { light: Light::Off, word: word.to_owned(), detail, against: Vec::new() })
        };
        if let Some(rollback) = self.rolling_back() {
            return off("ROLLING BACK", rollback.started_at.clock());
        }
        if self.can_roll_back() {
            return None;
        }
        match self.rollbacks.last().and_then(|rollback| rollback.finished.as_ref()) {
            Some((true, _, took)) => off("ROLLED BACK", format!("took {}", took.clock())),
            _ => off("nothing to roll back yet", String::new()),
        }
    }

    /// Whether there is something to go back to.
    fn judge_quick(
        &self,
        plan: &RollbackPlan,
        workload: Option<&Workload>,
        now: Timestamp,
        weighed: &mut Weighed,
    ) {
        if self.is_one_deployment() {
            self.judge_revision(workload, now, weighed);
        } else {
            self.judge_previous(workload, now, weighed);
        }
        if plan.procedure.is_none() {
            weighed.against.push("the runbook has no [rollback.quick]".to_owned());
        }
    }

    /// Whether the API server would take the writes.
    fn judge_rights(&self, plan: &RollbackPlan, access: Option<&Access>, weighed: &mut Weighed) {
        // Who may change the one Deployment may change what has the traffic.
        let one = self.is_one_deployment();
        let may = access.and_then(|access| if one { access.patch_deployments } else { access.patch_service });
        let word = self.runbook.target.as_ref().map_or("the Service", Target::director_word);
        match may {
            Some(true) => weighed.facts.push("patch allowed".to_owned()),
            Some(false) if one => weighed.against.push("not allowed to patch the Deployment".to_owned()),
            Some(false) => weighed.against.push(format!("not allowed to patch {word}")),
            None => weighed.unsure.push("permission to patch unknown".to_owned()),
        }
        // What stands before the switch writes to the Deployments.
        let denied = access.is_some_and(|access| access.patch_deployments == Some(false));
        if denied && !one && self.writes_pods_first(plan) {
            weighed.against.push("not allowed to patch the Deployments".to_owned());
        }
    }

    /// Before the switch a rollback undoes the steps; somebody else's switch would be in its way.
    fn judge_undo(&self, plan: &RollbackPlan, workload: Option<&Workload>, weighed: &mut Weighed) {
        let live = workload.and_then(|workload| workload.live.as_ref().zip(Some(workload)));
        if let Some((live, workload)) = live.filter(|(live, _)| Some(*live) != self.live.as_ref()) {
            let who = workload.service_changed.as_ref().map_or("somebody", |by| by.manager.as_str());
            weighed.against.push(format!("{live} has the traffic, set by {who}"));
        }
        weighed.against.extend(self.runs_another(workload));
        weighed.facts.push(self.undo_words(&plan.undo));
    }

    /// What the checks of the quick rollback's `ready` say. A slot without pods can prove nothing: that it is started first is
    /// told anyway.
    fn judge_proof(&self, workload: Option<&Workload>, weighed: &mut Weighed) {
        let proofs = self.runbook.procedure(QUICK).map_or(&[][..], |quick| &quick.ready);
        let Some(target) = self.opened.previous.as_ref().filter(|_| !proofs.is_empty()) else { return };
        let asleep = workload
            .and_then(|workload| workload.slots.get(&target.slot))
            .is_some_and(|slot| slot.found && slot.desired == 0 && target.replicas > 0);
        match &self.way_back {
            _ if asleep => weighed.slow.push(format!("can't be proved while {} has no pods", target.slot)),
            Some(seen) if seen.ready => weighed.facts.push("proved".to_owned()),
            Some(seen) => weighed.against.push(seen.why.clone()),
            None => weighed.against.push("not proved yet".to_owned()),
        }
    }

    /// What one would go back to, as the picture shows it; nothing where it is not known or not there, which is said.
    fn previous_seen<'a>(
        &'a self,
        workload: Option<&'a Workload>,
        now: Timestamp,
        weighed: &mut Weighed,
    ) -> Option<(&'a RollbackTarget, &'a Workload, &'a SlotWorkload)> {
        let target = self.opened.previous.as_ref()?;
        let Some(workload) = workload else {
            weighed.unsure.push("cluster not seen yet".to_owned());
            return None;
        };
        if let Connection::Lost(why) = &workload.connection {
            weighed.unsure.push(format!("cluster not seen for {}: {why}", now.since(workload.as_of).short()));
        }
        let Some(slot) = workload.slots.get(&target.slot) else {
            weighed.unsure.push(format!("{} not seen yet", target.slot));
            return None;
        };
        if !slot.found {
            weighed.against.push(format!("{} has no Deployment", target.slot));
            return None;
        }
        Some((target, workload, slot))
    }

    /// Whether the one Deployment can be given back what it ran.
    fn judge_revision(&self, workload: Option<&Workload>, now: Timestamp, weighed: &mut Weighed) {
        let Some((target, workload, slot)) = self.previous_seen(workload, now, weighed) else { return };
        let version = tag_of(&target.image);
        if target.hash.is_some() && slot.hash.is_empty() {
            weighed
                .unsure
                .push(format!("the ReplicaSet of {version} is gone: only its image can be restored"));
        }
        weighed.against.extend(self.revert_takes_all(&target.slot, workload));
        weighed
            .facts
            .push(format!("reverts to {version}, {} of {} pods still run it", slot.ready, target.replicas));
    }

    /// That a revert of a slot would not be begun, since it may take all pods that answer at once: the guard's rule, by what the
    /// watch shows.
    fn revert_takes_all(&self, slot: &SlotName, workload: &Workload) -> Option<String> {
        let found = workload.slots.get(slot)?;
        let answers = |(name, seen): &(&SlotName, &SlotWorkload)| {
            let weight = workload.route.as_ref().map(|route| route.weights.get(*name).copied().unwrap_or(0));
            let met =
                weight.map_or_else(|| share_of(&workload.shares, name) > Share::NONE, |weight| weight > 0);
            met && seen.found && seen.ready.min(seen.desired) > 0
        };
        let answering = workload.slots.iter().filter(answers).map(|(name, _)| name);
        let all =
            self.rollout_takes_all(found.kept?, found.desired) && self.reverts_the_last(slot, answering);
        all.then(|| {
            format!(
                "a revert may take all pods of deployment/{} at once: lower its maxUnavailable",
                found.deployment
            )
        })
    }

    /// That the slot that had the traffic has another image than then, which no undo of the steps changes.
    fn runs_another(&self, workload: Option<&Workload>) -> Option<String> {
        let target = self.opened.previous.as_ref().filter(|_| !self.is_one_deployment())?;
        let slot =
            workload?.slots.get(&target.slot).filter(|slot| slot.found && slot.image != target.image)?;
        Some(format!("{} runs {} now, not {}", target.slot, tag_of(&slot.image), tag_of(&target.image)))
    }

    fn judge_previous(&self, workload: Option<&Workload>, now: Timestamp, weighed: &mut Weighed) {
        let Some((target, workload, slot)) = self.previous_seen(workload, now, weighed) else { return };
        if slot.image != target.image && self.is_promoted() {
            weighed.slow.push("the promotion is taken back first".to_owned());
            weighed.against.extend(self.revert_takes_all(&target.slot, workload));
        } else {
            weighed.against.extend(self.runs_another(Some(workload)));
        }
        // What is to go does not count, nor what still runs another template.
        let ready = slot.ready.min(slot.desired).min(slot.updated);
        let pods = format!("{} {ready}/{} ready", target.slot, target.replicas);
        if slot.rollout == RolloutState::Unobserved {
            weighed
                .unsure
                .push(format!("the controller has not caught up with {}'s latest change yet", target.slot));
        }
        self.judge_service(workload, weighed);
        if ready >= target.replicas {
            weighed.facts.push(pods);
            weighed.facts.push(tag_of(&target.image).to_owned());
        } else if slot.ready.min(slot.desired) >= target.replicas {
            weighed.slow.push(format!("{pods}: its pods are being replaced"));
        } else if slot.desired < target.replicas {
            weighed.slow.push(format!("{pods}: scaled up first"));
        } else {
            weighed.against.push(pods);
        }
    }

    /// Whether the Service is there to be switched, and selects by nothing that somebody else has put there.
    fn judge_service(&self, workload: &Workload, weighed: &mut Weighed) {
        if self.has_route() {
            match &workload.route {
                None if workload.connection == Connection::Connected => {
                    weighed.against.push("the HTTPRoute does not exist".to_owned());
                }
                Some(route) => weighed.unsure.extend(not_carried_out(route.unfit.as_deref())),
                None => {}
            }
            return;
        }
        let Some(now) = &workload.selector else {
            if workload.connection == Connection::Connected {
                weighed.against.push("the Service does not exist".to_owned());
            }
            return;
        };
        let Some(believed) = self.pinned.as_ref().map(|pinned| &pinned.selector) else { return };
        let slots = self.runbook.target.iter().flat_map(|target| target.slots.values());
        let own: BTreeSet<&String> = slots.flat_map(|slot| slot.selector.keys()).collect();
        let foreign =
            now.iter().filter(|(key, value)| !own.contains(key) && believed.get(*key) != Some(*value));
        let foreign: BTreeMap<_, _> = foreign.map(|(key, value)| (key.clone(), value.clone())).collect();
        if !foreign.is_empty() {
            let who = workload.service_changed.as_ref().map_or("somebody", |by| by.manager.as_str());
            weighed.unsure.push(format!("the Service also selects by {}, set by {who}", labels(&foreign)));
        }
    }
}
