//! Frames as bytes: what has changed since the last one, links included, in one piece.

use std::io::{self, Write};

use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
    style::Color,
};
use url::Url;

use super::Tty;
use crate::tui::style::linked;

/// Puts ratatui's cells on the terminal.
#[derive(Debug)]
pub(super) struct Painter {
    backend: CrosstermBackend<Tty>,
    /// Where the links of the frame lead, by their numbers. None of them where the terminal may print what it doesn't know.
    links: Vec<Option<String>>,
    hidden: bool,
}

impl Painter {
    pub(super) fn new(tty: Tty) -> Self {
        Self { backend: CrosstermBackend::new(tty), links: Vec::new(), hidden: false }
    }

    /// Where the next frame's links lead.
    pub(super) fn set_links(&mut self, links: &[String]) {
        self.links = links.iter().map(|link| target(link)).collect();
    }

    fn link(&self, cell: &Cell) -> Option<(u16, &str)> {
        let number = linked(cell.underline_color)?;
        Some((number, self.links.get(usize::from(number))?.as_deref()?))
    }
}

/// What a link may lead to, as a terminal is told it: web pages, with everything escaped that is not plain ASCII.
fn target(link: &str) -> Option<String> {
    let url = Url::parse(link).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let plain = |c: char| matches!(c, '!'..='~');
    Some(url.as_str().to_owned()).filter(|url| url.len() <= 2048 && url.chars().all(plain))
}

/// What is neither cells nor cursor: a bell, a copy, a title.
impl Write for Painter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.backend.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.backend)
    }
}

impl Backend for Painter {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut cells: Vec<(u16, u16, Cell)> = content.map(|(x, y, cell)| (x, y, cell.clone())).collect();
        if cells.is_empty() {
            return Ok(());
        }
        let links: Vec<Option<(u16, String)>> = cells
            .iter()
            .map(|(.., cell)| self.link(cell).map(|(number, url)| (number, url.to_owned())))
            .collect();
        for (.., cell) in &mut cells {
            // It has carried the link's number.
            cell.underline_color = Color::Reset;
        }
        let mut from = 0;
        for same in links.chunk_by(|one, other| one == other) {
            let to = from + same.len();
            let part = cells[from..to].iter().map(|(x, y, cell)| (*x, *y, cell));
            match same.first() {
                Some(Some((number, url))) => {
                    // The number makes one link of what stands on several lines.
                    write!(self.backend, "\x1b]8;id={number};{url}\x1b\\")?;
                    self.backend.draw(part)?;
                    self.backend.write_all(b"\x1b]8;;\x1b\\")?;
                }
                _ => self.backend.draw(part)?,
            }
            from = to;
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        // Once: it would be said with every frame.
        if std::mem::replace(&mut self.hidden, true) { Ok(()) } else { self.backend.hide_cursor() }
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.hidden = false;
        self.backend.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // Asking would be answered on the line that keys come on, which another thread reads. Nobody needs to know: every
        // frame sets the cursor, or hides it.
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.backend.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        // After a stop somebody else may have shown it.
        self.hidden = false;
        self.backend.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.backend.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.backend.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_are_linked_and_nothing_in_them_commands_the_terminal() {
        assert_eq!(
            target("https://grafana.example.com/d/1?a=b"),
            Some("https://grafana.example.com/d/1?a=b".into())
        );
        assert_eq!(target("https://example.com/ü x"), Some("https://example.com/%C3%BC%20x".into()));
        for hostile in
            ["https://e.com/\x1b\\\x1b]52;c;x\x07", "https://e.com/\u{9c}", "https://e.com/a\u{202e}b"]
        {
            let shown = target(hostile);
            assert!(shown.iter().all(|url| url.chars().all(|c| matches!(c, '!'..='~'))), "{shown:?}");
        }
        for other in ["file:///etc/passwd", "javascript:alert(1)", "ssh://host", "docs/runbook.md", ""] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
