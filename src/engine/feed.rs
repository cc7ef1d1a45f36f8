//! The output of a command as lines for a screen: bounded, harmless, and never slower than the command.
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
use unicode_width::UnicodeWidthChar;
use vte::{Params, Parser, Perform};

use super::mask::Masker;
use crate::domain::safe_text::{SafeText, Style16, StyledLine};

/// Lines kept where no other number is given.
pub const LINES_KEPT: usize = 2_000;

/// Columns of one line that are kept. What comes after them is counted in [`OutputLine::cut`].
pub const COLUMNS_KEPT: usize = 4_096;

/// Raw bytes that may wait for somebody to look.
const PENDING_LIMIT: usize = 4 << 20;

/// Text and styles that the ring may hold, in bytes, so that 2,000 lines of 4,096 coloured columns don't fill the memory.
const RING_BYTES: usize = 16 << 20;

/// Changes of style within a line; text after so many keeps the last one.
const SPANS_PER_LINE: usize = 256;

/// Characters without a column of their own that are kept of one line.
const JOINED_PER_LINE: usize = COLUMNS_KEPT;

/// Bytes of one escape sequence that are given to the parser, which would keep them all.
const ESCAPE_LIMIT: usize = 8 << 10;

const TAB_STOP: usize = 8;
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

    fn masked(&self, line: StyledLine) -> StyledLine {
        match &self.masker {
            Some(masker) if masker.finds(&line.plain()) => StyledLine::from(&*masker.mask(&line.plain())),
            _ => line,
        }
    }

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
        let mut screen = Screen { line: &mut self.line, style: &mut self.style, done: false };
        let given = bytes.get(..room).unwrap_or(bytes);
        let used = self.parser.advance_until_terminated(&mut screen, given);
        self.escape = if screen.done { None } else { Some(had + used) };
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

/// A style in which text can be read: a foreground equal to the background would hide it.
fn visible(style: Style16) -> Style16 {
    if style.fg.is_some() && style.fg == style.bg { Style16 { bg: None, ..style } } else { style }
}

/// One column of a line that is being rewritten.
#[derive(Debug, Clone)]
struct Cell {
    c: char,
    style: Style16,
    /// Characters without a column of their own that follow `c`. Nearly always none.
    joined: String,
}

/// Stands in the second column of a wide character. NUL is never text: [`Line::control`] drops it.
const WIDE_REST: char = '\0';

impl Cell {
    fn new(c: char, style: Style16) -> Self {
        Self { c, style, joined: String::new() }
    }
}

