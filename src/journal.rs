//! The write-ahead log of a run.
//!
//! A run is its events; this is where they last. One append-only file a run, in a directory that is ours alone. What
//! is about to be done is written and synced before it is done, so that a crash leaves an intent without a result,
//! never a result without an intent.
//!
//! ```text
//! header   "CUTOVERJ" | version u32 | length u32 | JSON | CRC32C of all before | 0x0A
//! record   0xC7 | length u32 | sequence u64 | CRC32C | JSON | CRC32C | 0x0A
//! …        the next record
//! tail     zeros: space taken in advance, so that a rollback's records fit on a disk that is full by then
//! ```
//!
//! Numbers are little-endian. Each checksum continues the one before it, from the header on, so a record fits in no
//! other place and no other journal. The first checksum of a record covers its length: a damaged length can't pass for
//! a record that was cut off. The last byte tells a record that was written to its end from one that was not.
//!
//! Beside it, in [`samples`], is kept what screens were shown: lossy, and never needed to go on.
//!
//! Of the ways a file can be wrong, one is normal: a crash cut off the last record. [`recover()`] saves those bytes and
//! takes them away. Everything else is damage, and a damaged journal is never changed and never resumed.

pub mod dir;
pub mod lock;
pub mod reader;
pub mod record;
pub mod recover;
pub mod samples;
pub mod writer;

pub use dir::RunDir;
pub use lock::{Holder, Lock, LockError};
pub use reader::{Contents, ReadError, parse, read, salvage};
pub use record::{FORMAT_VERSION, Header, Position};
pub use recover::{Recovered, recover};
pub use samples::Samples;
pub use writer::{Disk, Writer};

#[cfg(test)]
mod tests;
