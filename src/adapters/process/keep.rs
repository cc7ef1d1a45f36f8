//! What is stored of a command's output: its beginning and its end. A flood of output fills neither memory nor the disk
//! that the journal needs.
//!
//! ```text
//! ├── the beginning, written as it comes ──┤ how much was left out ├── the newest, held in memory until the end ──┤
//! ```

use std::{collections::VecDeque, fs::File, io, io::Write as _};

use nix::sys::statvfs::fstatvfs;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of the beginning.
    pub(super) head: u64,
    /// Bytes of the end, where the beginning is full: held in memory.
    pub(super) tail: usize,
    /// Nothing more is written where the disk has less than this free, or less than a tenth of it; bytes.
    pub(super) spare: u64,
}

impl Limits {
    /// Of a file on disk.
    pub(super) const DISK: Self = Self { head: 252 << 20, tail: 4 << 20, spare: 64 << 20 };
    /// Of a file that is memory.
    pub(super) const MEMORY: Self = Self { head: 16 << 20, tail: 4 << 20, spare: 0 };
}

/// The room on a disk, in bytes.
#[derive(Debug, Clone, Copy)]
struct Disk {
    free: u64,
    size: u64,
}

impl Disk {
    fn of(file: &File) -> Option<Self> {
        let disk = fstatvfs(file).ok()?;
        let block = disk.fragment_size();
        Some(Self { free: disk.blocks_available() * block, size: disk.blocks() * block })
    }
}

/// The free disk space is checked once in this many bytes.
const LOOK_EVERY: u64 = 1 << 20;

