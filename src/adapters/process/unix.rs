//! The mechanism: groups, signals, the pipe, and the search for what escaped, by `/proc`.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::{File, OpenOptions},
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::{
        fd::AsFd,
        unix::{
            fs::{MetadataExt, OpenOptionsExt},
            process::ExitStatusExt,
        },
    },
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, getpgid, getpid, getuid},
};
use tokio::{process::Child, sync::oneshot};

use super::{Command, DRAIN, Exit, Filter, Program, SpawnError, Status};
use crate::{domain::event::ChildProcess, engine::ports::CancelFlag};

/// A variable that all processes of one command inherit, so that they are known wherever they went.
const MARK: &str = "CUTOVER_COMMAND";

/// Bytes read at once, and wished for as the pipe's size.
const PIPE: usize = 1 << 20;

/// How often the end of processes is looked for while it is awaited: at first, and later.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_LATER: Duration = Duration::from_millis(100);

/// How long killed processes may take to disappear: only one that hangs in the kernel takes longer.
const KILLED: Duration = Duration::from_secs(1);

/// The leaders of commands that are running. Taken while one is spawned, so that nobody takes a leader that has just
/// been born, and already died, for an orphan.
static LEADERS: Mutex<Option<HashSet<u32>>> = Mutex::new(None);

fn with_leaders<T>(act: impl FnOnce(&mut HashSet<u32>) -> T) -> T {
    act(LEADERS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Runs a command to its end and sweeps what it leaves behind. Must be called within a Tokio runtime.
///
/// `filter` sees all output first, then the file and `sink` get what passed, on a thread of their own; `sink` must not
/// block. `started` is called once, right after the start. If the returned future is dropped, the command is cancelled.
///
/// # Errors
/// [`SpawnError`], where nothing has run.
pub async fn run(
    command: Command,
    filter: Filter,
    sink: impl FnMut(&[u8]) + Send + 'static,
    started: impl FnOnce(ChildProcess),
    cancel: CancelFlag,
) -> Result<Exit, SpawnError> {
    become_subreaper();
    let file = match &command.output {
        None => None,
        Some(path) => {
            Some(open_output(path).map_err(|source| SpawnError::Output { path: path.clone(), source })?)
        }
    };
    let (reader, writer) = io::pipe().map_err(SpawnError::Pipe)?;
    // A wish: without it there are only more wake-ups.
    let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(i32::try_from(PIPE).unwrap_or(i32::MAX)));
    let (stopped, stop) = io::pipe().map_err(SpawnError::Pipe)?;
    let begun = Instant::now();
    let (child, family) = spawn(&command, writer)?;
    started(ChildProcess { pid: family.leader, start_time: family.since, boot_id: boot_id() });
    let (done, pumped) = oneshot::channel();
    let pump = Pump { reader, stopped, file, filter, sink, bytes: 0, fault: None };
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

/// This host's boot, or an empty text where `/proc` has none.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Whether a process that was started earlier, maybe by another engine, is still there.
#[must_use]
pub fn is_running(process: &ChildProcess) -> bool {
    process.boot_id == boot_id()
        && stat(process.pid).is_some_and(|now| now.start_time == process.start_time && !now.is_zombie())
}

/// The process that runs a command with this mark, maybe another engine's: its leader, or the oldest of what that left.
#[must_use]
pub fn find(mark: &str) -> Option<ChildProcess> {
    let leader_first = |process: &Process| (process.pid != process.group, process.start_time);
    let process = marked(mark).into_iter().min_by_key(leader_first)?;
    Some(ChildProcess { pid: process.pid, start_time: process.start_time, boot_id: boot_id() })
}

/// The living processes of a command with this mark, without ourselves.
fn marked(mark: &str) -> Vec<Process> {
    let (mark, us) = (variable_of(mark), getpid().as_raw().unsigned_abs());
    let living = processes().into_values().filter(|process| process.pid != us && !process.is_zombie());
    living.filter(|process| carries(process.pid, &mark)).collect()
}

/// Ends a command of an earlier engine, its group and whatever left that: asks, waits for the grace period, kills.
pub async fn end(process: &ChildProcess, mark: &str, grace: Duration) {
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
            tracing::warn!(%fault, "orphaned processes of commands will not come back to us");
        }
    });
}

/// Opens the file for the output: ours alone, not through a symbolic link, never truncated.
fn open_output(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != getuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(io::Error::other("it exists, and is not a file that belongs to us alone"));
    }
    Ok(file)
}

