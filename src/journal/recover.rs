//! Repairs a journal so that it can be continued after its engine died.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::{
    dir::RunDir,
    reader::{ReadError, read},
    record::{FILE, Header, Position},
};

/// A journal that can be continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered<T> {
    /// The header.
    pub header: Header,
    /// The records with their sequence, oldest first.
    pub records: Vec<(u64, T)>,
    /// Where the writer goes on: see [`super::Writer::resume`].
    pub position: Position,
    /// The file beside the journal that now holds a last record that a crash had cut off.
    pub torn: Option<PathBuf>,
}

/// Reads the journal in a run's directory, and cuts off an incomplete last record after saving it beside the journal.
/// The caller holds the run's lock.
///
/// # Errors
/// [`ReadError`]; the journal is unchanged then.
pub fn recover<T: DeserializeOwned>(dir: &Path) -> Result<Recovered<T>, ReadError> {
    let contents = read(dir)?;
    let torn = if contents.torn.is_empty() {
        None
    } else {
        let saved = cut(dir, contents.position.offset, &contents.torn);
        Some(saved.map_err(|source| ReadError::Io { path: dir.to_owned(), source })?)
    };
    Ok(Recovered { header: contents.header, records: contents.records, position: contents.position, torn })
}

/// Saves `torn` durably, and only then shortens the journal to `offset`.
fn cut(dir: &Path, offset: u64, torn: &[u8]) -> io::Result<PathBuf> {
    let dir = RunDir::open(dir)?;
    // A crash here, before the cut, leaves a saved tail and comes by again.
    let mut attempt = 0u32;
    let (name, mut file) = loop {
        let name = if attempt == 0 {
            format!("{FILE}.torn-{offset}")
        } else {
            format!("{FILE}.torn-{offset}.{attempt}")
        };
        match dir.create_file(&name) {
            Ok(file) => break (name, file),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists && attempt < 1_000 => attempt += 1,
            Err(fault) => return Err(fault),
        }
    };
    file.write_all(torn)?;
    file.sync_all()?;
    dir.sync()?;
    let journal = dir.write_file(FILE)?;
    journal.set_len(offset)?;
    journal.sync_all()?;
    Ok(dir.join(&name))
}