/// A file for the output of one command.
#[derive(Debug)]
pub(super) struct Keep {
    file: File,
    limits: Limits,
    disk: fn(&File) -> Option<Disk>,
    /// Bytes in the file.
    written: u64,
    /// Bytes in the file when the free space was last looked at.
    looked: Option<u64>,
    /// The beginning is complete: what follows goes to `tail`.
    full: bool,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Keep {
    pub(super) fn new(file: File, limits: Limits) -> Self {
        let written = file.metadata().map_or(0, |meta| meta.len());
        let tail = VecDeque::new();
        Self { file, limits, disk: Disk::of, written, looked: None, full: false, tail, left_out: 0 }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// Where the file can't be written. Nothing is kept from then on.
    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.full {
            let room = usize::try_from(self.limits.head.saturating_sub(self.written)).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            if self.has_room(now.len()) {
                self.write(now)?;
                if later.is_empty() {
                    return Ok(());
                }
                self.full = true;
                return self.hold(later);
            }
            self.full = true;
        }
        self.hold(bytes)
    }

    /// Whether the disk has room for this many more bytes and for the journal.
    fn has_room(&mut self, more: usize) -> bool {
        if self.looked.is_some_and(|at| self.written - at < LOOK_EVERY) {
            return true;
        }
        self.looked = Some(self.written);
        self.leaves(more, self.limits.spare)
    }

    /// Whether `spare` bytes, or a tenth of a small disk, are free once so many more are written. Where nobody can say,
    /// writing will tell.
    fn leaves(&self, more: usize, spare: u64) -> bool {
        if spare == 0 {
            return true;
        }
        (self.disk)(&self.file).is_none_or(|disk| disk.free >= spare.min(disk.size / 10) + more as u64)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Holds the newest bytes in memory.
    fn hold(&mut self, bytes: &[u8]) -> io::Result<()> {
        let newest = bytes.get(bytes.len().saturating_sub(self.limits.tail)..).unwrap_or_default();
        let over = (self.tail.len() + newest.len()).saturating_sub(self.limits.tail);
        let lost = over as u64 + (bytes.len() - newest.len()) as u64;
        if lost > 0 && self.left_out == 0 {
            // At once: where we are killed, the file says that it is not all.
            self.write(b"\n[cutover: too much output; only the end of what follows is stored]\n")?;
        }
        self.left_out += lost;
        self.tail.drain(..over);
        self.tail.extend(newest);
        Ok(())
    }

    /// The output is over: writes its end. Gives how many bytes were left out.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let mut tail = std::mem::take(&mut self.tail);
        // The end is worth more than the rest: it may take half of what is spared.
        if !self.leaves(tail.len(), self.limits.spare / 2) {
            self.left_out += tail.len() as u64;
            tail.clear();
        }
        if self.left_out > 0 {
            // From the beginning of a line, where there is one.
            let line = tail.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            self.left_out += line as u64;
            tail.drain(..line);
            self.write(format!("[cutover: {} bytes omitted here]\n", self.left_out).as_bytes())?;
        }
        let (first, second) = tail.as_slices();
        self.write(first)?;
        self.write(second)?;
        Ok(self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    const SMALL: Limits = Limits { head: 10, tail: 12, spare: 0 };

    fn kept(limits: Limits, pieces: &[&str]) -> (u64, String) {
        kept_on(Disk::of, limits, pieces)
    }

    fn kept_on(disk: fn(&File) -> Option<Disk>, limits: Limits, pieces: &[&str]) -> (u64, String) {
        let mut file = tempfile::tempfile().unwrap();
        let mut keep = Keep { disk, ..Keep::new(file.try_clone().unwrap(), limits) };
        for piece in pieces {
            keep.add(piece.as_bytes()).unwrap();
        }
        let left_out = keep.finish().unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        (left_out, text)
    }

    #[test]
    fn what_fits_is_kept_as_it_is() {
        assert_eq!(kept(SMALL, &[]), (0, String::new()));
        assert_eq!(kept(SMALL, &["one\n", "two\n"]), (0, "one\ntwo\n".to_owned()));
        // The beginning is full, but nothing is lost yet.
        let all = "one\ntwo\nthree\nfour\n";
        assert_eq!(kept(SMALL, &[all]), (0, all.to_owned()));
        assert_eq!(kept(SMALL, &["one\ntwo\nth", "ree\n", "four\n"]), (0, all.to_owned()));
    }

    #[test]
    fn of_too_much_the_beginning_and_the_end_are_kept_and_the_rest_is_counted() {
        let lines: Vec<String> = (100..200).map(|number| format!("{number}\n")).collect();
        let whole = kept(SMALL, &[&lines.concat()]);
        let by_line: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(kept(SMALL, &by_line), whole, "however it comes");
        let (left_out, text) = whole;
        let (head, rest) = text.split_once("\n[cutover: too much output").unwrap();
        let (note, tail) = rest.split_once("bytes omitted here]\n").unwrap();
        assert_eq!((head, tail), ("100\n101\n10", "198\n199\n"));
        assert_eq!(left_out, 400 - 10 - 8);
        assert!(note.ends_with(&format!("[cutover: {left_out} ")), "{note}");
    }

    #[test]
    fn a_disk_that_is_almost_full_is_left_alone() {
        let limits = Limits { head: 1000, tail: 12, spare: 100 };
        let kept = |disk: fn(&File) -> Option<Disk>| kept_on(disk, limits, &["one\n", "two\n"]);
        let all = (0, "one\ntwo\n".to_owned());
        assert_eq!(kept(|_| None), all, "nobody knows");
        assert_eq!(kept(|_| Some(Disk { free: 104, size: 9000 })), all);
        assert_eq!(kept(|_| Some(Disk { free: 60, size: 9000 })), all, "what is short still fits at the end");
        assert_eq!(kept(|_| Some(Disk { free: 20, size: 100 })), all, "a tenth of a small disk is enough");
        let (left_out, text) = kept(|_| Some(Disk { free: 40, size: 9000 }));
        assert_eq!((left_out, text.as_str()), (8, "[cutover: 8 bytes omitted here]\n"));
    }

    #[test]
    fn the_free_space_is_known() {
        let disk = Disk::of(&tempfile::tempfile().unwrap()).unwrap();
        assert!(disk.free > 0 && disk.free <= disk.size, "{disk:?}");
    }
}
