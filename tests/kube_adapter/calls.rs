//! What each call of the port does where all is well: looks, acts, logs, headroom, rights.

use std::{sync::Arc, time::Duration};

use cutover::{
    domain::action::PatchType,
    domain::rights::Right,
    domain::time::Timestamp,
    domain::workload::{Connection, RolloutState},
    engine::ports::{Cluster, Fault, LogMarks, LogsRead},
    world::scenario::Scenario,
};
use serde_json::json;

use super::{Misbehaviour, NEW, Stand, answer, connect, kube, slot, timing, until_complete};

#[tokio::test]
async fn a_look_finds_slots_pods_and_who_is_live() {
    let stand = Stand::new(Scenario::Good).await;
    let it = stand.kube.look().await.unwrap();
    assert_eq!(it.live, Some(slot("blue")));
    assert_eq!(it.connection, Connection::Connected);
    assert!(!it.service_version.is_empty());
    let blue = &it.slots["blue"];
    assert!(blue.found && !blue.uid.is_empty());
    assert_eq!((blue.desired, blue.ready, blue.available, blue.updated), (3, 3, 3, 3));
    assert_eq!(blue.image, "registry.example.com/payment-system-backend:v1.5.0");
    assert_eq!(blue.rollout, RolloutState::Complete);
    assert_eq!(blue.pods.len(), 3);
    assert!(blue.pods.iter().all(|pod| pod.ready && pod.status == "Running" && pod.version == "v1.5.0"));
    assert_eq!(blue.counts, [("Running".to_owned(), 3)].into());

    let identity = stand.kube.identity().await.unwrap();
    assert_eq!((identity.context.as_str(), identity.namespace.as_str()), ("prod-eu-1", "production"));
    assert!(!identity.uid.is_empty() && identity.version.starts_with('v'));
    assert_eq!(identity.server, stand.world.url());
}

#[tokio::test]
async fn a_deployment_flies_from_new_image_to_switch_and_back() {
    let stand = Stand::new(Scenario::Good).await;
    let said = stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    assert!(
        said.starts_with(&format!("deployment/backend-green: image of backend set to {NEW} (generation ")),
        "{said}"
    );
    let seen = until_complete(&stand.kube, "green").await;
    assert!(seen.iter().any(|state| matches!(state, RolloutState::Progressing(_))), "{seen:?}");
    let again = stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    assert!(again.contains("already has image"), "{again}");

    stand.kube.look().await.unwrap();
    let gets = stand.world.count("GET", "/");
    let patches = stand.patches();
    let said = stand.kube.switch_traffic(&slot("green"), None).await.unwrap();
    assert!(said.starts_with("service/backend-service points at green: selects"), "{said}");
    assert_eq!(stand.selected(), "green");
    assert_eq!(
        (stand.world.count("GET", "/") - gets, stand.patches() - patches),
        (0, 1),
        "one request and no other"
    );
    stand.kube.switch_traffic(&slot("blue"), None).await.unwrap();
    assert_eq!(stand.selected(), "blue");
    assert_eq!((stand.world.count("GET", "/") - gets, stand.patches() - patches), (0, 2));

    let it = stand.kube.look().await.unwrap();
    assert_eq!(it.service_changed.map(|changed| changed.manager), Some("cutover".to_owned()));
    assert_eq!(it.slots["green"].changed.clone().map(|changed| changed.manager), Some("cutover".to_owned()));
    let mut staying = it.slots["green"].pods.iter().filter(|pod| pod.status != "Terminating");
    assert!(staying.all(|pod| pod.version == "v1.6.0"));
}

/// Deletes an object and makes another one of its name.
fn make_anew(stand: &Stand, plural: &str, name: &str) {
    let mut object = stand.world.object(plural, name).unwrap();
    assert!(stand.world.delete(plural, name));
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    stand.world.create(plural, object);
}

#[tokio::test]
async fn an_object_that_was_made_anew_is_a_conflict_and_not_a_wrong_value() {
    let stand = Stand::new(Scenario::Good).await;
    stand.kube.look().await.unwrap();
    make_anew(&stand, "services", "backend-service");
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
    assert!(fault.message.contains("recreated"), "{fault}");
    assert_eq!(stand.selected(), "blue");
    let seen = stand.kube.observe().await.unwrap();
    make_anew(&stand, "deployments", "backend-green");
    let fault = stand.kube.scale(&slot("green"), 5, Some(&seen)).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
    // What comes next sees the new ones.
    stand.kube.settle(None).await.unwrap();
    stand.kube.settle(Some(&slot("green"))).await.unwrap();
}

