//! How roles look: sixteen colours, a monochrome variant, and whether there is more than ASCII.
//!
//! Colour only underlines what words and glyphs already say. Red is kept for what needs a person now. Everything here
//! is a pure function of given values, so every terminal can be tried in a test.

use crate::domain::{runbook::Environment, safe_text::Style16};

/// What a piece of the screen is. The theme says how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    Text,
    /// A heading.
    Title,
    /// What is past, or matters less.
    Dim,
    /// A pane's border.
    Border,
    /// The border of the pane that has the keys.
    BorderFocused,
    /// The selected row.
    Selection,
    /// A key in the footer and in help.
    Key,
    /// What the next key will do.
    Next,
    /// Holds, ready, passed.
    Good,
    /// Outside normal, or waiting.
    Warn,
    /// Needs a person now: failed, alert, breach.
    Bad,
    /// A breach's or countdown's whole line.
    BadBand,
    /// A critical text before a step.
    Critical,
    /// The header's band in an environment.
    Band(Environment),
    /// The header's band in a rehearsal.
    BandRehearsal,
    /// The blue slot, and things of it.
    SlotBlue,
    /// The green slot, and things of it.
    SlotGreen,
    /// A slot of another name.
    SlotOther,
    /// A command as a person would type it.
    Command,
    /// Text that matches a search.
    Match,
}

impl Role {
    /// The role of a slot, by its name.
    pub fn slot(name: &str) -> Self {
        match name {
            "blue" => Self::SlotBlue,
            "green" => Self::SlotGreen,
            _ => Self::SlotOther,
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// Where the terminal is known to take them and `NO_COLOR` is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// The words in settings and on the command line.
    pub const WORDS: &'static [&'static str] = &["auto", "always", "never"];

    /// The choice that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// Whether to use colours. `env` gives environment variables, `terminal` says whether the output is one.
///
/// `NO_COLOR` counts where it is set and not empty (no-color.org). A choice on the command line or in the settings beats it.
pub fn use_color(choice: ColorChoice, env: &dyn Fn(&str) -> Option<String>, terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let no_color = env("NO_COLOR").is_some_and(|value| !value.is_empty());
            terminal && !no_color && !is_dumb(env)
        }
    }
}

/// Whether to draw with ASCII only: where it was chosen, on a dumb terminal, and where the locale is not UTF-8.
///
/// The locale is the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set and not empty, as POSIX has it; with none of
/// them set it is `C`, which is ASCII.
pub fn use_ascii(choice: Option<bool>, env: &dyn Fn(&str) -> Option<String>) -> bool {
    choice.unwrap_or_else(|| {
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env).find(|value| !value.is_empty());
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        !utf8 || is_dumb(env)
    })
}

/// `TERM=dumb`: no colours, no drawing beyond ASCII.
pub fn is_dumb(env: &dyn Fn(&str) -> Option<String>) -> bool {
    env("TERM").is_some_and(|term| term == "dumb")
}

/// How roles look, and whether only ASCII is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours are used.
    pub color: bool,
    /// Whether only ASCII is drawn.
    pub ascii: bool,
}

impl Default for Theme {
    fn default() -> Self {
        Self { color: true, ascii: false }
    }
}

const RED: u8 = 1;
const GREEN: u8 = 2;
const YELLOW: u8 = 3;
const BLUE: u8 = 4;
const MAGENTA: u8 = 5;
const CYAN: u8 = 6;
const WHITE: u8 = 7;
const BLACK: u8 = 0;
const BRIGHT_WHITE: u8 = 15;

impl Theme {
    /// How a role looks. Without colour, only attributes are used, and what stands out still does.
    pub fn style(self, role: Role) -> Style16 {
        if self.color { Self::colored(role) } else { Self::monochrome(role) }
    }

