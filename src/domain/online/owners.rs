//! Who else writes to our objects, and whether that would undo what a run does.

use std::collections::BTreeMap;

use super::{
    actions::{actions, changes, slots},
    finding::{Area, Finding},
    picture::{Autoscaler, ClusterPicture, Found, Looked, Meta, Sync, Tracker},
};
use crate::domain::{
    action::{ActionKind, Replicas},
    director::Director,
    runbook::{Runbook, Target},
};

const ARGO_ID: &str = "argocd.argoproj.io/tracking-id";
const ARGO_LABEL: &str = "argocd.argoproj.io/instance";
/// Argo CD's default label in its releases 1 and 2; Helm writes it too.
const SHARED_LABEL: &str = "app.kubernetes.io/instance";
const ARGO_MANAGERS: [&str; 3] = ["argocd-controller", "argocd-application-controller", "argocd"];
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const HELM: &str = "helm.toolkit.fluxcd.io";
const ROLLOUTS: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
const ROLLOUTS_HASH: &str = "rollouts-pod-template-hash";

/// The `GitOps` applications that an object belongs to, by its labels and annotations.
pub fn trackers(meta: &Meta) -> Vec<Tracker> {
    let mut found = Vec::new();
    // `app:group/kind:namespace/name`, with `namespace_app` where applications live in any namespace.
    let by_id = meta.annotations.get(ARGO_ID).and_then(|id| id.split(':').next());
    let written = meta.managers.iter().any(|manager| ARGO_MANAGERS.contains(&manager.as_str()));
    let by_label = meta.labels.get(ARGO_LABEL).or_else(|| meta.annotations.get(ARGO_LABEL));
    let by_label = by_label.or_else(|| meta.labels.get(SHARED_LABEL).filter(|_| written));
    if let Some(name) = by_id.or(by_label.map(String::as_str)).filter(|name| !name.is_empty()) {
        let (namespace, name) = match name.split_once('_') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, name),
        };
        found.push(Tracker::ArgoCd { namespace, name: name.to_owned() });
    }
    let flux = |group: &str| {
        let name = meta.labels.get(&format!("{group}/name"))?;
        let namespace = meta.labels.get(&format!("{group}/namespace"))?;
        Some((namespace.clone(), name.clone()))
    };
    let left_alone = ["disabled", "Disabled"]
        .contains(&meta.annotations.get(&format!("{KUSTOMIZE}/reconcile")).map_or("", String::as_str));
    if let Some((namespace, name)) = flux(KUSTOMIZE).filter(|_| !left_alone) {
        found.push(Tracker::Kustomization { namespace, name });
    }
    if let Some((namespace, name)) = flux(HELM) {
        found.push(Tracker::HelmRelease { namespace, name });
    }
    found
}

impl Tracker {
    fn words(&self) -> String {
        match self {
            Self::ArgoCd { name, .. } => format!("Argo CD's application {name}"),
            Self::Kustomization { namespace, name } => format!("Flux's kustomization {namespace}/{name}"),
            Self::HelmRelease { namespace, name } => format!("Flux's helmrelease {namespace}/{name}"),
        }
    }

    /// How a person keeps it from undoing a run.
    fn stop(&self) -> String {
        match self {
            Self::ArgoCd { name, .. } => format!(
                "turn self-heal off for the run (argocd app set {name} --self-heal=false), or deploy by commit; \
                 afterwards commit what the run has set"
            ),
            Self::Kustomization { namespace, name } => format!(
                "flux suspend kustomization {name} --namespace={namespace} for the run; afterwards commit what it has set"
            ),
            Self::HelmRelease { namespace, name } => format!(
                "flux suspend helmrelease {name} --namespace={namespace} for the run; afterwards commit what it has set"
            ),
        }
    }
}

pub(super) fn judge(runbook: &Runbook, target: &Target, cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    let before = found.len();
    for (about, meta) in written(target, cluster) {
        found.extend(others(&about, meta, &cluster.trackers));
    }
    match &cluster.autoscalers {
        Ok(all) => {
            for autoscaler in all {
                found.extend(scaled(runbook, target, cluster, autoscaler));
            }
        }
        Err(why) => found.push(Finding::not_looked_at(Area::Owners, "horizontalpodautoscalers", why)),
    }
    if found.len() == before {
        found.push(Finding::fine(
            Area::Owners,
            "our objects",
            "no autoscaler, Argo CD, Flux, Argo Rollouts or Flagger writes to them",
        ));
    }
}

/// Who else writes to an object, and whether that would undo what a run does, by its own fields and by what is known of the
/// applications that it belongs to. Asked when a run opens too.
pub fn others(about: &str, meta: &Meta, syncs: &BTreeMap<Tracker, Looked<Sync>>) -> Vec<Finding> {
    let all = trackers(meta);
    let mut found: Vec<Finding> =
        all.iter().map(|tracker| tracked(about, tracker, syncs.get(tracker))).collect();
    progressive(about, meta, &mut found);
    found
}

/// The objects that a run writes to, with what is known of them.
fn written<'a>(target: &Target, cluster: &'a ClusterPicture) -> Vec<(String, &'a Meta)> {
    let mut all = Vec::new();
    for (name, seen) in &cluster.deployments {
        if let Ok(Found::There(deployment)) = seen {
            all.push((format!("deployment/{name}"), &deployment.meta));
        }
    }
    for (name, seen) in &cluster.services {
        if let (Director::Selector, Ok(Found::There(service))) = (&target.director, seen) {
            all.push((format!("service/{name}"), &service.meta));
        }
    }
    if let Some((name, _, Ok(Found::There(route)))) = &cluster.route {
        all.push((format!("httproute/{name}"), &route.meta));
    }
    all
}

