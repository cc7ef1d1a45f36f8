//! Where decisions are written before anything is done, and what happens to a run whose journal can't be written.
//!
//! ```text
//!           no room                                     any other fault
//!   whole ───────────▶ full ── a write has room again ──▶ whole      whole, full ──────────▶ lost
//!                       │                                              │
//!                       └─ a rollback, and ends: from the space        └─ typed consent ──▶ elsewhere: a rollback and
//!                          kept for them                                  ends, recorded in another directory
//! ```
//!
//! A full disk is met with the journal's own reserve: a rollback is journaled as ever. After any other fault nobody knows
//! what the disk holds, so the journal is not touched again; a journal that was deleted or moved while it was written is met
//! the same way, within a second. A person may still want to roll back. That needs a typed
//! word, and is recorded in a file elsewhere.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::ports::Journal;
use crate::domain::{
    event::{Envelope, are_urgent},
    id::RunId,
    message::JournalState,
};

/// The journal with its fault, where it has one.
pub(super) struct Ledger {
    journal: Box<dyn Journal>,
    state: JournalState,
    elsewhere: Option<Elsewhere>,
}

impl Ledger {
    pub(super) fn new(journal: Box<dyn Journal>) -> Self {
        Self { journal, state: JournalState::Whole, elsewhere: None }
    }

    pub(super) fn state(&self) -> &JournalState {
        &self.state
    }

    /// Nothing can be written before a person has consented to a record elsewhere.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.state, JournalState::Lost { .. })
    }

    /// Makes what a decision says durable; all of it, or nothing of it may be done.
    ///
    /// # Errors
    /// Why it can't be written. [`Self::state`] says what that means for the run.
    pub(super) fn write(&mut self, events: &[Envelope], rolling_back: bool) -> Result<(), String> {
        let urgent = rolling_back || are_urgent(events);
        let written = match (&self.state, &mut self.elsewhere) {
            (JournalState::Lost { why }, _) => return Err(why.clone()),
            (JournalState::Elsewhere { .. }, Some(record)) if urgent => record.append(events),
            (JournalState::Elsewhere { .. }, _) => {
                return Err("without a journal, only a rollback can run".to_owned());
            }
            _ if urgent => self.journal.append_urgent(events),
            _ => self.journal.append(events),
        };
        match written {
            Ok(()) => {
                if !urgent {
                    // There was room without the reserve.
                    self.state = JournalState::Whole;
                }
                Ok(())
            }
            Err(error) => {
                let why = error.to_string();
                tracing::error!(%error, "the journal can't be written");
                let spent = self.elsewhere.take().is_some() || self.journal.is_spent();
                self.state = if spent {
                    JournalState::Lost { why: why.clone() }
                } else {
                    JournalState::Full { why: why.clone() }
                };
                Err(why)
            }
        }
    }

    /// Finds out whether the journal is still where it is looked for; whether it has just been lost.
    pub(super) fn verify(&mut self) -> bool {
        let written = match &self.state {
            JournalState::Whole | JournalState::Full { .. } => self.journal.verify(),
            JournalState::Lost { .. } | JournalState::Elsewhere { .. } => Ok(()),
        };
        let Err(error) = written else { return false };
        tracing::error!(%error, "the journal is lost");
        self.state = JournalState::Lost { why: error.to_string() };
        true
    }

    /// From now on a rollback is recorded elsewhere. The person's word was typed.
    ///
    /// # Errors
    /// If no other place can be written either.
    pub(super) fn go_elsewhere(&mut self, run: &RunId, places: &[PathBuf]) -> Result<(), String> {
        let JournalState::Lost { why } = &self.state else {
            return Err("the journal works; a rollback needs no other record".to_owned());
        };
        let record = Elsewhere::create(run, places)?;
        self.state = JournalState::Elsewhere { why: why.clone(), path: record.path.display().to_string() };
        self.elsewhere = Some(record);
        Ok(())
    }
}

/// The record of a rollback without a journal: events as lines of JSON, each batch synced before it is done.
struct Elsewhere {
    file: File,
    path: PathBuf,
}

impl Elsewhere {
    /// In the first of the places that takes it.
    fn create(run: &RunId, places: &[PathBuf]) -> Result<Self, String> {
        let mut faults = Vec::new();
        for place in places {
            // A record of an earlier attempt stays.
            for number in 1..=9 {
                let path = record_path(place, run, number);
                // Never through somebody else's link, never over an old file.
                match std::fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path) {
                    Ok(file) => return Ok(Self { file, path }),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => {
                        faults.push(format!("{}: {error}", path.display()));
                        break;
                    }
                }
            }
        }
        Err(format!("no other place can store a record either: {}", faults.join(", ")))
    }

    /// To the disk at once: this file is written because the journal could not be.
    fn append(&mut self, events: &[Envelope]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for envelope in events {
            serde_json::to_writer(&mut bytes, envelope)?;
            bytes.push(b'\n');
        }
        self.file.write_all(&bytes)?;
        self.file.sync_data()
    }
}

/// With a number, so that nothing that was written before is touched.
fn record_path(place: &Path, run: &RunId, number: u32) -> PathBuf {
    place.join(format!("cutover-{run}-without-a-journal-{number}.jsonl"))
}

/// Where a rollback without a journal is recorded: the user's runtime directory, then the system's temporary one. Both are
/// most often on another file system than the state directory.
pub fn places() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let places: Vec<_> = runtime.into_iter().chain([std::env::temp_dir()]).collect();
    let mut seen = BTreeSet::new();
    places.into_iter().filter(|place| seen.insert(place.clone())).collect()
}

/// Records of rollbacks of this run that its journal does not have.
pub fn left_behind(run: &RunId) -> Vec<PathBuf> {
    let at = |place: PathBuf| (1..=9).map(move |number| (place.clone(), number));
    places()
        .into_iter()
        .flat_map(at)
        .map(|(place, number)| record_path(&place, run, number))
        .filter(|path| path.metadata().is_ok_and(|file| file.len() > 0))
        .collect()
}
