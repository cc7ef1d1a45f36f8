//! What needs neither a terminal nor a cluster: the journal's recovery, and a command's output.

#![expect(clippy::expect_used, reason = "a measuring program stops where it cannot measure")]

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
    engine::ports::{Output, Shell as _, ShellCall, ShellNews, ShellProgram},
    journal::{self, Header, Writer},
};
use tokio::sync::{mpsc, watch};

const RECORDS: u64 = 100_000;
const OUTPUT: &str = "yes 'a line of output as a build prints it, about one hundred columns wide, again and again and again' | head -c 1000000000";

/// Measures all of it, and tells each: what, the figure, the budget.
pub(crate) fn measure(mut tell: impl FnMut(String, String, &str)) {
    let best = recover();
    tell(
        format!("recover a journal of {RECORDS} records"),
        format!("{} ms, best of 5", best.as_millis()),
        "200 ms",
    );
    let direct = cat();
    let took = output();
    tell(
        "1 GB of a command's output".to_owned(),
        format!("{} ms, `cat >/dev/null` {} ms", took.as_millis(), direct.as_millis()),
        "twice `cat`",
    );
}

/// Recovers a journal of 100,000 records.
fn recover() -> Duration {
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
    (0..5)
        .map(|_| {
            let begun = Instant::now();
            let recovered = journal::recover::<Envelope>(&dir).expect("a journal");
            assert_eq!(recovered.records.len() as u64, RECORDS);
            begun.elapsed()
        })
        .min()
        .unwrap_or_default()
}

/// 1 GB through a pipe into `cat >/dev/null`.
fn cat() -> Duration {
    let begun = Instant::now();
    let script = format!("{OUTPUT} | cat");
    Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::null()).status().expect("a shell");
    begun.elapsed()
}

/// 1 GB of a command's output through the engine's own path, memory bounded.
fn output() -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    runtime.block_on(async {
        let shell = LocalShell::new(None, Arc::new(unfiltered));
        let (news_in, mut news) = mpsc::channel::<ShellNews>(64);
        let (_keep, cancel) = watch::channel(false);
        let call = ShellCall {
            program: ShellProgram::Sh(OUTPUT.into()),
            env: Vec::new(),
            timeout: Span::from_mins(5),
            mark: None,
            output: Some(Output::Disk(dir.path().join("output"))),
            sample: Vec::new(),
            sample_failure: Vec::new(),
        };
        let drain = tokio::spawn(async move { while news.recv().await.is_some() {} });
        let begun = Instant::now();
        shell.run(call, news_in, cancel).await.expect("a command");
        let took = begun.elapsed();
        drain.await.expect("the listener");
        took
    })
}
