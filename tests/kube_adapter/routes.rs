//! An `HTTPRoute` that directs traffic: what is seen of it, what a shift writes, and everything of it that is somebody else's.

use std::{sync::Arc, time::Duration};

use cutover::{
    adapters::kube::{KubeConnector, LockClaim, Timing},
    domain::{
        action::PatchType,
        director::{Director, RouteRef, RuleRef, Share, Shares, share_of},
        observation::{Approach, Observation},
        runbook::{Slot, Target},
    },
    engine::ports::{Cluster, Fault, PortError, PortResult},
    world::{
        cluster::{self, ForeignEdit, Misbehaviour},
        scenario::Scenario,
        stage::{Directing, FurnishedSlot, Furniture},
    },
};
use serde_json::{Value, json};

use super::{Kube, answer, connect_to, kube, slot, timing, until};

const ROUTE: &str = "shop";
/// The world makes one rule of somebody else's before ours.
const RULE: usize = 1;

fn target() -> Target {
    let described = |name: &str| {
        let it = Slot {
            deployment: format!("backend-{name}"),
            selector: kube::labels(name),
            service: Some(format!("own-{name}")),
        };
        (slot(name), it)
    };
    Target {
        slots: [described("blue"), described("green")].into(),
        director: Director::Route(RouteRef { name: ROUTE.to_owned(), rule: RuleRef::Number(RULE) }),
        ..kube::target()
    }
}

struct Routed {
    world: Arc<cluster::Cluster>,
    kube: Kube,
}

impl Routed {
    async fn new(scenario: Scenario) -> Self {
        Self::with(scenario, timing()).await
    }

    async fn with(scenario: Scenario, timing: Timing) -> Self {
        let own = |name: &str| {
            let it = FurnishedSlot::new(format!("backend-{name}"), kube::labels(name));
            (name.to_owned(), FurnishedSlot { service: Some(format!("own-{name}")), ..it })
        };
        let furniture = Furniture {
            slots: [own("blue"), own("green")].into(),
            directing: Directing::Route { name: ROUTE.to_owned(), rule: RULE },
            ..kube::furniture(3)
        };
        let world = kube::world(furniture, scenario, 60).await;
        let kube = connect_to(&world.kubeconfig(), timing, target()).await.unwrap();
        Self { world, kube }
    }

    async fn see(&self) -> Observation {
        self.kube.observe().await.unwrap()
    }

    /// With a gateway that writes nothing into the status meanwhile.
    async fn quiet() -> Self {
        let it = Self::new(Scenario::Good).await;
        it.world.freeze(true);
        it
    }

    /// Gives green so many thousandths, on the look that is given.
    async fn shift_on(&self, seen: Observation, green: u32) -> PortResult<String> {
        let green = Share::of_thousand(green);
        let shares: Shares = [(slot("green"), green), (slot("blue"), green.rest())].into();
        let approach = Approach { seen, selector: None, replicas: None };
        self.kube.shift_traffic(&shares, Some(&approach)).await
    }

    async fn shift(&self, green: u32) -> PortResult<String> {
        self.shift_on(self.see().await, green).await
    }

    fn route(&self) -> Value {
        self.world.object("httproutes", ROUTE).unwrap()
    }

    /// The weights of our rule's backends, in order.
    fn weights(&self) -> Vec<u64> {
        let route = self.route();
        let backends = route["spec"]["rules"][RULE]["backendRefs"].as_array().unwrap();
        backends.iter().map(|backend| backend["weight"].as_u64().unwrap()).collect()
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        assert!(self.world.edit("httproutes", ROUTE, change));
    }

    /// A backend of somebody else's in our rule, with this weight.
    fn add_foreign(&self, weight: u32) {
        self.edit(|route| {
            let backends = route["spec"]["rules"][RULE]["backendRefs"].as_array_mut().unwrap();
            backends.insert(1, json!({ "group": "", "kind": "Service", "name": "own-blue", "namespace": "elsewhere", "port": 80, "weight": weight }));
        });
    }

    fn patches(&self) -> usize {
        self.world.count("PATCH", "/httproutes/")
    }
}

fn assert_conflict(fault: &PortError, words: &str) {
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
    assert!(fault.message.contains(words) && fault.message.contains("was not changed"), "{fault}");
}