/// A `ReplicaSet` that was told to go to 0 and up again deletes pods which look ready until it does. Seen on a real control plane:
/// a rollback went back to them.
#[tokio::test]
async fn pods_of_a_set_that_has_not_caught_up_are_not_counted_on() {
    let stand = Stand::new(Scenario::Good).await;
    assert!(stand.kube.observe().await.unwrap().slots["blue"].observed);
    let pods = stand.world.pods("backend-blue");
    let set = pods[0].rsplit_once('-').unwrap().0;
    stand.world.freeze(true);
    assert!(stand.world.edit("replicasets", set, |set| set["spec"]["minReadySeconds"] = 1.into()));
    assert!(!stand.kube.observe().await.unwrap().slots["blue"].observed);
    // Who may not list them goes by the Deployment's own status.
    stand.world.deny("list", "replicasets");
    assert!(stand.kube.observe().await.unwrap().slots["blue"].observed);
    stand.world.allow("list", "replicasets");
    stand.world.freeze(false);
    while !stand.kube.observe().await.unwrap().slots["blue"].observed {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What proxies are told follows the selector a moment later.
#[tokio::test]
async fn pods_that_the_services_endpoints_name_are_counted() {
    let stand = Stand::new(Scenario::Good).await;
    let named = async || {
        let seen = stand.kube.observe().await.unwrap();
        (seen.slots["blue"].named, seen.slots["green"].named)
    };
    assert_eq!(named().await, (Some(3), Some(0)));
    stand.world.freeze(true);
    stand.kube.switch_traffic(&slot("green"), None).await.unwrap();
    assert_eq!(named().await, (Some(3), Some(0)), "no controller has seen it");
    stand.world.freeze(false);
    while named().await != (Some(0), Some(3)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A list that fails, or does not answer, does not keep the look from all else.
    for trouble in [answer(503, false), Misbehaviour::Hang { applied: false }] {
        stand.fault("GET", "/endpointslices", u32::MAX, trouble);
        let seen = stand.kube.observe().await.unwrap();
        assert!(seen.endpoints_unread.is_some());
        assert_eq!((seen.slots["green"].named, seen.slots["green"].ready()), (None, 3));
        stand.world.clear_faults();
    }
    // Who may not list them counts by the selector alone.
    stand.world.deny("list", "endpointslices");
    assert_eq!(named().await, (None, None));
}

#[tokio::test]
async fn replicas_restarts_and_patches_are_written() {
    let stand = Stand::new(Scenario::Good).await;
    assert_eq!(
        stand.kube.scale(&slot("green"), 5, None).await.unwrap().split(" (").next().unwrap(),
        "deployment/backend-green: replicas set from 3 to 5"
    );
    until_complete(&stand.kube, "green").await;
    assert_eq!(stand.world.pods("backend-green").len(), 5);
    assert!(stand.kube.scale(&slot("green"), 5, None).await.unwrap().contains("already has 5 replicas"));

    let before = stand.world.pods("backend-green");
    stand.kube.restart(&slot("green"), None).await.unwrap();
    until_complete(&stand.kube, "green").await;
    assert!(stand.world.pods("backend-green").iter().all(|pod| !before.contains(pod)));

    for (kind, patch_type, patch) in [
        ("service", PatchType::Merge, json!({ "metadata": { "annotations": { "merge": "1" } } })),
        ("service", PatchType::Strategic, json!({ "metadata": { "annotations": { "strategic": "1" } } })),
        (
            "service",
            PatchType::Json,
            json!([{ "op": "add", "path": "/metadata/annotations/json", "value": "1" }]),
        ),
    ] {
        let said = stand.kube.patch(kind, "backend-service", patch_type, &patch, None).await.unwrap();
        assert!(said.starts_with("service/backend-service patched (resourceVersion "), "{said}");
    }
    let annotations =
        stand.world.object("services", "backend-service").unwrap()["metadata"]["annotations"].clone();
    assert!(["merge", "strategic", "json"].iter().all(|key| annotations[key] == "1"), "{annotations}");
    let said = stand
        .kube
        .patch(
            "Deployment.apps/v1",
            "backend-green",
            PatchType::Merge,
            &json!({ "metadata": { "labels": { "x": "y" } } }),
            None,
        )
        .await
        .unwrap();
    assert!(said.starts_with("deployment/backend-green patched"), "{said}");
}

#[tokio::test]
async fn logs_of_all_pods_are_merged_and_bounded() {
    let stand = Stand::new(Scenario::Good).await;
    let all = stand.kube.logs(&slot("blue"), None, 50, None).await.unwrap().shown();
    assert!(!all.is_empty() && all.len() <= 50, "{all:?}");
    let pods: std::collections::BTreeSet<&str> = all.iter().map(|line| line.pod.as_str()).collect();
    assert_eq!(pods.len(), 3, "{pods:?}");
    let one = stand.world.pods("backend-blue").remove(0);
    let of_one = stand.kube.logs(&slot("blue"), Some(&one), 5, None).await.unwrap().lines;
    assert!(
        !of_one.is_empty() && of_one.len() <= 5 && of_one.iter().all(|line| line.pod == one),
        "{of_one:?}"
    );
    let missing = stand.kube.logs(&slot("blue"), Some("gone"), 5, None).await.unwrap_err();
    assert_eq!(missing.kind, Fault::NotFound);
    let outside = stand.kube.logs(&slot("blue"), Some("../../secrets/x"), 5, None).await.unwrap_err();
    assert_eq!(outside.kind, Fault::NotFound);
}

/// A check reads everything, once: all pods, however many lines, and the log before a restart.
#[tokio::test]
async fn a_check_reads_every_line_and_the_log_before_a_restart() {
    let world = kube::world(kube::furniture(20), Scenario::Good, 60).await;
    let kube = connect(&world.kubeconfig(), timing(), None).await.unwrap();
    let blue = slot("blue");
    let mut marks = LogMarks::new(Timestamp(0));
    let first = kube.logs_after(&blue, &mut marks).await.unwrap();
    assert_eq!((first.pods.len(), first.unread.len()), (20, 0), "{:?}", first.unread);
    let of = |pod: &str| first.lines.iter().filter(|line| line.pod == pod).count();
    assert!(first.pods.iter().all(|pod| of(pod) > 0));
    assert!(first.lines.len() > 2000, "{}", first.lines.len());
    // Read on, nothing twice: the next look begins where this one ended.
    let again = kube.logs_after(&blue, &mut marks).await.unwrap();
    assert!(again.lines.len() < first.lines.len() / 10, "{} after {}", again.lines.len(), first.lines.len());
    // A restart between two looks: the last words stand in the log before it, and are read once.
    let fatal = |read: &LogsRead| read.lines.iter().filter(|line| line.text.contains("FATAL")).count();
    assert!(world.crash_pod(&first.pods[0]));
    let mut seen = 0;
    for _ in 0..1_000 {
        let read = kube.logs_after(&blue, &mut marks).await.unwrap();
        assert_eq!(read.unread, []);
        seen += fatal(&read);
        if marks.finished.len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(marks.finished.len(), 1, "the start before was read to its end");
    assert_eq!(seen, 1);
    assert_eq!(fatal(&kube.logs_after(&blue, &mut marks).await.unwrap()), 0);
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_told_as_that() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.deny("get", "pods/log");
    let mut marks = LogMarks::new(Timestamp(0));
    let read = stand.kube.logs_after(&slot("blue"), &mut marks).await.unwrap();
    assert_eq!((read.lines.len(), read.pods.len(), read.unread.len()), (0, 0, 3));
    assert!(read.unread.iter().all(|(_, why)| why.contains("pods/log")), "{:?}", read.unread);
    let shown = stand.kube.logs(&slot("blue"), None, 50, None).await.unwrap();
    assert!(shown.lines.is_empty() && shown.shown().iter().all(|line| line.text.starts_with("(no log: ")));
    assert!(marks.newest.is_empty(), "once allowed, all of it is read");
}

#[tokio::test]
async fn headroom_is_evidence_or_says_why_it_is_not_known() {
    let stand = Stand::new(Scenario::Good).await;
    let some = stand.kube.headroom(&slot("green"), 1).await.unwrap();
    assert!(
        some.holds && some.evidence.contains("room for") && some.evidence.contains("1 needed"),
        "{}",
        some.evidence
    );
    let many = stand.kube.headroom(&slot("green"), 1_000_000).await.unwrap();
    assert!(!many.holds, "{}", many.evidence);
    stand.world.deny("list", "nodes");
    let blind = stand.kube.headroom(&slot("green"), 1).await.unwrap_err();
    assert_eq!(blind.kind, Fault::Denied);
    assert!(blind.message.contains("ask for the verb `list` on `nodes`"), "{blind}");
}

/// The rights that a runbook needs which does everything.
pub(crate) fn asked(kube: &Arc<dyn Cluster>) -> Vec<Right> {
    let runbook = cutover::config::load_str("runbook.toml", include_str!("../support/rights.toml")).runbook;
    kube.rights(&runbook.unwrap())
}

#[tokio::test]
async fn access_is_asked_for_by_object() {
    let stand = Stand::new(Scenario::Good).await;
    let rights = asked(&stand.kube);
    let all = stand.kube.access(&rights).await.unwrap();
    assert_eq!((all.patch_service, all.patch_deployments), (Some(true), Some(true)));
    assert_eq!(all.missing, []);
    stand.world.deny("patch", "services");
    let less = stand.kube.access(&rights).await.unwrap();
    assert_eq!((less.patch_service, less.patch_deployments), (Some(false), Some(true)));
    let [missing] = &less.missing[..] else { panic!("{:?}", less.missing) };
    assert_eq!(missing.right.names, ["backend-service"]);
    assert_eq!(stand.kube.access(&[]).await.unwrap().patch_service, None, "nobody has asked");
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_told_while_it_progresses() {
    let stand = Stand::new(Scenario::ImagePullError).await;
    stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    for _ in 0..500 {
        if let RolloutState::Progressing(words) = stand.kube.rollout(&slot("green")).await.unwrap().state()
            && (words.contains("ImagePullBackOff") || words.contains("ErrImagePull"))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the reason is never told");
}
