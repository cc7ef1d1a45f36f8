//! A Markdown page as blocks that know their lines.
//!
//! What the parser finds is kept whole: text with its code, links and emphasis, fences with what they are marked as, tables
//! cell by cell. Lines count from 1. Containers that nest deeper than people write are taken as their text.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

pub(super) use super::text::Text;
use super::{html, text::Words};

/// Containers within containers; deeper ones are taken as text.
const DEPTH: usize = 24;

/// First and last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lines {
    pub(super) first: usize,
    pub(super) last: usize,
}

/// An item of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// Ticked or not, where it is a task.
    pub(super) task: Option<bool>,
    pub(super) blocks: Vec<Block>,
    pub(super) lines: Lines,
}

/// A table's row: its cells and its line.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) cells: Vec<Text>,
    pub(super) line: usize,
    /// The row as it is written, where it has more cells than its table's head: those are in no cell.
    pub(super) overfull: Option<String>,
}

/// What a page consists of.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Heading {
        level: usize,
        text: Text,
        lines: Lines,
    },
    /// A paragraph: its lines where each stands for itself, else one.
    Paragraph {
        texts: Vec<Text>,
        lines: Lines,
    },
    /// `first` is the line of the first line of code.
    Fence {
        info: Option<String>,
        code: String,
        first: usize,
        lines: Lines,
    },
    List {
        ordered: bool,
        items: Vec<Item>,
        lines: Lines,
    },
    Table {
        head: Row,
        rows: Vec<Row>,
        lines: Lines,
    },
    Quote {
        blocks: Vec<Block>,
        lines: Lines,
    },
    Html {
        text: String,
        comment: bool,
        lines: Lines,
    },
    Meta {
        text: String,
        lines: Lines,
    },
    Rule {
        lines: Lines,
    },
}

impl Block {
    pub(super) fn lines(&self) -> Lines {
        match self {
            Self::Heading { lines, .. }
            | Self::Paragraph { lines, .. }
            | Self::Fence { lines, .. }
            | Self::List { lines, .. }
            | Self::Table { lines, .. }
            | Self::Quote { lines, .. }
            | Self::Html { lines, .. }
            | Self::Meta { lines, .. }
            | Self::Rule { lines } => *lines,
        }
    }
}

/// Line numbers from places in bytes.
struct Index(Vec<usize>);

impl Index {
    fn of(source: &str) -> Self {
        Self(source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }

    /// The lines of a range, white space at its end left out.
    fn lines(&self, source: &str, range: &Range<usize>) -> Lines {
        let text = source.get(range.clone()).unwrap_or_default();
        let end = range.start + text.trim_end().len();
        let first = self.line(range.start);
        Lines { first, last: self.line(end.saturating_sub(1).max(range.start)).max(first) }
    }
}

/// A container that is still open.
enum Open {
    Page(Vec<Block>),
    Quote(Vec<Block>, Range<usize>),
    List { ordered: bool, items: Vec<Item>, range: Range<usize> },
    Item { task: Option<bool>, blocks: Vec<Block>, range: Range<usize> },
}

/// Reads a page.
pub(super) fn read(source: &str) -> Vec<Block> {
    let mut options = Options::ENABLE_TABLES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES;
    if source.starts_with("---") {
        options |= Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    }
    let mut reader = Reader {
        source,
        index: Index::of(source),
        open: vec![Open::Page(Vec::new())],
        words: None,
        row: None,
        head: None,
        rows: Vec::new(),
        code: None,
        html: None,
        skipped: 0,
    };
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        reader.event(event, range);
    }
    while reader.open.len() > 1 {
        reader.close();
    }
    match reader.open.pop() {
        Some(Open::Page(blocks)) => blocks,
        _ => Vec::new(),
    }
}

/// How many cells a row has as it is written. A bar in code parts cells, too, unless it has a backslash.
fn cells_of(row: &str) -> usize {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').filter(|rest| !rest.ends_with('\\')).unwrap_or(row);
    let mut before = ' ';
    let mut bars = 0;
    for c in row.chars() {
        bars += usize::from(c == '|' && before != '\\');
        before = c;
    }
    bars + 1
}

struct Code {
    info: Option<String>,
    text: String,
    first: Option<usize>,
    range: Range<usize>,
    fenced: bool,
}

