//! What must never happen to a terminal.

use ratatui::{Terminal, backend::CrosstermBackend};

use super::{fixture::text_of, screens::states};
use crate::tui::view;

/// What the terminal gets for every state is what was drawn: replayed by a terminal emulator, cell for cell. With
/// `CUTOVER_PICTURES` set to a directory, the bytes are kept there: `cat` shows the screen in its colours.
#[test]
fn a_terminal_shows_what_was_drawn() {
    crossterm::style::force_color_output(true);
    let pictures = std::env::var_os("CUTOVER_PICTURES").map(std::path::PathBuf::from);
    for (name, mut told) in states() {
        for (width, height) in [(80, 24), (120, 36), (200, 60)] {
            let drawn = told.buffer(width, height);
            let mut bytes = Vec::new();
            {
                let viewport = ratatui::Viewport::Fixed(drawn.area);
                let options = ratatui::TerminalOptions { viewport };
                let mut terminal =
                    Terminal::with_options(CrosstermBackend::new(&mut bytes), options).unwrap();
                terminal.draw(|frame| view::draw(&told.model, frame.buffer_mut())).unwrap();
            }
            if let Some(pictures) = &pictures {
                std::fs::write(pictures.join(format!("{name}_{width}x{height}.ans")), &bytes).unwrap();
            }
            let mut screen = vt100::Parser::new(height, width, 0);
            screen.process(&bytes);
            let shown: Vec<String> =
                screen.screen().rows(0, width).map(|row| row.trim_end().to_owned()).collect();
            assert_eq!(shown.join("\n"), text_of(&drawn), "{name} at {width}x{height}");
        }
    }
}
