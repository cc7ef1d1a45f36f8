//! Makes text from outside safe to show: it can neither control the terminal nor hide anything from its reader.
//!
//! Runbooks, command output, Kubernetes objects, metrics and HTTP bodies are all written by others. Whatever of it
//! reaches a screen, a log or a report passes through [`SafeText`] first, so no widget has to think about it again.
//! What is taken out is not dropped but shown by its code point, `<U+202E>`: a reader sees that something was there.
//!
//! The type is closed under concatenation: any two safe texts joined are a safe text, since none begins with a mark
//! that would attach itself to what stands to its left.
//!
//! Longer than 500 lines with its tests, which are tables of hostile texts.

use std::{borrow::Borrow, borrow::Cow, fmt, fmt::Write as _, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns between tab stops, as terminals have them.
const TAB_STOP: usize = 8;

/// Combining marks that one character may carry. Written languages need up to four; more is a flood that paints over
/// the lines above and below.
const MARKS_PER_CHARACTER: u8 = 4;

/// One line of text that is safe to show: no control characters, nothing invisible, no reordering of what is beside it.
///
/// Reading it back from a journal or a socket sanitises again, so a forged message cannot carry raw text in.
/// Making one from text that is already safe changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct SafeText(String);

impl SafeText {
    /// The safe form of `text`, taken as one line.
    ///
    /// Tabs become spaces up to the next multiple of eight columns, counted from the text's beginning. Every other
    /// control character, line ends included, is shown as its code point, as are direction overrides, zero-width and
    /// other invisible characters, tags, variation selectors where they don't follow a symbol, and combining marks
    /// that have no character to stand on or are more than four in a row.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if is_safe(text) { Self(text.to_owned()) } else { Self(sanitised(text)) }
    }

    /// The safe form of each line of `text`. Lines end with `\n` or `\r\n`; the last one may lack it.
    pub fn lines(text: &str) -> Vec<Self> {
        text.lines().map(Self::new).collect()
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The columns it takes on a terminal.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.width()
    }

    /// Appends another safe text.
    pub fn push(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }
}

impl From<&str> for SafeText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for SafeText {
    /// Keeps the allocation where the text is safe as it stands.
    fn from(text: String) -> Self {
        if is_safe(&text) { Self(text) } else { Self(sanitised(&text)) }
    }
}

impl From<&String> for SafeText {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl From<Cow<'_, str>> for SafeText {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::new(text),
            Cow::Owned(text) => Self::from(text),
        }
    }
}

impl From<SafeText> for String {
    fn from(text: SafeText) -> Self {
        text.0
    }
}

impl Deref for SafeText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SafeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SafeText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for SafeText {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for SafeText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for SafeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl FromIterator<SafeText> for SafeText {
    fn from_iter<I: IntoIterator<Item = Self>>(texts: I) -> Self {
        let mut whole = Self::default();
        for text in texts {
            whole.push(&text);
        }
        whole
    }
}

/// How a piece of command output looks: the sixteen colours that every terminal and theme has, and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "terminal attributes are independent of each other")]
pub struct Style16 {
    /// Foreground, 0 to 15 in the order of ECMA-48 and its bright extension; none is the terminal's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fg: Option<u8>,
    /// Background, 0 to 15; none is the terminal's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bg: Option<u8>,
    /// Heavier or brighter.
    #[serde(skip_serializing_if = "is_off")]
    pub bold: bool,
    /// Fainter.
    #[serde(skip_serializing_if = "is_off")]
    pub dim: bool,
    /// Slanted.
    #[serde(skip_serializing_if = "is_off")]
    pub italic: bool,
    /// Underlined, in whatever manner.
    #[serde(skip_serializing_if = "is_off")]
    pub underline: bool,
    /// Foreground and background changed places.
    #[serde(skip_serializing_if = "is_off")]
    pub reverse: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_off(attribute: &bool) -> bool {
    !*attribute
}

/// One line of command output: pieces of safe text, each with its look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct StyledLine {
    /// The pieces from left to right.
    pub spans: Vec<(Style16, SafeText)>,
}

impl StyledLine {
    /// The line without its colours.
    #[must_use]
    pub fn plain(&self) -> SafeText {
        match self.spans.as_slice() {
            [(_, only)] => only.clone(),
            spans => spans.iter().map(|(_, text)| text.clone()).collect(),
        }
    }

    /// The columns it takes on a terminal.
    #[must_use]
    pub fn width(&self) -> usize {
        self.spans.iter().map(|(_, text)| text.width()).sum()
    }

    /// Whether there is no text in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.iter().all(|(_, text)| text.is_empty())
    }

    /// Appends a piece.
    pub fn push(&mut self, style: Style16, text: SafeText) {
        self.spans.push((style, text));
    }
}

impl From<SafeText> for StyledLine {
    /// A line in the terminal's own colours.
    fn from(text: SafeText) -> Self {
        if text.is_empty() { Self::default() } else { Self { spans: vec![(Style16::default(), text)] } }
    }
}

impl From<&str> for StyledLine {
    fn from(text: &str) -> Self {
        Self::from(SafeText::new(text))
    }
}

