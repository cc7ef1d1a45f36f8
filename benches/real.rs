//! Measures on a real control plane, beside kubectl: `tests/real/kube up && cargo bench --features real-servers --bench real`.
//!
//! Prints one line each with the figure, and all of them as a table at the end. It asserts nothing: a busy machine is not a
//! fault. Parts of it: `… --bench real -- rollback`, `screens`, `large`, `idle` (part of `large`), `alone`.

#![expect(
    clippy::print_stderr,
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

#[path = "budgets/alone.rs"]
mod alone;
#[path = "real/crowd.rs"]
mod crowd;
#[path = "real/gauge.rs"]
mod gauge;
#[path = "real/large.rs"]
mod large;
#[path = "real/screens.rs"]
mod screens;
#[path = "real/table.rs"]
mod table;
#[path = "real/witness.rs"]
mod witness;

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{Patch, PatchParams},
};

use cutover::domain::{
    event::{ActionOutcome, RunEvent},
    message::Command as Order,
};

use ground::WORLD;
use helm::{Base as _, Helm};
use place::{NEW, Place};
use plane::PLANE;
use table::Table;
use witness::Witness;

/// A part of what is measured, and its name.
type Part = (&'static str, fn(&mut Table));

/// Flights, and calls of kubectl.
const ROUNDS: usize = 22;

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let mut table = Table::default();
    let parts: [Part; 5] = [
        ("rollback", rollbacks),
        ("screens", screens::measure),
        ("large", large::measure),
        ("idle", large::idle),
        ("alone", |table| {
            alone::measure(|what, measured, budget| table.line(what, measured, budget));
        }),
    ];
    for (name, measure) in parts {
        let part_of_all = wanted.is_empty() && name != "idle";
        if part_of_all || wanted.iter().any(|word| word == name) {
            measure(&mut table);
        }
    }
    table.print();
}

fn rollbacks(table: &mut Table) {
    let (mut ours, mut theirs, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let place = Place::new(NEW);
    let witness = Witness::of(&place);
    for round in 0..ROUNDS {
        // Side by side, so that both meet the same machine.
        theirs.push(kubectl_patch(&place, &witness));
        ours.push(roll_back(&place, &witness, round % 2 == 0));
        theirs.push(kubectl_patch(&place, &witness));
        bare.push(bare_patch(&place, &witness));
    }
    let (open, closed): (Vec<_>, Vec<_>) =
        ours.into_iter().enumerate().partition(|(round, _)| round % 2 == 0);
    let times = |all: Vec<(usize, Patched)>| all.into_iter().map(|(_, time)| time).collect::<Vec<_>>();
    let (ours, without) = (times(open), times(closed));
    let seen = |all: &[Patched]| all.iter().map(|it| it.seen).collect::<Vec<_>>();
    let told = |all: &[Patched]| all.iter().map(|it| it.told).collect::<Vec<_>>();
    table.line("rollback ordered → Service patched, dialog open", spread(&seen(&ours)), "");
    table.line("… → the engine says so", spread(&told(&ours)), "1 round trip + 5 ms");
    table.line("the same → Service patched, no dialog open before", spread(&seen(&without)), "");
    table.line("`kubectl patch` entered → Service patched", spread(&seen(&theirs)), "");
    table.line("… → kubectl says so", spread(&told(&theirs)), "");
    table.line("a PATCH alone, on an open connection → Service patched", spread(&seen(&bare)), "");
    let times = |of: fn(&Patched) -> Duration| {
        let median = |all: &[Patched]| median(&all.iter().map(of).collect::<Vec<_>>()).as_secs_f64();
        format!("{:.1}", median(&theirs) / median(&ours))
    };
    table.line("times as fast to the patched Service, at the median", times(|it| it.seen), "10");
    table.line("times as fast to the word that it is", times(|it| it.told), "");
}

/// How long it took from the order.
struct Patched {
    /// Until somebody who watches the Service saw it changed: the watch's way is in it, the same for all.
    seen: Duration,
    /// Until whoever ordered it was told.
    told: Duration,
}

/// How long a person waits who types `kubectl patch` and presses enter.
fn kubectl_patch(place: &Place, witness: &Witness) -> Patched {
    let mark = fastrand::u64(..).to_string();
    let patch = format!(r#"{{"metadata":{{"annotations":{{"bench":"{mark}"}}}}}}"#);
    witness.forget();
    let begun = Instant::now();
    place.kubectl(&["patch", "service", "backend-service", "-p", &patch]);
    let told = begun.elapsed();
    let seen = witness.when(|service| {
        service.metadata.annotations.as_ref().and_then(|all| all.get("bench")) == Some(&mark)
    });
    Patched { seen: seen - begun, told }
}

/// What nobody can be faster than: the one request, with the connection open and warm.
fn bare_patch(place: &Place, witness: &Witness) -> Patched {
    let mark = fastrand::u64(..).to_string();
    let api: Api<Service> = Api::namespaced(WORLD.block_on(PLANE.client()), &place.namespace);
    let patch = serde_json::json!({ "metadata": { "annotations": { "bench": mark } } });
    // The connection is opened by a read, as ours has been for minutes.
    WORLD.block_on(api.get("backend-service")).unwrap();
    witness.forget();
    let begun = Instant::now();
    WORLD.block_on(api.patch("backend-service", &PatchParams::default(), &Patch::Merge(&patch))).unwrap();
    let told = begun.elapsed();
    let seen = witness.when(|service| {
        service.metadata.annotations.as_ref().and_then(|all| all.get("bench")) == Some(&mark)
    });
    Patched { seen: seen - begun, told }
}

/// Flies to the switch, and gives the time from the order to the patched Service.
fn roll_back(place: &Place, witness: &Witness, dialog: bool) -> Patched {
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
    witness.forget();
    let begun = Instant::now();
    helm.roll_back();
    helm.wait_until("patched", |helm| {
        helm.has(|event| matches!(event, RunEvent::TrafficSwitched { to, .. } if to.as_str() == "blue"))
    });
    let told = begun.elapsed();
    let seen = witness.when(|service| {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.and_then(|labels| labels.get("version")).is_some_and(|version| version == "blue")
    });
    helm.wait_until("end", Helm::is_over);
    assert!(
        helm.has(|event| matches!(event, RunEvent::ActionFinished { outcome: ActionOutcome::Succeeded, .. }))
    );
    assert_eq!(helm.close(), 5);
    Patched { seen: seen - begun, told }
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
