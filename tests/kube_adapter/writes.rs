//! Writes. K1: at most one for an intent. K2: no update of somebody else's is lost.

use std::{sync::Arc, time::Duration};

use cutover::{
    adapters::kube::{Fence, Timing},
    domain::action::PatchType,
    engine::ports::{Fault, PortError, PortResult},
    world::cluster::{ForeignEdit, Misbehaviour},
    world::scenario::Scenario,
};
use serde_json::json;

use super::{ALWAYS, NEW, SERVICE, Stand, answer, connect, kube::labels, slot, timing};

#[tokio::test]
async fn k1_at_most_one_write_for_an_intent() {
    let faults = [
        (answer(429, false), Fault::Unavailable, false),
        (answer(500, false), Fault::Unknown, false),
        (answer(502, false), Fault::Unknown, false),
        (answer(503, false), Fault::Unknown, false),
        (answer(504, false), Fault::Unknown, false),
        (answer(504, true), Fault::Unknown, true),
        (Misbehaviour::Reset { applied: false }, Fault::Unknown, false),
        (Misbehaviour::Reset { applied: true }, Fault::Unknown, true),
        (Misbehaviour::Hang { applied: false }, Fault::Unknown, false),
        (Misbehaviour::Hang { applied: true }, Fault::Unknown, true),
        (Misbehaviour::Late(Duration::from_secs(3)), Fault::Unknown, true),
        (Misbehaviour::LoginPage, Fault::Unknown, false),
        (answer(403, false), Fault::Denied, false),
        (answer(422, false), Fault::Failed, false),
    ];
    let all = faults.map(|(misbehaviour, kind, applied)| async move {
        let silent = matches!(misbehaviour, Misbehaviour::Hang { .. } | Misbehaviour::Late(_));
        let write = if silent { Duration::from_millis(400) } else { Duration::from_secs(10) };
        let stand = Stand::with(Scenario::Good, Timing { write, ..timing() }, None).await;
        stand.world.freeze(true);
        stand.kube.look().await.unwrap();
        stand.fault("PATCH", "/", ALWAYS, misbehaviour.clone());
        let kube = &stand.kube;
        let annotation = json!({ "metadata": { "annotations": { "a": "b" } } });
        let (green, service) = (slot("green"), "backend-service");
        let calls: [(&str, PortResult<String>, usize); 5] = [
            ("switch", kube.switch_traffic(&green, None).await, stand.patches()),
            ("set_image", kube.set_image(&green, "backend", NEW, None).await, stand.patches()),
            ("scale", kube.scale(&green, 7, None).await, stand.patches()),
            ("restart", kube.restart(&green, None).await, stand.patches()),
            (
                "patch",
                kube.patch("service", service, PatchType::Merge, &annotation, None).await,
                stand.patches(),
            ),
        ];
        for (done, (what, result, patches)) in calls.into_iter().enumerate() {
            assert_eq!(patches, done + 1, "{what} after {misbehaviour:?} wrote more or less than once");
            match result {
                // Found out by looking; a patch of any object cannot be looked at.
                Ok(said) => assert!(
                    applied && what != "patch" && said.contains("confirmed by reading"),
                    "{what}: {said}"
                ),
                Err(fault) => {
                    assert_eq!(fault.kind, kind, "{what} after {misbehaviour:?}: {fault}");
                    assert!(!applied || what == "patch", "{what} after {misbehaviour:?}: {fault}");
                }
            }
        }
        assert_eq!(stand.selected(), if applied { "green" } else { "blue" });
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn k1_a_lost_write_whose_version_has_gone_can_never_arrive() {
    let write = Duration::from_secs(1);
    let stand = Stand::with(Scenario::Good, Timing { write, ..timing() }, None).await;
    stand.kube.look().await.unwrap();
    // The patch hangs; meanwhile another one moves the version with an annotation.
    stand.fault("PATCH", SERVICE, 1, Misbehaviour::Hang { applied: false });
    let other = connect(&stand.world.kubeconfig(), timing(), None).await.unwrap();
    let annotation = json!({ "metadata": { "annotations": { "harmless": "yes" } } });
    let green = slot("green");
    let (switched, ()) = tokio::join!(stand.kube.switch_traffic(&green, None), async {
        while stand.world.count("PATCH", SERVICE) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        other.patch("service", "backend-service", PatchType::Merge, &annotation, None).await.unwrap();
    });
    let fault = switched.unwrap_err();
    // It was certainly not done, and another try may be: a rollback goes on.
    assert_eq!(fault.kind, Fault::Unavailable);
    assert!(fault.message.contains("can no longer take effect"), "{fault}");
    assert_eq!(stand.selected(), "blue");
}

#[tokio::test]
async fn k1_reads_are_tried_three_times() {
    let stand = Stand::new(Scenario::Good).await;
    stand.fault("GET", "/deployments/backend-green", 2, answer(503, false));
    stand.kube.rollout(&slot("green")).await.unwrap();
    let before = stand.world.count("GET", "/deployments/backend-green");
    stand.fault("GET", "/deployments/backend-green", ALWAYS, answer(503, false));
    assert_eq!(stand.kube.rollout(&slot("green")).await.unwrap_err().kind, Fault::Unavailable);
    assert_eq!(stand.world.count("GET", "/deployments/backend-green") - before, 3);
}

#[tokio::test]
async fn a_fence_keeps_writes_from_leaving() {
    let fence: Fence = Arc::new(|| Err(PortError::failed("the lease is lost")));
    let stand = Stand::with(Scenario::Good, timing(), Some(fence)).await;
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!(fault, PortError::failed("the lease is lost"));
    assert_eq!(stand.patches(), 0);
}

// --- K2: no lost update ------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k2_a_racing_editor_is_never_overwritten() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.freeze(true);
    stand.kube.look().await.unwrap();
    let (mut conflicts, mut switched) = (0, 0);
    for round in 0..1000_u32 {
        let to = slot(if round % 2 == 0 { "green" } else { "blue" });
        let theirs = format!("editor-{round}");
        let edit = ForeignEdit::Selector(labels(&theirs));
        let before = stand.patches();
        let editor = async {
            // Earlier, at about the same time, and later than the patch.
            match round % 4 {
                0 => {}
                1 => tokio::time::sleep(Duration::from_micros(u64::from(round))).await,
                _ => {
                    while stand.patches() == before {
                        tokio::task::yield_now().await;
                    }
                }
            }
            assert!(stand.world.foreign_edit("kubectl-edit", &edit));
        };
        let (result, ()) = tokio::join!(stand.kube.switch_traffic(&to, None), editor);
        match result {
            Ok(_) => switched += 1,
            Err(fault) => {
                assert_eq!(fault.kind, Fault::Conflict, "{fault}");
                // This round's edit, or the one that ended the round before.
                assert!(fault.message.contains("to version=editor-"), "{fault}");
                assert!(fault.message.contains("by kubectl-edit"), "{fault}");
                conflicts += 1;
            }
        }
        assert_eq!(stand.selected(), theirs, "round {round} overwrote what it had not seen");
        assert!(stand.patches() - before <= 2);
    }
    assert!(
        conflicts >= 100 && switched >= 100,
        "a race with one winner is none: {conflicts} conflicts, {switched} switched"
    );
}

#[tokio::test]
async fn k2_a_harmless_change_does_not_stop_a_rollback() {
    let stand = Stand::new(Scenario::Good).await;
    let other = connect(&stand.world.kubeconfig(), timing(), None).await.unwrap();
    stand.kube.look().await.unwrap();
    for round in 0..20 {
        let annotation = json!({ "metadata": { "annotations": { format!("n{round}"): "kept" } } });
        other.patch("service", "backend-service", PatchType::Merge, &annotation, None).await.unwrap();
        let to = if round % 2 == 0 { "green" } else { "blue" };
        let before = stand.patches();
        stand.kube.switch_traffic(&slot(to), None).await.unwrap();
        assert_eq!(stand.selected(), to);
        assert_eq!(
            stand.patches() - before,
            2,
            "the first was refused with 409, the second had the version read since"
        );
    }
    let annotations =
        stand.world.object("services", "backend-service").unwrap()["metadata"]["annotations"].clone();
    assert!((0..20).all(|round| annotations[format!("n{round}")] == "kept"), "{annotations}");
}

#[tokio::test]
async fn k2_a_second_conflict_ends_it() {
    let stand = Stand::new(Scenario::Good).await;
    stand.kube.look().await.unwrap();
    stand.fault("PATCH", SERVICE, ALWAYS, answer(409, false));
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!((fault.kind, stand.patches()), (Fault::Conflict, 2));
}

#[tokio::test]
async fn k2_a_deployment_changed_by_somebody_else_is_a_conflict() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.freeze(true);
    // The read is answered late, so the edit falls between read and write.
    stand.fault("GET", "/deployments/backend-green", 1, Misbehaviour::Late(Duration::from_millis(200)));
    let edit = ForeignEdit::Replicas { deployment: "backend-green".to_owned(), replicas: 9 };
    let green = slot("green");
    let (result, ()) = tokio::join!(stand.kube.set_image(&green, "backend", NEW, None), async {
        while stand.world.count("GET", "/deployments/backend-green") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(stand.world.foreign_edit("kubectl-scale", &edit));
    });
    let fault = result.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict);
    assert!(fault.message.contains("kubectl-scale"), "{fault}");
    let deployment = stand.world.object("deployments", "backend-green").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 9);
    assert_ne!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], NEW);
}
