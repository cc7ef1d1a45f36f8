//! Reads a journal without changing it, even while it is being written.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::{
    dir::RunDir,
    record::{
        BEGIN, END, FILE, FOOT, FORMAT_VERSION, HEAD, HEADER_PREFIX, Header, LONGEST, LONGEST_HEADER, MAGIC,
        Position,
    },
};

/// Why a journal can't be used. In every case the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file or its directory can't be opened safely, or not be read.
    #[error("the journal in {} can't be read: {source}", path.display())]
    Io {
        /// The run's directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is some other file.
    #[error("this is not a cutover journal")]
    Foreign,
    /// A later version of this program wrote it.
    #[error(
        "the journal has format {found}, but this version reads {FORMAT_VERSION}: use the version of cutover \
         that wrote it"
    )]
    Newer {
        /// Its version.
        found: u32,
    },
    /// The process died while it made the file. Nothing was run.
    #[error("the journal's header is incomplete: the run never started")]
    Unstarted,
    /// Bytes changed after they were written, or are missing from the middle.
    #[error("the journal is damaged at byte {offset}: {why}")]
    Corrupt {
        /// Where, from the file's beginning.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// An intact record that this program doesn't understand.
    #[error("record {sequence} of the journal can't be decoded: {why}")]
    Unreadable {
        /// Which.
        sequence: u64,
        /// The reason.
        why: String,
    },
}

/// All that a journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents<T> {
    /// The header.
    pub header: Header,
    /// The records with their sequence, oldest first.
    pub records: Vec<(u64, T)>,
    /// Where the next record would go.
    pub position: Position,
    /// The bytes of a last record that is not complete: cut off by a crash, or just being written. Empty otherwise.
    pub torn: Vec<u8>,
}

/// Looks at a journal that seems corrupt before it is called so.
const LOOKS: u32 = 10;

/// Reads the journal in a run's directory. An engine may be writing to it meanwhile: bytes that are just being written
/// arrive in any order, so damage counts only where it stands still.
///
/// # Errors
/// See [`ReadError`].
pub fn read<T: DeserializeOwned>(dir: &Path) -> Result<Contents<T>, ReadError> {
    settled(|| load(dir))
}

fn load(dir: &Path) -> Result<Vec<u8>, ReadError> {
    let load = || -> io::Result<Vec<u8>> {
        let mut file = RunDir::open(dir)?.read_file(FILE)?;
        let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    load().map_err(|source| ReadError::Io { path: dir.to_owned(), source })
}

/// What the bytes say once they say it twice.
pub(super) fn settled<T: DeserializeOwned>(
    mut load: impl FnMut() -> Result<Vec<u8>, ReadError>,
) -> Result<Contents<T>, ReadError> {
    let mut bytes = load()?;
    for _ in 1..LOOKS {
        match parse(&bytes) {
            Err(corrupt @ ReadError::Corrupt { .. }) => {
                let again = load()?;
                if again == bytes {
                    return Err(corrupt);
                }
                bytes = again;
            }
            read => return read,
        }
    }
    parse(&bytes)
}

/// Reads what is intact of the journal in a run's directory: everything up to the first damage, and that. For whoever tells of a
/// run; nothing is ever continued from here.
///
/// # Errors
/// Where not even its beginning can be read.
pub fn salvage<T: DeserializeOwned>(dir: &Path) -> Result<(Contents<T>, Option<ReadError>), ReadError> {
    match read(dir) {
        Ok(contents) => Ok((contents, None)),
        Err(ReadError::Corrupt { .. } | ReadError::Unreadable { .. }) => intact(&load(dir)?),
        Err(fault) => Err(fault),
    }
}

/// Reads a whole journal from its bytes.
///
/// # Errors
/// See [`ReadError`].
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<Contents<T>, ReadError> {
    let (contents, fault) = intact(bytes)?;
    fault.map_or(Ok(contents), Err)
}

/// Reads a journal from its bytes up to the first damage.
pub(super) fn intact<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<(Contents<T>, Option<ReadError>), ReadError> {
    let (header, mut position) = parse_header(bytes)?;
    // An event is a few hundred bytes.
    let mut records = Vec::with_capacity(bytes.len() / 256);
    let mut rest = bytes.get(to_index(position.offset)..).unwrap_or_default();
    let (torn, fault) = loop {
        match next(rest, position) {
            Ok(Found::Record { payload, following }) => {
                let sequence = position.sequence;
                match serde_json::from_slice(payload) {
                    Ok(payload) => records.push((sequence, payload)),
                    Err(fault) => {
                        break (Vec::new(), Some(ReadError::Unreadable { sequence, why: fault.to_string() }));
                    }
                }
                rest = rest.get(to_index(following.offset - position.offset)..).unwrap_or_default();
                position = following;
            }
            Ok(Found::End) => break (Vec::new(), None),
            Ok(Found::Torn) => break (written(rest).to_vec(), None),
            Err(fault) => break (Vec::new(), Some(fault)),
        }
    };
    Ok((Contents { header, records, position, torn }, fault))
}

fn to_index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn parse_header(bytes: &[u8]) -> Result<(Header, Position), ReadError> {
    let corrupt = |why: &str| ReadError::Corrupt { offset: 0, why: why.to_owned() };
    // An empty or zeroed file, or the beginning of a header, was never finished. Anything else is not ours.
    let begun = written(bytes);
    if begun.len() < HEADER_PREFIX && (MAGIC.starts_with(begun) || begun.starts_with(&MAGIC)) {
        return Err(ReadError::Unstarted);
    }
    if !bytes.starts_with(&MAGIC) {
        return Err(ReadError::Foreign);
    }
    // Before the checksum: another version may have another layout.
    match u32_at(bytes, 8) {
        Some(FORMAT_VERSION) => {}
        Some(found) if found > FORMAT_VERSION => return Err(ReadError::Newer { found }),
        _ => return Err(corrupt("unknown format version")),
    }
    let length = u32_at(bytes, 12).map_or(usize::MAX, |length| to_index(length.into()));
    if length > LONGEST_HEADER {
        return Err(corrupt("the header's length is not valid"));
    }
    let end = HEADER_PREFIX + length;
    let whole = end + FOOT;
    let (Some(covered), Some(sum), Some(&last)) =
        (bytes.get(..end), u32_at(bytes, end), bytes.get(whole - 1))
    else {
        return Err(ReadError::Unstarted);
    };
    if last == 0 && begun.len() < whole {
        return Err(ReadError::Unstarted);
    }
    let chain = crc32c::crc32c(covered);
    if chain != sum || last != END {
        return Err(corrupt("the header's checksum is wrong"));
    }
    let header = serde_json::from_slice(covered.get(HEADER_PREFIX..).unwrap_or_default())
        .map_err(|fault| corrupt(&format!("the header can't be decoded: {fault}")))?;
    Ok((header, Position { offset: whole as u64, sequence: 1, chain }))
}

/// What stands at a position.
enum Found<'a> {
    Record {
        payload: &'a [u8],
        following: Position,
    },
    /// Nothing but zeros.
    End,
    /// A record that was not written to its end.
    Torn,
}

