//! `cutover service`: a systemd user unit that gives a run whose engine died another one.
//!
//! It restarts into hold: what ran when the engine died is unknown, and nothing new starts before a person has looked.
//! Triggers are watched again at once, so a rollback that is due is done.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use color_eyre::eyre::{WrapErr as _, eyre};
use etcetera::BaseStrategy as _;

use super::{
    args::{DriveArgs, ResumeArgs, ServiceArgs, ServiceCommand},
    engine::Task,
    exit::Exit,
    launch,
    plain::{data, talk},
    store,
};
use crate::journal::{self, Lock};

/// The unit's name.
const UNIT: &str = "cutover.service";
/// Between two looks for runs without an engine.
const EVERY: Duration = Duration::from_secs(5);
/// An engine that could not be started is tried again after this long.
const PAUSE: Duration = Duration::from_mins(1);

/// Installs, removes or runs the service.
///
/// # Errors
/// If a file can't be written or the state directory can't be read.
pub async fn main(args: &ServiceArgs) -> color_eyre::Result<Exit> {
    match args.command {
        ServiceCommand::Install => install(args),
        ServiceCommand::Remove => remove(),
        ServiceCommand::Run => watch(args).await,
    }
}

fn unit_path() -> color_eyre::Result<PathBuf> {
    let strategy = etcetera::base_strategy::Xdg::new().wrap_err("no home directory")?;
    Ok(strategy.config_dir().join("systemd/user").join(UNIT))
}

/// The unit: the program as it is installed now, on the same state directory.
fn unit(program: &Path, state: &Path) -> String {
    format!(
        "[Unit]\n\
         Description=Runs of cutover whose engine has died go on, in hold\n\
         \n\
         [Service]\n\
         ExecStart={} service run --state-dir {}\n\
         # KUBECONFIG, secrets that the runbook takes from the environment, proxies: NAME=VALUE, one a line, mode 0600.\n\
         EnvironmentFile=-%E/cutover/service.env\n\
         Restart=always\n\
         RestartSec=5\n\
         # The engines that it starts are processes of their own: they outlive it.\n\
         KillMode=process\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        quoted(program),
        quoted(state)
    )
}

/// A path as systemd reads one word, `%` and quotes taken literally.
fn quoted(path: &Path) -> String {
    let text = path
        .display()
        .to_string()
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{text}\"")
}

fn install(args: &ServiceArgs) -> color_eyre::Result<Exit> {
    let program = std::env::current_exe().wrap_err("where am I?")?;
    let state = std::path::absolute(store::state_dir(args.state_dir.as_ref())?)?;
    let path = unit_path()?;
    let dir = path.parent().ok_or_else(|| eyre!("no directory for the unit"))?;
    std::fs::create_dir_all(dir).wrap_err_with(|| format!("cannot create {}", dir.display()))?;
    std::fs::write(&path, unit(&program, &state))
        .wrap_err_with(|| format!("cannot write {}", path.display()))?;
    data(&path.display().to_string());
    if !systemctl(&["daemon-reload"]) || !systemctl(&["enable", "--now", UNIT]) {
        talk(
            "no systemd of this user answers; where one does: systemctl --user enable --now cutover.service",
        );
    }
    talk(
        "what its engines need from the environment (KUBECONFIG, secrets) goes into ~/.config/cutover/service.env, mode 0600",
    );
    talk(&format!("to keep it running while you are logged out: loginctl enable-linger {}", store::user()));
    Ok(Exit::Done)
}

fn remove() -> color_eyre::Result<Exit> {
    let path = unit_path()?;
    let _ = systemctl(&["disable", "--now", UNIT]);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).wrap_err_with(|| format!("cannot remove {}", path.display()));
        }
        _ => {}
    }
    let _ = systemctl(&["daemon-reload"]);
    Ok(Exit::Done)
}

fn systemctl(args: &[&str]) -> bool {
    let quiet = std::process::Stdio::null;
    let mut command = Command::new("systemctl");
    command.arg("--user").args(args).stdin(quiet()).stdout(quiet()).stderr(quiet());
    command.status().is_ok_and(|status| status.success())
}

/// Starts an engine for each run that should have one and has none.
async fn watch(args: &ServiceArgs) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let mut failed: Vec<(String, std::time::Instant)> = Vec::new();
    loop {
        failed.retain(|(_, at)| at.elapsed() < PAUSE);
        for found in store::runs(&state)? {
            let id = found.run.opened.run_id.0.clone();
            // A paused run was left by somebody, in order; only what was torn from an engine gets another.
            let torn = found.run.finished.is_none() && found.run.opened.rehearsal.is_none();
            let engine =
                Lock::holder(&found.dir, journal::lock::RUN_LOCK).is_ok_and(|holder| holder.is_some());
            if !torn || engine || failed.iter().any(|(known, _)| *known == id) {
                continue;
            }
            talk(&format!("run {id} has no engine: it gets one, in hold"));
            let drive = DriveArgs::unattended(&state);
            let started = launch::start(Task::Resume(ResumeArgs::of(Some(id.clone()), drive)));
            if !matches!(started, Ok(Ok(_))) {
                talk(&format!("run {id} could not be taken up; it is tried again in {} s", PAUSE.as_secs()));
                failed.push((id, std::time::Instant::now()));
            }
        }
        if args.once {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_takes_paths_literally() {
        let unit = unit(Path::new("/opt/my tools/cutover"), Path::new("/var/100%/$HOME"));
        assert!(
            unit.contains(
                "ExecStart=\"/opt/my tools/cutover\" service run --state-dir \"/var/100%%/$$HOME\"\n"
            ),
            "{unit}"
        );
        assert!(unit.contains("KillMode=process"), "engines outlive it");
    }
}
