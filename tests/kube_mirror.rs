//! The journal's copy beside the target, against the simulated API server, over real HTTP.
//!
//! Longer than 500 lines: the journal that grows, its copy and its readers are the same for every one of these.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cutover::{
    adapters::kube::{
        CopyAbout, CopyFault, JournalCopy, KEPT_RUNS, KubeCluster, KubeConnector, KubeLock, LockClaim,
        LockTiming, ReadJournal, Timing,
    },
    domain::{
        copy::{CopyHead, CopyState},
        id::RunId,
        time::{Span, Timestamp},
    },
    engine::ports::TargetLock,
    flight::copies,
    journal,
    world::{
        cluster::{self, Misbehaviour},
        scenario::Scenario,
    },
};
use serde_json::{Value, json};

#[path = "support/kube.rs"]
mod kube;

use kube::{WallClock, target};

const MAPS: &str = "/configmaps";
const SEGMENT: usize = 512 << 10;
const RUN: &str = "20261122-140000-ab";
const EVERY: Duration = Duration::from_millis(5);

async fn world() -> Arc<cluster::Cluster> {
    let world = kube::world(kube::furniture(1), Scenario::Good, 1).await;
    world.freeze(true);
    world
}

async fn connect(world: &cluster::Cluster) -> Arc<KubeCluster> {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lock = LockTiming {
        duration: Span::from_mins(60),
        deadline: Span::from_mins(50),
        every: Span::from_millis(100),
        attempt: Span::from_secs(10),
    };
    let clock = Arc::new(WallClock);
    let timing = Timing { look: Duration::from_secs(10), ..Timing::default() };
    KubeConnector::from_kubeconfig_text(world.kubeconfig(), clock.clone())
        .with_timing(timing)
        .with_lock(lock, clock)
        .open(&target())
        .await
        .unwrap()
}

/// A journal in memory that grows.
#[derive(Clone, Default)]
struct Growing(Arc<Mutex<Vec<u8>>>);

impl Growing {
    fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend(bytes);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn reader(&self) -> ReadJournal {
        let shared = Arc::clone(&self.0);
        Arc::new(move |offset, most| {
            let bytes = shared.lock().unwrap();
            let from = bytes.len().min(usize::try_from(offset).map_err(io::Error::other)?);
            Ok(bytes[from..bytes.len().min(from + most)].to_vec())
        })
    }
}

/// Bytes that are different everywhere, the same each time, and soon compressed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|at| if at % 61 == 0 { next() } else { 0 }).collect()
}

fn about(run: &str) -> CopyAbout {
    CopyAbout {
        run_id: run.into(),
        who: "alice@bastion".to_owned(),
        host: "bastion-1".to_owned(),
        title: "Payment System".to_owned(),
    }
}

fn head(sequence: u64) -> CopyHead {
    CopyHead { sequence, at: Timestamp(1_795_356_000_000), state: "window".to_owned(), ended: false }
}

async fn until(copy: &JournalCopy, what: &str, wanted: impl Fn(&CopyState) -> bool) -> CopyState {
    let mut state = copy.state();
    let found = tokio::time::timeout(Duration::from_secs(20), state.wait_for(|state| wanted(state))).await;
    let Ok(found) = found else { panic!("never {what}: {:?}", *copy.state().borrow()) };
    found.unwrap().clone()
}

fn is_up_to(wanted: u64) -> impl Fn(&CopyState) -> bool {
    move |state| matches!(state, CopyState::UpTo { sequence, .. } if *sequence == wanted)
}

fn why(state: CopyState) -> String {
    match state {
        CopyState::Off { why } | CopyState::Behind { why, .. } => why,
        CopyState::UpTo { .. } => panic!("all is well: {state:?}"),
    }
}

fn version(world: &cluster::Cluster, index: usize) -> Option<String> {
    let object = world.object("configmaps", &format!("cutover-{RUN}-{index}"))?;
    object["metadata"]["resourceVersion"].as_str().map(str::to_owned)
}

