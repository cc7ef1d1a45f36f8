//! A command's output as lines for a screen: bounded, harmless, and never slower than the command.
//!
//! A [`LineAssembler`] takes bytes as they come and gives styled lines when asked. Only what a line shows is kept:
//! text, the sixteen colours, a rewritten progress bar's last state. Cursor movements over other lines, titles,
//! clipboard writes, device strings and whatever else an escape sequence can ask for are dropped.
//!
//! ```text
//! push: bytes ──► pending, raw (4 MiB at most; of more lines than can be kept the oldest are counted and dropped unread)
//!                    │ asked for lines, or full
//!                    ▼
//!                 text and colours, appended ─────► ring of the last lines ──► since(number)
//!                    │ \r, backspace, erase           ▲
//!                    └───────────► cells ────────────┘
//! ```
//!
//! Work is put off until somebody looks. A flood is therefore only copied and searched for line ends; the lines that
//! nobody could have read are never built.

use std::{collections::VecDeque, mem, sync::Arc};

use memchr::{memchr, memchr_iter, memchr3, memrchr_iter};
use serde::{Deserialize, Serialize};
use vte::Parser;

use self::{line::Line, pen::Pen};
use super::mask::Masker;
use crate::domain::safe_text::{SafeText, Style16, StyledLine};

mod colour;
mod line;
mod pen;

/// Lines kept where no other number is given.
pub const LINES_KEPT: usize = 2_000;

/// Columns of one line that are kept. What comes after them is counted in [`OutputLine::cut`].
pub const COLUMNS_KEPT: usize = 4_096;

/// Raw bytes that may wait for somebody to look.
const PENDING_LIMIT: usize = 4 << 20;

/// Text and styles that the ring may hold, in bytes, so that 2,000 lines of 4,096 coloured columns don't fill the memory.
const RING_BYTES: usize = 16 << 20;

/// Bytes of one escape sequence that are given to the parser, which would keep them all.
const ESCAPE_LIMIT: usize = 8 << 10;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;

/// One finished line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Its place in the output: the first line is 0.
    pub number: u64,
    /// What it shows.
    pub line: StyledLine,
    /// Bytes of text beyond [`COLUMNS_KEPT`] columns that are not in `line`.
    pub cut: u64,
}

/// What a reader has not seen yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The lines that are still there, oldest first.
    pub lines: Vec<OutputLine>,
    /// Lines before them that came too fast and are gone from memory. The file on disk has them.
    pub skipped: u64,
    /// The number to ask for next time.
    pub next: u64,
}

/// Makes lines of bytes. See the module's description.
pub struct LineAssembler {
    keep: usize,
    masker: Option<Arc<Masker>>,
    pending: Vec<u8>,
    /// Line ends in `pending`.
    ends: usize,
    ring: VecDeque<OutputLine>,
    ring_bytes: usize,
    /// Lines ended so far, kept or not.
    total: u64,
    line: Line,
    style: Style16,
    parser: Parser,
    /// Inside an escape sequence: the bytes of it that the parser has had.
    escape: Option<usize>,
}

impl std::fmt::Debug for LineAssembler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineAssembler")
            .field("total", &self.total)
            .field("kept", &self.ring.len())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Default for LineAssembler {
    fn default() -> Self {
        Self::new(LINES_KEPT)
    }
}

