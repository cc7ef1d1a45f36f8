//! How things look on this terminal: the theme's roles as ratatui's styles.
//!
//! Views draw with colours and symbols. [`Look::finish`] then takes away what the terminal or its user cannot or does
//! not want to show, foreign text included. Nothing is lost by that: every state is a word as well.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use crate::{
    config::theme::{Role, Theme},
    domain::{runbook::Environment, safe_text::Style16},
};

/// The look of each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look(pub Theme);

macro_rules! looks {
    ($($(#[$doc:meta])* $name:ident => $role:ident),* $(,)?) => {
        $($(#[$doc])* pub fn $name(self) -> Style { self.of(Role::$role) })*
    };
}

impl Look {
    looks! {
        /// Ordinary text.
        text => Text,
        /// What is past, or beside the point.
        dim => Dim,
        /// What the eye should find first.
        strong => Title,
        /// Rules between panes.
        rule => Rule,
        /// The edge of a dialog.
        edge => BorderFocused,
        /// The edge of a dialog about what is bad.
        alert_edge => BadEdge,
        /// As it should be.
        ok => Good,
        /// Outside normal; somebody should look.
        warn => Warn,
        /// Needs a person now.
        alert => Bad,
        /// A whole line that needs a person now.
        alert_band => BadBand,
        /// What must be read before a step starts.
        critical => Critical,
        /// The name of a key.
        key => Key,
        /// What the next key will do.
        next => Next,
        /// A command as a person would type it.
        command => Command,
        /// Text that was searched for.
        matched => Match,
    }

    /// The selected line, over whatever is on it: reversed colours of single words would be a patchwork.
    pub fn selected(self) -> Style {
        let style = self.of(Role::Selection);
        style.fg(style.fg.unwrap_or(Color::Reset)).bg(style.bg.unwrap_or(Color::Reset))
    }

    /// Text of a command, with the colours it came with as far as they can be read here. A ground of its own becomes a
    /// reversed text: what stood out still does.
    pub fn foreign(self, look: Style16) -> Style {
        let fg = look.fg.and_then(|colour| self.0.foreign(colour));
        let ground = look.bg.is_some_and(|colour| !matches!(colour, 0 | 7 | 8 | 15));
        let fg = if ground { look.bg.and_then(|colour| self.0.foreign(colour)).or(fg) } else { fg };
        style16(Style16 { fg, bg: None, reverse: look.reverse || ground, dim: false, ..look })
    }

    /// Frozen data, while everything else continues.
    pub fn held_still(self) -> Style {
        self.of(Role::Warn).add_modifier(Modifier::REVERSED)
    }

    /// How a role looks.
    pub fn of(self, role: Role) -> Style {
        style16(self.0.style(role))
    }

    /// The band's look for where the deployment goes.
    pub fn band(self, environment: Environment, rehearsal: bool) -> Style {
        self.of(if rehearsal { Role::BandRehearsal } else { Role::Band(environment) })
    }

    /// A slot's look: its own colour, where its name is one and the theme has it.
    pub fn slot(self, name: &str) -> Style {
        self.of(Role::slot(name))
    }

    /// Makes an area look as what lies behind a dialog: there, and not what one looks at.
    pub fn recede(self, area: Rect, buffer: &mut Buffer) {
        let dim = self.of(Role::Dim);
        let area = area.intersection(buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut buffer[(x, y)];
                // Also where the theme has no dimmer colour than the text's.
                cell.modifier = Modifier::DIM;
                cell.fg = dim.fg.unwrap_or(Color::Reset);
                cell.bg = Color::Reset;
            }
        }
    }

    /// Takes away what this terminal cannot show, and makes readable what others have coloured. The last thing that happens
    /// to a frame.
    pub fn finish(self, buffer: &mut Buffer) {
        let Self(theme) = self;
        let paper = theme.paper().map(|(fg, bg)| (ink(fg), ink(bg)));
        let bad = self.of(Role::Bad);
        for cell in &mut buffer.content {
            // A bar on a ground of its own is a block: its colour alone says what the ground says of words.
            let bar = matches!(cell.symbol(), "▁" | "▂" | "▃" | "▄" | "▅" | "▆" | "▇" | "█");
            if bar && bad.bg.is_some() && (Some(cell.fg), Some(cell.bg)) == (bad.fg, bad.bg) {
                (cell.fg, cell.bg) = (cell.bg, Color::Reset);
            }
            if !theme.has_colour() {
                (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
            } else if let Some((fg, bg)) = paper {
                cell.fg = if cell.fg == Color::Reset { fg } else { cell.fg };
                cell.bg = if cell.bg == Color::Reset { bg } else { cell.bg };
            }
            if theme.ascii && !cell.symbol().is_ascii() {
                let plain = plain(cell.symbol());
                cell.set_symbol(plain);
            }
        }
    }
}

/// What marks a piece of text as a link: ratatui's cells have no place for one, and this theme no use for a colour of
/// underlines. [`linked`] finds it again where frames become bytes.
pub fn link(number: u16) -> Style {
    let [high, low] = number.to_be_bytes();
    Style::new().underline_color(Color::Rgb(LINK, high, low))
}

/// The number of the link that a cell belongs to.
pub fn linked(underline: Color) -> Option<u16> {
    match underline {
        Color::Rgb(LINK, high, low) => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// Tells a link's mark from a colour.
const LINK: u8 = 0x8b;

/// A colour by its number: the sixteen by their names, the rest as they are.
fn ink(colour: u8) -> Color {
    const NAMED: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    NAMED.get(usize::from(colour)).copied().unwrap_or(Color::Indexed(colour))
}

/// The attributes of the theme, as ratatui has them.
pub fn style16(look: Style16) -> Style {
    let mut style = Style::new();
    style.fg = look.fg.map(ink);
    style.bg = look.bg.map(ink);
    let attributes = [
        (look.bold, Modifier::BOLD),
        (look.dim, Modifier::DIM),
        (look.italic, Modifier::ITALIC),
        (look.underline, Modifier::UNDERLINED),
        (look.reverse, Modifier::REVERSED),
    ];
    attributes
        .into_iter()
        .filter(|(on, _)| *on)
        .fold(style, |style, (_, modifier)| style.add_modifier(modifier))
}

/// The ASCII stand-in for a symbol: one that looks like it for those we draw, a question mark for what others wrote.
fn plain(symbol: &str) -> &'static str {
    match symbol.chars().next().unwrap_or(' ') {
        '✔' | '↓' => "v",
        '✖' => "X",
        '○' => "o",
        '●' | '•' | '▇' | '⠁'..='⣿' => "*",
        '◌' | '·' | '░' | '▂' | '┈' => ".",
        '┆' | '╷' | '╎' => ":",
        '×' => "x",
        '▶' | '▸' | '→' | '≥' => ">",
        '◀' | '←' | '≤' => "<",
        '↶' | '↑' => "^",
        '–' | '—' | '─' | '▄' => "-",
        '‖' | '━' | '▅' | '╌' => "=",
        '│' => "|",
        '┌' | '┐' | '└' | '┘' | '┬' | '┴' | '├' | '┤' | '┼' | '▆' => "+",
        '█' | '▓' | '┃' | '┏' | '┓' | '┗' | '┛' => "#",
        '…' => "~",
        '▁' => "_",
        '▲' => "^",
        '▼' => "v",
        '▃' => ",",
        '\u{2800}' | '\u{a0}' => " ",
        '\u{2018}' | '\u{2019}' => "'",
        '\u{201c}' | '\u{201d}' => "\"",
        // Whatever else is drawn with: a line, a block, a shape.
        '\u{2500}'..='\u{257f}' => "+",
        '\u{2580}'..='\u{259f}' => "#",
        '\u{25a0}'..='\u{25ff}' => "o",
        '\u{2190}'..='\u{21ff}' => ">",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::theme::ThemeChoice;
    use ratatui::buffer::Cell;

    #[test]
    fn without_colours_selection_and_band_stay_visible() {
        let look = Look(Theme::new(ThemeChoice::Mono, true, false));
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 1));
        buffer.set_string(0, 0, "a", look.band(Environment::Production, false));
        buffer.set_string(1, 0, "b", look.selected());
        // Output of a command that does not care for NO_COLOR.
        buffer.set_string(2, 0, "c", Style::new().fg(Color::Red).bg(Color::Blue));
        look.finish(&mut buffer);
        assert!(buffer[(0, 0)].modifier.contains(Modifier::REVERSED));
        assert!(buffer[(1, 0)].modifier.contains(Modifier::REVERSED));
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    }

    #[test]
    fn a_theme_with_a_paper_of_its_own_leaves_no_cell_to_the_terminal() {
        let look = Look(Theme::new(ThemeChoice::HighContrast, true, false));
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 1));
        buffer.set_string(0, 0, "a", look.selected());
        buffer.set_string(1, 0, "b", look.warn());
        look.finish(&mut buffer);
        assert!(buffer.content.iter().all(|cell| cell.fg != Color::Reset && cell.bg != Color::Reset));
    }

    #[test]
    fn colours_of_others_are_those_that_can_be_read_here() {
        let look = Look(Theme::new(ThemeChoice::Light, true, false));
        let output = |fg, bg| look.foreign(Style16 { fg, bg, ..Style16::default() });
        assert_eq!(output(Some(11), None).fg, Some(Color::Indexed(94)), "no yellow on white");
        assert_eq!(output(Some(15), None).fg, None, "nor white");
        let badge = output(Some(15), Some(1));
        assert_eq!((badge.fg, badge.bg), (Some(Color::Indexed(124)), None));
        assert!(badge.add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn ascii_leaves_nothing_else() {
        let look = Look(Theme::new(ThemeChoice::Dark, true, true));
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "✔ 漢 █é│x", look.text());
        look.finish(&mut buffer);
        let text: String = buffer.content.iter().map(Cell::symbol).collect();
        assert_eq!(text.trim_end(), "v ?  #?|x");
    }
}
