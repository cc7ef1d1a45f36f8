//! Gauges of processes: what they hold, what they use, and what they send to a terminal.

use std::{
    io::{ErrorKind, Read as _},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::pty::{Cockpit, PATIENCE};

/// What processes hold, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// Resident, pages that both have counted twice.
    pub(crate) resident: u64,
    /// Resident, what others have too counted in part.
    pub(crate) share: u64,
    /// Resident and nobody else's: heap and stacks.
    pub(crate) own: u64,
}

impl std::ops::Add for Held {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            resident: self.resident + other.resident,
            share: self.share + other.share,
            own: self.own + other.own,
        }
    }
}

/// What a process holds now.
pub(crate) fn held(pid: u32) -> Held {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let of = |key: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    Held { resident: of("Rss:"), share: of("Pss:"), own: of("Private_Dirty:") }
}

/// The most that a process has held, in KiB.
pub(crate) fn peak(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The processor time that a process has used, its threads that have ended included.
pub(crate) fn used(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name stands in parentheses and may have anything in it.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // The kernel's promise to user space: a hundred ticks a second.
    Duration::from_millis(ticks * 10)
}

/// Takes what a terminal is sent until then. Gives the number of bytes.
pub(crate) fn take(cockpit: &mut Cockpit, until: Instant) -> usize {
    let before = cockpit.seen.len();
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        let line = cockpit.line.as_ref().unwrap();
        let mut fds = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
        let millis = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
        // A wait of less than a millisecond would be none.
        let _ = poll(&mut fds, PollTimeout::from(millis.max(1)));
        if !once(cockpit) {
            break;
        }
    }
    cockpit.seen.len() - before
}

/// Takes what is there now. Says whether there may be more to come.
fn once(cockpit: &mut Cockpit) -> bool {
    let mut bytes = [0; 8192];
    match cockpit.line.as_mut().unwrap().read(&mut bytes) {
        Ok(0) => false,
        Ok(read) => {
            cockpit.seen.extend(&bytes[..read]);
            true
        }
        Err(fault) => fault.kind() == ErrorKind::WouldBlock,
    }
}

/// How long it is from `begun` until the screen is what it is meant to be.
pub(crate) fn painted(cockpit: &mut Cockpit, begun: Instant, is: impl Fn(&str) -> bool) -> Duration {
    loop {
        let before = cockpit.seen.len();
        take(cockpit, Instant::now() + Duration::from_millis(1));
        let at = begun.elapsed();
        if cockpit.seen.len() > before && is(&cockpit.screen()) {
            return at;
        }
        assert!(at < PATIENCE, "never painted:\n{}", cockpit.screen());
    }
}
