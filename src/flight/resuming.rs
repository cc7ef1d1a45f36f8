//! Resuming a run that was paused, interrupted, or on a host that is gone.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use color_eyre::eyre::eyre;

use super::{
    exit::Exit,
    fetching::{self, Wanted},
    guard::{BETWEEN_ENGINES, LOOK_AGAIN, driven_by},
    job::{Resumption, Takeover, Terms},
    journal::RunJournal,
    landing::{RUNBOOK, Ready, make_output_dir},
    runbook::{Loaded, sha256},
    say::talk,
    setup::{Setup, append, usage},
    stop::Stop,
    store::{self, Found},
    vars::{Given, is_at_hand, resolve},
    who, world,
};
use crate::{
    domain::{
        effect::Input,
        event::{Envelope, Outcome, RunEvent},
        machine::Machine,
        run::Run,
        time::Timestamp,
    },
    engine::{
        ledger,
        values::{Secrets, lost_secrets},
    },
    journal::{self, Lock, LockError, lock::RUN_LOCK},
};

/// Finds the run, recovers its journal, and runs it to its end.
///
/// # Errors
/// If there is no such run, it can't be resumed, or its journal is damaged.
pub async fn resume(resumption: Resumption, terms: Terms, pilot: String) -> Result<Exit, Stop> {
    let Resumption { run, from_cluster, takeover } = resumption;
    let state = store::state_dir(terms.state_dir.as_ref())?;
    let found = match (&from_cluster, &run) {
        (Some(runbook), run) => {
            let copy =
                Wanted { runbook, run: run.as_deref(), takeover: takeover.as_ref(), color: &terms.color };
            store::in_dir(fetching::fetch(&copy, &state).await?)?
        }
        (None, Some(run)) => store::find(&state, run)?,
        (None, None) => store::runs(&state)?.into_iter().find(is_paused),
    };
    let Some(found) = found else {
        let none = || Stop::usage("there is no paused run on this host\nsee: cutover list");
        return Err(run.map_or_else(none, |run| Stop::no_run(&run)));
    };
    let opened = &found.run.opened;
    resumable(&found.run).map_err(|why| Stop::usage(format!("{}: {why}", opened.run_id)))?;
    // What was done without the journal is not in it: nobody may go on as if it had not happened.
    if let Some(record) = ledger::left_behind(&opened.run_id).first() {
        return Err(Stop::person(format!(
            "{}: its journal was lost and a rollback continued without it, recorded in {}; check the cluster, then move that file away to resume",
            opened.run_id,
            record.display()
        )));
    }
    let runbook = (*found.run.runbook).clone();
    let path = PathBuf::from(&opened.runbook_path);
    let text = std::fs::read_to_string(found.dir.join(RUNBOOK)).unwrap_or_default();
    let secrets = Arc::new(Secrets::default());
    let world = world::real(&runbook, &path, &secrets, Some(found.run.last_at)).await?;
    let loaded = Loaded { runbook, text, path };
    let setup = Setup { loaded, world, secrets, rehearsal: None, terms, pilot };
    let paused = found.run.finished.is_some();
    setup.go_on(found.dir, from_cluster.is_some(), takeover, paused).await
}

/// Also one without an end: its engine died, which is a pause that nobody has asked for.
fn is_paused(found: &Found) -> bool {
    let outcome = found.run.finished.as_ref().map(|(outcome, ..)| *outcome);
    matches!(outcome, None | Some(Outcome::Held)) && resumable(&found.run).is_ok()
}

/// The run's own lock. The engine that has paused it may still be stopping; one that drives it keeps it.
async fn own_lock(run_dir: &Path, paused: bool) -> Result<Lock, Stop> {
    let begun = Instant::now();
    loop {
        match Lock::acquire(run_dir, RUN_LOCK, &who::holder()) {
            Err(LockError::Held { .. }) if paused && begun.elapsed() < BETWEEN_ENGINES => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(LockError::Held { holder, .. }) => {
                let run = run_dir.file_name().unwrap_or_default().to_string_lossy();
                return Err(Stop::somebody_else(format!(
                    "run {run} is already active{}\nopen it with: cutover attach {run}; watch it with: cutover watch {run}",
                    driven_by(holder.as_ref())
                )));
            }
            taken => return Ok(taken?),
        }
    }
}

