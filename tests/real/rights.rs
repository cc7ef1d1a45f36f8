//! The printed roles, on a server that means them: somebody who may do what they say, and nothing else, flies there and back.

use std::process::Command;

use cutover::domain::{event::Outcome, rights::PERMISSIONS};
use serde_json::{Value, json};

use super::{
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
fn as_an_operator(place: &mut Place) {
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

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_printed_roles_are_enough_for_a_flight_and_for_a_rollback() {
    for wanted in [Outcome::Succeeded, Outcome::RolledBack] {
        let mut place = Place::new(NEW);
        PLANE.apply(&printed(&place).replace("cutover-operators", &group(&place)));
        as_an_operator(&mut place);
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
        assert!(run.lock.is_some(), "it has the target's lock");
        assert!(
            run.runbook.checklist.iter().all(|group| group.title != PERMISSIONS),
            "{:?}",
            run.runbook.checklist
        );
        assert!(
            run.opened.cluster.as_ref().is_some_and(|cluster| !cluster.uid.is_empty()),
            "the uid was read"
        );
        let story = helm.story();
        assert!(!story.contains("not allowed") && !story.contains("forbidden"), "{story}");
        let logs = logs(&place);
        assert!(!logs.contains("not allowed") && !logs.contains("orbidden"), "{logs}");
    }
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
