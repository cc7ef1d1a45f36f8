//! One Deployment and its revisions, as the real controller makes them.

use super::*;
use crate::world::stage::Backend;

/// One Deployment `shop` with so many pods, and a Service that selects them.
pub(super) fn shop(replicas: u32) -> Furniture {
    Furniture {
        namespace: "production".into(),
        service: "shop".into(),
        slots: [("shop".to_owned(), FurnishedSlot::new("shop", BTreeMap::new()))].into(),
        live: "shop".into(),
        directing: Directing::Rollout,
        ..furniture(replicas)
    }
}

fn begun(furniture: Furniture, scenario: Scenario) -> State {
    State::new(furniture, scenario, BEGIN)
}

pub(super) fn change(state: &mut State, body: &Value) {
    let (code, answer) = patch(state, &format!("{DEPLOYMENTS}/shop"), body);
    assert_eq!(code, 200, "{answer}");
}

fn sets(state: &State) -> Vec<Value> {
    state.store.list(Kind::ReplicaSet, None).map(|(_, set)| Value::clone(set)).collect()
}

/// Every set's number with its wanted pods, oldest number first.
fn numbered(state: &State) -> Vec<(i64, i64)> {
    let number = |set: &Value| text(set, super::super::created::REVISION_POINTER).parse().unwrap();
    let mut all: Vec<(i64, i64)> =
        sets(state).iter().map(|set| (number(set), int(set, "/spec/replicas"))).collect();
    all.sort_unstable();
    all
}

/// The image's tag, ready pods and share of those who have traffic.
pub(super) fn shares(state: &State) -> Vec<(String, u32, f64)> {
    let live = |backend: &Backend| backend.is_live();
    let backends = state.picture().backends.into_iter().filter(live);
    let tag = |image: &str| image.rsplit(':').next().unwrap_or_default().to_owned();
    let mut shares: Vec<_> =
        backends.map(|backend| (tag(&backend.image), backend.ready, backend.share)).collect();
    shares.sort_by(|one, other| one.0.cmp(&other.0));
    shares
}

fn shop_is_up(state: &State) -> bool {
    rolled_out(state, "shop")
}

fn reason(state: &State) -> String {
    let object = deployment(state, "shop");
    find_condition(&object, "Progressing").map_or("", |it| text(it, "/reason")).to_owned()
}

#[test]
fn the_world_of_one_deployment_begins_at_rest() {
    let mut state = begun(shop(3), Scenario::Good);
    let version = state.store.version();
    state.advance(BEGIN + 20_000);
    assert_eq!(state.store.version(), version);
    assert_eq!(shares(&state), [("v1.5.0".to_owned(), 3, 1.0)]);
    assert_eq!(state.picture().backends[0].since, None);
    let endpoints = get(&mut state, "/api/v1/namespaces/production/endpoints/shop");
    assert_eq!(list(&endpoints, "/subsets/0/addresses").len(), 3);
}

#[test]
fn both_revisions_serve_by_their_ready_pods_while_one_replaces_the_other() {
    let mut state = begun(shop(3), Scenario::Good);
    set_image(&mut state, "shop", NEW);
    let mut seen = Vec::new();
    until(&mut state, 120, |state| {
        let now = shares(state);
        let total: f64 = now.iter().map(|(_, _, share)| share).sum();
        assert!((total - 1.0).abs() < 1e-9, "nobody is sent nowhere: {now:?}");
        let ready: u32 = now.iter().map(|(_, ready, _)| ready).sum();
        for (_, mine, share) in &now {
            assert!((share - f64::from(*mine) / f64::from(ready)).abs() < 1e-9, "{now:?}");
        }
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        shop_is_up(state)
    });
    assert!(seen.len() >= 4, "{seen:?}");
    assert_eq!(shares(&state), [("v1.6.0".to_owned(), 3, 1.0)]);
    let backend = &state.picture().backends[0];
    let set = sets(&state).into_iter().find(|set| int(set, "/spec/replicas") == 3).unwrap();
    assert_eq!(backend.hash, text(&set, "/metadata/labels/pod-template-hash"));
    assert!(backend.since.is_some_and(|since| since > BEGIN && since < state.now));
}

#[test]
fn two_revisions_of_one_image_are_two() {
    let mut state = begun(shop(2), Scenario::Good);
    let restarted = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-22T14:00:00Z"});
    change(&mut state, &json!({"spec": {"template": {"metadata": {"annotations": restarted}}}}));
    until(&mut state, 60, |state| {
        let hashes: Vec<_> = state.picture().backends.into_iter().map(|backend| backend.hash).collect();
        hashes.len() == 2 && hashes[0] != hashes[1]
    });
    assert_eq!(shares(&state).len(), 2);
    until(&mut state, 60, shop_is_up);
    assert_eq!(shares(&state), [("v1.5.0".to_owned(), 2, 1.0)]);
}

