//! Text as it should have been: encodings that were mangled, line ends, characters nobody sees.

use std::fmt::Write as _;

use crate::domain::safe_text::is_hidden;

/// What was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repair {
    pub(super) line: usize,
    pub(super) what: String,
}

/// The bytes that Windows-1252 has where Latin-1 has control characters.
const CP1252: &[(char, u8)] = &[
    ('€', 0x80),
    ('‚', 0x82),
    ('ƒ', 0x83),
    ('„', 0x84),
    ('…', 0x85),
    ('†', 0x86),
    ('‡', 0x87),
    ('ˆ', 0x88),
    ('‰', 0x89),
    ('Š', 0x8A),
    ('‹', 0x8B),
    ('Œ', 0x8C),
    ('Ž', 0x8E),
    ('‘', 0x91),
    ('’', 0x92),
    ('“', 0x93),
    ('”', 0x94),
    ('•', 0x95),
    ('–', 0x96),
    ('—', 0x97),
    ('˜', 0x98),
    ('™', 0x99),
    ('š', 0x9A),
    ('›', 0x9B),
    ('œ', 0x9C),
    ('ž', 0x9E),
    ('Ÿ', 0x9F),
];

/// A file's bytes as text: UTF-8 with or without its mark, UTF-16 with one, else Windows-1252; and what was not UTF-8.
pub fn decode(bytes: &[u8]) -> (String, Option<&'static str>) {
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    for (mark, big) in [([0xFF, 0xFE], false), ([0xFE, 0xFF], true)] {
        if let Some(rest) = bytes.strip_prefix(&mark) {
            let units = rest.chunks_exact(2).map(|two| {
                let two = [two[0], two[1]];
                if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
            });
            let text = char::decode_utf16(units).map(|c| c.unwrap_or('\u{FFFD}')).collect();
            return (text, Some("the file was UTF-16"));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), None);
    }
    let text = bytes
        .iter()
        .map(|byte| CP1252.iter().find(|(_, b)| b == byte).map_or(char::from(*byte), |(c, _)| *c))
        .collect();
    (text, Some("the file was not UTF-8 and is read as Windows-1252"))
}

/// The byte that a character was, where it was one that was not ASCII.
fn byte_of(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ 0x80..=0xFF => u8::try_from(code).ok(),
        0x100.. => CP1252.iter().find(|(other, _)| *other == c).map(|(_, byte)| *byte),
        _ => None,
    }
}

/// The character that some characters were before they were mangled, and how many of them it was.
fn mended(chars: &[char]) -> Option<(char, usize)> {
    let lead = byte_of(*chars.first()?)?;
    let length = match lead {
        // Only what is plausible: `Â©`, `Ã¼`. Other pairs are text in some language.
        0xC2..=0xC5 => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return None,
    };
    let bytes: Vec<u8> = chars.get(..length)?.iter().map(|c| byte_of(*c)).collect::<Option<_>>()?;
    let c = std::str::from_utf8(&bytes).ok()?.chars().next()?;
    (lead <= 0xC3 || length > 2 || c.is_alphabetic()).then_some((c, length))
}

