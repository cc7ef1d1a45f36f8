//! The Kubernetes adapter against the simulated API server, over real HTTP, with its misbehaviours.
//!
//! K1 to K5 are properties of the cluster port; each test reaches its figure.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    adapters::kube::{Fence, KubeConnector, Timing},
    domain::{
        action::PatchType,
        id::SlotName,
        rights::Right,
        time::{Span, Timestamp},
        workload::{Connection, RolloutState, Workload},
    },
    engine::ports::{Cluster, Fault, LogMarks, LogsRead, PortError, PortResult},
    world::{
        cluster::{self, ForeignEdit, Misbehaviour},
        scenario::Scenario,
    },
};
use serde_json::json;
use tokio::sync::mpsc;

#[path = "support/kube.rs"]
mod kube;

use kube::{WallClock, labels, target};

const SERVICE: &str = "/services/backend-service";
const NEW: &str = "registry.example.com/payment-system-backend:v1.6.0";
const ALWAYS: u32 = u32::MAX;

type Kube = Arc<dyn Cluster>;
type Json = serde_json::Value;

fn slot(name: &str) -> SlotName {
    name.into()
}

/// A simulated cluster at 60 times the speed, and a connection to it.
struct Stand {
    world: Arc<cluster::Cluster>,
    kube: Arc<dyn Cluster>,
}

/// Deadlines that no busy host reaches, and watches that begin anew often. The heartbeat is off, so that what is seen
/// came by the watches.
fn timing() -> Timing {
    Timing {
        look: Duration::from_secs(10),
        watch: Duration::from_secs(1),
        silence: Duration::from_millis(1300),
        heartbeat: Span::from_mins(60),
        picture: Duration::from_millis(10),
        backoff: Duration::from_millis(200),
        ..Timing::default()
    }
}

impl Stand {
    async fn new(scenario: Scenario) -> Self {
        Self::with(scenario, timing(), None).await
    }

    async fn with(scenario: Scenario, timing: Timing, fence: Option<Fence>) -> Self {
        let world = kube::world(kube::furniture(3), scenario, 60).await;
        let kube = connect(&world.kubeconfig(), timing, fence).await.unwrap();
        Self { world, kube }
    }

    fn fault(&self, method: &str, path: &str, times: u32, misbehaviour: Misbehaviour) {
        self.world.inject(cluster::Fault::next(method, path, misbehaviour).times(times));
    }

    /// The version label that the Service selects.
    fn selected(&self) -> String {
        self.world.selector().get("version").cloned().unwrap_or_default()
    }

    fn patches(&self) -> usize {
        self.world.count("PATCH", "/")
    }
}

async fn connect(kubeconfig: &str, timing: Timing, fence: Option<Fence>) -> PortResult<Arc<dyn Cluster>> {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut connector =
        KubeConnector::from_kubeconfig_text(kubeconfig, Arc::new(WallClock)).with_timing(timing);
    if let Some(fence) = fence {
        connector = connector.with_fence(fence);
    }
    Ok(connector.open(&target()).await?)
}

fn answer(code: u16, applied: bool) -> Misbehaviour {
    Misbehaviour::Answer { code, retry_after: None, applied }
}

/// The newest pictures until one is as wanted; panics after ten seconds with what was seen last.
async fn until(
    pictures: &mut mpsc::Receiver<Workload>,
    what: &str,
    wanted: impl Fn(&Workload) -> bool,
) -> Workload {
    let mut last = None;
    let found = async {
        while let Some(picture) = pictures.recv().await {
            if wanted(&picture) {
                return picture;
            }
            last = Some(picture);
        }
        panic!("the watch has ended");
    };
    let Ok(picture) = tokio::time::timeout(Duration::from_secs(10), found).await else {
        panic!("never {what}: {last:#?}");
    };
    picture
}

