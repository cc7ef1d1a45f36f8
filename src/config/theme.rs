//! How roles look: themes for dark and light backgrounds, for eyes that need more contrast or tell red and green apart badly,
//! one without colour, and whether there is more than ASCII.
//!
//! Colour only underlines what words and glyphs already say. Red is kept for what needs a person now. Everything here
//! is a pure function of given values, so every terminal can be tried in a test: each text has a contrast of at least 4.5:1
//! on every background that its theme is for.

mod inks;

use inks::Inks;

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
    /// The lines between panes: no text.
    Rule,
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
    /// A line around what needs a person now: no text.
    BadEdge,
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

/// A theme as a person chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThemeChoice {
    /// Dark or light, as the terminal says when it is asked; dark where it doesn't answer.
    #[default]
    Auto,
    /// For dark backgrounds.
    Dark,
    /// For light backgrounds.
    Light,
    /// White on black, whatever the terminal's background is, and nothing below 7:1 where there are 256 colours.
    HighContrast,
    /// Without red and green: blue, yellow, and black on orange. For dark or light, as the terminal says.
    ColourBlind,
    /// No colour at all.
    Mono,
}

impl ThemeChoice {
    /// The words in settings and on the command line.
    pub const WORDS: &'static [&'static str] =
        &["auto", "dark", "light", "high-contrast", "colour-blind", "mono"];

    /// The choice that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "dark" => Some(Self::Dark),
            "light" => Some(Self::Light),
            "high-contrast" => Some(Self::HighContrast),
            // Both spellings: half of its users would write the other one.
            "colour-blind" | "color-blind" => Some(Self::ColourBlind),
            "mono" => Some(Self::Mono),
            _ => None,
        }
    }
}

/// What the terminal's background is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ground {
    /// White text is easier to read on it than black text.
    #[default]
    Dark,
    /// Black text is easier to read on it.
    Light,
}

impl Ground {
    /// What a background of this colour is.
    pub fn of(colour: [u8; 3]) -> Self {
        let light = luminance(colour);
        if contrast(light, 0.0) > contrast(1.0, light) { Self::Light } else { Self::Dark }
    }
}

/// The relative luminance of an sRGB colour, 0 to 1, as WCAG 2 defines it.
pub fn luminance(colour: [u8; 3]) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The contrast of two luminances, 1 to 21, as WCAG 2 defines it.
pub fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Which inks a theme draws with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Scheme {
    #[default]
    Plain,
    HighContrast,
    ColourBlind,
    Mono,
}

/// How roles look, and whether only ASCII is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    scheme: Scheme,
    ground: Ground,
    /// Whether there are 256 colours. Those beyond the first sixteen are the same in all terminals; the sixteen are what the
    /// user's palette makes of them, down to grey for bright green.
    many: bool,
    /// Whether it depends on what the terminal says of its background.
    asks: bool,
    /// Whether only ASCII is drawn.
    pub ascii: bool,
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(ThemeChoice::Dark, true, false)
    }
}

impl Theme {
    /// A theme; `many` says whether the terminal has 256 colours.
    pub fn new(choice: ThemeChoice, many: bool, ascii: bool) -> Self {
        let scheme = match choice {
            ThemeChoice::Auto | ThemeChoice::Dark | ThemeChoice::Light => Scheme::Plain,
            ThemeChoice::HighContrast => Scheme::HighContrast,
            ThemeChoice::ColourBlind => Scheme::ColourBlind,
            ThemeChoice::Mono => Scheme::Mono,
        };
        let ground = if choice == ThemeChoice::Light { Ground::Light } else { Ground::Dark };
        let asks = matches!(choice, ThemeChoice::Auto | ThemeChoice::ColourBlind);
        Self { scheme, ground, many, asks, ascii }
    }

    /// Whether the terminal's background matters to it.
    pub fn asks(self) -> bool {
        self.asks
    }

    /// The background it is drawn on.
    pub fn ground(self) -> Ground {
        self.ground
    }

    /// The same on this background.
    #[must_use]
    pub fn on(self, ground: Ground) -> Self {
        if self.asks { Self { ground, ..self } } else { self }
    }

    /// Whether colours are used.
    pub fn has_colour(self) -> bool {
        self.scheme != Scheme::Mono
    }

    /// The colours of text and background that are drawn everywhere, where it doesn't rely on the terminal's.
    pub fn paper(self) -> Option<(u8, u8)> {
        match (self.scheme, self.many) {
            (Scheme::HighContrast, true) => Some((inks::WHITE, inks::BLACK)),
            (Scheme::HighContrast, false) => Some((15, 0)),
            (Scheme::Plain | Scheme::ColourBlind | Scheme::Mono, _) => None,
        }
    }

    /// How a role looks. Without colour, only attributes are used, and what stands out still does.
    pub fn style(self, role: Role) -> Style16 {
        match self.inks() {
            Some(inks) => inks.style(role),
            None => Self::monochrome(role),
        }
    }

