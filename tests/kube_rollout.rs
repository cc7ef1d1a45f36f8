//! Rollouts that cannot succeed, as the adapter sees them on the simulated cluster and the domain judges them: each cause is
//! found and told, one that passes is borne, and what ails other pods is not this rollout's fault.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    adapters::kube::{KubeConnector, Timing},
    domain::{
        id::SlotName,
        rollout::{Patience, PodStage, RolloutCause, RolloutFacts, RolloutVerdict, RolloutWatch},
        time::{Span, Timestamp},
    },
    engine::ports::Cluster,
    world::{cluster, scenario::Scenario},
};
use serde_json::json;

#[path = "support/kube.rs"]
mod kube;

use kube::{WallClock, target};

const GREEN: &str = "backend-green";
const OLD: &str = "registry.example.com/payment-system-backend:v1.5.0";
const NEW: &str = "registry.example.com/payment-system-backend:v1.6.0";
/// Fast enough for what takes minutes.
const SPEED: u32 = 60;
/// Longer than any of these rollouts takes once nothing is in its way.
const LONG: Span = Span::from_mins(30);

struct Stand {
    world: Arc<cluster::Cluster>,
    kube: Arc<dyn Cluster>,
    began: Instant,
    /// How much faster the simulated cluster lives.
    speed: u32,
}

/// How a rollout went on.
struct Story {
    end: RolloutVerdict,
    /// The words on the way, without times.
    words: Vec<String>,
}

impl Story {
    fn told(&self, word: &str) -> bool {
        self.words.iter().any(|words| words.contains(word))
    }

    /// The words of a failure with this cause.
    fn stuck(&self, wanted: RolloutCause) -> &str {
        match &self.end {
            RolloutVerdict::Stuck { cause, text, .. } if *cause == wanted => text,
            other => panic!("not {wanted:?} but {other:?}, after {:#?}", self.words),
        }
    }

    fn assert_complete(&self) {
        assert_eq!(self.end, RolloutVerdict::Complete, "{:#?}", self.words);
    }
}

impl Stand {
    async fn new() -> Self {
        Self::in_scenario(Scenario::Good, SPEED).await
    }