fn writes(world: &cluster::Cluster) -> usize {
    ["POST", "PUT", "DELETE"].iter().map(|method| world.count(method, MAPS)).sum()
}

async fn copied(world: &cluster::Cluster, journal: &Growing) -> Arc<KubeCluster> {
    let kube = connect(world).await;
    let copy = kube.copy_journal(about(RUN), journal.reader(), EVERY);
    copy.note(head(1));
    let state = copy.finish(Duration::from_secs(20)).await;
    assert!(matches!(state, CopyState::UpTo { .. }), "{state:?}");
    kube
}

async fn fetch(kube: &KubeCluster) -> Result<Vec<u8>, CopyFault> {
    kube.fetch_copy(&RUN.into()).await.map(|fetched| fetched.bytes)
}

#[tokio::test]
async fn a_journal_is_copied_in_order_and_only_its_last_piece_is_written_again() {
    let world = world().await;
    let kube = connect(&world).await;
    let journal = Growing::default();
    let copy = kube.copy_journal(about(RUN), journal.reader(), EVERY);
    let mut versions: Vec<String> = Vec::new();
    // Across the borders of pieces, and exactly onto one.
    let lengths = [1000, SEGMENT - 1000, 1, SEGMENT - 1, SEGMENT + 77, 5];
    for (sequence, length) in (1..).zip(lengths) {
        journal.append(&noise(length, sequence));
        copy.note(head(sequence));
        until(&copy, "copied", is_up_to(sequence)).await;
        assert_eq!(fetch(&kube).await.unwrap(), journal.bytes());
        // Pieces that were full, and said that another follows, are never touched again.
        let full = journal.bytes().len().saturating_sub(1) / SEGMENT;
        for (index, known) in versions.iter().enumerate() {
            assert_eq!(version(&world, index).as_ref(), Some(known), "piece {index} after {sequence}");
        }
        versions.extend((versions.len()..full).map(|index| version(&world, index).unwrap()));
    }
    let fetched = kube.fetch_copy(&RUN.into()).await.unwrap();
    assert_eq!((fetched.cut, fetched.run.segments), (None, 4));
    let runs = kube.copied_runs().await.unwrap();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!(
        (run.run_id.as_str(), run.service.as_str(), run.who.as_str()),
        (RUN, "backend-service", "alice@bastion")
    );
    assert_eq!((run.host.as_str(), run.title.as_str()), ("bastion-1", "Payment System"));
    assert_eq!(run.head, head(6));
    assert!(run.begun.is_some());
    let object = world.object("configmaps", &format!("cutover-{RUN}-0")).unwrap();
    assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "cutover");
    assert_eq!(object["metadata"]["labels"]["cutover.dev/run"], RUN);
    assert_eq!(object["metadata"]["labels"]["cutover.dev/service"], "backend-service");
}

#[tokio::test]
async fn a_real_journal_comes_back_whole_and_a_changed_one_is_refused_by_its_reader() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("run");
    let header = journal::Header {
        run_id: RUN.to_owned(),
        runbook_sha256: "ab".repeat(32),
        boot_id: "boot".to_owned(),
    };
    let mut writer = journal::Writer::create(&at, &header).unwrap();
    let records: Vec<Value> =
        (0..4000).map(|n| json!({ "event": "output", "n": n, "text": "x".repeat(n % 300) })).collect();
    for record in &records {
        writer.append(record).unwrap();
    }
    let mut bytes = std::fs::read(at.join("journal")).unwrap();
    // Behind its end there is only reserved space.
    bytes.truncate(usize::try_from(writer.position().offset).unwrap());
    assert!(bytes.len() > SEGMENT);
    let kube = copied(&world, &Growing::of(bytes.clone())).await;

    let read = |bytes: &[u8]| {
        let other = tempfile::tempdir().unwrap();
        let path = other.path().join("run");
        let dir = journal::RunDir::create(&path).unwrap();
        io::Write::write_all(&mut dir.create_file("journal").unwrap(), bytes).unwrap();
        journal::read::<Value>(&path)
    };
    let fetched = fetch(&kube).await.unwrap();
    assert_eq!(fetched, bytes);
    let back: Vec<Value> = read(&fetched).unwrap().records.into_iter().map(|(_, record)| record).collect();
    assert_eq!(back, records);

    // Somebody who knows how pieces are made changes one, its SHA-256 included: the chain in the journal tells.
    let mut changed = bytes;
    changed[SEGMENT / 2] ^= 1;
    let forged = Growing::of(changed);
    for index in 0..=1 {
        assert!(world.delete("configmaps", &format!("cutover-{RUN}-{index}")));
    }
    let kube = copied(&world, &forged).await;
    assert!(read(&fetch(&kube).await.unwrap()).is_err(), "a changed journal was read");
}

