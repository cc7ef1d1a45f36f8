//! Two accounts on one host: the second may look where a group was let in, may approve where it was let in for that, and
//! has no way to take control.

#![expect(clippy::print_stdout, reason = "the figure is what the test is for")]
#![expect(clippy::unwrap_used, reason = "helpers of a test end it where something is not there")]

use std::{
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover::domain::event::{Outcome, RunEvent};
use nix::unistd::{Gid, Group, Uid, User, geteuid};

#[path = "support/pty.rs"]
mod pty;

use pty::{Cockpit, PATIENCE, Stage};

/// Somebody else on this host, with the program where they can run it, a home of their own and nothing of ours.
struct Colleague {
    uid: Uid,
    gid: Gid,
    group: String,
    home: tempfile::TempDir,
}

impl Colleague {
    /// Nobody where these tests do not run as root: then they can't become somebody else.
    fn new() -> Option<Self> {
        if !geteuid().is_root() {
            println!("NOT RUN: becoming another user needs root");
            return None;
        }
        let user = User::from_name("nobody").unwrap().unwrap();
        let group = Group::from_gid(user.gid).unwrap().unwrap().name;
        let home = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
        // Where it was built is no business of others.
        let program = home.path().join("cutover");
        std::fs::copy(env!("CARGO_BIN_EXE_cutover"), &program).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let own = home.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::os::unix::fs::chown(&own, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        Some(Self { uid: user.uid, gid: user.gid, group, home })
    }

    /// A command in their name.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.home.path().join("cutover"));
        let own: PathBuf = self.home.path().join("own");
        command
            .args(args)
            .uid(self.uid.as_raw())
            .gid(self.gid.as_raw())
            .current_dir(&own)
            .env("HOME", &own)
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
    }
}

fn fly(stage: &Arc<Stage>, runbook: &str, more: &[&str]) -> Child {
    std::fs::write(stage.path().join("runbook.toml"), runbook).unwrap();
    let args = [&["run", "--plain", "--yes"], more].concat();
    stage
        .command(&args)
        .env("LOG", stage.path().join("log"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn run_id(stage: &Stage) -> String {
    stage.runs().pop().unwrap().file_name().unwrap().to_string_lossy().into_owned()
}

fn go(stage: &Stage) {
    std::fs::write(stage.path().join("log.go"), "").unwrap();
}

fn ended(mut child: Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < until, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const SMALL: &str = include_str!("support/small.toml");

#[test]
fn l6_another_account_of_the_group_watches_and_changes_nothing() {
    let Some(colleague) = Colleague::new() else { return };
    let stage = Stage::new();
    let pilot = fly(&stage, SMALL, &["--watch-group", &colleague.group]);
    let slow = |event: &RunEvent| matches!(event, RunEvent::ActionSpawned { at, .. } if at.action == 1);
    stage.wait_for_event("slow", slow);
    let run = run_id(&stage);

    let mut watch = colleague
        .command(&["watch", &run, "--plain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    let mut wait_for = |seen: &mut Vec<String>, text: &str| {
        while !seen.iter().any(|line| line.contains(text)) {
            seen.push(lines.next().unwrap_or_else(|| panic!("no {text:?} in {seen:#?}")));
        }
    };
    // What was before they came.
    wait_for(&mut seen, "slow");

    // Everything else is closed: to this account the run does not exist but for watching.
    let state = stage.path().display().to_string();
    for order in [
        &["attach", &run, "--plain"][..],
        &["rollback", &run, "--reason", "odd"],
        &["abort", &run, "--reason", "odd"],
        &["takeover", &run, "--reason", "mine", "--plain"],
        &["approve", &run],
        &["resume", &run, "--plain", "--yes"],
    ] {
        let (code, told) = colleague.run(order);
        assert!(code == 2 || code == 1, "{order:?}: {code} {told}");
        assert!(!told.is_empty(), "{order:?} says nothing");
        // Even where they know our state directory.
        let (code, told) = colleague.run(&[order, &["--state-dir", &state]].concat());
        assert!(code == 2 || code == 1, "{order:?} there: {code} {told}");
        assert!(told.contains("ermission denied"), "{order:?} there: {told}");
    }
    let events = stage.events();
    let changed = events.iter().any(|envelope| {
        matches!(
            envelope.event,
            RunEvent::RollbackStarted { .. }
                | RunEvent::ControlTaken { .. }
                | RunEvent::ControlAsked { .. }
                | RunEvent::ApprovalGiven { .. }
                | RunEvent::RunFinished { .. }
        )
    });
    assert!(!changed, "{events:#?}");

    go(&stage);
    // What happens while they look; and the end.
    wait_for(&mut seen, "three");
    assert_eq!(ended(pilot), Some(0));
    assert_eq!(watch.wait().unwrap().code(), Some(0), "{seen:#?}");

    // Whoever is in no group that was let in sees nothing at all.
    let other = Stage::new();
    let pilot = fly(&other, SMALL, &[]);
    other.wait_for_event("slow", slow);
    let (code, told) = colleague.run(&["watch", &run_id(&other), "--plain"]);
    assert!(code == 2 && told.contains("--watch-group"), "{code} {told}");
    go(&other);
    assert_eq!(ended(pilot), Some(0));
}

#[test]
fn l6_a_step_that_wants_approval_begins_with_another_accounts_word_only() {
    let Some(colleague) = Colleague::new() else { return };
    let stage = Stage::new();
    let text = SMALL.replace("title = \"Second\"\n", "title = \"Second\"\napprovals = 1\n");
    assert_ne!(text, SMALL);
    let pilot = fly(&stage, &text, &["--approve-group", &colleague.group]);
    go(&stage);
    stage.wait_for_event("the first step's end", |event| matches!(event, RunEvent::StepPassed { .. }));
    let run = run_id(&stage);

    let (code, _, said) = stage.run(&["approve", &run]);
    assert!(code == 2 && said.contains("somebody else must approve"), "{code} {said}");
    let (code, told) = colleague.run(&["approve", &run, "--step", "first"]);
    assert!(code == 2 && told.contains("the waiting step is second"), "{code} {told}");
    // Approving is all that they can.
    let (code, told) = colleague.run(&["watch", &run, "--plain"]);
    assert_eq!(code, 2, "{told}");
    assert!(
        !std::fs::read_to_string(stage.path().join("log")).unwrap().contains("three"),
        "nobody has agreed yet"
    );

    let (code, told) = colleague.run(&["approve", &run]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(ended(pilot), Some(0));
    let events = stage.events();
    let at = |is: &dyn Fn(&RunEvent) -> bool| events.iter().position(|envelope| is(&envelope.event)).unwrap();
    let given = at(
        &|event| matches!(event, RunEvent::ApprovalGiven { step, by, .. } if step.as_str() == "second" && by.login == "nobody"),
    );
    let begun = at(&|event| matches!(event, RunEvent::StepStarted { step, .. } if step.as_str() == "second"));
    assert!(given < begun, "{given} {begun}");
    assert_eq!(events.iter().filter(|e| matches!(e.event, RunEvent::ApprovalGiven { .. })).count(), 1);
    assert!(
        events.iter().any(|e| matches!(e.event, RunEvent::RunFinished { outcome: Outcome::Succeeded, .. }))
    );
}

/// A cockpit that the kernel knows as another person's login, on the account that the run is on: as after `sudo -i` by a
/// second person on a bastion host. Nothing where the system does not let a test do that.
fn logged_in_as(stage: &Arc<Stage>, uid: Uid, args: &[&str]) -> Option<Cockpit> {
    let login = "echo \"$1\" >/proc/self/loginuid && shift && exec \"$@\"";
    let shell = |command: &str| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command, "sh", &uid.to_string()]);
        shell
    };
    if !geteuid().is_root() || !shell(login).arg("true").stderr(Stdio::null()).status().unwrap().success() {
        println!("NOT RUN: the login uid can't be set here");
        return None;
    }
    let mut command = shell(login);
    command.arg(env!("CARGO_BIN_EXE_cutover")).args(args).arg("--state-dir").arg(stage.path());
    Some(Cockpit::spawn(stage, (100, 30), command))
}

#[test]
fn two_people_on_one_account_hand_the_controls_to_and_fro() {
    let stage = Stage::new();
    let nobody = User::from_name("nobody").unwrap().unwrap().uid;
    let mut ada = Cockpit::start_in(&stage, (100, 30), &["rehearse".as_ref()], &[]);
    ada.wait_until("Which version goes out?");
    // The question is closed, so that keys mean the run.
    ada.press(b"\x1b");
    ada.wait_until("▸Before the deployment");
    let Some(mut bob) = logged_in_as(&stage, nobody, &["attach"]) else { return };
    bob.wait_until("you watch, root has control");
    let taken = || {
        let events = stage.events().into_iter();
        let taken = events.filter_map(|envelope| match envelope.event {
            RunEvent::ControlTaken { by, from, reason } => Some((by.login, from?.login, reason)),
            _ => None,
        });
        taken.collect::<Vec<_>>()
    };

    // A key that drives does nothing, and taking is refused while the pilot is there.
    bob.press(b":take I want it\r");
    bob.wait_until("root has control");
    bob.press(b":ask\r");
    ada.wait_until("nobody asks for control");
    ada.press(b":keep\r");
    stage.wait_for_event("keep", |event| matches!(event, RunEvent::ControlKept { .. }));
    bob.wait_until("you watch, root has control");
    bob.press(b":ask\r");
    ada.wait_until("nobody asks for control");
    ada.press(b":give\r");
    ada.wait_until("you watch, nobody has control");
    assert_eq!(taken(), [("nobody".to_owned(), "root".to_owned(), None)]);

    // The new pilot's line breaks: the other one takes over again, with a reason.
    bob.line = None;
    bob.ended();
    ada.wait_until("take control: nobody has it");
    ada.press(b":take\r");
    ada.wait_until("say why");
    ada.press(b":take their line broke\r");
    stage.wait_for_event("takeover", |event| {
        matches!(event, RunEvent::ControlTaken { reason: Some(reason), .. } if reason == "their line broke")
    });
    assert_eq!(taken().len(), 2);
    ada.wait_until("Before the deployment");
}
