//! Why there is nothing to write a runbook for: what is wrong, then what to do, each on a line.

use crate::domain::{
    safe_text::SafeText,
    survey::{FoundController, FoundService, Survey, meets},
};

/// Another controller that moves the traffic of these Deployments.
pub(super) fn controller<'a>(survey: &'a Survey, deployments: &[&str]) -> Option<&'a FoundController> {
    survey.controllers.iter().find(|other| {
        other.deployment.as_deref().is_some_and(|name| {
            deployments.iter().any(|own| *own == name || *own == format!("{name}-primary"))
        })
    })
}

/// That it is left to the other one, and what to do.
pub(super) fn moved_by(other: &FoundController) -> String {
    format!(
        "{} of {} moves this traffic: two controllers would undo each other\nlet {} do this deployment; for \
         cutover, run these pods as plain Deployments without {} first",
        other.object, other.product, other.product, other.object
    )
}

/// Why there is nothing to choose from.
pub(super) fn nothing(survey: &Survey) -> String {
    let namespace = &survey.namespace;
    let by_rollout = survey.services.iter().find_map(|service| rolled_out(survey, service));
    if let Some(other) = by_rollout.or(survey.controllers.first()) {
        return moved_by(other);
    }
    match (survey.services.as_slice(), survey.deployments.as_slice()) {
        ([], []) => format!(
            "namespace {namespace} on {} has no Deployments and no Services, or does not exist\nname another one with \
             --namespace, or another cluster with --context",
            survey.server
        ),
        ([], _) => format!(
            "namespace {namespace} has no Service that selects pods, but {}\ncutover moves the traffic of a Service: \
             create one for these Deployments",
            deployments(survey)
        ),
        ([one], _) => no_pods(survey, one),
        (_, _) => format!(
            "no Service in namespace {namespace} selects the pods of one or two Deployments: {}\nname one with --service \
             to see why",
            list(survey.services.iter().map(|service| service.name.as_str()))
        ),
    }
}

/// Its controller would take back what a run does, pod by pod.
fn rolled_out<'a>(survey: &'a Survey, service: &FoundService) -> Option<&'a FoundController> {
    let selected = |other: &&FoundController| meets(&service.selector, &other.labels);
    survey.controllers.iter().find(selected)
}

/// Why the Service of this name cannot be chosen.
pub(super) fn no_such(survey: &Survey, name: &str) -> String {
    if let Some(service) = survey.service(name) {
        return match rolled_out(survey, service) {
            Some(other) => moved_by(other),
            None => no_pods(survey, service),
        };
    }
    if survey.services.is_empty() {
        return nothing(survey);
    }
    let known = survey.services.iter().map(|it| it.name.as_str());
    format!(
        "there is no Service {} that selects pods in namespace {}; there is {}\nname one of these with --service, or \
         another namespace with --namespace",
        SafeText::new(name),
        survey.namespace,
        list(known)
    )
}

/// Why a Service directs nothing that cutover could deploy.
fn no_pods(survey: &Survey, service: &FoundService) -> String {
    let met = survey.met_by(&service.selector).count();
    let selector: Vec<String> =
        service.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let (name, selector) = (&service.name, selector.join(","));
    match met {
        0 => format!(
            "service/{name} selects {selector}, and no Deployment in namespace {} makes such pods: it has {}\ncorrect the \
             selector, or name another Service with --service; StatefulSets and DaemonSets are not supported",
            survey.namespace,
            deployments(survey)
        ),
        2 => format!(
            "service/{name} selects two Deployments with the same labels ({})\ngive each a label of its own, such as \
             track: stable and track: canary",
            list(survey.met_by(&service.selector).map(|it| it.name.as_str()))
        ),
        _ => format!(
            "service/{name} selects {met} Deployments ({}), and cutover deploys one or two\nname another Service with \
             --service, or give this one a narrower selector",
            list(survey.met_by(&service.selector).map(|it| it.name.as_str()))
        ),
    }
}

fn deployments(survey: &Survey) -> String {
    match survey.deployments.as_slice() {
        [] => "no Deployments".to_owned(),
        some => format!("deployment {}", list(some.iter().map(|it| it.name.as_str()))),
    }
}

/// Some names; of many the first ones.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = names.collect();
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 if names.is_empty() => "none".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
