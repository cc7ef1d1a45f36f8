//! One flight from opening to landing, real or rehearsed: everything that `run`, `rehearse` and `resume` share.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use color_eyre::eyre::{WrapErr as _, eyre};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{
    args::DriveArgs,
    compose::World,
    exit::Exit,
    plain::{self, PlainOptions, talk},
    store::{self, RunJournal},
    vars::{Given, resolve},
};
use crate::{
    config::{self, settings::Settings, theme::ColorChoice},
    domain::{
        effect::{Decision, Input},
        event::{Envelope, Opened, Outcome, Override, RollbackTarget},
        id::{RunId, SlotName},
        machine::Machine,
        message::{Command, Request},
        runbook::{DeployWindow, Environment, Runbook, Status},
        time::Timestamp,
    },
    engine::{
        driver::{End, Engine, Parts},
        values::{Secrets, Values},
    },
    journal::{self, Header, Lock},
    link,
    tui::{
        ScreenOptions,
        runtime::{self, EndReason},
    },
};

/// A runbook that was read and found good.
pub struct Loaded {
    /// The runbook.
    pub runbook: Runbook,
    /// Its text.
    pub text: String,
    /// Its path or name.
    pub path: PathBuf,
}

/// Loads a runbook; prints every fault.
///
/// # Errors
/// The exit code for an invalid runbook.
pub fn load(path: &Path, text: String, color: &str) -> Result<Loaded, Exit> {
    let loaded = config::load_str(&path.display().to_string(), &text);
    let color = use_color(color, std::io::stderr().is_terminal());
    for diagnostic in &loaded.diagnostics {
        let _ = writeln!(std::io::stderr().lock(), "{}\n", diagnostic.render(&text, color));
    }
    match loaded.runbook {
        Some(runbook) => Ok(Loaded { runbook, text, path: path.to_owned() }),
        None => Err(Exit::InvalidRunbook),
    }
}

/// Whether messages are coloured.
pub fn use_color(choice: &str, terminal: bool) -> bool {
    let choice = ColorChoice::from_word(choice).unwrap_or(ColorChoice::Auto);
    config::theme::use_color(choice, &|name| std::env::var(name).ok(), terminal)
}

/// What a flight begins with.
pub struct Flight {
    /// The runbook.
    pub loaded: Loaded,
    /// Everything outside.
    pub world: World,
    /// Secrets.
    pub secrets: Arc<Secrets>,
    /// The story, in a rehearsal.
    pub rehearsal: Option<String>,
    /// How it is driven.
    pub drive: DriveArgs,
}

impl Flight {
    /// Opens a new run and flies it.
    ///
    /// # Errors
    /// What keeps the run from being opened, in words.
    pub async fn open(self) -> color_eyre::Result<Exit> {
        let given = match Given::parse(&self.drive.vars, &self.drive.parts, &self.loaded.runbook) {
            Ok(given) => given,
            Err(faults) => return Ok(usage(&faults)),
        };
        let now = self.world.clock.now();
        let mut opened = self.opened(now).await?;
        if opened.rehearsal.is_none() {
            let refusals = refusals(&self.loaded.runbook, &opened, now);
            match self.overridden(refusals)? {
                Ok(overrides) => opened.overrides = overrides,
                Err(exit) => return Ok(exit),
            }
        }
        let resolved = match resolve(&self.loaded.runbook, &opened, now, &given, &self.secrets) {
            Ok(resolved) => resolved,
            Err(faults) => return Ok(usage(&faults)),
        };
        let state = store::state_dir(self.drive.state_dir.as_ref())?;
        let run_dir = store::runs_dir(&state)?.join(opened.run_id.as_str());
        let header = Header {
            run_id: opened.run_id.0.clone(),
            runbook_sha256: opened.runbook_sha256.clone(),
            boot_id: crate::adapters::process::unix::boot_id(),
        };
        let journal = RunJournal::create(&run_dir, &header)
            .wrap_err_with(|| format!("cannot create {}", run_dir.display()))?;
        let lock = Lock::acquire(&run_dir, "lock", &store::holder())?;
        make_output_dir(&run_dir)?;
        std::fs::write(run_dir.join("runbook.toml"), &self.loaded.text)
            .wrap_err("cannot keep the runbook's copy")?;
        let (mut machine, mut decision) =
            Machine::open(opened, now).ok_or_else(|| eyre!("the run can't be opened"))?;
        for var in resolved {
            let input = Input::VarSet { name: var.name, value: var.value, source: var.source };
            append(&mut decision, machine.handle(now, input));
        }
        let pilot = machine.run().opened.pilot.clone();
        for (name, value) in given.vars {
            let asked = machine.run().unasked().any(|var| var.name == name);
            if asked {
                let secret = machine
                    .run()
                    .runbook
                    .vars
                    .iter()
                    .find(|var| var.name == name)
                    .is_some_and(|var| var.secret);
                if secret {
                    self.secrets.add(&name, value.clone())?;
                }
                let value = (!secret).then_some(value);
                append(
                    &mut decision,
                    machine.handle(now, Input::VarSet { name, value, source: "command line".to_owned() }),
                );
            }
        }
        for (part, applies) in given.parts {
            let command = Command::DecidePart { part, applies };
            append(
                &mut decision,
                machine.handle(now, Input::Operator(Request { by: pilot.clone(), command })),
            );
        }
        self.fly(machine, decision, Vec::new(), Box::new(journal), run_dir, lock).await
    }

