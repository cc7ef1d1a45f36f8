//! Bytes of a terminal as keys, pastes, the mouse, and answers to what it was asked.
//!
//! Answers come on the same line as keys, whenever the terminal likes: on a slow connection long after they were asked for.
//! They are recognised at any time and never become keys, complete or not. That is why this is not left to crossterm, which
//! takes the answer about a background for fifteen typed letters.
//!
//! ```text
//! ESC ] 11 ; rgb:ffff/ffff/ffff ESC \    the background's colour
//! ESC [ ? 2026 ; 2 $ y                   it can hold a frame back until it is complete
//! ESC [ ? 62 ; 22 c                      what every terminal answers: nothing more will follow
//! ```
//!
//! Longer than 500 lines with its tests, which are sequences of bytes and what they mean.

use super::{Answer, Input, Mouse, MouseDoes};
use crate::config::keymap::{Key, KeyCode};

/// What ends a paste.
const PASTE_END: &[u8] = b"\x1b[201~";
const CTRL_C: u8 = 0x03;
/// No answer that is asked for is longer; and what has begun like one and is longer is none.
const LONGEST_ANSWER: usize = 64;
/// More than this of a paste is left out: no field takes a tenth of it.
const LONGEST_PASTE: usize = 64 * 1024;

/// Takes bytes, gives inputs; keeps what is not complete yet.
#[derive(Default)]
pub(super) struct Decoder {
    parser: vte::Parser,
    meaning: Meaning,
    /// Bytes of a sequence that has begun and not ended.
    open: usize,
    /// The first three of them.
    head: [u8; 3],
    paste: Option<Vec<u8>>,
    /// Nothing more of the paste came for a while.
    stalled: bool,
}

/// What a decoder waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// Nothing: everything that has come has a meaning.
    No,
    /// Whether anything follows an escape that may be the key.
    Escape,
    /// The rest of a sequence.
    Rest,
    /// The rest of an answer.
    Answer,
    /// The end of a paste.
    Paste,
    /// The end of a paste of which nothing came for a while.
    Stalled,
}

impl Decoder {
    /// What bytes mean, as far as they are complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Input> {
        if std::mem::take(&mut self.stalled) && bytes == [CTRL_C] {
            self.end_paste();
        }
        for &byte in bytes {
            if let Some(paste) = &mut self.paste {
                paste.push(byte);
                if paste.ends_with(PASTE_END) {
                    self.end_paste();
                } else if paste.len() >= LONGEST_PASTE + PASTE_END.len() {
                    let _ = paste.drain(LONGEST_PASTE..=LONGEST_PASTE);
                }
                continue;
            }
            if self.is_interrupted(byte) {
                self.forget();
                if byte != CTRL_C {
                    continue;
                }
            }
            self.meaning.dispatched = false;
            self.parser.advance(&mut self.meaning, &[byte]);
            self.open = match (byte, self.open) {
                (0x1b, _) => 1,
                (_, 0) => 0,
                _ if self.meaning.dispatched => 0,
                (_, open) => open + 1,
            };
            if let Some(place) = self.open.checked_sub(1).and_then(|at| self.head.get_mut(at)) {
                *place = byte;
            }
            if std::mem::take(&mut self.meaning.pastes) {
                self.paste = Some(Vec::new());
            }
        }
        std::mem::take(&mut self.meaning.inputs)
    }

    /// What it waits for.
    pub(super) fn waits(&self) -> Waits {
        match self.open {
            _ if self.paste.is_some() && self.stalled => Waits::Stalled,
            _ if self.paste.is_some() => Waits::Paste,
            _ if self.is_answer() => Waits::Answer,
            0 if self.meaning.skips == 0 && !self.meaning.shifted => Waits::No,
            1 => Waits::Escape,
            _ => Waits::Rest,
        }
    }

    /// Nothing more came: an escape alone was the key, anything else that was not completed is nothing.
    pub(super) fn give_up(&mut self) -> Vec<Input> {
        if self.paste.is_some() {
            // What comes late is part of it all the same: a connection that stands still makes no keys of the rest.
            if std::mem::replace(&mut self.stalled, true) {
                self.stalled = false;
                self.end_paste();
            }
        } else if self.open == 1 {
            self.meaning.key(KeyCode::Esc, false);
        }
        self.forget();
        std::mem::take(&mut self.meaning.inputs)
    }

    /// What has begun is nothing.
    fn forget(&mut self) {
        self.parser = vte::Parser::new();
        self.open = 0;
        (self.meaning.skips, self.meaning.shifted) = (0, false);
    }

    /// Whether what has begun can only be an answer: nobody types that.
    fn is_answer(&self) -> bool {
        self.open >= 3
            && matches!(self.head, [_, b']', b'0'..=b'9'] | [_, b'[', b'?'] | [_, b'P', b'!'..=b'?'])
    }

    /// Whether a byte belongs neither to what has begun nor to a key of its own: alt and ENTER, or escape and ENTER on a line
    /// that carries both at once. Neither may confirm what one was about to leave. And no answer has one, or is so long.
    fn is_interrupted(&self, byte: u8) -> bool {
        const ENDS: [u8; 4] = [0x07, 0x18, 0x1a, 0x1b];
        let control = (byte < 0x20 || byte == 0x7f) && !ENDS.contains(&byte);
        (self.open == 1 && control) || (self.is_answer() && (control || self.open > LONGEST_ANSWER))
    }

    fn end_paste(&mut self) {
        let Some(paste) = self.paste.take() else { return };
        let text = paste.strip_suffix(PASTE_END).unwrap_or(&paste);
        let text = String::from_utf8_lossy(text).into_owned();
        self.meaning.inputs.push(Input::Paste(text));
    }
}

