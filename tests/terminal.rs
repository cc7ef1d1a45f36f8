//! U1, U2: the terminal is given back however the cockpit ends, and a cockpit without a terminal ends at once.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{Termios, tcgetattr},
    },
    unistd::Pid,
};

/// Generous, for hosts that are busy: nothing here is measured.
const PATIENCE: Duration = Duration::from_mins(1);

/// A rehearsal's cockpit in a terminal of its own.
struct Cockpit {
    child: Child,
    line: Option<File>,
    terminal: OwnedFd,
    before: Termios,
    seen: Vec<u8>,
    _state: tempfile::TempDir,
}

impl Cockpit {
    fn open() -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        // A line that a child has inherited, ours or another test's, would never hang up.
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let before = tcgetattr(&pty.slave).unwrap();
        let state = tempfile::tempdir().unwrap();
        let stdio = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["rehearse", "--state-dir"])
            .arg(state.path())
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // One descriptor and no more: closing it is what hangs the line up.
        let line = File::from(pty.master);
        fcntl(&line, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut cockpit =
            Self { child, line: Some(line), terminal: pty.slave, before, seen: Vec::new(), _state: state };
        cockpit.wait_for("Before the flight");
        cockpit
    }

    /// Waits until the terminal was sent this text.
    fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        let mut bytes = [0; 4096];
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            assert!(Instant::now() < until, "no {text:?} in {:?}", String::from_utf8_lossy(&self.seen));
            match self.line.as_mut().unwrap().read(&mut bytes) {
                Ok(read) => self.seen.extend(&bytes[..read]),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.line.as_mut().unwrap().write_all(keys).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the cockpit does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The line discipline is as before, and the screen's modes were taken back after they were set.
    fn assert_given_back(&mut self, how: &str) {
        assert_eq!(tcgetattr(&self.terminal).unwrap(), self.before, "{how}: termios");
        self.wait_for("\x1b[?1049l");
        let seen = String::from_utf8_lossy(&self.seen).into_owned();
        for (set, reset) in
            [("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?2004h", "\x1b[?2004l"), ("\x1b[?25l", "\x1b[?25h")]
        {
            assert!(seen.rfind(set) < seen.rfind(reset), "{how}: {reset:?} is missing");
        }
    }
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        // Only matters where a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn u2_the_terminal_is_given_back_on_signals() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut cockpit = Cockpit::open();
        assert_ne!(tcgetattr(&cockpit.terminal).unwrap(), cockpit.before, "raw mode");
        cockpit.signal(signal);
        assert_eq!(cockpit.ended().code(), Some(128 + signal as i32), "{signal}");
        cockpit.assert_given_back(signal.as_str());
    }
}

#[test]
fn u2_the_terminal_is_given_back_when_its_user_leaves() {
    let mut cockpit = Cockpit::open();
    // A new size and keys at once; esc puts the question aside, q asks, y leaves.
    cockpit.signal(Signal::SIGWINCH);
    cockpit.press(b"\x1b");
    cockpit.wait_for("Selected item");
    cockpit.press(b"q");
    cockpit.wait_for("Leave the cockpit");
    cockpit.press(b"y");
    assert_eq!(cockpit.ended().code(), Some(9));
    cockpit.assert_given_back("leaving");
}

#[test]
fn u1_a_terminal_that_goes_away_takes_the_screen_with_it() {
    let mut cockpit = Cockpit::open();
    // Nobody sends a signal: the process has no controlling terminal here. The line itself says that it is gone.
    cockpit.line = None;
    assert_eq!(cockpit.ended().code(), Some(9), "paused, as when its user leaves");
}