    /// Goes on with a run that was left.
    ///
    /// # Errors
    /// If its journal can't be read or written.
    pub async fn resume(self, run_dir: PathBuf) -> color_eyre::Result<Exit> {
        let lock = Lock::acquire(&run_dir, "lock", &store::holder())?;
        let recovered = journal::recover::<Envelope>(&run_dir)?;
        if let Some(torn) = &recovered.torn {
            talk(&format!("the last record was torn; its bytes are kept in {}", torn.display()));
        }
        let events: Vec<Envelope> = recovered.records.into_iter().map(|(_, envelope)| envelope).collect();
        let run = crate::domain::run::Run::fold(&events)
            .ok_or_else(|| eyre!("the journal does not begin with run_opened"))?;
        let given = match Given::parse(&self.drive.vars, &self.drive.parts, &run.runbook) {
            Ok(given) => given,
            Err(faults) => return Ok(usage(&faults)),
        };
        let now = self.world.clock.now();
        // Secrets are never written down: they are read again.
        let mut secrets_only = (*run.runbook).clone();
        secrets_only.vars.retain(|var| var.secret);
        if let Err(faults) = resolve(&secrets_only, &run.opened, now, &given, &self.secrets) {
            return Ok(usage(&faults));
        }
        let journal = RunJournal::resume(&run_dir, recovered.position)?;
        make_output_dir(&run_dir)?;
        let (machine, decision) = Machine::resume(run, &store::user(), &store::host(), now);
        self.fly(machine, decision, events, Box::new(journal), run_dir, lock).await
    }

    async fn fly(
        self,
        machine: Machine,
        decision: Decision,
        events: Vec<Envelope>,
        journal: Box<dyn crate::engine::ports::Journal>,
        run_dir: PathBuf,
        _lock: Lock,
    ) -> color_eyre::Result<Exit> {
        let ports = self.world.ports(&self.loaded.runbook, &Values::of(machine.run(), &self.secrets))?;
        let pilot = pilot();
        let (client, mut server) = link::pair();
        let (requests_in, requests) = mpsc::channel(64);
        let mut incoming = server.requests().ok_or_else(|| eyre!("the link is used already"))?;
        let read_only = self.drive.read_only;
        tokio::spawn(async move {
            while let Some(request) = incoming.next().await {
                // A watching screen cannot act, whatever it sends.
                if !read_only && requests_in.send(request).await.is_err() {
                    return;
                }
            }
        });
        let container = self.loaded.runbook.target.as_ref().map(|target| target.container.clone());
        let run_id = machine.run().opened.run_id.clone();
        let mut engine = Engine::new(Parts {
            machine,
            events,
            decision,
            ports,
            journal,
            secrets: self.secrets,
            run_dir: run_dir.clone(),
            container: container.unwrap_or_default(),
            requests,
        });
        engine.attach(Box::new(server));
        let engine = tokio::spawn(engine.run());
        let exit = if self.drive.plain {
            let options = PlainOptions {
                pilot,
                yes: self.drive.yes,
                json_lines: self.drive.json_lines,
                samples: self.drive.samples,
            };
            plain::follow(client, options).await
        } else {
            screen(client, &self.drive, pilot, &run_id, &run_dir, self.rehearsal.is_some()).await?
        };
        match engine.await? {
            End::Closed(_) => Ok(exit),
            End::JournalLost(why) => {
                talk(&why);
                Ok(Exit::Internal)
            }
        }
    }