#[tokio::test]
async fn gaps_swaps_and_changes_are_told() {
    let journal = Growing::of(noise(2 * SEGMENT + 100, 7));
    let name = |index: usize| format!("cutover-{RUN}-{index}");
    for index in 0..=1 {
        let world = world().await;
        let kube = copied(&world, &journal).await;
        assert!(world.delete("configmaps", &name(index)));
        let fault = fetch(&kube).await.unwrap_err();
        assert!(
            matches!(&fault, CopyFault::Missing { name: missing, .. } if *missing == name(index)),
            "{fault}"
        );
    }
    // The last one leaves a beginning, and what is left says that there was more.
    let world = world().await;
    let kube = copied(&world, &journal).await;
    assert!(world.delete("configmaps", &name(2)));
    let fetched = kube.fetch_copy(&RUN.into()).await.unwrap();
    assert_eq!(fetched.bytes, journal.bytes()[..2 * SEGMENT]);
    assert!(fetched.cut.unwrap().contains(&name(2)));

    for what in ["swapped", "emptied", "changed", "relabelled", "cut short"] {
        let world = crate::world().await;
        let kube = copied(&world, &journal).await;
        let other = world.object("configmaps", &name(1)).unwrap();
        assert!(world.edit("configmaps", &name(0), |object| match what {
            "swapped" => object["binaryData"] = other["binaryData"].clone(),
            "emptied" => object["binaryData"] = json!({}),
            "changed" => {
                let text = object["binaryData"]["journal.gz"].as_str().unwrap();
                let middle = text.len() / 2;
                let changed = if &text[middle..=middle] == "A" { "B" } else { "A" };
                object["binaryData"]["journal.gz"] =
                    json!(format!("{}{changed}{}", &text[..middle], &text[middle + 1..]));
            }
            "relabelled" => object["metadata"]["annotations"]["cutover.dev/sha256"] = json!("00"),
            _ => {
                let last = world_last(&other);
                object["binaryData"] = last["binaryData"].clone();
                object["metadata"]["annotations"]["cutover.dev/sha256"] =
                    last["metadata"]["annotations"]["cutover.dev/sha256"].clone();
            }
        }));
        let fault = fetch(&kube).await.unwrap_err();
        assert!(matches!(&fault, CopyFault::Damaged { name: bad, .. } if *bad == name(0)), "{what}: {fault}");
    }
    let fault = kube.fetch_copy(&"20200101-000000-xx".into()).await.unwrap_err();
    assert!(matches!(fault, CopyFault::Absent(_)), "{fault}");
}

/// A piece as valid as any, but shorter than one that another follows.
fn world_last(of: &Value) -> Value {
    use std::io::Write as _;

    use base64::Engine as _;
    use sha2::Digest as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"short").unwrap();
    let packed = base64::engine::general_purpose::STANDARD.encode(encoder.finish().unwrap());
    let sha = format!("{:x}", sha2::Sha256::digest(b"short"));
    let mut object = of.clone();
    object["binaryData"]["journal.gz"] = json!(packed);
    object["metadata"]["annotations"]["cutover.dev/sha256"] = json!(sha);
    object
}

