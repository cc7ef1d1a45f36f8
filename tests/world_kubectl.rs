//! The real kubectl against the simulated API server: rollouts and routes, as people type them.
//!
//! `tests/real/kube build && cargo test --features real-servers --test world_kubectl`

#![expect(clippy::unwrap_used, reason = "a test that cannot set its world up has failed")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Command,
    sync::{Arc, LazyLock},
};

use cutover::{
    domain::{
        director::{Director, NEW_REVISION, OLD_REVISION},
        kubectl::revert_line,
        runbook::{Slot, Target},
    },
    world::{
        cluster::Cluster,
        scenario::Scenario,
        stage::{Directing, FurnishedSlot, Furniture, Stage as _},
    },
};

#[path = "support/kube.rs"]
mod kube;

const OLD: &str = "registry.example.com/payment-system-backend:v1.5.0";
const NEW: &str = "registry.example.com/payment-system-backend:v1.6.0";

static WORLD: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

struct World {
    cluster: Arc<Cluster>,
    dir: tempfile::TempDir,
}

impl World {
    fn begin(furniture: Furniture) -> Self {
        let cluster = WORLD.block_on(kube::world(furniture, Scenario::Good, 60));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), cluster.kubeconfig()).unwrap();
        Self { cluster, dir }
    }

    fn program() -> PathBuf {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let cache = || {
            let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
            let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
            cache.join("cutover-ci/kubernetes-1.20.2")
        };
        assets.unwrap_or_else(cache).join("kubectl")
    }

    /// Whether it worked, and all that it said.
    fn kubectl(&self, line: &str) -> (bool, String) {
        let output = Command::new(Self::program())
            .arg("--kubeconfig")
            .arg(self.dir.path().join("kubeconfig"))
            .arg("--cache-dir")
            .arg(self.dir.path().join("cache"))
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.success(), said.concat())
    }

    /// A line as people paste it into a shell.
    fn shell(&self, line: &str) -> (bool, String) {
        let (kubectl, dir) = (Self::program(), self.dir.path().display());
        let function = format!(
            "kubectl() {{ {} --kubeconfig {dir}/kubeconfig --cache-dir {dir}/cache \"$@\"; }}; {line}",
            kubectl.display()
        );
        let output = Command::new("sh").arg("-c").arg(function).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.success(), said.concat())
    }

    /// What it says, having worked.
    fn says(&self, line: &str) -> String {
        let (worked, said) = self.kubectl(line);
        assert!(worked, "kubectl {line}: {said}");
        said
    }

    fn version(&self) -> String {
        self.says("get deployment shop -o jsonpath={.spec.template.spec.containers[0].image}")
    }
}

/// The runbook's target of that world.
fn target() -> Target {
    let slot = Slot { deployment: "shop".into(), selector: BTreeMap::new(), service: None };
    Target {
        service: "shop".into(),
        slots: [(OLD_REVISION.into(), slot.clone()), (NEW_REVISION.into(), slot)].into(),
        director: Director::Rollout,
        ..kube::target()
    }
}

fn shop() -> Furniture {
    Furniture {
        service: "shop".into(),
        slots: [("shop".to_owned(), FurnishedSlot::new("shop", BTreeMap::new()))].into(),
        live: "shop".into(),
        directing: Directing::Rollout,
        ..kube::furniture(3)
    }
}

