//! One line of the screen, made of pieces with a look.
//!
//! This is the only way text reaches the screen, and every piece becomes [`SafeText`] on its way in: no view has to ask
//! itself where a text came from.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::{
    domain::safe_text::{SafeText, StyledLine},
    tui::style::Look,
};

/// A line under construction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    pieces: Vec<(SafeText, Style)>,
    width: usize,
    /// So many pieces stand at the right end by order: where the line is cut it is before them.
    kept: usize,
}

impl Row {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of one piece.
    pub fn of(text: impl AsRef<str>, style: Style) -> Self {
        Self::new().put(text, style)
    }

    /// With another piece at its end.
    #[must_use]
    pub fn put(mut self, text: impl AsRef<str>, style: Style) -> Self {
        self.add(text, style);
        self
    }

    /// Appends a piece.
    pub fn add(&mut self, text: impl AsRef<str>, style: Style) {
        let text = SafeText::new(text.as_ref());
        if !text.is_empty() {
            self.width += text.width();
            self.pieces.push((text, style));
            self.kept = 0;
        }
    }

    /// With another line at its end.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.kept = 0;
        self.width += other.width;
        self.pieces.extend(other.pieces);
        self
    }

    /// With spaces up to a column; at least one space where the line is not empty.
    #[must_use]
    pub fn to(self, column: usize) -> Self {
        let least = usize::from(self.width > 0);
        let spaces = column.saturating_sub(self.width).max(least);
        self.put(" ".repeat(spaces), Style::new())
    }

    /// With spaces up to a column in a style, and nothing where it is already there.
    #[must_use]
    pub fn fill(self, column: usize, style: Style) -> Self {
        let spaces = column.saturating_sub(self.width);
        self.put(" ".repeat(spaces), style)
    }

    /// Cut to a width between characters as people see them, with `…` where something was lost. What [`Self::right`] has put
    /// at the right end stays as long as half of the width is enough for it.
    #[must_use]
    pub fn fit(mut self, width: usize) -> Self {
        if self.width <= width {
            return self;
        }
        let kept = self.pieces.split_off(self.pieces.len().saturating_sub(std::mem::take(&mut self.kept)));
        let end = kept.iter().map(|(text, _)| text.width()).sum::<usize>();
        if end > 0 && end * 2 <= width {
            while self.pieces.last().is_some_and(|(text, _)| text.trim().is_empty()) {
                self.pieces.pop();
            }
            self.width = self.pieces.iter().map(|(text, _)| text.width()).sum();
            return self.right(Self { pieces: kept, width: end, kept: 0 }, width);
        }
        self.pieces.extend(kept);
        let mut cut = Self::new();
        for (text, style) in self.pieces {
            let left = width.saturating_sub(cut.width);
            if text.width() < left {
                cut.width += text.width();
                cut.pieces.push((text, style));
            } else {
                cut.add(shorten(&text, left), style);
                // A piece that fits exactly is followed by a lost one: the mark takes the place of its last character.
                if !cut.pieces.last().is_some_and(|(text, _)| text.ends_with('…')) && width > 0 {
                    let (text, style) = cut.pieces.pop().unwrap_or_default();
                    cut.width -= text.width();
                    let left = width.saturating_sub(cut.width);
                    cut.add(format!("{}…", head(&text, left.saturating_sub(1))), style);
                }
                break;
            }
        }
        cut
    }

    /// With another line at the right end of `width` columns. Where both do not fit, this one is cut.
    #[must_use]
    pub fn right(self, other: Self, width: usize) -> Self {
        let other = other.fit(width);
        let room = width.saturating_sub(other.width);
        let gap = usize::from(other.width > 0 && room > 0);
        let mut row = self.fit(room.saturating_sub(gap));
        let spaces = room.saturating_sub(row.width);
        row.add(" ".repeat(spaces), Style::new());
        let kept = other.pieces.len();
        row = row.join(other);
        row.kept = kept;
        row
    }

    /// Each piece with this style over its own.
    #[must_use]
    pub fn over(mut self, style: Style) -> Self {
        for (_, own) in &mut self.pieces {
            *own = own.patch(style);
        }
        self
    }

    /// With every place where its text contains `pattern`, whatever the case, in this style over its own.
    #[must_use]
    pub fn highlight(self, pattern: &str, style: Style) -> Self {
        // Lower case that changes the length would shift the places: then only exact ones are found.
        let text = self.text();
        let (lower, pattern) = (text.to_lowercase(), pattern.to_lowercase());
        if pattern.is_empty() || lower.len() != text.len() {
            return self;
        }
        let found: Vec<(usize, usize)> =
            lower.match_indices(&pattern).map(|(at, part)| (at, at + part.len())).collect();
        if found.is_empty() {
            return self;
        }
        let mut out = Self::new();
        let mut at = 0;
        for (piece, own) in self.pieces {
            for (offset, grapheme) in piece.grapheme_indices(true) {
                let place = at + offset;
                let hit = found.iter().any(|&(from, to)| from <= place && place < to);
                out.add(grapheme, if hit { own.patch(style) } else { own });
            }
            at += piece.len();
        }
        out
    }

    /// Broken into lines of a width, all but the first behind so many blanks: after a blank, else where a word may be broken.
    /// Unlike [`wrap`] it keeps every blank and every look: for logs, where columns mean something.
    pub fn folded(self, width: usize, indent: usize) -> Vec<Self> {
        let indent = indent.min(width.saturating_sub(1));
        let signs: Vec<(&str, Style)> = (self.pieces.iter())
            .flat_map(|(piece, style)| piece.graphemes(true).map(move |sign| (sign, *style)))
            .collect();
        let mut lines = Vec::new();
        let mut left = signs.as_slice();
        loop {
            let before = if lines.is_empty() { 0 } else { indent };
            let room = width.saturating_sub(before);
            let mut used = 0;
            let fits = left.iter().take_while(|(sign, _)| {
                used += sign.width();
                used <= room
            });
            let fits = fits.count().max(1).min(left.len());
            // The head of the first line, a time and a pod, is not a place to break.
            let least = if lines.is_empty() { indent } else { 0 };
            let broken = (least + 1..=fits).rev().find(|end| left[end - 1].0 == " ");
            let end = if fits == left.len() { fits } else { broken.unwrap_or(fits) };
            let (line, rest) = left.split_at(end);
            let start = Self::of(" ".repeat(before), Style::new());
            lines.push(line.iter().fold(start, |row, (sign, style)| row.put(sign, *style)));
            left = rest;
            if left.is_empty() {
                return lines;
            }
        }
    }

    /// The columns it takes.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Its text without looks.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// Puts it into the first line of an area, cut to its width.
    pub fn draw(self, area: Rect, buffer: &mut Buffer) {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        let mut x = area.x;
        let width = u16::try_from(self.width).unwrap_or(u16::MAX).min(area.width);
        for x in area.x..area.x + width {
            // A style without a colour would keep that of what was there: a title that of the rule it stands in.
            buffer[(x, area.y)].reset();
        }
        for (text, style) in self.fit(usize::from(area.width)).pieces {
            let room = usize::from(area.right().saturating_sub(x));
            (x, _) = buffer.set_stringn(x, area.y, text.as_str(), room, style);
        }
    }
}