impl LineAssembler {
    /// Keeps the last `keep` lines, at least one.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            keep: keep.max(1),
            masker: None,
            pending: Vec::new(),
            ends: 0,
            ring: VecDeque::new(),
            ring_bytes: 0,
            total: 0,
            line: Line::default(),
            style: Style16::default(),
            parser: Parser::new(),
            escape: None,
        }
    }

    /// Masks secrets once more in lines that were put together from pieces: a colour change inside a secret hides it
    /// from the masking of the bytes.
    #[must_use]
    pub fn masking(mut self, masker: Arc<Masker>) -> Self {
        self.masker = Some(masker);
        self
    }

    /// Takes output. Costs a copy; lines are built when asked for.
    pub fn push(&mut self, bytes: &[u8]) {
        // In pieces, so that one huge push needs no more memory than many small ones, and what is counted is still in
        // the processor's cache.
        for piece in bytes.chunks(PENDING_LIMIT / 16) {
            if self.pending.len() + piece.len() > PENDING_LIMIT {
                self.relieve();
            }
            self.pending.extend_from_slice(piece);
            self.ends += memchr_iter(b'\n', piece).count();
            if self.ends > 4 * self.keep {
                self.skip_excess();
            }
        }
    }

    /// The output is over: what has no line end yet becomes the last line.
    pub fn finish(&mut self) {
        self.settle();
        let rest = mem::take(&mut self.pending);
        self.interpret(&rest);
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    /// The lines from `number` on, as far as they are still kept.
    pub fn since(&mut self, number: u64) -> Batch {
        self.settle();
        let first = self.total - self.ring.len() as u64;
        let skipped = first.saturating_sub(number);
        // What was seen already is at the ring's beginning; it holds a few thousand lines at most.
        let seen = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        Batch { lines: self.ring.iter().skip(seen).cloned().collect(), skipped, next: self.total }
    }

    /// The line that has no end yet, as it looks now.
    pub fn current(&mut self) -> Option<StyledLine> {
        self.settle();
        (!self.line.is_empty()).then(|| self.masked(self.line.styled()))
    }

    /// Lines ended so far, kept or not.
    pub fn total(&mut self) -> u64 {
        self.settle();
        self.total
    }

    /// Lines that are gone from memory.
    pub fn dropped(&mut self) -> u64 {
        self.settle();
        self.total - self.ring.len() as u64
    }

    /// Makes room in `pending` for a flood: drops unread what could not be kept anyway, builds the rest only where
    /// the lines are long.
    fn relieve(&mut self) {
        self.skip_excess();
        if self.pending.len() > PENDING_LIMIT / 2 {
            self.settle();
        }
    }

    /// Drops all pending lines but the last `keep`.
    fn skip_excess(&mut self) {
        let Some(excess) = self.ends.checked_sub(self.keep).filter(|excess| *excess > 0) else { return };
        let Some(end) = memrchr_iter(b'\n', &self.pending).nth(self.keep) else { return };
        self.pending.drain(..=end);
        self.ends -= excess;
        // Newer lines will fill the whole ring. A colour set in the lines unread is forgotten with them.
        self.ring.clear();
        self.ring_bytes = 0;
        self.total += excess as u64;
        self.line.clear();
        self.style = Style16::default();
        self.leave_escape();
    }

    /// Makes lines of all that is pending, except for the beginning of a character whose end has not come yet.
    fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.skip_excess();
        let mut pending = mem::take(&mut self.pending);
        self.ends = 0;
        let mut rest = pending.as_slice();
        while let Some(end) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            self.whole_line(line);
            rest = after.get(1..).unwrap_or_default();
        }
        let held = unfinished_character(rest);
        let ready = rest.get(..rest.len() - held).unwrap_or_default();
        self.interpret(ready);
        // The allocation is used again.
        pending.drain(..pending.len() - held);
        self.pending = pending;
    }

    /// The bytes up to a line end.
    fn whole_line(&mut self, bytes: &[u8]) {
        // The return before a line feed rewrites nothing.
        self.interpret(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        self.end_line();
    }

    /// The line is over. So is an escape sequence that was never finished: it must not swallow the lines after it.
    fn end_line(&mut self) {
        self.leave_escape();
        let cut = self.line.cut;
        let line = self.line.take();
        let line = self.masked(line);
        self.keep_line(line, cut);
    }

    /// By lines and by bytes: a program may print one line of a gigabyte.
    fn keep_line(&mut self, line: StyledLine, cut: u64) {
        self.ring_bytes += cost(&line);
        self.ring.push_back(OutputLine { number: self.total, line, cut });
        self.total += 1;
        while self.ring.len() > self.keep || (self.ring_bytes > RING_BYTES && self.ring.len() > 1) {
            if let Some(gone) = self.ring.pop_front() {
                self.ring_bytes -= cost(&gone.line);
            }
        }
    }

    /// A secret may be cut by colours, which a look at bytes would miss: so the plain line is looked at, and loses its
    /// colours where one is found.
    fn masked(&self, line: StyledLine) -> StyledLine {
        match &self.masker {
            Some(masker) if masker.finds(&line.plain()) => StyledLine::from(&*masker.mask(&line.plain())),
            _ => line,
        }
    }

    /// A sequence that does not end would swallow all that follows.
    fn leave_escape(&mut self) {
        if self.escape.take().is_some() {
            self.parser = Parser::new();
        }
    }

    /// Applies bytes without a line feed to the current line.
    fn interpret(&mut self, mut bytes: &[u8]) {
        while let Some(&byte) = bytes.first() {
            let used = if let Some(had) = self.escape {
                self.continue_escape(bytes, had)
            } else {
                match run_of(bytes, is_text) {
                    0 if byte == ESC => {
                        self.escape = Some(0);
                        0
                    }
                    // Padding, which may be all there is.
                    0 if byte == 0 => run_of(bytes, |byte| byte == 0),
                    0 => {
                        self.line.control(byte, self.style);
                        1
                    }
                    run => {
                        self.line.text(bytes.get(..run).unwrap_or_default(), self.style);
                        run
                    }
                }
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Gives the parser its next bytes; returns how many it took.
    fn continue_escape(&mut self, bytes: &[u8], had: usize) -> usize {
        let room = ESCAPE_LIMIT.saturating_sub(had);
        if room == 0 {
            return self.swallow_escape(bytes);
        }
        let mut pen = Pen { line: &mut self.line, style: &mut self.style, done: false };
        let given = bytes.get(..room).unwrap_or(bytes);
        let used = self.parser.advance_until_terminated(&mut pen, given);
        self.escape = if pen.done { None } else { Some(had + used) };
        used
    }

    /// Passes over the rest of a sequence that is too long to be one of ours, up to whatever ends it.
    fn swallow_escape(&mut self, bytes: &[u8]) -> usize {
        match memchr3(BEL, ESC, CAN, bytes) {
            None => bytes.len(),
            Some(end) => {
                self.leave_escape();
                // An escape begins the next sequence, most often the string terminator.
                if bytes.get(end) == Some(&ESC) { end } else { end + 1 }
            }
        }
    }
}

/// Memory that a line takes, near enough for a bound.
fn cost(line: &StyledLine) -> usize {
    line.spans.iter().map(|(_, text)| text.len() + size_of::<(Style16, SafeText)>() + 16).sum::<usize>() + 64
}

/// How many bytes from the beginning are so. Whole blocks of a fixed size without an early exit are what the compiler
/// turns into vector instructions.
fn run_of(bytes: &[u8], so: impl Fn(u8) -> bool) -> usize {
    if bytes.first().is_none_or(|byte| !so(*byte)) {
        return 0;
    }
    let (blocks, _) = bytes.as_chunks::<32>();
    let whole = |block: &&[u8; 32]| block.iter().fold(0, |odd, byte| odd | u8::from(!so(*byte))) == 0;
    let start = blocks.iter().take_while(whole).count() * 32;
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !so(*byte)).unwrap_or(rest.len())
}

/// Neither a control character of ASCII nor DEL. UTF-8 is not looked at.
fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}

/// Bytes at the end that begin a character and don't finish it.
fn unfinished_character(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .rev()
        .find(|held| {
            let tail = bytes.get(bytes.len() - held..).unwrap_or_default();
            matches!(std::str::from_utf8(tail), Err(fault) if fault.valid_up_to() == 0 && fault.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
