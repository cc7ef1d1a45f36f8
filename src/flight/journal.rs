//! A run's journal as the engine writes it, and as its copy reads it while it grows.

use std::{
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{stop::Stop, store::Found, who};
use crate::{
    adapters::kube::ReadJournal,
    domain::{
        event::{Envelope, RunEvent},
        time::Timestamp,
    },
    engine::ports::Journal,
    journal::{self, Header, Lock, Position, Writer},
};

/// A run's journal as the engine's port.
pub struct RunJournal {
    writer: Writer,
    dir: PathBuf,
    durable: Arc<AtomicU64>,
}

impl RunJournal {
    /// A new run's.
    ///
    /// # Errors
    /// If the run's directory or file can't be made safely.
    pub fn create(dir: &Path, header: &Header) -> io::Result<Self> {
        Writer::create(dir, header).map(|writer| Self::of(writer, dir))
    }

    /// An existing run's, continued at its end.
    ///
    /// # Errors
    /// If the file can't be opened or was changed since it was read.
    pub fn resume(dir: &Path, position: Position) -> io::Result<Self> {
        Writer::resume(dir, position).map(|writer| Self::of(writer, dir))
    }

    fn of(writer: Writer, dir: &Path) -> Self {
        let durable = Arc::new(AtomicU64::new(writer.position().offset));
        Self { writer, dir: dir.to_owned(), durable }
    }

    /// What is durable is told to the copy only after the disk has said so: the copy never knows more than the journal.
    fn synced(&mut self) -> io::Result<()> {
        self.writer.sync()?;
        self.durable.store(self.writer.position().offset, Ordering::Release);
        Ok(())
    }

    /// Reads what is durable of the journal in this directory, whole records only, while it grows.
    pub fn reader(&self, dir: &Path) -> ReadJournal {
        let (durable, dir) = (Arc::clone(&self.durable), dir.to_owned());
        Arc::new(move |offset, most| {
            let end = durable.load(Ordering::Acquire);
            let length = end.saturating_sub(offset).min(most as u64);
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            journal::RunDir::open(&dir)?
                .read_file(journal::record::FILE)?
                .read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        })
    }
}

impl Journal for RunJournal {
    fn append(&mut self, events: &[Envelope]) -> io::Result<()> {
        self.verify()?;
        self.writer.append_all(events)?;
        self.synced()
    }

    fn append_urgent(&mut self, events: &[Envelope]) -> io::Result<()> {
        self.verify()?;
        self.writer.append_from_reserve(events)?;
        self.synced()
    }

    fn verify(&mut self) -> io::Result<()> {
        self.writer.verify(&self.dir)
    }

    fn is_spent(&self) -> bool {
        self.writer.is_spent()
    }
}

/// Writes one more event of a run that has no engine, and applies it.
///
/// # Errors
/// If an engine has the run, or its journal can't be read or written.
pub fn add(found: &mut Found, now: Timestamp, event: RunEvent) -> Result<(), Stop> {
    let _lock = Lock::acquire(&found.dir, journal::lock::RUN_LOCK, &who::holder())?;
    let recovered = journal::recover::<Envelope>(&found.dir)?;
    let envelope = Envelope { seq: found.run.last_seq + 1, at: now.max(found.run.last_at), event };
    RunJournal::resume(&found.dir, recovered.position)?.append(std::slice::from_ref(&envelope))?;
    found.run.apply(&envelope);
    Ok(())
}