impl Row {
    /// A line of command output, with the colours it came with.
    pub fn output(look: Look, line: &StyledLine) -> Self {
        let mut row = Self::new();
        for (style, text) in &line.spans {
            row.add(text, look.foreign(*style));
        }
        row
    }
}

/// The text cut to a width, with `…` where something was lost.
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    format!("{}…", head(text, width - 1))
}

/// As many whole characters from the beginning as fit.
fn head(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += grapheme.width();
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// As much of a word as fits: up to its last mark in the second half, where it has one, so that paths and addresses are
/// broken between their parts.
fn part(word: &str, width: usize) -> &str {
    let most = head(word, width);
    let marks = |c: char| matches!(c, '/' | '-' | '.' | ',' | ':' | '=' | '&' | '?' | '_' | '@');
    let end = most.char_indices().rev().find(|(_, c)| marks(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    if end * 2 > most.len() { &most[..end] } else { most }
}

/// The words of a text, a number with its unit as one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let unit = word.trim_end_matches([',', '.', ';', ':', ')']);
        match words.last_mut() {
            Some(last)
                if matches!(unit, "%" | "ms" | "s" | "min")
                    && last.ends_with(|c: char| c.is_ascii_digit()) =>
            {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// The text in lines of at most `width` columns, broken between words; a longer word is broken where it must. A number is
/// not parted from its unit.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    let words = words(text);
    for mut word in words.iter().map(String::as_str) {
        let gap = usize::from(used > 0);
        if used + gap + word.width() <= width {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            used += gap + word.width();
            continue;
        }
        if used > 0 {
            lines.push(std::mem::take(&mut line));
        }
        while word.width() > width {
            let mut part = part(word, width);
            if part.is_empty() {
                // A character wider than the whole line still has to go somewhere.
                part = word.graphemes(true).next().unwrap_or(word);
            }
            lines.push(part.to_owned());
            word = &word[part.len()..];
        }
        word.clone_into(&mut line);
        used = word.width();
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_between_characters_with_a_mark() {
        let plain = Style::new();
        assert_eq!(Row::of("abcdef", plain).fit(4).text(), "abc…");
        assert_eq!(Row::of("ab", plain).put("cdef", plain).fit(2).text(), "a…");
        assert_eq!(Row::of("漢字漢", plain).fit(4).text(), "漢…");
        assert_eq!(Row::of("abc", plain).fit(3).text(), "abc");
        assert_eq!(Row::of("abc", plain).fit(0).text(), "");
    }

    #[test]
    fn the_right_end_is_kept() {
        let plain = Style::new();
        let row = Row::of("a long beginning", plain).right(Row::of("end", plain), 10);
        assert_eq!(row.text(), "a lon… end");
        assert_eq!(Row::of("a", plain).right(Row::of("end", plain), 8).text(), "a    end");
    }

    #[test]
    fn what_stands_at_the_right_end_outlives_a_cut() {
        let plain = Style::new();
        let row = Row::of("a long beginning", plain).right(Row::of("waits", plain), 24);
        assert_eq!(row.text(), "a long beginning   waits");
        assert_eq!(row.clone().fit(14).text(), "a long … waits");
        assert_eq!(row.clone().right(Row::of(" ↓ 3", plain), 18).text(), "a long… waits  ↓ 3");
        assert_eq!(row.fit(6).text(), "a lon…", "more than half of what is left would be the end");
    }

    #[test]
    fn words_wrap_and_long_ones_break() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("漢字", 1), ["漢", "字"]);
        assert_eq!(wrap("up to 0.06 %, about 14", 11), ["up to", "0.06 %,", "about 14"]);
        assert_eq!(wrap("~27 s", 3), ["~27", " s"], "where it must");
        assert_eq!(wrap("/var/lib/cutover/deploy.log", 12), ["/var/lib/", "cutover/", "deploy.log"]);
        assert_eq!(wrap("a/longerthanthat", 8), ["a/longer", "thanthat"], "not after a single letter");
    }

    #[test]
    fn folded_lines_keep_every_character_and_its_look() {
        let (plain, bold) = (Style::new(), Style::new().add_modifier(ratatui::style::Modifier::BOLD));
        let rows = Row::of("12:00 ", plain).put("a  b漢c", bold).folded(9, 6);
        let texts: Vec<String> = rows.iter().map(Row::text).collect();
        assert_eq!(texts, ["12:00 a  ", "      b漢", "      c"]);
        assert_eq!(rows[2].pieces.last().map(|(_, style)| *style), Some(bold));
        let texts = |row: Row, width, indent| -> Vec<String> {
            row.folded(width, indent).iter().map(Row::text).collect()
        };
        let row = Row::of("12:00 ", plain).put("GET /health took too long", plain);
        assert_eq!(texts(row, 18, 6), ["12:00 GET /health ", "      took too ", "      long"]);
        let row = Row::of("12:00 ", plain).put("abcdefghijklm", plain);
        assert_eq!(texts(row, 12, 6), ["12:00 abcdef", "      ghijkl", "      m"]);
        assert_eq!(Row::of("abc", plain).folded(3, 9).len(), 1);
        assert_eq!(Row::of("abcd", plain).folded(1, 9).len(), 4);
        assert_eq!(Row::new().folded(0, 0).len(), 1);
    }

    #[test]
    fn u4_every_piece_is_made_safe() {
        let row = Row::of("a\x1b[2J\u{202e}b", Style::new());
        assert_eq!(row.text(), "a<U+001B>[2J<U+202E>b");
    }
}
