//! Starting an engine and waiting until it is ready.

use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use color_eyre::eyre::{WrapErr as _, eyre};

use super::{name, own, screen};
use crate::{
    cli::args::DriveArgs,
    domain::id::RunId,
    flight::{
        exit::Exit,
        job::{Job, Task, Terms, Word},
        preflight,
        say::talk,
        stop::Stop,
        who,
    },
};

/// A running engine.
pub struct Started {
    /// The run.
    pub run_id: RunId,
    /// Its directory.
    pub run_dir: PathBuf,
}

/// Starts an engine for a task and shows its run.
///
/// # Errors
/// If the engine can't be started, or its screen fails.
pub async fn fly(task: Task, drive: &DriveArgs) -> Result<Exit, Stop> {
    // With an invalid keymap or invalid settings nothing is opened: neither the screen nor the run.
    own::good(!drive.view.plain)?;
    if !drive.view.plain && !screen::has_terminal() {
        return Err(Stop::person("there is no terminal for the cockpit\nuse --plain"));
    }
    let rehearsal = matches!(task, Task::Rehearse(_));
    let new = match &task {
        Task::Run(new) => Some(new.runbook.clone()),
        Task::Rehearse(_) | Task::Resume(_) => None,
    };
    let asks = !drive.view.plain && std::io::stdin().is_terminal();
    let started = start(task, drive.terms(), asks)?;
    if !rehearsal && let Some(warning) = logout_kills(&|path| std::fs::read_to_string(path).ok()) {
        talk(&warning);
    }
    let look =
        new.map(|runbook| preflight::start(&runbook, &drive.vars, drive.view.look.state_dir.as_deref()));
    screen::follow(&started.run_dir, &started.run_id, drive, screen::Purpose::Drive, look).await
}

/// Starts an engine and waits until it is ready. If it needs a reason, `asks` says whether to ask for one.
///
/// # Errors
/// If the engine can't be started, or the run can't be opened.
pub fn start(task: Task, mut terms: Terms, asks: bool) -> Result<Started, Stop> {
    loop {
        match launch(&Job { task: task.clone(), terms: terms.clone(), pilot: name::own_name() })? {
            Word::Ready { run_id, run_dir } => return Ok(Started { run_id, run_dir }),
            Word::Refused { why } => terms.override_reason = Some(reason(&why, asks)?),
        }
    }
}

/// The reason to start anyway, asked for if somebody can answer.
fn reason(refusals: &[String], asks: bool) -> Result<String, Stop> {
    for refusal in refusals {
        talk(&format!("refused: {refusal}"));
    }
    if !asks {
        return Err(Stop::person("to start anyway, say why: --override REASON"));
    }
    let _ = write!(std::io::stderr().lock(), "Start anyway? Reason (empty to stop): ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let line = line.trim().to_owned();
    if line.is_empty() { Err(Stop::Exit(Exit::NeedsPerson)) } else { Ok(line) }
}

fn launch(job: &Job) -> Result<Word, Stop> {
    let program = preflight::own_program().wrap_err("cannot find the cutover program itself")?;
    let mut child = Command::new(program)
        .arg0("cutover")
        .arg("engine")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .wrap_err("cannot start the engine")?;
    let mut stdin = child.stdin.take().ok_or_else(|| eyre!("the engine has no stdin"))?;
    let written = serde_json::to_vec(job).map_err(std::io::Error::other);
    // An engine that ended at once says why itself.
    let _ = written.and_then(|bytes| stdin.write_all(&bytes));
    drop(stdin);
    let stdout = child.stdout.take().ok_or_else(|| eyre!("the engine has no stdout"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).wrap_err("cannot read the engine's answer")?;
    let Ok(word) = serde_json::from_str(&line) else { return Err(Stop::Exit(exit_of(child.wait()?))) };
    if matches!(word, Word::Refused { .. }) {
        let _ = child.wait();
    }
    Ok(word)
}

/// The engine ended before it was ready: its exit code is ours.
fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::from_code(code),
        (None, Some(signal)) => Exit::Signal(u8::try_from(signal).unwrap_or(u8::MAX)),
        (None, None) => Exit::Internal,
    }
}

/// The files of logind's settings, in the order in which the later one counts.
fn logind_files() -> Vec<String> {
    let mut files = vec!["/etc/systemd/logind.conf".to_owned()];
    for dir in ["/usr/lib/systemd/logind.conf.d", "/etc/systemd/logind.conf.d"] {
        let mut more: Vec<_> = std::fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().display().to_string())
            .collect();
        more.sort();
        files.extend(more);
    }
    files
}

/// A warning if this host would kill the engine when its user logs out.
fn logout_kills(read: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    // Only what logind counts to a session of a person is ended with it.
    let cgroup = read("/proc/self/cgroup")?;
    if !cgroup.contains("/session-") {
        return None;
    }
    let mut kills = false;
    for text in logind_files().iter().filter_map(|file| read(file)) {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("KillUserProcesses=")) {
            kills = matches!(line.trim(), "yes" | "true" | "1" | "on");
        }
    }
    let user = who::user();
    let lingers = Path::new("/var/lib/systemd/linger").join(&user).exists();
    (kills && !lingers).then(|| {
        format!(
            "WARNING: this host kills your processes when you log out (KillUserProcesses=yes), including the engine; \
             keep it running with: loginctl enable-linger {user}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u1_a_host_that_kills_at_logout_is_told() {
        let session = |conf: &'static str| {
            move |path: &str| match path {
                "/proc/self/cgroup" => Some("0::/user.slice/user-7.slice/session-3.scope\n".to_owned()),
                "/etc/systemd/logind.conf" => Some(conf.to_owned()),
                _ => None,
            }
        };
        let warning = logout_kills(&session("[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n"));
        assert!(warning.is_some_and(|warning| warning.contains("loginctl enable-linger")));
        assert_eq!(logout_kills(&session("[Login]\n#KillUserProcesses=yes\n")), None);
        assert_eq!(
            logout_kills(&|_| Some("0::/system.slice/ci.service\nKillUserProcesses=yes\n".to_owned())),
            None
        );
    }
}
