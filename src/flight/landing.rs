//! From a run that is ready to its end: engine and doors, and the locks given back.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use color_eyre::eyre::WrapErr as _;
use tokio::sync::mpsc;

use super::{
    doors::{self, Groups},
    exit::Exit,
    guard::{self, Guard},
    job::Word,
    journal::RunJournal,
    say::talk,
    setup::Setup,
    stop::Stop,
};
use crate::{
    adapters::kube::{JournalCopy, KubeLock},
    domain::{effect::Decision, event::Envelope, id::RunId, machine::Machine},
    engine::{
        driver::{Engine, Parts},
        messages::End,
        ports::SampleKeeper,
        values::{Secrets, Values},
    },
    journal::{Lock, RunDir, Samples, samples::Bounds},
};

/// The runbook's text in a run's directory.
pub(super) const RUNBOOK: &str = "runbook.toml";
/// The file in a run's directory for what an engine prints: nothing, unless something is very wrong.
const PRINTED: &str = "engine.log";

/// The file in a rehearsal's directory with what its world was left with, and what its users met.
const REMAINS: &str = "world.json";

/// A run on disk and in the machine.
pub(super) struct Ready {
    /// What decides.
    pub(super) machine: Machine,
    /// What it has decided so far, which is not written down yet.
    pub(super) decision: Decision,
    /// What was written down before; nothing of a new run.
    pub(super) events: Vec<Envelope>,
    /// Where it is written.
    pub(super) journal: RunJournal,
    /// The run's directory.
    pub(super) run_dir: PathBuf,
}

impl Ready {
    /// Runs it to its end, and releases the target's locks. The run's own lock is held until then.
    pub(super) async fn land(self, setup: Setup, _lock: Lock, guard: Guard) -> Result<Exit, Stop> {
        let run_id = self.machine.run().opened.run_id.clone();
        let title = self.machine.run().opened.runbook.document.title.clone();
        let copy = guard::copy(&setup.world, &self.journal, &self.run_dir, &run_id, &title).map(Arc::new);
        let ended = self.serve(setup, guard.lease(), copy.clone()).await;
        if let Ok(None) = ended {
            // As if it had been killed: what it had begun may still be under way, so the target's lock is not given back.
            talk(&format!("the engine has crashed, see above; resume the run with: cutover resume {run_id}"));
            return Ok(Exit::Internal);
        }
        guard::finish_copy(copy).await;
        guard.release().await;
        ended.map(|exit| exit.unwrap_or(Exit::Internal))
    }

    /// Runs the engine and its sockets to the run's end; nothing where a fault of its own ended it.
    async fn serve(
        self,
        setup: Setup,
        lease: Option<Arc<KubeLock>>,
        copy: Option<Arc<JournalCopy>>,
    ) -> Result<Option<Exit>, Stop> {
        let Self { machine, decision, events, journal, run_dir } = self;
        let runbook = &setup.loaded.runbook;
        let values = Values::of(machine.run(), &setup.secrets);
        let ports = setup.world.ports(runbook, &values, !events.is_empty())?;
        let container = runbook.target.as_ref().map(|target| target.container.clone());
        let run_id = machine.run().opened.run_id.clone();
        let (incoming_in, incoming) = mpsc::channel(256);
        let groups =
            Groups { watch: setup.terms.watch_group.clone(), approve: setup.terms.approve_group.clone() };
        let doors = doors::open(&run_dir, run_id.as_str(), &groups, incoming_in)?;
        let (world, target) = (setup.world, setup.loaded.runbook.target);
        let keeper = keeper(&run_dir, &run_id, &setup.secrets);
        let engine = Engine::new(Parts {
            machine,
            events,
            decision,
            ports,
            journal: Box::new(journal),
            secrets: setup.secrets,
            run_dir: run_dir.clone(),
            container: container.unwrap_or_default(),
            lock: lease.map(|lease| lease as _),
            copy: copy.map(|copy| copy as _),
            keeper,
            incoming,
        });
        Word::Ready { run_id, run_dir: run_dir.clone() }.say();
        let_go(&run_dir)?;
        // On a task of its own: this one may not block.
        let end = tokio::spawn(engine.run()).await;
        doors.close().await;
        if let Some(remains) = world.remains(target.as_ref()) {
            let mut file = RunDir::open(&run_dir)?.open_file(REMAINS)?;
            file.write_all(remains.to_string().as_bytes())
                .wrap_err("cannot write what the simulated world is left with")?;
        }
        Ok(match end {
            Ok(End::Closed(outcome)) => Some(outcome.map_or(Exit::Internal, Exit::of)),
            Ok(End::JournalLost(why)) => {
                talk(&why);
                Some(Exit::Internal)
            }
            Err(fault) => {
                tracing::error!(%fault, "the engine has broken");
                None
            }
        })
    }
}

/// What keeps samples beside the journal. Without it the run is run all the same.
fn keeper(run_dir: &Path, run_id: &RunId, secrets: &Arc<Secrets>) -> Option<Box<dyn SampleKeeper>> {
    let secrets = Arc::clone(secrets);
    let mask = Arc::new(move |text: &str| secrets.mask(text));
    match Samples::start(run_dir, run_id.as_str(), Bounds::default(), mask) {
        Ok(samples) => Some(Box::new(samples)),
        Err(error) => {
            tracing::warn!(%error, "samples are not kept");
            None
        }
    }
}

/// Lets go of the terminal that the engine was started from.
///
/// # Errors
/// If the run's directory can't be written.
fn let_go(run_dir: &Path) -> Result<(), Stop> {
    let printed = RunDir::open(run_dir)?.open_file(PRINTED).wrap_err("cannot open the engine's own log")?;
    let nothing = std::fs::File::open("/dev/null").wrap_err("cannot open /dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(&printed)?;
    nix::unistd::dup2_stderr(&printed)?;
    Ok(())
}

/// Makes the directory for what commands print.
///
/// # Errors
/// If it can't be made.
pub(super) fn make_output_dir(run_dir: &Path) -> Result<(), Stop> {
    RunDir::create(&run_dir.join("output")).wrap_err("cannot create the directory for output")?;
    Ok(())
}
