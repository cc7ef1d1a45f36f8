//! Whether traffic can reach the slots: what a Service selects now and would select after a switch.

use super::{
    finding::{Area, Finding},
    picture::{ClusterPicture, DeploymentSeen, Found, Labels, ServiceSeen},
};
use crate::domain::{
    belief::labels,
    director::Director,
    runbook::{Runbook, Slot, Target},
};

pub(super) fn judge(_runbook: &Runbook, target: &Target, cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    let before = found.len();
    if let Some(service) = cluster.service(&target.service) {
        pods(&target.service, service, found);
        match target.director {
            Director::Selector => switched(target, cluster, service, found),
            // One Service selects the pods of both; with a route it may serve something else.
            Director::Replicas | Director::Rollout => shared(target, cluster, service, found),
            Director::Route(_) => {}
        }
    }
    if let Director::Route(_) = target.director {
        routed(target, cluster, found);
    }
    match &cluster.workload {
        // Pods that are being replaced have nobody for a moment: that is no mistake of the runbook's.
        Ok(workload)
            if workload.live.is_none()
                && found.len() == before
                && matches!(target.director, Director::Rollout) =>
        {
            found.push(Finding::unseen(
                Area::Traffic,
                target.director_object(),
                "at this moment no pod is ready, so nobody has the traffic",
                "check again when the rollout that is under way is over",
            ));
        }
        Ok(workload) if workload.live.is_none() && found.len() == before => {
            found.push(Finding::fault(
                Area::Traffic,
                target.director_object(),
                format!("it gives the traffic to none of the runbook's slots ({})", names(target)),
                "point it at one of them first, or correct `target.slots`",
            ));
        }
        Ok(workload) => {
            if let Some(live) = workload.live.as_ref().filter(|_| found.len() == before) {
                found.push(Finding::fine(
                    Area::Traffic,
                    target.director_object(),
                    format!("{live} has the traffic; each slot's labels meet its own pods"),
                ));
            }
        }
        Err(why) => found.push(Finding::not_looked_at(Area::Traffic, target.director_object(), why)),
    }
}

impl ClusterPicture {
    fn service(&self, name: &str) -> Option<&ServiceSeen> {
        match self.services.get(name) {
            Some(Ok(Found::There(service))) => Some(service),
            _ => None,
        }
    }
}

fn names(target: &Target) -> String {
    target.slots.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn meets(selector: &Labels, pods: &Labels) -> bool {
    selector.iter().all(|(key, value)| pods.get(key) == Some(value))
}

/// The labels of a selector that the pods do not have as it wants them, with what they have.
fn apart(selector: &Labels, pods: &Labels) -> String {
    let wrong = selector.iter().filter(|(key, value)| pods.get(*key) != Some(value));
    let each = wrong.map(|(key, value)| match pods.get(key) {
        Some(has) => format!("{key}={value} (the pods have {key}={has})"),
        None => format!("{key}={value} (the pods have no label {key})"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The pods that a Service selects at this moment.
fn pods(name: &str, service: &ServiceSeen, found: &mut Vec<Finding>) {
    let about = format!("service/{name}");
    if service.selector.is_empty() {
        found.push(Finding::fault(
            Area::Traffic,
            about,
            "it has no selector, so it finds no pods by labels",
            "use the Service whose selector finds the pods",
        ));
        return;
    }
    let selects = labels(&service.selector);
    match service.pods {
        Some((0, _)) => found.push(Finding::fault(
            Area::Traffic,
            about,
            format!("its selector {selects} meets no pods: users get nothing now"),
            "correct the Service's selector, or scale up what it should select",
        )),
        Some((all, 0)) => found.push(Finding::fault(
            Area::Traffic,
            about,
            format!("its selector {selects} meets {all} pods, and none of them is ready"),
            "see `kubectl describe pods`; deploy when the live slot is healthy",
        )),
        _ => {}
    }
}

/// Where the selector is switched: each slot's must meet its own pods and nobody else's.
fn switched(target: &Target, cluster: &ClusterPicture, service: &ServiceSeen, found: &mut Vec<Finding>) {
    for (name, slot) in &target.slots {
        let Some(deployment) = cluster.deployment(&slot.deployment) else { continue };
        let pointed = target.selector_on(&service.selector, slot);
        if !meets(&pointed, &deployment.pod_labels) {
            found.push(Finding::fault(
                Area::Traffic,
                format!("slot {name}"),
                format!(
                    "after a switch the Service would select {}, which no pod of deployment/{} has",
                    apart(&pointed, &deployment.pod_labels),
                    slot.deployment
                ),
                format!("correct `target.slots.{name}.selector`, or the labels of the pod template"),
            ));
        }
        for (other_name, other) in target.slots.iter().filter(|(other, _)| *other != name) {
            let Some(theirs) = cluster.deployment(&other.deployment) else { continue };
            if meets(&pointed, &theirs.pod_labels) {
                found.push(Finding::fault(
                    Area::Traffic,
                    format!("slot {name}"),
                    format!("its labels {} also meet the pods of slot {other_name}", labels(&pointed)),
                    format!("add a label to `target.slots.{name}.selector` that only its pods have"),
                ));
            }
        }
    }
}

/// Where one Service selects the pods of both.
fn shared(target: &Target, cluster: &ClusterPicture, service: &ServiceSeen, found: &mut Vec<Finding>) {
    let mut told: Vec<&str> = Vec::new();
    for slot in target.slots.values() {
        let Some(deployment) = cluster.deployment(&slot.deployment) else { continue };
        if meets(&service.selector, &deployment.pod_labels) || told.contains(&slot.deployment.as_str()) {
            continue;
        }
        told.push(&slot.deployment);
        found.push(missed(target, &target.service, service, slot, deployment));
    }
}

/// Where a route weighs the slots' own Services.
fn routed(target: &Target, cluster: &ClusterPicture, found: &mut Vec<Finding>) {
    let backends = match &cluster.route {
        Some((name, rule, Ok(Found::There(route)))) => route.backends.as_ref().map(|some| (name, rule, some)),
        _ => None,
    };
    for (name, slot) in &target.slots {
        let Some(own) = slot.service.as_deref() else { continue };
        if let Some((route, rule, backends)) = backends
            && !backends.iter().any(|backend| backend == own)
        {
            found.push(Finding::fault(
                Area::Traffic,
                format!("slot {name}"),
                format!("{rule} of httproute/{route} has no backend for service {own}"),
                "add it to the rule, with weight 0 if it gets no traffic yet",
            ));
        }
        let (Some(service), Some(deployment)) = (cluster.service(own), cluster.deployment(&slot.deployment))
        else {
            continue;
        };
        if !meets(&service.selector, &deployment.pod_labels) {
            found.push(missed(target, own, service, slot, deployment));
        }
    }
}

fn missed(
    target: &Target,
    name: &str,
    service: &ServiceSeen,
    slot: &Slot,
    deployment: &DeploymentSeen,
) -> Finding {
    Finding::fault(
        Area::Traffic,
        format!("service/{name}"),
        format!(
            "it selects {}, so no pod of deployment/{} gets traffic",
            apart(&service.selector, &deployment.pod_labels),
            slot.deployment
        ),
        format!("correct the Service's selector or the pod template in namespace {}", target.namespace),
    )
}