    /// Everything that is fixed when the run opens.
    async fn opened(&self, now: Timestamp) -> color_eyre::Result<Opened> {
        let runbook = &self.loaded.runbook;
        let mut opened = Opened {
            run_id: run_id(now),
            cutover_version: env!("CARGO_PKG_VERSION").to_owned(),
            runbook_sha256: hex(&Sha256::digest(self.loaded.text.as_bytes())),
            runbook_path: self.loaded.path.display().to_string(),
            runbook: Box::new(runbook.clone()),
            rehearsal: self.rehearsal.clone(),
            pilot: pilot(),
            host: store::host(),
            cluster: None,
            new_slot: None,
            previous: None,
            new_slot_image: None,
            overrides: Vec::new(),
        };
        let (Some(target), Some(cluster)) = (&runbook.target, &self.world.cluster) else { return Ok(opened) };
        opened.cluster = Some(cluster.identity().await?);
        let workload = cluster.look().await?;
        let slots: Vec<SlotName> = target.slots.keys().cloned().collect();
        let live = workload.live.clone().ok_or_else(|| {
            let selector = workload.selector.clone().unwrap_or_default();
            let slots: Vec<_> = slots.iter().map(|slot| slot.0.as_str()).collect();
            eyre!(
                "service {} selects {selector:?}, which is none of the runbook's slots ({}); point it at one of them first",
                target.service,
                slots.join(", ")
            )
        })?;
        let found = |name: &SlotName| {
            workload.slots.get(name).filter(|slot| slot.found).ok_or_else(|| {
                let deployment = target.slots.get(name).map_or("?", |slot| slot.deployment.as_str());
                eyre!("there is no deployment {deployment} in namespace {}", target.namespace)
            })
        };
        let previous = found(&live)?;
        let new = slots
            .into_iter()
            .find(|name| *name != live)
            .ok_or_else(|| eyre!("the runbook has only one slot"))?;
        opened.new_slot_image = Some(found(&new)?.image.clone());
        opened.previous =
            Some(RollbackTarget { slot: live, image: previous.image.clone(), replicas: previous.desired });
        opened.new_slot = Some(new);
        Ok(opened)
    }

    /// Refusals with the reason they are overridden for, or the exit code.
    fn overridden(&self, refusals: Vec<String>) -> color_eyre::Result<Result<Vec<Override>, Exit>> {
        if refusals.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        for refusal in &refusals {
            talk(&format!("refused: {refusal}"));
        }
        let reason = match &self.drive.override_reason {
            Some(reason) => reason.clone(),
            None if !self.drive.plain && std::io::stdin().is_terminal() => {
                let _ = write!(std::io::stderr().lock(), "Go on all the same? Say why (empty: stop): ");
                let mut line = String::new();
                std::io::stdin().read_line(&mut line)?;
                line.trim().to_owned()
            }
            None => {
                talk("give --override REASON to go on all the same");
                return Ok(Err(Exit::NeedsPerson));
            }
        };
        if reason.trim().is_empty() {
            return Ok(Err(Exit::NeedsPerson));
        }
        let by = store::user();
        Ok(Ok(refusals
            .into_iter()
            .map(|what| Override { what, reason: reason.clone(), by: by.clone() })
            .collect()))
    }
}

/// Shows the cockpit; leaving it pauses the run, because the engine lives in this process.
async fn screen(
    client: link::Client,
    drive: &DriveArgs,
    pilot: String,
    run_id: &RunId,
    run_dir: &Path,
    rehearsal: bool,
) -> color_eyre::Result<Exit> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
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
    if let Some(choice) = ColorChoice::from_word(&drive.color).filter(|_| drive.color != "auto") {
        settings.color = choice;
    }
    let options = ScreenOptions {
        pilot,
        read_only: drive.read_only,
        keymap,
        theme: settings.theme(&env, true),
        slow_link: drive.slow_link || settings.slow_link,
        bell: !settings.no_bell,
        osc9: settings.osc9,
        copy_osc52: env("SSH_CONNECTION").is_some() || env("SSH_TTY").is_some(),
        resume_command: format!("cutover resume {run_id}"),
    };
    let end = runtime::run(client, options).await?;
    let outcome = end.outcome.unwrap_or(Outcome::Held);
    let exit = match end.why {
        EndReason::Signal(number) if end.outcome.is_none() => {
            Exit::Signal(u8::try_from(number).unwrap_or(u8::MAX))
        }
        EndReason::EngineClosed if end.outcome.is_none() => Exit::Internal,
        _ => Exit::of(outcome),
    };
    if end.outcome.is_none() {
        talk("pausing: an action that runs is finished first");
    }
    if rehearsal && outcome == Outcome::Held {
        talk("the rehearsal is over: its world ends with the screen");
    } else {
        talk(&ended(outcome, run_id));
    }
    talk(&format!("journal, deploy.log and output: {}", run_dir.display()));
    Ok(exit)
}

fn ended(outcome: Outcome, run_id: &RunId) -> String {
    match outcome {
        Outcome::Succeeded => format!("run {run_id} succeeded; what is left to do: cutover tasks {run_id}"),
        Outcome::Failed => format!("run {run_id} failed; traffic was not touched"),
        Outcome::RolledBack => format!("run {run_id} was rolled back"),
        Outcome::RollbackFailed => format!("run {run_id}: THE ROLLBACK FAILED, a person must act"),
        Outcome::Held => {
            format!("run {run_id} is paused and nobody watches; go on with: cutover resume {run_id}")
        }
    }
}