async fn until_complete(kube: &Arc<dyn Cluster>, name: &str) -> Vec<RolloutState> {
    let mut seen: Vec<RolloutState> = Vec::new();
    for _ in 0..500 {
        let state = kube.rollout(&slot(name)).await.unwrap().state();
        if seen.last() != Some(&state) {
            seen.push(state.clone());
        }
        if state == RolloutState::Complete {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the rollout never completes: {seen:?}");
}

// --- what it does ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_look_finds_slots_pods_and_who_is_live() {
    let stand = Stand::new(Scenario::Good).await;
    let it = stand.kube.look().await.unwrap();
    assert_eq!(it.live, Some(slot("blue")));
    assert_eq!(it.connection, Connection::Connected);
    assert!(!it.service_version.is_empty());
    let blue = &it.slots["blue"];
    assert!(blue.found && !blue.uid.is_empty());
    assert_eq!((blue.desired, blue.ready, blue.available, blue.updated), (3, 3, 3, 3));
    assert_eq!(blue.image, "registry.example.com/payment-system-backend:v1.5.0");
    assert_eq!(blue.rollout, RolloutState::Complete);
    assert_eq!(blue.pods.len(), 3);
    assert!(blue.pods.iter().all(|pod| pod.ready && pod.status == "Running" && pod.version == "v1.5.0"));
    assert_eq!(blue.counts, [("Running".to_owned(), 3)].into());

    let identity = stand.kube.identity().await.unwrap();
    assert_eq!((identity.context.as_str(), identity.namespace.as_str()), ("prod-eu-1", "production"));
    assert!(!identity.uid.is_empty() && identity.version.starts_with('v'));
    assert_eq!(identity.server, stand.world.url());
}

#[tokio::test]
async fn a_deployment_flies_from_new_image_to_switch_and_back() {
    let stand = Stand::new(Scenario::Good).await;
    let said = stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    assert!(
        said.starts_with(&format!("deployment/backend-green: image of backend set to {NEW} (generation ")),
        "{said}"
    );
    let seen = until_complete(&stand.kube, "green").await;
    assert!(seen.iter().any(|state| matches!(state, RolloutState::Progressing(_))), "{seen:?}");
    let again = stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    assert!(again.ends_with("already"), "{again}");

    stand.kube.look().await.unwrap();
    let gets = stand.world.count("GET", "/");
    let patches = stand.patches();
    let said = stand.kube.switch_traffic(&slot("green"), None).await.unwrap();
    assert!(said.starts_with("service/backend-service points at green: selects"), "{said}");
    assert_eq!(stand.selected(), "green");
    assert_eq!(
        (stand.world.count("GET", "/") - gets, stand.patches() - patches),
        (0, 1),
        "one request and no other"
    );
    stand.kube.switch_traffic(&slot("blue"), None).await.unwrap();
    assert_eq!(stand.selected(), "blue");
    assert_eq!((stand.world.count("GET", "/") - gets, stand.patches() - patches), (0, 2));

    let it = stand.kube.look().await.unwrap();
    assert_eq!(it.service_changed.map(|changed| changed.manager), Some("cutover".to_owned()));
    assert_eq!(it.slots["green"].changed.clone().map(|changed| changed.manager), Some("cutover".to_owned()));
    let mut staying = it.slots["green"].pods.iter().filter(|pod| pod.status != "Terminating");
    assert!(staying.all(|pod| pod.version == "v1.6.0"));
}

/// Deletes an object and makes another one of its name.
fn make_anew(stand: &Stand, plural: &str, name: &str) {
    let mut object = stand.world.object(plural, name).unwrap();
    assert!(stand.world.delete(plural, name));
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    stand.world.create(plural, object);
}

#[tokio::test]
async fn an_object_that_was_made_anew_is_a_conflict_and_not_a_wrong_value() {
    let stand = Stand::new(Scenario::Good).await;
    stand.kube.look().await.unwrap();
    make_anew(&stand, "services", "backend-service");
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
    assert!(fault.message.contains("made anew"), "{fault}");
    assert_eq!(stand.selected(), "blue");
    let seen = stand.kube.observe().await.unwrap();
    make_anew(&stand, "deployments", "backend-green");
    let fault = stand.kube.scale(&slot("green"), 5, Some(&seen)).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
    // What comes next sees the new ones.
    stand.kube.settle(None).await.unwrap();
    stand.kube.settle(Some(&slot("green"))).await.unwrap();
}

#[tokio::test]
async fn replicas_restarts_and_patches_are_written() {
    let stand = Stand::new(Scenario::Good).await;
    assert_eq!(
        stand.kube.scale(&slot("green"), 5, None).await.unwrap().split(" (").next().unwrap(),
        "deployment/backend-green: replicas set from 3 to 5"
    );
    until_complete(&stand.kube, "green").await;
    assert_eq!(stand.world.pods("backend-green").len(), 5);
    assert!(stand.kube.scale(&slot("green"), 5, None).await.unwrap().ends_with("already"));

    let before = stand.world.pods("backend-green");
    stand.kube.restart(&slot("green"), None).await.unwrap();
    until_complete(&stand.kube, "green").await;
    assert!(stand.world.pods("backend-green").iter().all(|pod| !before.contains(pod)));

    for (kind, patch_type, patch) in [
        ("service", PatchType::Merge, json!({ "metadata": { "annotations": { "merge": "1" } } })),
        ("service", PatchType::Strategic, json!({ "metadata": { "annotations": { "strategic": "1" } } })),
        (
            "service",
            PatchType::Json,
            json!([{ "op": "add", "path": "/metadata/annotations/json", "value": "1" }]),
        ),
    ] {
        let said = stand.kube.patch(kind, "backend-service", patch_type, &patch, None).await.unwrap();
        assert!(said.starts_with("service/backend-service patched (resourceVersion "), "{said}");
    }
    let annotations =
        stand.world.object("services", "backend-service").unwrap()["metadata"]["annotations"].clone();
    assert!(["merge", "strategic", "json"].iter().all(|key| annotations[key] == "1"), "{annotations}");
    let said = stand
        .kube
        .patch(
            "Deployment.apps/v1",
            "backend-green",
            PatchType::Merge,
            &json!({ "metadata": { "labels": { "x": "y" } } }),
            None,
        )
        .await
        .unwrap();
    assert!(said.starts_with("deployment/backend-green patched"), "{said}");
}

#[tokio::test]
async fn logs_of_all_pods_are_merged_and_bounded() {
    let stand = Stand::new(Scenario::Good).await;
    let all = stand.kube.logs(&slot("blue"), None, 50, None).await.unwrap().shown();
    assert!(!all.is_empty() && all.len() <= 50, "{all:?}");
    let pods: std::collections::BTreeSet<&str> = all.iter().map(|line| line.pod.as_str()).collect();
    assert_eq!(pods.len(), 3, "{pods:?}");
    let one = stand.world.pods("backend-blue").remove(0);
    let of_one = stand.kube.logs(&slot("blue"), Some(&one), 5, None).await.unwrap().lines;
    assert!(
        !of_one.is_empty() && of_one.len() <= 5 && of_one.iter().all(|line| line.pod == one),
        "{of_one:?}"
    );
    let missing = stand.kube.logs(&slot("blue"), Some("gone"), 5, None).await.unwrap_err();
    assert_eq!(missing.kind, Fault::NotFound);
    let outside = stand.kube.logs(&slot("blue"), Some("../../secrets/x"), 5, None).await.unwrap_err();
    assert_eq!(outside.kind, Fault::NotFound);
}

/// A check reads everything, once: all pods, however many lines, and the log before a restart.
#[tokio::test]
async fn a_check_reads_every_line_and_the_log_before_a_restart() {
    let world = kube::world(kube::furniture(20), Scenario::Good, 60).await;
    let kube = connect(&world.kubeconfig(), timing(), None).await.unwrap();
    let blue = slot("blue");
    let mut marks = LogMarks::new(Timestamp(0));
    let first = kube.logs_after(&blue, &mut marks).await.unwrap();
    assert_eq!((first.pods.len(), first.unread.len()), (20, 0), "{:?}", first.unread);
    let of = |pod: &str| first.lines.iter().filter(|line| line.pod == pod).count();
    assert!(first.pods.iter().all(|pod| of(pod) > 0));
    assert!(first.lines.len() > 2000, "{}", first.lines.len());
    // Read on, nothing twice: the next look begins where this one ended.
    let again = kube.logs_after(&blue, &mut marks).await.unwrap();
    assert!(again.lines.len() < first.lines.len() / 10, "{} after {}", again.lines.len(), first.lines.len());
    // A restart between two looks: the last words stand in the log before it, and are read once.
    let fatal = |read: &LogsRead| read.lines.iter().filter(|line| line.text.contains("FATAL")).count();
    assert!(world.crash_pod(&first.pods[0]));
    let mut seen = 0;
    for _ in 0..1_000 {
        let read = kube.logs_after(&blue, &mut marks).await.unwrap();
        assert_eq!(read.unread, []);
        seen += fatal(&read);
        if marks.finished.len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(marks.finished.len(), 1, "the start before was read to its end");
    assert_eq!(seen, 1);
    assert_eq!(fatal(&kube.logs_after(&blue, &mut marks).await.unwrap()), 0);
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_told_as_that() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.deny("get", "pods/log");
    let mut marks = LogMarks::new(Timestamp(0));
    let read = stand.kube.logs_after(&slot("blue"), &mut marks).await.unwrap();
    assert_eq!((read.lines.len(), read.pods.len(), read.unread.len()), (0, 0, 3));
    assert!(read.unread.iter().all(|(_, why)| why.contains("pods/log")), "{:?}", read.unread);
    let shown = stand.kube.logs(&slot("blue"), None, 50, None).await.unwrap();
    assert!(shown.lines.is_empty() && shown.shown().iter().all(|line| line.text.starts_with("(no log: ")));
    assert!(marks.newest.is_empty(), "once allowed, all of it is read");
}

#[tokio::test]
async fn headroom_is_evidence_or_says_why_it_is_not_known() {
    let stand = Stand::new(Scenario::Good).await;
    let some = stand.kube.headroom(&slot("green"), 1).await.unwrap();
    assert!(
        some.holds && some.evidence.contains("room for") && some.evidence.contains("1 wanted"),
        "{}",
        some.evidence
    );
    let many = stand.kube.headroom(&slot("green"), 1_000_000).await.unwrap();
    assert!(!many.holds, "{}", many.evidence);
    stand.world.deny("list", "nodes");
    let blind = stand.kube.headroom(&slot("green"), 1).await.unwrap_err();
    assert_eq!(blind.kind, Fault::Denied);
    assert!(blind.message.contains("ask for the verb `list` on `nodes`"), "{blind}");
}

/// The rights that a runbook needs which does everything.
fn asked(kube: &Arc<dyn Cluster>) -> Vec<Right> {
    let runbook = cutover::config::load_str("runbook.toml", include_str!("support/rights.toml")).runbook;
    kube.rights(&runbook.unwrap())
}

#[tokio::test]
async fn access_is_asked_for_by_object() {
    let stand = Stand::new(Scenario::Good).await;
    let rights = asked(&stand.kube);
    let all = stand.kube.access(&rights).await.unwrap();
    assert_eq!((all.patch_service, all.patch_deployments), (Some(true), Some(true)));
    assert_eq!(all.missing, []);
    stand.world.deny("patch", "services");
    let less = stand.kube.access(&rights).await.unwrap();
    assert_eq!((less.patch_service, less.patch_deployments), (Some(false), Some(true)));
    let [missing] = &less.missing[..] else { panic!("{:?}", less.missing) };
    assert_eq!(missing.right.names, ["backend-service"]);
    assert_eq!(stand.kube.access(&[]).await.unwrap().patch_service, None, "nobody has asked");
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_told_while_it_progresses() {
    let stand = Stand::new(Scenario::ImagePullError).await;
    stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    for _ in 0..500 {
        if let RolloutState::Progressing(words) = stand.kube.rollout(&slot("green")).await.unwrap().state()
            && (words.contains("ImagePullBackOff") || words.contains("ErrImagePull"))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the reason is never told");
}

// --- K1: at most one write for an intent -------------------------------------------------------------------------

#[tokio::test]
async fn k1_at_most_one_write_for_an_intent() {
    let faults = [
        (answer(429, false), Fault::Unavailable, false),
        (answer(500, false), Fault::Unknown, false),
        (answer(502, false), Fault::Unknown, false),
        (answer(503, false), Fault::Unknown, false),
        (answer(504, false), Fault::Unknown, false),
        (answer(504, true), Fault::Unknown, true),
        (Misbehaviour::Reset { applied: false }, Fault::Unknown, false),
        (Misbehaviour::Reset { applied: true }, Fault::Unknown, true),
        (Misbehaviour::Hang { applied: false }, Fault::Unknown, false),
        (Misbehaviour::Hang { applied: true }, Fault::Unknown, true),
        (Misbehaviour::Late(Duration::from_secs(3)), Fault::Unknown, true),
        (Misbehaviour::LoginPage, Fault::Unknown, false),
        (answer(403, false), Fault::Denied, false),
        (answer(422, false), Fault::Failed, false),
    ];
    let all = faults.map(|(misbehaviour, kind, applied)| async move {
        let silent = matches!(misbehaviour, Misbehaviour::Hang { .. } | Misbehaviour::Late(_));
        let write = if silent { Duration::from_millis(400) } else { Duration::from_secs(10) };
        let stand = Stand::with(Scenario::Good, Timing { write, ..timing() }, None).await;
        stand.world.freeze(true);
        stand.kube.look().await.unwrap();
        stand.fault("PATCH", "/", ALWAYS, misbehaviour.clone());
        let kube = &stand.kube;
        let annotation = json!({ "metadata": { "annotations": { "a": "b" } } });
        let (green, service) = (slot("green"), "backend-service");
        let calls: [(&str, PortResult<String>, usize); 5] = [
            ("switch", kube.switch_traffic(&green, None).await, stand.patches()),
            ("set_image", kube.set_image(&green, "backend", NEW, None).await, stand.patches()),
            ("scale", kube.scale(&green, 7, None).await, stand.patches()),
            ("restart", kube.restart(&green, None).await, stand.patches()),
            (
                "patch",
                kube.patch("service", service, PatchType::Merge, &annotation, None).await,
                stand.patches(),
            ),
        ];
        for (done, (what, result, patches)) in calls.into_iter().enumerate() {
            assert_eq!(patches, done + 1, "{what} after {misbehaviour:?} wrote more or less than once");
            match result {
                // Found out by looking; a patch of any object cannot be looked at.
                Ok(said) => assert!(
                    applied && what != "patch" && said.contains("confirmed by reading"),
                    "{what}: {said}"
                ),
                Err(fault) => {
                    assert_eq!(fault.kind, kind, "{what} after {misbehaviour:?}: {fault}");
                    assert!(!applied || what == "patch", "{what} after {misbehaviour:?}: {fault}");
                }
            }
        }
        assert_eq!(stand.selected(), if applied { "green" } else { "blue" });
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn k1_a_lost_write_whose_version_has_gone_can_never_arrive() {
    let write = Duration::from_secs(1);
    let stand = Stand::with(Scenario::Good, Timing { write, ..timing() }, None).await;
    stand.kube.look().await.unwrap();
    // The patch hangs; meanwhile another one moves the version with an annotation.
    stand.fault("PATCH", SERVICE, 1, Misbehaviour::Hang { applied: false });
    let other = connect(&stand.world.kubeconfig(), timing(), None).await.unwrap();
    let annotation = json!({ "metadata": { "annotations": { "harmless": "yes" } } });
    let green = slot("green");
    let (switched, ()) = tokio::join!(stand.kube.switch_traffic(&green, None), async {
        while stand.world.count("PATCH", SERVICE) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        other.patch("service", "backend-service", PatchType::Merge, &annotation, None).await.unwrap();
    });
    let fault = switched.unwrap_err();
    assert_eq!(fault.kind, Fault::Failed);
    assert!(fault.message.contains("cannot be applied any more"), "{fault}");
    assert_eq!(stand.selected(), "blue");
}

#[tokio::test]
async fn k1_reads_are_tried_three_times() {
    let stand = Stand::new(Scenario::Good).await;
    stand.fault("GET", "/deployments/backend-green", 2, answer(503, false));
    stand.kube.rollout(&slot("green")).await.unwrap();
    let before = stand.world.count("GET", "/deployments/backend-green");
    stand.fault("GET", "/deployments/backend-green", ALWAYS, answer(503, false));
    assert_eq!(stand.kube.rollout(&slot("green")).await.unwrap_err().kind, Fault::Unavailable);
    assert_eq!(stand.world.count("GET", "/deployments/backend-green") - before, 3);
}

#[tokio::test]
async fn a_fence_keeps_writes_from_leaving() {
    let fence: Fence = Arc::new(|| Err(PortError::failed("the lease is lost")));
    let stand = Stand::with(Scenario::Good, timing(), Some(fence)).await;
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!(fault, PortError::failed("the lease is lost"));
    assert_eq!(stand.patches(), 0);
}

// --- K2: no lost update ------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k2_a_racing_editor_is_never_overwritten() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.freeze(true);
    stand.kube.look().await.unwrap();
    let (mut conflicts, mut switched) = (0, 0);
    for round in 0..1000_u32 {
        let to = slot(if round % 2 == 0 { "green" } else { "blue" });
        let theirs = format!("editor-{round}");
        let edit = ForeignEdit::Selector(labels(&theirs));
        let before = stand.patches();
        let editor = async {
            // Earlier, at about the same time, and later than the patch.
            match round % 4 {
                0 => {}
                1 => tokio::time::sleep(Duration::from_micros(u64::from(round))).await,
                _ => {
                    while stand.patches() == before {
                        tokio::task::yield_now().await;
                    }
                }
            }
            assert!(stand.world.foreign_edit("kubectl-edit", &edit));
        };
        let (result, ()) = tokio::join!(stand.kube.switch_traffic(&to, None), editor);
        match result {
            Ok(_) => switched += 1,
            Err(fault) => {
                assert_eq!(fault.kind, Fault::Conflict, "{fault}");
                // This round's edit, or the one that ended the round before.
                assert!(fault.message.contains("it selects version=editor-"), "{fault}");
                assert!(fault.message.contains("changed by kubectl-edit"), "{fault}");
                conflicts += 1;
            }
        }
        assert_eq!(stand.selected(), theirs, "round {round} overwrote what it had not seen");
        assert!(stand.patches() - before <= 2);
    }
    assert!(
        conflicts >= 100 && switched >= 100,
        "a race with one winner is none: {conflicts} conflicts, {switched} switched"
    );
}

#[tokio::test]
async fn k2_a_harmless_change_does_not_stop_a_rollback() {
    let stand = Stand::new(Scenario::Good).await;
    let other = connect(&stand.world.kubeconfig(), timing(), None).await.unwrap();
    stand.kube.look().await.unwrap();
    for round in 0..20 {
        let annotation = json!({ "metadata": { "annotations": { format!("n{round}"): "kept" } } });
        other.patch("service", "backend-service", PatchType::Merge, &annotation, None).await.unwrap();
        let to = if round % 2 == 0 { "green" } else { "blue" };
        let before = stand.patches();
        stand.kube.switch_traffic(&slot(to), None).await.unwrap();
        assert_eq!(stand.selected(), to);
        assert_eq!(
            stand.patches() - before,
            2,
            "the first was refused with 409, the second had the version read since"
        );
    }
    let annotations =
        stand.world.object("services", "backend-service").unwrap()["metadata"]["annotations"].clone();
    assert!((0..20).all(|round| annotations[format!("n{round}")] == "kept"), "{annotations}");
}

#[tokio::test]
async fn k2_a_second_conflict_ends_it() {
    let stand = Stand::new(Scenario::Good).await;
    stand.kube.look().await.unwrap();
    stand.fault("PATCH", SERVICE, ALWAYS, answer(409, false));
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!((fault.kind, stand.patches()), (Fault::Conflict, 2));
}

#[tokio::test]
async fn k2_a_deployment_changed_by_somebody_else_is_a_conflict() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.freeze(true);
    // The read is answered late, so the edit falls between read and write.
    stand.fault("GET", "/deployments/backend-green", 1, Misbehaviour::Late(Duration::from_millis(200)));
    let edit = ForeignEdit::Replicas { deployment: "backend-green".to_owned(), replicas: 9 };
    let green = slot("green");
    let (result, ()) = tokio::join!(stand.kube.set_image(&green, "backend", NEW, None), async {
        while stand.world.count("GET", "/deployments/backend-green") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(stand.world.foreign_edit("kubectl-scale", &edit));
    });
    let fault = result.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict);
    assert!(fault.message.contains("kubectl-scale"), "{fault}");
    let deployment = stand.world.object("deployments", "backend-green").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 9);
    assert_ne!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], NEW);
}

// --- K3: watches converge ----------------------------------------------------------------------------------------

fn comparable(mut picture: Workload) -> Workload {
    picture.as_of = Timestamp(0);
    picture.connection = Connection::Connected;
    picture
}

#[tokio::test]
async fn k3_watches_converge_after_every_kind_of_trouble() {
    let stand = Stand::new(Scenario::Good).await;
    let mut pictures = Arc::clone(&stand.kube).watch();
    until(&mut pictures, "connected", |it| it.connection == Connection::Connected && it.live.is_some()).await;
    let troubles: [(&str, Option<(u32, Misbehaviour)>); 6] = [
        ("an end of stream", None),
        ("410 as an event", Some((4, Misbehaviour::WatchExpires))),
        ("410 as an answer", Some((6, answer(410, false)))),
        ("watches that end at once", Some((8, Misbehaviour::WatchEnds))),
        ("watches that go silent", Some((6, Misbehaviour::WatchGoesSilent))),
        ("server errors", Some((10, answer(503, false)))),
    ];
    for (round, (trouble, fault)) in troubles.into_iter().enumerate() {
        if let Some((times, misbehaviour)) = fault {
            stand.fault("GET", "watch=", times, misbehaviour);
        }
        stand.world.close_watches();
        if trouble.contains("410") {
            stand.world.expire_history();
        }
        let (to, replicas) = if round % 2 == 0 { ("green", 4) } else { ("blue", 2) };
        assert!(stand.world.foreign_edit("kubectl-edit", &ForeignEdit::Selector(labels(to))));
        let deployment = "backend-green".to_owned();
        assert!(stand.world.foreign_edit("kubectl-scale", &ForeignEdit::Replicas { deployment, replicas }));
        assert!(stand.world.crash_pod(&stand.world.pods("backend-blue")[round % 3]));
        // Until nothing moves any more in the cluster itself …
        let mut last = comparable(stand.kube.look().await.unwrap());
        let settled = loop {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let now = comparable(stand.kube.look().await.unwrap());
            let still = now == last && now.slots["green"].ready == replicas && now.slots["blue"].ready == 3;
            last = now;
            if still {
                break last;
            }
        };
        // … the last picture is the same as a fresh look.
        until(&mut pictures, trouble, |it| comparable(it.clone()) == settled).await;
        stand.world.clear_faults();
    }
}

#[tokio::test]
async fn k3_a_lost_server_is_told_and_its_return_too() {
    let timing = Timing { heartbeat: Span::from_millis(200), ..timing() };
    let stand = Stand::with(Scenario::Good, timing, None).await;
    let mut pictures = Arc::clone(&stand.kube).watch();
    let before = until(&mut pictures, "connected", |it| it.connection == Connection::Connected).await;
    stand.fault("GET", "/", ALWAYS, answer(503, false));
    stand.world.close_watches();
    let lost = until(&mut pictures, "lost", |it| matches!(it.connection, Connection::Lost(_))).await;
    assert_eq!(lost.slots, before.slots, "what was known stays");
    stand.world.clear_faults();
    let back = until(&mut pictures, "connected again", |it| it.connection == Connection::Connected).await;
    assert!(back.as_of > lost.as_of);
}

#[tokio::test]
async fn pictures_are_at_most_four_a_second_and_the_watch_ends_with_its_receiver() {
    let stand =
        Stand::with(Scenario::Good, Timing { picture: Duration::from_millis(250), ..timing() }, None).await;
    let mut pictures = Arc::clone(&stand.kube).watch();
    until(&mut pictures, "connected", |it| it.connection == Connection::Connected).await;
    let began = Instant::now();
    let mut seen = 0;
    let mut edits = 0;
    while began.elapsed() < Duration::from_secs(1) {
        edits += 1;
        assert!(
            stand.world.foreign_edit("kubectl-edit", &ForeignEdit::Selector(labels(&format!("v{edits}"))))
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
        while pictures.try_recv().is_ok() {
            seen += 1;
        }
    }
    let at_most = 1 + began.elapsed().as_millis() / 250;
    assert!(seen >= 1 && seen <= at_most && edits > seen, "{seen} pictures of {edits} edits");
    let references = Arc::strong_count(&stand.kube);
    assert!(references > 1);
    drop(pictures);
    for _ in 0..200 {
        if Arc::strong_count(&stand.kube) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the watch goes on without a receiver");
}

#[tokio::test]
async fn forbidden_events_are_told_and_do_not_count_as_lost() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.deny("list", "events");
    let looked = stand.kube.look().await.unwrap();
    assert!(
        looked.warnings[0].message.contains("ask for the verb `list` on `events`"),
        "{:?}",
        looked.warnings
    );
    let mut pictures = Arc::clone(&stand.kube).watch();
    let it = until(&mut pictures, "connected", |it| it.connection == Connection::Connected).await;
    assert_eq!(it.warnings.len(), 1, "{:?}", it.warnings);
}

#[tokio::test]
async fn forbidden_pods_are_named() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.deny("list", "pods");
    let mut pictures = Arc::clone(&stand.kube).watch();
    let it = until(&mut pictures, "lost", |it| matches!(it.connection, Connection::Lost(_))).await;
    let Connection::Lost(why) = it.connection else { unreachable!() };
    assert!(why.contains("on `pods` in namespace production"), "{why}");
}

// --- K4: an old status is not done -------------------------------------------------------------------------------

#[tokio::test]
async fn k4_a_status_of_the_spec_before_is_not_done() {
    let stand = Stand::new(Scenario::Good).await;
    assert_eq!(stand.kube.rollout(&slot("green")).await.unwrap().state(), RolloutState::Complete);
    stand.world.freeze(true);
    stand.kube.set_image(&slot("green"), "backend", NEW, None).await.unwrap();
    for _ in 0..20 {
        assert_eq!(stand.kube.rollout(&slot("green")).await.unwrap().state(), RolloutState::Unobserved);
    }
    assert_eq!(stand.kube.look().await.unwrap().slots["green"].rollout, RolloutState::Unobserved);
    stand.world.freeze(false);
    until_complete(&stand.kube, "green").await;
}

// --- K5: every call has a deadline -------------------------------------------------------------------------------

#[tokio::test]
async fn k5_a_hanging_server_never_holds_a_call() {
    let deadline = Duration::from_millis(500);
    let timing = Timing { read: deadline, write: deadline, look: Timing::default().look, ..timing() };
    let stand = Stand::with(Scenario::Good, timing.clone(), None).await;
    stand.kube.look().await.unwrap();
    stand.fault("GET", "/", ALWAYS, Misbehaviour::Hang { applied: false });
    stand.fault("POST", "/", ALWAYS, Misbehaviour::Hang { applied: false });
    stand.fault("PATCH", "/", ALWAYS, Misbehaviour::Hang { applied: false });
    let (kube, green) = (&stand.kube, slot("green"));
    let nothing = json!({});
    let timed = |what: &'static str, call: futures::future::BoxFuture<'static, Result<(), PortError>>| async move {
        let began = Instant::now();
        let fault = call.await.unwrap_err();
        let took = began.elapsed();
        assert!(took <= deadline + Duration::from_secs(1), "{what} took {took:?}");
        (what, fault)
    };
    macro_rules! calls {
        ($($what:literal => $call:expr;)*) => {{
            let mut all: Vec<futures::future::BoxFuture<'static, (&'static str, PortError)>> = Vec::new();
            $({
                let (kube, green, nothing) = (Arc::clone(kube), green.clone(), nothing.clone());
                let call: fn(_, _, _) -> futures::future::BoxFuture<'static, Result<(), PortError>> = $call;
                all.push(Box::pin(timed($what, call(kube, green, nothing))));
            })*
            futures::future::join_all(all).await
        }};
    }
    let faults = calls! {
        "look" => |kube: Kube, _: SlotName, _: Json| Box::pin(async move { kube.look().await.map(drop) });
        "access" => |kube: Kube, _: SlotName, _: Json| Box::pin(async move { kube.access(&asked(&kube)).await.map(drop) });
        "rollout" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.rollout(&green).await.map(drop) });
        "set_image" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.set_image(&green, "backend", NEW, None).await.map(drop) });
        "switch" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.switch_traffic(&green, None).await.map(drop) });
        "scale" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.scale(&green, 1, None).await.map(drop) });
        "restart" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.restart(&green, None).await.map(drop) });
        "patch" => |kube: Kube, _: SlotName, patch: Json| Box::pin(async move { kube.patch("service", "x", PatchType::Merge, &patch, None).await.map(drop) });
        "logs" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.logs(&green, None, 5, None).await.map(drop) });
        "headroom" => |kube: Kube, green: SlotName, _: Json| Box::pin(async move { kube.headroom(&green, 1).await.map(drop) });
    };
    assert_eq!(faults.len(), 10);
    for (what, fault) in faults {
        let kind = if matches!(what, "switch" | "patch") { Fault::Unknown } else { Fault::Unavailable };
        assert_eq!(fault.kind, kind, "{what}: {fault}");
    }
    let began = Instant::now();
    connect(&stand.world.kubeconfig(), timing, None).await.map(drop).unwrap_err();
    assert!(began.elapsed() <= deadline + Duration::from_secs(1));
}

