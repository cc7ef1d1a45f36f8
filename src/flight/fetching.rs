//! Fetching another host's run from its copy in the cluster: nothing is called a run here before it is verified.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{
    copies::copies,
    exit::Exit,
    job::Takeover,
    runbook::{self, Loaded, sha256},
    say::talk,
    stop::Stop,
    store,
};
use crate::{
    adapters::kube::KubeCluster,
    domain::{
        action::Action,
        copy::CopiedRun,
        event::{Envelope, RunEvent},
        id::RunId,
        plan::is_wake,
        rights,
    },
    engine::values::check_value,
    journal,
};

/// Which copy is meant.
pub(super) struct Wanted<'a> {
    /// The runbook, which says where the cluster is.
    pub(super) runbook: &'a Path,
    /// The run; by default the one that holds the target's lock, else the newest unfinished one.
    pub(super) run: Option<&'a str>,
    /// The lock that is to be taken over.
    pub(super) takeover: Option<&'a Takeover>,
    /// Whether faults of the runbook are coloured.
    pub(super) color: &'a str,
}

/// Stores the cluster's copy of a run's journal among this host's own.
///
/// # Errors
/// If there is no such copy, this host has a more complete journal, or the copy fails verification.
pub(super) async fn fetch(wanted: &Wanted<'_>, state: &Path) -> Result<PathBuf, Stop> {
    let loaded = runbook::open(wanted.runbook, wanted.color)?;
    let (kube, copies) = copies(&loaded.runbook).await?;
    let run = chosen(wanted, &kube, &copies).await?;
    // It becomes a path, and comes from outside.
    if run.0.is_empty() || !run.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err(refused("the copy's run ID is not valid"));
    }
    let dir = store::runs_dir(state)?.join(run.as_str());
    let ours = dir.exists() && !dir.join(store::FETCHED).exists();
    if ours || store::has_engine(&dir) {
        return Err(Stop::usage(format!(
            "run {run} has its own journal on this host, which is more complete; resume it with: cutover resume {run}"
        )));
    }
    let copy = kube.fetch_copy(&run).await.map_err(|fault| refused(&fault.to_string()))?;
    // Verified before it is called a run: what does not verify leaves nothing behind.
    let incoming = store::runs_dir(state)?.join(format!(".{run}.incoming"));
    let _ = std::fs::remove_dir_all(&incoming);
    let kept = journal::RunDir::create(&incoming)?;
    kept.create_file(journal::record::FILE)?.write_all(&copy.bytes)?;
    let verified = match store::events(&incoming) {
        Ok(events) => is_of(&events, &run, &loaded).map_err(|why| {
            format!("the copy of run {run} does not match {}: {why}", wanted.runbook.display())
        }),
        Err(fault) => Err(format!("the copy of run {run} is damaged: {fault}")),
    };
    if let Err(fault) = verified {
        let _ = std::fs::remove_dir_all(&incoming);
        return Err(refused(&fault));
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
        "its last seconds may be missing from the copy: check the target before you continue".to_owned()
    }));
    Ok(dir)
}

/// A copy that cannot be taken for the run.
fn refused(why: &str) -> Stop {
    Stop::Told(Exit::Internal, format!("{why}; it is not resumed"))
}

/// The run whose copy is meant.
async fn chosen(wanted: &Wanted<'_>, kube: &KubeCluster, copies: &[CopiedRun]) -> Result<RunId, Stop> {
    if let Some(run) = wanted.run {
        return Ok(RunId(run.to_owned()));
    }
    let holder = match kube.lock_holder().await {
        Ok(holder) => holder,
        // Whoever takes a lock over must know whose it is.
        Err(error) if wanted.takeover.is_some() => return Err(error.into()),
        Err(_) => None,
    };
    let driven = holder.map(|holder| holder.run_id);
    let of_lock = copies.iter().find(|copy| Some(&copy.run_id.0) == driven.as_ref());
    // Whoever takes a lock over means the run that it is held for, and no other.
    let open = || copies.iter().find(|copy| !copy.head.ended).filter(|_| wanted.takeover.is_none());
    match (of_lock.or_else(open), wanted.takeover) {
        (Some(copy), _) => Ok(copy.run_id.clone()),
        (None, Some(Takeover { lock_id, .. })) => Err(Stop::usage(format!(
            "the run that holds the target's lock left no copy to resume from; check the target, then start over with: cutover run --takeover {lock_id} --reason REASON"
        ))),
        (None, None) => {
            Err(Stop::usage("the cluster has no copy of an unfinished run; see: cutover list --cluster"))
        }
    }
}

