//! S3: a command that floods us costs bounded memory, on the way that production takes: pipe, masking, file, lines.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cutover::{
    adapters::process::{Command, Program, Status, run},
    engine::{mask, output::LineAssembler},
};
use secrecy::SecretString;

/// The most memory this process has used so far, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn s3_a_flood_is_bounded() {
    const BYTES: u64 = 200_000_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("output");
    let secret = SecretString::from("correct-horse-battery");
    let masker = Arc::new(mask::Masker::new([("TOKEN", &secret)]).unwrap());
    let lines = Arc::new(Mutex::new(LineAssembler::default()));
    let sink = Arc::clone(&lines);

    let script =
        format!("echo correct-horse-battery; yes | head -c {BYTES}; echo; echo correct-horse-battery");
    let command = Command { output: Some(path.clone()), ..Command::new(Program::Sh(script)) };
    let push = move |bytes: &[u8]| sink.lock().unwrap().push(bytes);
    let flood =
        run(command, Box::new(mask::filter(masker)), push, |_| {}, tokio::sync::watch::channel(false).1);
    let exit = tokio::time::timeout(Duration::from_mins(2), flood).await.unwrap().unwrap();

    assert_eq!(exit.status, Status::Code(0));
    assert_eq!(exit.bytes, BYTES + 45);
    let mut lines = lines.lock().unwrap();
    let batch = lines.since(0);
    assert_eq!(batch.next, BYTES / 2 + 3);
    assert_eq!(batch.lines.len(), 2_000);
    assert_eq!(batch.skipped, batch.next - 2_000);
    assert_eq!(batch.lines.last().unwrap().line.plain(), "•••");
    // Two marks instead of two secrets of 21 bytes.
    assert_eq!(std::fs::metadata(&path).unwrap().len(), BYTES + 45 - 2 * (21 - 9));
    assert!(peak_memory() <= 150, "{} MiB", peak_memory());
}