#[tokio::test]
async fn a_shift_writes_the_weights_and_leaves_everything_else() {
    let it = Routed::quiet().await;
    it.edit(|route| {
        route["spec"]["rules"][RULE]["name"] = json!("users");
        route["spec"]["rules"][RULE]["filters"] = json!([{ "type": "RequestHeaderModifier",
            "requestHeaderModifier": { "set": [{ "name": "x-shop", "value": "1" }] } }]);
        route["spec"]["rules"][RULE]["timeouts"] = json!({ "request": "10s" });
    });
    it.add_foreign(0);
    let seen = it.see().await;
    let route = seen.route.clone().unwrap();
    assert_eq!(route.weights, [(slot("blue"), 100), (slot("green"), 0)].into());
    assert_eq!(route.places, [(slot("blue"), 0), (slot("green"), 2)].into());
    assert_eq!((route.rule, route.others), (RULE, 0));
    assert_eq!(route.changed.map(|by| by.manager), Some("kubectl-edit".to_owned()));
    assert_eq!((seen.live(), &seen.service), (Some(&slot("blue")), &None));
    assert_eq!((seen.serving(&slot("blue")), seen.serving(&slot("green"))), (3, 0));
    assert_eq!(seen.reachable(&slot("green")), 3);

    let before = it.route();
    let said = it.shift_on(seen, 50).await.unwrap();
    assert!(said.starts_with("httproute/shop gives 95 % blue, 5 % green (resourceVersion "), "{said}");
    assert_eq!((it.weights(), it.patches()), (vec![95, 0, 5], 1));
    let mut after = it.route();
    for (place, weight) in [(0, 100), (2, 0)] {
        after["spec"]["rules"][RULE]["backendRefs"][place]["weight"] = json!(weight);
    }
    assert_eq!(after["spec"], before["spec"], "nothing else of it was touched");
    // Tenths need a thousand; and all the way, and back.
    for (green, weights) in [(5, [995, 0, 5]), (1000, [0, 0, 100]), (0, [100, 0, 0])] {
        it.shift(green).await.unwrap();
        assert_eq!(it.weights(), weights);
    }
    // The Service of the target's name is not asked for.
    it.kube.look().await.unwrap();
    assert_eq!(it.world.count("GET", "/services/backend-service"), 0);
}

#[tokio::test]
async fn the_rule_is_found_by_name_and_one_that_is_not_there_is_said() {
    let it = Routed::new(Scenario::Good).await;
    it.edit(|route| route["spec"]["rules"][RULE]["name"] = json!("users"));
    let by = |rule: RuleRef| Target {
        director: Director::Route(RouteRef { name: ROUTE.to_owned(), rule }),
        ..target()
    };
    let look = |target: Target| async {
        let kube = connect_to(&it.world.kubeconfig(), timing(), target).await.unwrap();
        kube.observe().await.unwrap().route.unwrap()
    };
    let named = look(by(RuleRef::Name("users".to_owned()))).await;
    assert_eq!((named.rule, named.weights.len()), (RULE, 2));
    for rule in [RuleRef::Name("user".to_owned()), RuleRef::Number(7)] {
        let missing = look(by(rule)).await;
        let why = missing.unfit.unwrap();
        assert!(why.contains("it has 2 rules, named `users`") && missing.weights.is_empty(), "{why}");
    }
    let none = look(by(RuleRef::Number(0))).await;
    assert!(none.weights.is_empty() && none.others > 0, "our Services are not in that rule: {none:?}");
    let other = Target {
        director: Director::Route(RouteRef { name: "other".to_owned(), rule: RuleRef::Number(0) }),
        ..target()
    };
    let kube = connect_to(&it.world.kubeconfig(), timing(), other).await.unwrap();
    assert_eq!(kube.observe().await.unwrap().route, None, "there is none of this name");
}

