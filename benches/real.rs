//! Measures on a real control plane, beside kubectl: `tests/real/kube up && cargo bench --features real-servers --bench real`.
//!
//! Prints one line each with the figure. It asserts nothing: a busy machine is not a fault.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program prints, and stops where it cannot measure"
)]

#[path = "../tests/support/ground.rs"]
mod ground;
#[path = "../tests/support/helm.rs"]
mod helm;
#[path = "../tests/support/pty.rs"]
mod pty;

#[path = "../tests/real/app.rs"]
mod app;
#[path = "../tests/real/place.rs"]
mod place;
#[path = "../tests/real/plane.rs"]
mod plane;

use std::time::{Duration, Instant};

use cutover::domain::{
    event::{ActionOutcome, RunEvent},
    message::Command as Order,
};

use helm::{Base as _, Helm};
use place::{NEW, Place};
use plane::PLANE;

/// Flights, and calls of kubectl.
const ROUNDS: usize = 11;

fn main() {
    let (mut ours, mut waiting, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let place = Place::new(NEW);
    for round in 0..ROUNDS {
        // Side by side, so that both meet the same machine.
        theirs.push(kubectl_patch(&place));
        ours.push(roll_back(&place, round % 2 == 0));
        waiting.push(kubectl_patch(&place));
    }
    theirs.extend(waiting);
    let (open, closed): (Vec<_>, Vec<_>) =
        ours.into_iter().enumerate().partition(|(round, _)| round % 2 == 0);
    let times = |all: Vec<(usize, Duration)>| all.into_iter().map(|(_, time)| time).collect::<Vec<_>>();
    let (ours, without) = (times(open), times(closed));
    println!("rollback ordered → Service patched, dialog open: {}", spread(&ours));
    println!("rollback ordered → Service patched, no dialog:   {}", spread(&without));
    println!("kubectl patch service, process and all:          {}", spread(&theirs));
    println!(
        "times as fast, at the median:                    {:.1}",
        median(&theirs).as_secs_f64() / median(&ours).as_secs_f64()
    );
}

/// How long a person waits who types `kubectl patch` and presses enter.
fn kubectl_patch(place: &Place) -> Duration {
    let patch = format!(r#"{{"metadata":{{"annotations":{{"bench":"{}"}}}}}}"#, fastrand::u64(..));
    let begun = Instant::now();
    place.kubectl(&["patch", "service", "backend-service", "-p", &patch]);
    begun.elapsed()
}

/// Flies to the switch, and gives the time from the order to the engine's word that the Service is patched.
fn roll_back(place: &Place, dialog: bool) -> Duration {
    let _ = std::fs::remove_dir_all(place.stage().path().join("runs"));
    let mut helm = Helm::open(place);
    helm.fly_until("switch", |helm| helm.passed("switch"));
    // A person reads the dialog for a second.
    for _ in 0..4 {
        if dialog {
            helm.order(&Order::KeepLooking);
        }
        helm.wait(Duration::from_millis(250));
    }
    let begun = Instant::now();
    helm.roll_back();
    helm.wait_until("patched", |helm| {
        helm.has(|event| matches!(event, RunEvent::TrafficSwitched { to, .. } if to.as_str() == "blue"))
    });
    let took = begun.elapsed();
    let at =
        |is: fn(&RunEvent) -> bool| helm.events.iter().rev().find(|it| is(&it.event)).map_or(0, |it| it.at.0);
    let started = at(|event| matches!(event, RunEvent::RollbackStarted { .. }));
    let begun = at(|event| matches!(event, RunEvent::ActionStarted { .. }));
    let patched = at(|event| matches!(event, RunEvent::TrafficSwitched { .. }));
    println!(
        "   of {} ms: {} ms to the act, {} ms to its end",
        took.as_millis(),
        begun - started,
        patched - begun
    );
    helm.wait_until("end", Helm::is_over);
    assert!(
        helm.has(|event| matches!(event, RunEvent::ActionFinished { outcome: ActionOutcome::Succeeded, .. }))
    );
    assert_eq!(helm.close(), 5);
    took
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    let middle = times.len() / 2;
    if times.len().is_multiple_of(2) { (times[middle - 1] + times[middle]) / 2 } else { times[middle] }
}

fn spread(times: &[Duration]) -> String {
    let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    format!(
        "median {:.1} ms, {:.1} to {:.1} ms, {} times on Kubernetes {}",
        median(times).as_secs_f64() * 1000.0,
        millis(times.iter().min()),
        millis(times.iter().max()),
        times.len(),
        PLANE.release()
    )
}
