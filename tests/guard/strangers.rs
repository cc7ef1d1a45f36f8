//! Somebody else is at work on the same target: the run holds, and whoever has the users is left alone.

use std::time::Duration;

use cutover::{
    domain::{cause::HoldCause, event::RunEvent, message::Command as Order},
    world::cluster::ForeignEdit,
};
use serde_json::Value;

use super::{
    helm::Helm,
    stand::{BLUE, GREEN, OLD_IMAGE, RUNBOOK, Stand, selector},
};

/// The run is held for somebody else's change, and stays so, also when somebody just says "continue".
fn assert_holds(helm: &mut Helm) {
    helm.fly_until("hold", |helm| {
        let held = helm.run.as_ref().and_then(|run| run.held.as_ref());
        held.is_some_and(|held| held.cause == HoldCause::Foreign)
    });
    let page = helm.has(|event| matches!(event, RunEvent::ForeignChange { .. }));
    assert!(page, "{}", helm.story());
    let refused = helm.refused.len();
    helm.order(&Order::Continue);
    helm.wait_until("refusal", |helm| helm.refused.len() > refused || !helm.is_held());
    assert!(helm.is_held(), "{}", helm.story());
    // Nothing begins, whatever is confirmed.
    for _ in 0..5 {
        helm.confirm();
        helm.wait(Duration::from_millis(150));
    }
    assert!(helm.is_held(), "{}", helm.story());
}

/// Green has the users, on the image and the pods that it had.
fn assert_green_untouched(stand: &Stand, helm: &Helm) {
    assert_eq!(stand.live(), "green", "{}", helm.story());
    assert_eq!(stand.image(GREEN), OLD_IMAGE, "{}", helm.story());
    assert_eq!(
        (stand.replicas(GREEN), stand.serving(GREEN)),
        (Some(2), 2),
        "{}\n{}",
        stand.told(),
        helm.story()
    );
}

#[test]
fn traffic_moved_before_the_first_step_holds_the_run() {
    let stand = Stand::new();
    let mut helm = Helm::open(&stand.ground);
    helm.wait_until("the checklist", |helm| helm.run.is_some());
    stand.stranger_points_at("green");
    assert_holds(&mut helm);
    assert!(helm.held_because().contains("kubectl-patch"), "{}", helm.held_because());
    assert_green_untouched(&stand, &helm);
}

#[test]
fn traffic_moved_right_before_the_first_act_holds_the_run_though_the_watch_is_behind() {
    let stand = Stand::new();
    stand.lag(Duration::from_secs(8));
    let mut helm = Helm::open(&stand.ground);
    helm.wait_until("the checklist", |helm| helm.run.is_some());
    helm.wait(Duration::from_millis(500));
    stand.stranger_points_at("green");
    assert_holds(&mut helm);
    assert_green_untouched(&stand, &helm);
}

#[test]
fn traffic_moved_while_no_engine_lived_holds_the_run() {
    let stand = Stand::new();
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("open steps", |helm| helm.run.as_ref().is_some_and(|run| run.steps_open));
    helm.kill();
    stand.stranger_points_at("green");
    let mut helm = Helm::resume(&stand.ground);
    helm.wait_until("the run", |helm| helm.run.is_some());
    helm.order(&Order::Continue);
    assert_holds(&mut helm);
    assert_green_untouched(&stand, &helm);
}

#[test]
fn traffic_put_back_while_no_engine_lived_keeps_its_pods() {
    let stand = Stand::new();
    let helm = stand.switched();
    helm.kill();
    // Somebody has rolled back by hand.
    stand.stranger_points_at("blue");
    let mut helm = Helm::resume(&stand.ground);
    helm.wait_until("the run", |helm| helm.run.is_some());
    // It is refused where the change was found already, else the run is held for it.
    helm.order(&Order::Continue);
    helm.wait_until("word of it", |helm| helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })));
    helm.wait(Duration::from_secs(1));
    assert!(!helm.began("retire"), "{}", helm.story());
    assert_eq!((stand.live().as_str(), stand.serving(BLUE)), ("blue", 2), "{}", helm.story());
}