#[tokio::test]
async fn a_copy_is_bounded_and_says_so() {
    let world = world().await;
    let kube = connect(&world).await;
    // Zeros, so that the test is about the bound and not about compressing.
    let journal = Growing::of(vec![0; 16 * SEGMENT + 1]);
    let copy = kube.copy_journal(about(RUN), journal.reader(), EVERY);
    copy.note(head(1));
    let state = until(&copy, "off", |state| matches!(state, CopyState::Off { .. })).await;
    assert!(why(state).contains("longer than 8 MiB"));
    assert!(version(&world, 15).is_some() && version(&world, 16).is_none());
    let before = writes(&world);
    copy.note(head(2));
    tokio::time::sleep(EVERY * 10).await;
    assert_eq!(writes(&world), before, "it goes on");
    let fetched = kube.fetch_copy(&RUN.into()).await.unwrap();
    assert_eq!(fetched.bytes.len(), 16 * SEGMENT);
    assert!(fetched.cut.unwrap().contains("too long to copy"));
}

#[tokio::test]
async fn the_newest_runs_stay_and_older_ones_that_are_over_go() {
    let world = world().await;
    let kube = connect(&world).await;
    let run = |n: usize| format!("20261122-1400{n:02}-ab");
    let journal = Growing::of(noise(SEGMENT + 5, 3));
    for n in 0..KEPT_RUNS + 3 {
        let copy = kube.copy_journal(about(&run(n)), journal.reader(), EVERY);
        // The second one never comes to an end.
        copy.note(CopyHead { ended: n != 1, ..head(1) });
        let state = copy.finish(Duration::from_secs(20)).await;
        assert!(matches!(state, CopyState::UpTo { .. }), "{state:?}");
    }
    world.create(
        "configmaps",
        json!({ "metadata": { "name": "somebody-elses", "labels": {
        "app.kubernetes.io/managed-by": "cutover", "cutover.dev/service": "backend-service" } } }),
    );
    let left: Vec<String> = kube.copied_runs().await.unwrap().into_iter().map(|run| run.run_id.0).collect();
    let mut wanted: Vec<String> = (3..KEPT_RUNS + 3).map(run).rev().collect();
    wanted.push(run(1));
    assert_eq!(left, wanted);
    assert!(world.object("configmaps", &format!("cutover-{}-1", run(0))).is_none(), "a piece was left");
    assert!(world.object("configmaps", "somebody-elses").is_some());
    assert_eq!(kube.fetch_copy(&RunId(run(1))).await.unwrap().bytes, journal.bytes());
}

/// The figures of past runs are known from the copies alone: each is a whole journal.
#[tokio::test]
async fn a_copy_of_a_run_that_is_over_tells_the_figures_and_a_broken_one_is_named() {
    let world = world().await;
    let kube = connect(&world).await;
    let run_id = RunId("20261128-031456-g3ht".to_owned());
    let whole = include_bytes!("fixtures/earlier/before-strategies/journal");
    for (run, bytes) in [(run_id.as_str(), whole.to_vec()), ("20261128-040000-ab", noise(4_000, 1))] {
        let copy = kube.copy_journal(about(run), Growing::of(bytes).reader(), EVERY);
        copy.note(CopyHead { ended: true, ..head(1) });
        copy.finish(Duration::from_secs(20)).await;
    }
    let copies = kube.copied_runs().await.unwrap();
    let told = copies::told(&kube, &copies, |_| false).await;
    let [(found, past)] = &told.runs[..] else { panic!("{told:?}") };
    assert_eq!((found, past.over, past.failed), (&run_id, true, true));
    assert!(past.restored.is_some_and(|restored| restored > Span::from_mins(5)), "{past:?}");
    assert_eq!(told.faults.len(), 1);
    assert!(told.faults[0].starts_with("run 20261128-040000-ab is not in the figures: "), "{told:?}");
    // What this host knows itself is not asked for.
    let told = copies::told(&kube, &copies, |_| true).await;
    assert!(told.runs.is_empty() && told.faults.is_empty(), "{told:?}");
}

