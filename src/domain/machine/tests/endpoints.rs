//! What a Service's proxies are told follows its selector a moment later: pods that they may still send users to stay.

use serde_json::json;

use crate::domain::{
    action::{ActionKind, PatchAction, PatchType},
    event::Outcome,
    fixture::{Flight, ground::selector, runbook},
    message::Command,
    time::Span,
};

#[test]
fn pods_stay_while_the_services_endpoints_name_them() {
    let patch = PatchAction {
        kind: "deployment".to_owned(),
        name: "backend-green".into(),
        patch_type: PatchType::Merge,
        patch: json!({ "spec": { "replicas": 0 } }),
    };
    for (ends, patches) in [(true, false), (false, false), (true, true)] {
        let mut book = runbook();
        if patches {
            book.rollbacks[0].run[1].kind = ActionKind::Patch(patch.clone());
        }
        let mut flight = Flight::in_window(book);
        flight.ground.slot("green").named = Some(3);
        flight.command(Command::Rollback { reason: "slow".to_owned() });
        flight.settle();
        flight.fly(Span::from_secs(2));
        assert_eq!(flight.ground.selector, selector("blue"), "traffic waits for nobody");
        assert_eq!(flight.ground.slot("green").desired, 3);
        let (_, why) = flight.run().waiting_act().unwrap();
        assert!(why.contains("endpoints still name 3 pods of green"), "{why}");
        if ends {
            flight.ground.slot("green").named = Some(0);
        }
        flight.fly(Span::from_mins(3));
        assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
        assert_eq!(flight.ground.slot("green").desired, if ends { 0 } else { 3 });
        assert_eq!(flight.count("rollback_remarked") > 0, !ends);
    }
}

#[test]
fn endpoints_that_name_pods_of_the_slot_with_the_traffic_keep_nothing_from_scaling_up() {
    let mut flight = Flight::in_window(runbook());
    let blue = flight.ground.slot("blue");
    (blue.desired, blue.ready, blue.named) = (0, 0, Some(2));
    flight.command(Command::Rollback { reason: "slow".to_owned() });
    flight.settle();
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
    assert_eq!(flight.ground.slot("blue").desired, 3);
}

#[test]
fn endpoints_that_cannot_be_read_keep_pods_and_no_traffic() {
    let mut flight = Flight::in_window(runbook());
    flight.ground.endpoints_unread = Some("503".to_owned());
    flight.command(Command::Rollback { reason: "slow".to_owned() });
    flight.settle();
    flight.fly(Span::from_secs(2));
    assert_eq!(flight.ground.selector, selector("blue"), "traffic waits for nobody");
    let (_, why) = flight.run().waiting_act().unwrap();
    assert!(why.contains("endpoints cannot be read") && why.ends_with("503"), "{why}");
    assert_eq!(flight.ground.slot("green").desired, 3);
    flight.ground.endpoints_unread = None;
    flight.fly(Span::from_secs(10));
    assert_eq!(flight.outcome(), Some(Outcome::RolledBack), "{:?}", flight.run().rolling_back());
    assert_eq!(flight.ground.slot("green").desired, 0);
}
