//! A running command: started in its own process group, waited for, and cleaned up with everything it leaves behind.

use std::{
    collections::{BTreeSet, HashSet},
    io::{self, PipeWriter},
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::getpid,
};
use tokio::{process::Child, sync::oneshot};

use super::{
    DRAIN, Ending, Exit, Filter, Invocation, Program, SpawnError,
    keep::{Keep, Limits},
    proc::{
        Family, MARK, Process, boot_id, is_running, marked, pid, reap_orphans, stat, variable_of,
        with_leaders,
    },
    pump::{Pump, Pumped, open_output, pipe},
    signals::{catch_ignored, unblocked},
};
use crate::{
    domain::event::ChildProcess,
    engine::ports::{CancelFlag, Output},
};

/// How often the end of processes is looked for while it is awaited: at first, and later.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_LATER: Duration = Duration::from_millis(100);

/// How long killed processes may take to disappear: only one that hangs in the kernel takes longer.
const KILLED: Duration = Duration::from_secs(1);

/// Runs a command to its end and sweeps what it leaves behind. Must be called within a Tokio runtime.
///
/// `filter` sees all output first, then the file and `sink` get what passed, on a thread of their own; `sink` must not
/// block. `started` is called once, right after the start. If the returned future is dropped, the command is cancelled.
///
/// # Errors
/// [`SpawnError`], where nothing has run.
pub async fn run(
    command: Invocation,
    filter: Filter,
    sink: impl FnMut(&[u8]) + Send + 'static,
    started: impl FnOnce(ChildProcess),
    cancel: CancelFlag,
) -> Result<Exit, SpawnError> {
    become_subreaper();
    catch_ignored();
    let keep = match &command.output {
        None => None,
        Some(Output::Disk(path)) => {
            let file =
                open_output(path).map_err(|source| SpawnError::Output { path: path.clone(), source })?;
            Some(Keep::new(file, Limits::DISK))
        }
        Some(Output::Memory(file)) => {
            Some(Keep::new(file.try_clone().map_err(SpawnError::Pipe)?, Limits::MEMORY))
        }
    };
    let (reader, writer) = pipe().map_err(SpawnError::Pipe)?;
    let (stopped, stop) = io::pipe().map_err(SpawnError::Pipe)?;
    let begun = Instant::now();
    let (child, family) = spawn(&command, writer)?;
    started(ChildProcess { pid: family.leader, start_time: family.since, boot_id: boot_id() });
    let (done, pumped) = oneshot::channel();
    let pump = Pump::new(reader, stopped, keep, filter, sink);
    let thread = std::thread::Builder::new().name("command-output".to_owned()).spawn(move || {
        // Nobody waits any more if the run was torn down.
        let _ = done.send(pump.run());
    });
    let no_output = thread.err();
    // The supervision must outlive a caller that goes away: the command would run on unwatched.
    let (_abandon, abandoned) = oneshot::channel::<()>();
    let supervision = Supervision {
        child,
        family,
        timeout: command.timeout,
        grace: command.grace,
        begun,
        // Without a reader the command would hang at a full pipe.
        end_now: no_output.is_some(),
    };
    let ended = tokio::spawn(supervision.run(cancel, abandoned, pumped, stop)).await;
    match (no_output, ended) {
        (Some(fault), _) => Err(SpawnError::Pipe(fault)),
        (None, Ok(exit)) => Ok(exit),
        (None, Err(fault)) => Err(SpawnError::Pipe(io::Error::other(fault))),
    }
}
/// Ends a command of an earlier engine, its group and whatever left that: asks, waits for the grace period, kills.
pub(super) async fn end(process: &ChildProcess, mark: &str, grace: Duration) {
    let mark = mark.to_owned();
    let left = async || {
        let mark = mark.clone();
        tokio::task::spawn_blocking(move || marked(&mark)).await.unwrap_or_default()
    };
    for (signal, patience) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, KILLED)] {
        // The start time was compared: this is no other process with the same number.
        if is_running(process) {
            let _ = killpg(pid(process.pid), signal);
        }
        for member in left().await {
            let _ = kill(pid(member.pid), signal);
        }
        let until = Instant::now() + patience;
        loop {
            if !is_running(process) && left().await.is_empty() {
                return;
            }
            if Instant::now() >= until {
                break;
            }
            tokio::time::sleep(LOOK_LATER).await;
        }
    }
}
/// Makes orphans of our children ours, once for this process.
fn become_subreaper() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        if let Err(fault) = nix::sys::prctl::set_child_subreaper(true) {
            tracing::warn!(%fault, "orphaned processes of commands can't be tracked");
        }
    });
}
/// Starts the command as the leader of a new group, so that one signal reaches all of it; the mark in its environment
/// finds those that leave the group. Its input is empty: nobody could answer it.
fn spawn(command: &Invocation, writer: PipeWriter) -> Result<(Child, Family), SpawnError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // `/bin/sh` and not the user's shell: a runbook means the same on every host.
    let (name, arguments) = match &command.program {
        Program::Sh(script) => ("/bin/sh", vec!["-c", script.as_str()]),
        Program::Argv(argv) => {
            let (name, rest) = argv.split_first().ok_or(SpawnError::Empty)?;
            (name.as_str(), rest.iter().map(String::as_str).collect())
        }
    };
    can_start(command)?;
    let own = || format!("{}-{}-{}", boot_id(), getpid(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mark = command.mark.clone().unwrap_or_else(own);
    let mut prepared = tokio::process::Command::new(name);
    prepared
        .args(arguments)
        .envs(command.env.iter().map(|(variable, value)| (variable, value)))
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(SpawnError::Pipe)?)
        .stderr(writer)
        .process_group(0);
    if let Some(path) = &command.cwd {
        prepared.current_dir(path);
    }
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SpawnError::NotFound { program: name.to_owned() },
        _ => SpawnError::Start { program: name.to_owned(), source },
    };
    with_leaders(|leaders| {
        let child = unblocked(|| prepared.spawn()).map_err(failed)?;
        let leader = child.id().ok_or_else(|| failed(io::Error::other("it has no process id")))?;
        leaders.insert(leader);
        // It can't be gone: nobody has waited for it.
        let since = stat(leader).map_or(0, |stat| stat.start_time);
        Ok((child, Family { leader, since, mark: variable_of(&mark) }))
    })
}