/// What becomes of one character, given those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Shown,
    Tab,
}

/// Reads a text from left to right and says each character's fate.
#[derive(Debug, Default)]
struct Scan {
    /// Combining marks the last character may still take.
    marks_left: u8,
    /// Whether the last character may take a variation selector.
    takes_selector: bool,
}

impl Scan {
    fn fate(&mut self, c: char) -> Fate {
        // A selector chooses between the text and emoji form of a symbol. Anywhere else it is invisible.
        if matches!(c, '\u{FE0E}' | '\u{FE0F}') && self.takes_selector {
            self.takes_selector = false;
            return Fate::Kept;
        }
        self.takes_selector = false;
        if c == '\t' {
            self.marks_left = 0;
            return Fate::Tab;
        }
        if is_hidden(c) {
            self.marks_left = 0;
            return Fate::Shown;
        }
        match c.width() {
            None => {
                self.marks_left = 0;
                Fate::Shown
            }
            // What takes no column and is not hidden joins the character before it: marks and the later parts of a
            // Korean syllable.
            Some(0) if self.marks_left == 0 => Fate::Shown,
            Some(0) => {
                self.marks_left -= 1;
                Fate::Kept
            }
            Some(_) => {
                self.marks_left = MARKS_PER_CHARACTER;
                self.takes_selector = !c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace();
                Fate::Kept
            }
        }
    }
}

/// Characters that show nothing themselves, or change how others are shown. Unicode's default-ignorable code points,
/// its format controls without a glyph, line and paragraph separators, and code points that are no characters.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' // C0, DEL, C1
        | '\u{AD}' // soft hyphen
        | '\u{34F}' // grapheme joiner
        | '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' // direction
        | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' // fillers
        | '\u{17B4}' | '\u{17B5}' // inherent vowels
        | '\u{180B}'..='\u{180F}' // Mongolian selectors
        | '\u{200B}'..='\u{200D}' | '\u{FEFF}' // zero width
        | '\u{2028}' | '\u{2029}' // line and paragraph ends
        | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' // joiner, invisible operators, deprecated controls
        | '\u{FE00}'..='\u{FE0F}' // variation selectors
        | '\u{FDD0}'..='\u{FDEF}' // no characters
        | '\u{FFF0}'..='\u{FFFB}' // specials, interlinear notes
        | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' // layout controls
        | '\u{E0000}'..='\u{E0FFF}' // tags and further selectors
    ) || u32::from(c) & 0xFFFE == 0xFFFE // the last two of each plane
}

/// JSON with everything escaped that a terminal would obey or not show. It means the same: such characters stand in its
/// strings only, line ends between values apart.
#[must_use]
pub fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn is_safe(text: &str) -> bool {
    // Nearly all that we see is plain ASCII: no decoding, no tables, and no early exit, which lets it be vectorised.
    if text.bytes().fold(0, |odd, byte| odd | u8::from(!matches!(byte, b' '..=b'~'))) == 0 {
        return true;
    }
    let mut scan = Scan::default();
    text.chars().all(|c| scan.fate(c) == Fate::Kept)
}

