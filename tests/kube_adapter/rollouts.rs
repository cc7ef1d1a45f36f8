//! One Deployment that is two slots, and a Service that selects the pods of two: who has which pods and which share, at a look
//! and in the watch; revert, pause and resume.

use std::{sync::Arc, time::Duration};

use cutover::{
    domain::{
        director::{Director, Share, share_of},
        event::RollbackTarget,
        observation::Observation,
        runbook::{Slot, Target},
    },
    engine::ports::Fault,
    world::{
        cluster,
        scenario::Scenario,
        stage::{Directing, FurnishedSlot, Furniture},
    },
};
use serde_json::json;

use super::{Kube, NEW, connect_to, kube, slot, timing, until};

const OLD: &str = "registry.example.com/payment-system-backend:v1.5.0";
const SHOP: &str = "shop";

/// One Deployment `shop`, and a connection for whom it is the slots `old` and `new`.
struct One {
    world: Arc<cluster::Cluster>,
    kube: Kube,
}

fn one_target() -> Target {
    let described = || Slot { deployment: SHOP.to_owned(), selector: kube::labels("shop"), service: None };
    Target {
        slots: [(slot("old"), described()), (slot("new"), described())].into(),
        director: Director::Rollout,
        ..kube::target()
    }
}

impl One {
    async fn new() -> Self {
        let furniture = Furniture {
            slots: [("old".to_owned(), FurnishedSlot::new(SHOP, kube::labels("shop")))].into(),
            live: "old".into(),
            directing: Directing::Rollout,
            ..kube::furniture(3)
        };
        let world = kube::world(furniture, Scenario::Good, 60).await;
        let kube = connect_to(&world.kubeconfig(), timing(), one_target()).await.unwrap();
        Self { world, kube }
    }

    async fn see(&self) -> Observation {
        self.kube.observe().await.unwrap()
    }

