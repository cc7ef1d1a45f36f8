//! The colours of each theme.
//!
//! Where a terminal has 256 colours, those beyond the first sixteen are used: a cube and greys that are the same everywhere,
//! so that the contrast can be computed. The sixteen are what a user's palette makes of them; their inks keep to those that
//! the palettes terminals come with agree on: no blue on black, no green on white.

use super::Role;
use crate::domain::{runbook::Environment, safe_text::Style16};

/// Black and white of the cube.
pub(super) const BLACK: u8 = 16;
pub(super) const WHITE: u8 = 231;

/// Text and background; none is the terminal's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ink(pub(super) Option<u8>, pub(super) Option<u8>);

/// The terminal's own: its user has chosen them so that they can be read.
const PLAIN: Ink = Ink(None, None);

const fn fg(colour: u8) -> Ink {
    Ink(Some(colour), None)
}

const fn on(colour: u8, ground: u8) -> Ink {
    Ink(Some(colour), Some(ground))
}

/// What a theme with colours draws with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inks {
    pub(super) dim: Ink,
    rule: Ink,
    pub(super) good: Ink,
    warn: Ink,
    bad: Ink,
    bad_band: Ink,
    key: Ink,
    pub(super) command: Ink,
    pub(super) blue: Ink,
    green: Ink,
    production: Ink,
    staging: Ink,
    development: Ink,
    rehearsal: Ink,
    matched: Ink,
    selection: Ink,
    /// Red and yellow of command output: as text only, whatever a failure of ours looks like.
    pub(super) foreign_red: Option<u8>,
    pub(super) foreign_yellow: Option<u8>,
}

impl Inks {
    pub(super) fn style(&self, role: Role) -> Style16 {
        let plain = Style16::default();
        let ink = |Ink(fg, bg): Ink| Style16 { fg, bg, ..plain };
        let bold = |it: Ink| Style16 { bold: true, ..ink(it) };
        match role {
            Role::Text => plain,
            Role::Title | Role::Next => Style16 { bold: true, ..plain },
            Role::Dim => ink(self.dim),
            Role::Rule => ink(self.rule),
            Role::Selection if self.selection == PLAIN => Style16 { reverse: true, ..plain },
            Role::Selection => ink(self.selection),
            Role::BorderFocused | Role::Key | Role::SlotOther => bold(self.key),
            Role::Good => ink(self.good),
            Role::Warn | Role::Critical => bold(self.warn),
            Role::Bad => bold(self.bad),
            Role::BadEdge => bold(Ink(self.foreign_red, None)),
            Role::BadBand => bold(self.bad_band),
            // Not red: a header that is always red would teach the eye to pass over it.
            Role::Band(Environment::Production) => bold(self.production),
            Role::Band(Environment::Staging) => bold(self.staging),
            Role::Band(Environment::Development) => bold(self.development),
            Role::BandRehearsal => bold(self.rehearsal),
            Role::SlotBlue => bold(self.blue),
            Role::SlotGreen => bold(self.green),
            Role::Command => ink(self.command),
            Role::Match => bold(self.matched),
        }
    }
}

/// On black and what is called black, up to the greys of Nord and Tango.
pub(super) const DARK: Inks = Inks {
    dim: fg(248),
    rule: fg(242),
    good: fg(114),
    warn: fg(221),
    bad: fg(210),
    bad_band: on(WHITE, 160),
    key: fg(80),
    command: fg(116),
    blue: fg(111),
    green: fg(114),
    production: on(WHITE, 90),
    staging: on(BLACK, 221),
    development: on(BLACK, 80),
    rehearsal: on(BLACK, 250),
    matched: on(BLACK, 221),
    selection: PLAIN,
    foreign_red: Some(210),
    foreign_yellow: Some(221),
};

/// On white and what is called white, down to light grey and Solarized's yellow. A band brings its own ground and so looks the
/// same on every background.
pub(super) const LIGHT: Inks = Inks {
    dim: fg(240),
    rule: fg(248),
    good: fg(22),
    warn: fg(94),
    bad: fg(124),
    key: fg(24),
    command: fg(24),
    blue: fg(25),
    green: fg(22),
    rehearsal: on(WHITE, 240),
    foreign_red: Some(124),
    foreign_yellow: Some(94),
    ..DARK
};