#[tokio::test]
async fn without_permission_it_is_off_and_says_what_to_ask_for() {
    for verb in ["list", "create", "update"] {
        let world = world().await;
        world.deny(verb, "configmaps");
        let kube = connect(&world).await;
        let journal = Growing::of(noise(100, 1));
        let copy = kube.copy_journal(about(RUN), journal.reader(), EVERY);
        copy.note(head(1));
        if verb == "update" {
            until(&copy, "made", is_up_to(1)).await;
            journal.append(b"more");
            copy.note(head(2));
        }
        let state = until(&copy, "off", |state| matches!(state, CopyState::Off { .. })).await;
        let why = why(state);
        assert!(
            why.contains(&format!("ask for the verb `{verb}` on `configmaps` in namespace production")),
            "{why}"
        );
    }
}

#[tokio::test]
async fn trouble_puts_it_behind_and_never_holds_the_engine_up() {
    let world = world().await;
    let kube = connect(&world).await;
    let journal = Growing::of(noise(100, 1));
    let copy = kube.copy_journal(about(RUN), journal.reader(), EVERY);
    copy.note(head(1));
    until(&copy, "copied", is_up_to(1)).await;
    let answer = Misbehaviour::Answer { code: 503, retry_after: None, applied: false };
    world.inject(cluster::Fault::next("PUT", MAPS, answer).times(u32::MAX));
    let began = Instant::now();
    for sequence in 2..1000 {
        journal.append(b"record");
        copy.note(head(sequence));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "a note waits: {:?}", began.elapsed());
    let state = until(&copy, "behind", |state| matches!(state, CopyState::Behind { .. })).await;
    assert!(why(state).contains("503"));
    world.clear_faults();
    until(&copy, "copied again", is_up_to(999)).await;
    assert_eq!(fetch(&kube).await.unwrap(), journal.bytes());
    // An API server that hangs does not hold up the end either.
    world.inject(cluster::Fault::next("PUT", MAPS, Misbehaviour::Hang { applied: false }).times(u32::MAX));
    copy.note(head(1000));
    let began = Instant::now();
    copy.finish(Duration::from_millis(300)).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn lost_answers_are_looked_into() {
    for applied in [true, false] {
        let world = world().await;
        let kube = connect(&world).await;
        let journal = Growing::of(noise(100, 1));
        let copy = kube.copy_journal(about(RUN), journal.reader(), EVERY);
        for (sequence, method) in [(1, "POST"), (2, "PUT"), (3, "PUT")] {
            world.inject(cluster::Fault::next(method, MAPS, Misbehaviour::Reset { applied }));
            journal.append(b"record");
            copy.note(head(sequence));
            until(&copy, "copied", is_up_to(sequence)).await;
            assert_eq!(fetch(&kube).await.unwrap(), journal.bytes());
        }
        // Deleted under us, it is made anew.
        assert!(world.delete("configmaps", &format!("cutover-{RUN}-0")));
        journal.append(b"record");
        copy.note(head(4));
        until(&copy, "copied", is_up_to(4)).await;
        assert_eq!(fetch(&kube).await.unwrap(), journal.bytes());
    }
}

#[tokio::test]
async fn writes_keep_their_distance() {
    let world = world().await;
    let kube = connect(&world).await;
    let journal = Growing::default();
    let every = Duration::from_millis(300);
    let copy = kube.copy_journal(about(RUN), journal.reader(), every);
    let began = Instant::now();
    let mut sequence = 0;
    while began.elapsed() < every * 4 {
        sequence += 1;
        journal.append(b"record");
        copy.note(head(sequence));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let most = 1 + began.elapsed().as_millis() / every.as_millis();
    let seen = writes(&world) as u128;
    assert!((2..=most).contains(&seen), "{seen} writes, {most} at most");
    copy.finish(Duration::from_secs(20)).await;
    assert_eq!(fetch(&kube).await.unwrap(), journal.bytes());
}

// --- two hosts ---------------------------------------------------------------------------------------------------

async fn take(kube: &KubeCluster, from: Option<&KubeLock>, who: &str) -> Arc<KubeLock> {
    let claim = LockClaim {
        who: format!("{who}@bastion"),
        host: format!("{who}-host"),
        run_id: RUN.into(),
        previous: from.map(|lock| (lock.lock_id().to_owned(), RUN.into())).into_iter().collect(),
        id: None,
    };
    // As if it were a crashed engine's own run, so that nothing is waited for.
    let claim = LockClaim { host: "shared".to_owned(), ..claim };
    kube.acquire(&claim).await.unwrap()
}

#[tokio::test]
async fn the_next_host_goes_on_with_the_copy_and_the_first_one_leaves_it_alone() {
    let world = world().await;
    let first = connect(&world).await;
    let old = take(&first, None, "alice").await;
    let journal = Growing::of(noise(SEGMENT + 50, 1));
    let copy = first.copy_journal(about(RUN), journal.reader(), EVERY);
    copy.note(head(1));
    until(&copy, "copied", is_up_to(1)).await;

    let second = connect(&world).await;
    let _new = take(&second, Some(&old), "bob").await;
    let fetched = fetch(&second).await.unwrap();
    assert_eq!(fetched, journal.bytes());
    let theirs = Growing::of(fetched);
    theirs.append(b"the next host's record");
    let next =
        second.copy_journal(CopyAbout { host: "bastion-2".to_owned(), ..about(RUN) }, theirs.reader(), EVERY);
    let untouched = version(&world, 0);
    next.note(head(2));
    until(&next, "copied", is_up_to(2)).await;
    assert_eq!(version(&world, 0), untouched, "a full piece was written again");

    let kept = version(&world, 1);
    journal.append(b"what the first host still believes");
    copy.note(head(2));
    let state = until(&copy, "off", |state| matches!(state, CopyState::Off { .. })).await;
    let why = why(state);
    assert!(why.contains("fenced off") || why.contains("is lost"), "{why}");
    assert_eq!(version(&world, 1), kept, "the copy was overwritten");
    assert_eq!(fetch(&second).await.unwrap(), theirs.bytes());
    assert_eq!(second.copied_runs().await.unwrap()[0].host, "bastion-2");
    // Nor by beginning anew.
    let again = first.copy_journal(about(RUN), journal.reader(), EVERY);
    again.note(head(3));
    until(&again, "off", |state| matches!(state, CopyState::Off { .. })).await;
    assert_eq!(version(&world, 1), kept);
    assert!(old.permit().is_ok() || old.permit().unwrap_err().contains("is lost"));
}

#[tokio::test]
async fn without_locks_the_later_of_two_engines_keeps_the_copy() {
    let world = world().await;
    let (first, second) = (connect(&world).await, connect(&world).await);
    let journal = Growing::of(noise(100, 1));
    let one = first.copy_journal(about(RUN), journal.reader(), EVERY);
    one.note(head(1));
    until(&one, "copied", is_up_to(1)).await;
    let two = second.copy_journal(about(RUN), journal.reader(), EVERY);
    two.note(head(2));
    until(&two, "copied", is_up_to(2)).await;
    journal.append(b"record");
    one.note(head(3));
    let state = until(&one, "off", |state| matches!(state, CopyState::Off { .. })).await;
    assert!(why(state).contains("by another engine"));
    two.note(head(3));
    until(&two, "copied", is_up_to(3)).await;
}

#[tokio::test]
async fn a_copy_that_went_another_way_is_left_alone() {
    let world = world().await;
    let original = noise(SEGMENT + 50, 1);
    let kube = copied(&world, &Growing::of(original.clone())).await;
    let mut early = original.clone();
    early[10] ^= 1;
    let mut late = original.clone();
    late[SEGMENT + 10] ^= 1;
    let shorter = original[..SEGMENT + 20].to_vec();
    for other in [early, late, shorter] {
        let copy = kube.copy_journal(about(RUN), Growing::of(other).reader(), EVERY);
        copy.note(head(9));
        let state = until(&copy, "off", |state| matches!(state, CopyState::Off { .. })).await;
        assert!(why(state).contains("differs from this journal"));
        assert_eq!(fetch(&kube).await.unwrap(), original);
    }
}