fn routed() -> Furniture {
    let slot = |track: &str| {
        let selector = BTreeMap::from([("track".to_owned(), track.to_owned())]);
        (track.to_owned(), FurnishedSlot::new(format!("shop-{track}"), selector))
    };
    Furniture {
        service: "shop".into(),
        slots: [slot("canary"), slot("stable")].into(),
        live: "stable".into(),
        directing: Directing::Route { name: "shop".into(), rule: 0 },
        ..kube::furniture(2)
    }
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants kubectl: see tests/real.rs")]
fn rollouts_are_stopped_resumed_undone_and_listed() {
    let world = World::begin(shop());
    world.says(&format!("set image deployment/shop backend={NEW} --record=true"));
    world.says("rollout pause deployment/shop");
    let (paused, said) = world.kubectl("rollout undo deployment/shop");
    assert!(!paused && said.contains("cannot rollback a paused deployment"), "{said}");
    world.says("rollout resume deployment/shop");
    let said = world.says("rollout status deployment/shop --timeout=60s");
    assert!(said.contains("deployment \"shop\" successfully rolled out"), "{said}");

    let history = world.says("rollout history deployment/shop");
    let rows: Vec<Vec<&str>> = history
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|words: &Vec<&str>| words.first().is_some_and(|word| word.parse::<u32>().is_ok()))
        .collect();
    let numbers: Vec<&str> = rows.iter().map(|words| words[0]).collect();
    assert_eq!(numbers, ["3", "4", "5"], "{history}");
    assert!(rows[2].contains(&"set") && rows[2].contains(&"image"), "{history}");
    assert!(world.says("rollout history deployment/shop --revision=4").contains(OLD));

    world.says("rollout undo deployment/shop");
    world.says("rollout status deployment/shop --timeout=60s");
    assert_eq!(world.version(), OLD);
    let history = world.says("rollout history deployment/shop");
    assert!(history.contains("\n6 ") && !history.contains("\n4 "), "4 is 6 now: {history}");
    world.says("rollout undo deployment/shop --to-revision=5");
    world.says("rollout status deployment/shop --timeout=60s");
    assert_eq!(world.version(), NEW);

    world.says("rollout restart deployment/shop");
    world.says("rollout status deployment/shop --timeout=60s");
    let backends = world.cluster.picture().backends;
    assert!(backends.len() == 1 && backends[0].image == NEW && backends[0].ready == 3, "{backends:?}");
    let table = world.says("get replicasets");
    assert_eq!(table.lines().count(), 5, "a header and four sets: {table}");
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants kubectl: see tests/real.rs")]
fn routes_are_listed_and_patched() {
    let world = World::begin(routed());
    let table = world.says("get httproute");
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "HOSTNAMES", "AGE"]);
    assert!(table.contains(r#"["shop.example.com"]"#), "{table}");
    let gateways = world.says("get gateways");
    assert!(gateways.contains("PROGRAMMED") && gateways.contains("True"), "{gateways}");

    let shift = r#"[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":5},{"op":"replace","path":"/spec/rules/0/backendRefs/1/weight","value":95}]"#;
    world.says(&format!("patch httproute shop --type=json -p={shift}"));
    let weights = "get httproute shop -o jsonpath={.spec.rules[0].backendRefs[*].weight}";
    assert_eq!(world.says(weights), "5 95");
    world.says("wait gateway/public --for=condition=Programmed --timeout=10s");
    let accepted = || {
        let path = "get httproute shop -o jsonpath={.status.parents[0].conditions[0].observedGeneration}";
        world.says(path) == "2"
    };
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !accepted() {
        assert!(std::time::Instant::now() < until, "{}", world.says("get httproute shop -o yaml"));
    }
    let canary = world.cluster.picture().slot("canary").map(|canary| canary.share);
    assert!(canary.is_some_and(|share| (share - 0.05).abs() < 1e-9), "{canary:?}");

    let (worked, said) = world.kubectl(r#"patch httproute shop -p={"spec":{"hostnames":["x.example.com"]}}"#);
    assert!(!worked && said.contains("UnsupportedMediaType"), "{said}");
    world.says(r#"patch httproute shop --type=merge -p={"spec":{"hostnames":["x.example.com"]}}"#);
    assert_eq!(world.says(weights), "5 95");
    let (worked, said) = world.kubectl(
        r#"patch httproute shop --type=json -p=[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":-1}]"#,
    );
    assert!(!worked && said.contains("should be greater than or equal to 0"), "{said}");
    assert!(world.says("describe httproute shop").contains("Weight:"));
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants kubectl: see tests/real.rs")]
fn a_cluster_without_the_gateway_api_has_no_such_resource() {
    let world = World::begin(shop());
    let (worked, said) = world.kubectl("get httproute");
    assert!(!worked && said.contains("the server doesn't have a resource type \"httproute\""), "{said}");
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants kubectl: see tests/real.rs")]
fn the_line_of_a_revert_is_right_whatever_number_its_revision_has_by_then() {
    let world = World::begin(shop());
    let hash = |world: &World| {
        let sets: serde_json::Value = serde_json::from_str(&world.says("get replicasets -o json")).unwrap();
        let full = sets["items"].as_array().unwrap().iter().find(|set| set["spec"]["replicas"] == 3).unwrap();
        full["metadata"]["name"].as_str().unwrap().rsplit_once('-').unwrap().1.to_owned()
    };
    let old = hash(&world);
    let line = revert_line(&target(), "shop", Some(&old));
    let rolls = |line: &str| {
        world.says(line);
        world.says("rollout status deployment/shop --timeout=60s");
    };
    // A first try that was taken back gives the old revision another number, and there is one more beside it.
    rolls(&format!("set image deployment/shop backend={NEW}"));
    rolls(&format!("set image deployment/shop backend={OLD}"));
    rolls("rollout restart deployment/shop");
    rolls(&format!("set image deployment/shop backend={NEW}"));
    let (worked, said) = world.shell(&line);
    assert!(worked, "{line}: {said}");
    world.says("rollout status deployment/shop --timeout=60s");
    assert_eq!((world.version().as_str(), hash(&world)), (OLD, old));
    // One that is gone is refused, and nothing is undone.
    let (worked, said) = world.shell(&revert_line(&target(), "shop", Some("gone")));
    assert!(!worked && said.contains("not found"), "{said}");
    assert_eq!(world.version(), OLD);
}
