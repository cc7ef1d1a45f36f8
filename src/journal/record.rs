//! The bytes of a journal: see the drawing in [`super`].

use serde::{Deserialize, Serialize};

/// The file's name in a run's directory.
pub const FILE: &str = "journal";

/// The version of the format that this program writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of the longest record's payload. An event is a few kilobytes at most.
pub const LONGEST: usize = 16 << 20;

pub(super) const MAGIC: [u8; 8] = *b"CUTOVERJ";

/// Magic, version and length.
pub(super) const HEADER_PREFIX: usize = 16;

/// A header longer than this is none.
pub(super) const LONGEST_HEADER: usize = 64 << 10;

/// A record's first byte. Not zero, and no single flipped bit makes it out of one.
pub(super) const BEGIN: u8 = 0xC7;

/// A record's last byte, for the same reasons.
pub(super) const END: u8 = b'\n';

/// Begin, length, sequence and their checksum.
pub(super) const HEAD: usize = 1 + 4 + 8 + 4;

/// The payload's checksum and the end.
pub(super) const FOOT: usize = 4 + 1;

/// What a journal says of itself, before any record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The run's id.
    pub run_id: String,
    /// The SHA-256 of the runbook as it was opened, in hexadecimal. A run resumes with this one only.
    pub runbook_sha256: String,
    /// The host's boot when the run was opened: processes and monotonic times of another boot mean nothing.
    pub boot_id: String,
}

/// Where the next record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the file's beginning.
    pub offset: u64,
    /// The next record's sequence; the first is 1.
    pub sequence: u64,
    /// The last checksum.
    pub chain: u32,
}

/// The header as it stands in the file, and where the first record goes.
pub(super) fn encode_header(header: &Header) -> serde_json::Result<(Vec<u8>, Position)> {
    let json = serde_json::to_vec(header)?;
    let mut bytes = Vec::with_capacity(HEADER_PREFIX + json.len() + FOOT);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&json);
    let chain = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&chain.to_le_bytes());
    bytes.push(END);
    let position = Position { offset: bytes.len() as u64, sequence: 1, chain };
    Ok((bytes, position))
}

/// Writes a record into `buffer`, in the place of what was in it, and says where the next one goes.
///
/// # Errors
/// Where the payload can't be JSON, or is longer than [`LONGEST`].
pub(super) fn encode<T: Serialize>(
    payload: &T,
    at: Position,
    buffer: &mut Vec<u8>,
) -> serde_json::Result<Position> {
    buffer.clear();
    // The head is filled in once the length is known.
    buffer.resize(HEAD, 0);
    serde_json::to_writer(&mut *buffer, payload)?;
    let length = buffer.len() - HEAD;
    if length > LONGEST {
        return Err(serde::ser::Error::custom(format!(
            "a record of {length} bytes is longer than {LONGEST}"
        )));
    }
    let (head, body) = buffer.split_at_mut(HEAD);
    let chain = seal(head, length, at);
    let chain = crc32c::crc32c_append(chain, body);
    buffer.extend_from_slice(&chain.to_le_bytes());
    buffer.push(END);
    Ok(Position { offset: at.offset + buffer.len() as u64, sequence: at.sequence + 1, chain })
}

/// Fills a record's head and returns its checksum.
fn seal(head: &mut [u8], length: usize, at: Position) -> u32 {
    let mut plain = [0; HEAD - 4];
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let fields = [BEGIN].into_iter().chain(length).chain(at.sequence.to_le_bytes());
    plain.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
    let chain = crc32c::crc32c_append(at.chain, &plain);
    let sealed = plain.into_iter().chain(chain.to_le_bytes());
    head.iter_mut().zip(sealed).for_each(|(place, byte)| *place = byte);
    chain
}
