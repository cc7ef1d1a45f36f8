//! Each fault that can be planted, in the picture of a runbook that is otherwise fine: one line that says what to do.

use std::collections::BTreeMap;

use super::{
    finding::{Area, Findings, Mark},
    judge,
    machine::{self, Machine, State, Terminal},
    picture::*,
};
use crate::domain::{
    director::Director,
    fixture,
    metric::{Counted, Missing, Query},
    rights::{Missing as Denied, Right, Scope, Verb, Weight},
    runbook::{Rule, Runbook, Trigger, TriggerWatch},
    time::{Span, Timestamp},
    workload::ClusterIdentity,
    worse::{Than, Worse},
};

mod doctor;
mod measures;
mod owners;
mod room;

fn runbook() -> Runbook {
    let text = include_str!("../../../tests/support/online.toml");
    let loaded = crate::config::load_str("online.toml", text);
    loaded.runbook.clone().unwrap_or_else(|| panic!("{}", loaded.render(false)))
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

const REPOSITORY: &str = "registry.example.com/payment-system-backend";

/// A cluster in which nothing is wrong.
fn cluster() -> ClusterPicture {
    let deployment = |version: &str| {
        let seen = DeploymentSeen {
            replicas: 3,
            progress_deadline: Some(Span::from_secs(600)),
            surge: 1,
            pod_labels: labels(&[("app", "backend"), ("version", version)]),
            containers: vec![ContainerSeen {
                name: "backend".into(),
                image: format!("{REPOSITORY}:v1.5.0"),
                requests: [("cpu".to_owned(), 250)].into(),
                ..ContainerSeen::default()
            }],
            per_pod: [("pods".to_owned(), 1000), ("requests.cpu".to_owned(), 250)].into(),
            ..DeploymentSeen::default()
        };
        (format!("backend-{version}"), Ok(Found::There(seen)))
    };
    let service = ServiceSeen {
        selector: labels(&[("app", "backend"), ("version", "blue")]),
        pods: Some((3, 3)),
        ..ServiceSeen::default()
    };
    let mut workload = fixture::workload("blue");
    for slot in workload.slots.values_mut() {
        slot.counts = [("Running".to_owned(), 3)].into();
    }
    ClusterPicture {
        identity: ClusterIdentity {
            context: "prod-eu-1".into(),
            server: "https://k".into(),
            ..Default::default()
        },
        user: "ada".into(),
        clock: Ok(100),
        rights: 20,
        missing: Ok(Vec::new()),
        workload: Ok(workload),
        services: [("backend-service".to_owned(), Ok(Found::There(service)))].into(),
        route: None,
        deployments: [deployment("blue"), deployment("green")].into(),
        autoscalers: Ok(Vec::new()),
        budgets: Ok(Vec::new()),
        quotas: Ok(Vec::new()),
        limits: Ok(Vec::new()),
        trackers: [].into(),
        room: [("backend-green".to_owned(), Ok((true, "room for 50 more pods".to_owned())))].into(),
        patched: Vec::new(),
    }
}

fn measured(slot: &str) -> Measured {
    Measured {
        metric: "error_rate".into(),
        slot: Some(slot.into()),
        value: Ok(Ok(0.0004)),
        took: Span::from_millis(20),
        explained: Explained {
            namespaces: vec![("namespace".into(), "production".into())],
            spacing: Some(Span::from_secs(15)),
            ..Explained::default()
        },
        per_second: None,
    }
}

fn fine() -> Picture {
    let tried = |about: &str, kind| Tried { about: about.into(), kind, seen: Ok(Ok((true, "fine".into()))) };
    Picture {
        cluster: Some(Ok(cluster())),
        login: None,
        values: [("VERSION".to_owned(), "v1.6.0".to_owned())].into(),
        measured: vec![measured("blue"), measured("green")],
        clocks: [("prometheus".to_owned(), Ok(-200))].into(),
        tried: vec![
            tried("GET http://shop/health", TriedKind::Http),
            tried("webhook of [notify]", TriedKind::Webhook),
        ],
        tools: vec![Tool {
            name: "date".into(),
            places: vec!["step deploy".into()],
            found: Some("/bin/date".into()),
        }],
        vars: vec![VarSeen { name: "VERSION".into(), state: VarState::Asked }],
    }
}

/// What is not fine after something was planted: the mark, what was found, what to do.
fn planted(plant: impl FnOnce(&mut Picture)) -> Vec<(Mark, String, String)> {
    let mut picture = fine();
    plant(&mut picture);
    let Findings(all) = judge(&runbook(), &picture);
    let bad = all.into_iter().filter(|finding| finding.mark != Mark::Ok);
    bad.map(|it| (it.mark, format!("{}: {}", it.about, it.found), it.cure.unwrap_or_default())).collect()
}

fn in_cluster(plant: impl FnOnce(&mut ClusterPicture)) -> Vec<(Mark, String, String)> {
    planted(|picture| plant(picture.cluster.as_mut().unwrap().as_mut().unwrap()))
}

fn on_green(plant: impl FnOnce(&mut DeploymentSeen)) -> Vec<(Mark, String, String)> {
    in_cluster(|cluster| match cluster.deployments.get_mut("backend-green") {
        Some(Ok(Found::There(green))) => plant(green),
        _ => unreachable!("the picture has it"),
    })
}

/// Exactly one line, of this mark, with these words, and this to do.
#[track_caller]
fn one(found: Vec<(Mark, String, String)>, mark: Mark, words: &str, cure: &str) {
    let [(is, said, todo)] = &found[..] else { panic!("not one line: {found:#?}") };
    assert_eq!(*is, mark, "{said}");
    assert!(said.contains(words), "{said}");
    assert!(todo.contains(cure), "{todo}");
}

#[test]
fn nothing_is_said_where_nothing_is_wrong() {
    assert_eq!(planted(|_| ()), []);
    let findings = judge(&runbook(), &fine());
    assert!(findings.pass(true) && findings.count(Mark::Ok) > 10, "{findings:#?}");
}

#[test]
fn a_verb_that_is_not_allowed() {
    let found = in_cluster(|cluster| {
        let right = Right {
            verb: Verb::Patch,
            group: String::new(),
            resource: "services".into(),
            names: vec!["backend-service".into()],
            scope: Scope::Namespace,
            weight: Weight::Run,
            what_for: "switch".into(),
            without: "no switch, no rollback".into(),
        };
        let namespace = Some("production".into());
        cluster.missing = Ok(vec![Denied { right, namespace, user: "ada".into() }]);
    });
    one(
        found,
        Mark::Fault,
        "patch services backend-service: not allowed",
        "ask for the verb `patch` on `services` in namespace production",
    );
}

#[test]
fn a_container_that_is_not_there() {
    let found = on_green(|green| green.containers[0].name = "app".into());
    one(found, Mark::Fault, "it has no container `backend`; it has app", "correct target.container");
}

#[test]
fn a_selector_that_meets_no_pods() {
    let found = on_green(|green| drop(green.pod_labels.insert("version".into(), "gren".into())));
    one(
        found,
        Mark::Fault,
        "version=green (the pods have version=gren)",
        "correct `target.slots.green.selector`",
    );
    let found = in_cluster(|cluster| {
        let Some(Ok(Found::There(service))) = cluster.services.get_mut("backend-service") else { return };
        service.pods = Some((0, 0));
    });
    one(found, Mark::Fault, "meets no pods", "correct the Service's selector");
}

#[test]
fn a_disruption_budget() {
    let budget = Budget {
        name: "shop".into(),
        selector: labels(&[("app", "backend")]),
        allowed: 0,
        needed: 6,
        healthy: 6,
        has_expressions: false,
    };
    let found = in_cluster(|cluster| cluster.budgets = Ok(vec![budget]));
    one(
        found,
        Mark::Warning,
        "allows no eviction of backend-blue and backend-green (6 healthy, 6 needed)",
        "lower its minAvailable",
    );
}

#[test]
fn a_quota() {
    let quota = |hard: &[(&str, i128)]| Quota {
        name: "team".into(),
        hard: hard.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect(),
        used: [("pods".to_owned(), 6000), ("requests.cpu".to_owned(), 1500)].into(),
        ..Quota::default()
    };
    let found = in_cluster(|cluster| cluster.quotas = Ok(vec![quota(&[("pods", 6000)])]));
    one(found, Mark::Fault, "the run needs 1 more of pods, and 0 of 6 are left", "raise pods to 7");
    let found = in_cluster(|cluster| cluster.quotas = Ok(vec![quota(&[("limits.memory", 1 << 40)])]));
    assert_eq!(found.len(), 1, "{found:#?}");
    one(
        found,
        Mark::Fault,
        "counts limits.memory, which the pods of deployment/backend-green do not set",
        "set limits.memory",
    );
}

#[test]
fn a_tool_that_is_not_on_the_path() {
    let found = planted(|picture| picture.tools[0].found = None);
    one(found, Mark::Fault, "date: step deploy runs it, and it is not on the PATH", "install date");
}

#[test]
fn an_image_of_another_repository() {
    let found = on_green(|green| green.containers[0].image = "registry.example.com/shop:v1.5.0".into());
    one(
        found,
        Mark::Fault,
        "it runs registry.example.com/shop, but step deploy sets registry.example.com/payment-system-backend",
        "correct the `image`",
    );
}

#[test]
fn a_paused_deployment() {
    let found = on_green(|green| green.paused = true);
    one(
        found,
        Mark::Fault,
        "it is paused",
        "kubectl rollout resume deployment/backend-green --namespace=production",
    );
}

#[test]
fn a_progress_deadline_shorter_than_the_runbooks() {
    let found = on_green(|green| green.progress_deadline = Some(Span::from_secs(60)));
    one(
        found,
        Mark::Warning,
        "progressDeadlineSeconds is 60, but step deploy waits",
        "set progressDeadlineSeconds to at least 600",
    );
}

#[test]
fn a_webhook_that_cannot_be_reached() {
    let found =
        planted(|picture| picture.tried[1].seen = Ok(Err("the name of the host does not resolve".into())));
    one(
        found,
        Mark::Fault,
        "webhook of [notify]: the name of the host does not resolve",
        "nothing was posted",
    );
}

#[test]
fn a_clock_that_is_off() {
    let found = in_cluster(|cluster| cluster.clock = Ok(40_000));
    one(found, Mark::Fault, "API server: its clock is 40 s ahead of this machine's", "timedatectl");
    let found = planted(|picture| drop(picture.clocks.insert("prometheus".into(), Ok(-40_000))));
    one(found, Mark::Fault, "source prometheus: its clock is 40 s behind this machine's", "timedatectl");
    assert_eq!(in_cluster(|cluster| cluster.clock = Ok(2_999)), []);
}

#[test]
fn what_could_not_be_looked_at_is_never_healthy() {
    let not = || Unseen::new("denied", "ask for the verb `list`");
    let found = in_cluster(|cluster| {
        cluster.quotas = Err(not());
        cluster.budgets = Err(not());
        cluster.autoscalers = Err(not());
        cluster.missing = Err(not());
        cluster.deployments.insert("backend-green".into(), Err(not()));
    });
    assert!(found.len() >= 4 && found.iter().all(|(mark, ..)| *mark == Mark::NotLookedAt), "{found:#?}");
    let mut picture = fine();
    picture.measured.iter_mut().for_each(|measured| measured.value = Err(not()));
    let findings = judge(&runbook(), &picture);
    assert!(findings.pass(false) && !findings.pass(true));
    assert_eq!(findings.count(Mark::NotLookedAt), 1, "one line for the source: {findings:#?}");
}

#[test]
fn hostile_names_are_made_harmless() {
    let found = on_green(|green| green.containers[0].name = "\x1b]0;owned\x07\u{202e}evil".into());
    assert!(
        found.iter().all(|(_, said, todo)| !format!("{said}{todo}").contains(['\x1b', '\x07', '\u{202e}'])),
        "{found:?}"
    );
}

/// The pods of one Deployment are being replaced: the look comes between the old and the new ones.
#[test]
fn pods_that_are_being_replaced_are_no_mistake_of_the_runbook() {
    let mut runbook = runbook();
    let mut picture = fine();
    let target = runbook.target.as_mut().unwrap();
    let cluster = picture.cluster.as_mut().unwrap().as_mut().unwrap();
    cluster.workload.as_mut().unwrap().live = None;
    target.director = Director::Rollout;
    let said = |runbook: &Runbook, picture: &Picture| -> Vec<(Mark, String)> {
        let all = judge(runbook, picture).0;
        let traffic = all.into_iter().filter(|it| it.area == Area::Traffic && it.found.contains("traffic"));
        traffic.filter(|it| it.mark != Mark::Ok).map(|it| (it.mark, it.found)).collect()
    };
    let deployments = &mut picture.cluster.as_mut().unwrap().as_mut().unwrap().deployments;
    for seen in deployments.values_mut() {
        if let Ok(Found::There(deployment)) = seen {
            deployment.pod_labels = labels(&[("app", "backend"), ("version", "blue")]);
        }
    }
    let found = said(&runbook, &picture);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Mark::NotLookedAt, "{found:?}");
    runbook.target.as_mut().unwrap().director = Director::Replicas;
    assert_eq!(said(&runbook, &picture)[0].0, Mark::Fault);
}
