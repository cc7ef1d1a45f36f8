//! Reads the file without changing it, even while it is being written.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::format::{
    BadHeader, FILE, FORMAT_VERSION, Head, LONGEST, MOST_MOMENTS, MOST_PLAIN, decode_block, decode_header,
    moments,
};
use crate::{
    domain::{
        kept::{Kept, Moment, Thinned},
        time::Span,
    },
    journal::dir::RunDir,
};

/// Why nothing of a file can be read.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// The file or its directory can't be opened safely, or not be read.
    #[error("the samples in {} can't be read: {source}", path.display())]
    Io {
        /// The run's directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is some other file, or its beginning is damaged.
    #[error("{FILE} does not hold samples of cutover, or its first bytes are damaged")]
    Foreign,
    /// It belongs to another run.
    #[error("{FILE} holds samples of another run: {found}")]
    OtherRun {
        /// Which.
        found: String,
    },
    /// A later version wrote it.
    #[error(
        "{FILE} has format {found}, but this version reads {FORMAT_VERSION}: use the version of cutover that wrote it"
    )]
    Newer {
        /// Its version.
        found: u32,
    },
}

/// What is kept of the run in a directory; nothing where there is no such file, as with runs of earlier versions.
///
/// # Errors
/// See [`SamplesError`]. Damage further on is no error: what is left is read, and [`Kept::faults`] says what is not.
pub fn read(dir: &Path, run_id: &str) -> Result<Option<Kept>, SamplesError> {
    let load = || -> io::Result<Option<Vec<u8>>> {
        let file = match RunDir::open(dir)?.read_file(FILE) {
            Ok(file) => file,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let length = file.metadata()?.len().min(LONGEST);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    let loaded = load().map_err(|source| SamplesError::Io { path: dir.to_owned(), source })?;
    loaded.map(|bytes| parse(&bytes, run_id)).transpose()
}

/// What the bytes of a file hold.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], run_id: &str) -> Result<Kept, SamplesError> {
    let (seed, mut at) = match decode_header(bytes) {
        Ok((header, ..)) if header.run_id != run_id => {
            return Err(SamplesError::OtherRun { found: header.run_id });
        }
        Ok((_, seed, first)) => (seed, first),
        // An engine died while it made the file: nothing was kept yet.
        Err(BadHeader::Short) => return Ok(Kept::default()),
        Err(BadHeader::Foreign) => return Err(SamplesError::Foreign),
        Err(BadHeader::Newer(found)) => return Err(SamplesError::Newer { found }),
    };
    let mut read = Reading::default();
    while at < bytes.len() {
        let Some((start, head)) = next_block(bytes, at, seed) else {
            read.torn = bytes.len() - at;
            break;
        };
        read.skipped += start - at;
        at = start + head.length();
        if !read.block(head, bytes.get(start..at).unwrap_or_default()) {
            break;
        }
    }
    Ok(read.kept())
}

/// The next whole block from here on, and where it begins. Bytes between blocks are damage.
pub(super) fn next_block(bytes: &[u8], from: usize, seed: u32) -> Option<(usize, Head)> {
    (from..bytes.len()).find_map(|at| {
        let head = Head::decode(bytes.get(at..)?, seed)?;
        (head.length() <= bytes.len() - at).then_some((at, head))
    })
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    moments: Vec<Moment>,
    thinned: Vec<Thinned>,
    plain: u64,
    torn: usize,
    skipped: usize,
    damaged: Vec<&'static str>,
    unknown: u64,
    full: bool,
}

impl Reading {
    /// Takes a block in; `false` where no more can be read.
    fn block(&mut self, head: Head, bytes: &[u8]) -> bool {
        let lines = match decode_block(head, bytes) {
            Ok(lines) => lines,
            Err(why) => {
                self.damaged.push(why);
                return true;
            }
        };
        self.plain += lines.len() as u64;
        let (moments, unknown) = moments(&lines);
        self.unknown += unknown;
        if self.plain > MOST_PLAIN || (self.moments.len() + moments.len()) as u64 > MOST_MOMENTS {
            self.full = true;
            return false;
        }
        let times = || moments.iter().map(|moment| moment.at);
        if head.grid > 0
            && let Some((from, to)) = times().min().zip(times().max())
        {
            self.thinned.push(Thinned { from, to, grid: Span::from_millis(u64::from(head.grid)) });
        }
        self.moments.extend(moments);
        true
    }

    fn kept(self) -> Kept {
        let mut faults = Vec::new();
        if let Some(why) = self.damaged.first() {
            faults.push(format!("{} damaged blocks of {FILE} are left out: {why}", self.damaged.len()));
        }
        if self.skipped > 0 {
            faults.push(format!("{} bytes between the blocks of {FILE} can't be read", self.skipped));
        }
        if self.torn > 0 {
            faults.push(format!("the last {} bytes of {FILE} are no whole block", self.torn));
        }
        if self.unknown > 0 {
            faults.push(format!(
                "{} lines of {FILE} are of a kind that this version does not know",
                self.unknown
            ));
        }
        if self.full {
            faults.push(format!("{FILE} holds more than can be shown; its end is left out"));
        }
        Kept::new(self.moments, self.thinned, faults)
    }
}
