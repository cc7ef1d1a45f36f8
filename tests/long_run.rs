//! A run that lives for a day, on a line to the API server on which something is always wrong: nothing of it grows with time but
//! its own history.
//!
//! The rehearsal's world tells the day in a minute and a half. World and engine are one process here, so what is measured is
//! both of them; the journal, and what a screen that comes is told, are the run's own.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![expect(clippy::print_stdout, reason = "the figures are what the test is for")]

use std::{ffi::OsStr, fmt::Write as _, process::Command, sync::Arc, time::Duration};

use cutover::{
    domain::{event::RunEvent, message::Command as Order},
    journal::samples,
};

#[path = "support/ground.rs"]
mod ground;
#[path = "support/helm.rs"]
mod helm;
#[path = "support/pty.rs"]
mod pty;

use helm::{Base, Helm};
use pty::{Cockpit, Stage};

/// Simulated seconds in a real one.
const SPEED: f64 = 1000.0;
const HOUR: i64 = 3_600_000;

const WINDOW: &str = r#"
[[step]]
id = "monitor"
title = "Monitor"
window = { lasts = "25h" }
check = [
  { text = "Errors", metric = "error_rate", is = "< 1%" },
  { text = "Pods", pods_ready = { slot = "new", at_least = 1 }, interval = "1m" },
  { text = "Log", logs = { slot = "new", without = "FATAL" }, interval = "1m" },
]

[[step]]
id = "retire""#;

const METRICS: &str = r#"
[[trigger]]
metric = "error_rate"
when = "> 5%"
for = "10m"
then = "countdown"
countdown = "1m"
no_data = "hold"

[sources.prometheus]
url = "http://prometheus.example.com"

[metrics.error_rate]
title = "Error rate"
query = 'sum(rate(http_requests_total{code=~"5..",slot="$slot"}[5m])) / sum(rate(http_requests_total{slot="$slot"}[5m]))'
per_slot = true
unit = "percent"
normal = "< 1%"
alert = "> 5%"
interval = "30s"
"#;

/// Simulated seconds in a real one where everything is measured every five of them.
const DENSE_SPEED: f64 = 400.0;
/// Expressions that are measured of both slots, beside what is counted of them.
const EXPRESSIONS: usize = 9;
/// Samples of a day: two slots, one every five seconds.
const SAMPLES: usize = (EXPRESSIONS + 1) * 2 * 24 * 720;

/// As many metrics as a large runbook has, and claims that evidence decides.
fn dense() -> String {
    let mut text = METRICS.replace("interval = \"30s\"", "interval = \"5s\"");
    text += r#"
[[trigger]]
metric = "failed"
when = "worse than 2%"
then = "ask"
no_data = "hold"

[metrics.failed]
title = "Failed requests"
bad = 'http_requests_total{code=~"5..",slot="$slot"}'
all = 'http_requests_total{slot="$slot"}'
per_slot = true
unit = "percent"
interval = "5s"
"#;
    for number in 1..EXPRESSIONS {
        let _ = write!(
            text,
            r#"
[metrics.requests_{number}]
title = "Requests {number}"
query = 'sum(rate(http_requests_total{{slot="$slot"}}[{number}m])) * 60'
per_slot = true
unit = "per-minute"
interval = "5s"
"#
        );
    }
    text
}

struct Day(Arc<Stage>);

impl Base for Day {
    fn stage(&self) -> &Stage {
        &self.0
    }

    fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("LOG", self.0.path().join("log"))
    }
}

/// What a process and its run hold at one moment.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Resident, without what is mapped from files; MiB.
    memory: u64,
    descriptors: usize,
    threads: usize,
    /// Events of the journal.
    events: usize,
    /// Bytes of the run's directory.
    bytes: u64,
}

fn bytes_below(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        _ => entry.metadata().map_or(0, |about| about.len()),
    };
    entries.map(of).sum()
}

/// What a process has resident, without what is mapped from files; MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

fn held(helm: &mut Helm, day: &Day) -> Held {
    let process = format!("/proc/{}", helm.engine.id());
    let open = || std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    // A line that was just broken is there twice for a moment: the least of a while counts.
    let descriptors = (0..20).map(|_| {
        helm.wait(Duration::from_millis(100));
        open()
    });
    let descriptors = descriptors.min().unwrap();
    Held {
        memory: resident(helm.engine.id()),
        descriptors,
        threads: std::fs::read_dir(format!("{process}/task")).unwrap().count(),
        events: helm.events.len(),
        bytes: day.0.runs().iter().map(|run| bytes_below(run)).sum(),
    }
}

