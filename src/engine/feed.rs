//! The output of a command as lines for a screen: bounded, harmless, and never slower than the command.
//!
//! A [`LineAssembler`] takes bytes as they come and gives styled lines when asked. Only what a line shows is kept:
//! text, the sixteen colours, a rewritten progress bar's last state. Cursor movements over other lines, titles,
//! clipboard writes, device strings and whatever else an escape sequence can ask for are dropped.
//!
//! ```text
//! push: bytes ──► pending, raw (2 MiB at most; of more lines than can be kept the oldest are counted and dropped unread)
//!                    │ asked for lines, or full
//!                    ▼
//!                 plain line ───────────────► ring of the last lines ──► since(number)
//!                 escapes, \r, tabs ─► cells ─┘
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
const PENDING_LIMIT: usize = 2 << 20;

/// Text and styles that the ring may hold, in bytes, so that 2,000 lines of 4,096 coloured columns don't fill the memory.
const RING_BYTES: usize = 16 << 20;

/// Changes of style within a line; text after so many keeps the last one.
const SPANS_PER_LINE: usize = 256;

/// Invisible characters kept with the one before them.
const JOINED_PER_CELL: usize = 8;

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
    pub fn new(keep: usize) -> Self {
        Self {
            keep: keep.max(1),
            masker: None,
            pending: Vec::new(),
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
        // In pieces, so that one huge push needs no more memory than many small ones.
        for piece in bytes.chunks(PENDING_LIMIT) {
            if self.pending.len() + piece.len() > PENDING_LIMIT {
                self.relieve();
            }
            self.pending.extend_from_slice(piece);
        }
    }

    /// The output is over: what has no line end yet becomes the last line.
    pub fn finish(&mut self) {
        self.settle();
        let rest = mem::take(&mut self.pending);
        self.interpret(&rest);
        if !self.line.cells.is_empty() || self.line.cut > 0 {
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
        (!self.line.cells.is_empty()).then(|| self.masked(self.line.styled()))
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
        let ends = memchr_iter(b'\n', &self.pending).count();
        self.skip_excess(ends);
        if self.pending.len() > PENDING_LIMIT / 2 {
            self.settle();
        }
    }

    /// Of `ends` line ends in `pending`, drops all but the last `keep`.
    fn skip_excess(&mut self, ends: usize) {
        let Some(excess) = ends.checked_sub(self.keep).filter(|excess| *excess > 0) else { return };
        let Some(end) = memrchr_iter(b'\n', &self.pending).nth(self.keep) else { return };
        self.pending.drain(..=end);
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
        let ends = memchr_iter(b'\n', &self.pending).count();
        self.skip_excess(ends);
        let mut pending = mem::take(&mut self.pending);
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
        if self.escape.is_none() && self.line.is_fresh() {
            let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if let Some(text) = plain_text(text) {
                let line = if text.is_empty() {
                    StyledLine::default()
                } else {
                    StyledLine { spans: vec![(visible(self.style), text)] }
                };
                self.keep_line(line, 0);
                return;
            }
        }
        self.interpret(bytes);
        self.end_line();
    }

    /// The line is over. So is an escape sequence that was never finished: it must not swallow the lines after it.
    fn end_line(&mut self) {
        self.leave_escape();
        let line = self.masked(self.line.styled());
        let cut = self.line.cut;
        self.line.clear();
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
                match plain_run(bytes) {
                    0 if byte == ESC => {
                        self.escape = Some(0);
                        0
                    }
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

/// How many bytes from the beginning are text: no control characters of ASCII. UTF-8 is not looked at.
fn plain_run(bytes: &[u8]) -> usize {
    let is_control = |byte: &u8| *byte < b' ' || *byte == 0x7f;
    // Whole blocks without an early exit are what the compiler turns into vector instructions.
    let blocks = bytes
        .chunks(64)
        .take_while(|block| !block.iter().fold(false, |any, byte| any | is_control(byte)))
        .count();
    let start = (blocks * 64).min(bytes.len());
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().position(is_control).unwrap_or(rest.len())
}

/// A line that needs no cells: short, valid, without control characters other than tabs.
fn plain_text(bytes: &[u8]) -> Option<SafeText> {
    if bytes.len() > COLUMNS_KEPT {
        return None;
    }
    let odd = bytes.iter().fold(false, |any, byte| any | ((*byte < b' ' && *byte != b'\t') || *byte == 0x7f));
    if odd {
        return None;
    }
    let text = SafeText::new(std::str::from_utf8(bytes).ok()?);
    // Tabs and code points spelled out can make it longer than its bytes.
    (text.len() == bytes.len() || text.width() <= COLUMNS_KEPT).then_some(text)
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

/// One column of the line that is being written.
#[derive(Debug, Clone)]
struct Cell {
    c: char,
    /// Characters without a column of their own that follow `c`.
    joined: Vec<char>,
    style: Style16,
}

/// Stands in the second column of a wide character. NUL is never text: [`Line::control`] drops it.
const WIDE_REST: char = '\0';

impl Cell {
    fn new(c: char, style: Style16) -> Self {
        Self { c, joined: Vec::new(), style }
    }

    fn blank() -> Self {
        Self::new(' ', Style16::default())
    }
}

/// The line being written, as a terminal would hold it.
#[derive(Debug, Default)]
struct Line {
    cells: Vec<Cell>,
    /// The column that the next character goes to, at most [`COLUMNS_KEPT`].
    at: usize,
    cut: u64,
}

impl Line {
    fn is_fresh(&self) -> bool {
        self.cells.is_empty() && self.cut == 0 && self.at == 0
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.at = 0;
        self.cut = 0;
    }

    /// Text without control characters of ASCII; what is not UTF-8 becomes U+FFFD.
    fn text(&mut self, bytes: &[u8], style: Style16) {
        if self.at >= COLUMNS_KEPT {
            self.cut += bytes.len() as u64;
            return;
        }
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                self.put(c, style);
            }
            if !chunk.invalid().is_empty() {
                self.put(char::REPLACEMENT_CHARACTER, style);
            }
        }
    }

    fn control(&mut self, byte: u8, style: Style16) {
        match byte {
            b'\r' => self.at = 0,
            0x08 => self.at = self.at.saturating_sub(1),
            b'\t' => {
                self.move_to((self.at / TAB_STOP + 1) * TAB_STOP);
                self.fill();
            }
            // The bell, shifts of the character set and padding have nothing to show. Line feeds don't come here.
            0 | BEL | 0x0e | 0x0f | b'\n' => {}
            other => self.put(char::from(other), style),
        }
    }

    fn put(&mut self, c: char, style: Style16) {
        // Control characters will be spelled out; they begin a cell like any visible character.
        let columns = c.width().unwrap_or(1);
        if columns == 0 && self.join(c) {
            return;
        }
        let columns = columns.max(1);
        if self.at + columns > COLUMNS_KEPT {
            self.at = COLUMNS_KEPT;
            self.cut += c.len_utf8() as u64;
            return;
        }
        self.fill();
        self.part_wide(self.at);
        self.part_wide(self.at + columns);
        self.set(self.at, Cell::new(c, style));
        for rest in 1..columns {
            self.set(self.at + rest, Cell::new(WIDE_REST, style));
        }
        self.at += columns;
    }

    /// Adds a character without a column to the one before; there may be none.
    fn join(&mut self, c: char) -> bool {
        let Some(before) = self.cells.get_mut(..self.at.min(COLUMNS_KEPT)) else { return false };
        let Some(cell) = before.iter_mut().rev().find(|cell| cell.c != WIDE_REST) else { return false };
        if cell.joined.len() < JOINED_PER_CELL {
            cell.joined.push(c);
        } else {
            self.cut += c.len_utf8() as u64;
        }
        true
    }

    fn set(&mut self, at: usize, cell: Cell) {
        match self.cells.get_mut(at) {
            Some(old) => *old = cell,
            None => self.cells.push(cell),
        }
    }

    /// Blanks up to the cursor, where it was moved beyond the text.
    fn fill(&mut self) {
        if self.cells.len() < self.at {
            self.cells.resize(self.at, Cell::blank());
        }
    }

    /// If a wide character stands across the border before column `at`, both its halves become blank.
    fn part_wide(&mut self, at: usize) {
        if at > 0
            && let Some([left, right]) = self.cells.get_mut(at - 1..=at)
            && right.c == WIDE_REST
        {
            *left = Cell::blank();
            *right = Cell::blank();
        }
    }

    fn move_to(&mut self, at: usize) {
        self.at = at.min(COLUMNS_KEPT);
    }

    /// Erases within the line: 0 to its end, 1 from its beginning, 2 all of it.
    fn erase(&mut self, what: u16) {
        match what {
            0 => {
                self.part_wide(self.at);
                self.cells.truncate(self.at);
            }
            1 => {
                self.part_wide(self.at + 1);
                self.cells.iter_mut().take(self.at + 1).for_each(|cell| *cell = Cell::blank());
            }
            2 => self.cells.clear(),
            _ => {}
        }
    }

    fn styled(&self) -> StyledLine {
        let mut spans: Vec<(Style16, String)> = Vec::new();
        for cell in self.cells.iter().filter(|cell| cell.c != WIDE_REST) {
            let full = spans.len() >= SPANS_PER_LINE;
            let text = match spans.last_mut() {
                Some((style, text)) if full || *style == cell.style => text,
                _ => {
                    spans.push((cell.style, String::new()));
                    let Some((_, text)) = spans.last_mut() else { continue };
                    text
                }
            };
            text.push(cell.c);
            text.extend(&cell.joined);
        }
        StyledLine {
            spans: spans.into_iter().map(|(style, text)| (visible(style), SafeText::from(text))).collect(),
        }
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
        self.line.put(c, *self.style);
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
