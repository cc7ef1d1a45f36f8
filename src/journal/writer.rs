//! Appending to a journal.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt as _},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
};
use serde::Serialize;

use super::{
    dir::RunDir,
    record::{self, FILE, Header, Position},
};
use crate::failpoint;

/// Space that is always kept in hand for [`Writer::append_from_reserve`]: a rollback's records are a few dozen, of a
/// few kilobytes each.
pub const RESERVE: u64 = 1 << 20;

/// Space taken at once when more is needed.
const CHUNK: u64 = 1 << 20;

/// What a journal needs of a disk. Tests put one in its place that fails.
pub trait Disk: Send {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The disk's.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// The disk's.
    fn sync(&mut self) -> io::Result<()>;

    /// Takes the space up to `end`, filled with zeros. `false` where the file system has no such thing.
    ///
    /// # Errors
    /// Where the disk is full.
    fn reserve(&mut self, end: u64) -> io::Result<bool>;
}

impl Disk for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        failpoint::hit("journal.write")?;
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        failpoint::hit("journal.sync")?;
        self.sync_data()
    }

    fn reserve(&mut self, end: u64) -> io::Result<bool> {
        failpoint::hit("journal.reserve")?;
        let length = i64::try_from(end).map_err(io::Error::other)?;
        loop {
            return match fallocate(&*self, FallocateFlags::empty(), 0, length) {
                Ok(()) => Ok(true),
                Err(Errno::EINTR) => continue,
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(false),
                Err(fault) => Err(fault.into()),
            };
        }
    }
}

/// Appends records to a run's journal.
///
/// After a write or a sync has failed nobody knows what is on the disk, and trying again may report success for data
/// that is lost. So the writer is spent then: every call fails, and what needs a durable record is not done.
#[derive(Debug)]
pub struct Writer<D = File> {
    pub(super) disk: D,
    position: Position,
    /// The space that is ours ends here; none where the file system can't reserve.
    reserved: Option<u64>,
    /// Why this writer is spent.
    spent: Option<String>,
    /// What is written next …
    buffer: Vec<u8>,
    /// … and one record of it.
    record: Vec<u8>,
}

impl Writer {
    /// Makes a run's directory where it is missing, and a journal in it, durably.
    ///
    /// # Errors
    /// Where the directory is refused (see [`RunDir`]), there is a journal already, or the disk fails.
    pub fn create(dir: &Path, header: &Header) -> io::Result<Self> {
        let dir = RunDir::create(dir)?;
        let writer = Self::begin(dir.create_file(FILE)?, header)?;
        dir.sync()?;
        Ok(writer)
    }

    /// Goes on where [`super::recover()`] says. The caller holds the run's lock.
    ///
    /// # Errors
    /// Where the directory or file is refused, the file is shorter than it was, or the disk is full.
    pub fn resume(dir: &Path, position: Position) -> io::Result<Self> {
        let file = RunDir::open(dir)?.write_file(FILE)?;
        if file.metadata()?.len() < position.offset {
            return Err(io::Error::other("the journal has become shorter since it was read"));
        }
        Self::at(file, position)
    }

    /// Whether the file that is written is the one that whoever reads `dir` finds. Where the directory was deleted, moved or
    /// exchanged, writes still succeed, and nobody will ever see them.
    ///
    /// # Errors
    /// If it is not; the writer is spent then.
    pub fn verify(&mut self, dir: &Path) -> io::Result<()> {
        self.refuse_if_spent()?;
        let ours = self.disk.metadata()?;
        let path = dir.join(FILE);
        let why = match path.symlink_metadata() {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => return Ok(()),
            Ok(_) => "was replaced by another file during the run",
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => "was deleted or moved during the run",
            // A disk that does not answer is found out by writing to it.
            Err(_) => return Ok(()),
        };
        Err(self.spend(io::Error::other(format!("{} {why}", path.display()))))
    }
}

impl<D: Disk> Writer<D> {
    /// Writes a header to an empty disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin(mut disk: D, header: &Header) -> io::Result<Self> {
        let (bytes, position) = record::encode_header(header)?;
        disk.write_at(0, &bytes)?;
        let mut writer = Self::at(disk, position)?;
        writer.sync()?;
        Ok(writer)
    }

    pub(super) fn at(disk: D, position: Position) -> io::Result<Self> {
        let mut writer =
            Self { disk, position, reserved: Some(0), spent: None, buffer: Vec::new(), record: Vec::new() };
        writer.keep_reserve(position.offset)?;
        Ok(writer)
    }

    /// Appends a record and returns its sequence. It is durable only after [`Self::sync`].
    ///
    /// # Errors
    /// `StorageFull` if the reserve for a rollback could not be kept; nothing was written then, and
    /// [`Self::append_from_reserve`] still works. `InvalidData` if the payload is no JSON or longer than
    /// [`record::LONGEST`]; nothing was written. Any other fault spends the writer.
    pub fn append<T: Serialize>(&mut self, payload: &T) -> io::Result<u64> {
        self.append_all(std::slice::from_ref(payload))
    }

    /// As [`Self::append`] for several records, in one write: where there is no room for all of them, none is written.
    /// Returns the sequence of the first.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_all<T: Serialize>(&mut self, payloads: &[T]) -> io::Result<u64> {
        let following = self.prepare(payloads)?;
        self.keep_reserve(following.offset)?;
        self.write(following)
    }

    /// As [`Self::append_all`], for what must be recorded even on a full disk: a rollback and its results.
    ///
    /// # Errors
    /// As [`Self::append`], but for the reserve.
    pub fn append_from_reserve<T: Serialize>(&mut self, payloads: &[T]) -> io::Result<u64> {
        let following = self.prepare(payloads)?;
        // More space is welcome, but not a condition.
        let _ = self.keep_reserve(following.offset);
        self.write(following)
    }

    /// Makes all appended records durable (`fdatasync`).
    ///
    /// # Errors
    /// The disk's; the writer is spent then.
    pub fn sync(&mut self) -> io::Result<()> {
        self.refuse_if_spent()?;
        self.disk.sync().map_err(|fault| self.spend(fault))
    }

    /// Where the next record goes.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether an earlier fault has made this writer unusable.
    pub fn is_spent(&self) -> bool {
        self.spent.is_some()
    }

    fn prepare<T: Serialize>(&mut self, payloads: &[T]) -> io::Result<Position> {
        self.refuse_if_spent()?;
        self.buffer.clear();
        let mut following = self.position;
        for payload in payloads {
            following = record::encode(payload, following, &mut self.record)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            self.buffer.extend_from_slice(&self.record);
        }
        Ok(following)
    }

    fn write(&mut self, following: Position) -> io::Result<u64> {
        self.disk.write_at(self.position.offset, &self.buffer).map_err(|fault| self.spend(fault))?;
        let sequence = self.position.sequence;
        self.position = following;
        Ok(sequence)
    }

    /// Sees to it that [`RESERVE`] bytes beyond `end` are ours.
    fn keep_reserve(&mut self, end: u64) -> io::Result<()> {
        if self.reserved.is_some_and(|reserved| reserved < end + RESERVE) {
            let wanted = end + RESERVE + CHUNK;
            self.reserved = self.disk.reserve(wanted)?.then_some(wanted);
        }
        Ok(())
    }

    fn refuse_if_spent(&self) -> io::Result<()> {
        match &self.spent {
            Some(why) => {
                Err(io::Error::other(format!("the journal is no longer written after an error: {why}")))
            }
            None => Ok(()),
        }
    }

    fn spend(&mut self, fault: io::Error) -> io::Error {
        self.spent = Some(fault.to_string());
        fault
    }
}