/// Sixteen colours on black: the bright ones.
pub(super) const DARK_16: Inks = Inks {
    dim: fg(7),
    rule: fg(8),
    good: fg(10),
    warn: fg(11),
    bad: fg(9),
    bad_band: on(15, 1),
    key: fg(14),
    command: fg(14),
    blue: fg(14),
    green: fg(10),
    production: on(15, 5),
    staging: on(0, 11),
    development: on(0, 14),
    rehearsal: on(0, 7),
    matched: on(0, 11),
    selection: PLAIN,
    foreign_red: Some(9),
    foreign_yellow: Some(11),
};

/// Sixteen colours on white: green, yellow and cyan can't be read there, so what is well is plain and what is to be watched
/// magenta.
pub(super) const LIGHT_16: Inks = Inks {
    dim: PLAIN,
    good: PLAIN,
    warn: fg(5),
    bad: fg(1),
    key: fg(4),
    command: fg(4),
    blue: fg(4),
    green: PLAIN,
    rehearsal: on(15, 0),
    foreign_red: Some(1),
    foreign_yellow: Some(5),
    ..DARK_16
};

/// Blue and yellow are told apart by nearly everybody; what is bad has a ground of its own as well.
pub(super) const BLIND_DARK: Inks = Inks {
    good: fg(117),
    warn: fg(221),
    bad: on(BLACK, 214),
    bad_band: on(BLACK, 214),
    green: PLAIN,
    production: on(BLACK, 183),
    foreign_red: Some(215),
    ..DARK
};

/// The same on white.
pub(super) const BLIND_LIGHT: Inks = Inks {
    good: fg(25),
    warn: fg(94),
    bad: on(BLACK, 214),
    bad_band: on(BLACK, 214),
    green: PLAIN,
    foreign_red: Some(94),
    ..LIGHT
};

/// The same with sixteen colours.
pub(super) const BLIND_DARK_16: Inks = Inks {
    good: fg(14),
    bad: on(0, 11),
    bad_band: on(0, 11),
    green: PLAIN,
    staging: on(0, 7),
    matched: on(0, 14),
    foreign_red: Some(11),
    ..DARK_16
};

/// The same with sixteen colours on white.
pub(super) const BLIND_LIGHT_16: Inks = Inks {
    good: fg(4),
    bad: on(0, 11),
    bad_band: on(0, 11),
    staging: on(0, 7),
    matched: on(0, 14),
    foreign_red: Some(5),
    ..LIGHT_16
};

/// White on black, and only colours near to white.
pub(super) const HIGH: Inks = Inks {
    dim: fg(252),
    rule: fg(252),
    good: fg(120),
    warn: fg(226),
    bad: on(WHITE, 124),
    bad_band: on(WHITE, 124),
    key: fg(123),
    command: fg(123),
    blue: fg(153),
    green: fg(120),
    production: on(WHITE, 90),
    staging: on(BLACK, 226),
    development: on(BLACK, 123),
    rehearsal: on(BLACK, 252),
    matched: on(BLACK, 226),
    selection: on(BLACK, WHITE),
    foreign_red: Some(217),
    foreign_yellow: Some(226),
};

/// The same with sixteen colours.
pub(super) const HIGH_16: Inks = Inks {
    dim: PLAIN,
    rule: fg(7),
    bad: on(15, 1),
    staging: on(0, 11),
    rehearsal: on(0, 15),
    selection: on(0, 15),
    ..DARK_16
};

#[cfg(test)]
mod tests {
    use super::{
        super::{Ground, Theme, ThemeChoice, contrast, luminance},
        *,
    };

    type Rgb = [u8; 3];

    const fn rgb(hex: u32) -> Rgb {
        let [_, red, green, blue] = hex.to_be_bytes();
        [red, green, blue]
    }

    /// The sixteen colours as terminals come with them, each with the dark and the light background that they come with.
    struct Palette {
        name: &'static str,
        colours: [u32; 16],
        dark: u32,
        light: u32,
    }

