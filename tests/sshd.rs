//! U1 over a real `sshd` on loopback: the connection is cut in the middle of a step, the run goes on.
//!
//! Wants OpenSSH's `sshd`, `ssh` and `ssh-keygen`, so plain `cargo test` tells it as ignored: `.ci/run` installs them and runs
//! `cargo test --features real-servers --test sshd`.

#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    ffi::OsStr,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cutover::domain::{cause::HoldCause, crew::Role, event::RunEvent};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[path = "support/pty.rs"]
mod pty;

use pty::{Cockpit, PATIENCE, Stage};

/// A server for one user, with one key.
struct Sshd {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Sshd {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["host", "key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.path().join(name))
                .status()
                .unwrap();
            assert!(made.success());
        }
        // Where it keeps those apart that are not logged in yet; only root's server wants it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let conf = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             PermitRootLogin yes\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n",
            path("host"),
            path("key.pub")
        );
        std::fs::write(dir.path().join("conf"), conf).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-f"])
            .arg(dir.path().join("conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("OpenSSH's server is needed here: {error}"));
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port, dir }
    }

    /// A command on the other end of a connection, with a terminal there.
    fn command(&self, words: &[&str]) -> Command {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
        let mut command = Command::new("ssh");
        command
            .args([
                "-tt",
                "-F",
                "none",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args(["-o", "LogLevel=ERROR", "-p", &self.port.to_string(), "-i"])
            .arg(self.dir.path().join("key"))
            .arg(format!("{user}@127.0.0.1"))
            .arg("LANG=C.UTF-8")
            .args(words);
        command
    }

    /// Cuts every connection, as a network does: the server's processes for them are gone at once.
    fn cut(&self) {
        for session in children(self.child.id()) {
            for process in children(session).into_iter().chain([session]) {
                let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
                if name.starts_with("sshd") {
                    let _ = kill(Pid::from_raw(i32::try_from(process).unwrap()), Signal::SIGKILL);
                }
            }
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<u32> {
    let tasks = Path::new("/proc").join(of.to_string()).join("task");
    let threads = std::fs::read_dir(tasks).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants sshd: see .ci/run")]
fn u1_a_connection_that_is_cut_in_a_step_leaves_the_run_watched() {
    let (sshd, stage) = (Sshd::start(), Stage::new());
    let state = stage.path().display().to_string();
    let words = [env!("CARGO_BIN_EXE_cutover"), "rehearse", "--state-dir", &state];
    let mut far = Cockpit::spawn(&stage, (80, 24), sshd.command(&words));
    far.wait_until("for DEPLOY_VERSION; starts nothing yet");
    far.press(b"\r");
    far.wait_until("ENTER yes");
    far.press(b"\r");
    far.wait_until("SPACE tick it");
    far.press(b":override rehearsing over a connection\r");
    far.wait_until("start: Prepare");
    far.press(b"\r");
    stage.wait_for_event("step", |event| matches!(event, RunEvent::StepStarted { .. }));
    let engine = stage.engine();
    sshd.cut();
    assert_eq!(far.ended().code(), Some(255), "ssh says that its connection is gone");
    stage.wait_for_event("leaving", |event| matches!(event, RunEvent::ScreenLeft { role: Role::Pilot, .. }));
    stage.wait_for_event("hold", |event| matches!(event, RunEvent::RunHeld { cause: HoldCause::Away, .. }));
    assert_eq!(stage.engine(), engine, "the same engine, alive");

    let mut near = Cockpit::start_in(&stage, (80, 24), &[OsStr::new("attach")], &[]);
    near.wait_until("While nobody had control");
    near.press(b"\x1b");
    near.wait_until("PAUSED");
}
