//! `cutover resume`: a run that was paused or interrupted goes on.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    args::ResumeArgs,
    compose,
    engine::Task,
    exit::Exit,
    flight::{self, Flight, Loaded, Origin},
    guard::Takeover,
    launch,
    plain::talk,
    store,
};
use crate::{
    domain::{
        copy::CopiedRun,
        event::{Envelope, Outcome},
        id::RunId,
    },
    engine::values::Secrets,
    journal,
};

/// Starts an engine for a run that was left, and shows it. Where its engine lives, attaching is what is meant.
///
/// # Errors
/// If the engine can't be started.
pub async fn main(args: ResumeArgs) -> color_eyre::Result<Exit> {
    launch::fly(Task::Resume(args)).await
}

/// Finds the run, recovers its journal and flies on.
///
/// # Errors
/// If there is no such run or its journal is damaged.
pub async fn fly(args: ResumeArgs, pilot: String) -> color_eyre::Result<Exit> {
    let state = store::state_dir(args.drive.view.state_dir.as_ref())?;
    let takeover = Takeover::of(args.takeover.clone(), args.reason.clone());
    let found = match (args.from_cluster, &args.run) {
        (true, run) => match fetch(&args, run.as_deref(), &state).await? {
            Ok(dir) => store::in_dir(dir)?,
            Err(exit) => return Ok(exit),
        },
        (false, Some(run)) => store::find(&state, run)?,
        (false, None) => {
            let paused = |found: &store::Found| {
                matches!(
                    found.run.finished.as_ref().map(|(outcome, ..)| *outcome),
                    None | Some(Outcome::Held)
                ) && flight::resumable(&found.run).is_ok()
            };
            store::runs(&state)?.into_iter().find(paused)
        }
    };
    let Some(found) = found else {
        let what = args
            .run
            .map_or_else(|| "there is no paused run".to_owned(), |run| format!("there is no run {run}"));
        talk(&format!("{what}; see: cutover list"));
        return Ok(Exit::Usage);
    };
    if let Err(why) = flight::resumable(&found.run) {
        talk(&format!("{}: {why}", found.run.opened.run_id));
        return Ok(Exit::Usage);
    }
    // What was done without the journal is not in it: nobody may go on as if it had not happened.
    let beside = crate::engine::ledger::left_behind(&found.run.opened.run_id);
    if let Some(record) = beside.first() {
        talk(&format!(
            "{}: its journal was lost and a rollback was let go on without it, recorded in {}; look at the cluster, then move that file away to resume",
            found.run.opened.run_id,
            record.display()
        ));
        return Ok(Exit::NeedsPerson);
    }
    let runbook = (*found.run.runbook).clone();
    let path = PathBuf::from(&found.run.opened.runbook_path);
    let text = std::fs::read_to_string(found.dir.join("runbook.toml")).unwrap_or_default();
    let secrets = Arc::new(Secrets::default());
    let world = compose::real(&runbook, &path, &secrets, Some(found.run.last_at)).await?;
    let loaded = Loaded { runbook, text, path };
    let flight = Flight { loaded, world, secrets, rehearsal: None, drive: args.drive, pilot };
    let from = if args.from_cluster { Origin::Cluster(takeover) } else { Origin::ThisHost(takeover) };
    flight.resume(found.dir, from).await
}

/// Puts the cluster's copy of a run's journal where this host keeps its own. Which run: the named one, else the one that
/// the target's lock is held for, else the newest that is not over.
async fn fetch(
    args: &ResumeArgs,
    run: Option<&str>,
    state: &Path,
) -> color_eyre::Result<Result<PathBuf, Exit>> {
    let text = compose::read_runbook(&args.runbook)?;
    let loaded = match flight::load(&args.runbook, text, &args.drive.view.color) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(Err(exit)),
    };
    let kube = compose::cluster(&loaded.runbook).await?;
    let copies = kube.copied_runs().await?;
    let run = if let Some(run) = run {
        RunId(run.to_owned())
    } else {
        let holder = match kube.lock_holder().await {
            Ok(holder) => holder,
            // Whoever takes a lock over must know whose it is.
            Err(error) if args.takeover.is_some() => return Err(error.into()),
            Err(_) => None,
        };
        let driven = holder.map(|holder| holder.run_id);
        let of_lock = copies.iter().find(|copy| Some(&copy.run_id.0) == driven.as_ref());
        // Whoever takes a lock over means the run that it is held for, and no other.
        let open = || copies.iter().find(|copy| !copy.head.ended).filter(|_| args.takeover.is_none());
        match (of_lock.or_else(open), &args.takeover) {
            (Some(copy), _) => copy.run_id.clone(),
            (None, Some(lock_id)) => {
                talk(&format!(
                    "the run that has the target's lock left no copy to go on from; look at the target, then begin anew with: cutover run --takeover {lock_id} --reason REASON"
                ));
                return Ok(Err(Exit::Usage));
            }
            (None, None) => {
                talk("the cluster has no copy of a run that is under way; see: cutover list --cluster");
                return Ok(Err(Exit::Usage));
            }
        }
    };
    // It becomes a path, and comes from outside.
    if run.0.is_empty() || !run.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        talk("the copy's run has an id that no run has; it is not resumed");
        return Ok(Err(Exit::Internal));
    }
    let dir = store::runs_dir(state)?.join(run.as_str());
    let ours = dir.exists() && !dir.join(store::FETCHED).exists();
    if ours || journal::Lock::holder(&dir, journal::lock::RUN_LOCK).is_ok_and(|holder| holder.is_some()) {
        talk(&format!(
            "this host has run {run} itself, and its own journal knows more: cutover resume {run}"
        ));
        return Ok(Err(Exit::Usage));
    }
    let copy = match kube.fetch_copy(&run).await {
        Ok(copy) => copy,
        Err(fault) => {
            talk(&format!("{fault}; it is not resumed"));
            return Ok(Err(Exit::Internal));
        }
    };
    // Verified before it is called a run: what does not verify leaves nothing behind.
    let incoming = store::runs_dir(state)?.join(format!(".{run}.incoming"));
    let _ = std::fs::remove_dir_all(&incoming);
    let kept = journal::RunDir::create(&incoming)?;
    kept.create_file(journal::record::FILE)?.write_all(&copy.bytes)?;
    let verified = match journal::read::<Envelope>(&incoming) {
        Ok(contents) => {
            let events: Vec<_> = contents.records.into_iter().map(|(_, envelope)| envelope).collect();
            flight::is_of(&events, &run, &loaded).map_err(|why| {
                format!("the copy of run {run} does not go with {}: {why}", args.runbook.display())
            })
        }
        Err(fault) => Err(format!("the copy of run {run} does not verify: {fault}")),
    };
    if let Err(fault) = verified {
        let _ = std::fs::remove_dir_all(&incoming);
        talk(&format!("{fault}; it is not resumed"));
        return Ok(Err(Exit::Internal));
    }
    kept.create_file(store::FETCHED)?;
    // What an earlier try has left was never flown.
    match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    std::fs::rename(&incoming, &dir)?;
    let CopiedRun { who, host, head, .. } = &copy.run;
    talk(&format!(
        "run {run} by {who} on {host}: its copy goes up to {} (record {})",
        head.at, head.sequence
    ));
    talk(&copy.cut.unwrap_or_else(|| {
        "its last seconds may not be in the copy: look around before you continue".to_owned()
    }));
    Ok(Ok(dir))
}
