//! Whether what the runbook names is there, and is what the runbook takes it for.

use std::collections::BTreeSet;

use super::{
    actions::{Placed, actions, slots},
    finding::{Area, Finding},
    picture::{ClusterPicture, DeploymentSeen, Found, Looked, Picture},
};
use crate::domain::{
    action::{Action, ActionKind},
    id::SlotName,
    runbook::{Runbook, Target},
    template::Piece,
};

pub(super) fn judge(
    runbook: &Runbook,
    target: &Target,
    cluster: &ClusterPicture,
    picture: &Picture,
    found: &mut Vec<Finding>,
) {
    services(cluster, found);
    route(cluster, found);
    deployments(runbook, target, cluster, picture, found);
    patched(target, cluster, found);
}

/// A Service that is there is judged by who owns it and where it leads, elsewhere.
fn services(cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    for (name, seen) in &cluster.services {
        present(format!("service/{name}"), seen, "target.service", found);
    }
}

fn route(cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    let Some((name, rule, seen)) = &cluster.route else { return };
    let about = format!("httproute/{name}");
    let route = present(about.clone(), seen, "target.route", found);
    if route.is_some_and(|route| route.backends.is_none()) {
        found.push(Finding::fault(
            Area::Objects,
            about,
            format!("it has no {rule}"),
            "correct `target.route`, or add the rule to the HTTPRoute",
        ));
    }
}

fn deployments(
    runbook: &Runbook,
    target: &Target,
    cluster: &ClusterPicture,
    picture: &Picture,
    found: &mut Vec<Finding>,
) {
    let acts = actions(runbook);
    for (name, seen) in &cluster.deployments {
        let about = format!("deployment/{name}");
        let Some(deployment) = present(about.clone(), seen, "target.slots", found) else { continue };
        let mine: Vec<&SlotName> =
            target.slots.iter().filter(|(_, slot)| slot.deployment == *name).map(|(name, _)| name).collect();
        let subject = Subject { about, deployment, mine, live: cluster.live() };
        let before = found.len();
        subject.containers(target, &acts, found);
        subject.images(target, &acts, picture, found);
        subject.paused(target, &acts, found);
        subject.deadline(target, &acts, found);
        if found.len() == before {
            found.push(subject.fine(target));
        }
    }
}

fn patched(target: &Target, cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    for (kind, name, seen) in &cluster.patched {
        let about = format!("{kind}/{name}");
        match seen {
            Ok(true) => {}
            Ok(false) => found.push(Finding::fault(
                Area::Objects,
                about,
                format!("a `patch` action changes it, and there is none in namespace {}", target.namespace),
                "create it, or correct `name` and `kind` of the action",
            )),
            Err(why) => found.push(Finding::not_looked_at(Area::Objects, about, why)),
        }
    }
}

impl ClusterPicture {
    /// The slot with the traffic, where that is known.
    pub fn live(&self) -> Option<&SlotName> {
        self.workload.as_ref().ok().and_then(|workload| workload.live.as_ref())
    }

    /// A Deployment, where it was seen.
    pub(super) fn deployment(&self, name: &str) -> Option<&DeploymentSeen> {
        match self.deployments.get(name) {
            Some(Ok(Found::There(deployment))) => Some(deployment),
            _ => None,
        }
    }
}

/// The object, where there is one to be judged; that it is absent or could not be looked at is told.
fn present<'s, T>(
    about: String,
    seen: &'s Looked<Found<T>>,
    key: &str,
    found: &mut Vec<Finding>,
) -> Option<&'s T> {
    match seen {
        Ok(Found::There(object)) => return Some(object),
        Ok(Found::Absent(there)) => found.push(absent(about, there, key)),
        Err(why) => found.push(Finding::not_looked_at(Area::Objects, about, why)),
    }
    None
}

fn absent(about: String, there: &str, key: &str) -> Finding {
    let (what, advice) = there.rsplit_once("; ").unwrap_or((there, ""));
    let cure = if advice.is_empty() { format!("correct `{key}` in the runbook") } else { advice.to_owned() };
    Finding::fault(Area::Objects, about, what, cure)
}

/// A Deployment with the slots that it is.
struct Subject<'a> {
    about: String,
    deployment: &'a DeploymentSeen,
    mine: Vec<&'a SlotName>,
    live: Option<&'a SlotName>,
}