    const PALETTES: &[Palette] = &[
        // XTerm-col.ad in xterm's sources.
        Palette {
            name: "xterm",
            colours: [
                0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5,
                0x7f_7f7f, 0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
            ],
            dark: 0x00_0000,
            light: 0xff_ffff,
        },
        // The text modes of VGA; default_red, default_grn and default_blu in Linux' drivers/tty/vt/vt.c.
        Palette {
            name: "VGA, Linux console",
            colours: [
                0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa,
                0x55_5555, 0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
            ],
            dark: 0x00_0000,
            light: 0xff_ffff,
        },
        // The Windows console until Windows 10: the colour table of the registry's HKCU\Console.
        Palette {
            name: "Windows console",
            colours: [
                0x00_0000, 0x80_0000, 0x00_8000, 0x80_8000, 0x00_0080, 0x80_0080, 0x00_8080, 0xc0_c0c0,
                0x80_8080, 0xff_0000, 0x00_ff00, 0xff_ff00, 0x00_00ff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
            ],
            dark: 0x00_0000,
            light: 0xff_ffff,
        },
        // Windows Terminal and the console since then: the scheme "Campbell" in its defaults.json.
        Palette {
            name: "Campbell",
            colours: [
                0x0c_0c0c, 0xc5_0f1f, 0x13_a10e, 0xc1_9c00, 0x00_37da, 0x88_1798, 0x3a_96dd, 0xcc_cccc,
                0x76_7676, 0xe7_4856, 0x16_c60c, 0xf9_f1a5, 0x3b_78ff, 0xb4_009e, 0x61_d6d6, 0xf2_f2f2,
            ],
            dark: 0x0c_0c0c,
            light: 0xf2_f2f2,
        },
        // PuTTY's windows/config and settings.c.
        Palette {
            name: "PuTTY",
            colours: [
                0x00_0000, 0xbb_0000, 0x00_bb00, 0xbb_bb00, 0x00_00bb, 0xbb_00bb, 0x00_bbbb, 0xbb_bbbb,
                0x55_5555, 0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
            ],
            dark: 0x00_0000,
            light: 0xff_ffff,
        },
    ];

    /// Backgrounds that people have behind 256 colours: black, Campbell, VS Code, Ubuntu, Solarized, One Dark, Dracula, Nord,
    /// Tango.
    const DARK_GROUNDS: [u32; 9] =
        [0x00_0000, 0x0c_0c0c, 0x1e_1e1e, 0x30_0a24, 0x00_2b36, 0x28_2c34, 0x28_2a36, 0x2e_3440, 0x2e_3436];
    /// White, GNOME's and Solarized's, Gruvbox, light grey.
    const LIGHT_GROUNDS: [u32; 5] = [0xff_ffff, 0xf6_f5f4, 0xfd_f6e3, 0xfb_f1c7, 0xee_eeee];

    /// A colour of the cube or the greys of the 256.
    fn cube(index: u8) -> Rgb {
        let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
        match index {
            0..=15 => panic!("{index} is the palette's"),
            16..=231 => [level((index - 16) / 36), level((index - 16) / 6 % 6), level((index - 16) % 6)],
            232..=255 => [8 + 10 * (index - 232); 3],
        }
    }

    const ROLES: [Role; 21] = [
        Role::Text,
        Role::Title,
        Role::Dim,
        Role::BorderFocused,
        Role::Selection,
        Role::Key,
        Role::Next,
        Role::Good,
        Role::Warn,
        Role::Bad,
        Role::BadBand,
        Role::Critical,
        Role::Band(Environment::Production),
        Role::Band(Environment::Staging),
        Role::Band(Environment::Development),
        Role::BandRehearsal,
        Role::SlotBlue,
        Role::SlotGreen,
        Role::SlotOther,
        Role::Command,
        Role::Match,
    ];

