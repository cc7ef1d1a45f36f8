//! Text of a page that is put together piece by piece.

/// One line of text as a reader sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// Code in backticks, a link's address in parentheses behind its words.
    pub(super) plain: String,
    /// What stands in backticks, in order.
    pub(super) code: Vec<String>,
    /// Words and addresses of links.
    pub(super) links: Vec<(String, String)>,
    /// What it begins with in bold, without a colon at its end.
    pub(super) label: Option<String>,
    /// The text behind the label, or all of it.
    pub(super) rest: String,
    /// The line it stands on.
    pub(super) line: usize,
}

/// Text that is being put together.
#[derive(Default)]
pub(super) struct Words {
    pub(super) done: Vec<Text>,
    pub(super) now: Text,
    pub(super) strong: usize,
    pub(super) label: String,
    pub(super) labelled: bool,
    pub(super) image: usize,
    pub(super) links: Vec<(String, usize)>,
}

impl Words {
    pub(super) fn push(&mut self, text: &str, line: usize) {
        if self.now.line == 0 {
            self.now.line = line;
        }
        if self.strong > 0 && !self.labelled && self.now.plain.trim() == self.label.trim() {
            self.label.push_str(text);
        } else if !text.trim().is_empty() {
            self.labelled = true;
        }
        self.now.plain.push_str(text);
    }

    /// Ends a line. The next stands for itself only where it is asked for.
    pub(super) fn end_line(&mut self) {
        let mut text = std::mem::take(&mut self.now);
        let label = std::mem::take(&mut self.label);
        self.labelled = false;
        text.plain = squeezed(&text.plain);
        let label = squeezed(&label);
        text.rest.clone_from(&text.plain);
        if !label.is_empty() && text.plain.starts_with(&label) {
            let rest = text.plain[label.len()..].trim_start();
            let colon = label.ends_with(':') || rest.starts_with(':') || rest.is_empty();
            if colon {
                let rest = rest.trim_start_matches(':').trim().to_owned();
                text.rest = rest;
                text.label = Some(label.trim_end_matches([':', ' ']).to_owned());
            }
        }
        if !text.plain.is_empty() {
            self.done.push(text);
        }
    }

    /// The lines, joined where they are one wrapped text.
    pub(super) fn finish(mut self) -> Vec<Text> {
        self.end_line();
        let mut joined: Vec<Text> = Vec::new();
        for text in self.done {
            let apart = joined.is_empty() || text.label.is_some();
            match joined.last_mut() {
                Some(last) if !apart => {
                    for whole in [&mut last.plain, &mut last.rest] {
                        if !whole.is_empty() {
                            whole.push(' ');
                        }
                        whole.push_str(&text.plain);
                    }
                    last.code.extend(text.code);
                    last.links.extend(text.links);
                }
                _ => joined.push(text),
            }
        }
        joined
    }

    pub(super) fn one(self) -> Text {
        let mut all = self.finish().into_iter();
        let Some(mut first) = all.next() else { return Text::default() };
        for text in all {
            for whole in [&mut first.plain, &mut first.rest] {
                whole.push(' ');
                whole.push_str(&text.plain);
            }
            first.code.extend(text.code);
            first.links.extend(text.links);
        }
        first
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
