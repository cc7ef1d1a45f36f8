use std::collections::BTreeMap;

use super::{
    measure::{FoundMetric, Measure, Measured},
    page::{Answers, MOST_LINES, Written, write},
    shape::{Candidate, FoundSlot, Shape, Unchosen, choose, recognise, repository},
    *,
};
use crate::{
    config::load_str,
    domain::{
        runbook::{Runbook, Strategy},
        survey::{
            FoundAutoscaler, FoundBudget, FoundContainer, FoundController, FoundDeployment, FoundRoute,
            FoundService, Labels, Survey,
        },
    },
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn deployment(name: &str, pods: &[(&str, &str)]) -> FoundDeployment {
    FoundDeployment {
        name: name.to_owned(),
        labels: labels(pods),
        containers: vec![FoundContainer {
            name: "app".to_owned(),
            image: "registry.example.com/shop:v1.5.0".to_owned(),
            readiness: Some("GET /health on port 8080".to_owned()),
            health_path: Some("/health".to_owned()),
        }],
        replicas: 3,
        ready: 3,
        hash: Some("6f7d".to_owned()),
        ..FoundDeployment::default()
    }
}

fn service(name: &str, selector: &[(&str, &str)]) -> FoundService {
    FoundService { name: name.to_owned(), selector: labels(selector), headless: false }
}

fn survey(services: Vec<FoundService>, deployments: Vec<FoundDeployment>) -> Survey {
    Survey {
        context: "prod-eu-1".to_owned(),
        server: "https://k8s.example.com".to_owned(),
        cluster_uid: "0e2ab3b1".to_owned(),
        namespace: "shop".to_owned(),
        services,
        deployments,
        ..Survey::default()
    }
}

fn two_colours() -> Survey {
    survey(
        vec![service("shop", &[("app", "shop"), ("slot", "blue")])],
        vec![
            deployment("shop-blue", &[("app", "shop"), ("slot", "blue"), ("tier", "web")]),
            deployment("shop-green", &[("app", "shop"), ("slot", "green"), ("tier", "web")]),
        ],
    )
}

fn answers() -> Answers {
    Answers { author: "@alice".to_owned(), date: "2026-11-27".to_owned(), ..Answers::default() }
}

fn of(found: &Survey) -> Candidate {
    choose(found, None).unwrap_or_else(|why| panic!("{why:?}"))
}

fn written(found: &Survey) -> Written {
    write(found, &of(found), &Measured::default(), &answers()).unwrap()
}

/// The runbook, which has not one fault.
fn loaded(written: &Written) -> Runbook {
    let loaded = load_str("runbook.toml", &written.text);
    assert!(loaded.diagnostics.is_empty(), "{}\n{}", loaded.render(false), written.text);
    assert!(written.text.lines().count() <= MOST_LINES, "{}", written.text);
    assert_eq!(written.text.matches("# found: ").count(), written.found);
    assert_eq!(written.text.matches("# TODO: ").count(), written.todo);
    loaded.runbook.unwrap()
}

fn unfit(found: &Survey, name: Option<&str>) -> String {
    match choose(found, name) {
        Err(Unchosen::Unfit(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_deployments_that_differ_in_a_label_of_the_selector_are_blue_green() {
    let found = two_colours();
    let candidate = of(&found);
    let Shape::Selector(slots) = &candidate.shape else { panic!("{candidate:?}") };
    let names = [&slots[0], &slots[1]].map(|slot| (slot.name.as_str(), slot.deployment.as_str()));
    assert_eq!(names, [("blue", "shop-blue"), ("green", "shop-green")]);
    assert_eq!(slots[1].selector, labels(&[("slot", "green")]));
    assert_eq!(loaded(&written(&found)).deployment.strategy, Strategy::BlueGreen);
}

#[test]
fn other_applications_are_no_second_slot() {
    // Another image, though the labels look alike.
    let mut found = two_colours();
    found.deployments[1].containers[0].image = "registry.example.com/cart:v1".to_owned();
    assert!(matches!(of(&found).shape, Shape::One { .. }));
    // Another name, though it is the same image.
    let worker = survey(
        vec![service("shop", &[("app", "shop")])],
        vec![deployment("shop", &[("app", "shop")]), deployment("worker", &[("app", "shop-worker")])],
    );
    assert!(matches!(of(&worker).shape, Shape::One { .. }));
    // … unless the names say which side each is.
    let sides = survey(
        vec![service("shop", &[("app", "shop-blue")])],
        vec![
            deployment("shop-blue", &[("app", "shop-blue")]),
            deployment("shop-green", &[("app", "shop-green")]),
        ],
    );
    assert!(matches!(of(&sides).shape, Shape::Selector(_)));
    // Of three nobody knows.
    let mut three = two_colours();
    three.deployments.push(deployment("shop-red", &[("app", "shop"), ("slot", "red")]));
    assert!(matches!(of(&three).shape, Shape::One { .. }));
}

#[test]
fn a_service_that_selects_two_is_a_canary_by_replicas() {
    let mut found = survey(
        vec![service("shop", &[("app", "shop")])],
        vec![
            deployment("shop-a", &[("app", "shop"), ("track", "canary")]),
            deployment("shop-b", &[("app", "shop"), ("track", "stable")]),
        ],
    );
    let candidate = of(&found);
    let Shape::Replicas(slots) = &candidate.shape else { panic!("{candidate:?}") };
    assert_eq!((slots[0].name.as_str(), slots[0].deployment.as_str()), ("stable", "shop-b"));
    assert_eq!(loaded(&written(&found)).deployment.strategy, Strategy::Canary);
    // Without a word for it the smaller one is the canary.
    for (at, (name, replicas)) in [("one", 1), ("two", 5)].into_iter().enumerate() {
        found.deployments[at].labels.insert("track".to_owned(), name.to_owned());
        found.deployments[at].replicas = replicas;
    }
    let Shape::Replicas(slots) = of(&found).shape else { panic!("no canary") };
    assert_eq!(slots[0].name, "two");
    // Nothing tells them apart.
    found.deployments[0].labels = found.deployments[1].labels.clone();
    assert!(unfit(&found, None).contains("two Deployments with the same labels"));
}

fn routed() -> Survey {
    let mut found = survey(
        vec![
            service("shop", &[("app", "shop")]),
            service("shop-canary", &[("app", "shop"), ("track", "canary")]),
            service("shop-stable", &[("app", "shop"), ("track", "stable")]),
        ],
        vec![
            deployment("shop-stable", &[("app", "shop"), ("track", "stable")]),
            deployment("shop-canary", &[("app", "shop"), ("track", "canary")]),
        ],
    );
    let backends = vec![("shop-canary".to_owned(), 0), ("shop-stable".to_owned(), 100)];
    let hosts = vec!["shop.example.com".to_owned()];
    let rules = vec![vec![("other".to_owned(), 1)], backends];
    found.routes = vec![FoundRoute { name: "shop-route".to_owned(), hosts, rules }];
    found
}

#[test]
fn a_route_stands_before_its_services() {
    let found = routed();
    let candidate = of(&found);
    assert_eq!(candidate.name, "shop-route");
    let Shape::Route { slots, rule: 1, colours: false } = &candidate.shape else { panic!("{candidate:?}") };
    let stable = FoundSlot {
        name: "stable".to_owned(),
        deployment: "shop-stable".to_owned(),
        selector: labels(&[("track", "stable")]),
        service: Some("shop-stable".to_owned()),
    };
    assert_eq!(slots[0], stable);
    // Whichever of its Services is named, or the one before all pods.
    for name in ["shop", "shop-canary", "shop-stable"] {
        assert_eq!(choose(&found, Some(name)).as_ref(), Ok(&candidate), "{name}");
    }
    let runbook = loaded(&written(&found));
    assert_eq!(runbook.deployment.strategy, Strategy::Canary);
    let wanted = Answers { strategy: Some(Strategy::BlueGreen), ..answers() };
    let sip = write(&found, &candidate, &Measured::default(), &wanted).unwrap();
    assert_eq!(loaded(&sip).deployment.strategy, Strategy::BlueGreen);
}

#[test]
fn one_deployment_is_rolled_or_recreated() {
    let mut found = survey(
        vec![
            service("shop", &[("app", "shop")]),
            FoundService { headless: true, ..service("shop-pods", &[("app", "shop")]) },
        ],
        vec![deployment("shop", &[("app", "shop")])],
    );
    assert_eq!(loaded(&written(&found)).deployment.strategy, Strategy::Rolling);
    found.deployments[0].recreate = true;
    let runbook = loaded(&written(&found));
    assert_eq!(runbook.deployment.strategy, Strategy::Recreate);
    let wrong = Answers { strategy: Some(Strategy::Canary), ..answers() };
    let why = write(&found, &of(&found), &Measured::default(), &wrong).unwrap_err();
    assert!(why.contains("recreate, not canary") && why.contains("--example canary"), "{why}");
}

#[test]
fn several_are_named_and_none_is_explained() {
    let mut found = two_colours();
    found.services.push(service("cart", &[("app", "cart")]));
    found.deployments.push(deployment("cart", &[("app", "cart")]));
    assert_eq!(choose(&found, None), Err(Unchosen::Several(vec!["shop".to_owned(), "cart".to_owned()])));
    assert_eq!(recognise(&found).len(), 2);
    let nothing = survey(Vec::new(), Vec::new());
    assert!(unfit(&nothing, None).contains("has no Deployments and no Services, or does not exist"));
    let alone = survey(Vec::new(), vec![deployment("shop", &[("app", "shop")])]);
    assert!(unfit(&alone, None).contains("no Service that selects pods, but deployment shop"));
    let lost =
        survey(vec![service("shop", &[("app", "other")])], vec![deployment("shop", &[("app", "shop")])]);
    assert!(unfit(&lost, None).contains("service/shop selects app=other, and no Deployment"));
    let many = survey(
        vec![service("shop", &[("app", "shop")])],
        ["a", "b", "c"].map(|name| deployment(name, &[("app", "shop"), ("part", name)])).into(),
    );
    assert!(unfit(&many, None).contains("selects 3 Deployments (a, b, c)"));
    assert!(unfit(&found, Some("nobody")).contains("there is no Service nobody"));
}

#[test]
fn traffic_that_another_controller_moves_is_left_to_it() {
    let mut found = two_colours();
    found.controllers = vec![FoundController {
        product: "Flagger",
        object: "canary/shop".to_owned(),
        labels: Labels::new(),
        deployment: Some("shop-blue".to_owned()),
    }];
    let why = unfit(&found, None);
    assert!(
        why.contains("canary/shop of Flagger moves this traffic") && why.contains("\nlet Flagger"),
        "{why}"
    );
    // A Rollout makes the pods itself: there is no Deployment.
    let mut rollout = survey(vec![service("shop", &[("app", "shop")])], Vec::new());
    rollout.controllers = vec![FoundController {
        product: "Argo Rollouts",
        object: "rollout/shop".to_owned(),
        labels: labels(&[("app", "shop")]),
        deployment: None,
    }];
    assert!(unfit(&rollout, None).contains("rollout/shop of Argo Rollouts"));
    assert!(unfit(&rollout, Some("shop")).contains("rollout/shop of Argo Rollouts"));
}

#[test]
fn what_stands_beside_the_deployments_is_told() {
    let mut found = two_colours();
    found.autoscalers = vec![FoundAutoscaler {
        name: "shop".to_owned(),
        deployment: "shop-green".to_owned(),
        min: 2,
        max: 9,
    }];
    found.budgets = vec![FoundBudget {
        name: "shop".to_owned(),
        selector: labels(&[("app", "shop")]),
        wants: "minAvailable 2".to_owned(),
    }];
    found.deployments[0].applied_by = Some("Argo CD (application shop)".to_owned());
    found.deployments[0]
        .containers
        .insert(0, FoundContainer { name: "istio-proxy".to_owned(), ..FoundContainer::default() });
    found.deployments[1].containers = found.deployments[0].containers.clone();
    found.forbidden = vec!["not allowed to list httproutes".to_owned()];
    let written = written(&found);
    let runbook = loaded(&written);
    assert_eq!(runbook.target.unwrap().container, "app");
    for told in [
        "hpa/shop keeps 2 to 9; pdb/shop wants minAvailable 2",
        "pinned during the run: hpa/shop",
        "found: Argo CD (application shop) owns these Deployments",
        "TODO: not seen, so not written: not allowed to list httproutes",
        "container app answers GET /health on port 8080",
    ] {
        assert!(written.text.contains(told), "{told}\n{}", written.text);
    }
}

#[test]
fn nothing_foreign_leaves_its_comment_or_its_text() {
    let evil =
        "x\n[vars]\nEVIL = { value = \"1\" }\r\u{1b}[2J\u{2028}\u{202e}'''\"\"\" ${HOME} # TODO: \u{7f}";
    let mut found = two_colours();
    for deployment in &mut found.deployments {
        let container = &mut deployment.containers[0];
        container.image = format!("registry.example.com/{evil}:v1");
        container.readiness = Some(evil.to_owned());
        container.health_path = Some(evil.to_owned());
        deployment.applied_by = Some(evil.to_owned());
    }
    found.context = evil.to_owned();
    found.server = evil.to_owned();
    found.cluster_uid = "0e2a".to_owned();
    found.budgets = vec![FoundBudget {
        name: "b".to_owned(),
        selector: labels(&[("app", "shop")]),
        wants: evil.to_owned(),
    }];
    found.forbidden = vec![evil.to_owned()];
    let clean = loaded(&written(&two_colours()));
    let answers = Answers { prometheus: Some("http://p:9090/$x".to_owned()), ..answers() };
    let gaps = Measured { metrics: Vec::new(), gaps: vec![evil.to_owned()] };
    let text = write(&found, &of(&found), &gaps, &answers).unwrap().text;
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    assert!(!text.contains(['\u{2028}', '\u{202e}']));
    let outside = text.lines().filter(|line| line.contains("EVIL") && !line.starts_with("# "));
    assert_eq!(outside.collect::<Vec<_>>(), Vec::<&str>::new());
    let loaded = load_str("runbook.toml", &text);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
    let runbook = loaded.runbook.unwrap();
    assert_eq!(runbook.vars.len(), clean.vars.len());
    assert_eq!(runbook.steps.len(), clean.steps.len());
}

#[test]
fn versions_are_asked_for_as_the_tags_look() {
    for (image, line) in [
        ("r.example.com:5000/a/shop:v1.5.0", r#"pattern = 'v\d+\.\d+\.\d+', sample = "v1.6.0""#),
        ("shop:2.0.7", r#"pattern = '\d+\.\d+\.\d+', sample = "2.1.0""#),
        ("shop:20261127-3f9a", r#"sample = "20261127-3f9a""#),
        ("shop:latest", "the image has no version as its tag"),
        ("shop", "the image has no version as its tag"),
        ("shop@sha256:0123", "the image runs by its digest"),
    ] {
        let mut found = two_colours();
        found.deployments.iter_mut().for_each(|it| image.clone_into(&mut it.containers[0].image));
        let written = written(&found);
        assert!(written.text.contains(line), "{image}: {line}\n{}", written.text);
        let expected = format!("image = \"{}:$VERSION\"", repository(image));
        assert!(written.text.contains(&expected), "{expected}");
        loaded(&written);
    }
}

fn error_rate() -> FoundMetric {
    FoundMetric {
        id: "error_rate",
        title: "Error rate",
        measure: Measure::Counted {
            bad: r#"a{code=~"5..",slot="$slot"}"#.to_owned(),
            all: r#"a{slot="$slot"}"#.to_owned(),
        },
        unit: "percent",
        normal: "< 0.5%".to_owned(),
        alert: "> 1%".to_owned(),
        harmless: Some("0.1%".to_owned()),
        found: vec!["a tells the slots apart".to_owned()],
    }
}

#[test]
fn the_longest_page_fits() {
    let mut found = routed();
    for deployment in &mut found.deployments {
        deployment.applied_by = Some(format!("Argo CD (application {})", deployment.name));
        deployment.paused = true;
        deployment.containers.push(FoundContainer { name: "envoy".to_owned(), ..FoundContainer::default() });
        deployment.containers[0].image = "registry.example.com/shop:latest".to_owned();
        let name = deployment.name.clone();
        found.autoscalers.push(FoundAutoscaler { deployment: name.clone(), name, min: 1, max: 2 });
    }
    found.cluster_uid.clear();
    found.forbidden = vec!["not allowed to list a kind of objects".to_owned(); 6];
    let latency = FoundMetric {
        id: "latency",
        unit: "s",
        normal: "< 300ms".to_owned(),
        alert: "> 600ms".to_owned(),
        measure: Measure::Query(r#"sum(rate(a{slot="$slot"}[1m]))"#.to_owned()),
        harmless: None,
        ..error_rate()
    };
    let measured = Measured { metrics: vec![error_rate(), latency], gaps: Vec::new() };
    for strategy in [Strategy::Canary, Strategy::BlueGreen] {
        let answers = Answers {
            strategy: Some(strategy),
            prometheus: Some("http://prometheus:9090".to_owned()),
            pin_context: true,
            ..answers()
        };
        loaded(&write(&found, &of(&found), &measured, &answers).unwrap());
    }
}

#[test]
fn metrics_that_were_seen_become_checks_and_a_trigger() {
    let measured = Measured { metrics: vec![error_rate()], gaps: vec!["no durations".to_owned()] };
    let answers = Answers { prometheus: Some("http://prometheus:9090".to_owned()), ..answers() };
    let found = two_colours();
    let written = write(&found, &of(&found), &measured, &answers).unwrap();
    let runbook = loaded(&written);
    assert_eq!(runbook.metrics.len(), 1);
    // A fixed rule, and evidence beside it.
    let rules: Vec<bool> = (runbook.triggers.iter())
        .filter_map(|trigger| Some(trigger.watch.as_ref()?.rule.fixed().is_some()))
        .collect();
    assert_eq!(rules, [true, false]);
    assert!(written.text.contains("when = \"worse than 0.1%\""), "{}", written.text);
    assert!(written.text.contains("TODO: a metric that gives one number a slot; no durations"));
}

#[test]
fn each_example_loads() {
    let names: BTreeMap<&str, &str> = EXAMPLES.iter().copied().collect();
    assert_eq!(names.len(), 6);
    for name in names.keys() {
        let text = example(name).unwrap();
        assert!(text.starts_with("# ") && load_str(name, &text).diagnostics.is_empty(), "{name}");
    }
    assert_eq!(example("nothing"), None);
}
