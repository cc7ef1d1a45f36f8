//! Each fault that can be planted, in the picture of a runbook that is otherwise fine: one line that says what to do.

use std::collections::BTreeMap;

use super::{
    finding::{Findings, Mark},
    judge,
    machine::{self, Machine, State, Terminal},
    picture::*,
};
use crate::domain::{
    fixture,
    metric::{Counted, Missing, Query},
    rights::{Missing as Denied, Right, Scope, Verb, Weight},
    runbook::{Rule, Runbook, Trigger, TriggerWatch},
    time::{Span, Timestamp},
    workload::ClusterIdentity,
    worse::{Than, Worse},
};

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

fn on_blue(value: Missing, explained: Explained) -> Vec<(Mark, String, String)> {
    planted(|picture| {
        picture.measured[0] = Measured { value: Ok(Err(value)), explained, ..measured("blue") };
        picture.measured.truncate(1);
    })
    .into_iter()
    .collect()
}

#[test]
fn a_query_without_series() {
    let gap = Gap::NoMetric { name: "http_request_total".into(), alike: vec!["http_requests_total".into()] };
    let found = on_blue(Missing::NoData, Explained { gap: Some(gap), ..Explained::default() });
    one(
        found,
        Mark::Fault,
        "nobody measures http_request_total; there are http_requests_total",
        "write http_requests_total in the query of [metrics.error_rate]",
    );
}

#[test]
fn a_query_with_two_series() {
    let series = ["blue", "green"].map(|color| labels(&[("color", color), ("job", "shop")])).to_vec();
    let found = on_blue(Missing::Ambiguous("two".into()), Explained { series, ..Explained::default() });
    one(
        found,
        Mark::Fault,
        r#"it gives 2 series: {color="blue"} {color="green"}"#,
        r#"add color="$slot" in the query of [metrics.error_rate]"#,
    );
    let series = ["a", "b"].map(|pod| labels(&[("pod", pod)])).to_vec();
    let found = on_blue(Missing::Ambiguous("two".into()), Explained { series, ..Explained::default() });
    one(found, Mark::Fault, "2 series", "write sum(…) or max(…) around it");
}

#[test]
fn stale_series() {
    let found = on_blue(Missing::Stale("the newest point is 4m old".into()), Explained::default());
    one(
        found,
        Mark::Fault,
        "its series are stale: the newest point is 4m old",
        "see the targets of prometheus",
    );
}