    /// Looks until what is seen is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&Observation) -> bool) -> Observation {
        let mut last = None;
        for _ in 0..500 {
            let seen = self.see().await;
            if wanted(&seen) {
                return seen;
            }
            last = Some(seen);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {what}: {last:#?}");
    }

    /// So long does a pod have to be ready before its rollout goes on: an hour stops it half way, however busy this host is.
    async fn wait_for_each_pod(&self, seconds: u32) {
        assert!(self.world.edit("deployments", SHOP, |it| it["spec"]["minReadySeconds"] = json!(seconds)));
        self.until("caught up", |seen| seen.slots["old"].observed).await;
    }

    /// The run has begun, and half of the pods are new; nothing moves any more.
    async fn half_way(&self) -> (Observation, RollbackTarget) {
        self.wait_for_each_pod(3600).await;
        let before = self.see().await;
        let back = before.slots["old"].as_rollback_target(slot("old"));
        self.kube.began_with(back.hash.as_deref());
        self.kube.set_image(&slot("new"), "backend", NEW, Some(&before)).await.unwrap();
        self.until("half way", |seen| seen.slots["new"].ready() > 0 && seen.slots["old"].ready() > 0).await;
        self.world.freeze(true);
        let seen = self.see().await;
        assert!(seen.slots["new"].ready() > 0 && seen.slots["old"].ready() > 0, "{seen:#?}");
        (seen, back)
    }

    /// The template but for what is null in it, which means the same as what is not there.
    fn template(&self) -> serde_json::Value {
        let mut template = self.world.object("deployments", SHOP).unwrap()["spec"]["template"].clone();
        template["metadata"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        template
    }

    async fn until_old_alone(&self) -> Observation {
        self.until("all back", |seen| {
            let (old, new) = (&seen.slots["old"], &seen.slots["new"]);
            old.observed && old.ready() == 3 && new.pods == 0 && old.pods == 3
        })
        .await
    }
}

#[tokio::test]
async fn before_a_run_all_pods_of_the_template_are_the_old_slots() {
    let one = One::new().await;
    let seen = one.see().await;
    let (old, new) = (&seen.slots["old"], &seen.slots["new"]);
    assert_eq!(
        (old.ready(), old.pods, old.desired, old.kept),
        (3, 3, 3, 3),
        "25 % of three may be missing: none"
    );
    assert_eq!((new.ready(), new.pods, new.desired, new.hash.as_str()), (0, 0, 3, ""));
    assert!(!old.hash.is_empty() && old.hash == old.template_hash && old.hash == new.template_hash);
    assert!(old.revision.is_some() && old.image == OLD && new.image == OLD && old.uid == new.uid);
    assert!(!old.paused && old.observed);
    assert_eq!(seen.live(), Some(&slot("old")));
    assert_eq!(share_of(&seen.shares(), &slot("old")), Share::ALL);
    // It is one Deployment, and it is read once.
    let before = (one.world.count("GET", "/deployments/shop"), one.world.count("GET", "/pods"));
    one.see().await;
    let after = (one.world.count("GET", "/deployments/shop"), one.world.count("GET", "/pods"));
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    // Who may not list ReplicaSets is told by the conditions of the Deployment.
    one.world.deny("list", "replicasets");
    let blind = one.see().await;
    assert_eq!((&blind.slots["old"].hash, blind.slots["old"].revision), (&old.hash, None));
    assert_eq!((blind.slots["old"].ready(), blind.slots["new"].pods), (3, 0));
}

#[tokio::test]
async fn half_way_through_each_revision_has_its_own_pods_and_share() {
    let one = One::new().await;
    let before = one.see().await;
    let (seen, back) = one.half_way().await;
    let (old, new) = (&seen.slots["old"], &seen.slots["new"]);
    assert_eq!((old.image.as_str(), new.image.as_str()), (OLD, NEW));
    assert_eq!((old.hash.as_str(), Some(&old.hash)), (before.slots["old"].hash.as_str(), back.hash.as_ref()));
    assert!(new.hash != old.hash && new.hash == new.template_hash && old.template_hash == new.hash);
    assert_eq!(new.template_image, NEW);
    assert_eq!(new.revision, old.revision.map(|number| number + 1));
    let (ours, theirs) = (u64::from(new.ready()), u64::from(old.ready()));
    let share = share_of(&seen.shares(), &slot("new"));
    assert_eq!(share, Share::of(ours, ours + theirs));

    // The screen's pictures say the same, and nothing is watched twice.
    let picture = one.kube.look().await.unwrap();
    assert_eq!(picture.shares, seen.shares());
    assert_eq!(picture.live.as_ref(), seen.live());
    let mut pictures = Arc::clone(&one.kube).watch();
    let watched = until(&mut pictures, "with shares", |it| it.shares == seen.shares()).await;
    for it in [&picture, &watched] {
        let (before, after) = (&it.slots["old"], &it.slots["new"]);
        assert_eq!((u64::from(before.ready), u64::from(after.ready)), (theirs, ours));
        assert_eq!((before.hash.as_str(), after.hash.as_str()), (old.hash.as_str(), new.hash.as_str()));
        assert_eq!((before.image.as_str(), after.image.as_str()), (OLD, NEW));
        assert!(before.pods.iter().all(|pod| pod.version == "v1.5.0") && !before.pods.is_empty());
        assert!(after.pods.iter().all(|pod| pod.version == "v1.6.0") && !after.pods.is_empty());
    }
    let watches = |path: &str| {
        let all = one.world.recorded();
        let lists = all.iter().filter(|it| it.path.ends_with(path) && !it.query.contains("watch="));
        lists.filter(|it| it.query.contains("metadata.name%3Dshop")).count()
    };
    assert_eq!(watches("/deployments"), 1);

    // Who has not begun a run sees that somebody else's rollout is under way.
    let other = connect_to(&one.world.kubeconfig(), timing(), one_target()).await.unwrap();
    assert!(other.observe().await.unwrap().slots["new"].pods > 0);
}

#[tokio::test]
async fn a_revert_restores_the_template_while_the_rollout_is_under_way() {
    let one = One::new().await;
    let before = one.template();
    let (seen, back) = one.half_way().await;
    // Not the image alone has changed.
    one.world.freeze(false);
    assert!(one.world.edit("deployments", SHOP, |it| {
        it["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "BETA", "value": "on" }]);
    }));
    let stale = one.kube.revert(&slot("old"), &back, Some(&seen)).await.unwrap_err();
    assert_eq!(stale.kind, Fault::Conflict, "{stale}");
    assert!(stale.message.contains("kubectl-edit"), "{stale}");
    let seen = one.see().await;
    let said = one.kube.revert(&slot("old"), &back, Some(&seen)).await.unwrap();
    let number = back.revision.unwrap();
    assert!(said.contains(&format!("template set back to revision {number} ")), "{said}");
    assert!(said.contains("payment-system-backend:v1.5.0"), "{said}");
    assert_eq!(one.template(), before);
    let after = one.until_old_alone().await;
    assert_eq!(
        (&after.slots["old"].hash, after.slots["old"].image.as_str()),
        (back.hash.as_ref().unwrap(), OLD)
    );
    assert_eq!(after.slots["old"].template_hash, after.slots["old"].hash);
    // Its revision has another number now; it is the same revision.
    let patches = one.world.count("PATCH", "/");
    let again = one.kube.revert(&slot("old"), &back, Some(&after)).await.unwrap();
    assert!(again.contains("already has the template of revision"), "{again}");
    assert_eq!(one.world.count("PATCH", "/"), patches);
}

#[tokio::test]
async fn a_revert_without_its_replica_set_restores_the_image_and_says_so() {
    let one = One::new().await;
    assert!(one.world.edit("deployments", SHOP, |it| it["spec"]["revisionHistoryLimit"] = json!(0)));
    one.until("caught up", |seen| seen.slots["old"].observed).await;
    let (_, back) = one.half_way().await;
    one.world.freeze(false);
    one.wait_for_each_pod(0).await;
    one.until("the old set is gone", |seen| {
        seen.slots["old"].pods == 0 && seen.slots["old"].revision.is_none() && seen.slots["new"].ready() == 3
    })
    .await;
    let said = one.kube.revert(&slot("old"), &back, Some(&one.see().await)).await.unwrap();
    assert!(said.contains("is gone, so only the image of backend is"), "{said}");
    assert_eq!(one.template()["spec"]["containers"][0]["image"], OLD);
    one.until_old_alone().await;
}

#[tokio::test]
async fn a_revert_of_who_may_not_list_replica_sets_restores_the_image() {
    let one = One::new().await;
    let (seen, back) = one.half_way().await;
    one.world.deny("list", "replicasets");
    let said = one.kube.revert(&slot("old"), &back, Some(&seen)).await.unwrap();
    assert!(said.contains("ReplicaSets may not be listed, so only the image"), "{said}");
    assert_eq!(one.template()["spec"]["containers"][0]["image"], OLD);
    let unknown = RollbackTarget { hash: None, ..back.clone() };
    let again = one.kube.revert(&slot("old"), &unknown, None).await.unwrap();
    assert!(again.contains("already has that image: it is not known which revision it was"), "{again}");
}

#[tokio::test]
async fn a_pause_stops_the_rollout_and_a_revert_resumes_it() {
    let one = One::new().await;
    let (seen, back) = one.half_way().await;
    let said = one.kube.pause(&slot("new"), true, Some(&seen)).await.unwrap();
    assert!(said.starts_with("deployment/shop: rollout paused (generation "), "{said}");
    one.world.freeze(false);
    let paused = one.until("paused", |seen| seen.slots["new"].paused && seen.slots["new"].observed).await;
    let again = one.kube.pause(&slot("new"), true, Some(&paused)).await.unwrap();
    assert_eq!(again, "deployment/shop is paused already");
    // The controller's conditions do not name a revision now; the pods' labels do.
    let picture = one.kube.look().await.unwrap();
    assert_eq!(
        (picture.slots["old"].image.as_str(), picture.slots["new"].image.as_str()),
        (OLD, NEW),
        "{picture:#?}"
    );
    assert_eq!(picture.slots["old"].hash, paused.slots["old"].hash);
    // It stays where it is, though nothing else holds it.
    one.wait_for_each_pod(0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let still = one.see().await;
    assert!(still.slots["old"].pods > 0 && still.slots["new"].pods > 0, "{still:#?}");
    let said = one.kube.pause(&slot("new"), false, Some(&still)).await.unwrap();
    assert!(said.starts_with("deployment/shop: rollout resumed"), "{said}");
    let running =
        one.until("done", |seen| seen.slots["new"].ready() == 3 && seen.slots["old"].pods == 0).await;
    let said = one.kube.pause(&slot("new"), false, Some(&running)).await.unwrap();
    assert_eq!(said, "deployment/shop is not paused");

    one.kube.pause(&slot("new"), true, Some(&running)).await.unwrap();
    let said = one.kube.revert(&slot("old"), &back, None).await.unwrap();
    assert!(said.contains("its rollout was paused, and is resumed"), "{said}");
    let after = one.until_old_alone().await;
    assert!(!after.slots["old"].paused);
    // Only paused, the template as it should be.
    one.kube.pause(&slot("old"), true, None).await.unwrap();
    let said = one.kube.revert(&slot("old"), &back, None).await.unwrap();
    assert!(said.contains("already has the template") && said.contains("resumed"), "{said}");
    assert!(!one.see().await.slots["old"].paused);
}

#[tokio::test]
async fn two_revisions_with_the_same_image_are_two() {
    let one = One::new().await;
    one.wait_for_each_pod(3600).await;
    let back = one.see().await.slots["old"].as_rollback_target(slot("old"));
    one.kube.began_with(back.hash.as_deref());
    one.kube.restart(&slot("new"), None).await.unwrap();
    let seen = one.until("both", |seen| seen.slots["new"].ready() > 0 && seen.slots["old"].ready() > 0).await;
    assert_eq!((seen.slots["old"].image.as_str(), seen.slots["new"].image.as_str()), (OLD, OLD));
    assert_ne!(seen.slots["old"].hash, seen.slots["new"].hash);
    one.kube.revert(&slot("old"), &back, None).await.unwrap();
    one.until_old_alone().await;
}

#[tokio::test]
async fn logs_are_those_of_the_slots_own_revision() {
    let one = One::new().await;
    let none = one.kube.logs(&slot("new"), None, 10, None).await.unwrap_err();
    assert_eq!(none.kind, Fault::NotFound, "{none}");
    assert!(none.message.contains("has no pods of new"), "{none}");
    let (seen, _) = one.half_way().await;
    for (name, version) in [("old", "v1.5.0"), ("new", "v1.6.0")] {
        let read = one.kube.logs(&slot(name), None, 10, None).await.unwrap();
        let picture = one.kube.look().await.unwrap();
        let of_slot: Vec<_> = picture.slots[name].pods.iter().map(|pod| pod.name.clone()).collect();
        assert!(read.pods.iter().all(|pod| of_slot.contains(pod)), "{version}: {:?} {of_slot:?}", read.pods);
        assert!(!read.pods.is_empty() && seen.slots[name].pods as usize >= read.pods.len());
    }
}

#[tokio::test]
async fn with_replicas_the_most_ready_pods_lead_and_shares_follow_them() {
    let furniture = Furniture { directing: Directing::Replicas, ..kube::furniture(3) };
    let world = kube::world(furniture, Scenario::Good, 60).await;
    let target = Target { director: Director::Replicas, ..kube::target() };
    let kube = connect_to(&world.kubeconfig(), timing(), target).await.unwrap();
    let (blue, green) = (slot("blue"), slot("green"));
    let seen = kube.observe().await.unwrap();
    assert_eq!((seen.live(), share_of(&seen.shares(), &blue)), (Some(&blue), Share::ALL));
    let mut pictures = Arc::clone(&kube).watch();
    until(&mut pictures, "all blue", |it| {
        it.live == Some(blue.clone()) && share_of(&it.shares, &blue) == Share::ALL
    })
    .await;
    kube.scale(&green, 1, Some(&seen)).await.unwrap();
    let quarter = Share::of_thousand(250);
    let picture = until(&mut pictures, "a quarter green", |it| share_of(&it.shares, &green) == quarter).await;
    assert_eq!(picture.live, Some(blue.clone()));
    let seen = kube.observe().await.unwrap();
    assert_eq!((share_of(&seen.shares(), &green), seen.live()), (quarter, Some(&blue)));
    // More green pods than blue ones: it leads, and nobody has written anything.
    kube.scale(&green, 5, Some(&seen)).await.unwrap();
    until(&mut pictures, "green leads", |it| it.live == Some(green.clone())).await;
    assert_eq!(kube.observe().await.unwrap().live(), Some(&green));
}