    /// The colour that stands for one of the sixteen of command output, readable here; none is the text's own.
    pub fn foreign(self, colour: u8) -> Option<u8> {
        let inks = self.inks()?;
        match colour % 8 {
            1 => inks.foreign_red,
            2 => inks.good.0,
            3 => inks.foreign_yellow,
            4 => inks.blue.0,
            5 | 6 => inks.command.0,
            // Black and white are what a terminal's text is anyway; grey is for what matters less.
            _ if colour == 8 => inks.dim.0,
            _ => None,
        }
    }

    fn inks(self) -> Option<&'static Inks> {
        let dark = self.ground == Ground::Dark;
        Some(match (self.scheme, self.many) {
            (Scheme::Mono, _) => return None,
            (Scheme::Plain, true) if dark => &inks::DARK,
            (Scheme::Plain, false) if dark => &inks::DARK_16,
            (Scheme::Plain, true) => &inks::LIGHT,
            (Scheme::Plain, false) => &inks::LIGHT_16,
            (Scheme::ColourBlind, true) if dark => &inks::BLIND_DARK,
            (Scheme::ColourBlind, false) if dark => &inks::BLIND_DARK_16,
            (Scheme::ColourBlind, true) => &inks::BLIND_LIGHT,
            (Scheme::ColourBlind, false) => &inks::BLIND_LIGHT_16,
            (Scheme::HighContrast, true) => &inks::HIGH,
            (Scheme::HighContrast, false) => &inks::HIGH_16,
        })
    }

    fn monochrome(role: Role) -> Style16 {
        let plain = Style16::default();
        match role {
            Role::Text | Role::Good | Role::Command => plain,
            // Told apart from the other slot, also as lines of a chart.
            Role::SlotGreen => Style16 { underline: true, ..plain },
            Role::Dim | Role::Rule => Style16 { dim: true, ..plain },
            Role::Title
            | Role::Next
            | Role::Key
            | Role::BorderFocused
            | Role::SlotBlue
            | Role::BadEdge
            | Role::SlotOther => Style16 { bold: true, ..plain },
            Role::Warn => Style16 { underline: true, ..plain },
            Role::Critical | Role::Bad | Role::Match => Style16 { bold: true, underline: true, ..plain },
            Role::Selection | Role::Band(_) | Role::BandRehearsal => Style16 { reverse: true, ..plain },
            Role::BadBand => Style16 { reverse: true, bold: true, ..plain },
        }
    }
}

/// Whether the terminal is known to have 256 colours.
pub fn has_many_colours(env: &dyn Fn(&str) -> Option<String>) -> bool {
    const KNOWN: [&str; 8] =
        ["256", "direct", "kitty", "alacritty", "foot", "wezterm", "ghostty", "truecolor"];
    let colour = env("COLORTERM").is_some_and(|value| matches!(value.as_str(), "truecolor" | "24bit"));
    let term = env("TERM").unwrap_or_default();
    // The Linux console has sixteen, whatever somebody has exported.
    term != "linux" && (colour || KNOWN.iter().any(|known| term.contains(known)))
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
        let theme = Theme::new(ThemeChoice::Mono, true, false);
        for role in
            [Role::Selection, Role::Bad, Role::BadBand, Role::Band(Environment::Production), Role::SlotBlue]
        {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None));
            assert_ne!(style, Style16::default(), "{role:?} must stand out");
        }
    }

    #[test]
    fn grounds_are_told_by_what_is_easier_to_read_on_them() {
        for dark in [[0, 0, 0], [0x30, 0x0a, 0x24], [0x2e, 0x34, 0x40], [0x60, 0x60, 0x60]] {
            assert_eq!(Ground::of(dark), Ground::Dark, "{dark:?}");
        }
        for light in [[255, 255, 255], [0xfd, 0xf6, 0xe3], [0xaa, 0xaa, 0xaa]] {
            assert_eq!(Ground::of(light), Ground::Light, "{light:?}");
        }
    }

    #[test]
    fn only_what_depends_on_it_asks_for_the_background() {
        let asked = |choice| Theme::new(choice, true, false).on(Ground::Light);
        assert_ne!(asked(ThemeChoice::Auto), Theme::new(ThemeChoice::Auto, true, false));
        assert_eq!(asked(ThemeChoice::Dark), Theme::new(ThemeChoice::Dark, true, false));
        assert!(!Theme::new(ThemeChoice::HighContrast, true, false).asks());
    }

    #[test]
    fn many_colours_are_believed_where_the_terminal_is_known() {
        let many = |pairs: &[(&str, &str)]| has_many_colours(&env(pairs));
        assert!(many(&[("TERM", "xterm-256color")]) && many(&[("TERM", "xterm-kitty")]));
        assert!(many(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]));
        assert!(!many(&[("TERM", "xterm")]) && !many(&[]));
        assert!(!many(&[("TERM", "linux"), ("COLORTERM", "truecolor")]));
    }
}