/// One line, mended; none where there was nothing to mend. Text that was mangled twice is mended twice.
fn mend(line: &str) -> Option<String> {
    if line.is_ascii() {
        return None;
    }
    let chars: Vec<char> = line.chars().collect();
    let mut out = String::with_capacity(line.len());
    let (mut at, mut changed) = (0, false);
    while at < chars.len() {
        if let Some((c, used)) = mended(&chars[at..]) {
            out.push(c);
            at += used;
            changed = true;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    changed.then_some(out)
}

/// Marks that nobody sees and that change what a command is.
fn is_nothing(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200D}' | '\u{FEFF}' | '\u{00AD}' | '\u{2060}')
}

/// Characters that could command a terminal or turn text around.
fn is_hostile(c: char) -> bool {
    !matches!(c, '\n' | '\t') && is_hidden(c)
}

/// The page with line ends as Unix has them, its encoding mended, and nothing in it that is not seen.
pub(super) fn repaired(source: &str) -> (String, Vec<Repair>) {
    let source = source.trim_start_matches('\u{FEFF}').replace("\r\n", "\n").replace('\r', "\n");
    let mut repairs = Vec::new();
    let mut out = String::with_capacity(source.len());
    for (index, line) in source.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if line.bytes().all(|byte| byte == b'\t' || (0x20..0x7F).contains(&byte)) {
            out.push_str(line);
            continue;
        }
        let number = index + 1;
        let mut now = line.to_owned();
        for _ in 0..2 {
            if let Some(better) = mend(&now) {
                repairs.push(Repair {
                    line: number,
                    what: "text was UTF-8 read as Windows-1252; repaired".to_owned(),
                });
                now = better;
            }
        }
        if now.contains('\u{FFFD}') {
            repairs.push(Repair {
                line: number,
                what: "a character was lost (U+FFFD); look at the page".to_owned(),
            });
        }
        let (mut hidden, begin) = (0, out.len());
        for c in now.chars() {
            if matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}') {
                // Only how a sign looks, an emoji for one; `check` lets nobody have it in a command.
            } else if is_nothing(c) {
                hidden += 1;
            } else if is_hostile(c) {
                hidden += 1;
                let _ = write!(out, "(U+{:04X})", u32::from(c));
            } else if c == '\u{A0}' || c == '\u{202F}' || c == '\u{2007}' {
                out.push(' ');
            } else {
                out.push(c);
            }
        }
        let nothing = out.get(begin..).is_some_and(|rest| rest.trim().is_empty());
        if hidden > 0 || (nothing && !now.trim().is_empty()) {
            repairs.push(Repair {
                line: number,
                what: format!("{} invisible characters; removed or shown", hidden.max(1)),
            });
        }
    }
    repairs.dedup_by(|a, b| a.line == b.line && a.what == b.what);
    (out, repairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UTF-8 read as Windows-1252, as old editors do.
    fn mangle(text: &str) -> String {
        decode(&[text.as_bytes(), &[0xFF]].concat()).0.trim_end_matches('ÿ').to_owned()
    }

    #[test]
    fn what_was_read_as_another_encoding_is_what_it_was() {
        for text in ["┌──┐ Active ✓", "🚨 INCIDENT", "(Blue → Green)", "déploiement où", "15 – 20 %"]
        {
            let mangled = mangle(text);
            assert_ne!(mangled, text);
            let (mended, repairs) = repaired(&mangled);
            assert_eq!(mended, text);
            assert_eq!(repairs[0].line, 1);
        }
    }

    #[test]
    fn text_that_is_right_stays() {
        for text in
            ["« déjà vu », CAFÉ", "Größe: „ja“", "naïve – façade…", "→ ✓ 🚨", "Ångström Ünder", "日本語"]
        {
            assert_eq!(repaired(text), (text.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn nothing_invisible_stays() {
        let (text, repairs) = repaired("a\u{200B}b\u{1b}[2J\u{202E}c\r\nd\u{A0}e");
        assert_eq!(text, "ab(U+001B)[2J(U+202E)c\nd e");
        assert_eq!(repairs.len(), 1);
        assert_eq!(repaired("echo \u{26A0}\u{FE0F}"), ("echo \u{26A0}".to_owned(), Vec::new()));
    }

    #[test]
    fn other_encodings_are_read_and_told() {
        assert_eq!(
            decode(b"caf\xe9 \x80"),
            ("café €".to_owned(), Some("the file was not UTF-8 and is read as Windows-1252"))
        );
        assert_eq!(decode(&[0xFF, 0xFE, b'a', 0, b'b', 0]).0, "ab");
        assert_eq!(decode("é".as_bytes()), ("é".to_owned(), None));
    }
}
