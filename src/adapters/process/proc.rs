//! Processes as `/proc` shows them: which are alive, which descend from a command, and which came to us as orphans.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, PoisonError},
};

use nix::{
    sys::wait::{WaitPidFlag, waitpid},
    unistd::{Pid, getpgid, getpid},
};

use crate::domain::event::ChildProcess;

/// A variable that all processes of one command inherit, so that they are known wherever they went.
pub(super) const MARK: &str = "CUTOVER_COMMAND";

/// The leaders of commands that are running. Taken while one is spawned, so that nobody takes a leader that has just
/// been born, and already died, for an orphan.
static LEADERS: Mutex<Option<HashSet<u32>>> = Mutex::new(None);

pub(super) fn with_leaders<T>(act: impl FnOnce(&mut HashSet<u32>) -> T) -> T {
    act(LEADERS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
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
pub(super) fn marked(mark: &str) -> Vec<Process> {
    let (mark, us) = (variable_of(mark), getpid().as_raw().unsigned_abs());
    let living = processes().into_values().filter(|process| process.pid != us && !process.is_zombie());
    living.filter(|process| carries(process.pid, &mark)).collect()
}
/// An id as the system calls take it.
pub(super) fn pid(id: u32) -> Pid {
    // Ids are below 2^22; 0 would mean our own group, which an impossible id must never become.
    Pid::from_raw(i32::try_from(id).ok().filter(|id| *id > 0).unwrap_or(i32::MAX))
}
/// All that descends from one command.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub(super) leader: u32,
    /// The leader's start: nothing older belongs to it.
    pub(super) since: u64,
    /// The variable that its members inherit, as it stands in their environment.
    pub(super) mark: Vec<u8>,
}

impl Family {
    /// Those that live, without the leader itself.
    pub(super) fn members(&self) -> Vec<Process> {
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
pub(super) fn variable_of(mark: &str) -> Vec<u8> {
    format!("{MARK}={mark}").into_bytes()
}

fn carries(pid: u32, mark: &[u8]) -> bool {
    // Not readable means not ours.
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == mark))
}

/// One line of `/proc/PID/stat`, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: u32,
    state: char,
    parent: u32,
    pub(super) group: u32,
    session: u32,
    pub(super) start_time: u64,
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

/// The entry of one process; nothing where it is gone.
pub(super) fn stat(pid: u32) -> Option<Process> {
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
pub(super) fn reap_orphans(leaders: &HashSet<u32>) {
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
    fn an_impossible_pid_never_means_our_group() {
        assert_eq!(pid(0).as_raw(), i32::MAX);
        assert_eq!(pid(u32::MAX).as_raw(), i32::MAX);
    }
}