#[test]
fn a_rollout_that_is_stuck_half_way_serves_both_until_it_is_undone() {
    let mut state = begun(shop(4), Scenario::StuckHalfWay);
    set_image(&mut state, "shop", NEW);
    let took = until(&mut state, 900, |state| reason(state) == "ProgressDeadlineExceeded");
    assert!(took > 600, "{took} s");
    let now = shares(&state);
    // Of four one may be missing: with half of the new ones one old pod stays.
    let ready: Vec<_> = now.iter().map(|(version, ready, _)| (version.as_str(), *ready)).collect();
    assert_eq!(ready, [("v1.5.0", 1), ("v1.6.0", 2)]);
    assert!(!warnings(&state, "Unhealthy").is_empty());
    // Back, while it is still under way.
    set_image(&mut state, "shop", OLD);
    until(&mut state, 120, shop_is_up);
    assert_eq!(shares(&state), [("v1.5.0".to_owned(), 4, 1.0)]);
    assert_eq!(reason(&state), "NewReplicaSetAvailable");
}

#[test]
fn going_back_half_way_keeps_the_old_pods_and_gives_their_set_the_next_number() {
    let mut state = begun(shop(4), Scenario::Good);
    let old: Vec<String> = state.pods_of("shop").iter().map(|pod| name(pod).to_owned()).collect();
    set_image(&mut state, "shop", NEW);
    until(&mut state, 60, |state| shares(state).len() == 2);
    assert_eq!(numbered(&state).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 4, 5]);
    let kept = state.pods_of("shop").iter().filter(|pod| old.contains(&name(pod).to_owned())).count();
    set_image(&mut state, "shop", OLD);
    until(&mut state, 120, shop_is_up);
    assert_eq!(numbered(&state), [(3, 0), (5, 0), (6, 4)]);
    let stayed = state.pods_of("shop").iter().filter(|pod| old.contains(&name(pod).to_owned())).count();
    assert!(stayed >= kept - 1, "{stayed} of {kept} old pods stayed");
    let again = sets(&state).into_iter().find(|set| int(set, "/spec/replicas") == 4).unwrap();
    assert_eq!(text(&again, "/metadata/annotations/deployment.kubernetes.io~1revision-history"), "4");
    let object = deployment(&state, "shop");
    assert_eq!(text(&object, "/metadata/annotations/deployment.kubernetes.io~1revision"), "6");
}

#[test]
fn without_history_old_sets_go_once_the_rollout_is_over_and_not_before() {
    let mut state = begun(shop(3), Scenario::Good);
    change(&mut state, &json!({"spec": {"revisionHistoryLimit": 0}}));
    until(&mut state, 10, |state| sets(state).len() == 1);
    set_image(&mut state, "shop", NEW);
    until(&mut state, 120, |state| {
        if !shop_is_up(state) {
            assert!(sets(state).len() <= 2);
        }
        shop_is_up(state)
    });
    until(&mut state, 10, |state| sets(state).len() == 1);
    // The image before is a new set now, with a number of its own.
    set_image(&mut state, "shop", OLD);
    until(&mut state, 120, shop_is_up);
    until(&mut state, 10, |state| numbered(state) == [(6, 3)]);
}

#[test]
fn a_history_keeps_the_highest_numbers_not_the_youngest_sets() {
    let mut state = begun(shop(1), Scenario::Good);
    change(&mut state, &json!({"spec": {"revisionHistoryLimit": 1}}));
    set_image(&mut state, "shop", NEW);
    until(&mut state, 120, shop_is_up);
    set_image(&mut state, "shop", OLD);
    until(&mut state, 120, shop_is_up);
    // The set of OLD is older than that of NEW, and has the higher number.
    set_image(&mut state, "shop", "registry.example.com/payment-system-backend:v1.7.0");
    until(&mut state, 120, shop_is_up);
    until(&mut state, 10, |state| numbered(state) == [(6, 0), (7, 1)]);
    let kept = sets(&state).into_iter().find(|set| int(set, "/spec/replicas") == 0).unwrap();
    assert_eq!(text(&kept, "/spec/template/spec/containers/0/image"), OLD);
}

#[test]
fn all_may_be_missing_and_then_nobody_answers() {
    let strategy = Strategy::RollingUpdate { max_surge: "0".into(), max_unavailable: "100%".into() };
    let mut state = begun(Furniture { strategy, ..shop(3) }, Scenario::Good);
    set_image(&mut state, "shop", NEW);
    let mut empty = false;
    until(&mut state, 60, |state| {
        empty |= shares(state).is_empty();
        shop_is_up(state)
    });
    assert!(empty, "all old pods go at once");
}

