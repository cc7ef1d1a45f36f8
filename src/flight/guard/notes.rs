//! Which of the cluster's locks engines of this host were about to take.

use std::{
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use crate::{domain::id::RunId, journal::RunDir};

/// Notes that are kept: only those of engines that died are ever looked for.
const KEPT: usize = 64;

/// The ids of the cluster's locks on one target that engines of this host were about to take, each with its run. Read and
/// written by whoever holds this host's lock on the target, so everybody who is named in it is dead.
pub(super) struct Notes {
    dir: PathBuf,
    name: String,
}

impl Notes {
    pub(super) fn beside(lock: &Path) -> Self {
        let name = lock.file_name().unwrap_or_default().to_string_lossy();
        Self { dir: lock.parent().unwrap_or(lock).to_owned(), name: format!("{name}.leases") }
    }

    /// Oldest first. Notes that can't be read are none: a takeover by the lock's name is left then.
    pub(super) fn read(&self) -> Vec<(String, RunId)> {
        let mut text = String::new();
        let read = RunDir::open(&self.dir)
            .and_then(|dir| dir.read_file(&self.name))
            .and_then(|mut file| file.read_to_string(&mut text));
        if let Err(error) = read
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the notes of locks can't be read");
        }
        let note = |line: &str| line.split_once(' ').map(|(id, run)| (id.to_owned(), RunId(run.to_owned())));
        text.lines().filter_map(note).collect()
    }

    pub(super) fn add(&self, known: &[(String, RunId)], id: &str, run: &RunId) -> io::Result<()> {
        let kept = &known[known.len().saturating_sub(KEPT - 1)..];
        let kept = kept.iter().map(|(id, run)| (id.as_str(), run)).chain([(id, run)]);
        let text = kept.map(|(id, run)| format!("{id} {run}\n")).collect::<Vec<_>>().concat();
        let mut file = RunDir::create(&self.dir)?.open_file(&self.name)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}