/// Whether a journal that comes from outside is of this run and this very runbook, and brings nothing else that would be run
/// with our rights: no other action, no other variable.
///
/// # Errors
/// What differs, in words.
fn is_of(events: &[Envelope], run_id: &RunId, loaded: &Loaded) -> Result<(), String> {
    let runbook = &loaded.runbook;
    let Some(RunEvent::RunOpened(opened)) = events.first().map(|envelope| &envelope.event) else {
        return Err("its beginning is missing".to_owned());
    };
    if opened.run_id != *run_id {
        return Err("it belongs to another run".to_owned());
    }
    if sha256(&loaded.text) != opened.runbook_sha256 {
        return Err("the runbook's text differs from the one that the run was opened with".to_owned());
    }
    // A run opens with items of its own where rights are missing; nothing in them is ours to run.
    if rights::as_written(&opened.runbook) != *runbook {
        return Err("its runbook differs from the text of the file".to_owned());
    }
    for envelope in events {
        match &envelope.event {
            RunEvent::VarSet { name, value, .. } => {
                let var = runbook.vars.iter().find(|var| var.name == *name);
                let var = var.ok_or_else(|| format!("it sets ${name}, which the runbook does not have"))?;
                if let Some(value) = value {
                    check_value(name, value, var.pattern.as_deref())?;
                }
            }
            RunEvent::RollbackStarted { procedure, actions, .. } => {
                let declared = runbook.procedure(procedure.as_str()).map_or(&[][..], |found| &found.run);
                let known = |action: &Action| declared.contains(action) || is_wake(action);
                if !actions.iter().all(known) {
                    return Err(format!(
                        "its rollback ({procedure}) does something that is not in the runbook"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        fixture::{Flight, opened, runbook, sh},
        message::Command,
    };

    #[test]
    fn a_copy_brings_nothing_of_its_own_to_run() {
        let text = "the runbook's text".to_owned();
        let loaded = Loaded { runbook: runbook(), text: text.clone(), path: PathBuf::new() };
        let mut first = opened(runbook());
        first.runbook_sha256 = sha256(&text);
        let mut flight = Flight::in_window(runbook());
        flight.command(Command::Rollback { reason: "errors".to_owned() });
        flight.settle();
        let mut events = flight.events.clone();
        events[0].event = RunEvent::RunOpened(first.clone());
        let run_id = first.run_id.clone();
        assert_eq!(is_of(&events, &run_id, &loaded), Ok(()));
        assert!(is_of(&events[1..], &run_id, &loaded).is_err());
        assert!(is_of(&events, &RunId("another".to_owned()), &loaded).is_err());
        let forged = |change: &dyn Fn(&mut RunEvent)| {
            let mut events = events.clone();
            for envelope in &mut events {
                change(&mut envelope.event);
            }
            is_of(&events, &run_id, &loaded).unwrap_err()
        };
        let action = |event: &mut RunEvent| {
            if let RunEvent::RollbackStarted { actions, .. } = event {
                actions.push(sh("evil"));
            }
        };
        assert!(forged(&action).contains("does something that is not in the runbook"));
        let name = |event: &mut RunEvent| {
            if let RunEvent::VarSet { name, .. } = event {
                *name = "LD_PRELOAD".to_owned();
            }
        };
        assert!(forged(&name).contains("$LD_PRELOAD"));
        let value = |event: &mut RunEvent| {
            if let RunEvent::VarSet { value, .. } = event {
                *value = Some("a\nb".to_owned());
            }
        };
        assert!(forged(&value).contains("one line"));
        let text = |event: &mut RunEvent| {
            if let RunEvent::RunOpened(opened) = event {
                opened.runbook.steps.clear();
            }
        };
        assert!(forged(&text).contains("its runbook differs"));
        let other = Loaded { text: "another".to_owned(), ..loaded };
        assert!(is_of(&events, &run_id, &other).unwrap_err().contains("text differs"));
    }
}
