//! The text of a runbook that grows line by line.

use super::{resolve::Line, words::quoted};

/// The text of a runbook that grows line by line.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
    /// No more comments than this many bytes: a runbook is at most 1 MiB.
    room: usize,
    pub(super) dropped: usize,
}

/// A runbook may have 1 MiB; comments leave room for the rest.
const ROOM: usize = 512 * 1024;

impl Page {
    pub(super) fn empty() -> Self {
        Self { room: ROOM, ..Self::default() }
    }

    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(super) fn pair(&mut self, name: &str, value: &str) {
        self.line(&format!("{name} = {value}"));
    }

    pub(super) fn maybe(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.pair(name, &quoted(value));
        }
    }

    pub(super) fn comment(&mut self, indent: &str, text: &str) {
        for line in text.lines() {
            // A comment may have no control characters but tabs; there are none but those.
            let line = line.trim_end();
            if self.room < line.len() + 8 {
                self.dropped += 1;
                continue;
            }
            self.room -= line.len() + 8;
            self.line(&if line.is_empty() { format!("{indent}#") } else { format!("{indent}# {line}") });
        }
    }

    pub(super) fn comments(&mut self, texts: &[String]) {
        for text in texts {
            self.comment("", text);
        }
    }

    pub(super) fn todo(&mut self, text: &str) {
        self.line(&format!("# TODO: {text}"));
    }

    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    pub(super) fn lines(&mut self, name: &str, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        self.line(&format!("{name} = ["));
        for line in lines {
            for comment in &line.comments {
                self.comment("    ", comment);
            }
            self.line(&format!("    {{ {} }},", line.pairs.join(", ")));
        }
        self.line("]");
    }

    pub(super) fn texts(&mut self, name: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        self.line(&format!("{name} = ["));
        for text in texts {
            self.line(&format!("    {},", quoted(text)));
        }
        self.line("]");
    }
}

/// A key as TOML has it.
pub(super) fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare { text.to_owned() } else { toml_edit::Key::new(text).to_string() }
}