fn sanitised(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut scan = Scan::default();
    // Where the last tab ended, in bytes, which is always on a tab stop: columns are counted from there, so that a
    // line of many tabs is measured once.
    let mut stop = 0;
    for c in text.chars() {
        match scan.fate(c) {
            Fate::Kept => out.push(c),
            Fate::Tab => {
                let used = out.get(stop..).map_or(0, UnicodeWidthStr::width) % TAB_STOP;
                out.extend(std::iter::repeat_n(' ', TAB_STOP - used));
                stop = out.len();
            }
            Fate::Shown => {
                // Writing to a String cannot fail.
                let _ = write!(out, "<U+{:04X}>", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn safe(text: &str) -> String {
        SafeText::new(text).into()
    }

    #[test]
    fn plain_text_stays() {
        for text in [
            "",
            "Service backend-service",
            "✔ naïve façade ━━ 漢字 한국어 עברית",
            "e\u{301}",
            "⚠\u{FE0F} old",
        ] {
            assert_eq!(safe(text), text);
        }
    }

    #[test]
    fn u4_u5_every_code_point_of_the_hidden_ranges_is_shown() {
        let ranges = [
            0x00..=0x08,
            0x0A..=0x1F,
            0x7F..=0x9F,
            0xAD..=0xAD,
            0x61C..=0x61C,
            0x200B..=0x200F,
            0x2028..=0x202E,
            0x2060..=0x206F,
            0x180B..=0x180F,
            0xFE00..=0xFE0F,
            0xFEFF..=0xFEFF,
            0xFFF9..=0xFFFB,
            0xE0000..=0xE0FFF,
        ];
        for code in ranges.into_iter().flatten() {
            let Some(c) = char::from_u32(code) else { continue };
            assert_eq!(safe(&format!("a{c}b")), format!("a<U+{code:04X}>b"));
        }
    }

    #[test]
    fn u4_json_is_escaped_and_means_the_same() {
        let text = "a\u{202e}b\u{200d}\u{9b}\u{7f}\u{1b}\n\u{e0041}\u{e9}\u{1f680}\\u202e";
        let value = serde_json::json!({ text: [text, 1, null] });
        for json in [value.to_string(), format!("{value:#}")] {
            let escaped = escaped_json(&json);
            assert!(!escaped.chars().any(|c| is_hidden(c) && c != '\n'), "{escaped:?}");
            assert!(escaped.contains(r"a\u202eb\u200d\u009b\u007f\u001b\n\udb40\udc41"), "{escaped}");
            assert!(escaped.contains("\u{e9}\u{1f680}\\\\u202e"), "what is harmless stays: {escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }

    #[test]
    fn u4_escape_sequences_lose_their_escape() {
        assert_eq!(safe("\x1b]52;c;aGk=\x07"), "<U+001B>]52;c;aGk=<U+0007>");
        assert_eq!(safe("\u{9b}2J"), "<U+009B>2J");
        assert_eq!(safe("a\r\nb"), "a<U+000D><U+000A>b");
    }

    #[test]
    fn tabs_reach_the_next_stop() {
        assert_eq!(safe("\ta\tbc\t"), "        a       bc      ");
        assert_eq!(safe("12345678\t9"), "12345678        9");
        assert_eq!(safe("漢\tx"), "漢      x");
    }

    #[test]
    fn lines_split_and_sanitise() {
        let lines = SafeText::lines("one\r\ntwo\x07\n\nthree");
        assert_eq!(lines, ["one", "two<U+0007>", "", "three"]);
        assert!(SafeText::lines("").is_empty());
    }

    #[test]
    fn marks_are_bounded_and_need_a_base() {
        assert_eq!(safe("\u{301}a"), "<U+0301>a");
        let flood = format!("a{}", "\u{301}".repeat(6));
        assert_eq!(safe(&flood), format!("a{}<U+0301><U+0301>", "\u{301}".repeat(4)));
    }

    #[test]
    fn selectors_only_follow_symbols() {
        assert_eq!(safe("a\u{FE0F}"), "a<U+FE0F>");
        assert_eq!(safe("✔\u{FE0F}\u{FE0F}"), "✔\u{FE0F}<U+FE0F>");
        assert_eq!(safe("✔\u{FE01}"), "✔<U+FE01>");
    }

    #[test]
    fn reading_back_sanitises() {
        let text: SafeText = serde_json::from_str(r#""a\u001b[2Jb""#).unwrap();
        assert_eq!(text, "a<U+001B>[2Jb");
        let line: StyledLine = serde_json::from_str(r#"{"spans":[[{"fg":1},"x\u202e"]]}"#).unwrap();
        assert_eq!(line.plain(), "x<U+202E>");
        assert_eq!(serde_json::to_string(&line).unwrap(), r#"{"spans":[[{"fg":1},"x<U+202E>"]]}"#);
    }

    #[test]
    fn display_honours_width() {
        assert_eq!(format!("[{:<4}]", SafeText::new("ab")), "[ab  ]");
    }

    fn harmless(text: &str) -> bool {
        text.chars().all(|c| !c.is_control() && (!is_hidden(c) || matches!(c, '\u{FE0E}' | '\u{FE0F}')))
    }

    /// Text in which the interesting characters are as frequent as plain ones.
    fn foreign() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            any::<char>(),
            prop::char::range('\u{0}', '\u{A0}'),
            prop::char::range('\u{300}', '\u{36F}'),
            prop::char::range('\u{2000}', '\u{2070}'),
            prop::char::range('\u{FE00}', '\u{FE0F}'),
            prop::char::range('\u{1160}', '\u{11FF}'),
            prop::char::range('\u{E0000}', '\u{E01EF}'),
            Just('✔'),
        ];
        prop::collection::vec(character, 0..24).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn u5_nothing_hidden_is_left(text in foreign()) {
            prop_assert!(harmless(&SafeText::new(&text)));
        }

        #[test]
        fn safe_text_is_a_fixed_point(text in foreign()) {
            let once = SafeText::new(&text);
            prop_assert_eq!(SafeText::new(&once), once.clone());
            prop_assert_eq!(SafeText::from(text), once);
        }

        #[test]
        fn joined_safe_texts_are_safe(left in foreign(), right in foreign()) {
            let mut both = SafeText::new(&left);
            both.push(&SafeText::new(&right));
            prop_assert_eq!(SafeText::new(&both), both);
        }

        #[test]
        fn visible_ascii_is_never_changed(text in "[ -~]{0,64}") {
            prop_assert_eq!(safe(&text), text);
        }

        #[test]
        fn escaped_json_means_the_same(text in foreign()) {
            let value = serde_json::Value::String(text);
            let escaped = escaped_json(&value.to_string());
            prop_assert!(!escaped.contains(is_hidden), "{:?}", escaped);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }

        #[test]
        fn the_journal_keeps_it(text in foreign()) {
            let safe = SafeText::new(&text);
            let json = serde_json::to_string(&safe).unwrap();
            prop_assert_eq!(serde_json::from_str::<SafeText>(&json).unwrap(), safe);
        }
    }
}
