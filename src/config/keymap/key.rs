//! Keys as they are written, shown and compared, without any terminal.

use std::{fmt, str::FromStr};

/// A key press: a key, with or without ctrl. Shift is part of the character (`R`); alt and function keys don't exist
/// here, since terminals, multiplexers and desktops keep them for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The key.
    pub code: KeyCode,
    /// Whether ctrl is held.
    pub ctrl: bool,
}

/// A key without modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyCode {
    /// A character as typed, shift applied. Space is `' '`.
    Char(char),
    /// Enter, Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Insert.
    Insert,
}

/// Keys with a name of their own. The first name is the one shown.
const NAMED: &[(KeyCode, &[&str])] = &[
    (KeyCode::Char(' '), &["space"]),
    (KeyCode::Enter, &["enter", "return"]),
    (KeyCode::Esc, &["esc", "escape"]),
    (KeyCode::Tab, &["tab"]),
    (KeyCode::BackTab, &["shift-tab", "backtab"]),
    (KeyCode::Up, &["up"]),
    (KeyCode::Down, &["down"]),
    (KeyCode::Left, &["left"]),
    (KeyCode::Right, &["right"]),
    (KeyCode::Home, &["home"]),
    (KeyCode::End, &["end"]),
    (KeyCode::PageUp, &["pgup", "page-up", "pageup"]),
    (KeyCode::PageDown, &["pgdn", "page-down", "pagedown"]),
    (KeyCode::Backspace, &["backspace"]),
    (KeyCode::Delete, &["delete", "del"]),
    (KeyCode::Insert, &["insert", "ins"]),
];

impl Key {
    /// A character key.
    pub const fn char(c: char) -> Self {
        Self { code: KeyCode::Char(c), ctrl: false }
    }

    /// A key with a name.
    pub const fn named(code: KeyCode) -> Self {
        Self { code, ctrl: false }
    }

    /// A letter with ctrl.
    pub const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), ctrl: true }
    }

    /// Whether it would put a character into a text.
    pub fn is_text(self) -> bool {
        !self.ctrl && matches!(self.code, KeyCode::Char(_))
    }
}

impl From<KeyCode> for Key {
    fn from(code: KeyCode) -> Self {
        Self::named(code)
    }
}

impl fmt::Display for Key {
    /// As in a keymap file and in the footer: `j`, `R`, `space`, `shift-tab`, `ctrl-l`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if self.ctrl {
            text.push_str("ctrl-");
        }
        match (NAMED.iter().find(|(code, _)| *code == self.code), self.code) {
            (Some((_, names)), _) => text.push_str(names[0]),
            (None, KeyCode::Char(c)) => text.push(c),
            (None, other) => text.push_str(&format!("{other:?}").to_lowercase()),
        }
        f.pad(&text)
    }
}

/// Why a text is not a key that can be bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Alt, meta, option.
    #[error("`{0}` uses alt, which many terminals intercept or send as escape")]
    Alt(String),
    /// F1 to F24.
    #[error("`{0}` is a function key; terminals and desktops intercept those")]
    Function(String),
    /// A ctrl key that terminals use, or send as another key.
    #[error("`{0}` is {1}")]
    Reserved(String, &'static str),
    /// Shift with a letter.
    #[error("`{0}` must be written as a capital letter")]
    Shift(String),
    /// Anything else.
    #[error("`{0}` is not a valid key")]
    Unknown(String),
}

impl BadKey {
    /// What would be right.
    pub fn help(&self) -> String {
        match self {
            Self::Alt(_) | Self::Function(_) | Self::Reserved(..) => {
                "use a letter, a digit, a sign, or a named key such as `space` or `pgup`".to_owned()
            }
            Self::Shift(text) => {
                let letter = text.rsplit('-').next().unwrap_or_default().to_uppercase();
                format!("write `{letter}`")
            }
            Self::Unknown(_) => {
                let names: Vec<&str> = NAMED.iter().map(|(_, names)| names[0]).collect();
                format!(
                    "a key is one character (`j`, `R`, `/`), `ctrl-` with a letter, or {}",
                    names.join(", ")
                )
            }
        }
    }
}

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            return if c.is_control() || c == ' ' {
                Err(BadKey::Unknown(text.to_owned()))
            } else {
                Ok(Self::char(c))
            };
        }
        let lower = text.to_lowercase();
        if let Some((code, _)) = NAMED.iter().find(|(_, names)| names.contains(&lower.as_str())) {
            return Ok(Self::named(*code));
        }
        if ["alt-", "meta-", "option-", "m-", "a-"].iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(BadKey::Alt(text.to_owned()));
        }
        if lower.strip_prefix('f').is_some_and(|n| n.parse::<u8>().is_ok_and(|n| (1..=24).contains(&n))) {
            return Err(BadKey::Function(text.to_owned()));
        }
        if let Some(rest) = ["ctrl-", "ctrl+", "c-", "^"].iter().find_map(|prefix| lower.strip_prefix(prefix))
        {
            let mut chars = rest.chars();
            let (Some(c), None) = (chars.next(), chars.next()) else {
                return Err(BadKey::Unknown(text.to_owned()));
            };
            return match reserved(c) {
                Some(why) => Err(BadKey::Reserved(text.to_owned(), why)),
                None if c.is_ascii_lowercase() => Ok(Self::ctrl(c)),
                None => Err(BadKey::Unknown(text.to_owned())),
            };
        }
        if lower.strip_prefix("shift-").is_some_and(|rest| rest.chars().count() == 1) {
            return Err(BadKey::Shift(text.to_owned()));
        }
        Err(BadKey::Unknown(text.to_owned()))
    }
}

/// Why a letter cannot be bound with ctrl, where it cannot.
fn reserved(c: char) -> Option<&'static str> {
    match c {
        'c' => Some("the terminal's interrupt; here it only tells how to quit"),
        'z' => Some("the terminal's suspend"),
        'd' => Some("the terminal's end of input"),
        's' | 'q' => Some("the terminal's flow control"),
        '\\' => Some("the terminal's quit signal"),
        'h' => Some("backspace on many terminals"),
        'i' => Some("tab on every terminal"),
        'j' | 'm' => Some("enter on every terminal"),
        '[' => Some("escape on every terminal"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_shown() {
        for text in
            ["j", "R", "/", "+", "?", ":", "space", "enter", "esc", "shift-tab", "pgup", "ctrl-l", "1", "é"]
        {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        assert_eq!("Escape".parse::<Key>().unwrap(), KeyCode::Esc.into());
        assert_eq!("C-l".parse::<Key>().unwrap(), Key::ctrl('l'));
    }

    #[test]
    fn keys_that_never_arrive_are_refused() {
        assert!(matches!("alt-x".parse::<Key>(), Err(BadKey::Alt(_))));
        assert!(matches!("M-x".parse::<Key>(), Err(BadKey::Alt(_))));
        assert!(matches!("F5".parse::<Key>(), Err(BadKey::Function(_))));
        for c in ["c", "z", "s", "q", "d", "i", "m", "j", "h", "[", "\\"] {
            assert!(matches!(format!("ctrl-{c}").parse::<Key>(), Err(BadKey::Reserved(..))), "{c}");
        }
        assert_eq!("shift-r".parse::<Key>().unwrap_err().help(), "write `R`");
        for text in ["", " ", "\u{1b}", "foo", "ctrl-", "ctrl-F5", "jj"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