#[test]
fn a_wrong_namespace() {
    let gap = Gap::NoValue {
        name: "http_requests_total".into(),
        label: "namespace".into(),
        wanted: "production".into(),
        there: vec!["prod".into()],
    };
    let found = on_blue(Missing::EmptyRatio, Explained { gap: Some(gap), ..Explained::default() });
    one(
        found,
        Mark::Fault,
        r#"has no namespace="production"; there is prod"#,
        "correct namespace in the query of [metrics.error_rate]",
    );
    let found = planted(|picture| {
        for measured in &mut picture.measured {
            measured.explained.namespaces[0].1 = "staging".into();
        }
    });
    one(found, Mark::Fault, "measures namespace staging", r#"write namespace="production" in the query"#);
}

#[test]
fn a_label_that_no_series_has() {
    let gap =
        Gap::NoValue { name: "n".into(), label: "color".into(), wanted: "blue".into(), there: Vec::new() };
    let series = ["blue", "green"].map(|version| labels(&[("version", version)])).to_vec();
    let found = on_blue(Missing::NoData, Explained { gap: Some(gap), series, ..Explained::default() });
    let cure = "remove color in the query of [metrics.error_rate], and add version=\"$slot\"";
    one(found, Mark::Fault, "n has no label color", cure);
}

#[test]
fn a_slot_that_nobody_has_asked_yet_is_no_fault() {
    let gap = Gap::NoValue {
        name: "n".into(),
        label: "version".into(),
        wanted: "green".into(),
        there: vec!["blue".into()],
    };
    let found = planted(|picture| {
        picture.measured[1].value = Ok(Err(Missing::EmptyRatio));
        picture.measured[1].explained.gap = Some(gap);
    });
    one(
        found,
        Mark::Warning,
        r#"no series yet: n has no version="green""#,
        "nothing to do if the slot has no requests yet",
    );
}

#[test]
fn an_autoscaler() {
    let hpa =
        |least| Autoscaler { name: "green".into(), deployment: "backend-green".into(), least, most: 10 };
    let found = in_cluster(|cluster| cluster.autoscalers = Ok(vec![hpa(4)]));
    one(
        found,
        Mark::Fault,
        "step deploy scales it to 3: it would be undone",
        "scale to a number between 4 and 10",
    );
    let found = in_cluster(|cluster| cluster.autoscalers = Ok(vec![hpa(2)]));
    one(
        found,
        Mark::Warning,
        "the autoscaler (2 to 10) changes that again",
        "leave the number to the autoscaler",
    );
}

#[test]
fn argo_cd_that_heals_itself() {
    let argo = Tracker::ArgoCd { namespace: None, name: "shop".into() };
    let with = |sync: Looked<Sync>| {
        in_cluster(|cluster| {
            let Some(Ok(Found::There(green))) = cluster.deployments.get_mut("backend-green") else { return };
            let id = "shop:apps/Deployment:production/backend-green";
            green.meta.annotations = labels(&[("argocd.argoproj.io/tracking-id", id)]);
            cluster.trackers = [(argo.clone(), sync)].into();
        })
    };
    one(
        with(Ok(Sync::Heals)),
        Mark::Fault,
        "Argo CD's application shop puts back what others change",
        "argocd app set shop --self-heal=false",
    );
    one(
        with(Err(Unseen::new("denied", "ask"))),
        Mark::NotLookedAt,
        "is unknown (denied)",
        "look there first",
    );
    one(with(Ok(Sync::OnCommit)), Mark::Warning, "at the next commit", "let nobody merge");
}

#[test]
fn labels_tell_who_tracks_an_object() {
    let of = |labels: Labels, annotations: Labels, manager: &str| {
        let managers = vec![manager.to_owned()];
        super::owners::trackers(&Meta { labels, annotations, managers, ..Meta::default() })
    };
    let argo = |name: &str| vec![Tracker::ArgoCd { namespace: None, name: name.into() }];
    let shared = || labels(&[("app.kubernetes.io/instance", "shop")]);
    assert_eq!(of(shared(), Labels::new(), "helm"), [], "Helm writes that label too");
    assert_eq!(of(shared(), Labels::new(), "argocd-controller"), argo("shop"));
    let flux = [
        ("kustomize.toolkit.fluxcd.io/name", "apps"),
        ("kustomize.toolkit.fluxcd.io/namespace", "flux-system"),
    ];
    let kustomization = Tracker::Kustomization { namespace: "flux-system".into(), name: "apps".into() };
    assert_eq!(of(labels(&flux), Labels::new(), ""), [kustomization]);
    let left = labels(&[("kustomize.toolkit.fluxcd.io/reconcile", "disabled")]);
    assert_eq!(of(labels(&flux), left, ""), []);
}

#[test]
fn progressive_delivery_that_owns_an_object() {
    let found = on_green(|green| green.meta.owners = vec![("Canary".into(), "shop".into())]);
    one(found, Mark::Fault, "Flagger (Canary shop)", "deploy with Flagger, or delete Canary shop");
}

#[test]
fn an_opening_run_is_told_the_same_of_who_else_writes() {
    let flagger = Meta { owners: vec![("Canary".into(), "shop".into())], ..Meta::default() };
    let found = super::owners::others("httproute/shop", &flagger, &BTreeMap::new());
    assert_eq!((found.len(), found[0].mark), (1, Mark::Fault));
    assert_eq!(
        found[0].sentence(),
        "httproute/shop: Flagger (Canary shop) moves traffic and scales here: it would undo the run; deploy with Flagger, \
         or delete Canary shop before you use this runbook"
    );
    let id = labels(&[("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:production/shop")]);
    let argo = Meta { annotations: id, ..Meta::default() };
    let app = Tracker::ArgoCd { namespace: None, name: "shop".into() };
    let mark = |sync: Option<Sync>| {
        let known = sync.map(|sync| (app.clone(), Ok(sync)));
        super::owners::others("deployment/shop", &argo, &known.into_iter().collect())[0].mark
    };
    assert_eq!(mark(Some(Sync::Heals)), Mark::Fault);
    assert_eq!(mark(Some(Sync::OnCommit)), Mark::Warning);
    assert_eq!(mark(Some(Sync::Suspended)), Mark::Ok);
    assert_eq!(mark(None), Mark::NotLookedAt);
    assert_eq!(super::owners::others("deployment/shop", &Meta::default(), &BTreeMap::new()), []);
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

fn unreachable(kind: Trouble, words: &str, cure: &str) -> Vec<(Mark, String, String)> {
    let why = Unreached { kind, words: words.into(), cure: cure.into() };
    planted(|picture| picture.cluster = Some(Err(why)))
}

#[test]
fn an_expired_token_a_name_and_a_certificate_are_told_apart() {
    let found = unreachable(Trouble::Expired, "does not accept the login", "log in again");
    one(found, Mark::Fault, "credentials: does not accept the login", "log in again");
    let found = unreachable(Trouble::Name, "does not resolve", "check the VPN");
    one(found, Mark::Fault, "name of the API server: does not resolve", "check the VPN");
    let found = unreachable(Trouble::Certificate, "is not trusted", "certificate-authority");
    one(found, Mark::Fault, "certificate of the API server: is not trusted", "certificate-authority");
}

#[test]
fn an_expired_login_is_one_line_that_knows_since_when() {
    let now = Timestamp(1_795_000_000_000);
    let login = |until: Option<i64>| Login {
        until: until.map(Timestamp),
        by: "token".into(),
        renew: "log in again".into(),
        ..machine().login.unwrap()
    };
    let expired = |until| {
        planted(|picture| {
            let kind = Trouble::Expired;
            picture.cluster = Some(Err(Unreached { kind, words: "401".into(), cure: "log in again".into() }));
            picture.login = Some((login(until), now));
        })
    };
    one(expired(Some(1_794_000_000_000)), Mark::Fault, "its token expired on", "log in again");
    one(expired(None), Mark::Fault, "credentials: 401", "log in again");
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
fn a_trigger_that_cannot_fire() {
    let found = planted(|picture| picture.measured[0].took = Span::from_secs(70));
    one(found, Mark::Fault, "it can never fire", "make `for` at least");
    let found = planted(|picture| picture.measured[0].explained.spacing = Some(Span::from_secs(75)));
    one(found, Mark::Warning, "there is one measurement", "scrape more often");
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

fn machine() -> Machine {
    Machine {
        version: "1.0.0".into(),
        now: Timestamp(1_795_000_000_000),
        files: vec![("/home/ada/.kube/config".into(), Ok(0o100_600))],
        login: Ok(Login {
            context: "prod".into(),
            server: "https://k".into(),
            user: "ada".into(),
            by: "token".into(),
            until: None,
            renew: "log in again".into(),
        }),
        server: Some(Ok(("v1.33.1".into(), Ok(0)))),
        terminal: Terminal {
            is_one: true,
            term: "xterm-256color".into(),
            colours: true,
            true_colour: true,
            locale: "en_US.UTF-8".into(),
            size: Some((120, 36)),
        },
        state: State {
            path: "/home/ada/.local/state/cutover".into(),
            exists: true,
            writable: Ok(()),
            mode: Some(0o40_700),
            free: Some(10 << 30),
        },
        lingers: Some(true),
        user: "ada".into(),
        kubectl: Ok(Some("v1.33.4".into())),
    }
}

fn on_machine(plant: impl FnOnce(&mut Machine)) -> Vec<(Mark, String, String)> {
    let mut it = machine();
    plant(&mut it);
    let bad = machine::judge(&it).0.into_iter().filter(|finding| finding.mark != Mark::Ok);
    bad.map(|it| (it.mark, format!("{}: {}", it.about, it.found), it.cure.unwrap_or_default())).collect()
}

#[test]
fn a_doctor_finds_what_is_wrong_with_machine_and_login() {
    assert_eq!(on_machine(|_| ()), []);
    let until = |ms: i64| {
        move |it: &mut Machine| it.login.as_mut().unwrap().until = Some(Timestamp(1_795_000_000_000 + ms))
    };
    one(on_machine(until(-60_000)), Mark::Fault, "its token expired on", "log in again");
    one(on_machine(until(3_600_000)), Mark::Warning, "its token expires in", "log in again");
    one(
        on_machine(|it| it.files[0].1 = Ok(0o100_644)),
        Mark::Warning,
        "others on this machine may read it (mode 644)",
        "chmod 600",
    );
    one(on_machine(|it| it.terminal.size = Some((40, 10))), Mark::Fault, "40 columns, 10 rows", "enlarge");
    one(on_machine(|it| it.terminal.locale = "C".into()), Mark::Warning, "not UTF-8", "LC_ALL=C.UTF-8");
    one(
        on_machine(|it| it.state.writable = Err("read-only".into())),
        Mark::Fault,
        "cannot be written",
        "--state-dir",
    );
    one(on_machine(|it| it.state.free = Some(1 << 20)), Mark::Warning, "1 MiB are left", "free some space");
    one(
        on_machine(|it| it.state.mode = Some(0o40_777)),
        Mark::Warning,
        "others may write there",
        "chmod go-w",
    );
    one(
        on_machine(|it| it.lingers = Some(false)),
        Mark::Warning,
        "end with the last logout",
        "loginctl enable-linger ada",
    );
    one(
        on_machine(|it| it.kubectl = Ok(Some("v1.20.0".into()))),
        Mark::Warning,
        "more than one release apart",
        "install kubectl 1.33",
    );
    one(
        on_machine(|it| it.server = Some(Ok(("v1.33.1".into(), Ok(-40_000))))),
        Mark::Fault,
        "40 s behind",
        "timedatectl",
    );
}

#[test]
fn traffic_that_is_too_little_for_a_verdict_within_the_window() {
    let mut book = runbook();
    let metric = book.metrics.iter_mut().find(|metric| metric.id.as_str() == "error_rate").unwrap();
    metric.query = Query::Counted(Counted {
        source: "prometheus".to_owned(),
        scraped: false,
        part: "errors".to_owned(),
        good: false,
        all: "requests".to_owned(),
    });
    let rule = Rule::Worse(Worse::usual(Than::Share(0.001)));
    let fixed = book.triggers.iter().find_map(|trigger| trigger.watch.clone()).unwrap();
    let claims = Trigger { reason: "worse".to_owned(), watch: Some(TriggerWatch { rule, ..fixed }) };
    book.triggers.push(claims);
    let found = |per_second: f64| {
        let mut picture = fine();
        picture.measured.iter_mut().for_each(|measured| measured.per_second = Some(per_second));
        let Findings(all) = judge(&book, &picture);
        all.into_iter().find(|finding| finding.about == "worse").unwrap()
    };
    let (busy, idle) = (found(100.0), found(0.05));
    assert_eq!((busy.mark, idle.mark), (Mark::Ok, Mark::Warning), "{busy:?} {idle:?}");
    assert!(busy.found.contains("can fire"), "{}", busy.found);
    assert!(idle.found.contains("too little traffic for any verdict within the window"), "{}", idle.found);
    assert!(idle.found.contains("about "), "it says how long it would take: {}", idle.found);
}
