//! The program in a terminal of its own, for tests that look at it from outside.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]
#![allow(dead_code, reason = "each test uses its own part")]

use std::{
    ffi::OsStr,
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::{
    domain::event::{Envelope, RunEvent},
    journal::ReadError,
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
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A state directory of a test's own. Engines that the test leaves behind end with it.
pub(crate) struct Stage(tempfile::TempDir);

impl Stage {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The directories of its runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let runs = std::fs::read_dir(self.path().join("runs")).into_iter().flatten().flatten();
        let mut runs: Vec<_> = runs.map(|entry| entry.path()).collect();
        runs.sort();
        runs
    }

    /// The processes that hold a run: its lock says which.
    pub(crate) fn engines(&self) -> Vec<Pid> {
        let pid = |run: &PathBuf| -> Option<Pid> {
            let lock = File::open(run.join("lock")).ok()?;
            if lock.try_lock_shared().is_ok() {
                return None;
            }
            let holder: serde_json::Value = serde_json::from_reader(lock).ok()?;
            Some(Pid::from_raw(i32::try_from(holder["pid"].as_i64()?).ok()?))
        };
        self.runs().iter().filter_map(pid).collect()
    }

    /// The only engine.
    pub(crate) fn engine(&self) -> Pid {
        let engines = self.engines();
        assert_eq!(engines.len(), 1, "{engines:?}");
        engines[0]
    }

    /// A command of the program on this state directory.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(args).arg("--state-dir").arg(self.path()).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// What such a command exits with and says.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// The newest run's events so far, as its journal has them; none before that is made.
    pub(crate) fn events(&self) -> Vec<Envelope> {
        let Some(run) = self.runs().pop() else { return Vec::new() };
        match cutover::journal::read::<Envelope>(&run) {
            Ok(contents) => contents.records.into_iter().map(|(_, event)| event).collect(),
            Err(ReadError::Unstarted) => Vec::new(),
            Err(ReadError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
            Err(fault) => panic!("{fault}"),
        }
    }

    /// Waits until the newest run's journal has an event like this.
    pub(crate) fn wait_for_event(&self, what: &str, is: impl Fn(&RunEvent) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !self.events().iter().any(|envelope| is(&envelope.event)) {
            assert!(Instant::now() < until, "no {what} in {:#?}", self.events());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for engine in self.engines() {
            let _ = kill(engine, Signal::SIGKILL);
        }
    }
}

/// The program in a terminal of its own.
pub(crate) struct Cockpit {
    pub(crate) child: Child,
    pub(crate) line: Option<File>,
    pub(crate) terminal: OwnedFd,
    pub(crate) before: Termios,
    pub(crate) seen: Vec<u8>,
    pub(crate) stage: Arc<Stage>,
    size: (u16, u16),
}

impl Cockpit {
    /// A rehearsal's cockpit.
    pub(crate) fn open() -> Self {
        let mut cockpit = Self::start((80, 24), &["rehearse".as_ref()], &[]);
        cockpit.wait_for("Before the deployment");
        cockpit
    }

    /// Starts the program in a terminal of this size, standard error included.
    pub(crate) fn start(size: (u16, u16), args: &[&OsStr], env: &[(&str, &str)]) -> Self {
        Self::start_in(&Stage::new(), size, args, env)
    }

    /// As [`Self::start`], on a state directory that others use too.
    pub(crate) fn start_in(
        stage: &Arc<Stage>,
        size: (u16, u16),
        args: &[&OsStr],
        env: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(args).arg("--state-dir").arg(stage.path()).envs(env.iter().copied());
        Self::spawn(stage, size, command)
    }

    /// Starts any program in a terminal of its own.
    pub(crate) fn spawn(stage: &Arc<Stage>, (columns, rows): (u16, u16), mut command: Command) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        // A line that a child has inherited, ours or another test's, would never hang up.
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let before = tcgetattr(&pty.slave).unwrap();
        let stdio = || Stdio::from(pty.slave.try_clone().unwrap());
        for (name, usual) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
            if !command.get_envs().any(|(set, _)| set == name) {
                command.env(name, usual);
            }
        }
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        // One descriptor and no more: closing it is what hangs the line up.
        let line = File::from(pty.master);
        fcntl(&line, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        Self {
            child,
            line: Some(line),
            terminal: pty.slave,
            before,
            seen: Vec::new(),
            stage: Arc::clone(stage),
            size: (columns, rows),
        }
    }

    /// Waits until the terminal was sent this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            assert!(Instant::now() < until, "no {text:?} in {:?}", String::from_utf8_lossy(&self.seen));
            self.listen();
        }
    }

    /// Takes what the terminal was sent, or gives the program a moment.
    pub(crate) fn listen(&mut self) {
        let mut bytes = [0; 4096];
        match self.line.as_mut().map(|line| line.read(&mut bytes)) {
            Some(Ok(read)) => self.seen.extend(&bytes[..read]),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }

    /// The screen as a person sees it now.
    pub(crate) fn screen(&mut self) -> String {
        while let Some(Ok(read)) = self.line.as_mut().map(|line| {
            let mut bytes = [0; 4096];
            line.read(&mut bytes).map(|read| (read, bytes))
        }) {
            if read.0 == 0 {
                break;
            }
            self.seen.extend(&read.1[..read.0]);
        }
        let mut parser = vt100::Parser::new(self.size.1, self.size.0, 0);
        parser.process(&self.seen);
        parser.screen().contents()
    }

    /// Waits until the screen shows this.
    pub(crate) fn wait_until(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return;
            }
            assert!(Instant::now() < until, "no {text:?} on\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses what the line above the footer says, as somebody would who has never seen it, until the screen shows this.
    pub(crate) fn fly_until(&mut self, text: &str) {
        self.fly_while(|screen| !screen.contains(text));
    }

    /// As [`Self::fly_until`], as long as this is so.
    pub(crate) fn fly_while(&mut self, goes_on: impl Fn(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        let ticks = [" SPACE ok", " SPACE check ok", " SPACE tick it", " SPACE done"];
        let idle = "ENTER starts nothing";
        // What a key was pressed on, and how long that may still be shown: the key may have changed nothing that is seen.
        let mut pressed = (String::new(), Instant::now());
        loop {
            let screen = self.screen();
            if !goes_on(&screen) {
                return;
            }
            assert!(Instant::now() < until, "it does not come to it on\n{screen}");
            let lines: Vec<_> = screen.lines().collect();
            // Below it is the footer, where there is one.
            let mut last = lines.iter().rev().take(2).map(|line| line.trim_start());
            let next = last.find(|line| line.starts_with("ENTER")).unwrap_or_default();
            if next == pressed.0 && Instant::now() < pressed.1 {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            pressed = (next.to_owned(), Instant::now() + Duration::from_secs(1));
            let (_, word) = next.split_once("nothing until the word ").unwrap_or_default();
            if next.contains(" y roll back now") {
                self.press(b"y");
            } else if next.contains("add it to the log") {
                // The host was so slow that a word was typed again, into a screen on which `n` begins a note.
                self.press(b"\x1b");
            } else if let Some(word) = word.split_whitespace().next() {
                self.press(word.as_bytes());
                self.press(b"\r");
            } else if ticks.iter().any(|tick| next.contains(tick)) {
                self.press(b" ");
            } else if next.starts_with("ENTER") && !next.starts_with(idle) {
                self.press(b"\r");
            }
        }
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.line.as_mut().unwrap().write_all(keys).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the cockpit does not end");
            // A program whose terminal takes nothing more cannot end.
            self.listen();
        }
    }

    /// The line discipline is as before, and the screen's modes were taken back after they were set.
    pub(crate) fn assert_given_back(&mut self, how: &str) {
        assert_eq!(tcgetattr(&self.terminal).unwrap(), self.before, "{how}: termios");
        self.wait_for("\x1b[?1049l");
        let seen = String::from_utf8_lossy(&self.seen).into_owned();
        for (set, reset) in
            [("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?2004h", "\x1b[?2004l"), ("\x1b[?25l", "\x1b[?25h")]
        {
            assert!(seen.rfind(set) < seen.rfind(reset), "{how}: {reset:?} is missing");
        }
        // Modes that a cockpit does not use were not set either: mouse, focus, the keypad.
        for mode in ["1000", "1002", "1003", "1004", "1006", "1"] {
            assert!(!seen.contains(&format!("\x1b[?{mode}h")), "{how}: mode {mode}");
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
