//! `cutover service`: a systemd user service that restarts the engine of an interrupted run.
//!
//! The run comes back paused: what was running when the engine died is unknown, and nothing new starts until a person has looked.
//! Triggers are watched again immediately, so a rollback that is due still happens.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use color_eyre::eyre::{WrapErr as _, eyre};
use etcetera::BaseStrategy as _;

use super::{
    args::{ServiceArgs, ServiceCommand},
    front::launch,
};
use crate::flight::{
    exit::Exit,
    job::{Resumption, Task, Terms},
    say::{data, talk},
    stop::Stop,
    store, who,
};

/// The unit's name.
const UNIT: &str = "cutover.service";
/// How often to look for runs without an engine.
const EVERY: Duration = Duration::from_secs(5);
/// How long to wait before another try to start an engine.
const PAUSE: Duration = Duration::from_mins(1);

/// Installs, removes or runs the service.
///
/// # Errors
/// If a file can't be written or the state directory can't be read.
pub async fn main(args: &ServiceArgs) -> Result<Exit, Stop> {
    match args.command {
        ServiceCommand::Install => install(args),
        ServiceCommand::Remove => remove(),
        ServiceCommand::Run => watch(args).await,
    }
}

fn unit_path() -> Result<PathBuf, Stop> {
    let strategy = etcetera::base_strategy::Xdg::new().wrap_err("no home directory")?;
    Ok(strategy.config_dir().join("systemd/user").join(UNIT))
}

/// The unit's text, for this program and this state directory.
fn unit(program: &Path, state: &Path) -> String {
    format!(
        "[Unit]\n\
         Description=Restart the engines of interrupted cutover runs\n\
         \n\
         [Service]\n\
         ExecStart={} service run --state-dir {}\n\
         # KUBECONFIG, secrets that the runbook takes from the environment, proxies: one NAME=VALUE per line, mode 0600.\n\
         EnvironmentFile=-%E/cutover/service.env\n\
         Restart=always\n\
         RestartSec=5\n\
         # Engines are separate processes, and must survive a restart of this service.\n\
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

fn install(args: &ServiceArgs) -> Result<Exit, Stop> {
    let program = std::env::current_exe().wrap_err("cannot find the cutover program itself")?;
    let state = std::path::absolute(store::state_dir(args.state_dir.as_ref())?)?;
    let path = unit_path()?;
    let dir = path.parent().ok_or_else(|| eyre!("no directory for the unit"))?;
    std::fs::create_dir_all(dir).wrap_err_with(|| format!("cannot create {}", dir.display()))?;
    std::fs::write(&path, unit(&program, &state))
        .wrap_err_with(|| format!("cannot write {}", path.display()))?;
    data(&path.display().to_string());
    if !systemctl(&["daemon-reload"]) || !systemctl(&["enable", "--now", UNIT]) {
        talk(
            "cannot reach your systemd user manager; once it runs: systemctl --user enable --now cutover.service",
        );
    }
    talk(
        "put what engines need from the environment (KUBECONFIG, secrets) into ~/.config/cutover/service.env, mode 0600",
    );
    talk(&format!("to keep it running while you are logged out: loginctl enable-linger {}", who::user()));
    Ok(Exit::Done)
}

fn remove() -> Result<Exit, Stop> {
    let path = unit_path()?;
    let _ = systemctl(&["disable", "--now", UNIT]);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).wrap_err_with(|| format!("cannot remove {}", path.display()))?;
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

/// Starts an engine for each interrupted run.
async fn watch(args: &ServiceArgs) -> Result<Exit, Stop> {
    let state = store::state_dir(args.state_dir.as_ref())?;
    let mut failed: Vec<(String, std::time::Instant)> = Vec::new();
    loop {
        failed.retain(|(_, at)| at.elapsed() < PAUSE);
        for found in store::runs(&state)? {
            let id = found.run.opened.run_id.0.clone();
            // A paused run was left on purpose; only an interrupted one gets another engine.
            let torn = found.run.finished.is_none() && found.run.opened.rehearsal.is_none();
            if !torn || store::has_engine(&found.dir) || failed.iter().any(|(known, _)| *known == id) {
                continue;
            }
            talk(&format!("run {id} has no engine; starting one, paused"));
            let resumption = Resumption { run: Some(id.clone()), ..Resumption::default() };
            if let Err(stop) = launch::start(Task::Resume(resumption), Terms::unattended(&state), false) {
                stop.say();
                talk(&format!("run {id}: cannot start an engine; next try in {} s", PAUSE.as_secs()));
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
