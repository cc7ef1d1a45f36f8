//! The file that is written: appended to, and thinned out when it is full.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use super::{
    format::{
        FILE, HEAD, Head, Header, LONGEST, LONGEST_BLOCK, decode_block, decode_header, encode_block,
        encode_header, moments,
    },
    reader::next_block,
};
use crate::{
    domain::{
        kept::{GRIDS, Moment, Seen, thin},
        time::Span,
    },
    failpoint,
    journal::dir::RunDir,
};

/// The file while it is thinned out: it takes the old one's place when it is whole.
const NEXT: &str = "samples.cut.next";

/// Lines are gathered to so many bytes before they are thinned out together.
const BATCH: usize = 1 << 20;

/// How much a file may hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the file. While it is thinned out there are two, so this is half of what it may take on the disk.
    pub bytes: u64,
    /// Bytes of its lines unpacked: what a reader has to go through.
    pub plain: u64,
    /// Moments: what a reader has to remember.
    pub moments: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: 32 << 20, plain: 96 << 20, moments: 300_000 }
    }
}

/// How much is in a file.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    bytes: u64,
    plain: u64,
    moments: u64,
}

impl Held {
    fn add(&mut self, head: Head) {
        self.bytes += head.length() as u64;
        self.plain += u64::from(head.plain);
        self.moments += u64::from(head.moments);
    }

    /// Whether it is at most `part` quarters of the bounds.
    fn is_within(&self, bounds: Bounds, part: u64) -> bool {
        let within = |held: u64, most: u64| held <= most / 4 * part;
        within(self.bytes, bounds.bytes)
            && within(self.plain, bounds.plain)
            && within(self.moments, bounds.moments)
    }
}

/// A run's file of samples, open for appending.
#[derive(Debug)]
pub struct Store {
    dir: RunDir,
    pub(super) file: File,
    seed: u32,
    /// Where the first block begins.
    first: u64,
    held: Held,
    bounds: Bounds,
    /// The most bytes that it has ever had on the disk, both files together.
    #[cfg(test)]
    pub(super) most: u64,
}

impl Store {
    /// Opens the file of a run, making it where it is missing, and takes a torn end away. Gives the moments that it holds to
    /// `known`, block by block.
    ///
    /// # Errors
    /// Where the directory or file is refused, the disk fails, or the file is not one of this run and version: it is left as
    /// it is then.
    pub fn open(
        dir: &Path,
        run_id: &str,
        bounds: Bounds,
        known: &mut dyn FnMut(Vec<Moment>),
    ) -> io::Result<Self> {
        let dir = RunDir::open(dir)?;
        // What an engine left that died while it thinned out.
        remove(&dir, NEXT)?;
        let mut file = dir.open_file(FILE)?;
        let mut bytes = Vec::new();
        (&mut file).take(LONGEST).read_to_end(&mut bytes)?;
        let (header, seed) = encode_header(&Header { run_id: run_id.to_owned() })?;
        let first = header.len();
        if bytes.len() < first && header.starts_with(&bytes) {
            // New, or an engine died over its first bytes.
            file.set_len(0)?;
            file.write_all_at(&header, 0)?;
            let held = Held { bytes: first as u64, ..Held::default() };
            return Ok(Self::new(dir, file, seed, first, held, bounds));
        }
        match decode_header(&bytes) {
            Ok((found, ..)) if found.run_id == run_id => {}
            Ok((found, ..)) => {
                return Err(io::Error::other(format!(
                    "{FILE} holds samples of another run: {}",
                    found.run_id
                )));
            }
            Err(_) => return Err(io::Error::other(format!("{FILE} is damaged, or of another version"))),
        }
        let mut held = Held { bytes: first as u64, ..Held::default() };
        let mut at = first;
        while let Some((start, head)) = next_block(&bytes, at, seed) {
            held.add(head);
            at = start + head.length();
            if let Ok(lines) = decode_block(head, bytes.get(start..at).unwrap_or_default()) {
                known(moments(&lines).0);
            }
        }
        // Damage between blocks stays where it is, and counts.
        held.bytes = at as u64;
        file.set_len(held.bytes)?;
        Ok(Self::new(dir, file, seed, first, held, bounds))
    }

    fn new(dir: RunDir, file: File, seed: u32, first: usize, held: Held, bounds: Bounds) -> Self {
        Self {
            dir,
            file,
            seed,
            first: first as u64,
            held,
            bounds,
            #[cfg(test)]
            most: held.bytes,
        }
    }

    /// Appends lines, of so many moments. Where the file would be too full it is thinned out first.
    ///
    /// # Errors
    /// The disk's. Nothing of these lines is in the file then, and it can be tried again.
    pub fn append(&mut self, lines: &[u8], moments: usize) -> io::Result<()> {
        if lines.len() > LONGEST_BLOCK {
            return Err(io::Error::other("it is too long"));
        }
        let block = encode_block(lines, moments, Span::ZERO, self.seed)?;
        let mut full = self.held;
        full.bytes += block.len() as u64;
        full.plain += lines.len() as u64;
        full.moments += moments as u64;
        if !full.is_within(self.bounds, 4) {
            self.thin_out()?;
        }
        failpoint::hit("samples.write")?;
        self.file.write_all_at(&block, self.held.bytes)?;
        if let Some(head) = Head::decode(&block, self.seed) {
            self.held.add(head);
        }
        Ok(())
    }

