//! What cutover needs to be allowed in a cluster: the printed roles are enough and none of them is too much, what is missing
//! is said before it matters, and where something is not there it is said what was looked for.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    collections::BTreeSet,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    adapters::kube::{CopyAbout, KEPT_RUNS, KubeCluster, KubeConnector, lease_name},
    config,
    domain::{
        copy::CopyHead,
        event::{ActionOutcome, Outcome, RunEvent},
        message::Command as Order,
        rights::{self, PERMISSIONS, Weight},
        run::ItemStatus,
        runbook::Runbook,
    },
    engine::ports::Cluster as _,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde_json::{Value, json};

#[path = "support/ground.rs"]
mod ground;
#[path = "support/helm.rs"]
mod helm;
#[path = "support/pty.rs"]
mod pty;

use ground::{Ground, WORLD};
use helm::Helm;
use pty::PATIENCE;

const RUNBOOK: &str = include_str!("support/rights.toml");
const BLUE: &str = "backend-blue";

fn ground() -> Ground {
    let ground = Ground::new(RUNBOOK);
    ground
        .cluster
        .create("configmaps", json!({ "metadata": { "name": "flags" }, "data": { "beta": "off" } }));
    ground
}

fn runbook() -> Runbook {
    config::load_str("runbook.toml", RUNBOOK).runbook.unwrap()
}

