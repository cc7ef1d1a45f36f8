//! `check --online` and `doctor` beside a new run: each as a process of its own, so that nothing of them stays in the screen's
//! memory, nothing waits for them, and whatever happens to them happens to nothing else.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::AsyncReadExt as _,
    process::Command,
    sync::oneshot::{Receiver, channel},
    time::timeout,
};

use crate::domain::online::{
    finding::{Area, Findings},
    preflight::Preflight,
};

/// The longest that a look may take.
const LONGEST: Duration = Duration::from_mins(1);
/// No answer is longer than this many bytes.
const MOST: u64 = 4 << 20;

/// This very program, even if its file has been replaced since.
///
/// # Errors
/// If the program can't be found.
pub fn own_program() -> std::io::Result<PathBuf> {
    let program = Path::new("/proc/self/exe");
    if program.exists() { Ok(program.to_owned()) } else { std::env::current_exe() }
}

/// What `--json` prints, as far as it is needed.
#[derive(Deserialize)]
struct Document {
    findings: Findings,
}

/// Starts both; the answer comes when both have ended. They end with whoever waits for it.
pub fn start(runbook: &Path, vars: &[String], state_dir: Option<&Path>) -> Receiver<Preflight> {
    let mut check = vec!["check".to_owned(), "--online".to_owned(), "--json".to_owned()];
    check.extend(vars.iter().map(|var| format!("--var={var}")));
    check.extend(["--".to_owned(), runbook.display().to_string()]);
    let mut doctor = vec!["doctor".to_owned(), "--json".to_owned()];
    doctor.extend(state_dir.map(|dir| format!("--state-dir={}", dir.display())));
    let (tell, told) = channel();
    tokio::spawn(async move {
        let mut tell = tell;
        let both = async { tokio::join!(look("check --online", &check), look("doctor", &doctor)) };
        // Whoever asked may be gone: then so are the processes.
        let (online, machine) = tokio::select! {
            both = both => both,
            () = tell.closed() => return,
        };
        let _ = tell.send(Preflight::of([online, machine]));
    });
    told
}

/// A look that hangs must not be waited for: the run can start without it.
async fn look(name: &str, args: &[String]) -> Result<Findings, String> {
    match timeout(LONGEST, ask(args)).await {
        Ok(found) => found.map_err(|why| format!("{name}: {why}")),
        Err(_) => Err(format!("{name}: no answer within {} s", LONGEST.as_secs())),
    }
}

/// As a process of its own: what it does to a network or a parser can then never touch the run.
async fn ask(args: &[String]) -> Result<Findings, String> {
    let program = own_program().map_err(|why| why.to_string())?;
    let mut child = Command::new(program)
        .arg0("cutover")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What is said there would be written over the screen.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        // A key in the terminal is not for it.
        .process_group(0)
        .spawn()
        .map_err(|why| format!("cannot be started: {why}"))?;
    let mut answer = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(MOST).read_to_end(&mut answer).await.map_err(|why| why.to_string())?;
    }
    let ended = child.wait().await.map_err(|why| why.to_string())?;
    let Document { mut findings } =
        serde_json::from_slice(&answer).map_err(|_| format!("ended without an answer ({ended})"))?;
    // It has no terminal; whoever asks has one, and sees it.
    findings.0.retain(|finding| finding.area != Area::Terminal);
    Ok(findings)
}
