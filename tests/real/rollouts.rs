//! Rollouts that cannot succeed, as real controllers, a real scheduler and a real API server tell of them.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use cutover::{
    adapters::{clock::SystemClock, kube::KubeConnector},
    domain::{
        director::Director,
        id::SlotName,
        rollout::{Patience, RolloutCause, RolloutVerdict, RolloutWatch},
        runbook::{Slot, Target},
        time::Span,
    },
    engine::ports::{Clock as _, Cluster},
};

use super::{
    place::{GREEN, NEW, PODS},
    plane::{IN_THE_AIR, PLANE, furniture},
};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A namespace with blue on two pods and green asleep beside it, seen through the adapter.
struct Ground {
    namespace: String,
    kube: Arc<dyn Cluster>,
    clock: SystemClock,
}

fn green() -> SlotName {
    "green".into()
}

/// Does this on a ground of its own, beside others.
fn on_ground(does: impl AsyncFnOnce(Ground)) {
    let _shared = IN_THE_AIR.read().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { does(Ground::new().await).await });
}

impl Ground {
    async fn new() -> Self {
        let namespace = format!("rollout-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        PLANE.apply(&furniture(&namespace, [PODS, 0]));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let slot = |name: &str| {
            let selector = [("version".to_owned(), name.to_owned())].into();
            (name.into(), Slot { deployment: format!("backend-{name}"), selector, service: None })
        };
        let target = Target {
            context: None,
            cluster_uid: None,
            namespace: namespace.clone(),
            service: "backend-service".to_owned(),
            slots: [slot("blue"), slot("green")].into(),
            container: "backend".to_owned(),
            director: Director::default(),
        };
        let kubeconfig = std::fs::read_to_string(&PLANE.kubeconfig).unwrap();
        let connector = KubeConnector::from_kubeconfig_text(kubeconfig, Arc::new(SystemClock::new()));
        let kube = connector.open(&target).await.unwrap();
        Self { namespace, kube, clock: SystemClock::new() }
    }

