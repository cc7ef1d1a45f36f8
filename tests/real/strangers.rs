//! Somebody else changes the target in the middle of a run, by every way that kubectl offers: the run holds, names who, and the
//! slot that has the users keeps its pods.

use cutover::domain::{cause::HoldCause, event::RunEvent, message::Command as Order};

use super::{
    helm::Helm,
    place::{BLUE, GREEN, NEW, PODS, Place},
};

/// Flies to the deployed new slot, lets somebody do this, and waits for the hold. Gives what the run says of it.
fn held(place: &Place, change: impl FnOnce()) -> (Helm, String) {
    let mut helm = Helm::open(place);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    change();
    helm.wait_until("hold", |helm| {
        helm.run
            .as_ref()
            .is_some_and(|run| run.held.as_ref().is_some_and(|held| held.cause == HoldCause::Foreign))
    });
    let story = helm.story();
    // Nothing of the run goes on.
    helm.confirm();
    helm.wait(std::time::Duration::from_secs(2));
    assert!(!helm.began("switch"), "{}", helm.story());
    let reason = helm.held_because();
    assert!(helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })), "{story}");
    (helm, reason)
}

/// … and puts it back: the run goes on to the switch.
fn goes_on(place: &Place, mut helm: Helm) {
    helm.order(&Order::Continue);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    assert_eq!((place.live().as_str(), place.serving(GREEN)), ("green", PODS), "{}", helm.story());
    helm.roll_back();
    place.assert_comes_back(helm);
}

/// An object as somebody would write it who makes it.
fn bare(mut object: serde_json::Value) -> serde_json::Value {
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    object.as_object_mut().unwrap().remove("status");
    object
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_selector() {
    let place = Place::new(NEW);
    let (helm, reason) = held(&place, || place.point_at("green"));
    assert!(reason.contains("service/backend-service") && reason.contains("kubectl"), "{reason}");
    place.point_at("blue");
    goes_on(&place, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_foreign_label_in_the_selector() {
    let place = Place::new(NEW);
    let label = |value: &str| {
        place.kubectl(&[
            "patch",
            "service",
            "backend-service",
            "-p",
            &format!(r#"{{"spec":{{"selector":{{"tier":{value}}}}}}}"#),
        ]);
    };
    let (helm, reason) = held(&place, || label("\"nope\""));
    assert!(reason.contains("tier=nope"), "{reason}");
    label("null");
    place.eventually("blue serves again", || place.serving(BLUE) == PODS);
    goes_on(&place, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_image_of_the_new_slot() {
    let place = Place::new(NEW);
    let set = |image: &str| {
        place.kubectl(&["set", "image", "deployment/backend-green", &format!("backend={image}")]);
    };
    let (helm, reason) = held(&place, || set("registry.example.com/backend:v6.6.6"));
    assert!(reason.contains("v6.6.6") && reason.contains("kubectl"), "{reason}");
    set(NEW);
    goes_on(&place, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn kubectl_scale_on_the_new_slot() {
    let place = Place::new(NEW);
    let (helm, reason) = held(&place, || place.scale(GREEN, 1));
    // Not every server keeps the name of whoever went through `scale`; ours it was not.
    assert!(reason.contains("1 replicas instead of 2") && !reason.contains("by cutover"), "{reason}");
    place.scale(GREEN, 2);
    goes_on(&place, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn kubectl_scale_on_the_slot_that_has_the_users() {
    let place = Place::new(NEW);
    let (helm, reason) = held(&place, || place.scale(BLUE, 1));
    // Not every server keeps the name of whoever went through `scale`; ours it was not.
    assert!(reason.contains("1 replicas instead of 2") && !reason.contains("by cutover"), "{reason}");
    place.scale(BLUE, 2);
    place.eventually("blue has its pods again", || place.serving(BLUE) == PODS);
    goes_on(&place, helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_service_is_deleted_and_made_anew() {
    let place = Place::new(NEW);
    let mut service = bare(place.object("service", "backend-service").unwrap());
    service["spec"].as_object_mut().unwrap().retain(|key, _| key == "selector" || key == "ports");
    let (helm, reason) = held(&place, || drop(place.kubectl(&["delete", "service", "backend-service"])));
    assert!(reason.contains("service/backend-service") && reason.contains("deleted"), "{reason}");
    super::plane::PLANE.apply(&service.to_string());
    place.eventually("blue serves again", || place.serving(BLUE) == PODS);
    // Another object of this name is taken as it is, by a person.
    let mut helm = helm;
    helm.order(&Order::TakeTarget);
    helm.wait_until("taken", |helm| helm.has(|event| matches!(event, RunEvent::TargetTaken { .. })));
    helm.fly_until("switch", |helm| helm.passed("switch"));
    helm.roll_back();
    place.assert_comes_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_new_slots_deployment_is_deleted() {
    let place = Place::new(NEW);
    let (mut helm, reason) =
        held(&place, || drop(place.kubectl(&["delete", "deployment", "backend-green", "--wait=false"])));
    assert!(reason.contains("deployment/backend-green") && reason.contains("deleted"), "{reason}");
    // The way back does not hang on the slot that one leaves.
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    place.eventually("blue serves", || place.live() == "blue" && place.serving(BLUE) == PODS);
    place.assert_all_answered(&helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_new_slots_deployment_is_deleted_and_made_anew() {
    let place = Place::new(NEW);
    let made = bare(place.object("deployment", GREEN).unwrap());
    let (mut helm, reason) = held(&place, || drop(place.kubectl(&["delete", "deployment", "backend-green"])));
    assert!(reason.contains("deployment/backend-green") && reason.contains("deleted"), "{reason}");
    // With the image of before, and without a pod: nothing goes there.
    super::plane::PLANE.apply(&made.to_string());
    helm.order(&Order::Continue);
    helm.wait(std::time::Duration::from_secs(3));
    helm.confirm();
    helm.wait(std::time::Duration::from_secs(2));
    assert_eq!((place.live().as_str(), place.serving(BLUE)), ("blue", PODS), "{}", helm.story());
    helm.roll_back();
    place.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_autoscaler_on_the_slot_one_goes_back_to() {
    let place = Place::new(NEW);
    let mut helm = Helm::open(&place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    // There are no metrics in this cluster: it keeps what there is, within its bounds.
    place.kubectl(&["autoscale", "deployment/backend-blue", "--min=1", "--max=2", "--cpu-percent=80"]);
    place.scale(BLUE, 1);
    place.eventually("blue has one pod", || {
        let blue = place.object("deployment", BLUE).unwrap_or_default();
        blue["status"]["readyReplicas"] == 1 && blue["status"]["replicas"] == 1
    });
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    place.eventually("blue serves", || place.live() == "blue" && place.serving(BLUE) >= 1);
    place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}