/// The roles as the program prints them.
fn printed(ground: &Ground) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(["plan", "--rbac", "runbook.toml"]).current_dir(ground.stage.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

/// Every rule's place among all rules, with each of its verbs and what it is about.
fn rules(manifests: &[Value]) -> Vec<(usize, String, String)> {
    let rules = manifests.iter().filter_map(|manifest| manifest.get("rules")?.as_array()).flatten();
    let verbs = |(place, rule): (usize, &Value)| {
        let about = format!("{} {}", rule["resources"], rule["resourceNames"]);
        let verbs = rule["verbs"].as_array().unwrap().clone();
        verbs.into_iter().map(move |verb| (place, verb.as_str().unwrap().to_owned(), about.clone()))
    };
    rules.enumerate().flat_map(verbs).collect()
}

/// The place among all rules of the one in a role of this kind about this resource alone.
fn place_of(manifests: &[Value], kind: &str, resource: &str) -> usize {
    let of = manifests.iter().filter(|manifest| manifest.get("rules").is_some());
    let all = of.flat_map(|manifest| {
        manifest["rules"].as_array().unwrap().iter().map(|rule| (&manifest["kind"], rule))
    });
    let is = |(of, rule): (&Value, &Value)| *of == json!(kind) && rule["resources"] == json!([resource]);
    all.into_iter().position(is).unwrap()
}

async fn connect(ground: &Ground) -> Arc<KubeCluster> {
    let clock = Arc::new(cutover::adapters::clock::SystemClock::new());
    let connector = KubeConnector::from_kubeconfig_text(ground.cluster.kubeconfig(), clock);
    connector.open(&runbook().target.unwrap()).await.unwrap()
}

/// What a run says that stops before it begins, and its exit code.
fn refused(ground: &Ground) -> (i32, String) {
    let output = ground.command(&["run", "--plain"]).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A sentence for people, and nothing of the program's insides.
fn assert_told(said: &str) {
    for word in ["Location:", "Error:", "BACKTRACE", "Backtrace", "src/", ".rs:"] {
        assert!(!said.contains(word), "{said}");
    }
    let own = said.lines().filter(|line| line.starts_with("cutover: ")).count();
    assert!((1..=3).contains(&own), "{said}");
}

fn item(helm: &Helm, text: &str) -> (usize, usize) {
    let checklist = &helm.run.as_ref().unwrap().runbook.checklist;
    let found = checklist
        .iter()
        .enumerate()
        .find_map(|(g, group)| group.items.iter().position(|item| item.text.contains(text)).map(|i| (g, i)));
    found.unwrap_or_else(|| panic!("no {text}\n{}", helm.story()))
}

fn status(helm: &Helm, (group, item): (usize, usize)) -> (ItemStatus, String) {
    let state = &helm.run.as_ref().unwrap().items[group][item];
    (state.status, state.note.clone().unwrap_or_default())
}

#[test]
fn a_run_and_a_rollback_need_all_of_the_printed_roles_and_nothing_else() {
    let ground = ground();
    let manifests = printed(&ground);
    let kinds: Vec<&str> = manifests.iter().filter_map(|manifest| manifest["kind"].as_str()).collect();
    assert_eq!(kinds, ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]);
    ground.cluster.allow_only(&manifests);

    // To the end, with a look at the logs of one pod and of all, and a second screen.
    let mut helm = Helm::open(&ground);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    let pod = ground.cluster.pods(BLUE).remove(0);
    for pod in [None, Some(pod)] {
        helm.order(&Order::Logs { slot: "blue".into(), pod });
    }
    let until = Instant::now() + PATIENCE;
    while ground.cluster.count("GET", &format!("/pods/{BLUE}")) < 3 {
        assert!(Instant::now() < until, "the logs were not read");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut second =
        ground.command(&["attach", "--plain"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(second.stdout.take().unwrap()), &mut line)
        .unwrap();
    second.kill().unwrap();
    second.wait().unwrap();
    assert!(!line.is_empty(), "the second screen shows nothing");
    helm.fly_until("the end", Helm::is_over);
    assert_eq!(
        helm.run.as_ref().unwrap().finished.as_ref().unwrap().0,
        Outcome::Succeeded,
        "{}",
        helm.story()
    );
    assert_eq!(helm.close(), 0);

    // And back.
    assert!(ground.cluster.edit("deployments", BLUE, |object| object["spec"]["replicas"] = json!(2)));
    let mut helm = Helm::open(&ground);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    helm.roll_back();
    helm.wait_until("the rollback's end", Helm::is_over);
    assert_eq!(
        helm.run.as_ref().unwrap().finished.as_ref().unwrap().0,
        Outcome::RolledBack,
        "{}",
        helm.story()
    );
    helm.close();

    // The copies of old runs are removed, and one is read as another host would.
    WORLD.block_on(async {
        let kube = connect(&ground).await;
        for run in 0..=KEPT_RUNS {
            let run_id = cutover::domain::id::RunId(format!("20261122-1400{run:02}-ab"));
            let about = CopyAbout { run_id, who: "ada@b".into(), host: "b".into(), title: "T".into() };
            let read =
                Arc::new(|from: u64, _: usize| Ok(if from == 0 { b"journal".to_vec() } else { Vec::new() }));
            let copy = kube.copy_journal(about, read, Duration::from_millis(5));
            let at = cutover::domain::time::Timestamp(1_795_000_000_000);
            copy.note(CopyHead { sequence: 1, at, ended: true, state: "succeeded".into() });
            copy.finish(Duration::from_secs(20)).await;
        }
        let newest = kube.copied_runs().await.unwrap().remove(0).run_id;
        kube.fetch_copy(&newest).await.unwrap();
    });

    assert_eq!(ground.cluster.refusals(), BTreeSet::new());
    let used = ground.cluster.used_rules();
    let unused: Vec<_> = rules(&manifests)
        .into_iter()
        .filter(|(place, verb, _)| !used.contains(&(*place, verb.clone())))
        .collect();
    assert!(unused.is_empty(), "printed, and not used: {unused:?}");
}

#[test]
fn the_printed_manifests_are_what_the_api_takes() {
    let manifests = printed(&ground());
    let [role, binding, wide, wide_binding] = &manifests[..] else { panic!("{manifests:?}") };
    let role: Role = serde_json::from_value(role.clone()).unwrap();
    let wide: ClusterRole = serde_json::from_value(wide.clone()).unwrap();
    let binding: RoleBinding = serde_json::from_value(binding.clone()).unwrap();
    let wide_binding: ClusterRoleBinding = serde_json::from_value(wide_binding.clone()).unwrap();
    assert_eq!(role.metadata.namespace.as_deref(), Some("production"));
    assert_eq!(Some(binding.role_ref.name), role.metadata.name);
    assert_eq!(Some(wide_binding.role_ref.name), wide.metadata.name);
    assert_eq!((wide.metadata.namespace, wide_binding.metadata.namespace), (None, None));
    assert!(binding.subjects.is_some() && wide_binding.subjects.is_some());
    // `create` has no name yet when it is asked for, so a rule with names would never allow it.
    for rule in role.rules.iter().flatten() {
        assert!(!rule.verbs.contains(&"create".to_owned()) || rule.resource_names.is_none(), "{rule:?}");
    }
}

#[test]
fn each_right_that_is_taken_away_is_found_missing_by_its_name() {
    let ground = ground();
    let manifests = printed(&ground);
    let all = rights::needed(&runbook(), &lease_name("backend-service"), &rights::literal);
    let mut found = 0;
    WORLD.block_on(async {
        ground.cluster.allow_only(&manifests);
        let kube = connect(&ground).await;
        assert_eq!(kube.rights(&runbook()), all);
        assert_eq!(kube.access(&all).await.unwrap().missing, []);
        for (place, verb, about) in rules(&manifests) {
            let mut less = manifests.clone();
            let rules =
                less.iter_mut().filter_map(|manifest| manifest.get_mut("rules")?.as_array_mut()).flatten();
            let rule = rules.into_iter().nth(place).unwrap();
            rule["verbs"].as_array_mut().unwrap().retain(|known| *known != json!(verb));
            ground.cluster.allow_only(&less);
            let missing = kube.access(&all).await.unwrap().missing;
            if place == place_of(&manifests, "Role", "pods") && verb == "list" {
                // What `headroom` needs in the whole cluster counts in the namespace too. Who is not given it needs this one.
                assert_eq!(missing, [], "{verb} {about}");
                found += 1;
                continue;
            }
            assert_eq!(missing.len(), 1, "{verb} {about}: {missing:?}");
            let told = missing[0].to_string();
            assert!(
                told.contains(&format!("ask for the verb `{verb}`")) && told.contains("operator"),
                "{told}"
            );
            found += 1;
        }
    });
    assert_eq!(found, all.len(), "each right is one verb of one rule");
}

#[test]
fn what_a_run_cannot_be_opened_without_is_said_in_a_sentence() {
    for (resource, object) in [
        ("services", "get services backend-service"),
        ("deployments", "get deployments.apps backend-blue, backend-green"),
    ] {
        let ground = ground();
        ground.cluster.deny("get", resource);
        let (exit, said) = refused(&ground);
        assert_eq!(exit, 3, "{said}");
        assert!(
            said.contains(&format!(
                "not allowed to {object} in namespace production; ask for the verb `get`"
            )),
            "{said}"
        );
        assert!(said.contains("prod-eu-1") && said.contains("cutover plan --rbac"), "{said}");
        assert_told(&said);
        assert!(ground.stage.runs().is_empty(), "no run was begun");
    }
}

#[test]
fn a_write_that_is_not_allowed_fails_on_the_checklist_until_it_is() {
    let ground = ground();
    ground.cluster.deny("patch", "services");
    let mut helm = Helm::open(&ground);
    helm.wait_until("the look", |helm| {
        helm.run.is_some() && status(helm, item(helm, "patch services")).0 == ItemStatus::Fails
    });
    let place = item(&helm, "patch services");
    assert_eq!(helm.run.as_ref().unwrap().runbook.checklist[place.0].title, PERMISSIONS);
    let (_, note) = status(&helm, place);
    assert!(
        note.contains("ask for the verb `patch` on `services` in namespace production for user `operator`"),
        "{note}"
    );
    helm.order(&Order::OpenSteps { override_reason: None });
    helm.wait_until("refusal", |helm| helm.refused.iter().any(|why| why.contains("are open")));
    ground.cluster.allow("patch", "services");
    helm.order(&Order::RecheckItem { group: place.0, item: place.1 });
    helm.fly_until("switch", |helm| helm.passed("switch"));
}

#[test]
fn a_right_taken_away_in_the_middle_is_said_with_what_to_ask_for() {
    let ground = ground();
    let mut helm = Helm::open(&ground);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    ground.cluster.deny("patch", "services");
    helm.fly_until("failure", |helm| helm.failed("switch"));
    let failed = |event: &RunEvent| match event {
        RunEvent::ActionFinished { outcome: ActionOutcome::Failed, detail, .. } => Some(detail.clone()),
        _ => None,
    };
    let told = helm.events.iter().find_map(|envelope| failed(&envelope.event)).unwrap();
    for words in [
        "not allowed to patch service/backend-service in namespace production",
        "ask for the verb `patch` on `services` in namespace production",
        "User \"operator\"",
    ] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn what_only_a_pane_needs_is_a_remark() {
    let ground = ground();
    for verb in ["list", "watch"] {
        ground.cluster.deny(verb, "events");
    }
    let (exit, said) = refused(&ground);
    assert_eq!(exit, 8, "a person is asked for the checklist, as always: {said}");
    let remark = "no warnings on the screen; ask for the verb `list` on `events` in namespace production";
    assert!(said.contains(remark), "{said}");
    assert!(!said.contains("Permissions"), "{said}");
}

#[test]
fn headroom_that_may_not_be_looked_at_asks_a_person_for_a_note() {
    let ground = ground();
    ground.cluster.deny("list", "nodes");
    let mut helm = Helm::open(&ground);
    let place = |helm: &Helm| item(helm, "Room");
    helm.wait_until("the question", |helm| {
        helm.run.as_ref().is_some_and(|run| run.item_asks(place(helm).0, place(helm).1))
    });
    let (group, item) = place(&helm);
    let (open, why) = status(&helm, (group, item));
    assert_eq!(open, ItemStatus::Open);
    assert!(
        why.starts_with("somebody must look: ") && why.contains("ask for the verb `list` on `nodes`"),
        "{why}"
    );
    helm.order(&Order::TickItem { group, item, note: None });
    helm.wait_until("refusal", |helm| helm.refused.iter().any(|why| why.contains("what you looked at")));
    let note = "three nodes are half empty".to_owned();
    helm.order(&Order::TickItem { group, item, note: Some(note.clone()) });
    helm.wait_until("tick", |helm| status(helm, place(helm)) == (ItemStatus::Holds, note.clone()));
    // The next look finds nothing out either, and leaves it.
    helm.order(&Order::RecheckItem { group, item });
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    assert_eq!(status(&helm, (group, item)).0, ItemStatus::Holds);

    // Unattended it is nobody's to confirm.
    let ground = self::ground();
    ground.cluster.deny("list", "nodes");
    let output = ground.command(&["run", "--plain", "--yes"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("Room: somebody must look"), "{said}");
}

#[test]
fn the_page_lists_what_the_table_has() {
    const BEGIN: &str = "<!-- from the table in src/domain/rights/table.rs -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/permissions.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once("<!-- end -->").unwrap();
    let table = rights::markdown();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}<!-- end -->{after}")).unwrap();
        return;
    }
    assert_eq!(written, table, "docs/permissions.md is old: run this test with WRITE_DOCS=1");
    // The weights are what the page says of them.
    let all = rights::needed(&runbook(), "x", &rights::literal);
    let opening = all.iter().filter(|right| right.weight == Weight::Opening);
    assert!(opening.into_iter().all(|right| right.without.contains("exit code 3")));
}

#[test]
fn what_is_not_there_is_said_with_where_it_was_looked_for_and_what_there_is() {
    let said = |change: &dyn Fn(&Ground), from: &str, to: &str| {
        let ground = ground();
        change(&ground);
        let runbook = RUNBOOK.replace(from, to);
        std::fs::write(ground.stage.path().join("runbook.toml"), runbook).unwrap();
        let (exit, said) = refused(&ground);
        assert_told(&said);
        (exit, said)
    };
    let nothing = |_: &Ground| {};
    let (exit, told) = said(&nothing, "\"backend-service\"", "\"backend-servce\"");
    assert_eq!(exit, 3, "{told}");
    for words in [
        "service backend-servce not found in namespace production (context prod-eu-1, server http://127.0.0.1:",
        "it has these services: backend-service",
        "did you mean backend-service?",
        "correct `target.service`",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let (exit, told) = said(&nothing, "\"backend-green\"", "\"backend-gren\"");
    assert_eq!(exit, 3, "{told}");
    assert!(told.contains("deployment backend-gren not found in namespace production"), "{told}");
    assert!(told.contains("did you mean backend-green?"), "{told}");
    let (exit, told) = said(&nothing, "\"production\"", "\"prodution\"");
    assert_eq!(exit, 3, "{told}");
    assert!(
        told.contains("namespace prodution not found") && told.contains("did you mean production?"),
        "{told}"
    );
    let (exit, told) = said(&nothing, "\"prod-eu-1\"", "\"prod-eu-2\"");
    assert_eq!(exit, 2, "{told}");
    assert!(
        ["has no context `prod-eu-2`", "it has `prod-eu-1`", "did you mean `prod-eu-1`?"]
            .iter()
            .all(|words| told.contains(words)),
        "{told}"
    );
    let (exit, told) =
        said(&|ground| std::fs::remove_file(ground.stage.path().join("kubeconfig")).unwrap(), "", "");
    assert_eq!(exit, 2, "{told}");
    assert!(
        told.contains("no usable kubeconfig at KUBECONFIG=") && told.contains("set KUBECONFIG"),
        "{told}"
    );
    // Whoever may not list gets the sentence without names.
    let denied = |ground: &Ground| {
        for resource in ["services", "namespaces"] {
            ground.cluster.deny("list", resource);
        }
    };
    let (exit, told) = said(&denied, "\"backend-service\"", "\"backend-servce\"");
    assert_eq!(exit, 3, "{told}");
    assert!(told.contains("service backend-servce not found") && !told.contains("these services"), "{told}");
}
