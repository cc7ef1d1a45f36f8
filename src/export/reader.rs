//! Reads a page as any reader of Markdown does, for tests.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What a page consists of, as a reader of Markdown sees it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    /// Headings with their level.
    pub(super) headings: Vec<(usize, String)>,
    /// Items of task lists, without what is nested below them.
    pub(super) tasks: Vec<String>,
    /// Blocks of code with their language.
    pub(super) fences: Vec<(String, String)>,
    /// Rows of tables, their heads apart.
    pub(super) rows: Vec<Vec<String>>,
    /// All text of the page, code included, a line a block.
    pub(super) texts: String,
}

/// Reads a page back.
pub(super) fn parts(page: &str) -> Parts {
    let mut parts = Parts::default();
    // What is being read, innermost last: its text goes to all of them that take text.
    let (mut line, mut row, mut language) = (String::new(), Vec::new(), String::new());
    let mut in_head = false;
    let mut task = false;
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    for event in Parser::new_ext(page, options) {
        match event {
            Event::Text(text) | Event::Code(text) => line.push_str(&text),
            Event::SoftBreak | Event::HardBreak => line.push('\n'),
            Event::InlineHtml(html) | Event::Html(html) => {
                line.push_str(if &*html == "<br>" { "\n" } else { &html });
            }
            Event::TaskListMarker(_) => task = true,
            Event::Start(Tag::Link { dest_url, .. }) => {
                parts.texts.push_str(&dest_url);
                parts.texts.push('\n');
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                line.clear();
                language = match kind {
                    pulldown_cmark::CodeBlockKind::Fenced(language) => language.to_string(),
                    pulldown_cmark::CodeBlockKind::Indented => String::new(),
                };
            }
            Event::End(TagEnd::CodeBlock) => {
                parts.fences.push((std::mem::take(&mut language), line.clone()));
                end_block(&mut parts, &mut line);
            }
            Event::Start(Tag::TableHead) => in_head = true,
            Event::End(TagEnd::TableHead) => {
                in_head = false;
                row.clear();
            }
            Event::End(TagEnd::TableCell) => {
                row.push(line.clone());
                end_block(&mut parts, &mut line);
            }
            Event::End(TagEnd::TableRow) if !in_head => parts.rows.push(std::mem::take(&mut row)),
            Event::End(TagEnd::Heading(level)) => {
                parts.headings.push((level as usize, line.clone()));
                end_block(&mut parts, &mut line);
            }
            // What stands before a nested list belongs to the item above it.
            Event::Start(Tag::List(_)) | Event::End(TagEnd::Item | TagEnd::Paragraph) => {
                if std::mem::take(&mut task) {
                    parts.tasks.push(line.clone());
                }
                end_block(&mut parts, &mut line);
            }
            _ => {}
        }
    }
    parts
}

/// A block of text is one line: how it was wrapped says nothing.
fn end_block(parts: &mut Parts, line: &mut String) {
    if !line.is_empty() {
        parts.texts.push_str(line);
        parts.texts.push('\n');
        line.clear();
    }
}