/// What sequences mean.
#[derive(Default)]
struct Meaning {
    inputs: Vec<Input>,
    /// Whether the last byte has completed something.
    dispatched: bool,
    /// After `ESC O` the next character is a key's name.
    shifted: bool,
    /// So many characters belong to a sequence that the parser has taken for complete.
    skips: u8,
    /// A paste begins.
    pastes: bool,
}

impl Meaning {
    fn key(&mut self, code: KeyCode, ctrl: bool) {
        let code = match code {
            // Terminals differ in the case they report for ctrl and a letter.
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        self.inputs.push(Input::Key(Key { code, ctrl }));
    }

    /// A key told by number: `13` in `ESC [ 13 ; 5 u`.
    fn by_code_point(&mut self, code: u16, mods: Mods) {
        let code = match code {
            9 if mods.shift => KeyCode::BackTab,
            9 => KeyCode::Tab,
            13 => KeyCode::Enter,
            27 => KeyCode::Esc,
            127 => KeyCode::Backspace,
            _ => match char::from_u32(u32::from(code)).filter(|c| !c.is_control()) {
                Some(c) if mods.shift => KeyCode::Char(c.to_ascii_uppercase()),
                Some(c) => KeyCode::Char(c),
                None => return,
            },
        };
        self.key(code, mods.ctrl);
    }

    fn mouse(&mut self, params: &[u16], pressed: bool) {
        let &[button, column, row] = params else { return };
        let does = match button {
            0 if pressed => MouseDoes::Click,
            64 => MouseDoes::WheelUp,
            65 => MouseDoes::WheelDown,
            // Other buttons, moves, and whatever a modifier would make of it mean nothing here.
            _ => return,
        };
        let (column, row) = (column.saturating_sub(1), row.saturating_sub(1));
        self.inputs.push(Input::Mouse(Mouse { does, column, row }));
    }
}

/// The modifiers of a key that count here.
#[derive(Debug, Clone, Copy)]
struct Mods {
    shift: bool,
    ctrl: bool,
}

impl Mods {
    /// From a sequence's second parameter. None for a key that was released, and for one with alt, super, hyper or meta: many
    /// terminals send alt as escape and the key, which must not become the key alone.
    fn of(param: &[u16]) -> Option<Self> {
        const SHIFT: u16 = 1;
        const CTRL: u16 = 4;
        const IGNORED: u16 = 64 | 128;
        const RELEASED: u16 = 3;
        let bits = param.first().copied().unwrap_or(1).max(1) - 1;
        if bits & !(SHIFT | CTRL | IGNORED) != 0 || param.get(1) == Some(&RELEASED) {
            return None;
        }
        Some(Self { shift: bits & SHIFT != 0, ctrl: bits & CTRL != 0 })
    }
}

impl vte::Perform for Meaning {
    fn print(&mut self, c: char) {
        self.dispatched = true;
        if self.skips > 0 {
            self.skips -= 1;
            return;
        }
        if std::mem::take(&mut self.shifted) {
            let code = match c {
                'A' => KeyCode::Up,
                'B' => KeyCode::Down,
                'C' => KeyCode::Right,
                'D' => KeyCode::Left,
                'H' => KeyCode::Home,
                'F' => KeyCode::End,
                'M' => KeyCode::Enter,
                _ => return,
            };
            return self.key(code, false);
        }
        match c {
            '\u{7f}' => self.key(KeyCode::Backspace, false),
            // No UTF-8: nobody has typed that.
            char::REPLACEMENT_CHARACTER => {}
            c => self.key(KeyCode::Char(c), false),
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x00 => self.key(KeyCode::Char(' '), true),
            0x08 => self.key(KeyCode::Backspace, false),
            0x09 => self.key(KeyCode::Tab, false),
            // Serial lines and some multiplexers send the one for the other.
            0x0a | 0x0d => self.key(KeyCode::Enter, false),
            0x01..=0x1a => self.key(KeyCode::Char(char::from(byte - 1 + b'a')), true),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        self.dispatched = true;
        // Everything else is alt and a key, or the end of an answer.
        self.shifted = intermediates.is_empty() && byte == b'O';
    }

    fn csi_dispatch(&mut self, params: &vte::Params, intermediates: &[u8], _: bool, action: char) {
        self.dispatched = true;
        let params: Vec<&[u16]> = params.iter().collect();
        let flat: Vec<u16> = params.iter().filter_map(|param| param.first().copied()).collect();
        let first = flat.first().copied().unwrap_or_default();
        match (intermediates, action) {
            (b"?", 'c') => self.inputs.push(Input::Told(Answer::Last)),
            // Set, reset, or always set: it is known. 0 is unknown, 4 is never.
            (b"?$", 'y') if matches!(flat[..], [2026, 1..=3]) => {
                self.inputs.push(Input::Told(Answer::HoldsFrames));
            }
            (b"<", 'M' | 'm') => self.mouse(&flat, action == 'M'),
            (b"", 'M') => self.skips = 3,
            // The function keys of the Linux console.
            (b"", '[') => self.skips = 1,
            (b"", '~') if first == 200 => self.pastes = true,
            (b"", _) => {
                let Some(mods) = Mods::of(params.get(1).copied().unwrap_or_default()) else { return };
                let code = match (action, first) {
                    ('A', _) => KeyCode::Up,
                    ('B', _) => KeyCode::Down,
                    ('C', _) => KeyCode::Right,
                    ('D', _) => KeyCode::Left,
                    ('H', _) | ('~', 1 | 7) => KeyCode::Home,
                    ('F', _) | ('~', 4 | 8) => KeyCode::End,
                    ('Z', _) => KeyCode::BackTab,
                    ('~', 2) => KeyCode::Insert,
                    ('~', 3) => KeyCode::Delete,
                    ('~', 5) => KeyCode::PageUp,
                    ('~', 6) => KeyCode::PageDown,
                    ('~', 27) => return self.by_code_point(flat.get(2).copied().unwrap_or_default(), mods),
                    ('u', code) => return self.by_code_point(code, mods),
                    _ => return,
                };
                self.key(code, mods.ctrl);
            }
            _ => {}
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.dispatched = true;
        if let [b"11", colour] = params
            && let Some(colour) = colour_of(colour)
        {
            self.inputs.push(Input::Told(Answer::Background(colour)));
        }
    }

    fn unhook(&mut self) {
        self.dispatched = true;
    }
}

/// A colour as terminals write it: `rgb:ffff/ffff/ffff` with one to four digits each, or `rgba:` with a fourth part.
fn colour_of(text: &[u8]) -> Option<[u8; 3]> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, parts) = text.split_once(':').filter(|(kind, _)| matches!(*kind, "rgb" | "rgba"))?;
    let part = |part: &str| -> Option<u8> {
        let most = match part.len() {
            1..=4 => (1_u32 << (4 * part.len())) - 1,
            _ => return None,
        };
        u8::try_from(u32::from_str_radix(part, 16).ok()? * 255 / most).ok()
    };
    let mut parts = parts.split('/').map(part);
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing more comes, however long it waits.
    fn silence(decoder: &mut Decoder) -> Vec<Input> {
        let mut inputs = Vec::new();
        while decoder.waits() != Waits::No {
            inputs.extend(decoder.give_up());
        }
        inputs
    }