/// What the system would refuse without saying which variable or directory it means.
fn can_start(command: &Invocation) -> Result<(), SpawnError> {
    for (variable, value) in &command.env {
        let why = if variable.is_empty() || variable.contains(['=', '\0']) {
            "not a valid environment variable name"
        } else if value.contains('\0') {
            "its value contains a NUL"
        } else {
            continue;
        };
        return Err(SpawnError::Variable { name: variable.clone(), why });
    }
    if let Some(path) = &command.cwd {
        let entered = std::fs::metadata(path).and_then(|meta| {
            if meta.is_dir() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
        });
        entered.map_err(|source| SpawnError::Directory { path: path.clone(), source })?;
    }
    Ok(())
}

/// Why a command is ended before it ends itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    TimedOut,
    Cancelled,
}

/// A running command.
struct Supervision {
    child: Child,
    family: Family,
    timeout: Option<Duration>,
    grace: Duration,
    /// When it was started, for its duration.
    begun: Instant,
    /// Nobody reads its output, so it cannot be let run.
    end_now: bool,
}

impl Supervision {
    async fn run(
        mut self,
        cancel: CancelFlag,
        abandoned: oneshot::Receiver<()>,
        mut pumped: oneshot::Receiver<Pumped>,
        stop: PipeWriter,
    ) -> Exit {
        let cut = tokio::select! {
            // A command that has ended by itself is not said to have been cut short in the same moment.
            biased;
            _ = self.child.wait() => None,
            cut = why_cut(self.end_now, self.timeout, cancel, abandoned) => Some(cut),
        };
        let mut escaped = BTreeSet::new();
        let mut output = None;
        if cut.is_some() {
            self.end(&mut escaped).await;
        }
        let status = if let Ok(status) = tokio::time::timeout(KILLED, self.child.wait()).await {
            status.map_or(Ending::Signal(0), status_of)
        } else {
            // It hangs in the kernel, killed but not dead. We don't hang with it.
            escaped.insert(self.family.leader);
            Ending::Signal(Signal::SIGKILL as i32)
        };
        let duration = self.begun.elapsed();
        if cut.is_none() {
            output = self.drain(&mut pumped).await;
            self.end(&mut escaped).await;
        }
        if output.is_none() {
            output = tokio::time::timeout(DRAIN, &mut pumped).await.ok().and_then(Result::ok);
        }
        // Ends the reader even if somebody unknown still holds the pipe.
        drop(stop);
        let output = match output {
            Some(output) => output,
            None => pumped.await.unwrap_or_default(),
        };
        with_leaders(|leaders| {
            leaders.remove(&self.family.leader);
            reap_orphans(leaders);
        });
        Exit {
            status,
            timed_out: cut == Some(Cut::TimedOut),
            cancelled: cut == Some(Cut::Cancelled),
            escaped: escaped.into_iter().collect(),
            duration,
            bytes: output.bytes,
            left_out: output.left_out,
            output_fault: output.fault,
        }
    }