    /// Makes room for a quarter of the file: its older half goes to the finest grid that brings that, the oldest part of it to
    /// coarser ones. Where no grid brings it, the oldest goes.
    fn thin_out(&mut self) -> io::Result<()> {
        for finest in 0..GRIDS.len() {
            let held = self.held.bytes;
            let grid = |index: usize| GRIDS.get(index).or(GRIDS.last()).copied().map(Change::Thin);
            self.rewrite(|start| match start {
                _ if start < held / 8 => grid(finest + 2),
                _ if start < held / 4 => grid(finest + 1),
                _ if start < held / 2 => grid(finest),
                _ => None,
            })?;
            if self.held.is_within(self.bounds, 3) {
                return Ok(());
            }
        }
        while !self.held.is_within(self.bounds, 3) {
            let held = self.held.bytes;
            self.rewrite(|start| (start < held / 4).then_some(Change::Drop))?;
            if self.held.bytes >= held {
                return Err(io::Error::other("it can't be thinned out any more"));
            }
        }
        Ok(())
    }

    /// Writes the file anew; what becomes of a block is said by where it begins. Takes the memory of one batch.
    fn rewrite(&mut self, change: impl Fn(u64) -> Option<Change>) -> io::Result<()> {
        remove(&self.dir, NEXT)?;
        let written = self.write_next(change).and_then(|next| {
            std::fs::rename(self.dir.join(NEXT), self.dir.join(FILE))?;
            Ok(next)
        });
        match written {
            Ok(next) => {
                self.file = next.file;
                self.held = next.held;
                Ok(())
            }
            Err(why) => {
                // Where the disk is full, the journal needs what this has taken.
                let _ = remove(&self.dir, NEXT);
                Err(why)
            }
        }
    }

    /// The file that is to take this one's place.
    fn write_next(&mut self, change: impl Fn(u64) -> Option<Change>) -> io::Result<Next> {
        let mut next = Next::new(self.dir.create_file(NEXT)?, self.seed);
        let mut header = vec![0; usize::try_from(self.first).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut header, 0)?;
        next.raw(&header)?;
        let mut at = self.first;
        while let Some((start, head)) = self.block_from(at)? {
            let mut block = vec![0; head.length()];
            self.file.read_exact_at(&mut block, start)?;
            at = start + block.len() as u64;
            let change = match change(start) {
                // It is on such a grid already, or on a coarser one.
                Some(Change::Thin(grid)) if grid.as_millis() <= u64::from(head.grid) => None,
                change => change,
            };
            if let Some(change) = change {
                if let Ok(lines) = decode_block(head, &block) {
                    next.gather(change, moments(&lines).0, lines.len())?;
                }
            } else {
                next.finish_batch()?;
                next.raw(&block)?;
                next.held.plain += u64::from(head.plain);
                next.held.moments += u64::from(head.moments);
            }
        }
        next.finish_batch()?;
        #[cfg(test)]
        {
            self.most = self.most.max(self.held.bytes + next.held.bytes);
        }
        Ok(next)
    }

    /// The next block's head from here on, past damage.
    fn block_from(&self, from: u64) -> io::Result<Option<(u64, Head)>> {
        let mut at = from;
        let mut bytes = [0; HEAD];
        while at + HEAD as u64 <= self.held.bytes {
            self.file.read_exact_at(&mut bytes, at)?;
            if let Some(head) = Head::decode(&bytes, self.seed)
                && at + head.length() as u64 <= self.held.bytes
            {
                return Ok(Some((at, head)));
            }
            at += 1;
        }
        Ok(None)
    }
}

/// What becomes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It goes to this grid.
    Thin(Span),
    /// It goes.
    Drop,
}

/// The file that takes the old one's place.
struct Next {
    file: File,
    held: Held,
    seed: u32,
    /// What was gathered of blocks that change alike, and their length unpacked.
    batch: Vec<Moment>,
    gathered: usize,
    change: Change,
}

impl Next {
    fn new(file: File, seed: u32) -> Self {
        Self { file, held: Held::default(), seed, batch: Vec::new(), gathered: 0, change: Change::Drop }
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        failpoint::hit("samples.write")?;
        self.file.write_all_at(bytes, self.held.bytes)?;
        self.held.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Takes a block that changes to those that change in the same way.
    fn gather(&mut self, change: Change, moments: Vec<Moment>, length: usize) -> io::Result<()> {
        if self.change != change || self.gathered >= BATCH {
            self.finish_batch()?;
        }
        self.change = change;
        self.batch.extend(moments);
        self.gathered += length;
        Ok(())
    }

    fn finish_batch(&mut self) -> io::Result<()> {
        self.gathered = 0;
        let batch = std::mem::take(&mut self.batch);
        let (moments, grid) = match self.change {
            Change::Thin(grid) => (thin(batch, grid), grid),
            Change::Drop => (lost(&batch), Span::ZERO),
        };
        if moments.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for moment in &moments {
            serde_json::to_writer(&mut lines, moment)?;
            lines.push(b'\n');
        }
        let block = encode_block(&lines, moments.len(), grid, self.seed)?;
        self.raw(&block)?;
        self.held.plain += lines.len() as u64;
        self.held.moments += moments.len() as u64;
        Ok(())
    }
}

/// What is said in the place of moments that have no room at all.
fn lost(moments: &[Moment]) -> Vec<Moment> {
    let times = || moments.iter().map(|moment| moment.at);
    let Some((from, until)) = times().min().zip(times().max()) else { return Vec::new() };
    let count = |moment: &Moment| match &moment.seen {
        Seen::Lost { moments, .. } => *moments,
        _ => 1,
    };
    let moments = moments.iter().map(count).sum();
    vec![Moment { at: from, seen: Seen::Lost { moments, until, why: "the file was full".to_owned() } }]
}

fn remove(dir: &RunDir, name: &str) -> io::Result<()> {
    match std::fs::remove_file(dir.join(name)) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
        _ => Ok(()),
    }
}
