//! Starting an engine and waiting until it is ready.

use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use color_eyre::eyre::{WrapErr as _, eyre};

use super::{
    args::DriveArgs,
    engine::{Job, Task, Word},
    exit::Exit,
    plain::talk,
    screen,
};
use crate::{config::settings::Settings, domain::id::RunId};

/// An engine that flies.
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
pub async fn fly(task: Task) -> color_eyre::Result<Exit> {
    let drive = task.drive().clone();
    if !drive.view.plain && !screen::has_terminal() {
        talk("there is no terminal for the cockpit; use --plain");
        return Ok(Exit::NeedsPerson);
    }
    let rehearsal = matches!(task, Task::Rehearse(_));
    let started = match start(task)? {
        Ok(started) => started,
        Err(exit) => return Ok(exit),
    };
    if !rehearsal && let Some(warning) = logout_kills(&|path| std::fs::read_to_string(path).ok()) {
        talk(&warning);
    }
    screen::follow(&started.run_dir, &started.run_id, &drive, screen::Purpose::Drive).await
}

/// Starts an engine and waits for its word; asks for a reason where it wants one.
///
/// # Errors
/// If the engine can't be started.
pub fn start(mut task: Task) -> color_eyre::Result<Result<Started, Exit>> {
    loop {
        match launch(&Job { task: task.clone(), pilot: screen::own_name() })? {
            Ok(Word::Ready { run_id, run_dir }) => return Ok(Ok(Started { run_id, run_dir })),
            Ok(Word::Refused { why }) => match reason(&why, task.drive())? {
                Ok(reason) => task.override_with(reason),
                Err(exit) => return Ok(Err(exit)),
            },
            Err(exit) => return Ok(Err(exit)),
        }
    }
}

/// Why it goes on all the same, asked where there is somebody to ask.
fn reason(refusals: &[String], drive: &DriveArgs) -> color_eyre::Result<Result<String, Exit>> {
    for refusal in refusals {
        talk(&format!("refused: {refusal}"));
    }
    if drive.view.plain || !std::io::stdin().is_terminal() {
        talk("give --override REASON to go on all the same");
        return Ok(Err(Exit::NeedsPerson));
    }
    let _ = write!(std::io::stderr().lock(), "Go on all the same? Say why (empty: stop): ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let line = line.trim().to_owned();
    Ok(if line.is_empty() { Err(Exit::NeedsPerson) } else { Ok(line) })
}

fn launch(job: &Job) -> color_eyre::Result<Result<Word, Exit>> {
    // The very program that runs, even where its file was replaced meanwhile.
    let program = Path::new("/proc/self/exe");
    let program = if program.exists() {
        program.to_owned()
    } else {
        std::env::current_exe().wrap_err("where am I?")?
    };
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
    BufReader::new(stdout).read_line(&mut line).wrap_err("cannot hear the engine")?;
    match serde_json::from_str(&line) {
        Ok(word @ Word::Refused { .. }) => {
            let _ = child.wait();
            Ok(Ok(word))
        }
        Ok(word) => Ok(Ok(word)),
        Err(_) => Ok(Err(exit_of(child.wait()?))),
    }
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

/// What to say where this host would end the engine when its user logs out.
fn logout_kills(read: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    // Only what logind counts to a session of a person is ended with it.
    let cgroup = read("/proc/self/cgroup")?;
    if !cgroup.contains("/session-") {
        return None;
    }
    let mut kills = false;
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
    for text in files.iter().filter_map(|file| read(file)) {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("KillUserProcesses=")) {
            kills = matches!(line.trim(), "yes" | "true" | "1" | "on");
        }
    }
    let user = super::store::user();
    let lingers = Path::new("/var/lib/systemd/linger").join(&user).exists();
    (kills && !lingers).then(|| {
        format!(
            "WARNING: this host ends everything you started when you log out (KillUserProcesses=yes), the engine too; \
             keep it with: loginctl enable-linger {user}"
        )
    })
}

/// What whoever sits here wants to be called.
pub fn alias() -> Option<String> {
    Settings::load(&|name| std::env::var(name).ok()).settings.pilot
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