fn tracked(about: &str, tracker: &Tracker, sync: Option<&Looked<Sync>>) -> Finding {
    let (area, who) = (Area::Owners, tracker.words());
    match sync {
        Some(Ok(Sync::Heals)) => Finding::fault(
            area,
            about,
            format!("{who} puts back what others change: it would undo the run"),
            tracker.stop(),
        ),
        Some(Ok(Sync::HealsSome)) => Finding::warn(
            area,
            about,
            format!("{who} puts back what others change, except for some fields"),
            format!("make sure that image, replicas and selector are among them, or {}", tracker.stop()),
        ),
        Some(Ok(Sync::OnCommit)) => Finding::warn(
            area,
            about,
            format!("{who} writes it at the next commit"),
            format!("let nobody merge during the run, or {}", tracker.stop()),
        ),
        Some(Ok(Sync::ByHand)) => Finding::warn(
            area,
            about,
            format!("{who} writes it when somebody syncs"),
            "tell the team not to sync during the run; afterwards commit what the run has set",
        ),
        Some(Ok(Sync::Suspended)) => {
            Finding::fine(area, about, format!("{who} is suspended and writes nothing"))
        }
        Some(Err(why)) => Finding::unseen(
            area,
            about,
            format!("{who} writes it, and whether it puts back what others change is unknown ({})", why.why),
            format!("look there first; if it does: {}", tracker.stop()),
        ),
        None => Finding::unseen(
            area,
            about,
            format!("{who} writes it, and there was no time to ask whether it puts back what others change"),
            tracker.stop(),
        ),
    }
}

/// Controllers that move traffic and scale by themselves.
fn progressive(about: &str, meta: &Meta, found: &mut Vec<Finding>) {
    let by = meta.annotations.get(ROLLOUTS).map(|name| ("Rollout".to_owned(), name.clone()));
    let hash = meta.labels.contains_key(ROLLOUTS_HASH).then(|| ("Rollout".to_owned(), String::new()));
    for (kind, name) in by.or(hash).iter().chain(&meta.owners) {
        let who = match kind.as_str() {
            "Rollout" => "Argo Rollouts",
            "Canary" => "Flagger",
            _ => {
                found.push(Finding::warn(
                    Area::Owners,
                    about,
                    format!("{kind} {name} owns it, and may put back what a run changes"),
                    format!("ask the owners of {kind} {name} whether its controller does, and pause it for the run"),
                ));
                continue;
            }
        };
        found.push(Finding::fault(
            Area::Owners,
            about,
            format!("{who} ({kind} {name}) moves traffic and scales here: it would undo the run"),
            format!("deploy with {who}, or delete {kind} {name} before you use this runbook"),
        ));
    }
}

/// What an autoscaler does to the runbook's own scaling.
fn scaled(
    runbook: &Runbook,
    target: &Target,
    cluster: &ClusterPicture,
    autoscaler: &Autoscaler,
) -> Option<Finding> {
    let live = cluster.live();
    let is_ours = target.slots.values().any(|slot| slot.deployment == autoscaler.deployment);
    let Autoscaler { name, deployment, least, most } = autoscaler;
    let about = format!("hpa/{name}");
    let mine = |slot| {
        let mut meant = slots(target, live, slot).into_iter();
        meant.any(|slot| target.slots.get(slot).is_some_and(|slot| slot.deployment == *deployment))
    };
    let acts = actions(runbook);
    let scales: Vec<(&str, Replicas)> = acts
        .iter()
        .filter_map(|act| match &act.it.kind {
            ActionKind::Scale { slot, replicas } if mine(slot) => Some((act.place.as_str(), *replicas)),
            _ => None,
        })
        .collect();
    if let Some((place, count)) = scales.iter().find_map(|(place, replicas)| match replicas {
        // At 0 replicas an autoscaler rests.
        Replicas::Count(0) | Replicas::Before => None,
        Replicas::Count(count) => (!(*least..=*most).contains(count)).then_some((place, count)),
    }) {
        return Some(Finding::fault(
            Area::Owners,
            about,
            format!(
                "it keeps deployment/{deployment} between {least} and {most} pods, but {place} scales it to {count}: \
                 it would be undone"
            ),
            format!("scale to a number between {least} and {most}, or change the autoscaler first"),
        ));
    }
    if target.director == Director::Replicas && is_ours {
        return Some(Finding::fault(
            Area::Owners,
            about,
            format!("it scales deployment/{deployment}, and here the share of traffic is the number of pods"),
            "remove the autoscaler for the run, or direct the traffic by an HTTPRoute",
        ));
    }
    if let Some((place, _)) = scales.iter().find(|(_, replicas)| *replicas != Replicas::Count(0)) {
        return Some(Finding::warn(
            Area::Owners,
            about,
            format!(
                "{place} scales deployment/{deployment}, and the autoscaler ({least} to {most}) changes that again"
            ),
            format!("leave the number to the autoscaler, or keep {least} to {most} in mind"),
        ));
    }
    let changed = acts.iter().any(|act| changes(act.it).is_some_and(mine));
    let what = format!(
        "it scales deployment/{deployment} between {least} and {most}; the runbook leaves that to it"
    );
    changed.then(|| Finding::fine(Area::Owners, about, what))
}
