//! Runs a command: in its own process group, with one pipe for all of its output, and with a guaranteed end.
//!
//! ```text
//! spawn ──► runs ──► exits ──────────────────────► 500 ms for output and stragglers ──► sweep ──► Exit
//!             │                                        ▲
//!             └─ time over, cancelled ─► TERM ─ grace ─► KILL
//! ```
//!
//! A command is started once and never again by itself. Its standard input is `/dev/null`. Standard output and
//! standard error are the same pipe, so what it prints stays in the order in which it was printed. The environment is
//! ours plus what the call adds; values reach the command as variables only, never as a part of the script. No signal is
//! ignored or blocked in it, whatever we were started with.
//!
//! What a command leaves behind is ended with it. Processes that leave its group (`setsid`) come back to us because we
//! are a subreaper, and are found by their descent, their session or a variable that marks all that descends from a
//! command. They are reported as [`Exit::escaped`].

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};

use crate::domain::event::ChildProcess;
use crate::engine::ports::{
    CancelFlag, Fault, Output, PortError, PortResult, Shell, ShellCall, ShellExit, ShellNews, ShellProgram,
};

mod keep;
mod proc;
mod pump;
mod signals;
mod supervise;

pub use proc::{boot_id, find, is_running};
pub use supervise::run;

/// Between asking a command to end and ending it.
pub const GRACE: Duration = Duration::from_secs(10);

/// How long output and stragglers are waited for once the command itself has exited.
pub const DRAIN: Duration = Duration::from_millis(500);

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// `/bin/sh -c script`, exactly as written.
    Sh(String),
    /// A program, found by `PATH`, and its arguments.
    Argv(Vec<String>),
}

/// A command to run.
#[derive(Clone)]
pub struct Invocation {
    /// What is run.
    pub program: Program,
    /// Variables added to our own environment, or replacing its.
    pub env: Vec<(String, String)>,
    /// Where it runs; our own directory if none.
    pub cwd: Option<PathBuf>,
    /// It is ended after this long; never if none.
    pub timeout: Option<Duration>,
    /// Between SIGTERM and SIGKILL. See [`GRACE`].
    pub grace: Duration,
    /// Where the filtered output is kept, within bounds: a file is appended to, and made with mode 0600. Not kept if none.
    pub output: Option<Output>,
    /// What its processes are known by; one of its own if none. See [`find`].
    pub mark: Option<String>,
}

impl Invocation {
    /// A command without additions and without a time limit.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self { program, env: Vec::new(), cwd: None, timeout: None, grace: GRACE, output: None, mark: None }
    }
}

impl fmt::Debug for Invocation {
    /// Names of variables, not their values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Invocation")
            .field("program", &self.program)
            .field("env", &names)
            .finish_non_exhaustive()
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this status.
    Code(u8),
    /// A signal ended it.
    Signal(i32),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => {
                    write!(f, "killed by signal {number} ({})", signal.as_str().trim_start_matches("SIG"))
                }
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// How the command itself ended.
    pub status: Ending,
    /// It was ended because its time was over.
    pub timed_out: bool,
    /// It was ended because somebody wished so, or because nobody waited for it any more.
    pub cancelled: bool,
    /// Processes that had left the command's group, or outlived the command, and were ended. Sorted.
    pub escaped: Vec<u32>,
    /// From start to exit, without the sweep.
    pub duration: Duration,
    /// Bytes it printed, before filtering.
    pub bytes: u64,
    /// Bytes that are not in the output file because there were too many.
    pub left_out: u64,
    /// Why the output file is not complete.
    pub output_fault: Option<String>,
}

/// Why a command could not be started. Nothing has run.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No program was named.
    #[error("nothing to run: the list of arguments is empty")]
    Empty,
    /// No such program.
    #[error("the program `{program}` was not found; is it installed, and is its directory in PATH?")]
    NotFound {
        /// As written.
        program: String,
    },
    /// Not allowed, not executable, too many arguments, no more processes.
    #[error("`{program}` could not be started: {source}")]
    Start {
        /// As written.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory is not there.
    #[error("the directory {} can't be entered: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file for the output could not be opened safely.
    #[error("the output file {} can't be written: {source}", path.display())]
    Output {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A name that no environment can hold, or a NUL in the value.
    #[error("the variable `{name}` can't be passed on: {why}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it; never the value.
        why: &'static str,
    },
    /// No pipe or thread for the output.
    #[error("cannot create a pipe for the output: {0}")]
    Pipe(io::Error),
}

/// Changes output on its way to file and screen: masks secrets. Called with each piece, with `None` at the end, and
/// with the place to put what may pass.
pub type Filter = Box<dyn FnMut(Option<&[u8]>, &mut dyn FnMut(&[u8])) + Send>;

/// A filter that changes nothing.
#[must_use]
pub fn unfiltered() -> Filter {
    Box::new(|piece, pass| {
        if let Some(piece) = piece {
            pass(piece);
        }
    })
}

/// Bytes of output that wait for a slow listener before the oldest of them are left out.
const BACKLOG: usize = 4 << 20;

