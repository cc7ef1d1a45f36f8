//! How things look on this terminal: the theme's roles as ratatui's styles.
//!
//! Views draw with colours and symbols. [`Look::finish`] then takes away what the terminal or its user cannot or does
//! not want to show, foreign text included. Nothing is lost by that: every state is a word as well.

use ratatui::{
    buffer::Buffer,
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
        rule => Dim,
        /// The edge of a dialog.
        edge => BorderFocused,
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
        self.of(Role::Selection).fg(Color::Reset).bg(Color::Reset)
    }

    /// How a role looks.
    pub fn of(self, role: Role) -> Style {
        style16(self.0.style(role))
    }

    /// The band's look for where the deployment goes.
    pub fn band(self, environment: Environment, rehearsal: bool) -> Style {
        self.of(if rehearsal { Role::BandRehearsal } else { Role::Band(environment) })
    }

    /// A slot's look: its own colour, where its name is one.
    ///
    /// The bright ones: on dark backgrounds most palettes make plain blue unreadable.
    pub fn slot(self, name: &str) -> Style {
        let style = self.of(Role::slot(name));
        match style.fg {
            Some(Color::Blue) => style.fg(Color::LightBlue),
            Some(Color::Green) => style.fg(Color::LightGreen),
            _ => style,
        }
    }

    /// Takes away what this terminal cannot show. The last thing that happens to a frame.
    pub fn finish(self, buffer: &mut Buffer) {
        if !self.0.color {
            for cell in &mut buffer.content {
                (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
            }
        }
        if self.0.ascii {
            for cell in &mut buffer.content {
                if !cell.symbol().is_ascii() {
                    let plain = plain(cell.symbol());
                    cell.set_symbol(plain);
                }
            }
        }
    }
}

/// The attributes of command output and of the theme, as ratatui has them.
pub fn style16(look: Style16) -> Style {
    const COLOURS: [Color; 16] = [
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
    let colour = |index: u8| COLOURS.get(usize::from(index)).copied();
    let mut style = Style::new();
    style.fg = look.fg.and_then(colour);
    style.bg = look.bg.and_then(colour);
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
        '●' | '▇' | '⠁'..='⣿' => "*",
        '◌' | '·' | '░' | '▂' => ".",
        '▶' | '▸' | '→' | '≥' => ">",
        '◀' | '←' | '≤' => "<",
        '↶' | '↑' => "^",
        '–' | '—' | '─' | '▄' => "-",
        '‖' | '━' | '▅' => "=",
        '│' => "|",
        '┌' | '┐' | '└' | '┘' | '┬' | '┴' | '├' | '┤' | '┼' | '▆' => "+",
        '█' | '▓' | '┃' | '┏' | '┓' | '┗' | '┛' => "#",
        '…' => "~",
        '▁' => "_",
        '▃' => ",",
        '\u{2800}' => " ",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::{buffer::Cell, layout::Rect};

    #[test]
    fn without_colours_selection_and_band_stay_visible() {
        let look = Look(Theme { color: false, ascii: false });
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
    fn ascii_leaves_nothing_else() {
        let look = Look(Theme { color: true, ascii: true });
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "✔ 漢 █é│x", look.text());
        look.finish(&mut buffer);
        let text: String = buffer.content.iter().map(Cell::symbol).collect();
        assert_eq!(text.trim_end(), "v ?  #?|x");
    }
}
