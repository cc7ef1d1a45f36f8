//! A screen, or line mode, on a run whose engine is another process.

use std::{io::IsTerminal as _, path::Path};

use tokio::sync::oneshot::Receiver;

use super::{
    name,
    own::{self, Own},
    plain::{self, PlainOptions},
    words,
};
use crate::{
    cli::args::{DriveArgs, ViewArgs},
    config::theme::{ColorChoice, ThemeChoice},
    domain::{
        crew::Wish, event::Outcome, id::RunId, message::Command, online::preflight::Preflight, reel::Reel,
    },
    flight::{exit::Exit, say::talk, stop::Stop},
    link::{self, Client},
    tui::{
        ScreenOptions,
        runtime::{self, EndReason},
    },
};

/// What a screen is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To take control.
    Drive,
    /// To take control from someone else first, for this reason.
    TakeOver(String),
    /// To watch only.
    Watch,
}

/// Whether the cockpit has a terminal to be drawn on.
pub fn has_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// Connects to a run's engine and shows the run until its user leaves or it ends. What `look` brings is shown when it comes.
///
/// # Errors
/// If the engine can't be reached or the terminal can't be set up.
pub async fn follow(
    run_dir: &Path,
    run_id: &RunId,
    drive: &DriveArgs,
    purpose: Purpose,
    look: Option<Receiver<Preflight>>,
) -> Result<Exit, Stop> {
    own::good(!drive.view.plain)?;
    let watches = purpose == Purpose::Watch || drive.read_only;
    let client = if watches {
        link::client::watch(&run_dir.join(link::WATCH)).await
    } else {
        // Taking over is an explicit command; connecting alone takes control from nobody.
        let wish = if purpose == Purpose::Drive { Wish::Pilot } else { Wish::Observe };
        link::client::connect(&run_dir.join(link::CONTROL), &link::client::hello(wish, name::alias())).await
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
    show(client, run_id, run_dir, drive, watches, look).await
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
    look: Option<Receiver<Preflight>>,
) -> Result<Exit, Stop> {
    if drive.view.plain {
        let options = PlainOptions {
            yes: drive.view.yes,
            json_lines: drive.view.json_lines,
            samples: drive.samples,
            watches,
            run_id: run_id.clone(),
            run_dir: run_dir.to_owned(),
        };
        return Ok(plain::follow(client, options, look).await);
    }
    if !has_terminal() {
        return Err(Stop::person("there is no terminal for the cockpit\nuse --plain"));
    }
    let options = options(own::good(true)?, drive, watches, run_id);
    let reload = || own::read(true).map(|own| self::options(own, drive, watches, run_id));
    let end = runtime::run(client, options, &reload, look).await?;
    farewell(end.outcome, end.why, run_id, run_dir, watches);
    Ok(match (end.outcome, end.why) {
        (Some(outcome), _) => Exit::of(outcome),
        (None, EndReason::Signal(number)) => Exit::Signal(u8::try_from(number).unwrap_or(u8::MAX)),
        (None, EndReason::EngineClosed) => Exit::Internal,
        (None, EndReason::Quit | EndReason::HungUp) => Exit::Paused,
    })
}

/// What stays on the terminal once the screen is gone: what becomes of the run, and how to come back to it.
fn farewell(outcome: Option<Outcome>, why: EndReason, run_id: &RunId, run_dir: &Path, watches: bool) {
    match (outcome, why) {
        (Some(outcome), _) => talk(&words::ended(outcome, run_id)),
        (None, EndReason::EngineClosed) => talk(&words::gone(run_id, run_dir)),
        (None, _) if watches => {}
        (None, _) => talk(&format!(
            "run {run_id} continues without this screen: running actions finish, triggers stay armed, nothing new starts"
        )),
    }
    if outcome.is_none() && why != EndReason::EngineClosed {
        talk(&format!("come back with: cutover attach {run_id}"));
    }
    talk(&format!("journal, deploy.log and output: {}", run_dir.display()));
}

/// Replays a past run; what is saved from its screen goes to `dir`.
///
/// # Errors
/// If there is no terminal, or it can't be set up.
pub async fn replay(
    reel: Reel,
    run_id: &RunId,
    dir: &Path,
    speed: u32,
    view: ViewArgs,
) -> Result<Exit, Stop> {
    if !has_terminal() {
        return Err(Stop::person(format!(
            "there is no terminal for the cockpit\nsee the events of a run on this host with: cutover attach {run_id} --plain"
        )));
    }
    let drive = DriveArgs { view, ..DriveArgs::default() };
    let own = |own| ScreenOptions {
        come_back: format!("cutover replay {run_id}"),
        ..options(own, &drive, true, run_id)
    };
    let reload = || own::read(true).map(own);
    let end = runtime::replay(reel, speed, dir, own(own::good(true)?), &reload).await?;
    Ok(match end.why {
        EndReason::Signal(number) => Exit::Signal(u8::try_from(number).unwrap_or(u8::MAX)),
        EndReason::Quit | EndReason::HungUp | EndReason::EngineClosed => Exit::Done,
    })
}

/// How the screen looks and behaves, from settings and flags.
fn options(own: Own, drive: &DriveArgs, watches: bool, run_id: &RunId) -> ScreenOptions {
    let env = |name: &str| std::env::var(name).ok();
    let Own { mut settings, keymap } = own;
    if let Some(choice) =
        ColorChoice::from_word(&drive.view.look.color).filter(|_| drive.view.look.color != "auto")
    {
        settings.color = choice;
    }
    if let Some(choice) = drive.view.look.theme.as_deref().and_then(ThemeChoice::from_word) {
        settings.theme = choice;
    }
    ScreenOptions {
        read_only: watches,
        keymap,
        theme: settings.theme(&env, true),
        slow_link: drive.view.look.slow_link || settings.slow_link,
        bell: !settings.no_bell,
        osc9: settings.osc9,
        title: !settings.no_title,
        mouse: settings.mouse,
        asks_terminal: env("TERM").is_some_and(|term| !matches!(term.as_str(), "" | "dumb" | "linux")),
        copy_osc52: env("SSH_CONNECTION").is_some() || env("SSH_TTY").is_some(),
        come_back: format!("cutover attach {run_id}"),
    }
}