/// How long the end of the output waits for a listener that does not listen.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The commands of this host.
pub struct LocalShell {
    filters: Arc<dyn Fn() -> Filter + Send + Sync>,
    cwd: Option<PathBuf>,
}

impl fmt::Debug for LocalShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalShell").field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

impl LocalShell {
    /// Runs commands in `cwd`, each with a filter of its own from `filters`.
    pub fn new(cwd: Option<PathBuf>, filters: Arc<dyn Fn() -> Filter + Send + Sync>) -> Self {
        Self { filters, cwd }
    }
}

#[async_trait]
impl Shell for LocalShell {
    fn is_running(&self, child: &ChildProcess, mark: &str) -> bool {
        is_running(child) || (child.boot_id == boot_id() && find(mark).is_some())
    }

    fn find(&self, mark: &str) -> Option<ChildProcess> {
        find(mark)
    }

    async fn end(&self, child: &ChildProcess, mark: &str) {
        supervise::end(child, mark, GRACE).await;
    }

    async fn run(
        &self,
        call: ShellCall,
        news: mpsc::Sender<ShellNews>,
        cancel: CancelFlag,
    ) -> PortResult<ShellExit> {
        let command = Invocation {
            program: match call.program {
                ShellProgram::Sh(script) => Program::Sh(script),
                ShellProgram::Argv(argv) => Program::Argv(argv),
            },
            env: call.env,
            cwd: self.cwd.clone(),
            timeout: Some(Duration::from_millis(call.timeout.as_millis())),
            grace: GRACE,
            output: call.output,
            mark: call.mark,
        };
        let backlog = Arc::new(Backlog::default());
        let sink = Arc::clone(&backlog);
        let first = Arc::clone(&backlog);
        let started = move |started| first.begin(started);
        let told = tokio::spawn(Arc::clone(&backlog).tell(news));
        let ended = run(command, (self.filters)(), move |bytes| sink.add(bytes), started, cancel).await;
        backlog.close();
        // The last lines come before the result, unless nobody listens.
        let _ = tokio::time::timeout(LAST_WORDS, told).await;
        match ended {
            Ok(exit) => Ok(ShellExit {
                ok: exit.status == Ending::Code(0) && !exit.timed_out && !exit.cancelled,
                timed_out: exit.timed_out,
                cancelled: exit.cancelled,
                detail: detail(&exit),
            }),
            Err(fault) => Err(PortError::new(Fault::Failed, fault.to_string())),
        }
    }
}

/// Everything that a person needs to judge it without the output: how it ended, who ended it, what it left behind.
fn detail(exit: &Exit) -> String {
    let mut detail = exit.status.to_string();
    if exit.timed_out {
        detail.push_str(", stopped: timed out");
    }
    if exit.cancelled {
        detail.push_str(", stopped on request");
    }
    if !exit.escaped.is_empty() {
        let pids: Vec<String> = exit.escaped.iter().map(u32::to_string).collect();
        detail.push_str("; it left processes behind, which were stopped: ");
        detail.push_str(&pids.join(", "));
    }
    if exit.left_out > 0 {
        detail.push_str("; too much output: ");
        detail.push_str(&exit.left_out.to_string());
        detail.push_str(" bytes are not in its file");
    }
    if let Some(fault) = &exit.output_fault {
        detail.push_str("; the output file is incomplete: ");
        detail.push_str(fault);
    }
    detail
}

/// Output between the thread that reads it and a listener that may be slow. The reader never waits.
#[derive(Default)]
struct Backlog {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

/// What has come and was not yet taken. The reader of a command's output must never wait for the screen: a command whose
/// pipe is full stops.
#[derive(Default)]
struct Waiting {
    started: Option<ChildProcess>,
    bytes: Vec<u8>,
    left_out: u64,
    closed: bool,
}

impl Backlog {
    fn begin(&self, started: ChildProcess) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).started = Some(started);
        self.changed.notify_one();
    }

    fn add(&self, bytes: &[u8]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.bytes.extend_from_slice(bytes);
        if waiting.bytes.len() > BACKLOG {
            // The newest half stays, from the beginning of a line where there is one.
            let half = waiting.bytes.len() - BACKLOG / 2;
            let line = waiting
                .bytes
                .iter()
                .skip(half)
                .position(|byte| *byte == b'\n')
                .map_or(half, |end| half + end + 1);
            waiting.bytes.drain(..line);
            waiting.left_out += line as u64;
        }
        drop(waiting);
        self.changed.notify_one();
    }

    fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }

    fn take(&self) -> Waiting {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = waiting.closed;
        std::mem::replace(&mut *waiting, Waiting { closed, ..Waiting::default() })
    }

    async fn tell(self: Arc<Self>, news: mpsc::Sender<ShellNews>) {
        loop {
            let Waiting { started, mut bytes, left_out, closed } = self.take();
            if let Some(started) = started
                && news.send(ShellNews::Spawned(started)).await.is_err()
            {
                return;
            }
            if left_out > 0 {
                let note = format!("\n[{left_out} bytes of output not shown]\n");
                bytes.splice(..0, note.into_bytes());
            }
            if !bytes.is_empty() && news.send(ShellNews::Output(bytes)).await.is_err() {
                return;
            }
            if closed {
                return;
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
