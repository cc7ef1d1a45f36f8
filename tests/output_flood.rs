//! S3: a command that floods us costs bounded memory, on the way that production takes: pipe, masking, file, lines.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    sync::{Arc, Mutex},
    time::Duration,
};

use cutover::{
    adapters::process::{Ending, Invocation, Program, run, unfiltered},
    engine::{mask, output::LineAssembler, ports::Output},
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
    let command =
        Invocation { output: Some(Output::Disk(path.clone())), ..Invocation::new(Program::Sh(script)) };
    let push = move |bytes: &[u8]| sink.lock().unwrap().push(bytes);
    let flood =
        run(command, Box::new(mask::filter(masker)), push, |_| {}, tokio::sync::watch::channel(false).1);
    let exit = tokio::time::timeout(Duration::from_mins(2), flood).await.unwrap().unwrap();

    assert_eq!(exit.status, Ending::Code(0));
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

#[tokio::test]
async fn s3_a_flood_does_not_fill_the_disk() {
    const BYTES: u64 = 400_000_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("output");
    let shown = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&shown);
    let script = format!("echo first; yes | head -c {BYTES}; echo last");
    let command =
        Invocation { output: Some(Output::Disk(path.clone())), ..Invocation::new(Program::Sh(script)) };
    let push = move |bytes: &[u8]| {
        let mut shown = sink.lock().unwrap();
        shown.extend_from_slice(bytes);
        let old = shown.len().saturating_sub(1000);
        shown.drain(..old);
    };
    let flood = run(command, unfiltered(), push, |_| {}, tokio::sync::watch::channel(false).1);
    let exit = tokio::time::timeout(Duration::from_mins(2), flood).await.unwrap().unwrap();

    assert_eq!((exit.status, exit.bytes, exit.output_fault), (Ending::Code(0), BYTES + 11, None));
    let kept = std::fs::metadata(&path).unwrap().len();
    assert!(kept <= 257 << 20, "{kept}");
    let mut file = std::fs::File::open(&path).unwrap();
    let mut text = String::new();
    (&file).take(6).read_to_string(&mut text).unwrap();
    assert_eq!(text, "first\n");
    text.clear();
    file.seek(SeekFrom::Start(252 << 20)).unwrap();
    file.read_to_string(&mut text).unwrap();
    let said = format!("[cutover: {} bytes omitted here]\n", exit.left_out);
    let (_, tail) = text.split_once(&said).unwrap();
    assert!(tail.ends_with("y\ny\nlast\n"));
    // Nothing is lost but what is said to be.
    assert_eq!((252 << 20) + exit.left_out + tail.len() as u64, exit.bytes);
    let shown = String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
    let said = format!("last\n\n[cutover: {} bytes of output are not in its file]\n", exit.left_out);
    assert!(shown.ends_with(&said), "{shown}");
    assert!(peak_memory() <= 150, "{} MiB", peak_memory());
}