#[tokio::test]
async fn the_part_of_the_others_in_a_rule_stays_what_it_was() {
    let it = Routed::quiet().await;
    it.add_foreign(30);
    it.shift(100).await.unwrap();
    assert_eq!(it.weights(), [90, 30, 10]);
    it.edit(|route| {
        route["spec"]["rules"][RULE]["backendRefs"][0]["weight"] = json!(7);
        route["spec"]["rules"][RULE]["backendRefs"][2]["weight"] = json!(3);
    });
    let patches = it.patches();
    let fault = it.shift(50).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Failed, "{fault}");
    for words in ["must sum up to 10", "95 % blue, 5 % green", "multiply all weights of the rule by 10"] {
        assert!(fault.message.contains(words), "{fault}");
    }
    // The way back can always be said.
    it.shift(0).await.unwrap();
    assert_eq!((it.weights(), it.patches() - patches), (vec![10, 30, 0], 1));
    // Weights that sum up to nothing have no share to keep.
    it.edit(|route| route["spec"]["rules"][RULE]["backendRefs"][0]["weight"] = json!(0));
    assert_eq!(it.see().await.live(), None);
    let fault = it.shift(0).await.unwrap_err();
    assert!(fault.message.contains("all of the traffic to backends of others"), "{fault}");
    // With nobody else in the rule they can be set.
    it.edit(|route| route["spec"]["rules"][RULE]["backendRefs"][1]["weight"] = json!(0));
    it.shift(0).await.unwrap();
    assert_eq!(it.weights(), [100, 0, 0]);
    // Shares that are not all of the traffic are nobody's wish.
    let half: Shares = [(slot("green"), Share::of_thousand(500))].into();
    assert_eq!(it.kube.shift_traffic(&half, None).await.unwrap_err().kind, Fault::Failed);
    assert_eq!(it.weights(), [100, 0, 0]);
}

#[tokio::test]
async fn a_foreign_change_between_look_and_write_is_a_conflict() {
    let it = Routed::quiet().await;
    let seen = it.see().await;
    let theirs = ForeignEdit::Weights { route: ROUTE.to_owned(), rule: RULE, weights: vec![60, 40] };
    assert!(it.world.foreign_edit("argocd", &theirs));
    assert_conflict(
        &it.shift_on(seen, 50).await.unwrap_err(),
        "from 100 % blue to 60 % blue, 40 % green by argocd",
    );
    assert_eq!((it.weights(), it.patches()), (vec![60, 40], 1));
    // The same backends in another order.
    let seen = it.see().await;
    it.edit(|route| route["spec"]["rules"][RULE]["backendRefs"].as_array_mut().unwrap().reverse());
    assert_conflict(&it.shift_on(seen, 50).await.unwrap_err(), "its rule was changed by kubectl-edit");
    // A rule before ours is gone.
    let seen = it.see().await;
    it.edit(|route| drop(route["spec"]["rules"].as_array_mut().unwrap().remove(0)));
    assert_eq!(it.shift_on(seen, 50).await.unwrap_err().kind, Fault::Conflict);
    let route = it.route();
    assert_eq!(route["spec"]["rules"][0]["backendRefs"][0]["weight"], 40);
    // Deleted and recreated.
    let it = Routed::quiet().await;
    let seen = it.see().await;
    let mut anew = it.route();
    assert!(it.world.delete("httproutes", ROUTE));
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        anew["metadata"].as_object_mut().unwrap().remove(field);
    }
    it.world.create("httproutes", anew);
    assert_conflict(&it.shift_on(seen, 50).await.unwrap_err(), "deleted and recreated");
    assert_eq!(it.weights(), [100, 0]);
}