    /// Gives output and stragglers their time after the leader's exit.
    async fn drain(&self, pumped: &mut oneshot::Receiver<Pumped>) -> Option<Pumped> {
        let deadline = tokio::time::Instant::now() + DRAIN;
        let output = tokio::time::timeout_at(deadline, pumped).await.ok().and_then(Result::ok);
        while tokio::time::Instant::now() < deadline && !self.members().await.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        output
    }

    /// Ends all that is left of the command: asks, waits for the grace period, kills. Puts those that had left the
    /// group, or outlived their leader, into `escaped`.
    async fn end(&mut self, escaped: &mut BTreeSet<u32>) {
        let gone = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        let outlived = gone(&mut self.child);
        let members = self.members().await;
        if outlived && members.is_empty() {
            return;
        }
        if !outlived {
            // The whole group at once, so that none can fork in between.
            let _ = killpg(pid(self.family.leader), Signal::SIGTERM);
        }
        let mut asked = HashSet::new();
        let asked_until = Instant::now() + self.grace;
        let mut signal = Signal::SIGTERM;
        let mut members = members;
        let mut pause = LOOK / 2;
        let killed_until = asked_until + KILLED;
        loop {
            for member in &members {
                if outlived || member.group != self.family.leader {
                    escaped.insert(member.pid);
                }
                // Asked once each; killed until they are gone. The group's own have had their SIGTERM.
                let in_group = !outlived && member.group == self.family.leader;
                if signal == Signal::SIGKILL || (!in_group && asked.insert(member.pid)) {
                    let _ = kill(pid(member.pid), signal);
                }
            }
            if members.is_empty() && gone(&mut self.child) {
                return;
            }
            let now = Instant::now();
            if now >= killed_until {
                tracing::error!(leader = self.family.leader, "killed processes are still running");
                return;
            }
            if now >= asked_until && signal == Signal::SIGTERM {
                signal = Signal::SIGKILL;
                if !gone(&mut self.child) {
                    let _ = killpg(pid(self.family.leader), Signal::SIGKILL);
                }
            } else {
                // Reading all of /proc is not free: less and less often, but in time for the end of grace.
                pause = (pause * 2).min(LOOK_LATER);
                let left = asked_until.checked_duration_since(now).filter(|left| !left.is_zero());
                tokio::time::sleep(left.map_or(LOOK, |left| left.min(pause))).await;
            }
            members = self.members().await;
        }
    }

    /// The living processes of this command but its leader.
    async fn members(&self) -> Vec<Process> {
        let family = self.family.clone();
        tokio::task::spawn_blocking(move || family.members()).await.unwrap_or_default()
    }
}

/// Waits for whatever ends the command early. Whoever waited for it going away counts as a cancel.
async fn why_cut(
    now: bool,
    timeout: Option<Duration>,
    mut cancel: CancelFlag,
    abandoned: oneshot::Receiver<()>,
) -> Cut {
    if now {
        return Cut::Cancelled;
    }
    let cancelled = async {
        if cancel.wait_for(|cancel| *cancel).await.is_err() {
            // Nobody can cancel any more.
            std::future::pending::<()>().await;
        }
    };
    let over = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = cancelled => Cut::Cancelled,
        _ = abandoned => Cut::Cancelled,
        () = over => Cut::TimedOut,
    }
}

/// How the leader ended: its code, or the signal that ended it.
fn status_of(status: ExitStatus) -> Ending {
    match status.code() {
        // The system keeps eight bits of it.
        Some(code) => Ending::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        None => Ending::Signal(status.signal().unwrap_or(0)),
    }
}
