//! A runbook that patches the Service or a Deployment itself: looked at before, like every other act.

use std::time::Duration;

use cutover::domain::{event::RunEvent, message::Command as Order};

use super::{
    helm::Helm,
    proxy::Trouble,
    stand::{BLUE, GREEN, RUNBOOK, Stand, selector},
};

const SERVICE: &str = "/services/backend-service";

/// The runbook with this in the place of its switch.
fn switching_by(action: &str) -> String {
    let text = RUNBOOK.replace(r#"switch_traffic = { to = "idle" } }]"#, &format!("{action} }}]"));
    assert_ne!(text, RUNBOOK);
    text
}

fn patch(how: &str, body: &str) -> String {
    format!(r#"patch = {{ kind = "service", name = "backend-service", type = "{how}", patch = {body} }}"#)
}

/// Flies to the switch, which must not come about. Gives the cluster and what happened.
fn is_refused(action: &str) {
    let stand = Stand::with(&switching_by(action));
    let mut helm = Helm::open(&stand.ground);
    helm.fly_until("end of the switch", |helm| helm.failed("switch") || helm.passed("switch"));
    assert!(helm.failed("switch"), "{action}\n{}", helm.story());
    assert_eq!(stand.live(), "blue", "{action}\n{}", helm.story());
    assert_eq!((stand.serving(BLUE), stand.replicas(BLUE)), (2, Some(2)), "{action}\n{}", helm.story());
    let foreign = helm.has(|event| matches!(event, RunEvent::ForeignChange { .. }));
    assert!(!foreign, "{}", helm.story());
}

#[test]
fn a_patch_to_nobody_is_never_sent() {
    std::thread::scope(|scope| {
        for action in [
            patch("merge", r#"{ spec = { selector = { version = "red" } } }"#),
            patch("strategic", r#"{ spec = { selector = { "$patch" = "delete" } } }"#),
            patch("json", r#"[{ op = "replace", path = "/spec/selector/version", value = "red" }]"#),
            patch("json", r#"[{ op = "remove", path = "/spec/selector" }]"#),
        ] {
            scope.spawn(move || is_refused(&action));
        }
        for kind in ["deployment", "deployment.apps/v1"] {
            let patch = "{ spec = { replicas = 0 } }";
            let action = format!(
                r#"patch = {{ kind = "{kind}", name = "backend-blue", type = "merge", patch = {patch} }}"#
            );
            scope.spawn(move || is_refused(&action));
        }
    });
}

#[test]
fn a_patch_that_moves_the_traffic_is_our_own_and_is_rolled_back() {
    std::thread::scope(|scope| {
        for action in [
            patch("merge", r#"{ spec = { selector = { version = "green" } } }"#),
            patch("strategic", r#"{ spec = { selector = { version = "green" } } }"#),
            patch("json", r#"[{ op = "replace", path = "/spec/selector/version", value = "green" }]"#),
        ] {
            scope.spawn(move || {
                let stand = Stand::with(&switching_by(&action));
                let mut helm = stand.switched();
                let moved = |event: &RunEvent| {
                    matches!(event, RunEvent::TrafficSwitched { to, .. } if to.as_str() == "green")
                };
                assert!(helm.has(moved), "{}", helm.story());
                helm.wait(Duration::from_secs(2));
                assert!(!helm.is_held(), "{}", helm.story());
                assert_eq!((stand.live().as_str(), stand.serving(GREEN)), ("green", 2), "{}", helm.story());
                helm.roll_back();
                helm.wait_until("end", Helm::is_over);
                stand.assert_back(&helm, 2);
                let foreign = helm.has(|event| matches!(event, RunEvent::ForeignChange { .. }));
                assert!(!foreign, "{}", helm.story());
            });
        }
    });
}

#[test]
fn a_patch_does_not_overwrite_what_somebody_changed_after_the_look() {
    std::thread::scope(|scope| {
        for action in [
            patch("merge", r#"{ spec = { selector = { version = "green" } } }"#),
            patch("json", r#"[{ op = "replace", path = "/spec/selector/version", value = "green" }]"#),
        ] {
            scope.spawn(move || {
                let stand = Stand::with(&switching_by(&action));
                let mut helm = Helm::open(&stand.ground);
                helm.fly_until("deploy", |helm| helm.passed("deploy"));
                // The patch is under way when somebody else is quicker.
                stand.proxy.rule("PATCH", &[SERVICE], 1, Trouble::Late(Duration::from_secs(2)));
                helm.fly_until("switch", |helm| helm.began("switch"));
                helm.wait(Duration::from_millis(300));
                stand.stranger(&selector(&[("version", "blue"), ("tier", "mine")]));
                helm.wait_until("end of the switch", |helm| {
                    helm.has(|event| {
                        matches!(event, RunEvent::ActionFinished { .. }) && helm.failed("switch")
                    }) || helm.is_held()
                });
                assert_eq!(stand.live(), "blue", "{}", helm.story());
                helm.order(&Order::Continue);
                helm.wait(Duration::from_secs(1));
                assert_eq!(stand.live(), "blue", "{}", helm.story());
            });
        }
    });
}