#[test]
fn a_day_in_the_window_grows_nothing() {
    let day = Day(Stage::new());
    let runbook = include_str!("support/guard.toml");
    // More than a day, to see where what grows stops growing: `CUTOVER_DAYS=4 cargo test --test long_run -- --nocapture`.
    let days: i64 = std::env::var("CUTOVER_DAYS").map_or(1, |days| days.parse().unwrap());
    let window = WINDOW.replace("25h", &format!("{}h", 24 * days + 1));
    let runbook = runbook.replacen("\n[[step]]\nid = \"retire\"", &window, 1) + METRICS;
    std::fs::write(day.0.path().join("runbook.toml"), runbook).unwrap();
    let mut helm = Helm::rehearse(&day, "bad-line", SPEED);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    let opened = helm.now.0;
    let mut seen = Vec::new();
    let after = |helm: &mut Helm, hours: i64| {
        // A day takes longer than any other wait.
        while helm.now.0 < opened + hours * HOUR {
            helm.wait(Duration::from_secs(1));
            assert!(!helm.closed && helm.outcome().is_none(), "{}", helm.story());
        }
        let now = held(helm, &day);
        println!("{hours} h: {now:?}");
        now
    };
    for hours in [2, 8, 16, 24].into_iter().chain((2..=days).map(|day| 24 * day)) {
        seen.push(after(&mut helm, hours));
    }
    let (early, late) = (seen[0], seen[3]);
    let rolled_back = |event: &RunEvent| matches!(event, RunEvent::RollbackStarted { .. });
    assert!(!helm.has(rolled_back) && !helm.has(|event| matches!(event, RunEvent::ForeignChange { .. })));
    // What the world keeps of its past fills up in the first hours.
    assert!(late.memory <= early.memory + 48, "{early:?} {late:?}");
    assert!(late.memory <= seen[2].memory + 8, "{:?} {late:?}", seen[2]);
    assert!(late.descriptors <= early.descriptors + 24, "{early:?} {late:?}");
    assert!(late.threads <= early.threads + 4, "{early:?} {late:?}");
    // A day on a bad line has something to tell, about as much in every hour; not something for every look, of which there
    // are thousands. The journal takes its space two MiB at a time.
    assert!(late.events <= 4_000 && late.bytes <= 8 << 20, "{early:?} {late:?}");
    // Over a night in which a person has paused it, it looks on all the same.
    let paused = |helm: &Helm| helm.run.as_ref().is_some_and(|run| run.held.is_some());
    helm.order(&Order::Hold { reason: "until the morning".into() });
    helm.wait_until("the pause", paused);
    let (before, samples) = (*seen.last().unwrap(), helm.samples);
    let morning = after(&mut helm, 24 * days + 8);
    assert!(paused(&helm) && helm.samples > samples + 100, "{samples} {}", helm.samples);
    assert!(morning.memory <= before.memory + 8, "{before:?} {morning:?}");
    assert!(morning.descriptors <= before.descriptors + 24, "{before:?} {morning:?}");
    helm.order(&Order::Continue);
    helm.wait_until("the run that goes on", |helm| !paused(helm));
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    assert_eq!(helm.close(), 5);
}

/// A file of samples that fills up, a meter that takes in everything, and a screen that watches all of it.
#[test]
fn a_day_of_dense_samples_keeps_to_its_bounds() {
    let day = Day(Stage::new());
    let runbook = include_str!("support/guard.toml");
    // The file is full on the second day: `CUTOVER_DAYS=2 cargo test --test long_run dense -- --nocapture`.
    let days: i64 = std::env::var("CUTOVER_DAYS").map_or(1, |days| days.parse().unwrap());
    let window = WINDOW.replace("25h", &format!("{}h", 24 * days + 2));
    let runbook = runbook.replacen("\n[[step]]\nid = \"retire\"", &window, 1) + &dense();
    std::fs::write(day.0.path().join("runbook.toml"), runbook).unwrap();
    let mut helm = Helm::rehearse(&day, "bad-line", DENSE_SPEED);
    helm.fly_until("window", |helm| helm.has(|event| matches!(event, RunEvent::WindowOpened { .. })));
    let mut screen = Cockpit::start_in(&day.0, (120, 36), &[OsStr::new("watch")], &[]);
    screen.wait_for("Monitor");
    let (opened, before) = (helm.now.0, helm.samples);
    let mut seen = Vec::new();
    for hours in [1, 6, 12, 18].into_iter().chain((1..=days).map(|day| 24 * day)) {
        while helm.now.0 < opened + hours * HOUR {
            helm.wait(Duration::from_millis(500));
            // Nothing is looked at; a terminal that nobody reads would stop the screen.
            drop(screen.screen());
            screen.seen.clear();
            assert!(!helm.closed && helm.outcome().is_none(), "{}", helm.story());
        }
        let run = day.0.runs().pop().unwrap();
        let file = std::fs::metadata(run.join(samples::FILE)).map_or(0, |about| about.len());
        let watching = resident(screen.child.id());
        let now = held(&mut helm, &day);
        println!("{hours} h: {now:?}, screen {watching} MiB, {} samples, file {file}", helm.samples - before);
        seen.push((now, watching, file));
    }
    let (first, last) = (seen[0], *seen.last().unwrap());
    let samples = helm.samples - before;
    // Nothing is proved by a day in which nothing was measured. A host that is busy skips some.
    assert!(samples > SAMPLES / 4, "{samples} of {SAMPLES} a day");
    // What the world keeps of its past fills up in the first hours.
    assert!(last.0.memory <= first.0.memory + 48, "{first:?} {last:?}");
    assert!(last.0.memory <= seen[3].0.memory + 8, "{:?} {last:?}", seen[3]);
    assert!(last.1 <= first.1 + 16, "{first:?} {last:?}");
    assert!(last.2 <= 64 << 20 && last.0.bytes <= 80 << 20, "{last:?}");
    helm.roll_back();
    helm.wait_until("end", Helm::is_over);
    assert_eq!(helm.close(), 5);
    let run = day.0.runs().pop().unwrap();
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let kept = samples::read(&run, &id).unwrap().unwrap();
    println!("{} moments kept; {:?}", kept.moments.len(), kept.remarks());
    assert!(kept.faults.is_empty(), "{:?}", kept.faults);
    let most = samples::Bounds::default().moments;
    assert!(kept.moments.len() as u64 <= most, "{}", kept.moments.len());
    let said = kept.remarks().iter().any(|remark| remark.contains("thinned out"));
    assert_eq!(said, !kept.thinned.is_empty(), "{:?}", kept.remarks());
    assert!(said || samples as u64 <= most, "{samples} samples have no room: {:?}", kept.remarks());
    let (code, report, fault) = day.0.run(&["report", &id, "--format", "md"]);
    assert_eq!(code, 0, "{fault}");
    assert_eq!(report.contains("thinned out"), said, "a reader is told");
}
