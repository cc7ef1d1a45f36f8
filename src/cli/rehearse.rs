//! `cutover rehearse`: the same flight in the simulated world.

use std::{path::PathBuf, sync::Arc};

use color_eyre::eyre::WrapErr as _;

use super::{
    args::RehearseArgs,
    compose,
    engine::Task,
    exit::Exit,
    flight::{self, Flight},
    launch,
    plain::{data, talk},
};
use crate::{config, engine::values::Secrets, world::scenario::Scenario};

/// Starts an engine with a world that tells a story, and shows it.
///
/// # Errors
/// If the engine can't be started.
pub async fn main(args: RehearseArgs) -> color_eyre::Result<Exit> {
    if args.list_scenarios {
        for scenario in Scenario::ALL {
            data(&format!("{:22}  {}", scenario.name(), scenario.about()));
        }
        return Ok(Exit::Done);
    }
    launch::fly(Task::Rehearse(args)).await
}

/// Flies a runbook in a world that tells a story, in the engine's process.
///
/// # Errors
/// If the world can't be set up.
pub async fn fly(args: RehearseArgs, pilot: String) -> color_eyre::Result<Exit> {
    let scenario: Scenario = match args.scenario.parse() {
        Ok(scenario) => scenario,
        Err(why) => {
            talk(&why);
            return Ok(Exit::Usage);
        }
    };
    if !(0.01..=1000.0).contains(&args.speed) {
        talk("--speed must be from 0.01 to 1000");
        return Ok(Exit::Usage);
    }
    let here = PathBuf::from("runbook.toml");
    let (path, text) = match args.runbook {
        Some(path) => (path.clone(), compose::read_runbook(&path)?),
        None if here.exists() => (here.clone(), compose::read_runbook(&here)?),
        None => (PathBuf::from("built-in runbook"), config::BUILTIN_RUNBOOK.to_owned()),
    };
    let loaded = match flight::load(&path, text, &args.drive.view.color) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let secrets = Arc::new(Secrets::default());
    let world = compose::rehearsal(&loaded.runbook, scenario, args.speed, &secrets).await?;
    if let (Some(path), Some(kubeconfig)) = (&args.kubeconfig, &world.kubeconfig) {
        std::fs::write(path, kubeconfig).wrap_err_with(|| format!("cannot write {}", path.display()))?;
        talk(&format!("kubectl --kubeconfig {} reaches the simulated cluster", path.display()));
    }
    let rehearsal = Some(scenario.name().to_owned());
    Flight { loaded, world, secrets, rehearsal, drive: args.drive, pilot }.open(None).await
}