    fn colored(role: Role) -> Style16 {
        let plain = Style16::default();
        let on = |fg: u8, bg: u8| Style16 { fg: Some(fg), bg: Some(bg), bold: true, ..plain };
        let fg = |fg: u8| Style16 { fg: Some(fg), ..plain };
        let bold = |fg: u8| Style16 { fg: Some(fg), bold: true, ..plain };
        match role {
            Role::Text | Role::Border => plain,
            Role::Title | Role::Next => Style16 { bold: true, ..plain },
            Role::Dim => Style16 { dim: true, ..plain },
            Role::Selection => Style16 { reverse: true, ..plain },
            Role::BorderFocused | Role::Key | Role::SlotOther => bold(CYAN),
            Role::Good => fg(GREEN),
            Role::Warn | Role::Critical => bold(YELLOW),
            Role::Bad => bold(RED),
            Role::BadBand => on(BRIGHT_WHITE, RED),
            // Not red: a header that is always red would teach the eye to pass over it.
            Role::Band(Environment::Production) => on(BRIGHT_WHITE, MAGENTA),
            Role::Band(Environment::Staging) | Role::Match => on(BLACK, YELLOW),
            Role::Band(Environment::Development) => on(BLACK, CYAN),
            Role::BandRehearsal => on(BLACK, WHITE),
            Role::SlotBlue => bold(BLUE),
            Role::SlotGreen => bold(GREEN),
            Role::Command => fg(CYAN),
        }
    }

    fn monochrome(role: Role) -> Style16 {
        let plain = Style16::default();
        match role {
            Role::Text | Role::Border | Role::Good | Role::Command => plain,
            Role::Dim => Style16 { dim: true, ..plain },
            Role::Title
            | Role::Next
            | Role::Key
            | Role::Warn
            | Role::BorderFocused
            | Role::SlotBlue
            | Role::SlotGreen
            | Role::SlotOther => Style16 { bold: true, ..plain },
            Role::Critical | Role::Bad | Role::Match => Style16 { bold: true, underline: true, ..plain },
            Role::Selection | Role::Band(_) | Role::BandRehearsal => Style16 { reverse: true, ..plain },
            Role::BadBand => Style16 { reverse: true, bold: true, ..plain },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn colour_follows_choice_then_environment() {
        let auto = |pairs: &[(&str, &str)], terminal| use_color(ColorChoice::Auto, &env(pairs), terminal);
        assert!(auto(&[("TERM", "xterm")], true));
        assert!(!auto(&[("TERM", "xterm")], false));
        assert!(!auto(&[("NO_COLOR", "1")], true));
        assert!(auto(&[("NO_COLOR", "")], true));
        assert!(!auto(&[("TERM", "dumb")], true));
        assert!(use_color(ColorChoice::Always, &env(&[("NO_COLOR", "1")]), false));
        assert!(!use_color(ColorChoice::Never, &env(&[]), true));
    }

    #[test]
    fn ascii_where_the_locale_is_not_utf8() {
        let ascii = |pairs: &[(&str, &str)]| use_ascii(None, &env(pairs));
        assert!(!ascii(&[("LANG", "en_GB.UTF-8")]));
        assert!(!ascii(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(!ascii(&[("LC_ALL", ""), ("LANG", "de_DE.utf8")]));
        assert!(ascii(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
        assert!(ascii(&[]));
        assert!(ascii(&[("LANG", "en_GB.UTF-8"), ("TERM", "dumb")]));
        assert!(use_ascii(Some(true), &env(&[("LANG", "en_GB.UTF-8")])));
        assert!(!use_ascii(Some(false), &env(&[])));
    }

    #[test]
    fn the_monochrome_theme_has_no_colour_and_a_visible_selection() {
        let theme = Theme { color: false, ascii: false };
        for role in
            [Role::Selection, Role::Bad, Role::BadBand, Role::Band(Environment::Production), Role::SlotBlue]
        {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None));
            assert_ne!(style, Style16::default(), "{role:?} must stand out");
        }
    }
}
