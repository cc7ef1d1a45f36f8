//! What engine and screen hold and use while they watch 100, 1,000 and 10,000 pods, and how soon an attached screen is there.

use std::{
    ffi::OsStr,
    time::{Duration, Instant},
};

use super::{
    crowd::Crowd,
    gauge::{held, painted, peak, take, used},
    pty::Cockpit,
    table::Table,
};

/// What is measured over a while is measured for so long.
const WHILE: Duration = Duration::from_mins(1);
/// Screens that are opened.
const OPENED: usize = 11;

pub(crate) fn measure(table: &mut Table) {
    up_to(&[100, 1_000, 10_000], table);
}

/// Few pods only: what an engine and a screen use that have nothing to do.
pub(crate) fn idle(table: &mut Table) {
    up_to(&[100], table);
}

fn up_to(sizes: &[usize], table: &mut Table) {
    let mut crowd = Crowd::new();
    for &size in sizes {
        let begun = Instant::now();
        crowd.grow(size);
        eprintln!("{size} pods after {} s", begun.elapsed().as_secs());
        at(&crowd, table);
    }
}

fn at(crowd: &Crowd, table: &mut Table) {
    let helm = crowd.watched();
    let engine = helm.engine.id();
    let attach = || {
        let begun = Instant::now();
        let mut screen = Cockpit::start_in(&crowd.stage(), (80, 24), &[OsStr::new("attach")], &[]);
        // The first frame that shows the pods: what comes before it, if anything does, is none.
        let took = painted(&mut screen, begun, |screen| screen.contains("GREEN") && screen.contains("BLUE"));
        (screen, took)
    };
    // The picture is complete once, and what its making took is given back or is not.
    let (mut screen, _) = attach();
    screen.wait_until("CrashLoop");
    take(&mut screen, Instant::now() + Duration::from_secs(20));
    drop(screen);
    let mut times: Vec<Duration> = (0..OPENED).map(|_| attach().1).collect();
    times.sort();
    let (mut screen, _) = attach();
    take(&mut screen, Instant::now() + Duration::from_secs(5));
    let pids = [engine, screen.child.id()];
    let (before, begun) = (pids.map(used), Instant::now());
    let bytes = take(&mut screen, begun + WHILE);
    let took = begun.elapsed().as_secs_f64();
    let after = pids.map(used);
    let [of_engine, of_screen] =
        [0, 1].map(|n| after[n].saturating_sub(before[n]).as_secs_f64() / took * 100.0);
    let [engine_holds, screen_holds] = pids.map(held);
    let both = engine_holds + screen_holds;
    let mib = |kib: u64| format!("{:.1} MiB", f64::from(u32::try_from(kib).unwrap()) / 1024.0);
    let pods = format!("{} pods", crowd.size);
    table.line(
        format!("{pods}: resident, engine + screen"),
        format!("{} ({} + {})", mib(both.resident), mib(engine_holds.resident), mib(screen_holds.resident)),
        "60 MiB at 10,000",
    );
    table.line(
        format!("{pods}: the same, shared pages once (PSS); private"),
        format!("{}; {}", mib(both.share), mib(both.own)),
        "",
    );
    table.line(format!("{pods}: most that the engine held"), mib(peak(engine)), "");
    table.line(
        format!("{pods}: idle, engine + screen, of a core"),
        format!("{:.2} % ({of_engine:.2} + {of_screen:.2})", of_engine + of_screen),
        "0.3 % at 10,000",
    );
    table.line(
        format!("{pods}: idle, to the terminal"),
        format!("{:.0} bytes/s", f64::from(u32::try_from(bytes).unwrap()) / took),
        "400 bytes/s",
    );
    table.line(
        format!("{pods}: `cutover attach` → first frame, 80x24"),
        format!(
            "median {:.1} ms, {:.1} to {:.1} ms, {} times",
            millis(times[OPENED / 2]),
            millis(times[0]),
            millis(times[OPENED - 1]),
            OPENED
        ),
        "30 ms",
    );
    drop(screen);
    Crowd::end(helm);
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