/// The line being written, as a terminal would hold it.
///
/// Most lines are only appended to, and are held as the spans they will become. The first step back turns them into
/// cells.
#[derive(Debug, Default)]
struct Line {
    spans: Vec<(Style16, String)>,
    cells: Vec<Cell>,
    /// `cells` hold the line, not `spans`.
    rewriting: bool,
    /// The column that the next character goes to, at most [`COLUMNS_KEPT`].
    at: usize,
    joined: usize,
    cut: u64,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.cells.is_empty() && self.cut == 0
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.cells.clear();
        self.rewriting = false;
        self.at = 0;
        self.joined = 0;
        self.cut = 0;
    }

    /// Text without control characters of ASCII; what is not UTF-8 becomes U+FFFD.
    fn text(&mut self, mut bytes: &[u8], style: Style16) {
        while !bytes.is_empty() && self.at < COLUMNS_KEPT {
            let ascii = run_of(bytes, |byte| byte.is_ascii()).min(COLUMNS_KEPT - self.at);
            let other = if ascii == 0 { run_of(bytes, |byte| !byte.is_ascii()) } else { 0 };
            let (now, rest) = bytes.split_at(ascii + other);
            bytes = rest;
            if other == 0 {
                self.put_ascii(now, style);
                continue;
            }
            for chunk in now.utf8_chunks() {
                for c in chunk.valid().chars() {
                    self.put(c, c.len_utf8(), style);
                }
                if !chunk.invalid().is_empty() {
                    self.put(char::REPLACEMENT_CHARACTER, chunk.invalid().len(), style);
                }
            }
        }
        self.cut += bytes.len() as u64;
    }

    /// Visible ASCII that fits.
    fn put_ascii(&mut self, bytes: &[u8], style: Style16) {
        let end = self.at + bytes.len();
        if self.rewriting {
            self.fill(style);
            self.part_wide(self.at);
            self.part_wide(end);
            for (at, byte) in (self.at..).zip(bytes) {
                self.set(at, Cell::new(char::from(*byte), style));
            }
        } else {
            // Always valid: it is ASCII.
            self.span(style).push_str(std::str::from_utf8(bytes).unwrap_or_default());
        }
        self.at = end;
    }

    /// One character, made of `size` bytes of output.
    fn put(&mut self, c: char, size: usize, style: Style16) {
        // Control characters will be spelled out; they take a column like any visible character.
        let columns = c.width().unwrap_or(1);
        let joins = columns == 0 && self.at > 0;
        let columns = columns.max(1);
        let fits = if joins {
            self.at < COLUMNS_KEPT && self.joined < JOINED_PER_LINE
        } else {
            self.at + columns <= COLUMNS_KEPT
        };
        if !fits {
            self.cut += size as u64;
            if !joins {
                self.at = COLUMNS_KEPT;
            }
        } else if !self.rewriting {
            self.span(style).push(c);
            if joins { self.joined += 1 } else { self.at += columns }
        } else if joins {
            self.join(c, style);
        } else {
            self.fill(style);
            self.part_wide(self.at);
            self.part_wide(self.at + columns);
            self.set(self.at, Cell::new(c, style));
            for rest in 1..columns {
                self.set(self.at + rest, Cell::new(WIDE_REST, style));
            }
            self.at += columns;
        }
    }

    fn control(&mut self, byte: u8, style: Style16) {
        match byte {
            b'\r' => self.move_to(0),
            0x08 => self.move_to(self.at.saturating_sub(1)),
            b'\t' => {
                let stop = ((self.at / TAB_STOP + 1) * TAB_STOP).min(COLUMNS_KEPT);
                if self.rewriting {
                    self.at = stop;
                    self.fill(style);
                } else {
                    self.put_ascii(&[b' '; TAB_STOP][..stop - self.at], style);
                }
            }
            // The bell, shifts of the character set and padding have nothing to show. Line feeds don't come here.
            0 | BEL | 0x0e | 0x0f | b'\n' => {}
            other => self.put(char::from(other), 1, style),
        }
    }

    /// The text to append to in `style`.
    fn span(&mut self, style: Style16) -> &mut String {
        let full = self.spans.len() >= SPANS_PER_LINE;
        if self.spans.last().is_none_or(|(last, _)| *last != style && !full) {
            self.spans.push((style, String::new()));
        }
        let last = self.spans.len() - 1;
        &mut self.spans[last].1
    }

    /// Turns appended text into cells.
    fn rewrite(&mut self) {
        if self.rewriting {
            return;
        }
        self.rewriting = true;
        let at = mem::take(&mut self.at);
        self.joined = 0;
        for (style, text) in mem::take(&mut self.spans) {
            for c in text.chars() {
                self.put(c, c.len_utf8(), style);
            }
        }
        self.at = at;
    }

    fn move_to(&mut self, at: usize) {
        let at = at.min(COLUMNS_KEPT);
        if at != self.at {
            self.rewrite();
            self.at = at;
        }
    }

    /// Erases within the line: 0 to its end, 1 from its beginning, 2 all of it.
    fn erase(&mut self, what: u16) {
        match what {
            // Nothing stands behind appended text.
            0 if !self.rewriting => {}
            0 => {
                self.part_wide(self.at);
                self.cells.truncate(self.at);
            }
            1 => {
                self.rewrite();
                self.part_wide(self.at + 1);
                let blank = Cell::new(' ', Style16::default());
                self.cells.iter_mut().take(self.at + 1).for_each(|cell| *cell = blank.clone());
            }
            2 => {
                self.rewrite();
                self.cells.clear();
            }
            _ => {}
        }
        if self.at == 0 && self.cells.is_empty() {
            // Blank again, as at the beginning; what was too long before counts no more.
            self.clear();
        }
    }

    /// Adds a character without a column to the one before the cursor.
    fn join(&mut self, c: char, style: Style16) {
        self.fill(style);
        let before = self.cells.get_mut(..self.at).unwrap_or_default();
        if let Some(cell) = before.iter_mut().rev().find(|cell| cell.c != WIDE_REST) {
            cell.joined.push(c);
            self.joined += 1;
        }
    }

    fn set(&mut self, at: usize, cell: Cell) {
        match self.cells.get_mut(at) {
            Some(old) => *old = cell,
            None => self.cells.push(cell),
        }
    }

    /// Blanks up to the cursor, where it was moved beyond the text.
    fn fill(&mut self, style: Style16) {
        if self.cells.len() < self.at {
            self.cells.resize(self.at, Cell::new(' ', style));
        }
    }

    /// If a wide character stands across the border before column `at`, both its halves become blank.
    fn part_wide(&mut self, at: usize) {
        if at > 0
            && let Some([left, right]) = self.cells.get_mut(at - 1..=at)
            && right.c == WIDE_REST
        {
            *left = Cell::new(' ', left.style);
            *right = Cell::new(' ', right.style);
        }
    }

    /// The line as it looks now.
    fn styled(&self) -> StyledLine {
        if self.rewriting {
            let mut appended = Self::default();
            for cell in self.cells.iter().filter(|cell| cell.c != WIDE_REST) {
                let text = appended.span(cell.style);
                text.push(cell.c);
                text.push_str(&cell.joined);
            }
            appended.take()
        } else {
            finished(self.spans.clone())
        }
    }

    /// The line as it looks now; the next one begins.
    fn take(&mut self) -> StyledLine {
        let line = if self.rewriting { self.styled() } else { finished(mem::take(&mut self.spans)) };
        self.clear();
        line
    }
}

