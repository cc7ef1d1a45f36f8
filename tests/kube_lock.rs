//! The target's lock against the simulated API server, over real HTTP: L1 to L3 at the level of the
//! Lease, and the fence in what we change.
//!
//! Longer than 500 lines: two holders, their clock and their world are the same for every one of these.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cutover::{
    adapters::kube::{KubeCluster, KubeConnector, KubeLock, LockClaim, LockRefused, LockTiming, Timing},
    domain::{
        action::PatchType,
        lock::LockState,
        time::{Span, Timestamp},
    },
    engine::ports::{Clock, Cluster, Fault, TargetLock},
    world::{
        cluster::{self, ForeignEdit, Misbehaviour},
        scenario::Scenario,
    },
};
use serde_json::json;

#[path = "support/kube.rs"]
mod kube;

use kube::{WallClock, labels, target};

const LEASES: &str = "/leases";
const LEASE: &str = "/leases/cutover-backend-service";
const SERVICE: &str = "/services/backend-service";
const NEW: &str = "registry.example.com/payment-system-backend:v1.6.0";
const ALWAYS: u32 = u32::MAX;

/// The host's clock, which a test can let jump: a laptop that slept, a process that was stopped.
#[derive(Default)]
struct JumpingClock(AtomicI64);

impl JumpingClock {
    fn jump(&self, span: Span) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        Timestamp(WallClock::read().0 + self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.to_std()).await;
    }
}

async fn world() -> Arc<cluster::Cluster> {
    let world = kube::world(kube::furniture(1), Scenario::Good, 1).await;
    // Controllers would move versions on their own.
    world.freeze(true);
    world
}

/// Times that no busy host misses, and yet nobody waits for: the term is a second, the least that a Lease can say.
fn quick() -> LockTiming {
    LockTiming {
        duration: Span::from_secs(1),
        deadline: Span::from_millis(700),
        every: Span::from_millis(100),
        attempt: Span::from_millis(250),
    }
}

/// Times of a holder that is never renewed within a test, and believes for an hour that all is well. Nobody else believes a
/// Lease that asks for so long: others go by their own term.
fn idle() -> LockTiming {
    LockTiming {
        duration: Span::from_mins(60),
        deadline: Span::from_mins(50),
        every: Span::from_mins(40),
        attempt: Span::from_secs(10),
    }
}

/// Times of a holder that renews often and is never too late, however busy the host is.
fn patient() -> LockTiming {
    LockTiming { every: Span::from_millis(100), ..idle() }
}

struct Host {
    kube: Arc<KubeCluster>,
    clock: Arc<JumpingClock>,
}

/// A host of its own: its clock, its connection.
async fn host(world: &cluster::Cluster, lock: LockTiming) -> Host {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Arc::new(JumpingClock::default());
    let timing = Timing { look: Duration::from_secs(10), ..Timing::default() };
    let connector = KubeConnector::from_kubeconfig_text(world.kubeconfig(), clock.clone())
        .with_timing(timing)
        .with_lock(lock, clock.clone());
    Host { kube: connector.open(&target()).await.unwrap(), clock }
}

impl Host {
    /// Takes over after a term of watching that passes in a moment.
    async fn take_over(&self, who: &str, lock_id: &str) -> Result<Arc<KubeLock>, LockRefused> {
        self.kube.lock_holder().await?;
        self.clock.jump(Span::from_mins(61));
        self.kube.take_over(&claim(who), lock_id, "its host is gone").await
    }
}

fn claim(who: &str) -> LockClaim {
    LockClaim {
        who: format!("{who}@bastion"),
        host: format!("{who}-host"),
        run_id: format!("20261122-140000-{who}").as_str().into(),
        previous: Vec::new(),
        id: None,
    }
}

fn lease(world: &cluster::Cluster) -> serde_json::Value {
    world.object("leases", "cutover-backend-service").unwrap()
}

fn writes(world: &cluster::Cluster) -> usize {
    world.count("PATCH", "/")
}

