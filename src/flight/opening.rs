//! Opening a run: what is fixed for its whole life, what is refused, and its first records.

mod owners;
mod target;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use color_eyre::eyre::{WrapErr as _, eyre};

use super::{
    exit::Exit,
    guard::Guard,
    job::{NewRun, Rehearsal, Takeover, Terms},
    journal::RunJournal,
    landing::{RUNBOOK, Ready, make_output_dir},
    runbook::{self, Loaded, sha256},
    say::talk,
    setup::{Setup, append, usage},
    stop::Stop,
    store,
    vars::{Given, Resolved, resolve},
    who, world,
};
use crate::{
    domain::{
        actor::Actor,
        effect::{Decision, Input},
        event::Opened,
        id::RunId,
        machine::Machine,
        message::{Command, Request},
        runbook::{DeployWindow, DocumentStatus, Environment, Runbook},
        time::Timestamp,
    },
    engine::values::Secrets,
    journal::{Header, Lock, lock::RUN_LOCK},
    world::scenario::Scenario,
};

/// Opens a run against the real world, and runs it to its end.
///
/// # Errors
/// What keeps the run from being opened, in words.
pub async fn run(new: NewRun, terms: Terms, pilot: String) -> Result<Exit, Stop> {
    let loaded = runbook::open(&new.runbook, &terms.color)?;
    let secrets = Arc::new(Secrets::default());
    let world = world::real(&loaded.runbook, &loaded.path, &secrets, None).await?;
    Setup { loaded, world, secrets, rehearsal: None, terms, pilot }.open(new.takeover).await
}

/// Opens a run in a simulated world that plays a scenario, and runs it to its end.
///
/// # Errors
/// If there is no such scenario, or the world can't be set up.
pub async fn rehearse(rehearsal: Rehearsal, terms: Terms, pilot: String) -> Result<Exit, Stop> {
    let scenario: Scenario = rehearsal.scenario.parse().map_err(|why: String| Stop::usage(why))?;
    if !(0.01..=1000.0).contains(&rehearsal.speed) {
        return Err(Stop::usage("--speed must be from 0.01 to 1000\nsee: cutover rehearse --help"));
    }
    let here = PathBuf::from("runbook.toml");
    let loaded = match rehearsal.runbook.or_else(|| here.exists().then_some(here)) {
        Some(path) => runbook::open(&path, &terms.color)?,
        None => Loaded::builtin(&terms.color)?,
    };
    let secrets = Arc::new(Secrets::default());
    let world = world::simulated(&loaded.runbook, scenario, rehearsal.speed, &secrets).await?;
    if let (Some(path), Some(kubeconfig)) = (&rehearsal.kubeconfig, &world.kubeconfig) {
        std::fs::write(path, kubeconfig).wrap_err_with(|| format!("cannot write {}", path.display()))?;
        talk(&format!("kubectl --kubeconfig {} reaches the simulated cluster", path.display()));
    }
    let story = Some(scenario.name().to_owned());
    Setup { loaded, world, secrets, rehearsal: story, terms, pilot }.open(None).await
}

impl Setup {
    /// Opens a new run and runs it to its end.
    ///
    /// # Errors
    /// What keeps the run from being opened, in words.
    async fn open(self, takeover: Option<Takeover>) -> Result<Exit, Stop> {
        let given = Given::parse(&self.terms.vars, &self.terms.parts, &self.loaded.runbook)
            .map_err(|faults| usage(&faults))?;
        // Where nothing can be kept nothing is asked of the cluster either.
        let state = store::state_dir(self.terms.state_dir.as_ref())?;
        store::runs_dir(&state)?;
        let now = self.world.clock.now();
        let mut opened = self.opened(now).await?;
        let resolved = resolve(&self.loaded.runbook, &opened, now, &given, &self.secrets)
            .map_err(|faults| usage(&faults))?;
        let rehearsal = opened.rehearsal.is_some();
        let mut refusals = if rehearsal { Vec::new() } else { refusals(&self.loaded.runbook, &opened, now) };
        if !rehearsal {
            refusals.extend(self.owned_by_others().await);
        }
        // What is refused anyway takes no lock.
        self.overridden(&refusals)?;
        let guard = self.guard(&state, &opened.run_id, None, takeover.as_ref(), &mut refusals).await?;
        opened.overrides = self.overridden(&refusals)?;
        match self.begin(opened, resolved, given, &state, now, &guard) {
            Ok((ready, lock)) => ready.land(self, lock, guard).await,
            Err(stop) => {
                guard.release().await;
                Err(stop)
            }
        }
    }