fn finished(spans: Vec<(Style16, String)>) -> StyledLine {
    StyledLine {
        spans: spans.into_iter().map(|(style, text)| (visible(style), SafeText::from(text))).collect(),
    }
}

/// What the parser of escape sequences may do: write the current line, and nothing else.
struct Screen<'a> {
    line: &'a mut Line,
    style: &'a mut Style16,
    /// The sequence is over; text follows.
    done: bool,
}

impl Perform for Screen<'_> {
    fn print(&mut self, c: char) {
        // Only after a sequence that ended without a word.
        self.line.put(c, c.len_utf8(), *self.style);
        self.done = true;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            CAN | 0x1a => self.done = true,
            _ => self.line.control(byte, *self.style),
        }
    }

    fn osc_dispatch(&mut self, _params: &[&[u8]], bell_terminated: bool) {
        // Otherwise the rest of its terminator is still to come.
        self.done = bell_terminated;
    }

    fn esc_dispatch(&mut self, _intermediates: &[u8], _ignore: bool, _byte: u8) {
        self.done = true;
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        self.done = true;
        if ignore || !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|param| param.first().copied()).unwrap_or(0);
        let count = usize::from(first.max(1));
        match action {
            'm' => select_graphics(self.style, params),
            'K' => self.line.erase(first),
            'G' => self.line.move_to(count - 1),
            'C' => self.line.move_to(self.line.at + count),
            'D' => self.line.move_to(self.line.at.saturating_sub(count)),
            _ => {}
        }
    }

    fn terminated(&self) -> bool {
        self.done
    }
}

/// Applies an SGR sequence (ECMA-48, 8.3.117) with the usual extensions for bright, 256 and true colours. Concealed
/// text (8) stays visible, blinking (5, 6) is left out.
fn select_graphics(style: &mut Style16, params: &Params) {
    let mut params = params.iter();
    while let Some(param) = params.next() {
        let Some((&code, detail)) = param.split_first() else { continue };
        match code {
            0 => *style = Style16::default(),
            1 => style.bold = true,
            2 => style.dim = true,
            3 => style.italic = true,
            4 => style.underline = detail.first() != Some(&0),
            7 => style.reverse = true,
            21 => style.underline = true,
            22 => {
                style.bold = false;
                style.dim = false;
            }
            23 => style.italic = false,
            24 => style.underline = false,
            27 => style.reverse = false,
            30..=37 => style.fg = low(code - 30),
            38 => style.fg = extended(detail, &mut params),
            39 => style.fg = None,
            40..=47 => style.bg = low(code - 40),
            48 => style.bg = extended(detail, &mut params),
            49 => style.bg = None,
            // The underline's own colour: its arguments are no attributes.
            58 => drop(extended(detail, &mut params)),
            90..=97 => style.fg = low(code - 90 + 8),
            100..=107 => style.bg = low(code - 100 + 8),
            _ => {}
        }
    }
}

fn low(value: u16) -> Option<u8> {
    u8::try_from(value).ok()
}

/// The colour of `38` or `48`: its arguments stand behind colons in the same parameter, or in the parameters after it.
fn extended<'a>(detail: &[u16], params: &mut impl Iterator<Item = &'a [u16]>) -> Option<u8> {
    let mut next = || params.next().and_then(|param| param.first().copied());
    match detail {
        [] => match next()? {
            5 => indexed(next()?),
            2 => Some(nearest([low(next()?)?, low(next()?)?, low(next()?)?])),
            _ => None,
        },
        [5, index, ..] => indexed(*index),
        // With the colour space's id, most often empty, and without it.
        [2, _, red, green, blue, ..] | [2, red, green, blue] => {
            Some(nearest([low(*red)?, low(*green)?, low(*blue)?]))
        }
        _ => None,
    }
}

/// The sixteen colours as xterm has them: what most palettes come near to.
const PALETTE: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// A colour of the 256: the sixteen, a cube of 6×6×6, 24 greys.
fn indexed(index: u16) -> Option<u8> {
    let index = low(index)?;
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    Some(match index {
        0..=15 => index,
        16..=231 => {
            let cube = index - 16;
            nearest([level(cube / 36), level(cube / 6 % 6), level(cube % 6)])
        }
        232..=255 => nearest([8 + 10 * (index - 232); 3]),
    })
}

/// The nearest of the sixteen.
fn nearest(colour: [u8; 3]) -> u8 {
    let distance = |other: &[u8; 3]| -> u32 {
        colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
    };
    (0u8..).zip(&PALETTE).min_by_key(|(_, entry)| distance(entry)).map_or(7, |(index, _)| index)
}

#[cfg(test)]
mod tests;