#[test]
fn traffic_moved_while_a_command_ran_holds_the_run_at_its_end() {
    let build = r#"{ name = "build", sh = 'echo build >> "$LOG"; until [ -e "$LOG.go" ] || [ ! -e "$LOG" ]; do sleep 0.05; done' },
  { name = "image""#;
    let text = RUNBOOK.replace("{ name = \"image\"", build);
    assert_ne!(text, RUNBOOK);
    let stand = Stand::with(&text);
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("build", |helm| helm.has(|event| matches!(event, RunEvent::ActionSpawned { .. })));
    stand.stranger_points_at("green");
    helm.wait(Duration::from_secs(1));
    std::fs::write(stand.ground.stage.path().join("log.go"), "").unwrap();
    assert_holds(&mut helm);
    assert!(!helm.began("image"), "{}", helm.story());
    assert_green_untouched(&stand, &helm);
}

#[test]
fn a_label_that_leaves_nobody_to_answer_holds_the_run_and_is_taken_away_by_a_rollback() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    stand.stranger(&selector(&[("version", "green"), ("tier", "nope")]));
    assert_holds(&mut helm);
    assert!(!helm.began("retire") && stand.replicas(BLUE) == Some(2), "{}", helm.story());
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
}

#[test]
fn a_live_deployment_that_was_deleted_is_not_all_well() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    assert!(stand.ground.cluster.delete("deployments", GREEN));
    assert_holds(&mut helm);
    assert!(!helm.began("retire") && stand.replicas(BLUE) == Some(2), "{}", helm.story());
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
}

fn service(stand: &Stand) -> Value {
    let mut service = stand.ground.cluster.object("services", "backend-service").unwrap();
    for gone in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        service["metadata"].as_object_mut().unwrap().shift_remove(gone);
    }
    service
}

#[test]
fn a_service_that_was_deleted_or_made_anew_is_not_all_well() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    let mut anew = service(&stand);
    assert!(stand.ground.cluster.delete("services", "backend-service"));
    assert_holds(&mut helm);
    assert_eq!((helm.began("retire"), stand.replicas(BLUE)), (false, Some(2)), "{}", helm.story());
    anew["spec"]["selector"] = serde_json::json!({ "version": "red" });
    stand.ground.cluster.create("services", anew);
    assert_holds(&mut helm);
    assert_eq!((helm.began("retire"), stand.replicas(BLUE)), (false, Some(2)), "{}", helm.story());
    // A rollback goes to the new Service all the same.
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
}

#[test]
fn a_rollback_does_not_go_to_a_slot_that_somebody_gave_another_image() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    let image = "registry.example.com/payment-system-backend:v9.9.9".to_owned();
    stand.stranger(&ForeignEdit::Image { deployment: BLUE.into(), image });
    assert_holds(&mut helm);
    helm.roll_back();
    helm.wait_until("stop", Helm::is_over);
    let words = |event: &RunEvent| {
        matches!(event, RunEvent::RollbackStopped { reason, .. }
            if reason.contains("v9.9.9") && reason.contains("v1.5.0") && reason.contains("kubectl-patch"))
    };
    assert!(helm.has(words), "{}", helm.story());
    assert_eq!(
        (stand.live().as_str(), stand.serving(GREEN)),
        ("green", 2),
        "{}\n{}",
        stand.told(),
        helm.story()
    );
}

#[test]
fn a_database_is_restored_only_once_the_pods_that_write_to_it_are_gone() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    // What is scaled down goes on running.
    stand.ground.cluster.freeze(true);
    helm.order(&Order::RollbackProcedure {
        procedure: "database".into(),
        reason: "corrupt".into(),
        typed: "database".into(),
    });
    let waits = |event: &RunEvent| matches!(event, RunEvent::ActionWaits { why, .. } if why.contains("still terminating"));
    helm.wait_until("a restore that waits", |helm| helm.has(waits) || helm.began("restore"));
    helm.wait(Duration::from_secs(2));
    assert!(!helm.began("restore") && stand.ground.logged().is_empty(), "{}", helm.story());
    stand.ground.cluster.freeze(false);
    helm.wait_until("end", Helm::is_over);
    assert_eq!(stand.ground.logged(), ["restore"], "{}", helm.story());
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
}