// --- sentences ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_unknown_container_is_told_before_anything_is_written() {
    let stand = Stand::new(Scenario::Good).await;
    let fault = stand.kube.set_image(&slot("green"), "frontend", NEW, None).await.unwrap_err();
    assert_eq!(fault.message, "deployment/backend-green has no container `frontend`; it has `backend`");
    assert_eq!(stand.patches(), 0);
}

#[tokio::test]
async fn an_autoscaler_keeps_its_replicas() {
    let stand = Stand::new(Scenario::Good).await;
    stand.world.add_autoscaler("backend-green", 2, 8);
    let fault = stand.kube.scale(&slot("green"), 5, None).await.unwrap_err();
    assert!(fault.message.starts_with("horizontalpodautoscaler/backend-green owns the replicas"), "{fault}");
    assert_eq!(stand.patches(), 0);
    // It rests while there are none, so scaling to nothing and back is ours.
    stand.kube.scale(&slot("green"), 0, None).await.unwrap();
    stand.kube.scale(&slot("green"), 3, None).await.unwrap();
    stand.world.deny("list", "horizontalpodautoscalers");
    stand.kube.scale(&slot("green"), 4, None).await.unwrap();
}

#[tokio::test]
async fn faults_say_what_happened_and_what_to_do() {
    let stand = Stand::new(Scenario::Good).await;
    stand.kube.look().await.unwrap();
    stand.world.deny("patch", "services");
    let fault = stand.kube.switch_traffic(&slot("green"), None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Denied);
    assert!(
        fault.message.contains("ask for the verb `patch` on `services` in namespace production"),
        "{fault}"
    );

    stand.fault("GET", "/deployments/", ALWAYS, answer(401, false));
    let fault = stand.kube.rollout(&slot("green")).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Unavailable, "it may pass: somebody logs in again");
    assert!(fault.message.contains("user `operator`") && fault.message.contains("log in again"), "{fault}");
    stand.world.clear_faults();

    let fault =
        stand.kube.patch("configmap", "missing", PatchType::Merge, &json!({}), None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::NotFound);
    let fault = stand.kube.patch("gizmo", "x", PatchType::Merge, &json!({}), None).await.unwrap_err();
    assert!(fault.message.contains("write `kind.group/version`"), "{fault}");
    let fault = stand.kube.patch("service", "../x", PatchType::Merge, &json!({}), None).await.unwrap_err();
    assert!(fault.message.contains("no name of a Kubernetes object"), "{fault}");
    let fault = stand.kube.patch("service", "x", PatchType::Json, &json!({}), None).await.unwrap_err();
    assert!(fault.message.contains("list of operations"), "{fault}");
    let fault = stand.kube.rollout(&slot("red")).await.unwrap_err();
    assert_eq!(fault.message, "the target has no slot `red`; it has blue, green");

    stand.fault("GET", "/deployments/", ALWAYS, Misbehaviour::LoginPage);
    let fault = stand.kube.rollout(&slot("green")).await.unwrap_err();
    assert!(fault.message.contains("is not the API's"), "{fault}");
}

