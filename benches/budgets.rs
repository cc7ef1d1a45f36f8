//! Measures the budgets of the design that need no terminal and no cluster: `cargo bench --bench budgets`.
//!
//! Prints one line each with the figure and the budget. It asserts nothing: a busy machine is not a fault.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measuring program prints, and stops where it cannot measure"
)]

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    adapters::process::{LocalShell, unfiltered},
    domain::{
        actor::Actor,
        event::{Envelope, RunEvent},
        time::{Span, Timestamp},
    },
    engine::ports::{Shell as _, ShellCall, ShellNews, ShellProgram},
    journal::{self, Header, Writer},
};
use tokio::sync::{mpsc, watch};

const RECORDS: u64 = 100_000;
const OUTPUT: &str = "yes 'a line of output as a build prints it, about one hundred columns wide, again and again and again' | head -c 1000000000";

fn main() {
    recover();
    let direct = cat();
    output(direct);
}

/// Recovers a journal of 100,000 records; the budget is 200 ms.
fn recover() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("run");
    let header = Header { run_id: "bench".into(), runbook_sha256: String::new(), boot_id: String::new() };
    let mut writer = Writer::create(&dir, &header).expect("a journal");
    for seq in 1..=RECORDS {
        let event = RunEvent::NoteAdded { text: format!("note {seq}"), by: Actor::person("bench") };
        writer.append(&Envelope { seq, at: Timestamp(1_795_000_000_000), event }).expect("an append");
    }
    writer.sync().expect("a sync");
    drop(writer);
    let best = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let recovered = journal::recover::<Envelope>(&dir).expect("a journal");
            assert_eq!(recovered.records.len() as u64, RECORDS);
            begun.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("recover {RECORDS} records: {} ms, best of 5 (budget 200 ms)", best.as_millis());
}

/// 1 GB through a pipe into `cat >/dev/null`.
fn cat() -> Duration {
    let begun = Instant::now();
    let script = format!("{OUTPUT} | cat");
    Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::null()).status().expect("a shell");
    begun.elapsed()
}

/// 1 GB of a command's output through the engine's own path, memory bounded; the budget is twice what `cat` takes.
fn output(direct: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let took = runtime.block_on(async {
        let shell = LocalShell::new(None, Arc::new(unfiltered));
        let (news_in, mut news) = mpsc::channel::<ShellNews>(64);
        let (_keep, cancel) = watch::channel(false);
        let call = ShellCall {
            program: ShellProgram::Sh(OUTPUT.into()),
            env: Vec::new(),
            timeout: Span::from_mins(5),
            mark: None,
            output: None,
            sample: Vec::new(),
            sample_failure: Vec::new(),
        };
        let drain = tokio::spawn(async move { while news.recv().await.is_some() {} });
        let begun = Instant::now();
        shell.run(call, news_in, cancel).await.expect("a command");
        let took = begun.elapsed();
        drain.await.expect("the listener");
        took
    });
    println!(
        "1 GB of output: {} ms, `cat >/dev/null` {} ms (budget twice that)",
        took.as_millis(),
        direct.as_millis()
    );
}
