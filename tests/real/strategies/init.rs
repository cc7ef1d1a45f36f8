//! `cutover init` before a real control plane and a real Prometheus: each shape of a namespace becomes a runbook that fits it and
//! rehearses to its end, and what cannot be deployed is said.

use std::process::{Command, Output, Stdio};

use cutover::{
    config::load_str,
    domain::runbook::{Runbook, Strategy},
};
use serde_json::Value;

use super::{
    OLD, Place, Way, deployment,
    gateway::{Gateway, define},
    namespace, service, two_slots,
};
use crate::{
    app::answers,
    helm::Base as _,
    plane::{PLANE, furniture},
    rights::as_an_operator,
};

const PODS: usize = 2;
const FILE: &str = "first.toml";

fn cutover(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(args).current_dir(place.stage.path()).stdin(Stdio::null());
    command.env("CUTOVER_STATE_DIR", place.stage.path().join("state"));
    place.equip(&mut command).output().unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// What is read of a namespace is written into a file that loads, with numbers for the slot that has the users.
fn written(place: &Place, args: &[&str]) -> (Runbook, String) {
    let (space, server) = (place.namespace.clone(), place.app.prometheus());
    let fixed = [
        "init",
        "--yes",
        "--namespace",
        &space,
        "--prometheus",
        &server,
        "--context",
        "real",
        "--output",
        FILE,
    ];
    let output = cutover(place, &[&fixed, args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let text = std::fs::read_to_string(place.stage.path().join(FILE)).unwrap();
    let loaded = load_str(FILE, &text);
    assert!(loaded.diagnostics.is_empty(), "{}\n{text}", loaded.render(false));
    assert!(text.lines().count() <= 150 && text.contains("# found: "), "{text}");
    (loaded.runbook.unwrap(), text)
}

/// The file fits the place that it was written from, its queries give numbers there, and it rehearses to its end.
fn fits(place: &Place, args: &[&str], strategy: Strategy) {
    let (runbook, text) = written(place, args);
    assert_eq!(runbook.deployment.strategy, strategy, "{text}");
    assert_eq!(runbook.metrics.len(), 2, "errors and latency: {text}");
    let looked = cutover(place, &["check", "--online", "--json", "--var", "VERSION=v1.6.0", FILE]);
    let document: Value =
        serde_json::from_slice(&looked.stdout).unwrap_or_else(|_| panic!("{}", told(&looked)));
    let findings = document["findings"].as_array().unwrap();
    let faults: Vec<&Value> = findings.iter().filter(|it| it["mark"] == "fault").collect();
    assert!(faults.is_empty() && looked.status.code() == Some(0), "{faults:#?}\n{text}");
    let numbers = findings.iter().filter(|it| {
        it["area"] == "metrics"
            && it["found"].as_str().is_some_and(|found| found.starts_with("one fresh number"))
    });
    assert!(numbers.count() >= 2, "{findings:#?}\n{text}");
    let rehearsal =
        cutover(place, &["rehearse", FILE, "--plain", "--yes", "--speed", "40", "--var", "VERSION=v1.6.0"]);
    assert_eq!(rehearsal.status.code(), Some(0), "{}\n{text}", told(&rehearsal));
}

/// Users have been served for long enough that rates can be told.
fn await_rates(place: &Place) {
    let server = place.app.prometheus();
    place.eventually("a minute's half is scraped", || {
        answers(&server, "http_requests_total{code=\"200\"} offset 40s")
    });
}

fn furnished(manifest: impl Fn(&str) -> String, way: Way) -> Place {
    let place = Place::furnished("", manifest, way);
    place.eventually("the old version serves", || place.app.served() > 0.0 && place.ready(OLD) == PODS);
    place
}

fn one(name: &str, strategy: &str) -> String {
    [
        namespace(name),
        service(name, "backend-service", "app: backend"),
        deployment(name, "backend", "app: backend", [OLD, "2", strategy]),
    ]
    .concat()
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn blue_and_green_behind_a_selector() {
    let same = |name: &str| furniture(name, [PODS, 0]).replace("backend:v1.4.0", "backend:v1.5.0");
    let place = furnished(same, Way::Service);
    await_rates(&place);
    fits(&place, &[], Strategy::BlueGreen);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn one_deployment_that_rolls_or_is_recreated() {
    for (spec, strategy) in
        [("minReadySeconds: 0", Strategy::Rolling), ("strategy: { type: Recreate }", Strategy::Recreate)]
    {
        let place = furnished(|name| one(name, spec), Way::Service);
        await_rates(&place);
        fits(&place, &[], strategy);
    }
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_canary_by_its_pods() {
    let place = furnished(|name| two_slots(name, ["stable", "canary"], PODS), Way::Service);
    await_rates(&place);
    fits(&place, &[], Strategy::Canary);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_route_over_two_services_and_one_over_colours() {
    define();
    for (slots, strategy) in
        [(["stable", "canary"], Strategy::Canary), (["blue", "green"], Strategy::BlueGreen)]
    {
        let manifest = |name: &str| {
            let [live, asleep] = slots;
            let own = |slot: &str| {
                service(name, &format!("backend-{slot}"), &format!("app: backend, version: {slot}"))
            };
            let route = format!(
                "---\n\
                 apiVersion: gateway.networking.k8s.io/v1\n\
                 kind: HTTPRoute\n\
                 metadata: {{ name: backend, namespace: {name} }}\n\
                 spec:\n\
                 \x20 parentRefs: [{{ name: public }}]\n\
                 \x20 rules:\n\
                 \x20 - backendRefs:\n\
                 \x20   - {{ name: backend-{live}, port: 80, weight: 100 }}\n\
                 \x20   - {{ name: backend-{asleep}, port: 80, weight: 0 }}\n"
            );
            [two_slots(name, slots, PODS), own(live), own(asleep), route].concat()
        };
        let place = furnished(manifest, Way::Route(0));
        let _gateway = Gateway::start(&place);
        await_rates(&place);
        fits(&place, &[], strategy);
    }
}

/// Nothing is written, with this exit code; what was said.
fn refused_as(place: &Place, args: &[&str], code: i32) -> String {
    let fixed = ["init", "--yes", "--output", FILE];
    let output = cutover(place, &[&fixed, args].concat());
    assert_eq!(output.status.code(), Some(code), "{}", told(&output));
    assert!(!place.stage.path().join(FILE).exists());
    told(&output)
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn nothing_two_candidates_a_rollout_and_no_rights_are_said_with_what_to_do() {
    let mut place = furnished(|name| one(name, "minReadySeconds: 0"), Way::Service);
    let space = place.namespace.clone();
    let empty = format!("{space}-empty");
    PLANE.apply(&namespace(&empty));
    let said = refused_as(&place, &["--namespace", &empty], 3);
    assert!(said.contains("has no Deployments and no Services") && said.contains("--namespace"), "{said}");
    assert!(PLANE.kubectl(&["delete", "namespace", &empty, "--wait=false"]).status.success());

    PLANE.apply(&service(&space, "backend-admin", "app: backend"));
    let said = refused_as(&place, &["--namespace", &space], 2);
    assert!(said.contains("backend-admin, backend-service") && said.contains("--service"), "{said}");
    let (runbook, _) = written(&place, &["--service", "backend-service"]);
    assert_eq!(runbook.target.unwrap().service, "backend-service");
    std::fs::remove_file(place.stage.path().join(FILE)).unwrap();

    PLANE.define("argoproj.io", "v1alpha1", ["rollouts", "Rollout"]);
    PLANE.apply(&format!(
        "{}---\n\
         apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{ name: cart, namespace: {space} }}\n\
         spec:\n\x20 selector: {{ matchLabels: {{ app: cart }} }}\n\x20 template: {{ metadata: {{ labels: {{ app: cart }} }} }}\n",
        service(&space, "cart", "app: cart")
    ));
    let said = refused_as(&place, &["--namespace", &space, "--service", "cart"], 3);
    assert!(said.contains("cart") && said.contains("of Argo Rollouts moves this traffic"), "{said}");

    as_an_operator(&mut place);
    let said = refused_as(&place, &["--namespace", &space], 3);
    for right in ["`list` on `services`", "`list` on `deployments.apps`"] {
        assert!(said.contains(&format!("the verb {right} in namespace {space}")), "{said}");
    }
}