#[tokio::test]
async fn a_change_that_concerns_nobody_does_not_stop_a_shift() {
    let it = Routed::quiet().await;
    let seen = it.see().await;
    it.edit(|route| {
        route["metadata"]["annotations"]["team"] = json!("shop");
        route["spec"]["rules"][0]["timeouts"] = json!({ "request": "5s" });
    });
    it.shift_on(seen, 50).await.unwrap();
    assert_eq!((it.weights(), it.patches()), (vec![95, 5], 2));
    // Somebody has just done the same.
    let seen = it.see().await;
    let same = ForeignEdit::Weights { route: ROUTE.to_owned(), rule: RULE, weights: vec![80, 20] };
    assert!(it.world.foreign_edit("argocd", &same));
    let said = it.shift_on(seen, 200).await.unwrap();
    assert!(said.contains("already gives 80 % blue, 20 % green: set by argocd"), "{said}");
    // A look that another one came after decides nothing.
    let old = it.see().await;
    it.edit(|route| route["metadata"]["annotations"]["team"] = json!("other"));
    it.see().await;
    assert_eq!(it.shift_on(old, 50).await.unwrap_err().kind, Fault::Conflict);
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_never_written_twice() {
    let faults = [
        (answer(504, true), true, None),
        (Misbehaviour::Reset { applied: true }, true, None),
        (Misbehaviour::Hang { applied: true }, true, None),
        (answer(504, false), false, Some(Fault::Unknown)),
        (Misbehaviour::Reset { applied: false }, false, Some(Fault::Unknown)),
        (answer(429, false), false, Some(Fault::Unavailable)),
        (answer(403, false), false, Some(Fault::Denied)),
        (answer(422, false), false, Some(Fault::Failed)),
    ];
    let all = faults.map(|(misbehaviour, applied, kind)| async move {
        let write =
            Duration::from_secs(if matches!(misbehaviour, Misbehaviour::Hang { .. }) { 1 } else { 10 });
        let it = Routed::with(Scenario::Good, Timing { write, ..timing() }).await;
        it.world.freeze(true);
        let seen = it.see().await;
        it.world.inject(cluster::Fault::next("PATCH", "/httproutes/", misbehaviour.clone()).times(u32::MAX));
        let result = it.shift_on(seen, 50).await;
        assert_eq!(it.patches(), 1, "{misbehaviour:?}");
        assert_eq!(it.weights(), if applied { [95, 5] } else { [100, 0] }, "{misbehaviour:?}");
        match (result, kind) {
            (Ok(said), None) => assert!(said.contains("confirmed by reading it"), "{said}"),
            (Err(fault), Some(kind)) => assert_eq!(fault.kind, kind, "{misbehaviour:?}: {fault}"),
            other => panic!("{misbehaviour:?}: {other:?}"),
        }
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn what_the_gateway_says_of_the_route_is_heard() {
    let it = Routed::new(Scenario::RouteNotAccepted).await;
    assert_eq!(it.see().await.route.unwrap().unfit, None);
    it.world.freeze(true);
    it.shift(50).await.unwrap();
    let why = it.see().await.route.unwrap().unfit.unwrap();
    assert_eq!(why, "gateway/public has not seen its latest change yet");
    it.world.freeze(false);
    let mut pictures = Arc::clone(&it.kube).watch();
    let picture = until(&mut pictures, "refused", |picture| {
        let route = picture.route.as_ref();
        route.and_then(|route| route.unfit.as_ref()).is_some_and(|why| why.contains("UnsupportedValue"))
    })
    .await;
    assert_eq!(share_of(&picture.shares, &slot("green")), Share::of_thousand(50));
    let why = it.see().await.route.unwrap().unfit.unwrap();
    assert!(
        why.starts_with("gateway/public says Accepted is False: UnsupportedValue: the proxies rejected"),
        "{why}"
    );
    it.world.freeze(true);
    let conditions = |change: &dyn Fn(&mut Value)| {
        it.edit(|route| {
            let now = route["metadata"]["generation"].clone();
            for condition in route["status"]["parents"][0]["conditions"].as_array_mut().unwrap() {
                condition["observedGeneration"] = now.clone();
                condition["status"] = json!("True");
            }
            change(route);
        });
    };
    let unfit = || async { it.see().await.route.unwrap().unfit };
    conditions(&|_| {});
    assert_eq!(unfit().await, None);
    conditions(&|route| {
        let conditions = route["status"]["parents"][0]["conditions"].as_array_mut().unwrap();
        let resolved = conditions.iter_mut().find(|it| it["type"] == "ResolvedRefs").unwrap();
        resolved["status"] = json!("False");
        resolved["reason"] = json!("BackendNotFound");
        resolved["message"] = json!("no service own-red\u{1b}[2J");
    });
    let why = unfit().await.unwrap();
    assert_eq!(
        why,
        "gateway/public says ResolvedRefs is False: BackendNotFound: no service own-red<U+001B>[2J"
    );
    conditions(&|route| drop(route["status"]["parents"][0]["conditions"].as_array_mut().unwrap().pop()));
    assert!(unfit().await.unwrap().contains("has not said "));
    conditions(&|route| {
        let parents = route["spec"]["parentRefs"].as_array_mut().unwrap();
        parents.push(json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "inner", "namespace": "edge" }));
    });
    // The generation has risen with it, so both are named in their turn.
    assert!(unfit().await.unwrap().contains("gateway/"));
    conditions(&|route| route["status"]["parents"] = json!([]));
    assert_eq!(unfit().await.unwrap(), "no gateway has taken it up yet");
}

#[tokio::test]
async fn a_picture_follows_the_weights() {
    let it = Routed::new(Scenario::Good).await;
    let mut pictures = Arc::clone(&it.kube).watch();
    let picture = until(&mut pictures, "connected", |it| it.live.is_some() && it.slots.len() == 2).await;
    assert_eq!((&picture.live, picture.selector), (&Some(slot("blue")), None));
    assert!(picture.route.unwrap().weights.len() == 2);
    for (green, live) in [(250, "blue"), (1000, "green"), (0, "blue")] {
        it.shift(green).await.unwrap();
        let picture = until(&mut pictures, "shifted", |picture| {
            share_of(&picture.shares, &slot("green")) == Share::of_thousand(green)
        })
        .await;
        assert_eq!(picture.live, Some(slot(live)));
    }
    assert_eq!(it.kube.look().await.unwrap().live, Some(slot("blue")));
    let gone = it.world.delete("httproutes", ROUTE);
    assert!(gone);
    until(&mut pictures, "gone", |picture| picture.route.is_none() && picture.live.is_none()).await;
}

#[tokio::test]
async fn a_cluster_without_the_gateway_api_says_so() {
    let world = kube::world(kube::furniture(3), Scenario::Good, 60).await;
    let kube = connect_to(&world.kubeconfig(), timing(), target()).await.unwrap();
    let fault = kube.observe().await.unwrap_err();
    assert!(fault.message.starts_with("the Gateway API v1 is not installed in this cluster"), "{fault}");
    assert!(kube.look().await.unwrap_err().message.contains("not installed"));
    let mut pictures = Arc::clone(&kube).watch();
    until(&mut pictures, "said", |picture| format!("{:?}", picture.connection).contains("not installed"))
        .await;
}

#[tokio::test]
async fn the_fence_is_on_the_route_and_a_settled_one_takes_no_older_write() {
    let it = Routed::quiet().await;
    let before = it.see().await;
    it.kube.settle(None).await.unwrap();
    let moved = it.see().await.route.unwrap();
    assert_ne!(before.route.as_ref().map(|route| &route.version), Some(&moved.version));
    assert_eq!(
        it.world.object("services", "backend-service").unwrap()["metadata"]["annotations"]["cutover.dev/settled"],
        Value::Null
    );

    let connector = KubeConnector::from_kubeconfig_text(it.world.kubeconfig(), Arc::new(kube::WallClock));
    let own = connector.open(&target()).await.unwrap();
    let claim = LockClaim {
        who: "ada@bastion".to_owned(),
        host: "bastion".to_owned(),
        run_id: "20261122-140000-abcd".into(),
        previous: Vec::new(),
        id: None,
    };
    let lock = own.acquire(&claim).await.unwrap();
    let green = Share::of_thousand(50);
    let shares: Shares = [(slot("green"), green), (slot("blue"), green.rest())].into();
    let approach = Approach { seen: own.observe().await.unwrap(), selector: None, replicas: None };
    own.shift_traffic(&shares, Some(&approach)).await.unwrap();
    let fence = |it: &Routed| it.route()["metadata"]["annotations"]["cutover.dev/fence"].clone();
    assert_eq!(fence(&it), json!(lock.fence().to_string()));
    it.edit(|route| route["metadata"]["annotations"]["cutover.dev/fence"] = json!("999"));
    let approach = Approach { seen: own.observe().await.unwrap(), selector: None, replicas: None };
    let fault = own.shift_traffic(&[(slot("blue"), Share::ALL)].into(), Some(&approach)).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Denied, "{fault}");
    assert!(fault.message.contains("httproute/shop has fence 999"), "{fault}");
    assert_eq!(it.weights(), [95, 5]);
}

#[tokio::test]
async fn a_patch_of_a_slots_own_service_stands_on_what_was_looked_at() {
    let it = Routed::quiet().await;
    let patch = async |seen: &Observation| {
        let body = json!({ "metadata": { "labels": { "note": "x" } } });
        it.kube.patch("service", "own-blue", PatchType::Merge, &body, Some(seen)).await
    };
    let edit = |change: &dyn Fn(&mut Value)| {
        assert!(it.world.edit("services", "own-blue", |service| change(service)));
    };
    let seen = it.see().await;
    edit(&|service| service["spec"]["selector"]["tier"] = json!("nope"));
    let fault = patch(&seen).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
    assert!(fault.message.contains("right after it was read"), "{fault}");
    let seen = it.see().await;
    assert_eq!(seen.slots["blue"].own_selector.as_ref().unwrap()["tier"], "nope");
    edit(&|service| service["metadata"]["labels"] = json!({ "team": "shop" }));
    patch(&seen).await.unwrap();
    let written = it.world.recorded().into_iter().rfind(|request| request.method == "PATCH").unwrap();
    let body: Value = serde_json::from_str(&written.body).unwrap();
    assert!(body.pointer("/metadata/resourceVersion").is_some(), "{body}");
}
