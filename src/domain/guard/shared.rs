//! The guard where a slot can have a part of the traffic: shares, rollouts of the one Deployment that has it, promotions.

use super::{DEFAULT_WITHIN, PATIENCE_PART, Verdict, none_of};
use crate::domain::{
    action::{Action, ActionKind, SlotRef},
    director::{Share, pods_for, share_of},
    id::SlotName,
    kubectl::gentle_line,
    observation::{Observation, SlotSeen},
    run::{ActionStatus, Run, tag_of},
    runbook::{Strategy, Target},
    time::Span,
};

impl Run {
    pub(super) fn has_shares(&self) -> bool {
        self.runbook.target.as_ref().is_some_and(Target::has_shares)
    }

    pub(super) fn director_word(&self) -> &'static str {
        self.runbook.target.as_ref().map_or("the Service", Target::director_word)
    }

    /// Why no traffic can be directed at all, where that is so.
    pub(super) fn undirected(&self, seen: &Observation) -> Option<Verdict> {
        self.runbook.target.as_ref()?;
        let missing = if self.has_route() { seen.route.is_none() } else { seen.service.is_none() };
        missing.then(|| Verdict::Refuse(format!("{} does not exist", self.director_word())))
    }

    /// The image that an action gives a slot, where it is known here.
    pub(super) fn image_of(&self, action: &Action) -> Option<String> {
        match &action.kind {
            ActionKind::SetImage { image, .. } => image.expand(|name| self.value(name)).ok(),
            _ => None,
        }
    }

    pub(in crate::domain) fn believes_image(&self, slot: &SlotName, image: &str) -> bool {
        let believed = self.pinned.as_ref().and_then(|pinned| pinned.slots.get(slot));
        believed.is_some_and(|it| it.image.as_deref() == Some(image))
    }

    /// A share for the new slot.
    pub(super) fn judge_share(&self, share: Share, seen: &Observation, waited: Span) -> Verdict {
        if let Some(refusal) = self.undirected(seen) {
            return refusal;
        }
        let (Some(new), Some(previous)) = (&self.opened.new_slot, &self.opened.previous) else {
            return Verdict::Refuse("the run does not know its slots".to_owned());
        };
        if self.is_one_deployment() {
            return Verdict::Refuse("one Deployment has no shares to be set".to_owned());
        }
        if self.shares_follow_pods() {
            let Some(stable) = seen.slot(&previous.slot) else { return none_of(&previous.slot) };
            return match pods_for(share, stable.desired) {
                Some(pods) => self.judge_pods(pods, seen, waited),
                None => Verdict::Refuse(format!(
                    "{new} can't get all of the traffic while {} has pods: promote it instead",
                    previous.slot
                )),
            };
        }
        let backs_out = self.rolling_back().is_some() && share == Share::NONE;
        if backs_out {
            return self.judge_return(&previous.slot, None, seen, waited, None);
        }
        if let Some(route) = &seen.route {
            let named = [new, &previous.slot].into_iter().find(|name| !route.weights.contains_key(*name));
            if let Some(name) = named {
                return Verdict::Refuse(format!("the HTTPRoute's rule has no backend for {name}"));
            }
            if let Some(why) = seen.not_carried_out() {
                return Verdict::Wait(why);
            }
        }
        // Who gets more must be able to carry it: as many ready pods, in proportion, as the larger of both has that serve now.
        let serving = [new, &previous.slot].iter().map(|name| seen.serving(name)).max().unwrap_or(0);
        let now = seen.shares();
        let parts = [(new, share), (&previous.slot, share.rest())];
        let more = parts.into_iter().filter(|(name, part)| *part > share_of(&now, name));
        let mut lacks = more.filter_map(|(name, part)| self.cannot_carry(name, part, serving, seen));
        lacks.next().unwrap_or_else(Verdict::go)
    }

    /// What keeps a slot from carrying this part of the traffic, where `serving` pods carry all of it now.
    fn cannot_carry(
        &self,
        name: &SlotName,
        part: Share,
        serving: u32,
        seen: &Observation,
    ) -> Option<Verdict> {
        let Some(slot) = seen.slot(name) else { return Some(none_of(name)) };
        if !slot.observed {
            let why = format!("the controller has not caught up with {name}'s latest change yet");
            return Some(Verdict::Wait(why));
        }
        let would = seen.reachable(name);
        let needed = (u64::from(serving) * u64::from(part.thousandths())).div_ceil(1000);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX).max(1);
        // An autoscaler gives what it gives.
        let needed = if slot.autoscaler.is_some() { needed.min(slot.desired.max(1)) } else { needed };
        (would < needed).then(|| {
            let short = self.short_of_pods(name, slot, would);
            Verdict::Wait(format!("{short}; {needed} needed for {part} of the traffic"))
        })
    }

    /// So many pods of the new slot, which serve beside the previous slot's as soon as they are ready.
    pub(super) fn judge_pods(&self, pods: u32, seen: &Observation, waited: Span) -> Verdict {
        if let Some(refusal) = self.undirected(seen) {
            return refusal;
        }
        let (Some(new), Some(previous)) = (&self.opened.new_slot, &self.opened.previous) else {
            return Verdict::Refuse("the run does not know its slots".to_owned());
        };
        let Some(found) = seen.slot(new) else { return none_of(new) };
        let Some(stable) = seen.slot(&previous.slot) else { return none_of(&previous.slot) };
        let go = Verdict::Go { selector: None, remark: None, replicas: Some(pods) };
        // Users of the pods that go are left to the others; where these have gone already, as much.
        let version = self.judge_version(&previous.slot, stable);
        if let Some(verdict) = version.filter(|_| self.rolling_back().is_some()) {
            return verdict;
        }
        if pods >= found.desired {
            return go;
        }
        if !stable.observed {
            let slot = &previous.slot;
            return Verdict::Wait(format!(
                "the controller has not caught up with {slot}'s latest change yet"
            ));
        }
        let serving = seen.serving(&previous.slot);
        let needed = previous.replicas.min(stable.desired).max(1);
        if serving >= needed {
            return go;
        }
        let within = self.rolling_back().and_then(|rollback| rollback.within).unwrap_or(DEFAULT_WITHIN);
        let patience = Span::from_millis(within.as_millis() / PATIENCE_PART);
        if self.rolling_back().is_some() && stable.desired == 0 {
            return Verdict::Prepare(vec![self.wake(&previous.slot)]);
        }
        if self.rolling_back().is_some() && serving > 0 && waited >= patience {
            let slot = &previous.slot;
            let remark =
                format!("traffic is back on {serving} of {needed} pods of {slot}: the others were not ready");
            return Verdict::Go { selector: None, remark: Some(remark), replicas: Some(pods) };
        }
        Verdict::Wait(format!("{}; {needed} needed", self.short_of_pods(&previous.slot, stable, serving)))
    }

    /// Whether a rollout of a Deployment may leave no pod, though the strategy promises that it leaves some.
    pub(in crate::domain) fn rollout_takes_all(&self, kept: u32, desired: u32) -> bool {
        self.runbook.deployment.strategy != Strategy::Recreate && kept == 0 && desired > 0
    }

    /// A rollout of the Deployment that has the traffic: it must leave pods that serve, where the strategy promises that.
    pub(super) fn judge_rollout(&self, slot: &SlotName, found: &SlotSeen) -> Verdict {
        if self.rollout_takes_all(found.kept, found.desired) {
            let target = self.runbook.target.as_ref();
            let line = target.map(|target| gentle_line(target, &found.deployment)).unwrap_or_default();
            return Verdict::Refuse(format!(
                "deployment/{} may take down all of {slot}'s pods at once in a rollout: lower maxUnavailable, use \
                 strategy type RollingUpdate, or write `strategy = \"recreate\"`. One pod at a time: {line}",
                found.deployment
            ));
        }
        Verdict::go()
    }

    /// A stop of the one Deployment's rollout after its first pods. A controller that is told to stop before it has begun makes
    /// none at all, so it begins first.
    pub(super) fn judge_pause(&self, slot: &SlotName, seen: &Observation) -> Verdict {
        let Some(found) = seen.slot(slot) else { return none_of(slot) };
        let new = self.opened.new_slot.as_ref().and_then(|new| Some((new, seen.slot(new)?)));
        let (Some((name, new)), Some(before)) = (new, &self.opened.previous) else { return Verdict::go() };
        let unchanged = match &before.hash {
            Some(hash) if !found.template_hash.is_empty() => *hash == found.template_hash,
            _ => before.image == found.template_image,
        };
        let waits = self.is_one_deployment() && self.rolling_back().is_none();
        if !waits || unchanged || found.paused || new.pods > 0 {
            return Verdict::go();
        }
        Verdict::Wait(format!("the rollout has not begun: no pod of {name} yet"))
    }

    /// Whether this run has stopped the rollout of its one Deployment, and not let it go on.
    pub fn has_paused_rollout(&self) -> bool {
        let stops = self.all_actions().filter_map(|(at, state)| {
            let stops = match self.action(&at)?.kind {
                ActionKind::Pause { .. } => true,
                ActionKind::Resume { .. } | ActionKind::Revert { .. } => false,
                _ => return None,
            };
            (state.status == ActionStatus::Done).then_some((state.started_at, stops))
        });
        self.is_one_deployment() && stops.max_by_key(|(at, _)| *at).is_some_and(|(_, stops)| stops)
    }

    /// The template that a slot had when the run opened.
    pub(super) fn judge_revert(&self, slot: &SlotName, seen: &Observation) -> Verdict {
        let Some(found) = seen.slot(slot) else { return none_of(slot) };
        let Some(target) = &self.opened.previous else {
            return Verdict::Refuse("the run does not know what it opened with".to_owned());
        };
        let fits = self.is_one_deployment() || *slot == target.slot;
        if !fits {
            return Verdict::Refuse(format!("{slot} is not what this run goes back to"));
        }
        let answering = seen.slots.keys().filter(|name| seen.answering_to_stay(name) > 0);
        let last = self.reverts_the_last(slot, answering);
        if self.rolling_back().is_some() && !last { Verdict::go() } else { self.judge_rollout(slot, found) }
    }

    /// Whether a revert of a slot replaces all pods that answer its users, by which slots have pods that answer.
    ///
    /// Pods that crash leave nothing to be kept: going back is the only way out then. Those that answer are lost whatever
    /// template they run. It does not matter where others answer their users meanwhile, which in one Deployment are those that
    /// run the old template still; but a route sends its part of them to a slot whether it has pods or not.
    pub(in crate::domain) fn reverts_the_last<'a>(
        &self,
        slot: &SlotName,
        answering: impl Iterator<Item = &'a SlotName>,
    ) -> bool {
        let previous = self.opened.previous.as_ref().map(|target| &target.slot);
        let goes =
            |name: &SlotName| if self.is_one_deployment() { Some(name) != previous } else { name == slot };
        let (serve, stay): (Vec<_>, Vec<_>) = answering.partition(|name| goes(name));
        !serve.is_empty() && (stay.is_empty() || self.has_route())
    }

    /// An image put back on a slot that has the traffic: where no pod of the template that is there now serves. What answers has
    /// an earlier template, most likely that one; a rollout must leave some of it all the same. Nothing to say of any other slot.
    pub(super) fn judge_image_back(&self, slot: &SlotName, seen: &Observation) -> Option<Verdict> {
        let found =
            seen.slot(slot).filter(|_| !self.is_one_deployment() && self.undirected(seen).is_none())?;
        self.keeps_its_pods(slot, seen).filter(|_| seen.serving(slot) == 0)?;
        if !found.observed {
            let why = format!("the controller has not caught up with {slot}'s latest change yet");
            return Some(Verdict::Wait(why));
        }
        let answered = seen.answering_to_stay(slot) > 0;
        Some(if answered { self.judge_rollout(slot, found) } else { Verdict::go() })
    }

    /// What speaks against going back to a slot by what runs there: not the version from before.
    pub(super) fn judge_version(&self, to: &SlotName, found: &SlotSeen) -> Option<Verdict> {
        let target = self.opened.previous.as_ref().filter(|target| target.slot == *to)?;
        if target.image == found.image {
            return None;
        }
        // Our own promotion is taken back first: that is what one goes back to. One whose answer was lost may have arrived.
        let promoted = self.is_promoted() && self.believes_image(to, &found.image);
        if promoted || self.may_have_promoted(to, &found.image) {
            return Some(Verdict::Prepare(self.unpromote()));
        }
        let who = found.changed.as_ref().map_or("somebody", |by| by.manager.as_str());
        Some(Verdict::Refuse(format!(
            "{to} does not run the version that had the traffic before: {} now, {} then (changed by \
             {who}); restore the image or switch by hand",
            tag_of(&found.image),
            tag_of(&target.image)
        )))
    }

    /// Whether a write of ours that got no answer was to give a slot this image, at the end of a canary.
    fn may_have_promoted(&self, slot: &SlotName, image: &str) -> bool {
        let canary = self.runbook.deployment.strategy == Strategy::Canary;
        canary
            && self.lost.iter().any(|(object, kind)| match kind {
                ActionKind::SetImage { image: lost, .. } => {
                    let lost = lost.expand(|name| self.value(name));
                    object.as_ref() == Some(slot) && lost.is_ok_and(|lost| lost == image)
                }
                _ => false,
            })
    }

    /// Why users will not stay on the version from before, though the slot that had it has all of the traffic: by what is ordered.
    pub fn leaves_the_version_before(&self, seen: &Observation) -> Option<String> {
        let target = self.opened.previous.as_ref()?;
        let slot = seen.slot(&target.slot)?;
        // Whatever it weighs in our rule.
        let route = seen.route.as_ref().zip(self.opened.new_slot.as_ref());
        if let Some((route, new)) = route.filter(|(route, new)| route.elsewhere.contains(*new)) {
            let who = route.changed.as_ref().map_or("somebody", |by| by.manager.as_str());
            return Some(format!("another rule of the HTTPRoute sends users to {new} (set by {who})"));
        }
        // Pods beside it serve as soon as they are ready.
        let beside = self.opened.new_slot.as_ref().and_then(|new| Some((new, seen.slot(new)?)));
        let by_pods = self.shares_follow_pods() && !self.is_one_deployment();
        if let Some((new, found)) = beside.filter(|(_, found)| by_pods && found.desired > 0) {
            let who = found.scaled.as_ref().map_or("somebody", |by| by.manager.as_str());
            return Some(format!(
                "{new} has {} replicas (set by {who}), which serve users as soon as they are ready",
                found.desired
            ));
        }
        let image = if self.is_one_deployment() { &slot.template_image } else { &slot.image };
        // Two templates of one Deployment may have the same image; only the slot's own revision is the old one.
        let known =
            target.hash.as_ref().filter(|_| self.is_one_deployment() && !slot.template_hash.is_empty());
        let same = known.map_or(*image == target.image, |hash| *hash == slot.template_hash);
        (!same).then(|| {
            let who = slot.changed.as_ref().map_or("somebody", |by| by.manager.as_str());
            let (now, then) = (tag_of(image), tag_of(&target.image));
            let what = if *image == target.image {
                format!("its template is another one, with {then} too")
            } else {
                format!("its template has {now}, not {then}")
            };
            // That somebody has accepted it does not make it what one wanted to go back to.
            let accepted = *image != target.image && self.believes_image(&target.slot, image);
            let accepted = if accepted { ", accepted since" } else { "" };
            format!(
                "deployment/{} does not run the version from before: {what} (changed by {who}{accepted})",
                slot.deployment
            )
        })
    }

    /// Whether an act gives the slot that had the traffic what the new one runs, and that is ready beside it: the end of a
    /// canary.
    pub(super) fn promotes(&self, slot: &SlotName, image: Option<&str>, seen: &Observation) -> bool {
        let previous = self.opened.previous.as_ref().is_some_and(|target| target.slot == *slot);
        let canary = self.runbook.deployment.strategy == Strategy::Canary;
        let new = self.opened.new_slot.as_ref().and_then(|new| Some((new, seen.slot(new)?)));
        let proved =
            new.is_some_and(|(new, found)| image == Some(found.image.as_str()) && seen.serving(new) > 0);
        let back = self.rolling_back().is_some()
            && self.opened.previous.as_ref().is_some_and(|target| image == Some(target.image.as_str()));
        previous && canary && (proved || back)
    }

    /// What takes a promotion back: the old template for the slot that had the traffic, and the wait for its pods.
    pub(in crate::domain) fn unpromote(&self) -> Vec<Action> {
        let version = self.opened.previous.as_ref().map_or("what it was", |target| tag_of(&target.image));
        let revert = ActionKind::Revert { slot: SlotRef::Previous };
        let rollout = ActionKind::Rollout { slot: SlotRef::Previous, patience: None };
        vec![
            Action::plain(format!("Take the promotion back: {version} again"), revert, Span::from_secs(30)),
            Action::plain("Wait for its pods", rollout, Span::from_mins(10)),
        ]
    }

    /// Fewer pods for a slot that gets nothing any more, while a gateway may still send it what the weights before said, or the
    /// Service's proxies are still told of its pods. A rollback leaves them there in the end: traffic is back, and pods that are
    /// too many harm nobody.
    pub(super) fn judge_lag(
        &self,
        slot: &SlotName,
        replicas: u32,
        seen: &Observation,
        waited: Span,
    ) -> Option<Verdict> {
        let found = seen.slot(slot)?;
        let takes = replicas < found.desired && self.keeps_its_pods(slot, seen).is_none();
        let named = found.named.filter(|count| takes && *count > 0);
        // One that refuses the weights goes on with those before them.
        let lags = takes && seen.route.as_ref().is_some_and(|route| route.lags || route.unfit.is_some());
        let why = match named {
            Some(count) => {
                let pods = if count == 1 { "pod" } else { "pods" };
                format!(
                    "the Service's endpoints still name {count} {pods} of {slot}, which may still get users"
                )
            }
            None if takes && seen.endpoints_unread.is_some() => {
                let why = seen.endpoints_unread.as_deref().unwrap_or_default();
                format!("the Service's endpoints cannot be read, so {slot} may still get users: {why}")
            }
            None if lags => {
                format!("a gateway has not taken up the weights yet, and may still send users to {slot}")
            }
            None => return None,
        };
        let rollback = self.rolling_back();
        let within = rollback.map(|rollback| rollback.within.unwrap_or(DEFAULT_WITHIN));
        let over =
            within.is_some_and(|within| waited >= Span::from_millis(within.as_millis() / PATIENCE_PART));
        Some(if over { Verdict::Refuse(format!("{why}; its pods stay")) } else { Verdict::Wait(why) })
    }

    /// A slot that has traffic, or whose pods the Service selects anyway, is left alone.
    pub(super) fn keeps_its_pods(&self, slot: &SlotName, seen: &Observation) -> Option<Verdict> {
        if self.undirected(seen).is_some() {
            return Some(Verdict::Refuse(format!(
                "{} does not exist, so it is unknown which pods serve users",
                self.director_word()
            )));
        }
        let route = seen.route.as_ref();
        let weighs = route.is_some_and(|route| {
            route.weights.get(slot).is_some_and(|weight| *weight > 0) || route.elsewhere.contains(slot)
        });
        let pointed = seen.route.is_none() && !self.shares_follow_pods() && seen.live() == Some(slot);
        if !weighs && !pointed && seen.serving(slot) == 0 {
            return None;
        }
        let who = match &seen.route {
            Some(route) => route.changed.as_ref(),
            None => seen.service.as_ref().and_then(|service| service.changed.as_ref()),
        };
        let who = who.map(|by| format!(", set by {}", by.manager)).unwrap_or_default();
        Some(Verdict::Refuse(format!("{slot} has the traffic{who}; its pods must stay")))
    }
}