struct Reader<'s> {
    source: &'s str,
    index: Index,
    open: Vec<Open>,
    words: Option<(Words, Range<usize>)>,
    row: Option<Row>,
    head: Option<Row>,
    rows: Vec<Row>,
    code: Option<Code>,
    html: Option<(String, Range<usize>)>,
    /// Containers that were opened too deep.
    skipped: usize,
}

impl Reader<'_> {
    fn lines(&self, range: &Range<usize>) -> Lines {
        self.index.lines(self.source, range)
    }

    fn put(&mut self, block: Block) {
        match self.open.last_mut() {
            Some(Open::Page(blocks) | Open::Quote(blocks, _) | Open::Item { blocks, .. }) => {
                blocks.push(block);
            }
            Some(Open::List { items, .. }) => {
                let lines = block.lines();
                items.push(Item { task: None, blocks: vec![block], lines });
            }
            None => {}
        }
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::Quote(blocks, range)) => {
                let lines = self.lines(&range);
                self.put(Block::Quote { blocks, lines });
            }
            Some(Open::List { ordered, items, range }) => {
                let lines = self.lines(&range);
                self.put(Block::List { ordered, items, lines });
            }
            Some(Open::Item { task, blocks, range }) => {
                let item = Item { task, blocks, lines: self.lines(&range) };
                if let Some(Open::List { items, .. }) = self.open.last_mut() {
                    items.push(item);
                }
            }
            Some(page @ Open::Page(_)) => self.open.push(page),
            None => {}
        }
    }

    /// Opens a container, unless it is too deep.
    fn nest(&mut self, open: Open) {
        self.end_paragraph();
        if self.open.len() >= DEPTH || self.skipped > 0 {
            self.skipped += 1;
        } else {
            self.open.push(open);
        }
    }

    fn unnest(&mut self) {
        self.end_paragraph();
        if self.skipped > 0 {
            self.skipped -= 1;
        } else {
            self.close();
        }
    }

    /// Tight items have text without a paragraph around it.
    fn end_paragraph(&mut self) {
        if self.row.is_some() {
            return;
        }
        if let Some((words, range)) = self.words.take() {
            let lines = self.lines(&range);
            let texts = words.finish();
            if !texts.is_empty() {
                self.put(Block::Paragraph { texts, lines });
            }
        }
    }

    fn words(&mut self, range: &Range<usize>) -> &mut Words {
        let (words, whole) = self.words.get_or_insert_with(|| (Words::default(), range.clone()));
        whole.end = whole.end.max(range.end);
        words
    }

    fn text(&mut self, text: &str, range: &Range<usize>) {
        let line = self.index.line(range.start);
        if let Some(code) = &mut self.code {
            code.first.get_or_insert(line);
            code.text.push_str(text);
        } else if let Some((html, _)) = &mut self.html {
            html.push_str(text);
        } else {
            self.words(range).push(text, line);
        }
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, &range),
            Event::Text(text) => self.text(&text, &range),
            Event::Html(text) => self.text(&text, &range),
            Event::Code(code) => {
                let line = self.index.line(range.start);
                let words = self.words(&range);
                words.push(&format!("`{code}`"), line);
                words.now.code.push(code.into_string());
            }
            Event::InlineHtml(html) => self.inline_html(&html, &range),
            Event::SoftBreak | Event::HardBreak => {
                if let Some((words, _)) = &mut self.words {
                    words.end_line();
                }
            }
            Event::Rule => {
                self.end_paragraph();
                let lines = self.lines(&range);
                self.put(Block::Rule { lines });
            }
            Event::TaskListMarker(done) => {
                if let Some(Open::Item { task, .. }) = self.open.last_mut() {
                    *task = Some(done);
                }
            }
            Event::FootnoteReference(name) => self.text(&format!("[^{name}]"), &range),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text, &range),
        }
    }

    fn inline_html(&mut self, html: &str, range: &Range<usize>) {
        if html::is_break(html) {
            if let Some((words, _)) = &mut self.words {
                if self.row.is_some() {
                    words.now.plain.push(' ');
                } else {
                    words.end_line();
                }
            }
            return;
        }
        let kept = html::stripped(html);
        if !kept.is_empty() {
            self.text(&kept, range);
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Paragraph | Tag::Heading { .. } => {
                self.end_paragraph();
                self.words = Some((Words::default(), range));
            }
            Tag::BlockQuote(_) => self.nest(Open::Quote(Vec::new(), range)),
            Tag::FootnoteDefinition(name) => {
                self.nest(Open::Quote(Vec::new(), range.clone()));
                self.words(&range).push(&format!("[^{name}]: "), 0);
            }
            Tag::List(first) => {
                self.nest(Open::List { ordered: first.is_some(), items: Vec::new(), range });
            }
            Tag::Item => self.nest(Open::Item { task: None, blocks: Vec::new(), range }),
            Tag::CodeBlock(kind) => {
                self.end_paragraph();
                let (info, fenced) = match kind {
                    CodeBlockKind::Fenced(info) => (Some(info.trim().to_owned()), true),
                    CodeBlockKind::Indented => (None, false),
                };
                let info = info.filter(|info| !info.is_empty());
                self.code = Some(Code { info, text: String::new(), first: None, range, fenced });
            }
            Tag::HtmlBlock => {
                self.end_paragraph();
                self.html = Some((String::new(), range));
            }
            Tag::MetadataBlock(_) => self.html = Some((String::new(), range)),
            Tag::Table(_) => {
                self.end_paragraph();
                self.head = None;
                self.rows.clear();
            }
            Tag::TableHead | Tag::TableRow => {
                let line = self.index.line(range.start);
                let written = self.source.get(range).unwrap_or_default();
                let columns = self.head.as_ref().map_or(usize::MAX, |head| head.cells.len());
                let overfull = (cells_of(written) > columns).then(|| written.trim().to_owned());
                self.row = Some(Row { cells: Vec::new(), line, overfull });
            }
            Tag::TableCell => self.words = Some((Words::default(), range)),
            Tag::Strong => self.words(&range).strong += 1,
            Tag::Link { dest_url, .. } => {
                let words = self.words(&range);
                let at = words.now.plain.len();
                words.links.push((dest_url.into_string(), at));
            }
            Tag::Image { dest_url, .. } => {
                let words = self.words(&range);
                let at = words.now.plain.len();
                words.image += 1;
                words.links.push((dest_url.into_string(), at));
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, range: &Range<usize>) {
        match tag {
            TagEnd::Paragraph => self.end_paragraph(),
            TagEnd::Heading(level) => {
                if let Some((words, range)) = self.words.take() {
                    let (text, lines) = (words.one(), self.lines(&range));
                    self.put(Block::Heading { level: level as usize, text, lines });
                }
            }
            TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition | TagEnd::List(_) | TagEnd::Item => {
                self.unnest();
            }
            TagEnd::CodeBlock => {
                if let Some(code) = self.code.take() {
                    let lines = self.lines(&code.range);
                    let first = code.first.unwrap_or(lines.first + usize::from(code.fenced));
                    self.put(Block::Fence { info: code.info, code: code.text, first, lines });
                }
            }
            TagEnd::HtmlBlock => {
                if let Some((text, range)) = self.html.take() {
                    let lines = self.lines(&range);
                    let comment = text.trim_start().starts_with("<!--");
                    self.put(Block::Html { text, comment, lines });
                }
            }
            TagEnd::MetadataBlock(_) => {
                if let Some((text, range)) = self.html.take() {
                    let lines = self.lines(&range);
                    self.put(Block::Meta { text, lines });
                }
            }
            TagEnd::Table => {
                let lines = self.lines(range);
                let head = self.head.take().unwrap_or_default();
                let rows = std::mem::take(&mut self.rows);
                self.put(Block::Table { head, rows, lines });
            }
            TagEnd::TableHead => self.head = self.row.take(),
            TagEnd::TableRow => self.rows.extend(self.row.take()),
            TagEnd::TableCell => {
                let text = self.words.take().map(|(words, _)| words.one()).unwrap_or_default();
                if let Some(row) = &mut self.row {
                    row.cells.push(text);
                }
            }
            TagEnd::Strong => {
                let words = self.words(range);
                words.strong = words.strong.saturating_sub(1);
                words.labelled = true;
            }
            TagEnd::Link | TagEnd::Image => {
                let words = self.words(range);
                words.image = words.image.saturating_sub(usize::from(tag == TagEnd::Image));
                let Some((url, at)) = words.links.pop() else { return };
                let shown = words.now.plain.get(at..).unwrap_or_default().to_owned();
                if shown != url && !url.is_empty() && url.strip_prefix("mailto:") != Some(&shown) {
                    words.now.plain.extend([" (", url.as_str(), ")"]);
                    words.labelled = true;
                }
                let shown = if shown.trim().is_empty() { url.clone() } else { shown };
                words.now.links.push((shown, url));
            }
            _ => {}
        }
    }
}