fn spawn(command: &Command, writer: PipeWriter) -> Result<(Child, Family), SpawnError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (name, arguments) = match &command.program {
        Program::Sh(script) => ("/bin/sh", vec!["-c", script.as_str()]),
        Program::Argv(argv) => {
            let (name, rest) = argv.split_first().ok_or(SpawnError::Empty)?;
            (name.as_str(), rest.iter().map(String::as_str).collect())
        }
    };
    for (variable, value) in &command.env {
        let why = if variable.is_empty() || variable.contains(['=', '\0']) {
            "an environment can't hold such a name"
        } else if value.contains('\0') {
            "its value has a NUL in it"
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
        let child = prepared.spawn().map_err(failed)?;
        let leader = child.id().ok_or_else(|| failed(io::Error::other("it has no process id")))?;
        leaders.insert(leader);
        // It can't be gone: nobody has waited for it.
        let since = stat(leader).map_or(0, |stat| stat.start_time);
        Ok((child, Family { leader, since, mark: variable_of(&mark) }))
    })
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
    begun: Instant,
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
            status.map_or(Status::Signal(0), status_of)
        } else {
            // It hangs in the kernel, killed but not dead. We don't hang with it.
            escaped.insert(self.family.leader);
            Status::Signal(Signal::SIGKILL as i32)
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
                tracing::error!(leader = self.family.leader, "killed processes are still there");
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

fn status_of(status: ExitStatus) -> Status {
    match status.code() {
        // The system keeps eight bits of it.
        Some(code) => Status::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        None => Status::Signal(status.signal().unwrap_or(0)),
    }
}

fn pid(id: u32) -> Pid {
    // Ids are below 2^22; 0 would mean our own group, which an impossible id must never become.
    Pid::from_raw(i32::try_from(id).ok().filter(|id| *id > 0).unwrap_or(i32::MAX))
}

/// Reads the pipe until its end.
struct Pump<S> {
    reader: PipeReader,
    /// Hangs up when the reading has to stop.
    stopped: PipeReader,
    file: Option<File>,
    filter: Filter,
    sink: S,
    bytes: u64,
    fault: Option<String>,
}

#[derive(Debug, Default)]
struct Pumped {
    bytes: u64,
    fault: Option<String>,
}

impl<S: FnMut(&[u8])> Pump<S> {
    fn run(mut self) -> Pumped {
        let mut buffer = vec![0; PIPE / 4];
        // Once told to stop, no more than what the pipe held then.
        let mut left = usize::MAX;
        while left > 0 {
            let (ready, stopped) = self.wait();
            if stopped {
                left = left.min(PIPE);
            }
            if !ready {
                if stopped {
                    break;
                }
                continue;
            }
            match self.reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    left = left.saturating_sub(count);
                    self.bytes += count as u64;
                    self.pass(buffer.get(..count));
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => {
                    self.fault.get_or_insert_with(|| fault.to_string());
                    break;
                }
            }
        }
        self.pass(None);
        Pumped { bytes: self.bytes, fault: self.fault }
    }

    /// Waits until there is output or its end, or until told to stop.
    fn wait(&self) -> (bool, bool) {
        let mut fds = [
            PollFd::new(self.reader.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {
                let [output, stop] = fds.map(|fd| fd.any().unwrap_or(false));
                (output, stop)
            }
            // Then reading says what is wrong.
            Err(_) => (true, false),
        }
    }

    fn pass(&mut self, piece: Option<&[u8]>) {
        let Self { filter, file, sink, fault, .. } = self;
        filter(piece, &mut |bytes| {
            if bytes.is_empty() {
                return;
            }
            if let Some(open) = file
                && let Err(error) = open.write_all(bytes)
            {
                // The command goes on: a full disk is no reason to stop a migration half-way.
                *fault = Some(error.to_string());
                *file = None;
            }
            sink(bytes);
        });
    }
}

/// All that descends from one command.
#[derive(Debug, Clone)]
struct Family {
    leader: u32,
    /// The leader's start: nothing older belongs to it.
    since: u64,
    /// The variable that its members inherit, as it stands in their environment.
    mark: Vec<u8>,
}

impl Family {
    /// Those that live, without the leader itself.
    fn members(&self) -> Vec<Process> {
        let all = processes();
        let us = getpid().as_raw().unsigned_abs();
        let ours = stat(us);
        let leaders = with_leaders(|leaders| leaders.clone());
        let belongs = |process: &Process| {
            process.group == self.leader
                || process.session == self.leader
                || descends(process, self.leader, &all)
                // An orphan in a session of its own can only come from a command. With one running, from this.
                || (leaders.len() == 1
                    && process.parent == us
                    && ours.as_ref().is_some_and(|ours| ours.session != process.session))
                || carries(process.pid, &self.mark)
        };
        all.values()
            .filter(|process| {
                process.pid != self.leader && process.pid != us && !leaders.contains(&process.pid)
            })
            .filter(|process| process.start_time >= self.since && !process.is_zombie())
            .filter(|process| belongs(process))
            .cloned()
            .collect()
    }
}

/// Whether `leader` is among a process' ancestors.
fn descends(process: &Process, leader: u32, all: &BTreeMap<u32, Process>) -> bool {
    let mut parent = process.parent;
    // Read one after another, the entries may contradict each other: no further than there are processes.
    for _ in 0..all.len() {
        if parent == leader {
            return true;
        }
        match all.get(&parent) {
            Some(next) => parent = next.parent,
            None => return false,
        }
    }
    false
}

/// A mark as it stands in an environment.
fn variable_of(mark: &str) -> Vec<u8> {
    format!("{MARK}={mark}").into_bytes()
}

fn carries(pid: u32, mark: &[u8]) -> bool {
    // Not readable means not ours.
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == mark))
}