    /// What bytes mean that come one by one: no boundary of a read may matter.
    fn all(bytes: &[u8]) -> Vec<Input> {
        let at_once = {
            let mut decoder = Decoder::default();
            let mut inputs = decoder.take(bytes);
            inputs.extend(silence(&mut decoder));
            inputs
        };
        let mut decoder = Decoder::default();
        let mut inputs: Vec<Input> = bytes.iter().flat_map(|byte| decoder.take(&[*byte])).collect();
        inputs.extend(silence(&mut decoder));
        assert_eq!(inputs, at_once);
        inputs
    }

    fn key(code: KeyCode) -> Input {
        Input::Key(Key::named(code))
    }

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        use KeyCode as K;
        let cases: [(&[u8], K); 26] = [
            (b"R", K::Char('R')),
            (b" ", K::Char(' ')),
            ("ü".as_bytes(), K::Char('ü')),
            (b"\r", K::Enter),
            (b"\n", K::Enter),
            (b"\t", K::Tab),
            (b"\x7f", K::Backspace),
            (b"\x08", K::Backspace),
            (b"\x1b", K::Esc),
            (b"\x1b[A", K::Up),
            (b"\x1bOA", K::Up),
            (b"\x1b[B", K::Down),
            (b"\x1b[C", K::Right),
            (b"\x1b[D", K::Left),
            (b"\x1b[H", K::Home),
            (b"\x1b[1~", K::Home),
            (b"\x1b[7~", K::Home),
            (b"\x1bOF", K::End),
            (b"\x1b[4~", K::End),
            (b"\x1b[2~", K::Insert),
            (b"\x1b[3~", K::Delete),
            (b"\x1b[5~", K::PageUp),
            (b"\x1b[6~", K::PageDown),
            (b"\x1b[Z", K::BackTab),
            (b"\x1b[13u", K::Enter),
            (b"\x1b[114;2u", K::Char('R')),
        ];
        for (bytes, code) in cases {
            assert_eq!(all(bytes), [key(code)], "{:?}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(all(b"\x03"), [Input::Key(Key::ctrl('c'))]);
        assert_eq!(all(b"\x1b[99;5u"), [Input::Key(Key::ctrl('c'))]);
        assert_eq!(all(b"\x1b[1;5C"), [Input::Key(Key { code: K::Right, ctrl: true })]);
        assert_eq!(all(b"jR"), [key(K::Char('j')), key(K::Char('R'))]);
    }

    #[test]
    fn what_is_no_key_here_is_nothing() {
        let nothing: [&[u8]; 18] = [
            b"\x1b\r", // alt and ENTER, or escape and ENTER at once
            b"\x1b\t",
            b"\x1b\x7f",
            b"\x1b\x0c",
            b"\x1by",         // alt
            b"\x1b[1;3A",     // alt
            b"\x1b[121;9u",   // super
            b"\x1b[121;1:3u", // released
            b"\x1bOP",        // F1
            b"\x1b[15~",      // F5
            b"\x1b[[A",       // F1 of the Linux console
            b"\x1b[I",        // focus
            b"\x1b[M !!",     // the mouse as others have left it on
            b"\x1b[",         // alt and a bracket, or half of a sequence
            b"\x1bO",
            b"\x1b]",
            b"\x1bP1$r0m\x1b\\",
            b"\xff\xfe",
        ];
        for bytes in nothing {
            assert_eq!(all(bytes), [], "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn answers_are_no_keys_whenever_they_come() {
        let white = || Input::Told(Answer::Background([255, 255, 255]));
        assert_eq!(all(b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\"), [white()]);
        assert_eq!(all(b"\x1b]11;rgb:ff/ff/ff\x07"), [white()]);
        assert_eq!(all(b"\x1b]11;rgba:f/f/f/8\x07"), [white()]);
        let solarized = Input::Told(Answer::Background([0, 43, 54]));
        assert_eq!(all(b"\x1b]11;rgb:0000/2b2b/3636\x1b\\"), [solarized]);
        let (frames, last) = (|| Input::Told(Answer::HoldsFrames), || Input::Told(Answer::Last));
        assert_eq!(all(b"\x1b[?2026;2$y"), [frames()]);
        assert_eq!(all(b"\x1b[?2026;0$y\x1b[?2026;4$y"), []);
        assert_eq!(all(b"\x1b[?62;22c"), [last()]);
        // In the middle of typing.
        let typed = all(b"a\x1b[?2026;1$y\x1b]11;rgb:ffff/ffff/ffff\x07b\x1b[?6cR");
        assert_eq!(
            typed,
            [
                key(KeyCode::Char('a')),
                frames(),
                white(),
                key(KeyCode::Char('b')),
                last(),
                key(KeyCode::Char('R'))
            ]
        );
    }

    #[test]
    fn no_part_of_an_answer_is_a_key() {
        // Whatever the line has lost of it: what was there of it is nothing, and the next key is itself again.
        for answer in [&b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\"[..], b"\x1b[?2026;2$y", b"\x1b[?62;22c"] {
            for end in 2..answer.len() {
                let mut decoder = Decoder::default();
                let mut inputs = decoder.take(&answer[..end]);
                inputs.extend(decoder.give_up());
                inputs.retain(|input| {
                    !matches!(input, Input::Told(_) | Input::Key(Key { code: KeyCode::Esc, .. }))
                });
                assert_eq!(inputs, [], "{end} of {:?}", String::from_utf8_lossy(answer));
                assert_eq!(decoder.take(b"R"), [key(KeyCode::Char('R'))]);
            }
        }
    }

    #[test]
    fn a_paste_stays_one_whatever_is_in_it() {
        let pasted = |text: &str| Input::Paste(text.to_owned());
        assert_eq!(
            all(b"\x1b[200~y\rR\x1b[A\x1b]11;x\x07\x1b[201~q"),
            [pasted("y\rR\x1b[A\x1b]11;x\x07"), key(KeyCode::Char('q'))]
        );
        assert_eq!(all(b"\x1b[200~cut off"), [pasted("cut off")]);
        let mut long = b"\x1b[200~".to_vec();
        long.extend(vec![b'x'; 3 * LONGEST_PASTE]);
        long.extend(PASTE_END);
        assert!(all(&long) == [pasted(&"x".repeat(LONGEST_PASTE))]);
    }

    #[test]
    fn a_paste_that_stalls_makes_no_keys_of_its_rest() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.take(b"\x1b[200~first"), []);
        assert_eq!(decoder.give_up(), []);
        assert_eq!(decoder.waits(), Waits::Stalled);
        assert_eq!(
            decoder.take(b"\rR\x1b[201~j"),
            [Input::Paste("first\rR".to_owned()), key(KeyCode::Char('j'))]
        );
        decoder.take(b"\x1b[200~no end");
        decoder.give_up();
        let freed = decoder.take(&[CTRL_C]);
        assert_eq!(freed, [Input::Paste("no end".to_owned()), Input::Key(Key::ctrl('c'))]);
    }

    #[test]
    fn what_interrupts_an_answer_frees_the_keys() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.take(b"\x1b]11;rgb:ff\r"), [], "it may be the end of anything");
        assert_eq!(decoder.take(b"R"), [key(KeyCode::Char('R'))]);
        assert_eq!(decoder.take(b"\x1b]11;rgb:ff\x03"), [Input::Key(Key::ctrl('c'))]);
        decoder.take(b"\x1b]11;");
        let late: Vec<Input> = decoder.take(&[b'x'; 2 * LONGEST_ANSWER]);
        assert!(!late.is_empty(), "nothing is swallowed without end");
        assert_eq!(decoder.take(b"\x1b\x03"), [Input::Key(Key::ctrl('c'))]);
    }

    #[test]
    fn the_mouse_clicks_and_scrolls() {
        let mouse = |does, column, row| Input::Mouse(Mouse { does, column, row });
        assert_eq!(all(b"\x1b[<0;10;5M\x1b[<0;10;5m"), [mouse(MouseDoes::Click, 9, 4)]);
        assert_eq!(
            all(b"\x1b[<64;1;1M\x1b[<65;200;60M"),
            [mouse(MouseDoes::WheelUp, 0, 0), mouse(MouseDoes::WheelDown, 199, 59)]
        );
        assert_eq!(all(b"\x1b[<2;1;1M\x1b[<32;1;1M\x1b[<16;1;1M"), []);
    }

    #[test]
    fn it_says_what_it_waits_for() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.waits(), Waits::No);
        decoder.take(b"\x1b");
        assert_eq!(decoder.waits(), Waits::Escape);
        decoder.take(b"]");
        assert_eq!(decoder.waits(), Waits::Rest);
        decoder.take(b"11;rgb:ff");
        assert_eq!(decoder.waits(), Waits::Answer);
        decoder.take(b"ff/ffff/ffff\x07");
        assert_eq!(decoder.waits(), Waits::No);
        decoder.take(b"\x1bO");
        assert_eq!(decoder.waits(), Waits::Rest);
        decoder.take(b"A\x1b[200~");
        assert_eq!(decoder.waits(), Waits::Paste);
        decoder.take(PASTE_END);
        assert_eq!(decoder.waits(), Waits::No);
    }
}