    /// The text and background of everything that a theme writes, with what it is called.
    fn pairs(theme: Theme) -> Vec<(String, Option<u8>, Option<u8>)> {
        let paper = theme.paper();
        let own = |style: Style16| {
            assert!(!style.dim, "how dim that is nobody knows");
            (style.fg.or(paper.map(|(fg, _)| fg)), style.bg.or(paper.map(|(_, bg)| bg)))
        };
        let roles = ROLES.map(|role| (format!("{role:?}"), own(theme.style(role))));
        let foreign = (0..16).map(|colour| {
            (format!("output in {colour}"), own(Style16 { fg: theme.foreign(colour), ..Style16::default() }))
        });
        roles.into_iter().chain(foreign).map(|(name, (fg, bg))| (name, fg, bg)).collect()
    }

    /// Every text of a theme has at least this contrast on this background.
    fn assert_readable(theme: Theme, ground: Rgb, colour: &dyn Fn(u8) -> Rgb, least: f64, what: &str) {
        for (name, fg, bg) in pairs(theme) {
            match (fg, bg) {
                // The terminal's own text on its own background is its user's choice.
                (None, None) => {}
                (None, Some(_)) => panic!("{what}, {name}: an unknown text on a known ground"),
                (Some(fg), bg) => {
                    let found = contrast(luminance(colour(fg)), luminance(bg.map_or(ground, colour)));
                    assert!(found >= least, "{what}, {name}: {found:.2}:1 on {ground:02x?}");
                }
            }
        }
    }

    const COLOURED: [ThemeChoice; 4] =
        [ThemeChoice::Dark, ThemeChoice::Light, ThemeChoice::HighContrast, ThemeChoice::ColourBlind];

    #[test]
    fn every_text_is_readable_with_256_colours() {
        for choice in COLOURED {
            for (ground, hexes) in [(Ground::Dark, &DARK_GROUNDS[..]), (Ground::Light, &LIGHT_GROUNDS[..])] {
                let theme = Theme::new(choice, true, false).on(ground);
                if theme.ground != ground && theme.paper().is_none() {
                    continue;
                }
                let least = if choice == ThemeChoice::HighContrast { 7.0 } else { 4.5 };
                for hex in hexes {
                    assert_readable(theme, rgb(*hex), &cube, least, &format!("{choice:?} on {ground:?}"));
                }
            }
        }
    }

    #[test]
    fn every_text_is_readable_with_16_colours() {
        for choice in COLOURED {
            for palette in PALETTES {
                for (ground, hex) in [(Ground::Dark, palette.dark), (Ground::Light, palette.light)] {
                    let theme = Theme::new(choice, false, false).on(ground);
                    if theme.ground != ground && theme.paper().is_none() {
                        continue;
                    }
                    let colour = |index: u8| rgb(palette.colours[usize::from(index)]);
                    let what = format!("{choice:?} on {ground:?}, {}", palette.name);
                    assert_readable(theme, rgb(hex), &colour, 4.5, &what);
                }
            }
        }
    }

    /// How people without red, green or blue cones see a colour: Machado, Oliveira, Fernandes 2009, severity 1.0.
    const CONES: [(&str, [[f64; 3]; 3]); 3] = [
        ("protanopia", [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
        ("deuteranopia", [[0.3673, 0.8606, -0.2280], [0.2801, 0.6727, 0.0471], [-0.0118, 0.0429, 0.9689]]),
        ("tritanopia", [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
    ];

    #[test]
    fn the_colour_blind_theme_tells_its_states_apart_for_every_eye() {
        for ground in [Ground::Dark, Ground::Light] {
            let theme = Theme::new(ThemeChoice::ColourBlind, true, false).on(ground);
            // What is bad has a ground of its own, which nothing else in the panes has.
            let shown = |role| theme.style(role);
            assert!(shown(Role::Bad).bg.is_some() && shown(Role::Warn).bg.is_none());
            assert!(shown(Role::Good).bg.is_none());
            for (name, cones) in CONES {
                let seen = |role: Role| {
                    let colour = cube(shown(role).fg.unwrap()).map(f64::from);
                    cones.map(|row| row.iter().zip(colour).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 255.0))
                };
                let (good, warn) = (seen(Role::Good), seen(Role::Warn));
                let apart = good.iter().zip(warn).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                assert!(apart > 60.0, "{name} on {ground:?}: {apart:.0}");
            }
        }
    }
}
