//! The current output line as a terminal would show it: appended text, or cells once it is overwritten.

use std::mem;

use unicode_width::UnicodeWidthChar;

use super::{BEL, COLUMNS_KEPT, run_of};
use crate::domain::safe_text::{SafeText, Style16, StyledLine};

/// Changes of style within a line; text after so many keeps the last one.
pub(super) const SPANS_PER_LINE: usize = 256;

/// Characters without a column of their own that are kept of one line.
const JOINED_PER_LINE: usize = COLUMNS_KEPT;

const TAB_STOP: usize = 8;

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
pub(super) struct Line {
    spans: Vec<(Style16, String)>,
    cells: Vec<Cell>,
    /// `cells` hold the line, not `spans`.
    rewriting: bool,
    /// The column that the next character goes to, at most [`COLUMNS_KEPT`].
    pub(super) at: usize,
    joined: usize,
    pub(super) cut: u64,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.cells.is_empty() && self.cut == 0
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.cells.clear();
        self.rewriting = false;
        self.at = 0;
        self.joined = 0;
        self.cut = 0;
    }

    /// Text without control characters of ASCII; what is not UTF-8 becomes U+FFFD.
    pub(super) fn text(&mut self, mut bytes: &[u8], style: Style16) {
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
    pub(super) fn put(&mut self, c: char, size: usize, style: Style16) {
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

    pub(super) fn control(&mut self, byte: u8, style: Style16) {
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

    pub(super) fn move_to(&mut self, at: usize) {
        let at = at.min(COLUMNS_KEPT);
        if at != self.at {
            self.rewrite();
            self.at = at;
        }
    }

    /// Erases within the line: 0 to its end, 1 from its beginning, 2 all of it.
    pub(super) fn erase(&mut self, what: u16) {
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
    pub(super) fn styled(&self) -> StyledLine {
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
    pub(super) fn take(&mut self) -> StyledLine {
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