impl Subject<'_> {
    fn is_meant(&self, target: &Target, action: &Action) -> bool {
        let slot = match &action.kind {
            ActionKind::Rollout { slot, .. } => Some(slot),
            _ => super::actions::changes(action),
        };
        slot.is_some_and(|slot| slots(target, self.live, slot).iter().any(|name| self.mine.contains(name)))
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.deployment.containers.iter().map(|one| one.name.as_str()).collect();
        names.join(", ")
    }

    fn containers(&self, target: &Target, acts: &[Placed<'_, Action>], found: &mut Vec<Finding>) {
        let mut wanted = vec![(target.container.as_str(), "target.container".to_owned())];
        for act in acts.iter().filter(|act| self.is_meant(target, act.it)) {
            if let ActionKind::SetImage { container: Some(container), .. } = &act.it.kind
                && !wanted.iter().any(|(known, _)| known == container)
            {
                wanted.push((container, format!("`container` in {}", act.place)));
            }
        }
        for (name, key) in wanted {
            if !self.deployment.containers.iter().any(|one| one.name == name) {
                found.push(Finding::fault(
                    Area::Objects,
                    &self.about,
                    format!("it has no container `{name}`; it has {}", self.names()),
                    format!("correct {key}"),
                ));
            }
        }
    }

    fn images(
        &self,
        target: &Target,
        acts: &[Placed<'_, Action>],
        picture: &Picture,
        found: &mut Vec<Finding>,
    ) {
        let mut told = BTreeSet::new();
        for act in acts.iter().filter(|act| self.is_meant(target, act.it)) {
            let ActionKind::SetImage { container, image, .. } = &act.it.kind else { continue };
            let name = container.as_deref().unwrap_or(&target.container);
            let Some(runs) = self.deployment.containers.iter().find(|one| one.name == name) else { continue };
            let mut unknown = None;
            let mut text = String::new();
            for piece in image.pieces() {
                match piece {
                    Piece::Text(part) => text.push_str(part),
                    Piece::Var(var) => {
                        if let Some(value) = picture.values.get(var) {
                            text.push_str(value);
                        } else {
                            unknown.get_or_insert(var);
                            text.push(UNKNOWN);
                        }
                    }
                }
            }
            let (sets, has) = (repository(&text), repository(&runs.image));
            if let (true, Some(var)) = (sets.contains(UNKNOWN), unknown) {
                if told.insert(var.to_owned()) {
                    found.push(Finding::unseen(
                        Area::Objects,
                        &self.about,
                        format!("the image's repository comes from ${var}, which has no value yet"),
                        format!("give it with --var {var}=VALUE"),
                    ));
                }
            } else if sets != has && told.insert(sets.to_owned()) {
                found.push(Finding::fault(
                    Area::Objects,
                    &self.about,
                    format!("it runs {has}, but {} sets {sets}", act.place),
                    "correct the `image` of the action; go on only if the repository has really moved",
                ));
            }
        }
    }

    fn paused(&self, target: &Target, acts: &[Placed<'_, Action>], found: &mut Vec<Finding>) {
        let mut mine = acts.iter().filter(|act| self.is_meant(target, act.it));
        let first = mine.find(|act| {
            matches!(
                act.it.kind,
                ActionKind::SetImage { .. }
                    | ActionKind::Rollout { .. }
                    | ActionKind::Restart { .. }
                    | ActionKind::Resume { .. }
            )
        });
        let Some(first) = first.filter(|_| self.deployment.paused) else { return };
        if matches!(first.it.kind, ActionKind::Resume { .. }) {
            return;
        }
        found.push(Finding::fault(
            Area::Objects,
            &self.about,
            format!("it is paused, so {} would wait for a rollout that never starts", first.place),
            format!("kubectl rollout resume {} --namespace={}", self.about, target.namespace),
        ));
    }

    fn deadline(&self, target: &Target, acts: &[Placed<'_, Action>], found: &mut Vec<Finding>) {
        let Some(deadline) = self.deployment.progress_deadline else { return };
        let longest = (acts.iter())
            .filter(|act| matches!(act.it.kind, ActionKind::Rollout { .. }) && self.is_meant(target, act.it))
            .max_by_key(|act| act.it.timeout);
        let Some(act) = longest.filter(|act| act.it.timeout > deadline) else { return };
        let (ours, seconds) = (act.it.timeout, act.it.timeout.as_secs());
        found.push(Finding::warn(
            Area::Objects,
            &self.about,
            format!(
                "progressDeadlineSeconds is {}, but {} waits {ours} for the rollout: Kubernetes calls it failed first",
                deadline.as_secs(),
                act.place
            ),
            format!("set progressDeadlineSeconds to at least {seconds}, or give the action a shorter `timeout`"),
        ));
    }

    fn fine(&self, target: &Target) -> Finding {
        let image = self.deployment.containers.iter().find(|one| one.name == target.container);
        let image = image.map_or("", |one| one.image.as_str());
        let slots: Vec<&str> = self.mine.iter().map(|slot| slot.as_str()).collect();
        let of = if self.mine.len() == 1 { "slot" } else { "slots" };
        let live = self.live.filter(|live| self.mine.contains(live) && self.mine.len() == 1);
        let live = if live.is_some() { ", has the traffic" } else { "" };
        Finding::fine(
            Area::Objects,
            &self.about,
            format!("{of} {}{live}; {} replicas of {image}", slots.join(" and "), self.deployment.replicas),
        )
    }
}

/// Stands for a value that is not known; no image has it.
const UNKNOWN: char = '\u{fffd}';

/// An image without its tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    image[name..].find(':').map_or(image, |colon| &image[..name + colon])
}

#[cfg(test)]
mod tests {
    use super::repository;

    #[test]
    fn a_repository_is_an_image_without_tag_and_digest() {
        for (image, is) in [
            ("shop", "shop"),
            ("shop:v1", "shop"),
            ("host:5000/shop", "host:5000/shop"),
            ("host:5000/team/shop:v1@sha256:00", "host:5000/team/shop"),
        ] {
            assert_eq!(repository(image), is, "{image}");
        }
    }
}