    fn kubectl(&self, args: &[&str]) {
        let output = PLANE.kubectl(&[&["--namespace", &self.namespace], args].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn patch(&self, spec: &str) {
        self.kubectl(&["patch", "deployment", GREEN, "--patch", &format!("{{\"spec\": {spec}}}")]);
    }

    async fn deploy(&self, image: &str) {
        self.kube.set_image(&green(), "backend", image, None).await.unwrap();
        self.kube.scale(&green(), 2, None).await.unwrap();
    }

    /// The end of the rollout, with this patience, and what was said on the way.
    async fn follow(&self, patience: Patience) -> (RolloutVerdict, Vec<String>) {
        let mut watch = RolloutWatch::new(patience);
        let mut words: Vec<String> = Vec::new();
        let until = Instant::now() + Duration::from_mins(3);
        while Instant::now() < until {
            let facts = self.kube.rollout(&green()).await.unwrap();
            let verdict = watch.look(&facts, self.clock.now());
            let RolloutVerdict::Progressing { gist, .. } = &verdict else { return (verdict, words) };
            if words.last() != Some(gist) {
                words.push(gist.clone());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("neither complete nor stuck: {words:#?}");
    }

    /// The words with which the rollout fails of this cause.
    async fn fails(&self, wanted: RolloutCause) -> String {
        match self.follow(Patience::ByCause).await {
            (RolloutVerdict::Stuck { cause, text, .. }, _) if cause == wanted => text,
            other => panic!("not {wanted:?}: {other:#?}"),
        }
    }

    async fn completes(&self) {
        let (end, words) = self.follow(Patience::Of(Span::from_mins(5))).await;
        assert_eq!(end, RolloutVerdict::Complete, "{words:#?}");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = PLANE.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_good_rollout_is_complete_and_an_image_that_is_missing_is_told() {
    on_ground(async |ground| {
        ground.deploy(NEW).await;
        ground.completes().await;
        ground.deploy("registry.example.com/backend:v1.7.0-missing").await;
        let text = ground.fails(RolloutCause::ImagePull).await;
        assert!(text.contains("backend:v1.7.0-missing") && text.contains("not found"), "{text}");
        ground.deploy(NEW).await;
        ground.completes().await;
    });
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_crash_loop_is_told() {
    on_ground(async |ground| {
        ground.deploy("registry.example.com/backend:v1.7.0-crash").await;
        let text = ground.fails(RolloutCause::CrashLoop).await;
        assert!(text.contains("3 restarts") && text.contains("exit code 1"), "{text}");
    });
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_quota_is_told_and_once_it_is_lifted_the_rollout_goes_on() {
    on_ground(async |ground| {
        ground.kubectl(&["create", "quota", "pods", "--hard=pods=3"]);
        ground.deploy(NEW).await;
        let text = ground.fails(RolloutCause::Quota).await;
        assert!(text.contains("exceeded quota: pods") && text.contains("limited: pods=3"), "{text}");
        ground.kubectl(&["delete", "quota", "pods"]);
        ground.completes().await;
    });
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn what_forbids_pods_is_told() {
    on_ground(async |ground| {
        PLANE.apply(&format!(
            "apiVersion: v1\nkind: LimitRange\nmetadata: {{ name: small, namespace: {} }}\n\
         spec: {{ limits: [{{ type: Container, max: {{ cpu: 100m }} }}] }}\n",
            ground.namespace
        ));
        ground.patch(
        r#"{"template": {"spec": {"containers": [{"name": "backend", "resources": {"limits": {"cpu": "1"}}}]}}}"#,
    );
        ground.deploy(NEW).await;
        let text = ground.fails(RolloutCause::Refused).await;
        assert!(text.contains("maximum cpu usage per Container is 100m"), "{text}");
    });
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_webhook_that_is_not_there_is_told() {
    on_ground(async |ground| {
        let name = ground.namespace.clone();
        ground.kubectl(&["label", "namespace", &name, &format!("hooked={name}")]);
        PLANE.apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{ name: {name} }}\n\
         webhooks:\n\
         - name: policy.example.com\n\
         \x20 admissionReviewVersions: [v1]\n\
         \x20 sideEffects: None\n\
         \x20 failurePolicy: Fail\n\
         \x20 namespaceSelector: {{ matchLabels: {{ hooked: {name} }} }}\n\
         \x20 clientConfig: {{ url: 'https://127.0.0.1:1/' }}\n\
         \x20 rules: [{{ apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods] }}]\n"
    ));
        ground.deploy(NEW).await;
        let text = ground.fails(RolloutCause::Uncreated).await;
        assert!(text.contains("failed calling webhook") && text.contains("policy.example.com"), "{text}");
        ground.kubectl(&["delete", "validatingwebhookconfiguration", &name]);
        ground.completes().await;
    });
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn nodes_without_room_are_told() {
    on_ground(async |ground| {
        ground.patch(
        r#"{"template": {"spec": {"containers": [{"name": "backend", "resources": {"requests": {"cpu": "900"}}}]}}}"#,
    );
        ground.deploy(NEW).await;
        let text = ground.fails(RolloutCause::Unschedulable).await;
        assert!(text.contains("Insufficient cpu") && text.contains(GREEN), "{text}");
    });
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_pause_is_told_and_once_it_is_over_the_rollout_goes_on() {
    on_ground(async |ground| {
        ground.deploy(NEW).await;
        ground.completes().await;
        ground.kubectl(&["rollout", "pause", &format!("deployment/{GREEN}")]);
        ground.deploy("registry.example.com/backend:v1.7.0").await;
        let text = ground.fails(RolloutCause::Paused).await;
        assert!(text.contains("kubectl rollout resume"), "{text}");
        ground.kubectl(&["rollout", "resume", &format!("deployment/{GREEN}")]);
        ground.completes().await;
    });
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn a_deadline_is_told_and_does_not_stop_the_way_back() {
    on_ground(async |ground| {
        ground.patch(r#"{"progressDeadlineSeconds": 10}"#);
        ground.deploy(NEW).await;
        ground.completes().await;
        ground.deploy("registry.example.com/backend:v1.7.0-unready").await;
        let text = ground.fails(RolloutCause::Deadline).await;
        assert!(text.contains("has timed out progressing"), "{text}");
        assert!(text.contains("1 is running but not ready: Readiness probe failed"), "{text}");
        ground.deploy(NEW).await;
        let (end, words) = ground.follow(Patience::ByCause).await;
        assert_eq!(end, RolloutVerdict::Complete, "{words:#?}");
    });
}
