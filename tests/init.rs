//! `cutover init` against the simulated world: each way that traffic moves is recognised, and what is written is a runbook.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, LazyLock},
};

use cutover::{
    config::load_str,
    domain::{
        director::{Director, RouteRef, RuleRef},
        runbook::{Runbook, Strategy},
    },
    world::{
        clock::WorldClock,
        cluster::Cluster,
        network::{Network, NetworkConfig},
        scenario::Scenario,
        stage::{Directing, FurnishedSlot, Furniture, Strategy as PodStrategy},
    },
};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A simulated cluster with its Prometheus, and a directory to write into.
struct Stand {
    cluster: Arc<Cluster>,
    network: Arc<Network>,
    dir: TempDir,
}

fn labels(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

/// Slots `shop-FIRST`, which is live, and `shop-SECOND`, told apart by a label.
fn furniture(directing: Directing, key: &str, slots: [&str; 2]) -> Furniture {
    let slot = |name: &str| (name.to_owned(), FurnishedSlot::new(format!("shop-{name}"), labels(key, name)));
    Furniture {
        namespace: "shop".into(),
        service: "shop".into(),
        slots: slots.map(slot).into(),
        live: slots[0].into(),
        container: "app".into(),
        image: "registry.example.com/shop:v1.5.0".into(),
        replicas: 3,
        context: "prod-eu-1".into(),
        window_ms: 300_000,
        directing,
        strategy: PodStrategy::default(),
    }
}

fn one(strategy: PodStrategy) -> Furniture {
    let mut furniture = furniture(Directing::Rollout, "app", ["shop", "shop"]);
    furniture.slots = [("shop".into(), FurnishedSlot::new("shop", BTreeMap::new()))].into();
    furniture.strategy = strategy;
    furniture
}

fn route() -> Directing {
    Directing::Route { name: "shop".into(), rule: 0 }
}

impl Stand {
    fn new(furniture: Furniture) -> Self {
        let _inside = RUNTIME.enter();
        let now = || jiff::Timestamp::now().as_millisecond();
        let clock = WorldClock::new(Arc::new(now), 1.0);
        RUNTIME.block_on(async {
            let cluster = Cluster::start(furniture.clone(), Scenario::Good, clock.clone()).await.unwrap();
            let config = NetworkConfig {
                furniture,
                scenario: Scenario::Good,
                clock,
                stage: Arc::clone(&cluster) as _,
                prometheus_hosts: Vec::new(),
                seed: 1,
            };
            let network = Network::start(config).await.unwrap();
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("kubeconfig"), cluster.kubeconfig()).unwrap();
            Self { cluster, network, dir }
        })
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(args)
            .current_dir(self.dir.path())
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("CUTOVER_STATE_DIR", self.dir.path().join("state"))
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("runbook.toml")
    }

    /// Writes a runbook; with its text, and what was said.
    fn init(&self, args: &[&str]) -> (String, String) {
        let prometheus = self.network.prometheus_url();
        let output = self.run(&[&["init", "--yes", "--prometheus", &prometheus], args].concat());
        let said = told(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        (std::fs::read_to_string(self.file()).unwrap(), said)
    }

    /// Writes nothing, with this exit code; what was said.
    fn refuses(&self, args: &[&str], code: i32) -> String {
        let output = self.run(&[&["init"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        assert!(!self.file().exists());
        told(&output)
    }
}

/// What is written fits the cluster that it was written from: `check --online` finds no fault in it. Programs that this host
/// has or has not are another matter.
fn fits(stand: &Stand) -> Vec<serde_json::Value> {
    let before = stand.cluster.requests().len();
    let output = stand.run(&["check", "--online", "--json", "--var", "VERSION=v1.6.0", "runbook.toml"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let document: serde_json::Value =
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", told(&output)));
    let findings = document["findings"].as_array().unwrap().clone();
    let faults: Vec<_> =
        findings.iter().filter(|it| it["mark"] == "fault" && it["area"] != "tools").collect();
    assert!(faults.is_empty(), "{faults:#?}");
    for area in ["cluster", "permissions", "objects", "traffic", "owners", "metrics", "triggers"] {
        assert!(findings.iter().any(|it| it["area"] == area), "nothing about {area}: {findings:#?}");
    }
    for (method, path) in stand.cluster.requests().split_off(before) {
        let review = method == "POST" && path.ends_with("/selfsubjectaccessreviews");
        assert!(method == "GET" || review, "{method} {path}");
    }
    findings
}

/// A fault that `check --online` has after a change in the cluster: its words.
fn faulty(stand: &Stand) -> Vec<String> {
    let output = stand.run(&["check", "--online", "--json", "--var", "VERSION=v1.6.0", "runbook.toml"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap().clone();
    let faults = findings.iter().filter(|it| it["mark"] == "fault" && it["area"] != "tools");
    faults.map(|it| format!("{}: {} -> {}", it["about"], it["found"], it["do"])).collect()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A runbook without a fault, commented, complete, and short.
fn whole(text: &str) -> Runbook {
    let loaded = load_str("runbook.toml", text);
    assert!(loaded.diagnostics.is_empty(), "{}\n{text}", loaded.render(false));
    let runbook = loaded.runbook.unwrap();
    assert!(text.lines().count() <= 150, "{} lines\n{text}", text.lines().count());
    assert!(text.contains("# found: ") && text.contains("# TODO: "), "{text}");
    assert!(runbook.steps.iter().any(|step| step.window.is_some()), "{text}");
    assert!(runbook.switch_step().is_some() && !runbook.checklist.is_empty(), "{text}");
    assert!(!runbook.procedure("quick").unwrap().ready.is_empty(), "{text}");
    assert!(!runbook.triggers.is_empty() && !runbook.tasks.is_empty() && !runbook.contacts.is_empty());
    runbook
}

/// Both queries are there, and say which slot they are about by this.
fn measures(runbook: &Runbook, place: &str) {
    let queries: Vec<String> = runbook.metrics.iter().map(|metric| format!("{:?}", metric.query)).collect();
    assert_eq!(queries.len(), 2, "{queries:?}");
    assert!(queries.iter().all(|query| query.contains(place)), "{queries:?}");
    assert!(runbook.triggers.iter().any(|trigger| trigger.watch.is_some()));
}

#[test]
fn a_selector_with_a_second_slot_is_blue_green_and_is_rehearsed() {
    let stand = Stand::new(furniture(Directing::Selector, "slot", ["green", "blue"]));
    stand.cluster.add_autoscaler("shop-blue", 2, 6);
    let (text, said) = stand.init(&[]);
    let runbook = whole(&text);
    assert_eq!(runbook.deployment.strategy, Strategy::BlueGreen);
    let target = runbook.target.as_ref().unwrap();
    assert_eq!((target.director.clone(), target.service.as_str()), (Director::Selector, "shop"));
    let slots: Vec<_> = target.slots.iter().map(|(name, slot)| (name.as_str(), &slot.selector)).collect();
    assert_eq!(slots, [("blue", &labels("slot", "blue")), ("green", &labels("slot", "green"))]);
    measures(&runbook, "$slot");
    assert!(
        text.contains("registry.example.com/shop:$VERSION") && text.contains("hpa/shop-blue keeps 2 to 6")
    );
    assert!(text.contains("GET /health on port http"), "{text}");
    assert!(said.contains("nothing is changed") && said.contains("TODO"), "{said}");
    // It has only read.
    let written: Vec<_> =
        stand.cluster.requests().into_iter().filter(|(method, _)| method != "GET").collect();
    assert!(written.is_empty(), "{written:?}");

    assert!(text.contains("when = \"worse than 0.1%\""), "{text}");
    fits(&stand);
    let check = stand.run(&["check", "runbook.toml"]);
    assert_eq!(check.status.code(), Some(0), "{}", told(&check));
    let todo = text.matches("# TODO").count();
    assert!(told(&check).contains(&format!("{todo} TODO left")), "{}", told(&check));
    let rehearsal = stand.run(&["rehearse", "runbook.toml", "--plain", "--yes", "--speed", "40"]);
    let story = String::from_utf8_lossy(&rehearsal.stdout).into_owned() + &told(&rehearsal);
    assert_eq!(rehearsal.status.code(), Some(0), "{story}\n{text}");
    // What is there is never overwritten.
    let again = stand.run(&["init", "--yes"]);
    assert_eq!(again.status.code(), Some(2), "{}", told(&again));
    assert_eq!(std::fs::read_to_string(stand.file()).unwrap(), text);
}

#[test]
fn a_route_over_two_services_is_a_canary_or_blue_green_by_their_names() {
    let stand = Stand::new(furniture(route(), "track", ["stable", "canary"]));
    let (text, _) = stand.init(&["--service", "shop-canary"]);
    let runbook = whole(&text);
    assert_eq!(runbook.deployment.strategy, Strategy::Canary);
    let target = runbook.target.as_ref().unwrap();
    let rule = RouteRef { name: "shop".to_owned(), rule: RuleRef::Number(0) };
    assert_eq!(target.director, Director::Route(rule));
    let services: Vec<_> = target.slots.values().map(|slot| slot.service.clone().unwrap()).collect();
    assert_eq!(services, ["shop-canary", "shop-stable"]);
    measures(&runbook, "$slot");
    fits(&stand);
    // The route no longer has one of the slots' Services.
    assert!(stand.cluster.edit("httproutes", "shop", |route| {
        route["spec"]["rules"][0]["backendRefs"]
            .as_array_mut()
            .unwrap()
            .retain(|it| it["name"] != "shop-canary");
    }));
    let faults = faulty(&stand);
    assert!(faults.iter().any(|it| it.contains("has no backend for service shop-canary")), "{faults:#?}");

    // A route that is called as no Service is.
    let edge = Directing::Route { name: "edge".into(), rule: 0 };
    let edge = Stand::new(furniture(edge, "track", ["stable", "canary"]));
    let (text, _) = edge.init(&["--service", "edge"]);
    assert_eq!(whole(&text).target.unwrap().service, "edge");
    fits(&edge);

    let colours = Stand::new(furniture(route(), "colour", ["blue", "green"]));
    let (text, said) = colours.init(&["--context", "prod-eu-1"]);
    let runbook = whole(&text);
    assert_eq!(runbook.deployment.strategy, Strategy::BlueGreen, "{said}");
    assert_eq!(runbook.target.as_ref().unwrap().context.as_deref(), Some("prod-eu-1"));
    assert!(runbook.steps.iter().any(|step| step.id.as_str() == "sip"));
}

#[test]
fn a_service_over_two_deployments_is_a_canary_by_replicas() {
    let stand = Stand::new(furniture(Directing::Replicas, "track", ["stable", "canary"]));
    let (text, _) = stand.init(&[]);
    let runbook = whole(&text);
    let target = runbook.target.as_ref().unwrap();
    assert_eq!((runbook.deployment.strategy, &target.director), (Strategy::Canary, &Director::Replicas));
    measures(&runbook, "$slot");
    assert!(text.contains("canary: no pods"), "{text}");
    fits(&stand);
    // Here the number of pods is the share of the traffic.
    stand.cluster.add_autoscaler("shop-stable", 2, 6);
    let faults = faulty(&stand);
    assert!(faults.iter().any(|it| it.contains("the share of traffic is the number of pods")), "{faults:#?}");
}

#[test]
fn one_deployment_is_rolling_or_recreate_by_its_own_strategy() {
    for (pods, strategy) in
        [(PodStrategy::default(), Strategy::Rolling), (PodStrategy::Recreate, Strategy::Recreate)]
    {
        let stand = Stand::new(one(pods));
        let (text, _) = stand.init(&[]);
        let runbook = whole(&text);
        assert_eq!(runbook.deployment.strategy, strategy);
        assert_eq!(runbook.target.as_ref().unwrap().director, Director::Rollout);
        measures(&runbook, "$hash");
        fits(&stand);
        assert!(stand.cluster.edit("deployments", "shop", |it| it["spec"]["paused"] = json!(true)));
        let faults = faulty(&stand);
        assert!(faults.iter().any(|it| it.contains("it is paused")), "{faults:#?}");
    }
}

#[test]
fn what_cannot_be_deployed_is_said_with_what_to_do() {
    let stand = Stand::new(one(PodStrategy::default()));
    let said = stand.refuses(&["--yes", "--namespace", "nowhere"], 3);
    assert!(said.contains("no Deployments and no Services") && said.contains("--namespace"), "{said}");
    let said = stand.refuses(&["--yes", "--service", "nobody"], 3);
    assert!(said.contains("there is no Service nobody") && said.contains("shop"), "{said}");
    let said = stand.refuses(&["--yes", "--strategy", "canary"], 3);
    assert!(said.contains("is rolling, not canary") && said.contains("two Deployments"), "{said}");
    let said = stand.refuses(&["--kubeconfig", "nothing-here"], 2);
    assert!(said.contains("no usable kubeconfig at nothing-here"), "{said}");
    let said = stand.refuses(&["--context", "staging"], 2);
    assert!(said.contains("no context `staging`") && said.contains("--context"), "{said}");
    let said = stand.refuses(&["--yes", "--prometheus", "http://me:secret@example.com"], 2);
    assert!(said.contains("basic_auth") && !said.contains("secret@"), "{said}");

    // Two Services, and nobody to ask.
    let of = |name: &str, label: &str| {
        json!({ "metadata": { "name": name },
                "spec": { "selector": { "app": label }, "ports": [{ "port": 80 }] } })
    };
    stand.cluster.create("services", of("shop-internal", "shop"));
    let said = stand.refuses(&[], 2);
    assert!(said.contains("shop, shop-internal") && said.contains("--service"), "{said}");
    stand.cluster.create("services", of("lost", "nobody"));
    let said = stand.refuses(&["--service", "lost"], 3);
    assert!(said.contains("selects app=nobody") && said.contains("deployment shop"), "{said}");

    // What may not be read is said; without the two that are needed nothing is written.
    stand.cluster.deny("list", "deployments");
    let said = stand.refuses(&["--yes"], 3);
    assert!(said.contains("the verb `list` on `deployments.apps` in namespace shop"), "{said}");
    stand.cluster.allow("list", "deployments");
    stand.cluster.deny("list", "horizontalpodautoscalers");
    let (text, said) = stand.init(&["--service", "shop"]);
    assert!(said.contains("list` on `horizontalpodautoscalers"), "{said}");
    assert!(
        text.contains("# TODO: not seen, so not written: not allowed to list horizontalpodautoscalers"),
        "{text}"
    );
    whole(&text);
}

#[test]
fn without_a_prometheus_or_a_label_there_is_no_query_but_a_todo() {
    let stand = Stand::new(one(PodStrategy::default()));
    let output = stand.run(&["init", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let text = std::fs::read_to_string(stand.file()).unwrap();
    let runbook = whole(&text);
    assert!(runbook.metrics.is_empty() && text.contains("# TODO: the Prometheus"), "{text}");
    std::fs::remove_file(stand.file()).unwrap();

    let output = stand.run(&["init", "--yes", "--prometheus", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let text = std::fs::read_to_string(stand.file()).unwrap();
    assert!(whole(&text).metrics.is_empty() && text.contains("Prometheus did not answer"), "{text}");
}

#[test]
fn an_example_is_written_without_a_cluster() {
    let dir = tempfile::tempdir().unwrap();
    for (name, _) in cutover::init::EXAMPLES {
        let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["init", "--example", name, "--output", &format!("{name}.toml")])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let text = std::fs::read_to_string(dir.path().join(format!("{name}.toml"))).unwrap();
        assert!(load_str(name, &text).diagnostics.is_empty() && !text.contains("#:schema"));
    }
}
