//! Traffic goes to pods, not to selectors: slots whose pods are not ready, not there, or not as many as somebody thinks.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cutover::{
    domain::{event::RunEvent, message::Command as Order},
    world::cluster::ForeignEdit,
};

use super::{
    ground::Ground,
    helm::Helm,
    proxy::Trouble,
    stand::{BLUE, GREEN, RUNBOOK, Stand, eventually},
};

/// An application that says how many of its requests fail.
struct App {
    port: u16,
    fails: Arc<AtomicBool>,
}

impl App {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, fails) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let failing = Arc::clone(&fails);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let value = if failing.load(Ordering::SeqCst) { "0.05" } else { "0.0" };
                let body = format!("# TYPE errors gauge\nerrors {value}\n");
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { port, fails }
    }

    /// The runbook with a trigger that rolls back by itself.
    fn watched(&self) -> String {
        format!(
            r#"{RUNBOOK}
[sources.app]
scrape = "http://127.0.0.1:{}/metrics"

[metrics.errors]
title = "Errors"
scrape = {{ source = "app", gauge = "errors" }}
unit = "percent"
interval = "1s"

[[trigger]]
metric = "errors"
when = "> 1%"
for = "2s"
then = "rollback"
"#,
            self.port
        )
    }
}

#[test]
fn a_trigger_does_not_send_users_to_a_slot_without_a_ready_pod() {
    let app = App::new();
    let stand = Stand::of(Ground::with_replicas(&app.watched(), 3));
    let mut helm = stand.switched();
    stand.ground.cluster.fail_probes(BLUE, true);
    eventually("blue is unready", || stand.ground.cluster.ready_pods(BLUE) == 0);
    app.fails.store(true, Ordering::SeqCst);
    helm.wait_until("the trigger", |helm| helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })));
    helm.wait(Duration::from_secs(3));
    assert_eq!((stand.live().as_str(), stand.serving(GREEN)), ("green", 3), "{}", helm.story());
    assert!(
        helm.has(
            |event| matches!(event, RunEvent::ActionWaits { why, .. } if why.contains("0 of 3 pods ready"))
        ),
        "it says what it waits for\n{}",
        helm.story()
    );
    stand.ground.cluster.fail_probes(BLUE, false);
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 3);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
}

#[test]
fn a_rollback_goes_to_what_an_autoscaler_has_left() {
    let stand = Stand::of(Ground::with_replicas(RUNBOOK, 3));
    stand.ground.cluster.add_autoscaler(BLUE, 2, 6);
    let mut helm = stand.switched();
    assert!(stand.ground.cluster.autoscale(BLUE, 2));
    eventually("blue is scaled", || {
        stand.replicas(BLUE) == Some(2) && stand.ground.cluster.ready_pods(BLUE) == 2
    });
    helm.wait(Duration::from_secs(1));
    assert!(!helm.is_held(), "an autoscaler is no stranger: {}", helm.held_because());
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
}

#[test]
fn a_rollback_to_a_retired_slot_takes_what_its_autoscaler_gives() {
    let stand = Stand::of(Ground::with_replicas(RUNBOOK, 3));
    stand.ground.cluster.add_autoscaler(BLUE, 2, 6);
    let mut helm = stand.retired();
    assert!(stand.ground.cluster.autoscale(BLUE, 2));
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
}

#[test]
fn pods_ready_does_not_take_the_old_pods_for_the_new_one_that_is_pending() {
    let text = RUNBOOK.replace(
        "at_least = 1 }, interval = \"500ms\"",
        "at_least = 1 }, interval = \"500ms\", timeout = \"4s\"",
    );
    let stand = Stand::with(&text);
    stand.ground.cluster.limit_pods(Some(0));
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("the deploy step's end", |helm| helm.passed("deploy") || helm.failed("deploy"));
    assert!(helm.failed("deploy"), "{}", helm.story());
    helm.wait(Duration::from_secs(1));
    assert!(!helm.began("switch"), "{}", helm.story());
    assert_eq!((stand.live().as_str(), stand.serving(BLUE)), ("blue", 2), "{}", stand.told());
}

#[test]
fn pods_ready_does_not_take_the_pods_before_a_restart_for_those_after_it() {
    let image = "{ name = \"image\", set_image = { slot = \"idle\", image = \"registry.example.com/payment-system-backend:v1.6.0\" } }";
    let text = RUNBOOK.replace(image, "{ name = \"restart\", restart = \"idle\" }").replace(
        "at_least = 1 }, interval = \"500ms\"",
        "at_least = 1 }, interval = \"500ms\", timeout = \"4s\"",
    );
    assert!(text.contains("restart = \"idle\""));
    let stand = Stand::with(&text);
    stand.ground.cluster.limit_pods(Some(0));
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("the deploy step's end", |helm| helm.passed("deploy") || helm.failed("deploy"));
    assert!(helm.failed("deploy"), "{}", helm.story());
    assert_eq!((stand.live().as_str(), stand.serving(BLUE)), ("blue", 2), "{}", stand.told());
}

