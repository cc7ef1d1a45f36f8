//! The bytes of the file: its header and its blocks.

use std::io::{self, Read as _, Write as _};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize};

use crate::domain::{kept::Moment, time::Span};

/// Its name in a run's directory.
pub const FILE: &str = "samples.cut";

/// The format that this program writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// A file longer than this is not read to its end.
pub(super) const LONGEST: u64 = 64 << 20;

/// Bytes of the longest block, unpacked.
pub(super) const LONGEST_BLOCK: usize = 4 << 20;

/// What is read unpacked altogether, at most.
pub(super) const MOST_PLAIN: u64 = 256 << 20;

/// Moments that are read at most.
pub(super) const MOST_MOMENTS: u64 = 1 << 20;

const MAGIC: [u8; 8] = *b"CUTOVERS";

/// Magic, version and length.
const PREFIX: usize = 16;

/// A header longer than this is none.
const LONGEST_HEADER: usize = 4096;

/// A block's first byte.
const BEGIN: u8 = 0xB5;

/// The last byte of a block and of the header.
const END: u8 = b'\n';

/// Begin, four numbers and their checksum.
pub(super) const HEAD: usize = 1 + 4 * 4 + 4;

/// The packed bytes' checksum and the end.
pub(super) const FOOT: usize = 4 + 1;

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The run's id.
    pub(super) run_id: String,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// The file ends in it.
    Short,
    /// It is some other file, or damaged.
    Foreign,
    /// A later version wrote it.
    Newer(u32),
}

/// A header as it stands in the file, and its checksum.
pub(super) fn encode_header(header: &Header) -> io::Result<(Vec<u8>, u32)> {
    let json = serde_json::to_vec(header)?;
    if json.len() > LONGEST_HEADER {
        return Err(io::Error::other("the run's id is too long"));
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend(number(json.len()));
    bytes.extend(json);
    let seed = crc32c::crc32c(&bytes);
    bytes.extend(seed.to_le_bytes());
    bytes.push(END);
    Ok((bytes, seed))
}

/// The header with its checksum, and where the first block begins.
pub(super) fn decode_header(bytes: &[u8]) -> Result<(Header, u32, usize), BadHeader> {
    let magic = bytes.get(..MAGIC.len()).ok_or(BadHeader::Short)?;
    if magic != MAGIC {
        return Err(BadHeader::Foreign);
    }
    let version = read_number(bytes, 8).ok_or(BadHeader::Short)?;
    if version != FORMAT_VERSION {
        return Err(BadHeader::Newer(version));
    }
    let length = read_number(bytes, 12).ok_or(BadHeader::Short)? as usize;
    if length > LONGEST_HEADER {
        return Err(BadHeader::Foreign);
    }
    let end = PREFIX + length;
    let covered = bytes.get(..end).ok_or(BadHeader::Short)?;
    let seed = read_number(bytes, end).ok_or(BadHeader::Short)?;
    let last = *bytes.get(end + 4).ok_or(BadHeader::Short)?;
    let json = covered.get(PREFIX..).unwrap_or_default();
    if crc32c::crc32c(covered) != seed || last != END {
        return Err(BadHeader::Foreign);
    }
    let header = serde_json::from_slice(json).map_err(|_| BadHeader::Foreign)?;
    Ok((header, seed, end + FOOT))
}

/// A block without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Packed bytes.
    pub(super) packed: u32,
    /// Unpacked bytes.
    pub(super) plain: u32,
    /// Moments.
    pub(super) moments: u32,
    /// Milliseconds of the grid it was thinned to; 0 where it was not.
    pub(super) grid: u32,
}

impl Head {
    /// Bytes of the whole block in the file.
    pub(super) fn length(self) -> usize {
        HEAD + self.packed as usize + FOOT
    }

    /// The head at the beginning of `bytes`; none where there is none.
    pub(super) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let covered = bytes.get(..HEAD - 4)?;
        if covered.first() != Some(&BEGIN)
            || read_number(bytes, HEAD - 4)? != crc32c::crc32c_append(seed, covered)
        {
            return None;
        }
        Some(Self {
            packed: read_number(bytes, 1)?,
            plain: read_number(bytes, 5)?,
            moments: read_number(bytes, 9)?,
            grid: read_number(bytes, 13)?,
        })
    }
}

/// A block of lines as it stands in the file.
pub(super) fn encode_block(lines: &[u8], moments: usize, grid: Span, seed: u32) -> io::Result<Vec<u8>> {
    let mut packer = DeflateEncoder::new(vec![0; HEAD], Compression::default());
    packer.write_all(lines)?;
    let mut block = packer.finish()?;
    let packed = block.len() - HEAD;
    let grid = u32::try_from(grid.as_millis()).unwrap_or(u32::MAX);
    let mut head = vec![BEGIN];
    head.extend([number(packed), number(lines.len()), number(moments), grid.to_le_bytes()].concat());
    head.extend(crc32c::crc32c_append(seed, &head).to_le_bytes());
    block.iter_mut().zip(head).for_each(|(place, byte)| *place = byte);
    let sum = crc32c::crc32c(block.get(HEAD..).unwrap_or_default());
    block.extend(sum.to_le_bytes());
    block.push(END);
    Ok(block)
}

/// A block's lines, out of all its bytes.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn decode_block(head: Head, block: &[u8]) -> Result<Vec<u8>, &'static str> {
    let packed = block.get(HEAD..HEAD + head.packed as usize).ok_or("it is cut off")?;
    if read_number(block, HEAD + packed.len()) != Some(crc32c::crc32c(packed)) {
        return Err("its checksum is wrong");
    }
    let plain = head.plain as usize;
    if plain > LONGEST_BLOCK {
        return Err("it is too long");
    }
    let mut lines = Vec::with_capacity(plain);
    // One byte more than it should have tells one that has more.
    let most = u64::from(head.plain) + 1;
    DeflateDecoder::new(packed).take(most).read_to_end(&mut lines).map_err(|_| "it can't be unpacked")?;
    if lines.len() == plain { Ok(lines) } else { Err("its length is wrong") }
}

/// The moments of a block's lines, and how many lines are none that this version knows.
pub(super) fn moments(lines: &[u8]) -> (Vec<Moment>, u64) {
    let (mut moments, mut unknown) = (Vec::new(), 0);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(moment) => moments.push(moment),
            Err(_) => unknown += 1,
        }
    }
    (moments, unknown)
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn read_number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
