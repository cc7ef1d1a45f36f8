//! A page of TOML under construction: values are escaped, and no text leaves its comment.

use toml_edit::Value;

use crate::domain::safe_text::SafeText;

/// The longest comment, in characters: what is longer is cut.
const LONGEST: usize = 220;

/// Lines of TOML, with what was found and what is to do.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    /// How many `# found: …` there are.
    pub(super) found: usize,
    /// How many `# TODO: …` there are.
    pub(super) todo: usize,
}

impl Page {
    /// Adds lines of ours as they are.
    pub(super) fn lines(&mut self, lines: &str) {
        for line in lines.lines() {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> usize {
        self.text.lines().count()
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A comment in one line, whatever is in it.
    pub(super) fn comment(&mut self, text: &str) {
        let safe = SafeText::new(text);
        let cut: String = safe.chars().take(LONGEST).collect();
        let more = if safe.chars().nth(LONGEST).is_some() { "…" } else { "" };
        self.lines(format!("# {cut}{more}").trim_end());
    }

    /// A guess, and what it rests on.
    pub(super) fn found(&mut self, text: &str) {
        self.found += 1;
        self.comment(&format!("found: {text}"));
    }

    /// Something that a person has to fill in or decide.
    pub(super) fn todo(&mut self, text: &str) {
        self.todo += 1;
        self.comment(&format!("TODO: {text}"));
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// A text as a TOML value on one line: whatever is in it, it is this text and no more. Control characters become spaces.
pub(super) fn quoted(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Value::from(line).to_string()
}

/// Foreign text where variables are filled in: every `$` is a dollar sign.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_value_whatever_is_in_it() {
        for text in [
            "shop",
            "",
            "a\"b",
            "a'b",
            "a\"b'c",
            r"\d+",
            "'''",
            "\"\"\"",
            "x = 1 # y",
            "$VERSION",
            "ä\u{202e}",
        ] {
            let line = format!("key = {}", quoted(text));
            assert_eq!(line.lines().count(), 1, "{line}");
            let read: toml_edit::DocumentMut = line.parse().unwrap();
            assert_eq!((read.len(), read["key"].as_str()), (1, Some(text)), "{line}");
        }
        assert_eq!(quoted("a\nb\t\u{7f}"), "\"a b  \"");
        assert_eq!(quoted(r#"a{b="c"}"#), r#"'a{b="c"}'"#);
        assert_eq!(literal("$x"), "$$x");
    }

    #[test]
    fn a_comment_is_one_line_and_never_long() {
        let mut page = Page::default();
        page.found("a\nb\r\u{2028}c\u{1b}[0m");
        page.todo(&"x".repeat(1_000));
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines.iter().all(|line| line.starts_with("# ") && line.chars().count() <= LONGEST + 3));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }
}
