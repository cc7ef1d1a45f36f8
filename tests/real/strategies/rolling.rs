//! One Deployment whose pods are replaced one after the other: old and new revision serve side by side, and no user ever finds
//! nobody.

use std::time::Duration;

use cutover::domain::{
    event::{Outcome, RunEvent},
    message::Command as Order,
};
use serde_json::Value;

use super::{
    NEW, OLD, Place, TROUBLES, Way, deployment, ends, flies_to, held, namespace, refused, runbook, service,
};
use crate::{
    helm::Helm,
    line::proxy_before,
    rights::{assert_enough, with_printed_roles},
};

const COURSE: &str = include_str!("rolling.toml");
const BACKEND: &str = "deployment/backend";
/// Ready after eight seconds: the rollout of four takes half a minute.
const SLOW: &str = "registry.example.com/backend:v1.6.0-slow";
const PODS: usize = 4;
/// Before the new pod is ready no old one goes.
const GENTLE: &str = "strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }";

struct Shop {
    place: Place,
    /// The template as the flight found it, and its revision.
    template: Value,
    hash: String,
}

impl Shop {
    /// With an image to go out, and what the Deployment's spec has beside.
    fn new(image: &str, spec: &str) -> Self {
        Self::with(&runbook(COURSE, image, "$hash"), spec)
    }

    fn with(runbook: &str, spec: &str) -> Self {
        let manifest = |name: &str| {
            let pods = PODS.to_string();
            [
                namespace(name),
                service(name, "backend-service", "app: backend"),
                deployment(name, "backend", "app: backend", [OLD, &pods, spec]),
            ]
            .concat()
        };
        let place = Place::furnished(runbook, manifest, Way::Service);
        place.await_users(PODS);
        let (template, hash) = (place.template("backend"), place.pods()[0].hash.clone());
        Self { place, template, hash }
    }

    /// Flies until so many new pods serve beside the old ones.
    fn fly_into_the_rollout(&self, helm: &mut Helm, image: &str) {
        helm.fly_until("first new pod", |_| self.place.ready(image) > 0);
        assert!(self.place.ready(OLD) > 0 && !helm.passed("deploy"), "{}", helm.story());
    }

    /// Only pods of this image, all ready.
    fn runs_alone(&self, image: &str) -> bool {
        let pods = self.place.pods();
        pods.len() == PODS && pods.iter().all(|pod| pod.ready && pod.image == image)
    }

    fn assert_landed(&self, helm: &Helm, image: &str) {
        self.place.eventually("the new version serves alone", || self.runs_alone(image));
        assert_eq!(self.place.image("backend"), image);
        self.place.assert_all_answered(helm);
    }

    /// The template is the one at the opening, down to the last field, and so is every pod's revision.
    fn assert_as_before(&self, helm: &Helm) {
        self.place.eventually("the old revision serves alone", || {
            self.runs_alone(OLD) && self.place.pods().iter().all(|pod| pod.hash == self.hash)
        });
        assert_eq!(self.place.template("backend"), self.template, "{}", helm.story());
        let deployment = self.place.object("deployment", "backend").unwrap();
        assert!(deployment["spec"]["paused"] != true, "{deployment}");
    }

