//! A line on which something is always wrong: see [`Scenario::BadLine`](crate::world::scenario::Scenario::BadLine).
//!
//! Reads and watches only. What a write without an answer means is no matter of weather: tests order that one by one.

use std::{sync::Arc, time::Duration};

use super::{
    fault::{Fault, Misbehaviour},
    resource::Kind,
    server::{Shared, stopped},
};

/// Between two troubles, simulated, at most: on an average a good minute.
const APART_SECONDS: std::ops::Range<u64> = 20..160;
/// The same weather in every rehearsal.
const SEED: u64 = 7;

/// Makes trouble until the cluster is stopped.
pub(super) async fn play(shared: Arc<Shared>) {
    let mut random = fastrand::Rng::with_seed(SEED);
    // It begins with a run that is open: one that cannot look when it is opened is not opened.
    while !shared.requests().iter().any(|request| request.query.contains("watch=")) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            () = stopped(&shared) => return,
        }
    }
    loop {
        let pause = shared.real(Duration::from_secs(random.u64(APART_SECONDS)));
        tokio::select! {
            () = tokio::time::sleep(pause) => strike(&shared, &mut random),
            () = stopped(&shared) => return,
        }
    }
}

fn strike(shared: &Shared, random: &mut fastrand::Rng) {
    let times = random.u32(1..4);
    let reads =
        |misbehaviour| shared.faults().push(Fault::next("GET", "/namespaces/", misbehaviour).times(times));
    let watches = |misbehaviour| {
        shared.faults().push(Fault::next("GET", "watch=", misbehaviour).times(times));
        shared.end_watches();
    };
    let answer = |code, retry_after| Misbehaviour::Answer { code, retry_after, applied: false };
    match random.u32(0..10) {
        0 => reads(answer(503, None)),
        1 => reads(answer(429, Some(1))),
        2 => reads(answer(504, None)),
        3 => reads(Misbehaviour::Reset { applied: false }),
        4 => reads(Misbehaviour::Late(Duration::from_millis(300))),
        5 => watches(Misbehaviour::WatchExpires),
        6 => watches(Misbehaviour::WatchEnds),
        7 => watches(Misbehaviour::WatchGoesSilent),
        8 => {
            // Whoever goes on from before now is told 410.
            shared.change(|state| state.store.compact());
            shared.end_watches();
        }
        _ => crash_some_pod(shared, random),
    }
}

/// A container of any pod exits, as one does when its node runs out of memory.
fn crash_some_pod(shared: &Shared, random: &mut fastrand::Rng) {
    shared.change(|state| {
        let all: Vec<String> = state.store.list(Kind::Pod, None).map(|(key, _)| key.name.clone()).collect();
        random.choice(&all).is_some_and(|pod| state.crash_pod(pod))
    });
}
