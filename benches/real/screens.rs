//! An attached screen beside btop, htop and kdash: its first frame, and what it sends to the terminal while nothing happens.

use std::{
    ffi::OsStr,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    crowd::Crowd,
    gauge::{painted, take, used},
    plane::PLANE,
    pty::{Cockpit, Stage},
    table::Table,
};

/// What is measured over a while is measured for so long.
const WHILE: Duration = Duration::from_secs(30);
/// Screens that are opened.
const OPENED: usize = 11;
/// A frame has so many characters at least: what comes before it clears the screen, or asks the terminal what it is.
const FRAME: usize = 300;

pub(crate) fn measure(table: &mut Table) {
    let crowd = Crowd::new();
    let helm = crowd.watched();
    let attach = || Cockpit::start_in(&crowd.stage(), (80, 24), &[OsStr::new("attach")], &[]);
    row(table, "`cutover attach` in the window", "30 ms; 0.5 %; 400 bytes/s", attach);
    Crowd::end(helm);
    let stage = Stage::new();
    for program in ["btop", "htop", "kdash"] {
        if Command::new(program).arg("--version").output().is_err() {
            table.line(program, "not installed", "");
            continue;
        }
        row(table, &format!("`{program}`"), "", || {
            let mut command = Command::new(program);
            // With its own defaults, whatever is in this account.
            command.env("HOME", stage.path()).env("XDG_CONFIG_HOME", stage.path());
            // The one of these that looks at a cluster.
            command.env("KUBECONFIG", &PLANE.kubeconfig);
            if program == "btop" {
                command.arg("--utf-force");
            }
            Cockpit::spawn(&stage, (80, 24), command)
        });
    }
}

fn row(table: &mut Table, name: &str, budget: &str, open: impl Fn() -> Cockpit) {
    let paint = || {
        let begun = Instant::now();
        let mut screen = open();
        let full = |screen: &str| screen.chars().filter(|c| !c.is_whitespace()).count() >= FRAME;
        let took = painted(&mut screen, begun, full);
        (screen, took)
    };
    let mut times: Vec<Duration> = (0..OPENED).map(|_| paint().1).collect();
    times.sort();
    let (mut screen, _) = paint();
    take(&mut screen, Instant::now() + Duration::from_secs(3));
    let (before, begun) = (used(screen.child.id()), Instant::now());
    let bytes = take(&mut screen, begun + WHILE);
    let took = begun.elapsed().as_secs_f64();
    let busy = used(screen.child.id()).saturating_sub(before).as_secs_f64() / took * 100.0;
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    table.line(
        format!("{name}, 80x24: first frame; idle: of a core, to the terminal"),
        format!(
            "median {:.1} ms, {:.1} to {:.1} ms; {busy:.2} %, {:.0} bytes/s",
            millis(times[OPENED / 2]),
            millis(times[0]),
            millis(times[OPENED - 1]),
            f64::from(u32::try_from(bytes).unwrap()) / took,
        ),
        budget,
    );
}
