//! The printed roles, on a server that means them: somebody who may do what they say, and nothing else, flies there and back.

use std::{
    collections::BTreeSet,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    adapters::{
        clock::SystemClock,
        kube::{KubeConnector, lease_name},
    },
    config,
    domain::{
        event::Outcome,
        message::Command as Order,
        rights::{self, PERMISSIONS},
    },
    engine::ports::Cluster as _,
};
use serde_json::{Value, json};

use super::{
    ground::WORLD,
    helm::{Base as _, Helm},
    place::{NEW, Place},
    plane::PLANE,
};

/// What `cutover plan --rbac` prints for this place's runbook.
fn printed(place: &Place) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    let output = command.args(["plan", "--rbac"]).current_dir(place.stage.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// From now on the product is somebody of the printed bindings' group, who has no other right.
pub(super) fn as_an_operator(place: &mut Place) {
    let admin = std::fs::read_to_string(&PLANE.kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_saphyr::from_str(&admin).unwrap();
    for user in kubeconfig["users"].as_array_mut().unwrap() {
        user["user"]["as"] = json!("alice");
        user["user"]["as-groups"] = json!([group(place)]);
    }
    let path = place.stage.path().join("operators-kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    place.kubeconfig = path;
}

/// Each place has a group of its own, since a `ClusterRole` of another place counts here too.
fn group(place: &Place) -> String {
    format!("operators-of-{}", place.namespace)
}

/// Everything that the engine has written into its own log.
fn logs(place: &Place) -> String {
    let files = std::fs::read_dir(place.stage.path().join("logs")).unwrap().flatten();
    files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
}

/// From now on the product may do what the printed roles say, and nothing else.
pub(super) fn with_printed_roles(place: &mut Place) {
    PLANE.apply(&printed(place).replace("cutover-operators", &group(place)));
    as_an_operator(place);
}

/// Nothing that the run wanted was missing.
pub(super) fn assert_enough(place: &Place, helm: &Helm) {
    let run = helm.run.as_ref().unwrap();
    assert!(run.lock.is_some(), "it has the target's lock");
    let groups = &run.runbook.checklist;
    assert!(groups.iter().all(|group| group.title != PERMISSIONS), "{groups:?}");
    let story = helm.story();
    assert!(!story.contains("not allowed") && !story.contains("forbidden"), "{story}");
    let logs = logs(place);
    assert!(!logs.contains("not allowed") && !logs.contains("orbidden"), "{logs}");
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_printed_roles_are_enough_for_a_flight_and_for_a_rollback() {
    for wanted in [Outcome::Succeeded, Outcome::RolledBack] {
        let mut place = Place::new(NEW);
        with_printed_roles(&mut place);
        let mut helm = Helm::open(&place);
        match wanted {
            Outcome::RolledBack => {
                helm.fly_until("switch", |helm| helm.passed("switch"));
                helm.roll_back();
                helm.wait_until("end", Helm::is_over);
            }
            _ => helm.fly_until("end", Helm::is_over),
        }
        let run = helm.run.as_ref().unwrap();
        assert_eq!(run.finished.as_ref().map(|(outcome, ..)| *outcome), Some(wanted), "{}", helm.story());
        assert!(
            run.opened.cluster.as_ref().is_some_and(|cluster| !cluster.uid.is_empty()),
            "the uid was read"
        );
        assert_enough(&place, &helm);
    }
}

/// Many objects as one.
fn list(items: Vec<Value>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// The printed roles, without a verb on a resource.
pub(super) fn without(place: &Place, verb: &str, resource: &str) -> String {
    let printed = printed(place).replace("cutover-operators", &group(place));
    let documents = printed.split("\n---\n").map(|text| {
        let mut role: Value = serde_saphyr::from_str(text).unwrap();
        for rule in role["rules"].as_array_mut().into_iter().flatten() {
            if rule["resources"].as_array().unwrap().iter().any(|it| it == resource) {
                rule["verbs"].as_array_mut().unwrap().retain(|it| it != verb);
            }
        }
        role
    });
    // A rule without a verb is no rule.
    let documents = documents.map(|mut role| {
        if let Some(rules) = role["rules"].as_array_mut() {
            rules.retain(|rule| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
        }
        role
    });
    list(documents.collect())
}

/// Before a run begins, each right that it lacks is named, and no other.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn each_right_that_is_missing_at_the_start_is_named() {
    let mut place = Place::new(NEW);
    as_an_operator(&mut place);
    let text = std::fs::read_to_string(place.stage.path().join("runbook.toml")).unwrap();
    let runbook = config::load_str("runbook.toml", &text).runbook.unwrap();
    let all = rights::needed(&runbook, &lease_name("backend-service"), &rights::literal);
    let whole: Vec<Value> = serde_saphyr::from_multiple(&printed(&place)).unwrap();
    let kubeconfig = std::fs::read_to_string(&place.kubeconfig).unwrap();
    let connector = KubeConnector::from_kubeconfig_text(kubeconfig, Arc::new(SystemClock::new()));
    PLANE.apply(&list(whole.clone()).replace("cutover-operators", &group(&place)));
    let kube = WORLD.block_on(connector.open(runbook.target.as_ref().unwrap())).unwrap();
    // A change of a role counts a moment later.
    let missing = |wanted: usize| {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let missing = WORLD.block_on(kube.access(&all)).unwrap().missing;
            if missing.len() == wanted || Instant::now() > until {
                return missing;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(missing(0), []);
    let mut found = 0;
    for (of, manifest) in whole.iter().enumerate() {
        let rules = manifest["rules"].as_array().into_iter().flatten().enumerate();
        for (at, rule) in rules {
            for verb in rule["verbs"].as_array().unwrap() {
                let mut less = whole.clone();
                let rules = less[of]["rules"].as_array_mut().unwrap();
                rules[at]["verbs"].as_array_mut().unwrap().retain(|known| known != verb);
                // A rule without a verb is no rule.
                rules.retain(|rule| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
                PLANE.apply(&list(less).replace("cutover-operators", &group(&place)));
                let missing = missing(1);
                assert_eq!(missing.len(), 1, "{verb} {}: {missing:?}", rule["resources"]);
                let (told, verb) = (missing[0].to_string(), verb.as_str().unwrap());
                assert!(
                    told.contains(&format!("ask for the verb `{verb}`")) && told.contains("alice"),
                    "{told}"
                );
                found += 1;
            }
        }
    }
    assert_eq!(found, all.len(), "each right is one verb of one rule");
}

/// What a rollback does without a right that is taken away after the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It gets to its end.
    DoesWithout,
    /// It stops with traffic where it was, says what is missing, and goes on once the right is back.
    Stops,
    /// Likewise, with traffic already back.
    StopsAfterTraffic,
}

/// Every right of the printed role. Four lists, since four flights wait beside each other in the time of one.
const TAKEN: [&[(&str, &str, Fate)]; 4] = [
    &[
        ("patch", "services", Fate::Stops),
        ("list", "pods", Fate::DoesWithout),
        ("list", "horizontalpodautoscalers", Fate::DoesWithout),
        ("watch", "services", Fate::DoesWithout),
        ("list", "events", Fate::DoesWithout),
        ("update", "configmaps", Fate::DoesWithout),
        ("get", "leases", Fate::DoesWithout),
    ],
    &[
        ("get", "services", Fate::Stops),
        ("list", "endpointslices", Fate::DoesWithout),
        ("list", "replicasets", Fate::DoesWithout),
        ("watch", "deployments", Fate::DoesWithout),
        ("watch", "pods", Fate::DoesWithout),
        ("get", "configmaps", Fate::DoesWithout),
        ("update", "leases", Fate::DoesWithout),
    ],
    &[
        ("get", "deployments", Fate::Stops),
        ("list", "services", Fate::DoesWithout),
        ("list", "deployments", Fate::DoesWithout),
        ("get", "pods", Fate::DoesWithout),
        ("get", "pods/log", Fate::DoesWithout),
        ("create", "leases", Fate::DoesWithout),
    ],
    &[
        ("patch", "deployments", Fate::StopsAfterTraffic),
        ("watch", "events", Fate::DoesWithout),
        ("list", "configmaps", Fate::DoesWithout),
        ("create", "configmaps", Fate::DoesWithout),
        ("delete", "configmaps", Fate::DoesWithout),
        ("get", "namespaces", Fate::DoesWithout),
    ],
];

/// A right is taken away after the switch; then everything is rolled back.
fn rolls_back_without((verb, resource, fate): (&str, &str, Fate)) {
    let mut place = Place::new(NEW);
    let whole = printed(&place).replace("cutover-operators", &group(&place));
    PLANE.apply(&whole);
    as_an_operator(&mut place);
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    PLANE.apply(&without(&place, verb, resource));
    helm.wait(Duration::from_secs(1));
    helm.roll_back();
    let ended = |helm: &Helm| helm.run.as_ref().is_some_and(|run| run.finished.is_some());
    if fate != Fate::DoesWithout {
        helm.wait_until("what is missing", |helm| helm.story().contains("not allowed to"));
        assert!(
            helm.story().contains(&format!("`{verb}` on `{resource}")),
            "{verb} {resource}: {}",
            helm.story()
        );
        let live = if fate == Fate::Stops { "green" } else { "blue" };
        assert_eq!(place.live(), live, "{verb} {resource}: {}", helm.story());
        PLANE.apply(&whole);
        helm.wait(Duration::from_secs(1));
        helm.order(&Order::RetryRollback);
    }
    helm.wait_until("end", ended);
    let outcome = helm.outcome();
    assert_eq!(outcome, Some(Outcome::RolledBack), "{verb} {resource}: {}", helm.story());
    place.assert_on_blue(&helm);
    place.assert_all_answered(&helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_right_is_taken_away_in_mid_flight_1() {
    TAKEN[0].iter().copied().for_each(rolls_back_without);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_right_is_taken_away_in_mid_flight_2() {
    TAKEN[1].iter().copied().for_each(rolls_back_without);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_right_is_taken_away_in_mid_flight_3() {
    TAKEN[2].iter().copied().for_each(rolls_back_without);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_right_is_taken_away_in_mid_flight_4() {
    TAKEN[3].iter().copied().for_each(rolls_back_without);
}

/// The four lists leave out no right that the roles of this runbook give.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn every_right_is_taken_away_once() {
    let place = Place::new(NEW);
    let roles: Vec<Value> = serde_saphyr::from_multiple(&printed(&place)).unwrap();
    let rules = roles.iter().flat_map(|role| role["rules"].as_array().into_iter().flatten());
    let given: BTreeSet<(String, String)> = rules
        .flat_map(|rule| {
            let words = |of: &str| -> Vec<String> { serde_json::from_value(rule[of].clone()).unwrap() };
            let (verbs, resources) = (words("verbs"), words("resources"));
            verbs.into_iter().flat_map(move |verb| {
                resources.clone().into_iter().map(move |resource| (verb.clone(), resource))
            })
        })
        .collect();
    let taken = TAKEN.iter().copied().flatten();
    let taken: BTreeSet<_> =
        taken.map(|(verb, resource, _)| ((*verb).to_owned(), (*resource).to_owned())).collect();
    assert_eq!(given, taken);
}

/// The token is not accepted any more in the middle of a rollback; somebody logs in again, and it goes on by itself.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_token_that_is_over_is_replaced_and_the_rollback_goes_on() {
    let mut place = Place::new(NEW);
    let admin = std::fs::read_to_string(&PLANE.kubeconfig).unwrap();
    let path = place.stage.path().join("kubeconfig");
    let log_in = |place: &Place, name: &str| {
        let meta = json!({"name": name, "namespace": place.namespace});
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta});
        let mut owned = meta.clone();
        owned["annotations"] = json!({"kubernetes.io/service-account.name": name});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": owned,
                            "type": "kubernetes.io/service-account-token"});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{}-{name}", place.namespace)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": place.namespace}]});
        PLANE.apply(&list(vec![account, secret, binding]));
        let token =
            || place.object("secret", name).and_then(|it| Some(it["data"]["token"].as_str()?.to_owned()));
        place.eventually("a token", || token().is_some());
        let token = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, token().unwrap()).unwrap();
        let mut kubeconfig: Value = serde_saphyr::from_str(&admin).unwrap();
        kubeconfig["users"][0]["user"] = json!({"token": String::from_utf8(token).unwrap()});
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
    };
    log_in(&place, "first");
    place.kubeconfig.clone_from(&path);
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    place.kubectl(&["delete", "serviceaccount,secret", "first", "--ignore-not-found"]);
    // The API server remembers a token that it has seen for ten seconds.
    helm.wait(Duration::from_secs(12));
    helm.roll_back();
    helm.wait_until("word of it", |helm| helm.story().contains("no longer accepts the credentials"));
    assert_eq!(place.live(), "green");
    log_in(&place, "second");
    helm.wait_until("end", Helm::is_over);
    let outcome = helm.outcome();
    assert_eq!(outcome, Some(Outcome::RolledBack), "{}", helm.story());
    place.assert_on_blue(&helm);
    place.assert_all_answered(&helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn without_them_it_says_what_to_ask_for() {
    let mut place = Place::new(NEW);
    as_an_operator(&mut place);
    let mut command = place.stage.command(&["run", "--plain"]);
    let output = place.equip(&mut command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let sentence = format!(
        "not allowed to get services backend-service in namespace {}; ask for the verb `get` on `services`",
        place.namespace
    );
    assert!(said.contains(&sentence) && said.contains("for user `alice`"), "{said}");
    assert!(!said.contains("Location:"), "{said}");
}