/// One line of `/proc/PID/stat`, as far as it matters here.
#[derive(Debug, Clone)]
struct Process {
    pid: u32,
    state: char,
    parent: u32,
    group: u32,
    session: u32,
    start_time: u64,
}

impl Process {
    fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

fn processes() -> BTreeMap<u32, Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect()
}

fn stat(pid: u32) -> Option<Process> {
    parse_stat(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in the second field may hold anything, blanks and brackets too: count from the last bracket.
fn parse_stat(pid: u32, text: &str) -> Option<Process> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// Takes the exit status of dead processes that came to us as orphans, or they would stay for ever. Those that
/// somebody here waits for are left alone: leaders of commands, and children in our own group.
fn reap_orphans(leaders: &HashSet<u32>) {
    let us = getpid().as_raw().unsigned_abs();
    let Ok(our_group) = getpgid(None) else { return };
    let orphans = processes().into_values().filter(|process| {
        process.parent == us
            && process.is_zombie()
            && process.group != our_group.as_raw().unsigned_abs()
            && !leaders.contains(&process.pid)
    });
    for orphan in orphans {
        let _ = waitpid(pid(orphan.pid), Some(WaitPidFlag::WNOHANG));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_any_name() {
        let line = "42 (a) R 1 (x) S 7 40 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 2";
        let process = parse_stat(42, line).unwrap();
        assert_eq!((process.state, process.parent, process.group, process.session), ('S', 7, 40, 41));
        assert_eq!(process.start_time, 9876);
        assert!(parse_stat(1, "1 (init").is_none());
    }

    #[test]
    fn our_own_entry_is_read() {
        let us = stat(std::process::id()).unwrap();
        assert!(!us.is_zombie());
        assert_eq!(us.parent, std::os::unix::process::parent_id());
    }

    #[test]
    fn a_full_disk_does_not_stop_the_output() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (stopped, _stop) = io::pipe().unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        writer.write_all(b"one\ntwo\n").unwrap();
        drop(writer);
        let mut shown = Vec::new();
        let sink = |bytes: &[u8]| shown.extend_from_slice(bytes);
        let filter = super::super::unfiltered();
        let pump = Pump { reader, stopped, file: Some(full), filter, sink, bytes: 0, fault: None };
        let pumped = pump.run();
        assert_eq!(pumped.bytes, 8);
        assert!(pumped.fault.unwrap().contains("No space left"));
        assert_eq!(shown, b"one\ntwo\n");
    }

    #[test]
    fn an_unknown_holder_of_the_pipe_does_not_hold_us() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (stopped, stop) = io::pipe().unwrap();
        writer.write_all(b"last words").unwrap();
        drop(stop);
        let mut shown = Vec::new();
        let sink = |bytes: &[u8]| shown.extend_from_slice(bytes);
        let filter = super::super::unfiltered();
        // The writer stays open: without the stop this would never return.
        let pumped = Pump { reader, stopped, file: None, filter, sink, bytes: 0, fault: None }.run();
        assert_eq!((pumped.bytes, shown.as_slice()), (10, b"last words".as_slice()));
        drop(writer);
    }

    #[test]
    fn an_impossible_pid_never_means_our_group() {
        assert_eq!(pid(0).as_raw(), i32::MAX);
        assert_eq!(pid(u32::MAX).as_raw(), i32::MAX);
    }
}
