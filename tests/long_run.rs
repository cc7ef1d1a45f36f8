//! A run that lives for a day, on a line to the API server on which something is always wrong: nothing of it grows with time but
//! its own history.
//!
//! The rehearsal's world tells the day in a minute and a half. World and engine are one process here, so what is measured is
//! both of them; the journal, and what a screen that comes is told, are the run's own.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![expect(clippy::print_stdout, reason = "the figures are what the test is for")]

use std::{process::Command, sync::Arc, time::Duration};

use cutover::domain::{event::RunEvent, message::Command as Order};

#[path = "support/ground.rs"]
mod ground;
#[path = "support/helm.rs"]
mod helm;
#[path = "support/pty.rs"]
mod pty;

use helm::{Base, Helm};
use pty::Stage;

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

fn held(helm: &mut Helm, day: &Day) -> Held {
    let process = format!("/proc/{}", helm.engine.id());
    let open = || std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    // A line that was just broken is there twice for a moment: the least of a while counts.
    let descriptors = (0..20).map(|_| {
        helm.wait(Duration::from_millis(100));
        open()
    });
    let descriptors = descriptors.min().unwrap();
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    Held {
        memory: field("RssAnon:") / 1024,
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
