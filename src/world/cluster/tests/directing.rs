//! Traffic by share: what users and metrics see of what the cluster does.

#![expect(clippy::float_cmp, reason = "shares of round numbers come out exactly")]

use super::{
    gateway::{routed, weigh},
    revisions::{change, shares, shop},
    *,
};
use crate::world::{
    metrics::{Settings, Telemetry},
    promql::{Engine, Value as Found},
};

/// A cluster with its users and its Prometheus.
struct World {
    state: State,
    telemetry: Telemetry,
}

impl World {
    fn begin(furniture: Furniture, scenario: Scenario) -> Self {
        let state = State::new(furniture, scenario, BEGIN);
        let settings = Settings { history_ms: 300_000, ..Settings::default() };
        let telemetry = Telemetry::start(&state.furniture, scenario, 7, BEGIN, &state.picture(), settings);
        Self { state, telemetry }
    }

    /// Lets so many seconds pass, and looks in between as seldom as `step` says.
    fn pass_by(&mut self, seconds: i64, step: i64) {
        let end = self.state.now + seconds * 1_000;
        while self.state.now < end {
            let now = (self.state.now + step * 1_000).min(end);
            self.state.advance(now);
            let pictures = self.state.pictures(self.telemetry.traffic().now_ms());
            self.telemetry.follow(now, &pictures);
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.pass_by(seconds, 1);
    }

    fn value(&self, query: &str) -> Option<f64> {
        match Engine::default().instant(self.telemetry.store(), query, self.state.now).unwrap() {
            Found::Vector(elements) if elements.len() == 1 => Some(elements[0].value),
            Found::Vector(elements) if elements.is_empty() => None,
            other => panic!("{query}: {other:?}"),
        }
    }

    fn rate(&self, version: &str) -> f64 {
        let query =
            format!(r#"sum(rate(http_requests_total{{version="{version}",handler!="/health"}}[30s]))"#);
        self.value(&query).unwrap_or(0.0)
    }

    fn errors(&self, version: &str) -> f64 {
        let sum = |code: &str| {
            let query = format!(
                r#"sum(rate(http_requests_total{{version="{version}",code=~"{code}",handler!="/health"}}[1m]))"#
            );
            self.value(&query).unwrap_or(0.0)
        };
        sum("5..") / sum(".*")
    }
}

fn by_replicas() -> Furniture {
    let mut furniture = Furniture { directing: Directing::Replicas, ..routed() };
    furniture.slots.get_mut("canary").unwrap().replicas = None;
    furniture
}

fn scale(state: &mut State, deployment: &str, replicas: i64) {
    let body = json!({"spec": {"replicas": replicas}});
    let path = format!("{DEPLOYMENTS}/{deployment}/scale");
    assert_eq!(send(state, "PATCH", &path, "application/merge-patch+json", &body).0, 200);
}

#[test]
fn both_versions_are_measured_while_both_serve() {
    let mut world = World::begin(shop(3), Scenario::Good);
    set_image(&mut world.state, "shop", NEW);
    until(&mut world.state, 60, |state| shares(state).len() == 2);
    change(&mut world.state, &json!({"spec": {"paused": true}}));
    world.pass(90);
    let now = shares(&world.state);
    let share = |version: &str| now.iter().find(|it| it.0 == version).unwrap().2;
    for version in ["v1.5.0", "v1.6.0"] {
        let (rate, wanted) = (world.rate(version), 40.0 * share(version));
        assert!((rate - wanted).abs() < 0.1 * wanted, "{version}: {rate} for {wanted}");
    }
    let hashes = world.value("count(count by (pod_template_hash) (http_requests_total))");
    assert_eq!(hashes, Some(2.0));
    assert_eq!(world.value(r#"count(http_requests_total{slot=~".+"})"#), None, "there are no slots to tell");
    assert_eq!(world.value("count(up{job=\"shop\"})"), Some(2.0));
    change(&mut world.state, &json!({"spec": {"paused": null}}));
    world.pass(120);
    assert!(world.rate("v1.5.0") == 0.0 && world.rate("v1.6.0") > 35.0);
    let users = world.telemetry.traffic().users();
    assert_eq!(users.unanswered(), 0, "a rolling update loses nobody");
    assert!(users.of("v1.5.0").requests > 1_000 && users.of("v1.6.0").requests > 4_000);
    assert_eq!(users.requests(), users.of("v1.5.0").requests + users.of("v1.6.0").requests);
}

#[test]
fn recreate_costs_the_users_as_long_as_nobody_is_ready() {
    let mut world = World::begin(Furniture { strategy: Strategy::Recreate, ..shop(3) }, Scenario::Good);
    world.pass(10);
    assert_eq!(world.telemetry.traffic().users().unanswered(), 0);
    set_image(&mut world.state, "shop", NEW);
    world.pass(80);
    let lost = world.telemetry.traffic().users().unanswered();
    assert!((400..1_600).contains(&lost), "{lost} requests of some ten to forty seconds");
    world.pass(60);
    assert_eq!(world.telemetry.traffic().users().unanswered(), lost, "it is over");
}

#[test]
fn the_same_users_are_lost_however_seldom_one_looks() {
    let lost = |step: i64| {
        let mut world = World::begin(Furniture { strategy: Strategy::Recreate, ..shop(3) }, Scenario::Good);
        set_image(&mut world.state, "shop", NEW);
        world.pass_by(120, step);
        let users = world.telemetry.traffic().users();
        (users.requests(), users.failed(), users.unanswered())
    };
    assert_eq!(lost(1), lost(30));
}

#[test]
fn a_canary_by_replicas_gets_as_much_as_it_has_pods() {
    let mut world = World::begin(by_replicas(), Scenario::Good);
    assert_eq!(
        world.state.picture().slot("canary").map(|canary| (canary.ready, canary.share)),
        Some((0, 0.0))
    );
    set_image(&mut world.state, "shop-canary", NEW);
    scale(&mut world.state, "shop-canary", 1);
    world.pass(60);
    assert_eq!(shares(&world.state), [("v1.5.0".to_owned(), 3, 0.75), ("v1.6.0".to_owned(), 1, 0.25)]);
    // An autoscaler on the other side moves the share, too.
    let scaler = json!({"metadata": {"name": "shop-stable", "namespace": "production"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-stable"},
        "minReplicas": 7, "maxReplicas": 9}});
    let path = "/apis/autoscaling/v2/namespaces/production/horizontalpodautoscalers";
    assert_eq!(send(&mut world.state, "POST", path, "application/json", &scaler).0, 201);
    world.pass(60);
    assert_eq!(shares(&world.state)[1].2, 0.125);
    scale(&mut world.state, "shop-canary", 0);
    world.pass(30);
    let users = world.telemetry.traffic().users();
    assert_eq!(users.unanswered(), 0);
    assert!(users.of("v1.6.0").requests > 500);
    let slot = r#"count(count by (slot) (http_requests_total{slot=~"canary|stable"}))"#;
    assert_eq!(world.value(slot), Some(1.0), "a canary without pods shows nothing");
}

#[test]
fn five_percent_of_the_users_meet_a_bad_canary() {
    let failed = |canary: i64| {
        let mut world = World::begin(routed(), Scenario::BadAtFivePercent);
        set_image(&mut world.state, "shop-canary", NEW);
        scale(&mut world.state, "shop-canary", 3);
        world.pass(90);
        assert_eq!(weigh(&mut world.state, canary, 100 - canary).0, 200);
        world.pass(120);
        let errors = world.errors("v1.6.0");
        assert!((errors - 0.05).abs() < 0.02, "5 % of its own requests, from the first one on: {errors}");
        let users = world.telemetry.traffic().users();
        assert_eq!(users.unanswered(), 0);
        users.of("v1.6.0").failed
    };
    let (sip, all) = (failed(5), failed(100));
    assert!((150..350).contains(&all), "{all} of some 4800");
    assert!(sip * 15 < all, "{sip} against {all}");
}

#[test]
fn a_bad_release_begins_to_fail_from_its_first_request_on_not_from_its_last_shift() {
    let mut world = World::begin(routed(), Scenario::BadRelease);
    set_image(&mut world.state, "shop-canary", NEW);
    world.pass(90);
    weigh(&mut world.state, 5, 95);
    world.pass(60);
    assert!(world.errors("v1.6.0") < 0.01);
    weigh(&mut world.state, 20, 80);
    world.pass(100);
    assert!(world.errors("v1.6.0") > 0.03);
    assert!(world.errors("v1.5.0") < 0.002, "the old version is well");
}

#[test]
fn slots_may_be_told_apart_by_any_label() {
    for directing in [Directing::Replicas, Directing::Route { name: "shop".into(), rule: 0 }] {
        let mut furniture = Furniture { directing, ..routed() };
        for (name, slot) in &mut furniture.slots {
            slot.selector = BTreeMap::from([("app".to_owned(), format!("shop-{name}"))]);
            slot.replicas = Some(2);
        }
        let state = State::new(furniture, Scenario::Good, BEGIN);
        assert!((state.picture().answered() - 1.0).abs() < 1e-9, "{:?}", state.picture());
    }
    let mut furniture = shop(2);
    furniture.slots.get_mut("shop").unwrap().selector =
        BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    assert_eq!(State::new(furniture, Scenario::Good, BEGIN).picture().answered(), 1.0);
}

#[test]
fn half_of_a_stuck_canary_is_ready_rounded_down() {
    for (wanted, ready) in [(1, 0), (2, 1), (5, 2)] {
        let mut world = World::begin(by_replicas(), Scenario::StuckHalfWay);
        set_image(&mut world.state, "shop-canary", NEW);
        scale(&mut world.state, "shop-canary", wanted);
        world.pass(120);
        assert_eq!(world.state.picture().slot("canary").map(|canary| canary.ready), Some(ready));
        assert_eq!(world.telemetry.traffic().users().unanswered(), 0);
    }
}

#[test]
fn weights_that_come_to_nothing_fail_every_request() {
    let mut world = World::begin(routed(), Scenario::Good);
    weigh(&mut world.state, 0, 0);
    world.pass(2);
    let before = world.telemetry.traffic().users().unanswered();
    world.pass(30);
    let lost = world.telemetry.traffic().users().unanswered() - before;
    assert!((1_100..1_300).contains(&lost), "{lost} in half a minute");
    assert!(world.telemetry.traffic().users().failed() >= lost);
}

#[test]
fn a_selector_that_points_at_nobody_is_noticed_by_all() {
    let mut world = World::begin(furniture(3), Scenario::Good);
    switch(&mut world.state, "purple");
    world.pass(30);
    let users = world.telemetry.traffic().users();
    assert!((1_050..1_250).contains(&users.unanswered()), "{users:?}");
    switch(&mut world.state, "green");
    world.pass(30);
    scale(&mut world.state, "backend-green", 0);
    let before = world.telemetry.traffic().users().unanswered();
    world.pass(30);
    let lost = world.telemetry.traffic().users().unanswered() - before;
    assert!(lost > 1_000, "{lost}: selecting is not serving");
}