/// The name an operator goes by: from the settings, else the login name.
fn pilot() -> String {
    let settings = Settings::load(&|name| std::env::var(name).ok()).settings;
    settings.pilot.unwrap_or_else(store::user)
}

fn append(all: &mut Decision, more: Decision) {
    all.events.extend(more.events);
    all.effects.extend(more.effects);
    if let Some(why) = more.refused {
        talk(&format!("refused: {why}"));
    }
}

fn usage(faults: &[String]) -> Exit {
    for fault in faults {
        talk(fault);
    }
    Exit::Usage
}

fn make_output_dir(run_dir: &Path) -> color_eyre::Result<()> {
    journal::RunDir::create(&run_dir.join("output"))
        .map(|_| ())
        .wrap_err("cannot create the directory for output")
}

/// `20261122-2046-3f9a`: sorts by time, short enough to type.
fn run_id(now: Timestamp) -> RunId {
    let tail = tempfile::Builder::new().rand_bytes(4).prefix("").make(|path| Ok(path.to_owned()));
    let tail = tail
        .ok()
        .and_then(|named| named.path().file_name().map(|name| name.to_string_lossy().to_lowercase()));
    RunId(format!("{}-{}", now.to_jiff().strftime("%Y%m%d-%H%M%S"), tail.unwrap_or_default()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What keeps a run from being opened without a reason.
fn refusals(runbook: &Runbook, opened: &Opened, now: Timestamp) -> Vec<String> {
    let mut refusals = Vec::new();
    let production = runbook.deployment.environment == Environment::Production;
    if production && runbook.document.status != Status::Approved {
        refusals.push(format!(
            "the runbook is not approved for production (status {:?})",
            runbook.document.status
        ));
    }
    if let Some(window) = &runbook.deployment.window
        && let Some(why) = outside(window, now)
    {
        refusals.push(why);
    }
    let pinned = runbook.target.as_ref().and_then(|target| target.cluster_uid.as_ref());
    if let (Some(pinned), Some(cluster)) = (pinned, &opened.cluster)
        && *pinned != cluster.uid
    {
        refusals.push(format!(
            "this is another cluster: kube-system has uid {}, the runbook says {pinned}",
            cluster.uid
        ));
    }
    refusals
}

/// Why a moment lies outside the deployment window.
fn outside(window: &DeployWindow, now: Timestamp) -> Option<String> {
    let zoned = now.to_jiff().in_tz(&window.timezone).ok()?;
    let day = zoned.strftime("%a").to_string().to_lowercase();
    let yesterday = zoned.yesterday().ok()?.strftime("%a").to_string().to_lowercase();
    let time = zoned.strftime("%H:%M").to_string();
    let on = |day: &str| window.days.is_empty() || window.days.iter().any(|named| named == day);
    let inside = if window.from <= window.to {
        on(&day) && time >= window.from && time < window.to
    } else {
        // Past midnight: the late part belongs to the day before.
        (on(&day) && time >= window.from) || (on(&yesterday) && time < window.to)
    };
    (!inside).then(|| {
        let days = if window.days.is_empty() { "every day".to_owned() } else { window.days.join(", ") };
        format!(
            "outside the deployment window ({days} {}-{} {}); now it is {day} {time}",
            window.from, window.to, window.timezone
        )
    })
}

/// Whether a run can be resumed at all.
///
/// # Errors
/// Why not, in words.
pub fn resumable(run: &crate::domain::run::Run) -> Result<(), String> {
    if run.opened.rehearsal.is_some() {
        return Err("a rehearsal's world ended with it; start a new one".to_owned());
    }
    match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        None | Some(Outcome::Held) => Ok(()),
        Some(_) => Err("this run is over; see `cutover tasks` for what is left".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn the_deployment_window_knows_days_times_zones_and_midnight() {
        let mut window = DeployWindow {
            days: vec!["fri".into()],
            from: "14:00".into(),
            to: "16:00".into(),
            timezone: "Europe/Berlin".into(),
        };
        // 2026-11-20 is a Friday; Berlin is one hour ahead of UTC in winter.
        assert!(outside(&window, at("2026-11-20T13:00:00Z")).is_none());
        assert!(outside(&window, at("2026-11-20T15:00:00Z")).is_some());
        assert!(outside(&window, at("2026-11-19T13:30:00Z")).is_some());
        window.from = "23:00".into();
        window.to = "01:00".into();
        assert!(outside(&window, at("2026-11-20T22:30:00Z")).is_none());
        assert!(
            outside(&window, at("2026-11-20T23:30:00Z")).is_none(),
            "Saturday 00:30 belongs to Friday night"
        );
        assert!(outside(&window, at("2026-11-21T22:30:00Z")).is_some());
    }
}