    async fn in_scenario(scenario: Scenario, speed: u32) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = kube::world(kube::furniture(3), scenario, speed).await;
        let connector = KubeConnector::from_kubeconfig_text(world.kubeconfig(), Arc::new(WallClock))
            .with_timing(Timing { look: Duration::from_secs(10), ..Timing::default() });
        let kube = connector.open(&target()).await.unwrap();
        Self { world, kube, began: Instant::now(), speed }
    }

    /// The cluster's time, as far as spans go.
    fn now(&self) -> Timestamp {
        let real = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        Timestamp(0) + Span::from_millis(real * u64::from(self.speed))
    }

    async fn deploy(&self) {
        self.kube.set_image(&green(), "backend", NEW, None).await.unwrap();
    }

    async fn facts(&self) -> RolloutFacts {
        self.kube.rollout(&green()).await.unwrap()
    }

    /// Follows a rollout to its end, or until `enough` says so.
    async fn follow_until(&self, patience: Patience, enough: impl Fn(&str) -> bool) -> Story {
        let mut watch = RolloutWatch::new(patience);
        let mut words: Vec<String> = Vec::new();
        let deadline = Instant::now() + Duration::from_mins(1);
        while Instant::now() < deadline {
            let end = watch.look(&self.facts().await, self.now());
            let RolloutVerdict::Progressing { gist, .. } = &end else { return Story { end, words } };
            if words.last() != Some(gist) {
                words.push(gist.clone());
            }
            if enough(gist) {
                return Story { end, words };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("neither complete nor stuck: {words:#?}");
    }

    async fn follow(&self, patience: Patience) -> Story {
        self.follow_until(patience, |_| false).await
    }

    fn condition(&self, kind: &str) -> Option<serde_json::Value> {
        let deployment = self.world.object("deployments", GREEN).unwrap();
        let conditions = deployment["status"]["conditions"].as_array().unwrap().clone();
        conditions.into_iter().find(|condition| condition["type"] == kind)
    }
}

fn green() -> SlotName {
    "green".into()
}

#[tokio::test]
async fn a_good_rollout_says_what_the_others_wait_for_and_is_complete() {
    let stand = Stand::in_scenario(Scenario::SlowRollout, 30).await;
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    story.assert_complete();
    for word in [
        "of 3 pods have the new template",
        "1 waits for its image",
        "1 is running but not ready: Readiness probe failed",
    ] {
        assert!(story.told(word), "`{word}` is not in {:#?}", story.words);
    }
}

#[tokio::test]
async fn an_image_that_no_registry_has_ends_the_rollout_with_its_words() {
    let stand = Stand::new().await;
    stand.world.fail_pulls(NEW, true);
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::ImagePull);
    assert!(text.contains(NEW) && text.contains("not found") && text.contains(GREEN), "{text}");
    // Also where it is first looked at in the back-off, whose own message says nothing: the events do.
    for _ in 0..500 {
        let pods = stand.facts().await.pods;
        if let Some(PodStage::PullFailed { reason, why, .. }) = pods.first().map(|pod| &pod.stage)
            && reason == "ImagePullBackOff"
        {
            assert!(why.contains("not found"), "{why}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the kubelet never backs off");
}

#[tokio::test]
async fn an_image_that_comes_late_is_waited_for_with_the_runbooks_patience() {
    let stand = Stand::new().await;
    stand.world.fail_pulls(NEW, true);
    stand.deploy().await;
    let story = stand.follow_until(Patience::Of(LONG), |words| words.contains("ImagePull")).await;
    assert!(story.told("1 waits for its image: "), "{:#?}", story.words);
    stand.world.fail_pulls(NEW, false);
    stand.follow(Patience::Of(LONG)).await.assert_complete();
}

#[tokio::test]
async fn a_program_that_ends_at_each_start_is_a_crash_loop() {
    let stand = Stand::new().await;
    stand.world.crash_at_start(GREEN, Some(3));
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::CrashLoop);
    assert!(text.contains("3 restarts") && text.contains("exit code 3"), "{text}");
    let RolloutVerdict::Stuck { pod: Some(pod), .. } = &story.end else { panic!("no pod") };
    assert!(stand.world.pods(GREEN).contains(pod), "{pod}");
    assert!(story.told("crashed and will restart"), "{:#?}", story.words);
    // One that finds what it needed before that is borne.
    let stand = Stand::new().await;
    stand.world.crash_at_start(GREEN, Some(1));
    stand.deploy().await;
    stand.follow_until(Patience::ByCause, |words| words.contains("crashed and will")).await;
    stand.world.crash_at_start(GREEN, None);
    stand.follow(Patience::ByCause).await.assert_complete();
}

#[tokio::test]
async fn a_secret_that_is_missing_ends_the_rollout() {
    let stand = Stand::new().await;
    stand.world.misconfigure(GREEN, Some("secret \"payment-db\" not found"));
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::Config);
    assert!(text.contains("CreateContainerConfigError: secret \"payment-db\" not found"), "{text}");
}

#[tokio::test]
async fn a_quota_that_forbids_pods_ends_the_rollout_unless_it_is_lifted_in_time() {
    let stand = Stand::new().await;
    stand.world.limit_quota(Some(6));
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::Quota);
    assert!(text.contains("exceeded quota") && text.contains("limited: pods=6"), "{text}");
    assert_eq!(stand.condition("ReplicaFailure").unwrap()["reason"], "FailedCreate");
    stand.world.limit_quota(None);
    stand.follow(Patience::Of(LONG)).await.assert_complete();
    assert_eq!(stand.condition("ReplicaFailure"), None);
}

#[tokio::test]
async fn a_webhook_that_denies_pods_ends_the_rollout() {
    let stand = Stand::new().await;
    stand.world.refuse_pods(Some("images must be signed"));
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::Refused);
    assert!(text.contains("denied the request: images must be signed"), "{text}");
    assert!(story.told("0 of 3 pods have the new template; pods cannot be created"), "{:#?}", story.words);
}