#[tokio::test]
async fn a_refused_connection_names_the_server() {
    let config = "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], \
                  users: [], contexts: [{name: prod-eu-1, context: {cluster: c}}]}";
    let fault = connect(config, timing(), None).await.map(drop).unwrap_err();
    assert!(fault.message.contains("http://127.0.0.1:1 cannot be reached"), "{fault}");
    let mut elsewhere = target();
    elsewhere.context = Some("other".to_owned());
    let connector = KubeConnector::from_kubeconfig_text(config, Arc::new(WallClock));
    let fault = connector.open(&elsewhere).await.map(drop).unwrap_err();
    assert!(
        fault.message.contains("has no context `other`; it has `prod-eu-1`; correct `target.context`"),
        "{}",
        fault.message
    );
}

#[tokio::test]
async fn credentials_are_renewed_where_reads_are_refused() {
    let stand = Stand::new(Scenario::Good).await;
    let calls = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "echo x >> {}; echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"rehearsal\"}}}}'",
        calls.path().display()
    );
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{ "name": "c", "cluster": { "server": stand.world.url() } }],
        "users": [{ "name": "u", "user": { "exec": { "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script] } } }],
        "contexts": [{ "name": "prod-eu-1", "context": { "cluster": "c", "user": "u" } }],
    });
    let kube = connect(&config.to_string(), timing(), None).await.unwrap();
    let runs = || std::fs::read_to_string(calls.path()).unwrap().lines().count();
    let before = runs();
    stand.fault("GET", "/deployments/", 1, answer(401, false));
    kube.rollout(&slot("green")).await.unwrap();
    assert!(runs() > before, "the plugin was not asked again");
}