    /// The new run on disk and in the machine.
    fn begin(
        &self,
        opened: Opened,
        resolved: Vec<Resolved>,
        given: Given,
        state: &Path,
        now: Timestamp,
        guard: &Guard,
    ) -> Result<(Ready, Lock), Stop> {
        let run_dir = store::runs_dir(state)?.join(opened.run_id.as_str());
        let header = Header {
            run_id: opened.run_id.0.clone(),
            runbook_sha256: opened.runbook_sha256.clone(),
            boot_id: crate::adapters::process::boot_id(),
        };
        let journal =
            RunJournal::create(&run_dir, &header).map_err(|error| store::unwritable(&run_dir, &error))?;
        let lock = Lock::acquire(&run_dir, RUN_LOCK, &who::holder())?;
        make_output_dir(&run_dir)?;
        std::fs::write(run_dir.join(RUNBOOK), &self.loaded.text)
            .wrap_err("cannot keep the runbook's copy")?;
        let (mut machine, mut decision) =
            Machine::open(opened, now).ok_or_else(|| eyre!("the run can't be opened"))?;
        if let Some(taken) = guard.input() {
            append(&mut decision, machine.handle(now, taken));
        }
        for var in resolved {
            let input = Input::VarSet { name: var.name, value: var.value, source: var.source };
            append(&mut decision, machine.handle(now, input));
        }
        self.answer(&mut machine, &mut decision, given, now)?;
        Ok((Ready { machine, decision, events: Vec::new(), journal, run_dir }, lock))
    }

    /// What was said on the command line answers what the run would ask. A secret's value stays out of the journal.
    fn answer(
        &self,
        machine: &mut Machine,
        decision: &mut Decision,
        given: Given,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let pilot = machine.run().opened.pilot.clone();
        for (name, value) in given.vars {
            let asked = machine.run().unasked().find(|var| var.name == name).map(|var| var.secret);
            let Some(secret) = asked else { continue };
            let value = if secret {
                self.secrets.add(&name, value)?;
                None
            } else {
                Some(value)
            };
            let input = Input::VarSet { name, value, source: "command line".to_owned() };
            append(decision, machine.handle(now, input));
        }
        for (part, applies) in given.parts {
            let request =
                Request { by: Actor::person(pilot.clone()), command: Command::DecidePart { part, applies } };
            append(decision, machine.handle(now, Input::Operator(request)));
        }
        Ok(())
    }

    /// Everything that is fixed when the run opens.
    async fn opened(&self, now: Timestamp) -> Result<Opened, Stop> {
        let runbook = &self.loaded.runbook;
        let mut opened = Opened {
            run_id: run_id(now),
            cutover_version: env!("CARGO_PKG_VERSION").to_owned(),
            runbook_sha256: sha256(&self.loaded.text),
            // A resume may come from another directory.
            runbook_path: match &self.rehearsal {
                Some(_) => self.loaded.path.display().to_string(),
                None => std::path::absolute(&self.loaded.path)?.display().to_string(),
            },
            runbook: Box::new(runbook.clone()),
            rehearsal: self.rehearsal.clone(),
            pilot: self.pilot.clone(),
            host: who::host(),
            cluster: None,
            new_slot: None,
            previous: None,
            new_slot_image: None,
            pinned: None,
            overrides: Vec::new(),
        };
        self.look(&mut opened).await?;
        Ok(opened)
    }
}

/// `20261122-204631-3f9a`: sorts by time, short enough to type.
fn run_id(now: Timestamp) -> RunId {
    let tail: String = std::iter::repeat_with(fastrand::alphanumeric).take(4).collect();
    RunId(format!("{}-{}", now.to_jiff().strftime("%Y%m%d-%H%M%S"), tail.to_ascii_lowercase()))
}

/// What keeps a run from being opened without a reason.
fn refusals(runbook: &Runbook, opened: &Opened, now: Timestamp) -> Vec<String> {
    let mut refusals = Vec::new();
    let production = runbook.deployment.environment == Environment::Production;
    if production && runbook.document.status != DocumentStatus::Approved {
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
