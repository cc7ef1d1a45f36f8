//! What a namespace makes of a pod: amounts that its limit ranges fill in, pods that they refuse, and which pods a quota counts.

use super::{
    finding::{Area, Finding},
    picture::{Amounts, ContainerSeen, DeploymentSeen, LimitRange, Quota, Scope},
};

/// Amounts that limit ranges and quotas know of containers.
const KINDS: [&str; 2] = ["cpu", "memory"];

/// What a container's pod has in the end, by `requests.cpu` and the like: its own amount, else what the API server takes instead.
fn effective(container: &ContainerSeen, resource: &str, ranges: &[LimitRange]) -> Option<i128> {
    let kind = resource.rsplit('.').next()?;
    let from =
        |pick: fn(&LimitRange) -> &Amounts| ranges.iter().find_map(|range| pick(range).get(kind).copied());
    let limit = container.limits.get(kind).copied();
    let default = || from(|range| &range.default);
    if resource.starts_with("limits.") {
        return limit.or_else(default);
    }
    let own = container.requests.get(kind).copied().or(limit);
    own.or_else(|| from(|range| &range.default_request)).or_else(default)
}

/// What one pod counts in a quota, with what limit ranges fill in.
pub(super) fn per_pod(deployment: &DeploymentSeen, ranges: &[LimitRange]) -> Amounts {
    let mut amounts = deployment.per_pod.clone();
    for kind in KINDS {
        for what in ["requests", "limits"] {
            let resource = format!("{what}.{kind}");
            let has = |one: &ContainerSeen| match what {
                "limits" => one.limits.contains_key(kind),
                _ => one.requests.contains_key(kind),
            };
            let more: i128 = (deployment.containers.iter())
                .filter(|container| !has(container))
                .filter_map(|container| effective(container, &resource, ranges))
                .sum();
            if more == 0 {
                continue;
            }
            if what == "requests" {
                *amounts.entry(kind.to_owned()).or_default() += more;
            }
            *amounts.entry(resource).or_default() += more;
        }
    }
    amounts
}

/// Whether a container of these pods has no such amount, so that a quota on it refuses them.
pub(super) fn lacks(deployment: &DeploymentSeen, resource: &str, ranges: &[LimitRange]) -> bool {
    deployment.containers.iter().any(|container| effective(container, resource, ranges).is_none())
}

/// Pods that a limit range refuses.
pub(super) fn refused(name: &str, deployment: &DeploymentSeen, ranges: &[LimitRange]) -> Option<Finding> {
    for range in ranges {
        for container in &deployment.containers {
            for kind in KINDS {
                let limit = effective(container, &format!("limits.{kind}"), ranges);
                let request = effective(container, &format!("requests.{kind}"), ranges);
                let above =
                    range.max.get(kind).filter(|max| limit.or(request).is_some_and(|amount| amount > **max));
                let below =
                    range.min.get(kind).filter(|min| request.or(limit).is_some_and(|amount| amount < **min));
                let unlimited = range.max.get(kind).filter(|_| limit.is_none());
                let (what, bound) = match (above, below, unlimited) {
                    (Some(max), ..) => ("at most", max),
                    (_, Some(min), _) => ("at least", min),
                    (.., Some(max)) => ("a limit of at most", max),
                    _ => continue,
                };
                let wants = format!("{what} {} {kind}", amount(kind, *bound));
                return Some(Finding::fault(
                    Area::Room,
                    format!("limitrange {}", range.name),
                    format!(
                        "it wants {wants} of each container, and container {} of deployment/{name} does not keep to \
                         that: new pods are refused",
                        container.name
                    ),
                    format!(
                        "set requests and limits of container {} to {wants}, or change the limit range",
                        container.name
                    ),
                ));
            }
        }
    }
    None
}

/// Whether a quota counts these pods: none where its scopes are not known here.
pub(super) fn counts(quota: &Quota, deployment: &DeploymentSeen, ranges: &[LimitRange]) -> Option<bool> {
    let mut all = true;
    for Scope { name, operator, values } in &quota.scopes {
        let best_effort = || {
            let has = |container: &ContainerSeen| {
                KINDS.iter().any(|kind| {
                    ["requests", "limits"].iter().any(|what| {
                        effective(container, &format!("{what}.{kind}"), ranges)
                            .is_some_and(|amount| amount > 0)
                    })
                })
            };
            !deployment.containers.iter().any(has)
        };
        all &= match (name.as_str(), operator.as_str()) {
            // A Deployment's pods have no end.
            ("NotTerminating", _) => true,
            ("Terminating", _) => false,
            ("BestEffort", _) => best_effort(),
            ("NotBestEffort", _) => !best_effort(),
            ("PriorityClass", "" | "Exists") => deployment.priority.is_some(),
            ("PriorityClass", "DoesNotExist") => deployment.priority.is_none(),
            ("PriorityClass", "In") => deployment.priority.as_ref().is_some_and(|own| values.contains(own)),
            ("PriorityClass", "NotIn") => {
                !deployment.priority.as_ref().is_some_and(|own| values.contains(own))
            }
            _ => return None,
        };
    }
    Some(all)
}

/// An amount in thousandths, as a person would write it.
pub(super) fn amount(resource: &str, milli: i128) -> String {
    if resource.ends_with("cpu") && milli % 1000 != 0 {
        return format!("{milli}m");
    }
    let whole = milli / 1000;
    if resource.ends_with("memory") || resource.ends_with("storage") {
        return format!("{}Mi", (whole + (1 << 20) - 1) >> 20);
    }
    whole.to_string()
}