async fn until(lock: &KubeLock, what: &str, wanted: impl Fn(&LockState) -> bool) -> LockState {
    let mut state = lock.state();
    let found = tokio::time::timeout(Duration::from_secs(20), state.wait_for(|state| wanted(state))).await;
    let Ok(found) = found else { panic!("never {what}: {:?}", *lock.state().borrow()) };
    found.unwrap().clone()
}

fn fence_on(world: &cluster::Cluster, plural: &str, name: &str) -> Option<u64> {
    let object = world.object(plural, name).unwrap();
    object["metadata"]["annotations"]["cutover.dev/fence"].as_str().map(|text| text.parse().unwrap())
}

// --- holding it --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_lock_is_made_renewed_and_given_back() {
    let world = world().await;
    let alice = host(&world, patient()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    let held = lease(&world);
    assert_eq!(held["spec"]["holderIdentity"], lock.lock_id());
    assert_eq!((held["spec"]["leaseTransitions"].as_u64(), lock.fence()), (Some(1), 1));
    assert_eq!(held["metadata"]["annotations"]["cutover.dev/who"], "alice@bastion");
    assert_eq!(held["metadata"]["annotations"]["cutover.dev/host"], "alice-host");
    assert_eq!(held["metadata"]["annotations"]["cutover.dev/run"], "20261122-140000-alice");
    assert_eq!(lock.permit(), Ok(1));
    for _ in 0..500 {
        if lease(&world)["spec"]["renewTime"] != held["spec"]["renewTime"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_ne!(lease(&world)["spec"]["renewTime"], held["spec"]["renewTime"], "never renewed");
    assert_eq!(lease(&world)["spec"]["acquireTime"], held["spec"]["acquireTime"]);

    lock.release().await.unwrap();
    assert!(lease(&world)["spec"].get("holderIdentity").is_none());
    assert!(lock.permit().unwrap_err().contains("released"));
    let fault = alice.kube.switch_traffic(&"green".into(), None).await.unwrap_err();
    assert_eq!((fault.kind, writes(&world)), (Fault::Denied, 0), "{fault}");

    let bob = host(&world, patient()).await;
    let next = bob.kube.acquire(&claim("bob")).await.unwrap();
    assert_eq!(next.fence(), 2, "a fence grows after a clean release too");
    assert_ne!(next.lock_id(), lock.lock_id());
    assert!(lease(&world)["metadata"]["annotations"].get("cutover.dev/released").is_none());
}

#[tokio::test]
async fn the_loser_is_told_who_drives_and_how_to_watch() {
    let world = world().await;
    let alice = host(&world, quick()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    let bob = host(&world, quick()).await;
    let refused = bob.kube.acquire(&claim("bob")).await.map(drop).unwrap_err();
    let LockRefused::Held { holder, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!((holder.lock_id.as_str(), holder.expired), (lock.lock_id(), false));
    let words = refused.to_string();
    for part in ["alice@bastion on alice-host since", "cutover watch 20261122-140000-alice", lock.lock_id()] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(bob.kube.lock_holder().await.unwrap().unwrap().who, "alice@bastion");
}

#[tokio::test]
async fn a_clock_that_is_wrong_expires_nobody() {
    let world = world().await;
    let alice = host(&world, patient()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    let bob = host(&world, LockTiming { duration: Span::from_secs(20), ..patient() }).await;
    bob.clock.jump(Span::from_mins(600));
    let refused = bob.kube.acquire(&claim("bob")).await.map(drop).unwrap_err();
    assert!(matches!(&refused, LockRefused::Held { holder, .. } if !holder.expired), "{refused:?}");
    let refused = bob.kube.take_over(&claim("bob"), lock.lock_id(), "their laptop is shut").await;
    let refused = refused.map(drop).unwrap_err();
    assert!(matches!(&refused, LockRefused::Alive { .. }), "{refused:?}");
    assert!(refused.to_string().contains("alice@bastion on alice-host"), "{refused}");
    assert!(lock.permit().is_ok());
}

#[tokio::test]
async fn a_crashed_engines_own_run_comes_back_at_once() {
    let world = world().await;
    let first = host(&world, idle()).await;
    let lock = first.kube.acquire(&claim("alice")).await.unwrap();
    let noted = |id: &str, run: &str| vec![(id.to_owned(), run.into())];
    let run = claim("alice").run_id;
    let own = LockClaim { previous: noted(lock.lock_id(), run.as_str()), ..claim("alice") };
    let again = host(&world, idle()).await;
    for stranger in [
        LockClaim { previous: Vec::new(), ..own.clone() },
        LockClaim { previous: noted("0000-0000-0000", run.as_str()), ..own.clone() },
        LockClaim { host: "other".to_owned(), ..own.clone() },
        LockClaim { previous: noted(lock.lock_id(), "other"), ..own.clone() },
    ] {
        let refused = again.kube.acquire(&stranger).await.map(drop).unwrap_err();
        assert!(matches!(refused, LockRefused::Held { .. }), "{stranger:?}: {refused:?}");
    }
    let resumed = again.kube.acquire(&own).await.unwrap();
    assert_eq!(resumed.fence(), lock.fence() + 1);
    assert_ne!(resumed.lock_id(), lock.lock_id());
    // A last write of the engine that crashed may be under way.
    assert_eq!(fence_on(&world, "services", "backend-service"), Some(resumed.fence()));
    assert_eq!(fence_on(&world, "deployments", "backend-green"), Some(resumed.fence()));
}

#[tokio::test]
async fn without_permission_the_verb_and_the_resource_are_named() {
    for (verb, told) in [("get", "get"), ("create", "create"), ("update", "update")] {
        let world = world().await;
        world.deny(verb, "leases");
        let alice = host(&world, quick()).await;
        let refused = alice.kube.acquire(&claim("alice")).await.map(drop).unwrap_err();
        let LockRefused::Forbidden { verb, resource, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!((verb.as_str(), resource.as_str()), (told, "leases.coordination.k8s.io"));
        assert!(refused.to_string().contains("in namespace production"), "{refused}");
        // Going on without a lock is somebody's decision; then nothing is fenced and nothing is marked.
        alice.kube.switch_traffic(&"green".into(), None).await.unwrap();
        assert_eq!(fence_on(&world, "services", "backend-service"), None);
    }
}

#[tokio::test]
async fn lost_answers_while_acquiring_leave_one_lock_that_is_ours() {
    for applied in [true, false] {
        let world = world().await;
        world.inject(cluster::Fault::next("POST", LEASES, Misbehaviour::Reset { applied }));
        let alice = host(&world, patient()).await;
        let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
        assert_eq!(lease(&world)["spec"]["holderIdentity"], lock.lock_id());
        assert_eq!(lock.fence(), 1);
        assert!(lock.permit().is_ok());
    }
}

// --- L1: one driver ----------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l1_of_a_hundred_who_race_one_holds_the_lease() {
    let world = world().await;
    // Absent at first, then free after a release.
    for round in 1..=2_u64 {
        let hosts = (0..100).map(|_| host(&world, idle()));
        let hosts = futures::future::join_all(hosts).await;
        let all = hosts
            .iter()
            .enumerate()
            .map(|(n, host)| async move { host.kube.acquire(&claim(&format!("racer-{n}"))).await });
        let all = futures::future::join_all(all).await;
        let (won, lost): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 99));
        let winner = won.into_iter().next().unwrap().unwrap();
        for refused in lost {
            let refused = refused.map(drop).unwrap_err();
            let LockRefused::Held { holder, .. } = &refused else { panic!("{refused:?}") };
            assert_eq!(holder.lock_id, winner.lock_id());
        }
        assert_eq!(winner.fence(), round);
        winner.release().await.unwrap();
    }
}

// --- L2: takeover names the exact lock ---------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_a_thousand_wrong_or_stale_ids_take_nothing_over() {
    let world = world().await;
    let stale = {
        let host = host(&world, idle()).await;
        let lock = host.kube.acquire(&claim("old")).await.unwrap();
        lock.release().await.unwrap();
        lock.lock_id().to_owned()
    };
    let alice = host(&world, idle()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    let right = lock.lock_id().to_owned();
    let bob = host(&world, patient()).await;
    let version = lease(&world)["metadata"]["resourceVersion"].clone();
    let wrong = |n: usize| match n % 10 {
        0 => stale.clone(),
        1 => right.to_uppercase() + "x",
        2 => format!(" {right}"),
        3 => right.replace('-', ""),
        4 => right[..right.len() - 1].to_owned(),
        5 => String::new(),
        6 => format!("{right}\n"),
        7 => "*".to_owned(),
        _ => format!("{n:04x}-0000-0000"),
    };
    let mut accepted = 0;
    for n in 0..1000 {
        match bob.kube.take_over(&claim("bob"), &wrong(n), "a try").await {
            Ok(_) => accepted += 1,
            Err(refused) => assert!(matches!(refused, LockRefused::WrongId { .. }), "{refused:?}"),
        }
    }
    assert_eq!(accepted, 0);
    assert_eq!(lease(&world)["metadata"]["resourceVersion"], version, "something was written");
    let refused = bob.kube.take_over(&claim("bob"), &right, "  ").await.map(drop).unwrap_err();
    assert_eq!(refused, LockRefused::NoReason);

    // The right one is taken, once nobody has renewed it for a whole term; then it is stale as well.
    let carol = host(&world, patient()).await;
    carol.kube.lock_holder().await.unwrap();
    let (reason, carols) = ("alice's host is gone", claim("carol"));
    let (taken, ()) = tokio::join!(carol.kube.take_over(&carols, &right, reason), async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            carol.clock.jump(Span::from_mins(10));
            assert_eq!(
                lease(&world)["metadata"]["resourceVersion"],
                version,
                "taken before the term was over"
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(lease(&world)["metadata"]["resourceVersion"], version, "taken before the term was over");
        carol.clock.jump(Span::from_mins(11));
    });
    let taken = taken.unwrap();
    assert_eq!(taken.fence(), lock.fence() + 1);
    let held = lease(&world);
    assert_eq!(held["metadata"]["annotations"]["cutover.dev/takeover-reason"], "alice's host is gone");
    assert_eq!(held["metadata"]["annotations"]["cutover.dev/taken-from"], right);
    let refused = alice.kube.take_over(&claim("alice"), &right, "mine").await.map(drop).unwrap_err();
    assert!(matches!(refused, LockRefused::WrongId { .. }), "{refused:?}");
    taken.release().await.unwrap();
    let refused = alice.kube.take_over(&claim("alice"), &right, "mine").await.map(drop).unwrap_err();
    assert!(matches!(refused, LockRefused::Free { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_of_twenty_who_take_over_with_the_right_id_one_succeeds() {
    let world = world().await;
    let alice = host(&world, idle()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    let hosts = futures::future::join_all((0..20).map(|_| host(&world, patient()))).await;
    let all = hosts.iter().enumerate().map(|(n, host)| {
        let lock = &lock;
        async move { host.take_over(&format!("taker-{n}"), lock.lock_id()).await }
    });
    let all = futures::future::join_all(all).await;
    assert_eq!(all.iter().filter(|taken| taken.is_ok()).count(), 1);
    assert_eq!(lease(&world)["spec"]["leaseTransitions"], 2);
    for refused in all.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, LockRefused::WrongId { .. }), "{refused:?}");
    }
}

// --- L3: a lost lease stops writes -------------------------------------------------------------------------------

#[tokio::test]
async fn l3_renewals_that_vanish_stop_writes_at_the_deadline_and_may_come_back() {
    let world = world().await;
    let alice = host(&world, quick()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    alice.kube.look().await.unwrap();
    world.inject(cluster::Fault::next("PUT", LEASE, Misbehaviour::Hang { applied: false }).times(ALWAYS));
    // Writes go on until they are refused; none may have left after the deadline.
    let mut last_success = Timestamp(0);
    let mut flip = ["green", "blue"].into_iter().cycle();
    let refused = loop {
        let begun = alice.clock.now();
        match alice.kube.switch_traffic(&flip.next().unwrap().into(), None).await {
            Ok(_) => last_success = begun,
            Err(refused) => break refused,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(refused.kind, Fault::Unavailable, "certainly not done, and worth another try");
    assert!(
        refused.message.contains("is valid for 0.7 s")
            && refused.message.contains("lease/cutover-backend-service"),
        "{refused}"
    );
    let before = writes(&world);
    let state = until(&lock, "uncertain", |state| matches!(state, LockState::Uncertain { .. })).await;
    for to in ["green", "blue"] {
        let patch = json!({ "metadata": { "annotations": { "a": to } } });
        alice.kube.switch_traffic(&to.into(), None).await.unwrap_err();
        alice.kube.set_image(&to.into(), "backend", NEW, None).await.unwrap_err();
        alice.kube.scale(&to.into(), 7, None).await.unwrap_err();
        alice.kube.restart(&to.into(), None).await.unwrap_err();
        alice.kube.patch("service", "backend-service", PatchType::Merge, &patch, None).await.unwrap_err();
    }
    assert_eq!(writes(&world), before, "writes past the deadline");
    let LockState::Uncertain { why, .. } = state else { unreachable!() };
    assert!(why.contains("no answer to `update lease/cutover-backend-service"), "{why}");
    // None of the renewals since then has arrived, so the Lease says when the last one was sent.
    let renewed = lease(&world)["spec"]["renewTime"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let past = last_success.since(Timestamp(renewed.as_millisecond()));
    assert!(past < Span::from_millis(700), "a write left {past:?} after the last renewal");

    world.clear_faults();
    until(&lock, "held again", LockState::is_held).await;
    // On a busy host it may be late once more.
    for tries in 0.. {
        match alice.kube.switch_traffic(&"green".into(), None).await {
            Ok(_) => break,
            Err(fault) => assert!(tries < 100 && fault.kind == Fault::Unavailable, "{fault}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn l3_after_a_standstill_of_a_minute_nothing_is_written() {
    let world = world().await;
    let timing = LockTiming { deadline: Span::from_secs(10), duration: Span::from_secs(15), ..idle() };
    let stopped = host(&world, timing).await;
    let lock = stopped.kube.acquire(&claim("alice")).await.unwrap();
    stopped.kube.look().await.unwrap();
    let before = writes(&world);
    assert!(lock.permit().is_ok());
    stopped.clock.jump(Span::from_secs(60));
    let why = lock.permit().unwrap_err();
    assert!(why.contains("was last renewed 60.") && why.contains("was suspended"), "{why}");
    for to in ["green", "blue"] {
        stopped.kube.switch_traffic(&to.into(), None).await.unwrap_err();
        stopped.kube.scale(&to.into(), 7, None).await.unwrap_err();
    }
    assert_eq!(writes(&world), before);
    assert!(matches!(*lock.state().borrow(), LockState::Uncertain { .. }));
}

#[tokio::test]
async fn l3_a_write_never_outlives_the_term() {
    let world = world().await;
    let timing = LockTiming { deadline: Span::from_secs(10), duration: Span::from_secs(15), ..idle() };
    let alice = host(&world, timing).await;
    let _lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    alice.kube.look().await.unwrap();
    alice.clock.jump(Span::from_millis(9_000));
    world.inject(cluster::Fault::next("PATCH", SERVICE, Misbehaviour::Reset { applied: true }));
    alice.kube.switch_traffic(&"green".into(), None).await.unwrap();
    let sent = world.recorded().into_iter().find(|request| request.method == "PATCH").unwrap();
    assert!(sent.query.contains("timeout=5s"), "{}: six seconds are left of the term", sent.query);
}

#[tokio::test]
async fn a_lease_that_is_gone_replaced_or_anothers_is_lost_for_good() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (what, told) in
        [("deleted", "was deleted"), ("anew", "recreated"), ("freed", "released it"), ("taken", "taken over")]
    {
        let world = world().await;
        let alice = host(&world, quick()).await;
        let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
        match what {
            "deleted" => assert!(world.delete("leases", "cutover-backend-service")),
            "anew" => {
                let mut object = lease(&world);
                assert!(world.delete("leases", "cutover-backend-service"));
                object["metadata"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|key, _| key == "name" || key == "annotations");
                world.create("leases", object);
            }
            "freed" => assert!(world.edit("leases", "cutover-backend-service", |object| {
                object["spec"].as_object_mut().unwrap().shift_remove("holderIdentity");
            })),
            _ => assert!(world.edit("leases", "cutover-backend-service", |object| {
                object["spec"]["holderIdentity"] = json!("dead-beef-0000");
                object["metadata"]["annotations"]["cutover.dev/who"] = json!("bob@elsewhere");
            })),
        }
        let state = until(&lock, what, |state| matches!(state, LockState::Lost { .. })).await;
        let LockState::Lost { why, by } = state else { unreachable!() };
        assert!(why.contains(told), "{what}: {why}");
        assert_eq!(by.is_some(), matches!(what, "anew" | "taken"), "{what}");
        let fault = alice.kube.switch_traffic(&"green".into(), None).await.unwrap_err();
        assert!(fault.kind == Fault::Denied && fault.message.contains("is lost"), "{fault}");
        if what == "taken" {
            assert!(fault.message.contains("bob@elsewhere"), "{fault}");
            lock.release().await.unwrap();
            assert_eq!(
                lease(&world)["spec"]["holderIdentity"],
                "dead-beef-0000",
                "a lock of another's was freed"
            );
        }
        assert_eq!(writes(&world), 0);
    }
}

#[tokio::test]
async fn somebodys_annotation_on_the_lease_costs_nothing() {
    let world = world().await;
    let alice = host(&world, patient()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    for n in 0..10 {
        assert!(world.edit("leases", "cutover-backend-service", |object| {
            object["metadata"]["annotations"]["note"] = json!(n.to_string());
        }));
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert!(lock.permit().is_ok(), "{:?}", *lock.state().borrow());
    assert_eq!(lease(&world)["metadata"]["annotations"]["note"], "9", "what others wrote stays");
}

// --- the fence in what we change ---------------------------------------------------------------------------------

#[tokio::test]
async fn each_change_carries_the_fence() {
    let world = world().await;
    let alice = host(&world, idle()).await;
    let lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    alice.kube.switch_traffic(&"green".into(), None).await.unwrap();
    alice.kube.set_image(&"green".into(), "backend", NEW, None).await.unwrap();
    assert_eq!(fence_on(&world, "services", "backend-service"), Some(lock.fence()));
    assert_eq!(fence_on(&world, "deployments", "backend-green"), Some(lock.fence()));
    assert_eq!(fence_on(&world, "deployments", "backend-blue"), None, "nothing else is touched");
    assert_eq!(writes(&world), 2, "the fence costs no request of its own");
}

/// Alice drives; bob takes over while alice's process stands still; alice comes back.
async fn taken_over() -> (Arc<cluster::Cluster>, Host, Arc<KubeLock>, Host, Arc<KubeLock>) {
    let world = world().await;
    let alice = host(&world, idle()).await;
    let old = alice.kube.acquire(&claim("alice")).await.unwrap();
    alice.kube.switch_traffic(&"green".into(), None).await.unwrap();
    let bob = host(&world, patient()).await;
    let new = bob.take_over("bob", old.lock_id()).await.unwrap();
    assert!(new.unmarked().is_empty(), "{:?}", new.unmarked());
    (world, alice, old, bob, new)
}

#[tokio::test]
async fn a_takeover_marks_all_objects() {
    let (world, _alice, old, _bob, new) = taken_over().await;
    assert_eq!(new.fence(), old.fence() + 1);
    for (plural, name) in
        [("services", "backend-service"), ("deployments", "backend-blue"), ("deployments", "backend-green")]
    {
        assert_eq!(fence_on(&world, plural, name), Some(new.fence()), "{name}");
    }
}

#[tokio::test]
async fn the_old_holder_is_fenced_off_where_its_view_is_stale() {
    let (world, alice, old, _bob, _new) = taken_over().await;
    // Its own clock says that all is well, and its picture of the Service is from before: the 409 and the mark stop it.
    assert!(old.permit().is_ok());
    let before = world.object("services", "backend-service").unwrap();
    for to in ["blue", "green"] {
        let fault = alice.kube.switch_traffic(&to.into(), None).await.unwrap_err();
        assert_eq!(fault.kind, Fault::Denied, "{fault}");
        assert!(
            fault.message.contains("fenced off: bob@bastion on bob-host")
                && fault.message.contains("service/backend-service has fence 2, ours is 1"),
            "{fault}"
        );
    }
    assert_eq!(world.object("services", "backend-service").unwrap(), before);
}

#[tokio::test]
async fn the_old_holder_is_fenced_off_where_its_view_is_fresh() {
    let (world, alice, _old, bob, _new) = taken_over().await;
    bob.kube.switch_traffic(&"blue".into(), None).await.unwrap();
    alice.kube.look().await.unwrap();
    let before = writes(&world);
    for to in ["blue", "green"] {
        for result in [
            alice.kube.switch_traffic(&to.into(), None).await,
            alice.kube.set_image(&to.into(), "backend", NEW, None).await,
            alice.kube.scale(&to.into(), 9, None).await,
            alice.kube.restart(&to.into(), None).await,
        ] {
            let fault = result.unwrap_err();
            assert!(
                fault.kind == Fault::Denied && fault.message.contains("fenced off: bob@bastion"),
                "{fault}"
            );
        }
    }
    assert_eq!(writes(&world), before, "not even sent");
}

#[tokio::test]
async fn a_write_that_was_under_way_during_a_takeover_is_not_applied() {
    let world = world().await;
    let alice = host(&world, idle()).await;
    let old = alice.kube.acquire(&claim("alice")).await.unwrap();
    alice.kube.look().await.unwrap();
    let sent = world.object("services", "backend-service").unwrap();
    let bob = host(&world, patient()).await;
    let _new = bob.take_over("bob", old.lock_id()).await.unwrap();
    // What alice's request would have carried, arriving now.
    let late = json!({
        "metadata": {
            "uid": sent["metadata"]["uid"],
            "resourceVersion": sent["metadata"]["resourceVersion"],
            "annotations": { "cutover.dev/fence": "1" },
        },
        "spec": { "selector": { "version": "green" } },
    });
    let fault =
        bob.kube.patch("service", "backend-service", PatchType::Merge, &late, None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
    assert_eq!(world.selector()["version"], "blue");
}

#[tokio::test]
async fn fences_go_on_after_somebody_deleted_the_lease() {
    let world = world().await;
    let alice = host(&world, idle()).await;
    let old = alice.kube.acquire(&claim("alice")).await.unwrap();
    alice.kube.switch_traffic(&"green".into(), None).await.unwrap();
    assert!(world.delete("leases", "cutover-backend-service"));
    let bob = host(&world, patient()).await;
    let new = bob.kube.acquire(&claim("bob")).await.unwrap();
    assert!(new.fence() > old.fence(), "{} after {}", new.fence(), old.fence());
    bob.kube.switch_traffic(&"blue".into(), None).await.unwrap();
    let fault = alice.kube.switch_traffic(&"green".into(), None).await.unwrap_err();
    assert!(fault.message.contains("fenced off"), "{fault}");
}

#[tokio::test]
async fn a_foreign_edit_is_still_a_conflict_under_the_lock() {
    let world = world().await;
    let alice = host(&world, idle()).await;
    let _lock = alice.kube.acquire(&claim("alice")).await.unwrap();
    alice.kube.look().await.unwrap();
    assert!(world.foreign_edit("kubectl-patch", &ForeignEdit::Selector(labels("red"))));
    let fault = alice.kube.switch_traffic(&"green".into(), None).await.unwrap_err();
    assert_eq!(fault.kind, Fault::Conflict, "{fault}");
}