#[tokio::test]
async fn nodes_without_room_end_the_rollout_unless_one_comes_in_time() {
    let stand = Stand::new().await;
    stand.world.limit_pods(Some(0));
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::Unschedulable);
    assert!(text.contains("nodes are available") && text.contains(GREEN), "{text}");
    assert!(story.told("1 waits for a node: 0/"), "{:#?}", story.words);
    stand.world.limit_pods(None);
    stand.follow(Patience::ByCause).await.assert_complete();
}

#[tokio::test]
async fn a_paused_deployment_ends_the_wait_and_rolls_out_once_it_is_resumed() {
    let stand = Stand::new().await;
    let pause = |paused: bool| {
        assert!(stand.world.edit("deployments", GREEN, |it| it["spec"]["paused"] = json!(paused)));
    };
    pause(true);
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    assert!(story.stuck(RolloutCause::Paused).contains("kubectl rollout resume"));
    assert_eq!(stand.condition("Progressing").unwrap()["reason"], "DeploymentPaused");
    pause(false);
    stand.follow(Patience::ByCause).await.assert_complete();
}

#[tokio::test]
async fn a_progress_deadline_is_told_with_what_the_pods_wait_for() {
    let stand = Stand::new().await;
    let short = |it: &mut serde_json::Value| it["spec"]["progressDeadlineSeconds"] = json!(40);
    assert!(stand.world.edit("deployments", GREEN, short));
    stand.world.fail_probes(GREEN, true);
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::Deadline);
    assert!(text.contains("has timed out progressing"), "{text}");
    assert!(text.contains("1 is running but not ready: Readiness probe failed"), "{text}");
}

#[tokio::test]
async fn what_ails_pods_of_the_old_template_is_not_this_rollouts_fault() {
    let stand = Stand::new().await;
    let old = stand.world.pods(GREEN);
    for pod in &old {
        let in_a_loop = |it: &mut serde_json::Value| {
            let status = &mut it["status"]["containerStatuses"][0];
            status["restartCount"] = json!(9);
            status["ready"] = json!(false);
            status["state"] =
                json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s" } });
            let conditions = it["status"]["conditions"].as_array_mut().unwrap();
            for condition in conditions.iter_mut().filter(|condition| condition["type"] == "Ready") {
                condition["status"] = json!("False");
            }
        };
        assert!(stand.world.edit("pods", pod, in_a_loop));
    }
    let mut ill = Vec::new();
    for _ in 0..500 {
        ill = stand.facts().await.pods;
        if ill.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(ill.iter().all(|pod| matches!(pod.stage, PodStage::Crashed { .. })) && ill.len() == 3, "{ill:?}");
    stand.deploy().await;
    stand.follow(Patience::ByCause).await.assert_complete();
}

#[tokio::test]
async fn without_leave_to_list_sets_and_events_the_cause_is_found_all_the_same() {
    let stand = Stand::new().await;
    stand.world.deny("list", "replicasets");
    stand.world.deny("list", "events");
    stand.world.fail_pulls(NEW, true);
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    let text = story.stuck(RolloutCause::ImagePull);
    assert!(text.contains(NEW) && text.contains("not found"), "{text}");

    let stand = Stand::new().await;
    stand.world.deny("list", "replicasets");
    stand.world.deny("list", "pods");
    stand.world.limit_quota(Some(6));
    stand.deploy().await;
    let story = stand.follow(Patience::ByCause).await;
    assert!(story.stuck(RolloutCause::Quota).contains("limited: pods=6"));
}

#[tokio::test]
async fn a_way_back_to_the_old_image_is_not_stopped_by_the_failure_of_the_new_one() {
    let stand = Stand::new().await;
    let short = |it: &mut serde_json::Value| it["spec"]["progressDeadlineSeconds"] = json!(60);
    assert!(stand.world.edit("deployments", GREEN, short));
    stand.world.fail_pulls(NEW, true);
    stand.deploy().await;
    // Both are true by then: the image, and the deadline.
    stand
        .follow_until(Patience::Endless, |_| stand.condition("Progressing").unwrap()["status"] == "False")
        .await;
    stand.kube.set_image(&green(), "backend", OLD, None).await.unwrap();
    stand.follow(Patience::ByCause).await.assert_complete();
}