fn next(rest: &[u8], at: Position) -> Result<Found<'_>, ReadError> {
    let corrupt = |offset: usize, why: &str| ReadError::Corrupt {
        offset: at.offset + offset as u64,
        why: why.to_owned(),
    };
    match rest.first() {
        None => return Ok(Found::End),
        Some(0) if written(rest).is_empty() => return Ok(Found::End),
        Some(&BEGIN) => {}
        Some(_) => return Err(corrupt(0, "no record starts here")),
    }
    let (Some(covered), Some(sum)) = (rest.get(..HEAD - 4), u32_at(rest, HEAD - 4)) else {
        return Ok(Found::Torn);
    };
    let chain = crc32c::crc32c_append(at.chain, covered);
    if chain != sum {
        // A head that was not finished has nothing but zeros after it.
        return if written(rest).len() < HEAD {
            Ok(Found::Torn)
        } else {
            Err(corrupt(0, "the checksum of the record's head is wrong"))
        };
    }
    let length = u32_at(rest, 1).map_or(usize::MAX, |length| to_index(length.into()));
    let sequence = rest.get(5..13).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    if sequence != Some(at.sequence) {
        return Err(corrupt(5, "a record is missing before this one"));
    }
    if length > LONGEST {
        return Err(corrupt(1, "the record's length is not valid"));
    }
    let whole = HEAD + length + FOOT;
    let Some(&end) = rest.get(whole - 1) else { return Ok(Found::Torn) };
    if end == 0 && written(rest).len() < whole {
        return Ok(Found::Torn);
    }
    let payload = rest.get(HEAD..HEAD + length).unwrap_or_default();
    let chain = crc32c::crc32c_append(chain, payload);
    if Some(chain) != u32_at(rest, HEAD + length) {
        return Err(corrupt(HEAD, "the record's checksum is wrong"));
    }
    if end != END {
        return Err(corrupt(whole - 1, "the record has no end"));
    }
    let following = Position { offset: at.offset + whole as u64, sequence: at.sequence + 1, chain };
    Ok(Found::Record { payload, following })
}

/// The bytes without the zeros at their end. What is reserved on the disk is megabytes of them: they are passed by the page.
fn written(bytes: &[u8]) -> &[u8] {
    const PAGE: [u8; 4096] = [0; 4096];
    let mut rest = bytes;
    while let Some((before, &PAGE)) = rest.split_last_chunk() {
        rest = before;
    }
    let end = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
