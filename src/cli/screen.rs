//! A screen, or line mode, on a run whose engine lives in another process.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use super::{
    args::DriveArgs,
    exit::Exit,
    launch,
    plain::{self, PlainOptions, talk},
};
use crate::{
    config::{settings::Settings, theme::ColorChoice},
    domain::{crew::Wish, event::Outcome, id::RunId, message::Command},
    link::{self, Client},
    tui::{
        ScreenOptions,
        runtime::{self, EndReason},
    },
};

/// What a screen is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To drive.
    Drive,
    /// To take the controls first, for this reason.
    TakeOver(String),
    /// To look.
    Watch,
}

/// Whether the cockpit has a terminal to be drawn on.
pub fn has_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// The name that whoever sits here goes by.
pub fn own_name() -> String {
    launch::alias().unwrap_or_else(link::peer::own_login)
}

/// Connects to a run's engine and shows it until its user leaves or it ends.
///
/// # Errors
/// If the engine can't be reached or the terminal can't be set up.
pub async fn follow(
    run_dir: &Path,
    run_id: &RunId,
    drive: &DriveArgs,
    purpose: Purpose,
) -> color_eyre::Result<Exit> {
    let watches = purpose == Purpose::Watch || drive.read_only;
    let client = if watches {
        link::client::watch(&run_dir.join(link::WATCH)).await
    } else {
        // Taking over is asked for in words; nobody takes a seat by being first.
        let wish = if purpose == Purpose::Drive { Wish::Pilot } else { Wish::Observe };
        link::client::connect(&run_dir.join(link::CONTROL), &link::client::hello(wish, launch::alias())).await
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            talk(&format!(
                "the engine of run {run_id} does not answer ({error}); see: cutover status {run_id}"
            ));
            return Ok(Exit::Internal);
        }
    };
    if let Purpose::TakeOver(reason) = purpose {
        client.send(&Command::TakeControl { reason }).await;
    }
    show(client, run_id, run_dir, drive, watches).await
}

/// Shows what a client gets.
///
/// # Errors
/// If the terminal can't be set up.
pub async fn show(
    client: Client,
    run_id: &RunId,
    run_dir: &Path,
    drive: &DriveArgs,
    watches: bool,
) -> color_eyre::Result<Exit> {
    if drive.view.plain {
        let options = PlainOptions {
            yes: drive.view.yes,
            json_lines: drive.view.json_lines,
            samples: drive.samples,
            watches,
            run_id: run_id.clone(),
            run_dir: run_dir.to_owned(),
        };
        return Ok(plain::follow(client, options).await);
    }
    if !has_terminal() {
        talk("there is no terminal for the cockpit; use --plain");
        return Ok(Exit::NeedsPerson);
    }
    let env = |name: &str| std::env::var(name).ok();
    let found = Settings::load(&env);
    let (keymap, faults) = found.settings.keymap(&env);
    for (fault, text) in found.faults.iter().chain(&faults) {
        let _ = writeln!(std::io::stderr().lock(), "{}\n", fault.render(text, false));
    }
    let mut settings = found.settings;
    if let Some(choice) = ColorChoice::from_word(&drive.view.color).filter(|_| drive.view.color != "auto") {
        settings.color = choice;
    }
    let options = ScreenOptions {
        read_only: watches,
        keymap,
        theme: settings.theme(&env, true),
        slow_link: drive.view.slow_link || settings.slow_link,
        bell: !settings.no_bell,
        osc9: settings.osc9,
        copy_osc52: env("SSH_CONNECTION").is_some() || env("SSH_TTY").is_some(),
        come_back: format!("cutover attach {run_id}"),
    };
    let end = runtime::run(client, options).await?;
    let exit = match (end.outcome, end.why) {
        (Some(outcome), _) => Exit::of(outcome),
        (None, EndReason::Signal(number)) => Exit::Signal(u8::try_from(number).unwrap_or(u8::MAX)),
        (None, EndReason::EngineClosed) => Exit::Internal,
        (None, EndReason::Quit | EndReason::HungUp) => Exit::Paused,
    };
    match (end.outcome, end.why) {
        (Some(outcome), _) => talk(&ended(outcome, run_id)),
        (None, EndReason::EngineClosed) => {
            talk(&plain::gone(run_id, run_dir));
        }
        (None, _) if watches => {}
        (None, _) => talk(&format!(
            "run {run_id} goes on without this screen: what runs is finished, triggers are watched, nothing new starts"
        )),
    }
    if end.outcome.is_none() && end.why != EndReason::EngineClosed {
        talk(&format!("come back with: cutover attach {run_id}"));
    }
    talk(&format!("journal, deploy.log and output: {}", run_dir.display()));
    Ok(exit)
}

/// How a run ended, and what there is to do.
pub fn ended(outcome: Outcome, run_id: &RunId) -> String {
    match outcome {
        Outcome::Succeeded => format!("run {run_id} succeeded; what is left to do: cutover tasks {run_id}"),
        Outcome::Failed => format!("run {run_id} failed; traffic was not touched"),
        Outcome::RolledBack => format!("run {run_id} was rolled back"),
        Outcome::RollbackFailed => format!("run {run_id}: THE ROLLBACK FAILED, a person must act"),
        Outcome::Held => {
            format!("run {run_id} is paused, NOBODY WATCHES; go on with: cutover resume {run_id}")
        }
    }
}