#[test]
fn recreate_tells_no_pods_as_unavailable_while_there_are_to_be_none() {
    let mut state = begun(Furniture { strategy: Strategy::Recreate, ..shop(3) }, Scenario::Good);
    assert_eq!(deployment(&state, "shop")["spec"]["strategy"], json!({"type": "Recreate"}));
    set_image(&mut state, "shop", NEW);
    let (mut down, mut versions, mut told) = (0, 0, 0);
    until(&mut state, 60, |state| {
        let now = shares(state);
        down += i32::from(now.is_empty());
        versions = versions.max(now.len());
        let object = deployment(state, "shop");
        let wanted: i64 = numbered(state).iter().map(|(_, size)| size).sum();
        if wanted == 0 && int(&object, "/status/replicas") == 0 {
            told += 1;
            assert_eq!(object["status"].get("unavailableReplicas"), None, "as on a real control plane");
            assert_eq!(condition(&object, "Available"), "False");
        }
        shop_is_up(state)
    });
    assert!(told > 0, "the old pods take a moment to end");
    assert_eq!(versions, 1, "never two versions at once");
    assert!((10..40).contains(&down), "{down} s without a pod");
}

#[test]
fn a_pause_stops_a_rollout_where_it_is_and_scaling_goes_on_in_proportion() {
    let mut state = begun(shop(10), Scenario::Good);
    set_image(&mut state, "shop", NEW);
    until(&mut state, 60, |state| shares(state).len() == 2);
    change(&mut state, &json!({"spec": {"paused": true}}));
    until(&mut state, 20, |state| reason(state) == "DeploymentPaused");
    let now = state.now;
    state.advance(now + 120_000);
    let before = numbered(&state);
    let paused = shares(&state);
    assert_eq!(paused.len(), 2, "{paused:?}");
    let now = state.now;
    state.advance(now + 1_800_000);
    assert_eq!(shares(&state), paused, "it stays like this, also beyond its deadline");
    assert_eq!(reason(&state), "DeploymentPaused");
    // Twice as many, in the same proportion: what does not divide goes to the larger set.
    change(&mut state, &json!({"spec": {"replicas": 20}}));
    let now = state.now;
    state.advance(now + 60_000);
    let after = numbered(&state);
    assert_eq!(after.iter().map(|(_, size)| size).sum::<i64>(), 25, "20 and a quarter more: {after:?}");
    for ((_, was), (_, is)) in before.iter().zip(&after) {
        assert!((is - 2 * was).abs() <= 1, "{before:?} {after:?}");
    }
    // Another template waits; the number of the newest set does not.
    change(&mut state, &json!({"spec": {"paused": null}}));
    until(&mut state, 200, shop_is_up);
    assert_eq!(shares(&state), [("v1.6.0".to_owned(), 20, 1.0)]);
}

#[test]
fn a_paused_deployment_numbers_the_set_that_it_goes_back_to() {
    let mut state = begun(shop(2), Scenario::Good);
    set_image(&mut state, "shop", NEW);
    until(&mut state, 120, shop_is_up);
    change(&mut state, &json!({"spec": {"paused": true}}));
    set_image(&mut state, "shop", OLD);
    until(&mut state, 10, |state| numbered(state) == [(3, 0), (5, 2), (6, 0)]);
    let object = deployment(&state, "shop");
    assert_eq!(text(&object, "/metadata/annotations/deployment.kubernetes.io~1revision"), "6");
    assert_eq!(shares(&state), [("v1.6.0".to_owned(), 2, 1.0)]);
}

#[test]
fn a_change_cause_goes_to_the_revision_it_is_of() {
    let mut state = begun(shop(2), Scenario::Good);
    let cause = |cause: &str| json!({"metadata": {"annotations": {"kubernetes.io/change-cause": cause}}});
    change(&mut state, &cause("v1.5.0"));
    until(&mut state, 10, shop_is_up);
    set_image(&mut state, "shop", NEW);
    change(&mut state, &cause("v1.6.0"));
    until(&mut state, 120, shop_is_up);
    let causes: Vec<(String, i64)> = sets(&state)
        .iter()
        .map(|set| text(set, "/metadata/annotations/kubernetes.io~1change-cause").to_owned())
        .zip(sets(&state).iter().map(|set| int(set, "/spec/replicas")))
        .collect();
    assert!(causes.contains(&("v1.6.0".to_owned(), 2)), "{causes:?}");
    assert!(causes.contains(&("v1.5.0".to_owned(), 0)), "{causes:?}");
}
