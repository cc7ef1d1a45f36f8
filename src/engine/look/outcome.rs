//! What became of an action whose result is unknown: a connection that broke, an engine that died.

use super::{Looker, message, target::nowhere};
use crate::domain::{
    action::{Action, ActionKind, SlotRef},
    belief::labels,
    director::{Share, in_words, pods_for, share_of},
    event::Resolution,
    id::SlotName,
    observation::Observation,
    patched::Patched,
    run::Run,
};

/// Where a look cannot tell what became of an action.
const UNSEEN: &str = "the cluster can't show whether this was done";

impl Looker {
    /// The outcome of a Kubernetes action whose result is unknown; none if the cluster cannot tell.
    ///
    /// "Not done" is only said once it cannot be done any more either: a request without an answer may still be on its way, so
    /// its object is marked first, which makes the API server refuse what carries an older version.
    pub async fn verify(&self, run: &Run, action: &Action) -> (Option<Resolution>, String) {
        match self.try_verify(run, action).await {
            Ok((resolution, evidence)) => (Some(resolution), evidence),
            Err(why) => (None, why),
        }
    }

    /// Looked at twice with a write in between: only what is not done after nothing can arrive any more was not done.
    async fn try_verify(&self, run: &Run, action: &Action) -> Result<(Resolution, String), String> {
        // Waiting changes nothing, so it can simply be done again.
        if matches!(action.kind, ActionKind::Rollout { .. }) {
            return Ok((Resolution::RunAgain, "waiting changes nothing".to_owned()));
        }
        let object = self.object_of(run, action)?;
        let cluster = self.ports.cluster()?;
        let (done, evidence) = self.is_done(run, action, &cluster.observe().await.map_err(message)?)?;
        if done {
            return Ok((Resolution::Done, evidence));
        }
        if let Err(fault) = cluster.settle(object.as_ref()).await {
            return Err(format!("{evidence}, but the request may still arrive: {}", fault.message));
        }
        let (done, evidence) = self.is_done(run, action, &cluster.observe().await.map_err(message)?)?;
        Ok((if done { Resolution::Done } else { Resolution::NotDone }, evidence))
    }

    /// The slot whose Deployment an action writes to; none where it writes to what directs the traffic.
    ///
    /// # Errors
    /// Where nothing in the cluster shows what became of it.
    fn object_of(&self, run: &Run, action: &Action) -> Result<Option<SlotName>, String> {
        match &action.kind {
            ActionKind::ShiftTraffic { .. } if run.shares_follow_pods() => {
                self.slots.get(&SlotRef::New).map(Some)
            }
            ActionKind::SwitchTraffic { .. } | ActionKind::ShiftTraffic { .. } => Ok(None),
            ActionKind::Scale { slot, .. }
            | ActionKind::SetImage { slot, .. }
            | ActionKind::Revert { slot }
            | ActionKind::Pause { slot }
            | ActionKind::Resume { slot } => self.slots.get(slot).map(Some),
            ActionKind::Patch(_) => match run.patches(action) {
                Some(Patched::Service | Patched::Route) => Ok(None),
                Some(Patched::Slot(slot)) => Ok(Some(slot)),
                Some(Patched::Backend(_)) | None => Err(UNSEEN.to_owned()),
            },
            ActionKind::Rollout { .. }
            | ActionKind::Restart { .. }
            | ActionKind::Sh { .. }
            | ActionKind::Argv { .. }
            | ActionKind::Http(_)
            | ActionKind::Notify { .. } => Err(UNSEEN.to_owned()),
        }
    }