impl Setup {
    /// Locks first, then the journal: what is read without the lock may be written to meanwhile.
    async fn go_on(
        self,
        run_dir: PathBuf,
        from_cluster: bool,
        takeover: Option<Takeover>,
        paused: bool,
    ) -> Result<Exit, Stop> {
        let lock = own_lock(&run_dir, paused).await?;
        let recovered = journal::recover::<Envelope>(&run_dir)?;
        if let Some(torn) = &recovered.torn {
            talk(&format!(
                "the last journal record was incomplete; its bytes are kept in {}",
                torn.display()
            ));
        }
        let events: Vec<Envelope> = recovered.records.into_iter().map(|(_, envelope)| envelope).collect();
        let run = Run::fold(&events).ok_or_else(|| eyre!("the journal does not begin with run_opened"))?;
        let now = self.world.clock.now();
        self.read_secrets_again(&run, now)?;
        let mut refusals: Vec<String> = unchanged(&run, &run_dir).err().into_iter().collect();
        self.overridden(&refusals)?;
        self.same_cluster(&run).await.map_err(Stop::person)?;
        let journal = RunJournal::resume(&run_dir, recovered.position)?;
        make_output_dir(&run_dir)?;
        let state = store::state_dir(self.terms.state_dir.as_ref())?;
        let own = last_host(&events).is_some_and(|host| *host == who::host());
        // Also where an earlier try has fetched it and came no further.
        let copied = from_cluster || !own;
        // This host's own lock on the run is held, so the engine that had the target's is dead: if it ran here. Nobody here
        // knows whether another host's engine is: its lock is taken over by name, or not at all.
        let previous = run.lock.as_ref().filter(|_| own && !from_cluster).map(|lock| lock.lock_id.clone());
        let run_id = run.opened.run_id.clone();
        let guard = self.guard(&state, &run_id, previous, takeover.as_ref(), &mut refusals).await?;
        // From here on it is this host's.
        match std::fs::remove_file(run_dir.join(store::FETCHED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let (mut machine, mut decision) = Machine::resume(run, &self.pilot, &who::host(), copied, now);
        for given in self.overridden(&refusals)? {
            append(&mut decision, machine.handle(now, Input::Overridden(given)));
        }
        if let Some(taken) = guard.input() {
            append(&mut decision, machine.handle(now, taken));
        }
        Ready { machine, decision, events, journal, run_dir }.land(self, lock, guard).await
    }

    /// Secrets are never written down: they are read again.
    fn read_secrets_again(&self, run: &Run, now: Timestamp) -> Result<(), Stop> {
        let given = Given::parse(&self.terms.vars, &self.terms.parts, &run.runbook)
            .map_err(|faults| usage(&faults))?;
        let mut secrets_only = (*run.runbook).clone();
        // One that is not there now is no reason to leave a run alone that may have to be rolled back.
        secrets_only.vars.retain(|var| var.secret && is_at_hand(var, &given));
        resolve(&secrets_only, &run.opened, now, &given, &self.secrets).map_err(|faults| usage(&faults))?;
        // What uses one that is gone fails and says so, all else goes on.
        let lost = lost_secrets(run, &self.secrets);
        if !lost.is_empty() {
            talk(&format!(
                "secrets are never saved, so these have no value now: ${}; set them in the environment or with --var NAME=VALUE",
                lost.join(", $")
            ));
        }
        Ok(())
    }

    /// Whether the kubeconfig still points to the cluster that the run was opened on. This can't be overridden:
    /// everything the run knows is about that cluster.
    async fn same_cluster(&self, run: &Run) -> Result<(), String> {
        let (Some(opened), Some(cluster)) = (&run.opened.cluster, &self.world.cluster) else { return Ok(()) };
        let now = cluster
            .identity()
            .await
            .map_err(|error| format!("cannot tell whether this is the run's cluster: {error}"))?;
        // Where the uid may not be read, the server stands for the cluster.
        if now.uid == opened.uid && (!now.uid.is_empty() || now.server == opened.server) {
            return Ok(());
        }
        Err(format!(
            "this is another cluster: the run was opened on {} ({}, kube-system {}), the kubeconfig points to {} ({}, kube-system {}); choose the run's context, then resume",
            opened.context, opened.server, opened.uid, now.context, now.server, now.uid
        ))
    }
}

/// The host that had the run last.
fn last_host(events: &[Envelope]) -> Option<&String> {
    events.iter().rev().find_map(|envelope| match &envelope.event {
        RunEvent::RunOpened(opened) => Some(&opened.host),
        RunEvent::RunResumed { host, .. } => Some(host),
        _ => None,
    })
}

/// Whether the runbook is what it was when the run was opened. What runs is always the journal's.
///
/// # Errors
/// What was changed, in words.
fn unchanged(run: &Run, run_dir: &Path) -> Result<(), String> {
    let kept = std::fs::read_to_string(run_dir.join(RUNBOOK)).ok();
    if let Some(kept) = &kept
        && sha256(kept) != run.opened.runbook_sha256
    {
        return Err(format!("{} was changed since the run was opened", run_dir.join(RUNBOOK).display()));
    }
    let path = Path::new(&run.opened.runbook_path);
    let (Ok(now), Some(kept)) = (std::fs::read_to_string(path), kept) else { return Ok(()) };
    if sha256(&now) == run.opened.runbook_sha256 {
        return Ok(());
    }
    Err(format!(
        "{} was changed since the run was opened ({}); the run continues with the version it was opened with",
        path.display(),
        first_difference(&kept, &now)
    ))
}

/// The first line where two texts differ, for people.
fn first_difference(before: &str, after: &str) -> String {
    let mut lines = before.lines().zip(after.lines()).enumerate();
    if let Some((index, (before, after))) = lines.find(|(_, (before, after))| before != after) {
        format!("line {}: `{before}` became `{after}`", index + 1)
    } else {
        let (old, new) = (before.lines().count(), after.lines().count());
        if old == new { "its last line end".to_owned() } else { format!("{old} lines became {new}") }
    }
}

/// Whether a run can be resumed at all.
///
/// # Errors
/// Why not, in words.
pub fn resumable(run: &Run) -> Result<(), String> {
    if run.opened.rehearsal.is_some() {
        return Err("a rehearsal cannot be resumed; start a new one".to_owned());
    }
    match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        // Until its tasks are done a deployment can be rolled back, and a rollback that failed can be tried again.
        None | Some(Outcome::Held | Outcome::Succeeded | Outcome::RollbackFailed) => Ok(()),
        Some(Outcome::Failed | Outcome::RolledBack) => {
            Err("this run is over; see what happened with `cutover attach`".to_owned())
        }
    }
}