#[test]
fn an_undo_leaves_a_slot_alone_that_somebody_gave_the_users() {
    let stand = Stand::new();
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    let image = stand.image(GREEN);
    stand.stranger_points_at("green");
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    assert_eq!((stand.live(), stand.image(GREEN)), ("green".into(), image), "{}", helm.story());
    assert_eq!(stand.serving(GREEN), 2, "{}\n{}", stand.told(), helm.story());
}

#[test]
fn a_rollback_does_not_empty_a_slot_that_somebody_gave_the_users_again() {
    let drain = r#"{ name = "drain", sh = 'echo drain >> "$LOG"; until [ -e "$LOG.go" ] || [ ! -e "$LOG" ]; do sleep 0.05; done' },
  { name = "empty""#;
    let stand = Stand::with(&RUNBOOK.replace("{ name = \"empty\"", drain));
    let mut helm = stand.switched();
    helm.roll_back();
    helm.wait_until("drain", |helm| helm.began("drain"));
    assert_eq!(stand.live(), "blue", "{}", helm.story());
    stand.stranger_points_at("green");
    std::fs::write(stand.ground.stage.path().join("log.go"), "").unwrap();
    helm.wait_until("end", Helm::is_over);
    assert_eq!(
        (stand.replicas(GREEN), stand.serving(GREEN)),
        (Some(2), 2),
        "{}\n{}",
        stand.told(),
        helm.story()
    );
    let done = |event: &RunEvent| matches!(event, RunEvent::RollbackFinished { ok: true, .. });
    assert!(!helm.has(done), "it does not say that it is done\n{}", helm.story());
}

#[test]
fn a_rollback_without_a_deployment_to_go_to_stops_with_words() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    assert!(stand.ground.cluster.delete("deployments", BLUE));
    assert_holds(&mut helm);
    helm.roll_back();
    helm.wait_until("stop", Helm::is_over);
    let words = |event: &RunEvent| matches!(event, RunEvent::RollbackStopped { reason, .. } if reason.contains("blue has no Deployment"));
    assert!(helm.has(words), "{}", helm.story());
    assert_eq!(
        (stand.live().as_str(), stand.serving(GREEN)),
        ("green", 2),
        "{}\n{}",
        stand.told(),
        helm.story()
    );
}

#[test]
fn somebody_elses_changes_are_put_back_on_order_and_the_run_goes_on() {
    let stand = Stand::new();
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    // Two strangers: one moves the traffic, with a label of their own, one takes the pods that it would go back to.
    stand.stranger(&selector(&[("version", "green"), ("tier", "mine")]));
    stand.stranger(&ForeignEdit::Replicas { deployment: BLUE.into(), replicas: 0 });
    assert_holds(&mut helm);
    let told = helm.run.as_ref().map(|run| run.foreign.clone()).unwrap_or_default();
    assert!(told.iter().all(|change| change.put_back.starts_with("kubectl ")), "{told:?}");
    // Pods first; and no traffic before they are ready.
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while helm.is_held() && std::time::Instant::now() < until {
        helm.order(&Order::PutBack);
        helm.wait(Duration::from_millis(400));
    }
    assert!(!helm.is_held(), "{}\n{}", stand.told(), helm.story());
    let back = |event: &RunEvent| matches!(event, RunEvent::PutBackFinished { detail, .. } if detail.contains("selects version=blue (") || detail.contains("points at blue"));
    assert!(helm.has(back), "{}", helm.story());
    assert_eq!(stand.replicas(BLUE), Some(2), "{}", helm.story());
    let ordered = |event: &RunEvent| matches!(event, RunEvent::PutBackStarted { by, .. } if by.as_str().starts_with("tester"));
    assert!(helm.has(ordered), "{}", helm.story());
    // And it can be gone on with, without what the stranger has left.
    helm.fly_until("switch", |helm| helm.passed("switch"));
    let labels = stand.ground.cluster.selector();
    assert!(!labels.contains_key("tier"), "{labels:?}");
    assert_eq!((stand.live().as_str(), stand.serving(GREEN)), ("green", 2), "{}", helm.story());
}