    /// Whether a look shows what an action was to bring about.
    fn is_done(&self, run: &Run, action: &Action, seen: &Observation) -> Result<(bool, String), String> {
        let slot = |slot: &SlotRef| {
            let name = self.slots.get(slot)?;
            seen.slot(&name).ok_or_else(|| format!("{name} has no Deployment"))
        };
        match &action.kind {
            ActionKind::SwitchTraffic { to, .. } => Ok(switched(seen, &self.slots.get(to)?)),
            ActionKind::ShiftTraffic { to, share } => self.is_shifted(run, run.new_share(to, *share), seen),
            ActionKind::Revert { slot: which } => {
                let (found, target) = (slot(which)?, run.opened.previous.as_ref());
                let target = target.ok_or_else(|| UNSEEN.to_owned())?;
                let same = match &target.hash {
                    Some(hash) if !found.template_hash.is_empty() => found.template_hash == *hash,
                    _ => found.template_image == target.image,
                };
                Ok((same, format!("the template's image is {}", found.template_image)))
            }
            ActionKind::Pause { slot: which } | ActionKind::Resume { slot: which } => {
                let (found, wanted) = (slot(which)?, matches!(action.kind, ActionKind::Pause { .. }));
                let word = if found.paused { "the rollout is paused" } else { "the rollout is not paused" };
                Ok((found.paused == wanted, word.to_owned()))
            }
            ActionKind::Scale { slot: which, replicas } => {
                let found = slot(which)?;
                Ok((found.desired == run.replicas(*replicas), format!("{} replicas desired", found.desired)))
            }
            ActionKind::SetImage { slot: which, image, .. } => {
                let (found, image) =
                    (slot(which)?, self.values.expand(image).map_err(|unset| unset.to_string())?);
                Ok((found.image == image, format!("image is {}", found.image)))
            }
            ActionKind::Patch(_) => is_patched(run, action, seen).ok_or_else(|| UNSEEN.to_owned()),
            _ => Err(UNSEEN.to_owned()),
        }
    }

    /// Whether the slots have the shares that they were to get; where pods make the shares, whether they were asked for.
    fn is_shifted(&self, run: &Run, share: Share, seen: &Observation) -> Result<(bool, String), String> {
        let (new, previous) = (self.slots.get(&SlotRef::New)?, self.slots.get(&SlotRef::Previous)?);
        if run.shares_follow_pods() {
            let of = |name: &SlotName| seen.slot(name).ok_or_else(|| format!("{name} has no Deployment"));
            let (found, stable) = (of(&new)?, of(&previous)?);
            let done = pods_for(share, stable.desired) == Some(found.desired);
            return Ok((done, format!("{} replicas desired", found.desired)));
        }
        let shares = seen.shares();
        let done = share_of(&shares, &new) == share && share_of(&shares, &previous) == share.rest();
        Ok((done, format!("traffic goes to {}", in_words(&shares))))
    }
}

/// Whether what directs the traffic leads all of it to this slot.
fn switched(seen: &Observation, to: &SlotName) -> (bool, String) {
    if seen.route.is_some() {
        return (seen.is_alone(to), format!("traffic goes to {}", in_words(&seen.shares())));
    }
    let text = seen.live().map_or_else(|| nowhere(seen), |live| format!("the service selects {live}"));
    (seen.live() == Some(to), text)
}

/// Whether a look shows what a patch was to change of the selector, the image or the replicas. Where it changes none of them,
/// nothing shows it.
fn is_patched(run: &Run, action: &Action, seen: &Observation) -> Option<(bool, String)> {
    let pinned = run.pinned.as_ref()?;
    match run.patches(action)? {
        Patched::Service => {
            let after = run.selector_after(action, &pinned.selector).ok()?;
            let now = &seen.service.as_ref()?.selector;
            (after != pinned.selector)
                .then(|| (*now == after, format!("the service selects {}", labels(now))))
        }
        Patched::Route => {
            let (pinned, now) = (pinned.route.as_ref()?, seen.route.as_ref()?);
            let after = run.weights_after(action, pinned).ok()?;
            let words = format!("traffic goes to {}", in_words(&seen.shares()));
            (after != pinned.weights).then(|| (now.weights == after, words))
        }
        Patched::Backend(_) => None,
        Patched::Slot(slot) => {
            let change = run.slot_after(action, pinned.slots.get(&slot)?);
            let (now, image) = (seen.slot(&slot)?, change.image.flatten());
            let replicas = change.replicas.and_then(Result::ok);
            let done = replicas.is_none_or(|replicas| replicas == now.desired)
                && image.as_ref().is_none_or(|image| *image == now.image);
            let words = format!("image is {}, {} replicas desired", now.image, now.desired);
            (replicas.is_some() || image.is_some()).then_some((done, words))
        }
    }
}
