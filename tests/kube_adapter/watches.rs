//! K3: watches converge to what a fresh look sees, after every kind of trouble.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    adapters::kube::Timing,
    domain::time::{Span, Timestamp},
    domain::workload::{Connection, Workload},
    world::cluster::{ForeignEdit, Misbehaviour},
    world::scenario::Scenario,
};

use super::{ALWAYS, Stand, answer, kube::labels, timing, until};

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
    // The watches are open again before the next read confirms the picture.
    until(&mut pictures, "connected again", |it| {
        it.connection == Connection::Connected && it.as_of > lost.as_of
    })
    .await;
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

/// A watch that cannot be had is asked for less and less often: whatever the way in which it cannot.
#[tokio::test]
async fn k3_a_watch_that_cannot_be_had_is_no_storm() {
    let refused = || answer(503, false);
    let troubles = [
        ("lists that are refused", "fieldSelector=", refused()),
        ("watches that are refused", "watch=", refused()),
        ("410 as an event", "watch=", Misbehaviour::WatchExpires),
        ("410 as an answer", "watch=", answer(410, false)),
        ("watches that end at once", "watch=", Misbehaviour::WatchEnds),
    ];
    let all = troubles.map(|(trouble, path, misbehaviour)| async move {
        let timing = Timing { watch: Duration::from_secs(30), backoff: Duration::from_secs(5), ..timing() };
        let stand = Stand::with(Scenario::Good, timing, None).await;
        let mut pictures = Arc::clone(&stand.kube).watch();
        until(&mut pictures, "connected", |it| it.connection == Connection::Connected).await;
        stand.fault("GET", path, ALWAYS, misbehaviour);
        if path == "fieldSelector=" {
            stand.world.expire_history();
        }
        stand.world.close_watches();
        let before = stand.world.count("GET", "/");
        tokio::time::sleep(Duration::from_secs(8)).await;
        // Service, two Deployments, their pods, warnings: six feeds, each with a list and a watch a try.
        let asked = stand.world.count("GET", "/") - before;
        assert!(asked <= 6 * 2 * 15, "{trouble}: {asked} requests in 8 s");
        stand.world.clear_faults();
        assert!(stand.world.foreign_edit("kubectl-edit", &ForeignEdit::Selector(labels("green"))));
        let green = |it: &Workload| it.live.as_ref().is_some_and(|live| live.as_str() == "green");
        until(&mut pictures, trouble, |it| green(it) && it.connection == Connection::Connected).await;
    });
    futures::future::join_all(all).await;
}

/// What a watch tells says nothing about the objects it does not tell of: only a read of all that decides does.
#[tokio::test]
async fn k3_a_picture_is_as_old_as_the_last_read_of_all_that_decides() {
    let timing = Timing { heartbeat: Span::from_millis(300), ..timing() };
    let stand = Stand::with(Scenario::Good, timing, None).await;
    let mut pictures = Arc::clone(&stand.kube).watch();
    until(&mut pictures, "connected", |it| it.connection == Connection::Connected).await;
    // The Deployments can neither be read nor watched any more, while Service and pods go on telling.
    stand.fault("GET", "deployments", ALWAYS, answer(503, false));
    stand.world.close_watches();
    let lost = until(&mut pictures, "lost", |it| matches!(it.connection, Connection::Lost(_))).await;
    for round in 0..6 {
        let to = if round % 2 == 0 { "green" } else { "blue" };
        assert!(stand.world.foreign_edit("kubectl-edit", &ForeignEdit::Selector(labels(to))));
        let told = until(&mut pictures, to, |it| it.live.as_ref().is_some_and(|live| live.as_str() == to));
        assert!(told.await.as_of <= lost.as_of, "the Deployments were not seen since");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stand.world.clear_faults();
    until(&mut pictures, "seen again", |it| it.as_of > lost.as_of && it.connection == Connection::Connected)
        .await;
}