    /// The rollback that was ordered comes to its end, and none of the users has found nobody.
    fn assert_rolls_back(&self, mut helm: Helm) {
        ends(&mut helm, Outcome::RolledBack);
        self.assert_as_before(&helm);
        self.place.assert_all_answered(&helm);
        assert_eq!(helm.close(), 5);
    }
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_good_release_lands() {
    let shop = Shop::new(NEW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    flies_to(&mut helm, Outcome::Succeeded);
    shop.assert_landed(&helm, NEW);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_in_the_middle_of_the_rollout() {
    let shop = Shop::new(SLOW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_person_rolls_back_in_the_window() {
    let shop = Shop::new(NEW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

/// Triggers are armed with the first new pod: what a quarter of the users meets is enough.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn errors_of_the_first_pods_are_rolled_back_by_the_trigger() {
    let shop = Shop::new(SLOW, GENTLE);
    shop.place.app.errs("v1.6.0-slow", 0.3);
    let mut helm = Helm::open(&shop.place);
    flies_to(&mut helm, Outcome::RolledBack);
    assert!(helm.has(|event| matches!(event, RunEvent::TriggerFired { .. })), "{}", helm.story());
    assert!(!helm.passed("deploy"), "{}", helm.story());
    shop.assert_as_before(&helm);
    shop.place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_image_that_is_not_there() {
    let shop = Shop::new("registry.example.com/backend:v1.6.0-missing", GENTLE);
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("failure", |helm| helm.failed("deploy"));
    assert!(helm.story().contains("pull"), "{}", helm.story());
    assert_eq!(shop.place.ready(OLD), PODS);
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

/// The default of Kubernetes lets a quarter of the pods be missing while the new ones start, and a rollback is a rollout too.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_rollback_of_pods_that_are_never_ready_with_the_default_strategy() {
    let shop = Shop::new("registry.example.com/backend:v1.6.0-unready", "progressDeadlineSeconds: 10");
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("failure", |helm| helm.failed("deploy"));
    assert!(helm.story().contains("deadline"), "{}", helm.story());
    assert_eq!((shop.place.ready(OLD), shop.place.pods().len()), (3, 5));
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn somebody_undoes_the_rollout() {
    let shop = Shop::new(SLOW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    shop.place.kubectl(&["rollout", "undo", BACKEND]);
    let reason = held(&mut helm);
    assert!(reason.contains("v1.5.0") && reason.contains("kubectl"), "{reason}");
    helm.confirm();
    helm.wait(Duration::from_secs(2));
    assert!(!helm.passed("deploy"), "{}", helm.story());
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

/// … or sets another image: the way back is still the template at the opening, not the revision before.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn somebody_sets_another_image() {
    let shop = Shop::new(SLOW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    shop.place.kubectl(&["set", "image", BACKEND, "backend=registry.example.com/backend:v6.6.6"]);
    let reason = held(&mut helm);
    assert!(reason.contains("v6.6.6") && reason.contains("kubectl"), "{reason}");
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

/// The old ReplicaSet is deleted as soon as the rollout is over, and with it what else the template had: the image goes back.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn no_history_is_kept() {
    let shop = Shop::new(NEW, "revisionHistoryLimit: 0");
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    shop.place.eventually("one ReplicaSet is left", || {
        shop.place.object("replicasets", "--selector=app=backend").unwrap()["items"].as_array().unwrap().len()
            == 1
    });
    helm.roll_back();
    ends(&mut helm, Outcome::RolledBack);
    assert!(helm.story().contains("ReplicaSet") && helm.story().contains("gone"), "{}", helm.story());
    // Nothing but the image was changed, so the template is the same again, and its hash too.
    shop.assert_as_before(&helm);
    shop.place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}

/// … while the rollout is under way the old ReplicaSet is still there.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn no_history_is_kept_and_a_person_rolls_back_in_the_middle() {
    let shop = Shop::new(SLOW, &format!("{GENTLE}\n  revisionHistoryLimit: 0"));
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn all_pods_at_once_is_not_a_rolling_update() {
    let shop = Shop::new(NEW, "strategy: { rollingUpdate: { maxUnavailable: 100% } }");
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("refusal", |helm| helm.failed("deploy"));
    assert!(helm.story().contains("maxUnavailable"), "{}", helm.story());
    assert_eq!((shop.place.image("backend").as_str(), shop.place.ready(OLD)), (OLD, PODS));
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

/// Somebody has paused the Deployment: the image is set, and nothing happens.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_paused_deployment() {
    let shop = Shop::new(NEW, GENTLE);
    shop.place.kubectl(&["rollout", "pause", BACKEND]);
    let said = refused(&shop.place);
    assert!(said.contains("is paused; resume it first"), "{said}");
    shop.place.kubectl(&["rollout", "resume", BACKEND]);
    // Somebody pauses it once the run is open.
    let mut helm = Helm::open(&shop.place);
    helm.wait_until("the run", |helm| helm.run.is_some());
    shop.place.kubectl(&["rollout", "pause", BACKEND]);
    helm.fly_until("failure", |helm| helm.failed("deploy"));
    assert!(helm.story().contains("paused"), "{}", helm.story());
    assert_eq!(shop.place.ready(OLD), PODS);
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

/// A stop after the first pods, a look at them, and on.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_rollout_that_stops_after_its_first_pods() {
    let deploy = r#"  { name = "rollout", rollout = "new", timeout = "55s" },
]
check = [{ text = "Pods", pods_ready = { slot = "new", at_least = 4 }, interval = "500ms", timeout = "45s" }]
"#;
    let stops = r#"  { name = "pause", pause = "new" },
]
check = [{ text = "A pod", pods_ready = "new", interval = "500ms", timeout = "45s" }]
window = { lasts = "8s" }
"#;
    let goes_on = r#"[[step]]
id = "rest"
title = "The rest"
run = [{ name = "resume", resume = "new" }, { name = "rollout", rollout = "new", timeout = "55s" }]

[[step]]
id = "monitor""#;
    assert!(COURSE.contains(deploy));
    let course = COURSE.replace(deploy, stops).replace("[[step]]\nid = \"monitor\"", goes_on);
    for outcome in [Outcome::Succeeded, Outcome::RolledBack] {
        let shop = Shop::with(&runbook(&course, NEW, "$hash"), GENTLE);
        let mut helm = Helm::open(&shop.place);
        helm.fly_until("look at the first pods", |helm| {
            helm.has(|event| matches!(event, RunEvent::WindowOpened { .. }))
        });
        helm.wait(Duration::from_secs(3));
        let (old, new) = (shop.place.ready(OLD), shop.place.ready(NEW));
        assert!(old >= 3 && (1..4).contains(&new), "{old} old, {new} new: {}", helm.story());
        if outcome == Outcome::RolledBack {
            helm.roll_back();
            shop.assert_rolls_back(helm);
            continue;
        }
        flies_to(&mut helm, outcome);
        shop.assert_landed(&helm, NEW);
        assert_eq!(helm.close(), 0);
    }
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_engine_that_is_killed_in_the_middle_goes_on() {
    let shop = Shop::new(SLOW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    helm.kill();
    let mut helm = Helm::resume(&shop.place);
    helm.wait_until("hold", Helm::is_held);
    helm.order(&Order::Continue);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    flies_to(&mut helm, Outcome::Succeeded);
    shop.assert_landed(&helm, SLOW);
    assert_eq!(helm.close(), 0);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_engine_that_is_killed_in_the_middle_goes_back() {
    let shop = Shop::new(SLOW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    helm.kill();
    let helm = Helm::resume(&shop.place);
    helm.roll_back();
    shop.assert_rolls_back(helm);
}

/// … and so does one that is killed in the middle of the way back.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_engine_that_is_killed_on_the_way_back_goes_on_with_it() {
    let shop = Shop::new(SLOW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    helm.roll_back();
    helm.wait_until("wait for the old pods", |helm| helm.began("back"));
    helm.kill();
    let mut helm = Helm::resume(&shop.place);
    helm.fly_until("end", Helm::is_over);
    shop.assert_rolls_back(helm);
}

/// The second deployment begins where the first has ended and somebody has gone on, and its way back leads there: two revisions
/// have the image that it goes back to, and only one of them is right.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn two_deployments_in_a_row() {
    let shop = Shop::new(NEW, GENTLE);
    let mut helm = Helm::open(&shop.place);
    flies_to(&mut helm, Outcome::Succeeded);
    assert_eq!(helm.close(), 0);
    shop.place.kubectl(&["set", "env", BACKEND, "MODE=fancy"]);
    shop.place.kubectl(&["rollout", "status", BACKEND, "--timeout=30s"]);
    let landed = shop.place.template("backend");
    assert_eq!(landed["spec"]["containers"][0]["env"][0]["value"], "fancy");
    shop.place.edit(NEW, "registry.example.com/backend:v1.7.0");
    let mut helm = Helm::open(&shop.place);
    helm.fly_until("deploy", |helm| helm.passed("deploy"));
    helm.roll_back();
    ends(&mut helm, Outcome::RolledBack);
    shop.assert_landed(&helm, NEW);
    assert_eq!(shop.place.template("backend"), landed, "{}", helm.story());
    assert_eq!(helm.close(), 5);
}

/// … and nothing more than what `plan --rbac` prints is needed for a rollout and the way back.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_printed_roles_are_enough() {
    let mut shop = Shop::new(SLOW, GENTLE);
    with_printed_roles(&mut shop.place);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    helm.roll_back();
    ends(&mut helm, Outcome::RolledBack);
    assert_enough(&shop.place, &helm);
    shop.assert_rolls_back(helm);
}

/// The write that takes the rollout back meets trouble, and is done all the same.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn the_revert_meets_trouble() {
    let mut shop = Shop::new(SLOW, GENTLE);
    let proxy = proxy_before(&mut shop.place);
    for (trouble, times) in TROUBLES {
        let mut helm = Helm::open(&shop.place);
        shop.fly_into_the_rollout(&mut helm, SLOW);
        proxy.rule("PATCH", &["deployments/backend"], times, trouble);
        helm.roll_back();
        ends(&mut helm, Outcome::RolledBack);
        proxy.clear();
        shop.assert_rolls_back(helm);
    }
}

/// An autoscaler may have any number of pods: no reason to hold, and none to change it.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn an_autoscaler_scales_in_the_middle() {
    let shop = Shop::new(SLOW, GENTLE);
    // There are no metrics in this cluster: it keeps what there is, within its bounds.
    shop.place.kubectl(&["autoscale", BACKEND, "--min=2", "--max=6", "--cpu-percent=80"]);
    let mut helm = Helm::open(&shop.place);
    shop.fly_into_the_rollout(&mut helm, SLOW);
    shop.place.scale("backend", 5);
    helm.wait(Duration::from_secs(3));
    assert!(!helm.is_held(), "{}", helm.story());
    helm.roll_back();
    ends(&mut helm, Outcome::RolledBack);
    shop.place.eventually("the old version serves alone", || {
        shop.place.ready(OLD) == 5 && shop.place.pods().len() == 5
    });
    assert_eq!(shop.place.template("backend"), shop.template, "{}", helm.story());
    shop.place.assert_all_answered(&helm);
    assert_eq!(helm.close(), 5);
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn in_the_middle_of_somebody_elses_rollout_no_run_begins() {
    let shop = Shop::new(NEW, GENTLE);
    shop.place.kubectl(&["set", "image", BACKEND, &format!("backend={SLOW}")]);
    shop.place.eventually("a pod of it", || shop.place.pods().iter().any(|pod| pod.image == SLOW));
    let said = refused(&shop.place);
    assert!(said.contains("in the middle of a rollout") && said.contains("kubectl rollout undo"), "{said}");
}
