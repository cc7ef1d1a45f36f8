//! The runbook's web pages as links: where they lead, and texts in which they are marked.
//!
//! A link is known by its number in [`targets`]; the text that shows it carries the number to where frames become bytes.
//! Only what the runbook itself says is linked: an address in a command's output stays text.

use ratatui::style::Style;

use super::{
    model::Model,
    style,
    widget::row::{Row, wrap},
};
use crate::domain::run::Run;

/// Where the links of the runbook lead, each once.
pub fn targets(model: &Model) -> Vec<String> {
    let Some(run) = &model.run else { return Vec::new() };
    let mut targets: Vec<String> = Vec::new();
    for url in texts(run).flat_map(str::split_whitespace).filter_map(address) {
        if !targets.iter().any(|known| known == url) {
            targets.push(url.to_owned());
        }
    }
    targets
}

/// Every text of the runbook that may contain an address.
fn texts(run: &Run) -> impl Iterator<Item = &str> {
    let book = &run.runbook;
    let links = book.links.iter().map(|link| link.url.as_str());
    let related = book.document.related.values().map(String::as_str);
    let steps =
        book.steps.iter().flat_map(|step| step.notes.iter().chain(&step.on_failure).chain(&step.critical));
    links.chain(related).chain(steps.map(String::as_str))
}

/// The address in a word, without what a sentence puts around it.
fn address(word: &str) -> Option<&str> {
    let word = word
        .trim_start_matches(['(', '<', '[', '"'])
        .trim_end_matches(['.', ',', ';', ':', ')', '>', ']', '"']);
    (word.starts_with("https://") || word.starts_with("http://")).then_some(word)
}

/// A text in as many lines as it takes, whatever its words are; each part of an address is a part of its link.
pub fn lines(targets: &[String], text: &str, width: usize, style: Style) -> Vec<Row> {
    let number = |word: &str| {
        let address = address(word)?;
        let at = targets.iter().position(|known| known == address)?;
        u16::try_from(at).ok()
    };
    let mut words = text.split_whitespace();
    let (mut link, mut left) = (None, 0);
    let line = |line: String| {
        let mut row = Row::new();
        for (n, piece) in line.split(' ').enumerate() {
            if n > 0 {
                row.add(" ", style);
            }
            if left == 0 {
                let word = words.next().unwrap_or_default();
                (link, left) = (number(word), word.len());
            }
            left = left.saturating_sub(piece.len());
            row.add(piece, link.map_or(style, |number| style.patch(style::link(number))));
        }
        row
    };
    wrap(text, width).into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::*;
    use crate::tui::style::linked;

    #[test]
    fn an_address_is_linked_on_every_line_that_it_takes() {
        let targets = ["https://a.example".to_owned(), "https://b.example/a/long/way".to_owned()];
        let rows =
            lines(&targets, "See (https://b.example/a/long/way), not https://c.example.", 12, Style::new());
        let texts: Vec<String> = rows.iter().map(Row::text).collect();
        assert_eq!(
            texts,
            ["See", "(https://b.", "example/a/", "long/way),", "not", "https://c.", "example."]
        );
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 7));
        for (y, row) in (0..).zip(rows) {
            row.draw(Rect::new(0, y, 12, 1), &mut buffer);
        }
        let marks: String = (buffer.content.iter())
            .map(|cell| {
                linked(cell.underline_color).map_or('.', |number| if number == 1 { '1' } else { '?' })
            })
            .collect();
        assert_eq!(
            marks,
            [".".repeat(12), "1".repeat(11), ".".to_owned(), "1111111111..".repeat(2), ".".repeat(36)]
                .concat()
        );
    }

    #[test]
    fn only_addresses_of_web_pages_are_links() {
        assert_eq!(address("<https://a.example/b>;"), Some("https://a.example/b"));
        for other in ["ftp://a", "javascript:x", "https", "docs/x.md", "xhttps://a"] {
            assert_eq!(address(other), None);
        }
    }
}
