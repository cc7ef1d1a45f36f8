//! Where runs are kept: one directory each under the state directory.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use color_eyre::eyre::WrapErr as _;
use etcetera::BaseStrategy as _;

use super::{say::talk, stop::Stop};
use crate::{
    config::settings::Settings,
    domain::{
        event::{Envelope, Outcome},
        id::RunId,
        run::Run,
    },
    journal::{self, Holder, Lock},
};

/// The state directory: as given, else as the settings say, else `$XDG_STATE_HOME/cutover`, else `~/.local/state/cutover`.
///
/// # Errors
/// If no home directory is known.
pub fn state_dir(given: Option<&PathBuf>) -> Result<PathBuf, Stop> {
    if let Some(dir) = given {
        return Ok(dir.clone());
    }
    if let Some(dir) = Settings::load(&|name| std::env::var(name).ok()).settings.state_dir {
        return Ok(dir);
    }
    let strategy = etcetera::base_strategy::Xdg::new().map_err(|_| {
        Stop::usage("there is no home directory to keep runs in\ngive another directory with --state-dir")
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.home_dir().join(".local/state")).join("cutover"))
}

/// Makes the directories above a run's, private to their owner.
///
/// # Errors
/// If a directory can't be made.
pub fn runs_dir(state: &Path) -> Result<PathBuf, Stop> {
    use std::os::unix::fs::DirBuilderExt as _;
    let runs = state.join("runs");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&runs)
        .map_err(|error| unwritable(&runs, &error))?;
    Ok(runs)
}

/// A directory of ours that can't be made or written.
pub(super) fn unwritable(dir: &Path, error: &io::Error) -> Stop {
    Stop::usage(format!(
        "cannot create {}: {error}\ngive a directory that you can write to with --state-dir",
        dir.display()
    ))
}

/// A run found in the state directory.
pub struct Found {
    /// Its directory.
    pub dir: PathBuf,
    /// Its state.
    pub run: Run,
}

/// The file in a run's directory that marks it as a copy fetched from the cluster, which no engine on this host has taken up
/// yet.
pub const FETCHED: &str = "fetched";

/// Every run's id and directory under the state directory, newest first: ids begin with the time. Nothing in them is read.
///
/// # Errors
/// If the state directory can't be read.
pub fn dirs(state: &Path) -> Result<Vec<(String, PathBuf)>, Stop> {
    let dir = state.join("runs");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Stop::usage(format!(
                "cannot read {}: {error}\ngive the directory where runs are stored with --state-dir",
                dir.display()
            )));
        }
    };
    let mut found: Vec<_> = entries
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    // A copy from the cluster is no run of this host before an engine here has its target's lock.
    found.retain(|(id, dir)| !id.starts_with('.') && !dir.join(FETCHED).exists());
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The runs that an engine has in its hands; only the named one where one is named. Their journals are not read.
///
/// # Errors
/// If the state directory can't be read.
pub fn live(state: &Path, run: Option<&str>) -> Result<Vec<(RunId, PathBuf)>, Stop> {
    let mut live = Vec::new();
    for (id, dir) in dirs(state)? {
        if run.is_none_or(|run| run == id) && has_engine(&dir) {
            live.push((RunId(id), dir));
        }
    }
    Ok(live)
}

/// Who has the run in a directory in their hands: its engine.
///
/// # Errors
/// If the lock can't be looked at.
pub fn engine(dir: &Path) -> io::Result<Option<Holder>> {
    Lock::holder(dir, journal::lock::RUN_LOCK)
}

/// Whether the run in a directory certainly has an engine.
pub fn has_engine(dir: &Path) -> bool {
    engine(dir).is_ok_and(|holder| holder.is_some())
}

/// The newest run's id.
///
/// # Errors
/// If the state directory can't be read.
pub fn newest(state: &Path) -> Result<Option<String>, Stop> {
    Ok(dirs(state)?.into_iter().next().map(|(id, _)| id))
}

/// One run, by its id.
///
/// # Errors
/// If its journal can't be read.
pub fn find(state: &Path, run: &str) -> Result<Option<Found>, Stop> {
    let found = dirs(state)?.into_iter().find(|(id, _)| id == run).map(|(_, dir)| in_dir(dir));
    Ok(found.transpose().map(Option::flatten).wrap_err_with(|| format!("cannot read run {run}"))?)
}

/// The run in a directory.
///
/// # Errors
/// If its journal can't be read.
pub fn in_dir(dir: PathBuf) -> Result<Option<Found>, journal::ReadError> {
    Ok(Run::fold(&events(&dir)?).map(|run| Found { dir, run }))
}

/// What has happened in the run of a directory.
///
/// # Errors
/// If its journal can't be read.
pub fn events(dir: &Path) -> Result<Vec<Envelope>, journal::ReadError> {
    let contents = journal::read::<Envelope>(dir)?;
    Ok(contents.records.into_iter().map(|(_, envelope)| envelope).collect())
}

/// What the journal in a directory tells, and how its file was found.
pub struct Told {
    /// What has happened, oldest first; where the file is damaged, what came before that.
    pub events: Vec<Envelope>,
    /// Bytes of what is intact.
    pub bytes: u64,
    /// The last checksum of its chain.
    pub checksum: u32,
    /// Bytes of a last record that was not written to its end.
    pub torn: usize,
    /// What is damaged, and where.
    pub damage: Option<String>,
}

/// What the journal in a directory tells, also a damaged one.
///
/// # Errors
/// If not even its beginning can be read.
pub fn told(dir: &Path) -> Result<Told, journal::ReadError> {
    let (contents, fault) = journal::salvage::<Envelope>(dir)?;
    Ok(Told {
        events: contents.records.into_iter().map(|(_, envelope)| envelope).collect(),
        bytes: contents.position.offset,
        checksum: contents.position.chain,
        torn: contents.torn.len(),
        damage: fault.map(|fault| fault.to_string()),
    })
}

/// When something was last written to the journal of the run in a directory.
pub fn written_at(dir: &Path) -> Option<SystemTime> {
    std::fs::metadata(dir.join(journal::record::FILE)).and_then(|meta| meta.modified()).ok()
}

/// All readable runs, newest first.
///
/// # Errors
/// If the state directory can't be read.
pub fn runs(state: &Path) -> Result<Vec<Found>, Stop> {
    let mut found = Vec::new();
    for (_, dir) in dirs(state)? {
        match in_dir(dir.clone()) {
            Ok(run) => found.extend(run),
            Err(error) => talk(&format!("{}: {error}", dir.display())),
        }
    }
    found.sort_by_key(|found| std::cmp::Reverse(found.run.opened_at));
    Ok(found)
}

/// The published word for how a run stands by its journal.
pub fn state_word(run: &Run) -> &'static str {
    match run.finished.as_ref().map(|(outcome, ..)| *outcome) {
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::RolledBack) => "rolled-back",
        Some(Outcome::RollbackFailed) => "rollback-failed",
        Some(Outcome::Held) => "held",
        None => "open",
    }
}
