//! What a run's screens were shown, kept beside its journal for replays and reports.
//!
//! Unlike the journal it is lossy: written by a thread of its own, behind a queue that never makes the engine wait, and never
//! synced. What can't be kept is counted, and the file says so.
//!
//! ```text
//! header   "CUTOVERS" | version u32 | length u32 | JSON | CRC32C of all before | 0x0A
//! block    0xB5 | packed u32 | plain u32 | moments u32 | grid u32 | CRC32C | deflate | CRC32C | 0x0A
//! …        the next block
//! ```
//!
//! Numbers are little-endian. A block's first checksum goes on from the header's and covers the lengths, its second covers the
//! packed bytes; `plain` is their length unpacked: lines of JSON, a [`Moment`] each. `grid` is 0 where everything is there, else
//! the milliseconds of which only the lowest and the highest values stay (see [`thin`]). Times never overlap much, but a block's
//! moments need not all be later than those of the one before.
//!
//! The file is thinned out when it is full, oldest blocks first, each time to a coarser grid: see `store`. With the new file
//! that this needs for a moment it takes at most 64 MiB. A crash cuts off the last block, nothing else; [`Store::open`] takes
//! the torn bytes away. A block that is damaged is left out, and that is said.
//!
//! [`Moment`]: crate::domain::kept::Moment
//! [`thin`]: crate::domain::kept::thin()

mod format;
mod keeper;
mod reader;
mod store;
#[cfg(test)]
mod tests;

pub use format::{FILE, FORMAT_VERSION};
pub use keeper::{Mask, Samples};
pub use reader::{SamplesError, parse, read};
pub use store::{Bounds, Store};