#[test]
fn a_switch_that_no_check_guards_waits_for_its_pods() {
    let check = "check = [{ text = \"Pods\", pods_ready = { slot = \"new\", at_least = 1 }, interval = \"500ms\" }]\n";
    let text = RUNBOOK.replace(check, "");
    let stand = Stand::with(&text);
    stand.ground.cluster.limit_pods(Some(0));
    let mut helm = Helm::open(&stand.ground);
    let waits =
        |event: &RunEvent| matches!(event, RunEvent::ActionWaits { why, .. } if why.contains("green"));
    helm.fly_until("a switch that waits", |helm| helm.has(waits));
    helm.wait(Duration::from_secs(2));
    assert!(!helm.began("switch"), "{}", helm.story());
    assert_eq!(stand.live(), "blue", "{}", helm.story());
    stand.ground.cluster.limit_pods(None);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    assert!(stand.serving(GREEN) >= 2, "{}\n{}", stand.told(), helm.story());
}

#[test]
fn a_switch_to_a_slot_without_replicas_is_not_done() {
    let check = "check = [{ text = \"Pods\", pods_ready = { slot = \"new\", at_least = 1 }, interval = \"500ms\" }]\n";
    let text = RUNBOOK.replace(check, "").replace(
        "switch_traffic = { to = \"idle\" } }",
        "switch_traffic = { to = \"idle\" }, timeout = \"3s\" }",
    );
    let stand = Stand::with(&text);
    stand.stranger(&ForeignEdit::Replicas { deployment: GREEN.into(), replicas: 0 });
    eventually("green is empty", || stand.ground.cluster.pods(GREEN).is_empty());
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("the switch's end", |helm| helm.passed("switch") || helm.failed("switch"));
    assert!(helm.failed("switch"), "{}", helm.story());
    assert_eq!((stand.live().as_str(), stand.serving(BLUE)), ("blue", 2), "{}", stand.told());
    // Nothing is wrong with the way back either: nobody has left.
    helm.order(&Order::Abort { reason: "no pods".into() });
    helm.wait_until("end", Helm::is_over);
    assert_eq!(helm.close(), 4);
}

#[test]
fn a_switch_is_not_done_where_nobody_answers_at_its_end() {
    let stand = Stand::with(&RUNBOOK.replace(
        "traffic_on = \"idle\", interval = \"500ms\"",
        "traffic_on = \"idle\", interval = \"500ms\", timeout = \"3s\"",
    ));
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    // While the switch is on its way back to us the pods are lost.
    let late = Trouble::LateAnswer(Duration::from_secs(2));
    stand.proxy.rule("PATCH", &["/services/backend-service"], 1, late);
    helm.fly_until("the switch", |helm| helm.began("switch"));
    eventually("the service is switched", || stand.live() == "green");
    stand.ground.cluster.fail_probes(GREEN, true);
    helm.fly_until("the switch's end", |helm| helm.passed("switch") || helm.failed("switch"));
    assert!(helm.failed("switch"), "{}", helm.story());
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
}

#[test]
fn a_rollback_leaves_the_users_where_they_are_answered_while_the_old_pods_find_no_room() {
    let stand = Stand::new();
    let mut helm = stand.retired();
    stand.ground.cluster.limit_pods(Some(0));
    helm.roll_back();
    let waits =
        |event: &RunEvent| matches!(event, RunEvent::ActionWaits { why, .. } if why.contains("0 of 2 pods"));
    helm.wait_until("a rollback that waits", |helm| helm.has(waits));
    helm.wait(Duration::from_secs(3));
    assert_eq!(
        (stand.live().as_str(), stand.serving(GREEN)),
        ("green", 2),
        "{}\n{}",
        stand.told(),
        helm.story()
    );
    stand.ground.cluster.limit_pods(None);
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
    let story = helm.story();
    assert_eq!(helm.close(), 5, "{story}");
}

#[test]
fn a_retirement_waits_while_the_live_slot_has_no_ready_pod() {
    let stand = Stand::new();
    let mut helm = stand.switched();
    stand.ground.cluster.fail_probes(GREEN, true);
    eventually("green is unready", || stand.ground.cluster.ready_pods(GREEN) == 0);
    let waits =
        |event: &RunEvent| matches!(event, RunEvent::ActionWaits { why, .. } if why.contains("last ones"));
    helm.fly_until("a retirement that waits", |helm| helm.has(waits));
    helm.wait(Duration::from_secs(2));
    assert_eq!((stand.replicas(BLUE), helm.began("retire")), (Some(2), false), "{}", helm.story());
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    stand.assert_back(&helm, 2);
}
